(* SPDX-License-Identifier: BSD-2-Clause *)
(** * No capability dangles

    A capability comes with its object, or is derived from one that refers to the same; and the object goes with the last of them. *)
From Coq Require Import Lia.
From Spec Require Export OriginProofs.
Open Scope N_scope.

(** The claim in terms of tables: of the capabilities in slots and of the objects. *)
Record live (slots_ : Table Entry) (objects_ : Table Object) : Prop := {
  refers : forall j c o, capability_in slots_ j = Some c -> object_of c = Some o -> exists x, objects_ !! o = Some x /\ fits_object c x;
  alone : forall j k c o, capability_in slots_ j = Some (ZombieCap o) -> capability_in slots_ k = Some c -> object_of c = Some o -> k = j
}.
Lemma live_is st : live (slots st) (objects st) <-> capabilities_live st.
Proof.
  split; intros [first second]; constructor.
  - intros j c o. rewrite capability_at_in. apply first.
  - intros j k c o. rewrite !capability_at_in. apply second.
  - intros j c o. rewrite <- capability_at_in. apply first.
  - intros j k c o. rewrite <- !capability_at_in. apply second.
Qed.
Lemma live_same s t x y : (forall j, capability_in t j = capability_in s j) -> y = x -> live s x -> live t y.
Proof.
  intros same -> ok. constructor.
  - intros j c o. rewrite same. apply (refers _ _ ok).
  - intros j k c o. rewrite !same. apply (alone _ _ ok).
Qed.

(** ** Kinds *)
Lemma zombie_is c : is_zombie c = true -> exists o, c = ZombieCap o.
Proof. destruct c; try discriminate. intros _. eexists. reflexivity. Qed.
Lemma alike_body c made o : stands_alike c made = true -> object_of made = Some o ->
  is_number (object_of c) o = true /\ CapType.number (cap_type made) = CapType.number (cap_type c) /\ told_size made = told_size c.
Proof.
  intros alike found.
  assert (is_number (object_of c) o && (CapType.number (cap_type made) =? CapType.number (cap_type c)) && (told_size made =? told_size c) = true) as body.
  { unfold stands_alike in alike. rewrite found in alike. destruct made; try discriminate found; exact alike. }
  rewrite !andb_true_iff, !N.eqb_eq in body. destruct body as ((same & type) & size). repeat split; assumption.
