(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Interrupts have handlers

    IRQControl makes an interrupt known together with its first handler; the last handler takes it along. What comes in between is looked at as a whole. *)
From Coq Require Import Lia.
From Spec Require Export UnitProofs MemoryProofs.
Open Scope N_scope.

Definition but_handling (k : Link) : bool := match k with Ending | Handling => true | _ => false end.
Definition handles (slot irq : N) (st : State) : Prop := capability_at slot st = Some (IRQHandlerCap irq).
Record handled (st : State) : Prop := {
  handled_sound : sound st;
  handlers_known : forall slot irq, handles slot irq st -> is_some (interrupts st !! irq) = true;
  known_handled : forall irq, is_some (interrupts st !! irq) = true -> exists slot, handles slot irq st
}.

(** ** States with the same handlers *)
Lemma handled_as a b : sound b -> same_known a b -> (forall slot irq, handles slot irq b -> exists slot', handles slot' irq a) ->
  (forall slot irq, handles slot irq a -> exists slot', handles slot' irq b) -> handled a -> handled b.
Proof.
  intros right known there back ok. constructor; [exact right | |].
  - intros slot irq found. rewrite (known irq). destruct (there slot irq found) as (slot' & found'). exact (handlers_known a ok slot' irq found').
  - intros irq is_known. rewrite (known irq) in is_known. destruct (known_handled a ok irq is_known) as (slot & found). exact (back slot irq found).
Qed.
Lemma handled_in_slots a b : sound b -> same_known a b -> slots b = slots a -> handled a -> handled b.
Proof.
  intros right known same. apply (handled_as a b right known); intros slot irq; unfold handles; pose proof (capability_same slot a b same) as at_slot;
    intros found; exists slot; congruence.
Qed.
Lemma known_of_slots a b : same_but_slots a b -> interrupts b = interrupts a. Proof. unfold same_but_slots. intros same. rewrite same. reflexivity. Qed.
Lemma known_eq a b : interrupts b = interrupts a -> same_known a b. Proof. intros same irq. rewrite same. reflexivity. Qed.
Lemma handled_emit e st : handled st -> handled (emit e st).
Proof.
  intros ok. apply (handled_in_slots st); [|intros irq; reflexivity | reflexivity | exact ok].
  exact (sound_same st (emit e st) eq_refl eq_refl eq_refl (handled_sound st ok)).
Qed.
Lemma place_by_known insert t st : interrupts (place_by insert t st) = interrupts st.
Proof.
  unfold place_by. cbv zeta. destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try reflexivity.
  destruct (negb _); [reflexivity|]. destruct (usable _ _); reflexivity.
Qed.
Lemma handled_quietly : kept_quietly_but but_handling handled (fun _ => True) low.
Proof.
  pose proof sound_is_kept_quietly as sound_.
  assert (forall a b, slots b = slots a -> references b = references a -> objects b = objects a -> same_known a b -> handled a -> handled b) as of_same.
  { intros a b same_slots same_references same_objects known ok. apply (handled_in_slots a); [|exact known | exact same_slots | exact ok].
    exact (sound_same a b same_slots same_references same_objects (handled_sound a ok)). }
  constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _. exact (of_same a b same_slots same_references same_objects).
  - intros t st. change (handled st -> handled (unplace t st)). apply of_same; try reflexivity. intros irq. reflexivity.
  - intros insert t st _. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
    apply of_same; try assumption. apply known_eq, place_by_known.
  - intros t st _. apply of_same; try reflexivity. intros irq. reflexivity.
  - intros o x y st there same change fine ok. apply (handled_in_slots st); [|intros irq; reflexivity | reflexivity | exact ok].
    apply (after_put_object sound_ o x y st there same); [|exact fine | exact (handled_sound st ok)].
    destruct y, x; try exact I; repeat split; discriminate.
  - intros slot c st ok. exact (capabilities_are_fine sound_ slot c st (handled_sound st ok)).
Qed.

