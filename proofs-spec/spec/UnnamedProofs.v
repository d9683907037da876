(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What nobody names stays as it is

    What follows the first phase of a system call makes and ends no object. It changes one only where another names it, or the thread's registers do: so an
    object that neither does stays as it is. Of an endpoint that they do name as what is received from, nobody sends to it. *)
From Coq Require Import Lia.
From Spec Require Export NeverProofs.
(* Not imported, as it has the names of [StepProofs] for rules of its own. *)
From Spec Require FieldProofs.
Open Scope N_scope.

Section Unnamed.
Variable o : N.
(** How the object is: as given, or an endpoint in which nobody waits to send. Of that it does not matter who names it. *)
Variable expected : option Object.
Definition as_expected (x : Object) : Prop :=
  match expected, x with
  | Some y, _ => x = y
  | None, EndpointObject e => senders e = []
  | None, _ => False
  end.
Definition other (p : N) : Prop := expected = None \/ p <> o.
Definition others (p : option N) : Prop := match p with Some p => other p | None => True end.
Definition clear_state (s : RunState) : Prop :=
  match s with
  | BlockedOnReceive e r _ _ => other e /\ others r
  | BlockedOnSend e _ _ _ _ _ => other e
  | BlockedOnReply r _ => other r
  | BlockedOnNotification n => other n
  | Inactive | Running => True
  end.
Definition clear_thread (t : Thread) : Prop :=
  clear_state (run_state t) /\ others (bound_notification t) /\ others (sched_context t) /\ others (yielded_to t).
Definition clear_endpoint (e : Endpoint) : Prop := Forall other (senders e) /\ Forall other (receivers e).
Definition clear_notification (n : Notification) : Prop := Forall other (waiters n) /\ others (bound_thread n) /\ others (lent_context n).
Definition clear_reply (r : Reply) : Prop := others (caller r) /\ others (receiver r) /\ others (along r).
Definition clear_context (c : SchedContext) : Prop :=
  others (context_thread c) /\ others (context_notification c) /\ Forall other (calls c) /\ others (yielder c).
Definition clear (x : Object) : Prop :=
  match x with
  | ThreadObject t => clear_thread t
  | EndpointObject e => clear_endpoint e
  | NotificationObject n => clear_notification n
  | ReplyObject r => clear_reply r
  | SchedContextObject c => clear_context c
  | _ => True
  end.
Record unnamed (st : State) : Prop := {
  u_object : exists x, objects st !! o = Some x /\ as_expected x;
  u_clear : forall p x, objects st !! p = Some x -> clear x;
  u_use : others (current_context st)
}.

(** ** The changes of one object *)
Lemma unnamed_same a b : objects b = objects a -> current_context b = current_context a -> unnamed a -> unnamed b.
Proof. intros same_objects same_use [is_o each use]. constructor; rewrite ?same_objects, ?same_use; assumption. Qed.
Lemma unnamed_put p x y st : objects st !! p = Some y -> (p = o -> as_expected y -> as_expected x) -> (clear y -> clear x) -> unnamed st ->
  unnamed (put_object p x st).
Proof.
  intros there same fine [(z & is_z & ok) each use]. constructor; [| |exact use].
  - change (objects (put_object p x st)) with (set p x (objects st)). setoid_rewrite find_set. destruct (N.eqb_spec o p) as [same_o|].
    + subst p. exists x. split; [reflexivity|]. apply (same eq_refl). congruence.
    + exists z. split; assumption.
  - intros j w. change (objects (put_object p x st)) with (set p x (objects st)). rewrite find_set. destruct (N.eqb_spec j p) as [->|]; [|apply each].
    intros is_x. injection is_x as <-. exact (fine (each p y there)).
Qed.
Lemma no_endpoint p x y : other p -> p = o -> as_expected x -> match x with EndpointObject _ => False | _ => True end -> as_expected y.
Proof. intros [none|differs] same; [|contradiction]. unfold as_expected. rewrite none. destruct x; contradiction. Qed.

Class Clears (f : State -> State) : Prop := stays_unnamed : forall st, unnamed st -> unnamed (f st).
Class ClearsToo {A : Type} (f : State -> A * State) : Prop := stays_unnamed_too : forall st, unnamed st -> unnamed (snd (f st)).
Class Other (p : N) : Prop := is_other : other p.
Class Leaves {T : Type} (fine : T -> Prop) (f : T -> T) : Prop := leaves_clear : forall x, fine x -> fine (f x).
Hint Constants Opaque : typeclass_instances.
Hint Extern 0 (Other _) => (red; assumption) : typeclass_instances.
Ltac plain_registers :=
  repeat match goal with
  | |- context [with_registers ?l ?x] => rewrite (registers_only l x); generalize (registers (with_registers l x)); intros ?
  end.
Ltac leave :=
  intros ? ?; cbv beta;
  unfold to_restart, with_error_result, with_result, with_empty_result, begin_receive, begin_call, lose_registers, with_state, with_register in *; cbv zeta;
  repeat match goal with |- context [if ?x then _ else _] => destruct x | |- context [match ?x with _ => _ end] => is_var x; destruct x end;
  plain_registers;
  repeat match goal with H : clear_thread _ |- _ => destruct H as (? & ? & ? & ?) | H : clear_endpoint _ |- _ => destruct H as (? & ?)
    | H : clear_notification _ |- _ => destruct H as (? & ? & ?) | H : clear_context _ |- _ => destruct H as (? & ? & ? & ?) end;
  repeat split; try exact I; try assumption; try (constructor; assumption).
Hint Extern 0 (Leaves _ _) => (solve [leave]) : typeclass_instances.

Lemma unnamed_emit e st : unnamed st -> unnamed (emit e st). Proof. apply unnamed_same; reflexivity. Qed.
Ltac change_object f p :=
  let st := fresh "st" in let ok := fresh "ok" in let found := fresh "found" in
  intros st ok; unfold f; destruct (objects st !! p) as [[]|] eqn:found; try exact (unnamed_emit Stuck st ok); refine (unnamed_put p _ _ st found _ _ ok).
Instance clears_thread t f : Other t -> Leaves clear_thread f -> Clears (change_thread t f).
Proof. intros differs fine. change_object change_thread t; [intros same is_o; exact (no_endpoint t _ _ differs same is_o I) | apply fine]. Qed.
Instance clears_context c f : Other c -> Leaves clear_context f -> Clears (change_context c f).
Proof. intros differs fine. change_object change_context c; [intros same is_o; exact (no_endpoint c _ _ differs same is_o I) | apply fine]. Qed.
Instance clears_notification n f : Other n -> Leaves clear_notification f -> Clears (change_notification n f).
Proof. intros differs fine. change_object change_notification n; [intros same is_o; exact (no_endpoint n _ _ differs same is_o I) | apply fine]. Qed.
Lemma clears_reply r v st : other r -> clear_reply v -> unnamed st -> unnamed (put_reply r v st).
Proof.
  intros differs fine. revert st. change_object put_reply r; [intros same is_o; exact (no_endpoint r _ _ differs same is_o I) | intros _; exact fine].
