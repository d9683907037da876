(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The claims about policies and channels say something

    The root task makes a CNode and a thread, puts both into that CNode, and gives up the memory that they were made of. Then the policy keeps them apart from
    it, and whatever it does they stay: computed, and by the claims. A step that changes them all the same is refuted, and neither check is enough alone. *)
From Coq Require Import Lia.
From Spec Require Import FlowProofs FieldProofs IntegrityWitness PolicyWitness Witness.
Open Scope N_scope.

Definition guest : N := 1.
Definition guests : Region := {| region_start := 0x10000; region_size := 0x10000; region_owner := guest |}.
Definition roots : Region := {| region_start := 0; region_size := 0x10000; region_owner := root |}.
Definition guest_holds : list Holding := [permit guest CapType.CNode 0x10000 0x200 no_rights; permit guest CapType.TCB 0x10800 0x800 no_rights].
Definition apart_policy : Policy := policy_of [roots; guests] (guest_holds ++ root_permits).
Definition move_into (index slot : N) : Event := call_event (Method.label Method.CNodeMove) 40 [index; 4; slot; 64].
Definition delete_slot (slot : N) : Event := call_event (Method.label Method.CNodeDelete) 2 [slot; 64].
Definition make_guest : list Event :=
  [retype (ObjectType.number ObjectType.CNode) 4 40; retype (ObjectType.number ObjectType.TCB) 0 41; move_into 0 41; move_into 1 40; delete_slot 18].
Definition with_guest : State := after make_guest.
Example guest_is_there : (is_some (objects with_guest !! 0x10800), capability_at 0x10000 with_guest, current with_guest)
  = (true, Some (TCBCap 0x10800), Some 0x1000).
Proof. vm_compute. reflexivity. Qed.
Example guest_is_within : pol_check apart_policy with_guest = true.
Proof. vm_compute. reflexivity. Qed.
Example guest_is_kept_apart : keeps_apart apart_policy with_guest [root] guest = true.
Proof. vm_compute. reflexivity. Qed.
Example guest_is_not_reached : ~ flows apart_policy root guest.
Proof.
  intros way. assert (In guest (reach_from apart_policy [root])) as listed.
  { refine (proj2 (reach_is_exact_proved apart_policy [root] guest) _ root (or_introl eq_refl) way). vm_compute. reflexivity. }
  assert (member guest (reach_from apart_policy [root]) = false) as none by (vm_compute; reflexivity).
  rewrite <- not_true_iff_false in none. apply none, PolicyProofs.member_in. exact listed.
Qed.
(** With its memory the root task has a way to the guest. *)
Example memory_is_a_way : flows (policy_of [roots; guests] (root_untyped :: guest_holds ++ root_permits)) root guest.
Proof.
  refine (along_edge _ root root guest Using (to_itself_flows _ root) _ _); vm_compute; [tauto | reflexivity].
Qed.

(** Signals flow one way, to who may wait; what is sent through an endpoint both ways. *)
Definition of_subject (owner start : N) : Region := {| region_start := start; region_size := 0x800; region_owner := owner |}.
Definition between (t : CapType.t) : Policy :=
  policy_of [of_subject sender 0x1000; of_subject receiver_ 0x2000; of_subject 3 0x8000]
            [permit sender t 0x8000 16 with_grant; permit receiver_ t 0x8000 16 receives_only].
Definition ways (t : CapType.t) : list (list N * bool) :=
  map (fun a => let found := reach_from (between t) [a] in (found, is_closed_set (between t) found)) [sender; receiver_].
Example signals_flow_one_way : ways CapType.Notification = [([receiver_; 3; sender], true); ([3; receiver_], true)].
Proof. vm_compute. reflexivity. Qed.
Example messages_flow_both_ways : ways CapType.Endpoint = [([receiver_; 3; sender], true); ([sender; 3; receiver_], true)].
Proof. vm_compute. reflexivity. Qed.

(** The root task runs on. *)
Lemma root_begins (one_step : Stepping) start st e : current st = Some 0x1000 -> current_context st = Some 0x5000 -> cause e = SystemCall ->
  current (next_of one_step st e) = Some 0x1000 -> (match objects start !! 0x1000 with Some (ThreadObject _) => true | _ => false end) = true ->
  begins_within one_step (things_of apart_policy (reach_from apart_policy [root]) start) st e.
Proof.
  intros runs uses_ calls next_ is_thread.
  assert (forallb (theirs apart_policy (reach_from apart_policy [root])) (0x1000 :: 0x5000 :: nowhere :: map (slot_of 0x1000) (numbers_from 0 5)) = true)
    as all_ by (vm_compute; reflexivity).
  assert (forall x, In x (0x1000 :: 0x5000 :: nowhere :: map (slot_of 0x1000) (numbers_from 0 5)) ->
    is_theirs apart_policy (reach_from apart_policy [root]) x) as ok by (intros x listed; apply theirs_is, (proj1 (forallb_forall _ _) all_ x listed)).
  split.
  - intros x [t y is_cur in_l|c is_used|irq arrives|].
    + rewrite runs in is_cur. injection is_cur as <-. destruct in_l as [<-|[<-|in_l]]; [apply ok; simpl; tauto | split; [apply ok; simpl; tauto|]|].
      * intros pool_ i v there. rewrite there in is_thread. discriminate.
      * apply in_map_iff in in_l. destruct in_l as (i & <- & listed). apply ok. right. right. right. apply in_map. exact listed.
    + rewrite uses_ in is_used. injection is_used as <-. apply ok. simpl. tauto.
    + rewrite calls in arrives. discriminate.
    + apply ok. simpl. tauto.
  - intros t is_next. rewrite next_ in is_next. injection is_next as <-. apply ok. simpl. tauto.
