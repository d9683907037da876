(* SPDX-License-Identifier: BSD-2-Clause *)
(** * A refusal that is executed again

    A sender that is refused leaves what each thread runs on, who waits for whose answer, and who receives. So a system call that is preempted while it
    refuses senders, when it has done nothing else, has its registers and its capabilities when it is executed again, and foresees the same. *)
From Coq Require Import Lia.
From Spec Require Export AgainProofs NeverProofs.
Open Scope N_scope.

(** ** By what it is foreseen who has a context *)
Inductive Tie :=
| OfThread (c : option N) | OfNotification (n : Notification) | OfReply (r : Reply) | OfContext (t : option N) (l : list N) | OfAnother.
Definition tie (x : Object) : Tie :=
  match x with
  | ThreadObject t => OfThread (sched_context t)
  | NotificationObject n => OfNotification n
  | ReplyObject r => OfReply r
  | SchedContextObject c => OfContext (context_thread c) (calls c)
  | _ => OfAnother
  end.
Definition same_ties (a b : State) : Prop := forall o, option_map tie (objects b !! o) = option_map tie (objects a !! o).
Lemma ties_refl st : same_ties st st. Proof. intros o. reflexivity. Qed.
Lemma ties_trans a b c : same_ties a b -> same_ties b c -> same_ties a c. Proof. intros first second o. rewrite second. apply first. Qed.
Lemma ties_back a b : same_ties a b -> same_ties b a. Proof. intros same o. symmetry. apply same. Qed.
Lemma ties_objects a b : objects b = objects a -> same_ties a b. Proof. intros same o. rewrite same. reflexivity. Qed.
Lemma ties_put o x y st : objects st !! o = Some y -> tie x = tie y -> same_ties st (put_object o x st).
Proof.
  intros there same p. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [|reflexivity].
  rewrite there. cbn [option_map]. rewrite same. reflexivity.
Qed.
Lemma tied_thread t f st : (forall x, sched_context (f x) = sched_context x) -> same_ties st (change_thread t f st).
Proof.
  intros same. unfold change_thread. destruct (objects st !! t) as [[]|] eqn:there; try (apply ties_objects; reflexivity).
  apply (ties_put t _ _ st there). cbn [tie]. rewrite same. reflexivity.
Qed.
Lemma tied_endpoint e f st : same_ties st (change_endpoint e f st).
Proof.
  unfold change_endpoint. destruct (objects st !! e) as [[]|] eqn:there; try (apply ties_objects; reflexivity). apply (ties_put e _ _ st there).
  reflexivity.
Qed.
Lemma tied_wake t st : same_ties st (wake t st) /\ same_ties st (wake_ahead t st).
Proof.
  assert (same_ties st (begin_sporadic t (change_thread t (with_state Running) st))) as begun.
  { apply (ties_trans _ (change_thread t (with_state Running) st)); [apply tied_thread; reflexivity|].
    generalize (change_thread t (with_state Running) st). clear st. intros st. unfold begin_sporadic. destruct (context_of t st) as [c|]; [|apply ties_refl].
    destruct (_ && _); [|apply ties_refl]. unfold change_context. destruct (objects st !! c) as [[]|] eqn:there; try (apply ties_objects; reflexivity).
    apply (ties_put c _ _ st there). cbn [tie]. destruct (uses_of_begin_use (now st) context) as (same_thread_ & same_calls & _).
    rewrite same_thread_, same_calls. reflexivity. }
  split; apply (ties_trans _ _ _ begun), ties_objects; exact (proj2 (proj2 (place_by_same _ _ _))).
Qed.
Lemma tied_refused t st : same_ties st (refuse_sender t st).
Proof.
  unfold refuse_sender. destruct (fault (thread t st)); [apply tied_thread; reflexivity|]. cbv zeta.
  pose proof (tied_thread t (with_error_result Error.NoDonation []) st (fun x => uses_of_registers _ x)) as told.
  exact (ties_trans _ _ _ told (proj1 (tied_wake t _))).
