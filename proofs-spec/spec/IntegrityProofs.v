(* SPDX-License-Identifier: BSD-2-Clause *)
(** * A step changes what can be reached

    What is reached is closed before a step, and everything that the kernel looks up, starting from where the step begins, is in it. So whatever is
    changed is, and what is written keeps it closed. The proofs follow the text of the specification. *)
From Coq Require Import Lia.
From Spec Require Export StandProofs IntegrityClaims.
Open Scope N_scope.

Section Reached.
Variable reached : Thing -> Prop.
Variable start : State.
Class Touched (o : N) : Prop := touched : reached (AnObject o).
Class Held (slot : N) : Prop := held : reached (ASlot slot).
Class Own (t : N) : Prop := own : forall y, In y (whole_thread t) -> reached y.

Definition fine (c : Capability) : Prop := forall y, opens c y -> reached y.
Definition full (o : N) : Prop := reached (Contents o).
Definition all_touched (l : list N) : Prop := Forall Touched l.
Definition fine_entry (e : Entry) : Prop := fine (capability e) /\ Forall Held (children e).
Definition fine_parent (p : option N) : Prop := match p with Some p => Held p \/ lends start reached p | None => True end.

(** What is asked of an object: its names are reached when it is; and with its contents what is in it. *)
Definition count_of_object (x : Object) : N := match x with CNodeObject radix => N.shiftl 1 radix | ThreadObject _ => thread_slots | _ => 0 end.
Definition giving (o : N) (x : Object) : Prop := match x with ThreadObject t => gives_all (run_state t) = true -> Own o | _ => True end.
Definition holding (o : N) (x : Object) : Prop :=
  match x with
  | EndpointObject e => Forall Own (senders e ++ receivers e)
  | ASIDPoolObject p => forall i v, assigned p !! i = Some v -> Touched v
  | _ => True
  end.
Record fine_object (o : N) (x : Object) : Prop := {
  names_are_touched : Touched o -> all_touched (names_in x) /\ giving o x;
  content_is_held : full o -> holding o x /\ forall slot, o <= slot -> slot < slot_of o (count_of_object x) -> Held slot
}.
Record within (st : State) : Prop := {
  fine_slots : forall slot e, Held slot -> slots st !! slot = Some e -> fine_entry e;
  fine_objects : forall o x, objects st !! o = Some x -> fine_object o x;
  fine_timeouts : forall t x, objects st !! t = Some (ThreadObject x) ->
    Held (slot_of t timeout_slot) \/ Touched t /\ (exists e badge r, capability_at (slot_of t timeout_slot) st = Some (EndpointCap e badge r)) -> Own t;
  fine_pools : forall asid p, reached (ASpace asid) -> pools st !! (asid / asid_pool_entries) = Some p -> Touched p;
  fine_spaces : forall asid v, reached (ASpace asid) -> vspace_of_asid asid st = Some v -> Touched v;
  fine_interrupts : forall irq, reached FreeInterrupts -> interrupts st !! irq = None -> Held (irq_slot irq);
  same_objects : forall o, ~ reached (AnObject o) -> objects st !! o = objects start !! o;
  same_slots : forall slot, ~ reached (ASlot slot) -> stays (slots start !! slot) (slots st !! slot);
  nowhere_is_held : Held nowhere;
  fine_use : forall c, current_context st = Some c -> Touched c;
  fine_parents : forall slot e, Held slot -> slots st !! slot = Some e -> fine_parent (parent e);
  same_entries : forall slot, ~ reached (ASlot slot) -> ~ lends start reached slot -> slots st !! slot = slots start !! slot
}.

Lemma stays_refl a : stays a a. Proof. destruct a; simpl; auto. Qed.
Lemma stays_trans a b c : stays a b -> stays b c -> stays a c.
Proof. destruct a, b, c; simpl; try tauto. intros (-> & -> & ->) (-> & -> & ->). auto. Qed.
Lemma stays_capability st st' slot c : stays (slots st !! slot) (slots st' !! slot) -> capability_at slot st' = Some c -> capability_at slot st = Some c.
Proof. unfold capability_at. destruct (slots st !! slot), (slots st' !! slot); simpl; try tauto; try discriminate. intros (-> & _). exact id. Qed.

Lemma own_touched t : Own t -> Touched t. Proof. intros o. apply o. left. reflexivity. Qed.
Lemma own_full t : Own t -> full t. Proof. intros o. apply o. right. left. reflexivity. Qed.
Lemma in_numbers i first count : In i (numbers_from first count) <-> first <= i /\ i < first + N.of_nat count.
Proof.
  revert first. induction count as [|count IH]; intros first; cbn [numbers_from]; [simpl; lia|].
  simpl In. rewrite IH. lia.
Qed.
Lemma own_slot t i : Own t -> i < thread_slots -> Held (slot_of t i).
Proof. intros o less. apply o. right. right. apply (in_map (fun i => ASlot (slot_of t i))). apply in_numbers. unfold thread_slots in *. simpl. lia. Qed.

(** What a capability opens, by its kind. *)
Lemma fine_names c o : fine c -> object_of c = Some o -> Touched o. Proof. intros ok same. apply ok, by_name. exact same. Qed.
Lemma fine_same_opening c made : (forall y, opens made y -> opens c y) -> fine c -> fine made. Proof. intros sub ok y op. apply ok, sub, op. Qed.

(** ** Closed sets *)
Lemma closed_is_within st : closed_under st reached -> reached (ASlot nowhere) -> (forall c, current_context st = Some c -> Touched c) -> (forall o, objects
    st !! o = objects start !! o) ->
  (forall slot, slots st !! slot = slots start !! slot) -> within st.
Proof.
  intros closed nowhere_ use_ same_o same_s. constructor; try assumption.
  - intros slot e ok there. split.
    + intros y op. refine (closed _ _ (by_capability st slot (capability e) y _ op) ok). unfold capability_at. rewrite there. reflexivity.
    + apply Forall_forall. intros child listed. refine (closed _ _ (by_derivation st slot child _) ok). unfold children_of. rewrite there. exact listed.
  - intros o x there. constructor.
    + intros ok. split.
      * apply Forall_forall. intros n listed. exact (closed _ _ (by_link st o x n there listed) ok).
      * destruct x; try exact I. intros gives y listed. exact (closed _ _ (by_grant st o thread y there gives listed) ok).
    + intros ok. split.
      * destruct x; try exact I.
        -- apply Forall_forall. intros t listed y in_t. exact (closed _ _ (by_meeting st o endpoint t y there listed in_t) ok).
        -- intros i v assigned_. exact (closed _ _ (by_pool st o pool i v there assigned_) ok).
      * intros slot above below. refine (closed _ _ (by_content st o slot above _) ok). unfold slot_count. rewrite there. destruct x; exact below.
  - intros t x there [ok|(ok & e & badge & r & cap_)] y listed.
    + exact (closed _ _ (by_timeout_slot st t x y there listed) ok).
    + exact (closed _ _ (by_timeout st t x e badge r y there cap_ listed) ok).
  - intros asid p ok there. exact (closed _ _ (by_asid_pool st asid p there) ok).
  - intros asid v ok there. exact (closed _ _ (by_asid st asid v there) ok).
  - intros irq ok there. exact (closed _ _ (by_interrupt st irq there) ok).
  - intros o _. apply same_o.
  - intros slot _. rewrite same_s. apply stays_refl.
  - intros slot e ok there. unfold fine_parent. destruct (parent e) as [p|] eqn:is_p; [|exact I]. right. exists slot, e. rewrite <- same_s. repeat split;
      assumption.
  - intros slot _ _. apply same_s.
Qed.
Lemma within_is_closed st : within st -> closed_under st reached.
Proof.
  intros ok x y [slot c z there op|slot child listed|o z n there listed|o slot above below|e z t u there listed in_t|t z u there gives in_t
    |t z e badge r u there cap_ in_t|t z u there in_t|p z i v there assigned_|asid p there|asid v there|irq there] r_.
  - unfold capability_at in there. destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection there as <-.
    exact (proj1 (fine_slots st ok slot e r_ found) z op).
  - unfold children_of in listed. destruct (slots st !! slot) as [e|] eqn:found; [|destruct listed].
    exact (proj1 (Forall_forall _ _) (proj2 (fine_slots st ok slot e r_ found)) child listed).
  - exact (proj1 (Forall_forall _ _) (proj1 (names_are_touched o z (fine_objects st ok o z there) r_)) n listed).
  - unfold slot_count in below. destruct (objects st !! o) as [z|] eqn:there; [|unfold slot_of in below; lia].
    refine (proj2 (content_is_held o z (fine_objects st ok o z there) r_) slot above _). destruct z; exact below.
  - exact (proj1 (Forall_forall _ _) (proj1 (content_is_held e _ (fine_objects st ok e _ there) r_)) t listed u in_t).
  - exact (proj2 (names_are_touched t _ (fine_objects st ok t _ there) r_) gives u in_t).
  - exact (fine_timeouts st ok t z there (or_intror (conj r_ (ex_intro _ e (ex_intro _ badge (ex_intro _ r cap_))))) u in_t).
  - exact (fine_timeouts st ok t z there (or_introl r_) u in_t).
  - exact (proj1 (content_is_held p _ (fine_objects st ok p _ there) r_) i v assigned_).
  - exact (fine_pools st ok asid p r_ there).
  - exact (fine_spaces st ok asid v r_ there).
  - exact (fine_interrupts st ok irq r_ there).
Qed.

(** ** Primitive changes *)
Lemma within_same a b : objects b = objects a -> slots b = slots a -> pools b = pools a -> interrupts b = interrupts a ->
  current_context b = current_context a -> within a -> within b.
Proof.
  intros same1 same2 same3 same4 same5 [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12].
  assert (forall asid, vspace_of_asid asid b = vspace_of_asid asid a) as same_space by (intros asid; unfold vspace_of_asid, pool; rewrite same3, same1;
      reflexivity).
  constructor; unfold capability_at in *; rewrite ?same1, ?same2, ?same3, ?same4, ?same5; try assumption.
  intros asid v. rewrite same_space. apply f5.
Qed.
Definition is_pool (x : Object) : bool := match x with ASIDPoolObject _ => true | _ => false end.
Lemma pool_of_put o x y p st : objects st !! o = Some y -> is_pool y = false -> is_pool x = false -> pool p (put_object o x st) = pool p st.
Proof.
  intros there other_y other_x. unfold pool. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec p o) as [->|]; [|reflexivity]. rewrite there. destruct x, y; try discriminate; reflexivity.
Qed.
Lemma within_put_but o x y st : objects st !! o = Some y -> same_kind y x -> Touched o -> fine_object o x ->
  (forall asid v, reached (ASpace asid) -> vspace_of_asid asid (put_object o x st) = Some v -> Touched v) -> within st -> within (put_object o x st).
Proof.
  intros there kind ok fine_x spaces [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12].
  constructor; try assumption; change (objects (put_object o x st)) with (set o x (objects st)).
  - intros p z. rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [intros same; injection same as <-; exact fine_x | apply f2].
  - intros t z. rewrite find_set. destruct (N.eqb_spec t o) as [->|]; [|apply (f3 t z)].
    intros same. injection same as ->. destruct y; try contradiction. exact (f3 o thread there).
  - intros p not_. rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [contradiction | exact (f7 p not_)].
Qed.
Lemma within_put o x y st : objects st !! o = Some y -> same_kind y x -> is_pool x = false -> Touched o -> fine_object o x -> within st -> within (put_object
    o x st).
Proof.
  intros there kind no_pool ok fine_x w. apply (within_put_but o x y st there kind ok fine_x); [|exact w]. intros asid v ok_ found.
  apply (fine_spaces st w asid v ok_). revert found. unfold vspace_of_asid. change (pools (put_object o x st)) with (pools st).
  destruct (pools st !! _) as [p|]; [|discriminate]. rewrite (pool_of_put o x y p st there); [exact id | destruct x, y; try contradiction; try reflexivity;
    discriminate | exact no_pool].
Qed.
Lemma count_same y x : same_kind y x -> count_of_object x = count_of_object y.
Proof. destruct x, y; simpl; try tauto. intros ->. reflexivity. Qed.
Lemma fine_update o y x : same_kind y x -> (Touched o -> all_touched (names_in x) /\ giving o x) -> (full o -> holding o x) -> fine_object o y -> fine_object
    o x.
Proof.
  intros kind names hold ok. constructor; [exact names|]. intros full_. split; [exact (hold full_)|]. rewrite (count_same y x kind).
  exact (proj2 (content_is_held o y ok full_)).
