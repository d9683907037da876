(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What is mapped and who waits stay within the policy

    What begins to wait does so through a capability that the caller's subject may hold, or one in a slot of the thread that faults; what is mapped comes into a
    table that the caller's subject may hold. With that each part of a step is followed. *)
From Coq Require Import Lia PeanoNat.
From Spec Require Export HeldProofs.
Open Scope N_scope.

(** ** A message about a fault *)
Lemma faults_result b i l x : fault (with_result b i l x) = fault x.
Proof. unfold with_result. apply fault_of_registers. Qed.
Lemma faults_silent s t e b g st f : fault (thread s st) = Some f -> same_faults st (deliver (message_of s st) (Some e) b g s t st).
Proof.
  intros faulted. unfold deliver. rewrite (silent_message s st) by (left; congruence). replace (if g then @nil N else []) with (@nil N) by (destruct g;
    reflexivity).
  cbn [transfer]. eapply faults_trans; [|apply faults_objects, objects_of_long_words]. apply faults_thread. intros x. apply faults_result.
Qed.

(** ** Who sends, sends what he did *)
Definition sends_as (a b : State) : Prop :=
  forall t, is_sending (run_state (thread t b)) = true -> run_state (thread t b) = run_state (thread t a).
Lemma sends_trans a b c : sends_as a b -> sends_as b c -> sends_as a c.
Proof. intros first second t sends_. pose proof (second t sends_) as same. rewrite same in sends_ |- *. exact (first t sends_). Qed.
Lemma sends_objects a b : objects b = objects a -> sends_as a b. Proof. intros same t _. unfold thread. rewrite same. reflexivity. Qed.
Lemma sends_thread t f st : (forall x, is_sending (run_state (f x)) = true -> run_state (f x) = run_state x) -> sends_as st (change_thread t f st).
Proof.
  intros same u. rewrite thread_after_change_thread. destruct (N.eqb_spec u t) as [->|]; [|reflexivity].
  cbn [andb]. destruct (thread_exists t st); [apply same | reflexivity].
Qed.
Lemma sends_put o x y st : objects st !! o = Some y -> match x with ThreadObject _ => False | _ => True end ->
  match y with ThreadObject _ => False | _ => True end -> sends_as st (put_object o x st).
Proof.
  intros there not_x not_y t _. unfold thread. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec t o) as [->|]; [|reflexivity]. rewrite there. destruct x, y; try contradiction; reflexivity.
Qed.
Lemma sends_context o f st : sends_as st (change_context o f st).
Proof.
  unfold change_context. destruct (objects st !! o) as [[]|] eqn:there; try (apply sends_objects; reflexivity). refine (sends_put _ _ _ st there _ _); exact I.
Qed.
Lemma sends_reply o r st : sends_as st (put_reply o r st).
Proof.
  unfold put_reply. destruct (objects st !! o) as [[]|] eqn:there; try (apply sends_objects; reflexivity). refine (sends_put _ _ _ st there _ _); exact I.
Qed.
Lemma sends_place insert t st : sends_as st (place_by insert t st). Proof. apply sends_objects. exact (proj2 (proj2 (place_by_same insert t st))). Qed.
Lemma sends_sporadic t st : sends_as st (begin_sporadic t st).
Proof.
  unfold begin_sporadic. destruct (context_of t st); [|apply sends_objects; reflexivity].
  destruct (_ && _); [apply sends_context | apply sends_objects; reflexivity].
Qed.
Lemma sends_wake t st : sends_as st (wake t st) /\ sends_as st (wake_ahead t st).
Proof.
  split; [unfold wake | unfold wake_ahead]; (eapply sends_trans; [|apply sends_place]); (eapply sends_trans; [|apply sends_sporadic]);
    apply sends_thread; discriminate.
Qed.
Lemma sends_give c t st : sends_as st (give_context c t st).
Proof.
  unfold give_context. cbv zeta. eapply sends_trans; [|apply sends_thread; reflexivity]. eapply sends_trans; [|apply sends_context].
  destruct (context_thread _); [|apply sends_objects; reflexivity].
  eapply sends_trans; [|apply sends_thread; reflexivity]. apply sends_objects. reflexivity.
Qed.
Lemma sends_break r st : sends_as st (break_stack r st).
Proof.
  unfold break_stack. destruct (along (reply r st)) as [c|]; [|apply sends_objects; reflexivity]. cbv zeta. eapply sends_trans; [|apply sends_context].
  generalize (calls_from r (calls (context c st))). intros l. revert st. induction l as [|first rest IH]; intros st; [apply sends_objects; reflexivity|].
  eapply sends_trans; [|apply IH]. apply sends_reply.
Qed.
Lemma sends_return r t st : sends_as st (return_context r t st).
Proof.
  unfold return_context. destruct (along (reply r st)) as [c|]; [|apply sends_objects; reflexivity].
  destruct (calls (context c st)) as [|last rest]; [apply sends_break|]. destruct (last =? r); [|apply sends_break]. cbv zeta.
  match goal with |- sends_as _ (match context_of t ?s with _ => _ end) => assert (sends_as st s) as before; [|revert before; generalize s;
    intros st1 before] end.
  - eapply sends_trans; [apply sends_context | apply sends_reply].
  - destruct (context_of t st1); [exact before | exact (sends_trans _ _ _ before (sends_give c t st1))].
Qed.
Lemma state_of_error e x : run_state (with_error_result e [] x) = run_state x. Proof. unfold with_error_result, with_result. apply state_of_registers. Qed.
Lemma sends_error e t st : sends_as st (set_error_result e t st). Proof. apply sends_thread. intros x _. apply state_of_error. Qed.
Lemma sends_freed r st : sends_as st (free_reply r st).
Proof.
  unfold free_reply. cbv zeta. eapply sends_trans; [|apply sends_reply].
  match goal with |- sends_as _ (match receiver (reply r ?s) with _ => _ end) => assert (sends_as st s) as before; [|revert before; generalize s;
    intros st1 before] end.
  - destruct (caller (reply r st)) as [t|]; [|apply sends_objects; reflexivity]. eapply sends_trans; [apply sends_return|].
    eapply sends_trans; [apply sends_reply|]. unfold end_call_of. cbv zeta. destruct (fault _); [apply sends_thread; discriminate|].
    match goal with |- sends_as ?s _ => generalize s end. intros st2.
    destruct (is_some _); [exact (sends_trans _ _ _ (sends_error _ t st2) (proj1 (sends_wake t _))) |
      exact (sends_trans _ _ _ (sends_error _ t st2) (proj2 (sends_wake t _)))].
  - destruct (receiver (reply r st1)); [|exact before]. refine (sends_trans _ _ _ before (sends_thread _ _ st1 _)). intros x.
    destruct (run_state x) eqn:state; cbn [with_state run_state]; try (rewrite state; reflexivity). discriminate.
Qed.

(** ** Fewer rights *)
Lemma may_fewer p subject e badge r badge' r' : rights_le r' r -> may p subject (EndpointCap e badge r) -> may p subject (EndpointCap e badge' r').
Proof.
  intros fewer [quiet|(h & listed & whose & given)]; [left; exact quiet|]. right. exists h. split; [exact listed|]. split; [exact whose|].
  revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of fst snd rights_of].
  intros [(kind & inside & enough)|rest]; [left | right; exact rest]. split; [exact kind|]. split; [exact inside|].
  exact (no_more_trans _ _ _ (proj2 (no_more_le _ _) fewer) enough).
Qed.
Lemma may_fewer_flags p subject n badge r badge' r' : rights_le r' r -> may p subject (NotificationCap n badge r) ->
  may p subject (NotificationCap n badge' r').
