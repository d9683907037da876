(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What changes does so by rules

    Each object, and each slot, stands to what it was at the start of the step in changes by rules that are allowed. What every function does is allowed in
    each step, or by a rule that it names. The proofs follow the text of the specification. *)
From Coq Require Import Lia.
From Spec Require Export QueueProofs IntegrityClaims.
Open Scope N_scope.

(** ** What is named in a state is named in those with the same slots *)
Lemma walk_same levels o radix guard size address left a b : (forall slot, capability_at slot a = capability_at slot b) ->
  walk levels o radix guard size address left a = walk levels o radix guard size address left b.
Proof.
  intros same. revert o radix guard size left. induction levels as [|levels IH]; intros o radix guard size left; cbn [walk]; cbv zeta; rewrite same;
    [reflexivity|].
  destruct (_ || _); [reflexivity|]. destruct (_ <? _); [reflexivity|]. destruct (_ =? _); [reflexivity|].
  destruct (capability_at _ b) as [[]|]; try reflexivity. apply IH.
Qed.
Lemma occupied_same t address a b : (forall slot, capability_at slot a = capability_at slot b) ->
  occupied_slot_of_address t address a = occupied_slot_of_address t address b.
Proof.
  intros same. unfold occupied_slot_of_address, walk_from_thread, walk_from. rewrite same.
  destruct (capability_at (slot_of t cspace_slot) b) as [[]|]; try reflexivity. rewrite (walk_same _ _ _ _ _ _ _ a b same).
  destruct (walk _ _ _ _ _ _ _ b); [rewrite same|]; reflexivity.
Qed.
Lemma capability_of_slot slot a b : slots a !! slot = slots b !! slot -> capability_at slot a = capability_at slot b.
Proof. unfold capability_at. intros ->. reflexivity. Qed.

Section Rules.
Variable start : State.
Variable e : Event.
Variable allowed : ChangeRule -> Prop.
Variable used : option N.
Class Allows (r : ChangeRule) : Prop := allows : allowed r.
Context {by_budget : Allows ByBudget} {by_schedule : Allows BySchedule} {by_sending : Allows BySending} {by_fault : Allows ByFault}.
Definition ruled (o : N) : option Object -> Prop := by_rules start e allowed o (objects start !! o).
Record framed (st : State) : Prop := {
  objects_ruled : forall o, ruled o (objects st !! o);
  slots_ruled : forall slot, slot_by_rules allowed (slots start !! slot) (slots st !! slot);
  same_use : current_context st = used
}.

Lemma framed_same a b : objects b = objects a -> slots b = slots a -> current_context b = current_context a -> framed a -> framed b.
Proof. intros same1 same2 same3 [f1 f2 f3]. constructor; rewrite ?same1, ?same2, ?same3; assumption. Qed.
Lemma framed_put o x y st : objects st !! o = Some y -> (ruled o (Some y) -> ruled o (Some x)) -> framed st -> framed (put_object o x st).
Proof.
  intros there follows [f1 f2 f3]. constructor; try assumption. intros p. change (objects (put_object o x st)) with (set o x (objects st)).
  rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [apply follows; rewrite <- there; apply f1 | apply f1].
Qed.

(** Changes of an object that are made of rows. *)
Class RuledThread (o : N) (f : Thread -> Thread) : Prop := ruled_thread : forall x, ruled o (Some (ThreadObject x)) -> ruled o (Some (ThreadObject (f x))).
Class RuledEndpoint (o : N) (f : Endpoint -> Endpoint) : Prop :=
  ruled_endpoint : forall x, ruled o (Some (EndpointObject x)) -> ruled o (Some (EndpointObject (f x))).
Class RuledNotification (o : N) (f : Notification -> Notification) : Prop :=
  ruled_notification : forall x, ruled o (Some (NotificationObject x)) -> ruled o (Some (NotificationObject (f x))).
Class RuledReply (o : N) (f : Reply -> Reply) : Prop := ruled_reply : forall x, ruled o (Some (ReplyObject x)) -> ruled o (Some (ReplyObject (f x))).
Class RuledContext (o : N) (f : SchedContext -> SchedContext) : Prop :=
  ruled_context : forall x, ruled o (Some (SchedContextObject x)) -> ruled o (Some (SchedContextObject (f x))).

Lemma thread_by o rule x y : Allows rule -> changes_thread start o x rule y -> ruled o (Some (ThreadObject x)) -> ruled o (Some (ThreadObject y)).
Proof. intros ok row before. exact (and_by _ _ _ _ _ rule _ _ before ok (thread_changes _ _ _ _ _ _ row)). Qed.
Lemma endpoint_by o rule x y : Allows rule -> changes_endpoint start x rule y -> ruled o (Some (EndpointObject x)) -> ruled o (Some (EndpointObject y)).
Proof. intros ok row before. exact (and_by _ _ _ _ _ rule _ _ before ok (endpoint_changes _ _ _ _ _ _ row)). Qed.
Lemma notification_by o rule x y : Allows rule -> changes_notification start e o x rule y -> ruled o (Some (NotificationObject x)) ->
  ruled o (Some (NotificationObject y)).
Proof. intros ok row before. exact (and_by _ _ _ _ _ rule _ _ before ok (notification_changes _ _ _ _ _ _ row)). Qed.
Lemma reply_by o rule x y : Allows rule -> changes_reply start x rule y -> ruled o (Some (ReplyObject x)) -> ruled o (Some (ReplyObject y)).
Proof. intros ok row before. exact (and_by _ _ _ _ _ rule _ _ before ok (reply_changes _ _ _ _ _ _ row)). Qed.
Lemma context_by o rule x y : Allows rule -> changes_context start o x rule y -> ruled o (Some (SchedContextObject x)) ->
  ruled o (Some (SchedContextObject y)).
Proof. intros ok row before. exact (and_by _ _ _ _ _ rule _ _ before ok (context_changes _ _ _ _ _ _ row)). Qed.

Lemma registers_only l x : with_registers l x = x <| registers := registers (with_registers l x) |>.
Proof.
  unfold with_registers. revert x. induction l as [|(r & v) l IH]; intros x; [destruct x; reflexivity|]. cbn [fold_left fst snd].
  rewrite IH. reflexivity.
Qed.
Lemma ruled_registers o l x : ruled o (Some (ThreadObject x)) -> ruled o (Some (ThreadObject (with_registers l x))).
Proof. rewrite (registers_only l x). exact (thread_by o BySending x _ by_sending (gets_words start o x _)). Qed.

(** The thread that runs; and what it can name. *)
Class Caller (t : N) : Prop := is_caller : current start = Some t.
Class Named (c : Capability) : Prop := is_named_by_caller : caller_names start c.
Class NamedNotification (n : N) : Prop := is_notification_of_caller : names_notification start n.
Class NamedContext (c : N) : Prop := is_context_of_caller : names_context start c.
Ltac thread_row :=
  lazymatch goal with
  | |- ruled ?o (Some (ThreadObject (set_field priority ?p ?y))) => refine (thread_by o ByControl y _ _ (gets_priority start o y p is_named_by_caller) _)
  | |- ruled ?o (Some (ThreadObject (set_field controlled_priority ?p ?y))) =>
      refine (thread_by o ByControl y _ _ (gets_controlled_priority start o y p is_named_by_caller) _)
  | |- ruled ?o (Some (ThreadObject (set_field affinity ?p ?y))) => refine (thread_by o ByControl y _ _ (gets_affinity start o y p is_named_by_caller) _)
  | |- ruled ?o (Some (ThreadObject (set_field buffer_address ?p ?y))) => refine (thread_by o ByControl y _ _ (gets_buffer start o y p is_named_by_caller) _)
  | |- ruled ?o (Some (ThreadObject (set_field breakpoints ?p ?y))) => refine (thread_by o ByControl y _ _ (gets_breakpoints start o y p is_named_by_caller) _)
  | |- ruled ?o (Some (ThreadObject (set_field thread_domain ?p ?y))) => refine (thread_by o ByDomain y _ _ (gets_domain start o y p is_named_by_caller) _)
  | |- ruled ?o (Some (ThreadObject (set_field flags ?p ?y))) =>
      match goal with
      | A : Allows ByControl |- _ => refine (thread_by o ByControl y _ _ (gets_flags start o y p is_named_by_caller) _)
      | A : Allows ByAccess |- _ => refine (thread_by o ByAccess y _ _ (gets_access start o y p is_named_by_caller) _)
      end
  | |- ruled ?o (Some (ThreadObject (set_field bound_notification (Some ?n) ?y))) =>
      refine (thread_by o ByBinding y _ _ (is_bound_to start o y n is_named_by_caller is_notification_of_caller) _)
  | |- ruled ?o (Some (ThreadObject (set_field bound_notification None ?y))) => refine (thread_by o ByUnbinding y _ _ (is_unbound start o y) _)
  | |- ruled ?o (Some (ThreadObject (set_field yielded_to (Some ?c) ?y))) =>
      refine (thread_by o ByYielding y _ _ (yields_to start o y c is_caller is_context_of_caller) _)
  | H : ruled ?o (Some (ThreadObject ?x)) |- ruled ?o (Some (ThreadObject ?x)) => exact H
  | |- ruled ?o (Some (ThreadObject (with_registers ?l ?y))) => refine (ruled_registers o l y _)
  | |- ruled ?o (Some (ThreadObject (set_field registers ?r ?y))) => refine (thread_by o BySending y _ _ (gets_words start o y r) _)
  | |- ruled ?o (Some (ThreadObject (set_field run_state Running ?y))) => refine (thread_by o BySending y _ _ (runs_again start o y) _)
  | |- ruled ?o (Some (ThreadObject (set_field run_state Inactive ?y))) => refine (thread_by o BySending y _ _ (stops start o y) _)
  | |- ruled ?o (Some (ThreadObject (set_field run_state (BlockedOnReply ?r ?g) ?y))) =>
      refine (thread_by o BySending y _ _ (awaits_answer start o y r g) _)
  | |- ruled ?o (Some (ThreadObject (set_field run_state ?s ?y))) =>
      refine (thread_by o ByReceiving y _ _ (awaits_message start o y s is_caller eq_refl) _)
  | |- ruled ?o (Some (ThreadObject (set_field fault None ?y))) => refine (thread_by o ByFault y _ _ (fault_is_over start o y) _)
  | |- ruled ?o (Some (ThreadObject (set_field yielded_to None ?y))) => refine (thread_by o BySchedule y _ _ (yield_is_over start o y) _)
  | |- ruled ?o (Some (ThreadObject (set_field sched_context ?c ?y))) => refine (thread_by o ByDonation y _ _ (gets_context start o y c) _)
  | |- ruled ?o (Some (ThreadObject (set_field step_count ?n ?y))) =>
      match goal with
      | A : Allows ByStepping |- _ => refine (thread_by o ByStepping y _ _ (steps_by start o y n) _)
      | A : Allows ByControl |- _ => refine (thread_by o ByControl y _ _ (is_stepped start o y n is_named_by_caller) _)
      end
  | |- ruled _ (Some (ThreadObject (match ?x with _ => _ end))) => destruct x
  end.
Ltac rule_thread := intros ? ?; cbv beta; unfold write_registers, to_restart, with_error_result, with_result, with_empty_result, begin_receive, begin_call,
  lose_registers, with_state, debug_reply, with_register; cbv beta zeta;
  repeat (thread_row || match goal with |- context [match ?x with _ => _ end] => destruct x end).
Hint Extern 0 (RuledThread _ _) => (solve [rule_thread]) : typeclass_instances.

(* Definitions are told apart by their names, not by what they unfold to. *)
#[local] Hint Constants Opaque : typeclass_instances.

(** ** What it means for everything that carries a state *)
Class Good (T : Type) : Type := good : T -> Prop.
Instance good_any (T : Type) : Good T | 100 := fun _ => True.
Instance good_state : Good State := framed.
Instance good_pair {A B : Type} `{Good A} `{Good B} : Good (A * B) := fun p => good (fst p) /\ good (snd p).
Instance good_progress : Good Progress := fun p => good (state_of p).
Instance good_outcome : Good Outcome := fun o => match o with Returns _ st | Stops st | Continues st => good st end.
Instance good_loop {A B : Type} `{Good A} `{Good B} : Good (Turn_of_loop A B) := fun t => match t with Again a => good a | Finished b => good b end.
Instance good_capability : Good Capability := caller_names start.
Instance good_optional : Good (option Capability) := fun o => match o with Some c => caller_names start c | None => True end.
Instance good_argument : Good Argument := fun a => good (argument a).
Instance good_arguments : Good (list Argument) := Forall good.
Instance good_invocation : Good Invocation :=
  fun call => current start = Some (invoker call) /\ good (invoked call) /\ good (cap_arguments call).
