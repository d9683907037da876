(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What a message reaches: proofs

    What has no role in a step stays, and what is met keeps leading to what is met only. Both are shown together, of every function that a step goes through
    which sends messages, or stops a thread or lets it run; the proofs follow the text of the specification. *)
From Coq Require Import Lia.
From Spec Require Export FlowClaims FieldProofs IntegrityProofs.
Open Scope N_scope.

(** ** Whom a message reaches

    What is sent, received, answered and signalled changes only what is met on the way, and each in a _role_: from an object that is met leads on only what
    its role uses, so the ways are short. An endpoint or a notification that is used leads to those who wait there, a reply object to its caller; one who is
    met leads to the queue and the reply object where it waits and to its context; and a context to the thread that has it and to the calls in its stack. A
    thread or context that is bound or unbound leads to its notification, and a context that is yielded to leads to whoever did so before. Four roles are
    none by themselves: of the thread that a notification is bound to, unless it receives; of the context that one lends, unless it is free; of the thread
    that runs next, unless its YieldTo returns; and of a place in memory where nothing is. *)
Inductive Role :=
| ToSend | ToReceive | ToSignal | ToAwait | ToAnswer | Actor | Partner | AQueue | AFlags | ACall | AContext | AClock | AHolder | ATable | ASpace
| ToBind | ToLend | ToYield | AYielder | APool | IfReceiving | IfFree | IfNext | AMade.
Definition is_met (role : Role) : bool := match role with IfReceiving | IfFree | IfNext | AMade => false | _ => true end.
Definition sort_of_role (role : Role) : CapType.t :=
  match role with
  | ToSend | ToReceive | AQueue => CapType.Endpoint
  | ToSignal | ToAwait | AFlags => CapType.Notification
  | ToAnswer | ACall => CapType.Reply
  | AContext | AClock | IfFree | ToLend | ToYield => CapType.SchedContext
  | Actor | Partner | AHolder | IfReceiving | IfNext | ToBind | AYielder => CapType.TCB
  | ATable | ASpace => CapType.VSpace
  | APool => CapType.ASIDPool
  | AMade => CapType.Untyped
  end.
Definition sort (x : option Object) : option CapType.t :=
  match x with
  | Some (ThreadObject _) => Some CapType.TCB
  | Some (EndpointObject _) => Some CapType.Endpoint
  | Some (NotificationObject _) => Some CapType.Notification
  | Some (ReplyObject _) => Some CapType.Reply
  | Some (SchedContextObject _) => Some CapType.SchedContext
  | Some (VSpaceObject _) | Some (PageTableObject _) => Some CapType.VSpace
  | Some (ASIDPoolObject _) => Some CapType.ASIDPool
  | _ => None
  end.
Definition includes (role : Role) : list Role :=
  match role with
  | ToSend | ToReceive => [AQueue]
  | ToSignal | ToAwait => [AFlags]
  | ToAnswer => [ACall]
  | Actor => [Partner]
  | Partner => [AHolder; AYielder; IfReceiving]
  | AContext => [AClock; IfFree]
  | ASpace => [ATable]
  | ToBind => [Partner]
  | ToLend => [AContext]
  | ToYield => [AClock]
  | AYielder => [AHolder]
  | AMade => [ATable]
  | _ => []
  end.
Definition posts_of (s : RunState) : list (Role * N) :=
  match s with
  | BlockedOnReceive e r _ _ => (AQueue, e) :: map (pair ACall) (the_name r)
  | BlockedOnSend e _ _ _ _ _ => [(AQueue, e)]
  | BlockedOnReply r _ => [(ACall, r)]
  | BlockedOnNotification n => [(AFlags, n)]
  | Inactive | Running => []
  end.
Definition tables_in (t : Table PageEntry) : list (Role * N) :=
  flat_map (fun e => match snd e with NextTable n => [(ASpace, n)] | Page _ _ _ _ _ => [] end) (entries t).
Definition leads_as (role : Role) (o : N) (st : State) : list (Role * N) :=
  match role with
  | ToSend => map (pair Partner) (receivers (endpoint o st))
  | ToReceive => map (pair Partner) (senders (endpoint o st))
  | ToSignal =>
      let n := notification o st in
      map (pair Partner) (waiters n) ++ map (pair IfReceiving) (the_name (bound_thread n)) ++ map (pair IfFree) (the_name (lent_context n))
  | ToAwait => map (pair IfFree) (the_name (lent_context (notification o st)))
  | ToAnswer => map (pair Partner) (the_name (caller (reply o st))) ++ map (pair AHolder) (the_name (receiver (reply o st)))
  | ACall => map (pair AContext) (the_name (along (reply o st)))
  | Actor => map (pair ToAwait) (the_name (bound_notification (thread o st)))
  | Partner =>
      let t := thread o st in
      posts_of (run_state t) ++ map (pair AContext) (the_name (sched_context t)) ++ map (pair AClock) (the_name (yielded_to t))
  | AContext => map (pair AHolder) (the_name (context_thread (context o st))) ++ map (pair ACall) (calls (context o st))
  | IfReceiving => if awaits_a_message (run_state (thread o st)) then [(Partner, o)] else []
  | IfFree => if is_some (context_thread (context o st)) then [] else [(AContext, o)]
  | IfNext =>
      let t := thread o st in
      map (pair AClock) (the_name (sched_context t)) ++ match yielded_to t with Some c => [(AHolder, o); (AClock, c)] | None => [] end
  | ASpace => tables_in (table_entries o st)
  | ToBind => map (pair AFlags) (the_name (bound_notification (thread o st)))
  | ToLend => map (pair AFlags) (the_name (context_notification (context o st)))
  | ToYield => map (pair AYielder) (the_name (yielder (context o st)))
  | AYielder => map (pair AClock) (the_name (yielded_to (thread o st)))
  | AQueue | AFlags | AClock | AHolder | ATable | APool | AMade => []
  end.

(** As what a capability lets one meet what it is to; the states in which a step names things: at its start, and where a phase begins; and what it meets first:
    what the thread that runs can name there, its fault handler, the notification of an interrupt, the context in use, who has that when the time
    is up, with the endpoint that a timeout is sent to, and the thread that runs next. *)
Definition meets_by (c : Capability) : list (Role * N) :=
  match c with
  | EndpointCap e _ r => (if can_write r then [(ToSend, e)] else []) ++ (if can_read r then [(ToReceive, e)] else [])
  | NotificationCap n _ r => (if can_write r then [(ToSignal, n)] else []) ++ (if can_read r then [(ToAwait, n)] else [])
  | ReplyCap r _ => [(ToAnswer, r)]
  | _ => []
  end.
(** What a call is sent to, and what its method takes as an argument, is met as itself; an address space with the tables below; and what is bound, unbound
    or yielded to with what its link names. *)
Definition handled_as (m : option Method.t) (c : Capability) : list (Role * N) :=
  match c with
  | TCBCap t => [(if binds_thread m then ToBind else Partner, t)]
  | SchedContextCap c _ => [(if binds_context m then ToLend else if yields_to_it m then ToYield else AClock, c)]
  | NotificationCap n _ r => if takes_it m c then [(if can_read r then ToAwait else AFlags, n)] else []
  | ASIDPoolCap p => [(APool, p)]
  | VSpaceCap v _ => [(ASpace, v)]
  | PageTableCap t _ => [(ASpace, t)]
  | _ => []
  end.
Definition arguments_of (t : N) (st : State) : list Argument :=
  match cap_arguments_at (cap_addresses (message_of_call t st)) t st with inl l => l | inr _ => [] end.
Definition is_of_call (t : N) (st : State) (c : Capability) (m : option Method.t) (d : Capability) : Prop :=
  d = c \/ takes_it m d = true /\ exists a, In a (arguments_of t st) /\ argument a = Some d.
Definition told (t : N) (st : State) : State :=
  match pass_on t st with (Reported _ l, st) => write_long_words t (fitting_words t l st) st | (_, st) => st end.
Definition later_stages (s : Syscall.t) (t : N) (st : State) : list State :=
  let two (with_reply : bool) first told :=
    match refuse_early t with_reply first st with
    | Done st => [st; becomes (if with_reply then Syscall.Recv else Syscall.Wait) t (told st)]
    | Preempted _ => []
    end in
  match s with
  | Syscall.ReplyRecv => two true (reply_phase t) (reply_phase t)
  | Syscall.NBSendRecv => two true (pass_message t) (told t)
  | Syscall.NBSendWait => two false (pass_message t) (told t)
  | _ => []
  end.
Inductive stage (st : State) (e : Event) : State -> Prop :=
| at_entry : stage st e (enter e st)
| in_phase t s at_ : cause e = SystemCall -> current st = Some t -> system_call_of t (enter e st) = Some s -> In at_ (later_stages s t (enter e st)) ->
    stage st e at_
| having_refused t with_reply at_ : current st = Some t -> stage st e at_ ->
    stage st e (state_of (refuse_early t with_reply (free_own_reply t with_reply) at_)).
Definition addresses_of (t : N) (st : State) : list N := map (fun r => register r (thread t st)) [0; 6; 8].
Inductive met_as (one_step : Stepping) (st : State) (e : Event) : Role -> N -> Prop :=
| meets_itself t : current st = Some t -> met_as one_step st e Actor t
| meets_named at_ t address slot c role o : stage st e at_ -> cause e = SystemCall -> current st = Some t -> In address (addresses_of t at_) ->
    occupied_slot_of_address t address at_ = inl (slot, c) -> In (role, o) (meets_by c) -> met_as one_step st e role o
| meets_called at_ t s c m d role o : stage st e at_ -> cause e = SystemCall -> current st = Some t -> system_call_of t (enter e st) = Some s ->
    sent_through t s (enter e st) = Some (c, m) -> is_of_call t at_ c m d -> In (role, o) (handled_as m d) -> met_as one_step st e role o
| meets_inside at_ t s c m index depth slot d role o : stage st e at_ -> cause e = SystemCall -> current st = Some t ->
    system_call_of t (enter e st) = Some s -> sent_through t s (enter e st) = Some (c, m) -> slot_under (Some c) index depth at_ = inl slot ->
    capability_at slot at_ = Some d -> In (role, o) (meets_by d) -> met_as one_step st e role o
| meets_memory at_ t s c m base bits device used o : stage st e at_ -> cause e = SystemCall -> current st = Some t ->
    system_call_of t (enter e st) = Some s -> sent_through t s (enter e st) = Some (c, m) -> is_of_call t at_ c m (UntypedCap base bits device used) ->
    base <= o -> o < base + N.shiftl 1 bits -> objects st !! o = None -> met_as one_step st e AMade o
| meets_mapped t s c m o i x : cause e = SystemCall -> current st = Some t -> system_call_of t (enter e st) = Some s ->
    sent_through t s (enter e st) = Some (c, m) -> table_entries o st !! i = Some x -> is_mapped_by c x = true -> met_as one_step st e ATable o
| meets_handler at_ t x badge r : stage st e at_ -> (forall irq, cause e <> InterruptArrives irq) -> current st = Some t ->
    capability_at (slot_of t fault_slot) at_ = Some (EndpointCap x badge r) -> can_write r = true -> met_as one_step st e ToSend x
| meets_handled irq n badge r : cause e = InterruptArrives irq -> capability_at (irq_slot irq) st = Some (NotificationCap n badge r) ->
    met_as one_step st e ToSignal n
| meets_used c : current_context st = Some c -> met_as one_step st e AClock c
| meets_user at_ c t : In at_ [enter e st; when_handled st e] -> current_context st = Some c -> context_thread (context c at_) = Some t ->
    met_as one_step st e Partner t
| meets_timeout at_ c t x badge r : In at_ [enter e st; when_handled st e] -> current_context st = Some c -> context_thread (context c at_) = Some t ->
    capability_at (slot_of t timeout_slot) at_ = Some (EndpointCap x badge r) -> can_write r = true -> met_as one_step st e ToSend x
| meets_next t : current (next_of one_step st e) = Some t -> met_as one_step st e IfNext t
| meets_too role more o : met_as one_step st e role o -> In more (includes role) -> met_as one_step st e more o
| meets_from role o more n : met_as one_step st e role o -> In (more, n) (leads_as role o st) -> met_as one_step st e more n.

(** What a method leaves: its checks are gone through one by one. *)
Definition done_by (d : Decision) (st : State) : State := match d with Perform work => state_after (work st) | Refuse _ _ => st end.
Ltac checks ok := unfold thread_argument, vspace_argument, derive_into, move_into, empty_slot_in, slot_in, occupant, missing_capability; unfold range_error,
  invalid_argument, invalid_capability, illegal_operation, alignment_error,
  truncated_message, delete_first, revoke_first,
  failed_lookup, reports, always; cbv zeta; repeat (cbv beta; match goal with
  | |- _ (done_by (Refuse _ _) _) => exact ok
  | |- _ (done_by (Perform (fun st => Returns _ st)) _) => exact ok
  | |- _ (done_by (if ?b then _ else _) _) => destruct b
  | |- _ (done_by (match ?x with _ => _ end) _) => destruct x eqn:?
  end).

Section Roles.
Variable start : State.
Variable R : Role -> N -> Prop.
Variable used : option N.
Hypothesis included : forall role more o, R role o -> In more (includes role) -> R more o.
Definition touched (k : CapType.t) (o : N) : Prop := exists role, is_met role = true /\ sort_of_role role = k /\ R role o.
Definition led (role : Role) (o : N) (x : option Object) : list (Role * N) :=
  match role, x with
  | ToSend, Some (EndpointObject e) => map (pair Partner) (receivers e)
  | ToReceive, Some (EndpointObject e) => map (pair Partner) (senders e)
  | ToSignal, Some (NotificationObject n) =>
      map (pair Partner) (waiters n) ++ map (pair IfReceiving) (the_name (bound_thread n)) ++ map (pair IfFree) (the_name (lent_context n))
  | ToAwait, Some (NotificationObject n) => map (pair IfFree) (the_name (lent_context n))
  | ToAnswer, Some (ReplyObject r) => map (pair Partner) (the_name (caller r)) ++ map (pair AHolder) (the_name (receiver r))
  | ACall, Some (ReplyObject r) => map (pair AContext) (the_name (along r))
  | Actor, Some (ThreadObject t) => map (pair ToAwait) (the_name (bound_notification t))
  | Partner, Some (ThreadObject t) =>
      posts_of (run_state t) ++ map (pair AContext) (the_name (sched_context t)) ++ map (pair AClock) (the_name (yielded_to t))
  | AContext, Some (SchedContextObject c) => map (pair AHolder) (the_name (context_thread c)) ++ map (pair ACall) (calls c)
  | IfReceiving, Some (ThreadObject t) => if awaits_a_message (run_state t) then [(Partner, o)] else []
  | IfFree, Some (SchedContextObject c) => if is_some (context_thread c) then [] else [(AContext, o)]
  | IfFree, _ => [(AContext, o)]
  | IfNext, Some (ThreadObject t) =>
      map (pair AClock) (the_name (sched_context t)) ++ match yielded_to t with Some c => [(AHolder, o); (AClock, c)] | None => [] end
  | ASpace, Some (VSpaceObject t) | ASpace, Some (PageTableObject t) => tables_in t
  | ToBind, Some (ThreadObject t) => map (pair AFlags) (the_name (bound_notification t))
  | ToLend, Some (SchedContextObject c) => map (pair AFlags) (the_name (context_notification c))
  | ToYield, Some (SchedContextObject c) => map (pair AYielder) (the_name (yielder c))
  | AYielder, Some (ThreadObject t) => map (pair AClock) (the_name (yielded_to t))
  | _, _ => []
  end.
Lemma leads_by_object role o st : leads_as role o st = led role o (objects st !! o).
Proof.
  destruct role; unfold leads_as, led, thread, endpoint, notification, reply, context, table_entries; destruct (objects st !! o) as [[]|]; reflexivity.
Qed.
Definition leads_well (o : N) (x : option Object) : Prop := forall role more n, R role o -> In (more, n) (led role o x) -> R more n.
Definition is_made_at (o : N) : Prop := objects start !! o = None /\ R AMade o.
Record framed (st : State) : Prop := {
  rest_same : forall o, objects st !! o = objects start !! o \/ (exists k, sort (objects start !! o) = Some k /\ touched k o) \/ is_made_at o;
  sort_same : forall o, sort (objects st !! o) = sort (objects start !! o) \/ is_made_at o;
  all_lead_well : forall o, leads_well o (objects st !! o);
  use_same : current_context st = used
}.
Lemma framed_same a b : objects b = objects a -> current_context b = current_context a -> framed a -> framed b.
Proof. intros same1 same2 [f1 f2 f3 f4]. constructor; rewrite ?same1, ?same2; assumption. Qed.
Lemma put_kept k o x y st : objects st !! o = Some y -> sort (Some y) = Some k -> sort (Some x) = Some k -> touched k o ->
  (leads_well o (Some y) -> leads_well o (Some x)) -> framed st -> framed (put_object o x st).
Proof.
  intros there sort_y sort_x is_met_ follows [f1 f2 f3 f4]. pose proof (f2 o) as was. rewrite there, sort_y in was.
  constructor; try assumption; intros p; change (objects (put_object o x st)) with (set o x (objects st)); rewrite find_set;
    destruct (N.eqb_spec p o) as [->|]; auto.
  - right. destruct was as [was|made]; [left; exists k; split; [congruence | exact is_met_] | right; exact made].
  - destruct was as [was|made]; [left; congruence | right; exact made].
  - apply follows. rewrite <- there. apply f3.
Qed.

(** Who is met in a role is in those that come with it. *)
Lemma partner_acts t : R Actor t -> R Partner t. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma holder_met t : R Partner t -> R AHolder t. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma queue_sent e : R ToSend e -> R AQueue e. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma queue_received e : R ToReceive e -> R AQueue e. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma queue_signalled n : R ToSignal n -> R AFlags n. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma queue_awaited n : R ToAwait n -> R AFlags n. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma call_answered r : R ToAnswer r -> R ACall r. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma clock_met c : R AContext c -> R AClock c. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma yielder_met t : R Partner t -> R AYielder t. Proof. intros ok. apply (included _ _ _ ok). right. left. reflexivity. Qed.
Lemma receiving_met t : R Partner t -> R IfReceiving t. Proof. intros ok. apply (included _ _ _ ok). right. right. left. reflexivity. Qed.
Lemma free_met c : R AContext c -> R IfFree c. Proof. intros ok. apply (included _ _ _ ok). right. left. reflexivity. Qed.
Lemma partner_bound t : R ToBind t -> R Partner t. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma context_lent c : R ToLend c -> R AContext c. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma clock_yielded c : R ToYield c -> R AClock c. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma holder_yields t : R AYielder t -> R AHolder t. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma met_as_pool o : R APool o -> touched CapType.ASIDPool o. Proof. intros ok. exists APool. repeat split. exact ok. Qed.
Lemma met_as_queue o : R AQueue o -> touched CapType.Endpoint o. Proof. intros ok. exists AQueue. repeat split. exact ok. Qed.
Lemma met_as_flags o : R AFlags o -> touched CapType.Notification o. Proof. intros ok. exists AFlags. repeat split. exact ok. Qed.
Lemma met_as_call o : R ACall o -> touched CapType.Reply o. Proof. intros ok. exists ACall. repeat split. exact ok. Qed.
Lemma met_as_clock o : R AClock o -> touched CapType.SchedContext o. Proof. intros ok. exists AClock. repeat split. exact ok. Qed.
Lemma met_as_holder o : R AHolder o -> touched CapType.TCB o. Proof. intros ok. exists AHolder. repeat split. exact ok. Qed.
Hint Resolve partner_acts holder_met queue_sent queue_received queue_signalled queue_awaited call_answered clock_met met_as_queue met_as_flags met_as_call
  met_as_clock
  met_as_holder yielder_met receiving_met free_met partner_bound context_lent clock_yielded holder_yields met_as_pool : roles.
Ltac role := solve [eauto 8 with roles nocore].