Proof.
  intros fewer [quiet|(h & listed & whose & given)]; [left; exact quiet|]. right. exists h. split; [exact listed|]. split; [exact whose|].
  revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of fst snd rights_of].
  intros [(kind & inside & enough)|rest]; [left | right; exact rest]. split; [exact kind|]. split; [exact inside|].
  exact (no_more_trans _ _ _ (proj2 (no_more_le _ _) fewer) enough).
Qed.
Lemma may_fewer_frame p subject base bits d r q r' q' : rights_le r' r -> may p subject (FrameCap base bits d r q) ->
  may p subject (FrameCap base bits d r' q').
Proof.
  intros fewer [quiet|(h & listed & whose & given)]; [left; exact quiet|]. right. exists h. split; [exact listed|]. split; [exact whose|].
  revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of fst snd rights_of].
  intros [(kind & inside & enough)|rest]; [left | right; exact rest]. split; [exact kind|]. split; [exact inside|].
  exact (no_more_trans _ _ _ (proj2 (no_more_le _ _) fewer) enough).
Qed.

(** ** Threads that begin to wait *)
Section Begins.
Variables (p : Policy) (M : N -> N -> Prop).
Notation held := (held p M).
Notation okay := (okay p M).
(** What a thread sends through, and what it receives from. *)
Definition sends_by (t e badge : N) (g gr : bool) (st : State) : Prop :=
  let c := EndpointCap e badge {| can_write := true; can_read := false; can_grant := g; can_grant_reply := gr |} in
  (exists part, owner_of p t = Some part /\ may p (acting p part) c)
  \/ fault (thread t st) <> None /\ exists i part, i < thread_slots /\ owner_of p (slot_of t i) = Some part /\ may p part c.
Definition waits_by (t : N) (c : Capability) : Prop := exists part, owner_of p t = Some part /\ may p (acting p part) c.

Lemma held_thread t f st : (forall x, objects st !! t = Some (ThreadObject x) -> okay t (ThreadObject x) -> okay t (ThreadObject (f x))) -> held st ->
  held (change_thread t f st).
Proof.
  intros each ok. unfold change_thread. destruct (objects st !! t) as [[]|] eqn:found; try exact (keeps_emit p M Stuck st ok).
  exact (held_put p M t _ _ st found (each _ eq_refl) ok).
Qed.
Lemma begins_to_send t e badge g gr c l st : sends_by t e badge g gr st -> held st -> held (change_thread t (with_state (BlockedOnSend e badge g gr c l)) st).
Proof.
  intros by_ ok. apply held_thread; [|exact ok]. intros x found _. split; [unfold waits_as | intros r; discriminate].
  intros d [<-|[]]. destruct by_ as [mine|(faults_ & slot)]; [left; exact mine|]. right. split; [reflexivity|]. split; [|exact slot].
  unfold thread in faults_. rewrite found in faults_. exact faults_.
Qed.
Lemma begins_to_receive_ t e r q g st : waits_by t (EndpointCap e 0 {| can_write := false; can_read := true; can_grant := g; can_grant_reply := false |}) ->
  (forall o, r = Some o -> waits_by t (ReplyCap o no_rights)) -> held st -> held (change_thread t (begin_receive (BlockedOnReceive e r q g)) st).
Proof.
  intros by_ answers_ ok. apply held_thread; [|exact ok]. intros x found _. split; [unfold waits_as | intros o; discriminate].
  intros d listed. left. cbn [begin_receive with_state run_state waits_with] in listed. destruct listed as [<-|listed]; [exact by_|].
  destruct r as [o|]; [|contradiction]. destruct listed as [<-|[]]. exact (answers_ o eq_refl).
Qed.
Lemma begins_to_wait t n st : waits_by t (NotificationCap n 0 {| can_write := false; can_read := true; can_grant := false; can_grant_reply := false |}) ->
  held st -> held (change_thread t (with_state (BlockedOnNotification n)) st).
Proof.
  intros by_ ok. apply held_thread; [|exact ok]. intros x found _. split; [unfold waits_as | intros o; discriminate]. intros d [<-|[]]. left. exact by_.
Qed.
Lemma fault_of_begin_call s x : fault (begin_call s x) = fault x.
Proof. unfold begin_call, with_state. destruct (is_some (fault x)); [reflexivity|]. change (fault (lose_registers (numbers_from 0 19) x) = fault x).
  apply fault_of_registers. Qed.
Lemma begins_to_call t r g st : (g = true -> fault (thread t st) = None -> M t r) -> held st -> held (change_thread t (begin_call (BlockedOnReply r g)) st).
Proof.
  intros may_ ok. apply held_thread; [|exact ok]. intros x found _. split; [intros d []|]. unfold awaits_as. intros o same none.
  rewrite fault_of_begin_call in none. change (BlockedOnReply r g = BlockedOnReply o true) in same. injection same as -> ->. apply may_; [reflexivity|].
  unfold thread. rewrite found. exact none.
Qed.

Ltac kept := lazymatch goal with |- held (?f ?s) => refine (_ : @good _ (good_state p M) (f s)) end.
Lemma held_meet s t e badge r rg g gr c l st :
  (forall o, r = Some o -> c && answerable r g gr = true -> rg = true -> fault (thread s st) = None -> M s o) -> held st ->
  held (meet s t e badge r rg g gr c l st).
Proof.
  intros may_ ok. unfold meet. cbv zeta. set (lending := lends_now _ _ _ _). clearbody lending.
  assert (fault (thread s st) <> None -> fault (thread s (deliver (message_of s st) (Some e) badge g s t st)) <> None) as faulted.
  { intros some. destruct (fault (thread s st)) as [f|] eqn:is_f; [|destruct (some eq_refl)]. rewrite (faults_silent s t e badge g st f is_f s), is_f.
    discriminate. }
  pose proof (keeps_deliver p M (message_of s st) (Some e) badge g s t st ok) as ok1. change (held (deliver (message_of s st) (Some e) badge g s t st)) in ok1.
  revert faulted ok1. generalize (deliver (message_of s st) (Some e) badge g s t st). intros st1 faulted ok1.
  set (st2 := match r with Some r => put_reply r unused_reply st1 | None => st1 end).
  assert (held st2) as ok2 by (unfold st2; destruct r; [exact (keeps_put_reply p M _ _ st1 ok1) | exact ok1]).
  assert (fault (thread s st2) = fault (thread s st1)) as same by (unfold st2; destruct r; [apply faults_reply | reflexivity]). clearbody st2.
  set (lent := if lending then context_of s st2 else None). clearbody lent.
  match goal with |- held (match lent with Some c => wake_ahead t (give_context c t ?s3) | None => _ end) => assert (held s3) as ok3; [|revert ok3;
    generalize s3] end.
  - destruct c; [|exact ok2]. destruct (true && answerable r g gr) eqn:answered; [|exact (keeps_end_unanswered p M s st2 ok2)].
    destruct r as [o|]; [|exact (keeps_end_unanswered p M s st2 ok2)].
    assert (held (change_thread s (begin_call (BlockedOnReply o rg)) (unplace s st2))) as called.
    { apply begins_to_call; [|exact (keeps_unplace p M s st2 ok2)]. intros grants none. apply (may_ o eq_refl eq_refl grants).
      destruct (fault (thread s st)) as [f|] eqn:is_f; [|reflexivity]. exfalso. apply faulted; [discriminate|]. rewrite <- same. exact none. }
    pose proof (keeps_put_reply p M o {| caller := Some s; receiver := None; along := lent |} _ called) as replied.
    destruct lent; [exact (keeps_change_context p M _ _ _ replied) | exact replied].
  - intros st3 ok3. destruct lent as [k|]; [exact (keeps_wake_ahead p M t _ (keeps_give_context p M k t st3 ok3))|].
    destruct (is_running t st3); [exact ok3 | exact (keeps_wake p M t st3 ok3)].