(** ** Capabilities come, change and move *)
Lemma handled_with st after slot c : sound after -> interrupts after = interrupts st -> capability_at slot after = Some c ->
  is_claimed c st = true -> (forall irq, ~ handles slot irq st) ->
  (forall j irq, j <> slot -> handles j irq after <-> handles j irq st) -> handled st -> handled after.
Proof.
  intros right same at_slot claimed none others ok. constructor; [exact right | |].
  - intros j irq found. rewrite same. destruct (N.eq_dec j slot) as [->|other].
    + unfold handles in found. rewrite at_slot in found. injection found as ->. exact claimed.
    + exact (handlers_known st ok j irq (proj1 (others j irq other) found)).
  - intros irq known. rewrite same in known. destruct (known_handled st ok irq known) as (j & found). exists j.
    destruct (N.eq_dec j slot) as [->|other]; [destruct (none irq found) | exact (proj2 (others j irq other) found)].
Qed.
Lemma vacant_handles slot st : slots st !! slot = None -> forall irq, ~ handles slot irq st.
Proof. intros vacant irq. unfold handles, capability_at. rewrite vacant. discriminate. Qed.
Lemma alike_handler old c irq : stands_alike old c = true -> stands_alike c old = true -> (old = IRQHandlerCap irq <-> c = IRQHandlerCap irq).
Proof.
  intros first second. split; intros ->.
  - destruct c; try discriminate first; try discriminate second. cbn [stands_alike] in first. apply N.eqb_eq in first. congruence.
  - destruct old; try discriminate first; try discriminate second. cbn [stands_alike] in first. apply N.eqb_eq in first. congruence.
Qed.
Lemma comes_no_handler c at_ size x : comes_with c at_ size x -> is_claimed c = fun _ => true.
Proof.
  intros (_ & with_it). destruct c; try reflexivity. destruct x; [destruct with_it; discriminate|].
  destruct with_it as (bits & device & memory & _). discriminate.
Qed.
Lemma carve_known u at_ size x slot c st : interrupts (carve u at_ size x slot c st) = interrupts st.
Proof.
  unfold carve. destruct (slots st !! u) as [e|]; [|reflexivity]. destruct (capability_at u st) as [[]|]; try reflexivity. cbv zeta.
  destruct (_ && _); [|reflexivity]. rewrite (known_of_slots _ _ (insert_child_same slot u true c _)).
  destruct x; cbn [put_if_some];
    try match goal with |- interrupts (put_object ?o ?y ?s) = _ => change (interrupts (put_object o y s)) with (interrupts s) end;
    apply known_of_slots, replace_capability_same.