(** ** Changes of an object *)
Definition ThreadWell (o : N) (f : Thread -> Thread) : Prop := forall x, leads_well o (Some (ThreadObject x)) -> leads_well o (Some (ThreadObject (f x))).
Lemma thread_alike o x y : run_state y = run_state x -> sched_context y = sched_context x -> bound_notification y = bound_notification x ->
  yielded_to y = yielded_to x -> leads_well o (Some (ThreadObject x)) -> leads_well o (Some (ThreadObject y)).
Proof.
  intros same1 same2 same3 same4 ok role more n is_role listed. apply (ok role more n is_role).
  destruct role; cbn [led] in *; rewrite ?same1, ?same2, ?same3, ?same4 in listed; exact listed.
Qed.
Lemma registers_well o l : ThreadWell o (with_registers l).
Proof. intros x. rewrite (registers_only l x). apply thread_alike; reflexivity. Qed.
Lemma state_well o s x : (R Partner o -> forall more n, In (more, n) (posts_of s) -> R more n) -> (R IfReceiving o -> awaits_a_message s = true ->
  R Partner o) ->
  leads_well o (Some (ThreadObject x)) -> leads_well o (Some (ThreadObject (x <| run_state := s |>))).
Proof.
  intros waits_ok receiving ok role more n is_role listed. pose proof (ok role more n is_role) as before.
  destruct role; cbn [led] in *; try (exact (before listed)).
  - apply in_app_iff in listed. destruct listed as [listed|listed]; [exact (waits_ok is_role more n listed)|].
    apply before, in_app_iff. right. exact listed.
  - cbn [run_state set_field setter] in listed. change (run_state (x <| run_state := s |>)) with s in listed.
    destruct (awaits_a_message s); [|destruct listed]. destruct listed as [same|[]]. injection same as <- <-. exact (receiving is_role eq_refl).
Qed.
Lemma no_waits_well o s x : posts_of s = [] -> leads_well o (Some (ThreadObject x)) -> leads_well o (Some (ThreadObject (x <| run_state := s |>))).
Proof.
  intros none. apply state_well; [rewrite none; contradiction|]. intros _. destruct s; try discriminate; discriminate none.
Qed.
Lemma context_well o c x : (forall a, c = Some a -> R AContext a) -> leads_well o (Some (ThreadObject x)) -> leads_well o (Some (ThreadObject (x <|
  sched_context := c |>))).
Proof.
  intros its ok role more n is_role listed. pose proof (ok role more n is_role) as before.
  destruct role; cbn [led] in *; try (exact (before listed)); change (sched_context (x <| sched_context := c |>)) with c in listed;
    change (run_state (x <| sched_context := c |>)) with (run_state x) in listed;
    change (yielded_to (x <| sched_context := c |>)) with (yielded_to x) in listed; rewrite !in_app_iff in *.
  - destruct listed as [listed|[listed|listed]]; [auto | | auto]. destruct c as [a|]; [|destruct listed]. destruct listed as [same|[]].
    injection same as <- <-. exact (its a eq_refl).
  - destruct listed as [listed|listed]; [|auto]. destruct c as [a|]; [|destruct listed]. destruct listed as [same|[]].
    injection same as <- <-. apply clock_met. exact (its a eq_refl).
Qed.
Lemma yield_well o x : leads_well o (Some (ThreadObject x)) -> leads_well o (Some (ThreadObject (x <| yielded_to := None |>))).
Proof.
  intros ok role more n is_role listed. pose proof (ok role more n is_role) as before.
  destruct role; cbn [led] in *; try (exact (before listed)); try (destruct listed; fail);
    change (sched_context (x <| yielded_to := None |>)) with (sched_context x) in listed;
    change (run_state (x <| yielded_to := None |>)) with (run_state x) in listed;
    change (yielded_to (x <| yielded_to := None |>)) with (@None N) in listed; cbn [the_name map] in listed; rewrite !in_app_iff in *; simpl in listed; tauto.
Qed.
Ltac thread_row :=
  lazymatch goal with
  | H : leads_well ?o (Some (ThreadObject ?x)) |- leads_well ?o (Some (ThreadObject ?x)) => exact H
  | |- leads_well ?o (Some (ThreadObject (with_registers ?l ?y))) => refine (registers_well o l y _)
  | |- leads_well ?o (Some (ThreadObject (set_field registers ?r ?y))) => refine (thread_alike o y _ eq_refl eq_refl eq_refl eq_refl _)
  | |- leads_well ?o (Some (ThreadObject (set_field fault ?r ?y))) => refine (thread_alike o y _ eq_refl eq_refl eq_refl eq_refl _)
  | |- leads_well ?o (Some (ThreadObject (set_field step_count ?r ?y))) => refine (thread_alike o y _ eq_refl eq_refl eq_refl eq_refl _)
  | |- leads_well ?o (Some (ThreadObject (set_field run_state Running ?y))) => refine (no_waits_well o Running y eq_refl _)
  | |- leads_well ?o (Some (ThreadObject (set_field run_state Inactive ?y))) => refine (no_waits_well o Inactive y eq_refl _)
  | |- leads_well ?o (Some (ThreadObject (set_field sched_context None ?y))) => refine (context_well o None y ltac:(discriminate) _)
  | |- leads_well ?o (Some (ThreadObject (set_field yielded_to None ?y))) => refine (yield_well o y _)
  | |- leads_well _ (Some (ThreadObject (match ?x with _ => _ end))) => destruct x
  end.
Ltac open_thread := unfold write_registers, to_restart, with_error_result, with_result, with_empty_result, begin_receive, begin_call,
  lose_registers, with_state, debug_reply, with_register; cbv beta zeta.
Ltac thread_well := intros ? ?; cbv beta; open_thread; repeat (thread_row || match goal with |- context [match ?x with _ => _ end] => destruct x end).

Definition ContextWell (o : N) (f : SchedContext -> SchedContext) : Prop :=
  forall x, leads_well o (Some (SchedContextObject x)) -> leads_well o (Some (SchedContextObject (f x))).
Definition fades (after before : option N) : Prop := after = before \/ after = None.
Lemma context_alike o x y : context_thread y = context_thread x -> calls y = calls x -> fades (yielder y) (yielder x) ->
  fades (context_notification y) (context_notification x) -> leads_well o (Some (SchedContextObject x)) -> leads_well o (Some (SchedContextObject y)).
Proof.
  intros same1 same2 fewer1 fewer2 ok role more n is_role listed. apply (ok role more n is_role).
  destruct role; cbn [led] in *; rewrite ?same1, ?same2 in listed; try exact listed.
  - destruct fewer2 as [same|none]; [rewrite same in listed; exact listed | rewrite none in listed; destruct listed].
  - destruct fewer1 as [same|none]; [rewrite same in listed; exact listed | rewrite none in listed; destruct listed].
Qed.
Ltac alike := apply context_alike; first [reflexivity | left; reflexivity | right; reflexivity].
Lemma held_well o t : (R AContext o -> R AHolder t) -> ContextWell o (fun x => x <| context_thread := Some t |>).
Proof.
  intros its x ok role more n is_role listed. pose proof (ok role more n is_role) as before. destruct role; cbn [led] in *; try (exact (before listed)).
  - change (In (more, n) ([(AHolder, t)] ++ map (pair ACall) (calls x))) in listed. apply in_app_iff in listed.
    destruct listed as [[same|[]]|listed]; [injection same as <- <-; exact (its is_role)|]. apply before, in_app_iff. right. exact listed.
  - destruct listed.
Qed.
Lemma freed_well o : R AContext o -> ContextWell o (fun x => x <| context_thread := None |>).
Proof.
  intros its x ok role more n is_role listed. pose proof (ok role more n is_role) as before. destruct role; cbn [led] in *; try (exact (before listed)).
  - apply before, in_app_iff. right. exact listed.
  - destruct listed as [same|[]]. injection same as <- <-. exact its.
Qed.
Lemma calls_well o x l : (R AContext o -> forall r, In r l -> R ACall r) -> leads_well o (Some (SchedContextObject x)) ->
  leads_well o (Some (SchedContextObject (x <| calls := l |>))).
Proof.
  intros its ok role more n is_role listed. pose proof (ok role more n is_role) as before. destruct role; cbn [led] in *; try (exact (before listed)).
  change (In (more, n) (map (pair AHolder) (the_name (context_thread x)) ++ map (pair ACall) l)) in listed. rewrite in_app_iff in *.
  destruct listed as [listed|listed]; [auto|]. apply in_map_iff in listed. destruct listed as (r & same & listed). injection same as <- <-.
  exact (its is_role r listed).
Qed.

(** ** Objects *)
Lemma emit_kept x st : framed st -> framed (emit x st). Proof. exact (framed_same st (emit x st) eq_refl eq_refl). Qed.
Lemma change_thread_kept o f st : touched CapType.TCB o -> ThreadWell o f -> framed st -> framed (change_thread o f st).
Proof.
  intros is_met_ well ok. unfold change_thread. destruct (objects st !! o) as [[]|] eqn:found; try exact (emit_kept Stuck st ok).
  refine (put_kept _ o _ _ st found _ _ is_met_ (well _) ok); reflexivity.
Qed.
Lemma change_context_kept o f st : touched CapType.SchedContext o -> ContextWell o f -> framed st -> framed (change_context o f st).
Proof.
  intros is_met_ well ok. unfold change_context. destruct (objects st !! o) as [[]|] eqn:found; try exact (emit_kept Stuck st ok).
  refine (put_kept _ o _ _ st found _ _ is_met_ (well _) ok); reflexivity.
Qed.
Lemma change_endpoint_kept o f st : R AQueue o ->
  (forall x t, R ToSend o -> In t (receivers (f x)) -> In t (receivers x) \/ R Partner t) ->
  (forall x t, R ToReceive o -> In t (senders (f x)) -> In t (senders x) \/ R Partner t) -> framed st -> framed (change_endpoint o f st).
Proof.
  intros is_met_ of_receivers of_senders ok. unfold change_endpoint. destruct (objects st !! o) as [[| |x| | | | | |]|] eqn:found;
    try exact (emit_kept Stuck st ok).
  refine (put_kept _ o _ _ st found eq_refl _ (met_as_queue o is_met_) _ ok); [reflexivity|]. intros before role more n is_role listed.
  pose proof (before role more) as leads_. destruct role; cbn [led] in *; try contradiction; try exact (leads_ n is_role listed); apply in_map_iff in listed;
    destruct listed as (t & same & listed); injection same as <- <-;
    [destruct (of_receivers x t is_role listed) as [there|own] | destruct (of_senders x t is_role listed) as [there|own]]; try exact own;
    apply (leads_ t is_role), in_map_iff; exists t; split; assumption || reflexivity.
Qed.
Lemma change_notification_anew o f st : R AFlags o -> (forall x t, In t (waiters (f x)) -> In t (waiters x) \/ R Partner t) ->
  (forall x t, bound_thread (f x) = Some t -> bound_thread x = Some t \/ R IfReceiving t) ->
  (forall x c, lent_context (f x) = Some c -> lent_context x = Some c \/ R IfFree c) -> framed st -> framed (change_notification o f st).
Proof.
  intros is_met_ of_waiters of_bound of_lent ok. unfold change_notification. destruct (objects st !! o) as [[| | |x| | | | |]|] eqn:found;
    try exact (emit_kept Stuck st ok).
  refine (put_kept _ o _ _ st found eq_refl _ (met_as_flags o is_met_) _ ok); [reflexivity|]. intros before role more n is_role listed.
  pose proof (before role more) as leads_.
  assert (forall r : Role, In (more, n) (map (pair r) (the_name (lent_context (f x)))) -> r = IfFree -> In (more, n) (map (pair r) (the_name (lent_context x)))
    \/ R more n) as lent_.
  { intros r in_l ->. specialize (of_lent x). destruct (lent_context (f x)) as [c|]; [|destruct in_l]. destruct in_l as [same|[]]. injection same as <- <-.
    destruct (of_lent c eq_refl) as [->|own]; [left; left; reflexivity | right; exact own]. }
  destruct role; cbn [led] in *; try contradiction; try exact (leads_ n is_role listed).
  - rewrite !in_app_iff in *. destruct listed as [listed|[listed|listed]].
    + apply in_map_iff in listed. destruct listed as (t & is_pair & listed). injection is_pair as <- <-.
      destruct (of_waiters x t listed) as [there|own]; [|exact own]. apply (leads_ t is_role). rewrite !in_app_iff. left. exact (in_map _ _ _ there).
    + specialize (of_bound x). destruct (bound_thread (f x)) as [t|]; [|destruct listed]. destruct listed as [same|[]]. injection same as <- <-.
      destruct (of_bound t eq_refl) as [was|own]; [|exact own]. apply (leads_ t is_role). rewrite was, !in_app_iff. right. left. left. reflexivity.
    + destruct (lent_ _ listed eq_refl) as [there|own]; [|exact own]. apply (leads_ n is_role). rewrite !in_app_iff. right. right. exact there.
  - destruct (lent_ _ listed eq_refl) as [there|own]; [exact (leads_ n is_role there) | exact own].
Qed.
Lemma change_notification_kept o f st : R AFlags o -> (forall x t, In t (waiters (f x)) -> In t (waiters x) \/ R Partner t) ->
  (forall x, bound_thread (f x) = bound_thread x /\ lent_context (f x) = lent_context x) -> framed st -> framed (change_notification o f st).
Proof.
  intros is_met_ of_waiters same. apply change_notification_anew; [exact is_met_ | exact of_waiters | |]; intros x y named; left; destruct (same x); congruence.
Qed.
Lemma put_reply_kept r y st : R ACall r -> (forall x, objects st !! r = Some (ReplyObject x) -> leads_well r (Some (ReplyObject x)) ->
  leads_well r (Some (ReplyObject y))) ->
  framed st -> framed (put_reply r y st).
Proof.
  intros is_met_ follows ok. unfold put_reply. destruct (objects st !! r) as [[| | | |x| | | |]|] eqn:found; try exact (emit_kept Stuck st ok).
  refine (put_kept _ r _ _ st found eq_refl _ (met_as_call r is_met_) (follows x eq_refl) ok); reflexivity.
Qed.
Lemma reply_well r x y : leads_well r (Some (ReplyObject x)) -> (forall t, caller y = Some t -> R Partner t) -> (forall t, receiver y = Some t ->
  R AHolder t) ->
  (forall c, along y = Some c -> R AContext c) -> leads_well r (Some (ReplyObject y)).
Proof.
  intros before of_caller of_receiver of_context role more n is_role listed. destruct role; cbn [led] in listed; try contradiction;
    [| |exact (before IfFree more n is_role listed)].
  - apply in_app_iff in listed. destruct (caller y) as [a|] eqn:is_caller; [|]; destruct (receiver y) as [b|] eqn:is_receiver;
      cbn [the_name map] in listed; simpl in listed; repeat match goal with H : _ \/ _ |- _ => destruct H end; try contradiction;
      match goal with H : (_, _) = _ |- _ => injection H as <- <- end; auto.
  - destruct (along y) as [c|] eqn:is_along; [|destruct listed]. destruct listed as [same|[]]. injection same as <- <-. auto.
Qed.
Lemma free_kept r st : R ACall r -> framed st -> framed (put_reply r unused_reply st).
Proof. intros its. apply put_reply_kept; [exact its|]. intros x _ before. apply (reply_well r x unused_reply before); discriminate. Qed.
Lemma reply_there r st x : objects st !! r = Some (ReplyObject x) -> reply r st = x. Proof. intros there. unfold reply. rewrite there. reflexivity. Qed.
Lemma without_context_kept r st : R ACall r -> framed st -> framed (put_reply r (without_context (reply r st)) st).
Proof.
  intros its. apply put_reply_kept; [exact its|]. intros x there well. rewrite (reply_there r st x there). intros role more n is_role listed.
  apply (well role more n is_role). destruct role; cbn [led] in *; try contradiction; assumption.
Qed.

(** What is met leads to. *)
Lemma leads_on_met role o st more n : framed st -> R role o -> In (more, n) (leads_as role o st) -> R more n.
Proof. intros ok is_role. rewrite leads_by_object. exact (all_lead_well st ok o role more n is_role). Qed.

Lemma named_in {A} (role : A) (o : option N) n : o = Some n -> In (role, n) (map (pair role) (the_name o)). Proof. intros ->. left. reflexivity. Qed.
Lemma listed_in {A} (role : A) l (n : N) : In n l -> In (role, n) (map (pair role) l). Proof. apply in_map. Qed.
Lemma context_met t c st : framed st -> R Partner t -> context_of t st = Some c -> R AContext c.
Proof.
  intros ok is_met_ has. apply (leads_on_met Partner t st AContext c ok is_met_). cbn [leads_as]. apply in_app_iff. right. apply in_app_iff. left.
  exact (named_in _ _ c has).
Qed.
Lemma yield_met t c st : framed st -> R Partner t -> yielded_to (thread t st) = Some c -> R AClock c.
Proof.
  intros ok is_met_ has. apply (leads_on_met Partner t st AClock c ok is_met_). cbn [leads_as]. apply in_app_iff. right. apply in_app_iff. right.
  exact (named_in _ _ c has).
Qed.
Lemma post_met t st role n : framed st -> R Partner t -> In (role, n) (posts_of (run_state (thread t st))) -> R role n.
Proof. intros ok is_met_ listed. apply (leads_on_met Partner t st role n ok is_met_). cbn [leads_as]. apply in_app_iff. left. exact listed. Qed.
Lemma holder_of_met c t st : framed st -> R AContext c -> context_thread (context c st) = Some t -> R AHolder t.
Proof.
  intros ok is_met_ has. apply (leads_on_met AContext c st AHolder t ok is_met_). cbn [leads_as]. apply in_app_iff. left. exact (named_in _ _ t has).
Qed.
Lemma calls_met c r st : framed st -> R AContext c -> In r (calls (context c st)) -> R ACall r.
Proof.
  intros ok is_met_ listed. apply (leads_on_met AContext c st ACall r ok is_met_). cbn [leads_as]. apply in_app_iff. right. exact (listed_in _ _ r listed).
Qed.
Lemma along_met r c st : framed st -> R ACall r -> along (reply r st) = Some c -> R AContext c.
Proof. intros ok is_met_ has. apply (leads_on_met ACall r st AContext c ok is_met_). exact (named_in _ _ c has). Qed.
Lemma caller_met r t st : framed st -> R ToAnswer r -> caller (reply r st) = Some t -> R Partner t.
Proof.
  intros ok is_met_ has. apply (leads_on_met ToAnswer r st Partner t ok is_met_). cbn [leads_as]. apply in_app_iff. left. exact (named_in _ _ t has).
Qed.
Lemma receiver_met r t st : framed st -> R ToAnswer r -> receiver (reply r st) = Some t -> R AHolder t.
Proof.
  intros ok is_met_ has. apply (leads_on_met ToAnswer r st AHolder t ok is_met_). cbn [leads_as]. apply in_app_iff. right. exact (named_in _ _ t has).
Qed.
Lemma receivers_met e t st : framed st -> R ToSend e -> In t (receivers (endpoint e st)) -> R Partner t.
Proof. intros ok is_met_ listed. apply (leads_on_met ToSend e st Partner t ok is_met_). exact (listed_in _ _ t listed). Qed.
Lemma senders_met e t st : framed st -> R ToReceive e -> In t (senders (endpoint e st)) -> R Partner t.
Proof. intros ok is_met_ listed. apply (leads_on_met ToReceive e st Partner t ok is_met_). exact (listed_in _ _ t listed). Qed.
Definition of_flags (n : N) : Prop := R ToAwait n \/ R ToSignal n.
Lemma flags_queue n : of_flags n -> R AFlags n. Proof. intros [ok|ok]; role. Qed.
Lemma loan_met n c st : framed st -> of_flags n -> lent_context (notification n st) = Some c -> context_thread (context c st) = None -> R AContext c.
Proof.
  intros ok flags_ lent free. apply (leads_on_met IfFree c st AContext c ok).
  - destruct flags_ as [is_met_|is_met_]; [apply (leads_on_met ToAwait n st IfFree c ok is_met_) | apply (leads_on_met ToSignal n st IfFree c ok is_met_)];
      cbn [leads_as]; rewrite ?in_app_iff; [|right; right]; exact (named_in _ _ c lent).
  - cbn [leads_as]. rewrite free. left. reflexivity.
