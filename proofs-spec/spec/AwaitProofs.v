(* SPDX-License-Identifier: BSD-2-Clause *)
(** * How those who wait stand

    An endpoint has senders or receivers, not both; a notification that has flags has no waiters; a thread that has faulted waits for its handler; and all
    queues are in the order of priorities. *)
From Coq Require Import Lia.
From Spec Require Export OrderProofs.
Open Scope N_scope.

(** Excused are threads that have faulted and do not wait yet, and notifications that have flags for who waits there; [sane] threads have not faulted. *)
Definition but_apt (k : Link) : bool := match k with Waiting | Ending | Ranking | Faulting => true | _ => false end.
Definition none_of : N -> Prop := fun _ => False.
Definition less (ex : N -> Prop) (t : N) : N -> Prop := fun u => ex u /\ u <> t.
Definition more (ex : N -> Prop) (t : N) : N -> Prop := fun u => u = t \/ ex u.
Definition awaits_answer (s : RunState) : Prop := match s with BlockedOnSend _ _ _ _ true _ | BlockedOnReply _ _ => True | _ => False end.
Record apt (ex sane fl : N -> Prop) (st : State) : Prop := {
  a_live : all_live st;
  a_fault : forall t, ~ ex t -> fault (thread t st) <> None -> awaits_answer (run_state (thread t st));
  a_sane : forall t, sane t -> fault (thread t st) = None;
  a_ends : forall e, senders (endpoint e st) = [] \/ receivers (endpoint e st) = [];
  a_flags : forall n, ~ fl n -> waiters (notification n st) = [] \/ word_of_flags (notification n st) = None;
  a_ranked : forall o, by_rank (rank st) (senders (endpoint o st)) /\ by_rank (rank st) (receivers (endpoint o st))
    /\ by_rank (rank st) (waiters (notification o st))
}.
Record same_apt (a b : State) : Prop := {
  sa_fault : forall t, fault (thread t b) = fault (thread t a);
  sa_state : forall t, run_state (thread t b) = run_state (thread t a);
  sa_rank : forall t, rank b t = rank a t;
  sa_endpoint : forall e, endpoint e b = endpoint e a;
  sa_waiters : forall n, waiters (notification n b) = waiters (notification n a);
  sa_flags : forall n, word_of_flags (notification n b) = None \/ word_of_flags (notification n b) = word_of_flags (notification n a)
}.
Lemma same_apt_objects a b : objects b = objects a -> same_apt a b.
Proof. intros same. constructor; intros o; unfold rank, thread, endpoint, notification; rewrite same; try reflexivity. right. reflexivity. Qed.
Lemma by_rank_ext r r' l : (forall t, r' t = r t) -> by_rank r l -> by_rank r' l.
Proof. intros same. apply by_rank_same. intros t _. exact (same t). Qed.
Lemma apt_same ex sane fl a b : all_live b -> same_apt a b -> apt ex sane fl a -> apt ex sane fl b.
Proof.
  intros alive [f s r e w g] [_ faults_ sane_ ends flags_ ranked]. constructor; [exact alive | | | | |].
  - intros t. rewrite f, s. apply faults_.
  - intros t. rewrite f. apply sane_.
  - intros o. rewrite e. apply ends.
  - intros n free. rewrite w. destruct (g n) as [none|same]; [right; exact none | rewrite same; exact (flags_ n free)].
  - intros o. rewrite e, w. destruct (ranked o) as (x & y & z). repeat split; apply (by_rank_ext (rank a)); assumption.
Qed.
Lemma put_same_apt o x y st : objects st !! o = Some y -> same_kind y x -> object_change but_apt y x -> same_apt st (put_object o x st).
Proof.
  intros there same change. constructor; intros o'; unfold rank, thread, endpoint, notification;
    change (objects (put_object o x st)) with (set o x (objects st)); rewrite find_set; read_put o' o; try reflexivity; try (right; reflexivity);
    rewrite there; destruct x, y; try contradiction same; try reflexivity; try (right; reflexivity); cbn [object_change] in change.
  - exact (proj1 (proj2 change) eq_refl).
  - exact (proj2 (proj2 (proj2 change)) eq_refl).
  - exact (proj1 change).
  - exact (change eq_refl).
  - exact (proj2 (proj2 (proj2 change)) eq_refl).
  - exact (proj1 change eq_refl).
Qed.
Lemma apt_quietly ex sane fl : kept_quietly_but but_apt (apt ex sane fl) (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_. constructor; try (intros; exact I).
  - intros a b s r o d l ok. apply (apt_same _ _ _ a); [exact (looks_at_objects live_ a b s r o d l (a_live _ _ _ a ok)) | exact (same_apt_objects a b o) |
      exact ok].
  - intros t st ok. apply (apt_same _ _ _ st); [exact (after_unplace live_ t st (a_live _ _ _ st ok)) | apply same_apt_objects; reflexivity | exact ok].
  - intros insert t st usual ok. apply (apt_same _ _ _ st); [exact (after_place live_ insert t st usual (a_live _ _ _ st ok)) | | exact ok].
    apply same_apt_objects. exact (proj2 (proj2 (place_by_same insert t st))).
  - intros t st asleep ok. apply (apt_same _ _ _ st); [exact (after_sleeping_anew live_ t st asleep (a_live _ _ _ st ok)) |
      apply same_apt_objects; reflexivity | exact ok].
  - intros o x y st there kind change fine ok. apply (apt_same _ _ _ st); [| exact (put_same_apt o x y st there kind change) | exact ok].
    apply (after_put_object live_ o x y st there kind); [|exact fine | exact (a_live _ _ _ st ok)]. destruct y, x; try exact I; repeat split; discriminate.
Qed.
Lemma new_same_apt o x st after : objects st !! o = None -> is_new x -> objects after = set o x (objects st) -> same_apt st after.
Proof.
  intros none new same. constructor; intros o'; unfold rank, thread, endpoint, notification; rewrite same, find_set; read_put o' o; try reflexivity;
    try (right; reflexivity); rewrite none; destruct x; try reflexivity; try (right; reflexivity); cbn [is_new] in new; rewrite new; try reflexivity;
    left; reflexivity.
Qed.
Lemma apt_kept ex sane fl : kept_but but_apt (apt ex sane fl) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | exact (a_live ex sane fl)|]. intros st after alive objs _ _ _ ok. apply (apt_same _ _ _ st); [exact alive | | exact ok].
  destruct objs as [same|(o & x & none & new & same)]; [exact (same_apt_objects st after same) | exact (new_same_apt o x st after none new same)].
