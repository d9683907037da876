(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The queues of those that can run

    A thread leaves both queues before it comes to one. And what changes slots changes nothing else. *)
From Coq Require Import Lia.
From Spec Require Export StepProofs.
Open Scope N_scope.

(** ** What changes slots leaves the rest *)
Definition same_but_slots (a b : State) : Prop := b = a <| slots := slots b |> <| references := references b |> <| effects := effects b |>.
Lemma same_slots_refl st : same_but_slots st st. Proof. destruct st. reflexivity. Qed.
Lemma same_slots_trans a b c : same_but_slots a b -> same_but_slots b c -> same_but_slots a c.
Proof. unfold same_but_slots. intros -> ->. reflexivity. Qed.
Lemma change_children_same p f st : same_but_slots st (change_children p f st). Proof. destruct p, st; reflexivity. Qed.
Lemma count_reference_same c st : same_but_slots st (count_reference c st).
Proof. unfold count_reference. destruct (referent c); destruct st; reflexivity. Qed.
Lemma discount_reference_same c st : same_but_slots st (discount_reference c st).
Proof. unfold discount_reference. cbv zeta. destruct (referent c); destruct st; reflexivity. Qed.
Lemma adopt_same p l st : same_but_slots st (adopt p l st).
Proof.
  unfold adopt. revert st. induction l as [|child l IH]; intros st; [apply same_slots_refl|]. simpl.
  apply (same_slots_trans st (change_entry child (with_parent p) st)); [destruct st; reflexivity | apply IH].
Qed.
Lemma set_slots_same t st : same_but_slots st (st <| slots := t |>). Proof. destruct st. reflexivity. Qed.
Lemma emit_same e st : same_but_slots st (emit e st). Proof. destruct st. reflexivity. Qed.
Ltac slots_only := repeat first [apply count_reference_same | apply discount_reference_same | eapply same_slots_trans; [|apply count_reference_same]
  | eapply same_slots_trans; [|apply discount_reference_same] | eapply same_slots_trans; [|apply set_slots_same]
  | eapply same_slots_trans; [|apply change_children_same] | apply change_children_same | apply adopt_same | apply emit_same | apply same_slots_refl].
Lemma insert_child_same slot p o c st : same_but_slots st (insert_child slot p o c st).
Proof. unfold insert_child, put_entry. destruct (_ && _); slots_only. Qed.
Lemma insert_sibling_same slot source o c st : same_but_slots st (insert_sibling slot source o c st).
Proof. unfold insert_sibling, put_entry. destruct (is_empty slot st), (slots st !! source) as [e|]; slots_only. Qed.
Lemma insert_root_same slot c st : same_but_slots st (insert_root slot c st).
Proof. unfold insert_root, put_entry. destruct (is_empty slot st); slots_only. Qed.
Lemma remove_capability_same slot st : same_but_slots st (remove_capability slot st).
Proof. unfold remove_capability. destruct (slots st !! slot) as [e|]; [fold (adopt (parent e) (children e) st)|]; slots_only. Qed.
Lemma move_capability_same from to st : same_but_slots st (move_capability from to st).
Proof.
  unfold move_capability. destruct (slots st !! from) as [e|], (is_empty to st); try apply emit_same. fold (adopt (Some to) (children e) st). slots_only.
Qed.
Lemma replace_capability_same slot e c st : same_but_slots st (replace_capability slot e c st).
Proof. unfold replace_capability, put_entry. slots_only. Qed.
(** A property that looks at none of this is kept by what changes slots. *)
Lemma slots_keep (invariant : State -> Prop) (fine_context : SchedContext -> Prop) :
  kept_quietly invariant fine_context (fun _ => True) -> (forall a b, same_but_slots a b -> invariant a -> invariant b) ->
  (forall o x st, fine_object fine_context x -> invariant st -> invariant (put_object o x st)) ->
  (forall o st, invariant st -> invariant (remove_object o st)) -> kept invariant fine_context (fun _ => True).
