(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Claims about integrity

    What a step can change: S3, as far as it is proved. As in [Claims], each claim of a step is about any step. *)
From Spec Require Export PolicyClaims.
Open Scope N_scope.

(** ** What leads to what

    What a step can change is what can be reached from where it begins. A _thing_ is an object, with all of its fields; the contents of one, or all that can
    be done with it; a slot; an ASID; or the interrupts that nobody has. *)
Inductive Thing := AnObject (o : N) | Contents (o : N) | ASlot (slot : N) | ASpace (asid : N) | FreeInterrupts.
Definition whole_thread (t : N) : list Thing := AnObject t :: Contents t :: map (fun i => ASlot (slot_of t i)) (numbers_from 0 (N.to_nat thread_slots)).

(** What a capability opens, by rule. Whoever may grant through an endpoint opens all that those who wait there act with: what comes with a message. Who
    makes pools of ASIDs, or has one, opens all address spaces; who claims interrupts opens those that nobody has. *)
Inductive opens : Capability -> Thing -> Prop :=
| by_name c o : object_of c = Some o -> opens c (AnObject o)
| by_retyping base bits device used x y :
    base <= x -> x < base + N.shiftl 1 bits -> In y [AnObject x; Contents x; ASlot x] -> opens (UntypedCap base bits device used) y
| by_granting e badge r : can_grant r = true -> opens (EndpointCap e badge r) (Contents e)
| by_taking o radix guard size i : i < 2 ^ radix -> opens (CNodeCap o radix guard size) (ASlot (slot_of o i))
| by_ending_cnode o radix guard size : opens (CNodeCap o radix guard size) (Contents o)
| by_control t y : In y (whole_thread t) -> opens (TCBCap t) y
| by_ending o y : In y [Contents o; ASlot (slot_of o 0)] -> opens (ZombieCap o) y
| by_space v asid : opens (VSpaceCap v (Some asid)) (ASpace asid)
| by_table t p : opens (PageTableCap t (Some p)) (ASpace (place_asid p))
| by_mapping base bits device r p : opens (FrameCap base bits device r (Some p)) (ASpace (place_asid p))
| by_assigning c asid : c = ASIDControlCap \/ (exists p, c = ASIDPoolCap p) -> opens c (ASpace asid)
| by_claiming : opens IRQControlCap FreeInterrupts
| by_handling irq : opens (IRQHandlerCap irq) (ASlot (irq_slot irq)).

(** Whom an object names: the fields of a thread, of what it waits for and of what it runs on lead on. *)
Definition the_name (o : option N) : list N := match o with Some n => [n] | None => [] end.
Definition waits_at (s : RunState) : list N :=
  match s with
  | BlockedOnReceive e r _ _ => e :: the_name r
  | BlockedOnSend e _ _ _ _ _ => [e]
  | BlockedOnReply r _ => [r]
  | BlockedOnNotification n => [n]
  | Inactive | Running => []
  end.
Definition next_table (e : N * PageEntry) : list N := match snd e with NextTable t => [t] | Page _ _ _ _ _ => [] end.
Definition names_in (x : Object) : list N :=
  match x with
  | ThreadObject t => waits_at (run_state t) ++ the_name (bound_notification t) ++ the_name (sched_context t) ++ the_name (yielded_to t)
  | EndpointObject e => senders e ++ receivers e
  | NotificationObject n => waiters n ++ the_name (bound_thread n) ++ the_name (lent_context n)
  | ReplyObject r => the_name (caller r) ++ the_name (receiver r) ++ the_name (along r)
  | SchedContextObject c => the_name (context_thread c) ++ the_name (context_notification c) ++ calls c ++ the_name (yielder c)
  | VSpaceObject t | PageTableObject t => flat_map next_table (entries t)
  | CNodeObject _ | ASIDPoolObject _ => []
  end.
Definition gives_all (s : RunState) : bool := match s with BlockedOnSend _ _ grant _ _ _ | BlockedOnReply _ grant => grant | _ => false end.

