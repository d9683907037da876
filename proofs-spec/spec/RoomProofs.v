(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What comes has empty slots

    No slot is occupied in memory that an untyped has still to give: occupied slots lie in objects that are there, or are interrupts'. So before the step that
    makes a CNode or thread its slots are empty. *)
From Coq Require Import Lia.
From Spec Require Export FreshProofs HouseProofs.
From Spec Require FieldProofs WithinProofs.
Open Scope N_scope.

Lemma within_object j o x st : objects st !! o = Some x -> is_within j o st = true -> o <= j /\ j < o + size_of x.
Proof.
  intros found inside. pose proof inside as inside_. unfold is_within in inside. apply andb_prop in inside. destruct inside as (above & below_).
  apply N.leb_le in above. apply N.ltb_lt in below_. apply within_cases in inside_. destruct inside_ as (k & is_k & _). split; [exact above|].
  unfold slot_count, slot_of, slot_bytes in below_. change (N.shiftl 1 slot_bits) with 32 in below_. unfold slots_in in is_k. rewrite found in *.
  destruct x; try discriminate is_k; cbn [size_of].
  - rewrite N.shiftl_1_l in *. rewrite N.pow_add_r. change (2 ^ slot_bits) with 32. lia.
  - change (N.shiftl 1 tcb_size_bits) with 2048. unfold thread_slots in below_. lia.
Qed.
Lemma free_slots st u base bits d used j : well_housed st -> capability_at u st = Some (UntypedCap base bits d used) ->
  base + (if has_children u st then used else 0) <= j -> j < base + N.shiftl 1 bits -> capability_at j st = None.
Proof.
  intros (((right & fine) & _) & rooms) at_u above below_. destruct (capability_at j st) as [c|] eqn:there; [exfalso | reflexivity].
  set (free := (base + (if has_children u st then used else 0), N.shiftl 1 bits - (if has_children u st then used else 0))).
  assert (free_memory u st = Some free) as is_free by (unfold free_memory; rewrite at_u; reflexivity).
  pose proof at_u as in_u. rewrite capability_at_in in in_u. destruct (low_ok st right u _ in_u) as (_ & _ & within).
  destruct (rooms j c there) as ((_ & [(o & inside)|(irq & _)]) & _).
  - destruct (container_found st o j right inside) as (x & is_last_). apply last_below_found in is_last_. destruct is_last_ as (_ & found).
    destruct (within_object j o x st found inside) as (from_ & to_). pose proof (free_is_empty st (memory_right st right) u free o x is_free found) as far.
    unfold apart, free in far. cbn [fst snd] in far. destruct (has_children u st); lia.
  - destruct (fine u _ in_u) as (most & _). specialize (most base bits d eq_refl). lia.
Qed.

(** Slots of what was no container before, in another state, were empty. *)
Definition anew (a b : State) : Prop := forall o j, slot_count o a = 0 -> is_within j o b = true -> capability_at j a = None.
Definition between (a : State) (lo hi : N) (b : State) : Prop := forall o j, slot_count o a = 0 -> is_within j o b = true -> lo <= j /\ j < hi.
Lemma no_slots j o st : slot_count o st = 0 -> is_within j o st = false.
Proof.
  intros none. unfold is_within. rewrite none. unfold slot_of. rewrite N.mul_0_r, N.add_0_r. destruct (N.leb_spec o j); [|reflexivity].
  apply N.ltb_ge. assumption.
Qed.
Lemma within_same j o a b : slot_count o b = slot_count o a -> is_within j o b = is_within j o a. Proof. unfold is_within. intros ->. reflexivity. Qed.
Lemma objects_between a lo hi count type n d u t : forall at_ slot offset one, lo <= at_ ->
  at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= hi -> between a lo hi one ->
  between a lo hi (state_after (make_objects count type at_ n d slot offset u t one)).
