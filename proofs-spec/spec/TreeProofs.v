(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The derivation tree and the counts of references stay right

    The state keeps two indices: the children of each slot and the number of capabilities to each object. Here they are proved to say
    what they stand for, whatever the five definitions of [Capabilities] do that change slots. *)
From Coq Require Import Lia.
From Spec Require Export Claims TableFacts.
Open Scope N_scope.

(** ** Lists *)
Lemma in_replace (x old : N) (new l : list N) : In x (replace old new l) <-> (In x l /\ x <> old) \/ (In old l /\ In x new).
Proof.
  unfold replace. rewrite in_flat_map. split.
  - intros (y & listed & found). destruct (N.eqb_spec y old) as [->|different].
    + right. split; assumption.
    + simpl in found. destruct found as [->|[]]. left. split; congruence.
  - intros [(listed & different)|(listed & found)].
    + exists x. split; [assumption|]. destruct (N.eqb_spec x old); [congruence | left; reflexivity].
    + exists old. rewrite N.eqb_refl. split; assumption.
Qed.

Lemma replace_absent (old : N) (new l : list N) : ~ In old l -> replace old new l = l.
Proof.
  intros absent. induction l as [|y rest IH]; [reflexivity|]. simpl in *.
  destruct (N.eqb_spec y old); [subst; tauto|]. simpl. rewrite IH; tauto.
Qed.

Lemma no_dup_app {A} (a b : list A) : NoDup a -> NoDup b -> (forall x, In x a -> In x b -> False) -> NoDup (a ++ b).
Proof.
  intros once_a once_b apart. induction once_a as [|x a absent _ IH]; simpl; [assumption|].
  constructor.
  - rewrite in_app_iff. intros [listed|listed]; [tauto | exact (apart x (or_introl eq_refl) listed)].
  - apply IH. intros y listed. apply apart. right. exact listed.
Qed.

Lemma no_dup_replace (old : N) (new l : list N) :
  NoDup l -> NoDup new -> (forall x, In x new -> In x l -> x = old) -> NoDup (replace old new l).
Proof.
  intros once once_new apart. induction once as [|y l absent once IH]; simpl; [constructor|].
  destruct (N.eqb_spec y old) as [->|different].
  - fold (replace old new l). rewrite replace_absent by assumption.
    apply no_dup_app; [assumption..|]. intros x in_new in_l. specialize (apart x in_new (or_intror in_l)). congruence.
  - simpl. fold (replace old new l). constructor.
    + rewrite in_replace. intros [(listed & _)|(_ & in_new)]; [tauto|].
      exact (different (apart y in_new (or_introl eq_refl))).
    + apply IH. intros x in_new in_l. apply (apart x in_new). right. exact in_l.
Qed.

(** ** What the primitives do to the table of slots *)
Lemma slots_of_change_children (p : option N) (f : list N -> list N) (st : State) :
  slots (change_children p f st)
  = match p with Some s => update s (fun e => with_children (f (children e)) e) (slots st) | None => slots st end.
Proof. destruct p; reflexivity. Qed.

Lemma slots_of_count (c : Capability) (st : State) :
  slots (count_reference c st) = slots st /\ slots (discount_reference c st) = slots st.
Proof. unfold count_reference, discount_reference. destruct (referent c); split; reflexivity. Qed.

Lemma references_of_change_children (p : option N) (f : list N -> list N) (st : State) :
  references (change_children p f st) = references st.
Proof. destruct p; reflexivity. Qed.

(** Giving all children of a slot another parent. *)
Definition adopt (p : option N) (l : list N) (st : State) : State :=
  fold_left (fun st child => change_entry child (with_parent p) st) l st.

Lemma slots_of_adopt (p : option N) (l : list N) (j : N) (st : State) :
  slots (adopt p l st) !! j = if member j l then option_map (with_parent p) (slots st !! j) else slots st !! j.
Proof.
  revert st. induction l as [|c rest IH]; intros st; [reflexivity|].
  change (adopt p (c :: rest) st) with (adopt p rest (change_entry c (with_parent p) st)).
  rewrite IH. simpl. rewrite find_update. rewrite (N.eqb_sym j c).
  destruct (c =? j); simpl; [|reflexivity].
  destruct (member j rest); [|reflexivity]. destruct (slots st !! j); reflexivity.
Qed.

Lemma references_of_adopt (p : option N) (l : list N) (st : State) : references (adopt p l st) = references st.
Proof. revert st. induction l as [|c rest IH]; intros st; [reflexivity|]. simpl. exact (IH _). Qed.

Lemma count_of_adopt (o : N) (p : option N) (l : list N) (st : State) :
  count_of o (slots (adopt p l st)) = count_of o (slots st).
Proof.
  revert st. induction l as [|c rest IH]; intros st; [reflexivity|].
  change (adopt p (c :: rest) st) with (adopt p rest (change_entry c (with_parent p) st)).
  rewrite IH. apply sum_over_update_same_weight. reflexivity.
Qed.

Lemma member_spec (n : N) (l : list N) : member n l = true <-> In n l.
Proof.
  unfold member. rewrite existsb_exists. split.
  - intros (m & listed & same). apply N.eqb_eq in same. subst. exact listed.
  - intros listed. exists n. split; [exact listed | apply N.eqb_refl].
Qed.

Lemma is_empty_spec (slot : N) (st : State) : is_empty slot st = true <-> slots st !! slot = None.
Proof. unfold is_empty. destruct (slots st !! slot); simpl; split; congruence. Qed.

