(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Claims

    What is proved of [step], stated in full: nothing outside of this file and the definition of [step] is needed to read it. Each
    claim is a proposition with a name; the proofs are elsewhere, and say which claim they prove. *)
From Coq Require Export Sorted.
From Spec Require Export WellFormed.
Open Scope N_scope.

(** ** Of which step

    Each claim is about a step, whatever it is; it is proved of [step], and refuted of another that has a mistake in it. *)
Definition Stepping : Type := State -> Event -> State * Result * list Effect.
Section Claims.
Variable one_step : Stepping.

(** ** States that can be reached

    From a boot state, by any events whatever. *)
Inductive reachable (p : BootPlan) : State -> Prop :=
| at_boot : reachable p (boot p)
| after_event (st : State) (e : Event) : reachable p st -> reachable p (fst (fst (one_step st e))).

(** ** T0: the step is a function

    For each state and event there is one next state, one result and one list of effects. That it is total and has only one value is
    what Coq checks of every function; the claim says no more. *)
Definition step_is_a_function : Prop := forall st e, exists! next, one_step st e = next.

(** ** T0: loops finish

    The specification has two loops whose turns are not counted by a list or a number that is there before: charging takes a turn for each refill that
    is used up, work in units takes one for each unit. Both finish within the turns that they are given, whatever the state. *)
Definition loops_finish : Prop :=
  (forall smallest c used, exists charged, repeat_after used (charge_step smallest) (c, used) = Finished charged)
  /\ forall A remains (work : A -> State -> A * State) a st,
       exists progress, repeat_after (allowance st) (unit_turn remains work) (a, allowance st, st) = Finished progress.

(** ** T0: an error changes nothing

    A thread with other registers, and a state in which one thread has other registers and the clock has moved on. *)
Definition same_thread_but_registers (a b : Thread) : Prop := b = a <| registers := registers b |>.
Definition same_but_registers_of (t : N) (a b : State) : Prop :=
  (forall o, o <> t -> objects b !! o = objects a !! o)
  /\ (exists x y, objects a !! t = Some (ThreadObject x) /\ objects b !! t = Some (ThreadObject y) /\ same_thread_but_registers x y)
  /\ b = a <| objects := objects b |> <| now := now b |> <| memory := memory b |> <| allowance := allowance b |>
            <| choices := choices b |> <| effects := effects b |>.

