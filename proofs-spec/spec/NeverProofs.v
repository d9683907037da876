(* SPDX-License-Identifier: BSD-2-Clause *)
(** * No step gets stuck

    In the states between steps and between units of work all links are symmetric and no capability dangles: so what is named is there, whichever objects
    have come and gone. From there each operation that leaves the objects what they are gets nowhere where something is missing; where an object comes or goes
    what is left to do asks for slots only. *)
From Coq Require Import Lia.
From Spec Require Export InsideProofs.
Open Scope N_scope.

Definition sorts_of (st : State) (o : N) : option Sort := option_map sort_of (objects st !! o).
Record strong (st : State) : Prop := {
  g_parts : LendProofs.parts st;
  g_yields : yielding st;
  g_handled : InterruptProofs.handled st;
  g_bounded : all_fine bounded st
}.
Record clean (m : Machine * Prop) (st : State) : Prop := {
  c_nowhere : capability_at nowhere st = None;
  c_irqs : forall slot irq, capability_at slot st = Some (IRQHandlerCap irq) -> irq < most_interrupts;
  c_machine : machine st = fst m;
  c_smooth : In Stuck (effects st) -> snd m
}.
Lemma firm_clean sorts m st : firm sorts m st -> clean m st.
Proof. intros [s o c k n mm sm]. constructor; try assumption. intros slot irq there. exact (c slot _ there). Qed.

(** ** What is named is there *)
Lemma a_thread t st : thread_exists t st = true -> is_a (sorts_of st) AThread t.
Proof. unfold thread_exists, is_a, sorts_of. destruct (objects st !! t) as [[]|]; try discriminate. reflexivity. Qed.
Lemma a_context c st : context_exists c st = true -> is_a (sorts_of st) AContext c.
Proof. unfold context_exists, is_a, sorts_of. destruct (objects st !! c) as [[]|]; try discriminate. reflexivity. Qed.
Lemma an_endpoint e st : endpoint_exists e st = true -> is_a (sorts_of st) AnEndpoint e.
Proof. unfold endpoint_exists, is_a, sorts_of. destruct (objects st !! e) as [[]|]; try discriminate. reflexivity. Qed.
Lemma a_notification n st : notification_exists n st = true -> is_a (sorts_of st) ANotification n.
Proof. unfold notification_exists, is_a, sorts_of. destruct (objects st !! n) as [[]|]; try discriminate. reflexivity. Qed.
Lemma a_reply r st : reply_exists r st = true -> is_a (sorts_of st) AReply r.
Proof. unfold reply_exists, is_a, sorts_of. destruct (objects st !! r) as [[]|]; try discriminate. reflexivity. Qed.
Lemma named_if s sorts o : (forall x, o = Some x -> is_a sorts s x) -> named sorts s o.
Proof. destruct o as [x|]; [intros each; exact (each x eq_refl) | intros _; exact I]. Qed.

Lemma strong_firm m st : strong st -> clean m st -> firm (sorts_of st) m st.
Proof.
  intros [(link & wait & ok) yields handled_ bounded_] [free_ irqs mm smooth]. pose proof (handled_sound st handled_) as right.
  assert (forall t p, stands t p st -> thread_exists t st = true) as standing.
  { intros t p there. apply thread_is. apply (w_stands nobody st wait) in there. destruct there as (_ & named_). intros no. rewrite no in named_.
      exact named_. }
  assert (forall t p, says (run_state (thread t st)) p -> stands t p st) as stands_ by (intros t p named_; apply (w_stands nobody st wait); split;
    [intros [] | exact named_]).
  constructor; try assumption.
  - reflexivity.
  - intros o x there. destruct x; try exact I.
    + assert (Objects.thread o st = thread) as is_x by (unfold Objects.thread; rewrite there; reflexivity).
      assert (forall p, says (run_state thread) p -> stands o p st) as says_ by (intros p; rewrite <- is_x; apply stands_).
      split; [|split; [|split]]; try (apply named_if; intros y; rewrite <- is_x).
      * assert (forall e, says (run_state thread) (InSenders e) \/ says (run_state thread) (InReceivers e) -> is_a (sorts_of st) AnEndpoint e) as ends.
        { intros e named_. apply an_endpoint. destruct (endpoint_exists e st) eqn:here; [reflexivity|].
            destruct (missing_endpoint e st here) as (no_s & no_r).
          destruct named_ as [named_|named_]; apply says_ in named_; cbn [stands] in named_; [rewrite no_s in named_ | rewrite no_r in named_];
            destruct named_. }
        assert (forall r, says (run_state thread) (AsCaller r) \/ says (run_state thread) (AsReceiver r) -> is_a (sorts_of st) AReply r) as replies.
        { intros r [named_|named_]; apply says_ in named_; cbn [stands] in named_; apply a_reply, reply_is; [left | right]; congruence. }
        destruct (run_state thread) as [| |e r q g|e b g gr c l|r g|n] eqn:state; cbn [fine_state]; try exact I.
        -- split; [apply ends; right; destruct r; reflexivity|]. apply named_if. intros r' ->. apply replies. right. reflexivity.
        -- apply ends. left. reflexivity.
        -- apply replies. left. reflexivity.
        -- apply a_notification. destruct (notification_exists n st) eqn:here; [reflexivity|]. pose proof (says_ (InWaiters n) eq_refl) as listed.
           cbn [stands] in listed. rewrite (missing_notification n st here) in listed. destruct listed.
      * intros bound. apply (both_bound _ (linked_both st link)) in bound. destruct (binder_exists y st o bound) as (z & here & _).
        apply a_notification. unfold notification_exists. rewrite here. reflexivity.
      * intros has. apply a_context. exact (proj2 (had_exists none o y st ok has)).
      * intros to. apply a_context. exact (proj2 (to_exists o y st yields to)).
    + assert (Objects.endpoint o st = endpoint) as is_x by (unfold Objects.endpoint; rewrite there; reflexivity).
      split; apply Forall_forall; intros t listed; apply a_thread; [apply (standing t (InSenders o)) | apply (standing t (InReceivers o))]; cbn [stands];
        rewrite is_x; exact listed.
    + assert (Objects.notification o st = notification) as is_x by (unfold Objects.notification; rewrite there; reflexivity). split; [|split].
      * apply Forall_forall. intros t listed. apply a_thread, (standing t (InWaiters o)). cbn [stands]. rewrite is_x. exact listed.
      * apply named_if. intros t. rewrite <- is_x. intros bound. apply (both_bound _ (linked_both st link)) in bound.
        destruct (bound_exists t st o bound) as (z & here & _). apply a_thread. unfold thread_exists. rewrite here. reflexivity.
      * apply named_if. intros c. rewrite <- is_x. intros lent. apply a_context. exact (lent_there o c st link lent).
    + assert (Objects.reply o st = reply) as is_x by (unfold Objects.reply; rewrite there; reflexivity). split; [|split]; apply named_if; intros y;
        rewrite <- is_x.
      * intros calls_. apply a_thread, (standing y (AsCaller o)). exact calls_.
      * intros awaits. apply a_thread, (standing y (AsReceiver o)). exact awaits.
      * intros with_c. apply (b_along none st ok) in with_c. apply a_context. exact (called_exists o y st with_c).
    + assert (Objects.context o st = context) as is_x by (unfold Objects.context; rewrite there; reflexivity). split; [|split; [|split]];
        try (apply named_if; intros y; rewrite <- is_x).
      * intros has. apply (b_had none st ok) in has. apply a_thread. exact (proj1 (had_exists none y o st ok has)).
      * intros lender. apply (both_lent _ (linked_both st link)) in lender. destruct (lent_exists y st o lender) as (z & here & _).
        apply a_notification. unfold notification_exists. rewrite here. reflexivity.
      * apply Forall_forall. intros r listed. rewrite <- is_x in listed. apply a_reply. exact (along_exists r o st (proj2 (b_along none st ok r o) listed)).
      * intros by_. apply (y_both st yields) in by_. apply a_thread. exact (proj1 (to_exists y o st yields by_)).
  - intros slot c there. rewrite capability_at_in in there.
    pose proof (low_ok st right slot c there) as (is_low & _). pose proof (bounded_ slot c there) as (_ & below_).
    assert (forall o, object_of c = Some o -> exists x, objects st !! o = Some x /\ fits_object c x) as refers_ by
      (intros o; exact (refers _ _ (live_ok st right) slot c o there)).
    destruct c; try exact I; try exact (irqs slot irq ltac:(rewrite capability_at_in; exact there));
      (destruct (refers_ _ eq_refl) as (x & found & fits_)); cbn [fine_cap object_of referent] in *; try exact (is_low _ eq_refl);
      unfold is_a, sorts_of; rewrite found; destruct x; try discriminate fits_; try reflexivity.
    + split; [|exact below_]. apply N.eqb_eq in fits_. subst. reflexivity.
    + split; [reflexivity | exact (is_low _ eq_refl)].
  - intros slot irq there. exact (handlers_known st handled_ slot irq there).
Qed.

(** ** A unit of deletion *)
Lemma clean_held m st after hold : comes_to_hold st after hold -> hold nowhere = None -> (forall j c, hold j = Some c -> exists k, capability_at k st = Some
    c) ->
  clean m st -> clean m after.
Proof.
  intros (same & told & holds_) free_ from [n i mm sm]. constructor.
  - rewrite holds_. exact free_.
  - intros slot irq there. rewrite holds_ in there. destruct (from slot _ there) as (k & at_k). exact (i k irq at_k).
  - unfold same_but_slots in same. rewrite same. exact mm.
  - rewrite told. exact sm.
Qed.
Lemma clean_move m from to st c : capability_at from st = Some c -> capability_at to st = None -> to <> nowhere -> clean m st ->
  clean m (move_capability from to st).
Proof.
  intros there vacant elsewhere ok. apply (clean_held m st _ _ (moved from to st c there vacant)); [| |exact ok].
  - rewrite (proj2 (N.eqb_neq nowhere to)) by congruence. destruct (_ =? _); [reflexivity | exact (c_nowhere m st ok)].
  - intros j d. destruct (j =? to); [intros is_d; injection is_d as <-; exists from; exact there|]. destruct (j =? from); [discriminate|]. exists j.
      assumption.
Qed.
Lemma effects_remove s st : effects (remove_capability s st) = effects st.
Proof.
  unfold remove_capability. destruct (slots st !! s) as [e|]; [|reflexivity]. cbv zeta. fold (adopt (parent e) (children e) st). rewrite effects_discount.
  change (effects (change_children (parent e) (replace s (children e)) (adopt (parent e) (children e) st)) = effects st).
  rewrite effects_children. apply effects_adopt.
Qed.
Lemma discard_rest s st : effects (discard s st) = effects st /\ machine (discard s st) = machine st.
Proof.
  assert (machine (remove_capability s st) = machine st) as same by (rewrite (remove_capability_same s st); reflexivity).
  unfold discard. destruct (capability_at s st) as [c|]; [|split; reflexivity].
  destruct (object_of c) as [o|], (is_zombie c || is_last c st); (split; [exact (effects_remove s st) | exact same]).
Qed.
Lemma clean_discard m s st : clean m st -> clean m (discard s st).
Proof.
  intros [n i mm sm]. destruct (discard_rest s st) as (told & same). constructor.
  - rewrite discard_caps. destruct (_ =? _); [reflexivity | exact n].
  - intros slot irq. rewrite discard_caps. destruct (_ =? _); [discriminate | apply i].
  - congruence.
  - rewrite told. exact sm.
Qed.
Section Fixed.
Variable sorts : N -> option Sort.
Variable m : Machine * Prop.
Notation firm := (firm sorts m).
Lemma clean_go c slot st : capability_at slot st = Some c -> firm st -> clean m (let_go c st).
Proof.
  intros there ok. pose proof (f_caps _ _ st ok slot c there) as fine. pose proof (firm_clean sorts m st ok) as usual. unfold let_go.
  destruct c; try exact usual; try (destruct (is_last _ st); [|exact usual]); cbn [fine_cap] in fine.
  - exact (firm_clean _ _ _ (firm_end_notification sorts m notification st ok)).
  - exact (firm_clean _ _ _ (firm_free_reply sorts m reply fine st ok)).
  - exact (firm_clean _ _ _ (firm_end_context sorts m context st ok)).
  - exact (firm_clean _ _ _ (firm_release_asid sorts m vspace asid st ok)).
  - exact (firm_clean _ _ _ (firm_unmap_table sorts m table place fine st ok)).
  - exact (firm_clean _ _ _ (firm_unmap_frame sorts m base size_bits place st ok)).
  - exact (firm_clean _ _ _ (firm_release_pool sorts m pool st ok)).
  - destruct usual as [n i mm sm]. unfold end_interrupt. destruct (interrupts st !! irq) as [x|]; [|constructor; assumption].
    destruct (masked x), (active x); (constructor; [exact n | exact i | exact mm |]); cbv zeta;
      match goal with |- In Stuck (effects (set_field interrupts ?t ?s)) -> _ => change (In Stuck (effects s) -> snd m) end;
      first [exact sm | intros listed; repeat (destruct listed as [no|listed]; [discriminate no|]); exact (sm listed)].
Qed.
Lemma waiters_there c slot st t : capability_at slot st = Some c -> firm st -> In t (waiting_on c st) -> is_a sorts AThread t.
Proof.
  intros there ok listed. destruct c; cbn [waiting_on] in listed; try contradiction.
  - apply in_app_or in listed. pose proof (endpoint_fine sorts m endpoint st ok) as (a & b). rewrite Forall_forall in a, b.
    destruct listed as [listed|listed]; [exact (a t listed) | exact (b t listed)].
  - pose proof (proj1 (notification_fine sorts m notification st ok)) as a. rewrite Forall_forall in a. exact (a t listed).
Qed.
Lemma clean_plain s c st : capability_at s st = Some c -> firm st -> clean m (delete_plain s c st).
Proof.
  intros there ok. pose proof (clean_discard m s _ (clean_go c s st there ok)) as away. unfold delete_plain. destruct (is_last c st); [|exact away].
  destruct (waiting_on c st) as [|t l] eqn:waits_.
  - destruct c; try exact away. destruct (first_assigned pool st) as [(index & v)|]; [|exact away].
    exact (firm_clean _ _ _ (firm_release_asid sorts m v _ st ok)).
  - apply (firm_clean sorts). apply firm_restart; [|exact ok]. apply (waiters_there c s st t there ok). rewrite waits_. left. reflexivity.
