(* SPDX-License-Identifier: BSD-2-Clause *)
(** * No thread holds itself

    A capability to a thread comes into a slot of a CNode, and out of there only where a deletion moves it: into the container of a zombie. So no thread that
    is there holds a capability to itself in one of its own slots: these are no CNode's, and of the thread there is no zombie as long as it has a capability. *)
From Coq Require Import Lia.
From Spec Require Export BufferProofs.
Open Scope N_scope.

(** ** CNodes lie below the slots of interrupts *)
Definition bounded (c : Capability) : Prop :=
  (forall base bits device, memory_of c = Some (base, bits, device) -> base + N.shiftl 1 bits <= irq_slot 0)
  /\ match c with CNodeCap o radix _ _ => o + N.shiftl 1 (radix + slot_bits) <= irq_slot 0 | _ => True end.
Lemma yields_bounded c made : yields c made -> bounded c -> bounded made.
Proof.
  intros made_so (memory_ & cnode_). destruct made_so; split; try exact I; try exact cnode_; try (intros b s d no; discriminate no);
    try (intros b s d is_m; injection is_m as <- <- <-; exact (memory_ _ _ _ eq_refl)); try exact memory_.
  - intros b s d is_m. apply (memory_ b s d). destruct c; try discriminate is_m; exact is_m.
  - destruct c; try exact I. exact cnode_.
  - intros b s d is_m. apply (memory_ b s d). destruct c; cbn [with_badge with_guard] in H; try (injection H as <-; exact is_m).
    + destruct badge0; [injection H as <-; discriminate is_m | discriminate].
    + destruct badge0; [injection H as <-; discriminate is_m | discriminate].
    + destruct (_ <=? _); [injection H as <-; discriminate is_m | discriminate].
  - destruct c; cbn [with_badge with_guard] in H; try (injection H as <-; try exact I; exact cnode_).
    + destruct badge0; [injection H as <-; exact I | discriminate].
    + destruct badge0; [injection H as <-; exact I | discriminate].
    + destruct (_ <=? _); [injection H as <-; exact cnode_ | discriminate].
  - intros b s d is_m. apply (memory_ b s d). destruct c; cbn [with_guard] in H; try (injection H as <-; exact is_m).
    destruct (_ <=? _); [injection H as <-; discriminate is_m | discriminate].
  - destruct c; cbn [with_guard] in H; try (injection H as <-; try exact I; exact cnode_).
    destruct (_ <=? _); [injection H as <-; exact cnode_ | discriminate].
  - specialize (memory_ base bits device eq_refl). intros b s d is_m. destruct type; cbn [new_capability] in is_m; try discriminate is_m;
      injection is_m as <- <- <-; cbn [object_bits] in *; lia.
  - specialize (memory_ base bits device eq_refl). destruct type; try exact I. cbn [new_capability object_bits] in *. lia.
Qed.
Lemma boot_bounded p : roots_are_sound p -> forall c, boot_capability p c -> bounded c.
Proof.
  intros [apart_ below_ _] c (slot & listed). destruct (roots_fit p apart_ slot c listed) as (_ & fits_). split.
  - intros base bits device memory. apply (below_ c (base, N.shiftl 1 bits) (ex_intro _ slot listed)).
    destruct c; try discriminate memory; injection memory as -> -> ->; reflexivity.
  - destruct c as [| | | |o radix g s| | | | | | | | | | | | | |]; try exact I. destruct (fits_ o eq_refl) as (y & found & kind).
    pose proof (below_ _ (o, size_of y) (ex_intro _ slot listed)) as within. unfold extent_at_boot in within.
    rewrite (extent_object _ (CNodeCap o radix g s) o eq_refl), found in within. specialize (within eq_refl). cbn [fst snd] in within.
    destruct y; try discriminate kind. apply N.eqb_eq in kind. subst. exact within.
Qed.

(** ** Where capabilities to threads are *)
Definition good_slot (j : N) (st : State) : Prop :=
  is_slot_of_cnode j st \/ exists o z, is_within j o st = true /\ capability_at z st = Some (ZombieCap o).
Definition held (st : State) : Prop := forall j t, capability_at j st = Some (TCBCap t) -> j <> nowhere /\ good_slot j st.

(** What leaves all containers, and a zombie of each that has one, leaves slots good. *)
Definition slots_in (o : N) (st : State) : option (option N) :=
  match objects st !! o with Some (CNodeObject radix) => Some (Some radix) | Some (ThreadObject _) => Some None | _ => None end.
Record leaves_good (a b : State) : Prop := {
  containers_stay : forall o k, slots_in o a = Some k -> slots_in o b = Some k;
  zombies_stay : forall z o, capability_at z a = Some (ZombieCap o) -> exists z', capability_at z' b = Some (ZombieCap o)
}.
Lemma leaves_refl st : leaves_good st st.
Proof. split; [intros o k; exact id | intros z o there; exists z; exact there]. Qed.
Lemma leaves_trans a b c : leaves_good a b -> leaves_good b c -> leaves_good a c.
Proof.
  intros [con zom] [con' zom']. split; [intros o k is_o; exact (con' o k (con o k is_o))|]. intros z o there. destruct (zom z o there) as (z' & there').
  exact (zom' z' o there').
Qed.
Lemma within_cases j o st : is_within j o st = true -> exists k, slots_in o st = Some k
  /\ (o <=? j) && (j <? slot_of o (match k with Some radix => N.shiftl 1 radix | None => thread_slots end)) = true.
Proof.
  unfold is_within, slot_count, slots_in. destruct (objects st !! o) as [[]|]; try (intros inside; eexists; split; [reflexivity | exact inside]).
  all: intros inside; apply andb_prop in inside; destruct inside as (above & below_); apply N.leb_le in above; apply N.ltb_lt in below_;
    unfold slot_of in below_; lia.
Qed.
Lemma within_from j o k st : slots_in o st = Some k ->
  (o <=? j) && (j <? slot_of o (match k with Some radix => N.shiftl 1 radix | None => thread_slots end)) = true -> is_within j o st = true.
Proof.
  unfold is_within, slot_count, slots_in. destruct (objects st !! o) as [[]|]; try discriminate; intros is_k; injection is_k as <-; exact id.
Qed.
Lemma within_stays a b j o : leaves_good a b -> is_within j o a = true -> is_within j o b = true.
Proof. intros [con _] inside. apply within_cases in inside. destruct inside as (k & is_k & inside). exact (within_from j o k b (con o k is_k) inside). Qed.
Lemma cnode_slots_in o radix st : slots_in o st = Some (Some radix) <-> objects st !! o = Some (CNodeObject radix).
Proof. unfold slots_in. destruct (objects st !! o) as [[]|]; split; intros same; try discriminate same; injection same as ->; reflexivity. Qed.
Lemma good_stays a b j : leaves_good a b -> good_slot j a -> good_slot j b.
Proof.
  intros leaves_ [(o & radix & i & is_o & less & same)|(o & z & inside & there)].
  - left. exists o, radix, i. split; [|split; assumption]. apply cnode_slots_in, (containers_stay a b leaves_), cnode_slots_in. exact is_o.
  - right. destruct (zombies_stay a b leaves_ z o there) as (z' & there'). exists o, z'. split; [exact (within_stays a b j o leaves_ inside) | exact there'].
Qed.
Lemma held_with a b : leaves_good a b -> (forall j t, capability_at j b = Some (TCBCap t) ->
    capability_at j a = Some (TCBCap t) \/ j <> nowhere /\ good_slot j a) -> held a -> held b.
Proof.
  intros leaves_ from ok j t there. destruct (from j t there) as [was|(elsewhere & good_)].
  - destruct (ok j t was) as (elsewhere & good_). split; [exact elsewhere | exact (good_stays a b j leaves_ good_)].
  - split; [exact elsewhere | exact (good_stays a b j leaves_ good_)].
Qed.

(** What brings no capability to a thread anywhere. *)
Definition alike (a b : State) : Prop := leaves_good a b /\ forall j t, capability_at j b = Some (TCBCap t) -> capability_at j a = Some (TCBCap t).
Lemma alike_refl st : alike st st. Proof. split; [apply leaves_refl | intros j t; exact id]. Qed.
Lemma alike_trans a b c : alike a b -> alike b c -> alike a c.
Proof.
  intros (l1 & t1) (l2 & t2). split; [exact (leaves_trans a b c l1 l2) | intros j t there; exact (t1 j t (t2 j t there))].
Qed.
Lemma alike_held a b : alike a b -> held a -> held b.
Proof. intros (leaves_ & from). apply held_with; [exact leaves_|]. intros j t there. left. exact (from j t there). Qed.
Lemma slots_in_same a b o : objects b = objects a -> slots_in o b = slots_in o a. Proof. unfold slots_in. intros ->. reflexivity. Qed.
Lemma alike_same a b : slots b = slots a -> objects b = objects a -> alike a b.
Proof.
  intros same_slots same_objects. pose proof (fun j => capability_same j a b same_slots) as caps. split; [split|].
  - intros o k. rewrite (slots_in_same a b o same_objects). exact id.
  - intros z o there. exists z. rewrite caps. exact there.
  - intros j t. rewrite caps. exact id.
Qed.
Lemma alike_quietly st : kept_quietly (alike st) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same_slots _ same_objects _ _ ok. exact (alike_trans st a b ok (alike_same a b same_slots same_objects)).
  - intros t one ok. exact (alike_trans st one _ ok (alike_same one (unplace t one) eq_refl eq_refl)).
  - intros insert t one _ ok. destruct (place_by_same insert t one) as (same_slots & _ & same_objects).
    exact (alike_trans st one _ ok (alike_same one _ same_slots same_objects)).
  - intros t one _ ok. apply (alike_trans st one _ ok), alike_same; reflexivity.
  - intros o x y one found kind _ _ ok. apply (alike_trans st one _ ok). split; [split|].
    + intros p k. unfold slots_in. change (objects (put_object o x one)) with (set o x (objects one)). rewrite find_set.
      destruct (N.eqb_spec p o) as [->|]; [|exact id]. rewrite found. destruct y, x; try contradiction kind; try exact id. rewrite kind. exact id.
    + intros z p there. exists z. exact there.
    + intros j t. exact id.
Qed.

(** ** A capability that comes *)
Record comes (slot : N) (c : Capability) (a b : State) : Prop := {
  comes_good : leaves_good a b;
  comes_there : forall j t, capability_at j b = Some (TCBCap t) -> capability_at j a = Some (TCBCap t) \/ j = slot /\ c = TCBCap t
}.
Lemma comes_alike slot c a b : alike a b -> comes slot c a b.
Proof. intros (leaves_ & from). split; [exact leaves_ | intros j t there; left; exact (from j t there)]. Qed.
Lemma comes_held slot c a b : comes slot c a b -> (forall t, c = TCBCap t -> slot <> nowhere /\ good_slot slot a) -> held a -> held b.
Proof.
  intros [leaves_ from] fine. apply held_with; [exact leaves_|]. intros j t there. destruct (from j t there) as [was|(-> & is_c)]; [left; exact was | right].
  exact (fine t is_c).
Qed.
Lemma inserted_comes slot c a b : capability_at slot a = None -> objects b = objects a ->
  (forall j, capability_at j b = if j =? slot then Some c else capability_at j a) -> comes slot c a b.
Proof.
  intros vacant same_objects caps. split; [split|].
  - intros o k. rewrite (slots_in_same a b o same_objects). exact id.
  - intros z o there. exists z. rewrite caps. destruct (N.eqb_spec z slot) as [->|]; [congruence | exact there].
  - intros j t. rewrite caps. destruct (N.eqb_spec j slot) as [->|]; [intros is_c; injection is_c as is_c; right; tauto | tauto].
Qed.
Lemma child_comes slot p o c st : comes slot c st (insert_child slot p o c st).
Proof.
  destruct (is_empty slot st && negb (is_empty p st)) eqn:can;
    [|unfold insert_child; rewrite can; exact (comes_alike slot c st _ (alike_same st (emit Stuck st) eq_refl eq_refl))].
  apply inserted_comes; [apply vacant_none, is_empty_spec; exact (proj1 (andb_prop _ _ can)) | apply objects_of_insert_child|].
  intros j. rewrite !capability_at_in. exact (in_insert_child slot p o c st j can).
Qed.
Lemma sibling_comes slot s o c st : comes slot c st (insert_sibling slot s o c st).
Proof.
  destruct (slots st !! slot) as [f|] eqn:vacant.
  { unfold insert_sibling, is_empty. rewrite vacant. exact (comes_alike slot c st _ (alike_same st (emit Stuck st) eq_refl eq_refl)). }
  destruct (slots st !! s) as [e|] eqn:found.
  2: { unfold insert_sibling. rewrite found. destruct (is_empty slot st); exact (comes_alike slot c st _ (alike_same st (emit Stuck st) eq_refl eq_refl)). }
  apply inserted_comes; [apply vacant_none; exact vacant | rewrite (insert_sibling_same slot s o c st); reflexivity|].
  intros j. rewrite !capability_at_in. exact (in_insert_sibling slot s o c st e j vacant found).
Qed.
Lemma carve_comes u at_ size x slot c st : comes slot c st (carve u at_ size x slot c st).
Proof.
  destruct (carve_cases u at_ size x slot c st) as [->|cut]; [exact (comes_alike slot c st _ (alike_same st (emit Stuck st) eq_refl eq_refl))|].
  destruct cut as (e & base & bits & device & used & there & is_u & _ & _ & vacant & unused & caps & _ & objs).
  assert (capability_at u st = Some (UntypedCap base bits device used)) as at_u by (unfold capability_at; rewrite there, is_u; reflexivity).
  apply vacant_none in vacant. split; [split|].
  - intros o k. unfold slots_in. rewrite objs. destruct x as [y|]; [|exact id]. rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|exact id].
    rewrite (unused ltac:(discriminate)). discriminate.
  - intros z o at_z. exists z. rewrite capability_at_in, caps, <- capability_at_in. destruct (N.eqb_spec z slot) as [->|]; [congruence|].
    destruct (N.eqb_spec z u) as [->|]; [congruence | exact at_z].
  - intros j t. rewrite capability_at_in, caps, <- capability_at_in. destruct (N.eqb_spec j slot) as [->|];
      [intros is_c; injection is_c as is_c; right; tauto|].
    destruct (j =? u); [discriminate | tauto].
Qed.
Lemma derived_comes slot s o c st : comes slot c st (insert_derived slot s o c st).
Proof.
  assert (comes slot c st (emit Stuck st)) as stuck by exact (comes_alike slot c st _ (alike_same st (emit Stuck st) eq_refl eq_refl)).
  unfold insert_derived. destruct (slots st !! s) as [e|]; [|exact stuck].
  assert (comes slot c st (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
    else if original e then insert_child slot s o c st else insert_sibling slot s o c st)) as usual
    by (destruct (_ || _); [exact stuck|]; destruct (original e); [apply child_comes | apply sibling_comes]).
  destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact usual.
  destruct (carve_comes s base (N.shiftl 1 bits) None slot (UntypedCap base bits device used) st) as [leaves_ from]. split; [exact leaves_|].
  intros j t there. destruct (from j t there) as [was|(_ & no)]; [left; exact was | discriminate no].
Qed.

(** ** A capability that changes, or moves *)
Lemma replaced_alike slot e c st : slots st !! slot = Some e -> (forall t, c = TCBCap t -> capability e = TCBCap t) ->
  (forall o, capability e = ZombieCap o -> c = ZombieCap o) -> alike st (replace_capability slot e c st).
Proof.
  intros found same_thread same_zombie.
  assert (forall j, capability_at j (replace_capability slot e c st) = if j =? slot then Some c else capability_at j st) as caps
    by (intros j; rewrite !capability_at_in; exact (in_replace slot e c st j found)).
  assert (capability_at slot st = Some (capability e)) as at_slot by (unfold capability_at; rewrite found; reflexivity). split; [split|].
  - intros o k. rewrite (slots_in_same st (replace_capability slot e c st) o); [exact id|]. rewrite (replace_capability_same slot e c st). reflexivity.
  - intros z o there. exists z. rewrite caps. destruct (N.eqb_spec z slot) as [->|]; [|exact there]. f_equal. apply same_zombie. congruence.
  - intros j t. rewrite caps. destruct (N.eqb_spec j slot) as [->|]; [|exact id]. intros is_c. injection is_c as is_c. rewrite at_slot, (same_thread t is_c).
    reflexivity.
Qed.
Lemma change_alike slot c st : alike st (change_capability slot c st).
Proof.
  unfold change_capability. destruct (slots st !! slot) as [e|] eqn:found; [|exact (alike_same st (emit Stuck st) eq_refl eq_refl)].
  destruct (_ && _) eqn:both; [|exact (alike_same st (emit Stuck st) eq_refl eq_refl)]. apply andb_prop in both. destruct both as (one & two).
  apply replaced_alike; [exact found | |].
  - intros t ->. destruct (alike_spec _ _ t one eq_refl) as (named & type). destruct (capability e); try discriminate type. cbn in named. congruence.
  - intros o is_z. rewrite is_z in two. destruct (alike_spec _ _ o two eq_refl) as (named & type). destruct c; try discriminate type. cbn in named. congruence.
Qed.
Lemma ends_alike slot c st : alike st (become_zombie slot c st).
Proof.
  unfold become_zombie. apply (alike_trans st (match c with TCBCap t => end_thread t st | _ => st end)).
  - destruct c; try apply alike_refl. exact (@keeps_end_thread _ _ _ _ (alike_quietly st) thread eq_refl eq_refl st (alike_refl st)).
  - generalize (match c with TCBCap t => end_thread t st | _ => st end). clear. intros st. unfold make_zombie.
    destruct (slots st !! slot) as [e|] eqn:found; [|exact (alike_same st (emit Stuck st) eq_refl eq_refl)].
    destruct (container_of (capability e) st) as [o|] eqn:container; [|exact (alike_same st (emit Stuck st) eq_refl eq_refl)].
    apply replaced_alike; [exact found | discriminate|]. intros p is_z. rewrite is_z in container. injection container as ->. reflexivity.
Qed.
Lemma move_leaves from to st : leaves_good st (move_capability from to st).
Proof.
  split.
  - intros o k. rewrite (slots_in_same st (move_capability from to st) o); [exact id|]. rewrite (move_capability_same from to st). reflexivity.
  - intros z o there. destruct (move_cases from to st) as [(c & at_from & vacant & caps)|caps]; [|exists z; rewrite caps; exact there].
    destruct (N.eqb_spec z from) as [->|other].
    + exists to. rewrite caps, N.eqb_refl. congruence.
    + exists z. rewrite caps. destruct (N.eqb_spec z to) as [->|]; [congruence|]. rewrite (proj2 (N.eqb_neq z from) other). exact there.
Qed.
Lemma move_held from to st : (forall t, capability_at from st = Some (TCBCap t) -> to <> nowhere /\ good_slot to st) -> held st ->
  held (move_capability from to st).
Proof.
  intros fine. apply held_with; [apply move_leaves|]. intros j t there. apply move_stems in there. destruct there as [was|(-> & at_from)];
    [left; exact was | right; exact (fine t at_from)].
Qed.
Lemma move_full from to st j : capability_at to st <> None -> capability_at j (move_capability from to st) = capability_at j st.
Proof. intros full. destruct (move_cases from to st) as [(c & _ & vacant & _)|caps]; [congruence | apply caps]. Qed.
Lemma exchange_leaves a b st : leaves_good st (exchange_capabilities a b st).
Proof.
  unfold exchange_capabilities. apply (leaves_trans _ (move_capability a nowhere st)); [apply move_leaves|].
  apply (leaves_trans _ (move_capability b a (move_capability a nowhere st))); apply move_leaves.
Qed.
Lemma exchange_held a b ca cb st : capability_at a st = Some ca -> capability_at b st = Some cb -> a <> b ->
  (forall t, cb = TCBCap t -> a <> nowhere -> good_slot a st) -> (forall t, ca = TCBCap t -> b <> nowhere -> good_slot b st) -> held st ->
  held (exchange_capabilities a b st).
Proof.
  intros at_a at_b other fine_a fine_b. apply held_with; [apply exchange_leaves|]. intros j t there.
  destruct (capability_at nowhere st) as [x|] eqn:full.
  - left. assert (forall k, capability_at k (move_capability a nowhere st) = capability_at k st) as one by (intros k; apply move_full; congruence).
    assert (forall k, capability_at k (move_capability b a (move_capability a nowhere st)) = capability_at k st) as two
      by (intros k; rewrite move_full; rewrite one; [reflexivity | congruence]).
    unfold exchange_capabilities in there. rewrite move_full in there by (rewrite two; congruence). rewrite two in there. exact there.
  - assert (a <> nowhere /\ b <> nowhere) as (a_n & b_n) by (split; congruence).
    rewrite (proj2 (proj2 (exchanged_holds a b st ca cb at_a at_b other full))) in there.
    destruct (N.eqb_spec j b) as [->|]; [right; injection there as ->; exact (conj b_n (fine_b t eq_refl b_n))|].
    destruct (j =? nowhere); [discriminate|]. destruct (N.eqb_spec j a) as [->|]; [right; injection there as ->; exact (conj a_n (fine_a t eq_refl a_n))|].
    left. exact there.
Qed.

(** ** A unit of deletion *)
Lemma discard_held s st : (forall o, (exists c, capability_at s st = Some c /\ object_of c = Some o /\ is_zombie c || is_last c st = true) ->
    forall k t, is_within k o st = true -> capability_at k st = Some (TCBCap t) -> k = s) -> held st -> held (discard s st).
Proof.
  intros none ok j t. rewrite discard_caps. destruct (N.eqb_spec j s) as [|other]; [discriminate|]. intros there.
  destruct (ok j t there) as (elsewhere & good_).
  split; [exact elsewhere|].
  assert (forall o k, is_within j o st = true -> slots_in o st = Some k -> slots_in o (discard s st) = Some k) as stay.
  { intros o k inside is_k. unfold discard. destruct (capability_at s st) as [c|] eqn:at_s; [|exact is_k].
    pose proof (objects_of_remove_capability s st) as same. assert (slots_in o (remove_capability s st) = Some k) as usual
      by (rewrite (slots_in_same st (remove_capability s st) o same); exact is_k).
    destruct (object_of c) as [p|] eqn:names; [|exact usual]. destruct (is_zombie c || is_last c st) eqn:last; [|exact usual]. unfold slots_in.
    change (objects (remove_object p ?x)) with (remove p (objects x)). rewrite find_remove. destruct (N.eqb_spec o p) as [->|]; [|exact usual].
    destruct (other (none p (ex_intro _ c (conj eq_refl (conj names last))) j t inside there)). }
  destruct good_ as [(o & radix & i & is_o & less & same)|(o & z & inside & at_z)].
  - left. exists o, radix, i. split; [|split; assumption]. apply cnode_slots_in, stay; [|apply cnode_slots_in; exact is_o].
    apply (within_from j o (Some radix)); [apply cnode_slots_in; exact is_o|]. subst j. unfold slot_of, slot_bytes. change (N.shiftl 1 slot_bits) with 32.
    apply andb_true_intro. split; [apply N.leb_le; lia | apply N.ltb_lt; lia].
  - right. pose proof (within_cases j o st inside) as (k & is_k & inside'). exists o, z. split; [exact (within_from j o k _ (stay o k inside is_k) inside')|].
    rewrite discard_caps. destruct (N.eqb_spec z s) as [->|]; [|exact at_z]. destruct other. apply (none o) with t; [|exact inside | exact there].
    exists (ZombieCap o). repeat split. exact at_z.
Qed.
(** The last occupied slot of a container is the last one. *)
Lemma last_is_last o st k c : capability_at k st = Some c -> is_within k o st = true ->
  exists s d, last_occupied o st = Some (s, d) /\ k <= s.
Proof.
  intros at_k inside. unfold is_within in inside. apply andb_prop in inside. destruct inside as (above & below_). apply N.leb_le in above.
  unfold last_occupied. rewrite last_below_plain. unfold capability_at in at_k. destruct (slots st !! k) as [e|] eqn:found; [|discriminate].
  destruct (last_is_largest (fun x => fst x <? slot_of o (slot_count o st)) _ k e (entries_sorted (slots st))) as (s & v & -> & less).
  - apply filter_In. split; [apply in_entries; exact found | exact below_].
  - rewrite (proj2 (N.leb_le o s)) by lia. exists s, (capability v). split; [reflexivity | exact less].
Qed.
Lemma discard_zombie_held s o st : capability_at s st = Some (ZombieCap o) -> (forall k t, is_within k o st = true -> capability_at k st <> Some (TCBCap t)) ->
  held st -> held (discard s st).
Proof.
  intros at_s none. apply discard_held. intros p (c & at_s' & names & _) k t inside there. rewrite at_s in at_s'. injection at_s' as <-. injection names as <-.
  destruct (none k t inside there).
Qed.
Lemma plain_held s c st : sound st -> capability_at s st = Some c -> container_of c st = None -> held st -> held (delete_plain s c st).
Proof.
  intros right at_s no_container ok.
  assert (held (discard s (let_go c st))) as away.
  { destruct (let_go_tables c st) as (same_slots & same_references).
    pose proof (@keeps_let_go _ _ _ _ sound_is_kept_quietly c eq_refl eq_refl eq_refl eq_refl st right) as right'. change (sound (let_go c st)) in right'.
    apply discard_held; [|exact (alike_held st _ (@keeps_let_go _ _ _ _ (alike_quietly st) c eq_refl eq_refl eq_refl eq_refl st (alike_refl st)) ok)].
    intros o (d & at_s' & names & last) k t inside _. exfalso. rewrite (capability_same s st _ same_slots), at_s in at_s'. injection at_s' as <-.
    rewrite (is_last_same c st _ same_references), (zombie_contains c st no_container) in last. cbn [orb] in last.
    assert (capability_in (slots (let_go c st)) s = Some c) as there by (rewrite <- capability_at_in, (capability_same s st _ same_slots); exact at_s).
    destruct (refers _ _ (live_ok _ right') s c o there names) as (x & found & fits_). apply within_cases in inside. destruct inside as (n & is_n & _).
    unfold slots_in in is_n. rewrite found in is_n. destruct x; try discriminate is_n; destruct c; try discriminate fits_; cbn [container_of] in no_container;
      try (rewrite last in no_container); discriminate no_container. }
  unfold delete_plain. destruct (is_last c st); [|exact away]. destruct (waiting_on c st) as [|u l].
  - destruct c; try exact away. destruct (first_assigned pool st) as [(index & v)|]; [|exact away].
    exact (alike_held st _ (@release_asid_freely _ _ _ _ (alike_quietly st) v _ eq_refl st (alike_refl st)) ok).
  - exact (alike_held st _ (@keeps_restart _ _ _ _ (alike_quietly st) u eq_refl st (alike_refl st)) ok).
Qed.
Lemma one_held s c st : sound st -> capability_at s st = Some c -> container_of c st = None -> held st -> held (delete_one s c st).
Proof.
  intros right at_s none ok. pose proof (plain_held s c st right at_s none ok) as plain. unfold delete_one. destruct c; try exact plain.
  destruct (is_last _ st); [|exact plain]. destruct (capability_at (irq_slot irq) st) as [[]|] eqn:bound; try exact plain.
  exact (plain_held _ _ st right bound eq_refl ok).
Qed.
Lemma rotate_held anchor s inner outer st : capability_at s st = Some (ZombieCap inner) -> capability_at anchor st = Some (ZombieCap outer) -> s <> anchor ->
  slot_of inner 0 <> anchor -> is_within s outer st = true -> held st -> held (rotate_zombies anchor s inner st).
Proof.
  intros at_s at_a other not_first inside ok. unfold rotate_zombies. cbv zeta. set (first := slot_of inner 0) in *. clearbody first.
  set (st1 := move_capability s nowhere st). set (st2 := if is_empty first st1 then st1 else move_capability first s st1).
  assert (leaves_good st st2) as leaves_.
  { apply (leaves_trans _ st1); [apply move_leaves|]. unfold st2. destruct (is_empty _ _); [apply leaves_refl | apply move_leaves]. }
  assert (capability_at anchor st2 = Some (ZombieCap outer) /\ (forall t, capability_at nowhere st2 <> Some (TCBCap t))
    /\ forall j t, capability_at j st2 = Some (TCBCap t) -> capability_at j st = Some (TCBCap t) \/ j = s /\ s <> nowhere) as (at2 & none2 & from2).
  { destruct (capability_at nowhere st) as [x|] eqn:full.
    - assert (forall k, capability_at k st1 = capability_at k st) as one by (intros k; apply move_full; congruence).
      assert (forall k, capability_at k st2 = capability_at k st) as two
        by (intros k; unfold st2; destruct (is_empty _ _); [apply one | rewrite move_full; rewrite one; [reflexivity | congruence]]).
      split; [rewrite two; exact at_a|]. split; [intros t; rewrite two; intros there; exact (proj1 (ok nowhere t there) eq_refl)|].
      intros j t. rewrite two. tauto.
    - assert (s <> nowhere /\ anchor <> nowhere) as (s_n & a_n) by (split; congruence).
      assert (capability_at anchor st1 = Some (ZombieCap outer)) as at1 by (unfold st1; rewrite move_other; [exact at_a | congruence | exact a_n]).
      pose proof (proj2 (proj2 (moved s nowhere st _ at_s full))) as caps. fold st1 in caps.
      assert (forall j c, capability_at j st2 = Some c -> capability_at j st1 = Some c \/ j = s) as from
        by (intros j c; unfold st2; destruct (is_empty _ _); [tauto|]; intros there; apply move_stems in there; tauto).
      split; [|split].
      + unfold st2. destruct (is_empty first st1); [exact at1 | rewrite move_other; [exact at1 | congruence | congruence]].
      + intros t there. destruct (from _ _ there) as [there1|]; [|congruence]. rewrite caps, N.eqb_refl in there1. discriminate there1.
      + intros j t there. destruct (from j _ there) as [there1|]; [left | right; tauto]. rewrite caps in there1.
        destruct (j =? nowhere); [discriminate there1|]. destruct (j =? s); [discriminate there1 | exact there1]. }
  assert (forall j t, capability_at j (move_capability anchor first st2) = Some (TCBCap t) -> capability_at j st2 = Some (TCBCap t)) as from3
    by (intros j t there; apply move_stems in there; destruct there as [there|(_ & no)]; [exact there | congruence]).
  apply (held_with st); [|intros j t there|exact ok].
  - apply (leaves_trans _ st2 _ leaves_), (leaves_trans _ (move_capability anchor first st2)); apply move_leaves.
  - apply move_stems in there. destruct there as [there|(_ & there)]; apply from3 in there; [|destruct (none2 t there)].
    destruct (from2 j t there) as [was|(-> & s_n)]; [left; exact was | right]. split; [exact s_n|].
    right. exists outer, anchor. split; [exact inside | exact at_a].
Qed.
Lemma first_within o s st : sound st -> capability_at s st = Some (ZombieCap o) -> is_within (slot_of o 0) o st = true.
Proof.
  intros right at_s. rewrite capability_at_in in at_s. destruct (refers _ _ (live_ok st right) s _ o at_s eq_refl) as (x & found & fits_).
  unfold is_within, slot_count. rewrite found. apply andb_true_intro.
  unfold slot_of, slot_bytes. change (N.shiftl 1 slot_bits) with 32. split; [apply N.leb_le; lia|]. apply N.ltb_lt.
  destruct x; try discriminate fits_; [pose proof (positive_size (CNodeObject radix)) as some; cbn [size_of] in some; rewrite N.shiftl_1_l in *;
    rewrite N.pow_add_r in some; lia | unfold thread_slots; lia].
Qed.
Lemma inner_held anchor s outer inner st : sound st -> capability_at s st = Some (ZombieCap inner) -> capability_at anchor st = Some (ZombieCap outer) ->
  s <> anchor -> is_within s outer st = true -> (forall k c, capability_at k st = Some c -> is_within k outer st = true -> k <= s) -> held st ->
  held (snd (meet_inner anchor s outer inner st)).
Proof.
  intros right at_s at_a other inside last ok. unfold meet_inner. destruct (_ && _) eqn:whole.
  { apply andb_prop, proj2 in whole. apply (discard_zombie_held s inner st at_s); [|exact ok]. intros k t inside_k there.
    destruct (last_is_last inner st k _ there inside_k) as (j & d & is_last_ & _). rewrite is_last_ in whole. discriminate whole. }
  destruct (is_within anchor inner st) eqn:inside_inner.
  { apply (exchange_held anchor s _ _ st at_a at_s (not_eq_sym other)); [discriminate | discriminate | exact ok]. }
  destruct ((s =? slot_of outer 0) && negb (is_within anchor outer st)) eqn:is_first; cbn [snd].
  - apply andb_prop in is_first. destruct is_first as (is_first & _). apply N.eqb_eq in is_first.
    apply move_held; [intros t; rewrite discard_caps, (proj2 (N.eqb_neq s anchor) other); congruence|].
    apply (discard_zombie_held anchor outer st at_a); [|exact ok]. intros k t inside_k there. pose proof (last k _ there inside_k) as less.
    unfold is_within in inside_k. apply andb_prop, proj1, N.leb_le in inside_k. rewrite is_first in less. unfold slot_of in less.
    assert (k = s) as -> by (rewrite is_first; unfold slot_of; lia). congruence.
  - apply (rotate_held anchor s inner outer st at_s at_a other); [|exact inside | exact ok]. intros same.
    rewrite <- same, (first_within inner s st right at_s) in inside_inner. discriminate inside_inner.
Qed.
Lemma unit_held anchor st : sound st -> held st -> held (snd (delete_unit anchor st)).
Proof.
  intros right ok. unfold delete_unit. destruct (capability_at anchor st) as [c|] eqn:at_a; [|exact ok].
  assert (held (snd match container_of c st with Some _ => (anchor, become_zombie anchor c st) | None => (anchor, delete_one anchor c st) end)) as usual.
  { destruct (container_of c st) eqn:container; cbn [snd]; [exact (alike_held st _ (ends_alike anchor c st) ok) | exact (one_held anchor c st right at_a
      container ok)]. }
  destruct c; try exact usual. clear usual. unfold empty_zombie. cbv zeta. rename container into outer.
  destruct (last_occupied outer st) as [(s & c)|] eqn:last.
  2: { apply (discard_zombie_held anchor outer st at_a); [|exact ok]. intros k t inside_k there.
       destruct (last_is_last outer st k _ there inside_k) as (j & d & is_last_ & _). congruence. }
  assert (forall k d, capability_at k st = Some d -> is_within k outer st = true -> k <= s) as all_before.
  { intros k d there inside_k. destruct (last_is_last outer st k d there inside_k) as (j & x & is_last_ & less). congruence. }
  apply last_within in last. destruct last as (at_s & inside). destruct (N.eqb_spec s anchor) as [->|other].
  - destruct (N.eqb_spec anchor (slot_of outer 0)) as [is_first|not_first]; cbn [snd].
    + apply (discard_zombie_held anchor outer st at_a); [|exact ok]. intros k t inside_k there. pose proof (all_before k _ there inside_k) as less.
      unfold is_within in inside_k. apply andb_prop, proj1, N.leb_le in inside_k. rewrite is_first in less. unfold slot_of in less.
      assert (k = anchor) as -> by (rewrite is_first; unfold slot_of; lia). congruence.
    + unfold to_first_slot. destruct (is_empty (slot_of outer 0) st) eqn:vacant; [apply move_held; [intros t; congruence | exact ok]|].
      destruct (capability_at (slot_of outer 0) st) as [d|] eqn:at_f.
      2: { apply vacant_none, is_empty_spec in at_f. congruence. }
      apply (exchange_held anchor (slot_of outer 0) _ _ st at_a at_f not_first); [|discriminate | exact ok].
      intros t _ _. right. exists outer, anchor. split; [exact inside | exact at_a].
  - destruct (container_of c st) as [inner|] eqn:container; [|exact (one_held s c st right at_s container ok)].
    pose proof (become_zombie_slots s c st inner at_s container) as caps.
    assert (sound (become_zombie s c st)) as right1.
    { unfold become_zombie. apply (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_is_kept s eq_refl).
      destruct c; try exact right. exact (@keeps_end_thread _ _ _ _ sound_is_kept_quietly thread eq_refl eq_refl st right). }
    pose proof (ends_alike s c st) as (leaves_ & _).
    assert (forall k, is_within k outer (become_zombie s c st) = true -> is_within k outer st = true) as same_within.
    { intros k inside_k. apply within_cases in inside. destruct inside as (n & is_n & _). pose proof (containers_stay _ _ leaves_ outer n is_n) as is_n1.
      apply within_cases in inside_k. destruct inside_k as (n' & is_n' & inside_k). assert (n' = n) as -> by congruence.
      exact (within_from k outer n st is_n inside_k). }
    apply inner_held; [exact right1 | | | exact other | exact (within_stays _ _ s outer leaves_ inside) | | exact (alike_held st _ (ends_alike s c st) ok)].
    + rewrite caps, N.eqb_refl. reflexivity.
    + rewrite caps, (proj2 (N.eqb_neq anchor s)) by congruence. exact at_a.
    + intros k d there inside_k. apply same_within in inside_k. rewrite caps in there. destruct (N.eqb_spec k s) as [->|]; [lia|].
      exact (all_before k d there inside_k).
Qed.

Lemma units_hold {A} (P : State -> Prop) remains (work : A -> State -> A * State) a st : (forall n st, P st -> P (allow n st)) ->
  (forall a st, P st -> P (snd (work a st))) -> P st -> P (state_of (in_units remains work a st)).
Proof.
  intros allows each ok. unfold in_units.
  assert (match repeat_after (allowance st) (unit_turn remains work) (a, allowance st, st) with Again x => P (snd x) | Finished p => P (state_of p) end)
    as kept.
  { apply (repeat_keeps (unit_turn remains work) (fun x => P (snd x)) (fun p => P (state_of p))); [|exact ok].
    intros ((b & units) & one) ok1. cbn [snd] in ok1. unfold unit_turn. destruct (negb _); [exact (allows _ one ok1)|].
    destruct (_ =? _); [exact (allows _ one ok1)|]. pose proof (each b one ok1) as after. destruct (work b one). exact after. }
  destruct (repeat_after _ _ _) as [((b & units) & one)|q]; exact kept.
Qed.

(** ** Where addresses lead *)
Definition low_and_bounded (c : Capability) : Prop := low c /\ bounded c.
Definition settled_slots (st : State) : Prop := (sound st /\ all_fine bounded st) /\ held st.
Lemma walk_ends_good st : sound st -> all_fine bounded st -> forall levels place cnode radix guard size guard' size' address bits slot left_,
  capability_at place st = Some (CNodeCap cnode radix guard' size') -> walk levels cnode radix guard size address bits st = Reached slot left_ ->
  slot <> nowhere /\ is_slot_of_cnode slot st.
Proof.
  intros right fine. pose proof (proj1 (live_is st) (live_ok st right)) as alive.
  induction levels as [|levels IH]; intros place cnode radix guard size guard' size' address bits slot left_ at_place; cbn [walk]; cbv zeta.
  all: destruct (_ || _); [discriminate|]; destruct (bits <? size + radix); [discriminate|].
  all: assert (let s := slot_of cnode (bits_of address (bits - (size + radix)) radix) in s <> nowhere /\ is_slot_of_cnode s st) as here
    by (split; [apply low_elsewhere, (cnode_slot_low cnode radix); [|apply bits_below];
        rewrite capability_at_in in at_place; exact (proj2 (fine place _ at_place))
      | exists cnode, radix, (bits_of address (bits - (size + radix)) radix); repeat split;
        [exact (cnode_there st place _ _ _ _ alive at_place) | apply bits_below]]).
  all: destruct (bits - (size + radix) =? 0); [intros same; injection same as <- _; exact here|].
  all: destruct (capability_at (slot_of _ _) st) as [[]|] eqn:found; try (intros same; injection same as <- _; exact here).
  - discriminate.
  - exact (IH _ _ _ _ _ _ _ _ _ _ _ found).
Qed.
Lemma under_is_good place c address depth slot st : sound st -> all_fine bounded st -> capability_at place st = Some c ->
  slot_under (Some c) address depth st = inl slot -> slot <> nowhere /\ good_slot slot st.
Proof.
  intros right fine at_place. unfold slot_under, walk_from. destruct c; try discriminate.
  destruct (walk _ _ _ _ _ _ _ _) as [s left_|] eqn:walked; [|discriminate]. destruct left_; [|discriminate]. intros same. injection same as <-.
  destruct (walk_ends_good st right fine _ _ _ _ _ _ _ _ _ _ _ _ at_place walked) as (elsewhere & here). split; [exact elsewhere | left; exact here].
Qed.
Lemma argument_is_good call i address depth slot st : sound st -> all_fine bounded st -> valid call st ->
  slot_under (argument (cap i call)) address depth st = inl slot -> slot <> nowhere /\ good_slot slot st.
Proof.
  intros right fine ok. destruct (argument (cap i call)) as [c|] eqn:is_c; [|discriminate]. exact (under_is_good _ c _ _ _ st right fine
    (argument_at call st i c ok is_c)).
Qed.
Lemma arrival_is_good slot s c st : sound st -> all_fine bounded st -> arrives slot s c st -> slot <> nowhere /\ good_slot slot st.
Proof.
  intros right fine (from & address & to & old & _ & _ & _ & into). unfold receive_slot in into. destruct (receive_buffer to st) as [b|]; [|discriminate].
  cbv zeta in into. destruct (occupied_slot_of_address to _ st) as [(place & root)|] eqn:found; [|discriminate]. destruct (_ <=? 64); [|discriminate].
  destruct (slot_under (Some root) _ _ st) as [s'|] eqn:named_; [|discriminate]. destruct (is_empty s' st); [|discriminate]. injection into as <-.
  exact (under_is_good place root _ _ s' st right fine (occupied_in_place _ _ _ _ _ found) named_).
Qed.

(** ** Each step *)
Lemma settled_quietly : kept_quietly_but but_placing settled_slots (fun _ => True) low_and_bounded.
Proof.
  pose proof sound_is_kept_quietly as sound_. pose proof (fine_is_kept_quietly bounded) as bounded_. constructor; try (intros; exact I).
  - intros a b s r o rd sl _ ((right & fine) & ok). split; [split|].
    + exact (looks_at_objects sound_ a b s r o rd sl right).
    + exact (fine_of_slots bounded a b s fine).
    + exact (alike_held a b (alike_same a b s o) ok).
  - intros t st ((right & fine) & ok). exact (conj (conj (after_unplace sound_ t st right) fine) ok).
  - intros insert t st usual ((right & fine) & ok). destruct (place_by_same insert t st) as (s & _ & o). split; [split|].
    + exact (after_place sound_ insert t st usual right).
    + exact (fine_of_slots bounded st _ s fine).
    + exact (alike_held st _ (alike_same st _ s o) ok).
  - intros t st asleep ((right & fine) & ok). split; [exact (conj (after_sleeping_anew sound_ t st asleep right) fine)|].
    refine (alike_held st _ (alike_same st _ _ _) ok); reflexivity.
  - intros o x y st there same change fine_x ((right & fine) & ok).
    assert (object_change nothing y x) as free by (destruct y, x; try exact I; repeat split; discriminate). split; [split|].
    + exact (after_put_object sound_ o x y st there same free fine_x right).
    + exact fine.
    + exact (alike_held st _ (after_put_object (alike_quietly st) o x y st there same free fine_x (alike_refl st)) ok).
  - intros slot c st ((right & fine) & _) there.
    exact (conj (capabilities_are_fine sound_ slot c st right there) (capabilities_are_fine bounded_ slot c st fine there)).
Qed.
Lemma settled_kept : kept_but but_placing settled_slots (fun _ => True) low_and_bounded.
Proof.
  pose proof sound_is_kept as sound_. pose proof (fine_is_kept bounded yields_bounded) as bounded_.
  constructor; try (intros; discriminate); try solve [intros; intros absurd; destruct absurd].
  - intros slot p o c st from (is_low & is_b) arrived ((right & fine) & ok). split; [split|].
    + exact (after_insert_child sound_ slot p o c st from is_low right).
    + exact (after_insert_child bounded_ slot p o c st from is_b fine).
    + apply (comes_held slot c st _ (child_comes slot p o c st)); [|exact ok]. intros t _. exact (arrival_is_good slot p c st right fine arrived).
  - intros slot s o c st from (is_low & is_b) arrived ((right & fine) & ok). split; [split|].
    + exact (after_insert_sibling sound_ slot s o c st from is_low right).
    + exact (after_insert_sibling bounded_ slot s o c st from is_b fine).
    + apply (comes_held slot c st _ (sibling_comes slot s o c st)); [|exact ok]. intros t _. exact (arrival_is_good slot s c st right fine arrived).
  - intros u at_ size x slot c st with_it new (is_low & is_b) (-> & arrived) ((right & fine) & ok). split; [split|].
    + exact (after_carve sound_ u at_ size None slot c st with_it new is_low right).
    + exact (after_carve bounded_ u at_ size None slot c st with_it new is_b fine).
    + apply (comes_held slot c st _ (carve_comes u at_ size None slot c st)); [|exact ok]. intros t _. exact (arrival_is_good slot u c st right fine arrived).
  - intros c made made_so (is_low & is_b). exact (conj (yields_low c made made_so is_low) (yields_bounded c made made_so is_b)).
Qed.
Lemma settled_allow n st : settled_slots st -> settled_slots (allow n st).
Proof. exact (looks_at_objects settled_quietly st (allow n st) eq_refl eq_refl eq_refl eq_refl eq_refl ltac:(reflexivity)). Qed.
Lemma settled_unit anchor st : settled_slots st -> settled_slots (snd (delete_unit anchor st)).
Proof.
  intros ((right & fine) & ok). split; [split|].
  - exact (proj2 (@keeps_delete_unit _ _ _ _ sound_is_kept_quietly sound_is_kept (nothing_given _) anchor st right)).
  - exact (proj2 (@keeps_delete_unit _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) (nothing_given _) anchor st fine)).
  - exact (unit_held anchor st right ok).
Qed.
Lemma settled_delete slot st : settled_slots st -> settled_slots (state_of (delete slot st)).
Proof. apply (units_hold settled_slots); [exact settled_allow | exact settled_unit]. Qed.

(** ** The slots of threads and interrupts *)
(** What replaces a capability is low and bounded, too. *)
Lemma alike_low x c : is_replacement c -> stands_alike x c = true -> low x -> bounded x -> low (derived c) /\ bounded (derived c).
Proof.
  intros kind alike (objects_ & memory_ & _) (_ & cnode_).
  destruct c as [|e b r|n b r| |o radix g s| | | |v a| |base bits d r p| | | | | | | |]; try contradiction; cbn [derived].
  5: { destruct x as [| | | | | | | | | |base' bits' d' r' p'| | | | | | | |]; try discriminate alike. cbn [stands_alike] in alike.
       apply andb_prop in alike. rewrite !N.eqb_eq in alike. destruct alike as (<- & <-). pose proof (memory_ _ _ _ eq_refl) as below_.
       split; (split; [|try split; try exact I]); try (intros o no; discriminate no); intros b s y is_m; injection is_m as <- <- <-; exact below_. }
  all: destruct (alike_body x _ _ alike eq_refl) as (same & _ & size); apply is_number_spec in same; specialize (objects_ _ same);
    (split; [split; [intros y is_y; injection is_y as <-; exact objects_ | split; [intros y z w no; discriminate no | exact I]]|];
     split; [intros y z w no; discriminate no|]); try exact I.
  destruct (alike_spec x _ _ alike eq_refl) as (_ & type). destruct x; try discriminate type. cbn [object_of referent told_size] in *. injection same as ->.
  subst. exact cnode_.
Qed.
Lemma replacement_of_fault a : is_fault_endpoint a = true -> match replacement a with Some (_, c) => is_replacement c | None => True end.
Proof. unfold replacement, is_fault_endpoint. destruct (argument a) as [[]|]; try discriminate; intros _; exact I. Qed.
Lemma replacement_of_cnode d a : is_cnode a = true -> match guarded d a with Some (_, c) => is_replacement c | None => True end.
Proof.
  unfold guarded, is_cnode. destruct (argument a) as [[]|]; try discriminate. intros _. destruct (d =? 0); [exact I|]. cbn [with_guard]. cbv zeta.
  destruct (_ <=? _); exact I.
Qed.
Lemma replacement_of_space a : is_usable_vspace a = true -> match replacement a with Some (_, c) => is_replacement c | None => True end.
Proof. unfold replacement, is_usable_vspace. destruct (argument a) as [[]|]; try discriminate. intros _. exact I. Qed.
Lemma replacement_of_buffer a f : (a =? 0) || is_memory_frame f = true ->
  match (if a =? 0 then None else replacement f) with Some (_, c) => is_replacement c | None => True end.
Proof. destruct (a =? 0); [intros _; exact I|]. unfold replacement, is_memory_frame. destruct (argument f) as [[]|]; try discriminate. intros _. exact I. Qed.
Lemma settled_copy slot source_ c st : is_replacement c -> settled_slots st -> settled_slots (insert_copy slot source_ c st).
Proof.
  intros kind all_. pose proof all_ as ((right & fine) & ok). unfold insert_copy. destruct (capability_at source_ st) as [x|] eqn:there; [|exact all_].
  destruct (_ && _) eqn:may; [|exact all_]. apply andb_prop in may. destruct may as (_ & alike_). rewrite capability_at_in in there.
  destruct (alike_low x c kind alike_ (low_ok st right source_ x there) (fine source_ x there)) as (is_low & is_b). split; [split|].
  - exact (@keeps_insert_derived _ _ _ _ sound_is_kept_quietly sound_is_kept slot source_ false (derived c) is_low st right).
  - exact (@keeps_insert_derived _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) slot source_ false (derived c) is_b st fine).
  - apply (comes_held slot _ st _ (derived_comes slot source_ false (derived c) st)); [|exact ok]. intros t is_t. destruct c; try contradiction kind;
      discriminate is_t.
Qed.
Lemma settled_replace slot by_ st : match by_ with Some (_, c) => is_replacement c | None => True end -> settled_slots st ->
  settled_slots (state_of (replace_slot slot by_ st)).
Proof.
  intros kind ok. unfold replace_slot. pose proof (settled_delete slot st ok) as after. destruct (delete slot st) as [one|one]; [|exact after].
  cbn [and_then state_of] in *. destruct by_ as [(source_ & c)|]; [exact (settled_copy slot source_ c one kind after) | exact after].
Qed.
Lemma settled_alike a b : alike a b -> sound b -> all_fine bounded b -> settled_slots a -> settled_slots b.
Proof. intros same right fine (_ & ok). exact (conj (conj right fine) (alike_held a b same ok)). Qed.
Lemma settled_buffer t a st : settled_slots st -> settled_slots (change_thread t (fun x => x <| buffer_address := a |>) st).
Proof. apply (@keeps_change_thread _ _ _ _ settled_quietly). intros x. split; intros _; reflexivity. Qed.
Lemma settled_set_buffer t a f st : (a =? 0) || is_memory_frame f = true -> settled_slots st -> settled_slots (state_of (set_buffer t a f st)).
Proof.
  intros frame ok. unfold set_buffer. cbv zeta. unfold replace_in.
  pose proof (settled_replace (slot_of t buffer_slot) _ _ (replacement_of_buffer a f frame) (settled_buffer t 0 st ok)) as after.
  destruct (replace_slot _ _ _) as [one|one]; [|exact after]. cbn [and_then state_of] in *. exact (settled_buffer t a one after).
Qed.

(** ** Every method *)
Lemma bounded_method m call st : fits m (invoked call) -> valid call st -> all_fine bounded st ->
  match decode_method m call st with Perform work => all_fine bounded (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type ok fine. refine (@decode_well nothing (all_fine bounded) (fun _ => True) bounded (fine_is_kept_quietly bounded)
    (fine_is_kept bounded yields_bounded) (nothing_given _) m call st _ type ok fine).
  destruct ok as (there & args). split; [rewrite capability_at_in in there; exact (fine _ _ there)|].
  induction args as [|a l here _ IH]; constructor; [|exact IH]. unfold good, good_argument, good_option. destruct (argument a) as [c|] eqn:is_c; [|exact I].
  specialize (here c is_c). rewrite capability_at_in in here. exact (fine _ _ here).
Qed.
Definition then_held (d : Decision) (st : State) : Prop := match d with Perform work => held (state_after (work st)) | Refuse _ _ => True end.
Lemma settled_progress p : settled_slots (state_of p) -> held (state_after match p with Done st => Returns [] st | Preempted st => Stops st end).
Proof. intros (_ & ok). destruct p; exact ok. Qed.
Ltac chosen := repeat match goal with
  | |- then_held (if ?x then _ else _) _ => destruct x eqn:?; try exact I
  | |- then_held (match ?x with _ => _ end) _ => destruct x eqn:?; try exact I
  end.
Section Methods.
Variable call : Invocation.
Variable st : State.
Hypothesis fine_call : valid call st.
Hypothesis ok : settled_slots st.
Local Notation right := (proj1 (proj1 ok)).
Local Notation fine := (proj2 (proj1 ok)).
Lemma invoked_slots address depth slot : slot_under (Some (invoked call)) address depth st = inl slot -> slot <> nowhere /\ good_slot slot st.
Proof. exact (under_is_good _ _ address depth slot st right fine (proj1 fine_call)). Qed.
Lemma argument_slots i address depth slot : slot_under (argument (cap i call)) address depth st = inl slot -> slot <> nowhere /\ good_slot slot st.
Proof. exact (argument_is_good call i address depth slot st right fine fine_call). Qed.
Lemma derive_held a b c d r i make orig : then_held (derive_into a b c d r (cap i call) make orig call st) st.
Proof.
  unfold derive_into, empty_slot_in, slot_in, occupant, always. cbv beta. chosen. cbn [then_held state_after].
  match goal with into : slot_under (Some _) _ _ st = inl ?s |- held (insert_derived ?s ?from ?o ?x st) =>
    apply (comes_held s x st _ (derived_comes s from o x st)); [intros t _; exact (invoked_slots _ _ _ into) | exact (proj2 ok)] end.
Qed.
Lemma move_into_held a b c d i make : then_held (move_into a b c d (cap i call) make call st) st.
Proof.
  unfold move_into, empty_slot_in, slot_in, occupant, always. cbv beta. chosen. cbn [then_held state_after].
  match goal with into : slot_under (Some _) _ _ st = inl ?s |- held (move_capability ?from ?s (change_capability _ ?x st)) =>
    pose proof (change_alike from x st) as same; destruct (invoked_slots _ _ _ into) as (elsewhere & good_);
    apply move_held; [intros t _; split; [exact elsewhere | exact (good_stays _ _ s (proj1 same) good_)] | exact (alike_held _ _ same (proj2 ok))] end.
Qed.
Lemma changed_some j slot c one : capability_at j one <> None -> capability_at j (change_capability slot c one) <> None.
Proof.
  unfold change_capability. destruct (slots one !! slot) as [e|] eqn:found; [|exact id]. destruct (_ && _); [|exact id].
  rewrite !(capability_at_in _ j), (in_replace slot e c one j found). destruct (j =? slot); [discriminate | exact id].
Qed.
Lemma rotate_method_held a b c d e f g h i k : then_held (cnode_rotate a b c d e f g h (cap i call) (cap k call) call st) st.
Proof.
  unfold cnode_rotate, slot_in, occupant, always. cbv beta. chosen. cbn [then_held state_after].
  match goal with into : slot_under (Some _) _ _ st = inl ?dest, differ : negb (?p =? ?s) && _ = true, is_p : slot_under _ _ _ st = inl ?p,
      is_s : slot_under _ _ _ st = inl ?s, at_p : capability_at ?p st = Some _, at_s : capability_at ?s st = Some _
      |- context [change_capability ?s ?x (change_capability ?p ?y st)] =>
    apply andb_prop, proj1, negb_true_iff, N.eqb_neq in differ; pose proof differ as apart_;
    destruct (invoked_slots _ _ _ into) as (d_n & d_g); destruct (argument_slots _ _ _ _ is_p) as (p_n & p_g);
    destruct (argument_slots _ _ _ _ is_s) as (s_n & s_g);
    pose proof (alike_trans _ _ _ (change_alike p y st) (change_alike s x _)) as same;
    pose proof (alike_held _ _ same (proj2 ok)) as held_;
    pose proof (changed_some s s x _ (changed_some s p y st ltac:(congruence))) as some_s;
    pose proof (changed_some p s x _ (changed_some p p y st ltac:(congruence))) as some_p;
    apply (good_stays _ _ _ (proj1 same)) in d_g; apply (good_stays _ _ _ (proj1 same)) in p_g; apply (good_stays _ _ _ (proj1 same)) in s_g;
    revert some_s some_p held_ d_g p_g s_g; generalize (change_capability s x (change_capability p y st)); clear - apart_ d_n p_n s_n;
    intros one some_s some_p held_ d_g p_g s_g
  end.
  match goal with |- context [if ?x then _ else _] => destruct x end.
  - match type of some_s with capability_at ?s one <> None => destruct (capability_at s one) as [cs|] eqn:at_s; [|contradiction] end.
    match type of some_p with capability_at ?p one <> None => destruct (capability_at p one) as [cp|] eqn:at_p; [|contradiction] end.
    apply (exchange_held _ _ cs cp one at_s at_p (not_eq_sym apart_)); try exact held_; intros; assumption.
  - apply move_held; [intros t _; split; [exact p_n | exact (good_stays _ _ _ (move_leaves _ _ one) p_g)]|].
    apply move_held; [intros t _; split; assumption | exact held_].
Qed.
Lemma objects_held count type n d u t : forall at_ slot offset one, (forall k, k < N.of_nat count -> slot + slot_bytes * k <> nowhere
    /\ good_slot (slot + slot_bytes * k) one) -> held one -> held (state_after (make_objects count type at_ n d slot offset u t one)).
Proof.
  induction count as [|rest IH]; intros at_ slot offset one good_ held_; cbn [make_objects]; [exact held_|]. destruct (must_stop one).
  - cbn [state_after]. apply (alike_held one); [|exact held_]. pose proof (alike_quietly one) as quiet.
    exact (@keeps_set_word_argument _ _ _ _ quiet 5%nat _ t _ (@keeps_set_word_argument _ _ _ _ quiet 4%nat offset t one (alike_refl one))).
  - cbv zeta. unfold make_object. cbv zeta.
    match goal with |- context [carve u at_ ?size ?x slot ?c ?s] => set (told := s); set (after := carve u at_ size x slot c told);
      assert (alike one told) as same by (unfold told; destruct (_ || _); [exact (alike_same one (emit _ one) eq_refl eq_refl) | apply alike_refl]);
      pose proof (carve_comes u at_ size x slot c told : comes slot c told after) as came end.
    clearbody after. pose proof (leaves_trans _ _ _ (proj1 same) (comes_good _ _ _ _ came)) as leaves_.
    apply IH.
    + intros k less. replace (slot + slot_bytes + slot_bytes * k) with (slot + slot_bytes * (k + 1)) by lia.
      destruct (good_ (k + 1) ltac:(lia)) as (elsewhere & good_k). split; [exact elsewhere|]. exact (good_stays one after _ leaves_ good_k).
    + change (held after). apply (comes_held _ _ _ _ came); [|exact (alike_held _ _ same held_)]. intros x _.
      destruct (good_ 0 ltac:(lia)) as (elsewhere & good_0). rewrite N.mul_0_r, N.add_0_r in *. split; [exact elsewhere|].
      exact (good_stays _ _ _ (proj1 same) good_0).
Qed.
Lemma cnode_slots_good place cnode radix g s offset num : capability_at place st = Some (CNodeCap cnode radix g s) -> offset + num <= N.shiftl 1 radix ->
  forall k, k < num -> slot_of cnode offset + slot_bytes * k <> nowhere /\ good_slot (slot_of cnode offset + slot_bytes * k) st.
Proof.
  intros at_place room k less. replace (slot_of cnode offset + slot_bytes * k) with (slot_of cnode (offset + k)) by (unfold slot_of; lia). split.
  - rewrite capability_at_in in at_place. apply low_elsewhere, (cnode_slot_low cnode radix); [exact (proj2 (fine place _ at_place)) | lia].
  - left. exists cnode, radix, (offset + k). split; [|split; [lia | reflexivity]].
    exact (cnode_there st place _ _ _ _ (proj1 (live_is st) (live_ok st right)) at_place).
Qed.
Lemma retype_held a b c d e f i : then_held (untyped_retype a b c d e f (cap i call) call st) st.
Proof.
  unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta. chosen.
  all: cbn [then_held]; apply objects_held; [rewrite N2Nat.id | exact (proj2 ok)].
  - match goal with is_c : argument (cap i call) = Some _ |- _ => apply (cnode_slots_good _ _ _ _ _ e f (argument_at call st i _ fine_call is_c)) end.
    apply N.leb_le. assumption.
  - match goal with is_c : capability_at _ st = Some (CNodeCap _ _ _ _) |- _ => apply (cnode_slots_good _ _ _ _ _ e f is_c) end.
    apply N.leb_le. assumption.
Qed.
Lemma configure_held a b c i j k : then_held (tcb_configure a b c (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  unfold tcb_configure. cbv zeta. chosen. cbn [in_progress then_held]. apply settled_progress. unfold replace_in.
  match goal with is_c : is_cnode _ = true, is_v : is_usable_vspace _ = true |- _ =>
    pose proof (settled_replace (slot_of (invoked_thread call) cspace_slot) _ st (replacement_of_cnode a _ is_c) ok) as one;
    pose proof (fun x => settled_replace (slot_of (invoked_thread call) vspace_slot) _ x (replacement_of_space _ is_v)) as two end.
  destruct (replace_slot (slot_of _ cspace_slot) _ st) as [st1|st1]; [|exact one]. cbn [and_then state_of] in *. specialize (two st1 one).
  destruct (replace_slot (slot_of _ vspace_slot) _ st1) as [st2|st2]; [|exact two]. cbn [and_then state_of] in *. apply settled_set_buffer; assumption.
Qed.
Lemma set_space_held a b i j k : then_held (tcb_set_space a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  unfold tcb_set_space. cbv zeta. chosen. cbn [in_progress then_held]. apply settled_progress. unfold replace_in.
  match goal with is_f : is_fault_endpoint _ = true, is_c : is_cnode _ = true, is_v : is_usable_vspace _ = true |- _ =>
    pose proof (settled_replace (slot_of (invoked_thread call) fault_slot) _ st (replacement_of_fault _ is_f) ok) as one;
    pose proof (fun x => settled_replace (slot_of (invoked_thread call) cspace_slot) _ x (replacement_of_cnode a _ is_c)) as two;
    pose proof (fun x => settled_replace (slot_of (invoked_thread call) vspace_slot) _ x (replacement_of_space _ is_v)) as three end.
  destruct (replace_slot (slot_of _ fault_slot) _ st) as [st1|st1]; [|exact one]. cbn [and_then state_of] in *. specialize (two st1 one).
  destruct (replace_slot (slot_of _ cspace_slot) _ st1) as [st2|st2]; [|exact two]. cbn [and_then state_of] in *. exact (three st2 two).
Qed.
Lemma set_ipc_buffer_held a i : then_held (tcb_set_ipc_buffer a (cap i call) call st) st.
Proof.
  unfold tcb_set_ipc_buffer. chosen. cbn [in_progress then_held]. apply settled_progress, settled_set_buffer; assumption.
Qed.
Lemma set_timeout_held i : then_held (tcb_set_timeout_endpoint (cap i call) call st) st.
Proof.
  unfold tcb_set_timeout_endpoint. chosen. cbn [in_progress then_held]. apply settled_progress, settled_replace; [|exact ok].
  apply replacement_of_fault. assumption.
Qed.
Lemma set_sched_params_held a b i j k : then_held (tcb_set_sched_params a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  pose proof settled_quietly as quiet. unfold tcb_set_sched_params, thread_argument, in_progress. cbv zeta beta. set (t := invoked_thread call).
  assert (settled_slots (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st))) as after.
  { apply (@keeps_set_priority _ _ _ _ quiet _ _ eq_refl), (@keeps_change_thread _ _ _ _ quiet); [intros x; split; intros _; reflexivity | exact ok]. }
  destruct (argument (cap i call)) as [[]|]; try exact I. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  revert after. destruct (argument (cap j call)) as [[]|]; try (intros; exact I).
  all: destruct (_ : bool); [|intros; exact I]; destruct (is_fault_endpoint _) eqn:fault_; [|intros; exact I]; cbn [then_held];
    generalize (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st)); intros one after;
    apply settled_progress; unfold replace_in; apply settled_replace; [exact (replacement_of_fault _ fault_)|].
  - destruct (context_of t one); [exact after | exact (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl one after)].
  - destruct (context_of t one); [exact (@keeps_unbind_thread _ _ _ _ quiet _ eq_refl one after) | exact after].
Qed.
Lemma set_notification_held i : then_held (irq_handler_set_notification (cap i call) call st) st.
Proof.
  unfold irq_handler_set_notification, in_progress. cbv zeta beta. chosen. cbn [then_held]. apply settled_progress.
  match goal with is_n : argument (cap i call) = Some ?c |- _ =>
    pose proof (settled_replace (irq_slot (invoked_interrupt call)) (Some (argument_slot (cap i call), c)) st I ok) as after end.
  destruct (replace_slot (irq_slot _) _ st) as [one|one]; [|exact after]. cbn [state_of and_then] in *.
  exact (@keeps_set_mask _ _ _ _ settled_quietly _ _ one after).
Qed.
Lemma claimed_held slot s o c one : (forall t, c <> TCBCap t) -> alike st one -> held (insert_derived slot s o c one).
Proof.
  intros other same. apply (comes_held slot c one _ (derived_comes slot s o c one)); [intros t is_t; destruct (other t is_t)|].
  exact (alike_held _ _ same (proj2 ok)).
Qed.
Lemma irq_get_held a b c d i : then_held (irq_control_get a b c d (cap i call) call st) st.
Proof.
  unfold irq_control_get, empty_slot_in, slot_in, always. cbv zeta beta. chosen. cbn [then_held state_after].
  all: apply claimed_held; [discriminate|]; destruct (is_held_back _); apply alike_same; reflexivity.
Qed.
Lemma irq_issue_held a b c d i : then_held (irq_control_issue_sgisignal a b c d (cap i call) call st) st.
Proof.
  unfold irq_control_issue_sgisignal, empty_slot_in, slot_in, always. cbv zeta beta. chosen. cbn [then_held state_after].
  apply claimed_held; [discriminate | apply alike_refl].
Qed.
Lemma changed_held slot c one : alike st one -> held (change_capability slot c one).
Proof. intros same. exact (alike_held _ _ (alike_trans _ _ _ same (change_alike slot c one)) (proj2 ok)). Qed.
Lemma entry_alike t i e one : alike st one -> alike st (set_page_entry t i e one).
Proof. apply (@set_page_entry_freely _ _ _ _ (alike_quietly st) t i e eq_refl). intros x no. discriminate no. Qed.
Lemma table_map_held a b i : then_held (page_table_map a b (cap i call) call st) st.
Proof.
  unfold page_table_map, vspace_argument, always. cbv beta zeta. chosen. all: cbn [then_held state_after]; apply changed_held, entry_alike, alike_refl.
Qed.
Lemma table_unmap_held : then_held (page_table_unmap call st) st.
Proof.
  unfold page_table_unmap, always. cbv beta zeta. chosen. cbn [then_held state_after]. apply changed_held.
  exact (@unmap_table_freely _ _ _ _ (alike_quietly st) _ _ eq_refl st (alike_refl st)).
Qed.
Lemma frame_map_held a b c i : then_held (frame_map a b c (cap i call) call st) st.
Proof.
  unfold frame_map, vspace_argument, always. cbv beta zeta. chosen.
  all: cbn [then_held state_after]; apply changed_held, entry_alike;
    match goal with |- alike st (if ?x then _ else _) => destruct x end; [exact (alike_same st (emit _ st) eq_refl eq_refl) | apply alike_refl].
Qed.
Lemma frame_unmap_held : then_held (frame_unmap call st) st.
Proof.
  unfold frame_unmap, always. cbv beta zeta. chosen. cbn [then_held state_after]. apply changed_held.
  exact (@unmap_frame_freely _ _ _ _ (alike_quietly st) _ _ _ eq_refl st (alike_refl st)).
Qed.
Lemma make_pool_held a b i j : then_held (asid_control_make_pool a b (cap i call) (cap j call) call st) st.
Proof.
  unfold asid_control_make_pool, empty_slot_in, slot_in, always. cbv beta zeta. chosen. cbn [then_held state_after].
  match goal with |- held (carve ?u ?at_ ?size ?x ?slot ?c ?s) => apply (comes_held slot c s _ (carve_comes u at_ size x slot c s)); [discriminate|];
    apply (alike_held st s); [apply alike_same; reflexivity | exact (proj2 ok)] end.
Qed.
Lemma assign_held i : then_held (asid_pool_assign (cap i call) call st) st.
Proof.
  unfold asid_pool_assign, always. cbv beta zeta. chosen. cbn [then_held state_after]. apply changed_held.
  exact (@change_pool_freely _ _ _ _ (alike_quietly st) _ _ eq_refl st (alike_refl st)).
Qed.
End Methods.
Lemma settled_operations : operations but_placing settled_slots.
Proof.
  constructor; [right; exact settled_unit|]. intros m. destruct m; try (left; reflexivity); right; intros call st type fine_call ok;
    match goal with |- context [decode_method ?m call st] =>
      assert (then_held (decode_method m call st) st) as held_; [|pose proof (sound_method m call st type fine_call (proj1 (proj1 ok))) as right;
        pose proof (bounded_method m call st type fine_call (proj2 (proj1 ok))) as fine;
        destruct (decode_method m call st); [exact I | exact (conj (conj right fine) held_)]]
    end; unfold decode_method.
  all: first [ apply (retype_held call st fine_call ok) | apply (derive_held call st fine_call ok) | apply (move_into_held call st fine_call ok)
    | apply (rotate_method_held call st fine_call ok) | apply (configure_held call st ok) | apply (set_space_held call st ok)
    | apply (set_ipc_buffer_held call st ok) | apply (set_timeout_held call st ok) | apply (set_sched_params_held call st ok)
    | apply (set_notification_held call st ok) | apply (irq_get_held call st ok) | apply (irq_issue_held call st ok) | apply (table_map_held call st ok)
    | apply (table_unmap_held call st ok) | apply (frame_map_held call st ok) | apply (frame_unmap_held call st ok) | apply (make_pool_held call st ok)
    | apply (assign_held call st ok) ].
Qed.

(** ** Boot *)
Lemma root_in_cnode p slot c : boot_fits p -> In (slot, c) (root_capabilities p ++ dynamic_capabilities p) -> slot < irq_slot 0.
Proof.
  intros [right _ within_] listed. destruct (within_ slot c listed) as (i & less & ->). apply (cnode_slot_low (root_cnode p) (root_radix p)); [|exact less].
  refine (proj2 (boot_bounded p right (CNodeCap (root_cnode p) (root_radix p) 0 (64 - root_radix p)) _)).
  eexists. apply in_or_app. left. right. left. reflexivity.
Qed.
Lemma roots_at p j c : capability_at j (insert_roots p (first_state p)) = Some c -> In (j, c) (root_capabilities p ++ dynamic_capabilities p).
Proof.
  intros there. destruct (roots_listed (root_capabilities p ++ dynamic_capabilities p) (root_capabilities p ++ dynamic_capabilities p) (first_state p))
    as (_ & listed).
  - intros x in_l. exact in_l.
  - intros k. apply no_parent, first_slots.
  - intros k d. unfold capability_in. rewrite first_slots. discriminate.
  - apply listed. rewrite capability_at_in in there. exact there.
Qed.
Lemma first_cnode p : roots_are_apart p -> objects (insert_roots p (first_state p)) !! root_cnode p = Some (CNodeObject (root_radix p)).
Proof.
  intros differ. unfold roots_are_apart in differ. rewrite !NoDup_cons_iff in differ. cbn [In] in differ.
  rewrite insert_roots_is, objects_with_roots, first_objects.
  destruct (N.eqb_spec (root_cnode p) (root_context p)) as [same|]; [exfalso; intuition congruence|].
  destruct (N.eqb_spec (root_cnode p) (root_pool p)) as [same|]; [exfalso; intuition congruence|].
  destruct (N.eqb_spec (root_cnode p) (root_vspace p)) as [same|]; [exfalso; intuition congruence|]. rewrite N.eqb_refl. reflexivity.
Qed.
Lemma held_at_start p : boot_fits p -> held (insert_roots p (first_state p)).
Proof.
  intros fits_ j t there. pose proof (roots_at p j _ there) as listed. split; [exact (low_elsewhere j (root_in_cnode p j _ fits_ listed))|]. left.
  destruct fits_ as [right _ within_]. destruct (within_ j _ listed) as (i & less & ->). exists (root_cnode p), (root_radix p), i.
  split; [exact (first_cnode p (roots_differ p right)) | split; [exact less | reflexivity]].
Qed.
Lemma settled_to_thread p i place st : (forall t, capability_at (root_slot p i) st <> Some (TCBCap t)) -> settled_slots st ->
  settled_slots (copy_to_thread p i place st).
Proof.
  intros other ((right & fine) & ok). unfold copy_to_thread. destruct (capability_at (root_slot p i) st) as [c|] eqn:there;
    [|exact (looks_at_objects settled_quietly st (emit Stuck st) eq_refl eq_refl eq_refl eq_refl eq_refl ltac:(reflexivity) (conj (conj right fine) ok))].
  assert (low (derived c) /\ bounded (derived c)) as (is_low & is_b).
  { rewrite capability_at_in in there. pose proof (low_ok st right _ c there) as is_low. pose proof (fine _ c there) as is_b.
    destruct c; exact (conj is_low is_b). }
  split; [split|].
  - exact (@keeps_insert_derived _ _ _ _ sound_is_kept_quietly sound_is_kept _ _ false (derived c) is_low st right).
  - exact (@keeps_insert_derived _ _ _ _ (fine_is_kept_quietly bounded) (fine_is_kept bounded yields_bounded) _ _ false (derived c) is_b st fine).
  - apply (comes_held _ _ st _ (derived_comes _ _ false (derived c) st)); [|exact ok]. intros t is_t. destruct (other t). f_equal.
    destruct c; try discriminate is_t. exact is_t.
Qed.
Definition no_thread_at (p : BootPlan) (st : State) : Prop :=
  forall i t, In i [InitSlot.CNode; InitSlot.VSpace; InitSlot.IPCBuffer] -> capability_at (root_slot p i) st <> Some (TCBCap t).
Lemma no_thread_first p : no_thread_at p (insert_roots p (first_state p)).
Proof.
  intros i t which there. apply roots_at, in_app_or in there. destruct there as [there|there].
  - unfold root_capabilities in there. cbn [In] in there. destruct there as [same|there]; [|repeat (destruct there as [there|there]; [discriminate there|]);
      exact there].
    injection same as same _. apply slot_of_injective in same. cbn [In] in which.
    repeat (destruct which as [<-|which]; [discriminate same|]). exact which.
  - unfold dynamic_capabilities in there. cbv zeta in there. apply in_combine_r, in_app_or in there. destruct there as [there|there];
      apply in_map_iff in there; [destruct there as (core & same & _) | destruct there as (((base & bits) & device) & same & _)]; discriminate.
Qed.
Lemma no_thread_after p i place st : In i [InitSlot.CNode; InitSlot.VSpace; InitSlot.IPCBuffer] -> no_thread_at p st ->
  no_thread_at p (copy_to_thread p i place st).
Proof.
  intros which none j t listed. unfold copy_to_thread. destruct (capability_at (root_slot p i) st) as [c|] eqn:there; [|exact (none j t listed)].
  intros at_j. destruct (comes_there _ _ _ _ (derived_comes (slot_of (root_thread p) place) (root_slot p i) false (derived c) st) _ t at_j) as [was|(_ & is_t)].
  - exact (none j t listed was).
  - apply (none i t which). rewrite there. f_equal. destruct c; try discriminate is_t. exact is_t.
Qed.
Lemma boot_settled p : boot_fits p -> settled_slots (boot p).
Proof.
  intros fits_. pose proof settled_quietly as quiet. pose proof (fits_sound p fits_) as right. unfold boot. cbv zeta.
  assert (settled_slots (insert_roots p (first_state p)) /\ no_thread_at p (insert_roots p (first_state p))) as (ok & none).
  { split; [|apply no_thread_first]. split; [|exact (held_at_start p fits_)].
    exact (conj (sound_at_start p right) (fine_at_start bounded p (boot_bounded p right))). }
  unfold first_state in ok, none. revert ok none.
  generalize (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))). intros st ok none.
  pose proof (settled_to_thread p InitSlot.CNode cspace_slot st (fun t => none _ t (or_introl eq_refl)) ok) as ok1.
  pose proof (no_thread_after p InitSlot.CNode cspace_slot st (or_introl eq_refl) none) as none1.
  revert ok1 none1. generalize (copy_to_thread p InitSlot.CNode cspace_slot st). clear st ok none. intros st ok none.
  pose proof (settled_to_thread p InitSlot.VSpace vspace_slot st (fun t => none _ t (or_intror (or_introl eq_refl))) ok) as ok1.
  pose proof (no_thread_after p InitSlot.VSpace vspace_slot st (or_intror (or_introl eq_refl)) none) as none1.
  revert ok1 none1. generalize (copy_to_thread p InitSlot.VSpace vspace_slot st). clear st ok none. intros st ok none.
  pose proof (settled_to_thread p InitSlot.IPCBuffer buffer_slot st (fun t => none _ t (or_intror (or_intror (or_introl eq_refl)))) ok) as ok1.
  revert ok1. generalize (copy_to_thread p InitSlot.IPCBuffer buffer_slot st). clear st ok none. intros st ok.
  apply (@keeps_leave _ _ _ _ quiet), (@keeps_choose_thread _ _ _ _ quiet eq_refl), (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl).
  refine (@keeps_change_context _ _ _ _ quiet _ _ _ _ st ok).
  - split; [intros; exact I | reflexivity].
  - intros x. discriminate.
Qed.
Theorem reachable_settled p st : boot_fits p -> reachable step p st -> settled_slots st.
Proof.
  intros fits_ reached. exact (@reachable_keeps_but _ _ _ _ settled_quietly settled_kept settled_operations p (boot_settled p fits_) eq_refl st reached).
Qed.

(** A slot of a thread that is there is no CNode's, nor in another container. *)
Definition none_inside (st : State) : Prop := forall u i, i < thread_slots -> capability_at (slot_of u i) st <> Some (TCBCap u).
Lemma settled_inside st : settled_slots st -> none_inside st.
Proof.
  intros ((right & _) & ok) u i few there. pose proof (proj1 (live_is st) (live_ok st right)) as alive.
  destruct (none_dangles st alive _ _ u there eq_refl) as (x & found & fits_).
  assert (thread_exists u st = true) as exists_ by (unfold thread_exists; rewrite found; destruct x; try discriminate fits_; reflexivity).
  pose proof (thread_slot_in u i few) as inside. destruct (ok _ u there) as (_ & [is_place|(o & z & within_ & at_z)]).
  - exact (cnode_outside u _ st right exists_ is_place inside).
  - destruct (N.eq_dec o u) as [->|other].
    + pose proof (zombies_are_alone st alive z _ _ u at_z there eq_refl) as same. congruence.
    + exact (containers_apart u o z _ st right exists_ at_z other (or_intror within_) inside).
Qed.