Qed.

(** ** Time *)
Ltac same_objects := lazymatch goal with
  | |- framed (set_field _ _ ?s) => apply (framed_same s); [reflexivity | reflexivity |] end.
Lemma unplace_kept t st : framed st -> framed (unplace t st). Proof. intros ok. unfold unplace. repeat same_objects. exact ok. Qed.
Lemma place_by_kept i t st : framed st -> framed (place_by i t st).
Proof.
  intros ok. unfold place_by. cbv zeta. pose proof (unplace_kept t st ok) as ok1. destruct (is_running _ _); [|exact ok1]. destruct (context_of _ _);
    [|exact ok1].
  destruct (negb _); [exact ok1|]. destruct (usable _ _); same_objects; exact ok1.
Qed.
Lemma place_kept t st : framed st -> framed (place t st). Proof. apply place_by_kept. Qed.
Lemma place_ahead_kept t st : framed st -> framed (place_ahead t st). Proof. apply place_by_kept. Qed.
Lemma begin_use_well c time : ContextWell c (begin_use time).
Proof. intros x. rewrite begin_use_only. alike. Qed.
Lemma begin_sporadic_kept t st : R Partner t -> framed st -> framed (begin_sporadic t st).
Proof.
  intros is_met_ ok. unfold begin_sporadic. destruct (context_of t st) as [c|] eqn:has; [|exact ok]. destruct (_ && _); [|exact ok].
  pose proof (context_met t c st ok is_met_ has). apply change_context_kept; [role | apply begin_use_well | exact ok].
Qed.
Lemma wake_kept t st : R Partner t -> framed st -> framed (wake t st).
Proof.
  intros is_met_ ok. unfold wake. apply place_kept, begin_sporadic_kept; [exact is_met_|]. apply change_thread_kept; [role | thread_well | exact ok].
Qed.
Lemma wake_ahead_kept t st : R Partner t -> framed st -> framed (wake_ahead t st).
Proof.
  intros is_met_ ok. unfold wake_ahead. apply place_ahead_kept, begin_sporadic_kept; [exact is_met_|].
  apply change_thread_kept; [role | thread_well | exact ok].
Qed.
Lemma give_context_kept c t st : R AContext c -> R Partner t -> framed st -> framed (give_context c t st).
Proof.
  intros its is_met_ ok. unfold give_context. cbv zeta. apply change_thread_kept; [role | |].
  { intros x. apply context_well. intros a same. injection same as <-. exact its. }
  apply change_context_kept; [role | apply held_well; role |]. destruct (context_thread (context c st)) as [from|] eqn:has; [|exact ok].
  pose proof (holder_of_met c from st ok its has). apply change_thread_kept; [role | thread_well | apply unplace_kept; exact ok].
Qed.
Hypothesis used_met : forall c, used = Some c -> R AClock c.
Lemma charge_alike n smallest x : context_thread (charge n smallest x) = context_thread x /\ calls (charge n smallest x) = calls x
  /\ yielder (charge n smallest x) = yielder x /\ context_notification (charge n smallest x) = context_notification x.
Proof. rewrite charge_only. repeat split. Qed.
Lemma book_kept st : framed st -> framed (book st).
Proof.
  intros ok. unfold book. cbv zeta. assert (framed (st <| charged_until := now st |>)) as ok1 by (same_objects; exact ok). revert ok1.
  generalize (now st - charged_until st) (st <| charged_until := now st |>). intros n st1 ok1.
  destruct (current_context st1) as [c|] eqn:use; [|exact ok1]. destruct (objects st1 !! c) as [[]|]; try exact ok1.
  assert (R AClock c) by (apply used_met; rewrite <- (use_same st1 ok1); exact use).
  apply change_context_kept; [role | | exact ok1]. intros x. destruct (charge_alike n (smallest_budget st1) x) as (same1 & same2 & same3 & same4).
  apply context_alike; [assumption | assumption | left; assumption | left; assumption].
Qed.
Lemma will_book_kept st : framed st -> framed (will_book st). Proof. intros ok. unfold will_book. same_objects. exact ok. Qed.
Lemma book_turn_kept st : framed st -> framed (book_turn st).
Proof.
  intros ok. unfold book_turn. pose proof (book_kept st ok) as ok1. destruct (current_context st); [|exact ok1]. cbv zeta.
  destruct (thread_that_uses _ _); [|exact ok1]. destruct (turn_is_over _ _); [apply place_kept; exact ok1|].
  destruct (is_used_up _ _); [apply will_book_kept|]; exact ok1.
Qed.
Lemma report_booked_kept c st : R AClock c -> framed st -> framed (snd (report_booked c st)).
Proof. intros its ok. unfold report_booked. cbn [snd]. apply change_context_kept; [role | intros x; alike | exact ok]. Qed.
Lemma report_consumed_kept c st : R AClock c -> framed st -> framed (snd (report_consumed c st)).
Proof.
  intros its ok. unfold report_consumed. apply report_booked_kept; [exact its|]. destruct (is_number _ _); [apply book_turn_kept|]; exact ok.
Qed.
Lemma end_yield_by_kept report t st : (forall c st, R AClock c -> framed st -> framed (snd (report c st))) -> (forall c, yielded_to (thread t st) = Some c ->
  R AClock c /\ R AHolder t) -> framed st -> framed (end_yield_by report t st).
Proof.
  intros each its ok. unfold end_yield_by. destruct (yielded_to (thread t st)) as [c|]; [|exact ok]. destruct (its c eq_refl) as (clock & holder).
  pose proof (each c st clock ok) as ok1. destruct (report c st) as (n & st1). cbn [snd] in ok1.
  apply change_thread_kept; [role | thread_well |]. apply change_context_kept; [role | intros x; alike | exact ok1].
Qed.
Lemma forget_yield_kept t st : R Partner t -> framed st -> framed (forget_yield t st).
Proof.
  intros is_met_ ok. unfold forget_yield. destruct (yielded_to (thread t st)) as [c|] eqn:has; [|exact ok]. pose proof (yield_met t c st ok is_met_ has).
  apply change_thread_kept; [role | thread_well |]. apply change_context_kept; [role | intros x; alike | exact ok].
Qed.

(** ** Messages *)
Lemma slots_kept a b : same_but_slots a b -> framed a -> framed b.
Proof. intros same. unfold same_but_slots in same. apply framed_same; rewrite same; reflexivity. Qed.
Lemma write_memory_kept a v st : framed st -> framed (write_memory a v st).
Proof. intros ok. unfold write_memory. repeat (apply emit_kept || same_objects). exact ok. Qed.
Lemma transfer_kept l through from to : forall position free st, framed st -> framed (snd (transfer position l through from to free st)).
Proof.
  induction l as [|address rest IH]; intros position free st ok; cbn [transfer]; [exact ok|]. destruct (receive_buffer to st); [|exact ok].
  destruct (occupied_slot_of_address from address st) as [(source & c)|]; [|exact ok]. cbv zeta.
  destruct (match c with EndpointCap o badge _ => if is_number through o then Some badge else None | _ => None end) as [badge|].
  - match goal with |- context [write_memory ?a ?v st] => pose proof (IH (position + 1) free _ (write_memory_kept a v st ok)) as ok1 end.
    destruct (transfer _ _ _ _ _ _ _) as ((? & ?) & ?). exact ok1.
  - destruct free; [|exact ok]. destruct (derivation_error _ _ _); [exact ok|]. destruct (receive_slot to st); [|exact ok].
    match goal with |- context [insert_derived ?a ?b ?o ?d st] =>
      pose proof (IH (position + 1) false _ (slots_kept st _ (insert_derived_same a b o d st) ok)) as ok1 end.
    destruct (transfer _ _ _ _ _ _ _) as ((? & ?) & ?). exact ok1.
Qed.
Lemma write_words_kept l : forall a st, framed st -> framed (write_words a l st).
Proof. induction l as [|v rest IH]; intros a st ok; cbn [write_words]; [exact ok|]. apply IH, write_memory_kept. exact ok. Qed.
Lemma write_long_words_kept t l st : framed st -> framed (write_long_words t l st).
Proof. intros ok. unfold write_long_words. destruct (receive_buffer t st); [apply write_words_kept|]; exact ok. Qed.
Lemma deliver_kept m through badge caps from to st : R AHolder to -> framed st -> framed (deliver m through badge caps from to st).
Proof.
  intros its ok. unfold deliver. pose proof (transfer_kept (if caps then cap_addresses m else []) through from to 0 true st ok) as ok1.
  destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & st1). cbn [snd] in ok1. cbv zeta. apply write_long_words_kept.
  apply change_thread_kept; [role | thread_well | exact ok1].
Qed.
Lemma calls_from_incl r l : incl (calls_from r l) l.
Proof.
  induction l as [|first rest IH]; cbn [calls_from]; [apply incl_refl|]. destruct (first =? r); [apply incl_refl | apply incl_tl; exact IH].
Qed.
Lemma calls_above_incl r l : incl (calls_above r l) l.
Proof.
  induction l as [|first rest IH]; cbn [calls_above]; [apply incl_refl|]. destruct (first =? r); [intros x []|].
  intros x [<-|listed]; [left; reflexivity | right; exact (IH x listed)].
Qed.
Lemma unlink_kept l : forall st, (forall r, In r l -> R ACall r) -> framed st ->
  framed (fold_left (fun st r => put_reply r (without_context (reply r st)) st) l st).
Proof.
  induction l as [|r l IH]; intros st each ok; [exact ok|]. cbn [fold_left]. apply IH; [intros x listed; apply each; right; exact listed|].
  apply without_context_kept; [apply each; left; reflexivity | exact ok].
Qed.
Lemma break_stack_kept r st : R ACall r -> framed st -> framed (break_stack r st).
Proof.
  intros its ok. unfold break_stack. destruct (along (reply r st)) as [c|] eqn:has; [|exact ok]. pose proof (along_met r c st ok its has) as of_c. cbv zeta.
  pose proof (fun x => calls_met c x st ok of_c) as each. apply change_context_kept; [role | |].
  - intros x. apply calls_well. intros _ y listed. exact (each y (calls_above_incl r _ y listed)).
  - apply unlink_kept; [|exact ok]. intros y listed. exact (each y (calls_from_incl r _ y listed)).
Qed.
Lemma return_context_kept r t st : R ACall r -> R Partner t -> framed st -> framed (return_context r t st).
Proof.
  intros its is_met_ ok. unfold return_context. destruct (along (reply r st)) as [c|] eqn:has; [|exact ok].
  pose proof (along_met r c st ok its has) as of_c. pose proof (fun x => calls_met c x st ok of_c) as each.
  destruct (calls (context c st)) as [|last_ rest]; [apply break_stack_kept; assumption|].
  destruct (last_ =? r); [|apply break_stack_kept; assumption]. cbv zeta.
  match goal with |- framed match context_of t ?s with _ => _ end => assert (framed s) as ok1 end.
  { apply without_context_kept; [exact its|]. apply change_context_kept; [role | | exact ok].
    intros x. apply calls_well. intros _ y listed. apply each. right. exact listed. }
  destruct (context_of t _); [exact ok1 | apply give_context_kept; assumption].
Qed.
Lemma set_empty_result_kept t st : R AHolder t -> framed st -> framed (set_empty_result t st).
Proof. intros its. apply change_thread_kept; [role | thread_well]. Qed.
Lemma set_error_result_kept x t st : R AHolder t -> framed st -> framed (set_error_result x t st).
Proof. intros its. apply change_thread_kept; [role | thread_well]. Qed.
Lemma end_call_of_kept t h st : R Partner t -> framed st -> framed (end_call_of t h st).
Proof.
  intros its ok. unfold end_call_of. destruct (fault (thread t st)); [apply change_thread_kept; [role | thread_well | exact ok]|]. cbv zeta.
  pose proof (set_error_result_kept Error.CallCancelled t st (holder_met t its) ok). destruct h; [apply wake_kept | apply wake_ahead_kept]; assumption.
Qed.
Lemma reply_lost_well t : ThreadWell t (fun x => match run_state x with
  | BlockedOnReceive p _ requires may_grant => with_state (BlockedOnReceive p None requires may_grant) x | _ => x end).
Proof.
  intros x ok. destruct (run_state x) as [| |p r requires g| | |] eqn:state; try exact ok. unfold with_state. apply state_well; [| |exact ok].
  - intros is_met_ more n [same|[]]. injection same as <- <-. apply (ok Partner AQueue p is_met_). cbn [led]. rewrite state. left. reflexivity.
  - intros is_met_ _. apply (ok IfReceiving Partner t is_met_). cbn [led]. rewrite state. left. reflexivity.
Qed.
Lemma free_reply_kept r st : R ToAnswer r -> framed st -> framed (free_reply r st).
Proof.
  intros its ok. unfold free_reply. cbv zeta. apply free_kept; [role|].
  assert (framed match caller (reply r st) with
    | Some t => return_context r t st >> put_reply r unused_reply >> end_call_of t (is_some (context_of t st)) | None => st end) as ok1.
  { destruct (caller (reply r st)) as [t|] eqn:has; [|exact ok]. pose proof (caller_met r t st ok its has).
    apply end_call_of_kept; [assumption|]. apply free_kept; [role|]. apply return_context_kept; [role | assumption | exact ok]. }
  revert ok1. generalize (match caller (reply r st) with
    | Some t => return_context r t st >> put_reply r unused_reply >> end_call_of t (is_some (context_of t st)) | None => st end).
  intros st1 ok1. destruct (receiver (reply r st1)) as [t|] eqn:has; [|exact ok1]. pose proof (receiver_met r t st1 ok1 its has).
  apply change_thread_kept; [role | apply reply_lost_well | exact ok1].
Qed.
Lemma receivers_left_kept e t st : R AQueue e -> framed st -> framed (change_endpoint e (fun x => x <| receivers := without t (receivers x) |>) st).
Proof.
  intros its. apply change_endpoint_kept; [exact its | |]; intros x u _ listed; left; [exact (without_incl t _ u listed) | exact listed].
Qed.
Lemma senders_left_kept e t st : R AQueue e -> framed st -> framed (change_endpoint e (fun x => x <| senders := without t (senders x) |>) st).
Proof.
  intros its. apply change_endpoint_kept; [exact its | |]; intros x u _ listed; left; [exact listed | exact (without_incl t _ u listed)].
Qed.
Lemma stop_waiting_kept t st : R Partner t -> framed st -> framed (stop_waiting t st).
Proof.
  intros its ok. unfold stop_waiting. pose proof (fun role n => post_met t st role n ok its) as posts.
  destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n]; try exact ok; cbn [posts_of] in posts.
  - pose proof (receivers_left_kept e t st (posts AQueue e (or_introl eq_refl)) ok) as ok1. cbv zeta. destruct r as [r|]; [|exact ok1].
    apply free_kept; [|exact ok1]. apply posts. right. left. reflexivity.
  - apply senders_left_kept; [|exact ok]. apply posts. left. reflexivity.
  - assert (R ACall r) by (apply posts; left; reflexivity). apply free_kept; [assumption|]. apply break_stack_kept; assumption.
  - apply change_notification_kept; [apply posts; left; reflexivity | | |exact ok].
    + intros x u listed. left. exact (without_incl t _ u listed).
    + intros x. split; reflexivity.
Qed.
Lemma make_inactive_kept t st : R AHolder t -> framed st -> framed (make_inactive t st).
Proof. intros its ok. unfold make_inactive. apply change_thread_kept; [role | thread_well | apply unplace_kept; exact ok]. Qed.
Lemma end_unanswered_kept t st : R Partner t -> framed st -> framed (end_unanswered t st).
Proof.
  intros its ok. unfold end_unanswered. destruct (fault (thread t st)); [apply make_inactive_kept; [role | exact ok]|]. cbv zeta.
  pose proof (set_error_result_kept Error.CallCancelled t st (holder_met t its) ok). destruct (is_running _ _); [assumption|]. apply wake_kept; assumption.
Qed.
Lemma return_lent_context_kept t n st : R Partner t -> framed st -> framed (return_lent_context t n st).
Proof.
  intros its ok. unfold return_lent_context. destruct (lent_context (notification n st)) as [a|]; [|exact ok].
  destruct (context_of t st) as [b|] eqn:has; [|exact ok]. destruct (N.eqb_spec a b) as [->|]; [|exact ok]. pose proof (context_met t b st ok its has).
  apply change_context_kept; [role | apply freed_well; assumption |]. apply change_thread_kept; [role | thread_well | exact ok].
Qed.
Lemma lend_context_kept t n st : R Partner t -> of_flags n -> framed st -> framed (lend_context t n st).
Proof.
  intros its flags_ ok. unfold lend_context. destruct (lent_context (notification n st)) as [c|] eqn:lent; [|exact ok].
  destruct (context_of t st); [exact ok|]. destruct (context_thread (context c st)) eqn:free; [exact ok|].
  apply give_context_kept; [exact (loan_met n c st ok flags_ lent free) | exact its | exact ok].
Qed.
Definition names_calls (r : option N) : Prop := forall x, r = Some x -> R ACall x.
Lemma waits_for_answer_well t r g : R ACall r -> ThreadWell t (begin_call (BlockedOnReply r g)).
Proof.
  intros its x ok. unfold begin_call, with_state. apply state_well; [| discriminate|].
  - intros _ more n [same|[]]. injection same as <- <-. exact its.
  - destruct (is_some (fault x)); [exact ok | apply registers_well; exact ok].
Qed.
Lemma joins_stack_well c r : R ACall r -> ContextWell c (fun x => x <| calls := r :: calls x |>).
Proof.
  intros its x ok. apply calls_well; [|exact ok]. intros is_met_ y [<-|listed]; [exact its|]. apply (ok AContext ACall y is_met_). cbn [led].
  apply in_app_iff. right. exact (listed_in _ _ y listed).
Qed.
Lemma goes_on_kept lent t st : (forall a, lent = Some a -> R AContext a) -> R Partner t -> framed st ->
  framed match lent with Some c => give_context c t st >> wake_ahead t | None => if is_running t st then st else wake t st end.
Proof.
  intros of_lent its ok. destruct lent as [a|].
  - apply wake_ahead_kept; [exact its|]. apply give_context_kept; [exact (of_lent a eq_refl) | exact its | exact ok].
  - destruct (is_running t st); [exact ok | apply wake_kept; assumption].
Qed.
Lemma is_called_kept s r g lent st : R Partner s -> R ACall r -> (forall a, lent = Some a -> R AContext a) -> framed st ->
  framed (unplace s st >> change_thread s (begin_call (BlockedOnReply r g)) >> put_reply r {| caller := Some s; receiver := None; along := lent |}
    >> (fun st => match lent with Some c => change_context c (fun x => x <| calls := r :: calls x |>) st | None => st end)).
Proof.
  intros of_s of_call of_lent ok. cbv beta.
  assert (framed (put_reply r {| caller := Some s; receiver := None; along := lent |} (change_thread s (begin_call (BlockedOnReply r g)) (unplace s st))))
    as ok1.
  { apply put_reply_kept; [exact of_call | |].
    - intros x _ before. apply (reply_well r x); [exact before | | discriminate | exact of_lent]. intros u same. injection same as <-. exact of_s.
    - apply change_thread_kept; [role | apply waits_for_answer_well; exact of_call | apply unplace_kept; exact ok]. }
  destruct lent as [a|]; [|exact ok1]. pose proof (of_lent a eq_refl).
  apply change_context_kept; [role | apply joins_stack_well; exact of_call | exact ok1].
