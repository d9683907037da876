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
Lemma receive_phase_never_fails t r b st error : fst (receive_phase t r b st) <> Fails error.
Proof.
  unfold receive_phase, cap_fault. cbv zeta.
  repeat match goal with |- context [match ?x with _ => _ end] => destruct x end; discriminate.
Qed.

Lemma then_receive_never_fails t r st error : fst (then_receive t r st) <> Fails error.
Proof.
  unfold then_receive. cbv zeta. destruct (negb (thread_exists t st)); [discriminate|].
  destruct (is_running t _ && negb _); [apply receive_phase_never_fails | discriminate].
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
    try (exfalso; exact (then_receive_never_fails _ _ _ _ fails)).
  - unfold send_and_receive in fails. destruct (send_phase _ _ _ _) as ([| | |] & st1); try discriminate;
      exfalso; exact (then_receive_never_fails _ _ _ _ fails).
  - unfold send_and_receive in fails. destruct (send_phase _ _ _ _) as ([| | |] & st1); try discriminate;
      exfalso; exact (then_receive_never_fails _ _ _ _ fails).
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
  /\ books_time (change_thread t f st) = books_time st.
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

(** The thread that is settled remains so. *)
Lemma settled_after t a b : settled t a -> same_but_registers_of t a b -> first_ready b = Some t /\ context_of t b = current_context b
  /\ yielded_to (thread t b) = None /\ current b = Some t.
Proof.
  intros [is_cur _ first use no_y _] same. pose proof same as (_ & _ & rest).
  assert (ready b = ready a) as same_ready by (rewrite rest; reflexivity).
  assert (current_domain b = current_domain a) as same_domain by (rewrite rest; reflexivity).
  assert (current_context b = current_context a) as same_context by (rewrite rest; reflexivity).
  assert (current b = current a) as same_current by (rewrite rest; reflexivity).
  repeat split.
  - rewrite <- first. unfold first_ready. rewrite same_ready, same_domain. clear same_ready. induction (ready a) as [|o l IH]; [reflexivity|].
    simpl. rewrite (domain_after t a b o same), IH. reflexivity.
  - rewrite same_context, <- use. unfold context_of. rewrite (context_after t a b t same). reflexivity.
  - rewrite (yield_after t a b t same). exact no_y.
  - congruence.
Qed.

Lemma choose_settled t st :
  books_time st = false ->
  first_ready st = Some t -> context_of t st = current_context st -> yielded_to (thread t st) = None -> current st = Some t ->
  choose_thread st = st.
Proof.
  intros no_booking first use no_y is_cur. unfold choose_thread. cbv zeta. rewrite first, use, no_booking.
  assert ((match current_context st, current_context st with
           | Some a, Some b => a =? b | None, None => true | _, _ => false end) = true) as ->
      by (destruct (current_context st); [apply N.eqb_refl | reflexivity]).
  cbn [andb negb]. rewrite first.
  assert (st <| current := Some t |> = st) as -> by (rewrite <- is_cur; destruct st; reflexivity).
  unfold end_yield. rewrite no_y. reflexivity.
Qed.