Qed.
Lemma held_send t e badge g gr c l w st : sends_by t e badge g gr st ->
  (forall u rest x o q, receivers (endpoint e st) = u :: rest -> run_state (thread u st) = BlockedOnReceive x (Some o) q true -> c = true -> g || gr = true ->
     fault (thread t st) = None -> M t o) -> held st -> held (snd (send t e badge g gr c l w st)).
Proof.
  intros by_ may_ ok. unfold send. destruct (receivers (endpoint e st)) as [|first rest] eqn:queue.
  - destruct w; cbn [snd]; [|exact ok]. apply (keeps_change_endpoint p M e). apply begins_to_send; [exact by_ | exact (keeps_unplace p M t st ok)].
  - destruct (run_state (thread first st)) as [| |x r q rg| | |] eqn:state; cbn [snd]; try exact (keeps_emit p M Stuck st ok).
    destruct (leaves_without_context _ _ _ _); cbn [snd]; [exact ok|]. cbv zeta.
    pose proof (faults_endpoint e (fun y => y <| receivers := rest |>) st) as same.
    apply held_meet; [|exact (keeps_change_endpoint p M e _ st ok)]. intros o -> asks -> none. rewrite (same t) in none.
    apply andb_prop in asks. destruct asks as (-> & asks). exact (may_ first rest x o q eq_refl state eq_refl asks none).
Qed.

(** ** Receiving *)
Lemma held_receive_from start t e r rg queue st :
  (forall u st' x b g gr l o, In u queue -> held st' -> sends_as start st' -> run_state (thread u st') = BlockedOnSend x b g gr true l -> r = Some o ->
     rg = true -> g || gr = true -> fault (thread u st') = None -> M u o) ->
  sends_as start st -> held st -> held (snd (receive_from queue t e r rg st)).
Proof.
  intros may_ before ok. destruct queue as [|sender rest]; cbn [receive_from]; [exact ok|].
  destruct (run_state (thread sender st)) as [| | |x b g gr c l| |] eqn:state; cbn [snd]; try exact (keeps_emit p M Stuck st ok). cbv zeta.
  pose proof (keeps_change_endpoint p M e (fun y => y <| senders := rest |>) st ok) as ok1.
  pose proof (faults_endpoint e (fun y => y <| senders := rest |>) st) as same.
  change (held (change_endpoint e (fun y => y <| senders := rest |>) st)) in ok1.
  assert (held (meet sender t e b r rg g gr c l (change_endpoint e (fun y => y <| senders := rest |>) st))) as met_.
  { apply held_meet; [|exact ok1]. intros o is_o asks grants none. rewrite (same sender) in none. apply andb_prop in asks. destruct asks as (-> & asks).
    rewrite is_o in asks. exact (may_ sender st x b g gr l o (or_introl eq_refl) ok before state is_o grants asks none). }
  destruct c; [exact met_|]. exact (keeps_wake p M sender _ (keeps_set_empty_result p M sender _ met_)).
Qed.
Lemma held_receive t e r q rg w st :
  waits_by t (EndpointCap e 0 {| can_write := false; can_read := true; can_grant := rg; can_grant_reply := false |}) ->
  (forall o, r = Some o -> waits_by t (ReplyCap o no_rights)) ->
  (forall u st' x b g gr l o, In u (senders (endpoint e st)) -> held st' -> sends_as st st' -> run_state (thread u st') = BlockedOnSend x b g gr true l -> r
    = Some o ->
     rg = true -> g || gr = true -> fault (thread u st') = None -> M u o) -> held st -> held (receive t e r q rg w st).
Proof.
  intros by_ answers_ may_ ok. unfold receive. cbv zeta. set (st1 := match r with Some r => free_reply r st | None => st end).
  assert (held st1 /\ sends_as st st1 /\ queues_stay st st1) as (ok1 & then_ & same)
    by (unfold st1; destruct r as [o|]; [split; [exact (keeps_free_reply p M o st ok) | split; [apply sends_freed | apply stay_free]]
      | split; [exact ok | split; [apply sends_objects; reflexivity | apply stay_objects; reflexivity]]]).
  clearbody st1. rewrite <- (same e) in may_.
  assert (held (let (received, st) := receive_from (senders (endpoint e st1)) t e r rg st1 in
               if received then st else if w then
                 let st := unplace t st >> change_thread t (begin_receive (BlockedOnReceive e r q rg)) in
                 let st := change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st |>) st in
                 let st := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st | None => st end in
                 match bound_notification (thread t st1) with Some n => return_lent_context t n st | None => st end
               else set_empty_result t st)) as usual.
  { pose proof (held_receive_from st t e r rg _ st1 may_ then_ ok1) as done_. destruct (receive_from _ _ _ _ _ _) as ([] & after); cbn [snd] in done_;
    [exact done_|].
    destruct w; [|exact (keeps_set_empty_result p M t after done_)]. cbv zeta.
    pose proof (begins_to_receive_ t e r q rg _ by_ answers_ (keeps_unplace p M t after done_)) as waits_. revert waits_.
    generalize (change_thread t (begin_receive (BlockedOnReceive e r q rg)) (unplace t after)). intros st2 ok2.
    pose proof (keeps_change_endpoint p M e (fun x => x <| receivers := insert_behind t (receivers x) st2 |>) st2 ok2) as ok3. revert ok3.
    generalize (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st2 |>) st2). intros st3 ok3.
    set (st4 := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st3 | None => st3 end).
    assert (held st4) as ok4 by (unfold st4; destruct r; [exact (keeps_put_reply p M _ _ st3 ok3) | exact ok3]). clearbody st4.
    destruct (bound_notification (thread t st1)); [exact (keeps_return_lent_context p M t _ st4 ok4) | exact ok4]. }
  destruct (bound_notification (thread t st1)) as [n|]; [|exact usual]. destruct (is_signalled t st1); [|exact usual].
  pose proof (keeps_take_flags p M t n st1 ok1) as taken. destruct (_ && _); [exact (keeps_wake_ahead p M t _ taken) | exact taken].
Qed.
Lemma held_wait_on t n w st : waits_by t (NotificationCap n 0 {| can_write := false; can_read := true; can_grant := false; can_grant_reply := false |}) ->
  held st -> held (wait_on t n w st).
Proof.
  intros by_ ok. unfold wait_on. destruct (is_active n st).
  - pose proof (keeps_take_flags p M t n st ok) as taken. destruct (_ && _); [exact (keeps_wake_ahead p M t _ taken) | exact taken].
  - destruct w; [|exact (keeps_set_empty_result p M t st ok)]. apply (keeps_return_lent_context p M t n), (keeps_change_notification p M n).
    apply begins_to_wait; [exact by_ | exact (keeps_unplace p M t st ok)].
Qed.

(** ** Answers and faults *)
Lemma held_answer_fault t f m st : run_state (thread t st) = Running -> held st -> held (answer_fault t f m st).
Proof.
  intros runs ok. unfold answer_fault. cbv zeta.
  assert (held (change_thread t (fun x =>
    let x := write_registers (registers_of_fault (fault_label f)) (words m) (x <| fault := None |>) in
    match fault_label f with FaultLabel.DebugException => debug_reply f (words m) x | _ => x end) st)) as ok1.
  { apply held_thread; [|exact ok]. intros x found _. apply calm_idle. unfold thread in runs. rewrite found in runs. cbv zeta.
    assert (run_state (write_registers (registers_of_fault (fault_label f)) (words m) (x <| fault := None |>)) = Running) as same
      by (unfold write_registers; rewrite state_of_registers; exact runs).
    destruct (fault_label f); rewrite ?debug_state; rewrite same; reflexivity. }
  destruct (goes_on f (label m)); [exact ok1 | exact (keeps_change_thread p M t _ (fun o x _ => calm_idle p M o (with_state Inactive x) eq_refl) _ ok1)].
