(* SPDX-License-Identifier: BSD-2-Clause *)
(** * An answer brings the context back

    The context that went along with a call goes back to the caller when the call is answered, and nothing behind that in the step takes it away: what comes at
    the end of a step lends no context. *)
From Coq Require Import Lia.
From Spec Require Export LendProofs.
Open Scope N_scope.

(** ** States in which the same threads have the same contexts, with the same calls *)
Definition same_loans (a b : State) : Prop :=
  (forall t, sched_context (thread t b) = sched_context (thread t a)) /\ forall c, calls (context c b) = calls (context c a).
Definition as_lent (a b : State) : Prop := all_live b /\ same_loans a b.
Lemma same_loans_trans a b c : same_loans a b -> same_loans b c -> same_loans a c.
Proof. intros (t1 & c1) (t2 & c2). split; intros o; [rewrite t2 | rewrite c2]; auto. Qed.
Lemma loans_of_bonds a b : same_bonds a b -> same_loans a b.
Proof. intros same. split; [exact (same_had a b same) | intros c; exact (proj1 (proj2 (same_used a b same c)))]. Qed.
Lemma as_lent_then a b c : all_live c -> same_bonds b c -> as_lent a b -> as_lent a c.
Proof. intros alive same (_ & loans). exact (conj alive (same_loans_trans a b c loans (loans_of_bonds b c same))). Qed.
Lemma as_lent_start st : all_live st -> as_lent st st. Proof. intros alive. split; [exact alive | split; reflexivity]. Qed.
Lemma lent_quietly a : kept_quietly_but but_lending (as_lent a) (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_. constructor; try (intros; exact I).
  - intros b c s r o d l ok. exact (as_lent_then a b c (live_same b c s r o (proj1 ok)) (same_bonds_objects b c o) ok).
  - intros t st [].
  - intros insert t st usual ok. exact (as_lent_then a st _ (after_place live_ insert t st usual (proj1 ok)) (place_bonds insert t st) ok).
  - intros t st asleep ok. apply (as_lent_then a st); [| |exact ok].
    + exact (after_sleeping_anew live_ t st asleep (proj1 ok)).
    + apply same_bonds_objects. reflexivity.
  - intros o x y st there kind change fine ok. apply (as_lent_then a st); [| |exact ok].
    + apply (after_put_object live_ o x y st there kind); [|exact fine | exact (proj1 ok)]. destruct y, x; try exact I; repeat split; discriminate.
    + exact (put_same_bonds o x y st there kind (change_is_bond _ _ change)).
Qed.
Lemma lent_kept a : kept_but but_lending (as_lent a) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | intros st ok; exact (proj1 ok)|]. intros st after alive objs _ _ _. apply as_lent_then; [exact alive|].
  destruct objs as [same|(o & x & no & new & same)]; [exact (same_bonds_objects st after same) | exact (new_same_bonds o x st after no new same)].
Qed.

(** ** What changes who waits leaves them *)
Lemma lent_thread a t f st : (forall x, sched_context (f x) = sched_context x) -> as_lent a st -> as_lent a (change_thread t f st).
Proof. intros same ok. exact (as_lent_then a st _ (thread_live t f st (proj1 ok)) (thread_bonds t f st same) ok). Qed.
Lemma lent_endpoint a e f st : as_lent a st -> as_lent a (change_endpoint e f st).
Proof. intros ok. exact (as_lent_then a st _ (endpoint_live e f st (proj1 ok)) (endpoint_bonds e f st) ok). Qed.
Lemma lent_reply a r v st : as_lent a st -> as_lent a (put_reply r v st).
Proof.
  intros (alive & loans). split; [exact (reply_live r v st alive)|]. apply (same_loans_trans a st); [exact loans|].
  split; intros o; [rewrite (proj1 (proj2 (after_reply r v st))) | rewrite context_after_reply]; reflexivity.
Qed.
Lemma lent_unplaced a t st : as_lent a st -> as_lent a (unplace t st).
Proof.
  intros ok. apply (as_lent_then a st); [|apply same_bonds_objects; reflexivity | exact ok].
  exact (live_same st (unplace t st) eq_refl eq_refl eq_refl (proj1 ok)).