Qed.
Class ClearReply (v : Reply) : Prop := is_clear_reply : clear_reply v.
Hint Extern 0 (ClearReply _) => (red; solve [repeat split; try exact I; assumption]) : typeclass_instances.
Instance clears_put_reply r v : Other r -> ClearReply v -> Clears (put_reply r v).
Proof. intros differs fine st. exact (clears_reply r v st differs fine). Qed.
(** Of an endpoint that may be named the senders stay none. *)
Lemma clears_endpoint e f st : other e -> (forall x, clear_endpoint x -> clear_endpoint (f x)) ->
  (e = o -> expected = None -> forall x, senders x = [] -> senders (f x) = []) -> unnamed st -> unnamed (change_endpoint e f st).
Proof.
  intros differs fine kept. revert st. change_object change_endpoint e; [|apply fine]. intros same. unfold as_expected.
  destruct expected as [y|] eqn:mode; [destruct differs; [congruence | contradiction] | exact (kept same eq_refl _)].
Qed.

(** ** What reading tells *)
Lemma thread_clear t st : unnamed st -> clear_thread (thread t st).
Proof. intros ok. unfold thread. destruct (objects st !! t) as [[]|] eqn:there; try (repeat split; exact I). exact (u_clear st ok t _ there). Qed.
Lemma context_clear c st : unnamed st -> clear_context (context c st).
Proof.
  intros ok. unfold context. destruct (objects st !! c) as [[]|] eqn:there; try (repeat split; try exact I; constructor). exact (u_clear st ok c _ there).
Qed.
Lemma endpoint_clear e st : unnamed st -> clear_endpoint (endpoint e st).
Proof. intros ok. unfold endpoint. destruct (objects st !! e) as [[]|] eqn:there; try (split; constructor). exact (u_clear st ok e _ there). Qed.
Lemma notification_clear n st : unnamed st -> clear_notification (notification n st).
Proof.
  intros ok. unfold notification. destruct (objects st !! n) as [[]|] eqn:there; try (repeat split; try exact I; constructor). exact (u_clear st ok n _ there).
Qed.
Lemma reply_clear r st : unnamed st -> clear_reply (reply r st).
Proof. intros ok. unfold reply. destruct (objects st !! r) as [[]|] eqn:there; try (repeat split; exact I). exact (u_clear st ok r _ there). Qed.
Lemma told_state t st s : unnamed st -> run_state (thread t st) = s -> clear_state s.
Proof. intros ok <-. exact (proj1 (thread_clear t st ok)). Qed.
Lemma told_bound t st n : unnamed st -> bound_notification (thread t st) = Some n -> other n.
Proof. intros ok to. pose proof (proj1 (proj2 (thread_clear t st ok))) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_had t st c : unnamed st -> sched_context (thread t st) = Some c -> other c.
Proof. intros ok to. pose proof (proj1 (proj2 (proj2 (thread_clear t st ok)))) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_yield t st c : unnamed st -> yielded_to (thread t st) = Some c -> other c.
Proof. intros ok to. pose proof (proj2 (proj2 (proj2 (thread_clear t st ok)))) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_user c st t : unnamed st -> context_thread (context c st) = Some t -> other t.
Proof. intros ok to. pose proof (proj1 (context_clear c st ok)) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_calls c st r l : unnamed st -> calls (context c st) = r :: l -> other r /\ Forall other l.
Proof. intros ok to. pose proof (proj1 (proj2 (proj2 (context_clear c st ok)))) as fine. rewrite to in fine. inversion fine. split; assumption. Qed.
Lemma told_lent n st c : unnamed st -> lent_context (notification n st) = Some c -> other c.
Proof. intros ok to. pose proof (proj2 (proj2 (notification_clear n st ok))) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_sender e st t l : unnamed st -> senders (endpoint e st) = t :: l -> other t /\ Forall other l.
Proof. intros ok to. pose proof (proj1 (endpoint_clear e st ok)) as fine. rewrite to in fine. inversion fine. split; assumption. Qed.
Lemma told_receiver e st t l : unnamed st -> receivers (endpoint e st) = t :: l -> other t /\ Forall other l.
Proof. intros ok to. pose proof (proj2 (endpoint_clear e st ok)) as fine. rewrite to in fine. inversion fine. split; assumption. Qed.
Lemma told_along r st c : unnamed st -> along (reply r st) = Some c -> other c.
Proof. intros ok to. pose proof (proj2 (proj2 (reply_clear r st ok))) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_caller r st t : unnamed st -> caller (reply r st) = Some t -> other t.
Proof. intros ok to. pose proof (proj1 (reply_clear r st ok)) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_awaiter r st t : unnamed st -> receiver (reply r st) = Some t -> other t.
Proof. intros ok to. pose proof (proj1 (proj2 (reply_clear r st ok))) as fine. rewrite to in fine. exact fine. Qed.
Lemma told_use st c : unnamed st -> current_context st = Some c -> other c.
Proof. intros ok is_c. pose proof (u_use st ok) as fine. rewrite is_c in fine. exact fine. Qed.

Ltac spread := cbn [clear_state others] in *; repeat match goal with H : _ /\ _ |- _ => destruct H end.
Ltac note_fact p := let H := fresh "told" in pose proof p as H; spread.
Ltac learn_from E :=
  match type of E with
  | ?x = ?v =>
    lazymatch x with
    | run_state (thread ?t ?s) => match goal with ok : unnamed s |- _ => note_fact (told_state t s v ok E) end
    | context_of ?t ?s => lazymatch v with Some ?c => match goal with ok : unnamed s |- _ => note_fact (told_had t s c ok E) end | _ => idtac end
    | bound_notification (thread ?t ?s) => lazymatch v with Some ?n => match goal with ok : unnamed s |- _ => note_fact (told_bound t s n ok E) end |
        _ => idtac end
    | yielded_to (thread ?t ?s) => lazymatch v with Some ?c => match goal with ok : unnamed s |- _ => note_fact (told_yield t s c ok E) end | _ => idtac end
    | context_thread (context ?c ?s) => lazymatch v with Some ?t => match goal with ok : unnamed s |- _ => note_fact (told_user c s t ok E) end | _ => idtac
        end
    | lent_context (notification ?n ?s) => lazymatch v with Some ?c => match goal with ok : unnamed s |- _ => note_fact (told_lent n s c ok E) end |
        _ => idtac end
    | senders (endpoint ?n ?s) => lazymatch v with ?t :: ?l => match goal with ok : unnamed s |- _ => note_fact (told_sender n s t l ok E) end |
        _ => idtac end
    | receivers (endpoint ?n ?s) => lazymatch v with ?t :: ?l => match goal with ok : unnamed s |- _ => note_fact (told_receiver n s t l ok E) end |
        _ => idtac end
    | along (reply ?r ?s) => lazymatch v with Some ?c => match goal with ok : unnamed s |- _ => note_fact (told_along r s c ok E) end | _ => idtac end
    | caller (reply ?r ?s) => lazymatch v with Some ?c => match goal with ok : unnamed s |- _ => note_fact (told_caller r s c ok E) end | _ => idtac end
    | receiver (reply ?r ?s) => lazymatch v with Some ?c => match goal with ok : unnamed s |- _ => note_fact (told_awaiter r s c ok E) end | _ => idtac end
    | calls (context ?c ?s) => lazymatch v with ?t :: ?l => match goal with ok : unnamed s |- _ => note_fact (told_calls c s t l ok E) end | _ => idtac end
    | current_context ?s => lazymatch v with Some ?c => match goal with ok : unnamed s |- _ => note_fact (told_use s c ok E) end | _ => idtac end
    | _ => idtac
    end
  end.
