(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What is unmapped is flushed

    A translation that a step takes away, or weakens, is invalidated in that step: the effects say so. What changes page tables is followed through each method
    and each unit of deletion; all else only adds. *)
From Coq Require Import Lia.
From Spec Require Export PlaceProofs.
Open Scope N_scope.

(** ** From one state to a later one of the same step *)
Definition still (asid l q i base : N) (r : Rights) (x : N) (st : State) : Prop :=
  exists t bits device, hangs st asid l q t /\ table_entries t st !! i = Some (Page base bits device r x).
Definition gone_from (asid l q : N) (done : list Effect) : Prop :=
  In (InvalidateSpace asid) done \/ exists a, In (InvalidatePage asid a) done /\ prefix (l + 1) (a mod address_end) = q.
Record tells (a b : State) : Prop := {
  tells_more : incl (effects a) (effects b);
  tells_pages : forall asid l q t i base bits device r x, hangs a asid l q t -> i < 512 -> table_entries t a !! i = Some (Page base bits device r x) ->
    still asid l q i base r x b \/ gone_from asid l (q * 512 + i) (effects b)
}.
Lemma gone_more asid l q a b : incl a b -> gone_from asid l q a -> gone_from asid l q b.
Proof. intros more [space|(x & page & same)]; [left; exact (more _ space) | right; exists x; split; [exact (more _ page) | exact same]]. Qed.
Lemma tells_trans a b c : tells a b -> tells b c -> tells a c.
Proof.
  intros [more1 pages1] [more2 pages2]. constructor; [exact (incl_tran more1 more2)|]. intros asid l q t i base bits device r x here less found.
  destruct (pages1 asid l q t i base bits device r x here less found) as [(u & n & d & there & shown)|away].
  - exact (pages2 asid l q u i base n d r x there less shown).
  - right. exact (gone_more _ _ _ _ _ more2 away).
Qed.

(** What only adds. *)
Record grows (a b : State) : Prop := {
  grows_names : forall asid v, vspace_of_asid asid a = Some v -> vspace_of_asid asid b = Some v;
  grows_entries : forall o i e, table_entries o a !! i = Some e -> table_entries o b !! i = Some e;
  grows_effects : incl (effects a) (effects b)
}.
Lemma grows_refl st : grows st st. Proof. constructor; [intros; assumption | intros; assumption | apply incl_refl]. Qed.
Lemma grows_trans a b c : grows a b -> grows b c -> grows a c.
Proof. intros [n1 e1 f1] [n2 e2 f2]. constructor; [intros asid v is_v; exact (n2 _ _ (n1 _ _ is_v)) | intros o i e is_e; exact (e2 _ _ _ (e1 _ _ _ is_e))
  | exact (incl_tran f1 f2)]. Qed.
Lemma grows_same a b : pools b = pools a -> objects b = objects a -> incl (effects a) (effects b) -> grows a b.
Proof.
  intros same_pools same_objects more. constructor; [| |exact more].
  - intros asid v. rewrite (same_names a b same_pools same_objects). exact id.
  - intros o i e. unfold table_entries. rewrite same_objects. exact id.
Qed.
Lemma hangs_more a b : grows a b -> forall asid l q t, hangs a asid l q t -> hangs b asid l q t.
Proof.
  intros more. exact (hangs_fewer b a (grows_names a b more) (grows_entries a b more)).
Qed.
Lemma tells_grows a b : grows a b -> tells a b.
Proof.
  intros more. constructor; [exact (grows_effects a b more)|]. intros asid l q t i base bits device r x here less found. left.
  exists t, bits, device. split; [exact (hangs_more a b more _ _ _ _ here) | exact (grows_entries a b more t i _ found)].
Qed.
Lemma grows_emit e st : grows st (emit e st).
Proof. apply grows_same; [reflexivity | reflexivity | exact (incl_tl e (incl_refl _))]. Qed.
Lemma same_but_slots_grows a b : same_but_slots a b -> incl (effects a) (effects b) -> grows a b.
Proof. unfold same_but_slots. intros same more. apply grows_same; [rewrite same; reflexivity | rewrite same; reflexivity | exact more]. Qed.

(** Effects of what changes slots: none, or that it cannot be. *)
Lemma effects_count c st : effects (count_reference c st) = effects st /\ effects (discount_reference c st) = effects st.
Proof. unfold count_reference, discount_reference. destruct (referent c); split; reflexivity. Qed.
Lemma effects_children p f st : effects (change_children p f st) = effects st. Proof. destruct p; reflexivity. Qed.
Lemma effects_adopt p l st : effects (adopt p l st) = effects st.
Proof. unfold adopt. revert st. induction l as [|c l IH]; intros st; [reflexivity|]. cbn [fold_left]. rewrite IH. reflexivity. Qed.
Lemma effects_replace slot e c st : effects (replace_capability slot e c st) = effects st.
Proof.
  unfold replace_capability. rewrite (proj1 (effects_count c _)). change (effects (put_entry slot (e <| capability := c |>) ?x)) with (effects x).
  exact (proj2 (effects_count (capability e) st)).
Qed.
Lemma insert_child_grows slot p o c st : grows st (insert_child slot p o c st).
Proof.
  apply same_but_slots_grows; [apply insert_child_same|]. unfold insert_child. destruct (_ && _); [|exact (incl_tl Stuck (incl_refl _))].
  rewrite (proj1 (effects_count c _)). apply incl_refl.
Qed.
Lemma insert_sibling_grows slot s o c st : grows st (insert_sibling slot s o c st).
Proof.
  apply same_but_slots_grows; [apply insert_sibling_same|]. unfold insert_sibling.
  destruct (is_empty slot st); [|exact (incl_tl Stuck (incl_refl _))]. destruct (slots st !! s) as [e|]; [|exact (incl_tl Stuck (incl_refl _))].
  rewrite (proj1 (effects_count c _)). change (effects (put_entry slot ?z ?x)) with (effects x). rewrite effects_children. apply incl_refl.
Qed.
Lemma move_grows from to st : grows st (move_capability from to st).
Proof.
  apply same_but_slots_grows; [apply move_capability_same|]. unfold move_capability.
  destruct (slots st !! from) as [e|]; [|exact (incl_tl Stuck (incl_refl _))].
  destruct (is_empty to st); [|exact (incl_tl Stuck (incl_refl _))]. fold (adopt (Some to) (children e) st). cbv zeta.
  match goal with |- incl _ (effects (set_field slots _ ?s)) => change (incl (effects st) (effects s)) end.
  rewrite effects_children, effects_adopt. apply incl_refl.
Qed.
Lemma change_grows slot c st : grows st (change_capability slot c st).
Proof.
  unfold change_capability. destruct (slots st !! slot) as [e|]; [|apply grows_emit]. destruct (_ && _); [|apply grows_emit].
  apply same_but_slots_grows; [apply replace_capability_same | rewrite effects_replace; apply incl_refl].
Qed.
Lemma make_zombie_grows slot st : grows st (make_zombie slot st).
Proof.
  unfold make_zombie. destruct (slots st !! slot) as [e|]; [|apply grows_emit]. destruct (container_of _ _); [|apply grows_emit].
  apply same_but_slots_grows; [apply replace_capability_same | rewrite effects_replace; apply incl_refl].
Qed.
Lemma exchange_grows a b st : grows st (exchange_capabilities a b st).
Proof. unfold exchange_capabilities. eapply grows_trans; [apply move_grows|]. eapply grows_trans; apply move_grows. Qed.
Lemma put_fresh_grows o x st : objects st !! o = None -> grows st (put_object o x st).
Proof.
  intros none. constructor; [| |apply incl_refl].
  - intros asid v. unfold vspace_of_asid. change (pools (put_object o x st)) with (pools st). destruct (pools st !! _) as [p|]; [|discriminate].
    unfold pool. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [|exact id].
    rewrite none. cbn [assigned]. rewrite find_empty. discriminate.
  - intros o' i e. rewrite entries_put. destruct (N.eqb_spec o' o) as [->|]; [|exact id]. unfold table_entries. rewrite none, find_empty. discriminate.
Qed.
Lemma carve_grows u at_ size x slot c st : grows st (carve u at_ size x slot c st).
Proof.
  unfold carve. destruct (slots st !! u) as [e|]; [|apply grows_emit]. destruct (capability_at u st) as [[]|]; try apply grows_emit. cbv zeta.
  destruct (_ && _) eqn:can; [|apply grows_emit]. eapply grows_trans; [|apply insert_child_grows].
  assert (forall z, grows st (replace_capability u e z st)) as replaced_
    by (intros z; apply same_but_slots_grows; [apply replace_capability_same | rewrite effects_replace; apply incl_refl]).
  destruct x as [x|]; [|apply replaced_]. eapply grows_trans; [apply replaced_|]. apply put_fresh_grows.
  rewrite (replace_capability_same u e _ st). change (objects st !! at_ = None). apply andb_prop, proj2 in can.
  destruct (objects st !! at_); [discriminate can | reflexivity].
