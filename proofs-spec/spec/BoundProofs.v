(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Steps stay within a policy

    What begins and ends a step, and the events that are no system calls; and what follows of whole steps. *)
From Coq Require Import Lia.
From Spec Require Export StayProofs.
Open Scope N_scope.

(** ** Events *)
Section Events.
Variables (p : Policy) (M : N -> N -> Prop).
Notation held := (held p M).
Notation fit := (fit p).
Notation kept_in := (kept_in p M).
Notation quietly := (fit_is_kept_quietly p).
Lemma kept_field a b : kept_in a -> slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a ->
  sleeping b = sleeping a -> kept_in b.
Proof.
  intros [okf okp okh] s r o d l. constructor; [exact (fit_like p a b s r o d l okf) | exact (parts_field a b okp s r o d l) | exact (held_objects p M a b o
    okh)].
Qed.
Lemma kept_time_out t c st : kept_in st -> runs t st -> kept_in (time_out t c st).
Proof.
  intros ok on. unfold time_out. destruct (capability_at _ st) as [[]|]; try exact ok. pose proof ok as [okf okp okh].
  destruct (@StepProofs.keeps_report_consumed _ _ _ _ (goes_whole_quietly t) c st (conj okp on)) as (_ & (after & goes)).
  pose proof (q_report p c st okf) as okf1. destruct (keeps_report_consumed p M c st okh) as (_ & okh1).
  destruct (report_consumed c st) as (used & two). cbn [snd] in *. refine (kept_raise p M timeout_slot false t _ two eq_refl _ goes).
  constructor; [exact okf1 | exact after | exact okh1].
Qed.
Lemma kept_end_budget st : kept_in st -> kept_in (end_budget st).
Proof.
  intros [okf okp okh]. unfold end_budget. cbv zeta. assert (kept_in (book_turn st)) as booked
    by (constructor; [exact (q_book_turn p st okf) | exact (@StepProofs.keeps_book_turn _ _ _ _ parts_quietly st okp) | exact (keeps_book_turn p M st okh)]).
  revert booked. generalize (book_turn st). clear st okf okp okh. intros st ok. destruct (current_context st) as [c|]; [|exact ok]. unfold thread_that_uses.
  destruct (context_thread (context c st)) as [t|]; [|exact ok]. destruct (member t (ready st)) eqn:queued_; [|exact ok].
  destruct (is_used_up c st); [|exact ok]. pose proof ok as [okf okp okh].
  assert (runs t st) as on by (apply (w_runs nobody st (proj1 (proj2 okp))), in_app_iff; left; apply member_in; exact queued_).
  destruct (@StepProofs.keeps_place _ _ _ _ (goes_whole_quietly t) t st (conj okp on)) as (okp1 & on1).
  apply kept_time_out; [|exact on1]. constructor; [exact (q_place p t st okf) | exact okp1 | exact (keeps_place p M t st okh)].
Qed.
Lemma kept_user_fault t c st : kept_in st -> runs t st -> kept_in (snd (user_fault t c st)).
Proof.
  intros ok on. unfold user_fault. cbv zeta. destruct c; try exact ok; try exact (kept_raise p M fault_slot true t _ st eq_refl ok on).
  unfold debug_event. cbv zeta. destruct reason; try exact (kept_raise p M fault_slot true t _ st eq_refl ok on).
  destruct (same_thread_again p M t (fun x => x <| step_count := step_count x - 1 |>) st) as (after & goes); try reflexivity; [exact ok | exact on|].
  destruct (_ =? _); [exact (kept_raise p M fault_slot true t _ _ eq_refl after goes) | exact after].
Qed.
Lemma kept_turn st : kept_in st -> kept_in (end_turn_if_due st).
Proof.
  intros [okf okp okh]. constructor; [exact (@StepProofs.keeps_end_turn_if_due _ _ _ _ quietly st okf)
    | exact (@StepProofs.keeps_end_turn_if_due _ _ _ _ parts_quietly st okp) | exact (keeps_end_turn_if_due p M st okh)].