Qed.
Lemma meet_kept s t e b r rg g gr c l st : R Partner s -> R Partner t -> names_calls r -> framed st -> framed (meet s t e b r rg g gr c l st).
Proof.
  intros of_s of_t of_r ok. unfold meet. cbv zeta.
  assert (framed match r with Some r => put_reply r unused_reply (deliver (message_of s st) (Some e) b g s t st)
    | None => deliver (message_of s st) (Some e) b g s t st end) as ok1.
  { pose proof (deliver_kept (message_of s st) (Some e) b g s t st (holder_met t of_t) ok). destruct r as [r|]; [|assumption].
    apply free_kept; [exact (of_r r eq_refl) | assumption]. }
  revert ok1. generalize (match r with Some r => put_reply r unused_reply (deliver (message_of s st) (Some e) b g s t st)
    | None => deliver (message_of s st) (Some e) b g s t st end). intros st1 ok1.
  assert (forall a, (if lends_now s t (l && (c && answerable r g gr || negb c)) st then context_of s st1 else None) = Some a -> R AContext a) as of_lent.
  { intros a. destruct (lends_now _ _ _ _); [|discriminate]. intros has. exact (context_met s a st1 ok1 of_s has). }
  apply goes_on_kept; [exact of_lent | exact of_t|]. destruct c; [|exact ok1]. cbn [andb] in *.
  destruct (answerable r g gr); [|apply end_unanswered_kept; assumption]. destruct r as [r|]; [|apply end_unanswered_kept; assumption].
  apply is_called_kept; [exact of_s | exact (of_r r eq_refl) | exact of_lent | exact ok1].
Qed.
Lemma send_kept t e b g gr c l w st : R Partner t -> R ToSend e -> framed st -> framed (snd (send t e b g gr c l w st)).
Proof.
  intros of_t of_e ok. unfold send. pose proof (fun u => receivers_met e u st ok of_e) as waiting.
  destruct (receivers (endpoint e st)) as [|first rest] eqn:queue.
  - destruct w; [|exact ok]. cbn [snd]. apply change_endpoint_kept; [role | intros x u _ listed; left; exact listed | |].
    + intros x u _ listed. destruct (in_insert _ _ _ _ listed) as [->|other]; [right; exact of_t | left; exact other].
    + apply change_thread_kept; [role | | apply unplace_kept; exact ok]. intros x. unfold with_state. apply state_well; [|discriminate].
      intros _ more n [same|[]]. injection same as <- <-. role.
  - pose proof (waiting first (or_introl eq_refl)) as of_first. pose proof (fun role n => post_met first st role n ok of_first) as posts.
    destruct (run_state (thread first st)) as [| |p r q rg| | |]; try exact (emit_kept Stuck st ok). cbv zeta.
    destruct (leaves_without_context _ _ _ _); [exact ok|]. cbn [snd]. apply meet_kept; [exact of_t | exact of_first | |].
    + intros x ->. apply posts. right. left. reflexivity.
    + apply change_endpoint_kept; [role | | intros x u _ listed; left; exact listed | exact ok].
      intros x u _ listed. right. apply waiting. right. exact listed.
Qed.
Lemma refuse_sender_kept t st : R Partner t -> framed st -> framed (refuse_sender t st).
Proof.
  intros its ok. unfold refuse_sender. destruct (fault (thread t st)); [apply change_thread_kept; [role | thread_well | exact ok]|].
  apply wake_kept; [exact its|]. apply set_error_result_kept; [role | exact ok].
Qed.
Lemma senders_are_kept e l st : R ToReceive e -> (forall u, In u l -> R Partner u) -> framed st -> framed (change_endpoint e (fun x => x <|
  senders := l |>) st).
Proof. intros its each. apply change_endpoint_kept; [role | |]; intros x u _ listed; [left; exact listed | right; exact (each u listed)]. Qed.
Lemma receive_from_kept queue t e r g st : R Partner t -> R ToReceive e -> names_calls r -> (forall u, In u queue -> R Partner u) -> framed st ->
  framed (snd (receive_from queue t e r g st)).
Proof.
  intros of_t of_e of_r each ok. destruct queue as [|first rest]; cbn [receive_from]; [exact ok|].
  pose proof (each first (or_introl eq_refl)) as of_first. pose proof (fun u listed => each u (or_intror listed)) as others.
  destruct (run_state (thread first st)) as [| | |p badge grant grant_reply is_call lends| |]; try exact (emit_kept Stuck st ok). cbv zeta. cbn [snd].
  pose proof (senders_are_kept e rest st of_e others ok) as ok1. revert ok1. generalize (change_endpoint e (fun x => x <| senders := rest |>) st).
    intros st1 ok1.
  match goal with |- context [meet ?a ?b ?c ?d ?f ?h ?i ?j ?k ?l st1] =>
    pose proof (meet_kept a b c d f h i j k l st1 of_first of_t of_r ok1) as ok2 end.
  destruct is_call; [exact ok2|]. apply wake_kept; [exact of_first|]. apply set_empty_result_kept; [role | exact ok2].
Qed.
Lemma first_refused_met e r t st : framed st -> R ToReceive e -> first_refused e r st = Some t -> R Partner t.
Proof.
  intros ok of_e. unfold first_refused. pose proof (fun u => senders_met e u st ok of_e) as each. destruct (senders (endpoint e st)) as [|first rest];
    [discriminate|].
  destruct (run_state (thread first st)); try discriminate. destruct (_ && _); [discriminate|]. intros same. injection same as <-. apply each. left.
    reflexivity.
Qed.
Lemma refuse_first_kept e r st : R ToReceive e -> framed st -> framed (refuse_first e r st).
Proof.
  intros of_e ok. unfold refuse_first. destruct (first_refused e r st) as [t|] eqn:found; [|exact ok].
  apply refuse_sender_kept; [exact (first_refused_met e r t st ok of_e found)|].
  apply change_endpoint_kept; [role | intros x u _ listed; left; exact listed | | exact ok]. intros x u _ listed. left. exact (tail_incl _ u listed).
Qed.
Lemma take_flags_kept t n st : R Partner t -> of_flags n -> framed st -> framed (take_flags t n st).
Proof.
  intros its flags_ ok. unfold take_flags. cbv zeta. pose proof (flags_queue n flags_). apply lend_context_kept; [exact its | exact flags_|].
  apply change_thread_kept; [role | thread_well |]. apply change_notification_kept; [assumption | | |exact ok].
  - intros x u listed. left. exact listed.
  - intros x. split; reflexivity.
Qed.
Lemma flags_received t n st : R Partner t -> of_flags n -> framed st ->
  framed (take_flags t n st >> (fun st => if is_some (context_of t st) && negb (member t (ready st)) then wake_ahead t st else st)).
Proof.
  intros its flags_ ok. pose proof (take_flags_kept t n st its flags_ ok) as ok1. cbv beta. destruct (_ && _); [apply wake_ahead_kept; assumption | exact ok1].
Qed.
Lemma bound_met t n st : framed st -> R Actor t -> bound_notification (thread t st) = Some n -> R ToAwait n.
Proof. intros ok its has. apply (leads_on_met Actor t st ToAwait n ok its). exact (named_in _ _ n has). Qed.
Lemma waits_to_receive_well t e r q g : R AQueue e -> names_calls r -> R Partner t -> ThreadWell t (begin_receive (BlockedOnReceive e r q g)).
Proof.
  intros of_e of_r of_t x ok. unfold begin_receive, with_state. apply state_well; [|intros _ _; exact of_t | apply registers_well; exact ok].
  intros _ more n [same|listed]; [injection same as <- <-; exact of_e|]. destruct r as [r|]; [|destruct listed]. destruct listed as [same|[]].
  injection same as <- <-. exact (of_r r eq_refl).
Qed.
Lemma receive_kept t e r q g b st : R Actor t -> R ToReceive e -> (forall x, r = Some x -> R ToAnswer x) -> framed st -> framed (receive t e r q g b st).
Proof.
  intros of_t of_e of_r ok. unfold receive. cbv zeta. assert (R Partner t) as is_partner by role.
  assert (names_calls r) as of_call by (intros x same; pose proof (of_r x same); role).
  assert (framed (match r with Some r => free_reply r st | None => st end)) as ok1
    by (destruct r as [r|]; [apply free_reply_kept; [exact (of_r r eq_refl) | exact ok] | exact ok]).
  revert ok1. generalize (match r with Some r => free_reply r st | None => st end). intros st1 ok1.
  assert (framed (let (received, st) := receive_from (senders (endpoint e st1)) t e r g st1 in
      if received then st
      else if b then
        let st := unplace t st >> change_thread t (begin_receive (BlockedOnReceive e r q g)) in
        let st := change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st |>) st in
        let st := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st | None => st end in
        match bound_notification (thread t st1) with Some n => return_lent_context t n st | None => st end
      else set_empty_result t st)) as waits.
  { pose proof (receive_from_kept (senders (endpoint e st1)) t e r g st1 is_partner of_e of_call (fun u => senders_met e u st1 ok1 of_e) ok1) as ok2.
    destruct (receive_from _ t e r g st1) as (done_ & st2). cbn [snd] in ok2. destruct done_; [exact ok2|].
    destruct b; [|apply set_empty_result_kept; [role | exact ok2]]. cbv zeta.
    assert (framed (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t st2))) as ok3.
    { apply change_thread_kept; [role | apply waits_to_receive_well; [role | exact of_call | exact is_partner] | apply unplace_kept; exact ok2]. }
    revert ok3. generalize (change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t st2)). intros st3 ok3.
    assert (framed (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st3 |>) st3)) as ok4.
    { apply change_endpoint_kept; [role | | intros x u _ listed; left; exact listed | exact ok3]. intros x u _ listed.
      destruct (in_insert _ _ _ _ listed) as [->|other]; [right; exact is_partner | left; exact other]. }
    revert ok4. generalize (change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st3 |>) st3). intros st4 ok4.
    assert (framed (match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st4 | None => st4 end)) as ok5.
    { destruct r as [r|]; [|exact ok4]. pose proof (of_call r eq_refl). apply put_reply_kept; [role | | exact ok4]. intros x _ before.
      apply (reply_well r x); [exact before | discriminate | | discriminate]. intros u same. injection same as <-. role. }
    destruct (bound_notification _); [apply return_lent_context_kept; assumption | exact ok5]. }
  destruct (bound_notification (thread t st1)) as [n|] eqn:bound_; [|exact waits]. destruct (is_signalled t st1); [|exact waits].
  apply flags_received; [exact is_partner | left; exact (bound_met t n st1 ok1 of_t bound_) | exact ok1].
Qed.
Lemma wait_on_kept t n b st : R Actor t -> R ToAwait n -> framed st -> framed (wait_on t n b st).
Proof.
  intros of_t of_n ok. assert (R Partner t) as is_partner by role. unfold wait_on.
  destruct (is_active n st); [apply flags_received; [exact is_partner | left; exact of_n | exact ok]|].
  destruct b; [|apply set_empty_result_kept; [role | exact ok]]. apply return_lent_context_kept; [exact is_partner|].
  apply change_notification_kept; [role | | |].
  - intros x u listed. destruct (in_insert _ _ _ _ listed) as [->|other]; [right; exact is_partner | left; exact other].
  - intros x. split; reflexivity.
  - apply change_thread_kept; [role | | apply unplace_kept; exact ok]. intros x. unfold with_state. apply state_well; [|discriminate].
    intros _ more m [same|[]]. injection same as <- <-. role.
Qed.
Lemma hand_flags_to_kept t n st : R Partner t -> R ToSignal n -> framed st -> framed (hand_flags_to t n st).
Proof.
  intros its of_n ok. unfold hand_flags_to. apply wake_kept; [exact its|]. apply take_flags_kept; [exact its | right; exact of_n|].
  apply stop_waiting_kept; assumption.
Qed.
Lemma signal_kept n b st : R ToSignal n -> framed st -> framed (signal n b st).
Proof.
  intros of_n ok. unfold signal. cbv zeta.
  match goal with |- context [change_notification n ?f st] => assert (framed (change_notification n f st)) as ok1 end.
  { apply change_notification_kept; [role | intros x u listed; left; exact listed | intros x; split; reflexivity | exact ok]. }
  revert ok1. generalize (change_notification n (fun x => x <| word_of_flags := Some (N.lor (or_default 0 (word_of_flags x)) b) |>) st). intros st1 ok1.
  destruct (is_active n st); [exact ok1|]. pose proof (fun role u => leads_on_met ToSignal n st1 role u ok1 of_n) as led_. cbn [leads_as] in led_.
    cbv zeta in led_.
  destruct (waiters (notification n st1)) as [|first rest] eqn:waiting.
  - destruct (bound_thread (notification n st1)) as [t|] eqn:bound_; [|exact ok1].
    destruct (run_state (thread t st1)) eqn:state; try exact ok1. apply hand_flags_to_kept; [|exact of_n | exact ok1].
    apply (leads_on_met IfReceiving t st1 Partner t ok1).
    + apply led_. left. reflexivity.
    + cbn [leads_as]. rewrite state. left. reflexivity.
  - apply hand_flags_to_kept; [|exact of_n | exact ok1]. apply led_. left. reflexivity.
Qed.

(** ** Faults and answers *)
Definition handler_met (slot t : N) (st : State) : Prop := forall e b r,
  capability_at (slot_of t slot) st = Some (EndpointCap e b r) -> can_write r = true -> R ToSend e.
Lemma raise_fault_to_kept slot l t f st : R Partner t -> handler_met slot t st -> framed st -> framed (raise_fault_to slot l t f st).
Proof.
  intros its handler ok. unfold raise_fault_to. assert (framed (make_inactive t st)) as stopped by (apply make_inactive_kept; [role | exact ok]).
  destruct (capability_at (slot_of t slot) st) as [c|] eqn:there; [|exact stopped]. destruct c; try exact stopped.
  destruct (_ && _) eqn:can; [|exact stopped]. apply andb_prop in can. cbv zeta.
  assert (framed (change_thread t (fun x => x <| fault := Some f |>) st)) as ok1 by (apply change_thread_kept; [role | thread_well | exact ok]).
  match goal with |- context [send ?a ?b ?c ?d ?e ?g ?h ?i (change_thread t ?k st)] =>
    pose proof (send_kept a b c d e g h i _ its (handler _ _ _ there (proj1 can)) ok1) as sent; destruct (send a b c d e g h i (change_thread t k st)) as ([|
      | |] & st2) end;
    cbn [snd] in sent; try exact sent. apply make_inactive_kept; [role | exact sent].
Qed.
Lemma answer_fault_kept t f m st : R AHolder t -> framed st -> framed (answer_fault t f m st).
Proof.
  intros its ok. unfold answer_fault. cbv zeta.
  match goal with |- context [change_thread t ?g st] => assert (framed (change_thread t g st)) as ok1 by (apply change_thread_kept; [role | thread_well |
    exact ok]) end.
  destruct (goes_on f (label m)); [exact ok1|]. apply change_thread_kept; [role | thread_well | exact ok1].
Qed.
Lemma answer_kept t r g st : R ToAnswer r -> framed st -> framed (answer t r g st).
Proof.
  intros of_r ok. unfold answer. destruct (caller (reply r st)) as [c|] eqn:has; [|exact ok]. pose proof (caller_met r c st ok of_r has) as of_c. cbv zeta.
  assert (framed (return_context r c st >> put_reply r unused_reply >> change_thread c (with_state Running))) as ok1.
  { apply change_thread_kept; [role | thread_well |]. apply free_kept; [role|]. apply return_context_kept; [role | exact of_c | exact ok]. }
  revert ok1. generalize (return_context r c st >> put_reply r unused_reply >> change_thread c (with_state Running)). intros st1 ok1.
  match goal with |- framed (if negb (is_running c ?s) then _ else _) => assert (framed s) as ok2 end.
  { destruct (fault (thread c st1)); [apply answer_fault_kept | apply deliver_kept]; role || exact ok1. }
  destruct (negb _); [exact ok2|]. destruct (is_some _); [apply wake_kept | apply wake_ahead_kept]; assumption.
Qed.

(** ** The end of a budget *)
Lemma holder_of_change c d f st : (forall x, context_thread (f x) = context_thread x) -> context_thread (context c (change_context d f st)) =
  context_thread (context c st).
Proof.
  intros same. unfold change_context, context. destruct (objects st !! d) as [[| | | | |x| | |]|] eqn:found; try reflexivity.
  match goal with |- context [put_object d ?y st] => change (objects (put_object d y st)) with (set d y (objects st)) end.
  rewrite find_set. destruct (N.eqb_spec c d) as [->|]; [rewrite found; apply same | reflexivity].
Qed.
Lemma holder_of_objects c a b : objects b = objects a -> context_thread (context c b) = context_thread (context c a).
Proof. intros same. unfold context. rewrite same. reflexivity. Qed.
Lemma holder_of_place c t st : context_thread (context c (place t st)) = context_thread (context c st).
Proof. apply holder_of_objects. exact (proj2 (proj2 (place_by_same insert_behind t st))). Qed.
Lemma holder_of_book c st : context_thread (context c (book st)) = context_thread (context c st).
Proof.
  unfold book. cbv zeta. destruct (current_context _) as [d|]; [|apply holder_of_objects; reflexivity].
  destruct (objects _ !! d) as [[]|]; try (apply holder_of_objects; reflexivity).
  rewrite holder_of_change; [apply holder_of_objects; reflexivity|]. intros x.
  exact (proj1 (charge_alike (now st - charged_until st) (smallest_budget (st <| charged_until := now st |>)) x)).
Qed.
Lemma holder_of_book_turn c st : context_thread (context c (book_turn st)) = context_thread (context c st).
Proof.
  unfold book_turn. destruct (current_context st); [|apply holder_of_book]. cbv zeta. destruct (thread_that_uses _ _); [|apply holder_of_book].
  destruct (turn_is_over _ _); [rewrite holder_of_place; apply holder_of_book|].
  destruct (is_used_up _ _); [rewrite (holder_of_objects c (book st)); [apply holder_of_book | reflexivity] | apply holder_of_book].
Qed.
Lemma slots_of_book_turn st : slots (book_turn st) = slots st.
Proof. exact (@StepProofs.keeps_book_turn _ _ _ _ (slots_are_kept_quietly (slots st)) st eq_refl). Qed.
Lemma slots_of_place t st : slots (place t st) = slots st. Proof. exact (proj1 (place_by_same insert_behind t st)). Qed.
Lemma slots_of_report c st : slots (snd (report_consumed c st)) = slots st.
Proof. exact (proj2 (@StepProofs.keeps_report_consumed _ _ _ _ (slots_are_kept_quietly (slots st)) c st eq_refl)). Qed.
Lemma handler_of_slots slot t a b : slots b = slots a -> handler_met slot t a -> handler_met slot t b.
Proof. intros same its e b_ r. unfold capability_at. rewrite same. apply its. Qed.
Lemma time_out_kept t c st : used = Some c -> R Partner t -> handler_met timeout_slot t st -> framed st -> framed (time_out t c st).
Proof.
  intros its of_t handler ok. unfold time_out. destruct (capability_at (slot_of t timeout_slot) st) as [[]|]; try exact ok.
  pose proof (report_consumed_kept c st (used_met c its) ok) as ok1. pose proof (handler_of_slots timeout_slot t _ _ (slots_of_report c st) handler) as
    handler1.
  destruct (report_consumed c st) as (n & st1). cbn [snd] in *. apply raise_fault_to_kept; assumption.
Qed.
Definition users_met (st : State) : Prop :=
  forall c t, used = Some c -> context_thread (context c st) = Some t -> R Partner t /\ handler_met timeout_slot t st.
Lemma end_budget_kept st : users_met st -> framed st -> framed (end_budget st).
Proof.
  intros users ok. unfold end_budget. cbv zeta. pose proof (book_turn_kept st ok) as ok1.
  destruct (current_context (book_turn st)) as [c|] eqn:use; [|exact ok1]. rewrite (use_same _ ok1) in use. unfold thread_that_uses.
  rewrite holder_of_book_turn. destruct (context_thread (context c st)) as [t|] eqn:has; [|exact ok1]. destruct (member _ _); [|exact ok1].
  destruct (is_used_up _ _); [|exact ok1]. destruct (users c t use has) as (of_t & handler).
  apply time_out_kept; [exact use | exact of_t | | apply place_kept; exact ok1]. apply (handler_of_slots _ _ st); [|exact handler].
  rewrite slots_of_place. apply slots_of_book_turn.
