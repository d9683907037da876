(* SPDX-License-Identifier: BSD-2-Clause *)
(** * No refill is too small

    A refill that is smaller than the smallest budget joins another, or waits for the next piece; and the machine, which says what is too small,
    is always the same. *)
From Coq Require Import Lia.
From Spec Require Export RefillProofs.
Open Scope N_scope.

(** ** The refills of one context *)
Definition large (smallest : N) (r : Refill) : Prop := smallest <= amount r.
Definition behind_large (smallest : N) (c : SchedContext) : Prop := Forall (large smallest) (tl (refills c)).
Definition left_small (smallest : N) (c : SchedContext) : Prop := unreturned c = 0 \/ unreturned c < smallest.
Record pieces_right (smallest : N) (c : SchedContext) : Prop := {
  none_unbudgeted : refills c = [] -> budget c = 0;
  left_is_small : left_small smallest c;
  all_are_large : (budget c =? period c) = true \/ budget c < smallest \/ Forall (large smallest) (refills c)
}.
Definition kept_some (smallest : N) (c : SchedContext) : Prop := left_small smallest c /\ refills c <> [].
Definition kept_large (smallest : N) (c : SchedContext) : Prop := behind_large smallest c /\ refills c <> [].
Lemma more_than_none {A} (l : list A) x : l ++ [x] <> []. Proof. destruct l; discriminate. Qed.
Lemma give_back_some smallest r c : kept_some smallest (give_back smallest r c).
Proof.
  unfold give_back. cbv zeta. change (refills (c <| unreturned := 0 |>)) with (refills c). unfold kept_some, left_small.
  destruct (refills c) as [|first rest] eqn:l; [split; [left; reflexivity | discriminate]|].
  destruct (_ <=? _); [split; [left; reflexivity | apply more_than_none]|]. destruct (N.ltb_spec (amount {| usable_at := usable_at r; amount := amount r +
    unreturned c |}) smallest) as [few|many].
  - split; [right; exact few|]. cbn [refills set_field setter]. rewrite l. discriminate.
  - destruct (_ =? _); (split; [left; reflexivity | apply more_than_none]).
Qed.
Lemma replaced_large smallest l d x : Forall (large smallest) l -> l <> [] -> amount (last l d) <= amount x -> Forall (large smallest) (removelast l ++ [x]).
Proof.
  intros each some grown. rewrite (app_removelast_last d some) in each. apply Forall_app in each. destruct each as (front & behind).
  apply Forall_app. split; [exact front|]. constructor; [|constructor]. inversion_clear behind. unfold large in *. lia.
Qed.
Lemma joined_large smallest first rest x : Forall (large smallest) rest -> amount (last (first :: rest) first) <= amount x ->
  Forall (large smallest) (tl (removelast (first :: rest) ++ [x])).
Proof.
  intros behind grown. destruct rest as [|second rest]; [constructor|].
  change (removelast (first :: second :: rest)) with (first :: removelast (second :: rest)). cbn [app tl]. rewrite last_of_more in grown.
  exact (replaced_large smallest (second :: rest) first x behind ltac:(discriminate) grown).
Qed.
Lemma give_back_large smallest r c : kept_large smallest c -> kept_large smallest (give_back smallest r c).
Proof.
  intros (behind & some). split; [|exact (proj2 (give_back_some smallest r c))]. unfold give_back. cbv zeta.
  change (refills (c <| unreturned := 0 |>)) with (refills c). unfold behind_large in *. destruct (refills c) as [|first rest] eqn:l; [constructor|].
  cbn [tl] in behind. cbn [amount usable_at]. destruct (_ <=? _); [apply joined_large; [exact behind | cbn [amount]; lia]|].
  destruct (N.ltb_spec (amount r + unreturned c) smallest) as [few|many]; [cbn [refills set_field setter]; rewrite l; exact behind|].
  destruct (_ =? _); [apply joined_large; [exact behind | cbn [amount]; lia]|]. cbn [refills set_field setter app tl].
  apply Forall_app. split; [exact behind|]. constructor; [exact many | constructor].
Qed.
Definition turn_is (P : SchedContext -> Prop) (t : Turn_of_loop (SchedContext * N) SchedContext) : Prop :=
  match t with Again (c, _) | Finished c => P c end.
