(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Claims about policies and channels

    Who can bring about a change of what, by a policy alone: the rest of S3. As in [Claims], each claim of a step is about any step. *)
From Spec Require Export IntegrityClaims.
Open Scope N_scope.

(** ** From a policy to channels

    Which subject can bring about changes of which other one's things, by a policy alone: an edge a rule. Each object that names others, or that others
    name, has an owner here: an endpoint, too; a context or notification that only one thread uses may be that thread's. _Using_: of what one, or whom he
    acts for, may hold a capability to, frames apart, which hold nothing of the kernel's. _Acknowledging_ and _Claiming_: the slot of an interrupt that one
    may hold, and those that nobody has. _Assigning_: who may assign ASIDs gets at all address spaces. _Unlimited_: he of whom the policy says nothing, at
    everybody. _Standing_: an object leads to those who may wait in it, or lend or get it. _Answering_: a reply object to those whose call it may take. *)
Inductive Edge := Using | Acknowledging | Claiming | Assigning | Unlimited | Standing | Answering.
Definition subjects (p : Policy) : list N := nodup N.eq_dec (map region_owner (regions p)).
Definition lies_at (p : Policy) (start size owner : N) : bool :=
  existsb (fun r => (region_owner r =? owner) && overlaps start size (region_start r) (region_size r)) (regions p).
Definition is_at (p : Policy) (owner : N) (h : Holding) : bool := lies_at p (held_start h) (held_size h) owner.
Definition acts_with (p : Policy) (a : N) (what : Holding -> bool) : bool :=
  existsb (fun h => member (holder h) [a; acting p a] && what h) (permitted p).
Definition says_nothing (p : Policy) (a : N) : bool := member a (silent p) || member (acting p a) (silent p).
Definition is_to_object (h : Holding) : bool := made_of_untyped (held_type h) && negb (is_to CapType.Frame h).
Definition stands_in (h : Holding) : bool :=
  match held_type h with
  | CapType.Endpoint | CapType.Reply | CapType.SchedContext | CapType.Untyped => true
  | CapType.Notification => can_read (held_rights h)
  | _ => false
  end.
Definition edge (p : Policy) (a b : N) (rule : Edge) : bool :=
  match rule with
  | Using => acts_with p a (fun h => is_to_object h && is_at p b h)
  | Acknowledging => acts_with p a (fun h => is_to CapType.IRQHandler h && lies_at p (irq_slot (held_start h)) (slot_bytes * held_size h) b)
  | Claiming =>
      acts_with p a (is_to CapType.IRQControl) && existsb (fun r => (region_owner r =? b) && (irq_slot 0 <? region_start r + region_size r)) (regions p)
  | Assigning =>
      acts_with p a (fun h => is_to CapType.ASIDPool h || is_to CapType.ASIDControl h) && existsb (fun h => is_to CapType.VSpace h && is_at p b h) (permitted p)
  | Unlimited => says_nothing p a
  | Standing => acts_with p b (fun h => stands_in h && is_at p a h)
  | Answering =>
      acts_with p b (fun e => is_to CapType.Endpoint e && can_write (held_rights e) && (can_grant (held_rights e) || can_grant_reply (held_rights e))
        && existsb (fun f => may_receive p f && shared e f && acts_with p (holder f) (fun r => is_to CapType.Reply r && is_at p a r)) (permitted p))
  end.
Definition edges : list Edge := [Using; Acknowledging; Claiming; Assigning; Unlimited; Standing; Answering].
Definition next_subjects (p : Policy) (a : N) : list N := filter (fun b => existsb (edge p a b) edges) (subjects p).
Inductive flows (p : Policy) (a : N) : N -> Prop :=
| to_itself_flows : flows p a a
| along_edge b c rule : flows p a b -> In c (subjects p) -> edge p b c rule = true -> flows p a c.

(** To whom edges lead, computed, and whether that is all. *)
Fixpoint spread (p : Policy) (turns : nat) (found fresh : list N) : list N :=
  match turns, fresh with
  | S turns, a :: fresh => let more := filter (fun b => negb (member b found)) (next_subjects p a) in spread p turns (more ++ found) (fresh ++ more)
  | _, _ => found
  end.