Qed.
Lemma wake_sleepers_kept st : framed st -> framed (wake_sleepers st).
Proof.
  unfold wake_sleepers. generalize (firstn most_wake_ups (sleeping st)). intros l. revert st. induction l as [|t l IH]; intros st ok; [exact ok|].
  cbn [fold_left]. apply IH. destruct (_ <=? _); [apply place_kept|]; exact ok.
Qed.
Lemma turn_same st : objects (end_turn_if_due st) = objects st /\ current_context (end_turn_if_due st) = current_context st
  /\ slots (end_turn_if_due st) = slots st.
Proof.
  unfold end_turn_if_due, next_turn, begin_turn. destruct (turn_end st); [|repeat split]. destruct (_ <=? _); [|repeat split]. cbv zeta.
  destruct (_ && _); repeat split.
Qed.
Lemma end_turn_kept st : framed st -> framed (end_turn_if_due st).
Proof. intros ok. destruct (turn_same st) as (same1 & same2 & _). exact (framed_same st _ same1 same2 ok). Qed.
Lemma timer_kept st : users_met st -> framed st -> framed (timer_expires st).
Proof. intros users ok. unfold timer_expires. apply end_turn_kept, wake_sleepers_kept, end_budget_kept; assumption. Qed.

(** ** Interrupts, faults and system calls *)
Lemma interrupt_kept irq st : (forall n b r, capability_at (irq_slot irq) st = Some (NotificationCap n b r) -> R ToSignal n) -> framed st ->
  framed (interrupt irq st).
Proof.
  intros its ok. assert (forall i f s, framed s -> framed (change_interrupt i f s)) as changed
    by (intros i f s ok1; unfold change_interrupt; same_objects; exact ok1).
  assert (forall i m s, framed s -> framed (set_mask i m s)) as mask_kept.
  { intros i m s ok1. unfold set_mask. destruct (interrupts s !! i) as [x|]; [|exact ok1]. destruct (Bool.eqb (masked x) m); [exact ok1|].
    apply changed, emit_kept. exact ok1. }
  unfold interrupt. destruct (interrupts st !! irq).
  - destruct (capability_at (irq_slot irq) st) as [[]|]; try (destruct (irq =? irq_serror); [exact ok | apply mask_kept; exact ok]). cbv zeta.
    apply signal_kept; [exact (its _ _ _ eq_refl)|]. destruct (is_held_back irq); [apply changed|]; exact ok.
  - destruct (is_held_back irq); [apply emit_kept|]; exact ok.
Qed.
Lemma raise_fault_kept t f st : R Actor t -> handler_met fault_slot t st -> framed st -> framed (raise_fault t f st).
Proof. intros its handler ok. apply raise_fault_to_kept; [role | exact handler | exact ok]. Qed.
Lemma handler_of_thread t u f st : handler_met fault_slot t st -> handler_met fault_slot t (change_thread u f st).
Proof. apply handler_of_slots. unfold change_thread. destruct (objects st !! u) as [[]|]; reflexivity. Qed.
Lemma restart_well t : ThreadWell t to_restart. Proof. thread_well. Qed.
Lemma cap_fault_kept t a p r st : R Actor t -> handler_met fault_slot t st -> framed st -> framed (snd (cap_fault t a p r st)).
Proof.
  intros its handler ok. unfold cap_fault. cbv zeta. cbn [snd]. apply raise_fault_kept; [exact its | apply handler_of_thread; exact handler|].
  apply change_thread_kept; [role | apply restart_well | exact ok].
Qed.
Lemma unknown_kept t st : R Actor t -> handler_met fault_slot t st -> framed st -> framed (snd (unknown_system_call t st)).
Proof.
  intros its handler ok. unfold unknown_system_call. cbv zeta. cbn [snd]. apply raise_fault_kept; [exact its | apply handler_of_thread; exact handler|].
  apply change_thread_kept; [role | apply restart_well | exact ok].
Qed.
Lemma user_fault_kept t c st : R Actor t -> handler_met fault_slot t st -> framed st -> framed (snd (user_fault t c st)).
Proof.
  intros its handler ok. unfold user_fault. destruct c; try exact ok; cbv zeta; cbn [snd]; try (apply raise_fault_kept; assumption).
  unfold debug_event. cbv zeta. destruct reason; cbn [snd]; try (apply raise_fault_kept; assumption).
  match goal with |- context [change_thread t ?f st] => assert (framed (change_thread t f st)) as ok1
    by (apply change_thread_kept; [role | thread_well | exact ok]) end.
  destruct (_ =? 1); cbn [snd]; [|exact ok1]. apply raise_fault_kept; [exact its | apply handler_of_thread; exact handler | exact ok1].
Qed.
Lemma put_result_kept t x l st : R Actor t -> framed st -> framed (put_result t x l st).
Proof.
  intros its ok. unfold put_result. destruct (thread_exists t st); [|exact ok].
  destruct x; try (apply change_thread_kept; [role | thread_well | exact ok]).
  destruct l; [apply set_empty_result_kept; [role | exact ok]|]. cbv zeta. apply write_long_words_kept.
  apply change_thread_kept; [role | thread_well | exact ok].
Qed.
Lemma go_back_kept t st : R Actor t -> framed st -> framed (go_back t st).
Proof. intros its ok. unfold go_back. destruct (thread_exists t st); [|exact ok]. apply change_thread_kept; [role | apply restart_well | exact ok]. Qed.
Definition names_met (t : N) (st : State) : Prop := forall a slot c role o, In a (addresses_of t st) ->
  occupied_slot_of_address t a st = inl (slot, c) -> In (role, o) (meets_by c) -> R role o.
Lemma source_met t r st : names_met t st -> match source_of t r st with
  | FromEndpoint e x _ => R ToReceive e /\ forall y, x = Some y -> R ToAnswer y
  | FromNotification n => R ToAwait n
  | FromNothing _ _ => True end.
