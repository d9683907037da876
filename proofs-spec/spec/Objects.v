(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Capabilities, objects and the state of the kernel

    Everything that the kernel remembers between two events is one value of type [State]. This file says what it consists of;
    the others say how events change it. Names are those of the reference manual.

    Two things are named by numbers. An _object_ is named by the physical address of its memory, which no other object has. A
    _slot_, the place of one capability, is named by the address of the 32 bytes that hold it: slot i of a CNode at address a is
    a + 32 * i, and the five slots of a thread are counted from the thread's address in the same way. *)
From Spec Require Export Prelude Api.
Open Scope N_scope.

(** ** Capabilities *)

(** Rights of endpoint, notification and frame capabilities. *)
Record Rights := { can_write : bool; can_read : bool; can_grant : bool; can_grant_reply : bool }.
Definition all_rights : Rights := {| can_write := true; can_read := true; can_grant := true; can_grant_reply := true |}.
Definition memory_rights : Rights := {| can_write := true; can_read := true; can_grant := false; can_grant_reply := false |}.
Definition rights_of_word (word : N) : Rights :=
  {| can_write := CapRights.write word =? 1; can_read := CapRights.read word =? 1;
     can_grant := CapRights.grant word =? 1; can_grant_reply := CapRights.grant_reply word =? 1 |}.
Definition word_of_rights (r : Rights) : N :=
  CapRights.make (bit (can_write r)) (bit (can_read r)) (bit (can_grant r)) (bit (can_grant_reply r)).
Definition common_rights (a b : Rights) : Rights :=
  {| can_write := can_write a && can_write b; can_read := can_read a && can_read b;
     can_grant := can_grant a && can_grant b; can_grant_reply := can_grant_reply a && can_grant_reply b |}.

(** Where a frame or a page table is mapped: under which ASID, from which address on, and for a page table at which level. *)
Record Place := { place_asid : N; place_address : N; place_level : N }.

(** A capability names an object, or an authority that has no object, and says what its holder may do with it. An untyped remembers how many of its bytes
    are used. A VSpace capability knows its ASID once one was assigned, a frame or page-table capability where it is mapped. A [ZombieCap] is what becomes
    of the last capability to a CNode or thread until the slots in it are empty. *)
Inductive Capability :=
| UntypedCap (base size_bits : N) (is_device : bool) (used : N)
| EndpointCap (endpoint badge : N) (rights : Rights)
| NotificationCap (notification badge : N) (rights : Rights)
| ReplyCap (reply : N) (rights : Rights)
| CNodeCap (cnode radix guard guard_size : N)
| TCBCap (thread : N)
| SchedContextCap (context size_bits : N)
| SchedControlCap (core : N)
| VSpaceCap (vspace : N) (asid : option N)
| PageTableCap (table : N) (place : option Place)
| FrameCap (base size_bits : N) (is_device : bool) (rights : Rights) (place : option Place)
| ASIDControlCap
| ASIDPoolCap (pool : N)
| IRQControlCap
| IRQHandlerCap (irq : N)
| SGISignalCap (irq target : N)
| DomainCap
| InspectCap
| ZombieCap (container : N).

Definition cap_type (c : Capability) : CapType.t :=
  match c with
  | UntypedCap _ _ _ _ => CapType.Untyped
  | EndpointCap _ _ _ => CapType.Endpoint
  | NotificationCap _ _ _ => CapType.Notification
  | ReplyCap _ _ => CapType.Reply
  | CNodeCap _ _ _ _ => CapType.CNode
  | TCBCap _ => CapType.TCB
  | SchedContextCap _ _ => CapType.SchedContext
  | SchedControlCap _ => CapType.SchedControl
  | VSpaceCap _ _ => CapType.VSpace
  | PageTableCap _ _ => CapType.PageTable
  | FrameCap _ _ _ _ _ => CapType.Frame
  | ASIDControlCap => CapType.ASIDControl
  | ASIDPoolCap _ => CapType.ASIDPool
  | IRQControlCap => CapType.IRQControl
  | IRQHandlerCap _ => CapType.IRQHandler
  | SGISignalCap _ _ => CapType.SGISignal
  | DomainCap => CapType.Domain
  | InspectCap => CapType.Inspect
  | ZombieCap _ => CapType.Zombie
  end.

(** An occupied slot: its capability and its place in the derivation tree. What is derived from an original is its child, what is derived from a copy is the
    copy's sibling. Children stand in the order in which they would be deleted, the one derived last first. *)
Record Entry := { capability : Capability; original : bool; parent : option N; children : list N }.
#[export] Instance entry_fields : Fields Entry := fun e => {|
  capability := capability e; original := original e; parent := parent e; children := children e |}.

(** Slots of interrupt handlers are in no object: they have names above all memory. *)
Definition slot_bytes : N := N.shiftl 1 slot_bits.
Definition slot_of (container index : N) : N := container + slot_bytes * index.
Definition irq_slot (irq : N) : N := slot_of 0x100000000000000 irq.

(** What a capability refers to, for types that notice when their last capability is deleted. *)
Definition referent (c : Capability) : option N :=
  match c with
  | EndpointCap o _ _ | NotificationCap o _ _ | ReplyCap o _ | CNodeCap o _ _ _ | TCBCap o | SchedContextCap o _
  | VSpaceCap o _ | PageTableCap o _ | ASIDPoolCap o => Some o
  | IRQHandlerCap irq => Some (irq_slot irq)
  | _ => None
  end.

(** The object that a capability refers to, if it refers to one. *)
Definition object_of (c : Capability) : option N :=
  match c with ZombieCap o => Some o | IRQHandlerCap _ => None | _ => referent c end.
Definition is_zombie (c : Capability) : bool := match c with ZombieCap _ => true | _ => false end.

(** ** Threads *)

(** The registers of a thread by their numbers: x0 to x30, then those below. A register that the table lacks is 0. *)
Definition Registers := Table N.
Definition sp : N := 31.
Definition pc : N := 32.
Definition spsr : N := 33.
Definition tpidr_el0 : N := 34.
Definition tpidrro_el0 : N := 35.

(** A fault as its handler will see it. *)
Record Fault := { fault_label : FaultLabel.t; fault_words : list N }.

(** A blocked thread's state says what it waits for, and what was decided when it began to: of a sender the badge and rights of
    its capability, whether it also waits for the reply, and whether it lends its scheduling context; of a receiver the reply
    object, whether it refuses messages that would leave it without a scheduling context, and the right grant of its capability,
    which is noted of a caller too once its message was received: then it says whether the answer may bring capabilities. *)
Inductive RunState :=
| Inactive
| Running
| BlockedOnReceive (endpoint : N) (reply : option N) (requires_donation may_grant : bool)
| BlockedOnSend (endpoint badge : N) (may_grant may_grant_reply is_call lends : bool)
| BlockedOnReply (reply : N) (may_grant : bool)
| BlockedOnNotification (notification : N).

(** An armed breakpoint or watchpoint. *)
Record Breakpoint := { watched_address : N; watched_size : N; watched_access : N }.

(** The five slots of a thread. *)
Definition cspace_slot : N := 0.
Definition vspace_slot : N := 1.
Definition buffer_slot : N := 2.
Definition fault_slot : N := 3.
Definition timeout_slot : N := 4.
Definition thread_slots : N := 5.

Record Thread := {
  registers : Registers;
  run_state : RunState;
  fault : option Fault;                  (* the fault that it is blocked on *)
  priority : N;
  controlled_priority : N;               (* maximum controlled priority *)
  thread_domain : N;
  affinity : N;
  flags : N;                             (* ThreadFlags *)
  buffer_address : N;                    (* of the IPC buffer; 0 for none *)
  bound_notification : option N;
  sched_context : option N;              (* what it runs on: its own, or lent *)
  yielded_to : option N;                 (* the context of a YieldTo that has not returned *)
  breakpoints : Table Breakpoint;
  step_count : N                         (* instructions until the next single-step fault; 0: not stepped *)
}.
#[export] Instance thread_fields : Fields Thread := fun t => {|
  registers := registers t; run_state := run_state t; fault := fault t; priority := priority t;
  controlled_priority := controlled_priority t; thread_domain := thread_domain t; affinity := affinity t; flags := flags t;
  buffer_address := buffer_address t; bound_notification := bound_notification t; sched_context := sched_context t;
  yielded_to := yielded_to t; breakpoints := breakpoints t; step_count := step_count t |}.