(** What leads to what in a state: a slot to what its capability opens and to all that was derived from it; an object to whom it names; contents to what is in
    them; a thread that waits with the right to grant, and one that a timeout would be reported of, to all that it acts with; and an ASID to its pool and its
    VSpace. *)
Inductive leads_on (st : State) : Thing -> Thing -> Prop :=
| by_capability slot c y : capability_at slot st = Some c -> opens c y -> leads_on st (ASlot slot) y
| by_derivation slot child : In child (children_of slot st) -> leads_on st (ASlot slot) (ASlot child)
| by_link o x n : objects st !! o = Some x -> In n (names_in x) -> leads_on st (AnObject o) (AnObject n)
| by_content o slot : o <= slot -> slot < slot_of o (slot_count o st) -> leads_on st (Contents o) (ASlot slot)
| by_meeting e x t y : objects st !! e = Some (EndpointObject x) -> In t (senders x ++ receivers x) -> In y (whole_thread t) -> leads_on st (Contents e) y
| by_grant t x y : objects st !! t = Some (ThreadObject x) -> gives_all (run_state x) = true -> In y (whole_thread t) -> leads_on st (AnObject t) y
| by_timeout t x e badge r y :
    objects st !! t = Some (ThreadObject x) -> capability_at (slot_of t timeout_slot) st = Some (EndpointCap e badge r) -> In y (whole_thread t) ->
    leads_on st (AnObject t) y
| by_timeout_slot t x y : objects st !! t = Some (ThreadObject x) -> In y (whole_thread t) -> leads_on st (ASlot (slot_of t timeout_slot)) y
| by_pool p x i v : objects st !! p = Some (ASIDPoolObject x) -> assigned x !! i = Some v -> leads_on st (Contents p) (AnObject v)
| by_asid_pool asid p : pools st !! (asid / asid_pool_entries) = Some p -> leads_on st (ASpace asid) (AnObject p)
| by_asid asid v : vspace_of_asid asid st = Some v -> leads_on st (ASpace asid) (AnObject v)
| by_interrupt irq : interrupts st !! irq = None -> leads_on st FreeInterrupts (ASlot (irq_slot irq)).
Definition closed_under (st : State) (reached : Thing -> Prop) : Prop := forall x y, leads_on st x y -> reached x -> reached y.

(** Where a step begins: with the thread that runs, the context that is used and the interrupt that comes; and with the place that capabilities change places
    through. *)
Inductive begins_at (st : State) (e : Event) : Thing -> Prop :=
| at_caller t y : current st = Some t -> In y (whole_thread t) -> begins_at st e y
| at_context c : current_context st = Some c -> begins_at st e (AnObject c)
| at_interrupt irq : cause e = InterruptArrives irq -> begins_at st e (ASlot (irq_slot irq))
| at_nowhere : begins_at st e (ASlot nowhere).

(** What is not reached stays: objects, bit for bit, and capabilities, in their slots and in their places in the tree. What was derived from a capability
    may come and go where it is reached; a slot that lends nothing to any that is reached stays, bit for bit. *)
Definition stays (before after : option Entry) : Prop :=
  match before, after with
  | Some a, Some b => capability b = capability a /\ original b = original a /\ parent b = parent a
  | None, None => True
  | _, _ => False
  end.
Definition lends (st : State) (reached : Thing -> Prop) (slot : N) : Prop :=
  exists child e, reached (ASlot child) /\ slots st !! child = Some e /\ parent e = Some slot.
Record rest_stays (reached : Thing -> Prop) (st next : State) : Prop := {
  objects_stay : forall o, ~ reached (AnObject o) -> objects next !! o = objects st !! o;
  capabilities_stay : forall slot, ~ reached (ASlot slot) -> stays (slots st !! slot) (slots next !! slot);
  slots_stay : forall slot, ~ reached (ASlot slot) -> ~ lends st reached slot -> slots next !! slot = slots st !! slot;
  loans_stay : forall slot, ~ reached (ASlot slot) -> lends next reached slot -> lends st reached slot
}.