Qed.
Lemma apt_weak (ex ex' sane sane' fl fl' : N -> Prop) st : (forall u, ~ ex' u -> ~ ex u) -> (forall u, sane' u -> sane u) -> (forall u, ~ fl' u -> ~ fl u) ->
  apt ex sane fl st -> apt ex' sane' fl' st.
Proof. intros e s f [alive faults_ sane_ ends flags_ ranked]. constructor; auto. Qed.
Lemma apt_note ex sane fl t st : apt ex sane fl st -> fault (thread t st) = None -> apt (less ex t) (more sane t) fl st.
Proof.
  intros [alive faults_ sane_ ends flags_ ranked] none. constructor; try assumption.
  - intros u free some. apply faults_; [|exact some]. intros excused. apply free. split; [exact excused | congruence].
  - intros u [->|is_]; [exact none | exact (sane_ u is_)].
Qed.

(** ** Changes of one object *)
Lemma apt_thread (ex ex' sane sane' fl : N -> Prop) t f st : apt ex sane fl st -> (forall x, priority (f x) = priority x) ->
  (~ ex' t -> fault (f (thread t st)) <> None -> awaits_answer (run_state (f (thread t st)))) -> (sane' t -> fault (f (thread t st)) = None) ->
  (forall u, u <> t -> (~ ex' u -> ~ ex u) /\ (sane' u -> sane u)) -> apt ex' sane' fl (change_thread t f st).
Proof.
  intros [alive faults_ sane_ ends flags_ ranked] same_rank at_t sane_t others. destruct (after_thread t f st) as (endpoints & notifications & _).
  assert (forall u, rank (change_thread t f st) u = rank st u) as ranks.
  { intros u. unfold rank. rewrite thread_after_change_thread. destruct (N.eqb_spec u t) as [->|]; [|reflexivity].
    destruct (thread_exists t st); [apply same_rank
    | reflexivity]. }
  constructor.
  - apply thread_live. exact alive.
  - intros u. rewrite thread_after_change_thread. destruct (N.eqb_spec u t) as [->|other]; cbn [andb].
    + destruct (thread_exists t st) eqn:there; [exact at_t|]. rewrite (missing_thread t st there). intros _ no. contradiction no. reflexivity.
    + intros free. exact (faults_ u (proj1 (others u other) free)).
  - intros u. rewrite thread_after_change_thread. destruct (N.eqb_spec u t) as [->|other]; cbn [andb].
    + destruct (thread_exists t st) eqn:there; [exact sane_t|]. rewrite (missing_thread t st there). intros _. reflexivity.
    + intros is_. exact (sane_ u (proj2 (others u other) is_)).
  - intros e. rewrite endpoints. apply ends.
  - intros n. rewrite notifications. apply flags_.
  - intros o. rewrite endpoints, notifications. destruct (ranked o) as (x & y & z). repeat split; apply (by_rank_ext (rank st)); assumption.
Qed.
Lemma apt_still ex sane fl t f st : (forall x, priority (f x) = priority x /\ fault (f x) = fault x /\ run_state (f x) = run_state x) ->
  apt ex sane fl st -> apt ex sane fl (change_thread t f st).
Proof.
  intros same ok. destruct (same (thread t st)) as (_ & same_f & same_s).
  apply (apt_thread ex ex sane sane); [exact ok | intros x; apply same | | | intros u _; split; exact id]; rewrite same_f, ?same_s.
  - exact (a_fault _ _ _ st ok t).
  - exact (a_sane _ _ _ st ok t).
Qed.
Lemma apt_state ex sane fl t s st : fault (thread t st) = None -> apt ex sane fl st -> apt ex sane fl (change_thread t (with_state s) st).
Proof.
  intros none ok. apply (apt_thread ex ex sane sane); [exact ok | reflexivity | | | intros u _; split; exact id].
  - intros _ some. destruct (some none).
  - intros _. exact none.
Qed.
Lemma apt_inactive ex sane fl t st : apt ex sane fl st -> apt (less ex t) (more sane t) fl (change_thread t (fun x => with_state Inactive (x <| fault := None
  |>)) st).
Proof.
  intros ok. apply (apt_thread ex _ sane _); [exact ok | reflexivity | | reflexivity |].
  - intros _ some. contradiction some. reflexivity.
  - intros u other. split; [intros free excused; apply free; split; assumption | intros [is_t|is_]; [contradiction | exact is_]].
Qed.
Lemma apt_endpoint ex sane fl e f st : apt ex sane fl st -> (senders (f (endpoint e st)) = [] \/ receivers (f (endpoint e st)) = []) ->
  by_rank (rank st) (senders (f (endpoint e st))) -> by_rank (rank st) (receivers (f (endpoint e st))) -> apt ex sane fl (change_endpoint e f st).
Proof.
  intros [alive faults_ sane_ ends flags_ ranked] one ranked_s ranked_r. destruct (after_endpoint e f st) as (endpoints & threads & notifications & _).
  assert (forall u, rank (change_endpoint e f st) u = rank st u) as ranks by (intros u; unfold rank; rewrite threads; reflexivity).
  constructor.
  - apply endpoint_live. exact alive.
  - intros u. rewrite threads. apply faults_.
  - intros u. rewrite threads. apply sane_.
  - intros o. rewrite endpoints. destruct (_ && _); [exact one | apply ends].
  - intros n. rewrite notifications. apply flags_.
  - intros o. rewrite endpoints, notifications. destruct (ranked o) as (x & y & z).
    split; [|split]; apply (by_rank_ext (rank st)); try exact ranks; try exact z; destruct (_ && _); assumption.