Qed.
Lemma alike_spec c made o : stands_alike c made = true -> object_of made = Some o -> object_of c = Some o /\ cap_type made = cap_type c.
Proof.
  intros alike found. destruct (alike_body c made o alike found) as (same & type & _). split.
  - destruct (object_of c) as [o'|]; [|discriminate]. cbn in same. apply N.eqb_eq in same. congruence.
  - destruct (cap_type made) eqn:first, (cap_type c) eqn:second; try reflexivity; discriminate type.
Qed.
Lemma alike_size c made o : stands_alike c made = true -> object_of made = Some o -> told_size made = told_size c.
Proof. intros alike found. exact (proj2 (proj2 (alike_body c made o alike found))). Qed.
Lemma fits_alike c made x : cap_type made = cap_type c -> told_size made = told_size c -> fits_object c x -> fits_object made x.
Proof. destruct c, made; try discriminate; intros _; cbn [told_size]; intros same; try rewrite same; exact id. Qed.
Lemma zombie_alike c made : cap_type made = cap_type c -> is_zombie made = is_zombie c.
Proof. destruct c, made; try discriminate; reflexivity. Qed.
Lemma fits_same_kind c x y : same_kind x y -> fits_object c x -> fits_object c y.
Proof.
  destruct x, y; try contradiction; cbn [same_kind]; intros same; destruct c; try exact id; unfold fits_object, is_of_kind; rewrite same; exact id.
Qed.
Lemma referent_of c o : object_of c = Some o -> is_zombie c = true \/ referent c = Some o.
Proof. destruct c; cbn [object_of referent is_zombie]; intros same; try discriminate same; try (right; exact same). left. reflexivity. Qed.
Lemma object_of_referent c o : referent c = Some o -> is_zombie c = false.
Proof. destruct c; try reflexivity. cbn [referent]. discriminate. Qed.

(** ** The last one *)
Lemma last_is_alone t j k c d o e :
  t !! j = Some e -> capability e = c -> referent c = Some o -> count_of o t = 1 -> capability_in t k = Some d -> referent d = Some o -> k = j.
Proof.
  intros at_j is_c names once at_k names_d. destruct (N.eq_dec k j) as [same|other]; [exact same|]. exfalso.
  unfold capability_in in at_k. destruct (t !! k) as [f|] eqn:found; [|discriminate]. cbn in at_k. injection at_k as is_d.
  unfold count_of in once. rewrite (sum_over_remove (weight o) j e t at_j) in once.
  rewrite (sum_over_remove (weight o) k f (remove j t)) in once.
  - unfold weight in once at 1 2. rewrite is_c, is_d, names, names_d in once. cbn [is_number] in once. rewrite N.eqb_refl in once. cbn [bit] in once. lia.
  - rewrite find_remove. apply N.eqb_neq in other. rewrite other. exact found.
Qed.
Lemma is_last_count c o st : counts_are_right st -> referent c = Some o -> is_last c st = true -> count_of o (slots st) = 1.
Proof. intros counts names last. unfold is_last in last. rewrite names in last. apply N.eqb_eq in last. rewrite (counts o) in last. exact last. Qed.

(** Whoever else refers to the object of the last capability, or of a zombie, is the same. *)
Lemma only_one st j k e d o :
  counts_are_right st -> live (slots st) (objects st) -> slots st !! j = Some e -> object_of (capability e) = Some o ->
  is_zombie (capability e) || is_last (capability e) st = true -> capability_in (slots st) k = Some d -> object_of d = Some o -> k = j.
Proof.
  intros counts ok at_j names last at_k names_d. assert (capability_in (slots st) j = Some (capability e)) as in_j
    by (unfold capability_in; rewrite at_j; reflexivity).
  destruct (referent_of _ _ names) as [zombie|counted].
  - destruct (zombie_is _ zombie) as (z & is_z). rewrite is_z in names. cbn [object_of] in names. injection names as ->. rewrite is_z in in_j.
    exact (alone _ _ ok j k d o in_j at_k names_d).
  - destruct (referent_of _ _ names_d) as [zombie|counted_d].
    + destruct (zombie_is _ zombie) as (z & is_z). rewrite is_z in names_d. cbn [object_of] in names_d. injection names_d as ->. rewrite is_z in at_k.
      symmetry. exact (alone _ _ ok k j (capability e) o at_k in_j names).
    + rewrite (object_of_referent _ _ counted) in last. cbn [orb] in last.
      exact (last_is_alone (slots st) j k _ d o e at_j eq_refl counted (is_last_count _ o st counts counted last) at_k counted_d).
Qed.

(** ** Capabilities that come *)
Lemma live_with t s x slot c :
  (forall j, capability_in t j = if j =? slot then Some c else capability_in s j) -> is_zombie c = false ->
  (forall o, object_of c = Some o -> (exists y, x !! o = Some y /\ fits_object c y) /\ forall j, capability_in s j <> Some (ZombieCap o)) ->
  live s x -> live t x.
Proof.
  intros found no_zombie new ok. constructor.
  - intros j d o. rewrite found. destruct (j =? slot); [intros same; injection same as <-; intros names; exact (proj1 (new o names)) | apply (refers _ _ ok)].
  - intros j k d o. rewrite !found. destruct (N.eqb_spec j slot) as [->|other].
    + intros same. injection same as ->. discriminate no_zombie.
    + destruct (N.eqb_spec k slot) as [->|]; [|apply (alone _ _ ok)]. intros zombie same names. injection same as <-.
      exfalso. exact (proj2 (new o names) j zombie).
Qed.
Lemma derivable_live c source st : live (slots st) (objects st) -> derivable c source st -> forall o, object_of c = Some o ->
  (exists y, objects st !! o = Some y /\ fits_object c y) /\ forall j, capability_in (slots st) j <> Some (ZombieCap o).
Proof.
  intros ok (no_zombie & x & there & _ & alike) o names.
  destruct (alike_spec x c o alike names) as (same & type). rewrite capability_at_in in there.
  destruct (refers _ _ ok source x o there same) as (y & found & fits).
  split; [exists y; split; [exact found | exact (fits_alike x c y type (alike_size x c o alike names) fits)]|].
  intros j zombie. pose proof (alone _ _ ok j source x o zombie there same) as is_j. subst source. rewrite zombie in there. injection there as <-.
  rewrite (zombie_alike _ _ type) in no_zombie. discriminate no_zombie.
Qed.

Lemma in_insert_child slot p o c st j : is_empty slot st && negb (is_empty p st) = true ->
  capability_in (slots (insert_child slot p o c st)) j = if j =? slot then Some c else capability_in (slots st) j.
Proof.
  intros can. unfold insert_child. rewrite can, (proj1 (slots_of_count c _)). etransitivity; [apply in_set|]. cbn [capability].
  rewrite (in_children (Some p) (cons slot) st j). reflexivity.
Qed.
Lemma objects_of_insert_child slot p o c st : objects (insert_child slot p o c st) = objects st.
Proof. rewrite (insert_child_same slot p o c st). reflexivity. Qed.
Lemma insert_child_live slot p o c st :
  is_zombie c = false ->
  (forall o, object_of c = Some o -> (exists y, objects st !! o = Some y /\ fits_object c y) /\ forall j, capability_in (slots st) j <> Some (ZombieCap o)) ->
  live (slots st) (objects st) -> live (slots (insert_child slot p o c st)) (objects (insert_child slot p o c st)).
Proof.
  intros no_zombie new ok. rewrite objects_of_insert_child. destruct (is_empty slot st && negb (is_empty p st)) eqn:can.
  - apply (live_with _ (slots st) _ slot c); [intros j; exact (in_insert_child slot p o c st j can) | exact no_zombie | exact new | exact ok].
  - unfold insert_child. rewrite can. exact ok.
Qed.
Lemma in_insert_sibling slot source o c st e j : slots st !! slot = None -> slots st !! source = Some e ->
  capability_in (slots (insert_sibling slot source o c st)) j = if j =? slot then Some c else capability_in (slots st) j.
Proof.
  intros vacant there. unfold insert_sibling. apply is_empty_spec in vacant. rewrite vacant, there, (proj1 (slots_of_count c _)).
  etransitivity; [apply in_set|]. cbn [capability]. rewrite (in_children (parent e) _ st j). reflexivity.
Qed.
Lemma insert_sibling_live slot source o c st :
  derivable c source st -> live (slots st) (objects st) ->
  live (slots (insert_sibling slot source o c st)) (objects (insert_sibling slot source o c st)).
Proof.
  intros from ok. replace (objects (insert_sibling slot source o c st)) with (objects st)
    by (rewrite (insert_sibling_same slot source o c st); reflexivity).
  pose proof (derivable_live c source st ok from) as new. destruct from as (no_zombie & _).
  destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact ok].
  destruct (slots st !! source) as [e|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; exact ok].
  apply (live_with _ (slots st) _ slot c); [|exact no_zombie | exact new | exact ok]. apply is_empty_spec in vacant.
  intros j. exact (in_insert_sibling slot source o c st e j vacant there).