Qed.
Lemma insert_derived_grows slot s o c st : grows st (insert_derived slot s o c st).
Proof.
  unfold insert_derived. destruct (slots st !! s) as [e|]; [|apply grows_emit].
  assert (grows st (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
    else if original e then insert_child slot s o c st else insert_sibling slot s o c st)) as usual
    by (destruct (_ || _); [apply grows_emit | destruct (original e); [apply insert_child_grows | apply insert_sibling_grows]]).
  destruct (capability e); try exact usual. apply carve_grows.
Qed.
Lemma insert_copy_grows slot s c st : grows st (insert_copy slot s c st).
Proof.
  unfold insert_copy. destruct (capability_at s st); [|apply grows_refl]. destruct (_ && _); [apply insert_derived_grows | apply grows_refl].
Qed.

(** ** The invariant of a step *)
Definition but_telling (k : Link) : bool := match k with Ending | Placing | Telling => true | _ => false end.
Section From.
Variable st0 : State.
Definition told (st : State) : Prop := placed st /\ tells st0 st.
Lemma told_grows a b : placed b -> grows a b -> told a -> told b.
Proof. intros ok more (_ & so_far). split; [exact ok | exact (tells_trans _ _ _ so_far (tells_grows a b more))]. Qed.
Lemma place_by_effects insert t st : effects (place_by insert t st) = effects st.
Proof.
  unfold place_by. cbv zeta. destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try reflexivity.
  destruct (negb _); [reflexivity|]. destruct (usable _ _); reflexivity.
Qed.
Lemma told_quietly : kept_quietly_but but_telling told (fun _ => True) low.
Proof.
  pose proof placed_quietly as quiet. constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _ same_pools (more & _) ok.
    apply (told_grows a b); [|exact (grows_same a b same_pools same_objects more) | exact ok].
    exact (placed_same a b same_slots same_references same_objects same_pools (proj1 ok)).
  - intros t st ok. apply (told_grows st); [exact (after_unplace quiet t st (proj1 ok)) | apply grows_same; first [reflexivity | apply incl_refl] | exact ok].
  - intros insert t st usual ok. apply (told_grows st); [exact (after_place quiet insert t st usual (proj1 ok)) | | exact ok].
    destruct (place_by_same insert t st) as (_ & _ & same_objects). apply grows_same; [apply place_by_pools | exact same_objects | rewrite place_by_effects;
      apply incl_refl].
  - intros t st asleep ok. apply (told_grows st); [exact (after_sleeping_anew quiet t st asleep (proj1 ok)) | apply grows_same;
      first [reflexivity | apply incl_refl] | exact ok].
  - intros o x y st there same change fine ok. apply (told_grows st); [exact (after_put_object quiet o x y st there same change fine (proj1 ok)) | | exact ok].
    assert (light st (put_object o x st)) as lit by (apply (put_object_light o x y st there same); destruct y, x; try exact I; symmetry; exact change).
    constructor; [intros asid v; rewrite (light_names _ _ asid lit); exact id | | apply incl_refl].
    intros o' i e. rewrite entries_put. destruct (N.eqb_spec o' o) as [->|]; [|exact id].
    unfold table_entries. rewrite there. destruct y, x; try contradiction same; try (rewrite find_empty; discriminate);
      cbn [object_change but_telling] in change; rewrite change; exact id.
  - intros slot c st ok. exact (low_at slot c st (proj1 ok)).
Qed.
Lemma told_kept : kept_but but_telling told (fun _ => True) low.
Proof.
  pose proof placed_kept as kept_. constructor; try (intros; discriminate); try solve [intros; intros absurd; destruct absurd].
  - intros slot p o c st from is_low arrived ok.
    apply (told_grows st); [exact (after_insert_child kept_ slot p o c st from is_low arrived (proj1 ok)) | apply insert_child_grows | exact ok].
  - intros slot s o c st from is_low arrived ok.
    apply (told_grows st); [exact (after_insert_sibling kept_ slot s o c st from is_low arrived (proj1 ok)) | apply insert_sibling_grows | exact ok].
  - intros u at_ size x slot c st with_it fine is_low arrived ok.
    apply (told_grows st); [exact (after_carve kept_ u at_ size x slot c st with_it fine is_low arrived (proj1 ok)) | apply carve_grows | exact ok].
  - exact yields_low.
Qed.
End From.

