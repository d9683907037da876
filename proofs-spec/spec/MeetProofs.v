(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Who waits: messages, answers, signals and faults

    Each operation on threads that wait begins and ends with nobody excused. *)
From Coq Require Import Lia.
From Spec Require Export WaitProofs.
Open Scope N_scope.

(** ** Both and more *)
Lemma both_quietly frozen P Q : kept_quietly_but frozen P (fun _ => True) (fun _ => True) -> kept_quietly_but frozen Q (fun _ => True) (fun _ => True) ->
  kept_quietly_but frozen (fun st => P st /\ Q st) (fun _ => True) (fun _ => True).
Proof.
  intros p q. constructor; try (intros; exact I).
  - intros a b s r o d l. pose proof (looks_at_objects p a b s r o d l) as in_p. pose proof (looks_at_objects q a b s r o d l) as in_q. revert in_p in_q.
    unfold provided. destruct (frozen Handling), (frozen Placing), (frozen Telling); tauto.
  - intros t st. pose proof (after_unplace p t st) as in_p. pose proof (after_unplace q t st) as in_q. revert in_p in_q.
    unfold provided. destruct (holds_contexts frozen); tauto.
  - intros insert t st usual (in_p & in_q). split; [exact (after_place p insert t st usual in_p) | exact (after_place q insert t st usual in_q)].
  - intros t st asleep (in_p & in_q). split; [exact (after_sleeping_anew p t st asleep in_p) | exact (after_sleeping_anew q t st asleep in_q)].
  - intros o x y st there same change fine (in_p & in_q).
    split; [exact (after_put_object p o x y st there same change fine in_p) | exact (after_put_object q o x y st there same change fine in_q)].
  - pose proof (given_yields p) as in_p. pose proof (given_yields q) as in_q. revert in_p in_q. destruct (frozen Yielding); [|intros; exact I].
    intros (p1 & p2) (q1 & q2). split; [intros report t st usual (x & y) | intros t st (x & y)]; split; auto.
Qed.

(** A state in which all wait as in another. *)
Definition still (ex : Excuse) (a b : State) : Prop := waiting ex b /\ same_waits a b.
Lemma still_quietly ex a : kept_quietly_but but_binding (still ex a) (fun _ => True) (fun _ => True).
Proof. exact (both_quietly but_binding _ _ (waiting_quietly ex) (waits_quietly a)). Qed.
Lemma still_kept ex a : kept_but but_binding (still ex a) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | intros st (ok & _); exact (w_live ex st ok)|].
  intros st after alive objs fewer same_ready same_sleeping (ok & same).
  assert (same_waits st after) as more
    by (destruct objs as [is|(o & x & none & new & is)]; [exact (same_waits_objects st after is) | exact (new_same_waits o x st after none new is)]).
  split; [|exact (same_waits_trans _ _ _ same more)].
  apply (waiting_same ex st); [exact alive | exact more | exact fewer | intros t; rewrite same_ready, same_sleeping; intros listed; left;
    exact listed | exact ok].
Qed.
Lemma still_start ex st : waiting ex st -> still ex st st. Proof. intros ok. exact (conj ok (same_waits_refl st)). Qed.

(** Objects stay: all but the ends of objects keep them, of their kinds. *)
Definition but_moving (k : Link) : bool := match k with Ending => true | _ => false end.
Definition stay (a b : State) : Prop := all_live b /\ forall o x, objects a !! o = Some x -> exists y, objects b !! o = Some y /\ same_kind x y.
Lemma same_kind_refl x : same_kind x x. Proof. destruct x; reflexivity || exact I. Qed.
Lemma same_kind_trans x y z : same_kind x y -> same_kind y z -> same_kind x z.
Proof. destruct x, y; cbn; try contradiction; destruct z; try contradiction; try (intros; exact I); intros; congruence. Qed.
Lemma stay_quietly a : kept_quietly_but but_moving (stay a) (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_. constructor; try (intros; exact I).
  - intros b c s r o d l (alive & all_). split; [exact (looks_at_objects live_ b c s r o d l alive)|]. rewrite o. exact all_.
  - intros t st (alive & all_). split; [exact (after_unplace live_ t st alive) | exact all_].
  - intros insert t st usual (alive & all_). split; [exact (after_place live_ insert t st usual alive)|].
    rewrite (proj2 (proj2 (place_by_same insert t st))). exact all_.
  - intros t st asleep (alive & all_). split; [exact (after_sleeping_anew live_ t st asleep alive) | exact all_].
  - intros o x y st there same change fine (alive & all_). split.
    + apply (after_put_object live_ o x y st there same); [|exact fine | exact alive]. destruct y, x; try exact I; repeat split; discriminate.
    + intros k z found. destruct (all_ k z found) as (w & here & kind). change (objects (put_object o x st)) with (set o x (objects st)).
      rewrite find_set. destruct (N.eqb_spec k o) as [->|]; [|exists w; split; assumption].
      exists x. split; [reflexivity|]. rewrite there in here. injection here as <-. exact (same_kind_trans _ _ _ kind same).
Qed.
Lemma stay_kept a : kept_but but_moving (stay a) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | intros st (alive & _); exact alive|]. intros st after alive objs _ _ _ (_ & all_). split; [exact alive|].
  intros k x found. destruct (all_ k x found) as (y & here & kind). destruct objs as [->|(o & z & none & _ & ->)]; [exists y; split; assumption|].
  rewrite find_set. destruct (N.eqb_spec k o) as [->|]; [congruence | exists y; split; assumption].
Qed.
Lemma stay_start ex st : waiting ex st -> stay st st.
Proof. intros ok. split; [exact (w_live ex st ok)|]. intros o x there. exists x. split; [exact there | apply same_kind_refl]. Qed.
Lemma endpoint_stays a b e : stay a b -> endpoint_exists e a = true -> endpoint_exists e b = true.
Proof.
  intros (_ & all_). unfold endpoint_exists. destruct (objects a !! e) as [x|] eqn:there; [|discriminate].
  destruct (all_ e x there) as (y & -> & kind). destruct x, y; try contradiction; try discriminate; reflexivity.
Qed.
Lemma reply_stays a b e : stay a b -> reply_exists e a = true -> reply_exists e b = true.
Proof.
  intros (_ & all_). unfold reply_exists. destruct (objects a !! e) as [x|] eqn:there; [|discriminate].
  destruct (all_ e x there) as (y & -> & kind). destruct x, y; try contradiction; try discriminate; reflexivity.
Qed.
Lemma thread_is t st : run_state (thread t st) <> Inactive -> thread_exists t st = true.
Proof. intros other. destruct (thread_exists t st) eqn:there; [reflexivity|]. exfalso. apply other. rewrite (missing_thread t st there). reflexivity. Qed.

(** ** Leaving and joining *)
Definition plus (ex : Excuse) (t : N) (p : Post) : Excuse := fun u q => ex u q \/ (u = t /\ q = p).
Lemma leave_receivers ex t e st : waiting ex st ->
  waiting (plus ex t (InReceivers e)) (change_endpoint e (fun x => x <| receivers := without t (receivers x) |>) st).
Proof.
  intros ok. pose proof (fun u => w_stands ex st ok u (InSenders e)) as in_s. pose proof (fun u => w_stands ex st ok u (InReceivers e)) as in_r.
  destruct (w_once ex st ok e) as (once_s & once_r & _). cbn [stands] in *. apply (repost_endpoint ex); [exact ok | | exact once_s | | | |]; unfold plus.
  - destruct (endpoint_exists e st) eqn:there; [left; reflexivity | right]. destruct (missing_endpoint e st there) as (none & no).
    cbn. rewrite none, no. split; reflexivity.
  - exact (once_without t _ once_r).
  - intros u. change (In u (senders (endpoint e st)) <-> ~ (ex u (InSenders e) \/ u = t /\ InSenders e = InReceivers e)
    /\ says (run_state (thread u st)) (InSenders e)).
    rewrite in_s. intuition discriminate.
  - intros u. change (In u (without t (receivers (endpoint e st))) <-> ~ (ex u (InReceivers e) \/ u = t /\ InReceivers e = InReceivers e)
    /\ says (run_state (thread u st)) (InReceivers e)).
    rewrite in_without, in_r. intuition congruence.
  - intros u p not_s not_r. intuition congruence.
Qed.
Lemma leave_senders ex t e st : waiting ex st ->
  waiting (plus ex t (InSenders e)) (change_endpoint e (fun x => x <| senders := without t (senders x) |>) st).
Proof.
  intros ok. pose proof (fun u => w_stands ex st ok u (InSenders e)) as in_s. pose proof (fun u => w_stands ex st ok u (InReceivers e)) as in_r.
  destruct (w_once ex st ok e) as (once_s & once_r & _). cbn [stands] in *. apply (repost_endpoint ex); [exact ok | | | exact once_r | | |]; unfold plus.
  - destruct (endpoint_exists e st) eqn:there; [left; reflexivity | right]. destruct (missing_endpoint e st there) as (none & no).
    cbn. rewrite none, no. split; reflexivity.
  - exact (once_without t _ once_s).
  - intros u. change (In u (without t (senders (endpoint e st))) <-> ~ (ex u (InSenders e) \/ u = t /\ InSenders e = InSenders e)
    /\ says (run_state (thread u st)) (InSenders e)).
    rewrite in_without, in_s. intuition congruence.
  - intros u. change (In u (receivers (endpoint e st)) <-> ~ (ex u (InReceivers e) \/ u = t /\ InReceivers e = InSenders e)
    /\ says (run_state (thread u st)) (InReceivers e)).
    rewrite in_r. intuition discriminate.
  - intros u p not_s not_r. intuition congruence.
Qed.
Lemma leave_waiters ex t n st : waiting ex st ->
  waiting (plus ex t (InWaiters n)) (change_notification n (fun x => x <| waiters := without t (waiters x) |>) st).
Proof.
  intros ok. pose proof (fun u => w_stands ex st ok u (InWaiters n)) as in_w. destruct (w_once ex st ok n) as (_ & _ & once_w). cbn [stands] in *.
  apply (repost_notification ex); [exact ok | | | |]; unfold plus.
  - destruct (notification_exists n st) eqn:there; [left; reflexivity | right]. cbn. rewrite (missing_notification n st there). reflexivity.
  - exact (once_without t _ once_w).
  - intros u. change (In u (without t (waiters (notification n st))) <-> ~ (ex u (InWaiters n) \/ u = t /\ InWaiters n = InWaiters n)
    /\ says (run_state (thread u st)) (InWaiters n)).
    rewrite in_without, in_w. intuition congruence.
  - intros u p not_w. intuition congruence.
Qed.
Lemma clear_reply ex t r st : waiting ex st -> (forall u, caller (reply r st) = Some u \/ receiver (reply r st) = Some u -> u = t) ->
  waiting (fun u p => ex u p \/ (u = t /\ (p = AsCaller r \/ p = AsReceiver r))) (put_reply r unused_reply st).
Proof.
  intros ok only. pose proof (fun u => w_stands ex st ok u (AsCaller r)) as in_c. pose proof (fun u => w_stands ex st ok u (AsReceiver r)) as in_r.
  cbn [stands] in *. apply (repost_reply ex); [exact ok | right; reflexivity | left; reflexivity | | |]; cbn [caller receiver unused_reply].
  - intros u. split; [discriminate|]. intros (free & named). exfalso. apply free. right. split; [|left; reflexivity].
    apply only. left. apply in_c. split; [tauto | exact named].
  - intros u. split; [discriminate|]. intros (free & named). exfalso. apply free. right. split; [|right; reflexivity].
    apply only. right. apply in_r. split; [tauto | exact named].
  - intros u p not_c not_r. intuition congruence.
