(* SPDX-License-Identifier: BSD-2-Clause *)
(** * A cancellation that is executed again

    A sender that restarts leaves all other threads as they are, and memory, and slots. So the call whose cancellation of sends is preempted has its
    registers, its message and its capabilities when it is executed again, and decides the same. *)
From Coq Require Import Lia.
From Spec Require Export ContainerProofs CountProofs.
Open Scope N_scope.

(** ** What a thread reads *)
Record same_for (t : N) (a b : State) : Prop := { same_thread_of : thread t b = thread t a; same_memory_of : memory b = memory a }.
Lemma for_refl t st : same_for t st st. Proof. split; reflexivity. Qed.
Lemma for_trans t a b c : same_for t a b -> same_for t b c -> same_for t a c.
Proof. intros [t1 m1] [t2 m2]. split; congruence. Qed.
Lemma for_objects t a b : objects b = objects a -> memory b = memory a -> same_for t a b.
Proof. intros same. split; [unfold thread; rewrite same; reflexivity | assumption]. Qed.
Lemma for_put t o x st :
  (t = o -> objects st !! o <> None /\ match objects st !! o, x with Some (ThreadObject _), _ | _, ThreadObject _ => False | _, _ => True end) ->
  same_for t st (put_object o x st).
Proof.
  intros other. split; [|reflexivity]. unfold thread. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec t o) as [->|]; [|reflexivity]. destruct (other eq_refl) as (_ & kinds).
  destruct (objects st !! o) as [[]|], x; try contradiction; reflexivity.
Qed.
Ltac put_other := match goal with |- same_for ?t ?st (match objects ?st !! ?o with _ => _ end) =>
  destruct (objects st !! o) as [[]|] eqn:found; try (apply for_objects; reflexivity); apply for_put; intros _; rewrite found;
  split; [discriminate | exact I] end.
Lemma for_endpoint t e f st : same_for t st (change_endpoint e f st). Proof. unfold change_endpoint. put_other. Qed.
Lemma for_notification t n f st : same_for t st (change_notification n f st). Proof. unfold change_notification. put_other. Qed.
Lemma for_context t c f st : same_for t st (change_context c f st). Proof. unfold change_context. put_other. Qed.
Lemma for_reply t r x st : same_for t st (put_reply r x st). Proof. unfold put_reply. put_other. Qed.
Lemma for_thread t u f st : t <> u -> same_for t st (change_thread u f st).
Proof.
  intros other. unfold change_thread. destruct (objects st !! u) as [[]|]; try (apply for_objects; reflexivity). apply for_put. contradiction.
Qed.
Lemma for_place t insert u st : same_for t st (place_by insert u st).
Proof.
  apply for_objects; [exact (proj2 (proj2 (place_by_same insert u st)))|]. unfold place_by. cbv zeta.
  destruct (is_running u (unplace u st)), (context_of u (unplace u st)) as [c|]; try reflexivity. destruct (negb _); [reflexivity|].
  destruct (usable _ _); reflexivity.
Qed.
Lemma for_wake t u st : t <> u -> same_for t st (wake u st).
Proof.
  intros other. unfold wake. apply (for_trans t _ (change_thread u (with_state Running) st)); [exact (for_thread t u _ st other)|].
  generalize (change_thread u (with_state Running) st). intros one. apply (for_trans t _ (begin_sporadic u one)); [|apply for_place].
  unfold begin_sporadic. destruct (context_of u one); [|apply for_refl]. destruct (_ && _); [apply for_context | apply for_refl].
Qed.
Lemma for_book_turn t st : same_for t st (book_turn st).
Proof.
  assert (same_for t st (book st)) as booked.
  { unfold book. cbv zeta. destruct (current_context _) as [c|]; [|apply for_objects; reflexivity].
    destruct (objects _ !! c) as [[]|]; try (apply for_objects; reflexivity).
    match goal with |- same_for t st (change_context ?c ?f ?s) => apply (for_trans t _ s); [apply for_objects; reflexivity | apply for_context] end. }
  unfold book_turn. destruct (current_context st) as [c|]; [|exact booked]. cbv zeta. destruct (thread_that_uses c (book st)) as [u|]; [|exact booked].
  destruct (turn_is_over c st); [exact (for_trans t _ _ _ booked (for_place t _ u _))|]. destruct (is_used_up _ _); [|exact booked].
  apply (for_trans t _ _ _ booked), for_objects; reflexivity.
