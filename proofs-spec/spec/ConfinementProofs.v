(* SPDX-License-Identifier: BSD-2-Clause *)
(** * No method gives more than the policy

    Whatever a method does, capabilities come only into slots of those to whom the caller's subject gives, and only such that it may hold. *)
From Coq Require Import Lia PeanoNat.
From Spec Require Export WithinProofs.
Open Scope N_scope.

Lemma may_yields p subject c made : yields c made -> may p subject c -> may p subject made.
Proof. intros made_so [quiet|(h & listed & whose & given)]; [left; exact quiet | right; exists h; repeat split; try assumption;
  exact (gives_made h c made made_so given)]. Qed.
Lemma may_derived p subject c : may p subject c -> may p subject (derived c).
Proof. destruct c; exact id. Qed.
Lemma low_derived c : low c -> low (derived c). Proof. destruct c; exact id. Qed.

Section Methods.
Variables (p : Policy) (subject : N) (st : State).
Notation fit := (fit p).
Hypothesis is_closed : closed p.
Hypothesis gives_all : gives_away p st subject.
Hypothesis loud : ~ In subject (silent p).
Hypothesis itself : acting p subject = subject.
Hypothesis nobodys : owner_of p nowhere = None.
Hypothesis ok : fit st.
Notation known := (known p st subject).
Notation lies := (lies_in p st subject).

Lemma lies_given slot : lies slot -> gives_to p subject slot.
Proof. intros (k & o & radix & guard & size & i & _ & held & less & ->). exact (to_cnodes p st subject gives_all o radix guard size i held less). Qed.
Lemma known_low c : known c -> low c.
Proof. intros ((k & there) & _). apply (low_ok st (proj1 ok) k). rewrite <- capability_at_in. exact there. Qed.
Lemma lies_known slot c : lies slot -> capability_at slot st = Some c -> known c.
Proof. exact (known_in p st subject is_closed (proj1 ok) (proj1 (proj2 ok)) loud itself slot c). Qed.
Lemma under_lies c index depth slot : known c -> slot_under (Some c) index depth st = inl slot -> lies slot.
Proof. exact (named_under p st subject is_closed (proj1 ok) (proj1 (proj2 ok)) loud itself c index depth slot). Qed.
Lemma under_some root index depth slot : slot_under root index depth st = inl slot -> exists c, root = Some c.
Proof. destruct root as [c|]; [exists c; reflexivity | discriminate]. Qed.

Variable call : Invocation.
Hypothesis there : capability_at (invoked_slot call) st = Some (invoked call).
Hypothesis invoked_known : known (invoked call).
Hypothesis arguments_known : forall a c, In a (cap_arguments call) -> argument a = Some c -> capability_at (argument_slot a) st = Some c /\ known c.
Lemma cap_known i c : argument (cap i call) = Some c -> capability_at (argument_slot (cap i call)) st = Some c /\ known c.
Proof.
  unfold cap. destruct (Nat.lt_ge_cases i (length (cap_arguments call))) as [less|more].
  - apply arguments_known, nth_In. exact less.
  - rewrite nth_overflow by exact more. discriminate.
Qed.
Lemma cap_under i index depth slot : slot_under (argument (cap i call)) index depth st = inl slot -> lies slot.
Proof.
  intros under_. destruct (under_some _ _ _ _ under_) as (c & is_c). rewrite is_c in under_.
    exact (under_lies c index depth slot (proj2 (cap_known i c is_c)) under_).
Qed.

Definition decided (d : Decision) : Prop := match d with Perform work => fit (state_after (work st)) | Refuse _ _ => True end.
Lemma decided_progress work : fit (state_of (work st)) -> decided (in_progress work).
Proof. unfold decided, in_progress. destruct (work st); exact id. Qed.

(** ** Retype *)
Lemma next_slot cnode i : slot_of cnode i + slot_bytes = slot_of cnode (i + 1).
Proof. unfold slot_of. change slot_bytes with 32. lia. Qed.
Lemma fit_make_objects count type at_ n d i offset base bits used u t cnode radix guard size before :
  low (UntypedCap base bits d used) -> may p subject (UntypedCap base bits d used) -> may p subject (CNodeCap cnode radix guard size) ->
  i + N.of_nat count <= 2 ^ radix -> base <= at_ -> at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= base + N.shiftl 1 bits ->
  d && needs_memory type = false -> size_fits type n -> fit before -> fit (state_after (make_objects count type at_ n d (slot_of cnode i) offset u t before)).
Proof.
  intros is_low held node. revert at_ i offset before.
  induction count as [|rest IH]; intros at_ i offset before room above fits_ memory sized okb; cbn [make_objects]; [exact okb|].
  destruct (must_stop before); [cbn [state_after]; apply q_word, q_word; exact okb|]. cbv zeta. rewrite next_slot.
  assert (yields (UntypedCap base bits d used) (new_capability type at_ n d)) as made by (apply retyped; [exact above | lia | exact memory | exact sized]).
  apply IH; [lia | lia | lia | exact memory | exact sized|]. apply q_allow, fit_make; [exact nobodys | exact (yields_low _ _ made is_low) | | exact okb].
  apply (granted_by p subject); [apply (to_cnodes p st subject gives_all cnode radix guard size); [exact node | lia]
    | exact (may_yields p subject _ _ made held)].
Qed.
Lemma fit_retype a b c d e f i : decided (untyped_retype a b c d e f (cap i call) call st).
Proof.
  unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_u; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta.
  destruct (or_default (b, b) (choice_of_size type)) as (smallest & largest) eqn:choice.
  destruct (_ && _) eqn:sized; [|exact I]. destruct (d <=? 64); [|exact I].
  assert (forall cnode radix guard size, may p subject (CNodeCap cnode radix guard size) -> decided (
    let count := N.shiftl 1 radix in
      if e <? count then if (1 <=? f) && (f <=? retype_fan_out_limit) then if e + f <=? count then
      if forallb (fun i => is_empty (slot_of cnode i) st) (numbers_from e (N.to_nat f)) then
      if negb device || negb (needs_memory type) then if negb device || is_frame type || (12 <=? b) then
      if align_up (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b) + N.shiftl f (object_bits type b) <=? base +
        N.shiftl 1 bits
      then Perform (make_objects (N.to_nat f) type (align_up (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)) b device
                                 (slot_of cnode e) e (invoked_slot call) (invoker call))
      else not_enough_memory (N.shiftl 1 bits - (if has_children (invoked_slot call) st then used else 0))
      else range_error 12 max_untyped_bits else invalid_argument 0 else delete_first else range_error 1 (count - e)
      else range_error 1 retype_fan_out_limit else range_error 0 (count - 1))) as work.
  { intros cnode radix guard size node. cbv zeta. destruct (e <? _); [|exact I]. destruct ((1 <=? f) && _); [|exact I].
    destruct (e + f <=? _) eqn:room; [|exact I]. destruct (forallb _ _); [|exact I]. destruct (negb device || negb _) eqn:memory; [|exact I].
    destruct (negb device || _ || _); [|exact I].
    match goal with |- decided (if ?x then _ else _) => destruct x eqn:fits_ end; [|exact I]. cbv beta iota delta [decided].
    pose proof invoked_known as known_u.
    apply N.leb_le in room, fits_. rewrite N.shiftl_mul_pow2 in fits_. rewrite N.shiftl_mul_pow2, N.mul_1_l in room.
    apply (fit_make_objects _ type _ _ device e e base bits used _ _ cnode radix guard size).
    - exact (known_low _ known_u).
    - exact (proj2 known_u eq_refl).
    - exact node.
    - rewrite N2Nat.id. exact room.
    - pose proof (align_up_above (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)). lia.
    - rewrite N2Nat.id, N.shiftl_1_l. exact fits_.
    - destruct device, (needs_memory type); try reflexivity; discriminate memory.
    - exact (size_is_fit _ _ _ _ choice sized).
    - exact ok. }
  destruct (d =? 0).
  - destruct (argument (cap i call)) as [[]|] eqn:root; try exact I. exact (work _ _ _ _ (proj2 (proj2 (cap_known i _ root)) eq_refl)).
  - destruct (slot_under (argument (cap i call)) c d st) as [slot|report] eqn:under_; [|exact I].
    destruct (capability_at slot st) as [[]|] eqn:found; try exact I.
    exact (work _ _ _ _ (proj2 (lies_known slot _ (cap_under i c d slot under_) found) eq_refl)).
Qed.

(** ** CNodes *)
Definition makes (make : Capability -> option Capability) : Prop := forall c made, make c = Some made -> made = c \/ yields c made.
Lemma makes_some : makes Some. Proof. intros c made same. injection same as <-. left. reflexivity. Qed.
Lemma makes_badge badge : makes (with_badge badge). Proof. intros c made same. right. exact (badge_given c badge made same). Qed.
Lemma makes_mutated badge : makes (mutated badge).
Proof. intros c made same. right. apply (other_guard c badge). destruct c; try discriminate same; exact same. Qed.
Lemma made_held make c made : makes make -> make c = Some made -> (forall s, may p s c -> may p s made) /\ (low c -> low made).
Proof.
  intros is_made same. destruct (is_made c made same) as [->|made_so]; [split; [intros s|]; exact id|].
  split; [intros s; exact (may_yields p s c made made_so) | exact (yields_low c made made_so)].
Qed.
Lemma fit_derive a b c d e i make is_original : makes make -> decided (derive_into a b c d e (cap i call) make is_original call st).
Proof.
  intros is_made. unfold derive_into, empty_slot_in, slot_in. destruct ((1 <=? b) && _); [|exact I].
  destruct (slot_under (Some (invoked call)) a b st) as [dest|] eqn:to; [|exact I]. destruct (is_empty dest st); [|exact I].
  destruct ((1 <=? d) && _); [|exact I]. destruct (slot_under (argument (cap i call)) c d st) as [src|] eqn:from; [|exact I].
  unfold occupant. destruct (capability_at src st) as [old|] eqn:found; [|exact I].
  destruct (make (mask_rights (rights_of_word e) old)) as [new|] eqn:made; [|exact I].
  destruct (derivation_error src old st) eqn:none; [exact I|]. cbn [decided always state_after].
  pose proof (lies_known src old (cap_under i c d src from) found) as known_old.
  assert (is_zombie old = false) as usable by (destruct old; try reflexivity; discriminate none).
  pose proof (lies_given dest (under_lies _ a b dest invoked_known to)) as given.
  destruct (made_held make _ new is_made made) as (more & lower).
  pose proof (fewer_rights old (rights_of_word e)) as masked.
  apply fit_derived; [exact nobodys | | | | exact ok].
  - apply low_derived, lower, (yields_low _ _ masked). exact (known_low old known_old).
  - apply (granted_by p subject dest _ given), may_derived, more, (may_yields p subject _ _ masked). exact (proj2 known_old usable).
  - intros u same is_u. rewrite found in same. injection same as <-. exact (granted_by p subject dest _ given (proj2 known_old usable)).
Qed.
Lemma at_change j s c before : capability_at j (change_capability s c before) = capability_at j before
  \/ j = s /\ capability_at j (change_capability s c before) = Some c.
Proof.
  unfold change_capability. destruct (slots before !! s) as [e|] eqn:found; [|left; reflexivity]. destruct (_ && _); [|left; reflexivity].
  rewrite !capability_at_in, (in_replace s e c before j found). destruct (N.eqb_spec j s) as [->|]; [right; split; reflexivity | left; reflexivity].
Qed.
Lemma fit_move_into a b c d i make : makes make -> decided (move_into a b c d (cap i call) make call st).
Proof.
  intros is_made. unfold move_into, empty_slot_in, slot_in. destruct ((1 <=? b) && _); [|exact I].
  destruct (slot_under (Some (invoked call)) a b st) as [dest|] eqn:to; [|exact I]. destruct (is_empty dest st); [|exact I].
  destruct ((1 <=? d) && _); [|exact I]. destruct (slot_under (argument (cap i call)) c d st) as [src|] eqn:from; [|exact I].
  unfold occupant. destruct (capability_at src st) as [old|] eqn:found; [|exact I]. destruct (is_zombie old) eqn:usable; [exact I|]. cbn [negb].
  destruct (make old) as [new|] eqn:made; [|exact I]. cbn [decided always state_after].
  pose proof (lies_known src old (cap_under i c d src from) found) as known_old.
  pose proof (lies_given dest (under_lies _ a b dest invoked_known to)) as given.
  destruct (made_held make _ new is_made made) as (more & lower). pose proof (proj2 known_old usable) as held.
  pose proof (fit_change p src old new st (lower (known_low old known_old)) found usable more ok) as changed.
  destruct (at_change src src new st) as [same|(_ & same)].
  - rewrite found in same. apply (fit_move p src dest _ old); [|exact same | right; left; exact (granted_by p subject dest old given held) | exact changed].
    exact (not_eq_sym (not_nowhere p nobodys dest old (granted_by p subject dest old given held))).
  - apply (fit_move p src dest _ new); [|exact same | right; left; exact (granted_by p subject dest new given (more subject held)) | exact changed].
    exact (not_eq_sym (not_nowhere p nobodys dest old (granted_by p subject dest old given held))).
Qed.
Lemma fit_cnode_rotate a b c d e f g h i j : decided (cnode_rotate a b c d e f g h (cap i call) (cap j call) call st).
Proof.
  unfold cnode_rotate, slot_in. destruct ((1 <=? b) && _); [|exact I]. destruct (slot_under (Some (invoked call)) a b st) as [dest|] eqn:to; [|exact I].
  destruct ((1 <=? h) && _); [|exact I]. destruct (slot_under (argument (cap j call)) g h st) as [src|] eqn:from; [|exact I].
  destruct ((1 <=? e) && _); [|exact I]. destruct (slot_under (argument (cap i call)) d e st) as [pivot|] eqn:over; [|exact I].
  destruct (negb (pivot =? src) && _) eqn:differ; [|exact I]. destruct ((dest =? src) || is_empty dest st) eqn:vacant; [|exact I]. unfold occupant.
  destruct (capability_at src st) as [x|] eqn:at_src; [|exact I]. destruct (capability_at pivot st) as [y|] eqn:at_pivot; [|exact I].
  destruct (is_zombie x) eqn:usable_x; [exact I|]. destruct (is_zombie y) eqn:usable_y; [exact I|]. cbn [negb andb].
  destruct (mutated c y) as [to_dest|] eqn:made_y; [|exact I]. destruct (mutated f x) as [to_pivot|] eqn:made_x; [|exact I]. cbn [decided always state_after].
  rewrite andb_true_iff, !negb_true_iff, !N.eqb_neq in differ. destruct differ as (not_src & not_dest).
  pose proof (cap_under j g h src from) as lies_src. pose proof (cap_under i d e pivot over) as lies_pivot.
  pose proof (under_lies _ a b dest invoked_known to) as lies_dest.
  pose proof (lies_known src x lies_src at_src) as known_x. pose proof (lies_known pivot y lies_pivot at_pivot) as known_y.
  destruct (made_held _ y to_dest (makes_mutated c) made_y) as (more_y & lower_y).
    destruct (made_held _ x to_pivot (makes_mutated f) made_x) as (more_x & lower_x).
  pose proof (proj2 known_x usable_x) as held_x. pose proof (proj2 known_y usable_y) as held_y.
  pose proof (fit_change p pivot y to_dest st (lower_y (known_low y known_y)) at_pivot usable_y more_y ok) as fit1.
  set (st1 := change_capability pivot to_dest st) in *.
  assert (capability_at src st1 = Some x) as at_src1 by (destruct (at_change src pivot to_dest st) as [same|(same & _)]; [unfold st1; congruence | congruence]).
  assert (exists y', capability_at pivot st1 = Some y' /\ may p subject y') as (y' & at_pivot1 & held_y')
    by (destruct (at_change pivot pivot to_dest st) as [same|(_ & same)]; [exists y; unfold st1; split; [congruence | exact held_y] | exists to_dest; split;
      [exact same | exact (more_y _ held_y)]]).
  pose proof (fit_change p src x to_pivot st1 (lower_x (known_low x known_x)) at_src1 usable_x more_x fit1) as fit2.
  set (st2 := change_capability src to_pivot st1) in *.
  assert (capability_at pivot st2 = Some y') as at_pivot2 by (destruct (at_change pivot src to_pivot st1) as [same|(same & _)]; [unfold st2; congruence
    | congruence]).
  assert (exists x', capability_at src st2 = Some x' /\ may p subject x') as (x' & at_src2 & held_x')
    by (destruct (at_change src src to_pivot st1) as [same|(_ & same)]; [exists x; unfold st2; split; [congruence | exact held_x] | exists to_pivot; split;
      [exact same | exact (more_x _ held_x)]]).
  assert (forall slot z, lies slot -> may p subject z -> granted p slot z) as given by (intros slot z lies_ held;
    exact (granted_by p subject slot z (lies_given slot lies_) held)).
  destruct (dest =? src).
  - apply (fit_exchange p src pivot st2 x' y' at_src2 at_pivot2 (not_eq_sym not_src)); [right; left; exact (given pivot x' lies_pivot held_x') | | exact fit2].
    right. left. exact (given src y' lies_src held_y').
  - assert (fit (move_capability pivot dest st2)) as fit3.
    { apply (fit_move p pivot dest st2 y'); [| exact at_pivot2 | right; left; exact (given dest y' lies_dest held_y') | exact fit2].
      exact (not_eq_sym (not_nowhere p nobodys dest y' (given dest y' lies_dest held_y'))). }
    assert (pivot <> nowhere) as elsewhere by exact (not_eq_sym (not_nowhere p nobodys pivot x' (given pivot x' lies_pivot held_x'))).
    destruct (capability_at src (move_capability pivot dest st2)) as [z|] eqn:at_src3.
    + apply (fit_move p src pivot _ z elsewhere at_src3); [|exact fit3]. right. left. apply (given pivot z lies_pivot).
      destruct (move_cases pivot dest st2) as [same|(w & at_w & none)].
      * rewrite same in at_src3. change (capability_at src st2 = Some z) in at_src3. congruence.
      * rewrite (proj2 (proj2 (move_in pivot dest st2 w at_w none))) in at_src3. destruct (src =? dest); [congruence|]. destruct (src =? pivot); congruence.
    + rewrite (move_stuck src pivot _ (or_introl at_src3)). apply q_emit. exact fit3.
Qed.

(** ** The slots of threads and interrupts *)
Definition may_replace (by_ : option (N * Capability)) : Prop := forall s c, by_ = Some (s, c) -> low c /\ no_memory c /\ may p subject (derived c).
Lemma fit_replace_slot slot by_ before : gives_to p subject slot -> may_replace by_ -> fit before -> fit (state_of (replace_slot slot by_ before)).
Proof.
  intros given each okb. apply fit_replace; [exact nobodys | | exact okb]. intros s c same. destruct (each s c same) as (is_low & none & held).
  split; [exact is_low|]. split; [exact none | exact (granted_by p subject slot _ given held)].
Qed.
Lemma replaces_nothing : may_replace None. Proof. intros s c. discriminate. Qed.
Lemma replaces_argument i : (forall c, argument (cap i call) = Some c -> no_memory c /\ is_zombie c = false) -> may_replace (replacement (cap i call)).
Proof.
  intros kind s c same. unfold replacement in same. destruct (argument (cap i call)) as [d|] eqn:given; [|discriminate]. injection same as _ <-.
  destruct (kind d eq_refl) as (none & usable). pose proof (proj2 (cap_known i d given)) as known_.
  split; [exact (known_low d known_)|]. split; [exact none | exact (may_derived p subject d (proj2 known_ usable))].
Qed.
Lemma replaces_guarded data i : is_cnode (cap i call) = true -> may_replace (guarded data (cap i call)).
Proof.
  intros kind s c same. unfold guarded, is_cnode in *. destruct (argument (cap i call)) as [d|] eqn:given; [|discriminate].
  destruct d as [| | | |o radix guard size| | | | | | | | | | | | | |]; try discriminate kind. pose proof (proj2 (cap_known i _ given)) as known_.
  pose proof (known_low _ known_) as is_low. pose proof (proj2 known_ eq_refl) as held.
  destruct (data =? 0); [injection same as _ <-; repeat split; first [exact held | apply is_low]|].
  destruct (with_guard data _) as [made|] eqn:guarded_; [|discriminate]. injection same as _ <-.
  pose proof (other_guard _ data made guarded_) as made_so. split; [exact (yields_low _ _ made_so is_low)|].
  split; [|exact (may_derived p subject _ (may_yields p subject _ _ made_so held))].
  unfold with_guard in guarded_. destruct (_ <=? _); [|discriminate]. injection guarded_ as <-. intros base bits device used. reflexivity.
Qed.
Lemma thread_is t : invoked call = TCBCap t -> forall i, i < thread_slots -> gives_to p subject (slot_of t i).
Proof. intros is_t i less. apply (to_threads p st subject gives_all); [|exact less]. pose proof invoked_known as known_t. rewrite is_t in known_t.
  exact (proj2 known_t eq_refl). Qed.
Lemma fit_buffer t address i before : invoked call = TCBCap t -> (address =? 0) || is_memory_frame (cap i call) = true -> fit before ->
  fit (state_of (set_buffer t address (cap i call) before)).
Proof.
  intros is_t kind okb. unfold set_buffer, replace_in. cbv zeta.
  assert (fit (state_of (replace_slot (slot_of t buffer_slot) (if address =? 0 then None else replacement (cap i call)) (change_thread t (fun x => x <|
    buffer_address := 0 |>) before)))) as replaced_.
  { apply fit_replace_slot; [exact (thread_is t is_t buffer_slot eq_refl) | | apply q_thread; exact okb]. destruct (address =? 0); [exact replaces_nothing|].
    apply replaces_argument. unfold is_memory_frame in kind. destruct (argument (cap i call)) as [d|]; [|discriminate].
    intros c same. injection same as <-. destruct d; try discriminate kind. split; [intros base' bits' device' used; reflexivity | reflexivity]. }
  destruct (replace_slot _ _ _) as [after|after]; [|exact replaced_]. cbn [and_then state_of] in *. apply q_thread. exact replaced_.
Qed.
Lemma replaces_fault i : is_fault_endpoint (cap i call) = true -> may_replace (replacement (cap i call)).
Proof.
  intros kind. apply replaces_argument. unfold is_fault_endpoint in kind. intros c same. rewrite same in kind. destruct c; try discriminate kind.
  split; [intros base bits device used; reflexivity | reflexivity].
Qed.
Lemma replaces_vspace i : is_usable_vspace (cap i call) = true -> may_replace (replacement (cap i call)).
Proof.
  intros kind. apply replaces_argument. unfold is_usable_vspace in kind. intros c same. rewrite same in kind. destruct c; try discriminate kind.
  split; [intros base bits device used; reflexivity | reflexivity].
Qed.
Lemma then_fit q f : fit (state_of q) -> (forall after, fit after -> fit (state_of (f after))) -> fit (state_of (and_then q f)).
Proof. intros okq each. destruct q as [after|after]; [exact (each after okq) | exact okq]. Qed.
Lemma invoked_thread_is m : fits m (invoked call) -> Method.invoked m = CapType.TCB -> exists t, invoked call = TCBCap t /\ invoked_thread call = t.
Proof. unfold fits, invoked_thread. intros kind same. rewrite same in kind. destruct (invoked call); try discriminate kind. eexists. split; reflexivity. Qed.
Lemma fit_configure a b c i j k t : invoked call = TCBCap t -> decided (tcb_configure a b c (cap i call) (cap j call) (cap k call) call st).
Proof.
  intros is_t. unfold tcb_configure. replace (invoked_thread call) with t by (unfold invoked_thread; rewrite is_t; reflexivity). cbv zeta.
  destruct (is_cnode (cap i call)) eqn:root; [|exact I]. destruct (is_some _); [|exact I]. destruct (is_usable_vspace (cap j call)) eqn:space; [|exact I].
  destruct (_ || _) eqn:frame; [|exact I]. destruct (aligned _ _); [|exact I]. apply decided_progress.
  apply then_fit; [exact (fit_replace_slot _ _ st (thread_is t is_t cspace_slot eq_refl) (replaces_guarded a i root) ok)|]. intros after1 ok1.
  apply then_fit; [exact (fit_replace_slot _ _ after1 (thread_is t is_t vspace_slot eq_refl) (replaces_vspace j space) ok1)|]. intros after2 ok2.
  exact (fit_buffer t c k after2 is_t frame ok2).
Qed.
Lemma fit_set_buffer a i t : invoked call = TCBCap t -> decided (tcb_set_ipc_buffer a (cap i call) call st).
Proof.
  intros is_t. unfold tcb_set_ipc_buffer. replace (invoked_thread call) with t by (unfold invoked_thread; rewrite is_t; reflexivity).
  destruct (_ || _) eqn:frame; [|exact I]. destruct (aligned _ _); [|exact I]. apply decided_progress. exact (fit_buffer t a i st is_t frame ok).
Qed.
Lemma fit_set_space a b i j k t : invoked call = TCBCap t -> decided (tcb_set_space a b (cap i call) (cap j call) (cap k call) call st).
Proof.
  intros is_t. unfold tcb_set_space. replace (invoked_thread call) with t by (unfold invoked_thread; rewrite is_t; reflexivity). cbv zeta.
  destruct (is_fault_endpoint (cap i call)) eqn:handler; [|exact I]. destruct (is_cnode (cap j call)) eqn:root; [|exact I].
  destruct (is_some _); [|exact I]. destruct (is_usable_vspace (cap k call)) eqn:space; [|exact I]. apply decided_progress.
  apply then_fit; [exact (fit_replace_slot _ _ st (thread_is t is_t fault_slot eq_refl) (replaces_fault i handler) ok)|]. intros after1 ok1.
  apply then_fit; [exact (fit_replace_slot _ _ after1 (thread_is t is_t cspace_slot eq_refl) (replaces_guarded a j root) ok1)|]. intros after2 ok2.
  exact (fit_replace_slot _ _ after2 (thread_is t is_t vspace_slot eq_refl) (replaces_vspace k space) ok2).
Qed.
Lemma fit_timeout i t : invoked call = TCBCap t -> decided (tcb_set_timeout_endpoint (cap i call) call st).
Proof.
  intros is_t. unfold tcb_set_timeout_endpoint. replace (invoked_thread call) with t by (unfold invoked_thread; rewrite is_t; reflexivity).
  destruct (is_fault_endpoint (cap i call)) eqn:handler; [|exact I]. apply decided_progress.
  exact (fit_replace_slot _ _ st (thread_is t is_t timeout_slot eq_refl) (replaces_fault i handler) ok).
Qed.
Lemma fit_sched_params a b i j k t : invoked call = TCBCap t -> decided (tcb_set_sched_params a b (cap i call) (cap j call) (cap k call) call st).
Proof.
  intros is_t. unfold tcb_set_sched_params. replace (invoked_thread call) with t by (unfold invoked_thread; rewrite is_t; reflexivity). cbv zeta.
  unfold thread_argument. destruct (argument (cap i call)) as [[]|]; try exact I. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  assert (forall after, is_fault_endpoint (cap k call) = true -> fit after -> fit (state_of (replace_in t fault_slot (replacement (cap k call)) after))) as ends
    by (intros after handler oka; exact (fit_replace_slot _ _ after (thread_is t is_t fault_slot eq_refl) (replaces_fault k handler) oka)).
  assert (forall c, decided (in_progress (fun st => replace_in t fault_slot (replacement (cap k call)) match c, context_of t (set_priority t b (change_thread
    t (fun x => x <| controlled_priority := a |>) st)) with
    | Some _, Some _ | None, None => set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st)
    | Some c, None => bind_context c t (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st))
    | None, Some old => unbind_thread_of_context old (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st)) end)) \/
      is_fault_endpoint (cap k call) = false) as each.
  { intros c. destruct (is_fault_endpoint (cap k call)) eqn:handler; [left | right; reflexivity]. apply decided_progress, (ends _ eq_refl).
    assert (fit (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st))) as changed by (apply q_priority, q_thread; exact ok).
    destruct c, (context_of t _); [exact changed | apply q_bind; exact changed | apply q_unbind_thread; exact changed | exact changed]. }
  destruct (argument (cap j call)) as [[]|]; try exact I.
  - destruct (_ && _); [|exact I]. destruct (each (Some context)) as [done|none]; [|rewrite none; exact I]. destruct (is_fault_endpoint _); [exact done
    | exact I].
  - destruct (negb _); [|exact I]. destruct (each None) as [done|none]; [|rewrite none; exact I]. destruct (is_fault_endpoint _); [exact done | exact I].
Qed.
Lemma fit_set_notification i irq : invoked call = IRQHandlerCap irq -> decided (irq_handler_set_notification (cap i call) call st).
Proof.
  intros is_h. unfold irq_handler_set_notification, invoked_interrupt. rewrite is_h. cbv zeta.
  destruct (argument (cap i call)) as [[| |n badge r| | | | | | | | | | | | | | | |]|] eqn:given; try exact I. destruct (can_write r); [|exact I].
  apply decided_progress. pose proof (proj2 (cap_known i _ given)) as known_. pose proof invoked_known as known_h. rewrite is_h in known_h.
  apply then_fit; [apply fit_replace; [exact nobodys | | exact ok]|].
  - intros s c same. injection same as _ <-. split; [exact (known_low _ known_)|]. split; [intros base bits device used; reflexivity|].
    exact (to_interrupts p st subject gives_all _ irq n badge r (eq_trans there (f_equal Some is_h)) (proj2 known_h eq_refl) (proj2 known_ eq_refl)).
  - intros after oka. cbn [state_of]. apply q_mask. exact oka.
Qed.
Lemma fit_clear : decided (irq_handler_clear call st).
Proof. unfold irq_handler_clear. apply decided_progress, fit_delete, q_mask. exact ok. Qed.

(** ** Spaces *)
Lemma fit_rechange slot old c after : slots after = slots st -> capability_at slot st = Some old -> is_zombie old = false -> yields old c -> fit after ->
  fit (change_capability slot c after).
Proof.
  intros same here usable made_so oka. apply (fit_change p slot old c after); [| | exact usable | | exact oka].
  - apply (yields_low old c made_so), (low_ok st (proj1 ok) slot). rewrite <- capability_at_in. exact here.
  - rewrite (capability_same slot st after same). exact here.
  - intros s. exact (may_yields p s old c made_so).
Qed.
Lemma fit_table_map a b i : decided (page_table_map a b (cap i call) call st).
Proof.
  unfold page_table_map. destruct (invoked call) as [| | | | | | | | |table place| | | | | | | | |] eqn:is_t; try exact I. destruct place; [exact I|].
  unfold vspace_argument. destruct (argument (cap i call)) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|]; try exact I. destruct (owns_asid _ _ _);
    [|exact I].
  cbv beta iota zeta. destruct (_ <? _); [|exact I]. destruct (walk_tables 3 v 0 a st) as ((above & level) & entry). destruct (_ && _); [|exact I].
  cbn [decided always state_after]. apply (fit_rechange _ (PageTableCap table None)); [| exact there | reflexivity | apply other_place_of_table|].
  - exact (@keeps_set_page_entry _ _ _ _ (slots_are_kept_quietly (slots st)) _ _ _ (fun _ frozen => False_ind _ (diff_false_true frozen)) st eq_refl).
  - apply q_entry. exact ok.
Qed.
Lemma fit_table_unmap : decided (page_table_unmap call st).
Proof.
  unfold page_table_unmap. destruct (invoked call) as [| | | | | | | | |table place| | | | | | | | |] eqn:is_t; try exact I. destruct (is_last _ _); [|exact I].
  cbn [decided always state_after]. apply (fit_rechange _ (PageTableCap table place)); [| exact there | reflexivity | apply other_place_of_table|].
  - exact (@keeps_unmap_table _ _ _ _ (slots_are_kept_quietly (slots st)) _ _ st eq_refl).
  - apply q_unmap_table. exact ok.
Qed.
Lemma fit_frame_map a b c i : decided (frame_map a b c (cap i call) call st).
Proof.
  unfold frame_map. destruct (invoked call) as [| | | | | | | | | |base bits device r place| | | | | | | |] eqn:is_f; try exact I.
  unfold vspace_argument. destruct (argument (cap i call)) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|]; try exact I. destruct (owns_asid _ _ _);
    [|exact I].
  cbv beta iota zeta.
  match goal with |- decided (if ?x then _ else _) => destruct x end; [|exact I]. match goal with |- decided (if ?x then _ else _) => destruct x end; [|exact
    I].
  match goal with |- decided (if ?x then _ else _) => destruct x end; [|exact I]. match goal with |- decided (if ?x then _ else _) => destruct x end; [|exact
    I].
  destruct (table_of_level _ _ _ _) as [table|missing]; [|exact I]. match goal with |- decided (if ?x then _ else _) => destruct x end; [|exact I].
  cbn [decided always state_after]. match goal with |- context [if ?x then emit _ st else st] => destruct x end;
    (apply (fit_rechange _ (FrameCap base bits device r place)); [| exact there | reflexivity | apply other_place_of_frame | apply q_entry; first [apply
      q_emit; exact ok | exact ok]]);
    match goal with |- slots (set_page_entry ?t ?i ?e ?x) = _ =>
      exact (@keeps_set_page_entry _ _ _ _ (slots_are_kept_quietly (slots st)) t i e (fun _ frozen => False_ind _ (diff_false_true frozen)) x eq_refl) end.
Qed.
Lemma fit_frame_unmap : decided (frame_unmap call st).
Proof.
  unfold frame_unmap. destruct (invoked call) as [| | | | | | | | | |base bits device r place| | | | | | | |] eqn:is_f; try exact I.
  cbn [decided always state_after]. apply (fit_rechange _ (FrameCap base bits device r place)); [| exact there | reflexivity | apply other_place_of_frame|].
  - exact (@keeps_unmap_frame _ _ _ _ (slots_are_kept_quietly (slots st)) _ _ _ st eq_refl).
  - apply q_unmap_frame. exact ok.
Qed.
Lemma fit_assign i : decided (asid_pool_assign (cap i call) call st).
Proof.
  unfold asid_pool_assign. destruct (invoked call) eqn:is_p; try exact I.
  destruct (argument (cap i call)) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|] eqn:given; try exact I. destruct (free_entry _); [|exact I].
  cbv zeta. cbn [decided always state_after]. apply (fit_rechange _ (VSpaceCap v None)); [| exact (proj1 (cap_known i _ given)) | reflexivity
    | apply other_asid|].
  - exact (@keeps_change_pool _ _ _ _ (slots_are_kept_quietly (slots st)) _ _ st eq_refl).
  - apply q_pool. exact ok.
Qed.
Lemma fit_pool a b i j : decided (asid_control_make_pool a b (cap i call) (cap j call) call st).
Proof.
  unfold asid_control_make_pool. destruct (free_pool_index st) as [number|]; [|exact I].
  destruct (argument (cap i call)) as [c|] eqn:given; [|exact I]. destruct c as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (N.eq_dec bits 12) as [->|other].
  2: { repeat match goal with |- decided (match ?x with _ => _ end) => is_var x; destruct x; try exact I; try contradiction end. }
  destruct device; [exact I|]. destruct (negb _); [|exact I]. unfold empty_slot_in, slot_in. destruct ((1 <=? b) && _); [|exact I].
  destruct (slot_under (argument (cap j call)) a b st) as [slot|] eqn:to; [|exact I]. destruct (is_empty slot st); [|exact I].
  cbn [decided always state_after]. pose proof (proj2 (cap_known i _ given)) as known_. pose proof (pool_made base used) as made_so.
  assert (granted p slot (ASIDPoolCap base)) as granted_
    by exact (granted_by p subject slot _ (lies_given slot (cap_under j a b slot to)) (may_yields p subject _ _ made_so (proj2 known_ eq_refl))).
  pose proof (yields_low _ _ made_so (known_low _ known_)) as is_low.
  set (before := set_field pools _ _). assert (fit before) as (right & okb & free) by (apply (fit_like p st); try reflexivity; exact ok).
  split; [exact (@keeps_carve_pool _ _ _ _ sound_is_kept _ base _ slot is_low before right)|].
  split; [exact (carve_use p _ base _ _ slot _ before granted_ okb)|].
  exact (carve_elsewhere _ base _ _ slot _ before nowhere (not_nowhere p nobodys slot _ granted_) free).
Qed.

(** ** Interrupts *)
Lemma fit_made_of_control c slot o after : invoked call = IRQControlCap -> yields IRQControlCap c -> lies slot -> slots after = slots st -> fit after ->
  fit (insert_derived slot (invoked_slot call) o c after).
Proof.
  intros is_c made_so lies_ same oka. pose proof invoked_known as known_. rewrite is_c in known_.
  apply fit_derived; [exact nobodys | exact (yields_low _ _ made_so (known_low _ known_)) | | | exact oka].
  - exact (granted_by p subject slot _ (lies_given slot lies_) (may_yields p subject _ _ made_so (proj2 known_ eq_refl))).
  - intros u here is_u. rewrite (capability_same _ st after same), there, is_c in here. injection here as <-. discriminate is_u.
Qed.
Lemma fit_irq_get a b c d i : invoked call = IRQControlCap -> decided (irq_control_get a b c d (cap i call) call st).
Proof.
  intros is_c. unfold irq_control_get. cbv zeta. destruct (_ || _); [|exact I]. destruct (is_some _); [|exact I]. destruct (_ && _); [|exact I].
  unfold empty_slot_in, slot_in. destruct ((1 <=? d) && _); [|exact I].
  destruct (slot_under (argument (cap i call)) c d st) as [slot|] eqn:to; [|exact I]. destruct (is_empty slot st); [|exact I].
  cbn [decided always state_after].
  apply (fit_made_of_control (IRQHandlerCap a)); [exact is_c | apply interrupt_claimed | exact (cap_under i c d slot to) | destruct (is_held_back a);
    reflexivity|].
  apply (fit_like p st); try (destruct (is_held_back a); reflexivity). exact ok.
Qed.
Lemma fit_issue a b c d i : invoked call = IRQControlCap -> decided (irq_control_issue_sgisignal a b c d (cap i call) call st).
Proof.
  intros is_c. unfold irq_control_issue_sgisignal. destruct (_ && _); [|exact I]. destruct (_ <? _); [|exact I].
  unfold empty_slot_in, slot_in. destruct ((1 <=? d) && _); [|exact I].
  destruct (slot_under (argument (cap i call)) c d st) as [slot|] eqn:to; [|exact I]. destruct (is_empty slot st); [|exact I].
  cbn [decided always state_after].
  apply (fit_made_of_control (SGISignalCap a b)); [exact is_c | apply sender_made | exact (cap_under i c d slot to) | reflexivity | exact ok].
Qed.

(** ** Methods that move no capability *)
Lemma fit_decision d : (forall work before, d = Perform work -> fit before -> fit (state_after (work before))) -> decided d.
Proof. intros each. destruct d as [e l|work]; [exact I | exact (each work st eq_refl ok)]. Qed.
Lemma fit_maintain t piece start end_ : (forall x before, fit before -> fit (snd (piece x before))) -> fit (state_after (maintain t piece start end_ st)).
Proof.
  intros each. pose proof (@keeps_maintain _ _ _ _ (fit_is_kept_quietly p) t piece start end_ (fun x before okb => conj I (each x before okb)) st ok) as done.
  destruct (maintain _ _ _ _ _); exact done.
Qed.
Lemma fit_piece op v end_ x before : fit before -> fit (snd (piece_of_space op v end_ x before)).
Proof. intros okb. exact (proj2 (@keeps_piece_of_space _ _ _ _ (fit_is_kept_quietly p) op v end_ x before okb)). Qed.
Ltac by_cases_ := repeat (cbv beta iota zeta; match goal with
  | |- decided (match ?x with _ => _ end) => destruct x
  | |- decided (thread_argument _ _ _) => unfold thread_argument
  | |- decided (slot_in _ _ _ _ _ _) => unfold slot_in
  | |- decided (Refuse _ _) => exact I
  | |- decided (reports _) => exact ok
  | |- decided (in_progress _) => apply decided_progress
  | |- decided (always _) => cbn [decided always state_after]
  | |- decided (Perform _) => cbn [decided state_after]
  | |- decided _ => exact I
  | |- fit (match ?x with _ => _ end) => destruct x
  end).
Ltac settle := repeat match goal with
  | H : fit ?x |- fit ?x => exact H
  | |- fit (change_thread _ _ _) => apply q_thread
  | |- fit (change_notification _ _ _) => apply q_notification
  | |- fit (change_context _ _ _) => apply q_context; [reflexivity|]
  | |- fit (suspend_if _ _ _) => apply q_suspend_if
  | |- fit (suspend _ _) => apply q_suspend
  | |- fit (resume_if _ _ _) => apply q_resume_if
  | |- fit (resume _ _) => apply q_resume
  | |- fit (stop_for_writing _ _) => apply q_stop
  | |- fit (copy_registers _ _ _ _) => apply q_copy
  | |- fit (set_priority _ _ _) => apply q_priority
  | |- fit (bind_context _ _ _) => apply q_bind
  | |- fit (unbind_thread_of_context _ _) => apply q_unbind_thread
  | |- fit (unbind_notification_of_context _ _) => apply q_unbind_of
  | |- fit (unbind_notification _ _ _) => apply q_unbind
  | |- fit (state_of (cancel_badged_sends _ _ _)) => apply q_cancel
  | |- fit (state_of (revoke _ _)) => apply fit_revoke
  | |- fit (state_of (delete _ _)) => apply fit_delete
  | |- fit (book_turn _) => apply q_book_turn
  | |- fit (will_book _) => apply q_will_book
  | |- fit (place_anew _ _) => apply q_place_anew
  | |- fit (place_ahead _ _) => apply q_place_ahead
  | |- fit (place _ _) => apply q_place
  | |- fit (end_yield _ _) => apply q_end_yield
  | |- fit (deactivate _ _) => apply q_deactivate
  | |- fit (begin_turn _ _) => apply q_turn
  | |- fit (set_field schedule_start _ ?s) => apply (fit_like p s); try reflexivity
  | |- fit (set_field schedule _ ?s) => apply (fit_like p s); try reflexivity
  | |- fit (id ?s) => change (fit s)
  | |- fit (match ?x with _ => _ end) => destruct x
  end.
Lemma fit_consumed : decided (sched_context_consumed call st).
Proof.
  unfold sched_context_consumed. cbn [decided]. pose proof (q_report p (invoked_context call) st ok) as told.
  destruct (report_consumed _ st) as (used & after). exact told.
Qed.
Lemma fit_yield_to : decided (sched_context_yield_to call st).
Proof.
  unfold sched_context_yield_to. cbv zeta. destruct (context_thread _); [|exact I]. destruct (negb _); [|exact I]. destruct (_ <=? _); [|exact I].
  cbn [decided]. set (st1 := match yielder _ with Some other => _ | None => st end). assert (fit st1) as ok1 by (unfold st1; destruct (yielder _); settle).
  clearbody st1. destruct (_ && _ && _); cbn [state_after]; [settle|]. set (st2 := if member _ _ then _ else st1).
  assert (fit st2) as ok2 by (unfold st2; destruct (member _ _); settle). clearbody st2. pose proof (q_report p (invoked_context call) st2 ok2) as told.
  destruct (report_consumed _ st2) as (used & after). exact told.
Qed.
Lemma fit_configure_context a b c d e i : decided (sched_control_configure_flags a b c d e (cap i call) call st).
Proof.
  unfold sched_control_configure_flags. destruct (argument (cap i call)) as [[]|]; try exact I. destruct (invoked call); try exact I.
  cbv zeta. destruct (_ && _); [|exact I]. destruct (_ && _); [|exact I]. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  cbn [decided always state_after].
  match goal with |- context [if is_number ?x ?y then book_turn st else st] => set (st1 := if is_number x y then book_turn st else st) end.
  assert (fit st1) as ok1 by (unfold st1; destruct (is_number _ _); settle). clearbody st1.
  set (st2 := change_context _ _ st1). assert (fit st2) as ok2 by (unfold st2; settle). clearbody st2.
  destruct (thread_that_uses _ _); [|destruct (context_thread _)]; settle.
Qed.
Lemma good_decides_fit d : (match d with Perform work => forall before, fit before -> match work before with Returns _ st | Stops st
  | Continues st => fit st end | Refuse _ _ => True end) -> decided d.
Proof. destruct d as [e l|work]; intros each; [exact I|]. pose proof (each st ok) as after. unfold decided. destruct (work st); exact after. Qed.
Lemma fit_decode m : fits m (invoked call) -> decided (decode_method m call st).
Proof.
  intros kind. unfold decode_method.
  assert (Method.invoked m = CapType.TCB -> exists t, invoked call = TCBCap t) as is_thread.
  { unfold fits in kind. intros same. rewrite same in kind. destruct (invoked call); try discriminate kind. eexists. reflexivity. }
  assert (Method.invoked m = CapType.IRQControl -> invoked call = IRQControlCap) as is_control.
  { unfold fits in kind. intros same. rewrite same in kind. destruct (invoked call); try discriminate kind. reflexivity. }
  assert (Method.invoked m = CapType.IRQHandler -> exists irq, invoked call = IRQHandlerCap irq) as is_handler.
  { unfold fits in kind. intros same. rewrite same in kind. destruct (invoked call); try discriminate kind. eexists. reflexivity. }
  clear kind. destruct m; cbn [Method.invoked] in is_thread, is_control, is_handler.
  all: match goal with
  | |- decided (untyped_retype _ _ _ _ _ _ _ _ _) => eapply fit_retype; eassumption
  | |- decided (tcb_configure _ _ _ _ _ _ _ _) => destruct (is_thread eq_refl); eapply fit_configure; eassumption
  | |- decided (tcb_set_ipc_buffer _ _ _ _) => destruct (is_thread eq_refl); eapply fit_set_buffer; eassumption
  | |- decided (tcb_set_space _ _ _ _ _ _ _) => destruct (is_thread eq_refl); eapply fit_set_space; eassumption
  | |- decided (tcb_set_timeout_endpoint _ _ _) => destruct (is_thread eq_refl); eapply fit_timeout; eassumption
  | |- decided (tcb_set_sched_params _ _ _ _ _ _ _) => destruct (is_thread eq_refl); eapply fit_sched_params; eassumption
  | |- decided (cnode_copy _ _ _ _ _ _ _ _) => eapply fit_derive; first [eassumption | exact makes_some]
  | |- decided (cnode_mint _ _ _ _ _ _ _ _ _) => eapply fit_derive; first [eassumption | apply makes_badge]
  | |- decided (cnode_move _ _ _ _ _ _ _) => eapply fit_move_into; first [eassumption | exact makes_some]
  | |- decided (cnode_mutate _ _ _ _ _ _ _ _) => eapply fit_move_into; first [eassumption | apply makes_mutated]
  | |- decided (cnode_rotate _ _ _ _ _ _ _ _ _ _ _ _) => eapply fit_cnode_rotate; eassumption
  | |- decided (page_table_map _ _ _ _ _) => eapply fit_table_map; eassumption
  | |- decided (page_table_unmap _ _) => eapply fit_table_unmap; eassumption
  | |- decided (frame_map _ _ _ _ _ _) => eapply fit_frame_map; eassumption
  | |- decided (frame_unmap _ _) => eapply fit_frame_unmap; eassumption
  | |- decided (asid_control_make_pool _ _ _ _ _ _) => eapply fit_pool; eassumption
  | |- decided (asid_pool_assign _ _ _) => eapply fit_assign; eassumption
  | |- decided (irq_control_get _ _ _ _ _ _ _) => pose proof (is_control eq_refl); eapply fit_irq_get; eassumption
  | |- decided (irq_control_issue_sgisignal _ _ _ _ _ _ _) => pose proof (is_control eq_refl); eapply fit_issue; eassumption
  | |- decided (irq_handler_set_notification _ _ _) => destruct (is_handler eq_refl); eapply fit_set_notification; eassumption
  | |- decided (irq_handler_clear _ _) => eapply fit_clear; eassumption
  | |- decided (sched_context_yield_to _ _) => eapply fit_yield_to; eassumption
  | |- decided (sched_context_consumed _ _) => eapply fit_consumed; eassumption
  | |- decided (sched_control_configure_flags _ _ _ _ _ _ _ _) => eapply fit_configure_context; eassumption
  | |- decided _ => idtac
  end.
  all: try (unfold vspace_clean_data, vspace_invalidate_data, vspace_clean_invalidate_data, vspace_unify_instruction;
    apply (good_decides_fit _ (@keeps_vspace_maintain _ _ _ _ (fit_is_kept_quietly p) _ _ _ call st ok))).
  all: try (unfold frame_clean_data, frame_invalidate_data, frame_clean_invalidate_data, frame_unify_instruction;
    apply (good_decides_fit _ (@keeps_frame_maintain _ _ _ _ (fit_is_kept_quietly p) _ _ _ call st ok))).
  all: clear is_thread is_control is_handler.
  all: try solve [unfold tcb_read_registers, tcb_write_registers, tcb_copy_registers, tcb_set_priority, tcb_set_mc_priority, tcb_suspend, tcb_resume,
    tcb_bind_notification, tcb_unbind_notification, tcb_set_tls_base, tcb_set_flags, tcb_set_affinity, tcb_set_breakpoint, tcb_get_breakpoint,
    tcb_unset_breakpoint, tcb_configure_single_stepping, cnode_revoke, cnode_delete, cnode_cancel_badged_sends, sched_context_bind, sched_context_unbind,
    sched_context_unbind_object, irq_handler_ack, domain_set, domain_schedule_configure, domain_schedule_set_start, sched_control_set_thread_access,
      change_flags,
    inspect_read_cnode, inspect_read_tcb, inspect_read_vspace, inspect_read_sched_context, inspect_read_untyped, inspect_read_reply,
    inspect_read_irq_handler, inspect_read_tcb_slot, frame_get_address; by_cases_; settle].

Qed.
End Methods.

(** ** Calls *)
Section Calls.
Variables (p : Policy) (t subject : N).
Notation fit := (fit p).
Hypothesis is_closed : closed p.
Hypothesis nobodys : owner_of p nowhere = None.

Lemma address_known st address slot c : fit st -> acts p st t subject -> slot_of_address t address st = inl slot -> capability_at slot st = Some c ->
  known p st subject c.
Proof.
  intros ok ((part & owned & loud_part & acts_ & loud & itself) & alive_ & gives_all) named_ there. unfold slot_of_address in named_.
  destruct (walk_from_thread t address st) as [slot' rest|] eqn:walked_; [|discriminate]. injection named_ as ->.
  split; [exists slot; exact there|]. intros usable.
  destruct (thread_names p st subject is_closed (proj1 ok) (proj1 (proj2 ok)) loud itself t part address slot rest owned (conj acts_ loud_part) alive_
    walked_) as [lies|lies].
  - exact (use_named p st subject is_closed (proj1 ok) (proj1 (proj2 ok)) part slot c (conj acts_ loud_part) lies there usable).
  - exact (use_named p st subject is_closed (proj1 ok) (proj1 (proj2 ok)) subject slot c (conj itself loud) lies there usable).
Qed.
Lemma occupied_address address st slot c : occupied_slot_of_address t address st = inl (slot, c) ->
  slot_of_address t address st = inl slot /\ capability_at slot st = Some c.
Proof.
  unfold occupied_slot_of_address, slot_of_address. destruct (walk_from_thread t address st) as [s left_|]; [|discriminate].
  destruct (capability_at s st) as [d|] eqn:there; [|discriminate]. intros same. injection same as <- <-. split; [reflexivity | exact there].
Qed.
Lemma arguments_are_known st l arguments : fit st -> acts p st t subject -> cap_arguments_at l t st = inl arguments ->
  forall a c, In a arguments -> argument a = Some c -> capability_at (argument_slot a) st = Some c /\ known p st subject c.
Proof.
  intros ok who. revert arguments. induction l as [|address rest IH]; intros arguments found a c listed is_c.
  - injection found as <-. contradiction.
  - cbn [cap_arguments_at] in found. destruct (slot_of_address t address st) as [slot|] eqn:named_; [|discriminate].
    destruct (cap_arguments_at rest t st) as [others|]; [|discriminate]. injection found as <-. destruct listed as [<-|listed].
    + split; [exact is_c | exact (address_known st address slot c ok who named_ is_c)].
    + exact (IH others eq_refl a c listed is_c).
Qed.
Lemma fit_invoke st address slot c : fit st -> acts p st t subject -> occupied_slot_of_address t address st = inl (slot, c) -> fit (snd (invoke t slot c st)).
Proof.
  intros ok who found. destruct (occupied_address address st slot c found) as (named_ & there).
  pose proof (address_known st address slot c ok who named_ there) as known_. pose proof who as ((part & _ & _ & _ & loud & itself) & _ & gives_all).
  unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(bad & report)] eqn:args; [|exact ok].
  unfold decide. destruct (method_for _ c) as [m|] eqn:method; [|exact ok]. destruct (_ && _); [|exact ok].
  set (call := Build_Invocation t slot c _ arguments).
  pose proof (fit_decode p subject st is_closed gives_all loud itself nobodys ok call there known_
    (arguments_are_known st _ arguments ok who args) m
    (method_fits _ _ _ method)) as done.
  destruct (decode_method m call st) as [error details|work]; [exact ok|]. unfold decided in done. destruct (work st); exact done.
Qed.
End Calls.