Qed.
Definition drops (ex ex' : Excuse) (t : N) (p : Post) : Prop := ~ ex' t p /\ forall u q, (u = t /\ q = p) \/ (ex' u q <-> ex u q).
Lemma join_receivers ex ex' insert t e st before : waiting ex st -> inserts insert -> drops ex ex' t (InReceivers e) -> ex t (InReceivers e) ->
  says (run_state (thread t st)) (InReceivers e) -> endpoint_exists e st = true ->
  waiting ex' (change_endpoint e (fun x => x <| receivers := insert t (receivers x) before |>) st).
Proof.
  intros ok inserting (joins & others) away says_ there. pose proof (fun u => w_stands ex st ok u (InSenders e)) as in_s.
  pose proof (fun u => w_stands ex st ok u (InReceivers e)) as in_r.
  destruct (w_once ex st ok e) as (once_s & once_r & _). cbn [stands] in *.
  apply (repost_endpoint ex); [exact ok | left; exact there | exact once_s | | | |].
  - change (NoDup (insert t (receivers (endpoint e st)) before)). apply inserted_once; [exact inserting | exact once_r|]. rewrite in_r. tauto.
  - intros u. change (In u (senders (endpoint e st)) <-> ~ ex' u (InSenders e) /\ says (run_state (thread u st)) (InSenders e)).
    rewrite in_s. destruct (others u (InSenders e)) as [(_ & no)|same]; [discriminate | tauto].
  - intros u. change (In u (insert t (receivers (endpoint e st)) before) <-> ~ ex' u (InReceivers e) /\ says (run_state (thread u st)) (InReceivers e)).
    rewrite (in_inserted insert _ _ _ u inserting), in_r. destruct (N.eq_dec u t) as [->|other]; [tauto|].
    destruct (others u (InReceivers e)) as [(is_t & _)|same]; [contradiction | tauto].
  - intros u p not_s not_r. destruct (others u p) as [(_ & is_p)|same]; [contradiction | exact same].
Qed.
Lemma join_senders ex ex' insert t e st before : waiting ex st -> inserts insert -> drops ex ex' t (InSenders e) -> ex t (InSenders e) ->
  says (run_state (thread t st)) (InSenders e) -> endpoint_exists e st = true ->
  waiting ex' (change_endpoint e (fun x => x <| senders := insert t (senders x) before |>) st).
Proof.
  intros ok inserting (joins & others) away says_ there. pose proof (fun u => w_stands ex st ok u (InSenders e)) as in_s.
  pose proof (fun u => w_stands ex st ok u (InReceivers e)) as in_r.
  destruct (w_once ex st ok e) as (once_s & once_r & _). cbn [stands] in *.
  apply (repost_endpoint ex); [exact ok | left; exact there | | exact once_r | | |].
  - change (NoDup (insert t (senders (endpoint e st)) before)). apply inserted_once; [exact inserting | exact once_s|]. rewrite in_s. tauto.
  - intros u. change (In u (insert t (senders (endpoint e st)) before) <-> ~ ex' u (InSenders e) /\ says (run_state (thread u st)) (InSenders e)).
    rewrite (in_inserted insert _ _ _ u inserting), in_s. destruct (N.eq_dec u t) as [->|other]; [tauto|].
    destruct (others u (InSenders e)) as [(is_t & _)|same]; [contradiction | tauto].
  - intros u. change (In u (receivers (endpoint e st)) <-> ~ ex' u (InReceivers e) /\ says (run_state (thread u st)) (InReceivers e)).
    rewrite in_r. destruct (others u (InReceivers e)) as [(_ & no)|same]; [discriminate | tauto].
  - intros u p not_s not_r. destruct (others u p) as [(_ & is_p)|same]; [contradiction | exact same].
Qed.
Lemma join_waiters ex ex' insert t n st before : waiting ex st -> inserts insert -> drops ex ex' t (InWaiters n) -> ex t (InWaiters n) ->
  says (run_state (thread t st)) (InWaiters n) -> notification_exists n st = true ->
  waiting ex' (change_notification n (fun x => x <| waiters := insert t (waiters x) before |>) st).
Proof.
  intros ok inserting (joins & others) away says_ there. pose proof (fun u => w_stands ex st ok u (InWaiters n)) as in_w.
  destruct (w_once ex st ok n) as (_ & _ & once_w). cbn [stands] in *. apply (repost_notification ex); [exact ok | left; exact there | | |].
  - change (NoDup (insert t (waiters (notification n st)) before)). apply inserted_once; [exact inserting | exact once_w|]. rewrite in_w. tauto.
  - intros u. change (In u (insert t (waiters (notification n st)) before) <-> ~ ex' u (InWaiters n) /\ says (run_state (thread u st)) (InWaiters n)).
    rewrite (in_inserted insert _ _ _ u inserting), in_w. destruct (N.eq_dec u t) as [->|other]; [tauto|].
    destruct (others u (InWaiters n)) as [(is_t & _)|same]; [contradiction | tauto].
  - intros u p not_w. destruct (others u p) as [(_ & is_p)|same]; [contradiction | exact same].
Qed.
Lemma join_caller ex ex' t r a st : waiting ex st -> drops ex ex' t (AsCaller r) -> says (run_state (thread t st)) (AsCaller r) -> reply_exists r st = true ->
  caller (reply r st) = None -> receiver (reply r st) = None -> waiting ex' (put_reply r {| caller := Some t; receiver := None; along := a |} st).
Proof.
  intros ok (joins & others) says_ there no_c no_r. pose proof (fun u => w_stands ex st ok u (AsCaller r)) as in_c.
  pose proof (fun u => w_stands ex st ok u (AsReceiver r)) as in_r. cbn [stands] in *. rewrite no_c in in_c. rewrite no_r in in_r.
  apply (repost_reply ex); [exact ok | left; exact there | right; reflexivity | | |]; cbn [caller receiver].
  - intros u. destruct (N.eq_dec u t) as [->|other]; [tauto|]. specialize (in_c u). destruct (others u (AsCaller r)) as [(is_t & _)|same]; [contradiction|].
    rewrite same, <- in_c. split; congruence.
  - intros u. specialize (in_r u). destruct (others u (AsReceiver r)) as [(_ & no)|same]; [discriminate|]. rewrite same. exact in_r.
  - intros u p not_c not_r. destruct (others u p) as [(_ & is_p)|same]; [contradiction | exact same].
Qed.
Lemma join_receiver ex ex' t r a st : waiting ex st -> drops ex ex' t (AsReceiver r) -> says (run_state (thread t st)) (AsReceiver r) ->
  reply_exists r st = true ->
  caller (reply r st) = None -> receiver (reply r st) = None -> waiting ex' (put_reply r {| caller := None; receiver := Some t; along := a |} st).
Proof.
  intros ok (joins & others) says_ there no_c no_r. pose proof (fun u => w_stands ex st ok u (AsCaller r)) as in_c.
  pose proof (fun u => w_stands ex st ok u (AsReceiver r)) as in_r. cbn [stands] in *. rewrite no_c in in_c. rewrite no_r in in_r.
  apply (repost_reply ex); [exact ok | left; exact there | left; reflexivity | | |]; cbn [caller receiver].
  - intros u. specialize (in_c u). destruct (others u (AsCaller r)) as [(_ & no)|same]; [discriminate|]. rewrite same. exact in_c.
  - intros u. destruct (N.eq_dec u t) as [->|other]; [tauto|]. specialize (in_r u). destruct (others u (AsReceiver r)) as [(is_t & _)|same]; [contradiction|].
    rewrite same, <- in_r. split; congruence.
  - intros u p not_c not_r. destruct (others u p) as [(_ & is_p)|same]; [contradiction | exact same].
Qed.

(** ** Threads that move *)

(** A state in which all but one thread wait as in another. *)
Record same_but (t : N) (a b : State) : Prop := {
  other_state : forall u, u <> t -> run_state (thread u b) = run_state (thread u a);
  but_endpoint : forall e, endpoint e b = endpoint e a;
  but_waiters : forall n, waiters (notification n b) = waiters (notification n a);
  but_caller : forall r, caller (reply r b) = caller (reply r a);
  but_receiver : forall r, receiver (reply r b) = receiver (reply r a)
}.
Lemma same_but_trans t a b c : same_but t a b -> same_but t b c -> same_but t a c.
Proof.
  intros [s1 e1 w1 c1 r1] [s2 e2 w2 c2 r2]. constructor; [intros u other; rewrite s2, s1; auto | | | |]; intros o;
    [rewrite e2 | rewrite w2 | rewrite c2 | rewrite r2]; auto.
Qed.
Lemma same_but_of t a b : same_waits a b -> same_but t a b.
Proof. intros [s e w c r]. constructor; auto. Qed.
Lemma thread_same_but t f st : same_but t st (change_thread t f st).
Proof.
  destruct (after_thread t f st) as (e & n & r). constructor; intros o; [|rewrite e | rewrite n | rewrite r | rewrite r]; try reflexivity.
  intros other. rewrite thread_after_change_thread. destruct (N.eqb_spec o t); [contradiction | reflexivity].
Qed.
Lemma wake_same_but t st : same_but t st (wake t st) /\ same_but t st (wake_ahead t st).
Proof.
  split; (apply (same_but_trans t _ _ _ (thread_same_but t (with_state Running) st))); apply same_but_of; unfold wake, wake_ahead.
  - exact (@keeps_place _ _ _ _ (waits_quietly _) t _ (@keeps_begin_sporadic _ _ _ _ (waits_quietly _) t _ (same_waits_refl _))).
  - exact (@keeps_place_ahead _ _ _ _ (waits_quietly _) t _ (@keeps_begin_sporadic _ _ _ _ (waits_quietly _) t _ (same_waits_refl _))).
Qed.
Lemma wakes ex ex' t st : waiting ex st -> (forall p, says (run_state (thread t st)) p -> ex t p) -> not_zombie t st ->
  (forall u p, u <> t -> (ex u p <-> ex' u p)) -> waiting ex' (wake t st) /\ waiting ex' (wake_ahead t st).
Proof.
  intros ok excused alive others. assert (waiting ex' (change_thread t (with_state Running) st)) as runs.
  { apply (restate ex); [exact ok | | exact others | right; exact alive | left; reflexivity]. intros p. cbn [with_state run_state says].
    split; [intros (free & named); exfalso; exact (free (excused p named)) | intros (_ & [])]. }
  unfold wake, wake_ahead. pose proof (@keeps_begin_sporadic _ _ _ _ (waiting_quietly ex') t _ runs) as begun.
  split; [exact (@keeps_place _ _ _ _ (waiting_quietly ex') t _ begun) | exact (@keeps_place_ahead _ _ _ _ (waiting_quietly ex') t _ begun)].
Qed.
Lemma unplaced t st : ~ In t (ready (unplace t st) ++ sleeping (unplace t st)).
Proof.
  rewrite in_app_iff. change (ready (unplace t st)) with (without t (ready st)). change (sleeping (unplace t st)) with (without t (sleeping st)).
  rewrite !in_without. tauto.
Qed.

(** What leaves it says nothing any more. *)
Lemma stopped t st : waiting nobody st -> waiting (all_of t nobody) (stop_waiting t st)
  /\ forall u, run_state (thread u (stop_waiting t st)) = run_state (thread u st).
Proof.
  intros ok. unfold stop_waiting. pose proof (fun u p => w_stands nobody st ok u p) as stands_.
  destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n] eqn:state.
  - split; [|reflexivity]. apply (excuse nobody); [exact ok|]. intros u p named. unfold nobody, all_of. split; [contradiction|].
    intros [->|[]]. rewrite state in named. exact named.
  - split; [|reflexivity]. apply (excuse nobody); [exact ok|]. intros u p named. unfold nobody, all_of. split; [contradiction|].
    intros [->|[]]. rewrite state in named. exact named.
  - pose proof (leave_receivers nobody t e st ok) as left_. set (after := change_endpoint _ _ st) in *.
    destruct (after_endpoint e (fun x => x <| receivers := without t (receivers x) |>) st) as (_ & threads & _ & replies). fold after in threads, replies.
    destruct r as [r|].
    + split; [|intros u; rewrite (proj1 (proj2 (after_reply r unused_reply after))), threads; reflexivity].
      assert (receiver (reply r st) = Some t) as named by (apply (stands_ t (AsReceiver r)); rewrite state; split; [exact (fun x => x) | reflexivity]).
      apply (excuse (fun u p => plus nobody t (InReceivers e) u p \/ (u = t /\ (p = AsCaller r \/ p = AsReceiver r)))).
      * apply clear_reply; [exact left_|]. intros u. rewrite replies, named. destruct (w_one nobody st ok r) as [none|none]; [rewrite none|congruence].
        intros [same|same]; congruence.
      * intros u p. rewrite (proj1 (proj2 (after_reply r unused_reply after))), threads. destruct (N.eq_dec u t) as [->|other].
        -- rewrite state. destruct p; cbn [says]; unfold nobody, all_of, plus; intuition (subst; try discriminate; try congruence).
        -- unfold nobody, all_of, plus. intuition congruence.
    + split; [|intros u; rewrite threads; reflexivity]. apply (excuse (plus nobody t (InReceivers e))); [exact left_|]. intros u p. rewrite threads.
      destruct (N.eq_dec u t) as [->|other]; [rewrite state; destruct p; cbn [says]|]; unfold nobody, all_of, plus; intuition (subst; try discriminate;
        try congruence).
  - destruct (after_endpoint e (fun x => x <| senders := without t (senders x) |>) st) as (_ & threads & _ & _).
    split; [|intros u; rewrite threads; reflexivity]. apply (excuse (plus nobody t (InSenders e)));
      [exact (leave_senders nobody t e st ok)|]. intros u p. rewrite threads.
    destruct (N.eq_dec u t) as [->|other]; [rewrite state; destruct p; cbn [says]|]; unfold nobody, all_of, plus; intuition (subst; try discriminate;
      try congruence).
  - assert (caller (reply r st) = Some t) as named by (apply (stands_ t (AsCaller r)); rewrite state; split; [exact (fun x => x) | reflexivity]).
    destruct (@keeps_break_stack _ _ _ _ (still_quietly nobody st) r eq_refl st (still_start nobody st ok)) as (broken & same).
    change (waiting nobody (break_stack r st)) in broken. set (after := break_stack r st) in *.
    split; [|intros u; rewrite (proj1 (proj2 (after_reply r unused_reply after))); exact (same_state _ _ same u)].
    apply (excuse (fun u p => nobody u p \/ (u = t /\ (p = AsCaller r \/ p = AsReceiver r)))).
    + apply clear_reply; [exact broken|]. intros u. rewrite (same_caller _ _ same), (same_receiver _ _ same), named.
      destruct (w_one nobody st ok r) as [none|none]; [congruence | rewrite none]. intros [is_|is_]; congruence.
    + intros u p. rewrite (proj1 (proj2 (after_reply r unused_reply after))), (same_state _ _ same). destruct (N.eq_dec u t) as [->|other];
        [rewrite state; destruct p; cbn [says]|]; unfold nobody, all_of, plus; intuition (subst; try discriminate; try congruence).
  - destruct (after_notification n (fun x => x <| waiters := without t (waiters x) |>) st) as (_ & threads & _ & _).
    split; [|intros u; rewrite threads; reflexivity]. apply (excuse (plus nobody t (InWaiters n)));
      [exact (leave_waiters nobody t n st ok)|]. intros u p. rewrite threads.
    destruct (N.eq_dec u t) as [->|other]; [rewrite state; destruct p; cbn [says]|]; unfold nobody, all_of, plus; intuition (subst; try discriminate;
      try congruence).
Qed.

(** A thread that stands nowhere becomes inactive. *)
Lemma deactivated ex ex' t f st : waiting ex st -> (forall p, says (run_state (thread t st)) p -> ex t p) -> (forall u p, u <> t -> (ex u p <-> ex' u p)) ->
  (forall x, run_state (f x) = Inactive) -> ~ In t (ready st ++ sleeping st) -> waiting ex' (change_thread t f st).
Proof.
  intros ok excused others is_inactive queued. apply (restate ex); [exact ok | | exact others | left; apply is_inactive | right; exact queued].
  intros p. rewrite is_inactive. split; [intros (free & named); exfalso; exact (free (excused p named)) | intros (_ & [])].
Qed.
Lemma quiet_registers ex t f st : (forall x, run_state (f x) = run_state x) -> waiting ex st -> waiting ex (change_thread t f st).
Proof. intros same. refine (@keeps_change_thread _ _ _ _ (waiting_quietly ex) t f _ st). intros x. split; [discriminate | intros _; apply same]. Qed.
Lemma suspended t st : waiting nobody st -> waiting nobody (suspend t st) /\ run_state (thread t (suspend t st)) = Inactive.
Proof.
  intros ok. unfold suspend. cbv zeta. pose proof (@keeps_end_yield _ _ _ _ (waiting_quietly nobody) t st ok) as returned.
  change (waiting nobody (end_yield t st)) in returned. revert returned. generalize (end_yield t st). clear. intros st ok.
  destruct (stopped t st ok) as (away & states).
  pose proof (@keeps_unplace _ _ _ _ (waiting_quietly (all_of t nobody)) t eq_refl _ away) as out.
    change (waiting (all_of t nobody) (unplace t (stop_waiting t st))) in out.
  pose proof (unplaced t (stop_waiting t st)) as queued. set (stop := unplace t (stop_waiting t st)) in *.
  set (inactive := change_thread t (fun x => with_state Inactive (x <| fault := None |>)) stop).
  assert (waiting nobody inactive) as after.
  { apply (deactivated (all_of t nobody)); [exact out | | | reflexivity | exact queued]; [intros; left; reflexivity|].
    intros u p other. unfold all_of, nobody. tauto. }
  assert (run_state (thread t inactive) = Inactive) as is_inactive.
  { unfold inactive. rewrite thread_after_change_thread, N.eqb_refl. cbn [andb]. destruct (thread_exists t stop) eqn:there; [reflexivity|].
    rewrite (missing_thread t stop there). reflexivity. }
  assert (forall f, (forall x, run_state (f x) = run_state x) -> waiting nobody (change_thread t f inactive)
    /\ run_state (thread t (change_thread t f inactive)) = Inactive) as more.
  { intros f same. split; [apply quiet_registers; [exact same | exact after]|]. rewrite thread_after_change_thread.
    destruct (_ && _); [rewrite same|]; exact is_inactive. }
  destruct (is_some _); [split; assumption|]. destruct (run_state (thread t st)); try (split; assumption); apply more;
    intros x; unfold to_restart, with_error_result, with_result; first [apply state_of_registers | reflexivity].
Qed.
Lemma slots_of_suspend t st : slots (suspend t st) = slots st.
Proof. exact (proj1 (@keeps_suspend _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) t eq_refl st (conj eq_refl eq_refl))). Qed.
Lemma not_zombie_same t a b : slots b = slots a -> not_zombie t a -> not_zombie t b.
Proof. intros same alive s. rewrite (capability_same s a b same). apply alive. Qed.
Lemma resumed_anyhow t st : waiting nobody st -> not_zombie t st -> waiting nobody (wake t (suspend t st)).
Proof.
  intros ok alive. destruct (suspended t st ok) as (after & inactive). apply (wakes nobody); [exact after | | | intros; reflexivity].
  - rewrite inactive. intros p [].
  - exact (not_zombie_same t _ _ (slots_of_suspend t st) alive).
Qed.
Lemma made_inactive ex ex' t st : waiting ex st -> (forall p, says (run_state (thread t st)) p -> ex t p) -> (forall u p, u <> t -> (ex u p <-> ex' u p)) ->
  waiting ex' (make_inactive t st).
Proof.
  intros ok excused others. unfold make_inactive. apply (deactivated ex); [| exact excused | exact others | reflexivity | apply unplaced].
  exact (@keeps_unplace _ _ _ _ (waiting_quietly ex) t eq_refl st ok).
Qed.
Lemma restarted t st : waiting nobody st -> not_zombie t st -> waiting nobody (restart t st).
Proof.
  intros ok alive. unfold restart. destruct (fault (thread t st)); [|exact (resumed_anyhow t st ok alive)].
  apply (made_inactive (all_of t nobody)); [exact (proj1 (stopped t st ok)) | intros; left; reflexivity|].
  intros u p other. unfold all_of, nobody. tauto.
Qed.

(** ** Reply objects *)
Lemma call_ended ex ex' t h st : waiting ex st -> (forall p, says (run_state (thread t st)) p -> ex t p) -> (forall u p, u <> t -> (ex u p <-> ex' u p)) ->
  not_zombie t st -> ~ In t (ready st ++ sleeping st) -> waiting ex' (end_call_of t h st) /\ same_but t st (end_call_of t h st).
Proof.
  intros ok excused others alive queued. unfold end_call_of. destruct (fault (thread t st)).
  - split; [|apply thread_same_but]. apply (deactivated ex); [exact ok | exact excused | exact others | reflexivity | exact queued].
  - cbv zeta. destruct (@keeps_set_error_result _ _ _ _ (still_quietly ex st) Error.CallCancelled t st (still_start ex st ok)) as (told & same).
    change (waiting ex (set_error_result Error.CallCancelled t st)) in told.
    assert (not_zombie t (set_error_result Error.CallCancelled t st)) as alive_
      by (apply (not_zombie_same t st); [exact (proj1 (thread_frame t _ st)) | exact alive]).
    assert (forall p, says (run_state (thread t (set_error_result Error.CallCancelled t st))) p -> ex t p) as excused_
      by (intros p; rewrite (same_state _ _ same); apply excused).
    destruct (wakes ex ex' t _ told excused_ alive_ others) as (one & two), (wake_same_but t (set_error_result Error.CallCancelled t st)) as (three & four).
    pose proof (same_but_of t _ _ same) as first.
    destruct h; (split; [assumption|]); [exact (same_but_trans t _ _ _ first three) | exact (same_but_trans t _ _ _ first four)].
Qed.

Lemma left_unanswered ex ex' t st : waiting ex st -> (forall p, says (run_state (thread t st)) p -> ex t p) ->
  (forall u p, u <> t -> (ex u p <-> ex' u p)) -> run_state (thread t st) <> Inactive ->
  waiting ex' (end_unanswered t st) /\ same_but t st (end_unanswered t st).
Proof.
  intros ok excused others active. unfold end_unanswered. destruct (fault (thread t st)).
  - split; [exact (made_inactive ex ex' t st ok excused others)|].
    pose proof (same_but_of t _ _ (@keeps_unplace _ _ _ _ (waits_quietly st) t eq_refl st (same_waits_refl st))) as out.
    exact (same_but_trans t _ _ _ out (thread_same_but t _ (unplace t st))).
  - cbv zeta. destruct (@keeps_set_error_result _ _ _ _ (still_quietly ex st) Error.CallCancelled t st (still_start ex st ok)) as (told & same).
    change (waiting ex (set_error_result Error.CallCancelled t st)) in told. pose proof (same_but_of t _ _ same) as first.
    destruct (is_running t (set_error_result Error.CallCancelled t st)) eqn:runs.
    + split; [|exact first]. apply (excuse ex); [exact told|]. intros u p named. destruct (N.eq_dec u t) as [->|other]; [|apply others; exact other].
      apply running_is in runs. rewrite runs in named. destruct named.
    + destruct (wakes ex ex' t (set_error_result Error.CallCancelled t st) told) as (after & _).
      * intros p. rewrite (same_state _ _ same). apply excused.
      * apply (awake ex t _ told). rewrite (same_state _ _ same). exact active.
      * exact others.
      * split; [exact after | exact (same_but_trans t _ _ _ first (proj1 (wake_same_but t _)))].
Qed.

Lemma put_unused r st : reply r (put_reply r unused_reply st) = unused_reply.
Proof.
  rewrite (proj1 (after_reply r unused_reply st)), N.eqb_refl. cbn [andb]. destruct (reply_exists r st) eqn:there;
    [reflexivity | exact (missing_reply r st there)].
Qed.
Lemma unused_again ex r st : waiting ex st -> caller (reply r st) = None -> receiver (reply r st) = None -> waiting ex (put_reply r unused_reply st).
Proof.
  intros ok no_c no_r. pose proof (fun u => w_stands ex st ok u (AsCaller r)) as in_c. pose proof (fun u => w_stands ex st ok u (AsReceiver r)) as in_r.
  cbn [stands] in *. rewrite no_c in in_c. rewrite no_r in in_r.
  apply (repost_reply ex); [exact ok | right; reflexivity | left; reflexivity | exact in_c | exact in_r | intros; reflexivity].
Qed.
Lemma says_caller s r : says s (AsCaller r) -> exists g, s = BlockedOnReply r g.
Proof. destruct s; cbn [says]; try contradiction; [intros named; destruct reply; contradiction | intros ->; eexists; reflexivity]. Qed.
Lemma says_receiver s r : says s (AsReceiver r) -> exists e q g, s = BlockedOnReceive e (Some r) q g.
Proof. destruct s; cbn [says]; try contradiction. destruct reply; [intros ->|contradiction]. do 3 eexists. reflexivity. Qed.
Lemma is_caller ex r st t : waiting ex st -> caller (reply r st) = Some t -> exists g, run_state (thread t st) = BlockedOnReply r g.
Proof. intros ok named. apply says_caller. exact (proj2 (proj1 (w_stands ex st ok t (AsCaller r)) named)). Qed.
Lemma is_receiver ex r st t : waiting ex st -> receiver (reply r st) = Some t -> exists e q g, run_state (thread t st) = BlockedOnReceive e (Some r) q g.
Proof. intros ok named. apply says_receiver. exact (proj2 (proj1 (w_stands ex st ok t (AsReceiver r)) named)). Qed.
Lemma reply_is r st : caller (reply r st) <> None \/ receiver (reply r st) <> None -> reply_exists r st = true.
Proof. intros some. destruct (reply_exists r st) eqn:there; [reflexivity|]. rewrite (missing_reply r st there) in some. destruct some as [no|no];
  destruct (no eq_refl). Qed.

Lemma reply_freed r st : waiting nobody st -> waiting nobody (free_reply r st) /\ reply r (free_reply r st) = unused_reply
  /\ forall u, run_state (thread u st) = Running -> run_state (thread u (free_reply r st)) = Running.
Proof.
  intros ok. unfold free_reply. cbv zeta. split; [|split; [apply put_unused|]].
  - destruct (caller (reply r st)) as [t|] eqn:called.
    + destruct (is_caller _ r st t ok called) as (g & state).
      destruct (@keeps_return_context _ _ _ _ (still_quietly nobody st) r t eq_refl st (still_start nobody st ok)) as (back & same).
      change (waiting nobody (return_context r t st)) in back. set (one := return_context r t st) in *.
      assert (waiting (fun u p => nobody u p \/ (u = t /\ (p = AsCaller r \/ p = AsReceiver r))) (put_reply r unused_reply one)) as two.
      { apply clear_reply; [exact back|]. intros u. rewrite (same_caller _ _ same), (same_receiver _ _ same), called.
        destruct (w_one nobody st ok r) as [none|none]; [congruence | rewrite none]. intros [is_|is_]; congruence. }
      assert (run_state (thread t (put_reply r unused_reply one)) = BlockedOnReply r g) as state2
        by (rewrite (proj1 (proj2 (after_reply r unused_reply one))), (same_state _ _ same); exact state).
      destruct (call_ended _ nobody t (is_some (context_of t st)) _ two) as (three & alike).
      * rewrite state2. intros p. destruct p; cbn [says]; try contradiction. intros ->. right. split; [reflexivity | left; reflexivity].
      * intros u p other. unfold nobody. tauto.
      * apply (awake _ t _ two). rewrite state2. discriminate.
      * apply (not_queued _ t _ two). rewrite state2. discriminate.
      * set (last_ := end_call_of t _ _) in *. pose proof (put_unused r one) as unused.
        assert (caller (reply r last_) = None /\ receiver (reply r last_) = None) as (no_c & no_r)
          by (rewrite (but_caller _ _ _ alike), (but_receiver _ _ _ alike), unused; split; reflexivity).
        rewrite no_r. exact (unused_again nobody r last_ three no_c no_r).
    + destruct (receiver (reply r st)) as [t|] eqn:received; [|exact (unused_again nobody r st ok called received)].
      destruct (is_receiver _ r st t ok received) as (e & q & g & state).
      set (f := fun x => match run_state x with BlockedOnReceive e _ q g => with_state (BlockedOnReceive e None q g) x | _ => x end).
      assert (waiting (fun u p => nobody u p \/ (u = t /\ (p = AsCaller r \/ p = AsReceiver r))) (put_reply r unused_reply st)) as two.
      { apply clear_reply; [exact ok|]. intros u. rewrite called, received. intros [is_|is_]; congruence. }
      assert (run_state (thread t (put_reply r unused_reply st)) = BlockedOnReceive e (Some r) q g) as state2
        by (rewrite (proj1 (proj2 (after_reply r unused_reply st))); exact state).
      assert (run_state (f (thread t (put_reply r unused_reply st))) = BlockedOnReceive e None q g) as state3 by (unfold f; rewrite state2; reflexivity).
      assert (waiting nobody (change_thread t f (put_reply r unused_reply st))) as three.
      { apply (restate (fun u p => nobody u p \/ (u = t /\ (p = AsCaller r \/ p = AsReceiver r)))); [exact two | | | right | right].
        - intros p. rewrite state2, state3. destruct p; cbn [says]; unfold nobody; intuition (subst; try discriminate; try congruence).
        - intros u p other. unfold nobody. tauto.
        - apply (awake _ t _ two). rewrite state2. discriminate.
        - apply (not_queued _ t _ two). rewrite state2. discriminate. }
      assert (t <> r) as apart.
      { intros ->. assert (thread_exists r st = true) as a by (apply thread_is; rewrite state; discriminate).
        assert (reply_exists r st = true) as b by (apply reply_is; right;
          congruence). unfold thread_exists, reply_exists in *. destruct (objects st !! r) as [[]|]; discriminate. }
      assert (forall o, objects (put_reply r unused_reply (change_thread t f st)) !! o = objects (change_thread t f (put_reply r unused_reply st)) !! o) as
        alike.
      { assert (thread_exists t st = true) as a by (apply thread_is; rewrite state; discriminate).
        assert (reply_exists r st = true) as b by (apply reply_is; right; congruence). unfold thread_exists, reply_exists in *.
        destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:at_t; try discriminate. destruct (objects st !! r) as [[| | | |y| | | |]|] eqn:at_r;
          try discriminate.
        intros o. unfold change_thread, put_reply. rewrite at_t, at_r.
        change (objects (put_object t (ThreadObject (f x)) st)) with (set t (ThreadObject (f x)) (objects st)).
        change (objects (put_object r (ReplyObject unused_reply) st)) with (set r (ReplyObject unused_reply) (objects st)).
        rewrite !find_set. apply N.eqb_neq in apart as far. rewrite far. assert ((r =? t) = false) as -> by (apply N.eqb_neq; congruence). rewrite at_r, at_t.
        change (set r (ReplyObject unused_reply) (set t (ThreadObject (f x)) (objects st)) !! o = set t (ThreadObject (f x)) (set r (ReplyObject
          unused_reply) (objects st)) !! o).
        rewrite !find_set. destruct (N.eqb_spec o r), (N.eqb_spec o t); try congruence; reflexivity. }
      apply (waiting_same nobody (change_thread t f (put_reply r unused_reply st))).
      * apply reply_live, thread_live. exact (w_live nobody st ok).
      * constructor; intros o; unfold thread, endpoint, notification, reply; rewrite alike; reflexivity.
      * intros s o zombie. exists s. destruct (reply_frame r unused_reply (change_thread t f st)) as (a & _), (thread_frame t f st) as (b & _),
          (thread_frame t f (put_reply r unused_reply st)) as (c & _), (reply_frame r unused_reply st) as (d & _).
        rewrite <- zombie. apply capability_same. congruence.
      * intros u listed. left. destruct (reply_frame r unused_reply (change_thread t f st)) as (_ & a & a'), (thread_frame t f st) as (_ & b & b'),
          (thread_frame t f (put_reply r unused_reply st)) as (_ & c & c'), (reply_frame r unused_reply st) as (_ & d & d').
            rewrite a, a', b, b' in listed. rewrite c, c', d, d'. exact listed.
      * exact three.
  - intros u runs. rewrite (proj1 (proj2 (after_reply r _ _))). destruct (caller (reply r st)) as [t|] eqn:called.
    + destruct (is_caller _ r st t ok called) as (g & state). assert (u <> t) as other by congruence.
      assert (forall h, same_but t st (end_call_of t h (put_reply r unused_reply (return_context r t st)))
              \/ run_state (thread u (end_call_of t h (put_reply r unused_reply (return_context r t st)))) = Running) as kept.
      { intros h. right. destruct (@keeps_return_context _ _ _ _ (still_quietly nobody st) r t eq_refl st (still_start nobody st ok)) as (_ & same).
        assert (run_state (thread u (put_reply r unused_reply (return_context r t st))) = Running) as now_
          by (rewrite (proj1 (proj2 (after_reply r _ _))), (same_state _ _ same); exact runs).
        revert now_. generalize (put_reply r unused_reply (return_context r t st)). intros st' now_. unfold end_call_of.
        destruct (fault (thread t st')); [rewrite (other_state _ _ _ (thread_same_but t _ st') u other); exact now_|]. cbv zeta.
        destruct (wake_same_but t (set_error_result Error.CallCancelled t st')) as (a & b).
        destruct h; [rewrite (other_state _ _ _ a u other) | rewrite (other_state _ _ _ b u other)];
          change (set_error_result Error.CallCancelled t st') with (change_thread t (with_error_result Error.CallCancelled []) st');
          rewrite (other_state _ _ _ (thread_same_but t _ st') u other); exact now_. }
      destruct (kept (is_some (context_of t st))) as [alike|kept_].
      * destruct (receiver _) as [v|]; [|rewrite (other_state _ _ _ alike u other); exact runs].
        rewrite thread_after_change_thread. destruct (_ && _) eqn:is_u; [|rewrite (other_state _ _ _ alike u other); exact runs].
        apply andb_prop, proj1, N.eqb_eq in is_u. subst v. rewrite (other_state _ _ _ alike u other), runs, (other_state _ _ _ alike u other). exact runs.
      * destruct (receiver _) as [v|]; [|exact kept_]. rewrite thread_after_change_thread. destruct (_ && _) eqn:is_u; [|exact kept_].
        apply andb_prop, proj1, N.eqb_eq in is_u. subst v. rewrite kept_. exact kept_.
    + destruct (receiver (reply r st)) as [v|]; [|exact runs]. rewrite thread_after_change_thread. destruct (_ && _) eqn:is_u; [|exact runs].
      apply andb_prop, proj1, N.eqb_eq in is_u. subst v. rewrite runs. exact runs.
Qed.

(** ** Sender and receiver meet *)
Lemma met ex s t e b r rg g gr c l st :
  waiting ex st -> s <> t -> run_state (thread s st) <> Inactive -> run_state (thread t st) <> Inactive ->
  (forall u p, ex u p -> u = s \/ u = t) -> (forall p, says (run_state (thread s st)) p -> ex s p) ->
  (forall p, says (run_state (thread t st)) p -> ex t p \/ exists r', r = Some r' /\ p = AsReceiver r') ->
  (forall r', r = Some r' -> reply_exists r' st = true /\ caller (reply r' st) = None /\ forall u, receiver (reply r' st) = Some u -> u = t) ->
  waiting (fun u _ => c = false /\ u = s) (meet s t e b r rg g gr c l st)
  /\ (c = false -> run_state (thread s (meet s t e b r rg g gr c l st)) = run_state (thread s st)).
Proof.
  intros ok apart s_waits t_waits only s_excused t_excused free. unfold meet. cbv zeta. set (lends := lends_now _ _ _ _). clearbody lends.
  pose proof (@keeps_deliver _ _ _ _ (stay_quietly st) (stay_kept st) (message_of s st) (Some e) b g s t st (stay_start ex st ok)) as stays.
  change (stay st (deliver (message_of s st) (Some e) b g s t st)) in stays.
  destruct (@keeps_deliver _ _ _ _ (still_quietly ex st) (still_kept ex st) (message_of s st) (Some e) b g s t st (still_start ex st ok)) as (told & same).
  change (waiting ex (deliver (message_of s st) (Some e) b g s t st)) in told.
  set (one := deliver (message_of s st) (Some e) b g s t st) in *.
  set (two := match r with Some r => put_reply r unused_reply one | None => one end).
  set (lent := if lends then context_of s two else None). clearbody lent.
  assert (waiting (fun u _ => u = s \/ u = t) two /\ (forall u, run_state (thread u two) = run_state (thread u st))
          /\ (forall r', r = Some r' -> reply_exists r' two = true /\ reply r' two = unused_reply)) as (away & states & unused).
  { unfold two. destruct r as [r|].
    - destruct (free r eq_refl) as (there & no_c & only_t). split; [|split].
      + apply (excuse (fun u p => ex u p \/ (u = t /\ (p = AsCaller r \/ p = AsReceiver r)))).
        * apply clear_reply; [exact told|]. intros u. rewrite (same_caller _ _ same), (same_receiver _ _ same), no_c. intros [no|is_t];
          [discriminate | exact (only_t u is_t)].
        * intros u p. rewrite (proj1 (proj2 (after_reply r unused_reply one))), (same_state _ _ same). intros named. split.
          -- intros [before|(-> & _)]; [exact (only u p before) | right; reflexivity].
          -- intros [->| ->]; [left; exact (s_excused p named)|]. destruct (t_excused p named) as [before|(r' & is_r & is_p)]; [left; exact before|].
             injection is_r as <-. right. split; [reflexivity | right; exact is_p].
      + intros u. rewrite (proj1 (proj2 (after_reply r unused_reply one))). apply (same_state _ _ same).
      + intros r' is_r. injection is_r as <-. split; [|apply put_unused].
        pose proof (reply_stays _ _ r stays there) as here. unfold reply_exists, put_reply in *. destruct (objects one !! r) as [[]|]; try discriminate.
        match goal with |- context [put_object r ?x one] => change (objects (put_object r x one)) with (set r x (objects one)) end.
        rewrite find_set, N.eqb_refl. reflexivity.
    - split; [|split; [exact (same_state _ _ same) | discriminate]].
      apply (excuse ex); [exact told|]. intros u p. rewrite (same_state _ _ same). intros named. split; [exact (only u p)|].
      intros [->| ->]; [exact (s_excused p named)|]. destruct (t_excused p named) as [before|(r' & is_r & _)]; [exact before | discriminate]. }
  clearbody two. clear told same stays. clearbody one.
  set (three := match c with true => _ | false => _ end).
  assert (waiting (fun u _ => (c = false /\ u = s) \/ u = t) three /\ (forall u, u <> s -> run_state (thread u three) = run_state (thread u st))
          /\ (c = false -> run_state (thread s three) = run_state (thread s st))) as (after & others & kept_s).
  { assert (s_waits2 : run_state (thread s two) <> Inactive) by (rewrite states; exact s_waits).
    pose proof (thread_is s two s_waits2) as s_there.
    assert (waiting (fun u _ => u = s \/ u = t) (unplace s two)) as out by exact (@keeps_unplace _ _ _ _ (waiting_quietly _) s eq_refl two away).
    unfold three. clear three. destruct c.
    2: { split; [|split; [intros; apply states | intros _; apply states]]. apply (excuse (fun u _ => u = s \/ u = t)); [exact away|]. intros u p _. tauto. }
    assert (waiting (fun u _ => (true = false /\ u = s) \/ u = t) (end_unanswered s two)
      /\ (forall u, u <> s -> run_state (thread u (end_unanswered s two)) = run_state (thread u st))
      /\ (true = false -> run_state (thread s (end_unanswered s two)) = run_state (thread s st))) as unanswered.
    { destruct (left_unanswered (fun u _ => u = s \/ u = t) (fun u _ => (true = false /\ u = s) \/ u = t) s two away) as (x & y);
        [intros; left; reflexivity | intros u p other; split; [intros [is_s|is_t]; [contradiction | right; exact is_t] | intros [(no & _)|is_t];
        [discriminate | right; exact is_t]] | exact s_waits2|].
      split; [exact x | split; [intros u other; rewrite (other_state _ _ _ y u other); apply states | discriminate]]. }
    cbn [andb]. destruct (answerable r g gr) eqn:can; [|exact unanswered]. destruct r as [r|]; [|exact unanswered].
    destruct (unused r eq_refl) as (there & is_unused).
    set (f := begin_call (BlockedOnReply r rg)). set (four := change_thread s f (unplace s two)).
    assert (waiting (fun u p => u = s /\ p = AsCaller r \/ u = t) four) as moved.
    { apply (restate (fun u _ => u = s \/ u = t)); [exact out | | | right | right; apply unplaced].
      - intros p. change (run_state (f (thread s (unplace s two)))) with (BlockedOnReply r rg). destruct p; cbn [says]; intuition (subst;
        try contradiction; try congruence).
      - intros u p other. tauto.
      - apply (awake _ s _ out). exact s_waits2. }
    assert (run_state (thread s four) = BlockedOnReply r rg) as state.
    { unfold four. rewrite thread_after_change_thread, N.eqb_refl. change (thread_exists s (unplace s two)) with (thread_exists s two). rewrite s_there.
      reflexivity. }
    destruct (after_thread s f (unplace s two)) as (_ & _ & replies). fold four in replies.
    assert (reply_exists r four = true) as r_there.
    { unfold four, change_thread. destruct (objects (unplace s two) !! s) as [[|x| | | | | | |]|] eqn:at_s; try exact there.
      unfold reply_exists in *. change (objects (put_object s (ThreadObject (f x)) (unplace s two))) with (set s (ThreadObject (f x)) (objects two)).
      change (objects (unplace s two)) with (objects two) in at_s. rewrite find_set. destruct (N.eqb_spec r s) as [->|]; [rewrite at_s in there;
        discriminate | exact there]. }
    assert (waiting (fun u _ => (true = false /\ u = s) \/ u = t) (put_reply r {| caller := Some s; receiver := None; along := lent |} four)) as joined.
    { apply (join_caller (fun u p => u = s /\ p = AsCaller r \/ u = t)); [exact moved | | rewrite state; reflexivity | exact r_there | |].
      - split; [intros [(no & _)|is_t]; [discriminate | contradiction]|]. intros u q.
        destruct (N.eq_dec u s) as [->|other]; [|right; intuition congruence]. destruct q as [o|o|o|o|o]; try (right; intuition congruence).
        destruct (N.eq_dec o r) as [->|]; [left; split; reflexivity | right; intuition congruence].
      - rewrite replies. change (reply r (unplace s two)) with (reply r two). rewrite is_unused. reflexivity.
      - rewrite replies. change (reply r (unplace s two)) with (reply r two). rewrite is_unused. reflexivity. }
    assert (forall u, u <> s -> run_state (thread u (put_reply r {| caller := Some s; receiver := None;
      along := lent |} four)) = run_state (thread u st)) as elsewhere.
    { intros u other. rewrite (proj1 (proj2 (after_reply r _ four))). unfold four.
      rewrite (other_state _ _ _ (thread_same_but s f (unplace s two)) u other). exact (states u). }
    revert joined elsewhere. fold four. generalize (put_reply r {| caller := Some s; receiver := None; along := lent |} four). intros five joined elsewhere.
    destruct lent as [k|]; [|split; [exact joined | split; [exact elsewhere | discriminate]]].
    assert (still (fun u _ => (true = false /\ u = s) \/ u = t) five (change_context k (fun x => x <| calls := r :: calls x |>) five)) as (pushed & alike).
    { refine (@keeps_change_context _ _ _ _ (still_quietly _ five) k _ _ _ five (still_start _ five joined)).
      - split; [intros; exact I | reflexivity].
      - intros x. discriminate. }
    split; [exact pushed|]. split; [|discriminate]. intros u other. rewrite (same_state _ _ alike). exact (elsewhere u other). }
  clearbody three. assert (t <> s) as other by congruence.
  assert (run_state (thread t three) <> Inactive) as t_waits3 by (rewrite (others t other); exact t_waits).
  assert (forall now, waiting (fun u _ => (c = false /\ u = s) \/ u = t) now -> run_state (thread t now) <> Inactive ->
    (c = false -> run_state (thread s now) = run_state (thread s st)) ->
    (waiting (fun u _ => c = false /\ u = s) (wake t now) /\ (c = false -> run_state (thread s (wake t now)) = run_state (thread s st)))
    /\ (waiting (fun u _ => c = false /\ u = s) (wake_ahead t now)
      /\ (c = false -> run_state (thread s (wake_ahead t now)) = run_state (thread s st)))) as woken.
  { intros now ok_ not_inactive kept_.
    destruct (wakes (fun u _ => (c = false /\ u = s) \/ u = t) (fun u _ => c = false
      /\ u = s) t now ok_ (fun _ _ => or_intror eq_refl) (awake _ t now ok_ not_inactive)) as (one_ & two_);
      [intros u p elsewhere; tauto|]. destruct (wake_same_but t now) as (three_ & four_).
    split; (split; [assumption|]); intros is_; [rewrite (other_state _ _ _ three_ s apart) | rewrite (other_state _ _ _ four_ s apart)]; exact (kept_ is_). }
  destruct lent as [k|].
  - destruct (@keeps_give_context _ _ _ _ (still_quietly _ three) k t eq_refl three (still_start _ three after)) as (given & alike).
    change (waiting (fun u _ => c = false /\ u = s \/ u = t) (give_context k t three)) in given.
    apply woken; [exact given | rewrite (same_state _ _ alike); exact t_waits3 | intros is_; rewrite (same_state _ _ alike); exact (kept_s is_)].
  - destruct (is_running t three) eqn:runs; [|exact (proj1 (woken three after t_waits3 kept_s))].
    split; [|exact kept_s]. apply (excuse (fun u _ => (c = false /\ u = s) \/ u = t)); [exact after|]. intros u p named. split; [|tauto].
    intros [is_s|is_t]; [exact is_s|]. subst u. apply running_is in runs. rewrite runs in named. destruct named.
Qed.

(** ** Sending and receiving *)
Lemma endpoint_ext e f g st : f (endpoint e st) = g (endpoint e st) -> change_endpoint e f st = change_endpoint e g st.
Proof. unfold change_endpoint, endpoint. destruct (objects st !! e) as [[]|]; try reflexivity. intros ->. reflexivity. Qed.
Lemma without_first t l : NoDup (t :: l) -> without t (t :: l) = l.
Proof.
  intros once. apply NoDup_cons_iff in once. destruct once as (new & _). unfold without. cbn [filter]. rewrite N.eqb_refl. cbn [negb].
  apply filter_all. intros n listed. apply negb_true_iff, N.eqb_neq. intros ->. exact (new listed).
Qed.
Lemma pop_receivers ex e st first rest : waiting ex st -> receivers (endpoint e st) = first :: rest ->
  waiting (plus ex first (InReceivers e)) (change_endpoint e (fun x => x <| receivers := rest |>) st).
Proof.
  intros ok queue. rewrite (endpoint_ext e _ (fun x => x <| receivers := without first (receivers x) |>)); [apply leave_receivers; exact ok|].
  destruct (w_once ex st ok e) as (_ & once & _). cbv beta. rewrite queue in *. rewrite (without_first _ _ once). reflexivity.
Qed.
Lemma pop_senders ex e st first rest f : waiting ex st -> senders (endpoint e st) = first :: rest ->
  f (endpoint e st) = endpoint e st <| senders := rest |> ->
  waiting (plus ex first (InSenders e)) (change_endpoint e f st).
Proof.
  intros ok queue is_f. rewrite (endpoint_ext e f (fun x => x <| senders := without first (senders x) |>)); [apply leave_senders; exact ok|].
  destruct (w_once ex st ok e) as (once & _). cbv beta. rewrite is_f, queue in *. rewrite (without_first _ _ once). reflexivity.
Qed.
Lemma only_threads e f st : forall o, run_state (thread o (change_endpoint e f st)) = run_state (thread o st).
Proof. intros o. rewrite (proj1 (proj2 (after_endpoint e f st))). reflexivity. Qed.
Lemma same_replies e f st : forall o, reply o (change_endpoint e f st) = reply o st.
Proof. exact (proj2 (proj2 (proj2 (after_endpoint e f st)))). Qed.
Lemma reply_after_endpoint e f r st : reply_exists r st = true -> reply_exists r (change_endpoint e f st) = true.
Proof.
  unfold reply_exists, change_endpoint. destruct (objects st !! e) as [[| |x| | | | | |]|] eqn:at_e; try exact id. intros there.
  change (objects (put_object e (EndpointObject (f x)) st)) with (set e (EndpointObject (f x)) (objects st)). rewrite find_set.
  destruct (N.eqb_spec r e) as [->|]; [rewrite at_e in there; discriminate | exact there].
Qed.
Definition post_eq (p q : Post) : {p = q} + {p <> q}.
Proof. decide equality; apply N.eq_dec. Defined.
Lemma receives_at x r q g e : says (BlockedOnReceive x r q g) (InReceivers e) -> e = x.
Proof. destruct r; exact id. Qed.
Lemma blocks f s t e st : waiting nobody st -> run_state (thread t st) = Running -> (forall x, run_state (f x) = s) -> s <> Inactive ->
  waiting (fun u p => u = t /\ says s p) (change_thread t f (unplace t st)) /\ run_state (thread t (change_thread t f (unplace t st))) = s
  /\ (endpoint_exists e st = true -> endpoint_exists e (change_thread t f (unplace t st)) = true)
  /\ (forall o, reply o (change_thread t f (unplace t st)) = reply o st)
    /\ (notification_exists e st = true -> notification_exists e (change_thread t f (unplace t st)) = true)
  /\ (reply_exists e st = true -> reply_exists e (change_thread t f (unplace t st)) = true).
Proof.
  intros ok runs is_s active. pose proof (@keeps_unplace _ _ _ _ (waiting_quietly nobody) t eq_refl st ok) as out.
  change (waiting nobody (unplace t st)) in out.
  assert (thread_exists t st = true) as there by (apply thread_is; rewrite runs; discriminate).
  split; [|split; [|split; [|split; [|split]]]].
  - apply (restate nobody); [exact out | | | right | right; apply unplaced].
    + intros p. change (thread t (unplace t st)) with (thread t st). rewrite runs, is_s. cbn [says]. tauto.
    + intros u p other. unfold nobody. tauto.
    + apply (awake _ t _ out). change (thread t (unplace t st)) with (thread t st). rewrite runs. discriminate.
  - rewrite thread_after_change_thread, N.eqb_refl. change (thread_exists t (unplace t st)) with (thread_exists t st). rewrite there. apply is_s.
  - unfold thread_exists, endpoint_exists, change_thread in *. change (objects (unplace t st)) with (objects st).
    destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:at_t; try discriminate.
    change (objects (put_object t (ThreadObject (f x)) (unplace t st))) with (set t (ThreadObject (f x)) (objects st)).
    rewrite find_set. destruct (N.eqb_spec e t) as [->|]; [rewrite at_t; discriminate | exact id].
  - intros o. exact (proj2 (proj2 (after_thread t f (unplace t st))) o).
  - unfold thread_exists, notification_exists, change_thread in *. change (objects (unplace t st)) with (objects st).
    destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:at_t; try discriminate.
    change (objects (put_object t (ThreadObject (f x)) (unplace t st))) with (set t (ThreadObject (f x)) (objects st)).
    rewrite find_set. destruct (N.eqb_spec e t) as [->|]; [rewrite at_t; discriminate | exact id].
  - unfold thread_exists, reply_exists, change_thread in *. change (objects (unplace t st)) with (objects st).
    destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:at_t; try discriminate.
    change (objects (put_object t (ThreadObject (f x)) (unplace t st))) with (set t (ThreadObject (f x)) (objects st)).
    rewrite find_set. destruct (N.eqb_spec e t) as [->|]; [rewrite at_t; discriminate | exact id].
Qed.
Lemma sent t e b g gr c l w st : waiting nobody st -> run_state (thread t st) = Running -> endpoint_exists e st = true ->
  waiting nobody (snd (send t e b g gr c l w st)) /\ (fst (send t e b g gr c l w st) = Refused -> snd (send t e b g gr c l w st) = st).
Proof.
  intros ok runs there. unfold send. destruct (receivers (endpoint e st)) as [|first rest] eqn:queue.
  - destruct w; [|split; [exact ok | discriminate]]. split; [|discriminate]. cbn [snd].
    set (s := BlockedOnSend e b g gr c l). destruct (blocks (with_state s) s t e st ok runs (fun _ => eq_refl) ltac:(discriminate)) as (away & state & here
      & _).
    set (one := change_thread t (with_state s) (unplace t st)) in *.
    apply (join_senders (fun u p => u = t /\ says s p) nobody insert_behind t e one one away behind_inserts);
      [| split; reflexivity | rewrite state; reflexivity | exact (here there)].
    split; [exact id|]. intros u q. destruct (N.eq_dec u t) as [->|other]; [|right; unfold nobody; tauto].
    destruct (post_eq q (InSenders e)) as [->|not_this]; [left; split; reflexivity | right; unfold nobody]. split; [contradiction|].
    intros (_ & named). destruct q; cbn [says s] in named; try contradiction. congruence.
  - assert (In first (receivers (endpoint e st))) as listed by (rewrite queue; left; reflexivity).
    pose proof (proj1 (w_stands nobody st ok first (InReceivers e)) listed) as (_ & named).
    destruct (run_state (thread first st)) as [| |x r q rg| | |] eqn:state; try contradiction. apply receives_at in named. subst x. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [split; [exact ok | intros _; reflexivity]|]. cbn [fst snd]. split; [|discriminate].
    pose proof (pop_receivers nobody e st first rest ok queue) as popped. set (one := change_endpoint e (fun x => x <| receivers := rest |>) st) in *.
    assert (forall o, run_state (thread o one) = run_state (thread o st)) as states by apply only_threads.
    assert (t <> first) as apart by congruence.
    destruct (met (plus nobody first (InReceivers e)) t first e b r rg g gr c l one) as (after & kept_).
    + exact popped.
    + exact apart.
    + rewrite states, runs. discriminate.
    + rewrite states, state. discriminate.
    + intros u p [[]|(-> & _)]. right. reflexivity.
    + intros p. rewrite states, runs. intros [].
    + intros p. rewrite states, state. destruct r as [r|], p; cbn [says]; try contradiction; intros ->;
        first [left; right; split; reflexivity | right; exists r; split; reflexivity].
    + intros r' ->. assert (receiver (reply r' st) = Some first) as is_first
        by (apply (w_stands nobody st ok first (AsReceiver r')); rewrite state; split; [exact id | reflexivity]).
      unfold one. rewrite !same_replies, is_first. split; [apply reply_after_endpoint, reply_is; right; congruence|]. split; [|congruence].
      destruct (w_one nobody st ok r') as [none|none]; [exact none | congruence].
    + apply (excuse (fun u _ => c = false /\ u = t)); [exact after|]. intros u p named_. unfold nobody. split; [|contradiction].
      intros (is_c & is_u). rewrite is_u, (kept_ is_c), states, runs in named_. exact named_.
Qed.

(** A sender that is refused. *)
Lemma refused ex t st : waiting ex st -> (forall p, says (run_state (thread t st)) p -> ex t p) -> (forall u p, ex u p -> u = t) ->
  run_state (thread t st) <> Inactive -> run_state (thread t st) <> Running -> waiting nobody (refuse_sender t st) /\ same_but t st (refuse_sender t st).
Proof.
  intros ok excused only active stops. unfold refuse_sender.
  assert (forall u p, u <> t -> (ex u p <-> nobody u p)) as others by (intros u p other; unfold nobody; split; [intros is_;
    exact (other (only u p is_)) | contradiction]).
  destruct (fault (thread t st)).
  - split; [|apply thread_same_but]. apply (deactivated ex); [exact ok | exact excused | exact others | reflexivity|]. exact (not_queued ex t st ok stops).
  - cbv zeta. destruct (@keeps_set_error_result _ _ _ _ (still_quietly ex st) Error.NoDonation t st (still_start ex st ok)) as (told & same).
    change (waiting ex (set_error_result Error.NoDonation t st)) in told.
    destruct (wakes ex nobody t (set_error_result Error.NoDonation t st) told) as (after & _).
    + intros p. rewrite (same_state _ _ same). apply excused.
    + apply (awake ex t _ told). rewrite (same_state _ _ same). exact active.
    + exact others.
    + split; [exact after|]. exact (same_but_trans t _ _ _ (same_but_of t _ _ same) (proj1 (wake_same_but t _))).
Qed.
Lemma is_sender ex e st t : waiting ex st -> In t (senders (endpoint e st)) -> exists b g gr c l, run_state (thread t st) = BlockedOnSend e b g gr c l.
Proof.
  intros ok listed. pose proof (proj1 (w_stands ex st ok t (InSenders e)) listed) as (_ & named).
  destruct (run_state (thread t st)) as [| |x r q g|x b g gr c l| |]; try contradiction; [destruct r; contradiction|]. cbn [says] in named. subst x.
  do 5 eexists. reflexivity.
Qed.
Lemma received queue t e r g st : waiting nobody st -> run_state (thread t st) = Running -> senders (endpoint e st) = queue ->
  (forall r', r = Some r' -> caller (reply r' st) = None /\ receiver (reply r' st) = None) -> (forall r', r = Some r' -> reply_exists r' st = true) ->
  waiting nobody (snd (receive_from queue t e r g st))
  /\ (fst (receive_from queue t e r g st) = false -> run_state (thread t (snd (receive_from queue t e r g st))) = Running
      /\ forall r', r = Some r' -> caller (reply r' (snd (receive_from queue t e r g st))) = None
        /\ receiver (reply r' (snd (receive_from queue t e r g st))) = None).
Proof.
  destruct queue as [|s rest]; intros ok runs queue_ free there; cbn [receive_from]; [split; [exact ok | intros _; split; assumption]|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue_; left; reflexivity).
  destruct (is_sender nobody e st s ok listed) as (b & sg & gr & c & l & state). rewrite state. cbv zeta.
  pose proof (pop_senders nobody e st s rest (fun x => x <| senders := rest |>) ok queue_ eq_refl) as popped.
  set (one := change_endpoint e (fun x => x <| senders := rest |>) st) in *.
  assert (forall o, run_state (thread o one) = run_state (thread o st)) as states by apply only_threads.
  assert (forall o, reply o one = reply o st) as replies by apply same_replies.
  assert (s <> t) as apart by congruence.
  assert (forall p, says (run_state (thread s one)) p -> plus nobody s (InSenders e) s p) as excused.
  { intros p. rewrite states, state. destruct p; cbn [says]; try contradiction. intros ->. right. split; reflexivity. }
  assert (forall u p, plus nobody s (InSenders e) u p -> u = s) as only by (intros u p [[]|(is_s & _)]; exact is_s).
  cbn [fst snd]. split; [|discriminate].
  destruct (met (plus nobody s (InSenders e)) s t e b r g sg gr c l one popped apart) as (after & kept_).
  + rewrite states, state. discriminate.
  + rewrite states, runs. discriminate.
  + intros u p is_. left. exact (only u p is_).
  + exact excused.
  + intros p. rewrite states, runs. intros [].
  + intros r' is_r. rewrite replies. destruct (free r' is_r) as (no_c & no_r). rewrite no_c, no_r. split; [|split; [reflexivity | discriminate]].
    apply reply_after_endpoint. exact (there r' is_r).
  + destruct c.
    * apply (excuse (fun u _ => true = false /\ u = s)); [exact after|]. intros u p _. unfold nobody. split; [intros (no & _);
      discriminate | contradiction].
    * set (two := meet s t e b r g sg gr false l one) in *. specialize (kept_ eq_refl). rewrite states, state in kept_.
      destruct (@keeps_set_empty_result _ _ _ _ (still_quietly _ two) s two (still_start _ two after)) as (told & same).
      change (waiting (fun u _ => false = false /\ u = s) (set_empty_result s two)) in told.
      refine (proj1 (wakes _ nobody s (set_empty_result s two) told _ _ _)).
      -- intros p _. split; reflexivity.
      -- apply (awake _ s _ told). rewrite (same_state _ _ same), kept_. discriminate.
      -- intros u p other. unfold nobody. tauto.
Qed.
Lemma first_is_refused e r st : waiting nobody st -> waiting nobody (refuse_first e r st).
Proof.
  intros ok. unfold refuse_first, first_refused. destruct (senders (endpoint e st)) as [|s rest] eqn:queue; [exact ok|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue; left; reflexivity).
  destruct (is_sender nobody e st s ok listed) as (b & sg & gr & c & l & state). rewrite state. destruct (_ && _); [exact ok|]. cbv zeta.
  assert (waiting (plus nobody s (InSenders e)) (change_endpoint e (fun x => x <| senders := tl (senders x) |>) st)) as popped
    by (apply (pop_senders nobody e st s rest); [exact ok | exact queue | cbv beta; rewrite queue; reflexivity]).
  refine (proj1 (refused (plus nobody s (InSenders e)) s _ popped _ _ _ _)).
  - intros p. rewrite only_threads, state. destruct p; cbn [says]; try contradiction. intros ->. right. split; reflexivity.
  - intros u p [[]|(is_s & _)]. exact is_s.
  - rewrite only_threads, state. discriminate.
  - rewrite only_threads, state. discriminate.
Qed.

(** ** Receiving *)
Lemma wakes_running t st : waiting nobody st -> run_state (thread t st) <> Inactive -> (forall p, ~ says (run_state (thread t st)) p) ->
  waiting nobody (wake t st) /\ waiting nobody (wake_ahead t st).
Proof.
  intros ok active free. apply (wakes nobody); [exact ok | | exact (awake nobody t st ok active) | intros; reflexivity].
  intros p named. exfalso. exact (free p named).
Qed.
Lemma flags_taken ex t n st : waiting ex st -> still ex st (take_flags t n st).
Proof. intros ok. exact (@keeps_take_flags _ _ _ _ (still_quietly ex st) t n eq_refl st (still_start ex st ok)). Qed.
Lemma takes_at_once t n st : waiting nobody st -> run_state (thread t st) = Running -> let after := take_flags t n st in
  waiting nobody (if is_some (context_of t after) && negb (member t (ready after)) then wake_ahead t after else after).
Proof.
  intros ok runs after. destruct (flags_taken nobody t n st ok) as (told & same). fold after in told, same.
  destruct (_ && _); [|exact told]. apply wakes_running; [exact told | | intros p]; rewrite (same_state _ _ same), runs; [discriminate | exact id].
Qed.
Lemma receives t e r q g w st : waiting nobody st -> run_state (thread t st) = Running -> endpoint_exists e st = true ->
  (forall r', r = Some r' -> reply_exists r' st = true) -> waiting nobody (receive t e r q g w st).
Proof.
  intros ok runs e_there r_there. unfold receive. cbv zeta. set (one := match r with Some r => free_reply r st | None => st end).
  assert (waiting nobody one /\ run_state (thread t one) = Running /\ endpoint_exists e one = true
          /\ (forall r', r = Some r' -> caller (reply r' one) = None /\ receiver (reply r' one) = None)
            /\ forall r', r = Some r' -> reply_exists r' one = true)
    as (ok1 & runs1 & e1 & free & r1).
  { unfold one. destruct r as [r|]; [|split; [exact ok | split; [exact runs | split; [exact e_there | split; intros r' no; discriminate no]]]].
    destruct (reply_freed r st ok) as (after & unused & keep_running).
    pose proof (@keeps_free_reply _ _ _ _ (stay_quietly st) r eq_refl st (stay_start nobody st ok)) as stays.
    split; [exact after|]. split; [exact (keep_running t runs)|]. split; [exact (endpoint_stays _ _ e stays e_there)|]. split.
    - intros r' is_r. injection is_r as <-. rewrite unused. split; reflexivity.
    - intros r' is_r. exact (reply_stays _ _ r' stays (r_there r' is_r)). }
  clearbody one. clear st ok runs e_there r_there. rename one into st.
  set (bound := bound_notification (thread t st)).
  assert (waiting nobody (let (got, after) := receive_from (senders (endpoint e st)) t e r g st in
    if got then after
    else if w then
      match bound with
      | Some n => return_lent_context t n
                    (match r with
                     | Some r => put_reply r {| caller := None; receiver := Some t; along := None |}
                     | None => fun st => st
                     end (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x)
                           (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t after)) |>)
                           (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t after))))
      | None => (match r with
                 | Some r => put_reply r {| caller := None; receiver := Some t; along := None |}
                 | None => fun st => st
                 end (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x)
                       (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t after)) |>)
                       (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t after))))
      end
    else set_empty_result t after)) as usual.
  { destruct (received (senders (endpoint e st)) t e r g st ok1 runs1 eq_refl free r1) as (after & kept_).
    pose proof (@keeps_receive_from _ _ _ _ (stay_quietly st) (stay_kept st) (senders (endpoint e st)) t e r g eq_refl st (stay_start nobody st ok1)) as
      stays.
    change (True /\ stay st (snd (receive_from (senders (endpoint e st)) t e r g st))) in stays. destruct stays as (_ & stays).
    destruct (receive_from (senders (endpoint e st)) t e r g st) as (got & two). cbn [fst snd] in *. destruct got; [exact after|].
    destruct (kept_ eq_refl) as (runs2 & free2). pose proof (endpoint_stays _ _ e stays e1) as e2.
    destruct w; [|exact (proj1 (@keeps_set_empty_result _ _ _ _ (still_quietly nobody two) t two (still_start nobody two after)))].
    set (s := BlockedOnReceive e r q g). set (f := begin_receive s).
    destruct (blocks f s t e two after runs2 (fun _ => eq_refl) ltac:(discriminate)) as (away & state & here & replies & _).
    set (three := change_thread t f (unplace t two)) in *. specialize (here e2).
    assert (waiting (fun u p => u = t /\ exists r', r = Some r' /\ p = AsReceiver r')
              (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) three |>) three)) as four.
    { apply (join_receivers (fun u p => u = t /\ says s p) _ insert_behind t e three three away behind_inserts).
      - split; [intros (_ & r' & _ & no); discriminate|]. intros u p. destruct (N.eq_dec u t) as [->|other]; [|right; tauto].
        destruct (post_eq p (InReceivers e)) as [->|not_this]; [left; split; reflexivity | right]. split.
        + intros (_ & r' & is_r & is_p). subst p. split; [reflexivity|]. unfold s. rewrite is_r. reflexivity.
        + intros (_ & named). split; [reflexivity|]. unfold s in named. destruct r as [r|], p; cbn [says] in named; try contradiction; try congruence.
          exists r. split; congruence.
      - split; [reflexivity|]. unfold s. destruct r; reflexivity.
      - rewrite state. unfold s. destruct r; reflexivity.
      - exact here. }
    set (five := match r with Some r => put_reply r _ | None => fun st => st end _).
    assert (waiting nobody five) as done.
    { unfold five. destruct r as [r|].
      - apply (join_receiver (fun u p => u = t /\ exists r', Some r = Some r' /\ p = AsReceiver r')).
        + exact four.
        + split; [exact id|]. intros u p. destruct (N.eq_dec u t) as [->|other]; [|right; unfold nobody; tauto].
          destruct (post_eq p (AsReceiver r)) as [->|not_this]; [left; split; reflexivity | right]. unfold nobody. split; [contradiction|].
          intros (_ & r' & is_r & is_p). congruence.
        + rewrite only_threads, state. reflexivity.
        + apply reply_after_endpoint. destruct (blocks f s t r two after runs2 (fun _ => eq_refl) ltac:(discriminate)) as (_ & _ & _ & _ & _ & kept_r).
          apply kept_r. exact (reply_stays _ _ r stays (r1 r eq_refl)).
        + rewrite same_replies, replies. exact (proj1 (free2 r eq_refl)).
        + rewrite same_replies, replies. exact (proj2 (free2 r eq_refl)).
      - apply (excuse (fun u p => u = t /\ exists r', None = Some r' /\ p = AsReceiver r')); [exact four|]. intros u p _. unfold nobody.
        split; [intros (_ & r' & no & _); discriminate | contradiction]. }
    destruct bound as [n|]; [|exact done]. exact (@keeps_return_lent_context _ _ _ _ (waiting_quietly nobody) t n eq_refl five done). }
  destruct bound as [n|]; [destruct (is_signalled t st)|].
  - exact (takes_at_once t n st ok1 runs1).
  - destruct (receive_from (senders (endpoint e st)) t e r g st) as ([|] & two); [exact usual|]. destruct w; [|exact usual]. destruct r; exact usual.
  - destruct (receive_from (senders (endpoint e st)) t e r g st) as ([|] & two); [exact usual|]. destruct w; [|exact usual]. destruct r; exact usual.
Qed.
Lemma waits_on t n w st : waiting nobody st -> run_state (thread t st) = Running -> notification_exists n st = true -> waiting nobody (wait_on t n w st).
Proof.
  intros ok runs there. unfold wait_on. destruct (is_active n st); [exact (takes_at_once t n st ok runs)|].
  destruct w; [|exact (proj1 (@keeps_set_empty_result _ _ _ _ (still_quietly nobody st) t st (still_start nobody st ok)))].
  set (s := BlockedOnNotification n). destruct (blocks (with_state s) s t n st ok runs (fun _ => eq_refl) ltac:(discriminate)) as (away & state & _ & _ &
    here & _).
  set (one := change_thread t (with_state s) (unplace t st)) in *. apply (@keeps_return_lent_context _ _ _ _ (waiting_quietly nobody) t n eq_refl).
  apply (join_waiters (fun u p => u = t /\ says s p) nobody insert_behind t n one one away behind_inserts);
    [| split; reflexivity | rewrite state; reflexivity | exact (here there)].
  split; [exact id|]. intros u q. destruct (N.eq_dec u t) as [->|other]; [|right; unfold nobody; tauto].
  destruct (post_eq q (InWaiters n)) as [->|not_this]; [left; split; reflexivity | right; unfold nobody]. split; [contradiction|].
  intros (_ & named). destruct q; cbn [says s] in named; try contradiction. congruence.
Qed.

(** ** Signals *)
Lemma flags_handed t n st : waiting nobody st -> run_state (thread t st) <> Inactive -> waiting nobody (hand_flags_to t n st).
Proof.
  intros ok active. unfold hand_flags_to. destruct (stopped t st ok) as (away & states). destruct (flags_taken _ t n _ away) as (told & same).
  refine (proj1 (wakes (all_of t nobody) nobody t (take_flags t n (stop_waiting t st)) told _ _ _)).
  - intros p _. left. reflexivity.
  - apply (awake _ t _ told). rewrite (same_state _ _ same), states. exact active.
  - intros u p other. unfold all_of, nobody. tauto.
Qed.
Lemma signalled n badge st : waiting nobody st -> waiting nobody (signal n badge st).
Proof.
  intros ok. unfold signal. cbv zeta. set (f := fun x : Notification => _).
  assert (still nobody st (change_notification n f st)) as (added & same).
  { refine (@keeps_change_notification _ _ _ _ (still_quietly nobody st) n f _ st (still_start nobody st ok)). intros x. repeat split; reflexivity. }
  set (one := change_notification n f st) in *. clearbody one. destruct (is_active n st); [exact added|].
  destruct (waiters (notification n one)) as [|first rest] eqn:queue.
  - destruct (bound_thread (notification n one)) as [t|]; [|exact added]. destruct (run_state (thread t one)) eqn:state; try exact added.
    apply flags_handed; [exact added | rewrite state; discriminate].
  - assert (In first (waiters (notification n one))) as listed by (rewrite queue; left; reflexivity).
    pose proof (proj1 (w_stands nobody one added first (InWaiters n)) listed) as (_ & named).
    assert (run_state (thread first one) <> Inactive) as active by (intros no; rewrite no in named; exact named).
    destruct (bound_thread (notification n one)); apply flags_handed; assumption.
Qed.

(** ** Faults *)
Lemma raised slot l t f st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (raise_fault_to slot l t f st).
Proof.
  intros ok runs. assert (forall st, waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (make_inactive t st)) as stops.
  { intros a ok_ runs_. apply (made_inactive nobody); [exact ok_ | intros p named; rewrite runs_ in named; exact named | intros; reflexivity]. }
  unfold raise_fault_to. destruct (capability_at (slot_of t slot) st) as [[|e b r| | | | | | | | | | | | | | | | |]|] eqn:there; try exact (stops st ok runs).
  destruct (_ && _); [|exact (stops st ok runs)]. cbv zeta. set (one := change_thread t (fun x => x <| fault := Some f |>) st).
  assert (still nobody st one) as (faulting & same).
  { refine (@keeps_change_thread _ _ _ _ (still_quietly nobody st) t _ _ st (still_start nobody st ok)). intros x. split; [discriminate | reflexivity]. }
  assert (run_state (thread t one) = Running) as runs1 by (rewrite (same_state _ _ same); exact runs).
  assert (endpoint_exists e one = true) as e_there.
  { assert (capability_at (slot_of t slot) one = Some (EndpointCap e b r)) as there1 by (rewrite (capability_same _ st one);
    [exact there | exact (proj1 (thread_frame t _ st))]).
    destruct (w_live nobody one faulting) as (_ & alive). rewrite capability_at_in in there1.
      destruct (refers _ _ alive _ _ e there1 eq_refl) as (x & found & kind).
    unfold endpoint_exists. rewrite found. destruct x; try discriminate kind. reflexivity. }
  destruct (sent t e b (can_grant r) (can_grant_reply r) true l true one faulting runs1 e_there) as (after & back).
  destruct (send t e b (can_grant r) (can_grant_reply r) true l true one) as ([| | |] & two); cbn [fst snd] in *; try exact after.
  rewrite (back eq_refl). exact (stops one faulting runs1).
Qed.

(** ** Answers *)
Lemma debug_state f values x : run_state (debug_reply f values x) = run_state x.
Proof.
  unfold debug_reply. destruct (BreakpointType.of_number _) as [[]|]; try reflexivity. destruct values; reflexivity.
Qed.
Lemma answered t r g st : waiting nobody st -> waiting nobody (answer t r g st).
Proof.
  intros ok. unfold answer. destruct (caller (reply r st)) as [c|] eqn:called; [|exact ok]. cbv zeta.
  destruct (is_caller _ r st c ok called) as (rg & state).
  destruct (@keeps_return_context _ _ _ _ (still_quietly nobody st) r c eq_refl st (still_start nobody st ok)) as (back & same).
  change (waiting nobody (return_context r c st)) in back. set (one := return_context r c st) in *.
  assert (waiting (fun u p => nobody u p \/ (u = c /\ (p = AsCaller r \/ p = AsReceiver r))) (put_reply r unused_reply one)) as two.
  { apply clear_reply; [exact back|]. intros u. rewrite (same_caller _ _ same), (same_receiver _ _ same), called.
    destruct (w_one nobody st ok r) as [none|none]; [congruence | rewrite none]. intros [is_|is_]; congruence. }
  assert (run_state (thread c (put_reply r unused_reply one)) = BlockedOnReply r rg) as state2
    by (rewrite (proj1 (proj2 (after_reply r unused_reply one))), (same_state _ _ same); exact state).
  assert (not_zombie c (put_reply r unused_reply one)) as alive by (apply (awake _ c _ two); rewrite state2; discriminate).
  assert (~ In c (ready (put_reply r unused_reply one) ++ sleeping (put_reply r unused_reply one))) as queued by (apply (not_queued _ c _ two);
    rewrite state2; discriminate).
  pose proof (thread_is c (put_reply r unused_reply one) ltac:(rewrite state2; discriminate)) as c_there.
  set (three := change_thread c (with_state Running) (put_reply r unused_reply one)).
  assert (waiting nobody three) as runs3.
  { apply (restate (fun u p => nobody u p \/ (u = c /\ (p = AsCaller r \/ p = AsReceiver r)))); [exact two | | | right; exact alive | left; reflexivity].
    - intros p. rewrite state2. cbn [with_state run_state]. destruct p; cbn [says]; unfold nobody; intuition congruence.
    - intros u p other. unfold nobody. tauto. }
  assert (run_state (thread c three) = Running) as runs by (unfold three; rewrite thread_after_change_thread, N.eqb_refl, c_there; reflexivity).
  assert (~ In c (ready three ++ sleeping three)) as queued3
    by (destruct (thread_frame c (with_state Running) (put_reply r unused_reply one)) as (_ & a & b); fold three in a, b; rewrite a, b; exact queued).
  clearbody three. set (grant := g && _). clearbody grant. set (had := is_some (context_of c st)). clearbody had.
  set (four := match fault (thread c three) with Some f => _ | None => _ end).
  assert (waiting nobody four) as told.
  { unfold four. destruct (fault (thread c three)) as [f|].
    - unfold answer_fault. cbv zeta. set (h := fun x : Thread => _). set (m := message_of_call t three). clearbody m.
      assert (forall x, run_state (h x) = run_state x) as keeps_state.
      { intros x. unfold h. set (y := write_registers _ _ _). assert (run_state y = run_state x) as same_y by exact (eq_trans (state_of_registers _ _)
        eq_refl).
        destruct (fault_label f); try exact same_y. rewrite debug_state. exact same_y. }
      assert (still nobody three (change_thread c h three)) as (more & alike).
      { refine (@keeps_change_thread _ _ _ _ (still_quietly nobody three) c h _ three (still_start nobody three runs3)). intros x. split;
        [discriminate | intros _; apply keeps_state]. }
      destruct (goes_on f (label m)); [exact more|].
      apply (deactivated nobody); [exact more | | intros; reflexivity | reflexivity |].
      + intros p. rewrite (same_state _ _ alike), runs. exact id.
      + destruct (thread_frame c h three) as (_ & a & b). rewrite a, b. exact queued3.
    - exact (proj1 (@keeps_deliver _ _ _ _ (still_quietly nobody three) (still_kept nobody three) _ None 0 grant t c three (still_start nobody three
      runs3))). }
  clearbody four. destruct (is_running c four) eqn:now_; cbn [negb]; [|exact told]. apply running_is in now_.
  destruct (wakes_running c four told) as (one_ & two_); [rewrite now_; discriminate | intros p; rewrite now_; exact id|]. destruct had; assumption.
Qed.