Qed.
Lemma for_end_yield t u st : t <> u -> same_for t st (end_yield u st).
Proof.
  intros other. unfold end_yield, end_yield_by. destruct (yielded_to (thread u st)) as [c|]; [|apply for_refl].
  unfold report_consumed, report_booked. set (one := if is_number (current_context st) c then book_turn st else st).
  assert (same_for t st one) as booked by (unfold one; destruct (is_number _ c); [apply for_book_turn | apply for_refl]). clearbody one.
  apply (for_trans t _ _ _ booked). eapply for_trans; [|apply for_thread; exact other]. eapply for_trans; apply for_context.
Qed.
Lemma for_stop t u st : same_for t st (stop_waiting u st).
Proof.
  unfold stop_waiting. destruct (run_state (thread u st)) as [| |e r q g|e b g gr c l|r g|n]; try apply for_refl; try apply for_endpoint;
    try apply for_notification.
  - cbv zeta. destruct r as [r|]; [|apply for_endpoint]. eapply for_trans; [apply for_endpoint | apply for_reply].
  - eapply for_trans; [|apply for_reply]. unfold break_stack. destruct (along _) as [c|]; [|apply for_refl]. cbv zeta. eapply for_trans; [|apply for_context].
    generalize (calls_from r (calls (context c st))). intros l. revert st. induction l as [|x l IH]; intros st; [apply for_refl|]. cbn [fold_left].
    eapply for_trans; [apply for_reply | apply IH].
Qed.
Lemma for_restart t u st : t <> u -> same_for t st (restart u st).
Proof.
  intros other. unfold restart. destruct (fault (thread u st)).
  - unfold make_inactive. eapply for_trans; [apply for_stop|]. eapply for_trans; [|apply for_thread; exact other]. apply for_objects; reflexivity.
  - eapply for_trans; [|apply for_wake; exact other]. unfold suspend. cbv zeta. eapply for_trans; [apply (for_end_yield t u st other)|].
    generalize (end_yield u st). clear - other. intros st. eapply for_trans; [apply (for_stop t u)|]. generalize (run_state (thread u st)). intros s.
    generalize (stop_waiting u st). clear st. intros st. apply (for_trans t _ (unplace u st)); [apply for_objects; reflexivity|].
    generalize (unplace u st). clear st. intros st. pose proof (fun f one => for_thread t u f one other) as away.
    destruct (is_some _); [apply away|]. destruct s; unfold set_error_result; try apply away; eapply for_trans; apply away.
Qed.

(** ** What it names *)
Lemma capability_of_slots j a b : slots b = slots a -> capability_at j b = capability_at j a. Proof. unfold capability_at. intros ->. reflexivity. Qed.
Lemma walk_of_slots levels o radix guard size address bits a b : slots b = slots a ->
  walk levels o radix guard size address bits b = walk levels o radix guard size address bits a.
Proof.
  intros same. revert o radix guard size bits. induction levels as [|levels IH]; intros o radix guard size bits; cbn [walk]; cbv zeta;
    rewrite (capability_of_slots _ a b same); [reflexivity|].
  destruct (_ || _); [reflexivity|]. destruct (_ <? _); [reflexivity|]. destruct (_ =? 0); [reflexivity|].
  destruct (capability_at _ a) as [[]|]; try reflexivity. apply IH.
Qed.
Lemma from_of_slots root address bits a b : slots b = slots a -> walk_from root address bits b = walk_from root address bits a.
Proof.
  intros same. unfold walk_from.
  destruct root as [[]|]; lazymatch goal with |- Failed _ = _ => reflexivity | |- _ => exact (walk_of_slots _ _ _ _ _ _ _ a b same) end.
Qed.
Lemma under_of_slots root address depth a b : slots b = slots a -> slot_under root address depth b = slot_under root address depth a.
Proof. intros same. unfold slot_under. rewrite (from_of_slots root address depth a b same). reflexivity. Qed.
Lemma thread_of_slots t address a b : slots b = slots a -> walk_from_thread t address b = walk_from_thread t address a.
Proof. intros same. unfold walk_from_thread. rewrite (capability_of_slots _ a b same). apply from_of_slots. exact same. Qed.
Lemma occupied_of_slots t address a b : slots b = slots a -> occupied_slot_of_address t address b = occupied_slot_of_address t address a.
Proof.
  intros same. unfold occupied_slot_of_address. rewrite (thread_of_slots t address a b same). destruct (walk_from_thread t address a); [|reflexivity].
  rewrite (capability_of_slots _ a b same). reflexivity.
Qed.
Lemma arguments_of_slots t addresses a b : slots b = slots a -> cap_arguments_at addresses t b = cap_arguments_at addresses t a.
Proof.
  intros same. induction addresses as [|address rest IH]; [reflexivity|]. cbn [cap_arguments_at]. unfold slot_of_address.
  rewrite (thread_of_slots t address a b same), IH. destruct (walk_from_thread t address a) as [slot left_|]; [|reflexivity].
  rewrite (capability_of_slots slot a b same). reflexivity.