Proof.
  intros quiet blind put removed. apply (kept_by_parts _ _ _ quiet); try (intros; exact I); try assumption; intros; (eapply blind; [|eassumption]).
  - apply insert_child_same.
  - apply insert_sibling_same.
  - apply remove_capability_same.
  - apply move_capability_same.
  - apply replace_capability_same.
Qed.

(** ** The queues *)
Lemma queues_are_apart st : queues_are_right st <-> NoDup (ready st) /\ NoDup (sleeping st) /\ forall t, In t (ready st) -> ~ In t (sleeping st).
Proof.
  unfold queues_are_right. induction (ready st) as [|first rest IH]; simpl.
  - split; [intros once; repeat split; [constructor | exact once | contradiction] | intros (_ & once & _); exact once].
  - rewrite !NoDup_cons_iff, in_app_iff, IH. split.
    + intros (new & (once & others & apart)). repeat split; [tauto | exact once | exact others|]. intros t [<-|more]; [tauto | exact (apart t more)].
    + intros ((new & once) & others & apart). repeat split; [|exact once | exact others | intros t more; apply apart; right; exact more].
      intros [more|more]; [exact (new more) | exact (apart first (or_introl eq_refl) more)].
Qed.
Lemma in_without n t l : In n (without t l) <-> In n l /\ n <> t.
Proof. unfold without. rewrite filter_In, negb_true_iff, N.eqb_neq. tauto. Qed.
Lemma once_without t l : NoDup l -> NoDup (without t l). Proof. apply NoDup_filter. Qed.

(** Who is inserted stands there, and all others as before. *)
Definition inserts (insert : N -> list N -> State -> list N) : Prop :=
  forall t l st, exists a b, l = a ++ b /\ insert t l st = a ++ t :: b.
Lemma insert_by_inserts precedes t l : exists a b, l = a ++ b /\ insert_by precedes t l = a ++ t :: b.
Proof.
  induction l as [|first rest (a & b & cut & IH)]; [exists [], []; split; reflexivity|]. simpl.
  destruct (precedes first); [exists [], (first :: rest); split; reflexivity|]. exists (first :: a), b. rewrite IH, cut. split; reflexivity.
Qed.
Lemma behind_inserts : inserts insert_behind. Proof. intros t l st. apply insert_by_inserts. Qed.
Lemma ahead_inserts : inserts insert_ahead. Proof. intros t l st. apply insert_by_inserts. Qed.
Lemma by_time_inserts : inserts insert_by_time. Proof. intros t l st. apply insert_by_inserts. Qed.
Lemma inserted_once insert t l st : inserts insert -> NoDup l -> ~ In t l -> NoDup (insert t l st).
Proof.
  intros inserting once new. destruct (inserting t l st) as (a & b & -> & ->). apply NoDup_Add with (a := t) (l := a ++ b); [apply Add_app|].
  split; assumption.
Qed.
Lemma in_inserted insert t l st n : inserts insert -> (In n (insert t l st) <-> n = t \/ In n l).
Proof. intros inserting. destruct (inserting t l st) as (a & b & -> & ->). rewrite !in_app_iff. simpl. intuition congruence. Qed.

Lemma unplace_queues t st : queues_are_right st -> queues_are_right (unplace t st).
Proof.
  rewrite !queues_are_apart. change (ready (unplace t st)) with (without t (ready st)). change (sleeping (unplace t st)) with (without t (sleeping st)).
  intros (once & others & apart). repeat split; [apply once_without; exact once | apply once_without; exact others|].
  intros n. rewrite !in_without. intros (listed & _) (sleeps & _). exact (apart n listed sleeps).