(** ** The step *)
Lemma system_call_error t st error st' :
  system_call t st = (Fails error, st') -> thread_exists t st = true ->
  same_but_registers_of t st st' /\ effects st' = effects st /\ now st' = now st /\ books_time st' = books_time st.
Proof.
  unfold system_call. cbv zeta. intros result present.
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

(** Claim [errors_change_nothing]. *)
Theorem errors_change_nothing_proved : errors_change_nothing.
Proof.
  intros st e t error st' done ready_to_run unbooked result. unfold step in result.
  destruct (handle (cause e) (enter e st)) as (r & st1) eqn:handled.
  injection result as <- -> <-.
  pose proof ready_to_run as [is_cur present first use no_y rested].
  set (st0 := st <| now := N.max (now st) (time e) |> <| memory := table_of (readable e) |> <| allowance := preempt_after e |>
                 <| books_time := books e |> <| goes_ahead := ahead e |> <| goes_behind := behind e |> <| effects := [] |>) in *.
  assert (enter e st = change_thread t (with_registers (saved e)) st0) as entered.
  { unfold enter. fold st0. change (current st0) with (current st). rewrite is_cur. reflexivity. }
  assert (thread_exists t st0 = true) as present0 by exact present.
  destruct (change_registers t (with_registers (saved e)) st0 present0 (with_registers_only (saved e))) as (same1 & effects1 & now1 & books1).
  assert (same_but_registers_of t st st0) as same0.
  { unfold thread_exists in present. destruct (objects st !! t) as [[]|] eqn:found; try discriminate.
    repeat split. exists thread, thread. split; [exact found|]. split; [exact found | apply same_thread_refl]. }
  destruct (handle_error (cause e) (enter e st) error st1 handled) as (t' & is_cur' & called).
  assert (t' = t) as ->.
  { rewrite entered in is_cur'. destruct same1 as (_ & _ & rest). rewrite rest in is_cur'.
    change (current st = Some t') in is_cur'. congruence. }
  rewrite entered in called.
  destruct (system_call_error t _ error st1 called (exists_after t _ _ same1)) as (same2 & effects2 & now2 & books2).
  pose proof (same_trans t _ _ _ (same_trans t _ _ _ same0 same1) same2) as same.
  destruct (settled_after t st st1 ready_to_run same) as (first1 & use1 & no_y1 & is_cur1).
  assert (books_time st1 = false) as no_booking.
  { rewrite <- unbooked. transitivity (books_time (change_thread t (with_registers (saved e)) st0)); [exact books2 | exact books1]. }
  assert (end_budget_if_booked st1 = st1) as -> by (unfold end_budget_if_booked; rewrite no_booking; reflexivity).
  rewrite (choose_settled t st1 no_booking first1 use1 no_y1 is_cur1).
  assert (now st1 = N.max (now st) (time e)) as clock by (rewrite now2, now1; reflexivity).
  split; [rewrite effects2, effects1; reflexivity|]. split; [|exact clock].
  apply (same_trans t _ _ _ same). destruct same as (_ & (x & y & _ & found & _) & _).
  repeat split. exists y, y. split; [exact found|]. split; [exact found | apply same_thread_refl].
Qed.

(** Claim [step_is_a_function]. *)
Theorem step_is_a_function_proved : step_is_a_function.
Proof. intros st e. exists (step st e). split; [reflexivity | intros next same; exact same]. Qed.

(** Claim [well_formed_is_settled]. *)
Theorem well_formed_is_settled_proved : well_formed_is_settled.
Proof.
  intros st t formed rested is_cur.
  assert (current_thread st = true /\ run_queues st = true) as (runs & queues).
  { unfold well_formed, broken_invariants in formed. cbv beta zeta in formed.
    repeat (apply app_eq_nil in formed; destruct formed as (? & formed)).
    split.
    - destruct (current_thread st); [reflexivity | discriminate].
    - destruct (run_queues st); [reflexivity | discriminate]. }
  unfold current_thread in runs. rewrite is_cur in runs. apply andb_prop in runs. destruct runs as (first & rest).
  destruct (first_ready st) as [t'|] eqn:found; [|discriminate]. apply N.eqb_eq in first. subst t'.
  apply andb_prop in rest. destruct rest as (use & no_y).
  constructor; try assumption.
  - unfold first_ready in found. apply List.find_some in found. destruct found as (listed & _).
    unfold run_queues in queues. apply andb_prop in queues. destruct queues as (queues & _).
    apply andb_prop in queues. destruct queues as (_ & all_run). unfold all in all_run. rewrite forallb_forall in all_run.
    specialize (all_run t (in_or_app _ _ t (or_introl listed))). apply andb_prop in all_run. destruct all_run as (running & _).
    unfold is_running, thread, thread_exists in *. destruct (objects st !! t) as [[]|]; try discriminate; reflexivity.
  - destruct (current_context st), (context_of t st); try discriminate. apply N.eqb_eq in use. congruence.
  - destruct (yielded_to (thread t st)); [discriminate | reflexivity].
Qed.
