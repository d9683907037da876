(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What page tables map

    A page comes into a table by Frame::Map only, of a frame capability that is there; whatever else changes tables leaves pages out or as they are. *)
From Coq Require Import Lia.
From Spec Require Export UnitProofs.
Open Scope N_scope.

Definition but_mapping (k : Link) : bool := match k with Mapping => true | _ => false end.
Definition pages_right (p : BootPlan) (x : Table Object) : Prop :=
  forall o t i base bits device r a, x !! o = Some (VSpaceObject t) \/ x !! o = Some (PageTableObject t) ->
    t !! i = Some (Page base bits device r a) -> page_is_right p base bits device r a.
Definition mapped (p : BootPlan) (st : State) : Prop := all_fine (from_boot p) st /\ pages_right p (objects st).

(** ** What leaves pages as they are *)
Lemma pages_fewer p x y : (forall o z, y !! o = Some z -> x !! o = Some z) -> pages_right p x -> pages_right p y.
Proof.
  intros fewer ok o t i base bits device r a [there|there]; apply (ok o t); [left | right]; apply fewer; exact there.
Qed.
Lemma pages_put p o x y : (forall t, y = VSpaceObject t \/ y = PageTableObject t -> forall i base bits device r a,
    t !! i = Some (Page base bits device r a) -> page_is_right p base bits device r a) -> pages_right p x -> pages_right p (set o y x).
Proof.
  intros new ok o' t i base bits device r a. rewrite find_set. destruct (N.eqb_spec o' o) as [->|]; [|apply ok].
  intros there. apply new. destruct there as [there|there]; injection there as ->; [left | right]; reflexivity.
Qed.
Lemma pages_same_but_slots p a b : same_but_slots a b -> pages_right p (objects a) -> pages_right p (objects b).
Proof. unfold same_but_slots. intros same. rewrite same. exact id. Qed.
Lemma inherited p c made : yields c made -> from_boot p c -> from_boot p made.
Proof. intros step_ (root & at_boot & stems). exists root. split; [exact at_boot | exact (made_of root c made stems step_)]. Qed.
Lemma mapped_quietly p : kept_quietly_but but_mapping (mapped p) (fun _ => True) (from_boot p).
Proof.
  constructor; try (intros; exact I).
  - intros a b same_slots _ same_objects _ _ (fine & pages). split; [exact (fine_of_slots _ a b same_slots fine) | rewrite same_objects; exact pages].
  - intros t st ok. exact ok.
  - intros insert t st _ (fine & pages). destruct (place_by_same insert t st) as (same_slots & _ & same_objects).
    split; [exact (fine_of_slots _ st _ same_slots fine) | rewrite same_objects; exact pages].
  - intros t st _ ok. exact ok.
  - intros o x y st there same change _ (fine & pages). split; [exact fine|]. apply pages_put; [|exact pages].
    intros t [-> | ->] i base bits device r a found; destruct y as [| | | | | |u|u|]; try contradiction same;
      apply (pages o u i); first [left; exact there | right; exact there | exact (change eq_refl i base bits device r a found)].
  - intros slot c st (fine & _). rewrite capability_at_in. apply fine.