Qed.
Lemma apt_notification (ex sane fl fl' : N -> Prop) n f st : apt ex sane fl st ->
  (~ fl' n -> waiters (f (notification n st)) = [] \/ word_of_flags (f (notification n st)) = None) -> by_rank (rank st) (waiters (f (notification n st))) ->
  (forall u, u <> n -> ~ fl' u -> ~ fl u) -> apt ex sane fl' (change_notification n f st).
Proof.
  intros [alive faults_ sane_ ends flags_ ranked] one ranked_w others. destruct (after_notification n f st) as (notifications & threads & endpoints & _).
  assert (forall u, rank (change_notification n f st) u = rank st u) as ranks by (intros u; unfold rank; rewrite threads; reflexivity).
  constructor.
  - apply notification_live. exact alive.
  - intros u. rewrite threads. apply faults_.
  - intros u. rewrite threads. apply sane_.
  - intros o. rewrite endpoints. apply ends.
  - intros o. rewrite notifications. destruct (N.eqb_spec o n) as [->|other]; cbn [andb]; [|intros free; exact (flags_ o (others o other free))].
    destruct (notification_exists n st) eqn:there; [exact one|]. intros _. left. exact (missing_notification n st there).
  - intros o. rewrite endpoints, notifications. destruct (ranked o) as (x & y & z).
    split; [|split]; apply (by_rank_ext (rank st)); try exact ranks; try assumption. destruct (_ && _); assumption.
Qed.
Lemma apt_reply ex sane fl r v st : apt ex sane fl st -> apt ex sane fl (put_reply r v st).
Proof.
  intros ok. destruct (after_reply r v st) as (_ & threads & endpoints & notifications). apply (apt_same _ _ _ st);
    [exact (reply_live r v st (a_live _ _ _ st ok)) |
    | exact ok].
  constructor; intros o; unfold rank; rewrite ?threads, ?endpoints, ?notifications; try reflexivity. right. reflexivity.
Qed.

(** ** Leaving and waking *)
Notation quiet_now ex sane fl := (apt_quietly ex sane fl).
Lemma apt_woken ex sane fl t st : apt ex sane fl st -> fault (thread t st) = None -> apt ex sane fl (wake t st) /\ apt ex sane fl (wake_ahead t st).
Proof.
  intros ok none. pose proof (apt_state ex sane fl t Running st none ok) as runs. unfold wake, wake_ahead.
  pose proof (@keeps_begin_sporadic _ _ _ _ (quiet_now ex sane fl) t _ runs) as begun.
  split; [exact (@keeps_place _ _ _ _ (quiet_now ex sane fl) t _ begun) | exact (@keeps_place_ahead _ _ _ _ (quiet_now ex sane fl) t _ begun)].
Qed.
Lemma apt_stopped ex sane fl t st : apt ex sane fl st -> apt ex sane fl (stop_waiting t st).
Proof.
  intros ok. unfold stop_waiting. destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n]; try exact ok.
  - destruct (a_ranked _ _ _ st ok e) as (ranked_s & ranked_r & _).
    assert (apt ex sane fl (change_endpoint e (fun x => x <| receivers := without t (receivers x) |>) st)) as left_.
    { apply apt_endpoint; [exact ok | | exact ranked_s | exact (by_rank_without _ t _ ranked_r)].
      destruct (a_ends _ _ _ st ok e) as [none|none]; [left; exact none | right]. cbn [receivers set_field setter]. rewrite none. reflexivity. }
    destruct r as [r|]; [exact (apt_reply _ _ _ r _ _ left_) | exact left_].
  - destruct (a_ranked _ _ _ st ok e) as (ranked_s & ranked_r & _).
    apply apt_endpoint; [exact ok | | exact (by_rank_without _ t _ ranked_s) | exact ranked_r].
    destruct (a_ends _ _ _ st ok e) as [none|none]; [left | right; exact none]. cbn [senders set_field setter]. rewrite none. reflexivity.
  - apply apt_reply. exact (@keeps_break_stack _ _ _ _ (quiet_now ex sane fl) r eq_refl st ok).
  - destruct (a_ranked _ _ _ st ok n) as (_ & _ & ranked_w). apply (apt_notification ex sane fl); [exact ok | | exact (by_rank_without _ t _ ranked_w) | auto].
    intros free. destruct (a_flags _ _ _ st ok n free) as [none|none]; [left | right; exact none]. cbn [waiters set_field setter]. rewrite none. reflexivity.
Qed.
Lemma apt_less ex sane fl t st : apt (less ex t) (more sane t) fl st -> apt ex sane fl st.
Proof. apply apt_weak; [intros u free excused; exact (free (proj1 excused)) | intros u is_; right; exact is_ | auto]. Qed.
Lemma apt_made_inactive ex sane fl t st : apt ex sane fl st -> apt (less ex t) (more sane t) fl (make_inactive t st).
Proof. intros ok. unfold make_inactive. apply apt_inactive. exact (@keeps_unplace _ _ _ _ (quiet_now ex sane fl) t eq_refl st ok). Qed.
Lemma apt_suspended ex sane fl t st : apt ex sane fl st -> apt (less ex t) (more sane t) fl (suspend t st).
Proof.
  intros ok. unfold suspend. cbv zeta. pose proof (@keeps_end_yield _ _ _ _ (quiet_now ex sane fl) t st ok) as returned.
  change (apt ex sane fl (end_yield t st)) in returned. revert returned. generalize (end_yield t st). clear. intros st ok.
  pose proof (apt_inactive _ _ _ t _ (@keeps_unplace _ _ _ _ (quiet_now ex sane fl) t eq_refl _ (apt_stopped ex sane fl t st ok))) as after.
  destruct (is_some _); [exact after|]. destruct (run_state (thread t st)); try exact after;
    try (apply apt_still; [|exact after]; intros x; unfold to_restart, with_register; repeat split).
Qed.
Lemma apt_restarted ex sane fl t st : apt ex sane fl st -> apt ex sane fl (restart t st).
Proof.
  intros ok. unfold restart. destruct (fault (thread t st)).
  - apply (apt_less _ _ _ t), apt_made_inactive, apt_stopped. exact ok.
  - pose proof (apt_suspended ex sane fl t st ok) as stopped_. apply (apt_less _ _ _ t), apt_woken; [exact stopped_|].
    apply (a_sane _ _ _ _ stopped_). left. reflexivity.
Qed.
Lemma apt_told ex sane fl e t st : apt ex sane fl st -> apt ex sane fl (set_error_result e t st).
Proof. exact (@keeps_set_error_result _ _ _ _ (quiet_now ex sane fl) e t st). Qed.
Lemma apt_call_ended ex sane fl t h st : apt ex sane fl st -> apt ex sane fl (end_call_of t h st).
Proof.
  intros ok. unfold end_call_of. destruct (fault (thread t st)) as [f|] eqn:none; [exact (apt_less _ _ _ t _ (apt_inactive ex sane fl t st ok))|]. cbv zeta.
  pose proof (apt_told _ _ _ Error.CallCancelled t _ (apt_note ex sane fl t st ok none)) as told.
  destruct (apt_woken _ _ _ t _ told (a_sane _ _ _ _ told t (or_introl eq_refl))) as (one & two). destruct h; apply (apt_less _ _ _ t); assumption.
Qed.
Lemma apt_unanswered ex sane fl t st : apt ex sane fl st -> apt (less ex t) (more sane t) fl (end_unanswered t st).
Proof.
  intros ok. unfold end_unanswered. destruct (fault (thread t st)) as [f|] eqn:none; [exact (apt_made_inactive ex sane fl t st ok)|]. cbv zeta.
  pose proof (apt_told _ _ _ Error.CallCancelled t _ (apt_note ex sane fl t st ok none)) as told.
  destruct (is_running _ _); [exact told|]. exact (proj1 (apt_woken _ _ _ t _ told (a_sane _ _ _ _ told t (or_introl eq_refl)))).
Qed.
Lemma apt_freed ex sane fl r st : apt ex sane fl st -> apt ex sane fl (free_reply r st).
Proof.
  intros ok. unfold free_reply. cbv zeta. apply apt_reply.
  set (one := match caller (reply r st) with Some t => _ | None => st end). assert (apt ex sane fl one) as ok1.
  { unfold one. destruct (caller (reply r st)) as [t|]; [|exact ok].
    apply apt_call_ended, apt_reply. exact (@keeps_return_context _ _ _ _ (quiet_now ex sane fl) r t eq_refl st ok). }
  clearbody one. destruct (receiver (reply r one)) as [t|]; [|exact ok1].
  apply (apt_thread ex ex sane sane); [exact ok1 | intros x; destruct (run_state x); reflexivity | | | intros u _; split; exact id].
  - intros free. pose proof (a_fault _ _ _ one ok1 t free) as awaits. destruct (run_state (thread t one)) eqn:state; try (rewrite state; exact awaits).
    intros some. exact (awaits some).
  - intros is_. pose proof (a_sane _ _ _ one ok1 t is_) as none. destruct (run_state (thread t one)); exact none.
Qed.

(** ** Messages *)
Lemma fault_of_begin_call s x : fault (begin_call s x) = fault x /\ priority (begin_call s x) = priority x.
Proof.
  unfold begin_call, with_state, lose_registers. destruct (is_some (fault x)); [split; reflexivity|].
  split; [exact (fault_of_registers _ x) | exact (rank_of_registers _ x)].
Qed.
Lemma apt_met (ex sane fl : N -> Prop) s t e b r rg g gr (c : bool) l st : apt ex sane fl st -> sane t -> s <> t ->
  apt (if c then less ex s else ex) sane fl (meet s t e b r rg g gr c l st).
Proof.
  intros ok sane_t apart. unfold meet. cbv zeta. set (lends := lends_now _ _ _ _). clearbody lends.
  pose proof (@keeps_deliver _ _ _ _ (quiet_now ex sane fl) (apt_kept ex sane fl) (message_of s st) (Some e) b g s t st ok) as told.
  change (apt ex sane fl (deliver (message_of s st) (Some e) b g s t st)) in told. revert told.
  generalize (deliver (message_of s st) (Some e) b g s t st). clear ok st. intros one told.
  assert (apt ex sane fl (match r with Some r => put_reply r unused_reply one | None => one end)) as away
    by (destruct r as [r|]; [exact (apt_reply _ _ _ r _ one told) | exact told]).
  revert away. generalize (match r with Some r => put_reply r unused_reply one | None => one end). clear told one. intros two away.
  generalize (if lends then context_of s two else None). intros lent.
  assert (apt (less ex s) sane fl (end_unanswered s two)) as unanswered
    by (refine (apt_weak _ _ _ _ _ _ _ _ _ _ (apt_unanswered ex sane fl s two away)); auto; intros u is_; right; exact is_).
  match goal with |- context [match lent with Some c => give_context c t ?x >> _ | None => _ end] => set (three := x) end.
  assert (apt (if c then less ex s else ex) sane fl three) as after.
  { unfold three. clear three. destruct c; [|exact away]. destruct (true && answerable r g gr); [|exact unanswered]. destruct r as [r|]; [|exact unanswered].
    cbv beta. set (four := change_thread s (begin_call (BlockedOnReply r rg)) (unplace s two)).
    assert (apt (less ex s) sane fl four) as moved.
    { pose proof (@keeps_unplace _ _ _ _ (quiet_now ex sane fl) s eq_refl two away) as out. change (apt ex sane fl (unplace s two)) in out.
      apply (apt_thread ex _ sane _); [exact out | intros x; apply fault_of_begin_call | intros _ _; exact I | |].
      - intros is_. rewrite (proj1 (fault_of_begin_call _ _)). exact (a_sane _ _ _ _ out s is_).
      - intros u other. split; [intros free excused; apply free; split; assumption | exact id]. }
    clearbody four. pose proof (apt_reply _ _ _ r {| caller := Some s; receiver := None; along := lent |} four moved) as noted. revert noted.
    generalize (put_reply r {| caller := Some s; receiver := None; along := lent |} four). intros five noted. destruct lent as [k|]; [|exact noted].
    refine (@keeps_change_context _ _ _ _ (quiet_now (less ex s) sane fl) k _ _ _ five noted).
    - split; [intros; exact I | reflexivity].
    - intros x. discriminate. }
  clearbody three. destruct lent as [k|].
  - pose proof (@keeps_give_context _ _ _ _ (quiet_now (if c then less ex s else ex) sane fl) k t eq_refl three after) as given_.
    change (apt (if c then less ex s else ex) sane fl (give_context k t three)) in given_.
    exact (proj2 (apt_woken _ _ _ t _ given_ (a_sane _ _ _ _ given_ t sane_t))).
  - destruct (is_running t three); [exact after|]. exact (proj1 (apt_woken _ _ _ t _ after (a_sane _ _ _ _ after t sane_t))).
Qed.
Lemma not_awaiting ex sane fl t st : apt ex sane fl st -> ~ ex t -> ~ awaits_answer (run_state (thread t st)) -> fault (thread t st) = None.
Proof.
  intros ok free no. pose proof (a_fault _ _ _ st ok t free) as awaits. destruct (fault (thread t st)); [|reflexivity]. exfalso. apply no, awaits. discriminate.
Qed.
Lemma running_sane ex sane fl t st : apt ex sane fl st -> ~ ex t -> run_state (thread t st) = Running -> fault (thread t st) = None.
Proof. intros ok free runs. apply (not_awaiting ex sane fl t st ok free). rewrite runs. exact id. Qed.
Lemma by_rank_tail r a l : by_rank r (a :: l) -> by_rank r l. Proof. intros sorted. exact (proj1 (StronglySorted_inv sorted)). Qed.
Lemma apt_sent ex fl t e b g gr c l w st : apt ex none_of fl st -> waiting nobody st -> run_state (thread t st) = Running ->
  (forall u, ex u -> u = t /\ c = true /\ w = true) -> fst (send t e b g gr c l w st) <> Refused -> apt none_of none_of fl (snd (send t e b g gr c l w st)).
Proof.
  intros ok waits_ runs only. unfold send. destruct (a_ranked _ _ _ st ok e) as (ranked_s & ranked_r & _).
  destruct (receivers (endpoint e st)) as [|first rest] eqn:queue.
  - destruct w; [|intros _; refine (apt_weak _ _ _ _ _ _ _ _ _ _ ok); auto; intros u _ excused; destruct (only u excused) as (_ & _ & no); discriminate].
    intros _. cbn [snd]. pose proof (@keeps_unplace _ _ _ _ (quiet_now ex none_of fl) t eq_refl st ok) as out. change (apt ex none_of fl (unplace t st)) in out.
    set (one := change_thread t (with_state (BlockedOnSend e b g gr c l)) (unplace t st)).
    assert (apt none_of none_of fl one) as blocked.
    { apply (apt_thread ex none_of none_of none_of); [exact out | reflexivity | | intros [] |].
      - intros _ some. cbn [with_state run_state awaits_answer]. destruct c; [exact I|].
        apply some. apply (running_sane ex none_of fl t (unplace t st) out); [intros excused; destruct (only t excused) as (_ & no & _);
          discriminate | exact runs].
      - intros u other. split; [intros _ excused; destruct (only u excused) as (is_t & _); contradiction | exact id]. }
    destruct (after_thread t (with_state (BlockedOnSend e b g gr c l)) (unplace t st)) as (endpoints & _). fold one in endpoints.
    destruct (a_ranked _ _ _ one blocked e) as (ranked & ranked_r1 & _). apply apt_endpoint; [exact blocked | right | | exact ranked_r1].
    + cbn [receivers set_field setter]. rewrite endpoints. exact queue.
    + apply by_rank_chosen; [left; reflexivity | exact ranked].
  - assert (In first (receivers (endpoint e st))) as listed by (rewrite queue; left; reflexivity).
    pose proof (proj1 (w_stands nobody st waits_ first (InReceivers e)) listed) as (_ & named).
    destruct (run_state (thread first st)) as [| |x r q rg| | |] eqn:state; try contradiction. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [intros no; contradiction no; reflexivity|]. intros _. cbn [snd]. assert (t <> first) as apart by congruence.
    assert (apt ex none_of fl (change_endpoint e (fun x => x <| receivers := rest |>) st)) as popped.
    { apply apt_endpoint; [exact ok | | exact ranked_s | exact (by_rank_tail _ _ _ ranked_r)]. left.
      destruct (a_ends _ _ _ st ok e) as [none|none]; [exact none | congruence]. }
    assert (fault (thread first (change_endpoint e (fun x => x <| receivers := rest |>) st)) = None) as none.
    { apply (not_awaiting ex none_of fl first _ popped); [intros excused; destruct (only first excused) as (is_t & _); congruence|].
      rewrite only_threads, state. exact id. }
    pose proof (apt_note _ _ _ first _ popped none) as noted.
    pose proof (apt_met _ _ fl t first e b r rg g gr c l _ noted (or_introl eq_refl) apart) as after. refine (apt_weak _ _ _ _ _ _ _ _ _ _ after); auto.
    + intros u _ excused. destruct c.
      * destruct excused as ((excused & _) & other). exact (other (proj1 (only u excused))).
      * destruct (only u (proj1 excused)) as (_ & no & _). discriminate.
    + intros u [].
Qed.
Lemma apt_refused ex sane fl t st : apt ex sane fl st -> apt (less ex t) (more sane t) fl (refuse_sender t st).
Proof.
  intros ok. unfold refuse_sender. destruct (fault (thread t st)) as [f|] eqn:none; [exact (apt_inactive ex sane fl t st ok)|]. cbv beta zeta.
  pose proof (apt_told _ _ _ Error.NoDonation t _ (apt_note ex sane fl t st ok none)) as told.
  exact (proj1 (apt_woken _ _ _ t _ told (a_sane _ _ _ _ told t (or_introl eq_refl)))).
Qed.
Lemma apt_received t e r g queue st : apt none_of (eq t) none_of st -> senders (endpoint e st) = queue -> ~ In t queue ->
  (forall u, In u queue -> exists b g gr c l, run_state (thread u st) = BlockedOnSend e b g gr c l) ->
  apt none_of (eq t) none_of (snd (receive_from queue t e r g st))
  /\ (fst (receive_from queue t e r g st) = false -> senders (endpoint e (snd (receive_from queue t e r g st))) = []).
Proof.
  destruct queue as [|s rest]; intros ok queue_ away states; cbn [receive_from]; [split; [exact ok | intros _; exact queue_]|].
  destruct (states s (or_introl eq_refl)) as (b & sg & gr & c & l & state). rewrite state. cbv zeta.
  destruct (a_ranked _ _ _ st ok e) as (ranked_s & ranked_r & _). rewrite queue_ in ranked_s.
  set (one := change_endpoint e (fun x => x <| senders := rest |>) st). assert (apt none_of (eq t) none_of one) as popped.
  { apply apt_endpoint; [exact ok | | exact (by_rank_tail _ _ _ ranked_s) | exact ranked_r]. right.
    destruct (a_ends _ _ _ st ok e) as [none|none]; [congruence | exact none]. }
  assert (s <> t) as apart by (intros ->; apply away; left; reflexivity).
  cbn [fst snd]. split; [|discriminate]. destruct c.
  + refine (apt_weak _ _ _ _ _ _ _ _ _ _ (apt_met _ _ _ s t e b r g sg gr true l one popped eq_refl apart)); auto. intros u _ (no & _). exact no.
  + assert (fault (thread s one) = None) as none.
    { apply (not_awaiting none_of (eq t) none_of s one popped (fun no => no)). unfold one. rewrite only_threads, state. exact id. }
    pose proof (apt_met _ _ _ s t e b r g sg gr false l one (apt_note _ _ _ s one popped none) (or_intror eq_refl) apart) as after. cbv beta iota in after.
    pose proof (@keeps_set_empty_result _ _ _ _ (quiet_now _ _ none_of) s _ after) as told.
    change (apt (less none_of s) (more (eq t) s) none_of (set_empty_result s (meet s t e b r g sg gr false l one))) in told.
    exact (apt_less _ _ _ s _ (proj1 (apt_woken _ _ _ s _ told (a_sane _ _ _ _ told s (or_introl eq_refl))))).
Qed.

(** ** Receiving *)
Definition fit (st : State) : Prop := apt none_of none_of none_of st.
Notation fit_quiet := (apt_quietly none_of none_of none_of).
Notation fit_kept := (apt_kept none_of none_of none_of).
Lemma fit_note t st : fit st -> run_state (thread t st) = Running -> apt none_of (eq t) none_of st.
Proof.
  intros ok runs. refine (apt_weak _ _ _ _ _ _ _ _ _ _ (apt_note _ _ _ t st ok (running_sane _ _ _ t st ok (fun no => no) runs))); auto.
  - intros u _ (no & _). exact no.
  - intros u <-. left. reflexivity.
Qed.
Lemma fit_of sane st : apt none_of sane none_of st -> fit st.
Proof. apply apt_weak; auto. intros u []. Qed.
Lemma apt_taken ex sane fl t n st : apt ex sane fl st -> apt ex sane (less fl n) (take_flags t n st).
Proof.
  intros ok. unfold take_flags. cbv zeta.
  assert (apt ex sane (less fl n) (change_notification n (fun x => x <| word_of_flags := None |>) st)) as taken.
  { apply (apt_notification ex sane fl); [exact ok | intros _; right; reflexivity | exact (proj2 (proj2 (a_ranked _ _ _ st ok n)))|].
    intros u other free is_. apply free. split; assumption. }
  apply (@keeps_lend_context _ _ _ _ (quiet_now ex sane (less fl n)) t n eq_refl). apply apt_still; [|exact taken]. intros x. unfold with_result.
  split; [apply rank_of_registers | split; [apply fault_of_registers | apply state_of_registers]].
Qed.
Lemma fit_takes t n st : fit st -> run_state (thread t st) = Running -> let after := take_flags t n st in
  fit (if is_some (context_of t after) && negb (member t (ready after)) then wake_ahead t after else after).
Proof.
  intros ok runs after. pose proof (apt_taken _ _ _ t n st (fit_note t st ok runs)) as told. fold after in told.
  assert (apt none_of (eq t) none_of after) as taken by (refine (apt_weak _ _ _ _ _ _ _ _ _ _ told); auto; intros u _ (no & _); exact no).
  destruct (_ && _); [|exact (fit_of _ _ taken)]. exact (fit_of _ _ (proj2 (apt_woken _ _ _ t after taken (a_sane _ _ _ _ taken t eq_refl)))).
Qed.
Lemma fault_of_begin_receive s x : fault (begin_receive s x) = fault x /\ priority (begin_receive s x) = priority x.
Proof. unfold begin_receive, with_state, lose_registers. split; [exact (fault_of_registers _ x) | exact (rank_of_registers _ x)]. Qed.
Lemma fit_receives t e r q g w st : fit st -> waiting nobody st -> run_state (thread t st) = Running -> fit (receive t e r q g w st).
Proof.
  intros ok waits_ runs. unfold receive. cbv zeta. set (one := match r with Some r => free_reply r st | None => st end).
  assert (fit one /\ waiting nobody one /\ run_state (thread t one) = Running) as (ok1 & waits1 & runs1).
  { unfold one. destruct r as [r|]; [|split; [exact ok | split; assumption]]. destruct (reply_freed r st waits_) as (after & _ & keep_running).
    split; [exact (apt_freed _ _ _ r st ok) | split; [exact after | exact (keep_running t runs)]]. }
  clearbody one. clear st ok waits_ runs. rename one into st. set (bound := bound_notification (thread t st)).
  destruct (apt_received t e r g (senders (endpoint e st)) st (fit_note t st ok1 runs1) eq_refl) as (after & no_senders).
  { intros listed. destruct (is_sender nobody e st t waits1 listed) as (b & sg & gr & c & l & state). congruence. }
  { intros u listed. exact (is_sender nobody e st u waits1 listed). }
  assert (forall two, apt none_of (eq t) none_of two -> senders (endpoint e two) = [] ->
    fit ((match r with
          | Some r => put_reply r {| caller := None; receiver := Some t; along := None |}
          | None => fun st => st
          end (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x)
                (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t two)) |>)
                (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t two)))))) as blocks_.
  { intros two ok2 none. pose proof (@keeps_unplace _ _ _ _ (quiet_now none_of (eq t) none_of) t eq_refl two ok2) as out.
    change (apt none_of (eq t) none_of (unplace t two)) in out. set (f := begin_receive (BlockedOnReceive e r q g)).
    assert (fault (f (thread t (unplace t two))) = None) as sane
      by (unfold f; rewrite (proj1 (fault_of_begin_receive _ _)); exact (a_sane _ _ _ _ out t eq_refl)).
    assert (apt none_of none_of none_of (change_thread t f (unplace t two))) as blocked.
    { apply (apt_thread none_of none_of (eq t) none_of); [exact out | intros x; apply fault_of_begin_receive | | intros [] |].
      - intros _ some. destruct (some sane).
      - intros u _. split; [auto | intros []]. }
    pose proof (proj1 (after_thread t f (unplace t two))) as endpoints. set (three := change_thread t f (unplace t two)) in *.
    destruct (a_ranked _ _ _ three blocked e) as (ranked_s & ranked & _).
    assert (fit (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) three |>) three)) as joined.
    { apply apt_endpoint; [exact blocked | left | exact ranked_s |].
      - cbn [senders set_field setter]. rewrite endpoints. exact none.
      - apply by_rank_chosen; [left; reflexivity | exact ranked]. }
    destruct r as [r|]; [exact (apt_reply _ _ _ r _ _ joined) | exact joined]. }
  assert (fit (let (got, two) := receive_from (senders (endpoint e st)) t e r g st in
    if got then two
    else if w then
      match bound with
      | Some n => return_lent_context t n
                    (match r with
                     | Some r => put_reply r {| caller := None; receiver := Some t; along := None |}
                     | None => fun st => st
                     end (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x)
                           (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t two)) |>)
                           (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t two))))
      | None => (match r with
                 | Some r => put_reply r {| caller := None; receiver := Some t; along := None |}
                 | None => fun st => st
                 end (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x)
                       (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t two)) |>)
                       (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t two))))
      end
    else set_empty_result t two)) as usual.
  { destruct (receive_from (senders (endpoint e st)) t e r g st) as (got & two). cbn [fst snd] in *. destruct got; [exact (fit_of _ _ after)|].
    destruct w; [|exact (@keeps_set_empty_result _ _ _ _ fit_quiet t two (fit_of _ _ after))].
    pose proof (blocks_ two after (no_senders eq_refl)) as done. destruct bound as [n|]; [|exact done].
    exact (@keeps_return_lent_context _ _ _ _ fit_quiet t n eq_refl _ done). }
  destruct bound as [n|]; [destruct (is_signalled t st)|].
  - exact (fit_takes t n st ok1 runs1).
  - destruct (receive_from (senders (endpoint e st)) t e r g st) as ([|] & two); [exact usual|]. destruct w; [|exact usual]. destruct r; exact usual.
  - destruct (receive_from (senders (endpoint e st)) t e r g st) as ([|] & two); [exact usual|]. destruct w; [|exact usual]. destruct r; exact usual.