Qed.
Lemma message_of_same t a b : same_for t a b -> slots b = slots a -> message_of_call t b = message_of_call t a.
Proof.
  intros [same memory_] same_slots. unfold message_of_call. cbv zeta.
  assert (send_buffer t b = send_buffer t a) as -> by (unfold send_buffer, buffer_with; rewrite (capability_of_slots _ a b same_slots), same; reflexivity).
  rewrite same. destruct (send_buffer t a) as [buffer|]; [|reflexivity].
  assert (forall x, read_memory x b = read_memory x a) as reads_ by (intros x; unfold read_memory; rewrite memory_; reflexivity).
  assert (forall first count, words_of_buffer buffer first count b = words_of_buffer buffer first count a) as ->
    by (intros first count; unfold words_of_buffer; apply map_ext; intros i; apply reads_).
  rewrite (map_ext _ (fun i => read_memory (buffer + ipc_buffer_caps_or_badges + 8 * i) a)) by (intros i; apply reads_). reflexivity.
Qed.

(** ** The call *)
Lemma cancel_leaves t e badge x p : ends (has_sender_with_badge e badge) (cancel_unit e badge) x p -> waiting nobody (snd x) ->
  run_state (thread t (snd x)) = Running -> same_for t (snd x) (state_of p) /\ slots (state_of p) = slots (snd x).
Proof.
  induction 1 as [a units st none|a st more|a units st p more _ IH]; cbn [fst snd state_of] in *; intros ok runs; try (split; [split|]; reflexivity).
  unfold has_sender_with_badge in more. unfold cancel_unit in IH. cbn [fst snd] in IH. destruct (sender_with_badge e badge st) as [s|] eqn:found;
    [|discriminate more].
  assert (t <> s) as other.
  { intros ->. unfold sender_with_badge in found. apply List.find_some in found. destruct found as (_ & blocked). rewrite runs in blocked. discriminate. }
  destruct (sender_restarts e badge s st ok found) as (after & _). pose proof (for_restart t s st other) as same.
  destruct (IH after) as (rest & same_slots); [rewrite (same_thread_of _ _ _ same); exact runs|].
  split; [exact (for_trans t _ _ _ same rest)|]. rewrite same_slots.
  exact (proj1 (@keeps_restart _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) s eq_refl st (conj eq_refl eq_refl))).
Qed.
Lemma decision_of_same m t slot c arguments a b : slots b = slots a -> method_for (label m) c = Some Method.CNodeCancelBadgedSends ->
  decide m t slot c arguments b = decide m t slot c arguments a.
Proof.
  intros same method. unfold decide. rewrite method. destruct (_ && _); [|reflexivity]. unfold decode_method, cnode_cancel_badged_sends, slot_in.
  destruct (_ && _); [|reflexivity]. rewrite (under_of_slots _ _ _ a b same). destruct (slot_under _ _ _ a) as [s|]; [|reflexivity].
  rewrite (capability_of_slots s a b same). reflexivity.
Qed.
Lemma phase_invokes t address manner slot c st : occupied_slot_of_address t address st = inl (slot, c) -> cap_type c = CapType.CNode ->
  send_phase t address manner st = invoke t slot c st.
Proof. intros found type. unfold send_phase. rewrite found. destruct c; try discriminate type. reflexivity. Qed.
Lemma allow_slots n st : slots (allow n st) = slots st. Proof. reflexivity. Qed.
Lemma allow_same t n st : same_for t st (allow n st). Proof. split; reflexivity. Qed.
Lemma invoke_at t slot c arguments st one : slots one = slots st -> same_for t st one ->
  cap_arguments_at (cap_addresses (message_of_call t st)) t st = inl arguments ->
  method_for (label (message_of_call t st)) c = Some Method.CNodeCancelBadgedSends ->
  invoke t slot c one = match decide (message_of_call t st) t slot c arguments st with
    | Refuse error details => (Reported error details, one)
    | Perform work => match work one with
                      | Returns results after => (Reported Error.NoError results, after)
                      | Continues after => (LeftAlone, after)
                      | Stops after => (Restarted, after)
                      end
    end.
Proof.
  intros same_slots same listed method. unfold invoke. cbv zeta.
  rewrite (message_of_same t st one same same_slots), (arguments_of_slots t _ st one same_slots), listed.
  rewrite (decision_of_same _ t slot c arguments st one same_slots method). reflexivity.