Qed.
Example guest_keeps_its_thread : objects (next_of step with_guest yields_time) !! 0x10800 = objects with_guest !! 0x10800.
Proof.
  assert (owner_of apart_policy 0x10800 = Some guest) as whose by (vm_compute; reflexivity).
  refine (proj1 (policy_prevents_interference_proved small_plan apart_policy [root] guest with_guest _ small_roots_are_apart (reached_after make_guest)
                   guest_is_within guest_is_kept_apart _ 0x10800 whose)).
  apply and_then_one; [apply not_yet|]. apply root_begins; vm_compute; reflexivity.
Qed.

(** A step that promotes the guest each time. *)
Definition promote_guest : State -> State := change_thread 0x10800 (fun t => t <| priority := priority t + 1 |>).
Definition wrong_guest : State := after_mistakes promote_guest make_guest.
Lemma wrong_guest_reached : reachable (with_mistake promote_guest) small_plan wrong_guest.
Proof. apply mistakes_reach. Qed.
Lemma promotion_of_guest_shows :
  objects (next_of (with_mistake promote_guest) wrong_guest yields_time) !! 0x10800 <> objects wrong_guest !! 0x10800.
Proof.
  intros same. assert (priority (thread 0x10800 (next_of (with_mistake promote_guest) wrong_guest yields_time)) = priority (thread 0x10800 wrong_guest)) as less
    by (unfold thread; rewrite same; reflexivity).
  vm_compute in less. discriminate less.
Qed.
Example interference_by_policy_is_refuted : ~ policy_prevents_interference (with_mistake promote_guest).
Proof.
  intros claim. assert (pol_check apart_policy wrong_guest = true) as checked by (vm_compute; reflexivity).
  assert (keeps_apart apart_policy wrong_guest [root] guest = true) as kept by (vm_compute; reflexivity).
  assert (owner_of apart_policy 0x10800 = Some guest) as whose by (vm_compute; reflexivity).
  refine (promotion_of_guest_shows (proj1 (claim small_plan apart_policy [root] guest wrong_guest _ small_roots_are_apart wrong_guest_reached checked kept _
    0x10800 whose))).
  apply and_then_one; [apply not_yet|]. apply root_begins; vm_compute; reflexivity.
Qed.

