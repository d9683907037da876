(* SPDX-License-Identifier: BSD-2-Clause *)
(** * A unit of deletion

    What is linked to an object is unlinked before the object goes. Whatever the links are, a unit of deletion keeps an invariant of theirs
    when its few pieces do: this file puts the pieces together. *)
From Coq Require Import Lia.
From Spec Require Export LiveProofs.
Open Scope N_scope.

(** ** What leaves the tables of capabilities as they are *)
Lemma tables_are_kept_quietly l r : kept_quietly (fun st => slots st = l /\ references st = r) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same_slots same_references _ _ _ (is_l & is_r). split; congruence.
  - intros t st ok. exact ok.
  - intros insert t st _ (is_l & is_r). destruct (place_by_same insert t st) as (same_slots & same_references & _). split; congruence.
  - intros t st _ ok. exact ok.
  - intros o x y st _ _ _ _ ok. exact ok.
Qed.
Lemma let_go_tables c st : slots (let_go c st) = slots st /\ references (let_go c st) = references st.
Proof. exact (@keeps_let_go _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) c eq_refl eq_refl eq_refl eq_refl st (conj eq_refl eq_refl)). Qed.
Lemma end_thread_tables t st : slots (end_thread t st) = slots st /\ references (end_thread t st) = references st.
Proof. exact (@keeps_end_thread _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) t eq_refl eq_refl st (conj eq_refl eq_refl)). Qed.
Lemma capability_same slot a b : slots b = slots a -> capability_at slot b = capability_at slot a.
Proof. unfold capability_at. intros ->. reflexivity. Qed.
Lemma is_last_same c a b : references b = references a -> is_last c b = is_last c a.
Proof. unfold is_last. intros ->. reflexivity. Qed.
Lemma container_same c a b : references b = references a -> container_of c b = container_of c a.
Proof. intros same. unfold container_of. destruct c; rewrite ?(is_last_same _ a b same); reflexivity. Qed.
Lemma zombie_contains c st : container_of c st = None -> is_zombie c = false.
Proof. destruct c; try reflexivity. discriminate. Qed.

(** A slot whose container ends holds its zombie, and no other slot changes. *)
Lemma become_zombie_slots s c st o : capability_at s st = Some c -> container_of c st = Some o ->
  forall j, capability_at j (become_zombie s c st) = if j =? s then Some (ZombieCap o) else capability_at j st.
Proof.
  intros there container j. unfold become_zombie. set (ended := match c with TCBCap t => end_thread t st | _ => st end).
  assert (slots ended = slots st /\ references ended = references st) as (same_slots & same_references)
    by (unfold ended; destruct c; first [apply end_thread_tables | split; reflexivity]).
  unfold capability_at in there. destruct (slots st !! s) as [e|] eqn:found; [|discriminate]. injection there as is_c.
  unfold make_zombie. rewrite same_slots, found, is_c, (container_same c st ended same_references), container.
  rewrite capability_at_in, (in_replace s e (ZombieCap o) ended) by (rewrite same_slots; exact found).
  rewrite <- capability_at_in. rewrite (capability_same j st ended same_slots). reflexivity.
Qed.

(** ** The pieces put together *)
Section Plainly.
Variable inv : State -> Prop.
Hypothesis moved : forall from to st, inv st -> inv (move_capability from to st).
Hypothesis zombie_discarded : forall s o st, inv st -> capability_at s st = Some (ZombieCap o) -> inv (discard s st).
Hypothesis become_kept : forall s c st, inv st -> capability_at s st = Some c -> inv (become_zombie s c st).
Hypothesis plain_kept : forall s c st, inv st -> capability_at s st = Some c -> container_of c st = None -> inv (delete_plain s c st).

Lemma one_kept s c st : inv st -> capability_at s st = Some c -> container_of c st = None -> inv (delete_one s c st).
Proof.
  intros ok there none. pose proof (plain_kept s c st ok there none) as plain. unfold delete_one. destruct c; try exact plain.
  destruct (is_last _ st); [|exact plain].
  destruct (capability_at (irq_slot irq) st) as [[]|] eqn:bound; try exact plain. exact (plain_kept _ _ st ok bound eq_refl).
