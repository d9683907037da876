(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Claims about policies

    What [pol_check] means, and what follows from it: S4 as far as it is proved. As in [Claims], each claim of a step is about any step. *)
From Spec Require Export Bounds Claims.
Open Scope N_scope.

(** A subject may hold a capability when one of its holdings gives it, or when the policy says nothing of it. What one may hold passes to another
    one who may hold as much. *)
Definition may (p : Policy) (subject : N) (c : Capability) : Prop :=
  In subject (silent p) \/ exists h, In h (permitted p) /\ holder h = subject /\ gives h c = true.
Definition passes (p : Policy) (giver taker : N) : Prop :=
  giver = taker \/ In taker (silent p)
  \/ ~ In giver (silent p) /\ forall h, In h (permitted p) -> holder h = giver ->
       exists own, In own (permitted p) /\ holder own = taker /\ covers own (held_type h) (held_start h) (held_size h) (held_rights h) = true.
Definition reaches (h : Holding) (r : Region) : Prop := overlaps (held_start h) (held_size h) (region_start r) (region_size r) = true.
Definition permits (p : Policy) (h : Holding) : Prop := In h (permitted p) /\ ~ In (holder h) (silent p).
Definition meet_at (p : Policy) (a b : Holding) : Prop := permits p a /\ permits p b /\ distrusted p a b = true.

(** A policy is closed when whoever can get what another one may hold may hold it, too: what is in a CNode or table, or what a thread acts with, if
    he holds that; and, but for those who are trusted, what may come with messages and answers, and through CNodes that two can use. *)
Record closed (p : Policy) : Prop := {
  containers_pass : forall h r, permits p h -> In (held_type h) [CapType.CNode; CapType.VSpace; CapType.PageTable; CapType.Untyped] ->
    In r (regions p) -> reaches h r -> passes p (region_owner r) (acting p (holder h));
  threads_pass : forall h r, permits p h -> In (held_type h) [CapType.TCB; CapType.Untyped] ->
    In r (regions p) -> reaches h r -> passes p (acting p (region_owner r)) (acting p (holder h));
  sharers_pass : forall a b, meet_at p a b -> held_type a = CapType.CNode -> held_type b = CapType.CNode -> is_invoked p a = is_invoked p b ->
    passes p (acting p (holder a)) (acting p (holder b));
  senders_pass : forall a b, meet_at p a b -> may_send p a = true -> may_receive p b = true -> can_grant (held_rights a) = true ->
    passes p (acting p (holder a)) (acting p (holder b)) /\ passes p (acting p (holder b)) (acting p (holder a));
  receivers_pass : forall a b, meet_at p a b -> may_send p a = true -> may_receive p b = true ->
    can_grant (held_rights a) || can_grant_reply (held_rights a) = true -> can_grant (held_rights b) = true ->
    passes p (acting p (holder b)) (acting p (holder a));
  answerers_pass : forall a b r z, meet_at p a b -> may_send p a = true -> may_receive p b = true ->
    can_grant (held_rights a) || can_grant_reply (held_rights a) = true -> can_grant (held_rights b) = true ->
    permits p r -> permits p z -> held_type r = CapType.Reply -> held_type z = CapType.Reply ->
    acting p (holder r) = acting p (holder b) -> shared r z = true -> is_trusted p z = false -> passes p (acting p (holder z)) (acting p (holder a))
}.

(** A state is within a policy when all slots, tables and waiting threads are. *)
Definition slots_within (p : Policy) (st : State) : Prop :=
  forall slot c, capability_at slot st = Some c -> exists subject, owner_of p slot = Some subject /\ may p subject c.
Definition table_within (p : Policy) (o : N) (table : Table PageEntry) : Prop :=
  exists subject, owner_of p o = Some subject /\ forall index e, table !! index = Some e -> may p subject (stands_for e).
Record within (p : Policy) (st : State) : Prop := {
  holds_within : slots_within p st;
  maps_within : forall o table, objects st !! o = Some (VSpaceObject table) \/ objects st !! o = Some (PageTableObject table) -> table_within p o table;
  waits_within : forall o t, objects st !! o = Some (ThreadObject t) ->
    exists subject, owner_of p o = Some subject /\ forall c, In c (waits_with (run_state t)) -> may p subject c \/ may p (acting p subject) c
}.

(** What is computed is what is meant. *)
Definition pol_check_is_sound : Prop := forall p st, pol_check p st = true -> closed p /\ within p st.

(** What a thread can name, whatever the address, the subject that it acts for may hold; so it invokes, and passes as an argument, nothing else. *)
Definition is_of (p : Policy) (t subject : N) : Prop :=
  exists part, owner_of p (slot_of t cspace_slot) = Some part /\ ~ In part (silent p) /\ acting p part = subject
    /\ ~ In subject (silent p) /\ acting p subject = subject.
