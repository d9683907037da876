(* SPDX-License-Identifier: BSD-2-Clause *)
(** * No link dangles

    As links are symmetric, and what is missing links to nothing, what a link names is there. *)
From Spec Require Export YieldProofs.
Open Scope N_scope.

Lemma exists_thread t st : thread_exists t st = true -> exists x, objects st !! t = Some (ThreadObject x).
Proof. unfold thread_exists. destruct (objects st !! t) as [[]|]; try discriminate. intros _. eexists. reflexivity. Qed.
Lemma exists_context c st : context_exists c st = true -> exists x, objects st !! c = Some (SchedContextObject x).
Proof. unfold context_exists. destruct (objects st !! c) as [[]|]; try discriminate. intros _. eexists. reflexivity. Qed.
Lemma exists_endpoint e st : endpoint_exists e st = true -> exists x, objects st !! e = Some (EndpointObject x).
Proof. unfold endpoint_exists. destruct (objects st !! e) as [[]|]; try discriminate. intros _. eexists. reflexivity. Qed.
Lemma exists_notification n st : notification_exists n st = true -> exists x, objects st !! n = Some (NotificationObject x).
Proof. unfold notification_exists. destruct (objects st !! n) as [[]|]; try discriminate. intros _. eexists. reflexivity. Qed.
Lemma exists_reply r st : reply_exists r st = true -> exists x, objects st !! r = Some (ReplyObject x).
Proof. unfold reply_exists. destruct (objects st !! r) as [[]|]; try discriminate. intros _. eexists. reflexivity. Qed.

(** Claim [no_link_dangles]. *)
Theorem no_link_dangles_proved : no_link_dangles step.
Proof.
  intros p st apart reached. destruct (reachable_parts p st apart reached) as (link & wait & ok). pose proof (reachable_yields p st apart reached) as yields.
  destruct (states_are_settled_proved p st reached) as [first use _ _].
  assert (forall t, run_state (thread t st) <> Inactive -> exists x, objects st !! t = Some (ThreadObject x)) as active
    by (intros t other; exact (exists_thread t st (thread_is t st other))).
  assert (forall t, In t (ready st ++ sleeping st) -> exists x, objects st !! t = Some (ThreadObject x)) as queued_.
  { intros t listed. apply active. rewrite (w_runs nobody st wait t listed). discriminate. }
  assert (forall t, first_ready st = Some t -> In t (ready st ++ sleeping st)) as first_is
    by (intros t is_first; unfold first_ready in is_first; apply List.find_some in is_first; apply in_app_iff; left; exact (proj1 is_first)).
  assert (forall t q, says (run_state (thread t st)) q -> stands t q st) as stands_ by (intros t q named; apply (w_stands nobody st wait); split;
    [intros [] | exact named]).
  constructor.
  - intros t [listed|[is_cur|[(q & there)|[(n & bound)|(c & [has|by_])]]]].
    + exact (queued_ t listed).
    + rewrite first in is_cur. exact (queued_ t (first_is t is_cur)).
    + apply active. apply (w_stands nobody st wait) in there. destruct there as (_ & named). intros no. rewrite no in named. exact named.
    + apply (both_bound _ (linked_both st link)) in bound. destruct (bound_exists t st n bound) as (x & there & _). exists x. exact there.
    + apply (b_had none st ok) in has. exact (exists_thread t st (proj1 (had_exists none t c st ok has))).
    + apply (y_both st yields) in by_. exact (exists_thread t st (proj1 (to_exists t c st yields by_))).
  - intros c [is_cur|[(t & [has|to])|[(n & lent)|(r & with_c)]]].
    + rewrite use in is_cur. unfold context_of_first in is_cur. destruct (first_ready st) as [t|]; [|discriminate].
      exact (exists_context c st (proj2 (had_exists none t c st ok is_cur))).
    + exact (exists_context c st (proj2 (had_exists none t c st ok has))).
    + exact (exists_context c st (proj2 (to_exists t c st yields to))).
    + exact (exists_context c st (lent_there n c st link lent)).
    + apply (b_along none st ok) in with_c. exact (exists_context c st (called_exists r c st with_c)).
  - intros e t named. apply exists_endpoint. destruct (endpoint_exists e st) eqn:there; [reflexivity|]. destruct (missing_endpoint e st there) as (no_s & no_r).
    destruct named as [named|named]; apply stands_ in named; cbn [stands] in named; [rewrite no_s in named | rewrite no_r in named]; destruct named.
  - intros n [(t & [bound|named])|(c & lender)].
    + apply (both_bound _ (linked_both st link)) in bound. destruct (binder_exists n st t bound) as (x & there & _). exists x. exact there.
    + apply exists_notification. destruct (notification_exists n st) eqn:there; [reflexivity|]. apply stands_ in named. cbn [stands] in named.
      rewrite (missing_notification n st there) in named. destruct named.
    + apply (both_lent _ (linked_both st link)) in lender. destruct (lent_exists n st c lender) as (x & there & _). exists x. exact there.
  - intros r [(t & [named|named])|(c & listed)]; apply exists_reply.
    + apply stands_ in named. cbn [stands] in named. apply reply_is. left. congruence.
    + apply stands_ in named. cbn [stands] in named. apply reply_is. right. congruence.
    + exact (along_exists r c st (proj2 (b_along none st ok r c) listed)).
Qed.