Proof.
  induction count as [|rest IH]; intros at_ slot offset one above below_ ok; cbn [make_objects]; [exact ok|]. destruct (must_stop one).
  - cbn [state_after]. pose proof (WithinProofs.counts_are_kept_quietly (fun o => slot_count o one)) as quiet.
    pose proof (@keeps_set_word_argument _ _ _ _ quiet 5%nat (N.of_nat (S rest)) t _ (@keeps_set_word_argument _ _ _ _ quiet 4%nat offset t one
      (fun o => eq_refl))) as same.
    intros o j none inside. rewrite (within_same j o one _ (same o)) in inside. exact (ok o j none inside).
  - cbv zeta. unfold make_object. cbv zeta. pose proof (positive_shift (object_bits type n)) as some.
    apply IH; [lia | lia|]. intros o j none inside.
    match type of inside with is_within j o (allow ?k ?after) = true => change (is_within j o after = true) in inside end.
    match type of inside with is_within j o (carve u at_ ?size ?x slot ?c ?s) = true =>
      assert (forall p, slot_count p s = slot_count p one) as same by (intros p; destruct (_ || _); reflexivity);
      destruct (carve_cases u at_ size x slot c s) as [stuck|cut] end.
    + rewrite stuck in inside. rewrite (within_same j o one) in inside; [exact (ok o j none inside) | exact (same o)].
    + destruct cut as (e & base & bits & dev & used & _ & _ & _ & _ & _ & _ & _ & _ & objs).
      destruct (N.eq_dec o at_) as [->|other].
      * destruct (new_object type n) as [x|] eqn:new.
        -- match type of inside with is_within j at_ ?after = true => assert (objects after !! at_ = Some x) as found by (rewrite objs, find_set, N.eqb_refl;
             reflexivity) end.
           destruct (within_object j at_ x _ found inside) as (from_ & to_). split; [lia|].
           assert (size_of x <= N.shiftl 1 (object_bits type n)); [|lia].
           destruct type; try discriminate new; injection new as <-; cbn [size_of object_bits context_bits new_sched_context];
             first [apply N.le_refl | vm_compute; discriminate].
        -- apply ok with at_; [exact none|]. rewrite <- inside. symmetry. apply within_same. rewrite <- same. unfold slot_count. rewrite objs. reflexivity.
      * apply ok with o; [exact none|]. rewrite <- inside. symmetry. apply within_same. rewrite <- same. unfold slot_count. rewrite objs.
        destruct (new_object type n); [|reflexivity]. rewrite find_set, (proj2 (N.eqb_neq o at_) other). reflexivity.
Qed.
Lemma nothing_between a lo hi : between a lo hi a.
Proof. intros o j none inside. rewrite (no_slots j o a none) in inside. discriminate inside. Qed.
Lemma retype_anew a b c d e f i call st : valid call st -> well_housed st ->
  match untyped_retype a b c d e f (cap i call) call st with Perform work => anew st (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros (there & _) ok. unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta.
  repeat match goal with |- match (match ?x with _ => _ end) with _ => _ end => destruct x eqn:?; try exact I end.
  all: pose proof (align_up_above (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)) as above;
    match goal with memory_ : (align_up ?start ?k + _ <=? _) = true |- _ => apply N.leb_le in memory_; set (first := align_up start k) in * end;
    intros o j none inside;
    assert (first + N.of_nat (N.to_nat f) * N.shiftl 1 (object_bits type b) <= base + N.shiftl 1 bits) as fits_
      by (rewrite N2Nat.id, (N.shiftl_1_l (object_bits type b)), <- N.shiftl_mul_pow2; assumption);
    destruct (objects_between st first (base + N.shiftl 1 bits) (N.to_nat f) type b device (invoked_slot call) (invoker call) first _ e st (N.le_refl _) fits_
      (nothing_between _ _ _) o j none inside) as (from_ & to_);
    exact (free_slots st (invoked_slot call) base bits device used j ok there ltac:(lia) to_).
Qed.
Lemma pool_anew a b u r call st :
  match asid_control_make_pool a b u r call st with Perform work => anew st (state_after (work st)) | Refuse _ _ => True end.
Proof.
  unfold asid_control_make_pool, empty_slot_in, slot_in. cbv beta.
  repeat match goal with |- match (match ?x with _ => _ end) with _ => _ end => destruct x; try exact I end.
  cbn [always state_after]. intros o j none inside. exfalso.
  match type of inside with is_within j o (carve ?u ?at_ ?size ?x ?slot ?c ?s) = true =>
    assert (slot_count o (carve u at_ size x slot c s) = 0) as still; [|rewrite (no_slots j o _ still) in inside; discriminate inside];
    destruct (carve_cases u at_ size x slot c s) as [->|cut]; [exact none|];
    destruct cut as (e & b1 & n1 & d1 & u1 & _ & _ & _ & _ & _ & _ & _ & _ & objs);
    unfold slot_count; rewrite objs, find_set; destruct (o =? at_); [reflexivity | exact none] end.
Qed.
Lemma anew_refl st : anew st st. Proof. intros o j none inside. rewrite (no_slots j o st none) in inside. discriminate inside. Qed.
Lemma invoke_anew method t slot c st : method_for (label (message_of_call t st)) c = Some method -> makes method -> capability_at slot st = Some c ->
  well_housed st -> anew st (snd (invoke t slot c st)).
Proof.
  intros named_ makes_ there ok. unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(a & report)] eqn:listed; [|apply anew_refl].
  unfold decide. rewrite named_. destruct (_ && _); [|apply anew_refl].
  match goal with |- context [decode_method method ?call st] =>
    assert (match decode_method method call st with Perform work => anew st (state_after (work st)) | Refuse _ _ => True end) as worked end.
  { destruct makes_ as [-> | ->]; [apply retype_anew; [|exact ok] | apply pool_anew]. split; [exact there | exact (arguments_in_place _ _ _ _ listed)]. }
  destruct (decode_method method _ st) as [error details|work]; [apply anew_refl|]. destruct (work st); exact worked.