(** ** The tree after a change *)

(** Two states with the same slots have the same tree. *)
Lemma tree_of_same_slots (a b : State) : slots a = slots b -> tree_is_right a -> tree_is_right b.
Proof.
  intros same [listed once exist (rank & cycles)].
  constructor; unfold is_child in *; rewrite <- same; eauto.
Qed.

(** A leaf is added whose parent lists it. *)
Lemma tree_after_leaf (st st' : State) (slot : N) (fresh : Entry) (p : option N) (l : list N) :
  tree_is_right st ->
  parent fresh = p -> children fresh = [] ->
  slots st !! slot = None ->
  (forall q, p = Some q -> exists e, slots st !! q = Some e) ->
  (forall q e, p = Some q -> slots st !! q = Some e ->
     NoDup l /\ forall x, In x l <-> In x (children e) \/ x = slot) ->
  (forall j, slots st' !! j =
     if j =? slot then Some fresh
     else if is_number p j then option_map (with_children l) (slots st !! j) else slots st !! j) ->
  tree_is_right st'.
Proof.
  intros [listed once exist (rank & cycles)] fresh_parent fresh_leaf vacant present lists found.
  assert (child : forall x y, is_child st' x y <-> is_child st x y \/ (x = slot /\ p = Some y)).
  { intros x y. unfold is_child. setoid_rewrite found. destruct (N.eqb_spec x slot) as [->|other].
    - rewrite vacant. split.
      + intros (e & same & named). injection same as <-. right. split; [reflexivity | congruence].
      + intros [(e & none & _)|(_ & named)]; [discriminate | eexists; split; [reflexivity | congruence]].
    - split.
      + intros (e & same & named). left. destruct (is_number p x); [|exists e; auto].
        destruct (slots st !! x) as [e0|]; [|discriminate]. injection same as <-. exists e0. auto.
      + intros [(e & same & named)|(-> & _)]; [|congruence]. rewrite same.
        destruct (is_number p x); simpl; eexists; split; try reflexivity; exact named. }
  assert (leaf : forall x, ~ is_child st x slot).
  { intros x (e & same & named). destruct (exist x slot) as (e' & none); [exists e; auto | congruence]. }
  assert (old_entry : forall j e, slots st' !! j = Some e -> j <> slot ->
            exists e0, slots st !! j = Some e0 /\ (p <> Some j /\ children e = children e0 \/ p = Some j /\ children e = l)).
  { intros j e same other. rewrite found in same. apply N.eqb_neq in other. rewrite other in same.
    destruct (is_number p j) eqn:named.
    - destruct (slots st !! j) as [e0|]; [|discriminate]. injection same as <-. exists e0. split; [reflexivity|].
      right. destruct p; simpl in named; [|discriminate]. apply N.eqb_eq in named. subst. split; reflexivity.
    - exists e. split; [exact same | left]. split; [|reflexivity]. intros ->. simpl in named. rewrite N.eqb_refl in named. discriminate. }
  constructor.
  - intros s e x same. rewrite child. destruct (N.eqb_spec s slot) as [->|other].
    + rewrite found, N.eqb_refl in same. injection same as <-. rewrite fresh_leaf. simpl. split; [tauto|].
      intros [old|(-> & named)]; [destruct (leaf _ old)|].
      destruct (present slot named) as (e & none). congruence.
    + destruct (old_entry s e same other) as (e0 & same0 & [(unnamed & ->)|(named & ->)]).
      * rewrite (listed s e0 x same0). split; [tauto|]. intros [?|(_ & named)]; [assumption | contradiction].
      * destruct (lists s e0 named same0) as (_ & members). rewrite members, (listed s e0 x same0).
        split; [intros [old| ->]; [left; assumption | right; split; [reflexivity | exact named]]|].
        intros [?|(-> & _)]; [left; assumption | right; reflexivity].
  - intros s e same. destruct (N.eqb_spec s slot) as [->|other].
    + rewrite found, N.eqb_refl in same. injection same as <-. rewrite fresh_leaf. constructor.
    + destruct (old_entry s e same other) as (e0 & same0 & [(_ & ->)|(named & ->)]); [exact (once s e0 same0)|].
      exact (proj1 (lists s e0 named same0)).
  - intros x y related. apply child in related. destruct related as [old|(-> & named)].
    + destruct (exist x y old) as (e & same). rewrite found, same.
      destruct (y =? slot); [eexists; reflexivity|]. destruct (is_number p y); simpl; eexists; reflexivity.
    + destruct (present y named) as (e & same). rewrite found, same.
      destruct (y =? slot); [eexists; reflexivity|]. destruct (is_number p y); simpl; eexists; reflexivity.
  - exists (fun j => if j =? slot then match p with Some q => S (rank q) | None => O end else rank j).
    intros x y related. apply child in related. destruct related as [old|(-> & named)].
    + assert (x <> slot) by (intros ->; destruct old as (e & none & _); congruence).
      assert (y <> slot) by (intros ->; exact (leaf x old)).
      apply N.eqb_neq in H, H0. rewrite H, H0. exact (cycles x y old).
    + rewrite N.eqb_refl, named. destruct (N.eqb_spec y slot) as [->|other]; [|lia].
      destruct (present slot named) as (e & none). congruence.
Qed.

(** A slot is emptied; its children are adopted by its parent and take its place there. *)
Lemma tree_after_removal (st st' : State) (slot : N) (e : Entry) :
  tree_is_right st ->
  slots st !! slot = Some e ->
  (forall j, slots st' !! j =
     if j =? slot then None
     else let found := if member j (children e) then option_map (with_parent (parent e)) (slots st !! j) else slots st !! j in
          if is_number (parent e) j then option_map (fun x => with_children (replace slot (children e) (children x)) x) found
          else found) ->
  tree_is_right st'.
Proof.
  intros [listed once exist (rank & cycles)] present found.
  assert (adopted : forall x, In x (children e) <-> is_child st x slot) by (intros x; apply listed; exact present).
  assert (not_own : forall x, is_child st x x -> False) by (intros x self; pose proof (cycles x x self); lia).
  assert (parent_differs : parent e <> Some slot) by (intros own; apply (not_own slot); exists e; auto).
  assert (entry : forall j x, slots st' !! j = Some x ->
    exists x0, slots st !! j = Some x0 /\ j <> slot
      /\ parent x = (if member j (children e) then parent e else parent x0)
      /\ children x = (if is_number (parent e) j then replace slot (children e) (children x0) else children x0)).
  { intros j x same. rewrite found in same. destruct (N.eqb_spec j slot) as [->|other]; [discriminate|].
    destruct (slots st !! j) as [x0|].
    - exists x0. split; [reflexivity|]. split; [exact other|].
      destruct (member j (children e)), (is_number (parent e) j); simpl in same; injection same as <-; split; reflexivity.
    - destruct (member j (children e)), (is_number (parent e) j); discriminate. }
  assert (kept : forall j x0, slots st !! j = Some x0 -> j <> slot -> exists x, slots st' !! j = Some x).
  { intros j x0 same other. rewrite found. apply N.eqb_neq in other. rewrite other, same.
    destruct (member j (children e)), (is_number (parent e) j); simpl; eexists; reflexivity. }
  assert (child : forall x y, is_child st' x y <->
            x <> slot /\ ((is_child st x y /\ y <> slot) \/ (is_child st x slot /\ parent e = Some y))).
  { intros x y. split.
    - intros (x1 & same & named). destruct (entry x x1 same) as (x0 & same0 & other & par & _).
      rewrite par in named. split; [exact other|]. destruct (member x (children e)) eqn:is_member.
      + right. apply member_spec, adopted in is_member. split; assumption.
      + left. split; [exists x0; auto|]. intros ->.
        assert (member x (children e) = true) by (apply member_spec, adopted; exists x0; auto). congruence.
    - intros (other & related).
      assert (exists x0, slots st !! x = Some x0) as (x0 & same0) by (destruct related as [((x0 & ? & _) & _)|((x0 & ? & _) & _)]; eauto).
      destruct (kept x x0 same0 other) as (x1 & same1). exists x1. split; [exact same1|].
      destruct (entry x x1 same1) as (x0' & same0' & _ & par & _). rewrite same0 in same0'. injection same0' as <-.
      rewrite par. destruct (member x (children e)) eqn:is_member.
      + destruct related as [((z & same & named) & away)|(_ & named)]; [|exact named].
        apply member_spec, adopted in is_member. destruct is_member as (z' & same' & named').
        congruence.
      + destruct related as [((z & same & named) & _)|(is_adopted & _)]; [congruence|].
        apply adopted, member_spec in is_adopted. congruence. }
  constructor.
  - intros s x c same. destruct (entry s x same) as (x0 & same0 & other & _ & ->). rewrite child.
    destruct (is_number (parent e) s) eqn:is_parent.
    + assert (parent_is : parent e = Some s).
      { destruct (parent e); simpl in is_parent; [|discriminate]. apply N.eqb_eq in is_parent. congruence. }
      rewrite in_replace, (listed s x0 c same0). split.
      * intros [(related & away)|(_ & is_adopted)].
        -- split; [exact away|]. left. split; assumption.
        -- apply adopted in is_adopted. split; [intros ->; exact (not_own slot is_adopted)|]. right. split; assumption.
      * intros (away & [(related & _)|(is_adopted & _)]); [left; split; assumption|].
        right. split; [apply (listed s x0 slot same0); exists e; auto | apply adopted; exact is_adopted].
    + assert (parent e <> Some s) by (intros same_parent; rewrite same_parent in is_parent; simpl in is_parent;
                                      rewrite N.eqb_refl in is_parent; discriminate).
      rewrite (listed s x0 c same0). split.
      * intros related. split; [|left; split; assumption].
        intros ->. destruct related as (z & same1 & named). congruence.
      * intros (_ & [(related & _)|(_ & named)]); [exact related | contradiction].
  - intros s x same. destruct (entry s x same) as (x0 & same0 & other & _ & ->).
    destruct (is_number (parent e) s) eqn:is_parent; [|exact (once s x0 same0)].
    apply no_dup_replace; [exact (once s x0 same0) | exact (once slot e present)|].
    intros c in_new in_old. apply adopted in in_new. apply (listed s x0 c same0) in in_old.
    destruct in_new as (z & same1 & named1), in_old as (z' & same2 & named2). congruence.
  - intros c p related. apply child in related. destruct related as (other & [(old & away)|(_ & named)]).
    + destruct (exist c p old) as (x0 & same0). destruct (kept p x0 same0 away) as (x & same). eauto.
    + destruct (exist slot p) as (x0 & same0); [exists e; auto|].
      destruct (kept p x0 same0) as (x & same); [congruence | eauto].
  - exists rank. intros c p related. apply child in related. destruct related as (_ & [(old & _)|(old & named)]).
    + exact (cycles c p old).
    + pose proof (cycles c slot old). assert (is_child st slot p) as above by (exists e; auto).
      pose proof (cycles slot p above). lia.
Qed.

(** A capability goes from one slot to an empty one. *)
Definition renamed (from to j : N) : N := if j =? from then to else j.
Lemma tree_after_move (st st' : State) (from to : N) (e : Entry) :
  tree_is_right st ->
  slots st !! from = Some e ->
  slots st !! to = None ->
  (forall j, slots st' !! j =
     if j =? to then Some e
     else if j =? from then None
     else let found := if member j (children e) then option_map (with_parent (Some to)) (slots st !! j) else slots st !! j in
          if is_number (parent e) j then option_map (fun x => with_children (replace from [to] (children x)) x) found else found) ->
  tree_is_right st'.
Proof.
  intros [listed once exist (rank & cycles)] present vacant found.
  assert (apart : from <> to) by congruence.
  assert (adopted : forall x, In x (children e) <-> is_child st x from) by (intros x; apply listed; exact present).
  assert (not_own : forall x, is_child st x x -> False) by (intros x self; pose proof (cycles x x self); lia).
  assert (parent_differs : parent e <> Some from) by (intros own; apply (not_own from); exists e; auto).
  assert (parent_elsewhere : parent e <> Some to).
  { intros named. destruct (exist from to) as (x & same); [exists e; auto | congruence]. }
  assert (no_child_of_to : forall x, ~ is_child st x to).
  { intros x related. destruct (exist x to related) as (x0 & same). congruence. }
  assert (entry : forall j x, slots st' !! j = Some x -> j <> to ->
    exists x0, slots st !! j = Some x0 /\ j <> from
      /\ parent x = (if member j (children e) then Some to else parent x0)
      /\ children x = (if is_number (parent e) j then replace from [to] (children x0) else children x0)).
  { intros j x same other. rewrite found in same. apply N.eqb_neq in other. rewrite other in same.
    destruct (N.eqb_spec j from) as [->|away]; [discriminate|].
    destruct (slots st !! j) as [x0|].
    - exists x0. split; [reflexivity|]. split; [exact away|].
      destruct (member j (children e)), (is_number (parent e) j); simpl in same; injection same as <-; split; reflexivity.
    - destruct (member j (children e)), (is_number (parent e) j); discriminate. }
  assert (at_to : slots st' !! to = Some e) by (rewrite found, N.eqb_refl; reflexivity).
  assert (kept : forall j x0, slots st !! j = Some x0 -> j <> from -> exists x, slots st' !! j = Some x).
  { intros j x0 same other. rewrite found. destruct (N.eqb_spec j to); [eauto|]. apply N.eqb_neq in other. rewrite other, same.
    destruct (member j (children e)), (is_number (parent e) j); simpl; eexists; reflexivity. }
  assert (child : forall x y, is_child st' x y <->
            (x = to /\ parent e = Some y) \/ (x <> to /\ x <> from /\ ((is_child st x y /\ y <> from) \/ (is_child st x from /\ y = to)))).
  { intros x y. split.
    - intros (x1 & same & named). destruct (N.eqb_spec x to) as [->|other]; [left; split; congruence|].
      right. destruct (entry x x1 same other) as (x0 & same0 & away & par & _). rewrite par in named.
      split; [exact other|]. split; [exact away|]. destruct (member x (children e)) eqn:is_member.
      + right. apply member_spec, adopted in is_member. injection named as <-. split; [exact is_member | reflexivity].
      + left. split; [exists x0; auto|]. intros ->.
        assert (member x (children e) = true) by (apply member_spec, adopted; exists x0; auto). congruence.
    - intros [(-> & named)|(other & away & related)]; [exists e; auto|].
      assert (exists x0, slots st !! x = Some x0) as (x0 & same0) by (destruct related as [((x0 & ? & _) & _)|((x0 & ? & _) & _)]; eauto).
      destruct (kept x x0 same0 away) as (x1 & same1). exists x1. split; [exact same1|].
      destruct (entry x x1 same1 other) as (x0' & same0' & _ & par & _). rewrite same0 in same0'. injection same0' as <-.
      rewrite par. destruct (member x (children e)) eqn:is_member.
      + destruct related as [((z & same & named) & distinct)|(_ & ->)]; [|reflexivity].
        apply member_spec, adopted in is_member. destruct is_member as (z' & same' & named'). congruence.
      + destruct related as [((z & same & named) & _)|(is_adopted & _)]; [congruence|].
        apply adopted, member_spec in is_adopted. congruence. }
  constructor.
  - intros s x c same. destruct (N.eqb_spec s to) as [->|other].
    + rewrite at_to in same. injection same as <-. rewrite child, adopted. split.
      * intros related. right. destruct related as (z & same & named).
        split; [congruence|]. split; [intros ->; apply (not_own from); exists z; auto|]. right. split; [exists z; auto | reflexivity].
      * intros [(_ & named)|(_ & _ & [(related & _)|(related & _)])]; [congruence | destruct (no_child_of_to c related) | exact related].
    + destruct (entry s x same other) as (x0 & same0 & away & _ & ->). rewrite child.
      destruct (is_number (parent e) s) eqn:is_parent.
      * assert (parent_is : parent e = Some s).
        { destruct (parent e); simpl in is_parent; [|discriminate]. apply N.eqb_eq in is_parent. congruence. }
        rewrite in_replace, (listed s x0 c same0). split.
        -- intros [(related & distinct)|(_ & [<-|[]])]; [|left; split; [reflexivity | exact parent_is]].
           right. destruct related as (z & same1 & named). split; [congruence|]. split; [exact distinct|].
           left. split; [exists z; auto | exact away].
        -- intros [(-> & _)|(_ & distinct & [(related & _)|(_ & ->)])]; [|left; split; assumption | contradiction].
           right. split; [apply (listed s x0 from same0); exists e; auto | left; reflexivity].
      * assert (parent e <> Some s) by (intros same_parent; rewrite same_parent in is_parent; simpl in is_parent;
                                        rewrite N.eqb_refl in is_parent; discriminate).
        rewrite (listed s x0 c same0). split.
        -- intros related. right. destruct related as (z & same1 & named).
           split; [congruence|]. split; [intros ->; congruence|]. left. split; [exists z; auto | exact away].
        -- intros [(_ & named)|(_ & _ & [(related & _)|(_ & ->)])]; [contradiction | exact related | contradiction].
  - intros s x same. destruct (N.eqb_spec s to) as [->|other].
    + rewrite at_to in same. injection same as <-. exact (once from e present).
    + destruct (entry s x same other) as (x0 & same0 & away & _ & ->).
      destruct (is_number (parent e) s) eqn:is_parent; [|exact (once s x0 same0)].
      apply no_dup_replace; [exact (once s x0 same0) | repeat constructor; simpl; tauto|].
      intros c [<-|[]] in_old. apply (listed s x0 to same0) in in_old. destruct in_old as (z & same1 & _). congruence.
  - intros c p related. apply child in related.
    destruct related as [(-> & named)|(_ & _ & [(old & distinct)|(_ & ->)])]; [| |eauto].
    + destruct (exist from p) as (x0 & same0); [exists e; auto|]. destruct (kept p x0 same0) as (x & same); [congruence | eauto].
    + destruct (exist c p old) as (x0 & same0). destruct (kept p x0 same0 distinct) as (x & same). eauto.
  - exists (fun j => if j =? to then rank from else rank j). intros c p related. apply child in related.
    destruct related as [(-> & named)|(other & away & [(old & distinct)|(old & ->)])].
    + rewrite N.eqb_refl. assert (p <> to) as elsewhere by congruence. apply N.eqb_neq in elsewhere. rewrite elsewhere.
      apply cycles. exists e. auto.
    + apply N.eqb_neq in other. rewrite other. destruct (N.eqb_spec p to) as [->|_]; [destruct (no_child_of_to c old)|].
      exact (cycles c p old).
    + apply N.eqb_neq in other. rewrite other, N.eqb_refl. exact (cycles c from old).
Qed.

(** A capability is replaced in its place. *)
Lemma tree_after_replacement (st st' : State) (slot : N) (e e' : Entry) :
  tree_is_right st -> slots st !! slot = Some e -> parent e' = parent e -> children e' = children e ->
  (forall j, slots st' !! j = if j =? slot then Some e' else slots st !! j) ->
  tree_is_right st'.
Proof.
  intros [listed once exist (rank & cycles)] present same_parent same_children found.
  assert (child : forall x y, is_child st' x y <-> is_child st x y).
  { intros x y. unfold is_child. setoid_rewrite found. destruct (N.eqb_spec x slot) as [->|_]; [|tauto]. split.
    - intros (z & same & named). injection same as <-. exists e. split; [assumption | congruence].
    - intros (z & same & named). exists e'. split; [reflexivity | congruence]. }
  assert (entry : forall j x, slots st' !! j = Some x -> exists x0, slots st !! j = Some x0 /\ children x = children x0).
  { intros j x same. rewrite found in same. destruct (N.eqb_spec j slot) as [->|_]; [|eauto].
    injection same as <-. exists e. split; assumption. }
  constructor.
  - intros s x c same. rewrite child. destruct (entry s x same) as (x0 & same0 & ->). apply listed. exact same0.
  - intros s x same. destruct (entry s x same) as (x0 & same0 & ->). exact (once s x0 same0).
  - intros c p related. apply child in related. destruct (exist c p related) as (x & same). rewrite found.
    destruct (p =? slot); eauto.
  - exists rank. intros c p related. apply child in related. exact (cycles c p related).
Qed.

(** ** The primitives keep both indices right *)
(** What touches neither slots nor counts keeps them right. *)
Lemma indices_of_same (a b : State) :
  slots b = slots a -> references b = references a -> indices_are_right a -> indices_are_right b.
Proof.
  intros same_slots same_references (tree & counts). split.
  - exact (tree_of_same_slots a b (eq_sym same_slots) tree).
  - intros o. rewrite same_slots, same_references. apply counts.
Qed.
Lemma emit_right (e : Effect) (st : State) : indices_are_right st -> indices_are_right (emit e st).
Proof. exact (indices_of_same st (emit e st) eq_refl eq_refl). Qed.

Lemma references_of_count (c : Capability) (o : N) (st : State) :
  or_default 0 (references (count_reference c st) !! o) = or_default 0 (references st !! o) + bit (is_number (referent c) o).
Proof.
  unfold count_reference. destruct (referent c) as [r|]; simpl; [|lia].
  change (references (st <| references := set r (or_default 0 (references st !! r) + 1) (references st) |>))
    with (set r (or_default 0 (references st !! r) + 1) (references st)).
  rewrite find_set, (N.eqb_sym r o). destruct (N.eqb_spec o r) as [->|_]; simpl; lia.
Qed.

Lemma references_of_discount (c : Capability) (o : N) (st : State) :
  or_default 0 (references (discount_reference c st) !! o) = or_default 0 (references st !! o) - bit (is_number (referent c) o).
Proof.
  unfold discount_reference. destruct (referent c) as [r|]; simpl; [|lia]. cbn zeta.
  set (others := or_default 0 (references st !! r) - 1).
  change (references (st <| references := if others =? 0 then remove r (references st) else set r others (references st) |>))
    with (if others =? 0 then remove r (references st) else set r others (references st)).
  rewrite (N.eqb_sym r o). destruct (N.eqb_spec others 0) as [none|some].
  - rewrite find_remove. destruct (N.eqb_spec o r) as [->|_]; simpl; [fold others; lia | lia].
  - rewrite find_set. destruct (N.eqb_spec o r) as [->|_]; simpl; [fold others; lia | lia].
Qed.

Lemma no_dup_cons_new (st : State) (p slot : N) (e : Entry) :
  tree_is_right st -> slots st !! slot = None -> slots st !! p = Some e -> NoDup (slot :: children e).
Proof.
  intros right vacant present. constructor; [|exact (children_once st right p e present)].
  intros listed. apply (children_listed st right p e slot present) in listed.
  destruct listed as (x & same & _). congruence.
Qed.

Lemma insert_child_right (slot p : N) (o : bool) (c : Capability) (st : State) :
  indices_are_right st -> indices_are_right (insert_child slot p o c st).
Proof.
  intros (tree & counts). unfold insert_child.
  destruct (is_empty slot st) eqn:vacant; [|apply emit_right; split; assumption].
  destruct (is_empty p st) eqn:absent; simpl; [apply emit_right; split; assumption|].
  apply is_empty_spec in vacant. unfold is_empty in absent. destruct (slots st !! p) as [e|] eqn:present; [|discriminate].
  assert (apart : p <> slot) by congruence.
  set (st1 := change_entry p (fun x => with_children (slot :: children x) x) st).
  set (fresh := {| capability := c; original := o; parent := Some p; children := [] |}).
  assert (found : forall j, slots (count_reference c (put_entry slot fresh st1)) !! j
            = if j =? slot then Some fresh
              else if is_number (Some p) j then option_map (with_children (slot :: children e)) (slots st !! j) else slots st !! j).
  { intros j. rewrite (proj1 (slots_of_count c _)).
    change (slots (put_entry slot fresh st1)) with (set slot fresh (update p (fun x => with_children (slot :: children x) x) (slots st))).
    rewrite find_set, find_update. simpl. rewrite (N.eqb_sym p j). destruct (j =? slot); [reflexivity|].
    destruct (N.eqb_spec j p) as [->|_]; [rewrite present|]; reflexivity. }
  split.
  - apply (tree_after_leaf st _ slot fresh (Some p) (slot :: children e) tree eq_refl eq_refl vacant); [| |exact found].
    + intros q same. injection same as <-. eauto.
    + intros q e' same present'. injection same as <-. rewrite present in present'. injection present' as <-.
      split; [exact (no_dup_cons_new st p slot e tree vacant present)|]. intros x. simpl.
      split; [intros [<-|?]; auto | intros [?| ->]; auto].
  - intros x. rewrite references_of_count, (proj1 (slots_of_count c _)).
    change (references (put_entry slot fresh st1)) with (references st). rewrite (counts x).
    change (slots (put_entry slot fresh st1)) with (set slot fresh (update p (fun x => with_children (slot :: children x) x) (slots st))).
    unfold count_of. rewrite sum_over_set_new.
    + rewrite sum_over_update_same_weight by reflexivity. unfold weight at 2. simpl. lia.
    + rewrite find_update. apply N.eqb_neq in apart. rewrite N.eqb_sym, apart. exact vacant.
Qed.

Lemma insert_sibling_right (slot source : N) (is_original : bool) (c : Capability) (st : State) :
  indices_are_right st -> indices_are_right (insert_sibling slot source is_original c st).
Proof.
  intros (tree & counts). unfold insert_sibling.
  destruct (is_empty slot st) eqn:vacant; [|apply emit_right; split; assumption].
  destruct (slots st !! source) as [e|] eqn:present; [|apply emit_right; split; assumption].
  apply is_empty_spec in vacant.
  set (f := replace source [source; slot]).
  set (st1 := change_children (parent e) f st).
  set (fresh := {| capability := c; original := is_original; parent := parent e; children := [] |}).
  assert (slots1 : forall j, slots st1 !! j = if is_number (parent e) j
            then option_map (fun x => with_children (f (children x)) x) (slots st !! j) else slots st !! j).
  { intros j. unfold st1. rewrite slots_of_change_children. destruct (parent e) as [p|]; [|reflexivity].
    rewrite find_update. simpl. rewrite (N.eqb_sym p j). destruct (j =? p); reflexivity. }
  set (l := match parent e with Some p => match slots st !! p with Some x => f (children x) | None => [] end | None => [] end).
  assert (found : forall j, slots (count_reference c (put_entry slot fresh st1)) !! j
            = if j =? slot then Some fresh
              else if is_number (parent e) j then option_map (with_children l) (slots st !! j) else slots st !! j).
  { intros j. rewrite (proj1 (slots_of_count c _)).
    change (slots (put_entry slot fresh st1)) with (set slot fresh (slots st1)).
    rewrite find_set, slots1. destruct (j =? slot); [reflexivity|]. unfold l.
    destruct (parent e) as [p|]; simpl; [|reflexivity]. destruct (N.eqb_spec p j) as [->|_]; [|reflexivity].
    destruct (slots st !! j); reflexivity. }
  split.
  - apply (tree_after_leaf st _ slot fresh (parent e) l tree eq_refl eq_refl vacant); [| |exact found].
    + intros q named. apply (parents_exist st tree source). exists e. auto.
    + intros q x named present'. unfold l. rewrite named, present'.
      assert (in_list : In source (children x)) by (apply (children_listed st tree q x source present'); exists e; auto).
      assert (new_child : ~ In slot (children x)).
      { intros listed. apply (children_listed st tree q x slot present') in listed. destruct listed as (z & same & _). congruence. }
      split.
      * apply no_dup_replace; [exact (children_once st tree q x present')| |].
        -- constructor; [simpl; intros [same|[]]; congruence | repeat constructor; simpl; tauto].
        -- intros y [<-|[<-|[]]] listed; [reflexivity | contradiction].
      * intros y. unfold f. rewrite in_replace. simpl. split.
        -- intros [(listed & _)|(_ & [<-|[<-|[]]])]; auto.
        -- intros [listed| ->]; [|auto]. destruct (N.eq_dec y source) as [->|other]; [right; auto | left; auto].
  - intros o. rewrite references_of_count, (proj1 (slots_of_count c _)).
    change (references (put_entry slot fresh st1)) with (references st1). unfold st1 at 1. rewrite references_of_change_children.
    rewrite (counts o). change (slots (put_entry slot fresh st1)) with (set slot fresh (slots st1)).
    unfold count_of. rewrite sum_over_set_new.
    + unfold st1. rewrite slots_of_change_children.
      destruct (parent e); [rewrite sum_over_update_same_weight by reflexivity|]; unfold weight at 2; simpl; lia.
    + rewrite slots1, vacant. destruct (is_number (parent e) slot); reflexivity.
Qed.

Lemma remove_capability_right (slot : N) (st : State) : indices_are_right st -> indices_are_right (remove_capability slot st).
Proof.
  intros (tree & counts). unfold remove_capability.
  destruct (slots st !! slot) as [e|] eqn:present; [|split; assumption].
  fold (adopt (parent e) (children e) st). set (st1 := adopt (parent e) (children e) st).
  set (f := replace slot (children e)). set (st2 := change_children (parent e) f st1).
  assert (parent_differs : parent e <> Some slot).
  { intros own. destruct (no_cycles st tree) as (rank & cycles).
    assert (is_child st slot slot) as self by (exists e; auto). pose proof (cycles slot slot self). lia. }
  assert (found : forall j, slots st2 !! j =
            let found := if member j (children e) then option_map (with_parent (parent e)) (slots st !! j) else slots st !! j in
            if is_number (parent e) j then option_map (fun x => with_children (f (children x)) x) found else found).
  { intros j. unfold st2. rewrite slots_of_change_children. unfold st1.
    destruct (parent e) as [p|] eqn:named; simpl; [|rewrite slots_of_adopt; reflexivity].
    rewrite find_update, slots_of_adopt, (N.eqb_sym p j). destruct (j =? p); reflexivity. }
  assert (still : slots st2 !! slot = Some e).
  { rewrite found. cbn zeta.
    assert (member slot (children e) = false) as ->.
    { destruct (member slot (children e)) eqn:own; [|reflexivity]. apply member_spec in own.
      apply (children_listed st tree slot e slot present) in own. destruct own as (z & same & named). congruence. }
    destruct (is_number (parent e) slot) eqn:own; [|exact present].
    destruct (parent e) as [p|]; simpl in own; [|discriminate]. apply N.eqb_eq in own. congruence. }
  set (st3 := st2 <| slots := remove slot (slots st2) |>).
  assert (slots (discount_reference (capability e) st3) = remove slot (slots st2)) as slots3
      by (rewrite (proj2 (slots_of_count _ _)); reflexivity).
  split.
  - apply (tree_after_removal st _ slot e tree present). intros j. rewrite slots3, find_remove, found.
    destruct (j =? slot); reflexivity.
  - intros o. rewrite references_of_discount, slots3.
    assert (references st3 = references st) as ->.
    { change (references st3) with (references st2). unfold st2, st1.
      rewrite references_of_change_children. apply references_of_adopt. }
    rewrite (counts o).
    pose proof (sum_over_remove (weight o) slot e (slots st2) still) as total.
    assert (count_of o (slots st2) = count_of o (slots st)) as same.
    { unfold st2, st1. rewrite slots_of_change_children.
      destruct (parent e); [unfold count_of; rewrite sum_over_update_same_weight by reflexivity|]; apply count_of_adopt. }
    unfold count_of in *. unfold weight at 2 in total. lia.
Qed.

Lemma move_capability_right (from to : N) (st : State) : indices_are_right st -> indices_are_right (move_capability from to st).
Proof.
  intros (tree & counts). unfold move_capability.
  destruct (slots st !! from) as [e|] eqn:present; [|apply emit_right; split; assumption].
  destruct (is_empty to st) eqn:vacant; [|apply emit_right; split; assumption].
  apply is_empty_spec in vacant. assert (apart : from <> to) by congruence.
  fold (adopt (Some to) (children e) st). set (st1 := adopt (Some to) (children e) st).
  set (f := replace from [to]). set (st2 := change_children (parent e) f st1).
  assert (parent_differs : parent e <> Some from).
  { intros own. destruct (no_cycles st tree) as (rank & cycles).
    assert (is_child st from from) as self by (exists e; auto). pose proof (cycles from from self). lia. }
  assert (found : forall j, slots st2 !! j =
            let found := if member j (children e) then option_map (with_parent (Some to)) (slots st !! j) else slots st !! j in
            if is_number (parent e) j then option_map (fun x => with_children (f (children x)) x) found else found).
  { intros j. unfold st2. rewrite slots_of_change_children. unfold st1.
    destruct (parent e) as [p|]; simpl; [|rewrite slots_of_adopt; reflexivity].
    rewrite find_update, slots_of_adopt, (N.eqb_sym p j). destruct (j =? p); reflexivity. }
  assert (still : slots st2 !! from = Some e).
  { rewrite found. cbn zeta.
    assert (member from (children e) = false) as ->.
    { destruct (member from (children e)) eqn:own; [|reflexivity]. apply member_spec in own.
      apply (children_listed st tree from e from present) in own. destruct own as (z & same & named). congruence. }
    destruct (is_number (parent e) from) eqn:own; [|exact present].
    destruct (parent e) as [p|]; simpl in own; [|discriminate]. apply N.eqb_eq in own. congruence. }
  assert (still_vacant : slots st2 !! to = None).
  { rewrite found, vacant. cbn zeta. destruct (member to (children e)), (is_number (parent e) to); reflexivity. }
  split.
  - apply (tree_after_move st _ from to e tree present vacant). intros j.
    change (slots (st2 <| slots := set to e (remove from (slots st2)) |>)) with (set to e (remove from (slots st2))).
    rewrite find_set, find_remove, found. destruct (j =? to); [reflexivity|]. destruct (j =? from); reflexivity.
  - intros o.
    change (references (st2 <| slots := set to e (remove from (slots st2)) |>)) with (references st2).
    change (slots (st2 <| slots := set to e (remove from (slots st2)) |>)) with (set to e (remove from (slots st2))).
    unfold st2 at 1. rewrite references_of_change_children. unfold st1 at 1. rewrite references_of_adopt, (counts o).
    unfold count_of. rewrite sum_over_set_new.
    + rewrite <- (sum_over_remove (weight o) from e (slots st2) still).
      unfold st2, st1. rewrite slots_of_change_children. fold (count_of o (slots st)).
      destruct (parent e); [rewrite sum_over_update_same_weight by reflexivity|]; symmetry; apply count_of_adopt.
    + rewrite find_remove. destruct (N.eqb_spec to from); [congruence | exact still_vacant].
Qed.

Lemma replace_capability_right (slot : N) (e : Entry) (c : Capability) (st : State) :
  slots st !! slot = Some e -> indices_are_right st -> indices_are_right (replace_capability slot e c st).
Proof.
  intros present (tree & counts). unfold replace_capability.
  set (e' := e <| capability := c |>).
  set (st1 := discount_reference (capability e) st).
  assert (slots (count_reference c (put_entry slot e' st1)) = set slot e' (slots st)) as slots2.
  { rewrite (proj1 (slots_of_count _ _)). change (slots (put_entry slot e' st1)) with (set slot e' (slots st1)).
    unfold st1. rewrite (proj2 (slots_of_count _ _)). reflexivity. }
  split.
  - apply (tree_after_replacement st _ slot e e' tree present eq_refl eq_refl). intros j. rewrite slots2. apply find_set.
  - intros o. rewrite references_of_count, slots2.
    change (references (put_entry slot e' st1)) with (references st1). unfold st1. rewrite references_of_discount, (counts o).
    unfold count_of. pose proof (sum_over_set_old (weight o) slot e e' (slots st) present) as changed.
    pose proof (sum_over_remove (weight o) slot e (slots st) present) as total.
    unfold weight at 2 4 in changed. unfold weight at 2 in total. simpl in *. lia.
Qed.

Lemma insert_root_right (slot : N) (c : Capability) (st : State) : indices_are_right st -> indices_are_right (insert_root slot c st).
Proof.
  intros (tree & counts). unfold insert_root. destruct (is_empty slot st) eqn:vacant; [|apply emit_right; split; assumption].
  apply is_empty_spec in vacant. set (fresh := {| capability := c; original := true; parent := None; children := [] |}).
  assert (slots (count_reference c (put_entry slot fresh st)) = set slot fresh (slots st)) as found
      by (rewrite (proj1 (slots_of_count c _)); reflexivity).
  split.
  - apply (tree_after_leaf st _ slot fresh None [] tree eq_refl eq_refl vacant); [discriminate..|]. intros j. rewrite found. apply find_set.
  - intros o. rewrite references_of_count, found. change (references (put_entry slot fresh st)) with (references st).
    rewrite (counts o). unfold count_of. rewrite (sum_over_set_new _ _ _ _ vacant). unfold weight at 2. simpl. lia.
Qed.

Lemma nothing_yet_right (m : Machine) : indices_are_right (nothing_yet m).
Proof.
  assert (forall j, slots (nothing_yet m) !! j = None) as none by (intros j; apply find_empty).
  split.
  - constructor; unfold is_child; intros; try (rewrite none in *; discriminate).
    + destruct H as (e & found & _). rewrite none in found. discriminate.
    + exists (fun _ => O). intros c p (e & found & _). rewrite none in found. discriminate.
  - intros o. reflexivity.
Qed.
