(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What tables map and threads wait with, within a policy

    Most of what a step does adds no entry to a page table, and lets no thread wait with anything new: it keeps what is held. The proofs follow the text of the
    specification. What begins to wait or maps is in [StayProofs]. *)
From Spec Require Export TransferProofs QueueProofs LendProofs.
Open Scope N_scope.

Section Held.
Variable p : Policy.
(** Who waits for an answer that may bring capabilities waits for it from whom it may. *)
Variable may_answer_to : N -> N -> Prop.
Definition awaits_as (o : N) (x : Thread) : Prop := forall r, run_state x = BlockedOnReply r true -> fault x = None -> may_answer_to o r.
Definition okay (o : N) (x : Object) : Prop :=
  match x with
  | ThreadObject t => waits_as p o t /\ awaits_as o t
  | VSpaceObject t | PageTableObject t => entries_within p o t
  | _ => True
  end.
Definition held (st : State) : Prop := forall o x, objects st !! o = Some x -> okay o x.

Lemma held_objects a b : objects b = objects a -> held a -> held b.
Proof. intros same ok o x. rewrite same. apply ok. Qed.
Lemma held_but_slots a b : same_but_slots a b -> held a -> held b.
Proof. unfold same_but_slots. intros same. apply held_objects. rewrite same. reflexivity. Qed.
Lemma held_put o x y st : objects st !! o = Some y -> (okay o y -> okay o x) -> held st -> held (put_object o x st).
Proof.
  intros there follows ok q z. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec q o) as [->|]; [|apply ok]. intros same. injection same as <-. exact (follows (ok o y there)).
Qed.

(** A thread that waits as before, or not at all. *)
Class Calm (f : Thread -> Thread) : Prop := calm : forall o x, okay o (ThreadObject x) -> okay o (ThreadObject (f x)).
Definition is_idle (s : RunState) : bool := match s with Inactive | Running => true | _ => false end.
Lemma calm_idle o y : is_idle (run_state y) = true -> okay o (ThreadObject y).
Proof.
  intros idle. split; [unfold waits_as | unfold awaits_as].
  - intros c listed. destruct (run_state y); try discriminate idle; contradiction.
  - intros r same. rewrite same in idle. discriminate idle.
Qed.
Lemma calm_same o x y : run_state y = run_state x -> (fault y = fault x \/ is_some (fault y) = true) ->
  okay o (ThreadObject x) -> okay o (ThreadObject y).
Proof.
  intros same faulted (waits_ & awaits). split; [unfold waits_as | unfold awaits_as].
  - intros c. rewrite same. intros listed. destruct (waits_ c listed) as [by_|(sends_ & faults_ & slot)]; [left; exact by_|]. right.
    split; [exact sends_|]. split; [|exact slot]. destruct faulted as [->|some]; [exact faults_ | destruct (fault y); [discriminate | discriminate some]].
  - intros r. rewrite same. intros state none. destruct faulted as [there|some]; [rewrite there in none; exact (awaits r state none)|].
    rewrite none in some. discriminate some.
Qed.
Lemma registers_of_thread l x : with_registers l x = x <| registers := registers (with_registers l x) |>.
Proof.
  unfold with_registers. revert x. induction l as [|(r & v) l IH]; intros x; [destruct x; reflexivity|]. cbn [fold_left fst snd].
  rewrite IH. reflexivity.
Qed.
Lemma state_of_registers l x : run_state (with_registers l x) = run_state x. Proof. rewrite (registers_of_thread l x). reflexivity. Qed.
Lemma fault_of_registers l x : fault (with_registers l x) = fault x. Proof. rewrite (registers_of_thread l x). reflexivity. Qed.
Ltac same_field :=
  repeat match goal with
  | |- ?a = ?a => reflexivity
  | |- run_state (with_registers ?l ?x) = _ => rewrite (state_of_registers l x)
  | |- fault (with_registers ?l ?x) = _ => rewrite (fault_of_registers l x)
  | |- run_state (set_field ?f ?v ?x) = _ => change (run_state (set_field f v x)) with (run_state x)
  | |- fault (set_field ?f ?v ?x) = _ => change (fault (set_field f v x)) with (fault x)
  | |- context [match ?x with _ => _ end] => destruct x
  end.
