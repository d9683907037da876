(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Who waits stands where it says

    A thread that waits stands in exactly the queues, and is named by exactly the reply object, that its state names. While a thread goes from
    one place to another it is excused: it does not stand where its state says. Each operation ends with nobody excused. *)
From Coq Require Import Lia.
From Spec Require Export LinkProofs.
Open Scope N_scope.

(** ** What changes slots

    It keeps a property that asks for live capabilities, for the objects, and where zombies are. *)
Definition same_but_memory (a b : State) : Prop :=
  b = a <| objects := objects b |> <| slots := slots b |> <| references := references b |> <| effects := effects b |>.
Lemma same_memory_then a b c : same_but_memory a b -> same_but_slots b c -> same_but_memory a c.
Proof.
  destruct a, b, c. unfold same_but_memory, same_but_slots, set_field. cbn. intros first second. injection first. injection second. intros. subst.
  reflexivity.
Qed.
Lemma same_slots_memory a b : same_but_slots a b -> same_but_memory a b.
Proof. apply same_memory_then. destruct a. reflexivity. Qed.
Lemma put_memory a b o x : same_but_memory a b -> same_but_memory a (put_object o x b).
Proof. destruct a, b. unfold same_but_memory, put_object, set_field. cbn. intros first. injection first. intros. subst. reflexivity. Qed.
Lemma carve_same untyped at_ size x slot c st : same_but_memory st (carve untyped at_ size x slot c st).
Proof.
  assert (same_but_memory st (emit Stuck st)) as stuck by (destruct st; reflexivity).
  unfold carve. destruct (slots st !! untyped) as [e|]; [|exact stuck].
  destruct (capability_at untyped st) as [[base bits device used| | | | | | | | | | | | | | | | | |]|]; try exact stuck. cbv zeta.
  destruct (_ && _); [|exact stuck]. eapply same_memory_then; [|apply insert_child_same].
  pose proof (same_slots_memory _ _ (replace_capability_same untyped e (UntypedCap base bits device (at_ + size - base)) st)) as taken.
  destruct x as [x|]; [exact (put_memory _ _ at_ x taken) | exact taken].
Qed.
Lemma kept_by_zombies (frozen : Link -> bool) (inv : State -> Prop) : frozen Ending = true -> (forall st, inv st -> all_live st) ->
  (forall st after, all_live after ->
    (objects after = objects st \/ exists o x, objects st !! o = None /\ is_new x /\ objects after = set o x (objects st)) ->
    (forall s o, capability_at s after = Some (ZombieCap o) -> exists s', capability_at s' st = Some (ZombieCap o)) ->
    ready after = ready st -> sleeping after = sleeping st -> inv st -> inv after) ->
  kept_but frozen inv (fun _ => True) (fun _ => True).
