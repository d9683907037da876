(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What every step keeps

    Slots change only through the five definitions of [Capabilities], and the time of a scheduling context only where it is charged, begun
    to be used or configured. So a property of slots, counts of references and objects that these keep holds after every step. The proofs
    follow the text of the specification and are made by one tactic. *)
From Spec Require Export Claims TreeProofs.
Open Scope N_scope.

Section Kept.
(** What is kept: a property of states that looks at slots, references and objects only. Of objects it says something about scheduling
    contexts only, and of these about their time. *)
Variable invariant : State -> Prop.
Variable fine_context : SchedContext -> Prop.
Definition fine_object (x : Object) : Prop := match x with SchedContextObject c => fine_context c | _ => True end.
Hypothesis looks_at_objects :
  forall a b, slots b = slots a -> references b = references a -> objects b = objects a -> invariant a -> invariant b.
Hypothesis after_insert_child : forall slot p o c st, invariant st -> invariant (insert_child slot p o c st).
Hypothesis after_insert_sibling : forall slot source o c st, invariant st -> invariant (insert_sibling slot source o c st).
Hypothesis after_remove_capability : forall slot st, invariant st -> invariant (remove_capability slot st).
Hypothesis after_move_capability : forall from to st, invariant st -> invariant (move_capability from to st).
Hypothesis after_change_capability : forall slot c st, invariant st -> invariant (change_capability slot c st).
Hypothesis after_insert_root : forall slot c st, invariant st -> invariant (insert_root slot c st).
Hypothesis at_the_start : forall m, invariant (nothing_yet m).
Hypothesis after_put_object : forall o x st, fine_object x -> invariant st -> invariant (put_object o x st).
Hypothesis after_remove_object : forall o st, invariant st -> invariant (remove_object o st).
Hypothesis contexts_are_fine : forall o c st, invariant st -> objects st !! o = Some (SchedContextObject c) -> fine_context c.
Hypothesis looks_at_time :
  forall a b, refills b = refills a -> budget b = budget a -> period b = period a -> unreturned b = unreturned a ->
    fine_context a -> fine_context b.
Hypothesis fine_new : forall n, fine_context (new_sched_context n).
Hypothesis fine_charge : forall used smallest c, fine_context c -> fine_context (charge used smallest c).
Hypothesis fine_begin_use : forall time c, fine_context c -> fine_context (begin_use time c).
Hypothesis fine_configure : forall core b p extra badge flags st c, fine_context (configure_context core b p extra badge flags st c).

(* Definitions are told apart by their names, not by what they unfold to. *)
#[local] Hint Constants Opaque : typeclass_instances.