Qed.
Lemma held_answer t r g st : held st -> held (answer t r g st).
Proof.
  intros ok. unfold answer. destruct (caller (reply r st)) as [c|]; [|exact ok]. cbv zeta.
  set (before := put_reply r unused_reply (return_context r c st)).
  assert (held before) as ok0 by exact (keeps_put_reply p M r _ _ (keeps_return_context p M r c st ok)). clearbody before.
  pose proof (keeps_change_thread p M c (with_state Running) (fun o x _ => calm_idle p M o (with_state Running x) eq_refl) before ok0) as ok1.
    change (held (change_thread c (with_state Running) before)) in ok1.
  assert (thread_exists c before = true -> run_state (thread c (change_thread c (with_state Running) before)) = Running) as runs
    by (intros there; rewrite thread_after_change_thread, N.eqb_refl, there; reflexivity).
  assert (thread_exists c before = false -> fault (thread c (change_thread c (with_state Running) before)) = None) as none.
  { intros there. rewrite thread_after_change_thread, N.eqb_refl, there. unfold thread, thread_exists in *.
    destruct (objects before !! c) as [[]|]; try reflexivity; discriminate there. }
  revert ok1 runs none. generalize (change_thread c (with_state Running) before). intros st1 ok1 runs none.
  match goal with |- held (if _ then ?s else _) => assert (held s) as ok2; [|revert ok2; generalize s; intros st2 ok2] end.
  - destruct (fault (thread c st1)) as [f|] eqn:faulted; [|exact (keeps_deliver p M _ _ _ _ _ _ st1 ok1)].
    destruct (thread_exists c before); [exact (held_answer_fault c f _ st1 (runs eq_refl) ok1) | discriminate (none eq_refl)].
  - destruct (negb _); [exact ok2|]. destruct (is_some _); [exact (keeps_wake p M c st2 ok2) | exact (keeps_wake_ahead p M c st2 ok2)].
Qed.
Lemma held_raise slot l t f st : (forall e badge r, capability_at (slot_of t slot) st = Some (EndpointCap e badge r) ->
    exists part, owner_of p (slot_of t slot) = Some part /\ may p part (EndpointCap e badge r)) -> slot < thread_slots -> thread_exists t st = true ->
      held st ->
  held (raise_fault_to slot l t f st).
Proof.
  intros slot_held less is_there ok. unfold raise_fault_to. pose proof (keeps_make_inactive p M t st ok) as stops_.
  destruct (capability_at (slot_of t slot) st) as [[|e badge r| | | | | | | | | | | | | | | | |]|] eqn:there; try exact stops_.
  destruct (can_write r && _) eqn:can; [|exact stops_]. cbv zeta. destruct (slot_held e badge r eq_refl) as (part & owned & held_).
  apply andb_prop in can. destruct can as (writes & _).
  assert (held (change_thread t (fun x => x <| fault := Some f |>) st)) as ok1
    by (refine (keeps_change_thread p M t _ _ st ok); intros o x; apply calm_same; [reflexivity | right; reflexivity]).
  assert (fault (thread t (change_thread t (fun x => x <| fault := Some f |>) st)) <> None) as faulted
    by (rewrite thread_after_change_thread, N.eqb_refl, is_there; discriminate).
  revert ok1 faulted. generalize (change_thread t (fun x => x <| fault := Some f |>) st). intros st1 ok1 faulted.
  assert (held (snd (send t e badge (can_grant r) (can_grant_reply r) true l true st1))) as sent_.
  { apply held_send; [| |exact ok1].
    - right. split; [exact faulted|]. exists slot, part. split; [exact less|]. split; [exact owned|].
      refine (may_fewer p part e badge r _ _ _ held_). unfold rights_le. cbn. rewrite writes. repeat split; auto. discriminate.
    - intros u rest x o q _ _ _ _ none. destruct (faulted none). }
  destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & after); cbn [snd] in sent_; try exact sent_. exact (keeps_make_inactive p M t after sent_).
Qed.
End Begins.

(** ** Tables *)
Section Tables.
Variables (p : Policy) (M : N -> N -> Prop) (subject : N).
Notation held := (held p M).
Hypothesis is_closed : closed p.
Hypothesis loud : ~ In subject (silent p).
Hypothesis itself : acting p subject = subject.
Hypothesis tables : gives_tables p subject.
Definition may_fill (t : N) : Prop := may p subject (VSpaceCap t None) \/ may p subject (PageTableCap t None).
Lemma table_given h t : gives h (VSpaceCap t None) = true \/ gives h (PageTableCap t None) = true ->
  In (held_type h) [CapType.CNode; CapType.VSpace; CapType.PageTable; CapType.Untyped] /\ is_in t 4096 (held_start h) (held_size h) = true.
Proof.
  unfold gives. rewrite !covers_cases. cbn [cap_type range_of fst snd rights_of In].
  intros [given|given]; destruct given as [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate; rewrite kind; tauto.
Qed.
Lemma table_passes t owner : may_fill t -> owner_of p t = Some owner -> passes p owner subject.
Proof.
  intros fills owned. unfold owner_of in owned. destruct (List.find _ (regions p)) as [r|] eqn:region; [|discriminate]. injection owned as <-.
  apply find_some in region. destruct region as (region & inside).
  assert (exists h, In h (permitted p) /\ holder h = subject /\ (gives h (VSpaceCap t None) = true \/ gives h (PageTableCap t None) = true))
    as (h & listed & whose & given).
  { destruct fills as [[quiet|(h & rest)]|[quiet|(h & rest)]]; try contradiction; exists h; tauto. }
  rewrite <- itself, <- whose. destruct (table_given h t given) as (kind & within_). apply (containers_pass p is_closed h r).
  - split; [exact listed | rewrite whose; exact loud].
  - exact kind.
  - exact region.
  - revert within_ inside. unfold reaches, is_in, overlaps. rewrite !andb_true_iff, !N.leb_le, !N.ltb_lt. lia.
Qed.
Lemma next_is_filled t i next st : held st -> may_fill t -> table_entries t st !! i = Some (NextTable next) -> may_fill next.
Proof.
  intros ok fills found. assert (entries_within p t (table_entries t st)) as entries_.
  { unfold table_entries in *. destruct (objects st !! t) as [[]|] eqn:there; try (rewrite find_empty in found; discriminate); exact (ok t _ there). }
  destruct (entries_ i _ found) as (owner & owned & may_). right. exact (may_passes p owner subject _ (table_passes t owner fills owned) may_).
Qed.
Lemma walked_is_filled steps : forall t level address st above reached entry, held st -> may_fill t ->
  walk_tables steps t level address st = (above, reached, entry) -> may_fill above.
Proof.
  induction steps as [|steps IH]; intros t level address st above reached entry ok fills walked_; cbn [walk_tables] in walked_.
  - destruct (table_entries t st !! entry_index level address) as [[]|]; injection walked_ as <- _ _; exact fills.
  - destruct (table_entries t st !! entry_index level address) as [[next|]|] eqn:found; try (injection walked_ as <- _ _; exact fills).
    exact (IH next _ address st above reached entry ok (next_is_filled t _ next st ok fills found) walked_).
Qed.
Lemma held_entry t i e st : may_fill t -> may p subject (stands_for e) -> held st -> held (set_page_entry t i e st).
Proof.
  intros fills held_ ok. assert (is_mappable (stands_for e) = true) as mappable by (destruct e; reflexivity).
  destruct (tables t (stands_for e) fills mappable held_) as (owner & owned & may_). unfold set_page_entry, change_table.
  assert (forall x, entries_within p t x -> entries_within p t (set i e x)) as each.
  { intros x before j d. rewrite find_set. destruct (j =? i); [|apply before]. intros same. injection same as <-. exists owner.
    split; [exact owned | exact may_]. }
  destruct (objects st !! t) as [[]|] eqn:there; try exact (keeps_emit p M Stuck st ok);
    refine (held_put p M t _ _ st there _ ok); exact (each _).
Qed.

Variables (st : State) (call : Invocation).
Hypothesis ok : held st.
Definition decided_held (d : Decision) : Prop := match d with Perform work => held (state_after (work st)) | Refuse _ _ => True end.
Hypothesis invoked_may : is_zombie (invoked call) = false -> may p subject (invoked call).
Hypothesis argument_may : forall i c, argument (cap i call) = Some c -> is_zombie c = false -> may p subject c.
Lemma held_table_map a b i : decided_held (page_table_map a b (cap i call) call st).
Proof.
  unfold page_table_map. destruct (invoked call) as [| | | | | | | | |table place| | | | | | | | |] eqn:is_t; try exact I. destruct place; [exact I|].
  unfold vspace_argument. destruct (argument (cap i call)) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|] eqn:given; try exact I.
  destruct (owns_asid _ _ _); [|exact I]. cbv beta iota zeta. destruct (_ <? _); [|exact I].
  destruct (walk_tables 3 v 0 a st) as ((above & level) & entry) eqn:walked_. destruct (_ && _); [|exact I].
  cbn [decided_held always state_after]. apply (keeps_change_capability p M). apply held_entry; [| |exact ok].
  - refine (walked_is_filled 3 v 0 a st above level entry ok _ walked_). left. exact (argument_may i _ given eq_refl).
  - exact (invoked_may eq_refl).