Proof.
  intros no_ending alive_ changes. pose proof live_is_kept as live_.
  assert (forall st after, same_but_slots st after -> all_live after ->
    (forall s o, capability_at s after = Some (ZombieCap o) -> exists s', capability_at s' st = Some (ZombieCap o)) -> inv st -> inv after) as only_slots.
  { intros st after same alive fewer. apply changes; try assumption; try (left; rewrite same; reflexivity); rewrite same; reflexivity. }
  constructor; try (intros; exact I); try (rewrite no_ending; discriminate).
  - intros slot p o c st from _. apply give_provided. intros ok.
    apply (only_slots st); [apply insert_child_same | exact (after_insert_child live_ slot p o c st from I (alive_ st ok))
    | | exact ok].
    intros s z. destruct (is_empty slot st && negb (is_empty p st)) eqn:can.
    + rewrite capability_at_in, (in_insert_child slot p o c st s can). destruct (s =? slot).
      * intros same. injection same as ->. destruct from as (no_zombie & _). discriminate.
      * rewrite <- capability_at_in. intros zombie. exists s. exact zombie.
    + unfold insert_child. rewrite can. intros zombie. exists s. exact zombie.
  - intros slot source_ o c st from _. apply give_provided. intros ok.
    apply (only_slots st); [apply insert_sibling_same | exact (after_insert_sibling live_ slot source_ o c st from I (alive_ st ok)) | | exact ok].
    intros s z. destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; intros zombie; exists s; exact zombie].
    destruct (slots st !! source_) as [e|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; intros zombie; exists s; exact zombie].
    rewrite capability_at_in, (in_insert_sibling slot source_ o c st e s (proj1 (is_empty_spec slot st) vacant) there). destruct (s =? slot).
    + intros same. injection same as ->. destruct from as (no_zombie & _). discriminate.
    + rewrite <- capability_at_in. intros zombie. exists s. exact zombie.
  - intros u at_ size x slot c st with_it fine_x _. apply give_provided. intros ok.
    assert (all_live (carve u at_ size x slot c st)) as alive by (apply (after_carve live_); [exact with_it | exact fine_x | exact I | exact (alive_ st ok)]).
    pose proof (carve_same u at_ size x slot c st) as same. destruct (carve_cases u at_ size x slot c st) as [stuck|cut].
    { rewrite stuck in *. apply (only_slots st); [apply emit_same | exact alive | intros s o zombie; exists s; exact zombie | exact ok]. }
    destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
    apply (changes st); try assumption; try (rewrite same; reflexivity).
    + destruct x as [x|]; [right; exists at_, x; split; [exact (unused ltac:(discriminate)) | split; [exact (proj2 fine_x) | exact objs]] | left; exact objs].
    + intros s o. rewrite capability_at_in, caps. destruct (s =? slot).
      * intros is_c. injection is_c as ->. destruct with_it as (no_zombie & _). discriminate.
      * destruct (s =? u); [discriminate|]. rewrite <- capability_at_in. intros zombie. exists s. exact zombie.
  - intros from to st. apply give_provided. intros ok.
    apply (only_slots st); [apply move_capability_same | exact (after_move_capability live_ from to st (alive_ st ok)) | intros s o;
      apply in_move | exact ok].
  - intros slot c st _. apply give_provided. intros ok. apply (only_slots st); [| exact (after_change_capability live_ slot c st I (alive_ st ok)) |
      | exact ok].
    + unfold change_capability. destruct (slots st !! slot) as [e|]; [|apply emit_same]. destruct (_ && _); [apply replace_capability_same | apply emit_same].
    + intros s o zombie. destruct (in_change slot c st s) as [same|(old & at_s & now_ & alike)]; [exists s; rewrite <- same; exact zombie|].
      rewrite zombie in now_. injection now_ as <-. destruct (alike_spec _ _ o alike eq_refl) as (named & type).
      destruct (zombie_is old) as (z & ->); [rewrite <- (zombie_alike _ _ type); reflexivity|]. cbn [object_of] in named. injection named as ->.
      exists s. exact at_s.
Qed.

Definition but_binding (k : Link) : bool := match k with Waiting | Ending => true | _ => false end.
Definition Excuse : Type := N -> Post -> Prop.
Definition nobody : Excuse := fun _ _ => False.
Definition all_of (t : N) (ex : Excuse) : Excuse := fun u p => u = t \/ ex u p.

Record waiting (ex : Excuse) (st : State) : Prop := {
  w_live : all_live st;
  w_stands : forall t p, stands t p st <-> ~ ex t p /\ says (run_state (thread t st)) p;
  w_once : forall o, NoDup (senders (endpoint o st)) /\ NoDup (receivers (endpoint o st)) /\ NoDup (waiters (notification o st));
  w_one : forall r, caller (reply r st) = None \/ receiver (reply r st) = None;
  w_zombies : forall s o, capability_at s st = Some (ZombieCap o) -> run_state (thread o st) = Inactive;
  w_runs : forall t, In t (ready st ++ sleeping st) -> run_state (thread t st) = Running
}.

(** ** States in which the same wait *)
Record same_waits (a b : State) : Prop := {
  same_state : forall t, run_state (thread t b) = run_state (thread t a);
  same_endpoint : forall e, endpoint e b = endpoint e a;
  same_waiters : forall n, waiters (notification n b) = waiters (notification n a);
  same_caller : forall r, caller (reply r b) = caller (reply r a);
  same_receiver : forall r, receiver (reply r b) = receiver (reply r a)
}.
Lemma same_waits_refl st : same_waits st st. Proof. constructor; reflexivity. Qed.
Lemma same_waits_trans a b c : same_waits a b -> same_waits b c -> same_waits a c.
Proof. intros [s1 e1 w1 c1 r1] [s2 e2 w2 c2 r2]. constructor; intros o; [rewrite s2 | rewrite e2 | rewrite w2 | rewrite c2 | rewrite r2]; auto. Qed.
Lemma same_waits_objects a b : objects b = objects a -> same_waits a b.
Proof. intros same. constructor; intros o; unfold thread, endpoint, notification, reply; rewrite same; reflexivity. Qed.
Lemma same_stands a b : same_waits a b -> forall t p, stands t p b <-> stands t p a.
Proof.
  intros [s e w c r] t p. destruct p; cbn [stands]; rewrite ?e, ?w, ?c, ?r; reflexivity.