Qed.
Lemma fit_waits t n w st : fit st -> run_state (thread t st) = Running -> fit (wait_on t n w st).
Proof.
  intros ok runs. unfold wait_on. destruct (is_active n st) eqn:idle; [exact (fit_takes t n st ok runs)|].
  destruct w; [|exact (@keeps_set_empty_result _ _ _ _ fit_quiet t st ok)].
  pose proof (@keeps_unplace _ _ _ _ fit_quiet t eq_refl st ok) as out. change (fit (unplace t st)) in out.
  pose proof (apt_state _ _ _ t (BlockedOnNotification n) _ (running_sane _ _ _ t (unplace t st) out (fun no => no) runs) out) as blocked.
  pose proof (proj1 (proj2 (after_thread t (with_state (BlockedOnNotification n)) (unplace t st)))) as notifications.
  set (one := change_thread t (with_state (BlockedOnNotification n)) (unplace t st)) in *.
  apply (@keeps_return_lent_context _ _ _ _ fit_quiet t n eq_refl). apply (apt_notification none_of none_of none_of); [exact blocked | | | auto].
  - intros _. right. cbn [word_of_flags set_field setter]. rewrite notifications. change (notification n (unplace t st)) with (notification n st).
    unfold is_active in idle. destruct (word_of_flags (notification n st)); [discriminate | reflexivity].
  - apply by_rank_chosen; [left; reflexivity | exact (proj2 (proj2 (a_ranked _ _ _ one blocked n)))].
