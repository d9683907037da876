(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Facts about tables

    What the proofs need to know of tables: what is found after an entry was set, removed or updated, what [entries] lists, and how
    sums over all entries change. *)
From Coq Require Import FMapFacts OrderedTypeEx Lia Morphisms Sorted.
From Spec Require Export Prelude.
Module MapFacts := WFacts_fun N_as_OT Map.
Module MapProperties := WProperties_fun N_as_OT Map.

Lemma find_empty {A} (k : N) : (@empty A) !! k = None.
Proof. apply MapFacts.empty_o. Qed.

Lemma find_set {A} (k j : N) (v : A) (t : Table A) : set k v t !! j = if j =? k then Some v else t !! j.
Proof.
  unfold set, find. destruct (N.eqb_spec j k) as [->|different].
  - apply MapFacts.add_eq_o. reflexivity.
  - apply MapFacts.add_neq_o. congruence.
Qed.

Lemma find_remove {A} (k j : N) (t : Table A) : remove k t !! j = if j =? k then None else t !! j.
Proof.
  unfold remove, find. destruct (N.eqb_spec j k) as [->|different].
  - apply MapFacts.remove_eq_o. reflexivity.
  - apply MapFacts.remove_neq_o. congruence.
Qed.

Lemma find_update {A} (k j : N) (f : A -> A) (t : Table A) :
  update k f t !! j = if j =? k then option_map f (t !! j) else t !! j.
Proof.
  unfold update. destruct (N.eqb_spec j k) as [->|different].
  - destruct (t !! k) eqn:found; simpl; [rewrite find_set, N.eqb_refl; reflexivity | exact found].
  - destruct (t !! k); [rewrite find_set; destruct (N.eqb_spec j k); congruence | reflexivity].
Qed.

Lemma in_entries {A} (k : N) (v : A) (t : Table A) : In (k, v) (entries t) <-> t !! k = Some v.
Proof.
  unfold entries, find. rewrite <- MapFacts.find_mapsto_iff, MapFacts.elements_mapsto_iff, InA_alt. split.
  - intros listed. exists (k, v). split; [split; reflexivity | assumption].
  - intros ((k', v') & (same_key & same_value) & listed). simpl in *. subst. assumption.
Qed.

(** [last_below] goes down the tree; it finds the last of the entries whose keys are smaller. *)
Lemma last_of_app {A} (l r : list A) (d : A) : r <> [] -> last (l ++ r) d = last r d.
Proof.
  intros some. induction l as [|a l IH]; [reflexivity|]. simpl. rewrite IH.
  destruct (l ++ r) eqn:nothing; [|reflexivity]. apply app_eq_nil in nothing. destruct nothing. contradiction.
Qed.
Definition last_option {A} (l : list A) : option A := match l with [] => None | a :: _ => Some (last l a) end.
Lemma last_option_app {A} (l r : list A) : last_option (l ++ r) = match last_option r with Some a => Some a | None => last_option l end.
Proof.
  destruct r as [|b r]; [rewrite app_nil_r; reflexivity|]. destruct l as [|a l]; [reflexivity|].
  change (Some (last ((a :: l) ++ b :: r) a) = Some (last (b :: r) b)). rewrite last_of_app by discriminate.
  f_equal. clear l. induction r as [|c r IH]; [reflexivity|]. simpl in *. destruct r; [reflexivity | exact IH].
Qed.
Lemma filter_all {A} (f : A -> bool) (l : list A) : (forall a, In a l -> f a = true) -> filter f l = l.
Proof. induction l as [|a l IH]; intros kept; [reflexivity|]. simpl. rewrite (kept a (or_introl eq_refl)), IH; [reflexivity|]. firstorder. Qed.
Lemma filter_none {A} (f : A -> bool) (l : list A) : (forall a, In a l -> f a = false) -> filter f l = [].
Proof. induction l as [|a l IH]; intros dropped; [reflexivity|]. simpl. rewrite (dropped a (or_introl eq_refl)). apply IH. firstorder. Qed.

