(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The claims about integrity say something

    When the root task has stopped itself nothing is reached from where the next step begins, so all that it has stays: computed, and by the claims.
    Steps that change it all the same are refuted. *)
From Coq Require Import Lia.
From Spec Require Import IntegrityProofs FieldProofs PolicyWitness Witness.
Open Scope N_scope.

Definition stop_itself : Event := call_event (Method.label Method.TCBSuspend) 1 [].
Definition at_rest : State := after [stop_itself].
Example nobody_runs : (snd (fst (step (boot small_plan) stop_itself)), current at_rest, current_context at_rest) = (Succeeds, None, None).
Proof. vm_compute. reflexivity. Qed.

(** Only the place that capabilities change places through is reached then, and nothing is in it. *)
Definition only_nowhere (x : Thing) : Prop := x = ASlot nowhere.
Lemma nowhere_leads_on st : slots st !! nowhere = None -> objects st !! (nowhere - 128) = None -> closed_under st only_nowhere.
Proof.
  intros no_slot no_thread x y leads is_nowhere. unfold only_nowhere in is_nowhere. subst x.
  inversion leads as [slot c z there op|slot child listed| | | | | |t x z there listed| | | |]; subst.
  - unfold capability_at in there. rewrite no_slot in there. discriminate.
  - unfold children_of in listed. rewrite no_slot in listed. destruct listed.
  - assert (t = nowhere - 128) as -> by (match goal with H : slot_of t timeout_slot = nowhere |- _ => revert H end;
      change (slot_of t timeout_slot) with (t + 32 * 4); change nowhere with 0x200000000000000; lia).
    rewrite no_thread in there. discriminate.
Qed.
Lemma idle_begins (one_step : Stepping) st : current st = None -> current_context st = None -> current (next_of one_step st time_passes) = None ->
  begins_within one_step only_nowhere st time_passes.
Proof.
  intros no_thread no_context no_next. split; [|intros t is_next; congruence].
  intros x [t y is_cur _|c uses|irq arrives|]; [congruence | congruence | discriminate arrives | reflexivity].
Qed.
Lemma rest_has_no_channel st : slots st !! nowhere = None -> objects st !! (nowhere - 128) = None -> has_no_channel root_policy root only_nowhere st.
Proof.
  intros no_slot no_thread. split; [exact (nowhere_leads_on st no_slot no_thread)|]. intros x whose. split; [discriminate|].
  intros same. injection same as ->. rewrite nowhere_is_nobodys in whose. discriminate.
Qed.
Lemma rest_runs (one_step : Stepping) st : current st = None -> current_context st = None -> current (next_of one_step st time_passes) = None ->
  runs_within one_step only_nowhere st (next_of one_step st time_passes).
Proof. intros no_thread no_context no_next. apply and_then_one; [apply not_yet | exact (idle_begins one_step st no_thread no_context no_next)]. Qed.
Example the_root_task_keeps_its_thread : objects (next_of step at_rest time_passes) !! 0x1000 = objects at_rest !! 0x1000.
Proof.
  refine (proj1 (proj2 (run_noninterfered_proved small_plan root_policy root only_nowhere at_rest _ small_roots_are_apart (reached_after _) _ _) 0x1000 _)).
  - apply rest_has_no_channel; vm_compute; reflexivity.
  - apply rest_runs; vm_compute; reflexivity.
  - vm_compute. reflexivity.
Qed.
Example it_has_one : is_some (objects at_rest !! 0x1000) = true.
Proof. vm_compute. reflexivity. Qed.

