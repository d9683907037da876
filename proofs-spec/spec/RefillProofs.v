(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Refills sum to the budget

    Charging moves amounts between refills, and what is unreturned, but neither makes nor loses any. *)
From Coq Require Import Lia.
From Spec Require Export StepProofs.
Open Scope N_scope.

Lemma total_app a b : total (a ++ b) = total a + total b.
Proof. induction a as [|r a IH]; [reflexivity|]. simpl. rewrite IH. lia. Qed.
Lemma total_last l d : l <> [] -> total (removelast l) + amount (last l d) = total l.
Proof.
  intros some. rewrite (app_removelast_last d some) at 3. rewrite total_app. simpl. lia.
Qed.
Lemma total_replaced l d r : l <> [] -> total (but_last l ++ [r]) + amount (last l d) = total l + amount r.
Proof. intros some. unfold but_last. rewrite total_app, <- (total_last l d some). simpl. lia. Qed.

(** What a context has, and that its limit stays. *)
Definition holdings (c : SchedContext) : N := total (refills c) + unreturned c.
Record keeps_limit (a b : SchedContext) : Prop := { same_budget : budget b = budget a; same_period : period b = period a }.
Definition holds (c : SchedContext) (n : N) (after : SchedContext) : Prop :=
  holdings after = holdings c + n /\ keeps_limit c after.

Lemma keeps_limit_trans a b c : keeps_limit a b -> keeps_limit b c -> keeps_limit a c.
Proof. intros [b1 p1] [b2 p2]. constructor; congruence. Qed.

Lemma give_back_holds smallest r c : holds c (amount r) (give_back smallest r c).
Proof.
  unfold give_back. cbv zeta. change (refills (c <| unreturned := 0 |>)) with (refills c).
  destruct (refills c) as [|first rest] eqn:l.
  - split; [|constructor; reflexivity]. unfold holdings. rewrite l. simpl. lia.
  - assert (first :: rest <> []) as some by discriminate. pose proof (fun x => total_replaced (first :: rest) first x some) as replaced.
    assert (total (refills c) = total (first :: rest)) as now by (rewrite l; reflexivity).
    destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; (split; [|constructor; reflexivity]);
      unfold holdings; cbn [refills unreturned set_field setter amount usable_at]; rewrite now.
    + match goal with |- context [but_last _ ++ [?x]] => specialize (replaced x) end.
      cbn [amount] in replaced. lia.
    + lia.
    + match goal with |- context [but_last _ ++ [?x]] => specialize (replaced x) end.
      cbn [amount] in replaced. lia.
    + rewrite total_app. simpl total. lia.
Qed.

(** ** Charging *)
Lemma mend_first_holds smallest c : holds c 0 (mend_first smallest c).
Proof.
  unfold mend_first. destruct (refills c) as [|first rest] eqn:l; [split; [lia | constructor; reflexivity]|].
  destruct (smallest <=? amount first); [split; [lia | constructor; reflexivity]|].
  destruct rest as [|second others]; (split; [|constructor; reflexivity]); unfold holdings; rewrite l; simpl; lia.
Qed.

Definition turn_holds (c : SchedContext) (t : Turn_of_loop (SchedContext * N)) : Prop :=
  match t with Again (after, _) | Finished (after, _) => holds c 0 after end.
Lemma holds_trans a b c : holds a 0 b -> holds b 0 c -> holds a 0 c.
Proof. intros (sum1 & limit1) (sum2 & limit2). split; [lia | exact (keeps_limit_trans a b c limit1 limit2)]. Qed.
Lemma gives_back smallest r c before :
  keeps_limit before c -> holdings c + amount r = holdings before -> holds before 0 (give_back smallest r c).