Qed.
Lemma cancel_decision m t slot c arguments st : method_for (label m) c = Some Method.CNodeCancelBadgedSends ->
  match decide m t slot c arguments st with
  | Refuse _ _ => True
  | Perform work => work = (fun st => Returns [] st) \/ exists e badge, work = fun st =>
      match cancel_badged_sends e badge st with Done st => Returns [] st | Preempted st => Stops st end
  end.
Proof.
  intros method. unfold decide. rewrite method. destruct (_ && _); [|exact I]. unfold decode_method, cnode_cancel_badged_sends, slot_in.
  destruct (_ && _); [|exact I]. destruct (slot_under _ _ _ st) as [s|]; [|exact I].
  destruct (capability_at s st) as [[|e badge r| | | | | | | | | | | | | | | | |]|]; try exact I.
  destruct (has_all_rights r); [|exact I]. destruct (badge =? 0); [left; reflexivity | right; exists e, badge; reflexivity].
Qed.

(** Claim [cancellations_come_to_the_same]. *)
Theorem cancellations_come_to_the_same_proved : cancellations_come_to_the_same step.
Proof.
  intros p st event call units stopped manner more apart_ reached (t & s & place & c & arguments & is_cur & _ & _ & found & listed & method & is_call).
  subst call.
  cbn [invoker]. cbv zeta.
  destruct (reachable_parts p st apart_ reached) as (_ & wait & _). destruct (states_are_settled_proved p st reached) as [first _ _ _].
  destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) event st (still_start nobody st wait)) as (ok & same).
  change (waiting nobody (enter event st)) in ok. change (same_waits st (enter event st)) in same.
  assert (run_state (thread t (enter event st)) = Running) as runs.
  { rewrite (same_state _ _ same). apply (w_runs nobody st wait), in_app_iff. left.
    assert (current (enter event st) = current st) as same_current.
    { unfold enter, save_registers. change (current (begin_step event st)) with (current st). destruct (current st) as [x|] eqn:cur; [|exact cur].
      unfold change_thread. destruct (objects (begin_step event st) !! x) as [[]|]; exact cur. }
    rewrite same_current, first in is_cur. unfold first_ready in is_cur. apply List.find_some in is_cur. exact (proj1 is_cur). }
  clear same. revert ok runs found listed method. generalize (enter event st). clear - units more. intros st ok runs found listed method.
  set (address := register 0 (thread t st)) in *.
  assert (cap_type c = CapType.CNode) as type.
  { pose proof (method_fits _ _ _ method) as fits_. unfold fits in fits_. destruct c; try discriminate fits_. reflexivity. }
  assert (forall one, slots one = slots st -> same_for t st one ->
    send_phase t address manner one = match decide (message_of_call t st) t place c arguments st with
    | Refuse error details => (Reported error details, one)
    | Perform work => match work one with
                      | Returns results after => (Reported Error.NoError results, after)
                      | Continues after => (LeftAlone, after)
                      | Stops after => (Restarted, after)
                      end
    end) as each.
  { intros one same_slots same. rewrite (phase_invokes t address manner place c one);
      [exact (invoke_at t place c arguments st one same_slots same listed method) | rewrite (occupied_of_slots t address st one same_slots); exact found
      | exact type]. }
  rewrite (each (allow units st) (allow_slots units st) (allow_same t units st)).
  pose proof (cancel_decision (message_of_call t st) t place c arguments st method) as decided.
  destruct (decide (message_of_call t st) t place c arguments st) as [error details|work]; [intros no; discriminate no|].
  destruct decided as [->|(e & badge & ->)]; [intros no; discriminate no|].
  destruct (cancel_badged_sends e badge (allow units st)) as [after|after] eqn:first; intros stops; [discriminate stops|]. injection stops as ->.
  assert (same_for t st stopped /\ slots stopped = slots st) as (same & same_slots).
  { unfold cancel_badged_sends in first. destruct (in_units _ _ tt (allow units st)) as [after|after] eqn:did; cbn [and_then] in first;
      apply (units_allowed (has_sender_with_badge e badge) (cancel_unit e badge) ltac:(reflexivity) (cancel_unit_alike e badge)) in did;
      pose proof (cancel_leaves t e badge _ _ did ok runs) as kept_; cbn [snd state_of] in kept_.
    - destruct (must_stop after && _); [injection first as <-; exact kept_ | discriminate first].
    - injection first as <-. exact kept_. }
  split; [exact (same_thread_of _ _ _ same)|].
  rewrite (each (allow more stopped)); [|exact same_slots | exact (for_trans t _ _ _ same (allow_same t more stopped))].
  rewrite (each (allow (units + more) st) (allow_slots _ st) (allow_same t _ st)).
  destruct (restarts_come_to_the_same_proved st units more stopped) as (_ & _ & cancels & _). rewrite (cancels e badge first). reflexivity.
Qed.