Section Steps.
Variable one_step : Stepping.
Definition next_of (st : State) (e : Event) : State := fst (fst (one_step st e)).
Definition begins_within (reached : Thing -> Prop) (st : State) (e : Event) : Prop :=
  (forall x, begins_at st e x -> reached x) /\ forall t, current (next_of st e) = Some t -> reached (AnObject t).

(** Whatever set of things is closed and contains where a step begins, the step changes nothing else, and the set stays closed. *)
Definition steps_stay_within : Prop :=
  forall plan reached st e,
    roots_are_apart plan -> reachable one_step plan st -> closed_under st reached -> begins_within reached st e ->
    closed_under (next_of st e) reached /\ rest_stays reached st (next_of st e).

(** So what a step changes the rules lead to. *)
Inductive touchable (st : State) (e : Event) : Thing -> Prop :=
| from_the_start x : begins_at st e x -> touchable st e x
| by_scheduling t : current (next_of st e) = Some t -> touchable st e (AnObject t)
| by_rule x y : touchable st e x -> leads_on st x y -> touchable st e y.
Definition changes_are_reached : Prop :=
  forall plan st e, roots_are_apart plan -> reachable one_step plan st -> rest_stays (touchable st e) st (next_of st e).

(** With whom nobody has a channel, and who does not run, keeps all that is his, bit for bit. *)
Inductive runs_within (reached : Thing -> Prop) (st : State) : State -> Prop :=
| not_yet : runs_within reached st st
| and_then_one next e : runs_within reached st next -> begins_within reached next e -> runs_within reached st (next_of next e).
Definition has_no_channel (p : Policy) (subject : N) (reached : Thing -> Prop) (st : State) : Prop :=
  closed_under st reached /\ forall x, owner_of p x = Some subject -> ~ reached (AnObject x) /\ ~ reached (ASlot x).
Definition run_noninterfered : Prop :=
  forall plan p subject reached st next,
    roots_are_apart plan -> reachable one_step plan st -> has_no_channel p subject reached st -> runs_within reached st next ->
    has_no_channel p subject reached next
    /\ forall x, owner_of p x = Some subject ->
         objects next !! x = objects st !! x /\ stays (slots st !! x) (slots next !! x) /\ (~ lends st reached x -> slots next !! x = slots st !! x).
End Steps.

(** ** By which rule, which fields

    What is reached changes only by rules, of which each says what kind of object it changes, which field, to what, and, where that can be told from the state
    and the event, whose. In every step time is used and charged, and with that a timeout may be sent; all else has its reason. *)
Inductive ChangeRule :=
| ByBudget | BySchedule | BySending | ByFault
| ByReceiving | ByFlags | BySignal | ByDonation | ByStepping | ByGrant
| ByControl | ByAccess | ByDomain | ByBinding | ByUnbinding | ByConfiguration | ByYielding | ByMapping | ByUnmapping | ByAssignment | ByRelease
| ByCreation | ByDeletion | ByMaking | ByRestating | ByArrangement.

(** The thread that runs can name a capability. What it can signal, and what an interrupt signals; and the context that it uses. *)
Definition caller_names (st : State) (c : Capability) : Prop :=
  exists t address slot, current st = Some t /\ occupied_slot_of_address t address st = inl (slot, c).
Definition names_notification (st : State) (n : N) : Prop := exists badge r, caller_names st (NotificationCap n badge r).
Definition names_context (st : State) (c : N) : Prop := exists bits, caller_names st (SchedContextCap c bits).
Definition signals (st : State) (e : Event) (n badge : N) : Prop :=
  match cause e with
  | InterruptArrives irq => exists r, capability_at (irq_slot irq) st = Some (NotificationCap n badge r)
  | SystemCall => exists r, can_write r = true /\ caller_names st (NotificationCap n badge r)
  | _ => False
  end.
Definition uses (st : State) (c : N) : Prop := current_context st = Some c \/ exists t, current st = Some t /\ context_of t st = Some c.
Definition is_timeout (f : Fault) : Prop := fault_label f = FaultLabel.Timeout.
Definition begins_to_receive (s : RunState) : bool := match s with BlockedOnReceive _ _ _ _ | BlockedOnNotification _ => true | _ => false end.
Definition without_reply (s : RunState) : RunState := match s with BlockedOnReceive e _ q g => BlockedOnReceive e None q g | _ => s end.