Qed.

(** ** Memory that is carved off an untyped *)
Definition parent_in (t : Table Entry) (j : N) : option N := match t !! j with Some e => parent e | None => None end.
Lemma parent_set k e t j : parent_in (set k e t) j = if j =? k then parent e else parent_in t j.
Proof. unfold parent_in. rewrite find_set. destruct (j =? k); reflexivity. Qed.
Lemma parent_update k f t j : (forall e, parent (f e) = parent e) -> parent_in (update k f t) j = parent_in t j.
Proof.
  intros same. unfold parent_in. rewrite find_update. destruct (j =? k); [|reflexivity]. destruct (t !! j); [apply same | reflexivity].
Qed.
Lemma parent_children p f st j : parent_in (slots (change_children p f st)) j = parent_in (slots st) j.
Proof. rewrite slots_of_change_children. destruct p; [apply parent_update; reflexivity | reflexivity]. Qed.
Lemma slots_of_replace slot e c st : slots (replace_capability slot e c st) = set slot (e <| capability := c |>) (slots st).
Proof.
  unfold replace_capability. rewrite (proj1 (slots_of_count c _)). change (slots (put_entry slot (e <| capability := c |>) ?x)) with
    (set slot (e <| capability := c |>) (slots x)). rewrite (proj2 (slots_of_count (capability e) st)). reflexivity.
Qed.
Lemma slots_of_insert_child slot p o c st : is_empty slot st && negb (is_empty p st) = true ->
  slots (insert_child slot p o c st)
  = set slot {| capability := c; original := o; parent := Some p; children := [] |} (slots (change_children (Some p) (cons slot) st)).
Proof. intros can. unfold insert_child. rewrite can, (proj1 (slots_of_count c _)). reflexivity. Qed.

(** It comes from the free part, to an empty slot, where no object is; nothing else changes. *)
Definition carved (untyped at_ size : N) (x : option Object) (slot : N) (c : Capability) (st after : State) : Prop :=
  exists e base bits device used,
    slots st !! untyped = Some e /\ capability e = UntypedCap base bits device used
    /\ base + (if has_children untyped st then used else 0) <= at_ /\ at_ + size <= base + N.shiftl 1 bits
    /\ slots st !! slot = None /\ (x <> None -> objects st !! at_ = None)
    /\ (forall j, capability_in (slots after) j =
         if j =? slot then Some c else if j =? untyped then Some (UntypedCap base bits device (at_ + size - base)) else capability_in (slots st) j)
    /\ (forall j, parent_in (slots after) j = if j =? slot then Some untyped else parent_in (slots st) j)
    /\ objects after = match x with Some x => set at_ x (objects st) | None => objects st end.