Qed.

(** ** What the same is done to stays the same *)
Lemma tied_put o x y a b : same_ties a b -> tie y = tie x -> same_ties (put_object o x a) (put_object o y b).
Proof.
  intros same alike p. change (objects (put_object o x a)) with (set o x (objects a)). change (objects (put_object o y b)) with (set o y (objects b)).
  rewrite !find_set. destruct (p =? o); [cbn [option_map]; rewrite alike; reflexivity | apply same].
Qed.
Ltac both_there same o := pose proof (same o) as at_; match goal with |- context [objects ?a !! o] => destruct (objects a !! o) as [[]|] end;
  match goal with |- context [objects ?b !! o] => destruct (objects b !! o) as [[]|] end; try discriminate at_.
Lemma both_threads t f a b : same_ties a b -> (forall x y, sched_context y = sched_context x -> sched_context (f y) = sched_context (f x)) ->
  same_ties (change_thread t f a) (change_thread t f b).
Proof.
  intros same each. unfold change_thread. both_there same t; try exact same. apply tied_put; [exact same|]. cbn [option_map tie] in *.
  injection at_ as at_. rewrite (each _ _ at_). reflexivity.
Qed.
Lemma both_replies r v a b : same_ties a b -> same_ties (put_reply r v a) (put_reply r v b).
Proof. intros same. unfold put_reply. both_there same r; try exact same. apply tied_put; [exact same | reflexivity]. Qed.
Lemma both_contexts c f a b : same_ties a b -> (forall x y, context_thread y = context_thread x -> calls y = calls x ->
  context_thread (f y) = context_thread (f x) /\ calls (f y) = calls (f x)) -> same_ties (change_context c f a) (change_context c f b).
Proof.
  intros same each. unfold change_context. both_there same c; try exact same. apply tied_put; [exact same|]. cbn [option_map tie] in *.
  injection at_ as at_ more. destruct (each _ _ at_ more) as (-> & ->). reflexivity.
Qed.
Lemma tied_context_of t a b : same_ties a b -> context_of t b = context_of t a.
Proof. intros same. unfold context_of, thread. both_there same t; try reflexivity. injection at_ as at_. exact at_. Qed.
Lemma tied_reply r a b : same_ties a b -> reply r b = reply r a.
Proof. intros same. unfold reply. both_there same r; try reflexivity. injection at_ as at_. exact at_. Qed.
Lemma tied_notification n a b : same_ties a b -> notification n b = notification n a.
Proof. intros same. unfold notification. both_there same n; try reflexivity. injection at_ as at_. exact at_. Qed.
Lemma tied_context c a b : same_ties a b -> context_thread (context c b) = context_thread (context c a) /\ calls (context c b) = calls (context c a).
Proof. intros same. unfold context. both_there same c; try (split; reflexivity). injection at_ as at_ more. split; assumption. Qed.
Lemma both_give c t a b : same_ties a b -> same_ties (give_context c t a) (give_context c t b).
Proof.
  intros same. unfold give_context. cbv zeta. rewrite (proj1 (tied_context c a b same)). apply both_threads; [|reflexivity].
  apply both_contexts; [|intros x y _ more; split; [reflexivity | exact more]].
  destruct (context_thread (context c a)) as [u|]; [|exact same]. apply both_threads; [exact same | reflexivity].
Qed.
Lemma both_break r a b : same_ties a b -> same_ties (break_stack r a) (break_stack r b).
Proof.
  intros same. unfold break_stack. rewrite (tied_reply r a b same). destruct (along (reply r a)) as [c|]; [|exact same]. cbv zeta.
  rewrite (proj2 (tied_context c a b same)). apply both_contexts; [|intros x y first _; split; [exact first | reflexivity]].
  generalize (calls_from r (calls (context c a))). intros l. revert a b same. induction l as [|s l IH]; intros a b same; [exact same|].
  cbn [fold_left]. apply IH. rewrite (tied_reply s a b same). apply both_replies. exact same.