Qed.
Lemma exchanged a b st : inv st -> inv (exchange_capabilities a b st).
Proof. intros ok. unfold exchange_capabilities. do 3 apply moved. exact ok. Qed.
Lemma meet_inner_kept anchor s outer inner st :
  inv st -> capability_at s st = Some (ZombieCap inner) -> capability_at anchor st = Some (ZombieCap outer) ->
  inv (snd (meet_inner anchor s outer inner st)).
Proof.
  intros ok at_s at_anchor. unfold meet_inner.
  destruct (_ && _); [exact (zombie_discarded s inner st ok at_s)|]. destruct (is_within anchor inner st); [apply exchanged; exact ok|].
  destruct (_ && _); [apply moved; exact (zombie_discarded anchor outer st ok at_anchor)|]. cbn [snd]. unfold rotate_zombies. cbv zeta.
  apply moved, moved. destruct (is_empty _ _); [|apply moved]; apply moved; exact ok.
Qed.
Lemma empty_kept anchor outer st : inv st -> capability_at anchor st = Some (ZombieCap outer) -> inv (snd (empty_zombie anchor outer st)).
Proof.
  intros ok there. unfold empty_zombie. cbv zeta. destruct (last_occupied outer st) as [(s & c)|] eqn:last;
    [|exact (zombie_discarded anchor outer st ok there)].
  assert (capability_at s st = Some c) as at_s.
  { unfold last_occupied in last. destruct (last_below _ _) as [(k & e)|] eqn:found; [|discriminate]. destruct (_ <=? _); [|discriminate].
    injection last as -> <-. apply last_below_found in found. destruct found as (_ & found). unfold capability_at. rewrite found. reflexivity. }
  destruct (N.eqb_spec s anchor) as [->|other].
  - destruct (_ =? _); [exact (zombie_discarded anchor outer st ok there)|]. cbn [snd]. unfold to_first_slot.
    destruct (is_empty _ _); [apply moved | apply exchanged]; exact ok.
  - destruct (container_of c st) as [inner|] eqn:container; [|exact (one_kept s c st ok at_s container)].
    apply meet_inner_kept; [exact (become_kept s c st ok at_s) | |]; rewrite (become_zombie_slots s c st inner at_s container).
    + rewrite N.eqb_refl. reflexivity.
    + destruct (N.eqb_spec anchor s) as [same|]; [congruence | exact there].
Qed.
Theorem unit_kept_plainly anchor st : inv st -> inv (snd (delete_unit anchor st)).
Proof.
  intros ok. unfold delete_unit. destruct (capability_at anchor st) as [c|] eqn:there; [|exact ok].
  assert (inv (snd match container_of c st with
                   | Some _ => (anchor, become_zombie anchor c st)
                   | None => (anchor, delete_one anchor c st)
                   end)) as usual.
  { destruct (container_of c st) as [o|] eqn:container; [exact (become_kept anchor c st ok there) | exact (one_kept anchor c st ok there container)]. }
  destruct c; try exact usual. exact (empty_kept anchor container st ok there).
Qed.
End Plainly.

(** What is no container goes when nobody waits on it any more, and a pool when none of its ASIDs is left. *)
Section Pieces.
Variable inv : State -> Prop.
Hypothesis moved : forall from to st, inv st -> inv (move_capability from to st).
Hypothesis zombie_discarded : forall s o st, inv st -> capability_at s st = Some (ZombieCap o) -> inv (discard s st).
Hypothesis become_kept : forall s c st, inv st -> capability_at s st = Some c -> inv (become_zombie s c st).
Hypothesis gone : forall s c st, inv st -> capability_at s st = Some c -> container_of c st = None -> (waiting_on c st = [] \/ is_last c st = false) ->
  inv (discard s (let_go c st)).
Hypothesis restarted : forall s c t st, inv st -> capability_at s st = Some c -> In t (waiting_on c st) -> inv (restart t st).
Hypothesis asid_released : forall v a st, inv st -> inv (release_asid v a st).

