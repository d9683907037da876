(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Writing to slots within a policy

    A thread names slots in CNodes that its subject may hold. A slot gets a capability only where its owner may hold that; what a deletion moves comes
    into slots that end with it. *)
From Coq Require Import Lia.
From Spec Require Export PolicyProofs UnitProofs MemoryProofs.
Open Scope N_scope.

(** ** Slots that are named *)
Definition lies_in (p : Policy) (st : State) (part slot : N) : Prop :=
  exists k o radix guard size i, capability_at k st = Some (CNodeCap o radix guard size) /\ may p part (CNodeCap o radix guard size)
    /\ i < 2 ^ radix /\ slot = slot_of o i.
Lemma index_is_less address low radix : bits_of address low radix < 2 ^ radix.
Proof. unfold bits_of. rewrite N.land_ones. apply N.mod_lt, N.pow_nonzero. discriminate. Qed.
Lemma cnode_passes p part o radix guard size i owner : closed p -> ~ In part (silent p) -> may p part (CNodeCap o radix guard size) -> i < 2 ^ radix ->
  owner_of p (slot_of o i) = Some owner -> passes p owner (acting p part).
Proof.
  intros is_closed loud [quiet|(h & listed & whose & given)] less owned; [contradiction|]. unfold owner_of in owned.
  destruct (List.find _ (regions p)) as [r|] eqn:region; [|discriminate]. injection owned as <-. apply find_some in region.
    destruct region as (region & inside).
  rewrite <- whose. apply (containers_pass p is_closed h r).
  - split; [exact listed | rewrite whose; exact loud].
  - exact (proj1 (cnode_given h o radix guard size given)).
  - exact region.
  - apply (slot_in_cnode o radix guard size h i 0 r (slot_of o i)); [|exact given | exact inside]. f_equal. unfold bits_of.
    rewrite N.shiftr_0_r, N.land_ones, N.mod_small by exact less. reflexivity.
Qed.
Lemma cnode_not_ending st k o radix guard size i : sound st -> capability_at k st = Some (CNodeCap o radix guard size) -> i < 2 ^ radix ->
  ~ is_ending st (slot_of o i).