Lemma unnamed_let (v : State) (b : State -> State) : unnamed v -> (forall s, unnamed s -> unnamed (b s)) -> unnamed (let x := v in b x).
Proof. intros ok each. exact (each v ok). Qed.
Ltac holds_state T := lazymatch T with (_ * State)%type => idtac end.
Ltac clear_step :=
  match goal with
  | H : ?P |- ?P => exact H
  | |- True => exact I
  | |- unnamed (let x := ?v in @?b x) =>
      let T := type of v in
      tryif unify T State then (apply (unnamed_let v b); [|let s := fresh "st" in let ok := fresh "ok" in intros s ok; cbv beta])
      else (change (unnamed (b v)); cbv beta)
  | |- unnamed (match ?x with _ => _ end) =>
      let T := type of x in
      tryif holds_state T
      then (let ok := fresh "ok" in assert (unnamed (snd x)) as ok; [|destruct x as (? & ?); cbn [snd] in ok])
      else (let E := fresh "eq" in destruct x eqn:E; try learn_from E)
  | |- unnamed (snd (match ?x with _ => _ end)) =>
      let T := type of x in
      tryif holds_state T
      then (let ok := fresh "ok" in assert (unnamed (snd x)) as ok; [|destruct x as (? & ?); cbn [snd] in ok])
      else (let E := fresh "eq" in destruct x eqn:E; try learn_from E)
  | |- unnamed (snd (_, _)) => cbn [snd]
  | |- unnamed (emit ?e ?s) => apply (unnamed_emit e s)
  | |- unnamed (set_field _ _ ?s) => cut (unnamed s); [apply unnamed_same; reflexivity |]
  | |- unnamed (snd (?f ?s)) => apply (stays_unnamed_too (f := f) s)
  | |- unnamed (?f ?s) => apply (stays_unnamed (f := f) s)
  | |- Clears _ => let s := fresh "st" in let ok := fresh "ok" in intros s ok; cbv beta
  end.
Ltac clearly := repeat clear_step.
Hint Extern 0 (Clears (fun _ => _)) => (intros ? ?; cbv beta; solve [clearly]) : typeclass_instances.
Ltac clearing f := let s := fresh "st" in let ok := fresh "ok" in intros s ok; cbv beta delta [f]; clearly.

(** ** Time *)
Instance clears_unplace t : Clears (unplace t). Proof. clearing unplace. Qed.
Lemma clears_place_by insert t : Clears (place_by insert t).
Proof. intros st. apply unnamed_same; [exact (proj2 (proj2 (place_by_same insert t st))) | exact (proj2 (machine_place insert t st))]. Qed.
Instance clears_place t : Clears (place t). Proof. exact (clears_place_by insert_behind t). Qed.
Instance clears_place_ahead t : Clears (place_ahead t). Proof. exact (clears_place_by insert_ahead t). Qed.
Lemma uses_clear x y : same_uses x y -> context_notification y = context_notification x -> yielder y = yielder x -> clear_context x -> clear_context y.
Proof. intros (t & c & _) n y' (a & b & d & e). unfold clear_context. rewrite t, c, n, y'. repeat split; assumption. Qed.
Instance leaves_begin_use time : Leaves clear_context (begin_use time).
Proof. intros x. apply uses_clear; [apply uses_of_begin_use | apply loan_of_begin_use | apply yield_of_begin_use]. Qed.
Instance leaves_charge used smallest : Leaves clear_context (charge used smallest).
Proof. intros x. apply uses_clear; [apply uses_of_charge | apply loan_of_charge | apply yield_of_charge]. Qed.
Instance clears_begin_sporadic t : Clears (begin_sporadic t). Proof. clearing begin_sporadic. Qed.
Instance clears_wake t : Other t -> Clears (wake t). Proof. intros differs. red in differs. clearing wake. Qed.
Instance clears_wake_ahead t : Other t -> Clears (wake_ahead t). Proof. intros differs. red in differs. clearing wake_ahead. Qed.
Instance clears_give_context c t : Other c -> Other t -> Clears (give_context c t).
Proof. intros c_differs t_differs. red in c_differs, t_differs. clearing give_context. Qed.
Instance clears_book : Clears book.
Proof.
  intros st ok. unfold book. cbv zeta. set (one := st <| charged_until := now st |>).
  assert (unnamed one) as ok1 by (unfold one; clearly). clearbody one. destruct (current_context one) as [c|] eqn:is_c; [|exact ok1]. learn_from is_c.
  destruct (objects one !! c) as [[]|]; try exact ok1.
  apply clears_context; [assumption | | exact ok1]. intros x fine. exact (leaves_charge _ _ x fine).
Qed.
Instance clears_will_book : Clears will_book. Proof. clearing will_book. Qed.
Instance clears_book_turn : Clears book_turn. Proof. clearing book_turn. Qed.
Instance clears_report_booked c : Other c -> ClearsToo (report_booked c).
Proof. intros differs. red in differs. intros st ok. unfold report_booked. clearly. Qed.
Instance clears_report_consumed c : Other c -> ClearsToo (report_consumed c).
Proof.
  intros differs st ok. unfold report_consumed. apply (clears_report_booked c differs). destruct (is_number _ _); [apply clears_book_turn|]; exact ok.
Qed.
Instance clears_end_turn : Clears end_turn_if_due. Proof. intros st ok. unfold end_turn_if_due, next_turn, begin_turn. clearly. Qed.
Instance clears_end_yield t : Other t -> Clears (end_yield_by report_booked t).
Proof. intros differs. red in differs. intros st ok. unfold end_yield_by. clearly. Qed.
Instance clears_forget_yield t : Other t -> Clears (forget_yield t). Proof. intros differs. red in differs. clearing forget_yield. Qed.