Qed.
Lemma kept_handle c st : kept_in st -> (forall t, current st = Some t -> runs t st) ->
  (forall t, c = SystemCall -> current st = Some t -> kept_in (snd (system_call t st))) -> kept_in (snd (handle c st)).
Proof.
  intros ok on called. pose proof ok as [okf okp okh]. unfold handle. destruct c, (current st) as [t|]; try exact ok;
    first [ exact (called t eq_refl eq_refl) | exact (kept_user_fault t _ st ok (on t eq_refl)) | idtac ].
  all: try (constructor; [exact (@StepProofs.keeps_interrupt _ _ _ _ quietly _ eq_refl st okf) | exact (interrupts_parts _ st okp)
         | exact (keeps_interrupt p M _ st okh)]).
  all: unfold timer_expires; cbn [snd]; apply kept_turn; pose proof (kept_end_budget st ok) as [ef ep eh];
    constructor; [exact (@StepProofs.keeps_wake_sleepers _ _ _ _ quietly _ ef) | exact (@StepProofs.keeps_wake_sleepers _ _ _ _ parts_quietly _ ep)
      | exact (keeps_wake_sleepers p M _ eh)].
Qed.
Lemma kept_choose st : kept_in st -> kept_in (choose_thread st).
Proof.
  intros ok. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (kept_in one) as ok1 by (unfold one; destruct (ends_turn _); [exact (kept_turn st ok) | exact ok]).
  clearbody one. set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (kept_in two) as ok2.
  { unfold two. destruct (_ && _); [exact ok1|]. unfold change_context_in_use. cbv zeta. pose proof (kept_end_budget one ok1) as ended.
    revert ended. generalize (end_budget one). intros three ok3. set (four := three <| current_context := context_of_first three |>).
    assert (kept_in four) as ok4 by (apply (kept_field three); [exact ok3 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
    clearbody four. destruct (context_of_first three) as [c|]; [|exact ok4]. destruct (_ || _); [exact ok4|]. pose proof ok4 as [okf okp okh]. constructor.
    - apply q_context; [|exact okf]. intros x. symmetry. apply bits_of_begin_use.
    - refine (@StepProofs.keeps_change_context _ _ _ _ parts_quietly c _ _ _ four okp).
      + split; [intros; exact I|]. intros x. symmetry. apply bits_of_begin_use.
      + intros x _. split; [apply uses_of_begin_use | apply loan_of_begin_use].
    - exact (keeps_change_context p M c _ four okh). }
  clearbody two. set (three := two <| current := first_ready two |>).
  assert (kept_in three) as ok3 by (apply (kept_field two); [exact ok2 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
  clearbody three. destruct (first_ready two) as [t|]; [|exact ok3]. pose proof ok3 as [okf okp okh]. constructor.
  - refine (@StepProofs.keeps_end_yield_by _ _ _ _ quietly report_booked t reports_booked _ three okf).
    intros c. exact (@StepProofs.keeps_report_booked _ _ _ _ quietly c).
  - refine (@StepProofs.keeps_end_yield_by _ _ _ _ parts_quietly report_booked t reports_booked _ three okp).
    intros c. exact (@StepProofs.keeps_report_booked _ _ _ _ parts_quietly c).
  - refine (keeps_end_yield_by p M report_booked t _ three okh). intros c. exact (keeps_report_booked p M c).
Qed.
Lemma kept_enter e st : kept_in st -> kept_in (enter e st).
Proof.
  intros [okf okp okh]. constructor; [exact (StepProofs.keeps_enter _ _ _ _ quietly e st okf) | exact (@StepProofs.keeps_enter _ _ _ _ parts_quietly e st
    okp)|].
  unfold enter. refine (keeps_save_registers p M (saved e) _ _). exact (held_objects p M st (begin_step e st) eq_refl okh).
Qed.
Lemma current_of_enter e st : current (enter e st) = current st.
Proof.
  unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur; [|exact cur].
  unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact cur.
Qed.
Lemma enter_runs e st t : parts st -> (forall t, current st = Some t -> In t (ready st)) -> current (enter e st) = Some t -> runs t (enter e st).
Proof.
  intros okp first is_cur. destruct (@StepProofs.keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st (proj1 (proj2 okp)))) as (_ & same).
  unfold runs. rewrite (same_state _ _ same). apply (w_runs nobody st (proj1 (proj2 okp))), in_app_iff. left. apply first. rewrite <- is_cur.
  symmetry. apply current_of_enter.
Qed.
(** A whole step. *)
Lemma kept_step st e : kept_in st -> (forall t, current st = Some t -> In t (ready st)) ->
  (forall t, cause e = SystemCall -> current (enter e st) = Some t -> kept_in (enter e st) -> runs t (enter e st) ->
     kept_in (snd (system_call t (enter e st)))) -> kept_in (fst (fst (step st e))).
Proof.
  intros ok first called. unfold step, finish. pose proof (kept_enter e st ok) as entered.
  assert (forall t, current (enter e st) = Some t -> runs t (enter e st)) as on by (intros t; exact (enter_runs e st t (kept_parts p M st ok) first)).
  pose proof (kept_handle (cause e) (enter e st) entered on (fun t is_call cur => called t is_call cur entered (on t cur))) as after.
  destruct (handle (cause e) (enter e st)) as (result & two). cbn [fst snd] in *.
  apply (kept_field (choose_thread two)); [exact (kept_choose two after) | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity].
Qed.
End Events.

(** ** Claims [calls_contain] and [other_events_contain] *)
Definition whomever (_ _ : N) : Prop := True.
Lemma contained_held p st : contained p st <-> confined p st /\ held p whomever st.
Proof.
  split.
  - intros [slots_ tables_ waiters_]. split; [exact slots_|]. intros o x there. destruct x; try exact I.
    + split; [exact (waiters_ o _ there) | intros r _ _; exact I].
    + apply (tables_ o). left. exact there.
    + apply (tables_ o). right. exact there.
  - intros (slots_ & ok). constructor; [exact slots_ | | ].
    + intros o table [there|there]; exact (ok o _ there).
    + intros t x there. exact (proj1 (ok t _ there)).
Qed.
Lemma reached_first plan st : reachable step plan st -> forall t, current st = Some t -> In t (ready st).
Proof.
  intros reached t is_cur. destruct (states_are_settled_proved plan st reached) as [first _ _ _]. rewrite first in is_cur. unfold first_ready in is_cur.
  apply List.find_some in is_cur. exact (proj1 is_cur).
Qed.
Lemma kept_reached plan p M st : roots_are_sound plan -> reachable step plan st -> confined p st -> held p M st -> kept_in p M st.
Proof.
  intros sound_plan reached slots_ ok. constructor; [exact (confined_is_fit plan p st sound_plan reached slots_) | | exact ok].
  exact (reachable_parts plan st (roots_differ plan sound_plan) reached).
Qed.
Lemma kept_confined p M st : kept_in p M st -> confined p st.
Proof. intros [(_ & use & free) _ _]. constructor; assumption. Qed.
Theorem calls_contain_proved : calls_contain step.
Proof.
  intros plan p st e t subject sound_plan reached is_closed nobodys before is_call cur tables each.
  apply contained_held in before. destruct before as (slots_ & ok). pose proof (kept_reached plan p whomever st sound_plan reached slots_ ok) as kept_.
  assert (kept_in p whomever (fst (fst (step st e)))) as after; [|apply contained_held; split; [exact (kept_confined p _ _ after) | exact (kept_held _ _ _
    after)]].
  apply kept_step; [exact kept_ | exact (reached_first plan st reached)|]. intros t' _ cur' entered on. rewrite cur in cur'. injection cur' as <-.
  apply kept_system_call; [exact is_closed | exact nobodys | exact entered | exact on|]. intros at_ address begins_ _ _.
  destruct (each at_ address begins_) as (who & met). exists subject. split; [exact who|]. split; [exact tables|]. constructor.
  - intros e' badge r u x o q g named_ _ first _ _. split; [|intros; exact I]. intros yes. exact (met t u (by_sending _ _ _ _ _ _ u named_ yes (first_listed
    _ u first))).
  - intros e' badge r u after x b g gr c l named_ _ listed _ _ _ _. split; [|intros; exact I]. intros _.
    exact (met u t (by_receiving _ _ _ _ _ _ u named_ listed)).
  - intros o r u named_ yes calls_ grants _. exact (met t u (by_answering _ _ _ _ _ u named_ yes calls_ grants)).
