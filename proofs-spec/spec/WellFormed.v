(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Well-formed states

    What holds in every state between two events, as a function that lists what does not. The invariants have names, and the
    kernel's documents and assertions use the same. *)
From Spec Require Export Boot.
Open Scope N_scope.

Inductive Invariant :=
| DerivationTree             (* a slot is its parent's child, once, and nobody else's *)
| ReferenceCounts            (* [references] counts the capabilities that refer to each object *)
| NoDanglingCapability       (* what a capability refers to is there, and of the capability's kind *)
| NoOrphanObject             (* every object has a capability, or is a zombie's *)
| SlotsInContainers          (* an occupied slot is a slot of a CNode, a thread or an interrupt *)
| ObjectsDisjoint            (* no two objects share memory *)
| UntypedContents            (* what was made of an untyped lies in its used part; children of an untyped lie in it *)
| ThreadQueues               (* a thread stands in a queue if and only if its state says so, once, in the order of priorities *)
| RunQueues                  (* a thread is ready or sleeps if and only if it is runnable with a configured context *)
| ContextLinks               (* a thread and its scheduling context name each other, so do notifications and contexts *)
| NotificationLinks          (* a thread and its bound notification name each other *)
| ReplyLinks                 (* a reply object and its caller or receiver name each other; stacks of calls are linked *)
| Refills                    (* refills sum to the budget, in the order of their times, none too small to use *)
| Interrupts                 (* an interrupt is known if and only if it has a handler *)
| Spaces                     (* page tables hold tables that exist; pools and their ASIDs name VSpaces that exist *)
| CurrentThread.             (* the first ready thread of the current domain runs, on its context, with no YieldTo pending *)

Definition all {A} (l : list A) (f : A -> bool) : bool := forallb f l.
Fixpoint no_duplicates (l : list N) : bool :=
  match l with n :: rest => negb (member n rest) && no_duplicates rest | [] => true end.
Fixpoint ascending {A} (le : A -> A -> bool) (l : list A) : bool :=
  match l with
  | a :: rest => match rest with b :: _ => le a b | [] => true end && ascending le rest
  | [] => true
  end.

(** Whether a capability is of an object's kind, and right about its size. *)
Definition is_of_kind (c : Capability) (x : Object) : bool :=
  match c, x with
  | CNodeCap _ radix _ _, CNodeObject r => r =? radix
  | SchedContextCap _ bits, SchedContextObject s => context_bits s =? bits
  | EndpointCap _ _ _, EndpointObject _ | NotificationCap _ _ _, NotificationObject _ | ReplyCap _ _, ReplyObject _
  | TCBCap _, ThreadObject _ | VSpaceCap _ _, VSpaceObject _
  | PageTableCap _ _, PageTableObject _ | ASIDPoolCap _, ASIDPoolObject _ | ZombieCap _, CNodeObject _ | ZombieCap _, ThreadObject _ => true
  | _, _ => false
  end.

Section State_invariants.
Variable st : State.

Definition derivation_tree : bool :=
  all (entries (slots st)) (fun '(slot, e) =>
    no_duplicates (children e)
    && all (children e) (fun child =>
         match slots st !! child with Some c => is_number (parent c) slot | None => false end)
    && match parent e with
       | Some p => match slots st !! p with Some above => member slot (children above) | None => false end
       | None => true
       end).

Definition counted_references : Table N :=
  fold_left (fun table e =>
               match referent (capability (snd e)) with
               | Some o => set o (or_default 0 (table !! o) + 1) table
               | None => table
               end) (entries (slots st)) empty.
Definition same_numbers (a b : Table N) : bool :=
  all (entries a) (fun '(k, n) => is_number (b !! k) n) && all (entries b) (fun '(k, n) => is_number (a !! k) n).
Definition reference_counts : bool := same_numbers (references st) counted_references.

Definition refers_well (c : Capability) : bool :=
  match c, object_of c with
  | IRQHandlerCap irq, _ => is_some (interrupts st !! irq)
  | _, None => true
  | _, Some o =>
      match objects st !! o with Some x => is_of_kind c x | None => false end
      && match c with CNodeCap _ radix guard size => (radix + size <=? 64) && (guard <=? N.ones size) | _ => true end
  end.
Definition no_dangling_capability : bool := all (entries (slots st)) (fun '(_, e) => refers_well (capability e)).

Definition has_zombie (o : N) : bool := existsb (fun '(_, e) => is_zombie (capability e) && is_number (object_of (capability e)) o) (entries (slots st)).
Definition no_orphan_object : bool :=
  all (entries (objects st)) (fun '(o, _) => is_some (references st !! o) || has_zombie o).

Definition size_of (object : Object) : N :=
  match object with
  | CNodeObject radix => N.shiftl 1 (radix + slot_bits)
  | ThreadObject _ => N.shiftl 1 tcb_size_bits
  | EndpointObject _ => N.shiftl 1 endpoint_size_bits
  | NotificationObject _ => N.shiftl 1 notification_size_bits
  | ReplyObject _ => N.shiftl 1 reply_size_bits
  | SchedContextObject c => N.shiftl 1 (context_bits c)
  | VSpaceObject _ | PageTableObject _ | ASIDPoolObject _ => 4096
  end.

Definition slots_in_containers : bool :=
  all (entries (slots st)) (fun '(slot, _) =>
    match last_below (slot + 1) (objects st) with Some (o, _) => is_within slot o st | None => false end
    || ((irq_slot 0 <=? slot) && (slot <? nowhere))).

Definition objects_disjoint : bool :=
  ascending (fun a b => fst a + size_of (snd a) <=? fst b) (entries (objects st)).

(** The memory that a capability stands for, as far as it stands for any: from where, and how much. *)
Definition extent (c : Capability) : option (N * N) :=
  match c, object_of c with
  | UntypedCap base bits _ _, _ | FrameCap base bits _ _ _, _ => Some (base, N.shiftl 1 bits)
  | _, Some o => option_map (fun x => (o, size_of x)) (objects st !! o)
  | _, None => None
  end.
Definition untyped_contents : bool :=
  all (entries (slots st)) (fun '(_, e) =>
    match capability e with
    | UntypedCap base bits _ used =>
        (used <=? N.shiftl 1 bits)
        && all (children e) (fun child =>
             match slots st !! child with
             | Some c =>
                 match extent (capability c) with
                 | Some (start, size) => (base <=? start) && (start + size <=? base + used)
                 | None => true
                 end
             | None => false
             end)
    | _ => true
    end).

Definition in_order (queue : list N) : bool :=
  no_duplicates queue && ascending (fun a b => priority (thread b st) <=? priority (thread a st)) queue.
Definition thread_queues : bool :=
  all (entries (objects st)) (fun '(o, object) =>
    match object with
    | EndpointObject e =>
        in_order (senders e) && in_order (receivers e)
        && match senders e, receivers e with _ :: _, _ :: _ => false | _, _ => true end
        && all (senders e) (fun t => match run_state (thread t st) with BlockedOnSend x _ _ _ _ _ => x =? o | _ => false end)
        && all (receivers e) (fun t => match run_state (thread t st) with BlockedOnReceive x _ _ _ => x =? o | _ => false end)
    | NotificationObject n =>
        in_order (waiters n)
        && match waiters n with [] => true | _ => negb (is_some (word_of_flags n)) end
        && all (waiters n) (fun t => match run_state (thread t st) with BlockedOnNotification x => x =? o | _ => false end)
    | ThreadObject t =>
        match run_state t with
        | BlockedOnReceive e _ _ _ => member o (receivers (endpoint e st))
        | BlockedOnSend e _ _ _ _ _ => member o (senders (endpoint e st))
        | BlockedOnNotification n => member o (waiters (notification n st))
        | BlockedOnReply r _ => is_number (caller (reply r st)) o
        | Inactive | Running => match fault t with None => true | Some _ => false end
        end
    | _ => true
    end).

Definition run_queues : bool :=
  in_order (ready st) && no_duplicates (sleeping st)
  && ascending (fun a b => wake_time a st <=? wake_time b st) (sleeping st)
  && all (ready st ++ sleeping st) (fun t =>
       is_running t st && match context_of t st with Some c => configured (context c st) | None => false end)
  && all (entries (objects st)) (fun '(o, object) =>
       match object with
       | ThreadObject t =>
           match run_state t, sched_context t with
           | Running, Some c => negb (configured (context c st)) || xorb (member o (ready st)) (member o (sleeping st))
           | _, _ => true
           end
       | _ => true
       end).

Definition context_links : bool :=
  all (entries (objects st)) (fun '(o, object) =>
    match object with
    | ThreadObject t => match sched_context t with Some c => is_number (context_thread (context c st)) o | None => true end
    | NotificationObject n =>
        match lent_context n with Some c => is_number (context_notification (context c st)) o | None => true end
    | SchedContextObject c =>
        match context_thread c with Some t => is_number (context_of t st) o | None => true end
        && match context_notification c with Some n => is_number (lent_context (notification n st)) o | None => true end
        && match yielder c with Some t => is_number (yielded_to (thread t st)) o | None => true end
    | _ => true
    end).

Definition notification_links : bool :=
  all (entries (objects st)) (fun '(o, object) =>
    match object with
    | ThreadObject t =>
        match bound_notification t with Some n => is_number (bound_thread (notification n st)) o | None => true end
        && match yielded_to t with Some c => is_number (yielder (context c st)) o | None => true end
    | NotificationObject n =>
        match bound_thread n with Some t => is_number (bound_notification (thread t st)) o | None => true end
    | _ => true
    end).

Definition reply_links : bool :=
  all (entries (objects st)) (fun '(o, object) =>
    match object with
    | ReplyObject r =>
        match caller r with
        | Some t => match run_state (thread t st) with BlockedOnReply x _ => x =? o | _ => false end
        | None => negb (is_some (along r))
        end
        && match receiver r with
           | Some t => match run_state (thread t st) with BlockedOnReceive _ x _ _ => is_number x o | _ => false end
                       && negb (is_some (caller r))
           | None => true
           end
        && match along r with Some c => member o (calls (context c st)) | None => true end
    | SchedContextObject c =>
        no_duplicates (calls c) && all (calls c) (fun r => is_number (along (reply r st)) o)
    | ThreadObject t =>
        match run_state t with
        | BlockedOnReceive _ (Some r) _ _ => is_number (receiver (reply r st)) o
        | _ => true
        end
    | _ => true
    end).

Definition well_formed_refills : bool :=
  all (entries (objects st)) (fun '(_, object) =>
    match object with
    | SchedContextObject c =>
        match refills c with
        | [] => budget c =? 0
        | first :: rest =>
            (if is_round_robin c then (match rest with [] => true | _ => false end) && (amount first <=? budget c)
             else fold_left (fun sum r => sum + amount r) (refills c) (unreturned c) =? budget c)
            && ((unreturned c =? 0) || (unreturned c <? smallest_budget st))
            && (N.of_nat (length (refills c)) <=? extra_refills c + 2)
            && ascending (fun a b => usable_at a <=? usable_at b) rest
            && (is_round_robin c || (budget c <? smallest_budget st) || forallb (fun r => smallest_budget st <=? amount r) (refills c))
        end
    | _ => true
    end).

Definition interrupts_have_handlers : bool :=
  all (entries (interrupts st)) (fun '(irq, _) => is_some (references st !! irq_slot irq)).

Definition spaces_well_formed : bool :=
  all (entries (objects st)) (fun '(o, object) =>
    match object with
    | ASIDPoolObject p =>
        is_number (pools st !! pool_index p) o
        && all (entries (assigned p)) (fun '(_, v) => match objects st !! v with Some (VSpaceObject _) => true | _ => false end)
    | _ => true
    end)
  && all (entries (pools st)) (fun '(index, p) => pool_index (pool p st) =? index).

Definition current_thread : bool :=
  match current st, first_ready st with Some a, Some b => a =? b | None, None => true | _, _ => false end
  && match current st with
     | Some t => match current_context st, context_of t st with Some a, Some b => a =? b | _, _ => false end
                 && negb (is_some (yielded_to (thread t st)))
     | None => negb (is_some (current_context st))
     end.

Definition broken_invariants : list Invariant :=
  let claim (i : Invariant) (b : bool) := if b then [] else [i] in
  claim DerivationTree derivation_tree ++ claim ReferenceCounts reference_counts
  ++ claim NoDanglingCapability no_dangling_capability ++ claim NoOrphanObject no_orphan_object
  ++ claim SlotsInContainers slots_in_containers ++ claim ObjectsDisjoint objects_disjoint
  ++ claim UntypedContents untyped_contents ++ claim ThreadQueues thread_queues ++ claim RunQueues run_queues
  ++ claim ContextLinks context_links ++ claim NotificationLinks notification_links ++ claim ReplyLinks reply_links
  ++ claim Refills well_formed_refills ++ claim Interrupts interrupts_have_handlers ++ claim Spaces spaces_well_formed
  ++ claim CurrentThread current_thread.
End State_invariants.

Definition well_formed (st : State) : Prop := broken_invariants st = [].
