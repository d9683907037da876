(* SPDX-License-Identifier: BSD-2-Clause *)
(** * No more than the budget in a period

    What is used comes back a period later. So of all that a context can use before a period is over each tick is one that it had when the period began, and
    those are no more than its budget. *)
From Coq Require Import Lia.
From Spec Require Export PieceProofs.
Open Scope N_scope.

(** ** What of some refills comes before a time *)
Definition part_before (w : N) (r : Refill) : N := N.min (amount r) (w - usable_at r).
Definition early (w : N) (l : list Refill) : N := fold_right (fun r sum => part_before w r + sum) 0 l.
Lemma early_app w a b : early w (a ++ b) = early w a + early w b.
Proof. induction a as [|r a IH]; [reflexivity|]. cbn [app early fold_right]. fold (early w (a ++ b)) (early w a). rewrite IH. lia. Qed.
Lemma early_total w l : early w l <= total l.
Proof.
  induction l as [|r l IH]; [reflexivity|]. cbn [early total fold_right]. fold (early w l) (total l). unfold part_before. lia.
Qed.
Lemma early_last w l d : l <> [] -> early w (removelast l) + part_before w (last l d) = early w l.
Proof. intros some. rewrite (app_removelast_last d some) at 3. rewrite early_app. cbn [early fold_right]. lia. Qed.
Lemma early_replaced w l d x : l <> [] -> part_before w x <= part_before w (last l d) -> early w (removelast l ++ [x]) <= early w l.
Proof. intros some fewer. rewrite early_app, <- (early_last w l d some). cbn [early fold_right]. lia. Qed.
Definition time_of (l : list Refill) : N := match l with first :: _ => usable_at first | [] => 0 end.
Lemma time_replaced first rest x : usable_at (last (first :: rest) first) <= usable_at x -> usable_at first <= time_of (removelast (first :: rest) ++ [x]).
Proof. destruct rest as [|second rest]; [exact id | intros _; reflexivity]. Qed.

Definition positive (r : Refill) : Prop := 0 < amount r.
Lemma positive_replaced l x : Forall positive l -> positive x -> Forall positive (removelast l ++ [x]).
Proof.
  intros each more. destruct l as [|a l]; [constructor; [exact more | constructor]|]. apply Forall_app. split; [|constructor; [exact more | constructor]].
  rewrite (app_removelast_last (l := a :: l) a) in each by discriminate. apply Forall_app in each. exact (proj1 each).
Qed.
Record no_sooner (w : N) (l after : list Refill) : Prop := {
  fewer_early : early w after <= early w l;
  no_earlier : time_of l <= time_of after;
  still_positive : Forall positive l -> Forall positive after;
  still_some : after <> []
}.
Lemma gives_later w smallest r c : refills c <> [] -> w <= usable_at r -> positive r -> no_sooner w (refills c) (refills (give_back smallest r c)).
Proof.
  intros some late more. unfold give_back. cbv zeta. change (refills (c <| unreturned := 0 |>)) with (refills c).
  destruct (refills c) as [|first rest] eqn:l; [contradiction some; reflexivity|]. cbn [usable_at amount]. set (old := last (first :: rest) first).
  unfold positive in more. destruct (N.leb_spec (usable_at r) (end_of old)) as [touches|apart].
  - cbn [refills set_field setter]. unfold end_of in touches. constructor.
    + apply (early_replaced w (first :: rest) first); [discriminate|]. fold old. unfold part_before. cbn [amount usable_at]. lia.
    + apply time_replaced. reflexivity.
    + intros each. apply positive_replaced; [exact each|]. unfold positive. cbn [amount]. lia.
    + apply more_than_none.
  - unfold end_of in apart. destruct (amount r + unreturned c <? smallest).
    + cbn [refills set_field setter]. rewrite l. constructor; [reflexivity | reflexivity | exact id | discriminate].
    + destruct (_ =? _); cbn [refills set_field setter].
      * constructor.
        -- apply (early_replaced w (first :: rest) first); [discriminate|]. fold old. unfold part_before. cbn [amount usable_at]. lia.
        -- apply time_replaced. fold old. cbn [usable_at]. lia.
        -- intros each. apply positive_replaced; [exact each|]. unfold positive. cbn [amount]. lia.
        -- apply more_than_none.
      * constructor.
        -- change (early w ((first :: rest) ++ [{| usable_at := usable_at r; amount := amount r + unreturned c |}]) <= early w (first :: rest)).
           rewrite early_app. generalize (early w (first :: rest)). intros sum. cbn [early fold_right]. unfold part_before. cbn [amount usable_at]. lia.
        -- reflexivity.
        -- intros each. apply Forall_app. split; [exact each|]. constructor; [|constructor]. unfold positive. cbn [amount]. lia.
        -- discriminate.