Qed.

(** ** Signals, faults and answers *)
Lemma apt_handed fl t n st : apt none_of none_of fl st -> ~ awaits_answer (run_state (thread t st)) -> apt none_of none_of (less fl n) (hand_flags_to t n st).
Proof.
  intros ok no. unfold hand_flags_to.
  pose proof (apt_note _ _ _ t st ok (not_awaiting _ _ _ t st ok (fun no => no) no)) as noted.
  pose proof (apt_taken _ _ _ t n _ (apt_stopped _ _ _ t st noted)) as told.
  exact (apt_less _ _ _ t _ (proj1 (apt_woken _ _ _ t _ told (a_sane _ _ _ _ told t (or_introl eq_refl))))).
Qed.
Lemma fit_signalled n badge st : fit st -> waiting nobody st -> fit (signal n badge st).
Proof.
  intros ok waits_. unfold signal. cbv zeta. set (f := fun x : Notification => _). pose proof (proj2 (proj2 (a_ranked _ _ _ st ok n))) as ranked.
  destruct (after_notification n f st) as (notifications & threads & _ & _).
  assert (forall fl, (waiters (notification n st) = [] \/ fl n) -> apt none_of none_of fl (change_notification n f st)) as added.
  { intros fl excused. apply (apt_notification none_of none_of none_of); [exact ok | | exact ranked | auto]. intros free. left.
    destruct excused as [none|no]; [exact none | contradiction]. }
  assert (waiters (notification n (change_notification n f st)) = waiters (notification n st)) as same_waiters_
    by (rewrite notifications, N.eqb_refl; destruct (notification_exists n st); reflexivity).
  destruct (is_active n st) eqn:active.
  - assert (fit (change_notification n f st)) as done.
    { apply added. left. destruct (a_flags _ _ _ st ok n (fun no => no)) as [none|none]; [exact none|]. unfold is_active in active. rewrite none in active.
      discriminate. }
    exact done.
  - rewrite same_waiters_. destruct (waiters (notification n st)) as [|first rest] eqn:queue.
    + pose proof (added none_of (or_introl eq_refl)) as done. destruct (bound_thread _) as [t|]; [|exact done].
      destruct (run_state (thread t (change_notification n f st))) eqn:state; try exact done.
      refine (apt_weak _ _ _ _ _ _ _ _ _ _ (apt_handed _ t n _ done _)); auto; [intros u _ (no & _); exact no|]. rewrite state. exact id.
    + assert (In first (waiters (notification n st))) as listed by (rewrite queue; left; reflexivity).
      pose proof (proj1 (w_stands nobody st waits_ first (InWaiters n)) listed) as (_ & named).
      assert (~ awaits_answer (run_state (thread first (change_notification n f st)))) as no.
      { rewrite threads. destruct (run_state (thread first st)) as [| |x r q g| | |]; try contradiction; exact id. }
      pose proof (apt_handed (eq n) first n _ (added (eq n) (or_intror eq_refl)) no) as handed_.
      assert (fit (hand_flags_to first n (change_notification n f st))) as done
        by (refine (apt_weak _ _ _ _ _ _ _ _ _ _ handed_); auto; intros u _ (is_n & other); congruence).
      exact done.
