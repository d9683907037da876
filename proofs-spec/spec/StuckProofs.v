(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Nothing gets stuck

    A change to an object that is missing shows as the effect [Stuck]. What events other than system calls change is there: it is named by a link or by a
    capability, or is the thread that runs. *)
From Coq Require Import Lia.
From Spec Require Export DangleProofs.
Open Scope N_scope.

Definition adds_none (a b : State) : Prop := In Stuck (effects b) -> In Stuck (effects a).
Lemma adds_refl st : adds_none st st. Proof. exact id. Qed.
(** What leaves the state as it is: compared by its text, as unfolding both may take long. *)
Ltac leaves := cbn [snd]; match goal with |- adds_none ?a ?a => exact (adds_refl a) end.
Lemma adds_trans a b c : adds_none a b -> adds_none b c -> adds_none a c. Proof. intros one two listed. exact (one (two listed)). Qed.
Lemma adds_same a b : effects b = effects a -> adds_none a b. Proof. unfold adds_none. intros ->. exact id. Qed.

(** ** The changes of one object *)
Lemma emit_adds e st : e <> Stuck -> adds_none st (emit e st).
Proof. intros other [same|listed]; [congruence | exact listed]. Qed.
Lemma thread_adds t f st : thread_exists t st = true -> adds_none st (change_thread t f st).
Proof. unfold thread_exists, change_thread. destruct (objects st !! t) as [[]|]; try discriminate. intros _. exact (adds_refl st). Qed.
Lemma context_adds c f st : context_exists c st = true -> adds_none st (change_context c f st).
Proof. unfold context_exists, change_context. destruct (objects st !! c) as [[]|]; try discriminate. intros _. exact (adds_refl st). Qed.
Lemma endpoint_adds e f st : endpoint_exists e st = true -> adds_none st (change_endpoint e f st).
Proof. unfold endpoint_exists, change_endpoint. destruct (objects st !! e) as [[]|]; try discriminate. intros _. exact (adds_refl st). Qed.
Lemma notification_adds n f st : notification_exists n st = true -> adds_none st (change_notification n f st).
Proof. unfold notification_exists, change_notification. destruct (objects st !! n) as [[]|]; try discriminate. intros _. exact (adds_refl st). Qed.
Lemma reply_adds r v st : reply_exists r st = true -> adds_none st (put_reply r v st).
Proof. unfold reply_exists, put_reply. destruct (objects st !! r) as [[]|]; try discriminate. intros _. exact (adds_refl st). Qed.
Lemma place_adds insert t st : adds_none st (place_by insert t st).
Proof.
  apply adds_same. unfold place_by. cbv zeta. destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try reflexivity.
  destruct (negb _); [reflexivity|]. destruct (usable _ _); reflexivity.
Qed.
Lemma notification_stays a b e : stay a b -> notification_exists e a = true -> notification_exists e b = true.
Proof.
  intros (_ & all_). unfold notification_exists. destruct (objects a !! e) as [x|] eqn:there; [|discriminate].
  destruct (all_ e x there) as (y & -> & kind). destruct x, y; try contradiction; try discriminate; reflexivity.
Qed.

(** ** Time *)
Lemma sporadic_adds t st : (forall c, context_of t st = Some c -> context_exists c st = true) -> adds_none st (begin_sporadic t st).
Proof.
  intros there. unfold begin_sporadic. destruct (context_of t st) as [c|]; [|exact (adds_refl st)]. destruct (_ && _); [|exact (adds_refl st)].
  apply context_adds, there. reflexivity.
Qed.
Lemma wake_adds t st : thread_exists t st = true -> (forall c, context_of t st = Some c -> context_exists c st = true) ->
  adds_none st (wake t st) /\ adds_none st (wake_ahead t st).
Proof.
  intros t_there c_there. set (one := change_thread t (with_state Running) st). pose proof (thread_adds t (with_state Running) st t_there : adds_none st one)
    as first_.
  assert (adds_none one (begin_sporadic t one)) as second_.
  { apply sporadic_adds. intros c. unfold context_of, one. rewrite (same_had _ _ (thread_bonds t (with_state Running) st (fun _ => eq_refl))).
    intros has. rewrite (proj1 (proj2 (thread_sorts t (with_state Running) st c))). exact (c_there c has). }
  split; (apply (adds_trans _ _ _ (adds_trans _ _ _ first_ second_)); apply place_adds).
Qed.
Lemma bonded_wakes ex t st : bonded ex st -> thread_exists t st = true -> adds_none st (wake t st) /\ adds_none st (wake_ahead t st).
Proof. intros ok there. apply wake_adds; [exact there|]. intros c has. exact (proj2 (had_exists ex t c st ok has)). Qed.
Lemma book_adds st : adds_none st (book st).
Proof.
  unfold book. cbv zeta. change (current_context (st <| charged_until := now st |>)) with (current_context st). destruct (current_context st) as [c|];
    [|exact (adds_refl st)].
  change (objects (st <| charged_until := now st |>)) with (objects st). destruct (objects st !! c) as [[]|] eqn:there; try exact (adds_refl st).
  apply (adds_trans _ (st <| charged_until := now st |>)); [apply adds_same; reflexivity|]. apply context_adds. unfold context_exists.
  change (objects (st <| charged_until := now st |>)) with (objects st).
  rewrite there. reflexivity.