Proof.
  intros named. unfold source_of. cbv zeta. destruct (occupied_slot_of_address t _ st) as [(slot & c)|] eqn:found; [|exact I].
  destruct c; try exact I.
  - destruct (can_read rights) eqn:reads; cbn [negb]; [|exact I].
    assert (R ToReceive endpoint) by (apply (named _ _ _ _ _ (or_introl eq_refl) found); cbn [meets_by]; rewrite reads; apply in_app_iff; right; left;
      reflexivity).
    destruct r; [|split; [assumption | discriminate]]. destruct (occupied_slot_of_address t (register 6 _) st) as [(slot' & d)|] eqn:found'; [|exact I].
    destruct d; try exact I. split; [assumption|]. intros y same. injection same as <-. apply (named _ _ _ _ _ (or_intror (or_introl eq_refl)) found'). left.
      reflexivity.
  - destruct (can_read rights) eqn:reads; cbn [andb]; [|exact I]. destruct (negb _); [|exact I].
    apply (named _ _ _ _ _ (or_introl eq_refl) found). cbn [meets_by]. rewrite reads. apply in_app_iff. right. left. reflexivity.
Qed.
Lemma becomes_kept s t st : R Actor t -> framed st -> framed (becomes s t st).
Proof. intros its ok. unfold becomes. apply change_thread_kept; [role | thread_well | exact ok]. Qed.
Lemma allow_kept n st : framed st -> framed (allow n st). Proof. intros ok. unfold allow. same_objects. exact ok. Qed.
Lemma refuse_waiting_kept e r st : R ToReceive e -> framed st -> framed (state_of (refuse_waiting e r st)).
Proof.
  intros its ok. unfold refuse_waiting, in_units.
  pose proof (repeat_keeps (unit_turn (fun _ st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st))) (fun x => framed (snd x))
    (fun p => framed (state_of p))) as kept.
  assert (forall x : unit * N * State, framed (snd x) -> match unit_turn (fun _ st => is_some (first_refused e r st))
    (fun _ st => (tt, refuse_first e r st)) x with Again a => framed (snd a) | Finished b => framed (state_of b) end) as each.
  { intros ((a & units) & s) ok1. cbn [snd] in ok1. unfold unit_turn. destruct (negb _); [apply allow_kept; exact ok1|].
    destruct (units =? 0); [apply allow_kept; exact ok1|]. apply refuse_first_kept; assumption. }
  specialize (kept each (allowance st) (tt, allowance st, st) ok). destruct (repeat_after _ _ _) as [((a & units) & s)|p]; exact kept.
Qed.
Lemma refuse_early_kept t r first st : names_met t st -> framed st -> framed (state_of (refuse_early t r first st)).
Proof.
  intros named ok. unfold refuse_early. pose proof (source_met t r st named) as source. destruct (source_of t r st); try exact ok. destruct source.
  destruct (_ && _); [apply refuse_waiting_kept; assumption | exact ok].
Qed.
Definition receives_at (t : N) (r : bool) (st : State) : Prop :=
  let ready_ at_ := names_met t at_ /\ handler_met fault_slot t at_ in ready_ st /\ ready_ (state_of (refuse_early t r (free_own_reply t r) st)).
Lemma receive_phase_kept t r b st : R Actor t -> receives_at t r st -> framed st -> framed (snd (receive_phase t r b st)).
Proof.
  intros its ((named & handler) & (named1 & handler1)) ok. unfold receive_phase. pose proof (refuse_early_kept t r (free_own_reply t r) st named ok) as ok1.
  destruct (refuse_early t r (free_own_reply t r) st) as [st1|st1]; cbn [state_of unless_preempted] in *; [|apply go_back_kept; assumption].
  pose proof (source_met t r st1 named1) as source. destruct (source_of t r st1); cbn [snd].
  - destruct source. apply receive_kept; assumption.
  - apply wait_on_kept; assumption.
  - apply cap_fault_kept; assumption.
Qed.
Lemma then_receive_kept t (r : bool) st : R Actor t -> receives_at t r (becomes (if r then Syscall.Recv else Syscall.Wait) t st) -> framed st ->
  framed (snd (then_receive t r st)).
Proof.
  intros its receives_ ok. unfold then_receive. destruct (negb _); [exact ok|]. cbv zeta. pose proof (becomes_kept (if r then Syscall.Recv else
    Syscall.Wait) t st its ok).
  destruct (_ && _); [apply receive_phase_kept; assumption|]. cbn [snd]. apply change_thread_kept; [role | apply restart_well|].
  apply forget_yield_kept; [role | assumption].
Qed.
Lemma suspend_kept t st : R Partner t -> framed st -> framed (suspend t st).
Proof.
  intros its ok. unfold suspend. cbv zeta.
  assert (framed (end_yield t st)) as ok1.
  { apply end_yield_by_kept; [exact report_consumed_kept | | exact ok]. intros c pending. split; [exact (yield_met t c st ok its pending) | role]. }
  revert ok1. generalize (end_yield t st). intros st1 ok1.
  assert (framed (change_thread t (fun x => with_state Inactive (x <| fault := None |>)) (unplace t (stop_waiting t st1)))) as ok2
    by (apply change_thread_kept; [role | thread_well | apply unplace_kept, stop_waiting_kept; assumption]).
  destruct (is_some (fault (thread t (unplace t (stop_waiting t st1))))); [exact ok2|].
  destruct (run_state (thread t st1)); try exact ok2; apply change_thread_kept; [role | thread_well | exact ok2 | role | thread_well | exact ok2 | role |
    thread_well | exact ok2
    | role | thread_well | exact ok2].
Qed.
Lemma resume_kept t st : R Partner t -> framed st -> framed (resume t st).
Proof.
  intros its ok. unfold resume, suspend_if. destruct (is_running t st); [exact ok|]. apply wake_kept; [exact its|].
  destruct (is_blocked t st); [apply suspend_kept; assumption | exact ok].
Qed.
Lemma stop_for_writing_kept t st : R Partner t -> framed st -> framed (stop_for_writing t st).
Proof.
  intros its ok. unfold stop_for_writing. cbv zeta. pose proof (forget_yield_kept t st its ok) as ok1. destruct (is_blocked t _); [|exact ok1].
  apply change_thread_kept; [role | thread_well | apply suspend_kept; assumption].
Qed.
(** ** Tables *)
Lemma in_tables role n t : In (role, n) (tables_in t) <-> role = ASpace /\ exists i, t !! i = Some (NextTable n).
Proof.
  unfold tables_in. rewrite in_flat_map. split.
  - intros ((i & x) & listed & is_n). apply in_entries in listed. cbn [snd] in is_n. destruct x as [m|]; [|destruct is_n].
    destruct is_n as [same|[]]. injection same as <- <-. split; [reflexivity | exists i; exact listed].
  - intros (-> & i & there). exists (i, NextTable n). split; [apply in_entries; exact there | left; reflexivity].
Qed.
Lemma in_its_space o st table i n : framed st -> R ASpace table -> table_entries table st !! i = Some (NextTable n) -> o = n -> R ASpace o.
Proof. intros ok its there ->. apply (leads_on_met ASpace table st ASpace n ok its). apply in_tables. split; [reflexivity | exists i; exact there]. Qed.
Lemma table_of_space o : R ASpace o -> R ATable o. Proof. intros ok. apply (included _ _ _ ok). left. reflexivity. Qed.
Lemma met_as_table o : R ATable o -> touched CapType.VSpace o. Proof. intros ok. exists ATable. repeat split. exact ok. Qed.
Lemma touched_table o : touched CapType.VSpace o -> R ATable o.
Proof. intros (role & _ & is_table & ok). destruct role; try discriminate is_table; [exact ok | apply table_of_space; exact ok]. Qed.
Lemma change_table_kept o f st : R ATable o -> (R ASpace o -> forall t i n, f t !! i = Some (NextTable n) -> (exists j, t !! j = Some (NextTable n)) \/ R
  ASpace n) ->
  framed st -> framed (change_table o f st).
Proof.
  intros its follows ok. pose proof (met_as_table o its) as is_met_.
  assert (forall x y t, led ASpace o (Some x) = tables_in t -> (forall role, role <> ASpace -> led role o (Some y) = led role o (Some x)) ->
    led ASpace o (Some y) = tables_in (f t) -> leads_well o (Some x) -> leads_well o (Some y)) as well.
  { intros x y t is_x others is_y before role more n is_role listed. pose proof (before role more n is_role) as leads_.
    assert (role = ASpace \/ role <> ASpace) as [->|other] by (destruct role; (left; reflexivity) || (right; discriminate)).
    - rewrite is_y in listed. apply in_tables in listed. destruct listed as (-> & i & there).
      destruct (follows is_role t i n there) as [(j & was)|new]; [|exact new]. apply leads_. rewrite is_x. apply in_tables.
      split; [reflexivity | exists j; exact was].
    - rewrite others in listed by exact other. exact (leads_ listed). }
  unfold change_table. destruct (objects st !! o) as [[| | | | | |t|t|]|] eqn:found; try exact (emit_kept Stuck st ok);
    (refine (put_kept CapType.VSpace o _ _ st found eq_refl _ is_met_ _ ok); [reflexivity|]; apply (well _ _ t); try reflexivity;
     intros role other; destruct role; try reflexivity; destruct (other eq_refl)).
Qed.
Lemma set_page_entry_kept o i x st : R ATable o -> (forall n, x = NextTable n -> R ASpace n) -> framed st -> framed (set_page_entry o i x st).
Proof.
  intros its of_x. apply change_table_kept; [exact its|]. intros _ t j n. rewrite find_set. destruct (j =? i).
  - intros same. injection same as ->. right. exact (of_x n eq_refl).
  - intros there. left. exists j. exact there.
Qed.
Lemma clear_page_entry_kept o i st : R ATable o -> framed st -> framed (clear_page_entry o i st).
Proof.
  intros its. apply change_table_kept; [exact its|]. intros _ t j n. rewrite find_remove. destruct (j =? i); [discriminate|].
  intros there. left. exists j. exact there.
Qed.
Lemma walk_met address st steps : forall table level above reached_ x, framed st -> R ASpace table ->
  walk_tables steps table level address st = (above, reached_, x) -> R ASpace above.
Proof.
  induction steps as [|steps IH]; intros table level above reached_ x ok its; cbn [walk_tables];
    destruct (table_entries table st !! entry_index level address) as [[n|]|] eqn:there; try (intros same; injection same as <- <- <-; exact its).
  apply IH; [exact ok | exact (in_its_space n st table _ n ok its there eq_refl)].
Qed.
Lemma table_of_level_met v level address st table : framed st -> R ASpace v -> table_of_level v level address st = inl table -> R ASpace table.
Proof.
  intros ok its. unfold table_of_level. destruct (walk_tables _ v 0 address st) as ((above & reached_) & x) eqn:walked.
  destruct (_ =? _); [|discriminate]. intros same. injection same as <-. exact (walk_met address st _ v 0 above reached_ x ok its walked).
Qed.
Definition mapped_met (c : Capability) : Prop := forall o i x, table_entries o start !! i = Some x -> is_mapped_by c x = true -> R ATable o.
Lemma holds_mapped c o i x st : mapped_met c -> framed st -> table_entries o st !! i = Some x -> is_mapped_by c x = true -> R ATable o.
Proof.
  intros met_ ok there is_x. destruct (rest_same st ok o) as [same|[(k & is_k & is_touched)|(_ & made)]].
  - apply (met_ o i x); [|exact is_x]. unfold table_entries in *. rewrite <- same. exact there.
  - destruct (sort_same st ok o) as [same|(_ & made)]; [|apply (included _ _ _ made); left; reflexivity]. rewrite <- same in is_k. apply touched_table.
    unfold table_entries in there. destruct (objects st !! o) as [[]|];
      try (rewrite find_empty in there; discriminate there); try discriminate is_k; injection is_k as <-; exact is_touched.
  - apply (included _ _ _ made). left. reflexivity.
Qed.
Lemma unmap_kept c q level one effect st : mapped_met c -> (forall x, one x = true -> is_mapped_by c x = true) -> framed st ->
  framed (unmap q level one effect st).
Proof.
  intros met_ names_ ok. unfold unmap. destruct (vspace_of_asid _ st); [|exact ok]. destruct (table_of_level _ _ _ st) as [table|]; [|exact ok]. cbv zeta.
  destruct (table_entries table st !! _) as [x|] eqn:there; [|exact ok]. destruct (one x) eqn:is_it; [|exact ok].
  apply emit_kept, clear_page_entry_kept; [|exact ok]. exact (holds_mapped c table _ x st met_ ok there (names_ x is_it)).
Qed.
Lemma unmap_frame_kept base bits device r p q st : mapped_met (FrameCap base bits device r p) -> framed st -> framed (unmap_frame base bits q st).
Proof.
  intros met_ ok. unfold unmap_frame. destruct q as [q|]; [|exact ok]. apply (unmap_kept (FrameCap base bits device r p)); [exact met_ | | exact ok].
  intros [n|b n d m a]; [discriminate|]. cbn [is_mapped_by]. rewrite N.eqb_sym. exact id.
Qed.
Lemma unmap_table_kept t p q st : R ASpace t -> mapped_met (PageTableCap t p) -> framed st -> framed (unmap_table t q st).
Proof.
  intros its met_ ok. unfold unmap_table. destruct q as [q|]; [|exact ok].
  apply change_table_kept; [apply table_of_space; exact its | intros _ table i n; rewrite find_empty; discriminate|].
  apply (unmap_kept (PageTableCap t p)); [exact met_ | | exact ok]. intros [n|b n d m a]; [|discriminate]. cbn [is_mapped_by]. rewrite N.eqb_sym. exact id.
Qed.
Lemma change_capability_kept slot c st : framed st -> framed (change_capability slot c st).
Proof. exact (slots_kept _ _ (change_capability_same slot c st)). Qed.

(** ** What is bound, yielded to or stopped *)
Lemma bound_well t n : (forall a, n = Some a -> R ToAwait a) -> ThreadWell t (fun x => x <| bound_notification := n |>).
Proof.
  intros its x ok role more m is_role listed. pose proof (ok role more m is_role) as before.
  destruct role; cbn [led] in *; try (exact (before listed)); change (bound_notification (x <| bound_notification := n |>)) with n in listed;
    (destruct n as [a|]; [|destruct listed]); destruct listed as [same|[]]; injection same as <- <-; pose proof (its a eq_refl); role.
Qed.
Lemma bind_kept t n st : R Partner t -> R ToAwait n -> framed st ->
  framed (change_notification n (fun x => x <| bound_thread := Some t |>) (change_thread t (fun x => x <| bound_notification := Some n |>) st)).
Proof.
  intros its of_n ok. apply change_notification_anew; [role | intros x u listed; left; exact listed | | intros x c same; left; exact same |].
  - intros x u same. injection same as <-. right. role.
  - apply change_thread_kept; [role | apply bound_well; intros a same; injection same as <-; exact of_n | exact ok].
Qed.
Lemma unbind_kept t n st : R AHolder t -> R AFlags n -> framed st -> framed (unbind_notification t n st).
Proof.
  intros its of_n ok. unfold unbind_notification.
  apply change_notification_anew; [exact of_n | intros x u listed; left; exact listed | discriminate | intros x c same; left; exact same |].
  apply change_thread_kept; [role | apply bound_well; discriminate | exact ok].
Qed.
Lemma bound_flags t n st : framed st -> R ToBind t -> bound_notification (thread t st) = Some n -> R AFlags n.
Proof. intros ok its has. apply (leads_on_met ToBind t st AFlags n ok its). exact (named_in _ _ n has). Qed.
Lemma bind_context_kept c t st : R AContext c -> R Partner t -> framed st -> framed (bind_context c t st).
Proof.
  intros its of_t ok. unfold bind_context. cbv zeta. pose proof (give_context_kept c t st its of_t ok) as ok1. apply place_kept.
  destruct (is_running _ _); [apply begin_sporadic_kept; assumption | exact ok1].
Qed.
Lemma lent_well c n : (forall a, n = Some a -> R AFlags a) -> ContextWell c (fun x => x <| context_notification := n |>).
Proof.
  intros its x ok role more m is_role listed. pose proof (ok role more m is_role) as before. destruct role; cbn [led] in *; try (exact (before listed)).
  change (context_notification (x <| context_notification := n |>)) with n in listed. destruct n as [a|]; [|destruct listed].
  destruct listed as [same|[]]. injection same as <- <-. exact (its a eq_refl).
Qed.
Lemma lend_kept c n st : R AContext c -> R AFlags n -> framed st ->
  framed (change_context c (fun x => x <| context_notification := Some n |>) (change_notification n (fun x => x <| lent_context := Some c |>) st)).
Proof.
  intros its of_n ok. apply change_context_kept; [role | apply lent_well; intros a same; injection same as <-; exact of_n|].
  apply change_notification_anew; [exact of_n | intros x u listed; left; exact listed | intros x u same; left; exact same | | exact ok].
  intros x a same. injection same as <-. right. role.
Qed.
Lemma unbind_thread_kept c st : R AContext c -> framed st -> framed (unbind_thread_of_context c st).
Proof.
  intros its ok. unfold unbind_thread_of_context. destruct (context_thread (context c st)) as [t|] eqn:has; [|exact ok].
  pose proof (holder_of_met c t st ok its has). cbv zeta. apply change_context_kept; [role | apply freed_well; exact its|].
  apply change_thread_kept; [role | thread_well|]. apply unplace_kept. destruct (is_number _ _); [apply book_turn_kept|]; exact ok.
Qed.
Lemma unbind_loan_kept c st : (forall n, context_notification (context c st) = Some n -> R AFlags n) -> R AContext c -> framed st ->
  framed (unbind_notification_of_context c st).
Proof.
  intros lent its ok. unfold unbind_notification_of_context. destruct (context_notification (context c st)) as [n|] eqn:has; [|exact ok].
  apply change_context_kept; [role | apply lent_well; discriminate|].
  apply change_notification_anew; [exact (lent n eq_refl) | intros x u listed; left; exact listed | intros x u same; left; exact same | discriminate |].
  exact ok.
Qed.
Lemma lent_flags c n st : framed st -> R ToLend c -> context_notification (context c st) = Some n -> R AFlags n.
Proof. intros ok its has. apply (leads_on_met ToLend c st AFlags n ok its). exact (named_in _ _ n has). Qed.
Lemma other_yielder_kept c st : R ToYield c -> framed st -> framed match yielder (context c st) with Some other => end_yield other st | None => st end.
Proof.
  intros its ok. destruct (yielder (context c st)) as [t|] eqn:has; [|exact ok].
  assert (R AYielder t) as of_t by (apply (leads_on_met ToYield c st AYielder t ok its); exact (named_in _ _ t has)).
  apply end_yield_by_kept; [exact report_consumed_kept | | exact ok]. intros d pending. split; [|role].
  apply (leads_on_met AYielder t st AClock d ok of_t). exact (named_in _ _ d pending).
Qed.
Lemma yields_to_kept c t st : R AClock c -> R Partner t -> framed st ->
  framed (change_thread t (fun x => x <| yielded_to := Some c |>) (change_context c (fun x => x <| yielder := Some t |>) st)).
Proof.
  intros its of_t ok. apply change_thread_kept; [role | |].
  - intros x before role more n is_role listed. pose proof (before role more n is_role) as leads_.
    destruct role; cbn [led] in *; try (exact (leads_ listed)); change (yielded_to (x <| yielded_to := Some c |>)) with (Some c) in listed;
      rewrite ?in_app_iff in *.
    + destruct listed as [listed|[listed|[same|[]]]]; [apply leads_; left; exact listed | apply leads_; right; left; exact listed|].
      injection same as <- <-. exact its.
    + destruct listed as [same|[]]. injection same as <- <-. exact its.
    + destruct listed as [listed|[same|[same|[]]]]; [apply leads_; left; exact listed | injection same as <- <-; role | injection same as <- <-; exact its].
  - apply change_context_kept; [role | | exact ok]. intros x before role more n is_role listed. pose proof (before role more n is_role) as leads_.
    destruct role; cbn [led] in *; try (exact (leads_ listed)). destruct listed as [same|[]]. injection same as <- <-. role.
Qed.
Lemma yield_to_kept call st : R Partner (invoker call) -> R ToYield (invoked_context call) -> framed st ->
  framed (done_by (sched_context_yield_to call st) st).
Proof.
  intros of_self its ok. unfold sched_context_yield_to. cbv zeta. destruct (context_thread _) as [t|]; [|exact ok]. destruct (negb _); [|exact ok].
  destruct (_ <=? _); [|exact ok]. cbn [done_by]. pose proof (other_yielder_kept _ st its ok) as ok1. revert ok1.
  generalize (match yielder (context (invoked_context call) st) with Some other => end_yield other st | None => st end). intros s ok1.
  match goal with |- framed (state_after (if ?b then _ else _)) => destruct b end.
  - cbn [state_after]. apply yields_to_kept; [role | exact of_self|]. apply place_ahead_kept, place_ahead_kept. exact ok1.
  - match goal with |- context [report_consumed ?c ?s'] => assert (framed (snd (report_consumed c s'))) as ok2 end.
    { apply report_consumed_kept; [role|]. destruct (member t (ready s)); [apply place_ahead_kept|]; exact ok1. }
    destruct (report_consumed _ _) as (n & s'). exact ok2.
Qed.
Lemma restart_kept t st : R Partner t -> framed st -> framed (restart t st).
Proof.
  intros its ok. unfold restart. destruct (fault (thread t st)); [apply make_inactive_kept; [role | apply stop_waiting_kept; assumption]|].
  apply wake_kept; [exact its | apply suspend_kept; assumption].
Qed.
Lemma change_pool_kept o f st : R APool o -> framed st -> framed (change_pool o f st).
Proof.
  intros its ok. unfold change_pool. destruct (objects st !! o) as [[]|] eqn:found; try exact (emit_kept Stuck st ok).
  refine (put_kept CapType.ASIDPool o _ _ st found eq_refl _ (met_as_pool o its) _ ok); [reflexivity|]. intros before role more n is_role listed.
  apply (before role more n is_role). destruct role; exact listed.
Qed.

(** ** Methods *)
Lemma invoke_is t slot c st : snd (invoke t slot c st) =
  match cap_arguments_at (cap_addresses (message_of_call t st)) t st, method_for (label (message_of_call t st)) c with
  | inl l, Some m => let call := {| invoker := t; invoked_slot := slot; invoked := c; word_arguments := words (message_of_call t st); cap_arguments := l |} in
      if Nat.leb (Method.words m) (length (words (message_of_call t st))) && Nat.leb (Method.caps m) (length l)
      then done_by (decode_method m call st) st else st
  | _, _ => st
  end.
Proof.
  unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [l|(a & r)]; [|reflexivity]. unfold decide.
  destruct (method_for _ c) as [m|]; [|reflexivity]. destruct (_ && _); [|reflexivity].
  destruct (decode_method m _ st) as [x l'|work]; [reflexivity|]. cbn [done_by]. destruct (work st); reflexivity.
Qed.
Lemma set_word_kept i v t st : R Partner t -> framed st -> framed (set_word_argument i v t st).
Proof. intros its ok. unfold set_word_argument. apply change_thread_kept; [role | intros x; apply (registers_well t [(_, v)] x) | exact ok]. Qed.
Lemma in_units_kept {A} remains (work : A -> State -> A * State) a st : (forall a st, framed st -> framed (snd (work a st))) -> framed st ->
  framed (state_of (in_units remains work a st)).
Proof.
  intros each ok. unfold in_units.
  pose proof (repeat_keeps (unit_turn remains work) (fun x => framed (snd x)) (fun p => framed (state_of p))) as kept.
  assert (forall x : A * N * State, framed (snd x) -> match unit_turn remains work x with Again y => framed (snd y) | Finished b => framed (state_of b) end)
    as turn.
  { intros ((b & units) & s) ok1. cbn [snd] in ok1. unfold unit_turn. destruct (negb _); [apply allow_kept; exact ok1|].
    destruct (units =? 0); [apply allow_kept; exact ok1|]. pose proof (each b s ok1). destruct (work b s). assumption. }
  specialize (kept turn (allowance st) (a, allowance st, st) ok). destruct (repeat_after _ _ _) as [((b & units) & s)|p]; exact kept.
Qed.
Lemma cancel_kept e b st : R ToReceive e -> framed st -> framed (state_of (cancel_badged_sends e b st)).
Proof.
  intros its ok. unfold cancel_badged_sends.
  pose proof (in_units_kept (has_sender_with_badge e b) (cancel_unit e b) tt st) as kept. destruct (in_units _ _ tt st) as [s|s]; cbn [and_then state_of] in *;
    (assert (framed s) as ok1; [apply kept; [|exact ok]|]).
  2: destruct (_ && _); exact ok1.
  3: exact ok1.
  all: intros u s1 ok1; unfold cancel_unit; cbn [snd]; destruct (sender_with_badge e b s1) as [t|] eqn:found; [|exact ok1];
    apply restart_kept; [|exact ok1]; apply (senders_met e t s1 ok1 its); apply List.find_some in found; destruct found as (listed & _);
    apply filter_In in listed; exact (proj1 listed).
Qed.
Lemma maintain_kept t piece a z st : R Partner t -> (forall x st, framed st -> framed (snd (piece x st))) -> framed st ->
  framed (state_after (maintain t piece a z st)).
Proof.
  intros its each ok. unfold maintain. cbv zeta.
  match goal with |- context [in_units ?r ?w a st] => pose proof (in_units_kept r w a st) as kept; destruct (in_units r w a st) as [s|s] end;
    (assert (framed s) as ok1; [apply kept; [|exact ok]|]); cbn [state_of state_after] in *; try exact ok1; try (apply set_word_kept; assumption).
  all: intros x s1 ok1; pose proof (each x s1 ok1) as ok2; destruct (piece x s1) as (n & s2); apply set_word_kept; assumption.
Qed.
Lemma frame_maintain_kept op a z call st : R Partner (invoker call) -> framed st -> framed (done_by (frame_maintain op a z call st) st).
Proof.
  intros its ok. unfold frame_maintain. destruct (invoked call); try exact ok. cbv zeta. destruct (_ && _); [|exact ok]. destruct (negb _); [|exact ok].
  cbn [done_by]. apply maintain_kept; [exact its | | exact ok]. intros x s ok1. apply emit_kept. exact ok1.
Qed.
Lemma vspace_maintain_kept op a z call st : R Partner (invoker call) -> framed st -> framed (done_by (vspace_maintain op a z call st) st).
Proof.
  intros its ok. unfold vspace_maintain. destruct (invoked call) as [| | | | | | | |v [asid|]| | | | | | | | | |]; try exact ok.
  destruct (owns_asid _ _ _); [|exact ok]. destruct (_ <? _); [|exact ok]. destruct (_ <=? _); [|exact ok].
  cbn [done_by]. apply maintain_kept; [exact its | | exact ok]. intros x s ok1. unfold piece_of_space.
  destruct (translate v x s) as ([[|base bits [] r at_]|] & level); try exact ok1. apply emit_kept. exact ok1.
Qed.
Lemma place_anew_kept t st : framed st -> framed (place_anew t st).
Proof. intros ok. unfold place_anew. destruct (is_number _ _); [apply place_ahead_kept | apply place_kept]; exact ok. Qed.
Lemma set_priority_kept t p st : R Partner t -> framed st -> framed (set_priority t p st).
Proof.
  intros its ok. unfold set_priority. cbv zeta.
  assert (framed (change_thread t (fun x => x <| priority := p |>) st)) as ok1
    by (apply change_thread_kept; [role | intros x; apply thread_alike; reflexivity | exact ok]).
  revert ok1. generalize (change_thread t (fun x => x <| priority := p |>) st). intros s ok1. pose proof (fun role n => post_met t s role n ok1 its) as posts.
  assert (forall l z u, In u (insert_behind t (without t l) z) -> In u l \/ R Partner u) as moved.
  { intros l z u listed. destruct (in_insert _ _ _ _ listed) as [->|other]; [right; exact its | left; exact (without_incl t _ u other)]. }
  destruct (run_state (thread t s)) as [| |e r q g|e b g gr c l|r g|n]; try exact ok1; cbn [posts_of] in posts.
  - destruct (member t (sleeping s)); [same_objects; exact ok1 | apply place_anew_kept; exact ok1].
  - apply change_endpoint_kept; [apply posts; left; reflexivity | | | exact ok1]; intros x u _ listed; [exact (moved _ _ u listed) | left; exact listed].
  - apply change_endpoint_kept; [apply posts; left; reflexivity | | | exact ok1]; intros x u _ listed; [left; exact listed | exact (moved _ _ u listed)].
  - apply change_notification_kept; [apply posts; left; reflexivity | | | exact ok1]; [intros x u listed; exact (moved _ _ u listed) | intros x; split;
    reflexivity].
Qed.
Lemma change_flags_kept t a b st : R Partner t -> framed st -> framed (state_after (change_flags t a b st)).
Proof. intros its ok. unfold change_flags. cbn [state_after]. apply change_thread_kept; [role | intros x; apply thread_alike; reflexivity | exact ok]. Qed.
Lemma deactivate_kept i st : framed st -> framed (deactivate i st).
Proof.
  intros ok. unfold deactivate. destruct (interrupts st !! i) as [x|]; [|exact ok]. destruct (active x); [|exact ok].
  apply (framed_same st); [reflexivity | reflexivity | exact ok].
Qed.
(** What a call hands over is met: by itself, through the slots below it, or where its memory is free. *)
Definition made_well (c : Capability) : Prop := forall base bits device used o,
  c = UntypedCap base bits device used -> base <= o -> o < base + N.shiftl 1 bits -> objects start !! o = None -> R AMade o.
Definition handled_well (m : option Method.t) (c : Capability) : Prop := (forall role o, In (role, o) (handled_as m c) -> R role o) /\ made_well c.
Definition inner_well (c : Capability) (st : State) : Prop := forall index depth slot d role o,
  slot_under (Some c) index depth st = inl slot -> capability_at slot st = Some d -> In (role, o) (meets_by d) -> R role o.
Definition call_well (m : Method.t) (call : Invocation) (st : State) : Prop :=
  handled_well (Some m) (invoked call) /\ inner_well (invoked call) st
  /\ forall a c, In a (cap_arguments call) -> argument a = Some c -> takes m (cap_type c) = true -> handled_well (Some m) c.
(** What is made comes where nothing is, and names nothing. *)
Lemma exchange_same a b st : same_but_slots st (exchange_capabilities a b st).
Proof. unfold exchange_capabilities. eapply same_slots_trans; [eapply same_slots_trans|]; apply move_capability_same. Qed.
Definition names_nothing (o : N) (x : Object) : Prop := forall role, incl (led role o (Some x)) (led role o None).
Lemma put_new_kept o x st : objects st !! o = None -> (objects start !! o = None -> R AMade o) -> names_nothing o x -> framed st -> framed (put_object o x st).
Proof.
  intros none its plain ok. pose proof ok as [f1 f2 f3 f4]. assert (is_made_at o) as made.
  { destruct (f1 o) as [same|[(k & is_k & _)|made]]; [rewrite none in same; split; auto | | exact made].
    destruct (f2 o) as [same|made]; [|exact made]. rewrite none in same. simpl in same. congruence. }
  constructor; try assumption; intros n; change (objects (put_object o x st)) with (set o x (objects st)); rewrite find_set;
    destruct (N.eqb_spec n o) as [->|]; auto.
  intros role more n is_role listed. apply (f3 o role more n is_role). rewrite none. apply plain. exact listed.
Qed.
Lemma carve_kept u at_ size x slot c st : (forall y, x = Some y -> names_nothing at_ y /\ (objects start !! at_ = None -> R AMade at_)) -> framed st ->
  framed (carve u at_ size x slot c st).
Proof.
  intros new_ ok. pose proof (emit_kept Stuck st ok) as stuck. unfold carve. destruct (slots st !! u) as [e|]; [|exact stuck].
  destruct (capability_at u st) as [[base bits device spent| | | | | | | | | | | | | | | | | |]|]; try exact stuck. cbv zeta.
  destruct (_ && _) eqn:can; [|exact stuck]. apply andb_prop in can. destruct can as (_ & free). apply (slots_kept _ _ (insert_child_same _ _ _ _ _)).
  pose proof (replace_capability_same u e (UntypedCap base bits device (at_ + size - base)) st) as same. pose proof (slots_kept _ _ same ok) as ok1.
  destruct x as [y|]; [|exact ok1]. cbn [put_if_some]. destruct (new_ y eq_refl) as (plain & its). apply put_new_kept; [|exact its | exact plain | exact ok1].
  unfold same_but_slots in same. rewrite same. change (objects st !! at_ = None). destruct (objects st !! at_); [discriminate free | reflexivity].
Qed.
Lemma new_names_nothing type n o x : new_object type n = Some x -> names_nothing o x.
Proof.
  intros made role. destruct type; try discriminate made; injection made as <-; destruct role; intros y listed; exact listed || destruct listed.
Qed.
Lemma objects_kept count type at_ n d slot offset u t base size st : base <= at_ ->
  at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= base + size ->
  (forall o, base <= o -> o < base + size -> objects start !! o = None -> R AMade o) -> R Partner t -> framed st ->
  framed (state_after (make_objects count type at_ n d slot offset u t st)).
Proof.
  intros above below room its. revert at_ slot offset st above below.
  induction count as [|rest IH]; intros at_ slot offset st above below ok; cbn [make_objects]; [exact ok|].
  destruct (must_stop st); [cbn [state_after]; apply set_word_kept, set_word_kept; assumption|]. cbv zeta.
  assert (0 < N.shiftl 1 (object_bits type n)) by (rewrite N.shiftl_1_l; pose proof (N.pow_nonzero 2 (object_bits type n) ltac:(discriminate)); lia).
  apply IH; [lia | lia|]. apply allow_kept. unfold make_object. cbv zeta. apply carve_kept; [|destruct (_ || _); [apply emit_kept|]; exact ok].
  intros y made. split; [exact (new_names_nothing type n at_ y made) | apply room; lia].
Qed.
Lemma retype_kept a b c d e f r call st : R Partner (invoker call) -> made_well (invoked call) -> framed st ->
  framed (done_by (untyped_retype a b c d e f r call st) st).
Proof.
  intros its memory ok. unfold untyped_retype, missing_capability, failed_lookup, not_enough_memory, range_error, invalid_argument, delete_first.
  destruct (invoked call) as [base bits device spent| | | | | | | | | | | | | | | | | |] eqn:is_u; try exact ok.
  destruct (ObjectType.of_number a) as [type|]; [|exact ok].
  repeat (cbv beta zeta; match goal with
    | |- framed (done_by (Refuse _ _) _) => exact ok
    | |- framed (done_by (if ?x then _ else _) _) => destruct x eqn:?
    | |- framed (done_by (match ?x with _ => _ end) _) => destruct x eqn:?
  end);
  match goal with H : (align_up ?x ?y + _ <=? _) = true |- _ => pose proof (align_up_above x y); apply N.leb_le in H; rewrite N.shiftl_mul_pow2 in H;
    cbn [done_by]; apply (objects_kept _ _ _ _ _ _ _ _ _ base (N.shiftl 1 bits)); [lia | rewrite N2Nat.id, N.shiftl_1_l; exact H | | exact its | exact ok];
    intros o; exact (memory base bits device spent o eq_refl) end.
Qed.
Lemma pool_kept a b u r call st : (forall c, argument u = Some c -> cap_type c = CapType.Untyped -> made_well c) -> framed st ->
  framed (done_by (asid_control_make_pool a b u r call st) st).
Proof.
  intros memory ok. unfold asid_control_make_pool, delete_first, revoke_first, invalid_capability. destruct (free_pool_index st) as [number|]; [|exact ok].
  destruct (argument u) as [g|] eqn:given; [|exact ok]. destruct g as [base bits device spent| | | | | | | | | | | | | | | | | |]; try exact ok.
  destruct (N.eq_dec bits 12) as [->|other].
  2: { repeat match goal with |- framed (done_by (match ?x with _ => _ end) _) => is_var x; destruct x; try exact ok; try contradiction end. }
  destruct device; [exact ok|]. checks ok. cbn [done_by state_after]. apply carve_kept; [|same_objects; apply emit_kept; exact ok].
  intros y same. injection same as <-. split; [intros role; destruct role; intros z listed; exact listed || destruct listed|].
  apply (memory _ eq_refl eq_refl base 12 false spent base eq_refl); [lia|]. change (N.shiftl 1 12) with 4096. lia.
Qed.
Lemma argument_listed i call c : argument (cap i call) = Some c -> In (cap i call) (cap_arguments call).
Proof.
  unfold cap. intros is_c. destruct (Compare_dec.le_lt_dec (length (cap_arguments call)) i) as [above|below]; [|apply nth_In; exact below].
  rewrite nth_overflow in is_c by exact above. discriminate is_c.
Qed.
Ltac its_thread := match goal with type : StepProofs.fits _ (invoked ?call), of_thread : forall t, invoked ?call = TCBCap t -> _ |- _ =>
  destruct (invoked call) as [| | | | |?t| | | | | | | | | | | | |] eqn:is_t; try discriminate type; specialize (of_thread _ eq_refl) end.
Lemma decode_kept m call st : is_direct m = true -> StepProofs.fits m (invoked call) -> R Partner (invoker call) -> call_well m call st -> mapped_met (invoked
  call) ->
  framed st -> framed (done_by (decode_method m call st) st).
Proof.
  intros direct type invoker_ ((own & own_memory) & inner & taken) met_ ok.
  assert (forall i c, argument (cap i call) = Some c -> takes m (cap_type c) = true -> forall role o, In (role, o) (handled_as (Some m) c) -> R role o)
    as arguments by (intros i c is_c takes_; exact (proj1 (taken _ c (argument_listed i call c is_c) is_c takes_))).
  assert (forall t, R (if binds_thread (Some m) then ToBind else Partner) t -> R Partner t) as as_partner by (intros t; destruct (binds_thread (Some m)); role).
  assert (forall t, invoked call = TCBCap t -> R Partner t) as of_thread by (intros t is_c; apply as_partner, own; rewrite is_c; left; reflexivity).
  assert (forall i t, argument (cap i call) = Some (TCBCap t) -> takes m CapType.TCB = true -> R Partner t) as thread_
    by (intros i t is_c takes_; apply as_partner, (arguments i _ is_c takes_); left; reflexivity).
  assert (forall t f, R Partner t -> (forall x, run_state (f x) = run_state x) -> (forall x, sched_context (f x) = sched_context x) ->
    (forall x, bound_notification (f x) = bound_notification x) -> (forall x, yielded_to (f x) = yielded_to x) -> framed (change_thread t f st)) as alike_
    by (intros t f its same1 same2 same3 same4; apply change_thread_kept; [role | intros x; apply thread_alike; auto | exact ok]).
  destruct m; try discriminate direct; cbn [decode_method];
    try (apply frame_maintain_kept; assumption); try (apply vspace_maintain_kept; assumption);
    try (unfold inspect_read_cnode, inspect_read_tcb, inspect_read_vspace, inspect_read_sched_context, inspect_read_untyped, inspect_read_reply,
           inspect_read_irq_handler, inspect_read_tcb_slot, frame_get_address, tcb_get_breakpoint; checks ok; fail);
    try (its_thread; unfold tcb_set_breakpoint, tcb_unset_breakpoint, tcb_configure_single_stepping, tcb_set_tls_base, tcb_set_affinity, tcb_set_mc_priority,
      invoked_thread;
      rewrite ?is_t; checks ok; apply alike_; [exact of_thread | reflexivity | reflexivity | reflexivity | reflexivity]; fail).
  - apply retype_kept; [exact invoker_ | exact own_memory | exact ok].
  - its_thread. unfold tcb_read_registers, invoked_thread, suspend_if. rewrite is_t. checks ok. cbn [done_by state_after].
    destruct (named 0 _); [apply suspend_kept; assumption | exact ok].
  - its_thread. unfold tcb_write_registers, invoked_thread, resume_if. rewrite is_t. checks ok. cbn [done_by state_after].
    match goal with |- context [change_thread ?a ?f (stop_for_writing ?b st)] => assert (framed (change_thread a f (stop_for_writing b st))) as ok1
      by (apply change_thread_kept; [role | thread_well | apply stop_for_writing_kept; assumption]) end.
    destruct (named 0 _); [apply resume_kept; assumption | exact ok1].
  - its_thread. unfold tcb_copy_registers, invoked_thread, resume_if, suspend_if, copy_registers. rewrite is_t. checks ok. cbn [done_by state_after].
    match goal with H : argument (cap 0 call) = Some (TCBCap ?u) |- _ => pose proof (thread_ 0%nat u H eq_refl) as from_ end. cbv zeta.
    match goal with |- context [stop_for_writing ?a ?s] => assert (framed s) as ok1 by (destruct (named 0 _); [apply suspend_kept; assumption | exact ok]) end.
    match goal with |- context [stop_for_writing ?a ?s] => pose proof (stop_for_writing_kept a s of_thread ok1) as ok2; revert ok2;
      generalize (stop_for_writing a s) end.
    intros s2 ok2. match goal with |- context [change_thread ?a ?f s2] => assert (framed (change_thread a f s2)) as ok3
      by (apply change_thread_kept; [role | thread_well | exact ok2]) end.
    destruct (named 1 _); [apply resume_kept; assumption | exact ok3].
  - its_thread. unfold tcb_set_priority, invoked_thread. rewrite is_t. checks ok. apply set_priority_kept; assumption.
  - its_thread. unfold tcb_suspend, invoked_thread. rewrite is_t. apply suspend_kept; assumption.
  - its_thread. unfold tcb_resume, invoked_thread. rewrite is_t. apply resume_kept; assumption.
  - its_thread. unfold tcb_bind_notification, invoked_thread. rewrite is_t. cbv zeta.
    destruct (argument (cap 0 call)) as [[| |n badge r| | | | | | | | | | | | | | | |]|] eqn:is_n; try exact ok. destruct (negb _); [|exact ok].
    destruct (can_read r) eqn:reads; [|exact ok]. destruct (_ && _); [|exact ok]. cbn [done_by always state_after].
    pose proof (arguments 0%nat _ is_n eq_refl ToAwait n) as of_n. cbn [handled_as takes_it takes cap_type] in of_n. rewrite reads in of_n.
    apply bind_kept; [exact of_thread | apply of_n; left; reflexivity | exact ok].
  - destruct (invoked call) as [| | | | |t| | | | | | | | | | | | |] eqn:is_t; try discriminate type. unfold tcb_unbind_notification, invoked_thread.
    rewrite is_t. cbv zeta. destruct (bound_notification (thread t st)) as [n|] eqn:has; [|exact ok]. cbn [done_by always state_after].
    pose proof (own ToBind t (or_introl eq_refl)) as its. apply unbind_kept; [role | exact (bound_flags t n st ok its has) | exact ok].
  - its_thread. unfold tcb_set_flags, invoked_thread. rewrite is_t. checks ok. apply change_flags_kept; assumption.
  - unfold cnode_cancel_badged_sends, slot_in. destruct (_ && _); [|exact ok]. destruct (slot_under _ _ _ st) as [slot|] eqn:under_; [|exact ok].
    destruct (capability_at slot st) as [[|e b r| | | | | | | | | | | | | | | | |]|] eqn:found; try exact ok.
    destruct (has_all_rights r) eqn:all_; [|exact ok]. destruct (b =? 0); [exact ok|]. unfold in_progress. cbn [done_by].
    assert (R ToReceive e) as of_e.
    { apply (inner _ _ slot _ ToReceive e under_ found). cbn [meets_by]. unfold has_all_rights in all_. rewrite !andb_true_iff in all_.
      rewrite (proj2 (proj1 (proj1 all_))). apply in_app_iff. right. left. reflexivity. }
    pose proof (cancel_kept e b st of_e ok) as ok1. destruct (cancel_badged_sends e b st); exact ok1.
  - unfold cnode_copy. checks ok. exact (slots_kept _ _ (insert_derived_same _ _ _ _ _) ok).
  - unfold cnode_mint. checks ok. exact (slots_kept _ _ (insert_derived_same _ _ _ _ _) ok).
  - unfold cnode_move. checks ok. apply (slots_kept _ _ (move_capability_same _ _ _)), change_capability_kept. exact ok.
  - unfold cnode_mutate. checks ok. apply (slots_kept _ _ (move_capability_same _ _ _)), change_capability_kept. exact ok.
  - unfold cnode_rotate. checks ok. cbn [done_by state_after]. cbv zeta.
    match goal with |- framed (if ?x then _ else _) => destruct x end;
      [apply (slots_kept _ _ (exchange_same _ _ _)) | apply (slots_kept _ _ (move_capability_same _ _ _)), (slots_kept _ _ (move_capability_same _ _ _))];
      apply change_capability_kept, change_capability_kept; exact ok.
  - unfold sched_control_configure_flags. checks ok. cbn [done_by state_after].
    match goal with H : argument (cap 0 call) = Some ?c |- _ => pose proof (arguments 0%nat c H eq_refl AClock _ (or_introl eq_refl)) as of_c end.
    match goal with |- context [change_context ?c ?f ?s] => assert (framed (change_context c f s)) as ok1;
      [apply change_context_kept; [role | intros x; alike | destruct (is_number _ _); [apply book_turn_kept|]; exact ok]|];
      revert ok1; generalize (change_context c f s) end.
    intros s ok1. destruct (thread_that_uses _ s); [destruct (_ && _); [apply will_book_kept | apply place_anew_kept]; exact ok1|].
    destruct (context_thread _); [apply place_kept|]; exact ok1.
  - destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |] eqn:is_c; try discriminate type. unfold sched_context_bind, invoked_context.
    rewrite is_c. pose proof (own ToLend c (or_introl eq_refl)) as its. checks ok; cbn [done_by always state_after].
    + match goal with H : argument (cap 0 call) = Some (NotificationCap ?n ?b ?r) |- _ => assert (R AFlags n) as of_n end.
      { match goal with H : argument (cap 0 call) = Some (NotificationCap ?n ?b ?r) |- _ =>
          pose proof (fun role => arguments 0%nat _ H eq_refl role n) as of_n; cbn [handled_as takes_it takes cap_type] in of_n; destruct (can_read r) end;
          [specialize (of_n ToAwait (or_introl eq_refl)) | specialize (of_n AFlags (or_introl eq_refl))]; role. }
      apply lend_kept; [role | exact of_n | exact ok].
    + match goal with H : argument (cap 0 call) = Some (TCBCap ?u) |- _ => pose proof (thread_ 0%nat u H eq_refl) as of_u end.
      apply bind_context_kept; [role | exact of_u | exact ok].
  - destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |] eqn:is_c; try discriminate type. unfold sched_context_unbind, invoked_context.
    rewrite is_c. pose proof (own ToLend c (or_introl eq_refl)) as its. checks ok. cbn [done_by always state_after].
    assert (R AContext c) as of_c by role. pose proof (unbind_thread_kept c st of_c ok) as ok1.
    apply unbind_loan_kept; [intros n; exact (lent_flags c n _ ok1 its) | exact of_c | exact ok1].
  - destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |] eqn:is_c; try discriminate type. unfold sched_context_unbind_object,
      invoked_context.
    rewrite is_c. pose proof (own ToLend c (or_introl eq_refl)) as its. assert (R AContext c) as of_c by role.
    checks ok; cbn [done_by always state_after];
      [apply unbind_loan_kept; [intros n; exact (lent_flags c n _ ok its) | exact of_c | exact ok] | apply unbind_thread_kept; [exact of_c | exact ok]].
  - destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |] eqn:is_c; try discriminate type. unfold sched_context_consumed, invoked_context.
    rewrite is_c. cbn [done_by]. pose proof (report_consumed_kept c st (own AClock c (or_introl eq_refl)) ok) as ok1.
    destruct (report_consumed c st) as (n & s). exact ok1.
  - destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |] eqn:is_c; try discriminate type.
    apply yield_to_kept; [exact invoker_ | unfold invoked_context; rewrite is_c; apply own; left; reflexivity | exact ok].
  - destruct (invoked call) as [| | | | | | | | |t p| | | | | | | | |] eqn:is_t; try discriminate type. unfold page_table_map. rewrite is_t.
    destruct p; [checks ok|]. checks ok. cbn [done_by state_after].
    match goal with H : argument (cap 0 call) = Some ?c |- _ => pose proof (arguments 0%nat c H eq_refl ASpace _ (or_introl eq_refl)) as of_v end.
    match goal with H : walk_tables 3 _ 0 _ st = _ |- _ => pose proof (walk_met _ st _ _ _ _ _ _ ok of_v H) as above_ end.
    apply change_capability_kept, set_page_entry_kept; [apply table_of_space; exact above_ | | exact ok].
    intros ? same. injection same as <-. apply own. left. reflexivity.
  - destruct (invoked call) as [| | | | | | | | |t p| | | | | | | | |] eqn:is_t; try discriminate type. unfold page_table_unmap. rewrite is_t. checks ok.
    cbn [done_by state_after]. apply change_capability_kept, (unmap_table_kept t p); [apply own; left; reflexivity | exact met_ | exact ok].
  - destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |] eqn:is_f; try discriminate type. unfold frame_map. rewrite is_f.
    checks ok; cbn [done_by state_after];
      match goal with H : argument (cap 0 call) = Some ?c |- _ => pose proof (arguments 0%nat c H eq_refl ASpace _ (or_introl eq_refl)) as of_v end;
      match goal with H : table_of_level _ _ _ st = inl _ |- _ => pose proof (table_of_level_met _ _ _ st _ ok of_v H) as above_ end;
      (apply change_capability_kept, set_page_entry_kept; [apply table_of_space; exact above_ | discriminate|]);
      match goal with |- framed (if ?b then _ else _) => destruct b; [apply emit_kept|]; exact ok | |- _ => exact ok end.
  - destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |] eqn:is_f; try discriminate type. unfold frame_unmap. rewrite is_f.
    checks ok. cbn [done_by state_after]. apply change_capability_kept, (unmap_frame_kept base bits device r p); [exact met_ | exact ok].
  - apply pool_kept; [|exact ok]. intros c is_c is_untyped.
    exact (proj2 (taken _ c (argument_listed 0%nat call c is_c) is_c ltac:(rewrite is_untyped; reflexivity))).
  - destruct (invoked call) eqn:is_p; try discriminate type. unfold asid_pool_assign. rewrite is_p. checks ok. cbn [done_by state_after].
    apply change_capability_kept, change_pool_kept; [apply own; left; reflexivity | exact ok].
  - unfold irq_control_get. checks ok. cbn [done_by state_after]. apply (slots_kept _ _ (insert_derived_same _ _ _ _ _)). same_objects.
    destruct (is_held_back _); [apply emit_kept|]; exact ok.
  - apply deactivate_kept. exact ok.
  - unfold domain_set. checks ok. cbn [done_by state_after].
    match goal with H : argument (cap 0 call) = Some (TCBCap ?u) |- _ => pose proof (thread_ 0%nat u H eq_refl) as of_u end.
    match goal with |- context [change_thread ?a ?f st] => assert (framed (change_thread a f st)) as ok1 by (apply alike_; reflexivity || exact of_u) end.
    destruct (member _ _); [apply place_anew_kept|]; exact ok1.
  - unfold irq_control_issue_sgisignal. checks ok. exact (slots_kept _ _ (insert_derived_same _ _ _ _ _) ok).
  - unfold domain_schedule_configure. checks ok. cbn [done_by state_after]. same_objects. exact ok.
  - unfold domain_schedule_set_start, begin_turn. checks ok. cbn [done_by state_after]. repeat same_objects. exact ok.
  - unfold sched_control_set_thread_access. checks ok. apply change_flags_kept; [|exact ok].
    match goal with H : argument (cap 0 call) = Some (TCBCap ?u) |- _ => exact (thread_ 0%nat u H eq_refl) end.