(** ** Messages *)
Instance clears_write_memory a v : Clears (write_memory a v). Proof. clearing write_memory. Qed.
Instance clears_write_words a l : Clears (write_words a l).
Proof. revert a. induction l as [|v l IH]; intros a st ok; cbn [write_words]; [exact ok|]. apply IH. clearly. Qed.
Instance clears_write_long_words t l : Clears (write_long_words t l). Proof. clearing write_long_words. Qed.
Instance clears_insert_derived slot s original_ c : Clears (insert_derived slot s original_ c).
Proof. intros st. pose proof (FieldProofs.insert_derived_same slot s original_ c st) as same. apply unnamed_same; rewrite same; reflexivity. Qed.
Instance clears_transfer position l through from to free : ClearsToo (transfer position l through from to free).
Proof.
  revert position free. induction l as [|address rest IH]; intros position free st ok; cbn [transfer]; [exact ok|].
  destruct (receive_buffer to st) as [b|]; [|exact ok]. destruct (occupied_slot_of_address from address st) as [(s & c)|]; [|exact ok]. cbv zeta.
  match goal with |- unnamed (snd (match ?x with _ => _ end)) => destruct x as [badge|] end.
  - assert (unnamed (write_memory (b + ipc_buffer_caps_or_badges + 8 * position) badge st)) as ok1 by clearly.
    pose proof (IH (position + 1) free _ ok1) as after. destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). exact after.
  - destruct free; [|exact ok]. destruct (derivation_error s c st); [exact ok|]. destruct (receive_slot to st) as [slot|]; [|exact ok].
    pose proof (IH (position + 1) false _ (clears_insert_derived slot s false (derived c) st ok)) as after.
    destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). exact after.
Qed.
Instance clears_deliver mm through badge caps from to : Other to -> Clears (deliver mm through badge caps from to).
Proof.
  intros differs st ok. red in differs. unfold deliver. pose proof (clears_transfer 0 (if caps then cap_addresses mm else []) through from to true st ok) as
    after.
  destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & two). cbn [snd] in after. clearly.
Qed.
Lemma calls_from_clear r l : Forall other l -> Forall other (calls_from r l) /\ Forall other (calls_above r l).
Proof.
  induction 1 as [|x l here rest IH]; cbn [calls_from calls_above]; [split; constructor|]. destruct (x =? r).
  - split; [|constructor]. constructor; assumption.
  - split; [exact (proj1 IH) | constructor; [exact here | exact (proj2 IH)]].
Qed.
Lemma clears_without r st : other r -> unnamed st -> unnamed (put_reply r (without_context (reply r st)) st).
Proof.
  intros differs ok. apply clears_reply; [exact differs | | exact ok]. destruct (reply_clear r st ok) as (c & v & _). repeat split; assumption.
Qed.
Lemma clears_lose l st : Forall other l -> unnamed st -> unnamed (fold_left (fun st r => put_reply r (without_context (reply r st)) st) l st).
Proof. intros fine. revert st. induction fine as [|r l here _ IH]; intros st ok; [exact ok|]. cbn [fold_left]. apply IH, clears_without; assumption. Qed.
Instance clears_break_stack r : Clears (break_stack r).
Proof.
  intros st ok. unfold break_stack. destruct (along (reply r st)) as [c|] eqn:with_c; [|exact ok]. cbv zeta. learn_from with_c.
  destruct (calls_from_clear r _ (proj1 (proj2 (proj2 (context_clear c st ok))))) as (from & above_).
  apply clears_context; [assumption | | exact (clears_lose _ st from ok)]. intros x (a & b & _ & d). repeat split; assumption.
Qed.
Ltac let_first := match goal with |- unnamed (let x := ?v in @?b x) => apply (unnamed_let v b) end.
Instance clears_return_context r t : Other r -> Other t -> Clears (return_context r t).
Proof.
  intros r_differs differs st ok. red in r_differs, differs. unfold return_context. destruct (along (reply r st)) as [c|] eqn:with_c; [|exact ok].
  learn_from with_c. destruct (calls (context c st)) as [|last_ rest] eqn:stack; [clearly|]. learn_from stack. destruct (_ =? _); [|clearly]. cbv zeta.
  assert (unnamed (change_context c (fun x => x <| calls := rest |>) st)) as ok1.
  { apply clears_context; [assumption | | exact ok]. intros x (a & b & _ & d). repeat split; assumption. }
  revert ok1. generalize (change_context c (fun x => x <| calls := rest |>) st). intros one ok1.
  assert (unnamed (put_reply r (without_context (reply r one)) one)) as ok2 by (apply clears_without; assumption). revert ok2.
  generalize (put_reply r (without_context (reply r one)) one). intros two ok2. clearly.
Qed.
Instance clears_empty_result t : Other t -> Clears (set_empty_result t). Proof. intros differs. red in differs. clearing set_empty_result. Qed.
Instance clears_error_result e t : Other t -> Clears (set_error_result e t). Proof. intros differs. red in differs. clearing set_error_result. Qed.
Instance clears_end_call t h : Other t -> Clears (end_call_of t h). Proof. intros differs. red in differs. clearing end_call_of. Qed.
Instance clears_free_reply r : Other r -> Clears (free_reply r).
Proof.
  intros differs st ok. red in differs. cbv beta delta [free_reply]. let_first; [clearly|]. intros one ok1. cbv beta. let_first; [|intros two ok2; clearly].
  destruct (receiver (reply r one)) as [t|] eqn:to; [|exact ok1]. learn_from to. apply clears_thread; [assumption | | exact ok1].
  intros x (a & b & c & d). revert a. destruct (run_state x) eqn:state; intros a; try (split; [rewrite state; exact a | repeat split; assumption]).
  destruct a as (a & _). repeat split; assumption.
Qed.
Lemma inserted_clear p t l : other t -> Forall other l -> Forall other (insert_by p t l).
Proof.
  intros differs fine. induction fine as [|x l here rest IH]; cbn [insert_by]; [constructor; [exact differs | constructor]|].
  destruct (p x); [constructor; [exact differs | constructor; assumption] | constructor; [exact here | exact IH]].
Qed.
Hint Extern 0 (Leaves clear_notification _) => (solve [intros ? (? & ? & ?); split; [|split]; try assumption; try apply inserted_clear; assumption]) :
  typeclass_instances.
Instance clears_make_inactive t : Other t -> Clears (make_inactive t). Proof. intros differs. red in differs. clearing make_inactive. Qed.
Instance clears_end_unanswered t : Other t -> Clears (end_unanswered t). Proof. intros differs. red in differs. clearing end_unanswered. Qed.
Instance clears_return_lent t n : Other t -> Clears (return_lent_context t n). Proof. intros differs. red in differs. clearing return_lent_context. Qed.
Instance clears_lend_context t n : Other t -> Clears (lend_context t n). Proof. intros differs. red in differs. clearing lend_context. Qed.
Lemma lent_others t st b : unnamed st -> others (if b : bool then context_of t st else None).
Proof. intros ok. destruct b; [exact (proj1 (proj2 (proj2 (thread_clear t st ok)))) | exact I]. Qed.
Class Others (r : option N) : Prop := are_others : others r.
Hint Extern 0 (Others _) => (red; first [assumption | exact I]) : typeclass_instances.
Instance clears_meet s t e b r rg g gr c l : Other s -> Other t -> Others r -> Clears (meet s t e b r rg g gr c l).
Proof.
  intros s_differs t_differs r_differs st ok. red in s_differs, t_differs, r_differs. cbv beta delta [meet].
  match goal with |- unnamed (let x := ?v in @?b x) => change (unnamed (b v)); cbv beta end.
  match goal with |- unnamed (let x := ?v in @?b x) => change (unnamed (b v)); cbv beta end.
  generalize (lends_now s t (l && ((c && answerable r g gr) || negb c)) st). intros lending. generalize (c && answerable r g gr). intros answered.
  let_first; [clearly|]. intros one ok1. cbv beta. let_first; [destruct r; cbn [others] in r_differs; clearly|]. intros two ok2. cbv beta.
  pose proof (lent_others s two lending ok2) as lent_differs.
  match goal with |- unnamed (let x := ?v in @?b x) => change (unnamed (b v)); cbv beta end.
  revert lent_differs. generalize (if lending then context_of s two else None). intros lent lent_differs.
  let_first; [|intros three ok3; destruct lent as [k|]; cbn [others] in lent_differs; clearly].
  destruct c, answered, r as [r|]; cbn [others] in r_differs; try solve [clearly].
  all: destruct lent as [k|]; cbn [others] in lent_differs; clearly.