Lemma carve_cases untyped at_ size x slot c st :
  carve untyped at_ size x slot c st = emit Stuck st \/ carved untyped at_ size x slot c st (carve untyped at_ size x slot c st).
Proof.
  unfold carve, capability_at. destruct (slots st !! untyped) as [e|] eqn:there; [|left; reflexivity].
  destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_it; try (left; reflexivity). cbv zeta.
  destruct (_ && _) eqn:can; [right | left; reflexivity]. rewrite !andb_true_iff, !N.leb_le in can. destruct can as (((above & below) & vacant) & no_object).
  apply is_empty_spec in vacant. set (taken := replace_capability untyped e (UntypedCap base bits device (at_ + size - base)) st).
  assert (slots (put_if_some at_ x taken) = set untyped (e <| capability := UntypedCap base bits device (at_ + size - base) |>) (slots st)) as same
    by (rewrite <- slots_of_replace; destruct x; reflexivity).
  assert (slot <> untyped) as other by congruence. apply N.eqb_neq in other.
  assert (is_empty slot (put_if_some at_ x taken) && negb (is_empty untyped (put_if_some at_ x taken)) = true) as can.
  { unfold is_empty. rewrite same, !find_set, N.eqb_refl, other, vacant. reflexivity. }
  exists e, base, bits, device, used. split; [exact there|]. split; [exact is_it|]. split; [exact above|]. split; [exact below|]. split; [exact vacant|].
  split; [|split; [|split]].
  - intros some. destruct x as [x|]; [|contradiction]. destruct (objects st !! at_); [discriminate no_object | reflexivity].
  - intros j. rewrite (in_insert_child slot untyped true c _ j can), same, in_set. reflexivity.
  - intros j. rewrite (slots_of_insert_child _ _ _ _ _ can), parent_set, parent_children, same, parent_set. cbn [parent].
    destruct (j =? slot); [reflexivity|]. destruct (N.eqb_spec j untyped) as [->|]; [|reflexivity]. unfold parent_in. rewrite there. reflexivity.
  - rewrite objects_of_insert_child. assert (objects taken = objects st) as kept by (unfold taken; rewrite (replace_capability_same _ _ _ _); reflexivity).
    rewrite <- kept. destruct x as [x|]; reflexivity.
Qed.
Lemma carve_live untyped at_ size x slot c st :
  comes_with c at_ size x -> live (slots st) (objects st) ->
  live (slots (carve untyped at_ size x slot c st)) (objects (carve untyped at_ size x slot c st)).
Proof.
  intros (no_zombie & with_it) ok. destruct (carve_cases untyped at_ size x slot c st) as [stuck|cut]; [rewrite stuck; exact ok|].
  destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
  assert (forall o, object_of c = Some o -> o = at_ /\ exists y, x = Some y /\ fits_object c y) as named.
  { intros o names. destruct x as [y|]; [destruct with_it as (same & fits & _); split; [congruence | exists y; split; [reflexivity | exact fits]]|].
    destruct with_it as (b & d & memory & _). destruct c; discriminate. }
  assert (forall j d, capability_in (slots st) j = Some d -> x <> None -> object_of d <> Some at_) as unnamed.
  { intros j d at_j some names. destruct (refers _ _ ok j d at_ at_j names) as (y & found & _). rewrite (unused some) in found. discriminate. }
  rewrite objs. constructor.
  - intros j d o. rewrite caps. destruct (j =? slot).
    + intros same names. injection same as <-. destruct (named o names) as (-> & y & -> & fits). exists y. rewrite find_set, N.eqb_refl.
      split; [reflexivity | exact fits].
    + destruct (j =? untyped); [intros same; injection same as <-; discriminate|]. intros at_j names.
      destruct (refers _ _ ok j d o at_j names) as (y & found & fits). exists y. split; [|exact fits]. destruct x as [x|]; [|exact found].
      rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|exact found]. exfalso. exact (unnamed j d at_j ltac:(discriminate) names).
  - intros j k d o. rewrite !caps. destruct (j =? slot); [intros same; injection same as ->; discriminate no_zombie|].
    destruct (j =? untyped); [discriminate|]. intros zombie. destruct (k =? slot).
    + intros same names. injection same as <-. destruct (named o names) as (-> & y & -> & _). exfalso.
      exact (unnamed j _ zombie ltac:(discriminate) eq_refl).
    + destruct (k =? untyped); [intros same; injection same as <-; discriminate|]. exact (alone _ _ ok j k d o zombie).
Qed.