Definition reach_from (p : Policy) (sources : list N) : list N := spread p (length sources + length (subjects p)) sources sources.
Definition is_closed_set (p : Policy) (found : list N) : bool := forallb (fun a => forallb (fun b => member b found) (next_subjects p a)) found.

(** What such subjects have, and what is nobody's. What is in an ASID pool is theirs when the address spaces are. *)
Definition is_theirs (p : Policy) (found : list N) (x : N) : Prop := forall owner, owner_of p x = Some owner -> In owner found.
Definition things_of (p : Policy) (found : list N) (st : State) (x : Thing) : Prop :=
  match x with
  | AnObject o | ASlot o => is_theirs p found o
  | Contents o => is_theirs p found o /\ forall pool i v, objects st !! o = Some (ASIDPoolObject pool) -> assigned pool !! i = Some v -> is_theirs p found v
  | ASpace asid =>
      (forall o, pools st !! (asid / asid_pool_entries) = Some o -> is_theirs p found o) /\ forall v, vspace_of_asid asid st = Some v -> is_theirs p found v
  | FreeInterrupts => forall irq, interrupts st !! irq = None -> is_theirs p found (irq_slot irq)
  end.

(** What a policy does not say is asked of the state: that of threads, contexts and notifications that are bound to or lent to each other, of callers and of
    those of whom the policy says nothing none is named that is not theirs; nor is what was derived from their capabilities, nor the address spaces that these
    tell; and that their threads and CNodes lie in their memory. Who else waits, and what tables name, the policy tells. *)
Definition untold (p : Policy) (t : N) : bool := match owner_of p t with Some owner => says_nothing p owner | None => true end.
Definition asked_of (p : Policy) (o : N) (x : Object) : list N :=
  let who_wait l := if is_some (owner_of p o) then filter (untold p) l else l in
  match x with
  | ThreadObject t =>
      match run_state t with BlockedOnReply r _ => [r] | _ => [] end ++ the_name (bound_notification t) ++ the_name (sched_context t) ++ the_name (yielded_to t)
  | EndpointObject e => who_wait (senders e ++ receivers e)
  | NotificationObject n => who_wait (waiters n) ++ the_name (bound_thread n) ++ the_name (lent_context n)
  | ReplyObject r => the_name (caller r) ++ who_wait (the_name (receiver r)) ++ the_name (along r)
  | SchedContextObject _ => names_in x
  | VSpaceObject _ | PageTableObject _ | CNodeObject _ | ASIDPoolObject _ => []
  end.
Definition theirs (p : Policy) (found : list N) (x : N) : bool := match owner_of p x with Some owner => member owner found | None => true end.
Definition all_theirs (p : Policy) (found : list N) (start size : N) : bool :=
  match List.find (fun r => overlaps start size (region_start r) (region_size r)) (regions p) with
  | Some r => is_in start size (region_start r) (region_size r) && member (region_owner r) found
  | None => true
  end.
Definition spaces_in (pool : ASIDPool) : list N := map snd (entries (assigned pool)).
Definition spaces_of (st : State) (c : Capability) : list N :=
  let of_asid asid := the_name (pools st !! (asid / asid_pool_entries)) ++ the_name (vspace_of_asid asid st) in
  match c with
  | VSpaceCap _ (Some asid) => of_asid asid
  | PageTableCap _ (Some q) | FrameCap _ _ _ _ (Some q) => of_asid (place_asid q)
  | ASIDControlCap | ASIDPoolCap _ => flat_map (fun e => snd e :: spaces_in (pool (snd e) st)) (entries (pools st))
  | UntypedCap base bits _ _ =>
      flat_map (fun e => match snd e with ASIDPoolObject pool => if is_in (fst e) 1 base (N.shiftl 1 bits) then spaces_in pool else [] | _ => [] end)
               (entries (objects st))
  | _ => []
  end.
Definition links_stay (p : Policy) (found : list N) (st : State) : bool :=
  let is_theirs := theirs p found in
  forallb (fun '(o, x) =>
    negb (is_theirs o || is_theirs (slot_of o timeout_slot))
    || forallb is_theirs (asked_of p o x) && match x with ThreadObject _ | CNodeObject _ => all_theirs p found o (size_of x) | _ => true end)
    (entries (objects st))
  && forallb (fun '(slot, e) => negb (is_theirs slot) || forallb is_theirs (children e ++ spaces_of st (capability e))) (entries (slots st)).
Definition keeps_apart (p : Policy) (st : State) (sources : list N) (subject : N) : bool :=
  let found := reach_from p sources in is_closed_set p found && links_stay p found st && negb (member subject found).

(** By which rule whose object changes: the subject that acts, for whom the thread that runs invokes, or whose the interrupt is, may hold a capability through
    which a system call has that rule; and to the very object, where a thread's parameters, a binding, a budget or flags change. *)
Definition does (p : Policy) (st : State) (e : Event) (subject : N) : Prop :=
  match cause e with
  | InterruptArrives irq => owner_of p (irq_slot irq) = Some subject
  | _ => forall t, current st = Some t -> is_of p t subject
  end.
Definition unasked : list ChangeRule := every_step ++ [ByReceiving; ByFlags; ByDonation; ByStepping; ByGrant].
Definition has_edge (p : Policy) (subject : N) (rule : ChangeRule) : Prop :=
  In rule unasked \/ exists c l, may p subject c /\ In rule (rules_through (c, method_for l c)).
Definition may_change (p : Policy) (subject o : N) (rule : ChangeRule) (before : option Object) : Prop :=
  has_edge p subject rule /\
  match rule, before with
  | ByControl, Some (ThreadObject _) | ByBinding, Some (ThreadObject _) | ByAccess, _ | ByDomain, _ => may p subject (TCBCap o)
  | BySignal, _ | ByBinding, Some (NotificationObject _) => exists badge r, may p subject (NotificationCap o badge r)
  | ByYielding, Some (SchedContextObject _) | ByBinding, Some (SchedContextObject _) => exists bits, may p subject (SchedContextCap o bits)
  | ByAssignment, _ => may p subject (ASIDPoolCap o)
  | ByConfiguration, _ => exists bits core, may p subject (SchedContextCap o bits) /\ may p subject (SchedControlCap core)
  | _, _ => True
  end.
Inductive by_edges (st : State) (e : Event) (allowed : ChangeRule -> option Object -> Prop) (o : N) (x : option Object) : option Object -> Prop :=
| as_it_stood : by_edges st e allowed o x x
| and_by_edge rule y z : by_edges st e allowed o x y -> allowed rule y -> changes st e o rule y z -> by_edges st e allowed o x z.

(** ** Whom a message reaches: one edge a rule

    A step in which no method is invoked that deletes, or replaces what is in a slot of a thread or interrupt ([is_direct]), changes only what one edge leads
    to from the subject that acts, or what a field of that names; who is bound, lent or called no policy says, so the state tells. The rules, and their edges:
    - _Send_, _Call_: an endpoint that the subject may send to; a thread that waits there, as it may, to receive, and the reply object that this named.
    - _Receive_, _Wait_: what the subject may receive from, or wait for; a thread that waits there, as it may, to send. _Grant_: slots, and no object.
    - _Notify_, _Interrupt_: a notification that the subject may signal; a thread that waits for it, as it may, or is bound to it and receives, and where.
    - _Reply_, _Reset_: a reply object that the subject may hold, and whoever called or receives with it.
    - _Control_: a thread or context to which the subject may hold a capability, if the call is sent to it, or takes it; and where that thread waits in line.
    - _Bind_: a thread or context to which the call is sent, as of _Control_, and a thread or notification that it takes. _Unbind_: what the thread or context
      to which the call is sent is bound to, or has its thread in. _Yield_: the context to which the call is sent, and whoever yielded to it before.
    - _Cancel_: the threads that wait, as they may, to send to an endpoint that the subject may receive from. _Assign_: the pool that the call is sent to.
      _Make_: a place where nothing is, in the memory of an untyped that the call is sent to or takes, as the subject may hold that.
    - _Map_: a table in an address space, through a chain of tables, as these name each other, of a VSpaceCap that the call takes and the subject may hold, or
      of the page table that the call is sent to. _Unmap_: a table that has the frame or page table that it is sent to. _Read_, _Arrange_: no object.
    - _Donate_: the context of such a thread, of such a call, or a free one that such a notification lends; who has it; and the calls in its stack.
    - _Fault_, _Budget_: as if the thread that runs, or has the time that is up, sent to the endpoint in its slot. _Schedule_: no edge; who runs next. *)
Definition is_direct (m : Method.t) : bool :=
  match m with
  | Method.CNodeRevoke | Method.CNodeDelete | Method.TCBConfigure | Method.TCBSetSpace | Method.TCBSetSchedParams | Method.TCBSetIPCBuffer
  | Method.TCBSetTimeoutEndpoint | Method.IRQHandlerSetNotification | Method.IRQHandlerClear => false
  | _ => true end.
Definition takes (m : Method.t) (k : CapType.t) : bool :=
  match m, k with
  | (Method.TCBCopyRegisters | Method.DomainSet | Method.SchedControlSetThreadAccess | Method.SchedContextBind), CapType.TCB
  | (Method.TCBBindNotification | Method.SchedContextBind), CapType.Notification | Method.ASIDControlMakePool, CapType.Untyped
  | Method.SchedControlConfigureFlags, CapType.SchedContext | (Method.PageTableMap | Method.FrameMap), CapType.VSpace => true | _, _ => false end.
Definition takes_it (m : option Method.t) (c : Capability) : bool := match m with Some m => takes m (cap_type c) | None => false end.
Definition conveys (c : Capability) (m : option Method.t) : bool :=
  match c, m with
  | EndpointCap _ _ _, _ | NotificationCap _ _ _, _ | ReplyCap _ _, _ | SGISignalCap _ _, _ | _, None => true | _, Some m => is_direct m end.
Definition only_messages (st : State) (e : Event) : Prop :=
  forall t s c m, cause e = SystemCall -> current st = Some t -> system_call_of t (enter e st) = Some s -> sent_through t s (enter e st) = Some (c, m) ->
    conveys c m = true.
Definition binds_thread (m : option Method.t) : bool :=
  match m with Some (Method.TCBBindNotification | Method.TCBUnbindNotification) => true | _ => false end.
Definition binds_context (m : option Method.t) : bool :=
  match m with Some (Method.SchedContextBind | Method.SchedContextUnbind | Method.SchedContextUnbindObject) => true | _ => false end.
Definition yields_to_it (m : option Method.t) : bool := match m with Some Method.SchedContextYieldTo => true | _ => false end.
Definition awaits_a_message (s : RunState) : bool := match s with BlockedOnReceive _ _ _ _ => true | _ => false end.
Definition when_handled (st : State) (e : Event) : State := snd (handle (cause e) (enter e st)).
Section Rows.
Variables (p : Policy) (subject : N) (st : State) (e : Event).
Definition may_wait (t o : N) (right : Rights -> bool) : Prop :=
  exists x part c, objects st !! t = Some (ThreadObject x) /\ owner_of p t = Some part /\ In c (waits_with (run_state x)) /\ object_of c = Some o
    /\ right (rights_of c) = true /\ (may p part c \/ may p (acting p part) c).
Definition has_time (at_ : State) (t : N) : Prop :=
  In at_ [enter e st; when_handled st e] /\ exists c, current_context st = Some c /\ context_thread (context c at_) = Some t.
Inductive may_reach (x : N) : Prop :=
| by_send badge r : may p subject (EndpointCap x badge r) -> can_write r = true -> may_reach x
| by_fault t badge r : current st = Some t -> may p subject (EndpointCap x badge r) \/ can_lie p (slot_of t fault_slot) (EndpointCap x badge r) ->
    can_write r = true -> may_reach x
| by_budget at_ t badge r : has_time at_ t -> capability_at (slot_of t timeout_slot) at_ = Some (EndpointCap x badge r) -> can_write r = true -> may_reach x.
Definition may_take (x : N) : Prop := exists badge r, may p subject (EndpointCap x badge r) /\ can_read r = true.
Definition may_signal (n : N) : Prop := exists b r, may p subject (NotificationCap n b r) /\ (can_write r = true \/ exists i, cause e = InterruptArrives i).
Definition may_await (n : N) : Prop :=
  (exists b r, may p subject (NotificationCap n b r) /\ can_read r = true) \/ exists t, current st = Some t /\ bound_notification (thread t st) = Some n.
Definition may_reply (r : N) : Prop := exists rights, may p subject (ReplyCap r rights).
Definition in_call (is_so : Capability -> option Method.t -> Prop) (c : Capability) : Prop :=
  may p subject c /\ exists t s d m, current st = Some t /\ system_call_of t (enter e st) = Some s /\ sent_through t s (enter e st) = Some (d, m) /\ is_so d m.
Definition named_in_call (c : Capability) : Prop := in_call (fun d m => d = c \/ takes_it m c = true) c.
Definition taken_in_call (c : Capability) : Prop := in_call (fun _ m => takes_it m c = true) c.
Definition sent_to (does_so : option Method.t -> bool) (c : Capability) : Prop := in_call (fun d m => d = c /\ does_so m = true) c.
Inductive met_thread (t : N) : Prop :=
| it_runs : current st = Some t -> met_thread t
| it_has_time at_ : has_time at_ t -> met_thread t
| it_is_named : named_in_call (TCBCap t) -> met_thread t
| it_receives x : may_reach x -> may_wait t x can_read -> met_thread t
| it_sends x : may_take x -> may_wait t x can_write -> met_thread t
| it_waits n : may_signal n -> may_wait t n can_read -> met_thread t
| it_is_bound n : may_signal n -> bound_thread (notification n st) = Some t -> awaits_a_message (run_state (thread t st)) = true -> met_thread t
| it_calls r : may_reply r -> caller (reply r st) = Some t -> met_thread t.
Definition where_it_waits (o : N) : Prop := exists t, met_thread t /\ In o (waits_at (run_state (thread t st))).
Inductive met_context (c : N) : Prop :=
| of_a_thread t : met_thread t -> context_of t st = Some c -> met_context c
| it_is_bound_by bits : sent_to binds_context (SchedContextCap c bits) -> met_context c
| of_a_call r : may_reply r \/ where_it_waits r -> along (reply r st) = Some c -> met_context c
| of_a_loan n : may_signal n \/ may_await n -> lent_context (notification n st) = Some c -> context_thread (context c st) = None -> met_context c.
Definition is_bound_in_call (n : N) : Prop :=
  (exists b r, taken_in_call (NotificationCap n b r)) \/ (exists t, sent_to binds_thread (TCBCap t) /\ bound_notification (thread t st) = Some n)
  \/ exists c bits, sent_to binds_context (SchedContextCap c bits) /\ context_notification (context c st) = Some n.
Definition is_mapped_by (c : Capability) (x : PageEntry) : bool :=
  match c, x with FrameCap base _ _ _ _, Page base' _ _ _ _ => base =? base' | PageTableCap t _, NextTable t' => t =? t' | _, _ => false end.
Inductive in_space (o : N) : Prop :=
| its_root asid : named_in_call (VSpaceCap o asid) -> in_space o | the_table place : named_in_call (PageTableCap o place) -> in_space o
| named_in_table table i : in_space table -> table_entries table st !! i = Some (NextTable o) -> in_space o.
Definition met_table (o : N) : Prop :=
  in_space o \/ exists c i x, named_in_call c /\ table_entries o st !! i = Some x /\ is_mapped_by c x = true.
Definition met_by_edge (next : State) (o : N) : Prop :=
  match objects st !! o with
  | Some (ThreadObject t) =>
      met_thread o \/ (exists r, may_reply r /\ receiver (reply r st) = Some o) \/ (exists c, met_context c /\ context_thread (context c st) = Some o)
      \/ (exists c bits, sent_to yields_to_it (SchedContextCap c bits) /\ yielder (context c st) = Some o) \/ current next = Some o /\ yielded_to t <> None
  | Some (EndpointObject _) => may_reach o \/ may_take o \/ where_it_waits o
  | Some (NotificationObject _) => may_signal o \/ may_await o \/ where_it_waits o \/ is_bound_in_call o
  | Some (ReplyObject _) => may_reply o \/ where_it_waits o \/ exists c, met_context c /\ In o (calls (context c st))
  | Some (SchedContextObject _) =>
      met_context o \/ current_context st = Some o \/ (exists t, met_thread t /\ yielded_to (thread t st) = Some o)
      \/ (exists t, current next = Some t /\ (context_of t st = Some o \/ yielded_to (thread t st) = Some o))
      \/ exists bits, named_in_call (SchedContextCap o bits)
  | Some (VSpaceObject _) | Some (PageTableObject _) => met_table o
  | Some (ASIDPoolObject _) => named_in_call (ASIDPoolCap o)
  | Some (CNodeObject _) => False
  | None => exists base bits device used, named_in_call (UntypedCap base bits device used) /\ base <= o /\ o < base + N.shiftl 1 bits
  end.
End Rows.

(** ** What follows

    What is computed is what edges lead to. *)
Definition reach_is_exact : Prop :=
  forall p sources b, let found := reach_from p sources in
    (In b found -> exists a, In a sources /\ flows p a b)
    /\ (is_closed_set p found = true -> forall a, In a sources -> flows p a b -> In b found).

(** In a state in which capabilities refer to what is there, and that is within the policy, what is theirs to whom edges lead is closed under the rules by
    which things lead to things: so nobody else's is reached. *)
Definition policy_shows_no_channel : Prop :=
  forall p st found subject,
    capabilities_live st -> links_live st -> waits_are_right st -> pol_check p st = true -> is_closed_set p found = true -> links_stay p found st = true ->
    ~ In subject found -> has_no_channel p subject (things_of p found st) st.

Section Steps.
Variable one_step : Stepping.
(** Whom the policy keeps apart from those who run keeps all that is his, bit for bit, whatever they do from then on. *)
Definition policy_prevents_interference : Prop :=
  forall plan p sources subject st next,
    roots_are_apart plan -> reachable one_step plan st -> pol_check p st = true -> keeps_apart p st sources subject = true ->
    runs_within one_step (things_of p (reach_from p sources) st) st next ->
    forall x, owner_of p x = Some subject ->
      objects next !! x = objects st !! x /\ stays (slots st !! x) (slots next !! x)
      /\ (~ lends st (things_of p (reach_from p sources) st) x -> slots next !! x = slots st !! x).

(** Each change in a step is of what edges lead to, from those with whom the step begins, and by rules that the subject has, which acts; by one, of messages. *)
Definition changes_follow_the_policy : Prop :=
  forall plan p found st e subject,
    roots_are_apart plan -> reachable one_step plan st -> pol_check p st = true -> is_closed_set p found = true -> links_stay p found st = true ->
    begins_within one_step (things_of p found st) st e -> does p st e subject ->
    let next := next_of one_step st e in
    (forall o, by_edges st e (fun rule x => is_theirs p found o /\ In rule (rules_of st e) /\ may_change p subject o rule x
                                            /\ (only_messages st e -> met_by_edge p subject st e next o))
                        o (objects st !! o) (objects next !! o))
    /\ (forall slot, slot_by_rules (fun rule => In rule (rules_of st e) /\ has_edge p subject rule) (slots st !! slot) (slots next !! slot))
    /\ forall slot, ~ is_theirs p found slot -> stays (slots st !! slot) (slots next !! slot).
End Steps.