(** A thread as Retype makes it. *)
Definition new_thread : Thread := {|
  registers := empty; run_state := Inactive; fault := None; priority := 0; controlled_priority := 0; thread_domain := 0;
  affinity := 0; flags := 0; buffer_address := 0; bound_notification := None; sched_context := None; yielded_to := None;
  breakpoints := empty; step_count := 0 |}.

(** ** The other objects *)

(** Threads that wait stand in order: higher priorities first, and among equals who came first. *)
Record Endpoint := { senders : list N; receivers : list N }.
#[export] Instance endpoint_fields : Fields Endpoint := fun e => {| senders := senders e; receivers := receivers e |}.

(** The flags of a notification that is active, [None] of one that is not. *)
Record Notification := { word_of_flags : option N; waiters : list N; bound_thread : option N; lent_context : option N }.
#[export] Instance notification_fields : Fields Notification := fun n => {|
  word_of_flags := word_of_flags n; waiters := waiters n; bound_thread := bound_thread n; lent_context := lent_context n |}.

Definition idle_notification : Notification := {|
  word_of_flags := None; waiters := []; bound_thread := None; lent_context := None |}.

(** A reply object stands for the call of [caller], or is named by a receiver that waits for one, or neither. [along] is the
    scheduling context that went with the call. *)