Qed.
Lemma handled_kept : kept_but but_handling handled (fun _ => True) low.
Proof.
  pose proof sound_is_kept as sound_. constructor; try discriminate; [| | | | |exact yields_low].
  - intros slot p o c st from fine_c ok.
    pose proof (after_insert_child sound_ slot p o c st from fine_c (handled_sound st ok)) as right.
    destruct (is_empty slot st && negb (is_empty p st)) eqn:can; [|unfold insert_child; rewrite can; exact (handled_emit Stuck st ok)].
    pose proof (fun j => in_insert_child slot p o c st j can) as found. pose proof can as vacant. apply andb_prop, proj1, is_empty_spec in vacant.
    destruct from as (_ & x & _ & (_ & claimed) & _).
    apply (handled_with st _ slot c right); [apply known_of_slots, insert_child_same | | exact claimed | exact (vacant_handles slot st vacant) | | exact ok].
    + rewrite capability_at_in, found, N.eqb_refl. reflexivity.
    + intros j irq other. unfold handles. rewrite !capability_at_in, found. apply N.eqb_neq in other. rewrite other. reflexivity.
  - intros slot source_ o c st from fine_c ok.
    pose proof (after_insert_sibling sound_ slot source_ o c st from fine_c (handled_sound st ok)) as right.
    destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact (handled_emit Stuck st ok)].
    destruct (slots st !! source_) as [e|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; exact (handled_emit Stuck st ok)].
    apply is_empty_spec in vacant. pose proof (fun j => in_insert_sibling slot source_ o c st e j vacant there) as found.
    destruct from as (_ & x & _ & (_ & claimed) & _).
    apply (handled_with st _ slot c right); [apply known_of_slots, insert_sibling_same | | exact claimed | exact (vacant_handles slot st vacant) | | exact ok].
    + rewrite capability_at_in, found, N.eqb_refl. reflexivity.
    + intros j irq other. unfold handles. rewrite !capability_at_in, found. apply N.eqb_neq in other. rewrite other. reflexivity.
  - intros u at_ size x slot c st with_it fine_x fine_c ok.
    pose proof (after_carve sound_ u at_ size x slot c st with_it fine_x fine_c (handled_sound st ok)) as right.
    destruct (carve_cases u at_ size x slot c st) as [stuck|cut]; [rewrite stuck; exact (handled_emit Stuck st ok)|].
    destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & _ & caps & _ & _).
    apply (handled_with st _ slot c right); [apply carve_known | | | exact (vacant_handles slot st vacant) | | exact ok].
    + rewrite capability_at_in, caps, N.eqb_refl. reflexivity.
    + rewrite (comes_no_handler c at_ size x with_it). reflexivity.
    + intros j irq other. unfold handles. rewrite !capability_at_in, caps. apply N.eqb_neq in other. rewrite other.
      destruct (N.eqb_spec j u) as [->|]; [|reflexivity]. rewrite (in_slot st u e there), is_it. split; discriminate.
  - intros from to st ok. pose proof (after_move_capability sound_ from to st (handled_sound st ok)) as right.
    destruct (slots st !! from) as [e|] eqn:there; [|unfold move_capability in *; rewrite there in *; exact (handled_emit Stuck st ok)].
    destruct (is_empty to st) eqn:vacant; [|unfold move_capability in *; rewrite there, vacant in *; exact (handled_emit Stuck st ok)].
    apply is_empty_spec in vacant. pose proof (fun j => in_move from to st e j there vacant) as found.
    apply (handled_as st _ right); [apply known_eq, known_of_slots, move_capability_same | | | exact ok]; intros j irq; unfold handles.
    + rewrite capability_at_in, found. destruct (j =? to); [|destruct (j =? from); [discriminate|]]; intros at_j; [exists from | exists j];
        rewrite capability_at_in; exact at_j.
    + intros at_j. destruct (N.eq_dec j from) as [->|other].
      * exists to. rewrite capability_at_in, found, N.eqb_refl, <- capability_at_in. exact at_j.
      * exists j. rewrite capability_at_in, found. apply N.eqb_neq in other. rewrite other. destruct (N.eqb_spec j to) as [->|];
          [destruct (vacant_handles to st vacant irq at_j) | rewrite <- capability_at_in; exact at_j].
  - intros slot c st fine_c ok. pose proof (after_change_capability sound_ slot c st fine_c (handled_sound st ok)) as right. revert right.
    unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|intros _; exact (handled_emit Stuck st ok)].
    destruct (_ && _) eqn:both; [|intros _; exact (handled_emit Stuck st ok)]. apply andb_prop in both. destruct both as (first & second). intros right.
    assert (forall j irq, handles j irq (replace_capability slot e c st) <-> handles j irq st) as same.
    { intros j irq. unfold handles. rewrite !capability_at_in, (in_replace slot e c st j there). destruct (N.eqb_spec j slot) as [->|]; [|reflexivity].
      rewrite (in_slot st slot e there). pose proof (alike_handler (capability e) c irq first second) as alike_.
      split; intros found; f_equal; apply alike_; congruence. }
    apply (handled_as st _ right); [apply known_eq, known_of_slots, replace_capability_same | | | exact ok]; intros j irq found; exists j;
      apply same; exact found.
Qed.

(** ** A unit of deletion *)
Lemma discard_slots s st j : capability_at j (discard s st) = if j =? s then None else capability_at j st.
Proof.
  rewrite (capability_at_in st j), <- in_remove_capability, <- capability_at_in. unfold discard. destruct (capability_at s st) as [c|] eqn:there.
  - destruct (object_of c) as [o|]; [destruct (_ || _)|]; reflexivity.
  - unfold remove_capability. unfold capability_at in there. destruct (slots st !! s); [discriminate | reflexivity].
