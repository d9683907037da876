(* SPDX-License-Identifier: BSD-2-Clause *)
(** * An error changes nothing

    When a system call returns an error, the state afterwards is the state before: but for the registers of the caller, in which the
    error is told, and for the clock. The kernel does nothing to the machine. *)
From Coq Require Import Lia.
From Spec Require Export Claims TableFacts.
Open Scope N_scope.

(** ** Sending *)
Lemma send_refused t e b g gr c l w st st' : send t e b g gr c l w st = (Refused, st') -> st' = st.
Proof.
  unfold send. destruct (receivers (endpoint e st)) as [|first rest].
  - destruct w; discriminate.
  - destruct (run_state (thread first st)); try discriminate. destruct (leaves_without_context _ _ _ _); congruence.
Qed.

Lemma invoke_error t slot c st error details st' :
  invoke t slot c st = (Reported error details, st') -> error <> Error.NoError -> st' = st.
Proof.
  unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(address & report)]; [|discriminate].
  destruct (decide _ t slot c arguments st) as [e d|work]; [congruence|]. destruct (work st); congruence.
Qed.

Lemma send_phase_error t address manner st error details st' :
  send_phase t address manner st = (Reported error details, st') -> error <> Error.NoError -> st' = st.
Proof.
  unfold send_phase, empty_report, invalid_target.
  destruct (occupied_slot_of_address t address st) as [(slot & c)|report]; [|discriminate].
  intros sent wrong.
  destruct c; try exact (invoke_error _ _ _ _ _ _ _ sent wrong); try congruence.
  - destruct (can_write rights); [|congruence].
    destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & st1) eqn:what; try congruence.
    destruct (calls_back manner); congruence.
  - destruct (can_write rights); congruence.
Qed.

(** ** Which system calls return errors *)
Lemma unless_preempted_never_fails t p rest error :
  (forall st, fst (rest st) <> Fails error) -> fst (unless_preempted t p rest) <> Fails error.
Proof. intros each. destruct p as [st|st]; [exact (each st) | discriminate]. Qed.
Lemma receive_phase_never_fails t r b st error : fst (receive_phase t r b st) <> Fails error.
Proof. apply unless_preempted_never_fails. intros after. unfold cap_fault. destruct (source_of t r after); discriminate. Qed.

Lemma then_receive_never_fails t r st error : fst (then_receive t r st) <> Fails error.
Proof.
  unfold then_receive. cbv zeta. destruct (negb (thread_exists t st)); [discriminate|].
  destruct (is_running t _ && negb _); [apply receive_phase_never_fails | discriminate].
Qed.

Lemma reply_and_receive_never_fails t st error : fst (reply_and_receive t st) <> Fails error.
Proof. apply unless_preempted_never_fails. intros after. apply then_receive_never_fails. Qed.
Lemma send_and_receive_never_fails t r st error : fst (send_and_receive t r st) <> Fails error.
Proof.
  apply unless_preempted_never_fails. intros after. destruct (pass_on t after) as ([| | |] & passed); try discriminate; apply then_receive_never_fails.
Qed.