Lemma plain_kept s c st : inv st -> capability_at s st = Some c -> container_of c st = None -> inv (delete_plain s c st).
Proof.
  intros ok there none. unfold delete_plain.
  destruct (is_last c st) eqn:last; [|exact (gone s c st ok there none (or_intror last))].
  destruct (waiting_on c st) as [|t l] eqn:waits_; [|apply (restarted s c t st ok there); rewrite waits_; left; reflexivity].
  pose proof (gone s c st ok there none (or_introl waits_)) as away. destruct c; try exact away.
  destruct (first_assigned pool st) as [(index & v)|]; [apply asid_released; exact ok | exact away].
Qed.
Theorem unit_kept_by anchor st : inv st -> inv (snd (delete_unit anchor st)).
Proof. exact (unit_kept_plainly inv moved zombie_discarded become_kept plain_kept anchor st). Qed.
End Pieces.

(** An object that is [unlinked] can go. *)
Section Units.
Variable inv : State -> Prop.
Variable unlinked : N -> State -> Prop.
Hypothesis zombies_unlinked : forall s o st, inv st -> capability_at s st = Some (ZombieCap o) -> unlinked o st.
Hypothesis discarded : forall s st, inv st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> unlinked o st) -> inv (discard s st).
Hypothesis moved : forall from to st, inv st -> inv (move_capability from to st).
Hypothesis made_zombie : forall s st, inv st -> (forall t, capability_at s st = Some (TCBCap t) -> unlinked t st) -> inv (make_zombie s st).
Hypothesis thread_ends : forall s t st, inv st -> capability_at s st = Some (TCBCap t) -> inv (end_thread t st) /\ unlinked t (end_thread t st).
Hypothesis let_go_first : forall s c st, inv st -> capability_at s st = Some c -> container_of c st = None ->
  (waiting_on c st = [] \/ is_last c st = false) ->
  inv (let_go c st) /\ (is_last c st = true -> forall o, object_of c = Some o -> unlinked o (let_go c st)).
Hypothesis restarted : forall s c t st, inv st -> capability_at s st = Some c -> In t (waiting_on c st) -> inv (restart t st).
Hypothesis asid_released : forall v a st, inv st -> inv (release_asid v a st).

Lemma gone s c st : inv st -> capability_at s st = Some c -> container_of c st = None -> (waiting_on c st = [] \/ is_last c st = false) ->
  inv (discard s (let_go c st)).
Proof.
  intros ok there no_container alone_. destruct (let_go_first s c st ok there no_container alone_) as (after & ends).
  destruct (let_go_tables c st) as (same_slots & same_references). apply discarded; [exact after|]. intros c' o at_s names last.
  rewrite (capability_same s st _ same_slots), there in at_s. injection at_s as <-. rewrite (zombie_contains c st no_container) in last.
  rewrite (is_last_same c st _ same_references) in last. exact (ends last o names).
Qed.
Lemma become_kept s c st : inv st -> capability_at s st = Some c -> inv (become_zombie s c st).
Proof.
  intros ok there. unfold become_zombie. destruct c; try (apply made_zombie; [exact ok | intros t at_s; congruence]).
  destruct (thread_ends s thread st ok there) as (after & free). apply made_zombie; [exact after|]. intros t at_s.
  rewrite (capability_same s st _ (proj1 (end_thread_tables thread st))), there in at_s. injection at_s as <-. exact free.
Qed.
Lemma zombie_discarded s o st : inv st -> capability_at s st = Some (ZombieCap o) -> inv (discard s st).
Proof.
  intros ok there. apply discarded; [exact ok|]. intros c o' at_s names _. rewrite there in at_s. injection at_s as <-.
  cbn [object_of] in names. injection names as <-. exact (zombies_unlinked s o st ok there).
Qed.
Theorem unit_kept anchor st : inv st -> inv (snd (delete_unit anchor st)).
Proof. exact (unit_kept_by inv moved zombie_discarded become_kept gone restarted asid_released anchor st). Qed.
End Units.