Qed.
Lemma both_return r t a b : same_ties a b -> same_ties (return_context r t a) (return_context r t b).
Proof.
  intros same. unfold return_context. rewrite (tied_reply r a b same). destruct (along (reply r a)) as [c|]; [|exact same].
  rewrite (proj2 (tied_context c a b same)). destruct (calls (context c a)) as [|last rest]; [exact (both_break r a b same)|].
  destruct (last =? r); [|exact (both_break r a b same)]. cbv zeta.
  assert (same_ties (change_context c (fun x => x <| calls := rest |>) a) (change_context c (fun x => x <| calls := rest |>) b)) as less
    by (apply both_contexts; [exact same | intros x y first _; split; [exact first | reflexivity]]).
  rewrite (tied_reply r _ _ less).
  pose proof (both_replies r (without_context (reply r (change_context c (fun x => x <| calls := rest |>) a))) _ _ less) as one.
  rewrite (tied_context_of t _ _ one). destruct (context_of t _); [exact one | apply both_give; exact one].
Qed.
Lemma ties_between a b c d : same_ties a c -> same_ties a b -> same_ties c d -> same_ties b d.
Proof. intros same first second. exact (ties_trans _ _ _ (ties_back _ _ first) (ties_trans _ _ _ same second)). Qed.
Lemma tied_end_call t h st : same_ties st (end_call_of t h st).
Proof.
  unfold end_call_of. destruct (fault (thread t st)); [apply tied_thread; reflexivity|]. cbv zeta.
  pose proof (tied_thread t (with_error_result Error.CallCancelled []) st (fun x => uses_of_registers _ x)) as told.
  destruct h; [exact (ties_trans _ _ _ told (proj1 (tied_wake t _))) | exact (ties_trans _ _ _ told (proj2 (tied_wake t _)))].
Qed.
Lemma both_free r a b : same_ties a b -> same_ties (free_reply r a) (free_reply r b).
Proof.
  intros same. unfold free_reply. cbv zeta. rewrite (tied_reply r a b same).
  match goal with |- same_ties (put_reply r _ (match receiver (reply r ?x) with _ => _ end)) (put_reply r _ (match receiver (reply r ?y) with _ => _ end)) =>
    assert (same_ties x y) as one; [|revert one; generalize x, y; clear; intros a b one] end.
  - destruct (caller (reply r a)) as [c|]; [|exact same].
    exact (ties_between _ _ _ _ (both_replies r unused_reply _ _ (both_return r c a b same)) (tied_end_call _ _ _) (tied_end_call _ _ _)).
  - apply both_replies. rewrite (tied_reply r a b one). destruct (receiver (reply r a)) as [t|]; [|exact one].
    refine (ties_between _ _ _ _ one (tied_thread _ _ _ _) (tied_thread _ _ _ _)); intros x; destruct (run_state x); reflexivity.
Qed.

(** ** Messages *)
Lemma derived_objects slot source o c st : objects (insert_derived slot source o c st) = objects st.
Proof.
  assert (forall parent o d st, objects (insert_child slot parent o d st) = objects st) as child
    by (intros parent o' d one; unfold insert_child, count_reference; destruct (_ && _); [destruct (referent d); reflexivity | reflexivity]).
  unfold insert_derived. destruct (slots st !! source) as [x|]; [|reflexivity].
  assert (objects (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability x) c) then emit Stuck st
                   else if original x then insert_child slot source o c st else insert_sibling slot source o c st) = objects st) as usual.
  { destruct (_ || _); [reflexivity|]. destruct (original x); [apply child|]. rewrite insert_sibling_same. reflexivity. }
  destruct (capability x); try exact usual. unfold carve. destruct (slots st !! source); [|reflexivity].
  destruct (capability_at source st) as [[]|]; try reflexivity. cbv zeta. destruct (_ && _); [|reflexivity]. rewrite child.
  unfold replace_capability, discount_reference, count_reference. destruct (referent _), (referent _); reflexivity.
