(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What threads run on

    A thread and its scheduling context name each other, a context lists the calls that it went along with, and who can run stands in a queue of those
    that can. A thread that is between two places is excused: it need not stand in the queue yet, or any more. *)
From Coq Require Import Lia.
From Spec Require Export StandProofs.
Open Scope N_scope.

Definition but_lending (k : Link) : bool := match k with Loan | Waiting | Lending | Ending => true | _ => false end.
Definition Excused : Type := N -> Prop.
Definition none : Excused := fun _ => False.
Definition also (t : N) (ex : Excused) : Excused := fun u => ex u \/ u = t.
Definition queue (st : State) : list N := ready st ++ sleeping st.

Record bonded (ex : Excused) (st : State) : Prop := {
  b_live : all_live st;
  b_had : forall t c, sched_context (thread t st) = Some c <-> context_thread (context c st) = Some t;
  b_along : forall r c, along (reply r st) = Some c <-> In r (calls (context c st));
  b_once : forall c, NoDup (calls (context c st));
  b_called : forall r c, along (reply r st) = Some c -> caller (reply r st) <> None;
  b_zombies : forall s t, capability_at s st = Some (ZombieCap t) -> sched_context (thread t st) = None;
  b_queued : forall t, ~ ex t -> (In t (queue st) <-> can_run t st)
}.