Proof.
  intros limit sum. destruct (give_back_holds smallest r c) as (sum' & limit').
  split; [lia | exact (keeps_limit_trans before c _ limit limit')].
Qed.
Lemma charge_step_holds smallest c used : turn_holds c (charge_step smallest (c, used)).
Proof.
  unfold charge_step, turn_holds. destruct (refills c) as [|first rest] eqn:l; [split; [lia | constructor; reflexivity]|]. cbv zeta.
  destruct (N.leb_spec (amount first) used) as [whole|part].
  - destruct rest as [|second others].
    + split; [|constructor; reflexivity]. unfold holdings. rewrite l. simpl. lia.
    + apply gives_back; [constructor; reflexivity|]. unfold holdings. rewrite l. simpl. lia.
  - destruct (used =? 0); [split; [lia | constructor; reflexivity]|].
    apply gives_back; [constructor; reflexivity|]. unfold holdings. rewrite l. simpl. lia.
Qed.

Lemma repeat_holds smallest c used : turn_holds c (repeat_until (charge_step smallest) (c, used)).
Proof.
  unfold repeat_until. generalize 40%nat as n. intros n. revert c used. induction n as [|n IH]; intros c used.
  - apply charge_step_holds.
  - simpl. pose proof (IH c used) as once. destruct (repeat_bounded n _ (c, used)) as [(after & left)|(after & left)]; [|exact once].
    pose proof (IH after left) as twice. destruct (repeat_bounded n _ (after, left)) as [(last_ & ?)|(last_ & ?)];
      exact (holds_trans c after last_ once twice).
Qed.

(** ** Contexts *)
Lemma right_of_holdings c : (budget c =? period c) = false -> refills_are_right c <-> (refills c = [] \/ holdings c = budget c).
Proof.
  intros limited. unfold refills_are_right, holdings. rewrite limited. destruct (refills c) as [|first rest].
  - tauto.
  - split; [right; assumption | intros [none|sum]; [discriminate | exact sum]].
Qed.


Lemma right_new n : refills_are_right (new_sched_context n).
Proof. exact I. Qed.

Lemma right_same a b :
  refills b = refills a -> budget b = budget a -> period b = period a -> unreturned b = unreturned a ->
  refills_are_right a -> refills_are_right b.
Proof. unfold refills_are_right. intros -> -> -> -> right. exact right. Qed.

Lemma nothing_to_charge smallest c used n :
  refills c = [] -> repeat_bounded n (charge_step smallest) (c, used) = Finished (c, 0).
Proof.
  intros none. induction n as [|n IH]; simpl; [unfold charge_step; rewrite none; reflexivity | rewrite IH; reflexivity].
Qed.

Lemma right_charge used smallest c : refills_are_right c -> refills_are_right (charge used smallest c).
Proof.
  intros right. unfold charge, is_round_robin, configured. destruct (refills c) as [|first rest] eqn:l.
  - simpl. unfold repeat_until. rewrite (nothing_to_charge smallest c used 40 l). unfold mend_first. rewrite l. exact right.
  - simpl. destruct (budget c =? period c) eqn:limited.
    + unfold refills_are_right in *. rewrite l, limited in right. destruct right as (_ & most).
      change (budget (c <| refills := ?x |>)) with (budget c). cbv zeta.
      match goal with |- context [c <| refills := [?r] |>] => change (refills (c <| refills := [r] |>)) with [r];
        change (budget (c <| refills := [r] |>)) with (budget c); change (period (c <| refills := [r] |>)) with (period c) end.
      rewrite limited. split; [reflexivity|]. cbn [amount]. destruct (used + smallest <=? amount first); lia.
    + assert (holdings c = budget c) as sum by (unfold refills_are_right in right; rewrite l, limited in right; unfold holdings; rewrite l; exact right).
      assert (forall after, turn_holds c (Finished (after, 0)) -> refills_are_right (mend_first smallest after)) as mended.
      { intros after once. destruct (holds_trans c after _ once (mend_first_holds smallest after)) as (sum' & [budget' period']).
        apply right_of_holdings; [rewrite budget', period'; exact limited|]. right. lia. }
      pose proof (repeat_holds smallest c used) as held. destruct (repeat_until _ _) as [(after & ?)|(after & ?)]; exact (mended after held).
Qed.

Lemma joined_total count time first rest :
  total (join_touching count time first rest) = amount first + total rest /\ join_touching count time first rest <> [].
Proof.
  revert first rest. induction count as [|count IH]; intros first rest; [split; [reflexivity | discriminate]|].
  destruct rest as [|second others]; [split; [reflexivity | discriminate]|]. simpl.
  destruct (usable_at second <=? end_of first); [|split; [reflexivity | discriminate]].
  destruct (IH {| usable_at := time; amount := amount first + amount second |} others) as (sum & some).
  split; [rewrite sum; simpl; lia | exact some].
Qed.

Lemma right_begin_use time c : refills_are_right c -> refills_are_right (begin_use time c).
Proof.
  intros right. unfold begin_use, is_round_robin, configured. destruct (refills c) as [|first rest] eqn:l; [exact right|]. simpl.
  destruct (budget c =? period c) eqn:limited; [exact right|]. simpl. destruct (time <? usable_at first); [exact right|].
  apply right_of_holdings; [exact limited|]. right. unfold refills_are_right in right. rewrite l, limited in right.
  destruct (joined_total most_joined time {| usable_at := time; amount := amount first |} rest) as (sum & _).
  unfold holdings. transitivity (total (join_touching most_joined time {| usable_at := time; amount := amount first |} rest) + unreturned c);
    [reflexivity|]. rewrite sum. exact right.
Qed.

Lemma right_configure core b p extra badge flags st c : refills_are_right (configure_context core b p extra badge flags st c).
Proof.
  unfold configure_context. cbv zeta. generalize (if b =? p then ticks_down b st else ticks_up p st). generalize (ticks_down b st).
  intros new_budget new_period. unfold refills_are_right.
  match goal with |- match refills ?x with _ => _ end =>
    change (refills x) with (configured_refills c new_budget new_period (smallest_budget st) (now st));
    change (budget x) with new_budget; change (period x) with new_period; change (unreturned x) with 0 end.
  unfold configured_refills. destruct (refills c) as [|first rest].
  { destruct (new_budget =? new_period); [split; [reflexivity | simpl; lia] | simpl; lia]. }
  destruct (context_thread c); [|destruct (new_budget =? new_period); [split; [reflexivity | simpl; lia] | simpl; lia]].
  cbv zeta. destruct (new_budget =? new_period) eqn:limited.
  - split; [reflexivity|]. cbn [amount]. destruct (N.min (amount first) new_budget <? smallest_budget st); lia.
  - destruct (N.eqb_spec (new_budget - N.min (amount first) new_budget) 0); [simpl; lia|].
    destruct (_ || _); simpl; lia.
Qed.

(** ** Every step *)
Definition all_right (st : State) : Prop := forall o c, objects st !! o = Some (SchedContextObject c) -> refills_are_right c.
Lemma right_of_same a b : objects b = objects a -> all_right a -> all_right b.
Proof. intros same right o c. rewrite same. apply right. Qed.

Lemma same_children slot f st : objects (change_children slot f st) = objects st.
Proof. destruct slot; reflexivity. Qed.
Lemma same_count c st : objects (count_reference c st) = objects st.
Proof. unfold count_reference. destruct (referent c); reflexivity. Qed.
Lemma same_discount c st : objects (discount_reference c st) = objects st.
Proof. unfold discount_reference. destruct (referent c); [|reflexivity]. cbv zeta. reflexivity. Qed.
Lemma same_entries f l st : objects (fold_left (fun st child => change_entry child f st) l st) = objects st.
Proof. revert st. induction l as [|child l IH]; intros st; [reflexivity|]. simpl. rewrite IH. reflexivity. Qed.

Theorem refills_sum_to_budget_proved : refills_sum_to_budget.
Proof.
  intros p st o c reached. revert o c. change (all_right st). revert p st reached.
  refine (reachable_keeps all_right refills_are_right _ _ _ _ _ _ _ _ _ _ _ right_same right_new right_charge right_begin_use right_configure).
  - intros a b _ _ same. exact (right_of_same a b same).
  - intros slot parent_ is_original cap_ st. apply right_of_same. unfold insert_child.
    destruct (_ && _); [|reflexivity]. rewrite same_count. exact (same_children (Some parent_) (cons slot) st).
  - intros slot source_ is_original cap_ st. apply right_of_same. unfold insert_sibling.
    destruct (is_empty slot st), (slots st !! source_) as [e|]; try reflexivity. rewrite same_count.
    exact (same_children (parent e) (replace source_ [source_; slot]) st).
  - intros slot st. apply right_of_same. unfold remove_capability. destruct (slots st !! slot) as [e|]; [|reflexivity]. cbv zeta.
    rewrite same_discount. etransitivity; [apply same_children | apply same_entries].
  - intros from to st. apply right_of_same. unfold move_capability. destruct (slots st !! from) as [e|], (is_empty to st); try reflexivity.
    cbv zeta. etransitivity; [apply same_children | apply same_entries].
  - intros slot cap_ st. apply right_of_same. unfold change_capability. destruct (slots st !! slot) as [e|]; [|reflexivity].
    rewrite same_count. exact (same_discount (capability e) st).
  - intros slot cap_ st. apply right_of_same. unfold insert_root. destruct (is_empty slot st); [|reflexivity]. rewrite same_count. reflexivity.
  - intros m o c found. change (objects (nothing_yet m)) with (@empty Object) in found. rewrite find_empty in found. discriminate.
  - intros o x st fits right o' c. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
    destruct (o' =? o); [intros is_x; injection is_x as ->; exact fits | apply right].
  - intros o st right o' c. change (objects (remove_object o st)) with (remove o (objects st)). rewrite find_remove.
    destruct (o' =? o); [discriminate | apply right].
  - intros o c st right found. exact (right o c found).
Qed.