Qed.
Lemma clean_one s c st : capability_at s st = Some c -> firm st -> clean m (delete_one s c st).
Proof.
  intros there ok. pose proof (clean_plain s c st there ok) as plain. unfold delete_one. destruct c; try exact plain. destruct (is_last _ st); [|exact plain].
  destruct (capability_at (irq_slot irq) st) as [[]|] eqn:bound; try exact plain. exact (clean_plain _ _ st bound ok).
Qed.
Lemma container_low c slot st o : capability_at slot st = Some c -> firm st -> container_of c st = Some o -> o < irq_slot 0.
Proof.
  intros there ok. pose proof (f_caps _ _ st ok slot c there) as fine. unfold container_of. destruct c; try discriminate; cbn [fine_cap] in fine.
  - destruct (is_last _ st); [|discriminate]. intros same. injection same as <-. destruct fine as (_ & below_).
    assert (0 < N.shiftl 1 (radix + slot_bits)) by (rewrite N.shiftl_1_l; apply N.neq_0_lt_0, N.pow_nonzero; lia). lia.
  - destruct (is_last _ st); [|discriminate]. intros same. injection same as <-. exact (proj2 fine).
  - intros same. injection same as <-. exact fine.
Qed.
Lemma firm_become s c st o : capability_at s st = Some c -> firm st -> container_of c st = Some o -> firm (become_zombie s c st).
Proof.
  intros there ok container. pose proof (container_low c s st o there ok container) as less. pose proof (f_caps _ _ st ok s c there) as fine.
  unfold become_zombie. set (ended := match c with TCBCap t => end_thread t st | _ => st end).
  assert (slots ended = slots st /\ references ended = references st) as (same_slots & same_references)
    by (unfold ended; destruct c; first [apply end_thread_tables | split; reflexivity]).
  assert (firm ended) as ok1.
  { unfold ended. destruct c; try exact ok. apply firm_end_thread; [exact (proj1 fine) | exact ok]. }
  pose proof (fills_nowhere sorts m s st c ok there) as elsewhere.
  unfold capability_at in there. destruct (slots st !! s) as [e|] eqn:found; [|discriminate]. injection there as is_c.
  unfold make_zombie. rewrite same_slots, found, is_c, (container_same c st ended same_references), container.
  apply (firm_with sorts m s (ZombieCap o) ended);
    [exact (replace_capability_same _ _ _ _) | apply effects_replace | | exact elsewhere | exact less | discriminate | exact ok1].
  intros j. apply in_replace. rewrite same_slots. exact found.
Qed.
Lemma count_of_container o st x : objects st !! o = Some x -> fits_object (ZombieCap o) x -> is_within (slot_of o 0) o st = true.
Proof.
  intros there fits_. unfold is_within, slot_count. rewrite there. unfold slot_of, slot_bytes. change (N.shiftl 1 slot_bits) with 32.
  destruct x; try discriminate fits_; apply andb_true_intro; split; try (apply N.leb_le; lia); apply N.ltb_lt.
  - assert (0 < N.shiftl 1 radix) by (rewrite N.shiftl_1_l; apply N.neq_0_lt_0, N.pow_nonzero; lia). lia.
  - unfold thread_slots. lia.
Qed.
Lemma clean_meet anchor s outer inner st : firm st -> capabilities_live st -> capability_at s st = Some (ZombieCap inner) ->
  capability_at anchor st = Some (ZombieCap outer) -> s <> anchor -> clean m (snd (meet_inner anchor s outer inner st)).
Proof.
  intros ok alive at_s at_anchor other. pose proof (firm_clean _ _ _ ok) as usual. unfold meet_inner.
  destruct (_ && _); [exact (clean_discard m s st usual)|]. destruct (is_within anchor inner st) eqn:inside.
  { exact (firm_clean _ _ _ (firm_exchange sorts m anchor s st _ _ at_anchor at_s (not_eq_sym other) ok)). }
  destruct (_ && _); cbn [snd].
  - apply (clean_move m s anchor _ (ZombieCap inner)).
    + rewrite discard_caps, (proj2 (N.eqb_neq s anchor) other). exact at_s.
    + rewrite discard_caps, N.eqb_refl. reflexivity.
    + exact (fills_nowhere sorts m anchor st _ ok at_anchor).
    + apply clean_discard. exact usual.
  - apply (firm_clean sorts). apply (firm_rotate sorts m anchor s inner st _ _ at_anchor at_s (not_eq_sym other)); [| |exact ok].
    + intros is_it. destruct (none_dangles st alive s _ inner at_s eq_refl) as (x & there & fits_).
      rewrite <- is_it, (count_of_container inner st x there fits_) in inside. discriminate.
    + apply low_elsewhere. pose proof (f_caps _ _ st ok s _ at_s) as less. cbn [fine_cap] in less. unfold slot_of. rewrite N.mul_0_r, N.add_0_r. exact less.
Qed.
End Fixed.
Lemma become_live s c st : strong st -> capabilities_live (become_zombie s c st).
Proof.
  intros ok. apply live_is. apply live_ok. pose proof (handled_sound st (g_handled st ok)) as right. unfold become_zombie.
  apply (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_is_kept s eq_refl). destruct c; try exact right.
  exact (@keeps_end_thread _ _ _ _ sound_is_kept_quietly thread eq_refl eq_refl st right).
Qed.
Lemma clean_empty m anchor outer st : strong st -> clean m st -> capability_at anchor st = Some (ZombieCap outer) -> clean m (snd (empty_zombie anchor outer
    st)).
Proof.
  intros right usual there. pose proof (strong_firm m st right usual) as ok. unfold empty_zombie. cbv zeta.
  destruct (last_occupied outer st) as [(s & c)|] eqn:last; [|exact (clean_discard m anchor st usual)].
  assert (capability_at s st = Some c) as at_s.
  { unfold last_occupied in last. destruct (last_below _ _) as [(k & e)|] eqn:found; [|discriminate]. destruct (_ <=? _); [|discriminate].
    injection last as -> <-. apply last_below_found in found. destruct found as (_ & found). unfold capability_at. rewrite found. reflexivity. }
  destruct (N.eqb_spec s anchor) as [->|other].
  - destruct (N.eqb_spec anchor (slot_of outer 0)) as [|not_first]; [exact (clean_discard m anchor st usual)|]. cbn [snd]. unfold to_first_slot.
    apply (firm_clean (sorts_of st)). destruct (is_empty _ st) eqn:vacant.
    + apply (firm_move _ m anchor _ st _ there); [apply is_empty_spec; exact vacant | | exact ok]. apply low_elsewhere.
      pose proof (f_caps _ _ st ok anchor _ there) as less. cbn [fine_cap] in less. unfold slot_of. rewrite N.mul_0_r, N.add_0_r. exact less.
    + destruct (capability_at (slot_of outer 0) st) as [d|] eqn:here; [|exfalso; apply vacant_none, is_empty_spec in here; congruence].
      exact (firm_exchange _ m anchor _ st _ _ there here not_first ok).
  - destruct (container_of c st) as [inner|] eqn:container; [|exact (clean_one _ m s c st at_s ok)].
    apply (clean_meet (sorts_of st)).
    + exact (firm_become _ m s c st inner at_s ok container).
    + exact (become_live s c st right).
    + rewrite (become_zombie_slots s c st inner at_s container), N.eqb_refl. reflexivity.
    + rewrite (become_zombie_slots s c st inner at_s container), (proj2 (N.eqb_neq anchor s)) by congruence. exact there.
    + exact other.
Qed.
Lemma clean_unit m anchor st : strong st -> clean m st -> clean m (snd (delete_unit anchor st)).
Proof.
  intros right usual. pose proof (strong_firm m st right usual) as ok. unfold delete_unit. destruct (capability_at anchor st) as [c|] eqn:there;
      [|exact usual].
  assert (clean m (snd match container_of c st with
                       | Some _ => (anchor, become_zombie anchor c st)
                       | None => (anchor, delete_one anchor c st)
                       end)) as each.
  { destruct (container_of c st) as [o|] eqn:container; [|exact (clean_one _ m anchor c st there ok)].
    exact (firm_clean _ _ _ (firm_become _ m anchor c st o there ok container)). }
  destruct c; try exact each. exact (clean_empty m anchor container st right usual there).
Qed.

(** ** Deletion, revocation and replacement *)
Definition all_right (m : Machine * Prop) (st : State) : Prop := strong st /\ clean m st.
Lemma right_firm m st : all_right m st -> firm (sorts_of st) m st. Proof. intros (right & usual). exact (strong_firm m st right usual). Qed.
Lemma strong_unit anchor st : strong st -> strong (snd (delete_unit anchor st)).
Proof.
  intros [all_ yields handled_ fine]. constructor; [exact (unit_parts anchor st all_) | exact (yielding_unit anchor st yields) | exact (handled_unit anchor st
    handled_)|].
  exact (proj2 (@keeps_delete_unit _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) (nothing_given _) anchor st fine)).
Qed.
Lemma right_unit m anchor st : all_right m st -> all_right m (snd (delete_unit anchor st)).
Proof. intros (right & usual). split; [exact (strong_unit anchor st right) | exact (clean_unit m anchor st right usual)]. Qed.
Lemma right_same m a b : slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a -> sleeping b = sleeping a ->
  interrupts b = interrupts a -> machine b = machine a -> effects b = effects a -> all_right m a -> all_right m b.
Proof.
  intros s r o rd sl i mm e ([all_ yields handled_ fine] & [n irqs same smooth]). split; constructor.
  - exact (looks_at_objects parts_quietly a b s r o rd sl all_).
  - exact (looks_at_objects yielding_quietly a b s r o rd sl yields).
  - exact (looks_at_objects handled_quietly a b s r o rd sl (known_eq a b i) handled_).
  - exact (fine_of_slots bounded a b s fine).
  - rewrite (capability_same _ a b s). exact n.
  - intros slot irq. rewrite (capability_same _ a b s). apply irqs.
  - congruence.
  - rewrite e. exact smooth.
Qed.
Lemma right_allow m n st : all_right m st -> all_right m (allow n st). Proof. apply right_same; reflexivity. Qed.
Lemma right_delete m slot st : all_right m st -> all_right m (state_of (delete slot st)).
Proof. apply (units_hold (all_right m)); [intros n one; apply right_allow | intros a one; apply right_unit]. Qed.
Lemma right_revoke m slot st : all_right m st -> all_right m (state_of (revoke slot st)).
Proof. apply (units_hold (all_right m)); [intros n one; apply right_allow | intros a one; apply right_unit]. Qed.

Lemma may_replace sorts x c source_ st : is_replacement c -> stands_alike x c = true -> may_derive sorts (derived c) x source_ st.
Proof.
  intros kind alike. assert (is_untyped x = false) as plain.
  { destruct x; try reflexivity. destruct c; try contradiction; discriminate alike. }
  assert (x <> IRQControlCap) as other by (intros ->; destruct c; try contradiction; discriminate alike).
  unfold may_derive. rewrite plain. destruct c; try contradiction; (split; [reflexivity|]; split; [reflexivity|]; split; [|intros is_x; contradiction]);
    exact alike.
Qed.
Lemma right_insert_copy m slot source_ c st : slot <> nowhere -> is_replacement c -> all_right m st -> all_right m (insert_copy slot source_ c st).
Proof.
  intros elsewhere kind ok. pose proof (right_firm m st ok) as ok1. pose proof ok as ([all_ yields handled_ fine] & usual).
  assert (strong (insert_copy slot source_ c st)) as right.
  { pose proof (handled_sound st handled_) as sound_. constructor.
    - exact (@keeps_insert_copy _ _ _ _ parts_quietly parts_kept slot source_ c I st all_).
    - exact (@keeps_insert_copy _ _ _ _ yielding_quietly yielding_kept slot source_ c I st yields).
    - unfold insert_copy. destruct (capability_at source_ st) as [x|] eqn:there; [|exact handled_]. destruct (_ && _) eqn:may; [|exact handled_].
      apply andb_prop in may. destruct may as (_ & alike).
      refine (@keeps_insert_derived _ _ _ _ handled_quietly handled_kept slot source_ false (derived c) _ st handled_).
      rewrite capability_at_in in there. exact (proj1 (alike_low x c kind alike (low_ok st sound_ source_ x there) (fine source_ x there))).
    - unfold insert_copy. destruct (capability_at source_ st) as [x|] eqn:there; [|exact fine]. destruct (_ && _) eqn:may; [|exact fine].
      apply andb_prop in may. destruct may as (_ & alike).
      refine (@keeps_insert_derived _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) slot source_ false (derived c) _ st fine).
      rewrite capability_at_in in there. exact (proj2 (alike_low x c kind alike (low_ok st sound_ source_ x there) (fine source_ x there))). }
  split; [exact right|]. unfold insert_copy. destruct (capability_at source_ st) as [x|] eqn:there; [|exact usual].
  destruct (_ && _) eqn:may; [|exact usual]. apply andb_prop in may. destruct may as (vacant & alike). apply is_empty_spec in vacant.
  exact (firm_clean _ _ _ (firm_derived _ m slot source_ false (derived c) x st vacant elsewhere there (may_replace _ x c source_ st kind alike) ok1)).
Qed.
Lemma right_replace m slot by_ st : slot <> nowhere -> match by_ with Some (_, c) => is_replacement c | None => True end -> all_right m st ->
  all_right m (state_of (replace_slot slot by_ st)).
Proof.
  intros elsewhere kind ok. unfold replace_slot. pose proof (right_delete m slot st ok) as after.
  destruct (delete slot st) as [one|one]; [|exact after]. cbn [and_then state_of] in *. destruct by_ as [(source_ & c)|]; [|exact after].
  exact (right_insert_copy m slot source_ c one elsewhere kind after).
Qed.
Lemma thread_slot_low t i : t < irq_slot 0 -> i < thread_slots -> slot_of t i <> nowhere.
Proof.
  intros less few is_n. unfold slot_of, slot_bytes, thread_slots in *. change (N.shiftl 1 slot_bits) with 32 in is_n.
      change (irq_slot 0) with 72057594037927936 in less.
  change nowhere with 144115188075855872 in is_n. lia.
Qed.
Definition ends_right (m : Machine * Prop) (d : Decision) (st : State) : Prop := match d with Perform work => clean m (state_after (work st)) |
    Refuse _ _ => True end.