Section Rows.
Variable st : State.
Variable e : Event.
Inductive changes_thread (t : N) (x : Thread) : ChangeRule -> Thread -> Prop :=
| gets_words r : changes_thread t x BySending (x <| registers := r |>)
| runs_again : changes_thread t x BySending (x <| run_state := Running |>)
| stops : changes_thread t x BySending (x <| run_state := Inactive |>)
| begins_to_send p b g gr c l : current st = Some t \/ is_some (fault x) = true ->
    changes_thread t x BySending (x <| run_state := BlockedOnSend p b g gr c l |>)
| awaits_answer r g : changes_thread t x BySending (x <| run_state := BlockedOnReply r g |>)
| faults_now f : current st = Some t \/ is_timeout f -> changes_thread t x ByFault (x <| fault := Some f |>)
| fault_is_over : changes_thread t x ByFault (x <| fault := None |>)
| yield_is_over : changes_thread t x BySchedule (x <| yielded_to := None |>)
| awaits_message s : current st = Some t -> begins_to_receive s = true -> changes_thread t x ByReceiving (x <| run_state := s |>)
| loses_reply : changes_thread t x ByReceiving (x <| run_state := without_reply (run_state x) |>)
| gets_context c : changes_thread t x ByDonation (x <| sched_context := c |>)
| steps_by n : changes_thread t x ByStepping (x <| step_count := n |>)
| gets_priority p : caller_names st (TCBCap t) -> changes_thread t x ByControl (x <| priority := p |>)
| gets_controlled_priority p : caller_names st (TCBCap t) -> changes_thread t x ByControl (x <| controlled_priority := p |>)
| gets_affinity core : caller_names st (TCBCap t) -> changes_thread t x ByControl (x <| affinity := core |>)
| gets_flags f : caller_names st (TCBCap t) -> changes_thread t x ByControl (x <| flags := f |>)
| gets_buffer a : caller_names st (TCBCap t) -> changes_thread t x ByControl (x <| buffer_address := a |>)
| gets_breakpoints l : caller_names st (TCBCap t) -> changes_thread t x ByControl (x <| breakpoints := l |>)
| is_stepped n : caller_names st (TCBCap t) -> changes_thread t x ByControl (x <| step_count := n |>)
| gets_access f : caller_names st (TCBCap t) -> changes_thread t x ByAccess (x <| flags := f |>)
| gets_domain d : caller_names st (TCBCap t) -> changes_thread t x ByDomain (x <| thread_domain := d |>)
| is_bound_to n : caller_names st (TCBCap t) -> names_notification st n -> changes_thread t x ByBinding (x <| bound_notification := Some n |>)
| is_unbound : changes_thread t x ByUnbinding (x <| bound_notification := None |>)
| yields_to c : current st = Some t -> names_context st c -> changes_thread t x ByYielding (x <| yielded_to := Some c |>).
Inductive changes_endpoint (x : Endpoint) : ChangeRule -> Endpoint -> Prop :=
| sender_comes t l : (forall u, In u l -> u = t \/ In u (senders x)) -> changes_endpoint x BySending (x <| senders := l |>)
| receivers_go l : incl l (receivers x) -> changes_endpoint x BySending (x <| receivers := l |>)
| receiver_comes l : (forall u, In u l -> current st = Some u \/ In u (receivers x)) -> changes_endpoint x ByReceiving (x <| receivers := l |>)
| receiver_moves t l : caller_names st (TCBCap t) -> (forall u, In u l -> u = t \/ In u (receivers x)) ->
    changes_endpoint x ByControl (x <| receivers := l |>).
Inductive changes_notification (n : N) (x : Notification) : ChangeRule -> Notification -> Prop :=
| is_signalled_with badge : signals st e n badge ->
    changes_notification n x BySignal (x <| word_of_flags := Some (N.lor (or_default 0 (word_of_flags x)) badge) |>)