Qed.
(** Nobody sends to the object. *)
Lemma clears_send t e b g gr c l w st : other t -> e <> o -> unnamed st -> unnamed (snd (send t e b g gr c l w st)).
Proof.
  intros differs not_it ok. assert (other e) as e_differs by (right; exact not_it). unfold send.
  destruct (receivers (endpoint e st)) as [|first rest] eqn:queue.
  - destruct w; [|exact ok]. cbn [snd]. set (s := BlockedOnSend e b g gr c l).
    assert (unnamed (change_thread t (with_state s) (unplace t st))) as ok1.
    { apply clears_thread; [exact differs | | clearly]. intros x (_ & fine). split; [exact e_differs | exact fine]. }
    revert ok1. generalize (change_thread t (with_state s) (unplace t st)). intros one ok1.
    apply clears_endpoint; [exact e_differs | | contradiction | exact ok1]. intros x (a & d). split; [apply inserted_clear; assumption | exact d].
  - destruct (run_state (thread first st)) as [| |x r q rg| | |] eqn:state; try exact (unnamed_emit Stuck st ok). learn_from queue. learn_from state. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [exact ok|]. cbn [snd].
    assert (unnamed (change_endpoint e (fun x => x <| receivers := rest |>) st)) as ok1.
    { apply clears_endpoint; [exact e_differs | | contradiction | exact ok]. intros y (a & _). split; assumption. }
    revert ok1. generalize (change_endpoint e (fun x => x <| receivers := rest |>) st). intros one ok1. clearly.
Qed.
Instance clears_refuse_sender t : Other t -> Clears (refuse_sender t). Proof. intros differs. red in differs. clearing refuse_sender. Qed.
Instance clears_take_flags t n : Other t -> Other n -> Clears (take_flags t n).
Proof. intros differs n_differs. red in differs, n_differs. clearing take_flags. Qed.
Instance clears_wait_on t n b : Other t -> Other n -> Clears (wait_on t n b).
Proof.
  intros differs n_differs st ok. red in differs, n_differs. unfold wait_on. destruct (is_active n st); [clearly|]. destruct b; [|clearly].
  assert (unnamed (change_thread t (with_state (BlockedOnNotification n)) (unplace t st))) as ok1.
  { apply clears_thread; [exact differs | | clearly]. intros x (_ & fine). split; [exact n_differs | exact fine]. }
  revert ok1. generalize (change_thread t (with_state (BlockedOnNotification n)) (unplace t st)). intros one ok1. clearly.
Qed.
Lemma clears_raise slot l t f st : other t -> (forall e b r, capability_at (slot_of t slot) st = Some (EndpointCap e b r) -> e <> o) -> unnamed st ->
  unnamed (raise_fault_to slot l t f st).
Proof.
  intros differs elsewhere ok. unfold raise_fault_to. destruct (capability_at (slot_of t slot) st) as [[]|] eqn:at_; try solve [clearly].
  destruct (_ && _); [|clearly]. cbv zeta. assert (unnamed (change_thread t (fun x => x <| fault := Some f |>) st)) as ok1 by clearly.
  pose proof (clears_send t endpoint badge (can_grant rights) (can_grant_reply rights) true l true _ differs (elsewhere _ _ _ eq_refl) ok1) as sent_.
  destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [snd] in sent_; try exact sent_. clearly.
Qed.

(** ** Receiving *)
Lemma clears_receive_from queue t e r g st : other t -> other e -> others r -> (expected = None -> e = o -> queue = []) -> Forall other queue ->
  unnamed st -> unnamed (snd (receive_from queue t e r g st)).
Proof.
  intros t_differs e_differs r_differs none fine ok. destruct queue as [|s rest]; cbn [receive_from]; [exact ok|].
  destruct (run_state (thread s st)) as [| | |x b sg gr c l| |]; try exact (unnamed_emit Stuck st ok). cbv zeta.
  apply Forall_cons_iff in fine. destruct fine as (s_differs & fine).
  assert (unnamed (change_endpoint e (fun x => x <| senders := rest |>) st)) as ok1.
  { apply clears_endpoint; [exact e_differs | | intros same mode; discriminate (none mode same) | exact ok].
    intros y (_ & d). split; [exact fine | exact d]. }
  revert ok1. generalize (change_endpoint e (fun x => x <| senders := rest |>) st). intros one ok1. cbn [snd].
  assert (unnamed (meet s t e b r g sg gr c l one)) as ok2 by clearly. destruct c; [exact ok2 | clearly].
Qed.
Lemma clears_receive t e r q g b st : other t -> other e -> others r -> unnamed st -> unnamed (receive t e r q g b st).
Proof.
  intros t_differs e_differs r_differs ok. cbv beta delta [receive]. let_first; [destruct r; cbn [others] in r_differs; clearly|]. intros one ok1. cbv beta.
  match goal with |- unnamed (let x := ?v in @?b x) => change (unnamed (b v)); cbv beta end.
  assert (forall bound, others bound -> unnamed (let (received, st) := receive_from (senders (endpoint e one)) t e r g one in
      if received then st
      else if b : bool then
        let st := change_thread t (begin_receive (BlockedOnReceive e r q g)) (unplace t st) in
        let st := change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st |>) st in
        let st := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st | None => st end in
        match bound with Some n => return_lent_context t n st | None => st end
      else set_empty_result t st)) as usual.
  { intros bound bound_differs. assert (expected = None -> e = o -> senders (endpoint e one) = []) as none.
    { intros mode ->. destruct (u_object one ok1) as (x & there & fine). unfold as_expected in fine. rewrite mode in fine. unfold endpoint. rewrite there.
      destruct x; try contradiction fine. exact fine. }
    pose proof (clears_receive_from (senders (endpoint e one)) t e r g one t_differs e_differs r_differs none (proj1 (endpoint_clear e one ok1)) ok1) as
      after.
    destruct (receive_from _ _ _ _ _ _) as (got & two). cbn [snd] in after. destruct got; [exact after|]. destruct b; [|clearly].
    let_first.
    - apply clears_thread; [exact t_differs | | clearly]. intros x (_ & fine). unfold begin_receive, lose_registers. rewrite registers_only.
      split; [split; [exact e_differs | exact r_differs] | exact fine].
    - intros three ok3. cbv beta. let_first.
      + apply clears_endpoint; [exact e_differs | | intros _ _ x none_; exact none_ | exact ok3]. intros x (a & d).
        split; [exact a | apply inserted_clear; assumption].
      + intros four ok4. cbv beta. let_first; [destruct r; cbn [others] in r_differs; clearly|]. intros five ok5. cbv beta.
        destruct bound; cbn [others] in bound_differs; clearly. }
  destruct (bound_notification (thread t one)) as [n|] eqn:bound.
  - learn_from bound. destruct (is_signalled t one); [clearly|]. exact (usual (Some n) told).
  - exact (usual None I).