(** ** Capabilities that change or move *)
Lemma in_replace slot e c st j : slots st !! slot = Some e ->
  capability_in (slots (replace_capability slot e c st)) j = if j =? slot then Some c else capability_in (slots st) j.
Proof.
  intros there. unfold replace_capability. rewrite (proj1 (slots_of_count c _)). etransitivity; [apply in_set|].
  rewrite (proj2 (slots_of_count (capability e) st)). reflexivity.
Qed.
Lemma replace_live slot e c st :
  slots st !! slot = Some e ->
  (forall o, object_of c = Some o -> object_of (capability e) = Some o /\ (forall y, fits_object (capability e) y -> fits_object c y)) ->
  (forall o, c = ZombieCap o -> forall j d, capability_in (slots st) j = Some d -> object_of d = Some o -> j = slot) ->
  live (slots st) (objects st) -> live (slots (replace_capability slot e c st)) (objects (replace_capability slot e c st)).
Proof.
  intros there alike last ok.
  replace (objects (replace_capability slot e c st)) with (objects st) by (rewrite (replace_capability_same slot e c st); reflexivity).
  assert (capability_in (slots st) slot = Some (capability e)) as in_slot by (unfold capability_in; rewrite there; reflexivity). constructor.
  - intros j d o. rewrite (in_replace slot e c st j there). destruct (j =? slot); [|apply (refers _ _ ok)]. intros same names. injection same as <-.
    destruct (alike o names) as (named & fits). destruct (refers _ _ ok slot _ o in_slot named) as (y & found & fits').
    exists y. split; [exact found | exact (fits y fits')].
  - intros j k d o. rewrite !(in_replace slot e c st _ there). destruct (N.eqb_spec j slot) as [->|other_j], (N.eqb_spec k slot) as [->|other_k].
    + reflexivity.
    + intros same at_k names. injection same as same. exact (last o same k d at_k names).
    + intros zombie same names. injection same as <-. destruct (alike o names) as (named & _).
      exact (alone _ _ ok j slot _ o zombie in_slot named).
    + apply (alone _ _ ok).
Qed.
Lemma change_capability_live slot c st :
  live (slots st) (objects st) -> live (slots (change_capability slot c st)) (objects (change_capability slot c st)).
Proof.
  intros ok. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|exact ok].
  destruct (_ && _) eqn:alike; [|exact ok]. apply andb_prop in alike. destruct alike as (alike & _). apply (replace_live slot e c st there); [| |exact ok].
  - intros o names. destruct (alike_spec _ _ o alike names) as (named & type). split; [exact named|]. intros y.
    exact (fits_alike _ _ y type (alike_size _ _ o alike names)).
  - intros o -> j d at_j names. destruct (alike_spec _ _ o alike eq_refl) as (named & type). pose proof (zombie_alike _ _ type) as zombie.
    destruct (zombie_is _ (eq_sym zombie)) as (z & is_z). rewrite is_z in named. cbn [object_of] in named. injection named as ->.
    apply (alone _ _ ok slot j d o); [|exact at_j | exact names]. unfold capability_in. rewrite there. cbn. rewrite is_z. reflexivity.
Qed.
Lemma container_spec c st o : container_of c st = Some o ->
  object_of c = Some o /\ is_zombie c || is_last c st = true /\ forall y, fits_object c y -> fits_object (ZombieCap o) y.
Proof.
  unfold container_of. destruct c; try discriminate.
  - destruct (is_last _ st) eqn:last; [|discriminate]. intros same. injection same as <-. split; [reflexivity|]. split; [reflexivity|].
    intros y. destruct y; try discriminate. intros _. reflexivity.
  - destruct (is_last _ st) eqn:last; [|discriminate]. intros same. injection same as <-. split; [reflexivity|]. split; [reflexivity|].
    intros y. destruct y; try discriminate. intros _. reflexivity.
  - intros same. injection same as <-. split; [reflexivity|]. split; [reflexivity|]. intros y. exact id.
Qed.
Lemma make_zombie_live slot st : counts_are_right st ->
  live (slots st) (objects st) -> live (slots (make_zombie slot st)) (objects (make_zombie slot st)).
Proof.
  intros counts ok. unfold make_zombie. destruct (slots st !! slot) as [e|] eqn:there; [|exact ok].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|exact ok]. destruct (container_spec _ _ _ container) as (named & last & fits).
  apply (replace_live slot e (ZombieCap o) st there); [| |exact ok].
  - intros o' names. cbn [object_of] in names. injection names as <-. split; [exact named | exact fits].
  - intros o' same j d at_j names. injection same as <-. exact (only_one st slot j e d o counts ok there named last at_j names).
Qed.
Lemma in_remove_capability slot st j : capability_in (slots (remove_capability slot st)) j = if j =? slot then None else capability_in (slots st) j.
Proof.
  unfold remove_capability. destruct (slots st !! slot) as [e|] eqn:there.
  - fold (adopt (parent e) (children e) st). rewrite (proj2 (slots_of_count _ _)).
    match goal with |- capability_in ?t j = _ =>
      change t with (remove slot (slots (change_children (parent e) (replace slot (children e)) (adopt (parent e) (children e) st)))) end.
    rewrite in_remove, in_children, in_adopt. reflexivity.
  - destruct (N.eqb_spec j slot) as [->|]; [|reflexivity]. unfold capability_in. rewrite there. reflexivity.
Qed.
Lemma objects_of_remove_capability slot st : objects (remove_capability slot st) = objects st.
Proof. rewrite (remove_capability_same slot st). reflexivity. Qed.
Lemma fewer_live t s x : (forall j c, capability_in t j = Some c -> capability_in s j = Some c) -> live s x -> live t x.
Proof.
  intros fewer ok. constructor.
  - intros j c o at_j. exact (refers _ _ ok j c o (fewer j c at_j)).
  - intros j k c o at_j at_k. exact (alone _ _ ok j k c o (fewer j _ at_j) (fewer k c at_k)).
Qed.
Lemma removed_live slot st :
  live (slots st) (objects st) -> live (slots (remove_capability slot st)) (objects (remove_capability slot st)).
Proof.
  intros ok. rewrite objects_of_remove_capability. apply (fewer_live _ (slots st)); [|exact ok]. intros j c. rewrite in_remove_capability.
  destruct (j =? slot); [discriminate | exact id].
Qed.
Lemma discard_live slot st : counts_are_right st -> live (slots st) (objects st) -> live (slots (discard slot st)) (objects (discard slot st)).
Proof.
  intros counts ok. pose proof (removed_live slot st ok) as removed. unfold discard. destruct (capability_at slot st) as [c|] eqn:there; [|exact ok].
  unfold capability_at in there. destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection there as <-.
  destruct (object_of (capability e)) as [o|] eqn:names; [|exact removed].
  destruct (is_zombie (capability e) || is_last (capability e) st) eqn:last; [|exact removed].
  change (slots (remove_object o (remove_capability slot st))) with (slots (remove_capability slot st)).
  change (objects (remove_object o (remove_capability slot st))) with (remove o (objects (remove_capability slot st))).
  constructor; [|exact (alone _ _ removed)]. intros j d o' at_j names'. destruct (refers _ _ removed j d o' at_j names') as (y & here & fits).
  exists y. split; [|exact fits]. rewrite find_remove. destruct (N.eqb_spec o' o) as [->|]; [exfalso | exact here].
  rewrite in_remove_capability in at_j. destruct (N.eqb_spec j slot) as [->|other]; [discriminate|].
  exact (other (only_one st slot j e d o counts ok found names last at_j names')).
Qed.
Lemma move_live from to st : live (slots st) (objects st) -> live (slots (move_capability from to st)) (objects (move_capability from to st)).
Proof.
  intros ok. replace (objects (move_capability from to st)) with (objects st) by (rewrite (move_capability_same from to st); reflexivity).
  unfold move_capability. destruct (slots st !! from) as [e|] eqn:there; [|exact ok]. destruct (is_empty to st) eqn:vacant; [|exact ok].
  fold (adopt (Some to) (children e) st). cbv zeta.
  match goal with |- live ?t _ =>
    change t with (set to e (remove from (slots (change_children (parent e) (replace from [to]) (adopt (Some to) (children e) st))))) end.
  assert (forall j c, capability_in (set to e (remove from (slots (change_children (parent e) (replace from [to]) (adopt (Some to) (children e) st))))) j
                      = Some c -> exists k, capability_in (slots st) k = Some c /\ ((j = to /\ k = from) \/ (j <> to /\ j <> from /\ k = j))) as came.
  { intros j c. rewrite in_set, in_remove, in_children, in_adopt. destruct (N.eqb_spec j to) as [->|other].
    - intros same. exists from. split; [unfold capability_in; rewrite there; exact same | left; split; reflexivity].
    - destruct (N.eqb_spec j from) as [->|]; [discriminate|]. intros same. exists j. split; [exact same | right; repeat split; assumption]. }
  constructor.
  - intros j c o at_j names. destruct (came j c at_j) as (k & at_k & _). exact (refers _ _ ok k c o at_k names).
  - intros j k c o at_j at_k names. destruct (came j _ at_j) as (j' & at_j' & where_j), (came k c at_k) as (k' & at_k' & where_k).
    pose proof (alone _ _ ok j' k' c o at_j' at_k' names) as same. subst k'.
    destruct where_j as [(-> & ->)|(n1 & n2 & ->)], where_k as [(-> & ?)|(n3 & n4 & ?)]; congruence.
Qed.

(** ** Every step *)
Definition all_live (st : State) : Prop := indices_are_right st /\ live (slots st) (objects st).
Lemma live_of_same a b : slots b = slots a -> objects b = objects a -> live (slots a) (objects a) -> live (slots b) (objects b).
Proof. intros -> ->. exact id. Qed.
Lemma live_is_kept_quietly : kept_quietly all_live (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _ (right & ok).
    split; [exact (indices_of_same a b same_slots same_references right) | exact (live_of_same a b same_slots same_objects ok)].
  - intros t st (right & ok). split; [exact (indices_of_same st (unplace t st) eq_refl eq_refl right) | exact ok].
  - intros insert t st _ (right & ok). destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
    split; [exact (indices_of_same st _ same_slots same_references right) | exact (live_of_same st _ same_slots same_objects ok)].
  - intros t st _ (right & ok). split; [apply (indices_of_same st); [reflexivity | reflexivity | exact right] | exact ok].
  - intros o x y st there same _ _ (right & ok). split; [exact (indices_after_put o x st right)|].
    constructor; [|exact (alone _ _ ok)]. intros j c o' at_j names. destruct (refers _ _ ok j c o' at_j names) as (z & found & fits).
    change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec o' o) as [->|]; [|exists z; split; assumption].
    exists x. split; [reflexivity|]. assert (z = y) as -> by congruence. exact (fits_same_kind c y x same fits).
Qed.
Lemma live_is_kept : kept all_live (fun _ => True) (fun _ => True).
Proof.
  pose proof indices_are_kept as indices. constructor; try (intros; exact I).
  - intros slot p o c st from _ (right & ok). split; [exact (insert_child_right slot p o c st right)|].
    apply insert_child_live; [exact (proj1 from) | exact (derivable_live c p st ok from) | exact ok].
  - intros slot source_ o c st from _ (right & ok).
    split; [exact (insert_sibling_right slot source_ o c st right) | exact (insert_sibling_live slot source_ o c st from ok)].
  - intros u at_ size x slot c st with_it fine_x fine_c (right & ok).
    split; [exact (after_carve indices u at_ size x slot c st with_it fine_x fine_c right) | exact (carve_live u at_ size x slot c st with_it ok)].
  - intros slot st free (right & ok). split; [exact (after_discard indices slot st free right) | exact (discard_live slot st (proj2 right) ok)].
  - intros from to st (right & ok). split; [exact (move_capability_right from to st right) | exact (move_live from to st ok)].
  - intros slot c st _ (right & ok). split; [exact (after_change_capability indices slot c st I right) | exact (change_capability_live slot c st ok)].
  - intros slot st free _ (right & ok).
    split; [exact (after_make_zombie indices slot st free (fun _ _ _ _ => I) right) | exact (make_zombie_live slot st (proj2 right) ok)].
Qed.

(** ** Boot *)
Lemma insert_root_live slot c st :
  is_zombie c = false -> (forall o, object_of c = Some o -> exists y, objects st !! o = Some y /\ fits_object c y) ->
  (forall j d, capability_in (slots st) j = Some d -> is_zombie d = false) -> live (slots st) (objects st) ->
  live (slots (insert_root slot c st)) (objects (insert_root slot c st))
  /\ forall j d, capability_in (slots (insert_root slot c st)) j = Some d -> is_zombie d = false.
Proof.
  intros no_zombie new none ok. replace (objects (insert_root slot c st)) with (objects st) by (rewrite (insert_root_same slot c st); reflexivity).
  unfold insert_root. destruct (is_empty slot st); [|split; [exact ok | exact none]].
  assert (forall j, capability_in (slots (count_reference c (put_entry slot {| capability := c; original := true; parent := None; children := [] |} st))) j
                    = if j =? slot then Some c else capability_in (slots st) j) as found
    by (intros j; rewrite (proj1 (slots_of_count c _)); apply in_set).
  split.
  - apply (live_with _ (slots st) _ slot c found no_zombie); [|exact ok]. intros o names. split; [exact (new o names)|].
    intros j zombie. pose proof (none j _ zombie). discriminate.
  - intros j d. rewrite found. destruct (j =? slot); [intros same; injection same as <-; exact no_zombie | apply none].
Qed.
Lemma roots_live l objects_ :
  (forall slot c, In (slot, c) l -> is_zombie c = false /\ forall o, object_of c = Some o -> exists y, objects_ !! o = Some y /\ fits_object c y) ->
  forall st, objects st = objects_ -> (forall j d, capability_in (slots st) j = Some d -> is_zombie d = false) -> live (slots st) (objects st) ->
  let after := fold_left (fun st entry => insert_root (fst entry) (snd entry) st) l st in live (slots after) (objects after).
Proof.
  induction l as [|(slot & c) l IH]; intros each st same none ok; [exact ok|]. cbn [fold_left fst snd].
  destruct (each slot c (or_introl eq_refl)) as (no_zombie & new). rewrite <- same in new.
  destruct (insert_root_live slot c st no_zombie new none ok) as (ok' & none').
  apply (IH (fun s d listed => each s d (or_intror listed))); [|exact none' | exact ok'].
  rewrite (insert_root_same slot c st). exact same.
Qed.
Lemma root_objects p st : objects (put_root_objects p st) =
  set (root_context p) (SchedContextObject (new_sched_context min_sched_context_bits))
  (set (root_pool p) (ASIDPoolObject {| pool_index := 0; assigned := table_of [(root_asid, root_vspace p)] |})
  (set (root_vspace p) (VSpaceObject empty)
  (set (root_cnode p) (CNodeObject (root_radix p))
  (set (root_thread p) (ThreadObject (root_thread_at_boot p)) (objects st))))).
Proof. reflexivity. Qed.
Lemma roots_fit p : roots_are_apart p -> forall slot c, In (slot, c) (root_capabilities p ++ dynamic_capabilities p) ->
  is_zombie c = false /\
  forall o, object_of c = Some o -> exists y, objects (put_root_objects p (nothing_yet (boot_machine p))) !! o = Some y /\ fits_object c y.
Proof.
  intros apart slot c listed. apply in_app_or in listed. destruct listed as [listed|listed].
  - unfold root_capabilities in listed. cbn [In] in listed. unfold roots_are_apart in apart. rewrite !NoDup_cons_iff in apart. cbn [In] in apart.
    assert (forall a, objects (put_root_objects p (nothing_yet (boot_machine p))) !! a =
      if a =? root_context p then Some (SchedContextObject (new_sched_context min_sched_context_bits)) else
      if a =? root_pool p then Some (ASIDPoolObject {| pool_index := 0; assigned := table_of [(root_asid, root_vspace p)] |}) else
      if a =? root_vspace p then Some (VSpaceObject empty) else
      if a =? root_cnode p then Some (CNodeObject (root_radix p)) else
      if a =? root_thread p then Some (ThreadObject (root_thread_at_boot p)) else None) as found.
    { intros a. rewrite root_objects, !find_set. change (objects (nothing_yet (boot_machine p))) with (@empty Object). rewrite find_empty. reflexivity. }
    repeat (destruct listed as [same|listed];
            [apply (f_equal snd) in same; cbn [snd] in same; rewrite <- same; split; [reflexivity|]; cbn [object_of referent]; intros o names;
             first [discriminate names | injection names as <-]; rewrite found;
             repeat match goal with |- context [?a =? ?b] =>
                      destruct (N.eqb_spec a b) as [equal|]; [first [eexists; split; [reflexivity | first [reflexivity | apply N.eqb_refl]] | exfalso;
                        intuition congruence]|] end;
             exfalso; intuition congruence|]).
    contradiction.
  - unfold dynamic_capabilities in listed. cbv zeta in listed. apply in_combine_r, in_app_or in listed.
    destruct listed as [listed|listed]; apply in_map_iff in listed;
      [destruct listed as (core & <- & _) | destruct listed as (((base & bits) & device) & <- & _)]; (split; [reflexivity | discriminate]).
Qed.
Lemma live_at_start p : roots_are_apart p -> all_live (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros apart. split; [exact (indices_at_start p)|].
  assert (forall j, capability_in (slots (put_root_objects p (nothing_yet (boot_machine p)))) j = None) as none
    by (intros j; unfold capability_in; change (slots (put_root_objects p (nothing_yet (boot_machine p)))) with (@empty Entry);
        rewrite find_empty; reflexivity).
  unfold insert_roots. apply (roots_live _ _ (roots_fit p apart) (put_root_objects p (nothing_yet (boot_machine p))) eq_refl).
  - intros j d. rewrite none. discriminate.
  - constructor; intros j; intros; [rewrite none in H; discriminate | rewrite none in H; discriminate].
Qed.

(** Claim [no_capability_dangles]. *)
Theorem no_capability_dangles_proved : no_capability_dangles step.
Proof.
  intros p st apart reached. apply live_is. revert reached. intros reached.
  exact (proj2 (reachable_keeps _ _ _ live_is_kept_quietly live_is_kept p (live_at_start p apart) st reached)).
Qed.
