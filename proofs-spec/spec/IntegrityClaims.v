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