Proof.
  intros right there less (z & o' & zombie & inside). unfold is_within, slot_count in inside. rewrite andb_true_iff, N.leb_le, N.ltb_lt in inside.
  destruct inside as (above & below). rewrite capability_at_in in zombie, there.
  destruct (N.eq_dec o' o) as [->|other].
  { pose proof (alone _ _ (live_ok st right) z k _ o zombie there eq_refl) as same. subst k. rewrite zombie in there. discriminate. }
  destruct (refers _ _ (live_ok st right) k _ o there eq_refl) as (x & at_o & kind). destruct x; try discriminate kind.
  unfold fits_object, is_of_kind in kind. apply N.eqb_eq in kind. subst radix0.
  assert (forall x, objects st !! o' = Some x -> apart (o, size_of (CNodeObject radix)) (o', size_of x)) as far
    by (intros x at_o'; exact (objects_are_apart st (memory_right st right) o o' _ x at_o at_o' (not_eq_sym other))).
  unfold apart, slot_of, slot_bytes in *. cbn [fst snd size_of] in far. change (N.shiftl 1 slot_bits) with 32 in *.
  rewrite N.shiftl_mul_pow2, N.mul_1_l, N.pow_add_r in far. change (2 ^ slot_bits) with 32 in far.
  destruct (objects st !! o') as [[r|t| | | | | | |]|]; try lia.
  - specialize (far _ eq_refl). cbn [size_of] in far. rewrite N.shiftl_mul_pow2, N.mul_1_l, N.pow_add_r in far. change (2 ^ slot_bits) with 32 in far.
    rewrite N.shiftl_mul_pow2, N.mul_1_l in below. lia.
  - specialize (far _ eq_refl). cbn [size_of] in far. change (N.shiftl 1 tcb_size_bits) with 2048 in far. unfold thread_slots in below. lia.
Qed.

Section Names.
Variables (p : Policy) (st : State) (subject : N).
Hypothesis is_closed : closed p.
Hypothesis right : sound st.
Hypothesis holds : use_within p st.
Hypothesis loud : ~ In subject (silent p).
Hypothesis itself : acting p subject = subject.
Definition is_part (part : N) : Prop := acting p part = subject /\ ~ In part (silent p).

Lemma use_named part slot c : is_part part -> lies_in p st part slot -> capability_at slot st = Some c -> is_zombie c = false -> may p subject c.
Proof.
  intros (acts_ & loud_part) (k & o & radix & guard & size & i & there & held & less & ->) found usable.
  destruct (holds _ c found usable (cnode_not_ending st k o radix guard size i right there less)) as (owner & owned & may_).
  apply (may_passes p owner); [|exact may_]. rewrite <- acts_. exact (cnode_passes p part o radix guard size i owner is_closed loud_part held less owned).
Qed.
Lemma walked levels : forall part k cnode radix guard size address bits_left slot rest,
  is_part part -> capability_at k st = Some (CNodeCap cnode radix guard size) -> may p part (CNodeCap cnode radix guard size) ->
  walk levels cnode radix guard size address bits_left st = Reached slot rest -> lies_in p st part slot \/ lies_in p st subject slot.
Proof.
  induction levels as [|levels IH]; intros part k cnode radix guard size address bits_left slot rest mine there held walked;
    cbn [walk] in walked; cbv zeta in walked; destruct (_ || _); try discriminate walked; destruct (_ <? _); try discriminate walked;
    set (low_ := bits_left - _) in walked;
    assert (lies_in p st part (slot_of cnode (bits_of address low_ radix))) as here
      by (exists k, cnode, radix, guard, size, (bits_of address low_ radix); repeat split; [exact there | exact held | apply index_is_less]).
  - destruct (_ =? 0) in walked; [injection walked as <- _; left; exact here|].
    destruct (capability_at _ st) as [[]|] in walked; try discriminate walked; injection walked as <- _; left; exact here.
  - destruct (_ =? 0) in walked; [injection walked as <- _; left; exact here|].
    destruct (capability_at (slot_of cnode _) st) as [inner|] eqn:found in walked; [|injection walked as <- _; left; exact here].
    destruct inner; try (injection walked as <- _; left; exact here).
    pose proof (use_named part _ _ mine here found eq_refl) as may_. right.
    destruct (IH subject _ _ _ _ _ _ _ slot rest (conj itself loud) found may_ walked); assumption.
Qed.
Lemma thread_names t part address slot rest :
  owner_of p (slot_of t cspace_slot) = Some part -> is_part part -> ~ is_ending st (slot_of t cspace_slot) ->
  walk_from_thread t address st = Reached slot rest -> lies_in p st part slot \/ lies_in p st subject slot.
Proof.
  intros owned mine alive walked_. unfold walk_from_thread, walk_from in walked_.
  destruct (capability_at (slot_of t cspace_slot) st) as [root|] eqn:there; [|discriminate]. destruct root; try discriminate.
  destruct (holds _ _ there eq_refl alive) as (owner & owned' & held). rewrite owned in owned'. injection owned' as <-.
  exact (walked _ part _ _ _ _ _ _ _ slot rest mine there held walked_).
Qed.
(** What is there, and may be held if it can be used. *)
Definition known (c : Capability) : Prop := (exists k, capability_at k st = Some c) /\ (is_zombie c = false -> may p subject c).
Lemma named_under c index depth slot : known c -> slot_under (Some c) index depth st = inl slot -> lies_in p st subject slot.
Proof.
  intros ((k & there) & held) under_. unfold slot_under, walk_from in under_. destruct c; try discriminate under_.
  destruct (walk _ _ _ _ _ _ _ st) as [slot' rest|] eqn:walked_; [|discriminate under_].
  destruct (walked _ subject k _ _ _ _ _ _ slot' rest (conj itself loud) there (held eq_refl) walked_) as [here|here];
    destruct rest; try discriminate under_; injection under_ as <-; exact here.
Qed.
Lemma known_in slot c : lies_in p st subject slot -> capability_at slot st = Some c -> known c.
Proof. intros lies there. split; [exists slot; exact there | exact (use_named subject slot c (conj itself loud) lies there)]. Qed.
End Names.

(** ** Writing *)
Definition granted (p : Policy) (slot : N) (c : Capability) : Prop := exists owner, owner_of p slot = Some owner /\ may p owner c.
Lemma granted_by p subject slot c : gives_to p subject slot -> may p subject c -> granted p slot c.
Proof. intros (owner & owned & pass) held. exists owner. split; [exact owned | exact (may_passes p subject owner c pass held)]. Qed.
Definition endings_stay (a b : State) : Prop :=
  forall z o, capability_at z a = Some (ZombieCap o) -> (exists z', capability_at z' b = Some (ZombieCap o)) /\ (slot_count o a = 0 \/ slot_count o b =
    slot_count o a).
Lemma ending_stays a b j : endings_stay a b -> is_ending a j -> is_ending b j.
Proof.
  intros stay (z & o & zombie & inside). destruct (stay z o zombie) as ((z' & zombie') & same). exists z', o. split; [exact zombie'|].
  destruct same as [none|same].
  - exfalso. unfold is_within, slot_of in inside. rewrite none, andb_true_iff, N.leb_le, N.ltb_lt in inside. lia.
  - unfold is_within in *. rewrite same. exact inside.
Qed.
Lemma count_same o a b : objects b !! o = objects a !! o -> slot_count o b = slot_count o a.
Proof. unfold slot_count. intros ->. reflexivity. Qed.

Section Writing.
Variable p : Policy.
Lemma use_after a b :
  use_within p a ->
  (forall j c, capability_at j b = Some c -> is_zombie c = false -> ~ is_ending b j ->
     granted p j c \/ exists c0, capability_at j a = Some c0 /\ is_zombie c0 = false /\ forall s, may p s c0 -> may p s c) ->
  (forall j c, capability_at j b = Some c -> is_zombie c = false -> is_ending a j -> is_ending b j) ->
  use_within p b.
Proof.
  intros ok came stays j c there usable alive. destruct (came j c there usable alive) as [given|(c0 & before & usable0 & more)]; [exact given|].
  destruct (ok j c0 before usable0) as (owner & owned & held); [|exists owner; split; [exact owned | exact (more owner held)]].
  intros ends. exact (alive (stays j c there usable ends)).
Qed.
Lemma use_same a b : slots b = slots a -> (forall o, slot_count o b = slot_count o a) -> use_within p a -> use_within p b.
Proof.
  intros same count ok. apply (use_after a b ok).
  - intros j c there usable _. right. exists c. rewrite (capability_same j a b same) in there. split; [exact there|]. split; [exact usable | tauto].
  - intros j c _ _. apply ending_stays. intros z o zombie. split; [exists z; rewrite (capability_same z a b same); exact zombie | right; apply count].
Qed.
Lemma use_comes a b slot c :
  (forall j, capability_at j b = if j =? slot then Some c else capability_at j a) -> capability_at slot a = None -> objects b = objects a ->
  granted p slot c -> use_within p a -> use_within p b.
Proof.
  intros found vacant same given ok. apply (use_after a b ok).
  - intros j d. rewrite found. destruct (N.eqb_spec j slot) as [->|]; [intros is_c _ _; injection is_c as <-; left; exact given|].
    intros there usable _. right. exists d. split; [exact there|]. split; [exact usable | tauto].
  - intros j d _ _. apply ending_stays. intros z o zombie. split; [|right; apply count_same; rewrite same; reflexivity].
    exists z. rewrite found. destruct (N.eqb_spec z slot) as [->|]; [congruence | exact zombie].
Qed.
Lemma vacant_at slot st : capability_at slot st = None <-> slots st !! slot = None.
Proof. unfold capability_at. destruct (slots st !! slot); split; congruence. Qed.
Lemma vacant_empty slot st : is_empty slot st = true <-> capability_at slot st = None.
Proof. rewrite vacant_at. apply is_empty_spec. Qed.
Lemma stuck_use st : use_within p st -> use_within p (emit Stuck st).
Proof. exact (use_same st (emit Stuck st) eq_refl (fun o => eq_refl)). Qed.
Lemma child_use slot u o c st : granted p slot c -> use_within p st -> use_within p (insert_child slot u o c st).
Proof.
  intros given ok. destruct (is_empty slot st && negb (is_empty u st)) eqn:can; [|unfold insert_child; rewrite can; exact (stuck_use st ok)].
  apply (use_comes st _ slot c); [| | apply objects_of_insert_child | exact given | exact ok].
  - intros j. rewrite !capability_at_in. exact (in_insert_child slot u o c st j can).
  - apply andb_prop in can. apply vacant_empty. exact (proj1 can).
Qed.
Lemma sibling_use slot s o c st : granted p slot c -> use_within p st -> use_within p (insert_sibling slot s o c st).
Proof.
  intros given ok. destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact (stuck_use st ok)].
  destruct (slots st !! s) as [e|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; exact (stuck_use st ok)].
  apply (use_comes st _ slot c); [| | rewrite (insert_sibling_same slot s o c st); reflexivity | exact given | exact ok].
  - intros j. rewrite !capability_at_in. apply (in_insert_sibling slot s o c st e j); [apply is_empty_spec; exact vacant | exact there].
  - apply vacant_empty. exact vacant.
Qed.
Lemma untyped_used s base bits device used used' : may p s (UntypedCap base bits device used) -> may p s (UntypedCap base bits device used').
Proof. exact id. Qed.
Lemma carve_use untyped at_ size x slot c st : granted p slot c -> use_within p st -> use_within p (carve untyped at_ size x slot c st).
Proof.
  intros given ok. destruct (carve_cases untyped at_ size x slot c st) as [->|cut]; [exact (stuck_use st ok)|].
  destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
  assert (capability_at untyped st = Some (UntypedCap base bits device used)) as at_u by (unfold capability_at; rewrite there, is_it; reflexivity).
  assert (capability_at slot st = None) as none by (apply vacant_at; exact vacant).
  apply (use_after st _ ok).
  - intros j d. rewrite !capability_at_in, caps. destruct (N.eqb_spec j slot) as [->|]; [intros is_c _ _; injection is_c as <-; left; exact given|].
    destruct (N.eqb_spec j untyped) as [->|].
    + intros is_u _ _. injection is_u as <-. right. eexists. rewrite <- capability_at_in. split; [exact at_u|]. split; [reflexivity|]. intros s. exact id.
    + intros here usable _. right. exists d. split; [exact here|]. split; [exact usable | tauto].
  - intros j d _ _. apply ending_stays. intros z o zombie. split.
    + exists z. rewrite capability_at_in, caps. destruct (N.eqb_spec z slot) as [->|]; [congruence|]. destruct (N.eqb_spec z untyped) as [->|]; [congruence|].
      rewrite <- capability_at_in. exact zombie.
    + destruct (objects st !! o) as [y|] eqn:here; [right | left; unfold slot_count; rewrite here; reflexivity]. apply count_same. rewrite objs.
      destruct x as [x|]; [|reflexivity]. rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|reflexivity]. rewrite (unused ltac:(discriminate)) in here.
      discriminate.
Qed.
Lemma derived_use slot s o c st : granted p slot c -> (forall u, capability_at s st = Some u -> is_untyped u = true -> granted p slot u) ->
  use_within p st -> use_within p (insert_derived slot s o c st).
Proof.
  intros given whole ok. unfold insert_derived. destruct (slots st !! s) as [e|] eqn:there; [|exact (stuck_use st ok)].
  assert (capability_at s st = Some (capability e)) as at_s by (unfold capability_at; rewrite there; reflexivity).
  destruct (capability e) eqn:is_it;
    try (destruct (_ || _); [exact (stuck_use st ok)|]; destruct (original e); [exact (child_use slot s o c st given ok)
      | exact (sibling_use slot s o c st given ok)]).
  apply carve_use; [exact (whole _ at_s eq_refl) | exact ok].
Qed.
Lemma change_use slot old c st : capability_at slot st = Some old -> is_zombie old = false -> (forall s, may p s old -> may p s c) ->
  use_within p st -> use_within p (change_capability slot c st).
Proof.
  intros there usable more ok. unfold change_capability. unfold capability_at in there. destruct (slots st !! slot) as [e|] eqn:found; [|discriminate].
  injection there as is_old. destruct (_ && _); [|exact (stuck_use st ok)].
  assert (forall j, capability_at j (replace_capability slot e c st) = if j =? slot then Some c else capability_at j st) as caps
    by (intros j; rewrite !capability_at_in; exact (in_replace slot e c st j found)).
  assert (capability_at slot st = Some old) as there by (unfold capability_at; rewrite found, is_old; reflexivity).
  apply (use_after st _ ok).
  - intros j d. rewrite caps. destruct (N.eqb_spec j slot) as [->|]; [intros is_c _ _; injection is_c as <-; right; exists old; repeat split; assumption|].
    intros here usable_d _. right. exists d. split; [exact here|]. split; [exact usable_d | tauto].
  - intros j d _ _. apply ending_stays. intros z o zombie.
    split; [|right; apply count_same; rewrite (replace_capability_same slot e c st); reflexivity].
    exists z. rewrite caps. destruct (N.eqb_spec z slot) as [->|]; [|exact zombie]. rewrite there in zombie. injection zombie as ->. discriminate usable.
Qed.
Lemma zombie_made_use slot st : use_within p st -> use_within p (make_zombie slot st).
Proof.
  intros ok. unfold make_zombie. destruct (slots st !! slot) as [e|] eqn:found; [|exact (stuck_use st ok)].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|exact (stuck_use st ok)].
  assert (forall j, capability_at j (replace_capability slot e (ZombieCap o) st) = if j =? slot then Some (ZombieCap o) else capability_at j st) as caps
    by (intros j; rewrite !capability_at_in; exact (in_replace slot e _ st j found)).
  apply (use_after st _ ok).
  - intros j d. rewrite caps. destruct (j =? slot); [intros is_z; injection is_z as <-; discriminate|].
    intros here usable_d _. right. exists d. split; [exact here|]. split; [exact usable_d | tauto].
  - intros j d _ _. apply ending_stays. intros z o' zombie.
    split; [|right; apply count_same; rewrite (replace_capability_same slot e (ZombieCap o) st); reflexivity].
    exists z. rewrite caps. destruct (N.eqb_spec z slot) as [->|]; [|exact zombie]. unfold capability_at in zombie. rewrite found in zombie.
    injection zombie as is_z. rewrite is_z in container. injection container as <-. reflexivity.
Qed.

(** Moves: of what cannot be used, to where it may be, or to where it ends. *)
Lemma move_in from to st c : capability_at from st = Some c -> capability_at to st = None ->
  from <> to /\ objects (move_capability from to st) = objects st
  /\ forall j, capability_at j (move_capability from to st) = if j =? to then Some c else if j =? from then None else capability_at j st.
Proof.
  intros at_from vacant. split; [congruence|]. split; [rewrite (move_capability_same from to st); reflexivity|]. intros j.
  pose proof at_from as there. unfold capability_at in there. destruct (slots st !! from) as [e|] eqn:found; [|discriminate].
  rewrite !capability_at_in, (in_move from to st e j found (proj1 (vacant_at to st) vacant)), <- !capability_at_in, at_from. reflexivity.
Qed.
Lemma move_stuck from to st : capability_at from st = None \/ capability_at to st <> None -> move_capability from to st = emit Stuck st.
Proof.
  unfold capability_at, move_capability, is_empty. destruct (slots st !! from), (slots st !! to); intros [none|some]; try discriminate; try congruence;
    reflexivity.
Qed.
Lemma move_cases from to st : move_capability from to st = emit Stuck st
  \/ exists c, capability_at from st = Some c /\ capability_at to st = None.
Proof.
  destruct (capability_at from st) as [c|] eqn:there; [|left; apply move_stuck; left; exact there].
  destruct (capability_at to st) eqn:vacant; [left; apply move_stuck; right; congruence | right; exists c; split; reflexivity].
Qed.
Lemma move_use from to st : (forall c, capability_at from st = Some c -> is_zombie c = true \/ granted p to c \/ is_ending st to) ->
  use_within p st -> use_within p (move_capability from to st).
Proof.
  intros may_go ok. destruct (move_cases from to st) as [->|(c & at_from & vacant)]; [exact (stuck_use st ok)|].
  destruct (move_in from to st c at_from vacant) as (other & objs & caps).
  assert (endings_stay st (move_capability from to st)) as stay.
  { intros z o zombie. split; [|right; apply count_same; rewrite objs; reflexivity]. destruct (N.eq_dec z from) as [->|elsewhere].
    - exists to. rewrite caps, N.eqb_refl. congruence.
    - exists z. rewrite caps. destruct (N.eqb_spec z to) as [->|]; [congruence|]. apply N.eqb_neq in elsewhere. rewrite elsewhere. exact zombie. }
  apply (use_after st _ ok).
  - intros j d. rewrite caps. destruct (N.eqb_spec j to) as [->|].
    + intros is_c usable alive. injection is_c as <-. destruct (may_go c at_from) as [zombie|[given|ends]]; [congruence | left; exact given|].
      destruct (alive (ending_stays _ _ _ stay ends)).
    + destruct (j =? from); [discriminate|]. intros here usable _. right. exists d. split; [exact here|]. split; [exact usable | tauto].
  - intros j d _ _. apply ending_stays. exact stay.
Qed.
Lemma exchange_in a b st ca cb : capability_at a st = Some ca -> capability_at b st = Some cb -> a <> b -> capability_at nowhere st = None ->
  objects (exchange_capabilities a b st) = objects st
  /\ forall j, capability_at j (exchange_capabilities a b st) = if j =? b then Some ca else if j =? a then Some cb else capability_at j st.
Proof.
  intros at_a at_b other free. unfold exchange_capabilities.
  destruct (move_in a nowhere st ca at_a free) as (d1 & objs1 & caps1). set (st1 := move_capability a nowhere st) in *.
  assert (b <> nowhere) as d2 by congruence.
  assert (capability_at b st1 = Some cb) as at_b1.
  { rewrite caps1. apply N.eqb_neq in d2. rewrite d2. destruct (N.eqb_spec b a); [congruence | exact at_b]. }
  assert (capability_at a st1 = None) as none1 by (rewrite caps1, N.eqb_refl; apply N.eqb_neq in d1; rewrite d1; reflexivity).
  destruct (move_in b a st1 cb at_b1 none1) as (_ & objs2 & caps2). set (st2 := move_capability b a st1) in *.
  assert (capability_at nowhere st2 = Some ca) as at_n2.
  { rewrite caps2. destruct (N.eqb_spec nowhere a); [congruence|]. destruct (N.eqb_spec nowhere b); [congruence|]. rewrite caps1, N.eqb_refl. reflexivity. }
  assert (capability_at b st2 = None) as none2 by (rewrite caps2, N.eqb_refl; destruct (N.eqb_spec b a); [congruence | reflexivity]).
  destruct (move_in nowhere b st2 ca at_n2 none2) as (_ & objs3 & caps3). split; [congruence|]. intros j. rewrite caps3, caps2, caps1.
  destruct (N.eqb_spec j b); [reflexivity|]. destruct (N.eqb_spec j nowhere) as [->|]; [|destruct (j =? a); reflexivity].
  destruct (N.eqb_spec nowhere a); [congruence | symmetry; exact free].
Qed.
Lemma exchange_use a b st ca cb : capability_at a st = Some ca -> capability_at b st = Some cb -> a <> b -> capability_at nowhere st = None ->
  is_zombie ca = true \/ granted p b ca \/ is_ending st b -> is_zombie cb = true \/ granted p a cb \/ is_ending st a ->
  use_within p st -> use_within p (exchange_capabilities a b st) /\ capability_at nowhere (exchange_capabilities a b st) = None.
Proof.
  intros at_a at_b other free fit_a fit_b ok. destruct (exchange_in a b st ca cb at_a at_b other free) as (objs & caps). split.
  - assert (endings_stay st (exchange_capabilities a b st)) as stay.
    { intros z o zombie. split; [|right; apply count_same; rewrite objs; reflexivity]. destruct (N.eq_dec z a) as [->|not_a].
      - exists b. rewrite caps, N.eqb_refl. congruence.
      - destruct (N.eq_dec z b) as [->|not_b].
        + exists a. rewrite caps, N.eqb_refl. destruct (N.eqb_spec a b); congruence.
        + exists z. rewrite caps. apply N.eqb_neq in not_a, not_b. rewrite not_a, not_b. exact zombie. }
    apply (use_after st _ ok).
    + intros j d. rewrite caps. destruct (N.eqb_spec j b) as [->|].
      { intros is_c usable alive. injection is_c as <-. destruct fit_a as [zombie|[given|ends]]; [congruence | left; exact given|].
        destruct (alive (ending_stays _ _ _ stay ends)). }
      destruct (N.eqb_spec j a) as [->|].
      { intros is_c usable alive. injection is_c as <-. destruct fit_b as [zombie|[given|ends]]; [congruence | left; exact given|].
        destruct (alive (ending_stays _ _ _ stay ends)). }
      intros here usable _. right. exists d. split; [exact here|]. split; [exact usable | tauto].
    + intros j d _ _. apply ending_stays. exact stay.
  - rewrite caps. destruct (N.eqb_spec nowhere b); [congruence|]. destruct (N.eqb_spec nowhere a); [congruence | exact free].
Qed.
(** A capability goes for good; of a zombie nothing is left in its container that can be used. *)
Lemma discard_use s st : all_live st -> use_within p st ->
  (forall o, capability_at s st = Some (ZombieCap o) -> forall j c, is_within j o st = true -> j <> s -> capability_at j st = Some c -> is_zombie c = true) ->
  use_within p (discard s st).
Proof.
  intros (indices & alive_) ok whole. unfold discard. destruct (capability_at s st) as [c|] eqn:at_s; [|exact ok].
  assert (forall after, (forall j, capability_at j after = if j =? s then None else capability_at j st) ->
    (forall o, slot_count o after = slot_count o st \/ object_of c = Some o) -> use_within p after) as gone_.
  { intros after caps counts. apply (use_after st _ ok).
    - intros j d. rewrite caps. destruct (j =? s); [discriminate|]. intros here usable _. right. exists d. split; [exact here|]. split; [exact usable | tauto].
    - intros j d. rewrite caps. destruct (N.eqb_spec j s) as [->|elsewhere]; [discriminate|]. intros here usable (z & o & zombie & inside).
      destruct (N.eq_dec z s) as [->|other].
      { rewrite (whole o ltac:(congruence) j d inside elsewhere here) in usable. discriminate. }
      exists z, o. rewrite caps. apply N.eqb_neq in other. rewrite other. split; [exact zombie|]. apply N.eqb_neq in other.
      destruct (counts o) as [same|names]; [unfold is_within in *; rewrite same; exact inside|]. exfalso.
      rewrite capability_at_in in zombie, at_s. exact (other (eq_sym (alone _ _ alive_ z s c o zombie at_s names))). }
  assert (forall j, capability_at j (remove_capability s st) = if j =? s then None else capability_at j st) as caps
    by (intros j; rewrite !capability_at_in; apply in_remove_capability).
  destruct (object_of c) as [o|] eqn:names.
  - destruct (_ || _) eqn:last.
    + apply gone_; [exact caps|]. intros o'. destruct (N.eq_dec o' o) as [->|differs]; [right; reflexivity|]. left. unfold slot_count.
      change (objects (remove_object o (remove_capability s st))) with (remove o (objects (remove_capability s st))).
      rewrite find_remove, objects_of_remove_capability. apply N.eqb_neq in differs. rewrite differs. reflexivity.
    + apply gone_; [exact caps|]. intros o'. left. apply count_same. rewrite objects_of_remove_capability. reflexivity.
  - apply gone_; [exact caps|]. intros o'. left. apply count_same. rewrite objects_of_remove_capability. reflexivity.