Qed.
Lemma waiting_same ex a b : all_live b -> same_waits a b ->
  (forall s o, capability_at s b = Some (ZombieCap o) -> exists s', capability_at s' a = Some (ZombieCap o)) ->
  (forall t, In t (ready b ++ sleeping b) -> In t (ready a ++ sleeping a) \/ run_state (thread t a) = Running) -> waiting ex a -> waiting ex b.
Proof.
  intros alive same fewer runs [_ stands_ once one zombies running]. constructor; [exact alive | | | | |].
  - intros t p. rewrite (same_stands a b same), (same_state _ _ same). apply stands_.
  - intros o. rewrite (same_endpoint _ _ same), (same_waiters _ _ same). apply once.
  - intros r. rewrite (same_caller _ _ same), (same_receiver _ _ same). apply one.
  - intros s o zombie. rewrite (same_state _ _ same). destruct (fewer s o zombie) as (s' & there). exact (zombies s' o there).
  - intros t listed. rewrite (same_state _ _ same). destruct (runs t listed) as [before|runs_]; [exact (running t before) | exact runs_].
Qed.
Lemma put_same_waits o x y st : objects st !! o = Some y -> same_kind y x -> object_change but_binding y x -> same_waits st (put_object o x st).
Proof.
  intros there same change. constructor; intros o'; unfold thread, endpoint, notification, reply;
    change (objects (put_object o x st)) with (set o x (objects st)); rewrite find_set; read_put o' o; try reflexivity;
    rewrite there; destruct x, y; try contradiction same; try reflexivity; cbn [object_change] in change.
  - exact (proj2 change eq_refl).
  - exact (change eq_refl).
  - exact (proj2 (proj2 change) eq_refl).
  - exact (proj1 (change eq_refl)).
  - exact (proj2 (change eq_refl)).
Qed.
Lemma new_same_waits o x st after : objects st !! o = None -> is_new x -> objects after = set o x (objects st) -> same_waits st after.
Proof.
  intros none new same. constructor; intros o'; unfold thread, endpoint, notification, reply; rewrite same, find_set; read_put o' o; try reflexivity;
    rewrite none; destruct x; try reflexivity; cbn [is_new] in new; rewrite new; reflexivity.
Qed.

(** ** What is no waiting leaves it *)
Lemma waits_quietly st : kept_quietly_but but_binding (same_waits st) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b _ _ same _ _ ok. exact (same_waits_trans _ _ _ ok (same_waits_objects a b same)).
  - intros t a ok. apply (same_waits_trans _ a); [exact ok | apply same_waits_objects; reflexivity].
  - intros insert t a _ ok. exact (same_waits_trans _ _ _ ok (same_waits_objects a _ (proj2 (proj2 (place_by_same insert t a))))).
  - intros t a _ ok. apply (same_waits_trans _ a); [exact ok | apply same_waits_objects; reflexivity].
  - intros o x y a there same change _ ok. exact (same_waits_trans _ _ _ ok (put_same_waits o x y a there same change)).
Qed.
Lemma placed_in insert t st u : In insert [insert_behind; insert_ahead] ->
  In u (ready (place_by insert t st) ++ sleeping (place_by insert t st)) -> In u (ready st ++ sleeping st) \/ (u = t /\ is_running t st = true).
Proof.
  intros usual. assert (inserts insert) as usual_ by (destruct usual as [<-|[<-|[]]]; [exact behind_inserts | exact ahead_inserts]).
  unfold place_by. cbv zeta. set (chosen := if is_number (ahead _) t then insert_ahead else if is_number (behind _) t then insert_behind else insert).
  assert (inserts chosen) as inserting
    by (unfold chosen; destruct (is_number _ t); [exact ahead_inserts | destruct (is_number _ t); [exact behind_inserts | exact usual_]]).
  clearbody chosen.
  assert (In u (ready (unplace t st) ++ sleeping (unplace t st)) -> In u (ready st ++ sleeping st)) as fewer.
  { rewrite !in_app_iff. change (ready (unplace t st)) with (without t (ready st)). change (sleeping (unplace t st)) with (without t (sleeping st)).
    rewrite !in_without. tauto. }
  destruct (is_running t (unplace t st)) eqn:runs, (context_of t (unplace t st)) as [c|]; try (intros listed; left; exact (fewer listed)).
  destruct (negb _); [intros listed; left; exact (fewer listed)|]. change (is_running t (unplace t st)) with (is_running t st) in runs.
  destruct (usable _ _); rewrite in_app_iff; intros listed.
  - change (In u (chosen t (ready (unplace t st)) (unplace t st)) \/ In u (sleeping (unplace t st))) in listed.
    rewrite (in_inserted chosen t _ _ u inserting) in listed. rewrite in_app_iff in fewer. destruct listed as [[->|listed]|listed];
      [right; split; [reflexivity | exact runs] | left; apply fewer; left; exact listed | left; apply fewer; right; exact listed].
  - change (In u (ready (unplace t st)) \/ In u (insert_by_time t (sleeping (unplace t st)) (unplace t st))) in listed.
    rewrite (in_inserted insert_by_time t _ _ u by_time_inserts) in listed. rewrite in_app_iff in fewer. destruct listed as [listed|[->|listed]];
      [left; apply fewer; left; exact listed | right; split; [reflexivity | exact runs] | left; apply fewer; right; exact listed].