(** Neither check is enough. A capability to the guest's thread leads to it, and so does one of which it has a copy: a copy of a frame can be revoked. *)
Definition claimed_without (checks : Policy -> list N -> State -> bool) : Prop := forall p st found subject,
  capabilities_live st -> links_live st -> waits_are_right st -> checks p found st = true -> is_closed_set p found = true -> ~ In subject found ->
  has_no_channel p subject (things_of p found st) st.
Definition copies_frame : Event := call_event (Method.label Method.CNodeCopy) 40 [2; 4; InitSlot.number InitSlot.IPCBuffer; 64; 15].
Definition sharing_policy : Policy :=
  policy_of [roots; guests] (permit guest CapType.Frame 0x6000 0x1000 memory_rights :: guest_holds ++ root_permits).
Definition with_copy : State :=
  after [retype (ObjectType.number ObjectType.CNode) 4 40; retype (ObjectType.number ObjectType.TCB) 0 41; copies_frame; move_into 0 41; move_into 1 40;
         delete_slot 18].
Example copy_is_within : (pol_check sharing_policy with_copy, is_closed_set sharing_policy [root], links_stay sharing_policy [root] with_copy)
  = (true, true, false).
Proof. vm_compute. reflexivity. Qed.
Example links_are_needed : ~ claimed_without (fun p _ st => pol_check p st).
Proof.
  intros claim. destruct (claim sharing_policy with_copy [root] guest) as (closed_ & off).
  - exact (no_capability_dangles_proved small_plan _ small_roots_are_apart (reached_after _)).
  - exact (no_link_dangles_proved small_plan _ small_roots_are_apart (reached_after _)).
  - exact (threads_wait_where_they_say_proved small_plan _ small_roots_are_apart (reached_after _)).
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - simpl. intros [same|[]]. discriminate same.
  - assert (leads_on with_copy (ASlot (slot_of 0x2000 10)) (ASlot (0x10000 + 64))) as leads by (apply by_derivation; vm_compute; tauto).
    refine (proj2 (off (0x10000 + 64) eq_refl) (closed_ _ _ leads _)). intros a whose. vm_compute in whose. injection whose as <-. left. reflexivity.
Qed.
Definition with_thread : State := after [retype (ObjectType.number ObjectType.TCB) 0 40; delete_slot 18].
Example policies_are_needed : ~ claimed_without links_stay.
Proof.
  intros claim. destruct (claim apart_policy with_thread [root] guest) as (closed_ & off).
  - exact (no_capability_dangles_proved small_plan _ small_roots_are_apart (reached_after _)).
  - exact (no_link_dangles_proved small_plan _ small_roots_are_apart (reached_after _)).
  - exact (threads_wait_where_they_say_proved small_plan _ small_roots_are_apart (reached_after _)).
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - simpl. intros [same|[]]. discriminate same.
  - assert (leads_on with_thread (ASlot (slot_of 0x2000 40)) (AnObject 0x10000)) as leads
      by (apply (by_capability _ _ (TCBCap 0x10000)); [vm_compute; reflexivity | apply by_control; left; reflexivity]).
    refine (proj1 (off 0x10000 eq_refl) (closed_ _ _ leads _)). intros a whose. vm_compute in whose. injection whose as <-. left. reflexivity.
Qed.

(** ** By which rule whose object changes

    Of the root task alone everything is in its reach. It stops itself by a rule that it has; of the guest's thread, in the policy that keeps them apart, it
    has no rule that changes a priority. *)
Lemma all_is_roots st x : things_of root_policy [root] st x.
Proof.
  assert (forall a, is_theirs root_policy [root] a) as each.
  { intros a owner whose. unfold owner_of in whose. cbn [regions root_policy policy_of List.find] in whose. destruct (is_in a 1 _ _); [|discriminate].
    injection whose as <-. left. reflexivity. }
  destruct x; cbn [things_of]; try split; intros; apply each.
Qed.
Lemma roots_flows : is_closed_set root_policy [root] = true /\ links_stay root_policy [root] (boot small_plan) = true.
Proof. split; vm_compute; reflexivity. Qed.
Lemma root_does e : cause e = SystemCall -> does root_policy (boot small_plan) e root.
Proof.
  intros calls. unfold does. rewrite calls. intros t is_cur. assert (current (boot small_plan) = Some 0x1000) as root_runs by (vm_compute; reflexivity).
  rewrite root_runs in is_cur. injection is_cur as <-. exact root_thread_is_roots.
Qed.
Example it_stops_itself : by_edges (boot small_plan) stop_itself
    (fun rule x => is_theirs root_policy [root] 0x1000 /\ In rule (rules_of (boot small_plan) stop_itself) /\ may_change root_policy root 0x1000 rule x
      /\ (only_messages (boot small_plan) stop_itself ->
          met_by_edge root_policy root (boot small_plan) stop_itself (next_of step (boot small_plan) stop_itself) 0x1000))
    0x1000 (objects (boot small_plan) !! 0x1000) (objects (next_of step (boot small_plan) stop_itself) !! 0x1000).
Proof.
  refine (proj1 (changes_follow_the_policy_proved small_plan root_policy [root] (boot small_plan) stop_itself root small_roots_are_apart (at_boot _ _)
    the_root_task_is_within (proj1 roots_flows) (proj2 roots_flows) _ (root_does stop_itself eq_refl)) 0x1000).
  split; intros x _; apply all_is_roots.
Qed.
Example it_may_control_itself : may_hold root_policy root (TCBCap 0x1000) = true.
Proof. vm_compute. reflexivity. Qed.
Example it_may_not_control_the_guest x : ~ may_change apart_policy root 0x10800 ByControl (Some (ThreadObject x)).
Proof.
  intros (_ & held). apply may_hold_may in held. assert (may_hold apart_policy root (TCBCap 0x10800) = false) as none by (vm_compute; reflexivity).
  congruence.
Qed.
Lemma edges_are_rules st e (allowed : ChangeRule -> option Object -> Prop) o x y :
  (forall rule z, allowed rule z -> In rule (rules_of st e)) -> by_edges st e allowed o x y -> by_rules st e (fun r => In r (rules_of st e)) o x y.
Proof. intros sub each. induction each as [|rule y z _ IH ok row]; [apply as_it_was | exact (and_by _ _ _ _ _ rule y z IH (sub rule y ok) row)]. Qed.
Example promotion_by_no_edge_is_refuted : ~ changes_follow_the_policy (with_mistake promote).
Proof.
  intros claim. apply promotion_is_unsteady. refine (by_rules_steady _ _ _ _ _ _ _ a_yield_is_no_invocation).
  refine (edges_are_rules _ _ _ _ _ _ _ (proj1 (claim small_plan root_policy [root] (boot small_plan) yields_time root small_roots_are_apart (at_boot _ _)
    the_root_task_is_within (proj1 roots_flows) (proj2 roots_flows) _ (root_does yields_time eq_refl)) 0x1000)).
  - intros rule z (_ & listed & _). exact listed.
  - split; intros x _; apply all_is_roots.
Qed.

(** ** One edge a rule

    A thread of the guest's waits at an endpoint, and the root task calls it: so it runs, by one edge, and of all else that changes each thing has one. *)
Definition of_guest (h : Holding) : Holding := permit guest (held_type h) (held_start h) (held_size h) (held_rights h).
Definition calling_policy : Policy :=
  policy_of [{| region_start := 0x10000; region_size := 0x800; region_owner := guest |}; all_of_it]
            (root_untyped :: root_permits ++ map of_guest (root_untyped :: root_permits)).
Definition it_waits_there : State := after (removelast call_the_second).
Definition it_is_called : Event := calls_with Syscall.Call [(0, 42); (1, 0)].
Example the_guest_waits_for_it :
  (pol_check calling_policy it_waits_there, owner_of calling_policy 0x10000, current it_waits_there, awaits_a_message (run_state (thread 0x10000
    it_waits_there)),
   is_running 0x10000 (next_of step it_waits_there it_is_called)) = (true, Some guest, Some 0x1000, true, true).
Proof. vm_compute. reflexivity. Qed.
Lemma the_call_is_a_message : only_messages it_waits_there it_is_called.
Proof.
  intros t s c m _ cur number sent. assert (current it_waits_there = Some 0x1000) as runs by (vm_compute; reflexivity). rewrite runs in cur.
    injection cur as <-.
  assert (system_call_of 0x1000 (enter it_is_called it_waits_there) = Some Syscall.Call) as is_call by (vm_compute; reflexivity).
  rewrite is_call in number. injection number as <-. vm_compute in sent. injection sent as <- _. reflexivity.
Qed.
Example the_guest_is_met_by_one_edge :
  met_by_edge calling_policy root it_waits_there it_is_called (next_of step it_waits_there it_is_called) 0x10000.
Proof.
  assert (pol_check calling_policy it_waits_there = true) as checked by (vm_compute; reflexivity).
  destruct (pol_check_is_sound_proved _ _ checked) as (closed_ & within_).
  destruct (changes_by_edge small_plan calling_policy root it_waits_there it_is_called small_roots_are_apart (reached_after _) closed_ within_) with (o :=
    0x10000)
    as [same|met_]; [| exact the_call_is_a_message | | exact met_].
  - intros t is_cur. assert (current it_waits_there = Some 0x1000) as runs by (vm_compute; reflexivity). rewrite runs in is_cur. injection is_cur as <-.
    exists root. repeat split; try (vm_compute; reflexivity); vm_compute; tauto.
  - assert (run_state (thread 0x10000 (next_of step it_waits_there it_is_called)) = run_state (thread 0x10000 it_waits_there)) as as_before
      by (unfold thread; rewrite same; reflexivity).
    vm_compute in as_before. discriminate as_before.
Qed.

(** Who calls no policy says: the root task waits for an answer, and the endpoint that it called through is gone, so that nobody may hold any; who holds the
    reply object answers all the same. So of callers the state is asked, and an edge through an endpoint would be too much. *)
Definition only_answers : Policy :=
  policy_of [all_of_it] (permit root CapType.TCB 0x10000 0x800 no_rights :: permit root CapType.SchedContext 0x10800 0x100 no_rights
                         :: permit root CapType.Reply 0x10920 32 no_rights :: root_permits).
Definition it_waits_for_an_answer : State := after (call_the_second ++ [delete_slot 42; delete_slot 18]).
Definition it_is_answered : Event := calls_with Syscall.Send [(0, 43); (1, 0)].
Example no_policy_says_who_calls :
  (pol_check only_answers it_waits_for_an_answer, edge only_answers root root Answering, caller (reply 0x10920 it_waits_for_an_answer),
   is_running 0x1000 it_waits_for_an_answer, is_running 0x1000 (next_of step it_waits_for_an_answer it_is_answered))
  = (true, false, Some 0x1000, false, true).
Proof. vm_compute. reflexivity. Qed.

(** A step that writes into a register of a thread each time, to which the root task's memory leads, but of which no message knows. *)
Definition scribble : State -> State := change_thread 0x10800 (fun t => with_register 9 (register 9 t + 1) t).
Definition scribbled : State := after_mistakes scribble make_guest.
Definition scribbled_again : State := next_of (with_mistake scribble) scribbled yields_time.
Lemma of_all_objects st (f : Object -> bool) : forallb (fun entry => f (snd entry)) (entries (objects st)) = true ->
  forall o x, objects st !! o = Some x -> f x = true.
Proof. intros all_ o x there. apply in_entries in there. exact (proj1 (forallb_forall _ _) all_ _ there). Qed.
Lemma nobody_scribbles : ~ met_by_edge root_policy root scribbled yields_time scribbled_again 0x10800.
Proof.
  assert (current scribbled = Some 0x1000) as runs by (vm_compute; reflexivity).
  assert (exists x, objects scribbled !! 0x10800 = Some (ThreadObject x) /\ run_state x = Inactive) as (x & there & idle)
    by (eexists; split; vm_compute; reflexivity).
  assert (forall r, reply r scribbled = unused_reply) as no_replies.
  { intros r. unfold reply. destruct (objects scribbled !! r) as [[]|] eqn:found; try reflexivity.
    apply (of_all_objects scribbled (fun x => match x with ReplyObject _ => false | _ => true end)) in found;
      [discriminate found | vm_compute; reflexivity]. }
  assert (forall c, context_thread (context c scribbled) <> Some 0x10800) as no_context.
  { intros c. unfold context. destruct (objects scribbled !! c) as [[]|] eqn:found;
      try (intros same; discriminate same).
    apply (of_all_objects scribbled (fun x => match x with SchedContextObject c => negb (is_number (context_thread c) 0x10800) | _ => true end)) in found;
      [|vm_compute; reflexivity]. intros same. rewrite same in found. discriminate found. }
  unfold met_by_edge. rewrite there. intros [met_|[(r & _ & named)|[(c & _ & has)|[(c & bits & sent & _)|(next_ & _)]]]].
  - assert (forall o right, ~ may_wait root_policy scribbled 0x10800 o right) as waits_nowhere.
    { intros o right (y & part & c & same & _ & listed & _). rewrite there in same. injection same as <-. rewrite idle in listed. destruct listed. }
    destruct met_ as [cur|at_ (listed & c & use & has)|(_ & u & s & d & m & cur & number & sent & _)|y _ waits_|y _ waits_|n _ waits_|n _ _ receives_|r _
      named];
      try exact (waits_nowhere _ _ waits_).
    + congruence.
    + assert (current_context scribbled = Some 0x5000) as used by (vm_compute; reflexivity). rewrite used in use. injection use as <-.
      destruct listed as [<-|[<-|[]]]; vm_compute in has; discriminate has.
    + rewrite runs in cur. injection cur as <-. vm_compute in number. injection number as <-. discriminate sent.
    + unfold thread in receives_. rewrite there, idle in receives_. discriminate receives_.
    + rewrite no_replies in named. discriminate named.
  - rewrite no_replies in named. discriminate named.
  - exact (no_context c has).
  - destruct sent as (_ & u & s & d & m & cur & number & sent & _). rewrite runs in cur. injection cur as <-. vm_compute in number.
    injection number as <-. discriminate sent.
  - assert (current scribbled_again = Some 0x1000) as runs_again by (vm_compute; reflexivity). congruence.
Qed.
Lemma no_edge_changes st e (allowed : ChangeRule -> option Object -> Prop) o x y : (forall rule z, ~ allowed rule z) -> by_edges st e allowed o x y -> y = x.
Proof. intros none changed. induction changed as [|rule y z _ _ ok _]; [reflexivity | destruct (none rule y ok)]. Qed.
Example scribbling_is_refuted : ~ changes_follow_the_policy (with_mistake scribble).
Proof.
  intros claim. assert (pol_check root_policy scribbled = true) as checked by (vm_compute; reflexivity).
  assert (links_stay root_policy [root] scribbled = true) as links_ by (vm_compute; reflexivity).
  assert (only_messages scribbled yields_time) as only.
  { intros t s c m _ cur number sent. assert (current scribbled = Some 0x1000) as runs by (vm_compute; reflexivity). rewrite runs in cur. injection cur as <-.
    vm_compute in number. injection number as <-. discriminate sent. }
  assert (does root_policy scribbled yields_time root) as acts_.
  { intros t is_cur. assert (current scribbled = Some 0x1000) as runs by (vm_compute; reflexivity). rewrite runs in is_cur. injection is_cur as <-.
    exact root_thread_is_roots. }
  pose proof (proj1 (claim small_plan root_policy [root] scribbled yields_time root small_roots_are_apart (mistakes_reach scribble make_guest) checked
    (proj1 roots_flows) links_ (conj (fun x _ => all_is_roots scribbled x) (fun t _ => all_is_roots scribbled (AnObject t))) acts_) 0x10800) as changed.
  pose proof (no_edge_changes _ _ _ _ _ _ (fun rule z ok => nobody_scribbles (proj2 (proj2 (proj2 ok)) only)) changed
    : objects scribbled_again !! 0x10800 = objects scribbled !! 0x10800) as same.
  assert (register 9 (thread 0x10800 scribbled_again) = register 9 (thread 0x10800 scribbled)) as as_before by (unfold thread; rewrite same; reflexivity).
  vm_compute in as_before. discriminate as_before.
Qed.

(** A thread that is stopped is met by the capability to it, and with it the queue where it waits: the root task stops the guest that waits. *)
Definition stops_the_guest : Event := call_passing 1 (Method.label Method.TCBSuspend) 40 [].
Example a_stop_is_met_by_one_edge : only_messages it_waits_there stops_the_guest
  /\ (receivers (endpoint 0x10900 it_waits_there), receivers (endpoint 0x10900 (next_of step it_waits_there stops_the_guest))) = ([0x10000], []).
Proof.
  split; [|vm_compute; reflexivity]. intros t s c m _ cur number sent. assert (current it_waits_there = Some 0x1000) as runs by (vm_compute; reflexivity).
  rewrite runs in cur. injection cur as <-. assert (system_call_of 0x1000 (enter stops_the_guest it_waits_there) = Some Syscall.Call) as is_call
    by (vm_compute; reflexivity).
  rewrite is_call in number. injection number as <-. vm_compute in sent. injection sent as <- <-. reflexivity.
Qed.

(** A page that is mapped is met through the VSpaceCap that is an argument, by the chain of tables that it begins; one that is unmapped by its frame's
  capability.
    The last table is the guest's. *)
Definition mapping_policy : Policy :=
  policy_of [{| region_start := 0x12000; region_size := 0x1000; region_owner := guest |}; all_of_it]
            (root_untyped :: root_permits ++ map of_guest (root_untyped :: root_permits)).
Lemma one_call_is_direct st e d m : current st = Some 0x1000 -> system_call_of 0x1000 (enter e st) = Some Syscall.Call ->
  sent_through 0x1000 Syscall.Call (enter e st) = Some (d, Some m) -> is_direct m = true -> only_messages st e.
Proof.
  intros runs is_call is_sent direct t s c m' _ cur number sent. rewrite runs in cur. injection cur as <-. rewrite is_call in number. injection number as <-.
  rewrite is_sent in sent. injection sent as <- <-. destruct d; exact direct || reflexivity.
Qed.
Example a_mapping_is_met_by_one_edge :
  met_by_edge mapping_policy root before_mapping map_the_frame (next_of step before_mapping map_the_frame) 0x12000
  /\ met_by_edge mapping_policy root (after map_a_frame) unmap_the_frame (next_of step (after map_a_frame) unmap_the_frame) 0x12000.
Proof.
  assert (forall st e d m, pol_check mapping_policy st = true -> reachable step small_plan st -> current st = Some 0x1000 ->
    system_call_of 0x1000 (enter e st) = Some Syscall.Call -> sent_through 0x1000 Syscall.Call (enter e st) = Some (d, Some m) -> is_direct m = true ->
    cause e = SystemCall -> is_some (table_entries 0x12000 (next_of step st e) !! 0) = negb (is_some (table_entries 0x12000 st !! 0)) ->
    met_by_edge mapping_policy root st e (next_of step st e) 0x12000) as each.
  { intros st e d m checked reached_ runs is_call sent direct why differs.
    destruct (pol_check_is_sound_proved _ _ checked) as (closed_ & within_).
    destruct (changes_by_edge small_plan mapping_policy root st e small_roots_are_apart reached_ closed_ within_) with (o := 0x12000)
      as [same|met_]; [| exact (one_call_is_direct st e d m runs is_call sent direct) | | exact met_].
    - unfold does. rewrite why. intros t is_cur. rewrite runs in is_cur. injection is_cur as <-.
      exists root. repeat split; try (vm_compute; reflexivity); vm_compute; tauto.
    - unfold table_entries in differs. rewrite same in differs. destruct (is_some _) in differs; discriminate differs. }
  split; [refine (each _ _ _ _ _ (reached_after _) _ _ _ _ _ _) | refine (each _ _ _ _ _ (reached_after _) _ _ _ _ _ _)]; vm_compute; reflexivity.
Qed.

(** A step that fills or empties a page table each time, which no call names. *)
Definition smear : State -> State :=
  change_table 0x10000 (fun t => if is_some (t !! 0) then remove 0 t else set 0 (Page 0x13000 12 false no_rights 0) t).
Definition smeared : State := after_mistakes smear (firstn 1 map_a_frame).
Definition smeared_again : State := next_of (with_mistake smear) smeared yields_time.
Lemma nobody_smears : ~ met_by_edge root_policy root smeared yields_time smeared_again 0x10000.
Proof.
  assert (current smeared = Some 0x1000) as runs by (vm_compute; reflexivity).
  assert (exists x, objects smeared !! 0x10000 = Some (PageTableObject x)) as (x & there) by (eexists; vm_compute; reflexivity).
  assert (forall c, ~ named_in_call root_policy root smeared yields_time c) as none.
  { intros c (_ & u & s & d & m & cur & number & sent & _). rewrite runs in cur. injection cur as <-. vm_compute in number. injection number as <-.
    discriminate sent. }
  unfold met_by_edge. rewrite there. clear x there. intros [space|(c & i & y & in_call & _)]; [|exact (none c in_call)].
  induction space as [o a in_call|o a in_call|o table i _ IH _]; [exact (none _ in_call) | exact (none _ in_call) | exact IH].
Qed.
Example smearing_is_refuted : ~ changes_follow_the_policy (with_mistake smear).
Proof.
  intros claim. assert (pol_check root_policy smeared = true) as checked by (vm_compute; reflexivity).
  assert (links_stay root_policy [root] smeared = true) as links_ by (vm_compute; reflexivity).
  assert (current smeared = Some 0x1000) as runs by (vm_compute; reflexivity).
  assert (only_messages smeared yields_time) as only.
  { intros t s c m _ cur number sent. rewrite runs in cur. injection cur as <-. vm_compute in number. injection number as <-. discriminate sent. }
  assert (does root_policy smeared yields_time root) as acts_
    by (intros t is_cur; rewrite runs in is_cur; injection is_cur as <-; exact root_thread_is_roots).
  pose proof (proj1 (claim small_plan root_policy [root] smeared yields_time root small_roots_are_apart (mistakes_reach smear _) checked
    (proj1 roots_flows) links_ (conj (fun x _ => all_is_roots smeared x) (fun t _ => all_is_roots smeared (AnObject t))) acts_) 0x10000) as changed.
  pose proof (no_edge_changes _ _ _ _ _ _ (fun rule z ok => nobody_smears (proj2 (proj2 (proj2 ok)) only)) changed
    : objects smeared_again !! 0x10000 = objects smeared !! 0x10000) as same.
  assert (is_some (table_entries 0x10000 smeared_again !! 0) = is_some (table_entries 0x10000 smeared !! 0)) as as_before
    by (unfold table_entries; rewrite same; reflexivity).
  vm_compute in as_before. discriminate as_before.
Qed.

(** A capability that is copied: what changes is a slot. *)
Definition copies_the_buffer : Event := call_event (Method.label Method.CNodeCopy) 2 [50; 64; InitSlot.number InitSlot.IPCBuffer; 64; 15].
Example a_copy_is_direct_too : only_messages (boot small_plan) copies_the_buffer
  /\ map (fun st => is_some (slots st !! slot_of 0x2000 50)) [boot small_plan; next_of step (boot small_plan) copies_the_buffer] = [false; true].
Proof. split; [refine (one_call_is_direct _ _ _ _ _ _ _ _)|]; vm_compute; reflexivity. Qed.

(** What a call changes of the guest's is met in it, whatever it does: the root task binds the guest's thread to a notification, takes its context away, yields
    to that, and makes it restart a send, as it waits with a badge at an endpoint whose senders the root task cancels. *)
Lemma a_call_is_met p st e d m o (seen : option Object -> N) : pol_check p st = true -> reachable step small_plan st -> is_of p 0x1000 root ->
  current st = Some 0x1000 -> system_call_of 0x1000 (enter e st) = Some Syscall.Call -> sent_through 0x1000 Syscall.Call (enter e st) = Some (d, Some m) ->
  is_direct m = true -> cause e = SystemCall -> (seen (objects st !! o) =? seen (objects (next_of step st e) !! o)) = false ->
  met_by_edge p root st e (next_of step st e) o.
Proof.
  intros checked reached_ is_root runs is_call sent direct why differs. destruct (pol_check_is_sound_proved _ _ checked) as (closed_ & within_).
  destruct (changes_by_edge small_plan p root st e small_roots_are_apart reached_ closed_ within_) with (o := o) as [same|met_];
    [| exact (one_call_is_direct st e d m runs is_call sent direct) | | exact met_].
  - unfold does. rewrite why. intros t is_cur. rewrite runs in is_cur. injection is_cur as <-. exact is_root.
  - rewrite same, N.eqb_refl in differs. discriminate differs.
Qed.
Definition seen_of_thread (x : option Object) : N :=
  match x with
  | Some (ThreadObject t) =>
      1 + 2 * bit (is_some (bound_notification t)) + 4 * bit (is_some (sched_context t)) + 8 * bit (match run_state t with Running => true | _ => false end)
  | _ => 0
  end.
Definition seen_of_context (x : option Object) : N := match x with Some (SchedContextObject c) => 1 + bit (is_some (yielder c)) | _ => 0 end.
Definition seen_of_pool (x : option Object) : N := match x with Some (ASIDPoolObject a) => 1 + N.of_nat (length (entries (assigned a))) | _ => 0 end.
Definition guest_has_its_own : State :=
  after (second_thread ++ [retype (ObjectType.number ObjectType.Notification) 0 44; retype (ObjectType.number ObjectType.VSpace) 0 45;
                           call_passing 1 (Method.label Method.TCBSetPriority) 40 [255]]).
Definition guest_waits_to_send : State :=
  after (second_thread ++ [retype (ObjectType.number ObjectType.Endpoint) 0 42; call_event (Method.label Method.CNodeMint) 2 [44; 64; 42; 64; 15; 7];
    share_spaces; call_passing 1 (Method.label Method.TCBSetPriority) 40 [255]; calls_with Syscall.Yield []; calls_with Syscall.Send [(0, 44); (1, 0)]]).
Definition binds_the_guest : Event := call_passing 44 (Method.label Method.TCBBindNotification) 40 [].
Definition takes_its_context : Event := call_passing 41 (Method.label Method.SchedContextUnbind) 41 [].
Definition yields_to_the_guest : Event := call_passing 41 (Method.label Method.SchedContextYieldTo) 41 [].
Definition assigns_an_asid : Event := call_passing 45 (Method.label Method.ASIDPoolAssign) (InitSlot.number InitSlot.ASIDPool) [].
Definition cancels_its_send : Event := call_event (Method.label Method.CNodeCancelBadgedSends) 2 [44; 64].
Definition the_pool : N :=
  match capability_at (slot_of 0x2000 (InitSlot.number InitSlot.ASIDPool)) (boot small_plan) with Some (ASIDPoolCap o) => o | _ => 0 end.
Lemma root_is_in_calling_policy : is_of calling_policy 0x1000 root.
Proof. exists root. repeat split; try (vm_compute; reflexivity); vm_compute; tauto. Qed.
Ltac is_met_in_call seen := eapply (fun st e d m o => a_call_is_met calling_policy st e d m o seen);
  [vm_compute; reflexivity | apply reached_after | exact root_is_in_calling_policy | vm_compute; reflexivity ..].
Example bindings_are_met_by_one_edge :
  (let st := guest_has_its_own in
    met_by_edge calling_policy root st binds_the_guest (next_of step st binds_the_guest) 0x10000
    /\ met_by_edge calling_policy root st takes_its_context (next_of step st takes_its_context) 0x10000
    /\ met_by_edge calling_policy root st yields_to_the_guest (next_of step st yields_to_the_guest) 0x10800
    /\ met_by_edge calling_policy root st assigns_an_asid (next_of step st assigns_an_asid) the_pool)
  /\ met_by_edge calling_policy root guest_waits_to_send cancels_its_send (next_of step guest_waits_to_send cancels_its_send) 0x10000.
Proof.
  split; [split; [|split; [|split]]|].
  - is_met_in_call seen_of_thread.
  - is_met_in_call seen_of_thread.
  - is_met_in_call seen_of_context.
  - is_met_in_call seen_of_pool.
  - is_met_in_call seen_of_thread.
Qed.

(** A step that fills or empties an entry of the pool each time, to which no call is sent. *)
Definition pour : State -> State :=
  change_pool the_pool (fun x => {| pool_index := pool_index x;
    assigned := if is_some (assigned x !! 9) then remove 9 (assigned x) else set 9 0x3000 (assigned x) |}).
Definition poured : State := next_of (with_mistake pour) (boot small_plan) yields_time.
Lemma nobody_pours : ~ met_by_edge root_policy root (boot small_plan) yields_time poured the_pool.
Proof.
  assert (current (boot small_plan) = Some 0x1000) as runs by (vm_compute; reflexivity).
  assert (exists x, objects (boot small_plan) !! the_pool = Some (ASIDPoolObject x)) as (x & there) by (eexists; vm_compute; reflexivity).
  unfold met_by_edge. rewrite there. intros (_ & u & s & d & m & cur & number & sent & _). rewrite runs in cur. injection cur as <-.
  vm_compute in number. injection number as <-. discriminate sent.
Qed.
Example pouring_is_refuted : ~ changes_follow_the_policy (with_mistake pour).
Proof.
  intros claim. assert (current (boot small_plan) = Some 0x1000) as runs by (vm_compute; reflexivity).
  assert (only_messages (boot small_plan) yields_time) as only.
  { intros t s c m _ cur number sent. rewrite runs in cur. injection cur as <-. vm_compute in number. injection number as <-. discriminate sent. }
  pose proof (proj1 (claim small_plan root_policy [root] (boot small_plan) yields_time root small_roots_are_apart (at_boot _ _) the_root_task_is_within
    (proj1 roots_flows) (proj2 roots_flows) (conj (fun x _ => all_is_roots _ x) (fun t _ => all_is_roots _ (AnObject t))) (root_does yields_time eq_refl))
    the_pool) as changed.
  pose proof (no_edge_changes _ _ _ _ _ _ (fun rule z ok => nobody_pours (proj2 (proj2 (proj2 ok)) only)) changed
    : objects poured !! the_pool = objects (boot small_plan) !! the_pool) as same.
  assert (seen_of_pool (objects poured !! the_pool) = seen_of_pool (objects (boot small_plan) !! the_pool)) as as_before by (rewrite same; reflexivity).
  vm_compute in as_before. discriminate as_before.
Qed.

(** What is made lies in the memory of the untyped that the call names; and what is rotated changes no object. *)
Definition seen_at_all (x : option Object) : N := bit (is_some x).
Definition before_a_pool : State := after [retype (ObjectType.number ObjectType.Untyped) 12 40].
Definition makes_a_pool : Event := {|
  cause := SystemCall; time := 9;
  saved := words_of_call (Method.label Method.ASIDControlMakePool) (InitSlot.number InitSlot.ASIDControl) [41; 64] 2;
  readable := [(0x6000 + ipc_buffer_caps_or_badges, 40); (0x6000 + ipc_buffer_caps_or_badges + 8, 2)]; preempt_after := None; chosen := nothing_chosen |}.
Example what_is_made_is_met_by_one_edge :
  met_by_edge calling_policy root (boot small_plan) retype_endpoint (next_of step (boot small_plan) retype_endpoint) 0x10000
  /\ met_by_edge calling_policy root before_a_pool makes_a_pool (next_of step before_a_pool makes_a_pool) 0x10000.
Proof.
  split; [change (boot small_plan) with (after [])|]; is_met_in_call seen_at_all.
Qed.
Definition has_two : State := after [retype (ObjectType.number ObjectType.TCB) 0 40; retype (ObjectType.number ObjectType.Reply) 0 41].
Definition rotates_them : Event := {|
  cause := SystemCall; time := 9;
  saved := words_of_call (Method.label Method.CNodeRotate) (InitSlot.number InitSlot.CNode) [40; 64; 0; 41; 64; 0; 40; 64] 2;
  readable := [(0x6000 + ipc_buffer_caps_or_badges, 2); (0x6000 + ipc_buffer_caps_or_badges + 8, 2)]; preempt_after := None; chosen := nothing_chosen |}.
Example a_rotation_is_direct_too : only_messages has_two rotates_them
  /\ map (fun st => map (fun i => option_map cap_type (capability_at (slot_of 0x2000 i) st)) [40; 41]) [has_two; next_of step has_two rotates_them]
     = [[Some CapType.TCB; Some CapType.Reply]; [Some CapType.Reply; Some CapType.TCB]].
Proof. split; [refine (one_call_is_direct _ _ _ _ _ _ _ _)|]; vm_compute; reflexivity. Qed.

(** A step that makes an object out of nothing each time, as no call names memory. *)
Definition conjure : State -> State := put_object 0x90000 (EndpointObject {| senders := []; receivers := [] |}).
Definition conjured : State := next_of (with_mistake conjure) (boot small_plan) yields_time.
Lemma nobody_conjures : ~ met_by_edge root_policy root (boot small_plan) yields_time conjured 0x90000.
Proof.
  assert (current (boot small_plan) = Some 0x1000) as runs by (vm_compute; reflexivity).
  assert (objects (boot small_plan) !! 0x90000 = None) as none by (vm_compute; reflexivity).
  unfold met_by_edge. rewrite none. intros (base & bits & device & used & (_ & u & s & d & m & cur & number & sent & _) & _). rewrite runs in cur.
  injection cur as <-. vm_compute in number. injection number as <-. discriminate sent.
Qed.
Example conjuring_is_refuted : ~ changes_follow_the_policy (with_mistake conjure).
Proof.
  intros claim. assert (current (boot small_plan) = Some 0x1000) as runs by (vm_compute; reflexivity).
  assert (only_messages (boot small_plan) yields_time) as only.
  { intros t s c m _ cur number sent. rewrite runs in cur. injection cur as <-. vm_compute in number. injection number as <-. discriminate sent. }
  pose proof (proj1 (claim small_plan root_policy [root] (boot small_plan) yields_time root small_roots_are_apart (at_boot _ _) the_root_task_is_within
    (proj1 roots_flows) (proj2 roots_flows) (conj (fun x _ => all_is_roots _ x) (fun t _ => all_is_roots _ (AnObject t))) (root_does yields_time eq_refl))
    0x90000) as changed.
  pose proof (no_edge_changes _ _ _ _ _ _ (fun rule z ok => nobody_conjures (proj2 (proj2 (proj2 ok)) only)) changed
    : objects conjured !! 0x90000 = objects (boot small_plan) !! 0x90000) as same.
  vm_compute in same. discriminate same.
Qed.