Qed.
End Writing.

(** ** The last slot of a container *)
Lemma last_occupied_is o st :
  match last_occupied o st with
  | Some (s, c) => capability_at s st = Some c /\ is_within s o st = true
      /\ forall j d, is_within j o st = true -> capability_at j st = Some d -> j <= s
  | None => forall j, is_within j o st = true -> capability_at j st = None
  end.
Proof.
  unfold last_occupied. set (bound := slot_of o (slot_count o st)).
  assert (forall j d, is_within j o st = true -> capability_at j st = Some d -> exists k v, last_below bound (slots st) = Some (k, v) /\ j <= k) as largest.
  { intros j d inside there. unfold is_within in inside. fold bound in inside. rewrite andb_true_iff, N.leb_le, N.ltb_lt in inside.
    unfold capability_at in there. destruct (slots st !! j) as [e|] eqn:found; [|discriminate]. rewrite last_below_plain.
    apply (last_is_largest _ _ j e (entries_sorted (slots st))). apply filter_In. split; [apply in_entries; exact found | apply N.ltb_lt; tauto]. }
  destruct (last_below bound (slots st)) as [(s & e)|] eqn:last.
  - pose proof (last_below_found _ _ _ _ last) as (below & found). destruct (N.leb_spec o s) as [above|under].
    + split; [unfold capability_at; rewrite found; reflexivity|]. split.
      * unfold is_within. fold bound. rewrite andb_true_iff, N.leb_le, N.ltb_lt. split; assumption.
      * intros j d inside there. destruct (largest j d inside there) as (k & v & same & less). injection same as <- <-. exact less.
    + intros j inside. destruct (capability_at j st) as [d|] eqn:there; [exfalso | reflexivity].
      destruct (largest j d inside there) as (k & v & same & less). injection same as <- <-. unfold is_within in inside.
      rewrite andb_true_iff, N.leb_le, N.ltb_lt in inside. lia.
  - intros j inside. destruct (capability_at j st) as [d|] eqn:there; [exfalso | reflexivity].
    destruct (largest j d inside there) as (k & v & same & _). discriminate.
