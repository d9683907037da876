(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Work that counts down

    Each unit of the cancellation of sends takes one sender with the badge away, and each unit of the refusal of senders one sender. *)
From Coq Require Import Lia Permutation.
From Spec Require Export LendProofs ResumeProofs.
Open Scope N_scope.

(** ** A sender that restarts

    Its state says that it sends no more, and all others' say what they said. As who stands in the queue is who says so, there is one less. *)
Lemma suspend_others t u st : waiting nobody st -> u <> t -> run_state (thread u (suspend t st)) = run_state (thread u st).
Proof.
  intros ok other. unfold suspend. cbv zeta. destruct (@keeps_end_yield _ _ _ _ (still_quietly nobody st) t st (still_start nobody st ok)) as (returned & same).
  change (waiting nobody (end_yield t st)) in returned. change (same_waits st (end_yield t st)) in same. rewrite <- (same_state _ _ same u).
  revert returned. generalize (end_yield t st). clear - other. intros st ok.
  destruct (stopped t st ok) as (_ & states). set (stop := unplace t (stop_waiting t st)).
  assert (run_state (thread u stop) = run_state (thread u st)) as same by exact (states u). rewrite <- same. clearbody stop. clear - other.
  assert (forall f one, run_state (thread u (change_thread t f one)) = run_state (thread u one)) as away
    by (intros f one; exact (other_state _ _ _ (thread_same_but t f one) u other)).
  destruct (is_some _); [apply away|]. destruct (run_state (thread t st)); unfold set_error_result; rewrite ?away; reflexivity.
Qed.
Lemma restart_others t u st : waiting nobody st -> u <> t -> run_state (thread u (restart t st)) = run_state (thread u st).
Proof.
  intros ok other. unfold restart. destruct (fault (thread t st)).
  - unfold make_inactive. rewrite (other_state _ _ _ (thread_same_but t _ _) u other). exact (proj2 (stopped t st ok) u).
  - rewrite (other_state _ _ _ (proj1 (wake_same_but t _)) u other). exact (suspend_others t u st ok other).
Qed.
Lemma restart_state t st e b g gr c l : waiting nobody st -> run_state (thread t (restart t st)) <> BlockedOnSend e b g gr c l.
Proof.
  intros ok. unfold restart. destruct (fault (thread t st)).
  - unfold make_inactive. rewrite thread_after_change_thread, N.eqb_refl. cbn [andb]. destruct (thread_exists t _) eqn:there; [discriminate|].
    rewrite (missing_thread t _ there). discriminate.
  - destruct (suspended t st ok) as (after & inactive). revert inactive. generalize (suspend t st). clear. intros st inactive.
    assert (same_waits (change_thread t (with_state Running) st) (wake t st)) as same.
    { unfold wake. exact (@keeps_place _ _ _ _ (waits_quietly _) t _ (@keeps_begin_sporadic _ _ _ _ (waits_quietly _) t _ (same_waits_refl _))). }
    rewrite (same_state _ _ same), thread_after_change_thread. destruct (_ && _); [discriminate | rewrite inactive; discriminate].
Qed.
Lemma sender_restarts e badge t st : waiting nobody st -> sender_with_badge e badge st = Some t -> waiting nobody (restart t st)
  /\ sends_left e badge st = sends_left e badge (restart t st) + 1.
Proof.
  intros ok found. unfold sender_with_badge in found. apply List.find_some in found. destruct found as (listed & blocked). apply filter_In in listed.
  destruct listed as (listed & _).
  assert (waiting nobody (restart t st)) as after
    by (apply restarted; [exact ok|]; apply (waits_on_it (EndpointCap e 0 all_rights) t st ok), in_app_iff; left; exact listed).
  split; [exact after|].
  assert (forall one, waiting nobody one -> forall x, In x (filter (sends_with badge one) (senders (endpoint e one)))
    <-> exists g gr c l, run_state (thread x one) = BlockedOnSend e badge g gr c l) as members.
  { intros one fine x. rewrite filter_In. split.
    - intros (in_q & sends_). destruct (is_sender nobody e one x fine in_q) as (b & g & gr & c & l & state). unfold sends_with in sends_.
      rewrite state in sends_. apply N.eqb_eq in sends_. subst b. exists g, gr, c, l. exact state.
    - intros (g & gr & c & l & state). split; [|unfold sends_with; rewrite state; apply N.eqb_refl].
      apply (w_stands nobody one fine x (InSenders e)). rewrite state. split; [intros [] | reflexivity]. }
  assert (forall one, waiting nobody one -> NoDup (filter (sends_with badge one) (senders (endpoint e one)))) as once
    by (intros one fine; apply NoDup_filter; exact (proj1 (w_once nobody one fine e))).
  pose proof (members st ok) as before. pose proof (members (restart t st) after) as behind.
  pose proof (once st ok) as once_before. pose proof (once (restart t st) after) as once_after. unfold sends_left.
  revert before behind once_before once_after.
  generalize (filter (sends_with badge st) (senders (endpoint e st))).
  generalize (filter (sends_with badge (restart t st)) (senders (endpoint e (restart t st)))).
  intros l' l before behind once_before once_after.
  assert (Permutation l (t :: l')) as same; [|rewrite (Permutation_length same); cbn [length]; lia].
  assert (exists g gr c l0, run_state (thread t st) = BlockedOnSend e badge g gr c l0) as is_t.
  { destruct (is_sender nobody e st t ok listed) as (b & g & gr & c & l0 & state). rewrite state in blocked. apply N.eqb_eq in blocked. subst b.
    exists g, gr, c, l0. exact state. }
  apply NoDup_Permutation; [exact once_before | constructor; [|exact once_after] |].
  - rewrite behind. intros (g & gr & c & l0 & state). exact (restart_state t st _ _ _ _ _ _ ok state).
  - intros x. rewrite before. cbn [In]. rewrite behind. destruct (N.eq_dec x t) as [->|other]; [tauto|]. rewrite (restart_others t x st ok other).
    split; [tauto|]. intros [same|state]; [congruence | exact state].
Qed.

(** ** What is left to do counts down *)
Lemma cancel_counts e badge x p : ends (has_sender_with_badge e badge) (cancel_unit e badge) x p -> waiting nobody (snd x) ->
  sends_left e badge (snd x) + allowance (state_of p) = sends_left e badge (state_of p) + snd (fst x).
Proof.
  induction 1 as [a units st none|a st more|a units st p more _ IH]; cbn [fst snd state_of] in *; intros ok; try reflexivity.
  unfold has_sender_with_badge in more. unfold cancel_unit in IH. cbn [fst snd] in IH. destruct (sender_with_badge e badge st) as [t|] eqn:found;
    [|discriminate more].
  destruct (sender_restarts e badge t st ok found) as (after & fewer). specialize (IH after). lia.
Qed.
Lemma refuse_counts_one e r st : is_some (first_refused e r st) = true -> senders_left e st = senders_left e (refuse_first e r st) + 1.
Proof.
  intros some. unfold refuse_first. destruct (first_refused e r st) as [s|] eqn:refused; [|discriminate some]. clear some.
  set (one := change_endpoint e (fun x => x <| senders := tl (senders x) |>) st).
  assert (senders_left e st = senders_left e one + 1) as ->.
  { unfold first_refused in refused. unfold senders_left, one, change_endpoint, endpoint in *. destruct (objects st !! e) as [[| |x| | | | | |]|] eqn:found;
      try discriminate refused. change (objects (put_object e ?y st)) with (set e y (objects st)). rewrite find_set, N.eqb_refl.
    cbn [senders set_field] in *. destruct (senders x) as [|t rest]; [discriminate refused|]. cbn. lia. }
  clearbody one. f_equal. unfold senders_left. f_equal. f_equal. f_equal. unfold refuse_sender. destruct (fault (thread s one)).
  - symmetry. exact (but_endpoint _ _ _ (thread_same_but s _ one) e).
  - symmetry. rewrite (but_endpoint _ _ _ (proj1 (wake_same_but s _)) e). exact (but_endpoint _ _ _ (thread_same_but s _ one) e).
Qed.
Lemma refuse_counts e r x p : ends (fun (_ : unit) st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) x p ->
  senders_left e (snd x) + allowance (state_of p) = senders_left e (state_of p) + snd (fst x).
Proof.
  induction 1 as [a units st none|a st more|a units st p more _ IH]; cbn [fst snd state_of] in *; try reflexivity.
  pose proof (refuse_counts_one e r st more). lia.
Qed.

(** Claim [work_counts_down]. *)
Theorem work_counts_down_proved : work_counts_down step.
Proof.
  intros p st ev e units stopped apart_ reached. split.
  - intros badge. unfold cancel_badged_sends.
    assert (waiting nobody (enter ev st)) as ok.
    { destruct (reachable_parts p st apart_ reached) as (_ & wait & _).
      exact (proj1 (@keeps_enter _ _ _ _ (still_quietly nobody st) ev st (still_start nobody st wait))). }
    revert ok. generalize (enter ev st). clear. intros st ok.
    destruct (in_units _ _ tt (allow units st)) as [after|after] eqn:first; cbn [and_then];
      apply (units_allowed (has_sender_with_badge e badge) (cancel_unit e badge) ltac:(reflexivity) (cancel_unit_alike e badge)) in first;
      pose proof (cancel_counts e badge _ _ first ok) as counted; cbn [fst snd state_of] in counted.
    + destruct (must_stop after && _) eqn:stops; [|discriminate]. apply andb_prop, proj1 in stops. unfold must_stop in stops. apply N.eqb_eq in stops.
      intros same. injection same as <-. lia.
    + intros same. injection same as <-.
      pose proof (stopped_spent _ _ _ _ first). lia.
  - intros r. unfold refuse_waiting. generalize (enter ev st). clear. intros st first.
    apply (units_allowed (fun (_ : unit) st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) ltac:(reflexivity)
      (refuse_unit_alike e r)) in first.
    pose proof (refuse_counts e r _ _ first) as counted. cbn [fst snd state_of] in counted. pose proof (stopped_spent _ _ _ _ first). lia.
Qed.