Lemma charge_step_some smallest c used : kept_some smallest c -> turn_is (kept_some smallest) (charge_step smallest (c, used)).
Proof.
  intros ok. unfold charge_step, turn_is. destruct (refills c) as [|first rest]; [exact ok|]. cbv zeta. destruct (_ || _); [exact ok|]. destruct (_ <=? _).
  - destruct rest as [|second others]; [split; [left; reflexivity | discriminate] | apply give_back_some].
  - apply give_back_some.
Qed.
Lemma charge_step_large smallest c used : kept_large smallest c -> turn_is (kept_large smallest) (charge_step smallest (c, used)).
Proof.
  intros ok. pose proof ok as (behind & _). unfold charge_step, turn_is. unfold behind_large in behind.
  destruct (refills c) as [|first rest]; [exact ok|]. cbv zeta. destruct (_ || _); [exact ok|]. cbn [tl] in behind. destruct (_ <=? _).
  - destruct rest as [|second others]; [split; [constructor | discriminate]|]. apply give_back_large. split; [|discriminate]. inversion_clear behind.
    assumption.
  - apply give_back_large. split; [exact behind | discriminate].
Qed.
Lemma repeat_is (P : SchedContext -> Prop) smallest n c used : (forall c used, P c -> turn_is P (charge_step smallest (c, used))) -> P c ->
  turn_is P (repeat_after n (charge_step smallest) (c, used)).
Proof.
  intros once ok. pose proof (repeat_keeps (charge_step smallest) (fun x => P (fst x)) P) as kept.
  assert (forall x, P (fst x) -> match charge_step smallest x with Again a => P (fst a) | Finished b => P b end) as each.
  { intros (c' & used') ok'. pose proof (once c' used' ok') as after. unfold turn_is in after.
    destruct (charge_step smallest (c', used')) as [(next & ?)|next]; exact after. }
  specialize (kept each n (c, used) ok). unfold turn_is. destruct (repeat_after n _ _) as [(after & ?)|after]; exact kept.
Qed.
Lemma mend_first_some smallest c : kept_some smallest c -> kept_some smallest (mend_first smallest c).
Proof.
  intros ok. pose proof ok as (few & some). unfold mend_first. destruct (refills c) as [|first rest]; [exact ok|]. destruct (_ <=? _); [exact ok|].
  destruct rest; (split; [|discriminate]); [left; reflexivity | exact few].
Qed.
Lemma mend_first_large smallest c : kept_large smallest c -> holdings c = budget c ->
  budget c < smallest \/ Forall (large smallest) (refills (mend_first smallest c)).
Proof.
  intros (behind & some) sum. unfold mend_first. unfold behind_large in behind. unfold holdings in sum.
  destruct (refills c) as [|first rest] eqn:l; [contradiction some; reflexivity|]. cbn [tl] in behind.
  destruct (N.leb_spec smallest (amount first)) as [much|little]; [right; rewrite l; constructor; assumption|]. destruct rest as [|second others].
  - destruct (N.ltb_spec (budget c) smallest) as [below|above]; [left; exact below | right]. constructor; [|constructor]. unfold large. cbn [amount].
    cbn [total fold_right] in sum. lia.
  - right. inversion_clear behind as [|x y large_ others_]. constructor; [unfold large in *; cbn [amount]; lia | exact others_].