Qed.
Lemma running_is t st : is_running t st = true <-> run_state (thread t st) = Running.
Proof. unfold is_running. destruct (run_state (thread t st)); split; try discriminate; reflexivity. Qed.
Lemma waiting_quietly ex : kept_quietly_but but_binding (waiting ex) (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_.
  assert (forall a b, slots b = slots a -> references b = references a -> objects b = objects a ->
    (forall t, In t (ready b ++ sleeping b) -> In t (ready a ++ sleeping a) \/ run_state (thread t a) = Running) -> waiting ex a -> waiting ex b) as of_same.
  { intros a b same_slots same_references same_objects runs ok.
    apply (waiting_same ex a); [|exact (same_waits_objects a b same_objects) | | exact runs | exact ok].
    - destruct (w_live ex a ok) as (right & alive). split; [exact (indices_of_same a b same_slots same_references right)|].
      exact (live_of_same a b same_slots same_objects alive).
    - intros s o zombie. exists s. rewrite <- (capability_same s a b same_slots). exact zombie. }
  constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects same_ready same_sleeping. change (waiting ex a -> waiting ex b). apply of_same; try assumption.
    intros t. rewrite same_ready, same_sleeping. intros listed. left. exact listed.
  - intros t st. change (waiting ex st -> waiting ex (unplace t st)). apply of_same; try reflexivity. intros u. rewrite !in_app_iff.
    change (ready (unplace t st)) with (without t (ready st)). change (sleeping (unplace t st)) with (without t (sleeping st)). rewrite !in_without. tauto.
  - intros insert t st usual. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
    apply of_same; try assumption. intros u listed. destruct (placed_in insert t st u usual listed) as [before|(-> & runs)]; [left; exact before | right].
    apply running_is. exact runs.
  - intros t st asleep. apply of_same; try reflexivity. intros u. rewrite !in_app_iff.
    change (In u (ready st) \/ In u (insert_by_time t (without t (sleeping st)) st) ->
      (In u (ready st) \/ In u (sleeping st)) \/ run_state (thread u st) = Running).
    rewrite (in_inserted insert_by_time t _ _ u by_time_inserts), in_without. apply member_in in asleep. intros [listed|[->|(listed & _)]]; left; auto.
  - intros o x y st there same change fine ok. apply (waiting_same ex st); [|exact (put_same_waits o x y st there same change) | | | exact ok].
    + apply (after_put_object live_ o x y st there same); [|exact fine | exact (w_live ex st ok)].
      destruct y, x; try exact I; repeat split; discriminate.
    + intros s z zombie. exists s. exact zombie.
    + intros t listed. left. exact listed.
Qed.

(** ** What changes slots leaves it *)
Lemma waiting_kept ex : kept_but but_binding (waiting ex) (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | exact (w_live ex)|]. intros st after alive objs fewer same_ready same_sleeping ok.
  apply (waiting_same ex st); [exact alive | | exact fewer | intros t; rewrite same_ready, same_sleeping; intros listed; left; exact listed | exact ok].
  destruct objs as [same|(o & x & none & new & same)]; [exact (same_waits_objects st after same) | exact (new_same_waits o x st after none new same)].
Qed.

(** ** What the changes of one object do *)
Definition endpoint_exists (o : N) (st : State) : bool := match objects st !! o with Some (EndpointObject _) => true | _ => false end.
Definition notification_exists (o : N) (st : State) : bool := match objects st !! o with Some (NotificationObject _) => true | _ => false end.
Definition reply_exists (o : N) (st : State) : bool := match objects st !! o with Some (ReplyObject _) => true | _ => false end.
Lemma after_thread t f st :
  (forall o, endpoint o (change_thread t f st) = endpoint o st) /\ (forall o, notification o (change_thread t f st) = notification o st)
  /\ (forall o, reply o (change_thread t f st) = reply o st).
Proof.
  unfold change_thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:there; try (repeat split; reflexivity).
  repeat split; intros o; unfold endpoint, notification, reply;
    change (objects (put_object t (ThreadObject (f x)) st)) with (set t (ThreadObject (f x)) (objects st));
    rewrite find_set; destruct (N.eqb_spec o t) as [->|]; rewrite ?there; reflexivity.
Qed.
Lemma after_endpoint e f st :
  (forall o, endpoint o (change_endpoint e f st) = if (o =? e) && endpoint_exists e st then f (endpoint e st) else endpoint o st)
  /\ (forall o, thread o (change_endpoint e f st) = thread o st) /\ (forall o, notification o (change_endpoint e f st) = notification o st)
  /\ (forall o, reply o (change_endpoint e f st) = reply o st).
Proof.
  unfold change_endpoint, endpoint_exists. destruct (objects st !! e) as [[| |x| | | | | |]|] eqn:there;
    try (repeat split; intros o; rewrite ?andb_false_r; reflexivity).
  repeat split; intros o; unfold endpoint, thread, notification, reply;
    change (objects (put_object e (EndpointObject (f x)) st)) with (set e (EndpointObject (f x)) (objects st));
    rewrite find_set, ?andb_true_r; destruct (N.eqb_spec o e) as [->|]; rewrite ?there; reflexivity.
Qed.
Lemma after_notification n f st :
  (forall o, notification o (change_notification n f st) = if (o =? n) && notification_exists n st then f (notification n st) else notification o st)
  /\ (forall o, thread o (change_notification n f st) = thread o st) /\ (forall o, endpoint o (change_notification n f st) = endpoint o st)
  /\ (forall o, reply o (change_notification n f st) = reply o st).
Proof.
  unfold change_notification, notification_exists. destruct (objects st !! n) as [[| | |x| | | | |]|] eqn:there;
    try (repeat split; intros o; rewrite ?andb_false_r; reflexivity).
  repeat split; intros o; unfold endpoint, thread, notification, reply;
    change (objects (put_object n (NotificationObject (f x)) st)) with (set n (NotificationObject (f x)) (objects st));
    rewrite find_set, ?andb_true_r; destruct (N.eqb_spec o n) as [->|]; rewrite ?there; reflexivity.
Qed.
Lemma after_reply r v st :
  (forall o, reply o (put_reply r v st) = if (o =? r) && reply_exists r st then v else reply o st)
  /\ (forall o, thread o (put_reply r v st) = thread o st) /\ (forall o, endpoint o (put_reply r v st) = endpoint o st)
  /\ (forall o, notification o (put_reply r v st) = notification o st).
Proof.
  unfold put_reply, reply_exists. destruct (objects st !! r) as [[| | | |x| | | |]|] eqn:there;
    try (repeat split; intros o; rewrite ?andb_false_r; reflexivity).
  repeat split; intros o; unfold endpoint, thread, notification, reply;
    change (objects (put_object r (ReplyObject v) st)) with (set r (ReplyObject v) (objects st));
    rewrite find_set, ?andb_true_r; destruct (N.eqb_spec o r) as [->|]; rewrite ?there; reflexivity.
Qed.
Lemma missing_endpoint e st : endpoint_exists e st = false -> senders (endpoint e st) = [] /\ receivers (endpoint e st) = [].
Proof. unfold endpoint_exists, endpoint. destruct (objects st !! e) as [[]|]; try discriminate; split; reflexivity. Qed.
Lemma missing_notification n st : notification_exists n st = false -> waiters (notification n st) = [].
Proof. unfold notification_exists, notification. destruct (objects st !! n) as [[]|]; try discriminate; reflexivity. Qed.
Lemma missing_reply r st : reply_exists r st = false -> reply r st = unused_reply.
Proof. unfold reply_exists, reply. destruct (objects st !! r) as [[]|]; try discriminate; reflexivity. Qed.
Lemma missing_thread t st : thread_exists t st = false -> thread t st = new_thread.
Proof. unfold thread_exists, thread. destruct (objects st !! t) as [[]|]; try discriminate; reflexivity. Qed.

(** What none of these changes touches. *)
Definition same_frame (a b : State) : Prop := slots b = slots a /\ ready b = ready a /\ sleeping b = sleeping a.
Lemma thread_frame t f st : same_frame st (change_thread t f st). Proof. unfold change_thread. destruct (objects st !! t) as [[]|]; repeat split. Qed.
Lemma endpoint_frame t f st : same_frame st (change_endpoint t f st). Proof. unfold change_endpoint. destruct (objects st !! t) as [[]|]; repeat split. Qed.
Lemma notification_frame t f st : same_frame st (change_notification t f st).
Proof. unfold change_notification. destruct (objects st !! t) as [[]|]; repeat split. Qed.
Lemma reply_frame t v st : same_frame st (put_reply t v st). Proof. unfold put_reply. destruct (objects st !! t) as [[]|]; repeat split. Qed.
Lemma thread_live t f st : all_live st -> all_live (change_thread t f st).
Proof. refine (@keeps_change_thread _ _ _ _ live_is_kept_quietly t f _ st). intros z. repeat split; discriminate. Qed.
Lemma endpoint_live t f st : all_live st -> all_live (change_endpoint t f st).
Proof. refine (@keeps_change_endpoint _ _ _ _ live_is_kept_quietly t f _ st). intros z. discriminate. Qed.
Lemma notification_live t f st : all_live st -> all_live (change_notification t f st).
Proof. refine (@keeps_change_notification _ _ _ _ live_is_kept_quietly t f _ st). intros z. repeat split; discriminate. Qed.
Lemma reply_live t v st : all_live st -> all_live (put_reply t v st).
Proof. refine (@keeps_put_reply _ _ _ _ live_is_kept_quietly t v _ st). intros z. discriminate. Qed.

(** ** The kit *)
Definition not_zombie (t : N) (st : State) : Prop := forall s, capability_at s st <> Some (ZombieCap t).
Lemma awake ex t st : waiting ex st -> run_state (thread t st) <> Inactive -> not_zombie t st.
Proof. intros ok other s zombie. exact (other (w_zombies ex st ok s t zombie)). Qed.
Lemma not_queued ex t st : waiting ex st -> run_state (thread t st) <> Running -> ~ In t (ready st ++ sleeping st).
Proof. intros ok other listed. exact (other (w_runs ex st ok t listed)). Qed.
Lemma excuse ex ex' st : waiting ex st -> (forall t p, says (run_state (thread t st)) p -> (ex t p <-> ex' t p)) -> waiting ex' st.
Proof.
  intros [alive stands_ once one zombies runs] same. constructor; try assumption. intros t p. rewrite stands_. split; intros (free & named);
    (split; [intros excused; apply free, (same t p named), excused | exact named]).
