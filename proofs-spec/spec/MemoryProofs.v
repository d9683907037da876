(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Memory stays apart

    Capabilities stand for memory that lies within that of their parents; where two of them overlap they stand for the same, or one was derived
    from the other, an untyped. As each object has a capability, objects are apart, and what an untyped has to give is free. *)
From Coq Require Import Lia.
From Spec Require Export LiveProofs.
Open Scope N_scope.

(** ** The claim in terms of what is in slots, of parents and of extents *)
Definition End_of (x : N * N) : N := fst x + snd x.
Definition inside (x y : N * N) : Prop := fst y <= fst x /\ End_of x <= End_of y.
Definition in_use (c : Capability) (x : N * N) : Prop := match c with UntypedCap base _ _ used => End_of x <= base + used | _ => True end.
Definition same_frame (c d : Capability) : Prop :=
  match c, d with FrameCap base bits _ _ _, FrameCap base' bits' _ _ _ => base = base' /\ bits = bits' | _, _ => False end.
Definition alike (c d : Capability) : Prop := (exists o, object_of c = Some o /\ object_of d = Some o) \/ same_frame c d.
Inductive below (par : N -> option N) : N -> N -> Prop :=
| below_parent c p : par c = Some p -> below par c p
| below_more c b p : par c = Some b -> below par b p -> below par c p.
Definition Extents : Type := Capability -> option (N * N).
Record laid_out (caps : N -> option Capability) (par : N -> option N) (rg : Extents) : Prop := {
  lies_within : forall j p c d x, par j = Some p -> caps j = Some c -> caps p = Some d -> rg c = Some x -> exists y, rg d = Some y /\ inside x y /\ in_use d x;
  stands_apart : forall j k c d x y, j <> k -> caps j = Some c -> caps k = Some d -> rg c = Some x -> rg d = Some y ->
    apart x y \/ alike c d \/ (is_untyped c = true /\ below par k j) \/ (is_untyped d = true /\ below par j k)
}.

Lemma alike_sym c d : alike c d -> alike d c.
Proof.
  intros [(o & first & second)|same]; [left; exists o; split; assumption | right]. destruct c, d; try contradiction. destruct same. split; congruence.
Qed.
Lemma alike_trans a b c : alike a b -> alike b c -> alike a c.
Proof.
  intros [(o & first & second)|same] [(o' & third & fourth)|same'].
  - left. exists o. split; congruence.
  - destruct b; try contradiction. discriminate second.
  - destruct b, a; try contradiction. discriminate third.
  - right. destruct a, b, c; try contradiction. destruct same, same'. split; congruence.
Qed.
Lemma alike_untyped c d : alike c d -> is_untyped c = false /\ is_untyped d = false.
Proof. intros [(o & first & second)|same]; [|destruct c, d; try contradiction; split; reflexivity].
split; [destruct c | destruct d]; try reflexivity; discriminate. Qed.
Lemma apart_sym a b : apart a b -> apart b a. Proof. unfold apart. tauto. Qed.

(** The same with other extents of capabilities that are in no slot. *)
Lemma other_extents caps par rg rg' : (forall j c, caps j = Some c -> rg' c = rg c) -> laid_out caps par rg -> laid_out caps par rg'.
Proof.
  intros same ok. constructor.
  - intros j p c d x at_j in_j in_p. rewrite (same j c in_j), (same p d in_p). exact (lies_within _ _ _ ok j p c d x at_j in_j in_p).
  - intros j k c d x y other in_j in_k. rewrite (same j c in_j), (same k d in_k). exact (stands_apart _ _ _ ok j k c d x y other in_j in_k).
