(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Preempted work goes on where it was

    Work in units does not look at the number of units that are left of the step: so what some units do and then some more do, all of them do at once. The
    proofs follow the text of the specification, as those of [StepProofs] do: two states that differ in that number are changed alike. *)
From Coq Require Import Lia.
From Spec Require Export LoopProofs.
Open Scope N_scope.

(** ** States that differ in how many units are left *)
Section Left.
Variable left_ : N.
Class Beside (T : Type) : Type := beside : T -> T -> Prop.
Instance beside_any (T : Type) : Beside T | 100 := fun a b => b = a.
Instance beside_state : Beside State := fun a b => b = allow left_ a.
Instance beside_pair {A B : Type} `{Beside A} `{Beside B} : Beside (A * B) := fun a b => beside (fst a) (fst b) /\ beside (snd a) (snd b).
Class Alike {T : Type} `{Beside T} (f : State -> T) : Prop := alike : forall st, beside (f st) (f (allow left_ st)).
Lemma alike_at {T : Type} `{Beside T} (f : State -> T) {same : Alike f} a b : b = allow left_ a -> beside (f a) (f b).
Proof. intros ->. apply same. Qed.
Lemma alike_beside {T : Type} `{Beside T} (f : State -> T) {same : Alike f} a b : beside a b -> beside (f a) (f b).
Proof. apply alike_at. assumption. Qed.
Lemma beside_both {A B : Type} `{Beside A} `{Beside B} (a c : A) (b d : B) : beside a c -> beside b d -> beside (a, b) (c, d).
Proof. split; assumption. Qed.

#[local] Hint Constants Opaque : typeclass_instances.
Ltac state_like T := lazymatch T with State => idtac | (_ * ?B)%type => state_like B end.
Lemma alike_state (f : State -> State) {same : Alike f} st : f (allow left_ st) = allow left_ (f st).
Proof. exact (same st). Qed.
Lemma alike_read {T : Type} (f : State -> T) {same : @Alike T (beside_any T) f} a b : b = allow left_ a -> f b = f a.
Proof. intros ->. exact (same a). Qed.
Ltac beside_inside :=
  match goal with |- beside ?a ?b =>
    match b with context [?g (allow left_ ?s)] =>
      match a with context [?h s] =>
        lazymatch type of (h s) with State => idtac end;
        change (g (allow left_ s)) with (h (allow left_ s)); rewrite (alike_state h s); generalize (h s); intros ?
      end
    end
  end.
Ltac alike_step :=
  lazymatch goal with
  | |- beside (_, _) (_, _) => apply beside_both
  | |- @beside _ (beside_any _) ?a ?b => reflexivity
  | |- beside ?a (allow left_ ?a) => reflexivity
  | |- beside (let x := ?v in @?b x) (let y := ?w in @?c y) =>
      tryif (let T := type of v in state_like T)
      then (let same := fresh "same" in
            assert (same : beside v w);
              [|change (beside (b v) (c w)); revert same; generalize w; generalize v; intros ? ? same; cbv beta;
                unfold beside, beside_state in same; subst])
      else (change (beside (b v) (c w)); cbv beta)
  | |- beside (match ?s with _ => _ end) (match ?s' with _ => _ end) =>
      tryif (let T := type of s in state_like T)
      then (let same := fresh "same" in assert (same : beside s s');
              [|revert same; generalize s'; generalize s; let also := fresh "also" in intros (? & ?) (? & ?) (same & also);
                 unfold beside, beside_any, beside_state in same, also; cbn [fst snd] in same, also; subst])
      else first [ change s' with s; destruct s
                 | lazymatch s with ?f ?x => lazymatch s' with _ ?y => rewrite (alike_read f x y eq_refl : s' = s); destruct s end end
                 | beside_inside ]
  | |- beside (set_field _ _ ?s) (set_field _ _ ?s') =>
      first [ reflexivity
            | let same := fresh "same" in
              assert (same : beside s s');
                [|revert same; generalize s'; generalize s; intros ? ? same; unfold beside, beside_state in same; subst; reflexivity]]
  | |- beside (?f ?s) (?g ?s') => apply (alike_beside f s s')
  end.
Ltac follow := repeat alike_step.
Ltac following f := intros st; cbv delta [f]; cbv beta; follow.
Hint Extern 0 (Alike (fun _ => _)) => (intros ?; cbv beta; solve [follow]) : typeclass_instances.

Instance alike_emit e : Alike (emit e). Proof. intros st. reflexivity. Qed.
Instance alike_fold {A : Type} (f : State -> A -> State) (l : list A) : (forall a, Alike (fun st => f st a)) -> Alike (fold_left f l).
Proof.
  intros each. induction l as [|a l IH]; intros st; [reflexivity|]. cbn [fold_left]. apply (alike_beside (fold_left f l)). exact (each a st).
Qed.
Instance alike_put_object o x : Alike (put_object o x). Proof. intros st. reflexivity. Qed.
Instance alike_change_thread o f : Alike (change_thread o f). Proof. following change_thread. Qed.
Instance alike_change_endpoint o f : Alike (change_endpoint o f). Proof. following change_endpoint. Qed.
Instance alike_change_notification o f : Alike (change_notification o f). Proof. following change_notification. Qed.
Instance alike_put_reply o r : Alike (put_reply o r). Proof. following put_reply. Qed.
Instance alike_change_context o f : Alike (change_context o f). Proof. following change_context. Qed.
Instance alike_change_table o f : Alike (change_table o f). Proof. following change_table. Qed.
Instance alike_change_pool o f : Alike (change_pool o f). Proof. following change_pool. Qed.
Instance alike_put_entry s e : Alike (put_entry s e). Proof. intros st. reflexivity. Qed.
Instance alike_change_entry s f : Alike (change_entry s f). Proof. intros st. reflexivity. Qed.
Instance alike_count_reference c : Alike (count_reference c). Proof. following count_reference. Qed.
Instance alike_discount_reference c : Alike (discount_reference c). Proof. following discount_reference. Qed.
Instance alike_change_children s f : Alike (change_children s f). Proof. following change_children. Qed.
Instance alike_remove_capability s : Alike (remove_capability s). Proof. following remove_capability. Qed.
Instance alike_move_capability a b : Alike (move_capability a b). Proof. following move_capability. Qed.
Instance alike_exchange_capabilities a b : Alike (exchange_capabilities a b). Proof. following exchange_capabilities. Qed.
Instance alike_replace_capability s e c : Alike (replace_capability s e c). Proof. following replace_capability. Qed.
Instance alike_unplace t : Alike (unplace t). Proof. intros st. reflexivity. Qed.
Class Placing_alike (usual : N -> list N -> State -> list N) : Prop := placing_alike : forall t queue st, usual t queue (allow left_ st) = usual t queue st.
Instance behind_alike : Placing_alike insert_behind. Proof. intros t queue st. reflexivity. Qed.
Instance ahead_alike : Placing_alike insert_ahead. Proof. intros t queue st. reflexivity. Qed.
Instance alike_place_by usual t {same : Placing_alike usual} : Alike (place_by usual t).
Proof.
  intros st. unfold place_by. cbv zeta.
  change (choices (unplace t (allow left_ st))) with (choices (unplace t st)).
  change (ready (unplace t (allow left_ st))) with (ready (unplace t st)). change (unplace t (allow left_ st)) with (allow left_ (unplace t st)).
  generalize (unplace t st). clear st. intros st.
  assert (Placing_alike (if is_number (ahead (choices st)) t then insert_ahead else if is_number (behind (choices st)) t then insert_behind else usual))
    as each by (destruct (is_number _ t); [exact ahead_alike | destruct (is_number _ t); [exact behind_alike | exact same]]).
  revert each. generalize (if is_number (ahead (choices st)) t then insert_ahead else if is_number (behind (choices st)) t then insert_behind else usual).
  intros insert each. follow. rewrite (each t (ready st) st). reflexivity.
Qed.
Instance alike_place t : Alike (place t). Proof. following place. Qed.
Instance alike_place_ahead t : Alike (place_ahead t). Proof. following place_ahead. Qed.
Instance alike_begin_sporadic t : Alike (begin_sporadic t). Proof. following begin_sporadic. Qed.
Instance alike_wake t : Alike (wake t). Proof. following wake. Qed.
Instance alike_wake_ahead t : Alike (wake_ahead t). Proof. following wake_ahead. Qed.
Instance alike_give_context c t : Alike (give_context c t). Proof. following give_context. Qed.
Instance alike_book : Alike book. Proof. following book. Qed.
Instance alike_place_anew t : Alike (place_anew t). Proof. following place_anew. Qed.
Instance alike_will_book : Alike will_book. Proof. intros st. reflexivity. Qed.
Instance alike_book_turn : Alike book_turn. Proof. following book_turn. Qed.
Instance alike_report_booked c : Alike (report_booked c). Proof. following report_booked. Qed.
Instance alike_report_consumed c : Alike (report_consumed c). Proof. following report_consumed. Qed.
Instance alike_end_yield_by (report : N -> State -> N * State) t : (forall c, Alike (report c)) -> Alike (end_yield_by report t).
Proof. intros each. following end_yield_by. Qed.
Instance alike_end_yield t : Alike (end_yield t). Proof. unfold end_yield. apply alike_end_yield_by. intros c. apply alike_report_consumed. Qed.
Instance alike_break_stack r : Alike (break_stack r). Proof. following break_stack. Qed.
Instance alike_return_context r t : Alike (return_context r t). Proof. following return_context. Qed.
Instance alike_set_error_result e t : Alike (set_error_result e t). Proof. following set_error_result. Qed.
Instance alike_end_call_of t b : Alike (end_call_of t b). Proof. following end_call_of. Qed.
Instance alike_free_reply r : Alike (free_reply r). Proof. following free_reply. Qed.
Instance alike_stop_waiting t : Alike (stop_waiting t). Proof. following stop_waiting. Qed.
Instance alike_suspend t : Alike (suspend t). Proof. following suspend. Qed.
Instance alike_make_inactive t : Alike (make_inactive t). Proof. following make_inactive. Qed.
Instance alike_restart t : Alike (restart t). Proof. following restart. Qed.
Instance alike_refuse_sender t : Alike (refuse_sender t). Proof. following refuse_sender. Qed.
Instance alike_refuse_first e r : Alike (refuse_first e r). Proof. following refuse_first. Qed.
Instance alike_clear_page_entry t i : Alike (clear_page_entry t i). Proof. following clear_page_entry. Qed.
Instance alike_walk n t l a : @Alike _ (beside_any _) (walk_tables n t l a).
Proof.
  intros st. change (walk_tables n t l a (allow left_ st) = walk_tables n t l a st). revert t l. induction n as [|n IH]; intros t l; [reflexivity|].
  cbn [walk_tables]. change (table_entries t (allow left_ st)) with (table_entries t st). destruct (_ !! _) as [[]|]; try reflexivity. apply IH.
Qed.
Instance alike_table_of_level v l a : @Alike _ (beside_any _) (table_of_level v l a).
Proof.
  intros st. change (table_of_level v l a (allow left_ st) = table_of_level v l a st). unfold table_of_level.
  rewrite (alike_read (walk_tables (N.to_nat l) v 0 a) st _ eq_refl). reflexivity.
Qed.
Instance alike_unmap p l o e : Alike (unmap p l o e). Proof. following unmap. Qed.
Instance alike_unmap_frame b n p : Alike (unmap_frame b n p). Proof. following unmap_frame. Qed.
Instance alike_unmap_table t p : Alike (unmap_table t p). Proof. following unmap_table. Qed.
Instance alike_release_asid v a : Alike (release_asid v a). Proof. following release_asid. Qed.
Instance alike_release_pool p : Alike (release_pool p). Proof. intros st. reflexivity. Qed.
Instance alike_remove_object o : Alike (remove_object o). Proof. intros st. reflexivity. Qed.
Instance alike_discard s : Alike (discard s). Proof. following discard. Qed.
Instance alike_unbind_notification t n : Alike (unbind_notification t n). Proof. following unbind_notification. Qed.
Instance alike_unbind_thread_of_context c : Alike (unbind_thread_of_context c). Proof. following unbind_thread_of_context. Qed.
Instance alike_unbind_notification_of_context c : Alike (unbind_notification_of_context c). Proof. following unbind_notification_of_context. Qed.
Instance alike_end_thread t : Alike (end_thread t). Proof. following end_thread. Qed.
Instance alike_end_notification n : Alike (end_notification n). Proof. following end_notification. Qed.
Instance alike_end_context c : Alike (end_context c). Proof. following end_context. Qed.
Instance alike_end_interrupt i : Alike (end_interrupt i). Proof. following end_interrupt. Qed.
Instance alike_let_go c : Alike (let_go c). Proof. following let_go. Qed.
Instance alike_make_zombie s : Alike (make_zombie s). Proof. following make_zombie. Qed.
Instance alike_become_zombie s c : Alike (become_zombie s c). Proof. following become_zombie. Qed.
Instance alike_rotate_zombies a s i : Alike (rotate_zombies a s i). Proof. following rotate_zombies. Qed.
Instance alike_meet_inner a s o i : Alike (meet_inner a s o i). Proof. following meet_inner. Qed.
Instance alike_delete_plain s c : Alike (delete_plain s c). Proof. following delete_plain. Qed.
Instance alike_delete_one s c : Alike (delete_one s c). Proof. following delete_one. Qed.
Instance alike_to_first_slot a f : Alike (to_first_slot a f). Proof. following to_first_slot. Qed.
Instance alike_empty_zombie a o : Alike (empty_zombie a o). Proof. following empty_zombie. Qed.
Instance alike_delete_unit a : Alike (delete_unit a). Proof. following delete_unit. Qed.
Instance alike_insert_child s p o c : Alike (insert_child s p o c). Proof. following insert_child. Qed.
Instance alike_put_if_some o x : Alike (put_if_some o x). Proof. intros st. destruct x; reflexivity. Qed.
Instance alike_carve u a n x s c : Alike (carve u a n x s c). Proof. following carve. Qed.
Instance alike_make_object y a n d s u : Alike (make_object y a n d s u). Proof. following make_object. Qed.
End Left.

(** ** Loops of units *)
Section Units.
Context {A : Type} (remains : A -> State -> bool) (work : A -> State -> A * State).
Hypothesis remains_alike : forall l a st, remains a (allow l st) = remains a st.
Hypothesis work_alike : forall l a st, work a (allow l st) = (fst (work a st), allow l (snd (work a st))).
Notation turn := (unit_turn remains work).
Inductive ends : A * N * State -> Progress -> Prop :=
| ends_done a units st : remains a st = false -> ends (a, units, st) (Done (allow units st))
| ends_stopped a st : remains a st = true -> ends (a, 0, st) (Preempted (allow 0 st))
| ends_later a units st p : remains a st = true -> ends (fst (work a st), units, snd (work a st)) p -> ends (a, N.succ units, st) p.
Lemma turn_cases x : match turn x with
  | Finished p => ends x p
  | Again y => forall p, ends y p -> ends x p
  end.
Proof.
  destruct x as ((a & units) & st). unfold unit_turn. destruct (remains a st) eqn:more; cbn [negb]; [|exact (ends_done a units st more)].
  destruct (N.eqb_spec units 0) as [->|some]; [exact (ends_stopped a st more)|]. destruct (work a st) as (b & after) eqn:did. intros p rest.
  replace units with (N.succ (units - 1)) by lia. apply ends_later; [exact more|]. rewrite did. exact rest.
Qed.
Lemma doubled_ends n x : match repeat_doubled n turn x with Finished p => ends x p | Again y => forall p, ends y p -> ends x p end.
Proof.
  revert x. induction n as [|n IH]; intros x; cbn [repeat_doubled]; [apply turn_cases|]. pose proof (IH x) as once.
  destruct (repeat_doubled n turn x) as [y|p]; [|exact once]. pose proof (IH y) as twice.
  destruct (repeat_doubled n turn y) as [z|p]; [intros p rest; exact (once p (twice p rest)) | exact (once p twice)].
Qed.
Lemma ends_once x p q : ends x p -> ends x q -> q = p.
Proof.
  intros one. revert q. induction one as [a units st none|a st more|a units st p more _ IH]; intros q two; inversion two; subst;
    try reflexivity; try congruence; try lia. apply IH. replace units with units0 by lia. assumption.
Qed.
Lemma units_end a st p : in_units remains work a st = p <-> ends (a, allowance st, st) p.
Proof.
  assert (ends (a, allowance st, st) (in_units remains work a st)) as ended.
  { unfold in_units, repeat_after. destruct (proj2 loops_finish_proved A remains work a st) as (q & finished). unfold repeat_after in finished.
    rewrite finished. pose proof (doubled_ends (N.to_nat (N.size (allowance st))) (a, allowance st, st)) as cases. rewrite finished in cases. exact cases. }
  split; [intros <-; exact ended | intros other; exact (ends_once _ _ _ other ended)].
Qed.
Lemma ends_beside l x p : ends x p -> ends (fst x, allow l (snd x)) p.
Proof.
  induction 1 as [a units st none|a st more|a units st p more _ IH]; cbn [fst snd] in *.
  - change (allow units st) with (allow units (allow l st)). apply ends_done. rewrite remains_alike. exact none.
  - change (allow 0 st) with (allow 0 (allow l st)). apply ends_stopped. rewrite remains_alike. exact more.
  - apply ends_later; [rewrite remains_alike; exact more|]. rewrite work_alike. exact IH.
Qed.
Lemma allow_own st : allow (allowance st) st = st. Proof. destruct st. reflexivity. Qed.
Lemma units_allowed a units st p : in_units remains work a (allow units st) = p <-> ends (a, units, st) p.
Proof.
  rewrite units_end. change (allowance (allow units st)) with units. split; intros ended; [|exact (ends_beside units _ _ ended)].
  apply (ends_beside (allowance st)) in ended. cbn [fst snd] in ended. change (allow (allowance st) (allow units st)) with (allow (allowance st) st) in ended.
  rewrite allow_own in ended. exact ended.
Qed.
Lemma worked_next units a st : worked work (N.succ units) a st = worked work units (fst (work a st)) (snd (work a st)).
Proof. unfold worked. rewrite N.iter_succ_r. cbn [fst snd]. rewrite <- surjective_pairing. reflexivity. Qed.
Lemma work_allowed a st : allowance (snd (work a st)) = allowance st.
Proof. rewrite <- (allow_own st) at 1. rewrite work_alike. reflexivity. Qed.
Lemma stopped_goes_on x stopped : ends x (Preempted stopped) -> let '(a, units, st) := x in
  (forall fewer, fewer <= units -> let (b, before) := worked work fewer a st in remains b before = true)
  /\ exists b, worked work units a st = (b, allow (allowance st) stopped)
       /\ forall more p, ends (b, more, allow (allowance st) stopped) p -> ends (a, units + more, st) p.
Proof.
  intros ended. remember (Preempted stopped) as q eqn:is_q. induction ended as [a units st none|a st more|a units st p more _ IH]; try discriminate is_q.
  - injection is_q as <-. change (allow (allowance st) (allow 0 st)) with (allow (allowance st) st). rewrite allow_own. split.
    + intros fewer none. assert (fewer = 0) as -> by lia. exact more.
    + exists a. split; [reflexivity|]. intros k p rest. exact rest.
  - destruct (IH is_q) as (each & b & did & rest). rewrite work_allowed in did, rest. split.
    + intros fewer less. destruct (N.eq_dec fewer 0) as [->|some]; [exact more|]. replace fewer with (N.succ (fewer - 1)) by lia. rewrite worked_next.
      apply each. lia.
    + exists b. rewrite worked_next. split; [exact did|]. intros k q ended. rewrite N.add_succ_l. apply ends_later; [exact more | exact (rest k q ended)].
Qed.
Lemma done_has_more x after more : ends x (Done after) -> let '(a, units, st) := x in ends (a, units + more, st) (Done (allow (allowance after + more) after)).
Proof.
  intros ended. remember (Done after) as q eqn:is_q. induction ended as [a units st none|a st busy|a units st p busy _ IH]; try discriminate is_q.
  - injection is_q as <-. exact (ends_done a (units + more) st none).
  - rewrite N.add_succ_l. apply ends_later; [exact busy | exact (IH is_q)].
Qed.
Lemma stopped_spent x after : ends x (Preempted after) -> allowance after = 0.
Proof.
  intros ended. remember (Preempted after) as q eqn:is_q. induction ended as [a units st none|a st busy|a units st p busy _ IH]; try discriminate is_q.
  - injection is_q as <-. reflexivity.
  - exact (IH is_q).
Qed.
Lemma done_none x after : ends x (Done after) -> exists a, remains a after = false.
Proof.
  intros ended. remember (Done after) as q eqn:is_q. induction ended as [a units st none|a st busy|a units st p busy _ IH]; try discriminate is_q.
  - injection is_q as <-. exists a. rewrite remains_alike. exact none.
  - exact (IH is_q).
Qed.
Lemma goes_on_alike : work_resumes remains work.
Proof.
  intros a st units stopped preempted. apply units_allowed in preempted. destruct (stopped_goes_on _ _ preempted) as (each & b & did & rest).
  split; [exact each|]. exists b. split; [exact did|]. intros more. apply units_allowed, rest.
  apply (units_allowed b more (allow (allowance st) stopped)). reflexivity.
Qed.
End Units.

(** ** The four of them *)
Lemma alike_pair {A} (work : State -> A * State) l st :
  @Alike l (A * State) (@beside_pair A State (beside_any A) (beside_state l)) work ->
  work (allow l st) = (fst (work st), allow l (snd (work st))).
Proof.
  intros same. destruct (same st) as (one & two). destruct (work st), (work (allow l st)). cbn in *. unfold beside, beside_any, beside_state in *. congruence.
Qed.
Lemma delete_unit_alike l a st : delete_unit a (allow l st) = (fst (delete_unit a st), allow l (snd (delete_unit a st))).
Proof. apply alike_pair. exact (alike_delete_unit l a). Qed.
Lemma revoke_unit_alike slot l a st : revoke_unit slot a (allow l st) = (fst (revoke_unit slot a st), allow l (snd (revoke_unit slot a st))).
Proof. unfold revoke_unit. change (next_deletion slot a (allow l st)) with (next_deletion slot a st). apply delete_unit_alike. Qed.
Lemma cancel_unit_alike e badge l a st : cancel_unit e badge a (allow l st) = (fst (cancel_unit e badge a st), allow l (snd (cancel_unit e badge a st))).
Proof.
  unfold cancel_unit. change (sender_with_badge e badge (allow l st)) with (sender_with_badge e badge st).
  destruct (sender_with_badge e badge st) as [t|]; [|reflexivity]. cbn [fst snd]. rewrite (alike_restart l t st : restart t (allow l st) = _). reflexivity.
Qed.
Lemma refuse_unit_alike e r l (a : unit) st :
  (tt, refuse_first e r (allow l st)) = (fst (tt, refuse_first e r st), allow l (snd (tt, refuse_first e r st))).
Proof. cbn [fst snd]. rewrite (alike_refuse_first l e r st : refuse_first e r (allow l st) = _). reflexivity. Qed.

(** Claim [preempted_work_goes_on]. *)
Theorem preempted_work_goes_on_proved : preempted_work_goes_on.
Proof.
  split; [|split; [|split]].
  - apply goes_on_alike; [reflexivity | apply delete_unit_alike].
  - intros slot. apply goes_on_alike; [reflexivity | apply revoke_unit_alike].
  - intros e badge. apply goes_on_alike; [reflexivity | apply cancel_unit_alike].
  - intros e r. apply goes_on_alike; [reflexivity | apply refuse_unit_alike].
Qed.

(** A revocation that looks for the next child goes on with the one that it was at. *)
Lemma revoke_from slot anchor stopped more : is_empty nowhere stopped = true ->
  is_empty anchor stopped = true \/ Some anchor = hd_error (children_of slot stopped) ->
  in_units (fun anchor st => is_occupied anchor st || has_children slot st) (revoke_unit slot) anchor (allow more stopped) = revoke slot (allow more stopped).
Proof.
  intros free which. unfold revoke. fold (revoke_unit slot).
  set (remains := fun anchor st => is_occupied anchor st || has_children slot st).
  assert (forall l a st, remains a (allow l st) = remains a st) as remains_alike by reflexivity.
  pose proof (fun l a st => revoke_unit_alike slot l a st) as work_alike.
  apply (units_allowed remains (revoke_unit slot) remains_alike work_alike).
  pose proof (proj1 (units_allowed remains (revoke_unit slot) remains_alike work_alike nowhere more stopped _) eq_refl) as ended. revert ended.
  generalize (in_units remains (revoke_unit slot) nowhere (allow more stopped)). intros p ended.
  assert (next_deletion slot anchor stopped = next_deletion slot nowhere stopped /\ remains anchor stopped = remains nowhere stopped) as (same & same_more).
  { unfold next_deletion, remains, is_occupied. rewrite free. cbn [negb orb]. destruct which as [none|first].
    - rewrite none. split; reflexivity.
    - unfold has_children. destruct (children_of slot stopped) as [|c l]; [discriminate first|]. cbn [hd_error hd] in *. injection first as ->.
      split; [destruct (negb _); reflexivity | apply orb_true_r]. }
  inversion ended as [a units st none is_x is_p|a st busy is_x is_p|a units st q busy rest is_x is_p]; subst.
  - apply ends_done. congruence.
  - apply ends_stopped. congruence.
  - apply ends_later; [congruence|]. unfold revoke_unit in *. rewrite same. exact rest.
Qed.

(** Claim [restarts_come_to_the_same]. *)
Theorem restarts_come_to_the_same_proved : restarts_come_to_the_same.
Proof.
  intros st units more stopped. destruct preempted_work_goes_on_proved as (deletes & revokes & cancels & refuses). split; [|split; [|split]].
  - intros slot preempted at_slot. destruct (deletes slot st units stopped preempted) as (_ & b & did & rest). rewrite did in at_slot. cbn [fst] in at_slot.
    subst b. exact (rest more).
  - intros slot preempted free which. destruct (revokes slot nowhere st units stopped preempted) as (_ & b & did & rest). cbv zeta in which.
    rewrite did in which. cbn [fst] in which. transitivity (in_units (fun anchor st => is_occupied anchor st || has_children slot st) (revoke_unit slot) b
      (allow more stopped)); [exact (rest more) | exact (revoke_from slot b stopped more free which)].
  - intros e badge. unfold cancel_badged_sends. set (remains := has_sender_with_badge e badge). set (work := cancel_unit e badge).
    assert (forall l a st, remains a (allow l st) = remains a st) as remains_alike by reflexivity.
    pose proof (cancel_unit_alike e badge : forall l a st, work a (allow l st) = _) as work_alike.
    destruct (in_units remains work tt (allow units st)) as [after|after] eqn:first; cbn [and_then].
    + destruct (must_stop after && _) eqn:stops; [|discriminate]. intros same. injection same as ->. apply andb_prop in stops.
      destruct stops as (no_more & left_).
      apply (units_allowed remains work remains_alike work_alike) in first. unfold must_stop in no_more. apply N.eqb_eq in no_more.
      pose proof (done_has_more remains work _ stopped more first) as second. cbn beta iota in second. rewrite no_more in second.
      apply (units_allowed remains work remains_alike work_alike) in second. rewrite second. change (0 + more) with more. f_equal. symmetry.
      apply (units_allowed remains work remains_alike work_alike). apply ends_done.
      destruct (done_none remains work remains_alike _ stopped first) as ([] & none). exact none.
    + intros same. injection same as ->. destruct (cancels e badge tt st units stopped first) as (_ & [] & _ & rest). specialize (rest more).
      change (in_units remains work tt (allow (units + more) st) = in_units remains work tt (allow more stopped)) in rest. rewrite rest. reflexivity.
  - intros e r preempted. destruct (refuses e r tt st units stopped preempted) as (_ & [] & _ & rest). exact (rest more).
Qed.

(** Claim [retypes_go_on]. *)
Theorem retypes_go_on_proved : retypes_go_on.
Proof.
  intros count type at_ n device slot offset untyped t. revert at_ slot offset.
  induction count as [|count IH]; intros at_ slot offset st units stopped; cbn [make_objects]; [discriminate|].
  destruct (N.eq_dec units 0) as [->|some].
  - unfold must_stop. cbn [allowance]. change (allowance (allow 0 st)) with 0. cbn [N.eqb]. intros same. injection same as <-.
    exists st, (S count). rewrite !N.mul_0_l, !N.add_0_r, N.add_0_l. repeat split. discriminate.
  - assert (forall k, k <> 0 -> make_objects (S count) type at_ n device slot offset untyped t (allow k st)
      = make_objects count type (at_ + N.shiftl 1 (object_bits type n)) n device (slot + slot_bytes) (offset + 1) untyped t
          (allow (k - 1) (make_object type at_ n device slot untyped st))) as next.
    { intros k other. cbn [make_objects]. unfold must_stop. change (allowance (allow k st)) with k. rewrite (proj2 (N.eqb_neq k 0) other). cbv zeta.
      rewrite (alike_make_object k type at_ n device slot untyped st : make_object _ _ _ _ _ _ (allow k st) = _). reflexivity. }
    pose proof (next units some) as first. cbn [make_objects] in first. rewrite first. intros preempted.
    destruct (IH _ _ _ _ _ _ preempted) as (made & rest & counted & others & is_stopped & goes_).
    exists made, rest. split; [lia|]. split; [exact others|]. replace (offset + units) with (offset + 1 + (units - 1)) by lia. split; [exact is_stopped|].
    intros more. change (make_objects (S count) type at_ n device slot offset untyped t (allow (units + more) st)
      = make_objects rest type (at_ + units * N.shiftl 1 (object_bits type n)) n device (slot + units * slot_bytes) (offset + 1 + (units - 1)) untyped t
          (allow more made)).
    rewrite (next (units + more)) by lia. replace (units + more - 1) with (units - 1 + more) by lia. rewrite goes_.
    assert (forall z, units * z = z + (units - 1) * z) as one_more
      by (intros z; rewrite N.mul_sub_distr_r, N.mul_1_l; assert (z <= units * z) by nia; lia).
    rewrite !one_more. f_equal; lia.
Qed.