Qed.
Lemma discard_known s st : interrupts (discard s st) = interrupts st.
Proof.
  unfold discard. destruct (capability_at s st) as [c|]; [|reflexivity].
  destruct (object_of c) as [o|]; [destruct (_ || _)|];
    try (match goal with |- interrupts (remove_object _ ?x) = _ => change (interrupts x = interrupts st) end);
    apply known_of_slots, remove_capability_same.
Qed.
Lemma sound_discard s st : sound st -> sound (discard s st).
Proof. exact (after_discard sound_is_kept s st eq_refl). Qed.
Lemma discard_other s st : handled st -> (forall irq, ~ handles s irq st) -> handled (discard s st).
Proof.
  intros ok none. apply (handled_as st); [exact (sound_discard s st (handled_sound st ok)) | apply known_eq, discard_known | | | exact ok];
    intros j irq; unfold handles; rewrite ?discard_slots; destruct (N.eqb_spec j s) as [->|other].
  - discriminate.
  - intros found. exists j. exact found.
  - intros found. destruct (none irq found).
  - intros found. exists j. rewrite discard_slots. apply N.eqb_neq in other. rewrite other. exact found.
Qed.
Lemma interrupt_ends irq st j : interrupts (end_interrupt irq st) !! j = if j =? irq then None else interrupts st !! j.
Proof.
  unfold end_interrupt. destruct (interrupts st !! irq) as [i|] eqn:known.
  - destruct (masked i), (active i); cbv zeta;
      match goal with |- interrupts (set_field interrupts ?t ?s) !! j = _ => change (interrupts (set_field interrupts t s)) with t end;
      rewrite find_remove; reflexivity.
  - destruct (N.eqb_spec j irq) as [->|]; [exact known | reflexivity].
Qed.
Lemma irq_slots_differ a b : irq_slot a = irq_slot b -> a = b.
Proof. unfold irq_slot, slot_of, slot_bytes. change (N.shiftl 1 slot_bits) with 32. lia. Qed.
Lemma handler_counted st s irq c : sound st -> capability_at s st = Some c -> referent c = Some (irq_slot irq) -> c = IRQHandlerCap irq.
Proof.
  intros ok there counted. rewrite capability_at_in in there. destruct (low_ok st ok s c there) as (below_ & _).
  destruct c; cbn [referent object_of] in *; try discriminate counted;
    try (specialize (below_ _ eq_refl); injection counted as ->; unfold irq_slot, slot_of in below_; lia).
  f_equal. apply irq_slots_differ. congruence.