Qed.
Lemma other_views caps par rg caps' par' : (forall j, caps' j = caps j) -> (forall j, par' j = par j) -> laid_out caps par rg -> laid_out caps' par' rg.
Proof.
  intros same_caps same_par ok. assert (forall c p, below par c p -> below par' c p) as still.
  { induction 1 as [c p up|c b p up _ IH]; [apply below_parent | apply (below_more _ _ b); [|exact IH]]; rewrite same_par; exact up. }
  constructor.
  - intros j p c d x. rewrite same_par, !same_caps. apply (lies_within _ _ _ ok).
  - intros j k c d x y other. rewrite !same_caps. intros in_j in_k ext_c ext_d.
    destruct (stands_apart _ _ _ ok j k c d x y other in_j in_k ext_c ext_d) as [far|[same|[(u & under)|(u & under)]]];
      [left | right; left | right; right; left; split | right; right; right; split]; auto.
Qed.

(** ** A new leaf *)
Lemma leaf caps par rg caps' par' slot q c :
  par slot = None -> (forall j, par j <> Some slot) -> q <> Some slot ->
  (forall j, caps' j = if j =? slot then Some c else caps j) -> (forall j, par' j = if j =? slot then q else par j) ->
  (forall p d x, q = Some p -> caps p = Some d -> rg c = Some x -> exists y, rg d = Some y /\ inside x y /\ in_use d x) ->
  (forall k d x y, caps k = Some d -> rg d = Some x -> rg c = Some y ->
     apart x y \/ alike d c \/ (is_untyped d = true /\ exists p, q = Some p /\ (k = p \/ below par p k))) ->
  laid_out caps par rg -> laid_out caps' par' rg.
Proof.
  intros no_parent childless not_itself new_caps new_par within others ok.
  assert (forall j p, below par j p -> below par' j p) as still.
  { intros j p under. induction under as [j p up|j b p up _ IH]; [apply below_parent | apply (below_more _ _ b); [|exact IH]]; rewrite new_par;
      (destruct (N.eqb_spec j slot) as [->|]; [congruence | exact up]). }
  assert (forall k, (exists p, q = Some p /\ (k = p \/ below par p k)) -> below par' slot k) as over.
  { intros k (p & is_q & [->|under]); [apply below_parent | apply (below_more _ _ p); [|exact (still p k under)]]; rewrite new_par, N.eqb_refl; exact is_q. }
  constructor.
  - intros j p cj d x. rewrite new_par, !new_caps. destruct (N.eqb_spec j slot) as [->|_].
    + intros is_q same in_p. injection same as <-. destruct (N.eqb_spec p slot) as [->|_]; [contradiction | exact (within p d x is_q in_p)].
    + intros up in_j. destruct (N.eqb_spec p slot) as [->|_]; [exfalso; exact (childless j up)|].
      intros in_p. exact (lies_within _ _ _ ok j p cj d x up in_j in_p).
  - intros j k cj d x y other. rewrite !new_caps. destruct (N.eqb_spec j slot) as [->|nj], (N.eqb_spec k slot) as [->|nk].
    + contradiction.
    + intros same in_k ext_c ext_d. injection same as <-. destruct (others k d y x in_k ext_d ext_c) as [far|[same|(u & up)]].
      * left. exact (apart_sym _ _ far).
      * right. left. exact (alike_sym _ _ same).
      * right. right. right. split; [exact u | exact (over k up)].
    + intros in_j same ext_c ext_d. injection same as <-. destruct (others j cj x y in_j ext_c ext_d) as [far|[same|(u & up)]].
      * left. exact far.
      * right. left. exact same.
      * right. right. left. split; [exact u | exact (over j up)].
    + intros in_j in_k ext_c ext_d. destruct (stands_apart _ _ _ ok j k cj d x y other in_j in_k ext_c ext_d) as [far|[same|[(u & under)|(u & under)]]];
        [left | right; left | right; right; left; split | right; right; right; split]; auto.
Qed.

(** ** Another capability in the same place *)
Lemma replaced caps par rg caps' slot old c :
  caps slot = Some old -> (forall j, caps' j = if j =? slot then Some c else caps j) -> rg c = rg old -> is_untyped c = is_untyped old ->
  (forall d, alike old d -> alike c d) ->
  (forall j d x, par j = Some slot -> caps j = Some d -> rg d = Some x -> in_use old x -> in_use c x) ->
  laid_out caps par rg -> laid_out caps' par rg.
Proof.
  intros was now same_extent same_type same_thing still_used ok.
  assert (forall j cj, caps' j = Some cj -> exists c0, caps j = Some c0 /\ rg cj = rg c0 /\ is_untyped cj = is_untyped c0
            /\ (forall d, alike c0 d -> alike cj d) /\ (cj = c0 \/ (j = slot /\ cj = c /\ c0 = old))) as before.
  { intros j cj. rewrite now. destruct (N.eqb_spec j slot) as [->|_].
    - intros same. injection same as <-. exists old. repeat split; try assumption. right. repeat split.
    - intros in_j. exists cj. repeat split; try assumption; [intros d same; exact same | left; reflexivity]. }
  constructor.
  - intros j p cj d x up in_j in_p ext. destruct (before j cj in_j) as (c0 & in_j0 & ext0 & _), (before p d in_p) as (d0 & in_p0 & ext1 & _ & _ & which).
    rewrite ext0 in ext. destruct (lies_within _ _ _ ok j p c0 d0 x up in_j0 in_p0 ext) as (y & ext_d & in_y & used). exists y.
    split; [rewrite ext1; exact ext_d|]. split; [exact in_y|]. destruct which as [->|(-> & -> & ->)]; [exact used|].
    exact (still_used j c0 x up in_j0 ext used).
  - intros j k cj d x y other in_j in_k ext_c ext_d.
    destruct (before j cj in_j) as (c0 & in_j0 & ext0 & type0 & thing0 & _), (before k d in_k) as (d0 & in_k0 & ext1 & type1 & thing1 & _).
    rewrite ext0 in ext_c. rewrite ext1 in ext_d. rewrite type0, type1.
    destruct (stands_apart _ _ _ ok j k c0 d0 x y other in_j0 in_k0 ext_c ext_d) as [far|[same|[under|under]]]; [left; exact far | | tauto | tauto].
    right. left. apply alike_sym, thing1, alike_sym, thing0. exact same.
Qed.

(** ** A capability goes; its children become its parent's *)
Lemma removed caps par rg caps' par' r :
  (forall j, par j <> Some j) -> (forall j p, par j = Some p -> exists d, caps p = Some d) ->
  (forall j, caps' j = if j =? r then None else caps j) ->
  (forall j, par' j = if j =? r then None else if is_number (par j) r then par r else par j) ->
  laid_out caps par rg -> laid_out caps' par' rg.
Proof.
  intros no_loop exist new_caps new_par ok.
  assert (forall j k, below par j k -> k <> r ->
    (j <> r -> below par' j k) /\ (j = r -> exists b, par r = Some b /\ (k = b \/ below par' b k))) as skip.
  { intros j k under other. induction under as [j k up|j b k up _ IH].
    - split; [intros nj; apply below_parent; rewrite new_par|intros ->; exists k; split; [exact up | left; reflexivity]].
      apply N.eqb_neq in nj. rewrite nj, up. cbn [is_number]. apply N.eqb_neq in other. rewrite other. reflexivity.
    - specialize (IH other). destruct IH as (direct & through). split.
      + intros nj. assert (par' j = if b =? r then par r else Some b) as up'
          by (rewrite new_par, up; apply N.eqb_neq in nj; rewrite nj; reflexivity).
        destruct (N.eqb_spec b r) as [is_r|nb].
        * destruct (through is_r) as (b' & up_r & [->|under]); [apply below_parent | apply (below_more _ _ b'); [|exact under]]; rewrite up'; exact up_r.
        * apply (below_more _ _ b); [exact up' | exact (direct nb)].
      + intros ->. exists b. split; [exact up|]. right. apply direct. intros ->. exact (no_loop r up). }
  assert (forall j c, caps' j = Some c -> j <> r /\ caps j = Some c) as there.
  { intros j c. rewrite new_caps. destruct (N.eqb_spec j r); [discriminate|]. intros same. split; assumption. }
  constructor.
  - intros j p c d x up in_j in_p ext. destruct (there j c in_j) as (nj & at_j), (there p d in_p) as (np & at_p). rewrite new_par in up.
    apply N.eqb_neq in nj. rewrite nj in up. destruct (is_number (par j) r) eqn:child.
    + destruct (par j) as [q|] eqn:up_j; [|discriminate]. apply N.eqb_eq in child. subst q. destruct (exist j r up_j) as (cr & at_r).
      destruct (lies_within _ _ _ ok j r c cr x up_j at_j at_r ext) as (z & ext_r & (low & high) & _).
      destruct (lies_within _ _ _ ok r p cr d z up at_r at_p ext_r) as (y & ext_p & (low' & high') & used). exists y. split; [exact ext_p|].
      split; [split; lia|]. destruct d; try exact I. cbn [in_use] in *. lia.
    + exact (lies_within _ _ _ ok j p c d x up at_j at_p ext).
  - intros j k c d x y other in_j in_k ext_c ext_d. destruct (there j c in_j) as (nj & at_j), (there k d in_k) as (nk & at_k).
    destruct (stands_apart _ _ _ ok j k c d x y other at_j at_k ext_c ext_d) as [far|[same|[(u & under)|(u & under)]]]; [tauto | tauto | |].
    + right. right. left. split; [exact u | exact (proj1 (skip k j under nj) nk)].
    + right. right. right. split; [exact u | exact (proj1 (skip j k under nk) nj)].
Qed.

(** ** A capability moves *)
Lemma moved caps par rg caps' par' from to :
  caps to = None -> (forall j p, par j = Some p -> exists d, caps p = Some d) ->
  (forall j, caps' j = if j =? to then caps from else if j =? from then None else caps j) ->
  (forall j, j <> to -> par' (renamed from to j) = option_map (renamed from to) (par j)) ->
  laid_out caps par rg -> laid_out caps' par' rg.
Proof.
  intros vacant exist new_caps new_par ok.
  assert (forall j p, par j = Some p -> p <> to) as not_to by (intros j p up ->; destruct (exist j to up); congruence).
  assert (forall j k, below par j k -> j <> to -> below par' (renamed from to j) (renamed from to k)) as still.
  { intros j k under. induction under as [j k up|j b k up _ IH]; intros nj.
    - apply below_parent. rewrite (new_par j nj), up. reflexivity.
    - apply (below_more _ _ (renamed from to b)); [rewrite (new_par j nj), up; reflexivity | exact (IH (not_to j b up))]. }
  assert (forall j c, caps' j = Some c -> exists i, i <> to /\ j = renamed from to i /\ caps i = Some c) as came.
  { intros j c. rewrite new_caps. unfold renamed. destruct (N.eqb_spec j to) as [->|nt].
    - intros at_from. exists from. rewrite N.eqb_refl. repeat split; [intros ->; congruence | exact at_from].
    - destruct (N.eqb_spec j from) as [->|nf]; [discriminate|]. intros at_j. exists j. apply N.eqb_neq in nf. rewrite nf. repeat split; assumption. }
  assert (forall i, i <> to -> caps' (renamed from to i) = caps i) as goes.
  { intros i ni. rewrite new_caps. unfold renamed. destruct (N.eqb_spec i from) as [->|nf]; [rewrite N.eqb_refl; reflexivity|].
    apply N.eqb_neq in ni, nf. rewrite ni, nf. reflexivity. }
  constructor.
  - intros j' p' c d x up in_j in_p ext. destruct (came j' c in_j) as (j & nj & -> & at_j). rewrite (new_par j nj) in up.
    destruct (par j) as [p|] eqn:up_j; [|discriminate]. injection up as <-. rewrite (goes p (not_to j p up_j)) in in_p.
    exact (lies_within _ _ _ ok j p c d x up_j at_j in_p ext).
  - intros j' k' c d x y other in_j in_k ext_c ext_d. destruct (came j' c in_j) as (j & nj & -> & at_j), (came k' d in_k) as (k & nk & -> & at_k).
    destruct (stands_apart _ _ _ ok j k c d x y ltac:(congruence) at_j at_k ext_c ext_d) as [far|[same|[(u & under)|(u & under)]]]; [tauto | tauto | |].
    + right. right. left. split; [exact u | exact (still k j under nk)].
    + right. right. right. split; [exact u | exact (still j k under nj)].
Qed.

(** ** Parents after a change *)
Lemma child_is st c p : is_child st c p <-> parent_in (slots st) c = Some p.
Proof.
  unfold is_child, parent_in. split; [intros (e & -> & up); exact up|]. destruct (slots st !! c) as [e|]; [|discriminate].
  intros up. exists e. split; [reflexivity | exact up].
Qed.
Lemma parent_exists st : tree_is_right st -> forall j p, parent_in (slots st) j = Some p -> exists d, capability_in (slots st) p = Some d.
Proof.
  intros tree j p up. destruct (parents_exist st tree j p (proj2 (child_is st j p) up)) as (e & there). exists (capability e).
  unfold capability_in. rewrite there. reflexivity.
Qed.
Lemma not_own_parent st : tree_is_right st -> forall j, parent_in (slots st) j <> Some j.
Proof. intros tree j up. destruct (no_cycles st tree) as (rank & falls). apply child_is in up. specialize (falls j j up). lia. Qed.
Lemma vacant_childless st slot : tree_is_right st -> slots st !! slot = None -> forall j, parent_in (slots st) j <> Some slot.
Proof. intros tree vacant j up. destruct (parents_exist st tree j slot (proj2 (child_is st j slot) up)) as (e & there). congruence. Qed.
Lemma parent_remove k t j : parent_in (remove k t) j = if j =? k then None else parent_in t j.
Proof. unfold parent_in. rewrite find_remove. destruct (j =? k); reflexivity. Qed.
Lemma parent_adopt st slot e p j : tree_is_right st -> slots st !! slot = Some e ->
  parent_in (slots (adopt p (children e) st)) j = if is_number (parent_in (slots st) j) slot then p else parent_in (slots st) j.
Proof.
  intros tree there. unfold parent_in at 1. rewrite slots_of_adopt. destruct (member j (children e)) eqn:listed.
  - apply member_spec, (children_listed st tree slot e j there) in listed. destruct listed as (ej & at_j & up). unfold parent_in. rewrite at_j.
    cbn [option_map].
    rewrite up. cbn [is_number]. rewrite N.eqb_refl. reflexivity.
  - fold (parent_in (slots st) j). destruct (is_number (parent_in (slots st) j) slot) eqn:child; [exfalso|reflexivity].
    destruct (parent_in (slots st) j) as [q|] eqn:up; [|discriminate]. apply N.eqb_eq in child. subst q.
    apply child_is, (children_listed st tree slot e j there), member_spec in up. congruence.
Qed.
Lemma parent_after_removal st slot j : tree_is_right st ->
  parent_in (slots (remove_capability slot st)) j
  = if j =? slot then None else if is_number (parent_in (slots st) j) slot then parent_in (slots st) slot else parent_in (slots st) j.
Proof.
  intros tree. unfold remove_capability. destruct (slots st !! slot) as [e|] eqn:there.
  - fold (adopt (parent e) (children e) st). rewrite (proj2 (slots_of_count _ _)).
    match goal with |- parent_in ?t j = _ =>
      change t with (remove slot (slots (change_children (parent e) (replace slot (children e)) (adopt (parent e) (children e) st)))) end.
    rewrite parent_remove, parent_children, (parent_adopt st slot e (parent e) j tree there). destruct (j =? slot); [reflexivity|].
    assert (parent_in (slots st) slot = parent e) as -> by (unfold parent_in; rewrite there; reflexivity). reflexivity.
  - destruct (N.eqb_spec j slot) as [->|_]; [unfold parent_in; rewrite there; reflexivity|].
    destruct (parent_in (slots st) j) as [q|] eqn:up; [|reflexivity]. cbn [is_number]. destruct (N.eqb_spec q slot) as [->|]; [|reflexivity].
    exfalso. exact (vacant_childless st slot tree there j up).
Qed.
Lemma parent_after_move st from to e j : tree_is_right st -> slots st !! from = Some e -> slots st !! to = None -> j <> to ->
  parent_in (slots (move_capability from to st)) (renamed from to j) = option_map (renamed from to) (parent_in (slots st) j).
Proof.
  intros tree there vacant nj. unfold move_capability. rewrite there. rewrite (proj2 (is_empty_spec to st) vacant). fold (adopt (Some to) (children e) st).
  cbv zeta.
  match goal with |- parent_in ?t _ = _ =>
    change t with (set to e (remove from (slots (change_children (parent e) (replace from [to]) (adopt (Some to) (children e) st))))) end.
  rewrite parent_set, parent_remove, parent_children, (parent_adopt st from e (Some to) _ tree there).
  destruct (N.eq_dec j from) as [->|nf].
  - assert (renamed from to from = to) as -> by (unfold renamed; rewrite N.eqb_refl; reflexivity). rewrite N.eqb_refl.
    assert (parent_in (slots st) from = parent e) as same by (unfold parent_in; rewrite there; reflexivity). rewrite same.
    destruct (parent e) as [q|] eqn:up; [|reflexivity]. unfold renamed. cbn [option_map]. destruct (N.eqb_spec q from) as [->|]; [|reflexivity].
    exfalso. exact (not_own_parent st tree from same).
  - assert (renamed from to j = j) as -> by (unfold renamed; apply N.eqb_neq in nf; rewrite nf; reflexivity).
    apply N.eqb_neq in nj, nf. rewrite nj, nf. destruct (parent_in (slots st) j) as [q|]; [|reflexivity]. unfold renamed. cbn [is_number option_map].
    destruct (q =? from); reflexivity.
Qed.

(** ** Extents *)
Lemma extent_same a b c : objects b = objects a -> extent b c = extent a c.
Proof. intros same. unfold extent. rewrite same. reflexivity. Qed.
Lemma extent_object st c o : object_of c = Some o -> extent st c = option_map (fun x => (o, size_of x)) (objects st !! o).
Proof. destruct c; cbn [object_of referent]; intros same; try discriminate same; injection same as <-; reflexivity. Qed.
Lemma extent_of_none a b c : object_of c = None -> extent b c = extent a c.
Proof. destruct c; cbn [object_of referent]; intros none; try discriminate none; reflexivity. Qed.
Lemma object_is_typed c o : object_of c = Some o -> is_untyped c = false.
Proof. destruct c; try reflexivity. discriminate. Qed.
Lemma object_no_frame c d o : object_of c = Some o -> ~ same_frame c d.
Proof. destruct c; try discriminate; intros _ same; exact same. Qed.
Lemma alike_extent st c d : alike c d -> extent st d = extent st c.
Proof.
  intros [(o & first & second)|same]; [rewrite (extent_object st c o first), (extent_object st d o second); reflexivity|].
  destruct c, d; try contradiction. destruct same as (<- & <-). reflexivity.
Qed.
Lemma positive_size x : 0 < size_of x.
Proof. destruct x; cbn [size_of]; try (rewrite N.shiftl_1_l; apply N.neq_0_lt_0, N.pow_nonzero); lia. Qed.
Lemma inside_refl x : inside x x. Proof. split; lia. Qed.
Lemma typed_in_use c x : is_untyped c = false -> in_use c x.
Proof. destruct c; try discriminate; intros _; exact I. Qed.
Lemma apart_inside x y z : inside x y -> apart z y -> apart z x.
Proof. unfold inside, apart, End_of. lia. Qed.

Definition laid (st : State) : Prop := laid_out (capability_in (slots st)) (parent_in (slots st)) (extent st).
Lemma laid_same a b : slots b = slots a -> objects b = objects a -> laid a -> laid b.
Proof.
  intros same_slots same_objects ok. unfold laid. rewrite same_slots.
  apply (other_extents _ _ (extent a)); [intros j c _; exact (extent_same a b c same_objects) | exact ok].
Qed.
Lemma laid_slots st after : objects after = objects st -> laid_out (capability_in (slots after)) (parent_in (slots after)) (extent st) -> laid after.
Proof. intros same ok. apply (other_extents _ _ (extent st)); [intros j c _; exact (extent_same st after c same) | exact ok]. Qed.
Lemma in_slot st slot e : slots st !! slot = Some e -> capability_in (slots st) slot = Some (capability e).
Proof. intros there. unfold capability_in. rewrite there. reflexivity. Qed.
Lemma no_parent st slot : slots st !! slot = None -> parent_in (slots st) slot = None.
Proof. intros vacant. unfold parent_in. rewrite vacant. reflexivity. Qed.

(** ** Derivation *)
Lemma derived_alike st c made x : stands_alike c made = true -> is_untyped c = false -> extent st made = Some x -> alike c made.
Proof.
  intros same typed ext. destruct (object_of made) as [o|] eqn:names.
  - left. exists o. exact (conj (proj1 (alike_spec c made o same names)) names).
  - right. destruct made; try discriminate names; try discriminate ext; destruct c; try discriminate same; try discriminate typed.
    cbn [stands_alike] in same. rewrite andb_true_iff, !N.eqb_eq in same. destruct same. split; congruence.
Qed.
Lemma insert_child_laid slot p o c st : tree_is_right st -> derivable c p st -> laid st -> laid (insert_child slot p o c st).
Proof.
  intros tree (_ & x & there & (typed & _) & same) ok. destruct (is_empty slot st && negb (is_empty p st)) eqn:can;
    [|unfold insert_child; rewrite can; exact (laid_same st _ eq_refl eq_refl ok)].
  apply laid_slots with st; [apply objects_of_insert_child|]. pose proof can as vacant. apply andb_prop, proj1, is_empty_spec in vacant.
  rewrite capability_at_in in there.
  apply (leaf (capability_in (slots st)) (parent_in (slots st)) (extent st) _ _ slot (Some p) c).
  - exact (no_parent st slot vacant).
  - exact (vacant_childless st slot tree vacant).
  - intros same'. injection same' as ->. unfold capability_in in there. rewrite vacant in there. discriminate.
  - intros j. exact (in_insert_child slot p o c st j can).
  - intros j. rewrite (slots_of_insert_child _ _ _ _ _ can), parent_set, parent_children. reflexivity.
  - intros q d y is_q in_q ext. injection is_q as <-. assert (d = x) as -> by congruence. exists y.
    rewrite <- (alike_extent st x c (derived_alike st x c y same typed ext)). split; [exact ext|]. split; [apply inside_refl | exact (typed_in_use x y typed)].
  - intros k d y z in_k ext_d ext_c. pose proof (derived_alike st x c z same typed ext_c) as thing. rewrite (alike_extent st x c thing) in ext_c.
    destruct (N.eq_dec k p) as [->|other]; [right; left; assert (d = x) as -> by congruence; exact thing|].
    destruct (stands_apart _ _ _ ok k p d x y z other in_k there ext_d ext_c) as [far|[alike_|[(u & under)|(u & _)]]].
    + left. exact far.
    + right. left. exact (alike_trans d x c alike_ thing).
    + right. right. split; [exact u|]. exists p. split; [reflexivity | right; exact under].
    + congruence.
  - exact ok.
Qed.
Lemma insert_sibling_laid slot source o c st : tree_is_right st -> derivable c source st -> laid st -> laid (insert_sibling slot source o c st).
Proof.
  intros tree (_ & x & there & (typed & _) & same) ok. assert (objects (insert_sibling slot source o c st) = objects st) as same_objects
    by (rewrite (insert_sibling_same slot source o c st); reflexivity).
  destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact (laid_same st _ eq_refl eq_refl ok)].
  destruct (slots st !! source) as [e|] eqn:at_source; [|unfold insert_sibling; rewrite vacant, at_source; exact (laid_same st _ eq_refl eq_refl ok)].
  pose proof vacant as vacant_. apply is_empty_spec in vacant. rewrite capability_at_in in there.
  assert (parent_in (slots st) source = parent e) as up by (unfold parent_in; rewrite at_source; reflexivity).
  apply laid_slots with st; [exact same_objects|].
  apply (leaf (capability_in (slots st)) (parent_in (slots st)) (extent st) _ _ slot (parent e) c).
  - exact (no_parent st slot vacant).
  - exact (vacant_childless st slot tree vacant).
  - rewrite <- up. exact (vacant_childless st slot tree vacant source).
  - intros j. exact (in_insert_sibling slot source o c st e j vacant at_source).
  - intros j. unfold insert_sibling. rewrite vacant_, at_source, (proj1 (slots_of_count c _)). etransitivity; [apply parent_set|].
    rewrite (parent_children (parent e) _ st j). reflexivity.
  - intros q d y is_q in_q ext. pose proof (derived_alike st x c y same typed ext) as thing. rewrite (alike_extent st x c thing) in ext.
    exact (lies_within _ _ _ ok source q x d y ltac:(congruence) there in_q ext).
  - intros k d y z in_k ext_d ext_c. pose proof (derived_alike st x c z same typed ext_c) as thing. rewrite (alike_extent st x c thing) in ext_c.
    destruct (N.eq_dec k source) as [->|other]; [right; left; assert (d = x) as -> by congruence; exact thing|].
    destruct (stands_apart _ _ _ ok k source d x y z other in_k there ext_d ext_c) as [far|[alike_|[(u & under)|(u & _)]]].
    + left. exact far.
    + right. left. exact (alike_trans d x c alike_ thing).
    + right. right. split; [exact u|]. rewrite <- up. inversion under as [? ? first|? b ? first more]; subst; [exists k | exists b]; split; auto.
    + congruence.
  - exact ok.
Qed.

(** ** Carving *)
Lemma descendant_in_use caps par rg k u c d x : laid_out caps par rg -> (forall j p, par j = Some p -> exists e, caps p = Some e) ->
  below par k u -> caps k = Some c -> caps u = Some d -> rg c = Some x -> exists y, rg d = Some y /\ inside x y /\ in_use d x.
Proof.
  intros ok exist under. revert c x. induction under as [k u up|k b u up under IH]; intros c x in_k in_u ext.
  - exact (lies_within _ _ _ ok k u c d x up in_k in_u ext).
  - destruct (exist k b up) as (cb & in_b). destruct (lies_within _ _ _ ok k b c cb x up in_k in_b ext) as (z & ext_b & (low & high) & _).
    destruct (IH cb z in_b in_u ext_b) as (y & ext_u & (low' & high') & used). exists y. split; [exact ext_u|]. split; [split; lia|].
    destruct d; try exact I. cbn [in_use] in *. lia.
Qed.
Lemma below_child par k u : below par k u -> exists j, par j = Some u.
Proof. induction 1 as [k u up|k b u _ _ IH]; [exists k; exact up | exact IH]. Qed.
Lemma has_child st j u : tree_is_right st -> parent_in (slots st) j = Some u -> has_children u st = true.
Proof.
  intros tree up. pose proof (proj2 (child_is st j u) up) as child. destruct (parents_exist st tree j u child) as (e & there).
  apply (children_listed st tree u e j there) in child. unfold has_children, children_of. rewrite there. destruct (children e); [contradiction | reflexivity].
Qed.
Lemma carve_laid untyped at_ size x slot c st : tree_is_right st -> live (slots st) (objects st) -> comes_with c at_ size x ->
  laid st -> laid (carve untyped at_ size x slot c st).
Proof.
  intros tree alive (_ & with_it) ok.
  destruct (carve_cases untyped at_ size x slot c st) as [stuck|cut]; [rewrite stuck; exact (laid_same st _ eq_refl eq_refl ok)|].
  revert cut. generalize (carve untyped at_ size x slot c st). intros after cut.
  destruct cut as (e & base & bits & device & used & there & is_it & above & fits & vacant & unused & caps & pars & objs).
  set (old := UntypedCap base bits device used) in *. set (new := UntypedCap base bits device (at_ + size - base)) in *.
  pose proof (in_slot st untyped e there) as in_u. rewrite is_it in in_u.
  assert (forall j, parent_in (slots st) j = Some untyped -> base + used <= at_) as children_used
    by (intros j up; rewrite (has_child st j untyped tree up) in above; exact above).
  assert (base <= at_) as low by (destruct (has_children untyped st); lia).
  pose (caps1 := fun j => if j =? untyped then Some new else capability_in (slots st) j).
  assert (laid_out caps1 (parent_in (slots st)) (extent st)) as taken.
  { apply (replaced (capability_in (slots st)) _ _ _ untyped old new); try exact ok; try exact in_u; try reflexivity.
    - intros d same. destruct (alike_untyped old d same). discriminate.
    - intros j d y up _ _. cbn [in_use old new]. specialize (children_used j up). lia. }
  assert (forall j d, caps1 j = Some d -> extent after d = extent st d) as same_extent.
  { intros j d in_j. destruct (object_of d) as [o|] eqn:names; [|exact (extent_of_none st after d names)].
    rewrite !(extent_object _ d o names), objs. destruct x as [y|]; [|reflexivity]. rewrite find_set.
    destruct (N.eqb_spec o at_) as [->|]; [exfalso|reflexivity].
    unfold caps1 in in_j. destruct (j =? untyped); [injection in_j as <-; discriminate names|].
    destruct (refers _ _ alive j d at_ in_j names) as (z & found & _). rewrite (unused ltac:(discriminate)) in found. discriminate. }
  assert (extent after c = Some (at_, size)) as ext_c.
  { destruct x as [y|].
    - destruct with_it as (names & _ & sized). rewrite (extent_object after c at_ names), objs, find_set, N.eqb_refl. cbn [option_map]. rewrite sized.
      reflexivity.
    - destruct with_it as (b & dev & memory & ->). destruct c; try discriminate memory; injection memory as -> -> ->; reflexivity. }
  apply (leaf caps1 (parent_in (slots st)) (extent after) _ _ slot (Some untyped) c).
  - exact (no_parent st slot vacant).
  - exact (vacant_childless st slot tree vacant).
  - intros same. injection same as ->. congruence.
  - intros j. rewrite caps. reflexivity.
  - exact pars.
  - intros p d y is_u in_p ext. injection is_u as <-. unfold caps1 in in_p. rewrite N.eqb_refl in in_p. injection in_p as <-.
    assert (y = (at_, size)) as -> by congruence. exists (base, N.shiftl 1 bits). split; [reflexivity|].
    split; [split; unfold End_of; cbn [fst snd]; lia | unfold in_use, new, End_of; cbn [fst snd]; lia].
  - intros k d y z in_k ext_d is_z. assert (z = (at_, size)) as -> by congruence. rewrite (same_extent k d in_k) in ext_d. unfold caps1 in in_k.
    destruct (N.eqb_spec k untyped) as [->|other]; [injection in_k as <-; right; right; split; [reflexivity | exists untyped; split; [reflexivity | left;
      reflexivity]]|].
    destruct (stands_apart _ _ _ ok k untyped d old y (base, N.shiftl 1 bits) other in_k in_u ext_d eq_refl) as [far|[same|[(u & under)|(_ & under)]]].
    + left. apply (apart_inside (at_, size) (base, N.shiftl 1 bits)); [split; unfold End_of; cbn [fst snd]; lia | exact far].
    + destruct (alike_untyped d old same). discriminate.
    + right. right. split; [exact u|]. exists untyped. split; [reflexivity | right; exact under].
    + left. destruct (descendant_in_use _ _ _ k untyped d old y ok (parent_exists st tree) under in_k in_u ext_d) as (_ & _ & _ & in_used).
      destruct (below_child _ _ _ under) as (j & up). specialize (children_used j up). unfold in_use, old, End_of in in_used. left. cbn [fst snd]. lia.
  - apply (other_extents _ _ (extent st)); [exact same_extent | exact taken].
Qed.

(** ** Removal, moves and replacement *)
Lemma remove_laid slot st : tree_is_right st -> laid st -> laid (remove_capability slot st).
Proof.
  intros tree ok. apply laid_slots with st; [apply objects_of_remove_capability|].
  apply (removed (capability_in (slots st)) (parent_in (slots st)) _ _ _ slot); [apply not_own_parent, tree | apply parent_exists, tree | | | exact ok].
  - intros j. apply in_remove_capability.
  - intros j. apply parent_after_removal, tree.
Qed.
Lemma discard_laid slot st : indices_are_right st -> live (slots st) (objects st) -> laid st -> laid (discard slot st).
Proof.
  intros (tree & counts) alive ok. pose proof (remove_laid slot st tree ok) as gone. unfold discard.
  destruct (capability_at slot st) as [c|] eqn:there; [|exact ok]. unfold capability_at in there.
  destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection there as <-.
  destruct (object_of (capability e)) as [o|] eqn:names; [|exact gone].
  destruct (is_zombie (capability e) || is_last (capability e) st) eqn:last; [|exact gone].
  apply (other_extents _ _ (extent (remove_capability slot st))); [|exact gone]. intros j d at_j.
  destruct (object_of d) as [o'|] eqn:names'; [|exact (extent_of_none _ _ d names')]. rewrite !(extent_object _ d o' names').
  change (objects (remove_object o (remove_capability slot st))) with (remove o (objects (remove_capability slot st))). rewrite find_remove.
  destruct (N.eqb_spec o' o) as [->|]; [exfalso|reflexivity].
  change (slots (remove_object o (remove_capability slot st))) with (slots (remove_capability slot st)) in at_j.
  rewrite in_remove_capability in at_j. destruct (N.eqb_spec j slot) as [->|other]; [discriminate|].
  exact (other (only_one st slot j e d o counts alive found names last at_j names')).
Qed.
Lemma in_move from to st e j : slots st !! from = Some e -> slots st !! to = None ->
  capability_in (slots (move_capability from to st)) j
  = if j =? to then capability_in (slots st) from else if j =? from then None else capability_in (slots st) j.
Proof.
  intros there vacant. unfold move_capability. rewrite there, (proj2 (is_empty_spec to st) vacant). fold (adopt (Some to) (children e) st). cbv zeta.
  match goal with |- capability_in ?t _ = _ =>
    change t with (set to e (remove from (slots (change_children (parent e) (replace from [to]) (adopt (Some to) (children e) st))))) end.
  rewrite in_set, in_remove, in_children, in_adopt, (in_slot st from e there). reflexivity.
Qed.
Lemma move_laid from to st : tree_is_right st -> laid st -> laid (move_capability from to st).
Proof.
  intros tree ok. destruct (slots st !! from) as [e|] eqn:there; [|unfold move_capability; rewrite there; exact (laid_same st _ eq_refl eq_refl ok)].
  destruct (is_empty to st) eqn:vacant; [|unfold move_capability; rewrite there, vacant; exact (laid_same st _ eq_refl eq_refl ok)].
  apply is_empty_spec in vacant. apply laid_slots with st; [rewrite (move_capability_same from to st); reflexivity|].
  apply (moved (capability_in (slots st)) (parent_in (slots st)) _ _ _ from to); [| apply parent_exists, tree | | | exact ok].
  - unfold capability_in. rewrite vacant. reflexivity.
  - intros j. exact (in_move from to st e j there vacant).
  - intros j nj. exact (parent_after_move st from to e j tree there vacant nj).
Qed.
Lemma replace_laid slot e c st : slots st !! slot = Some e -> extent st c = extent st (capability e) -> is_untyped c = is_untyped (capability e) ->
  (forall d, alike (capability e) d -> alike c d) -> (forall x, in_use (capability e) x -> in_use c x) -> laid st -> laid (replace_capability slot e c st).
Proof.
  intros there same_extent same_type same_thing same_use ok. apply laid_slots with st; [rewrite (replace_capability_same slot e c st); reflexivity|].
  assert (laid_out (fun j => if j =? slot then Some c else capability_in (slots st) j) (parent_in (slots st)) (extent st)) as now.
  { apply (replaced (capability_in (slots st)) _ _ _ slot (capability e) c); try assumption; [exact (in_slot st slot e there) | reflexivity|].
    intros j d x _ _ _. apply same_use. }
  refine (other_views _ _ (extent st) _ _ _ _ now); intros j.
  - exact (in_replace slot e c st j there).
  - rewrite slots_of_replace, parent_set. destruct (N.eqb_spec j slot) as [->|]; [|reflexivity]. unfold parent_in. rewrite there. reflexivity.
Qed.
Lemma both_alike st c d : stands_alike c d = true -> stands_alike d c = true ->
  extent st d = extent st c /\ is_untyped d = is_untyped c /\ (forall x, alike c x -> alike d x) /\ (forall x, in_use c x -> in_use d x)
  /\ object_of d = object_of c.
Proof.
  intros first second. destruct (object_of d) as [o|] eqn:names.
  - destruct (alike_spec c d o first names) as (named & _). rewrite (extent_object st d o names), (extent_object st c o named).
    rewrite (object_is_typed d o names), (object_is_typed c o named). repeat split; [| |symmetry; exact named].
    + intros x [(o' & third & fourth)|same]; [left; exists o; split; [exact names | congruence] | exfalso; exact (object_no_frame c x o named same)].
    + intros x _. exact (typed_in_use d x (object_is_typed d o names)).
  - assert (object_of c = None) as none
      by (destruct (object_of c) as [o|] eqn:named; [destruct (alike_spec d c o second named); congruence | reflexivity]).
    destruct d; try discriminate names; destruct c; try discriminate none; try discriminate first; try discriminate second;
      try solve [repeat split; [intros x [(o & third & _)|same]; [discriminate third | contradiction]]].
    + cbn [stands_alike] in first. rewrite !andb_true_iff, !N.eqb_eq in first. destruct first as (((-> & ->) & same) & ->). apply eqb_prop in same. subst.
      repeat split; auto.
    + cbn [stands_alike] in first. rewrite !andb_true_iff, !N.eqb_eq in first. destruct first as (-> & ->). repeat split; auto.
Qed.
Lemma change_laid slot c st : laid st -> laid (change_capability slot c st).
Proof.
  intros ok. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|exact (laid_same st _ eq_refl eq_refl ok)].
  destruct (_ && _) eqn:both; [|exact (laid_same st _ eq_refl eq_refl ok)]. apply andb_prop in both. destruct both as (first & second).
  destruct (both_alike st (capability e) c first second) as (ext & type & thing & use & _). exact (replace_laid slot e c st there ext type thing use ok).
Qed.
Lemma zombie_laid slot st : laid st -> laid (make_zombie slot st).
Proof.
  intros ok. unfold make_zombie. destruct (slots st !! slot) as [e|] eqn:there; [|exact (laid_same st _ eq_refl eq_refl ok)].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|exact (laid_same st _ eq_refl eq_refl ok)].
  destruct (container_spec _ _ _ container) as (named & _). apply (replace_laid slot e (ZombieCap o) st there); [| | | |exact ok].
  - rewrite (extent_object st _ o named). reflexivity.
  - rewrite (object_is_typed _ o named). reflexivity.
  - intros d [(o' & first & second)|same]; [left; exists o; split; [reflexivity | congruence] | exfalso; exact (object_no_frame _ d o named same)].
  - intros x _. exact I.
Qed.

(** ** Every object has a capability *)
Definition owned (t : Table Entry) (x : Table Object) : Prop :=
  forall o y, x !! o = Some y -> exists j c, capability_in t j = Some c /\ object_of c = Some o.
Lemma owned_more s t x : (forall j c, capability_in s j = Some c -> exists k d, capability_in t k = Some d /\ object_of d = object_of c) -> owned s x ->
  owned t x.
Proof.
  intros more ok o y there. destruct (ok o y there) as (j & c & in_j & names). destruct (more j c in_j) as (k & d & in_k & same).
  exists k, d. split; [exact in_k | congruence].
Qed.
Lemma owned_same a b : slots b = slots a -> objects b = objects a -> owned (slots a) (objects a) -> owned (slots b) (objects b).
Proof. intros -> ->. exact id. Qed.
Lemma insert_child_owned slot p o c st : owned (slots st) (objects st) -> owned (slots (insert_child slot p o c st)) (objects (insert_child slot p o c st)).
Proof.
  intros ok. rewrite objects_of_insert_child. destruct (is_empty slot st && negb (is_empty p st)) eqn:can; [|unfold insert_child; rewrite can; exact ok].
  apply (owned_more (slots st)); [|exact ok]. intros j d in_j. exists j, d. rewrite (in_insert_child slot p o c st j can).
  apply andb_prop, proj1, is_empty_spec in can. destruct (N.eqb_spec j slot) as [->|]; [|split; [exact in_j | reflexivity]].
  unfold capability_in in in_j. rewrite can in in_j. discriminate.
Qed.
Lemma insert_sibling_owned slot source o c st :
  owned (slots st) (objects st) -> owned (slots (insert_sibling slot source o c st)) (objects (insert_sibling slot source o c st)).
Proof.
  intros ok. replace (objects (insert_sibling slot source o c st)) with (objects st) by (rewrite (insert_sibling_same slot source o c st); reflexivity).
  destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact ok].
  destruct (slots st !! source) as [e|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; exact ok]. apply is_empty_spec in vacant.
  apply (owned_more (slots st)); [|exact ok]. intros j d in_j. exists j, d. rewrite (in_insert_sibling slot source o c st e j vacant there).
  destruct (N.eqb_spec j slot) as [->|]; [|split; [exact in_j | reflexivity]]. unfold capability_in in in_j. rewrite vacant in in_j. discriminate.
Qed.
Lemma carve_owned untyped at_ size x slot c st : comes_with c at_ size x ->
  owned (slots st) (objects st) -> owned (slots (carve untyped at_ size x slot c st)) (objects (carve untyped at_ size x slot c st)).
Proof.
  intros (_ & with_it) ok. destruct (carve_cases untyped at_ size x slot c st) as [stuck|cut]; [rewrite stuck; exact ok|].
  destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & _ & caps & _ & objs). intros o y found.
  assert (objects st !! o = Some y \/ object_of c = Some o) as [before|new].
  { rewrite objs in found. destruct x as [x|]; [|left; exact found]. rewrite find_set in found.
    destruct (N.eqb_spec o at_) as [->|]; [right; exact (proj1 with_it) | left; exact found]. }
  - destruct (ok o y before) as (j & d & in_j & names). exists j, d. split; [|exact names]. rewrite caps. destruct (N.eqb_spec j slot) as [->|_].
    + unfold capability_in in in_j. rewrite vacant in in_j. discriminate.
    + destruct (N.eqb_spec j untyped) as [->|_]; [|exact in_j]. rewrite (in_slot st untyped e there), is_it in in_j. injection in_j as <-. discriminate names.
  - exists slot, c. rewrite caps, N.eqb_refl. split; [reflexivity | exact new].
Qed.
Lemma another_one st j e o : counts_are_right st -> slots st !! j = Some e -> referent (capability e) = Some o -> is_last (capability e) st = false ->
  exists k f, k <> j /\ slots st !! k = Some f /\ referent (capability f) = Some o.
Proof.
  intros counts there names more. unfold is_last in more. rewrite names, (counts o) in more. apply N.eqb_neq in more.
  unfold count_of in more. rewrite (sum_over_remove (weight o) j e _ there) in more.
  assert (weight o e = 1) as one by (unfold weight; rewrite names; cbn [is_number]; rewrite N.eqb_refl; reflexivity).
  destruct (sum_over_some (weight o) (remove j (slots st))) as (k & f & found & some); [rewrite one in more; lia|]. exists k, f.
  rewrite find_remove in found. destruct (N.eqb_spec k j) as [->|other]; [discriminate|]. split; [exact other|]. split; [exact found|].
  destruct (referent (capability f)) as [named|] eqn:is_named; unfold weight in some; rewrite is_named in some; cbn [is_number] in some;
    [|contradiction some; reflexivity].
  destruct (N.eqb_spec named o) as [same|]; [congruence | contradiction some; reflexivity].
Qed.

(** Capabilities lie below the slots of interrupts, so that a count of references is of an object or of an interrupt; and none has used more than it has. *)
Definition low (c : Capability) : Prop :=
  (forall o, object_of c = Some o -> o < irq_slot 0) /\ (forall base bits device, memory_of c = Some (base, bits, device) ->
    base + N.shiftl 1 bits <= irq_slot 0)
  /\ match c with UntypedCap _ bits _ used => used <= N.shiftl 1 bits | _ => True end.
Lemma yields_object c made o : yields c made -> object_of made = Some o ->
  object_of c = Some o \/ exists base bits device, memory_of c = Some (base, bits, device) /\ o < base + N.shiftl 1 bits.
Proof.
  intros made_so names. destruct made_so; try (left; exact names); try discriminate names.
  - left. destruct c; exact names.
  - left. destruct c; cbn [with_badge with_guard] in H; try (injection H as <-; exact names).
    + destruct badge0; [injection H as <-; exact names | discriminate].
    + destruct badge0; [injection H as <-; exact names | discriminate].
    + destruct (_ <=? _); [injection H as <-; exact names | discriminate].
  - left. destruct c; cbn [with_guard] in H; try (injection H as <-; exact names). destruct (_ <=? _); [injection H as <-; exact names | discriminate].
  - right. exists base, 12, false. cbn [object_of referent] in names. injection names as <-. split; [reflexivity|]. change (N.shiftl 1 12) with 4096. lia.
  - right. exists base, bits, device. split; [reflexivity|].
    assert (0 < N.shiftl 1 (object_bits type n)) as some by (rewrite N.shiftl_1_l; apply N.neq_0_lt_0, N.pow_nonzero; lia).
    assert (o = at_) as -> by (destruct type; cbn in names; congruence). lia.
Qed.
Lemma yields_low c made : yields c made -> low c -> low made.
Proof.
  intros made_so (objects_ & memory & used_). repeat split.
  - intros o names. destruct (yields_object c made o made_so names) as [same|(base & bits & device & found & within)]; [exact (objects_ o same)|].
    specialize (memory base bits device found). lia.
  - intros base bits device found. destruct (yields_memory c made base bits device made_so found) as (base0 & bits0 & found0 & above & below_).
    specialize (memory base0 bits0 device found0). lia.
  - destruct made_so; try exact I; try exact used_.
    + destruct c; exact used_.
    + destruct c; cbn [with_badge with_guard] in H; try (injection H as <-; exact used_).
      * destruct badge0; [injection H as <-; exact I | discriminate].
      * destruct badge0; [injection H as <-; exact I | discriminate].
      * destruct (_ <=? _); [injection H as <-; exact I | discriminate].
    + destruct c; cbn [with_guard] in H; try (injection H as <-; exact used_). destruct (_ <=? _); [injection H as <-; exact I | discriminate].
    + exact H.
    + destruct type; try exact I. apply N.le_0_l.
Qed.
Lemma discard_owned slot st : indices_are_right st -> all_fine low st -> owned (slots st) (objects st) ->
  owned (slots (discard slot st)) (objects (discard slot st)).
Proof.
  intros (tree & counts) is_low ok. unfold discard. destruct (capability_at slot st) as [c|] eqn:there; [|exact ok]. unfold capability_at in there.
  destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection there as <-.
  assert (forall o y, objects st !! o = Some y -> object_of (capability e) <> Some o ->
            exists j d, capability_in (slots (remove_capability slot st)) j = Some d /\ object_of d = Some o) as others.
  { intros o y present other. destruct (ok o y present) as (j & d & in_j & names). exists j, d. split; [|exact names]. rewrite in_remove_capability.
    destruct (N.eqb_spec j slot) as [->|]; [|exact in_j]. rewrite (in_slot st slot e found) in in_j. congruence. }
  destruct (object_of (capability e)) as [o|] eqn:names.
  - destruct (is_zombie (capability e) || is_last (capability e) st) eqn:last.
    + intros o' y. change (objects (remove_object o (remove_capability slot st))) with (remove o (objects (remove_capability slot st))).
      rewrite find_remove, objects_of_remove_capability. destruct (N.eqb_spec o' o) as [->|other]; [discriminate|].
      intros present. apply (others o' y present). congruence.
    + intros o' y. rewrite objects_of_remove_capability. intros present. destruct (N.eq_dec o' o) as [->|other]; [|apply (others o' y present); congruence].
      apply orb_false_iff in last. destruct last as (no_zombie & more). destruct (referent_of _ _ names) as [zombie|counted]; [congruence|].
      destruct (another_one st slot e o counts found counted more) as (k & f & other & at_k & counted_f). exists k, (capability f). split.
      * rewrite in_remove_capability. apply N.eqb_neq in other. rewrite other. exact (in_slot st k f at_k).
      * assert (o < irq_slot 0) as below_ by (exact (proj1 (is_low slot _ (in_slot st slot e found)) o names)).
        destruct (capability f); cbn [object_of referent] in *; try exact counted_f; try discriminate counted_f.
        injection counted_f as <-. unfold irq_slot, slot_of in below_. lia.
  - intros o y. rewrite objects_of_remove_capability. intros present. apply (others o y present). congruence.
Qed.
Lemma move_owned from to st : owned (slots st) (objects st) -> owned (slots (move_capability from to st)) (objects (move_capability from to st)).
Proof.
  intros ok. destruct (slots st !! from) as [e|] eqn:there; [|unfold move_capability; rewrite there; exact ok].
  destruct (is_empty to st) eqn:vacant; [|unfold move_capability; rewrite there, vacant; exact ok]. apply is_empty_spec in vacant.
  replace (objects (move_capability from to st)) with (objects st) by (rewrite (move_capability_same from to st); reflexivity).
  apply (owned_more (slots st)); [|exact ok]. intros j d in_j. exists (renamed from to j), d. split; [|reflexivity].
  rewrite (in_move from to st e _ there vacant). unfold renamed. destruct (N.eqb_spec j from) as [->|other]; [rewrite N.eqb_refl; exact in_j|].
  destruct (N.eqb_spec j to) as [->|]; [unfold capability_in in in_j; rewrite vacant in in_j; discriminate|]. apply N.eqb_neq in other. rewrite other.
  exact in_j.
Qed.
Lemma replace_owned slot e c st : slots st !! slot = Some e -> object_of c = object_of (capability e) ->
  owned (slots st) (objects st) -> owned (slots (replace_capability slot e c st)) (objects (replace_capability slot e c st)).
Proof.
  intros there same ok. replace (objects (replace_capability slot e c st)) with (objects st) by (rewrite (replace_capability_same slot e c st); reflexivity).
  apply (owned_more (slots st)); [|exact ok]. intros j d in_j. destruct (N.eq_dec j slot) as [->|other].
  - exists slot, c. rewrite (in_replace slot e c st slot there), N.eqb_refl. rewrite (in_slot st slot e there) in in_j. split; [reflexivity | congruence].
  - exists j, d. rewrite (in_replace slot e c st j there). apply N.eqb_neq in other. rewrite other. split; [exact in_j | reflexivity].
Qed.

(** ** Every step *)
Record sound (st : State) : Prop := {
  indices_ok : indices_are_right st; live_ok : live (slots st) (objects st); low_ok : all_fine low st; owned_ok : owned (slots st) (objects st);
    laid_ok : laid st }.
Lemma sound_same a b : slots b = slots a -> references b = references a -> objects b = objects a -> sound a -> sound b.
Proof.
  intros same_slots same_references same_objects [first second third fourth fifth]. constructor.
  - exact (indices_of_same a b same_slots same_references first).
  - exact (live_of_same a b same_slots same_objects second).
  - exact (fine_of_slots low a b same_slots third).
  - exact (owned_same a b same_slots same_objects fourth).
  - exact (laid_same a b same_slots same_objects fifth).
Qed.
Lemma sound_is_kept_quietly : kept_quietly sound (fun _ => True) low.
Proof.
  constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _. exact (sound_same a b same_slots same_references same_objects).
  - intros t st. change (sound st -> sound (unplace t st)). apply sound_same; reflexivity.
  - intros insert t st _. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
    exact (sound_same _ _ same_slots same_references same_objects).
  - intros t st _. apply sound_same; reflexivity.
  - intros o x y st there same change fine_x [first second third fourth fifth]. constructor.
    + exact (indices_after_put o x st first).
    + exact (proj2 (after_put_object live_is_kept_quietly o x y st there same change fine_x (conj first second))).
    + exact third.
    + intros o' z. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec o' o) as [->|]; [|apply fourth].
      intros _. exact (fourth o y there).
    + unfold laid. change (slots (put_object o x st)) with (slots st). apply (other_extents _ _ (extent st)); [|exact fifth]. intros j c _.
      destruct (object_of c) as [o'|] eqn:names; [|exact (extent_of_none st _ c names)]. rewrite !(extent_object _ c o' names).
      change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec o' o) as [->|]; [|reflexivity]. rewrite there.
      assert (size_of x = size_of y) as same_size by (destruct x, y; try contradiction same; cbn [same_kind] in same; cbn [size_of]; congruence).
      cbn [option_map]. rewrite same_size. reflexivity.
  - intros slot c st ok. rewrite capability_at_in. apply (low_ok st ok).
Qed.
Lemma sound_is_kept : kept sound (fun _ => True) low.
Proof.
  pose proof indices_are_kept as indices. pose proof (fine_is_kept low yields_low) as lows.
  constructor; [| | | | | | |exact yields_low].
  - intros slot p o c st from fine_c [first second third fourth fifth]. constructor.
    + exact (after_insert_child indices slot p o c st from I first).
    + apply insert_child_live; [exact (proj1 from) | exact (derivable_live c p st second from) | exact second].
    + exact (after_insert_child lows slot p o c st from fine_c third).
    + exact (insert_child_owned slot p o c st fourth).
    + exact (insert_child_laid slot p o c st (proj1 first) from fifth).
  - intros slot source_ o c st from fine_c [first second third fourth fifth]. constructor.
    + exact (after_insert_sibling indices slot source_ o c st from I first).
    + exact (insert_sibling_live slot source_ o c st from second).
    + exact (after_insert_sibling lows slot source_ o c st from fine_c third).
    + exact (insert_sibling_owned slot source_ o c st fourth).
    + exact (insert_sibling_laid slot source_ o c st (proj1 first) from fifth).
  - intros u at_ size x slot c st with_it fine_x fine_c [first second third fourth fifth]. constructor.
    + exact (after_carve indices u at_ size x slot c st with_it fine_x I first).
    + exact (carve_live u at_ size x slot c st with_it second).
    + exact (after_carve lows u at_ size x slot c st with_it fine_x fine_c third).
    + exact (carve_owned u at_ size x slot c st with_it fourth).
    + exact (carve_laid u at_ size x slot c st (proj1 first) second with_it fifth).
  - intros slot st free [first second third fourth fifth]. constructor.
    + exact (after_discard indices slot st free first).
    + exact (discard_live slot st (proj2 first) second).
    + exact (after_discard lows slot st free third).
    + exact (discard_owned slot st first third fourth).
    + exact (discard_laid slot st first second fifth).
  - intros from to st [first second third fourth fifth]. constructor.
    + exact (after_move_capability indices from to st first).
    + exact (move_live from to st second).
    + exact (after_move_capability lows from to st third).
    + exact (move_owned from to st fourth).
    + exact (move_laid from to st (proj1 first) fifth).
  - intros slot c st fine_c [first second third fourth fifth]. constructor.
    + exact (after_change_capability indices slot c st I first).
    + exact (change_capability_live slot c st second).
    + exact (after_change_capability lows slot c st fine_c third).
    + unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|exact fourth]. destruct (_ && _) eqn:both; [|exact fourth].
      apply andb_prop in both. destruct (both_alike st (capability e) c (proj1 both) (proj2 both)) as (_ & _ & _ & _ & same).
      exact (replace_owned slot e c st there same fourth).
    + exact (change_laid slot c st fifth).
  - intros slot st free fine_z [first second third fourth fifth]. constructor.
    + exact (after_make_zombie indices slot st free (fun _ _ _ _ => I) first).
    + exact (make_zombie_live slot st (proj2 first) second).
    + exact (after_make_zombie lows slot st free fine_z third).
    + unfold make_zombie. destruct (slots st !! slot) as [e|] eqn:there; [|exact fourth].
      destruct (container_of (capability e) st) as [o|] eqn:container; [|exact fourth]. destruct (container_spec _ _ _ container) as (named & _).
      exact (replace_owned slot e (ZombieCap o) st there (eq_sym named) fourth).
    + exact (zombie_laid slot st fifth).
Qed.

(** ** Boot *)
Definition with_roots (l : list (N * Capability)) (st : State) : State := fold_left (fun st entry => insert_root (fst entry) (snd entry) st) l st.
(* Comparing, Coq shall look into these first, not into the list. *)
#[local] Strategy expand [with_roots insert_roots].
Lemma insert_roots_is p st : insert_roots p st = with_roots (root_capabilities p ++ dynamic_capabilities p) st. Proof. reflexivity. Qed.
Lemma with_roots_app a b st : with_roots (a ++ b) st = with_roots b (with_roots a st). Proof. apply fold_left_app. Qed.
Lemma in_insert_root slot c st j :
  capability_in (slots (insert_root slot c st)) j = if (j =? slot) && is_empty slot st then Some c else capability_in (slots st) j.
Proof.
  unfold insert_root. destruct (is_empty slot st); [|rewrite andb_false_r; reflexivity]. rewrite andb_true_r, (proj1 (slots_of_count c _)). apply in_set.
Qed.
Lemma parent_insert_root slot c st j : parent_in (slots (insert_root slot c st)) j = if (j =? slot) && is_empty slot st then None else parent_in (slots st) j.
Proof.
  unfold insert_root. destruct (is_empty slot st); [|rewrite andb_false_r; reflexivity]. rewrite andb_true_r, (proj1 (slots_of_count c _)). apply parent_set.
Qed.
Lemma objects_with_roots l st : objects (with_roots l st) = objects st.
Proof.
  revert st. induction l as [|(slot & c) l IH]; intros st; [reflexivity|]. cbn [with_roots fold_left fst snd]. fold (with_roots l (insert_root slot c st)).
  rewrite IH, (insert_root_same slot c st). reflexivity.
Qed.
Lemma roots_listed all l st : incl l all -> (forall j, parent_in (slots st) j = None) -> (forall j c, capability_in (slots st) j = Some c -> In (j, c) all) ->
  (forall j, parent_in (slots (with_roots l st)) j = None) /\ forall j c, capability_in (slots (with_roots l st)) j = Some c -> In (j, c) all.
Proof.
  revert st. induction l as [|(slot & c) l IH]; intros st within parents listed; [split; assumption|]. cbn [with_roots fold_left fst snd].
  fold (with_roots l (insert_root slot c st)).
  apply IH.
  - intros x in_l. apply within. right. exact in_l.
  - intros j. rewrite parent_insert_root, parents. destruct (_ && _); reflexivity.
  - intros j d. rewrite in_insert_root. destruct ((j =? slot) && is_empty slot st) eqn:here; [|apply listed]. apply andb_prop, proj1, N.eqb_eq in here. subst j.
    intros same. injection same as <-. apply within. left. reflexivity.
Qed.
Lemma root_stays l st j c : capability_in (slots st) j = Some c -> capability_in (slots (with_roots l st)) j = Some c.
Proof.
  revert st. induction l as [|(slot & d) l IH]; intros st there; [exact there|]. cbn [with_roots fold_left fst snd].
  fold (with_roots l (insert_root slot d st)).
  apply IH. rewrite in_insert_root. destruct ((j =? slot) && is_empty slot st) eqn:here; [exfalso | exact there]. apply andb_prop in here.
  destruct here as (same & vacant). apply N.eqb_eq in same. subst j. apply is_empty_spec in vacant. unfold capability_in in there. rewrite vacant in there.
  discriminate.
Qed.
Lemma roots_arrive l st : NoDup (map fst l) -> (forall j c, In (j, c) l -> slots st !! j = None) ->
  forall j c, In (j, c) l -> capability_in (slots (with_roots l st)) j = Some c.
Proof.
  revert st. induction l as [|(slot & d) l IH]; intros st once vacant j c listed; [contradiction|]. cbn [with_roots fold_left fst snd].
  fold (with_roots l (insert_root slot d st)). cbn [map fst] in once. apply NoDup_cons_iff in once. destruct once as (new & once).
  destruct listed as [same|listed].
  - injection same as <- <-. apply root_stays. rewrite in_insert_root, N.eqb_refl, (proj2 (is_empty_spec slot st) (vacant slot d (or_introl eq_refl))).
    reflexivity.
  - apply (IH _ once); [|exact listed]. intros k e in_l. pose proof (vacant k e (or_intror in_l)) as none.
    assert (capability_in (slots (insert_root slot d st)) k = None) as still.
    { rewrite in_insert_root. destruct (N.eqb_spec k slot) as [->|]; [exfalso; apply new; exact (in_map fst _ _ in_l)|].
      cbn [andb]. unfold capability_in. rewrite none. reflexivity. }
    unfold capability_in in still. destruct (slots (insert_root slot d st) !! k); [discriminate | reflexivity].
Qed.
Lemma slot_of_injective c a b : slot_of c a = slot_of c b -> a = b.
Proof. unfold slot_of. change slot_bytes with 32. lia. Qed.
Lemma root_slots_differ p : NoDup (map fst (root_capabilities p)).
Proof.
  unfold root_capabilities. cbn [map fst]. unfold root_slot.
  repeat (constructor; [cbn [In]; intros absurd;
    repeat (destruct absurd as [same|absurd]; [apply slot_of_injective in same; vm_compute in same; discriminate same|]); exact absurd|]).
  constructor.
Qed.
Definition first_state (p : BootPlan) : State := put_root_objects p (nothing_yet (boot_machine p)).
Lemma first_slots p j : slots (first_state p) !! j = None.
Proof. change (slots (first_state p)) with (@empty Entry). apply find_empty. Qed.
Lemma roots_arrived p j c : In (j, c) (root_capabilities p) -> capability_in (slots (insert_roots p (first_state p))) j = Some c.
Proof.
  intros listed. rewrite insert_roots_is, with_roots_app. apply root_stays.
  apply (roots_arrive _ _ (root_slots_differ p)); [|exact listed]. intros k d _. apply first_slots.
Qed.
Lemma first_objects p o : objects (first_state p) !! o =
  if o =? root_context p then Some (SchedContextObject (new_sched_context min_sched_context_bits)) else
  if o =? root_pool p then Some (ASIDPoolObject {| pool_index := 0; assigned := table_of [(root_asid, root_vspace p)] |}) else
  if o =? root_vspace p then Some (VSpaceObject empty) else
  if o =? root_cnode p then Some (CNodeObject (root_radix p)) else
  if o =? root_thread p then Some (ThreadObject (root_thread_at_boot p)) else None.
Proof.
  unfold first_state. rewrite root_objects, !find_set. change (objects (nothing_yet (boot_machine p))) with (@empty Object).
  rewrite find_empty. reflexivity.
Qed.
Definition root_objects_listed (p : BootPlan) : list (N * N * Capability) :=
  [(root_context p, root_slot p InitSlot.SchedContext, SchedContextCap (root_context p) min_sched_context_bits);
   (root_pool p, root_slot p InitSlot.ASIDPool, ASIDPoolCap (root_pool p));
   (root_vspace p, root_slot p InitSlot.VSpace, VSpaceCap (root_vspace p) (Some root_asid));
   (root_cnode p, root_slot p InitSlot.CNode, CNodeCap (root_cnode p) (root_radix p) 0 (64 - root_radix p));
   (root_thread p, root_slot p InitSlot.TCB, TCBCap (root_thread p))].
Lemma root_objects_held p o slot c : In (o, slot, c) (root_objects_listed p) -> In (slot, c) (root_capabilities p) /\ object_of c = Some o.
Proof.
  unfold root_objects_listed, root_capabilities. cbn [In]. intros listed.
  repeat (destruct listed as [same|listed]; [injection same as <- <- <-; split; [tauto | reflexivity]|]). contradiction.
Qed.
Lemma first_objects_listed p o y : objects (first_state p) !! o = Some y -> exists slot c, In (o, slot, c) (root_objects_listed p).
Proof.
  rewrite first_objects. unfold root_objects_listed. cbn [In].
  repeat match goal with |- context [o =? ?a] => destruct (N.eqb_spec o a) as [->|_];
    [intros _; do 2 eexists; repeat first [left; reflexivity | right]|] end.
  discriminate.
Qed.
Lemma start_owned p : owned (slots (insert_roots p (first_state p))) (objects (insert_roots p (first_state p))).
Proof.
  intros o y there. assert (objects (first_state p) !! o = Some y) as first by (rewrite insert_roots_is, objects_with_roots in there; exact there).
  destruct (first_objects_listed p o y first) as (slot & c & listed). destruct (root_objects_held p o slot c listed) as (held & names).
  exists slot, c. split; [exact (roots_arrived p slot c held) | exact names].
Qed.
Lemma roots_unused p slot c : In (slot, c) (root_capabilities p ++ dynamic_capabilities p) ->
  match c with UntypedCap _ bits _ used => used <= N.shiftl 1 bits | _ => True end.
Proof.
  intros listed. apply in_app_or in listed. destruct listed as [listed|listed].
  - unfold root_capabilities in listed. cbn [In] in listed.
    repeat (destruct listed as [same|listed]; [apply (f_equal snd) in same; cbn [snd] in same; rewrite <- same; exact I|]). contradiction.
  - unfold dynamic_capabilities in listed. cbv zeta in listed. apply in_combine_r, in_app_or in listed.
    destruct listed as [listed|listed]; apply in_map_iff in listed;
      [destruct listed as (core & <- & _); exact I | destruct listed as (((base & bits) & device) & <- & _); apply N.le_0_l].
Qed.
Lemma roots_low p : roots_are_sound p -> forall c, boot_capability p c -> low c.
Proof.
  intros [apart_ below_ _] c (slot & listed). destruct (roots_fit p apart_ slot c listed) as (_ & fits_). repeat split.
  - intros o names. destruct (fits_ o names) as (y & found & _). pose proof (below_ c (o, size_of y) (ex_intro _ slot listed)) as within.
    unfold extent_at_boot in within. rewrite (extent_object _ c o names), found in within. specialize (within eq_refl). cbn [fst snd] in within.
    pose proof (positive_size y). lia.
  - intros base bits device memory. apply (below_ c (base, N.shiftl 1 bits) (ex_intro _ slot listed)).
    destruct c; try discriminate memory; injection memory as -> -> ->; reflexivity.
  - exact (roots_unused p slot c listed).
Qed.
Lemma sound_at_start p : roots_are_sound p -> sound (insert_roots p (first_state p)).
Proof.
  intros right. pose proof (live_at_start p (roots_differ p right)) as (indices & alive). constructor.
  - exact indices.
  - exact alive.
  - exact (fine_at_start low p (roots_low p right)).
  - exact (start_owned p).
  - destruct (roots_listed (root_capabilities p ++ dynamic_capabilities p) (root_capabilities p ++ dynamic_capabilities p) (first_state p)) as (orphans &
      listed).
    + intros x in_l. exact in_l.
    + intros j. apply no_parent, first_slots.
    + intros j c. unfold capability_in. rewrite first_slots. discriminate.
    + rewrite insert_roots_is. apply laid_slots with (first_state p); [apply objects_with_roots|]. constructor.
      * intros j q c d x up. rewrite orphans in up. discriminate.
      * intros j k c d x y other in_j in_k ext_c ext_d. left.
        destruct (roots_stand_apart p right j k c d x y (listed j c in_j) (listed k d in_k) ext_c ext_d) as [same|far]; [contradiction | exact far].
Qed.

(** ** Claim [memory_stays_apart] *)
Lemma descends_is st c p : below (parent_in (slots st)) c p -> descends st c p.
Proof.
  induction 1 as [c p up|c b p up _ IH]; [apply is_derived | apply (is_descendant st c b); [|exact IH]]; apply child_is; exact up.
Qed.
Lemma free_apart st slot free other c x : sound st -> free_memory slot st = Some free -> capability_at other st = Some c -> extent st c = Some x ->
  apart x free \/ other = slot \/ (is_untyped c = true /\ below (parent_in (slots st)) slot other).
Proof.
  intros [(tree & _) _ is_low _ ok] is_free at_other ext. unfold free_memory in is_free. destruct (capability_at slot st) as [u|] eqn:at_slot; [|discriminate].
  destruct u as [base bits device used| | | | | | | | | | | | | | | | | |]; try discriminate. cbv zeta in is_free. injection is_free as <-.
  rewrite capability_at_in in at_slot, at_other. destruct (N.eq_dec other slot) as [same|differs]; [right; left; exact same|].
  destruct (is_low slot _ at_slot) as (_ & _ & within).
  set (free := (base + (if has_children slot st then used else 0), N.shiftl 1 bits - (if has_children slot st then used else 0))).
  destruct (stands_apart _ _ _ ok other slot c _ x (base, N.shiftl 1 bits) differs at_other at_slot ext eq_refl) as [far|[same|[under|(_ & under)]]].
  - left. apply (apart_inside free (base, N.shiftl 1 bits)); [|exact far]. unfold free, inside, End_of. cbn [fst snd]. destruct (has_children slot st); lia.
  - destruct (alike_untyped _ _ same). discriminate.
  - right. right. exact under.
  - left. destruct (below_child _ _ _ under) as (j & up).
    destruct (descendant_in_use _ _ _ other slot c _ x ok (parent_exists st tree) under at_other at_slot ext) as (_ & _ & _ & used_).
    unfold free. rewrite (has_child st j slot tree up). unfold in_use, End_of in used_. left. cbn [fst snd]. exact used_.
Qed.
Lemma memory_right st : sound st -> memory_is_right st.
Proof.
  intros right. pose proof right as [_ _ _ owners ok]. constructor.
  - intros a b x y at_a at_b differ. destruct (owners a x at_a) as (j & c & in_j & names_a), (owners b y at_b) as (k & d & in_k & names_b).
    assert (extent st c = Some (a, size_of x)) as ext_a by (rewrite (extent_object st c a names_a), at_a; reflexivity).
    assert (extent st d = Some (b, size_of y)) as ext_b by (rewrite (extent_object st d b names_b), at_b; reflexivity).
    assert (j <> k) as other by congruence.
    destruct (stands_apart _ _ _ ok j k c d _ _ other in_j in_k ext_a ext_b) as [far|[[(o & first & second)|same]|[(u & _)|(u & _)]]].
    + exact far.
    + congruence.
    + destruct (object_no_frame c d a names_a same).
    + rewrite (object_is_typed c a names_a) in u. discriminate.
    + rewrite (object_is_typed d b names_b) in u. discriminate.
  - intros o x there. destruct (owners o x there) as (j & c & in_j & names). exists j, c. rewrite capability_at_in. split; assumption.
  - intros slot free o x is_free there. destruct (owners o x there) as (j & c & in_j & names). rewrite <- capability_at_in in in_j.
    assert (extent st c = Some (o, size_of x)) as ext by (rewrite (extent_object st c o names), there; reflexivity).
    destruct (free_apart st slot free j c _ right is_free in_j ext) as [far|[same|(u & _)]]; [exact far | exfalso |].
    + subst j. unfold free_memory in is_free. rewrite in_j in is_free. destruct c; try discriminate is_free. discriminate names.
    + rewrite (object_is_typed c o names) in u. discriminate.
  - intros slot free other c x is_free at_other ext.
    destruct (free_apart st slot free other c x right is_free at_other ext) as [far|[same|(_ & under)]]; [tauto | tauto|].
    right. right. exact (descends_is st slot other under).
Qed.
Theorem memory_stays_apart_proved : memory_stays_apart step.
Proof. intros p st right reached. exact (memory_right st (reachable_keeps _ _ _ sound_is_kept_quietly sound_is_kept p (sound_at_start p right) st reached)).
Qed.

(** Claim [revoked_memory_is_free]. *)
Lemma childless st slot : tree_is_right st -> (forall c, ~ is_child st c slot) -> has_children slot st = false.
Proof.
  intros tree none. unfold has_children, children_of. destruct (slots st !! slot) as [e|] eqn:there; [|reflexivity].
  destruct (children e) as [|c l] eqn:listed; [reflexivity|]. exfalso. apply (none c), (children_listed st tree slot e c there). rewrite listed.
  left. reflexivity.
Qed.
Theorem revoked_memory_is_free_proved : revoked_memory_is_free step.
Proof.
  intros p st e call slot next done base bits device used right reached is_call invoked_ names result found.
  pose proof (revocation_is_complete_proved p st e call slot next done reached is_call invoked_ names result) as none.
  pose proof (after_event step p st e reached) as after. rewrite result in after. cbn [fst] in after.
  pose proof (indices_hold_proved p next after) as (tree & _). pose proof (memory_stays_apart_proved p next right after) as memory.
  assert (free_memory slot next = Some (base, N.shiftl 1 bits)) as free
    by (unfold free_memory; rewrite found, (childless next slot tree none), N.add_0_r, N.sub_0_r; reflexivity).
  split.
  - intros o x there. exact (free_is_empty next memory slot _ o x free there).
  - intros other c x at_other ext. exact (free_is_nobodys next memory slot _ other c x free at_other ext).
Qed.