Qed.
Theorem other_events_contain_proved : other_events_contain step.
Proof.
  intros plan p st e sound_plan reached before no_call.
  apply contained_held in before. destruct before as (slots_ & ok). pose proof (kept_reached plan p whomever st sound_plan reached slots_ ok) as kept_.
  assert (kept_in p whomever (fst (fst (step st e)))) as after; [|apply contained_held; split; [exact (kept_confined p _ _ after) | exact (kept_held _ _ _
    after)]].
  apply kept_step; [exact kept_ | exact (reached_first plan st reached)|]. intros t is_call. contradiction.
Qed.

(** ** What is computed of tables and of those who wait is what is meant *)
Lemma checked_is_confined p st : owner_of p nowhere = None -> slots_within p st -> confined p st.
Proof.
  intros nobodys holds_. constructor.
  - intros slot c found _ _. exact (holds_ slot c found).
  - destruct (capability_at nowhere st) as [c|] eqn:found; [|reflexivity]. destruct (holds_ nowhere c found) as (subject & owned & _). congruence.
Qed.
Lemma waits_well_means p st : waits_well p st = true -> forall t x, objects st !! t = Some (ThreadObject x) -> waits_as p t x.
Proof.
  intros checked t x there c listed. apply in_entries in there. pose proof (proj1 (forallb_forall _ _) checked _ there) as each. cbn [fst snd] in each.
  pose proof (proj1 (forallb_forall _ _) each c listed) as either. unfold may_wait_with in either. apply orb_true_iff in either.
  destruct either as [mine|faulted].
  - left. destruct (owner_of p t) as [part|]; [|discriminate]. exists part. split; [reflexivity | apply may_hold_may; exact mine].
  - right. apply andb_prop in faulted. destruct faulted as (faulted & slot). apply andb_prop in faulted. destruct faulted as (sends_ & faulted).
    split; [exact sends_|]. split; [destruct (fault x); [discriminate | discriminate faulted]|]. apply existsb_exists in slot.
    destruct slot as (i & less & held_). exists i. destruct (owner_of p (slot_of t i)) as [part|]; [|discriminate]. exists part.
    split; [|split; [reflexivity | apply may_hold_may; exact held_]]. change (N.to_nat thread_slots) with 5%nat in less.
    cbn [numbers_from In] in less. unfold thread_slots. lia.
Qed.
Lemma checked_is_contained p st : owner_of p nowhere = None -> pol_check p st = true -> waits_well p st = true -> contained p st.
Proof.
  intros nobodys within_ waits_. destruct (pol_check_is_sound_proved p st within_) as (_ & [slots_ maps_ _]).
  constructor; [exact (checked_is_confined p st nobodys slots_) | | exact (waits_well_means p st waits_)].
  intros o table there i e found. destruct (maps_ o table there) as (subject & owned & each). exists subject. split; [exact owned | exact (each i e found)].
Qed.