Qed.
Lemma long_words_objects t l st : objects (write_long_words t l st) = objects st.
Proof.
  unfold write_long_words. destruct (receive_buffer t st) as [buffer|]; [|reflexivity]. generalize (buffer + ipc_buffer_msg + 8 * ipc_register_words).
  revert st. induction (skipn (N.to_nat ipc_register_words) l) as [|v rest IH]; intros st a; [reflexivity|]. cbn [write_words]. rewrite IH. reflexivity.
Qed.
Lemma transfer_objects position l through from to free st : objects (snd (transfer position l through from to free st)) = objects st.
Proof.
  revert position free st. induction l as [|address rest IH]; intros position free st; cbn [transfer]; [reflexivity|].
  destruct (receive_buffer to st) as [buffer|]; [|reflexivity]. destruct (occupied_slot_of_address from address st) as [(source & c)|]; [|reflexivity].
  cbv zeta.
  match goal with |- objects (snd (match ?x with _ => _ end)) = _ => destruct x as [badge|] end.
  - pose proof (IH (position + 1) free (write_memory (buffer + ipc_buffer_caps_or_badges + 8 * position) badge st)) as after.
    destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). exact after.
  - destruct free; [|reflexivity]. destruct (derivation_error source c st) as [error|]; [reflexivity|].
    destruct (receive_slot to st) as [slot|]; [|reflexivity].
    pose proof (IH (position + 1) false (insert_derived slot source false (derived c) st)) as after.
    destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). cbn [snd] in *. rewrite after. apply derived_objects.
Qed.
Lemma tied_deliver m through badge with_caps from to st : same_ties st (deliver m through badge with_caps from to st).
Proof.
  unfold deliver. pose proof (transfer_objects 0 (if with_caps then cap_addresses m else []) through from to true st) as same.
  destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & one). cbn [snd] in same. cbv zeta.
  eapply ties_trans; [apply (ties_objects st one same)|]. eapply ties_trans; [apply tied_thread; intros x; apply uses_of_registers|].
  apply ties_objects, long_words_objects.
Qed.
Lemma tied_answer_fault t f m st : same_ties st (answer_fault t f m st).
Proof.
  unfold answer_fault. cbv zeta. eapply ties_trans; [apply (tied_thread t)|].
  2: { destruct (goes_on f (label m)); [apply ties_refl | apply tied_thread; reflexivity]. }
  intros x. destruct (fault_label f); try exact (eq_trans (uses_of_registers _ _) eq_refl). rewrite debug_context.
  exact (eq_trans (uses_of_registers _ _) eq_refl).
Qed.
Lemma both_answer t r g h a b : same_ties a b -> same_ties (answer t r g a) (answer t r h b).
Proof.
  intros same. unfold answer. cbv zeta. rewrite (tied_reply r a b same). destruct (caller (reply r a)) as [c|]; [|exact same].
  assert (same_ties (change_thread c (with_state Running) (put_reply r unused_reply (return_context r c a)))
    (change_thread c (with_state Running) (put_reply r unused_reply (return_context r c b)))) as one
    by (apply both_threads; [apply both_replies, both_return; exact same | intros x y both_; exact both_]).
  assert (forall g (had : bool) st, same_ties st (let told := match fault (thread c st) with
    | Some f => answer_fault c f (message_of_call t st) st | None => deliver (message_of_call t st) None 0 g t c st end in
    if negb (is_running c told) then told else if had then wake c told else wake_ahead c told)) as each.
  { intros grant had st. cbv zeta. set (told := match fault (thread c st) with Some f => _ | None => _ end). assert (same_ties st told) as ok
      by (unfold told; destruct (fault (thread c st)); [apply tied_answer_fault | apply tied_deliver]).
    destruct (negb _); [exact ok|]. destruct had; [exact (ties_trans _ _ _ ok (proj1 (tied_wake c told))) |
      exact (ties_trans _ _ _ ok (proj2 (tied_wake c told)))]. }
  refine (ties_between _ _ _ _ one _ _).
  - exact (each (g && answer_may_grant (run_state (thread c a))) (is_some (context_of c a)) _).
  - exact (each (h && answer_may_grant (run_state (thread c b))) (is_some (context_of c b)) _).