(** Between two steps a state is settled: the thread that runs is the first that is ready in the domain that has its turn, or there is none;
    the context in use is that thread's; no YieldTo of its is pending; and nothing of a step remains. *)
Definition is_at_rest (st : State) : Prop := leave st = st.
Record settled (st : State) : Prop := {
  is_first : current st = first_ready st;
  is_in_use : current_context st = context_of_first st;
  no_yield : forall t, current st = Some t -> yielded_to (thread t st) = None;
  at_rest : is_at_rest st
}.
Definition states_are_settled : Prop := forall p st, reachable p st -> settled st.

(** An event of which the kernel does not choose to book time, or to end the turn of a domain late. *)
Definition leaves_time_alone (e : Event) : Prop := books (chosen e) = false /\ ends_turn (chosen e) = false.

(** When a system call returns an error in a state that can be reached, the kernel has done nothing to the machine, and its state is the
    former one but for the clock and the registers of the caller, in which the error is told. *)
Definition errors_change_nothing : Prop :=
  forall p st e error next done, reachable p st -> leaves_time_alone e -> one_step st e = (next, Fails error, done) ->
    done = [] /\ now next = N.max (now st) (time e) /\ exists t, current st = Some t /\ same_but_registers_of t st next.

(** The one exception is time, which the kernel may look at in any step: then the error leaves the state like that, and what follows is
    what comes at the end of every step, the charge and the choice of the next thread. This holds of every state. *)
Definition errors_only_book : Prop := forall st e error next done, one_step st e = (next, Fails error, done) ->
    exists t told, current st = Some t /\ same_but_registers_of t st told /\ now told = N.max (now st) (time e) /\ effects told = []
      /\ (next, Fails error, done) = finish (Fails error, told).

(** ** The derivation tree and the counts of references

    The state keeps, for speed, the children of each slot and the number of capabilities that refer to each object. They are what they
    stand for: the children that a slot lists are exactly the slots that name it as their parent, once each; parents exist; no slot is
    its own ancestor; and counts count. *)
Definition is_child (st : State) (c p : N) : Prop := exists e, slots st !! c = Some e /\ parent e = Some p.
Record tree_is_right (st : State) : Prop := {
  children_listed : forall s e c, slots st !! s = Some e -> (In c (children e) <-> is_child st c s);
  children_once : forall s e, slots st !! s = Some e -> NoDup (children e);
  parents_exist : forall c p, is_child st c p -> exists e, slots st !! p = Some e;
  no_cycles : exists rank : N -> nat, forall c p, is_child st c p -> (rank p < rank c)%nat
}.
Definition weight (o : N) (e : Entry) : N := bit (is_number (referent (capability e)) o).
Definition count_of (o : N) (table : Table Entry) : N := sum_over (weight o) table.
Definition counts_are_right (st : State) : Prop := forall o, or_default 0 (references st !! o) = count_of o (slots st).

Definition indices_are_right (st : State) : Prop := tree_is_right st /\ counts_are_right st.
Definition indices_hold : Prop := forall p st, reachable p st -> indices_are_right st.

(** ** S1: no capability dangles

    What a capability refers to is there, of the capability's kind and of the size that it tells; and the zombie of a container is the only
    capability to it. This holds when the root task's five objects are five. *)
Definition fits_object (c : Capability) (x : Object) : Prop := is_of_kind c x = true.
Record capabilities_live (st : State) : Prop := {
  none_dangles : forall slot c o, capability_at slot st = Some c -> object_of c = Some o -> exists x, objects st !! o = Some x /\ fits_object c x;
  zombies_are_alone :
    forall slot slot' c o, capability_at slot st = Some (ZombieCap o) -> capability_at slot' st = Some c -> object_of c = Some o -> slot' = slot
}.
Definition roots_are_apart (p : BootPlan) : Prop := NoDup [root_thread p; root_cnode p; root_vspace p; root_pool p; root_context p].
Definition no_capability_dangles : Prop := forall p st, roots_are_apart p -> reachable p st -> capabilities_live st.

(** The slot that an address names, under a capability or in a thread's CSpace, is one of a CNode that is there. *)
Definition is_slot_of_cnode (slot : N) (st : State) : Prop :=
  exists cnode radix index, objects st !! cnode = Some (CNodeObject radix) /\ index < N.shiftl 1 radix /\ slot = slot_of cnode index.
Definition addresses_name_slots : Prop := forall p st, roots_are_apart p -> reachable p st ->
    (forall place address depth slot, slot_under (capability_at place st) address depth st = inl slot -> is_slot_of_cnode slot st)
    /\ forall t address slot, slot_of_address t address st = inl slot -> is_slot_of_cnode slot st.

(** ** T6a: refills sum to the budget

    Of a context that has a limit the refills and what is unreturned sum to its budget. One without a limit has one refill, of no more than its budget. *)
Definition total (l : list Refill) : N := fold_right (fun r sum => amount r + sum) 0 l.
Definition refills_are_right (c : SchedContext) : Prop :=
  match refills c with
  | [] => True
  | first :: rest => if budget c =? period c then rest = [] /\ amount first <= budget c else total (refills c) + unreturned c = budget c
  end.
Definition refills_sum_to_budget : Prop := forall p st o c, reachable p st -> objects st !! o = Some (SchedContextObject c) -> refills_are_right c.

(** They are never more than the context has room for, and those behind the first are in the order of their times. *)
Definition not_after (a b : Refill) : Prop := usable_at a <= usable_at b.
Definition refills_in_order (c : SchedContext) : Prop := StronglySorted not_after (tl (refills c)) /\ N.of_nat (length (refills c)) <= extra_refills c + 2.
Definition refills_stay_in_order : Prop := forall p st o c, reachable p st -> objects st !! o = Some (SchedContextObject c) -> refills_in_order c.

(** ** S6, T6b: no more than the budget in a period

    Of a context that has a limit, whatever is charged to it, in however many parts, and whenever it begins to be used in between: from any moment on no more is
    charged than its budget until its first refill comes a period later, at least, than it did at that moment. *)
Inductive uses_of : SchedContext -> N -> SchedContext -> Prop :=
| not_used c : uses_of c 0 c
| charged_more c n one used smallest : uses_of c n one -> uses_of c (n + used) (charge used smallest one)
| begins_again c n one time : uses_of c n one -> uses_of c n (begin_use time one).
Definition budget_lasts_a_period : Prop := forall p st o c m one first rest n after, reachable p st ->
    objects st !! o = Some (SchedContextObject c) -> is_round_robin c = false -> 0 < smallest_budget st -> smallest_budget st <= budget c ->
    uses_of c m one -> refills one = first :: rest -> uses_of one n after ->
    n <= budget c \/ exists r others, refills after = r :: others /\ usable_at first + period c <= usable_at r.

(** ** S1, T1a: in the queues of those that can run no thread stands twice, nor in both *)
Definition queues_are_right (st : State) : Prop := NoDup (ready st ++ sleeping st).
Definition threads_queue_once : Prop := forall p st, reachable p st -> queues_are_right st.

(** ** S1, T1a and T1b: in which queues and reply objects a thread can stand, and in which of them its state says that it stands *)
Inductive Post := InSenders (endpoint : N) | InReceivers (endpoint : N) | InWaiters (notification : N) | AsCaller (reply : N) | AsReceiver (reply : N).
Definition stands (t : N) (p : Post) (st : State) : Prop :=
  match p with
  | InSenders e => In t (senders (endpoint e st))
  | InReceivers e => In t (receivers (endpoint e st))
  | InWaiters n => In t (waiters (notification n st))
  | AsCaller r => caller (reply r st) = Some t
  | AsReceiver r => receiver (reply r st) = Some t
  end.
Definition says (s : RunState) (p : Post) : Prop :=
  match s, p with
  | BlockedOnSend e _ _ _ _ _, InSenders o | BlockedOnReceive e _ _ _, InReceivers o | BlockedOnNotification e, InWaiters o
  | BlockedOnReply e _, AsCaller o | BlockedOnReceive _ (Some e) _ _, AsReceiver o => o = e
  | _, _ => False
  end.

(** It stands exactly there, and once; a reply object has a caller or a receiver, not both; and who is ready or waits for a refill is running. *)
Record waits_are_right (st : State) : Prop := {
  stands_where_it_says : forall t p, stands t p st <-> says (run_state (thread t st)) p;
  stands_once : forall o, NoDup (senders (endpoint o st)) /\ NoDup (receivers (endpoint o st)) /\ NoDup (waiters (notification o st));
  stands_for_one : forall r, caller (reply r st) = None \/ receiver (reply r st) = None;
  runs_if_queued : forall t, In t (ready st ++ sleeping st) -> run_state (thread t st) = Running
}.
Definition threads_wait_where_they_say : Prop := forall p st, roots_are_apart p -> reachable p st -> waits_are_right st.

(** ** S1, T1b: a thread and its bound notification name each other, and so do a notification and the scheduling context that it lends *)
Record links_are_symmetric (st : State) : Prop := {
  both_bound : forall t n, bound_notification (thread t st) = Some n <-> bound_thread (notification n st) = Some t;
  both_lent : forall n c, lent_context (notification n st) = Some c <-> context_notification (context c st) = Some n
}.
Definition links_stay_symmetric : Prop := forall p st, roots_are_apart p -> reachable p st -> links_are_symmetric st.

(** A thread and the scheduling context that it runs on name each other. The calls of a context are the reply objects that stand for a call that it went
    along with, each once, and each has a caller. *)
Record contexts_are_linked (st : State) : Prop := {
  both_had : forall t c, sched_context (thread t st) = Some c <-> context_thread (context c st) = Some t;
  both_along : forall r c, along (reply r st) = Some c <-> In r (calls (context c st));
  along_once : forall c, NoDup (calls (context c st));
  along_called : forall r c, along (reply r st) = Some c -> caller (reply r st) <> None
}.
Definition contexts_stay_linked : Prop := forall p st, roots_are_apart p -> reachable p st -> contexts_are_linked st.

(** A thread whose YieldTo has not returned and the context that the YieldTo named name each other. *)
Definition yields_stay_linked : Prop :=
  forall p st t c, roots_are_apart p -> reachable p st -> (yielded_to (thread t st) = Some c <-> yielder (context c st) = Some t).

(** ** S1, T1a: a thread is ready or waits for a refill if and only if it runs and has a context that is configured *)
Definition can_run (t : N) (st : State) : Prop :=
  run_state (thread t st) = Running /\ exists c, sched_context (thread t st) = Some c /\ configured (context c st) = true.
Definition who_can_run_is_queued : Prop := forall p st t, roots_are_apart p -> reachable p st -> (In t (ready st ++ sleeping st) <-> can_run t st).

(** ** S6, T6c: the highest priority runs

    Of those that are ready in the domain whose turn it is one runs, if there is any, and none of them has a higher priority. Who is ready can run, and who can
    run and is not ready waits for a refill. *)
Definition may_run_now (t : N) (st : State) : Prop := In t (ready st) /\ thread_domain (thread t st) = current_domain st.
Definition highest_priority_runs : Prop := forall p st, roots_are_apart p -> reachable p st ->
  match current st with
  | Some t => may_run_now t st /\ forall other, may_run_now other st -> priority (thread other st) <= priority (thread t st)
  | None => forall other, ~ may_run_now other st
  end.

(** ** S6, T6d: chains of calls

    Those whose calls a context went along with all wait for their answers; each stands in one such chain, once. *)
Definition chain (c : N) (st : State) : list (option N) := map (fun r => caller (reply r st)) (calls (context c st)).
Definition chains_never_cycle : Prop := forall p st c, roots_are_apart p -> reachable p st -> NoDup (chain c st) /\ forall x, In x (chain c st) ->
    (exists t r grant, x = Some t /\ run_state (thread t st) = BlockedOnReply r grant) /\ forall other, In x (chain other st) -> other = c.

(** An answer brings the context back, if the caller has none: one that is sent by a system call which does not receive behind it. *)
Definition answers (t r : N) (st : State) : Prop := exists s slot rights, Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some s
    /\ In s [Syscall.Call; Syscall.Send; Syscall.NBSend] /\ occupied_slot_of_address t (register 0 (thread t st)) st = inl (slot, ReplyCap r rights).
Definition answers_return_contexts : Prop :=
  forall p st e t r c rest other, roots_are_apart p -> reachable p st -> cause e = SystemCall -> current st = Some t -> answers t r (enter e st) ->
    caller (reply r st) = Some other -> sched_context (thread other st) = None -> calls (context c st) = r :: rest ->
    let next := fst (fst (one_step st e)) in sched_context (thread other next) = Some c /\ calls (context c next) = rest.

(** ** S1: no link dangles: who stands in a queue, and what threads, notifications, scheduling contexts and reply objects name, is there *)
Record links_live (st : State) : Prop := {
  threads_live : forall t,
    In t (ready st ++ sleeping st) \/ current st = Some t \/ (exists p, stands t p st) \/ (exists n, bound_thread (notification n st) = Some t)
      \/ (exists c, context_thread (context c st) = Some t \/ yielder (context c st) = Some t) ->
    exists x, objects st !! t = Some (ThreadObject x);
  contexts_live : forall c,
    current_context st = Some c \/ (exists t, sched_context (thread t st) = Some c \/ yielded_to (thread t st) = Some c)
      \/ (exists n, lent_context (notification n st) = Some c) \/ (exists r, along (reply r st) = Some c) ->
    exists x, objects st !! c = Some (SchedContextObject x);
  endpoints_live : forall e t,
    says (run_state (thread t st)) (InSenders e) \/ says (run_state (thread t st)) (InReceivers e) -> exists x, objects st !! e = Some (EndpointObject x);
  notifications_live : forall n,
    (exists t, bound_notification (thread t st) = Some n \/ says (run_state (thread t st)) (InWaiters n))
      \/ (exists c, context_notification (context c st) = Some n) ->
    exists x, objects st !! n = Some (NotificationObject x);
  replies_live : forall r,
    (exists t, says (run_state (thread t st)) (AsCaller r) \/ says (run_state (thread t st)) (AsReceiver r)) \/ (exists c, In r (calls (context c st))) ->
    exists x, objects st !! r = Some (ReplyObject x)
}.
Definition no_link_dangles : Prop := forall p st, roots_are_apart p -> reachable p st -> links_live st.

(** ** S2, T2a: capabilities come from capabilities

    What can be made of a capability by one operation: [yields c made]. Rights only get fewer, a badge is given once, and what is made of an
    untyped lies in its memory, and is memory if the untyped is. *)
Definition size_fits (type : ObjectType.t) (n : N) : Prop :=
  forall smallest largest, choice_of_size type = Some (smallest, largest) -> smallest <= n <= largest.
Inductive yields : Capability -> Capability -> Prop :=
| fewer_rights c mask : yields c (mask_rights mask c)
| badge_given c badge made : with_badge badge c = Some made -> yields c made
| other_guard c data made : with_guard data c = Some made -> yields c made
| other_use base bits device used used' : used' <= N.shiftl 1 bits -> yields (UntypedCap base bits device used) (UntypedCap base bits device used')
| other_place_of_frame base bits device r p p' : yields (FrameCap base bits device r p) (FrameCap base bits device r p')
| other_place_of_table table p p' : yields (PageTableCap table p) (PageTableCap table p')
| other_asid vspace a a' : yields (VSpaceCap vspace a) (VSpaceCap vspace a')
| cnode_ends cnode radix guard size : yields (CNodeCap cnode radix guard size) (ZombieCap cnode)
| thread_ends t : yields (TCBCap t) (ZombieCap t)
| interrupt_claimed irq : yields IRQControlCap (IRQHandlerCap irq)
| sender_made irq core : yields IRQControlCap (SGISignalCap irq core)
| pool_made base used : yields (UntypedCap base 12 false used) (ASIDPoolCap base)
| retyped base bits device used type at_ n :
    base <= at_ -> at_ + N.shiftl 1 (object_bits type n) <= base + N.shiftl 1 bits -> device && needs_memory type = false -> size_fits type n ->
    yields (UntypedCap base bits device used) (new_capability type at_ n device).

(** A capability stems from another if it was made of it in some number of steps. *)
Inductive stems_from (root : Capability) : Capability -> Prop :=
| is_it : stems_from root root
| made_of c made : stems_from root c -> yields c made -> stems_from root made.

(** Every capability that is ever in a slot stems from one that the root task held at boot. *)
Definition boot_capability (p : BootPlan) (c : Capability) : Prop := exists slot, In (slot, c) (root_capabilities p ++ dynamic_capabilities p).
Definition capabilities_stem_from_boot : Prop :=
  forall p st slot c, reachable p st -> capability_at slot st = Some c -> exists root, boot_capability p root /\ stems_from root c.

(** Of memory this says that a capability to memory, or to device registers, lies in what a boot capability of the same kind covered. *)
Definition memory_of (c : Capability) : option (N * N * bool) :=
  match c with
  | UntypedCap base bits device _ | FrameCap base bits device _ _ => Some (base, bits, device)
  | _ => None
  end.
Definition memory_comes_from_boot : Prop :=
  forall p st slot c base bits device, reachable p st -> capability_at slot st = Some c -> memory_of c = Some (base, bits, device) ->
    exists root base0 bits0, boot_capability p root /\ memory_of root = Some (base0, bits0, device)
      /\ base0 <= base /\ base + N.shiftl 1 bits <= base0 + N.shiftl 1 bits0.

(** ** S5, T5b: page tables map what was given at boot only

    Each page that a table maps lies in memory, or in device registers, that a boot capability covered: so nothing of the kernel's own is ever mapped. It can be
    written only where it can be read, and registers are never executed. *)
Record page_is_right (p : BootPlan) (base bits : N) (device : bool) (r : Rights) (attributes : N) : Prop := {
  from_boot_memory : exists root base0 bits0, boot_capability p root /\ memory_of root = Some (base0, bits0, device)
    /\ base0 <= base /\ base + N.shiftl 1 bits <= base0 + N.shiftl 1 bits0;
  written_if_read : can_write r = true -> can_read r = true;
  registers_unexecuted : device = true -> VMAttributes.execute_never attributes = 1
}.
Definition pages_stay_right : Prop :=
  forall p st o i base bits device r a, reachable p st -> table_entries o st !! i = Some (Page base bits device r a) -> page_is_right p base bits device r a.

(** ** S1: memory is apart

    What two objects occupy never overlaps, and each object has a capability. Memory that an untyped has still to give, all of it if it has no
    children, holds no object; and no capability stands for any of it but those of the untypeds that this one was made of. This holds when what
    the root task gets at boot is apart and lies below the slots of interrupts. *)
Definition apart (a b : N * N) : Prop := fst a + snd a <= fst b \/ fst b + snd b <= fst a.
Definition extent_at_boot (p : BootPlan) : Capability -> option (N * N) := extent (put_root_objects p (nothing_yet (boot_machine p))).
Record roots_are_sound (p : BootPlan) : Prop := {
  roots_differ : roots_are_apart p;
  roots_are_low : forall c x, boot_capability p c -> extent_at_boot p c = Some x -> fst x + snd x <= irq_slot 0;
  roots_stand_apart : forall j k c d x y, In (j, c) (root_capabilities p ++ dynamic_capabilities p) ->
    In (k, d) (root_capabilities p ++ dynamic_capabilities p) -> extent_at_boot p c = Some x -> extent_at_boot p d = Some y -> j = k \/ apart x y
}.
Inductive descends (st : State) : N -> N -> Prop :=
| is_derived c p : is_child st c p -> descends st c p
| is_descendant c b p : is_child st c b -> descends st b p -> descends st c p.
Definition free_memory (slot : N) (st : State) : option (N * N) :=
  match capability_at slot st with
  | Some (UntypedCap base bits _ used) => let used := if has_children slot st then used else 0 in Some (base + used, N.shiftl 1 bits - used)
  | _ => None
  end.
Record memory_is_right (st : State) : Prop := {
  objects_are_apart : forall a b x y, objects st !! a = Some x -> objects st !! b = Some y -> a <> b -> apart (a, size_of x) (b, size_of y);
  objects_have_capabilities : forall o x, objects st !! o = Some x -> exists slot c, capability_at slot st = Some c /\ object_of c = Some o;
  free_is_empty : forall slot free o x, free_memory slot st = Some free -> objects st !! o = Some x -> apart (o, size_of x) free;
  free_is_nobodys : forall slot free other c x, free_memory slot st = Some free -> capability_at other st = Some c -> extent st c = Some x ->
    apart x free \/ other = slot \/ descends st slot other
}.
Definition memory_stays_apart : Prop := forall p st, roots_are_sound p -> reachable p st -> memory_is_right st.

(** ** S1: address spaces

    An ASID pool stands among the pools under its number. An ASID that names a VSpace names one that is there, and all capabilities to it tell that ASID. The
    tables to which a walk comes from there are page tables that are there, and hang where all capabilities to them say: so each hangs in one place. A table
    that is not mapped, or a VSpace without an ASID, is empty and has one capability. What hangs below no ASID is left out: no translation comes there. *)
Definition address_end : N := N.shiftl 1 48.
Definition comes_to (asid level address o : N) (st : State) : Prop :=
  exists v, vspace_of_asid asid st = Some v /\ address < address_end /\ table_of_level v level address st = inl o.
Definition start_of_entry (level address : N) : N := N.shiftl (N.shiftr address (entry_bits level)) (entry_bits level).
Definition is_spare (c : Capability) (o : N) : Prop := c = VSpaceCap o None \/ c = PageTableCap o None.
Record spaces_are_right (st : State) : Prop := {
  pools_are_known : forall i o, pools st !! i = Some o <-> exists p, objects st !! o = Some (ASIDPoolObject p) /\ pool_index p = i;
  asids_name_spaces : forall asid v, vspace_of_asid asid st = Some v ->
    (exists t, objects st !! v = Some (VSpaceObject t)) /\ forall slot a, capability_at slot st = Some (VSpaceCap v a) -> a = Some asid;
  tables_hang_where_they_say : forall asid level address o, comes_to asid (level + 1) address o st ->
    level < 3 /\ (exists t, objects st !! o = Some (PageTableObject t)) /\ forall slot q, capability_at slot st = Some (PageTableCap o q) ->
      q = Some {| place_asid := asid; place_address := start_of_entry level address; place_level := level + 1 |};
  spare_tables_are_empty : forall slot c o, is_spare c o -> capability_at slot st = Some c ->
    (forall i, table_entries o st !! i = None) /\ forall other d, capability_at other st = Some d -> object_of d = Some o -> other = slot
}.
Definition spaces_stay_right : Prop := forall p st, roots_are_sound p -> reachable p st -> spaces_are_right st.

(** ** S5, T5a: each page is a frame's

    What an address is mapped to, under an ASID, is a frame to which there is a capability that says that it is mapped there, with each right that it has. *)
Definition rights_within (a b : Rights) : Prop :=
  (can_write a = true -> can_write b = true) /\ (can_read a = true -> can_read b = true) /\ can_grant a = false /\ can_grant_reply a = false.
Definition shows (asid address : N) (page : PageEntry) (level : N) (st : State) : Prop :=
  exists v, vspace_of_asid asid st = Some v /\ address < address_end /\ translate v address st = (Some page, level).
Definition pages_have_frames : Prop :=
  forall p st asid address base bits device r a level, roots_are_sound p -> reachable p st -> shows asid address (Page base bits device r a) level st ->
    exists slot r' q, capability_at slot st = Some (FrameCap base bits device r' (Some q)) /\ rights_within r r'
      /\ place_asid q = asid /\ place_level q = level /\ start_of_entry level (place_address q) = start_of_entry level address.