Definition threads_name_what_they_may_hold : Prop :=
  forall p st t subject address slot c,
    closed p -> slots_within p st -> is_of p t subject -> occupied_slot_of_address t address st = inl (slot, c) -> may p subject c.
Definition calls_invoke_what_they_may_hold : Prop :=
  forall p st e t subject m call,
    closed p -> slots_within p st -> is_of p t subject -> current (enter e st) = Some t -> invokes (enter e st) m call ->
    may p subject (invoked call) /\ forall a c, In a (cap_arguments call) -> argument a = Some c -> may p subject c.

(** ** Confinement

    What is in a container of which only the zombie is left nobody can name, and of a zombie nothing can be made: both end. The slots that do not end hold
    what their owners may hold, and the place that capabilities change places through holds nothing. *)
Definition is_ending (st : State) (slot : N) : Prop :=
  exists zombie o, capability_at zombie st = Some (ZombieCap o) /\ is_within slot o st = true.
Definition use_within (p : Policy) (st : State) : Prop :=
  forall slot c, capability_at slot st = Some c -> is_zombie c = false -> ~ is_ending st slot ->
    exists subject, owner_of p slot = Some subject /\ may p subject c.
Record confined (p : Policy) (st : State) : Prop := { uses_within : use_within p st; nothing_between : capability_at nowhere st = None }.