Qed.
Lemma invoke_kept t slot c st : let m := method_for (label (message_of_call t st)) c in conveys c m = true ->
  match c with EndpointCap _ _ _ | NotificationCap _ _ _ | ReplyCap _ _ | SGISignalCap _ _ => False | _ => True end ->
  R Partner t -> (forall d, is_of_call t st c m d -> handled_well m d) -> mapped_met c -> inner_well c st -> framed st -> framed (snd (invoke t slot c st)).
Proof.
  intros m through other its own met_ inner ok. rewrite invoke_is. unfold m in *. destruct (cap_arguments_at _ t st) as [l|] eqn:args; [|exact ok].
  destruct (method_for _ c) as [method|] eqn:is_m; [|exact ok]. cbv zeta. destruct (_ && _); [|exact ok].
  apply decode_kept; cbn [invoked invoker cap_arguments].
  - destruct c; try contradiction; exact through.
  - exact (method_is_fit _ c method is_m).
  - exact its.
  - split; [apply own; left; reflexivity | split; [exact inner|]]. intros a d listed is_d takes_. apply own. right. split; [exact takes_|].
    exists a. unfold arguments_of. rewrite args. split; assumption.
  - exact met_.
  - exact ok.
Qed.
Lemma fault_before_sending t a m st x r : fst (send_phase t a m st) = LookupFault x r -> snd (send_phase t a m st) = st.
Proof.
  assert (forall slot c, fst (invoke t slot c st) = LookupFault x r -> snd (invoke t slot c st) = st) as invoked_.
  { intros slot c. unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(address & report)]; [|reflexivity].
    destruct (decide _ t slot c arguments st) as [error l|work]; [discriminate|]. destruct (work st); discriminate. }
  unfold send_phase. destruct (occupied_slot_of_address t a st) as [(slot & c)|report]; [|reflexivity].
  destruct c; try apply invoked_; try discriminate; destruct (can_write _); try discriminate.
  destruct (send _ _ _ _ _ _ _ _ st) as ([| | |] & st1); try discriminate. destruct (calls_back m); discriminate.