(** So no page shows memory of an object, of whatever kind, nor any that an untyped has still to give (T5b). *)
Definition pages_show_no_objects : Prop :=
  forall p st asid address base bits device r a level, roots_are_sound p -> reachable p st -> shows asid address (Page base bits device r a) level st ->
    (forall o x, objects st !! o = Some x -> apart (o, size_of x) (base, N.shiftl 1 bits))
    /\ forall slot free, free_memory slot st = Some free -> apart (base, N.shiftl 1 bits) free.

(** ** S5, T5c: where a page was shown the same is shown after a step, or the step has invalidated it, or all of the ASID, in the TLBs. *)
Definition is_flushed (asid level address : N) (done : list Effect) : Prop :=
  In (InvalidateSpace asid) done \/ exists a, In (InvalidatePage asid a) done /\ start_of_entry level (a mod address_end) = start_of_entry level address.
Definition stale_pages_are_flushed : Prop :=
  forall p st e next result done asid address base bits device r a level, roots_are_sound p -> reachable p st ->
    one_step st e = (next, result, done) -> shows asid address (Page base bits device r a) level st ->
    (exists bits' device', shows asid address (Page base bits' device' r a) level next) \/ is_flushed asid level address done.

(** What a capability says of itself stays within bounds: an untyped has not used more than it has, and guard and radix of a CNode can be resolved. *)
Definition in_bounds (c : Capability) : Prop :=
  match c with
  | UntypedCap _ bits _ used => used <= N.shiftl 1 bits
  | CNodeCap _ radix guard size => radix + size <= 64 /\ guard <= N.ones size
  | _ => True
  end.