(** Who can fill a slot of another one, in a CNode or thread, can give him all, and one of an interrupt notifications. Where the policy allows him that, and
    each of these slots is somebody's, he gives nothing that may not be held. *)
Definition gives_to (p : Policy) (subject slot : N) : Prop := exists owner, owner_of p slot = Some owner /\ passes p subject owner.
Definition can_lie (p : Policy) (slot : N) (c : Capability) : Prop := exists owner, owner_of p slot = Some owner /\ may p owner c.
Record gives_away (p : Policy) (st : State) (subject : N) : Prop := {
  to_cnodes : forall o radix guard size i, may p subject (CNodeCap o radix guard size) -> i < 2 ^ radix -> gives_to p subject (slot_of o i);
  to_threads : forall t i, may p subject (TCBCap t) -> i < thread_slots -> gives_to p subject (slot_of t i);
  to_interrupts : forall slot irq n badge r, capability_at slot st = Some (IRQHandlerCap irq) -> may p subject (IRQHandlerCap irq) ->
    may p subject (NotificationCap n badge r) -> can_lie p (irq_slot irq) (NotificationCap n badge r)
}.
Definition acts (p : Policy) (st : State) (t subject : N) : Prop :=
  is_of p t subject /\ ~ is_ending st (slot_of t cspace_slot) /\ gives_away p st subject.

(** A system call has one phase or two, each of which begins in a state and invokes what an address names: a Reply what x6, a send before a receive what x8
    names, the others what x0 names. Senders that wait may be refused before the first of two, and before each that receives. *)
Definition phases (s : Syscall.t) (t : N) (st : State) : list (State * N) :=
  let by_x n st := (st, register n (thread t st)) in
  let receives with_reply st := by_x 0 (state_of (refuse_early t with_reply (free_own_reply t with_reply) st)) in
  let two with_reply n first_phase told := let st := state_of (refuse_early t with_reply first_phase st) in
    [by_x n st; receives with_reply (becomes (if with_reply then Syscall.Recv else Syscall.Wait) t (told st))] in
  let told st := match pass_on t st with (Reported _ l, st) => write_long_words t (fitting_words t l st) st | (_, st) => st end in
  match s with
  | Syscall.ReplyRecv => two true 6 (reply_phase t) (reply_phase t)
  | Syscall.NBSendRecv => two true 8 (pass_message t) told | Syscall.NBSendWait => two false 8 (pass_message t) told
  | Syscall.Recv | Syscall.NBRecv => [receives true st] | Syscall.Wait | Syscall.NBWait => [receives false st]
  | _ => [by_x 0 st]
  end.
Definition begins (st : State) (t : N) (at_ : State) (address : N) : Prop :=
  exists s, Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some s /\ In (at_, address) (phases s t st).

(** Who can give capabilities to whom then: the caller to whoever receives at the endpoint or waits for the answer that it invokes, if it may grant, and
    whoever sends there to the caller. *)
Definition names (st : State) (t address : N) (c : Capability) : Prop := exists slot, occupied_slot_of_address t address st = inl (slot, c).
Inductive can_give (st : State) (t address : N) : N -> N -> Prop :=
| by_sending e badge r u : names st t address (EndpointCap e badge r) -> can_grant r = true -> In u (receivers (endpoint e st)) -> can_give st t address t u
| by_receiving e badge r u : names st t address (EndpointCap e badge r) -> In u (senders (endpoint e st)) -> can_give st t address u t
| by_answering o r u :
    names st t address (ReplyCap o r) -> can_grant r = true -> caller (reply o st) = Some u -> answer_may_grant (run_state (thread u st)) = true ->
    can_give st t address t u.
Definition agree (p : Policy) (st : State) (giver taker : N) : Prop := exists x y, acts p st giver x /\ acts p st taker y /\ passes p x y.
Definition meets_its_like (p : Policy) (st : State) (t address : N) : Prop := forall giver taker, can_give st t address giver taker -> agree p st giver taker.

(** ** Tables and those who wait

    Each entry of a table its owner may hold. A thread waits with what the subject that it acts for may hold; one that faulted, and sends that to its handler,
    with what the owner of one of its slots may. *)
Definition entries_within (p : Policy) (o : N) (table : Table PageEntry) : Prop :=
  forall index e, table !! index = Some e -> exists subject, owner_of p o = Some subject /\ may p subject (stands_for e).
Definition waits_as (p : Policy) (t : N) (x : Thread) : Prop := forall c, In c (waits_with (run_state x)) ->
  (exists part, owner_of p t = Some part /\ may p (acting p part) c)
  \/ is_sending (run_state x) = true /\ fault x <> None
     /\ exists i part, i < thread_slots /\ owner_of p (slot_of t i) = Some part /\ may p part c.

(** What is mapped, frames and tables, comes into tables of those who may hold it if the caller's subject may. *)
Definition is_mappable (c : Capability) : bool := match c with FrameCap _ _ _ _ _ | PageTableCap _ _ => true | _ => false end.
Definition gives_tables (p : Policy) (subject : N) : Prop :=
  forall t c, may p subject (VSpaceCap t None) \/ may p subject (PageTableCap t None) -> is_mappable c = true -> may p subject c -> can_lie p t c.

(** Slots, tables and those who wait within a policy. *)
Record contained (p : Policy) (st : State) : Prop := {
  slots_confined : confined p st;
  tables_within : forall o table, objects st !! o = Some (VSpaceObject table) \/ objects st !! o = Some (PageTableObject table) -> entries_within p o table;
  waiters_within : forall t x, objects st !! t = Some (ThreadObject x) -> waits_as p t x
}.

Section Steps.
Variable one_step : Stepping.
Inductive leads_to (st : State) : State -> Prop :=
| to_itself : leads_to st st
| by_event next (e : Event) : leads_to st next -> leads_to st (fst (fst (one_step next e))).

(** Whatever happens from a state that is within a policy which says something of everybody: what nobody may hold nobody ever holds. *)
Definition nothing_beyond_the_policy : Prop :=
  forall p st next slot c,
    silent p = [] -> slots_within p st -> leads_to st next -> capability_at slot next = Some c -> exists subject, may p subject c.

(** An interrupt, the timer, and an exception of the thread that runs leave each subject within its authority. *)
Definition only_calls_can_exceed : Prop :=
  forall p st e, cause e <> SystemCall -> slots_within p st -> slots_within p (fst (fst (one_step st e))).
(** A system call, whatever method it invokes, and be it preempted, leaves each subject confined, if the policy allows what those who meet in one of its
    phases may give each other; who invokes a method meets nobody. No other event moves a capability. *)
Definition calls_confine : Prop :=
  forall plan p st e t subject,
    roots_are_sound plan -> reachable one_step plan st -> closed p -> owner_of p nowhere = None -> confined p st -> cause e = SystemCall ->
    current (enter e st) = Some t ->
    (forall at_ address, begins (enter e st) t at_ address -> acts p at_ t subject /\ meets_its_like p at_ t address) ->
    confined p (fst (fst (one_step st e))).
Definition other_events_confine : Prop :=
  forall plan p st e,
    roots_are_sound plan -> reachable one_step plan st -> confined p st -> cause e <> SystemCall -> confined p (fst (fst (one_step st e))).

(** Then page tables and those who wait stay within the policy, too: what begins to be mapped, or waited with, the caller's subject may hold, or it was said by
    an endpoint in a slot of the thread that faults. *)
Definition calls_contain : Prop :=
  forall plan p st e t subject,
    roots_are_sound plan -> reachable one_step plan st -> closed p -> owner_of p nowhere = None -> contained p st -> cause e = SystemCall ->
    current (enter e st) = Some t -> gives_tables p subject ->
    (forall at_ address, begins (enter e st) t at_ address -> acts p at_ t subject /\ meets_its_like p at_ t address) ->
    contained p (fst (fst (one_step st e))).
Definition other_events_contain : Prop :=
  forall plan p st e,
    roots_are_sound plan -> reachable one_step plan st -> contained p st -> cause e <> SystemCall -> contained p (fst (fst (one_step st e))).
End Steps.