Ltac calm_thread :=
  intros ? ? ?; cbv beta; unfold write_registers, to_restart, with_error_result, with_result, with_empty_result, lose_registers, with_state, debug_reply,
    with_register; cbv beta zeta;
  first [ assumption | apply calm_idle; reflexivity
        | match goal with H : okay ?o (ThreadObject ?x) |- okay ?o (ThreadObject ?y) =>
            refine (calm_same o x y _ _ H); [solve [same_field] | first [left; solve [same_field] | right; reflexivity]] end ].
Hint Extern 0 (Calm _) => (solve [calm_thread]) : typeclass_instances.

#[local] Hint Constants Opaque : typeclass_instances.

(** ** What it means for everything that carries a state *)
Class Good (T : Type) : Type := good : T -> Prop.
Instance good_any (T : Type) : Good T | 100 := fun _ => True.
Instance good_state : Good State := held.
Instance good_pair {A B : Type} `{Good A} `{Good B} : Good (A * B) := fun p => good (fst p) /\ good (snd p).
Instance good_progress : Good Progress := fun p => good (state_of p).
Instance good_outcome : Good Outcome := fun o => match o with Returns _ st | Stops st | Continues st => good st end.
Instance good_loop {A B : Type} `{Good A} `{Good B} : Good (Turn_of_loop A B) := fun t => match t with Again a => good a | Finished b => good b end.
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
  end.
Ltac open_up x ok := destruct x; open_hypotheses.
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
      (cut (good s); [generalize s; intros ? ok; refine (held_objects _ _ _ ok); reflexivity |])
  | |- good (?f ?s) => apply (keeps (f := f) s)
  | |- Keeps _ => intros ? ?; cbv beta
  end.
Ltac keep := repeat keep_step.
Ltac keeping f := intros ? ?; unfold f; keep.
Hint Extern 0 (Keeps (fun _ => _)) => (intros ? ?; cbv beta; solve [keep]) : typeclass_instances.
Instance keeps_fold {A : Type} (f : State -> A -> State) (l : list A) : (forall a, Keeps (fun st => f st a)) -> Keeps (fold_left f l).
Proof. intros each. induction l as [|a rest IH]; intros st ok; [exact ok|]. apply IH. exact (each a st ok). Qed.
Lemma good_repeat {A B : Type} `{Good A} `{Good B} n (f : A -> Turn_of_loop A B) (a : A) :
  (forall a, good a -> good (f a)) -> good a -> good (repeat_after n f a).
Proof. intros each. exact (repeat_keeps f good good each n a). Qed.

(** ** Objects *)
Instance keeps_emit x : Keeps (emit x). Proof. intros st ok. exact (held_objects st (emit x st) eq_refl ok). Qed.
Ltac change_object f o :=
  let st := fresh "st" in let ok := fresh "ok" in let found := fresh "found" in
  intros st ok; unfold f; destruct (objects st !! o) as [[]|] eqn:found; try exact (keeps_emit Stuck st ok); refine (held_put o _ _ st found _ ok).
Instance keeps_change_thread o f : Calm f -> Keeps (change_thread o f). Proof. intros row. change_object change_thread o. apply row. Qed.
Instance keeps_change_endpoint o f : Keeps (change_endpoint o f). Proof. change_object change_endpoint o. intros _. exact I. Qed.
Instance keeps_change_notification o f : Keeps (change_notification o f). Proof. change_object change_notification o. intros _. exact I. Qed.
Instance keeps_put_reply o r : Keeps (put_reply o r). Proof. change_object put_reply o. intros _. exact I. Qed.
Instance keeps_change_context o f : Keeps (change_context o f). Proof. change_object change_context o. intros _. exact I. Qed.
Instance keeps_change_pool o f : Keeps (change_pool o f). Proof. change_object change_pool o. intros _. exact I. Qed.

