(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Claims about those who are bound by a policy

    Who cannot give others what those may not hold, and what is proved of what they do: the rest of S4. As in [Claims], each claim of a step is about any
    step. *)
From Spec Require Export PolicyClaims.
Open Scope N_scope.

(** ** Who is bound

    Some subjects are bound by a policy when whoever owns what they may fill may hold what they may, and those who can meet, or answer, may hold as much. *)
Definition fills (c : Capability) (slot : N) : Prop :=
  match c with
  | CNodeCap o radix _ _ => exists i, i < 2 ^ radix /\ slot = slot_of o i
  | TCBCap t => exists i, i < thread_slots /\ slot = slot_of t i
  | _ => False
  end.
Definition to_send (e : N) (g gr : bool) : Capability := EndpointCap e 0 {| can_write := true; can_read := false; can_grant := g; can_grant_reply := gr |}.
Definition to_receive (e : N) (g : bool) : Capability := EndpointCap e 0 {| can_write := false; can_read := true; can_grant := g; can_grant_reply := false |}.
Record bound (p : Policy) (subjects : list N) : Prop := {
  are_themselves : forall s, In s subjects -> ~ In s (silent p) /\ acting p s = s /\ forall part, acting p part = s -> ~ In part (silent p);
  give_what_fills : forall s c slot, In s subjects -> may p s c -> fills c slot -> gives_to p s slot;
  give_what_maps : forall s, In s subjects -> gives_tables p s;
  give_what_signals : forall s irq n badge r, In s subjects -> may p s (IRQHandlerCap irq) -> may p s (NotificationCap n badge r) ->
    can_lie p (irq_slot irq) (NotificationCap n badge r);
  senders_agree : forall x y e gr, In x subjects -> In y subjects -> may p x (to_send e true gr) -> may p y (to_receive e false) ->
    passes p x y /\ passes p y x;
  answerers_agree : forall x y z e g gr o, In x subjects -> In y subjects -> In z subjects -> may p x (to_send e g gr) -> g || gr = true ->
    may p y (to_receive e true) -> may p y (ReplyCap o no_rights) -> may p z (ReplyCap o no_rights) -> passes p z x
}.
(** A state is kept to when it is contained, and who waits for an answer that may bring capabilities may get it from whoever may hold the reply object. *)
Definition awaited (p : Policy) (subjects : list N) (t r : N) : Prop :=
  forall part z, owner_of p t = Some part -> In (acting p part) subjects -> In z subjects -> may p z (ReplyCap r no_rights) -> passes p z (acting p part).
Record kept_to (p : Policy) (subjects : list N) (st : State) : Prop := {
  is_contained : contained p st;
  answered_within : forall t x r, objects st !! t = Some (ThreadObject x) -> run_state x = BlockedOnReply r true -> fault x = None -> awaited p subjects t r
}.
Definition bounds_are_sound : Prop := forall p subjects st, pol_check p st = true -> bound_check p subjects st = true ->
  closed p /\ bound p subjects /\ owner_of p nowhere = None /\ kept_to p subjects st.

(** With whom the caller can exchange capabilities in a phase, or from whom he is promised an answer with some; and when all of these are bound. *)
Inductive exchanges (st : State) (t address u : N) : Prop :=
| sends_to e badge r x o q g : names st t address (EndpointCap e badge r) -> can_write r = true -> hd_error (receivers (endpoint e st)) = Some u ->
    run_state (thread u st) = BlockedOnReceive x o q g -> can_grant r || can_grant_reply r && g = true -> exchanges st t address u
| receives_of e badge r x b g gr c l : names st t address (EndpointCap e badge r) -> can_read r = true -> In u (senders (endpoint e st)) ->
    run_state (thread u st) = BlockedOnSend x b g gr c l -> g || gr && can_grant r = true -> exchanges st t address u
| answers_to o r : names st t address (ReplyCap o r) -> can_grant r = true -> caller (reply o st) = Some u ->
    answer_may_grant (run_state (thread u st)) = true -> exchanges st t address u.
Definition is_bound (p : Policy) (subjects : list N) (t : N) : Prop := exists s, In s subjects /\ is_of p t s.
Definition among (p : Policy) (subjects : list N) (st : State) (e : Event) : Prop :=
  forall t, cause e = SystemCall -> current st = Some t ->
    is_bound p subjects t
    /\ forall at_ address u, begins (enter e st) t at_ address -> run_state (thread t at_) = Running -> exchanges at_ t address u -> is_bound p subjects u.

Section Steps.
Variable one_step : Stepping.
(** Whatever happens among those who are bound, and to interrupts, timers and faults of anybody, a state that is kept to the policy is followed by such; what
    others do is presumed to leave it so. *)
Definition confinement : Prop :=
  forall plan p subjects st e,
    roots_are_sound plan -> reachable one_step plan st -> closed p -> bound p subjects -> owner_of p nowhere = None -> kept_to p subjects st ->
    among p subjects st e -> kept_to p subjects (fst (fst (one_step st e))).
Inductive runs_among (p : Policy) (subjects : list N) (st : State) : State -> Prop :=
| stays_there : runs_among p subjects st st
| by_those next e : runs_among p subjects st next -> among p subjects next e -> runs_among p subjects st (fst (fst (one_step next e)))
| by_others next e : runs_among p subjects st next -> kept_to p subjects (fst (fst (one_step next e))) ->
  runs_among p subjects st (fst (fst (one_step next e))).
Definition runs_are_confined : Prop :=
  forall plan p subjects st next,
    roots_are_sound plan -> reachable one_step plan st -> pol_check p st = true -> bound_check p subjects st = true -> runs_among p subjects st next ->
    kept_to p subjects next.
End Steps.
