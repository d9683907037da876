(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Address spaces are what their capabilities say

    Tables hang below a VSpace that has an ASID. Each of them hangs in one place, the one that its capabilities say, and each page stands where a frame
    capability says that it is mapped. What hangs below no ASID is left out: no translation ends there, and it is emptied before it hangs anywhere again. *)
From Coq Require Import Lia.
From Spec Require Export InterruptProofs ContainerProofs.
Open Scope N_scope.

(** ** What hangs where

    [hangs st asid level prefix table]: of the addresses of an ASID the table translates those that begin with the prefix, of 9 bits for each level. *)
Inductive hangs (st : State) (asid : N) : N -> N -> N -> Prop :=
| hangs_top v : vspace_of_asid asid st = Some v -> hangs st asid 0 0 v
| hangs_below l q t i t' : hangs st asid l q t -> i < 512 -> table_entries t st !! i = Some (NextTable t') -> hangs st asid (l + 1) (q * 512 + i) t'.
Definition table_place (asid l q : N) : Place := {| place_asid := asid; place_address := N.shiftl q (entry_bits l); place_level := l + 1 |}.
Definition prefix (l x : N) : N := N.shiftr x (48 - 9 * l).
Definition names_page (p : Place) (asid l q : N) : Prop := place_asid p = asid /\ place_level p = l /\ prefix (l + 1) (place_address p) = q.
Definition is_vspace (o : N) (st : State) : Prop := exists t, objects st !! o = Some (VSpaceObject t).
Definition is_table (o : N) (st : State) : Prop := exists t, objects st !! o = Some (PageTableObject t).
Definition bare : Capability -> N -> Prop := is_spare.
Definition is_space_cap (c : Capability) : bool := match c with VSpaceCap _ _ | PageTableCap _ _ => true | _ => false end.
Definition soles (st : State) : Prop :=
  forall j c o, bare c o -> capability_at j st = Some c -> forall k d, capability_at k st = Some d -> object_of d = Some o -> k = j.
Definition backed (st : State) (asid l q base bits : N) (device : bool) (r : Rights) : Prop :=
  exists s r' p, capability_at s st = Some (FrameCap base bits device r' (Some p)) /\ names_page p asid l q /\ level_of_frame bits = l /\ rights_within r r'.
Record pools_right (st : State) : Prop := {
  pools_found : forall i o, pools st !! i = Some o <-> exists p, objects st !! o = Some (ASIDPoolObject p) /\ pool_index p = i;
  assigned_found : forall o p i v, objects st !! o = Some (ASIDPoolObject p) -> assigned p !! i = Some v -> i < asid_pool_entries /\ is_vspace v st
}.
Record spaced (st : State) : Prop := {
  pools_are : pools_right st;
  one_asid : forall asid v s a, vspace_of_asid asid st = Some v -> capability_at s st = Some (VSpaceCap v a) -> a = Some asid;
  asids_agree : forall s s' v x y, capability_at s st = Some (VSpaceCap v x) -> capability_at s' st = Some (VSpaceCap v y) -> x = y;
  tables_hang : forall asid l q t, hangs st asid (l + 1) q t ->
    l < 3 /\ is_table t st /\ forall s p, capability_at s st = Some (PageTableCap t p) -> p = Some (table_place asid l q);
  bare_alone : soles st;
  bare_empty : forall s c o i, bare c o -> capability_at s st = Some c -> table_entries o st !! i = None;
  pages_backed : forall asid l q t i base bits device r a, hangs st asid l q t -> i < 512 ->
    table_entries t st !! i = Some (Page base bits device r a) -> backed st asid l (q * 512 + i) base bits device r
}.

(** ** Addresses and their parts *)
Lemma index_below l x : entry_index l x < 512.
Proof. unfold entry_index, bits_of. rewrite N.land_ones. change (2 ^ 9) with 512. apply N.mod_lt. discriminate. Qed.
Lemma prefix_step l x : l <= 3 -> prefix (l + 1) x = prefix l x * 512 + entry_index l x.
Proof.
  intros low_. unfold prefix, entry_index, entry_bits, bits_of. rewrite N.land_ones. change (2 ^ 9) with 512.
  replace (48 - 9 * (l + 1)) with (39 - 9 * l) by lia. replace (48 - 9 * l) with (39 - 9 * l + 9) by lia.
  rewrite <- N.shiftr_shiftr. generalize (N.shiftr x (39 - 9 * l)). intros y. rewrite (N.shiftr_div_pow2 y 9). change (2 ^ 9) with 512.
  rewrite (N.mul_comm (y / 512)). apply N.div_mod. discriminate.
Qed.
Lemma prefix_of_place l q : l <= 3 -> prefix (l + 1) (N.shiftl q (entry_bits l)) = q.
Proof.
  intros low_. unfold prefix, entry_bits. replace (48 - 9 * (l + 1)) with (39 - 9 * l) by lia. rewrite N.shiftr_shiftl_l, N.sub_diag by apply N.le_refl.
  apply N.shiftl_0_r.
Qed.
Lemma parts l x q i : l <= 3 -> i < 512 -> prefix (l + 1) x = q * 512 + i -> prefix l x = q /\ entry_index l x = i.
Proof. intros low_ less same. rewrite (prefix_step l x low_) in same. pose proof (index_below l x). lia. Qed.

(** ** Walks end where tables hang *)
Lemma hangs_same st asid l q t : hangs st asid l q t -> forall u, hangs st asid l q u -> u = t.
Proof.
  induction 1 as [v names|l q t i t' above IH less next]; intros u other.
  - inversion other as [w names' is0 is1 is2|l' q' u' j u'' above' less' next' is0 is1 is2]; [congruence | lia].
  - inversion other as [w names' is0 is1 is2|l' q' u' j u'' above' less' next' is0 is1 is2]; [lia|].
    assert (l' = l) as -> by lia. assert (q' = q) as -> by lia. assert (j = i) as -> by lia. rewrite (IH u' above') in next'. congruence.
Qed.
Lemma walk_hangs st asid n : (forall l q t, hangs st asid l q t -> l <= 3) -> forall t l x, hangs st asid l (prefix l x) t ->
  exists u l' e, walk_tables n t l x st = (u, l', e) /\ hangs st asid l' (prefix l' x) u /\ l <= l' <= l + N.of_nat n
    /\ e = table_entries u st !! entry_index l' x /\ (l' < l + N.of_nat n -> forall next, e <> Some (NextTable next)).
