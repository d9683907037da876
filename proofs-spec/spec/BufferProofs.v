(* SPDX-License-Identifier: BSD-2-Clause *)
(** * A thread outlives the deletion of its slots

    While the capability in a slot of a thread is deleted the thread may lose its last capability, but it does not go: either the slot that is being deleted
    is the thread's, and there is no zombie of it, or its zombie lies in the thread itself, in another slot. No unit of the deletion discards that zombie. *)
From Coq Require Import Lia.
From Spec Require Export ContainerProofs FirmProofs.
Open Scope N_scope.

(** ** What leaves the thread and all slots as they are *)
Definition rests (t : N) (l : Table Entry) (r : Table N) (st : State) : Prop := (slots st = l /\ references st = r) /\ thread_exists t st = true.
Lemma exists_same t a b : objects b = objects a -> thread_exists t a = true -> thread_exists t b = true.
Proof. unfold thread_exists. intros ->. exact id. Qed.
Lemma exists_but_slots t a b : same_but_slots a b -> thread_exists t a = true -> thread_exists t b = true.
Proof. unfold same_but_slots. intros ->. exact id. Qed.
Lemma rests_quietly t l r : kept_quietly (rests t l r) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _ ((is_l & is_r) & there). split; [split; congruence|].
    exact (exists_same t a b same_objects there).
  - intros u st ok. exact ok.
  - intros insert u st _ ((is_l & is_r) & there). destruct (place_by_same insert u st) as (same_slots & same_references & same_objects).
    split; [split; congruence | exact (exists_same t st _ same_objects there)].
  - intros u st _ ok. exact ok.
  - intros o x y st found kind _ _ (tables_ & there). split; [exact tables_|]. unfold thread_exists.
    change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set. destruct (N.eqb_spec t o) as [->|]; [|exact there].
    unfold thread_exists in there. rewrite found in there. destruct y; try discriminate there. destruct x; try contradiction. reflexivity.
Qed.
Lemma rests_let_go t c st : thread_exists t st = true -> rests t (slots st) (references st) (let_go c st).
Proof.
  intros there. exact (@keeps_let_go _ _ _ _ (rests_quietly t (slots st) (references st)) c eq_refl eq_refl eq_refl eq_refl st (conj (conj eq_refl eq_refl)
    there)).
Qed.
Lemma rests_restart t u st : thread_exists t st = true -> rests t (slots st) (references st) (restart u st).
Proof. intros there. exact (@keeps_restart _ _ _ _ (rests_quietly t (slots st) (references st)) u eq_refl st (conj (conj eq_refl eq_refl) there)). Qed.
Lemma rests_release t v a st : thread_exists t st = true -> rests t (slots st) (references st) (release_asid v a st).
Proof.
  intros there. exact (@release_asid_freely _ _ _ _ (rests_quietly t (slots st) (references st)) v a eq_refl st (conj (conj eq_refl eq_refl) there)).
Qed.
Lemma rests_end t u st : thread_exists t st = true -> rests t (slots st) (references st) (end_thread u st).
Proof.
  intros there. exact (@keeps_end_thread _ _ _ _ (rests_quietly t (slots st) (references st)) u eq_refl eq_refl st (conj (conj eq_refl eq_refl) there)).
Qed.

(** ** What discards and moves do *)
Lemma discard_caps s st j : capability_at j (discard s st) = if j =? s then None else capability_at j st.
Proof.
  unfold discard. destruct (capability_at s st) as [c|] eqn:at_s.
  - assert (capability_at j (remove_capability s st) = if j =? s then None else capability_at j st) as caps
      by (rewrite !capability_at_in; apply in_remove_capability).
    destruct (object_of c) as [o|], (is_zombie c || is_last c st); exact caps.
  - destruct (N.eqb_spec j s) as [->|]; [exact at_s | reflexivity].
Qed.
Lemma discard_exists t s st : (forall c, capability_at s st = Some c -> object_of c = Some t -> is_zombie c || is_last c st = true -> False) ->
  thread_exists t st = true -> thread_exists t (discard s st) = true.
Proof.
  intros others there. unfold discard. destruct (capability_at s st) as [c|] eqn:at_s; [|exact there].
  assert (thread_exists t (remove_capability s st) = true) as away
    by (apply (exists_same t st); [exact (objects_of_remove_capability s st) | exact there]).
  destruct (object_of c) as [o|] eqn:names; [|exact away]. destruct (is_zombie c || is_last c st) eqn:last; [|exact away].
  unfold thread_exists. change (objects (remove_object o ?x)) with (remove o (objects x)). rewrite find_remove.
  destruct (N.eqb_spec t o) as [same|]; [|exact away]. subst o. destruct (others c eq_refl names last).
Qed.
Lemma discard_zombie_exists t s o st : capability_at s st = Some (ZombieCap o) -> o <> t -> thread_exists t st = true ->
  thread_exists t (discard s st) = true.
Proof. intros at_s other. apply discard_exists. intros c is_c names _. rewrite at_s in is_c. injection is_c as <-. cbn in names. congruence. Qed.
Lemma move_cases from to st : (exists c, capability_at from st = Some c /\ capability_at to st = None
    /\ forall j, capability_at j (move_capability from to st) = if j =? to then Some c else if j =? from then None else capability_at j st)
  \/ forall j, capability_at j (move_capability from to st) = capability_at j st.
Proof.
  destruct (slots st !! from) as [e|] eqn:found; [|right; unfold move_capability; rewrite found; reflexivity].
  destruct (is_empty to st) eqn:vacant; [|right; unfold move_capability; rewrite found, vacant; reflexivity].
  assert (capability_at from st = Some (capability e)) as there by (unfold capability_at; rewrite found; reflexivity).
  assert (capability_at to st = None) as none by (apply vacant_none, is_empty_spec; exact vacant).
  left. exists (capability e). split; [exact there|]. split; [exact none|]. exact (proj2 (proj2 (moved from to st _ there none))).
Qed.
Lemma move_other from to st j : j <> from -> j <> to -> capability_at j (move_capability from to st) = capability_at j st.
Proof.
  intros not_from not_to. apply N.eqb_neq in not_from, not_to. destruct (move_cases from to st) as [(c & _ & _ & caps)|caps]; rewrite caps; [|reflexivity].
  rewrite not_to, not_from. reflexivity.
Qed.
Lemma move_stems from to st j c : capability_at j (move_capability from to st) = Some c -> capability_at j st = Some c
  \/ j = to /\ capability_at from st = Some c.
Proof.
  destruct (move_cases from to st) as [(d & there & _ & caps)|caps]; rewrite caps; [|tauto]. destruct (N.eqb_spec j to) as [same|]; [|destruct (_ =? _)].
  - intros is_d. right. split; congruence.
  - discriminate.
  - tauto.
Qed.
Lemma move_exists t from to st : thread_exists t st = true -> thread_exists t (move_capability from to st) = true.
Proof. apply exists_but_slots. exact (move_capability_same from to st). Qed.

(** ** What is no container's last one *)
Lemma plain_stays t s c st : capabilities_live st -> thread_exists t st = true -> capability_at s st = Some c -> container_of c st = None ->
  thread_exists t (delete_plain s c st) = true
  /\ forall j, capability_at j (delete_plain s c st) = capability_at j st \/ capability_at j (delete_plain s c st) = None /\ j = s.
Proof.
  intros live_ there at_s none. assert (forall after, rests t (slots st) (references st) after -> thread_exists t after = true
    /\ forall j, capability_at j after = capability_at j st \/ capability_at j after = None /\ j = s) as quiet
    by (intros after ((same_slots & _) & here); split; [exact here | intros j; left; exact (capability_same j st after same_slots)]).
  assert (thread_exists t (discard s (let_go c st)) = true
    /\ forall j, capability_at j (discard s (let_go c st)) = capability_at j st \/ capability_at j (discard s (let_go c st)) = None /\ j = s) as away.
  { destruct (rests_let_go t c st there) as ((same_slots & same_references) & here). split.
    - apply discard_exists; [|exact here]. intros d is_d names last. rewrite (capability_same s st _ same_slots), at_s in is_d. injection is_d as <-.
      rewrite (is_last_same c st _ same_references) in last. destruct (none_dangles st live_ s c t at_s names) as (x & found & fits_).
      unfold thread_exists in there. rewrite found in there. destruct x; try discriminate there.
      destruct c; try discriminate fits_; cbn [container_of is_zombie orb] in *; [rewrite last in none|]; discriminate none.
    - intros j. rewrite discard_caps. destruct (N.eqb_spec j s); [right; tauto | left; exact (capability_same j st _ same_slots)]. }
  unfold delete_plain. destruct (is_last c st); [|exact away]. destruct (waiting_on c st) as [|u l].
  - destruct c; try exact away. destruct (first_assigned pool st) as [(index & v)|]; [|exact away]. apply quiet, rests_release. exact there.
  - apply quiet, rests_restart. exact there.
Qed.
Lemma one_stays t s c st : capabilities_live st -> thread_exists t st = true -> capability_at s st = Some c -> container_of c st = None ->
  thread_exists t (delete_one s c st) = true
  /\ forall j, capability_at j (delete_one s c st) = capability_at j st
    \/ capability_at j (delete_one s c st) = None /\ exists d, capability_at j st = Some d /\ container_of d st = None.
Proof.
  intros live_ there at_s none.
  assert (forall k d, capability_at k st = Some d -> container_of d st = None -> thread_exists t (delete_plain k d st) = true
    /\ forall j, capability_at j (delete_plain k d st) = capability_at j st
      \/ capability_at j (delete_plain k d st) = None /\ exists d, capability_at j st = Some d /\ container_of d st = None) as plain.
  { intros k d at_k no. destruct (plain_stays t k d st live_ there at_k no) as (here & caps). split; [exact here|]. intros j.
    destruct (caps j) as [same|(gone_ & ->)]; [left; exact same | right]. split; [exact gone_|]. exists d. tauto. }
  unfold delete_one. destruct c; try exact (plain _ _ at_s none). destruct (is_last _ st); [|exact (plain _ _ at_s none)].
  destruct (capability_at (irq_slot irq) st) as [[]|] eqn:bound; try exact (plain _ _ at_s none). exact (plain _ _ bound eq_refl).
Qed.

(** ** What replaces a capability is a copy of one of these. *)
Definition is_replacement (c : Capability) : Prop :=
  match c with CNodeCap _ _ _ _ | VSpaceCap _ _ | FrameCap _ _ _ _ _ | EndpointCap _ _ _ | NotificationCap _ _ _ => True | _ => False end.
Lemma copy_caps slot source_ c st : is_replacement c -> same_but_slots st (insert_copy slot source_ c st)
  /\ forall j, capability_at j (insert_copy slot source_ c st) = capability_at j st
    \/ j = slot /\ capability_at slot st = None /\ capability_at j (insert_copy slot source_ c st) = Some (derived c).
Proof.
  intros kind. assert (same_but_slots st st /\ forall j, capability_at j st = capability_at j st
    \/ j = slot /\ capability_at slot st = None /\ capability_at j st = Some (derived c)) as usual by (split; [apply same_slots_refl | left; reflexivity]).
  assert (same_but_slots st (emit Stuck st) /\ forall j, capability_at j (emit Stuck st) = capability_at j st
    \/ j = slot /\ capability_at slot st = None /\ capability_at j (emit Stuck st) = Some (derived c)) as stuck by (split; [apply emit_same | left;
    reflexivity]).
  unfold insert_copy. destruct (capability_at source_ st) as [x|] eqn:at_source; [|exact usual].
  destruct (is_empty slot st && stands_alike x c) eqn:may; [|exact usual]. apply andb_prop in may. destruct may as (vacant & alike).
  pose proof (proj1 (is_empty_spec slot st) vacant) as none. unfold insert_derived.
  unfold capability_at in at_source. destruct (slots st !! source_) as [e|] eqn:found; [|discriminate]. injection at_source as is_x.
  assert (capability_at slot st = None) as empty_ by (unfold capability_at; rewrite none; reflexivity).
  assert (forall after, same_but_slots st after -> (forall j, capability_at j after = if j =? slot then Some (derived c) else capability_at j st) ->
    same_but_slots st after /\ forall j, capability_at j after = capability_at j st
      \/ j = slot /\ capability_at slot st = None /\ capability_at j after = Some (derived c)) as comes.
  { intros after same caps. split; [exact same|]. intros j. rewrite caps. destruct (N.eqb_spec j slot); [right; tauto | left; reflexivity]. }
  assert (negb (is_empty source_ st) = true) as there by (unfold is_empty; rewrite found; reflexivity).
  rewrite <- is_x in alike.
  destruct (capability e); try (destruct c; try contradiction; discriminate alike);
    (destruct (_ || _); [exact stuck|]; destruct (original e); apply comes; [apply insert_child_same | | apply insert_sibling_same |]; intros j;
     rewrite !capability_at_in; [apply in_insert_child; rewrite vacant, there; reflexivity | apply (in_insert_sibling _ _ _ _ _ e); assumption]).
Qed.

(** ** A unit of the deletion *)
Definition in_thread (t j : N) : Prop := t <= j /\ j < slot_of t thread_slots.
Lemma thread_within t j st : thread_exists t st = true -> in_thread t j -> is_within j t st = true.
Proof.
  unfold thread_exists, is_within, slot_count. intros there (above & below_). destruct (objects st !! t) as [[]|]; try discriminate there.
  apply andb_true_intro. split; [apply N.leb_le; exact above | apply N.ltb_lt; exact below_].
Qed.
Lemma containers_apart t o k j st : sound st -> thread_exists t st = true -> capability_at k st = Some (ZombieCap o) -> o <> t ->
  j = o \/ is_within j o st = true -> ~ in_thread t j.
Proof.
  intros right there at_k other lies (above & below_). unfold thread_exists in there. destruct (objects st !! t) as [y|] eqn:is_y; [|discriminate].
  destruct y; try discriminate there. rewrite capability_at_in in at_k.
  destruct (refers _ _ (live_ok st right) k _ o at_k eq_refl) as (x & is_x & fits_).
  pose proof (objects_are_apart st (memory_right st right) o t x _ is_x is_y other) as far. pose proof (positive_size x) as positive.
  unfold apart in far. cbn [fst snd size_of] in far. change (N.shiftl 1 tcb_size_bits) with 2048 in far.
  unfold is_within, slot_count, slot_of, slot_bytes, thread_slots in *. rewrite is_x, andb_true_iff, N.leb_le, N.ltb_lt in lies.
  change (N.shiftl 1 slot_bits) with 32 in *.
  assert (j = o \/ o <= j /\ j < o + size_of x) as inside_; [|lia]. destruct lies as [->|(from_ & to_)]; [left; reflexivity | right].
  split; [exact from_|]. destruct x; try discriminate fits_; cbn [size_of].
  - rewrite N.shiftl_1_l in *. rewrite N.pow_add_r. change (2 ^ slot_bits) with 32. lia.
  - change (N.shiftl 1 tcb_size_bits) with 2048. unfold thread_slots in to_. lia.
Qed.
Lemma last_within o s c st : last_occupied o st = Some (s, c) -> capability_at s st = Some c /\ is_within s o st = true.
Proof.
  unfold last_occupied, is_within. destruct (last_below _ _) as [(k & e)|] eqn:found; [|discriminate]. destruct (o <=? k) eqn:above; [|discriminate].
  intros same. injection same as -> <-. apply last_below_found in found. destruct found as (below_ & found). split.
  - unfold capability_at. rewrite found. reflexivity.
  - rewrite above. apply N.ltb_lt. exact below_.
Qed.

Section Stays.
Variable inv : State -> Prop.
Hypothesis inv_sound : forall st, inv st -> sound st.
Hypothesis inv_nowhere : forall st, inv st -> capability_at nowhere st = None.
Hypothesis inv_unit : forall anchor st, inv st -> inv (snd (delete_unit anchor st)).
Variable t : N.
Hypothesis t_low : t < irq_slot 0.
(** Where its zombie may come to lie, and slots of it in which there is no capability to it. *)
Variable lies watched : N -> Prop.
Hypothesis lies_within : forall j, lies j -> in_thread t j.
Hypothesis watched_within : forall j, watched j -> in_thread t j.

Definition no_zombie (st : State) : Prop := forall j, capability_at j st <> Some (ZombieCap t).
Definition is_named (anchor : N) (st : State) : Prop := lies anchor /\ no_zombie st
  /\ (forall j, watched j -> j <> anchor -> capability_at j st <> Some (TCBCap t))
  /\ (capability_at anchor st = Some (TCBCap t) -> is_last (TCBCap t) st = false).
Definition is_left (anchor : N) (st : State) : Prop := exists z, lies z /\ z <> anchor /\ capability_at z st = Some (ZombieCap t).
Definition outlives (anchor : N) (st : State) : Prop := thread_exists t st = true /\ (is_named anchor st \/ is_left anchor st).

Lemma within_low j : in_thread t j -> j <> nowhere.
Proof.
  intros (_ & below_) ->. unfold slot_of, slot_bytes, thread_slots in below_. change (N.shiftl 1 slot_bits) with 32 in below_.
  change (irq_slot 0) with 72057594037927936 in t_low. change nowhere with 144115188075855872 in below_. lia.
Qed.
(** What no zombie of the thread is, nor a capability to it, comes to the anchor; all other slots of the thread stay. *)
Lemma named_stays anchor st after : is_named anchor st -> (forall j, in_thread t j -> j <> anchor -> capability_at j after = capability_at j st
    \/ capability_at j after = None) ->
  (forall j, capability_at j after = Some (ZombieCap t) -> exists k, capability_at k st = Some (ZombieCap t)) ->
  capability_at anchor after <> Some (TCBCap t) -> is_named anchor after.
Proof.
  intros (here & none & no & _) same old away. split; [exact here|]. split; [|split].
  - intros j there. destruct (old j there) as (k & at_k). exact (none k at_k).
  - intros j is_w other. destruct (same j (watched_within j is_w) other) as [-> | ->]; [exact (no j is_w other) | discriminate].
  - intros there. destruct (away there).
Qed.
Lemma rotate_other anchor s inner st j : j <> anchor -> j <> s -> j <> slot_of inner 0 -> j <> nowhere ->
  capability_at j (rotate_zombies anchor s inner st) = capability_at j st.
Proof.
  intros n_a n_s n_f n_n. unfold rotate_zombies. cbv zeta. rewrite !move_other by assumption.
  destruct (is_empty _ _); rewrite !move_other by assumption; reflexivity.
Qed.
Lemma rotate_exists anchor s inner st : thread_exists t st = true -> thread_exists t (rotate_zombies anchor s inner st) = true.
Proof. intros there. unfold rotate_zombies. cbv zeta. apply move_exists, move_exists. destruct (is_empty _ _); repeat apply move_exists; exact there. Qed.
Lemma exchange_other a b st j : j <> a -> j <> b -> j <> nowhere -> capability_at j (exchange_capabilities a b st) = capability_at j st.
Proof. intros n_a n_b n_n. unfold exchange_capabilities. rewrite !move_other by assumption. reflexivity. Qed.
Lemma exchange_exists a b st : thread_exists t st = true -> thread_exists t (exchange_capabilities a b st) = true.
Proof. intros there. unfold exchange_capabilities. repeat apply move_exists. exact there. Qed.
Lemma rotated anchor s inner o st : capability_at nowhere st = None -> capability_at s st = Some (ZombieCap inner) ->
  capability_at anchor st = Some (ZombieCap o) -> slot_of inner 0 <> anchor -> anchor <> s -> inner <> t -> o <> t ->
  (forall j, capability_at j (rotate_zombies anchor s inner st) = Some (ZombieCap t) -> exists k, capability_at k st = Some (ZombieCap t))
  /\ capability_at anchor (rotate_zombies anchor s inner st) <> Some (TCBCap t).
Proof.
  intros free_ at_s at_anchor not_first not_s no_inner no_outer. unfold rotate_zombies. cbv zeta. set (first := slot_of inner 0) in *. clearbody first.
  set (st1 := move_capability s nowhere st).
  set (st2 := if is_empty first st1 then st1 else move_capability first s st1).
  set (st3 := move_capability anchor first st2).
  assert (forall j c, capability_at j st1 = Some c -> capability_at j st = Some c \/ j = nowhere /\ c = ZombieCap inner) as from1.
  { intros j c there. apply move_stems in there. destruct there as [there|(is_j & there)]; [tauto | right]. split; congruence. }
  assert (anchor <> nowhere) as a_n by congruence.
  assert (capability_at anchor st1 = Some (ZombieCap o)) as at1 by (unfold st1; rewrite move_other; assumption).
  assert (forall j c, capability_at j st2 = Some c -> capability_at j st1 = Some c \/ j = s /\ capability_at first st1 = Some c) as from2
    by (intros j c; unfold st2; destruct (is_empty _ _); [tauto | apply move_stems]).
  assert (capability_at anchor st2 = Some (ZombieCap o)) as at2
    by (unfold st2; destruct (is_empty _ _); [exact at1 | rewrite move_other; [exact at1 | congruence | exact not_s]]).
  assert (forall j c, capability_at j st3 = Some c -> capability_at j st2 = Some c \/ j = first /\ c = ZombieCap o) as from3.
  { intros j c there. apply move_stems in there. destruct there as [there|(is_j & there)]; [tauto | right]. split; congruence. }
  split.
  - assert (forall j, capability_at j st1 = Some (ZombieCap t) -> exists k, capability_at k st = Some (ZombieCap t)) as old1
      by (intros j there; destruct (from1 j _ there) as [at_j|(_ & same)]; [exists j; exact at_j | congruence]).
    assert (forall j, capability_at j st2 = Some (ZombieCap t) -> exists k, capability_at k st = Some (ZombieCap t)) as old2
      by (intros j there; destruct (from2 j _ there) as [at_j|(_ & at_f)]; [exact (old1 j at_j) | exact (old1 first at_f)]).
    assert (forall j, capability_at j st3 = Some (ZombieCap t) -> exists k, capability_at k st = Some (ZombieCap t)) as old3
      by (intros j there; destruct (from3 j _ there) as [at_j|(_ & same)]; [exact (old2 j at_j) | congruence]).
    intros j there. apply move_stems in there. destruct there as [there|(_ & there)]; [exact (old3 j there) | exact (old3 nowhere there)].
  - assert (forall c, capability_at nowhere st2 = Some c -> is_zombie c = true) as zombie2.
    { intros c there. destruct (from2 _ _ there) as [there1|(is_s & _)]; [|congruence].
      destruct (from1 _ _ there1) as [no|(_ & ->)]; [congruence | reflexivity]. }
    intros there. apply move_stems in there. destruct there as [there|(_ & there)]; destruct (from3 _ _ there) as [there2|(_ & no)]; try discriminate no.
    + congruence.
    + discriminate (zombie2 _ there2).
Qed.
Lemma become_outlives s c inner st : inv st -> thread_exists t st = true -> capability_at s st = Some c -> container_of c st = Some inner ->
  thread_exists t (become_zombie s c st) = true /\ sound (become_zombie s c st).
Proof.
  intros ok there at_s container. split.
  - apply (exists_but_slots t (match c with TCBCap u => end_thread u st | _ => st end)).
    + unfold become_zombie. generalize (match c with TCBCap u => end_thread u st | _ => st end). intros ended. unfold make_zombie.
      destruct (slots ended !! s) as [e|]; [|apply emit_same].
      destruct (container_of (capability e) ended); [exact (replace_capability_same _ _ _ _) | apply emit_same].
    + destruct c; try exact there. exact (proj2 (rests_end t thread st there)).
  - unfold become_zombie. apply (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_is_kept s eq_refl). pose proof (inv_sound st ok) as right.
    destruct c; try exact right. exact (@keeps_end_thread _ _ _ _ sound_is_kept_quietly thread eq_refl eq_refl st right).
Qed.
Lemma occupied_last j c st : thread_exists t st = true -> in_thread t j -> capability_at j st = Some c -> last_occupied t st <> None.
Proof.
  intros there inside at_j. pose proof (thread_within t j st there inside) as is_in. unfold is_within in is_in. apply andb_prop in is_in.
  destruct is_in as (above & below_). apply N.leb_le in above. unfold last_occupied. rewrite last_below_plain.
  unfold capability_at in at_j. destruct (slots st !! j) as [e|] eqn:found; [|discriminate].
  destruct (last_is_largest (fun x => fst x <? slot_of t (slot_count t st)) _ j e (entries_sorted (slots st))) as (k & v & -> & less).
  - apply filter_In. split; [apply in_entries; exact found | exact below_].
  - rewrite (proj2 (N.leb_le t k)) by lia. discriminate.
Qed.
Lemma inner_outlives anchor s outer inner st : capability_at nowhere st = None -> sound st -> thread_exists t st = true ->
  capability_at s st = Some (ZombieCap inner) -> capability_at anchor st = Some (ZombieCap outer) -> s <> anchor -> ~ in_thread t s -> outer <> t ->
  lies anchor /\ inner = t \/ inner <> t /\ (is_named anchor st \/ is_left anchor st) ->
  outlives (fst (meet_inner anchor s outer inner st)) (snd (meet_inner anchor s outer inner st)).
Proof.
  intros free_ right there at_s at_anchor other outside no_outer which. unfold meet_inner.
  destruct which as [(here & ->)|(no_inner & which)].
  { pose proof (lies_within anchor here) as inside. pose proof (occupied_last anchor _ st there inside at_anchor) as some_.
    destruct (last_occupied t st) as [x|]; [|contradiction]. cbn [is_some negb]. rewrite andb_false_r, (thread_within t anchor st there inside). cbn [fst snd].
    split; [exact (exchange_exists anchor s st there)|]. right. exists anchor. split; [exact here|]. split; [congruence|].
    rewrite (proj2 (proj2 (exchanged_holds anchor s st _ _ at_anchor at_s (not_eq_sym other) free_))).
    rewrite (proj2 (N.eqb_neq anchor s)), (proj2 (N.eqb_neq anchor nowhere)), N.eqb_refl by congruence. reflexivity. }
  assert (forall j, j = inner \/ is_within j inner st = true -> ~ in_thread t j) as inner_apart
    by (intros j; exact (containers_apart t inner s j st right there at_s no_inner)).
  assert (slot_of inner 0 = inner) as first_is by (unfold slot_of; rewrite N.mul_0_r, N.add_0_r; reflexivity).
  assert (forall z, in_thread t z -> z <> s /\ z <> slot_of inner 0 /\ z <> nowhere) as far.
  { intros z inside. split; [intros ->; exact (outside inside)|]. split; [|exact (within_low z inside)].
    rewrite first_is. intros ->. exact (inner_apart inner (or_introl eq_refl) inside). }
  destruct (_ && _).
  { cbn [fst snd]. split; [exact (discard_zombie_exists t s inner st at_s no_inner there)|]. destruct which as [named_|(z & is_z & n_a & at_z)].
    - left. apply (named_stays anchor st _ named_).
      + intros j _ _. rewrite discard_caps. destruct (_ =? _); tauto.
      + intros j. rewrite discard_caps. destruct (_ =? _); [discriminate|]. exists j. assumption.
      + rewrite discard_caps. destruct (_ =? _); [discriminate | congruence].
    - right. exists z. split; [exact is_z|]. split; [exact n_a|]. rewrite discard_caps.
      rewrite (proj2 (N.eqb_neq z s) (proj1 (far z (lies_within z is_z)))). exact at_z. }
  destruct (is_within anchor inner st) eqn:inside_inner.
  { cbn [fst snd]. split; [exact (exchange_exists anchor s st there)|]. destruct which as [(here & _)|(z & is_z & n_a & at_z)].
    - destruct (inner_apart anchor (or_intror inside_inner) (lies_within anchor here)).
    - destruct (far z (lies_within z is_z)) as (n_s & _ & n_n). right. exists z. split; [exact is_z|]. split; [exact n_s|].
      rewrite exchange_other by assumption. exact at_z. }
  destruct (_ && _); cbn [fst snd].
  { split; [exact (move_exists t s anchor _ (discard_zombie_exists t anchor outer st at_anchor no_outer there))|].
    destruct which as [named_|(z & is_z & n_a & at_z)].
    - left. apply (named_stays anchor st _ named_).
      + intros j inside n_a. left. rewrite move_other, discard_caps, (proj2 (N.eqb_neq j anchor) n_a); [reflexivity | | exact n_a].
        exact (proj1 (far j inside)).
      + intros j at_j. apply move_stems in at_j. rewrite !discard_caps in at_j. destruct at_j as [at_j|(_ & at_j)]; destruct (_ =? _); try discriminate;
          eexists; exact at_j.
      + intros at_a. apply move_stems in at_a. rewrite !discard_caps, N.eqb_refl in at_a. destruct at_a as [no|(_ & at_a)]; [discriminate|].
        destruct (s =? anchor); [discriminate | congruence].
    - destruct (far z (lies_within z is_z)) as (n_s & _ & n_n). right. exists z. split; [exact is_z|]. split; [exact n_a|].
      rewrite move_other, discard_caps, (proj2 (N.eqb_neq z anchor) n_a) by assumption. exact at_z. }
  split; [exact (rotate_exists anchor s inner st there)|]. destruct which as [named_|(z & is_z & n_a & at_z)].
  - destruct (far anchor (lies_within anchor (proj1 named_))) as (_ & n_f & _).
    destruct (rotated anchor s inner outer st free_ at_s at_anchor (not_eq_sym n_f) (not_eq_sym other) no_inner no_outer) as (old & away).
    left. apply (named_stays anchor st _ named_); [|exact old | exact away].
    intros j inside n_a. destruct (far j inside) as (n_s & n_first & n_n). left. apply rotate_other; assumption.
  - destruct (far z (lies_within z is_z)) as (n_s & n_first & n_n). right. exists z. split; [exact is_z|]. split; [exact n_a|].
    rewrite rotate_other by assumption. exact at_z.
Qed.
Lemma one_outlives anchor s c st : inv st -> outlives anchor st -> capability_at s st = Some c -> container_of c st = None ->
  (s = anchor \/ capability_at anchor st <> Some (TCBCap t)) -> outlives anchor (delete_one s c st).
Proof.
  intros ok (there & which) at_s none at_anchor.
  destruct (one_stays t s c st (proj1 (live_is st) (live_ok st (inv_sound st ok))) there at_s none) as (here & caps). split; [exact here|].
  destruct which as [named_|(z & is_z & n_a & at_z)].
  - left. apply (named_stays anchor st _ named_).
    + intros j _ _. destruct (caps j) as [same|(gone_ & _)]; tauto.
    + intros j at_j. exists j. destruct (caps j) as [same|(gone_ & _)]; congruence.
    + destruct named_ as (_ & _ & _ & more). intros at_a. destruct (caps anchor) as [same|(gone_ & _)]; [|congruence]. rewrite at_a in same.
      symmetry in same. destruct at_anchor as [->|no]; [|exact (no same)]. rewrite at_s in same. injection same as ->.
      unfold delete_one, delete_plain in at_a. rewrite (more at_s) in at_a. rewrite discard_caps, N.eqb_refl in at_a. discriminate.
  - right. exists z. split; [exact is_z|]. split; [exact n_a|]. destruct (caps z) as [same|(_ & d & at_d & no)]; [congruence|].
    rewrite at_z in at_d. injection at_d as <-. discriminate no.
Qed.
Lemma unit_outlives anchor st : inv st -> outlives anchor st -> outlives (fst (delete_unit anchor st)) (snd (delete_unit anchor st)).
Proof.
  intros ok (there & which). pose proof (inv_sound st ok) as right. pose proof (proj1 (live_is st) (live_ok st right)) as alive.
  unfold delete_unit. destruct (capability_at anchor st) as [c|] eqn:at_a; [|exact (conj there which)].
  assert (container_of c st <> Some t) as no_end.
  { intros container. destruct which as [(_ & none & _ & more)|(z & _ & n_a & at_z)].
    - destruct c; try discriminate container; cbn [container_of] in container.
      + destruct (is_last (CNodeCap _ _ _ _) st); [injection container as ->|discriminate].
        destruct (none_dangles st alive anchor _ t at_a eq_refl) as (x & found & fits_).
        unfold thread_exists in there. rewrite found in there. destruct x; discriminate.
      + destruct (is_last (TCBCap thread) st) eqn:last; [injection container as ->|discriminate]. rewrite (more at_a) in last. discriminate.
      + injection container as ->. exact (none anchor at_a).
    - apply n_a. symmetry. apply (zombies_are_alone st alive z anchor c t at_z at_a).
      destruct c; try discriminate container; cbn [container_of] in container; try (destruct (is_last _ st); [|discriminate]); exact container. }
  assert (outlives (fst match container_of c st with Some _ => (anchor, become_zombie anchor c st) | None => (anchor, delete_one anchor c st) end)
    (snd match container_of c st with Some _ => (anchor, become_zombie anchor c st) | None => (anchor, delete_one anchor c st) end)) as usual.
  { destruct (container_of c st) as [o|] eqn:container.
    - cbn [fst snd]. destruct (become_outlives anchor c o st ok there at_a container) as (here & _). split; [exact here|].
      assert (o <> t) as no by congruence. pose proof (become_zombie_slots anchor c st o at_a container) as caps.
      destruct which as [named_|(z & is_z & n_a & at_z)].
      + left. apply (named_stays anchor st _ named_).
        * intros j _ n_a. left. rewrite caps, (proj2 (N.eqb_neq _ _) n_a). reflexivity.
        * intros j. rewrite caps. destruct (_ =? _); [congruence|]. exists j. assumption.
        * rewrite caps, N.eqb_refl. discriminate.
      + right. exists z. split; [exact is_z|]. split; [exact n_a|]. rewrite caps, (proj2 (N.eqb_neq _ _) n_a). exact at_z.
    - exact (one_outlives anchor anchor c st ok (conj there which) at_a container (or_introl eq_refl)). }
  destruct c as [| | | | | | | | | | | | | | | | | |outer]; try exact usual. clear usual. cbn [container_of] in no_end.
  assert (outer <> t) as no_outer by congruence. clear no_end. unfold empty_zombie. cbv zeta.
  assert (outlives anchor (discard anchor st)) as away.
  { split; [exact (discard_zombie_exists t anchor outer st at_a no_outer there)|]. destruct which as [named_|(z & is_z & n_a & at_z)].
    - left. apply (named_stays anchor st _ named_).
      + intros j _ _. rewrite discard_caps. destruct (_ =? _); tauto.
      + intros j. rewrite discard_caps. destruct (_ =? _); [discriminate|]. exists j. assumption.
      + rewrite discard_caps, N.eqb_refl. discriminate.
    - right. exists z. split; [exact is_z|]. split; [exact n_a|]. rewrite discard_caps, (proj2 (N.eqb_neq _ _) n_a). exact at_z. }
  destruct (last_occupied outer st) as [(s & c)|] eqn:last; [|exact away]. apply last_within in last. destruct last as (at_s & inside).
  pose proof (fun j => containers_apart t outer anchor j st right there at_a no_outer) as outer_apart.
  pose proof (outer_apart s (or_intror inside)) as outside.
  destruct (N.eqb_spec s anchor) as [->|other].
  - destruct (_ =? _); [exact away|]. cbn [fst snd]. unfold to_first_slot.
    assert (slot_of outer 0 = outer) as -> by (unfold slot_of; rewrite N.mul_0_r, N.add_0_r; reflexivity).
    split; [destruct (is_empty _ _); [exact (move_exists t _ _ st there) | exact (exchange_exists _ _ st there)]|].
    destruct which as [(here & _)|(z & is_z & n_a & at_z)]; [destruct (outside (lies_within anchor here))|]. right. exists z. split; [exact is_z|].
    assert (z <> outer) as n_o by (intros ->; exact (outer_apart outer (or_introl eq_refl) (lies_within outer is_z))). split; [exact n_o|].
    destruct (is_empty _ _); [rewrite move_other by assumption | rewrite exchange_other by (exact (within_low z (lies_within z is_z)) || assumption)];
      exact at_z.
  - destruct (container_of c st) as [inner|] eqn:container.
    + destruct (become_outlives s c inner st ok there at_s container) as (here & right1).
      pose proof (become_zombie_slots s c st inner at_s container) as caps. apply inner_outlives; try assumption.
      * rewrite caps. destruct (N.eqb_spec nowhere s) as [same|]; [|exact (inv_nowhere st ok)].
        pose proof (inv_nowhere st ok) as none. rewrite same, at_s in none. discriminate none.
      * rewrite caps, N.eqb_refl. reflexivity.
      * rewrite caps, (proj2 (N.eqb_neq anchor s)) by congruence. exact at_a.
      * destruct (N.eq_dec inner t) as [->|no_inner].
        -- left. split; [|reflexivity]. destruct which as [named_|(z & is_z & n_a & at_z)]; [exact (proj1 named_)|]. exfalso.
           assert (s = z) as same; [|subst s; exact (outside (lies_within z is_z))]. apply (zombies_are_alone st alive z s c t at_z at_s).
           destruct c; try discriminate container; cbn [container_of] in container; try (destruct (is_last _ st); [|discriminate]); exact container.
        -- right. split; [exact no_inner|]. destruct which as [named_|(z & is_z & n_a & at_z)].
           ++ left. apply (named_stays anchor st _ named_).
              ** intros j is_in _. left. rewrite caps. destruct (N.eqb_spec j s) as [->|]; [destruct (outside is_in) | reflexivity].
              ** intros j. rewrite caps. destruct (_ =? _); [congruence|]. exists j. assumption.
              ** rewrite caps. destruct (_ =? _); [discriminate | congruence].
           ++ right. exists z. split; [exact is_z|]. split; [exact n_a|]. rewrite caps.
              destruct (N.eqb_spec z s) as [->|]; [destruct (outside (lies_within s is_z)) | exact at_z].
    + apply (one_outlives anchor s c st ok (conj there which) at_s container). right. congruence.
Qed.

(** ** All of it, and the copy that comes *)
Definition stays (st : State) : Prop := thread_exists t st = true
  /\ (no_zombie st /\ (forall j, watched j -> capability_at j st <> Some (TCBCap t)) \/ exists z, lies z /\ capability_at z st = Some (ZombieCap t)).
Lemma delete_outlives slot st st' : inv st -> outlives slot st -> delete slot st = Done st' -> stays st'.
Proof.
  intros ok begun. unfold delete, in_units.
  assert (match repeat_after (allowance st) (unit_turn is_occupied delete_unit) (slot, allowance st, st) with
          | Again (a, _, one) => True | Finished (Done one) => stays one | Finished (Preempted _) => True end) as kept.
  { pose proof (repeat_keeps (unit_turn is_occupied delete_unit) (fun x => inv (snd x) /\ outlives (fst (fst x)) (snd x))
      (fun p => match p with Done one => stays one | Preempted _ => True end)) as each.
    assert (match repeat_after (allowance st) (unit_turn is_occupied delete_unit) (slot, allowance st, st) with
            | Again x => inv (snd x) /\ outlives (fst (fst x)) (snd x)
            | Finished p => match p with Done one => stays one | Preempted _ => True end end) as result.
    { apply each; [|split; [exact ok | exact begun]]. intros ((a & units) & one) (ok1 & begun1). cbn [fst snd] in *. unfold unit_turn.
      destruct (is_occupied a one) eqn:more; cbn [negb].
      - destruct (_ =? _); [exact I|]. pose proof (inv_unit a one ok1) as ok2. pose proof (unit_outlives a one ok1 begun1) as after.
        destruct (delete_unit a one) as (a' & two). split; [exact ok2 | exact after].
      - assert (capability_at a one = None) as vacant.
        { unfold is_occupied, is_empty in more. unfold capability_at. destruct (slots one !! a); [discriminate more | reflexivity]. }
        destruct begun1 as (there & which). split; [exact there|]. destruct which as [(_ & none & no & _)|(z & is_z & _ & at_z)].
        + left. split; [exact none|]. intros j is_w. destruct (N.eq_dec j a) as [->|n_a]; [|exact (no j is_w n_a)].
          change (capability_at a (allow units one)) with (capability_at a one). congruence.
        + right. exists z. split; [exact is_z | exact at_z]. }
    destruct (repeat_after _ _ _) as [((b & units) & one)|q]; [exact I | exact result]. }
  destruct (repeat_after _ _ _) as [((b & units) & one)|q]; [discriminate|]. intros ->. exact kept.
Qed.
Lemma copy_stays slot source_ c st : is_replacement c -> stays st -> stays (insert_copy slot source_ c st).
Proof.
  intros kind (there & which). destruct (copy_caps slot source_ c st kind) as (same & caps).
  split; [exact (exists_but_slots t st _ same there)|].
  assert (derived c <> ZombieCap t /\ derived c <> TCBCap t) as (no_z & no_t) by (destruct c; try contradiction; split; discriminate).
  destruct which as [(none & no)|(z & is_z & at_z)].
  - left. split; [intros j | intros j is_w]; destruct (caps j) as [-> |(_ & _ & ->)];
      first [exact (none j) | exact (no j is_w) | congruence].
  - right. exists z. split; [exact is_z|]. destruct (caps z) as [-> |(-> & vacant & _)]; [exact at_z | congruence].
Qed.
Lemma replace_stays slot by_ st st' : match by_ with Some (_, c) => is_replacement c | None => True end -> inv st -> outlives slot st ->
  replace_slot slot by_ st = Done st' -> stays st'.
Proof.
  intros kind ok begun. unfold replace_slot. pose proof (fun one => delete_outlives slot st one ok begun) as after.
  destruct (delete slot st) as [one|one]; [|discriminate]. cbn [and_then]. intros same. injection same as <-. specialize (after one eq_refl).
  destruct by_ as [(source_ & c)|]; [exact (copy_stays slot source_ c one kind after) | exact after].
Qed.
End Stays.

(** ** A thread that is invoked: the slot of the capability to it is one of a CNode's, so the one in a slot of the thread itself is not the last. *)
Lemma cnode_outside t j st : sound st -> thread_exists t st = true -> is_slot_of_cnode j st -> ~ in_thread t j.
Proof.
  intros right there (o & radix & index & is_cnode_ & less & ->) (above & below_). unfold thread_exists in there.
  destruct (objects st !! t) as [y|] eqn:is_y; [|discriminate]. destruct y; try discriminate there.
  assert (o <> t) as other by congruence.
  pose proof (objects_are_apart st (memory_right st right) o t _ _ is_cnode_ is_y other) as far.
  unfold apart in far. cbn [fst snd size_of] in far. change (N.shiftl 1 tcb_size_bits) with 2048 in far.
  unfold slot_of, slot_bytes, thread_slots in *. change (N.shiftl 1 slot_bits) with 32 in *.
  rewrite N.shiftl_1_l in *. rewrite N.pow_add_r in far. change (2 ^ slot_bits) with 32 in far. lia.
Qed.
Lemma thread_slot_in t i : i < thread_slots -> in_thread t (slot_of t i).
Proof. unfold in_thread, slot_of, slot_bytes, thread_slots. change (N.shiftl 1 slot_bits) with 32. lia. Qed.
Lemma invoked_begins t place anchor (lies watched : N -> Prop) st : sound st -> thread_exists t st = true -> is_slot_of_cnode place st ->
  capability_at place st = Some (TCBCap t) -> in_thread t anchor -> lies anchor -> (forall j, watched j -> capability_at j st <> Some (TCBCap t)) ->
  outlives t lies watched anchor st.
Proof.
  intros right there is_place at_place inside here no. split; [exact there|]. left. pose proof (proj1 (live_is st) (live_ok st right)) as alive.
  split; [exact here|]. split; [|split].
  - intros j at_j. pose proof (zombies_are_alone st alive j place _ t at_j at_place eq_refl) as same. congruence.
  - intros j is_w _. exact (no j is_w).
  - intros at_anchor. destruct (is_last (TCBCap t) st) eqn:last; [exfalso | reflexivity].
    apply (cnode_outside t place st right there is_place). unfold capability_at in at_anchor. destruct (slots st !! anchor) as [e|] eqn:found; [|discriminate].
    injection at_anchor as is_t. rewrite capability_at_in in at_place.
    assert (place = anchor) as -> ; [|exact inside].
    apply (only_one st anchor place e (TCBCap t) t (proj2 (indices_ok st right)) (live_ok st right) found); try rewrite is_t;
      first [exact last | exact at_place | reflexivity].
Qed.

(** Where a thread was left by the deletion of one slot that of another one begins. *)
Lemma stays_again t (lies watched lies' watched' : N -> Prop) anchor st : stays t lies watched st -> (forall j, lies j -> lies' j) -> lies' anchor ->
  watched anchor -> ~ lies anchor -> (forall j, watched' j -> watched j) -> outlives t lies' watched' anchor st.
Proof.
  intros (there & which) more here was far fewer. split; [exact there|]. destruct which as [(none & no)|(z & is_z & at_z)].
  - left. split; [exact here|]. split; [exact none|]. split; [intros j w _; exact (no j (fewer j w))|]. intros at_a. destruct (no anchor was at_a).
  - right. exists z. split; [exact (more z is_z)|]. split; [intros ->; exact (far is_z) | exact at_z].
Qed.