Qed.
Lemma restate ex ex' t f st : waiting ex st ->
  (forall p, (~ ex t p /\ says (run_state (thread t st)) p) <-> (~ ex' t p /\ says (run_state (f (thread t st))) p)) ->
  (forall u p, u <> t -> (ex u p <-> ex' u p)) -> (run_state (f (thread t st)) = Inactive \/ not_zombie t st) ->
  (run_state (f (thread t st)) = Running \/ ~ In t (ready st ++ sleeping st)) -> waiting ex' (change_thread t f st).
Proof.
  intros [alive stands_ once one zombies runs] alike others fine_zombie fine_queue.
  destruct (after_thread t f st) as (endpoints & notifications & replies), (thread_frame t f st) as (same_slots & same_ready & same_sleeping).
  assert (forall u, run_state (thread u (change_thread t f st)) = if (u =? t) && thread_exists t st then run_state (f (thread t st)) else run_state (thread
    u st))
    as states by (intros u; rewrite thread_after_change_thread; destruct (_ && _); reflexivity).
  constructor.
  - apply thread_live. exact alive.
  - intros u p. assert (stands u p (change_thread t f st) <-> stands u p st) as -> by (destruct p; cbn [stands];
    rewrite ?endpoints, ?notifications, ?replies; reflexivity).
    rewrite states, stands_. destruct (N.eqb_spec u t) as [->|other]; [|cbn [andb]; rewrite (others u p other); reflexivity].
    destruct (thread_exists t st) eqn:there; cbn [andb]; [apply alike|]. rewrite (missing_thread t st there). cbn [run_state new_thread says]. tauto.
  - intros o. rewrite endpoints, notifications. apply once.
  - intros r. rewrite replies. apply one.
  - intros j o zombie. rewrite (capability_same j st _ same_slots) in zombie. rewrite states. destruct (_ && _) eqn:is_t; [|exact (zombies j o zombie)].
    apply andb_prop, proj1, N.eqb_eq in is_t. subst o. destruct fine_zombie as [same|never]; [exact same | exfalso; exact (never j zombie)].
  - intros u. rewrite same_ready, same_sleeping. intros listed. rewrite states. destruct (_ && _) eqn:is_t; [|exact (runs u listed)].
    apply andb_prop, proj1, N.eqb_eq in is_t. subst u. destruct fine_queue as [same|never]; [exact same | exfalso; exact (never listed)].
Qed.
Lemma repost_endpoint ex ex' e f st : waiting ex st ->
  (endpoint_exists e st = true \/ (senders (f (endpoint e st)) = [] /\ receivers (f (endpoint e st)) = [])) ->
  NoDup (senders (f (endpoint e st))) -> NoDup (receivers (f (endpoint e st))) ->
  (forall u, In u (senders (f (endpoint e st))) <-> ~ ex' u (InSenders e) /\ says (run_state (thread u st)) (InSenders e)) ->
  (forall u, In u (receivers (f (endpoint e st))) <-> ~ ex' u (InReceivers e) /\ says (run_state (thread u st)) (InReceivers e)) ->
  (forall u p, p <> InSenders e -> p <> InReceivers e -> (ex' u p <-> ex u p)) -> waiting ex' (change_endpoint e f st).
Proof.
  intros [alive stands_ once one zombies runs] here once_s once_r in_s in_r others.
  destruct (after_endpoint e f st) as (endpoints & threads & notifications & replies), (endpoint_frame e f st) as (same_slots & same_ready & same_sleeping).
  assert (senders (endpoint e (change_endpoint e f st)) = senders (f (endpoint e st))
          /\ receivers (endpoint e (change_endpoint e f st)) = receivers (f (endpoint e st))) as (at_s & at_r).
  { rewrite endpoints, N.eqb_refl. cbn [andb]. destruct (endpoint_exists e st) eqn:there; [split; reflexivity|].
    destruct here as [no|(-> & ->)]; [discriminate | exact (missing_endpoint e st there)]. }
  assert (forall o, o <> e -> endpoint o (change_endpoint e f st) = endpoint o st) as elsewhere.
  { intros o other. rewrite endpoints. apply N.eqb_neq in other. rewrite other. reflexivity. }
  constructor.
  - apply endpoint_live. exact alive.
  - intros u p. rewrite threads. destruct p as [o|o|o|o|o]; cbn [stands]; rewrite ?notifications, ?replies.
    + destruct (N.eq_dec o e) as [->|other]; [rewrite at_s; apply in_s|]. rewrite (elsewhere o other), (others u (InSenders o)) by congruence.
      exact (stands_ u (InSenders o)).
    + destruct (N.eq_dec o e) as [->|other]; [rewrite at_r; apply in_r|]. rewrite (elsewhere o other), (others u (InReceivers o)) by congruence.
      exact (stands_ u (InReceivers o)).
    + rewrite (others u (InWaiters o)) by discriminate. exact (stands_ u (InWaiters o)).
    + rewrite (others u (AsCaller o)) by discriminate. exact (stands_ u (AsCaller o)).
    + rewrite (others u (AsReceiver o)) by discriminate. exact (stands_ u (AsReceiver o)).
  - intros o. rewrite notifications. destruct (N.eq_dec o e) as [->|other]; [rewrite at_s, at_r; repeat split; try assumption; apply (once e)|].
    rewrite (elsewhere o other). apply once.
  - intros r. rewrite replies. apply one.
  - intros j o zombie. rewrite (capability_same j st _ same_slots) in zombie. rewrite threads. exact (zombies j o zombie).
  - intros u. rewrite same_ready, same_sleeping, threads. apply runs.
Qed.
Lemma repost_notification ex ex' n f st : waiting ex st ->
  (notification_exists n st = true \/ waiters (f (notification n st)) = []) -> NoDup (waiters (f (notification n st))) ->
  (forall u, In u (waiters (f (notification n st))) <-> ~ ex' u (InWaiters n) /\ says (run_state (thread u st)) (InWaiters n)) ->
  (forall u p, p <> InWaiters n -> (ex' u p <-> ex u p)) -> waiting ex' (change_notification n f st).
Proof.
  intros [alive stands_ once one zombies runs] here once_w in_w others.
  destruct (after_notification n f st) as (notifications & threads & endpoints & replies), (notification_frame n f st) as (same_slots & same_ready &
    same_sleeping).
  assert (waiters (notification n (change_notification n f st)) = waiters (f (notification n st))) as at_w.
  { rewrite notifications, N.eqb_refl. cbn [andb]. destruct (notification_exists n st) eqn:there; [reflexivity|].
    destruct here as [no| ->]; [discriminate | exact (missing_notification n st there)]. }
  assert (forall o, o <> n -> notification o (change_notification n f st) = notification o st) as elsewhere.
  { intros o other. rewrite notifications. apply N.eqb_neq in other. rewrite other. reflexivity. }
  constructor.
  - apply notification_live. exact alive.
  - intros u p. rewrite threads. destruct p as [o|o|o|o|o]; cbn [stands]; rewrite ?endpoints, ?replies.
    3: { destruct (N.eq_dec o n) as [->|other]; [rewrite at_w; apply in_w|]. rewrite (elsewhere o other), (others u (InWaiters o)) by congruence.
         exact (stands_ u (InWaiters o)). }
    1: { rewrite (others u (InSenders o)) by discriminate. exact (stands_ u (InSenders o)). }
    1: { rewrite (others u (InReceivers o)) by discriminate. exact (stands_ u (InReceivers o)). }
    1: { rewrite (others u (AsCaller o)) by discriminate. exact (stands_ u (AsCaller o)). }
    1: { rewrite (others u (AsReceiver o)) by discriminate. exact (stands_ u (AsReceiver o)). }
  - intros o. rewrite endpoints. destruct (N.eq_dec o n) as [->|other]; [rewrite at_w; repeat split; try assumption; apply (once n)|].
    rewrite (elsewhere o other). apply once.
  - intros r. rewrite replies. apply one.
  - intros j o zombie. rewrite (capability_same j st _ same_slots) in zombie. rewrite threads. exact (zombies j o zombie).
  - intros u. rewrite same_ready, same_sleeping, threads. apply runs.
Qed.
Lemma repost_reply ex ex' r v st : waiting ex st ->
  (reply_exists r st = true \/ v = unused_reply) -> (caller v = None \/ receiver v = None) ->
  (forall u, caller v = Some u <-> ~ ex' u (AsCaller r) /\ says (run_state (thread u st)) (AsCaller r)) ->
  (forall u, receiver v = Some u <-> ~ ex' u (AsReceiver r) /\ says (run_state (thread u st)) (AsReceiver r)) ->
  (forall u p, p <> AsCaller r -> p <> AsReceiver r -> (ex' u p <-> ex u p)) -> waiting ex' (put_reply r v st).
Proof.
  intros [alive stands_ once one zombies runs] here one_v in_c in_r others.
  destruct (after_reply r v st) as (replies & threads & endpoints & notifications), (reply_frame r v st) as (same_slots & same_ready & same_sleeping).
  assert (reply r (put_reply r v st) = v) as at_v.
  { rewrite replies, N.eqb_refl. cbn [andb]. destruct (reply_exists r st) eqn:there; [reflexivity|].
    destruct here as [no| ->]; [discriminate | exact (missing_reply r st there)]. }
  assert (forall o, o <> r -> reply o (put_reply r v st) = reply o st) as elsewhere.
  { intros o other. rewrite replies. apply N.eqb_neq in other. rewrite other. reflexivity. }
  constructor.
  - apply reply_live. exact alive.
  - intros u p. rewrite threads. destruct p as [o|o|o|o|o]; cbn [stands]; rewrite ?endpoints, ?notifications.
    + rewrite (others u (InSenders o)) by discriminate. exact (stands_ u (InSenders o)).
    + rewrite (others u (InReceivers o)) by discriminate. exact (stands_ u (InReceivers o)).
    + rewrite (others u (InWaiters o)) by discriminate. exact (stands_ u (InWaiters o)).
    + destruct (N.eq_dec o r) as [->|other]; [rewrite at_v; apply in_c|]. rewrite (elsewhere o other), (others u (AsCaller o)) by congruence.
      exact (stands_ u (AsCaller o)).
    + destruct (N.eq_dec o r) as [->|other]; [rewrite at_v; apply in_r|]. rewrite (elsewhere o other), (others u (AsReceiver o)) by congruence.
      exact (stands_ u (AsReceiver o)).
  - intros o. rewrite endpoints, notifications. apply once.
  - intros o. destruct (N.eq_dec o r) as [->|other]; [rewrite at_v; exact one_v | rewrite (elsewhere o other); apply one].
  - intros j o zombie. rewrite (capability_same j st _ same_slots) in zombie. rewrite threads. exact (zombies j o zombie).
  - intros u. rewrite same_ready, same_sleeping, threads. apply runs.
Qed.
