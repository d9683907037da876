(* SPDX-License-Identifier: BSD-2-Clause *)
(** * An interrupt signals its notification only

    Flags of notifications change in two places, where one is signalled and where its flags are taken; an interrupt leads to both for its own
    notification only. The proofs follow the text of the specification. *)
From Spec Require Export QueueProofs.
Open Scope N_scope.

Section Flags.
Variable n : N.
Variable word : option N.
Definition flagged (st : State) : Prop := word_of_flags (notification n st) = word.
Class Leaves (f : State -> State) : Prop := leaves : forall st, flagged st -> flagged (f st).

(* Definitions are told apart by their names, not by what they unfold to. *)
#[local] Hint Constants Opaque : typeclass_instances.

Lemma flagged_same (a b : State) : objects b = objects a -> flagged a -> flagged b.
Proof. unfold flagged, notification. intros ->. exact id. Qed.
Lemma flagged_put o x y st : objects st !! o = Some y ->
  match y with NotificationObject _ => False | _ => True end -> match x with NotificationObject _ => False | _ => True end ->
  flagged st -> flagged (put_object o x st).
Proof.
  unfold flagged, notification. intros there other_y other_x. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec n o) as [->|]; [|exact id]. rewrite there. destruct x, y; try contradiction; exact id.
Qed.
Ltac other_object f o :=
  let st := fresh "st" in let ok := fresh "ok" in let found := fresh "found" in
  intros st ok; unfold f; destruct (objects st !! o) as [[]|] eqn:found; try exact (flagged_same st (emit Stuck st) eq_refl ok);
  refine (flagged_put o _ _ st found _ _ ok); exact I.
Instance leaves_change_thread o f : Leaves (change_thread o f). Proof. other_object change_thread o. Qed.
Instance leaves_change_endpoint o f : Leaves (change_endpoint o f). Proof. other_object change_endpoint o. Qed.
Instance leaves_put_reply o r : Leaves (put_reply o r). Proof. other_object put_reply o. Qed.
Instance leaves_change_context o f : Leaves (change_context o f). Proof. other_object change_context o. Qed.
Class Other (o : N) : Prop := is_other : o <> n.
Class OtherFlags (o : N) (f : Notification -> Notification) : Prop := other_flags : o <> n \/ forall x, word_of_flags (f x) = word_of_flags x.
Instance leaves_change_notification o f : OtherFlags o f -> Leaves (change_notification o f).
Proof.
  intros other st. unfold change_notification, flagged, notification. destruct (objects st !! o) as [[| | |x| | | | |]|] eqn:found; try exact id.
  match goal with |- context [put_object o ?y st] => change (objects (put_object o y st)) with (set o y (objects st)) end.
  rewrite find_set. destruct (N.eqb_spec n o) as [is_o|]; [|exact id]. destruct other as [other|same]; [destruct (other (eq_sym is_o))|].
  rewrite is_o, found. intros before. rewrite same. exact before.
Qed.
Hint Extern 0 (OtherFlags _ _) => (first [left; assumption | right; intros ?; reflexivity]) : typeclass_instances.

(** A state that is named is looked at once and for all; what is chosen by cases is looked at in each case. *)
Ltac leave_step :=
  match goal with
  | H : flagged ?s |- flagged ?s => exact H
  | |- flagged (set_field _ _ ?s) => apply (flagged_same s); [reflexivity|]
  | |- flagged (emit _ ?s) => apply (flagged_same s); [reflexivity|]
  | |- flagged (let x := ?v in @?b x) =>
      lazymatch type of v with
      | State => let ok := fresh "ok" in assert (ok : flagged v); [|revert ok; generalize v; intros ? ok; cbv beta]
      | _ => change (flagged (b v)); cbv beta
      end
  | |- flagged (match ?x with _ => _ end) => destruct x
  | |- flagged (?f ?s) => apply (leaves (f := f) s)
  end.
Ltac leave := repeat leave_step.
Ltac leaving f := intros ? ?; unfold f; leave.
Hint Extern 0 (Leaves (fun _ => _)) => (intros ? ?; cbv beta; solve [leave]) : typeclass_instances.
Instance leaves_fold {A : Type} (f : State -> A -> State) (l : list A) : (forall a, Leaves (fun st => f st a)) -> Leaves (fold_left f l).
Proof. intros each. induction l as [|a rest IH]; intros st ok; [exact ok|]. apply IH. exact (each a st ok). Qed.