Qed.
Lemma both_met s t e badge r rg g gr a b : same_ties a b -> same_ties (meet s t e badge r rg g gr false true a) (meet s t e badge r rg g gr false true b).
Proof.
  intros same. unfold meet, lends_now. cbn [andb orb negb]. cbv zeta. rewrite (tied_context_of s a b same), (tied_context_of t a b same).
  pose proof (ties_between _ _ _ _ same (tied_deliver (message_of s a) (Some e) badge g s t a) (tied_deliver (message_of s b) (Some e) badge g s t b)) as one.
  revert one. generalize (deliver (message_of s a) (Some e) badge g s t a), (deliver (message_of s b) (Some e) badge g s t b). intros a1 b1 one.
  assert (same_ties (match r with Some r => put_reply r unused_reply a1 | None => a1 end) (match r with Some r => put_reply r unused_reply b1 | None => b1 end))
    as two by (destruct r; [apply both_replies|]; exact one).
  revert two. generalize (match r with Some r => put_reply r unused_reply a1 | None => a1 end),
    (match r with Some r => put_reply r unused_reply b1 | None => b1 end). intros a2 b2 two. rewrite (tied_context_of s a2 b2 two).
  match goal with |- context [if ?x then context_of s a2 else None] => destruct (if x then context_of s a2 else None) as [c|] end;
    [exact (ties_between _ _ _ _ (both_give c t a2 b2 two) (proj2 (tied_wake t _)) (proj2 (tied_wake t _)))|].
  refine (ties_between _ _ _ _ two _ _); (destruct (is_running _ _); [apply ties_refl | exact (proj1 (tied_wake t _))]).
Qed.

(** ** What decides *)
Record decides_alike (t : N) (a b : State) : Prop := {
  its_thread : thread t b = thread t a;
  its_slots : slots b = slots a;
  its_ties : same_ties a b;
  its_receivers : forall e, receivers (endpoint e b) = receivers (endpoint e a);
  who_receives : forall u e r q g, run_state (thread u a) = BlockedOnReceive e r q g -> run_state (thread u b) = BlockedOnReceive e r q g
}.
Lemma decides_objects t a b : slots b = slots a -> objects b = objects a -> decides_alike t a b.
Proof.
  intros same_slots same. constructor; [| exact same_slots | exact (ties_objects a b same) | |]; unfold thread, endpoint; rewrite same; try reflexivity.
  intros u e r q g waits_. exact waits_.
Qed.
Lemma decides_trans t a b c : decides_alike t a b -> decides_alike t b c -> decides_alike t a c.
Proof.
  intros [t1 s1 i1 r1 w1] [t2 s2 i2 r2 w2]. split; [congruence | congruence | exact (ties_trans _ _ _ i1 i2) | intros e; rewrite r2; apply r1|].
  intros u e r q g same. apply w2, w1. exact same.
Qed.
Lemma refused_same_but t st : same_but t st (refuse_sender t st).
Proof.
  unfold refuse_sender. destruct (fault (thread t st)); [apply thread_same_but|]. cbv zeta.
  exact (same_but_trans t _ _ _ (thread_same_but t (with_error_result Error.NoDonation []) st) (proj1 (wake_same_but t _))).