Qed.
Lemma book_turn_adds st : adds_none st (book_turn st).
Proof.
  unfold book_turn. destruct (current_context st) as [c|]; [|apply book_adds]. cbv zeta. pose proof (book_adds st) as booked.
  destruct (thread_that_uses c (book st)) as [t|]; [|exact booked].
  destruct (turn_is_over c st); [exact (adds_trans _ _ _ booked (place_adds insert_behind t (book st)))|]. destruct (is_used_up c (book st)); exact booked.
Qed.
Lemma report_adds report c st : all_live st -> In report yield_reports -> context_exists c st = true -> adds_none st (snd (report c st)).
Proof.
  intros alive [<-|[<-|[]]] there; [|apply context_adds; exact there]. unfold report_consumed, report_booked. cbn [snd].
  destruct (is_number _ _); [|apply context_adds; exact there]. apply (adds_trans _ _ _ (book_turn_adds st)), context_adds.
  exact (context_stays _ _ c (@keeps_book_turn _ _ _ _ (stay_quietly st) st (stay_refl st alive)) there).
Qed.
Lemma yield_adds report t st : yielding st -> In report yield_reports -> adds_none st (end_yield_by report t st).
Proof.
  intros ok usual. unfold end_yield_by. destruct (yielded_to (thread t st)) as [c|] eqn:to; [|exact (adds_refl st)].
  destruct (to_exists t c st ok to) as (t_there & c_there). pose proof (report_adds report c st (y_live st ok) usual c_there) as reported.
  assert (stay st (snd (report c st))) as stays.
  { destruct usual as [<-|[<-|[]]]; [exact (proj2 (@keeps_report_consumed _ _ _ _ (stay_quietly st) c st (stay_refl st (y_live st ok)))) |
      exact (proj2 (@keeps_report_booked _ _ _ _ (stay_quietly st) c st (stay_refl st (y_live st ok))))]. }
  destruct (report c st) as (used & one). cbn [snd] in *. apply (adds_trans _ _ _ reported). set (g := fun x : SchedContext => x <| yielder := None |>).
  apply (adds_trans _ _ _ (context_adds c g one (context_stays _ _ c stays c_there))), thread_adds.
  rewrite (proj1 (context_sorts c g one (fun _ => eq_refl) t)). exact (thread_stays _ _ t stays t_there).
Qed.

(** ** Contexts and calls *)
Lemma give_adds c t st : thread_exists t st = true -> context_exists c st = true -> (forall u,
  context_thread (context c st) = Some u -> thread_exists u st = true) ->
  adds_none st (give_context c t st).
Proof.
  intros t_there c_there froms. unfold give_context. fold (leaves_from (context_thread (context c st)) st).
  set (one := leaves_from (context_thread (context c st)) st).
  assert (adds_none st one /\ same_sorts st one) as (first_ & sorts1).
  { unfold one, leaves_from. destruct (context_thread (context c st)) as [u|]; [|split; [exact (adds_refl st) | intros o; repeat split]].
    split; [exact (thread_adds u _ (unplace u st) (froms u eq_refl)) | exact (thread_sorts u _ (unplace u st))]. }
  clearbody one. cbv zeta. set (g := fun x : SchedContext => x <| context_thread := Some t |>). apply (adds_trans _ _ _ first_).
  apply (adds_trans _ (change_context c g one)); [apply context_adds; rewrite (proj1 (proj2 (sorts1 c))); exact c_there|]. apply thread_adds.
  rewrite (proj1 (context_sorts c g one (fun _ => eq_refl) t)), (proj1 (sorts1 t)). exact t_there.
Qed.
Lemma bonded_gives ex c t st : bonded ex st -> thread_exists t st = true -> context_exists c st = true -> adds_none st (give_context c t st).
Proof.
  intros ok t_there c_there. apply give_adds; [exact t_there | exact c_there|]. intros u back. apply (b_had ex st ok) in back.
  exact (proj1 (had_exists ex u c st ok back)).
Qed.
Lemma lose_adds l st : (forall r, In r l -> reply_exists r st = true) -> adds_none st (lose l st).
Proof.
  revert st. induction l as [|r l IH]; intros st there; [exact (adds_refl st)|]. unfold lose. cbn [fold_left].
  fold (lose l (put_reply r (without_context (reply r st)) st)).
  apply (adds_trans _ _ _ (reply_adds r (without_context (reply r st)) st (there r (or_introl eq_refl)))), IH. intros o listed.
  rewrite (proj2 (proj2 (reply_sorts r (without_context (reply r st)) st o))). exact (there o (or_intror listed)).
Qed.
Lemma break_adds ex r st : bonded ex st -> adds_none st (break_stack r st).
Proof.
  intros ok. unfold break_stack. destruct (along (reply r st)) as [c|] eqn:with_c; [|exact (adds_refl st)]. cbv zeta.
  fold (lose (calls_from r (calls (context c st))) st).
  pose proof (proj1 (b_along ex st ok r c) with_c) as listed_r. pose proof (called_exists r c st listed_r) as c_there.
  destruct (lost (calls_from r (calls (context c st))) st (b_live ex st ok)) as (_ & _ & _ & _ & sorts & _).
  apply (adds_trans _ (lose (calls_from r (calls (context c st))) st)).
  - apply lose_adds. intros o listed. apply (along_exists o c), (b_along ex st ok). rewrite (split_calls r). apply in_app_iff. right. exact listed.
  - apply context_adds. rewrite (proj1 (proj2 (sorts c))). exact c_there.
