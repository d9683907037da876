(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Refills sum to the budget, and stay in order

    Charging moves amounts between refills, and what is unreturned, but neither makes nor loses any. *)
From Coq Require Import Lia.
From Spec Require Export QueueProofs.
Open Scope N_scope.

Lemma total_app a b : total (a ++ b) = total a + total b.
Proof. induction a as [|r a IH]; [reflexivity|]. simpl. rewrite IH. lia. Qed.
Lemma total_last l d : l <> [] -> total (removelast l) + amount (last l d) = total l.
Proof.
  intros some. rewrite (app_removelast_last d some) at 3. rewrite total_app. simpl. lia.
Qed.
Lemma total_replaced l d r : l <> [] -> total (removelast l ++ [r]) + amount (last l d) = total l + amount r.
Proof. intros some. rewrite total_app, <- (total_last l d some). simpl. lia. Qed.

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
    + match goal with |- context [removelast _ ++ [?x]] => specialize (replaced x) end.
      cbn [amount] in replaced. lia.
    + lia.
    + match goal with |- context [removelast _ ++ [?x]] => specialize (replaced x) end.
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

Definition turn_holds (c : SchedContext) (t : Turn_of_loop (SchedContext * N) SchedContext) : Prop :=
  match t with Again (after, _) | Finished after => holds c 0 after end.
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
  destruct (_ || _); [split; [lia | constructor; reflexivity]|]. destruct (N.leb_spec (amount first) used) as [whole|part].
  - destruct rest as [|second others].
    + split; [|constructor; reflexivity]. unfold holdings. rewrite l. simpl. lia.
    + apply gives_back; [constructor; reflexivity|]. unfold holdings. rewrite l. simpl. lia.
  - apply gives_back; [constructor; reflexivity|]. unfold holdings. rewrite l. simpl. lia.
Qed.