Qed.
Lemma refused_decides t e r st : goes t st -> decides_alike t st (refuse_first e r st).
Proof.
  intros (wait & runs). constructor.
  - exact (refused_other t e r st wait runs).
  - exact (proj1 (@keeps_refuse_first _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) e r eq_refl st (conj eq_refl eq_refl))).
  - unfold refuse_first. destruct (first_refused e r st) as [s|]; [|apply ties_refl]. eapply ties_trans; [apply tied_endpoint | apply tied_refused].
  - intros p. unfold refuse_first. destruct (first_refused e r st) as [s|]; [|reflexivity]. rewrite (but_endpoint _ _ _ (refused_same_but s _)).
    rewrite (proj1 (after_endpoint e _ st)). destruct (_ && _) eqn:is_e; [|reflexivity]. apply andb_prop, proj1, N.eqb_eq in is_e. subst p. reflexivity.
  - intros u p q k g waits_. unfold refuse_first. destruct (first_refused e r st) as [s|] eqn:first; [|exact waits_].
    assert (u <> s) as other.
    { intros ->. unfold first_refused in first. destruct (senders (endpoint e st)) as [|x rest]; [discriminate first|].
      destruct (run_state (thread x st)) eqn:state; try discriminate first. destruct (_ && _); [discriminate first|]. injection first as ->. congruence. }
    rewrite (other_state _ _ _ (refused_same_but s _) u other), only_threads. exact waits_.
Qed.
Lemma stopped_decides t e r st : goes t st -> decides_alike t st (state_of (refuse_waiting e r st)).
Proof.
  intros ok. apply (units_hold (fun one => decides_alike t st one /\ goes t one)).
  - intros n one (same & goes_). split; [exact (decides_trans t _ _ _ same (decides_objects t one (allow n one) eq_refl eq_refl))|].
    exact (looks_at_objects (goes_quietly t) one (allow n one) eq_refl eq_refl eq_refl eq_refl eq_refl goes_).
  - intros u one (same & goes_). cbn [snd]. split; [exact (decides_trans t _ _ _ same (refused_decides t e r one goes_)) |
      exact (refused_and_goes t e r one goes_)].
  - split; [exact (decides_objects t _ _ eq_refl eq_refl) | exact ok].
Qed.
Lemma same_source t w a b : decides_alike t a b -> source_of t w b = source_of t w a.
Proof.
  intros [same same_slots ties _ _]. unfold source_of. cbv zeta. rewrite same, (occupied_of_slots t _ a b same_slots).
  destruct (occupied_slot_of_address t _ a) as [(s & [])|]; try reflexivity.
  - rewrite (occupied_of_slots t _ a b same_slots). reflexivity.
  - rewrite (tied_notification notification a b ties). reflexivity.
Qed.
Lemma same_freed t w a b : decides_alike t a b -> same_ties (free_own_reply t w a) (free_own_reply t w b).
Proof.
  intros same. unfold free_own_reply. rewrite (same_source t w a b same). destruct (source_of t w a) as [e [r|] g|n|x y]; try apply same.
  apply both_free, same.
Qed.
Lemma same_answered t a b : decides_alike t a b -> same_ties (reply_phase t a) (reply_phase t b).
Proof.
  intros [same same_slots ties _ _]. unfold reply_phase. rewrite same, (occupied_of_slots t _ a b same_slots).
  destruct (occupied_slot_of_address t _ a) as [(s & [])|]; try exact ties. apply both_answer. exact ties.
Qed.
Lemma same_passed t a b : waiting nobody a -> decides_alike t a b -> same_ties (pass_message t a) (pass_message t b).
Proof.
  intros wait [same same_slots ties receivers_ states]. unfold pass_message, pass_on, send_phase. rewrite same, (occupied_of_slots t _ a b same_slots).
  destruct (occupied_slot_of_address t _ a) as [(s & [])|]; try exact ties; [|apply both_answer; exact ties].
  cbn [calls_back lends_context waits passing_on]. destruct (can_write rights); [|exact ties]. unfold send. rewrite (receivers_ endpoint).
  destruct (receivers (Objects.endpoint endpoint a)) as [|first rest] eqn:queue; [exact ties|].
  destruct (heads_receive a endpoint wait first rest queue) as (e & r & q & g & state). rewrite state, (states first e r q g state).
  cbn [andb orb negb]. cbv zeta.
  unfold leaves_without_context, lends_now. cbn [andb]. rewrite (tied_context_of t a b ties), (tied_context_of first a b ties).
  destruct (_ && _); [exact ties|]. cbn [snd]. apply both_met. exact (ties_between _ _ _ _ ties (tied_endpoint _ _ _) (tied_endpoint _ _ _)).