Record Reply := { caller : option N; receiver : option N; along : option N }.
Definition unused_reply : Reply := {| caller := None; receiver := None; along := None |}.

(** A refill: an amount of time and when it may be used, both in timer ticks. *)
Record Refill := { usable_at : N; amount : N }.

Record SchedContext := {
  context_bits : N;                      (* log2 of its size *)
  context_core : N;
  budget_us : N; period_us : N;          (* as configured; 0 before *)
  budget : N; period : N;                (* the same in ticks *)
  extra_refills : N;
  context_badge : N;
  context_flags : N;                     (* SchedContextFlags *)
  refills : list Refill;                 (* the first is used first *)
  unreturned : N;                        (* what was used in pieces too small to come back yet *)
  consumed : N;                          (* ticks since the last report *)
  context_thread : option N;             (* the thread that has it *)
  context_notification : option N;       (* the notification that it is bound to *)
  calls : list N;                        (* reply objects of the calls that it went along with, the last call first *)
  yielder : option N                     (* the thread whose YieldTo named it *)
}.
#[export] Instance sched_context_fields : Fields SchedContext := fun c => {|
  context_bits := context_bits c; context_core := context_core c; budget_us := budget_us c; period_us := period_us c;
  budget := budget c; period := period c; extra_refills := extra_refills c; context_badge := context_badge c;
  context_flags := context_flags c; refills := refills c; unreturned := unreturned c; consumed := consumed c; context_thread := context_thread c;
  context_notification := context_notification c; calls := calls c; yielder := yielder c |}.
Definition new_sched_context (bits : N) : SchedContext := {|
  context_bits := bits; context_core := 0; budget_us := 0; period_us := 0; budget := 0; period := 0; extra_refills := 0;
  context_badge := 0; context_flags := 0; refills := []; unreturned := 0; consumed := 0; context_thread := None; context_notification := None;
  calls := []; yielder := None |}.

(** An entry of a page table, or of a VSpace, which is the table of level 0. *)
Inductive PageEntry :=
| NextTable (table : N)
| Page (base size_bits : N) (is_device : bool) (rights : Rights) (attributes : N).

Record ASIDPool := { pool_index : N; assigned : Table N }.

Inductive Object :=
| CNodeObject (radix : N)
| ThreadObject (thread : Thread)
| EndpointObject (endpoint : Endpoint)
| NotificationObject (notification : Notification)
| ReplyObject (reply : Reply)
| SchedContextObject (context : SchedContext)
| VSpaceObject (table : Table PageEntry)
| PageTableObject (table : Table PageEntry)
| ASIDPoolObject (pool : ASIDPool).

(** An interrupt that has a handler. *)
Record Interrupt := { edge_triggered : bool; masked : bool; active : bool }.