Qed.

(** ** A unit of deletion *)
Lemma counts_are_kept_quietly k : kept_quietly (fun st => forall o, slot_count o st = k o) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b _ _ same _ _ ok o. rewrite <- ok. apply count_same. rewrite same. reflexivity.
  - intros t st ok. exact ok.
  - intros insert t st _ ok o. rewrite <- ok. apply count_same. rewrite (proj2 (proj2 (place_by_same insert t st))). reflexivity.
  - intros t st _ ok. exact ok.
  - intros o x y st there same _ _ ok o'. rewrite <- ok. unfold slot_count. change (objects (put_object o x st)) with (set o x (objects st)).
    rewrite find_set. destruct (N.eqb_spec o' o) as [->|]; [|reflexivity]. rewrite there. destruct x, y; try contradiction same; try reflexivity.
    cbn [same_kind] in same. rewrite same. reflexivity.
Qed.
Section Fit.
Variable p : Policy.
Definition fit (st : State) : Prop := sound st /\ use_within p st /\ capability_at nowhere st = None.
Lemma fit_same a b : sound b -> slots b = slots a -> (forall o, slot_count o b = slot_count o a) -> fit a -> fit b.
Proof.
  intros alive_ same counts (_ & ok & free). split; [exact alive_|]. split; [exact (use_same p a b same counts ok)|].
  rewrite (capability_same nowhere a b same). exact free.
Qed.
Lemma fit_is_kept_quietly : kept_quietly fit (fun _ => True) low.
Proof.
  pose proof sound_is_kept_quietly as alive_. constructor; try (intros; exact I).
  - intros a b same same_references same_objects same_ready same_sleeping ok. apply (fit_same a b); [|exact same| |exact ok].
    + exact (looks_at_objects alive_ a b same same_references same_objects same_ready same_sleeping (proj1 ok)).
    + intros o. apply count_same. rewrite same_objects. reflexivity.
  - intros t st ok. apply (fit_same st); [exact (after_unplace alive_ t st (proj1 ok)) | reflexivity | reflexivity | exact ok].
  - intros insert t st listed ok. destruct (place_by_same insert t st) as (same & _ & same_objects).
    apply (fit_same st); [exact (after_place alive_ insert t st listed (proj1 ok)) | exact same | | exact ok].
    intros o. apply count_same. rewrite same_objects. reflexivity.
  - intros t st sleeps ok. apply (fit_same st); [exact (after_sleeping_anew alive_ t st sleeps (proj1 ok)) | reflexivity | reflexivity | exact ok].
  - intros o x y st there same change fine_x ok. apply (fit_same st); [|reflexivity| |exact ok].
    + exact (after_put_object alive_ o x y st there same change fine_x (proj1 ok)).
    + intros o'. exact (after_put_object (counts_are_kept_quietly (fun o => slot_count o st)) o x y st there same change fine_x (fun o => eq_refl) o').
  - intros slot c st ok. exact (capabilities_are_fine alive_ slot c st (proj1 ok)).