Qed.
Lemma clears_cap_fault t a p r st : other t -> (forall e b r, capability_at (slot_of t fault_slot) st = Some (EndpointCap e b r) -> e <> o) ->
  unnamed st -> unnamed (snd (cap_fault t a p r st)).
Proof.
  intros differs elsewhere ok. unfold cap_fault. cbn [snd]. apply clears_raise; [exact differs | | clearly]. intros e b x.
  rewrite (capability_same _ st _ (slots_of_change_thread t to_restart st)). apply elsewhere.
Qed.

(** No capability through which a thread receives is to the object. That depends on slots only, which no refusal changes. *)
Definition receives_through (c : Capability) : bool := match c with EndpointCap _ _ _ | NotificationCap _ _ _ | ReplyCap _ _ => true | _ => false end.
Definition spared (st : State) : Prop :=
  forall slot c p, capability_at slot st = Some c -> receives_through c = true -> object_of c = Some p -> other p.
Lemma spared_same a b : slots b = slots a -> spared a -> spared b.
Proof. intros same ok slot c p. rewrite (capability_same slot a b same). apply ok. Qed.
Definition received_elsewhere (s : Source) : Prop :=
  match s with FromEndpoint e r _ => other e /\ others r | FromNotification n => other n | FromNothing _ _ => True end.
Lemma spared_source t w st : spared st -> received_elsewhere (source_of t w st).
Proof.
  intros ok. assert (forall a slot c p, occupied_slot_of_address t a st = inl (slot, c) -> receives_through c = true -> object_of c = Some p -> other p) as each
    by (intros a slot c p found; exact (ok slot c p (occupied_in_place _ _ _ _ _ found))).
  unfold source_of. cbv zeta. destruct (occupied_slot_of_address t (register 0 (thread t st)) st) as [(s & c)|] eqn:found; [|exact I].
  destruct c; try exact I.
  - pose proof (each _ _ _ endpoint found eq_refl eq_refl) as differs. destruct (negb _); [exact I|]. destruct w; [|split; [exact differs | exact I]].
    destruct (occupied_slot_of_address t (register 6 (thread t st)) st) as [(k & d)|] eqn:second; [|exact I].
    destruct d; try exact I. split; [exact differs | exact (each _ _ _ reply second eq_refl eq_refl)].
  - destruct (_ && _); [exact (each _ _ _ notification found eq_refl eq_refl) | exact I].
Qed.
Lemma clears_refuse_first e r st : other e -> unnamed st -> unnamed (refuse_first e r st).
Proof.
  intros differs ok. unfold refuse_first, first_refused. destruct (senders (endpoint e st)) as [|s rest] eqn:queue; [exact ok|]. learn_from queue.
  destruct (run_state (thread s st)); try exact ok. destruct (_ && _); [exact ok|].
  assert (unnamed (change_endpoint e (fun x => x <| senders := tl (senders x) |>) st)) as ok1.
  { apply clears_endpoint; [exact differs | | intros _ _ x none_; cbn; rewrite none_; reflexivity | exact ok].
    intros x (a & b). split; [|exact b]. cbn. destruct a; [constructor | assumption]. }
  clearly.
Qed.
Lemma clears_refuse_early t w what st : spared st -> unnamed st -> unnamed (state_of (refuse_early t w what st)).
Proof.
  intros free ok. pose proof (spared_source t w st free) as names_. unfold refuse_early. destruct (source_of t w st) as [e r g|n|a r]; try exact ok.
  destruct (_ && _); [|exact ok]. unfold refuse_waiting. apply (units_hold unnamed).
  - intros n one. apply unnamed_same; reflexivity.
  - intros u one ok1. exact (clears_refuse_first e r one (proj1 names_) ok1).
  - exact ok.
Qed.
Instance clears_go_back t : Other t -> Clears (go_back t). Proof. intros differs. red in differs. clearing go_back. Qed.
Lemma clears_receive_phase t w b st : other t -> spared st ->
  (forall e b r, capability_at (slot_of t fault_slot) st = Some (EndpointCap e b r) -> e <> o) -> unnamed st -> unnamed (snd (receive_phase t w b st)).
Proof.
  intros differs free elsewhere ok. unfold receive_phase. pose proof (clears_refuse_early t w (free_own_reply t w) st free ok) as ok1.
  assert (slots (state_of (refuse_early t w (free_own_reply t w) st)) = slots st) as same
    by exact (@keeps_refuse_early _ _ _ _ (slots_are_kept_quietly (slots st)) t w (free_own_reply t w) eq_refl st eq_refl).
  destruct (refuse_early t w (free_own_reply t w) st) as [one|one]; cbn [unless_preempted state_of snd] in *; [|exact (clears_go_back t differs one ok1)].
  pose proof (spared_source t w one (spared_same st one same free)) as names_.
  destruct (source_of t w one) as [e r g|n|a r]; cbn [snd received_elsewhere] in *.
  - apply clears_receive; try apply names_; assumption.
  - apply clears_wait_on; assumption.
  - apply clears_cap_fault; [exact differs | | exact ok1]. intros e b' x. rewrite (capability_same _ st one same). apply elsewhere.
Qed.
Instance clears_becomes n t : Other t -> Clears (becomes n t). Proof. intros differs. red in differs. clearing becomes. Qed.
Lemma clears_then_receive t w st : other t -> spared st ->
  (forall e b r, capability_at (slot_of t fault_slot) st = Some (EndpointCap e b r) -> e <> o) -> unnamed st -> unnamed (snd (then_receive t w st)).
Proof.
  intros differs free elsewhere ok. unfold then_receive. destruct (thread_exists t st); [|exact ok]. cbn [negb]. cbv zeta.
  set (one := becomes (if w then Syscall.Recv else Syscall.Wait) t st). assert (unnamed one) as ok1 by (unfold one; clearly).
  assert (slots one = slots st) as same by exact (slots_of_change_thread t _ st). clearbody one. destruct (_ && _); [|cbn [snd]; clearly].
  apply clears_receive_phase; [exact differs | exact (spared_same st one same free) | | exact ok1]. intros e b r.
  rewrite (capability_same _ st one same). apply elsewhere.
Qed.
Instance clears_put_result t e l : Other t -> Clears (put_result t e l). Proof. intros differs. red in differs. clearing put_result. Qed.
End Unnamed.