(** ** Effects

    What a step does to the machine besides changing the kernel's state. *)
Inductive CacheOperation := Clean | Invalidate | CleanInvalidate | Unify.
Inductive Effect :=
| WriteMemory (address value : N)                             (* one word of a user's memory *)
| ClearMemory (address size : N) (to_coherency : bool)        (* zeroed; for frames also cleaned to the point of coherency *)
| MaintainCache (operation : CacheOperation) (address size : N)
| InvalidatePage (asid address : N)                           (* in the TLBs of all cores *)
| InvalidateSpace (asid : N)                                  (* likewise everything of an ASID *)
| ConfigureInterrupt (irq : N) (edge : bool)
| MaskInterrupt (irq : N)
| UnmaskInterrupt (irq : N)
| DeactivateInterrupt (irq : N)
| SendInterrupt (irq core : N)
| PrintCharacter (character : N)
| StopMachine
| Stuck.                                                      (* never: the state contradicts itself *)

(** ** The state *)

(** What differs between machines and between builds. Identities are the opaque numbers by which Inspect names objects. *)
Record Machine := {
  core_count : N;
  last_interrupt : N;                    (* of the interrupt controller *)
  timer_interrupt : N;                   (* the kernel's *)
  timer_frequency : N;                   (* ticks per second *)
  smallest_budget_us : N;
  breakpoint_count : N;
  watchpoint_count : N;
  debug_build : bool
}.

(** One entry of the domain schedule. *)
Record Turn := { turn_domain : N; turn_length : N }.

(** What the manual leaves to the kernel, as an event tells it: whether time is booked in the step in any case; whether the domain's turn, if its time is
    over, ends at an event other than the timer's; which thread stands ahead of its equals if it becomes ready, or behind them; which senders, that came
    while a CancelBadgedSends was preempted, it passes over; and of which zombies it has passed all slots before. *)
Record Choices := {
  books : bool; ends_turn : bool; ahead : option N; behind : option N; passed_over : list N; passed_whole : list N }.
#[export] Instance choices_fields : Fields Choices := fun c => {|
  books := books c; ends_turn := ends_turn c; ahead := ahead c; behind := behind c; passed_over := passed_over c;
  passed_whole := passed_whole c |}.
Definition nothing_chosen : Choices := {| books := false; ends_turn := false; ahead := None; behind := None; passed_over := []; passed_whole := [] |}.

(** The last group of fields belongs to the step in progress and is empty between steps: the words of user memory that the step may read, how many units of
    preemptible work are left before it is preempted, the kernel's choices, and its effects so far, the last one first. *)
Record State := {
  machine : Machine;
  objects : Table Object;
  slots : Table Entry;                   (* a slot that the table lacks is empty *)
  references : Table N;                  (* how many capabilities refer to what *)
  interrupts : Table Interrupt;
  pools : Table N;                       (* ASID pools by index *)
  schedule : Table Turn;
  schedule_start : N;
  schedule_index : N;                    (* the entry whose turn it is *)
  current_domain : N;                    (* the domain that has the turn, as the entry said when the turn began *)
  turn_end : option N;                   (* when the turn ends *)
  ready : list N;                        (* threads that can run, the first of the current domain does *)
  sleeping : list N;                     (* threads that wait for a refill, by its time *)
  current : option N;                    (* the thread that runs *)
  current_context : option N;            (* the context whose time is being used *)
  charged_until : N;                     (* when its use was booked last *)
  now : N;
  memory : Table N;
  allowance : N;
  choices : Choices;
  effects : list Effect
}.
#[export] Instance state_fields : Fields State := fun s => {|
  machine := machine s; objects := objects s; slots := slots s; references := references s; interrupts := interrupts s;
  pools := pools s; schedule := schedule s; schedule_start := schedule_start s; schedule_index := schedule_index s;
  current_domain := current_domain s; turn_end := turn_end s; ready := ready s; sleeping := sleeping s; current := current s;
  current_context := current_context s; charged_until := charged_until s; now := now s; memory := memory s;
  allowance := allowance s; choices := choices s; effects := effects s |}.

Definition emit (e : Effect) (st : State) : State := st <| effects := e :: effects st |>.

(** ** Reading and changing objects

    Each kind of object is read with a default for what is not there, and changed only if it is there. That it always is there
    is part of what [WellFormed] says; a change to what is missing shows as the effect [Stuck]. *)
Definition thread (o : N) (st : State) : Thread :=
  match objects st !! o with Some (ThreadObject t) => t | _ => new_thread end.
Definition endpoint (o : N) (st : State) : Endpoint :=
  match objects st !! o with Some (EndpointObject e) => e | _ => {| senders := []; receivers := [] |} end.
Definition notification (o : N) (st : State) : Notification :=
  match objects st !! o with
  | Some (NotificationObject n) => n
  | _ => idle_notification
  end.
Definition reply (o : N) (st : State) : Reply :=
  match objects st !! o with Some (ReplyObject r) => r | _ => unused_reply end.
Definition context (o : N) (st : State) : SchedContext :=
  match objects st !! o with Some (SchedContextObject c) => c | _ => new_sched_context min_sched_context_bits end.
Definition table_entries (o : N) (st : State) : Table PageEntry :=
  match objects st !! o with Some (VSpaceObject t) | Some (PageTableObject t) => t | _ => empty end.
Definition pool (o : N) (st : State) : ASIDPool :=
  match objects st !! o with Some (ASIDPoolObject p) => p | _ => {| pool_index := 0; assigned := empty |} end.

Definition put_object (o : N) (object : Object) (st : State) : State := st <| objects := set o object (objects st) |>.
Definition change_thread (o : N) (f : Thread -> Thread) (st : State) : State :=
  match objects st !! o with Some (ThreadObject t) => put_object o (ThreadObject (f t)) st | _ => emit Stuck st end.
Definition change_endpoint (o : N) (f : Endpoint -> Endpoint) (st : State) : State :=
  match objects st !! o with Some (EndpointObject e) => put_object o (EndpointObject (f e)) st | _ => emit Stuck st end.
Definition change_notification (o : N) (f : Notification -> Notification) (st : State) : State :=
  match objects st !! o with
  | Some (NotificationObject n) => put_object o (NotificationObject (f n)) st
  | _ => emit Stuck st
  end.
Definition put_reply (o : N) (r : Reply) (st : State) : State :=
  match objects st !! o with Some (ReplyObject _) => put_object o (ReplyObject r) st | _ => emit Stuck st end.
Definition change_context (o : N) (f : SchedContext -> SchedContext) (st : State) : State :=
  match objects st !! o with
  | Some (SchedContextObject c) => put_object o (SchedContextObject (f c)) st
  | _ => emit Stuck st
  end.
Definition change_table (o : N) (f : Table PageEntry -> Table PageEntry) (st : State) : State :=
  match objects st !! o with
  | Some (VSpaceObject t) => put_object o (VSpaceObject (f t)) st
  | Some (PageTableObject t) => put_object o (PageTableObject (f t)) st
  | _ => emit Stuck st
  end.
Definition change_pool (o : N) (f : ASIDPool -> ASIDPool) (st : State) : State :=
  match objects st !! o with Some (ASIDPoolObject p) => put_object o (ASIDPoolObject (f p)) st | _ => emit Stuck st end.

(** The registers of a thread. *)
Definition register (r : N) (t : Thread) : N := or_default 0 (registers t !! r).
Definition with_register (r value : N) (t : Thread) : Thread :=
  t <| registers := if value =? 0 then remove r (registers t) else set r (wrap value) (registers t) |>.
Definition with_registers (values : list (N * N)) (t : Thread) : Thread :=
  fold_left (fun t rv => with_register (fst rv) (snd rv) t) values t.
Definition with_state (s : RunState) (t : Thread) : Thread := t <| run_state := s |>.

(** ** Slots *)
Definition capability_at (slot : N) (st : State) : option Capability :=
  match slots st !! slot with Some e => Some (capability e) | None => None end.
Definition is_empty (slot : N) (st : State) : bool := negb (is_some (slots st !! slot)).

(** How many slots a container has: a CNode its 2^radix, a thread five. *)
Definition slot_count (container : N) (st : State) : N :=
  match objects st !! container with
  | Some (CNodeObject radix) => N.shiftl 1 radix
  | Some (ThreadObject _) => thread_slots
  | _ => 0
  end.