Qed.
Notation quietly := fit_is_kept_quietly.

Lemma at_discard s st j : capability_at j (discard s st) = if j =? s then None else capability_at j st.
Proof.
  unfold discard. destruct (capability_at s st) as [c|] eqn:at_s.
  - assert (capability_at j (remove_capability s st) = if j =? s then None else capability_at j st) as caps
      by (rewrite !capability_at_in; apply in_remove_capability).
    destruct (object_of c) as [o|], (is_zombie c || is_last c st); exact caps.
  - destruct (N.eqb_spec j s) as [->|]; [exact at_s | reflexivity].
Qed.
Lemma fit_discard s st : fit st ->
  (forall o, capability_at s st = Some (ZombieCap o) -> forall j c, is_within j o st = true -> j <> s -> capability_at j st = Some c -> is_zombie c = true) ->
  fit (discard s st).
Proof.
  intros (alive_ & ok & free) whole. split; [exact (after_discard sound_is_kept s st eq_refl alive_)|]. split; [exact
    (discard_use p s st (conj (indices_ok st alive_) (live_ok st alive_)) ok whole)|].
  rewrite at_discard. destruct (_ =? _); [reflexivity | exact free].
Qed.
Lemma fit_discard_plain s c st : fit st -> capability_at s st = Some c -> is_zombie c = false -> fit (discard s st).
Proof. intros ok there usable. apply fit_discard; [exact ok|]. intros o zombie. rewrite there in zombie. injection zombie as ->. discriminate usable. Qed.
Lemma fit_go s c st : fit st -> capability_at s st = Some c -> container_of c st = None -> fit (discard s (let_go c st)).
Proof.
  intros ok there none. apply (fit_discard_plain s c).
  - exact (@keeps_let_go _ _ _ _ quietly c eq_refl eq_refl eq_refl eq_refl st ok).
  - rewrite (capability_same s st _ (proj1 (let_go_tables c st))). exact there.
  - exact (zombie_contains c st none).
Qed.
Lemma fit_plain s c st : fit st -> capability_at s st = Some c -> container_of c st = None -> fit (delete_plain s c st).
Proof.
  intros ok there none. pose proof (fit_go s c st ok there none) as away. unfold delete_plain. destruct (is_last c st); [|exact away].
  destruct (waiting_on c st) as [|t l]; [|exact (@keeps_restart _ _ _ _ quietly t eq_refl st ok)].
  destruct c; try exact away. destruct (first_assigned pool st) as [(index & v)|]; [exact (@keeps_release_asid _ _ _ _ quietly _ _ st ok) | exact away].
Qed.
Lemma fit_one s c st : fit st -> capability_at s st = Some c -> container_of c st = None -> fit (delete_one s c st).
Proof.
  intros ok there none. pose proof (fit_plain s c st ok there none) as plain. unfold delete_one. destruct c; try exact plain.
  destruct (is_last _ st); [|exact plain].
  destruct (capability_at (irq_slot irq) st) as [[]|] eqn:bound; try exact plain. exact (fit_plain _ _ st ok bound eq_refl).
Qed.
Lemma fit_make_zombie s st : fit st -> fit (make_zombie s st).
Proof.
  intros (alive_ & ok & free). split; [exact (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_is_kept s eq_refl st alive_)|].
  split; [exact (zombie_made_use p s st ok)|]. unfold make_zombie. destruct (slots st !! s) as [e|] eqn:found; [|exact free].
  destruct (container_of (capability e) st) as [o|]; [|exact free]. rewrite capability_at_in, (in_replace s e _ st nowhere found), <- capability_at_in.
  destruct (N.eqb_spec nowhere s) as [<-|]; [|exact free]. apply vacant_at in free. congruence.
Qed.
Lemma fit_become s c st : fit st -> fit (become_zombie s c st).
Proof.
  intros ok. unfold become_zombie. apply fit_make_zombie. destruct c; try exact ok. exact (@keeps_end_thread _ _ _ _ quietly _ eq_refl eq_refl st ok).