Definition capabilities_are_in_bounds : Prop := forall p st slot c, root_radix p <= 64 -> reachable p st -> capability_at slot st = Some c -> in_bounds c.

(** S1, T1b: an interrupt is known if and only if it has a handler. *)
Definition interrupts_are_handled (st : State) : Prop :=
  forall irq, (exists i, interrupts st !! irq = Some i) <-> exists slot, capability_at slot st = Some (IRQHandlerCap irq).
Definition interrupts_stay_handled : Prop := forall p st, roots_are_sound p -> reachable p st -> interrupts_are_handled st.

(** T0: no state contradicts itself: the effect that would show it never comes. For system calls the root task's slots must lie in its CNode, and the
    interrupts' below the last of the kernel's own slots. *)
Record boot_fits (p : BootPlan) : Prop := { fits_sound : roots_are_sound p; fits_interrupts : irq_slot (last_interrupt (boot_machine p)) < nowhere;
  fits_slots : forall slot c, In (slot, c) (root_capabilities p ++ dynamic_capabilities p) ->
    exists i, i < N.shiftl 1 (root_radix p) /\ slot = slot_of (root_cnode p) i }.
Definition never_stuck : Prop :=
  forall p st e, roots_are_apart p -> reachable p st -> (cause e = SystemCall -> boot_fits p) -> ~ In Stuck (snd (one_step st e)).