Qed.
Lemma phase_anew method t a manner c st : sent_by t a st = Some (c, Some method) -> makes method -> well_housed st -> anew st (snd (send_phase t a manner st)).
Proof.
  unfold sent_by, named_by, send_phase. destruct (occupied_slot_of_address t a st) as [(slot & d)|report] eqn:found; [|discriminate]. cbn [option_map].
  intros same makes_ ok. injection same as -> named_. pose proof (method_fits _ _ _ named_) as type. apply occupied_in_place in found.
  pose proof (invoke_anew method t slot c st named_ makes_ found ok) as worked. destruct makes_ as [-> | ->]; destruct c; try discriminate type; exact worked.
Qed.

(** ** The rest of the step makes nothing *)
Lemma anew_quietly a : kept_quietly_but but_placing (anew a) (fun _ => True) (fun _ => True).
Proof.
  assert (forall b after, (forall o, slot_count o after = slot_count o b) -> anew a b -> anew a after) as of_same
    by (intros b after same ok o j none inside; rewrite (within_same j o b after (same o)) in inside; exact (ok o j none inside)).
  constructor; try (intros; exact I).
  - intros b after _ _ same _ _ _. change (anew a b -> anew a after). apply of_same. intros o. unfold slot_count. rewrite same. reflexivity.
  - intros t st. change (anew a st -> anew a (unplace t st)). apply of_same. reflexivity.
  - intros insert t st usual. apply of_same.
    exact (after_place (WithinProofs.counts_are_kept_quietly (fun o => slot_count o st)) insert t st usual (fun _ => eq_refl)).
  - intros t st _. apply of_same. reflexivity.
  - intros o x y st there same _ _. apply of_same. intros p. unfold slot_count. change (objects (put_object o x st)) with (set o x (objects st)).
    rewrite find_set. destruct (N.eqb_spec p o) as [->|]; [|reflexivity]. rewrite there. destruct x, y; try contradiction same; try reflexivity.
    cbn [same_kind] in same. rewrite same. reflexivity.
Qed.
Lemma anew_kept a : kept_but but_placing (anew a) (fun _ => True) (fun _ => True).
Proof.
  assert (forall b after, objects after = objects b -> anew a b -> anew a after) as of_same.
  { intros b after same ok o j none inside. rewrite (within_same j o b after) in inside; [exact (ok o j none inside)|]. unfold slot_count. rewrite same.
  reflexivity. }
  constructor; try (intros; discriminate); try solve [intros; intros absurd; destruct absurd]; try (intros; exact I).
  - intros slot p o c st _ _ _. change (anew a st -> anew a (insert_child slot p o c st)). apply of_same, objects_of_insert_child.
  - intros slot s o c st _ _ _. change (anew a st -> anew a (insert_sibling slot s o c st)). apply of_same. rewrite (insert_sibling_same slot s o c st).
    reflexivity.
  - intros u at_ size x slot c st _ _ _ (-> & _). change (anew a st -> anew a (carve u at_ size None slot c st)). apply of_same.
    destruct (carve_cases u at_ size None slot c st) as [->|cut]; [reflexivity|].
    destruct cut as (e & base & bits & dev & used & _ & _ & _ & _ & _ & _ & _ & _ & objs). exact objs.
Qed.

Lemma anew_from a b after : slots b = slots a -> (forall o, slot_count o b = slot_count o a) -> anew b after -> anew a after.
Proof. intros same counts ok o j none inside. rewrite <- (capability_same j a b same). apply (ok o j); [rewrite counts; exact none | exact inside]. Qed.
Section Call.
Variables (t : N) (st : State).
Hypothesis ok : well_housed st.
Lemma sent_anew a manner c m : sent_by t a st = Some (c, Some m) -> makes m -> anew st (snd (finish_send t manner (send_phase t a manner st))).
Proof.
  intros sent makes_. pose proof (phase_anew m t a manner c st sent makes_ ok) as worked. destruct (send_phase t a manner st) as (report & two).
  exact (proj2 (@finish_send_good _ _ _ _ (anew_quietly st) t manner (report, two) eq_refl (conj I worked))).