Qed.
Lemma count_become s c st o : slot_count o (become_zombie s c st) = slot_count o st.
Proof.
  unfold become_zombie. assert (forall x, slot_count o (make_zombie s x) = slot_count o x) as made.
  { intros x. unfold make_zombie. destruct (slots x !! s) as [e|]; [|reflexivity]. destruct (container_of (capability e) x) as [o'|]; [|reflexivity].
    apply count_same. rewrite (replace_capability_same s e (ZombieCap o') x). reflexivity. }
  rewrite made. destruct c; try reflexivity.
  exact (@keeps_end_thread _ _ _ _ (counts_are_kept_quietly (fun o => slot_count o st)) thread eq_refl eq_refl st (fun o => eq_refl) o).
Qed.
Lemma fit_exchange a b st ca cb : capability_at a st = Some ca -> capability_at b st = Some cb -> a <> b ->
  is_zombie ca = true \/ granted p b ca \/ is_ending st b -> is_zombie cb = true \/ granted p a cb \/ is_ending st a ->
  fit st -> fit (exchange_capabilities a b st).
Proof.
  intros at_a at_b other fit_a fit_b (alive_ & ok & free). destruct (exchange_use p a b st ca cb at_a at_b other free fit_a fit_b ok) as (use & none).
  split; [exact (keeps_exchange _ _ _ _ sound_is_kept a b st alive_) | split; assumption].
Qed.
Lemma fit_move from to st c : to <> nowhere -> capability_at from st = Some c -> is_zombie c = true \/ granted p to c \/ is_ending st to ->
  fit st -> fit (move_capability from to st).
Proof.
  intros place_ there may_go (alive_ & ok & free). split; [exact (after_move_capability sound_is_kept from to st alive_)|]. split.
  - apply move_use; [|exact ok]. intros d same. rewrite there in same. injection same as <-. exact may_go.
  - destruct (move_cases from to st) as [->|(d & at_from & vacant)]; [exact free|]. rewrite (proj2 (proj2 (move_in from to st d at_from vacant))).
    destruct (N.eqb_spec nowhere to); [congruence|]. destruct (_ =? _); [reflexivity | exact free].
Qed.
Lemma fit_rotate anchor s outer inner st : fit st -> capability_at s st = Some (ZombieCap inner) -> capability_at anchor st = Some (ZombieCap outer) ->
  s <> anchor -> is_within s outer st = true -> fit (rotate_zombies anchor s inner st).
Proof.
  intros (alive_ & ok & free) at_s at_anchor other inside. split; [exact (keeps_rotate_zombies _ _ _ _ sound_is_kept anchor s inner st alive_)|].
  unfold rotate_zombies. cbv zeta. set (first := slot_of inner 0).
  destruct (move_in s nowhere st _ at_s free) as (d1 & objs1 & caps1). pose proof (move_use p s nowhere st) as use1.
  specialize (use1 ltac:(intros c same; rewrite at_s in same; injection same as <-; left; reflexivity) ok).
  set (st1 := move_capability s nowhere st) in *.
  assert (anchor <> nowhere) as d2 by congruence. apply N.eqb_neq in d1, d2.
  assert (capability_at s st1 = None) as s1 by (rewrite caps1, N.eqb_refl, d1; reflexivity).
  assert (capability_at anchor st1 = Some (ZombieCap outer)) as anchor1 by (rewrite caps1, d2; destruct (N.eqb_spec anchor s); [congruence | exact at_anchor]).
  assert (capability_at nowhere st1 = Some (ZombieCap inner)) as nowhere1 by (rewrite caps1, N.eqb_refl; reflexivity).
  assert (is_ending st1 s) as ends1.
  { exists anchor, outer. split; [exact anchor1|]. unfold is_within in *. rewrite (count_same outer st st1); [exact inside | rewrite objs1; reflexivity]. }
  set (st2 := if is_empty first st1 then st1 else move_capability first s st1).
  assert (use_within p st2) as use2.
  { unfold st2. destruct (is_empty first st1); [exact use1|]. apply move_use; [|exact use1]. intros c _. right. right. exact ends1. }
  assert (capability_at first st2 = None \/ first = s) as first2.
  { unfold st2. destruct (is_empty first st1) eqn:none; [left; apply vacant_empty; exact none|].
    destruct (capability_at first st1) as [c|] eqn:there; [|exfalso; apply vacant_empty in there; congruence].
    destruct (move_in first s st1 c there s1) as (d & _ & caps). left. rewrite caps, N.eqb_refl. apply N.eqb_neq in d. rewrite d. reflexivity. }
  assert (forall c, capability_at nowhere st2 = Some c -> is_zombie c = true) as nowhere2.
  { unfold st2. destruct (is_empty first st1); [intros c; rewrite nowhere1; intros same; injection same as <-; reflexivity|].
    destruct (move_cases first s st1) as [->|(d & at_first & _)]; [intros c there; change (capability_at nowhere st1 = Some c) in there;
      rewrite nowhere1 in there;
      injection there as <-; reflexivity|].
    intros c. rewrite (proj2 (proj2 (move_in first s st1 d at_first s1))). destruct (N.eqb_spec nowhere s) as [is_s|_]; [rewrite <- is_s, N.eqb_refl in d1;
      discriminate d1|].
    destruct (nowhere =? first); [discriminate|].
    rewrite nowhere1. intros same. injection same as <-. reflexivity. }
  assert (forall c, capability_at anchor st2 = Some c -> is_zombie c = true) as anchor2.
  { unfold st2. destruct (is_empty first st1); [intros c; rewrite anchor1; intros same; injection same as <-; reflexivity|].
    destruct (move_cases first s st1) as [->|(d & at_first & _)]; [intros c there; change (capability_at anchor st1 = Some c) in there;
      rewrite anchor1 in there;
      injection there as <-; reflexivity|].
    intros c. rewrite (proj2 (proj2 (move_in first s st1 d at_first s1))). destruct (N.eqb_spec anchor s); [congruence|].
    destruct (anchor =? first); [discriminate|]. rewrite anchor1. intros same. injection same as <-. reflexivity. }
  assert (first = s -> capability_at first st2 = None) as first_is_s.
  { intros ->. unfold st2. rewrite (proj2 (vacant_empty s st1) s1). exact s1. }
  assert (capability_at first st2 = None) as free2 by tauto. clear first2 first_is_s.
  set (st3 := move_capability anchor first st2).
  assert (use_within p st3) as use3 by (apply move_use; [intros c there; left; exact (anchor2 c there) | exact use2]).
  assert (capability_at anchor st3 = None) as anchor3.
  { unfold st3. destruct (move_cases anchor first st2) as [same|(c & there & vacant)].
    - rewrite same. change (capability_at anchor st2 = None). destruct (capability_at anchor st2) as [c|] eqn:there; [exfalso | reflexivity].
      pose proof (move_in anchor first st2 c there free2) as (d & _ & caps). rewrite same in caps. specialize (caps first). rewrite N.eqb_refl in caps.
      change (capability_at first st2 = Some c) in caps. congruence.
    - destruct (move_in anchor first st2 c there vacant) as (d & _ & caps). rewrite caps, N.eqb_refl. apply N.eqb_neq in d. rewrite d. reflexivity. }
  assert (forall c, capability_at nowhere st3 = Some c -> is_zombie c = true) as nowhere3.
  { unfold st3. destruct (move_cases anchor first st2) as [->|(d & there & vacant)]; [exact nowhere2|].
    intros c. rewrite (proj2 (proj2 (move_in anchor first st2 d there vacant))).
    destruct (nowhere =? first); [intros same; injection same as <-; exact (anchor2 d there)|]. destruct (nowhere =? anchor); [discriminate | apply nowhere2]. }
  split; [apply move_use; [intros c there; left; exact (nowhere3 c there) | exact use3]|].
  destruct (capability_at nowhere st3) as [c|] eqn:there.
  - destruct (move_in nowhere anchor st3 c there anchor3) as (_ & _ & caps). rewrite caps, N.eqb_refl, (N.eqb_sym nowhere anchor), d2. reflexivity.
  - rewrite (move_stuck nowhere anchor st3 (or_introl there)). exact there.
Qed.
Lemma fit_meet_inner anchor s outer inner st : fit st -> capability_at s st = Some (ZombieCap inner) -> capability_at anchor st = Some (ZombieCap outer) ->
  s <> anchor -> is_within s outer st = true -> (forall j d, is_within j outer st = true -> capability_at j st = Some d -> j <= s) ->
  fit (snd (meet_inner anchor s outer inner st)).
Proof.
  intros ok at_s at_anchor other inside last. unfold meet_inner. destruct (member inner _ && _) eqn:passed; cbn [snd].
  { apply fit_discard; [exact ok|]. intros o zombie j c within_ _ there. rewrite at_s in zombie. injection zombie as <-.
    apply andb_prop in passed. destruct passed as (_ & none). pose proof (last_occupied_is inner st) as spec.
    destruct (last_occupied inner st) as [|]; [discriminate none|]. rewrite (spec j within_) in there. discriminate. }
  destruct (is_within anchor inner st); cbn [snd].
  { apply (fit_exchange anchor s st _ _ at_anchor at_s); [congruence | left; reflexivity | left; reflexivity | exact ok]. }
  destruct ((s =? _) && _) eqn:is_first; cbn [snd].
  - apply andb_prop in is_first. destruct is_first as (is_first & _). apply N.eqb_eq in is_first.
    assert (fit (discard anchor st)) as gone_.
    { apply fit_discard; [exact ok|]. intros o zombie j c within_ differs there. rewrite at_anchor in zombie. injection zombie as <-.
      pose proof (last j c within_ there) as below. assert (j = s) as ->.
      { unfold is_within in within_. rewrite andb_true_iff, N.leb_le in within_. unfold slot_of in is_first. lia. }
      rewrite at_s in there. injection there as <-. reflexivity. }
    apply (fit_move s anchor _ (ZombieCap inner)); [destruct ok as (_ & _ & free); congruence | | left; reflexivity | exact gone_].
    rewrite at_discard. apply N.eqb_neq in other. rewrite other. exact at_s.
  - exact (fit_rotate anchor s outer inner st ok at_s at_anchor other inside).
Qed.
Lemma fit_empty anchor outer st : fit st -> capability_at anchor st = Some (ZombieCap outer) -> fit (snd (empty_zombie anchor outer st)).
Proof.
  intros ok there. unfold empty_zombie. cbv zeta. pose proof (last_occupied_is outer st) as spec.
  destruct (last_occupied outer st) as [(s & c)|]; cbn [snd].
  - destruct spec as (at_s & inside & last). destruct (N.eqb_spec s anchor) as [->|other].
    + destruct (N.eqb_spec anchor (slot_of outer 0)) as [is_first|not_first]; cbn [snd].
      * apply fit_discard; [exact ok|]. intros o zombie j d within_ differs here. rewrite there in zombie. injection zombie as <-. exfalso. apply differs.
        pose proof (last j d within_ here). unfold is_within in within_. rewrite andb_true_iff, N.leb_le in within_. unfold slot_of in is_first. lia.
      * unfold to_first_slot. destruct (is_empty _ st) eqn:vacant.
        -- destruct (N.eq_dec (slot_of outer 0) nowhere) as [is_nowhere|elsewhere]; [|apply (fit_move anchor _ st _ elsewhere there); [left; reflexivity
          | exact ok]].
           exfalso. pose proof there as is_low. rewrite capability_at_in in is_low. apply (low_ok st (proj1 ok)) in is_low.
           pose proof (proj1 is_low outer eq_refl) as less. unfold slot_of in is_nowhere. rewrite N.mul_0_r, N.add_0_r in is_nowhere.
             rewrite is_nowhere in less.
           discriminate less.
        -- destruct (capability_at (slot_of outer 0) st) as [d|] eqn:here; [|exfalso; apply vacant_empty in here; congruence].
           apply (fit_exchange anchor _ st _ _ there here not_first); [left; reflexivity | | exact ok].
           right. right. exists anchor, outer. split; assumption.
    + destruct (container_of c st) as [inner|] eqn:container; cbn [snd]; [|exact (fit_one s c st ok at_s container)].
      apply fit_meet_inner; [exact (fit_become s c st ok) | | | exact other | |].
      * rewrite (become_zombie_slots s c st inner at_s container), N.eqb_refl. reflexivity.
      * rewrite (become_zombie_slots s c st inner at_s container). destruct (N.eqb_spec anchor s); [congruence | exact there].
      * unfold is_within in *. rewrite count_become. exact inside.
      * intros j d within_ here. unfold is_within in within_. rewrite count_become in within_. fold (is_within j outer st) in within_.
        rewrite (become_zombie_slots s c st inner at_s container) in here. destruct (N.eqb_spec j s); [lia | exact (last j d within_ here)].
  - apply fit_discard; [exact ok|]. intros o zombie j d within_ _ here. rewrite there in zombie. injection zombie as <-. rewrite (spec j within_) in here.
    discriminate.
Qed.
End Fit.

Section Units.
Variable p : Policy.
Notation fit := (fit p).
Notation quietly := (fit_is_kept_quietly p).

Lemma fit_unit anchor st : fit st -> fit (snd (delete_unit anchor st)).
Proof.
  intros ok. unfold delete_unit. destruct (capability_at anchor st) as [c|] eqn:there; [|exact ok].
  assert (fit (snd match container_of c st with
                   | Some _ => (anchor, become_zombie anchor c st)
                   | None => (anchor, delete_one anchor c st)
                   end)) as usual.
  { destruct (container_of c st) as [o|] eqn:container; [exact (fit_become p anchor c st ok) | exact (fit_one p anchor c st ok there container)]. }
  destruct c; try exact usual. exact (fit_empty p anchor container st ok there).
Qed.
Lemma fit_delete slot st : fit st -> fit (state_of (delete slot st)).
Proof.
  exact (@keeps_in_units _ _ _ _ quietly _ is_occupied delete_unit slot (fun a before ok => conj I (fit_unit a before ok)) st).
Qed.
Lemma fit_revoke slot st : fit st -> fit (state_of (revoke slot st)).
Proof.
  exact (@keeps_in_units _ _ _ _ quietly _ (fun anchor st => is_occupied anchor st || has_children slot st)
    (fun anchor st => delete_unit (next_deletion slot anchor st) st) nowhere (fun a before ok => conj I (fit_unit _ before ok)) st).
Qed.

(** What is quiet. *)
Lemma fit_like a b : slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a -> sleeping b = sleeping a -> fit a ->
  fit b.
Proof. exact (looks_at_objects quietly a b). Qed.
Lemma q_thread o f st : fit st -> fit (change_thread o f st).
Proof. apply (@keeps_change_thread _ _ _ _ quietly o f). intros x. split; discriminate. Qed.
Lemma q_notification o f st : fit st -> fit (change_notification o f st).
Proof. apply (@keeps_change_notification _ _ _ _ quietly o f). intros x. repeat split; discriminate. Qed.
Lemma q_context o f st : (forall c, context_bits c = context_bits (f c)) -> fit st -> fit (change_context o f st).
Proof. intros same. apply (@keeps_change_context _ _ _ _ quietly o f); [split; [intros; exact I | exact same] | intros x; discriminate]. Qed.
Lemma q_table o f st : fit st -> fit (change_table o f st).
Proof. exact (@keeps_change_table _ _ _ _ quietly o f (fun _ frozen => False_ind _ (diff_false_true frozen)) st). Qed.
Lemma q_pool o f st : fit st -> fit (change_pool o f st). Proof. exact (@keeps_change_pool _ _ _ _ quietly o f st). Qed.
Lemma q_emit e st : fit st -> fit (emit e st). Proof. exact (@keeps_emit _ _ _ _ quietly e st). Qed.
Lemma q_suspend_if b t st : fit st -> fit (suspend_if b t st). Proof. exact (@keeps_suspend_if _ _ _ _ quietly b t eq_refl st). Qed.
Lemma q_suspend t st : fit st -> fit (suspend t st). Proof. exact (@keeps_suspend _ _ _ _ quietly t eq_refl st). Qed.
Lemma q_resume t st : fit st -> fit (resume t st). Proof. exact (@keeps_resume _ _ _ _ quietly t eq_refl st). Qed.
Lemma q_resume_if b t st : fit st -> fit (resume_if b t st). Proof. exact (@keeps_resume_if _ _ _ _ quietly b t eq_refl st). Qed.
Lemma q_stop t st : fit st -> fit (stop_for_writing t st). Proof. exact (@keeps_stop_for_writing _ _ _ _ quietly t eq_refl st). Qed.
Lemma q_copy l from to st : fit st -> fit (copy_registers l from to st). Proof. exact (@keeps_copy_registers _ _ _ _ quietly l from to st). Qed.
Lemma q_priority t n st : fit st -> fit (set_priority t n st). Proof. exact (@keeps_set_priority _ _ _ _ quietly t n eq_refl st). Qed.
Lemma q_bind c t st : fit st -> fit (bind_context c t st). Proof. exact (@keeps_bind_context _ _ _ _ quietly c t eq_refl st). Qed.
Lemma q_unbind_thread c st : fit st -> fit (unbind_thread_of_context c st). Proof. exact (@keeps_unbind_thread _ _ _ _ quietly c eq_refl st). Qed.
Lemma q_unbind_of c st : fit st -> fit (unbind_notification_of_context c st). Proof. exact (@keeps_unbind_of_context _ _ _ _ quietly c eq_refl st). Qed.
Lemma q_unbind t n st : fit st -> fit (unbind_notification t n st). Proof. exact (@keeps_unbind_notification _ _ _ _ quietly t n eq_refl st). Qed.
Lemma q_cancel e b st : fit st -> fit (state_of (cancel_badged_sends e b st)). Proof. exact (@keeps_cancel_badged_sends _ _ _ _ quietly e b eq_refl st). Qed.
Lemma q_book_turn st : fit st -> fit (book_turn st). Proof. exact (@keeps_book_turn _ _ _ _ quietly st). Qed.
Lemma q_will_book st : fit st -> fit (will_book st). Proof. exact (@keeps_will_book _ _ _ _ quietly st). Qed.
Lemma q_place_anew t st : fit st -> fit (place_anew t st). Proof. exact (@keeps_place_anew _ _ _ _ quietly t st). Qed.
Lemma q_place t st : fit st -> fit (place t st). Proof. exact (@keeps_place _ _ _ _ quietly t st). Qed.
Lemma q_place_ahead t st : fit st -> fit (place_ahead t st). Proof. exact (@keeps_place_ahead _ _ _ _ quietly t st). Qed.
Lemma q_report c st : fit st -> fit (snd (report_consumed c st)). Proof. intros ok. exact (proj2 (@keeps_report_consumed _ _ _ _ quietly c st ok)). Qed.
Lemma q_end_yield t st : fit st -> fit (end_yield t st). Proof. exact (@keeps_end_yield _ _ _ _ quietly t st). Qed.
Lemma q_entry t i e st : fit st -> fit (set_page_entry t i e st).
Proof. exact (@keeps_set_page_entry _ _ _ _ quietly t i e (fun _ frozen => False_ind _ (diff_false_true frozen)) st). Qed.
Lemma q_unmap_table t place st : fit st -> fit (unmap_table t place st). Proof. exact (@keeps_unmap_table _ _ _ _ quietly t place st). Qed.
Lemma q_unmap_frame b n place st : fit st -> fit (unmap_frame b n place st). Proof. exact (@keeps_unmap_frame _ _ _ _ quietly b n place st). Qed.
Lemma q_deactivate i st : fit st -> fit (deactivate i st). Proof. exact (@keeps_deactivate _ _ _ _ quietly i st). Qed.
Lemma q_mask i m st : fit st -> fit (set_mask i m st). Proof. exact (@keeps_set_mask _ _ _ _ quietly i m st). Qed.
Lemma q_turn i st : fit st -> fit (begin_turn i st). Proof. exact (@keeps_begin_turn _ _ _ _ quietly i st). Qed.
Lemma q_word i v t st : fit st -> fit (set_word_argument i v t st). Proof. apply q_thread. Qed.
Lemma q_allow n st : fit st -> fit (allow n st). Proof. exact (@keeps_allow _ _ _ _ quietly n st). Qed.

(** ** What comes into slots *)
Hypothesis nobodys : owner_of p nowhere = None.
Lemma not_nowhere slot c : granted p slot c -> nowhere <> slot.
Proof. intros (owner & owned & _) same. rewrite <- same, nobodys in owned. discriminate. Qed.
Lemma derived_elsewhere slot s o c st j : j <> slot -> capability_at j st = None -> capability_at j (insert_derived slot s o c st) = None.
Proof.
  intros other none. apply N.eqb_neq in other. unfold insert_derived. destruct (slots st !! s) as [e|]; [|exact none].
  assert (capability_at j (insert_child slot s o c st) = None) as child.
  { destruct (is_empty slot st && negb (is_empty s st)) eqn:can; [|unfold insert_child; rewrite can; exact none].
    rewrite capability_at_in, (in_insert_child slot s o c st j can), other, <- capability_at_in. exact none. }
  assert (capability_at j (insert_sibling slot s o c st) = None) as sibling.
  { destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact none].
    destruct (slots st !! s) as [e'|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; exact none]. apply is_empty_spec in vacant.
    rewrite capability_at_in, (in_insert_sibling slot s o c st e' j vacant there), other, <- capability_at_in. exact none. }
  destruct (capability e); try (destruct (_ || _); [exact none|]; destruct (original e); [exact child | exact sibling]).
  match goal with |- capability_at j (carve ?u ?a ?z ?x ?k ?d st) = _ => destruct (carve_cases u a z x k d st) as [->|cut] end; [exact none|].
  destruct cut as (e' & base' & bits' & device' & used' & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
  rewrite capability_at_in, caps, other. destruct (N.eqb_spec j s) as [->|]; [|rewrite <- capability_at_in; exact none].
  unfold capability_at in none. rewrite there in none. discriminate.
Qed.
Lemma fit_derived slot s o c st : low c -> granted p slot c -> (forall u, capability_at s st = Some u -> is_untyped u = true -> granted p slot u) ->
  fit st -> fit (insert_derived slot s o c st).
Proof.
  intros is_low given whole (right & ok & free). split; [exact (@keeps_insert_derived _ _ _ _ sound_is_kept_quietly sound_is_kept slot s o c is_low st right)|].
  split; [exact (derived_use p slot s o c st given whole ok) | exact (derived_elsewhere slot s o c st nowhere (not_nowhere slot c given) free)].
Qed.
Lemma fit_change slot old c st : low c -> capability_at slot st = Some old -> is_zombie old = false -> (forall s, may p s old -> may p s c) ->
  fit st -> fit (change_capability slot c st).
Proof.
  intros is_low there usable more (right & ok & free). split; [exact (after_change_capability sound_is_kept slot c st is_low right)|].
  split; [exact (change_use p slot old c st there usable more ok)|]. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:found; [|exact free].
  destruct (_ && _); [|exact free]. rewrite capability_at_in, (in_replace slot e c st nowhere found), <- capability_at_in.
  destruct (N.eqb_spec nowhere slot) as [<-|]; [congruence | exact free].
Qed.
Definition no_memory (c : Capability) : Prop := forall base bits device used, stands_alike (UntypedCap base bits device used) c = false.
Lemma fit_copy slot s c st : low c -> no_memory c -> granted p slot (derived c) -> fit st -> fit (insert_copy slot s c st).
Proof.
  intros is_low no_untyped given ok. unfold insert_copy. destruct (capability_at s st) as [original|] eqn:there; [|exact ok].
  destruct (_ && _) eqn:can; [|exact ok]. apply andb_prop in can. destruct can as (_ & alike).
  apply fit_derived; [| exact given | | exact ok].
  - destruct c; exact is_low.
  - intros u same is_u. rewrite there in same. injection same as <-. destruct original; try discriminate is_u. rewrite no_untyped in alike. discriminate.
Qed.
Lemma fit_replace slot by_ st : (forall s c, by_ = Some (s, c) -> low c /\ no_memory c /\ granted p slot (derived c)) ->
  fit st -> fit (state_of (replace_slot slot by_ st)).
Proof.
  intros given ok. unfold replace_slot. pose proof (fit_delete slot st ok) as gone_. destruct (delete slot st) as [after|after]; [|exact gone_].
  cbn [state_of and_then] in *. destruct by_ as [(s & c)|]; [|exact gone_]. destruct (given s c eq_refl) as (is_low & no_untyped & there).
  exact (fit_copy slot s c after is_low no_untyped there gone_).
Qed.
Lemma carve_elsewhere untyped at_ size x slot c st j : j <> slot -> capability_at j st = None -> capability_at j (carve untyped at_ size x slot c st) = None.
Proof.
  intros other none. destruct (carve_cases untyped at_ size x slot c st) as [->|cut]; [exact none|].
  destruct cut as (e' & base' & bits' & device' & used' & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
  apply N.eqb_neq in other. rewrite capability_at_in, caps, other. destruct (N.eqb_spec j untyped) as [->|]; [|rewrite <- capability_at_in; exact none].
  unfold capability_at in none. rewrite there in none. discriminate.
Qed.
Lemma fit_make type at_ n d slot u st : low (new_capability type at_ n d) -> granted p slot (new_capability type at_ n d) -> fit st ->
  fit (make_object type at_ n d slot u st).
Proof.
  intros is_low given (right & ok & free). split; [exact (@keeps_make_object _ _ _ _ sound_is_kept_quietly sound_is_kept type at_ n d slot u is_low st right)|].
  unfold make_object. cbv zeta. set (cleared := if _ || _ then _ else st).
  assert (use_within p cleared /\ capability_at nowhere cleared = None) as (ok' & free')
    by (unfold cleared; destruct (_ || _); [split; [exact (use_same p st _ eq_refl (fun o => eq_refl) ok) | exact free] | split; assumption]).
  split; [exact (carve_use p u at_ _ _ slot _ cleared given ok') | exact (carve_elsewhere u at_ _ _ slot _ cleared nowhere (not_nowhere slot _ given) free')].
Qed.
End Units.