(** And only system calls move capabilities: whatever the state, after an interrupt, the timer or an exception of the thread that runs each slot
    holds what it held. *)
Definition only_system_calls_move_capabilities : Prop := forall st e, cause e <> SystemCall -> slots (fst (fst (one_step st e))) = slots st.

(** ** S1: what [WellFormed] tests of states

    In every state that can be reached each of the invariants that [WellFormed] tests holds, but for those that are left open: that each occupied slot is one
    of a CNode, a thread or an interrupt where the root task's slots are, as for system calls above; and of the queues of those that can run all that it tests,
    if those that wait for a refill stand in the order of its time. *)
Definition left_open : list Invariant := [RunQueues].
Definition sleepers_by_time (st : State) : bool := ascending (fun a b => wake_time a st <=? wake_time b st) (sleeping st).
Definition states_stay_well_formed : Prop := forall p st, roots_are_sound p -> root_radix p <= 64 -> reachable p st ->
    incl (broken_invariants st) (SlotsInContainers :: left_open) /\ (boot_fits p -> incl (broken_invariants st) left_open)
    /\ (sleepers_by_time st = true -> ~ In RunQueues (broken_invariants st)).

(** ** S2, T2b: revocation is complete

    The thread that runs calls a method: its address resolves to a capability of the method's object, its arguments' addresses resolve. *)