Qed.
Lemma held_frame_map a b c i : decided_held (frame_map a b c (cap i call) call st).
Proof.
  unfold frame_map. destruct (invoked call) as [| | | | | | | | | |base bits device r place| | | | | | | |] eqn:is_f; try exact I.
  unfold vspace_argument. destruct (argument (cap i call)) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|] eqn:given; try exact I.
  destruct (owns_asid _ _ _); [|exact I]. cbv beta iota zeta.
  do 4 (match goal with |- decided_held (if ?x then _ else _) => destruct x end; [|exact I]).
  unfold table_of_level. destruct (walk_tables _ v 0 a st) as ((table & reached) & entry) eqn:walked_. destruct (reached =? _); [|exact I].
  match goal with |- decided_held (if ?x then _ else _) => destruct x end; [|exact I].
  assert (may_fill table) as fills by (refine (walked_is_filled _ v 0 a st table reached entry ok _ walked_); left; exact (argument_may i _ given eq_refl)).
  cbn [decided_held always state_after]. apply (keeps_change_capability p M). apply held_entry; [exact fills | |].
  - refine (may_fewer_frame p subject base bits device r place _ _ _ (invoked_may eq_refl)). unfold rights_le, mapping_rights, common_rights. cbn.
    rewrite !andb_true_iff. repeat split; try tauto; discriminate.
  - match goal with |- held (if ?x then _ else _) => destruct x end; [exact (keeps_emit p M _ st ok) | exact ok].
Qed.
Lemma held_decode m : decided_held (decode_method m call st).
Proof.
  destruct (is_mapping m) eqn:maps_.
  - destruct m; try discriminate maps_; [apply held_table_map | apply held_frame_map].
  - pose proof (decode_good p M m call st maps_ ok) as done_. unfold decided_held. destruct (decode_method m call st) as [e l|work]; [exact I|].
    pose proof (done_ st ok) as after. destruct (work st); exact after.
Qed.
End Tables.

(** ** Threads that are there do not end *)
Lemma thread_not_ending st t i : sound st -> thread_exists t st = true -> not_zombie t st -> i < thread_slots -> ~ is_ending st (slot_of t i).
Proof.
  intros right there alive less (z & o & zombie & inside). unfold is_within, slot_count in inside. rewrite andb_true_iff, N.leb_le, N.ltb_lt in inside.
  destruct inside as (above & below). destruct (N.eq_dec o t) as [->|other]; [exact (alive z zombie)|].
  unfold thread_exists in there. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:found; try discriminate there. clear there. rename found into there.
  assert (forall y, objects st !! o = Some y -> apart (t, size_of (ThreadObject x)) (o, size_of y)) as far
    by (intros y at_o; exact (objects_are_apart st (memory_right st right) t o _ y there at_o (not_eq_sym other))).
  unfold apart, slot_of, slot_bytes, thread_slots in *. cbn [fst snd size_of] in far. change (N.shiftl 1 slot_bits) with 32 in *.
  change (N.shiftl 1 tcb_size_bits) with 2048 in far.
  destruct (objects st !! o) as [[r|y| | | | | | |]|]; try lia.
  - specialize (far _ eq_refl). cbn [size_of] in far. rewrite N.shiftl_mul_pow2, N.mul_1_l, N.pow_add_r in far. change (2 ^ slot_bits) with 32 in far.
    rewrite N.shiftl_mul_pow2, N.mul_1_l in below. lia.
  - specialize (far _ eq_refl). cbn [size_of] in far. change (N.shiftl 1 tcb_size_bits) with 2048 in far. lia.
Qed.

(** ** Phases *)
Section Phases.
Variables (p : Policy) (M : N -> N -> Prop).
Notation held := (held p M).
Notation fit := (fit p).
Notation quietly := (fit_is_kept_quietly p).
Hypothesis is_closed : closed p.
Hypothesis nobodys : owner_of p nowhere = None.
Record kept_in (st : State) : Prop := { kept_fit : fit st; kept_parts : parts st; kept_held : held st }.
Definition runs (t : N) (st : State) : Prop := run_state (thread t st) = Running.
Lemma runs_exists t st : runs t st -> thread_exists t st = true.
Proof. unfold runs, thread_exists, thread. destruct (objects st !! t) as [[]|]; intros same; try discriminate same; reflexivity. Qed.
Lemma runs_alive t st : parts st -> runs t st -> not_zombie t st.
Proof. intros (_ & wait & _) on. apply (awake nobody t st wait). rewrite on. discriminate. Qed.
Lemma slot_is_held st t i c : kept_in st -> runs t st -> i < thread_slots -> capability_at (slot_of t i) st = Some c -> is_zombie c = false ->
  exists part, owner_of p (slot_of t i) = Some part /\ may p part c.
Proof.
  intros [(right & use & _) whole_ _] on less there usable. apply (use _ c there usable).
  exact (thread_not_ending st t i right (runs_exists t st on) (runs_alive t st whole_ on) less).
Qed.
Lemma kept_raise slot l t f st : slot < thread_slots -> kept_in st -> runs t st -> kept_in (raise_fault_to slot l t f st).
Proof.
  intros less ok on. constructor.
  - exact (@StepProofs.keeps_raise_fault_to _ _ _ _ quietly slot l t f eq_refl st (kept_fit st ok)).
  - exact (raised_parts slot l t f st (kept_parts st ok) on).
  - apply held_raise; [|exact less | exact (runs_exists t st on) | exact (kept_held st ok)]. intros e badge r there.
    exact (slot_is_held st t slot _ ok on less there eq_refl).
Qed.
Lemma same_thread_again t f st : (forall x, sched_context (f x) = sched_context x) -> (forall x, run_state (f x) = run_state x) ->
  (forall x, bound_notification (f x) = bound_notification x) -> (forall x, fault (f x) = fault x) -> kept_in st -> runs t st ->
  kept_in (change_thread t f st) /\ runs t (change_thread t f st).
Proof.
  intros s r b same [okf okp okh] on. destruct (parts_thread t f st s r b okp) as (after & state). split; [|unfold runs; rewrite state; exact on].
  constructor; [exact (q_thread p t f st okf) | exact after|].
  refine (keeps_change_thread p M t f _ st okh). intros o x. apply calm_same; [apply r | left; apply same].