(** ** Time *)
Instance keeps_unplace t : Keeps (unplace t). Proof. keeping unplace. Qed.
Instance keeps_place_by i t : Keeps (place_by i t). Proof. keeping place_by. Qed.
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
Instance keeps_end_yield_by report t : (forall c, Keeps (report c)) -> Keeps (end_yield_by report t). Proof. intros each. keeping end_yield_by. Qed.
Instance keeps_end_yield t : Keeps (end_yield t). Proof. keeping end_yield. Qed.
Instance keeps_forget_yield t : Keeps (forget_yield t). Proof. keeping forget_yield. Qed.

(** ** Slots: objects stay *)
Instance keeps_change_capability slot c : Keeps (change_capability slot c).
Proof.
  intros st. apply held_but_slots. unfold change_capability.
  destruct (slots st !! slot); [destruct (_ && _)|]; [apply replace_capability_same | apply emit_same | apply emit_same].
Qed.
Instance keeps_make_zombie slot : Keeps (make_zombie slot).
Proof.
  intros st. apply held_but_slots. unfold make_zombie.
  destruct (slots st !! slot); [destruct (container_of _ st)|]; [apply replace_capability_same | apply emit_same | apply emit_same].
Qed.
Instance keeps_move from to : Keeps (move_capability from to). Proof. intros st. apply held_but_slots, move_capability_same. Qed.
Instance keeps_remove_capability slot : Keeps (remove_capability slot). Proof. intros st. apply held_but_slots, remove_capability_same. Qed.
Instance keeps_insert_child slot u o c : Keeps (insert_child slot u o c). Proof. intros st. apply held_but_slots, insert_child_same. Qed.
Instance keeps_insert_sibling slot s o c : Keeps (insert_sibling slot s o c). Proof. intros st. apply held_but_slots, insert_sibling_same. Qed.
Instance keeps_exchange a b : Keeps (exchange_capabilities a b). Proof. keeping exchange_capabilities. Qed.
Definition comes_bare (x : option Object) : Prop := forall o y, x = Some y -> okay o y.
Lemma keeps_carve u at_ size x slot c : comes_bare x -> Keeps (carve u at_ size x slot c).
Proof.
  intros bare st ok. destruct (carve_cases u at_ size x slot c st) as [->|cut]; [exact (keeps_emit Stuck st ok)|].
  destruct cut as (e & base & bits & device & used & _ & _ & _ & _ & _ & _ & _ & _ & objs). intros o y. rewrite objs. destruct x as [x|]; [|apply ok].
  rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|apply ok]. intros same. injection same as <-. exact (bare at_ x eq_refl).
Qed.
Instance keeps_carve_nothing u at_ size slot c : Keeps (carve u at_ size None slot c). Proof. apply keeps_carve. intros o y. discriminate. Qed.
Instance keeps_insert_derived slot s o c : Keeps (insert_derived slot s o c). Proof. keeping insert_derived. Qed.
Instance keeps_write_memory a v : Keeps (write_memory a v). Proof. keeping write_memory. Qed.

(** ** Messages *)
Instance keeps_transfer position l through from to free : Keeps (transfer position l through from to free).
Proof. revert position free. induction l as [|address rest IH]; intros position free st ok; simpl; keep. Qed.
Instance keeps_write_words a l : Keeps (write_words a l).
Proof. revert a. induction l as [|v rest IH]; intros a st ok; simpl; keep. Qed.
Instance keeps_write_long_words t l : Keeps (write_long_words t l). Proof. keeping write_long_words. Qed.
Instance keeps_deliver m through badge caps from to : Keeps (deliver m through badge caps from to). Proof. keeping deliver. Qed.
Instance keeps_break_stack r : Keeps (break_stack r). Proof. keeping break_stack. Qed.
Instance keeps_return_context r t : Keeps (return_context r t). Proof. keeping return_context. Qed.
Instance keeps_set_empty_result t : Keeps (set_empty_result t). Proof. keeping set_empty_result. Qed.
Instance keeps_set_error_result x t : Keeps (set_error_result x t). Proof. keeping set_error_result. Qed.
Instance keeps_end_call_of t h : Keeps (end_call_of t h). Proof. keeping end_call_of. Qed.
Instance calm_without_reply : Calm (fun x => match run_state x with
  | BlockedOnReceive p _ requires may_grant => with_state (BlockedOnReceive p None requires may_grant) x | _ => x end).