| flags_are_taken : changes_notification n x ByFlags (x <| word_of_flags := None |>)
| waiters_go l : incl l (waiters x) -> changes_notification n x ByFlags (x <| waiters := l |>)
| waiter_comes l : (forall u, In u l -> current st = Some u \/ In u (waiters x)) -> changes_notification n x ByReceiving (x <| waiters := l |>)
| waiter_moves t l : caller_names st (TCBCap t) -> (forall u, In u l -> u = t \/ In u (waiters x)) ->
    changes_notification n x ByControl (x <| waiters := l |>)
| gets_thread t : caller_names st (TCBCap t) -> names_notification st n -> changes_notification n x ByBinding (x <| bound_thread := Some t |>)
| loses_thread : changes_notification n x ByUnbinding (x <| bound_thread := None |>)
| lends_from c : names_context st c -> names_notification st n -> changes_notification n x ByBinding (x <| lent_context := Some c |>)
| lends_no_more : changes_notification n x ByUnbinding (x <| lent_context := None |>).
Inductive changes_reply (x : Reply) : ChangeRule -> Reply -> Prop :=
| is_freed : changes_reply x BySending unused_reply
| is_called t c : changes_reply x BySending {| caller := Some t; receiver := None; along := c |}
| is_named t : current st = Some t -> changes_reply x ByReceiving {| caller := None; receiver := Some t; along := None |}
| loses_context : changes_reply x ByDonation (without_context x).
Inductive changes_context (c : N) (x : SchedContext) : ChangeRule -> SchedContext -> Prop :=
| is_charged used smallest : uses st c -> changes_context c x ByBudget (charge used smallest x)
| is_used used : uses st c -> changes_context c x ByBudget (x <| consumed := consumed x + used |>)
| begins_to_be_used time : changes_context c x BySchedule (begin_use time x)
| is_reported : changes_context c x BySchedule (x <| consumed := 0 |>)
| yielder_returns : changes_context c x BySchedule (x <| yielder := None |>)
| is_held_by t : changes_context c x ByDonation (x <| context_thread := t |>)
| goes_along l : changes_context c x ByDonation (x <| calls := l |>)
| is_configured core b p extra badge f s : names_context st c -> caller_names st (SchedControlCap core) ->
    changes_context c x ByConfiguration (configure_context core b p extra badge f s x)
| is_lent_by n : names_context st c -> names_notification st n -> changes_context c x ByBinding (x <| context_notification := Some n |>)
| is_lent_no_more : changes_context c x ByUnbinding (x <| context_notification := None |>)
| is_yielded_to t : current st = Some t -> names_context st c -> changes_context c x ByYielding (x <| yielder := Some t |>).
Inductive changes_table (x : Table PageEntry) : ChangeRule -> Table PageEntry -> Prop :=
| maps_entry i p : changes_table x ByMapping (set i p x)
| unmaps_entry i : changes_table x ByUnmapping (remove i x)
| unmaps_all : changes_table x ByUnmapping empty.
Inductive changes_pool (p : N) (x : ASIDPool) : ChangeRule -> ASIDPool -> Prop :=
| assigns i v : caller_names st (ASIDPoolCap p) -> caller_names st (VSpaceCap v None) ->
    changes_pool p x ByAssignment {| pool_index := pool_index x; assigned := set i v (assigned x) |}
| releases i : changes_pool p x ByRelease {| pool_index := pool_index x; assigned := remove i (assigned x) |}.
Inductive changes (o : N) : ChangeRule -> option Object -> option Object -> Prop :=
| thread_changes x y rule : changes_thread o x rule y -> changes o rule (Some (ThreadObject x)) (Some (ThreadObject y))
| endpoint_changes x y rule : changes_endpoint x rule y -> changes o rule (Some (EndpointObject x)) (Some (EndpointObject y))
| notification_changes x y rule : changes_notification o x rule y -> changes o rule (Some (NotificationObject x)) (Some (NotificationObject y))
| reply_changes x y rule : changes_reply x rule y -> changes o rule (Some (ReplyObject x)) (Some (ReplyObject y))
| context_changes x y rule : changes_context o x rule y -> changes o rule (Some (SchedContextObject x)) (Some (SchedContextObject y))
| vspace_changes x y rule : changes_table x rule y -> changes o rule (Some (VSpaceObject x)) (Some (VSpaceObject y))
| page_table_changes x y rule : changes_table x rule y -> changes o rule (Some (PageTableObject x)) (Some (PageTableObject y))
| pool_changes x y rule : changes_pool o x rule y -> changes o rule (Some (ASIDPoolObject x)) (Some (ASIDPoolObject y))
| is_made type n x : new_object type n = Some x -> changes o ByCreation None (Some x)
| pool_is_made i : changes o ByCreation None (Some (ASIDPoolObject {| pool_index := i; assigned := empty |}))
| is_ended x : changes o ByDeletion (Some x) None.