Lemma progress_right m p : all_right m (state_of p) -> clean m (state_after match p with Done st => Returns [] st | Preempted st => Stops st end).
Proof. intros (_ & usual). destruct p; exact usual. Qed.
Section Replacing.
Variable m : Machine * Prop.
Variable t : N.
Variable call : Invocation.
Hypothesis is_thread : invoked call = TCBCap t.
Hypothesis is_low : t < irq_slot 0.
Lemma right_replace_in slot by_ st : slot < thread_slots -> match by_ with Some (_, c) => is_replacement c | None => True end -> all_right m st ->
  all_right m (state_of (replace_in t slot by_ st)).
Proof. intros few. apply right_replace. exact (thread_slot_low t slot is_low few). Qed.
Lemma set_space_right a b x y z st : all_right m st -> ends_right m (tcb_set_space a b x y z call st) st.
Proof.
  intros ok. unfold tcb_set_space. rewrite (is_t t call is_thread). cbv zeta. destruct (is_fault_endpoint x) eqn:fault_; [|exact I].
  destruct (is_cnode y) eqn:cnode_; [|exact I]. destruct (is_some _); [|exact I]. destruct (is_usable_vspace z) eqn:space_; [|exact I].
  cbn [in_progress ends_right]. apply progress_right.
  pose proof (right_replace_in fault_slot _ st eq_refl (replacement_of_fault x fault_) ok) as one.
  destruct (replace_in t fault_slot _ st) as [st1|st1]; [|exact one]. cbn [and_then state_of] in *.
  pose proof (right_replace_in cspace_slot _ st1 eq_refl (replacement_of_cnode a y cnode_) one) as two.
  destruct (replace_in t cspace_slot _ st1) as [st2|st2]; [|exact two]. cbn [and_then state_of] in *.
  exact (right_replace_in vspace_slot _ st2 eq_refl (replacement_of_space z space_) two).
Qed.
Lemma set_timeout_right x st : all_right m st -> ends_right m (tcb_set_timeout_endpoint x call st) st.
Proof.
  intros ok. unfold tcb_set_timeout_endpoint. rewrite (is_t t call is_thread). destruct (is_fault_endpoint x) eqn:fault_; [|exact I].
  cbn [in_progress ends_right]. apply progress_right. exact (right_replace_in timeout_slot _ st eq_refl (replacement_of_fault x fault_) ok).
Qed.
End Replacing.
Lemma right_emptied m slot st : all_right m st -> clean m (state_after match delete slot st with Done st => Returns [] st | Preempted st => Stops st end).
Proof. intros ok. apply progress_right, right_delete. exact ok. Qed.
Lemma delete_right m a b call st : all_right m st -> ends_right m (cnode_delete a b call st) st.
Proof.
  intros ok. unfold cnode_delete, slot_in. destruct (_ && _); [|exact I]. destruct (slot_under _ _ _ _) as [slot|]; [|exact I].
  exact (right_emptied m slot st ok).
Qed.
Lemma revoke_right m a b call st : all_right m st -> ends_right m (cnode_revoke a b call st) st.
Proof.
  intros ok. unfold cnode_revoke, slot_in. destruct (_ && _); [|exact I]. destruct (slot_under _ _ _ _) as [slot|]; [|exact I].
  cbn [in_progress ends_right]. apply progress_right, right_revoke. exact ok.
Qed.
Lemma mask_clean m i b st : clean m st -> clean m (set_mask i b st).
Proof.
  intros [n irqs mm sm]. unfold set_mask. destruct (interrupts st !! i) as [x|]; [|constructor; assumption].
  destruct (Bool.eqb _ _); [constructor; assumption|]. constructor; [exact n | exact irqs | exact mm|].
  intros listed. change (effects (change_interrupt i ?f ?s)) with (effects s) in listed. destruct listed as [no|listed]; [destruct b; discriminate no | exact
    (sm listed)].
Qed.
Lemma irq_slot_low irq : irq < most_interrupts -> irq_slot irq <> nowhere.
Proof.
  intros less is_n. unfold irq_slot, slot_of, slot_bytes in is_n. change (N.shiftl 1 slot_bits) with 32 in is_n.
      change most_interrupts with 2251799813685248 in less.
  change nowhere with 144115188075855872 in is_n. lia.
Qed.
Lemma set_notification_right m x call st : fine_cap (sorts_of st) (invoked call) -> fits Method.IRQHandlerSetNotification (invoked call) -> all_right m st ->
  ends_right m (irq_handler_set_notification x call st) st.
Proof.
  intros fine type ok. destruct (invoked call) eqn:is_it; try discriminate type. cbn [fine_cap] in fine.
  unfold irq_handler_set_notification, invoked_interrupt. rewrite is_it. cbv zeta. destruct (argument x) as [[]|]; try exact I. destruct (can_write rights);
      [|exact I].
  cbn [in_progress ends_right].
  pose proof (right_replace m (irq_slot irq) (Some (argument_slot x, NotificationCap notification badge rights)) st (irq_slot_low irq fine) I ok) as after.
  destruct (replace_slot _ _ st) as [one|one]; cbn [and_then state_of state_after] in *; [apply mask_clean|]; exact (proj2 after).
Qed.
Lemma right_mask m i b st : all_right m st -> all_right m (set_mask i b st).
Proof.
  intros ([all_ yields handled_ fine] & usual). split; [|exact (mask_clean m i b st usual)]. constructor.
  - exact (@keeps_set_mask _ _ _ _ parts_quietly i b st all_).
  - exact (@keeps_set_mask _ _ _ _ yielding_quietly i b st yields).
  - exact (@keeps_set_mask _ _ _ _ handled_quietly i b st handled_).
  - exact (@keeps_set_mask _ _ _ _ (fine_is_kept_quietly bounded) i b st fine).
Qed.
Lemma irq_clear_right m call st : all_right m st -> ends_right m (irq_handler_clear call st) st.
Proof.
  intros ok. unfold irq_handler_clear. cbv zeta. cbn [in_progress ends_right]. apply progress_right, right_delete, right_mask. exact ok.
Qed.
Lemma right_thread m u f st : (forall x, bound_notification (f x) = bound_notification x) -> (forall x, sched_context (f x) = sched_context x) ->
  (forall x, run_state (f x) = run_state x) -> (forall x, yielded_to (f x) = yielded_to x) -> is_a (sorts_of st) AThread u -> all_right m st ->
  all_right m (change_thread u f st).
Proof.
  intros b s r y there ok. pose proof (right_firm m st ok) as ok1. destruct ok as ([all_ yields handled_ fine] & usual). split; [constructor|].
  - exact (proj1 (parts_thread u f st s r b all_)).
  - refine (@keeps_change_thread _ _ _ _ yielding_quietly u f _ st yields). intros x. split; [apply y|]. split; discriminate.
  - refine (@keeps_change_thread _ _ _ _ handled_quietly u f _ st handled_). intros x. split; discriminate.
  - refine (@keeps_change_thread _ _ _ _ (fine_is_kept_quietly bounded) u f _ st fine). intros x. split; discriminate.
  - refine (firm_clean _ _ _ (firm_thread _ m u f there _ st ok1)). intros x (p & q & w & z). unfold fine_thread. rewrite b, s, r, y. repeat split;
      assumption.
Qed.

(** ** SetSchedParams *)
Lemma right_priority m t p st : is_a (sorts_of st) AThread t -> all_right m st -> all_right m (set_priority t p st).
Proof.
  intros there ok. pose proof (right_firm m st ok) as ok1. destruct ok as ([(link & wait & all_) yields handled_ fine] & _). split.
  - constructor.
    + split; [exact (@keeps_set_priority _ _ _ _ linked_quietly t p eq_refl st link) | split; [exact (priority_set t p st wait) |
        exact (priority_bonds t p st all_)]].
    + exact (@keeps_set_priority _ _ _ _ yielding_quietly t p eq_refl st yields).
    + exact (@keeps_set_priority _ _ _ _ handled_quietly t p eq_refl st handled_).
    + exact (@keeps_set_priority _ _ _ _ (fine_is_kept_quietly bounded) t p eq_refl st fine).
  - exact (firm_clean _ _ _ (firm_set_priority _ m t p there st ok1)).
Qed.
Lemma priority_same t p st : slots (set_priority t p st) = slots st.
Proof. exact (proj1 (@keeps_set_priority _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) t p eq_refl st (conj eq_refl eq_refl))). Qed.
Lemma right_bind m c t st : is_a (sorts_of st) AContext c -> is_a (sorts_of st) AThread t -> not_zombie t st -> context_of t st = None -> all_right m st ->
  all_right m (bind_context c t st).
Proof.
  intros c_there t_there usable free ok. pose proof (right_firm m st ok) as ok1. destruct ok as ([(link & wait & all_) yields handled_ fine] & _). split.
  - constructor.
    + split; [exact (@keeps_bind_context _ _ _ _ linked_quietly c t eq_refl st link)|].
      split; [exact (@keeps_bind_context _ _ _ _ (waiting_quietly nobody) c t eq_refl st wait)|].
      apply (bound_bonds c t st all_); [| exact usable | exact free |].
      * unfold is_a, sorts_of in t_there. unfold thread_exists. destruct (objects st !! t) as [[]|]; try discriminate t_there. reflexivity.
      * unfold is_a, sorts_of in c_there. unfold context_exists. destruct (objects st !! c) as [[]|]; try discriminate c_there. reflexivity.
    + exact (@keeps_bind_context _ _ _ _ yielding_quietly c t eq_refl st yields).
    + exact (@keeps_bind_context _ _ _ _ handled_quietly c t eq_refl st handled_).
    + exact (@keeps_bind_context _ _ _ _ (fine_is_kept_quietly bounded) c t eq_refl st fine).
  - exact (firm_clean _ _ _ (firm_bind_context _ m c t c_there t_there st ok1)).
Qed.
Lemma right_unbind m c t st : context_of t st = Some c -> all_right m st -> all_right m (unbind_thread_of_context c st).
Proof.
  intros has ok. pose proof (right_firm m st ok) as ok1. destruct ok as ([(link & wait & all_) yields handled_ fine] & _). split.
  - constructor.
    + split; [exact (@keeps_unbind_thread _ _ _ _ linked_quietly c eq_refl st link)|].
      split; [exact (@keeps_unbind_thread _ _ _ _ (waiting_quietly nobody) c eq_refl st wait)|].
      exact (proj1 (thread_unbound c st all_)).
    + exact (@keeps_unbind_thread _ _ _ _ yielding_quietly c eq_refl st yields).
    + exact (@keeps_unbind_thread _ _ _ _ handled_quietly c eq_refl st handled_).
    + exact (@keeps_unbind_thread _ _ _ _ (fine_is_kept_quietly bounded) c eq_refl st fine).
  - exact (firm_clean _ _ _ (firm_unbind_thread _ m c st ok1)).
Qed.
Lemma params_right m a p x sc f call st t : invoked call = TCBCap t -> capability_at (invoked_slot call) st = Some (TCBCap t) -> in_place sc st ->
  all_right m st -> ends_right m (tcb_set_sched_params a p x sc f call st) st.
Proof.
  intros is_thread there placed_ ok. pose proof (right_firm m st ok) as ok1. pose proof (f_caps _ _ st ok1 _ _ there) as (t_there & t_low).
  unfold tcb_set_sched_params, thread_argument. rewrite (is_t t call is_thread). cbv zeta.
  destruct (argument x) as [[]|]; try exact I. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  set (one := set_priority t p (change_thread t (fun x => x <| controlled_priority := a |>) st)).
  assert (all_right m one) as ok2.
  { unfold one. apply right_priority.
    - unfold is_a, sorts_of in *. unfold change_thread. destruct (objects st !! t) as [[]|] eqn:found; try discriminate t_there.
      change (objects (put_object t ?y st)) with (set t y (objects st)). rewrite find_set, N.eqb_refl. reflexivity.
    - apply right_thread; try reflexivity; [exact t_there | exact ok]. }
  assert (slots one = slots st) as same by (unfold one; rewrite priority_same; exact (proj1 (thread_frame t _ st))).
  assert (forall slot, capability_at slot one = capability_at slot st) as caps by (intros slot; exact (capability_same slot st one same)).
  pose proof (right_firm m one ok2) as ok3. rewrite <- caps in there. pose proof (f_caps _ _ one ok3 _ _ there) as (t_there2 & _).
  destruct (argument sc) as [[]|] eqn:given_; try exact I.
  - destruct (_ && _); [|exact I]. destruct (is_fault_endpoint f) eqn:fault_; [|exact I]. cbn [in_progress ends_right]. apply progress_right.
    apply (right_replace_in m t t_low fault_slot _ _ eq_refl (replacement_of_fault f fault_)).
    pose proof (placed_ _ given_) as at_a. rewrite <- caps in at_a. fold one. destruct (context_of t one) eqn:free; [exact ok2|].
    apply (right_bind m context t one); [exact (f_caps _ _ one ok3 _ _ at_a) | exact t_there2 | | exact free | exact ok2].
    exact (holds_no_zombie _ t one (proj1 (proj2 (g_parts one (proj1 ok2)))) there).
  - destruct (negb _); [|exact I]. destruct (is_fault_endpoint f) eqn:fault_; [|exact I]. cbn [in_progress ends_right]. apply progress_right.
    apply (right_replace_in m t t_low fault_slot _ _ eq_refl (replacement_of_fault f fault_)).
    fold one. destruct (context_of t one) as [old|] eqn:has; [|exact ok2]. exact (right_unbind m old t one has ok2).
Qed.

(** ** What is made *)
Lemma children_of_parent slot u o c st : is_empty slot st && negb (is_empty u st) = true -> has_children u (insert_child slot u o c st) = true.
Proof.
  intros can. assert (slot <> u) as other.
  { intros same. subst. unfold is_empty in can. destruct (slots st !! u); discriminate can. }
  unfold has_children, children_of. rewrite (slots_of_insert_child _ _ _ _ _ can), find_set, (proj2 (N.eqb_neq u slot)) by congruence.
  rewrite slots_of_change_children. cbn iota. rewrite find_update, N.eqb_refl. unfold is_empty in can.
  destruct (slots st !! u); [reflexivity | destruct (slots st !! slot); discriminate can].
