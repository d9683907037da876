(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What is named is there

    As long as no object comes or goes, what objects are of which sort is fixed. A state is [firm] when all that its objects and capabilities name is there,
    of the sort that they take it for, and nothing got stuck. Links need not be symmetric for that: so each change of one object keeps it. *)
From Coq Require Import Lia.
From Spec Require Export PlaceProofs StuckProofs.
Open Scope N_scope.

Inductive Sort := ACNode (radix : N) | AThread | AnEndpoint | ANotification | AReply | AContext | ASpace | ATable | APool.
Definition sort_of (x : Object) : Sort :=
  match x with
  | CNodeObject radix => ACNode radix
  | ThreadObject _ => AThread
  | EndpointObject _ => AnEndpoint
  | NotificationObject _ => ANotification
  | ReplyObject _ => AReply
  | SchedContextObject _ => AContext
  | VSpaceObject _ => ASpace
  | PageTableObject _ => ATable
  | ASIDPoolObject _ => APool
  end.
Definition most_interrupts : N := N.shiftl 1 51.

Section Firm.
Variable sorts : N -> option Sort.
Variable m : Machine * Prop.
Definition is_a (s : Sort) (o : N) : Prop := sorts o = Some s.
Definition named (s : Sort) (o : option N) : Prop := match o with Some o => is_a s o | None => True end.
Definition fine_state (s : RunState) : Prop :=
  match s with
  | BlockedOnReceive e r _ _ => is_a AnEndpoint e /\ named AReply r
  | BlockedOnSend e _ _ _ _ _ => is_a AnEndpoint e
  | BlockedOnReply r _ => is_a AReply r
  | BlockedOnNotification n => is_a ANotification n
  | Inactive | Running => True
  end.
Definition fine_thread (t : Thread) : Prop :=
  fine_state (run_state t) /\ named ANotification (bound_notification t) /\ named AContext (sched_context t) /\ named AContext (yielded_to t).
Definition fine_endpoint (e : Endpoint) : Prop := Forall (is_a AThread) (senders e) /\ Forall (is_a AThread) (receivers e).
Definition fine_notification (n : Notification) : Prop :=
  Forall (is_a AThread) (waiters n) /\ named AThread (bound_thread n) /\ named AContext (lent_context n).
Definition fine_reply (r : Reply) : Prop := named AThread (caller r) /\ named AThread (receiver r) /\ named AContext (along r).
Definition fine_uses (c : SchedContext) : Prop :=
  named AThread (context_thread c) /\ named ANotification (context_notification c) /\ Forall (is_a AReply) (calls c) /\ named AThread (yielder c).
Definition names_fine (x : Object) : Prop :=
  match x with
  | ThreadObject t => fine_thread t
  | EndpointObject e => fine_endpoint e
  | NotificationObject n => fine_notification n
  | ReplyObject r => fine_reply r
  | SchedContextObject c => fine_uses c
  | _ => True
  end.
Definition fine_cap (c : Capability) : Prop :=
  match c with
  | EndpointCap e _ _ => is_a AnEndpoint e
  | NotificationCap n _ _ => is_a ANotification n
  | ReplyCap r _ => is_a AReply r
  | CNodeCap o radix _ _ => is_a (ACNode radix) o /\ o + N.shiftl 1 (radix + slot_bits) <= irq_slot 0
  | TCBCap t => is_a AThread t /\ t < irq_slot 0
  | ZombieCap o => o < irq_slot 0
  | SchedContextCap c _ => is_a AContext c
  | VSpaceCap v _ => is_a ASpace v
  | PageTableCap t _ => is_a ATable t
  | ASIDPoolCap p => is_a APool p
  | IRQHandlerCap irq => irq < most_interrupts
  | _ => True
  end.
Record firm (st : State) : Prop := {
  f_sorts : forall o, option_map sort_of (objects st !! o) = sorts o;
  f_objects : forall o x, objects st !! o = Some x -> names_fine x;
  f_caps : forall slot c, capability_at slot st = Some c -> fine_cap c;
  f_known : forall slot irq, capability_at slot st = Some (IRQHandlerCap irq) -> is_some (interrupts st !! irq) = true;
  f_nowhere : capability_at nowhere st = None;
  f_machine : machine st = fst m;
  f_smooth : In Stuck (effects st) -> snd m
}.

(** ** The changes of one object *)
Lemma firm_same a b : slots b = slots a -> objects b = objects a -> same_known a b -> machine b = machine a -> adds_none a b -> firm a -> firm b.
Proof.
  intros same_slots same_objects known same_machine none [s o c k n mm sm].
  assert (forall j, capability_at j b = capability_at j a) as caps by (intros j; unfold capability_at; rewrite same_slots; reflexivity).
  constructor.
  - intros j. rewrite same_objects. apply s.
  - intros j x. rewrite same_objects. apply o.
  - intros j x. rewrite caps. apply c.
  - intros j irq. rewrite caps, (known irq). apply k.
  - rewrite caps. exact n.
  - congruence.
  - intros listed. exact (sm (none listed)).
Qed.
Lemma firm_put o x y st : objects st !! o = Some y -> sort_of x = sort_of y -> names_fine x -> firm st -> firm (put_object o x st).
Proof.
  intros there same fine [s ob c k n mm sm]. constructor; try assumption.
  - intros j. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec j o) as [->|]; [|apply s].
    rewrite <- s, there. cbn [option_map]. rewrite same. reflexivity.
  - intros j z. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec j o) as [->|]; [|apply ob].
    intros is_x. injection is_x as <-. exact fine.
Qed.
Lemma is_there s o st : firm st -> is_a s o -> exists x, objects st !! o = Some x /\ sort_of x = s.
Proof.
  intros ok is_s. pose proof (f_sorts st ok o) as same. unfold is_a in is_s. rewrite is_s in same. destruct (objects st !! o) as [x|]; [|discriminate].
  exists x. split; [reflexivity|]. cbn [option_map] in same. congruence.
Qed.
Lemma sort_at o x st : firm st -> objects st !! o = Some x -> is_a (sort_of x) o.
Proof. intros ok there. unfold is_a. rewrite <- (f_sorts st ok o), there. reflexivity. Qed.

Class Firm (f : State -> State) : Prop := keeps_firm : forall st, firm st -> firm (f st).
Class FirmToo {A : Type} (f : State -> A * State) : Prop := keeps_firm_too : forall st, firm st -> firm (snd (f st)).
Class Known (s : Sort) (o : N) : Prop := known_as : is_a s o.
Class Suits {T : Type} (fine : T -> Prop) (f : T -> T) : Prop := suits_fine : forall x, fine x -> fine (f x).
Hint Constants Opaque : typeclass_instances.
Hint Extern 0 (Known _ _) => (red; assumption) : typeclass_instances.
Ltac plain_registers :=
  repeat match goal with
  | |- context [with_registers ?l ?x] => rewrite (registers_only l x); generalize (registers (with_registers l x)); intros ?
  end.
Ltac suit :=
  intros ? ?; cbv beta;
  unfold debug_reply, write_registers, to_restart, with_error_result, with_result, with_empty_result, begin_receive, begin_call, lose_registers, with_state,
    with_register in *; cbv zeta;
  repeat match goal with |- context [if ?x then _ else _] => destruct x | |- context [match ?x with _ => _ end] => is_var x; destruct x end;
  plain_registers;
  repeat match goal with H : fine_thread _ |- _ => destruct H as (? & ? & ? & ?) | H : fine_endpoint _ |- _ => destruct H as (? & ?)
    | H : fine_notification _ |- _ => destruct H as (? & ? & ?) | H : fine_uses _ |- _ => destruct H as (? & ? & ? & ?) end;
  repeat split; try exact I; try assumption; try (constructor; assumption).
Hint Extern 0 (Suits _ _) => (solve [suit]) : typeclass_instances.

Instance firm_thread t f : Known AThread t -> Suits fine_thread f -> Firm (change_thread t f).
Proof.
  intros there fine st ok. destruct (is_there AThread t st ok there) as (x & found & sort). destruct x; try discriminate sort. unfold change_thread.
      rewrite found.
  exact (firm_put t (ThreadObject (f thread)) _ st found eq_refl (fine _ (f_objects st ok t _ found)) ok).
Qed.
Instance firm_context c f : Known AContext c -> Suits fine_uses f -> Firm (change_context c f).
Proof.
  intros there fine st ok. destruct (is_there AContext c st ok there) as (x & found & sort). destruct x; try discriminate sort. unfold change_context.
  rewrite found. exact (firm_put c (SchedContextObject (f context)) _ st found eq_refl (fine _ (f_objects st ok c _ found)) ok).
Qed.
Instance firm_endpoint e f : Known AnEndpoint e -> Suits fine_endpoint f -> Firm (change_endpoint e f).
Proof.
  intros there fine st ok. destruct (is_there AnEndpoint e st ok there) as (x & found & sort). destruct x; try discriminate sort. unfold change_endpoint.
  rewrite found. exact (firm_put e (EndpointObject (f endpoint)) _ st found eq_refl (fine _ (f_objects st ok e _ found)) ok).
Qed.
Instance firm_notification n f : Known ANotification n -> Suits fine_notification f -> Firm (change_notification n f).
Proof.
  intros there fine st ok. destruct (is_there ANotification n st ok there) as (x & found & sort). destruct x; try discriminate sort.
  unfold change_notification. rewrite found. exact (firm_put n (NotificationObject (f notification)) _ st found eq_refl (fine _ (f_objects st ok n _ found))
      ok).
Qed.
Lemma firm_reply r v st : is_a AReply r -> fine_reply v -> firm st -> firm (put_reply r v st).
Proof.
  intros there fine ok. destruct (is_there AReply r st ok there) as (x & found & sort). destruct x; try discriminate sort. unfold put_reply. rewrite found.
  exact (firm_put r (ReplyObject v) _ st found eq_refl fine ok).
Qed.
Class FineReply (v : Reply) : Prop := is_fine_reply : fine_reply v.
Hint Extern 0 (FineReply _) => (red; solve [repeat split; try exact I; assumption]) : typeclass_instances.
Instance firm_put_reply r v : Known AReply r -> FineReply v -> Firm (put_reply r v).
Proof. intros there fine st. exact (firm_reply r v st there fine). Qed.
Lemma firm_emit e st : e <> Stuck -> firm st -> firm (emit e st).
Proof. intros other. apply firm_same; try reflexivity; [intros irq; reflexivity | exact (emit_adds e st other)]. Qed.

(** ** What reading tells *)
Lemma thread_fine t st : firm st -> fine_thread (thread t st).
Proof.
  intros ok. unfold thread. destruct (objects st !! t) as [[]|] eqn:there; try (repeat split; exact I). exact (f_objects st ok t _ there).
Qed.
Lemma context_fine c st : firm st -> fine_uses (context c st).
Proof.
  intros ok. unfold context. destruct (objects st !! c) as [[]|] eqn:there; try (repeat split; try exact I; constructor). exact (f_objects st ok c _ there).
Qed.
Lemma endpoint_fine e st : firm st -> fine_endpoint (endpoint e st).
Proof. intros ok. unfold endpoint. destruct (objects st !! e) as [[]|] eqn:there; try (split; constructor). exact (f_objects st ok e _ there). Qed.
Lemma notification_fine n st : firm st -> fine_notification (notification n st).
Proof.
  intros ok. unfold notification. destruct (objects st !! n) as [[]|] eqn:there; try (repeat split; try exact I; constructor).
  exact (f_objects st ok n _ there).
Qed.
Lemma reply_fine r st : firm st -> fine_reply (reply r st).
Proof. intros ok. unfold reply. destruct (objects st !! r) as [[]|] eqn:there; try (repeat split; exact I). exact (f_objects st ok r _ there). Qed.
Lemma thread_sort t st : firm st -> thread t st <> new_thread -> is_a AThread t.
Proof. intros ok. unfold thread. destruct (objects st !! t) as [[]|] eqn:there; try contradiction. intros _. exact (sort_at t _ st ok there). Qed.
Lemma told_state t st s : firm st -> run_state (thread t st) = s -> fine_state s /\ (s = Inactive \/ is_a AThread t).
Proof.
  intros ok <-. split; [exact (proj1 (thread_fine t st ok))|]. destruct (run_state (thread t st)) eqn:state; [left; reflexivity| | | | |]; right;
    apply (thread_sort t st ok); intros no; rewrite no in state; discriminate.