Proof.
  intros o x ok. destruct (run_state x) eqn:state; try exact ok. destruct ok as (waits_ & _). split; [unfold waits_as | intros r; discriminate].
  intros c [same|[]]. destruct (waits_ c) as [by_|(sends_ & _)]; [rewrite state; left; exact same | left; exact by_ | rewrite state in sends_; discriminate].
Qed.
Instance keeps_free_reply r : Keeps (free_reply r). Proof. keeping free_reply. Qed.
Instance keeps_stop_waiting t : Keeps (stop_waiting t). Proof. keeping stop_waiting. Qed.
Instance keeps_suspend t : Keeps (suspend t). Proof. keeping suspend. Qed.
Instance keeps_make_inactive t : Keeps (make_inactive t). Proof. keeping make_inactive. Qed.
Instance keeps_restart t : Keeps (restart t). Proof. keeping restart. Qed.
Instance keeps_end_unanswered t : Keeps (end_unanswered t). Proof. keeping end_unanswered. Qed.
Instance keeps_return_lent_context t n : Keeps (return_lent_context t n). Proof. keeping return_lent_context. Qed.
Instance keeps_lend_context t n : Keeps (lend_context t n). Proof. keeping lend_context. Qed.
Instance keeps_refuse_sender t : Keeps (refuse_sender t). Proof. keeping refuse_sender. Qed.
Instance keeps_refuse_first e r : Keeps (refuse_first e r). Proof. keeping refuse_first. Qed.
Instance keeps_take_flags t n : Keeps (take_flags t n). Proof. keeping take_flags. Qed.
Instance keeps_hand_flags_to t n : Keeps (hand_flags_to t n). Proof. keeping hand_flags_to. Qed.
Instance keeps_signal n b : Keeps (signal n b). Proof. keeping signal. Qed.
Instance keeps_wake_sleepers : Keeps wake_sleepers. Proof. keeping wake_sleepers. Qed.
Instance keeps_change_interrupt i f : Keeps (change_interrupt i f). Proof. keeping change_interrupt. Qed.
Instance keeps_set_mask i m : Keeps (set_mask i m). Proof. keeping set_mask. Qed.
Instance keeps_interrupt i : Keeps (interrupt i). Proof. keeping interrupt. Qed.