(** A step that promotes somebody else's thread each time. *)
Definition promote : State -> State := change_thread 0x1000 (fun t => t <| priority := priority t + 1 |>).
Definition wrong_rest : State := mistaken promote stop_itself.
Lemma promotion_shows : objects (next_of (with_mistake promote) wrong_rest time_passes) !! 0x1000 <> objects wrong_rest !! 0x1000.
Proof.
  intros same. assert (priority (thread 0x1000 (next_of (with_mistake promote) wrong_rest time_passes)) = priority (thread 0x1000 wrong_rest)) as less
    by (unfold thread; rewrite same; reflexivity).
  vm_compute in less. discriminate less.
Qed.
Lemma wrong_rest_begins : begins_within (with_mistake promote) only_nowhere wrong_rest time_passes.
Proof. apply idle_begins; vm_compute; reflexivity. Qed.
Lemma wrong_rest_leads_on : closed_under wrong_rest only_nowhere.
Proof. apply nowhere_leads_on; vm_compute; reflexivity. Qed.
Example promotion_is_refuted : ~ steps_stay_within (with_mistake promote).
Proof.
  intros claim.
  destruct (claim small_plan only_nowhere wrong_rest time_passes small_roots_are_apart (mistaken_reached promote stop_itself)) as (_ & [same _ _ _]).
  - exact wrong_rest_leads_on.
  - exact wrong_rest_begins.
  - exact (promotion_shows (same 0x1000 ltac:(discriminate))).
Qed.
Example unreached_promotion_is_refuted : ~ changes_are_reached (with_mistake promote).
Proof.
  intros claim. destruct (claim small_plan wrong_rest time_passes small_roots_are_apart (mistaken_reached promote stop_itself)) as [same _ _ _].
  refine (promotion_shows (same 0x1000 _)). intros reached.
  assert (forall x, touchable (with_mistake promote) wrong_rest time_passes x -> only_nowhere x) as only_.
  { induction 1 as [x starts|t is_next|x y _ IH leads]; [exact (proj1 wrong_rest_begins x starts) | exact (proj2 wrong_rest_begins t is_next)|].
    exact (wrong_rest_leads_on x y leads IH). }
  specialize (only_ _ reached). discriminate only_.
Qed.
Example interference_is_refuted : ~ run_noninterfered (with_mistake promote).
Proof.
  intros claim. destruct (claim small_plan root_policy root only_nowhere wrong_rest (next_of (with_mistake promote) wrong_rest time_passes)
    small_roots_are_apart (mistaken_reached promote stop_itself)) as (_ & same).
  - apply rest_has_no_channel; vm_compute; reflexivity.
  - apply rest_runs; vm_compute; reflexivity.
  - exact (promotion_shows (proj1 (same 0x1000 (root_owns 0x1000 eq_refl)))).
Qed.

(** ** By which rule, which fields

    A Yield is no invocation: it charges the context of its thread, and no rule by which it changes anything reaches a priority. *)
Definition yields_time : Event := {|
  cause := SystemCall; time := 9; saved := [(7, Syscall.number Syscall.Yield); (pc, 0x104)]; readable := []; preempt_after := None; chosen := nothing_chosen |}.
Example a_yield_has_few_rules : rules_of (boot small_plan) yields_time = [ByBudget; BySchedule; BySending; ByFault; ByDonation].
Proof. vm_compute. reflexivity. Qed.
Lemma a_yield_is_no_invocation : incl (rules_of (boot small_plan) yields_time) message_rules.
Proof. rewrite a_yield_has_few_rules. intros r. simpl. tauto. Qed.
Example its_context_is_charged :
  (consumed (context 0x5000 (boot small_plan)), consumed (context 0x5000 (next_of step (boot small_plan) yields_time))) = (0, 9).
Proof. vm_compute. reflexivity. Qed.
Example all_else_of_it_stays : steady (objects (boot small_plan) !! 0x5000) (objects (next_of step (boot small_plan) yields_time) !! 0x5000).
Proof. exact (only_invocations_control_proved _ _ _ a_yield_is_no_invocation). Qed.

(** An invocation has the rules of its method, and its capability can be named. Suspend ends no object and changes no priority; to set one does. *)
Example an_invocation_stops :
  rules_of (boot small_plan) stop_itself = [ByBudget; BySchedule; BySending; ByFault; ByDonation] ++ rules_of_method Method.TCBSuspend.
Proof. vm_compute. reflexivity. Qed.
Definition gets_a_priority : Event := call_passing (InitSlot.number InitSlot.TCB) (Method.label Method.TCBSetPriority) 1 [7].
Example an_invocation_controls :
  (rules_of (boot small_plan) gets_a_priority, priority (thread 0x1000 (next_of step (boot small_plan) gets_a_priority)))
  = ([ByBudget; BySchedule; BySending; ByFault; ByDonation; ByControl], 7).
Proof. vm_compute. reflexivity. Qed.
Example its_thread_is_named : caller_names (boot small_plan) (TCBCap 0x1000).
Proof.
  apply (proj2 (proj2 (fields_change_by_rule_proved (boot small_plan) stop_itself)) 0x1000 Syscall.Call _ (Some Method.TCBSuspend)); vm_compute; reflexivity.
Qed.

(** Who promotes somebody at each step changes a field that no rule does. *)
Lemma steady_priority o a b : steady (objects a !! o) (objects b !! o) -> priority (thread o b) = priority (thread o a).
Proof.
  unfold thread. destruct (objects a !! o) as [[]|], (objects b !! o) as [[]|]; cbn [steady]; try contradiction; try discriminate; try reflexivity.
  intros ->. reflexivity.
Qed.
Lemma promotion_is_unsteady :
  ~ steady (objects (boot small_plan) !! 0x1000) (objects (next_of (with_mistake promote) (boot small_plan) yields_time) !! 0x1000).
Proof. intros same. apply steady_priority in same. vm_compute in same. discriminate same. Qed.
Example promotion_by_no_rule_is_refuted : ~ fields_change_by_rule (with_mistake promote).
Proof.
  intros claim. apply promotion_is_unsteady. exact (by_rules_steady _ _ _ _ _ _ (proj1 (claim (boot small_plan) yields_time) 0x1000) a_yield_is_no_invocation).
Qed.
Example promotion_by_suspending_is_refuted : ~ fields_change_by_rule (with_mistake promote).
Proof.
  intros claim. assert (incl (rules_of (boot small_plan) stop_itself) message_rules) as few by (rewrite an_invocation_stops; intros r; simpl; tauto).
  pose proof (by_rules_steady _ _ _ _ _ _ (proj1 (claim (boot small_plan) stop_itself) 0x1000) few) as same. apply steady_priority in same.
  vm_compute in same. discriminate same.
Qed.
Example promotion_without_invocation_is_refuted : ~ only_invocations_control (with_mistake promote).
Proof. intros claim. exact (promotion_is_unsteady (claim (boot small_plan) yields_time 0x1000 a_yield_is_no_invocation)). Qed.

(** Who makes an object takes no capability from any slot; a step that takes one all the same is refuted. *)
Lemma a_retype_arranges_nothing : ~ In ByArrangement (rules_of (boot small_plan) retype_endpoint).
Proof.
  assert (rules_of (boot small_plan) retype_endpoint = [ByBudget; BySchedule; BySending; ByFault; ByDonation; ByCreation; ByMaking]) as -> by
    (vm_compute; reflexivity).
  simpl. intuition discriminate.
Qed.
Example the_untyped_lives_on_after_a_retype :
  lives_on (slots (boot small_plan) !! slot_of 0x2000 18) (slots (next_of step (boot small_plan) retype_endpoint) !! slot_of 0x2000 18)
  /\ capability_at (slot_of 0x2000 40) (next_of step (boot small_plan) retype_endpoint) = Some (EndpointCap 0x10000 0 all_rights).
Proof. split; [exact (only_arrangements_take_proved _ _ _ a_retype_arranges_nothing) | vm_compute; reflexivity]. Qed.
Example taking_is_refuted : ~ only_arrangements_take (with_mistake remove_untyped).
Proof.
  intros claim. pose proof (claim (boot small_plan) retype_endpoint (slot_of 0x2000 18) a_retype_arranges_nothing) as stays_.
  vm_compute in stays_. exact stays_.
Qed.

(** A frame is cleared, also when it is made in the first phase of a system call of two; a step that tells of no memory that it clears is refuted. *)
Definition frame_in_slot_40 : list N := [ObjectType.number ObjectType.SmallPage; 0; 0; 0; 40; 1].
Definition retype_frame : Event := call_event (Method.label Method.UntypedRetype) 18 frame_in_slot_40.
Definition retype_frame_and_wait : Event := {|
  cause := SystemCall; time := 9; readable := [(0x6000 + ipc_buffer_caps_or_badges, InitSlot.number InitSlot.CNode)]; preempt_after := None;
  saved := words_of_call (Method.label Method.UntypedRetype) 41 frame_in_slot_40 1 ++ [(7, Syscall.number Syscall.NBSendWait); (8, 18)];
  chosen := nothing_chosen |}.
Example frames_are_made : map (fun e => let '(next, _, done) := step (boot small_plan) e in (capability_at (slot_of 0x2000 40) next, done))
    [retype_frame; retype_frame_and_wait]
  = [(Some (FrameCap 0x10000 12 false memory_rights None), [ClearMemory 0x10000 4096 true]);
     (Some (FrameCap 0x10000 12 false memory_rights None), [ClearMemory 0x10000 4096 true])].
Proof. vm_compute. reflexivity. Qed.
Definition is_clearing (x : Effect) : bool := match x with ClearMemory _ _ _ => true | _ => false end.
Definition silent_step : Stepping := fun st e => let '(next, result, done) := step st e in (next, result, filter (fun x => negb (is_clearing x)) done).
Example silent_step_is_refuted : ~ made_frames_are_cleared silent_step.
Proof.
  intros claim. destruct (step (boot small_plan) retype_frame) as ((next & result) & done) eqn:stepped.
  destruct (claim small_plan (boot small_plan) retype_frame next result (filter (fun x => negb (is_clearing x)) done) 0x1000 Syscall.Call
    (UntypedCap 0x10000 16 false 0) Method.UntypedRetype (slot_of 0x2000 40) 0x10000 12 memory_rights None small_roots_are_sound (at_boot _ _))
    as [told|(slot & r & p & before & [->|then_])].
  - unfold silent_step. rewrite stepped. reflexivity.
  - reflexivity.
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - left. reflexivity.
  - replace next with (fst (fst (step (boot small_plan) retype_frame))) by (rewrite stepped; reflexivity). vm_compute. reflexivity.
  - apply filter_In in told. destruct told as (_ & no). discriminate no.
  - vm_compute in before. discriminate before.
  - discriminate then_.
Qed.