Qed.
Lemma kept_cap_fault t a q r st : kept_in st -> runs t st -> kept_in (snd (cap_fault t a q r st)).
Proof.
  intros ok on. unfold cap_fault. cbn [snd]. destruct (same_thread_again t to_restart st) as (after & goes); try reflexivity; [exact ok | exact on|].
  exact (kept_raise fault_slot true t _ _ eq_refl after goes).
Qed.
Lemma kept_unknown t st : kept_in st -> runs t st -> kept_in (snd (unknown_system_call t st)).
Proof.
  intros ok on. unfold unknown_system_call. cbn [snd]. destruct (same_thread_again t to_restart st) as (after & goes); try reflexivity; [exact ok | exact on|].
  exact (kept_raise fault_slot true t _ _ eq_refl after goes).
Qed.
Lemma kept_result t e l st : kept_in st -> kept_in (put_result t e l st).
Proof.
  intros [okf okp okh]. constructor; [exact (@StepProofs.keeps_put_result _ _ _ _ quietly t e l st okf) | exact (result_parts t e l st okp)
    | exact (keeps_put_result p M t e l st okh)].
Qed.
Lemma kept_back t st : kept_in st -> kept_in (go_back t st).
Proof.
  intros [okf okp okh]. constructor; [exact (@StepProofs.keeps_go_back _ _ _ _ quietly t st okf) | exact (back_parts t st okp) | exact (keeps_go_back p M t
    st okh)].
Qed.

(** What those who meet in a phase need: whoever gives a capability passes what he may hold, and who will be answered gets it from whom he may. *)
Record meets_fairly (st : State) (t address : N) : Prop := {
  sends_fairly : forall e badge r u x o q g, names st t address (EndpointCap e badge r) -> can_write r = true ->
    hd_error (receivers (endpoint e st)) = Some u -> run_state (thread u st) = BlockedOnReceive x o q g -> fault (thread t st) = None ->
    (can_grant r = true -> agree p st t u) /\ (can_grant r || can_grant_reply r = true -> g = true -> forall a, o = Some a -> M t a);
  receives_fairly : forall e badge r u after x b g gr c l, names st t address (EndpointCap e badge r) -> can_read r = true ->
    In u (senders (endpoint e st)) -> held after -> sends_as st after -> run_state (thread u after) = BlockedOnSend x b g gr c l ->
      fault (thread u after) = None ->
    (g = true -> agree p st u t)
    /\ (c = true -> g || gr = true -> can_grant r = true -> forall a rights, names st t (register 6 (thread t st)) (ReplyCap a rights) -> M u a);
  answers_fairly : forall o r u, names st t address (ReplyCap o r) -> can_grant r = true -> caller (reply o st) = Some u ->
    answer_may_grant (run_state (thread u st)) = true -> fault (thread u st) = None -> agree p st t u
}.

Section Phase.
Variables (t subject : N) (start : State) (address : N).
Hypothesis ok : kept_in start.
Hypothesis on : runs t start.
Hypothesis who : acts p start t subject.
Hypothesis tables : gives_tables p subject.
Hypothesis fair : meets_fairly start t address.
Lemma named_may a c : names start t a c -> is_zombie c = false -> may p subject c.
Proof.
  intros (slot & found) usable. destruct (occupied_address t a start slot c found) as (at_ & there).
  exact (proj2 (address_known p t subject is_closed start a slot c (kept_fit start ok) who at_ there) usable).
Qed.
Lemma waits_by_caller c : may p subject c -> waits_by p t c.
Proof.
  intros may_. destruct who as ((part & owned & _ & acts_ & _) & _). exists part. unfold slot_of in owned. rewrite N.mul_0_r, N.add_0_r in owned.
  split; [exact owned | rewrite acts_; exact may_].
Qed.
Lemma held_invoke slot c : occupied_slot_of_address t address start = inl (slot, c) -> held (snd (invoke t slot c start)).
Proof.
  intros found. destruct ok as [okf _ okh]. destruct (occupied_address t address start slot c found) as (at_ & there).
  pose proof (address_known p t subject is_closed start address slot c okf who at_ there) as known_. pose proof who as ((part & _ & _ & _ & loud & itself) &
    _ & _).
  unfold invoke. cbv zeta. destruct (cap_arguments_at _ t start) as [arguments|(bad & report)] eqn:args; [|exact okh].
  unfold decide. destruct (method_for _ c) as [m|] eqn:method; [|exact okh]. destruct (_ && _); [|exact okh].
  set (call := Build_Invocation t slot c _ arguments).
  assert (forall i d, argument (cap i call) = Some d -> is_zombie d = false -> may p subject d) as each.
  { intros i d is_d usable. assert (In (cap i call) arguments) as listed.
    { unfold cap in *. cbn [cap_arguments call] in *. destruct (Nat.lt_ge_cases i (length arguments)) as [less|more]; [apply nth_In; exact less|].
      rewrite nth_overflow in is_d by exact more. discriminate. }
    exact (proj2 (proj2 (arguments_are_known p t subject is_closed start _ arguments okf who args _ d listed is_d)) usable). }
  pose proof (held_decode p M subject is_closed loud itself tables start call okh (proj2 known_) each m) as done_.
  destruct (decode_method m call start) as [error details|work]; [exact okh|]. unfold decided_held in done_. destruct (work start); exact done_.
Qed.
Lemma send_through e badge r : names start t address (EndpointCap e badge r) -> can_write r = true -> forall c l w,
  fit (snd (send t e badge (can_grant r) (can_grant_reply r) c l w start)) /\ held (snd (send t e badge (can_grant r) (can_grant_reply r) c l w start)).
Proof.
  intros named_ writes c l w. destruct ok as [okf _ okh]. split.
  - apply fit_send; [exact is_closed | exact nobodys | exact okf|]. intros u x o q g yes listed state none.
    exact (proj1 (sends_fairly _ _ _ fair e badge r u x o q g named_ writes listed state none) yes).
  - apply held_send; [| |exact okh].
    + left. apply waits_by_caller. refine (may_fewer p subject e badge r _ _ _ (named_may address _ named_ eq_refl)). unfold rights_le. cbn. rewrite writes.
      repeat split; auto. discriminate.
    + intros u rest x o q queue state _ asks none.
      refine (proj2 (sends_fairly _ _ _ fair e badge r u x (Some o) q true named_ writes _ state none) asks eq_refl o eq_refl). rewrite queue. reflexivity.
Qed.
Lemma kept_send_phase manner : kept_in (snd (send_phase t address manner start)).
Proof.
  pose proof ok as [okf okp okh]. pose proof (phase_sends_bonds t address manner start okp on) as parts_.
  cut (fit (snd (send_phase t address manner start)) /\ held (snd (send_phase t address manner start))); [intros (a & b); constructor;
    assumption|]. clear parts_.
  unfold send_phase. destruct (occupied_slot_of_address t address start) as [(slot & c)|report] eqn:found; [|split; [exact okf | exact okh]].
  pose proof (conj (fit_invoke p t subject is_closed nobodys start _ slot c okf who found) (held_invoke slot c found)) as invoked_.
  destruct c; try exact invoked_; clear invoked_.
  - destruct (can_write rights) eqn:writes; [|split; assumption].
    pose proof (send_through endpoint badge rights (ex_intro _ slot found) writes (calls_back manner) (lends_context manner) (waits manner)) as sent.
    destruct (send _ _ _ _ _ _ _ _ start) as ([] & after); cbn [snd] in sent; first [exact sent | split; assumption].
  - destruct (can_write rights); [|split; assumption].
    split; [exact (@StepProofs.keeps_signal _ _ _ _ quietly notification badge eq_refl start okf) | exact (keeps_signal p M notification badge start okh)].
  - split; [|exact (held_answer p M t reply (can_grant rights) start okh)]. apply fit_answer; [exact is_closed | exact nobodys | exact okf|].
    intros u yes calls_ grants none. exact (answers_fairly _ _ _ fair reply rights u (ex_intro _ slot found) yes calls_ grants none).
  - split; [apply q_emit; exact okf | exact (keeps_emit p M _ start okh)].