Class Keeps {T : Type} `{Good T} (f : State -> T) : Prop := keeps : forall st, good st -> good (f st).
Instance good_decision : Good Decision := fun d => match d with Perform work => Keeps work | Refuse _ _ => True end.

Lemma good_done st : good st -> good (Done st). Proof. exact id. Qed.
Lemma good_preempted st : good st -> good (Preempted st). Proof. exact id. Qed.
Lemma good_returns l st : good st -> good (Returns l st). Proof. exact id. Qed.
Lemma good_stops st : good st -> good (Stops st). Proof. exact id. Qed.
Lemma good_continues st : good st -> good (Continues st). Proof. exact id. Qed.
Lemma good_again {A B : Type} `{Good A} `{Good B} (a : A) : good a -> good (Again a : Turn_of_loop A B). Proof. exact id. Qed.
Lemma good_finished {A B : Type} `{Good A} `{Good B} (b : B) : good b -> good (Finished b : Turn_of_loop A B). Proof. exact id. Qed.
Lemma good_perform work : Keeps work -> good (Perform work). Proof. exact id. Qed.
Lemma good_both {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : good a -> good b -> good (a, b). Proof. split; assumption. Qed.
Lemma done_good st : good (Done st) -> good st. Proof. exact id. Qed.
Lemma preempted_good st : good (Preempted st) -> good st. Proof. exact id. Qed.
Lemma returns_good l st : good (Returns l st) -> good st. Proof. exact id. Qed.
Lemma stops_good st : good (Stops st) -> good st. Proof. exact id. Qed.
Lemma continues_good st : good (Continues st) -> good st. Proof. exact id. Qed.
Lemma again_good {A B : Type} `{Good A} `{Good B} (a : A) : good (Again a : Turn_of_loop A B) -> good a. Proof. exact id. Qed.
Lemma finished_good {A B : Type} `{Good A} `{Good B} (b : B) : good (Finished b : Turn_of_loop A B) -> good b. Proof. exact id. Qed.
Lemma both_good {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : good (a, b) -> good a /\ good b. Proof. exact id. Qed.
Lemma named_good (c : Capability) : good (Some c) -> good c. Proof. exact id. Qed.
Lemma good_invoked (call : Invocation) : good call -> good (invoked call). Proof. intros ok. exact (proj1 (proj2 ok)). Qed.
Lemma good_invoker (call : Invocation) : good call -> Caller (invoker call). Proof. exact (@proj1 _ _). Qed.
Lemma good_cap i (call : Invocation) : good call -> good (argument (cap i call)).
Proof.
  intros (_ & _ & each). unfold cap. revert i. induction each as [|a l ok _ IH]; intros [|i]; simpl; try exact I; [exact ok | apply IH].
Qed.

Ltac carries_state T :=
  lazymatch T with
  | State => idtac
  | (_ * ?B)%type => carries_state B
  | Progress => idtac
  | Outcome => idtac
  | Decision => idtac
  | Turn_of_loop _ ?B => carries_state B
  end.
Ltac open_hypotheses :=
  repeat match goal with
  | H : good (_, _) |- _ => let a := fresh "ok" in let b := fresh "ok" in destruct (both_good _ _ H) as (a & b); clear H
  | H : good (Done _) |- _ => apply done_good in H
  | H : good (Preempted _) |- _ => apply preempted_good in H
  | H : good (Returns _ _) |- _ => apply returns_good in H
  | H : good (Stops _) |- _ => apply stops_good in H
  | H : good (Continues _) |- _ => apply continues_good in H
  | H : good (Again _) |- _ => apply again_good in H
  | H : good (Finished _) |- _ => apply finished_good in H
  | H : @good _ good_optional (Some _) |- _ => apply named_good in H
  end.
Ltac open_up x ok := destruct x; open_hypotheses.
Class LosesContext : Prop := loses_its_context : forall o st, good st -> good (put_reply o (without_context (reply o st)) st).
Ltac find_named :=
  lazymatch goal with
  | H : good ?call |- good (invoked ?call) => exact (good_invoked call H)
  | H : good ?call |- good (argument (cap ?i ?call)) => exact (good_cap i call H)
  | H : good ?a |- good (argument ?a) => exact H
  end.
Ltac keep_step :=
  match goal with
  | |- True => exact I
  | |- _ /\ _ => split
  | H : good ?x |- good ?x => exact H
  | |- good (_, _) => apply good_both
  | |- good (Done _) => apply good_done
  | |- good (Preempted _) => apply good_preempted
  | |- good (Returns _ _) => apply good_returns
  | |- good (Stops _) => apply good_stops
  | |- good (Continues _) => apply good_continues
  | |- good (Again _) => apply good_again
  | |- good (Finished _) => apply good_finished
  | |- good (Refuse _ _) => exact I
  | |- good illegal_operation => exact I
  | |- good (invalid_argument _) => exact I
  | |- good (invalid_capability _) => exact I
  | |- good (range_error _ _) => exact I
  | |- good alignment_error => exact I
  | |- good truncated_message => exact I
  | |- good delete_first => exact I
  | |- good revoke_first => exact I
  | |- good (not_enough_memory _) => exact I
  | |- good (failed_lookup _ _) => exact I
  | |- good (missing_capability _) => exact I
  | |- good (Perform _) => apply good_perform; intros ? ?
  | |- @good _ (good_any _) _ => exact I
  | |- good (let x := ?v in @?b x) =>
      tryif (let T := type of v in carries_state T)
      then (let ok := fresh "ok" in let s := fresh "s" in assert (ok : good v); [|revert ok; generalize v; intros s ok; change (good (b s)); cbv beta])
      else (change (good (b v)); cbv beta)
  | |- good (match ?x with _ => _ end) =>
      tryif (let T := type of x in carries_state T)
      then (let ok := fresh "ok" in assert (ok : good x); [|open_up x ok])
      else first [let ok := fresh "ok" in assert (ok : good x) by find_named; open_up x ok | destruct x]
  | H : good ?p |- @good State _ (state_of ?p) => exact H
  | |- good (and_then ?p _) => let ok := fresh "ok" in assert (ok : good p); [|unfold and_then; open_up p ok]
  | |- good (slot_in _ _ _ _ _ _) => unfold slot_in; cbv beta
  | |- good (empty_slot_in _ _ _ _ _) => unfold empty_slot_in; cbv beta
  | |- good (occupant _ _ _ _) => unfold occupant; cbv beta
  | |- good (thread_argument _ _ _) => unfold thread_argument; cbv beta
  | |- good (vspace_argument _ _ _) => unfold vspace_argument; cbv beta
  | |- good (always _) => unfold always; cbv beta
  | |- good (in_progress _) => unfold in_progress; cbv beta
  | |- good (reports _) => unfold reports; cbv beta
  | |- good (set_field _ _ ?s) =>
      let ok := fresh "ok" in
      (cut (good s); [generalize s; intros ? ok; refine (framed_same _ _ _ _ _ ok); reflexivity |])
  | |- good (put_reply ?o (without_context (reply ?o ?s)) ?s) => apply (loses_its_context o s)
  | |- good (?f ?s) => apply (keeps (f := f) s)
  | |- Keeps _ => intros ? ?; cbv beta
  end.
Ltac keep := repeat keep_step.
Ltac head f := lazymatch f with ?g _ => head g | _ => f end.
Ltac keeping f := intros ? ?; unfold f; keep.
Hint Extern 0 (Keeps (fun _ => _)) => (intros ? ?; cbv beta; solve [keep]) : typeclass_instances.
Instance keeps_fold {A : Type} (f : State -> A -> State) (l : list A) : (forall a, Keeps (fun st => f st a)) -> Keeps (fold_left f l).
Proof. intros each. induction l as [|a rest IH]; intros st ok; [exact ok|]. apply IH. exact (each a st ok). Qed.
Lemma good_repeat {A B : Type} `{Good A} `{Good B} n (f : A -> Turn_of_loop A B) (a : A) :
  (forall a, good a -> good (f a)) -> good a -> good (repeat_after n f a).
Proof. intros each. exact (repeat_keeps f good good each n a). Qed.

(** ** Objects *)
Instance keeps_emit x : Keeps (emit x). Proof. intros st ok. exact (framed_same st (emit x st) eq_refl eq_refl eq_refl ok). Qed.
Ltac change_object f o :=
  let st := fresh "st" in let ok := fresh "ok" in let found := fresh "found" in
  intros st ok; unfold f; destruct (objects st !! o) as [[]|] eqn:found; try exact (keeps_emit Stuck st ok); refine (framed_put o _ _ st found _ ok).
Instance keeps_change_thread o f : RuledThread o f -> Keeps (change_thread o f). Proof. intros row. change_object change_thread o. apply row. Qed.
Instance keeps_change_endpoint o f : RuledEndpoint o f -> Keeps (change_endpoint o f). Proof. intros row. change_object change_endpoint o. apply row. Qed.
Instance keeps_change_notification o f : RuledNotification o f -> Keeps (change_notification o f).
Proof. intros row. change_object change_notification o. apply row. Qed.
Instance keeps_put_reply o r : RuledReply o (fun _ => r) -> Keeps (put_reply o r). Proof. intros row. change_object put_reply o. apply (row reply). Qed.
Instance keeps_change_context o f : RuledContext o f -> Keeps (change_context o f). Proof. intros row. change_object change_context o. apply row. Qed.
Instance reply_loses_context {donates : Allows ByDonation} : LosesContext.
Proof.
  intros o st ok. unfold put_reply, reply. destruct (objects st !! o) as [[| | | |x| | | |]|] eqn:found; try exact (keeps_emit Stuck st ok).
  exact (framed_put o _ _ st found (reply_by o ByDonation x _ donates (loses_context start x)) ok).
Qed.
Ltac context_row :=
  lazymatch goal with
  | H : ruled ?o (Some (SchedContextObject ?x)) |- ruled ?o (Some (SchedContextObject ?x)) => exact H
  | |- ruled ?o (Some (SchedContextObject (begin_use ?t ?y))) => refine (context_by o BySchedule y _ _ (begins_to_be_used start o y t) _)
  | |- ruled ?o (Some (SchedContextObject (set_field consumed 0 ?y))) => refine (context_by o BySchedule y _ _ (is_reported start o y) _)
  | |- ruled ?o (Some (SchedContextObject (set_field yielder None ?y))) => refine (context_by o BySchedule y _ _ (yielder_returns start o y) _)
  | |- ruled ?o (Some (SchedContextObject (set_field context_thread ?t ?y))) => refine (context_by o ByDonation y _ _ (is_held_by start o y t) _)
  | |- ruled ?o (Some (SchedContextObject (set_field yielder (Some ?t) ?y))) =>
      refine (context_by o ByYielding y _ _ (is_yielded_to start o y t is_caller is_context_of_caller) _)
  | |- ruled ?o (Some (SchedContextObject (set_field context_notification (Some ?n) ?y))) =>
      refine (context_by o ByBinding y _ _ (is_lent_by start o y n is_context_of_caller is_notification_of_caller) _)
  | |- ruled ?o (Some (SchedContextObject (set_field context_notification None ?y))) => refine (context_by o ByUnbinding y _ _ (is_lent_no_more start o y) _)
  | |- ruled ?o (Some (SchedContextObject (configure_context ?core ?b ?p ?x ?g ?f ?s ?y))) =>
      match goal with
      | A : good (SchedContextCap o ?bits), B : good (SchedControlCap core) |- _ =>
          refine (context_by o ByConfiguration y _ _ (is_configured start o y core b p x g f s (ex_intro _ bits A) B) _)
      end
  | |- ruled ?o (Some (SchedContextObject (set_field calls ?l ?y))) => refine (context_by o ByDonation y _ _ (goes_along start o y l) _)
  end.
Hint Extern 0 (RuledContext _ _) => (solve [intros ? ?; cbv beta; repeat context_row]) : typeclass_instances.
Instance freed_reply o : RuledReply o (fun _ => unused_reply).
Proof. intros x. exact (reply_by o BySending x _ by_sending (is_freed start x)). Qed.
Instance called_reply o t c : RuledReply o (fun _ => {| caller := Some t; receiver := None; along := c |}).
Proof. intros x. exact (reply_by o BySending x _ by_sending (is_called start x t c)). Qed.
Instance named_reply o t {receives : Allows ByReceiving} {runs : Caller t} : RuledReply o (fun _ => {| caller := None; receiver := Some t; along := None |}).
Proof. intros x. exact (reply_by o ByReceiving x _ receives (is_named start x t runs)). Qed.
Lemma without_incl n l : incl (without n l) l. Proof. intros x listed. apply List.filter_In in listed. exact (proj1 listed). Qed.
Instance senders_without o t : RuledEndpoint o (fun x => x <| senders := without t (senders x) |>).
Proof. intros x. refine (endpoint_by o BySending x _ by_sending (sender_comes start x 0 _ _)). intros u listed. right. exact (without_incl t _ u listed). Qed.
Instance receivers_without o t : RuledEndpoint o (fun x => x <| receivers := without t (receivers x) |>).
Proof. intros x. exact (endpoint_by o BySending x _ by_sending (receivers_go start x _ (without_incl t _))). Qed.
Instance waiters_without o t {flags_ : Allows ByFlags} : RuledNotification o (fun x => x <| waiters := without t (waiters x) |>).
Proof. intros x. exact (notification_by o ByFlags x _ flags_ (waiters_go start e o x _ (without_incl t _))). Qed.
Instance flags_taken o {flags_ : Allows ByFlags} : RuledNotification o (fun x => x <| word_of_flags := None |>).
Proof. intros x. exact (notification_by o ByFlags x _ flags_ (flags_are_taken start e o x)). Qed.
Lemma in_insert precedes t l x : In x (insert_by precedes t l) -> x = t \/ In x l.
Proof.
  induction l as [|first rest IH]; cbn [insert_by]; [intros [<-|[]]; left; reflexivity|].
  destruct (precedes first); simpl; [intros [<-|listed]; [left; reflexivity | right; exact listed]|].
  intros [<-|listed]; [right; left; reflexivity|]. destruct (IH listed) as [same|other]; [left; exact same | right; right; exact other].
Qed.
Instance sender_joins o t s : RuledEndpoint o (fun x => x <| senders := insert_behind t (senders x) s |>).
Proof. intros x. refine (endpoint_by o BySending x _ by_sending (sender_comes start x t _ _)). intros u. apply in_insert. Qed.
Instance receiver_joins o t s {receives : Allows ByReceiving} {runs : Caller t} :
  RuledEndpoint o (fun x => x <| receivers := insert_behind t (receivers x) s |>).
Proof.
  intros x. refine (endpoint_by o ByReceiving x _ receives (receiver_comes start x _ _)). intros u listed.
  destruct (in_insert _ _ _ _ listed) as [->|other]; [left; exact runs | right; exact other].
Qed.
Instance waiter_joins o t s {receives : Allows ByReceiving} {runs : Caller t} :
  RuledNotification o (fun x => x <| waiters := insert_behind t (waiters x) s |>).
Proof.
  intros x. refine (notification_by o ByReceiving x _ receives (waiter_comes start e o x _ _)). intros u listed.
  destruct (in_insert _ _ _ _ listed) as [->|other]; [left; exact runs | right; exact other].
Qed.

(** ** Time *)
Class ItsUse : Prop := its_use : used = current_context start.
Instance keeps_unplace t : Keeps (unplace t). Proof. keeping unplace. Qed.
Instance keeps_place_by i t : Keeps (place_by i t). Proof. keeping place_by. Qed.
Instance keeps_place t : Keeps (place t). Proof. keeping place. Qed.
Instance keeps_place_ahead t : Keeps (place_ahead t). Proof. keeping place_ahead. Qed.
Instance keeps_place_anew t : Keeps (place_anew t). Proof. keeping place_anew. Qed.
Instance keeps_begin_sporadic t : Keeps (begin_sporadic t). Proof. keeping begin_sporadic. Qed.
Instance keeps_wake t : Keeps (wake t). Proof. keeping wake. Qed.
Instance keeps_wake_ahead t : Keeps (wake_ahead t). Proof. keeping wake_ahead. Qed.
Instance keeps_give_context c t {donates : Allows ByDonation} : Keeps (give_context c t). Proof. keeping give_context. Qed.
Lemma charge_ruled c n smallest m x : uses start c -> ruled c (Some (SchedContextObject x)) ->
  ruled c (Some (SchedContextObject (charge n smallest x <| consumed := consumed (charge n smallest x) + m |>))).
Proof.
  intros it ok. refine (context_by c ByBudget _ _ by_budget (is_used start c _ m it) _).
  exact (context_by c ByBudget x _ by_budget (is_charged start c x n smallest it) ok).
Qed.
Lemma consumed_of_give_back smallest r c : consumed (give_back smallest r c) = consumed c.
Proof. unfold give_back. cbv zeta. destruct (refills _); [reflexivity|]. destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; reflexivity. Qed.
Lemma consumed_of_charge n smallest c : consumed (charge n smallest c) = consumed c.
Proof.
  unfold charge. destruct (is_round_robin c); [destruct (refills c); reflexivity|].
  assert (forall x, consumed (mend_first smallest x) = consumed x) as mended
    by (intros x; unfold mend_first; destruct (refills x) as [|? [|? ?]]; [|destruct (_ <=? _)|destruct (_ <=? _)]; reflexivity).
  pose proof (repeat_keeps (charge_step smallest) (fun x => consumed (fst x) = consumed c) (fun x => consumed x = consumed c)) as kept.
  assert (forall x, consumed (fst x) = consumed c -> match charge_step smallest x with
    Again a => consumed (fst a) = consumed c | Finished b => consumed b = consumed c end) as each.
  { intros (x & m) same. unfold charge_step. destruct (refills x) as [|first rest]; [exact same|]. cbv zeta. destruct (_ || _); [exact same|].
    destruct (_ <=? _); [destruct rest as [|second others]; [exact same|]|]; cbn [fst]; rewrite consumed_of_give_back; exact same. }
  specialize (kept each n (c, n) eq_refl). destruct (repeat_after _ _ _) as [(x & m)|x]; rewrite mended; exact kept.
Qed.
Instance keeps_book {its : ItsUse} : Keeps book.
Proof.
  intros st ok. unfold book. cbv zeta. assert (good (st <| charged_until := now st |>)) as ok1 by keep. revert ok1.
  generalize (now st - charged_until st) (st <| charged_until := now st |>). intros n st1 ok1.
  destruct (current_context st1) as [c|] eqn:use; [|exact ok1]. destruct (objects st1 !! c) as [[]|]; try exact ok1.
  refine (keeps_change_context c _ _ st1 ok1). intros x ok_x.
  assert (uses start c) as it by (left; rewrite <- (its_use : used = _), <- (same_use st1 ok1); exact use).
  pose proof (charge_ruled c n (smallest_budget st1) n x it ok_x) as done_. rewrite consumed_of_charge in done_. exact done_.
Qed.
Instance keeps_will_book : Keeps will_book. Proof. keeping will_book. Qed.
Instance keeps_book_turn {its : ItsUse} : Keeps book_turn. Proof. keeping book_turn. Qed.
Instance keeps_report_booked c : Keeps (report_booked c). Proof. keeping report_booked. Qed.
Instance keeps_report_consumed c {its : ItsUse} : Keeps (report_consumed c). Proof. keeping report_consumed. Qed.
Instance keeps_begin_turn i : Keeps (begin_turn i). Proof. keeping begin_turn. Qed.
Instance keeps_next_turn : Keeps next_turn. Proof. keeping next_turn. Qed.
Instance keeps_end_turn_if_due : Keeps end_turn_if_due. Proof. keeping end_turn_if_due. Qed.
Instance keeps_end_yield_by report t : (forall c, Keeps (report c)) -> Keeps (end_yield_by report t). Proof. intros each. keeping end_yield_by. Qed.
Instance keeps_end_yield t {its : ItsUse} : Keeps (end_yield t). Proof. keeping end_yield. Qed.
Instance keeps_forget_yield t : Keeps (forget_yield t). Proof. keeping forget_yield. Qed.

(** ** Slots *)
Lemma framed_slots a b : same_but_slots a b -> (forall slot, slot_by_rules allowed (slots start !! slot) (slots a !! slot) ->
  slot_by_rules allowed (slots start !! slot) (slots b !! slot)) -> framed a -> framed b.
Proof.
  intros same follows [f1 f2 f3]. pose proof same as same'. unfold same_but_slots in same'. constructor.
  - intros o. rewrite same'. apply f1.
  - intros slot. apply follows, f2.
  - rewrite same'. exact f3.
Qed.
Lemma slot_by rule x y z : Allows rule -> changes_slot rule y z -> slot_by_rules allowed x y -> slot_by_rules allowed x z.
Proof. intros ok row before. exact (and_slot_by allowed x rule y z before ok row). Qed.
Instance keeps_count c : Keeps (count_reference c).
Proof. intros st. apply framed_same; unfold count_reference; destruct (referent c); reflexivity. Qed.
Instance keeps_discount c : Keeps (discount_reference c).
Proof. intros st. apply framed_same; unfold discount_reference; cbv zeta; destruct (referent c); reflexivity. Qed.
Class Filling : Prop := is_filling : exists rule, allowed rule /\ fills_slots rule = true.
Instance grants_fill {grants : Allows ByGrant} : Filling. Proof. exists ByGrant. split; [exact grants | reflexivity]. Qed.
Instance makings_fill {makes : Allows ByMaking} : Filling. Proof. exists ByMaking. split; [exact makes | reflexivity]. Qed.
Class Growing (f : list N -> list N) : Prop := growing : forall l, incl l (f l).
Instance one_more n : Growing (cons n). Proof. intros l m. right. assumption. Qed.
Instance one_behind s n : Growing (replace s [s; n]).
Proof. intros l m listed. unfold replace. apply in_flat_map. exists m. split; [exact listed|]. destruct (N.eqb_spec m s) as [->|]; left; reflexivity. Qed.
Instance keeps_change_children p f {grows : Growing f} {filling : Filling} : Keeps (change_children p f).
Proof.
  intros st. apply framed_slots; [apply change_children_same|]. intros slot before. destruct p as [p|]; [|exact before].
  change (slots (change_children (Some p) f st)) with (update p (fun x => with_children (f (children x)) x) (slots st)). rewrite find_update.
  destruct (N.eqb_spec slot p) as [->|]; [|exact before]. destruct (slots st !! p) as [x|]; [|exact before].
  destruct filling as (rule & ok_rule & kind). exact (slot_by rule _ _ _ ok_rule (lists_derived rule x _ kind (grows _)) before).
Qed.
Lemma put_entry_same slot x st : same_but_slots st (put_entry slot x st). Proof. unfold put_entry. slots_only. Qed.
Lemma new_entry slot c o p st {filling : Filling} : slots st !! slot = None -> framed st ->
  framed (put_entry slot {| capability := c; original := o; parent := p; children := [] |} st).
Proof.
  intros vacant. apply framed_slots; [apply put_entry_same|]. intros j before.
  match goal with |- context [put_entry slot ?x st] => change (slots (put_entry slot x st)) with (set slot x (slots st)) end. rewrite find_set.
  destruct (N.eqb_spec j slot) as [->|]; [|exact before]. rewrite vacant in before. destruct filling as (rule & ok_rule & kind).
  refine (slot_by rule _ _ _ ok_rule (comes_anew rule _ kind _) before). reflexivity.
Qed.
Lemma vacant_still p f slot st : slots st !! slot = None -> slots (change_children p f st) !! slot = None.
Proof.
  intros vacant. destruct p as [p|]; [|exact vacant].
  change (slots (change_children (Some p) f st)) with (update p (fun x => with_children (f (children x)) x) (slots st)). rewrite find_update, vacant.
  destruct (slot =? p); reflexivity.
Qed.
Instance keeps_insert_child slot p o c {filling : Filling} : Keeps (insert_child slot p o c).
Proof.
  intros st ok. unfold insert_child. destruct (_ && _) eqn:can; [|keep]. apply andb_prop, proj1, is_empty_spec in can.
  apply keeps_count, new_entry; [exact filling | exact (vacant_still (Some p) _ slot st can) | exact (keeps_change_children (Some p) _ st ok)].
Qed.
Instance keeps_insert_sibling slot s o c {filling : Filling} : Keeps (insert_sibling slot s o c).
Proof.
  intros st ok. unfold insert_sibling. destruct (is_empty slot st) eqn:can; [|keep]. apply is_empty_spec in can.
  destruct (slots st !! s) as [x|]; [|keep].
  apply keeps_count, new_entry; [exact filling | exact (vacant_still (parent x) _ slot st can) | exact (keeps_change_children (parent x) _ st ok)].
Qed.
Lemma restated_good rule u x c st {ok_rule : Allows rule} : slots st !! u = Some x -> changes_slot rule (Some x) (Some (x <| capability := c |>)) ->
  framed st -> framed (replace_capability u x c st).
Proof.
  intros there row ok. unfold replace_capability. apply keeps_count.
  assert (framed (discount_reference (capability x) st)) as ok1 by exact (keeps_discount _ st ok).
  assert (slots (discount_reference (capability x) st) !! u = Some x) as there1
    by (rewrite <- there; unfold discount_reference; cbv zeta; destruct (referent (capability x)); reflexivity).
  revert ok1 there1. generalize (discount_reference (capability x) st). intros st1 ok1 there1. refine (framed_slots st1 _ (put_entry_same _ _ _) _ ok1).
  intros j before.
  match goal with |- context [put_entry u ?y st1] => change (slots (put_entry u y st1)) with (set u y (slots st1)) end. rewrite find_set.
  destruct (N.eqb_spec j u) as [->|]; [|exact before]. rewrite there1 in before. exact (slot_by rule _ _ _ _ row before).
Qed.
Instance restates_change slot c {restates : Allows ByRestating} : Keeps (change_capability slot c).
Proof.
  intros st ok. unfold change_capability. destruct (slots st !! slot) as [x|] eqn:there; [|keep]. destruct (_ && _) eqn:alike; [|keep].
  apply andb_prop in alike. destruct alike as (there_ & back). exact (restated_good ByRestating slot x c st there (is_restated x c there_ back) ok).
Qed.
Lemma keeps_carve_nothing u at_ size slot c {filling : Filling} : Keeps (carve u at_ size None slot c).
Proof.
  intros st ok. unfold carve, capability_at. destruct (slots st !! u) as [x|] eqn:there; [|keep].
  destruct (capability x) as [base bits device used'| | | | | | | | | | | | | | | | | |] eqn:is_it; try solve [keep]. cbv zeta.
  destruct (_ && _); [|keep]. cbn [put_if_some]. apply keeps_insert_child; [exact filling|].
  destruct filling as (rule & ok_rule & kind). assert (Allows rule) by exact ok_rule.
  exact (restated_good rule u x _ st there (is_spent rule x base bits device used' _ kind is_it) ok).
Qed.
Instance keeps_insert_derived slot s o c {filling : Filling} : Keeps (insert_derived slot s o c).
Proof.
  intros st ok. unfold insert_derived. destruct (slots st !! s) as [x|]; [|keep].
  destruct (capability x); try (destruct (_ || _); [keep|]; destruct (original x); keep). exact (keeps_carve_nothing s base _ slot _ st ok).
Qed.
Instance keeps_write_memory a v : Keeps (write_memory a v). Proof. keeping write_memory. Qed.

(** ** Messages *)
Instance keeps_transfer position l through from to free {grants : Allows ByGrant} : Keeps (transfer position l through from to free).
Proof. revert position free. induction l as [|address rest IH]; intros position free st ok; simpl; keep. Qed.
Instance keeps_write_words a l : Keeps (write_words a l).
Proof. revert a. induction l as [|v rest IH]; intros a st ok; simpl; keep. Qed.
Instance keeps_write_long_words t l : Keeps (write_long_words t l). Proof. keeping write_long_words. Qed.
Instance keeps_deliver m through badge caps from to {grants : Allows ByGrant} : Keeps (deliver m through badge caps from to). Proof. keeping deliver. Qed.
Lemma keeps_deliver_words m through badge caps from to : cap_addresses m = [] -> Keeps (deliver m through badge caps from to).
Proof.
  intros none st ok. unfold deliver. rewrite none. assert ((if caps then @nil N else []) = []) as -> by (destruct caps; reflexivity).
  cbn [transfer]. keep.
Qed.
Instance keeps_break_stack r {donates : Allows ByDonation} : Keeps (break_stack r). Proof. keeping break_stack. Qed.
Instance keeps_return_context r t {donates : Allows ByDonation} : Keeps (return_context r t).
Proof. keeping return_context. Qed.
Instance keeps_set_empty_result t : Keeps (set_empty_result t). Proof. keeping set_empty_result. Qed.
Instance keeps_set_error_result x t : Keeps (set_error_result x t). Proof. keeping set_error_result. Qed.
Instance keeps_end_call_of t h : Keeps (end_call_of t h). Proof. keeping end_call_of. Qed.
Instance receiver_loses_reply t {receives : Allows ByReceiving} : RuledThread t (fun x => match run_state x with
  | BlockedOnReceive p _ requires may_grant => with_state (BlockedOnReceive p None requires may_grant) x | _ => x end).
Proof.
  intros x ok. destruct (run_state x) eqn:state; try exact ok. pose proof (loses_reply start t x) as row. rewrite state in row.
  exact (thread_by t ByReceiving x _ _ row ok).
Qed.
Instance keeps_free_reply r {donates : Allows ByDonation} {receives : Allows ByReceiving} : Keeps (free_reply r). Proof. keeping free_reply. Qed.
Instance keeps_stop_waiting t {donates : Allows ByDonation} {flags_ : Allows ByFlags} : Keeps (stop_waiting t). Proof. keeping stop_waiting. Qed.
Instance keeps_suspend t {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (suspend t). Proof. keeping suspend. Qed.
Instance keeps_make_inactive t : Keeps (make_inactive t). Proof. keeping make_inactive. Qed.
Instance keeps_restart t {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (restart t). Proof. keeping restart. Qed.
Instance keeps_end_unanswered t : Keeps (end_unanswered t). Proof. keeping end_unanswered. Qed.
Instance keeps_return_lent_context t n {donates : Allows ByDonation} : Keeps (return_lent_context t n). Proof. keeping return_lent_context. Qed.
Instance keeps_lend_context t n {donates : Allows ByDonation} : Keeps (lend_context t n). Proof. keeping lend_context. Qed.
Class Lends (b : bool) : Prop := lends_freely : b = false \/ Allows ByDonation.
Lemma meet_good s t p b r rg g gr c l st {lends_ : Lends l} : good st -> good (deliver (message_of s st) (Some p) b g s t st) ->
  good (meet s t p b r rg g gr c l st).
Proof.
  intros ok delivered. destruct lends_ as [->|donates].
  - unfold meet, lends_now. cbn [andb]. cbv beta zeta iota. keep.
  - unfold meet. keep.
Qed.
Instance keeps_meet s t p b r rg g gr c l {lends_ : Lends l} {grants : Allows ByGrant} : Keeps (meet s t p b r rg g gr c l).
Proof. intros st ok. apply meet_good; [exact lends_ | exact ok | keep]. Qed.
Lemma meet_silent s t p b r rg g gr c l st {lends_ : Lends l} : is_silent s st -> good st -> good (meet s t p b r rg g gr c l st).
Proof.
  intros silent ok. apply meet_good; [exact lends_ | exact ok|].
  exact (keeps_deliver_words (message_of s st) (Some p) b g s t (silent_message s st silent) st ok).
Qed.

(** Who sends runs, or is a thread that faulted. *)
Definition sender (t : N) (st : State) : Prop := current start = Some t \/ forall x, objects st !! t = Some (ThreadObject x) -> is_some (fault x) = true.
Lemma sender_waits t p b g gr c l st : sender t st -> good st -> good (change_thread t (with_state (BlockedOnSend p b g gr c l)) st).
Proof.
  intros sends ok. unfold change_thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:found; try solve [keep].
  refine (framed_put t _ _ st found (thread_by t BySending x _ _ (begins_to_send start t x p b g gr c l _)) ok).
  destruct sends as [runs|faults]; [left; exact runs | right; exact (faults x found)].
Qed.
Lemma send_good t p b g gr c l w st {lends_ : Lends l} : sender t st -> Allows ByGrant \/ is_silent t st -> good st -> good (send t p b g gr c l w st).
Proof.
  intros sends speaks ok. unfold send. destruct (receivers (endpoint p st)) as [|first rest] eqn:waiting.
  - destruct w; [|keep]. apply good_both; [exact I|]. pose proof (sender_waits t p b g gr c l (unplace t st) sends (keeps_unplace t st ok)). keep.
  - destruct (run_state (thread first st)) as [| |x r requires receiver_grant| | |]; try solve [keep]. cbv zeta.
    destruct (leaves_without_context _ _ _ _); [keep|]. apply good_both; [exact I|].
    assert (good (change_endpoint p (fun x => x <| receivers := rest |>) st)) as ok1.
    { unfold change_endpoint, endpoint in *. destruct (objects st !! p) as [[| |y| | | | | |]|] eqn:found; try solve [keep].
      refine (framed_put p _ _ st found (endpoint_by p BySending y _ _ (receivers_go start y rest _)) ok). rewrite waiting. intros u. right. assumption. }
    destruct speaks as [grants|silent]; [exact (keeps_meet t first p b r receiver_grant g gr c l _ ok1)|].
    apply meet_silent; [exact lends_ | apply silent_after_change_endpoint; exact silent | exact ok1].
Qed.
Instance keeps_send t p b g gr c l w {runs : Caller t} {lends_ : Lends l} {grants : Allows ByGrant} : Keeps (send t p b g gr c l w).
Proof. intros st ok. apply send_good; [exact lends_ | left; exact runs | left; exact grants | exact ok]. Qed.
Instance keeps_refuse_sender t : Keeps (refuse_sender t). Proof. keeping refuse_sender. Qed.
Instance donated_lends b {donates : Allows ByDonation} : Lends b. Proof. right. exact donates. Qed.
Instance nothing_lent : Lends false. Proof. left. reflexivity. Qed.

(** Senders are taken off their queue one by one. *)
Lemma tail_incl (l : list N) : incl (tl l) l. Proof. destruct l as [|first rest]; [intros u listed; exact listed | intros u listed; right; exact listed]. Qed.
Instance senders_tail o : RuledEndpoint o (fun x => x <| senders := tl (senders x) |>).
Proof. intros x. refine (endpoint_by o BySending x _ by_sending (sender_comes start x 0 _ _)). intros u listed. right. exact (tail_incl _ u listed). Qed.
Instance keeps_refuse_first p r : Keeps (refuse_first p r). Proof. keeping refuse_first. Qed.
Lemma fewer_senders p l st : incl l (senders (endpoint p st)) -> good st ->
  good (change_endpoint p (fun x => x <| senders := l |>) st).
Proof.
  intros fewer ok. unfold change_endpoint, endpoint in *. destruct (objects st !! p) as [[| |y| | | | | |]|] eqn:found; try solve [keep].
  refine (framed_put p _ _ st found (endpoint_by p BySending y _ _ (sender_comes start y 0 l _)) ok). intros u listed. right. exact (fewer u listed).
Qed.
Lemma received queue t p r g st {grants : Allows ByGrant} {donates : Allows ByDonation} : incl queue (senders (endpoint p st)) -> good st ->
  good (receive_from queue t p r g st).
Proof.
  intros there ok. destruct queue as [|first rest]; cbn [receive_from]; [keep|].
  destruct (run_state (thread first st)) as [| | |q badge grant grant_reply is_call lends| |]; try solve [keep]. cbv zeta.
  pose proof (fewer_senders p rest st (fun u listed => there u (or_intror listed)) ok) as ok1. keep.
Qed.
Instance keeps_take_flags t n {donates : Allows ByDonation} {flags_ : Allows ByFlags} : Keeps (take_flags t n). Proof. keeping take_flags. Qed.
Instance keeps_receive t p r requires g b {runs : Caller t} {grants : Allows ByGrant} {donates : Allows ByDonation} {flags_ : Allows ByFlags}
  {receives : Allows ByReceiving} : Keeps (receive t p r requires g b).
Proof.
  intros st ok. unfold receive. assert (good (match r with Some r => free_reply r st | None => st end)) as ok1 by keep. revert ok1.
  generalize (match r with Some r => free_reply r st | None => st end). intros st1 ok1. cbv zeta.
  assert (good (let (received, st) := receive_from (senders (endpoint p st1)) t p r g st1 in
      if received then st
      else if b then
        let st := unplace t st >> change_thread t (begin_receive (BlockedOnReceive p r requires g)) in
        let st := change_endpoint p (fun x => x <| receivers := insert_behind t (receivers x) st |>) st in
        let st := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st | None => st end in
        match bound_notification (thread t st1) with Some n => return_lent_context t n st | None => st end
      else set_empty_result t st)) as waits.
  { pose proof (received (senders (endpoint p st1)) t p r g st1 (incl_refl _) ok1) as ok2.
    destruct (receive_from _ t p r g st1) as (done_ & st2). apply both_good in ok2. destruct ok2 as (_ & ok2). keep. }
  destruct (bound_notification (thread t st1)) as [n|]; [destruct (is_signalled t st1); [keep | exact waits] | exact waits].
Qed.
Instance keeps_wait_on t n b {runs : Caller t} {donates : Allows ByDonation} {flags_ : Allows ByFlags} {receives : Allows ByReceiving} : Keeps (wait_on t n b).
Proof. keeping wait_on. Qed.
Instance keeps_hand_flags_to t n {donates : Allows ByDonation} {flags_ : Allows ByFlags} : Keeps (hand_flags_to t n). Proof. keeping hand_flags_to. Qed.
Class Signals (n badge : N) : Prop := does_signal : signals start e n badge.
Instance flags_added n badge {signals_ : Allows BySignal} {its_flags : Signals n badge} :
  RuledNotification n (fun x => x <| word_of_flags := Some (N.lor (or_default 0 (word_of_flags x)) badge) |>).
Proof. intros x. exact (notification_by n BySignal x _ signals_ (is_signalled_with start e n x badge its_flags)). Qed.
Instance keeps_signal n b {donates : Allows ByDonation} {flags_ : Allows ByFlags} {signals_ : Allows BySignal} {its_flags : Signals n b} : Keeps (signal n b).
Proof. keeping signal. Qed.
Class MayFault (t : N) (f : Fault) : Prop := may_fault : current start = Some t \/ is_timeout f.
Lemma raise_good slot l t f st {lends_ : Lends l} {faults : MayFault t f} : good st -> good (raise_fault_to slot l t f st).
Proof.
  intros ok. unfold raise_fault_to. destruct (capability_at _ st) as [[|p badge r| | | | | | | | | | | | | | | | |]|];
    try solve [exact (keeps_make_inactive t st ok)].
  destruct (_ && _); [|keep]. cbv zeta.
  assert (good (change_thread t (fun x => x <| fault := Some f |>) st)) as faulting.
  { refine (keeps_change_thread t _ _ st ok). intros x. exact (thread_by t ByFault x _ by_fault (faults_now start t x f faults)). }
  assert (sender t (change_thread t (fun x => x <| fault := Some f |>) st)) as sends.
  { right. intros x. unfold change_thread. destruct (objects st !! t) as [[|y| | | | | | |]|] eqn:found;
      try (change (objects (emit Stuck st)) with (objects st); rewrite found; discriminate).
    match goal with |- context [put_object t ?z st] => change (objects (put_object t z st)) with (set t z (objects st)) end.
    rewrite find_set, N.eqb_refl. intros same. injection same as <-. reflexivity. }
  pose proof (send_good t p badge (can_grant r) (can_grant_reply r) true l true _ sends (or_intror (faulting_is_silent t f st)) faulting) as sent.
  destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & after); apply both_good in sent; destruct sent as (_ & sent); keep.
Qed.
Instance keeps_raise_fault_to slot l t f {lends_ : Lends l} {faults : MayFault t f} : Keeps (raise_fault_to slot l t f).
Proof. intros st. apply raise_good; assumption. Qed.
Instance caller_faults t f {runs : Caller t} : MayFault t f. Proof. left. exact runs. Qed.
Instance keeps_raise_fault t f {runs : Caller t} {donates : Allows ByDonation} : Keeps (raise_fault t f). Proof. keeping raise_fault. Qed.
Instance keeps_answer_fault t f m {steps : Allows ByStepping} : Keeps (answer_fault t f m). Proof. keeping answer_fault. Qed.
Instance keeps_answer t r g {donates : Allows ByDonation} {grants : Allows ByGrant} {steps : Allows ByStepping} : Keeps (answer t r g). Proof.
  keeping answer. Qed.

(** ** What ends in every step *)
Instance keeps_time_out t c {its : ItsUse} : Keeps (time_out t c).
Proof.
  intros st ok. unfold time_out. destruct (capability_at _ st) as [[]|]; try exact ok.
  pose proof (keeps_report_consumed c st ok) as after. destruct (report_consumed c st) as (n & st'). apply both_good in after. destruct after as (_ & after).
  apply (@raise_good timeout_slot false t _ st' nothing_lent); [right; unfold is_timeout, fault_report; reflexivity | exact after].
Qed.
Instance keeps_end_budget {its : ItsUse} : Keeps end_budget. Proof. keeping end_budget. Qed.
Instance keeps_wake_sleepers : Keeps wake_sleepers. Proof. keeping wake_sleepers. Qed.
Instance keeps_timer_expires {its : ItsUse} : Keeps timer_expires. Proof. keeping timer_expires. Qed.
Instance keeps_change_interrupt i f : Keeps (change_interrupt i f). Proof. keeping change_interrupt. Qed.
Instance keeps_set_mask i m : Keeps (set_mask i m). Proof. keeping set_mask. Qed.
Instance keeps_debug_event t r a n {runs : Caller t} {donates : Allows ByDonation} {steps : Allows ByStepping} : Keeps (debug_event t r a n).
Proof. keeping debug_event. Qed.
Instance keeps_user_fault t c {runs : Caller t} {donates : Allows ByDonation} {steps : Allows ByStepping} : Keeps (user_fault t c).
Proof. keeping user_fault. Qed.
Instance keeps_save_registers l : Keeps (save_registers l). Proof. keeping save_registers. Qed.

(** ** Work in units *)
Instance keeps_allow n : Keeps (allow n). Proof. keeping allow. Qed.
Instance keeps_in_units {A : Type} remains (work : A -> State -> A * State) (a : A) : (forall a, Keeps (work a)) -> Keeps (in_units remains work a).
Proof.
  intros each st ok. unfold in_units.
  assert (good (repeat_after (allowance st) (unit_turn remains work) (a, allowance st, st))) as result.
  { apply good_repeat; [|exact (conj (conj I I) ok)]. intros ((a' & units) & st') (_ & ok'). unfold unit_turn. keep. }
  destruct (repeat_after _ _ _) as [((? & ?) & st')|p]; [exact (proj2 result) | exact result].
Qed.

(** ** Slots that are arranged anew *)
Lemma arranged_good {arranges : Allows ByArrangement} a b : same_but_slots a b -> good a -> good b.
Proof.
  intros same. apply framed_slots; [exact same|]. intros slot. exact (slot_by ByArrangement _ _ _ _ (is_arranged _ _)).
Qed.
Lemma change_capability_same slot c st : same_but_slots st (change_capability slot c st).
Proof.
  unfold change_capability. destruct (slots st !! slot); [destruct (_ && _)|]; [apply replace_capability_same | apply emit_same | apply emit_same].
Qed.
Lemma make_zombie_same slot st : same_but_slots st (make_zombie slot st).
Proof.
  unfold make_zombie. destruct (slots st !! slot); [destruct (container_of _ st)|]; [apply replace_capability_same | apply emit_same | apply emit_same].
Qed.
Lemma carve_nothing_same u at_ size slot c st : same_but_slots st (carve u at_ size None slot c st).
Proof.
  unfold carve. destruct (slots st !! u); [|apply emit_same]. destruct (capability_at u st) as [[]|]; try apply emit_same. cbv zeta.
  destruct (_ && _); [|apply emit_same]. cbn [put_if_some]. eapply same_slots_trans; [apply replace_capability_same | apply insert_child_same].
Qed.
Lemma insert_derived_same slot s o c st : same_but_slots st (insert_derived slot s o c st).
Proof.
  unfold insert_derived. destruct (slots st !! s) as [x|]; [|apply emit_same].
  destruct (capability x); try (destruct (_ || _); [apply emit_same|]; destruct (original x); [apply insert_child_same | apply insert_sibling_same]).
  apply carve_nothing_same.
Qed.
Instance arranges_change slot c {arranges : Allows ByArrangement} : Keeps (change_capability slot c).
Proof. intros st. apply arranged_good, change_capability_same. Qed.
Instance arranges_move from to {arranges : Allows ByArrangement} : Keeps (move_capability from to).
Proof. intros st. apply arranged_good, move_capability_same. Qed.
Instance arranges_removal slot {arranges : Allows ByArrangement} : Keeps (remove_capability slot).
Proof. intros st. apply arranged_good, remove_capability_same. Qed.
Instance arranges_zombie slot {arranges : Allows ByArrangement} : Keeps (make_zombie slot).
Proof. intros st. apply arranged_good, make_zombie_same. Qed.
Instance arranges_derived slot s o c {arranges : Allows ByArrangement} : Keeps (insert_derived slot s o c).
Proof. intros st. apply arranged_good, insert_derived_same. Qed.
Instance keeps_exchange a b {arranges : Allows ByArrangement} : Keeps (exchange_capabilities a b). Proof. keeping exchange_capabilities. Qed.
Definition comes_new (x : option Object) : Prop :=
  match x with
  | Some x => (exists type n, new_object type n = Some x) \/ exists i, x = ASIDPoolObject {| pool_index := i; assigned := empty |}
  | None => True
  end.
Lemma keeps_carve u at_ size x slot c {makes : Allows ByMaking} {creates : Allows ByCreation} : comes_new x -> Keeps (carve u at_ size x slot c).
Proof.
  intros made st ok. unfold carve, capability_at. destruct (slots st !! u) as [y|] eqn:there; [|keep].
  destruct (capability y) as [base bits device used'| | | | | | | | | | | | | | | | | |] eqn:is_it; try solve [keep]. cbv zeta.
  destruct (_ && _) eqn:can; [|keep]. apply andb_prop in can. destruct can as (_ & vacant).
  pose proof (restated_good ByMaking u y (UntypedCap base bits device (at_ + size - base)) st there
    (is_spent ByMaking y base bits device used' _ eq_refl is_it) ok) as ok1.
  assert (objects (replace_capability u y (UntypedCap base bits device (at_ + size - base)) st) = objects st) as same.
  { pose proof (replace_capability_same u y (UntypedCap base bits device (at_ + size - base)) st) as same. unfold same_but_slots in same.
    rewrite same. reflexivity. }
  revert ok1 same. generalize (replace_capability u y (UntypedCap base bits device (at_ + size - base)) st). intros st1 ok1 same.
  apply keeps_insert_child; [exact makings_fill|]. destruct x as [x|]; [|exact ok1]. cbn [put_if_some].
  assert (objects st1 !! at_ = None) as none by (rewrite same; destruct (objects st !! at_); [discriminate vacant | reflexivity]).
  destruct ok1 as [f1 f2 f3]. constructor; [|exact f2 | exact f3]. intros o. change (objects (put_object at_ x st1)) with (set at_ x (objects st1)).
  rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|apply f1]. pose proof (f1 at_) as before. rewrite none in before.
  refine (and_by _ _ _ _ _ ByCreation _ _ before creates _). destruct made as [(type & n & made)|(i & ->)];
    [exact (is_made _ _ _ type n x made) | apply pool_is_made].
Qed.

(** ** Spaces *)
Class RuledTable (f : Table PageEntry -> Table PageEntry) : Prop := ruled_table : forall x, exists rule, allowed rule /\ changes_table x rule (f x).
Instance mapped_entry i p {maps : Allows ByMapping} : RuledTable (set i p). Proof. intros x. exists ByMapping. split; [exact maps | constructor]. Qed.
Instance unmapped_entry i {unmaps : Allows ByUnmapping} : RuledTable (remove i). Proof. intros x. exists ByUnmapping. split; [exact unmaps | constructor]. Qed.
Instance emptied_table {unmaps : Allows ByUnmapping} : RuledTable (fun _ => empty). Proof. intros x. exists ByUnmapping.
  split; [exact unmaps | constructor]. Qed.
Instance keeps_change_table o f {row : RuledTable f} : Keeps (change_table o f).
Proof.
  change_object change_table o; destruct (row table) as (rule & ok_rule & row_); intros before;
    refine (and_by _ _ _ _ _ rule _ _ before ok_rule _); [apply vspace_changes | apply page_table_changes]; exact row_.
Qed.
Instance keeps_set_page_entry t i p {maps : Allows ByMapping} : Keeps (set_page_entry t i p). Proof. keeping set_page_entry. Qed.
Instance keeps_clear_page_entry t i {unmaps : Allows ByUnmapping} : Keeps (clear_page_entry t i). Proof. keeping clear_page_entry. Qed.
Instance keeps_unmap p level one x {unmaps : Allows ByUnmapping} : Keeps (unmap p level one x). Proof. keeping unmap. Qed.
Instance keeps_unmap_frame b n p {unmaps : Allows ByUnmapping} : Keeps (unmap_frame b n p). Proof. keeping unmap_frame. Qed.
Instance keeps_unmap_table t p {unmaps : Allows ByUnmapping} : Keeps (unmap_table t p). Proof. keeping unmap_table. Qed.
Instance pool_releases o i {releases_ : Allows ByRelease} :
  Keeps (change_pool o (fun x => {| pool_index := pool_index x; assigned := remove i (assigned x) |})).
Proof.
  change_object change_pool o. intros before. exact (and_by _ _ _ _ _ ByRelease _ _ before releases_ (pool_changes _ _ _ _ _ _ (releases _ _ _ _))).
Qed.
Instance pool_assigns o i v {assigns_ : Allows ByAssignment} {its : Named (ASIDPoolCap o)} {space : Named (VSpaceCap v None)} :
  Keeps (change_pool o (fun x => {| pool_index := pool_index x; assigned := set i v (assigned x) |})).
Proof.
  change_object change_pool o. intros before.
  exact (and_by _ _ _ _ _ ByAssignment _ _ before assigns_ (pool_changes _ _ _ _ _ _ (assigns _ _ _ _ _ its space))).
Qed.
Instance keeps_release_asid v a {releases_ : Allows ByRelease} : Keeps (release_asid v a). Proof. keeping release_asid. Qed.
Instance keeps_release_pool p : Keeps (release_pool p). Proof. keeping release_pool. Qed.

(** ** Deletion *)
Class Deletes : Prop := {
  deletes_objects : Allows ByDeletion; deletes_slots : Allows ByArrangement; deletes_bindings : Allows ByUnbinding; deletes_mappings : Allows ByUnmapping;
  deletes_asids : Allows ByRelease; deletes_loans : Allows ByDonation; deletes_waiters : Allows ByFlags; deletes_receivers : Allows ByReceiving;
  deletes_in_time : ItsUse
}.
Existing Instance deletes_objects. Existing Instance deletes_slots. Existing Instance deletes_bindings. Existing Instance deletes_mappings.
Existing Instance deletes_asids. Existing Instance deletes_loans. Existing Instance deletes_waiters. Existing Instance deletes_receivers.
Existing Instance deletes_in_time.
Instance bound_thread_goes o {unbinds : Allows ByUnbinding} : RuledNotification o (fun x => x <| bound_thread := None |>).
Proof. intros x. exact (notification_by o ByUnbinding x _ unbinds (loses_thread start e o x)). Qed.
Instance loan_goes o {unbinds : Allows ByUnbinding} : RuledNotification o (fun x => x <| lent_context := None |>).
Proof. intros x. exact (notification_by o ByUnbinding x _ unbinds (lends_no_more start e o x)). Qed.
Instance keeps_remove_object o {ends : Allows ByDeletion} : Keeps (remove_object o).
Proof.
  intros st [f1 f2 f3]. constructor; [|exact f2 | exact f3]. intros p. change (objects (remove_object o st)) with (remove o (objects st)). rewrite find_remove.
  destruct (N.eqb_spec p o) as [->|]; [|apply f1]. pose proof (f1 o) as before. destruct (objects st !! o) as [x|]; [|exact before].
  exact (and_by _ _ _ _ _ ByDeletion _ _ before ends (is_ended _ _ _ x)).
Qed.
Instance keeps_discard slot {d : Deletes} : Keeps (discard slot). Proof. keeping discard. Qed.
Instance keeps_unbind_notification t n {unbinds : Allows ByUnbinding} : Keeps (unbind_notification t n). Proof. keeping unbind_notification. Qed.
Instance keeps_unbind_thread c {donates : Allows ByDonation} {its : ItsUse} : Keeps (unbind_thread_of_context c). Proof. keeping unbind_thread_of_context. Qed.
Instance keeps_unbind_of_context c {unbinds : Allows ByUnbinding} : Keeps (unbind_notification_of_context c). Proof. keeping unbind_notification_of_context.
  Qed.
Instance keeps_end_thread t {d : Deletes} : Keeps (end_thread t). Proof. keeping end_thread. Qed.
Instance keeps_end_notification n {d : Deletes} : Keeps (end_notification n). Proof. keeping end_notification. Qed.
Instance keeps_end_context c {d : Deletes} : Keeps (end_context c). Proof. keeping end_context. Qed.
Instance keeps_end_interrupt i : Keeps (end_interrupt i). Proof. keeping end_interrupt. Qed.
Instance keeps_let_go c {d : Deletes} : Keeps (let_go c). Proof. keeping let_go. Qed.
Instance keeps_become_zombie s c {d : Deletes} : Keeps (become_zombie s c). Proof. keeping become_zombie. Qed.
Instance keeps_rotate_zombies a s i {d : Deletes} : Keeps (rotate_zombies a s i). Proof. keeping rotate_zombies. Qed.
Instance keeps_meet_inner a s o i {d : Deletes} : Keeps (meet_inner a s o i). Proof. keeping meet_inner. Qed.
Instance keeps_delete_plain s c {d : Deletes} : Keeps (delete_plain s c). Proof. keeping delete_plain. Qed.
Instance keeps_delete_one s c {d : Deletes} : Keeps (delete_one s c). Proof. keeping delete_one. Qed.
Instance keeps_to_first_slot a f {d : Deletes} : Keeps (to_first_slot a f). Proof. keeping to_first_slot. Qed.
Instance keeps_empty_zombie a o {d : Deletes} : Keeps (empty_zombie a o). Proof. keeping empty_zombie. Qed.
Instance keeps_delete_unit a {d : Deletes} : Keeps (delete_unit a). Proof. keeping delete_unit. Qed.
Instance keeps_delete slot {d : Deletes} : Keeps (delete slot). Proof. exact (keeps_in_units is_occupied delete_unit slot (fun a => keeps_delete_unit a)). Qed.
Instance keeps_revoke slot {d : Deletes} : Keeps (revoke slot).
Proof. apply keeps_in_units. intros anchor st. exact (keeps_delete_unit (next_deletion slot anchor st) st). Qed.
Instance keeps_insert_copy slot s c {arranges : Allows ByArrangement} : Keeps (insert_copy slot s c). Proof. keeping insert_copy. Qed.
Instance keeps_replace_slot slot by_ {d : Deletes} : Keeps (replace_slot slot by_). Proof. keeping replace_slot. Qed.
Instance keeps_cancel_unit p b u {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (cancel_unit p b u).
Proof. keeping cancel_unit. Qed.
Instance keeps_cancel_badged_sends p b {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (cancel_badged_sends p b).
Proof. pose proof (keeps_in_units (has_sender_with_badge p b) (cancel_unit p b) tt (fun u => keeps_cancel_unit p b u)). keeping cancel_badged_sends. Qed.

(** ** Methods *)
Ltac find_it := match goal with H : good ?c |- Named ?c => exact H | H : good ?call |- Caller (invoker ?call) => exact (good_invoker call H) end.
Hint Extern 1 (Named _) => find_it : typeclass_instances.
Hint Extern 1 (NamedNotification ?n) =>
  (match goal with H : good (NotificationCap n ?badge ?r) |- _ => exact (ex_intro _ badge (ex_intro _ r H)) end) : typeclass_instances.
Hint Extern 1 (NamedContext ?c) => (match goal with H : good (SchedContextCap c ?bits) |- _ => exact (ex_intro _ bits H) end) : typeclass_instances.
Hint Extern 1 (Caller (invoker _)) => find_it : typeclass_instances.
Instance keeps_set_word_argument i v t : Keeps (set_word_argument i v t). Proof. keeping set_word_argument. Qed.
Lemma new_object_is_new type n : comes_new (new_object type n).
Proof. destruct (new_object type n) as [x|] eqn:made; [|exact I]. left. exists type, n. exact made. Qed.
Instance keeps_make_object type at_ n d slot u {makes : Allows ByMaking} {creates : Allows ByCreation} : Keeps (make_object type at_ n d slot u).
Proof.
  intros st ok. unfold make_object. cbv zeta. apply keeps_carve; [exact makes | exact creates | apply new_object_is_new|].
  destruct (needs_memory type || (is_frame type && negb d)); [exact (keeps_emit _ st ok) | exact ok].
Qed.
Instance keeps_make_objects count type at_ n d slot offset u t {makes : Allows ByMaking} {creates : Allows ByCreation} :
  Keeps (make_objects count type at_ n d slot offset u t).
Proof.
  revert at_ slot offset. induction count as [|rest IH]; intros at_ slot offset st ok; cbn [make_objects]; [exact ok|]. destruct (must_stop st); [keep|].
  cbv zeta. apply IH. keep.
Qed.
Instance keeps_carve_pool u at_ size i slot c {makes : Allows ByMaking} {creates : Allows ByCreation} :
  Keeps (carve u at_ size (Some (ASIDPoolObject {| pool_index := i; assigned := empty |})) slot c).
Proof. refine (keeps_carve u at_ size _ slot c _). right. exists i. reflexivity. Qed.
Instance keeps_suspend_if b t {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (suspend_if b t). Proof. keeping suspend_if. Qed.
Instance keeps_resume t {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (resume t). Proof. keeping resume. Qed.
Instance keeps_resume_if b t {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (resume_if b t). Proof. keeping resume_if. Qed.
Instance keeps_stop_for_writing t {donates : Allows ByDonation} {flags_ : Allows ByFlags} {its : ItsUse} : Keeps (stop_for_writing t).
Proof. keeping stop_for_writing. Qed.
Instance keeps_copy_registers l from to : Keeps (copy_registers l from to). Proof. keeping copy_registers. Qed.
Instance keeps_replace_in t slot by_ {d : Deletes} : Keeps (replace_in t slot by_). Proof. keeping replace_in. Qed.
Instance keeps_set_buffer t a f {d : Deletes} {controls : Allows ByControl} {its : Named (TCBCap t)} : Keeps (set_buffer t a f).
Proof. keeping set_buffer. Qed.
Lemma moved_in precedes t l x : In x (insert_by precedes t (without t l)) -> x = t \/ In x l.
Proof. intros listed. destruct (in_insert _ _ _ _ listed) as [same|other]; [left; exact same | right; exact (without_incl t l x other)]. Qed.
Instance sender_moved o t s : RuledEndpoint o (fun x => x <| senders := insert_behind t (without t (senders x)) s |>).
Proof. intros x. refine (endpoint_by o BySending x _ by_sending (sender_comes start x t _ _)). intros u. apply moved_in. Qed.
Instance receiver_moved o t s {controls : Allows ByControl} {its : Named (TCBCap t)} :
  RuledEndpoint o (fun x => x <| receivers := insert_behind t (without t (receivers x)) s |>).
Proof. intros x. refine (endpoint_by o ByControl x _ controls (receiver_moves start x t _ its _)). intros u. apply moved_in. Qed.
Instance waiter_moved o t s {controls : Allows ByControl} {its : Named (TCBCap t)} :
  RuledNotification o (fun x => x <| waiters := insert_behind t (without t (waiters x)) s |>).
Proof. intros x. refine (notification_by o ByControl x _ controls (waiter_moves start e o x t _ its _)). intros u. apply moved_in. Qed.
Instance bound_thread_comes o t {binds : Allows ByBinding} {its : Named (TCBCap t)} {own : NamedNotification o} :
  RuledNotification o (fun x => x <| bound_thread := Some t |>).
Proof. intros x. exact (notification_by o ByBinding x _ binds (gets_thread start e o x t its own)). Qed.
Instance loan_comes o c {binds : Allows ByBinding} {its : NamedContext c} {own : NamedNotification o} :
  RuledNotification o (fun x => x <| lent_context := Some c |>).
Proof. intros x. exact (notification_by o ByBinding x _ binds (lends_from start e o x c its own)). Qed.
Instance keeps_set_priority t p {controls : Allows ByControl} {its : Named (TCBCap t)} : Keeps (set_priority t p). Proof. keeping set_priority. Qed.
Instance keeps_bind_context c t {donates : Allows ByDonation} : Keeps (bind_context c t). Proof. keeping bind_context. Qed.
Instance keeps_change_flags t c s {controls : Allows ByControl} {its : Named (TCBCap t)} : Keeps (change_flags t c s). Proof. keeping change_flags. Qed.
Instance keeps_change_access t c s {gives : Allows ByAccess} {its : Named (TCBCap t)} : Keeps (change_flags t c s). Proof. keeping change_flags. Qed.
Instance keeps_maintain t piece first end_ : (forall x, Keeps (piece x)) -> Keeps (maintain t piece first end_).
Proof. intros each st ok. unfold maintain. keep. Qed.
Instance keeps_piece_of_space op v end_ x : Keeps (piece_of_space op v end_ x). Proof. keeping piece_of_space. Qed.
Instance keeps_frame_maintain op a b call : Keeps (frame_maintain op a b call). Proof. keeping frame_maintain. Qed.
Instance keeps_vspace_maintain op a b call : Keeps (vspace_maintain op a b call). Proof. keeping vspace_maintain. Qed.
Instance keeps_deactivate i : Keeps (deactivate i). Proof. keeping deactivate. Qed.
Instance keeps_derive_into a b c d x r m o call {makes : Allows ByMaking} : Keeps (derive_into a b c d x r m o call). Proof. keeping derive_into. Qed.
Instance keeps_move_into a b c d r m call {arranges : Allows ByArrangement} : Keeps (move_into a b c d r m call). Proof. keeping move_into. Qed.

(** All of them: what is allowed by a method is enough for it. *)
Definition allowed_by (m : Method.t) : Prop := forall r, In r (rules_of_method m) -> allowed r.
Ltac allow_rule all r := try (assert (Allows r) by (apply all; unfold rules_of_method, stopping_rules, deletion_rules; simpl; tauto)).
Lemma decode_good {its : ItsUse} m call st :
  fits m (invoked call) -> allowed_by m -> good call -> good st -> good (decode_method m call st).
Proof.
  intros type all ok ok_st. pose proof (good_invoked call ok) as named. pose proof (good_invoker call ok) as runs. unfold allowed_by in all.
  assert (match invoked call with TCBCap _ => Named (TCBCap (invoked_thread call)) | _ => True end) as the_thread.
  { unfold invoked_thread. revert named. destruct (invoked call); intros named; try exact I. exact named. }
  assert (match invoked call with SchedContextCap _ _ => NamedContext (invoked_context call) | _ => True end) as the_context.
  { unfold invoked_context. revert named. destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |]; intros named; try exact I.
    exists bits. exact named. }
  revert type the_thread the_context.
  destruct (invoked call) as [base bits device used'|p badge r|n badge r|r rights|o radix guard size|t|c bits|core|v asid|tbl place_
    |base bits device r place_| |p| |irq|irq target| | |z] eqn:is_it; intros type the_thread the_context;
    destruct m; try discriminate type;
    allow_rule all ByControl; allow_rule all ByAccess; allow_rule all ByDomain; allow_rule all ByBinding; allow_rule all ByUnbinding;
    allow_rule all ByConfiguration; allow_rule all ByYielding; allow_rule all ByMapping; allow_rule all ByUnmapping; allow_rule all ByAssignment;
    allow_rule all ByCreation; allow_rule all ByArrangement; allow_rule all ByDonation; allow_rule all ByMaking; allow_rule all ByFlags;
    allow_rule all ByRestating;
    try (assert Deletes by (constructor; try exact its; apply all; unfold rules_of_method, deletion_rules; simpl; tauto));
    clear all; unfold decode_method; match goal with |- good (?f ?s) => let h := head f in unfold h; keep end.
Qed.
Lemma method_is_fit l c m : method_for l c = Some m -> fits m c.
Proof.
  unfold method_for. destruct (Method.of_label l) as [method|]; [|discriminate].
  destruct (_ =? _) eqn:same; [|discriminate]. destruct (Method.implemented method); [|discriminate].
  intros is_m. injection is_m as <-. apply N.eqb_eq. exact same.
Qed.
Lemma arguments_named l t st arguments {runs : Caller t} : (forall slot, slots st !! slot = slots start !! slot) ->
  cap_arguments_at l t st = inl arguments -> good arguments.
Proof.
  intros same. revert arguments. induction l as [|address rest IH]; intros arguments; cbn [cap_arguments_at]; [intros is_; injection is_ as <-; constructor|].
  pose proof (occupied_same t address st start (fun slot => capability_of_slot slot st start (same slot))) as same_place.
  unfold slot_of_address in *. destruct (walk_from_thread t address st) as [slot left|report] eqn:walked; [|discriminate].
  destruct (cap_arguments_at rest t st) as [others|]; [|discriminate]. intros is_. injection is_ as <-. constructor; [|exact (IH others eq_refl)].
  unfold good, good_argument, good, good_optional. cbn [argument]. destruct (capability_at slot st) as [c|] eqn:there; [|exact I].
  exists t, address, slot. split; [exact runs|]. rewrite <- same_place. unfold occupied_slot_of_address. rewrite walked, there. reflexivity.
Qed.
Lemma invoke_good t slot c st {runs : Caller t} {its : ItsUse} : (forall slot, slots st !! slot = slots start !! slot) ->
  caller_names start c -> (forall m, method_for (label (message_of_call t st)) c = Some m -> allowed_by m) -> good st -> good (invoke t slot c st).
Proof.
  intros same named all ok. unfold invoke. cbv zeta.
  destruct (cap_arguments_at _ t st) as [arguments|(address & report)] eqn:listed; [|exact (good_both _ _ I ok)].
  pose proof (arguments_named _ t st arguments same listed) as fine. unfold decide.
  destruct (method_for (label (message_of_call t st)) c) as [m|] eqn:is_m; [|exact (good_both _ _ I ok)].
  destruct (Nat.leb _ _ && _); [|exact (good_both _ _ I ok)].
  match goal with |- context [decode_method m ?call st] => assert (good (decode_method m call st)) as decided end.
  { apply decode_good; [exact (method_is_fit _ c m is_m) | exact (all m eq_refl) | exact (conj runs (conj named fine)) | exact ok]. }
  destruct (decode_method m _ st) as [error details|work]; [exact (good_both _ _ I ok)|]. pose proof (decided st ok : good (work st)) as done_.
  destruct (work st) as [results next|next|next]; exact (good_both _ _ I done_).
Qed.

(** ** System calls *)
Instance keeps_cap_fault t a p r {runs : Caller t} {donates : Allows ByDonation} : Keeps (cap_fault t a p r). Proof. keeping cap_fault. Qed.
Instance keeps_unknown_system_call t {runs : Caller t} {donates : Allows ByDonation} : Keeps (unknown_system_call t). Proof. keeping unknown_system_call. Qed.
Instance keeps_put_result t x l : Keeps (put_result t x l). Proof. keeping put_result. Qed.
Instance keeps_go_back t : Keeps (go_back t). Proof. keeping go_back. Qed.
Lemma finish_send_good t m outcome {runs : Caller t} {donates : Allows ByDonation} : good outcome -> good (finish_send t m outcome).
Proof. intros ok. unfold finish_send. keep. Qed.
Instance keeps_refuse_waiting p r : Keeps (refuse_waiting p r).
Proof.
  intros st ok. unfold refuse_waiting. assert (forall u : unit, Keeps (fun st => (u, refuse_first p r st))) as each by (intros u; keep).
  pose proof (keeps_in_units (fun _ st => is_some (first_refused p r st)) (fun _ st => (tt, refuse_first p r st)) tt (fun _ => each tt) st ok). keep.
Qed.
Instance keeps_refuse_early t r first : Keeps (refuse_early t r first).
Proof.
  intros st ok. unfold refuse_early. destruct (source_of t r st) as [p reply_ g|n|a report]; try exact ok.
  destruct (_ && _); [|exact ok]. exact (keeps_refuse_waiting p reply_ st ok).
Qed.
Instance keeps_receive_now t r b {runs : Caller t} {grants : Allows ByGrant} {donates : Allows ByDonation} {flags_ : Allows ByFlags}
  {receives : Allows ByReceiving} : Keeps (receive_now t r b).
Proof. keeping receive_now. Qed.
Instance keeps_receive_phase t r b {runs : Caller t} {grants : Allows ByGrant} {donates : Allows ByDonation} {flags_ : Allows ByFlags}
  {receives : Allows ByReceiving} : Keeps (receive_phase t r b).
Proof.
  intros st ok. change (receive_phase t r b st) with (unless_preempted t (refuse_early t r (free_own_reply t r) st) (receive_now t r b)).
  pose proof (keeps_refuse_early t r (free_own_reply t r) st ok) as ok1. unfold unless_preempted.
  destruct (refuse_early t r (free_own_reply t r) st) as [st1|st1]; change (good st1) in ok1; keep.
Qed.
Instance keeps_becomes n t : Keeps (becomes n t). Proof. keeping becomes. Qed.
Instance keeps_then_receive t r {runs : Caller t} {grants : Allows ByGrant} {donates : Allows ByDonation} {flags_ : Allows ByFlags}
  {receives : Allows ByReceiving} : Keeps (then_receive t r).
Proof. keeping then_receive. Qed.

(** What a system call sends through the thread can name, as slots are what they were. *)
Definition unmoved (st : State) : Prop := forall slot, slots st !! slot = slots start !! slot.
Definition all_through (sent : option Target) : Prop := match sent with Some sent => forall r, In r (rules_through sent) -> allowed r | None => True end.
Lemma named_is_named t a st c {runs : Caller t} : unmoved st -> named_by t a st = Some c -> caller_names start c.
Proof.
  intros same. unfold named_by. rewrite (occupied_same t a st start (fun slot => capability_of_slot slot st start (same slot))).
  destruct (occupied_slot_of_address t a start) as [(slot & d)|] eqn:found; [|discriminate]. intros is_c. injection is_c as <-. exists t, a, slot.
  split; [exact runs | exact found].
Qed.
Lemma phase_good t a m st {runs : Caller t} {its : ItsUse} : cause e = SystemCall -> unmoved st -> all_through (sent_by t a st) -> good st ->
  good (send_phase t a m st).
Proof.
  intros why same all ok. pose proof (fun c => named_is_named t a st c same) as names. unfold send_phase, sent_by, named_by in *.
  destruct (occupied_slot_of_address t a st) as [(slot & c)|report]; [|keep]. specialize (names c eq_refl). cbn [all_through option_map] in all.
  assert (match c with EndpointCap _ _ _ | NotificationCap _ _ _ | ReplyCap _ _ => True | _ => good (invoke t slot c st) end) as invoked_.
  { destruct c; try exact I; apply (invoke_good t slot _ st same names); try exact ok; intros method is_m r listed; apply all; rewrite is_m; exact listed. }
  destruct c as [|p badge r|n badge r|r rights| | | | | | | | | | | |irq target| | |]; try exact invoked_.
  - assert (Allows ByDonation) by (apply all; simpl; tauto). assert (Allows ByGrant) by (apply all; simpl; tauto). keep.
  - assert (Allows ByDonation) by (apply all; simpl; tauto). assert (Allows BySignal) by (apply all; simpl; tauto).
    assert (Allows ByFlags) by (apply all; simpl; tauto). destruct (can_write r) eqn:writes; [|keep].
    assert (Signals n badge) by (unfold Signals, signals; rewrite why; exists r; split; assumption). keep.
  - assert (Allows ByDonation) by (apply all; simpl; tauto). assert (Allows ByGrant) by (apply all; simpl; tauto).
    assert (Allows ByStepping) by (apply all; simpl; tauto). keep.
  - keep.
Qed.
Lemma reply_phase_good t st : all_through (answered_by t (register 6 (thread t st)) st) -> good st -> good (reply_phase t st).
Proof.
  intros all ok. unfold reply_phase, answered_by, named_by in *. destruct (occupied_slot_of_address t _ st) as [(slot & c)|report]; [|exact ok].
  destruct c; try exact ok. cbn [all_through] in all. assert (Allows ByDonation) by (apply all; simpl; tauto).
  assert (Allows ByGrant) by (apply all; simpl; tauto). assert (Allows ByStepping) by (apply all; simpl; tauto). keep.
Qed.
Lemma yield_good t st {runs : Caller t} {its : ItsUse} : (forall c, context_of t st = Some c -> uses start c) -> good st -> good (yield t st).
Proof.
  intros its_context ok. unfold yield. destruct (context_of t st) as [c|] eqn:has; [|exact ok]. cbv zeta.
  pose proof (keeps_book st ok) as ok1. revert ok1. generalize (book st). intros st1 ok1.
  assert (good (change_context c (charge match refills (context c st1) with
    | first :: _ => if usable_at first <=? now st1 then amount first else 0 | [] => 0 end (smallest_budget st1)) st1)) as ok2; [|keep].
  refine (keeps_change_context c _ _ st1 ok1). intros x. exact (context_by c ByBudget x _ by_budget (is_charged start c x _ _ (its_context c eq_refl))).
Qed.
Lemma sends_good t m st {runs : Caller t} {donates : Allows ByDonation} {its : ItsUse} : cause e = SystemCall -> unmoved st ->
  all_through (sent_by t (register 0 (thread t st)) st) -> good st -> good (sends t m st).
Proof. intros why same all ok. unfold sends. apply finish_send_good; [exact runs | exact donates | apply phase_good; assumption]. Qed.
Lemma reply_and_receive_good t st {runs : Caller t} {donates : Allows ByDonation} {grants : Allows ByGrant} {flags_ : Allows ByFlags}
    {receives : Allows ByReceiving} : all_through (sent_through t Syscall.ReplyRecv st) -> good st -> good (reply_and_receive t st).
Proof.
  cbn [sent_through]. intros names ok. unfold reply_and_receive, unless_preempted. pose proof (keeps_refuse_early t true (reply_phase t) st ok) as ok1.
  destruct (refuse_early t true (reply_phase t) st) as [st1|st1]; change (good st1) in ok1; [|keep].
  pose proof (reply_phase_good t st1 names ok1) as ok2. keep.
Qed.
Lemma send_and_receive_good t r st {runs : Caller t} {donates : Allows ByDonation} {grants : Allows ByGrant} {flags_ : Allows ByFlags}
    {receives : Allows ByReceiving} {its : ItsUse} : cause e = SystemCall -> unmoved (state_of (refuse_early t r (pass_message t) st)) ->
  all_through (passed_on t r st) -> good st -> good (send_and_receive t r st).
Proof.
  intros why same names ok. unfold send_and_receive, passed_on, unless_preempted in *.
  pose proof (keeps_refuse_early t r (pass_message t) st ok) as ok1.
  destruct (refuse_early t r _ st) as [st1|st1]; change (good st1) in ok1; [|keep].
  assert (good (pass_on t st1)) as ok2 by (exact (phase_good t _ passing_on st1 why same names ok1)).
  destruct (pass_on t st1) as (report & st2). apply both_good in ok2. destruct ok2 as (_ & ok2). keep.
Qed.
(** Each system call, as far as it is none that the kernel does not know. *)
Lemma call_good t s st {runs : Caller t} {donates : Allows ByDonation} {its : ItsUse} : cause e = SystemCall -> unmoved st ->
  (forall r first, unmoved (state_of (refuse_early t r first st))) -> context_of t st = context_of t start ->
  (receives_then s = true -> Allows ByReceiving /\ Allows ByFlags /\ Allows ByGrant) -> all_through (sent_through t s st) -> good st ->
  good (run_system_call s t st).
Proof.
  intros why same early same_context receiving all ok. unfold run_system_call. cbv zeta.
  destruct s; cbn [sent_through] in all; try (destruct (receiving eq_refl) as (? & ? & ?)).
  - exact (sends_good t calling st why same all ok).
  - exact (reply_and_receive_good t st all ok).
  - exact (sends_good t sending st why same all ok).
  - exact (sends_good t sending_if_received st why same all ok).
  - keep.
  - keep.
  - keep.
  - keep.
  - exact (send_and_receive_good t true st why (early _ _) all ok).
  - exact (send_and_receive_good t false st why (early _ _) all ok).
  - apply good_both; [exact I|]. apply yield_good; [exact runs | exact its | | exact ok]. intros c has. right. exists t. split; [exact runs | congruence].
  - keep.
  - keep.
  - keep.
Qed.
End Rules.

(** ** The end of a step *)
Lemma rules_include (allowed : ChangeRule -> Prop) r : allowed r -> Allows allowed r. Proof. exact id. Qed.
Section Step.
Variable start : State.
Variable e : Event.
Variable allowed : ChangeRule -> Prop.
Hypothesis base : forall r, In r every_step -> allowed r.
Instance base_budget : Allows allowed ByBudget. Proof. apply base. simpl. tauto. Qed.
Instance base_schedule : Allows allowed BySchedule. Proof. apply base. simpl. tauto. Qed.
Instance base_sending : Allows allowed BySending. Proof. apply base. simpl. tauto. Qed.
Instance base_fault : Allows allowed ByFault. Proof. apply base. simpl. tauto. Qed.
Notation its := (framed start e allowed (current_context start)).
Instance same_context : ItsUse start (current_context start). Proof. reflexivity. Qed.

Lemma entered : its (enter e start).
Proof.
  unfold enter. apply (keeps_save_registers start e allowed (current_context start)).
  constructor; [intros o; apply as_it_was | intros slot; apply slot_as_it_was | reflexivity].
Qed.
Definition all_ruled (st : State) : Prop := exists used, framed start e allowed used st.
Lemma choice_ruled st : its st -> all_ruled (choose_thread st).
Proof.
  intros ok. unfold choose_thread.
  assert (its (if ends_turn (choices st) then end_turn_if_due st else st)) as ok1
    by (destruct (ends_turn (choices st)); [exact (keeps_end_turn_if_due _ _ _ _ st ok) | exact ok]).
  revert ok1. generalize (if ends_turn (choices st) then end_turn_if_due st else st). intros st1 ok1.
  assert (all_ruled (if stays_in_use st1 && negb (books (choices st1)) then st1 else change_context_in_use st1)) as (used & ok2).
  { destruct (_ && _); [exists (current_context start); exact ok1|]. unfold change_context_in_use. cbv zeta.
    pose proof (keeps_end_budget _ _ _ _ st1 ok1 : its (end_budget st1)) as ok2. revert ok2. generalize (end_budget st1). intros st2 ok2.
    exists (context_of_first st2).
    assert (framed start e allowed (context_of_first st2) (st2 <| current_context := context_of_first st2 |>)) as ok3
      by (destruct ok2 as [f1 f2 _]; constructor; [exact f1 | exact f2 | reflexivity]).
    destruct (context_of_first st2) as [c|]; [|exact ok3]. destruct (_ || _); [exact ok3|].
    refine (keeps_change_context _ _ _ _ c _ _ _ ok3). intros x. exact (context_by start e allowed c BySchedule x _ _ (begins_to_be_used start c x _)). }
  revert ok2. generalize (if stays_in_use st1 && negb (books (choices st1)) then st1 else change_context_in_use st1). intros st2 ok2. cbv zeta.
  exists used. assert (framed start e allowed used (st2 <| current := first_ready st2 |>)) as ok3 by (apply (framed_same _ _ _ _ st2);
    [reflexivity | reflexivity | reflexivity | exact ok2]).
  destruct (first_ready st2) as [t|]; [|exact ok3]. exact (keeps_end_yield_by _ _ _ _ report_booked t (keeps_report_booked _ _ _ _) _ ok3).
Qed.
Lemma step_ruled : its (snd (handle (cause e) (enter e start))) -> all_ruled (fst (fst (step start e))).
Proof.
  intros ok. unfold step, finish. destruct (handle (cause e) (enter e start)) as (result & st). cbn [snd fst] in *.
  destruct (choice_ruled st ok) as (used & ok2). exists used. apply (framed_same _ _ _ _ (choose_thread st));
    [reflexivity | reflexivity | reflexivity | exact ok2].
Qed.
End Step.

Lemma no_slot_changes (allowed : ChangeRule -> Prop) x y : (forall rule a b, changes_slot rule a b -> ~ allowed rule) -> slot_by_rules allowed x y -> y = x.
Proof. intros none moves. induction moves as [|rule y z _ _ ok row]; [reflexivity|]. destruct (none rule y z row ok). Qed.
Lemma framed_slots_stay start e used st : framed start e (fun r => In r every_step) used st -> forall slot, slots st !! slot = slots start !! slot.
Proof.
  intros ok slot. refine (no_slot_changes _ _ _ _ (slots_ruled _ _ _ _ _ ok slot)).
  intros rule a b row listed. simpl in listed. repeat destruct listed as [<-|listed]; try contradiction; inversion row; discriminate.
Qed.


(** ** Events *)
Section Events.
Variable st : State.
Variable e : Event.
Notation st0 := (enter e st).
Notation base := (fun r => In r every_step).
Lemma early t with_reply first : forall slot, slots (state_of (refuse_early t with_reply first st0)) !! slot = slots st !! slot.
Proof.
  apply (framed_slots_stay st e (current_context st)).
  assert (Allows base ByBudget) by (unfold Allows; simpl; tauto). assert (Allows base BySchedule) by (unfold Allows; simpl; tauto).
  assert (Allows base BySending) by (unfold Allows; simpl; tauto). assert (Allows base ByFault) by (unfold Allows; simpl; tauto).
  apply (keeps_refuse_early st e base (current_context st) t with_reply first).
  apply entered. auto.
Qed.
Lemma entered_slots slot : slots st0 !! slot = slots st !! slot.
Proof. apply (framed_slots_stay st e (current_context st)). apply entered. auto. Qed.
Lemma entered_context t : context_of t st0 = context_of t st.
Proof.
  assert (forall c l s, context_of t (change_thread c (with_registers l) s) = context_of t s) as same.
  { intros c l s. unfold change_thread, context_of, thread. destruct (objects s !! c) as [[|x| | | | | | |]|] eqn:found; try reflexivity.
    match goal with |- context [put_object c ?z ?s] => change (objects (put_object c z s)) with (set c z (objects s)) end.
    rewrite find_set. destruct (N.eqb_spec t c) as [->|]; [|reflexivity]. rewrite found, registers_only. reflexivity. }
  unfold enter, save_registers. destruct (current (begin_step e st)); [rewrite same|]; reflexivity.
Qed.

End Events.

(** ** The claim *)
Lemma ruled_by_handling st e (allowed : ChangeRule -> Prop) : (forall r, In r every_step -> allowed r) ->
  framed st e allowed (current_context st) (snd (handle (cause e) (enter e st))) ->
  (forall o, by_rules st e allowed o (objects st !! o) (objects (next_of step st e) !! o))
  /\ forall slot, slot_by_rules allowed (slots st !! slot) (slots (next_of step st e) !! slot).
Proof. intros base ok. destruct (step_ruled st e allowed base ok) as (used & [f1 f2 _]). split; assumption. Qed.
Lemma interrupt_ruled st e irq (allowed : ChangeRule -> Prop) : cause e = InterruptArrives irq -> (forall r, In r (rules_of st e) -> allowed r) ->
  framed st e allowed (current_context st) (snd (handle (cause e) (enter e st))).
Proof.
  intros why all. assert (forall r, In r every_step -> allowed r) as base by (intros r listed; apply all, in_app_iff; left; exact listed).
  pose proof (entered st e allowed base) as ok. pose proof (entered_slots st e (irq_slot irq)) as same. unfold rules_of in all. rewrite why in *.
  cbn [handle snd]. revert ok same. generalize (enter e st). intros s ok same.
  pose proof (base_budget allowed base). pose proof (base_schedule allowed base). pose proof (base_sending allowed base). pose proof (base_fault allowed base).
  assert (Allows allowed BySignal) by (apply all; simpl; tauto). assert (Allows allowed ByFlags) by (apply all; simpl; tauto).
  assert (Allows allowed ByDonation) by (apply all; simpl; tauto). pose proof (same_context st).
  unfold interrupt. destruct (interrupts s !! irq) as [i|].
  - rewrite (capability_of_slot (irq_slot irq) s st same).
    destruct (capability_at (irq_slot irq) st) as [[| |n badge r| | | | | | | | | | | | | | | |]|] eqn:there;
      try (destruct (irq =? irq_serror); [exact ok | exact (keeps_set_mask st e allowed _ irq true s ok)]).
    assert (Signals st e n badge) by (unfold Signals, signals; rewrite why; exists r; exact there). cbv zeta.
    apply (keeps_signal st e allowed (current_context st) n badge).
    destruct (is_held_back irq); [exact (keeps_change_interrupt st e allowed _ irq _ s ok) | exact ok].
  - destruct (is_held_back irq); [exact (keeps_emit st e allowed _ _ s ok) | exact ok].
Qed.
Lemma entered_current e st : current (enter e st) = current st.
Proof.
  assert (forall t f s, current (change_thread t f s) = current s) as same by (intros t f s; unfold change_thread; destruct (objects s !! t) as [[]|];
    reflexivity).
  unfold enter, save_registers. destruct (current (begin_step e st)); [rewrite same|]; reflexivity.
Qed.
Lemma fault_ruled st e (allowed : ChangeRule -> Prop) : match cause e with MemoryFault _ _ _ | ExceptionTaken _ _ | DebugEvent _ _ _ => True | _ => False end ->
  (forall r, In r (rules_of st e) -> allowed r) -> framed st e allowed (current_context st) (snd (handle (cause e) (enter e st))).
Proof.
  intros why all. assert (forall r, In r every_step -> allowed r) as base by (intros r listed; apply all, in_app_iff; left; exact listed).
  pose proof (entered st e allowed base) as ok. pose proof (entered_current e st) as cur. unfold rules_of in all.
  pose proof (base_budget allowed base). pose proof (base_schedule allowed base). pose proof (base_sending allowed base). pose proof (base_fault allowed base).
  revert ok cur. generalize (enter e st). intros s ok cur. unfold handle. rewrite cur.
  destruct (current st) as [t|] eqn:runs; [|destruct (cause e); try contradiction; exact ok]. assert (Caller st t) by exact runs.
  destruct (cause e) as [| | |a f syndrome|n c|reason a n]; try contradiction.
  - assert (Allows allowed ByDonation) by (apply all; simpl; tauto). exact (keeps_raise_fault st e allowed _ t _ s ok).
  - assert (Allows allowed ByDonation) by (apply all; simpl; tauto). exact (keeps_raise_fault st e allowed _ t _ s ok).
  - assert (Allows allowed ByDonation) by (apply all; simpl; tauto). assert (Allows allowed ByStepping) by (apply all; simpl; tauto).
    exact (proj2 (keeps_debug_event st e allowed _ t reason a n s ok)).
Qed.
Lemma timer_ruled st e (allowed : ChangeRule -> Prop) : cause e = TimerExpires -> (forall r, In r every_step -> allowed r) ->
  framed st e allowed (current_context st) (snd (handle (cause e) (enter e st))).
Proof.
  intros why base. pose proof (entered st e allowed base) as ok. rewrite why. cbn [handle snd].
  pose proof (base_budget allowed base). pose proof (base_schedule allowed base). pose proof (base_sending allowed base). pose proof (base_fault allowed base).
  pose proof (same_context st). exact (keeps_timer_expires st e allowed _ _ ok).
Qed.

Lemma sent_is_named st t s s0 c m : current st = Some t -> unmoved st s0 -> (forall r first, unmoved st (state_of (refuse_early t r first s0))) ->
  sent_through t s s0 = Some (c, m) -> caller_names st c.
Proof.
  intros runs first_ early_ sent. assert (Caller st t) by exact runs.
  assert (forall a s1, unmoved st s1 -> sent_by t a s1 = Some (c, m) -> caller_names st c) as by_.
  { intros a s1 same is_c. unfold sent_by in is_c. destruct (named_by t a s1) as [d|] eqn:found; [|discriminate]. injection is_c as -> _.
    exact (named_is_named st t a s1 c same found). }
  assert (forall f p, unmoved st (state_of p) -> (forall s1, unmoved st s1 -> f s1 = Some (c, m) -> caller_names st c) -> once_done f p = Some (c, m) ->
    caller_names st c) as done_ by (intros f [s1|s1] same each is_c; [exact (each s1 same is_c) | discriminate is_c]).
  destruct s; try discriminate sent; cbn [sent_through] in sent; try exact (by_ _ s0 first_ sent); refine (done_ _ _ (early_ _ _) _ sent);
    intros s1 same named; [|exact (by_ _ s1 same named) | exact (by_ _ s1 same named)].
  unfold answered_by in named. destruct (named_by t _ s1) as [[]|] eqn:found; try discriminate named. injection named as <- _.
  exact (named_is_named st t _ s1 _ same found).
Qed.
Lemma system_call_ruled st e t (allowed : ChangeRule -> Prop) : cause e = SystemCall -> current st = Some t -> (forall r, In r (rules_of st e) -> allowed r) ->
  framed st e allowed (current_context st) (snd (system_call t (enter e st))).
Proof.
  intros why runs all. assert (forall r, In r every_step -> allowed r) as base by (intros r listed; apply all, in_app_iff; left; exact listed).
  pose proof (entered st e allowed base) as ok. pose proof (early st e t : forall r first, unmoved st _) as same.
  pose proof (entered_slots st e : unmoved st _) as first_. pose proof (entered_context st e t) as same_context_. unfold rules_of in all.
    rewrite why, runs in all.
  revert ok same first_ same_context_ all. generalize (enter e st). intros s0 ok same first_ same_context_ all.
  pose proof (base_budget allowed base). pose proof (base_schedule allowed base). pose proof (base_sending allowed base). pose proof (base_fault allowed base).
  assert (Allows allowed ByDonation) by (apply all, in_app_iff; right; left; reflexivity). pose proof (same_context st). assert (Caller st t) by exact runs.
  pose proof (proj2 (keeps_unknown_system_call st e allowed (current_context st) t s0 ok)) as unknown. unfold system_call. fold (system_call_of t s0). cbv zeta.
  destruct (system_call_of t s0) as [s|]; [|exact unknown]. destruct (is_debug_call s && _); [exact unknown|].
  assert (forall r, In r (rules_of_call t s s0) -> allowed r) as rules_ by (intros r listed; apply all, in_app_iff; right; right; exact listed).
  refine (proj2 (call_good st e allowed (current_context st) t s s0 why first_ same same_context_ _ _ ok)).
  - intros receives_. unfold rules_of_call in rules_. rewrite receives_ in rules_. repeat split; apply rules_, in_app_iff; left; simpl; tauto.
  - unfold all_through. destruct (sent_through t s s0) as [c|] eqn:sent; [|exact I]. intros r listed. apply rules_. unfold rules_of_call.
    rewrite sent. apply in_app_iff. right. exact listed.
Qed.
Lemma handling_ruled st e : framed st e (fun r => In r (rules_of st e)) (current_context st) (snd (handle (cause e) (enter e st))).
Proof.
  destruct (cause e) as [|irq| |a f s|n c|reason a n] eqn:why; rewrite <- why.
  - unfold handle. rewrite entered_current, why. destruct (current st) as [t|] eqn:runs.
    + exact (system_call_ruled st e t _ why runs (fun r ok => ok)).
    + apply entered. intros r listed. apply in_app_iff. left. exact listed.
  - exact (interrupt_ruled st e irq _ why (fun r ok => ok)).
  - apply timer_ruled; [exact why|]. intros r listed. apply in_app_iff. left. exact listed.
  - apply fault_ruled; [rewrite why; exact I | auto].
  - apply fault_ruled; [rewrite why; exact I | auto].
  - apply fault_ruled; [rewrite why; exact I | auto].
Qed.
Theorem fields_change_by_rule_proved : fields_change_by_rule step.
Proof.
  intros st e. destruct (ruled_by_handling st e (fun r => In r (rules_of st e)) (fun r listed => proj2 (in_app_iff _ _ r) (or_introl listed))
    (handling_ruled st e)) as (each & slots_).
  split; [exact each | split; [exact slots_|]].
  intros t s c m _ runs. exact (sent_is_named st t s (enter e st) c m runs (entered_slots st e) (early st e t)).
Qed.

(** What no rule but an invocation changes. *)
Lemma charge_only n smallest c : charge n smallest c = c <| refills := refills (charge n smallest c) |> <| unreturned := unreturned (charge n smallest c) |>.
Proof.
  assert (forall a b : SchedContext, b = a <| refills := refills b |> <| unreturned := unreturned b |> ->
    forall d, d = b <| refills := refills d |> <| unreturned := unreturned d |> -> d = a <| refills := refills d |> <| unreturned := unreturned d |>) as follows
    by (intros a b -> d ->; reflexivity).
  assert (forall smallest r c, give_back smallest r c = c <| refills := refills (give_back smallest r c) |> <| unreturned := unreturned (give_back smallest
    r c) |>) as given
    by (intros m r []; unfold give_back; cbv zeta; cbn; destruct refills; [reflexivity|];
        destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; reflexivity).
  assert (forall c, mend_first smallest c = c <| refills := refills (mend_first smallest c) |> <| unreturned := unreturned (mend_first smallest c) |>) as mended
    by (intros []; unfold mend_first, delay_only; cbn; destruct refills as [|? [|? ?]]; [|destruct (_ <=? _)|destruct (_ <=? _)]; reflexivity).
  unfold charge. destruct (is_round_robin c); [destruct c; cbn; destruct refills; reflexivity|].
  pose (so_far := fun x => x = c <| refills := refills x |> <| unreturned := unreturned x |>).
  pose proof (repeat_keeps (charge_step smallest) (fun x => so_far (fst x)) so_far) as kept.
  assert (forall x, so_far (fst x) -> match charge_step smallest x with Again a => so_far (fst a) | Finished b => so_far b end) as each.
  { intros (x & m) same. unfold charge_step. destruct (refills x) as [|first rest]; [exact same|]. cbv zeta. destruct (_ || _); [exact same|].
    cbn [fst] in same.
    destruct (_ <=? _); [destruct rest as [|second others]|]; cbn [fst].
    - apply (follows c x same). unfold delay_only. destruct x. reflexivity.
    - eapply (follows c); [|apply given]. apply (follows c x same). destruct x. reflexivity.
    - eapply (follows c); [|apply given]. apply (follows c x same). destruct x. reflexivity. }
  specialize (kept each n (c, n)). assert (so_far c) as start by (unfold so_far; destruct c; reflexivity). specialize (kept start).
  destruct (repeat_after _ _ _) as [(x & m)|x]; exact (follows c x kept _ (mended x)).
Qed.
Lemma begin_use_only time c : begin_use time c = c <| refills := refills (begin_use time c) |>.
Proof. destruct c. unfold begin_use. cbn. destruct refills; [reflexivity|]. destruct (_ || _); reflexivity. Qed.
Lemma steady_refl x : steady x x. Proof. destruct x as [[? | [] | ? | [] | ? | [] | ? | ? | ?]|]; reflexivity || exact I. Qed.
Lemma steady_trans x y z : steady x y -> steady y z -> steady x z.
Proof.
  destruct x as [[]|], y as [[]|], z as [[]|]; simpl; try tauto; try (intros; congruence); intros first second; rewrite second, first; reflexivity.
Qed.
Lemma steady_change st e o rule x y : changes st e o rule x y -> In rule message_rules -> steady x y.
Proof.
  intros row listed. assert (forallb (fun r => match r with
    | ByBudget | BySchedule | BySending | ByFault | ByReceiving | ByFlags | BySignal | ByDonation | ByStepping | ByGrant => true | _ => false end)
      message_rules = true)
    as all by reflexivity.
  apply (proj1 (forallb_forall _ _)) with (x := rule) in all; [|exact listed]. clear listed.
  destruct row as [a b rule row|a b rule row|a b rule row|a b rule row|a b rule row|a b rule row|a b rule row|a b rule row|type n x made|i|x];
    try exact I; try discriminate all; destruct row; try discriminate all; cbn [steady];
    match goal with |- charge _ _ _ = _ => rewrite charge_only | |- begin_use _ _ = _ => rewrite begin_use_only | _ => idtac end; destruct a; reflexivity.
Qed.
Lemma by_rules_steady st e (allowed : ChangeRule -> Prop) o x y : by_rules st e allowed o x y -> (forall r, allowed r -> In r message_rules) -> steady x y.
Proof.
  intros changed none. induction changed as [|rule y z _ IH ok row]; [apply steady_refl|].
  exact (steady_trans _ _ _ IH (steady_change st e o rule y z row (none rule ok))).
Qed.
Theorem only_invocations_control_proved : only_invocations_control step.
Proof. intros st e o. exact (by_rules_steady _ _ _ _ _ _ (proj1 (fields_change_by_rule_proved st e) o)). Qed.

(** What no rule but one takes. *)
Lemma alike_to_the_same c d : stands_alike c d = true -> stands_alike d c = true -> what_it_is_to d = what_it_is_to c.
Proof.
  destruct c, d; cbn [stands_alike object_of referent is_number cap_type]; intros there back; try discriminate there; try discriminate back; try reflexivity;
    repeat match goal with H : _ && _ = true |- _ => apply andb_prop in H; destruct H end;
    repeat match goal with H : (_ =? _) = true |- _ => apply N.eqb_eq in H end; subst; try reflexivity; try discriminate.
Qed.
Lemma lives_on_refl x : lives_on x x. Proof. destruct x; [|exact I]. repeat split. apply incl_refl. Qed.
Lemma lives_on_trans x y z : lives_on x y -> lives_on y z -> lives_on x z.
Proof.
  destruct x as [x|], y as [y|], z as [z|]; cbn [lives_on]; try contradiction; try (intros; exact I).
  intros (a & b & c & d) (a2 & b2 & c2 & d2). repeat split; [congruence | congruence | exact (incl_tran c c2) | congruence].
Qed.
Lemma lives_on_row rule x y : changes_slot rule x y -> rule <> ByArrangement -> lives_on x y.
Proof.
  intros [r x0 kind none|r x0 l kind more|r x0 base bits device used used' kind is_it|x0 c there back|x0 y0] other; try exact I.
  - repeat split. exact more.
  - repeat split; [apply incl_refl|]. cbn. rewrite is_it. reflexivity.
  - repeat split; [apply incl_refl|]. exact (alike_to_the_same _ _ there back).
  - destruct (other eq_refl).
Qed.
Theorem only_arrangements_take_proved : only_arrangements_take step.
Proof.
  intros st e slot none. pose proof (proj1 (proj2 (fields_change_by_rule_proved st e)) slot) as changed.
  induction changed as [|rule y z _ IH ok row]; [apply lives_on_refl|].
  refine (lives_on_trans _ _ _ IH (lives_on_row rule y z row _)). intros ->. exact (none ok).
Qed.
