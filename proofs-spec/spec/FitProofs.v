(* SPDX-License-Identifier: BSD-2-Clause *)
(** * How those who wait stand: what ends, methods, and the step

    Those who wait stand so in every state that can be reached. *)
From Coq Require Import Lia.
From Spec Require Export AwaitProofs.
Open Scope N_scope.

(** ** What ends *)
Lemma fit_objects a b : all_live b -> objects b = objects a -> fit a -> fit b.
Proof. intros alive same. exact (apt_same _ _ _ a b alive (same_apt_objects a b same)). Qed.
Lemma fit_rebuilt st b : fit st -> all_live b ->
  (forall u, fault (thread u b) = fault (thread u st) /\ run_state (thread u b) = run_state (thread u st)) ->
  (forall o, (senders (endpoint o b) = [] \/ receivers (endpoint o b) = [])
    /\ (waiters (notification o b) = [] \/ word_of_flags (notification o b) = None)) ->
  (forall o, by_rank (rank b) (senders (endpoint o b)) /\ by_rank (rank b) (receivers (endpoint o b)) /\ by_rank (rank b) (waiters (notification o b))) ->
  fit b.
Proof.
  intros ok alive same kinds ranked. constructor; [exact alive | | intros t [] | intros o; apply kinds | intros o _; apply kinds | exact ranked].
  intros t free. destruct (same t) as (-> & ->). exact (a_fault _ _ _ st ok t free).
Qed.
Lemma fit_discard s st : waiting nobody st -> fit st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> unawaited o st) -> fit (discard s st).
Proof.
  intros waits_ ok free. pose proof (w_live nobody _ (waiting_discard s st waits_ free)) as alive. revert alive. unfold discard.
  destruct (capability_at s st) as [c|] eqn:there; [|intros _; exact ok]. pose proof (objects_of_remove_capability s st) as same.
  destruct (object_of c) as [o|] eqn:names; [destruct (is_zombie c || is_last c st) eqn:last|]; intros alive; try exact (fit_objects st _ alive same ok).
  destruct (free c o eq_refl names last) as (inactive & empty_ & none & _).
  assert (objects (remove_object o (remove_capability s st)) = remove o (objects st)) as gone_
    by (change (objects (remove_object o (remove_capability s st))) with (remove o (objects (remove_capability s st))); rewrite same; reflexivity).
  revert alive gone_. generalize (remove_object o (remove_capability s st)). intros b alive gone_.
  assert (forall e, endpoint e b = endpoint e st) as endpoints
    by (intros e; unfold endpoint in *; rewrite gone_, find_remove; destruct (N.eqb_spec e o) as [->|]; [symmetry; exact empty_ | reflexivity]).
  assert (forall n, waiters (notification n b) = waiters (notification n st)
            /\ (word_of_flags (notification n b) = None \/ word_of_flags (notification n b) = word_of_flags (notification n st))) as notifications
    by (intros n; unfold notification in *; rewrite gone_, find_remove; destruct (N.eqb_spec n o) as [->|]; [split; [symmetry; exact none | left; reflexivity] |
      split; [reflexivity | right; reflexivity]]).
  assert (forall u, u <> o -> thread u b = thread u st) as threads
    by (intros u other; unfold thread; rewrite gone_, find_remove; apply N.eqb_neq in other; rewrite other; reflexivity).
  assert (thread o b = new_thread) as new by (unfold thread; rewrite gone_, find_remove, N.eqb_refl; reflexivity).
  apply (fit_rebuilt st); [exact ok | exact alive | | |].
  - intros u. destruct (N.eq_dec u o) as [->|other]; [|rewrite (threads u other); split; reflexivity]. rewrite new, inactive. split; [|reflexivity].
    symmetry. apply (not_awaiting _ _ _ o st ok (fun no => no)). rewrite inactive. exact id.
  - intros e. rewrite endpoints. destruct (notifications e) as (-> & flags_). split; [apply (a_ends _ _ _ st ok)|].
    destruct (a_flags _ _ _ st ok e (fun no => no)) as [no|no]; [left; exact no | right]. destruct flags_ as [is_|is_]; congruence.
  - intros e. rewrite endpoints, (proj1 (notifications e)). destruct (a_ranked _ _ _ st ok e) as (x & y & z).
    assert (forall q, stands o q st -> False) as nowhere_ by (intros q stood; apply (w_stands nobody st waits_) in stood; rewrite inactive in stood;
      exact (proj2 stood)).
    assert (forall l, (In o l -> False) -> by_rank (rank st) l -> by_rank (rank b) l) as kept_.
    { intros l away. apply by_rank_same. intros u listed. unfold rank. rewrite threads; [reflexivity|]. intros ->. exact (away listed). }
    split; [|split]; apply kept_; try assumption; [exact (nowhere_ (InSenders e)) | exact (nowhere_ (InReceivers e)) | exact (nowhere_ (InWaiters e))].
Qed.
Lemma fit_end_thread t st : fit st -> fit (end_thread t st).
Proof.
  intros ok. unfold end_thread. cbv zeta. pose proof (apt_less _ _ _ t _ (apt_suspended _ _ _ t st ok)) as stopped_. revert stopped_. generalize (suspend t st).
  intros one ok1. assert (fit (match bound_notification (thread t one) with Some n => unbind_notification t n one | None => one end)) as ok2.
  { destruct (bound_notification (thread t one)) as [n|]; [|exact ok1]. exact (@keeps_unbind_notification _ _ _ _ fit_quiet t n eq_refl one ok1). }
  revert ok2. generalize (match bound_notification (thread t one) with Some n => unbind_notification t n one | None => one end). intros two ok2.
  destruct (context_of t two) as [c|]; [|exact ok2]. exact (@keeps_unbind_thread _ _ _ _ fit_quiet c eq_refl two ok2).