(** ** Work in units *)
Instance keeps_allow n : Keeps (allow n). Proof. keeping allow. Qed.
Instance keeps_in_units {A : Type} remains (work : A -> State -> A * State) (a : A) : (forall a, Keeps (work a)) -> Keeps (in_units remains work a).
Proof.
  intros each st ok. unfold in_units.
  assert (good (repeat_after (allowance st) (unit_turn remains work) (a, allowance st, st))) as result.
  { apply good_repeat; [|exact (conj (conj I I) ok)]. intros ((a' & units) & st') (_ & ok'). unfold unit_turn. keep. }
  destruct (repeat_after _ _ _) as [((? & ?) & st')|q]; [exact (proj2 result) | exact result].
Qed.
Instance keeps_refuse_waiting e r : Keeps (refuse_waiting e r).
Proof.
  pose proof (keeps_in_units (fun _ st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) tt
    (fun _ st ok => conj I (keeps_refuse_first e r st ok))). keeping refuse_waiting.
Qed.
Instance keeps_refuse_early t w f : Keeps (refuse_early t w f). Proof. keeping refuse_early. Qed.

(** ** Spaces *)
Class Unmaps (f : Table PageEntry -> Table PageEntry) : Prop := unmaps : forall x i e, f x !! i = Some e -> x !! i = Some e.
Instance unmapped_entry i : Unmaps (remove i). Proof. intros x j e. rewrite find_remove. destruct (j =? i); [discriminate | exact id]. Qed.
Instance emptied_table : Unmaps (fun _ => empty). Proof. intros x j e. rewrite find_empty. discriminate. Qed.
Instance keeps_change_table o f : Unmaps f -> Keeps (change_table o f).
Proof. intros fewer. change_object change_table o; intros before i e there; exact (before i e (fewer _ i e there)). Qed.
Instance keeps_clear_page_entry t i : Keeps (clear_page_entry t i). Proof. keeping clear_page_entry. Qed.
Instance keeps_unmap q level one x : Keeps (unmap q level one x). Proof. keeping unmap. Qed.
Instance keeps_unmap_frame b n q : Keeps (unmap_frame b n q). Proof. keeping unmap_frame. Qed.
Instance keeps_unmap_table t q : Keeps (unmap_table t q). Proof. keeping unmap_table. Qed.
Instance keeps_release_asid v a : Keeps (release_asid v a). Proof. keeping release_asid. Qed.
Instance keeps_release_pool q : Keeps (release_pool q). Proof. keeping release_pool. Qed.

(** ** Deletion *)
Instance keeps_remove_object o : Keeps (remove_object o).
Proof.
  intros st ok q x. change (objects (remove_object o st)) with (remove o (objects st)). rewrite find_remove.
  destruct (q =? o); [discriminate | apply ok].
Qed.
Instance keeps_discard slot : Keeps (discard slot). Proof. keeping discard. Qed.
Instance keeps_unbind_notification t n : Keeps (unbind_notification t n). Proof. keeping unbind_notification. Qed.
Instance keeps_unbind_thread c : Keeps (unbind_thread_of_context c). Proof. keeping unbind_thread_of_context. Qed.
Instance keeps_unbind_of_context c : Keeps (unbind_notification_of_context c). Proof. keeping unbind_notification_of_context. Qed.
Instance keeps_end_thread t : Keeps (end_thread t). Proof. keeping end_thread. Qed.
Instance keeps_end_notification n : Keeps (end_notification n). Proof. keeping end_notification. Qed.
Instance keeps_end_context c : Keeps (end_context c). Proof. keeping end_context. Qed.
Instance keeps_end_interrupt i : Keeps (end_interrupt i). Proof. keeping end_interrupt. Qed.
Instance keeps_let_go c : Keeps (let_go c). Proof. keeping let_go. Qed.
Instance keeps_become_zombie s c : Keeps (become_zombie s c). Proof. keeping become_zombie. Qed.
Instance keeps_rotate_zombies a s i : Keeps (rotate_zombies a s i). Proof. keeping rotate_zombies. Qed.
Instance keeps_meet_inner a s o i : Keeps (meet_inner a s o i). Proof. keeping meet_inner. Qed.
Instance keeps_delete_plain s c : Keeps (delete_plain s c). Proof. keeping delete_plain. Qed.
Instance keeps_delete_one s c : Keeps (delete_one s c). Proof. keeping delete_one. Qed.
Instance keeps_to_first_slot a f : Keeps (to_first_slot a f). Proof. keeping to_first_slot. Qed.
Instance keeps_empty_zombie a o : Keeps (empty_zombie a o). Proof. keeping empty_zombie. Qed.
Instance keeps_delete_unit a : Keeps (delete_unit a). Proof. keeping delete_unit. Qed.
Instance keeps_delete slot : Keeps (delete slot). Proof. exact (keeps_in_units is_occupied delete_unit slot (fun a => keeps_delete_unit a)). Qed.
Instance keeps_revoke slot : Keeps (revoke slot).
Proof. apply keeps_in_units. intros anchor st. exact (keeps_delete_unit (next_deletion slot anchor st) st). Qed.
Instance keeps_insert_copy slot s c : Keeps (insert_copy slot s c). Proof. keeping insert_copy. Qed.
Instance keeps_replace_slot slot by_ : Keeps (replace_slot slot by_). Proof. keeping replace_slot. Qed.
Instance keeps_cancel_unit q b u : Keeps (cancel_unit q b u). Proof. keeping cancel_unit. Qed.
Instance keeps_cancel_badged_sends q b : Keeps (cancel_badged_sends q b).
Proof. pose proof (keeps_in_units (has_sender_with_badge q b) (cancel_unit q b) tt (fun u => keeps_cancel_unit q b u)). keeping cancel_badged_sends. Qed.

(** ** Methods *)
Instance keeps_set_word_argument i v t : Keeps (set_word_argument i v t). Proof. keeping set_word_argument. Qed.
Lemma new_object_is_bare type n : comes_bare (new_object type n).
Proof.
  intros o x made. destruct type; try discriminate made; injection made as <-; try exact I; try (intros i e; rewrite find_empty; discriminate).
  apply calm_idle. reflexivity.
Qed.
Instance keeps_make_object type at_ n d slot u : Keeps (make_object type at_ n d slot u).
Proof.
  intros st ok. unfold make_object. cbv zeta. apply keeps_carve; [apply new_object_is_bare|].
  destruct (needs_memory type || (is_frame type && negb d)); [exact (keeps_emit _ st ok) | exact ok].
Qed.
Instance keeps_make_objects count type at_ n d slot offset u t : Keeps (make_objects count type at_ n d slot offset u t).
Proof.
  revert at_ slot offset. induction count as [|rest IH]; intros at_ slot offset st ok; cbn [make_objects]; [exact ok|]. destruct (must_stop st); [keep|].
  cbv zeta. apply IH. keep.
Qed.
Instance keeps_carve_pool u at_ size q slot c : Keeps (carve u at_ size (Some (ASIDPoolObject q)) slot c).
Proof. apply keeps_carve. intros o y same. injection same as <-. exact I. Qed.
Instance keeps_suspend_if b t : Keeps (suspend_if b t). Proof. keeping suspend_if. Qed.
Instance keeps_resume t : Keeps (resume t). Proof. keeping resume. Qed.
Instance keeps_resume_if b t : Keeps (resume_if b t). Proof. keeping resume_if. Qed.
Instance keeps_stop_for_writing t : Keeps (stop_for_writing t). Proof. keeping stop_for_writing. Qed.
Instance keeps_copy_registers l from to : Keeps (copy_registers l from to). Proof. keeping copy_registers. Qed.
Instance keeps_replace_in t slot by_ : Keeps (replace_in t slot by_). Proof. keeping replace_in. Qed.
Instance keeps_set_buffer t a f : Keeps (set_buffer t a f). Proof. keeping set_buffer. Qed.
Instance keeps_set_priority t q : Keeps (set_priority t q). Proof. keeping set_priority. Qed.
Instance keeps_bind_context c t : Keeps (bind_context c t). Proof. keeping bind_context. Qed.
Instance keeps_change_flags t c s : Keeps (change_flags t c s). Proof. keeping change_flags. Qed.
Instance keeps_maintain t piece first end_ : (forall x, Keeps (piece x)) -> Keeps (maintain t piece first end_).
Proof. intros each st ok. unfold maintain. keep. Qed.
Instance keeps_piece_of_space op v end_ x : Keeps (piece_of_space op v end_ x). Proof. keeping piece_of_space. Qed.
Instance keeps_frame_maintain op a b call : Keeps (frame_maintain op a b call). Proof. keeping frame_maintain. Qed.
Instance keeps_vspace_maintain op a b call : Keeps (vspace_maintain op a b call). Proof. keeping vspace_maintain. Qed.
Instance keeps_deactivate i : Keeps (deactivate i). Proof. keeping deactivate. Qed.
Instance keeps_derive_into a b c d x r m o call : Keeps (derive_into a b c d x r m o call). Proof. keeping derive_into. Qed.
Instance keeps_move_into a b c d r m call : Keeps (move_into a b c d r m call). Proof. keeping move_into. Qed.
Ltac head f := lazymatch f with ?g _ => head g | _ => f end.
Definition is_mapping (m : Method.t) : bool := match m with Method.PageTableMap | Method.FrameMap => true | _ => false end.
Lemma decode_good m call st : is_mapping m = false -> good st -> good (decode_method m call st).
Proof.
  intros other ok. destruct m; try discriminate other; unfold decode_method; match goal with |- good (?f ?s) => let h := head f in unfold h; keep end.
Qed.

(** ** Other steps of a system call *)
Instance keeps_put_result t e l : Keeps (put_result t e l). Proof. keeping put_result. Qed.
Instance keeps_go_back t : Keeps (go_back t). Proof. keeping go_back. Qed.
Instance keeps_becomes n t : Keeps (becomes n t). Proof. keeping becomes. Qed.
Instance keeps_yield t : Keeps (yield t). Proof. keeping yield. Qed.
Instance keeps_save_registers l : Keeps (save_registers l). Proof. keeping save_registers. Qed.
End Held.