Qed.
Lemma fit_inactive t st : fit st -> fit (make_inactive t st).
Proof. intros ok. exact (apt_less _ _ _ t _ (apt_made_inactive _ _ _ t st ok)). Qed.
Lemma fit_raised slot l t f st : fit st -> waiting nobody st -> run_state (thread t st) = Running -> fit (raise_fault_to slot l t f st).
Proof.
  intros ok waits_ runs. unfold raise_fault_to.
  destruct (capability_at (slot_of t slot) st) as [[|e b r| | | | | | | | | | | | | | | | |]|]; try exact (fit_inactive t st ok).
  destruct (_ && _); [|exact (fit_inactive t st ok)]. cbv zeta. set (one := change_thread t (fun x => x <| fault := Some f |>) st).
  assert (apt (eq t) none_of none_of one) as faulting.
  { apply (apt_thread none_of _ none_of _); [exact ok | reflexivity | intros no; contradiction no; reflexivity | intros [] |].
    intros u other. split; [intros _ no; exact no | exact id]. }
  assert (forall x : Thread, run_state (x <| fault := Some f |>) = run_state x) as keeps_state by reflexivity.
  destruct (quiet_thread t (fun x => x <| fault := Some f |>) st keeps_state waits_) as (waits1 & same). fold one in waits1, same.
  assert (run_state (thread t one) = Running) as runs1 by (rewrite (same_state _ _ same); exact runs).
  pose proof (apt_sent (eq t) none_of t e b (can_grant r) (can_grant_reply r) true l true one faulting waits1 runs1
    ltac:(intros u <-; repeat split)) as after.
  assert (fst (send t e b (can_grant r) (can_grant_reply r) true l true one) = Refused -> snd (send t e b (can_grant r) (can_grant_reply r) true l true one)
    = one) as back.
  { unfold send. destruct (receivers (endpoint e one)) as [|first rest]; [discriminate|]. destruct (run_state (thread first one)); try discriminate.
    cbv zeta. destruct (leaves_without_context _ _ _ _); [reflexivity | discriminate]. }
  destruct (send t e b (can_grant r) (can_grant_reply r) true l true one) as ([| | |] & two); cbn [fst snd] in *; try (apply after; discriminate).
  rewrite (back eq_refl). refine (apt_weak _ _ _ _ _ _ _ _ _ _ (apt_made_inactive _ _ _ t one faulting)); auto; [|intros u []].
  intros u _ (is_t & other). congruence.