Qed.

(** ** Charges *)
Section Window.
Variables smallest start whole length_ : N.
Let w := start + length_.
Record in_window (c : SchedContext) (n : N) : Prop := {
  has_refills : refills c <> [];
  has_amounts : Forall positive (refills c);
  has_length : period c = length_;
  is_limited : (budget c =? period c) = false;
  has_begun : start <= time_of (refills c);
  not_exceeded : n + early w (refills c) <= whole \/ w <= time_of (refills c)
}.
Lemma limit_of_give_back r c : budget (give_back smallest r c) = budget c /\ period (give_back smallest r c) = period c.
Proof. destruct (give_back_holds smallest r c) as (_ & [b p]). split; assumption. Qed.
Lemma window_after c n after n' : in_window c n -> refills after <> [] -> Forall positive (refills after) -> budget after = budget c ->
  period after = period c ->
  time_of (refills c) <= time_of (refills after) ->
  (n + early w (refills c) <= whole -> n' + early w (refills after) <= whole \/ w <= time_of (refills after)) -> in_window after n'.
Proof.
  intros [some each len limited begun within] some' each' same_b same_p later fewer. constructor; try assumption; try congruence; try lia.
Qed.
Definition turn_in_window (n : N) (t : Turn_of_loop (SchedContext * N) SchedContext) : Prop :=
  match t with Again (c, left_) => left_ <= n /\ in_window c (n - left_) | Finished c => in_window c n end.
Lemma step_in_window n c used : used <= n -> in_window c (n - used) -> turn_in_window n (charge_step smallest (c, used)).
Proof.
  intros less_ ok. pose proof ok as [some each len limited begun within]. unfold charge_step. destruct (refills c) as [|first rest] eqn:l;
    [contradiction some; reflexivity|]. cbv zeta. cbn [time_of] in begun. inversion_clear each as [|x y first_more rest_more]. unfold positive in first_more.
  destruct (N.eqb_spec used 0) as [->|some_used]; [cbn [orb turn_in_window]; rewrite N.sub_0_r in ok; exact ok|].
  destruct (N.eqb_spec (amount first) 0) as [no|_]; [lia|]. cbn [orb]. destruct (N.leb_spec (amount first) used) as [all_|part].
  - cbn [turn_in_window]. destruct rest as [|second others].
    + split; [lia|]. refine (window_after c (n - used) _ _ ok _ _ _ _ _ _); unfold delay_only; cbn [refills set_field setter]; try reflexivity;
        try discriminate.
      * repeat constructor. unfold positive. cbn [amount]. lia.
      * rewrite l. cbn [time_of usable_at]. lia.
      * intros _. right. cbn [time_of usable_at]. unfold w. lia.
    + inversion_clear rest_more as [|x y second_more others_more]. unfold positive in second_more.
      set (two := {| usable_at := N.max (usable_at second) (end_of first); amount := amount second |}).
      destruct (gives_later w smallest {| usable_at := usable_at first + period c; amount := amount first |} (c <| refills := two :: others |>)) as
        [fewer later still some'].
      { discriminate. } { cbn [usable_at]. unfold w. lia. } { exact first_more. }
      cbn [refills set_field setter] in fewer, later, still.
      assert (budget (give_back smallest {| usable_at := usable_at first + period c; amount := amount first |} (c <| refills := two :: others |>)) = budget c
              /\ period (give_back smallest {| usable_at := usable_at first + period c;
                amount := amount first |} (c <| refills := two :: others |>)) = period c)
        as (same_b & same_p) by exact (limit_of_give_back {| usable_at := usable_at first + period c;
          amount := amount first |} (c <| refills := two :: others |>)).
      revert fewer later still some' same_b same_p.
      generalize (give_back smallest {| usable_at := usable_at first + period c; amount := amount first |} (c <| refills := two :: others |>)).
      intros after fewer later still some' same_b same_p. split; [lia|]. cbn [time_of] in later. unfold two, end_of in later. cbn [usable_at] in later.
      refine (window_after c (n - used) after _ ok some' (still _) same_b same_p _ _).
      * constructor; [exact second_more | exact others_more].
      * rewrite l. cbn [time_of]. lia.
      * rewrite l. cbn [early fold_right] in *. fold (early w others) in *. unfold two in fewer. unfold part_before in *. unfold end_of in *.
        cbn [amount usable_at] in *.
        intros within_. destruct (N.leb_spec (usable_at first + amount first) w) as [before_|past]; [left | right]; lia.
  - cbn [turn_in_window]. set (one := {| usable_at := usable_at first + used; amount := amount first - used |}).
    destruct (gives_later w smallest {| usable_at := usable_at first + period c; amount := used |} (c <| refills := one :: rest |>)) as [fewer later still
      some'].
    { discriminate. } { cbn [usable_at]. unfold w. lia. } { unfold positive. cbn [amount]. lia. }
    cbn [refills set_field setter] in fewer, later, still.
    assert (budget (give_back smallest {| usable_at := usable_at first + period c; amount := used |} (c <| refills := one :: rest |>)) = budget c
            /\ period (give_back smallest {| usable_at := usable_at first + period c; amount := used |} (c <| refills := one :: rest |>)) = period c)
      as (same_b & same_p) by exact (limit_of_give_back {| usable_at := usable_at first + period c; amount := used |} (c <| refills := one :: rest |>)).
    revert fewer later still some' same_b same_p.
    generalize (give_back smallest {| usable_at := usable_at first + period c; amount := used |} (c <| refills := one :: rest |>)).
    intros after fewer later still some' same_b same_p. cbn [time_of] in later. unfold one in later. cbn [usable_at] in later.
    refine (window_after c (n - used) after _ ok some' (still _) same_b same_p _ _).
    + constructor; [unfold positive, one; cbn [amount]; lia | exact rest_more].
    + rewrite l. cbn [time_of]. lia.
    + rewrite l. cbn [early fold_right] in *. fold (early w rest) in *. unfold one in fewer. unfold part_before in *. cbn [amount usable_at] in *.
      intros within_. destruct (N.leb_spec (usable_at first + used) w) as [before_|past]; [left | right]; lia.
Qed.
Lemma mended_in_window c n : in_window c n -> in_window (mend_first smallest c) n.
Proof.
  intros ok. pose proof ok as [some each len limited begun within]. unfold mend_first. destruct (refills c) as [|first rest] eqn:l;
    [contradiction some; reflexivity|]. destruct (_ <=? _); [exact ok|]. cbn [time_of] in begun. inversion_clear each as [|x y first_more rest_more].
  unfold positive in first_more. destruct rest as [|second others].
  - refine (window_after c n _ _ ok _ _ _ _ _ _); unfold delay_only; cbn [refills set_field setter]; try reflexivity; try discriminate.
    + repeat constructor. unfold positive. cbn [amount]. lia.
    + rewrite l. cbn [time_of usable_at]. lia.
    + intros _. right. cbn [time_of usable_at]. unfold w. lia.
  - inversion_clear rest_more as [|x y second_more others_more]. unfold positive in second_more.
    refine (window_after c n _ _ ok _ _ _ _ _ _); cbn [refills set_field setter]; try reflexivity; try discriminate.
    + constructor; [unfold positive; cbn [amount]; lia | exact others_more].
    + rewrite l. cbn [time_of usable_at]. unfold end_of. lia.
    + rewrite l. cbn [early fold_right]. fold (early w others). unfold part_before, end_of. cbn [amount usable_at]. intros within_. left. lia.
Qed.
Lemma charged_in_window c n used : in_window c n -> in_window (charge used smallest c) (n + used).
Proof.
  intros ok. pose proof ok as [_ _ _ limited _ _]. unfold charge, is_round_robin. rewrite limited, andb_false_r.
  destruct loops_finish_proved as (finishes & _). destruct (finishes smallest c used) as (charged & finished).
  pose proof (repeat_keeps (charge_step smallest) (fun x => snd x <= n + used /\ in_window (fst x) (n + used - snd x)) (fun x => in_window x (n + used))) as
    kept.
  assert (forall x, snd x <= n + used /\ in_window (fst x) (n + used - snd x) -> match charge_step smallest x with
    Again a => snd a <= n + used /\ in_window (fst a) (n + used - snd a) | Finished b => in_window b (n + used) end) as each.
  { intros (x & left_) (less_ & fine). pose proof (step_in_window (n + used) x left_ less_ fine) as once. unfold turn_in_window in once.
    destruct (charge_step smallest (x, left_)) as [(after & ?)|after]; exact once. }
  assert (snd (c, used) <= n + used /\ in_window (fst (c, used)) (n + used - snd (c, used))) as begun
    by (cbn [fst snd]; split; [lia | replace (n + used - used) with n by lia; exact ok]).
  specialize (kept each used (c, used) begun). rewrite finished in *. exact (mended_in_window charged (n + used) kept).
Qed.
Lemma joined_early count time first rest : usable_at first = time -> early w (join_touching count time first rest) <= early w (first :: rest)
  /\ time_of (join_touching count time first rest) = time /\ (Forall positive (first :: rest) -> Forall positive (join_touching count time first rest)).
Proof.
  revert first rest. induction count as [|count IH]; intros first rest at_time; [split; [reflexivity | split; [exact at_time | exact id]]|].
  destruct rest as [|second others]; [split; [reflexivity | split; [exact at_time | exact id]]|]. cbn [join_touching].
  destruct (N.leb_spec (usable_at second) (end_of first)) as [touches|_]; [|split; [reflexivity | split; [exact at_time | exact id]]].
  destruct (IH {| usable_at := time; amount := amount first + amount second |} others eq_refl) as (fewer & same & still).
  split; [|split; [exact same|]].
  - etransitivity; [exact fewer|]. cbn [early fold_right]. fold (early w others). unfold part_before, end_of in *. cbn [amount usable_at]. lia.
  - intros each. apply still. inversion_clear each as [|x y one more]. inversion_clear more as [|x y two others_]. constructor; [|exact others_].
    unfold positive in *. cbn [amount]. lia.
Qed.
Lemma begun_in_window c n time : in_window c n -> in_window (begin_use time c) n.
Proof.
  intros ok. pose proof ok as [some each len limited begun within]. unfold begin_use. destruct (refills c) as [|first rest] eqn:l; [exact ok|].
  destruct (is_round_robin c); [exact ok|]. cbn [orb]. destruct (N.ltb_spec time (usable_at first)) as [_|late]; [exact ok|].
  destruct (joined_early most_joined time {| usable_at := time; amount := amount first |} rest eq_refl) as (fewer & same & still).
  refine (window_after c n _ _ ok _ _ _ _ _ _); cbn [refills set_field setter]; try reflexivity.
  - apply join_some.
  - apply still. inversion_clear each. constructor; assumption.
  - rewrite same, l. exact late.
  - intros within_. left. rewrite l in within_. cbn [early fold_right] in *. fold (early w rest) in *. unfold part_before in *. cbn [amount usable_at] in *.
    lia.
Qed.
End Window.
Lemma used_in_window start whole length_ c n after : uses_of c n after -> in_window start whole length_ c 0 -> in_window start whole length_ after n.
Proof.
  induction 1 as [c|c n one used smallest _ IH|c n one time _ IH]; intros ok; [exact ok | |].
  - exact (charged_in_window smallest start whole length_ one n used (IH ok)).
  - exact (begun_in_window start whole length_ one n time (IH ok)).
Qed.

Lemma budget_of_charge used smallest c : budget (charge used smallest c) = budget c.
Proof.
  unfold charge. destruct (is_round_robin c); [destruct (refills c); reflexivity|]. pose proof (repeat_holds smallest c used used) as held.
  unfold turn_holds in held.
  destruct (repeat_after used _ _) as [(x & ?)|x]; destruct held as (_ & [same _]), (mend_first_holds smallest x) as (_ & [mended _]); congruence.
Qed.
Lemma right_after_uses c n after : uses_of c n after -> refills_are_right c -> refills_are_right after /\ budget after = budget c.
Proof.
  induction 1 as [c|c n one used smallest _ IH|c n one time _ IH]; intros right; [split; [exact right | reflexivity] | |]; destruct (IH right) as (right1 & <-).
  - split; [exact (right_charge used smallest one right1) | exact (budget_of_charge used smallest one)].
  - split; [exact (right_begin_use time one right1)|]. unfold begin_use. destruct (refills one); [reflexivity|]. destruct (_ || _); reflexivity.
Qed.

(** Claim [budget_lasts_a_period]. *)
Theorem budget_lasts_a_period_proved : budget_lasts_a_period step.
Proof.
  intros p st o c m one first rest n after reached there limited some enough begun l used. pose proof (reachable_measured p st reached) as ok.
  destruct (pieces_fine _ st ok o c there) as ((right & _) & [none _ each]). rewrite <- (smallest_same _ st (same_machine_ _ st ok)) in each.
  assert (refills c <> []) as full by (intros no; rewrite (none no) in enough; lia).
  assert ((budget c =? period c) = false) as limited_.
  { unfold is_round_robin, configured in limited. destruct (refills c); [contradiction full; reflexivity | exact limited]. }
  assert (Forall positive (refills c)) as amounts.
  { destruct each as [no|[below|each]]; [congruence | lia|]. refine (Forall_impl _ _ each). intros r large_. unfold large, positive in *. lia. }
  assert (in_window 0 (budget c) (period c) c 0) as fresh.
  { constructor; [exact full | exact amounts | reflexivity | exact limited_ | apply N.le_0_l | left].
    apply (right_of_holdings c limited_) in right. destruct right as [no|sum]; [contradiction|].
    pose proof (early_total (0 + period c) (refills c)). unfold holdings in sum. lia. }
  destruct (used_in_window _ _ _ c m one begun fresh) as [some1 amounts1 length1 limited1 _ _], (right_after_uses c m one begun right) as (right1 & same_b).
  apply (right_of_holdings one limited1) in right1. destruct right1 as [no|sum]; [contradiction|].
  assert (in_window (usable_at first) (budget c) (period c) one 0) as start.
  { constructor; [exact some1 | exact amounts1 | exact length1 | exact limited1 | rewrite l; reflexivity | left].
    pose proof (early_total (usable_at first + period c) (refills one)). unfold holdings in sum. lia. }
  destruct (used_in_window _ _ _ one n after used start) as [some_ _ _ _ _ [within|over]]; [left; lia | right].
  destruct (refills after) as [|r l']; [contradiction some_; reflexivity|]. exists r, l'. split; [reflexivity | exact over].
Qed.
