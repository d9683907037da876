(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Who waits: what ends, methods, and the step

    Before an object goes nobody waits on it; a thread that ends stops waiting. So in every state that can be reached who waits stands where it says. *)
From Coq Require Import Lia.
From Spec Require Export ErrorProofs MeetProofs.
Open Scope N_scope.

(** ** What ends *)
Definition unawaited (o : N) (st : State) : Prop :=
  run_state (thread o st) = Inactive /\ endpoint o st = {| senders := []; receivers := [] |} /\ waiters (notification o st) = []
  /\ caller (reply o st) = None /\ receiver (reply o st) = None.
Definition nobody_waits_on (c : Capability) (st : State) : Prop :=
  match c with
  | EndpointCap e _ _ => senders (endpoint e st) = [] /\ receivers (endpoint e st) = []
  | NotificationCap n _ _ => waiters (notification n st) = []
  | ReplyCap r _ => caller (reply r st) = None /\ receiver (reply r st) = None
  | TCBCap t => run_state (thread t st) = Inactive
  | _ => True
  end.
Lemma refers_to s c o st : all_live st -> capability_at s st = Some c -> object_of c = Some o -> exists x, objects st !! o = Some x /\ fits_object c x.
Proof. intros (_ & alive) there names. apply (refers _ _ alive s c o); [rewrite <- capability_at_in; exact there | exact names]. Qed.
Lemma unawaited_by_kind s c o st : waiting nobody st -> capability_at s st = Some c -> object_of c = Some o -> nobody_waits_on c st -> unawaited o st.
Proof.
  intros ok there names ends. destruct (refers_to s c o st (w_live nobody st ok) there names) as (x & found & kind).
  pose proof (fun z => w_zombies nobody st ok s z) as zombies. unfold unawaited, nobody_waits_on, thread, endpoint, notification, reply in *. clear ok.
  destruct c; cbn [object_of referent] in names; try discriminate names; injection names as ->; destruct x; try discriminate kind;
    try specialize (zombies o there); rewrite ?found in *; repeat split; try reflexivity; try exact ends; try exact zombies; try apply ends.
  destruct endpoint as [q l]. cbn in ends. destruct ends as (-> & ->). reflexivity.
Qed.
Lemma removed_same_waits o st after : unawaited o st -> objects after = remove o (objects st) -> same_waits st after.
Proof.
  intros (inactive & empty_ & none & no_c & no_r) same. constructor; intros o'; unfold thread, endpoint, notification, reply; rewrite same, find_remove;
    read_put o' o; try reflexivity; symmetry; assumption.
Qed.
Lemma waiting_discard s st : waiting nobody st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> unawaited o st) -> waiting nobody (discard s st).
Proof.
  intros ok free. pose proof (after_discard live_is_kept s st eq_refl (w_live nobody st ok)) as alive. revert alive. unfold discard.
  destruct (capability_at s st) as [c|] eqn:there; [|intros _; exact ok].
  assert (forall j o, capability_at j (remove_capability s st) = Some (ZombieCap o) -> exists k, capability_at k st = Some (ZombieCap o)) as fewer.
  { intros j o. rewrite !capability_at_in, in_remove_capability. destruct (j =? s); [discriminate|]. intros zombie. exists j.
    rewrite capability_at_in. exact zombie. }
  assert (ready (remove_capability s st) = ready st /\ sleeping (remove_capability s st) = sleeping st) as (same_ready & same_sleeping)
    by (rewrite (remove_capability_same s st); split; reflexivity).
  assert (all_live (remove_capability s st) -> waiting nobody (remove_capability s st)) as only_slots.
  { intros alive. apply (waiting_same nobody st); [exact alive | apply same_waits_objects, objects_of_remove_capability | exact fewer | | exact ok].
    intros t. rewrite same_ready, same_sleeping. intros listed. left. exact listed. }
  destruct (object_of c) as [o|] eqn:names; [destruct (is_zombie c || is_last c st) eqn:last|]; intros alive; try exact (only_slots alive).
  apply (waiting_same nobody st); [exact alive | | exact fewer | | exact ok].
  - apply (removed_same_waits o); [exact (free c o eq_refl names last)|].
    change (objects (remove_object o (remove_capability s st))) with (remove o (objects (remove_capability s st))).
    rewrite objects_of_remove_capability. reflexivity.
  - intros t. change (In t (ready (remove_capability s st) ++ sleeping (remove_capability s st)) ->
    In t (ready st ++ sleeping st) \/ run_state (thread t st) = Running).
    rewrite same_ready, same_sleeping. intros listed. left. exact listed.
Qed.
Lemma waiting_make_zombie s st : waiting nobody st -> (forall t, capability_at s st = Some (TCBCap t) -> unawaited t st) -> waiting nobody (make_zombie s st).
Proof.
  intros ok free. pose proof (after_make_zombie live_is_kept s st eq_refl (fun _ _ _ _ => I) (w_live nobody st ok)) as alive. revert alive.
  unfold make_zombie. destruct (slots st !! s) as [e|] eqn:there; [|intros _; exact (@keeps_emit _ _ _ _ (waiting_quietly nobody) Stuck st ok)].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|intros _; exact (@keeps_emit _ _ _ _ (waiting_quietly nobody) Stuck st ok)].
  intros alive. pose proof (replace_capability_same s e (ZombieCap o) st) as blind.
  assert (objects (replace_capability s e (ZombieCap o) st) = objects st /\ ready (replace_capability s e (ZombieCap o) st) = ready st
          /\ sleeping (replace_capability s e (ZombieCap o) st) = sleeping st) as (same & same_ready & same_sleeping) by (rewrite blind; repeat split).
  pose proof (same_waits_objects st _ same) as waits. constructor; [exact alive | | | | |].
  - intros t p. rewrite (same_stands _ _ waits), (same_state _ _ waits). apply (w_stands nobody st ok).
  - intros k. rewrite (same_endpoint _ _ waits), (same_waiters _ _ waits). apply (w_once nobody st ok).
  - intros r. rewrite (same_caller _ _ waits), (same_receiver _ _ waits). apply (w_one nobody st ok).
  - intros j z. rewrite (same_state _ _ waits), capability_at_in, (in_replace s e _ st j there). destruct (N.eqb_spec j s) as [->|];
      [|rewrite <- capability_at_in; apply (w_zombies nobody st ok)].
    intros names. injection names as <-. assert (capability_at s st = Some (capability e)) as at_s by (unfold capability_at; rewrite there; reflexivity).
    destruct (container_spec _ _ _ container) as (named & _). destruct (capability e) eqn:is_it; try discriminate container.
    + exact (proj1 (unawaited_by_kind s _ o st ok at_s named I)).
    + cbn [object_of referent] in named. injection named as ->. exact (proj1 (free o at_s)).
    + exact (proj1 (unawaited_by_kind s _ o st ok at_s named I)).
  - intros t. rewrite same_ready, same_sleeping, (same_state _ _ waits). apply (w_runs nobody st ok).