Qed.
Lemma fit_let_go c st : fit st -> fit (let_go c st).
Proof.
  intros ok. unfold let_go. destruct c; try exact ok; try (destruct (is_last _ st); [|exact ok]).
  - exact (@keeps_end_notification _ _ _ _ fit_quiet notification eq_refl eq_refl st ok).
  - exact (apt_freed _ _ _ reply st ok).
  - exact (@keeps_end_context _ _ _ _ fit_quiet context eq_refl eq_refl st ok).
  - exact (@keeps_release_asid _ _ _ _ fit_quiet vspace asid st ok).
  - exact (@keeps_unmap_table _ _ _ _ fit_quiet table place st ok).
  - exact (@keeps_unmap_frame _ _ _ _ fit_quiet base size_bits place st ok).
  - exact (@keeps_release_pool _ _ _ _ fit_quiet pool st ok).
  - exact (@keeps_end_interrupt _ _ _ _ fit_quiet irq eq_refl st ok).
Qed.
Definition both (st : State) : Prop := waiting nobody st /\ fit st.
Lemma both_unit anchor st : both st -> both (snd (delete_unit anchor st)).
Proof.
  apply (unit_kept both unawaited).
  - intros s o before (waits_ & _) zombie. exact (unawaited_by_kind s _ o before waits_ zombie eq_refl I).
  - intros s before (waits_ & ok) free. exact (conj (waiting_discard s before waits_ free) (fit_discard s before waits_ ok free)).
  - intros from to before (waits_ & ok).
    exact (conj (after_move_capability (waiting_kept nobody) from to before waits_) (after_move_capability fit_kept from to before ok)).
  - intros s before (waits_ & ok) free. pose proof (waiting_make_zombie s before waits_ free) as after. split; [exact after|].
    apply (fit_objects before); [exact (w_live nobody _ after) | | exact ok]. unfold make_zombie. destruct (slots before !! s) as [e|]; [|reflexivity].
    destruct (container_of _ before) as [o|]; [|reflexivity]. rewrite (replace_capability_same s e (ZombieCap o) before). reflexivity.
  - intros s t before (waits_ & ok) there. destruct (waiting_end_thread s t before waits_ there) as (after & ends).
    exact (conj (conj after (fit_end_thread t before ok)) ends).
  - intros s c before (waits_ & ok) there none alone_. destruct (waiting_let_go s c before waits_ there none alone_) as (after & ends).
    exact (conj (conj after (fit_let_go c before ok)) ends).
  - intros s c t before (waits_ & ok) _ listed.
    exact (conj (restarted t before waits_ (waits_on_it c t before waits_ listed)) (apt_restarted _ _ _ t before ok)).
  - intros v a before (waits_ & ok). exact (conj (@keeps_release_asid _ _ _ _ (waiting_quietly nobody) v a before waits_)
      (@keeps_release_asid _ _ _ _ fit_quiet v a before ok)).
Qed.