(** ** No slot of a thread has a capability to a new endpoint

    A Retype puts it into a slot of a CNode, and a message brings it into one. *)
Definition in_cnodes (o : N) (st : State) : Prop := forall j b r, capability_at j st = Some (EndpointCap o b r) -> is_slot_of_cnode j st.
Definition shelved (o : N) (st : State) : Prop := sound st /\ in_cnodes o st.
Definition cnodes_stay (a b : State) : Prop := forall c radix, objects a !! c = Some (CNodeObject radix) -> objects b !! c = Some (CNodeObject radix).
Lemma slot_stays a b j : cnodes_stay a b -> is_slot_of_cnode j a -> is_slot_of_cnode j b.
Proof. intros stay (c & radix & i & is_c & less & same). exists c, radix, i. split; [exact (stay c radix is_c) | split; assumption]. Qed.
Lemma in_cnodes_with o slot c a b : cnodes_stay a b -> (forall j, capability_at j b = if j =? slot then Some c else capability_at j a) ->
  (forall badge r, c = EndpointCap o badge r -> is_slot_of_cnode slot a) -> in_cnodes o a -> in_cnodes o b.
Proof.
  intros stay caps placed_ ok j badge r. rewrite caps. destruct (N.eqb_spec j slot) as [->|]; intros there; apply (slot_stays a b _ stay).
  - injection there as there. exact (placed_ badge r there).
  - exact (ok j badge r there).
Qed.
Lemma in_cnodes_same o a b : slots b = slots a -> cnodes_stay a b -> in_cnodes o a -> in_cnodes o b.
Proof. intros same stay ok j badge r. rewrite (capability_same j a b same). intros there. exact (slot_stays a b j stay (ok j badge r there)). Qed.
Lemma cnodes_same a b : objects b = objects a -> cnodes_stay a b. Proof. unfold cnodes_stay. intros ->. auto. Qed.
Lemma cnodes_put p x y st : objects st !! p = Some y -> same_kind y x -> cnodes_stay st (put_object p x st).
Proof.
  intros there kind c radix is_c. change (objects (put_object p x st)) with (set p x (objects st)). rewrite find_set.
  destruct (N.eqb_spec c p) as [->|]; [|exact is_c]. assert (y = CNodeObject radix) as -> by congruence. destruct x; try contradiction. cbn in kind. congruence.
Qed.
Lemma in_cnodes_carve o u at_ size x slot c st : (forall badge r, c = EndpointCap o badge r -> is_slot_of_cnode slot st) -> in_cnodes o st ->
  in_cnodes o (carve u at_ size x slot c st) /\ cnodes_stay st (carve u at_ size x slot c st).
Proof.
  intros placed_ ok. destruct (carve_cases u at_ size x slot c st) as [->|cut].
  { split; [exact (in_cnodes_same o st (emit Stuck st) eq_refl (cnodes_same _ _ eq_refl) ok) | exact (cnodes_same _ _ eq_refl)]. }
  destruct cut as (e & base & bits & device & used & there & is_u & _ & _ & _ & unused & caps & _ & objs). revert caps objs.
  generalize (carve u at_ size x slot c st). intros after caps objs.
  assert (cnodes_stay st after) as stay.
  { intros d radix is_d. rewrite objs. destruct x as [y|]; [|exact is_d]. rewrite find_set. destruct (N.eqb_spec d at_) as [->|]; [|exact is_d].
    rewrite (unused ltac:(discriminate)) in is_d. discriminate. }
  split; [|exact stay]. intros j badge r. rewrite capability_at_in, caps. destruct (N.eqb_spec j slot) as [->|].
  - intros is_c. injection is_c as is_c. exact (slot_stays st after slot stay (placed_ badge r is_c)).
  - destruct (j =? u); [discriminate|]. rewrite <- capability_at_in. intros here. exact (slot_stays st after j stay (ok j badge r here)).
Qed.
Lemma arrival_in_cnode slot s c st : sound st -> arrives slot s c st -> is_slot_of_cnode slot st.
Proof.
  intros right (from & address & to & old & _ & _ & _ & into). unfold receive_slot in into. destruct (receive_buffer to st) as [b|]; [|discriminate].
  cbv zeta in into. destruct (occupied_slot_of_address to _ st) as [(place & root)|] eqn:found; [|discriminate]. destruct (_ <=? 64); [|discriminate].
  destruct (slot_under (Some root) _ _ st) as [s'|] eqn:named_; [|discriminate]. destruct (is_empty s' st); [|discriminate]. injection into as <-.
  apply occupied_in_place in found. unfold slot_under in named_. rewrite <- found in named_.
  destruct (walk_from _ _ _ st) as [k left_|] eqn:walked; [|discriminate]. destruct left_; [|discriminate]. injection named_ as <-.
  exact (walk_from_root st place _ _ _ _ (proj1 (live_is st) (live_ok st right)) walked).
Qed.
Lemma shelved_quietly o : kept_quietly_but but_placing (shelved o) (fun _ => True) low.
Proof.
  pose proof sound_is_kept_quietly as sound_. constructor; try (intros; exact I).
  - intros a b s r ob rd sl _ (right & ok). split; [exact (looks_at_objects sound_ a b s r ob rd sl right)|].
    exact (in_cnodes_same o a b s (cnodes_same a b ob) ok).
  - intros t st (right & ok). exact (conj (after_unplace sound_ t st right) ok).
  - intros insert t st usual (right & ok). destruct (place_by_same insert t st) as (s & _ & ob). split; [exact (after_place sound_ insert t st usual right)|].
    exact (in_cnodes_same o st _ s (cnodes_same st _ ob) ok).
  - intros t st asleep (right & ok). exact (conj (after_sleeping_anew sound_ t st asleep right) ok).
  - intros p x y st there same change fine_x (right & ok).
    assert (object_change nothing y x) as free by (destruct y, x; try exact I; repeat split; discriminate).
    split; [exact (after_put_object sound_ p x y st there same free fine_x right)|]. apply (in_cnodes_same o st); [reflexivity | | exact ok].
    exact (cnodes_put p x y st there same).
  - intros slot c st (right & _). exact (capabilities_are_fine sound_ slot c st right).