Qed.
Lemma handler_gone s irq st : handled st -> handles s irq st -> handled (discard s (let_go (IRQHandlerCap irq) st)).
Proof.
  intros ok there. pose proof (handled_sound st ok) as right.
  assert (sound (discard s (let_go (IRQHandlerCap irq) st))) as after
    by (apply sound_discard; exact (@keeps_let_go _ _ _ _ sound_is_kept_quietly _ eq_refl eq_refl eq_refl eq_refl st right)).
  assert (exists e, slots st !! s = Some e /\ capability e = IRQHandlerCap irq) as (e & found & is_it).
  { unfold handles, capability_at in there. destruct (slots st !! s) as [e|]; [|discriminate]. exists e. split; congruence. }
  destruct (indices_ok st right) as (_ & counts). revert after. unfold let_go. destruct (is_last (IRQHandlerCap irq) st) eqn:last; intros after.
  - assert (forall j, handles j irq st -> j = s) as alone_.
    { intros j at_j. unfold handles in at_j. rewrite capability_at_in in at_j.
      exact (last_is_alone (slots st) s j (IRQHandlerCap irq) (IRQHandlerCap irq) (irq_slot irq) e found is_it eq_refl
               (is_last_count (IRQHandlerCap irq) (irq_slot irq) st counts eq_refl last) at_j eq_refl). }
    assert (forall j, capability_at j (end_interrupt irq st) = capability_at j st) as same.
    { intros j. apply capability_same. unfold end_interrupt. destruct (interrupts st !! irq) as [i|]; [|reflexivity].
      destruct (masked i), (active i); reflexivity. }
    constructor; [exact after | |].
    + intros j irq'. unfold handles. rewrite discard_slots, same, discard_known, interrupt_ends. destruct (N.eqb_spec j s) as [->|other]; [discriminate|].
      intros at_j. destruct (N.eqb_spec irq' irq) as [->|]; [destruct (other (alone_ j at_j)) | exact (handlers_known st ok j irq' at_j)].
    + intros irq'. rewrite discard_known, interrupt_ends. destruct (N.eqb_spec irq' irq) as [->|other]; [discriminate|]. intros known.
      destruct (known_handled st ok irq' known) as (j & at_j). exists j. unfold handles. rewrite discard_slots, same.
      destruct (N.eqb_spec j s) as [->|]; [|exact at_j]. unfold handles in at_j, there. congruence.
  - apply (handled_as st); [exact after | apply known_eq, discard_known | | | exact ok]; intros j irq'; unfold handles; rewrite ?discard_slots.
    + destruct (j =? s); [discriminate|]. intros at_j. exists j. exact at_j.
    + intros at_j. destruct (N.eq_dec j s) as [->|other].
      * assert (irq' = irq) as -> by (unfold handles in there; congruence).
        destruct (another_one st s e (irq_slot irq) counts found ltac:(rewrite is_it; reflexivity) ltac:(rewrite is_it; exact last))
          as (k & f & other & at_k & counted).
        exists k. rewrite discard_slots. apply N.eqb_neq in other. rewrite other.
        assert (capability_at k st = Some (capability f)) as in_k by (unfold capability_at; rewrite at_k; reflexivity).
        rewrite in_k. f_equal. exact (handler_counted st k irq _ right in_k counted).
      * exists j. rewrite discard_slots. apply N.eqb_neq in other. rewrite other. exact at_j.
Qed.
Lemma let_go_other s c st : handled st -> capability_at s st = Some c -> (forall irq, c <> IRQHandlerCap irq) -> handled (let_go c st).
Proof.
  intros ok there other. pose proof handled_quietly as quiet. unfold let_go.
  destruct c; try exact ok; try (destruct (is_last _ st); [|exact ok]).
  - exact (@keeps_end_notification _ _ _ _ quiet _ eq_refl eq_refl st ok).
  - exact (@keeps_free_reply _ _ _ _ quiet _ eq_refl st ok).
  - exact (@keeps_end_context _ _ _ _ quiet _ eq_refl eq_refl st ok).
  - exact (@keeps_release_asid _ _ _ _ quiet _ _ st ok).
  - exact (@keeps_unmap_table _ _ _ _ quiet _ _ st ok).
  - exact (@keeps_unmap_frame _ _ _ _ quiet _ _ _ st ok).
  - exact (@keeps_release_pool _ _ _ _ quiet _ st ok).
  - destruct (other irq eq_refl).
Qed.
Lemma handled_make_zombie s st : handled st -> handled (make_zombie s st).
Proof.
  intros ok. pose proof (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_is_kept s eq_refl st (handled_sound st ok)) as right. revert right.
  unfold make_zombie. destruct (slots st !! s) as [e|] eqn:there; [|intros _; exact (handled_emit Stuck st ok)].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|intros _; exact (handled_emit Stuck st ok)]. intros right.
  assert (forall j irq, handles j irq (replace_capability s e (ZombieCap o) st) <-> handles j irq st) as same.
  { intros j irq. unfold handles. rewrite !capability_at_in, (in_replace s e _ st j there). destruct (N.eqb_spec j s) as [->|]; [|reflexivity].
    rewrite (in_slot st s e there). split; [discriminate|]. intros names. injection names as names. rewrite names in container. discriminate. }
  apply (handled_as st _ right); [apply known_eq, known_of_slots, replace_capability_same | | | exact ok]; intros j irq found; exists j;
    apply same; exact found.
Qed.
Lemma handled_unit anchor st : handled st -> handled (snd (delete_unit anchor st)).
Proof.
  pose proof handled_quietly as quiet. apply (unit_kept_by handled).
  - exact (after_move_capability handled_kept).
  - intros s o before ok zombie. apply (discard_other s before ok). intros irq. unfold handles. congruence.
  - intros s c before ok _. unfold become_zombie. apply handled_make_zombie.
    destruct c; try exact ok. exact (@keeps_end_thread _ _ _ _ quiet thread eq_refl eq_refl before ok).
  - intros s c before ok there _ _.
    assert ((exists irq, c = IRQHandlerCap irq) \/ forall irq, c <> IRQHandlerCap irq) as [(irq & ->)|other]
      by (destruct c; try (right; intros; discriminate); left; eexists; reflexivity).
    + exact (handler_gone s irq before ok there).
    + apply discard_other; [exact (let_go_other s c before ok there other)|]. intros irq. unfold handles.
      rewrite (capability_same s before _ (proj1 (let_go_tables c before))), there. intros names. injection names as names. exact (other irq names).
  - intros s c t before ok _ _. exact (@keeps_restart _ _ _ _ quiet t eq_refl before ok).
  - intros v a before ok. exact (@keeps_release_asid _ _ _ _ quiet v a before ok).
Qed.

(** ** IRQControl::Get *)
Lemma handler_made slot control irq i st : handled st -> slots st !! slot = None -> capability_at control st = Some IRQControlCap ->
  handled (insert_derived slot control true (IRQHandlerCap irq) (st <| interrupts := set irq i (interrupts st) |>)).
Proof.
  intros ok vacant there. set (known := st <| interrupts := set irq i (interrupts st) |>).
  assert (sound known) as right by exact (sound_same st known eq_refl eq_refl eq_refl (handled_sound st ok)).
  assert (low (IRQHandlerCap irq)) as fine by (repeat split; intros; discriminate).
  assert (is_claimed (IRQHandlerCap irq) known = true) as claimed
    by (cbn [is_claimed]; change (interrupts known) with (set irq i (interrupts st)); rewrite find_set, N.eqb_refl; reflexivity).
  assert (derivable (IRQHandlerCap irq) control known) as from by (split; [reflexivity|]; exists IRQControlCap; repeat split; assumption).
  assert (exists e, slots known !! control = Some e /\ capability e = IRQControlCap) as (e & at_control & is_it).
  { unfold capability_at in there. change (slots known) with (slots st). destruct (slots st !! control) as [e|]; [|discriminate]. exists e. split; congruence. }
  assert (forall after, sound after -> interrupts after = interrupts known ->
            (forall j, capability_in (slots after) j = if j =? slot then Some (IRQHandlerCap irq) else capability_in (slots known) j) -> handled after) as made.
  { intros after right_after same found. constructor; [exact right_after | |]; change (interrupts known) with (set irq i (interrupts st)) in same;
      change (slots known) with (slots st) in found.
    - intros j irq'. unfold handles. rewrite capability_at_in, found, same, find_set. destruct (N.eqb_spec irq' irq) as [->|other]; [reflexivity|].
      destruct (j =? slot); [intros names; injection names as names; congruence|]. rewrite <- capability_at_in. apply (handlers_known st ok).
    - intros irq'. rewrite same, find_set. destruct (N.eqb_spec irq' irq) as [->|other].
      + intros _. exists slot. unfold handles. rewrite capability_at_in, found, N.eqb_refl. reflexivity.
      + intros is_known. destruct (known_handled st ok irq' is_known) as (j & at_j). exists j. unfold handles. rewrite capability_at_in, found.
        destruct (N.eqb_spec j slot) as [->|]; [destruct (vacant_handles slot st vacant irq' at_j) | rewrite <- capability_at_in; exact at_j]. }
  unfold insert_derived. rewrite at_control, is_it, claimed. cbn [is_zombie negb orb stands_alike]. destruct (original e).
  - apply made; [exact (after_insert_child sound_is_kept slot control true _ known from fine right) | apply known_of_slots, insert_child_same|].
    intros j. apply in_insert_child. unfold is_empty. change (slots known !! slot) with (slots st !! slot). rewrite vacant, at_control. reflexivity.
  - apply made; [exact (after_insert_sibling sound_is_kept slot control true _ known from fine right) | apply known_of_slots, insert_sibling_same|].
    intros j. exact (in_insert_sibling slot control true _ known e j vacant at_control).
Qed.
Lemma get_handled a b c d r call st : fits Method.IRQControlGet (invoked call) -> capability_at (invoked_slot call) st = Some (invoked call) -> handled st ->
  match irq_control_get a b c d r call st with Perform work => handled (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type there ok. assert (invoked call = IRQControlCap) as is_control by (destruct (invoked call); try discriminate type; reflexivity).
  rewrite is_control in there. unfold irq_control_get, empty_slot_in, slot_in. cbv zeta beta.
  repeat match goal with |- match (if ?x then _ else _) with _ => _ end => destruct x eqn:?; try exact I end.
  destruct (slot_under (argument r) c d st) as [slot|report]; [|exact I]. destruct (is_empty slot st) eqn:vacant; [|exact I].
  apply is_empty_spec in vacant. cbn [always state_after]. destruct (is_held_back a).
  - exact (handler_made slot (invoked_slot call) a _ (emit _ st) (handled_emit _ st ok) vacant there).
  - exact (handler_made slot (invoked_slot call) a _ st ok vacant there).
Qed.
Lemma handled_operations : operations but_handling handled.
Proof.
  constructor; [right; exact handled_unit|]. intros m. destruct m; try (left; reflexivity). right. intros call st type (there & _) ok. unfold decode_method.
  exact (get_handled _ _ _ _ _ call st type there ok).
Qed.

(** ** Boot *)
Lemma handled_at_start p : roots_are_sound p -> handled (insert_roots p (first_state p)).
Proof.
  intros right. assert (forall slot irq, ~ handles slot irq (insert_roots p (first_state p))) as none.
  { intros slot irq found. unfold handles in found. rewrite capability_at_in in found.
    refine (fine_at_start (fun c => forall irq, c <> IRQHandlerCap irq) p _ slot _ found irq eq_refl). intros c (s & listed) i ->.
    apply in_app_or in listed. destruct listed as [listed|listed].
    - unfold root_capabilities in listed. cbn [In] in listed. repeat (destruct listed as [listed|listed]; [discriminate|]). exact listed.
    - unfold dynamic_capabilities in listed. cbv zeta in listed. apply in_combine_r, in_app_or in listed. destruct listed as [listed|listed];
        apply in_map_iff in listed; [destruct listed as (core & same & _) | destruct listed as (((base & bits) & device) & same & _)]; discriminate. }
  assert (forall irq, interrupts (insert_roots p (first_state p)) !! irq = None) as unknown.
  { assert (forall l st, interrupts (fold_left (fun st entry => insert_root (fst entry) (snd entry) st) l st) = interrupts st) as same.
    { induction l as [|(slot & c) l IH]; intros st; [reflexivity|]. cbn [fold_left fst snd]. rewrite IH. apply known_of_slots, insert_root_same. }
    intros irq. unfold insert_roots. rewrite same. change (interrupts (first_state p)) with (@empty Interrupt). apply find_empty. }
  constructor; [exact (sound_at_start p right) | |].
  - intros slot irq found. destruct (none slot irq found).
  - intros irq. rewrite unknown. discriminate.
Qed.

(** Claim [interrupts_stay_handled]. *)
Theorem interrupts_stay_handled_proved : interrupts_stay_handled step.
Proof.
  intros p st right reached.
  pose proof (@reachable_keeps_but _ _ _ _ handled_quietly handled_kept handled_operations p (handled_at_start p right) eq_refl st reached) as ok.
  intros irq. split.
  - intros (i & known). apply (known_handled st ok). rewrite known. reflexivity.
  - intros (slot & found). pose proof (handlers_known st ok slot irq found) as known.
    destruct (interrupts st !! irq) as [i|]; [exists i; reflexivity | discriminate].
Qed.