Lemma sends_error t manner st error st' :
  sends t manner st = (Fails error, st') ->
  exists details, error <> Error.NoError /\ st' = put_result t error details st.
Proof.
  unfold sends, finish_send. destruct (send_phase t _ manner st) as (report & st1) eqn:sent.
  destruct report as [e details| |address report|]; try discriminate.
  - destruct (Error.of_number (Error.number e)) eqn:number; destruct e; try discriminate;
      intros result; injection result as <- <-; exists details; (split; [discriminate|]);
      (rewrite (send_phase_error _ _ _ _ _ _ _ sent) by discriminate; reflexivity).
  - unfold cap_fault. destruct (faults manner); discriminate.
Qed.

Lemma run_system_call_error s t st error st' :
  run_system_call s t st = (Fails error, st') -> exists details, error <> Error.NoError /\ st' = put_result t error details st.
Proof.
  intros result.
  assert (fst (run_system_call s t st) = Fails error) as fails by (rewrite result; reflexivity).
  destruct s; unfold run_system_call in result, fails; cbv zeta in result, fails; try discriminate;
    try exact (sends_error _ _ _ _ _ result);
    try (exfalso; exact (receive_phase_never_fails _ _ _ _ _ fails));
    exfalso; first [exact (reply_and_receive_never_fails _ _ _ fails) | exact (send_and_receive_never_fails _ _ _ _ fails)].
Qed.

(** ** Changing registers only *)
Definition only_registers (f : Thread -> Thread) : Prop := forall x, same_thread_but_registers x (f x).

Lemma with_register_only r v : only_registers (with_register r v).
Proof. intros x. reflexivity. Qed.

Lemma same_thread_refl a : same_thread_but_registers a a.
Proof. destruct a. reflexivity. Qed.
Lemma same_thread_trans a b c : same_thread_but_registers a b -> same_thread_but_registers b c -> same_thread_but_registers a c.
Proof. unfold same_thread_but_registers. intros -> ->. reflexivity. Qed.

Lemma with_registers_only l : only_registers (with_registers l).
Proof.
  unfold only_registers, with_registers. induction l as [|(r & v) rest IH]; intros x; [destruct x; reflexivity|].
  simpl. apply (same_thread_trans x (with_register r v x)); [apply with_register_only | apply IH].
Qed.

Lemma with_error_result_only e l : only_registers (with_error_result e l).
Proof. intros x. apply with_registers_only. Qed.
Lemma with_empty_result_only : only_registers with_empty_result.
Proof. intros x. apply with_registers_only. Qed.

Lemma same_trans t a b c : same_but_registers_of t a b -> same_but_registers_of t b c -> same_but_registers_of t a c.
Proof.
  intros (others1 & (x & y & at_a & at_b & same1) & rest1) (others2 & (y' & z & at_b' & at_c & same2) & rest2).
  rewrite at_b in at_b'. injection at_b' as <-. repeat split.
  - intros o other. rewrite others2, others1 by exact other. reflexivity.
  - exists x, z. split; [exact at_a|]. split; [exact at_c | exact (same_thread_trans x y z same1 same2)].
  - rewrite rest2, rest1. reflexivity.
Qed.

Lemma change_registers t f st :
  thread_exists t st = true -> only_registers f ->
  same_but_registers_of t st (change_thread t f st)
  /\ effects (change_thread t f st) = effects st /\ now (change_thread t f st) = now st
  /\ choices (change_thread t f st) = choices st.
Proof.
  unfold thread_exists, change_thread. destruct (objects st !! t) as [[]|] eqn:found; try discriminate. intros _ only.
  split; [|repeat split]. repeat split.
  - intros o other. change (objects (put_object t (ThreadObject (f thread)) st)) with (set t (ThreadObject (f thread)) (objects st)).
    rewrite find_set. apply N.eqb_neq in other. rewrite other. reflexivity.
  - exists thread, (f thread). split; [exact found|]. split; [|apply only].
    change (objects (put_object t (ThreadObject (f thread)) st)) with (set t (ThreadObject (f thread)) (objects st)).
    rewrite find_set, N.eqb_refl. reflexivity.
Qed.

Lemma exists_after t a b : same_but_registers_of t a b -> thread_exists t b = true.
Proof. intros (_ & (x & y & _ & found & _) & _). unfold thread_exists. rewrite found. reflexivity. Qed.

Lemma thread_after t a b o : same_but_registers_of t a b -> same_thread_but_registers (thread o a) (thread o b).
Proof.
  intros (others & (x & y & at_a & at_b & same) & _). unfold thread. destruct (N.eq_dec o t) as [->|other].
  - rewrite at_a, at_b. exact same.
  - rewrite (others o other). apply same_thread_refl.
Qed.

Lemma domain_after t a b o : same_but_registers_of t a b -> thread_domain (thread o b) = thread_domain (thread o a).
Proof. intros same. rewrite (thread_after t a b o same : thread o b = _). reflexivity. Qed.
Lemma context_after t a b o : same_but_registers_of t a b -> sched_context (thread o b) = sched_context (thread o a).
Proof. intros same. rewrite (thread_after t a b o same : thread o b = _). reflexivity. Qed.
Lemma yield_after t a b o : same_but_registers_of t a b -> yielded_to (thread o b) = yielded_to (thread o a).
Proof. intros same. rewrite (thread_after t a b o same : thread o b = _). reflexivity. Qed.

(** ** The end of a step settles

    Whatever state a step leads to, the thread that is chosen is the first that is ready, and runs on the context that is in use. *)
Lemma thread_of_other_object o c x st :
  objects st !! c = Some (SchedContextObject x) ->
  forall y, thread o (put_object c (SchedContextObject y) st) = thread o st.
Proof.
  intros found y. unfold thread.
  change (objects (put_object c (SchedContextObject y) st)) with (set c (SchedContextObject y) (objects st)).
  rewrite find_set. destruct (N.eqb_spec o c) as [->|]; [rewrite found|]; reflexivity.
Qed.
Lemma thread_after_change_context o c f st : thread o (change_context c f st) = thread o st.
Proof.
  unfold change_context. destruct (objects st !! c) as [[]|] eqn:found; try reflexivity. exact (thread_of_other_object o c _ st found _).
Qed.

(** What first_ready looks at. *)
Definition same_queue (a b : State) : Prop :=
  ready b = ready a /\ current_domain b = current_domain a /\ current b = current a /\ current_context b = current_context a
  /\ forall o, thread_domain (thread o b) = thread_domain (thread o a) /\ sched_context (thread o b) = sched_context (thread o a).
Lemma same_queue_trans a b c : same_queue a b -> same_queue b c -> same_queue a c.
Proof.
  intros (r1 & d1 & t1 & c1 & o1) (r2 & d2 & t2 & c2 & o2). repeat split; try congruence; destruct (o1 o), (o2 o); congruence.
Qed.
Lemma first_ready_same a b : same_queue a b -> first_ready b = first_ready a.
Proof.
  intros (queue & domain & _ & _ & each). unfold first_ready. rewrite queue, domain. clear queue.
  induction (ready a) as [|o l IH]; [reflexivity|]. simpl. rewrite (proj1 (each o)), IH. reflexivity.
Qed.

Lemma change_context_same_queue c f st : same_queue st (change_context c f st).
Proof.
  repeat split; try (rewrite thread_after_change_context; reflexivity);
    unfold change_context; destruct (objects st !! c) as [[]|]; reflexivity.
Qed.
Lemma thread_after_change_thread o t f st :
  thread o (change_thread t f st) = if (o =? t) && thread_exists t st then f (thread t st) else thread o st.
Proof.
  unfold change_thread, thread_exists, thread. destruct (objects st !! t) as [[]|] eqn:found; try (rewrite andb_false_r; reflexivity).
  match goal with |- context [put_object t ?x st] => change (objects (put_object t x st)) with (set t x (objects st)) end.
  rewrite find_set, andb_true_r. destruct (o =? t); reflexivity.
Qed.
Lemma change_thread_same_queue t f st :
  (forall x, thread_domain (f x) = thread_domain x /\ sched_context (f x) = sched_context x) -> same_queue st (change_thread t f st).
Proof.
  intros same. repeat split; try (unfold change_thread; destruct (objects st !! t) as [[]|]; reflexivity);
    rewrite thread_after_change_thread; destruct (N.eqb_spec o t) as [->|]; try reflexivity;
    destruct (thread_exists t st); try reflexivity; apply same.
Qed.

Lemma with_error_result_keeps e l x : thread_domain (with_error_result e l x) = thread_domain x
  /\ sched_context (with_error_result e l x) = sched_context x /\ yielded_to (with_error_result e l x) = yielded_to x.
Proof. rewrite (with_error_result_only e l x). repeat split. Qed.

Lemma end_yield_by_same_queue t st : same_queue st (end_yield_by report_booked t st) /\ yielded_to (thread t (end_yield_by report_booked t st)) = None.
Proof.
  unfold end_yield_by. destruct (yielded_to (thread t st)) as [c|] eqn:pending; [|split; [repeat split | exact pending]].
  unfold report_booked. cbv beta iota zeta. split.
  - eapply same_queue_trans; [apply change_context_same_queue|]. eapply same_queue_trans; [apply change_context_same_queue|].
    apply change_thread_same_queue. intros x. destruct (with_error_result_keeps Error.NoError [microseconds (consumed (context c st)) st]
      (x <| yielded_to := None |>)) as (domain & use & _). split; [rewrite domain | rewrite use]; reflexivity.
  - rewrite thread_after_change_thread, N.eqb_refl. cbn [andb].
    destruct (thread_exists t _) eqn:present.
    + destruct (with_error_result_keeps Error.NoError [microseconds (consumed (context c st)) st]
        (thread t (change_context c (fun x => x <| yielder := None |>) (change_context c (fun x => x <| consumed := 0 |>) st)) <| yielded_to := None |>))
        as (_ & _ & none). rewrite none. reflexivity.
    + unfold thread_exists in present. unfold thread. destruct (objects _ !! t) as [[]|]; try reflexivity. discriminate.
Qed.

Lemma context_in_use_of_first st :
  context_of_first (if stays_in_use st && negb (books (choices st)) then st else change_context_in_use st)
  = current_context (if stays_in_use st && negb (books (choices st)) then st else change_context_in_use st).
Proof.
  destruct (stays_in_use st && negb (books (choices st))) eqn:stays.
  - apply andb_prop in stays. destruct stays as (stays & _). unfold stays_in_use in stays.
    destruct (context_of_first st), (current_context st); try discriminate; [apply N.eqb_eq in stays; congruence | reflexivity].
  - unfold change_context_in_use. cbv zeta. set (booked := end_budget st).
    set (chosen := booked <| current_context := context_of_first booked |>).
    assert (context_of_first chosen = current_context chosen) as same by reflexivity.
    destruct (context_of_first booked) as [c|]; [|exact same]. destruct (_ || _); [exact same|].
    pose proof (change_context_same_queue c (begin_use (now chosen)) chosen) as kept.
    transitivity (context_of_first chosen); [|rewrite same; symmetry; apply kept].
    unfold context_of_first. rewrite (first_ready_same _ _ kept). destruct (first_ready chosen) as [t|]; [|reflexivity].
    destruct kept as (_ & _ & _ & _ & each). exact (proj2 (each t)).
Qed.

Lemma choose_thread_settles st :
  current (choose_thread st) = first_ready (choose_thread st) /\ current_context (choose_thread st) = context_of_first (choose_thread st)
  /\ forall t, current (choose_thread st) = Some t -> yielded_to (thread t (choose_thread st)) = None.
Proof.
  unfold choose_thread. cbv zeta. generalize (if ends_turn (choices st) then end_turn_if_due st else st). clear st. intros st.
  pose proof (context_in_use_of_first st) as use. revert use.
  generalize (if stays_in_use st && negb (books (choices st)) then st else change_context_in_use st). intros settling use.
  unfold context_of_first in use. destruct (first_ready settling) as [first|] eqn:found.
  - destruct (end_yield_by_same_queue first (settling <| current := Some first |>)) as (same & none).
    pose proof same as (_ & _ & same_current & same_use & each). unfold context_of_first.
    rewrite (first_ready_same _ _ same), same_current, same_use.
    change (first_ready (settling <| current := Some first |>)) with (first_ready settling). rewrite found. split; [reflexivity|]. split.
    + unfold context_of. rewrite (proj2 (each first)). symmetry. exact use.
    + intros t is_cur. injection is_cur as <-. exact none.
  - unfold context_of_first. change (first_ready (settling <| current := None |>)) with (first_ready settling). rewrite found.
    split; [reflexivity|]. split; [symmetry; exact use | discriminate].
Qed.

Lemma left_is_at_rest st : is_at_rest (leave st).
Proof. destruct st. vm_compute. reflexivity. Qed.

(** Claim [states_are_settled]. *)
Theorem states_are_settled_proved : states_are_settled step.
Proof.
  assert (forall st, settled (leave (choose_thread st))) as chosen.
  { intros st. pose proof (choose_thread_settles st) as settles. revert settles.
    generalize (choose_thread st). intros after (first & use & none).
    constructor; [exact first | exact use | exact none | apply left_is_at_rest]. }
  intros p st [|before e _]; [exact (chosen _)|].
  unfold step, finish. destruct (handle (cause e) (enter e before)) as (result & after). exact (chosen _).
Qed.

(** The thread that is settled remains so. *)
Lemma settled_after t a b : settled a -> current a = Some t -> same_but_registers_of t a b -> first_ready b = Some t /\ context_of t b = current_context b
  /\ yielded_to (thread t b) = None /\ current b = Some t.
Proof.
  intros [first use no_y _] is_cur same. specialize (no_y t is_cur). unfold context_of_first in use. rewrite <- first, is_cur in use.
  rewrite is_cur in first. pose proof same as (_ & _ & rest).
  assert (same_queue a b) as kept.
  { repeat split; try (rewrite rest; reflexivity); [exact (domain_after t a b o same) | exact (context_after t a b o same)]. }
  rewrite (first_ready_same a b kept), (yield_after t a b t same). destruct kept as (_ & _ & same_current & same_use & each).
  rewrite same_current, same_use. unfold context_of in *. rewrite (proj2 (each t)). repeat split; congruence.
Qed.

Lemma choose_settled t st :
  books (choices st) = false -> ends_turn (choices st) = false ->
  first_ready st = Some t -> context_of t st = current_context st -> yielded_to (thread t st) = None -> current st = Some t ->
  choose_thread st = st.
Proof.
  intros no_booking no_end first use no_y is_cur. unfold choose_thread, stays_in_use, context_of_first. cbv zeta.
  rewrite no_end, first, use, no_booking.
  assert ((match current_context st, current_context st with
           | Some a, Some b => a =? b | None, None => true | _, _ => false end) = true) as ->
      by (destruct (current_context st); [apply N.eqb_refl | reflexivity]).
  cbn [andb negb]. rewrite first.
  assert (st <| current := Some t |> = st) as -> by (rewrite <- is_cur; destruct st; reflexivity).
  unfold end_yield_by. rewrite no_y. reflexivity.
Qed.

(** ** The step *)

(** What is no thread has no registers, and 0 is the number of no system call. *)
Lemma caller_exists t st error : fst (system_call t st) = Fails error -> thread_exists t st = true.
Proof.
  unfold thread_exists. destruct (objects st !! t) as [[]|] eqn:found; try reflexivity;
    unfold system_call; replace (thread t st) with new_thread by (unfold thread; rewrite found; reflexivity); discriminate.
Qed.

Lemma system_call_error t st error st' :
  system_call t st = (Fails error, st') ->
  same_but_registers_of t st st' /\ effects st' = effects st /\ now st' = now st /\ choices st' = choices st.
Proof.
  intros result. pose proof (caller_exists t st error (f_equal fst result)) as present. revert result.
  unfold system_call. cbv zeta. intros result.
  destruct (Syscall.of_number _) as [s|]; [|discriminate].
  destruct (is_debug_call s && negb (debug_build (machine st))); [discriminate|].
  destruct (run_system_call_error s t _ error st' result) as (details & wrong & ->).
  unfold put_result. rewrite present.
  destruct error; try (exfalso; apply wrong; reflexivity);
    exact (change_registers t _ st present (with_error_result_only _ details)).
Qed.

Lemma handle_error c st error st' :
  handle c st = (Fails error, st') -> exists t, current st = Some t /\ system_call t st = (Fails error, st').
Proof.
  unfold handle. intros result. destruct c; try discriminate; destruct (current st) as [t|]; try discriminate.
  - exists t. split; [reflexivity | exact result].
  - exfalso. unfold user_fault, debug_event in result. cbv zeta in result.
    destruct reason; try discriminate. destruct (step_count _ =? 1); discriminate.
Qed.

(** What a step in progress knows besides the state. *)
Definition same_but_for_the_step (a b : State) : Prop :=
  b = a <| objects := objects b |> <| now := now b |> <| memory := memory b |> <| allowance := allowance b |>
        <| choices := choices b |> <| effects := effects b |>.
Lemma begin_step_same e st : same_but_for_the_step st (begin_step e st).
Proof. destruct st, e. vm_compute. reflexivity. Qed.
Lemma begin_step_objects e st : objects (begin_step e st) = objects st /\ current (begin_step e st) = current st.
Proof. destruct st, e. vm_compute. split; reflexivity. Qed.
Lemma begin_step_now e st :
  now (begin_step e st) = N.max (now st) (time e) /\ effects (begin_step e st) = [] /\ choices (begin_step e st) = chosen e.
Proof. destruct st, e. vm_compute. repeat split. Qed.

Lemma finish_result r st : snd (fst (finish (r, st))) = r.
Proof. reflexivity. Qed.

Lemma same_of_step t st b :
  objects b = objects st -> same_but_for_the_step st b -> thread_exists t b = true -> same_but_registers_of t st b.
Proof.
  intros same_objects rest present. unfold thread_exists in present. rewrite same_objects in present.
  destruct (objects st !! t) as [[]|] eqn:found; try discriminate. split; [intros o _; rewrite same_objects; reflexivity|].
  split; [|exact rest]. exists thread, thread. rewrite same_objects. split; [exact found|]. split; [exact found | apply same_thread_refl].
Qed.

(* Conversion unfolds this one first, and does not look into what it is made of. *)
Local Strategy expand [enter].

(** What an error is told in, before the end of the step, for the caller's registers [saved] and the state [begun] of a step. *)
Lemma error_told st begun saved t error told :
  objects begun = objects st -> current begun = current st -> same_but_for_the_step st begun ->
  current (save_registers saved begun) = Some t -> system_call t (save_registers saved begun) = (Fails error, told) ->
  current st = Some t /\ same_but_registers_of t st told /\ now told = now begun /\ effects told = effects begun
  /\ choices told = choices begun.
Proof.
  unfold save_registers. intros objects0 cur0 rest0 is_cur' called.
  pose proof (caller_exists t _ error (f_equal fst called)) as present'.
  assert (current st = Some t) as is_cur.
  { rewrite cur0 in is_cur'. destruct (current st) as [t'|] eqn:was; [|exact (eq_trans (eq_sym cur0) is_cur')].
    rewrite <- is_cur'. unfold change_thread. destruct (objects begun !! t') as [[]|]; symmetry; exact cur0. }
  rewrite cur0, is_cur in called, present'.
  assert (thread_exists t begun = true) as present0.
  { revert present'. unfold change_thread. unfold thread_exists at 2. destruct (objects begun !! t) as [[]|] eqn:found; try reflexivity;
      unfold thread_exists; change (objects (emit Stuck begun)) with (objects begun); rewrite found; discriminate. }
  destruct (change_registers t (with_registers saved) begun present0 (with_registers_only saved)) as (same1 & effects1 & now1 & books1).
  destruct (system_call_error t _ error told called) as (same2 & effects2 & now2 & books2).
  split; [exact is_cur|]. split; [|split; [|split]; congruence].
  exact (same_trans t _ _ _ (same_trans t _ _ _ (same_of_step t st begun objects0 rest0 present0) same1) same2).
Qed.

Lemma step_error st e error next done :
  step st e = (next, Fails error, done) ->
  exists t told, current st = Some t /\ same_but_registers_of t st told /\ now told = N.max (now st) (time e) /\ effects told = []
    /\ choices told = chosen e /\ (next, Fails error, done) = finish (Fails error, told).
Proof.
  unfold step. destruct (handle (cause e) (enter e st)) as (r & told) eqn:handled. intros result.
  assert (r = Fails error) as -> by (rewrite <- (finish_result r told), result; reflexivity).
  destruct (handle_error (cause e) (enter e st) error told handled) as (t & is_cur & called).
  unfold enter in is_cur, called.
  destruct (begin_step_objects e st) as (objects0 & cur0), (begin_step_now e st) as (now0 & effects0 & books0).
  destruct (error_told st (begin_step e st) (saved e) t error told objects0 cur0 (begin_step_same e st) is_cur called)
    as (runs & same & now1 & effects1 & books1).
  exists t, told. split; [exact runs|]. split; [exact same|]. rewrite now1, effects1, books1.
  split; [exact now0|]. split; [exact effects0|]. split; [exact books0 | symmetry; exact result].
Qed.

(** Claim [errors_only_book]. *)
Theorem errors_only_book_proved : errors_only_book step.
Proof.
  intros st e error next done result.
  destruct (step_error st e error next done result) as (t & told & is_cur & same & clock & nothing & _ & finished).
  exists t, told. repeat (split; [assumption|]). exact finished.
Qed.

(** Claim [errors_change_nothing]. *)
Theorem errors_change_nothing_proved : errors_change_nothing step.
Proof.
  intros p st e error next done reached unbooked result.
  destruct (step_error st e error next done result) as (t & told & is_cur & same & clock & nothing & booked & finished).
  destruct (settled_after t st told (states_are_settled_proved p st reached) is_cur same) as (first & use & none & runs).
  unfold finish in finished. destruct unbooked as (unbooked & unended). rewrite <- booked in unbooked, unended.
  rewrite (choose_settled t told unbooked unended first use none runs) in finished.
  injection finished as -> ->. rewrite nothing. split; [reflexivity|]. split; [exact clock|].
  exists t. split; [exact is_cur|]. apply (same_trans t _ _ _ same). destruct same as (_ & (x & y & _ & found & _) & _).
  repeat split. exists y, y. split; [exact found|]. split; [exact found | apply same_thread_refl].
Qed.

(** Claim [step_is_a_function]. *)
Theorem step_is_a_function_proved : step_is_a_function step.
Proof. intros st e. exists (step st e). split; [reflexivity | intros next same; exact same]. Qed.