Definition sends_message (s : Syscall.t) : bool := match s with Syscall.Call | Syscall.Send => true | _ => false end.
Definition invokes (st : State) (m : Method.t) (call : Invocation) : Prop :=
  exists t s place c arguments,
    current st = Some t /\ Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some s /\ sends_message s = true
    /\ occupied_slot_of_address t (register 0 (thread t st)) st = inl (place, c)
    /\ cap_arguments_at (cap_addresses (message_of_call t st)) t st = inl arguments
    /\ method_for (label (message_of_call t st)) c = Some m
    /\ call = {| invoker := t; invoked_slot := place; invoked := c; word_arguments := words (message_of_call t st); cap_arguments := arguments |}.

(** When a Revoke of a slot succeeds, be it at the last restart of many, no capability is left that was derived from the one in the slot. *)
Definition revocation_is_complete : Prop :=
  forall p st e call slot next done, reachable p st -> cause e = SystemCall -> invokes (enter e st) Method.CNodeRevoke call ->
    slot_under (Some (invoked call)) (word 0 call) (word 1 call) (enter e st) = inl slot -> one_step st e = (next, Succeeds, done) ->
    forall c, ~ is_child next c slot.

(** Of an untyped it leaves memory in which nothing is, and to which nothing refers but what did when it was made (T2c). *)
Definition revoked_memory_is_free : Prop :=
  forall p st e call slot next done base bits device used,
    roots_are_sound p -> reachable p st -> cause e = SystemCall -> invokes (enter e st) Method.CNodeRevoke call ->
    slot_under (Some (invoked call)) (word 0 call) (word 1 call) (enter e st) = inl slot -> one_step st e = (next, Succeeds, done) ->
    capability_at slot next = Some (UntypedCap base bits device used) ->
    (forall o x, objects next !! o = Some x -> apart (o, size_of x) (base, N.shiftl 1 bits))
    /\ forall other c x, capability_at other next = Some c -> extent next c = Some x ->
         apart x (base, N.shiftl 1 bits) \/ other = slot \/ descends next slot other.