Qed.
Lemma place_queues insert t st : inserts insert -> queues_are_right st -> queues_are_right (place_by insert t st).
Proof.
  intros usual ok. pose proof (unplace_queues t st ok) as unplaced. unfold place_by. cbv zeta.
  assert (~ In t (ready (unplace t st))) as not_ready.
  { change (ready (unplace t st)) with (without t (ready st)). rewrite in_without. tauto. }
  assert (~ In t (sleeping (unplace t st))) as not_asleep.
  { change (sleeping (unplace t st)) with (without t (sleeping st)). rewrite in_without. tauto. }
  set (chosen := if is_number (ahead _) t then insert_ahead else if is_number (behind _) t then insert_behind else insert).
  assert (inserts chosen) as inserting
    by (unfold chosen; destruct (is_number _ t); [exact ahead_inserts | destruct (is_number _ t); [exact behind_inserts | exact usual]]).
  clearbody chosen. revert unplaced not_ready not_asleep. generalize (unplace t st). clear st ok. intros st ok not_ready not_asleep.
  destruct (is_running t st), (context_of t st) as [c|]; try exact ok. destruct (negb _); [exact ok|].
  apply queues_are_apart in ok. destruct ok as (once & others & apart).
  destruct (usable _ _); apply queues_are_apart; (repeat split; [| |]).
  - exact (inserted_once chosen t (ready st) st inserting once not_ready).
  - exact others.
  - intros n. change (In n (chosen t (ready st) st) -> ~ In n (sleeping st)). rewrite (in_inserted chosen t _ _ n inserting).
    intros [->|listed]; [exact not_asleep | exact (apart n listed)].
  - exact once.
  - exact (inserted_once insert_by_time t (sleeping st) st by_time_inserts others not_asleep).
  - intros n listed. change (~ In n (insert_by_time t (sleeping st) st)). rewrite (in_inserted insert_by_time t _ _ n by_time_inserts).
    intros [->|sleeps]; [exact (not_ready listed) | exact (apart n listed sleeps)].
Qed.
Lemma member_in t l : member t l = true -> In t l.
Proof. unfold member. rewrite existsb_exists. intros (n & listed & same). apply N.eqb_eq in same. subst n. exact listed. Qed.
Lemma queues_are_kept_quietly : kept_quietly queues_are_right (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b _ _ _ same_ready same_sleeping. unfold queues_are_right. rewrite same_ready, same_sleeping. exact id.
  - exact unplace_queues.
  - intros insert t st [<-|[<-|none]]; [exact (place_queues _ t st behind_inserts) | exact (place_queues _ t st ahead_inserts) | contradiction].
  - intros t st asleep ok. apply member_in in asleep. apply queues_are_apart in ok. destruct ok as (once & others & apart).
    apply queues_are_apart. split; [exact once|]. split.
    + change (NoDup (insert_by_time t (without t (sleeping st)) st)). apply (inserted_once _ _ _ _ by_time_inserts); [apply once_without; exact others|].
      rewrite in_without. tauto.
    + intros n listed. change (~ In n (insert_by_time t (without t (sleeping st)) st)). rewrite (in_inserted _ _ _ _ n by_time_inserts), in_without.
      intros [->|(sleeps & _)]; [exact (apart t listed asleep) | exact (apart n listed sleeps)].
  - intros o x y st _ _ _ _ ok. exact ok.
Qed.

(** Claim [threads_queue_once]. *)
Lemma queues_blind a b : same_but_slots a b -> queues_are_right a -> queues_are_right b.
Proof. intros same. unfold queues_are_right. rewrite same. exact id. Qed.
Theorem threads_queue_once_proved : threads_queue_once step.
Proof.
  intros p st. apply (reachable_keeps queues_are_right (fun _ => True) (fun _ => True) queues_are_kept_quietly).
  - apply slots_keep; [exact queues_are_kept_quietly | exact queues_blind | |]; intros; assumption.
  - apply (start_by_parts _ _ _ p queues_are_kept_quietly); try (intros; exact I); try (intros; assumption).
    + intros m. constructor.
    + intros slot c before _. exact (queues_blind _ _ (insert_root_same slot c before)).
Qed.