Qed.
Lemma kept_reply_phase : address = register 6 (thread t start) -> kept_in (reply_phase t start).
Proof.
  intros is_x6. pose proof ok as [okf okp okh]. pose proof (reply_phase_parts t start okp) as parts_.
  cut (fit (reply_phase t start) /\ held (reply_phase t start)); [intros (a & b); constructor; assumption|]. clear parts_.
  unfold reply_phase. rewrite <- is_x6. destruct (occupied_slot_of_address t address start) as [(slot & c)|] eqn:found; [|split; assumption].
  destruct c; try (split; assumption). split; [|exact (held_answer p M t reply (can_grant rights) start okh)].
  apply fit_answer; [exact is_closed | exact nobodys | exact okf|].
  intros u yes calls_ grants none. exact (answers_fairly _ _ _ fair reply rights u (ex_intro _ slot found) yes calls_ grants none).
Qed.
Lemma source_cases with_reply : address = register 0 (thread t start) ->
  match source_of t with_reply start with
  | FromEndpoint e r g => exists badge rights, names start t address (EndpointCap e badge rights) /\ can_read rights = true /\ g = can_grant rights
      /\ forall o, r = Some o -> exists more, names start t (register 6 (thread t start)) (ReplyCap o more)
  | FromNotification n => exists badge rights, names start t address (NotificationCap n badge rights) /\ can_read rights = true
  | FromNothing _ _ => True
  end.
Proof.
  intros is_x0. unfold source_of. rewrite <- is_x0. destruct (occupied_slot_of_address t address start) as [(slot & c)|] eqn:found; [|exact I].
  destruct c; try exact I.
  - destruct (can_read rights) eqn:reads; cbn [negb]; [|exact I]. destruct with_reply.
    + destruct (occupied_slot_of_address t (register 6 (thread t start)) start) as [(s & d)|] eqn:second; [|exact I]. destruct d; try exact I.
      exists badge, rights. split; [exists slot; exact found|]. split; [exact reads|]. split; [reflexivity|]. intros o same. injection same as <-.
      exists rights0, s. exact second.
    + exists badge, rights. split; [exists slot; exact found|]. split; [exact reads|]. split; [reflexivity | discriminate].
  - destruct (can_read rights && _) eqn:reads; [|exact I]. apply andb_prop in reads. exists badge, rights.
    split; [exists slot; exact found | exact (proj1 reads)].
Qed.
Lemma kept_receive_now with_reply blocking : address = register 0 (thread t start) -> kept_in (snd (receive_now t with_reply blocking start)).
Proof.
  intros is_x0. pose proof ok as [okf okp okh]. pose proof (receives_now_parts t with_reply blocking start okp on) as parts_.
  pose proof (source_cases with_reply is_x0) as source_. unfold receive_now in *.
  destruct (source_of t with_reply start) as [e r g|n|a report]; cbn [snd] in *; [| |exact (kept_cap_fault t a 1 report start ok on)].
  - destruct source_ as (badge & rights & named_ & reads & -> & replies). constructor; [|exact parts_|].
    + apply (fit_receive p start is_closed nobodys (fun st => held st /\ sends_as start st)).
      * intros o (held_ & _). split; [exact (keeps_free_reply p M o start held_) | apply sends_freed].
      * exact okf.
      * split; [exact okh | apply sends_objects; reflexivity].
      * intros u listed after x b gr c l (held_ & before) state none.
        exact (proj1 (receives_fairly _ _ _ fair e badge rights u after x b true gr c l named_ reads listed held_ before state none) eq_refl).
    + apply held_receive; [| | |exact okh].
      * apply waits_by_caller. refine (may_fewer p subject e badge rights _ _ _ (named_may address _ named_ eq_refl)). unfold rights_le. cbn. rewrite reads.
        repeat split; auto; discriminate.
      * intros o is_o. destruct (replies o is_o) as (more & second). exact (waits_by_caller _ (named_may _ _ second eq_refl)).
      * intros u after x b g gr l o listed held_ before state is_o grants asks none. destruct (replies o is_o) as (more & second).
        exact (proj2 (receives_fairly _ _ _ fair e badge rights u after x b g gr true l named_ reads listed held_ before state none) eq_refl asks grants o more
          second).
  - destruct source_ as (badge & rights & named_ & reads). constructor; [exact (@StepProofs.keeps_wait_on _ _ _ _ quietly t n blocking eq_refl start okf) |
    exact parts_|].
    apply held_wait_on; [|exact okh]. apply waits_by_caller. refine (may_fewer_flags p subject n badge rights _ _ _ (named_may address _ named_ eq_refl)).
    unfold rights_le. cbn. rewrite reads. repeat split; auto; discriminate.
Qed.
End Phase.

(** ** Whole system calls: what is needed of a phase is needed only when it comes, of a thread that runs *)
Definition ready_for (t : N) (st : State) (address : N) : Prop :=
  exists subject, acts p st t subject /\ gives_tables p subject /\ meets_fairly st t address.
Variables (t : N) (start : State).
Hypothesis ok : kept_in start.
Hypothesis on : runs t start.
Hypothesis each : forall at_ address, begins start t at_ address -> kept_in at_ -> runs t at_ -> ready_for t at_ address.
Lemma kept_becomes n st : kept_in st -> kept_in (becomes n t st).
Proof.
  intros [okf okp okh]. constructor; [exact (q_becomes p t n st okf) | exact (@StepProofs.keeps_becomes _ _ _ _ parts_quietly n t st okp)
    | exact (keeps_becomes p M n t st okh)].
Qed.
Lemma kept_early r first_phase st : kept_in st -> runs t st -> kept_in (state_of (refuse_early t r first_phase st)) /\ runs t (state_of (refuse_early t r
  first_phase st)).
Proof.
  intros [okf okp okh] goes. destruct (refused_early_whole t r first_phase st (conj okp goes)) as (after & still_). split; [|exact still_].
  constructor; [exact (@StepProofs.keeps_refuse_early _ _ _ _ quietly t r first_phase eq_refl st okf) | exact after | exact (keeps_refuse_early p M t r
    first_phase st okh)].
Qed.
(** What is needed of the phase that receives is needed once all that are refused are. *)
Definition ready_then (r : bool) (st : State) : Prop :=
  let at_ := all_refused t r st in kept_in at_ -> runs t at_ -> ready_for t at_ (register 0 (thread t at_)).
Lemma kept_receives r blocking st : kept_in st -> runs t st -> ready_then r st -> kept_in (snd (receive_phase t r blocking st)).
Proof.
  intros before goes then_. destruct (kept_early r (free_own_reply t r) st before goes) as (ok1 & on1). destruct (then_ ok1 on1) as (subject & who & _ & fair).
  change (receive_phase t r blocking st) with (unless_preempted t (refuse_early t r (free_own_reply t r) st) (receive_now t r blocking)).
  unfold all_refused in *. destruct (refuse_early t r (free_own_reply t r) st) as [one|one]; cbn [state_of unless_preempted] in *;
    [|exact (kept_back t one ok1)].
  exact (kept_receive_now t subject one _ ok1 on1 who fair r blocking eq_refl).
Qed.
Lemma kept_then_receive (r : bool) st : kept_in st -> ready_then r (becomes (if r then Syscall.Recv else Syscall.Wait) t st) ->
  kept_in (snd (then_receive t r st)).