(** And nothing of it is mapped under any ASID (of T5a). *)
Definition revoked_memory_is_unmapped : Prop := forall p st e call slot next done base bits device used asid address base' bits' device' r a level,
    roots_are_sound p -> reachable p st -> cause e = SystemCall -> invokes (enter e st) Method.CNodeRevoke call ->
    slot_under (Some (invoked call)) (word 0 call) (word 1 call) (enter e st) = inl slot -> one_step st e = (next, Succeeds, done) ->
    capability_at slot next = Some (UntypedCap base bits device used) -> shows asid address (Page base' bits' device' r a) level next ->
    apart (base', N.shiftl 1 bits') (base, N.shiftl 1 bits).

(** ** S2, T2d: what is made holds its first value only

    Whatever the event, an object that was not there before holds what a new one of its type holds, and its memory was cleared in the step. But a system call
    of two phases can make it in the first and use it in the second: then its caller waits there, or receives with it the call of somebody who waited. *)
Definition first_value (x : Object) (bits : N) : Prop := (exists type n, new_object type n = Some x /\ bits = object_bits type n)
  \/ (exists index, x = ASIDPoolObject {| pool_index := index; assigned := empty |} /\ bits = page_bits).
Definition is_fresh (o : N) (x : Object) (done : list Effect) : Prop := exists bits, first_value x bits /\ In (ClearMemory o (N.shiftl 1 bits) false) done.
Definition sends_and_receives (t : N) (st : State) : Prop :=
  exists s, Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some s /\ In s [Syscall.NBSendRecv; Syscall.NBSendWait].
Inductive used_by (t : N) : Object -> Object -> Prop :=
| waits_for_message : used_by t (EndpointObject {| senders := []; receivers := [] |}) (EndpointObject {| senders := []; receivers := [t] |})
| waits_for_signal : used_by t (NotificationObject idle_notification) (NotificationObject (idle_notification <| waiters := [t] |>))
| waits_for_call : used_by t (ReplyObject unused_reply) (ReplyObject {| caller := None; receiver := Some t; along := None |})
| received_call other c : used_by t (ReplyObject unused_reply) (ReplyObject {| caller := Some other; receiver := None; along := c |}).
Definition made_objects_are_fresh : Prop := forall p st e next result done o x, roots_are_sound p -> reachable p st ->
  one_step st e = (next, result, done) -> objects st !! o = None -> objects next !! o = Some x ->
  exists first, is_fresh o first done
    /\ (x = first \/ exists t, current st = Some t /\ sends_and_receives t (enter e st) /\ used_by t first x).

(** And each slot of a CNode or thread that was not there before was empty, if the root task's slots and interrupts are as above: so what is in it after the
    step the same step put there. *)
Definition made_containers_were_empty : Prop := forall p st e next result done o slot, boot_fits p -> reachable p st ->
  one_step st e = (next, result, done) -> objects st !! o = None -> is_within slot o next = true -> capability_at slot st = None.

(** ** S5, T5d: an interrupt signals its notification only

    Whatever the state, an interrupt leaves the flags of each notification as they are but of the one that the capability in its slot names. *)
Definition interrupts_signal_one_notification : Prop :=
  forall st e irq n, cause e = InterruptArrives irq -> (forall badge r, capability_at (irq_slot irq) st <> Some (NotificationCap n badge r)) ->
    word_of_flags (notification n (fst (fst (one_step st e)))) = word_of_flags (notification n st).

(** ** S8, T8b: preempted work goes on where it was: it has done the units that it was allowed, each of which found something to do; and what two steps do
    in turn, one does at once. *)
Definition worked {A} (work : A -> State -> A * State) (units : N) (a : A) (st : State) : A * State := N.iter units (fun x => work (fst x) (snd x)) (a, st).
Definition work_resumes {A} (remains : A -> State -> bool) (work : A -> State -> A * State) : Prop :=
  forall a st units stopped, in_units remains work a (allow units st) = Preempted stopped ->
    (forall fewer, fewer <= units -> let (b, before) := worked work fewer a st in remains b before = true)
    /\ exists b, worked work units a st = (b, allow (allowance st) stopped)
         /\ forall more, in_units remains work a (allow (units + more) st) = in_units remains work b (allow more stopped).
Definition revoke_unit (slot anchor : N) (st : State) : N * State := delete_unit (next_deletion slot anchor st) st.
Definition preempted_work_goes_on : Prop := work_resumes is_occupied delete_unit
  /\ (forall slot, work_resumes (fun anchor st => is_occupied anchor st || has_children slot st) (revoke_unit slot))
  /\ (forall e badge, work_resumes (has_sender_with_badge e badge) (cancel_unit e badge))
  /\ forall e r, work_resumes (fun (_ : unit) st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)).