Qed.
Lemma charge_pieces used smallest c : refills_are_right c -> pieces_right smallest c -> pieces_right smallest (charge used smallest c).
Proof.
  intros right ok. pose proof ok as [none few each]. unfold charge, is_round_robin, configured. destruct (refills c) as [|first rest] eqn:l.
  - cbn [andb]. rewrite (nothing_to_charge smallest c used used l). unfold mend_first. rewrite l. exact ok.
  - cbn [andb]. destruct (budget c =? period c) eqn:limited; [constructor; [discriminate | exact few | left; exact limited]|].
    assert (refills c <> []) as some by (rewrite l; discriminate).
    pose proof (repeat_is _ smallest used c used (charge_step_some smallest) (conj few some)) as some_. pose proof (repeat_holds smallest c used used) as held.
    assert (budget c < smallest \/ turn_is (kept_large smallest) (repeat_after used (charge_step smallest) (c, used))) as larges.
    { destruct each as [no|[below|each]]; [discriminate | left; exact below | right]. apply (repeat_is _ smallest); [exact (charge_step_large smallest)|].
      split; [|exact some]. unfold behind_large. rewrite l. inversion_clear each. assumption. }
    apply (right_of_holdings c limited) in right. destruct right as [no|sum]; [contradiction|]. unfold turn_is, turn_holds in *.
    assert (forall after, holds c 0 after -> kept_some smallest after -> budget c < smallest \/ kept_large smallest after ->
      pieces_right smallest (mend_first smallest after)) as mended.
    { intros after (same & [same_b _]) fine larges_. destruct (mend_first_holds smallest after) as (_ & [mended_b _]), (mend_first_some smallest after fine) as
        (few' & some'). constructor; [intros no; contradiction | exact few' | right].
      destruct larges_ as [below|larges_]; [left; rewrite mended_b, same_b; exact below|].
      destruct (mend_first_large smallest after larges_) as [below|each']; [lia | left; rewrite mended_b; exact below | right; exact each']. }
    destruct (repeat_after used _ _) as [(after & ?)|after]; apply mended; assumption.
Qed.
Lemma join_large smallest count time first rest : Forall (large smallest) (first :: rest) -> Forall (large smallest) (join_touching count time first rest).
Proof.
  revert first rest. induction count as [|count IH]; intros first rest each; [exact each|]. destruct rest as [|second others]; [exact each|].
  cbn [join_touching]. destruct (_ <=? _); [|exact each]. inversion_clear each as [|x y large1 more]. inversion_clear more as [|x y large2 others_].
  apply IH. constructor; [unfold large in *; cbn [amount]; lia | exact others_].
Qed.
Lemma begin_use_pieces smallest time c : pieces_right smallest c -> pieces_right smallest (begin_use time c).
Proof.
  intros ok. pose proof ok as [none few each]. unfold begin_use. destruct (refills c) as [|first rest] eqn:l; [exact ok|]. destruct (_ || _); [exact ok|].
  constructor; [intros no; contradiction (join_some _ _ _ _ no) | exact few|]. destruct each as [free|[below|each]]; [left; exact free | right; left;
    exact below|].
  right. right. cbn [refills set_field setter]. apply join_large. inversion_clear each. constructor; assumption.
Qed.
Lemma configure_pieces core b p extra badge flags st c : pieces_right (smallest_budget st) (configure_context core b p extra badge flags st c).
Proof.
  unfold configure_context. cbv zeta. generalize (if b =? p then ticks_down b st else ticks_up p st). generalize (ticks_down b st).
  generalize (smallest_budget st).
  intros smallest new_budget new_period.
  assert (new_budget < smallest \/ new_budget =? new_period = true
          \/ Forall (large smallest) (configured_refills c new_budget new_period smallest (now st))) as each.
  { destruct (N.ltb_spec new_budget smallest) as [below|above]; [left; exact below | right]. unfold configured_refills.
    destruct (refills c) as [|first rest]; [right; repeat constructor; exact above|]. destruct (context_thread c); [|right; repeat constructor; exact above].
    cbv zeta. destruct (new_budget =? new_period); [left; reflexivity | right].
    destruct (N.eqb_spec (new_budget - N.min (amount first) new_budget) 0) as [whole|part]; [repeat constructor; unfold large; cbn [amount]; lia|].
    destruct (N.ltb_spec (N.min (amount first) new_budget) smallest) as [|much]; [repeat constructor; exact above|].
    destruct (N.ltb_spec (new_budget - N.min (amount first) new_budget) smallest) as [|more]; repeat constructor; unfold large; cbn [amount]; assumption. }
  constructor; [| left; reflexivity | cbn [refills budget period set_field setter]; tauto].
  cbn [refills budget set_field setter]. unfold configured_refills. destruct (refills c) as [|first rest]; [discriminate|].
  destruct (context_thread c); [|discriminate]. cbv zeta. destruct (_ =? new_period); [discriminate|]. destruct (_ =? 0); [discriminate|].
  destruct (_ || _); discriminate.
Qed.

(** ** Every step *)
Definition fine_pieces (m : Machine) (c : SchedContext) : Prop := fine_refills c /\ pieces_right (smallest_budget (nothing_yet m)) c.
Record measured (m : Machine) (st : State) : Prop := {
  same_machine_ : machine st = m;
  pieces_fine : forall o c, objects st !! o = Some (SchedContextObject c) -> fine_pieces m c
}.
Definition but_telling_only (k : Link) : bool := match k with Telling => true | _ => false end.
Lemma smallest_same m st : machine st = m -> smallest_budget st = smallest_budget (nothing_yet m).
Proof. intros <-. reflexivity. Qed.
Lemma measured_same m a b : machine b = machine a -> objects b = objects a -> measured m a -> measured m b.
Proof. intros same_m same [is_m fine]. constructor; [congruence|]. intros o c. rewrite same. apply fine. Qed.
Lemma measured_put m o x st : fine_object (fine_pieces m) x -> measured m st -> measured m (put_object o x st).
Proof.
  intros fits [is_m fine]. constructor; [exact is_m|]. intros o' c. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (o' =? o); [intros is_x; injection is_x as ->; exact fits | apply fine].