Lemma in_elements {A} (e : N * A) (tree : Map.Raw.tree A) : Map.Raw.bst tree -> In e (Map.Raw.elements tree) -> Map.Raw.In (fst e) tree.
Proof.
  intros sorted listed. rewrite <- Map.Raw.Proofs.elements_in. exists (snd e). apply InA_alt. exists e.
  split; [destruct e; split; reflexivity | exact listed].
Qed.
Lemma last_below_in_spec {A} (bound : N) (tree : Map.Raw.tree A) :
  Map.Raw.bst tree -> last_below_in bound tree = last_option (filter (fun e => fst e <? bound) (Map.Raw.elements tree)).
Proof.
  induction 1 as [|key value smaller larger height sorted1 IH1 sorted2 IH2 below above]; [reflexivity|].
  assert (Map.Raw.elements (Map.Raw.Node smaller key value larger height)
          = Map.Raw.elements smaller ++ (key, value) :: Map.Raw.elements larger) as ->.
  { unfold Map.Raw.elements at 1. simpl. rewrite Map.Raw.Proofs.elements_app. reflexivity. }
  rewrite filter_app, last_option_app. cbn [filter fst last_below_in]. destruct (N.ltb_spec key bound) as [less|not_less].
  - change ((key, value) :: filter (fun e => fst e <? bound) (Map.Raw.elements larger))
      with ([(key, value)] ++ filter (fun e => fst e <? bound) (Map.Raw.elements larger)).
    rewrite last_option_app, IH2.
    destruct (last_option (filter (fun e => fst e <? bound) (Map.Raw.elements larger))); reflexivity.
  - rewrite (filter_none _ (Map.Raw.elements larger)); [exact IH1|]. intros e listed.
    pose proof (above (fst e) (in_elements e larger sorted2 listed)) as more. change (key < fst e) in more.
    apply N.ltb_ge, N.lt_le_incl. exact (N.le_lt_trans _ _ _ not_less more).
Qed.
Lemma last_below_plain {A} (bound : N) (t : Table A) : last_below bound t = last_option (filter (fun e => fst e <? bound) (entries t)).
Proof. apply last_below_in_spec. apply Map.is_bst. Qed.

Lemma last_option_in {A : Type} (l : list A) (a : A) : last_option l = Some a -> In a l.
Proof.
  destruct l as [|b l]; [discriminate|]. intros same. change (Some (last (b :: l) b) = Some a) in same.
  apply (f_equal (fun o => match o with Some x => x | None => a end)) in same. rewrite <- same. clear same.
  generalize b at 2. revert b. induction l as [|c l IH]; intros b d; [left; reflexivity | right; apply (IH c)].
Qed.
Lemma last_below_found {A} (bound k : N) (v : A) (t : Table A) : last_below bound t = Some (k, v) -> k < bound /\ t !! k = Some v.
Proof.
  rewrite last_below_plain. intros found. apply last_option_in, filter_In in found. destruct found as (listed & less).
  split; [apply N.ltb_lt; exact less | apply in_entries; exact listed].
Qed.

(** Of the entries that are looked at the last is the one with the largest key. *)
Definition before {A} (a b : N * A) : Prop := fst a < fst b.
Lemma entries_sorted {A} (t : Table A) : StronglySorted before (entries t).
Proof. apply Sorted_StronglySorted; [intros x y z; apply N.lt_trans | exact (Map.elements_3 t)]. Qed.
Lemma last_is_largest {A} (f : N * A -> bool) l k v : StronglySorted before l -> In (k, v) (filter f l) ->
  exists k' v', last_option (filter f l) = Some (k', v') /\ k <= k'.