Qed.
Lemma shelved_kept o : kept_but but_placing (shelved o) (fun _ => True) low.
Proof.
  pose proof sound_is_kept as sound_. constructor; try (intros; discriminate); try solve [intros; intros absurd; destruct absurd].
  - intros slot p original_ c st from is_low arrived (right & ok). split; [exact (after_insert_child sound_ slot p original_ c st from is_low right)|].
    pose proof (cnodes_same st (insert_child slot p original_ c st) (objects_of_insert_child slot p original_ c st)) as stay.
    destruct (is_empty slot st && negb (is_empty p st)) eqn:can; [|unfold insert_child; rewrite can; exact ok].
    apply (in_cnodes_with o slot c st); [exact stay | intros j; rewrite !capability_at_in; exact (in_insert_child slot p original_ c st j can) | | exact ok].
    intros _ _ _. exact (arrival_in_cnode slot p c st right arrived).
  - intros slot s original_ c st from is_low arrived (right & ok). split; [exact (after_insert_sibling sound_ slot s original_ c st from is_low right)|].
    destruct (slots st !! slot) as [f|] eqn:vacant; [unfold insert_sibling, is_empty; rewrite vacant; exact ok|].
    destruct (slots st !! s) as [e|] eqn:found; [|unfold insert_sibling; rewrite found; destruct (is_empty slot st); exact ok].
    apply (in_cnodes_with o slot c st); [apply cnodes_same; rewrite (insert_sibling_same slot s original_ c st); reflexivity | | | exact ok].
    + intros j. rewrite !capability_at_in. exact (in_insert_sibling slot s original_ c st e j vacant found).
    + intros _ _ _. exact (arrival_in_cnode slot s c st right arrived).
  - intros u at_ size x slot c st with_it new is_low (-> & arrived) (right & ok).
    split; [exact (after_carve sound_ u at_ size None slot c st with_it new is_low right)|]. apply in_cnodes_carve; [|exact ok].
    intros _ _ _. exact (arrival_in_cnode slot u c st right arrived).
  - exact yields_low.
Qed.
Lemma not_in_thread o st t i e b r : shelved o st -> thread_exists t st = true -> i < thread_slots ->
  capability_at (slot_of t i) st = Some (EndpointCap e b r) -> e <> o.
Proof. intros (right & ok) there few at_ ->. exact (cnode_outside t _ st right there (ok _ b r at_) (thread_slot_in t i few)). Qed.

(** ** The end of a step *)
Lemma unnamed_end_budget o expected st : parts st -> shelved o st -> unnamed o expected st -> unnamed o expected (end_budget st).
Proof.
  intros all_ shelf ok. unfold end_budget. cbv zeta. pose proof (@keeps_book_turn _ _ _ _ parts_quietly st all_) as booked.
  pose proof (@keeps_book_turn _ _ _ _ (shelved_quietly o) st shelf) as shelf1. pose proof (clears_book_turn o expected st ok) as ok1.
  change (parts (book_turn st)) in booked. change (shelved o (book_turn st)) in shelf1. revert booked shelf1 ok1. generalize (book_turn st).
  clear st all_ shelf ok. intros st all_ shelf ok. destruct (current_context st) as [c|] eqn:is_c; [|exact ok]. pose proof (told_use o expected st c ok is_c) as
    c_differs.
  unfold thread_that_uses. destruct (context_thread (context c st)) as [t|] eqn:back; [|exact ok]. pose proof (told_user o expected c st t ok back) as differs.
  destruct (member t (ready st)) eqn:queued_; [|exact ok]. destruct (is_used_up c st); [|exact ok].
  pose proof all_ as (_ & wait & _).
  assert (goes_on_whole t (place t st)) as goes_.
  { refine (@keeps_place _ _ _ _ (goes_whole_quietly t) t st (conj all_ _)). apply (w_runs nobody st wait), in_app_iff. left. apply member_in.
      exact queued_. }
  pose proof (clears_place o expected t st ok) as ok1. pose proof (@keeps_place _ _ _ _ (shelved_quietly o) t st shelf) as shelf1.
  change (shelved o (place t st)) in shelf1. revert goes_ ok1 shelf1. generalize (place t st). intros one goes_ ok1 shelf1. unfold time_out.
  destruct (capability_at _ one) as [[]|]; try exact ok1. pose proof (clears_report_consumed o expected c c_differs one ok1) as ok2.
  destruct (@keeps_report_consumed _ _ _ _ (goes_whole_quietly t) c one goes_) as (_ & (_ & runs)).
  destruct (@keeps_report_consumed _ _ _ _ (shelved_quietly o) c one shelf1) as (_ & shelf2).
  destruct (report_consumed c one) as (used & two). cbn [snd] in *. change (shelved o two) in shelf2. apply clears_raise; [exact differs | | exact ok2].
  intros e b r. apply (not_in_thread o two t timeout_slot e b r shelf2); [|reflexivity]. apply thread_is. rewrite runs. discriminate.
Qed.
Lemma yielder_differs o expected t st c : match expected with Some (ThreadObject x) => yielded_to x = None | _ => True end -> unnamed o expected st ->
  yielded_to (thread t st) = Some c -> other o expected t.
Proof.
  intros none_ ok yields. destruct (N.eq_dec t o) as [->|differs]; [|right; exact differs]. destruct expected as [y|]; [exfalso | left; reflexivity].
  destruct (u_object o _ st ok) as (x & there & same). cbn in same. subst y. unfold thread in yields. rewrite there in yields.
  destruct x; try discriminate yields. congruence.
Qed.
Lemma unnamed_choose o expected st : match expected with Some (ThreadObject x) => yielded_to x = None | _ => True end -> parts st -> shelved o st ->
  unnamed o expected st -> unnamed o expected (choose_thread st).
Proof.
  intros still_new all_ shelf ok. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (parts one /\ shelved o one /\ unnamed o expected one) as (all1 & shelf1 & ok1).
  { unfold one. destruct (ends_turn _); [|split; [|split]; assumption].
    split; [exact (@keeps_end_turn_if_due _ _ _ _ parts_quietly st all_)|].
    split; [exact (@keeps_end_turn_if_due _ _ _ _ (shelved_quietly o) st shelf) | exact (clears_end_turn o expected st ok)]. }
  clearbody one. set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (unnamed o expected two) as ok2.
  { unfold two. destruct (_ && _); [exact ok1|]. unfold change_context_in_use. cbv zeta. pose proof (unnamed_end_budget o expected one all1 shelf1 ok1) as ok2.
    revert ok2. generalize (end_budget one). intros three ok2.
    assert (forall c, context_of_first three = Some c -> other o expected c) as differs.
    { unfold context_of_first. destruct (first_ready three) as [t|]; [|discriminate]. intros c has. exact (told_had o expected t three c ok2 has). }
    assert (unnamed o expected (three <| current_context := context_of_first three |>)) as ok3.
    { destruct ok2 as [is_o each use]. constructor; [exact is_o | exact each|]. cbn.
      destruct (context_of_first three) as [c|]; [exact (differs c eq_refl) | exact I]. }
    destruct (context_of_first three) as [c|]; [|exact ok3]. destruct (_ || _); [exact ok3|].
    apply clears_context; [exact (differs c eq_refl) | apply leaves_begin_use | exact ok3]. }
  clearbody two. assert (forall next, unnamed o expected (two <| current := next |>)) as ok3
    by (intros next; apply (unnamed_same o expected two); [reflexivity | reflexivity | exact ok2]).
  destruct (first_ready two) as [t|]; [|exact (ok3 None)]. specialize (ok3 (Some t)). revert ok3. generalize (two <| current := Some t |>). intros three ok3.
  destruct (yielded_to (thread t three)) as [c|] eqn:yields; [|unfold end_yield_by; rewrite yields; exact ok3].
  exact (clears_end_yield o expected t (yielder_differs o expected t three c still_new ok3 yields) three ok3).
Qed.