(** ** Time *)
Instance leaves_unplace t : Leaves (unplace t). Proof. leaving unplace. Qed.
Instance leaves_place_by i t : Leaves (place_by i t). Proof. leaving place_by. Qed.
Instance leaves_place t : Leaves (place t). Proof. leaving place. Qed.
Instance leaves_place_ahead t : Leaves (place_ahead t). Proof. leaving place_ahead. Qed.
Instance leaves_begin_sporadic t : Leaves (begin_sporadic t). Proof. leaving begin_sporadic. Qed.
Instance leaves_wake t : Leaves (wake t). Proof. leaving wake. Qed.
Instance leaves_wake_ahead t : Leaves (wake_ahead t). Proof. leaving wake_ahead. Qed.
Instance leaves_give_context c t : Leaves (give_context c t). Proof. leaving give_context. Qed.
Instance leaves_book : Leaves book. Proof. leaving book. Qed.
Instance leaves_will_book : Leaves will_book. Proof. leaving will_book. Qed.
Instance leaves_book_turn : Leaves book_turn. Proof. leaving book_turn. Qed.
Instance leaves_begin_turn i : Leaves (begin_turn i). Proof. leaving begin_turn. Qed.
Instance leaves_next_turn : Leaves next_turn. Proof. leaving next_turn. Qed.
Instance leaves_end_turn_if_due : Leaves end_turn_if_due. Proof. leaving end_turn_if_due. Qed.
Lemma reported c st : flagged st -> flagged (snd (report_booked c st)). Proof. intros ok. unfold report_booked. cbn [snd]. leave. Qed.
Lemma consumed_reported c st : flagged st -> flagged (snd (report_consumed c st)).
Proof. intros ok. unfold report_consumed. apply reported. leave. Qed.
Instance leaves_end_yield t : Leaves (end_yield_by report_booked t).
Proof.
  intros st ok. unfold end_yield_by. destruct (yielded_to (thread t st)) as [c|]; [|exact ok].
  pose proof (reported c st ok) as after. destruct (report_booked c st) as (used & st'). cbn [snd] in after. leave.
Qed.

(** ** Messages *)
Instance leaves_write_memory a v : Leaves (write_memory a v). Proof. leaving write_memory. Qed.
Instance leaves_write_words a l : Leaves (write_words a l).
Proof. revert a. induction l as [|v rest IH]; intros a st ok; cbn [write_words]; [exact ok|]. apply IH. leave. Qed.
Instance leaves_write_long_words t l : Leaves (write_long_words t l). Proof. leaving write_long_words. Qed.
Lemma objects_of_slots a b : same_but_slots a b -> objects b = objects a. Proof. unfold same_but_slots. intros same. rewrite same. reflexivity. Qed.
Instance leaves_insert_child s p o c : Leaves (insert_child s p o c).
Proof. intros st. apply flagged_same, objects_of_slots, insert_child_same. Qed.
Instance leaves_insert_sibling s p o c : Leaves (insert_sibling s p o c).
Proof. intros st. apply flagged_same, objects_of_slots, insert_sibling_same. Qed.
Instance leaves_replace s e c : Leaves (replace_capability s e c).
Proof. intros st. apply flagged_same, objects_of_slots, replace_capability_same. Qed.
Instance leaves_put_nothing o : Leaves (put_if_some o None). Proof. intros st ok. exact ok. Qed.
Instance leaves_carve u at_ size s c : Leaves (carve u at_ size None s c). Proof. leaving carve. Qed.
Instance leaves_insert_derived s p o c : Leaves (insert_derived s p o c). Proof. leaving insert_derived. Qed.
Lemma transferred position l through from to free st : flagged st -> flagged (snd (transfer position l through from to free st)).
Proof.
  revert position free st. induction l as [|address rest IH]; intros position free st ok; cbn [transfer]; [exact ok|].
  destruct (receive_buffer to st) as [buffer|]; [|exact ok].
  destruct (occupied_slot_of_address from address st) as [(source_ & c)|]; [|exact ok]. cbv zeta.
  assert (forall badge : N, flagged (snd (let '(bits, count, st) := transfer (position + 1) rest through from to free
    (write_memory (buffer + ipc_buffer_caps_or_badges + 8 * position) badge st) in (bits + N.shiftl 1 position, count + 1, st)))) as unwrapped.
  { intros badge. pose proof (IH (position + 1) free _ (leaves_write_memory (buffer + ipc_buffer_caps_or_badges + 8 * position) badge st ok)) as after.
    destruct (transfer _ rest through from to free _) as ((bits & count) & st'). exact after. }
  assert (flagged (snd match free, derivation_error source_ c st, receive_slot to st with
    | true, None, Some slot => let '(bits, count, st) := transfer (position + 1) rest through from to false
        (insert_derived slot source_ false (derived c) st) in (bits, count + 1, st)
    | _, _, _ => (0, 0, st) end)) as moved.
  { destruct free, (derivation_error source_ c st), (receive_slot to st) as [slot|]; try exact ok.
    pose proof (IH (position + 1) false _ (leaves_insert_derived slot source_ false (derived c) st ok)) as after.
    destruct (transfer _ rest through from to false _) as ((bits & count) & st'). exact after. }
  destruct c; try exact moved. destruct (is_number through endpoint); [exact (unwrapped badge) | exact moved].
Qed.
Instance leaves_deliver m through badge caps from to : Leaves (deliver m through badge caps from to).
Proof.
  intros st ok. unfold deliver. pose proof (transferred 0 (if caps then cap_addresses m else []) through from to true st ok) as after.
  destruct (transfer _ _ _ _ _ _ _) as ((unwrapped & count) & st'). cbn [snd] in after. leave.
Qed.
Instance leaves_break_stack r : Leaves (break_stack r). Proof. leaving break_stack. Qed.
Instance leaves_stop_waiting t : Leaves (stop_waiting t). Proof. leaving stop_waiting. Qed.
Instance leaves_make_inactive t : Leaves (make_inactive t). Proof. leaving make_inactive. Qed.
Instance leaves_lend_context t o : Leaves (lend_context t o). Proof. leaving lend_context. Qed.
Instance leaves_set_error_result e t : Leaves (set_error_result e t). Proof. leaving set_error_result. Qed.
Instance leaves_end_unanswered t : Leaves (end_unanswered t). Proof. leaving end_unanswered. Qed.
Instance leaves_meet s t e b r rg g gr c l : Leaves (meet s t e b r rg g gr c l). Proof. leaving meet. Qed.
Lemma sent t e b g gr c l w st : flagged st -> flagged (snd (send t e b g gr c l w st)).
Proof.
  intros ok. unfold send. destruct (receivers (endpoint e st)) as [|first rest]; [destruct w; [cbn [snd]; leave | exact ok]|].
  destruct (run_state (thread first st)); try exact (flagged_same st (emit Stuck st) eq_refl ok). cbv zeta.
  destruct (leaves_without_context _ _ _ _); [exact ok|]. cbn [snd]. leave.
Qed.
Instance leaves_raise_fault_to slot l t f : Leaves (raise_fault_to slot l t f).
Proof.
  intros st ok. unfold raise_fault_to.
  destruct (capability_at _ st) as [[|e badge r| | | | | | | | | | | | | | | | |]|]; try exact (leaves_make_inactive t st ok).
  destruct (_ && _); [|exact (leaves_make_inactive t st ok)]. cbv zeta.
  pose proof (sent t e badge (can_grant r) (can_grant_reply r) true l true _ (leaves_change_thread t (fun x => x <| fault := Some f |>) st ok)) as after.
  destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & st'); cbn [snd] in after; leave.
Qed.

(** ** The end of a step *)
Instance leaves_time_out t c : Leaves (time_out t c).
Proof.
  intros st ok. unfold time_out. destruct (capability_at _ st) as [[]|]; try exact ok.
  pose proof (consumed_reported c st ok) as after. destruct (report_consumed c st) as (used & st'). cbn [snd] in after. leave.
Qed.
Instance leaves_end_budget : Leaves end_budget. Proof. leaving end_budget. Qed.
Instance leaves_change_context_in_use : Leaves change_context_in_use. Proof. leaving change_context_in_use. Qed.
Instance leaves_choose_thread : Leaves choose_thread. Proof. leaving choose_thread. Qed.
Instance leaves_leave : Leaves Step.leave. Proof. leaving Step.leave. Qed.

(** ** Interrupts *)
Instance leaves_take_flags t o {other : Other o} : Leaves (take_flags t o). Proof. leaving take_flags. Qed.
Instance leaves_hand_flags_to t o {other : Other o} : Leaves (hand_flags_to t o). Proof. leaving hand_flags_to. Qed.
Instance leaves_signal o b {other : Other o} : Leaves (signal o b). Proof. leaving signal. Qed.
Instance leaves_change_interrupt i f : Leaves (change_interrupt i f). Proof. intros st. apply flagged_same. reflexivity. Qed.
Instance leaves_set_mask i m : Leaves (set_mask i m). Proof. leaving set_mask. Qed.
Lemma interrupted irq st : (forall badge r, capability_at (irq_slot irq) st <> Some (NotificationCap n badge r)) -> flagged st -> flagged (interrupt irq st).
Proof.
  intros other ok. unfold interrupt. destruct (interrupts st !! irq) as [i|]; [|leave].
  destruct (capability_at (irq_slot irq) st) as [[| |o badge r| | | | | | | | | | | | | | | |]|]; try solve [leave].
  assert (o <> n) as not_n by (intros ->; exact (other badge r eq_refl)). pose proof (@leaves_signal o badge not_n). leave.
Qed.
End Flags.

(** Claim [interrupts_signal_one_notification]. *)
Theorem interrupts_signal_one_notification_proved : interrupts_signal_one_notification step.
Proof.
  intros st e irq n is_interrupt other. set (word := word_of_flags (notification n st)).
  assert (flagged n word (enter e st)) as entered.
  { unfold enter, save_registers. change (current (begin_step e st)) with (current st).
    assert (flagged n word (begin_step e st)) as begun by reflexivity.
    destruct (current st) as [t|]; [exact (leaves_change_thread n word t _ _ begun) | exact begun]. }
  assert (capability_at (irq_slot irq) (enter e st) = capability_at (irq_slot irq) st) as same.
  { unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [t|]; [|reflexivity].
    unfold change_thread. destruct (objects (begin_step e st) !! t) as [[]|]; reflexivity. }
  unfold step, handle. rewrite is_interrupt. cbn [finish fst].
  apply leaves_leave, leaves_choose_thread, interrupted; [|exact entered]. intros badge r. rewrite same. apply other.
Qed.