Proof.
  induction 1 as [|a l _ IH first]; [contradiction|]. cbn [filter].
  assert (In (k, v) (filter f l) -> exists k' v', last_option (filter f l) = Some (k', v') /\ k <= k') as later by exact IH. clear IH.
  destruct (f a); [|exact later]. change (a :: filter f l) with ([a] ++ filter f l). rewrite last_option_app. intros [->|listed].
  - destruct (last_option (filter f l)) as [(k' & v')|] eqn:found.
    + exists k', v'. split; [reflexivity|]. apply last_option_in, filter_In in found. rewrite Forall_forall in first.
      pose proof (first _ (proj1 found)) as less. unfold before in less. cbn [fst] in less. lia.
    + exists k, v. split; [reflexivity | lia].
  - destruct (later listed) as (k' & v' & -> & less). exists k', v'. split; [reflexivity | exact less].
Qed.

(** ** Sums over the entries of a table *)
Section Sums.
Context {A : Type} (weight : A -> N).
Let add_weight := fun (_ : N) (v : A) (sum : N) => weight v + sum.

Local Instance add_weight_proper : Proper (eq ==> eq ==> eq ==> eq) add_weight.
Proof. intros ? ? -> ? ? -> ? ? ->. reflexivity. Qed.

Lemma add_weight_transposes : MapProperties.transpose_neqkey eq add_weight.
Proof. intros k k' v v' sum _. unfold add_weight. lia. Qed.

Lemma sum_over_same (s t : Table A) : (forall k, s !! k = t !! k) -> sum_over weight s = sum_over weight t.
Proof.
  intros same. unfold sum_over.
  apply (MapProperties.fold_Equal (eqA := eq) _ add_weight_proper add_weight_transposes). exact same.
Qed.

Lemma sum_over_set_new (k : N) (v : A) (t : Table A) : t !! k = None -> sum_over weight (set k v t) = weight v + sum_over weight t.
Proof.
  intros absent. unfold sum_over, set.
  rewrite (MapProperties.fold_add (eqA := eq) _ add_weight_proper add_weight_transposes).
  - reflexivity.
  - apply MapFacts.not_find_in_iff. exact absent.
Qed.

Lemma sum_over_remove (k : N) (v : A) (t : Table A) : t !! k = Some v -> sum_over weight t = weight v + sum_over weight (remove k t).
Proof.
  intros present. rewrite <- (sum_over_set_new k v (remove k t)); [|rewrite find_remove, N.eqb_refl; reflexivity].
  apply sum_over_same. intros j. rewrite find_set, find_remove. destruct (N.eqb_spec j k); congruence.
Qed.

Lemma sum_over_set_old (k : N) (v v' : A) (t : Table A) :
  t !! k = Some v -> sum_over weight (set k v' t) + weight v = sum_over weight t + weight v'.
Proof.
  intros present. rewrite (sum_over_remove k v t present).
  assert (same : sum_over weight (set k v' t) = sum_over weight (set k v' (remove k t))).
  { apply sum_over_same. intros j. rewrite !find_set, find_remove. destruct (N.eqb_spec j k); reflexivity. }
  rewrite same, sum_over_set_new; [lia | rewrite find_remove, N.eqb_refl; reflexivity].
Qed.

Lemma sum_over_update_same_weight (k : N) (f : A -> A) (t : Table A) :
  (forall v, weight (f v) = weight v) -> sum_over weight (update k f t) = sum_over weight t.
Proof.
  intros same. unfold update. destruct (t !! k) as [v|] eqn:present; [|reflexivity].
  pose proof (sum_over_set_old k v (f v) t present) as changed. rewrite same in changed. lia.
Qed.

Lemma sum_over_some (t : Table A) : sum_over weight t <> 0 -> exists k v, t !! k = Some v /\ weight v <> 0.
Proof.
  unfold sum_over. rewrite Map.fold_1.
  assert (forall (l : list (N * A)) (sum : N), fold_left (fun a p => add_weight (fst p) (snd p) a) l sum <> 0 ->
    sum <> 0 \/ exists k v, In (k, v) l /\ weight v <> 0) as each.
  { induction l as [|(k & v) l IH]; intros sum some; [left; exact some|]. destruct (IH _ some) as [more|(k' & v' & listed & more)].
    - cbn [fst snd] in more. unfold add_weight in more.
      destruct (N.eq_dec (weight v) 0); [left; lia | right; exists k, v; split; [left; reflexivity | assumption]].
    - right. exists k', v'. split; [right|]; assumption. }
  intros some. destruct (each _ 0 some) as [none|(k & v & listed & more)]; [contradiction|].
  exists k, v. split; [apply in_entries; exact listed | exact more].
Qed.

Lemma sum_over_empty : sum_over weight empty = 0.
Proof. reflexivity. Qed.
End Sums.