Qed.
Lemma waiting_end_thread s t st : waiting nobody st -> capability_at s st = Some (TCBCap t) -> waiting nobody (end_thread t st)
  /\ unawaited t (end_thread t st).
Proof.
  intros ok there. pose proof (capability_same s st _ (proj1 (end_thread_tables t st))) as same_cap. rewrite there in same_cap.
  assert (waiting nobody (end_thread t st) /\ run_state (thread t (end_thread t st)) = Inactive) as (after & inactive);
    [|split; [exact after | exact (unawaited_by_kind s (TCBCap t) t _ after same_cap eq_refl inactive)]].
  unfold end_thread. cbv zeta. destruct (suspended t st ok) as (stopped_ & inactive). revert stopped_ inactive. generalize (suspend t st). clear.
    intros st ok inactive.
  set (one := match bound_notification (thread t st) with Some n => unbind_notification t n st | None => st end).
  assert (still nobody st one) as (after & same).
  { unfold one. destruct (bound_notification (thread t st)) as [n|]; [|exact (still_start nobody st ok)].
    exact (@keeps_unbind_notification _ _ _ _ (still_quietly nobody st) t n eq_refl st (still_start nobody st ok)). }
  clearbody one. destruct (context_of t one) as [c|]; [|split; [exact after | rewrite (same_state _ _ same); exact inactive]].
  destruct (@keeps_unbind_thread _ _ _ _ (still_quietly nobody one) c eq_refl one (still_start nobody one after)) as (last_ & alike).
  split; [exact last_|]. rewrite (same_state _ _ alike), (same_state _ _ same). exact inactive.
Qed.
Lemma waiting_let_go s c st : waiting nobody st -> capability_at s st = Some c -> container_of c st = None ->
  (waiting_on c st = [] \/ is_last c st = false) -> waiting nobody (let_go c st)
    /\ (is_last c st = true -> forall o, object_of c = Some o -> unawaited o (let_go c st)).
Proof.
  intros ok there none alone_. pose proof (capability_same s st _ (proj1 (let_go_tables c st))) as same_cap. rewrite there in same_cap.
  assert (waiting nobody (let_go c st) /\ (is_last c st = true -> nobody_waits_on c (let_go c st))) as (after & ends);
    [|split; [exact after | intros last o names; exact (unawaited_by_kind s c o _ after same_cap names (ends last))]].
  unfold let_go. pose proof (still_start nobody st ok) as start. destruct c; try (split; [exact ok | intros; exact I]).
  - split; [exact ok|]. intros last. destruct alone_ as [nobody_|no]; [|congruence]. cbn [waiting_on] in nobody_. apply app_eq_nil in nobody_. exact nobody_.
  - destruct (is_last _ st) eqn:last; [|split; [exact ok | discriminate]].
    destruct (@keeps_end_notification _ _ _ _ (still_quietly nobody st) notification eq_refl eq_refl st start) as (after & same).
    split; [exact after|]. intros _. cbn [nobody_waits_on]. rewrite (same_waiters _ _ same). destruct alone_ as [nobody_|no]; [exact nobody_ | congruence].
  - destruct (is_last _ st); [|split; [exact ok | discriminate]]. destruct (reply_freed reply st ok) as (after & unused & _).
    split; [exact after|]. intros _. cbn [nobody_waits_on]. rewrite unused. split; reflexivity.
  - unfold container_of in none. destruct (is_last (TCBCap thread) st) eqn:last; [discriminate|]. split; [exact ok | discriminate].
  - destruct (is_last _ st); (split; [|intros; exact I]);
      [exact (@keeps_end_context _ _ _ _ (waiting_quietly nobody) context eq_refl eq_refl st ok) | exact ok].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_release_asid _ _ _ _ (waiting_quietly nobody) vspace asid st ok) | exact ok].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_unmap_table _ _ _ _ (waiting_quietly nobody) table place st ok) | exact ok].
  - split; [exact (@keeps_unmap_frame _ _ _ _ (waiting_quietly nobody) base size_bits place st ok) | intros; exact I].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_release_pool _ _ _ _ (waiting_quietly nobody) pool st ok) | exact ok].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_end_interrupt _ _ _ _ (waiting_quietly nobody) irq eq_refl st ok) | exact ok].
Qed.
Lemma waits_on_it c t st : waiting nobody st -> In t (waiting_on c st) -> not_zombie t st.
Proof.
  intros ok listed. apply (awake nobody t st ok). destruct c; try contradiction; cbn [waiting_on] in listed.
  - apply in_app_iff in listed. destruct listed as [listed|listed].
    + destruct (proj1 (w_stands nobody st ok t (InSenders endpoint)) listed) as (_ & named). intros no. rewrite no in named. exact named.
    + destruct (proj1 (w_stands nobody st ok t (InReceivers endpoint)) listed) as (_ & named). intros no. rewrite no in named. exact named.
  - destruct (proj1 (w_stands nobody st ok t (InWaiters notification)) listed) as (_ & named). intros no. rewrite no in named. exact named.
Qed.
Lemma waiting_unit anchor st : waiting nobody st -> waiting nobody (snd (delete_unit anchor st)).
Proof.
  apply (unit_kept (waiting nobody) unawaited).
  - intros s o before ok zombie. exact (unawaited_by_kind s _ o before ok zombie eq_refl I).
  - exact waiting_discard.
  - exact (after_move_capability (waiting_kept nobody)).
  - exact waiting_make_zombie.
  - exact waiting_end_thread.
  - exact waiting_let_go.
  - intros s c t before ok _ listed. exact (restarted t before ok (waits_on_it c t before ok listed)).
  - intros v a before ok. exact (@keeps_release_asid _ _ _ _ (waiting_quietly nobody) v a before ok).
