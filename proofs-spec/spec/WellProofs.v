(* SPDX-License-Identifier: BSD-2-Clause *)
(** * States stay well-formed

    What [WellFormed] tests of a state is what the claims say of it: here the one follows from the other, invariant by invariant. *)
From Coq Require Import Lia.
From Spec Require Export PlaceProofs DangleProofs PieceProofs FitProofs.
From Spec Require HouseProofs.
Open Scope N_scope.

(** ** Lists and tables that are tested *)
Lemma all_true {A} (l : list A) f : (forall a, In a l -> f a = true) -> all l f = true.
Proof. intros each. apply forallb_forall. exact each. Qed.
Lemma all_entries {A} (t : Table A) f : (forall k v, t !! k = Some v -> f (k, v) = true) -> all (entries t) f = true.
Proof. intros each. apply all_true. intros (k & v) listed. apply in_entries in listed. exact (each k v listed). Qed.
Lemma is_member n l : In n l -> member n l = true.
Proof. intros listed. apply existsb_exists. exists n. split; [exact listed | apply N.eqb_refl]. Qed.
Lemma is_number_same n : is_number (Some n) n = true. Proof. apply N.eqb_refl. Qed.
Lemma once_tested l : NoDup l -> no_duplicates l = true.
Proof.
  induction 1 as [|n l fresh _ IH]; [reflexivity|]. cbn [no_duplicates]. rewrite IH, andb_true_r. destruct (member n l) eqn:listed; [|reflexivity].
  apply member_in in listed. contradiction.
Qed.
Lemma ascending_sorted {A} (R : A -> A -> Prop) le l : (forall a b, In a l -> In b l -> R a b -> le a b = true) -> StronglySorted R l -> ascending le l = true.
Proof.
  intros tested. induction 1 as [|a l sorted IH above]; [reflexivity|]. cbn [ascending]. apply andb_true_iff. split.
  - destruct l as [|b l]; [reflexivity|]. apply tested; [left; reflexivity | right; left; reflexivity|]. exact (Forall_inv above).
  - apply IH. intros x y in_x in_y. apply tested; right; assumption.
Qed.

(** ** No count is 0 *)
Definition counts_positive (st : State) : Prop := forall o n, references st !! o = Some n -> n <> 0.
Lemma positive_same a b : references b = references a -> counts_positive a -> counts_positive b.
Proof. intros same ok o n. rewrite same. apply ok. Qed.
Lemma positive_count c st : counts_positive st -> counts_positive (count_reference c st).
Proof.
  intros ok. unfold count_reference. destruct (referent c) as [r|]; [|exact ok]. intros o n.
  change (references (st <| references := set r (or_default 0 (references st !! r) + 1) (references st) |>))
    with (set r (or_default 0 (references st !! r) + 1) (references st)).
  rewrite find_set. destruct (o =? r); [intros same; injection same as <-; lia | apply ok].
Qed.
Lemma positive_discount c st : counts_positive st -> counts_positive (discount_reference c st).
Proof.
  intros ok. unfold discount_reference. destruct (referent c) as [r|]; [|exact ok]. cbv zeta. intros o n.
  change (references (st <| references := ?t |>)) with t. cbn [references set_field setter].
  destruct (N.eqb_spec (or_default 0 (references st !! r) - 1) 0) as [_|some].
  - rewrite find_remove. destruct (o =? r); [discriminate | apply ok].
  - rewrite find_set. destruct (o =? r); [intros same; injection same as <-; exact some | apply ok].
Qed.
Lemma positive_remove slot st : counts_positive st -> counts_positive (remove_capability slot st).
Proof.
  intros ok. unfold remove_capability. destruct (slots st !! slot) as [e|]; [|exact ok]. cbv zeta. apply positive_discount.
  match goal with |- counts_positive (set_field slots _ ?x) => apply (positive_same x); [reflexivity|] end.
  refine (positive_same st _ _ ok). rewrite references_of_change_children. apply references_of_adopt.
