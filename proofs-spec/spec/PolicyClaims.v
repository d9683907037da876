(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Claims about policies

    What [pol_check] means, and what follows from it: S4 as far as it is proved. As in [Claims], each claim of a step is about any step. *)
From Spec Require Export Policy Claims.
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
End Steps.