Qed.

(** ** Methods *)
Lemma holds_no_zombie s t st : waiting nobody st -> capability_at s st = Some (TCBCap t) -> not_zombie t st.
Proof.
  intros ok there j zombie. destruct (w_live nobody st ok) as (_ & alive). rewrite capability_at_in in zombie. pose proof there as here.
    rewrite capability_at_in in here.
  pose proof (alone _ _ alive j s _ t zombie here eq_refl) as is_j. subst s. congruence.
Qed.
Lemma suspended_if b t st : waiting nobody st -> waiting nobody (suspend_if b t st) /\ slots (suspend_if b t st) = slots st.
Proof. intros ok. destruct b; [split; [exact (proj1 (suspended t st ok)) | apply slots_of_suspend] | split; [exact ok | reflexivity]]. Qed.
Lemma resumes t st : waiting nobody st -> not_zombie t st -> waiting nobody (resume t st).
Proof.
  intros ok alive. unfold resume. destruct (is_running t st) eqn:runs; [exact ok|]. destruct (is_blocked t st) eqn:blocked;
    [exact (resumed_anyhow t st ok alive)|].
  cbn [suspend_if]. apply (wakes nobody); [exact ok | | exact alive | intros; reflexivity]. intros p named. exfalso.
  unfold is_blocked, is_running in *. destruct (run_state (thread t st)); try discriminate. exact named.
Qed.
Lemma resumes_if b t st : waiting nobody st -> not_zombie t st -> waiting nobody (resume_if b t st).
Proof. intros ok alive. destruct b; [exact (resumes t st ok alive) | exact ok]. Qed.
Lemma stops_for_writing t st : waiting nobody st -> waiting nobody (stop_for_writing t st) /\ slots (stop_for_writing t st) = slots st.
Proof.
  intros ok. unfold stop_for_writing. cbv zeta. pose proof (@keeps_forget_yield _ _ _ _ (waiting_quietly nobody) t st ok) as forgotten.
  change (waiting nobody (forget_yield t st)) in forgotten.
  pose proof (@keeps_forget_yield _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) t st (conj eq_refl eq_refl)) as (same & _).
  rewrite <- same. revert forgotten. generalize (forget_yield t st). clear. intros st ok.
  destruct (is_blocked t st); [|split; [exact ok | reflexivity]]. split.
  - apply quiet_registers; [reflexivity | exact (proj1 (suspended t st ok))].
  - rewrite (proj1 (thread_frame t _ (suspend t st))). apply slots_of_suspend.
Qed.
Lemma requeued (insert : N -> list N -> State -> list N) t l before : inserts insert -> In t l -> forall u, In u (insert t (without t l) before) <-> In u l.
Proof.
  intros inserting listed u. rewrite (in_inserted insert t _ _ u inserting), in_without. destruct (N.eq_dec u t) as [->|]; tauto.
Qed.
Lemma priority_set t p st : waiting nobody st -> waiting nobody (set_priority t p st).
Proof.
  intros ok. unfold set_priority. cbv zeta. set (one := change_thread t (fun x => x <| priority := p |>) st).
  assert (waiting nobody one) as after by (apply quiet_registers; [reflexivity | exact ok]). clearbody one. clear ok st. rename one into st.
  pose proof (fun u q => w_stands nobody st after u q) as stands_. pose proof (fun o => w_once nobody st after o) as once.
  assert (forall l, NoDup l -> In t l -> NoDup (insert_behind t (without t l) st)) as again.
  { intros l once_ listed. apply inserted_once; [exact behind_inserts | apply once_without; exact once_|]. rewrite in_without. tauto. }
  destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n] eqn:state; try exact after.
  - destruct (member t (sleeping st)) eqn:sleeps; [exact (after_sleeping_anew (waiting_quietly nobody) t st sleeps after)|].
    exact (@keeps_place_anew _ _ _ _ (waiting_quietly nobody) t st after).
  - assert (In t (receivers (endpoint e st))) as listed by (apply (stands_ t (InReceivers e)); rewrite state; split; [exact id | destruct r; reflexivity]).
    destruct (once e) as (once_s & once_r & _). apply (repost_endpoint nobody);
      [exact after | | exact once_s | exact (again _ once_r listed) | | | reflexivity].
    + left. destruct (endpoint_exists e st) eqn:there; [reflexivity|]. rewrite (proj2 (missing_endpoint e st there)) in listed. destruct listed.
    + intros u. exact (stands_ u (InSenders e)).
    + intros u. refine (iff_trans _ (stands_ u (InReceivers e))). exact (requeued insert_behind t _ st behind_inserts listed u).
  - assert (In t (senders (endpoint e st))) as listed by (apply (stands_ t (InSenders e)); rewrite state; split; [exact id | reflexivity]).
    destruct (once e) as (once_s & once_r & _). apply (repost_endpoint nobody);
      [exact after | | exact (again _ once_s listed) | exact once_r | | | reflexivity].
    + left. destruct (endpoint_exists e st) eqn:there; [reflexivity|]. rewrite (proj1 (missing_endpoint e st there)) in listed. destruct listed.
    + intros u. refine (iff_trans _ (stands_ u (InSenders e))). exact (requeued insert_behind t _ st behind_inserts listed u).
    + intros u. exact (stands_ u (InReceivers e)).
  - assert (In t (waiters (notification n st))) as listed by (apply (stands_ t (InWaiters n)); rewrite state; split; [exact id | reflexivity]).
    destruct (once n) as (_ & _ & once_w). apply (repost_notification nobody); [exact after | | exact (again _ once_w listed) | | reflexivity].
    + left. destruct (notification_exists n st) eqn:there; [reflexivity|]. rewrite (missing_notification n st there) in listed. destruct listed.
    + intros u. refine (iff_trans _ (stands_ u (InWaiters n))). exact (requeued insert_behind t _ st behind_inserts listed u).
Qed.
Lemma units_wait {A} remains (work : A -> State -> A * State) (a : A) st : (forall a st, waiting nobody st -> waiting nobody (snd (work a st))) ->
  waiting nobody st -> waiting nobody (state_of (in_units remains work a st)).
Proof.
  intros each ok. refine (@keeps_in_units _ _ _ _ (waiting_quietly nobody) A remains work a _ st ok). intros b before fine.
    exact (conj I (each b before fine)).
