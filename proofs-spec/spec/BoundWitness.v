(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The claims about those who are bound say something

    Two threads with CSpaces of their own are bound by a policy that gives both the same, and one sends to the other. What they may not hold, a step with a
    mistake gives away. *)
From Spec Require Import AmongProofs Witness PolicyWitness.
Open Scope N_scope.

Definition thread_of_its_own (slot : N) : list Event :=
  [ retype (ObjectType.number ObjectType.TCB) 0 slot; retype (ObjectType.number ObjectType.SchedContext) 8 (slot + 1);
    retype (ObjectType.number ObjectType.CNode) 1 (slot + 2); retype (ObjectType.number ObjectType.VSpace) 0 (slot + 3);
    call_passing (slot + 1) (Method.label Method.SchedControlConfigureFlags) 17 [1000; 1000; 0; 0; 0];
    call_passing slot (Method.label Method.SchedContextBind) (slot + 1) [];
    call_passing (slot + 3) (Method.label Method.ASIDPoolAssign) (InitSlot.number InitSlot.ASIDPool) [];
    call_event (Method.label Method.CNodeCopy) (slot + 2) [1; 1; 40; 64; 15];
    {| cause := SystemCall; time := 9; saved := words_of_call (Method.label Method.TCBSetSpace) slot [CNodeCapData.make 63 0; 0] 3;
       readable := [(0x6000 + ipc_buffer_caps_or_badges + 8, slot + 2); (0x6000 + ipc_buffer_caps_or_badges + 16, slot + 3)]; preempt_after := None;
       chosen := nothing_chosen |};
    call_passing 1 (Method.label Method.TCBSetPriority) slot [255]; call_passing slot (Method.label Method.TCBResume) slot [] ].
Definition one_waits : list Event :=
  [retype_endpoint] ++ thread_of_its_own 41 ++ thread_of_its_own 45 ++ [calls_with Syscall.Yield []; calls_with Syscall.Wait [(0, 1)]].
Definition waiting_one : N := 0x10800.
Definition sending_one : N := 0x13000.
Definition before_sending : State := after one_waits.
Definition send_to_him : Event := calls_with Syscall.Send [(0, 1); (1, 0)].
Example one_waits_and_the_other_runs :
  (current before_sending, run_state (thread waiting_one before_sending)) = (Some sending_one, BlockedOnReceive 0x10000 None false true).
Proof. vm_compute. reflexivity. Qed.
Example he_gets_the_message : run_state (thread waiting_one (fst (fst (step before_sending send_to_him)))) = Running.
Proof. vm_compute. reflexivity. Qed.

(** What threads run with is kept apart from what they can invoke: subjects 3 and 4 act for 1 and 2. *)
Definition part_of (owner start size : N) : Region := {| region_start := start; region_size := size; region_owner := owner |}.
Definition up_to (start end_ : N) : Region := part_of root start (end_ - start).
Definition runs_with (part cnode vspace : N) : list Holding :=
  [permit part CapType.CNode cnode 64 no_rights; permit part CapType.VSpace vspace 0x1000 no_rights].
Definition with_two (also : list Holding) : Policy :=
  {| regions := [up_to 0 waiting_one; part_of 3 waiting_one 0x800; up_to 0x11000 0x11100; part_of 1 0x11100 64; up_to 0x11140 0x12000; part_of 1 0x12000 0x1000;
                 part_of 4 sending_one 0x800; up_to 0x13800 0x13900; part_of 2 0x13900 64; up_to 0x13940 0x14000; part_of 2 0x14000 0x1000;
                 up_to 0x15000 nowhere];
     permitted := also ++ [permit 1 CapType.Endpoint 0x10000 16 all_rights; permit 2 CapType.Endpoint 0x10000 16 all_rights]
                  ++ runs_with 3 0x11100 0x12000 ++ runs_with 4 0x13900 0x14000 ++ root_untyped :: root_permits;
     acts_for := [(3, 1); (4, 2)]; trusted := []; silent := [] |}.
Definition two_policy : Policy := with_two [].
Example the_two_are_within : pol_check two_policy before_sending = true.
Proof. vm_compute. reflexivity. Qed.
Example the_two_are_bound : bound_check two_policy [1; 2] before_sending = true.
Proof. vm_compute. reflexivity. Qed.
(** If one of them may hold a notification that the other may not, the policy is not closed, and they are not bound. *)
Example unequal_ones_are_not : bound_by (with_two [permit 1 CapType.Notification 0x15000 32 all_rights]) [1; 2] = false.
Proof. vm_compute. reflexivity. Qed.

Lemma is_thread_of p t part subject : owner_of p (slot_of t cspace_slot) = Some part -> silent p = [] -> acting p part = subject ->
  acting p subject = subject ->
  is_of p t subject.