Proof.
  intros okb second. unfold then_receive. destruct (negb _); [exact okb|]. cbv zeta.
  pose proof (kept_becomes (if r then Syscall.Recv else Syscall.Wait) st okb) as ok1. revert ok1 second.
  generalize (becomes (if r then Syscall.Recv else Syscall.Wait) t st). intros st1 ok1 second.
  destruct (is_running t st1) eqn:goes; cbn [andb]; [destruct (negb _)|]; cbn [snd].
  - exact (kept_receives r true st1 ok1 (proj1 (running_is t st1) goes) second).
  - pose proof ok1 as [okf okp okh]. constructor; [apply q_thread; exact (@StepProofs.keeps_forget_yield _ _ _ _ quietly t _ okf) | |].
    + exact (proj1 (parts_restart t _ (@StepProofs.keeps_forget_yield _ _ _ _ parts_quietly t st1 okp))).
    + refine (keeps_change_thread p M t to_restart _ _ (keeps_forget_yield p M t st1 okh)). intros o x. apply calm_same; [reflexivity | left; reflexivity].
  - pose proof ok1 as [okf okp okh]. constructor; [apply q_thread; exact (@StepProofs.keeps_forget_yield _ _ _ _ quietly t _ okf) | |].
    + exact (proj1 (parts_restart t _ (@StepProofs.keeps_forget_yield _ _ _ _ parts_quietly t st1 okp))).
    + refine (keeps_change_thread p M t to_restart _ _ (keeps_forget_yield p M t st1 okh)). intros o x. apply calm_same; [reflexivity | left; reflexivity].
Qed.
Lemma kept_reply_and_receive : Syscall.of_number (N.land (register 7 (thread t start)) syscall_number_mask) = Some Syscall.ReplyRecv ->
  kept_in (snd (reply_and_receive t start)).
Proof.
  intros number. unfold reply_and_receive. destruct (kept_early true (reply_phase t) start ok on) as (ok1 & on1).
  assert (forall at_ address, In (at_, address) (phases Syscall.ReplyRecv t start) -> kept_in at_ -> runs t at_ -> ready_for t at_ address) as here
    by (intros at_ address listed; apply each; exists Syscall.ReplyRecv; split; assumption).
  cbn [phases] in here. cbv zeta in here. destruct (refuse_early t true (reply_phase t) start) as [st1|st1]; cbn [state_of unless_preempted] in *;
    [|exact (kept_back t st1 ok1)].
  destruct (here _ _ (or_introl eq_refl) ok1 on1) as (subject & who & tables & fair).
  apply kept_then_receive; [exact (kept_reply_phase t st1 _ ok1 fair eq_refl)|].
  exact (here _ _ (or_intror (or_introl eq_refl))).
Qed.
Lemma kept_long_words l st : kept_in st -> kept_in (write_long_words t l st).
Proof.
  intros [okf okp okh]. constructor; [exact (fit_long_words p t l st okf) | exact (@StepProofs.keeps_write_long_words _ _ _ _ parts_quietly t l st okp)
    | exact (keeps_write_long_words p M t l st okh)].
Qed.
Lemma kept_send_and_receive (r : bool) s : s = (if r then Syscall.NBSendRecv else Syscall.NBSendWait) ->
  Syscall.of_number (N.land (register 7 (thread t start)) syscall_number_mask) = Some s -> kept_in (snd (send_and_receive t r start)).
Proof.
  intros is_s number. unfold send_and_receive.
  assert (forall at_ address, In (at_, address) (phases s t start) -> kept_in at_ -> runs t at_ -> ready_for t at_ address) as here
    by (intros at_ address listed; apply each; exists s; split; assumption).
  destruct (kept_early r (pass_message t) start ok on) as (ok1 & on1).
  assert (forall st1, refuse_early t r (pass_message t) start = Done st1 ->
    (kept_in st1 -> runs t st1 -> ready_for t st1 (register 8 (thread t st1)))
    /\ let told := match pass_on t st1 with (Reported _ l, st) => write_long_words t (fitting_words t l st) st | (_, st) => st end in
       ready_then r (becomes (if r then Syscall.Recv else Syscall.Wait) t told)) as both_.
  { intros st1 early. rewrite is_s in here. unfold ready_then, all_refused. split; apply here; destruct r; cbn [phases]; cbv zeta; rewrite early;
      cbn [state_of]; first [left; reflexivity | right; left; reflexivity]. }
  destruct (refuse_early t r (pass_message t) start) as [st1|st1]; cbn [state_of unless_preempted] in *; [|exact (kept_back t st1 ok1)].
  destruct (both_ st1 eq_refl) as (first & second). clear both_ here. destruct (first ok1 on1) as (subject & who & tables & fair).
  pose proof (kept_send_phase t subject st1 _ ok1 on1 who tables fair passing_on) as passed.
  fold (pass_on t st1) in passed. cbv zeta in second. destruct (pass_on t st1) as ([error l| |address report|] & after); cbn [snd] in passed.
  - apply kept_then_receive; [apply kept_long_words; exact passed | exact second].
  - apply kept_then_receive; [exact passed | exact second].
  - apply kept_then_receive; [exact passed | exact second].
  - exact (kept_back t after passed).
Qed.
Lemma kept_sends manner : ready_for t start (register 0 (thread t start)) -> kept_in (snd (sends t manner start)).
Proof.
  intros (subject & who & tables & fair). unfold sends, finish_send.
  pose proof (kept_send_phase t subject start _ ok on who tables fair manner) as after.
  destruct (phase_sends t (register 0 (thread t start)) manner start (proj1 (proj2 (kept_parts start ok))) on) as (_ & back).
  destruct (send_phase _ _ _ _) as ([e d| |x r|] & two); cbn [fst snd] in *.
  - destruct e; apply kept_result; exact after.
  - exact after.
  - rewrite (back x r eq_refl). destruct (faults manner); [exact (kept_cap_fault t x 0 r start ok on) | apply kept_result; exact ok].
  - apply kept_back. exact after.
Qed.
Lemma kept_system_call : kept_in (snd (system_call t start)).
Proof.
  pose proof (kept_unknown t start ok on) as unknown.
  unfold system_call. cbv zeta. destruct (Syscall.of_number _) as [s|] eqn:number; [|exact unknown]. destruct (_ && _); [exact unknown|].
  assert (In (start, register 0 (thread t start)) (phases s t start) -> ready_for t start (register 0 (thread t start))) as here
    by (intros listed; apply each; [exists s; split; assumption | exact ok | exact on]).
  unfold run_system_call. cbv zeta. destruct s;
    try (apply kept_sends, here; left; reflexivity);
    try (apply kept_receives; [exact ok | exact on | unfold ready_then, all_refused; apply each; eexists; split; [exact number | left; reflexivity]]).
  all: cbn [snd]; clear here; pose proof ok as [okf okp okh].
  - exact (kept_reply_and_receive number).
  - exact (kept_send_and_receive true _ eq_refl number).
  - exact (kept_send_and_receive false _ eq_refl number).
  - constructor; [exact (@StepProofs.keeps_yield _ _ _ _ quietly t start okf) | exact (@StepProofs.keeps_yield _ _ _ _ parts_quietly t start okp) | exact
    (keeps_yield p M t start okh)].
  - constructor; [apply q_emit; exact okf | exact (@StepProofs.keeps_emit _ _ _ _ parts_quietly _ start okp) | exact (keeps_emit p M _ start okh)].
  - constructor; [apply q_emit; exact okf | exact (@StepProofs.keeps_emit _ _ _ _ parts_quietly _ start okp) | exact (keeps_emit p M _ start okh)].
  - refine (proj1 (same_thread_again t _ start _ _ _ _ ok on)); reflexivity.
Qed.
End Phases.