Qed.

(** ** Signals *)
Lemma stop_adds t st : waiting nobody st -> bonded none st -> adds_none st (stop_waiting t st).
Proof.
  intros wait ok. assert (forall q, says (run_state (thread t st)) q -> stands t q st) as stands_
    by (intros q named; apply (w_stands nobody st wait); split; [intros [] | exact named]).
  unfold stop_waiting. destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n] eqn:state; try leaves.
  - assert (endpoint_exists e st = true) as e_there.
    { destruct (endpoint_exists e st) eqn:there; [reflexivity|]. pose proof (stands_ (InReceivers e) ltac:(destruct r; reflexivity)) as listed.
      cbn [stands] in listed.
      rewrite (proj2 (missing_endpoint e st there)) in listed. destruct listed. }
    pose proof (endpoint_adds e (fun x => x <| receivers := without t (receivers x) |>) st e_there) as left_. destruct r as [r|]; [|exact left_].
    apply (adds_trans _ _ _ left_), reply_adds, reply_after_endpoint, reply_is. right.
    pose proof (stands_ (AsReceiver r) eq_refl) as named. cbn [stands] in named. congruence.
  - apply endpoint_adds. destruct (endpoint_exists e st) eqn:there; [reflexivity|]. pose proof (stands_ (InSenders e) eq_refl) as listed.
    cbn [stands] in listed.
    rewrite (proj1 (missing_endpoint e st there)) in listed. destruct listed.
  - apply (adds_trans _ _ _ (break_adds none r st ok)), reply_adds. destruct (broken none r st ok) as (_ & _ & sorts & _). rewrite (proj2 (proj2 (sorts r))).
    apply reply_is. left. pose proof (stands_ (AsCaller r) eq_refl) as named. cbn [stands] in named. congruence.
  - apply notification_adds. destruct (notification_exists n st) eqn:there; [reflexivity|]. pose proof (stands_ (InWaiters n) eq_refl) as listed.
    cbn [stands] in listed.
    rewrite (missing_notification n st there) in listed. destruct listed.
Qed.
Lemma take_adds ex t n st : linked st -> bonded ex st -> thread_exists t st = true -> notification_exists n st = true -> adds_none st (take_flags t n st).
Proof.
  intros link ok t_there n_there. unfold take_flags. cbv zeta. set (f := fun x : Notification => _). set (g := with_result _ _ _).
  assert (linked (change_thread t g (change_notification n f st))) as link1.
  { refine (@keeps_change_thread _ _ _ _ linked_quietly t g _ _ (@keeps_change_notification _ _ _ _ linked_quietly n f _ st link)).
    - intros x. split; [intros _; apply bound_of_registers | discriminate].
    - intros x. repeat split; reflexivity. }
  assert (bonded ex (change_thread t g (change_notification n f st))) as ok1.
  { apply calm_thread; [intros x; apply uses_of_registers | intros x; unfold g, with_result; rewrite state_of_registers;
      reflexivity | apply calm_notification; exact ok]. }
  assert (thread_exists t (change_notification n f st) = true) as t_there1.
  { unfold change_notification. destruct (objects st !! n) as [[]|] eqn:at_n; try exact t_there.
    rewrite (proj1 (put_sorts n (NotificationObject _) _ st at_n I t)). exact t_there. }
  apply (adds_trans _ _ _ (notification_adds n f st n_there)). apply (adds_trans _ _ _ (thread_adds t g _ t_there1)).
  assert (thread_exists t (change_thread t g (change_notification n f st)) = true) as t_there2 by (rewrite (proj1 (thread_sorts t g _ t)); exact t_there1).
  revert link1 ok1 t_there2. generalize (change_thread t g (change_notification n f st)). clear. intros st link ok there.
  unfold lend_context. destruct (lent_context (notification n st)) as [c|] eqn:lent; [|exact (adds_refl st)].
  destruct (context_of t st); [exact (adds_refl st)|].
  destruct (context_thread (context c st)); [exact (adds_refl st)|]. exact (bonded_gives ex c t st ok there (lent_there n c st link lent)).
Qed.
Lemma hand_adds t n st : parts st -> run_state (thread t st) <> Inactive -> notification_exists n st = true -> adds_none st (hand_flags_to t n st).
Proof.
  intros (link & wait & ok) active n_there. unfold hand_flags_to. destruct (stopped t st wait) as (away & states).
  pose proof (@keeps_stop_waiting _ _ _ _ linked_quietly t eq_refl st link) as link1. pose proof (stopped_bonds t st wait ok) as ok1.
  assert (run_state (thread t (stop_waiting t st)) <> Inactive) as active1 by (rewrite states; exact active).
  pose proof (@keeps_stop_waiting _ _ _ _ (stay_quietly st) t eq_refl st (stay_refl st (b_live none st ok))) as stays.
  pose proof (thread_is t _ active1) as there1. apply (adds_trans _ _ _ (stop_adds t st wait ok)).
  apply (adds_trans _ _ _ (take_adds none t n _ link1 ok1 there1 (notification_stays _ _ n stays n_there))).
  refine (proj1 (bonded_wakes (also t none) t _ (taken none t n _ link1 ok1 there1 (awake _ t _ away active1)) _)).
  exact (thread_stays _ _ t (@keeps_take_flags _ _ _ _ (stay_quietly _) t n eq_refl _ (stay_refl _ (b_live none _ ok1))) there1).