(** ** Methods *)
Lemma fit_priority t p st : fit st -> waiting nobody st -> fit (set_priority t p st).
Proof.
  intros ok waits_. unfold set_priority. cbv zeta. set (one := change_thread t (fun x => x <| priority := p |>) st).
  destruct (after_thread t (fun x => x <| priority := p |>) st) as (endpoints & notifications & _). fold one in endpoints, notifications.
  assert (forall u, fault (thread u one) = fault (thread u st) /\ run_state (thread u one) = run_state (thread u st)) as threads.
  { intros u. unfold one. rewrite thread_after_change_thread. destruct (_ && _) eqn:is_t; [|split; reflexivity].
    apply andb_prop, proj1, N.eqb_eq in is_t. subst u. split; reflexivity. }
  assert (forall l, (In t l -> False) -> by_rank (rank st) l -> by_rank (rank one) l) as stays_.
  { intros l away. apply by_rank_same. intros u listed. unfold rank, one. rewrite thread_after_change_thread.
    destruct (N.eqb_spec u t) as [->|]; [destruct (away listed) | reflexivity]. }
  assert (forall l, by_rank (rank st) l -> by_rank (rank one) (insert_behind t (without t l) one)) as anew.
  { intros l sorted. apply by_rank_chosen; [left; reflexivity|]. apply stays_; [rewrite in_without; tauto | apply by_rank_without; exact sorted]. }
  assert (all_live one) as alive by exact (thread_live t _ st (a_live _ _ _ st ok)).
  assert (forall q, stands t q st -> says (run_state (thread t st)) q) as says_ by (intros q stood;
    exact (proj2 (proj1 (w_stands nobody st waits_ t q) stood))).
  assert (forall q, says (run_state (thread t st)) q -> stands t q st) as stood_
    by (intros q named; apply (w_stands nobody st waits_); split; [exact (fun no => no) | exact named]).
  pose proof (a_ends _ _ _ st ok) as ends. pose proof (fun o => a_flags _ _ _ st ok o (fun no => no)) as flags_. pose proof (a_ranked _ _ _ st ok) as ranked.
  assert ((forall o q, In q [InSenders o; InReceivers o; InWaiters o] -> ~ says (run_state (thread t st)) q) -> fit one) as elsewhere.
  { intros nowhere_. apply (fit_rebuilt st); [exact ok | exact alive | exact threads | |].
    - intros o. rewrite endpoints, notifications. exact (conj (ends o) (flags_ o)).
    - intros o. rewrite endpoints, notifications. destruct (ranked o) as (x & y & z).
      split; [|split]; (apply stays_; [|assumption]); intros listed;
        [exact (nowhere_ o (InSenders o) ltac:(cbn; tauto) (says_ (InSenders o) listed)) |
         exact (nowhere_ o (InReceivers o) ltac:(cbn; tauto) (says_ (InReceivers o) listed)) |
         exact (nowhere_ o (InWaiters o) ltac:(cbn; tauto) (says_ (InWaiters o) listed))]. }
  rewrite (proj2 (threads t)). destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n].
  - apply elsewhere. intros o q _ named. exact named.
  - assert (fit one) as ok1 by (apply elsewhere; intros o q _ named; exact named).
    destruct (member t (sleeping one)) eqn:asleep; [exact (after_sleeping_anew fit_quiet t one asleep ok1) | exact (@keeps_place_anew _ _ _ _ fit_quiet t one
      ok1)].
  - set (f := fun x : Endpoint => _). destruct (after_endpoint e f one) as (endpoints2 & threads2 & notifications2 & _).
    assert (receivers (endpoint e st) <> []) as some
      by (pose proof (stood_ (InReceivers e) ltac:(destruct r; reflexivity)) as listed; cbn [stands] in listed; intros no; rewrite no in listed; exact listed).
    assert (forall u, rank (change_endpoint e f one) u = rank one u) as ranks by (intros u; unfold rank; rewrite threads2; reflexivity).
    apply (fit_rebuilt st); [exact ok | exact (endpoint_live e f one alive) | intros u; rewrite threads2; apply threads | |].
    + intros o. rewrite endpoints2, notifications2, notifications. split; [|exact (flags_ o)]. rewrite !endpoints.
      destruct (_ && _) eqn:is_e; [|exact (ends o)].
      left. destruct (ends e) as [no|no]; [exact no | contradiction].
    + intros o. rewrite endpoints2, notifications2, notifications, !endpoints. destruct (ranked o) as (x & y & z), (ranked e) as (x' & y' & z').
      assert (forall k, In t (senders (endpoint k st)) -> False) as no_s by (intros k listed; pose proof (says_ (InSenders k) listed) as no; destruct r;
        exact no).
      assert (forall k, In t (waiters (notification k st)) -> False) as no_w by (intros k listed; pose proof (says_ (InWaiters k) listed) as no; destruct r;
        exact no).
      assert (o <> e -> In t (receivers (endpoint o st)) -> False) as no_r
        by (intros other listed; pose proof (says_ (InReceivers o) listed) as named; apply receives_at in named; contradiction).
      split; [|split]; apply (by_rank_ext (rank one)); try exact ranks.
      * destruct (_ && _); [exact (stays_ _ (no_s e) x') | exact (stays_ _ (no_s o) x)].
      * destruct (N.eqb_spec o e) as [->|other]; cbn [andb]; [|exact (stays_ _ (no_r other) y)].
        destruct (endpoint_exists e one) eqn:there; [exact (anew _ y')|]. pose proof (proj2 (missing_endpoint e one there)) as no. rewrite endpoints in no.
        rewrite no. constructor.
      * exact (stays_ _ (no_w o) z).
  - set (f := fun x : Endpoint => _). destruct (after_endpoint e f one) as (endpoints2 & threads2 & notifications2 & _).
    assert (senders (endpoint e st) <> []) as some
      by (pose proof (stood_ (InSenders e) eq_refl) as listed; cbn [stands] in listed; intros no; rewrite no in listed; exact listed).
    assert (forall u, rank (change_endpoint e f one) u = rank one u) as ranks by (intros u; unfold rank; rewrite threads2; reflexivity).
    apply (fit_rebuilt st); [exact ok | exact (endpoint_live e f one alive) | intros u; rewrite threads2; apply threads | |].
    + intros o. rewrite endpoints2, notifications2, notifications. split; [|exact (flags_ o)]. rewrite !endpoints.
      destruct (_ && _) eqn:is_e; [|exact (ends o)].
      right. destruct (ends e) as [no|no]; [contradiction | exact no].
    + intros o. rewrite endpoints2, notifications2, notifications, !endpoints. destruct (ranked o) as (x & y & z), (ranked e) as (x' & y' & z').
      assert (forall k, In t (receivers (endpoint k st)) -> False) as no_r by (intros k listed; destruct (says_ (InReceivers k) listed)).
      assert (forall k, In t (waiters (notification k st)) -> False) as no_w by (intros k listed; destruct (says_ (InWaiters k) listed)).
      assert (o <> e -> In t (senders (endpoint o st)) -> False) as no_s by (intros other listed; exact (other (says_ (InSenders o) listed))).
      split; [|split]; apply (by_rank_ext (rank one)); try exact ranks.
      * destruct (N.eqb_spec o e) as [->|other]; cbn [andb]; [|exact (stays_ _ (no_s other) x)].
        destruct (endpoint_exists e one) eqn:there; [exact (anew _ x')|]. pose proof (proj1 (missing_endpoint e one there)) as no. rewrite endpoints in no.
        rewrite no. constructor.
      * destruct (_ && _); [exact (stays_ _ (no_r e) y') | exact (stays_ _ (no_r o) y)].
      * exact (stays_ _ (no_w o) z).
  - apply elsewhere. intros o q [<-|[<-|[<-|[]]]] named; exact named.
  - set (f := fun x : Notification => _). destruct (after_notification n f one) as (notifications2 & threads2 & endpoints2 & _).
    assert (waiters (notification n st) <> []) as some
      by (pose proof (stood_ (InWaiters n) eq_refl) as listed; cbn [stands] in listed; intros no; rewrite no in listed; exact listed).
    assert (forall u, rank (change_notification n f one) u = rank one u) as ranks by (intros u; unfold rank; rewrite threads2; reflexivity).
    apply (fit_rebuilt st); [exact ok | exact (notification_live n f one alive) | intros u; rewrite threads2; apply threads | |].
    + intros o. rewrite notifications2, endpoints2, endpoints. split; [exact (ends o)|]. rewrite !notifications.
      destruct (_ && _) eqn:is_n; [|exact (flags_ o)].
      right. destruct (flags_ n) as [no|no]; [contradiction | exact no].
    + intros o. rewrite notifications2, endpoints2, endpoints, !notifications. destruct (ranked o) as (x & y & z), (ranked n) as (x' & y' & z').
      assert (In t (senders (endpoint o st)) -> False) as no_s by (intros listed; destruct (says_ (InSenders o) listed)).
      assert (In t (receivers (endpoint o st)) -> False) as no_r by (intros listed; destruct (says_ (InReceivers o) listed)).
      assert (o <> n -> In t (waiters (notification o st)) -> False) as no_w by (intros other listed; exact (other (says_ (InWaiters o) listed))).
      split; [|split]; apply (by_rank_ext (rank one)); try exact ranks; [exact (stays_ _ no_s x) | exact (stays_ _ no_r y) |].
      destruct (N.eqb_spec o n) as [->|other]; cbn [andb]; [|exact (stays_ _ (no_w other) z)].
      destruct (notification_exists n one) eqn:there; [exact (anew _ z')|]. pose proof (missing_notification n one there) as no. rewrite notifications in no.
      rewrite no. constructor.
Qed.
Lemma apt_of_binding inv : kept_quietly_but but_binding inv (fun _ => True) (fun _ => True) -> kept_quietly_but but_apt inv (fun _ => True) (fun _ => True).
Proof.
  intros quiet. constructor; try (intros; exact I).
  - exact (looks_at_objects quiet).
  - exact (after_unplace quiet).
  - exact (after_place quiet).
  - exact (after_sleeping_anew quiet).
  - intros o x y st there kind change fine. apply (after_put_object quiet o x y st there kind); [|exact fine].
    destruct y, x; try exact change; cbn [object_change] in *; [exact (proj2 (proj2 change)) | exact (proj2 change)].
Qed.
Lemma both_quiet : kept_quietly_but but_apt both (fun _ => True) (fun _ => True).
Proof. exact (both_quietly but_apt _ _ (apt_of_binding _ (waiting_quietly nobody)) fit_quiet). Qed.
Lemma both_kept : kept_but but_apt both (fun _ => True) (fun _ => True).
Proof.
  pose proof (waiting_kept nobody) as w. pose proof fit_kept as f. constructor; try (intros; exact I); try discriminate.
  - intros slot p o c st from fine (x & y). exact (conj (after_insert_child w slot p o c st from fine x) (after_insert_child f slot p o c st from fine y)).
  - intros slot p o c st from fine (x & y). exact (conj (after_insert_sibling w slot p o c st from fine x) (after_insert_sibling f slot p o c st from fine y)).
  - intros u at_ size z slot c st with_it fine_z fine (x & y).
    exact (conj (after_carve w u at_ size z slot c st with_it fine_z fine x) (after_carve f u at_ size z slot c st with_it fine_z fine y)).
  - intros from to st (x & y). exact (conj (after_move_capability w from to st x) (after_move_capability f from to st y)).
  - intros slot c st fine (x & y). exact (conj (after_change_capability w slot c st fine x) (after_change_capability f slot c st fine y)).
Qed.
Lemma both_units {A} remains (work : A -> State -> A * State) (a : A) st : (forall a st, both st -> both (snd (work a st))) ->
  both st -> both (state_of (in_units remains work a st)).
Proof.
  intros each ok. refine (@keeps_in_units _ _ _ _ both_quiet A remains work a _ st ok). intros b before fine. exact (conj I (each b before fine)).
Qed.
Lemma both_replaced slot by_ st : both st -> both (state_of (replace_slot slot by_ st)).
Proof.
  intros ok. unfold replace_slot, delete. pose proof (both_units is_occupied delete_unit slot st both_unit ok) as after.
  destruct (in_units is_occupied delete_unit slot st) as [one|one]; [|exact after]. cbn [state_of and_then] in *. destruct by_ as [(source_ & c)|];
    [|exact after].
  exact (@keeps_insert_copy _ _ _ _ both_quiet both_kept slot source_ c I one after).
Qed.
Lemma both_canceled e b st : both st -> both (state_of (cancel_badged_sends e b st)).
Proof.
  intros ok. unfold cancel_badged_sends.
  assert (both (state_of (in_units (has_sender_with_badge e b) (cancel_unit e b) tt st))) as after.
  { apply both_units; [|exact ok]. intros u before (fine & fit_). unfold cancel_unit. cbn [snd]. destruct (sender_with_badge e b before) as [t|] eqn:found;
    [|exact (conj fine fit_)].
    split; [|exact (apt_restarted _ _ _ t before fit_)]. apply restarted; [exact fine|]. apply List.find_some in found. destruct found as (listed & _).
    apply filter_In in listed. destruct listed as (listed & _).
    apply (waits_on_it (EndpointCap e 0 all_rights) t before fine). apply in_app_iff. left. exact listed. }
  destruct (in_units _ _ _ _) as [one|one]; [|exact after]. cbn [state_of and_then] in *. destruct (_ && _); exact after.
Qed.
Lemma fit_suspended t st : fit st -> fit (suspend t st).
Proof. intros ok. exact (apt_less _ _ _ t _ (apt_suspended _ _ _ t st ok)). Qed.
Lemma fit_suspended_if b t st : fit st -> fit (suspend_if b t st). Proof. intros ok. destruct b; [exact (fit_suspended t st ok) | exact ok]. Qed.
Lemma fit_resumed_if b t st : fit st -> fit (resume_if b t st).
Proof.
  intros ok. destruct b; [|exact ok]. unfold resume_if, resume. destruct (is_running t st) eqn:runs; [exact ok|]. destruct (is_blocked t st) eqn:blocked.
  - pose proof (apt_suspended _ _ _ t st ok) as stopped_.
    exact (apt_less _ _ _ t _ (proj1 (apt_woken _ _ _ t (suspend t st) stopped_ (a_sane _ _ _ _ stopped_ t (or_introl eq_refl))))).
  - refine (proj1 (apt_woken none_of none_of none_of t st ok _)). apply (not_awaiting _ _ _ t st ok (fun no => no)).
    unfold is_running, is_blocked in *. destruct (run_state (thread t st)); try discriminate. exact id.
Qed.
Lemma fit_stops_for_writing t st : fit st -> fit (stop_for_writing t st).
Proof.
  intros ok. unfold stop_for_writing. cbv zeta. pose proof (@keeps_forget_yield _ _ _ _ fit_quiet t st ok) as forgotten.
  change (fit (forget_yield t st)) in forgotten. revert forgotten. generalize (forget_yield t st). clear. intros st ok.
  destruct (is_blocked t st); [|exact ok]. apply apt_still; [intros x; repeat split | exact (fit_suspended t st ok)].
Qed.
Lemma fit_registers t f st : (forall x, exists l, f x = with_registers l x) -> fit st -> fit (change_thread t f st).
Proof.
  intros only. apply apt_still. intros x. destruct (only x) as (l & ->).
  split; [apply rank_of_registers | split; [apply fault_of_registers | apply state_of_registers]].
Qed.
Lemma still_waits m call st : fits m (invoked call) -> valid call st -> waiting nobody st ->
  forallb (fun k => negb (but_binding k)) (links_of m) = false ->
  match decode_method m call st with Perform work => waiting nobody (state_after (work st)) | Refuse _ _ => True end.
Proof. intros type placed_ ok no. destruct (given_method waiting_methods m) as [free|given_]; [congruence | exact (given_ call st type placed_ ok)]. Qed.
Lemma both_progress p : both (state_of p) -> both (state_after match p with Done st => Returns [] st | Preempted st => Stops st end).
Proof. destruct p; exact id. Qed.
Lemma both_methods : operations but_apt both.
Proof.
  constructor; [right; exact both_unit|]. intros m. destruct m; try (left; reflexivity); right; intros call st type placed_ (waits_ & ok).
  all: pose proof (still_waits _ call st type placed_ waits_ eq_refl) as after; revert after; unfold decode_method.
  - unfold tcb_read_registers. cbv zeta. destruct (negb _); [|exact id]. destruct (_ && _); [|exact id]. intros after. split; [exact after|].
    cbn [state_after]. exact (fit_suspended_if _ _ st ok).
  - unfold tcb_write_registers, always. cbv zeta. destruct (_ <=? _); [|exact id]. destruct (_ <=? _); [|exact id]. destruct (negb _); [|exact id].
    intros after. split; [exact after|]. cbn [state_after]. apply fit_resumed_if, fit_registers; [|exact (fit_stops_for_writing _ st ok)].
    intros x. eexists. reflexivity.
  - unfold tcb_copy_registers, thread_argument, always. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact id. destruct (_ && _); [|exact id].
    intros after. split; [exact after|]. cbn [state_after]. apply fit_resumed_if. unfold copy_registers. apply fit_registers; [intros x; eexists; reflexivity|].
    apply fit_stops_for_writing. exact (fit_suspended_if _ _ st ok).
  - unfold tcb_set_priority, thread_argument, always. destruct (argument (cap 0 call)) as [[]|]; try exact id. destruct (_ <=? _); [|exact id].
    intros after. exact (conj after (fit_priority _ _ st ok waits_)).
  - intros _. unfold tcb_set_sched_params, thread_argument, in_progress. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact I.
    destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
    set (t := invoked_thread call).
    assert (both (set_priority t (word 1 call) (change_thread t (fun x => x <| controlled_priority := word 0 call |>) st))) as after.
    { assert (waiting nobody (change_thread t (fun x => x <| controlled_priority := word 0 call |>) st)) as waits1 by (apply quiet_registers;
        [reflexivity | exact waits_]).
      split; [exact (priority_set t _ _ waits1)|]. apply fit_priority; [|exact waits1]. apply apt_still; [intros x; repeat split | exact ok]. }
    assert (forall c st, both st -> both (bind_context c t st)) as binds
      by (intros c before fine; exact (@keeps_bind_context _ _ _ _ both_quiet c t eq_refl before fine)).
    assert (forall c st, both st -> both (unbind_thread_of_context c st)) as unbinds
      by (intros c before fine; exact (@keeps_unbind_thread _ _ _ _ both_quiet c eq_refl before fine)).
    destruct (argument (cap 1 call)) as [[]|]; try exact I.
    + destruct (_ && _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota. revert after.
      generalize (set_priority t (word 1 call) (change_thread t (fun x => x <| controlled_priority := word 0 call |>) st)). intros one after.
      apply both_progress, both_replaced. destruct (context_of t one); [exact after | exact (binds _ _ after)].
    + destruct (negb _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota. revert after.
      generalize (set_priority t (word 1 call) (change_thread t (fun x => x <| controlled_priority := word 0 call |>) st)). intros one after.
      apply both_progress, both_replaced. destruct (context_of t one); [exact (unbinds _ _ after) | exact after].
  - intros after. exact (conj after (fit_suspended (invoked_thread call) st ok)).
  - intros after. exact (conj after (fit_resumed_if true (invoked_thread call) st ok)).
  - intros _. unfold cnode_cancel_badged_sends, slot_in, in_progress, always. destruct (_ && _); [|exact I].
    destruct (slot_under _ _ _ st) as [slot|]; [|exact I].
    destruct (capability_at slot st) as [[]|]; try exact I. destruct (has_all_rights _); [|exact I]. destruct (_ =? _); [exact (conj waits_ ok)|].
    apply both_progress. exact (both_canceled _ _ st (conj waits_ ok)).
Qed.

(** ** System calls *)
Definition goes_fit (t : N) (st : State) : Prop := goes t st /\ fit st.
Lemma goes_fit_quiet t : kept_quietly_but but_apt (goes_fit t) (fun _ => True) (fun _ => True).
Proof. exact (both_quietly but_apt _ _ (apt_of_binding _ (goes_quietly t)) fit_quiet). Qed.
Lemma phase_fit t a m st : goes_fit t st -> both (snd (send_phase t a m st)).
Proof.
  intros ((waits_ & runs) & ok). split; [exact (proj1 (phase_sends t a m st waits_ runs))|]. unfold send_phase.
  destruct (occupied_slot_of_address t a st) as [(slot & c)|report] eqn:found; [|exact ok].
  apply occupied_in_place in found.
  pose proof (proj2 (proj2 (invoke_good _ _ _ _ both_quiet both_kept both_methods t slot c st found (conj waits_ ok)))) as usual. destruct c; try exact usual.
  - destruct (can_write _); [|exact ok].
    pose proof (apt_sent none_of none_of t endpoint badge (can_grant rights) (can_grant_reply rights) (calls_back m) (lends_context m) (waits m) st ok waits_
      runs
      ltac:(intros u [])) as after.
    destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [fst snd] in *; first [exact ok | apply after; discriminate].
  - destruct (can_write _); [exact (fit_signalled _ _ st ok waits_) | exact ok].
  - exact (fit_answered _ _ _ st ok waits_).
  - exact (@keeps_emit _ _ _ _ fit_quiet _ st ok).
Qed.
Lemma restart_goes t st : goes_fit t st -> goes_fit t (change_thread t to_restart st).
Proof.
  intros ((waits_ & runs) & ok). destruct (quiet_thread t to_restart st ltac:(reflexivity) waits_) as (after & same).
  split; [split; [exact after | rewrite (same_state _ _ same); exact runs]|]. apply apt_still; [intros x; repeat split | exact ok].
Qed.
Lemma cap_faulted_fit t a p r st : goes_fit t st -> both (snd (cap_fault t a p r st)).
Proof.
  intros ok. unfold cap_fault. cbn [snd]. destruct (restart_goes t st ok) as ((waits_ & runs) & fit_).
  exact (conj (raised _ _ t _ _ waits_ runs) (fit_raised _ _ t _ _ fit_ waits_ runs)).
Qed.
Lemma unknown_fit t st : goes_fit t st -> both (snd (unknown_system_call t st)).
Proof.
  intros ok. unfold unknown_system_call. cbn [snd]. destruct (restart_goes t st ok) as ((waits_ & runs) & fit_).
  exact (conj (raised _ _ t _ _ waits_ runs) (fit_raised _ _ t _ _ fit_ waits_ runs)).
Qed.
Lemma sends_fit t m st : goes_fit t st -> both (snd (sends t m st)).
Proof.
  intros ok. pose proof ok as ((waits_ & runs) & _). unfold sends, finish_send.
  pose proof (proj2 (phase_sends t (register 0 (thread t st)) m st waits_ runs)) as back. pose proof (phase_fit t (register 0 (thread t st)) m st ok) as after.
  destruct (send_phase _ _ _ _) as ([e d| |x r|] & two); cbn [fst snd] in *.
  - destruct e; exact (@keeps_put_result _ _ _ _ both_quiet t _ _ two after).
  - exact after.
  - rewrite (back x r eq_refl). destruct (faults m); [exact (cap_faulted_fit t x 0 r st ok) |].
    exact (@keeps_put_result _ _ _ _ both_quiet t _ _ st (conj waits_ (proj2 ok))).
  - exact (@keeps_go_back _ _ _ _ both_quiet t two after).
Qed.
Lemma first_refused_fit t e r st : goes_fit t st -> goes_fit t (refuse_first e r st).
Proof.
  intros (goes_ & ok). split; [exact (refused_and_goes t e r st goes_)|]. destruct goes_ as (waits_ & _).
  unfold refuse_first, first_refused. destruct (senders (endpoint e st)) as [|s rest] eqn:queue; [exact ok|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue; left; reflexivity).
  destruct (is_sender nobody e st s waits_ listed) as (b & sg & gr & c & l & state). rewrite state. destruct (_ && _); [exact ok|]. cbv zeta.
  apply (apt_less _ _ _ s), apt_refused. destruct (a_ranked _ _ _ st ok e) as (ranked_s & ranked_r & _).
  apply apt_endpoint; [exact ok | | | exact ranked_r]; cbn [senders receivers set_field setter]; rewrite queue.
  - right. destruct (a_ends _ _ _ st ok e) as [none|none]; [congruence | exact none].
  - rewrite queue in ranked_s. exact (by_rank_tail _ _ _ ranked_s).
Qed.
Lemma early_fit t w first st : goes_fit t st -> goes_fit t (state_of (refuse_early t w first st)).
Proof.
  intros ok. unfold refuse_early. destruct (source_of t w st) as [e r g|n|a r]; try exact ok. destruct (_ && _); [|exact ok].
  refine (@keeps_in_units _ _ _ _ (goes_fit_quiet t) _ _ _ tt _ st ok). intros u before fine. exact (conj I (first_refused_fit t e r before fine)).
Qed.
Lemma both_goes t st : goes_fit t st -> both st. Proof. intros ((waits_ & _) & ok). exact (conj waits_ ok). Qed.
Lemma unless_fit t p rest : goes_fit t (state_of p) -> (forall st, goes_fit t st -> both (snd (rest st))) -> both (snd (unless_preempted t p rest)).
Proof.
  intros ok each. unfold unless_preempted. destruct p as [one|one]; [exact (each _ ok)|]. exact (@keeps_go_back _ _ _ _ both_quiet t one (both_goes t one ok)).
Qed.
Lemma receives_now_fit t w b st : goes_fit t st -> both (snd (receive_now t w b st)).
Proof.
  intros ok. pose proof ok as ((waits_ & runs) & fit_). split; [exact (receives_now t w b st waits_ runs)|]. unfold receive_now.
  destruct (source_of t w st) as [e r g|n|a r]; cbn [snd].
  - exact (fit_receives t e r _ g b st fit_ waits_ runs).
  - exact (fit_waits t n b st fit_ runs).
  - exact (proj2 (cap_faulted_fit t a 1 r st ok)).
Qed.
Lemma phase_receives_fit t w b st : goes_fit t st -> both (snd (receive_phase t w b st)).
Proof. intros ok. exact (unless_fit t _ (receive_now t w b) (early_fit t w _ st ok) (receives_now_fit t w b)). Qed.
Lemma then_receives_fit t w st : both st -> both (snd (then_receive t w st)).
Proof.
  intros ok. unfold then_receive. destruct (negb (thread_exists t st)); [exact ok|]. cbv zeta.
  pose proof (@keeps_becomes _ _ _ _ both_quiet (if w then Syscall.Recv else Syscall.Wait) t st ok) as after.
  change (both (becomes (if w then Syscall.Recv else Syscall.Wait) t st)) in after. revert after.
  generalize (becomes (if w then Syscall.Recv else Syscall.Wait) t st). intros one after.
  assert (both (change_thread t to_restart (forget_yield t one))) as again.
  { pose proof (@keeps_forget_yield _ _ _ _ both_quiet t one after) as (waits_ & fit_).
    split; [exact (proj1 (quiet_thread t to_restart _ ltac:(reflexivity) waits_))|]. apply apt_still; [intros x; repeat split | exact fit_]. }
  destruct (is_running t one) eqn:runs; cbn [andb]; [|exact again]. destruct (negb _); [|exact again].
  apply phase_receives_fit. split; [split; [exact (proj1 after) | apply running_is; exact runs] | exact (proj2 after)].
Qed.
Lemma reply_phase_fit t st : both st -> both (reply_phase t st).
Proof.
  intros (waits_ & ok). split; [exact (reply_phase_waits t st waits_)|]. unfold reply_phase. destruct (occupied_slot_of_address _ _ _) as [(s & [])|];
    try exact ok.
  exact (fit_answered _ _ _ st ok waits_).
Qed.
Lemma passes_fit t w st : goes_fit t st -> both (snd (send_and_receive t w st)).
Proof.
  intros ok. unfold send_and_receive. apply unless_fit; [exact (early_fit t w _ st ok)|]. clear st ok. intros st ok.
  pose proof (phase_fit t (register 8 (thread t st)) passing_on st ok) as after. fold (pass_on t st) in after.
  destruct (pass_on t st) as ([e d| |x r|] & two); cbn [snd] in *; try exact (then_receives_fit t w two after);
    [|exact (@keeps_go_back _ _ _ _ both_quiet t two after)].
  apply then_receives_fit. exact (@keeps_write_long_words _ _ _ _ both_quiet t _ two after).
Qed.
Lemma call_fit s t st : goes_fit t st -> both (snd (run_system_call s t st)).
Proof.
  intros ok. pose proof (both_goes t st ok) as both_. unfold run_system_call. cbv zeta. destruct s;
    first [ exact (sends_fit t _ st ok) | exact (phase_receives_fit t _ _ st ok) | exact (passes_fit t _ st ok)
          | exact (@keeps_yield _ _ _ _ both_quiet t st both_) | exact (@keeps_emit _ _ _ _ both_quiet _ st both_) | idtac ].
  - unfold reply_and_receive. apply unless_fit; [exact (early_fit t true _ st ok)|]. intros before fine.
    apply then_receives_fit, reply_phase_fit. exact (both_goes t before fine).
  - split; [refine (proj1 (quiet_thread t _ st _ (proj1 both_))); reflexivity|]. apply apt_still; [intros x; repeat split | exact (proj2 both_)].
Qed.
Lemma system_call_fit t st : goes_fit t st -> both (snd (system_call t st)).
Proof.
  intros ok. unfold system_call. cbv zeta. destruct (Syscall.of_number _) as [s|]; [|exact (unknown_fit t st ok)].
  destruct (_ && _); [exact (unknown_fit t st ok) | exact (call_fit s t st ok)].
Qed.

(** ** Other events *)
Lemma interrupt_fit irq st : both st -> both (interrupt irq st).
Proof.
  intros (waits_ & ok). split; [exact (interrupts_wait irq st waits_)|]. unfold interrupt. cbv zeta. destruct (interrupts st !! irq) as [i|].
  - assert (fit (if irq =? irq_serror then st else set_mask irq true st)) as usual
      by (destruct (_ =? _); [exact ok | exact (@keeps_set_mask _ _ _ _ fit_quiet irq true st ok)]).
    destruct (capability_at (irq_slot irq) st) as [[]|]; try exact usual.
    apply fit_signalled; destruct (is_held_back irq); first [exact ok | exact waits_ | idtac].
    + exact (@keeps_change_interrupt _ _ _ _ fit_quiet irq _ st ok).
    + exact (@keeps_change_interrupt _ _ _ _ (waiting_quietly nobody) irq _ st waits_).
  - destruct (is_held_back irq); [exact (@keeps_emit _ _ _ _ fit_quiet _ st ok) | exact ok].
Qed.
Lemma times_out_fit t c st : goes_fit t st -> both (time_out t c st).
Proof.
  intros ok. unfold time_out. destruct (capability_at _ st) as [[]|]; try exact (both_goes t st ok).
  destruct (@keeps_report_consumed _ _ _ _ (goes_fit_quiet t) c st ok) as (_ & ((waits_ & runs) & after)). destruct (report_consumed c st) as (used & two).
  cbn [snd] in *. exact (conj (raised _ _ t _ two waits_ runs) (fit_raised _ _ t _ two after waits_ runs)).
Qed.
Lemma budget_fit st : both st -> both (end_budget st).
Proof.
  intros ok. unfold end_budget. cbv zeta. pose proof (@keeps_book_turn _ _ _ _ both_quiet st ok) as booked.
  change (both (book_turn st)) in booked. revert booked. generalize (book_turn st). clear. intros st (waits_ & ok).
  destruct (current_context st) as [c|]; [|exact (conj waits_ ok)]. unfold thread_that_uses.
  destruct (context_thread (context c st)) as [t|]; [|exact (conj waits_ ok)]. destruct (member t (ready st)) eqn:queued; [|exact (conj waits_ ok)].
  destruct (is_used_up c st); [|exact (conj waits_ ok)].
  apply times_out_fit. refine (@keeps_place _ _ _ _ (goes_fit_quiet t) t st (conj (conj waits_ _) ok)). apply (w_runs nobody st waits_), in_app_iff. left.
  apply member_in. exact queued.
Qed.
Lemma faults_fit t c st : goes_fit t st -> both (snd (user_fault t c st)).
Proof.
  intros ok. pose proof ok as ((waits_ & runs) & fit_). split; [exact (faults_wait t c st (conj waits_ runs))|]. unfold user_fault. cbv zeta.
  destruct c; try exact fit_; try exact (fit_raised _ _ t _ st fit_ waits_ runs). unfold debug_event. cbv zeta.
  destruct reason; try exact (fit_raised _ _ t _ st fit_ waits_ runs).
  assert (forall x : Thread, run_state (x <| step_count := step_count x - 1 |>) = run_state x) as keeps_state by reflexivity.
  destruct (quiet_thread t (fun x => x <| step_count := step_count x - 1 |>) st keeps_state waits_) as (after & same).
  assert (fit (change_thread t (fun x => x <| step_count := step_count x - 1 |>) st)) as fit1 by (apply apt_still; [intros x; repeat split | exact fit_]).
  destruct (_ =? _); [|exact fit1]. apply fit_raised; [exact fit1 | exact after | rewrite (same_state _ _ same); exact runs].
Qed.
Lemma handled_fit c st : both st -> (forall t, current st = Some t -> run_state (thread t st) = Running) -> both (snd (handle c st)).
Proof.
  intros ok runs. unfold handle. destruct c, (current st) as [t|]; try exact ok;
    first [ exact (system_call_fit t st (conj (conj (proj1 ok) (runs t eq_refl)) (proj2 ok))) | exact (interrupt_fit _ st ok)
          | exact (faults_fit t _ st (conj (conj (proj1 ok) (runs t eq_refl)) (proj2 ok))) | idtac ].
  all: exact (@keeps_end_turn_if_due _ _ _ _ both_quiet _ (@keeps_wake_sleepers _ _ _ _ both_quiet _ (budget_fit st ok))).
Qed.
Lemma both_field a b : both a -> slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a ->
  sleeping b = sleeping a -> both b.
Proof. intros ok s r o d l. exact (looks_at_objects both_quiet a b s r o d l ok). Qed.
Lemma chosen_fit st : both st -> both (choose_thread st).
Proof.
  intros ok. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (both one) as ok1 by (unfold one; destruct (ends_turn _); [exact (@keeps_end_turn_if_due _ _ _ _ both_quiet st ok) | exact ok]).
  clearbody one. set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (both two) as ok2.
  { unfold two. destruct (_ && _); [exact ok1|]. unfold change_context_in_use. cbv zeta. pose proof (budget_fit one ok1) as ended.
    revert ended. generalize (end_budget one). intros three ok3. set (four := three <| current_context := context_of_first three |>).
    assert (both four) as ok4 by (apply (both_field three); [exact ok3 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
    clearbody four. destruct (context_of_first three) as [c|]; [|exact ok4]. destruct (_ || _); [exact ok4|].
    refine (@keeps_change_context _ _ _ _ both_quiet c _ _ _ four ok4).
    - split; [intros; exact I|]. intros x. symmetry. apply bits_of_begin_use.
    - intros x. discriminate. }
  clearbody two. set (three := two <| current := first_ready two |>).
  assert (both three) as ok3 by (apply (both_field two); [exact ok2 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
  clearbody three. destruct (first_ready two) as [t|]; [|exact ok3].
  refine (@keeps_end_yield_by _ _ _ _ both_quiet report_booked t reports_booked _ three ok3).
  intros c. exact (@keeps_report_booked _ _ _ _ both_quiet c).
Qed.
Lemma step_fit st e : both st -> (forall t, current st = Some t -> In t (ready st)) -> both (fst (fst (step st e))).
Proof.
  intros ok runs. unfold step, finish. destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st (proj1 ok))) as (_ & same).
  pose proof (@keeps_enter _ _ _ _ both_quiet e st ok) as entered. change (both (enter e st)) in entered.
  assert (both (snd (handle (cause e) (enter e st)))) as after.
  { apply handled_fit; [exact entered|]. intros t is_cur. rewrite (same_state _ _ same). apply (w_runs nobody st (proj1 ok)), in_app_iff. left. apply runs.
    rewrite <- is_cur. unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur;
      [|exact (eq_sym cur)].
    unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact (eq_sym cur). }
  destruct (handle (cause e) (enter e st)) as (result & two). cbn [fst snd] in *.
  exact (@keeps_leave _ _ _ _ both_quiet _ (chosen_fit two after)).
Qed.

(** ** Boot *)
Lemma fit_at_start p : roots_are_apart p -> fit (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros apart. pose proof (waiting_at_start p apart) as waits_. set (start := put_root_objects p (nothing_yet (boot_machine p))) in *.
  pose proof (proj1 (roots_change_slots p start)) as objs. cbv zeta in objs. set (after := insert_roots p start) in *.
  assert (forall o, endpoint o after = {| senders := []; receivers := [] |} /\ notification o after = idle_notification /\ fault (thread o after) = None) as
    bare.
  { intros o. unfold endpoint, notification, thread. rewrite objs. unfold start. rewrite root_objects, !find_set.
    change (objects (nothing_yet (boot_machine p))) with (@empty Object). rewrite find_empty.
    repeat match goal with |- context [?a =? ?b] => destruct (a =? b) end; repeat split. }
  constructor; [exact (w_live nobody _ waits_) | | intros t [] | | |]; intros o; destruct (bare o) as (e & n & f); rewrite ?e, ?n, ?f.
  - intros _ some. contradiction some. reflexivity.
  - left. reflexivity.
  - intros _. left. reflexivity.
  - repeat split; constructor.
Qed.
Lemma boot_fit p : roots_are_apart p -> both (boot p).
Proof.
  intros apart. unfold boot. cbv zeta. pose proof (conj (waiting_at_start p apart) (fit_at_start p apart)) as start. revert start.
  generalize (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))). intros st ok.
  pose proof (fun i k => @keeps_copy_to_thread _ _ _ _ both_quiet both_kept p i k) as copies.
  pose proof (copies InitSlot.IPCBuffer buffer_slot _ (copies InitSlot.VSpace vspace_slot _ (copies InitSlot.CNode cspace_slot st ok))) as one.
  revert one. generalize (copy_to_thread p InitSlot.IPCBuffer buffer_slot (copy_to_thread p InitSlot.VSpace vspace_slot (copy_to_thread p InitSlot.CNode
    cspace_slot st))).
  intros two ok2. apply (@keeps_leave _ _ _ _ both_quiet), chosen_fit, (@keeps_bind_context _ _ _ _ both_quiet _ _ eq_refl).
  refine (@keeps_change_context _ _ _ _ both_quiet _ _ _ _ two ok2).
  - split; [intros; exact I | reflexivity].
  - intros x. discriminate.
Qed.
Theorem reachable_fit p st : roots_are_apart p -> reachable step p st -> both st.
Proof.
  intros apart reached. induction reached as [|st e reached IH]; [exact (boot_fit p apart)|]. apply step_fit; [exact IH|].
  intros t is_cur. destruct (states_are_settled_proved p st reached) as [first _ _ _]. rewrite first in is_cur. unfold first_ready in is_cur.
  apply List.find_some in is_cur. exact (proj1 is_cur).
Qed.