Qed.
Lemma within_slots st st' : objects st' = objects st -> pools st' = pools st -> interrupts st' = interrupts st -> current_context st' = current_context st ->
  (forall j, (Held j /\ match slots st' !! j with Some e => fine_entry e /\ fine_parent (parent e) | None => True end)
             \/ (stays (slots st !! j) (slots st' !! j) /\ (slots st' !! j = slots st !! j \/ Held j \/ lends start reached j)
                 /\ (Held j -> match slots st' !! j with Some e => Forall Held (children e) | None => True end))) ->
  within st -> within st'.
Proof.
  intros same1 same3 same4 same5 each [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12].
  assert (forall asid, vspace_of_asid asid st' = vspace_of_asid asid st) as same_space
    by (intros asid; unfold vspace_of_asid, pool; rewrite same3, same1; reflexivity).
  constructor; rewrite ?same1, ?same3, ?same4, ?same5; try assumption.
  - intros slot e ok there. destruct (each slot) as [(_ & fine_e)|(stay & _ & listed)]; rewrite there in *; [exact (proj1 fine_e)|].
    split; [|exact (listed ok)]. destruct (slots st !! slot) as [e0|] eqn:found; [|destruct stay]. destruct stay as (-> & _). exact (proj1 (f1 slot e0 ok
        found)).
  - intros t x there [ok|(ok & e & badge & r & found)]; [exact (f3 t x there (or_introl ok))|].
    destruct (each (slot_of t timeout_slot)) as [(held_ & _)|(stay & _)]; [exact (f3 t x there (or_introl held_))|].
    apply (f3 t x there). right. split; [exact ok|]. exists e, badge, r. exact (stays_capability _ _ _ _ stay found).
  - intros asid v. rewrite same_space. apply f5.
  - intros slot not_. destruct (each slot) as [(held_ & _)|(stay & _)]; [destruct (not_ held_)|]. exact (stays_trans _ _ _ (f8 slot not_) stay).
  - intros slot e ok there. destruct (each slot) as [(_ & fine_e)|(stay & _)]; rewrite there in *; [exact (proj2 fine_e)|].
    destruct (slots st !! slot) as [e0|] eqn:found; [|destruct stay]. destruct stay as (_ & _ & ->). exact (f11 slot e0 ok found).
  - intros slot not_ alone. destruct (each slot) as [(held_ & _)|(_ & [same|[held_|lends_]] & _)]; [destruct (not_ held_)| |destruct (not_ held_)|destruct
      (alone lends_)].
    rewrite same. exact (f12 slot not_ alone).
Qed.
Lemma within_emit e st : within st -> within (emit e st). Proof. apply within_same; reflexivity. Qed.
Lemma within_parent child p st : Held child -> fine_parent p -> within st -> within (change_entry child (with_parent p) st).
Proof.
  intros ok ok_p w. apply (within_slots st); try reflexivity; [|exact w]. intros j.
  change (slots (change_entry child (with_parent p) st)) with (update child (with_parent p) (slots st)). rewrite find_update.
  destruct (N.eqb_spec j child) as [->|].
  - left. split; [exact ok|]. destruct (slots st !! child) as [e|] eqn:there; [|exact I]. exact (conj (fine_slots st w child e ok there) ok_p).
  - right. split; [apply stays_refl|]. split; [left; reflexivity|]. intros held_.
    destruct (slots st !! j) as [e|] eqn:there; [exact (proj2 (fine_slots st w j e held_ there)) | exact I].
Qed.
Lemma within_children p f st : fine_parent p -> (forall l, Forall Held l -> Forall Held (f l)) -> within st -> within (change_children p f st).
Proof.
  intros ok_p each w. destruct p as [p|]; [|exact w]. apply (within_slots st); try reflexivity; [|exact w]. intros j.
  change (slots (change_children (Some p) f st)) with (update p (fun e => with_children (f (children e)) e) (slots st)). rewrite find_update.
  right. destruct (N.eqb_spec j p) as [->|].
  - destruct (slots st !! p) as [e|] eqn:there; [|split; [exact I | split; [left; reflexivity | intros; exact I]]]. split; [repeat split|]. split; [right;
      exact ok_p|].
    intros ok. exact (each _ (proj2 (fine_slots st w p e ok there))).
  - split; [apply stays_refl|]. split; [left; reflexivity|]. intros held_. destruct (slots st !! j) as [e|] eqn:there; [exact (proj2 (fine_slots st w j e
      held_ there)) | exact I].
Qed.
Lemma within_set_slots f slot st : Held slot -> (forall j, j <> slot -> f (slots st) !! j = slots st !! j) ->
  match f (slots st) !! slot with Some e => fine_entry e /\ fine_parent (parent e) | None => True end -> within st -> within (st <| slots := f (slots st) |>).
Proof.
  intros ok others here w. apply (within_slots st); try reflexivity; [|exact w]. intros j.
  change (slots (st <| slots := f (slots st) |>)) with (f (slots st)). destruct (N.eq_dec j slot) as [->|other]; [left; split; [exact ok | exact here]|].
  rewrite (others j other). right. split; [apply stays_refl|]. split; [left; reflexivity|]. intros held_.
  destruct (slots st !! j) as [e|] eqn:there; [exact (proj2 (fine_slots st w j e held_ there)) | exact I].
Qed.
Lemma within_put_entry slot e st : Held slot -> fine_entry e -> fine_parent (parent e) -> within st -> within (put_entry slot e st).
Proof.
  intros ok fine_e ok_p. apply (within_set_slots (set slot e) slot st ok).
  - intros j other. rewrite find_set. apply N.eqb_neq in other. rewrite other. reflexivity.
  - rewrite find_set, N.eqb_refl. exact (conj fine_e ok_p).
Qed.
Lemma within_remove_slot slot st : Held slot -> within st -> within (st <| slots := remove slot (slots st) |>).
Proof.
  intros ok. apply (within_set_slots (remove slot) slot st ok).
  - intros j other. rewrite find_remove. apply N.eqb_neq in other. rewrite other. reflexivity.
  - rewrite find_remove, N.eqb_refl. exact I.
Qed.
Lemma within_count c st : within st -> within (count_reference c st).
Proof. unfold count_reference. destruct (referent c); [apply within_same; reflexivity | exact id]. Qed.
Lemma within_discount c st : within st -> within (discount_reference c st).
Proof. unfold discount_reference. destruct (referent c); [apply within_same; reflexivity | exact id]. Qed.
Lemma held_replace old new l : (In old l -> Forall Held new) -> Forall Held l -> Forall Held (replace old new l).
Proof.
  rewrite !Forall_forall. intros new_ l_ x listed. apply TreeProofs.in_replace in listed. destruct listed as [(listed & _)|(old_ & listed)]; [exact (l_ x
      listed)|].
  exact (new_ old_ x listed).
Qed.
Lemma within_insert_child slot p o c st : Held slot -> Held p -> fine c -> within st -> within (insert_child slot p o c st).
Proof.
  intros ok p_ok fine_c w. unfold insert_child. destruct (_ && _); [|exact (within_emit _ st w)].
  apply within_count, within_put_entry; [exact ok | split; [exact fine_c | constructor] | left; exact p_ok|].
  apply within_children; [left; exact p_ok | | exact w]. intros l listed. constructor; assumption.
Qed.
Lemma within_insert_sibling slot s o c st : Held slot -> Held s -> fine c -> within st -> within (insert_sibling slot s o c st).
Proof.
  intros ok source_ok fine_c w. unfold insert_sibling. destruct (is_empty slot st), (slots st !! s) as [e|] eqn:there; try exact (within_emit _ st w).
  pose proof (fine_parents st w s e source_ok there) as ok_p.
  apply within_count, within_put_entry; [exact ok | split; [exact fine_c | constructor] | exact ok_p|].
  apply within_children; [exact ok_p | | exact w]. intros l. apply held_replace. intros _. repeat constructor; assumption.
Qed.
Lemma within_adopt p l st : fine_parent p -> Forall Held l -> within st -> within (fold_left (fun st child => change_entry child (with_parent p) st) l st).
Proof. intros ok_p each. revert st. induction each as [|child l ok _ IH]; intros st w; [exact w|]. apply IH, within_parent; assumption. Qed.
Lemma within_remove_capability slot st : Held slot -> within st -> within (remove_capability slot st).
Proof.
  intros ok w. unfold remove_capability. destruct (slots st !! slot) as [e|] eqn:there; [|exact w]. cbv zeta.
  destruct (fine_slots st w slot e ok there) as (_ & listed). pose proof (fine_parents st w slot e ok there) as ok_p.
  apply within_discount, within_remove_slot, within_children; [exact ok | exact ok_p | intros l; apply held_replace; intros _; exact listed | apply
      within_adopt; assumption].
Qed.
Lemma within_move from to st : Held from -> Held to -> within st -> within (move_capability from to st).
Proof.
  intros ok to_ok w. unfold move_capability. destruct (slots st !! from) as [e|] eqn:there; [|exact (within_emit _ st w)].
  destruct (is_empty to st); [|exact (within_emit _ st w)]. cbv zeta.
  pose proof (fine_slots st w from e ok there) as fine_e. pose proof (fine_parents st w from e ok there) as ok_p.
  assert (within (change_children (parent e) (replace from [to]) (fold_left (fun st child => change_entry child (with_parent (Some to)) st) (children e)
      st))) as w1.
  { apply within_children; [exact ok_p | intros l; apply held_replace; intros _; repeat constructor; assumption|].
    apply within_adopt; [left; exact to_ok | exact (proj2 fine_e) | exact w]. }
  revert w1. generalize (change_children (parent e) (replace from [to]) (fold_left (fun st child => change_entry child (with_parent (Some to)) st) (children
      e) st)).
  intros st1 w1. apply (within_put_entry to e _ to_ok fine_e ok_p (within_remove_slot from st1 ok w1)).
Qed.
Lemma within_exchange a b st : Held a -> Held b -> within st -> within (exchange_capabilities a b st).
Proof. intros ok_a ok_b w. pose proof (nowhere_is_held st w). unfold exchange_capabilities. repeat apply within_move; assumption. Qed.
Lemma within_replace slot e c st : Held slot -> slots st !! slot = Some e -> fine c -> within st -> within (replace_capability slot e c st).
Proof.
  intros ok there fine_c w. unfold replace_capability. apply within_count, within_put_entry; [exact ok | | exact (fine_parents st w slot e ok there) | apply
      within_discount; exact w].
  split; [exact fine_c | exact (proj2 (fine_slots st w slot e ok there))].
Qed.
Lemma within_change_capability slot c st : Held slot -> fine c -> within st -> within (change_capability slot c st).
Proof.
  intros ok fine_c w. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|exact (within_emit _ st w)].
  destruct (_ && _); [exact (within_replace slot e c st ok there fine_c w) | exact (within_emit _ st w)].
Qed.
Lemma within_remove_object o st : Touched o -> within st -> within (remove_object o st).
Proof.
  intros ok [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12]. constructor; try assumption; change (objects (remove_object o st)) with (remove o (objects st)).
  - intros p x. rewrite find_remove. destruct (p =? o); [discriminate | apply f2].
  - intros t x. rewrite find_remove. destruct (t =? o); [discriminate | apply (f3 t x)].
  - intros asid v ok_ found. apply (f5 asid v ok_). revert found. unfold vspace_of_asid. change (pools (remove_object o st)) with (pools st).
    destruct (pools st !! _) as [p|]; [|discriminate]. unfold pool. change (objects (remove_object o st)) with (remove o (objects st)).
    rewrite find_remove. destruct (p =? o); [cbn [assigned]; rewrite find_empty; discriminate | exact id].
  - intros p not_. rewrite find_remove. destruct (N.eqb_spec p o) as [->|]; [contradiction | exact (f7 p not_)].
Qed.
Lemma fine_at slot st c : Held slot -> within st -> capability_at slot st = Some c -> fine c.
Proof.
  intros ok w. unfold capability_at. destruct (slots st !! slot) as [e|] eqn:there; [|discriminate]. intros same. injection same as <-.
  exact (proj1 (fine_slots st w slot e ok there)).
Qed.
Lemma within_discard slot st : Held slot -> within st -> within (discard slot st).
Proof.
  intros ok w. unfold discard. destruct (capability_at slot st) as [c|] eqn:there; [|exact w].
  pose proof (fine_at slot st c ok w there) as fine_c. destruct (object_of c) as [o|] eqn:names_; [|exact (within_remove_capability slot st ok w)].
  destruct (_ || _); [|exact (within_remove_capability slot st ok w)].
  apply within_remove_object; [exact (fine_names c o fine_c names_) | exact (within_remove_capability slot st ok w)].
Qed.

(** ** What it means for everything that carries a state or a name *)
#[local] Existing Instance own_touched.
Class Good (T : Type) : Type := good : T -> Prop.
Instance good_any (T : Type) : Good T | 100 := fun _ => True.
Instance good_state : Good State := within.
Instance good_name : Good (option N) | 0 := fun o => match o with Some n => Touched n | None => True end.
Instance good_names : Good (list N) | 0 := Forall Touched.
Instance good_capability : Good Capability := fine.
Instance good_place : Good (N * Capability) | 0 := fun p => Held (fst p) /\ fine (snd p).
Instance good_found : Good (N + LookupReport) | 0 := fun x => match x with inl slot => Held slot | inr _ => True end.
Instance good_run_state : Good RunState := fun s => Forall Touched (waits_at s).
Instance good_thread : Good Thread := fun x => good (run_state x) /\ good (bound_notification x) /\ good (sched_context x) /\ good (yielded_to x).
Instance good_endpoint : Good Endpoint := fun x => good (senders x) /\ good (receivers x).
Instance good_notification : Good Notification := fun x => good (waiters x) /\ good (bound_thread x) /\ good (lent_context x).
Instance good_reply : Good Reply := fun x => good (caller x) /\ good (receiver x) /\ good (along x).
Instance good_context : Good SchedContext := fun x => good (context_thread x) /\ good (context_notification x) /\ good (calls x) /\ good (yielder x).
Instance good_argument : Good Argument := fun a => match argument a with Some c => Held (argument_slot a) /\ fine c | None => True end.
Instance good_arguments : Good (list Argument) := Forall good.
Instance good_invocation : Good Invocation := fun call => Own (invoker call) /\ Held (invoked_slot call) /\ good (invoked call) /\ good (cap_arguments call).
Instance good_pair {A B : Type} `{Good A} `{Good B} : Good (A * B) | 10 := fun p => good (fst p) /\ good (snd p).
Instance good_progress : Good Progress := fun p => good (state_of p).
Instance good_outcome : Good Outcome := fun o => match o with Returns _ st | Stops st | Continues st => good st end.
Instance good_loop {A B : Type} `{Good A} `{Good B} : Good (Turn_of_loop A B) := fun t => match t with Again a => good a | Finished b => good b end.
Instance good_sum {A B : Type} `{Good A} `{Good B} : Good (A + B) | 10 := fun x => match x with inl a => good a | inr b => good b end.
Instance good_option {A : Type} `{Good A} : Good (option A) | 10 := fun o => match o with Some a => good a | None => True end.
Class Keeps {T : Type} `{Good T} (f : State -> T) : Prop := keeps : forall st, good st -> good (f st).
Instance good_decision : Good Decision := fun d => match d with Perform work => Keeps work | Refuse _ _ => True end.

Lemma good_done st : good st -> good (Done st). Proof. exact id. Qed.
Lemma good_preempted st : good st -> good (Preempted st). Proof. exact id. Qed.
Lemma good_returns l st : good st -> good (Returns l st). Proof. exact id. Qed.
Lemma good_stops st : good st -> good (Stops st). Proof. exact id. Qed.
Lemma good_continues st : good st -> good (Continues st). Proof. exact id. Qed.
Lemma good_again {A B : Type} `{Good A} `{Good B} (a : A) : good a -> good (Again a : Turn_of_loop A B). Proof. exact id. Qed.
Lemma good_finished {A B : Type} `{Good A} `{Good B} (b : B) : good b -> good (Finished b : Turn_of_loop A B). Proof. exact id. Qed.
Lemma good_perform work : Keeps work -> good (Perform work). Proof. exact id. Qed.
Lemma good_both {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : good a -> good b -> @good _ good_pair (a, b).
Proof. split; assumption. Qed.
Lemma both_good {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : @good _ good_pair (a, b) -> good a /\ good b. Proof. exact id. Qed.
Lemma good_the_place s (c : Capability) : Held s -> good c -> good (s, c). Proof. split; assumption. Qed.
Lemma the_place_good s (c : Capability) : good (s, c) -> Held s /\ good c. Proof. exact id. Qed.
Lemma good_named n : Touched n -> good (Some n). Proof. exact id. Qed.
Lemma named_good n : good (Some n) -> Touched n. Proof. exact id. Qed.
Lemma good_some {A : Type} `{Good A} (a : A) : good a -> @good _ good_option (Some a). Proof. exact id. Qed.
Lemma some_good {A : Type} `{Good A} (a : A) : @good _ good_option (Some a) -> good a. Proof. exact id. Qed.
Lemma found_good s : good (inl s : N + LookupReport) -> Held s. Proof. exact id. Qed.
Lemma inl_good {A B : Type} `{Good A} `{Good B} (a : A) : @good _ good_sum (inl a : A + B) -> good a. Proof. exact id. Qed.
Lemma good_inl {A B : Type} `{Good A} `{Good B} (a : A) : good a -> @good _ good_sum (inl a : A + B). Proof. exact id. Qed.
Lemma good_inr {A B : Type} `{Good A} `{Good B} (b : B) : good b -> @good _ good_sum (inr b : A + B). Proof. exact id. Qed.
Lemma done_good st : good (Done st) -> good st. Proof. exact id. Qed.
Lemma preempted_good st : good (Preempted st) -> good st. Proof. exact id. Qed.
Lemma returns_good l st : good (Returns l st) -> good st. Proof. exact id. Qed.
Lemma stops_good st : good (Stops st) -> good st. Proof. exact id. Qed.
Lemma continues_good st : good (Continues st) -> good st. Proof. exact id. Qed.
Lemma again_good {A B : Type} `{Good A} `{Good B} (a : A) : good (Again a : Turn_of_loop A B) -> good a. Proof. exact id. Qed.
Lemma finished_good {A B : Type} `{Good A} `{Good B} (b : B) : good (Finished b : Turn_of_loop A B) -> good b. Proof. exact id. Qed.
Lemma cons_good n (l : list N) : good (n :: l) -> Touched n /\ good l. Proof. intros ok. inversion ok as [|? ? first_ rest_]. split; [exact first_ | exact
    rest_]. Qed.
Lemma good_cons n (l : list N) : Touched n -> good l -> good (n :: l). Proof. intros first_ rest_. constructor; [exact first_ | exact rest_]. Qed.
Lemma receive_good e (r : option N) a b : good (BlockedOnReceive e r a b) -> Touched e /\ good r.
Proof. intros ok. inversion ok as [|? ? e_ r_]. split; [exact e_|]. destruct r; [inversion r_; assumption | exact I]. Qed.
Lemma good_receive e (r : option N) a b : Touched e -> good r -> good (BlockedOnReceive e r a b).
Proof. intros e_ r_. constructor; [exact e_|]. destruct r; repeat constructor. exact r_. Qed.
Lemma send_good e a b c d f : good (BlockedOnSend e a b c d f) -> Touched e. Proof. intros ok. inversion ok as [|? ? first_ rest_]. exact first_. Qed.
Lemma good_send e a b c d f : Touched e -> good (BlockedOnSend e a b c d f). Proof. intros first_. constructor; [exact first_ | constructor]. Qed.
Lemma on_reply_good r a : good (BlockedOnReply r a) -> Touched r. Proof. intros ok. inversion ok as [|? ? first_ rest_]. exact first_. Qed.
Lemma good_on_reply r a : Touched r -> good (BlockedOnReply r a). Proof. intros first_. constructor; [exact first_ | constructor]. Qed.
Lemma on_notification_good n : good (BlockedOnNotification n) -> Touched n. Proof. intros ok. inversion ok as [|? ? first_ rest_]. exact first_. Qed.
Lemma good_on_notification n : Touched n -> good (BlockedOnNotification n). Proof. intros first_. constructor; [exact first_ | constructor]. Qed.
Lemma good_inactive : good Inactive. Proof. constructor. Qed.
Lemma good_running : good Running. Proof. constructor. Qed.

(** Fields of what is good. *)
Lemma good_bound (x : Thread) : good x -> good (bound_notification x). Proof. intros (_ & ok & _). exact ok. Qed.
Lemma good_run (x : Thread) : good x -> good (run_state x). Proof. intros (ok & _). exact ok. Qed.
Lemma good_sched (x : Thread) : good x -> good (sched_context x). Proof. intros (_ & _ & ok & _). exact ok. Qed.
Lemma good_yielded (x : Thread) : good x -> good (yielded_to x). Proof. intros (_ & _ & _ & ok). exact ok. Qed.
Lemma good_senders (x : Endpoint) : good x -> good (senders x). Proof. intros (ok & _). exact ok. Qed.
Lemma good_receivers (x : Endpoint) : good x -> good (receivers x). Proof. intros (_ & ok). exact ok. Qed.
Lemma good_waiters (x : Notification) : good x -> good (waiters x). Proof. intros (ok & _). exact ok. Qed.
Lemma good_bound_thread (x : Notification) : good x -> good (bound_thread x). Proof. intros (_ & ok & _). exact ok. Qed.
Lemma good_lent (x : Notification) : good x -> good (lent_context x). Proof. intros (_ & _ & ok). exact ok. Qed.
Lemma good_caller (x : Reply) : good x -> good (caller x). Proof. intros (ok & _). exact ok. Qed.
Lemma good_receiver (x : Reply) : good x -> good (receiver x). Proof. intros (_ & ok & _). exact ok. Qed.
Lemma good_along (x : Reply) : good x -> good (along x). Proof. intros (_ & _ & ok). exact ok. Qed.
Lemma good_context_thread (x : SchedContext) : good x -> good (context_thread x). Proof. intros (ok & _). exact ok. Qed.
Lemma good_context_notification (x : SchedContext) : good x -> good (context_notification x). Proof. intros (_ & ok & _). exact ok. Qed.
Lemma good_calls (x : SchedContext) : good x -> good (calls x). Proof. intros (_ & _ & ok & _). exact ok. Qed.
Lemma good_yielder (x : SchedContext) : good x -> good (yielder x). Proof. intros (_ & _ & _ & ok). exact ok. Qed.
Lemma good_argument_of (a : Argument) : good a -> @good _ good_option (argument a).
Proof. unfold good, good_argument, good_option. destruct (argument a); [intros (_ & ok); exact ok | exact id]. Qed.
Lemma good_invoked (call : Invocation) : good call -> good (invoked call). Proof. intros (_ & _ & ok & _). exact ok. Qed.
Lemma good_cap i (call : Invocation) : good call -> good (cap i call).
Proof.
  intros (_ & _ & _ & each). unfold cap. revert i. induction each as [|a l ok _ IH]; intros [|i]; simpl; try exact I; [exact ok | apply IH].
Qed.

Lemma good_names_of x (l : list N) : (forall n, In n l -> In n (names_in x)) -> all_touched (names_in x) -> good l.
Proof. intros sub ok. apply Forall_forall. intros n listed. exact (proj1 (Forall_forall _ _) ok n (sub n listed)). Qed.
Lemma good_name_of x (o : option N) : (forall n, o = Some n -> In n (names_in x)) -> all_touched (names_in x) -> good o.
Proof. intros sub ok. destruct o as [n|]; [|exact I]. exact (proj1 (Forall_forall _ _) ok n (sub n eq_refl)). Qed.
Lemma touched_named (o : option N) : Forall Touched (the_name o) <-> good o.
Proof. destruct o; simpl; split; try (intros ok; inversion ok; assumption); try (intros; repeat constructor; assumption); intros; exact I. Qed.
Lemma names_of_thread x : all_touched (names_in (ThreadObject x)) <-> good x.
Proof. unfold all_touched. cbn [names_in]. rewrite !Forall_app, !touched_named. reflexivity. Qed.
Lemma names_of_endpoint x : all_touched (names_in (EndpointObject x)) <-> good x.
Proof. unfold all_touched. cbn [names_in]. rewrite !Forall_app. reflexivity. Qed.
Lemma names_of_notification x : all_touched (names_in (NotificationObject x)) <-> good x.
Proof. unfold all_touched. cbn [names_in]. rewrite !Forall_app, !touched_named. reflexivity. Qed.
Lemma names_of_reply x : all_touched (names_in (ReplyObject x)) <-> good x.
Proof. unfold all_touched. cbn [names_in]. rewrite !Forall_app, !touched_named. reflexivity. Qed.
Lemma names_of_context x : all_touched (names_in (SchedContextObject x)) <-> good x.
Proof. unfold all_touched. cbn [names_in]. rewrite !Forall_app, !touched_named. reflexivity. Qed.

(** Capabilities that are made of one open no more. *)
Lemma good_derived (c : Capability) : good c -> good (derived c).
Proof. destruct c; try exact id. intros _ y op. cbn [derived] in op. inversion op; subst; try discriminate. destruct H as [?|(? & ?)]; discriminate. Qed.
Lemma good_mask m (c : Capability) : good c -> good (mask_rights m c).
Proof.
  destruct c; try exact id; intros ok y op; cbn [mask_rights] in op; inversion op; subst; try (apply ok, by_name; assumption);
    try (match goal with H : _ \/ _ |- _ => destruct H as [?|(? & ?)]; discriminate end); try (apply ok, by_mapping).
  apply ok, by_granting. cbn [common_rights can_grant] in *. match goal with H : _ && _ = true |- _ => apply andb_prop in H; exact (proj2 H) end.
Qed.
Lemma good_with_guard d (c : Capability) : good c -> @good _ good_option (with_guard d c).
Proof.
  destruct c; try exact id. intros ok. cbn [with_guard]. cbv zeta. destruct (_ <=? 64); [|exact I]. intros y op. inversion op; subst.
  - apply ok, by_name. assumption.
  - apply ok, by_taking. assumption.
  - apply ok, by_ending_cnode.
  - match goal with H : _ \/ _ |- _ => destruct H as [?|(? & ?)]; discriminate end.
Qed.
Lemma good_with_badge d (c : Capability) : good c -> @good _ good_option (with_badge d c).
Proof.
  destruct c; try apply (good_with_guard d); intros ok; cbn [with_badge]; destruct badge; try exact I; intros y op; inversion op; subst;
    try (apply ok; first [apply by_name; assumption | apply by_granting; assumption]);
    match goal with H : _ \/ _ |- _ => destruct H as [?|(? & ?)]; discriminate end.
Qed.
Lemma good_mutated d (c : Capability) : good c -> @good _ good_option (mutated d c).
Proof. intros ok. destruct c; try exact I; exact (good_with_guard d _ ok). Qed.
Ltac opened := let op := fresh "op" in intros ? op; inversion op; subst; try discriminate;
  try (match goal with H : _ \/ _ |- _ => destruct H as [?|(? & ?)]; discriminate end).
Lemma good_used base bits device used used' : good (UntypedCap base bits device used) -> good (UntypedCap base bits device used').
Proof. intros ok. opened. apply ok. econstructor; eassumption. Qed.
Lemma good_unmapped_frame base bits device r p : good (FrameCap base bits device r p) -> good (FrameCap base bits device r None).
Proof. intros _. opened. Qed.
Lemma good_unmapped_table t p : good (PageTableCap t p) -> good (PageTableCap t None).
Proof. intros ok. opened. apply ok, by_name. assumption. Qed.
Lemma good_zombie (c : Capability) o st : good c -> container_of c st = Some o -> good (ZombieCap o).
Proof.
  intros ok. unfold container_of. destruct c; try discriminate.
  - destruct (is_last _ st); [|discriminate]. intros same. injection same as <-. opened.
    + apply ok, by_name. assumption.
    + destruct H0 as [<-|[<-|[]]]; apply ok; [apply by_ending_cnode | apply by_taking]. assert (2 ^ radix <> 0) by (apply N.pow_nonzero; lia). lia.
  - destruct (is_last _ st); [|discriminate]. intros same. injection same as <-. opened.
    + apply ok, by_name. assumption.
    + apply ok, by_control. destruct H0 as [<-|[<-|[]]]; [right; left; reflexivity | right; right; left; reflexivity].
  - intros same. injection same as <-. exact ok.
Qed.
Lemma good_thread_capability t : good (TCBCap t) -> Own t. Proof. intros ok y listed. apply ok, by_control. exact listed. Qed.
Lemma good_opens (c : Capability) o : good c -> object_of c = Some o -> Touched o. Proof. exact (fine_names c o). Qed.
Class Making (make : Capability -> option Capability) : Prop := making : forall c, good c -> @good _ good_option (make c).
Instance making_some : Making Some. Proof. intros c ok. exact ok. Qed.
Instance making_badge d : Making (with_badge d). Proof. exact (good_with_badge d). Qed.
Instance making_mutated d : Making (mutated d). Proof. exact (good_mutated d). Qed.

Lemma good_calls_from r (l : list N) : good l -> good (calls_from r l).
Proof.
  induction l as [|a rest IH]; [exact id|]. cbn [calls_from]. intros ok. destruct (a =? r); [exact ok|]. apply IH. exact (proj2 (cons_good _ _ ok)).
Qed.
Lemma good_calls_above r (l : list N) : good l -> good (calls_above r l).
Proof.
  induction l as [|a rest IH]; [exact id|]. cbn [calls_above]. intros ok. destruct (cons_good _ _ ok) as (first_ & rest_).
  destruct (a =? r); [constructor | apply good_cons; [exact first_ | exact (IH rest_)]].
Qed.
Lemma good_reply_of (a b c : option N) : good a -> good b -> good c -> good {| caller := a; receiver := b; along := c |}.
Proof. intros a_ b_ c_. exact (conj a_ (conj b_ c_)). Qed.
Lemma good_unused : good unused_reply. Proof. repeat split. Qed.

(** ** Names that are found *)
#[local] Hint Constants Opaque : typeclass_instances.
Class Full (o : N) : Prop := is_full : full o.
Class Space (asid : N) : Prop := is_space : reached (ASpace asid).
Ltac find_name :=
  match goal with
  | H : good ?call |- Own (invoker ?call) => exact (proj1 H)
  | H : good ?call |- Touched (invoker ?call) => exact (own_touched _ (proj1 H))
  | H : good ?call |- Held (invoked_slot ?call) => exact (proj1 (proj2 H))
  | H : good ?c |- Touched ?o => exact (good_opens c o H eq_refl)
  | H : good (TCBCap ?t) |- Own ?t => exact (good_thread_capability t H)
  | H : Own ?t |- Full ?t => exact (own_full t H)
  | H : Own ?t |- Held (slot_of ?t ?i) => exact (own_slot t i H eq_refl)
  | H : good (ZombieCap ?o) |- Full ?o => exact (H _ (by_ending o (Contents o) (or_introl eq_refl)))
  | H : good (FrameCap ?b ?s ?d ?r (Some ?p)) |- Space (place_asid ?p) => exact (H _ (by_mapping b s d r p))
  | H : good (PageTableCap ?t (Some ?p)) |- Space (place_asid ?p) => exact (H _ (by_table t p))
  | H : good (VSpaceCap ?v (Some ?a)) |- Space ?a => exact (H _ (by_space v a))
  | H : good (IRQHandlerCap ?i) |- Held (irq_slot ?i) => exact (H _ (by_handling i))
  | H : good (NotificationCap ?n _ _) |- good (NotificationCap ?n _ _) => exact H
  end.
Hint Extern 1 (Touched _) => find_name : typeclass_instances.
Hint Extern 1 (Held _) => find_name : typeclass_instances.
Hint Extern 1 (Own _) => find_name : typeclass_instances.
Hint Extern 1 (Full _) => find_name : typeclass_instances.
Hint Extern 1 (Space _) => find_name : typeclass_instances.

Ltac carries_state T :=
  lazymatch T with
  | State => idtac
  | (_ * ?B)%type => carries_state B
  | Progress => idtac
  | Outcome => idtac
  | Decision => idtac
  | option ?A => carries_state A
  | Turn_of_loop _ ?B => carries_state B
  end.
Ltac carries_name T :=
  lazymatch T with
  | Capability => idtac
  | Argument => idtac
  | Invocation => idtac
  | list Argument => idtac
  | RunState => idtac
  | list N => idtac
  | option N => idtac
  | (N + LookupReport)%type => idtac
  | (_ * ?B)%type => carries_name B
  | (?A + _)%type => carries_name A
  | option ?A => carries_name A
  end.
Ltac open_hypotheses :=
  repeat match goal with
  | H : @good _ good_pair (_, _) |- _ => let a := fresh "ok" in let b := fresh "ok" in destruct (both_good _ _ H) as (a & b); clear H
  | H : @good _ good_place (_, _) |- _ => let a := fresh "ok" in let b := fresh "ok" in destruct (the_place_good _ _ H) as (a & b); clear H
  | H : good (Done _) |- _ => apply done_good in H
  | H : good (Preempted _) |- _ => apply preempted_good in H
  | H : good (Returns _ _) |- _ => apply returns_good in H
  | H : good (Stops _) |- _ => apply stops_good in H
  | H : good (Continues _) |- _ => apply continues_good in H
  | H : good (Again _) |- _ => apply again_good in H
  | H : good (Finished _) |- _ => apply finished_good in H
  | H : @good _ good_name (Some _) |- _ => apply named_good in H
  | H : @good _ good_option (Some _) |- _ => apply some_good in H
  | H : @good _ good_found (inl _) |- _ => apply found_good in H
  | H : @good _ good_sum (inl _) |- _ => apply inl_good in H
  | H : @good _ good_names (_ :: _) |- _ => let a := fresh "ok" in let b := fresh "ok" in destruct (cons_good _ _ H) as (a & b); clear H
  | H : good (BlockedOnReceive _ _ _ _) |- _ => let a := fresh "ok" in let b := fresh "ok" in destruct (receive_good _ _ _ _ H) as (a & b); clear H
  | H : good (BlockedOnSend _ _ _ _ _ _) |- _ => apply send_good in H
  | H : good (BlockedOnReply _ _) |- _ => apply on_reply_good in H
  | H : good (BlockedOnNotification _) |- _ => apply on_notification_good in H
  end.
Ltac open_up x ok := destruct x; open_hypotheses.
Class LosesContext : Prop := loses_context : forall o, Touched o -> Keeps (fun st => put_reply o (without_context (reply o st)) st).
Ltac keep_step find :=
  match goal with
  | |- True => exact I
  | |- _ /\ _ => split
  | H : good ?x |- good ?x => exact H
  | |- Touched _ => solve [typeclasses eauto]
  | |- Held _ => solve [typeclasses eauto]
  | |- Own _ => solve [typeclasses eauto]
  | |- @good _ good_pair (_, _) => apply good_both
  | |- @good _ good_place (_, _) => apply good_the_place
  | |- @good _ good_name (Some _) => apply good_named
  | |- @good _ good_name None => exact I
  | |- @good _ good_option (Some _) => apply good_some
  | |- @good _ good_option None => exact I
  | |- @good _ good_sum (inl _) => apply good_inl
  | |- @good _ good_sum (inr _) => apply good_inr
  | |- @good _ good_names [] => constructor
  | |- @good _ good_names (_ :: _) => apply good_cons
  | |- good (BlockedOnReceive _ _ _ _) => apply good_receive
  | |- good (BlockedOnSend _ _ _ _ _ _) => apply good_send
  | |- good (BlockedOnReply _ _) => apply good_on_reply
  | |- good (BlockedOnNotification _) => apply good_on_notification
  | |- good Inactive => exact good_inactive
  | |- good Running => exact good_running
  | |- good unused_reply => exact good_unused
  | |- good {| caller := _; receiver := _; along := _ |} => apply good_reply_of
  | |- good (calls_above _ _) => apply good_calls_above
  | |- good (calls_from _ _) => apply good_calls_from
  | |- good (bound_notification _) => apply good_bound
  | |- good (run_state _) => apply good_run
  | |- good (sched_context _) => apply good_sched
  | |- good (yielded_to _) => apply good_yielded
  | |- good (senders _) => apply good_senders
  | |- good (receivers _) => apply good_receivers
  | |- good (waiters _) => apply good_waiters
  | |- good (bound_thread _) => apply good_bound_thread
  | |- good (lent_context _) => apply good_lent
  | |- good (caller _) => apply good_caller
  | |- good (receiver _) => apply good_receiver
  | |- good (along _) => apply good_along
  | |- good (context_thread _) => apply good_context_thread
  | |- good (context_notification _) => apply good_context_notification
  | |- good (calls _) => apply good_calls
  | |- good (yielder _) => apply good_yielder
  | H : good ?a |- good (argument ?a) => exact (good_argument_of a H)
  | H : good ?call |- good (invoked ?call) => exact (good_invoked call H)
  | H : good ?call |- good (cap ?i ?call) => exact (good_cap i call H)
  | H : good ?call |- good (argument (cap ?i ?call)) => exact (good_argument_of _ (good_cap i call H))
  | |- good (derived _) => apply good_derived
  | |- good (mask_rights _ _) => apply good_mask
  | |- good (with_guard _ _) => apply good_with_guard
  | |- good (with_badge _ _) => apply good_with_badge
  | |- good (mutated _ _) => apply good_mutated
  | M : Making ?make |- good (?make _) => apply M
  | H : good (UntypedCap ?b ?s ?d ?u) |- good (UntypedCap ?b ?s ?d ?v) => exact (good_used b s d u v H)
  | H : good (FrameCap ?b ?s ?d ?r ?p) |- good (FrameCap ?b ?s ?d ?r None) => exact (good_unmapped_frame b s d r p H)
  | H : good (PageTableCap ?t ?p) |- good (PageTableCap ?t None) => exact (good_unmapped_table t p H)
  | |- good (Done _) => apply good_done
  | |- good (Preempted _) => apply good_preempted
  | |- good (Returns _ _) => apply good_returns
  | |- good (Stops _) => apply good_stops
  | |- good (Continues _) => apply good_continues
  | |- good (Again _) => apply good_again
  | |- good (Finished _) => apply good_finished
  | |- good (Refuse _ _) => exact I
  | |- good illegal_operation => exact I
  | |- good (invalid_argument _) => exact I
  | |- good (invalid_capability _) => exact I
  | |- good (range_error _ _) => exact I
  | |- good alignment_error => exact I
  | |- good truncated_message => exact I
  | |- good delete_first => exact I
  | |- good revoke_first => exact I
  | |- good (not_enough_memory _) => exact I
  | |- good (failed_lookup _ _) => exact I
  | |- good (missing_capability _) => exact I
  | |- good (Perform _) => apply good_perform; intros ? ?
  | |- @good _ (good_any _) _ => exact I
  | |- good (let x := ?v in @?b x) =>
      tryif (let T := type of v in carries_state T)
      then (let ok := fresh "ok" in assert (ok : good v); [|change (good (b v)); revert ok; generalize v; intros ? ok; cbv beta])
      else (change (good (b v)); cbv beta)
  | |- good (match ?x with _ => _ end) =>
      tryif (let T := type of x in carries_state T)
      then (let ok := fresh "ok" in assert (ok : good x); [|open_up x ok])
      else (let T := type of x in
            tryif carries_name T
            then first [let ok := fresh "ok" in assert (ok : good x) by (solve [find]); open_up x ok | destruct x]
            else destruct x)
  | H : good ?p |- @good State _ (state_of ?p) => exact H
  | |- good (and_then ?p _) => let ok := fresh "ok" in assert (ok : good p); [|unfold and_then; open_up p ok]
  | |- good (slot_in _ _ _ _ _ _) => unfold slot_in; cbv beta
  | |- good (empty_slot_in _ _ _ _ _) => unfold empty_slot_in; cbv beta
  | |- good (occupant _ _ _ _) => unfold occupant; cbv beta
  | |- good (thread_argument _ _ _) => unfold thread_argument; cbv beta
  | |- good (always _) => unfold always; cbv beta
  | |- good (in_progress _) => unfold in_progress; cbv beta
  | |- good (reports _) => unfold reports; cbv beta
  | |- good (set_field _ _ ?s) =>
      let ok := fresh "ok" in
      (cut (good s); [generalize s; intros ? ok; refine (within_same _ _ _ _ _ _ _ ok); reflexivity |])
  | |- good (put_reply ?o (without_context (reply ?o ?s)) ?s) => apply (loses_context o); [solve [typeclasses eauto]|]
  | |- good (?f ?s) => apply (keeps (f := f) s)
  | |- Keeps _ => intros ? ?; cbv beta
  end.
Ltac find_value := repeat keep_step ltac:(fail).
Ltac keep := repeat keep_step find_value.
Ltac head f := lazymatch f with ?g _ => head g | _ => f end.
Ltac keeping f := intros ? ?; cbv beta delta [f]; keep.
Hint Extern 0 (Keeps (fun _ => _)) => (intros ? ?; cbv beta; solve [keep]) : typeclass_instances.
Class Nice {T : Type} `{Good T} (x : T) : Prop := nice : good x.
Hint Extern 0 (Nice _) => (red; solve [keep]) : typeclass_instances.

(** ** Loops *)
Instance keeps_fold {A : Type} (f : State -> A -> State) (l : list A) :
  (forall a, Keeps (fun st => f st a)) -> Keeps (fold_left f l) | 10.
Proof. intros each. induction l as [|a rest IH]; intros st ok; [exact ok|]. apply IH. exact (each a st ok). Qed.
Instance keeps_fold_named (f : State -> N -> State) (l : list N) :
  Nice l -> (forall a, Touched a -> Keeps (fun st => f st a)) -> Keeps (fold_left f l) | 1.
Proof.
  intros listed each. red in listed. revert listed. induction l as [|a rest IH]; intros listed st ok; [exact ok|].
  destruct (cons_good _ _ listed) as (first_ & rest_). apply (IH rest_). exact (each a first_ st ok).
Qed.
Lemma good_repeat {A B : Type} `{Good A} `{Good B} n (f : A -> Turn_of_loop A B) (a : A) :
  (forall a, good a -> good (f a)) -> good a -> good (repeat_after n f a).
Proof. intros each. exact (repeat_keeps f good good each n a). Qed.

(** ** Objects *)
Definition fine_thread (o : N) (x : Thread) : Prop := good x /\ (gives_all (run_state x) = true -> Own o).
Definition queued (e : N) (l : list N) : Prop := Forall (fun n => Touched n /\ (full e -> Own n)) l.
Class FineThread (o : N) (f : Thread -> Thread) : Prop := fine_thread_change : forall x, fine_thread o x -> fine_thread o (f x).
Class FineEndpoint (o : N) (f : Endpoint -> Endpoint) : Prop :=
  fine_endpoint_change : forall x, queued o (senders x) -> queued o (receivers x) -> queued o (senders (f x)) /\ queued o (receivers (f x)).
Class FineNotification (f : Notification -> Notification) : Prop := fine_notification_change : forall x, good x -> good (f x).
Class FineContext (f : SchedContext -> SchedContext) : Prop :=
  fine_context_change : (forall x, good x -> good (f x)) /\ forall x, context_bits x = context_bits (f x).
Definition fine_table (t : Table PageEntry) : Prop := forall i n, t !! i = Some (NextTable n) -> Touched n.
Class FineTable (f : Table PageEntry -> Table PageEntry) : Prop := fine_table_change : forall t, fine_table t -> fine_table (f t).

Lemma names_of_table t : all_touched (flat_map next_table (entries t)) <-> fine_table t.
Proof.
  unfold all_touched, fine_table. split.
  - intros ok i n there. apply (proj1 (Forall_forall _ _) ok). apply in_flat_map. exists (i, NextTable n). split; [apply in_entries; exact there | left;
      reflexivity].
  - intros ok. apply Forall_forall. intros n listed. apply in_flat_map in listed. destruct listed as ((i & e) & there & here). apply in_entries in there.
    destruct e; [|destruct here]. destruct here as [<-|[]]. exact (ok i table there).
Qed.
Lemma fine_thread_at o x st : Touched o -> within st -> objects st !! o = Some (ThreadObject x) -> fine_thread o x.
Proof. intros ok w there. destruct (names_are_touched o _ (fine_objects st w o _ there) ok) as (n & g). split; [apply names_of_thread; exact n | exact g].
    Qed.
Lemma queued_at o x st : Touched o -> within st -> objects st !! o = Some (EndpointObject x) -> queued o (senders x) /\ queued o (receivers x).
Proof.
  intros ok w there. pose proof (fine_objects st w o _ there) as [n c]. destruct (proj1 (names_of_endpoint x) (proj1 (n ok))) as (s & r).
  unfold queued. split; apply Forall_forall; intros t listed; (split; [first [exact (proj1 (Forall_forall _ _) s t listed) | exact (proj1 (Forall_forall _ _)
      r t listed)]|]);
    intros full_; refine (proj1 (Forall_forall _ _) (proj1 (c full_)) t _); apply in_or_app; [left | right]; exact listed.
Qed.
Lemma queued_good o l : queued o l -> good l. Proof. apply Forall_impl. intros n (ok & _). exact ok. Qed.
Lemma queued_own o l : queued o l -> full o -> Forall Own l. Proof. intros q full_. revert q. apply Forall_impl. intros n (_ & ok). exact (ok full_). Qed.

Instance keeps_emit e : Keeps (emit e). Proof. exact (within_emit e). Qed.
Ltac change_object f o := let st := fresh "st" in let w := fresh "w" in let there := fresh "there" in
  intros st w; unfold f; destruct (objects st !! o) as [[]|] eqn:there; try exact (within_emit Stuck st w);
  pose proof (fine_objects st w o _ there) as fine_; refine (within_put o _ _ st there _ _ _ (fine_update o _ _ _ _ _ fine_) w);
  try assumption; try exact I; try reflexivity.
Instance keeps_change_thread o f : Touched o -> FineThread o f -> Keeps (change_thread o f).
Proof.
  intros ok each. change_object change_thread o. intros _. destruct (each _ (fine_thread_at o thread st ok w there)) as (n & g).
  split; [apply names_of_thread; exact n | exact g].
Qed.
Instance keeps_change_endpoint o f : Touched o -> FineEndpoint o f -> Keeps (change_endpoint o f).
Proof.
  intros ok each. change_object change_endpoint o; destruct (queued_at o endpoint st ok w there) as (s & r);
    destruct (each _ s r) as (s' & r').
  - intros _. split; [|exact I]. apply names_of_endpoint. split; [exact (queued_good o _ s') | exact (queued_good o _ r')].
  - intros full_. apply Forall_app. split; [exact (queued_own o _ s' full_) | exact (queued_own o _ r' full_)].
Qed.
Instance keeps_change_notification o f : Touched o -> FineNotification f -> Keeps (change_notification o f).
Proof.
  intros ok each. change_object change_notification o. intros _. split; [|exact I].
  apply names_of_notification, each. apply names_of_notification. exact (proj1 (names_are_touched o _ fine_ ok)).
Qed.
Instance keeps_put_reply o r : Touched o -> Nice r -> Keeps (put_reply o r).
Proof. intros ok fine_r. change_object put_reply o. intros _. split; [|exact I]. apply names_of_reply. exact fine_r. Qed.
Instance keeps_change_context o f : Touched o -> FineContext f -> Keeps (change_context o f).
Proof.
  intros ok (each & bits). change_object change_context o; [apply bits|apply bits|]. intros _. split; [|exact I].
  apply names_of_context, each. apply names_of_context. exact (proj1 (names_are_touched o _ fine_ ok)).
Qed.
Instance keeps_change_table o f : Touched o -> FineTable f -> Keeps (change_table o f).
Proof.
  intros ok each. change_object change_table o; intros _; (split; [|exact I]); cbn [names_in]; apply names_of_table, each; apply names_of_table;
    exact (proj1 (names_are_touched o _ fine_ ok)).
Qed.

Instance keeps_thread t : Touched t -> Keeps (thread t).
Proof.
  intros ok st w. unfold thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:there; try (repeat split; constructor).
  exact (proj1 (fine_thread_at t x st ok w there)).
Qed.
Instance keeps_endpoint e : Touched e -> Keeps (endpoint e).
Proof.
  intros ok st w. unfold endpoint. destruct (objects st !! e) as [[| |x| | | | | |]|] eqn:there; try (repeat split; constructor).
  destruct (queued_at e x st ok w there) as (s & r). split; [exact (queued_good e _ s) | exact (queued_good e _ r)].
Qed.
Lemma queued_now e st : Touched e -> within st -> queued e (senders (endpoint e st)) /\ queued e (receivers (endpoint e st)).
Proof.
  intros ok w. unfold endpoint. destruct (objects st !! e) as [[| |x| | | | | |]|] eqn:there; try (repeat split; constructor).
  exact (queued_at e x st ok w there).
Qed.
Instance keeps_notification n : Touched n -> Keeps (notification n).
Proof.
  intros ok st w. unfold notification. destruct (objects st !! n) as [[| | |x| | | | |]|] eqn:there; try (repeat split; constructor).
  apply names_of_notification. exact (proj1 (names_are_touched n _ (fine_objects st w n _ there) ok)).
Qed.
Instance keeps_reply r : Touched r -> Keeps (reply r).
Proof.
  intros ok st w. unfold reply. destruct (objects st !! r) as [[| | | |x| | | |]|] eqn:there; try (repeat split; constructor).
  apply names_of_reply. exact (proj1 (names_are_touched r _ (fine_objects st w r _ there) ok)).
Qed.
Instance keeps_context c : Touched c -> Keeps (context c).
Proof.
  intros ok st w. unfold context. destruct (objects st !! c) as [[| | | | |x| | |]|] eqn:there; try (repeat split; constructor).
  apply names_of_context. exact (proj1 (names_are_touched c _ (fine_objects st w c _ there) ok)).
Qed.
Instance keeps_context_of t : Touched t -> Keeps (context_of t). Proof. intros ok. keeping context_of. Qed.
Lemma fine_table_now o st : Touched o -> within st -> fine_table (table_entries o st).
Proof.
  intros ok w. unfold table_entries. destruct (objects st !! o) as [[]|] eqn:there; try (intros i n; rewrite find_empty; discriminate);
    apply names_of_table; exact (proj1 (names_are_touched o _ (fine_objects st w o _ there) ok)).
Qed.
Instance keeps_capability_at slot : Held slot -> Keeps (capability_at slot).
Proof. intros ok st w. destruct (capability_at slot st) as [c|] eqn:there; [exact (fine_at slot st c ok w there) | exact I]. Qed.

(** Changes that write only what is touched. *)
Lemma fine_thread_same o x y : run_state y = run_state x -> bound_notification y = bound_notification x -> sched_context y = sched_context x ->
  yielded_to y = yielded_to x -> fine_thread o x -> fine_thread o y.
Proof. unfold fine_thread, good, good_thread. intros -> -> -> ->. exact id. Qed.
Lemma fine_thread_registers o l x : fine_thread o x -> fine_thread o (with_registers l x).
Proof. rewrite (registers_only l x). apply fine_thread_same; reflexivity. Qed.
Lemma fine_thread_state o s x : good s -> (gives_all s = true -> Own o) -> fine_thread o x -> fine_thread o (with_state s x).
Proof. intros ok gives ((_ & b & c & y) & _). split; [exact (conj ok (conj b (conj c y))) | exact gives]. Qed.
Lemma fine_thread_context o v x : good v -> fine_thread o x -> fine_thread o (x <| sched_context := v |>).
Proof. intros ok ((s & b & c & y) & g). split; [exact (conj s (conj b (conj ok y))) | exact g]. Qed.
Lemma fine_thread_bound o v x : good v -> fine_thread o x -> fine_thread o (x <| bound_notification := v |>).
Proof. intros ok ((s & b & c & y) & g). split; [exact (conj s (conj ok (conj c y))) | exact g]. Qed.
Lemma fine_thread_yield o v x : good v -> fine_thread o x -> fine_thread o (x <| yielded_to := v |>).
Proof. intros ok ((s & b & c & y) & g). split; [exact (conj s (conj b (conj c ok))) | exact g]. Qed.
Ltac fine_thread_step :=
  match goal with
  | H : fine_thread ?o ?x |- fine_thread ?o ?x => exact H
  | |- fine_thread _ (with_state _ _) => apply fine_thread_state; [solve [keep] | first [discriminate | intros _; solve [typeclasses eauto] | assumption] |]
  | |- fine_thread _ (with_registers _ _) => apply fine_thread_registers
  | |- fine_thread _ (set_field sched_context _ _) => apply fine_thread_context; [solve [keep]|]
  | |- fine_thread _ (set_field bound_notification _ _) => apply fine_thread_bound; [solve [keep]|]
  | |- fine_thread _ (set_field yielded_to _ _) => apply fine_thread_yield; [solve [keep]|]
  | |- fine_thread ?o (set_field _ _ ?x) => apply (fine_thread_same o x); [reflexivity | reflexivity | reflexivity | reflexivity |]
  | |- fine_thread ?o (match ?x with _ => _ end) => destruct x
  | |- fine_thread ?o (?f _) => let h := head f in unfold h; cbv beta zeta
  end.
Hint Extern 0 (FineThread _ _) => (intros ? ?; cbv beta zeta; solve [repeat fine_thread_step]) : typeclass_instances.

Lemma queued_without e t l : queued e l -> queued e (without t l).
Proof. intros q. apply Forall_forall. intros n listed. apply filter_In in listed. exact (proj1 (Forall_forall _ _) q n (proj1 listed)). Qed.
Lemma queued_tail e l : queued e l -> queued e (tl l). Proof. intros q. destruct q; [constructor | assumption]. Qed.
Lemma in_insert_by p t l n : In n (insert_by p t l) -> n = t \/ In n l.
Proof.
  induction l as [|first rest IH]; cbn [insert_by]; [intros [same|[]]; left; auto|].
  destruct (p first); intros [same|listed]; subst; try (right; left; reflexivity); try (left; reflexivity); [right; exact listed|].
  destruct (IH listed); [left; assumption | right; right; assumption].
Qed.
Lemma queued_insert e p t l : Touched t -> (full e -> Own t) -> queued e l -> queued e (insert_by p t l).
Proof.
  intros ok all_ q. apply Forall_forall. intros n listed. apply in_insert_by in listed. destruct listed as [->|listed]; [split; assumption|].
  exact (proj1 (Forall_forall _ _) q n listed).
Qed.
Ltac fine_queue_step :=
  match goal with
  | H : queued ?e ?l |- queued ?e ?l => exact H
  | |- queued _ (without _ _) => apply queued_without
  | |- queued _ (tl _) => apply queued_tail
  | |- queued _ (insert_behind _ _ _) => apply queued_insert; [solve [typeclasses eauto] | intros _; solve [typeclasses eauto] |]
  end.
Hint Extern 0 (FineEndpoint _ _) =>
  (intros ? ? ?; split; cbn [senders receivers set_field setter]; repeat match goal with |- queued ?e (?f (set_field ?g ?v ?x)) =>
     first [change (f (set_field g v x)) with (f x) | change (f (set_field g v x)) with v] end; solve [repeat fine_queue_step]) : typeclass_instances.

Lemma good_without t (l : list N) : good l -> good (without t l).
Proof. intros q. apply Forall_forall. intros n listed. apply filter_In in listed. exact (proj1 (Forall_forall _ _) q n (proj1 listed)). Qed.
Lemma good_insert p t (l : list N) : Touched t -> good l -> good (insert_by p t l).
Proof.
  intros ok q. apply Forall_forall. intros n listed. apply in_insert_by in listed. destruct listed as [->|listed]; [exact ok|].
  exact (proj1 (Forall_forall _ _) q n listed).
Qed.
Ltac fine_field_step :=
  match goal with
  | |- good (without _ _) => apply good_without
  | |- good (insert_behind _ _ _) => apply good_insert; [solve [typeclasses eauto]|]
  | |- _ => keep_step find_value
  end.
Hint Extern 0 (FineNotification _) =>
  (intros ? (? & ? & ?); cbv beta; split; [|split];
   match goal with |- good (?f (set_field ?g ?v ?x)) => first [change (f (set_field g v x)) with (f x) | change (f (set_field g v x)) with v] end;
   solve [repeat fine_field_step]) : typeclass_instances.

Definition links (c : SchedContext) := (context_thread c, context_notification c, calls c, yielder c, context_bits c).
Lemma links_of_give_back smallest r c : links (give_back smallest r c) = links c.
Proof. unfold give_back. cbv zeta. destruct (refills _); [reflexivity|]. destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; reflexivity. Qed.
Lemma links_of_charge used smallest c : links (charge used smallest c) = links c.
Proof.
  unfold charge. destruct (is_round_robin c); [destruct (refills c); reflexivity|].
  assert (forall x, links (mend_first smallest x) = links x) as mended
    by (intros x; unfold mend_first; destruct (refills x) as [|? [|? ?]]; [|destruct (_ <=? _)|destruct (_ <=? _)]; reflexivity).
  pose proof (repeat_keeps (charge_step smallest) (fun x => links (fst x) = links c) (fun x => links x = links c)) as kept.
  assert (forall x, links (fst x) = links c -> match charge_step smallest x with
    Again a => links (fst a) = links c | Finished b => links b = links c end) as each.
  { intros (x & n) same. unfold charge_step. destruct (refills x) as [|first rest]; [exact same|]. cbv zeta. destruct (_ || _); [exact same|].
    destruct (_ <=? _); [destruct rest as [|second others]; [exact same|]|]; cbn [fst]; rewrite links_of_give_back; exact same. }
  specialize (kept each used (c, used) eq_refl). destruct (repeat_after _ _ _) as [(x & n)|x]; rewrite mended; exact kept.
Qed.
Lemma links_of_begin_use time c : links (begin_use time c) = links c.
Proof. unfold begin_use. destruct (refills c); [reflexivity|]. destruct (_ || _); reflexivity. Qed.
Definition fine_links (x y : SchedContext) : Prop := (good x -> good y) /\ context_bits x = context_bits y.
Lemma fine_links_refl x : fine_links x x. Proof. split; [exact id | reflexivity]. Qed.
Lemma fine_links_trans x y z : fine_links x y -> fine_links y z -> fine_links x z.
Proof. intros (a & b) (c & d). split; [intros ok; exact (c (a ok)) | congruence]. Qed.
Lemma fine_links_same x y : links y = links x -> fine_links x y.
Proof. unfold links, fine_links, good, good_context. intros same. injection same as -> -> -> -> ->. split; [exact id | reflexivity]. Qed.
Lemma fine_links_thread v x : good v -> fine_links x (x <| context_thread := v |>).
Proof. intros ok. split; [intros (_ & b & c & d); exact (conj ok (conj b (conj c d))) | reflexivity]. Qed.
Lemma fine_links_notification v x : good v -> fine_links x (x <| context_notification := v |>).
Proof. intros ok. split; [intros (a & _ & c & d); exact (conj a (conj ok (conj c d))) | reflexivity]. Qed.
Lemma fine_links_calls v x : (good (calls x) -> good v) -> fine_links x (x <| calls := v |>).
Proof. intros ok. split; [intros (a & b & c & d); exact (conj a (conj b (conj (ok c) d))) | reflexivity]. Qed.
Lemma fine_links_yielder v x : good v -> fine_links x (x <| yielder := v |>).
Proof. intros ok. split; [intros (a & b & c & _); exact (conj a (conj b (conj c ok))) | reflexivity]. Qed.
Ltac fine_links_step :=
  match goal with
  | |- fine_links ?x ?x => apply fine_links_refl
  | |- fine_links _ (charge ?u ?s ?x) => apply (fine_links_trans _ x); [|apply fine_links_same, links_of_charge]
  | |- fine_links _ (begin_use ?t ?x) => apply (fine_links_trans _ x); [|apply fine_links_same, links_of_begin_use]
  | |- fine_links _ (configure_context _ _ _ _ _ _ _ ?x) => apply (fine_links_trans _ x); [|apply fine_links_same; reflexivity]
  | |- fine_links _ (set_field context_thread ?v ?x) => apply (fine_links_trans _ x); [|apply fine_links_thread; solve [keep]]
  | |- fine_links _ (set_field context_notification ?v ?x) => apply (fine_links_trans _ x); [|apply fine_links_notification; solve [keep]]
  | |- fine_links _ (set_field calls ?v ?x) => apply (fine_links_trans _ x); [|apply fine_links_calls; intros ?; solve [keep]]
  | |- fine_links _ (set_field yielder ?v ?x) => apply (fine_links_trans _ x); [|apply fine_links_yielder; solve [keep]]
  | |- fine_links _ (set_field _ _ ?x) => apply (fine_links_trans _ x); [|apply fine_links_same; reflexivity]
  end.
Lemma fine_links_context f : (forall x, fine_links x (f x)) -> FineContext f.
Proof. intros each. split; [intros x; exact (proj1 (each x)) | intros x; exact (proj2 (each x))]. Qed.
Hint Extern 0 (FineContext _) => (apply fine_links_context; intros ?; cbv beta; solve [repeat fine_links_step]) : typeclass_instances.

Instance fine_next i t : Touched t -> FineTable (set i (NextTable t)).
Proof. intros ok x each j n. rewrite find_set. destruct (j =? i); [intros same; injection same as <-; exact ok | apply each]. Qed.
Instance fine_page i base bits device r a : FineTable (set i (Page base bits device r a)).
Proof. intros x each j n. rewrite find_set. destruct (j =? i); [discriminate | apply each]. Qed.
Instance fine_removal i : FineTable (remove i).
Proof. intros x each j n. rewrite find_remove. destruct (j =? i); [discriminate | apply each]. Qed.
Instance fine_emptying : FineTable (fun _ => empty). Proof. intros x each j n. rewrite find_empty. discriminate. Qed.

(** ** Slots *)
Instance keeps_discard slot : Held slot -> Keeps (discard slot). Proof. exact (fun ok st => within_discard slot st ok). Qed.
Instance keeps_move_capability from to : Held from -> Held to -> Keeps (move_capability from to). Proof. exact (fun a b st => within_move from to st a b).
    Qed.
Instance keeps_change_capability slot c : Held slot -> Nice c -> Keeps (change_capability slot c).
Proof. exact (fun ok fine_c st => within_change_capability slot c st ok fine_c). Qed.
Instance keeps_exchange a b : Held a -> Held b -> Keeps (exchange_capabilities a b). Proof. exact (fun ok_a ok_b st => within_exchange a b st ok_a ok_b). Qed.
Instance keeps_write_memory a v : Keeps (write_memory a v). Proof. keeping write_memory. Qed.

(** What an untyped gives away is all reached. *)
Definition all_reached (base size : N) : Prop := forall x, base <= x -> x < base + size -> forall y, In y [AnObject x; Contents x; ASlot x] -> reached y.
Lemma untyped_reaches base bits device used : good (UntypedCap base bits device used) -> all_reached base (N.shiftl 1 bits).
Proof. intros ok x above below y listed. exact (ok y (by_retyping base bits device used x y above below listed)). Qed.
Record fresh (o size : N) (x : Object) : Prop := {
  names_nothing : names_in x = []; gives_nothing : giving o x; holds_nothing : holding o x;
  assigns_nothing : forall p, x = ASIDPoolObject p -> assigned p = empty;
  fits_memory : slot_of o (count_of_object x) <= o + size; has_memory : 0 < size
}.
Lemma slot_of_at o i : slot_of o i = o + 32 * i. Proof. reflexivity. Qed.
Lemma all_reached_own o size : all_reached o size -> slot_of o thread_slots <= o + size -> Own o.
Proof.
  intros all_ fits y listed. rewrite slot_of_at in fits. unfold thread_slots in fits. destruct listed as [<-|[<-|listed]].
  - apply (all_ o); [lia | lia | left; reflexivity].
  - apply (all_ o); [lia | lia | right; left; reflexivity].
  - apply in_map_iff in listed. destruct listed as (i & <- & listed). apply in_numbers in listed. unfold thread_slots in listed. cbn in listed.
    apply (all_ (slot_of o i)); [rewrite slot_of_at; lia | rewrite slot_of_at; lia | right; right; left; reflexivity].
Qed.
Lemma within_new o size x st : objects st !! o = None -> all_reached o size -> fresh o size x -> within st -> within (put_object o x st).
Proof.
  intros none all_ [names_ gives_ holds_ assigns_ fits_ some_] [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12].
  assert (Touched o) as ok by (apply (all_ o); [lia | lia | left; reflexivity]).
  constructor; try assumption; change (objects (put_object o x st)) with (set o x (objects st)).
  - intros p z. rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [|apply f2]. intros same. injection same as <-. constructor.
    + intros _. rewrite names_. split; [constructor | exact gives_].
    + intros _. split; [exact holds_|]. intros slot above below. apply (all_ slot above); [lia | right; right; left; reflexivity].
  - intros t z. rewrite find_set. destruct (N.eqb_spec t o) as [->|]; [|apply (f3 t z)]. intros same _. injection same as ->.
    apply (all_reached_own o size all_ fits_).
  - intros asid v ok_ found. apply (f5 asid v ok_). revert found. unfold vspace_of_asid. change (pools (put_object o x st)) with (pools st).
    destruct (pools st !! _) as [p|]; [|discriminate]. unfold pool. change (objects (put_object o x st)) with (set o x (objects st)).
    rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [|exact id].
    destruct x; cbn [assigned]; try (rewrite find_empty; discriminate). rewrite (assigns_ _ eq_refl), find_empty. discriminate.
  - intros p not_. rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [contradiction | exact (f7 p not_)].
Qed.
Lemma within_carve untyped at_ size x slot c st : Held untyped -> Held slot -> good c -> match x with Some x => fresh at_ size x | None => True end ->
  within st -> within (carve untyped at_ size x slot c st).
Proof.
  intros ok slot_ok fine_c new w. unfold carve, capability_at. destruct (slots st !! untyped) as [e|] eqn:there; [|exact (within_emit _ st w)].
  pose proof (proj1 (fine_slots st w untyped e ok there)) as fine_e.
  destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_untyped_; try exact (within_emit _ st w). cbv zeta.
  destruct (_ && _) eqn:can; [|exact (within_emit _ st w)]. apply andb_prop in can. destruct can as (can & absent). apply andb_prop in can. destruct can as
      (can & _).
  apply andb_prop in can. destruct can as (above & below). apply N.leb_le in above. apply N.leb_le in below.
  pose proof (within_replace untyped e (UntypedCap base bits device (at_ + size - base)) st ok there (good_used base bits device used _ fine_e) w) as w1.
  assert (objects (replace_capability untyped e (UntypedCap base bits device (at_ + size - base)) st) = objects st) as same.
  { unfold replace_capability, count_reference, discount_reference. destruct (referent (capability e)); reflexivity. }
  revert w1 same. generalize (replace_capability untyped e (UntypedCap base bits device (at_ + size - base)) st). intros st1 w1 same.
  apply within_insert_child; [exact slot_ok | exact ok | exact fine_c|]. destruct x as [x|]; [|exact w1]. cbn [put_if_some is_some andb negb] in *.
  destruct (objects st !! at_) eqn:none; [discriminate absent|].
  apply (within_new at_ size); [rewrite same; exact none | | exact new | exact w1].
  intros y above_ below_ z listed. refine (untyped_reaches base bits device used fine_e y _ _ z listed); [|lia].
  destruct (has_children untyped st); lia.
Qed.
Instance keeps_insert_derived slot s o c : Held slot -> Held s -> Nice c -> Keeps (insert_derived slot s o c).
Proof.
  intros ok source_ok fine_c st w. unfold insert_derived. destruct (slots st !! s) as [e|] eqn:there; [|exact (within_emit _ st w)].
  pose proof (proj1 (fine_slots st w s e source_ok there)) as fine_e.
  assert (good (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
                else if original e then insert_child slot s o c st else insert_sibling slot s o c st)) as kept.
  { destruct (_ || _ || _); [exact (within_emit _ st w)|].
    destruct (original e); [exact (within_insert_child slot s o c st ok source_ok fine_c w) | exact (within_insert_sibling slot s o c st ok source_ok fine_c
        w)]. }
  destruct (capability e); try exact kept. exact (within_carve s base _ None slot _ st source_ok ok fine_e I w).
Qed.

(** ** Addresses *)
Lemma bits_below address low width : bits_of address low width < 2 ^ width.
Proof. unfold bits_of. rewrite N.land_ones. apply N.mod_lt, N.pow_nonzero. discriminate. Qed.
Lemma cnode_holds o radix guard size i : good (CNodeCap o radix guard size) -> i < 2 ^ radix -> Held (slot_of o i).
Proof. intros ok less. apply ok, by_taking. exact less. Qed.
Lemma walk_held st : within st -> forall levels cnode radix guard size address bits slot left_,
  good (CNodeCap cnode radix guard size) -> walk levels cnode radix guard size address bits st = Reached slot left_ -> Held slot.
Proof.
  intros w. induction levels as [|levels IH]; intros cnode radix guard size address bits slot left_ ok; cbn [walk]; cbv zeta;
    destruct (_ || _); try discriminate; destruct (_ <? _); try discriminate;
    pose proof (cnode_holds cnode radix guard size _ ok (bits_below address (bits - (size + radix)) radix)) as here;
    destruct (_ =? 0); try (intros same; injection same as <- _; exact here);
    destruct (capability_at (slot_of cnode _) st) as [c|] eqn:there; try (intros same; injection same as <- _; exact here);
    pose proof (fine_at _ st c here w there) as next; destruct c; try (intros same; injection same as <- _; exact here); try discriminate.
  apply IH. exact next.
Qed.
Lemma walk_from_held st root address bits slot left_ : within st -> @good _ good_option root -> walk_from root address bits st = Reached slot left_ -> Held
    slot.
Proof.
  intros w ok. unfold walk_from. destruct root as [[]|]; try discriminate. apply (walk_held st w). exact ok.
Qed.
Instance keeps_slot_under root address depth : @Nice _ good_option root -> Keeps (slot_under root address depth).
Proof.
  intros ok st w. unfold slot_under. destruct (walk_from root address depth st) as [slot [|left_]|] eqn:found; try exact I.
  exact (walk_from_held st root address depth slot 0 w ok found).
Qed.
Lemma walk_thread_held t address slot left_ st : Own t -> within st -> walk_from_thread t address st = Reached slot left_ -> Held slot.
Proof.
  intros ok w. unfold walk_from_thread. apply walk_from_held; [exact w|]. exact (keeps_capability_at (slot_of t cspace_slot) (own_slot t cspace_slot ok
      eq_refl) st w).
Qed.
Instance keeps_slot_of_address t address : Own t -> Keeps (slot_of_address t address).
Proof.
  intros ok st w. unfold slot_of_address. destruct (walk_from_thread t address st) as [slot left_|] eqn:found; [|exact I].
  exact (walk_thread_held t address slot left_ st ok w found).
Qed.
Instance keeps_occupied_slot t address : Own t -> Keeps (occupied_slot_of_address t address).
Proof.
  intros ok st w. unfold occupied_slot_of_address. destruct (walk_from_thread t address st) as [slot left_|] eqn:found; [|exact I].
  pose proof (walk_thread_held t address slot left_ st ok w found) as held_.
  destruct (capability_at slot st) as [c|] eqn:there; [|exact I]. split; [exact held_ | exact (fine_at slot st c held_ w there)].
Qed.
Lemma receive_slot_held t slot st : Own t -> within st -> receive_slot t st = Some slot -> Held slot.
Proof.
  intros ok w. unfold receive_slot. destruct (receive_buffer t st) as [buffer|]; [|discriminate]. cbv zeta.
  pose proof (keeps_occupied_slot t (read_memory (buffer + ipc_buffer_receive_cnode) st) ok st w) as root_.
  destruct (occupied_slot_of_address _ _ st) as [(s & root)|]; [|discriminate]. destruct (_ <=? 64); [|discriminate].
  pose proof (keeps_slot_under (Some root) (read_memory (buffer + ipc_buffer_receive_index) st) (read_memory (buffer + ipc_buffer_receive_depth) st)
    (proj2 root_ : @Nice _ good_option (Some root)) st w) as found.
  destruct (slot_under _ _ _ st) as [found_slot|]; [|discriminate]. destruct (is_empty found_slot st); [|discriminate]. intros same. injection same as <-.
      exact found.
Qed.

(** ** Time *)
Instance keeps_unplace t : Keeps (unplace t). Proof. keeping unplace. Qed.
Instance keeps_place_by i t : Keeps (place_by i t).
Proof. intros st w. destruct (place_by_same i t st) as (s & _ & o). apply (within_same st); try assumption; unfold place_by; cbv zeta;
  destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try reflexivity; destruct (negb _); try reflexivity; destruct (usable _ _);
      reflexivity.
Qed.
Instance keeps_place t : Keeps (place t). Proof. exact (keeps_place_by _ t). Qed.
Instance keeps_place_ahead t : Keeps (place_ahead t). Proof. exact (keeps_place_by _ t). Qed.
Instance keeps_place_anew t : Keeps (place_anew t). Proof. keeping place_anew. Qed.
Instance keeps_begin_sporadic t : Touched t -> Keeps (begin_sporadic t). Proof. intros ok. keeping begin_sporadic. Qed.
Instance keeps_wake t : Touched t -> Keeps (wake t). Proof. intros ok. keeping wake. Qed.
Instance keeps_wake_ahead t : Touched t -> Keeps (wake_ahead t). Proof. intros ok. keeping wake_ahead. Qed.
Instance keeps_give_context c t : Touched c -> Touched t -> Keeps (give_context c t). Proof. intros ok_c ok. keeping give_context. Qed.
Instance keeps_current_context : Keeps current_context.
Proof. intros st w. pose proof (fine_use st w) as ok. destruct (current_context st) as [c|]; [exact (ok c eq_refl) | exact I]. Qed.
Instance keeps_book : Keeps book. Proof. keeping book. Qed.
Instance keeps_will_book : Keeps will_book. Proof. keeping will_book. Qed.
Instance keeps_book_turn : Keeps book_turn. Proof. keeping book_turn. Qed.
Instance keeps_report_booked c : Touched c -> Keeps (report_booked c). Proof. intros ok. keeping report_booked. Qed.
Instance keeps_report_consumed c : Touched c -> Keeps (report_consumed c). Proof. intros ok. keeping report_consumed. Qed.
Instance keeps_begin_turn i : Keeps (begin_turn i). Proof. keeping begin_turn. Qed.
Instance keeps_next_turn : Keeps next_turn. Proof. keeping next_turn. Qed.
Instance keeps_end_turn_if_due : Keeps end_turn_if_due. Proof. keeping end_turn_if_due. Qed.
Instance keeps_end_yield_by report t : Touched t -> (forall c, Touched c -> Keeps (report c)) -> Keeps (end_yield_by report t).
Proof. intros ok each. keeping end_yield_by. Qed.
Instance keeps_end_yield t : Touched t -> Keeps (end_yield t). Proof. intros ok. keeping end_yield. Qed.
Instance keeps_forget_yield t : Touched t -> Keeps (forget_yield t). Proof. intros ok. keeping forget_yield. Qed.

(** ** Messages *)
Lemma keeps_transfer position l through from to free : (l = [] \/ Own from /\ Own to) -> Keeps (transfer position l through from to free).
Proof.
  intros who. revert position free. induction l as [|address rest IH]; intros position free st w; [exact (conj (conj I I) w)|].
  destruct who as [no|(ok_from & ok_to)]; [discriminate no|]. specialize (IH (or_intror (conj ok_from ok_to))). cbn [transfer].
  destruct (receive_buffer to st) as [buffer|]; [|exact (conj (conj I I) w)].
  pose proof (keeps_occupied_slot from address ok_from st w) as found.
  destruct (occupied_slot_of_address from address st) as [(source_ & c)|]; [|exact (conj (conj I I) w)]. destruct found as (held_ & fine_c). cbv zeta.
  assert (forall badge : N, good (let '(bits, count, st) := transfer (position + 1) rest through from to free
    (write_memory (buffer + ipc_buffer_caps_or_badges + 8 * position) badge st) in (bits + N.shiftl 1 position, count + 1, st))) as unwrapped.
  { intros badge. pose proof (IH (position + 1) free _ (keeps_write_memory (buffer + ipc_buffer_caps_or_badges + 8 * position) badge st w)) as after.
    destruct (transfer _ rest through from to free _) as ((bits & count) & st'). exact (conj (conj I I) (proj2 after)). }
  assert (good match free, derivation_error source_ c st, receive_slot to st with
    | true, None, Some slot => let '(bits, count, st) := transfer (position + 1) rest through from to false
        (insert_derived slot source_ false (derived c) st) in (bits, count + 1, st)
    | _, _, _ => (0, 0, st) end) as moved.
  { destruct free, (derivation_error source_ c st), (receive_slot to st) as [slot|] eqn:into; try exact (conj (conj I I) w).
    pose proof (receive_slot_held to slot st ok_to w into) as slot_held.
    pose proof (IH (position + 1) false _ (keeps_insert_derived slot source_ false (derived c) slot_held held_ (good_derived c fine_c) st w)) as after.
    destruct (transfer _ rest through from to false _) as ((bits & count) & st'). exact (conj (conj I I) (proj2 after)). }
  destruct c; try exact moved. destruct (is_number through endpoint); [exact (unwrapped badge) | exact moved].
Qed.
Instance keeps_write_words a l : Keeps (write_words a l).
Proof. revert a. induction l as [|v rest IH]; intros a st ok; simpl; keep. Qed.
Instance keeps_write_long_words t l : Keeps (write_long_words t l). Proof. keeping write_long_words. Qed.
Class Gives (with_caps : bool) (t : N) : Prop := gives_what : with_caps = true -> Own t.
Instance own_gives b t : Own t -> Gives b t. Proof. intros ok _. exact ok. Qed.
Instance gives_nothing_ t : Gives false t. Proof. discriminate. Qed.
Lemma deliver_good m through badge caps from to st : Touched to -> (cap_addresses m = [] \/ (caps = true -> Own from /\ Own to)) -> within st ->
  within (deliver m through badge caps from to st).
Proof.
  intros ok who w. unfold deliver.
  assert ((if caps then cap_addresses m else []) = [] \/ Own from /\ Own to) as who_
    by (destruct caps; [destruct who as [no|who]; [left; exact no | right; exact (who eq_refl)] | left; reflexivity]).
  pose proof (keeps_transfer 0 _ through from to true who_ st w) as after.
  destruct (transfer _ _ _ _ _ _ _) as ((unwrapped & count) & st'). destruct after as (_ & after). change (within st') with (good st') in after.
  cbv zeta. change (good (write_long_words to (fitting_words to (words m) st') (change_thread to (with_result badge
     (MessageInfo.make (length_of (fitting_words to (words m) st')) count unwrapped (label m)) (fitting_words to (words m) st')) st'))). keep.
Qed.
Lemma good_without_context r : good r -> good (without_context r). Proof. intros (a & b & _). exact (conj a (conj b I)). Qed.
Instance reply_loses_context : LosesContext.
Proof. intros r ok st w. apply (keeps_put_reply r _ ok); [|exact w]. apply good_without_context. exact (keeps_reply r ok st w). Qed.
Instance keeps_break_stack r : Touched r -> Keeps (break_stack r). Proof. intros ok. keeping break_stack. Qed.
Instance keeps_return_context r t : Touched r -> Touched t -> Keeps (return_context r t). Proof. intros ok_r ok. keeping return_context. Qed.
Instance keeps_set_empty_result t : Touched t -> Keeps (set_empty_result t). Proof. intros ok. keeping set_empty_result. Qed.
Instance keeps_set_error_result e t : Touched t -> Keeps (set_error_result e t). Proof. intros ok. keeping set_error_result. Qed.
Instance keeps_end_call_of t h : Touched t -> Keeps (end_call_of t h). Proof. intros ok. keeping end_call_of. Qed.
Instance fine_receives_without t : FineThread t (fun x => match run_state x with
    | BlockedOnReceive e _ requires may_grant => with_state (BlockedOnReceive e None requires may_grant) x | _ => x end).
Proof.
  intros x ok. destruct (run_state x) as [| |e r requires may_grant| | |] eqn:state; try exact ok.
  apply fine_thread_state; [|discriminate | exact ok]. apply good_receive; [|exact I].
  pose proof (good_run x (proj1 ok)) as names_. rewrite state in names_. exact (proj1 (receive_good _ _ _ _ names_)).
Qed.
Instance keeps_free_reply r : Touched r -> Keeps (free_reply r). Proof. intros ok. keeping free_reply. Qed.
Instance keeps_stop_waiting t : Touched t -> Keeps (stop_waiting t). Proof. intros ok. keeping stop_waiting. Qed.
Instance keeps_suspend t : Touched t -> Keeps (suspend t). Proof. intros ok. keeping suspend. Qed.
Instance keeps_make_inactive t : Touched t -> Keeps (make_inactive t). Proof. intros ok. keeping make_inactive. Qed.
Instance keeps_restart t : Touched t -> Keeps (restart t). Proof. intros ok. keeping restart. Qed.
Instance keeps_return_lent_context t n : Touched t -> Touched n -> Keeps (return_lent_context t n). Proof. intros ok ok_n. keeping return_lent_context. Qed.
Instance keeps_lend_context t n : Touched t -> Touched n -> Keeps (lend_context t n). Proof. intros ok ok_n. keeping lend_context. Qed.

(** Capabilities come with a message only between those who are reached with all that they have. *)
Class Giving (caps : bool) (from to : N) : Prop := gives_between : caps = true -> Own from /\ Own to.
Class GrantsAt (grant : bool) (e : N) : Prop := grants_at : grant = true -> full e.
Class OwnIf (grant : bool) (t : N) : Prop := own_if : grant = true -> Own t.
Class Queued (e : N) (l : list N) : Prop := is_queued : queued e l.
Instance keeps_deliver m through badge caps from to : Touched to -> Giving caps from to -> Keeps (deliver m through badge caps from to).
Proof. intros ok who st. exact (deliver_good m through badge caps from to st ok (or_intror who)). Qed.
Hint Extern 0 (GrantsAt _ _) => (match goal with H : good (EndpointCap ?e ?b ?r) |- GrantsAt (can_grant ?r) ?e =>
  exact (fun yes => H _ (by_granting e b r yes)) end) : typeclass_instances.
Hint Extern 0 (Queued _ _) => (match goal with H : good ?s, T : Touched ?e |- Queued ?e (senders (endpoint ?e ?s)) => exact (proj1 (queued_now e s T H)) end)
  : typeclass_instances.
Lemma gives_now t st : Touched t -> within st -> gives_all (run_state (thread t st)) = true -> Own t.
Proof.
  intros ok w. unfold thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:there; try discriminate. exact (proj2 (fine_thread_at t x st ok w
      there)).
Qed.
Instance keeps_end_unanswered t : Touched t -> Keeps (end_unanswered t). Proof. intros ok. keeping end_unanswered. Qed.
Instance keeps_meet s t e b r rg g gr c l : Touched s -> Touched t -> Nice r -> OwnIf rg s -> Giving g s t -> Keeps (meet s t e b r rg g gr c l).
Proof. intros ok_s ok_t ok_r answers gives_. red in ok_r. unfold OwnIf in answers. keeping meet. Qed.
Instance keeps_send t e b g gr c l w : Own t -> Touched e -> GrantsAt g e -> Keeps (send t e b g gr c l w).
Proof.
  intros ok ok_e grants_ st wi. unfold send. destruct (queued_now e st ok_e wi) as (_ & q). change (within st) with (good st) in wi.
  destruct (receivers (endpoint e st)) as [|first rest].
  - assert (OwnIf g t) as gives_ by (intros _; exact ok). keep.
  - apply Forall_cons_iff in q. destruct q as ((ok_f & own_f) & q). change (Forall _ rest) with (queued e rest) in q.
    pose proof (good_run _ (keeps_thread first ok_f st wi)) as state.
    destruct (run_state (thread first st)) as [| |x r requires receiver_grant| | |]; [keep | keep | | keep | keep | keep].
    destruct (receive_good _ _ _ _ state) as (_ & ok_r). cbv zeta. destruct (leaves_without_context first _ _ st); [keep|].
    assert (Giving g t first) as gives_ by (intros yes; exact (conj ok (own_f (grants_ yes)))).
    assert (OwnIf receiver_grant t) as answers by (intros _; exact ok). keep.
Qed.
Instance keeps_refuse_sender t : Touched t -> Keeps (refuse_sender t). Proof. intros ok. keeping refuse_sender. Qed.
Instance keeps_receive_from queue t e r mg : Own t -> Touched e -> Nice r -> GrantsAt mg e -> Queued e queue -> Keeps (receive_from queue t e r mg).
Proof.
  intros ok ok_e ok_r grants_ q st w. red in ok_r. destruct queue as [|sender rest]; cbn [receive_from]; [exact (conj I w)|].
  apply Forall_cons_iff in q. destruct q as ((ok_s & own_s) & q). change (Queued e rest) in q. red in q.
  pose proof (gives_now sender st ok_s w) as gives_.
  destruct (run_state (thread sender st)) as [| | |x badge grant grant_reply is_call lends| |]; try exact (conj I (within_emit _ st w)). cbv zeta.
  assert (Giving grant sender t) as between by (intros yes; exact (conj (gives_ yes) ok)).
  assert (OwnIf mg sender) as answers by (intros yes; exact (own_s (grants_ yes))).
  assert (good (change_endpoint e (fun x0 : Endpoint => set_field senders rest x0) st)) as w1 by keep. keep.
Qed.
Instance keeps_refuse_first e r : Touched e -> Keeps (refuse_first e r).
Proof.
  intros ok st w. unfold refuse_first. destruct (first_refused e r st) as [sender|] eqn:first_; [|exact w].
  assert (Touched sender) as ok_s.
  { unfold first_refused in first_. destruct (queued_now e st ok w) as (q & _). destruct (senders (endpoint e st)) as [|s rest]; [discriminate|].
    apply Forall_cons_iff in q. destruct q as ((ok_s & _) & _).
    destruct (run_state (thread s st)); try discriminate. destruct (_ && _); [discriminate|]. injection first_ as <-. exact ok_s. }
  change (within st) with (good st) in w. keep.
Qed.
Instance keeps_take_flags t n : Touched t -> Touched n -> Keeps (take_flags t n). Proof. intros ok ok_n. keeping take_flags. Qed.
Instance keeps_receive t e r requires mg b : Own t -> Touched e -> Nice r -> GrantsAt mg e -> Keeps (receive t e r requires mg b).
Proof. intros ok ok_e ok_r grants_. red in ok_r. keeping receive. Qed.
Instance keeps_wait_on t n b : Own t -> Touched n -> Keeps (wait_on t n b). Proof. intros ok ok_n. keeping wait_on. Qed.
Instance keeps_hand_flags_to t n : Touched t -> Touched n -> Keeps (hand_flags_to t n). Proof. intros ok ok_n. keeping hand_flags_to. Qed.
Instance keeps_signal n b : Touched n -> Keeps (signal n b). Proof. intros ok. keeping signal. Qed.
Instance keeps_raise_fault_to slot l t f : Own t -> Held (slot_of t slot) -> Keeps (raise_fault_to slot l t f).
Proof. intros ok held_. keeping raise_fault_to. Qed.
Instance keeps_raise_fault t f : Own t -> Keeps (raise_fault t f). Proof. intros ok. keeping raise_fault. Qed.
Instance keeps_answer_fault t f m : Touched t -> Keeps (answer_fault t f m). Proof. intros ok. keeping answer_fault. Qed.
Instance keeps_answer t r g : Own t -> Touched r -> Keeps (answer t r g).
Proof.
  intros ok ok_r st w. cbv beta delta [answer]. pose proof (good_caller _ (keeps_reply r ok_r st w)) as ok_c.
  destruct (caller (reply r st)) as [c|]; [|exact w]. apply named_good in ok_c. pose proof (gives_now c st ok_c w) as gives_.
  assert (Giving (g && answer_may_grant (run_state (thread c st))) t c) as between.
  { intros yes. apply andb_prop in yes. destruct yes as (_ & yes). split; [exact ok|]. apply gives_. destruct (run_state (thread c st)); try discriminate.
      exact yes. }
  keep.
Qed.

(** ** Spaces *)
Class SpaceOf (asid : option N) : Prop := is_space_of : forall a, asid = Some a -> reached (ASpace a).
Class SpaceAt (p : option Place) : Prop := is_space_at : forall q, p = Some q -> reached (ASpace (place_asid q)).
Hint Extern 0 (SpaceOf _) => (match goal with H : good (VSpaceCap ?v ?a) |- SpaceOf ?a =>
  (let q := fresh "q" in let same := fresh "same" in intros q same; subst; exact (H _ (by_space _ _))) end) : typeclass_instances.
Hint Extern 0 (SpaceAt _) => (match goal with
  | H : good (FrameCap _ _ _ _ ?p) |- SpaceAt ?p => (let q := fresh "q" in let same := fresh "same" in intros q same; subst; exact (H _ (by_mapping _ _ _ _
      _)))
  | H : good (PageTableCap _ ?p) |- SpaceAt ?p => (let q := fresh "q" in let same := fresh "same" in intros q same; subst; exact (H _ (by_table _ _)))
  end) : typeclass_instances.
Lemma within_change_pool p f st : Touched p -> (forall x i v, assigned (f x) !! i = Some v -> assigned x !! i = Some v \/ Touched v) -> within st ->
  within (change_pool p f st).
Proof.
  intros ok each w. unfold change_pool. destruct (objects st !! p) as [[| | | | | | | |x]|] eqn:there; try exact (within_emit Stuck st w).
  pose proof (fine_objects st w p _ there) as fine_. apply (within_put_but p _ _ st there); [exact I | exact ok | | | exact w].
  - apply (fine_update p (ASIDPoolObject x)); [exact I | split; [constructor | exact I] | | exact fine_]. intros full_ i v found.
    destruct (each x i v found) as [old|new]; [exact (proj1 (content_is_held p _ fine_ full_) i v old) | exact new].
  - intros asid v ok_ found. revert found. unfold vspace_of_asid. change (pools (put_object p (ASIDPoolObject (f x)) st)) with (pools st).
    pose proof (fine_spaces st w asid) as old. unfold vspace_of_asid in old. destruct (pools st !! _) as [q|]; [|discriminate].
    unfold pool in *. change (objects (put_object p (ASIDPoolObject (f x)) st)) with (set p (ASIDPoolObject (f x)) (objects st)).
    rewrite find_set. destruct (N.eqb_spec q p) as [->|]; [|intros found; exact (old v ok_ found)]. rewrite there in old. intros found.
    destruct (each x _ v found) as [before_|new]; [exact (old v ok_ before_) | exact new].
Qed.
Lemma walk_tables_touched st : within st -> forall steps table level address, Touched table ->
  Touched (fst (fst (walk_tables steps table level address st))).
Proof.
  intros w. induction steps as [|rest IH]; intros table level address ok; cbn [walk_tables].
  - destruct (_ !! _) as [[]|]; exact ok.
  - destruct (_ !! _) as [[next|]|] eqn:found; try exact ok. apply IH. exact (fine_table_now table st ok w _ next found).
Qed.
Lemma table_of_level_touched st vspace level address table : within st -> Touched vspace -> table_of_level vspace level address st = inl table -> Touched
    table.
Proof.
  intros w ok. unfold table_of_level. pose proof (walk_tables_touched st w (N.to_nat level) vspace 0 address ok) as walked_.
  destruct (walk_tables _ _ _ _ st) as ((t & reached_) & e). destruct (_ =? _); [|discriminate]. intros same. injection same as <-. exact walked_.
Qed.
Instance keeps_set_page_entry t i e : Touched t -> FineTable (set i e) -> Keeps (set_page_entry t i e). Proof. intros ok fine_. keeping set_page_entry. Qed.
Instance keeps_clear_page_entry t i : Touched t -> Keeps (clear_page_entry t i). Proof. intros ok. keeping clear_page_entry. Qed.
Lemma keeps_unmap p level one e : reached (ASpace (place_asid p)) -> Keeps (unmap p level one e).
Proof.
  intros ok st w. unfold unmap. destruct (vspace_of_asid (place_asid p) st) as [v|] eqn:space; [|exact w].
  pose proof (fine_spaces st w _ v ok space) as ok_v. destruct (table_of_level v level (place_address p) st) as [table|] eqn:walked_; [|exact w].
  pose proof (table_of_level_touched st v level _ table w ok_v walked_) as ok_t. cbv zeta. change (within st) with (good st) in w. keep.
Qed.
Instance keeps_unmap_frame b n p : SpaceAt p -> Keeps (unmap_frame b n p).
Proof. intros ok st w. unfold unmap_frame. destruct p as [p|]; [|exact w]. exact (keeps_unmap p _ _ _ (ok p eq_refl) st w). Qed.
Instance keeps_unmap_table t p : Touched t -> SpaceAt p -> Keeps (unmap_table t p).
Proof.
  intros ok_t ok st w. unfold unmap_table. destruct p as [p|]; [|exact w]. cbv zeta.
  pose proof (keeps_unmap p (place_level p - 1) (fun e => match e with NextTable x => x =? t | Page _ _ _ _ _ => false end)
    (InvalidateSpace (place_asid p)) (ok p eq_refl) st w). keep.
Qed.
Instance keeps_release_asid v a : SpaceOf a -> Keeps (release_asid v a).
Proof.
  intros ok st w. unfold release_asid. destruct a as [a|]; [|exact w]. destruct (pools st !! _) as [p|] eqn:listed; [|exact w].
  destruct (owns_asid v (Some a) st); [|exact w]. apply within_emit, within_change_pool; [exact (fine_pools st w a p (ok a eq_refl) listed) | | exact w].
  intros x i u. cbn [assigned]. rewrite find_remove. destruct (i =? _); [discriminate | left; assumption].
Qed.
Instance keeps_release_pool p : Keeps (release_pool p).
Proof.
  intros st [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12]. unfold release_pool.
  assert (forall k q, remove (pool_index (pool p st)) (pools st) !! k = Some q -> pools st !! k = Some q) as fewer
    by (intros k q; rewrite find_remove; destruct (k =? _); [discriminate | exact id]).
  constructor; try assumption.
  - intros asid q ok listed. exact (f4 asid q ok (fewer _ _ listed)).
  - intros asid v ok found. apply (f5 asid v ok). revert found. unfold vspace_of_asid.
    change (pools (st <| pools := remove (pool_index (pool p st)) (pools st) |>)) with (remove (pool_index (pool p st)) (pools st)).
    destruct (remove _ _ !! _) as [q|] eqn:listed; [|discriminate]. rewrite (fewer _ _ listed). exact id.
Qed.

(** ** Deletion *)
Instance keeps_allow n : Keeps (allow n). Proof. keeping allow. Qed.
Lemma units_keep {A : Type} (P : A -> Prop) remains (work : A -> State -> A * State) (a : A) st :
  (forall a st, P a -> within st -> P (fst (work a st)) /\ within (snd (work a st))) -> P a -> within st -> within (state_of (in_units remains work a st)).
Proof.
  intros each ok w. unfold in_units.
  pose proof (repeat_keeps (unit_turn remains work) (fun x => P (fst (fst x)) /\ within (snd x)) (fun p => within (state_of p))) as kept.
  assert (forall x, P (fst (fst x)) /\ within (snd x) ->
    match unit_turn remains work x with Again x => P (fst (fst x)) /\ within (snd x) | Finished p => within (state_of p) end) as turn.
  { intros ((a' & units) & st') (ok' & w'). cbn [fst snd] in *. unfold unit_turn. destruct (negb _); [exact (keeps_allow units st' w')|].
    destruct (units =? 0); [exact (keeps_allow 0 st' w')|]. destruct (each a' st' ok' w') as (ok2 & w2). destruct (work a' st') as (a2 & st2). exact (conj
        ok2 w2). }
  specialize (kept turn (allowance st) (a, allowance st, st) (conj ok w)). destruct (repeat_after _ _ _) as [((? & ?) & st')|p]; [exact (proj2 kept) | exact
      kept].
Qed.
Instance keeps_unbind_notification t n : Touched t -> Touched n -> Keeps (unbind_notification t n). Proof. intros ok ok_n. keeping unbind_notification. Qed.
Instance keeps_unbind_thread c : Touched c -> Keeps (unbind_thread_of_context c). Proof. intros ok. keeping unbind_thread_of_context. Qed.
Instance keeps_unbind_of_context c : Touched c -> Keeps (unbind_notification_of_context c). Proof. intros ok. keeping unbind_notification_of_context. Qed.
Instance keeps_end_thread t : Touched t -> Keeps (end_thread t). Proof. intros ok. keeping end_thread. Qed.
Instance keeps_end_notification n : Touched n -> Keeps (end_notification n). Proof. intros ok. keeping end_notification. Qed.
Instance keeps_end_context c : Touched c -> Keeps (end_context c). Proof. intros ok. keeping end_context. Qed.
Lemma within_interrupts f st : (forall irq, f (interrupts st) !! irq = None -> interrupts st !! irq = None \/ Held (irq_slot irq)) -> within st ->
  within (st <| interrupts := f (interrupts st) |>).
Proof.
  intros each [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12]. constructor; try assumption. intros irq ok none. destruct (each irq none) as [old|new]; [exact (f6
      irq ok old) | exact new].
Qed.
Instance keeps_end_interrupt i : Held (irq_slot i) -> Keeps (end_interrupt i).
Proof.
  intros ok st w. unfold end_interrupt. destruct (interrupts st !! i) as [x|]; [|exact w]. cbv zeta.
  assert (forall st, within st -> within (st <| interrupts := remove i (interrupts st) |>)) as removal.
  { intros st' w'. apply (within_interrupts (remove i)); [|exact w']. intros irq. rewrite find_remove. destruct (N.eqb_spec irq i) as [->|];
    [intros _; right; exact ok | left; assumption]. }
  apply removal. destruct (masked x), (active x); repeat apply within_emit; exact w.
Qed.
Instance keeps_let_go c : Nice c -> Keeps (let_go c). Proof. intros ok. red in ok. keeping let_go. Qed.
Instance keeps_make_zombie s : Held s -> Keeps (make_zombie s).
Proof.
  intros ok st w. unfold make_zombie. destruct (slots st !! s) as [e|] eqn:there; [|exact (within_emit _ st w)].
  pose proof (proj1 (fine_slots st w s e ok there)) as fine_e. destruct (container_of (capability e) st) as [o|] eqn:container; [|exact (within_emit _ st w)].
  exact (within_replace s e _ st ok there (good_zombie _ o st fine_e container) w).
Qed.
Instance keeps_become_zombie s c : Held s -> Nice c -> Keeps (become_zombie s c). Proof. intros ok ok_c. red in ok_c. keeping become_zombie. Qed.
Lemma zombie_parts o : good (ZombieCap o) -> Touched o /\ full o /\ Held (slot_of o 0).
Proof.
  intros ok. split; [exact (good_opens _ o ok eq_refl)|]. split; [exact (ok _ (by_ending o _ (or_introl eq_refl))) | exact (ok _ (by_ending o _ (or_intror
      (or_introl eq_refl))))].
Qed.
Instance keeps_rotate_zombies a s i : Held a -> Held s -> Held (slot_of i 0) -> Keeps (rotate_zombies a s i).
Proof.
  intros ok_a ok_s ok_i st w. pose proof (nowhere_is_held st w) as ok_n. unfold rotate_zombies. cbv zeta.
  apply within_move; [exact ok_n | exact ok_a|]. apply within_move; [exact ok_a | exact ok_i|].
  destruct (is_empty _ _); [|apply within_move; [exact ok_i | exact ok_s|]]; apply within_move; assumption.
Qed.
Lemma meet_inner_keeps a s outer inner st : Held a -> Held s -> Held (slot_of inner 0) -> within st ->
  Held (fst (meet_inner a s outer inner st)) /\ within (snd (meet_inner a s outer inner st)).
Proof.
  intros ok_a ok_s ok_i w. unfold meet_inner. destruct (_ && _); [split; [exact ok_a | apply within_discard; assumption]|].
  destruct (is_within _ _ _); [split; [exact ok_s | apply within_exchange; assumption]|].
  destruct (_ && _); (split; [exact ok_a|]); [apply within_move; try assumption; apply within_discard; assumption|].
  exact (keeps_rotate_zombies a s inner ok_a ok_s ok_i st w).
Qed.
Instance keeps_waiting_on c : Nice c -> Keeps (waiting_on c).
Proof.
  intros ok st w. red in ok. unfold waiting_on. destruct c; try constructor.
  - assert (Touched endpoint) as ok_e by exact (good_opens _ _ ok eq_refl). destruct (keeps_endpoint endpoint ok_e st w) as (a & b). apply Forall_app.
    exact (conj a b).
  - assert (Touched notification) as ok_n by exact (good_opens _ _ ok eq_refl). exact (good_waiters _ (keeps_notification notification ok_n st w)).
Qed.
Lemma all_spaces p asid : good (ASIDPoolCap p) -> reached (ASpace asid).
Proof. intros ok. apply ok, by_assigning. right. exists p. reflexivity. Qed.
Instance keeps_delete_plain s c : Held s -> Nice c -> Keeps (delete_plain s c).
Proof.
  intros ok ok_c st w. red in ok_c. unfold delete_plain. pose proof (keeps_waiting_on c ok_c st w) as listed. change (within st) with (good st) in w.
  destruct (is_last c st); [|keep]. destruct (waiting_on c st) as [|t rest].
  - destruct c; try solve [keep]. destruct (first_assigned pool st) as [(index & v)|]; [|keep].
    apply (keeps_release_asid v _ (fun a _ => all_spaces pool a ok_c) st w).
  - destruct (cons_good _ _ listed) as (ok_t & _). keep.
Qed.
Instance keeps_delete_one s c : Held s -> Nice c -> Keeps (delete_one s c).
Proof.
  intros ok ok_c st w. red in ok_c. unfold delete_one. change (within st) with (good st) in w. destruct c; try solve [keep].
Qed.
Lemma container_parts c o st : good c -> container_of c st = Some o -> Touched o /\ full o /\ Held (slot_of o 0).
Proof. intros ok found. exact (zombie_parts o (good_zombie c o st ok found)). Qed.
Lemma last_occupied_held o st s c : full o -> within st -> last_occupied o st = Some (s, c) -> Held s /\ fine c.
Proof.
  intros ok w. unfold last_occupied. destruct (last_below _ _) as [(slot & e)|] eqn:found; [|discriminate].
  destruct (o <=? slot) eqn:above; [|discriminate]. intros same. injection same as <- <-. apply last_below_found in found. destruct found as (below & found).
  apply N.leb_le in above. assert (Held slot) as held_.
  { unfold slot_count in below. destruct (objects st !! o) as [x|] eqn:there; [|unfold slot_of in below; lia].
    refine (proj2 (content_is_held o x (fine_objects st w o x there) ok) slot above _). destruct x; exact below. }
  split; [exact held_ | exact (proj1 (fine_slots st w slot e held_ found))].
Qed.
Lemma empty_zombie_keeps a outer st : Held a -> good (ZombieCap outer) -> within st ->
  Held (fst (empty_zombie a outer st)) /\ within (snd (empty_zombie a outer st)).
Proof.
  intros ok_a ok_z w. destruct (zombie_parts outer ok_z) as (_ & full_ & first_). unfold empty_zombie. cbv zeta.
  destruct (last_occupied outer st) as [(s & c)|] eqn:found; [|split; [exact ok_a | apply within_discard; assumption]].
  destruct (last_occupied_held outer st s c full_ w found) as (ok_s & fine_c).
  destruct (s =? a).
  - destruct (a =? slot_of outer 0); (split; [assumption|]); [apply within_discard; assumption|]. cbn [snd]. unfold to_first_slot.
    destruct (is_empty _ _); [apply within_move | apply within_exchange]; assumption.
  - destruct (container_of c st) as [inner|] eqn:container.
    + destruct (container_parts c inner st fine_c container) as (_ & _ & ok_i).
      apply meet_inner_keeps; try assumption. exact (keeps_become_zombie s c ok_s fine_c st w).
    + split; [exact ok_a | exact (keeps_delete_one s c ok_s fine_c st w)].
Qed.
Lemma delete_unit_keeps a st : Held a -> within st -> Held (fst (delete_unit a st)) /\ within (snd (delete_unit a st)).
Proof.
  intros ok w. unfold delete_unit. destruct (capability_at a st) as [c|] eqn:there; [|exact (conj ok w)]. pose proof (fine_at a st c ok w there) as fine_c.
  assert (Held (fst (match container_of c st with Some _ => (a, become_zombie a c st) | None => (a, delete_one a c st) end))
          /\ within (snd (match container_of c st with Some _ => (a, become_zombie a c st) | None => (a, delete_one a c st) end))) as plain.
  { destruct (container_of c st); (split; [exact ok|]); [exact (keeps_become_zombie a c ok fine_c st w) | exact (keeps_delete_one a c ok fine_c st w)]. }
  destruct c; try exact plain. exact (empty_zombie_keeps a _ st ok fine_c w).
Qed.
Instance keeps_delete slot : Held slot -> Keeps (delete slot).
Proof. intros ok st w. exact (units_keep Held is_occupied delete_unit slot st delete_unit_keeps ok w). Qed.
Instance keeps_revoke slot : Held slot -> Keeps (revoke slot).
Proof.
  intros ok st w. refine (units_keep Held _ _ nowhere st _ (nowhere_is_held st w) w). intros a st' ok_a w'. apply delete_unit_keeps; [|exact w'].
  unfold next_deletion. destruct (is_occupied a st'); [exact ok_a|]. unfold children_of. destruct (slots st' !! slot) as [e|] eqn:there; [|exact
      (nowhere_is_held st' w')].
  destruct (fine_slots st' w' slot e ok there) as (_ & listed). destruct (children e); [exact (nowhere_is_held st' w') | inversion listed; assumption].
Qed.
Instance keeps_insert_copy slot s c : Held slot -> Held s -> Nice c -> Keeps (insert_copy slot s c).
Proof. intros ok ok_s fine_c. red in fine_c. keeping insert_copy. Qed.
Instance keeps_replace_slot slot by_ : Held slot -> Nice by_ -> Keeps (replace_slot slot by_). Proof. intros ok fine_. red in fine_. keeping replace_slot.
    Qed.
Lemma keeps_cancel_unit e b : Touched e -> forall st, within st -> True /\ within (snd (cancel_unit e b tt st)).
Proof.
  intros ok st w. split; [exact I|]. unfold cancel_unit. cbn [snd]. destruct (sender_with_badge e b st) as [t|] eqn:found; [|exact w].
  unfold sender_with_badge in found. apply find_some in found. destruct found as (listed & _). unfold senders_in_turn in listed. apply filter_In in listed.
  destruct (queued_now e st ok w) as (q & _). destruct (proj1 (Forall_forall _ _) q t (proj1 listed)) as (ok_t & _). exact (keeps_restart t ok_t st w).
Qed.
Instance keeps_cancel_badged_sends e b : Touched e -> Keeps (cancel_badged_sends e b).
Proof.
  intros ok st w. unfold cancel_badged_sends.
  pose proof (units_keep (fun _ : unit => True) (has_sender_with_badge e b) (cancel_unit e b) tt st (fun u st _ w => match u with tt => keeps_cancel_unit e b
      ok st w end) I w).
  unfold and_then. destruct (in_units _ _ tt st); [|assumption]. destruct (_ && _); assumption.
Qed.

(** ** Methods *)
Class Caller (call : Invocation) : Prop := caller_is_good : good call.
Instance keeps_set_word_argument i v t : Touched t -> Keeps (set_word_argument i v t). Proof. intros ok. keeping set_word_argument. Qed.
Lemma shifted bits : N.shiftl 1 bits = 2 ^ bits. Proof. apply N.shiftl_1_l. Qed.
Lemma some_bytes bits : 0 < N.shiftl 1 bits. Proof. rewrite shifted. assert (2 ^ bits <> 0) by (apply N.pow_nonzero; discriminate). lia. Qed.
Lemma new_object_fresh type at_ n x : new_object type n = Some x -> fresh at_ (N.shiftl 1 (object_bits type n)) x.
Proof.
  intros made. destruct type; try discriminate; injection made as <-; constructor; try reflexivity; try exact I; try apply some_bytes;
    try (intros ?; discriminate); try (constructor; fail); cbn [count_of_object object_bits]; rewrite ?slot_of_at;
    try (change (N.shiftl 1 tcb_size_bits) with 2048; unfold thread_slots; lia); try lia.
  rewrite !shifted, N.pow_add_r. change (2 ^ slot_bits) with 32. lia.
Qed.
Lemma new_capability_fine type at_ n device : all_reached at_ (N.shiftl 1 (object_bits type n)) -> good (new_capability type at_ n device).
Proof.
  intros all_. pose proof (some_bytes (object_bits type n)) as some_.
  assert (forall y, In y [AnObject at_; Contents at_; ASlot at_] -> reached y) as here by (intros y; apply (all_ at_); lia).
  destruct type; cbn [new_capability]; opened;
    try (match goal with H : object_of _ = Some _ |- _ => injection H as <- end; apply here; left; reflexivity);
    try (apply here; right; left; reflexivity).
  - refine (all_ x _ _ _ _); eassumption.
  - match goal with H : In _ (whole_thread _) |- _ => revert H; apply (all_reached_own at_ (N.shiftl 1 tcb_size_bits) all_) end.
    rewrite slot_of_at. change (N.shiftl 1 tcb_size_bits) with 2048. unfold thread_slots. lia.
  - apply (all_ (slot_of at_ i)); [rewrite slot_of_at; lia | | right; right; left; reflexivity]. cbn [object_bits].
    rewrite slot_of_at, shifted, N.pow_add_r. change (2 ^ slot_bits) with 32. nia.
Qed.
Lemma make_object_keeps type at_ n d slot u st : all_reached at_ (N.shiftl 1 (object_bits type n)) -> Held slot -> Held u -> within st ->
  within (make_object type at_ n d slot u st).
Proof.
  intros all_ ok ok_u w. unfold make_object. cbv zeta. apply within_carve; [exact ok_u | exact ok | exact (new_capability_fine type at_ n d all_) | |].
  - destruct (new_object type n) as [x|] eqn:made; [exact (new_object_fresh type at_ n x made) | exact I].
  - destruct (_ || _); [apply within_emit|]; exact w.
Qed.
Lemma make_objects_keep count type at_ n d cnode index offset u t base size st :
  all_reached base size -> base <= at_ -> at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= base + size ->
  (forall i, index <= i -> i < index + N.of_nat count -> Held (slot_of cnode i)) -> Held u -> Touched t -> within st ->
  within (state_after (make_objects count type at_ n d (slot_of cnode index) offset u t st)).
Proof.
  intros all_. revert at_ index offset st. induction count as [|rest IH]; intros at_ index offset st above fits slots_ ok_u ok_t w; cbn [make_objects];
      [exact w|].
  destruct (must_stop st); [cbn [state_after]; apply keeps_set_word_argument; [exact ok_t|]; apply keeps_set_word_argument; assumption|]. cbv zeta.
  assert (slot_of cnode index + slot_bytes = slot_of cnode (index + 1)) as -> by (rewrite !slot_of_at; change slot_bytes with 32; lia).
  apply IH; [lia | lia | intros i a b; apply slots_; lia | exact ok_u | exact ok_t|]. apply keeps_allow, make_object_keeps; [|apply slots_; lia | exact ok_u
      | exact w].
  intros x a b. apply (all_ x); lia.
Qed.
Lemma good_state_after o : within (state_after o) -> good o. Proof. destruct o; exact id. Qed.
Instance keeps_untyped_retype a b c d e f r call : Nice call -> Nice r -> Keeps (untyped_retype a b c d e f r call).
Proof.
  intros ok ok_r st w. red in ok, ok_r. unfold untyped_retype. pose proof (good_invoked call ok) as fine_u.
  destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. destruct (or_default (b, b) (choice_of_size type)) as (smallest & largest).
  destruct (_ && _); [|exact I]. destruct (d <=? 64); [|exact I]. cbv zeta.
  assert (forall cnode radix guard size, good (CNodeCap cnode radix guard size) -> good (
    if e <? N.shiftl 1 radix then
      (if (1 <=? f) && (f <=? retype_fan_out_limit) then
        (if e + f <=? N.shiftl 1 radix then
          (if forallb (fun i => is_empty (slot_of cnode i) st) (numbers_from e (N.to_nat f)) then
            (if negb device || negb (needs_memory type) then
              (if negb device || is_frame type || (12 <=? b) then
                let used := if has_children (invoked_slot call) st then used else 0 in
                let size := N.shiftl 1 bits in
                let first := align_up (base + used) (object_bits type b) in
                (if first + N.shiftl f (object_bits type b) <=? base + size then
                  Perform (make_objects (N.to_nat f) type first b device (slot_of cnode e) e (invoked_slot call) (invoker call))
                else not_enough_memory (size - used))
              else range_error 12 max_untyped_bits)
            else invalid_argument 0)
          else delete_first)
        else range_error 1 (N.shiftl 1 radix - e))
      else range_error 1 retype_fan_out_limit)
    else range_error 0 (N.shiftl 1 radix - 1))) as into.
  { intros cnode radix guard size fine_c. destruct (e <? _); [|exact I]. destruct (_ && _); [|exact I].
    destruct (e + f <=? _) eqn:slots_fit; [|exact I]. destruct (forallb _ _); [|exact I]. destruct (_ || _); [|exact I]. destruct (_ || _); [|exact I]. cbv
        zeta.
    destruct (_ <=? base + _) eqn:fits_; [|exact I]. apply N.leb_le in slots_fit. apply N.leb_le in fits_. intros st' w'. apply good_state_after.
    apply (make_objects_keep _ _ _ _ _ _ _ _ _ _ base (N.shiftl 1 bits)); [exact (untyped_reaches base bits device used fine_u) | | | | | | exact w'].
    - pose proof (align_up_above (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)). lia.
    - rewrite N2Nat.id, shifted, <- N.shiftl_mul_pow2. exact fits_.
    - intros i above below. rewrite N2Nat.id in below. apply (cnode_holds cnode radix guard size i fine_c). rewrite <- shifted. lia.
    - exact (proj1 (proj2 ok)).
    - exact (own_touched _ (proj1 ok)). }
  destruct (d =? 0).
  - pose proof (good_argument_of r ok_r) as fine_root. destruct (argument r) as [[]|]; try exact I. exact (into _ _ _ _ fine_root).
  - pose proof (keeps_slot_under (argument r) c d (good_argument_of r ok_r) st w) as found.
    destruct (slot_under _ _ _ st) as [slot|]; [|exact I]. pose proof (keeps_capability_at slot found st w) as there.
    destruct (capability_at slot st) as [[]|]; try exact I. exact (into _ _ _ _ there).
Qed.
Instance keeps_cnode_revoke i d call : Nice call -> Keeps (cnode_revoke i d call). Proof. intros ok. red in ok. keeping cnode_revoke. Qed.
Instance keeps_cnode_delete i d call : Nice call -> Keeps (cnode_delete i d call). Proof. intros ok. red in ok. keeping cnode_delete. Qed.
Instance keeps_cnode_cancel i d call : Nice call -> Keeps (cnode_cancel_badged_sends i d call). Proof. intros ok. red in ok. keeping
    cnode_cancel_badged_sends. Qed.
Instance keeps_derive_into a b c d e r m o call : Making m -> Nice call -> Nice r -> Keeps (derive_into a b c d e r m o call).
Proof. intros fine_m ok ok_r. red in ok, ok_r. keeping derive_into. Qed.
Instance keeps_move_into a b c d r m call : Making m -> Nice call -> Nice r -> Keeps (move_into a b c d r m call).
Proof. intros fine_m ok ok_r. red in ok, ok_r. keeping move_into. Qed.
Instance keeps_cnode_rotate a b c d e f g h p r call : Nice call -> Nice p -> Nice r -> Keeps (cnode_rotate a b c d e f g h p r call).
Proof. intros ok ok_p ok_r. red in ok, ok_p, ok_r. keeping cnode_rotate. Qed.
Instance keeps_suspend_if b t : Touched t -> Keeps (suspend_if b t). Proof. intros ok. keeping suspend_if. Qed.
Instance keeps_resume t : Touched t -> Keeps (resume t). Proof. intros ok. keeping resume. Qed.
Instance keeps_resume_if b t : Touched t -> Keeps (resume_if b t). Proof. intros ok. keeping resume_if. Qed.
Instance keeps_stop_for_writing t : Touched t -> Keeps (stop_for_writing t). Proof. intros ok. keeping stop_for_writing. Qed.
Instance keeps_copy_registers l from to : Touched to -> Keeps (copy_registers l from to). Proof. intros ok. keeping copy_registers. Qed.
Instance keeps_replace_in t slot by_ : Held (slot_of t slot) -> Nice by_ -> Keeps (replace_in t slot by_). Proof. intros ok fine_. red in fine_. keeping
    replace_in. Qed.
Lemma good_replacement (a : Argument) : good a -> good (replacement a).
Proof. unfold replacement, good, good_argument. destruct (argument a); exact id. Qed.
Lemma good_guarded d (a : Argument) : good a -> good (guarded d a).
Proof.
  unfold guarded, good, good_argument. destruct (argument a) as [c|]; [|exact id]. intros (ok & fine_c). destruct (d =? 0); [exact (conj ok fine_c)|].
  pose proof (good_with_guard d c fine_c) as guarded_. destruct (with_guard d c); [exact (conj ok guarded_) | exact I].
Qed.
Hint Extern 0 (Nice (replacement _)) => (red; apply good_replacement; solve [keep]) : typeclass_instances.
Hint Extern 0 (Nice (guarded _ _)) => (red; apply good_guarded; solve [keep]) : typeclass_instances.
Instance keeps_set_buffer t a f : Own t -> Nice f -> Keeps (set_buffer t a f).
Proof. intros ok fine_. red in fine_. intros st w. cbv beta delta [set_buffer]. destruct (a =? 0); keep. Qed.
Instance keeps_set_priority t p : Own t -> Keeps (set_priority t p). Proof. intros ok. keeping set_priority. Qed.
Instance keeps_bind_context c t : Touched c -> Touched t -> Keeps (bind_context c t). Proof. intros ok_c ok. keeping bind_context. Qed.
Instance keeps_change_flags t c s : Touched t -> Keeps (change_flags t c s). Proof. intros ok. keeping change_flags. Qed.
Class OwnTarget (call : Invocation) : Prop := own_target : Own (invoked_thread call).
Instance target_is_own call : OwnTarget call -> Own (invoked_thread call). Proof. exact id. Qed.
Class TouchedTarget (call : Invocation) : Prop := touched_target : Touched (invoked_context call).
Instance target_is_touched call : TouchedTarget call -> Touched (invoked_context call). Proof. exact id. Qed.
Class HeldTarget (call : Invocation) : Prop := held_target : Held (irq_slot (invoked_interrupt call)).
Instance target_is_held call : HeldTarget call -> Held (irq_slot (invoked_interrupt call)). Proof. exact id. Qed.
Lemma invoked_own call : good call -> CapType.number CapType.TCB = CapType.number (cap_type (invoked call)) -> OwnTarget call.
Proof.
  intros ok type. pose proof (good_invoked call ok) as fine_c. unfold OwnTarget, invoked_thread. destruct (invoked call); try discriminate type.
  exact (good_thread_capability _ fine_c).
Qed.
Lemma invoked_touched call : good call -> CapType.number CapType.SchedContext = CapType.number (cap_type (invoked call)) -> TouchedTarget call.
Proof.
  intros ok type. pose proof (good_invoked call ok) as fine_c. unfold TouchedTarget, invoked_context. destruct (invoked call); try discriminate type.
  exact (good_opens _ _ fine_c eq_refl).
Qed.
Lemma invoked_held call : good call -> CapType.number CapType.IRQHandler = CapType.number (cap_type (invoked call)) -> HeldTarget call.
Proof.
  intros ok type. pose proof (good_invoked call ok) as fine_c. unfold HeldTarget, invoked_interrupt. destruct (invoked call); try discriminate type.
  exact (fine_c _ (by_handling irq)).
Qed.
Lemma own_of_target call t : OwnTarget call -> t = invoked_thread call -> Own t. Proof. intros ok ->. exact ok. Qed.
Instance keeps_tcb_configure a b c x y z call : OwnTarget call -> Nice x -> Nice y -> Nice z -> Keeps (tcb_configure a b c x y z call).
Proof. intros ok fine_x fine_y fine_z. red in ok, fine_x, fine_y, fine_z. keeping tcb_configure. Qed.
Instance keeps_tcb_set_space a b x y z call : OwnTarget call -> Nice x -> Nice y -> Nice z -> Keeps (tcb_set_space a b x y z call).
Proof. intros ok fine_x fine_y fine_z. red in ok, fine_x, fine_y, fine_z. keeping tcb_set_space. Qed.
Instance keeps_tcb_set_sched_params a b x y z call : OwnTarget call -> Nice x -> Nice y -> Nice z -> Keeps (tcb_set_sched_params a b x y z call).
Proof. intros ok fine_x fine_y fine_z. red in ok, fine_x, fine_y, fine_z. keeping tcb_set_sched_params. Qed.
Instance keeps_change_interrupt i f : Keeps (change_interrupt i f).
Proof.
  intros st w. apply (within_interrupts (update i f)); [|exact w]. intros irq. rewrite find_update.
  destruct (irq =? i); [destruct (interrupts st !! irq); [discriminate | left; reflexivity] | left; assumption].
Qed.
Instance keeps_deactivate i : Keeps (deactivate i). Proof. keeping deactivate. Qed.
Instance keeps_set_mask i m : Keeps (set_mask i m). Proof. keeping set_mask. Qed.
Lemma maintain_keeps t piece start_ end_ st : Touched t -> (forall x st, within st -> within (snd (piece x st))) -> within st ->
  good (maintain t piece start_ end_ st).
Proof.
  intros ok each w. unfold maintain. cbv zeta.
  assert (within (state_of (in_units (fun x (_ : State) => x <? end_)
    (fun x st => let (next, st) := piece x st in (next, set_word_argument 0 next t st)) start_ st))) as done_.
  { apply (units_keep (fun _ => True)); [|exact I | exact w]. intros x st' _ w'. pose proof (each x st' w') as next. destruct (piece x st') as (n & st2).
    split; [exact I|]. exact (keeps_set_word_argument 0 n t ok st2 next). }
  destruct (in_units _ _ _ _) as [st'|st']; [exact (keeps_set_word_argument 0 start_ t ok st' done_) | exact done_].
Qed.
Instance keeps_frame_maintain op a b call : Nice call -> Keeps (frame_maintain op a b call).
Proof.
  intros ok st w. unfold frame_maintain. destruct (invoked call); try exact I. cbv zeta. destruct (_ && _); [|exact I]. destruct (negb _); [|exact I].
  intros st' w'. apply maintain_keeps; [exact (own_touched _ (proj1 ok)) | | exact w']. intros x st2 w2. exact (within_emit _ st2 w2).
Qed.
Instance keeps_vspace_maintain op a b call : Nice call -> Keeps (vspace_maintain op a b call).
Proof.
  intros ok st w. unfold vspace_maintain. destruct (invoked call); try exact I. destruct asid; try exact I. destruct (owns_asid _ _ _); [|exact I].
  destruct (_ <? _); [|exact I]. destruct (_ <=? _); [|exact I]. intros st' w'. apply maintain_keeps; [exact (own_touched _ (proj1 ok)) | | exact w'].
  intros x st2 w2. unfold piece_of_space. destruct (translate _ _ _) as (entry & level). cbv zeta.
  destruct entry as [[|? ? [] ? ?]|]; try exact w2. exact (within_emit _ st2 w2).
Qed.
Instance keeps_irq_control_get a b c d r call : Nice r -> Held (invoked_slot call) -> reached FreeInterrupts -> Keeps (irq_control_get a b c d r call).
Proof.
  intros ok_r ok free st w. red in ok_r. unfold irq_control_get. cbv zeta. destruct (_ || _); [|exact I]. destruct (is_some _); [|exact I].
  destruct (interrupts st !! a) as [|] eqn:unknown; [exact I|]. cbn [is_some negb andb]. destruct (negb _); [|exact I].
  pose proof (fine_interrupts st w a free unknown) as ok_irq.
  assert (good (IRQHandlerCap a)) as fine_h by (opened; exact ok_irq).
  unfold empty_slot_in, slot_in. destruct (_ && _); [|exact I]. pose proof (keeps_slot_under (argument r) c d (good_argument_of r ok_r) st w) as found.
  destruct (slot_under _ _ _ st) as [slot|]; [|exact I]. destruct (is_empty slot st); [|exact I]. intros st' w'.
  apply (keeps_insert_derived slot (invoked_slot call) true (IRQHandlerCap a) found ok fine_h).
  match goal with |- good (set_field interrupts (set a ?x (interrupts ?s)) ?s) =>
    change (within (s <| interrupts := set a x (interrupts s) |>)); assert (within s) as w2 end.
  { destruct (is_held_back a); [apply within_emit|]; exact w'. }
  match goal with |- within (set_field interrupts (set a ?x (interrupts ?s)) ?s) => apply (within_interrupts (set a x)) end; [|exact w2].
  intros irq. rewrite find_set. destruct (irq =? a); [discriminate | left; assumption].
Qed.
Instance keeps_irq_control_issue a b c d r call : Nice r -> Held (invoked_slot call) -> Keeps (irq_control_issue_sgisignal a b c d r call).
Proof. intros ok_r ok. red in ok_r. assert (good (SGISignalCap a b)) as fine_s by opened. keeping irq_control_issue_sgisignal. Qed.
Instance keeps_irq_set_notification a call : Nice a -> HeldTarget call -> Keeps (irq_handler_set_notification a call).
Proof.
  intros ok_a ok st w. unfold irq_handler_set_notification. cbv zeta. red in ok_a. unfold good, good_argument in ok_a.
  destruct (argument a) as [[]|] eqn:is_n; try exact I. destruct (can_write _); [|exact I]. destruct ok_a as (ok_s & fine_c).
  assert (@Nice (option (N * Capability)) _ (Some (argument_slot a, NotificationCap notification badge rights))) as nice_ by exact (conj ok_s fine_c).
  red in ok. change (within st) with (good st) in w. keep.
Qed.
Lemma vspace_argument_keeps a st rest : good a -> (forall v asid, Touched v -> reached (ASpace asid) -> good (rest (v, asid))) ->
  good (vspace_argument a st rest).
Proof.
  intros ok each. pose proof (good_argument_of a ok) as fine_c. unfold vspace_argument. destruct (argument a) as [[]|]; try exact I.
  destruct asid as [asid|]; [|exact I]. destruct (owns_asid _ _ _); [|exact I]. apply each; [exact (good_opens _ _ fine_c eq_refl) | exact (fine_c _
      (by_space _ _))].
Qed.
Instance keeps_page_table_map a b v call : Nice v -> Nice call -> Keeps (page_table_map a b v call).
Proof.
  intros ok_v ok st w. red in ok, ok_v. unfold page_table_map. pose proof (good_invoked call ok) as fine_c. destruct (invoked call) as [| | | | | | | | |t p|
      | | | | | | | |]; try exact I.
  destruct p; [exact I|]. apply vspace_argument_keeps; [exact ok_v|]. intros space asid ok_space ok_asid. cbv beta iota.
  destruct (_ <? user_top); [|exact I]. pose proof (walk_tables_touched st w 3 space 0 a ok_space) as walked_.
  destruct (walk_tables 3 space 0 a st) as ((above & level) & entry). cbn [fst] in walked_. cbv beta iota zeta. destruct (_ && _); [|exact I].
  assert (Touched t) as ok_t by exact (good_opens _ _ fine_c eq_refl).
  assert (good (PageTableCap t (Some {| place_asid := asid; place_address := N.shiftl (N.shiftr a (entry_bits level)) (entry_bits level); place_level :=
      level + 1 |})))
    as fine_t by (opened; [apply fine_c, by_name; assumption | exact ok_asid]).
  assert (Held (invoked_slot call)) as ok_s by exact (proj1 (proj2 ok)). keep.
Qed.
Instance keeps_frame_map a b c v call : Nice v -> Nice call -> Keeps (frame_map a b c v call).
Proof.
  intros ok_v ok st w. red in ok, ok_v. unfold frame_map. destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |]; try exact I.
  apply vspace_argument_keeps; [exact ok_v|]. intros space asid ok_space ok_asid. cbv beta iota.
  destruct (_ <=? user_top); [|exact I]. destruct (aligned a bits); [|exact I]. destruct (match p with Some _ => _ | None => _ end); [|exact I].
  destruct (match p with Some _ => _ | None => _ end); [|exact I]. cbv zeta.
  destruct (table_of_level space (level_of_frame bits) a st) as [table|] eqn:walked_; [|exact I].
  pose proof (table_of_level_touched st space _ a table w ok_space walked_) as ok_t. destruct (match table_entries table st !! _ with Some _ => _ | None => _
      end);
    [|exact I].
  assert (good (FrameCap base bits device r (Some {| place_asid := asid; place_address := a; place_level := level_of_frame bits |}))) as fine_f
    by (opened; exact ok_asid).
  assert (Held (invoked_slot call)) as ok_s by exact (proj1 (proj2 ok)). keep.
Qed.
Instance keeps_page_table_unmap call : Nice call -> Keeps (page_table_unmap call).
Proof.
  intros ok st w. red in ok. unfold page_table_unmap. pose proof (good_invoked call ok) as fine_c. destruct (invoked call) as [| | | | | | | | |t p| | | | |
      | | | |]; try exact I.
  assert (Touched t) as ok_t by exact (good_opens _ _ fine_c eq_refl). change (within st) with (good st) in w. keep.
Qed.
Instance keeps_make_pool a b u r call : Nice u -> Nice r -> invoked call = ASIDControlCap -> Nice call -> Keeps (asid_control_make_pool a b u r call).
Proof.
  intros ok_u ok_r is_control ok st w. red in ok_u, ok_r, ok. pose proof (good_invoked call ok) as fine_c. rewrite is_control in fine_c.
  assert (forall asid, reached (ASpace asid)) as spaces by (intros asid; apply fine_c, by_assigning; left; reflexivity).
  unfold asid_control_make_pool. destruct (free_pool_index st) as [number|]; [|exact I]. unfold good, good_argument in ok_u.
  destruct (argument u) as [[base bits device used| | | | | | | | | | | | | | | | | |]|] eqn:is_u; try exact I. destruct ok_u as (ok_s & fine_u).
  pose proof (untyped_reaches base bits device used fine_u) as all_. rewrite shifted in all_.
  pose proof (some_bytes bits) as some_. rewrite shifted in some_.
  assert (forall y, In y [AnObject base; Contents base; ASlot base] -> reached y) as here
    by (intros y; apply (all_ base); lia).
  assert (good (ASIDPoolCap base)) as fine_p.
  { opened; [apply here; left; match goal with H : object_of _ = Some _ |- _ => injection H as <- end; reflexivity | apply spaces]. }
  assert (bits = 12 -> good (if negb (has_children (argument_slot u) st) then empty_slot_in (argument r) a b st (fun slot => always (fun st =>
      carve (argument_slot u) base (N.shiftl 1 page_bits) (Some (ASIDPoolObject {| pool_index := number; assigned := empty |})) slot (ASIDPoolCap base)
        ((fun st => st <| pools := set number base (pools st) |>) (emit (ClearMemory base (N.shiftl 1 page_bits) false) st)))) else revoke_first)) as done_.
  { intros ->. destruct (negb _); [|exact I]. unfold empty_slot_in, slot_in. destruct (_ && _); [|exact I].
    pose proof (keeps_slot_under (argument r) a b (good_argument_of r ok_r) st w) as found. destruct (slot_under _ _ _ st) as [slot|]; [|exact I].
    destruct (is_empty slot st); [|exact I]. intros st' w'. cbv beta.
    apply (within_carve (argument_slot u) base); [exact ok_s | exact found | exact fine_p | |].
    - constructor; try reflexivity; try exact I; [intros i v; cbn [assigned]; rewrite find_empty; discriminate | intros p same; injection same as <-;
        reflexivity |].
      cbn [count_of_object]. rewrite slot_of_at. change (N.shiftl 1 page_bits) with 4096. lia.
    - pose proof (within_emit (ClearMemory base (N.shiftl 1 page_bits) false) st' w') as w2. revert w2.
      generalize (emit (ClearMemory base (N.shiftl 1 page_bits) false) st'). intros st2 [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12].
      constructor; try assumption; change (pools (st2 <| pools := set number base (pools st2) |>)) with (set number base (pools st2)).
      + intros asid p ok_. rewrite find_set. destruct (_ =? number); [|exact (f4 asid p ok_)]. intros same. injection same as <-. apply here. left.
          reflexivity.
      + intros asid v ok_. unfold vspace_of_asid. change (pools (st2 <| pools := set number base (pools st2) |>)) with (set number base (pools st2)).
        rewrite find_set. destruct (_ =? number).
        * change (pool base (st2 <| pools := set number base (pools st2) |>)) with (pool base st2). unfold pool.
          destruct (objects st2 !! base) as [x|] eqn:there; [|cbn [assigned]; rewrite find_empty; discriminate].
          destruct x; cbn [assigned]; try (rewrite find_empty; discriminate).
          exact (proj1 (content_is_held base _ (f2 base _ there) (here _ (or_intror (or_introl eq_refl)))) _ v).
        * exact (f5 asid v ok_). }
  unfold good_decision. destruct bits as [|[bits|bits|]]; try exact I. destruct bits as [bits|bits|]; try exact I. destruct bits as [bits|bits|]; try exact I.
  destruct bits; try exact I. destruct device; [exact I|]. exact (done_ eq_refl).
Qed.
Instance keeps_assign a call : Nice a -> Nice call -> Keeps (asid_pool_assign a call).
Proof.
  intros ok_a ok st w. red in ok_a, ok. unfold asid_pool_assign. pose proof (good_invoked call ok) as fine_c. unfold good, good_argument in ok_a.
  destruct (invoked call) as [| | | | | | | | | | | |p| | | | | |]; try exact I. destruct (argument a) as [[]|] eqn:is_v; try exact I. destruct asid; [exact
      I|].
  destruct ok_a as (ok_s & fine_v). destruct (free_entry _) as [index|]; [|exact I]. cbv zeta. intros st' w'. cbv beta.
  assert (Touched p) as ok_p by exact (good_opens _ _ fine_c eq_refl). assert (Touched vspace) as ok_v by exact (good_opens _ _ fine_v eq_refl).
  apply within_change_capability; [exact ok_s | opened; [apply fine_v, by_name; assumption | apply (all_spaces p _ fine_c)] |].
  apply within_change_pool; [exact ok_p | | exact w']. intros x i v. cbn [assigned]. rewrite find_set. destruct (i =? index); [|left; assumption].
  intros same. injection same as <-. right. exact ok_v.
Qed.

(** The dispatch to all methods. *)
Definition decides_well (d : Decision) (st : State) : Prop := match d with Perform work => good (state_after (work st)) | Refuse _ _ => True end.
Lemma good_decides d st : good d -> good st -> decides_well d st.
Proof. destruct d as [e l|work]; intros fine_ ok; [exact I|]. pose proof (fine_ st ok) as after_. unfold decides_well. destruct (work st); exact after_. Qed.
Lemma decode_well method call st : good call -> fits method (invoked call) -> good st -> decides_well (decode_method method call st) st.
Proof.
  intros fine_ type ok. apply good_decides; [|exact ok].
  assert (Held (invoked_slot call)) as ok_s by exact (proj1 (proj2 fine_)).
  destruct method; unfold decode_method;
    try (pose proof (invoked_own call fine_ type) as own_; pose proof (own_ : Own (invoked_thread call)) as own_thread); try pose proof (invoked_touched call
        fine_ type) as touched_;
    try pose proof (invoked_held call fine_ type) as held_;
    lazymatch goal with
    | |- good (irq_control_get _ _ _ _ _ _ _) => idtac
    | |- good (asid_control_make_pool _ _ _ _ _ _) => idtac
    | |- good (?f st) => first [apply (keeps (f := f) st ok) | let h := head f in cbv beta delta [h]; solve [keep]]
    end.
  - apply keeps_make_pool; [exact (good_cap 0 call fine_) | exact (good_cap 1 call fine_) | | exact fine_ | exact ok].
    destruct (invoked call); try discriminate type. reflexivity.
  - apply keeps_irq_control_get; [exact (good_cap 0 call fine_) | exact ok_s | | exact ok]. pose proof (good_invoked call fine_) as fine_c.
    destruct (invoked call); try discriminate type. exact (fine_c _ by_claiming).
Qed.

(** ** Events *)
Instance keeps_cap_arguments l t : Own t -> Keeps (cap_arguments_at l t).
Proof.
  intros ok_t. induction l as [|address rest IH]; intros st ok; [constructor|]. cbn [cap_arguments_at].
  pose proof (keeps_slot_of_address t address ok_t st ok) as found. destruct (slot_of_address t address st) as [slot|report]; [|exact (conj I I)].
  pose proof (IH st ok) as others. destruct (cap_arguments_at rest t st) as [l|e]; [|exact (conj I I)].
  constructor; [|exact others]. unfold good, good_argument. cbn [argument argument_slot]. destruct (capability_at slot st) as [c|] eqn:there; [|exact I].
  exact (conj found (fine_at slot st c found ok there)).
Qed.
Lemma decide_well m t slot c arguments st : Own t -> Held slot -> good c -> good arguments -> good st -> decides_well (decide m t slot c arguments st) st.
Proof.
  intros ok_t ok_s fine_c fine_arguments ok. unfold decide. destruct (method_for (label m) c) as [method|] eqn:found; [|exact I].
  destruct (_ && _); [|exact I]. apply decode_well; [exact (conj ok_t (conj ok_s (conj fine_c fine_arguments))) | exact (method_fits _ _ _ found) | exact ok].
Qed.
Lemma invoke_good t slot c st : Own t -> Held slot -> good c -> good st -> within (snd (invoke t slot c st)).
Proof.
  intros ok_t ok_s fine_c ok. unfold invoke. cbv zeta. pose proof (keeps_cap_arguments (cap_addresses (message_of_call t st)) t ok_t st ok) as fine_arguments.
  destruct (cap_arguments_at _ t st) as [arguments|(address & report)]; [|exact ok].
  pose proof (decide_well (message_of_call t st) t slot c arguments st ok_t ok_s fine_c fine_arguments ok) as decided.
  destruct (decide (message_of_call t st) t slot c arguments st) as [error details|work]; [exact ok|].
  unfold decides_well in decided. destruct (work st); exact decided.
Qed.
Instance keeps_send_phase t a m : Own t -> Keeps (send_phase t a m).
Proof.
  intros ok_t st ok. unfold send_phase. pose proof (keeps_occupied_slot t a ok_t st ok) as found.
  destruct (occupied_slot_of_address t a st) as [(slot & c)|report]; [|keep]. destruct found as (ok_s & fine_c).
  pose proof (invoke_good t slot c st ok_t ok_s fine_c ok) as invoked_. cbn [snd] in fine_c. change (good c) in fine_c.
  assert (good (invoke t slot c st)) as invoked__ by exact (conj I invoked_). destruct c; keep.
Qed.
Instance keeps_cap_fault t a p r : Own t -> Keeps (cap_fault t a p r). Proof. intros ok. keeping cap_fault. Qed.
Instance keeps_unknown_system_call t : Own t -> Keeps (unknown_system_call t). Proof. intros ok. keeping unknown_system_call. Qed.
Instance keeps_put_result t e l : Touched t -> Keeps (put_result t e l). Proof. intros ok. keeping put_result. Qed.
Instance keeps_go_back t : Touched t -> Keeps (go_back t). Proof. intros ok. keeping go_back. Qed.
Lemma finish_send_good t m outcome : Own t -> good outcome -> good (finish_send t m outcome).
Proof. intros ok_t ok. unfold finish_send. keep. Qed.
Instance keeps_receive_now t r b : Own t -> Keeps (receive_now t r b).
Proof.
  intros ok_t st ok. unfold receive_now, source_of. cbv zeta. pose proof (keeps_occupied_slot t (register 0 (thread t st)) ok_t st ok) as found.
  destruct (occupied_slot_of_address t (register 0 (thread t st)) st) as [(slot & c)|report]; [|keep]. destruct found as (ok_s & fine_c). cbn [snd] in fine_c.
  change (good c) in fine_c. destruct c; try solve [keep].
  - destruct (negb _); [keep|]. destruct r; [|keep]. pose proof (keeps_occupied_slot t (register 6 (thread t st)) ok_t st ok) as found2.
    destruct (occupied_slot_of_address t (register 6 (thread t st)) st) as [(slot2 & c2)|report]; [|keep]. destruct found2 as (_ & fine_c2).
    cbn [snd] in fine_c2. change (good c2) in fine_c2. destruct c2; keep.
  - destruct (_ && _); keep.
Qed.
Instance keeps_becomes n t : Touched t -> Keeps (becomes n t). Proof. intros ok. keeping becomes. Qed.
Instance keeps_refuse_waiting e r : Touched e -> Keeps (refuse_waiting e r).
Proof.
  intros ok st w. exact (units_keep (fun _ : unit => True) (fun _ st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) tt st
    (fun _ st _ w => conj I (keeps_refuse_first e r ok st w)) I w).
Qed.
Instance keeps_refuse_early t r first_ : Own t -> Keeps (refuse_early t r first_).
Proof.
  intros ok_t st ok. unfold refuse_early, source_of. cbv zeta. pose proof (keeps_occupied_slot t (register 0 (thread t st)) ok_t st ok) as found.
  destruct (occupied_slot_of_address t (register 0 (thread t st)) st) as [(slot & c)|report]; [|exact ok]. destruct found as (ok_s & fine_c). cbn [snd] in
      fine_c.
  change (good c) in fine_c. destruct c; try exact ok.
  - assert (Touched endpoint) as ok_e by exact (good_opens _ _ fine_c eq_refl).
    assert (forall o, good (if requires_donation t st && negb (is_signalled t st) && negb (is_some (context_of t (first_ st)))
      then refuse_waiting endpoint o st else Done st)) as each by (intros o; destruct (_ && _); [exact (keeps_refuse_waiting endpoint o ok_e st ok) | exact
          ok]).
    destruct (negb (can_read rights)); [exact ok|]. destruct r; [|apply each].
    destruct (occupied_slot_of_address t (register 6 (thread t st)) st) as [(slot2 & [])|]; try exact ok. apply each.
  - destruct (_ && _); exact ok.
Qed.
Lemma unless_preempted_good t p rest : Touched t -> good p -> Keeps rest -> good (unless_preempted t p rest).
Proof. intros ok_t ok each. unfold unless_preempted. destruct p as [st|st]; [exact (each st ok) | exact (conj I (keeps_go_back t ok_t st ok))]. Qed.
Instance keeps_receive_phase t r b : Own t -> Keeps (receive_phase t r b).
Proof.
  intros ok_t st ok. apply (unless_preempted_good t _ (receive_now t r b)); [exact (own_touched t ok_t) | exact (keeps_refuse_early t r _ ok_t st ok) | keep].
Qed.
Instance keeps_then_receive t r : Own t -> Keeps (then_receive t r). Proof. intros ok. keeping then_receive. Qed.
Instance keeps_reply_phase t : Own t -> Keeps (reply_phase t). Proof. intros ok. keeping reply_phase. Qed.
Instance keeps_reply_and_receive t : Own t -> Keeps (reply_and_receive t).
Proof. intros ok st w. unfold reply_and_receive. apply unless_preempted_good; keep. Qed.
Instance keeps_pass_on t : Own t -> Keeps (pass_on t). Proof. intros ok. keeping pass_on. Qed.
Instance keeps_send_and_receive t r : Own t -> Keeps (send_and_receive t r).
Proof. intros ok st w. unfold send_and_receive. apply unless_preempted_good; keep. Qed.
Instance keeps_yield t : Touched t -> Keeps (yield t). Proof. intros ok. keeping yield. Qed.
Instance keeps_sends t m : Own t -> Keeps (sends t m).
Proof. intros ok_t st ok. unfold sends. apply finish_send_good; [exact ok_t | keep]. Qed.
Instance keeps_run_system_call s t : Own t -> Keeps (run_system_call s t). Proof. intros ok. keeping run_system_call. Qed.
Instance keeps_system_call t : Own t -> Keeps (system_call t). Proof. intros ok. keeping system_call. Qed.
Instance keeps_interrupt i : Held (irq_slot i) -> Keeps (interrupt i). Proof. intros ok. keeping interrupt. Qed.
Lemma timeout_own t e badge r st : Touched t -> thread_exists t st = true -> capability_at (slot_of t timeout_slot) st = Some (EndpointCap e badge r) ->
    within st -> Own t.
Proof.
  unfold thread_exists. intros ok there found w. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:is_thread; try discriminate.
  apply (fine_timeouts st w t x is_thread). right. split; [exact ok | exists e, badge, r; exact found].
Qed.

(** ** The end of a step

    Who is ready is a thread: so it is of a thread that the budget ends. *)
Lemma running_exists t st : run_state (thread t st) = Running -> thread_exists t st = true.
Proof. unfold thread, thread_exists. destruct (objects st !! t) as [[]|]; try discriminate. reflexivity. Qed.
Lemma budget_ends_within st : waiting nobody st -> within st -> within (end_budget st).
Proof.
  intros waits_ w. unfold end_budget. cbv zeta. pose proof (@StepProofs.keeps_book_turn _ _ _ _ (waiting_quietly nobody) st waits_) as waits1.
  change (waiting nobody (book_turn st)) in waits1. pose proof (keeps_book_turn st w) as w1. revert waits1 w1. generalize (book_turn st). clear.
  intros st waits_ w. pose proof (keeps_current_context st w) as ok_c. destruct (current_context st) as [c|]; [|exact w]. apply named_good in ok_c.
  unfold thread_that_uses. pose proof (good_context_thread _ (keeps_context c ok_c st w)) as ok_t.
  destruct (context_thread (context c st)) as [t|]; [|exact w]. apply named_good in ok_t. destruct (member t (ready st)) eqn:queued_; [|exact w].
  destruct (is_used_up c st); [|exact w].
  assert (thread_exists t (place t st) = true) as there.
  { unfold thread_exists. unfold place. rewrite (proj2 (proj2 (place_by_same insert_behind t st))). apply running_exists, (w_runs nobody st waits_),
      in_app_iff.
    left. apply member_spec. exact queued_. }
  pose proof (keeps_place t st w) as w1. revert there w1. generalize (place t st). intros st1 there w1. unfold time_out.
  destruct (capability_at (slot_of t timeout_slot) st1) as [[]|] eqn:handler_; try exact w1.
  pose proof (timeout_own t _ _ _ st1 ok_t there handler_ w1) as ok. assert (Held (slot_of t timeout_slot)) as ok_s by exact (own_slot t timeout_slot ok
      eq_refl).
  match goal with |- within ?x => change (good x) end. change (within st1) with (good st1) in w1. keep.
Qed.
Lemma within_use c st : match c with Some c => Touched c | None => True end -> within st -> within (st <| current_context := c |>).
Proof. intros ok [f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12]. constructor; try assumption. intros d same. change (c = Some d) in same. rewrite same in ok. exact
    ok. Qed.
Lemma first_ready_same a b : ready b = ready a -> current_domain b = current_domain a -> (forall t, thread t b = thread t a) -> first_ready b = first_ready a.
Proof.
  intros same1 same2 same3. unfold first_ready. rewrite same1. generalize (ready a). intros l.
  induction l as [|t rest IH]; cbn [List.find]; [reflexivity|]. rewrite same2, same3 in *. destruct (_ =? _); [reflexivity | exact IH].
Qed.
Lemma first_after_context c f st : first_ready (change_context c f st) = first_ready st.
Proof.
  apply first_ready_same; unfold change_context; destruct (objects st !! c) as [[| | | | |x| | |]|] eqn:there; try reflexivity.
  intros t. unfold thread. match goal with |- context [put_object c ?y st] => change (objects (put_object c y st)) with (set c y (objects st)) end.
  rewrite find_set. destruct (N.eqb_spec t c) as [->|]; [rewrite there|]; reflexivity.
Qed.
Definition before_choice (st : State) : State :=
  let st := if ends_turn (choices st) then end_turn_if_due st else st in
  if stays_in_use st && negb (books (choices st)) then st else change_context_in_use st.
Lemma current_after_choice st : current (choose_thread st) = first_ready (before_choice st).
Proof.
  unfold choose_thread. fold (before_choice st). cbv zeta.
  change (current match first_ready (before_choice st) with
    | Some t => end_yield_by report_booked t (before_choice st <| current := first_ready (before_choice st) |>)
    | None => before_choice st <| current := first_ready (before_choice st) |> end = first_ready (before_choice st)).
  generalize (before_choice st). intros two. destruct (first_ready two) as [t|]; [|reflexivity].
  set (st3 := two <| current := Some t |>). assert (current st3 = Some t) as cur by reflexivity. revert cur. generalize st3. clear st3. intros st3 cur.
      unfold end_yield_by.
  destruct (yielded_to (thread t st3)) as [c|]; [|exact cur]. unfold report_booked.
  assert (forall c f st, current (change_context c f st) = current st) as same1 by (intros c0 f s; unfold change_context; destruct (objects s !! c0) as
      [[]|]; reflexivity).
  assert (forall t f st, current (change_thread t f st) = current st) as same2 by (intros c0 f s; unfold change_thread; destruct (objects s !! c0) as [[]|];
      reflexivity).
  rewrite same2, !same1. exact cur.
Qed.
Lemma choice_within st : waiting nobody st -> within st -> (forall t, current (choose_thread st) = Some t -> Touched t) -> within (choose_thread st).
Proof.
  intros waits_ w next_. rewrite current_after_choice in next_.
  assert (within (before_choice st)) as w2.
  { unfold before_choice in *. cbv zeta in *. set (one := if ends_turn (choices st) then end_turn_if_due st else st) in *.
    assert (waiting nobody one) as waits1 by (unfold one; destruct (ends_turn _);
      [exact (@StepProofs.keeps_end_turn_if_due _ _ _ _ (waiting_quietly nobody) st waits_) | exact waits_]).
    assert (within one) as w1 by (unfold one; destruct (ends_turn _); [exact (keeps_end_turn_if_due st w) | exact w]).
    clearbody one. destruct (_ && _); [exact w1|]. unfold change_context_in_use in *. cbv zeta in *.
    pose proof (budget_ends_within one waits1 w1) as w3. revert w3 next_. generalize (end_budget one). intros three w3 next_.
    assert (match context_of_first three with Some c => Touched c | None => True end) as ok_c.
    { unfold context_of_first in *. destruct (first_ready three) as [t|] eqn:first_; [|exact I].
      assert (Touched t) as ok_t.
      { apply next_. destruct (context_of t three) as [c|]; [|exact first_].
        assert (first_ready (three <| current_context := Some c |>) = Some t) as same by exact first_.
        destruct (_ || _); [exact same|]. rewrite first_after_context. exact same. }
      exact (keeps_context_of t ok_t three w3). }
    pose proof (within_use (context_of_first three) three ok_c w3) as w4. destruct (context_of_first three) as [c|]; [|exact w4].
    destruct (_ || _); [exact w4|]. assert (Touched c) as ok_c' by exact ok_c.
    match goal with |- within (change_context c ?f ?s) => change (good (change_context c f s)); change (within s) with (good s) in w4 end. keep. }
  unfold choose_thread. fold (before_choice st). cbv zeta.
  change (good match first_ready (before_choice st) with
    | Some t => end_yield_by report_booked t (before_choice st <| current := first_ready (before_choice st) |>)
    | None => before_choice st <| current := first_ready (before_choice st) |> end).
  assert (good (before_choice st <| current := first_ready (before_choice st) |>)) as w3 by (apply (within_same (before_choice st)); try reflexivity; exact
      w2).
  destruct (first_ready (before_choice st)) as [t|]; [|exact w3]. assert (Touched t) as ok_t by exact (next_ t eq_refl). keep.
Qed.

(** ** Events *)
Instance keeps_wake_sleepers : Keeps wake_sleepers. Proof. keeping wake_sleepers. Qed.
Lemma fault_within t c st : Own t -> within st -> within (snd (user_fault t c st)).
Proof.
  intros ok w. assert (good (user_fault t c st)) as done_; [|exact (proj2 done_)]. change (within st) with (good st) in w. unfold user_fault, debug_event.
      cbv zeta.
  destruct c; try destruct reason; try destruct (_ =? 1); keep.
Qed.
Lemma handle_within c st : waiting nobody st -> (forall t, current st = Some t -> Own t) -> (forall irq, c = InterruptArrives irq -> Held (irq_slot irq)) ->
  within st -> within (snd (handle c st)).
Proof.
  intros waits_ runs arrives w. unfold handle.
  assert (forall t, current st = Some t -> within (snd (user_fault t c st))) as faults_ by (intros t cur; exact (fault_within t c st (runs t cur) w)).
  destruct c as [|irq| |a f s|n c|why a n]; [| | | | |].
  - destruct (current st) as [t|]; [|exact w]. pose proof (runs t eq_refl) as ok. exact (proj2 (keeps_system_call t ok st w)).
  - exact (keeps_interrupt irq (arrives irq eq_refl) st w).
  - apply keeps_end_turn_if_due, keeps_wake_sleepers, budget_ends_within; assumption.
  - destruct (current st) as [t|]; [exact (faults_ t eq_refl) | exact w].
  - destruct (current st) as [t|]; [exact (faults_ t eq_refl) | exact w].
  - destruct (current st) as [t|]; [exact (faults_ t eq_refl) | exact w].
Qed.
Lemma current_after_enter e st : current (enter e st) = current st.
Proof.
  unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur; [|exact cur].
  unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact cur.
Qed.
Lemma enter_within e st : (forall t, current st = Some t -> Own t) -> within st -> within (enter e st).
Proof.
  intros runs w. unfold enter, save_registers. change (current (begin_step e st)) with (current st).
  assert (good (begin_step e st)) as w1 by (apply (within_same st); try reflexivity; exact w).
  destruct (current st) as [t|]; [|exact w1]. pose proof (own_touched t (runs t eq_refl)) as ok.
  match goal with |- within ?x => change (good x) end. keep.
Qed.
Lemma leave_within st : within st -> within (Step.leave st). Proof. apply within_same; reflexivity. Qed.
Lemma step_within e st : waiting nobody st -> (forall t, current st = Some t -> In t (ready st)) -> (forall t, current st = Some t -> Own t) ->
  (forall irq, cause e = InterruptArrives irq -> Held (irq_slot irq)) -> (forall t, current (fst (fst (step st e))) = Some t -> Touched t) ->
  within st -> within (fst (fst (step st e))).
Proof.
  intros waits_ ready_ runs arrives next_ w. unfold step, finish in *.
  destruct (@StepProofs.keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st waits_)) as (entered & same).
  change (waiting nobody (enter e st)) in entered.
  assert (waiting nobody (snd (handle (cause e) (enter e st)))) as waits2.
  { apply handled; [exact entered|]. intros t is_cur. rewrite (same_state _ _ same). apply (w_runs nobody st waits_), in_app_iff. left. apply ready_.
    rewrite <- is_cur. symmetry. apply current_after_enter. }
  assert (within (snd (handle (cause e) (enter e st)))) as w2.
  { apply handle_within; [exact entered | rewrite current_after_enter; exact runs | exact arrives | exact (enter_within e st runs w)]. }
  destruct (handle (cause e) (enter e st)) as (result & two). cbn [fst snd] in *. apply leave_within, choice_within; [exact waits2 | exact w2 | exact next_].
Qed.
End Reached.

(** ** The claims *)
Theorem steps_stay_within_proved : steps_stay_within step.
Proof.
  intros plan reached st e apart reached_ closed (begins_ & next_).
  assert (within reached st st) as w.
  { apply closed_is_within; [exact closed | apply begins_, at_nowhere | intros c use; apply begins_, at_context; exact use | reflexivity | reflexivity]. }
  pose proof (reachable_waits plan st apart reached_) as waits_.
  assert (within reached st (next_of step st e)) as w2.
  { apply step_within; [exact waits_ | | | | exact next_ | exact w].
    - intros t is_cur. destruct (states_are_settled_proved plan st reached_) as [first_ _ _ _]. rewrite first_ in is_cur. unfold first_ready in is_cur.
      apply List.find_some in is_cur. exact (proj1 is_cur).
    - intros t is_cur y listed. apply begins_. exact (at_caller st e t y is_cur listed).
    - intros irq arrives. apply begins_, at_interrupt. exact arrives. }
  split; [exact (within_is_closed reached st _ w2)|].
  constructor; [exact (same_objects reached st _ w2) | exact (same_slots reached st _ w2) | exact (same_entries reached st _ w2)|].
  intros slot not_ (child & x & held_ & there & is_parent). pose proof (fine_parents reached st _ w2 child x held_ there) as ok_p. rewrite is_parent in ok_p.
  destruct ok_p as [held2|lends_]; [destruct (not_ held2) | exact lends_].
Qed.
Theorem changes_are_reached_proved : changes_are_reached step.
Proof.
  intros plan st e apart reached_. refine (proj2 (steps_stay_within_proved plan (touchable step st e) st e apart reached_ _ _)).
  - intros x y leads r. exact (by_rule step st e x y r leads).
  - split; [apply from_the_start | apply by_scheduling].
Qed.
Theorem run_noninterfered_proved : run_noninterfered step.
Proof.
  intros plan p subject reached st next apart reached_ (closed & off) runs.
  assert (reachable step plan next /\ closed_under next reached /\ rest_stays reached st next) as (_ & closed_ & [objs slots_ entries_ _]).
  { induction runs as [|next e runs (reached2 & closed2 & [objs slots_ entries_ loans_]) begins_].
    - split; [exact reached_|]. split; [exact closed|]. constructor; try reflexivity; [intros slot _; apply stays_refl | intros slot _; exact id].
    - destruct (steps_stay_within_proved plan reached next e apart reached2 closed2 begins_) as (closed3 & [objs3 slots3 entries3 loans3]).
      split; [exact (after_event step plan next e reached2)|]. split; [exact closed3|]. constructor.
      + intros o no. rewrite (objs3 o no). exact (objs o no).
      + intros slot no. exact (stays_trans _ _ _ (slots_ slot no) (slots3 slot no)).
      + intros slot no alone. rewrite (entries3 slot no (fun l => alone (loans_ slot no l))). exact (entries_ slot no alone).
      + intros slot no l. exact (loans_ slot no (loans3 slot no l)). }
  split; [split; [exact closed_ | exact off]|]. intros x whose. destruct (off x whose) as (no_o & no_s).
  split; [exact (objs x no_o)|]. split; [exact (slots_ x no_s) | exact (entries_ x no_s)].
Qed.