Proof. intros owned none acts_ itself. exists part. rewrite none. repeat split; try assumption; intros []. Qed.
Lemma one_phase st t at_ address : Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some Syscall.Send ->
  begins st t at_ address -> at_ = st /\ address = register 0 (thread t st).
Proof. intros send_ (s & number & listed). rewrite send_ in number. injection number as <-. destruct listed as [same|[]]. injection same as <- <-. split;
  reflexivity. Qed.
Lemma the_two_meet : among two_policy [1; 2] before_sending send_to_him.
Proof.
  intros t _ cur. assert (current before_sending = Some sending_one) as same by (vm_compute; reflexivity). rewrite same in cur. injection cur as <-. split.
  - exists 2. split; [right; left; reflexivity|]. apply (is_thread_of _ _ 4); vm_compute; reflexivity.
  - intros at_ address u begins_ _.
    destruct (one_phase (enter send_to_him before_sending) sending_one at_ address ltac:(vm_compute; reflexivity) begins_) as (-> & ->). clear begins_.
    assert (occupied_slot_of_address sending_one (register 0 (thread sending_one (enter send_to_him before_sending))) (enter send_to_him before_sending)
            = inl (slot_of 0x13900 1, EndpointCap 0x10000 0 all_rights)) as found by (vm_compute; reflexivity).
    intros [e b r x o q g (k & named) _ waits_ _ _|e b r x b' g gr c l (k & named) _ queued _ _|o r (k & named) _ _ _]; rewrite found in named;
      [| |discriminate]; injection named as _ <- _ _.
    + assert (hd_error (receivers (endpoint 0x10000 (enter send_to_him before_sending))) = Some waiting_one) as him by (vm_compute; reflexivity).
      rewrite him in waits_. injection waits_ as <-. exists 1. split; [left; reflexivity|]. apply (is_thread_of _ _ 3); vm_compute; reflexivity.
    + assert (senders (endpoint 0x10000 (enter send_to_him before_sending)) = []) as nobody_ by (vm_compute; reflexivity). rewrite nobody_ in queued.
      destruct queued.
Qed.
Example what_they_do_is_confined : kept_to two_policy [1; 2] (fst (fst (step before_sending send_to_him))).
Proof.
  exact (runs_are_confined_proved small_plan two_policy [1; 2] before_sending _ small_roots_are_sound (reached_after _) the_two_are_within the_two_are_bound
           (by_those step two_policy [1; 2] before_sending before_sending send_to_him (stays_there _ _ _ _) the_two_meet)).
Qed.

(** ** What is needed

    A state within a closed policy is not enough: whoever claims interrupts, as the root task may, can fill slots that are nobody's; and who may hold an untyped
    meets others at an endpoint that he makes, of which a closed policy says nothing. *)
Example pol_check_is_not_enough : ~ forall p subjects st, pol_check p st = true -> bound p subjects.
Proof.
  intros enough. pose proof (enough root_policy [root] (boot small_plan) the_root_task_is_within) as bounds.
  destruct (give_what_signals _ _ bounds root (N.shiftl 1 60) 0x10000 0 no_rights (or_introl eq_refl)) as (owner & owned & _).
  - right. exists (permit root CapType.IRQControl 0 1 no_rights). repeat split; try (vm_compute; tauto).
  - right. exists root_untyped. repeat split; try (vm_compute; tauto).
  - vm_compute in owned. discriminate.
Qed.
Definition makes_endpoints : Holding := permit sender CapType.Untyped 0 0x1000 no_rights.
Example what_is_made_meets_too : openings (policy_of [] [makes_endpoints; of_receiver]) = []
  /\ meet_well (policy_of [] [makes_endpoints; of_receiver]) [makes_endpoints; of_receiver] makes_endpoints of_receiver = false.
Proof. vm_compute. split; reflexivity. Qed.

(** So a state is left that a closed policy allows: the root task makes an endpoint, gives it to a thread that may hold nothing else, and sends a capability
    when that one waits. *)
Definition one_with_a_buffer : list Event :=
  [ retype_endpoint; retype (ObjectType.number ObjectType.TCB) 0 41; retype (ObjectType.number ObjectType.SchedContext) 8 42;
    retype (ObjectType.number ObjectType.CNode) 2 43; retype (ObjectType.number ObjectType.VSpace) 0 44; retype (ObjectType.number ObjectType.SmallPage) 0 45;
    call_passing 42 (Method.label Method.SchedControlConfigureFlags) 17 [1000; 1000; 0; 0; 0]; call_passing 41 (Method.label Method.SchedContextBind) 42 [];
    call_passing 44 (Method.label Method.ASIDPoolAssign) (InitSlot.number InitSlot.ASIDPool) [];
    call_event (Method.label Method.CNodeCopy) 43 [1; 2; 40; 64; 15]; call_event (Method.label Method.CNodeCopy) 43 [2; 2; 43; 64; 15];
    {| cause := SystemCall; time := 9; saved := words_of_call (Method.label Method.TCBSetSpace) 41 [CNodeCapData.make 62 0; 0] 3;
       readable := [(0x6000 + ipc_buffer_caps_or_badges + 8, 43); (0x6000 + ipc_buffer_caps_or_badges + 16, 44)]; preempt_after := None;
       chosen := nothing_chosen |};
    call_passing 45 (Method.label Method.TCBSetIPCBuffer) 41 [0x500000]; call_passing 1 (Method.label Method.TCBSetPriority) 41 [255];
    call_passing 41 (Method.label Method.TCBResume) 41 []; calls_with Syscall.Yield []; calls_with Syscall.Wait [(0, 1)] ].
Definition give_him_more : Event := {|
  cause := SystemCall; time := 9;
  saved := [(7, Syscall.number Syscall.Send); (pc, 0x104); (0, 40); (1, MessageInfo.make 0 1 0 0)];
  readable := [(0x6000 + ipc_buffer_caps_or_badges, InitSlot.number InitSlot.SchedContext); (0x13000 + ipc_buffer_receive_cnode, 2);
               (0x13000 + ipc_buffer_receive_index, 3); (0x13000 + ipc_buffer_receive_depth, 2)]; preempt_after := None; chosen := nothing_chosen |}.
Definition with_one : Policy :=
  {| regions := [up_to 0 waiting_one; part_of 3 waiting_one 0x800; up_to 0x11000 0x11100; part_of 1 0x11100 128; up_to 0x11180 0x12000;
    part_of 1 0x12000 0x1000;
                 up_to 0x13000 nowhere];
     permitted := permit 1 CapType.Endpoint 0x10000 16 all_rights :: permit 1 CapType.CNode 0x11100 128 no_rights
                  :: permit 3 CapType.Frame 0x13000 0x1000 memory_rights :: permit 3 CapType.CNode 0x11100 128 no_rights
                  :: permit 3 CapType.VSpace 0x12000 0x1000 no_rights :: root_untyped :: root_permits;
     acts_for := [(3, 1)]; trusted := []; silent := [] |}.
Example a_closed_policy_is_left :
  (violations with_one (after one_with_a_buffer), violations with_one (fst (fst (step (after one_with_a_buffer) give_him_more))))
  = ([], [Exceeds 1 (slot_of 0x11100 3) (SchedContextCap 0x5000 7)]).
Proof. vm_compute. reflexivity. Qed.

(** ** Steps with a mistake *)
Lemma nobody_is_bound : bound root_policy [].
Proof. constructor; intros; contradiction. Qed.
Lemma the_root_task_is_kept_to : kept_to root_policy [] (boot small_plan).
Proof.
  assert (bound_check root_policy [] (boot small_plan) = true) as checked by (vm_compute; reflexivity).
  exact (proj2 (proj2 (proj2 (bounds_are_sound_proved root_policy [] (boot small_plan) the_root_task_is_within checked)))).
Qed.
Lemma generous_is_not_kept : ~ kept_to root_policy [] (mistaken (planted foreign_memory) time_passes).
Proof.
  intros [[slots_ _ _] _].
  assert (forallb (fun e => negb (is_zombie (capability (snd e)))) (entries (slots (mistaken (planted foreign_memory) time_passes))) = true) as usable
    by (vm_compute; reflexivity).
  destruct (uses_within _ _ slots_ (slot_of 0x2000 50) foreign_memory (planted_found foreign_memory time_passes) eq_refl (no_zombies_no_end _ _ usable))
    as (subject & _ & held). exact (nobody_may_hold_foreign_memory subject held).
Qed.
Example generous_step_is_not_confined : ~ confinement (with_mistake (planted foreign_memory)).
Proof.
  intros claim. apply generous_is_not_kept. unfold mistaken. rewrite <- mistaken_state.
  refine (claim small_plan root_policy [] (boot small_plan) time_passes small_roots_are_sound (at_boot _ _) root_is_closed nobody_is_bound nowhere_is_nobodys
            the_root_task_is_kept_to _). intros t is_call. discriminate is_call.
Qed.
Example generous_runs_are_not_confined : ~ runs_are_confined (with_mistake (planted foreign_memory)).
Proof.
  intros claim. apply generous_is_not_kept. unfold mistaken. rewrite <- mistaken_state.
  refine (claim small_plan root_policy [] (boot small_plan) _ small_roots_are_sound (at_boot _ _) the_root_task_is_within _ _).
  - vm_compute. reflexivity.
  - apply by_those; [apply stays_there|]. intros t is_call. discriminate is_call.
Qed.