Qed.
Lemma signal_adds n badge st : parts st -> notification_exists n st = true -> adds_none st (signal n badge st).
Proof.
  intros (link & wait & ok) n_there. unfold signal. cbv zeta. set (f := fun x : Notification => _).
  assert (parts (change_notification n f st)) as all1.
  { split; [|split; [|apply calm_notification; exact ok]].
    - refine (@keeps_change_notification _ _ _ _ linked_quietly n f _ st link). intros x. repeat split; reflexivity.
    - refine (@keeps_change_notification _ _ _ _ (waiting_quietly nobody) n f _ st wait). intros x. repeat split; reflexivity. }
  assert (notification_exists n (change_notification n f st) = true) as there1.
  { refine (notification_stays st _ n (@keeps_change_notification _ _ _ _ (stay_quietly st) n f _ st (stay_refl st (b_live none st ok))) n_there).
    intros x. repeat split; discriminate. }
  apply (adds_trans _ _ _ (notification_adds n f st n_there)). set (one := change_notification n f st) in *. clearbody one.
  destruct (is_active n st); [exact (adds_refl one)|]. destruct all1 as (link1 & wait1 & ok1).
  destruct (waiters (notification n one)) as [|first rest] eqn:queue_.
  - destruct (bound_thread (notification n one)) as [t|]; [|exact (adds_refl one)]. destruct (run_state (thread t one)) eqn:state; try leaves.
    apply (hand_adds t n one); [exact (conj link1 (conj wait1 ok1)) | rewrite state; discriminate | exact there1].
  - assert (In first (waiters (notification n one))) as listed by (rewrite queue_; left; reflexivity).
    pose proof (proj1 (w_stands nobody one wait1 first (InWaiters n)) listed) as (_ & named).
    assert (run_state (thread first one) <> Inactive) as active by (intros no; rewrite no in named; exact named).
    destruct (bound_thread (notification n one)) as [u|]; (apply (hand_adds first n one); [exact (conj link1 (conj wait1 ok1)) | exact active | exact there1]).
Qed.

(** ** Faults *)
Lemma words_add a l st : adds_none st (write_words a l st).
Proof.
  revert a st. induction l as [|v l IH]; intros a st; [exact (adds_refl st)|]. cbn [write_words].
  apply (adds_trans _ (write_memory a v st)); [|apply IH]. intros [no|listed]; [discriminate | exact listed].
Qed.
Lemma deliver_adds m through badge caps from to st : cap_addresses m = [] -> thread_exists to st = true -> adds_none st (deliver m through badge caps from to
  st).
Proof.
  intros no_caps there. unfold deliver. rewrite no_caps. assert ((if caps then @nil N else []) = []) as -> by (destruct caps; reflexivity). cbn [transfer].
  cbv zeta.
  match goal with |- adds_none st (write_long_words to ?l ?one) => apply (adds_trans _ one); [exact (thread_adds to _ st there)|] end.
  unfold write_long_words. destruct (receive_buffer _ _); [apply words_add | apply adds_refl].
Qed.
Lemma inactive_adds t st : thread_exists t st = true -> adds_none st (make_inactive t st).
Proof. exact (thread_adds t _ (unplace t st)). Qed.
Lemma unanswered_adds s st : bonded none st -> thread_exists s st = true -> adds_none st (end_unanswered s st).
Proof.
  intros ok there. unfold end_unanswered. destruct (fault (thread s st)); [exact (inactive_adds s st there)|]. cbv zeta.
  pose proof (thread_adds s (with_error_result Error.CallCancelled []) st there) as told. fold (set_error_result Error.CallCancelled s st) in told.
  destruct (is_running _ _); [exact told|]. apply (adds_trans _ _ _ told).
  refine (proj1 (bonded_wakes none s _ (@keeps_set_error_result _ _ _ _ (bonded_quietly none) Error.CallCancelled s st ok) _)).
  exact (eq_trans (proj1 (thread_sorts s (with_error_result Error.CallCancelled []) st s)) there).
Qed.
Lemma meet_adds ex s t e b r rg g gr l st : waiting ex st -> bonded none st -> is_silent s st -> run_state (thread s st) <> Inactive ->
  run_state (thread t st) <> Inactive -> (forall r', r = Some r' -> reply_exists r' st = true /\ caller (reply r' st) = None) ->
  adds_none st (meet s t e b r rg g gr true l st).