Qed.
Lemma received_anew w c m : passed_on t w st = Some (c, Some m) -> makes m -> anew st (snd (send_and_receive t w st)).
Proof.
  unfold passed_on, send_and_receive. intros sent makes_. set (first_phase := pass_message t) in *.
  pose proof (@keeps_refuse_early _ _ _ _ (calm_quietly st) t w first_phase eq_refl st (calm_refl st)) as calm_.
  pose proof (@keeps_refuse_early _ _ _ _ settled_quietly t w first_phase eq_refl st (proj1 ok)) as settled_.
  pose proof (@keeps_refuse_early _ _ _ _ (WithinProofs.counts_are_kept_quietly (fun o => slot_count o st)) t w first_phase eq_refl st (fun _ => eq_refl))
    as counts.
  destruct (refuse_early t w first_phase st) as [one|one]; [|discriminate sent]. cbn [once_done unless_preempted] in *.
  change (calm st one) in calm_. change (settled_slots one) in settled_. change (forall o, slot_count o one = slot_count o st) in counts.
  pose proof (phase_anew m t _ passing_on c one sent makes_ (conj settled_ (calm_housed st one calm_ (proj2 ok)))) as worked.
  apply (anew_from st one _ (proj2 calm_) counts) in worked. fold (pass_on t one) in worked. destruct (pass_on t one) as (report & two). cbn [snd] in worked.
  pose proof (fun x => @keeps_then_receive _ _ _ _ (anew_quietly st) (anew_kept st) t w eq_refl x) as behind_.
  destruct report as [error details| |a r|].
  - exact (proj2 (behind_ _ (@keeps_write_long_words _ _ _ _ (anew_quietly st) t _ two worked))).
  - exact (proj2 (behind_ two worked)).
  - exact (proj2 (behind_ two worked)).
  - exact (@keeps_go_back _ _ _ _ (anew_quietly st) t two worked).
Qed.
Lemma called_anew s c m : sent_through t s st = Some (c, Some m) -> makes m -> anew st (snd (run_system_call s t st)).
Proof.
  intros sent makes_. pose proof (runs_as s t st) as is_run. destruct s; try discriminate sent; cbn [sent_through] in sent; rewrite ?is_run, ?sends_as.
  - exact (sent_anew _ calling c m sent makes_).
  - exfalso. destruct (refuse_early _ _ _ _) as [one|one]; [|discriminate sent]. cbn [once_done] in sent. unfold answered_by in sent.
    destruct (named_by _ _ one) as [[]|]; discriminate sent.
  - exact (sent_anew _ sending c m sent makes_).
  - exact (sent_anew _ sending_if_received c m sent makes_).
  - exact (received_anew true c m sent makes_).
  - exact (received_anew false c m sent makes_).
Qed.
End Call.

(** Claim [made_containers_were_empty]. *)
Theorem made_containers_were_empty_proved : made_containers_were_empty step.
Proof.
  intros p st e next result done o j fits_ reached stepped none_ inside. pose proof (fits_sound p fits_) as right.
  assert (next = fst (fst (step st e))) as is_next by (rewrite stepped; reflexivity).
  assert (exists x, objects next !! o = Some x) as (x & there).
  { apply within_cases in inside. destruct inside as (k & is_k & _). unfold slots_in in is_k. destruct (objects next !! o) as [x|]; [|discriminate].
    exists x. reflexivity. }
  rewrite is_next in there. destruct (creation_sent st e (comes_by_making st e o x none_ there)) as (is_call & t & s & c & m & cur & number & sent & makes_).
  destruct (entered_sane p st e t right reached) as (same_current & _).
  assert (handle (cause e) (enter e st) = run_system_call s t (enter e st)) as handled_.
  { unfold handle. rewrite is_call, same_current, cur. exact (run_of_call t s (enter e st) c (Some m) number sent). }
  pose proof (@keeps_enter _ _ _ _ (calm_quietly st) e st (calm_refl st)) as calm_. change (calm st (enter e st)) in calm_.
  pose proof (@keeps_enter _ _ _ _ (WithinProofs.counts_are_kept_quietly (fun o => slot_count o st)) e st (fun _ => eq_refl)) as counts.
  change (forall o, slot_count o (enter e st) = slot_count o st) in counts.
  pose proof (@keeps_enter _ _ _ _ settled_quietly e st (reachable_settled p st fits_ reached)) as settled_. change (settled_slots (enter e st)) in settled_.
  pose proof (called_anew t (enter e st) (conj settled_ (calm_housed st _ calm_ (reachable_housed p st fits_ reached))) s c m sent makes_) as worked.
  apply (@keeps_choose_thread _ _ _ _ (anew_quietly (enter e st)) eq_refl) in worked.
  apply (anew_from st (enter e st) _ (proj2 calm_) counts) in worked. apply (worked o j).
  - unfold slot_count. rewrite none_. reflexivity.
  - rewrite is_next, (proj1 (finished_step st e)), handled_ in inside. exact inside.
Qed.