(** A method that is restarted begins at its own slot. So it comes to the same as without the preemption if the deletion was there, or, of a revocation, at
    the next child; those that cancel sends and refuse senders always do. *)
Definition restarts_come_to_the_same : Prop := forall st units more stopped,
  (forall slot, delete slot (allow units st) = Preempted stopped -> fst (worked delete_unit units slot st) = slot ->
     delete slot (allow (units + more) st) = delete slot (allow more stopped))
  /\ (forall slot, revoke slot (allow units st) = Preempted stopped -> is_empty nowhere stopped = true ->
        (let b := fst (worked (revoke_unit slot) units nowhere st) in is_empty b stopped = true \/ Some b = hd_error (children_of slot stopped)) ->
        revoke slot (allow (units + more) st) = revoke slot (allow more stopped))
  /\ (forall e badge, cancel_badged_sends e badge (allow units st) = Preempted stopped ->
        cancel_badged_sends e badge (allow (units + more) st) = cancel_badged_sends e badge (allow more stopped))
  /\ forall e r, refuse_waiting e r (allow units st) = Preempted stopped ->
        refuse_waiting e r (allow (units + more) st) = refuse_waiting e r (allow more stopped).

(** A Retype that is preempted has made as many objects as it was allowed, and goes on with the others, which the caller's message names. *)
Definition retypes_go_on : Prop := forall count type at_ n device slot offset untyped t st units stopped,
  make_objects count type at_ n device slot offset untyped t (allow units st) = Stops stopped ->
  exists made rest, N.of_nat count = units + N.of_nat rest /\ rest <> O
    /\ stopped = set_word_argument 5 (N.of_nat rest) t (set_word_argument 4 (offset + units) t (allow 0 made))
    /\ forall more, make_objects count type at_ n device slot offset untyped t (allow (units + more) st)
         = make_objects rest type (at_ + units * N.shiftl 1 (object_bits type n)) n device (slot + units * slot_bytes) (offset + units) untyped t
             (allow more made).

(** What is left to do counts down, by as many as there were units: the senders that wait with the badge, and those that wait and are refused. *)
Definition sends_with (badge : N) (st : State) (t : N) : bool := match run_state (thread t st) with BlockedOnSend _ b _ _ _ _ => b =? badge | _ => false end.
Definition sends_left (e badge : N) (st : State) : N := N.of_nat (length (filter (sends_with badge st) (senders (endpoint e st)))).
Definition senders_left (e : N) (st : State) : N := N.of_nat (length (senders (endpoint e st))).
Definition work_counts_down : Prop := forall p st event e units stopped, roots_are_apart p -> reachable p st ->
  (forall badge, cancel_badged_sends e badge (allow units (enter event st)) = Preempted stopped ->
     sends_left e badge stopped + units = sends_left e badge (enter event st))
  /\ forall r, refuse_waiting e r (allow units (enter event st)) = Preempted stopped -> senders_left e stopped + units = senders_left e (enter event st).

(** So a call that cancels sends, when it is executed again, has what it had, and comes to what it does without the preemption. *)
Definition cancellations_come_to_the_same : Prop := forall p st event call units stopped manner more, roots_are_apart p -> reachable p st ->
  invokes (enter event st) Method.CNodeCancelBadgedSends call -> let t := invoker call in let address := register 0 (thread t (enter event st)) in
  send_phase t address manner (allow units (enter event st)) = (Restarted, stopped) -> thread t stopped = thread t (enter event st)
  /\ send_phase t address manner (allow more stopped) = send_phase t address manner (allow (units + more) (enter event st)).

(** Likewise a system call that begins with refusing senders, as it foresees, for one of three reasons, that its thread will have no context. *)
Definition refusals_come_to_the_same : Prop := forall p st event t with_reply foreseen units stopped more, roots_are_apart p -> reachable p st ->
  current st = Some t -> In foreseen [free_own_reply t with_reply; reply_phase t; pass_message t] -> let start := enter event st in
  refuse_early t with_reply foreseen (allow units start) = Preempted stopped -> thread t stopped = thread t start
  /\ refuse_early t with_reply foreseen (allow more stopped) = refuse_early t with_reply foreseen (allow (units + more) start).
End Claims.