Qed.
Lemma measured_quietly m : kept_quietly_but but_telling_only (measured m) (fine_pieces m) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b _ _ same _ _ (_ & same_m). exact (measured_same m a b same_m same).
  - intros t st. exact (measured_same m st (unplace t st) eq_refl eq_refl).
  - intros insert t st _. apply measured_same; [|exact (proj2 (proj2 (place_by_same insert t st)))]. unfold place_by. cbv zeta.
    destruct (is_running t (unplace t st)), (context_of t (unplace t st)); try reflexivity. destruct (negb _); [reflexivity|].
    destruct (usable (now _) _); reflexivity.
  - intros t st _. apply measured_same; reflexivity.
  - intros o x y st _ _ _. exact (measured_put m o x st).
  - intros o c st [_ fine]. exact (fine o c).
  - intros a b r bu pe un ex (refills_ & [none few each]). split; [exact (fine_same a b r bu pe un ex refills_)|].
    constructor; unfold left_small; rewrite ?r, ?bu, ?pe, ?un; assumption.
  - intros n. split; [split; [exact (right_new n) | apply in_order_none; reflexivity]|]. constructor; [reflexivity | left; reflexivity | left; reflexivity].
  - intros used st c ok ((right & order) & pieces). split; [split; [exact (right_charge used _ c right) | exact (charge_in_order used _ c order)]|].
    rewrite <- (smallest_same m st (same_machine_ m st ok)) in *. exact (charge_pieces used _ c right pieces).
  - intros time c ((right & order) & pieces). split; [split; [exact (right_begin_use time c right) | exact (begin_use_in_order time c order)]|].
    exact (begin_use_pieces _ time c pieces).
  - intros core b p extra badge flags st c ok. split; [split; [apply right_configure | apply configure_in_order]|].
    rewrite <- (smallest_same m st (same_machine_ m st ok)). apply configure_pieces.