Qed.
Lemma carve_goes u at_ size x slot c st e base bits d used : slots st !! u = Some e -> capability e = UntypedCap base bits d used ->
  base + (if has_children u st then used else 0) <= at_ -> at_ + size <= base + N.shiftl 1 bits -> slots st !! slot = None ->
  (x <> None -> objects st !! at_ = None) ->
  let after := carve u at_ size x slot c st in
  effects after = effects st /\ machine after = machine st /\ has_children u after = true
  /\ (exists e', slots after !! u = Some e' /\ capability e' = UntypedCap base bits d (at_ + size - base))
  /\ (forall j, capability_at j after = if j =? slot then Some c else if j =? u then Some (UntypedCap base bits d (at_ + size - base)) else capability_at j
      st)
  /\ objects after = match x with Some x => set at_ x (objects st) | None => objects st end.
Proof.
  intros there is_u above below vacant unused. cbv zeta. assert (slot <> u) as other by congruence.
  assert ((base + (if has_children u st then used else 0) <=? at_) && (at_ + size <=? base + N.shiftl 1 bits) && is_empty slot st
    && negb (is_some x && is_some (objects st !! at_)) = true) as can.
  { rewrite (proj2 (N.leb_le _ _) above), (proj2 (N.leb_le _ _) below), (proj2 (is_empty_spec slot st) vacant). destruct x; [|reflexivity].
    rewrite unused by discriminate. reflexivity. }
  set (taken := put_if_some at_ x (replace_capability u e (UntypedCap base bits d (at_ + size - base)) st)).
  assert (carve u at_ size x slot c st = insert_child slot u true c taken) as ->
    by (unfold carve, capability_at; rewrite there, is_u; cbv zeta; rewrite can; reflexivity).
  assert (slots taken = set u (e <| capability := UntypedCap base bits d (at_ + size - base) |>) (slots st)) as same
    by (unfold taken; rewrite <- slots_of_replace; destruct x; reflexivity).
  assert (effects taken = effects st) as told by (unfold taken; etransitivity; [|apply effects_replace]; destruct x; reflexivity).
  assert (machine taken = machine st /\ objects taken = match x with Some x => set at_ x (objects st) | None => objects st end) as (mm & objs).
  { unfold taken. assert (machine (replace_capability u e (UntypedCap base bits d (at_ + size - base)) st) = machine st
      /\ objects (replace_capability u e (UntypedCap base bits d (at_ + size - base)) st) = objects st) as (mm & oo)
      by (rewrite (replace_capability_same u e _ st); split; reflexivity).
    destruct x as [x|]; (split; [exact mm|]); [|exact oo]. change (set at_ x (objects (replace_capability u e (UntypedCap base bits d (at_ + size - base))
        st)) =
      set at_ x (objects st)). rewrite oo. reflexivity. }
  assert (is_empty slot taken && negb (is_empty u taken) = true) as can1.
  { unfold is_empty. rewrite same, !find_set, N.eqb_refl, (proj2 (N.eqb_neq slot u) other), vacant. reflexivity. }
  split; [rewrite (effects_insert_child _ _ _ _ _ can1); exact told|].
  split; [exact (eq_trans (f_equal machine (insert_child_same slot u true c taken)) mm)|]. split; [exact (children_of_parent _ _ _ _ _ can1)|].
  assert (forall j, capability_at j (insert_child slot u true c taken) = if j =? slot then Some c else if j =? u then Some (UntypedCap base bits d (at_ +
      size -
    base)) else capability_at j st) as caps
    by (intros j; rewrite capability_at_in, (in_insert_child _ _ _ _ _ j can1), same, in_set, <- capability_at_in; reflexivity).
  split; [|split; [exact caps | rewrite objects_of_insert_child; exact objs]].
  specialize (caps u). rewrite (proj2 (N.eqb_neq u slot)), N.eqb_refl in caps by congruence. unfold capability_at in caps.
  destruct (slots (insert_child slot u true c taken) !! u) as [e'|]; [|discriminate caps]. exists e'. split; [reflexivity | congruence].
Qed.
Lemma clean_carved m slot u c c' st after : (forall j, capability_at j after = if j =? slot then Some c else if j =? u then Some c' else capability_at j st)
    ->
  effects after = effects st -> machine after = machine st -> slot <> nowhere -> u <> nowhere -> (forall irq, c <> IRQHandlerCap irq) ->
  (forall irq, c' <> IRQHandlerCap irq) -> clean m st -> clean m after.
Proof.
  intros caps told same e1 e2 o1 o2 [n i mm sm]. constructor.
  - rewrite caps, (proj2 (N.eqb_neq nowhere slot)), (proj2 (N.eqb_neq nowhere u)) by congruence. exact n.
  - intros j irq. rewrite caps. destruct (j =? slot); [intros is_i; injection is_i as is_i; destruct (o1 irq is_i)|].
    destruct (j =? u); [intros is_i; injection is_i as is_i; destruct (o2 irq is_i)|]. apply i.
  - congruence.
  - rewrite told. exact sm.
Qed.
Lemma clean_thread m t f st : thread_exists t st = true -> clean m st -> clean m (change_thread t f st) /\ thread_exists t (change_thread t f st) = true.
Proof.
  intros there [n i mm sm]. unfold thread_exists, change_thread in *. destruct (objects st !! t) as [[]|] eqn:found; try discriminate there.
  split; [constructor; assumption|]. change (objects (put_object t ?x st)) with (set t x (objects st)). rewrite find_set, N.eqb_refl. reflexivity.
Qed.
Lemma free_none st slot base bits d used o : sound st -> capability_at slot st = Some (UntypedCap base bits d used) ->
  base + (if has_children slot st then used else 0) <= o -> o < base + N.shiftl 1 bits -> objects st !! o = None.
Proof.
  intros right there above below. destruct (objects st !! o) as [x|] eqn:found; [exfalso|reflexivity].
  destruct (owned_ok st right o x found) as (j & c & at_j & names). pose proof at_j as at_j'. rewrite <- capability_at_in in at_j'.
  set (free := (base + (if has_children slot st then used else 0), N.shiftl 1 bits - (if has_children slot st then used else 0))).
  assert (free_memory slot st = Some free) as is_free by (unfold free_memory; rewrite there; reflexivity).
  assert (extent st c = Some (o, size_of x)) as ext by (rewrite (extent_object st c o names), found; reflexivity).
  pose proof (positive_size x) as some.
  destruct (free_apart st slot free j c _ right is_free at_j' ext) as [[far|far]|[same|(absurd & _)]].
  - unfold free in far. cbn [fst snd] in far. lia.
  - unfold free in far. cbn [fst snd] in far. rewrite capability_at_in in there. destruct (low_ok st right slot _ there) as (_ & _ & within).
    destruct (has_children slot st); lia.
  - subst j. rewrite there in at_j'. injection at_j' as <-. discriminate names.
  - destruct c; try discriminate absurd. discriminate names.
Qed.
Lemma clean_emit m e st : e <> Stuck -> clean m st -> clean m (emit e st).
Proof. intros other [n i mm sm]. constructor; try assumption. intros [no|listed]; [congruence | exact (sm listed)]. Qed.
Lemma positive_shift n : 0 < N.shiftl 1 n. Proof. rewrite N.shiftl_1_l. apply N.neq_0_lt_0, N.pow_nonzero. lia. Qed.
Lemma objects_clean m count type n d base bits u t : u <> nowhere -> forall at_ slot offset st e used,
  clean m st -> thread_exists t st = true -> slots st !! u = Some e -> capability e = UntypedCap base bits d used ->
  base + (if has_children u st then used else 0) <= at_ -> at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= base + N.shiftl 1 bits ->
  (forall k, k < N.of_nat count -> slots st !! (slot + slot_bytes * k) = None /\ slot + slot_bytes * k <> nowhere) ->
  (forall o, at_ <= o -> o < base + N.shiftl 1 bits -> objects st !! o = None) ->
  clean m (state_after (make_objects count type at_ n d slot offset u t st)).
Proof.
  intros u_n. induction count as [|rest IH]; intros at_ slot offset st e used ok there at_u is_u above fits_ vacant unused; cbn [make_objects]; [exact ok|].
  destruct (must_stop st).
  { cbn [state_after]. unfold set_word_argument. destruct (clean_thread m t (with_register (nth 4 message_registers 0) offset) st there ok) as (ok1 & there1).
    exact (proj1 (clean_thread m t _ _ there1 ok1)). }
  cbv zeta. pose proof (positive_shift (object_bits type n)) as some. set (size := N.shiftl 1 (object_bits type n)) in *.
  unfold make_object. cbv zeta. fold size.
  set (st1 := if needs_memory type || is_frame type && negb d then emit (ClearMemory at_ size (is_frame type)) st else st).
  assert (clean m st1 /\ slots st1 = slots st /\ objects st1 = objects st) as (ok1 & same_slots & same_objects).
  { unfold st1. destruct (_ || _); [split; [apply clean_emit; [discriminate | exact ok] | split; reflexivity] | split; [exact ok | split; reflexivity]]. }
  assert (has_children u st1 = has_children u st) as same_children by (unfold has_children, children_of; rewrite same_slots; reflexivity).
  clearbody st1. destruct (vacant 0 ltac:(lia)) as (vacant0 & slot_n). rewrite N.mul_0_r, N.add_0_r in vacant0, slot_n.
  assert (at_ + size <= base + N.shiftl 1 bits) as room by lia.
  destruct (carve_goes u at_ size (new_object type n) slot (new_capability type at_ n d) st1 e base bits d used) as (told & mm & more & (e' & at_u' & is_u')
      & caps & objs);
    [rewrite same_slots; exact at_u | exact is_u | rewrite same_children; exact above | exact room | rewrite same_slots; exact vacant0 |
     intros _; rewrite same_objects; apply unused; lia|].
  set (st2 := carve u at_ size (new_object type n) slot (new_capability type at_ n d) st1) in *. clearbody st2.
  assert (clean m st2) as ok2.
  { apply (clean_carved m slot u (new_capability type at_ n d) (UntypedCap base bits d (at_ + size - base)) st1 st2 caps told mm slot_n u_n);
      [destruct type; discriminate | discriminate | exact ok1]. }
  apply (IH (at_ + size) (slot + slot_bytes) (offset + 1) (allow (allowance st - 1) st2) e' (at_ + size - base)).
  - destruct ok2 as [a b c f]. constructor; assumption.
  - unfold thread_exists in *. change (objects (allow ?k st2)) with (objects st2). rewrite objs, same_objects.
    destruct (new_object type n) as [x|]; [|exact there]. rewrite find_set. destruct (N.eqb_spec t at_) as [is_t|]; [|exact there].
    rewrite is_t, (unused at_ ltac:(lia) ltac:(lia)) in there. discriminate.
  - exact at_u'.
  - exact is_u'.
  - change (has_children u (allow ?k st2)) with (has_children u st2). rewrite more. lia.
  - lia.
  - intros k less. destruct (vacant (k + 1) ltac:(lia)) as (vacant_k & k_n).
      replace (slot + slot_bytes + slot_bytes * k) with (slot + slot_bytes * (k + 1)) by lia.
    split; [|exact k_n]. change (slots (allow ?y st2)) with (slots st2). apply vacant_none. rewrite caps.
    assert (slot + slot_bytes * (k + 1) <> slot) as s_n by (unfold slot_bytes; change (N.shiftl 1 slot_bits) with 32; lia).
    rewrite (proj2 (N.eqb_neq _ _) s_n). rewrite (proj2 (N.eqb_neq _ u)) by congruence. apply vacant_none. rewrite same_slots. exact vacant_k.
  - intros o above_o below_o. change (objects (allow ?k st2)) with (objects st2). rewrite objs, same_objects.
    destruct (new_object type n) as [x|]; [|apply unused; lia]. rewrite find_set, (proj2 (N.eqb_neq o at_)) by lia. apply unused; lia.
Qed.
Ltac allowed_if E := match goal with |- ends_right _ (if ?x then _ else _) _ => destruct x eqn:E; [|exact I] end.
Lemma cnode_slot_none cnode radix offset num st : fits_below cnode radix -> offset + num <= N.shiftl 1 radix ->
  forallb (fun i => is_empty (slot_of cnode i) st) (numbers_from offset (N.to_nat num)) = true ->
  forall k, k < num -> slots st !! (slot_of cnode offset + slot_bytes * k) = None /\ slot_of cnode offset + slot_bytes * k <> nowhere.
Proof.
  intros below_ room all_ k less. assert (slot_of cnode offset + slot_bytes * k = slot_of cnode (offset + k)) as -> by (unfold slot_of; lia).
  split; [|apply low_elsewhere, (cnode_slot_low cnode radix); [exact below_ | lia]].
  rewrite forallb_forall in all_. apply is_empty_spec. apply all_. clear all_ below_ room.
  assert (forall n first j, j < N.of_nat n -> In (first + j) (numbers_from first n)) as each; [|apply each; rewrite N2Nat.id; exact less].
  induction n as [|n IH]; intros first j small; [lia|]. cbn [numbers_from]. destruct (N.eq_dec j 0) as [->|some]; [left; lia|]. right.
  replace (first + j) with (first + 1 + (j - 1)) by lia. apply IH. lia.
Qed.
Lemma retype_right m a b c d e f x call st : capability_at (invoked_slot call) st = Some (invoked call) -> fine_argument (sorts_of st) x ->
  thread_exists (invoker call) st = true -> all_right m st -> ends_right m (untyped_retype a b c d e f x call st) st.
Proof.
  intros there fine_x t_there ok. pose proof (right_firm m st ok) as ok1. pose proof (handled_sound st (g_handled st (proj1 ok))) as sound_.
  unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta. destruct (or_default _ _) as (smallest & largest). allowed_if sized.
  allowed_if depth.
  assert (forall cnode radix, fits_below cnode radix -> ends_right m
    (if e <? N.shiftl 1 radix then
       if (1 <=? f) && (f <=? retype_fan_out_limit) then
         if e + f <=? N.shiftl 1 radix then
           if forallb (fun i => is_empty (slot_of cnode i) st) (numbers_from e (N.to_nat f)) then
             if negb device || negb (needs_memory type) then
               if negb device || is_frame type || (12 <=? b) then
                 if align_up (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b) + N.shiftl f (object_bits type b)
                    <=? base + N.shiftl 1 bits
                 then Perform (make_objects (N.to_nat f) type
                        (align_up (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)) b device (slot_of cnode e) e
                        (invoked_slot call) (invoker call))
                 else not_enough_memory (N.shiftl 1 bits - (if has_children (invoked_slot call) st then used else 0))
               else range_error 12 max_untyped_bits
             else invalid_argument 0
           else delete_first
         else range_error 1 (N.shiftl 1 radix - e)
       else range_error 1 retype_fan_out_limit
     else range_error 0 (N.shiftl 1 radix - 1)) st) as each.
  { intros cnode radix below_. allowed_if starts. allowed_if few. allowed_if room. allowed_if vacant. allowed_if kind. allowed_if large. allowed_if memory_.
      cbn [ends_right]. apply N.leb_le in room, memory_.
    pose proof (align_up_above (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)) as above.
    set (first := align_up _ _) in *. pose proof there as at_u. unfold capability_at in at_u.
    destruct (slots st !! invoked_slot call) as [u|] eqn:found; [|discriminate]. injection at_u as is_u.
    apply (objects_clean m _ type b device base bits (invoked_slot call) (invoker call) (fills_nowhere _ m _ st _ ok1 there) first _ _ st u used);
      [exact (proj2 ok) | exact t_there | exact found | exact is_u | exact above | | |].
    - rewrite N2Nat.id. rewrite N.shiftl_mul_pow2 in memory_. rewrite N.shiftl_1_l. exact memory_.
    - rewrite N2Nat.id. exact (cnode_slot_none cnode radix e f st below_ room vacant).
    - intros o above_o below_o. apply (free_none st (invoked_slot call) base bits device used o sound_ there); [lia | exact below_o]. }
  destruct (d =? 0).
  - destruct (argument x) as [[]|] eqn:is_x; try exact I. exact (each _ _ (proj2 (told_argument _ x _ fine_x is_x))).
  - destruct (slot_under _ _ _ _) as [slot|]; [|exact I]. destruct (capability_at slot st) as [[]|] eqn:at_slot; try exact I.
    exact (each _ _ (proj2 (f_caps _ _ st ok1 slot _ at_slot))).
Qed.
Lemma pool_right m a b x y call st : in_place x st -> fine_argument (sorts_of st) y -> all_right m st ->
  ends_right m (asid_control_make_pool a b x y call st) st.
Proof.
  intros placed_ fine_y ok. pose proof (right_firm m st ok) as ok1. pose proof (handled_sound st (g_handled st (proj1 ok))) as sound_.
  unfold asid_control_make_pool. destruct (free_pool_index st) as [number|]; [|exact I]. destruct (argument x) as [[]|] eqn:is_x; try exact I.
  pose proof (placed_ _ is_x) as there.
  destruct (N.eq_dec size_bits 12) as [->|other].
  2: { assert (ends_right m (invalid_capability 1) st) as refused by exact I. destruct size_bits as [|p]; [exact refused|].
       repeat (match goal with |- context [match ?q with _ => _ end] => is_var q; destruct q end; try exact refused). destruct (other eq_refl). }
  destruct is_device; [exact I|]. destruct (has_children (argument_slot x) st) eqn:none_; [exact I|]. cbn [negb].
  unfold empty_slot_in, slot_in. destruct (_ && _); [|exact I]. destruct (slot_under _ _ _ _) as [slot|] eqn:into; [|exact I].
  destruct (is_empty slot st) eqn:vacant; [|exact I]. cbn [always ends_right state_after]. apply is_empty_spec in vacant.
  set (st1 := set_field pools (set number base (pools st)) (emit (ClearMemory base (N.shiftl 1 page_bits) false) st)).
  assert (clean m st1) as ok2 by (destruct (clean_emit m (ClearMemory base (N.shiftl 1 page_bits) false) st ltac:(discriminate) (proj2 ok)) as [p q r s];
    constructor; assumption).
  pose proof there as at_u. unfold capability_at in at_u. destruct (slots st !! argument_slot x) as [u|] eqn:found; [|discriminate]. injection at_u as is_u.
  destruct (carve_goes (argument_slot x) base (N.shiftl 1 page_bits) (Some (ASIDPoolObject {| pool_index := number;
      assigned := empty |})) slot (ASIDPoolCap base)
    st1 u base 12 false used) as (told & mm & _ & _ & caps & _); [exact found | exact is_u | | apply N.le_refl | exact vacant | |].
  - change (has_children (argument_slot x) st1) with (has_children (argument_slot x) st). rewrite none_. lia.
  - intros _. change (objects st1) with (objects st). apply (free_none st (argument_slot x) base 12 false used base sound_ there);
      [rewrite none_; lia | pose proof (positive_shift 12); lia].
  - exact (clean_carved m slot (argument_slot x) _ _ st1 _ caps told mm (slot_argument_low _ m y _ _ slot st fine_y ok1 into) (fills_nowhere _ m _ st _ ok1
      there)
      ltac:(discriminate) ltac:(discriminate) ok2).
Qed.

(** ** Every method

    Those that set a buffer change the thread again behind deletions in its slots, which it outlives. *)
Lemma right_soundly m st : all_right m st -> sound st. Proof. intros (right & _). exact (handled_sound st (g_handled st right)). Qed.
Lemma right_nowhere m st : all_right m st -> capability_at nowhere st = None. Proof. intros (_ & usual). exact (c_nowhere m st usual). Qed.
Lemma exists_buffer t a st : thread_exists t st = true -> thread_exists t (change_thread t (fun x => x <| buffer_address := a |>) st) = true.
Proof.
  unfold thread_exists, change_thread. destruct (objects st !! t) as [[]|] eqn:found; try discriminate. intros _.
  change (objects (put_object t ?x st)) with (set t x (objects st)). rewrite find_set, N.eqb_refl. reflexivity.
Qed.
Lemma right_live m st : all_right m st -> capabilities_live st.
Proof. intros ok. apply live_is. exact (live_ok st (right_soundly m st ok)). Qed.
Lemma occupied_in_cnode t a st slot c : capabilities_live st -> occupied_slot_of_address t a st = inl (slot, c) -> is_slot_of_cnode slot st.
Proof.
  intros alive. unfold occupied_slot_of_address, walk_from_thread. destruct (walk_from _ a 64 st) as [s left_|] eqn:walked; [|discriminate].
  destruct (capability_at s st); [|discriminate]. intros same. injection same as <- _. exact (walk_from_root st _ _ _ _ _ alive walked).
Qed.
Section Buffers.
Variable m : Machine * Prop.
Lemma right_buffer t a st : thread_exists t st = true -> all_right m st -> all_right m (change_thread t (fun x => x <| buffer_address := a |>) st).
Proof. intros there ok. apply right_thread; try reflexivity; [apply a_thread; exact there | exact ok]. Qed.
Variable start : State.
Variable t : N.
Variable call : Invocation.
Hypothesis is_thread : invoked call = TCBCap t.
Hypothesis is_low : t < irq_slot 0.
Lemma buffer_outlives lies watched a st : outlives t lies watched (slot_of t buffer_slot) st ->
  outlives t lies watched (slot_of t buffer_slot) (change_thread t (fun x => x <| buffer_address := a |>) st).
Proof.
  intros (there & which). split; [exact (exists_buffer t a st there)|].
  pose proof (fun j => capability_same j st _ (proj1 (thread_frame t (fun x => x <| buffer_address := a |>) st))) as caps.
  destruct which as [(here & none & no & more)|(z & is_z & other & at_z)]; [left | right].
  - split; [exact here|]. split; [intros j; rewrite caps; exact (none j)|]. split; [intros j; rewrite caps; exact (no j)|]. rewrite caps. intros at_a.
    rewrite (is_last_same _ st); [exact (more at_a)|]. unfold change_thread. destruct (objects st !! t) as [[]|]; reflexivity.
  - exists z. split; [exact is_z|]. split; [exact other|]. rewrite caps. exact at_z.
Qed.
Lemma right_set_buffer (lies watched : N -> Prop) a f st : (forall j, lies j -> in_thread t j) -> (forall j, watched j -> in_thread t j) ->
  outlives t lies watched (slot_of t buffer_slot) st ->
  (a =? 0) || is_memory_frame f = true -> all_right m st -> all_right m (state_of (set_buffer t a f st)).
Proof.
  intros lies_in watched_in begun frame ok. unfold set_buffer. cbv zeta.
  assert (all_right m (change_thread t (fun x => x <| buffer_address := 0 |>) st)) as ok1
    by exact (right_buffer t 0 st (proj1 begun) ok).
  pose proof (right_replace_in m t is_low buffer_slot _ _ eq_refl (replacement_of_buffer a f frame) ok1) as after.
  pose proof (fun one => replace_stays (all_right m) (right_soundly m) (right_nowhere m) (right_unit m) t is_low lies watched lies_in watched_in
    (slot_of t buffer_slot) _ _ one (replacement_of_buffer a f frame) ok1) as stays_. unfold replace_in in *.
  destruct (replace_slot (slot_of t buffer_slot) _ _) as [one|one]; [|exact after]. cbn [and_then state_of] in *.
  apply right_buffer; [|exact after]. exact (proj1 (stays_ one (buffer_outlives lies watched 0 st begun) eq_refl)).
Qed.
Hypothesis is_place : capability_at (invoked_slot call) start = Some (TCBCap t) /\ is_slot_of_cnode (invoked_slot call) start.
Hypothesis is_there : thread_exists t start = true.
Lemma set_ipc_buffer_right a x : all_right m start -> ends_right m (tcb_set_ipc_buffer a x call start) start.
Proof.
  intros ok. unfold tcb_set_ipc_buffer. rewrite (is_t t call is_thread). allowed_if frame. allowed_if even. cbn [in_progress ends_right].
  pose proof (thread_slot_in t buffer_slot eq_refl) as inside.
  apply progress_right. apply (right_set_buffer (eq (slot_of t buffer_slot)) (fun _ => False)); [intros j <-; exact inside | contradiction | | exact frame
    | exact ok].
  apply (invoked_begins t (invoked_slot call)); try tauto. exact (right_soundly m start ok).
Qed.
Lemma replaced_in (lies watched : N -> Prop) slot by_ st st' : (forall j, lies j -> in_thread t j) -> (forall j, watched j -> in_thread t j) ->
  match by_ with Some (_, c) => is_replacement c | None => True end -> all_right m st -> outlives t lies watched (slot_of t slot) st ->
  replace_in t slot by_ st = Done st' -> stays t lies watched st'.
Proof.
  intros lies_in watched_in kind ok begun done_.
  exact (replace_stays (all_right m) (right_soundly m) (right_nowhere m) (right_unit m) t is_low lies watched lies_in watched_in _ by_ st st' kind ok begun
    done_).
Qed.
Lemma configure_right a b c x y z : none_inside start -> all_right m start -> ends_right m (tcb_configure a b c x y z call start) start.
Proof.
  intros none ok. unfold tcb_configure. rewrite (is_t t call is_thread). cbv zeta. allowed_if cnode_. allowed_if guard_. allowed_if space_. allowed_if frame.
  allowed_if even. cbn [in_progress ends_right]. apply progress_right.
  pose proof (thread_slot_in t cspace_slot eq_refl) as in0. pose proof (thread_slot_in t vspace_slot eq_refl) as in1.
  pose proof (thread_slot_in t buffer_slot eq_refl) as in2.
  assert (slot_of t cspace_slot <> slot_of t vspace_slot) as n01 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (slot_of t cspace_slot <> slot_of t buffer_slot) as n02 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (slot_of t vspace_slot <> slot_of t buffer_slot) as n12 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (outlives t (eq (slot_of t cspace_slot)) (fun j => j = slot_of t vspace_slot \/ j = slot_of t buffer_slot) (slot_of t cspace_slot) start)
    as begun0.
  { apply (invoked_begins t (invoked_slot call)); try tauto; [exact (right_soundly m start ok)|].
    intros j [->| ->]; apply none; reflexivity. }
  pose proof (right_replace_in m t is_low cspace_slot _ start eq_refl (replacement_of_cnode a x cnode_) ok) as one.
  pose proof (fun st1 => replaced_in (eq (slot_of t cspace_slot)) (fun j => j = slot_of t vspace_slot \/ j = slot_of t buffer_slot) cspace_slot _ start st1
    ltac:(intros j <-; exact in0) ltac:(intros j [->| ->]; assumption) (replacement_of_cnode a x cnode_) ok begun0) as stays0.
  destruct (replace_in t cspace_slot _ start) as [st1|st1]; [|exact one]. cbn [and_then state_of] in *. specialize (stays0 st1 eq_refl).
  assert (outlives t (fun j => slot_of t cspace_slot = j \/ j = slot_of t vspace_slot) (eq (slot_of t buffer_slot)) (slot_of t vspace_slot) st1)
    as begun1.
  { apply (stays_again t _ _ _ _ _ st1 stays0); try tauto. intros j <-. right. reflexivity. }
  pose proof (right_replace_in m t is_low vspace_slot _ st1 eq_refl (replacement_of_space y space_) one) as two.
  pose proof (fun st2 => replaced_in (fun j => slot_of t cspace_slot = j \/ j = slot_of t vspace_slot) (eq (slot_of t buffer_slot)) vspace_slot _ st1 st2
    ltac:(intros j [<-| ->]; assumption) ltac:(intros j <-; exact in2) (replacement_of_space y space_) one begun1) as stays1.
  destruct (replace_in t vspace_slot _ st1) as [st2|st2]; [|exact two]. cbn [and_then state_of] in *. specialize (stays1 st2 eq_refl).
  apply (right_set_buffer (in_thread t) (fun _ => False)); [tauto | contradiction | | exact frame | exact two].
  apply (stays_again t _ _ _ _ _ st2 stays1); try tauto.
  - intros j [<-| ->]; assumption.
  - intros [same|same]; congruence.
Qed.
End Buffers.
Lemma well_ends sorts m d st : does_well sorts m d st -> ends_right m d st.
Proof. destruct d as [|work]; [exact id|]. exact (firm_clean sorts m _). Qed.
Lemma invoked_thread_is method call : fits method (invoked call) -> Method.invoked method = CapType.TCB -> exists t, invoked call = TCBCap t.
Proof. intros type is_tcb. unfold fits in type. rewrite is_tcb in type. destruct (invoked call); try discriminate type. eexists. reflexivity. Qed.
Lemma invoked_context_is method call : fits method (invoked call) -> Method.invoked method = CapType.SchedContext ->
  exists c bits, invoked call = SchedContextCap c bits.
Proof. intros type is_sc. unfold fits in type. rewrite is_sc in type. destruct (invoked call); try discriminate type. do 2 eexists. reflexivity. Qed.
Ltac only_reports usual :=
  unfold tcb_get_breakpoint, frame_get_address, inspect_read_cnode, inspect_read_tcb, inspect_read_vspace, inspect_read_sched_context, inspect_read_untyped,
    inspect_read_reply, inspect_read_irq_handler, inspect_read_tcb_slot, thread_argument, vspace_argument; cbv beta zeta;
  repeat match goal with |- ends_right _ (match ?x with _ => _ end) _ => destruct x; try exact I end; exact usual.
Lemma method_right (m : Machine * Prop) method call st : fits method (invoked call) -> valid call st -> is_slot_of_cnode (invoked_slot call) st ->
    is_a (sorts_of st) AThread (invoker call) -> none_inside st ->
  last_interrupt (fst m) < most_interrupts -> placed st -> all_right m st -> ends_right m (decode_method method call st) st.
Proof.
  intros type fine_call is_place self inside few spaces ok. pose proof (right_firm m st ok) as ok1. pose proof (proj2 ok) as usual.
  destruct (call_fine _ m call st fine_call ok1) as (fine & args). pose proof fine_call as (there & placed_args).
  assert (forall i, in_place (cap i call) st) as in_place_.
  { intros i c is_c. exact (argument_at call st i c fine_call is_c). }
  assert (thread_exists (invoker call) st = true) as self_there.
  { unfold is_a, sorts_of in self. unfold thread_exists. destruct (objects st !! invoker call) as [[]|]; try discriminate self. reflexivity. }
  destruct method; unfold decode_method;
    try (destruct (invoked_thread_is _ call type eq_refl) as (t & is_it); pose proof fine as fine_t; rewrite is_it in fine_t;
      cbn [fine_cap] in fine_t; destruct fine_t as (t_there & t_low));
    try (destruct (invoked_context_is _ call type eq_refl) as (c & bits & is_it); pose proof fine as fine_c; rewrite is_it in fine_c;
        cbn [fine_cap] in fine_c);
    try solve [only_reports usual].
  - exact (retype_right m _ _ _ _ _ _ _ call st there (args 0%nat) self_there ok).
  - apply (well_ends (sorts_of st)). exact (read_registers_well _ m t call is_it t_there _ _ st ok1).
  - apply (well_ends (sorts_of st)). exact (write_registers_well _ m t call is_it t_there _ _ _ st ok1).
  - apply (well_ends (sorts_of st)). exact (copy_registers_well _ m t call is_it t_there _ _ st (args 0%nat) ok1).
  - rewrite is_it in there. apply (configure_right m st t call is_it t_low (conj there is_place)); [|exact inside | exact ok].
    unfold is_a, sorts_of in t_there. unfold thread_exists. destruct (objects st !! t) as [[]|]; try discriminate t_there. reflexivity.
  - apply (well_ends (sorts_of st)). exact (set_priority_well _ m t call is_it t_there _ _ st (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (set_mc_priority_well _ m t call is_it t_there _ _ st (args 0%nat) ok1).
  - rewrite is_it in there. exact (params_right m _ _ _ _ _ call st t is_it there (in_place_ 1%nat) ok).
  - exact (set_timeout_right m t call is_it t_low _ st ok).
  - rewrite is_it in there. apply (set_ipc_buffer_right m st t call is_it t_low (conj there is_place)); [|exact ok].
    unfold is_a, sorts_of in t_there. unfold thread_exists. destruct (objects st !! t) as [[]|]; try discriminate t_there. reflexivity.
  - exact (set_space_right m t call is_it t_low _ _ _ _ _ st ok).
  - apply (well_ends (sorts_of st)). exact (suspend_well _ m t call is_it t_there st ok1).
  - apply (well_ends (sorts_of st)). exact (resume_well _ m t call is_it t_there st ok1).
  - apply (well_ends (sorts_of st)). exact (bind_well _ m t call is_it t_there _ st (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (unbind_well _ m t call is_it st ok1).
  - apply (well_ends (sorts_of st)). exact (tls_well _ m t call is_it t_there _ st ok1).
  - apply (well_ends (sorts_of st)). exact (flags_well _ m t call is_it t_there _ _ st ok1).
  - apply (well_ends (sorts_of st)). exact (affinity_well _ m t call is_it t_there _ st ok1).
  - apply (well_ends (sorts_of st)). exact (breakpoint_well _ m t call is_it t_there _ _ _ _ _ st ok1).
  - apply (well_ends (sorts_of st)). exact (unset_breakpoint_well _ m t call is_it t_there _ st ok1).
  - apply (well_ends (sorts_of st)). exact (stepping_well _ m t call is_it t_there _ _ st ok1).
  - exact (revoke_right m _ _ call st ok).
  - exact (delete_right m _ _ call st ok).
  - apply (well_ends (sorts_of st)). exact (cancel_well _ m _ _ call st ok1).
  - apply (well_ends (sorts_of st)). exact (derive_well _ m _ _ _ _ _ _ _ _ call st (or_introl eq_refl) fine (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (derive_well _ m _ _ _ _ _ _ _ _ call st (or_intror (ex_intro _ _ eq_refl)) fine (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (move_well _ m _ _ _ _ _ _ call st (or_introl eq_refl) fine ok1).
  - apply (well_ends (sorts_of st)). exact (move_well _ m _ _ _ _ _ _ call st (or_intror (ex_intro _ _ eq_refl)) fine ok1).
  - apply (well_ends (sorts_of st)). exact (rotate_well _ m _ _ _ _ _ _ _ _ _ _ call st fine ok1).
  - apply (well_ends (sorts_of st)). exact (configure_flags_well _ m _ _ _ _ _ _ call st (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (sc_bind_well _ m c bits call is_it fine_c _ st (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (sc_unbind_well _ m c bits call is_it st ok1).
  - apply (well_ends (sorts_of st)). exact (sc_unbind_object_well _ m c bits call is_it _ st (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (consumed_well _ m c bits call is_it fine_c st ok1).
  - apply (well_ends (sorts_of st)). exact (yield_to_well _ m c bits call is_it fine_c st self ok1).
  - apply (well_ends (sorts_of st)). exact (space_maintain_well _ m Clean _ _ call st self ok1).
  - apply (well_ends (sorts_of st)). exact (space_maintain_well _ m Invalidate _ _ call st self ok1).
  - apply (well_ends (sorts_of st)). exact (space_maintain_well _ m CleanInvalidate _ _ call st self ok1).
  - apply (well_ends (sorts_of st)). exact (space_maintain_well _ m Unify _ _ call st self ok1).
  - apply (well_ends (sorts_of st)). exact (table_map_well _ m _ _ _ call st there spaces ok1).
  - apply (well_ends (sorts_of st)). exact (table_unmap_well _ m call st there ok1).
  - apply (well_ends (sorts_of st)). exact (frame_map_well _ m _ _ _ _ call st there spaces ok1).
  - apply (well_ends (sorts_of st)). exact (frame_unmap_well _ m call st there ok1).
  - apply (well_ends (sorts_of st)). exact (frame_maintain_well _ m Clean _ _ call st self ok1).
  - apply (well_ends (sorts_of st)). exact (frame_maintain_well _ m Invalidate _ _ call st self ok1).
  - apply (well_ends (sorts_of st)). exact (frame_maintain_well _ m CleanInvalidate _ _ call st self ok1).
  - apply (well_ends (sorts_of st)). exact (frame_maintain_well _ m Unify _ _ call st self ok1).
  - exact (pool_right m _ _ _ _ call st (in_place_ 0%nat) (args 1%nat) ok).
  - apply (well_ends (sorts_of st)). exact (assign_well _ m _ call st fine (in_place_ 0%nat) ok1).
  - apply (well_ends (sorts_of st)). destruct (invoked call) eqn:is_it; try discriminate type.
    exact (handler_well _ m _ _ _ _ _ call st ltac:(reflexivity) few there (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (ack_well _ m call st ok1).
  - exact (set_notification_right m _ call st fine type ok).
  - exact (irq_clear_right m call st ok).
  - apply (well_ends (sorts_of st)). exact (domain_well _ m _ _ call st (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). destruct (invoked call) eqn:is_it; try discriminate type.
    exact (sender_well _ m _ _ _ _ _ call st there (args 0%nat) ok1).
  - apply (well_ends (sorts_of st)). exact (schedule_well _ m _ _ _ call st ok1).
  - apply (well_ends (sorts_of st)). exact (start_well _ m _ call st ok1).
  - apply (well_ends (sorts_of st)). exact (access_well _ m _ _ _ call st (args 0%nat) ok1).
Qed.

(** ** System calls *)
Record calls_well (m : Machine * Prop) (t : N) (st : State) : Prop := {
  w_right : all_right m st;
  w_placed : placed st;
  w_running : run_state (thread t st) = Running;
  w_fresh : yielded_to (thread t st) = None;
  w_inside : none_inside st
}.
Section Calls.
Variable m : Machine * Prop.
Hypothesis few : last_interrupt (fst m) < most_interrupts.
Lemma invoke_clean t slot c st : calls_well m t st -> capability_at slot st = Some c -> is_slot_of_cnode slot st -> clean m (snd (invoke t slot c st)).
Proof.
  intros [ok spaces runs _ inside] there is_place. pose proof (right_firm m st ok) as ok1. pose proof (runs_there _ m t st ok1 runs) as self.
  unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(x & y)] eqn:listed; [|exact (proj2 ok)].
  unfold decide. destruct (method_for (label (message_of_call t st)) c) as [method|] eqn:found; [|exact (proj2 ok)].
  destruct (Nat.leb _ _ && _); [|exact (proj2 ok)].
  pose proof (method_right m method {| invoker := t; invoked_slot := slot; invoked := c; word_arguments := words (message_of_call t st);
    cap_arguments := arguments |} st (method_fits _ _ _ found) (conj there (arguments_in_place _ _ _ _ listed)) is_place self) as after.
  specialize (after inside few spaces ok). destruct (decode_method method _ st) as [error details|work]; [exact (proj2 ok)|].
  cbn [ends_right] in after. destruct (work st); exact after.
Qed.
Lemma phase_clean t a manner st : calls_well m t st -> clean m (snd (send_phase t a manner st)).
Proof.
  intros well. pose proof well as [ok _ runs _ _]. pose proof (right_firm m st ok) as ok1. pose proof (runs_there _ m t st ok1 runs) as self.
  pose proof (proj1 (proj2 (g_parts st (proj1 ok)))) as wait. pose proof (proj2 ok) as usual.
  unfold send_phase. destruct (occupied_slot_of_address t a st) as [(slot & c)|report] eqn:found; [|exact usual].
  pose proof (told_occupied _ m _ _ _ _ _ ok1 found) as fine.
  pose proof (occupied_in_cnode t a st slot c (right_live m st ok) found) as is_place. apply occupied_in_place in found.
  pose proof (invoke_clean t slot c st well found is_place) as each. destruct c; try exact each; cbn [fine_cap] in fine.
  - destruct (can_write rights); [|exact usual].
    pose proof (firm_send _ m t endpoint badge (can_grant rights) (can_grant_reply rights) (calls_back manner) (lends_context manner) (waits manner) st self
        fine
      (heads_receive st endpoint wait) ok1) as after.
    destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [snd] in *; try exact usual; exact (firm_clean _ _ _ after).
  - destruct (can_write rights); [|exact usual]. exact (firm_clean _ _ _ (firm_signal _ m notification badge fine st ok1)).
  - exact (firm_clean _ _ _ (firm_answer _ m t reply (can_grant rights) fine st ok1)).
  - apply clean_emit; [discriminate | exact usual].
Qed.
Lemma phase_right t a manner st : calls_well m t st -> all_right m (snd (send_phase t a manner st)).
Proof.
  intros well. split; [|exact (phase_clean t a manner st well)]. destruct well as [([all_ yields handled_ fine] & _) _ runs fresh _]. constructor.
  - exact (phase_sends_bonds t a manner st all_ runs).
  - exact (phase_yields t a manner st (conj all_ (conj yields (conj runs fresh)))).
  - exact (proj2 (@keeps_send_phase _ _ _ _ handled_quietly handled_kept handled_operations t a manner eq_refl st handled_)).
  - exact (proj2 (@keeps_send_phase _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) (nothing_given _) t a manner eq_refl st
      fine)).
Qed.
Lemma right_waiting st : all_right m st -> waiting nobody st. Proof. intros (right & _). exact (proj1 (proj2 (g_parts st right))). Qed.
Lemma sends_clean t manner st : calls_well m t st -> clean m (snd (sends t manner st)).
Proof.
  intros well. unfold sends, finish_send. pose proof (phase_right t (register 0 (thread t st)) manner st well) as after. destruct well as [ok _ runs _ _].
  destruct (phase_sends t (register 0 (thread t st)) manner st (right_waiting st ok) runs) as (_ & back).
  destruct (send_phase _ _ _ _) as ([e d| |x r|] & two); cbn [fst snd] in *; pose proof (right_firm m two after) as ok1.
  - destruct e; exact (firm_clean _ _ _ (firm_put_result _ m t _ _ two ok1)).
  - exact (proj2 after).
  - rewrite (back x r eq_refl) in *. destruct (faults manner); [|exact (firm_clean _ _ _ (firm_put_result _ m t _ _ st ok1))].
    exact (firm_clean _ _ _ (firm_cap_fault _ m t x 0 r st (runs_there _ m t st ok1 runs) (right_waiting st ok) ok1)).
  - exact (firm_clean _ _ _ (firm_go_back _ m t two ok1)).
Qed.
Lemma then_clean t w st : all_right m st -> clean m (snd (then_receive t w st)).
Proof. intros ok. exact (firm_clean _ _ _ (firm_then_receive _ m t w st (right_waiting st ok) (right_firm m st ok))). Qed.

(** Senders that are refused early leave the caller as it is. *)
Lemma other_thread t u f st : t <> u -> thread t (change_thread u f st) = thread t st.
Proof. intros other. rewrite thread_after_change_thread, (proj2 (N.eqb_neq t u) other). reflexivity. Qed.
Lemma endpoint_threads t e f st : thread t (change_endpoint e f st) = thread t st.
Proof.
  unfold change_endpoint, thread. destruct (objects st !! e) as [[| |x| | | | | |]|] eqn:found; try reflexivity.
  match goal with |- context [put_object e ?x st] => change (objects (put_object e x st)) with (set e x (objects st)) end.
  rewrite find_set. destruct (N.eqb_spec t e) as [->|]; [rewrite found|]; reflexivity.
Qed.
Lemma refused_other t e r st : waiting nobody st -> run_state (thread t st) = Running -> thread t (refuse_first e r st) = thread t st.
Proof.
  intros wait runs. unfold refuse_first, first_refused. destruct (senders (endpoint e st)) as [|s rest] eqn:queue; [reflexivity|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue; left; reflexivity).
  destruct (is_sender nobody e st s wait listed) as (b & sg & gr & c & l & state). rewrite state. destruct (_ && _); [reflexivity|].
  assert (t <> s) as other by congruence. cbv zeta. set (one := change_endpoint e (fun x => x <| senders := tl (senders x) |>) st).
  assert (thread t one = thread t st) as same by apply endpoint_threads. clearbody one. unfold refuse_sender. destruct (fault (thread s one)).
  - rewrite (other_thread t s _ one other). exact same.
  - unfold wake, set_error_result. unfold place at 1. unfold thread at 1. rewrite (proj2 (proj2 (place_by_same insert_behind s _))). fold (thread t
      (begin_sporadic s (change_thread s (with_state Running) (change_thread s (with_error_result Error.NoDonation []) one)))).
    unfold begin_sporadic. destruct (context_of s _) as [k|]; [destruct (_ && _); [rewrite (proj1 (proj2 (after_context k _ _)))|]|];
      rewrite !(other_thread t s _ _ other); exact same.
Qed.
Lemma early_same t w first st : waiting nobody st -> run_state (thread t st) = Running ->
  thread t (state_of (refuse_early t w first st)) = thread t st.
Proof.
  intros wait runs. unfold refuse_early. destruct (source_of t w st) as [e r g|n|a r]; try reflexivity. destruct (_ && _); [|reflexivity].
      unfold refuse_waiting.
  assert (goes t (state_of (in_units (fun _ st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) tt st))
    /\ thread t (state_of (in_units (fun _ st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) tt st)) = thread t st) as (_ & same).
  { apply (units_hold (fun one => goes t one /\ thread t one = thread t st)); [| |split; [split; assumption | reflexivity]].
    - intros n one (goes_ & same). split; [|exact same]. exact (looks_at_objects (goes_quietly t) one (allow n one) eq_refl eq_refl eq_refl eq_refl eq_refl
        goes_).
    - intros u one (goes_ & same). cbn [snd]. split; [exact (refused_and_goes t e r one goes_)|]. rewrite (refused_other t e r one); [exact same | |];
        apply goes_. }
  exact same.
Qed.
Lemma early_well t w first st : calls_well m t st -> calls_well m t (state_of (refuse_early t w first st)).
Proof.
  intros [ok spaces runs fresh inside]. pose proof (right_waiting st ok) as wait. pose proof (early_same t w first st wait runs) as same.
  pose proof ok as ([all_ yields handled_ fine] & usual). constructor; rewrite ?same; try assumption.
  - split; [constructor|].
    + exact (proj1 (refused_early_whole t w first st (conj all_ runs))).
    + exact (@keeps_refuse_early _ _ _ _ yielding_quietly t w first eq_refl st yields).
    + exact (@keeps_refuse_early _ _ _ _ handled_quietly t w first eq_refl st handled_).
    + exact (@keeps_refuse_early _ _ _ _ (fine_is_kept_quietly bounded) t w first eq_refl st fine).
    + exact (firm_clean _ _ _ (firm_early (sorts_of st) m t w first st (right_firm m st ok))).
  - exact (@keeps_refuse_early _ _ _ _ placed_quietly t w first eq_refl st spaces).
  - intros u i few_.
    rewrite (capability_same _ st _ (proj1 (@keeps_refuse_early _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) t w first eq_refl st
      (conj eq_refl eq_refl)))). exact (inside u i few_).
Qed.
Lemma unless_clean t p rest : calls_well m t (state_of p) -> (forall st, calls_well m t st -> clean m (snd (rest st))) -> clean m (snd (unless_preempted t p
    rest)).
Proof.
  intros well each. unfold unless_preempted. destruct p as [st|st]; [exact (each st well)|]. cbn [snd state_of] in *.
  exact (firm_clean _ _ _ (firm_go_back _ m t st (right_firm m st (w_right _ _ _ well)))).
Qed.
Lemma reply_phase_right t st : all_right m st -> all_right m (reply_phase t st).
Proof.
  intros ok. pose proof ok as ([all_ yields handled_ fine] & _). split; [constructor|].
  - exact (reply_phase_parts t st all_).
  - exact (@keeps_reply_phase _ _ _ _ yielding_quietly yielding_kept t eq_refl st yields).
  - exact (@keeps_reply_phase _ _ _ _ handled_quietly handled_kept t eq_refl st handled_).
  - exact (@keeps_reply_phase _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) t eq_refl st fine).
  - exact (firm_clean _ _ _ (firm_reply_phase _ m t st (right_firm m st ok))).
Qed.
Lemma right_long_words t l st : all_right m st -> all_right m (write_long_words t l st).
Proof.
  intros ok. pose proof ok as ([all_ yields handled_ fine] & _). split; [constructor|].
  - exact (@keeps_write_long_words _ _ _ _ parts_quietly t l st all_).
  - exact (@keeps_write_long_words _ _ _ _ yielding_quietly t l st yields).
  - exact (@keeps_write_long_words _ _ _ _ handled_quietly t l st handled_).
  - exact (@keeps_write_long_words _ _ _ _ (fine_is_kept_quietly bounded) t l st fine).
  - exact (firm_clean _ _ _ (firm_write_long_words _ m t l st (right_firm m st ok))).
Qed.
Lemma run_clean s t st : calls_well m t st -> clean m (snd (run_system_call s t st)).
Proof.
  intros well. pose proof well as [ok _ runs _ _]. pose proof (right_firm m st ok) as ok1. pose proof (runs_there _ m t st ok1 runs) as self.
  pose proof (right_waiting st ok) as wait. unfold run_system_call. cbv zeta.
  assert (forall w b, clean m (snd (receive_phase t w b st))) as receives_
    by (intros w b; exact (firm_clean _ _ _ (firm_receive_phase _ m t w b st wait runs ok1))).
  assert (forall w, clean m (snd (send_and_receive t w st))) as both_.
  { intros w. unfold send_and_receive. apply unless_clean; [exact (early_well t w _ st well)|]. intros one well1.
    pose proof (phase_right t (register 8 (thread t one)) passing_on one well1) as after. fold (pass_on t one) in after.
    destruct (pass_on t one) as ([e d| |x r|] & two); cbn [snd] in *; try exact (then_clean t w two after).
    - apply then_clean, right_long_words. exact after.
    - exact (firm_clean _ _ _ (firm_go_back _ m t two (right_firm m two after))). }
  destruct s; try exact (sends_clean t _ st well); try exact (receives_ _ _); try exact (both_ _).
  - unfold reply_and_receive. apply unless_clean; [exact (early_well t true _ st well)|]. intros one [ok2 _ _ _ _]. apply then_clean, reply_phase_right.
      exact ok2.
  - exact (firm_clean _ _ _ (firm_yield _ m t st ok1)).
  - apply clean_emit; [discriminate | exact (proj2 ok)].
  - apply clean_emit; [discriminate | exact (proj2 ok)].
  - cbn [snd]. refine (firm_clean _ _ _ (firm_thread _ m t _ self _ st ok1)). intros x fine. exact fine.
Qed.
Lemma call_clean t st : calls_well m t st -> clean m (snd (system_call t st)).
Proof.
  intros well. pose proof well as [ok _ runs _ _]. pose proof (right_firm m st ok) as ok1.
  pose proof (firm_clean _ _ _ (firm_unknown _ m t st (runs_there _ m t st ok1 runs) (right_waiting st ok) ok1)) as unknown.
  unfold system_call. cbv zeta. destruct (Syscall.of_number _) as [s|]; [|exact unknown]. destruct (_ && _); [exact unknown | exact (run_clean s t st well)].
Qed.
End Calls.

(** ** The step *)
Lemma strong_begin e st : strong st -> strong (begin_step e st).
Proof.
  intros [all_ yields handled_ fine]. constructor.
  - exact (@keeps_begin_step _ _ _ _ parts_quietly e eq_refl st all_).
  - exact (@keeps_begin_step _ _ _ _ yielding_quietly e eq_refl st yields).
  - exact (@keeps_begin_step _ _ _ _ handled_quietly e eq_refl st handled_).
  - exact (@keeps_begin_step _ _ _ _ (fine_is_kept_quietly bounded) e eq_refl st fine).
Qed.
Lemma begin_same e st : current (begin_step e st) = current st /\ objects (begin_step e st) = objects st. Proof. split; reflexivity. Qed.
Lemma right_enter m e st : strong st -> clean m st -> (forall t, current st = Some t -> run_state (thread t st) = Running) -> all_right m (enter e st).
Proof.
  intros right [n irqs mm _] runs. assert (all_right m (begin_step e st)) as ok.
  { split; [exact (strong_begin e st right)|]. constructor; [exact n | exact irqs | exact mm | intros []]. }
  unfold enter, save_registers. destruct (begin_same e st) as (cur & objs). rewrite cur. revert ok objs. generalize (begin_step e st). intros one ok objs.
  destruct (current st) as [t|]; [|exact ok].
  apply right_thread; [apply bound_of_registers | apply uses_of_registers | apply state_of_registers | apply yield_of_registers | | exact ok].
  apply a_thread, thread_is. unfold thread. rewrite objs. fold (thread t st). rewrite (runs t eq_refl). discriminate.
Qed.
Lemma handle_clean m c st : last_interrupt (fst m) < most_interrupts -> all_right m st -> placed st -> none_inside st ->
  (forall t, current st = Some t -> run_state (thread t st) = Running /\ yielded_to (thread t st) = None) ->
  all_right m (snd (handle c st)).
Proof.
  intros few ok spaces inside now_. pose proof (right_firm m st ok) as ok1. pose proof ok as ([all_ yields handled_ fine] & usual). split; [constructor|].
  - exact (handled_parts c st all_ (fun t is_cur => proj1 (now_ t is_cur))).
  - exact (handled_yields c st all_ yields now_).
  - exact (proj2 (@keeps_handle _ _ _ _ handled_quietly handled_kept handled_operations c eq_refl st handled_)).
  - exact (proj2 (@keeps_handle _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) (nothing_given _) c eq_refl st fine)).
  - assert (forall t d, current st = Some t -> clean m (snd (user_fault t d st))) as faults_.
    { intros t d is_cur. exact (firm_clean _ _ _ (firm_user_fault _ m t d st (right_waiting m st ok) (proj1 (now_ t is_cur)) ok1)). }
    unfold handle. destruct c, (current st) as [t|] eqn:is_cur; try exact usual; try exact (faults_ t _ eq_refl);
      try exact (firm_clean _ _ _ (firm_interrupt _ m _ st ok1));
      try exact (firm_clean _ _ _ (firm_end_turn _ m _ (firm_wake_sleepers _ m _ (firm_end_budget _ m st all_ ok1)))).
    destruct (now_ t eq_refl) as (runs & fresh). apply (call_clean m few). constructor; assumption.
Qed.
Lemma choose_clean m st : all_right m st -> clean m (choose_thread st).
Proof. intros ok. exact (firm_clean _ _ _ (firm_choose _ m st (g_parts st (proj1 ok)) (right_firm m st ok))). Qed.
Lemma enter_same e st : strong st -> (forall t, current st = Some t -> run_state (thread t st) = Running) ->
  current (enter e st) = current st /\ forall t, current st = Some t -> run_state (thread t (enter e st)) = Running.
Proof.
  intros right runs. destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st (proj1 (proj2 (g_parts st right))))) as (_ & same).
  split; [|intros t is_cur; rewrite (same_state _ _ same); exact (runs t is_cur)].
  unfold enter, save_registers. destruct (begin_same e st) as (cur & _). rewrite cur. revert cur. generalize (begin_step e st). intros one cur.
  destruct (current st) as [c|]; [|exact cur]. unfold change_thread. destruct (objects one !! c) as [[]|]; exact cur.
Qed.
Lemma step_clean m st e : last_interrupt (fst m) < most_interrupts -> strong st -> placed st -> settled st -> none_inside st -> clean m st ->
  clean m (choose_thread (snd (handle (cause e) (enter e st)))).
Proof.
  intros few right spaces [first _ no_yield _] inside usual.
  assert (forall t, current st = Some t -> run_state (thread t st) = Running) as runs.
  { intros t is_cur. apply (w_runs nobody st (proj1 (proj2 (g_parts st right)))), in_app_iff. left. rewrite first in is_cur. unfold first_ready in is_cur.
    apply List.find_some in is_cur. exact (proj1 is_cur). }
  destruct (enter_same e st right runs) as (same & runs1). apply choose_clean, handle_clean; [exact few | exact (right_enter m e st right usual runs) | | |].
  - exact (@keeps_enter _ _ _ _ placed_quietly e st spaces).
  - intros u i less. rewrite (capability_same _ st _ (proj1 (@keeps_enter _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) e st
      (conj eq_refl eq_refl)))). exact (inside u i less).
  - intros t is_cur. rewrite same in is_cur. split; [exact (runs1 t is_cur)|].
    exact (proj2 (@keeps_enter _ _ _ _ (idle_quietly t) e st (conj (g_yields st right) (no_yield t is_cur)))).
Qed.

(** ** Boot *)
Definition plain_slots (st : State) : Prop := forall j c, capability_at j st = Some c -> j <> nowhere /\ forall irq, c <> IRQHandlerCap irq.
Lemma plain_with slot c st after : plain_slots st -> (forall j, capability_at j after = if j =? slot then Some c else capability_at j st) -> slot <> nowhere
    ->
  (forall irq, c <> IRQHandlerCap irq) -> plain_slots after.
Proof.
  intros ok caps elsewhere plain j d. rewrite caps. destruct (N.eqb_spec j slot) as [->|]; [|apply ok]. intros is_d. injection is_d as <-. split; assumption.
Qed.
Lemma plain_derived slot s o c st : slot <> nowhere -> (forall irq, c <> IRQHandlerCap irq) -> plain_slots st -> plain_slots (insert_derived slot s o c st).
Proof.
  intros elsewhere plain ok. unfold insert_derived. destruct (slots st !! s) as [e|] eqn:found; [|exact ok].
  assert (plain_slots (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
    else if original e then insert_child slot s o c st else insert_sibling slot s o c st)) as usual.
  { destruct (_ || _); [exact ok|]. destruct (original e).
    - destruct (is_empty slot st && negb (is_empty s st)) eqn:can; [|unfold insert_child; rewrite can; exact ok].
      apply (plain_with slot c st); try assumption. intros j. rewrite !capability_at_in. exact (in_insert_child _ _ _ _ _ j can).
    - destruct (slots st !! slot) as [f|] eqn:vacant; [unfold insert_sibling, is_empty; rewrite vacant; exact ok|].
      apply (plain_with slot c st); try assumption. intros j. rewrite !capability_at_in. exact (in_insert_sibling slot s o c st e j vacant found). }
  destruct (capability e) eqn:is_c; try exact usual.
  destruct (carve_cases s base (N.shiftl 1 size_bits) None slot (UntypedCap base size_bits is_device used) st) as [->|cut]; [exact ok|].
  destruct cut as (e' & b & bits & d & u & there & _ & _ & _ & _ & _ & caps & _). intros j x. rewrite capability_at_in, caps.
  destruct (N.eqb_spec j slot) as [->|]; [intros is_x; injection is_x as <-; split; [exact elsewhere | discriminate]|].
  destruct (N.eqb_spec j s) as [->|]; [|rewrite <- capability_at_in; apply ok]. intros is_x. injection is_x as <-. split; [|discriminate].
  apply (ok s (capability e)). unfold capability_at. rewrite found. reflexivity.
Qed.
Definition same_machine (a b : State) : Prop := machine b = machine a /\ current_context b = current_context a.
Lemma machine_same_slots a b : same_but_slots a b -> same_machine a b.
Proof. unfold same_but_slots. intros same. rewrite same. split; reflexivity. Qed.
Lemma machine_trans a b c : same_machine a b -> same_machine b c -> same_machine a c.
Proof. intros (m1 & c1) (m2 & c2). split; congruence. Qed.
Lemma machine_context c f st : same_machine st (change_context c f st).
Proof. unfold change_context. destruct (objects st !! c) as [[]|]; split; reflexivity. Qed.
Lemma machine_thread t f st : same_machine st (change_thread t f st).
Proof. unfold change_thread. destruct (objects st !! t) as [[]|]; split; reflexivity. Qed.
Lemma machine_place insert t st : same_machine st (place_by insert t st).
Proof.
  unfold place_by. cbv zeta. destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try (split; reflexivity).
  destruct (negb _); [split; reflexivity|]. destruct (usable _ _); split; reflexivity.
Qed.
Lemma machine_bind c t st : same_machine st (bind_context c t st).
Proof.
  unfold bind_context. cbv zeta. apply (machine_trans _ (give_context c t st)).
  - unfold give_context. cbv zeta. destruct (context_thread (context c st)) as [u|].
    + eapply machine_trans; [|eapply machine_trans; [apply machine_context | apply machine_thread]].
      apply (machine_trans _ (unplace u st)); [split; reflexivity | apply machine_thread].
    + eapply machine_trans; [apply machine_context | apply machine_thread].
  - generalize (give_context c t st). clear st. intros st. apply (machine_trans _ (if is_running t st then begin_sporadic t st else st));
      [|apply machine_place].
    destruct (is_running t st); [|split; reflexivity]. unfold begin_sporadic. destruct (context_of t st); [|split; reflexivity].
    destruct (_ && _); [apply machine_context | split; reflexivity].
Qed.
Lemma machine_copy p i place st : same_machine st (copy_to_thread p i place st).
Proof.
  unfold copy_to_thread. destruct (capability_at _ st) as [c|]; [|split; reflexivity]. unfold insert_derived.
  destruct (slots st !! _) as [e|]; [|split; reflexivity].
  assert (forall u a size s x, same_machine st (carve u a size None s x st)) as carved_.
  { intros u a size s x. unfold carve. destruct (slots st !! u), (capability_at u st) as [[]|]; try (split; reflexivity). cbv zeta.
    destruct (_ && _); [|split; reflexivity]. cbn [put_if_some]. apply machine_same_slots.
    exact (same_slots_trans _ _ _ (replace_capability_same _ _ _ _) (insert_child_same _ _ _ _ _)). }
  destruct (capability e); try apply carved_; (destruct (_ || _); [split; reflexivity|]; destruct (original e); apply machine_same_slots;
    [apply insert_child_same | apply insert_sibling_same]).
Qed.
Lemma machine_choose st : current_context st = None -> machine (choose_thread st) = machine st.
Proof.
  intros none_. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (same_machine st one) as (m1 & c1).
  { unfold one. destruct (ends_turn _); [|split; reflexivity]. unfold end_turn_if_due, next_turn. destruct (turn_end st); [|split; reflexivity].
    destruct (_ <=? _); [|split; reflexivity]. cbv zeta. destruct (_ && _); split; reflexivity. }
  clearbody one. rewrite none_ in c1.
  set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (machine two = machine one) as m2.
  { unfold two. destruct (_ && _); [reflexivity|]. unfold change_context_in_use. cbv zeta.
    assert (machine (end_budget one) = machine one) as ended.
    { unfold end_budget, book_turn. rewrite c1. unfold book. cbv zeta. change (current_context (one <|
        charged_until := now one |>)) with (current_context one).
      rewrite c1. cbv iota. change (current_context (one <| charged_until := now one |>)) with (current_context one). rewrite c1. reflexivity. }
    destruct (context_of_first (end_budget one)) as [c|]; [|exact ended]. match goal with |- machine (if ?x then _ else _) = _ => destruct x end;
        [exact ended|].
    rewrite (proj1 (machine_context _ _ _)). exact ended. }
  clearbody two. rewrite <- m1, <- m2. destruct (first_ready two) as [t|]; [|reflexivity]. unfold end_yield_by. destruct (yielded_to _); [|reflexivity].
  unfold report_booked. rewrite (proj1 (machine_thread _ _ _)), (proj1 (machine_context _ _ _)), (proj1 (machine_context _ _ _)). reflexivity.
Qed.
Lemma reachable_strong p st : roots_are_sound p -> reachable step p st -> strong st.
Proof.
  intros right reached. pose proof (roots_differ p right) as apart_. constructor.
  - exact (reachable_parts p st apart_ reached).
  - exact (reachable_yields p st apart_ reached).
  - exact (@reachable_keeps_but _ _ _ _ handled_quietly handled_kept handled_operations p (handled_at_start p right) eq_refl st reached).
  - exact (reachable_keeps _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) p (fine_at_start bounded p (boot_bounded p right)) st
      reached).
Qed.
Lemma roots_plain p slot c : In (slot, c) (root_capabilities p ++ dynamic_capabilities p) -> forall irq, c <> IRQHandlerCap irq.
Proof.
  intros listed irq ->. apply in_app_or in listed. destruct listed as [listed|listed].
  - unfold root_capabilities in listed. cbn [In] in listed. repeat (destruct listed as [listed|listed]; [discriminate|]). exact listed.
  - unfold dynamic_capabilities in listed. cbv zeta in listed. apply in_combine_r, in_app_or in listed. destruct listed as [listed|listed];
      apply in_map_iff in listed; [destruct listed as (core & same & _) | destruct listed as (((base & bits) & device) & same & _)]; discriminate.
Qed.
Lemma plain_copy p i place st : slot_of (root_thread p) place <> nowhere -> plain_slots st -> plain_slots (copy_to_thread p i place st).
Proof.
  intros elsewhere ok. unfold copy_to_thread. destruct (capability_at _ st) as [c|] eqn:there; [|exact ok].
  apply plain_derived; [exact elsewhere | | exact ok]. intros irq same. destruct (ok _ c there) as (_ & plain). destruct c; try discriminate same.
  exact (plain irq0 eq_refl).
Qed.
Lemma insert_root_caps slot c st j : capability_at j (insert_root slot c st) = (if is_empty slot st && (j =? slot) then Some c else capability_at j st).
Proof.
  unfold insert_root. destruct (is_empty slot st) eqn:vacant; [|reflexivity]. cbn [andb]. rewrite !capability_at_in, (proj1 (slots_of_count c _)).
  etransitivity; [apply in_set|]. reflexivity.
Qed.
Lemma clean_leave m st : clean m st -> clean m (leave st).
Proof. intros [n irqs mm _]. constructor; [exact n | exact irqs | exact mm | intros []]. Qed.
Lemma boot_clean p : boot_fits p -> clean (boot_machine p, True) (boot p).
Proof.
  intros fits_. pose proof (fits_sound p fits_) as right. set (first_ := insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
  assert (plain_slots first_ /\ machine first_ = boot_machine p /\ current_context first_ = None) as (plain & mm & none_).
  { unfold first_. assert (forall l st, (forall slot c, In (slot, c) l -> slot < irq_slot 0 /\ forall irq, c <> IRQHandlerCap irq) -> plain_slots st ->
        machine st = boot_machine p -> current_context st = None ->
        let after := fold_left (fun st entry => insert_root (fst entry) (snd entry) st) l st in
        plain_slots after /\ machine after = boot_machine p /\ current_context after = None) as each.
    { induction l as [|(slot & c) l IH]; intros st fine plain mm none_; [split; [exact plain | split; assumption]|]. cbn [fold_left fst snd].
      destruct (machine_same_slots _ _ (insert_root_same slot c st)) as (m1 & c1). destruct (fine slot c (or_introl eq_refl)) as (less & no_irq).
      apply IH; [intros s x listed; exact (fine s x (or_intror listed)) | | congruence | congruence].
      intros j x. rewrite insert_root_caps. destruct (is_empty slot st); cbn [andb]; [|apply plain].
      destruct (N.eqb_spec j slot) as [->|]; [|apply plain]. intros is_x. injection is_x as <-. split; [apply low_elsewhere; exact less | exact no_irq]. }
    apply each; [|intros j c there | reflexivity | reflexivity].
    - intros slot c listed. split; [exact (root_in_cnode p slot c fits_ listed) | exact (roots_plain p slot c listed)].
    - pose proof (first_slots p j) as no. unfold first_state in no. unfold capability_at in there. rewrite no in there. discriminate. }
  assert (forall i, i < thread_slots -> slot_of (root_thread p) i <> nowhere) as thread_low.
  { intros i few. apply thread_slot_low; [|exact few].
    assert (boot_capability p (TCBCap (root_thread p))) as listed by (eexists; apply in_or_app; left; left; reflexivity).
    exact (proj1 (roots_low p right _ listed) _ eq_refl). }
  unfold boot. cbv zeta. fold first_. clearbody first_.
  set (copied := copy_to_thread p InitSlot.IPCBuffer buffer_slot (copy_to_thread p InitSlot.VSpace vspace_slot (copy_to_thread p InitSlot.CNode cspace_slot
    first_))).
  assert (plain_slots copied /\ same_machine first_ copied) as (plain1 & (m1 & c1)).
  { split; [|exact (machine_trans _ _ _ (machine_trans _ _ _ (machine_copy _ _ _ _) (machine_copy _ _ _ _)) (machine_copy _ _ _ _))].
    unfold copied. do 3 (apply plain_copy; [apply thread_low; reflexivity|]). exact plain. }
  clearbody copied. set (two := change_context (root_context p) (root_context_at_boot p copied) copied).
  destruct (machine_context (root_context p) (root_context_at_boot p copied) copied) as (m2 & c2). fold two in m2, c2.
  destruct (machine_bind (root_context p) (root_thread p) two) as (m3 & c3).
  assert (slots (choose_thread (bind_context (root_context p) (root_thread p) two)) = slots copied) as same.
  { pose proof (tables_are_kept_quietly (slots two) (references two)) as tables_.
    refine (eq_trans (proj1 (@keeps_choose_thread _ _ _ _ tables_ eq_refl _ (@keeps_bind_context _ _ _ _ tables_ _ _ eq_refl two (conj eq_refl eq_refl)))) _).
    exact (proj1 (context_frame (root_context p) (root_context_at_boot p copied) copied)). }
  assert (machine (choose_thread (bind_context (root_context p) (root_thread p) two)) = boot_machine p) as m4 by (rewrite machine_choose; congruence).
  revert same m4. generalize (choose_thread (bind_context (root_context p) (root_thread p) two)). intros last_ same m4. apply clean_leave. constructor.
  - rewrite (capability_same nowhere copied _ same).
    destruct (capability_at nowhere copied) as [c|] eqn:there; [|reflexivity]. destruct (proj1 (plain1 nowhere c there) eq_refl).
  - intros slot irq. rewrite (capability_same slot copied _ same). intros there. destruct (proj2 (plain1 slot _ there) irq eq_refl).
  - exact m4.
  - intros _. exact I.
Qed.
Lemma few_of p : boot_fits p -> last_interrupt (boot_machine p) < most_interrupts.
Proof.
  intros [_ few _]. unfold irq_slot, slot_of, slot_bytes in few. change (N.shiftl 1 slot_bits) with 32 in few. change most_interrupts with 2251799813685248.
  change nowhere with 144115188075855872 in few. lia.
Qed.
Lemma finished_step st e : fst (fst (step st e)) = leave (choose_thread (snd (handle (cause e) (enter e st))))
  /\ snd (step st e) = rev (effects (choose_thread (snd (handle (cause e) (enter e st))))).
Proof. unfold step, finish. destruct (handle (cause e) (enter e st)) as (result & two). split; reflexivity. Qed.
Lemma reachable_clean p st : boot_fits p -> reachable step p st -> clean (boot_machine p, True) st.
Proof.
  intros fits_ reached. pose proof (fits_sound p fits_) as right. induction reached as [|st e reached IH]; [exact (boot_clean p fits_)|].
  rewrite (proj1 (finished_step st e)). apply clean_leave. apply (step_clean (boot_machine p, True) st e); [exact (few_of p fits_) | | | | | exact IH].
  - exact (reachable_strong p st right reached).
  - exact (reachable_placed p st right reached).
  - exact (states_are_settled_proved p st reached).
  - exact (settled_inside st (reachable_settled p st fits_ reached)).
Qed.

(** Claim [never_stuck]. *)
Theorem never_stuck_proved : never_stuck step.
Proof.
  intros p st e apart_ reached usual. destruct (cause e) eqn:is_call; try (apply (other_events_never_stuck p st e apart_ reached); congruence).
  pose proof (usual eq_refl) as fits_. pose proof (fits_sound p fits_) as right. rewrite (proj2 (finished_step st e)).
  pose proof (states_are_settled_proved p st reached) as settled_. destruct (reachable_clean p st fits_ reached) as [n irqs mm _].
  assert (effects st = []) as none_.
  { destruct settled_ as [_ _ _ rest]. unfold is_at_rest in rest. rewrite <- rest. reflexivity. }
  pose proof (step_clean (boot_machine p, False) st e (few_of p fits_) (reachable_strong p st right reached) (reachable_placed p st right reached) settled_
    (settled_inside st (reachable_settled p st fits_ reached))) as after.
  intros listed. apply in_rev in listed. refine (c_smooth _ _ (after _) listed).
  constructor; [exact n | exact irqs | exact mm | rewrite none_; intros []].
Qed.