Qed.
Lemma mapped_kept p : kept_but but_mapping (mapped p) (fun _ => True) (from_boot p).
Proof.
  pose proof (fine_is_kept (from_boot p) (inherited p)) as fine_. constructor; [| | | | | | |exact (inherited p)].
  - intros slot q o c st from fine_c (fine & pages). split; [exact (after_insert_child fine_ slot q o c st from fine_c fine)|].
    exact (pages_same_but_slots p st _ (insert_child_same slot q o c st) pages).
  - intros slot source_ o c st from fine_c (fine & pages). split; [exact (after_insert_sibling fine_ slot source_ o c st from fine_c fine)|].
    exact (pages_same_but_slots p st _ (insert_sibling_same slot source_ o c st) pages).
  - intros u at_ size x slot c st with_it fine_x fine_c (fine & pages). split; [exact (after_carve fine_ u at_ size x slot c st with_it fine_x fine_c fine)|].
    destruct (carve_cases u at_ size x slot c st) as [stuck|cut]; [rewrite stuck; exact pages|].
    destruct cut as (e & base & bits & device & used & _ & _ & _ & _ & _ & _ & _ & _ & objs). rewrite objs. destruct x as [x|]; [|exact pages].
    destruct fine_x as (_ & new). apply pages_put; [|exact pages]. intros t [-> | ->] i; cbn [is_new] in new; rewrite new, find_empty; discriminate.
  - intros slot st free (fine & pages). split; [exact (after_discard fine_ slot st free fine)|]. unfold discard.
    pose proof (pages_same_but_slots p st _ (remove_capability_same slot st) pages) as removed.
    destruct (capability_at slot st) as [c|]; [|exact pages]. destruct (object_of c) as [o|]; [|exact removed].
    destruct (_ || _); [|exact removed]. revert removed. apply pages_fewer. intros o' z.
    change (objects (remove_object o (remove_capability slot st))) with (remove o (objects (remove_capability slot st))). rewrite find_remove.
    destruct (o' =? o); [discriminate | exact id].
  - intros from to st (fine & pages). split; [exact (after_move_capability fine_ from to st fine)|].
    exact (pages_same_but_slots p st _ (move_capability_same from to st) pages).
  - intros slot c st fine_c (fine & pages). split; [exact (after_change_capability fine_ slot c st fine_c fine)|]. unfold change_capability.
    destruct (slots st !! slot) as [e|]; [|exact pages]. destruct (_ && _); [|exact pages].
    exact (pages_same_but_slots p st _ (replace_capability_same slot e c st) pages).
  - intros slot st free fine_z (fine & pages). split; [exact (after_make_zombie fine_ slot st free fine_z fine)|]. unfold make_zombie.
    destruct (slots st !! slot) as [e|]; [|exact pages]. destruct (container_of _ _); [|exact pages].
    exact (pages_same_but_slots p st _ (replace_capability_same slot e _ st) pages).
Qed.

(** ** Frame::Map *)
Lemma one_bit word low : bits_of word low 1 = 0 \/ bits_of word low 1 = 1.
Proof.
  unfold bits_of. rewrite N.land_ones. change (2 ^ 1) with 2. pose proof (N.mod_lt (N.shiftr word low) 2 ltac:(discriminate)) as less. revert less.
  generalize (N.shiftr word low mod 2). lia.
Qed.
Lemma registers_are_not_executed w : VMAttributes.execute_never (mapping_attributes w true) = 1.
Proof.
  unfold mapping_attributes, VMAttributes.make, VMAttributes.cacheable, VMAttributes.execute_never.
  destruct (one_bit w 0) as [-> | ->], (one_bit w 2) as [-> | ->]; reflexivity.
Qed.
Lemma frame_is_right p base bits device r q mask w :
  from_boot p (FrameCap base bits device r q) -> page_is_right p base bits device (mapping_rights r mask) (mapping_attributes w device).
Proof.
  intros (root & at_boot & stems). constructor.
  - destruct (stems_memory root _ base bits device stems eq_refl) as (base0 & bits0 & found & above & below_). exists root, base0, bits0.
    repeat split; assumption.
  - unfold mapping_rights. cbn [can_write can_read]. intros both. apply andb_prop in both. exact (proj2 both).
  - intros ->. apply registers_are_not_executed.
Qed.
Lemma set_page p table i base bits device r a st : page_is_right p base bits device r a -> mapped p st ->
  mapped p (set_page_entry table i (Page base bits device r a) st).
Proof.
  intros right ok. unfold set_page_entry, change_table. destruct (objects st !! table) as [[| | | | | |u|u|]|] eqn:there; try exact ok.
  all: destruct ok as (fine & pages); (split; [exact fine|]); apply pages_put; [|exact pages].
  all: intros t [same|same]; [discriminate same || injection same as <- | injection same as <- || discriminate same].
  all: intros j base' bits' device' r' a'; rewrite find_set; destruct (j =? i); [intros names; injection names as <- <- <- <- <-; exact right|].
  all: apply (pages table u); first [left; exact there | right; exact there].
Qed.
Lemma frame_map_mapped p vaddr rights attributes vspace call st :
  capability_at (invoked_slot call) st = Some (invoked call) -> mapped p st ->
  match frame_map vaddr rights attributes vspace call st with Perform work => mapped p (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros there ok. unfold frame_map, vspace_argument. destruct (invoked call) as [| | | | | | | | | |base bits device r q| | | | | | | |]; try exact I.
  assert (from_boot p (FrameCap base bits device r q)) as fine by (rewrite capability_at_in in there; exact (proj1 ok _ _ there)).
  destruct (argument vspace) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|]; try exact I.
  cbv zeta beta. repeat match goal with
    | |- match (if ?x then _ else _) with _ => _ end => destruct x; try exact I
    | |- match (match ?x with _ => _ end) with _ => _ end => destruct x; try exact I
    end.
  all: cbn [always state_after]; apply (after_change_capability (mapped_kept p));
    [exact (inherited p _ _ (other_place_of_frame _ _ _ _ _ _) fine) | apply set_page; [exact (frame_is_right p base bits device r q _ _ fine)|]].
  all: try (destruct (match _ with Some _ => _ | None => _ end)); exact ok.
Qed.
Lemma mapped_operations p : operations but_mapping (mapped p).
Proof.
  constructor; [left; reflexivity|]. intros m. destruct m; try (left; reflexivity). right. intros call st _ (there & _) ok. unfold decode_method.
  exact (frame_map_mapped p _ _ _ _ call st there ok).
Qed.

(** ** Boot *)
Lemma mapped_at_start p : mapped p (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  split; [apply fine_at_start; intros c at_boot; exists c; split; [exact at_boot | constructor]|].
  assert (forall l st, pages_right p (objects st) ->
    pages_right p (objects (fold_left (fun st entry => insert_root (fst entry) (snd entry) st) l st))) as roots.
  { induction l as [|(slot & c) l IH]; intros st ok; [exact ok|]. apply IH. exact (pages_same_but_slots p st _ (insert_root_same slot c st) ok). }
  apply roots. rewrite root_objects.
  repeat (apply pages_put; [intros t [same|same]; try discriminate same; injection same as <-; intros i; rewrite find_empty; discriminate|]).
  intros o t i base bits device r a [there|there]; change (objects (nothing_yet (boot_machine p))) with (@empty Object) in there; rewrite find_empty in there;
    discriminate.
Qed.

(** Claim [pages_stay_right]. *)
Theorem pages_stay_right_proved : pages_stay_right step.
Proof.
  intros p st o i base bits device r a reached.
  pose proof (@reachable_keeps_but _ _ _ _ (mapped_quietly p) (mapped_kept p) (mapped_operations p) p (mapped_at_start p) eq_refl st reached) as (_ & pages).
  unfold table_entries. destruct (objects st !! o) as [[| | | | | |t|t|]|] eqn:there; try (rewrite find_empty; discriminate);
    apply (pages o t); [left | right]; exact there.
Qed.