Qed.
Lemma lent_woken a t st : as_lent a st -> as_lent a (wake t st) /\ as_lent a (wake_ahead t st).
Proof.
  intros ok. pose proof (@keeps_begin_sporadic _ _ _ _ (lent_quietly a) t _ (lent_thread a t (with_state Running) st (fun _ => eq_refl) ok)) as begun.
  split; [exact (@keeps_place _ _ _ _ (lent_quietly a) t _ begun) | exact (@keeps_place_ahead _ _ _ _ (lent_quietly a) t _ begun)].
Qed.
Lemma lent_inactive a t st : as_lent a st -> as_lent a (make_inactive t st).
Proof. intros ok. apply lent_thread; [reflexivity | exact (lent_unplaced a t st ok)]. Qed.
Lemma lent_unanswered a t st : as_lent a st -> as_lent a (end_unanswered t st).
Proof.
  intros ok. unfold end_unanswered. destruct (fault (thread t st)); [exact (lent_inactive a t st ok)|]. cbv zeta.
  pose proof (@keeps_set_error_result _ _ _ _ (lent_quietly a) Error.CallCancelled t st ok) as told.
  destruct (is_running t _); [exact told | exact (proj1 (lent_woken a t _ told))].
Qed.

(** A message that lends nothing. *)
Lemma lent_met a s t e b r rg g gr is_call st : as_lent a st -> as_lent a (meet s t e b r rg g gr is_call false st).
Proof.
  intros ok. unfold meet. cbv zeta. change (lends_now s t (false && _) st) with false. cbv iota.
  pose proof (@keeps_deliver _ _ _ _ (lent_quietly a) (lent_kept a) (message_of s st) (Some e) b g s t st ok) as told.
  change (as_lent a (deliver (message_of s st) (Some e) b g s t st)) in told. revert told. generalize (deliver (message_of s st) (Some e) b g s t st).
  intros one ok1. set (two := match r with Some r => put_reply r unused_reply one | None => one end).
  assert (as_lent a two) as ok2 by (unfold two; destruct r; [apply lent_reply|]; exact ok1). clearbody two.
  match goal with |- as_lent a (if is_running t ?x then _ else _) => assert (as_lent a x) as ok3; [|revert ok3; generalize x] end.
  { destruct is_call; [|exact ok2]. destruct (true && _); [|exact (lent_unanswered a s two ok2)]. destruct r as [r|]; [|exact (lent_unanswered a s two ok2)].
    apply lent_reply, lent_thread; [apply begin_call_context | exact (lent_unplaced a s two ok2)]. }
  intros three ok3. destruct (is_running t three); [exact ok3 | exact (proj1 (lent_woken a t three ok3))].
Qed.
Lemma lent_sent a t e b g gr is_call blocking st : as_lent a st -> as_lent a (snd (send t e b g gr is_call false blocking st)).
Proof.
  intros ok. unfold send. destruct (receivers (endpoint e st)) as [|first rest].
  - destruct blocking; [|exact ok]. cbn [snd]. apply lent_endpoint, lent_thread; [reflexivity | exact (lent_unplaced a t st ok)].
  - pose proof (@keeps_emit _ _ _ _ (lent_quietly a) Stuck st ok) as stuck. destruct (run_state (thread first st)); try exact stuck. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [exact ok|]. cbn [snd]. apply lent_met, lent_endpoint. exact ok.
Qed.
Lemma lent_raised a slot t f st : as_lent a st -> as_lent a (raise_fault_to slot false t f st).
Proof.
  intros ok. unfold raise_fault_to. pose proof (lent_inactive a t st ok) as stops. destruct (capability_at _ st) as [[]|]; try exact stops.
  destruct (_ && _); [|exact stops]. cbv zeta. set (one := change_thread t (fun x => x <| fault := Some f |>) st).
  assert (as_lent a one) as ok1 by (apply lent_thread; [reflexivity | exact ok]). clearbody one.
  pose proof (lent_sent a t endpoint badge (can_grant rights) (can_grant_reply rights) true true one ok1) as sent.
  destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); try exact sent. exact (lent_inactive a t two sent).