Qed.
Lemma positive_quietly : kept_quietly counts_positive (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b _ same _ _ _. exact (positive_same a b same).
  - intros t st. exact (positive_same st _ eq_refl).
  - intros insert t st _. destruct (place_by_same insert t st) as (_ & same & _). exact (positive_same st _ same).
  - intros t st _. exact (positive_same st _ eq_refl).
  - intros o x y st _ _ _ _. exact (positive_same st _ eq_refl).
Qed.
Lemma positive_kept : kept counts_positive (fun _ => True) (fun _ => True).
Proof.
  apply (kept_by_parts _ _ _ positive_quietly); try (intros; exact I).
  - intros slot p o c st _ ok. unfold insert_child. destruct (_ && _); [|exact ok]. apply positive_count.
    exact (positive_same st _ (references_of_change_children (Some p) (cons slot) st) ok).
  - intros slot source o c st _ ok. unfold insert_sibling. destruct (is_empty slot st), (slots st !! source) as [e|]; try exact ok. apply positive_count.
    exact (positive_same st _ (references_of_change_children (parent e) _ st) ok).
  - intros o x st _. exact (positive_same st _ eq_refl).
  - exact positive_remove.
  - intros o st. exact (positive_same st _ eq_refl).
  - intros from to st ok. unfold move_capability. destruct (slots st !! from) as [e|], (is_empty to st); try exact ok. cbv zeta.
    match goal with |- counts_positive (set_field slots _ ?x) => apply (positive_same x); [reflexivity|] end.
    refine (positive_same st _ _ ok). rewrite references_of_change_children. apply references_of_adopt.
  - intros slot e c st _ _ ok. unfold replace_capability. apply positive_count.
    match goal with |- counts_positive (put_entry _ _ ?x) => apply (positive_same x); [reflexivity|] end. exact (positive_discount _ st ok).
Qed.
Lemma positive_at_start p : counts_positive (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  apply (start_by_parts _ _ _ p positive_quietly); try (intros; exact I).
  - intros m o n found. change (references (nothing_yet m)) with (@empty N) in found. rewrite find_empty in found. discriminate.
  - intros o x st _. exact (positive_same st _ eq_refl).
  - intros slot c st _ ok. unfold insert_root. destruct (is_empty slot st); [|exact ok]. apply positive_count. exact (positive_same st _ eq_refl ok).
Qed.
Lemma reachable_positive p st : reachable step p st -> counts_positive st.
Proof. exact (reachable_keeps _ _ _ positive_quietly positive_kept p (positive_at_start p) st). Qed.

(** ** The tree and the counts *)
Lemma tree_tested st : tree_is_right st -> derivation_tree st = true.
Proof.
  intros tree. apply all_entries. intros slot e there. rewrite (once_tested _ (children_once st tree slot e there)). cbn [andb]. apply andb_true_iff. split.
  - apply all_true. intros child listed. apply (children_listed st tree slot e child there) in listed. destruct listed as (x & -> & up). rewrite up.
    apply is_number_same.
  - destruct (parent e) as [up|] eqn:has; [|reflexivity]. assert (is_child st slot up) as under by (exists e; split; [exact there | exact has]).
    destruct (parents_exist st tree slot up under) as (above & found). rewrite found. apply is_member.
    exact (proj2 (children_listed st tree up above slot found) under).
Qed.

Definition refers_to (o : N) (e : N * Entry) : N := weight o (snd e).
Definition count_in (o : N) (l : list (N * Entry)) : N := fold_right (fun e sum => refers_to o e + sum) 0 l.
Lemma counted_in o l : forall t : Table N,
  or_default 0 (fold_left (fun (table : Table N) (e : N * Entry) => match referent (capability (snd e)) with
                                          | Some r => set r (or_default 0 (table !! r) + 1) table | None => table end) l t !! o)
  = or_default 0 (t !! o) + count_in o l.
Proof.
  induction l as [|(k & e) l IH]; intros t; cbn [fold_left count_in fold_right]; [lia|]. rewrite IH. fold (count_in o l).
  unfold refers_to, weight. cbn [snd]. destruct (referent (capability e)) as [r|]; cbn [is_number bit]; [|lia].
  rewrite find_set, (N.eqb_sym r o). destruct (N.eqb_spec o r) as [->|]; cbn [or_default bit]; lia.
Qed.
Lemma counted_positive l : forall t : Table N, (forall o n, t !! o = Some n -> n <> 0) -> forall o n,
  fold_left (fun (table : Table N) (e : N * Entry) => match referent (capability (snd e)) with
                            | Some r => set r (or_default 0 (table !! r) + 1) table | None => table end) l t !! o = Some n -> n <> 0.
Proof.
  induction l as [|(k & e) l IH]; intros t ok; cbn [fold_left]; [exact ok|]. apply IH. cbn [snd].
  destruct (referent (capability e)) as [r|]; [|exact ok]. intros o n. rewrite find_set.
  destruct (o =? r); [intros same; injection same as <-; lia | apply ok].
Qed.
Lemma count_of_is o (t : Table Entry) : count_of o t = count_in o (entries t).
Proof.
  unfold count_of, sum_over. rewrite Map.fold_1. change (Map.elements t) with (entries t).
  assert (forall l sum, fold_left (fun a p => weight o (snd p) + a) l sum = sum + count_in o l) as sums.
  { induction l as [|e l IH]; intros sum; cbn [fold_left count_in fold_right]; [lia|]. rewrite IH. fold (count_in o l). unfold refers_to. lia. }
  etransitivity; [exact (sums (entries t) 0) | lia].
Qed.
Lemma counts_tested st : counts_are_right st -> counts_positive st -> reference_counts st = true.
Proof.
  intros right positive. assert (forall o, or_default 0 (counted_references st !! o) = or_default 0 (references st !! o)) as same.
  { intros o. unfold counted_references. rewrite counted_in, find_empty, (right o), count_of_is. reflexivity. }
  assert (forall a b : Table N, (forall o, or_default 0 (b !! o) = or_default 0 (a !! o)) -> (forall o n, a !! o = Some n -> n <> 0) ->
    all (entries a) (fun '(k, n) => is_number (b !! k) n) = true) as half.
  { intros a b agree some. apply all_entries. intros k n there. pose proof (agree k) as is_n. pose proof (some k n there) as other. rewrite there in is_n.
    cbn [or_default] in is_n. destruct (b !! k) as [m|]; cbn [or_default] in is_n; [subst m; apply is_number_same | congruence]. }
  unfold reference_counts, same_numbers. rewrite (half _ _ same positive), (half (counted_references st) (references st)); [reflexivity | |].
  - intros o. symmetry. exact (same o).
  - apply counted_positive. intros o n. rewrite find_empty. discriminate.
Qed.
Lemma is_counted st slot c o : counts_are_right st -> capability_at slot st = Some c -> referent c = Some o -> is_some (references st !! o) = true.
Proof.
  intros right there named. unfold capability_at in there. destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection there as <-.
  assert (count_of o (slots st) <> 0) as some.
  { unfold count_of. rewrite (sum_over_remove _ slot e _ found). unfold weight. rewrite named, is_number_same. cbn [bit]. lia. }
  rewrite <- (right o) in some. destruct (references st !! o); [reflexivity | contradiction some; reflexivity].
Qed.

(** ** Capabilities and memory *)
Lemma dangling_tested st : capabilities_live st -> interrupts_are_handled st -> (forall slot c, capability_at slot st = Some c -> in_bounds c) ->
  no_dangling_capability st = true.
Proof.
  intros alive handled bounds. apply all_entries. intros slot e there.
  assert (capability_at slot st = Some (capability e)) as held by (unfold capability_at; rewrite there; reflexivity).
  pose proof (none_dangles st alive slot (capability e)) as live_. specialize (bounds slot (capability e) held). unfold refers_well.
  assert (forall o, object_of (capability e) = Some o ->
    match objects st !! o with Some x => is_of_kind (capability e) x | None => false end = true) as there_.
  { intros o named. destruct (live_ o held named) as (x & -> & fits). exact fits. }
  destruct (capability e) eqn:is_c; cbn [object_of referent] in *; try reflexivity; try (rewrite (there_ _ eq_refl); reflexivity).
  - rewrite (there_ _ eq_refl). destruct bounds as (short & fits). apply andb_true_iff. split; [reflexivity|].
    apply andb_true_iff. split; apply N.leb_le; assumption.
  - destruct (proj2 (handled irq) (ex_intro _ slot held)) as (i & ->). reflexivity.
Qed.
Lemma orphans_tested st : memory_is_right st -> counts_are_right st -> no_orphan_object st = true.
Proof.
  intros memory counts. apply all_entries. intros o x there. destruct (objects_have_capabilities st memory o x there) as (slot & c & held & names).
  apply orb_true_iff. destruct (is_zombie c) eqn:zombie.
  - right. apply existsb_exists. unfold capability_at in held. destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection held as <-.
    exists (slot, e). split; [apply in_entries; exact found|]. rewrite zombie, names. apply is_number_same.
  - left. apply (is_counted st slot c o counts held). destruct c; try discriminate; exact names.
Qed.
Lemma disjoint_tested st : memory_is_right st -> objects_disjoint st = true.
Proof.
  intros memory. apply (ascending_sorted before); [|apply entries_sorted]. intros (a & x) (b & y) in_a in_b less. apply in_entries in in_a, in_b.
  unfold before in less. cbn [fst snd] in *. apply N.leb_le. pose proof (positive_size x). pose proof (positive_size y).
  assert (a <> b) as other by lia. destruct (objects_are_apart st memory a b x y in_a in_b other) as [far|far]; cbn [fst snd] in far; lia.
Qed.
Lemma contents_tested st : sound st -> (forall slot c, capability_at slot st = Some c -> in_bounds c) -> untyped_contents st = true.
Proof.
  intros ok bounds. destruct (indices_ok st ok) as (tree & _). apply all_entries. intros slot e there.
  assert (capability_at slot st = Some (capability e)) as held by (unfold capability_at; rewrite there; reflexivity).
  specialize (bounds slot _ held). destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_u; try reflexivity.
  cbn [in_bounds] in bounds. apply andb_true_iff. split; [apply N.leb_le; exact bounds|]. apply all_true. intros child listed.
  apply (children_listed st tree slot e child there) in listed. pose proof listed as under. destruct listed as (c & found & _). rewrite found.
  destruct (extent st (capability c)) as [(start & size)|] eqn:covers; [|reflexivity]. apply child_is in under.
  destruct (lies_within _ _ _ (laid_ok st ok) child slot (capability c) (capability e) (start, size) under (in_slot st child c found) (in_slot st slot e there)
              covers) as (y & ext & (from & _) & used_).
  rewrite is_u in ext, used_. cbn in ext. injection ext as <-. unfold in_use, End_of in used_. cbn [fst snd] in *.
  apply andb_true_iff. split; apply N.leb_le; assumption.
Qed.

(** ** Links *)
Lemma thread_at t x st : objects st !! t = Some (ThreadObject x) -> thread t st = x. Proof. unfold thread. intros ->. reflexivity. Qed.
Lemma context_at c x st : objects st !! c = Some (SchedContextObject x) -> context c st = x. Proof. unfold context. intros ->. reflexivity. Qed.
Lemma notification_at n x st : objects st !! n = Some (NotificationObject x) -> notification n st = x. Proof. unfold notification. intros ->. reflexivity. Qed.
Lemma reply_at r x st : objects st !! r = Some (ReplyObject x) -> reply r st = x. Proof. unfold reply. intros ->. reflexivity. Qed.
Lemma endpoint_at e x st : objects st !! e = Some (EndpointObject x) -> endpoint e st = x. Proof. unfold endpoint. intros ->. reflexivity. Qed.
Lemma contexts_tested st : contexts_are_linked st -> links_are_symmetric st -> (forall t c, yielded_to (thread t st) = Some c <->
  yielder (context c st) = Some t) ->
  context_links st = true.
Proof.
  intros uses links yields. apply all_entries. intros o [|x| |x| |x| | |] there; try reflexivity.
  - apply thread_at in there. destruct (sched_context x) as [c|] eqn:has; [|reflexivity]. rewrite <- there in has.
    rewrite (proj1 (both_had st uses o c) has). apply is_number_same.
  - apply notification_at in there. destruct (lent_context x) as [c|] eqn:lent; [|reflexivity]. rewrite <- there in lent.
    rewrite (proj1 (both_lent st links o c) lent). apply is_number_same.
  - apply context_at in there. repeat (apply andb_true_iff; split).
    + destruct (context_thread x) as [t|] eqn:by_; [|reflexivity]. rewrite <- there in by_. unfold context_of.
      rewrite (proj2 (both_had st uses t o) by_). apply is_number_same.
    + destruct (context_notification x) as [n|] eqn:by_; [|reflexivity]. rewrite <- there in by_. rewrite (proj2 (both_lent st links n o) by_).
      apply is_number_same.
    + destruct (yielder x) as [t|] eqn:by_; [|reflexivity]. rewrite <- there in by_. rewrite (proj2 (yields t o) by_). apply is_number_same.
Qed.
Lemma notifications_tested st : links_are_symmetric st -> (forall t c, yielded_to (thread t st) = Some c <-> yielder (context c st) = Some t) ->
  notification_links st = true.
Proof.
  intros links yields. apply all_entries. intros o [|x| |x| | | | |] there; try reflexivity.
  - apply thread_at in there. apply andb_true_iff. split.
    + destruct (bound_notification x) as [n|] eqn:bound; [|reflexivity]. rewrite <- there in bound. rewrite (proj1 (both_bound st links o n) bound).
      apply is_number_same.
    + destruct (yielded_to x) as [c|] eqn:to; [|reflexivity]. rewrite <- there in to. rewrite (proj1 (yields o c) to). apply is_number_same.
  - apply notification_at in there. destruct (bound_thread x) as [t|] eqn:bound; [|reflexivity]. rewrite <- there in bound.
    rewrite (proj2 (both_bound st links t o) bound). apply is_number_same.
Qed.
Lemma replies_tested st : waits_are_right st -> contexts_are_linked st -> reply_links st = true.
Proof.
  intros waits_ uses. apply all_entries. intros o [|x| | |x|x| | |] there; try reflexivity.
  - apply thread_at in there. destruct (run_state x) as [| |e [r|] q g| | |] eqn:state; try reflexivity.
    assert (says (run_state (thread o st)) (AsReceiver r)) as named by (rewrite there, state; reflexivity).
    apply (stands_where_it_says st waits_) in named. cbn [stands] in named. rewrite named. apply is_number_same.
  - apply reply_at in there. repeat (apply andb_true_iff; split).
    + destruct (caller x) as [t|] eqn:called.
      * rewrite <- there in called. apply (stands_where_it_says st waits_ t (AsCaller o)) in called.
        destruct (run_state (thread t st)) as [| |e [r|] q g| | |]; try contradiction. cbn [says] in called. subst. apply N.eqb_refl.
      * destruct (along x) as [c|] eqn:with_; [|reflexivity]. rewrite <- there in with_, called. contradiction (along_called st uses o c with_ called).
    + destruct (receiver x) as [t|] eqn:got; [|reflexivity]. rewrite <- there in got. apply andb_true_iff. split.
      * apply (stands_where_it_says st waits_ t (AsReceiver o)) in got. destruct (run_state (thread t st)) as [| |e [r|] q g| | |]; try contradiction.
        cbn [says] in got. subst. apply is_number_same.
      * destruct (stands_for_one st waits_ o) as [none|none]; [rewrite <- there, none; reflexivity | congruence].
    + destruct (along x) as [c|] eqn:with_; [|reflexivity]. rewrite <- there in with_. apply is_member. exact (proj1 (both_along st uses o c) with_).
  - apply context_at in there. apply andb_true_iff. split.
    + apply once_tested. rewrite <- there. exact (along_once st uses o).
    + apply all_true. intros r listed. rewrite <- there in listed. rewrite (proj2 (both_along st uses r o) listed). apply is_number_same.
Qed.

(** ** Interrupts, address spaces and the thread that runs *)
Lemma interrupts_tested st : interrupts_are_handled st -> counts_are_right st -> interrupts_have_handlers st = true.
Proof.
  intros handled counts. apply all_entries. intros irq i there. destruct (proj1 (handled irq) (ex_intro _ i there)) as (slot & held).
  exact (is_counted st slot _ (irq_slot irq) counts held eq_refl).
Qed.
Lemma spaces_tested st : pools_right st -> spaces_well_formed st = true.
Proof.
  intros [found given_]. apply andb_true_iff. split.
  - apply all_entries. intros o [| | | | | | | |x] there; try reflexivity. apply andb_true_iff. split.
    + rewrite (proj2 (found (pool_index x) o) (ex_intro _ x (conj there eq_refl))). apply is_number_same.
    + apply all_entries. intros i v names. destruct (given_ o x i v there names) as (_ & t & ->). reflexivity.
  - apply all_entries. intros i o there. apply found in there. destruct there as (x & at_o & is_i). unfold pool. rewrite at_o. apply N.eqb_eq. exact is_i.
Qed.
Lemma current_tested st : settled st -> (forall t, In t (ready st) -> context_of t st <> None) -> current_thread st = true.
Proof.
  intros [first in_use_ no _] has. unfold current_thread. rewrite in_use_, first. unfold context_of_first. apply andb_true_iff. split.
  - destruct (first_ready st); [apply N.eqb_refl | reflexivity].
  - destruct (first_ready st) as [t|] eqn:is_first; [|reflexivity]. pose proof (proj1 (List.find_some _ _ is_first)) as queued_.
    rewrite (no t first). destruct (context_of t st) eqn:of_t; [rewrite N.eqb_refl; reflexivity | contradiction (has t queued_ of_t)].
Qed.

(** ** Refills *)
Lemma sum_tested l start : fold_left (fun sum r => sum + amount r) l start = total l + start.
Proof. revert start. induction l as [|r l IH]; intros start; [reflexivity|]. cbn [fold_left total fold_right]. rewrite IH. fold (total l). lia. Qed.
Lemma refills_tested m st : measured m st -> well_formed_refills st = true.
Proof.
  intros ok. apply all_entries. intros o [| | | | |c| | |] there; try reflexivity. destruct (pieces_fine m st ok o c there) as ((right & sorted & few) &
    [none left_ each]).
  rewrite <- (smallest_same m st (same_machine_ m st ok)) in *. unfold refills_are_right, left_small, is_round_robin, configured in *.
  destruct (refills c) as [|first rest] eqn:l; [apply N.eqb_eq; exact (none eq_refl)|]. cbn [andb tl] in *. repeat (apply andb_true_iff; split).
  - destruct (budget c =? period c).
    + destruct right as (-> & less). apply N.leb_le. exact less.
    + apply N.eqb_eq. rewrite sum_tested. exact right.
  - apply orb_true_iff. destruct left_ as [->|less]; [left; reflexivity | right; apply N.ltb_lt; exact less].
  - apply N.leb_le. exact few.
  - apply (ascending_sorted not_after); [|exact sorted]. intros a b _ _ before_. apply N.leb_le. exact before_.
  - destruct each as [free|[below|each]]; rewrite !orb_true_iff; [left; left; exact free | left; right; apply N.ltb_lt; exact below | right].
    apply forallb_forall. intros r listed. apply N.leb_le. exact (proj1 (Forall_forall _ _) each r listed).
Qed.

(** ** Queues of those who wait *)
Lemma queue_tested st l : NoDup l -> by_rank (rank st) l -> in_order st l = true.
Proof.
  intros once ranked. unfold in_order. rewrite (once_tested l once). apply (ascending_sorted (fun a b => rank st b <= rank st a)); [|exact ranked].
  intros a b _ _ higher. apply N.leb_le. exact higher.
Qed.
Lemma queues_tested st : waits_are_right st -> fit st -> thread_queues st = true.
Proof.
  intros waits_ ok. pose proof (stands_once st waits_) as once. pose proof (a_ranked _ _ _ st ok) as ranked. apply all_entries.
  intros o [|x|x|x| | | | |] there; try reflexivity.
  - apply thread_at in there. pose proof (fun q => proj2 (stands_where_it_says st waits_ o q)) as stood_. rewrite there in stood_.
    destruct (run_state x) as [| |e r q g|e b g gr c l|r g|n] eqn:state.
    + rewrite <- there in *. rewrite (not_awaiting _ _ _ o st ok (fun no => no)); [reflexivity | rewrite state; exact id].
    + rewrite <- there in *. rewrite (not_awaiting _ _ _ o st ok (fun no => no)); [reflexivity | rewrite state; exact id].
    + apply is_member. apply (stood_ (InReceivers e)). destruct r; reflexivity.
    + apply is_member. exact (stood_ (InSenders e) eq_refl).
    + pose proof (stood_ (AsCaller r) eq_refl) as called. cbn [stands] in called. rewrite called. apply is_number_same.
    + apply is_member. exact (stood_ (InWaiters n) eq_refl).
  - apply endpoint_at in there. destruct (once o) as (once_s & once_r & _), (ranked o) as (ranked_s & ranked_r & _). pose proof (a_ends _ _ _ st ok o) as ends.
    pose proof (fun t q => proj1 (stands_where_it_says st waits_ t q)) as says_. rewrite there in *.
    rewrite (queue_tested st _ once_s ranked_s), (queue_tested st _ once_r ranked_r). cbn [andb]. apply andb_true_iff. split; [apply andb_true_iff; split|].
    + destruct ends as [none|none]; rewrite none; [reflexivity | destruct (senders x); reflexivity].
    + apply all_true. intros t listed. assert (stands t (InSenders o) st) as stood by (cbn [stands]; rewrite there; exact listed).
      apply says_ in stood. destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n]; try contradiction; [destruct r; contradiction|].
      cbn [says] in stood. subst. apply N.eqb_refl.
    + apply all_true. intros t listed. assert (stands t (InReceivers o) st) as stood by (cbn [stands]; rewrite there; exact listed).
      apply says_ in stood. destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n]; try contradiction. apply receives_at in stood.
      subst. apply N.eqb_refl.
  - apply notification_at in there. destruct (once o) as (_ & _ & once_w), (ranked o) as (_ & _ & ranked_w).
    pose proof (a_flags _ _ _ st ok o (fun no => no)) as
      flags_. pose proof (fun t q => proj1 (stands_where_it_says st waits_ t q)) as says_. rewrite there in *.
    rewrite (queue_tested st _ once_w ranked_w). cbn [andb]. apply andb_true_iff. split.
    + destruct flags_ as [none|none]; rewrite none; [reflexivity | destruct (waiters x); reflexivity].
    + apply all_true. intros t listed. assert (stands t (InWaiters o) st) as stood by (cbn [stands]; rewrite there; exact listed).
      apply says_ in stood. destruct (run_state (thread t st)) as [| |e r q g|e b g gr c l|r g|n]; try contradiction; [destruct r; contradiction|].
      cbn [says] in stood. subst. apply N.eqb_refl.
Qed.

(** ** The queues of those that can run *)
Lemma not_in_both st t : queues_are_right st -> In t (ready st) -> In t (sleeping st) -> False.
Proof. intros once here there. destruct (proj1 (queues_are_apart st) once) as (_ & _ & apart_). exact (apart_ t here there). Qed.
Lemma is_no_member n l : ~ In n l -> member n l = false.
Proof. intros away. destruct (member n l) eqn:listed; [destruct (away (member_in n l listed)) | reflexivity]. Qed.
Lemma run_queues_tested st : queues_are_right st -> by_rank (rank st) (ready st) -> (forall t, In t (ready st ++ sleeping st) <-> can_run t st) ->
  sleepers_by_time st = true -> run_queues st = true.
Proof.
  intros once ranked can by_time. destruct (proj1 (queues_are_apart st) once) as (once_r & once_s & _). unfold run_queues. fold (sleepers_by_time st).
  rewrite by_time, (queue_tested st _ once_r ranked), (once_tested _ once_s). cbn [andb]. apply andb_true_iff. split.
  - apply all_true. intros t listed. apply can in listed. destruct listed as (runs & c & has & full). unfold is_running, context_of. rewrite runs, has.
    exact full.
  - apply all_entries. intros o [|x| | | | | | |] there; try reflexivity. destruct (run_state x) eqn:state; try reflexivity.
    destruct (sched_context x) as [c|] eqn:has; [|reflexivity]. destruct (configured (context c st)) eqn:full; [|reflexivity]. cbn [negb orb].
    apply thread_at in there. assert (can_run o st) as runs by (rewrite <- there in state, has; split; [exact state | exists c; split; assumption]).
    apply can, in_app_iff in runs. destruct runs as [listed|listed].
    + rewrite (is_member _ _ listed), is_no_member; [reflexivity|]. exact (not_in_both st o once listed).
    + rewrite (is_member _ _ listed), is_no_member; [reflexivity|]. intros other. exact (not_in_both st o once other listed).
Qed.

(** ** The claim *)
(** Claim [states_stay_well_formed]. *)
Theorem states_stay_well_formed_proved : states_stay_well_formed step.
Proof.
  intros p st right short reached. pose proof (roots_differ p right) as apart_. destruct (indices_hold_proved p st reached) as (tree & counts).
  pose proof (reachable_placed p st right reached) as placed_. pose proof (memory_stays_apart_proved p st right reached) as memory.
  pose proof (interrupts_stay_handled_proved p st right reached) as handled. pose proof (threads_wait_where_they_say_proved p st apart_ reached) as waits_.
  pose proof (links_stay_symmetric_proved p st apart_ reached) as links. pose proof (contexts_stay_linked_proved p st apart_ reached) as uses.
  assert (forall slot c, capability_at slot st = Some c -> in_bounds c) as bounds
    by (intros slot c; exact (capabilities_are_in_bounds_proved p st slot c short reached)).
  assert (forall t c, yielded_to (thread t st) = Some c <-> yielder (context c st) = Some t) as yields
    by (intros t c; exact (yields_stay_linked_proved p st t c apart_ reached)).
  assert (sleepers_by_time st = true -> run_queues st = true) as queues_.
  { apply run_queues_tested; [exact (threads_queue_once_proved p st reached) | exact (o_ranked st (reachable_order p st apart_ reached))|].
    intros t. exact (who_can_run_is_queued_proved p st t apart_ reached). }
  unfold broken_invariants. cbv zeta.
  rewrite (tree_tested st tree), (counts_tested st counts (reachable_positive p st reached)),
    (dangling_tested st (no_capability_dangles_proved p st apart_ reached) handled bounds), (orphans_tested st memory counts), (disjoint_tested st memory),
    (contents_tested st (proj1 placed_) bounds), (contexts_tested st uses links yields), (notifications_tested st links yields),
    (replies_tested st waits_ uses), (interrupts_tested st handled counts),
    (refills_tested _ st (reachable_measured p st reached)),
    (queues_tested st waits_ (proj2 (reachable_fit p st apart_ reached))), (spaces_tested st (pools_are st (proj2 placed_))),
    (current_tested st (states_are_settled_proved p st reached)).
  - cbn [app]. rewrite app_nil_r. split; [|split].
    + intros i listed. apply in_app_iff in listed. unfold left_open. cbn [In].
      destruct (slots_in_containers st), (run_queues st); cbn [In] in listed; tauto.
    + intros fits_. rewrite (HouseProofs.rooms_tested st (proj1 placed_) (HouseProofs.reachable_housed p st fits_ reached)).
      intros i listed. unfold left_open. destruct (run_queues st); cbn [app In] in *; tauto.
    + intros by_time listed. rewrite (queues_ by_time), app_nil_r in listed. destruct (slots_in_containers st); [exact listed|].
      destruct listed as [no|[]]. discriminate no.
  - intros t listed no. destruct (proj1 (who_can_run_is_queued_proved p st t apart_ reached)) as (_ & c & has & _); [apply in_app_iff; left; exact listed|].
    unfold context_of in no. congruence.
Qed.