Lemma repeat_holds smallest c used n : turn_holds c (repeat_after n (charge_step smallest) (c, used)).
Proof.
  pose proof (repeat_keeps (charge_step smallest) (fun x => holds c 0 (fst x)) (holds c 0)) as kept.
  assert (forall x, holds c 0 (fst x) ->
    match charge_step smallest x with Again a => holds c 0 (fst a) | Finished b => holds c 0 b end) as each.
  { intros (c' & used') held. pose proof (charge_step_holds smallest c' used') as once. unfold turn_holds in once.
    destruct (charge_step smallest (c', used')) as [(after & ?)|after]; exact (holds_trans c c' after held once). }
  assert (holds c 0 c) as start by (split; [lia | constructor; reflexivity]). specialize (kept each n (c, used) start). unfold turn_holds.
  destruct (repeat_after n _ _) as [(after & ?)|after]; exact kept.
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

Lemma nothing_to_charge smallest c used n : refills c = [] -> repeat_after n (charge_step smallest) (c, used) = Finished c.
Proof.
  intros none. unfold repeat_after. induction (N.to_nat (N.size n)) as [|k IH]; simpl; [unfold charge_step; rewrite none; reflexivity|].
  rewrite IH. reflexivity.
Qed.

Lemma right_charge used smallest c : refills_are_right c -> refills_are_right (charge used smallest c).
Proof.
  intros right. unfold charge, is_round_robin, configured. destruct (refills c) as [|first rest] eqn:l.
  - simpl. rewrite (nothing_to_charge smallest c used used l). unfold mend_first. rewrite l. exact right.
  - simpl. destruct (budget c =? period c) eqn:limited.
    + unfold refills_are_right in *. rewrite l, limited in right. destruct right as (_ & most).
      change (budget (c <| refills := ?x |>)) with (budget c). cbv zeta.
      match goal with |- context [c <| refills := [?r] |>] => change (refills (c <| refills := [r] |>)) with [r];
        change (budget (c <| refills := [r] |>)) with (budget c); change (period (c <| refills := [r] |>)) with (period c) end.
      rewrite limited. split; [reflexivity|]. cbn [amount]. destruct (used + smallest <=? amount first); lia.
    + assert (holdings c = budget c) as sum by (unfold refills_are_right in right; rewrite l, limited in right; unfold holdings; rewrite l; exact right).
      assert (forall after, turn_holds c (Finished after) -> refills_are_right (mend_first smallest after)) as mended.
      { intros after once. destruct (holds_trans c after _ once (mend_first_holds smallest after)) as (sum' & [budget' period']).
        apply right_of_holdings; [rewrite budget', period'; exact limited|]. right. lia. }
      pose proof (repeat_holds smallest c used used) as held. destruct (repeat_after _ _ _) as [(after & ?)|after]; exact (mended after held).
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

(** ** Order

    A refill that comes back stands behind the others, and one that begins late is the first. *)
Lemma sorted_behind l x :
  StronglySorted not_after l -> (forall d, l <> [] -> usable_at (last l d) <= usable_at x) -> StronglySorted not_after (l ++ [x]).
Proof.
  induction l as [|a l IH]; intros sorted after; [repeat constructor|].
  apply StronglySorted_inv in sorted. destruct sorted as (sorted & before). simpl. constructor.
  - apply IH; [exact sorted|]. intros d some. specialize (after d ltac:(discriminate)). destruct l; [contradiction | exact after].
  - apply Forall_app. split; [exact before|]. repeat constructor. unfold not_after.
    destruct l as [|b l]; [exact (after a ltac:(discriminate))|].
    specialize (after a ltac:(discriminate)). change (last (a :: b :: l) a) with (last (b :: l) a) in after.
    rewrite Forall_forall in before. assert (In (last (b :: l) a) (b :: l)) as listed.
    { clear. revert b. induction l as [|c l IH]; intros b; [left; reflexivity | right; apply IH]. }
    specialize (before _ listed). unfold not_after in before. lia.
Qed.
Lemma sorted_front l : StronglySorted not_after l -> StronglySorted not_after (removelast l).
Proof.
  induction l as [|a l IH]; intros sorted; [constructor|]. apply StronglySorted_inv in sorted. destruct sorted as (sorted & before).
  destruct l as [|b l]; [constructor|]. change (removelast (a :: b :: l)) with (a :: removelast (b :: l)). constructor; [exact (IH sorted)|].
  apply Forall_forall. intros x listed. rewrite Forall_forall in before. apply before.
  rewrite (app_removelast_last (l := b :: l) b) by discriminate. apply in_or_app. left. exact listed.
Qed.
Lemma sorted_replaced l d x :
  StronglySorted not_after l -> l <> [] -> usable_at (last l d) <= usable_at x -> StronglySorted not_after (removelast l ++ [x]).
Proof.
  intros sorted some after. apply sorted_behind; [exact (sorted_front l sorted)|]. intros e more.
  assert (StronglySorted not_after (removelast l ++ [last l d])) as whole by (rewrite <- (app_removelast_last d some); exact sorted).
  clear sorted. revert whole more. generalize (removelast l). intros front whole more.
  induction front as [|a front IH]; [contradiction|]. simpl in whole. apply StronglySorted_inv in whole. destruct whole as (whole & before).
  destruct front as [|b front]; [|apply (IH whole); discriminate].
  apply Forall_app in before. destruct before as (_ & before). inversion_clear before. unfold not_after in *. simpl. lia.
Qed.

Lemma last_of_more (first second : Refill) others d : last (first :: second :: others) d = last (second :: others) d.
Proof. reflexivity. Qed.
Lemma length_replaced (l : list Refill) x : l <> [] -> length (removelast l ++ [x]) = length l.
Proof. intros some. rewrite (app_removelast_last x some) at 2. rewrite !app_length. reflexivity. Qed.

Lemma give_back_in_order smallest r c : refills_in_order c -> refills_in_order (give_back smallest r c).
Proof.
  intros (sorted & few). unfold give_back. cbv zeta. change (refills (c <| unreturned := 0 |>)) with (refills c).
  change (extra_refills (c <| unreturned := 0 |>)) with (extra_refills c).
  destruct (refills c) as [|first rest] eqn:l.
  { split; [constructor|]. simpl. lia. }
  set (d := last (first :: rest) first). set (p := {| usable_at := usable_at r; amount := amount r + unreturned c |}).
  assert (forall x, usable_at d <= usable_at x ->
    refills_in_order (c <| unreturned := 0 |> <| refills := removelast (first :: rest) ++ [x] |>)) as replaced.
  { intros x after. unfold refills_in_order. cbn [refills extra_refills set_field setter]. split.
    - destruct rest as [|second others]; [constructor|]. change (removelast (first :: second :: others)) with (first :: removelast (second :: others)).
      cbn [app tl]. apply (sorted_replaced (second :: others) first); [exact sorted | discriminate | exact after].
    - rewrite length_replaced by discriminate. exact few. }
  destruct (N.leb_spec (usable_at p) (end_of d)) as [touches|apart]; [apply replaced; cbn [usable_at]; lia|].
  destruct (amount p <? smallest); [unfold refills_in_order; cbn [refills extra_refills set_field setter]; rewrite l; split; assumption|].
  unfold end_of in apart. destruct (N.eqb_spec (N.of_nat (length (first :: rest))) (extra_refills c + 2)) as [full|room].
  - apply replaced. cbn [usable_at]. lia.
  - unfold refills_in_order. cbn [refills extra_refills set_field setter]. split.
    + cbn [app tl]. apply sorted_behind; [exact sorted|]. intros e some. destruct rest as [|second others]; [contradiction|].
      assert (last (second :: others) e = d) as -> by (unfold d; rewrite last_of_more; apply (f_equal (fun x => x)); clear; revert second;
        induction others as [|third others IH]; intros second; [reflexivity | exact (IH third)]). lia.
    + rewrite app_length. cbn [length] in *. lia.
Qed.

Lemma in_order_less c first rest first' c' :
  refills c = first :: rest -> refills_in_order c -> refills c' = first' :: rest -> extra_refills c' = extra_refills c -> refills_in_order c'.
Proof. unfold refills_in_order. intros -> (sorted & few) -> ->. split; assumption. Qed.
Lemma in_order_fewer c first second rest first' c' :
  refills c = first :: second :: rest -> refills_in_order c -> refills c' = first' :: rest -> extra_refills c' = extra_refills c -> refills_in_order c'.
Proof.
  unfold refills_in_order. intros -> (sorted & few) -> ->. cbn [tl length] in *. apply StronglySorted_inv in sorted. split; [apply sorted | lia].
Qed.
Lemma in_order_one c r : refills c = [r] -> refills_in_order c.
Proof. unfold refills_in_order. intros ->. split; [constructor | simpl; lia]. Qed.
Lemma in_order_none c : refills c = [] -> refills_in_order c.
Proof. unfold refills_in_order. intros ->. split; [constructor | simpl; lia]. Qed.

Lemma mend_first_in_order smallest c : refills_in_order c -> refills_in_order (mend_first smallest c).
Proof.
  intros ok. unfold mend_first. destruct (refills c) as [|first [|second others]] eqn:l; [exact ok| |].
  - destruct (_ <=? _); [exact ok|]. eapply in_order_one. reflexivity.
  - destruct (_ <=? _); [exact ok|]. eapply (in_order_fewer c first second others); [exact l | exact ok | reflexivity | reflexivity].
Qed.
Definition turn_in_order (t : Turn_of_loop (SchedContext * N) SchedContext) : Prop :=
  match t with Again (c, _) | Finished c => refills_in_order c end.
Lemma charge_step_in_order smallest c used : refills_in_order c -> turn_in_order (charge_step smallest (c, used)).
Proof.
  intros ok. unfold charge_step, turn_in_order. destruct (refills c) as [|first rest] eqn:l; [exact ok|]. cbv zeta.
  destruct (_ || _); [exact ok|]. destruct (amount first <=? used).
  - destruct rest as [|second others]; [eapply in_order_one; reflexivity|].
    apply give_back_in_order. eapply (in_order_fewer c first second others); [exact l | exact ok | reflexivity | reflexivity].
  - apply give_back_in_order.
    eapply (in_order_less c first rest); [exact l | exact ok | reflexivity | reflexivity].
Qed.
Lemma repeat_in_order smallest n c used : refills_in_order c -> turn_in_order (repeat_after n (charge_step smallest) (c, used)).
Proof.
  intros ok. pose proof (repeat_keeps (charge_step smallest) (fun x => refills_in_order (fst x)) refills_in_order) as kept.
  assert (forall x, refills_in_order (fst x) ->
    match charge_step smallest x with Again a => refills_in_order (fst a) | Finished b => refills_in_order b end) as each.
  { intros (c' & used') ok'. pose proof (charge_step_in_order smallest c' used' ok') as once. unfold turn_in_order in once.
    destruct (charge_step smallest (c', used')) as [(after & ?)|after]; exact once. }
  specialize (kept each n (c, used) ok). unfold turn_in_order. destruct (repeat_after n _ _) as [(after & ?)|after]; exact kept.
Qed.
Lemma charge_in_order used smallest c : refills_in_order c -> refills_in_order (charge used smallest c).
Proof.
  intros ok. unfold charge. destruct (is_round_robin c).
  - destruct (refills c) as [|first rest]; [exact ok|]. eapply in_order_one. reflexivity.
  - pose proof (repeat_in_order smallest used c used ok) as looped.
    destruct (repeat_after used _ _) as [(after & ?)|after]; exact (mend_first_in_order smallest after looped).
Qed.
Lemma join_in_order count time first rest :
  StronglySorted not_after rest ->
  StronglySorted not_after (tl (join_touching count time first rest)) /\ (length (join_touching count time first rest) <= S (length rest))%nat.
Proof.
  revert first rest. induction count as [|count IH]; intros first rest sorted; [split; [exact sorted | simpl; lia]|].
  destruct rest as [|second others]; [split; [exact sorted | simpl; lia]|]. cbn [join_touching].
  destruct (_ <=? _); [|split; [exact sorted | simpl; lia]]. apply StronglySorted_inv in sorted. destruct sorted as (sorted & _).
  destruct (IH {| usable_at := time; amount := amount first + amount second |} others sorted) as (ordered & shorter).
  split; [exact ordered | cbn [length] in *; lia].
Qed.
Lemma begin_use_in_order time c : refills_in_order c -> refills_in_order (begin_use time c).
Proof.
  intros ok. unfold begin_use. destruct (refills c) as [|first rest] eqn:l; [exact ok|]. destruct (_ || _); [exact ok|].
  destruct ok as (sorted & few). rewrite l in sorted, few. cbn [tl length] in sorted, few.
  destruct (join_in_order most_joined time {| usable_at := time; amount := amount first |} rest sorted) as (ordered & shorter).
  unfold refills_in_order. cbn [refills extra_refills set_field setter]. split; [exact ordered | lia].
Qed.
Lemma configure_in_order core b p extra badge flags st c : refills_in_order (configure_context core b p extra badge flags st c).
Proof.
  unfold configure_context. cbv zeta. generalize (if b =? p then ticks_down b st else ticks_up p st). generalize (ticks_down b st).
  intros new_budget new_period. unfold refills_in_order. cbn [refills extra_refills set_field setter].
  unfold configured_refills. destruct (refills c) as [|first rest]; [split; [constructor | simpl; lia]|].
  destruct (context_thread c); [|split; [constructor | simpl; lia]]. cbv zeta.
  destruct (new_budget =? new_period); [split; [constructor | simpl; lia]|]. destruct (_ =? 0); [split; [constructor | simpl; lia]|].
  destruct (_ || _); (split; [repeat constructor | simpl; lia]).
Qed.

(** ** Every step *)
Definition fine_refills (c : SchedContext) : Prop := refills_are_right c /\ refills_in_order c.
Lemma fine_same a b :
  refills b = refills a -> budget b = budget a -> period b = period a -> unreturned b = unreturned a -> extra_refills b = extra_refills a ->
  fine_refills a -> fine_refills b.
Proof.
  intros same_refills same_budget_ same_period_ same_unreturned same_extra (right & order).
  split; [exact (right_same a b same_refills same_budget_ same_period_ same_unreturned right)|].
  unfold refills_in_order in *. rewrite same_refills, same_extra. exact order.
Qed.
Definition all_right (st : State) : Prop := forall o c, objects st !! o = Some (SchedContextObject c) -> fine_refills c.
Lemma right_of_same a b : objects b = objects a -> all_right a -> all_right b.
Proof. intros same right o c. rewrite same. apply right. Qed.

Lemma right_after_put o x st : fine_object fine_refills x -> all_right st -> all_right (put_object o x st).
Proof.
  intros fits right o' c. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (o' =? o); [intros is_x; injection is_x as ->; exact fits | apply right].
Qed.
Lemma refills_are_kept_quietly : kept_quietly all_right fine_refills (fun _ => True).
Proof.
  constructor; try exact fine_same; try (intros; exact I).
  - intros a b _ _ same _ _. exact (right_of_same a b same).
  - intros t st. exact (right_of_same st (unplace t st) eq_refl).
  - intros insert t st _. destruct (place_by_same insert t st) as (_ & _ & same). exact (right_of_same st _ same).
  - intros t st _. exact (right_of_same st _ eq_refl).
  - intros o x y st _ _ _. exact (right_after_put o x st).
  - intros o c st right found. exact (right o c found).
  - intros n. split; [exact (right_new n) | apply in_order_none; reflexivity].
  - intros used st c _ (right & order). split; [exact (right_charge used _ c right) | exact (charge_in_order used _ c order)].
  - intros time c (right & order). split; [exact (right_begin_use time c right) | exact (begin_use_in_order time c order)].
  - intros core b p extra badge flags st c _. split; [apply right_configure | apply configure_in_order].
Qed.
Lemma refills_are_blind a b : same_but_slots a b -> all_right a -> all_right b.
Proof. intros same. apply right_of_same. rewrite same. reflexivity. Qed.
Lemma refills_are_kept : kept all_right fine_refills (fun _ => True).
Proof.
  apply slots_keep; [exact refills_are_kept_quietly | exact refills_are_blind | exact right_after_put|].
  intros o st right o' c. change (objects (remove_object o st)) with (remove o (objects st)). rewrite find_remove.
  destruct (o' =? o); [discriminate | apply right].
Qed.
Lemma refills_at_start p : all_right (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  apply (start_by_parts _ _ _ p refills_are_kept_quietly); try (intros; exact I); [|exact right_after_put|].
  - intros m o c found. change (objects (nothing_yet m)) with (@empty Object) in found. rewrite find_empty in found. discriminate.
  - intros slot c st _. exact (refills_are_blind _ _ (insert_root_same slot c st)).
Qed.

(** Claims [refills_sum_to_budget] and [refills_stay_in_order]. *)
Lemma refills_stay_fine p st : reachable step p st -> all_right st.
Proof. exact (reachable_keeps _ _ _ refills_are_kept_quietly refills_are_kept p (refills_at_start p) st). Qed.
Theorem refills_sum_to_budget_proved : refills_sum_to_budget step.
Proof. intros p st o c reached found. exact (proj1 (refills_stay_fine p st reached o c found)). Qed.
Theorem refills_stay_in_order_proved : refills_stay_in_order step.
Proof. intros p st o c reached found. exact (proj2 (refills_stay_fine p st reached o c found)). Qed.