(** ** What it means for everything that carries a state *)
Class Good (T : Type) : Type := good : T -> Prop.
Instance good_any (T : Type) : Good T | 100 := fun _ => True.
Instance good_state : Good State := invariant.
Instance good_pair {A B : Type} `{Good A} `{Good B} : Good (A * B) := fun p => good (fst p) /\ good (snd p).
Instance good_progress : Good Progress := fun p => good (state_of p).
Instance good_outcome : Good Outcome := fun o => match o with Returns _ st | Stops st | Continues st => good st end.
Instance good_loop {A : Type} `{Good A} : Good (Turn_of_loop A) := fun t => match t with Again a | Finished a => good a end.
Instance good_option {A : Type} `{Good A} : Good (option A) := fun o => match o with Some a => good a | None => True end.
Class Keeps {T : Type} `{Good T} (f : State -> T) : Prop := keeps : forall st, good st -> good (f st).
Instance good_decision : Good Decision := fun d => match d with Perform work => Keeps work | Refuse _ _ => True end.

Lemma good_of_same (a b : State) : slots b = slots a -> references b = references a -> objects b = objects a -> good a -> good b.
Proof. exact (looks_at_objects a b). Qed.

(** Constructors carry what they are given. *)
Lemma good_done st : good st -> good (Done st). Proof. exact id. Qed.
Lemma good_preempted st : good st -> good (Preempted st). Proof. exact id. Qed.
Lemma good_returns l st : good st -> good (Returns l st). Proof. exact id. Qed.
Lemma good_stops st : good st -> good (Stops st). Proof. exact id. Qed.
Lemma good_continues st : good st -> good (Continues st). Proof. exact id. Qed.
Lemma good_again {A : Type} `{Good A} (a : A) : good a -> good (Again a). Proof. exact id. Qed.
Lemma good_finished {A : Type} `{Good A} (a : A) : good a -> good (Finished a). Proof. exact id. Qed.
Lemma good_some {A : Type} `{Good A} (a : A) : good a -> good (Some a). Proof. exact id. Qed.
Lemma good_perform work : Keeps work -> good (Perform work). Proof. exact id. Qed.
Lemma good_both {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : good a -> good b -> good (a, b).
Proof. split; assumption. Qed.
Lemma done_good st : good (Done st) -> good st. Proof. exact id. Qed.
Lemma preempted_good st : good (Preempted st) -> good st. Proof. exact id. Qed.
Lemma returns_good l st : good (Returns l st) -> good st. Proof. exact id. Qed.
Lemma stops_good st : good (Stops st) -> good st. Proof. exact id. Qed.
Lemma continues_good st : good (Continues st) -> good st. Proof. exact id. Qed.
Lemma again_good {A : Type} `{Good A} (a : A) : good (Again a) -> good a. Proof. exact id. Qed.
Lemma finished_good {A : Type} `{Good A} (a : A) : good (Finished a) -> good a. Proof. exact id. Qed.
Lemma some_good {A : Type} `{Good A} (a : A) : good (Some a) -> good a. Proof. exact id. Qed.
Lemma both_good {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : good (a, b) -> good a /\ good b. Proof. exact id. Qed.

(** ** The tactic

    A value that is chosen by cases is good when it is in each case. A state that is named is good once and for all. A function of
    a state is good when it keeps the invariant, which is looked up among the lemmas below. *)
Ltac carries_state T :=
  lazymatch T with
  | State => idtac
  | (_ * ?B)%type => carries_state B
  | Progress => idtac
  | Outcome => idtac
  | Decision => idtac
  | option State => idtac
  | Turn_of_loop ?A => carries_state A
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
  | H : good (Some _) |- _ => apply some_good in H
  end.
Ltac open_up x ok := destruct x; open_hypotheses.
Ltac keep_step :=
  match goal with
  | |- True => exact I
  | |- _ /\ _ => split
  | H : good ?x |- good ?x => exact H
  | |- good (_, _) => apply good_both
  | |- good (Some _) => apply good_some
  | |- good None => exact I
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
      then (let ok := fresh "ok" in assert (ok : good v); [|revert ok; generalize v; intros ? ok; cbv beta])
      else (change (good (b v)); cbv beta)
  | |- good (match ?x with _ => _ end) =>
      tryif (let T := type of x in carries_state T)
      then (let ok := fresh "ok" in assert (ok : good x); [|open_up x ok])
      else destruct x
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
      (cut (good s); [generalize s; intros ? ok; refine (good_of_same _ _ _ _ _ ok); reflexivity |])
  | |- good (?f ?s) => apply (keeps (f := f) s)
  | |- Keeps _ => intros ? ?; cbv beta
  end.
Ltac keep := repeat keep_step.
Ltac head f := lazymatch f with ?g _ => head g | _ => f end.
Ltac keeping f := intros ? ?; unfold f; keep.
Hint Extern 0 (Keeps (fun _ => _)) => (intros ? ?; cbv beta; solve [keep]) : typeclass_instances.

(** ** Loops *)
Instance keeps_fold {A : Type} (f : State -> A -> State) (l : list A) :
  (forall a, Keeps (fun st => f st a)) -> Keeps (fold_left f l).
Proof. intros each. induction l as [|a rest IH]; intros st ok; [exact ok|]. apply IH. exact (each a st ok). Qed.

Lemma good_repeat {A : Type} `{Good A} (f : A -> Turn_of_loop A) (a : A) :
  (forall a, good a -> good (f a)) -> good a -> good (repeat_until f a).
Proof.
  intros each. unfold repeat_until. generalize 40%nat as n. intros n. revert a. induction n as [|n IH]; intros a ok.
  - exact (each a ok).
  - simpl. pose proof (IH a ok) as once. destruct (repeat_bounded n f a) as [a'|a']; [exact (IH a' once) | exact once].
Qed.

(** ** Objects and slots

    Objects other than scheduling contexts are always fine; a change of a context is when each part of it is. *)
Class FineObject (x : Object) : Prop := fine : fine_object x.
Class FineUpdate (f : SchedContext -> SchedContext) : Prop := fine_update : forall c, fine_context c -> fine_context (f c).
Ltac fine_step :=
  match goal with
  | H : fine_context ?c |- fine_context ?c => exact H
  | |- fine_context (charge _ _ _) => apply fine_charge
  | |- fine_context (begin_use _ _) => apply fine_begin_use
  | |- fine_context (configure_context _ _ _ _ _ _ _ _) => apply fine_configure
  | |- fine_context (new_sched_context _) => apply fine_new
  | |- fine_context (root_context_at_boot _ _ _) => unfold root_context_at_boot
  | |- fine_context (set_field _ _ ?s) =>
      let ok := fresh "ok" in
      (cut (fine_context s); [generalize s; intros ? ok; refine (looks_at_time _ _ _ _ _ _ ok); reflexivity |])
  end.
Hint Extern 0 (FineObject _) => (red; cbn [fine_object]; solve [exact I | repeat fine_step]) : typeclass_instances.
Hint Extern 0 (FineUpdate _) => (intros ? ?; cbv beta; solve [repeat fine_step]) : typeclass_instances.

Instance keeps_emit e : Keeps (emit e).
Proof. intros st ok. exact (good_of_same st (emit e st) eq_refl eq_refl eq_refl ok). Qed.
Instance keeps_put_object o x : FineObject x -> Keeps (put_object o x). Proof. intros fine st ok. exact (after_put_object o x st fine ok). Qed.
Instance keeps_remove_object o : Keeps (remove_object o). Proof. exact (after_remove_object o). Qed.
Instance keeps_change_thread o f : Keeps (change_thread o f). Proof. keeping change_thread. Qed.
Instance keeps_change_endpoint o f : Keeps (change_endpoint o f). Proof. keeping change_endpoint. Qed.
Instance keeps_change_notification o f : Keeps (change_notification o f). Proof. keeping change_notification. Qed.
Instance keeps_put_reply o r : Keeps (put_reply o r). Proof. keeping put_reply. Qed.
Instance keeps_change_context o f : FineUpdate f -> Keeps (change_context o f).
Proof.
  intros updates st ok. unfold change_context. destruct (objects st !! o) as [[]|] eqn:found; try exact (keeps_emit Stuck st ok).
  exact (after_put_object o (SchedContextObject (f context)) st (updates _ (contexts_are_fine o _ st ok found)) ok).
Qed.
Instance keeps_change_table o f : Keeps (change_table o f). Proof. keeping change_table. Qed.
Instance keeps_change_pool o f : Keeps (change_pool o f). Proof. keeping change_pool. Qed.
Instance keeps_insert_child slot p o c : Keeps (insert_child slot p o c). Proof. exact (after_insert_child slot p o c). Qed.
Instance keeps_insert_sibling slot s o c : Keeps (insert_sibling slot s o c). Proof. exact (after_insert_sibling slot s o c). Qed.
Instance keeps_remove_capability slot : Keeps (remove_capability slot). Proof. exact (after_remove_capability slot). Qed.
Instance keeps_move_capability from to : Keeps (move_capability from to). Proof. exact (after_move_capability from to). Qed.
Instance keeps_change_capability slot c : Keeps (change_capability slot c). Proof. exact (after_change_capability slot c). Qed.
Instance keeps_exchange a b : Keeps (exchange_capabilities a b). Proof. keeping exchange_capabilities. Qed.
Instance keeps_insert_derived slot s o c : Keeps (insert_derived slot s o c). Proof. keeping insert_derived. Qed.
Instance keeps_write_memory a v : Keeps (write_memory a v). Proof. keeping write_memory. Qed.

(** ** Time *)
Instance keeps_unplace t : Keeps (unplace t). Proof. keeping unplace. Qed.
Instance keeps_place_by insert t : Keeps (place_by insert t). Proof. keeping place_by. Qed.
Instance keeps_place t : Keeps (place t). Proof. keeping place. Qed.
Instance keeps_place_ahead t : Keeps (place_ahead t). Proof. keeping place_ahead. Qed.
Instance keeps_place_anew t : Keeps (place_anew t). Proof. keeping place_anew. Qed.
Instance keeps_begin_sporadic t : Keeps (begin_sporadic t). Proof. keeping begin_sporadic. Qed.
Instance keeps_wake t : Keeps (wake t). Proof. keeping wake. Qed.
Instance keeps_wake_ahead t : Keeps (wake_ahead t). Proof. keeping wake_ahead. Qed.
Instance keeps_give_context c t : Keeps (give_context c t). Proof. keeping give_context. Qed.
Instance keeps_book : Keeps book. Proof. keeping book. Qed.
Instance keeps_will_book : Keeps will_book. Proof. keeping will_book. Qed.
Instance keeps_book_turn : Keeps book_turn. Proof. keeping book_turn. Qed.
Instance keeps_report_booked c : Keeps (report_booked c). Proof. keeping report_booked. Qed.
Instance keeps_report_consumed c : Keeps (report_consumed c). Proof. keeping report_consumed. Qed.
Instance keeps_begin_turn i : Keeps (begin_turn i). Proof. keeping begin_turn. Qed.
Instance keeps_next_turn : Keeps next_turn. Proof. keeping next_turn. Qed.
Instance keeps_end_turn_if_due : Keeps end_turn_if_due. Proof. keeping end_turn_if_due. Qed.
Instance keeps_end_yield_by report t : (forall c, Keeps (report c)) -> Keeps (end_yield_by report t).
Proof. intros each. keeping (@end_yield_by). Qed.
Instance keeps_end_yield t : Keeps (end_yield t). Proof. keeping end_yield. Qed.
Instance keeps_forget_yield t : Keeps (forget_yield t). Proof. keeping forget_yield. Qed.

(** ** Messages *)
Instance keeps_transfer position l through from to free : Keeps (transfer position l through from to free).
Proof.
  revert position free. induction l as [|address rest IH]; intros position free st ok; simpl; keep.
Qed.
Instance keeps_write_words a l : Keeps (write_words a l).
Proof. revert a. induction l as [|v rest IH]; intros a st ok; simpl; keep. Qed.
Instance keeps_write_long_words t l : Keeps (write_long_words t l). Proof. keeping write_long_words. Qed.
Instance keeps_deliver m through badge caps from to : Keeps (deliver m through badge caps from to). Proof. keeping deliver. Qed.
Instance keeps_break_stack r : Keeps (break_stack r). Proof. keeping break_stack. Qed.
Instance keeps_return_context r t : Keeps (return_context r t). Proof. keeping return_context. Qed.
Instance keeps_set_empty_result t : Keeps (set_empty_result t). Proof. keeping set_empty_result. Qed.
Instance keeps_set_error_result e t : Keeps (set_error_result e t). Proof. keeping set_error_result. Qed.
Instance keeps_end_call_of t h : Keeps (end_call_of t h). Proof. keeping end_call_of. Qed.
Instance keeps_free_reply r : Keeps (free_reply r). Proof. keeping free_reply. Qed.
Instance keeps_stop_waiting t : Keeps (stop_waiting t). Proof. keeping stop_waiting. Qed.
Instance keeps_suspend t : Keeps (suspend t). Proof. keeping suspend. Qed.
Instance keeps_make_inactive t : Keeps (make_inactive t). Proof. keeping make_inactive. Qed.
Instance keeps_restart t : Keeps (restart t). Proof. keeping restart. Qed.
Instance keeps_return_lent_context t n : Keeps (return_lent_context t n). Proof. keeping return_lent_context. Qed.
Instance keeps_lend_context t n : Keeps (lend_context t n). Proof. keeping lend_context. Qed.
Instance keeps_meet s t e b r rg g gr c l : Keeps (meet s t e b r rg g gr c l). Proof. keeping meet. Qed.
Instance keeps_send t e b g gr c l w : Keeps (send t e b g gr c l w). Proof. keeping send. Qed.
Instance keeps_refuse_sender t : Keeps (refuse_sender t). Proof. keeping refuse_sender. Qed.
Instance keeps_receive_from queue t e r requires g : Keeps (receive_from queue t e r requires g).
Proof. induction queue as [|sender rest IH]; intros st ok; simpl; keep. Qed.
Instance keeps_take_flags t n : Keeps (take_flags t n). Proof. keeping take_flags. Qed.
Instance keeps_nothing_received t : Keeps (nothing_received t). Proof. keeping nothing_received. Qed.
Instance keeps_receive t e r requires g b : Keeps (receive t e r requires g b). Proof. keeping receive. Qed.
Instance keeps_wait_on t n b : Keeps (wait_on t n b). Proof. keeping wait_on. Qed.
Instance keeps_hand_flags_to t n : Keeps (hand_flags_to t n). Proof. keeping hand_flags_to. Qed.
Instance keeps_signal n b : Keeps (signal n b). Proof. keeping signal. Qed.
Instance keeps_raise_fault_to slot l t f : Keeps (raise_fault_to slot l t f). Proof. keeping raise_fault_to. Qed.
Instance keeps_raise_fault t f : Keeps (raise_fault t f). Proof. keeping raise_fault. Qed.
Instance keeps_answer_fault t f m : Keeps (answer_fault t f m). Proof. keeping answer_fault. Qed.
Instance keeps_answer t r g : Keeps (answer t r g). Proof. keeping answer. Qed.

(** ** Spaces and deletion *)
Instance keeps_set_page_entry t i e : Keeps (set_page_entry t i e). Proof. keeping set_page_entry. Qed.
Instance keeps_clear_page_entry t i : Keeps (clear_page_entry t i). Proof. keeping clear_page_entry. Qed.
Instance keeps_unmap_frame b n p : Keeps (unmap_frame b n p). Proof. keeping unmap_frame. Qed.
Instance keeps_unmap_table t p : Keeps (unmap_table t p). Proof. keeping unmap_table. Qed.
Instance keeps_release_asid v a : Keeps (release_asid v a). Proof. keeping release_asid. Qed.
Instance keeps_release_pool p : Keeps (release_pool p). Proof. keeping release_pool. Qed.
Instance keeps_count_unit : Keeps count_unit. Proof. keeping count_unit. Qed.
Instance keeps_in_units {A : Type} remains (work : A -> State -> A * State) (a : A) :
  (forall a, Keeps (work a)) -> Keeps (in_units remains work a).
Proof.
  intros each st ok. unfold in_units.
  assert (good (repeat_until (unit_turn remains work) (a, Done st))) as result.
  { apply good_repeat; [|split; [exact I | exact ok]]. intros (a' & p) (_ & ok'). unfold unit_turn. keep. }
  destruct (repeat_until _ _) as [(? & p)|(? & p)]; destruct result as (_ & ok'); [exact (keeps_emit Stuck (state_of p) ok') | exact ok'].
Qed.
Instance keeps_unbind_notification t n : Keeps (unbind_notification t n). Proof. keeping unbind_notification. Qed.
Instance keeps_unbind_thread c : Keeps (unbind_thread_of_context c). Proof. keeping unbind_thread_of_context. Qed.
Instance keeps_unbind_of_context c : Keeps (unbind_notification_of_context c). Proof. keeping unbind_notification_of_context. Qed.
Instance keeps_end_thread t : Keeps (end_thread t). Proof. keeping end_thread. Qed.
Instance keeps_end_notification n : Keeps (end_notification n). Proof. keeping end_notification. Qed.
Instance keeps_end_context c : Keeps (end_context c). Proof. keeping end_context. Qed.
Instance keeps_end_interrupt i : Keeps (end_interrupt i). Proof. keeping end_interrupt. Qed.
Instance keeps_let_go c : Keeps (let_go c). Proof. keeping let_go. Qed.
Instance keeps_become_zombie s c o : Keeps (become_zombie s c o). Proof. keeping become_zombie. Qed.
Instance keeps_rotate_zombies a s i : Keeps (rotate_zombies a s i). Proof. keeping rotate_zombies. Qed.
Instance keeps_meet_inner a s o i : Keeps (meet_inner a s o i). Proof. keeping meet_inner. Qed.
Instance keeps_delete_plain s c : Keeps (delete_plain s c). Proof. keeping delete_plain. Qed.
Instance keeps_delete_one s c : Keeps (delete_one s c). Proof. keeping delete_one. Qed.
Instance keeps_to_first_slot a f : Keeps (to_first_slot a f). Proof. keeping to_first_slot. Qed.
Instance keeps_empty_zombie a o : Keeps (empty_zombie a o). Proof. keeping empty_zombie. Qed.
Instance keeps_delete_unit a : Keeps (delete_unit a). Proof. keeping delete_unit. Qed.
Instance keeps_delete slot : Keeps (delete slot). Proof. exact (keeps_in_units is_occupied delete_unit slot keeps_delete_unit). Qed.
Instance keeps_revoke slot : Keeps (revoke slot).
Proof.
  intros st ok. unfold revoke.
  assert (good (repeat_until (revoke_turn slot) (Done st))) as result.
  { apply good_repeat; [|exact ok]. intros p ok'. unfold revoke_turn. keep. }
  destruct (repeat_until _ _) as [p|p]; cbn in result; [apply good_preempted, keeps_emit|]; exact result.
Qed.
Instance keeps_insert_copy slot s c : Keeps (insert_copy slot s c). Proof. keeping insert_copy. Qed.
Instance keeps_replace_slot slot by_ : Keeps (replace_slot slot by_). Proof. keeping replace_slot. Qed.
Instance keeps_cancel_unit e b u : Keeps (cancel_unit e b u). Proof. keeping cancel_unit. Qed.
Instance keeps_cancel_badged_sends e b : Keeps (cancel_badged_sends e b).
Proof.
  pose proof (keeps_in_units (has_sender_with_badge e b) (cancel_unit e b) tt (keeps_cancel_unit e b)). keeping cancel_badged_sends.
Qed.

(** ** Methods *)
Instance keeps_set_word_argument i v t : Keeps (set_word_argument i v t). Proof. keeping set_word_argument. Qed.
Lemma new_object_is_fine type n x : new_object type n = Some x -> FineObject x.
Proof. destruct type; intros made; try discriminate; injection made as <-; exact _. Qed.
Instance keeps_make_object type at_ n d slot u : Keeps (make_object type at_ n d slot u).
Proof.
  intros st ok. unfold make_object. destruct (new_object type n) as [x|] eqn:made; [pose proof (new_object_is_fine type n x made)|]; keep.
Qed.
Instance keeps_make_objects count type at_ n d slot offset base bits u t :
  Keeps (make_objects count type at_ n d slot offset base bits u t).
Proof. revert at_ slot offset. induction count as [|rest IH]; intros at_ slot offset st ok; simpl; keep. Qed.
Instance keeps_untyped_retype a b c d e f r call : Keeps (untyped_retype a b c d e f r call). Proof. keeping untyped_retype. Qed.
Instance keeps_cnode_revoke i d call : Keeps (cnode_revoke i d call). Proof. keeping cnode_revoke. Qed.
Instance keeps_cnode_delete i d call : Keeps (cnode_delete i d call). Proof. keeping cnode_delete. Qed.
Instance keeps_cnode_cancel i d call : Keeps (cnode_cancel_badged_sends i d call). Proof. keeping cnode_cancel_badged_sends. Qed.
Instance keeps_derive_into a b c d e r m o call : Keeps (derive_into a b c d e r m o call). Proof. keeping derive_into. Qed.
Instance keeps_move_into a b c d r m call : Keeps (move_into a b c d r m call). Proof. keeping move_into. Qed.
Instance keeps_cnode_rotate a b c d e f g h p r call : Keeps (cnode_rotate a b c d e f g h p r call). Proof. keeping cnode_rotate. Qed.
Instance keeps_suspend_if b t : Keeps (suspend_if b t). Proof. keeping suspend_if. Qed.
Instance keeps_resume t : Keeps (resume t). Proof. keeping resume. Qed.
Instance keeps_resume_if b t : Keeps (resume_if b t). Proof. keeping resume_if. Qed.
Instance keeps_stop_for_writing t : Keeps (stop_for_writing t). Proof. keeping stop_for_writing. Qed.
Instance keeps_copy_registers l from to : Keeps (copy_registers l from to). Proof. keeping copy_registers. Qed.
Instance keeps_replace_in t slot by_ : Keeps (replace_in t slot by_). Proof. keeping replace_in. Qed.
Instance keeps_set_buffer t a f : Keeps (set_buffer t a f). Proof. keeping set_buffer. Qed.
Instance keeps_set_priority t p : Keeps (set_priority t p). Proof. keeping set_priority. Qed.
Instance keeps_bind_context c t : Keeps (bind_context c t). Proof. keeping bind_context. Qed.
Instance keeps_change_flags t c s : Keeps (change_flags t c s). Proof. keeping change_flags. Qed.
Instance keeps_tcb_configure a b c x y z call : Keeps (tcb_configure a b c x y z call). Proof. keeping tcb_configure. Qed.
Instance keeps_tcb_set_space a b x y z call : Keeps (tcb_set_space a b x y z call). Proof. keeping tcb_set_space. Qed.
Instance keeps_tcb_set_sched_params a b x y z call : Keeps (tcb_set_sched_params a b x y z call). Proof. keeping tcb_set_sched_params. Qed.
Instance keeps_change_interrupt i f : Keeps (change_interrupt i f). Proof. keeping change_interrupt. Qed.
Instance keeps_deactivate i : Keeps (deactivate i). Proof. keeping deactivate. Qed.
Instance keeps_set_mask i m : Keeps (set_mask i m). Proof. keeping set_mask. Qed.
Instance keeps_maintain t piece start end_ : (forall x, Keeps (piece x)) -> Keeps (maintain t piece start end_).
Proof. intros each st ok. unfold maintain. keep. Qed.
Instance keeps_piece_of_space op v end_ x : Keeps (piece_of_space op v end_ x). Proof. keeping piece_of_space. Qed.
Instance keeps_frame_maintain op a b call : Keeps (frame_maintain op a b call). Proof. keeping frame_maintain. Qed.
Instance keeps_vspace_maintain op a b call : Keeps (vspace_maintain op a b call). Proof. keeping vspace_maintain. Qed.

(** The dispatch to all methods. *)
Instance keeps_decode_method method call : Keeps (decode_method method call).
Proof.
  intros st ok. destruct method; unfold decode_method;
    match goal with
    | |- good (?f st) => apply (keeps (f := f) st ok)
    | |- good (?f st) => let h := head f in unfold h; keep
    end.
Qed.
(** ** Events *)
Instance keeps_decide m t slot c arguments : Keeps (decide m t slot c arguments).
Proof. keeping decide. Qed.
Instance keeps_invoke t slot c : Keeps (invoke t slot c).
Proof.
  intros st ok. unfold invoke. cbv zeta.
  destruct (cap_arguments_at _ t st) as [arguments|(address & report)]; [|apply good_both; [exact I | exact ok]].
  pose proof (keeps_decide (message_of_call t st) t slot c arguments st ok) as decided.
  destruct (decide (message_of_call t st) t slot c arguments st) as [error details|work]; [apply good_both; [exact I | exact ok]|].
  pose proof (decided st ok) as worked. destruct (work st); apply good_both; exact I || exact worked.
Qed.
Instance keeps_send_phase t a m : Keeps (send_phase t a m). Proof. keeping send_phase. Qed.
Instance keeps_cap_fault t a p r : Keeps (cap_fault t a p r). Proof. keeping cap_fault. Qed.
Instance keeps_unknown_system_call t : Keeps (unknown_system_call t). Proof. keeping unknown_system_call. Qed.
Instance keeps_put_result t e l : Keeps (put_result t e l). Proof. keeping put_result. Qed.
Instance keeps_go_back t : Keeps (go_back t). Proof. keeping go_back. Qed.
Lemma finish_send_good t m outcome : good outcome -> good (finish_send t m outcome).
Proof. intros ok. unfold finish_send. keep. Qed.
Instance keeps_receive_phase t r b : Keeps (receive_phase t r b). Proof. keeping receive_phase. Qed.
Instance keeps_becomes n t : Keeps (becomes n t). Proof. keeping becomes. Qed.
Instance keeps_then_receive t r : Keeps (then_receive t r). Proof. keeping then_receive. Qed.
Instance keeps_reply_phase t : Keeps (reply_phase t). Proof. keeping reply_phase. Qed.
Instance keeps_send_and_receive t r : Keeps (send_and_receive t r). Proof. keeping send_and_receive. Qed.
Instance keeps_yield t : Keeps (yield t). Proof. keeping yield. Qed.
Instance keeps_sends t m : Keeps (sends t m).
Proof. intros st ok. unfold sends. apply finish_send_good. keep. Qed.
Instance keeps_run_system_call s t : Keeps (run_system_call s t). Proof. keeping run_system_call. Qed.
Instance keeps_system_call t : Keeps (system_call t). Proof. keeping system_call. Qed.
Instance keeps_interrupt i : Keeps (interrupt i). Proof. keeping interrupt. Qed.
Instance keeps_time_out t c : Keeps (time_out t c). Proof. keeping time_out. Qed.
Instance keeps_end_budget : Keeps end_budget. Proof. keeping end_budget. Qed.
Instance keeps_wake_sleepers : Keeps wake_sleepers. Proof. keeping wake_sleepers. Qed.
Instance keeps_timer_expires : Keeps timer_expires. Proof. keeping timer_expires. Qed.
Instance keeps_debug_event t r a n : Keeps (debug_event t r a n). Proof. keeping debug_event. Qed.
Instance keeps_user_fault t c : Keeps (user_fault t c). Proof. keeping user_fault. Qed.
Instance keeps_begin_step e : Keeps (begin_step e). Proof. keeping begin_step. Qed.
Instance keeps_save_registers l : Keeps (save_registers l). Proof. keeping save_registers. Qed.
Instance keeps_enter e : Keeps (enter e). Proof. keeping enter. Qed.
Instance keeps_handle c : Keeps (handle c). Proof. keeping handle. Qed.
Instance keeps_change_context_in_use : Keeps change_context_in_use. Proof. keeping change_context_in_use. Qed.
Instance keeps_choose_thread : Keeps choose_thread. Proof. keeping choose_thread. Qed.
Instance keeps_leave : Keeps leave. Proof. keeping leave. Qed.
Lemma finish_good outcome : good outcome -> good (finish outcome). Proof. intros ok. unfold finish. keep. Qed.

(** After every step from a state in which the invariant holds it holds again. *)
Theorem step_keeps (st : State) (e : Event) : invariant st -> invariant (fst (fst (step st e))).
Proof.
  intros ok. assert (start : good st) by exact ok.
  assert (kept : good (step st e)) by (unfold step; apply finish_good; keep). exact (proj1 (proj1 kept)).
Qed.

(** ** Boot *)
Instance keeps_insert_root slot c : Keeps (insert_root slot c). Proof. exact (after_insert_root slot c). Qed.
Lemma good_start m : good (nothing_yet m).
Proof. exact (at_the_start m). Qed.
Instance keeps_put_root_objects p : Keeps (put_root_objects p). Proof. keeping put_root_objects. Qed.
Instance keeps_insert_roots p : Keeps (insert_roots p). Proof. keeping insert_roots. Qed.
Instance keeps_copy_to_thread p i place : Keeps (copy_to_thread p i place). Proof. keeping copy_to_thread. Qed.
Lemma boot_keeps (p : BootPlan) : good (boot p).
Proof.
  unfold boot. pose proof (good_start (boot_machine p)) as start. revert start. generalize (nothing_yet (boot_machine p)). intros st start.
  keep.
Qed.

Theorem reachable_keeps (p : BootPlan) (st : State) : reachable p st -> invariant st.
Proof. induction 1 as [|st e _ IH]; [exact (boot_keeps p) | exact (step_keeps st e IH)]. Qed.
End Kept.

(** Claim [indices_hold]: of objects it says nothing. *)
Theorem indices_hold_proved : indices_hold.
Proof.
  intros p st reached.
  refine (reachable_keeps indices_are_right (fun _ => True) _ insert_child_right insert_sibling_right remove_capability_right
            move_capability_right change_capability_right insert_root_right nothing_yet_right _ _ _ _ _ _ _ _ p st reached);
    try (intros; exact I).
  - intros a b same_slots same_references _. exact (indices_of_same a b same_slots same_references).
  - intros o x before _. exact (indices_of_same before (put_object o x before) eq_refl eq_refl).
  - intros o before. exact (indices_of_same before (remove_object o before) eq_refl eq_refl).
Qed.