Proof.
  intros bounded. induction n as [|n IH]; intros t l x here; pose proof (bounded _ _ _ here) as low_.
  - exists t, l, (table_entries t st !! entry_index l x). split; [|split; [exact here|]].
    + cbn [walk_tables]. destruct (table_entries t st !! entry_index l x) as [[]|]; reflexivity.
    + split; [lia|]. split; [reflexivity|]. lia.
  - cbn [walk_tables]. destruct (table_entries t st !! entry_index l x) as [[next|base bits device r a]|] eqn:found.
    + assert (hangs st asid (l + 1) (prefix (l + 1) x) next) as below_.
      { rewrite (prefix_step l x) by lia. apply (hangs_below st asid l (prefix l x) t); [exact here | apply index_below | exact found]. }
      destruct (IH next (l + 1) x below_) as (u & l' & e & walked & hang & (low1 & high1) & is_e & stops). exists u, l', e.
      split; [exact walked|]. split; [exact hang|]. split; [lia|]. split; [exact is_e|]. intros less. apply stops. lia.
    + eexists t, l, _. split; [reflexivity|]. split; [exact here|]. split; [lia|]. split; [symmetry; exact found|]. discriminate.
    + eexists t, l, _. split; [reflexivity|]. split; [exact here|]. split; [lia|]. split; [symmetry; exact found|]. discriminate.
Qed.
Lemma walk_more st n : forall t k x u next, walk_tables n t k x st = (u, k + N.of_nat n, Some (NextTable next)) ->
  walk_tables (S n) t k x st = (next, k + N.of_nat n + 1, table_entries next st !! entry_index (k + N.of_nat n + 1) x).
Proof.
  induction n as [|n IH]; intros t k x u next.
  - cbn [walk_tables N.of_nat]. rewrite N.add_0_r. destruct (table_entries t st !! entry_index k x) as [[next'|base bits device r a]|]; try discriminate.
    intros same. injection same as <- ->. destruct (table_entries next st !! entry_index (k + 1) x) as [[]|]; reflexivity.
  - intros walked. change (walk_tables (S (S n)) t k x st) with (match table_entries t st !! entry_index k x with
      | Some (NextTable next') => walk_tables (S n) next' (k + 1) x st | entry => (t, k, entry) end).
    change (walk_tables (S n) t k x st) with (match table_entries t st !! entry_index k x with
      | Some (NextTable next') => walk_tables n next' (k + 1) x st | entry => (t, k, entry) end) in walked.
    destruct (table_entries t st !! entry_index k x) as [[next'|base bits device r a]|]; try discriminate.
    replace (k + N.of_nat (S n)) with (k + 1 + N.of_nat n) in * by lia. exact (IH next' (k + 1) x u next walked).
Qed.
Lemma hangs_walk st asid v : vspace_of_asid asid st = Some v -> forall l q t, hangs st asid l q t -> l <= 3 -> forall x, prefix l x = q ->
  walk_tables (N.to_nat l) v 0 x st = (t, l, table_entries t st !! entry_index l x).
Proof.
  intros names l q t. induction 1 as [w names'|l q t i t' above IH less next]; intros low_ x is_q.
  - assert (w = v) as -> by congruence. cbn [N.to_nat walk_tables]. destruct (table_entries v st !! entry_index 0 x) as [[]|]; reflexivity.
  - destruct (parts l x q i ltac:(lia) less is_q) as (is_q' & is_i). specialize (IH ltac:(lia) x is_q'). rewrite is_i, next in IH.
    replace (N.to_nat (l + 1)) with (S (N.to_nat l)) by lia. pose proof (walk_more st (N.to_nat l) v 0 x t t') as more.
    rewrite N2Nat.id, N.add_0_l in more. exact (more IH).
Qed.
Lemma table_found st asid v l q t x : vspace_of_asid asid st = Some v -> hangs st asid l q t -> l <= 3 -> prefix l x = q ->
  table_of_level v l x st = inl t.
Proof.
  intros names here low_ is_q. unfold table_of_level. rewrite (hangs_walk st asid v names l q t here low_ x is_q), N.eqb_refl. reflexivity.
Qed.
Lemma table_hangs st asid v l x t : (forall l q t, hangs st asid l q t -> l <= 3) -> vspace_of_asid asid st = Some v -> x < N.shiftl 1 48 ->
  table_of_level v l x st = inl t -> hangs st asid l (prefix l x) t.
Proof.
  intros bounded names less. assert (prefix 0 x = 0) as top.
  { unfold prefix. change (48 - 9 * 0) with 48. rewrite N.shiftr_div_pow2. apply N.div_small. rewrite N.shiftl_1_l in less. exact less. }
  destruct (walk_hangs st asid (N.to_nat l) bounded v 0 x) as (u & l' & e & walked & here & _); [rewrite top; apply hangs_top, names|].
  unfold table_of_level. rewrite walked. destruct (N.eqb_spec l' l) as [->|]; [|discriminate]. intros same. injection same as <-. exact here.
Qed.

(** ** Changes of tables *)
Record light (a b : State) : Prop := {
  light_slots : slots b = slots a;
  light_pools : pools b = pools a;
  light_pool : forall o p, objects b !! o = Some (ASIDPoolObject p) <-> objects a !! o = Some (ASIDPoolObject p);
  light_tables : forall o, is_table o b <-> is_table o a;
  light_spaces : forall o, is_vspace o b <-> is_vspace o a
}.
Lemma light_refl st : light st st. Proof. constructor; reflexivity. Qed.
Lemma light_trans a b c : light a b -> light b c -> light a c.
Proof.
  intros [s1 p1 o1 t1 v1] [s2 p2 o2 t2 v2]. constructor; [congruence | congruence | | |].
  - intros o p. rewrite o2. apply o1.
  - intros o. rewrite t2. apply t1.
  - intros o. rewrite v2. apply v1.
Qed.
Lemma light_emit e st : light st (emit e st). Proof. constructor; reflexivity. Qed.
Lemma light_names a b asid : light a b -> vspace_of_asid asid b = vspace_of_asid asid a.
Proof.
  intros same. unfold vspace_of_asid. rewrite (light_pools a b same). destruct (pools a !! _) as [o|]; [|reflexivity].
  assert (assigned (pool o b) = assigned (pool o a)) as ->; [|reflexivity]. unfold pool.
  destruct (objects a !! o) as [x|] eqn:in_a, (objects b !! o) as [y|] eqn:in_b.
  - destruct x as [| | | | | | | |p]; try (destruct y as [| | | | | | | |p']; try reflexivity; apply (light_pool a b same) in in_b; congruence).
    apply (light_pool a b same) in in_a. rewrite in_a in in_b. injection in_b as <-. reflexivity.
  - destruct x as [| | | | | | | |p]; try reflexivity. apply (light_pool a b same) in in_a. congruence.
  - destruct y as [| | | | | | | |p]; try reflexivity. apply (light_pool a b same) in in_b. congruence.
  - reflexivity.
Qed.
Lemma light_pools_right a b : light a b -> pools_right a -> pools_right b.
Proof.
  intros same [found given_]. constructor.
  - intros i o. rewrite (light_pools a b same), found. split; intros (p & there & is_i); exists p; (split; [apply (light_pool a b same);
      exact there | exact is_i]).
  - intros o p i v there names. apply (light_pool a b same) in there. destruct (given_ o p i v there names) as (less & is_v).
    split; [exact less | apply (light_spaces a b same); exact is_v].
Qed.
Lemma put_object_light o x y st : objects st !! o = Some y -> same_kind y x ->
  match y, x with ASIDPoolObject a, ASIDPoolObject b => a = b | _, _ => True end -> light st (put_object o x st).
Proof.
  intros there kind fixed. constructor; try reflexivity; intros o'; [intros p| |]; unfold is_table, is_vspace;
    change (objects (put_object o x st)) with (set o x (objects st)); rewrite find_set; (destruct (N.eqb_spec o' o) as [->|]; [|reflexivity]);
    rewrite there; destruct y, x; try contradiction kind; try (split; congruence); try (split; intros (t & same); discriminate same).
  - split; intros _; eexists; reflexivity.
  - split; intros _; eexists; reflexivity.
Qed.
Lemma entries_put o x st o' : table_entries o' (put_object o x st)
  = if o' =? o then match x with VSpaceObject t | PageTableObject t => t | _ => empty end else table_entries o' st.
Proof.
  unfold table_entries. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (o' =? o); [|reflexivity].
  destruct x; reflexivity.
Qed.
Lemma change_table_light o f st : light st (change_table o f st).
Proof.
  unfold change_table. destruct (objects st !! o) as [[| | | | | |t|t|]|] eqn:there; try apply light_emit; eapply put_object_light; try exact there; exact I.
Qed.
Lemma change_table_entries o f st o' j : (forall j, f empty !! j = None) ->
  table_entries o' (change_table o f st) !! j = if o' =? o then f (table_entries o st) !! j else table_entries o' st !! j.
Proof.
  intros nothing_. unfold change_table.
  assert (table_entries o st = match objects st !! o with Some (VSpaceObject t) | Some (PageTableObject t) => t | _ => empty end) as is_it by reflexivity.
  destruct (objects st !! o) as [[| | | | | |t|t|]|] eqn:there; try (rewrite entries_put, is_it; destruct (o' =? o); reflexivity);
    change (table_entries o' (emit Stuck st)) with (table_entries o' st); rewrite is_it, nothing_;
    (destruct (N.eqb_spec o' o) as [->|]; [rewrite is_it; apply find_empty | reflexivity]).
Qed.
Lemma cleared_light t i st : light st (clear_page_entry t i st). Proof. apply change_table_light. Qed.
Lemma cleared_entries t i st o j : table_entries o (clear_page_entry t i st) !! j = if (o =? t) && (j =? i) then None else table_entries o st !! j.
Proof.
  unfold clear_page_entry. rewrite change_table_entries by (intros k; rewrite find_remove, find_empty; destruct (k =? i); reflexivity).
  destruct (N.eqb_spec o t) as [->|]; [|reflexivity]. cbn [andb].
  rewrite find_remove. destruct (j =? i); reflexivity.
Qed.

(** ** Less than before

    Where names, entries and capabilities only go, all stays right: but for a page whose frame capability went. *)
Lemma hangs_fewer a b : (forall asid v, vspace_of_asid asid b = Some v -> vspace_of_asid asid a = Some v) ->
  (forall o i e, table_entries o b !! i = Some e -> table_entries o a !! i = Some e) -> forall asid l q t, hangs b asid l q t -> hangs a asid l q t.
Proof.
  intros names fewer asid l q t. induction 1 as [v is_v|l q t i t' above IH less next]; [apply hangs_top, names, is_v|].
  apply (hangs_below a asid l q t); [exact IH | exact less | apply fewer; exact next].
Qed.
Lemma hangs_light a b : light a b -> (forall o i e, table_entries o b !! i = Some e -> table_entries o a !! i = Some e) ->
  forall asid l q t, hangs b asid l q t -> hangs a asid l q t.
Proof. intros same. apply hangs_fewer. intros asid v. rewrite (light_names a b asid same). exact id. Qed.
Lemma spaced_less a b : pools_right b -> (forall asid v, vspace_of_asid asid b = Some v -> vspace_of_asid asid a = Some v) ->
  (forall o i e, table_entries o b !! i = Some e -> table_entries o a !! i = Some e) ->
  (forall j c, is_space_cap c = true -> capability_at j b = Some c -> exists k, capability_at k a = Some c) -> soles b ->
  (forall asid l q t, hangs b asid (l + 1) q t -> is_table t a -> is_table t b) ->
  (forall k base bits device r p, capability_at k a = Some (FrameCap base bits device r (Some p)) ->
     (exists j, capability_at j b = Some (FrameCap base bits device r (Some p)))
     \/ forall asid l q t i bits' device' r' x, hangs b asid l q t -> i < 512 -> level_of_frame bits = l ->
          table_entries t b !! i = Some (Page base bits' device' r' x) -> ~ names_page p asid l (q * 512 + i)) ->
  spaced a -> spaced b.
Proof.
  intros pools_ names fewer back alone_ stays frames ok. pose proof (hangs_fewer a b names fewer) as before. constructor.
  - exact pools_.
  - intros asid v s x is_v at_s. destruct (back s (VSpaceCap v x) eq_refl at_s) as (k & at_k). exact (one_asid a ok asid v k x (names asid v is_v) at_k).
  - intros s s' v x y at_s at_s'. destruct (back s (VSpaceCap v x) eq_refl at_s) as (k & at_k), (back s' (VSpaceCap v y) eq_refl at_s') as (k' & at_k').
    exact (asids_agree a ok k k' v x y at_k at_k').
  - intros asid l q t here. destruct (tables_hang a ok asid l q t (before _ _ _ _ here)) as (low_ & is_t & said).
    split; [exact low_|]. split; [exact (stays asid l q t here is_t)|]. intros s p at_s. destruct (back s (PageTableCap t p) eq_refl at_s) as (k & at_k).
    exact (said k p at_k).
  - exact alone_.
  - intros s c o i is_bare_ at_s. assert (is_space_cap c = true) as space by (destruct is_bare_ as [-> | ->]; reflexivity).
    destruct (back s c space at_s) as (k & at_k). pose proof (bare_empty a ok k c o i is_bare_ at_k) as none.
    destruct (table_entries o b !! i) as [e|] eqn:found; [apply fewer in found; congruence | reflexivity].
  - intros asid l q t i base bits device r x here less found.
    destruct (pages_backed a ok asid l q t i base bits device r x (before _ _ _ _ here) less (fewer _ _ _ found))
      as (s & r' & p & at_s & named & level_ & within_).
    destruct (frames s base bits device r' p at_s) as [(j & at_j)|none].
    + exists j, r', p. split; [exact at_j|]. split; [exact named|]. split; assumption.
    + destruct (none asid l q t i bits device r x here less level_ found named).
Qed.
Lemma soles_renamed (f : N -> N) a b : (forall j c, capability_at j b = Some c -> exists c', capability_at (f j) a = Some c' /\ object_of c' = object_of c
    /\ (is_space_cap c = true -> c' = c)) ->
  (forall j k c d, capability_at j b = Some c -> capability_at k b = Some d -> f j = f k -> j = k) -> soles a -> soles b.
Proof.
  intros back apart_ ok j c o is_bare_ at_j k d at_k names. destruct (back j c at_j) as (c' & at_fj & _ & same).
  destruct (back k d at_k) as (d' & at_fk & named & _).
  rewrite same in at_fj by (destruct is_bare_ as [-> | ->]; reflexivity). apply (apart_ k j d c at_k at_j).
  exact (ok (f j) c o is_bare_ at_fj (f k) d' at_fk ltac:(congruence)).
Qed.
(** Tables and names as they were, and capabilities somewhere else. *)
Lemma spaced_moved (f : N -> N) a b : pools b = pools a -> objects b = objects a ->
  (forall j c, capability_at j b = Some c -> exists c', capability_at (f j) a = Some c' /\ object_of c' = object_of c /\ (is_space_cap c = true -> c' = c)) ->
  (forall j k c d, capability_at j b = Some c -> capability_at k b = Some d -> f j = f k -> j = k) ->
  (forall k base bits device r p, capability_at k a = Some (FrameCap base bits device r (Some p)) ->
     exists j, capability_at j b = Some (FrameCap base bits device r (Some p))) -> spaced a -> spaced b.
Proof.
  intros same_pools same_objects back apart_ frames ok.
  assert (forall asid, vspace_of_asid asid b = vspace_of_asid asid a) as names by (intros asid; unfold vspace_of_asid, pool;
    rewrite same_pools, same_objects; reflexivity).
  assert (forall o, table_entries o b = table_entries o a) as entries_ by (intros o; unfold table_entries; rewrite same_objects; reflexivity).
  apply (spaced_less a b); try exact ok.
  - destruct (pools_are a ok) as [found given_]. constructor; unfold is_vspace; rewrite ?same_pools, ?same_objects; assumption.
  - intros asid v. rewrite names. exact id.
  - intros o i e. rewrite entries_. exact id.
  - intros j c space at_j. destruct (back j c at_j) as (c' & at_fj & _ & same). exists (f j). rewrite at_fj, (same space). reflexivity.
  - exact (soles_renamed f a b back apart_ (bare_alone a ok)).
  - intros asid l q t _. unfold is_table. rewrite same_objects. exact id.
  - intros k base bits device r p at_k. left. exact (frames k base bits device r p at_k).
Qed.
Lemma spaced_light a b : light a b -> (forall o i e, table_entries o b !! i = Some e -> table_entries o a !! i = Some e) -> spaced a -> spaced b.
Proof.
  intros same fewer ok. pose proof (fun j => capability_same j a b (light_slots a b same)) as caps. apply (spaced_less a b); try exact ok.
  - exact (light_pools_right a b same (pools_are a ok)).
  - intros asid v. rewrite (light_names a b asid same). exact id.
  - exact fewer.
  - intros j c _ at_j. exists j. rewrite <- caps. exact at_j.
  - intros j c o is_bare_ at_j k d at_k. rewrite caps in at_j, at_k. exact (bare_alone a ok j c o is_bare_ at_j k d at_k).
  - intros asid l q t _. apply (light_tables a b same).
  - intros k base bits device r p at_k. left. exists k. rewrite caps. exact at_k.
Qed.

(** ** What changes none of it *)
Definition but_placing (k : Link) : bool := match k with Ending | Placing => true | _ => false end.
Definition placed (st : State) : Prop := sound st /\ spaced st.
Lemma spaced_same a b : slots b = slots a -> objects b = objects a -> pools b = pools a -> spaced a -> spaced b.
Proof.
  intros same_slots same_objects same_pools. apply spaced_light.
  - constructor; try assumption; intros o; [intros p| |]; unfold is_table, is_vspace; rewrite same_objects; reflexivity.
  - intros o i e. unfold table_entries. rewrite same_objects. exact id.
Qed.
Lemma spaced_emit e st : spaced st -> spaced (emit e st). Proof. exact (spaced_same st (emit e st) eq_refl eq_refl eq_refl). Qed.
Lemma placed_same a b : slots b = slots a -> references b = references a -> objects b = objects a -> pools b = pools a -> placed a -> placed b.
Proof.
  intros same_slots same_references same_objects same_pools (right & ok).
  split; [exact (sound_same a b same_slots same_references same_objects right) | exact (spaced_same a b same_slots same_objects same_pools ok)].
Qed.
Lemma place_by_pools insert t st : pools (place_by insert t st) = pools st.
Proof.
  unfold place_by. cbv zeta. destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try reflexivity.
  destruct (negb _); [reflexivity|]. destruct (usable _ _); reflexivity.
Qed.
Lemma placed_quietly : kept_quietly_but but_placing placed (fun _ => True) low.
Proof.
  pose proof sound_is_kept_quietly as sound_. constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _ same_pools. exact (placed_same a b same_slots same_references same_objects same_pools).
  - intros t st ok. exact (placed_same st (unplace t st) eq_refl eq_refl eq_refl eq_refl ok).
  - intros insert t st _. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
    exact (placed_same st _ same_slots same_references same_objects (place_by_pools insert t st)).
  - intros t st _. apply placed_same; reflexivity.
  - intros o x y st there same change fine (right & ok). split.
    + apply (after_put_object sound_ o x y st there same); [|exact fine | exact right]. destruct y, x; try exact I; repeat split; discriminate.
    + apply (spaced_light st); [|intros o' i e; rewrite entries_put; destruct (N.eqb_spec o' o) as [->|]; [|exact id] | exact ok].
      * apply (put_object_light o x y st there same). destruct y, x; try exact I. symmetry. exact change.
      * unfold table_entries. rewrite there. destruct y, x; try contradiction same; try (rewrite find_empty; discriminate);
          cbn [object_change but_placing] in change; rewrite change; exact id.
  - intros slot c st (right & _). exact (capabilities_are_fine sound_ slot c st right).
Qed.

(** ** Mappings are undone *)
Lemma hangs_named st asid l q t : hangs st asid l q t -> exists v, vspace_of_asid asid st = Some v.
Proof. induction 1 as [v names|l q t i t' _ IH _ _]; [exists v; exact names | exact IH]. Qed.
Lemma hangs_level st asid l q t : spaced st -> hangs st asid l q t -> l <= 3.
Proof.
  intros ok here. inversion here as [v names is0 is1 is2|l' q' u i u' above less next is0 is1 is2]; [lia|]. subst.
  destruct (tables_hang st ok asid l' _ t here) as (low_ & _). lia.
Qed.
Lemma unmap_cases p level one e st : unmap p level one e st = st \/ exists t i, unmap p level one e st = emit e (clear_page_entry t i st).
Proof.
  unfold unmap. destruct (vspace_of_asid _ st) as [v|]; [|left; reflexivity]. destruct (table_of_level _ _ _ st) as [t|]; [|left; reflexivity]. cbv zeta.
  destruct (table_entries t st !! _) as [x|]; [|left; reflexivity]. destruct (one x); [right | left; reflexivity]. eexists t, _. reflexivity.
Qed.
Lemma unmap_light p level one e st : light st (unmap p level one e st).
Proof.
  destruct (unmap_cases p level one e st) as [-> | (t & i & ->)]; [apply light_refl|]. eapply light_trans; [apply cleared_light | apply light_emit].
Qed.
Lemma unmap_fewer p level one e st o i x : table_entries o (unmap p level one e st) !! i = Some x -> table_entries o st !! i = Some x.
Proof.
  destruct (unmap_cases p level one e st) as [-> | (t & j & ->)]; [exact id|].
  change (table_entries o (emit e (clear_page_entry t j st))) with (table_entries o (clear_page_entry t j st)). rewrite cleared_entries.
  destruct (_ && _); [discriminate | exact id].
Qed.
Lemma unmap_hits p one e st asid l q t i x : spaced st -> hangs st asid l q t -> i < 512 -> table_entries t st !! i = Some x -> one x = true ->
  place_asid p = asid -> prefix (l + 1) (place_address p) = q * 512 + i -> unmap p l one e st = emit e (clear_page_entry t i st).
Proof.
  intros ok here less found is_one is_asid is_address. pose proof (hangs_level st asid l q t ok here) as low_.
  destruct (hangs_named st asid l q t here) as (v & names). unfold unmap. rewrite is_asid, names.
  destruct (parts l _ q i low_ less is_address) as (is_q & is_i).
  rewrite (table_found st asid v l q t _ names here low_ is_q). cbv zeta. rewrite is_i, found, is_one. reflexivity.
Qed.
Lemma unmap_frame_light base bits p st : light st (unmap_frame base bits p st).
Proof. unfold unmap_frame. destruct p; [apply unmap_light | apply light_refl]. Qed.
Lemma unmap_frame_fewer base bits p st o i x : table_entries o (unmap_frame base bits p st) !! i = Some x -> table_entries o st !! i = Some x.
Proof. unfold unmap_frame. destruct p; [apply unmap_fewer | exact id]. Qed.
Lemma unmap_table_light t p st : light st (unmap_table t p st).
Proof. unfold unmap_table. destruct p; [|apply light_refl]. cbv zeta. eapply light_trans; [apply unmap_light | apply change_table_light]. Qed.
Lemma emptied_entries t st o i : table_entries o (change_table t (fun _ => empty) st) !! i = if o =? t then None else table_entries o st !! i.
Proof. rewrite change_table_entries by (intros j; apply find_empty). destruct (o =? t); [apply find_empty | reflexivity]. Qed.
Lemma unmap_table_fewer t p st o i x : table_entries o (unmap_table t p st) !! i = Some x -> table_entries o st !! i = Some x.
Proof.
  unfold unmap_table. destruct p as [p|]; [|exact id]. cbv zeta. rewrite emptied_entries. destruct (o =? t); [discriminate | apply unmap_fewer].
Qed.
(** Where a page of a frame stood nothing stands, where a table hung nothing hangs. *)
Definition shows_no (p : Place) (base bits : N) (st : State) : Prop :=
  forall asid l q t i bits' device r a, hangs st asid l q t -> i < 512 -> level_of_frame bits = l ->
    table_entries t st !! i = Some (Page base bits' device r a) -> ~ names_page p asid l (q * 512 + i).
Lemma frame_unmapped base bits p st : spaced st -> shows_no p base bits (unmap_frame base bits (Some p) st).
Proof.
  intros ok asid l q t i bits' device r a here less level_ found (is_asid & _ & is_address).
  assert (forall o j e, table_entries o (unmap_frame base bits (Some p) st) !! j = Some e -> table_entries o st !! j = Some e)
    as fewer by (intros o j e; apply unmap_frame_fewer).
  pose proof (hangs_light st _ (unmap_frame_light base bits _ st) fewer asid l q t here) as before.
  pose proof (fewer t i _ found) as found_before. revert found. unfold unmap_frame. rewrite level_.
  rewrite (unmap_hits p (fun e => match e with Page b _ _ _ _ => b =? base | NextTable _ => false end) _ st asid l q t i _
    ok before less found_before (N.eqb_refl base) is_asid is_address).
  change (table_entries t (emit ?e ?x)) with (table_entries t x). rewrite cleared_entries, !N.eqb_refl. discriminate.
Qed.
Lemma table_unmapped t p s st : spaced st -> capability_at s st = Some (PageTableCap t p) -> forall asid l q, ~ hangs (unmap_table t p st) asid (l + 1) q t.
Proof.
  intros ok there asid l q here.
  pose proof (hangs_light st _ (unmap_table_light t p st) (unmap_table_fewer t p st)) as before.
  destruct (tables_hang st ok asid l q t (before _ _ _ _ here)) as (low_ & _ & said). rewrite (said s p there) in *. clear said there p.
  inversion here as [v names is0 is1 is2|l' q' u i u' above less next is0 is1 is2]; [lia|]. assert (l' = l) as -> by lia. subst.
  pose proof (before _ _ _ _ above) as above_before. pose proof (unmap_table_fewer _ _ _ _ _ _ next) as next_before. revert next.
  unfold unmap_table. cbv zeta. rewrite emptied_entries. destruct (u =? t); [discriminate|]. cbn [table_place place_level]. rewrite N.add_sub.
  rewrite (unmap_hits (table_place asid l (q' * 512 + i)) (fun e => match e with NextTable o => o =? t | Page _ _ _ _ _ => false end) _ st asid l q' u i _
    ok above_before less next_before (N.eqb_refl t) eq_refl (prefix_of_place l (q' * 512 + i) ltac:(lia))).
  change (table_entries u (emit ?e ?x)) with (table_entries u x). rewrite cleared_entries, !N.eqb_refl. discriminate.
Qed.

(** ** ASIDs come and go *)
Lemma asid_parts i j : j < asid_pool_entries -> (asid_pool_entries * i + j) / asid_pool_entries = i /\ (asid_pool_entries * i + j) mod asid_pool_entries = j.
Proof.
  intros less. split.
  - symmetry. exact (N.div_unique _ _ _ _ less eq_refl).
  - symmetry. exact (N.mod_unique _ _ _ _ less eq_refl).
Qed.
Lemma asid_whole asid : asid = asid_pool_entries * (asid / asid_pool_entries) + asid mod asid_pool_entries.
Proof. apply N.div_mod. discriminate. Qed.
Lemma pool_is o p st : objects st !! o = Some (ASIDPoolObject p) -> pool o st = p. Proof. unfold pool. intros ->. reflexivity. Qed.
Lemma named_of_pool st asid v : vspace_of_asid asid st = Some v -> exists o p, pools st !! (asid / asid_pool_entries) = Some o
  /\ objects st !! o = Some (ASIDPoolObject p) /\ assigned p !! (asid mod asid_pool_entries) = Some v.
Proof.
  unfold vspace_of_asid. destruct (pools st !! _) as [o|]; [|discriminate]. unfold pool.
  destruct (objects st !! o) as [[| | | | | | | |p]|] eqn:there; try (cbn [assigned]; rewrite find_empty; discriminate).
  intros names. exists o, p. repeat split; assumption.
Qed.
Lemma named_of_assigned st o p i v : pools_right st -> objects st !! o = Some (ASIDPoolObject p) -> assigned p !! i = Some v ->
  vspace_of_asid (asid_pool_entries * pool_index p + i) st = Some v.
Proof.
  intros right there names. destruct (assigned_found st right o p i v there names) as (less & _).
  destruct (asid_parts (pool_index p) i less) as (is_div & is_mod).
  unfold vspace_of_asid. rewrite is_div, is_mod. rewrite (proj2 (pools_found st right (pool_index p) o)) by (exists p; split; [exact there | reflexivity]).
  rewrite (pool_is o p st there). exact names.
Qed.
Lemma named_is_vspace st asid v : pools_right st -> vspace_of_asid asid st = Some v -> is_vspace v st.
Proof.
  intros right names. destruct (named_of_pool st asid v names) as (o & p & _ & there & assigned_).
  exact (proj2 (assigned_found st right o p _ v there assigned_)).
Qed.
Lemma named_put_pool o x y st asid : pools_right st -> objects st !! o = Some (ASIDPoolObject y) ->
  vspace_of_asid asid (put_object o (ASIDPoolObject x) st)
  = if asid / asid_pool_entries =? pool_index y then assigned x !! (asid mod asid_pool_entries) else vspace_of_asid asid st.
Proof.
  intros right there. unfold vspace_of_asid. change (pools (put_object o (ASIDPoolObject x) st)) with (pools st).
  assert (pools st !! pool_index y = Some o) as known by (apply (pools_found st right); exists y; split; [exact there | reflexivity]).
  destruct (N.eqb_spec (asid / asid_pool_entries) (pool_index y)) as [->|other].
  - rewrite known. rewrite (pool_is o x); [reflexivity|]. change (objects (put_object o (ASIDPoolObject x) st)) with (set o (ASIDPoolObject x) (objects st)).
    rewrite find_set, N.eqb_refl. reflexivity.
  - destruct (pools st !! (asid / asid_pool_entries)) as [o'|] eqn:found; [|reflexivity].
    assert (o' <> o) as differs.
    { intros ->. apply (pools_found st right) in found. destruct found as (y' & there' & is_i). congruence. }
    unfold pool. change (objects (put_object o (ASIDPoolObject x) st)) with (set o (ASIDPoolObject x) (objects st)). rewrite find_set.
    apply N.eqb_neq in differs. rewrite differs. reflexivity.
Qed.
Lemma put_pool_right o x y st : objects st !! o = Some (ASIDPoolObject y) -> pool_index x = pool_index y ->
  (forall i v, assigned x !! i = Some v -> assigned y !! i = Some v \/ i < asid_pool_entries /\ is_vspace v st) ->
  pools_right st -> pools_right (put_object o (ASIDPoolObject x) st).
Proof.
  intros there index fewer [found given_]. assert (forall o', objects (put_object o (ASIDPoolObject x) st) !! o' = if o' =? o then Some (ASIDPoolObject x)
      else objects st !! o') as now_ by (intros o'; apply find_set).
  assert (forall v, is_vspace v st -> is_vspace v (put_object o (ASIDPoolObject x) st)) as still.
  { intros v (t & is_v). exists t. rewrite now_. destruct (N.eqb_spec v o) as [->|]; [congruence | exact is_v]. }
  constructor.
  - intros i o'. change (pools (put_object o (ASIDPoolObject x) st)) with (pools st). rewrite found, now_. destruct (N.eqb_spec o' o) as [->|]; [|reflexivity].
    rewrite there. split; intros (p & same & is_i); injection same as <-; eexists; (split; [reflexivity | congruence]).
  - intros o' p i v. rewrite now_. destruct (N.eqb_spec o' o) as [->|].
    + intros same names. injection same as <-. destruct (fewer i v names) as [before|(less & is_v)]; [|split; [exact less | exact (still v is_v)]].
      destruct (given_ o y i v there before) as (less & is_v). split; [exact less | exact (still v is_v)].
    + intros there' names. destruct (given_ o' p i v there' names) as (less & is_v). split; [exact less | exact (still v is_v)].
Qed.
Lemma put_pool_entries o x y st o' : objects st !! o = Some (ASIDPoolObject y) -> table_entries o' (put_object o (ASIDPoolObject x) st) = table_entries o' st.
Proof. intros there. rewrite entries_put. destruct (N.eqb_spec o' o) as [->|]; [|reflexivity]. unfold table_entries. rewrite there. reflexivity. Qed.

Lemma release_cases v a st : release_asid v a st = st /\ owns_asid v a st = false \/ exists asid o y, a = Some asid /\ vspace_of_asid asid st = Some v
  /\ pools st !! (asid / asid_pool_entries) = Some o /\ objects st !! o = Some (ASIDPoolObject y)
  /\ release_asid v a st = emit (InvalidateSpace asid) (put_object o (ASIDPoolObject {| pool_index := pool_index y;
       assigned := remove (asid mod asid_pool_entries) (assigned y) |}) st).
Proof.
  unfold release_asid. destruct a as [asid|]; [|left; split; reflexivity]. destruct (owns_asid v (Some asid) st) eqn:owns.
  - right. cbn [owns_asid] in owns. destruct (vspace_of_asid asid st) as [w|] eqn:names; [|discriminate]. apply N.eqb_eq in owns. subst w.
    destruct (named_of_pool st asid v names) as (o & y & known & there & _). exists asid, o, y. rewrite known. unfold change_pool. rewrite there.
    repeat split; assumption.
  - left. destruct (pools st !! _); split; reflexivity.
Qed.
Lemma released_names v a st : pools_right st -> forall asid, vspace_of_asid asid (release_asid v a st)
  = if is_number (vspace_of_asid asid st) v && is_number a asid then None else vspace_of_asid asid st.
Proof.
  intros right asid. destruct (release_cases v a st) as [(-> & owns)|(b & o & y & -> & names & known & there & ->)].
  - destruct a as [a|]; cbn [is_number owns_asid] in *; [|rewrite andb_false_r; reflexivity].
    destruct (N.eqb_spec a asid) as [->|]; [rewrite owns; reflexivity | rewrite andb_false_r; reflexivity].
  - change (vspace_of_asid asid (emit ?e ?x)) with (vspace_of_asid asid x). rewrite (named_put_pool o _ y st asid right there). cbn [is_number assigned].
    rewrite find_remove. apply (pools_found st right) in known. destruct known as (y' & there' & is_i). assert (y' = y) as -> by congruence.
    destruct (N.eqb_spec b asid) as [->|other].
    + rewrite is_i, N.eqb_refl, N.eqb_refl, names. cbn [is_number]. rewrite N.eqb_refl. reflexivity.
    + rewrite andb_false_r. destruct (N.eqb_spec (asid / asid_pool_entries) (pool_index y)) as [same|]; [|reflexivity].
      destruct (N.eqb_spec (asid mod asid_pool_entries) (b mod asid_pool_entries)) as [same_mod|].
      * exfalso. apply other. rewrite (asid_whole b), (asid_whole asid), <- is_i, <- same, same_mod. reflexivity.
      * unfold vspace_of_asid. rewrite same. rewrite (proj2 (pools_found st right (pool_index y) o)) by (exists y; split; [exact there | reflexivity]).
        rewrite (pool_is o y st there). reflexivity.
Qed.
Lemma released_fewer v a st : pools_right st -> forall asid w, vspace_of_asid asid (release_asid v a st) = Some w -> vspace_of_asid asid st = Some w.
Proof. intros right asid w. rewrite (released_names v a st right). destruct (_ && _); [discriminate | exact id]. Qed.
Lemma released_entries v a st o : table_entries o (release_asid v a st) = table_entries o st.
Proof.
  destruct (release_cases v a st) as [(-> & _)|(asid & p & y & _ & _ & _ & there & ->)]; [reflexivity|].
  change (table_entries o (emit ?e ?x)) with (table_entries o x). exact (put_pool_entries p _ y st o there).
Qed.
Lemma release_spaced v a st : spaced st -> spaced (release_asid v a st).
Proof.
  intros ok. pose proof (pools_are st ok) as right.
  assert (slots (release_asid v a st) = slots st) as same
    by (destruct (release_cases v a st) as [(-> & _)|(asid & p & y & _ & _ & _ & _ & ->)]; reflexivity).
  pose proof (fun j => capability_same j st _ same) as caps. apply (spaced_less st).
  - destruct (release_cases v a st) as [(-> & _)|(asid & p & y & _ & _ & _ & there & ->)]; [exact right|].
    apply (light_pools_right _ _ (light_emit _ _)). refine (put_pool_right p _ y st there _ _ right); [reflexivity|]. intros i w. cbn [assigned].
    rewrite find_remove. destruct (_ =? _); [discriminate | left; assumption].
  - exact (released_fewer v a st right).
  - intros o i e. rewrite released_entries. exact id.
  - intros j c _ at_j. exists j. rewrite <- caps. exact at_j.
  - intros j c o is_bare_ at_j k d at_k. rewrite caps in at_j, at_k. exact (bare_alone st ok j c o is_bare_ at_j k d at_k).
  - intros asid l q t _. destruct (release_cases v a st) as [(-> & _)|(asid' & p & y & _ & _ & _ & there & ->)]; [exact id|]. intros (x & is_t). exists x.
    change (objects (emit ?e ?z)) with (objects z). etransitivity; [apply find_set|]. destruct (N.eqb_spec t p) as [->|]; [congruence | exact is_t].
  - intros k base bits device r p at_k. left. exists k. rewrite caps. exact at_k.
  - exact ok.
Qed.

(** ** Capabilities go and move *)
Definition unlinked (o : N) (st : State) : Prop :=
  (forall asid, vspace_of_asid asid st <> Some o) /\ (forall asid l q, ~ hangs st asid (l + 1) q o) /\ forall p, objects st !! o <> Some (ASIDPoolObject p).
Lemma discard_objects s st : (forall o, objects (discard s st) !! o = objects st !! o)
  \/ exists c o, capability_at s st = Some c /\ object_of c = Some o /\ is_zombie c || is_last c st = true
       /\ forall o', objects (discard s st) !! o' = if o' =? o then None else objects st !! o'.
Proof.
  assert (forall o, objects (remove_capability s st) !! o = objects st !! o) as same by (intros o; rewrite objects_of_remove_capability; reflexivity).
  unfold discard. destruct (capability_at s st) as [c|] eqn:there; [|left; reflexivity]. destruct (object_of c) as [o|] eqn:names; [|left; exact same].
  destruct (_ || _) eqn:last; [right | left; exact same]. exists c, o. repeat split; try assumption. intros o'.
  change (objects (remove_object o ?x)) with (remove o (objects x)). rewrite find_remove, same. reflexivity.
Qed.
Lemma discard_pools s st : pools (discard s st) = pools st.
Proof.
  assert (pools (remove_capability s st) = pools st) as same by (rewrite (remove_capability_same s st); reflexivity).
  unfold discard. destruct (capability_at s st) as [c|]; [|reflexivity]. destruct (object_of c) as [o|]; [destruct (_ || _)|]; exact same.
Qed.
Lemma discard_stays s st o x : (forall c, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> False) ->
  objects st !! o = Some x -> objects (discard s st) !! o = Some x.
Proof.
  intros not_it there. destruct (discard_objects s st) as [same|(c & o' & at_s & names & last & gone_)]; [rewrite same; exact there|].
  rewrite gone_. destruct (N.eqb_spec o o') as [->|]; [destruct (not_it c at_s names last) | exact there].
Qed.
Lemma discard_fewer s st o x : objects (discard s st) !! o = Some x -> objects st !! o = Some x.
Proof.
  destruct (discard_objects s st) as [same|(c & o' & _ & _ & _ & gone_)]; [rewrite same; exact id|]. rewrite gone_.
  destruct (o =? o'); [discriminate | exact id].
Qed.
Lemma discard_spaced s st :
  (forall c, capability_at s st = Some c ->
     (forall base bits device r p, c = FrameCap base bits device r (Some p) -> shows_no p base bits st)
     /\ forall o, object_of c = Some o -> is_zombie c || is_last c st = true -> unlinked o st) -> spaced st -> spaced (discard s st).
Proof.
  intros goes ok. pose proof (pools_are st ok) as right.
  assert (forall o x, ~ unlinked o st -> objects st !! o = Some x -> objects (discard s st) !! o = Some x) as stays.
  { intros o x linked_ there. apply discard_stays; [|exact there]. intros c at_s names last. exact (linked_ (proj2 (goes c at_s) o names last)). }
  assert (forall asid v, vspace_of_asid asid (discard s st) = Some v -> vspace_of_asid asid st = Some v) as names.
  { intros asid v. unfold vspace_of_asid, pool. rewrite discard_pools. destruct (pools st !! _) as [o|]; [|discriminate].
    destruct (objects (discard s st) !! o) as [x|] eqn:there; [rewrite (discard_fewer s st o x there); exact id|]. cbn [assigned]. rewrite find_empty.
    discriminate. }
  assert (forall o i e, table_entries o (discard s st) !! i = Some e -> table_entries o st !! i = Some e) as fewer.
  { intros o i e. unfold table_entries. destruct (objects (discard s st) !! o) as [x|] eqn:there; [rewrite (discard_fewer s st o x there); exact id|].
    rewrite find_empty. discriminate. }
  assert (forall j c, capability_at j (discard s st) = Some c -> j <> s /\ capability_at j st = Some c) as caps.
  { intros j c. rewrite discard_slots. destruct (N.eqb_spec j s); [discriminate|]. intros at_j. split; assumption. }
  apply (spaced_less st); try assumption.
  - constructor.
    + intros i o. rewrite discard_pools, (pools_found st right). split; intros (p & there & is_i); exists p; (split; [|exact is_i]).
      * apply stays; [|exact there]. intros (_ & _ & no_pool). exact (no_pool p there).
      * exact (discard_fewer s st o _ there).
    + intros o p i v there names_v. apply discard_fewer in there. destruct (assigned_found st right o p i v there names_v) as (less & t & is_v).
      split; [exact less|]. exists t. apply stays; [|exact is_v]. intros (unnamed & _). exact (unnamed _ (named_of_assigned st o p i v right there names_v)).
  - intros j c _ at_j. exists j. exact (proj2 (caps j c at_j)).
  - intros j c o is_bare_ at_j k d at_k. apply (bare_alone st ok j c o is_bare_ (proj2 (caps j c at_j)) k d). exact (proj2 (caps k d at_k)).
  - intros asid l q t here (x & is_t). exists x. apply stays; [|exact is_t]. intros (_ & hangs_nowhere & _).
    exact (hangs_nowhere asid l q (hangs_fewer st _ names fewer _ _ _ _ here)).
  - intros k base bits device r p at_k. destruct (N.eq_dec k s) as [->|other].
    + right. intros asid l q t i bits' device' r' x here less level_ found.
      exact (proj1 (goes _ at_k) base bits device r p eq_refl asid l q t i bits' device' r' x (hangs_fewer st _ names fewer _ _ _ _ here) less level_
               (fewer _ _ _ found)).
    + left. exists k. rewrite discard_slots. apply N.eqb_neq in other. rewrite other. exact at_k.
Qed.
Lemma other_unlinked o x st : spaced st -> objects st !! o = Some x -> match x with VSpaceObject _ | PageTableObject _ | ASIDPoolObject _ => False
  | _ => True end ->
  unlinked o st.
Proof.
  intros ok there other. repeat split.
  - intros asid names. destruct (named_is_vspace st asid o (pools_are st ok) names) as (t & is_v). rewrite there in is_v. injection is_v as ->. exact other.
  - intros asid l q here. destruct (tables_hang st ok asid l q o here) as (_ & (t & is_t) & _). rewrite there in is_t. injection is_t as ->. exact other.
  - intros p is_p. rewrite there in is_p. injection is_p as ->. exact other.
Qed.
Lemma refers_to st s c o : sound st -> capability_at s st = Some c -> object_of c = Some o -> exists x, objects st !! o = Some x /\ fits_object c x.
Proof. intros right there names. rewrite capability_at_in in there. exact (refers _ _ (live_ok st right) s c o there names). Qed.
Lemma zombie_gone s o st : placed st -> capability_at s st = Some (ZombieCap o) -> spaced (discard s st).
Proof.
  intros (right & ok) there. apply discard_spaced; [|exact ok]. intros c at_s. rewrite there in at_s. injection at_s as <-. split; [discriminate|].
  intros o' names _. cbn [object_of] in names. injection names as <-. destruct (refers_to st s _ o right there eq_refl) as (x & found & fits_).
  apply (other_unlinked o x st ok found). destruct x; try discriminate fits_; exact I.
Qed.
Lemma move_spaced from to st : spaced st -> spaced (move_capability from to st).
Proof.
  intros ok. destruct (slots st !! from) as [e|] eqn:there; [|unfold move_capability; rewrite there; exact (spaced_emit Stuck st ok)].
  destruct (is_empty to st) eqn:vacant; [|unfold move_capability; rewrite there, vacant; exact (spaced_emit Stuck st ok)].
  apply is_empty_spec in vacant.
  assert (forall j, capability_at j (move_capability from to st) = if j =? to then capability_at from st else if j =? from then None else capability_at j st)
    as caps
    by (intros j; rewrite !capability_at_in; exact (in_move from to st e j there vacant)).
  apply (spaced_moved (fun j => if j =? to then from else j) st).
  - rewrite (move_capability_same from to st). reflexivity.
  - rewrite (move_capability_same from to st). reflexivity.
  - intros j c. rewrite caps. destruct (j =? to); [intros at_j; exists c; repeat split; exact at_j|].
    destruct (j =? from); [discriminate|]. intros at_j. exists c. repeat split; exact at_j.
  - intros j k c d. rewrite !caps. destruct (N.eqb_spec j to) as [->|], (N.eqb_spec k to) as [->|]; try (intros; congruence).
    + destruct (N.eqb_spec k from); [discriminate | intros; congruence].
    + destruct (N.eqb_spec j from); [discriminate | intros; congruence].
  - intros k base bits device r p at_k. destruct (N.eq_dec k from) as [->|other].
    + exists to. rewrite caps, N.eqb_refl. exact at_k.
    + exists k. rewrite caps. destruct (N.eqb_spec k to) as [->|]; [unfold capability_at in at_k; rewrite vacant in at_k; discriminate|].
      apply N.eqb_neq in other. rewrite other. exact at_k.
  - exact ok.
Qed.
Lemma zombie_spaced s st : spaced st -> spaced (make_zombie s st).
Proof.
  intros ok. unfold make_zombie. destruct (slots st !! s) as [e|] eqn:there; [|exact (spaced_emit Stuck st ok)].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|exact (spaced_emit Stuck st ok)].
  destruct (container_spec _ _ _ container) as (named & _).
  assert (forall j, capability_at j (replace_capability s e (ZombieCap o) st) = if j =? s then Some (ZombieCap o) else capability_at j st) as caps
    by (intros j; rewrite !capability_at_in; exact (in_replace s e _ st j there)).
  assert (capability_at s st = Some (capability e)) as at_s by (unfold capability_at; rewrite there; reflexivity).
  apply (spaced_moved (fun j => j) st).
  - rewrite (replace_capability_same s e (ZombieCap o) st). reflexivity.
  - rewrite (replace_capability_same s e (ZombieCap o) st). reflexivity.
  - intros j c. rewrite caps. destruct (N.eqb_spec j s) as [->|].
    + intros same. injection same as <-. exists (capability e). repeat split; [exact at_s | exact named | discriminate].
    + intros at_j. exists c. repeat split. exact at_j.
  - intros j k c d _ _. exact id.
  - intros k base bits device r p at_k. exists k. rewrite caps. destruct (N.eqb_spec k s) as [->|]; [|exact at_k].
    rewrite at_s in at_k. injection at_k as is_frame_. rewrite is_frame_ in container. discriminate.
  - exact ok.
Qed.

(** ** A unit of deletion *)
Lemma let_go_quiet c st : match c with VSpaceCap _ _ | PageTableCap _ _ | FrameCap _ _ _ _ _ | ASIDPoolCap _ => False | _ => True end -> placed st ->
  placed (let_go c st).
Proof.
  pose proof placed_quietly as quiet. intros other ok. unfold let_go. destruct c; try exact ok; try contradiction; destruct (is_last _ st); try exact ok.
  - exact (@keeps_end_notification _ _ _ _ quiet _ eq_refl eq_refl st ok).
  - exact (@keeps_free_reply _ _ _ _ quiet _ eq_refl st ok).
  - exact (@keeps_end_context _ _ _ _ quiet _ eq_refl eq_refl st ok).
  - exact (@keeps_end_interrupt _ _ _ _ quiet _ eq_refl st ok).
Qed.
Lemma pool_gone s o st : spaced st -> capability_at s st = Some (ASIDPoolCap o) -> is_last (ASIDPoolCap o) st = true ->
  (exists p, objects st !! o = Some (ASIDPoolObject p)) -> spaced (discard s (release_pool o st)).
Proof.
  intros ok there last (p & is_p). set (after := discard s (release_pool o st)). pose proof (pools_are st ok) as right.
  assert (forall o', objects after !! o' = if o' =? o then None else objects st !! o') as objs.
  { assert (objects after = remove o (objects st)) as ->; [|intros o'; apply find_remove]. unfold after, discard.
    change (capability_at s (release_pool o st)) with (capability_at s st). change (is_last ?c (release_pool o st)) with (is_last c st). rewrite there.
    cbn [object_of referent is_zombie]. rewrite last. cbn [orb].
    change (objects (remove_object o ?x)) with (remove o (objects x)). rewrite objects_of_remove_capability. reflexivity. }
  assert (pools after = remove (pool_index p) (pools st)) as pools_after.
  { unfold after. rewrite discard_pools. unfold release_pool. rewrite (pool_is o p st is_p). reflexivity. }
  assert (forall j c, capability_at j after = Some c -> capability_at j st = Some c) as caps.
  { intros j c. unfold after. rewrite discard_slots. change (capability_at j (release_pool o st)) with (capability_at j st).
    destruct (j =? s); [discriminate | exact id]. }
  assert (forall o' i e, table_entries o' after !! i = Some e -> table_entries o' st !! i = Some e) as fewer.
  { intros o' i e. unfold table_entries. rewrite objs. destruct (o' =? o); [rewrite find_empty; discriminate | exact id]. }
  assert (forall asid v, vspace_of_asid asid after = Some v -> vspace_of_asid asid st = Some v) as names.
  { intros asid v. unfold vspace_of_asid, pool. rewrite pools_after, find_remove. destruct (_ =? _); [discriminate|].
    destruct (pools st !! _) as [o'|]; [|discriminate]. rewrite objs. destruct (o' =? o); [cbn [assigned]; rewrite find_empty; discriminate | exact id]. }
  apply (spaced_less st); try assumption.
  - constructor.
    + intros i o'. rewrite pools_after, find_remove, objs. pose proof (pools_found st right i o') as found.
      destruct (N.eqb_spec i (pool_index p)) as [->|other].
      * split; [discriminate|]. intros (p' & there' & is_i). destruct (N.eqb_spec o' o) as [->|differs]; [discriminate|].
        assert (pools st !! pool_index p = Some o') as one by (apply (pools_found st right); exists p'; split; [exact there' | exact is_i]).
        assert (pools st !! pool_index p = Some o) as two by (apply (pools_found st right); exists p; split; [exact is_p | reflexivity]). congruence.
      * rewrite found. destruct (N.eqb_spec o' o) as [->|]; [|reflexivity]. split; intros (p' & there' & is_i); [|discriminate]. congruence.
    + intros o' p' i v. rewrite objs. destruct (o' =? o); [discriminate|]. intros there' names_v.
      destruct (assigned_found st right o' p' i v there' names_v) as (less & t & is_v). split; [exact less|]. exists t. rewrite objs.
      destruct (N.eqb_spec v o) as [->|]; [congruence | exact is_v].
  - intros j c _ at_j. exists j. exact (caps j c at_j).
  - intros j c o' is_bare_ at_j k d at_k. exact (bare_alone st ok j c o' is_bare_ (caps j c at_j) k d (caps k d at_k)).
  - intros asid l q t _ (x & is_t). exists x. rewrite objs. destruct (N.eqb_spec t o) as [->|]; [congruence | exact is_t].
  - intros k base bits device r q at_k. left. exists k. unfold after. rewrite discard_slots.
    change (capability_at k (release_pool o st)) with (capability_at k st).
    destruct (N.eqb_spec k s) as [->|]; [congruence | exact at_k].
Qed.
(** The last capability to a VSpace, or to a table, leaves it unlinked. *)
Lemma space_unlinked s v a st : placed st -> capability_at s st = Some (VSpaceCap v a) -> unlinked v (release_asid v a st).
Proof.
  intros (right & ok) there. destruct (refers_to st s _ v right there eq_refl) as (x & found & fits_). pose proof (release_spaced v a st ok) as after.
  assert (is_vspace v (release_asid v a st)) as (t & is_v).
  { destruct x as [| | | | | |t| |]; try discriminate fits_. exists t.
    destruct (release_cases v a st) as [(-> & _)|(asid & o & y & _ & _ & _ & is_pool & ->)]; [exact found|].
    change (objects (emit ?e ?z)) with (objects z). etransitivity; [apply find_set|]. destruct (N.eqb_spec v o) as [->|]; [congruence | exact found]. }
  repeat split.
  - intros asid names. rewrite (released_names v a st (pools_are st ok)) in names.
    destruct (_ && _) eqn:released; [discriminate|]. rewrite names in released. cbn [is_number] in released. rewrite N.eqb_refl in released.
    rewrite (one_asid st ok asid v s a names there) in released. cbn [is_number] in released. rewrite N.eqb_refl in released. discriminate.
  - intros asid l q here. destruct (tables_hang _ after asid l q v here) as (_ & (t' & is_t) & _). congruence.
  - intros p is_p. congruence.
Qed.
Lemma table_unlinked s t p st : placed st -> capability_at s st = Some (PageTableCap t p) -> unlinked t (unmap_table t p st).
Proof.
  intros (right & ok) there. destruct (refers_to st s _ t right there eq_refl) as (x & found & fits_). destruct x as [| | | | | | |u|]; try discriminate fits_.
  assert (is_table t (unmap_table t p st)) as (u' & is_t) by (apply (light_tables _ _ (unmap_table_light t p st)); exists u; exact found).
  pose proof (spaced_light st _ (unmap_table_light t p st) (unmap_table_fewer t p st) ok) as after. repeat split.
  - intros asid names. destruct (named_is_vspace _ asid t (pools_are _ after) names) as (w & is_v). congruence.
  - intros asid l q. exact (table_unmapped t p s st ok there asid l q).
  - intros y is_p. congruence.
Qed.
Lemma gone_spaced s c st : placed st -> capability_at s st = Some c -> container_of c st = None -> spaced (discard s (let_go c st)).
Proof.
  intros (right & ok) there no_container. pose proof (zombie_contains c st no_container) as no_zombie.
  destruct (let_go_tables c st) as (same_slots & same_references).
  assert (capability_at s (let_go c st) = Some c) as still by (rewrite (capability_same s st _ same_slots); exact there).
  assert (forall o, spaced (let_go c st) -> object_of c = Some o -> (forall base bits device r p, c <> FrameCap base bits device r (Some p)) ->
    (is_last c st = true -> unlinked o (let_go c st)) -> spaced (discard s (let_go c st))) as when_unlinked.
  { intros o after names no_frame ends. apply discard_spaced; [|exact after]. intros c' at_s. rewrite still in at_s. injection at_s as <-. split.
    - intros base bits device r p is_it. destruct (no_frame base bits device r p is_it).
    - intros o' names' last. rewrite names in names'. injection names' as <-. rewrite no_zombie, (is_last_same c st _ same_references) in last.
      exact (ends last). }
  assert (match c with VSpaceCap _ _ | PageTableCap _ _ | FrameCap _ _ _ _ _ | ASIDPoolCap _ => False | _ => True end -> spaced (discard s (let_go c st)))
    as usual.
  { intros other. destruct (let_go_quiet c st other (conj right ok)) as (right' & ok'). destruct (object_of c) as [o|] eqn:names.
    - apply (when_unlinked o ok' eq_refl); [intros; intros ->; discriminate names|]. intros _.
      destruct (refers_to _ s c o right' still names) as (x & found & fits_). apply (other_unlinked o x _ ok' found).
      destruct c, x; try discriminate fits_; try discriminate names; try contradiction other; exact I.
    - apply discard_spaced; [|exact ok']. intros c' at_s. rewrite still in at_s. injection at_s as <-. split; [intros; subst c; contradiction other|].
      intros o' names'. congruence. }
  destruct c as [| | | | | | | |v a|t p|base bits device r p| |o| | | | | |]; try exact (usual I).
  - refine (when_unlinked v _ eq_refl _ _); [unfold let_go; destruct (is_last _ st); [exact (release_spaced v a st ok) | exact ok] | discriminate|].
    intros last. unfold let_go. rewrite last. exact (space_unlinked s v a st (conj right ok) there).
  - refine (when_unlinked t _ eq_refl _ _); [unfold let_go; destruct (is_last _ st);
      [exact (spaced_light st _ (unmap_table_light t p st) (unmap_table_fewer t p st) ok) | exact ok] | discriminate|].
    intros last. unfold let_go. rewrite last. exact (table_unlinked s t p st (conj right ok) there).
  - assert (let_go (FrameCap base bits device r p) st = unmap_frame base bits p st) as is_it by reflexivity. rewrite is_it in *.
    apply discard_spaced; [|exact (spaced_light st _ (unmap_frame_light base bits p st) (unmap_frame_fewer base bits p st) ok)].
    intros c at_s. rewrite still in at_s. injection at_s as <-. split; [|discriminate].
    intros base' bits' device' r' p' same. injection same as -> -> -> -> ->. exact (frame_unmapped base' bits' p' st ok).
  - unfold let_go. destruct (is_last (ASIDPoolCap o) st) eqn:last.
    + destruct (refers_to st s _ o right there eq_refl) as (x & found & fits_). destruct x; try discriminate fits_.
      exact (pool_gone s o st ok there last (ex_intro _ pool found)).
    + apply discard_spaced; [|exact ok]. intros c at_s. rewrite there in at_s. injection at_s as <-. split; [discriminate|].
      intros o' _ last'. cbn [is_zombie orb] in last'. congruence.
Qed.
Lemma placed_unit anchor st : placed st -> placed (snd (delete_unit anchor st)).
Proof.
  pose proof placed_quietly as quiet. pose proof sound_is_kept as sound_. apply (unit_kept_by placed).
  - intros from to before (right & ok). split; [exact (after_move_capability sound_ from to before right) | exact (move_spaced from to before ok)].
  - intros s o before ok zombie. split; [exact (sound_discard s before (proj1 ok)) | exact (zombie_gone s o before ok zombie)].
  - intros s c before ok there. unfold become_zombie.
    assert (placed (match c with TCBCap t => end_thread t before | _ => before end)) as (right & ended)
      by (destruct c; try exact ok; exact (@keeps_end_thread _ _ _ _ quiet thread eq_refl eq_refl before ok)).
    split; [exact (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_ s eq_refl _ right) | exact (zombie_spaced s _ ended)].
  - intros s c before ok there none _. split; [|exact (gone_spaced s c before ok there none)].
    apply sound_discard. exact (@keeps_let_go _ _ _ _ sound_is_kept_quietly c eq_refl eq_refl eq_refl eq_refl before (proj1 ok)).
  - intros s c t before ok _ _. exact (@keeps_restart _ _ _ _ quiet t eq_refl before ok).
  - intros v a before (right & ok). split; [exact (@keeps_release_asid _ _ _ _ sound_is_kept_quietly v a before right) | exact (release_spaced v a before ok)].
Qed.

(** ** Capabilities that come *)
Definition suits (c : Capability) (st : State) : Prop :=
  is_space_cap c = true -> (forall o, ~ bare c o) /\ exists k, capability_at k st = Some c.
Lemma bare_is_space c o : bare c o -> is_space_cap c = true /\ object_of c = Some o /\ is_zombie c = false.
Proof. intros [-> | ->]; repeat split. Qed.
Lemma bare_kind c d o x : bare c o -> fits_object c x -> fits_object d x -> is_space_cap d = true.
Proof. intros [-> | ->]; destruct x; try discriminate; intros _; destruct d; try discriminate; reflexivity. Qed.
Lemma same_names a b : pools b = pools a -> objects b = objects a -> forall asid, vspace_of_asid asid b = vspace_of_asid asid a.
Proof. intros same_pools same_objects asid. unfold vspace_of_asid, pool. rewrite same_pools, same_objects. reflexivity. Qed.
Lemma insert_spaced st after slot c : sound st -> pools after = pools st -> objects after = objects st -> slots st !! slot = None ->
  (forall j, capability_at j after = if j =? slot then Some c else capability_at j st) ->
  (forall o, object_of c = Some o -> exists x, objects st !! o = Some x /\ fits_object c x) -> suits c st -> spaced st -> spaced after.
Proof.
  intros right same_pools same_objects vacant caps fits_ suits_ ok. pose proof (same_names st after same_pools same_objects) as names.
  assert (forall o, table_entries o after = table_entries o st) as entries_ by (intros o; unfold table_entries; rewrite same_objects; reflexivity).
  apply (spaced_less st); try exact ok.
  - destruct (pools_are st ok) as [found given_]. constructor; unfold is_vspace; rewrite ?same_pools, ?same_objects; assumption.
  - intros asid v. rewrite names. exact id.
  - intros o i e. rewrite entries_. exact id.
  - intros j d space. rewrite caps. destruct (j =? slot); [|intros at_j; exists j; exact at_j]. intros same. injection same as <-. exact (proj2 (suits_ space)).
  - intros j d o is_bare_ at_j k e at_k named. rewrite caps in at_j, at_k. destruct (bare_is_space d o is_bare_) as (space & names_d & _).
    destruct (N.eqb_spec j slot) as [->|nj].
    { injection at_j as <-. destruct (proj1 (suits_ space) o is_bare_). }
    destruct (N.eqb_spec k slot) as [->|nk]; [|exact (bare_alone st ok j d o is_bare_ at_j k e at_k named)]. injection at_k as <-.
    destruct (fits_ o named) as (x & found & fits_c). destruct (refers_to st j d o right at_j names_d) as (x' & found' & fits_d).
    assert (x' = x) as -> by congruence. destruct (suits_ (bare_kind d c o x is_bare_ fits_d fits_c)) as (none & k & at_k).
    pose proof (bare_alone st ok j d o is_bare_ at_j k c at_k named) as ->. rewrite at_j in at_k. injection at_k as ->. destruct (none o is_bare_).
  - intros asid l q t _. unfold is_table. rewrite same_objects. exact id.
  - intros k base bits device r p at_k. left. exists k. rewrite caps. destruct (N.eqb_spec k slot) as [->|]; [|exact at_k].
    unfold capability_at in at_k. rewrite vacant in at_k. discriminate.
Qed.
Lemma insert_child_spaced slot p o c st : derivable c p st -> suits c st -> placed st -> spaced (insert_child slot p o c st).
Proof.
  intros from suits_ (right & ok). destruct (is_empty slot st && negb (is_empty p st)) eqn:can; [|unfold insert_child; rewrite can;
    exact (spaced_emit Stuck st ok)].
  pose proof can as vacant. apply andb_prop, proj1, is_empty_spec in vacant.
  apply (insert_spaced st _ slot c right); try assumption.
  - rewrite (insert_child_same slot p o c st). reflexivity.
  - apply objects_of_insert_child.
  - intros j. rewrite !capability_at_in. exact (in_insert_child slot p o c st j can).
  - intros o' names. exact (proj1 (derivable_live c p st (live_ok st right) from o' names)).
Qed.
Lemma insert_sibling_spaced slot source o c st : derivable c source st -> suits c st -> placed st -> spaced (insert_sibling slot source o c st).
Proof.
  intros from suits_ (right & ok). destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact (spaced_emit Stuck st ok)].
  destruct (slots st !! source) as [e|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; exact (spaced_emit Stuck st ok)].
  apply is_empty_spec in vacant. apply (insert_spaced st _ slot c right); try assumption.
  - rewrite (insert_sibling_same slot source o c st). reflexivity.
  - rewrite (insert_sibling_same slot source o c st). reflexivity.
  - intros j. rewrite !capability_at_in. exact (in_insert_sibling slot source o c st e j vacant there).
  - intros o' names. exact (proj1 (derivable_live c source st (live_ok st right) from o' names)).
Qed.
(** What comes with memory of its own is empty. *)
Lemma carve_pools u at_ size x slot c st : pools (carve u at_ size x slot c st) = pools st.
Proof.
  unfold carve. destruct (slots st !! u) as [e|]; [|reflexivity]. destruct (capability_at u st) as [[]|]; try reflexivity. cbv zeta.
  destruct (_ && _); [|reflexivity]. rewrite (insert_child_same slot u true c _).
  transitivity (pools (put_if_some at_ x (replace_capability u e (UntypedCap base size_bits is_device (at_ + size - base)) st))); [reflexivity|].
  transitivity (pools (replace_capability u e (UntypedCap base size_bits is_device (at_ + size - base)) st)); [destruct x; reflexivity|].
  rewrite (replace_capability_same u e _ st). reflexivity.
Qed.
Definition comes_empty (x : Object) : Prop :=
  match x with VSpaceObject t | PageTableObject t => t = empty | ASIDPoolObject p => assigned p = empty | _ => True end.
Lemma carve_spaced st after u old slot at_ x c : sound st -> spaced st ->
  capability_at u st = Some old -> is_untyped old = true -> slots st !! slot = None ->
  (forall j, j <> slot -> j <> u -> capability_at j after = capability_at j st) -> capability_at slot after = Some c ->
  (forall d, slot <> u -> capability_at u after = Some d -> is_untyped d = true) ->
  objects after = match x with Some y => set at_ y (objects st) | None => objects st end -> (x <> None -> objects st !! at_ = None) ->
  match x with
  | Some y => object_of c = Some at_ /\ comes_empty y /\ (is_space_cap c = true -> bare c at_)
  | None => object_of c = None
  end ->
  match x with
  | Some (ASIDPoolObject p) => pools st !! pool_index p = None /\ pools after = set (pool_index p) at_ (pools st)
  | _ => pools after = pools st
  end -> spaced after.
Proof.
  intros right ok at_u untyped vacant caps at_slot still_untyped objs unused comes pools_.
  assert (forall j d, capability_at j after = Some d -> j = slot /\ d = c \/ object_of d = None \/ capability_at j st = Some d) as back.
  { intros j d at_j. destruct (N.eq_dec j slot) as [->|nj]; [left; split; congruence | right]. destruct (N.eq_dec j u) as [->|nu].
    - left. pose proof (still_untyped d ltac:(congruence) at_j) as is_u. destruct d; try discriminate is_u. reflexivity.
    - right. rewrite <- caps by assumption. exact at_j. }
  assert (forall j d, object_of d <> None \/ is_untyped d = false -> capability_at j st = Some d -> capability_at j after = Some d) as forth.
  { intros j d typed at_j. rewrite caps; [exact at_j | |].
    - intros ->. unfold capability_at in at_j. rewrite vacant in at_j. discriminate.
    - intros ->. assert (d = old) as -> by congruence. destruct old; try discriminate untyped.
      destruct typed as [typed|typed]; [apply typed; reflexivity | discriminate]. }
  assert (forall o y, objects st !! o = Some y -> objects after !! o = Some y) as stays.
  { intros o y there. rewrite objs. destruct x as [x|]; [|exact there]. rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|exact there].
    rewrite (unused ltac:(discriminate)) in there. discriminate. }
  assert (forall o i, table_entries o after !! i = table_entries o st !! i) as entries_.
  { intros o i. unfold table_entries. rewrite objs. destruct x as [x|]; [|reflexivity]. rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|reflexivity].
    rewrite (unused ltac:(discriminate)). destruct comes as (_ & is_empty_ & _). destruct x; cbn [comes_empty] in is_empty_; rewrite ?is_empty_; reflexivity. }
  assert (forall o p, objects after !! o = Some (ASIDPoolObject p) -> objects st !! o = Some (ASIDPoolObject p)
            \/ o = at_ /\ x = Some (ASIDPoolObject p) /\ assigned p = empty) as pool_was.
  { intros o p. rewrite objs. destruct x as [x|]; [|left; assumption]. rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|left; assumption].
    intros same. injection same as ->. right. destruct comes as (_ & is_empty_ & _). repeat split. exact is_empty_. }
  assert (forall asid v, vspace_of_asid asid after = Some v -> vspace_of_asid asid st = Some v) as names.
  { intros asid v is_v. destruct (named_of_pool after asid v is_v) as (o & p & known & there & assigned_).
    destruct (pool_was o p there) as [before|(_ & _ & none)]; [|rewrite none, find_empty in assigned_; discriminate].
    assert (pools st !! (asid / asid_pool_entries) = Some o) as known_before.
    { destruct x as [[| | | | | | | |p']|]; try (rewrite <- pools_; exact known). destruct pools_ as (free_ & pools_). rewrite pools_, find_set in known.
      destruct (_ =? _); [|exact known]. injection known as <-. rewrite (unused ltac:(discriminate)) in before. discriminate. }
    unfold vspace_of_asid. rewrite known_before, (pool_is o p st before). exact assigned_. }
  pose proof (hangs_fewer st after names (fun o i e => eq_ind _ (fun z => z = Some e -> table_entries o st !! i = Some e) id _ (eq_sym (entries_ o i))))
    as before.
  assert (forall o d, object_of d = Some o -> forall j, capability_at j st = Some d -> o <> at_ \/ x = None) as not_there.
  { intros o d names_d j at_j. destruct x as [x|]; [left; intros -> | right; reflexivity].
    destruct (refers_to st j d at_ right at_j names_d) as (y & found & _).
    rewrite (unused ltac:(discriminate)) in found. discriminate. }
  assert (forall v y, c = VSpaceCap v y -> x <> None -> v = at_) as space_at by (intros v y -> some; destruct x; [destruct comes as (same & _); cbn in same;
    congruence | contradiction]).
  assert (forall d, is_space_cap d = true -> object_of d <> None) as space_named by (intros d; destruct d; discriminate).
  constructor.
  - destruct (pools_are st ok) as [found given_]. constructor.
    + intros i o. destruct x as [[| | | | | | | |p]|]; try (rewrite pools_, found; split; intros (q & there & is_i); exists q; (split; [|exact is_i]);
        [exact (stays _ _ there) | destruct (pool_was o q there) as [was|(_ & same & _)]; [exact was | discriminate same]]).
      destruct pools_ as (free_ & pools_). rewrite pools_, find_set. destruct (N.eqb_spec i (pool_index p)) as [->|other].
      * split.
        -- intros same. injection same as <-. exists p. split; [rewrite objs, find_set, N.eqb_refl; reflexivity | reflexivity].
        -- intros (q & there & is_i). destruct (pool_was o q there) as [was|(-> & same & _)]; [|reflexivity].
           assert (pools st !! pool_index p = Some o) as known by (apply found; exists q; split; assumption). congruence.
      * rewrite found. split; intros (q & there & is_i).
        -- exists q. split; [exact (stays _ _ there) | exact is_i].
        -- exists q. split; [|exact is_i]. destruct (pool_was o q there) as [was|(_ & same & _)]; [exact was | injection same as ->; congruence].
    + intros o p i v there names_v. destruct (pool_was o p there) as [was|(_ & _ & none)]; [|rewrite none, find_empty in names_v; discriminate].
      destruct (given_ o p i v was names_v) as (less & t & is_v). split; [exact less | exists t; exact (stays _ _ is_v)].
  - intros asid v s y is_v at_s. pose proof (names asid v is_v) as was. destruct (back s _ at_s) as [(-> & is_c)|[none|at_s']].
    + exfalso. destruct (named_is_vspace st asid v (pools_are st ok) was) as (t & is_vs). destruct x as [x|].
      * rewrite (space_at v y (eq_sym is_c) ltac:(discriminate)) in is_vs. rewrite (unused ltac:(discriminate)) in is_vs. discriminate.
      * rewrite <- is_c in comes. discriminate.
    + discriminate none.
    + exact (one_asid st ok asid v s y was at_s').
  - intros s s' v y z at_s at_s'.
    assert (forall s y, capability_at s after = Some (VSpaceCap v y) -> s = slot /\ c = VSpaceCap v y \/ capability_at s st = Some (VSpaceCap v y)) as which.
    { intros j w at_j. destruct (back j _ at_j) as [(-> & is_c)|[none|was]]; [left; split; [reflexivity | symmetry; exact is_c] | discriminate none | right;
        exact was]. }
    destruct (which s y at_s) as [(-> & is_c)|was], (which s' z at_s') as [(-> & is_c')|was'].
    + congruence.
    + exfalso. subst c. destruct x as [x|]; [|discriminate comes]. destruct (not_there v (VSpaceCap v z) eq_refl s' was') as [other|none]; [|discriminate none].
      destruct comes as (same & _). cbn in same. congruence.
    + exfalso. subst c. destruct x as [x|]; [|discriminate comes]. destruct (not_there v (VSpaceCap v y) eq_refl s was) as [other|none]; [|discriminate none].
      destruct comes as (same & _). cbn in same. congruence.
    + exact (asids_agree st ok s s' v y z was was').
  - intros asid l q t here. destruct (tables_hang st ok asid l q t (before _ _ _ _ here)) as (low_ & (y & is_t) & said).
    split; [exact low_|]. split; [exists y; exact (stays _ _ is_t)|]. intros s p at_s. destruct (back s _ at_s) as [(-> & is_c)|[none|was]].
    + exfalso. subst c. destruct x as [x|]; [|discriminate comes]. destruct comes as (same & _). cbn in same. injection same as ->.
      rewrite (unused ltac:(discriminate)) in is_t. discriminate.
    + discriminate none.
    + exact (said s p was).
  - intros j d o is_bare_ at_j k e at_k named. destruct (bare_is_space d o is_bare_) as (space & names_d & _).
    destruct (back j d at_j) as [(-> & ->)|[none|was_j]]; [|exfalso; exact (space_named d space none)|].
    + destruct (back k e at_k) as [(-> & _)|[none|was_k]]; [reflexivity | congruence|]. exfalso. destruct x as [x|]; [|congruence].
      destruct comes as (same & _). destruct (not_there o e named k was_k) as [other|none]; [congruence | discriminate none].
    + destruct (back k e at_k) as [(-> & ->)|[none|was_k]]; [|congruence|].
      * exfalso. destruct x as [x|]; [|congruence]. destruct comes as (same & _).
        destruct (not_there o d names_d j was_j) as [other|none]; [congruence | discriminate none].
      * exact (bare_alone st ok j d o is_bare_ was_j k e was_k named).
  - intros s d o i is_bare_ at_s. rewrite entries_. destruct (bare_is_space d o is_bare_) as (space & names_d & _).
    destruct (back s d at_s) as [(-> & ->)|[none|was]]; [|exfalso; exact (space_named d space none) | exact (bare_empty st ok s d o i is_bare_ was)].
    destruct x as [x|]; [|congruence]. destruct comes as (same & _). assert (o = at_) as -> by congruence. unfold table_entries.
    rewrite (unused ltac:(discriminate)). apply find_empty.
  - intros asid l q t i base bits device r y here less found. rewrite entries_ in found.
    destruct (pages_backed st ok asid l q t i base bits device r y (before _ _ _ _ here) less found) as (s & r' & p & at_s & rest). exists s, r', p.
    split; [apply forth; [right; reflexivity | exact at_s] | exact rest].
Qed.

(** ** The changes of every method *)
Lemma carve_placed u at_ size x slot c st : comes_with c at_ size x -> match x with Some y => is_new y /\ forall p, y <> ASIDPoolObject p
  | None => True end -> low c ->
  (x <> None -> is_space_cap c = true -> bare c at_) -> placed st -> placed (carve u at_ size x slot c st).
Proof.
  intros with_it new is_low is_bare_ (right & ok).
  assert (match x with Some y => fine_object (fun _ => True) y /\ is_new y | None => True end) as fine
    by (destruct x as [y|]; [split; [destruct y; exact I | exact (proj1 new)] | exact I]).
  split; [exact (after_carve sound_is_kept u at_ size x slot c st with_it fine is_low right)|].
  destruct (carve_cases u at_ size x slot c st) as [stuck|cut]; [rewrite stuck; exact (spaced_emit Stuck st ok)|].
  pose proof (carve_pools u at_ size x slot c st) as pools_.
  destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
  assert (capability_at u st = Some (UntypedCap base bits device used)) as at_u by (unfold capability_at; rewrite there, is_it; reflexivity).
  apply (carve_spaced st _ u _ slot at_ x c right ok at_u eq_refl vacant).
  - intros j nj nu. rewrite !capability_at_in, caps. apply N.eqb_neq in nj, nu. rewrite nj, nu. reflexivity.
  - rewrite capability_at_in, caps, N.eqb_refl. reflexivity.
  - intros d other. rewrite capability_at_in, caps, N.eqb_refl. destruct (N.eqb_spec u slot); [congruence|]. intros same. injection same as <-. reflexivity.
  - exact objs.
  - exact unused.
  - destruct with_it as (_ & with_it). destruct x as [y|].
    + split; [exact (proj1 with_it)|]. split; [|exact (is_bare_ ltac:(discriminate))]. destruct new as (new & no_pool).
      destruct y; try exact I; try exact new. destruct (no_pool pool eq_refl).
    + destruct with_it as (b & dev & memory & _). destruct c; try discriminate memory; reflexivity.
  - destruct x as [[| | | | | | | |p]|]; try exact pools_. destruct (proj2 new p eq_refl).
Qed.
Lemma derived_placed slot s o c st : low c -> suits c st -> placed st -> placed (insert_derived slot s o c st).
Proof.
  intros is_low suits_ (right & ok).
  pose proof (@keeps_insert_derived _ _ _ _ sound_is_kept_quietly sound_is_kept slot s o c is_low st right) as after. revert after.
  unfold insert_derived. destruct (slots st !! s) as [e|] eqn:found; [|intros after; exact (conj after (spaced_emit Stuck st ok))].
  assert (capability_at s st = Some (capability e)) as there by (unfold capability_at; rewrite found; reflexivity).
  destruct (is_untyped (capability e)) eqn:untyped.
  - pose proof (capabilities_are_fine sound_is_kept_quietly s _ st right there) as low_source.
    destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |]; try discriminate untyped. intros _.
    apply carve_placed; [split; [reflexivity|]; exists bits, device; split; reflexivity | exact I | exact low_source | intros none;
      destruct (none eq_refl) | split; assumption].
  - intros after. assert (spaced (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
        else if original e then insert_child slot s o c st else insert_sibling slot s o c st)) as kept_.
    { destruct (is_zombie c) eqn:no_zombie; [exact (spaced_emit Stuck st ok)|]. cbn [orb].
      destruct (is_claimed c st) eqn:claimed; cbn [negb orb]; [|exact (spaced_emit Stuck st ok)].
      destruct (stands_alike (capability e) c) eqn:alike_; cbn [negb]; [|exact (spaced_emit Stuck st ok)].
      assert (derivable c s st) as from by (split; [exact no_zombie | exists (capability e); repeat split; assumption]).
      destruct (original e); [apply insert_child_spaced | apply insert_sibling_spaced]; try assumption; split; assumption. }
    split; [exact after|]. destruct (capability e); try exact kept_. discriminate untyped.
Qed.
(** A capability that is derived is one that can be: neither a VSpace without an ASID nor a table that is not mapped. *)
Lemma derivable_suits s old st : capability_at s st = Some old -> derivation_error s old st = None -> suits (derived old) st.
Proof.
  intros there may space. destruct old; try discriminate space; cbn [derived]; (split; [|exists s; exact there]); intros o [same|same]; try discriminate same;
    injection same as -> ->; discriminate may.
Qed.
Lemma arrival_suits slot s c st : arrives slot s c st -> suits c st.
Proof.
  intros (from & address & to & old & found & may & -> & _). exact (derivable_suits s old st (occupied_in_place _ _ _ _ _ found) may).
Qed.
Lemma placed_kept : kept_but but_placing placed (fun _ => True) low.
Proof.
  pose proof sound_is_kept as sound_. constructor; try (intros; discriminate); try solve [intros; intros absurd; destruct absurd].
  - intros slot p o c st from is_low arrived ok.
    split; [exact (after_insert_child sound_ slot p o c st from is_low (proj1 ok)) | exact (insert_child_spaced slot p o c st from (arrival_suits _ _ _ _
      arrived) ok)].
  - intros slot source_ o c st from is_low arrived ok.
    split; [exact (after_insert_sibling sound_ slot source_ o c st from is_low (proj1 ok))
      | exact (insert_sibling_spaced slot source_ o c st from (arrival_suits _ _ _ _ arrived) ok)].
  - intros u at_ size x slot c st with_it fine is_low (-> & arrived) ok. apply carve_placed; [exact with_it | exact I | exact is_low | | exact ok].
    intros none. destruct (none eq_refl).
  - exact yields_low.
Qed.

(** A capability is changed in its slot, its place is not. *)
Definition same_but_guard (old c : Capability) : Prop :=
  c = old \/ exists o r g s g' s', old = CNodeCap o r g s /\ c = CNodeCap o r g' s'.
Lemma guard_only d old c : with_guard d old = Some c -> same_but_guard old c.
Proof.
  unfold with_guard. destruct old; intros same; try (injection same as <-; left; reflexivity). destruct (_ <=? _); [|discriminate]. injection same as <-.
  right. do 6 eexists. split; reflexivity.
Qed.
Lemma mutated_guard d old c : mutated d old = Some c -> same_but_guard old c.
Proof. unfold mutated. destruct old; try discriminate; apply guard_only. Qed.
Lemma change_slots slot c st j : j <> slot -> capability_at j (change_capability slot c st) = capability_at j st.
Proof.
  intros other. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|reflexivity]. destruct (_ && _); [|reflexivity].
  rewrite !capability_at_in, (in_replace slot e c st j there). apply N.eqb_neq in other. rewrite other. reflexivity.
Qed.
Lemma change_spaced slot old c st : capability_at slot st = Some old -> same_but_guard old c -> spaced st -> spaced (change_capability slot c st).
Proof.
  intros there same ok. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:found; [|exact (spaced_emit Stuck st ok)].
  destruct (_ && _); [|exact (spaced_emit Stuck st ok)].
  assert (forall j, capability_at j (replace_capability slot e c st) = if j =? slot then Some c else capability_at j st) as caps
    by (intros j; rewrite !capability_at_in; exact (in_replace slot e c st j found)).
  apply (spaced_moved (fun j => j) st).
  - rewrite (replace_capability_same slot e c st). reflexivity.
  - rewrite (replace_capability_same slot e c st). reflexivity.
  - intros j d. rewrite caps. destruct (N.eqb_spec j slot) as [->|]; [|intros at_j; exists d; repeat split; exact at_j]. intros is_c. injection is_c as <-.
    exists old. destruct same as [-> | (o & r & g & s & g' & s' & -> & ->)]; repeat split; try exact there. discriminate.
  - intros j k x y _ _. exact id.
  - intros k base bits device r p at_k. exists k. rewrite caps. destruct (N.eqb_spec k slot) as [->|]; [|exact at_k].
    destruct same as [-> | (o & r' & g & s & g' & s' & -> & ->)]; congruence.
  - exact ok.
Qed.
Lemma change_placed slot old c st : low c -> capability_at slot st = Some old -> same_but_guard old c -> placed st -> placed (change_capability slot c st).
Proof.
  intros is_low there same (right & ok).
  split; [exact (after_change_capability sound_is_kept slot c st is_low right) | exact (change_spaced slot old c st there same ok)].
Qed.
Lemma move_placed from to st : placed st -> placed (move_capability from to st).
Proof. intros (right & ok). split; [exact (after_move_capability sound_is_kept from to st right) | exact (move_spaced from to st ok)]. Qed.
Lemma exchange_placed a b st : placed st -> placed (exchange_capabilities a b st).
Proof. intros ok. unfold exchange_capabilities. do 3 apply move_placed. exact ok. Qed.
Lemma low_at slot c st : placed st -> capability_at slot st = Some c -> low c.
Proof. intros (right & _). exact (capabilities_are_fine sound_is_kept_quietly slot c st right). Qed.
Lemma guard_low old c : same_but_guard old c -> low old -> low c.
Proof.
  intros [-> | (o & r & g & s & g' & s' & -> & ->)]; [exact id|]. intros (named & memory & used_). repeat split; [exact named | intros; discriminate].
Qed.

(** ** Replacement *)
Definition space_caps (Q : Capability -> Prop) (st : State) : Prop := forall s c, is_space_cap c = true -> capability_at s st = Some c -> Q c.
Lemma unit_space_caps Q anchor st : space_caps Q st -> space_caps Q (snd (delete_unit anchor st)).
Proof.
  assert (forall a b, slots b = slots a -> space_caps Q a -> space_caps Q b) as same_.
  { intros a b same ok s c. rewrite (capability_same s a b same). apply ok. }
  assert (forall s before, space_caps Q before -> space_caps Q (discard s before)) as less.
  { intros s before ok j c space. rewrite discard_slots. destruct (j =? s); [discriminate | apply ok; exact space]. }
  apply (unit_kept_by (space_caps Q)).
  - intros from to before ok j c space. destruct (slots before !! from) as [e|] eqn:there; [|unfold move_capability; rewrite there; apply ok; exact space].
    destruct (is_empty to before) eqn:vacant; [|unfold move_capability; rewrite there, vacant; apply ok; exact space].
    apply is_empty_spec in vacant. rewrite capability_at_in, (in_move from to before e j there vacant), <- !capability_at_in.
    destruct (j =? to); [apply ok; exact space|]. destruct (j =? from); [discriminate | apply ok; exact space].
  - intros s o before ok _. exact (less s before ok).
  - intros s c before ok there j d space.
    destruct (container_of c before) as [o|] eqn:container.
    + rewrite (become_zombie_slots s c before o there container). destruct (j =? s); [intros same; injection same as <-; discriminate space | apply ok;
        exact space].
    + unfold become_zombie. set (ended := match c with TCBCap t => end_thread t before | _ => before end).
      assert (slots ended = slots before /\ references ended = references before) as (same_slots & same_references)
        by (unfold ended; destruct c; first [apply end_thread_tables | split; reflexivity]).
      unfold capability_at in there. destruct (slots before !! s) as [e|] eqn:found; [|discriminate]. injection there as is_c.
      unfold make_zombie. rewrite same_slots, found, is_c, (container_same c before ended same_references), container.
      change (capability_at j (emit Stuck ended)) with (capability_at j ended). rewrite (capability_same j before ended same_slots). apply ok. exact space.
  - intros s c before ok _ _ _. apply less. exact (same_ before _ (proj1 (let_go_tables c before)) ok).
  - intros s c t before ok _ _. apply (same_ before); [|exact ok].
    exact (proj1 (@keeps_restart _ _ _ _ (tables_are_kept_quietly (slots before) (references before)) t eq_refl before (conj eq_refl eq_refl))).
  - intros v a before ok. apply (same_ before); [|exact ok].
    exact (proj1 (@keeps_release_asid _ _ _ _ (tables_are_kept_quietly (slots before) (references before)) v a before (conj eq_refl eq_refl))).
Qed.
Lemma placed_allow n st : placed st -> placed (allow n st). Proof. exact (placed_same st (allow n st) eq_refl eq_refl eq_refl eq_refl). Qed.
Lemma delete_placed Q slot st : placed st -> space_caps Q st -> placed (state_of (delete slot st)) /\ space_caps Q (state_of (delete slot st)).
Proof.
  intros ok caps. unfold delete, in_units.
  pose proof (repeat_keeps (unit_turn is_occupied delete_unit) (fun x => placed (snd x) /\ space_caps Q (snd x))
    (fun p => placed (state_of p) /\ space_caps Q (state_of p))) as kept_.
  specialize (kept_ ltac:(
    intros ((a & units) & before) (fine & caps_); unfold unit_turn; destruct (negb _);
      [split; [exact (placed_allow _ before fine) | exact caps_]|];
    destruct (units =? 0); [split; [exact (placed_allow _ before fine) | exact caps_]|];
    pose proof (placed_unit a before fine) as after; pose proof (unit_space_caps Q a before caps_) as after_caps;
    destruct (delete_unit a before) as (b & next); split; assumption) (allowance st) (slot, allowance st, st) (conj ok caps)).
  destruct (repeat_after _ _ _) as [((b & n) & after)|p]; exact kept_.
Qed.
Definition fits_copy (Q : Capability -> Prop) (c : Capability) (st : State) : Prop :=
  match c with
  | VSpaceCap v (Some a) => Q c /\ forall x, Q (VSpaceCap v x) -> x = Some a
  | VSpaceCap _ None | PageTableCap _ _ => False
  | _ => True
  end.
Lemma insert_derived_caps slot source o c st s d : slots st !! slot = None -> is_space_cap d = true ->
  capability_at s (insert_derived slot source o c st) = Some d -> capability_at s st = Some d \/ d = c.
Proof.
  intros vacant space. unfold insert_derived. destruct (slots st !! source) as [e|] eqn:found; [|left; assumption].
  assert (forall t, capability_at s t = (if s =? slot then Some c else capability_at s st) -> capability_at s t = Some d ->
            capability_at s st = Some d \/ d = c) as either
    by (intros t ->; destruct (s =? slot); [intros same; injection same as <-; right; reflexivity | left; assumption]).
  assert (capability_at s (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
      else if original e then insert_child slot source o c st else insert_sibling slot source o c st) = Some d ->
      capability_at s st = Some d \/ d = c) as usual.
  { destruct (_ || _); [left; assumption|]. destruct (original e).
    - destruct (is_empty slot st && negb (is_empty source st)) eqn:can; [|unfold insert_child; rewrite can; left; assumption].
      apply either. rewrite !capability_at_in. exact (in_insert_child slot source o c st s can).
    - apply either. rewrite !capability_at_in. exact (in_insert_sibling slot source o c st e s vacant found). }
  destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_it; try exact usual.
  destruct (carve_cases source base (N.shiftl 1 bits) None slot (UntypedCap base bits device used) st) as [stuck|cut]; [rewrite stuck; left; assumption|].
  destruct cut as (e' & base' & bits' & device' & used' & _ & _ & _ & _ & _ & _ & caps_ & _ & _). rewrite capability_at_in, caps_.
  destruct (s =? slot); [intros same; injection same as <-; discriminate space|].
  destruct (s =? source); [intros same; injection same as <-; discriminate space|]. rewrite <- capability_at_in. left. assumption.
Qed.
Lemma replaced_placed Q slot by_ st : match by_ with Some (source, c) => low c /\ fits_copy Q c st | None => True end ->
  placed st -> space_caps Q st -> placed (state_of (replace_slot slot by_ st)) /\ space_caps Q (state_of (replace_slot slot by_ st)).
Proof.
  intros fits_ ok caps. unfold replace_slot. destruct (delete_placed Q slot st ok caps) as (after & after_caps).
  destruct (delete slot st) as [one|one]; [|split; assumption]. cbn [state_of and_then] in *. destruct by_ as [(source_ & c)|]; [|split; assumption].
  destruct fits_ as (is_low & fits_). unfold insert_copy. destruct (capability_at source_ one) as [old|] eqn:there; [|split; assumption].
  destruct (is_empty slot one && stands_alike old c) eqn:can; [|split; assumption]. apply andb_prop in can. destruct can as (vacant & alike_).
  apply is_empty_spec in vacant.
  assert (low (derived c)) as low_derived by (destruct c; try exact is_low; exact (yields_low _ _ (other_place_of_frame _ _ _ _ _ _) is_low)).
  assert (suits (derived c) one) as suits_.
  { intros space. destruct c as [| | | | | | | |v [a|]|t p| | | | | | | | |]; try discriminate space; try contradiction fits_. destruct fits_ as (_ & only).
    split; [intros o [same|same]; discriminate same|]. exists source_. cbn [derived]. rewrite there. f_equal.
    destruct (alike_spec old (VSpaceCap v (Some a)) v alike_ eq_refl) as (named & type). destruct old; try discriminate type. cbn in named.
    injection named as ->.
    f_equal. apply only. exact (after_caps source_ (VSpaceCap v asid) eq_refl there). }
  split; [exact (derived_placed slot source_ false (derived c) one low_derived suits_ after)|].
  intros s d space at_s. destruct (insert_derived_caps slot source_ false (derived c) one s d vacant space at_s) as [was|is_it];
    [exact (after_caps s d space was)|].
  subst d. destruct c as [| | | | | | | |v [a|]|t p| | | | | | | | |]; try discriminate space; try contradiction fits_. exact (proj1 fits_).
Qed.