(** A capability comes into an empty slot, with a message or as one is made, and is noted where it was derived; an untyped that is passed on or used is used up.
    One that says where it is mapped, or under which ASID, says so in its place. All else comes where capabilities are moved or deleted. *)
Definition fills_slots (rule : ChangeRule) : bool := match rule with ByGrant | ByMaking => true | _ => false end.
Inductive changes_slot : ChangeRule -> option Entry -> option Entry -> Prop :=
| comes_anew rule x : fills_slots rule = true -> children x = [] -> changes_slot rule None (Some x)
| lists_derived rule x l : fills_slots rule = true -> incl (children x) l -> changes_slot rule (Some x) (Some (x <| children := l |>))
| is_spent rule x base bits device used used' : fills_slots rule = true -> capability x = UntypedCap base bits device used ->
    changes_slot rule (Some x) (Some (x <| capability := UntypedCap base bits device used' |>))
| is_restated x c : stands_alike (capability x) c = true -> stands_alike c (capability x) = true ->
    changes_slot ByRestating (Some x) (Some (x <| capability := c |>))
| is_arranged x y : changes_slot ByArrangement x y.

(** Changes one after the other, by rules that are allowed. *)
Inductive by_rules (allowed : ChangeRule -> Prop) (o : N) (x : option Object) : option Object -> Prop :=
| as_it_was : by_rules allowed o x x
| and_by rule y z : by_rules allowed o x y -> allowed rule -> changes o rule y z -> by_rules allowed o x z.
Inductive slot_by_rules (allowed : ChangeRule -> Prop) (x : option Entry) : option Entry -> Prop :=
| slot_as_it_was : slot_by_rules allowed x x
| and_slot_by rule y z : slot_by_rules allowed x y -> allowed rule -> changes_slot rule y z -> slot_by_rules allowed x z.
End Rows.

(** The capability through which a system call sends, if it does, and the method that its message's label names: that of ReplyRecv is to a reply object. Its
    address is looked up when senders that cannot be received from were refused. *)
Definition system_call_of (t : N) (st : State) : option Syscall.t := Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask).
Definition Target : Type := Capability * option Method.t.
Definition named_by (t a : N) (st : State) : option Capability := match occupied_slot_of_address t a st with inl (_, c) => Some c | inr _ => None end.
Definition sent_by (t a : N) (st : State) : option Target := option_map (fun c => (c, method_for (label (message_of_call t st)) c)) (named_by t a st).
Definition answered_by (t a : N) (st : State) : option Target :=
  match named_by t a st with Some (ReplyCap r rights) => Some (ReplyCap r rights, None) | _ => None end.
Definition once_done (f : State -> option Target) (p : Progress) : option Target := match p with Done st => f st | Preempted _ => None end.
Definition passed_on (t : N) (with_reply : bool) (st : State) : option Target :=
  once_done (fun st => sent_by t (register 8 (thread t st)) st) (refuse_early t with_reply (pass_message t) st).
Definition sent_through (t : N) (s : Syscall.t) (st : State) : option Target :=
  match s with
  | Syscall.Call | Syscall.Send | Syscall.NBSend => sent_by t (register 0 (thread t st)) st
  | Syscall.ReplyRecv => once_done (fun st => answered_by t (register 6 (thread t st)) st) (refuse_early t true (reply_phase t) st)
  | Syscall.NBSendRecv => passed_on t true st
  | Syscall.NBSendWait => passed_on t false st
  | _ => None
  end.

(** The rules of a step: those of every step; of an interrupt, of a fault or of a system call, which can fault too; of one that receives; and of what a system
    call sends through: of the method, if it invokes one. *)
Definition every_step : list ChangeRule := [ByBudget; BySchedule; BySending; ByFault].
Definition message_rules : list ChangeRule := every_step ++ [ByReceiving; ByFlags; BySignal; ByDonation; ByStepping; ByGrant].
Definition receives_then (s : Syscall.t) : bool :=
  match s with
  | Syscall.Recv | Syscall.NBRecv | Syscall.Wait | Syscall.NBWait | Syscall.ReplyRecv | Syscall.NBSendRecv | Syscall.NBSendWait => true
  | _ => false
  end.
Definition deletion_rules : list ChangeRule :=
  [ByDeletion; ByArrangement; ByUnbinding; ByUnmapping; ByRelease; ByDonation; ByFlags; ByReceiving].
Definition stopping_rules : list ChangeRule := [ByDonation; ByFlags].
Definition rules_of_method (m : Method.t) : list ChangeRule :=
  match m with
  | Method.UntypedRetype | Method.ASIDControlMakePool => [ByCreation; ByMaking]
  | Method.TCBReadRegisters | Method.TCBWriteRegisters | Method.TCBCopyRegisters | Method.TCBSuspend | Method.TCBResume
  | Method.CNodeCancelBadgedSends => stopping_rules
  | Method.TCBSetPriority | Method.TCBSetMCPriority | Method.TCBSetFlags | Method.TCBSetAffinity | Method.TCBSetBreakpoint | Method.TCBUnsetBreakpoint
  | Method.TCBConfigureSingleStepping => [ByControl]
  | Method.TCBConfigure | Method.TCBSetSchedParams | Method.TCBSetIPCBuffer => ByControl :: deletion_rules
  | Method.TCBSetTimeoutEndpoint | Method.TCBSetSpace | Method.CNodeRevoke | Method.CNodeDelete | Method.IRQHandlerSetNotification
  | Method.IRQHandlerClear => deletion_rules
  | Method.TCBBindNotification => [ByBinding]
  | Method.TCBUnbindNotification => [ByUnbinding]
  | Method.CNodeCopy | Method.CNodeMint | Method.IRQControlGet | Method.IRQControlIssueSGISignal => [ByMaking]
  | Method.CNodeMove | Method.CNodeMutate | Method.CNodeRotate => [ByArrangement]
  | Method.SchedControlConfigureFlags => [ByConfiguration]
  | Method.SchedControlSetThreadAccess => [ByAccess]
  | Method.SchedContextBind => [ByDonation; ByBinding]
  | Method.SchedContextUnbind | Method.SchedContextUnbindObject => [ByDonation; ByUnbinding]
  | Method.SchedContextYieldTo => [ByYielding]
  | Method.PageTableMap | Method.FrameMap => [ByMapping; ByRestating]
  | Method.PageTableUnmap | Method.FrameUnmap => [ByUnmapping; ByRestating]
  | Method.ASIDPoolAssign => [ByAssignment; ByRestating]
  | Method.DomainSet => [ByDomain]
  | _ => []
  end.
Definition rules_through (sent : Target) : list ChangeRule :=
  match sent with
  | (EndpointCap _ _ _, _) => [ByDonation; ByGrant]
  | (NotificationCap _ _ _, _) => [BySignal; ByFlags; ByDonation]
  | (ReplyCap _ _, _) => [ByDonation; ByGrant; ByStepping]
  | (_, Some m) => rules_of_method m
  | (_, None) => []
  end.
Definition rules_of_call (t : N) (s : Syscall.t) (st : State) : list ChangeRule :=
  (if receives_then s then [ByReceiving; ByFlags; ByGrant] else []) ++ match sent_through t s st with Some sent => rules_through sent | None => [] end.
Definition rules_of (st : State) (e : Event) : list ChangeRule :=
  every_step ++
  match cause e, current st with
  | InterruptArrives _, _ => [BySignal; ByFlags; ByDonation]
  | TimerExpires, _ | _, None => []
  | MemoryFault _ _ _, Some _ | ExceptionTaken _ _, Some _ => [ByDonation]
  | DebugEvent _ _ _, Some _ => [ByDonation; ByStepping]
  | SystemCall, Some t =>
      ByDonation :: match system_call_of t (enter e st) with Some s => rules_of_call t s (enter e st) | None => [] end
  end.

(** What stays in every step but an invocation: all objects are there as before, and of each but for what is named here all fields. *)
Definition steady (x y : option Object) : Prop :=
  match x, y with
  | None, None => True
  | Some (ThreadObject a), Some (ThreadObject b) =>
      b = a <| registers := registers b |> <| run_state := run_state b |> <| fault := fault b |> <| sched_context := sched_context b |>
            <| yielded_to := yielded_to b |> <| step_count := step_count b |>
  | Some (EndpointObject _), Some (EndpointObject _) | Some (ReplyObject _), Some (ReplyObject _) => True
  | Some (NotificationObject a), Some (NotificationObject b) => b = a <| word_of_flags := word_of_flags b |> <| waiters := waiters b |>
  | Some (SchedContextObject a), Some (SchedContextObject b) =>
      b = a <| refills := refills b |> <| unreturned := unreturned b |> <| consumed := consumed b |> <| context_thread := context_thread b |>
            <| calls := calls b |> <| yielder := yielder b |>
  | Some a, Some b => b = a
  | _, _ => False
  end.

(** What lives on in every step but one that moves or deletes capabilities: each one, in its slot and its place in the tree, for the same object or memory. *)
Definition what_it_is_to (c : Capability) : option N * option (N * N) := (object_of c, option_map fst (memory_of c)).
Definition lives_on (before after : option Entry) : Prop :=
  match before, after with
  | Some a, Some b =>
      original b = original a /\ parent b = parent a /\ incl (children a) (children b) /\ what_it_is_to (capability b) = what_it_is_to (capability a)
  | Some _, None => False
  | None, _ => True
  end.

Section Fields.
Variable one_step : Stepping.
(** Each step changes each object and each slot by its rules; and what is sent through the thread that runs can name. *)
Definition fields_change_by_rule : Prop :=
  forall st e,
    (forall o, by_rules st e (fun r => In r (rules_of st e)) o (objects st !! o) (objects (next_of one_step st e) !! o))
    /\ (forall slot, slot_by_rules (fun r => In r (rules_of st e)) (slots st !! slot) (slots (next_of one_step st e) !! slot))
    /\ forall t s c m, cause e = SystemCall -> current st = Some t -> sent_through t s (enter e st) = Some (c, m) -> caller_names st c.
Definition only_invocations_control : Prop :=
  forall st e o, incl (rules_of st e) message_rules -> steady (objects st !! o) (objects (next_of one_step st e) !! o).
Definition only_arrangements_take : Prop :=
  forall st e slot, ~ In ByArrangement (rules_of st e) -> lives_on (slots st !! slot) (slots (next_of one_step st e) !! slot).

(** T2d of frames: when a system call sends what makes frames, the memory of each frame of memory to which there is a capability afterwards was cleared in the
    step, or there was a capability to that frame before: in the same slot, or in any if the call receives then, as it may come with a message. *)
Definition made_frames_are_cleared : Prop :=
  forall plan st e next result done t s c m slot base bits r p,
    roots_are_sound plan -> reachable one_step plan st -> one_step st e = (next, result, done) -> cause e = SystemCall -> current st = Some t ->
    system_call_of t (enter e st) = Some s -> sent_through t s (enter e st) = Some (c, Some m) ->
    In m [Method.UntypedRetype; Method.ASIDControlMakePool] -> capability_at slot next = Some (FrameCap base bits false r p) ->
    In (ClearMemory base (N.shiftl 1 bits) true) done
    \/ exists slot' r' p', capability_at slot' st = Some (FrameCap base bits false r' p') /\ (slot' = slot \/ receives_then s = true).
End Fields.