Qed.
Lemma measured_blind m a b : same_but_slots a b -> measured m a -> measured m b.
Proof. intros same. apply measured_same; rewrite same; reflexivity. Qed.
Lemma measured_emit m e st : measured m st -> measured m (emit e st).
Proof. exact (measured_same m st (emit e st) eq_refl eq_refl). Qed.
Lemma measured_kept m : kept_but but_telling_only (measured m) (fine_pieces m) (fun _ => True).
Proof.
  constructor.
  - intros slot p o c st _ _. exact (measured_blind m st _ (insert_child_same slot p o c st)).
  - intros slot s o c st _ _. exact (measured_blind m st _ (insert_sibling_same slot s o c st)).
  - intros u at_ size x slot c st _ fine _ ok. unfold carve. destruct (slots st !! u) as [e|]; [|exact (measured_emit m _ st ok)].
    destruct (capability_at u st) as [[]|]; try exact (measured_emit m _ st ok). cbv zeta. destruct (_ && _); [|exact (measured_emit m _ st ok)].
    refine (measured_blind m _ _ (insert_child_same slot u true c _) _). pose proof (fun d => measured_blind m st _ (replace_capability_same u e d st) ok) as
      taken.
    destruct x as [x|]; [exact (measured_put m at_ x _ (proj1 fine) (taken _)) | exact (taken _)].
  - intros slot st _ ok. pose proof (measured_blind m st _ (remove_capability_same slot st) ok) as removed. unfold discard.
    destruct (capability_at slot st) as [c|]; [|exact ok]. destruct (object_of c) as [o|], (is_zombie c || is_last c st); try exact removed.
    destruct removed as [is_m fine]. constructor; [exact is_m|]. intros o' c'.
    match goal with |- objects (remove_object o ?s) !! _ = _ -> _ => change (objects (remove_object o s)) with (remove o (objects s)) end.
    rewrite find_remove.
    destruct (o' =? o); [discriminate | apply fine].
  - intros from to st. exact (measured_blind m st _ (move_capability_same from to st)).
  - intros slot c st _ ok. unfold change_capability. destruct (slots st !! slot) as [e|]; [|exact (measured_emit m _ st ok)].
    destruct (_ && _); [exact (measured_blind m st _ (replace_capability_same slot e c st) ok) | exact (measured_emit m _ st ok)].
  - intros slot st _ _ ok. unfold make_zombie. destruct (slots st !! slot) as [e|]; [|exact (measured_emit m _ st ok)].
    destruct (container_of _ _) as [o|]; [exact (measured_blind m st _ (replace_capability_same slot e _ st) ok) | exact (measured_emit m _ st ok)].
  - intros; exact I.
Qed.
Lemma measured_given m : operations but_telling_only (measured m).
Proof. constructor; [left; reflexivity | intros []; left; reflexivity]. Qed.
Lemma measured_start p : measured (boot_machine p) (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  set (m := boot_machine p). assert (fine_pieces m (new_sched_context min_sched_context_bits)) as new.
  { exact (fine_new (measured_quietly m) min_sched_context_bits). }
  assert (measured m (put_root_objects p (nothing_yet m))) as start.
  { assert (measured m (nothing_yet m)) as none.
    { constructor; [reflexivity|]. intros o c found. change (objects (nothing_yet m)) with (@empty Object) in found. rewrite find_empty in found.
      discriminate. }
    unfold put_root_objects. cbv beta zeta.
    match goal with |- measured m (set_field pools _ ?st) => apply (measured_same m st); [reflexivity | reflexivity|] end.
    do 5 (apply measured_put; [first [exact I | exact new]|]). exact none. }
  revert start. generalize (put_root_objects p (nothing_yet m)). unfold insert_roots.
  induction (root_capabilities p ++ dynamic_capabilities p) as [|(slot & c) l IH]; intros st ok; [exact ok|].
  apply IH. exact (measured_blind m st _ (insert_root_same slot c st) ok).
Qed.
Lemma measured_leave m st : measured m st -> measured m (leave st). Proof. exact (measured_same m st (leave st) eq_refl eq_refl). Qed.
Lemma measured_step m st e : measured m st -> measured m (fst (fst (step st e))).
Proof.
  intros ok. pose proof (measured_quietly m) as quiet. pose proof (measured_kept m) as kept_. pose proof (measured_given m) as given_.
  assert (measured m (enter e st)) as entered.
  { unfold enter. apply (@keeps_save_registers _ _ _ _ quiet). exact (measured_same m st (begin_step e st) eq_refl eq_refl ok). }
  pose proof (@keeps_handle _ _ _ _ quiet kept_ given_ (cause e) eq_refl _ entered) as (_ & handled_). unfold step, finish.
  destruct (handle (cause e) (enter e st)) as (result & after). cbn [fst snd] in *.
  pose proof (@keeps_choose_thread _ _ _ _ quiet eq_refl after handled_) as chosen_. exact (measured_leave m _ chosen_).
Qed.
Lemma measured_boot p : measured (boot_machine p) (boot p).
Proof.
  pose proof (measured_quietly (boot_machine p)) as quiet. unfold boot. cbv zeta. pose proof (measured_start p) as start. revert start.
  generalize (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))). intros st ok.
  pose proof (fun i k => @keeps_copy_to_thread _ _ _ _ quiet (measured_kept _) p i k) as copies.
  pose proof (copies InitSlot.IPCBuffer buffer_slot _ (copies InitSlot.VSpace vspace_slot _ (copies InitSlot.CNode cspace_slot st ok))) as one.
  revert one. generalize (copy_to_thread p InitSlot.IPCBuffer buffer_slot (copy_to_thread p InitSlot.VSpace vspace_slot (copy_to_thread p InitSlot.CNode
    cspace_slot st))).
  intros two ok2. apply measured_leave, (@keeps_choose_thread _ _ _ _ quiet eq_refl), (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl).
  refine (@keeps_change_context _ _ _ _ quiet _ _ _ _ two ok2).
  - split; [|reflexivity]. intros c _. exact (fine_configure quiet _ _ _ _ _ _ two c ok2).
  - intros x. discriminate.
Qed.
Theorem reachable_measured p st : reachable step p st -> measured (boot_machine p) st.
Proof. induction 1 as [|st e _ IH]; [apply measured_boot | exact (measured_step _ st e IH)]. Qed.