Qed.
Lemma same_foreseen t w what a b : waiting nobody a -> decides_alike t a b -> In what [free_own_reply t w; reply_phase t; pass_message t] ->
  context_of t (what b) = context_of t (what a).
Proof.
  intros wait same [<-|[<-|[<-|[]]]]; apply tied_context_of; [exact (same_freed t w a b same) | exact (same_answered t a b same)
    | exact (same_passed t a b wait same)].
Qed.
Lemma same_early t w what a b : waiting nobody a -> decides_alike t a b -> In what [free_own_reply t w; reply_phase t; pass_message t] ->
  refuse_early t w what b = match source_of t w a with
    | FromEndpoint e r _ => if requires_donation t a && negb (is_signalled t a) && negb (is_some (context_of t (what a))) then refuse_waiting e r b else Done b
    | _ => Done b
    end.
Proof.
  intros wait same listed. unfold refuse_early, requires_donation, is_signalled, is_active.
  rewrite (same_source t w a b same), (same_foreseen t w what a b wait same listed), (its_thread t a b same).
  destruct (source_of t w a) as [e r g|n|x y]; try reflexivity. destruct (bound_notification (thread t a)) as [n|]; [|reflexivity].
  rewrite (tied_notification n a b (its_ties t a b same)). reflexivity.
Qed.

Lemma entered_goes p st event t : roots_are_apart p -> reachable step p st -> current st = Some t -> goes t (enter event st).
Proof.
  intros apart_ reached is_cur. destruct (reachable_parts p st apart_ reached) as (_ & wait & _).
  destruct (states_are_settled_proved p st reached) as [first _ _ _].
  destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) event st (still_start nobody st wait)) as (ok & same).
  split; [exact ok|]. rewrite (same_state _ _ same). apply (w_runs nobody st wait), in_app_iff. left. rewrite first in is_cur. unfold first_ready in is_cur.
  apply List.find_some in is_cur. exact (proj1 is_cur).
Qed.

(** Claim [refusals_come_to_the_same]. *)
Theorem refusals_come_to_the_same_proved : refusals_come_to_the_same step.
Proof.
  intros p st event t with_reply foreseen units stopped more apart_ reached is_cur listed. cbv zeta.
  assert (goes t (enter event st)) as goes_ by exact (entered_goes p st event t apart_ reached is_cur).
  revert goes_. generalize (enter event st). clear - listed. intros st goes_.
  assert (goes t (allow units st)) as goes_u
    by exact (looks_at_objects (goes_quietly t) st (allow units st) eq_refl eq_refl eq_refl eq_refl eq_refl goes_).
  unfold refuse_early at 1. intros preempted.
  destruct (source_of t with_reply (allow units st)) as [e r g|n|x y] eqn:source_; [|discriminate preempted..].
  destruct (_ && _) eqn:test; [|discriminate preempted].
  pose proof (stopped_decides t e r _ goes_u) as same. rewrite preempted in same. cbn [state_of] in same.
  split; [exact (its_thread _ _ _ same)|].
  pose proof (decides_trans t _ _ _ same (decides_objects t stopped (allow more stopped) eq_refl eq_refl)) as again.
  pose proof (decides_objects t (allow units st) (allow (units + more) st) eq_refl eq_refl) as at_once.
  rewrite (same_early t with_reply foreseen _ _ (proj1 goes_u) again listed), (same_early t with_reply foreseen _ _ (proj1 goes_u) at_once listed), source_,
    test.
  destruct (restarts_come_to_the_same_proved st units more stopped) as (_ & _ & _ & refuses). symmetry. exact (refuses e r preempted).
Qed.