Qed.
Definition through_messages (t : N) (st : State) (sent : option Target) : Prop :=
  match sent with
  | Some (c, m) => conveys c m = true /\ (forall d, is_of_call t st c m d -> handled_well m d) /\ mapped_met c /\ inner_well c st
  | None => True
  end.
Lemma send_phase_kept t a m st : R Actor t -> In a (addresses_of t st) -> names_met t st -> through_messages t st (sent_by t a st) -> framed st ->
  framed (snd (send_phase t a m st)).
Proof.
  intros its address named sent ok. unfold send_phase, sent_by, named_by in *. destruct (occupied_slot_of_address t a st) as [(slot & c)|] eqn:found;
    [|exact ok].
  pose proof (fun role o => named a slot c role o address found) as meets_. cbn [option_map through_messages] in sent.
  destruct sent as (sent & own & met_ & inner). destruct c;
    try (apply invoke_kept; [exact sent | exact I | apply partner_acts; exact its | exact own | exact met_ | exact inner | exact ok]);
    cbn [meets_by] in meets_.
  - destruct (can_write rights); [|exact ok]. assert (R ToSend endpoint) as of_e by (apply meets_; left; reflexivity).
    match goal with |- context [send ?a ?b ?c ?d ?e ?f ?g ?h st] => pose proof (send_kept a b c d e f g h st (partner_acts t its) of_e ok) as ok1;
      destruct (send a b c d e f g h st) as ([| | |] & st1) end; cbn [snd] in *; assumption.
  - destruct (can_write rights); [|exact ok]. apply signal_kept; [apply meets_; left; reflexivity | exact ok].
  - apply answer_kept; [apply meets_; left; reflexivity | exact ok].
  - apply emit_kept. exact ok.
Qed.
Lemma reply_phase_kept t st : names_met t st -> framed st -> framed (reply_phase t st).
Proof.
  intros named ok. unfold reply_phase. destruct (occupied_slot_of_address t _ st) as [(slot & c)|] eqn:found; [|exact ok]. destruct c; try exact ok.
  apply answer_kept; [|exact ok]. apply (named _ _ _ _ _ (or_intror (or_introl eq_refl)) found). left. reflexivity.
Qed.
Lemma finish_send_kept t m outcome : R Actor t -> (forall a r, fst outcome = LookupFault a r -> handler_met fault_slot t (snd outcome)) ->
  framed (snd outcome) ->
  framed (snd (finish_send t m outcome)).
Proof.
  intros its handler ok. unfold finish_send. destruct outcome as ([x l| |a r|] & st); cbn [fst snd] in *; try exact ok.
  - destruct x; apply put_result_kept; assumption.
  - specialize (handler a r eq_refl). destruct (faults m); [apply cap_fault_kept; assumption | apply put_result_kept; assumption].
  - apply go_back_kept; assumption.
Qed.
Lemma yield_kept t st : R Actor t -> framed st -> framed (yield t st).
Proof.
  intros its ok. unfold yield. destruct (context_of t st) as [c|] eqn:has; [|exact ok]. pose proof (context_met t c st ok (partner_acts t its) has). cbv zeta.
  apply place_kept. apply change_context_kept; [role | | apply book_kept; exact ok]. intros x.
  match goal with |- context [charge ?n ?s x] => destruct (charge_alike n s x) as (same1 & same2 & same3 & same4) end.
  apply context_alike; [assumption | assumption | left; assumption | left; assumption].
Qed.
End Roles.

(** ** Steps *)
Section Step.
Variables (st : State) (e : Event).
Notation R := (met_as step st e).
Notation its := (framed st R (current_context st)).
Lemma roles_included role more o : R role o -> In more (includes role) -> R more o. Proof. apply meets_too. Qed.
Lemma use_met c : current_context st = Some c -> R AClock c. Proof. apply meets_used. Qed.
Lemma begins_framed : its st.
Proof.
  constructor; [left; reflexivity | left; reflexivity | | reflexivity]. intros o role more n is_role listed. apply (meets_from step st e role o more n is_role).
    rewrite leads_by_object.
  exact listed.
Qed.
Lemma enters_framed : its (enter e st).
Proof.
  unfold enter, save_registers. assert (its (begin_step e st)) as ok by (apply (framed_same st R (current_context st) st); [reflexivity | reflexivity |
    exact begins_framed]).
  change (current (begin_step e st)) with (current st). destruct (current st) as [t|] eqn:cur; [|exact ok].
  apply change_thread_kept; [|apply registers_well | exact ok]. exists Actor. repeat split. apply meets_itself. exact cur.
Qed.
Lemma named_at at_ t : stage st e at_ -> cause e = SystemCall -> current st = Some t -> names_met R t at_.
Proof. intros at_stage why cur a slot c role o address found listed.
  exact (meets_named step st e at_ t a slot c role o at_stage why cur address found listed). Qed.
Lemma handler_at at_ t : stage st e at_ -> (forall irq, cause e <> InterruptArrives irq) -> current st = Some t -> handler_met R fault_slot t at_.
Proof. intros at_stage why cur x b r found writes. exact (meets_handler step st e at_ t x b r at_stage why cur found writes). Qed.
Lemma users_at at_ two : In at_ [enter e st; when_handled st e] -> objects two = objects at_ -> slots two = slots at_ -> users_met R (current_context st) two.
Proof.
  intros listed same1 same2 c t use has. rewrite (holder_of_objects c at_ two same1) in has.
  split; [exact (meets_user step st e at_ c t listed use has)|]. intros x b r there writes. unfold capability_at in there.
  rewrite same2 in there. exact (meets_timeout step st e at_ c t x b r listed use has there writes).
Qed.
Lemma receives_at_stage at_ t r : stage st e at_ -> cause e = SystemCall -> current st = Some t -> receives_at R t r at_.
Proof.
  intros at_stage why cur. assert (forall irq, cause e <> InterruptArrives irq) as no_irq by (intros irq; congruence).
  split; (split; [apply named_at | apply handler_at]); try assumption; apply having_refused; assumption.
Qed.
Lemma system_call_kept t : cause e = SystemCall -> current st = Some t -> only_messages st e -> its (snd (system_call t (enter e st))).
Proof.
  intros why cur only. pose proof enters_framed as ok. pose proof (meets_itself step st e t cur) as itself.
  pose proof (at_entry st e) as first_stage. assert (forall irq, cause e <> InterruptArrives irq) as no_irq by (intros irq;
    congruence).
  pose proof (fun r => receives_at_stage _ t r first_stage why cur) as ready_.
  pose proof (named_at _ t first_stage why cur) as named.
  pose proof (handler_at _ t first_stage no_irq cur) as handler. assert (forall s c m, system_call_of t (enter e st) = Some s ->
    sent_through t s (enter e st) = Some (c, m) -> conveys c m = true
      /\ (forall at_, stage st e at_ -> (forall d, is_of_call t at_ c m d -> handled_well st R m d) /\ inner_well R c at_) /\ mapped_met st R c) as sent.
  { intros s c m number is_c. split; [exact (only t s c m why cur number is_c)|]. split.
    - intros at_ at_stage. split; [intros d of_call; split|].
      + intros role o listed. exact (meets_called step st e at_ t s c m d role o at_stage why cur number is_c of_call listed).
      + intros base bits device used o -> above below none.
        exact (meets_memory step st e at_ t s c m base bits device used o at_stage why cur number is_c of_call above below none).
      + intros index depth slot d role o under_ found listed.
        exact (meets_inside step st e at_ t s c m index depth slot d role o at_stage why cur number is_c under_ found listed).
    - intros o i x there is_x. exact (meets_mapped step st e t s c m o i x why cur number is_c there is_x). }
  assert (forall s at_, system_call_of t (enter e st) = Some s -> In at_ (later_stages s t (enter e st)) -> stage st e at_) as staged
    by (intros s at_ number listed; exact (in_phase st e t s at_ why cur number listed)).
  revert ok first_stage named handler sent staged ready_. generalize (enter e st). intros s0 ok first_stage named handler sent staged ready_.
  pose proof (unknown_kept st R _ roles_included t s0 itself handler ok) as unknown.
  unfold system_call. fold (system_call_of t s0). cbv zeta. destruct (system_call_of t s0) as [s|] eqn:number; [|exact unknown].
  destruct (is_debug_call s && _); [exact unknown|]. specialize (fun c m => sent s c m eq_refl).
  pose proof (fun at_ => staged s at_ eq_refl) as here.
  assert (forall at_ (target : option Target), stage st e at_ -> (forall c m, target = Some (c, m) -> conveys c m = true
      /\ (forall at_, stage st e at_ -> (forall d, is_of_call t at_ c m d -> handled_well st R m d) /\ inner_well R c at_) /\ mapped_met st R c) ->
      through_messages st R t at_ target) as conveyed
    by (intros at_ [(c & m)|] at_stage each; [|exact I]; destruct (each c m eq_refl) as (ok1 & ok2 & ok3); destruct (ok2 at_ at_stage) as (ok4 & ok5);
      exact (conj ok1 (conj ok4 (conj ok3 ok5)))).
  assert (forall m, sent_through t s s0 = sent_by t (register 0 (thread t s0)) s0 -> its (snd (sends t m s0))) as sends_.
  { intros m same. unfold sends. rewrite same in sent. pose proof (conveyed s0 (sent_by t (register 0 (thread t s0)) s0) first_stage sent) as through.
    pose proof (send_phase_kept st R _ roles_included use_met t (register 0 (thread t s0)) m s0 itself (or_introl eq_refl) named through ok) as ok1.
    apply finish_send_kept; [exact roles_included | exact itself | | exact ok1]. intros a r found.
    rewrite (fault_before_sending _ _ _ _ a r found). exact handler. }
  assert (forall (r b : bool), its (snd (receive_phase t r b s0))) as receives_
    by (intros r b; apply receive_phase_kept; [exact roles_included | exact itself | apply ready_ | exact ok]).
  assert (forall (r : bool) told, its told -> stage st e (becomes (if r then Syscall.Recv else Syscall.Wait) t told) -> its (snd (then_receive t r told)))
    as second.
  { intros r told ok1 at_stage. apply then_receive_kept; [exact roles_included | exact itself | | exact ok1].
    exact (receives_at_stage _ t r at_stage why cur). }
  assert (forall (r : bool) (first : State -> State), its (state_of (refuse_early t r first s0))) as early by (intros r first; apply refuse_early_kept;
    assumption || exact roles_included).
  assert (forall r : bool, s = (if r then Syscall.NBSendRecv else Syscall.NBSendWait) -> its (snd (send_and_receive t r s0))) as both.
  { intros r is_s. unfold send_and_receive. pose proof (early r (pass_message t)) as ok1.
    assert (forall st1, refuse_early t r (pass_message t) s0 = Done st1 -> stage st e st1
      /\ stage st e (becomes (if r then Syscall.Recv else Syscall.Wait) t (told t st1)) /\ through_messages st R t st1 (sent_by t (register 8 (thread t st1))
        st1)) as
        facts.
    { intros st1 found. rewrite is_s in here, sent.
      assert (incl [st1; becomes (if r then Syscall.Recv else Syscall.Wait) t (told t st1)]
        (later_stages (if r then Syscall.NBSendRecv else Syscall.NBSendWait) t s0)) as both.
      { destruct r; cbn [later_stages]; cbv zeta; rewrite found; apply incl_refl. }
      split; [apply here, both; left; reflexivity | split; [apply here, both; right; left; reflexivity|]].
      apply conveyed; [apply here, both; left; reflexivity|]. intros c m is_c. apply (sent c m). destruct r; cbn [sent_through]; unfold passed_on; rewrite
        found; exact is_c. }
    destruct (refuse_early t r (pass_message t) s0) as [s1|s1]; cbn [state_of unless_preempted] in *;
      [|apply go_back_kept; assumption || exact roles_included].
    destruct (facts s1 eq_refl) as (at_stage & then_stage & through). unfold told in then_stage.
    pose proof (send_phase_kept st R _ roles_included use_met t (register 8 (thread t s1)) passing_on s1 itself
      (or_intror (or_intror (or_introl eq_refl))) (named_at _ t at_stage why cur) through ok1) as ok2.
    fold (pass_on t s1) in ok2. destruct (pass_on t s1) as ([x l| |a report|] & s2); cbn [snd] in ok2.
    - apply second; [apply write_long_words_kept; exact ok2 | exact then_stage].
    - apply second; assumption.
    - apply second; assumption.
    - apply go_back_kept; assumption || exact roles_included. }
  unfold run_system_call. cbv zeta. destruct s; try (apply sends_; reflexivity); try apply receives_; cbn [snd].
  - unfold reply_and_receive. pose proof (early true (reply_phase t)) as ok1. cbn [later_stages] in here. cbv zeta in here.
    destruct (refuse_early t true (reply_phase t) s0) as [s1|s1]; cbn [state_of unless_preempted] in *; [|apply go_back_kept; assumption ||
      exact roles_included].
    apply (second true); [|exact (here _ (or_intror (or_introl eq_refl)))].
    apply reply_phase_kept; [exact roles_included | exact (named_at _ t (here _ (or_introl eq_refl)) why cur) | exact ok1].
  - exact (both true eq_refl).
  - exact (both false eq_refl).
  - apply yield_kept; assumption || exact roles_included || exact use_met.
  - apply emit_kept. exact ok.
  - apply emit_kept. exact ok.
  - apply change_thread_kept; [exists Actor; repeat split; exact itself | | exact ok]. intros x. apply thread_alike; reflexivity.
Qed.
Lemma handled_framed : only_messages st e -> its (when_handled st e).
Proof.
  intros only. unfold when_handled, handle. pose proof enters_framed as ok.
  pose proof (users_at (enter e st) (enter e st) (or_introl eq_refl) eq_refl eq_refl) as users.
  pose proof (at_entry st e) as first_stage. rewrite entered_current.
  destruct (cause e) as [|irq| |a f s|n c|reason a n] eqn:why; cbn [snd].
  - destruct (current st) as [t|] eqn:cur; [exact (system_call_kept t why cur only) | exact ok].
  - apply interrupt_kept; [exact roles_included | | exact ok]. intros n b r there. refine (meets_handled step st e irq n b r why _).
    rewrite (capability_of_slot (irq_slot irq) _ st (entered_slots st e (irq_slot irq))) in there. exact there.
  - apply timer_kept; [exact roles_included | exact use_met | exact users | exact ok].
  - destruct (current st) as [t|] eqn:cur; [|exact ok]. apply user_fault_kept; [exact roles_included | exact (meets_itself step st e t cur) |
      apply handler_at; [exact first_stage | intros irq; congruence | exact cur] | exact ok].
  - destruct (current st) as [t|] eqn:cur; [|exact ok]. apply user_fault_kept; [exact roles_included | exact (meets_itself step st e t cur) |
      apply handler_at; [exact first_stage | intros irq; congruence | exact cur] | exact ok].
  - destruct (current st) as [t|] eqn:cur; [|exact ok]. apply user_fault_kept; [exact roles_included | exact (meets_itself step st e t cur) |
      apply handler_at; [exact first_stage | intros irq; congruence | exact cur] | exact ok].
Qed.
Lemma next_is_chosen : current (next_of step st e) = current (choose_thread (when_handled st e)).
Proof. unfold next_of, step, finish, when_handled. destruct (handle (cause e) (enter e st)) as (result & st1). reflexivity. Qed.
Lemma objects_are_chosen : objects (next_of step st e) = objects (choose_thread (when_handled st e)).
Proof. unfold next_of, step, finish, when_handled. destruct (handle (cause e) (enter e st)) as (result & st1). reflexivity. Qed.
Lemma choice_framed : only_messages st e -> exists used, framed st R used (choose_thread (when_handled st e)).
Proof.
  intros only. pose proof (handled_framed only) as ok. pose proof (meets_next step st e) as next_. rewrite next_is_chosen, current_after_choice in next_.
  assert (forall u, In u [enter e st; when_handled st e] -> forall two, objects two = objects u -> slots two = slots u ->
    users_met R (current_context st) two) as users
    by (intros u listed two; exact (users_at u two listed)).
  specialize (users (when_handled st e) (or_intror (or_introl eq_refl))). revert ok next_ users. generalize (when_handled st e). intros s0 ok next_ users.
  assert (exists used, framed st R used (before_choice s0)) as (used & ok1).
  { unfold before_choice in *. cbv zeta in *. destruct (turn_same s0) as (same1 & same2 & same3).
    set (one := if ends_turn (choices s0) then end_turn_if_due s0 else s0) in *.
    assert (its one /\ users_met R (current_context st) one) as (ok1 & users1).
    { unfold one. destruct (ends_turn _); [split; [apply end_turn_kept; exact ok | apply users; assumption] | split; [exact ok | apply users; reflexivity]]. }
    clearbody one. destruct (_ && _); [exists (current_context st); exact ok1|]. unfold change_context_in_use in *. cbv zeta in *.
    pose proof (end_budget_kept st R _ roles_included use_met one users1 ok1) as ok2. revert ok2 next_. generalize (end_budget one). intros three ok2 next_.
    exists (context_of_first three).
    assert (framed st R (context_of_first three) (three <| current_context := context_of_first three |>)) as ok3
      by (destruct ok2 as [f1 f2 f3 _]; constructor; [exact f1 | exact f2 | exact f3 | reflexivity]).
    destruct (context_of_first three) as [c|] eqn:first_; [|exact ok3]. destruct (_ || _); [exact ok3|].
    unfold context_of_first in first_. destruct (first_ready three) as [t|] eqn:is_first; [|discriminate].
    assert (R IfNext t) as is_next.
    { apply next_. rewrite first_after_context. change (first_ready (three <| current_context := Some c |>)) with (first_ready three). exact is_first. }
    apply change_context_kept; [|apply begin_use_well | exact ok3]. exists AClock. repeat split.
    apply (leads_on_met st R _ IfNext t three AClock c ok2 is_next). cbn [leads_as]. cbv zeta. apply in_app_iff. left. exact (named_in _ _ c first_). }
  exists used. unfold choose_thread. fold (before_choice s0). cbv zeta.
  assert (framed st R used (before_choice s0 <| current := first_ready (before_choice s0) |>)) as ok2
    by (apply (framed_same st R used (before_choice s0)); [reflexivity | reflexivity | exact ok1]).
  change (framed st R used match first_ready (before_choice s0) with
    | Some t => end_yield_by report_booked t (before_choice s0 <| current := first_ready (before_choice s0) |>)
    | None => before_choice s0 <| current := first_ready (before_choice s0) |> end).
  destruct (first_ready (before_choice s0)) as [t|]; [|exact ok2].
  apply end_yield_by_kept; [| |exact ok2].
  - intros c s is_clock ok3. apply report_booked_kept; assumption.
  - intros c pending. pose proof (fun role n => leads_on_met st R _ IfNext t (before_choice s0 <| current := Some t |>) role n ok2 (next_ t eq_refl)) as leads_.
    cbn [leads_as] in leads_. cbv zeta in leads_. rewrite pending in leads_. split; apply leads_, in_app_iff; right; simpl; tauto.
Qed.
End Step.
Theorem messages_change_what_is_met st e o : only_messages st e ->
  objects (next_of step st e) !! o = objects st !! o
  \/ (exists role, is_met role = true /\ sort (objects st !! o) = Some (sort_of_role role) /\ met_as step st e role o)
  \/ objects st !! o = None /\ met_as step st e AMade o.
Proof.
  intros only. rewrite objects_are_chosen. destruct (choice_framed st e only) as (used & [same _ _ _]).
  destruct (same o) as [stays_|[(k & is_k & role & is_met_ & <- & is_role)|made]]; [left; exact stays_ | right; left; exists role; repeat split; assumption|].
  right. right. exact made.
Qed.