Qed.
Lemma fit_answered t r g st : fit st -> waiting nobody st -> fit (answer t r g st).
Proof.
  intros ok waits_. unfold answer. destruct (caller (reply r st)) as [c|] eqn:called; [|exact ok]. cbv zeta.
  pose proof (@keeps_return_context _ _ _ _ fit_quiet r c eq_refl st ok) as back. change (fit (return_context r c st)) in back.
  pose proof (apt_reply _ _ _ r unused_reply _ back) as freed. revert freed. generalize (put_reply r unused_reply (return_context r c st)). clear back.
  intros two freed. set (three := change_thread c (with_state Running) two).
  assert (apt (eq c) none_of none_of three) as runs.
  { apply (apt_thread none_of _ none_of _); [exact freed | reflexivity | intros no; contradiction no; reflexivity | intros [] |].
    intros u other. split; [intros _ no; exact no | exact id]. }
  clearbody three. set (grant := g && _). clearbody grant. set (had := is_some (context_of c st)). clearbody had.
  set (four := match fault (thread c three) with Some f => _ | None => _ end).
  assert (apt none_of (eq c) none_of four) as told.
  { unfold four. destruct (fault (thread c three)) as [f|] eqn:none.
    - unfold answer_fault. cbv zeta. generalize (message_of_call t three). intros m. set (h := fun x : Thread => _).
      assert (forall x, priority (h x) = priority x /\ fault (h x) = None) as clears.
      { intros x. unfold h. set (y := write_registers _ _ _).
        assert (priority y = priority x /\ fault y = None) as same_y
          by (split; [exact (eq_trans (rank_of_registers _ _) eq_refl) | exact (eq_trans (fault_of_registers _ _) eq_refl)]).
        assert (priority (debug_reply f (words m) y) = priority y /\ fault (debug_reply f (words m) y) = fault y) as debugged.
        { unfold debug_reply. destruct (BreakpointType.of_number _) as [[]|]; try (split; reflexivity). destruct (words m); split; reflexivity. }
        destruct (fault_label f); try exact same_y. destruct same_y as (<- & <-). exact debugged. }
      assert (apt none_of (eq c) none_of (change_thread c h three)) as cleared.
      { apply (apt_thread (eq c) none_of none_of _); [exact runs | intros x; apply clears | | intros _; apply clears |].
        - intros _ some. destruct (some (proj2 (clears _))).
        - intros u other. split; [intros _ is_c; congruence | intros is_c; congruence]. }
      destruct (goes_on f (label m)); [exact cleared|]. apply apt_state; [exact (a_sane _ _ _ _ cleared c eq_refl) | exact cleared].
    - apply (@keeps_deliver _ _ _ _ (quiet_now none_of (eq c) none_of) (apt_kept none_of (eq c) none_of) _ None 0 grant t c).
      refine (apt_weak _ _ _ _ _ _ _ _ _ _ (apt_note _ _ _ c three runs none)); auto.
      + intros u _ (is_c & other). congruence.
      + intros u <-. left. reflexivity. }
  clearbody four. destruct (is_running c four); cbn [negb]; [|exact (fit_of _ _ told)].
  destruct (apt_woken _ _ _ c four told (a_sane _ _ _ _ told c eq_refl)) as (one_ & two_). destruct had; apply (fit_of (eq c)); assumption.
Qed.