(** ** What is undone *)
Lemma index_mod k x : entry_index k (x mod address_end) = entry_index k x.
Proof.
  unfold entry_index, bits_of, address_end. rewrite N.shiftl_1_l. assert (entry_bits k <= 39) as low_ by (unfold entry_bits; lia).
  generalize (entry_bits k), low_. clear low_. intros b low_. rewrite !N.land_ones, !N.shiftr_div_pow2. change (2 ^ 9) with 512.
  assert (2 ^ 48 = 2 ^ b * (512 * 2 ^ (39 - b))) as split_.
  { replace 512 with (2 ^ 9) by reflexivity. rewrite <- !N.pow_add_r. f_equal. lia. }
  assert (2 ^ b <> 0) as some by (apply N.pow_nonzero; discriminate). assert (2 ^ (39 - b) <> 0) as some' by (apply N.pow_nonzero; discriminate).
  assert (512 * 2 ^ (39 - b) <> 0) as some'' by (apply N.neq_mul_0; split; [discriminate | exact some']).
  rewrite split_, (N.mod_mul_r x (2 ^ b) _ some some''), (N.mul_comm (2 ^ b)), N.div_add by exact some.
  rewrite (N.div_small (x mod 2 ^ b)) by (apply N.mod_lt; exact some). rewrite N.add_0_l, (N.mod_mul_r _ 512 _ ltac:(discriminate) some').
  rewrite (N.mul_comm 512), N.mod_add by discriminate. apply N.mod_mod. discriminate.
Qed.
Lemma mod_prefix x l : l <= 3 -> prefix (l + 1) (x mod address_end) = prefix l (x mod address_end) * 512 + entry_index l x.
Proof. intros low_. rewrite (prefix_step l _ low_), index_mod. reflexivity. Qed.
Lemma walk_mod st : forall n t l x, walk_tables n t l (x mod address_end) st = walk_tables n t l x st.
Proof.
  induction n as [|n IH]; intros t l x; cbn [walk_tables]; rewrite index_mod; [reflexivity|].
  destruct (table_entries t st !! entry_index l x) as [[next|]|]; try reflexivity. apply IH.
Qed.
Lemma table_of_place st asid v l x t : spaced st -> vspace_of_asid asid st = Some v -> table_of_level v l x st = inl t ->
  hangs st asid l (prefix l (x mod address_end)) t.
Proof.
  intros ok names found. apply (table_hangs st asid v l _ t (named_bound st asid ok) names).
  - apply N.mod_lt. unfold address_end. rewrite N.shiftl_1_l. apply N.pow_nonzero. discriminate.
  - unfold table_of_level in *. rewrite walk_mod. exact found.
Qed.
Lemma unmap_place p level one e st : unmap p level one e st = st \/ exists v t x, vspace_of_asid (place_asid p) st = Some v
  /\ table_of_level v level (place_address p) st = inl t /\ table_entries t st !! entry_index level (place_address p) = Some x /\ one x = true
  /\ unmap p level one e st = emit e (clear_page_entry t (entry_index level (place_address p)) st).
Proof.
  unfold unmap. destruct (vspace_of_asid _ st) as [v|]; [|left; reflexivity]. destruct (table_of_level _ _ _ st) as [t|] eqn:found; [|left; reflexivity].
  cbv zeta. destruct (table_entries t st !! _) as [x|] eqn:here; [|left; reflexivity]. destruct (one x) eqn:is_one; [right | left; reflexivity].
  exists v, t, x. repeat split; assumption.
Qed.
Lemma hangs_keep a b asid : (forall v, vspace_of_asid asid a = Some v -> vspace_of_asid asid b = Some v) ->
  (forall o i next, table_entries o a !! i = Some (NextTable next) -> table_entries o b !! i = Some (NextTable next)) ->
  forall l q t, hangs a asid l q t -> hangs b asid l q t.
Proof.
  intros names entries_ l q t. induction 1 as [v is_v|l q t i t' _ IH less next]; [apply hangs_top, names, is_v|].
  exact (hangs_below b asid l q t i t' IH less (entries_ _ _ _ next)).
Qed.
Lemma clear_effects t i e st : effects (emit e (clear_page_entry t i st)) = e :: effects (clear_page_entry t i st).
Proof. reflexivity. Qed.
Lemma change_table_effects t f st : incl (effects st) (effects (change_table t f st)).
Proof. unfold change_table. destruct (objects st !! t) as [[]|]; first [apply incl_refl | exact (incl_tl Stuck (incl_refl _))]. Qed.
Lemma unmap_frame_tells base bits p st : placed st -> tells st (unmap_frame base bits p st).
Proof.
  intros ok. pose proof ok as (right & spaces). unfold unmap_frame. destruct p as [p|]; [|apply tells_grows, grows_refl]. cbv zeta.
  set (level := level_of_frame bits). destruct (unmap_place p level (fun e => match e with Page b _ _ _ _ => b =? base | NextTable _ => false end)
    (InvalidatePage (place_asid p) (place_address p)) st) as [-> | (v & t & x & names & found & here & is_one & ->)]; [apply tells_grows, grows_refl|].
  destruct x as [next|base' bits' device' r' a']; [discriminate is_one|].
  pose proof (table_of_place st _ v level _ t spaces names found) as hung. pose proof (named_bound st _ spaces _ _ _ hung) as low_.
  set (index := entry_index level (place_address p)) in *.
  assert (light st (emit (InvalidatePage (place_asid p) (place_address p)) (clear_page_entry t index st))) as lit
    by (eapply light_trans; [apply cleared_light | apply light_emit]).
  assert (forall o j e, (o = t -> j = index -> False) -> table_entries o st !! j = Some e ->
    table_entries o (emit (InvalidatePage (place_asid p) (place_address p)) (clear_page_entry t index st)) !! j = Some e) as others.
  { intros o j e other same. change (table_entries o (emit ?z ?s)) with (table_entries o s). rewrite cleared_entries.
    destruct (N.eqb_spec o t) as [->|]; [destruct (N.eqb_spec j index) as [->|]; [destruct (other eq_refl eq_refl)|]|]; exact same. }
  constructor.
  - rewrite clear_effects. apply incl_tl, change_table_effects.
  - intros asid l q u i b n d r y at_u less shown.
    assert (hangs (emit (InvalidatePage (place_asid p) (place_address p)) (clear_page_entry t index st)) asid l q u) as kept_.
    { revert at_u. apply hangs_keep; [intros w; rewrite (light_names _ _ asid lit); exact id|]. intros o j next is_next. apply others; [|exact is_next].
      intros -> ->. congruence. }
    destruct (N.eq_dec u t) as [->|nu]; [destruct (N.eq_dec i index) as [->|ni]|].
    + right. destruct (hangs_once st _ _ _ _ _ _ _ ok hung at_u) as (-> & -> & ->). right. exists (place_address p).
      split; [left; reflexivity | exact (mod_prefix (place_address p) level low_)].
    + left. exists t, n, d. split; [exact kept_ | apply others; [intros _ same; exact (ni same) | exact shown]].
    + left. exists u, n, d. split; [exact kept_ | apply others; [intros same _; exact (nu same) | exact shown]].
Qed.
Lemma unmap_keeps p level one e st o i x : table_entries o st !! i = Some x -> one x = false -> table_entries o (unmap p level one e st) !! i = Some x.
Proof.
  intros found no. destruct (unmap_place p level one e st) as [-> | (v & t & y & _ & _ & here & is_one & ->)]; [exact found|].
  change (table_entries o (emit ?z ?s)) with (table_entries o s). rewrite cleared_entries.
  destruct (N.eqb_spec o t) as [->|]; [|exact found]. destruct (N.eqb_spec i (entry_index level (place_address p))) as [->|]; [congruence | exact found].
Qed.
Lemma unmap_effects p level one e st : incl (effects st) (effects (unmap p level one e st)).
Proof.
  destruct (unmap_place p level one e st) as [-> | (v & t & y & _ & _ & _ & _ & ->)]; [apply incl_refl|]. rewrite clear_effects.
  apply incl_tl, change_table_effects.
Qed.
Lemma unmap_table_tells table p s st : placed st -> capability_at s st = Some (PageTableCap table p) -> tells st (unmap_table table p st).
Proof.
  intros ok there. pose proof ok as (right & spaces). destruct p as [p|]; [|apply tells_grows, grows_refl].
  pose proof (unmap_table_light table (Some p) st) as lit. set (after := unmap_table table (Some p) st) in *.
  assert (incl (effects st) (effects after)) as more.
  { unfold after, unmap_table. cbv zeta. eapply incl_tran; [apply unmap_effects | apply change_table_effects]. }
  assert (forall o i x, o <> table -> x <> NextTable table -> table_entries o st !! i = Some x -> table_entries o after !! i = Some x) as others.
  { intros o i x no nx found. unfold after, unmap_table. cbv zeta. rewrite emptied_entries. apply N.eqb_neq in no. rewrite no.
    apply unmap_keeps; [exact found|].
    destruct x as [next|]; [|reflexivity]. apply N.eqb_neq. congruence. }
  assert (forall asid l q t, hangs st asid l q t -> (hangs after asid l q t /\ t <> table) \/ In (InvalidateSpace asid) (effects after)) as path.
  { intros asid l q t hung. induction hung as [v names|l q t i t' above IH less next].
    - left. split; [apply hangs_top; rewrite (light_names _ _ asid lit); exact names|]. intros ->.
      destruct (named_is_vspace st asid table (pools_are st spaces) names) as (u & is_v).
      destruct (refers_to st s _ table right there eq_refl) as (y & found & fits_).
      rewrite is_v in found. injection found as <-. discriminate fits_.
    - destruct IH as [(kept_ & differ)|flushed_]; [|right; exact flushed_]. destruct (N.eq_dec t' table) as [->|other].
      + right. pose proof (hangs_below st asid l q t i table above less next) as hung.
        destruct (tables_hang st spaces asid l _ table hung) as (low_ & _ & said).
        pose proof (said s _ there) as is_p. injection is_p as ->. apply (change_table_effects table (fun _ => empty)). cbv zeta.
        cbn [table_place place_level]. rewrite N.add_sub.
        rewrite (unmap_hits (table_place asid l (q * 512 + i)) (fun e => match e with NextTable o => o =? table
          | Page _ _ _ _ _ => false end) _ st asid l q t i _
          spaces above less next (N.eqb_refl table) eq_refl (prefix_of_place l (q * 512 + i) ltac:(lia))). left. reflexivity.
      + left. split; [|exact other]. apply (hangs_below after asid l q t i t' kept_ less). apply others; [exact differ | congruence | exact next]. }
  constructor; [exact more|]. intros asid l q t i base bits device r x hung less found. destruct (path asid l q t hung) as [(kept_ & differ)|flushed_].
  - left. exists t, bits, device. split; [exact kept_ | apply others; [exact differ | discriminate | exact found]].
  - right. left. exact flushed_.
Qed.
Lemma release_tells v a st : placed st -> tells st (release_asid v a st).
Proof.
  intros (right & spaces). pose proof (released_names v a st (pools_are st spaces)) as names.
  destruct (release_cases v a st) as [(same & _)|(b & o & y & -> & is_v & _ & _ & same)]; [rewrite same; apply tells_grows, grows_refl|].
  constructor; [rewrite same; exact (incl_tl _ (incl_refl _))|]. intros asid l q t i base bits device r x hung less found.
  destruct (N.eq_dec asid b) as [->|other].
  - right. left. rewrite same. left. reflexivity.
  - left. exists t, bits, device. split; [|rewrite released_entries; exact found]. revert hung. apply hangs_keep.
    + intros w is_w. rewrite names. cbn [is_number]. destruct (N.eqb_spec b asid) as [->|]; [contradiction other; reflexivity|]. rewrite andb_false_r.
      exact is_w.
    + intros o' j next. rewrite released_entries. exact id.
Qed.
Lemma remove_effects s st : effects (remove_capability s st) = effects st.
Proof.
  unfold remove_capability. destruct (slots st !! s) as [e|]; [|reflexivity]. fold (adopt (parent e) (children e) st). cbv zeta.
  rewrite (proj2 (effects_count (capability e) _)). match goal with |- effects (set_field slots _ ?x) = _ => change (effects x = effects st) end.
  rewrite effects_children. apply effects_adopt.
Qed.
Lemma discard_effects s st : effects (discard s st) = effects st.
Proof.
  pose proof (remove_effects s st) as same. unfold discard. destruct (capability_at s st) as [c|]; [|reflexivity].
  destruct (object_of c) as [o|]; [destruct (_ || _)|]; exact same.
Qed.
Lemma discard_tells s st : spaced st -> (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true ->
  unlinked o st) ->
  tells st (discard s st).
Proof.
  intros ok goes. constructor; [rewrite discard_effects; apply incl_refl|].
  assert (forall o x, ~ unlinked o st -> objects st !! o = Some x -> objects (discard s st) !! o = Some x) as stays.
  { intros o x linked_ there. apply discard_stays; [|exact there]. intros c at_s names last. exact (linked_ (goes c o at_s names last)). }
  assert (forall asid l q t, hangs st asid l q t -> forall i, table_entries t (discard s st) !! i = table_entries t st !! i) as entries_.
  { intros asid l q t hung i. unfold table_entries. destruct (hanging_object st asid l q t ok hung) as [(u & is_t)|(u & is_t)];
      rewrite is_t, (stays t _ ltac:(intros (unnamed & nowhere_ & _); destruct (vspace_or_table st asid l q t ok hung) as [(_ & _ & names)|(m & -> & _)];
        [exact (unnamed asid names) | exact (nowhere_ asid m q hung)]) is_t); reflexivity. }
  assert (forall asid v, vspace_of_asid asid st = Some v -> vspace_of_asid asid (discard s st) = Some v) as names.
  { intros asid v is_v. destruct (named_of_pool st asid v is_v) as (o & p & known & there & assigned_). unfold vspace_of_asid. rewrite discard_pools, known.
    rewrite (pool_is o p); [exact assigned_|]. apply stays; [|exact there]. intros (_ & _ & no_pool). exact (no_pool p there). }
  assert (forall asid l q t, hangs st asid l q t -> hangs (discard s st) asid l q t) as kept_.
  { intros asid l q t hung. induction hung as [v is_v|l q t i t' above IH less next]; [apply hangs_top, names, is_v|].
    apply (hangs_below _ asid l q t i t' IH less). rewrite (entries_ asid l q t above). exact next. }
  intros asid l q t i base bits device r x hung less found. left. exists t, bits, device. split; [exact (kept_ _ _ _ _ hung)|].
  rewrite (entries_ asid l q t hung). exact found.
Qed.
Lemma pool_gone_tells s o st : placed st -> capability_at s st = Some (ASIDPoolCap o) -> is_last (ASIDPoolCap o) st = true -> first_assigned o st = None ->
  tells st (discard s (release_pool o st)).
Proof.
  intros (right & ok) there last none. destruct (refers_to st s _ o right there eq_refl) as (x & is_p & fits_).
  destruct x as [| | | | | | | |p]; try discriminate fits_.
  set (after := discard s (release_pool o st)).
  assert (forall o', objects after !! o' = if o' =? o then None else objects st !! o') as objs.
  { assert (objects after = remove o (objects st)) as ->; [|intros o'; apply find_remove]. unfold after, discard.
    change (capability_at s (release_pool o st)) with (capability_at s st). change (is_last ?c (release_pool o st)) with (is_last c st). rewrite there.
    cbn [object_of referent is_zombie]. rewrite last. cbn [orb].
    change (objects (remove_object o ?x)) with (remove o (objects x)). rewrite objects_of_remove_capability. reflexivity. }
  assert (pools after = remove (pool_index p) (pools st)) as pools_after
    by (unfold after; rewrite discard_pools; unfold release_pool; rewrite (pool_is o p st is_p); reflexivity).
  assert (forall i, assigned p !! i = None) as empty_.
  { unfold first_assigned in none. rewrite (pool_is o p st is_p) in none. intros i. destruct (assigned p !! i) as [v|] eqn:found; [|reflexivity].
    apply (proj2 (in_entries i v (assigned p))) in found. destruct (entries (assigned p)); [contradiction found | discriminate none]. }
  apply tells_grows. constructor.
  - intros asid v is_v. destruct (named_of_pool st asid v is_v) as (o' & p' & known & there' & assigned_).
    assert (o' <> o) as other by (intros ->; rewrite is_p in there'; injection there' as <-; rewrite empty_ in assigned_; discriminate).
    unfold vspace_of_asid. rewrite pools_after, find_remove. destruct (N.eqb_spec (asid / asid_pool_entries) (pool_index p)) as [same|].
    + exfalso. apply other. rewrite same in known. assert (pools st !! pool_index p = Some o) as mine by (apply (pools_found st (pools_are st ok)); exists p;
        split; [exact is_p | reflexivity]).
      congruence.
    + rewrite known. rewrite (pool_is o' p'); [exact assigned_|]. rewrite objs. apply N.eqb_neq in other. rewrite other. exact there'.
  - intros o' i e. unfold table_entries. rewrite objs. destruct (N.eqb_spec o' o) as [->|]; [rewrite is_p, find_empty; discriminate | exact id].
  - unfold after. rewrite discard_effects. apply incl_refl.
Qed.

(** ** A unit of deletion *)
Section Unit.
Variable st0 : State.
Lemma told_gone s c st : told st0 st -> capability_at s st = Some c -> container_of c st = None ->
  (forall o, c = ASIDPoolCap o -> is_last c st = true -> first_assigned o st = None) -> told st0 (discard s (let_go c st)).
Proof.
  intros (ok & so_far) there no_container no_asids. pose proof ok as (right & spaces).
  assert (placed (discard s (let_go c st))) as after.
  { split; [|exact (gone_spaced s c st ok there no_container)].
    apply sound_discard. exact (@keeps_let_go _ _ _ _ sound_is_kept_quietly c eq_refl eq_refl eq_refl eq_refl st right). }
  split; [exact after|]. clear after. pose proof (zombie_contains c st no_container) as no_zombie.
  destruct (let_go_tables c st) as (same_slots & same_references).
  assert (capability_at s (let_go c st) = Some c) as still_ by (rewrite (capability_same s st _ same_slots); exact there).
  assert (spaced (let_go c st) -> tells st (let_go c st) -> (forall o, object_of c = Some o -> is_last c st = true -> unlinked o (let_go c st)) ->
    tells st0 (discard s (let_go c st))) as when_unlinked.
  { intros ok' more ends. apply (tells_trans _ _ _ so_far), (tells_trans _ _ _ more), discard_tells; [exact ok'|]. intros c' o at_s names last.
    rewrite still_ in at_s. injection at_s as <-. rewrite no_zombie, (is_last_same c st _ same_references) in last. exact (ends o names last). }
  assert (match c with VSpaceCap _ _ | PageTableCap _ _ | FrameCap _ _ _ _ _ | ASIDPoolCap _ => False | _ => True end ->
    tells st0 (discard s (let_go c st))) as usual.
  { intros other. destruct (let_go_quiet c st other ok) as (right' & ok'). pose proof (told_quietly st0) as quiet.
    assert (told st0 (let_go c st)) as (_ & so_far').
    { pose proof (conj ok so_far : told st0 st) as begun. unfold let_go. destruct c; try exact begun; try contradiction; destruct (is_last _ st);
        try exact begun.
      - exact (@keeps_end_notification _ _ _ _ quiet _ eq_refl eq_refl st begun).
      - exact (@keeps_free_reply _ _ _ _ quiet _ eq_refl st begun).
      - exact (@keeps_end_context _ _ _ _ quiet _ eq_refl eq_refl st begun).
      - exact (@keeps_end_interrupt _ _ _ _ quiet _ eq_refl st begun). }
    apply (tells_trans _ _ _ so_far'), discard_tells; [exact ok'|]. intros c' o at_s names _. rewrite still_ in at_s. injection at_s as <-.
    destruct (refers_to _ s c o right' still_ names) as (x & found & fits_). apply (other_unlinked o x _ ok' found).
    destruct c, x; try discriminate fits_; try discriminate names; try contradiction other; exact I. }
  destruct c as [| | | | | | | |v a|t p|base bits device r p| |o| | | | | |]; try exact (usual I).
  - apply when_unlinked.
    + unfold let_go. destruct (is_last _ st); [exact (release_spaced v a st spaces) | exact spaces].
    + unfold let_go. destruct (is_last _ st); [exact (release_tells v a st ok) | apply tells_grows, grows_refl].
    + intros o names last. injection names as <-. unfold let_go. rewrite last. exact (space_unlinked s v a st ok there).
  - apply when_unlinked.
    + unfold let_go. destruct (is_last _ st); [exact (spaced_light st _ (unmap_table_light t p st) (unmap_table_fewer t p st) spaces) | exact spaces].
    + unfold let_go. destruct (is_last _ st); [exact (unmap_table_tells t p s st ok there) | apply tells_grows, grows_refl].
    + intros o names last. injection names as <-. unfold let_go. rewrite last. exact (table_unlinked s t p st ok there).
  - assert (let_go (FrameCap base bits device r p) st = unmap_frame base bits p st) as is_it by reflexivity. rewrite is_it in *.
    apply when_unlinked; [exact (spaced_light st _ (unmap_frame_light base bits p st) (unmap_frame_fewer base bits p st) spaces)
      | exact (unmap_frame_tells base bits p st ok) | discriminate].
  - unfold let_go in *. destruct (is_last (ASIDPoolCap o) st) eqn:last.
    + apply (tells_trans _ _ _ so_far), (pool_gone_tells s o st ok there last). exact (no_asids o eq_refl eq_refl).
    + apply when_unlinked; [exact spaces | apply tells_grows, grows_refl | discriminate].
Qed.
Lemma told_plain s c st : told st0 st -> capability_at s st = Some c -> container_of c st = None -> told st0 (delete_plain s c st).
Proof.
  intros ok there none. unfold delete_plain. destruct (is_last c st) eqn:last; [|apply told_gone; try assumption; intros o _; congruence].
  destruct (waiting_on c st) as [|t l]; [|exact (@keeps_restart _ _ _ _ (told_quietly st0) t eq_refl st ok)].
  assert ((forall o, c <> ASIDPoolCap o) -> told st0 (discard s (let_go c st))) as away
    by (intros other; apply told_gone; try assumption; intros o is_pool; destruct (other o is_pool)).
  destruct c; try (apply away; discriminate).
  destruct (first_assigned pool st) as [(index & v)|] eqn:first_; [|apply told_gone; try assumption; intros o same _; injection same as <-; exact first_].
  destruct ok as (fine & so_far). split; [|exact (tells_trans _ _ _ so_far (release_tells v _ st fine))].
  split; [exact (@keeps_release_asid _ _ _ _ sound_is_kept_quietly v _ st (proj1 fine)) | exact (release_spaced v _ st (proj2 fine))].
Qed.
Lemma told_unit anchor st : told st0 st -> told st0 (snd (delete_unit anchor st)).
Proof.
  pose proof (told_quietly st0) as quiet. apply (unit_kept_plainly (told st0)).
  - intros from to before ok. exact (told_grows st0 before _ (move_placed from to before (proj1 ok)) (move_grows from to before) ok).
  - intros s o before (ok & so_far) zombie. split; [split; [exact (sound_discard s before (proj1 ok)) | exact (zombie_gone s o before ok zombie)]|].
    apply (tells_trans _ _ _ so_far), discard_tells; [exact (proj2 ok)|]. intros c o' at_s names _. rewrite zombie in at_s. injection at_s as <-.
    cbn [object_of] in names.
    injection names as <-. destruct (refers_to before s _ o (proj1 ok) zombie eq_refl) as (x & found & fits_).
    apply (other_unlinked o x before (proj2 ok) found).
    destruct x; try discriminate fits_; exact I.
  - intros s c before ok there. unfold become_zombie.
    assert (told st0 (match c with TCBCap t => end_thread t before | _ => before end)) as ended
      by (destruct c; try exact ok; exact (@keeps_end_thread _ _ _ _ quiet thread eq_refl eq_refl before ok)).
    apply (told_grows st0 _ _ (conj (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_is_kept s eq_refl _ (proj1 (proj1 ended))) (zombie_spaced s _
      (proj2 (proj1 ended))))
      (make_zombie_grows s _) ended).
  - exact told_plain.
Qed.
End Unit.

(** ** Methods that only add *)
Lemma change_thread_grows t f st : grows st (change_thread t f st).
Proof.
  unfold change_thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:there; try apply grows_emit.
  assert (light st (put_object t (ThreadObject (f x)) st)) as lit by exact (put_object_light t (ThreadObject (f x)) _ st there I I).
  constructor; [intros asid v; rewrite (light_names _ _ asid lit); exact id | | apply incl_refl].
  intros o i e. rewrite entries_put. destruct (N.eqb_spec o t) as [->|]; [|exact id]. unfold table_entries. rewrite there, find_empty. discriminate.
Qed.
Lemma objects_made_grow count type at_ n d slot offset u t : forall st, grows st (state_after (make_objects count type at_ n d slot offset u t st)).
Proof.
  revert at_ slot offset. induction count as [|rest IH]; intros at_ slot offset st; cbn [make_objects]; [apply grows_refl|].
  destruct (must_stop st); cbn [state_after]; [eapply grows_trans; apply change_thread_grows|]. cbv zeta.
  eapply grows_trans; [|apply IH]. apply (grows_trans st (make_object type at_ n d slot u st)).
  - unfold make_object. cbv zeta. eapply grows_trans; [|apply carve_grows]. destruct (_ || _); [apply grows_emit | apply grows_refl].
  - apply grows_same; [reflexivity | reflexivity | apply incl_refl].
Qed.
Lemma retype_grows a b c d e f r call st : does (grows st) (untyped_retype a b c d e f r call st) st.
Proof.
  unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta. checks. all: apply objects_made_grow.
Qed.
Lemma derive_grows a b c d r root make orig call st : does (grows st) (derive_into a b c d r root make orig call st) st.
Proof. unfold derive_into, empty_slot_in, slot_in, occupant, always. cbv beta. checks. apply insert_derived_grows. Qed.
Lemma move_into_grows a b c d root make call st : does (grows st) (move_into a b c d root make call st) st.
Proof.
  unfold move_into, empty_slot_in, slot_in, occupant, always. cbv beta. checks. cbn [does state_after].
  eapply grows_trans; [apply change_grows | apply move_grows].
Qed.
Lemma rotate_grows a b c d e f g h p r call st : does (grows st) (cnode_rotate a b c d e f g h p r call st) st.
Proof.
  unfold cnode_rotate, slot_in, occupant, always. cbv beta. checks. cbn [does state_after].
  eapply grows_trans; [eapply grows_trans; apply change_grows|]. match goal with |- context [if ?x then _ else _] => destruct x end; [apply exchange_grows|].
  eapply grows_trans; apply move_grows.
Qed.
Lemma irq_get_grows a b c d r call st : does (grows st) (irq_control_get a b c d r call st) st.
Proof.
  unfold irq_control_get, empty_slot_in, slot_in, always. cbv zeta beta. checks. cbn [does state_after].
  all: eapply grows_trans; [|apply insert_derived_grows]; destruct (is_held_back a);
    apply grows_same; first [reflexivity | apply incl_refl | exact (incl_tl _ (incl_refl _))].
Qed.
Lemma irq_issue_grows a b c d r call st : does (grows st) (irq_control_issue_sgisignal a b c d r call st) st.
Proof. unfold irq_control_issue_sgisignal, empty_slot_in, slot_in, always. cbv zeta beta. checks. apply insert_derived_grows. Qed.
Lemma make_pool_grows a b u r call st : does (grows st) (asid_control_make_pool a b u r call st) st.
Proof.
  unfold asid_control_make_pool, empty_slot_in, slot_in, always. cbv beta. destruct (free_pool_index st) as [number|] eqn:free_; [|exact I].
  unfold free_pool_index in free_. apply List.find_some in free_. destruct free_ as (_ & none). checks. cbn [does state_after].
  eapply grows_trans; [apply grows_emit|]. eapply grows_trans; [|apply carve_grows]. constructor; [|intros; assumption | apply incl_refl].
  intros asid v. unfold vspace_of_asid.
  match goal with |- context [set_field pools ?t ?s] => change (pools (set_field pools t s)) with t; change (pools s) with (pools st) end.
  rewrite find_set. destruct (N.eqb_spec (asid / asid_pool_entries) number) as [->|]; [|exact id].
  destruct (pools st !! number); [discriminate none | discriminate].
Qed.
Lemma walk_entry st n : forall t l x u l' e, walk_tables n t l x st = (u, l', e) -> e = table_entries u st !! entry_index l' x.
Proof.
  induction n as [|n IH]; intros t l x u l' e; cbn [walk_tables].
  - destruct (table_entries t st !! entry_index l x) as [[]|] eqn:found; intros same; injection same as <- <- <-; rewrite found; reflexivity.
  - destruct (table_entries t st !! entry_index l x) as [[next|]|] eqn:found; [apply IH | |]; intros same; injection same as <- <- <-; rewrite found;
      reflexivity.
Qed.
Lemma set_entry_grows t i e st : table_entries t st !! i = None -> grows st (set_page_entry t i e st).
Proof.
  intros vacant. pose proof (set_entry_light t i e st) as lit.
  constructor; [intros asid v; rewrite (light_names _ _ asid lit); exact id | | apply change_table_effects].
  intros o j x found. unfold set_page_entry, change_table.
  assert (table_entries t st = match objects st !! t with Some (VSpaceObject u) | Some (PageTableObject u) => u | _ => empty end) as is_it by reflexivity.
  destruct (objects st !! t) as [[| | | | | |u|u|]|]; try exact found; rewrite entries_put; (destruct (N.eqb_spec o t) as [->|]; [|exact found]);
    rewrite find_set; (destruct (N.eqb_spec j i) as [->|]; [congruence | rewrite <- is_it; exact found]).
Qed.
Lemma table_map_grows vaddr a i call st : does (grows st) (page_table_map vaddr a (cap i call) call st) st.
Proof.
  unfold page_table_map. destruct (invoked call) as [| | | | | | | | |table [p|]| | | | | | | | |]; try exact I.
  apply vspace_argument_does. intros v asid _ _. cbv beta iota. destruct (vaddr <? user_top); [|exact I].
  destruct (walk_tables 3 v 0 vaddr st) as ((above & level) & entry) eqn:walked. cbv beta iota.
  destruct (negb (is_some entry) && (level <? 3)) eqn:can; [|exact I]. apply andb_prop, proj1 in can. rewrite (walk_entry st 3 _ _ _ _ _ _ walked) in can.
  cbn [does always state_after]. eapply grows_trans; [|apply change_grows]. apply set_entry_grows.
  destruct (table_entries above st !! entry_index level vaddr); [discriminate can | reflexivity].
Qed.
Lemma assign_grows i call st : does (grows st) (asid_pool_assign (cap i call) call st) st.
Proof.
  unfold asid_pool_assign. destruct (invoked call) as [| | | | | | | | | | | |p| | | | | |]; try exact I.
  destruct (argument (cap i call)) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|]; try exact I.
  destruct (free_entry (pool p st)) as [index|] eqn:free_; [|exact I]. cbn [does always state_after].
  unfold free_entry in free_. apply List.find_some in free_. destruct free_ as (_ & none). apply andb_prop, proj1 in none.
  eapply grows_trans; [|apply change_grows]. unfold change_pool. destruct (objects st !! p) as [[| | | | | | | |y]|] eqn:is_p; try apply grows_emit.
  rewrite (pool_is p y st is_p) in none. constructor; [| |apply incl_refl].
  - intros a w is_w. destruct (named_of_pool st a w is_w) as (o & z & known & there & assigned_). unfold vspace_of_asid.
    match goal with |- context [put_object p ?x st] => change (pools (put_object p x st)) with (pools st); rewrite known; unfold pool;
      change (objects (put_object p x st)) with (set p x (objects st)) end.
    rewrite find_set. destruct (N.eqb_spec o p) as [->|]; [|rewrite there; exact assigned_]. cbn [assigned]. rewrite is_p in there. injection there as <-.
    rewrite find_set. destruct (N.eqb_spec (a mod asid_pool_entries) index) as [same|]; [|exact assigned_].
    rewrite same in assigned_. rewrite assigned_ in none. discriminate none.
  - intros o j e. rewrite (put_pool_entries p _ y st o is_p). exact id.
Qed.

(** ** Frames and tables *)
Lemma rights_same a b : same_rights a b = true -> a = b.
Proof.
  unfold same_rights. destruct a as [[] [] [] []], b as [[] [] [] []]; first [reflexivity | intros same; vm_compute in same; discriminate same].
Qed.
Lemma table_unmap_tells call st : valid call st -> placed st -> does (tells st) (page_table_unmap call st) st.
Proof.
  intros (there & _) ok. unfold page_table_unmap. destruct (invoked call) as [| | | | | | | | |table p| | | | | | | | |]; try exact I.
  destruct (is_last _ st); [|exact I]. cbn [does always state_after].
  exact (tells_trans _ _ _ (unmap_table_tells table p _ st ok there) (tells_grows _ _ (change_grows _ _ _))).
Qed.
Lemma frame_unmap_tells call st : placed st -> does (tells st) (frame_unmap call st) st.
Proof.
  intros ok. unfold frame_unmap. destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |]; try exact I.
  cbn [does always state_after].
  exact (tells_trans _ _ _ (unmap_frame_tells base bits p st ok) (tells_grows _ _ (change_grows _ _ _))).
Qed.
Lemma frame_map_tells vaddr rights attributes i call st : placed st -> does (tells st) (frame_map vaddr rights attributes (cap i call) call st) st.
Proof.
  intros ok. pose proof ok as (right & spaces). unfold frame_map.
  destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |]; try exact I.
  apply vspace_argument_does. intros v asid _ names. cbv beta iota zeta.
  destruct (vaddr + N.shiftl 1 bits <=? user_top) eqn:less; [|exact I]. destruct (aligned vaddr bits); [|exact I].
  destruct (match p with Some p0 => place_asid p0 =? asid | None => true end); [|exact I].
  destruct (match p with Some p0 => place_address p0 =? vaddr | None => true end); [|exact I].
  destruct (table_of_level v (level_of_frame bits) vaddr st) as [t|] eqn:found; [|exact I].
  pose proof (table_of_place st asid v _ vaddr t spaces names found) as here. pose proof (named_bound st asid spaces _ _ _ here) as low_.
  set (level := level_of_frame bits) in *. set (index := entry_index level vaddr) in *.
  set (new_r := mapping_rights r rights). set (new_a := mapping_attributes attributes device).
  destruct (match table_entries t st !! index with Some (Page b _ _ _ _) => match p with Some _ => b =? base | None => false end | Some (NextTable _) => false
      | None => true end) eqn:own; [|exact I].
  cbn [does always state_after].
  set (changes := match table_entries t st !! index with Some (Page _ _ _ r a) => negb (same_rights r new_r && (a =? new_a)) | _ => false end).
  set (begun := if changes then emit (InvalidatePage asid vaddr) st else st).
  set (after := set_page_entry t index (Page base bits device new_r new_a) begun).
  apply (tells_trans st after); [|apply tells_grows, change_grows].
  assert (grows st begun) as more by (unfold begun; destruct changes; [apply grows_emit | apply grows_refl]).
  assert (light st begun) as lit0 by (unfold begun; destruct changes; [apply light_emit | apply light_refl]).
  pose proof (light_trans _ _ _ lit0 (set_entry_light t index (Page base bits device new_r new_a) begun)) as lit. fold after in lit.
  assert (forall o, table_entries o begun = table_entries o st) as same_entries by (intros o; unfold begun; destruct changes; reflexivity).
  assert (forall o j, table_entries o after !! j = if (o =? t) && (j =? index) then Some (Page base bits device new_r new_a) else table_entries o st !! j)
    as entries_.
  { intros o j. rewrite <- (same_entries o). apply set_entries.
    destruct (hanging_object st asid level _ t spaces here) as [is_v|is_t]; [left; apply (light_spaces st begun lit0), is_v | right;
      apply (light_tables st begun lit0), is_t]. }
  constructor; [exact (incl_tran (grows_effects _ _ more) (change_table_effects _ _ _))|].
  intros a l q u j b n d ro x hung less' shown.
  assert (hangs after a l q u) as kept_.
  { revert hung. apply hangs_keep; [intros w; rewrite (light_names _ _ a lit); exact id|]. intros o k next is_next. rewrite entries_.
    destruct (N.eqb_spec o t) as [->|]; [destruct (N.eqb_spec k index) as [->|]|]; try exact is_next. rewrite is_next in own. discriminate own. }
  destruct (N.eq_dec u t) as [->|nu]; [destruct (N.eq_dec j index) as [->|nj]|].
  - destruct (hangs_once st _ _ _ _ _ _ _ ok here hung) as (-> & -> & ->). destruct changes eqn:changed.
    + right. right. exists vaddr. split; [|exact (mod_prefix vaddr level low_)].
      apply (change_table_effects t (set index (Page base bits device new_r new_a)) begun).
      unfold begun. left. reflexivity.
    + left. unfold changes in changed. rewrite shown in changed, own. destruct p as [p|]; [|discriminate own]. apply N.eqb_eq in own. subst b.
      apply negb_false_iff, andb_prop in changed. destruct changed as (same_r & same_a). apply rights_same in same_r. apply N.eqb_eq in same_a. subst ro x.
      exists t, bits, device. split; [exact kept_|]. rewrite entries_, !N.eqb_refl. reflexivity.
  - left. exists t, n, d. split; [exact kept_|]. rewrite entries_. apply N.eqb_neq in nj. rewrite nj, andb_false_r. exact shown.
  - left. exists u, n, d. split; [exact kept_|]. rewrite entries_. apply N.eqb_neq in nu. rewrite nu. exact shown.
Qed.

(** ** The slots of threads and interrupts *)
Lemma replaced_tells slot by_ st : placed st -> tells st (state_of (replace_slot slot by_ st)).
Proof.
  intros ok. unfold replace_slot.
  assert (told st (state_of (delete slot st))) as (_ & deleted).
  { apply (@keeps_in_units _ _ _ _ (told_quietly st) _ is_occupied delete_unit slot (fun a before fine => conj I (told_unit st a before fine)) st).
    split; [exact ok | apply tells_grows, grows_refl]. }
  destruct (delete slot st) as [one|one]; [|exact deleted]. cbn [state_of and_then] in *. destruct by_ as [(source_ & c)|]; [|exact deleted].
  exact (tells_trans _ _ _ deleted (tells_grows _ _ (insert_copy_grows _ _ _ _))).
Qed.
Lemma buffer_tells t a f st : placed st -> tells st (state_of (set_buffer t a f st)).
Proof.
  intros ok. unfold set_buffer. cbv zeta.
  assert (placed (change_thread t (fun x => x <| buffer_address := 0 |>) st)) as one
    by (apply (@keeps_change_thread _ _ _ _ placed_quietly); [intros x; split; intros _; reflexivity | exact ok]).
  pose proof (tells_grows _ _ (change_thread_grows t (fun x => x <| buffer_address := 0 |>) st)) as first_. unfold replace_in.
  pose proof (replaced_tells (slot_of t buffer_slot) (if a =? 0 then None else replacement f) _ one) as second.
  destruct (replace_slot _ _ _) as [two|two]; cbn [state_of and_then] in *; [|exact (tells_trans _ _ _ first_ second)].
  exact (tells_trans _ _ _ first_ (tells_trans _ _ _ second (tells_grows _ _ (change_thread_grows _ _ _)))).
Qed.
Lemma tells_progress a p : tells a (state_of p) -> tells a (state_after match p with Done st => Returns [] st | Preempted st => Stops st end).
Proof. destruct p; exact id. Qed.
Lemma configure_tells a b c i j k call st : valid call st -> placed st ->
  does (tells st) (tcb_configure a b c (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros fine ok. unfold tcb_configure, in_progress. cbv zeta beta. checks. cbn [does]. unfold replace_in.
  match goal with usable_ : is_usable_vspace _ = true |- _ => destruct (usable_is _ usable_) as (v & x & is_v) end.
  pose proof (argument_at call st j _ fine is_v) as at_v.
  assert (space_caps (of_space v x) st) as caps by (apply (agrees_at _ v x _ st ok at_v); intros d; reflexivity).
  match goal with cnode_ : is_cnode _ = true |- _ =>
    destruct (plain_replaced_too (of_space v x) (slot_of (invoked_thread call) cspace_slot) (guarded a (cap i call)) st
                (guarded_plain a _ cnode_ (argument_low call st i fine ok)) ok caps) as (one & caps1) end.
  pose proof (replaced_tells (slot_of (invoked_thread call) cspace_slot) (guarded a (cap i call)) st ok) as first_. apply tells_progress.
  destruct (replace_slot (slot_of (invoked_thread call) cspace_slot) _ st) as [s1|s1]; [|exact first_]. cbn [state_of and_then] in *.
  destruct (usable_replaced (slot_of (invoked_thread call) vspace_slot) (cap j call) v x s1 is_v (low_at _ _ st ok at_v) one caps1) as (two & _).
  pose proof (replaced_tells (slot_of (invoked_thread call) vspace_slot) (replacement (cap j call)) s1 one) as second.
  destruct (replace_slot (slot_of (invoked_thread call) vspace_slot) _ s1) as [s2|s2]; cbn [state_of and_then] in *; [|exact (tells_trans _ _ _ first_ second)].
  exact (tells_trans _ _ _ first_ (tells_trans _ _ _ second (buffer_tells _ _ _ s2 two))).
Qed.
Lemma set_space_tells a b i j k call st : valid call st -> placed st ->
  does (tells st) (tcb_set_space a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros fine ok. unfold tcb_set_space, in_progress. cbv zeta beta. checks. cbn [does]. unfold replace_in. apply tells_progress.
  pose proof (replaced_tells (slot_of (invoked_thread call) fault_slot) (replacement (cap i call)) st ok) as first_.
  match goal with fault_ : is_fault_endpoint _ = true |- _ =>
    pose proof (plain_replaced (slot_of (invoked_thread call) fault_slot) (replacement (cap i call)) st
                (fault_plain _ fault_ (argument_low call st i fine ok)) ok) as one end.
  destruct (replace_slot (slot_of (invoked_thread call) fault_slot) _ st) as [s1|s1]; [|exact first_]. cbn [state_of and_then] in *.
  pose proof (replaced_tells (slot_of (invoked_thread call) cspace_slot) (guarded a (cap j call)) s1 one) as second.
  match goal with cnode_ : is_cnode _ = true |- _ =>
    pose proof (plain_replaced (slot_of (invoked_thread call) cspace_slot) (guarded a (cap j call)) s1
                (guarded_plain a _ cnode_ (argument_low call st j fine ok)) one) as two end.
  destruct (replace_slot (slot_of (invoked_thread call) cspace_slot) _ s1) as [s2|s2]; cbn [state_of and_then] in *; [|exact (tells_trans _ _ _ first_ second)].
  exact (tells_trans _ _ _ first_ (tells_trans _ _ _ second (replaced_tells _ _ s2 two))).
Qed.
Lemma set_ipc_buffer_tells a i call st : placed st -> does (tells st) (tcb_set_ipc_buffer a (cap i call) call st) st.
Proof. intros ok. unfold tcb_set_ipc_buffer, in_progress. cbv zeta beta. checks. exact (tells_progress _ _ (buffer_tells _ _ _ st ok)). Qed.
Lemma set_timeout_tells i call st : placed st -> does (tells st) (tcb_set_timeout_endpoint (cap i call) call st) st.
Proof. intros ok. unfold tcb_set_timeout_endpoint, in_progress. cbv zeta beta. checks. exact (tells_progress _ _ (replaced_tells _ _ st ok)). Qed.
Lemma set_sched_params_tells a b i j k call st : placed st -> does (tells st) (tcb_set_sched_params a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros ok. pose proof (told_quietly st) as quiet. unfold tcb_set_sched_params, thread_argument, in_progress. cbv zeta beta.
  set (t := invoked_thread call).
  assert (told st (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st))) as after.
  { apply (@keeps_set_priority _ _ _ _ quiet _ _ eq_refl), (@keeps_change_thread _ _ _ _ quiet); [intros x; split; intros _; reflexivity|].
    split; [exact ok | apply tells_grows, grows_refl]. }
  destruct (argument (cap i call)) as [[]|]; try exact I. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  revert after. destruct (argument (cap j call)) as [[]|]; try (intros; exact I).
  all: destruct (_ : bool); [|intros; exact I]; destruct (is_fault_endpoint _); [|intros; exact I]; cbn [does];
    generalize (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st)); intros one after; apply tells_progress; unfold replace_in.
  - match goal with |- tells st (state_of (replace_slot _ _ ?s)) => assert (told st s) as (two & so_far) end.
    { destruct (context_of t one); [exact after | exact (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl one after)]. }
    exact (tells_trans _ _ _ so_far (replaced_tells _ _ _ two)).
  - match goal with |- tells st (state_of (replace_slot _ _ ?s)) => assert (told st s) as (two & so_far) end.
    { destruct (context_of t one); [exact (@keeps_unbind_thread _ _ _ _ quiet _ eq_refl one after) | exact after]. }
    exact (tells_trans _ _ _ so_far (replaced_tells _ _ _ two)).
Qed.
Lemma set_notification_tells i call st : valid call st -> placed st -> does (tells st) (irq_handler_set_notification (cap i call) call st) st.
Proof.
  intros fine ok. unfold irq_handler_set_notification, in_progress. cbv zeta beta. checks. cbn [does]. apply tells_progress.
  match goal with is_n : argument (cap i call) = Some ?c |- _ =>
    pose proof (plain_replaced (irq_slot (invoked_interrupt call)) (Some (argument_slot (cap i call), c)) st (conj (argument_low call st i fine ok c is_n)
      eq_refl) ok) as after;
    pose proof (replaced_tells (irq_slot (invoked_interrupt call)) (Some (argument_slot (cap i call), c)) st ok) as so_far end.
  destruct (replace_slot _ _ st) as [one|one]; [|exact so_far]. cbn [state_of and_then] in *.
  exact (proj2 (@keeps_set_mask _ _ _ _ (told_quietly st) _ _ one (conj after so_far))).
Qed.

(** ** Every step *)
Lemma does_grow d st : does (grows st) d st -> does (tells st) d st.
Proof. destruct d; [exact id | exact (tells_grows _ _)]. Qed.
Lemma told_does st0 d st : does placed d st -> does (tells st) d st -> told st0 st -> does (told st0) d st.
Proof. destruct d; [intros; exact I|]. intros ok more (_ & so_far). exact (conj ok (tells_trans _ _ _ so_far more)). Qed.
Lemma told_operations st0 : operations but_telling (told st0).
Proof.
  constructor; [right; exact (told_unit st0)|]. intros m. pose proof (given_method placed_operations m) as placing. destruct m; try (left; reflexivity).
  all: destruct placing as [absurd|placing]; [discriminate absurd|]; right; intros call st type fine ok; pose proof (placing call st type fine (proj1 ok))
         as after;
    match goal with |- context [decode_method ?m call st] => change (does (told st0) (decode_method m call st) st);
      change (does placed (decode_method m call st) st) in after end;
    refine (told_does st0 _ st after _ ok); clear placing after; pose proof (proj1 ok) as right; clear ok; unfold decode_method.
  all: first [ exact (does_grow _ st (retype_grows _ _ _ _ _ _ _ call st)) | exact (does_grow _ st (derive_grows _ _ _ _ _ _ _ _ call st))
    | exact (does_grow _ st (move_into_grows _ _ _ _ _ _ call st)) | exact (does_grow _ st (rotate_grows _ _ _ _ _ _ _ _ _ _ call st))
    | exact (configure_tells _ _ _ _ _ _ call st fine right) | exact (set_space_tells _ _ _ _ _ call st fine right)
    | exact (set_ipc_buffer_tells _ _ call st right) | exact (set_timeout_tells _ call st right) | exact (set_sched_params_tells _ _ _ _ _ call st right)
    | exact (set_notification_tells _ call st fine right) | exact (does_grow _ st (irq_get_grows _ _ _ _ _ call st))
    | exact (does_grow _ st (irq_issue_grows _ _ _ _ _ call st)) | exact (does_grow _ st (table_map_grows _ _ _ call st))
    | exact (table_unmap_tells call st fine right) | exact (frame_map_tells _ _ _ _ call st right) | exact (frame_unmap_tells call st right)
    | exact (does_grow _ st (make_pool_grows _ _ _ _ call st)) | exact (does_grow _ st (assign_grows _ call st)) ].
Qed.
Lemma walk_stops st n k : forall t l x u l' e, walk_tables n t l x st = (u, l', e) -> (forall next, e <> Some (NextTable next)) ->
  walk_tables (n + k) t l x st = (u, l', e).
Proof.
  induction n as [|n IH]; intros t l x u l' e; cbn [walk_tables plus].
  - destruct (table_entries t st !! entry_index l x) as [[next|]|] eqn:found; intros same stops; injection same as <- <- <-.
    + destruct (stops next eq_refl).
    + destruct k; cbn [walk_tables]; rewrite found; reflexivity.
    + destruct k; cbn [walk_tables]; rewrite found; reflexivity.
  - destruct (table_entries t st !! entry_index l x) as [[next|]|]; [apply IH | intros same _; exact same | intros same _; exact same].
Qed.
Lemma page_hangs st asid address base bits device r a level : spaced st -> shows asid address (Page base bits device r a) level st ->
  address < address_end /\ level <= 3 /\ exists t, hangs st asid level (prefix level address) t
    /\ table_entries t st !! entry_index level address = Some (Page base bits device r a).
Proof.
  intros ok (v & names & less & found). unfold translate in found.
  destruct (walk_hangs st asid 3 (named_bound st asid ok) v 0 address) as (u & l & e & walked & here & _ & is_e & _);
    [rewrite (top_prefix address less); apply hangs_top, names|].
  rewrite walked in found. injection found as -> ->. split; [exact less|]. split; [exact (named_bound st asid ok _ _ _ here)|]. exists u.
  split; [exact here | symmetry; exact is_e].
Qed.
Lemma page_is_shown st asid address base bits device r a level t : spaced st -> address < address_end -> hangs st asid level (prefix level address) t ->
  table_entries t st !! entry_index level address = Some (Page base bits device r a) -> shows asid address (Page base bits device r a) level st.
Proof.
  intros ok less here found. destruct (hangs_named st _ _ _ _ here) as (v & names). pose proof (named_bound st asid ok _ _ _ here) as low_. exists v.
  split; [exact names|]. split; [exact less|]. pose proof (hangs_walk st asid v names level _ t here low_ address eq_refl) as walked. rewrite found in walked.
  unfold translate. replace 3%nat with (N.to_nat level + (3 - N.to_nat level))%nat by lia.
  rewrite (walk_stops st _ _ _ _ _ _ _ _ walked) by discriminate. reflexivity.
Qed.
Lemma enter_tables e st : (forall asid, vspace_of_asid asid (enter e st) = vspace_of_asid asid st)
  /\ forall o i, table_entries o (enter e st) !! i = table_entries o st !! i.
Proof.
  unfold enter, save_registers. set (begun := begin_step e st).
  assert ((forall asid, vspace_of_asid asid begun = vspace_of_asid asid st) /\ forall o i, table_entries o begun !! i = table_entries o st !! i)
    as (names & entries_)
    by (split; intros; reflexivity).
  destruct (current begun) as [t|]; [|split; assumption]. unfold change_thread. destruct (objects begun !! t) as [[|x| | | | | | |]|] eqn:there;
    try (split; assumption).
  assert (light begun (put_object t (ThreadObject (with_registers (saved e) x)) begun)) as lit by exact (put_object_light t (ThreadObject _) _ begun there I I).
  split; [intros asid; rewrite (light_names _ _ asid lit); apply names|]. intros o i. rewrite entries_put.
  destruct (N.eqb_spec o t) as [->|]; [|apply entries_]. rewrite <- entries_. unfold table_entries. rewrite there. reflexivity.
Qed.

(** Claim [stale_pages_are_flushed]. *)
Theorem stale_pages_are_flushed_proved : stale_pages_are_flushed step.
Proof.
  intros p st e next result done asid address base bits device r a level right reached stepped shown. pose proof (reachable_placed p st right reached) as ok.
  destruct (page_hangs st asid address base bits device r a level (proj2 ok) shown) as (less & low_ & t & here & found).
  pose proof (@keeps_enter _ _ _ _ placed_quietly e st ok) as entered. set (st1 := enter e st) in *.
  destruct (enter_tables e st) as (names & entries_). fold st1 in names, entries_.
  assert (hangs st1 asid level (prefix level address) t) as here1
    by (revert here; apply hangs_keep; [intros v; rewrite names; exact id | intros o i n; rewrite entries_; exact id]).
  assert (told st1 st1) as begun by (split; [exact entered | apply tells_grows, grows_refl]).
  pose proof (@keeps_handle _ _ _ _ (told_quietly st1) (told_kept st1) (told_operations st1) (cause e) eq_refl st1 begun) as handled_.
  unfold step in stepped. fold st1 in stepped. destruct (handle (cause e) st1) as (result' & st2). destruct handled_ as (_ & handled_). cbn [snd] in handled_.
  pose proof (@keeps_choose_thread _ _ _ _ (told_quietly st1) eq_refl st2 handled_) as (ok3 & [_ pages]).
  unfold finish in stepped. injection stepped as <- _ <-. set (st3 := choose_thread st2) in *.
  pose proof (pages asid level _ t _ base bits device r a here1 (index_below level address) ltac:(rewrite entries_; exact found))
    as [(u & n & d & there & is_page)|away].
  - left. exists n, d. exact (page_is_shown st3 asid address base n d r a level u (proj2 ok3) less there is_page).
  - right. rewrite <- (prefix_step level address low_) in away. destruct away as [space|(x & page & same)].
    + left. apply in_rev in space. exact space.
    + right. exists x. split; [apply in_rev in page; exact page | exact (start_same level _ _ low_ same)].
Qed.