Qed.
Lemma slot_replaced slot by_ st : waiting nobody st -> waiting nobody (state_of (replace_slot slot by_ st)).
Proof.
  intros ok. unfold replace_slot, delete. pose proof (units_wait is_occupied delete_unit slot st waiting_unit ok) as after.
  destruct (in_units is_occupied delete_unit slot st) as [one|one]; [|exact after]. cbn [state_of and_then] in *. destruct by_ as [(source_ & c)|];
    [|exact after].
  exact (@keeps_insert_copy _ _ _ _ (waiting_quietly nobody) (waiting_kept nobody) slot source_ c I one after).
Qed.
Lemma canceled e b st : waiting nobody st -> waiting nobody (state_of (cancel_badged_sends e b st)).
Proof.
  intros ok. unfold cancel_badged_sends.
  assert (waiting nobody (state_of (in_units (has_sender_with_badge e b) (cancel_unit e b) tt st))) as after.
  { apply units_wait; [|exact ok]. intros u before fine. unfold cancel_unit. cbn [snd]. destruct (sender_with_badge e b before) as [t|] eqn:found;
    [|exact fine].
    apply restarted; [exact fine|]. apply List.find_some in found. destruct found as (listed & _). apply filter_In in listed. destruct listed as (listed & _).
    apply (waits_on_it (EndpointCap e 0 all_rights) t before fine). apply in_app_iff. left. exact listed. }
  destruct (in_units _ _ _ _) as [one|one]; [|exact after]. cbn [state_of and_then] in *. destruct (_ && _); exact after.
Qed.
Lemma invoked_lives call st : waiting nobody st -> CapType.number CapType.TCB = CapType.number (cap_type (invoked call)) ->
  capability_at (invoked_slot call) st = Some (invoked call) -> not_zombie (invoked_thread call) st.
Proof.
  intros ok type there. unfold invoked_thread. destruct (invoked call); try discriminate type. exact (holds_no_zombie _ _ st ok there).