(** ** States with the same bonds *)
Record same_bonds (a b : State) : Prop := {
  same_had : forall t, sched_context (thread t b) = sched_context (thread t a);
  same_used : forall c, same_uses (context c a) (context c b);
  same_along : forall r, along (reply r b) = along (reply r a);
  same_called : forall r, along (reply r a) <> None -> caller (reply r a) <> None -> caller (reply r b) <> None
}.
Lemma same_uses_refl c : same_uses c c. Proof. repeat split. Qed.
Lemma same_uses_trans a b c : same_uses a b -> same_uses b c -> same_uses a c.
Proof. intros (first & second & third) (first' & second' & third'). repeat split; congruence. Qed.
Lemma same_bonds_refl st : same_bonds st st. Proof. constructor; intros; try apply same_uses_refl; try reflexivity. assumption. Qed.
Lemma same_bonds_trans a b c : same_bonds a b -> same_bonds b c -> same_bonds a c.
Proof.
  intros [h1 u1 l1 c1] [h2 u2 l2 c2]. constructor.
  - intros t. rewrite h2. apply h1.
  - intros k. exact (same_uses_trans _ _ _ (u1 k) (u2 k)).
  - intros r. rewrite l2. apply l1.
  - intros r some called. apply c2; [rewrite l1; exact some | exact (c1 r some called)].
Qed.
Lemma same_bonds_objects a b : objects b = objects a -> same_bonds a b.
Proof.
  intros same. constructor; intros o; unfold thread, context, reply; rewrite same; try reflexivity; [apply same_uses_refl | intros _ called; exact called].
Qed.
Lemma can_run_same a b t : same_bonds a b -> (run_state (thread t b) = Running <-> run_state (thread t a) = Running) -> (can_run t b <-> can_run t a).
Proof.
  intros same state. unfold can_run. rewrite (same_had _ _ same), state. split; intros (runs & c & has & full); (split; [exact runs|]); exists c;
    (split; [exact has|]); destruct (same_used _ _ same c) as (_ & _ & alike); congruence.
Qed.
Lemma bonded_same (ex ex' : Excused) a b : all_live b -> same_bonds a b ->
  (forall s o, capability_at s b = Some (ZombieCap o) -> exists s', capability_at s' a = Some (ZombieCap o)) ->
  (forall t, ~ ex' t -> (In t (queue b) <-> can_run t b)) -> bonded ex a -> bonded ex' b.
Proof.
  intros alive same fewer queued_ [_ had_ along_ once called zombies _]. constructor; [exact alive | | | | | | exact queued_].
  - intros t c. destruct (same_used _ _ same c) as (thread_ & _). rewrite (same_had _ _ same), thread_. apply had_.
  - intros r c. destruct (same_used _ _ same c) as (_ & calls_ & _). rewrite (same_along _ _ same), calls_. apply along_.
  - intros c. destruct (same_used _ _ same c) as (_ & calls_ & _). rewrite calls_. apply once.
  - intros r c. rewrite (same_along _ _ same). intros some. apply (same_called _ _ same r); [congruence | exact (called r c some)].
  - intros s t zombie. rewrite (same_had _ _ same). destruct (fewer s t zombie) as (s' & there). exact (zombies s' t there).
Qed.

(** The change of one object that leaves bonds. *)
Definition bond_change (x y : Object) : Prop :=
  match x, y with
  | ThreadObject a, ThreadObject b => sched_context b = sched_context a
  | SchedContextObject a, SchedContextObject b => same_uses a b
  | ReplyObject a, ReplyObject b => along b = along a /\ (along a <> None -> caller a <> None -> caller b <> None)
  | _, _ => True
  end.
Lemma put_same_bonds o x y st : objects st !! o = Some y -> same_kind y x -> bond_change y x -> same_bonds st (put_object o x st).
Proof.
  intros there same change. constructor; intros o'; unfold thread, context, reply; change (objects (put_object o x st)) with (set o x (objects st));
    rewrite find_set; read_put o' o; try reflexivity; try apply same_uses_refl; try (intros _ called; exact called);
    rewrite there; destruct x, y; try contradiction same; try reflexivity; try apply same_uses_refl; try (intros _ called; exact called);
    cbn [bond_change] in change; first [exact change | apply change].
Qed.
Lemma change_is_bond x y : object_change but_lending x y -> bond_change x y.
Proof.
  destruct x, y; cbn [object_change bond_change]; try (intros; exact I).
  - intros (_ & change). exact (proj1 (change eq_refl)).
  - intros change. destruct (change eq_refl) as (same & same_caller & _). split; [exact same | congruence].
  - intros change. exact (proj1 (change eq_refl)).
Qed.
Lemma new_same_bonds o x st after : objects st !! o = None -> is_new x -> objects after = set o x (objects st) -> same_bonds st after.
Proof.
  intros no new same. constructor; intros o'; unfold thread, context, reply; rewrite same, find_set; read_put o' o; try reflexivity; try apply same_uses_refl;
    try (intros _ called; exact called); rewrite no; destruct x; try reflexivity; try apply same_uses_refl; try (intros some; contradiction (some eq_refl));
    cbn [is_new] in new; try (rewrite new; reflexivity). destruct new as (bits & ->). repeat split.
Qed.

(** ** What is quiet *)
Lemma in_placed insert t st u : In insert [insert_behind; insert_ahead] ->
  (In u (queue (place_by insert t st)) <-> (u <> t /\ In u (queue st)) \/ (u = t /\ can_run t st)).
Proof.
  intros usual. assert (inserts insert) as usual_ by (destruct usual as [<-|[<-|[]]]; [exact behind_inserts | exact ahead_inserts]).
  unfold place_by, queue. cbv zeta. set (chosen := if is_number (ahead _) t then insert_ahead else if is_number (behind _) t then insert_behind else insert).
  assert (inserts chosen) as inserting
    by (unfold chosen; destruct (is_number _ t); [exact ahead_inserts | destruct (is_number _ t); [exact behind_inserts | exact usual_]]).
  clearbody chosen.
  assert (In u (ready (unplace t st) ++ sleeping (unplace t st)) <-> u <> t /\ In u (ready st ++ sleeping st)) as fewer.
  { rewrite !in_app_iff. change (ready (unplace t st)) with (without t (ready st)). change (sleeping (unplace t st)) with (without t (sleeping st)).
    rewrite !in_without. tauto. }
  change (is_running t (unplace t st)) with (is_running t st). change (context_of t (unplace t st)) with (sched_context (thread t st)).
  destruct (is_running t st) eqn:runs; [apply running_is in runs|].
  2: { assert (~ can_run t st) as never by (intros (now_ & _); apply running_is in now_; congruence). rewrite fewer. tauto. }
  destruct (sched_context (thread t st)) as [c|] eqn:has.
  2: { assert (~ can_run t st) as never by (intros (_ & c & some & _); congruence). rewrite fewer. tauto. }
  change (context c (unplace t st)) with (context c st). destruct (configured (context c st)) eqn:full; cbn [negb].
  2: { assert (~ can_run t st) as never by (intros (_ & d & some & full_); congruence). rewrite fewer. tauto. }
  assert (can_run t st) as can by (split; [exact runs | exists c; split; assumption]).
  rewrite in_app_iff in fewer. destruct (usable _ _); rewrite in_app_iff.
  - change (In u (chosen t (ready (unplace t st)) (unplace t st)) \/ In u (sleeping (unplace t st)) <-> u <> t /\ In u (ready st ++ sleeping st)
      \/ u = t /\ can_run t st).
    rewrite (in_inserted chosen t _ _ u inserting). tauto.
  - change (In u (ready (unplace t st)) \/ In u (insert_by_time t (sleeping (unplace t st)) (unplace t st)) <->
      u <> t /\ In u (ready st ++ sleeping st) \/ u = t /\ can_run t st).
    rewrite (in_inserted insert_by_time t _ _ u by_time_inserts). tauto.
Qed.
Lemma place_bonds insert t st : same_bonds st (place_by insert t st).
Proof. exact (same_bonds_objects st _ (proj2 (proj2 (place_by_same insert t st)))). Qed.
Lemma live_same a b : slots b = slots a -> references b = references a -> objects b = objects a -> all_live a -> all_live b.
Proof.
  intros same_slots same_references same_objects (right & alive). split; [exact (indices_of_same a b same_slots same_references right)|].
  exact (live_of_same a b same_slots same_objects alive).
Qed.
Lemma bonded_placed (ex ex' : Excused) insert t st : In insert [insert_behind; insert_ahead] -> (forall u, u <> t -> ex u -> ex' u) -> bonded ex st ->
  bonded ex' (place_by insert t st).
Proof.
  intros usual others ok. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
  apply (bonded_same ex ex' st); [exact (live_same _ _ same_slots same_references same_objects (b_live ex st ok)) | apply place_bonds | | | exact ok].
  - intros s o zombie. exists s. rewrite <- (capability_same s st _ same_slots). exact zombie.
  - intros u free. rewrite (in_placed insert t st u usual). rewrite (can_run_same st _ u (place_bonds insert t st))
      by (unfold thread; rewrite same_objects; reflexivity).
    destruct (N.eq_dec u t) as [->|other]; [tauto|]. rewrite (b_queued ex st ok u (fun excused => free (others u other excused))). tauto.
Qed.
Lemma state_of_change x y t st o : objects st !! o = Some y -> same_kind y x -> object_change but_lending y x ->
  run_state (thread t (put_object o x st)) = run_state (thread t st).
Proof.
  intros there same change. unfold thread. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec t o) as [->|]; [|reflexivity]. rewrite there. destruct x, y; try contradiction same; try reflexivity.
  exact (proj2 (proj2 change eq_refl)).
Qed.
Lemma bonded_quietly ex : kept_quietly_but but_lending (bonded ex) (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_. constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects same_ready same_sleeping ok. pose proof (same_bonds_objects a b same_objects) as same.
    apply (bonded_same ex ex a); [exact (live_same _ _ same_slots same_references same_objects (b_live ex a ok)) | exact same | | | exact ok].
    + intros s o zombie. exists s. rewrite <- (capability_same s a b same_slots). exact zombie.
    + intros t free. unfold queue. rewrite same_ready, same_sleeping, (can_run_same a b t same) by (unfold thread; rewrite same_objects; reflexivity).
      exact (b_queued ex a ok t free).
  - intros t st [].
  - intros insert t st usual. apply bonded_placed; [exact usual | intros u _ excused; exact excused].
  - intros t st asleep ok. apply (bonded_same ex ex st);
      [ | apply same_bonds_objects; reflexivity | intros s o zombie; exists s; exact zombie | | exact ok].
    { apply (live_same st); [reflexivity | reflexivity | reflexivity | exact (b_live ex st ok)]. }
    intros u free. refine (iff_trans _ (b_queued ex st ok u free)). unfold queue. rewrite !in_app_iff.
    change (In u (ready st) \/ In u (insert_by_time t (without t (sleeping st)) st) <-> In u (ready st) \/ In u (sleeping st)).
    apply member_in in asleep. rewrite (requeued insert_by_time t _ st by_time_inserts asleep). reflexivity.
  - intros o x y st there kind change fine ok. pose proof (put_same_bonds o x y st there kind (change_is_bond _ _ change)) as same.
    apply (bonded_same ex ex st); [| exact same | intros s z zombie; exists s; exact zombie | | exact ok].
    + apply (after_put_object live_ o x y st there kind); [|exact fine | exact (b_live ex st ok)]. destruct y, x; try exact I; repeat split; discriminate.
    + intros t free. rewrite (can_run_same _ _ t same) by (rewrite (state_of_change x y t st o there kind change); reflexivity).
      exact (b_queued ex st ok t free).
Qed.
Lemma bonded_kept ex : kept_but but_lending (bonded ex) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | exact (b_live ex)|]. intros st after alive objs fewer same_ready same_sleeping ok.
  assert (same_bonds st after /\ same_waits st after) as (same & waits_).
  { destruct objs as [same|(o & x & no & new & same)]; [split; [exact (same_bonds_objects st after same) | exact (same_waits_objects st after same)]|].
    split; [exact (new_same_bonds o x st after no new same) | exact (new_same_waits o x st after no new same)]. }
  apply (bonded_same ex ex st); [exact alive | exact same | exact fewer | | exact ok]. intros t free. unfold queue. rewrite same_ready, same_sleeping.
  rewrite (can_run_same _ _ t same) by (rewrite (same_state _ _ waits_); reflexivity). exact (b_queued ex st ok t free).
Qed.

(** A state in which bonds are as in another. *)
Lemma bonds_quietly st : kept_quietly_but but_lending (same_bonds st) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b _ _ same _ _ ok. exact (same_bonds_trans _ _ _ ok (same_bonds_objects a b same)).
  - intros t a [].
  - intros insert t a _ ok. exact (same_bonds_trans _ _ _ ok (place_bonds insert t a)).
  - intros t a _ ok. apply (same_bonds_trans _ a); [exact ok | apply same_bonds_objects; reflexivity].
  - intros o x y a there same change _ ok. exact (same_bonds_trans _ _ _ ok (put_same_bonds o x y a there same (change_is_bond _ _ change))).
Qed.
Definition steady (ex : Excused) (a b : State) : Prop := bonded ex b /\ same_bonds a b.
Lemma steady_quietly ex a : kept_quietly_but but_lending (steady ex a) (fun _ => True) (fun _ => True).
Proof. exact (both_quietly but_lending _ _ (bonded_quietly ex) (bonds_quietly a)). Qed.
Lemma steady_kept ex a : kept_but but_lending (steady ex a) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | intros st (ok & _); exact (b_live ex st ok)|].
  intros st after alive objs fewer same_ready same_sleeping (ok & same).
  assert (same_bonds st after /\ same_waits st after) as (more & waits_).
  { destruct objs as [is|(o & x & no & new & is)]; [split; [exact (same_bonds_objects st after is) | exact (same_waits_objects st after is)]|].
    split; [exact (new_same_bonds o x st after no new is) | exact (new_same_waits o x st after no new is)]. }
  split; [|exact (same_bonds_trans _ _ _ same more)].
  apply (bonded_same ex ex st); [exact alive | exact more | exact fewer | | exact ok]. intros t free. unfold queue. rewrite same_ready, same_sleeping.
  rewrite (can_run_same _ _ t more) by (rewrite (same_state _ _ waits_); reflexivity). exact (b_queued ex st ok t free).
Qed.
Lemma steady_start ex st : bonded ex st -> steady ex st st. Proof. intros ok. exact (conj ok (same_bonds_refl st)). Qed.

(** ** What the changes of one object do *)
Definition context_exists (o : N) (st : State) : bool := match objects st !! o with Some (SchedContextObject _) => true | _ => false end.
Lemma missing_context c st : context_exists c st = false -> context_thread (context c st) = None /\ calls (context c st) = [].
Proof. unfold context_exists, context. destruct (objects st !! c) as [[]|]; try discriminate; split; reflexivity. Qed.
Lemma context_after_thread t f st o : context o (change_thread t f st) = context o st.
Proof.
  unfold change_thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:there; try reflexivity. unfold context.
  change (objects (put_object t (ThreadObject (f x)) st)) with (set t (ThreadObject (f x)) (objects st)).
  rewrite find_set. destruct (N.eqb_spec o t) as [->|]; [rewrite there|]; reflexivity.
Qed.
Lemma context_after_reply r v st o : context o (put_reply r v st) = context o st.
Proof.
  unfold put_reply. destruct (objects st !! r) as [[| | | |x| | | |]|] eqn:there; try reflexivity. unfold context.
  change (objects (put_object r (ReplyObject v) st)) with (set r (ReplyObject v) (objects st)).
  rewrite find_set. destruct (N.eqb_spec o r) as [->|]; [rewrite there|]; reflexivity.
Qed.
Lemma after_context c f st :
  (forall o, context o (change_context c f st) = if (o =? c) && context_exists c st then f (context c st) else context o st)
  /\ (forall o, thread o (change_context c f st) = thread o st) /\ (forall o, reply o (change_context c f st) = reply o st).
Proof.
  unfold change_context, context_exists. destruct (objects st !! c) as [[| | | | |x| | |]|] eqn:there;
    try (repeat split; intros o; rewrite ?andb_false_r; reflexivity).
  repeat split; intros o; unfold context, thread, reply;
    change (objects (put_object c (SchedContextObject (f x)) st)) with (set c (SchedContextObject (f x)) (objects st));
    rewrite find_set, ?andb_true_r; destruct (N.eqb_spec o c) as [->|]; rewrite ?there; reflexivity.
Qed.
Lemma context_frame c f st : same_frame st (change_context c f st).
Proof. unfold change_context. destruct (objects st !! c) as [[]|]; repeat split. Qed.
Lemma context_live c f st : (forall x, context_bits (f x) = context_bits x) -> all_live st -> all_live (change_context c f st).
Proof.
  intros same. refine (@keeps_change_context _ _ _ _ live_is_kept_quietly c f _ _ st).
  - split; [intros; exact I | intros x; symmetry; apply same].
  - intros x. discriminate.
Qed.

(** Objects remain what they are. *)
Definition same_sorts (a b : State) : Prop :=
  forall o, thread_exists o b = thread_exists o a /\ context_exists o b = context_exists o a /\ reply_exists o b = reply_exists o a.
Lemma same_sorts_trans a b c : same_sorts a b -> same_sorts b c -> same_sorts a c.
Proof. intros one two o. destruct (one o) as (x & y & z), (two o) as (x' & y' & z'). repeat split; congruence. Qed.
Lemma put_sorts o x y st : objects st !! o = Some y -> same_kind y x -> same_sorts st (put_object o x st).
Proof.
  intros there same u. unfold thread_exists, context_exists, reply_exists. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec u o) as [->|]; [rewrite there; destruct y, x; try contradiction same|]; repeat split.
Qed.
Lemma thread_sorts t f st : same_sorts st (change_thread t f st).
Proof. unfold change_thread. destruct (objects st !! t) as [[]|] eqn:there; first [exact (fun _ => conj eq_refl (conj eq_refl eq_refl)) |
  apply (put_sorts _ _ _ st there); exact I]. Qed.
Lemma context_sorts c f st : (forall x, context_bits (f x) = context_bits x) -> same_sorts st (change_context c f st).
Proof.
  intros same. unfold change_context. destruct (objects st !! c) as [[]|] eqn:there;
    first [exact (fun _ => conj eq_refl (conj eq_refl eq_refl)) | apply (put_sorts _ _ _ st there); symmetry; apply same].
Qed.
Lemma reply_sorts r v st : same_sorts st (put_reply r v st).
Proof. unfold put_reply. destruct (objects st !! r) as [[]|] eqn:there; first [exact (fun _ => conj eq_refl (conj eq_refl eq_refl)) |
  apply (put_sorts _ _ _ st there); exact I]. Qed.

(** Changes that leave bonds. *)
Lemma thread_bonds t f st : (forall x, sched_context (f x) = sched_context x) -> same_bonds st (change_thread t f st).
Proof.
  intros same. unfold change_thread. destruct (objects st !! t) as [[]|] eqn:there; try (apply same_bonds_objects; reflexivity).
  apply (put_same_bonds _ _ _ st there); [exact I | apply same].
Qed.
Lemma endpoint_bonds e f st : same_bonds st (change_endpoint e f st).
Proof.
  unfold change_endpoint. destruct (objects st !! e) as [[]|] eqn:there; try (apply same_bonds_objects; reflexivity).
  apply (put_same_bonds _ _ _ st there); exact I.
Qed.
Lemma notification_bonds e f st : same_bonds st (change_notification e f st).
Proof.
  unfold change_notification. destruct (objects st !! e) as [[]|] eqn:there; try (apply same_bonds_objects; reflexivity).
  apply (put_same_bonds _ _ _ st there); exact I.
Qed.
Lemma reply_bonds r v st : along v = along (reply r st) -> (along v <> None -> caller v <> None) -> same_bonds st (put_reply r v st).
Proof.
  intros same called. unfold put_reply, reply in *. destruct (objects st !! r) as [[]|] eqn:there; try (apply same_bonds_objects; reflexivity).
  apply (put_same_bonds _ _ _ st there); [exact I|]. split; [exact same | intros some _; apply called; congruence].
Qed.

(** ** The kit *)
Lemma bonded_calm ex a b : all_live b -> same_bonds a b -> same_frame a b ->
  (forall t, run_state (thread t b) = Running <-> run_state (thread t a) = Running) -> bonded ex a -> bonded ex b.
Proof.
  intros alive same (same_slots & same_ready & same_sleeping) states ok. apply (bonded_same ex ex a); [exact alive | exact same | | | exact ok].
  - intros s o zombie. exists s. rewrite <- (capability_same s a b same_slots). exact zombie.
  - intros t free. unfold queue. rewrite same_ready, same_sleeping, (can_run_same a b t same (states t)). exact (b_queued ex a ok t free).
Qed.
Lemma calm_thread ex t f st : (forall x, sched_context (f x) = sched_context x) -> (forall x, run_state (f x) = Running <-> run_state x = Running) ->
  bonded ex st -> bonded ex (change_thread t f st).
Proof.
  intros same states ok. apply (bonded_calm ex st); [exact (thread_live t f st (b_live ex st ok)) | exact (thread_bonds t f st same) | apply thread_frame | |
    exact ok].
  intros u. rewrite thread_after_change_thread. destruct (_ && _) eqn:is_t; [|reflexivity]. apply andb_prop, proj1, N.eqb_eq in is_t. subst u. apply states.
Qed.
Lemma calm_endpoint ex e f st : bonded ex st -> bonded ex (change_endpoint e f st).
Proof.
  intros ok. apply (bonded_calm ex st); [exact (endpoint_live e f st (b_live ex st ok)) | apply endpoint_bonds | apply endpoint_frame | | exact ok].
  intros t. rewrite only_threads. reflexivity.
Qed.
Lemma calm_notification ex e f st : bonded ex st -> bonded ex (change_notification e f st).
Proof.
  intros ok. apply (bonded_calm ex st); [exact (notification_live e f st (b_live ex st ok)) | apply notification_bonds | apply notification_frame | | exact ok].
  intros t. rewrite (proj1 (proj2 (after_notification e f st))). reflexivity.
Qed.
Lemma calm_reply ex r v st : along v = along (reply r st) -> (along v <> None -> caller v <> None) -> bonded ex st -> bonded ex (put_reply r v st).
Proof.
  intros same called ok.
  apply (bonded_calm ex st); [exact (reply_live r v st (b_live ex st ok)) | exact (reply_bonds r v st same called) | apply reply_frame | | exact ok].
  intros t. rewrite (proj1 (proj2 (after_reply r v st))). reflexivity.
Qed.
Lemma weaker (ex ex' : Excused) st : (forall t, ex t -> ex' t) -> bonded ex st -> bonded ex' st.
Proof. intros more [alive had_ along_ once called zombies queued_]. constructor; try assumption. intros t free. apply queued_. intros excused.
exact (free (more t excused)). Qed.
Lemma settled_at (ex ex' : Excused) t st : (In t (queue st) <-> can_run t st) -> (forall u, u <> t -> ex u -> ex' u) -> bonded ex st -> bonded ex' st.
Proof.
  intros here others [alive had_ along_ once called zombies queued_]. constructor; try assumption. intros u free.
  destruct (N.eq_dec u t) as [->|other]; [exact here | exact (queued_ u (fun excused => free (others u other excused)))].
Qed.
Lemma moved_thread (ex : Excused) t f st : (forall x, sched_context (f x) = sched_context x) -> bonded ex st -> bonded (also t ex) (change_thread t f st).
Proof.
  intros same ok. pose proof (thread_bonds t f st same) as bonds. destruct (thread_frame t f st) as (same_slots & same_ready & same_sleeping).
  apply (bonded_same ex (also t ex) st); [exact (thread_live t f st (b_live ex st ok)) | exact bonds | | | exact ok].
  - intros s o zombie. exists s. rewrite <- (capability_same s st _ same_slots). exact zombie.
  - intros u free. unfold queue. rewrite same_ready, same_sleeping, (can_run_same _ _ u bonds).
    + apply (b_queued ex st ok). intros excused. apply free. left. exact excused.
    + rewrite thread_after_change_thread. destruct (N.eqb_spec u t) as [->|]; [exfalso; apply free; right; reflexivity | reflexivity].
Qed.
Lemma in_unplaced u t st : In u (queue (unplace t st)) <-> u <> t /\ In u (queue st).
Proof.
  unfold queue. rewrite !in_app_iff. change (ready (unplace t st)) with (without t (ready st)). change (sleeping (unplace t st)) with (without t (sleeping st)).
  rewrite !in_without. tauto.
Qed.
Lemma bonded_unplaced (ex : Excused) t st : bonded ex st -> bonded (also t ex) (unplace t st).
Proof.
  intros ok. apply (bonded_same ex (also t ex) st); [| apply same_bonds_objects; reflexivity | intros s o zombie; exists s; exact zombie | | exact ok].
  - apply (live_same st); [reflexivity | reflexivity | reflexivity | exact (b_live ex st ok)].
  - intros u free. rewrite in_unplaced. change (can_run u (unplace t st)) with (can_run u st).
    rewrite <- (b_queued ex st ok u (fun excused => free (or_introl excused))).
    split; [intros (_ & listed); exact listed | intros listed; split; [intros is_t; exact (free (or_intror is_t)) | exact listed]].
Qed.

(** A thread stops, or goes on. *)
Lemma cannot_run t st : run_state (thread t st) <> Running -> ~ can_run t st. Proof. intros other (runs & _). exact (other runs). Qed.
Lemma parked (ex ex' : Excused) t f st : (forall x, sched_context (f x) = sched_context x) -> (forall x, run_state (f x) <> Running) ->
  (forall u, u <> t -> ex u -> ex' u) -> ~ In t (queue st) -> bonded ex st -> bonded ex' (change_thread t f st).
Proof.
  intros same stops others queued_ ok. apply (settled_at (also t ex) ex' t).
  - destruct (thread_frame t f st) as (_ & same_ready & same_sleeping). unfold queue. rewrite same_ready, same_sleeping.
    split; [intros listed; destruct (queued_ listed)|].
    intros can. exfalso. revert can. apply cannot_run. rewrite thread_after_change_thread, N.eqb_refl. cbn [andb].
    destruct (thread_exists t st) eqn:there; [apply stops | rewrite (missing_thread t st there); discriminate].
  - intros u other [excused|is_t]; [exact (others u other excused) | contradiction].
  - exact (moved_thread ex t f st same ok).
Qed.
Lemma not_in_unplaced t st : ~ In t (queue (unplace t st)). Proof. rewrite in_unplaced. tauto. Qed.
Lemma unplaced_and_parked (ex ex' : Excused) t f st : (forall x, sched_context (f x) = sched_context x) -> (forall x, run_state (f x) <> Running) ->
  (forall u, u <> t -> ex u -> ex' u) -> bonded ex st -> bonded ex' (change_thread t f (unplace t st)).
Proof.
  intros same stops others ok.
  apply (parked (also t ex) ex' t f (unplace t st) same stops); [| exact (not_in_unplaced t st) | exact (bonded_unplaced ex t st ok)].
  intros u other [excused|is_t]; [exact (others u other excused) | contradiction].
Qed.
Lemma woken_bonds t st : same_bonds st (wake t st) /\ same_bonds st (wake_ahead t st).
Proof.
  pose proof (thread_bonds t (with_state Running) st (fun _ => eq_refl)) as one.
  pose proof (@keeps_begin_sporadic _ _ _ _ (bonds_quietly st) t _ one) as two.
  split; [exact (@keeps_place _ _ _ _ (bonds_quietly st) t _ two) | exact (@keeps_place_ahead _ _ _ _ (bonds_quietly st) t _ two)].
Qed.
Lemma woken (ex ex' : Excused) t st : (forall u, u <> t -> ex u -> ex' u) -> bonded ex st -> bonded ex' (wake t st) /\ bonded ex' (wake_ahead t st).
Proof.
  intros others ok. pose proof (moved_thread ex t (with_state Running) st (fun _ => eq_refl) ok) as one.
  pose proof (@keeps_begin_sporadic _ _ _ _ (bonded_quietly (also t ex)) t _ one : bonded (also t ex) _) as two.
  assert (forall u, u <> t -> also t ex u -> ex' u) as others_ by (intros u other [excused|is_t]; [exact (others u other excused) | contradiction]).
  split; [exact (bonded_placed _ _ insert_behind t _ (or_introl eq_refl) others_ two) | exact (bonded_placed _ _ insert_ahead t _ (or_intror (or_introl
    eq_refl)) others_ two)].
Qed.
Lemma inactivated (ex ex' : Excused) t st : (forall u, u <> t -> ex u -> ex' u) -> bonded ex st -> bonded ex' (make_inactive t st).
Proof. intros others. unfold make_inactive. apply unplaced_and_parked; [reflexivity | discriminate | exact others]. Qed.

(** ** A context goes from hand to hand *)
Lemma had_exists ex t c st : bonded ex st -> sched_context (thread t st) = Some c -> thread_exists t st = true /\ context_exists c st = true.
Proof.
  intros ok has. pose proof (proj1 (b_had ex st ok t c) has) as back. split.
  - destruct (thread_exists t st) eqn:there; [reflexivity|]. rewrite (missing_thread t st there) in has. discriminate.
  - destruct (context_exists c st) eqn:there; [reflexivity|]. rewrite (proj1 (missing_context c st there)) in back. discriminate.
Qed.
Definition leaves_from (o : option N) (st : State) : State :=
  match o with Some from => unplace from st >> change_thread from (fun t => t <| sched_context := None |>) | None => st end.
Lemma left_by o st : all_live st -> (forall t, o = Some t -> thread_exists t st = true) ->
  let after := leaves_from o st in
  all_live after /\ slots after = slots st /\ same_sorts st after
  /\ (forall u, In u (queue after) <-> is_number o u = false /\ In u (queue st))
  /\ (forall u, sched_context (thread u after) = if is_number o u then None else sched_context (thread u st))
  /\ (forall u, run_state (thread u after) = run_state (thread u st))
  /\ (forall k, context k after = context k st) /\ (forall r, reply r after = reply r st).
Proof.
  intros alive there. unfold leaves_from. destruct o as [t|].
  2: { split; [exact alive|]. repeat split; try reflexivity; tauto. }
  cbv zeta. set (f := fun x : Thread => x <| sched_context := None |>).
  destruct (thread_frame t f (unplace t st)) as (same_slots & same_ready & same_sleeping). specialize (there t eq_refl).
  split; [apply thread_live; apply (live_same st); [reflexivity | reflexivity | reflexivity | exact alive]|].
  split; [exact same_slots|]. split; [exact (thread_sorts t f (unplace t st))|]. split; [|split; [|split; [|split]]].
  - intros u. unfold queue. rewrite same_ready, same_sleeping. fold (queue (unplace t st)). rewrite in_unplaced. cbn [is_number].
    rewrite (N.eqb_sym t u). destruct (N.eqb_spec u t); intuition congruence.
  - intros u. rewrite thread_after_change_thread. change (thread_exists t (unplace t st)) with (thread_exists t st). rewrite there, andb_true_r.
    cbn [is_number].
    rewrite (N.eqb_sym t u). destruct (u =? t); reflexivity.
  - intros u. rewrite thread_after_change_thread. destruct (_ && _) eqn:is_t; [|reflexivity]. apply andb_prop, proj1, N.eqb_eq in is_t. subst u. reflexivity.
  - intros k. exact (context_after_thread t f (unplace t st) k).
  - intros r. exact (proj2 (proj2 (after_thread t f (unplace t st))) r).
Qed.
Lemma is_number_spec o n : is_number o n = true <-> o = Some n.
Proof. destruct o as [m|]; cbn [is_number]; [rewrite N.eqb_eq; split; congruence | split; discriminate]. Qed.
Lemma given ex c t st : bonded ex st -> thread_exists t st = true -> not_zombie t st -> context_of t st = None -> context_exists c st = true ->
  let after := give_context c t st in
  bonded (also t ex) after /\ (forall r, reply r after = reply r st) /\ (forall u, In u (queue after) -> In u (queue st))
  /\ (forall u, run_state (thread u after) = run_state (thread u st)) /\ sched_context (thread t after) = Some c.
Proof.
  intros ok t_there alive free c_there. unfold give_context. fold (leaves_from (context_thread (context c st)) st). set (o := context_thread (context c st)).
  assert (forall u, o = Some u -> sched_context (thread u st) = Some c) as has by (intros u; apply (b_had ex st ok u c)).
  destruct (left_by o st (b_live ex st ok) (fun u is_u => proj1 (had_exists ex u c st ok (has u is_u))))
    as (alive1 & slots1 & sorts1 & queue1 & had1 & state1 & context1 & reply1).
  set (one := leaves_from o st) in *. clearbody one. cbv zeta. set (g := fun x : SchedContext => x <| context_thread := Some t |>).
  destruct (after_context c g one) as (context2 & thread2 & reply2). destruct (context_frame c g one) as (slots2 & ready2 & sleeping2).
  pose proof (context_live c g one (fun _ => eq_refl) alive1) as alive2.
  rewrite (proj1 (proj2 (sorts1 c))), c_there in context2. pose proof (context_sorts c g one (fun _ => eq_refl)) as sorts2.
  set (two := change_context c g one) in *. clearbody two. set (f := fun x : Thread => x <| sched_context := Some c |>).
  destruct (after_thread t f two) as (_ & _ & reply3). destruct (thread_frame t f two) as (slots3 & ready3 & sleeping3).
  assert (thread_exists t two = true) as there2 by (rewrite (proj1 (sorts2 t)), (proj1 (sorts1 t)); exact t_there).
  assert (forall u, sched_context (thread u (change_thread t f two)) = if u =? t then Some c else if is_number o u then None else sched_context (thread u st))
    as had3.
  { intros u. rewrite thread_after_change_thread, there2, andb_true_r. destruct (u =? t); [reflexivity|]. rewrite thread2. apply had1. }
  assert (forall u, run_state (thread u (change_thread t f two)) = run_state (thread u st)) as state3.
  { intros u. rewrite <- state1, <- thread2, thread_after_change_thread. destruct (_ && _) eqn:is_t; [|reflexivity].
    apply andb_prop, proj1, N.eqb_eq in is_t. subst u. reflexivity. }
  assert (forall k, context k (change_thread t f two) = if k =? c then g (context c st) else context k st) as context3.
  { intros k. rewrite context_after_thread, context2, andb_true_r, !context1. reflexivity. }
  assert (forall r, reply r (change_thread t f two) = reply r st) as replies by (intros r; rewrite reply3, reply2; apply reply1).
  assert (forall u, In u (queue (change_thread t f two)) <-> is_number o u = false /\ In u (queue st)) as queues.
  { intros u. unfold queue. rewrite ready3, sleeping3, ready2, sleeping2. apply queue1. }
  assert (forall k, calls (context k (change_thread t f two)) = calls (context k st)) as calls3
    by (intros k; rewrite context3; destruct (N.eqb_spec k c) as [->|]; reflexivity).
  split; [constructor | split; [exact replies | split; [intros u listed; apply queues in listed; apply listed | split; [exact state3|]]]].
  - apply thread_live. exact alive2.
  - intros u k. rewrite had3, context3. pose proof (b_had ex st ok u k) as both_. pose proof (b_had ex st ok u c) as both_c. fold o in both_c.
    pose proof (is_number_spec o u) as is_o. unfold context_of in free.
    destruct (N.eqb_spec u t) as [->|other].
    + destruct (N.eqb_spec k c) as [->|other]; [split; intros _; reflexivity|]. split; [congruence|]. intros back. apply both_ in back. congruence.
    + destruct (N.eqb_spec k c) as [->|other_k].
      * split; [|cbn; congruence]. destruct (is_number o u); [discriminate|]. intros has_c. apply both_c, is_o in has_c. discriminate.
      * destruct (is_number o u) eqn:leaves; [|exact both_]. split; [discriminate|]. intros back. apply both_ in back.
        pose proof (proj2 both_c (proj1 is_o eq_refl)). congruence.
  - intros r k. rewrite replies, calls3. apply (b_along ex st ok).
  - intros k. rewrite calls3. apply (b_once ex st ok).
  - intros r k. rewrite replies. apply (b_called ex st ok).
  - intros s u zombie. rewrite (capability_same s st) in zombie by congruence. rewrite had3.
    destruct (N.eqb_spec u t) as [->|]; [destruct (alive s zombie)|]. destruct (is_number o u); [reflexivity | exact (b_zombies ex st ok s u zombie)].
  - intros u excused. rewrite queues. unfold can_run. rewrite state3, had3.
    destruct (N.eqb_spec u t) as [->|other]; [exfalso; apply excused; right; reflexivity|].
    destruct (is_number o u); [split; [intros (no & _); discriminate | intros (_ & k & no & _); discriminate]|].
    rewrite (b_queued ex st ok u (fun is_ex => excused (or_introl is_ex))). unfold can_run.
    assert (forall k, configured (context k (change_thread t f two)) = configured (context k st)) as full
      by (intros k; rewrite context3; destruct (N.eqb_spec k c) as [->|]; reflexivity).
    split; [intros (_ & runs & k & has_k & full_k); split; [exact runs|] | intros (runs & k & has_k & full_k); split; [reflexivity | split; [exact runs|]]];
      exists k; (split; [exact has_k|]); congruence.
  - rewrite had3, N.eqb_refl. reflexivity.
Qed.
Definition lets_go (t c : N) (st : State) : State :=
  change_thread t (fun x => x <| sched_context := None |>) st >> change_context c (fun x => x <| context_thread := None |>).
Lemma let_gone (ex ex' : Excused) t c st : bonded ex st -> context_thread (context c st) = Some t -> ~ In t (queue st) -> (forall u, u <> t -> ex u -> ex' u) ->
  let after := lets_go t c st in
  bonded ex' after /\ (forall r, reply r after = reply r st) /\ sched_context (thread t after) = None /\ context_thread (context c after) = None
  /\ (forall u, run_state (thread u after) = run_state (thread u st)) /\ (forall k, calls (context k after) = calls (context k st)).
Proof.
  intros ok back queued_ others. pose proof (proj2 (b_had ex st ok t c) back) as has. destruct (had_exists ex t c st ok has) as (t_there & c_there).
  unfold lets_go. set (f := fun x : Thread => x <| sched_context := None |>). set (g := fun x : SchedContext => x <| context_thread := None |>). cbv zeta.
  destruct (after_thread t f st) as (_ & _ & reply1). destruct (thread_frame t f st) as (slots1 & ready1 & sleeping1).
  pose proof (thread_sorts t f st) as sorts1. pose proof (thread_live t f st (b_live ex st ok)) as alive1.
  assert (forall u, thread u (change_thread t f st) = if u =? t then f (thread t st) else thread u st) as thread1
    by (intros u; rewrite thread_after_change_thread, t_there, andb_true_r; reflexivity).
  pose proof (context_after_thread t f st) as context1. set (one := change_thread t f st) in *. clearbody one.
  destruct (after_context c g one) as (context2 & thread2 & reply2). destruct (context_frame c g one) as (slots2 & ready2 & sleeping2).
  pose proof (context_live c g one (fun _ => eq_refl) alive1) as alive2. rewrite (proj1 (proj2 (sorts1 c))), c_there in context2.
  set (two := change_context c g one) in *. clearbody two.
  assert (forall u, sched_context (thread u two) = if u =? t then None else sched_context (thread u st)) as had2
    by (intros u; rewrite thread2, thread1; destruct (u =? t); reflexivity).
  assert (forall u, run_state (thread u two) = run_state (thread u st)) as state2
    by (intros u; rewrite thread2, thread1; destruct (N.eqb_spec u t) as [->|]; reflexivity).
  assert (forall k, context k two = if k =? c then g (context c st) else context k st) as context3
    by (intros k; rewrite context2, andb_true_r, !context1; reflexivity).
  assert (forall r, reply r two = reply r st) as replies by (intros r; rewrite reply2; apply reply1).
  assert (forall k, calls (context k two) = calls (context k st)) as calls2
    by (intros k; rewrite context3; destruct (N.eqb_spec k c) as [->|]; reflexivity).
  split; [constructor | split; [exact replies | split; [rewrite had2, N.eqb_refl; reflexivity | split; [rewrite context3, N.eqb_refl; reflexivity | split;
    [exact state2 | exact calls2]]]]].
  - exact alive2.
  - intros u k. rewrite had2, context3. pose proof (b_had ex st ok u k) as both_. destruct (N.eqb_spec u t) as [->|], (N.eqb_spec k c) as [->|]; cbn.
    + split; discriminate.
    + split; [discriminate|]. intros other. apply both_ in other. congruence.
    + split; [|discriminate]. intros other. apply both_ in other. congruence.
    + exact both_.
  - intros r k. rewrite replies, calls2. apply (b_along ex st ok).
  - intros k. rewrite calls2. apply (b_once ex st ok).
  - intros r k. rewrite replies. apply (b_called ex st ok).
  - intros s u zombie. rewrite (capability_same s st) in zombie by congruence. rewrite had2.
    destruct (u =? t); [reflexivity | exact (b_zombies ex st ok s u zombie)].
  - intros u excused. unfold queue. rewrite ready2, sleeping2, ready1, sleeping1. fold (queue st). unfold can_run. rewrite state2, had2.
    destruct (N.eqb_spec u t) as [->|other]; [split; [intros listed; destruct (queued_ listed) | intros (_ & k & no & _); discriminate]|].
    rewrite (b_queued ex st ok u (fun is_ex => excused (others u other is_ex))). unfold can_run.
    assert (forall k, configured (context k two) = configured (context k st)) as full
      by (intros k; rewrite context3; destruct (N.eqb_spec k c) as [->|]; reflexivity).
    split; intros (runs & k & has_k & full_k); (split; [exact runs|]); exists k; (split; [exact has_k|]); congruence.
Qed.

(** ** Stacks of calls *)

(** A bond with a stack changes; threads and queues do not. *)
Lemma restacked ex a b : all_live b -> same_frame a b -> (forall t, thread t b = thread t a) ->
  (forall k, context_thread (context k b) = context_thread (context k a) /\ configured (context k b) = configured (context k a)) ->
  (forall r c, along (reply r b) = Some c <-> In r (calls (context c b))) -> (forall c, NoDup (calls (context c b))) ->
  (forall r c, along (reply r b) = Some c -> caller (reply r b) <> None) -> bonded ex a -> bonded ex b.
Proof.
  intros alive (same_slots & same_ready & same_sleeping) threads contexts along_ once called [_ had_ _ _ _ zombies queued_].
  constructor; [exact alive | | exact along_ | exact once | exact called | |].
  - intros t c. rewrite threads, (proj1 (contexts c)). apply had_.
  - intros s t zombie. rewrite threads. rewrite (capability_same s a b same_slots) in zombie. exact (zombies s t zombie).
  - intros t free. unfold queue, can_run. rewrite same_ready, same_sleeping, threads. fold (queue a). rewrite (queued_ t free). unfold can_run.
    split; intros (runs & c & has & full); (split; [exact runs|]); exists c; (split; [exact has|]); rewrite (proj2 (contexts c)) in *; exact full.
Qed.
Lemma frame_trans a b c : same_frame a b -> same_frame b c -> same_frame a c.
Proof. intros (x & y & z) (x' & y' & z'). repeat split; congruence. Qed.
Lemma reads_reply r v st o : reply_exists r st = true -> reply o (put_reply r v st) = if o =? r then v else reply o st.
Proof. intros there. rewrite (proj1 (after_reply r v st)), there, andb_true_r. reflexivity. Qed.
Lemma along_exists r c st : along (reply r st) = Some c -> reply_exists r st = true.
Proof. intros some. destruct (reply_exists r st) eqn:there; [reflexivity|]. rewrite (missing_reply r st there) in some. discriminate. Qed.
Lemma called_exists r c st : In r (calls (context c st)) -> context_exists c st = true.
Proof. intros listed. destruct (context_exists c st) eqn:there; [reflexivity|]. rewrite (proj2 (missing_context c st there)) in listed. destruct listed. Qed.
Lemma pushed ex r c s st : bonded ex st -> reply_exists r st = true -> along (reply r st) = None -> context_exists c st = true ->
  bonded ex (change_context c (fun x => x <| calls := r :: calls x |>) (put_reply r {| caller := Some s; receiver := None; along := Some c |} st)).
Proof.
  intros ok r_there none_ c_there. set (v := {| caller := Some s; receiver := None; along := Some c |}).
  set (g := fun x : SchedContext => x <| calls := r :: calls x |>).
  pose proof (fun o => reads_reply r v st o r_there) as reply1. destruct (after_reply r v st) as (_ & thread1 & _).
  pose proof (context_after_reply r v st) as context1. pose proof (reply_frame r v st) as frame1. pose proof (reply_sorts r v st) as sorts1.
  pose proof (reply_live r v st (b_live ex st ok)) as alive1. set (one := put_reply r v st) in *. clearbody one.
  destruct (after_context c g one) as (context2 & thread2 & reply2). rewrite (proj1 (proj2 (sorts1 c))), c_there in context2.
  assert (forall k, context k (change_context c g one) = if k =? c then g (context c st) else context k st) as contexts
    by (intros k; rewrite context2, andb_true_r, !context1; reflexivity).
  apply (restacked ex st).
  - exact (context_live c g one (fun _ => eq_refl) alive1).
  - exact (frame_trans _ _ _ frame1 (context_frame c g one)).
  - intros t. rewrite thread2. apply thread1.
  - intros k. rewrite contexts. destruct (N.eqb_spec k c) as [->|]; split; reflexivity.
  - intros o k. rewrite reply2, reply1, contexts. pose proof (b_along ex st ok o k) as both_.
    destruct (N.eqb_spec o r) as [->|other].
    + assert (forall k, ~ In r (calls (context k st))) as nowhere by (intros k' listed; apply (b_along ex st ok) in listed; congruence).
      destruct (N.eqb_spec k c) as [->|other]; cbn.
      * split; [intros _; left; reflexivity | reflexivity].
      * split; [congruence | intros listed; destruct (nowhere k listed)].
    + destruct (N.eqb_spec k c) as [->|]; [|exact both_]. change (In o (calls (g (context c st)))) with (r = o \/ In o (calls (context c st))).
      rewrite both_. split; [intros listed; right; exact listed | intros [same|listed]; [congruence | exact listed]].
  - intros k. rewrite contexts. destruct (N.eqb_spec k c) as [->|]; [|apply (b_once ex st ok)]. change (NoDup (r :: calls (context c st))).
    constructor; [intros listed; apply (b_along ex st ok) in listed; congruence | apply (b_once ex st ok)].
  - intros o k. rewrite reply2, reply1. destruct (N.eqb_spec o r) as [->|]; [discriminate | apply (b_called ex st ok)].
  - exact ok.
Qed.
Lemma called_alone ex r st : bonded ex st -> forall v, along v = None -> reply_exists r st = true -> along (reply r st) = None -> bonded ex (put_reply r v st).
Proof. intros ok v no there none_. apply calm_reply; [congruence | congruence | exact ok]. Qed.
Lemma popped ex r c rest st : bonded ex st -> calls (context c st) = r :: rest ->
  let one := change_context c (fun x => x <| calls := rest |>) st in let two := put_reply r (without_context (reply r one)) one in
  bonded ex two /\ along (reply r two) = None /\ same_sorts st two /\ same_frame st two /\ (forall t, thread t two = thread t st)
  /\ (forall k, context_thread (context k two) = context_thread (context k st)).
Proof.
  intros ok stack. set (g := fun x : SchedContext => x <| calls := rest |>). cbv zeta.
  assert (In r (calls (context c st))) as listed_r by (rewrite stack; left; reflexivity). pose proof (called_exists r c st listed_r) as c_there.
  pose proof (proj2 (b_along ex st ok r c) listed_r) as with_c. pose proof (along_exists r c st with_c) as r_there.
  pose proof (b_once ex st ok c) as once_c. rewrite stack in once_c. apply NoDup_cons_iff in once_c. destruct once_c as (new & once_rest).
  destruct (after_context c g st) as (context1 & thread1 & reply1). rewrite c_there in context1.
  pose proof (context_frame c g st) as frame1. pose proof (context_sorts c g st (fun _ => eq_refl)) as sorts1.
  pose proof (context_live c g st (fun _ => eq_refl) (b_live ex st ok)) as alive1. set (one := change_context c g st) in *. clearbody one.
  rewrite (reply1 r). set (v := without_context (reply r st)).
  assert (reply_exists r one = true) as there1 by (rewrite (proj2 (proj2 (sorts1 r))); exact r_there).
  pose proof (fun o => reads_reply r v one o there1) as reply2. destruct (after_reply r v one) as (_ & thread2 & _).
  assert (forall k, context k (put_reply r v one) = if k =? c then g (context c st) else context k st) as contexts
    by (intros k; rewrite context_after_reply, context1, andb_true_r; reflexivity).
  split; [|split; [rewrite reply2, N.eqb_refl; reflexivity | split; [exact (same_sorts_trans _ _ _ sorts1 (reply_sorts r v one)) | split;
    [exact (frame_trans _ _ _ frame1 (reply_frame r v one)) | split; [intros t; rewrite thread2; apply thread1 | intros k; rewrite contexts;
      destruct (N.eqb_spec k c) as [->|]; reflexivity]]]]].
  apply (restacked ex st).
  - apply reply_live. exact alive1.
  - exact (frame_trans _ _ _ frame1 (reply_frame r v one)).
  - intros t. rewrite thread2. apply thread1.
  - intros k. rewrite contexts. destruct (N.eqb_spec k c) as [->|]; split; reflexivity.
  - intros o k. rewrite reply2, contexts, reply1. pose proof (b_along ex st ok o k) as both_. destruct (N.eqb_spec o r) as [->|other].
    + split; [discriminate|]. destruct (N.eqb_spec k c) as [->|other]; [intros listed; destruct (new listed)|]. intros listed. apply both_ in listed.
      congruence.
    + destruct (N.eqb_spec k c) as [->|]; [|exact both_]. rewrite both_, stack. cbn [In g]. change (calls (g (context c st))) with rest.
      split; [intros [same|listed]; [congruence | exact listed] | intros listed; right; exact listed].
  - intros k. rewrite contexts. destruct (N.eqb_spec k c) as [->|]; [exact once_rest | apply (b_once ex st ok)].
  - intros o k. rewrite reply2, reply1. destruct (N.eqb_spec o r) as [->|]; [discriminate | apply (b_called ex st ok)].
  - exact ok.
Qed.

(** A stack ends at a call: those from it on lose their context. *)
Definition lose (l : list N) (st : State) : State := fold_left (fun st r => put_reply r (without_context (reply r st)) st) l st.
Lemma lost l st : all_live st ->
  all_live (lose l st) /\ same_frame st (lose l st) /\ (forall t, thread t (lose l st) = thread t st) /\ (forall k, context k (lose l st) = context k st)
  /\ same_sorts st (lose l st) /\ forall r, reply r (lose l st) = if member r l then without_context (reply r st) else reply r st.
Proof.
  revert st. induction l as [|r l IH]; intros st alive; [split; [exact alive | repeat split]|]. unfold lose. cbn [fold_left]. fold (lose l).
  set (v := without_context (reply r st)). destruct (IH (put_reply r v st) (reply_live r v st alive))
    as (alive1 & frame1 & thread1 & context1 & sorts1 & reply1).
  fold (lose l (put_reply r v st)) in *.
  split; [exact alive1|]. split; [exact (frame_trans _ _ _ (reply_frame r v st) frame1)|]. split; [|split; [|split]].
  - intros t. rewrite thread1. apply (proj1 (proj2 (after_reply r v st))).
  - intros k. rewrite context1. apply context_after_reply.
  - exact (same_sorts_trans _ _ _ (reply_sorts r v st) sorts1).
  - intros o. assert (reply o (put_reply r v st) = if o =? r then v else reply o st) as one.
    { rewrite (proj1 (after_reply r v st)). destruct (reply_exists r st) eqn:there; [rewrite andb_true_r; reflexivity|]. rewrite andb_false_r.
      destruct (N.eqb_spec o r) as [->|]; [|reflexivity]. unfold v. rewrite (missing_reply r st there). reflexivity. }
    rewrite reply1, one. change (member o (r :: l)) with ((o =? r) || member o l). destruct (N.eqb_spec o r) as [is_r|]; cbn [orb]; [|reflexivity].
    unfold v. rewrite is_r. destruct (member r l); reflexivity.
Qed.
Lemma split_calls r l : l = calls_above r l ++ calls_from r l.
Proof. induction l as [|x l IH]; [reflexivity|]. cbn [calls_above calls_from]. destruct (x =? r); [reflexivity|]. cbn [app]. congruence. Qed.
Lemma call_in_from r l : In r l -> In r (calls_from r l).
Proof.
  induction l as [|x l IH]; [exact id|]. cbn [calls_from In]. destruct (N.eqb_spec x r) as [->|other]; [intros _; left; reflexivity|].
  intros [same|listed]; [contradiction | exact (IH listed)].
Qed.
Lemma broken ex r st : bonded ex st ->
  bonded ex (break_stack r st) /\ along (reply r (break_stack r st)) = None /\ same_sorts st (break_stack r st) /\ same_frame st (break_stack r st)
  /\ (forall t, thread t (break_stack r st) = thread t st) /\ (forall k, context_thread (context k (break_stack r st)) = context_thread (context k st)).
Proof.
  intros ok. unfold break_stack. destruct (along (reply r st)) as [c|] eqn:with_c; [|split; [exact ok | split; [exact with_c | repeat split]]]. cbv zeta.
  pose proof (proj1 (b_along ex st ok r c) with_c) as listed_r. pose proof (called_exists r c st listed_r) as c_there.
  set (stack := calls (context c st)) in *. pose proof (split_calls r stack) as parts. pose proof (b_once ex st ok c) as once_c. fold stack in once_c.
  fold (lose (calls_from r stack) st). destruct (lost (calls_from r stack) st (b_live ex st ok)) as (alive1 & frame1 & thread1 & context1 & sorts1 & reply1).
  set (one := lose (calls_from r stack) st) in *. clearbody one. set (g := fun x : SchedContext => x <| calls := calls_above r stack |>).
  destruct (after_context c g one) as (context2 & thread2 & reply2). rewrite (proj1 (proj2 (sorts1 c))), c_there in context2.
  assert (forall k, context k (change_context c g one) = if k =? c then g (context c st) else context k st) as contexts
    by (intros k; rewrite context2, andb_true_r, !context1; reflexivity).
  assert (forall o, In o (calls_above r stack) -> ~ In o (calls_from r stack)) as apart.
  { intros o above from. rewrite parts in once_c. clear - once_c above from. revert above once_c. generalize (calls_above r stack). intros l.
    induction l as [|x l IH]; [intros []|]. cbn [app]. intros [->|listed] once_c; apply NoDup_cons_iff in once_c; destruct once_c as (new & rest);
      [apply new, in_app_iff; right; exact from | exact (IH listed rest)]. }
  assert (forall o, In o stack <-> In o (calls_above r stack) \/ In o (calls_from r stack)) as either by (intros o; rewrite parts at 1; apply in_app_iff).
  split; [|split; [|split; [|split; [|split]]]].
  - apply (restacked ex st).
    + exact (context_live c g one (fun _ => eq_refl) alive1).
    + exact (frame_trans _ _ _ frame1 (context_frame c g one)).
    + intros t. rewrite thread2. apply thread1.
    + intros k. rewrite contexts. destruct (N.eqb_spec k c) as [->|]; split; reflexivity.
    + intros o k. rewrite reply2, reply1, contexts. pose proof (b_along ex st ok o k) as both_. pose proof (b_along ex st ok o c) as both_c.
      fold stack in both_c.
      destruct (member o (calls_from r stack)) eqn:from; [apply member_spec in from|].
      * split; [discriminate|]. destruct (N.eqb_spec k c) as [->|other]; [intros above; destruct (apart o above from)|]. intros listed. apply both_ in listed.
        pose proof (proj2 both_c (proj2 (either o) (or_intror from))). congruence.
      * destruct (N.eqb_spec k c) as [->|other]; [|exact both_]. change (calls (g (context c st))) with (calls_above r stack). rewrite both_c, either.
        split; [intros [above|no]; [exact above | apply member_spec in no; congruence] | intros above; left; exact above].
    + intros k. rewrite contexts. destruct (N.eqb_spec k c) as [->|]; [|apply (b_once ex st ok)]. change (NoDup (calls_above r stack)).
      rewrite parts in once_c. clear - once_c. revert once_c. generalize (calls_above r stack). intros l.
      induction l as [|x l IH]; intros once_c; [constructor|].
      cbn [app] in once_c. apply NoDup_cons_iff in once_c. destruct once_c as (new & rest).
      constructor; [intros listed; apply new, in_app_iff; left; exact listed | exact (IH rest)].
    + intros o k. rewrite reply2, reply1. destruct (member _ _); [discriminate | apply (b_called ex st ok)].
    + exact ok.
  - rewrite reply2, reply1. apply call_in_from, member_spec in listed_r. rewrite listed_r. reflexivity.
  - exact (same_sorts_trans _ _ _ sorts1 (context_sorts c g one (fun _ => eq_refl))).
  - exact (frame_trans _ _ _ frame1 (context_frame c g one)).
  - intros t. rewrite thread2. apply thread1.
  - intros k. rewrite contexts. destruct (N.eqb_spec k c) as [->|]; reflexivity.
Qed.

(** ** Answers that come, and calls that end *)
Lemma not_along ex r st : bonded ex st -> caller (reply r st) = None -> along (reply r st) = None.
Proof. intros ok no. destruct (along (reply r st)) as [c|] eqn:with_c; [destruct (b_called ex st ok r c with_c no) | reflexivity]. Qed.
Lemma not_in_queue t st : bonded none st -> run_state (thread t st) <> Running -> ~ In t (queue st).
Proof. intros ok other listed. apply (b_queued none st ok t (fun no => no)) in listed. exact (cannot_run t st other listed). Qed.
Lemma still_free r st : along (reply r st) = None -> along (reply r (put_reply r unused_reply st)) = None.
Proof. intros _. rewrite put_unused. reflexivity. Qed.
Lemma freed_again ex r st : bonded ex st -> along (reply r st) = None -> bonded ex (put_reply r unused_reply st).
Proof. intros ok no. apply calm_reply; [symmetry; exact no | intros some; destruct (some eq_refl) | exact ok]. Qed.
Lemma given_to_stopped c t st : bonded none st -> thread_exists t st = true -> not_zombie t st -> context_of t st = None -> context_exists c st = true ->
  run_state (thread t st) <> Running -> bonded none (give_context c t st) /\ forall r, reply r (give_context c t st) = reply r st.
Proof.
  intros ok there alive free c_there stops. destruct (given none c t st ok there alive free c_there) as (after & replies & fewer & states & _).
  split; [|exact replies]. apply (settled_at (also t none) none t); [| intros u other [[]|is_t]; contradiction | exact after].
  pose proof (not_in_queue t st ok stops) as away. split; [intros listed; destruct (away (fewer t listed)) | intros (runs & _); rewrite states in runs;
    contradiction].
Qed.
Lemma context_returned r t st : bonded none st -> thread_exists t st = true -> not_zombie t st -> run_state (thread t st) <> Running ->
  bonded none (return_context r t st) /\ along (reply r (return_context r t st)) = None.
Proof.
  intros ok there alive stops. unfold return_context. destruct (along (reply r st)) as [c|] eqn:with_c; [|split; assumption].
  destruct (broken none r st ok) as (cut & no_along & _). pose proof (conj cut no_along) as usual.
  destruct (calls (context c st)) as [|last_ rest] eqn:stack; [exact usual|]. destruct (N.eqb_spec last_ r) as [->|]; [|exact usual]. cbv zeta.
  destruct (popped none r c rest st ok stack) as (after & no & sorts & (same_slots & _) & threads & _).
  assert (context_exists c st = true) as c_there by (apply (called_exists r); rewrite stack; left; reflexivity).
  set (two := put_reply r (without_context (reply r (change_context c (fun x => x <| calls := rest |>) st))) (change_context c (fun x => x <|
    calls := rest |>) st)) in *.
  clearbody two. destruct (context_of t two) eqn:has; [split; assumption|].
  destruct (given_to_stopped c t two after) as (back & replies); [rewrite (proj1 (sorts t)); exact there | exact (not_zombie_same t st two same_slots alive) |
    exact has | rewrite (proj1 (proj2 (sorts c))); exact c_there | rewrite threads; exact stops|].
  split; [exact back | rewrite replies; exact no].
Qed.
Lemma call_finished t h st : bonded none st -> ~ In t (queue st) -> bonded none (end_call_of t h st) /\ same_bonds st (end_call_of t h st).
Proof.
  intros ok away. unfold end_call_of. destruct (fault (thread t st)).
  - split; [|apply thread_bonds; reflexivity]. apply (parked none none); [reflexivity | discriminate | intros u _ no; exact no | exact away | exact ok].
  - cbv zeta. destruct (@keeps_set_error_result _ _ _ _ (steady_quietly none st) Error.CallCancelled t st (steady_start none st ok)) as (told & same).
    change (bonded none (set_error_result Error.CallCancelled t st)) in told.
    destruct (woken none none t _ (fun u _ no => no) told) as (one & two), (woken_bonds t (set_error_result Error.CallCancelled t st)) as (three & four).
    destruct h; (split; [assumption|]); [exact (same_bonds_trans _ _ _ same three) | exact (same_bonds_trans _ _ _ same four)].
Qed.
Definition forgets_reply (x : Thread) : Thread :=
  match run_state x with BlockedOnReceive e _ q g => with_state (BlockedOnReceive e None q g) x | _ => x end.
Lemma forgets_context x : sched_context (forgets_reply x) = sched_context x.
Proof. unfold forgets_reply. destruct (run_state x); reflexivity. Qed.
Lemma forgets_running x : run_state (forgets_reply x) = Running <-> run_state x = Running.
Proof. unfold forgets_reply. destruct (run_state x) eqn:state; rewrite ?state; try reflexivity. split; discriminate. Qed.
Lemma freed_bonds r st : waiting nobody st -> bonded none st -> bonded none (free_reply r st).
Proof.
  intros wait ok. unfold free_reply. cbv zeta. set (one := match caller (reply r st) with Some t => _ | None => st end).
  assert (bonded none one /\ along (reply r one) = None) as (after & no).
  { unfold one. destruct (caller (reply r st)) as [t|] eqn:called; [|split; [exact ok | exact (not_along none r st ok called)]].
    destruct (is_caller _ r st t wait called) as (g & state).
    assert (run_state (thread t st) <> Inactive) as active by (rewrite state; discriminate).
    destruct (context_returned r t st ok (thread_is t st active) (awake nobody t st wait active) ltac:(rewrite state; discriminate)) as (back & no).
    destruct (@keeps_return_context _ _ _ _ (still_quietly nobody st) r t eq_refl st (still_start nobody st wait)) as (_ & same).
    pose proof (freed_again none r _ back no) as two. set (two_ := put_reply r unused_reply (return_context r t st)) in *.
    assert (~ In t (queue two_)) as away.
    { apply (not_in_queue t two_ two). unfold two_. rewrite (proj1 (proj2 (after_reply r unused_reply _))), (same_state _ _ same), state. discriminate. }
    destruct (call_finished t (is_some (context_of t st)) two_ two away) as (three & alike). split; [exact three|].
    rewrite (same_along _ _ alike). unfold two_. rewrite put_unused. reflexivity. }
  clearbody one. destruct (receiver (reply r one)) as [t|]; [|exact (freed_again none r one after no)]. fold forgets_reply.
  apply freed_again; [apply calm_thread; [exact forgets_context | exact forgets_running | exact after]|].
  rewrite (same_along _ _ (thread_bonds t forgets_reply one forgets_context)). exact no.
Qed.

(** ** Leaving *)
Lemma stopped_bonds t st : waiting nobody st -> bonded none st -> bonded none (stop_waiting t st).
Proof.
  intros wait ok. unfold stop_waiting. destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n] eqn:state.
  - exact ok.
  - exact ok.
  - pose proof (calm_endpoint none e (fun x => x <| receivers := without t (receivers x) |>) st ok) as left_. destruct r as [r|]; [|exact left_].
    apply freed_again; [exact left_|]. rewrite same_replies. apply (not_along none r st ok).
    assert (receiver (reply r st) = Some t) as named by (apply (w_stands nobody st wait t (AsReceiver r)); rewrite state; split;
      [exact (fun no => no) | reflexivity]).
    destruct (w_one nobody st wait r) as [no|no]; [exact no | congruence].
  - apply calm_endpoint. exact ok.
  - destruct (broken none r st ok) as (cut & no & _). exact (freed_again none r _ cut no).
  - apply calm_notification. exact ok.
Qed.
Lemma yield_ended t st : waiting nobody st -> bonded none st -> waiting nobody (end_yield t st) /\ bonded none (end_yield t st).
Proof. intros wait ok. split; [exact (@keeps_end_yield _ _ _ _ (waiting_quietly nobody) t st wait) |
  exact (@keeps_end_yield _ _ _ _ (bonded_quietly none) t st ok)]. Qed.
Lemma suspended_bonds t st : waiting nobody st -> bonded none st -> bonded none (suspend t st).
Proof.
  intros wait_ ok_. unfold suspend. cbv zeta. destruct (yield_ended t st wait_ ok_) as (wait & ok). revert wait ok. generalize (end_yield t st). clear.
  intros st wait ok.
  pose proof (stopped_bonds t st wait ok) as away.
  assert (bonded none (change_thread t (fun x => with_state Inactive (x <| fault := None |>)) (unplace t (stop_waiting t st)))) as inactive
    by (apply (unplaced_and_parked none none); [reflexivity | discriminate | intros u _ no; exact no | exact away]).
  set (one := change_thread t _ _) in *. clearbody one. assert (forall f, (forall x, sched_context (f x) = sched_context x) ->
    (forall x, run_state (f x) = run_state x) ->
    bonded none (change_thread t f one)) as more
    by (intros f same states; apply calm_thread; [exact same | intros x; rewrite states; reflexivity | exact inactive]).
  destruct (is_some _); [exact inactive|]. destruct (run_state (thread t st)); try exact inactive; apply more;
    intros x; unfold to_restart, with_error_result, with_result; first [apply uses_of_registers | apply state_of_registers | reflexivity].
Qed.
Lemma woken_none t st : bonded none st -> bonded none (wake t st) /\ bonded none (wake_ahead t st).
Proof. apply woken. intros u _ no. exact no. Qed.
Lemma restarted_bonds t st : waiting nobody st -> bonded none st -> bonded none (restart t st).
Proof.
  intros wait ok. unfold restart. destruct (fault (thread t st)); [|exact (proj1 (woken_none t _ (suspended_bonds t st wait ok)))].
  apply (inactivated none none); [intros u _ no; exact no | exact (stopped_bonds t st wait ok)].
Qed.

(** ** Contexts that notifications lend *)
Lemma lent_returned (ex : Excused) t n st : bonded ex st -> ~ In t (queue st) -> bonded ex (return_lent_context t n st).
Proof.
  intros ok away. unfold return_lent_context. destruct (lent_context (notification n st)) as [a|]; [|exact ok].
  destruct (context_of t st) as [b|] eqn:has; [|exact ok]. destruct (N.eqb_spec a b) as [->|]; [|exact ok].
  exact (proj1 (let_gone ex ex t b st ok (proj1 (b_had ex st ok t b) has) away (fun u _ is_ex => is_ex))).
Qed.
Lemma lent_there n c st : linked st -> lent_context (notification n st) = Some c -> context_exists c st = true.
Proof.
  intros ok lent. apply (both_lent _ (linked_both st ok)) in lent. destruct (lender_exists c st n lent) as (x & there & _). unfold context_exists.
  rewrite there.
  reflexivity.
Qed.
Lemma taken ex t n st : linked st -> bonded ex st -> thread_exists t st = true -> not_zombie t st -> bonded (also t ex) (take_flags t n st).
Proof.
  intros link ok there alive. unfold take_flags. cbv zeta. set (f := fun x : Notification => _). set (g := with_result _ _ _).
  assert (linked (change_thread t g (change_notification n f st))) as link1.
  { refine (@keeps_change_thread _ _ _ _ linked_quietly t g _ _ (@keeps_change_notification _ _ _ _ linked_quietly n f _ st link)).
    - intros x. split; [intros _; apply bound_of_registers | discriminate].
    - intros x. repeat split; reflexivity. }
  pose proof (calm_thread ex t g _ (fun x => uses_of_registers _ x) (fun x => eq_ind_r (fun s => s = Running <-> run_state x = Running) (iff_refl _)
    (state_of_registers _ x))
    (calm_notification ex n f st ok)) as ok1.
  assert (thread_exists t (change_thread t g (change_notification n f st)) = true) as there1.
  { rewrite (proj1 (thread_sorts t g _ t)). unfold change_notification. destruct (objects st !! n) as [[]|] eqn:at_n; try exact there.
    rewrite (proj1 (put_sorts n (NotificationObject _) _ st at_n I t)). exact there. }
  assert (not_zombie t (change_thread t g (change_notification n f st))) as alive1.
  { apply (not_zombie_same t st); [|exact alive]. rewrite (proj1 (thread_frame t g _)). exact (proj1 (notification_frame n f st)). }
  revert link1 ok1 there1 alive1. generalize (change_thread t g (change_notification n f st)). clear. intros st link ok there alive.
  unfold lend_context. destruct (lent_context (notification n st)) as [c|] eqn:lent; [|exact (weaker ex (also t ex) st (fun u is_ex => or_introl is_ex) ok)].
  destruct (context_of t st) eqn:has; [exact (weaker ex (also t ex) st (fun u is_ex => or_introl is_ex) ok)|].
  destruct (context_thread (context c st)); [exact (weaker ex (also t ex) st (fun u is_ex => or_introl is_ex) ok)|].
  exact (proj1 (given ex c t st ok there alive has (lent_there n c st link lent))).
Qed.

(** ** Sender and receiver meet *)
Lemma thread_stays a b e : stay a b -> thread_exists e a = true -> thread_exists e b = true.
Proof.
  intros (_ & all_). unfold thread_exists. destruct (objects a !! e) as [x|] eqn:there; [|discriminate].
  destruct (all_ e x there) as (y & -> & kind). destruct x, y; try contradiction; try discriminate; reflexivity.
Qed.
Lemma context_stays a b c : stay a b -> context_exists c a = true -> context_exists c b = true.
Proof.
  intros (_ & all_). unfold context_exists. destruct (objects a !! c) as [x|] eqn:there; [|discriminate].
  destruct (all_ c x there) as (y & -> & kind). destruct x, y; try contradiction; try discriminate; reflexivity.
Qed.
Lemma stay_refl st : all_live st -> stay st st.
Proof. intros alive. split; [exact alive|]. intros o x there. exists x. split; [exact there | apply same_kind_refl]. Qed.

(** A caller that nobody can answer. *)
Lemma unanswered s st : bonded none st -> let after := end_unanswered s st in
  bonded none after /\ slots after = slots st /\ stay st after /\ same_bonds st after.
Proof.
  intros ok. unfold end_unanswered. pose proof (stay_refl st (b_live none st ok)) as start. destruct (fault (thread s st)); cbv zeta.
  - split; [apply (inactivated none none); [intros u _ no; exact no | exact ok]|].
    split; [exact (proj1 (@keeps_make_inactive _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) s eq_refl st (conj eq_refl eq_refl)))|].
    split; [exact (@keeps_make_inactive _ _ _ _ (stay_quietly st) s eq_refl st start)|].
    apply (same_bonds_trans _ (unplace s st)); [apply same_bonds_objects; reflexivity | apply thread_bonds; reflexivity].
  - destruct (@keeps_set_error_result _ _ _ _ (steady_quietly none st) Error.CallCancelled s st (steady_start none st ok)) as (told & same).
    change (bonded none (set_error_result Error.CallCancelled s st)) in told.
    pose proof (@keeps_set_error_result _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) Error.CallCancelled s st (conj eq_refl eq_refl)) as tables.
    pose proof (@keeps_set_error_result _ _ _ _ (stay_quietly st) Error.CallCancelled s st start) as stays.
    set (one := set_error_result Error.CallCancelled s st) in *. clearbody one. destruct (is_running s one);
      [exact (conj told (conj (proj1 tables) (conj stays same)))|].
    split; [exact (proj1 (woken_none s one told))|].
    split; [exact (proj1 (@keeps_wake _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) s eq_refl one tables))|].
    split; [exact (@keeps_wake _ _ _ _ (stay_quietly st) s eq_refl one stays) | exact (same_bonds_trans _ _ _ same (proj1 (woken_bonds s one)))].
Qed.
Lemma begin_call_context s x : sched_context (begin_call s x) = sched_context x.
Proof. unfold begin_call. destruct (is_some (fault x)); [reflexivity | exact (uses_of_registers _ x)]. Qed.
Lemma begin_receive_context s x : sched_context (begin_receive s x) = sched_context x.
Proof. exact (uses_of_registers _ x). Qed.
Lemma met_bonds ex s t e b r rg g gr c l st :
  waiting ex st -> bonded none st -> s <> t -> run_state (thread s st) <> Inactive -> run_state (thread t st) <> Inactive ->
  (forall r', r = Some r' -> reply_exists r' st = true /\ caller (reply r' st) = None) ->
  bonded none (meet s t e b r rg g gr c l st).
Proof.
  intros wait ok apart s_waits t_waits free. unfold meet. cbv zeta. set (lends := lends_now _ _ _ _).
  assert (lends = true -> context_of t st = None) as t_has_none
    by (unfold lends, lends_now; destruct (context_of t st); [rewrite andb_false_r; discriminate | reflexivity]).
  clearbody lends.
  pose proof (@keeps_deliver _ _ _ _ (stay_quietly st) (stay_kept st) (message_of s st) (Some e) b g s t st (stay_start ex st wait)) as stays.
  change (stay st (deliver (message_of s st) (Some e) b g s t st)) in stays.
  destruct (@keeps_deliver _ _ _ _ (still_quietly ex st) (still_kept ex st) (message_of s st) (Some e) b g s t st (still_start ex st wait)) as (wait1 & states).
  change (waiting ex (deliver (message_of s st) (Some e) b g s t st)) in wait1.
  destruct (@keeps_deliver _ _ _ _ (steady_quietly none st) (steady_kept none st) (message_of s st) (Some e) b g s t st (steady_start none st ok))
    as (told & same).
  change (bonded none (deliver (message_of s st) (Some e) b g s t st)) in told.
  set (one := deliver (message_of s st) (Some e) b g s t st) in *. clearbody one.
  assert (thread_exists t one = true) as t_there by (apply (thread_stays st one t stays), thread_is; exact t_waits).
  assert (not_zombie t one) as alive by (apply (awake ex t one wait1); rewrite (same_state _ _ states); exact t_waits).
  assert (forall r', r = Some r' -> reply_exists r' one = true /\ along (reply r' one) = None) as free1.
  { intros r' is_r. destruct (free r' is_r) as (there & no). split; [exact (reply_stays _ _ r' stays there)|].
    apply (not_along none r' one told). rewrite (same_caller _ _ states). exact no. }
  set (two := match r with Some r => put_reply r unused_reply one | None => one end).
  assert (bonded none two /\ (forall r', r = Some r' -> reply_exists r' two = true /\ along (reply r' two) = None) /\ (forall u, thread u two = thread u one)
          /\ same_sorts one two /\ slots two = slots one) as (ok2 & free2 & threads2 & sorts2 & slots2).
  { unfold two. destruct r as [r|]; [|split; [exact told | split; [exact free1 | repeat split]]]. destruct (free1 r eq_refl) as (there & no).
    split; [exact (freed_again none r one told no)|]. split; [|split; [exact (proj1 (proj2 (after_reply r unused_reply one))) | split;
      [exact (reply_sorts r unused_reply one) | exact (proj1 (reply_frame r unused_reply one))]]].
    intros r' is_r. injection is_r as <-. rewrite put_unused, (proj2 (proj2 (reply_sorts r unused_reply one r))). split; [exact there | reflexivity]. }
  clearbody two. clear free1.
  set (lent := if lends then context_of s two else None).
  assert (forall k, lent = Some k -> context_of s two = Some k /\ context_of t two = None) as lent_is.
  { intros k is_k. unfold lent in is_k. destruct lends; [|discriminate]. split; [exact is_k|]. unfold context_of. rewrite threads2, (same_had _ _ same).
    exact (t_has_none eq_refl). }
  clearbody lent. set (three := match c with true => _ | false => _ end).
  assert (bonded none three /\ slots three = slots two /\ (forall u, thread_exists u two = true -> thread_exists u three = true)
          /\ (forall u, context_exists u two = true -> context_exists u three = true)
          /\ sched_context (thread t three) = sched_context (thread t two)) as (ok3 & slots3 & exists3 & contexts3 & had3).
  { assert (forall f, (forall x, sched_context (f x) = sched_context x) -> (forall x, run_state (f x) <> Running) ->
      let after := change_thread s f (unplace s two) in
      bonded none after /\ slots after = slots two /\ (forall u, thread_exists u after = thread_exists u two)
      /\ (forall u, context_exists u after = context_exists u two) /\ (forall u, sched_context (thread u after) = sched_context (thread u two))
      /\ (forall o, reply o after = reply o two) /\ forall o, reply_exists o after = reply_exists o two) as stops.
    { intros f keeps_ stops_. cbv zeta. split; [apply (unplaced_and_parked none none); [exact keeps_ | exact stops_ | intros u _ no; exact no | exact ok2]|].
      pose proof (thread_sorts s f (unplace s two)) as sorts. split; [exact (proj1 (thread_frame s f (unplace s two)))|].
      split; [intros u; exact (proj1 (sorts u)) | split; [intros u; exact (proj1 (proj2 (sorts u))) | split; [|split]]].
      - intros u. exact (same_had _ _ (thread_bonds s f (unplace s two) keeps_) u).
      - exact (proj2 (proj2 (after_thread s f (unplace s two)))).
      - intros o. exact (proj2 (proj2 (sorts o))). }
    assert (bonded none (end_unanswered s two) /\ slots (end_unanswered s two) = slots two
      /\ (forall u, thread_exists u two = true -> thread_exists u (end_unanswered s two) = true)
      /\ (forall u, context_exists u two = true -> context_exists u (end_unanswered s two) = true)
      /\ sched_context (thread t (end_unanswered s two)) = sched_context (thread t two)) as ends.
    { destruct (unanswered s two ok2) as (after & same_slots & stays_ & bonds). split; [exact after|]. split; [exact same_slots|].
      split; [intros u; exact (thread_stays two _ u stays_) | split; [intros u; exact (context_stays two _ u stays_) | apply (same_had _ _ bonds)]]. }
    unfold three. clear three. destruct c; [|split; [exact ok2 | repeat split; auto]]. cbn [andb].
    destruct (answerable r g gr); [|exact ends]. destruct r as [r|]; [|exact ends].
    set (f := begin_call (BlockedOnReply r rg)).
    destruct (stops f (begin_call_context (BlockedOnReply r rg)) ltac:(discriminate)) as (ok4 & slots4 & exists4 & contexts4 & had4 & replies4 & reply_exists4).
    fold f. set (four := change_thread s f (unplace s two)) in *. clearbody four. destruct (free2 r eq_refl) as (r_there & no_along).
    assert (reply_exists r four = true) as r_there4 by (rewrite reply_exists4; exact r_there).
    assert (along (reply r four) = None) as no_along4 by (rewrite replies4; exact no_along).
    destruct lent as [k|].
    - destruct (lent_is k eq_refl) as (has & _). unfold context_of in has. rewrite <- had4 in has. destruct (had_exists none s k four ok4 has) as (_ & k_there).
      set (v := {| caller := Some s; receiver := None; along := Some k |}). set (h := fun x : SchedContext => x <| calls := r :: calls x |>).
      pose proof (same_sorts_trans _ _ _ (reply_sorts r v four) (context_sorts k h (put_reply r v four) (fun _ => eq_refl))) as sorts.
      split; [exact (pushed none r k s four ok4 r_there4 no_along4 k_there)|].
      split; [rewrite (proj1 (context_frame k h _)), (proj1 (reply_frame r v four)); exact slots4|].
      split; [intros u; rewrite (proj1 (sorts u)), exists4; exact id|]. split; [intros u; rewrite (proj1 (proj2 (sorts u))), contexts4; exact id|].
      rewrite (proj1 (proj2 (after_context k h _))), (proj1 (proj2 (after_reply r v four))). apply had4.
    - set (v := {| caller := Some s; receiver := None; along := None |}). pose proof (reply_sorts r v four) as sorts.
      split; [apply calm_reply; [symmetry; exact no_along4 | intros some; destruct (some eq_refl) | exact ok4]|].
      split; [rewrite (proj1 (reply_frame r v four)); exact slots4|].
      split; [intros u; rewrite (proj1 (sorts u)), exists4; exact id|]. split; [intros u; rewrite (proj1 (proj2 (sorts u))), contexts4; exact id|].
      rewrite (proj1 (proj2 (after_reply r v four))). apply had4. }
  clearbody three. destruct lent as [k|].
  - destruct (lent_is k eq_refl) as (has & none_). destruct (had_exists none s k two ok2 has) as (_ & k_there).
    destruct (given none k t three ok3) as (after & _).
    + apply exists3. rewrite (proj1 (sorts2 t)). exact t_there.
    + apply (not_zombie_same t one); [congruence | exact alive].
    + unfold context_of. rewrite had3. exact none_.
    + exact (contexts3 k k_there).
    + refine (proj2 (woken (also t none) none t _ _ after)). intros u other [[]|is_t]. contradiction.
  - destruct (is_running t three); [exact ok3 | exact (proj1 (woken_none t three ok3))].
Qed.

(** ** Sending and receiving *)
Lemma sent_bonds t e b g gr c l w st : waiting nobody st -> bonded none st -> run_state (thread t st) = Running ->
  bonded none (snd (send t e b g gr c l w st)).
Proof.
  intros wait ok runs. unfold send. destruct (receivers (endpoint e st)) as [|first rest] eqn:queue_.
  - destruct w; [|exact ok]. cbn [snd]. apply calm_endpoint. apply (unplaced_and_parked none none); [reflexivity | discriminate | intros u _ no;
      exact no | exact ok].
  - assert (In first (receivers (endpoint e st))) as listed by (rewrite queue_; left; reflexivity).
    pose proof (proj1 (w_stands nobody st wait first (InReceivers e)) listed) as (_ & named).
    destruct (run_state (thread first st)) as [| |x r q rg| | |] eqn:state; try contradiction. apply receives_at in named. subst x. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [exact ok|]. cbn [snd].
    pose proof (pop_receivers nobody e st first rest wait queue_) as popped_. set (one := change_endpoint e (fun x => x <| receivers := rest |>) st) in *.
    assert (forall o, run_state (thread o one) = run_state (thread o st)) as states by apply only_threads.
    apply (met_bonds (plus nobody first (InReceivers e))).
    + exact popped_.
    + apply calm_endpoint. exact ok.
    + congruence.
    + rewrite states, runs. discriminate.
    + rewrite states, state. discriminate.
    + intros r' ->. assert (receiver (reply r' st) = Some first) as is_first
        by (apply (w_stands nobody st wait first (AsReceiver r')); rewrite state; split; [exact id | reflexivity]).
      unfold one. rewrite !same_replies. split; [apply reply_after_endpoint, reply_is; right; congruence|].
      destruct (w_one nobody st wait r') as [no|no]; [exact no | congruence].
Qed.
Lemma refused_bonds t st : bonded none st -> run_state (thread t st) <> Running -> bonded none (refuse_sender t st).
Proof.
  intros ok stops. unfold refuse_sender. destruct (fault (thread t st)).
  - apply (parked none none); [reflexivity | discriminate | intros u _ no; exact no | exact (not_in_queue t st ok stops) | exact ok].
  - cbv zeta. exact (proj1 (woken_none t _ (@keeps_set_error_result _ _ _ _ (bonded_quietly none) Error.NoDonation t st ok))).
Qed.
Lemma received_bonds l t e r g st : waiting nobody st -> bonded none st -> run_state (thread t st) = Running -> senders (endpoint e st) = l ->
  (forall r', r = Some r' -> caller (reply r' st) = None /\ receiver (reply r' st) = None) -> (forall r', r = Some r' -> reply_exists r' st = true) ->
  bonded none (snd (receive_from l t e r g st)).
Proof.
  destruct l as [|s rest]; intros wait ok runs queue_ free there; cbn [receive_from]; [exact ok|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue_; left; reflexivity).
  destruct (is_sender nobody e st s wait listed) as (b & sg & gr & c & k & state). rewrite state. cbv zeta.
  pose proof (pop_senders nobody e st s rest (fun x => x <| senders := rest |>) wait queue_ eq_refl) as popped_.
  pose proof (calm_endpoint none e (fun x => x <| senders := rest |>) st ok) as ok1.
  set (one := change_endpoint e (fun x => x <| senders := rest |>) st) in *.
  assert (forall o, run_state (thread o one) = run_state (thread o st)) as states by apply only_threads.
  assert (forall o, reply o one = reply o st) as replies by apply same_replies.
  assert (s <> t) as apart by congruence.
  cbn [snd]. assert (bonded none (meet s t e b r g sg gr c k one)) as after.
  { apply (met_bonds (plus nobody s (InSenders e))); [exact popped_ | exact ok1 | exact apart | rewrite states, state; discriminate | rewrite states, runs;
      discriminate|].
    intros r' is_r. rewrite replies. split; [apply reply_after_endpoint; exact (there r' is_r) | exact (proj1 (free r' is_r))]. }
  destruct c; [exact after|].
  exact (proj1 (woken_none s _ (@keeps_set_empty_result _ _ _ _ (bonded_quietly none) s _ after))).
Qed.
Lemma first_refused_bonds e r st : waiting nobody st -> bonded none st -> bonded none (refuse_first e r st).
Proof.
  intros wait ok. unfold refuse_first, first_refused. destruct (senders (endpoint e st)) as [|s rest] eqn:queue_; [exact ok|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue_; left; reflexivity).
  destruct (is_sender nobody e st s wait listed) as (b & sg & gr & c & l & state). rewrite state. destruct (_ && _); [exact ok|]. cbv zeta.
  apply refused_bonds; [apply calm_endpoint; exact ok | rewrite only_threads, state; discriminate].
Qed.

(** ** Receiving *)
Lemma same_to_take t n st : (forall u, In u (queue (take_flags t n st)) -> In u (queue st)) /\ (context_of t st <> None -> exists f g,
  take_flags t n st = change_thread t g (change_notification n f st) /\ (forall x, sched_context (g x) = sched_context x)
    /\ forall x, run_state (g x) = run_state x).
Proof.
  unfold take_flags. cbv zeta. set (f := fun x : Notification => _). set (g := with_result _ _ _). set (one := change_thread t g (change_notification n f st)).
  assert (queue one = queue st) as queue1.
  { unfold queue, one. destruct (thread_frame t g (change_notification n f st)) as (_ & a & b), (notification_frame n f st) as (_ & d & h). congruence. }
  assert (context_of t one = context_of t st) as has1.
  { unfold context_of, one. rewrite (same_had _ _ (thread_bonds t g _ (fun x => uses_of_registers _ x))). apply (same_had _ _ (notification_bonds n f st)). }
  unfold lend_context. split.
  - intros u. destruct (lent_context (notification n one)) as [c|]; [|rewrite queue1; exact id].
    destruct (context_of t one); [rewrite queue1; exact id|]. destruct (context_thread (context c one)) eqn:nobody_; [rewrite queue1; exact id|].
    unfold give_context. rewrite nobody_. intros listed. rewrite <- queue1. revert listed. unfold queue.
    destruct (thread_frame t (fun x => x <| sched_context := Some c |>) (change_context c (fun x => x <| context_thread := Some t |>) one)) as (_ & a & b),
      (context_frame c (fun x => x <| context_thread := Some t |>) one) as (_ & d & h). rewrite a, b, d, h. exact id.
  - intros some. exists f, g. split; [|split; [intros x; apply uses_of_registers | intros x; apply state_of_registers]].
    destruct (lent_context (notification n one)) as [c|]; [|reflexivity]. destruct (context_of t one); [reflexivity | congruence].
Qed.
Lemma taken_at_once t n st : linked st -> waiting nobody st -> bonded none st -> run_state (thread t st) = Running -> let after := take_flags t n st in
  bonded none (if is_some (context_of t after) && negb (member t (ready after)) then wake_ahead t after else after).
Proof.
  intros link wait ok runs after.
  assert (run_state (thread t st) <> Inactive) as active by (rewrite runs; discriminate).
  pose proof (taken none t n st link ok (thread_is t st active) (awake nobody t st wait active)) as took. fold after in took.
  destruct (same_to_take t n st) as (fewer & keeps_). fold after in fewer, keeps_.
  destruct (context_of t st) as [c|] eqn:has.
  - destruct (keeps_ ltac:(discriminate)) as (f & g & is_after & same & states).
    assert (bonded none after) as told.
    { rewrite is_after. apply calm_thread; [exact same | intros x; rewrite states; reflexivity | apply calm_notification; exact ok]. }
    destruct (_ && _); [exact (proj2 (woken_none t after told)) | exact told].
  - assert (~ In t (queue after)) as away.
    { intros listed. apply fewer in listed. apply (b_queued none st ok t (fun no => no)) in listed. destruct listed as (_ & c & no & _).
      unfold context_of in has. congruence. }
    destruct (context_of t after) as [c|] eqn:has2; cbn [is_some andb].
    + destruct (member t (ready after)) eqn:queued_; [exfalso; apply away; unfold queue; apply in_app_iff; left; apply member_spec; exact queued_|]. cbn [negb].
      refine (proj2 (woken (also t none) none t after _ took)). intros u other [[]|is_t]. contradiction.
    + apply (settled_at (also t none) none t); [| intros u other [[]|is_t]; contradiction | exact took].
      split; [intros listed; destruct (away listed) | intros (_ & c & no & _); unfold context_of in has2; congruence].
Qed.
Lemma receives_bonds t e r q g w st : linked st -> waiting nobody st -> bonded none st -> run_state (thread t st) = Running -> endpoint_exists e st = true ->
  (forall r', r = Some r' -> reply_exists r' st = true) -> bonded none (receive t e r q g w st).
Proof.
  intros link wait ok runs e_there r_there. unfold receive. cbv zeta. set (one := match r with Some r => free_reply r st | None => st end).
  assert (linked one /\ waiting nobody one /\ bonded none one /\ run_state (thread t one) = Running
          /\ (forall r', r = Some r' -> caller (reply r' one) = None /\ receiver (reply r' one) = None)
          /\ forall r', r = Some r' -> reply_exists r' one = true)
    as (link1 & wait1 & ok1 & runs1 & free & r1).
  { unfold one. destruct r as [r|]; [|split; [exact link | split; [exact wait | split; [exact ok | split; [exact runs | split; intros r' no;
      discriminate no]]]]].
    destruct (reply_freed r st wait) as (after & unused & keep_running).
    pose proof (@keeps_free_reply _ _ _ _ (stay_quietly st) r eq_refl st (stay_start nobody st wait)) as stays.
    split; [exact (@keeps_free_reply _ _ _ _ linked_quietly r eq_refl st link)|]. split; [exact after|]. split; [exact (freed_bonds r st wait ok)|].
    split; [exact (keep_running t runs)|]. split.
    - intros r' is_r. injection is_r as <-. rewrite unused. split; reflexivity.
    - intros r' is_r. exact (reply_stays _ _ r' stays (r_there r' is_r)). }
  clearbody one. clear st link wait ok runs e_there r_there. rename one into st.
  set (bound := bound_notification (thread t st)).
  assert (bonded none (let (got, after) := receive_from (senders (endpoint e st)) t e r g st in
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
  { destruct (received (senders (endpoint e st)) t e r g st wait1 runs1 eq_refl free r1) as (_ & kept_).
    pose proof (received_bonds (senders (endpoint e st)) t e r g st wait1 ok1 runs1 eq_refl free r1) as after.
    destruct (receive_from (senders (endpoint e st)) t e r g st) as (got & two). cbn [fst snd] in *. destruct got; [exact after|].
    destruct (kept_ eq_refl) as (_ & free2).
    destruct w; [|exact (@keeps_set_empty_result _ _ _ _ (bonded_quietly none) t two after)].
    set (f := begin_receive (BlockedOnReceive e r q g)). pose proof (same_had _ _ (thread_bonds t f (unplace t two) (begin_receive_context _))) as had3.
    assert (bonded none (change_thread t f (unplace t two))) as three
      by (apply (unplaced_and_parked none none); [apply begin_receive_context | discriminate | intros u _ no; exact no | exact after]).
    assert (~ In t (queue (change_thread t f (unplace t two)))) as away.
    { unfold queue. destruct (thread_frame t f (unplace t two)) as (_ & a & b). rewrite a, b. apply not_in_unplaced. }
    assert (forall o, reply o (change_thread t f (unplace t two)) = reply o two) as replies by exact (proj2 (proj2 (after_thread t f (unplace t two)))).
    set (three_ := change_thread t f (unplace t two)) in *. clearbody three_. clear had3.
    set (h := fun x : Endpoint => x <| receivers := insert_behind t (receivers x) three_ |>).
    assert (bonded none (change_endpoint e h three_)) as four by (apply calm_endpoint; exact three).
    assert (~ In t (queue (change_endpoint e h three_))) as away4
      by (unfold queue; destruct (endpoint_frame e h three_) as (_ & a & b); rewrite a, b; exact away).
    set (five := match r with Some r => put_reply r _ | None => fun st => st end _).
    assert (bonded none five /\ ~ In t (queue five)) as (done & away5).
    { unfold five. destruct r as [r|]; [|split; assumption]. split.
      - apply calm_reply; [|intros some; destruct (some eq_refl) | exact four]. symmetry. apply (not_along none r _ four). rewrite same_replies, replies.
        exact (proj1 (free2 r eq_refl)).
      - unfold queue. destruct (reply_frame r {| caller := None; receiver := Some t; along := None |} (change_endpoint e h three_)) as (_ & a & b).
        rewrite a, b. exact away4. }
    destruct bound as [n|]; [exact (lent_returned none t n five done away5) | exact done]. }
  destruct bound as [n|]; [destruct (is_signalled t st)|].
  - exact (taken_at_once t n st link1 wait1 ok1 runs1).
  - destruct (receive_from (senders (endpoint e st)) t e r g st) as ([|] & two); [exact usual|]. destruct w; [|exact usual]. destruct r; exact usual.
  - destruct (receive_from (senders (endpoint e st)) t e r g st) as ([|] & two); [exact usual|]. destruct w; [|exact usual]. destruct r; exact usual.
Qed.
Lemma waited_bonds t n w st : linked st -> waiting nobody st -> bonded none st -> run_state (thread t st) = Running -> bonded none (wait_on t n w st).
Proof.
  intros link wait ok runs. unfold wait_on. destruct (is_active n st); [exact (taken_at_once t n st link wait ok runs)|].
  destruct w; [|exact (@keeps_set_empty_result _ _ _ _ (bonded_quietly none) t st ok)].
  apply lent_returned.
  - apply calm_notification, (unplaced_and_parked none none); [reflexivity | discriminate | intros u _ no; exact no | exact ok].
  - set (one := change_thread t (with_state (BlockedOnNotification n)) (unplace t st)). intros listed. unfold queue in listed.
    destruct (notification_frame n (fun x => x <| waiters := insert_behind t (waiters x) one |>) one) as (_ & a & b). rewrite a, b in listed.
    destruct (thread_frame t (with_state (BlockedOnNotification n)) (unplace t st)) as (_ & d & h). fold one in d, h. rewrite d, h in listed.
    exact (not_in_unplaced t st listed).
Qed.

(** ** Signals *)
Lemma handed_bonds t n st : linked st -> waiting nobody st -> bonded none st -> run_state (thread t st) <> Inactive -> bonded none (hand_flags_to t n st).
Proof.
  intros link wait ok active. unfold hand_flags_to. destruct (stopped t st wait) as (away & states).
  pose proof (@keeps_stop_waiting _ _ _ _ linked_quietly t eq_refl st link) as link1. pose proof (stopped_bonds t st wait ok) as ok1.
  assert (run_state (thread t (stop_waiting t st)) <> Inactive) as active1 by (rewrite states; exact active).
  pose proof (taken none t n _ link1 ok1 (thread_is t _ active1) (awake _ t _ away active1)) as took.
  refine (proj1 (woken (also t none) none t _ _ took)). intros u other [[]|is_t]. contradiction.
Qed.
Lemma signalled_bonds n badge st : linked st -> waiting nobody st -> bonded none st -> bonded none (signal n badge st).
Proof.
  intros link wait ok. unfold signal. cbv zeta. set (f := fun x : Notification => _).
  assert (waiting nobody (change_notification n f st)) as wait1
    by (refine (@keeps_change_notification _ _ _ _ (waiting_quietly nobody) n f _ st wait); intros x; repeat split; reflexivity).
  assert (linked (change_notification n f st)) as link1
    by (refine (@keeps_change_notification _ _ _ _ linked_quietly n f _ st link); intros x; repeat split; reflexivity).
  pose proof (calm_notification none n f st ok) as ok1. set (one := change_notification n f st) in *. clearbody one.
  destruct (is_active n st); [exact ok1|]. destruct (waiters (notification n one)) as [|first rest] eqn:queue_.
  - destruct (bound_thread (notification n one)) as [t|]; [|exact ok1]. destruct (run_state (thread t one)) eqn:state; try exact ok1.
    apply handed_bonds; [exact link1 | exact wait1 | exact ok1 | rewrite state; discriminate].
  - assert (In first (waiters (notification n one))) as listed by (rewrite queue_; left; reflexivity).
    pose proof (proj1 (w_stands nobody one wait1 first (InWaiters n)) listed) as (_ & named).
    assert (run_state (thread first one) <> Inactive) as active by (intros no; rewrite no in named; exact named).
    destruct (bound_thread (notification n one)); apply handed_bonds; assumption.
Qed.

(** ** Faults and answers *)
Lemma raised_bonds slot l t f st : waiting nobody st -> bonded none st -> run_state (thread t st) = Running -> bonded none (raise_fault_to slot l t f st).
Proof.
  intros wait ok runs. assert (forall st, bonded none st -> bonded none (make_inactive t st)) as stops
    by (intros a; apply (inactivated none none); intros u _ no; exact no).
  unfold raise_fault_to. destruct (capability_at (slot_of t slot) st) as [[|e b r| | | | | | | | | | | | | | | | |]|] eqn:there; try exact (stops st ok).
  destruct (_ && _); [|exact (stops st ok)]. cbv zeta. set (one := change_thread t (fun x => x <| fault := Some f |>) st).
  assert (still nobody st one) as (faulting & same).
  { refine (@keeps_change_thread _ _ _ _ (still_quietly nobody st) t _ _ st (still_start nobody st wait)). intros x. split; [discriminate | reflexivity]. }
  assert (bonded none one) as ok1 by (apply calm_thread; [reflexivity | reflexivity | exact ok]).
  assert (run_state (thread t one) = Running) as runs1 by (rewrite (same_state _ _ same); exact runs).
  pose proof (sent_bonds t e b (can_grant r) (can_grant_reply r) true l true one faulting ok1 runs1) as after.
  destruct (send t e b (can_grant r) (can_grant_reply r) true l true one) as ([| | |] & two); cbn [fst snd] in *; try exact after.
  exact (stops two after).
Qed.
Lemma calm_stop (ex : Excused) t st : bonded (also t ex) st -> bonded (also t ex) (change_thread t (with_state Inactive) st).
Proof. intros ok. apply (weaker (also t (also t ex))); [intros u [is_ex|is_t]; [exact is_ex | right; exact is_t] | apply moved_thread;
  [reflexivity | exact ok]]. Qed.
Definition runs_on (t : N) (st : State) : Prop := all_live st /\ run_state (thread t st) = Running.
Lemma runs_quietly t : kept_quietly_but but_binding (runs_on t) (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_. constructor; try (intros; exact I).
  - intros a b s r o d l (alive & runs). split; [exact (looks_at_objects live_ a b s r o d l alive)|]. unfold thread in *. rewrite o. exact runs.
  - intros u st (alive & runs). split; [exact (after_unplace live_ u st alive) | exact runs].
  - intros insert u st usual (alive & runs). split; [exact (after_place live_ insert u st usual alive)|]. unfold thread in *.
    rewrite (proj2 (proj2 (place_by_same insert u st))). exact runs.
  - intros u st asleep (alive & runs). split; [exact (after_sleeping_anew live_ u st asleep alive) | exact runs].
  - intros o x y st there kind change fine (alive & runs). split; [|rewrite (same_state _ _ (put_same_waits o x y st there kind change)); exact runs].
    apply (after_put_object live_ o x y st there kind); [|exact fine | exact alive]. destruct y, x; try exact I; repeat split; discriminate.
Qed.
Lemma runs_kept t : kept_but but_binding (runs_on t) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | intros st (alive & _); exact alive|]. intros st after alive objs _ _ _ (_ & runs). split; [exact alive|].
  destruct objs as [same|(o & x & no & new & same)]; [rewrite (same_state _ _ (same_waits_objects st after same)) |
    rewrite (same_state _ _ (new_same_waits o x st after no new same))]; exact runs.
Qed.
Lemma debug_context f values x : sched_context (debug_reply f values x) = sched_context x.
Proof. unfold debug_reply. destruct (BreakpointType.of_number _) as [[]|]; try reflexivity. destruct values; reflexivity. Qed.
Lemma answered_bonds t r g st : waiting nobody st -> bonded none st -> bonded none (answer t r g st).
Proof.
  intros wait ok. unfold answer. destruct (caller (reply r st)) as [c|] eqn:called; [|exact ok]. cbv zeta.
  destruct (is_caller _ r st c wait called) as (rg & state). assert (run_state (thread c st) <> Inactive) as active by (rewrite state; discriminate).
  destruct (context_returned r c st ok (thread_is c st active) (awake nobody c st wait active) ltac:(rewrite state; discriminate)) as (back & no).
  destruct (@keeps_return_context _ _ _ _ (still_quietly nobody st) r c eq_refl st (still_start nobody st wait)) as (_ & same).
  pose proof (freed_again none r _ back no) as two. set (two_ := put_reply r unused_reply (return_context r c st)) in *.
  assert (run_state (thread c two_) = BlockedOnReply r rg) as state2
    by (unfold two_; rewrite (proj1 (proj2 (after_reply r unused_reply _))), (same_state _ _ same); exact state).
  assert (~ In c (queue two_)) as away by (apply (not_in_queue c two_ two); rewrite state2; discriminate).
  clearbody two_.
  pose proof (moved_thread none c (with_state Running) two_ (fun _ => eq_refl) two) as three.
  assert (~ In c (queue (change_thread c (with_state Running) two_))) as away3
    by (unfold queue; destruct (thread_frame c (with_state Running) two_) as (_ & a & b); rewrite a, b; exact away).
  assert (run_state (thread c (change_thread c (with_state Running) two_)) = Running) as runs3.
  { rewrite thread_after_change_thread, N.eqb_refl, (thread_is c two_) by (rewrite state2; discriminate). reflexivity. }
  set (three_ := change_thread c (with_state Running) two_) in *. clearbody three_. set (grant := g && _). clearbody grant.
  set (had := is_some (context_of c st)). clearbody had. set (four := match fault (thread c three_) with Some f => _ | None => _ end).
  assert (bonded (also c none) four /\ (is_running c four = false -> ~ In c (queue four))) as (told & stays_away).
  { unfold four. destruct (fault (thread c three_)) as [f|].
    - unfold answer_fault. cbv zeta. set (h := fun x : Thread => _). set (m := message_of_call t three_). clearbody m.
      assert (forall x, sched_context (h x) = sched_context x /\ run_state (h x) = run_state x) as keeps_.
      { intros x. unfold h. set (y := write_registers _ _ _).
        assert (sched_context y = sched_context x /\ run_state y = run_state x) as (same_y & state_y)
          by (split; [exact (eq_trans (uses_of_registers _ _) eq_refl) | exact (eq_trans (state_of_registers _ _) eq_refl)]).
        destruct (fault_label f); try (split; assumption). rewrite debug_context, debug_state. split; assumption. }
      assert (bonded (also c none) (change_thread c h three_)) as more
        by (apply calm_thread; [apply keeps_ | intros x; rewrite (proj2 (keeps_ x)); reflexivity | exact three]).
      assert (~ In c (queue (change_thread c h three_))) as away4
        by (unfold queue; destruct (thread_frame c h three_) as (_ & a & b); rewrite a, b; exact away3).
      destruct (goes_on f (label m)); [split; [exact more | intros _; exact away4]|]. split.
      + apply calm_stop. exact more.
      + intros _. unfold queue. destruct (thread_frame c (with_state Inactive) (change_thread c h three_)) as (_ & a & b). rewrite a, b. exact away4.
    - split; [exact (@keeps_deliver _ _ _ _ (bonded_quietly (also c none)) (bonded_kept (also c none)) _ None 0 grant t c three_ three)|].
      destruct (@keeps_deliver _ _ _ _ (runs_quietly c) (runs_kept c) (message_of_call t three_) None 0 grant t c three_ (conj (b_live _ _ three) runs3))
        as (_ & on).
      intros stops. apply running_is in on. congruence. }
  clearbody four. destruct (is_running c four) eqn:now_; cbn [negb].
  - destruct (woken (also c none) none c four) as (one & two'); [intros u other [[]|is_t]; contradiction | exact told|]. destruct had; assumption.
  - apply (settled_at (also c none) none c); [| intros u other [[]|is_t]; contradiction | exact told].
    split; [intros listed; destruct (stays_away eq_refl listed) | intros (runs & _); apply running_is in runs; congruence].
Qed.