Qed.

(** ** The end of a step *)
Lemma lent_budget a st : as_lent a st -> as_lent a (end_budget st).
Proof.
  intros ok. unfold end_budget. cbv zeta. pose proof (@keeps_book_turn _ _ _ _ (lent_quietly a) st ok) as booked. change (as_lent a (book_turn st)) in booked.
  revert booked. generalize (book_turn st). clear. intros st ok. destruct (current_context st) as [c|]; [|exact ok].
  destruct (thread_that_uses c st) as [t|]; [|exact ok]. destruct (is_used_up c st); [|exact ok].
  pose proof (@keeps_place _ _ _ _ (lent_quietly a) t st ok) as placed. change (as_lent a (place t st)) in placed. unfold time_out.
  destruct (capability_at _ (place t st)) as [[]|]; try exact placed.
  pose proof (proj2 (@keeps_report_consumed _ _ _ _ (lent_quietly a) c _ placed)) as told. destruct (report_consumed c (place t st)) as (used & two).
  exact (lent_raised a _ t _ two told).
Qed.
Lemma lent_field a b c : as_lent a b -> slots c = slots b -> references c = references b -> objects c = objects b -> ready c = ready b ->
  sleeping c = sleeping b -> as_lent a c.
Proof. intros ok s r o d l. exact (looks_at_objects (lent_quietly a) b c s r o d l ok). Qed.
Lemma lent_chosen a st : as_lent a st -> as_lent a (choose_thread st).
Proof.
  intros ok. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (as_lent a one) as ok1 by (unfold one; destruct (ends_turn _); [exact (@keeps_end_turn_if_due _ _ _ _ (lent_quietly a) st ok) | exact ok]).
  clearbody one. set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (as_lent a two) as ok2.
  { unfold two. destruct (_ && _); [exact ok1|]. unfold change_context_in_use. cbv zeta. pose proof (lent_budget a one ok1) as ended.
    revert ended. generalize (end_budget one). intros three ok3. set (four := three <| current_context := context_of_first three |>).
    assert (as_lent a four) as ok4 by (apply (lent_field a three); [exact ok3 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
    clearbody four. destruct (context_of_first three) as [c|]; [|exact ok4]. destruct (_ || _); [exact ok4|].
    refine (@keeps_change_context _ _ _ _ (lent_quietly a) c _ _ _ four ok4).
    - split; [intros; exact I|]. intros x. symmetry. apply bits_of_begin_use.
    - intros x _. split; [apply uses_of_begin_use | apply loan_of_begin_use]. }
  clearbody two. set (three := two <| current := first_ready two |>).
  assert (as_lent a three) as ok3 by (apply (lent_field a two); [exact ok2 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
  clearbody three. destruct (first_ready two) as [t|]; [|exact ok3].
  refine (@keeps_end_yield_by _ _ _ _ (lent_quietly a) report_booked t reports_booked _ three ok3).
  intros c. exact (@keeps_report_booked _ _ _ _ (lent_quietly a) c).
Qed.

(** ** The answer *)
Lemma context_comes_back r t c rest st : all_live st -> thread_exists t st = true -> along (reply r st) = Some c -> calls (context c st) = r :: rest ->
  sched_context (thread t st) = None ->
  let after := return_context r t st in all_live after /\ sched_context (thread t after) = Some c /\ calls (context c after) = rest.
Proof.
  intros alive there with_c stack free. cbv zeta. unfold return_context. rewrite with_c, stack, N.eqb_refl.
  assert (In r (calls (context c st))) as listed by (rewrite stack; left; reflexivity). pose proof (called_exists r c st listed) as c_there.
  set (g := fun x : SchedContext => x <| calls := rest |>). destruct (after_context c g st) as (context1 & thread1 & _).
  pose proof (context_sorts c g st (fun _ => eq_refl)) as sorts1. pose proof (context_live c g st (fun _ => eq_refl) alive) as alive1.
  assert (calls (context c (change_context c g st)) = rest) as calls1 by (rewrite context1, N.eqb_refl, c_there; reflexivity).
  set (one := change_context c g st) in *. clearbody one. set (two := put_reply r (without_context (reply r one)) one).
  assert (thread t two = thread t one) as thread2 by apply (proj1 (proj2 (after_reply r _ one))).
  assert (context c two = context c one) as context2 by apply context_after_reply.
  pose proof (reply_sorts r (without_context (reply r one)) one) as sorts2. pose proof (reply_live r (without_context (reply r one)) one alive1) as alive2.
  fold two in sorts2, alive2. unfold context_of. rewrite thread2, thread1, free.
  assert (thread_exists t two = true) as there2 by (rewrite (proj1 (sorts2 t)), (proj1 (sorts1 t)); exact there).
  assert (context_exists c two = true) as c_there2 by (rewrite (proj1 (proj2 (sorts2 c))), (proj1 (proj2 (sorts1 c))); exact c_there).
  rewrite <- context2 in calls1. clearbody two. clear - alive2 there2 c_there2 calls1. unfold give_context. cbv zeta.
  set (three := match context_thread (context c two) with Some from => _ | None => two end).
  assert (all_live three /\ thread_exists t three = true /\ calls (context c three) = rest) as (alive3 & there3 & calls3).
  { unfold three. destruct (context_thread (context c two)) as [from|]; [|exact (conj alive2 (conj there2 calls1))].
    split; [apply thread_live; exact (live_same two (unplace from two) eq_refl eq_refl eq_refl alive2)|].
    split; [rewrite (proj1 (thread_sorts from _ (unplace from two) t)); exact there2 | rewrite context_after_thread; exact calls1]. }
  clearbody three. set (h := fun x : SchedContext => x <| context_thread := Some t |>). destruct (after_context c h three) as (context4 & _ & _).
  split; [apply thread_live, context_live; [reflexivity | exact alive3]|]. split.
  - rewrite thread_after_change_thread, N.eqb_refl, (proj1 (context_sorts c h three (fun _ => eq_refl) t)), there3. reflexivity.
  - rewrite context_after_thread, context4. destruct (_ && _); exact calls3.
Qed.
Lemma answer_returns t r g other c rest st : all_live st -> thread_exists other st = true -> caller (reply r st) = Some other ->
  along (reply r st) = Some c -> calls (context c st) = r :: rest -> sched_context (thread other st) = None ->
  let after := answer t r g st in all_live after /\ sched_context (thread other after) = Some c /\ calls (context c after) = rest.
Proof.
  intros alive there called with_c stack free. cbv zeta. unfold answer. rewrite called. cbv zeta.
  destruct (context_comes_back r other c rest st alive there with_c stack free) as (alive1 & has & left_).
  set (grant := g && _). clearbody grant. set (had := is_some (context_of other st)). clearbody had. set (one := return_context r other st) in *. clearbody one.
  assert (forall after, as_lent one after -> all_live after /\ sched_context (thread other after) = Some c /\ calls (context c after) = rest) as enough
    by (intros after (fine & threads & contexts); rewrite threads, contexts; exact (conj fine (conj has left_))).
  apply enough. clear enough. assert (as_lent one (change_thread other (with_state Running) (put_reply r unused_reply one))) as ok
    by (apply lent_thread; [reflexivity|]; apply lent_reply, as_lent_start; exact alive1).
  revert ok. generalize (change_thread other (with_state Running) (put_reply r unused_reply one)). intros two ok.
  match goal with |- as_lent one (if negb (is_running other ?x) then _ else _) => assert (as_lent one x) as told; [|revert told; generalize x] end.
  { destruct (fault (thread other two)) as [f|].
    - unfold answer_fault. cbv zeta. match goal with |- as_lent one (if _ then ?x else _) => assert (as_lent one x) as fine end.
      { apply lent_thread; [|exact ok]. intros x. set (y := write_registers _ _ _).
        assert (sched_context y = sched_context x) as same by exact (eq_trans (uses_of_registers _ _) eq_refl).
        destruct (fault_label f); try exact same. rewrite debug_context. exact same. }
      destruct (goes_on _ _); [exact fine | apply lent_thread; [reflexivity | exact fine]].
    - exact (@keeps_deliver _ _ _ _ (lent_quietly one) (lent_kept one) _ None 0 grant t other two ok). }
  intros three told. destruct (is_running other three); cbn [negb]; [|exact told]. destruct (lent_woken one other three told) as (behind_ & ahead_).
  destruct had; assumption.
Qed.

(** Claim [answers_return_contexts]. *)
Theorem answers_return_contexts_proved : answers_return_contexts step.
Proof.
  intros p st e t r c rest other apart reached is_call cur (s & slot & rights & number & usual & found) called free stack.
  destruct (reachable_parts p st apart reached) as (_ & wait & bonds).
  destruct (@keeps_enter _ _ _ _ (steady_quietly none st) e st (steady_start none st bonds)) as (ok & same).
  change (bonded none (enter e st)) in ok. change (same_bonds st (enter e st)) in same.
  destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st wait)) as (wait1 & same_waits_).
  change (waiting nobody (enter e st)) in wait1.
  assert (current (enter e st) = Some t /\ forall o, reply o (enter e st) = reply o st) as (is_cur & replies).
  { unfold enter, save_registers. change (current (begin_step e st)) with (current st). rewrite cur. split.
    - unfold change_thread. destruct (objects (begin_step e st) !! t) as [[]|]; exact cur.
    - intros o. exact (proj2 (proj2 (after_thread t (with_registers (saved e)) (begin_step e st))) o). }
  assert (along (reply r st) = Some c) as with_c by (apply (b_along none st bonds); rewrite stack; left; reflexivity).
  rewrite <- (replies r) in called, with_c. rewrite <- (same_had _ _ same) in free.
  rewrite <- (proj1 (proj2 (same_used _ _ same c))) in stack. destruct (is_caller _ r (enter e st) other wait1 called) as (grant & state).
  assert (thread_exists other (enter e st) = true) as there by (apply thread_is; rewrite state; discriminate).
  assert (forall result after, as_lent after after -> sched_context (thread other after) = Some c /\ calls (context c after) = rest ->
    sched_context (thread other (fst (fst (finish (result, after))))) = Some c /\ calls (context c (fst (fst (finish (result, after))))) = rest) as ends.
  { intros result after fine (has & left_). unfold finish. cbn [fst snd].
    destruct (lent_field after _ (leave (choose_thread after)) (lent_chosen after after fine) eq_refl eq_refl eq_refl eq_refl eq_refl)
      as (_ & threads & contexts).
    rewrite threads, contexts. split; assumption. }
  unfold step. rewrite is_call. unfold handle. rewrite is_cur. unfold system_call. cbv zeta. rewrite number.
  assert (is_debug_call s = false) as plain by (destruct usual as [<-|[<-|[<-|[]]]]; reflexivity). rewrite plain. cbn [andb].
  pose proof (answer_returns t r (can_grant rights) other c rest _ (b_live none _ ok) there called with_c stack free) as back. cbv zeta in back.
  assert (forall m, sends t m (enter e st) = (Succeeds, put_result t Error.NoError [] (answer t r (can_grant rights) (enter e st)))) as sent
    by (intros m; unfold sends, send_phase; rewrite found; reflexivity).
  assert (forall m, sched_context (thread other (fst (fst (finish (sends t m (enter e st)))))) = Some c
    /\ calls (context c (fst (fst (finish (sends t m (enter e st)))))) = rest) as each.
  { intros m. rewrite sent. destruct back as (alive & has & left_).
    pose proof (@keeps_put_result _ _ _ _ (lent_quietly _) t Error.NoError [] _ (as_lent_start _ alive)) as (alive2 & threads & contexts).
    apply ends; [apply as_lent_start; exact alive2 | rewrite threads, contexts; split; assumption]. }
  unfold run_system_call. cbv zeta. destruct usual as [<-|[<-|[<-|[]]]]; apply each.
Qed.