Proof.
  intros wait ok silent s_waits t_waits free. unfold meet. cbv zeta. set (lends := lends_now _ _ _ _). clearbody lends.
  pose proof (deliver_adds (message_of s st) (Some e) b g s t st (silent_message s st silent) (thread_is t st t_waits)) as told_.
  pose proof (@keeps_deliver _ _ _ _ (stay_quietly st) (stay_kept st) (message_of s st) (Some e) b g s t st (stay_start ex st wait)) as stays.
  change (stay st (deliver (message_of s st) (Some e) b g s t st)) in stays.
  destruct (@keeps_deliver _ _ _ _ (still_quietly ex st) (still_kept ex st) (message_of s st) (Some e) b g s t st (still_start ex st wait)) as (_ & states).
  pose proof (@keeps_deliver _ _ _ _ (bonded_quietly none) (bonded_kept none) (message_of s st) (Some e) b g s t st ok) as told.
  change (bonded none (deliver (message_of s st) (Some e) b g s t st)) in told.
  apply (adds_trans _ _ _ told_). set (one := deliver (message_of s st) (Some e) b g s t st) in *. clearbody one. clear told_.
  pose proof (thread_stays st one t stays (thread_is t st t_waits)) as t_there. pose proof (thread_stays st one s stays (thread_is s st s_waits)) as s_there.
  assert (forall r', r = Some r' -> reply_exists r' one = true /\ along (reply r' one) = None) as free1.
  { intros r' is_r. destruct (free r' is_r) as (there & no). split; [exact (reply_stays _ _ r' stays there)|].
    apply (not_along none r' one told). rewrite (same_caller _ _ states). exact no. }
  clear stays states wait s_waits t_waits free silent ok.
  set (two := match r with Some r => put_reply r unused_reply one | None => one end).
  assert (bonded none two /\ (forall r', r = Some r' -> reply_exists r' two = true /\ along (reply r' two) = None) /\ same_sorts one two /\ adds_none one two)
    as (ok2 & free2 & sorts2 & adds2).
  { unfold two. destruct r as [r|]; [|split; [exact told | split; [exact free1 | split; [intros o; repeat split | exact (adds_refl one)]]]].
    destruct (free1 r eq_refl) as (there & no). split; [exact (freed_again none r one told no)|].
    split; [|split; [exact (reply_sorts r unused_reply one) | exact (reply_adds r unused_reply one there)]].
    intros r' is_r. injection is_r as <-. rewrite put_unused, (proj2 (proj2 (reply_sorts r unused_reply one r))). split; [exact there | reflexivity]. }
  clearbody two. clear free1. rewrite <- (proj1 (sorts2 t)) in t_there. rewrite <- (proj1 (sorts2 s)) in s_there. apply (adds_trans _ _ _ adds2).
  clear adds2 told sorts2.
  set (lent := if lends then context_of s two else None).
  assert (forall k, lent = Some k -> context_of s two = Some k /\ context_exists k two = true) as lent_is.
  { intros k is_k. unfold lent in is_k. destruct lends; [|discriminate]. split; [exact is_k | exact (proj2 (had_exists none s k two ok2 is_k))]. }
  clearbody lent. cbn [andb].
  set (three := if answerable r g gr then _ else _).
  assert (bonded none three /\ stay two three /\ adds_none two three) as (ok3 & stays3 & adds3).
  { assert (bonded none (end_unanswered s two) /\ stay two (end_unanswered s two) /\ adds_none two (end_unanswered s two)) as ends.
    { destruct (unanswered s two ok2) as (after & _ & stays_ & _). exact (conj after (conj stays_ (unanswered_adds s two ok2 s_there))). }
    unfold three. clear three. destruct (answerable r g gr); [|exact ends]. destruct r as [r|]; [|exact ends].
    set (f := begin_call (BlockedOnReply r rg)). destruct (free2 r eq_refl) as (r_there & no_along).
    assert (bonded none (change_thread s f (unplace s two))) as ok4
      by (apply (unplaced_and_parked none none); [apply begin_call_context | discriminate | intros u _ no; exact no | exact ok2]).
    assert (stay two (change_thread s f (unplace s two))) as stays4.
    { refine (@keeps_change_thread _ _ _ _ (stay_quietly two) s f _ _ (@keeps_unplace _ _ _ _ (stay_quietly two)
        s eq_refl two (stay_refl two (b_live none two ok2)))).
      intros x. repeat split; discriminate. }
    pose proof (thread_adds s f (unplace s two) s_there) as adds4. change (adds_none two (change_thread s f (unplace s two))) in adds4.
    assert (context_of s (change_thread s f (unplace s two)) = context_of s two) as has4
      by exact (same_had _ _ (thread_bonds s f (unplace s two) (begin_call_context _)) s).
    pose proof (proj2 (proj2 (after_thread s f (unplace s two))) r) as reply4. change (reply r (unplace s two)) with (reply r two) in reply4.
    fold f. set (four := change_thread s f (unplace s two)) in *. clearbody four. rewrite <- reply4 in no_along.
    pose proof (reply_stays _ _ r stays4 r_there) as r_there4.
    destruct lent as [k|].
    - destruct (lent_is k eq_refl) as (has & k_there). set (v := {| caller := Some s; receiver := None; along := Some k |}).
      set (h := fun x : SchedContext => x <| calls := r :: calls x |>). pose proof (context_stays _ _ k stays4 k_there) as k_there4.
      split; [exact (pushed none r k s four ok4 r_there4 no_along k_there4)|]. split.
      + refine (@keeps_change_context _ _ _ _ (stay_quietly two) k h _ _ _ (@keeps_put_reply _ _ _ _ (stay_quietly two) r v _ four stays4)).
        * split; [intros; exact I | reflexivity].
        * intros x. discriminate.
        * intros x. discriminate.
      + apply (adds_trans _ _ _ adds4), (adds_trans _ _ _ (reply_adds r v four r_there4)), context_adds.
        rewrite (proj1 (proj2 (reply_sorts r v four k))). exact k_there4.
    - set (v := {| caller := Some s; receiver := None; along := None |}).
      split; [apply calm_reply; [symmetry; exact no_along | intros some; destruct (some eq_refl) | exact ok4]|]. split.
      + refine (@keeps_put_reply _ _ _ _ (stay_quietly two) r v _ four stays4). intros x. discriminate.
      + exact (adds_trans _ _ _ adds4 (reply_adds r v four r_there4)). }
  clearbody three. apply (adds_trans _ _ _ adds3). pose proof (thread_stays _ _ t stays3 t_there) as t_there3. destruct lent as [k|].
  - pose proof (context_stays _ _ k stays3 (proj2 (lent_is k eq_refl))) as k_there. apply (adds_trans _ _ _ (bonded_gives none k t three ok3 t_there3 k_there)).
    pose proof (@keeps_give_context _ _ _ _ (stay_quietly three) k t eq_refl three (stay_refl three (b_live none three ok3))) as stays5.
    refine (proj2 (wake_adds t (give_context k t three) (thread_stays _ _ t stays5 t_there3) _)). intros c has.
    assert (context_of t (give_context k t three) = Some k) as is_k.
    { unfold give_context. cbv zeta. fold (leaves_from (context_thread (context k three)) three).
      set (from := leaves_from (context_thread (context k three)) three).
      assert (thread_exists t from = true) as there.
      { unfold from, leaves_from. destruct (context_thread (context k three)) as [u|]; [|exact t_there3].
        rewrite (proj1 (thread_sorts u _ (unplace u three) t)). exact t_there3. }
      set (g' := fun x : SchedContext => x <| context_thread := Some t |>).
      unfold context_of. rewrite thread_after_change_thread, N.eqb_refl, (proj1 (context_sorts k g' from (fun _ => eq_refl) t)), there.
      reflexivity. }
    rewrite is_k in has. injection has as <-. exact (context_stays _ _ k stays5 k_there).
  - destruct (is_running t three); [apply adds_refl | exact (proj1 (bonded_wakes none t three ok3 t_there3))].
Qed.
Lemma send_adds t e b g gr l st : waiting nobody st -> bonded none st -> is_silent t st -> run_state (thread t st) = Running -> endpoint_exists e st = true ->
  adds_none st (snd (send t e b g gr true l true st)).
Proof.
  intros wait ok silent runs e_there. unfold send. destruct (receivers (endpoint e st)) as [|first rest] eqn:queue_.
  - cbn [snd]. set (s := BlockedOnSend e b g gr true l). destruct (blocks (with_state s) s t e st wait runs (fun _ => eq_refl) ltac:(discriminate))
      as (_ & _ & here & _).
    apply (adds_trans _ (change_thread t (with_state s) (unplace t st))); [|apply endpoint_adds; exact (here e_there)].
    apply (thread_adds t (with_state s) (unplace t st)). apply (thread_is t st). rewrite runs. discriminate.
  - assert (In first (receivers (endpoint e st))) as listed by (rewrite queue_; left; reflexivity).
    pose proof (proj1 (w_stands nobody st wait first (InReceivers e)) listed) as (_ & named).
    destruct (run_state (thread first st)) as [| |x r q rg| | |] eqn:state; try contradiction. apply receives_at in named. subst x. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [apply adds_refl|]. cbn [snd].
    pose proof (pop_receivers nobody e st first rest wait queue_) as popped_. apply (adds_trans _ _ _ (endpoint_adds e (fun x => x <|
      receivers := rest |>) st e_there)).
    apply (meet_adds (plus nobody first (InReceivers e))).
    + exact popped_.
    + apply calm_endpoint. exact ok.
    + apply silent_after_change_endpoint. exact silent.
    + rewrite only_threads, runs. discriminate.
    + rewrite only_threads, state. discriminate.
    + intros r' ->. assert (receiver (reply r' st) = Some first) as is_first
        by (apply (w_stands nobody st wait first (AsReceiver r')); rewrite state; split; [exact id | reflexivity]).
      rewrite !same_replies. split; [apply reply_after_endpoint, reply_is; right; congruence|].
      destruct (w_one nobody st wait r') as [no|no]; [exact no | congruence].
Qed.
Lemma raise_adds slot l t f st : parts st -> run_state (thread t st) = Running -> adds_none st (raise_fault_to slot l t f st).
Proof.
  intros (_ & wait & ok) runs. assert (thread_exists t st = true) as t_there by (apply thread_is; rewrite runs; discriminate).
  pose proof (inactive_adds t st t_there) as stops. unfold raise_fault_to.
  destruct (capability_at (slot_of t slot) st) as [[|e b r| | | | | | | | | | | | | | | | |]|] eqn:there; try exact stops.
  destruct (_ && _); [|exact stops]. cbv zeta. set (one := change_thread t (fun x => x <| fault := Some f |>) st).
  pose proof (thread_adds t (fun x => x <| fault := Some f |>) st t_there) as first_. fold one in first_.
  assert (still nobody st one) as (faulting & same).
  { refine (@keeps_change_thread _ _ _ _ (still_quietly nobody st) t _ _ st (still_start nobody st wait)). intros x. split; [discriminate | reflexivity]. }
  assert (bonded none one) as ok1 by (apply calm_thread; [reflexivity | reflexivity | exact ok]).
  assert (run_state (thread t one) = Running) as runs1 by (rewrite (same_state _ _ same); exact runs).
  assert (endpoint_exists e one = true) as e_there
    by (apply (endpoint_there (slot_of t slot) e b r one faulting); rewrite (capability_same _ st one); [exact there | exact (proj1 (thread_frame t _ st))]).
  pose proof (send_adds t e b (can_grant r) (can_grant_reply r) l one faulting ok1 (faulting_is_silent t f st) runs1 e_there) as after.
  destruct (sent t e b (can_grant r) (can_grant_reply r) true l true one faulting runs1 e_there) as (_ & back).
  destruct (send t e b (can_grant r) (can_grant_reply r) true l true one) as ([| | |] & two); cbn [fst snd] in *; try exact (adds_trans _ _ _ first_ after).
  rewrite (back eq_refl). apply (adds_trans _ _ _ first_), inactive_adds, thread_is. rewrite runs1. discriminate.
Qed.

(** ** The step *)
Lemma budget_adds st : parts st -> adds_none st (end_budget st).
Proof.
  intros all_. unfold end_budget. cbv zeta. pose proof (@keeps_book_turn _ _ _ _ parts_quietly st all_) as booked. change (parts (book_turn st)) in booked.
  apply (adds_trans _ _ _ (book_turn_adds st)). revert booked. generalize (book_turn st). clear. intros st all_.
  destruct (current_context st) as [c|]; [|apply adds_refl]. unfold thread_that_uses. destruct (context_thread (context c st)) as [t|] eqn:back;
    [|apply adds_refl].
  destruct (member t (ready st)) eqn:queued_; [|apply adds_refl]. destruct (is_used_up c st); [|apply adds_refl].
  apply (adds_trans _ _ _ (place_adds insert_behind t st)). pose proof all_ as (_ & wait & ok).
  assert (goes_on_whole t (place t st)) as goes_.
  { refine (@keeps_place _ _ _ _ (goes_whole_quietly t) t st (conj all_ _)). apply (w_runs nobody st wait), in_app_iff. left. apply member_in. exact queued_. }
  assert (context_exists c (place t st) = true) as c_there.
  { unfold context_exists. unfold place. rewrite (proj2 (proj2 (place_by_same insert_behind t st))). apply (b_had none st ok) in back.
    exact (proj2 (had_exists none t c st ok back)). }
  fold (place t st). revert goes_ c_there. generalize (place t st). clear. intros st goes_ c_there. unfold time_out.
  destruct (capability_at _ st) as [[]|]; try leaves.
  pose proof (report_adds report_consumed c st (b_live none st (proj2 (proj2 (proj1 goes_)))) (or_introl eq_refl) c_there) as reported.
  destruct (@keeps_report_consumed _ _ _ _ (goes_whole_quietly t) c st goes_) as (_ & (after & runs)). destruct (report_consumed c st) as (used & two).
  cbn [snd] in *.
  apply (adds_trans _ _ _ reported). exact (raise_adds _ _ t _ two after runs).
Qed.
Lemma turn_adds st : adds_none st (end_turn_if_due st).
Proof.
  apply adds_same. unfold end_turn_if_due, next_turn. destruct (turn_end st) as [time|]; [|reflexivity]. destruct (_ <=? _); [|reflexivity]. cbv zeta.
  destruct (_ && _); reflexivity.
Qed.
Lemma sleepers_add st : adds_none st (wake_sleepers st).
Proof.
  unfold wake_sleepers. generalize (firstn most_wake_ups (sleeping st)). intros l. revert st. induction l as [|t l IH]; intros st; [apply adds_refl|].
  cbn [fold_left]. apply (adds_trans _ (if wake_time t st <=? now st then place t st else st)); [|apply IH].
  destruct (_ <=? _); [apply place_adds | apply adds_refl].
Qed.
Lemma mask_adds irq m st : adds_none st (set_mask irq m st).
Proof.
  unfold set_mask. destruct (interrupts st !! irq) as [i|]; [|apply adds_refl]. destruct (Bool.eqb _ _); [apply adds_refl|].
  apply (emit_adds (if m then MaskInterrupt irq else UnmaskInterrupt irq) st). destruct m; discriminate.
Qed.
Lemma interrupt_adds irq st : parts st -> adds_none st (interrupt irq st).
Proof.
  intros all_. unfold interrupt. cbv zeta. destruct (interrupts st !! irq) as [i|].
  - assert (adds_none st (if irq =? irq_serror then st else set_mask irq true st)) as usual by (destruct (_ =? _); [apply adds_refl | apply mask_adds]).
    destruct (capability_at (irq_slot irq) st) as [[]|] eqn:there; try exact usual.
    pose proof (notification_is_there _ _ _ _ st (proj1 (proj2 all_)) there) as n_there. destruct (is_held_back irq);
      [|exact (signal_adds _ _ st all_ n_there)].
    refine (signal_adds _ _ (change_interrupt irq _ st) (@keeps_change_interrupt _ _ _ _ parts_quietly irq _ st all_) n_there).
  - destruct (is_held_back irq); [apply emit_adds; discriminate | apply adds_refl].
Qed.
Lemma fault_adds t c st : goes_on_whole t st -> adds_none st (snd (user_fault t c st)).
Proof.
  intros (all_ & runs). unfold user_fault. cbv zeta. destruct c; try leaves; try exact (raise_adds _ _ t _ st all_ runs). unfold debug_event. cbv zeta.
  destruct reason; try exact (raise_adds _ _ t _ st all_ runs).
  destruct (parts_thread t (fun x => x <| step_count := step_count x - 1 |>) st) as (after & same); try reflexivity; [exact all_|].
  assert (adds_none st (change_thread t (fun x => x <| step_count := step_count x - 1 |>) st)) as first_
    by (apply thread_adds, thread_is; rewrite runs; discriminate).
  destruct (_ =? _); [|exact first_]. apply (adds_trans _ _ _ first_). apply raise_adds; [exact after | rewrite same; exact runs].
Qed.
Lemma handle_adds c st : c <> SystemCall -> parts st -> (forall t, current st = Some t -> run_state (thread t st) = Running)
  -> adds_none st (snd (handle c st)).
Proof.
  intros other all_ runs. unfold handle. destruct c, (current st) as [t|]; try leaves; try contradiction (other eq_refl);
    first [ exact (interrupt_adds _ st all_) | exact (fault_adds t _ st (conj all_ (runs t eq_refl))) | idtac ].
  all: exact (adds_trans _ _ _ (adds_trans _ _ _ (budget_adds st all_) (sleepers_add _)) (turn_adds _)).
Qed.
Lemma choose_adds st : parts st -> yielding st -> adds_none st (choose_thread st).
Proof.
  intros all_ yields. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (parts one /\ yielding one /\ adds_none st one) as (all1 & yields1 & adds1).
  { unfold one. destruct (ends_turn _); [|exact (conj all_ (conj yields (adds_refl st)))].
    exact (conj (@keeps_end_turn_if_due _ _ _ _ parts_quietly st all_) (conj (@keeps_end_turn_if_due _ _ _ _ yielding_quietly st yields) (turn_adds st))). }
  clearbody one. apply (adds_trans _ _ _ adds1). set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (adds_none one two /\ yielding two) as (adds2 & yields2).
  { unfold two. destruct (_ && _); [exact (conj (adds_refl one) yields1)|].
    split; [|exact (@keeps_change_context_in_use _ _ _ _ yielding_quietly eq_refl one yields1)]. unfold change_context_in_use. cbv zeta.
    apply (adds_trans _ _ _ (budget_adds one all1)). pose proof (budget_ends_parts one all1) as (_ & _ & ok). revert ok. generalize (end_budget one). clear.
    intros st ok.
    destruct (context_of_first st) as [c|] eqn:first_; [|exact (adds_refl st)].
    match goal with |- adds_none st (if ?x then _ else _) => destruct x end; [exact (adds_refl st)|].
    apply (adds_trans _ (st <| current_context := Some c |>)); [apply adds_same; reflexivity|]. apply context_adds. change (context_exists c st = true).
    unfold context_of_first in first_.
    destruct (first_ready st) as [t|]; [|discriminate]. exact (proj2 (had_exists none t c st ok first_)). }
  clearbody two. apply (adds_trans _ _ _ adds2). destruct (first_ready two) as [t|]; [|exact (adds_refl two)].
  set (three := two <| current := Some t |>).
  assert (yielding three) as yields3 by exact (looks_at_objects yielding_quietly two three eq_refl eq_refl eq_refl eq_refl eq_refl yields2).
  apply (adds_trans _ three); [apply adds_same; reflexivity|]. exact (yield_adds report_booked t three yields3 (or_intror (or_introl eq_refl))).
Qed.

(** Of claim [never_stuck] what it says of other events than system calls. *)
Theorem other_events_never_stuck p st e : roots_are_apart p -> reachable step p st -> cause e <> SystemCall -> ~ In Stuck (snd (step st e)).
Proof.
  intros apart reached other. pose proof (reachable_parts p st apart reached) as all_. pose proof (reachable_yields p st apart reached) as yields.
  destruct (states_are_settled_proved p st reached) as [first _ no_yield _].
  assert (forall t, current st = Some t -> run_state (thread t st) = Running) as runs.
  { intros t is_cur. apply (w_runs nobody st (proj1 (proj2 all_))), in_app_iff. left. rewrite first in is_cur. unfold first_ready in is_cur.
    apply List.find_some in is_cur. exact (proj1 is_cur). }
  pose proof (@keeps_enter _ _ _ _ parts_quietly e st all_) as entered. change (parts (enter e st)) in entered.
  pose proof (@keeps_enter _ _ _ _ yielding_quietly e st yields) as yields1. change (yielding (enter e st)) in yields1.
  destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st (proj1 (proj2 all_)))) as (_ & same).
  assert (current (enter e st) = current st) as same_current.
  { unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur; [|exact cur].
    unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact cur. }
  assert (forall t, current (enter e st) = Some t -> run_state (thread t (enter e st)) = Running) as runs1
    by (intros t; rewrite same_current, (same_state _ _ same); apply runs).
  assert (~ In Stuck (effects (enter e st))) as clean.
  { intros listed. assert (adds_none (begin_step e st) (enter e st)) as adds; [|exact (adds listed)]. unfold enter, save_registers.
    change (current (begin_step e st)) with (current st). destruct (current st) as [t|]; [|apply adds_refl].
    apply thread_adds. apply (thread_is t st). rewrite (runs t eq_refl). discriminate. }
  unfold step, finish. pose proof (handle_adds (cause e) (enter e st) other entered runs1) as adds1.
  pose proof (handled_parts (cause e) (enter e st) entered runs1) as all2.
  assert (yielding (snd (handle (cause e) (enter e st)))) as yields2.
  { apply handled_yields; [exact entered | exact yields1|]. intros t is_cur. split; [exact (runs1 t is_cur)|]. rewrite same_current in is_cur.
    exact (proj2 (@keeps_enter _ _ _ _ (idle_quietly t) e st (conj yields (no_yield t is_cur)))). }
  destruct (handle (cause e) (enter e st)) as (result & two). cbn [snd] in *. intros listed. apply in_rev in listed.
  exact (clean (adds1 (choose_adds two all2 yields2 listed))).
Qed.