Qed.
Lemma told_bound t st n : firm st -> bound_notification (thread t st) = Some n -> is_a AThread t /\ is_a ANotification n.
Proof.
  intros ok to. split; [apply (thread_sort t st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj1 (proj2 (thread_fine t st ok))) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_had t st c : firm st -> sched_context (thread t st) = Some c -> is_a AThread t /\ is_a AContext c.
Proof.
  intros ok to. split; [apply (thread_sort t st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj1 (proj2 (proj2 (thread_fine t st ok)))) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_yield t st c : firm st -> yielded_to (thread t st) = Some c -> is_a AThread t /\ is_a AContext c.
Proof.
  intros ok to. split; [apply (thread_sort t st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj2 (proj2 (proj2 (thread_fine t st ok)))) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_fault t st f : firm st -> fault (thread t st) = Some f -> is_a AThread t.
Proof. intros ok to. apply (thread_sort t st ok). intros no. rewrite no in to. discriminate. Qed.
Lemma context_sort c st : firm st -> context c st <> new_sched_context min_sched_context_bits -> is_a AContext c.
Proof. intros ok. unfold context. destruct (objects st !! c) as [[]|] eqn:there; try contradiction. intros _. exact (sort_at c _ st ok there). Qed.
Lemma told_user c st t : firm st -> context_thread (context c st) = Some t -> is_a AContext c /\ is_a AThread t.
Proof.
  intros ok to. split; [apply (context_sort c st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj1 (context_fine c st ok)) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_lender c st n : firm st -> context_notification (context c st) = Some n -> is_a AContext c /\ is_a ANotification n.
Proof.
  intros ok to. split; [apply (context_sort c st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj1 (proj2 (context_fine c st ok))) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_yielder c st t : firm st -> yielder (context c st) = Some t -> is_a AContext c /\ is_a AThread t.
Proof.
  intros ok to. split; [apply (context_sort c st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj2 (proj2 (proj2 (context_fine c st ok)))) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_lent n st c : firm st -> lent_context (notification n st) = Some c -> is_a ANotification n /\ is_a AContext c.
Proof.
  intros ok to. split; [|pose proof (proj2 (proj2 (notification_fine n st ok))) as fine; rewrite to in fine; exact fine].
  unfold notification in to. destruct (objects st !! n) as [[]|] eqn:there; try discriminate. exact (sort_at n _ st ok there).
Qed.
Lemma told_binder n st t : firm st -> bound_thread (notification n st) = Some t -> is_a ANotification n /\ is_a AThread t.
Proof.
  intros ok to. split; [|pose proof (proj1 (proj2 (notification_fine n st ok))) as fine; rewrite to in fine; exact fine].
  unfold notification in to. destruct (objects st !! n) as [[]|] eqn:there; try discriminate. exact (sort_at n _ st ok there).
Qed.
Lemma told_waiter n st t l : firm st -> waiters (notification n st) = t :: l -> is_a ANotification n /\ is_a AThread t.
Proof.
  intros ok to. split; [|pose proof (proj1 (notification_fine n st ok)) as fine; rewrite to in fine; inversion fine; assumption].
  unfold notification in to. destruct (objects st !! n) as [[]|] eqn:there; try discriminate. exact (sort_at n _ st ok there).
Qed.
Lemma told_sender e st t l : firm st -> senders (endpoint e st) = t :: l -> is_a AnEndpoint e /\ is_a AThread t /\ Forall (is_a AThread) l.
Proof.
  intros ok to. split; [|pose proof (proj1 (endpoint_fine e st ok)) as fine; rewrite to in fine; inversion fine; split; assumption].
  unfold endpoint in to. destruct (objects st !! e) as [[]|] eqn:there; try discriminate. exact (sort_at e _ st ok there).
Qed.
Lemma told_receiver e st t l : firm st -> receivers (endpoint e st) = t :: l -> is_a AnEndpoint e /\ is_a AThread t /\ Forall (is_a AThread) l.
Proof.
  intros ok to. split; [|pose proof (proj2 (endpoint_fine e st ok)) as fine; rewrite to in fine; inversion fine; split; assumption].
  unfold endpoint in to. destruct (objects st !! e) as [[]|] eqn:there; try discriminate. exact (sort_at e _ st ok there).
Qed.
Lemma reply_sort r st : firm st -> reply r st <> unused_reply -> is_a AReply r.
Proof. intros ok. unfold reply. destruct (objects st !! r) as [[]|] eqn:there; try contradiction. intros _. exact (sort_at r _ st ok there). Qed.
Lemma told_along r st c : firm st -> along (reply r st) = Some c -> is_a AReply r /\ is_a AContext c.
Proof.
  intros ok to. split; [apply (reply_sort r st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj2 (proj2 (reply_fine r st ok))) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_caller r st t : firm st -> caller (reply r st) = Some t -> is_a AReply r /\ is_a AThread t.
Proof.
  intros ok to. split; [apply (reply_sort r st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj1 (reply_fine r st ok)) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_awaiter r st t : firm st -> receiver (reply r st) = Some t -> is_a AReply r /\ is_a AThread t.
Proof.
  intros ok to. split; [apply (reply_sort r st ok); intros no; rewrite no in to; discriminate|].
  pose proof (proj1 (proj2 (reply_fine r st ok))) as fine. rewrite to in fine. exact fine.
Qed.
Lemma told_calls c st r l : firm st -> calls (context c st) = r :: l -> is_a AReply r /\ Forall (is_a AReply) l.
Proof. intros ok to. pose proof (proj1 (proj2 (proj2 (context_fine c st ok)))) as fine. rewrite to in fine. inversion fine. split; assumption. Qed.
Lemma told_occupied t a st slot c : firm st -> occupied_slot_of_address t a st = inl (slot, c) -> fine_cap c.
Proof. intros ok found. exact (f_caps st ok slot c (occupied_in_place t a st slot c found)). Qed.
Lemma told_exists t st : firm st -> thread_exists t st = true -> is_a AThread t.
Proof.
  intros ok. unfold thread_exists. destruct (objects st !! t) as [[]|] eqn:there; try discriminate. intros _. exact (sort_at t _ st ok there).
Qed.

Ltac spread := cbn [fine_state fine_cap named] in *; repeat match goal with
  | H : _ /\ _ |- _ => destruct H
  | H : ?a = Inactive \/ _ |- _ => destruct H as [H|H]; [discriminate H|]
  end.
Ltac note_fact p := let H := fresh "told" in pose proof p as H; spread.
Ltac learn_from E :=
  match type of E with
  | ?x = ?v =>
    lazymatch x with
    | run_state (thread ?t ?s) => match goal with ok : firm s |- _ => note_fact (told_state t s v ok E) end
    | context_of ?t ?s => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_had t s c ok E) end | _ => idtac end
    | sched_context (thread ?t ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_had t s c ok E) end | _ => idtac end
    | bound_notification (thread ?t ?s) => lazymatch v with Some ?n => match goal with ok : firm s |- _ => note_fact (told_bound t s n ok E) end |
        _ => idtac end
    | yielded_to (thread ?t ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_yield t s c ok E) end | _ => idtac end
    | fault (thread ?t ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_fault t s c ok E) end | _ => idtac end
    | context_thread (context ?c ?s) => lazymatch v with Some ?t => match goal with ok : firm s |- _ => note_fact (told_user c s t ok E) end | _ => idtac end
    | context_notification (context ?c ?s) =>
        lazymatch v with Some ?t => match goal with ok : firm s |- _ => note_fact (told_lender c s t ok E) end | _ => idtac end
    | yielder (context ?c ?s) => lazymatch v with Some ?t => match goal with ok : firm s |- _ => note_fact (told_yielder c s t ok E) end | _ => idtac end
    | lent_context (notification ?n ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_lent n s c ok E) end |
        _ => idtac end
    | bound_thread (notification ?n ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_binder n s c ok E) end |
        _ => idtac end
    | waiters (notification ?n ?s) => lazymatch v with ?t :: ?l => match goal with ok : firm s |- _ => note_fact (told_waiter n s t l ok E) end |
        _ => idtac end
    | senders (endpoint ?n ?s) => lazymatch v with ?t :: ?l => match goal with ok : firm s |- _ => note_fact (told_sender n s t l ok E) end | _ => idtac end
    | receivers (endpoint ?n ?s) => lazymatch v with ?t :: ?l => match goal with ok : firm s |- _ => note_fact (told_receiver n s t l ok E) end |
        _ => idtac end
    | along (reply ?r ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_along r s c ok E) end | _ => idtac end
    | caller (reply ?r ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_caller r s c ok E) end | _ => idtac end
    | receiver (reply ?r ?s) => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (told_awaiter r s c ok E) end | _ => idtac end
    | calls (context ?c ?s) => lazymatch v with ?t :: ?l => match goal with ok : firm s |- _ => note_fact (told_calls c s t l ok E) end | _ => idtac end
    | capability_at ?j ?s => lazymatch v with Some ?c => match goal with ok : firm s |- _ => note_fact (f_caps s ok j c E) end | _ => idtac end
    | occupied_slot_of_address ?t ?a ?s =>
        lazymatch v with inl (?j, ?c) => match goal with ok : firm s |- _ => note_fact (told_occupied t a s j c ok E) end | _ => idtac end
    | thread_exists ?t ?s => lazymatch v with true => match goal with ok : firm s |- _ => note_fact (told_exists t s ok E) end | _ => idtac end
    | _ => idtac
    end
  end.
Lemma firm_let (v : State) (b : State -> State) : firm v -> (forall s, firm s -> firm (b s)) -> firm (let x := v in b x).
Proof. intros ok each. exact (each v ok). Qed.
Ltac holds_state T := lazymatch T with (_ * State)%type => idtac end.
Ltac firm_step :=
  match goal with
  | H : ?P |- ?P => exact H
  | H : fine_cap (TCBCap _) |- _ => cbn [fine_cap] in H; destruct H
  | |- True => exact I
  | |- _ /\ _ => split
  | |- firm (let x := ?v in @?b x) =>
      let T := type of v in
      tryif unify T State then (apply (firm_let v b); [|let s := fresh "st" in let ok := fresh "ok" in intros s ok; cbv beta])
      else (change (firm (b v)); cbv beta)
  | |- firm (match ?x with _ => _ end) =>
      let T := type of x in
      tryif holds_state T
      then (let ok := fresh "ok" in assert (firm (snd x)) as ok; [|destruct x as (? & ?); cbn [snd] in ok])
      else (let E := fresh "eq" in destruct x eqn:E; try learn_from E)
  | |- firm (snd (match ?x with _ => _ end)) =>
      let T := type of x in
      tryif holds_state T
      then (let ok := fresh "ok" in assert (firm (snd x)) as ok; [|destruct x as (? & ?); cbn [snd] in ok])
      else (let E := fresh "eq" in destruct x eqn:E; try learn_from E)
  | |- firm (snd (_, _)) => cbn [snd]
  | |- firm (emit ?e ?s) => apply (firm_emit e s); [discriminate|]
  | |- firm (set_field _ _ ?s) =>
      cut (firm s); [apply firm_same; try reflexivity; first [exact (known_eq _ _ eq_refl) | exact id] |]
  | |- firm (snd (?f ?s)) => apply (keeps_firm_too (f := f) s)
  | |- firm (?f ?s) => apply (keeps_firm (f := f) s)
  | |- Firm _ => let s := fresh "st" in let ok := fresh "ok" in intros s ok; cbv beta
  end.
Ltac firmly := repeat firm_step.
Hint Extern 0 (Firm (fun _ => _)) => (intros ? ?; cbv beta; solve [firmly]) : typeclass_instances.
Ltac firming f := let s := fresh "st" in let ok := fresh "ok" in intros s ok; cbv beta delta [f]; firmly.

(** ** Time *)
Instance firm_unplace t : Firm (unplace t). Proof. firming unplace. Qed.
Lemma firm_place_by insert t : Firm (place_by insert t).
Proof.
  intros st ok. destruct (place_by_same insert t st) as (same_slots & _ & same_objects). apply (firm_same st); try assumption.
  - apply known_eq, place_by_known.
  - unfold place_by. cbv zeta. destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try reflexivity.
    destruct (negb _); [reflexivity|]. destruct (usable _ _); reflexivity.
  - apply place_adds.
Qed.
Instance firm_place t : Firm (place t). Proof. exact (firm_place_by insert_behind t). Qed.
Instance firm_place_ahead t : Firm (place_ahead t). Proof. exact (firm_place_by insert_ahead t). Qed.
Instance firm_place_anew t : Firm (place_anew t). Proof. firming place_anew. Qed.
Lemma uses_fine x y : same_uses x y -> context_notification y = context_notification x -> yielder y = yielder x -> fine_uses x -> fine_uses y.
Proof. intros (t & c & _) n y' (a & b & d & e). unfold fine_uses. rewrite t, c, n, y'. repeat split; assumption. Qed.
Instance suits_begin_use time : Suits fine_uses (begin_use time).
Proof. intros x. apply uses_fine; [apply uses_of_begin_use | apply loan_of_begin_use | apply yield_of_begin_use]. Qed.
Instance suits_charge used smallest : Suits fine_uses (charge used smallest).
Proof. intros x. apply uses_fine; [apply uses_of_charge | apply loan_of_charge | apply yield_of_charge]. Qed.
Instance firm_begin_sporadic t : Firm (begin_sporadic t). Proof. firming begin_sporadic. Qed.
Instance firm_wake t : Known AThread t -> Firm (wake t). Proof. intros there. red in there. firming wake. Qed.
Instance firm_wake_ahead t : Known AThread t -> Firm (wake_ahead t). Proof. intros there. red in there. firming wake_ahead. Qed.
Instance firm_give_context c t : Known AContext c -> Known AThread t -> Firm (give_context c t).
Proof. intros c_there t_there. red in c_there, t_there. firming give_context. Qed.
Instance firm_book : Firm book.
Proof.
  intros st ok. unfold book. cbv zeta. set (one := st <| charged_until := now st |>).
  assert (firm one) as ok1 by (unfold one; firmly). clearbody one. destruct (current_context one) as [c|]; [|exact ok1].
  destruct (objects one !! c) as [[]|] eqn:there; try exact ok1. pose proof (sort_at c _ one ok1 there) as is_c. cbn [sort_of] in is_c.
  apply firm_context; [exact is_c | | exact ok1]. intros x fine. exact (suits_charge _ _ x fine).
Qed.
Instance firm_will_book : Firm will_book. Proof. firming will_book. Qed.
Instance firm_book_turn : Firm book_turn. Proof. firming book_turn. Qed.
Instance firm_report_booked c : Known AContext c -> FirmToo (report_booked c).
Proof. intros there. red in there. intros st ok. unfold report_booked. firmly. Qed.
Instance firm_report_consumed c : Known AContext c -> FirmToo (report_consumed c).
Proof.
  intros there st ok. unfold report_consumed. apply (firm_report_booked c there). destruct (is_number _ _); [apply firm_book_turn|]; exact ok.
Qed.
Instance firm_end_turn : Firm end_turn_if_due. Proof. intros st ok. unfold end_turn_if_due, next_turn, begin_turn. firmly. Qed.
Instance firm_end_yield t : Firm (end_yield t). Proof. intros st ok. unfold end_yield, end_yield_by. firmly. Qed.
Instance firm_end_yield_booked t : Firm (end_yield_by report_booked t). Proof. intros st ok. unfold end_yield_by. firmly. Qed.
Instance firm_forget_yield t : Firm (forget_yield t). Proof. firming forget_yield. Qed.

(** ** Capabilities come *)
Lemma effects_children p f st : effects (change_children p f st) = effects st. Proof. destruct p; reflexivity. Qed.
Lemma effects_count c st : effects (count_reference c st) = effects st. Proof. unfold count_reference. destruct (referent c); reflexivity. Qed.
Lemma effects_discount c st : effects (discount_reference c st) = effects st. Proof. unfold discount_reference. destruct (referent c); reflexivity. Qed.
Lemma effects_replace slot e c st : effects (replace_capability slot e c st) = effects st.
Proof.
  unfold replace_capability. rewrite effects_count. change (effects (put_entry slot ?x ?s)) with (effects s). apply effects_discount.
Qed.
Lemma effects_insert_child slot p o c st : is_empty slot st && negb (is_empty p st) = true -> effects (insert_child slot p o c st) = effects st.
Proof.
  intros can. unfold insert_child. rewrite can, effects_count. change (effects (put_entry slot ?x ?s)) with (effects s). apply effects_children.
Qed.
Lemma effects_insert_sibling slot s o c st e : slots st !! slot = None -> slots st !! s = Some e -> effects (insert_sibling slot s o c st) = effects st.
Proof.
  intros vacant there. apply is_empty_spec in vacant. unfold insert_sibling. rewrite vacant, there, effects_count.
  change (effects (put_entry slot ?x ?s)) with (effects s). apply effects_children.
Qed.
Lemma firm_slots a b : same_but_slots a b -> effects b = effects a -> (forall j c, capability_at j b = Some c -> fine_cap c) ->
  (forall j irq, capability_at j b = Some (IRQHandlerCap irq) -> is_some (interrupts a !! irq) = true) -> capability_at nowhere b = None -> firm a -> firm b.
Proof.
  unfold same_but_slots. intros same e' fine known none [s o c k n mm sm].
  assert (objects b = objects a /\ interrupts b = interrupts a /\ machine b = machine a) as (o' & i' & m') by (rewrite same; repeat split).
  constructor; rewrite ?o', ?i', ?m', ?e'; assumption.
Qed.
Lemma in_fine st j c : firm st -> capability_in (slots st) j = Some c -> fine_cap c /\ forall irq, c = IRQHandlerCap irq -> is_some (interrupts st !! irq) =
    true.
Proof.
  intros ok there. rewrite <- capability_at_in in there. split; [exact (f_caps st ok j c there)|]. intros irq ->. exact (f_known st ok j irq there).
Qed.
Lemma firm_with slot c st after : same_but_slots st after -> effects after = effects st -> (forall j, capability_in (slots after) j = if j =? slot then Some
    c else capability_in (slots st) j) ->
  slot <> nowhere -> fine_cap c -> (forall irq, c = IRQHandlerCap irq -> is_some (interrupts st !! irq) = true) -> firm st -> firm after.
Proof.
  intros same told found elsewhere fine known ok.
  assert (forall j d, capability_at j after = Some d -> fine_cap d /\ forall irq, d = IRQHandlerCap irq -> is_some (interrupts st !! irq) = true) as each.
  { intros j d. rewrite capability_at_in, found. destruct (j =? slot); [intros is_c; injection is_c as <-; split; assumption | exact (in_fine st j d ok)]. }
  apply (firm_slots st); [exact same | exact told | | | | exact ok].
  - intros j d there. exact (proj1 (each j d there)).
  - intros j irq there. exact (proj2 (each j _ there) irq eq_refl).
  - rewrite capability_at_in, found. destruct (N.eqb_spec nowhere slot); [congruence|]. rewrite <- capability_at_in. exact (f_nowhere st ok).
Qed.
Lemma alike_fine x c : stands_alike x c = true -> x <> IRQControlCap -> fine_cap x -> fine_cap c.
Proof.
  intros alike other fine. destruct (object_of c) as [o|] eqn:names.
  - destruct (alike_body x c o alike names) as (same & type & size). destruct x, c; try discriminate type; try discriminate names; try exact I;
      cbn [object_of referent is_number] in *; apply N.eqb_eq in same; cbn [told_size] in size; injection names as <-; subst; exact fine.
  - destruct c; try discriminate names; try exact I. destruct x; try discriminate alike; [contradiction|]. cbn [stands_alike] in alike.
    apply N.eqb_eq in alike. subst. exact fine.
Qed.
Lemma alike_self c : stands_alike c (derived c) = true.
Proof.
  destruct c; cbn [derived stands_alike object_of referent cap_type told_size is_number]; rewrite ?N.eqb_refl, ?Bool.eqb_reflx; try reflexivity.
Qed.

(** Where it comes from, and that it may come. *)
Definition may_derive (c x : Capability) (source_ : N) (st : State) : Prop :=
  if is_untyped x then has_children source_ st = false
  else is_zombie c = false /\ is_claimed c st = true /\ stands_alike x c = true /\ (x = IRQControlCap -> fine_cap c).
Lemma firm_derived slot source_ o c x st : slots st !! slot = None -> slot <> nowhere -> capability_at source_ st = Some x -> may_derive c x source_ st ->
  firm st -> firm (insert_derived slot source_ o c st).
Proof.
  intros vacant elsewhere there may ok. unfold insert_derived. pose proof (f_caps st ok _ _ there) as fine_x.
  unfold capability_at in there. destruct (slots st !! source_) as [e|] eqn:found; [|discriminate].
  injection there as is_x. unfold may_derive in may. assert (slot <> source_) as other by congruence.
  destruct (is_untyped x) eqn:untyped.
  - rewrite is_x. destruct x as [base bits device used| | | | | | | | | | | | | | | | | |]; try discriminate untyped.
    unfold carve, capability_at. rewrite found, is_x, may. cbv zeta.
    assert ((base + 0 <=? base) && (base + N.shiftl 1 bits <=? base + N.shiftl 1 bits) && is_empty slot st && negb (@is_some Object None && is_some (objects
      st !! base)) = true) as can.
    { apply is_empty_spec in vacant. rewrite vacant, N.add_0_r, N.leb_refl, N.leb_refl. reflexivity. }
    rewrite can. cbn [put_if_some]. set (taken := replace_capability source_ e _ st).
    assert (firm taken) as ok1.
    { apply (firm_with source_ (UntypedCap base bits device (base + N.shiftl 1 bits - base)) st); try exact I; [exact (replace_capability_same _ _ _ _) |
        apply effects_replace | | |
        discriminate | exact ok].
      - intros j. exact (in_replace source_ e _ st j found).
      - intros is_n. pose proof (f_nowhere st ok) as none. unfold capability_at in none. rewrite <- is_n, found in none. discriminate. }
    assert (is_empty slot taken && negb (is_empty source_ taken) = true) as can1.
    { unfold taken, is_empty. rewrite slots_of_replace, !find_set, N.eqb_refl. apply N.eqb_neq in other. rewrite other, vacant. reflexivity. }
    apply (firm_with slot (UntypedCap base bits device used) taken); try exact I; [exact (insert_child_same _ _ _ _ _) | exact (effects_insert_child _ _ _ _ _
      can1) | | exact elsewhere | discriminate | exact ok1].
    intros j. exact (in_insert_child _ _ _ _ _ j can1).
  - destruct may as (no_zombie & claimed & alike & control).
    assert (fine_cap c) as fine_c.
    { destruct (N.eq_dec (CapType.number (cap_type x)) (CapType.number CapType.IRQControl)) as [same|differs].
      - apply control. destruct x; try discriminate same; reflexivity.
      - apply (alike_fine x c alike); [intros ->; exact (differs eq_refl) | exact fine_x]. }
    assert (forall irq, c = IRQHandlerCap irq -> is_some (interrupts st !! irq) = true) as known by (intros irq ->; exact claimed).
    assert (firm (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
                  else if original e then insert_child slot source_ o c st else insert_sibling slot source_ o c st)) as usual.
    { rewrite no_zombie, claimed, is_x, alike. cbn [orb negb]. destruct (original e).
      - assert (is_empty slot st && negb (is_empty source_ st) = true) as can by (unfold is_empty; rewrite found, vacant; reflexivity).
        apply (firm_with slot c st); [exact (insert_child_same _ _ _ _ _) | exact (effects_insert_child _ _ _ _ _ can) | | exact elsewhere | exact fine_c |
          exact known | exact ok].
        intros j. exact (in_insert_child _ _ _ _ _ j can).
      - apply (firm_with slot c st); [exact (insert_sibling_same _ _ _ _ _) | exact (effects_insert_sibling _ _ _ _ _ e vacant found) | | exact elsewhere |
          exact fine_c | exact known | exact ok].
        intros j. exact (in_insert_sibling slot source_ o c st e j vacant found). }
    rewrite is_x in *. destruct x; try exact usual. discriminate untyped.
Qed.
Lemma may_copy source_ c st : firm st -> capability_at source_ st = Some c -> derivation_error source_ c st = None -> may_derive (derived c) c source_ st.
Proof.
  intros ok there may. unfold may_derive. destruct (is_untyped c) eqn:untyped.
  - destruct c; try discriminate untyped. cbn [derivation_error] in may. destruct (has_children source_ st); [discriminate | reflexivity].
  - assert (is_zombie (derived c) = false) as no_zombie by (destruct c; try reflexivity; discriminate may).
    split; [exact no_zombie|]. split; [|split; [exact (alike_self c) | intros ->; discriminate may]].
    destruct c; try reflexivity. exact (f_known st ok _ _ there).
Qed.

(** Slots that addresses name. *)
Lemma cnode_slot_low o radix i : o + N.shiftl 1 (radix + slot_bits) <= irq_slot 0 -> i < N.shiftl 1 radix -> slot_of o i < irq_slot 0.
Proof.
  unfold slot_of, slot_bytes. rewrite !N.shiftl_1_l, N.pow_add_r. change (2 ^ slot_bits) with 32. lia.
Qed.
Lemma low_elsewhere slot : slot < irq_slot 0 -> slot <> nowhere.
Proof. intros less is_n. subst. discriminate less. Qed.
Definition fits_below (o radix : N) : Prop := o + N.shiftl 1 (radix + slot_bits) <= irq_slot 0.
Lemma walk_ends_low st : firm st -> forall levels cnode radix guard size address bits slot left_,
  fits_below cnode radix -> walk levels cnode radix guard size address bits st = Reached slot left_ -> slot <> nowhere.
Proof.
  intros ok. induction levels as [|levels IH]; intros cnode radix guard size address bits slot left_ there; cbn [walk]; cbv zeta.
  all: destruct (_ || _); [discriminate|]; destruct (bits <? size + radix); [discriminate|].
  all: pose proof (low_elsewhere _ (cnode_slot_low cnode radix (bits_of address (bits - (size + radix)) radix) there (bits_below _ _ _))) as here.
  all: destruct (bits - (size + radix) =? 0); [intros same; injection same as <- _; exact here|].
  all: destruct (capability_at _ st) as [[]|] eqn:found; try (intros same; injection same as <- _; exact here).
  - discriminate.
  - apply IH. exact (proj2 (f_caps st ok _ _ found)).
Qed.
Lemma slot_under_low st c address depth slot : firm st -> fine_cap c -> slot_under (Some c) address depth st = inl slot -> slot <> nowhere.
Proof.
  intros ok fine. unfold slot_under, walk_from. destruct c; try discriminate.
  destruct (walk _ _ _ _ _ _ _ _) as [s left_|] eqn:walked; [|discriminate]. destruct left_; [|discriminate]. intros same. injection same as <-.
  exact (walk_ends_low st ok _ _ _ _ _ _ _ _ _ (proj2 fine) walked).
Qed.
Lemma receive_slot_low t st slot : firm st -> receive_slot t st = Some slot -> slot <> nowhere /\ slots st !! slot = None.
Proof.
  intros ok. unfold receive_slot. destruct (receive_buffer t st) as [b|]; [|discriminate]. cbv zeta.
  destruct (occupied_slot_of_address _ _ _) as [(s & root)|] eqn:found; [|discriminate]. destruct (_ <=? _); [|discriminate].
  destruct (slot_under _ _ _ _) as [j|] eqn:under; [|discriminate]. destruct (is_empty j st) eqn:vacant; [|discriminate]. intros same. injection same as <-.
  split; [exact (slot_under_low st root _ _ j ok (told_occupied _ _ _ _ _ ok found) under) | apply is_empty_spec; exact vacant].
Qed.

(** ** Messages *)
Instance firm_write_memory a v : Firm (write_memory a v). Proof. firming write_memory. Qed.
Instance firm_write_words a l : Firm (write_words a l).
Proof. revert a. induction l as [|v l IH]; intros a st ok; cbn [write_words]; [exact ok|]. apply IH. firmly. Qed.
Instance firm_write_long_words t l : Firm (write_long_words t l). Proof. firming write_long_words. Qed.
Instance firm_transfer position l through from to free : FirmToo (transfer position l through from to free).
Proof.
  revert position free. induction l as [|address rest IH]; intros position free st ok; cbn [transfer]; [exact ok|].
  destruct (receive_buffer to st) as [b|]; [|exact ok]. destruct (occupied_slot_of_address from address st) as [(s & c)|] eqn:found; [|exact ok]. cbv zeta.
  match goal with |- firm (snd (match ?x with _ => _ end)) => destruct x as [badge|] end.
  - assert (firm (write_memory (b + ipc_buffer_caps_or_badges + 8 * position) badge st)) as ok1 by firmly.
    pose proof (IH (position + 1) free _ ok1) as after. destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). exact after.
  - destruct free; [|exact ok]. destruct (derivation_error s c st) eqn:may; [exact ok|]. destruct (receive_slot to st) as [slot|] eqn:into; [|exact ok].
    destruct (receive_slot_low to st slot ok into) as (elsewhere & vacant). pose proof (occupied_in_place _ _ _ _ _ found) as there.
    pose proof (firm_derived slot s false (derived c) c st vacant elsewhere there (may_copy s c st ok there may) ok) as ok1.
    pose proof (IH (position + 1) false _ ok1) as after. destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). exact after.
Qed.
Instance firm_deliver mm through badge caps from to : Known AThread to -> Firm (deliver mm through badge caps from to).
Proof.
  intros there st ok. red in there. unfold deliver. pose proof (firm_transfer 0 (if caps then cap_addresses mm else []) through from to true st ok) as after.
  destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). cbn [snd] in after. firmly.
Qed.
Lemma calls_from_fine r l : Forall (is_a AReply) l -> Forall (is_a AReply) (calls_from r l) /\ Forall (is_a AReply) (calls_above r l).
Proof.
  induction 1 as [|x l here others IH]; cbn [calls_from calls_above]; [split; constructor|]. destruct (x =? r).
  - split; [|constructor]. constructor; assumption.
  - split; [exact (proj1 IH) | constructor; [exact here | exact (proj2 IH)]].
Qed.
Lemma firm_without r st : is_a AReply r -> firm st -> firm (put_reply r (without_context (reply r st)) st).
Proof.
  intros there ok. apply firm_reply; [exact there | | exact ok]. destruct (reply_fine r st ok) as (c & v & _). repeat split; assumption.
Qed.
Lemma firm_lose l st : Forall (is_a AReply) l -> firm st -> firm (fold_left (fun st r => put_reply r (without_context (reply r st)) st) l st).
Proof. intros fine. revert st. induction fine as [|r l here _ IH]; intros st ok; [exact ok|]. cbn [fold_left]. apply IH, firm_without; assumption. Qed.
Instance firm_break_stack r : Firm (break_stack r).
Proof.
  intros st ok. unfold break_stack. destruct (along (reply r st)) as [c|] eqn:with_c; [|exact ok]. cbv zeta. learn_from with_c.
  destruct (calls_from_fine r _ (proj1 (proj2 (proj2 (context_fine c st ok))))) as (from & above_).
  apply firm_context; [assumption | | exact (firm_lose _ st from ok)]. intros x (a & b & _ & d). repeat split; assumption.
Qed.
Ltac let_first := match goal with |- firm (let x := ?v in @?b x) => apply (firm_let v b) end.
Instance firm_return_context r t : Known AThread t -> Firm (return_context r t).
Proof.
  intros there st ok. red in there. unfold return_context. destruct (along (reply r st)) as [c|] eqn:with_c; [|exact ok]. learn_from with_c.
  destruct (calls (context c st)) as [|last_ rest] eqn:stack; [firmly|]. learn_from stack. destruct (_ =? _); [|firmly]. cbv zeta.
  assert (firm (change_context c (fun x => x <| calls := rest |>) st)) as ok1.
  { apply firm_context; [assumption | | exact ok]. intros x (a & b & _ & d). repeat split; assumption. }
  revert ok1. generalize (change_context c (fun x => x <| calls := rest |>) st). intros one ok1.
  assert (firm (put_reply r (without_context (reply r one)) one)) as ok2 by (apply firm_without; assumption). revert ok2.
  generalize (put_reply r (without_context (reply r one)) one). intros two ok2. firmly.
Qed.
Instance firm_empty_result t : Known AThread t -> Firm (set_empty_result t). Proof. intros there. red in there. firming set_empty_result. Qed.
Instance firm_error_result e t : Known AThread t -> Firm (set_error_result e t). Proof. intros there. red in there. firming set_error_result. Qed.
Instance firm_end_call t h : Known AThread t -> Firm (end_call_of t h). Proof. intros there. red in there. firming end_call_of. Qed.
Instance firm_free_reply r : Known AReply r -> Firm (free_reply r).
Proof.
  intros there st ok. red in there. cbv beta delta [free_reply]. let_first; [firmly|]. intros one ok1. cbv beta. let_first; [|intros two ok2; firmly].
  destruct (receiver (reply r one)) as [t|] eqn:to; [|exact ok1]. learn_from to. apply firm_thread; [assumption | | exact ok1].
  intros x (a & b & c & d). revert a. destruct (run_state x) eqn:state; intros a; try (split; [rewrite state; exact a | repeat split; assumption]).
  destruct a as (a & _). repeat split; assumption.
Qed.
Lemma without_fine s t l : Forall (is_a s) l -> Forall (is_a s) (without t l).
Proof. intros fine. unfold without. apply Forall_forall. intros x listed. apply filter_In in listed. rewrite Forall_forall in fine.
    exact (fine x (proj1 listed)). Qed.
Lemma inserted_fine s p t l : is_a s t -> Forall (is_a s) l -> Forall (is_a s) (insert_by p t l).
Proof.
  intros there fine. induction fine as [|x l here rest IH]; cbn [insert_by]; [constructor; [exact there | constructor]|].
  destruct (p x); repeat constructor; assumption.
Qed.
Hint Extern 0 (Suits fine_endpoint _) => (solve [intros ? (? & ?); split; try assumption; try apply inserted_fine; try apply without_fine; assumption]) :
  typeclass_instances.
Hint Extern 0 (Suits fine_notification _) => (solve [intros ? (? & ? & ?); split; [|split]; try assumption; try apply inserted_fine; try apply without_fine;
  assumption]) : typeclass_instances.
Instance firm_stop_waiting t : Firm (stop_waiting t). Proof. firming stop_waiting. Qed.
Instance firm_suspend t : Known AThread t -> Firm (suspend t). Proof. intros there. red in there. firming suspend. Qed.
Instance firm_make_inactive t : Known AThread t -> Firm (make_inactive t). Proof. intros there. red in there. firming make_inactive. Qed.
Instance firm_restart t : Known AThread t -> Firm (restart t). Proof. intros there. red in there. firming restart. Qed.
Instance firm_end_unanswered t : Known AThread t -> Firm (end_unanswered t). Proof. intros there. red in there. firming end_unanswered. Qed.
Instance firm_return_lent t n : Firm (return_lent_context t n). Proof. firming return_lent_context. Qed.
Instance firm_lend_context t n : Known AThread t -> Firm (lend_context t n). Proof. intros there. red in there. firming lend_context. Qed.
Lemma lent_named t st b : firm st -> named AContext (if b : bool then context_of t st else None).
Proof. intros ok. destruct b; [exact (proj1 (proj2 (proj2 (thread_fine t st ok)))) | exact I]. Qed.
Class Naming (r : option N) : Prop := naming : named AReply r.
Hint Extern 0 (Naming _) => (red; first [assumption | exact I]) : typeclass_instances.
Instance firm_meet s t e b r rg g gr c l : Known AThread s -> Known AThread t -> Naming r -> Firm (meet s t e b r rg g gr c l).
Proof.
  intros s_there t_there r_there st ok. red in s_there, t_there, r_there. cbv beta delta [meet].
  match goal with |- firm (let x := ?v in @?b x) => change (firm (b v)); cbv beta end.
  match goal with |- firm (let x := ?v in @?b x) => change (firm (b v)); cbv beta end.
  generalize (lends_now s t (l && ((c && answerable r g gr) || negb c)) st). intros lending. generalize (c && answerable r g gr). intros answered.
  let_first; [firmly|]. intros one ok1. cbv beta. let_first; [destruct r; cbn [named] in r_there; firmly|]. intros two ok2. cbv beta.
  pose proof (lent_named s two lending ok2) as lent_there.
  match goal with |- firm (let x := ?v in @?b x) => change (firm (b v)); cbv beta end.
  revert lent_there. generalize (if lending then context_of s two else None). intros lent lent_there.
  let_first; [|intros three ok3; destruct lent as [k|]; cbn [named] in lent_there; firmly].
  destruct c, answered, r as [r|]; cbn [named] in r_there; try solve [firmly].
  all: destruct lent as [k|]; cbn [named] in lent_there; firmly.
Qed.
Definition head_receives (e : N) (st : State) : Prop :=
  forall first rest, receivers (endpoint e st) = first :: rest -> exists x r q g, run_state (thread first st) = BlockedOnReceive x r q g.
Lemma firm_send t e b g gr c l w st : is_a AThread t -> is_a AnEndpoint e -> head_receives e st -> firm st -> firm (snd (send t e b g gr c l w st)).
Proof.
  intros t_there e_there head ok. unfold send. destruct (receivers (endpoint e st)) as [|first rest] eqn:queue.
  - destruct w; [|exact ok]. cbn [snd]. set (s := BlockedOnSend e b g gr c l).
    assert (firm (change_thread t (with_state s) (unplace t st))) as ok1.
    { apply firm_thread; [exact t_there | | firmly]. intros x (_ & fine). split; [exact e_there | exact fine]. }
    revert ok1. generalize (change_thread t (with_state s) (unplace t st)). intros one ok1. firmly.
  - destruct (head first rest queue) as (x & r & q & rg & state). rewrite state. learn_from queue. learn_from state. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [exact ok|]. cbn [snd]. firmly.
Qed.
Instance firm_refuse_sender t : Known AThread t -> Firm (refuse_sender t). Proof. intros there. red in there. firming refuse_sender. Qed.
Instance firm_take_flags t n : Known AThread t -> Known ANotification n -> Firm (take_flags t n).
Proof. intros there n_there. red in there, n_there. firming take_flags. Qed.
Instance firm_wait_on t n b : Known AThread t -> Known ANotification n -> Firm (wait_on t n b).
Proof.
  intros there n_there st ok. red in there, n_there. unfold wait_on. destruct (is_active n st); [firmly|]. destruct b; [|firmly].
  assert (firm (change_thread t (with_state (BlockedOnNotification n)) (unplace t st))) as ok1.
  { apply firm_thread; [exact there | | firmly]. intros x (_ & fine). split; [exact n_there | exact fine]. }
  revert ok1. generalize (change_thread t (with_state (BlockedOnNotification n)) (unplace t st)). intros one ok1. firmly.
Qed.
Instance firm_hand_flags t n : Known AThread t -> Known ANotification n -> Firm (hand_flags_to t n).
Proof. intros there n_there. red in there, n_there. firming hand_flags_to. Qed.
Instance firm_signal n b : Known ANotification n -> Firm (signal n b).
Proof. intros there. red in there. firming signal. Qed.
Lemma fine_with_registers l x : fine_thread x -> fine_thread (with_registers l x). Proof. intros fine. rewrite (registers_only l x). exact fine. Qed.
Instance firm_answer_fault t f mm : Known AThread t -> Firm (answer_fault t f mm).
Proof.
  intros there st ok. red in there. cbv beta delta [answer_fault]. let_first; [|intros one ok1; firmly]. apply firm_thread; [exact there | | exact ok].
  intros x fine. cbv beta zeta. assert (fine_thread (write_registers (registers_of_fault (fault_label f)) (words mm) (x <| fault := None |>))) as fine1
    by (apply fine_with_registers; exact fine).
  revert fine1. generalize (write_registers (registers_of_fault (fault_label f)) (words mm) (x <| fault := None |>)). intros y fine1.
  destruct (fault_label f); try exact fine1. unfold debug_reply. destruct (BreakpointType.of_number _) as [[]|]; try exact fine1.
  destruct (words mm); [exact fine1 | exact fine1].
Qed.
Instance firm_answer t r g : Known AReply r -> Firm (answer t r g).
Proof. intros there. red in there. firming answer. Qed.
Lemma firm_raise slot l t f st : is_a AThread t -> (forall e, head_receives e st) -> firm st -> firm (raise_fault_to slot l t f st).
Proof.
  intros there heads ok. unfold raise_fault_to. destruct (capability_at (slot_of t slot) st) as [[]|] eqn:at_; try solve [firmly]. learn_from at_.
  destruct (_ && _); [|firmly]. cbv zeta. assert (firm (change_thread t (fun x => x <| fault := Some f |>) st)) as ok1 by firmly.
  assert (head_receives endpoint (change_thread t (fun x => x <| fault := Some f |>) st)) as head.
  { intros first rest. destruct (is_there AThread t st ok there) as (y & found & sort). destruct y; try discriminate sort.
    unfold change_thread. rewrite found. intros queue. destruct (heads endpoint first rest) as (x & r & q & g & state).
    - revert queue. unfold Objects.endpoint. change (objects (put_object t ?x st)) with (set t x (objects st)). rewrite find_set.
      destruct (N.eqb_spec endpoint t) as [->|]; [discriminate | exact id].
    - exists x, r, q, g. revert state. unfold Objects.thread. change (objects (put_object t ?x st)) with (set t x (objects st)). rewrite find_set.
      destruct (N.eqb_spec first t) as [->|]; [rewrite found|]; exact id. }
  pose proof (firm_send t endpoint badge (can_grant rights) (can_grant_reply rights) true l true _ there told head ok1) as sent_.
  destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [snd] in sent_; try exact sent_. firmly.
Qed.

(** ** Receiving *)
Lemma runs_there t st : firm st -> run_state (thread t st) = Running -> is_a AThread t.
Proof. intros ok runs. destruct (proj2 (told_state t st _ ok runs)) as [no|there]; [discriminate no | exact there]. Qed.
Instance firm_refuse_first e r : Firm (refuse_first e r).
Proof.
  intros st ok. unfold refuse_first, first_refused. destruct (senders (endpoint e st)) as [|s rest] eqn:queue; [exact ok|]. learn_from queue.
  destruct (run_state (thread s st)); try exact ok. destruct (_ && _); [exact ok|].
  assert (firm (change_endpoint e (fun x => x <| senders := tl (senders x) |>) st)) as ok1.
  { apply firm_endpoint; [assumption | | exact ok]. intros x (a & b). split; [|exact b]. cbn. destruct a; [constructor | assumption]. }
  firmly.
Qed.
Lemma firm_receive_from queue t e r g st : is_a AThread t -> is_a AnEndpoint e -> named AReply r ->
  waiting nobody st -> senders (endpoint e st) = queue -> firm st -> firm (snd (receive_from queue t e r g st)).
Proof.
  intros t_there e_there r_there wait queue_ ok. destruct queue as [|s rest]; cbn [receive_from]; [exact ok|].
  assert (In s (senders (endpoint e st))) as listed by (rewrite queue_; left; reflexivity).
  destruct (is_sender nobody e st s wait listed) as (b & sg & gr & c & l & state). rewrite state. learn_from queue_. cbv zeta.
  assert (firm (change_endpoint e (fun x => x <| senders := rest |>) st)) as ok1 by firmly.
  set (one := change_endpoint e (fun x => x <| senders := rest |>) st) in *. clearbody one.
  cbn [snd]. assert (firm (meet s t e b r g sg gr c l one)) as ok2 by firmly. destruct c; [exact ok2 | firmly].
Qed.
Lemma firm_begin_receive t e r q g bound b st : is_a AThread t -> is_a AnEndpoint e -> named AReply r -> waiting nobody st -> firm st ->
  firm (let (received, st) := receive_from (senders (endpoint e st)) t e r g st in
        if received then st
        else if b : bool then
          let st := change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t st) in
          let st := change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st |>) st in
          let st := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st | None => st end in
          match bound with Some n => return_lent_context t n st | None => st end
        else set_empty_result t st).
Proof.
  intros t_there e_there r_there wait ok.
  pose proof (firm_receive_from (senders (endpoint e st)) t e r g st t_there e_there r_there wait eq_refl ok) as after.
  destruct (receive_from _ _ _ _ _ _) as (got & two). cbn [snd] in after. destruct got; [exact after|]. destruct b; [|firmly].
  let_first.
  - apply firm_thread; [exact t_there | | firmly]. intros x (_ & fine). unfold begin_receive, lose_registers. rewrite registers_only.
    split; [split; [exact e_there | exact r_there] | exact fine].
  - intros three ok3. cbv beta. let_first; [firmly|]. intros four ok4. cbv beta. let_first; [destruct r; cbn [named] in r_there; firmly|].
    intros five ok5. cbv beta. destruct bound; firmly.
Qed.
Lemma firm_receive t e r q g b st : is_a AnEndpoint e -> named AReply r -> waiting nobody st -> run_state (thread t st) = Running -> firm st ->
  firm (receive t e r q g b st).
Proof.
  intros e_there r_there wait runs ok. pose proof (runs_there t st ok runs) as t_there.
  assert (firm (match r with Some r => free_reply r st | None => st end) /\ waiting nobody (match r with Some r => free_reply r st | None => st end))
    as (ok1 & wait1).
  { destruct r as [r|]; cbn [named] in r_there; [|split; assumption]. split; [firmly | exact (proj1 (reply_freed r st wait))]. }
  cbv beta delta [receive]. match goal with |- firm (let x := ?v in @?b x) => change (firm (b v)); cbv beta end. revert ok1 wait1.
  generalize (match r with Some r => free_reply r st | None => st end). intros one ok1 wait1.
  match goal with |- firm (let x := ?v in @?b x) => change (firm (b v)); cbv beta end.
  destruct (bound_notification (thread t one)) as [n|] eqn:bound.
  - learn_from bound. destruct (is_signalled t one); [firmly|]. exact (firm_begin_receive t e r q g (Some n) b one t_there e_there r_there wait1 ok1).
  - exact (firm_begin_receive t e r q g None b one t_there e_there r_there wait1 ok1).
Qed.

(** ** The second phase, and what comes back *)
Lemma heads_receive st e : waiting nobody st -> head_receives e st.
Proof.
  intros wait first rest queue. assert (In first (receivers (endpoint e st))) as listed by (rewrite queue; left; reflexivity).
  pose proof (proj1 (w_stands nobody st wait first (InReceivers e)) listed) as (_ & named_).
  destruct (run_state (thread first st)) as [| |x r q rg| | |]; try contradiction. exists x, r, q, rg. reflexivity.
Qed.
Lemma firm_becomes n t : Known AThread t -> Firm (becomes n t). Proof. intros there. red in there. firming becomes. Qed.
#[local] Existing Instance firm_becomes.
Lemma firm_cap_fault t a p r st : is_a AThread t -> waiting nobody st -> firm st -> firm (snd (cap_fault t a p r st)).
Proof.
  intros there wait ok. unfold cap_fault. cbn [snd]. apply firm_raise; [exact there | | firmly]. intros e. apply heads_receive.
  exact (proj1 (quiet_thread t to_restart st ltac:(reflexivity) wait)).
Qed.
Lemma firm_unknown t st : is_a AThread t -> waiting nobody st -> firm st -> firm (snd (unknown_system_call t st)).
Proof.
  intros there wait ok. unfold unknown_system_call. cbn [snd]. apply firm_raise; [exact there | | firmly]. intros e. apply heads_receive.
  exact (proj1 (quiet_thread t to_restart st ltac:(reflexivity) wait)).
Qed.
Instance firm_go_back t : Firm (go_back t). Proof. firming go_back. Qed.
Lemma firm_units {A} remains (work : A -> State -> A * State) a st : (forall a st, firm st -> firm (snd (work a st))) -> firm st ->
  firm (state_of (in_units remains work a st)).
Proof.
  intros each ok. unfold in_units.
  assert (match repeat_after (allowance st) (unit_turn remains work) (a, allowance st, st) with Again x => firm (snd x) | Finished p => firm (state_of p) end)
    as kept.
  { apply (repeat_keeps (unit_turn remains work) (fun x => firm (snd x)) (fun p => firm (state_of p))); [|exact ok].
    intros ((b & units) & one) ok1. cbn [snd] in ok1. unfold unit_turn. destruct (negb _); [cbn [state_of]; unfold allow; firmly|].
    destruct (_ =? _); [cbn [state_of]; unfold allow; firmly|]. pose proof (each b one ok1) as after. destruct (work b one). exact after. }
  destruct (repeat_after _ _ _) as [((b & units) & one)|q]; exact kept.
Qed.
Lemma firm_early t w first st : firm st -> firm (state_of (refuse_early t w first st)).
Proof.
  intros ok. unfold refuse_early. destruct (source_of t w st) as [e r g|n|a r]; try exact ok. destruct (_ && _); [|exact ok].
  apply firm_units; [|exact ok]. intros u one ok1. exact (firm_refuse_first e r one ok1).
Qed.
Lemma firm_receive_now t w b st : waiting nobody st -> run_state (thread t st) = Running -> firm st -> firm (snd (receive_now t w b st)).
Proof.
  intros wait runs ok. pose proof (runs_there t st ok runs) as there. unfold receive_now.
  assert (match source_of t w st with
          | FromEndpoint e r _ => is_a AnEndpoint e /\ named AReply r
          | FromNotification n => is_a ANotification n
          | FromNothing _ _ => True
          end) as names_.
  { unfold source_of. cbv zeta. destruct (occupied_slot_of_address t (register 0 (thread t st)) st) as [(s & c)|] eqn:found; [|exact I].
    learn_from found. destruct c; try exact I.
    - destruct (negb _); [exact I|]. destruct w; [|split; [exact told | exact I]].
      destruct (occupied_slot_of_address t (register 6 (thread t st)) st) as [(k & d)|] eqn:second; [|exact I]. learn_from second.
      destruct d; try exact I. split; assumption.
    - destruct (_ && _); [exact told | exact I]. }
  destruct (source_of t w st) as [e r g|n|a r]; cbn [snd].
  - destruct names_ as (e_there & r_there). apply firm_receive; assumption.
  - apply firm_wait_on; [exact there | exact names_ | exact ok].
  - exact (firm_cap_fault t a 1 r st there wait ok).
Qed.
Lemma firm_receive_phase t w b st : waiting nobody st -> run_state (thread t st) = Running -> firm st -> firm (snd (receive_phase t w b st)).
Proof.
  intros wait runs ok. change (receive_phase t w b st) with (unless_preempted t (refuse_early t w (free_own_reply t w) st) (receive_now t w b)).
  pose proof (firm_early t w (free_own_reply t w) st ok) as ok1. destruct (refused_early t w (free_own_reply t w) st (conj wait runs)) as (wait1 & runs1).
  destruct (refuse_early t w (free_own_reply t w) st) as [one|one]; cbn [unless_preempted state_of snd] in *; [|firmly].
  exact (firm_receive_now t w b one wait1 runs1 ok1).
Qed.
Instance firm_put_result t e l : Firm (put_result t e l). Proof. firming put_result. Qed.
Instance firm_reply_phase t : Firm (reply_phase t).
Proof.
  intros st ok. unfold reply_phase. destruct (occupied_slot_of_address _ _ _) as [(s & c)|] eqn:found; [|exact ok]. learn_from found. destruct c; firmly.
Qed.
Instance firm_yield t : Firm (yield t). Proof. firming yield. Qed.
Lemma firm_then_receive t w st : waiting nobody st -> firm st -> firm (snd (then_receive t w st)).
Proof.
  intros wait ok. unfold then_receive. destruct (thread_exists t st) eqn:there; [|exact ok]. learn_from there. cbn [negb]. cbv zeta.
  assert (firm (becomes (if w then Syscall.Recv else Syscall.Wait) t st)) as ok1 by firmly.
  assert (waiting nobody (becomes (if w then Syscall.Recv else Syscall.Wait) t st)) as wait1 by exact (@keeps_becomes _ _ _ _ (waiting_quietly nobody) _ t
      st wait).
  revert ok1 wait1. generalize (becomes (if w then Syscall.Recv else Syscall.Wait) t st). intros one ok1 wait1.
  destruct (is_running t one) eqn:runs; cbn [andb]; [|cbn [snd]; firmly].
  destruct (negb _); [apply firm_receive_phase; [exact wait1 | apply running_is; exact runs | exact ok1] | cbn [snd]; firmly].
Qed.

(** ** Tables and address spaces *)
Lemma firm_change_table t f st : is_a ASpace t \/ is_a ATable t -> firm st -> firm (change_table t f st).
Proof.
  intros [there|there] ok; destruct (is_there _ t st ok there) as (x & found & sort); destruct x; try discriminate sort; unfold change_table; rewrite found;
    [exact (firm_put t (VSpaceObject (f table)) _ st found eq_refl I ok) | exact (firm_put t (PageTableObject (f table)) _ st found eq_refl I ok)].
Qed.
Lemma told_entry t i st e : firm st -> table_entries t st !! i = Some e -> is_a ASpace t \/ is_a ATable t.
Proof.
  intros ok. unfold table_entries. destruct (objects st !! t) as [[]|] eqn:there; try (rewrite find_empty; discriminate); intros _.
  - left. exact (sort_at t _ st ok there).
  - right. exact (sort_at t _ st ok there).
Qed.
Lemma firm_unmap p level one e st : e <> Stuck -> firm st -> firm (unmap p level one e st).
Proof.
  intros other ok. unfold unmap. destruct (vspace_of_asid _ st) as [v|]; [|exact ok]. destruct (table_of_level _ _ _ st) as [t|]; [|exact ok]. cbv zeta.
  destruct (table_entries t st !! _) as [x|] eqn:found; [|exact ok]. destruct (one x); [|exact ok]. apply firm_emit; [exact other|].
  exact (firm_change_table t _ st (told_entry t _ st x ok found) ok).
Qed.
Instance firm_unmap_frame base bits p : Firm (unmap_frame base bits p).
Proof. intros st ok. unfold unmap_frame. destruct p; [|exact ok]. apply firm_unmap; [discriminate | exact ok]. Qed.
Instance firm_unmap_table t p : Known ATable t -> Firm (unmap_table t p).
Proof.
  intros there st ok. unfold unmap_table. destruct p; [|exact ok]. apply firm_change_table; [right; exact there|]. apply firm_unmap; [discriminate |
      exact ok].
Qed.
Lemma firm_change_pool p f : Known APool p -> Firm (change_pool p f).
Proof.
  intros there st ok. destruct (is_there APool p st ok there) as (x & found & sort). destruct x; try discriminate sort. unfold change_pool. rewrite found.
  exact (firm_put p (ASIDPoolObject (f pool)) _ st found eq_refl I ok).
Qed.
#[local] Existing Instance firm_change_pool.
Instance firm_release_asid v a : Firm (release_asid v a).
Proof.
  intros st ok. unfold release_asid. destruct a as [a|]; [|exact ok]. destruct (pools st !! (a / asid_pool_entries)) as [p|] eqn:at_; [|exact ok].
  destruct (owns_asid v (Some a) st) eqn:owns; [|exact ok]. unfold owns_asid, vspace_of_asid in owns. rewrite at_ in owns.
  assert (is_a APool p) as there.
  { unfold pool in owns. destruct (objects st !! p) as [[]|] eqn:found; try (cbn [assigned] in owns; rewrite find_empty in owns; discriminate owns).
    exact (sort_at p _ st ok found). }
  firmly.
Qed.
Instance firm_release_pool p : Firm (release_pool p). Proof. firming release_pool. Qed.

(** ** The ends of links *)
Instance firm_unbind_notification t n : Known AThread t -> Known ANotification n -> Firm (unbind_notification t n).
Proof. intros there n_there. red in there, n_there. firming unbind_notification. Qed.
Instance firm_unbind_thread c : Firm (unbind_thread_of_context c). Proof. firming unbind_thread_of_context. Qed.
Instance firm_unbind_lender c : Firm (unbind_notification_of_context c). Proof. firming unbind_notification_of_context. Qed.
Instance firm_end_thread t : Known AThread t -> Firm (end_thread t).
Proof.
  intros there st ok. red in there. cbv beta delta [end_thread]. let_first; [firmly|]. intros one ok1. cbv beta. let_first; [firmly|].
  intros two ok2. cbv beta. firmly.
Qed.
Instance firm_end_notification n : Firm (end_notification n).
Proof. intros st ok. cbv beta delta [end_notification]. let_first; [firmly|]. intros one ok1. cbv beta. firmly. Qed.
Instance firm_end_context c : Firm (end_context c).
Proof.
  intros st ok. cbv beta delta [end_context]. let_first; [firmly|]. intros one ok1. cbv beta. let_first; [firmly|]. intros two ok2. cbv beta.
  apply firm_lose; [exact (proj1 (proj2 (proj2 (context_fine c two ok2)))) | exact ok2].
Qed.

(** ** Interrupts *)
Lemma firm_change_interrupt i f : Firm (change_interrupt i f).
Proof.
  intros st. apply firm_same; try reflexivity; [|exact id]. intros irq.
  change (interrupts (change_interrupt i f st)) with (update i f (interrupts st)). rewrite find_update.
  destruct (irq =? i); [destruct (interrupts st !! irq)|]; reflexivity.
Qed.
#[local] Existing Instance firm_change_interrupt.
Instance firm_set_mask i b : Firm (set_mask i b).
Proof.
  intros st ok. unfold set_mask. destruct (interrupts st !! i) as [x|]; [|exact ok]. destruct (Bool.eqb _ _); [exact ok|].
  apply firm_change_interrupt, firm_emit; [destruct b; discriminate | exact ok].
Qed.
Instance firm_deactivate i : Firm (deactivate i). Proof. firming deactivate. Qed.

(** ** Other events, and the end of each step *)
Lemma firm_end_budget st : parts st -> firm st -> firm (end_budget st).
Proof.
  intros all_ ok. unfold end_budget. cbv zeta. pose proof (@keeps_book_turn _ _ _ _ parts_quietly st all_) as booked. change (parts (book_turn st)) in booked.
  assert (firm (book_turn st)) as ok1 by firmly. revert booked ok1. generalize (book_turn st). clear st all_ ok. intros st all_ ok.
  destruct (current_context st) as [c|]; [|exact ok]. unfold thread_that_uses. destruct (context_thread (context c st)) as [t|] eqn:back; [|exact ok].
  learn_from back. destruct (member t (ready st)) eqn:queued_; [|exact ok]. destruct (is_used_up c st); [|exact ok].
  pose proof all_ as (_ & wait & _).
  assert (goes_on_whole t (place t st)) as goes_.
  { refine (@keeps_place _ _ _ _ (goes_whole_quietly t) t st (conj all_ _)). apply (w_runs nobody st wait), in_app_iff. left. apply member_in.
      exact queued_. }
  assert (firm (place t st)) as ok1 by firmly. revert goes_ ok1. generalize (place t st). intros one goes_ ok1. unfold time_out.
  destruct (capability_at _ one) as [[]|]; try exact ok1. pose proof (firm_report_consumed c ltac:(red; assumption) one ok1) as ok2.
  destruct (@keeps_report_consumed _ _ _ _ (goes_whole_quietly t) c one goes_) as (_ & ((_ & wait2 & _) & _)).
      destruct (report_consumed c one) as (used & two).
  cbn [snd] in *. apply firm_raise; [assumption | intros e; apply heads_receive; exact wait2 | exact ok2].
Qed.
Instance firm_wake_sleepers : Firm wake_sleepers.
Proof.
  intros st. unfold wake_sleepers. generalize (firstn most_wake_ups (sleeping st)). intros l. revert st. induction l as [|t l IH]; intros st ok; [exact ok|].
  cbn [fold_left]. apply IH. destruct (_ <=? _); firmly.
Qed.
Lemma firm_interrupt irq st : firm st -> firm (interrupt irq st).
Proof.
  intros ok. unfold interrupt. cbv zeta. destruct (interrupts st !! irq) as [i|].
  - destruct (capability_at (irq_slot irq) st) as [[]|] eqn:there; try learn_from there; destruct (irq =? irq_serror), (is_held_back irq); firmly.
  - destruct (is_held_back irq); firmly.
Qed.
Lemma firm_user_fault t c st : waiting nobody st -> run_state (thread t st) = Running -> firm st -> firm (snd (user_fault t c st)).
Proof.
  intros wait runs ok. pose proof (runs_there t st ok runs) as there.
  assert (forall slot l f, firm (raise_fault_to slot l t f st)) as raised_ by (intros slot l f; apply firm_raise; [exact there | intros e;
      apply heads_receive;
    exact wait | exact ok]).
  unfold user_fault. cbv zeta. destruct c; try exact ok; try exact (raised_ _ _ _). unfold debug_event. cbv zeta. destruct reason; try exact (raised_ _ _ _).
  assert (firm (change_thread t (fun x => x <| step_count := step_count x - 1 |>) st)) as ok1 by firmly.
  destruct (_ =? _); [|exact ok1]. cbn [snd]. apply firm_raise; [exact there | | exact ok1]. intros e. apply heads_receive.
  refine (proj1 (quiet_thread t _ st _ wait)). reflexivity.
Qed.
Lemma firm_choose st : parts st -> firm st -> firm (choose_thread st).
Proof.
  intros all_ ok. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (parts one /\ firm one) as (all1 & ok1).
  { unfold one. destruct (ends_turn _); [|split; assumption]. split; [exact (@keeps_end_turn_if_due _ _ _ _ parts_quietly st all_) | firmly]. }
  clearbody one. set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (firm two) as ok2.
  { unfold two. destruct (_ && _); [exact ok1|]. unfold change_context_in_use. cbv zeta. pose proof (firm_end_budget one all1 ok1) as ok2. revert ok2.
    generalize (end_budget one). intros three ok2.
    assert (forall c, context_of_first three = Some c -> is_a AContext c) as there.
    { unfold context_of_first. destruct (first_ready three) as [t|]; [|discriminate]. intros c has. exact (proj2 (told_had t three c ok2 has)). }
    destruct (context_of_first three) as [c|]; [|firmly]. specialize (there c eq_refl). destruct (_ || _); firmly. }
  clearbody two. destruct (first_ready two) as [t|]; [|firmly]. apply firm_end_yield_booked. firmly.
Qed.

(** ** Methods

    Each that neither makes nor deletes anything. *)
Definition does_well (d : Decision) (st : State) : Prop := match d with Perform work => firm (state_after (work st)) | Refuse _ _ => True end.
Definition fine_argument (a : Argument) : Prop := match argument a with Some c => fine_cap c | None => True end.
Lemma told_argument a c : fine_argument a -> argument a = Some c -> fine_cap c.
Proof. unfold fine_argument. intros fine same. rewrite same in fine. exact fine. Qed.
Lemma call_fine call st : valid call st -> firm st -> fine_cap (invoked call) /\ forall i, fine_argument (cap i call).
Proof.
  intros (there & args) ok. split; [exact (f_caps st ok _ _ there)|]. intros i. unfold cap.
  assert (forall l, Forall (fun a => in_place a st) l -> fine_argument (nth i l {| argument_slot := 0; argument := None |})) as each; [|exact (each _ args)].
  induction i as [|i IH]; intros [|a l] fine; cbn [nth]; try exact I; inversion fine; [|apply IH; assumption].
  subst. unfold fine_argument. destruct (argument a) as [c|] eqn:is_c; [|exact I].
  match goal with H : in_place a st |- _ => exact (f_caps st ok _ _ (H c is_c)) end.
Qed.
Ltac check_step :=
  match goal with
  | |- does_well (Refuse _ _) _ => exact I
  | |- does_well illegal_operation _ => exact I
  | |- does_well (invalid_argument _) _ => exact I
  | |- does_well (invalid_capability _) _ => exact I
  | |- does_well (range_error _ _) _ => exact I
  | |- does_well alignment_error _ => exact I
  | |- does_well truncated_message _ => exact I
  | |- does_well delete_first _ => exact I
  | |- does_well revoke_first _ => exact I
  | |- does_well (failed_lookup _ _) _ => exact I
  | |- does_well (missing_capability _) _ => exact I
  | |- does_well (reports _) _ => cbn [reports does_well state_after]; assumption
  | |- does_well (thread_argument ?a _ _) _ => unfold thread_argument; cbv beta
  | |- does_well (vspace_argument ?a _ _) _ => unfold vspace_argument; cbv beta
  | |- does_well (slot_in _ _ _ _ _ _) _ => unfold slot_in; cbv beta
  | |- does_well (empty_slot_in _ _ _ _ _) _ => unfold empty_slot_in; cbv beta
  | |- does_well (occupant _ _ _ _) _ => unfold occupant; cbv beta
  | |- does_well (match ?x with _ => _ end) _ =>
      let E := fresh "eq" in destruct x eqn:E;
      try match type of E with argument ?a = Some ?c => match goal with F : fine_argument a |- _ => note_fact (told_argument a c F E) end end
  | |- does_well (always _) _ => cbn [always does_well state_after]; cbv beta
  | |- does_well (Perform _) _ => cbn [does_well]; cbv beta
  end.
Ltac checking := repeat check_step.
Section Of_thread.
Variable t : N.
Variable call : Invocation.
Hypothesis is_thread : invoked call = TCBCap t.
Hypothesis there : is_a AThread t.
Lemma is_t : invoked_thread call = t. Proof. unfold invoked_thread. rewrite is_thread. reflexivity. Qed.
Instance firm_suspend_if b u : Known AThread u -> Firm (suspend_if b u). Proof. intros known. red in known. firming suspend_if. Qed.
Instance firm_resume u : Known AThread u -> Firm (resume u). Proof. intros known. red in known. firming resume. Qed.
Instance firm_resume_if b u : Known AThread u -> Firm (resume_if b u). Proof. intros known. red in known. firming resume_if. Qed.
Instance firm_stop_for_writing u : Known AThread u -> Firm (stop_for_writing u).
Proof.
  intros known st ok. red in known. cbv beta delta [stop_for_writing]. let_first; [firmly|]. intros one ok1. cbv beta zeta. firmly.
Qed.
Lemma read_registers_well a b st : firm st -> does_well (tcb_read_registers a b call st) st.
Proof. intros ok. unfold tcb_read_registers. rewrite is_t. checking. cbv zeta. cbn [state_after]. firmly. Qed.
Lemma write_registers_well a b l st : firm st -> does_well (tcb_write_registers a b l call st) st.
Proof. intros ok. unfold tcb_write_registers. rewrite is_t. checking. firmly. Qed.
Lemma copy_registers_well a x st : fine_argument x -> firm st -> does_well (tcb_copy_registers a x call st) st.
Proof. intros fine ok. unfold tcb_copy_registers. rewrite is_t. checking. unfold copy_registers. firmly. Qed.
Instance firm_set_priority u p : Known AThread u -> Firm (set_priority u p).
Proof.
  intros known st ok. red in known. cbv beta delta [set_priority]. let_first; [firmly|]. intros one ok1. cbv beta. firmly.
Qed.
Lemma set_priority_well a x st : fine_argument x -> firm st -> does_well (tcb_set_priority a x call st) st.
Proof. intros fine ok. unfold tcb_set_priority. rewrite is_t. checking. firmly. Qed.
Lemma set_mc_priority_well a x st : fine_argument x -> firm st -> does_well (tcb_set_mc_priority a x call st) st.
Proof. intros fine ok. unfold tcb_set_mc_priority. rewrite is_t. checking. firmly. Qed.
Lemma suspend_well st : firm st -> does_well (tcb_suspend call st) st.
Proof. intros ok. unfold tcb_suspend. rewrite is_t. checking. firmly. Qed.
Lemma resume_well st : firm st -> does_well (tcb_resume call st) st.
Proof. intros ok. unfold tcb_resume. rewrite is_t. checking. firmly. Qed.
Lemma bind_well x st : fine_argument x -> firm st -> does_well (tcb_bind_notification x call st) st.
Proof. intros fine ok. unfold tcb_bind_notification. rewrite is_t. checking. firmly. Qed.
Lemma unbind_well st : firm st -> does_well (tcb_unbind_notification call st) st.
Proof.
  intros ok. unfold tcb_unbind_notification. rewrite is_t. destruct (bound_notification (thread t st)) as [n|] eqn:bound; [|exact I]. learn_from bound.
  checking. firmly.
Qed.
Lemma tls_well a st : firm st -> does_well (tcb_set_tls_base a call st) st.
Proof. intros ok. unfold tcb_set_tls_base. rewrite is_t. checking. firmly. Qed.
Lemma flags_well a b st : firm st -> does_well (tcb_set_flags a b call st) st.
Proof. intros ok. unfold tcb_set_flags. rewrite is_t. checking. unfold change_flags. cbv zeta. cbn [state_after]. firmly. Qed.
Lemma affinity_well a st : firm st -> does_well (tcb_set_affinity a call st) st.
Proof. intros ok. unfold tcb_set_affinity. rewrite is_t. checking. firmly. Qed.
Lemma breakpoint_well a b c d e st : firm st -> does_well (tcb_set_breakpoint a b c d e call st) st.
Proof. intros ok. unfold tcb_set_breakpoint. rewrite is_t. cbv zeta. checking; firmly. Qed.
Lemma unset_breakpoint_well a st : firm st -> does_well (tcb_unset_breakpoint a call st) st.
Proof. intros ok. unfold tcb_unset_breakpoint. rewrite is_t. checking. firmly. Qed.
Lemma stepping_well a b st : firm st -> does_well (tcb_configure_single_stepping a b call st) st.
Proof. intros ok. unfold tcb_configure_single_stepping. rewrite is_t. checking. cbn [state_after]. firmly. Qed.
End Of_thread.

(** ** Capabilities change and move *)
Lemma fills_nowhere slot st c : firm st -> capability_at slot st = Some c -> slot <> nowhere.
Proof. intros ok there is_n. subst. rewrite (f_nowhere st ok) in there. discriminate. Qed.
Lemma vacant_none slot st : capability_at slot st = None <-> slots st !! slot = None.
Proof. unfold capability_at. destruct (slots st !! slot); split; congruence. Qed.
Lemma firm_change_cap slot old c st : capability_at slot st = Some old -> stands_alike old c && stands_alike c old = true -> fine_cap c ->
  (forall irq, c = IRQHandlerCap irq -> is_some (interrupts st !! irq) = true) -> firm st -> firm (change_capability slot c st).
Proof.
  intros there alike fine known ok. pose proof (fills_nowhere slot st old ok there) as elsewhere. unfold capability_at in there. unfold change_capability.
  destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection there as is_old. rewrite is_old, alike.
  apply (firm_with slot c st); [exact (replace_capability_same _ _ _ _) | apply effects_replace | | exact elsewhere | exact fine | exact known | exact ok].
  intros j. exact (in_replace slot e c st j found).
Qed.
(** What capabilities changing places comes to. *)
Definition comes_to_hold (st after : State) (hold : N -> option Capability) : Prop :=
  same_but_slots st after /\ effects after = effects st /\ forall j, capability_at j after = hold j.
Lemma effects_adopt p l st : effects (adopt p l st) = effects st.
Proof. unfold adopt. revert st. induction l as [|x l IH]; intros st; [reflexivity|]. cbn [fold_left]. rewrite IH. reflexivity. Qed.
Lemma moved from to st c : capability_at from st = Some c -> capability_at to st = None ->
  comes_to_hold st (move_capability from to st) (fun j => if j =? to then Some c else if j =? from then None else capability_at j st).
Proof.
  intros there vacant. split; [exact (move_capability_same from to st)|]. apply vacant_none in vacant.
  pose proof there as at_from. unfold capability_at in at_from. destruct (slots st !! from) as [e|] eqn:found; [|discriminate]. split.
  - unfold move_capability. rewrite found, (proj2 (is_empty_spec to st) vacant). cbv zeta. fold (adopt (Some to) (children e) st).
    change (effects (change_children (parent e) (replace from [to]) (adopt (Some to) (children e) st)) = effects st).
    rewrite effects_children. apply effects_adopt.
  - intros j. rewrite !capability_at_in, (MemoryProofs.in_move from to st e j found vacant), <- !capability_at_in, there. reflexivity.
Qed.
Lemma holds_on a b c f g : comes_to_hold a b f -> comes_to_hold b c g -> comes_to_hold a c g.
Proof. intros (s1 & e1 & _) (s2 & e2 & h2). split; [exact (same_slots_trans _ _ _ s1 s2)|]. split; [congruence | exact h2]. Qed.
Lemma firm_held st after hold : comes_to_hold st after hold -> hold nowhere = None -> (forall j c, hold j = Some c -> exists k, capability_at k st = Some c)
    ->
  firm st -> firm after.
Proof.
  intros (same & told & holds_) none from ok. apply (firm_slots st); [exact same | exact told | | | rewrite holds_; exact none | exact ok].
  - intros j c there. rewrite holds_ in there. destruct (from j c there) as (k & at_k). exact (f_caps st ok k c at_k).
  - intros j irq there. rewrite holds_ in there. destruct (from j _ there) as (k & at_k). exact (f_known st ok k irq at_k).
Qed.
Lemma firm_move from to st c : capability_at from st = Some c -> slots st !! to = None -> to <> nowhere -> firm st -> firm (move_capability from to st).
Proof.
  intros there vacant elsewhere ok. apply vacant_none in vacant. apply (firm_held st _ _ (moved from to st c there vacant)); [| |exact ok].
  - destruct (N.eqb_spec nowhere to); [congruence|]. destruct (_ =? _); [reflexivity | exact (f_nowhere st ok)].
  - intros j d. destruct (j =? to); [intros is_d; injection is_d as <-; exists from; exact there|]. destruct (j =? from); [discriminate|]. exists j.
      assumption.
Qed.
Lemma exchanged_holds a b st ca cb : capability_at a st = Some ca -> capability_at b st = Some cb -> a <> b -> capability_at nowhere st = None ->
  comes_to_hold st (exchange_capabilities a b st)
    (fun j => if j =? b then Some ca else if j =? nowhere then None else if j =? a then Some cb else capability_at j st).
Proof.
  intros at_a at_b other none. unfold exchange_capabilities. assert (a <> nowhere /\ b <> nowhere) as (a_n & b_n) by (split; congruence).
  apply N.eqb_neq in a_n, b_n, other. pose proof (moved a nowhere st ca at_a none) as one. set (st1 := move_capability a nowhere st) in *. clearbody st1.
  pose proof (proj2 (proj2 one)) as holds1.
  assert (capability_at b st1 = Some cb) as at_b1 by (rewrite holds1, b_n, (N.eqb_sym b a), other; exact at_b).
  assert (capability_at a st1 = None) as at_a1 by (rewrite holds1, a_n, N.eqb_refl; reflexivity).
  pose proof (moved b a st1 cb at_b1 at_a1) as two. set (st2 := move_capability b a st1) in *. clearbody st2. pose proof (proj2 (proj2 two)) as holds2.
  assert (capability_at nowhere st2 = Some ca) as at_n2
    by (rewrite holds2, (N.eqb_sym nowhere a), a_n, (N.eqb_sym nowhere b), b_n, holds1, N.eqb_refl; reflexivity).
  assert (capability_at b st2 = None) as at_b2 by (rewrite holds2, (N.eqb_sym b a), other, N.eqb_refl; reflexivity).
  pose proof (moved nowhere b st2 ca at_n2 at_b2) as three. pose proof (holds_on _ _ _ _ _ (holds_on _ _ _ _ _ one two) three) as (same & told & holds_).
  split; [exact same|]. split; [exact told|]. intros j. rewrite holds_, holds2, holds1. destruct (N.eqb_spec j b) as [->|]; [reflexivity|].
  destruct (N.eqb_spec j nowhere) as [->|]; [reflexivity|]. destruct (N.eqb_spec j a) as [->|]; reflexivity.
Qed.
Lemma firm_exchange a b st ca cb : capability_at a st = Some ca -> capability_at b st = Some cb -> a <> b -> firm st -> firm (exchange_capabilities a b st).
Proof.
  intros at_a at_b other ok. pose proof (fills_nowhere b st cb ok at_b) as b_n.
  apply (firm_held st _ _ (exchanged_holds a b st ca cb at_a at_b other (f_nowhere st ok))); [| |exact ok].
  - rewrite (proj2 (N.eqb_neq nowhere b)) by congruence. rewrite N.eqb_refl. reflexivity.
  - intros j d. destruct (j =? b); [intros is_d; injection is_d as <-; exists a; exact at_a|]. destruct (j =? nowhere); [discriminate|].
    destruct (j =? a); [intros is_d; injection is_d as <-; exists b; exact at_b|]. exists j. assumption.
Qed.
Lemma firm_rotate anchor s inner st ca cs : capability_at anchor st = Some ca -> capability_at s st = Some cs -> anchor <> s -> slot_of inner 0 <> anchor ->
  slot_of inner 0 <> nowhere -> firm st -> firm (rotate_zombies anchor s inner st).
Proof.
  intros at_a at_s other not_anchor not_nowhere ok. unfold rotate_zombies. cbv zeta. set (first := slot_of inner 0) in *. clearbody first.
  pose proof (f_nowhere st ok) as none. assert (anchor <> nowhere /\ s <> nowhere) as (a_n & s_n) by (split; congruence).
  pose proof (moved s nowhere st cs at_s none) as one. set (st1 := move_capability s nowhere st) in *. clearbody st1.
      pose proof (proj2 (proj2 one)) as holds1.
  assert (capability_at s st1 = None) as at_s1 by (rewrite holds1, (proj2 (N.eqb_neq s nowhere) s_n), N.eqb_refl; reflexivity).
  assert (capability_at anchor st1 = Some ca) as at_a1
    by (rewrite holds1, (proj2 (N.eqb_neq _ _) a_n), (proj2 (N.eqb_neq _ _) other); exact at_a).
  assert (capability_at nowhere st1 = Some cs) as at_n1 by (rewrite holds1, N.eqb_refl; reflexivity).
  assert (forall j c, capability_at j st1 = Some c -> exists k, capability_at k st = Some c) as from1.
  { intros j c. rewrite holds1. destruct (j =? nowhere); [intros is_c; injection is_c as <-; exists s; exact at_s|].
    destruct (j =? s); [discriminate|]. exists j. assumption. }
  set (st2 := if is_empty first st1 then st1 else move_capability first s st1).
  assert (exists hold, comes_to_hold st st2 hold /\ capability_at first st2 = None /\ capability_at anchor st2 = Some ca /\ capability_at nowhere st2 = Some
      cs
    /\ forall j c, capability_at j st2 = Some c -> exists k, capability_at k st = Some c) as (hold & two & at_f2 & at_a2 & at_n2 & from2).
  { unfold st2. destruct (is_empty first st1) eqn:vacant.
    - eexists. split; [exact one|]. apply is_empty_spec, vacant_none in vacant. repeat split; assumption.
    - destruct (capability_at first st1) as [c|] eqn:at_f.
      2: { apply vacant_none, is_empty_spec in at_f. congruence. }
      assert (first <> s) as f_s by congruence. pose proof (moved first s st1 c at_f at_s1) as more. pose proof (proj2 (proj2 more)) as holds2.
      eexists. split; [exact (holds_on _ _ _ _ _ one more)|]. rewrite !holds2.
      rewrite N.eqb_refl, (proj2 (N.eqb_neq first s) f_s), (proj2 (N.eqb_neq anchor s) other), (proj2 (N.eqb_neq anchor first)) by congruence.
      rewrite (proj2 (N.eqb_neq nowhere s)), (proj2 (N.eqb_neq nowhere first)) by congruence. repeat split; try assumption.
      intros j d. rewrite holds2. destruct (j =? s); [intros is_d; injection is_d as <-; exact (from1 first c at_f)|].
      destruct (j =? first); [discriminate|]. apply from1. }
  clearbody st2. pose proof (moved anchor first st2 ca at_a2 at_f2) as three. set (st3 := move_capability anchor first st2) in *. clearbody st3.
  pose proof (proj2 (proj2 three)) as holds3.
  assert (capability_at nowhere st3 = Some cs) as at_n3
    by (rewrite holds3, (proj2 (N.eqb_neq nowhere first)), (proj2 (N.eqb_neq nowhere anchor)) by congruence; exact at_n2).
  assert (capability_at anchor st3 = None) as at_a3
    by (rewrite holds3, (proj2 (N.eqb_neq anchor first)), N.eqb_refl by congruence; reflexivity).
  pose proof (moved nowhere anchor st3 cs at_n3 at_a3) as four.
  apply (firm_held st _ _ (holds_on _ _ _ _ _ (holds_on _ _ _ _ _ two three) four)); [| |exact ok].
  - rewrite (proj2 (N.eqb_neq nowhere anchor)), N.eqb_refl by congruence. reflexivity.
  - intros j d. destruct (j =? anchor); [intros is_d; injection is_d as <-; exists s; exact at_s|]. destruct (j =? nowhere); [discriminate|].
    rewrite holds3. destruct (j =? first); [intros is_d; injection is_d as <-; exists anchor; exact at_a|]. destruct (j =? anchor); [discriminate|].
        apply from2.
Qed.

(** ** Methods of CNodes *)
Lemma slot_argument_low a address depth slot st : fine_argument a -> firm st -> slot_under (argument a) address depth st = inl slot -> slot <> nowhere.
Proof.
  intros fine ok under. destruct (argument a) as [c|] eqn:is_c; [exact (slot_under_low st c _ _ slot ok (told_argument a c fine is_c) under)|].
  unfold slot_under, walk_from in under. discriminate.
Qed.
Lemma empty_is slot st : is_empty slot st = true -> slots st !! slot = None. Proof. apply is_empty_spec. Qed.
Lemma made_alike make mask original c : make = Some \/ (exists d, make = with_badge d) -> make (mask_rights mask original) = Some c ->
  is_untyped original = false -> stands_alike original (derived c) = true.
Proof.
  intros which made plain. destruct which as [-> | (d & ->)].
  - injection made as <-. destruct original; try discriminate plain;
      cbn [mask_rights derived stands_alike object_of referent cap_type told_size is_number]; rewrite ?N.eqb_refl; reflexivity.
  - destruct original; try discriminate plain; cbn [mask_rights with_badge with_guard] in made; cbv zeta in made;
      try (injection made as <-; cbn [derived stands_alike object_of referent cap_type told_size is_number]; rewrite ?N.eqb_refl; reflexivity).
    + destruct badge; [injection made as <- | discriminate made]. cbn [derived stands_alike object_of referent cap_type told_size is_number].
      rewrite ?N.eqb_refl; reflexivity.
    + destruct badge; [injection made as <- | discriminate made]. cbn [derived stands_alike object_of referent cap_type told_size is_number].
      rewrite ?N.eqb_refl; reflexivity.
    + destruct (_ <=? _); [injection made as <- | discriminate made]. cbn [derived stands_alike object_of referent cap_type told_size is_number].
      rewrite ?N.eqb_refl; reflexivity.
Qed.
Lemma alike_kind x c : stands_alike x c = true -> is_untyped x = false -> (is_zombie c = true -> is_zombie x = true)
  /\ forall irq, c = IRQHandlerCap irq -> x = IRQHandlerCap irq \/ x = IRQControlCap.
Proof.
  intros alike plain. split.
  - intros zombie. destruct c; try discriminate zombie. destruct (alike_spec x _ _ alike eq_refl) as (_ & type). destruct x; try discriminate type.
      reflexivity.
  - intros irq ->. destruct x; try discriminate alike; [right; reflexivity | left]. cbn [stands_alike] in alike. apply N.eqb_eq in alike. congruence.
Qed.
Lemma derive_well a b c d r root make orig call st : make = Some \/ (exists d, make = with_badge d) -> fine_cap (invoked call) -> fine_argument root -> firm
    st ->
  does_well (derive_into a b c d r root make orig call st) st.
Proof.
  intros which fine fine_root ok. unfold derive_into. checking.
  match goal with vacant : is_empty ?dest st = true, there : capability_at ?s st = Some ?o, made : make _ = Some ?x, may : derivation_error ?s ?o st = None,
      into : slot_under (Some (invoked call)) _ _ st = inl ?dest |- _ =>
    apply (firm_derived dest s _ (derived x) o st (empty_is dest st vacant) (slot_under_low st _ _ _ dest ok fine into) there); [|exact ok];
    unfold may_derive; destruct (is_untyped o) eqn:untyped;
    [ destruct o; try discriminate untyped; cbn [derivation_error] in may; destruct (has_children s st); [discriminate may | reflexivity]
    | pose proof (made_alike make _ o x which made untyped) as alike; destruct (alike_kind _ _ alike untyped) as (zombies & handlers);
      split; [destruct (is_zombie (derived x)); [specialize (zombies eq_refl); destruct o; try discriminate zombies; discriminate may | reflexivity]|];
      split; [|split; [exact alike | intros ->; discriminate may]];
      destruct (derived x) eqn:is_x; try reflexivity; destruct (handlers _ eq_refl) as [-> | ->]; [exact (f_known st ok _ _ there) | discriminate may] ]
  end.
Qed.
Lemma alike_itself c : stands_alike c c = true.
Proof.
  destruct c; cbn [stands_alike object_of referent cap_type told_size is_number]; rewrite ?N.eqb_refl, ?Bool.eqb_reflx; reflexivity.
Qed.
Lemma make_in_place make old c : make = Some \/ (exists d, make = mutated d) -> make old = Some c ->
  stands_alike old c && stands_alike c old = true /\ (fine_cap old -> fine_cap c) /\ forall irq, c = IRQHandlerCap irq -> old = IRQHandlerCap irq.
Proof.
  intros which made. assert (c = old \/ exists o radix g s g' s', old = CNodeCap o radix g s /\ c = CNodeCap o radix g' s') as only.
  { destruct which as [-> | (d & ->)]; [injection made as <-; left; reflexivity|]. destruct old; cbn [mutated with_guard] in made; cbv zeta in made;
      try discriminate made; try (injection made as <-; left; reflexivity).
    destruct (_ <=? _); [|discriminate made]. injection made as <-. right. do 6 eexists. split; reflexivity. }
  destruct only as [-> | (o & radix & g & s & g' & s' & -> & ->)].
  - rewrite alike_itself. split; [reflexivity|]. split; [exact id | intros irq is_irq; exact is_irq].
  - cbn [stands_alike object_of referent cap_type told_size is_number]. rewrite !N.eqb_refl. split; [reflexivity|]. split; [exact id | discriminate].
Qed.
Lemma changed_caps slot old c st j : capability_at slot st = Some old -> stands_alike old c && stands_alike c old = true ->
  capability_at j (change_capability slot c st) = if j =? slot then Some c else capability_at j st.
Proof.
  intros there alike. unfold capability_at in there. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:found; [|discriminate].
  injection there as is_old. rewrite is_old, alike, !capability_at_in. exact (in_replace slot e c st j found).
Qed.
Lemma firm_made slot old make c st : make = Some \/ (exists d, make = mutated d) -> make old = Some c -> capability_at slot st = Some old -> firm st ->
  firm (change_capability slot c st) /\ forall j, capability_at j (change_capability slot c st) = if j =? slot then Some c else capability_at j st.
Proof.
  intros which made there ok. destruct (make_in_place make old c which made) as (alike & fine & known).
  split; [|intros j; exact (changed_caps slot old c st j there alike)].
  apply (firm_change_cap slot old); [exact there | exact alike | exact (fine (f_caps st ok slot old there)) | | exact ok].
  intros irq is_irq. rewrite (known irq is_irq) in there. exact (f_known st ok slot irq there).
Qed.
Lemma move_well a b c d root make call st : make = Some \/ (exists d, make = mutated d) -> fine_cap (invoked call) -> firm st ->
  does_well (move_into a b c d root make call st) st.
Proof.
  intros which fine ok. unfold move_into. checking.
  match goal with vacant : is_empty ?dest st = true, there : capability_at ?s st = Some ?o, made : make ?o = Some ?x,
      into : slot_under (Some (invoked call)) _ _ st = inl ?dest |- _ =>
    destruct (firm_made s o make x st which made there ok) as (ok1 & caps); apply empty_is, vacant_none in vacant;
    apply (firm_move s dest _ x); [rewrite caps, N.eqb_refl; reflexivity | | exact (slot_under_low st _ _ _ dest ok fine into) | exact ok1];
    apply vacant_none; rewrite caps; destruct (N.eqb_spec dest s) as [same|]; [congruence | exact vacant]
  end.
Qed.
Lemma rotate_well a b c d e f g h p r call st : fine_cap (invoked call) -> firm st -> does_well (cnode_rotate a b c d e f g h p r call st) st.
Proof.
  intros fine ok. unfold cnode_rotate. checking. cbv zeta.
  match goal with differ : negb (?pivot =? ?src) && negb (?pivot =? ?dest) = true, vacant : (?dest =? ?src) || is_empty ?dest st = true,
      in_s : capability_at ?src st = Some ?from_s, in_p : capability_at ?pivot st = Some ?from_p, first : mutated ?x ?from_p = Some ?to_d,
      second : mutated ?y ?from_s = Some ?to_p, into : slot_under (Some (invoked call)) _ _ st = inl ?dest |- _ =>
    apply andb_prop in differ; destruct differ as (d1 & d2); apply negb_true_iff in d1, d2;
    destruct (firm_made pivot from_p (mutated x) to_d st (or_intror (ex_intro _ x eq_refl)) first in_p ok) as (ok1 & caps1);
    assert (capability_at src (change_capability pivot to_d st) = Some from_s) as in_s1 by (rewrite caps1, (N.eqb_sym src pivot), d1; exact in_s);
    destruct (firm_made src from_s (mutated y) to_p _ (or_intror (ex_intro _ y eq_refl)) second in_s1 ok1) as (ok2 & caps2);
    set (two := change_capability src to_p (change_capability pivot to_d st)) in *;
    assert (capability_at src two = Some to_p) as at_s by (rewrite caps2, N.eqb_refl; reflexivity);
    assert (capability_at pivot two = Some to_d) as at_p by (rewrite caps2, d1, caps1, N.eqb_refl; reflexivity);
    clearbody two; destruct (N.eqb_spec dest src) as [same|other];
    [ apply (firm_exchange src pivot two _ _ at_s at_p); [intros is_it; rewrite is_it, N.eqb_refl in d1; discriminate d1 | exact ok2]
    | cbn [orb] in vacant; apply empty_is, vacant_none in vacant;
      assert (capability_at dest two = None) as at_d
        by (rewrite caps2, (proj2 (N.eqb_neq dest src) other), caps1, (N.eqb_sym dest pivot), d2; exact vacant);
      pose proof (proj2 (proj2 (moved pivot dest two to_d at_p at_d))) as caps3;
      apply (firm_move src pivot _ to_p);
      [ rewrite caps3, (proj2 (N.eqb_neq src dest)) by congruence; rewrite (N.eqb_sym src pivot), d1; exact at_s
      | apply vacant_none; rewrite caps3, d2, N.eqb_refl; reflexivity
      | exact (fills_nowhere pivot st from_p ok in_p)
      | apply (firm_move pivot dest two to_d at_p); [apply vacant_none; exact at_d | exact (slot_under_low st _ _ _ dest ok fine into) | exact ok2] ] ]
  end.
Qed.
Lemma firm_cancel e badge u st : firm st -> firm (snd (cancel_unit e badge u st)).
Proof.
  intros ok. unfold cancel_unit. cbn [snd]. unfold sender_with_badge, senders_in_turn. destruct (List.find _ _) as [t|] eqn:found; [|exact ok].
  apply List.find_some, proj1 in found. apply filter_In, proj1 in found. assert (is_a AThread t) as there; [|firmly].
  pose proof (proj1 (endpoint_fine e st ok)) as fine. rewrite Forall_forall in fine. exact (fine t found).
Qed.
Lemma cancel_well a b call st : firm st -> does_well (cnode_cancel_badged_sends a b call st) st.
Proof.
  intros ok. unfold cnode_cancel_badged_sends. checking; [exact ok|]. unfold in_progress. cbn [does_well]. unfold cancel_badged_sends.
  match goal with |- context [in_units ?r ?w tt st] => pose proof (firm_units r w tt st (firm_cancel _ _) ok) as after;
      destruct (in_units r w tt st) as [one|one] end;
    cbn [and_then state_of] in *; [match goal with |- context [if ?x then _ else _] => destruct x end|]; exact after.
Qed.

(** ** Methods of contexts, domains, address spaces and interrupts *)
Instance firm_bind_context c t : Known AContext c -> Known AThread t -> Firm (bind_context c t).
Proof. intros c_there t_there st ok. red in c_there, t_there. cbv beta delta [bind_context]. let_first; [firmly|]. intros one ok1. cbv beta. firmly. Qed.
Lemma suits_configure core b p extra badge flags_ st : Suits fine_uses (configure_context core b p extra badge flags_ st).
Proof. intros x fine. exact fine. Qed.
#[local] Existing Instance suits_configure.
Section Of_context.
Variable c : N.
Variable size : N.
Variable call : Invocation.
Hypothesis is_context : invoked call = SchedContextCap c size.
Hypothesis there : is_a AContext c.
Lemma is_c : invoked_context call = c. Proof. unfold invoked_context. rewrite is_context. reflexivity. Qed.
Lemma sc_bind_well x st : fine_argument x -> firm st -> does_well (sched_context_bind x call st) st.
Proof. intros fine ok. unfold sched_context_bind. rewrite is_c. cbv zeta. checking; firmly. Qed.
Lemma sc_unbind_well st : firm st -> does_well (sched_context_unbind call st) st.
Proof. intros ok. unfold sched_context_unbind. rewrite is_c. checking; firmly. Qed.
Lemma sc_unbind_object_well x st : fine_argument x -> firm st -> does_well (sched_context_unbind_object x call st) st.
Proof. intros fine ok. unfold sched_context_unbind_object. rewrite is_c. cbv zeta. checking; firmly. Qed.
Lemma consumed_well st : firm st -> does_well (sched_context_consumed call st) st.
Proof.
  intros ok. unfold sched_context_consumed. rewrite is_c. cbn [does_well]. pose proof (firm_report_consumed c there st ok) as after.
  destruct (report_consumed c st). exact after.
Qed.
Lemma yield_to_well st : is_a AThread (invoker call) -> firm st -> does_well (sched_context_yield_to call st) st.
Proof.
  intros self ok. unfold sched_context_yield_to. rewrite is_c. cbv zeta. destruct (context_thread (context c st)) as [t|] eqn:has; [|exact I]. learn_from has.
  checking. assert (firm (match yielder (context c st) with Some other => end_yield other st | None => st end)) as ok1 by firmly. revert ok1.
  generalize (match yielder (context c st) with Some other => end_yield other st | None => st end). intros one ok1.
  destruct (_ && _ && _); [cbn [state_after]; firmly|].
  assert (firm (if member t (ready one) then place_ahead t one else one)) as ok2 by firmly. revert ok2.
  generalize (if member t (ready one) then place_ahead t one else one). intros two ok2. pose proof (firm_report_consumed c there two ok2) as after.
  destruct (report_consumed c two). exact after.
Qed.
End Of_context.
Lemma configure_flags_well a b x d f y call st : fine_argument y -> firm st -> does_well (sched_control_configure_flags a b x d f y call st) st.
Proof.
  intros fine ok. unfold sched_control_configure_flags. cbv zeta. checking.
  match goal with |- context [if is_number (current_context st) ?c then book_turn st else st] =>
    assert (firm (if is_number (current_context st) c then book_turn st else st)) as ok1 by firmly; revert ok1;
    generalize (if is_number (current_context st) c then book_turn st else st) end. intros one ok1.
  match goal with |- context [change_context ?c ?g one] => assert (firm (change_context c g one)) as ok2 by firmly; revert ok2;
    generalize (change_context c g one) end. intros two ok2. firmly.
Qed.
Lemma access_well a b x call st : fine_argument x -> firm st -> does_well (sched_control_set_thread_access a b x call st) st.
Proof. intros fine ok. unfold sched_control_set_thread_access. checking. unfold change_flags. cbv zeta. cbn [state_after]. firmly. Qed.
Lemma domain_well a x call st : fine_argument x -> firm st -> does_well (domain_set a x call st) st.
Proof.
  intros fine ok. unfold domain_set. checking.
  match goal with |- context [change_thread ?t ?g st] => assert (firm (change_thread t g st)) as ok1 by firmly; revert ok1;
    generalize (change_thread t g st) end. intros one ok1. firmly.
Qed.
Lemma schedule_well a b d call st : firm st -> does_well (domain_schedule_configure a b d call st) st.
Proof. intros ok. unfold domain_schedule_configure. cbv zeta. checking. firmly. Qed.
Lemma start_well a call st : firm st -> does_well (domain_schedule_set_start a call st) st.
Proof. intros ok. unfold domain_schedule_set_start, begin_turn. cbv zeta. checking. firmly. Qed.

Instance firm_set_word i v t : Known AThread t -> Firm (set_word_argument i v t). Proof. intros there. red in there. firming set_word_argument. Qed.
Lemma firm_maintain t piece start end_ st : is_a AThread t -> (forall x st, firm st -> firm (snd (piece x st))) -> firm st ->
  firm (state_after (maintain t piece start end_ st)).
Proof.
  intros there each ok. unfold maintain. cbv zeta.
  match goal with |- context [in_units ?r ?w start st] => assert (firm (state_of (in_units r w start st))) as after end.
  { apply firm_units; [|exact ok]. intros x one ok1. pose proof (each x one ok1) as after. destruct (piece x one) as (next & two). cbn [snd] in *. firmly. }
  destruct (in_units _ _ start st) as [one|one]; cbn [state_of state_after] in *; firmly.
Qed.
Lemma frame_maintain_well op a b call st : is_a AThread (invoker call) -> firm st -> does_well (frame_maintain op a b call st) st.
Proof.
  intros there ok. unfold frame_maintain. cbv zeta. checking. apply firm_maintain; [exact there | | exact ok]. intros x one ok1. cbn [snd]. firmly.
Qed.
Lemma space_maintain_well op a b call st : is_a AThread (invoker call) -> firm st -> does_well (vspace_maintain op a b call st) st.
Proof.
  intros there ok. unfold vspace_maintain. cbv zeta. checking. apply firm_maintain; [exact there | | exact ok]. intros x one ok1.
  unfold piece_of_space. destruct (translate _ x one) as (entry & level). cbv zeta. destruct entry as [[|]|]; try exact ok1.
  destruct is_device; [exact ok1|]. cbn [snd]. firmly.
Qed.
Lemma firm_place_changed slot old c st : capability_at slot st = Some old -> stands_alike old c = true -> stands_alike c old = true -> fine_cap c ->
  (forall irq, c <> IRQHandlerCap irq) -> firm st -> firm (change_capability slot c st).
Proof.
  intros there a b fine other ok. apply (firm_change_cap slot old); [exact there | rewrite a, b; reflexivity | exact fine | | exact ok].
  intros irq is_irq. destruct (other irq is_irq).
Qed.
Ltac alike := cbn [stands_alike object_of referent cap_type told_size is_number]; rewrite ?N.eqb_refl; reflexivity.
Lemma change_table_slots t f st : slots (change_table t f st) = slots st.
Proof. unfold change_table. destruct (objects st !! t) as [[]|]; reflexivity. Qed.
Lemma unmap_slots p level one e st : slots (unmap p level one e st) = slots st.
Proof.
  unfold unmap. destruct (vspace_of_asid _ st); [|reflexivity]. destruct (table_of_level _ _ _ st); [|reflexivity]. cbv zeta.
  destruct (table_entries _ st !! _); [|reflexivity]. destruct (one _); [|reflexivity]. exact (change_table_slots _ _ st).
Qed.
Lemma frame_unmap_well call st : capability_at (invoked_slot call) st = Some (invoked call) -> firm st -> does_well (frame_unmap call st) st.
Proof.
  intros there ok. unfold frame_unmap. destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |] eqn:is_it; try exact I.
  cbn [always does_well state_after]. apply (firm_place_changed _ (FrameCap base bits device r p)); try alike; try exact I; try discriminate; [|firmly].
  rewrite <- there. apply capability_same. unfold unmap_frame. destruct p; [apply unmap_slots | reflexivity].
Qed.
Lemma table_unmap_well call st : capability_at (invoked_slot call) st = Some (invoked call) -> firm st -> does_well (page_table_unmap call st) st.
Proof.
  intros there ok. pose proof (f_caps st ok _ _ there) as fine. unfold page_table_unmap.
  destruct (invoked call) as [| | | | | | | | |t p| | | | | | | | |] eqn:is_it; try exact I. cbn [fine_cap] in fine. checking.
  apply (firm_place_changed _ (PageTableCap t p)); try alike; try exact fine; try discriminate; [|firmly].
  rewrite <- there. apply capability_same. unfold unmap_table. destruct p; [|reflexivity]. rewrite change_table_slots. apply unmap_slots.
Qed.
Lemma assign_well x call st : fine_cap (invoked call) -> in_place x st -> firm st -> does_well (asid_pool_assign x call st) st.
Proof.
  intros fine placed_ ok. unfold asid_pool_assign. destruct (invoked call); try exact I. cbn [fine_cap] in fine.
  destruct (argument x) as [[]|] eqn:is_x; try exact I. destruct asid; [exact I|]. destruct (free_entry _) as [index|]; [|exact I]. cbv zeta.
  cbn [always does_well state_after]. pose proof (placed_ _ is_x) as there. pose proof (f_caps st ok _ _ there) as fine_v.
  apply (firm_place_changed _ (VSpaceCap vspace None)); try alike; try exact fine_v; try discriminate; [|firmly].
  rewrite <- there. apply capability_same. unfold change_pool. destruct (objects st !! pool) as [[]|]; reflexivity.
Qed.
Lemma ack_well call st : firm st -> does_well (irq_handler_ack call st) st.
Proof. intros ok. unfold irq_handler_ack. checking. firmly. Qed.
Lemma sender_well a b d f x call st : capability_at (invoked_slot call) st = Some IRQControlCap -> fine_argument x -> firm st ->
  does_well (irq_control_issue_sgisignal a b d f x call st) st.
Proof.
  intros there fine ok. unfold irq_control_issue_sgisignal. checking.
  match goal with vacant : is_empty ?dest st = true, into : slot_under (argument x) _ _ st = inl ?dest |- _ =>
    apply (firm_derived dest (invoked_slot call) _ _ IRQControlCap st (empty_is dest st vacant) (slot_argument_low x _ _ dest st fine ok into) there);
      [repeat split; reflexivity | exact ok] end.
Qed.
Lemma handler_well a b d f x call st : irq_serror < most_interrupts -> last_interrupt (fst m) < most_interrupts ->
  capability_at (invoked_slot call) st = Some IRQControlCap -> fine_argument x -> firm st -> does_well (irq_control_get a b d f x call st) st.
Proof.
  intros serror few there fine ok. unfold irq_control_get. rewrite (f_machine st ok). cbv zeta. checking.
  match goal with vacant : is_empty ?dest st = true, into : slot_under (argument x) _ _ st = inl ?dest |- _ =>
    pose proof (empty_is dest st vacant) as none; pose proof (slot_argument_low x _ _ dest st fine ok into) as elsewhere end.
  assert (a < most_interrupts) as low_a.
  { match goal with H : (_ && _) || (a =? irq_serror) = true |- _ => apply orb_prop in H; destruct H as [H|H] end.
    - match goal with H : _ && (a <=? _) = true |- _ => apply andb_prop, proj2, N.leb_le in H; lia end.
    - match goal with H : (a =? _) = true |- _ => apply N.eqb_eq in H; subst a; exact serror end. }
  match goal with |- firm (insert_derived ?dest _ _ _ (set_field interrupts ?t ?s)) =>
    assert (firm (set_field interrupts t s) /\ slots (set_field interrupts t s) = slots st) as (ok1 & same) end.
  { assert (firm (if is_held_back a then emit (ConfigureInterrupt a (is_software a ||
      (is_held_back a && (b =? IRQTrigger.number IRQTrigger.Edge)))) st else st)
      /\ slots (if is_held_back a then emit (ConfigureInterrupt a (is_software a || (is_held_back a && (b =? IRQTrigger.number IRQTrigger.Edge)))) st else st)
         = slots st) as (ok1 & same) by (destruct (is_held_back a); [split; [firmly | reflexivity] | split; [exact ok | reflexivity]]).
    split; [|exact same]. revert ok1.
    generalize (if is_held_back a then emit (ConfigureInterrupt a (is_software a ||
        (is_held_back a && (b =? IRQTrigger.number IRQTrigger.Edge)))) st else st).
    clear. intros st [s o c k n mm sm]. constructor; try assumption. intros slot irq at_. change (interrupts (set_field interrupts ?t ?x)) with t.
    rewrite find_set. destruct (irq =? a); [reflexivity | exact (k slot irq at_)]. }
  match goal with |- firm (insert_derived ?dest _ _ _ ?s) => apply (firm_derived dest (invoked_slot call) _ _ IRQControlCap s) end;
    [rewrite same; exact none | exact elsewhere | rewrite <- there; apply capability_same; exact same | | exact ok1].
  split; [reflexivity|]. split; [|split; [reflexivity | intros _; exact low_a]]. cbn [is_claimed].
  change (interrupts (set_field interrupts ?t ?x)) with t. rewrite find_set, N.eqb_refl. reflexivity.
Qed.

(** ** Mappings *)
Lemma hangs_sort st asid l q t : placed st -> firm st -> hangs st asid l q t -> is_a ASpace t \/ is_a ATable t.
Proof.
  intros (right & spaces) ok here. destruct (hanging_object st asid l q t spaces here) as [(x & there)|(x & there)].
  - left. exact (sort_at t _ st ok there).
  - right. exact (sort_at t _ st ok there).
Qed.
Lemma vspace_argument_well x st rest : (forall v asid, vspace_of_asid asid st = Some v -> does_well (rest (v, asid)) st) ->
  does_well (vspace_argument x st rest) st.
Proof.
  intros each. unfold vspace_argument. destruct (argument x) as [[]|]; try exact I. destruct asid as [asid|]; [|exact I].
  destruct (owns_asid vspace (Some asid) st) eqn:owns; [|exact I]. apply each. unfold owns_asid, is_number in owns.
  destruct (vspace_of_asid asid st) as [v|]; [|discriminate]. apply N.eqb_eq in owns. congruence.
Qed.
Lemma set_entry_firm t i e st : is_a ASpace t \/ is_a ATable t -> firm st -> firm (set_page_entry t i e st).
Proof. exact (firm_change_table t (set i e) st). Qed.
Lemma table_map_well a b x call st : capability_at (invoked_slot call) st = Some (invoked call) -> placed st -> firm st ->
  does_well (page_table_map a b x call st) st.
Proof.
  intros there placed_ ok. unfold page_table_map. destruct (invoked call) as [| | | | | | | | |table [p|]| | | | | | | | |] eqn:is_c; try exact I.
  apply vspace_argument_well. intros v asid names. cbv beta iota. destruct (a <? user_top) eqn:less; [|exact I].
  destruct (walk_tables 3 v 0 a st) as ((above & level) & entry) eqn:walked. cbv beta iota zeta. destruct (_ && _); [|exact I].
  destruct (walk_hangs st asid 3 (named_bound st asid (proj2 placed_)) v 0 a) as (u & l' & e & walked' & here & _);
    [rewrite (top_prefix a (below_48 a less)); apply hangs_top, names|].
  rewrite walked in walked'. injection walked' as <- <- <-. pose proof (hangs_sort st asid _ _ _ placed_ ok here) as sort.
  cbn [always does_well state_after]. pose proof (f_caps st ok _ _ there) as fine.
  apply (firm_place_changed _ (PageTableCap table None)); try alike; try exact fine; try discriminate; [|exact (set_entry_firm _ _ _ st sort ok)].
  rewrite <- there. apply capability_same. apply change_table_slots.
Qed.
Lemma frame_map_well a b d x call st : capability_at (invoked_slot call) st = Some (invoked call) -> placed st -> firm st ->
  does_well (frame_map a b d x call st) st.
Proof.
  intros there placed_ ok. unfold frame_map. destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |] eqn:is_c; try exact I.
  apply vspace_argument_well. intros v asid names. cbv beta iota zeta.
  destruct (a + N.shiftl 1 bits <=? user_top) eqn:less; [|exact I]. destruct (aligned a bits); [|exact I].
  destruct (match p with Some p0 => place_asid p0 =? asid | None => true end); [|exact I].
  destruct (match p with Some p0 => place_address p0 =? a | None => true end); [|exact I].
  destruct (table_of_level v (level_of_frame bits) a st) as [t|] eqn:found; [|exact I].
  assert (a < N.shiftl 1 48) as less48.
  { apply N.leb_le in less. unfold user_top in less. change (N.shiftl 1 48) with 281474976710656.
    assert (0 < N.shiftl 1 bits) by (rewrite N.shiftl_1_l; apply N.neq_0_lt_0, N.pow_nonzero; lia). lia. }
  pose proof (table_hangs st asid v _ a t (named_bound st asid (proj2 placed_)) names less48 found) as here.
  pose proof (hangs_sort st asid _ _ _ placed_ ok here) as sort.
  match goal with |- does_well (if ?own then _ else _) _ => destruct own; [|exact I] end. cbn [always does_well state_after].
  apply (firm_place_changed _ (FrameCap base bits device r p)); try alike; try exact I; try discriminate.
  - rewrite <- there. apply capability_same. unfold set_page_entry. rewrite change_table_slots.
      match goal with |- slots (if ?x then _ else _) = _ => destruct x end;
      reflexivity.
  - apply set_entry_firm; [exact sort|]. match goal with |- firm (if ?x then _ else _) => destruct x end; firmly.
Qed.
End Firm.