Qed.
Lemma after_progress p : waiting nobody (state_of p) -> waiting nobody (state_after match p with Done st => Returns [] st | Preempted st => Stops st end).
Proof. destruct p; exact id. Qed.
Lemma waiting_methods : operations but_binding (waiting nobody).
Proof.
  constructor; [right; exact waiting_unit|]. intros m. destruct m; try (left; reflexivity); right; intros call st type (there & placed) ok;
    unfold decode_method.
  all: unfold fits in type.
  - unfold tcb_read_registers. cbv zeta. destruct (negb _); [|exact I]. destruct (_ && _); [|exact I]. exact (proj1 (suspended_if _ _ st ok)).
  - pose proof (invoked_lives call st ok type there) as alive. unfold tcb_write_registers, always. cbv zeta.
    destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I]. destruct (negb _); [|exact I]. cbn [state_after].
    destruct (stops_for_writing (invoked_thread call) st ok) as (after & same). apply resumes_if.
    + apply quiet_registers; [intros x; apply state_of_registers | exact after].
    + apply (not_zombie_same _ st); [|exact alive]. rewrite (proj1 (thread_frame _ _ (stop_for_writing (invoked_thread call) st))). exact same.
  - pose proof (invoked_lives call st ok type there) as alive. unfold tcb_copy_registers, thread_argument, always. cbv zeta.
    destruct (argument (cap 0 call)) as [[]|]; try exact I. destruct (_ && _); [|exact I]. cbn [state_after].
    destruct (suspended_if (named 0 (word 0 call)) thread st ok) as (one & same). destruct (stops_for_writing (invoked_thread call) _ one) as (two & same2).
    apply resumes_if.
    + unfold copy_registers. apply quiet_registers; [intros x; apply state_of_registers | exact two].
    + apply (not_zombie_same _ st); [|exact alive]. unfold copy_registers. rewrite (proj1 (thread_frame _ _ (stop_for_writing _ _))), same2. exact same.
  - unfold tcb_set_priority, thread_argument, always. destruct (argument (cap 0 call)) as [[]|]; try exact I. destruct (_ <=? _); [|exact I].
    exact (priority_set _ _ st ok).
  - unfold tcb_set_sched_params, thread_argument, in_progress. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact I.
    destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
    set (t := invoked_thread call).
    assert (waiting nobody (set_priority t (word 1 call) (change_thread t (fun x => x <| controlled_priority := word 0 call |>) st))) as after
      by (apply priority_set, quiet_registers; [reflexivity | exact ok]).
    assert (forall c st, waiting nobody st -> waiting nobody (bind_context c t st)) as binds
      by (intros c before fine; exact (@keeps_bind_context _ _ _ _ (waiting_quietly nobody) c t eq_refl before fine)).
    assert (forall c st, waiting nobody st -> waiting nobody (unbind_thread_of_context c st)) as unbinds
      by (intros c before fine; exact (@keeps_unbind_thread _ _ _ _ (waiting_quietly nobody) c eq_refl before fine)).
    destruct (argument (cap 1 call)) as [[]|]; try exact I.
    + destruct (_ && _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota. revert after.
      generalize (set_priority t (word 1 call) (change_thread t (fun x => x <| controlled_priority := word 0 call |>) st)). intros one after.
      apply after_progress, slot_replaced. destruct (context_of t one); [exact after | exact (binds _ _ after)].
    + destruct (negb _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota. revert after.
      generalize (set_priority t (word 1 call) (change_thread t (fun x => x <| controlled_priority := word 0 call |>) st)). intros one after.
      apply after_progress, slot_replaced. destruct (context_of t one); [exact (unbinds _ _ after) | exact after].
  - exact (proj1 (suspended (invoked_thread call) st ok)).
  - exact (resumes (invoked_thread call) st ok (invoked_lives call st ok type there)).
  - unfold cnode_cancel_badged_sends, slot_in, in_progress, always. destruct (_ && _); [|exact I]. destruct (slot_under _ _ _ st) as [slot|]; [|exact I].
    destruct (capability_at slot st) as [[]|]; try exact I. destruct (has_all_rights _); [|exact I]. destruct (_ =? _); [exact ok|].
    apply after_progress. exact (canceled _ _ st ok).
Qed.

(** ** System calls *)
Lemma endpoint_there s e b r st : waiting nobody st -> capability_at s st = Some (EndpointCap e b r) -> endpoint_exists e st = true.
Proof.
  intros ok there. destruct (refers_to s _ e st (w_live nobody st ok) there eq_refl) as (x & found & kind). unfold endpoint_exists. rewrite found.
  destruct x; try discriminate kind. reflexivity.
Qed.
Lemma notification_is_there s e b r st : waiting nobody st -> capability_at s st = Some (NotificationCap e b r) -> notification_exists e st = true.
Proof.
  intros ok there. destruct (refers_to s _ e st (w_live nobody st ok) there eq_refl) as (x & found & kind). unfold notification_exists. rewrite found.
  destruct x; try discriminate kind. reflexivity.
Qed.
Lemma reply_there s e r st : waiting nobody st -> capability_at s st = Some (ReplyCap e r) -> reply_exists e st = true.
Proof.
  intros ok there. destruct (refers_to s _ e st (w_live nobody st ok) there eq_refl) as (x & found & kind). unfold reply_exists. rewrite found.
  destruct x; try discriminate kind. reflexivity.
Qed.
Lemma invoked_waits t slot c st : waiting nobody st -> capability_at slot st = Some c ->
  waiting nobody (snd (invoke t slot c st)) /\ forall a r, fst (invoke t slot c st) = LookupFault a r -> snd (invoke t slot c st) = st.
Proof.
  intros ok there. split; [exact (proj2 (invoke_good _ _ _ _ (waiting_quietly nobody) (waiting_kept nobody) waiting_methods t slot c st there ok))|].
  intros a r. unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [l|(x & y)]; [|reflexivity].
  destruct (decide _ _ _ _ _ _) as [|work]; [reflexivity|]. destruct (work st); discriminate.
Qed.
Lemma phase_sends t a m st : waiting nobody st -> run_state (thread t st) = Running ->
  waiting nobody (snd (send_phase t a m st)) /\ forall x r, fst (send_phase t a m st) = LookupFault x r -> snd (send_phase t a m st) = st.
Proof.
  intros ok runs. unfold send_phase. destruct (occupied_slot_of_address t a st) as [(slot & c)|report] eqn:found; [|split; [exact ok | reflexivity]].
  apply occupied_in_place in found. pose proof (invoked_waits t slot c st ok found) as usual. destruct c; try exact usual.
  - destruct (can_write _); [|split; [exact ok | reflexivity]]. pose proof (proj1 (sent t endpoint badge (can_grant rights) (can_grant_reply rights)
      (calls_back m) (lends_context m) (waits m) st ok runs (endpoint_there slot _ _ _ st ok found))) as after.
    destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [fst snd] in *; (split; [first [exact after | exact ok]|]); try discriminate.
    destruct (calls_back m); discriminate.
  - destruct (can_write _); [|split; [exact ok | reflexivity]]. split; [exact (signalled _ _ st ok) | discriminate].
  - split; [exact (answered _ _ _ st ok) | discriminate].
  - split; [exact (@keeps_emit _ _ _ _ (waiting_quietly nobody) _ st ok) | discriminate].
Qed.
Lemma quiet_thread t f st : (forall x, run_state (f x) = run_state x) -> waiting nobody st -> still nobody st (change_thread t f st).
Proof.
  intros same ok. refine (@keeps_change_thread _ _ _ _ (still_quietly nobody st) t f _ st (still_start nobody st ok)). intros x. split;
    [discriminate | intros _; apply same].
Qed.
Lemma cap_faulted t a p r st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (snd (cap_fault t a p r st)).
Proof.
  intros ok runs. unfold cap_fault. cbn [snd]. destruct (quiet_thread t to_restart st ltac:(reflexivity) ok) as (after & same).
  apply raised; [exact after | rewrite (same_state _ _ same); exact runs].
Qed.
Lemma call_unknown t st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (snd (unknown_system_call t st)).
Proof.
  intros ok runs. unfold unknown_system_call. cbn [snd]. destruct (quiet_thread t to_restart st ltac:(reflexivity) ok) as (after & same).
  apply raised; [exact after | rewrite (same_state _ _ same); exact runs].
Qed.
Lemma result_put t e l st : waiting nobody st -> waiting nobody (put_result t e l st).
Proof. exact (@keeps_put_result _ _ _ _ (waiting_quietly nobody) t e l st). Qed.
Lemma gone_back t st : waiting nobody st -> waiting nobody (go_back t st).
Proof. exact (@keeps_go_back _ _ _ _ (waiting_quietly nobody) t st). Qed.
Lemma sends_wait t m st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (snd (sends t m st)).
Proof.
  intros ok runs. unfold sends, finish_send. destruct (phase_sends t (register 0 (thread t st)) m st ok runs) as (after & back).
  destruct (send_phase _ _ _ _) as ([e d| |x r|] & two); cbn [fst snd] in *.
  - destruct e; apply result_put; exact after.
  - exact after.
  - rewrite (back x r eq_refl). destruct (faults m); [exact (cap_faulted t x 0 r st ok runs) | apply result_put; exact ok].
  - apply gone_back. exact after.
Qed.

(** Senders that are refused early: who runs goes on. *)
Definition goes (t : N) (st : State) : Prop := waiting nobody st /\ run_state (thread t st) = Running.
Lemma goes_quietly t : kept_quietly_but but_binding (goes t) (fun _ => True) (fun _ => True).
Proof.
  apply both_quietly; [exact (waiting_quietly nobody)|]. constructor; try (intros; exact I).
  - intros a b _ _ same _ _ ok. unfold thread in *. rewrite same. exact ok.
  - intros u st ok. exact ok.
  - intros insert u st _ ok. unfold thread in *. rewrite (proj2 (proj2 (place_by_same insert u st))). exact ok.
  - intros u st _ ok. exact ok.
  - intros o x y st there same change _ ok. rewrite (same_state _ _ (put_same_waits o x y st there same change)). exact ok.
Qed.
Lemma refused_and_goes t e r st : goes t st -> goes t (refuse_first e r st).
Proof.
  intros (ok & runs). split; [exact (first_is_refused e r st ok)|].
  unfold refuse_first, first_refused. destruct (senders (endpoint e st)) as [|s rest] eqn:queue; [exact runs|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue; left; reflexivity).
  destruct (is_sender nobody e st s ok listed) as (b & sg & gr & c & l & state). rewrite state. destruct (_ && _); [exact runs|]. cbv zeta.
  set (one := change_endpoint e _ st). assert (run_state (thread t one) = Running) as runs1 by (unfold one; rewrite only_threads; exact runs).
  assert (t <> s) as other by congruence. unfold refuse_sender. destruct (fault (thread s one)).
  - rewrite (other_state _ _ _ (thread_same_but s _ one) t other). exact runs1.
  - rewrite (other_state _ _ _ (proj1 (wake_same_but s (set_error_result Error.NoDonation s one))) t other).
    change (set_error_result Error.NoDonation s one) with (change_thread s (with_error_result Error.NoDonation []) one).
    rewrite (other_state _ _ _ (thread_same_but s _ one) t other). exact runs1.
Qed.
Lemma refused_early t w first st : goes t st -> goes t (state_of (refuse_early t w first st)).
Proof.
  intros ok. unfold refuse_early. destruct (source_of t w st) as [e r g|n|a r]; try exact ok. destruct (_ && _); [|exact ok].
  refine (@keeps_in_units _ _ _ _ (goes_quietly t) _ _ _ tt _ st ok). intros u before fine. exact (conj I (refused_and_goes t e r before fine)).
Qed.
Lemma unless_it_stops t p rest : goes t (state_of p) -> (forall st, goes t st -> waiting nobody (snd (rest st))) ->
  waiting nobody (snd (unless_preempted t p rest)).
Proof. intros ok each. unfold unless_preempted. destruct p; [exact (each _ ok) | exact (gone_back t _ (proj1 ok))]. Qed.
Lemma receives_now t w b st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (snd (receive_now t w b st)).
Proof.
  intros ok runs. unfold receive_now.
  assert (match source_of t w st with
          | FromEndpoint e r _ => endpoint_exists e st = true /\ forall r', r = Some r' -> reply_exists r' st = true
          | FromNotification n => notification_exists n st = true
          | FromNothing _ _ => True
          end) as there.
  { unfold source_of. cbv zeta. destruct (occupied_slot_of_address t (register 0 (thread t st)) st) as [(s & c)|] eqn:found; [|exact I].
    apply occupied_in_place in found. destruct c; try exact I.
    - pose proof (endpoint_there s _ _ _ st ok found) as e_there. destruct (negb _); [exact I|]. destruct w; [|split; [exact e_there | discriminate]].
      destruct (occupied_slot_of_address t (register 6 (thread t st)) st) as [(k & d)|] eqn:second; [|exact I]. apply occupied_in_place in second.
      destruct d; try exact I. split; [exact e_there|]. intros r' is_r. injection is_r as <-. exact (reply_there k _ _ st ok second).
    - destruct (_ && _); [|exact I]. exact (notification_is_there s _ _ _ st ok found). }
  destruct (source_of t w st) as [e r g|n|a r]; cbn [snd].
  - destruct there as (e_there & r_there). exact (receives t e r _ g b st ok runs e_there r_there).
  - exact (waits_on t n b st ok runs there).
  - exact (cap_faulted t a 1 r st ok runs).
Qed.
Lemma phase_receives t w b st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (snd (receive_phase t w b st)).
Proof.
  intros ok runs. apply (unless_it_stops t _ (receive_now t w b)); [exact (refused_early t w _ st (conj ok runs))|]. intros one (fine & goes_on_).
  exact (receives_now t w b one fine goes_on_).
Qed.
Lemma then_receives t w st : waiting nobody st -> waiting nobody (snd (then_receive t w st)).
Proof.
  intros ok. unfold then_receive. destruct (negb (thread_exists t st)); [exact ok|]. cbv zeta.
  assert (waiting nobody (becomes (if w then Syscall.Recv else Syscall.Wait) t st)) as after
    by exact (@keeps_becomes _ _ _ _ (waiting_quietly nobody) _ t st ok).
  revert after. generalize (becomes (if w then Syscall.Recv else Syscall.Wait) t st). intros one after.
  destruct (is_running t one) eqn:runs; cbn [andb].
  - destruct (negb _); [apply phase_receives; [exact after | apply running_is; exact runs]|]. cbn [snd].
    exact (proj1 (quiet_thread t to_restart _ ltac:(reflexivity) (@keeps_forget_yield _ _ _ _ (waiting_quietly nobody) t one after))).
  - exact (proj1 (quiet_thread t to_restart _ ltac:(reflexivity) (@keeps_forget_yield _ _ _ _ (waiting_quietly nobody) t one after))).
Qed.
Lemma reply_phase_waits t st : waiting nobody st -> waiting nobody (reply_phase t st).
Proof. intros ok. unfold reply_phase. destruct (occupied_slot_of_address _ _ _) as [(s & [])|]; try exact ok. exact (answered _ _ _ st ok). Qed.
Lemma passes_on t w st : goes t st -> waiting nobody (snd (send_and_receive t w st)).
Proof.
  intros ok. unfold send_and_receive. apply unless_it_stops; [exact (refused_early t w _ st ok)|]. clear st ok. intros st (ok & runs).
  pose proof (proj1 (phase_sends t (register 8 (thread t st)) passing_on st ok runs)) as after. fold (pass_on t st) in after.
  destruct (pass_on t st) as ([e d| |x r|] & two); cbn [snd] in *; try exact (then_receives t w two after); [|exact (gone_back t two after)].
  apply then_receives. exact (@keeps_write_long_words _ _ _ _ (waiting_quietly nobody) t _ two after).
Qed.
Lemma call_runs s t st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (snd (run_system_call s t st)).
Proof.
  intros ok runs. unfold run_system_call. cbv zeta. destruct s;
    first [ exact (sends_wait t _ st ok runs) | exact (phase_receives t _ _ st ok runs) | exact (passes_on t _ st (conj ok runs))
          | exact (@keeps_yield _ _ _ _ (waiting_quietly nobody) t st ok) | exact (@keeps_emit _ _ _ _ (waiting_quietly nobody) _ st ok) | idtac ].
  - unfold reply_and_receive. apply unless_it_stops; [exact (refused_early t true _ st (conj ok runs))|]. intros before (fine & _).
    apply then_receives, reply_phase_waits. exact fine.
  - refine (proj1 (quiet_thread t _ st _ ok)). reflexivity.
Qed.
Lemma system_calls t st : waiting nobody st -> run_state (thread t st) = Running -> waiting nobody (snd (system_call t st)).
Proof.
  intros ok runs. unfold system_call. cbv zeta. destruct (Syscall.of_number _) as [s|]; [|exact (call_unknown t st ok runs)].
  destruct (_ && _); [exact (call_unknown t st ok runs) | exact (call_runs s t st ok runs)].
Qed.

(** ** Other events *)
Lemma interrupts_wait irq st : waiting nobody st -> waiting nobody (interrupt irq st).
Proof.
  intros ok. unfold interrupt. cbv zeta. destruct (interrupts st !! irq) as [i|].
  - assert (waiting nobody (if irq =? irq_serror then st else set_mask irq true st)) as usual
      by (destruct (_ =? _); [exact ok | exact (@keeps_set_mask _ _ _ _ (waiting_quietly nobody) irq true st ok)]).
    destruct (capability_at (irq_slot irq) st) as [[]|]; try exact usual. apply signalled.
    destruct (is_held_back irq); [|exact ok]. exact (@keeps_change_interrupt _ _ _ _ (waiting_quietly nobody) irq _ st ok).
  - destruct (is_held_back irq); [exact (@keeps_emit _ _ _ _ (waiting_quietly nobody) _ st ok) | exact ok].
Qed.
Lemma times_out t c st : goes t st -> waiting nobody (time_out t c st).
Proof.
  intros ok. unfold time_out. destruct (capability_at _ st) as [[]|]; try exact (proj1 ok).
  destruct (@keeps_report_consumed _ _ _ _ (goes_quietly t) c st ok) as (_ & (after & runs)). destruct (report_consumed c st) as (used & two). cbn [snd] in *.
  exact (raised _ _ t _ two after runs).
Qed.
Lemma budget_ends st : waiting nobody st -> waiting nobody (end_budget st).
Proof.
  intros ok. unfold end_budget. cbv zeta. pose proof (@keeps_book_turn _ _ _ _ (waiting_quietly nobody) st ok) as booked.
    change (waiting nobody (book_turn st)) in booked.
  revert booked. generalize (book_turn st). clear. intros st ok. destruct (current_context st) as [c|]; [|exact ok]. unfold thread_that_uses.
  destruct (context_thread (context c st)) as [t|]; [|exact ok]. destruct (member t (ready st)) eqn:queued; [|exact ok]. destruct (is_used_up c st);
    [|exact ok].
  apply times_out. refine (@keeps_place _ _ _ _ (goes_quietly t) t st (conj ok _)). apply (w_runs nobody st ok), in_app_iff. left. apply member_in.
    exact queued.
Qed.
Lemma faults_wait t c st : goes t st -> waiting nobody (snd (user_fault t c st)).
Proof.
  intros (ok & runs). unfold user_fault. cbv zeta. destruct c; try exact ok; try exact (raised _ _ t _ st ok runs). unfold debug_event. cbv zeta.
  destruct reason; try exact (raised _ _ t _ st ok runs).
  assert (still nobody st (change_thread t (fun x => x <| step_count := step_count x - 1 |>) st)) as (after & same) by (apply quiet_thread;
    [reflexivity | exact ok]).
  destruct (_ =? _); [|exact after]. apply raised; [exact after | rewrite (same_state _ _ same); exact runs].
Qed.
Lemma handled c st : waiting nobody st -> (forall t, current st = Some t -> run_state (thread t st) = Running) -> waiting nobody (snd (handle c st)).
Proof.
  intros ok runs. unfold handle. destruct c, (current st) as [t|]; try exact ok;
    first [ exact (system_calls t st ok (runs t eq_refl)) | exact (interrupts_wait _ st ok) | exact (faults_wait t _ st (conj ok (runs t eq_refl))) | idtac ].
  all: exact (@keeps_end_turn_if_due _ _ _ _ (waiting_quietly nobody) _ (@keeps_wake_sleepers _ _ _ _ (waiting_quietly nobody) _ (budget_ends st ok))).
Qed.
Lemma field_set a b : waiting nobody a -> slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a ->
  sleeping b = sleeping a -> waiting nobody b.
Proof. intros ok s r o d l. exact (looks_at_objects (waiting_quietly nobody) a b s r o d l ok). Qed.
Lemma thread_chosen st : waiting nobody st -> waiting nobody (choose_thread st).
Proof.
  intros ok. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (waiting nobody one) as ok1 by (unfold one; destruct (ends_turn _);
    [exact (@keeps_end_turn_if_due _ _ _ _ (waiting_quietly nobody) st ok) | exact ok]).
  clearbody one. set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (waiting nobody two) as ok2.
  { unfold two. destruct (_ && _); [exact ok1|]. unfold change_context_in_use. cbv zeta. pose proof (budget_ends one ok1) as ended.
    revert ended. generalize (end_budget one). intros three ok3. set (four := three <| current_context := context_of_first three |>).
    assert (waiting nobody four) as ok4 by (apply (field_set three); [exact ok3 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
    clearbody four. destruct (context_of_first three) as [c|]; [|exact ok4]. destruct (_ || _); [exact ok4|].
    refine (@keeps_change_context _ _ _ _ (waiting_quietly nobody) c _ _ _ four ok4).
    - split; [intros; exact I|]. intros x. symmetry. apply bits_of_begin_use.
    - intros x. discriminate. }
  clearbody two. set (three := two <| current := first_ready two |>).
  assert (waiting nobody three) as ok3 by (apply (field_set two); [exact ok2 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
  clearbody three. destruct (first_ready two) as [t|]; [|exact ok3].
  refine (@keeps_end_yield_by _ _ _ _ (waiting_quietly nobody) report_booked t reports_booked _ three ok3).
  intros c. exact (@keeps_report_booked _ _ _ _ (waiting_quietly nobody) c).
Qed.
Lemma step_waits st e : waiting nobody st -> (forall t, current st = Some t -> In t (ready st)) -> waiting nobody (fst (fst (step st e))).
Proof.
  intros ok runs. unfold step, finish. destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st ok)) as (entered & same).
  change (waiting nobody (enter e st)) in entered.
  assert (waiting nobody (snd (handle (cause e) (enter e st)))) as after.
  { apply handled; [exact entered|]. intros t is_cur. rewrite (same_state _ _ same). apply (w_runs nobody st ok), in_app_iff. left. apply runs.
    rewrite <- is_cur. unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur;
      [|exact (eq_sym cur)].
    unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact (eq_sym cur). }
  destruct (handle (cause e) (enter e st)) as (result & two). cbn [fst snd] in *.
  exact (@keeps_leave _ _ _ _ (waiting_quietly nobody) _ (thread_chosen two after)).
Qed.

(** ** Boot *)
Lemma no_boot_zombie p slot o : ~ In (slot, ZombieCap o) (root_capabilities p ++ dynamic_capabilities p).
Proof.
  intros listed. apply in_app_iff in listed. destruct listed as [listed|listed].
  - cbn [root_capabilities In] in listed. repeat (destruct listed as [no|listed]; [discriminate|]). exact listed.
  - apply in_combine_r, in_app_iff in listed. destruct listed as [listed|listed]; apply in_map_iff in listed; destruct listed as (x & same & _);
    [discriminate|].
    destruct x as ((base & bits) & device). discriminate.
Qed.
Lemma waiting_at_start p : roots_are_apart p -> waiting nobody (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros apart. set (start := put_root_objects p (nothing_yet (boot_machine p))).
  assert (forall l st, (forall slot o, ~ In (slot, ZombieCap o) l) -> (forall s o, capability_at s st <> Some (ZombieCap o)) ->
    let after := fold_left (fun st entry => insert_root (fst entry) (snd entry) st) l st in
    objects after = objects st /\ ready after = ready st /\ sleeping after = sleeping st /\ forall s o, capability_at s after <> Some (ZombieCap o)) as same.
  { induction l as [|(slot & c) l IH]; intros st none free; [repeat split; exact free|]. cbn [fold_left fst snd].
    pose proof (insert_root_same slot c st) as blind.
    destruct (IH (insert_root slot c st)) as (a & b & d & f).
    - intros s o listed. apply (none s o). right. exact listed.
    - intros s o. unfold insert_root. destruct (is_empty slot st); [|exact (free s o)]. rewrite capability_at_in.
      assert (slots (put_entry slot {| capability := c; original := true; parent := None; children := [] |} st >> count_reference c)
              = set slot {| capability := c; original := true; parent := None; children := [] |} (slots st)) as -> by (unfold count_reference;
                destruct (referent c); reflexivity).
      unfold capability_in. rewrite find_set. destruct (N.eqb_spec s slot) as [->|]; [|exact (free s o)].
      cbn [capability]. intros is_z. injection is_z as ->. exact (none slot o (or_introl eq_refl)).
    - cbv zeta. split; [rewrite a, blind; reflexivity | split; [rewrite b, blind; reflexivity | split; [rewrite d, blind; reflexivity | exact f]]]. }
  destruct (same (root_capabilities p ++ dynamic_capabilities p) start (no_boot_zombie p) ltac:(discriminate)) as (objs & same_ready & same_sleeping &
    no_zombie).
  fold (insert_roots p start) in *. pose proof (same_waits_objects start _ objs) as waits.
  assert (forall o, endpoint o start = {| senders := []; receivers := [] |} /\ notification o start = idle_notification /\ reply o start = unused_reply
          /\ (forall q, ~ says (run_state (thread o start)) q)) as bare.
  { intros o. unfold endpoint, notification, reply, thread, start. rewrite root_objects, !find_set.
    change (objects (nothing_yet (boot_machine p))) with (@empty Object). rewrite find_empty.
    repeat match goal with |- context [?a =? ?b] => destruct (a =? b) end; repeat split; intros q named; destruct named. }
  constructor; [exact (live_at_start p apart) | | | | |].
  - intros t q. rewrite (same_stands _ _ waits), (same_state _ _ waits). destruct (bare t) as (_ & _ & _ & nothing_). split; [|intros (_ & named);
    destruct (nothing_ q named)].
    destruct q as [o|o|o|o|o]; cbn [stands]; destruct (bare o) as (e & n & r & _); rewrite ?e, ?n, ?r; cbn; intros no; contradiction || discriminate.
  - intros o. rewrite (same_endpoint _ _ waits), (same_waiters _ _ waits). destruct (bare o) as (e & n & _). rewrite e, n. repeat split; constructor.
  - intros o. rewrite (same_caller _ _ waits). destruct (bare o) as (_ & _ & r & _). rewrite r. left. reflexivity.
  - intros s o zombie. destruct (no_zombie s o zombie).
  - intros t. rewrite same_ready, same_sleeping. intros [].
Qed.
Lemma boot_waits p : roots_are_apart p -> waiting nobody (boot p).
Proof.
  intros apart. unfold boot. cbv zeta. pose proof (waiting_at_start p apart) as start. revert start.
  generalize (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))). intros st ok.
  pose proof (fun i k => @keeps_copy_to_thread _ _ _ _ (waiting_quietly nobody) (waiting_kept nobody) p i k) as copies.
  pose proof (copies InitSlot.IPCBuffer buffer_slot _ (copies InitSlot.VSpace vspace_slot _ (copies InitSlot.CNode cspace_slot st ok))) as one.
  revert one. generalize (copy_to_thread p InitSlot.IPCBuffer buffer_slot (copy_to_thread p InitSlot.VSpace vspace_slot (copy_to_thread p InitSlot.CNode
    cspace_slot st))).
  intros two ok2. apply (@keeps_leave _ _ _ _ (waiting_quietly nobody)), thread_chosen, (@keeps_bind_context _ _ _ _ (waiting_quietly nobody) _ _ eq_refl).
  refine (@keeps_change_context _ _ _ _ (waiting_quietly nobody) _ _ _ _ two ok2).
  - split; [intros; exact I | reflexivity].
  - intros x. discriminate.
Qed.
Theorem reachable_waits p st : roots_are_apart p -> reachable step p st -> waiting nobody st.
Proof.
  intros apart reached. induction reached as [|st e reached IH]; [exact (boot_waits p apart)|]. apply step_waits; [exact IH|].
  intros t is_cur. destruct (states_are_settled_proved p st reached) as [first _ _ _]. rewrite first in is_cur. unfold first_ready in is_cur.
  apply List.find_some in is_cur. exact (proj1 is_cur).
Qed.

(** Claim [threads_wait_where_they_say]. *)
Theorem threads_wait_where_they_say_proved : threads_wait_where_they_say step.
Proof.
  intros p st apart reached. destruct (reachable_waits p st apart reached) as [_ stands_ once one _ runs]. constructor; [|exact once | exact one | exact runs].
  intros t q. rewrite stands_. unfold nobody. tauto.
Qed.
