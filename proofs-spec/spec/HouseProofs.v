(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Occupied slots lie in containers

    A slot is occupied only while what it is a slot of is there: a CNode, a thread, or an interrupt. A new capability comes to a slot that an address names,
    to the thread that is invoked, which outlives the deletion of what was in its slots, or to the slot of an interrupt, of which there are few. And a
    container goes only when no slot of it is occupied but the one that goes with it. *)
From Coq Require Import Lia.
From Spec Require Export NeverProofs PieceProofs.
Open Scope N_scope.

Definition in_room (j : N) (st : State) : Prop := j <> nowhere /\ ((exists o, is_within j o st = true) \/ irq_slot 0 <= j /\ j < nowhere).
Definition few_irq (c : Capability) : Prop := match c with IRQHandlerCap irq => irq < most_interrupts | _ => True end.
Definition housed (st : State) : Prop := forall j c, capability_at j st = Some c -> in_room j st /\ few_irq c.

Lemma room_stays a b j : leaves_good a b -> in_room j a -> in_room j b.
Proof. intros leaves_ (elsewhere & [(o & inside)|irq]); (split; [exact elsewhere|]); [left; exists o; exact (within_stays a b j o leaves_ inside) | right;
  exact irq]. Qed.
Lemma good_room j st : j <> nowhere /\ good_slot j st -> in_room j st.
Proof.
  intros (elsewhere & good_). split; [exact elsewhere | left]. destruct good_ as [(o & radix & i & is_o & less & ->)|(o & z & inside & _)]; exists o;
    [|exact inside].
  apply (within_from _ o (Some radix)); [apply cnode_slots_in; exact is_o|]. unfold slot_of, slot_bytes. change (N.shiftl 1 slot_bits) with 32.
  apply andb_true_intro. split; [apply N.leb_le; lia | apply N.ltb_lt; lia].
Qed.
Lemma within_room j o st : j <> nowhere -> is_within j o st = true -> in_room j st.
Proof. intros elsewhere inside. split; [exact elsewhere | left; exists o; exact inside]. Qed.
Lemma housed_with a b : leaves_good a b -> (forall j c, capability_at j b = Some c -> in_room j a /\ few_irq c) -> housed b.
Proof. intros leaves_ from j c there. destruct (from j c there) as (room & few). split; [exact (room_stays a b j leaves_ room) | exact few]. Qed.
Lemma housed_nowhere st : housed st -> capability_at nowhere st = None.
Proof. intros ok. destruct (capability_at nowhere st) as [c|] eqn:there; [|reflexivity]. destruct (ok nowhere c there) as ((no & _) & _).
  destruct (no eq_refl). Qed.

(** What leaves all containers, and all slots as they are; and what changes capabilities in their places. *)
Definition calm (a b : State) : Prop := leaves_good a b /\ slots b = slots a.
Lemma calm_refl st : calm st st. Proof. split; [apply leaves_refl | reflexivity]. Qed.
Lemma calm_trans a b c : calm a b -> calm b c -> calm a c.
Proof. intros (l1 & s1) (l2 & s2). split; [exact (leaves_trans a b c l1 l2) | congruence]. Qed.
Lemma calm_same a b : slots b = slots a -> objects b = objects a -> calm a b.
Proof. intros s o. split; [exact (proj1 (alike_same a b s o)) | exact s]. Qed.
Lemma calm_quietly st : kept_quietly (calm st) (fun _ => True) (fun _ => True).
Proof.
  pose proof (alike_quietly st) as quiet. constructor; try (intros; exact I).
  - intros a b s _ o _ _ ok. exact (calm_trans st a b ok (calm_same a b s o)).
  - intros t one ok. exact (calm_trans st one _ ok (calm_same one (unplace t one) eq_refl eq_refl)).
  - intros insert t one _ ok. destruct (place_by_same insert t one) as (s & _ & o). exact (calm_trans st one _ ok (calm_same one _ s o)).
  - intros t one _ ok. apply (calm_trans st one _ ok), calm_same; reflexivity.
  - intros o x y one found kind change fine ok. apply (calm_trans st one _ ok). split; [|reflexivity].
    exact (proj1 (after_put_object (alike_quietly one) o x y one found kind change fine (alike_refl one))).
Qed.
Lemma calm_housed a b : calm a b -> housed a -> housed b.
Proof. intros (leaves_ & same) ok. apply (housed_with a b leaves_). intros j c. rewrite (capability_same j a b same). apply ok. Qed.

(** ** A capability that comes *)
Definition brings (slot : N) (c : Capability) (a b : State) : Prop := leaves_good a b /\ forall j d, capability_at j b = Some d ->
  (exists x, capability_at j a = Some x /\ (few_irq x -> few_irq d)) \/ j = slot /\ (few_irq c -> few_irq d).
Lemma brings_housed slot c a b : brings slot c a b -> in_room slot a -> few_irq c -> housed a -> housed b.
Proof.
  intros (leaves_ & from) room few ok. apply (housed_with a b leaves_). intros j d there. destruct (from j d there) as [(x & was & fine)|(-> & fine)].
  - destruct (ok j x was) as (room_j & few_x). split; [exact room_j | exact (fine few_x)].
  - split; [exact room | exact (fine few)].
Qed.
Lemma brings_stuck slot c st : brings slot c st (emit Stuck st).
Proof.
  split; [exact (proj1 (alike_same st (emit Stuck st) eq_refl eq_refl))|]. intros j d there. left. exists d. split; [exact there | exact id].
Qed.
Lemma child_brings slot p o c st : brings slot c st (insert_child slot p o c st).
Proof.
  destruct (is_empty slot st && negb (is_empty p st)) eqn:can; [|unfold insert_child; rewrite can; apply brings_stuck].
  split; [exact (comes_good _ _ _ _ (child_comes slot p o c st))|]. intros j d. rewrite capability_at_in, (in_insert_child slot p o c st j can),
    <- capability_at_in.
  destruct (N.eqb_spec j slot) as [->|]; [intros is_d; injection is_d as <-; right; tauto | intros there; left; exists d; tauto].
Qed.
Lemma sibling_brings slot s o c st : brings slot c st (insert_sibling slot s o c st).
Proof.
  destruct (slots st !! slot) as [f|] eqn:vacant; [unfold insert_sibling, is_empty; rewrite vacant; apply brings_stuck|].
  destruct (slots st !! s) as [e|] eqn:found; [|unfold insert_sibling; rewrite found; destruct (is_empty slot st); apply brings_stuck].
  split; [exact (comes_good _ _ _ _ (sibling_comes slot s o c st))|].
  intros j d. rewrite capability_at_in, (in_insert_sibling slot s o c st e j vacant found), <- capability_at_in.
  destruct (N.eqb_spec j slot) as [->|]; [intros is_d; injection is_d as <-; right; tauto | intros there; left; exists d; tauto].
Qed.
Lemma carve_brings u at_ size x slot c st : brings slot c st (carve u at_ size x slot c st).
Proof.
  split; [exact (comes_good _ _ _ _ (carve_comes u at_ size x slot c st))|].
  destruct (carve_cases u at_ size x slot c st) as [->|cut]; [exact (proj2 (brings_stuck slot c st))|].
  destruct cut as (e & base & bits & device & used & there & is_u & _ & _ & _ & _ & caps & _). intros j d.
  rewrite capability_at_in, caps, <- capability_at_in. destruct (N.eqb_spec j slot) as [->|]; [intros is_d; injection is_d as <-; right; tauto|]. left.
  destruct (N.eqb_spec j u) as [->|]; [|exists d; tauto]. exists (capability e). split; [unfold capability_at; rewrite there; reflexivity|].
  match goal with is_d : Some _ = Some d |- _ => injection is_d as <- end. intros _. exact I.
Qed.
Lemma derived_brings slot s o c st : brings slot c st (insert_derived slot s o c st).
Proof.
  unfold insert_derived. destruct (slots st !! s) as [e|]; [|apply brings_stuck].
  assert (brings slot c st (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
    else if original e then insert_child slot s o c st else insert_sibling slot s o c st)) as usual
    by (destruct (_ || _); [apply brings_stuck|]; destruct (original e); [apply child_brings | apply sibling_brings]).
  destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact usual.
  destruct (carve_brings s base (N.shiftl 1 bits) None slot (UntypedCap base bits device used) st) as (leaves_ & from). split; [exact leaves_|].
  intros j d there. destruct (from j d there) as [was|(same & fine)]; [left; exact was | right]. split; [exact same | intros _; exact (fine I)].
Qed.

(** ** A capability that changes, or moves *)
Lemma change_housed slot c st : housed st -> housed (change_capability slot c st).
Proof.
  intros ok. apply (housed_with st _ (proj1 (change_alike slot c st))). unfold change_capability.
  destruct (slots st !! slot) as [e|] eqn:found; [|exact ok]. destruct (_ && _) eqn:both; [|exact ok]. apply andb_prop in both. destruct both as (one & two).
  intros j d. rewrite capability_at_in, (LiveProofs.in_replace slot e c st j found), <- capability_at_in.
  destruct (N.eqb_spec j slot) as [->|]; [|apply ok]. intros is_d. injection is_d as <-.
  destruct (ok slot (capability e)) as (room & few); [unfold capability_at; rewrite found; reflexivity|]. split; [exact room|].
  destruct c; try exact I. destruct (capability e); try discriminate two; try discriminate one. cbn in two. apply N.eqb_eq in two. subst. exact few.
Qed.
Lemma zombie_housed s c o st : capability_at s st = Some c -> container_of c st = Some o -> housed st -> housed (become_zombie s c st).
Proof.
  intros at_s container ok. apply (housed_with st _ (proj1 (ends_alike s c st))). intros j d. rewrite (become_zombie_slots s c st o at_s container).
  destruct (N.eqb_spec j s) as [->|]; [|apply ok]. intros is_d. injection is_d as <-. split; [exact (proj1 (ok s c at_s)) | exact I].
Qed.
Lemma move_housed from to st : (capability_at from st <> None -> in_room to st) -> housed st -> housed (move_capability from to st).
Proof.
  intros room ok. apply (housed_with st _ (move_leaves from to st)). intros j d there. apply move_stems in there. destruct there as [there|(-> & there)].
  - exact (ok j d there).
  - split; [apply room; congruence | exact (proj2 (ok from d there))].
Qed.
Lemma exchange_housed a b ca cb st : capability_at a st = Some ca -> capability_at b st = Some cb -> a <> b -> housed st ->
  housed (exchange_capabilities a b st).
Proof.
  intros at_a at_b other ok. apply (housed_with st _ (exchange_leaves a b st)). intros j d.
  rewrite (proj2 (proj2 (exchanged_holds a b st ca cb at_a at_b other (housed_nowhere st ok)))).
  destruct (N.eqb_spec j b) as [->|]; [intros is_d; injection is_d as <-; exact (conj (proj1 (ok b cb at_b)) (proj2 (ok a ca at_a)))|].
  destruct (j =? nowhere); [discriminate|]. destruct (N.eqb_spec j a) as [->|]; [|apply ok]. intros is_d. injection is_d as <-.
  exact (conj (proj1 (ok a ca at_a)) (proj2 (ok b cb at_b))).
Qed.
Lemma rotate_housed anchor s inner ca cs st : capability_at s st = Some cs -> capability_at anchor st = Some ca -> s <> anchor ->
  slot_of inner 0 <> anchor -> in_room (slot_of inner 0) st -> housed st -> housed (rotate_zombies anchor s inner st).
Proof.
  intros at_s at_a other not_first room ok. unfold rotate_zombies. cbv zeta. set (first := slot_of inner 0) in *. clearbody first.
  pose proof (housed_nowhere st ok) as none. assert (s <> nowhere /\ anchor <> nowhere) as (s_n & a_n) by (split; congruence).
  pose proof (proj2 (proj2 (moved s nowhere st cs at_s none))) as holds1. pose proof (move_leaves s nowhere st) as leaves1.
  set (st1 := move_capability s nowhere st) in *. clearbody st1.
  assert (forall j d, capability_at j st1 = Some d -> j <> nowhere -> in_room j st /\ few_irq d) as from1.
  { intros j d. rewrite holds1. intros there j_n. rewrite (proj2 (N.eqb_neq j nowhere) j_n) in there. destruct (j =? s);
    [discriminate | exact (ok j d there)]. }
  assert (capability_at nowhere st1 = Some cs) as n1 by (rewrite holds1, N.eqb_refl; reflexivity).
  assert (capability_at anchor st1 = Some ca) as a1
    by (rewrite holds1, (proj2 (N.eqb_neq anchor nowhere) a_n), (proj2 (N.eqb_neq anchor s)) by congruence; exact at_a).
  set (st2 := if is_empty first st1 then st1 else move_capability first s st1).
  assert (leaves_good st st2 /\ (forall j d, capability_at j st2 = Some d -> j <> nowhere -> in_room j st /\ few_irq d)
    /\ capability_at nowhere st2 = Some cs /\ capability_at anchor st2 = Some ca /\ capability_at first st2 = None) as (leaves2 & from2 & n2 & a2 & f2).
  { unfold st2. destruct (is_empty first st1) eqn:vacant.
    - repeat split; try assumption; try (apply (from1 j d); assumption); [apply leaves1 | apply leaves1|]. apply vacant_none, is_empty_spec. exact vacant.
    - split; [exact (leaves_trans _ _ _ leaves1 (move_leaves first s st1))|].
      destruct (capability_at first st1) as [cf|] eqn:at_f; [|apply vacant_none, is_empty_spec in at_f; congruence].
      assert (capability_at s st1 = None) as s1 by (rewrite holds1, (proj2 (N.eqb_neq s nowhere) s_n), N.eqb_refl; reflexivity).
      assert (first <> s /\ first <> nowhere) as (f_s & f_n) by (split; [congruence | exact (proj1 room)]).
      pose proof (proj2 (proj2 (moved first s st1 cf at_f s1))) as holds2. split; [|split; [|split]].
      + intros j d. rewrite holds2. destruct (N.eqb_spec j s) as [->|].
        * intros is_d _. injection is_d as <-. split; [exact (proj1 (ok s cs at_s)) | exact (proj2 (from1 first cf at_f f_n))].
        * destruct (j =? first); [discriminate | apply from1].
      + rewrite holds2, (proj2 (N.eqb_neq nowhere s)), (proj2 (N.eqb_neq nowhere first)) by congruence. exact n1.
      + rewrite holds2, (proj2 (N.eqb_neq anchor s)), (proj2 (N.eqb_neq anchor first)) by congruence. exact a1.
      + rewrite holds2, (proj2 (N.eqb_neq first s)), N.eqb_refl by congruence. reflexivity. }
  clearbody st2. pose proof (proj2 (proj2 (moved anchor first st2 ca a2 f2))) as holds3. pose proof (move_leaves anchor first st2) as leaves3.
  set (st3 := move_capability anchor first st2) in *. clearbody st3.
  assert (first <> nowhere) as f_n by exact (proj1 room).
  assert (capability_at nowhere st3 = Some cs) as n3
    by (rewrite holds3, (proj2 (N.eqb_neq nowhere first)), (proj2 (N.eqb_neq nowhere anchor)) by congruence; exact n2).
  assert (capability_at anchor st3 = None) as a3 by (rewrite holds3, (proj2 (N.eqb_neq anchor first)), N.eqb_refl by congruence; reflexivity).
  apply (housed_with st); [exact (leaves_trans _ _ _ leaves2 (leaves_trans _ _ _ leaves3 (move_leaves nowhere anchor st3)))|].
  intros j d. rewrite (proj2 (proj2 (moved nowhere anchor st3 cs n3 a3))). destruct (N.eqb_spec j anchor) as [->|].
  { intros is_d. injection is_d as <-. exact (conj (proj1 (ok anchor ca at_a)) (proj2 (ok s cs at_s))). }
  destruct (N.eqb_spec j nowhere) as [->|j_n]; [discriminate|]. rewrite holds3. destruct (N.eqb_spec j first) as [->|].
  - intros is_d. injection is_d as <-. split; [exact room | exact (proj2 (ok anchor ca at_a))].
  - destruct (j =? anchor); [discriminate|]. intros there. exact (from2 j d there j_n).
Qed.

(** ** A unit of deletion *)
Lemma discard_within s j o st : (forall p, (exists c, capability_at s st = Some c /\ object_of c = Some p /\ is_zombie c || is_last c st = true) ->
    is_within j p st = true -> False) -> is_within j o st = true -> is_within j o (discard s st) = true.
Proof.
  intros none inside. pose proof (within_cases j o st inside) as (k & is_k & inside'). apply (within_from j o k); [|exact inside'].
  unfold discard. destruct (capability_at s st) as [c|] eqn:at_s; [|exact is_k].
  assert (slots_in o (remove_capability s st) = Some k) as usual by (rewrite (slots_in_same st (remove_capability s st) o (objects_of_remove_capability s
    st)); exact is_k).
  destruct (object_of c) as [p|] eqn:names; [|exact usual]. destruct (is_zombie c || is_last c st) eqn:last; [|exact usual]. unfold slots_in.
  change (objects (remove_object p ?x)) with (remove p (objects x)). rewrite find_remove. destruct (N.eqb_spec o p) as [->|]; [|exact usual].
  destruct (none p (ex_intro _ c (conj eq_refl (conj names last))) inside).
Qed.
Lemma discard_housed s st : (forall o, (exists c, capability_at s st = Some c /\ object_of c = Some o /\ is_zombie c || is_last c st = true) ->
    forall k d, is_within k o st = true -> capability_at k st = Some d -> k = s) -> housed st -> housed (discard s st).
Proof.
  intros none ok j d. rewrite discard_caps. destruct (N.eqb_spec j s) as [|other]; [discriminate|]. intros there.
  destruct (ok j d there) as ((elsewhere & room) & few). split; [|exact few]. split; [exact elsewhere|].
  destruct room as [(o & inside)|irq]; [left | right; exact irq]. exists o. apply discard_within; [|exact inside].
  intros p named_ inside_p. exact (other (none p named_ j d inside_p there)).
Qed.
Lemma discard_zombie_housed s o st : capability_at s st = Some (ZombieCap o) -> (forall k d, is_within k o st = true -> capability_at k st = Some d -> k = s) ->
  housed st -> housed (discard s st).
Proof.
  intros at_s none. apply discard_housed. intros p (c & at_s' & names & _). rewrite at_s in at_s'. injection at_s' as <-. injection names as <-. exact none.
Qed.
Lemma go_calm c st : calm st (let_go c st).
Proof. exact (@keeps_let_go _ _ _ _ (calm_quietly st) c eq_refl eq_refl eq_refl eq_refl st (calm_refl st)). Qed.
Lemma plain_housed s c st : sound st -> capability_at s st = Some c -> container_of c st = None -> housed st -> housed (delete_plain s c st).
Proof.
  intros right at_s no_container ok.
  assert (housed (discard s (let_go c st))) as away.
  { destruct (let_go_tables c st) as (same_slots & same_references).
    pose proof (@keeps_let_go _ _ _ _ sound_is_kept_quietly c eq_refl eq_refl eq_refl eq_refl st right) as right'. change (sound (let_go c st)) in right'.
    apply discard_housed; [|exact (calm_housed st _ (go_calm c st) ok)].
    intros o (d & at_s' & names & last) k t inside _. exfalso. rewrite (capability_same s st _ same_slots), at_s in at_s'. injection at_s' as <-.
    rewrite (is_last_same c st _ same_references), (zombie_contains c st no_container) in last. cbn [orb] in last.
    assert (capability_in (slots (let_go c st)) s = Some c) as there by (rewrite <- capability_at_in, (capability_same s st _ same_slots); exact at_s).
    destruct (refers _ _ (live_ok _ right') s c o there names) as (x & found & fits_). apply within_cases in inside. destruct inside as (n & is_n & _).
    unfold slots_in in is_n. rewrite found in is_n. destruct x; try discriminate is_n; destruct c; try discriminate fits_; cbn [container_of] in no_container;
      try (rewrite last in no_container); discriminate no_container. }
  unfold delete_plain. destruct (is_last c st); [|exact away]. destruct (waiting_on c st) as [|u l].
  - destruct c; try exact away. destruct (first_assigned pool st) as [(index & v)|]; [|exact away].
    exact (calm_housed st _ (@release_asid_freely _ _ _ _ (calm_quietly st) v _ eq_refl st (calm_refl st)) ok).
  - exact (calm_housed st _ (@keeps_restart _ _ _ _ (calm_quietly st) u eq_refl st (calm_refl st)) ok).
Qed.
Lemma one_housed s c st : sound st -> capability_at s st = Some c -> container_of c st = None -> housed st -> housed (delete_one s c st).
Proof.
  intros right at_s none ok. pose proof (plain_housed s c st right at_s none ok) as plain. unfold delete_one. destruct c; try exact plain.
  destruct (is_last _ st); [|exact plain]. destruct (capability_at (irq_slot irq) st) as [[]|] eqn:bound; try exact plain.
  exact (plain_housed _ _ st right bound eq_refl ok).
Qed.
Lemma inner_housed anchor s outer inner st : sound st -> inner < irq_slot 0 -> capability_at s st = Some (ZombieCap inner) ->
  capability_at anchor st = Some (ZombieCap outer) -> s <> anchor -> (forall k c, capability_at k st = Some c -> is_within k outer st = true -> k <= s) ->
  housed st -> housed (snd (meet_inner anchor s outer inner st)).
Proof.
  intros right is_low at_s at_a other last ok. unfold meet_inner. destruct (_ && _) eqn:whole.
  { apply andb_prop, proj2 in whole. apply (discard_zombie_housed s inner st at_s); [|exact ok]. intros k d inside_k there. exfalso.
    destruct (last_is_last inner st k _ there inside_k) as (j & x & is_last_ & _). rewrite is_last_ in whole. discriminate whole. }
  destruct (is_within anchor inner st) eqn:inside_inner; [exact (exchange_housed anchor s _ _ st at_a at_s (not_eq_sym other) ok)|].
  destruct ((s =? slot_of outer 0) && negb (is_within anchor outer st)) eqn:is_first; cbn [snd].
  - apply andb_prop in is_first. destruct is_first as (is_first & outside). apply N.eqb_eq in is_first. apply negb_true_iff in outside.
    assert (forall p, (exists c, capability_at anchor st = Some c /\ object_of c = Some p /\ is_zombie c || is_last c st = true) -> p = outer) as only
      by (intros p (c & at_a' & names & _); rewrite at_a in at_a'; injection at_a' as <-; injection names as <-; reflexivity).
    assert (forall j, j <> nowhere -> is_within j outer st = false -> in_room j st -> in_room j (move_capability s anchor (discard anchor st))) as stays_.
    { intros j elsewhere outside_j (_ & room). apply (room_stays (discard anchor st) _ j (move_leaves s anchor _)). split; [exact elsewhere|].
      destruct room as [(o & inside)|irq]; [left; exists o | right; exact irq]. apply discard_within; [|exact inside].
      intros p named_ inside_p. rewrite (only p named_) in inside_p. congruence. }
    assert (capability_at s (discard anchor st) = Some (ZombieCap inner)) as at_s1 by (rewrite discard_caps, (proj2 (N.eqb_neq s anchor) other); exact at_s).
    assert (capability_at anchor (discard anchor st) = None) as at_a1 by (rewrite discard_caps, N.eqb_refl; reflexivity).
    intros j d. rewrite (proj2 (proj2 (moved s anchor _ _ at_s1 at_a1))). destruct (N.eqb_spec j anchor) as [->|j_a].
    + intros is_d. injection is_d as <-. destruct (ok anchor _ at_a) as (room_a & _). split; [exact (stays_ anchor (proj1 room_a) outside room_a) | exact I].
    + destruct (N.eqb_spec j s) as [|j_s]; [discriminate|]. rewrite discard_caps, (proj2 (N.eqb_neq j anchor) j_a). intros there.
      destruct (ok j d there) as (room_j & few). split; [|exact few]. destruct (is_within j outer st) eqn:inside_j;
        [|exact (stays_ j (proj1 room_j) inside_j room_j)].
      pose proof (last j d there inside_j) as less. unfold is_within in inside_j. apply andb_prop, proj1, N.leb_le in inside_j.
      destruct j_s. rewrite is_first in *. unfold slot_of in *. lia.
  - pose proof (first_within inner s st right at_s) as inside. apply (rotate_housed anchor s inner _ _ st at_s at_a other); [| |exact ok].
    + intros same. rewrite <- same, inside in inside_inner. discriminate inside_inner.
    + apply (within_room _ inner); [|exact inside]. apply low_elsewhere. unfold slot_of. rewrite N.mul_0_r, N.add_0_r. exact is_low.
Qed.
Lemma unit_housed anchor st : sound st -> housed st -> housed (snd (delete_unit anchor st)).
Proof.
  intros right ok. unfold delete_unit. destruct (capability_at anchor st) as [c|] eqn:at_a; [|exact ok].
  assert (housed (snd match container_of c st with Some _ => (anchor, become_zombie anchor c st) | None => (anchor, delete_one anchor c st) end)) as usual.
  { destruct (container_of c st) as [o|] eqn:container; cbn [snd]; [exact (zombie_housed anchor c o st at_a container ok) | exact (one_housed anchor c st
    right at_a
      container ok)]. }
  destruct c; try exact usual. clear usual. unfold empty_zombie. cbv zeta. rename container into outer.
  destruct (last_occupied outer st) as [(s & c)|] eqn:last.
  2: { apply (discard_zombie_housed anchor outer st at_a); [|exact ok]. intros k d inside_k there.
       destruct (last_is_last outer st k _ there inside_k) as (j & x & is_last_ & _). congruence. }
  assert (forall k d, capability_at k st = Some d -> is_within k outer st = true -> k <= s) as all_before.
  { intros k d there inside_k. destruct (last_is_last outer st k d there inside_k) as (j & x & is_last_ & less). congruence. }
  apply last_within in last. destruct last as (at_s & inside). destruct (N.eqb_spec s anchor) as [->|other].
  - destruct (N.eqb_spec anchor (slot_of outer 0)) as [is_first|not_first]; cbn [snd].
    + apply (discard_zombie_housed anchor outer st at_a); [|exact ok]. intros k d inside_k there. pose proof (all_before k _ there inside_k) as less.
      unfold is_within in inside_k. apply andb_prop, proj1, N.leb_le in inside_k. rewrite is_first in *. unfold slot_of in *. lia.
    + unfold to_first_slot. destruct (is_empty (slot_of outer 0) st) eqn:vacant.
      * apply move_housed; [|exact ok]. intros _. apply (within_room _ outer); [|exact (first_within outer anchor st right at_a)]. apply low_elsewhere.
        rewrite capability_at_in in at_a. destruct (low_ok st right anchor _ at_a) as (is_low & _). unfold slot_of. rewrite N.mul_0_r, N.add_0_r.
        exact (is_low outer eq_refl).
      * destruct (capability_at (slot_of outer 0) st) as [d|] eqn:at_f; [|apply vacant_none, is_empty_spec in at_f; congruence].
        exact (exchange_housed anchor (slot_of outer 0) _ _ st at_a at_f not_first ok).
  - destruct (container_of c st) as [inner|] eqn:container; [|exact (one_housed s c st right at_s container ok)].
    pose proof (become_zombie_slots s c st inner at_s container) as caps.
    assert (sound (become_zombie s c st)) as right1.
    { unfold become_zombie. apply (@keeps_make_zombie _ _ _ _ sound_is_kept_quietly sound_is_kept s eq_refl).
      destruct c; try exact right. exact (@keeps_end_thread _ _ _ _ sound_is_kept_quietly thread eq_refl eq_refl st right). }
    pose proof (ends_alike s c st) as (leaves_ & _).
    assert (forall k, is_within k outer (become_zombie s c st) = true -> is_within k outer st = true) as same_within.
    { intros k inside_k. apply within_cases in inside. destruct inside as (n & is_n & _). pose proof (containers_stay _ _ leaves_ outer n is_n) as is_n1.
      apply within_cases in inside_k. destruct inside_k as (n' & is_n' & inside_k). assert (n' = n) as -> by congruence.
      exact (within_from k outer n st is_n inside_k). }
    assert (capability_at s (become_zombie s c st) = Some (ZombieCap inner)) as at_s1 by (rewrite caps, N.eqb_refl; reflexivity).
    apply inner_housed; [exact right1 | | exact at_s1 | | exact other | | exact (zombie_housed s c inner st at_s container ok)].
    + rewrite capability_at_in in at_s1. destruct (low_ok _ right1 s _ at_s1) as (is_low & _). exact (is_low inner eq_refl).
    + rewrite caps, (proj2 (N.eqb_neq anchor s)) by congruence. exact at_a.
    + intros k d there inside_k. apply same_within in inside_k. rewrite caps in there. destruct (N.eqb_spec k s) as [->|]; [lia|].
      exact (all_before k d there inside_k).
Qed.

(** ** Where a capability is deleted, and replaced *)
Definition well_housed (st : State) : Prop := settled_slots st /\ housed st.
Lemma well_sound st : well_housed st -> sound st. Proof. intros (((right & _) & _) & _). exact right. Qed.
Lemma well_nowhere st : well_housed st -> capability_at nowhere st = None. Proof. intros (_ & ok). exact (housed_nowhere st ok). Qed.
Lemma well_unit anchor st : well_housed st -> well_housed (snd (delete_unit anchor st)).
Proof. intros (all_ & ok). split; [exact (settled_unit anchor st all_) | exact (unit_housed anchor st (proj1 (proj1 all_)) ok)]. Qed.
Lemma well_allow n st : well_housed st -> well_housed (allow n st).
Proof. intros (all_ & ok). exact (conj (settled_allow n st all_) (calm_housed st (allow n st) (calm_same st (allow n st) eq_refl eq_refl) ok)). Qed.
Lemma well_delete slot st : well_housed st -> well_housed (state_of (delete slot st)).
Proof. apply (units_hold well_housed); [exact well_allow | exact well_unit]. Qed.
Lemma well_copy slot source_ c st : is_replacement c -> in_room slot st -> well_housed st -> well_housed (insert_copy slot source_ c st).
Proof.
  intros kind room (all_ & ok). split; [exact (settled_copy slot source_ c st kind all_)|]. unfold insert_copy.
  destruct (capability_at source_ st); [|exact ok]. destruct (_ && _); [|exact ok].
  apply (brings_housed slot (derived c) st _ (derived_brings slot source_ false (derived c) st) room); [|exact ok]. destruct c; try contradiction kind; exact I.
Qed.
Lemma well_replace slot by_ st : match by_ with Some (_, c) => is_replacement c | None => True end ->
  (forall one, delete slot st = Done one -> in_room slot one) -> well_housed st -> well_housed (state_of (replace_slot slot by_ st)).
Proof.
  intros kind room ok. unfold replace_slot. pose proof (well_delete slot st ok) as after. destruct (delete slot st) as [one|one]; [|exact after].
  cbn [and_then state_of] in *. destruct by_ as [(source_ & c)|]; [exact (well_copy slot source_ c one kind (room one eq_refl) after) | exact after].
Qed.
Lemma well_calm a b : calm a b -> sound b -> all_fine bounded b -> well_housed a -> well_housed b.
Proof.
  intros same right fine (((_ & _) & ok) & rooms). split; [|exact (calm_housed a b same rooms)]. split; [exact (conj right fine)|].
  apply (held_with a b (proj1 same)); [|exact ok]. intros j t. rewrite (capability_same j a b (proj2 same)). tauto.
Qed.

(** The slots of a thread one after the other: its zombie, if there is one, lies in one of those that are done, and there is no capability to it in others. *)
Section Replacing.
Variable t : N.
Hypothesis t_low : t < irq_slot 0.
Definition slots_ahead (done_ : N -> Prop) (j : N) : Prop := in_thread t j /\ ~ done_ j.
Definition left_behind (done_ : N -> Prop) (st : State) : Prop := stays t done_ (slots_ahead done_) st.
Definition with_slot (done_ : N -> Prop) (i : N) (j : N) : Prop := done_ j \/ j = slot_of t i.
Lemma replaced_behind (done_ : N -> Prop) i by_ st : (forall j, done_ j -> in_thread t j) -> i < thread_slots -> ~ done_ (slot_of t i) ->
  match by_ with Some (_, c) => is_replacement c | None => True end -> left_behind done_ st -> well_housed st ->
  well_housed (state_of (replace_in t i by_ st)) /\ forall one, replace_in t i by_ st = Done one -> left_behind (with_slot done_ i) one.
Proof.
  intros inside few far kind behind ok. pose proof (thread_slot_in t i few) as slot_in_.
  assert (forall j, with_slot done_ i j -> in_thread t j) as inside1 by (intros j [is_done| ->]; [exact (inside j is_done) | exact slot_in_]).
  assert (forall j, slots_ahead (with_slot done_ i) j -> in_thread t j) as inside2 by (intros j (here & _); exact here).
  assert (outlives t (with_slot done_ i) (slots_ahead (with_slot done_ i)) (slot_of t i) st) as begun.
  { apply (stays_again t done_ (slots_ahead done_)); [exact behind | | | split; [exact slot_in_ | exact far] | exact far|].
    - intros j is_done. left. exact is_done.
    - right. reflexivity.
    - intros j (here & no). split; [exact here|]. intros is_done. apply no. left. exact is_done. }
  split.
  - apply well_replace; [exact kind | | exact ok]. intros one done_one.
    destruct (delete_outlives well_housed well_sound well_nowhere well_unit t t_low _ _ inside1 inside2 (slot_of t i) st one ok begun done_one) as (there & _).
    apply (within_room _ t); [exact (thread_slot_low t i t_low few) | exact (thread_within t _ one there slot_in_)].
  - intros one. exact (replace_stays well_housed well_sound well_nowhere well_unit t t_low _ _ inside1 inside2 (slot_of t i) by_ st one kind ok begun).
Qed.
Lemma none_in_thread j st : settled_slots st -> in_thread t j -> capability_at j st <> Some (TCBCap t).
Proof.
  intros ((right & _) & ok) inside there. pose proof (proj1 (live_is st) (live_ok st right)) as alive.
  destruct (none_dangles st alive _ _ t there eq_refl) as (x & found & fits_).
  assert (thread_exists t st = true) as exists_ by (unfold thread_exists; rewrite found; destruct x; try discriminate fits_; reflexivity).
  destruct (ok _ t there) as (_ & [is_place|(o & z & within_ & at_z)]).
  - exact (cnode_outside t _ st right exists_ is_place inside).
  - destruct (N.eq_dec o t) as [->|other].
    + pose proof (zombies_are_alone st alive z _ _ t at_z there eq_refl) as same. congruence.
    + exact (containers_apart t o z _ st right exists_ at_z other (or_intror within_) inside).
Qed.
Lemma begins_behind place st : settled_slots st -> capability_at place st = Some (TCBCap t) -> left_behind (fun _ => False) st.
Proof.
  intros all_ there. pose proof all_ as ((right & _) & _). pose proof (proj1 (live_is st) (live_ok st right)) as alive.
  destruct (none_dangles st alive _ _ t there eq_refl) as (x & found & fits_). split.
  - unfold thread_exists. rewrite found. destruct x; try discriminate fits_. reflexivity.
  - left. split.
    + intros j at_j. pose proof (zombies_are_alone st alive j place _ t at_j there eq_refl) as same. congruence.
    + intros j (inside & _). exact (none_in_thread j st all_ inside).
Qed.
Lemma behind_same done_ a b : calm a b -> left_behind done_ a -> left_behind done_ b.
Proof.
  intros (leaves_ & same) (there & which). pose proof (fun j => capability_same j a b same) as caps. split.
  - unfold thread_exists in *. pose proof (containers_stay a b leaves_ t None) as stay. unfold slots_in in stay.
    destruct (objects a !! t) as [[]|]; try discriminate there. specialize (stay eq_refl). destruct (objects b !! t) as [[]|]; try discriminate stay.
      reflexivity.
  - destruct which as [(none & no)|(z & is_z & at_z)]; [left | right].
    + split; [intros j; rewrite caps; exact (none j) | intros j open_j; rewrite caps; exact (no j open_j)].
    + exists z. split; [exact is_z | rewrite caps; exact at_z].
Qed.
Lemma well_buffer a st : well_housed st -> well_housed (change_thread t (fun x => x <| buffer_address := a |>) st).
Proof.
  intros (all_ & ok). split; [exact (settled_buffer t a st all_)|]. refine (calm_housed st _ _ ok).
  apply (@keeps_change_thread _ _ _ _ (calm_quietly st)); [intros x; split; intros _; reflexivity | apply calm_refl].
Qed.
Lemma well_set_buffer (done_ : N -> Prop) a f st : (forall j, done_ j -> in_thread t j) -> ~ done_ (slot_of t buffer_slot) -> (a =? 0) || is_memory_frame f =
  true ->
  left_behind done_ st -> well_housed st -> well_housed (state_of (set_buffer t a f st)).
Proof.
  intros inside far frame behind ok. unfold set_buffer. cbv zeta.
  assert (calm st (change_thread t (fun x => x <| buffer_address := 0 |>) st)) as same
    by (apply (@keeps_change_thread _ _ _ _ (calm_quietly st)); [intros x; split; intros _; reflexivity | apply calm_refl]).
  destruct (replaced_behind done_ buffer_slot _ _ inside eq_refl far (replacement_of_buffer a f frame) (behind_same done_ _ _ same behind) (well_buffer 0 st
    ok))
    as (after & _).
  destruct (replace_in _ _ _ _) as [one|one]; [|exact after]. cbn [and_then state_of] in *. exact (well_buffer a one after).
Qed.
End Replacing.
(** ** Every method *)
Definition none_done (_ : N) : Prop := False.
Lemma none_within t j : none_done j -> in_thread t j. Proof. intros []. Qed.
Lemma none_far j : ~ none_done j. Proof. exact id. Qed.
Definition then_housed (d : Decision) (st : State) : Prop := match d with Perform work => housed (state_after (work st)) | Refuse _ _ => True end.
Lemma well_progress p : well_housed (state_of p) -> housed (state_after match p with Done st => Returns [] st | Preempted st => Stops st end).
Proof. intros (_ & ok). destruct p; exact ok. Qed.
Ltac chosen_housed := repeat match goal with
  | |- then_housed (if ?x then _ else _) _ => destruct x eqn:?; try exact I
  | |- then_housed (match ?x with _ => _ end) _ => destruct x eqn:?; try exact I
  end.
Section Methods.
Variable call : Invocation.
Variable st : State.
Hypothesis fine_call : valid call st.
Hypothesis ok : well_housed st.
Local Notation right := (proj1 (proj1 (proj1 ok))).
Local Notation fine := (proj2 (proj1 (proj1 ok))).
Lemma invoked_room address depth slot : slot_under (Some (invoked call)) address depth st = inl slot -> in_room slot st.
Proof. intros into. apply good_room. exact (under_is_good _ _ address depth slot st right fine (proj1 fine_call) into). Qed.
Lemma argument_room i address depth slot : slot_under (argument (cap i call)) address depth st = inl slot -> in_room slot st.
Proof. intros into. apply good_room. exact (argument_is_good call i address depth slot st right fine fine_call into). Qed.
Lemma few_at j c : capability_at j st = Some c -> few_irq c. Proof. intros there. exact (proj2 (proj2 ok j c there)). Qed.
Lemma derive_housed a b c d r i make orig : (forall x y, make (mask_rights (rights_of_word r) x) = Some y -> few_irq x -> few_irq (derived y)) ->
  then_housed (derive_into a b c d r (cap i call) make orig call st) st.
Proof.
  intros made. unfold derive_into, empty_slot_in, slot_in, occupant, always. cbv beta. chosen_housed. cbn [then_housed state_after].
  match goal with into : slot_under (Some _) _ _ st = inl ?s, there : capability_at ?from st = Some ?y, is_x : make _ = Some ?x
      |- housed (insert_derived ?s ?from ?o (derived ?x) st) =>
    apply (brings_housed s (derived x) st _ (derived_brings s from o (derived x) st)); [exact (invoked_room _ _ _ into) | exact (made y x is_x (few_at from y
      there))
      | exact (proj2 ok)] end.
Qed.
Lemma move_into_housed a b c d i make : then_housed (move_into a b c d (cap i call) make call st) st.
Proof.
  unfold move_into, empty_slot_in, slot_in, occupant, always. cbv beta. chosen_housed. cbn [then_housed state_after].
  match goal with into : slot_under (Some _) _ _ st = inl ?s |- housed (move_capability ?from ?s (change_capability _ ?x st)) =>
    apply move_housed; [intros _; exact (room_stays _ _ s (proj1 (change_alike from x st)) (invoked_room _ _ _ into)) | exact (change_housed from x st (proj2
      ok))] end.
Qed.
Lemma rotate_method_housed a b c d e f g h i k : then_housed (cnode_rotate a b c d e f g h (cap i call) (cap k call) call st) st.
Proof.
  unfold cnode_rotate, slot_in, occupant, always. cbv beta. chosen_housed. cbn [then_housed state_after].
  match goal with into : slot_under (Some _) _ _ st = inl ?dest, differ : negb (?p =? ?s) && _ = true, is_p : slot_under _ _ _ st = inl ?p,
      is_s : slot_under _ _ _ st = inl ?s, at_p : capability_at ?p st = Some _, at_s : capability_at ?s st = Some _
      |- context [change_capability ?s ?x (change_capability ?p ?y st)] =>
    apply andb_prop, proj1, negb_true_iff, N.eqb_neq in differ; pose proof differ as apart_;
    pose proof (invoked_room _ _ _ into) as d_room; pose proof (argument_room _ _ _ _ is_p) as p_room;
    pose proof (proj1 (alike_trans _ _ _ (change_alike p y st) (change_alike s x _))) as same;
    pose proof (change_housed s x _ (change_housed p y st (proj2 ok))) as housed_;
    pose proof (changed_some s s x _ (changed_some s p y st ltac:(congruence))) as some_s;
    pose proof (changed_some p s x _ (changed_some p p y st ltac:(congruence))) as some_p;
    apply (room_stays _ _ _ same) in d_room; apply (room_stays _ _ _ same) in p_room;
    revert some_s some_p housed_ d_room p_room; generalize (change_capability s x (change_capability p y st)); clear - apart_;
    intros one some_s some_p housed_ d_room p_room
  end.
  match goal with |- context [if ?x then _ else _] => destruct x end.
  - match type of some_s with capability_at ?s one <> None => destruct (capability_at s one) as [cs|] eqn:at_s; [|contradiction] end.
    match type of some_p with capability_at ?p one <> None => destruct (capability_at p one) as [cp|] eqn:at_p; [|contradiction] end.
    exact (exchange_housed _ _ cs cp one at_s at_p (not_eq_sym apart_) housed_).
  - apply move_housed; [intros _; exact (room_stays _ _ _ (move_leaves _ _ one) p_room)|]. apply move_housed; [intros _; exact d_room | exact housed_].
Qed.
Lemma objects_housed count type n d u t : forall at_ slot offset one, (forall k, k < N.of_nat count -> in_room (slot + slot_bytes * k) one) -> housed one ->
  housed (state_after (make_objects count type at_ n d slot offset u t one)).
Proof.
  induction count as [|rest IH]; intros at_ slot offset one room housed_; cbn [make_objects]; [exact housed_|]. destruct (must_stop one).
  - cbn [state_after]. apply (calm_housed one); [|exact housed_]. pose proof (calm_quietly one) as quiet.
    exact (@keeps_set_word_argument _ _ _ _ quiet 5%nat _ t _ (@keeps_set_word_argument _ _ _ _ quiet 4%nat offset t one (calm_refl one))).
  - cbv zeta. unfold make_object. cbv zeta.
    match goal with |- context [carve u at_ ?size ?x slot ?c ?s] => set (told := s); set (after := carve u at_ size x slot c told);
      assert (calm one told) as same by (unfold told; destruct (_ || _); [exact (calm_same one (emit _ one) eq_refl eq_refl) | apply calm_refl]);
      pose proof (carve_brings u at_ size x slot c told : brings slot c told after) as came end.
    clearbody after. pose proof (leaves_trans _ _ _ (proj1 same) (proj1 came)) as leaves_.
    apply IH.
    + intros k less. replace (slot + slot_bytes + slot_bytes * k) with (slot + slot_bytes * (k + 1)) by lia.
      exact (room_stays one after _ leaves_ (room (k + 1) ltac:(lia))).
    + refine (calm_housed after (allow _ after) (calm_same after (allow _ after) eq_refl eq_refl) _).
      apply (brings_housed _ _ _ _ came); [| |exact (calm_housed _ _ same housed_)].
      * pose proof (room 0 ltac:(lia)) as room_0. rewrite N.mul_0_r, N.add_0_r in room_0. exact (room_stays _ _ _ (proj1 same) room_0).
      * destruct type; exact I.
Qed.
Lemma retype_housed a b c d e f i : then_housed (untyped_retype a b c d e f (cap i call) call st) st.
Proof.
  unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta. chosen_housed.
  all: cbn [then_housed]; apply objects_housed; [rewrite N2Nat.id; intros k less; apply good_room; revert k less | exact (proj2 ok)].
  - match goal with is_c : argument (cap i call) = Some _ |- _ =>
      apply (cnode_slots_good st (proj1 ok) _ _ _ _ _ e f (argument_at call st i _ fine_call is_c)) end.
    apply N.leb_le. assumption.
  - match goal with is_c : capability_at _ st = Some (CNodeCap _ _ _ _) |- _ => apply (cnode_slots_good st (proj1 ok) _ _ _ _ _ e f is_c) end.
    apply N.leb_le. assumption.
Qed.
Lemma invoked_is_low t : invoked call = TCBCap t -> capability_at (invoked_slot call) st = Some (TCBCap t) /\ t < irq_slot 0.
Proof.
  intros is_t. pose proof (proj1 fine_call) as there. rewrite is_t in there. split; [exact there|]. rewrite capability_at_in in there.
  destruct (low_ok st right _ _ there) as (is_low & _). exact (is_low t eq_refl).
Qed.
Lemma configure_housed a b c i j k t : invoked call = TCBCap t -> then_housed (tcb_configure a b c (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros is_thread. destruct (invoked_is_low t is_thread) as (there & t_low). unfold tcb_configure. rewrite (is_t t call is_thread). cbv zeta. chosen_housed.
  cbn [in_progress then_housed]. apply well_progress.
  match goal with is_c : is_cnode _ = true, is_v : is_usable_vspace _ = true |- _ =>
    destruct (replaced_behind t t_low none_done cspace_slot _ st (none_within t) eq_refl (none_far _) (replacement_of_cnode a _ is_c)
      (begins_behind t _ st (proj1 ok) there) ok) as (one & behind1);
    pose proof (fun by_ x => replaced_behind t t_low (with_slot t none_done cspace_slot) vspace_slot by_ x) as two;
    pose proof (replacement_of_space _ is_v) as kind_v end.
  destruct (replace_in t cspace_slot _ st) as [st1|st1]; [|exact one]. cbn [and_then state_of] in *. specialize (behind1 st1 eq_refl).
  assert (slot_of t cspace_slot <> slot_of t vspace_slot) as n01 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (slot_of t cspace_slot <> slot_of t buffer_slot) as n02 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (slot_of t vspace_slot <> slot_of t buffer_slot) as n12 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (forall x, with_slot t none_done cspace_slot x -> in_thread t x) as inside1
    by (intros x [[]| ->]; exact (thread_slot_in t cspace_slot eq_refl)).
  destruct (two _ st1 inside1 eq_refl ltac:(intros [[]|same]; congruence) kind_v behind1 one) as (ok2 & behind2).
  destruct (replace_in t vspace_slot _ st1) as [st2|st2]; [|exact ok2]. cbn [and_then state_of] in *. specialize (behind2 st2 eq_refl).
  apply (well_set_buffer t t_low (with_slot t (with_slot t none_done cspace_slot) vspace_slot)); try assumption.
  - intros x [is_x| ->]; [exact (inside1 x is_x) | exact (thread_slot_in t vspace_slot eq_refl)].
  - intros [[[]|same]|same]; congruence.
Qed.
Lemma set_space_housed a b i j k t : invoked call = TCBCap t -> then_housed (tcb_set_space a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros is_thread. destruct (invoked_is_low t is_thread) as (there & t_low). unfold tcb_set_space. rewrite (is_t t call is_thread). cbv zeta. chosen_housed.
  cbn [in_progress then_housed]. apply well_progress.
  match goal with is_f : is_fault_endpoint _ = true, is_c : is_cnode _ = true, is_v : is_usable_vspace _ = true |- _ =>
    destruct (replaced_behind t t_low none_done fault_slot _ st (none_within t) eq_refl (none_far _) (replacement_of_fault _ is_f)
      (begins_behind t _ st (proj1 ok) there) ok) as (one & behind1);
    pose proof (fun by_ x => replaced_behind t t_low (with_slot t none_done fault_slot) cspace_slot by_ x) as two;
    pose proof (replacement_of_cnode a _ is_c) as kind_c;
    pose proof (fun by_ x => replaced_behind t t_low (with_slot t (with_slot t none_done fault_slot) cspace_slot) vspace_slot by_ x) as three;
    pose proof (replacement_of_space _ is_v) as kind_v end.
  destruct (replace_in t fault_slot _ st) as [st1|st1]; [|exact one]. cbn [and_then state_of] in *. specialize (behind1 st1 eq_refl).
  assert (slot_of t fault_slot <> slot_of t cspace_slot) as n01 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (slot_of t fault_slot <> slot_of t vspace_slot) as n02 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (slot_of t cspace_slot <> slot_of t vspace_slot) as n12 by (intros same; apply slot_of_injective in same; discriminate same).
  assert (forall x, with_slot t none_done fault_slot x -> in_thread t x) as inside1
    by (intros x [[]| ->]; exact (thread_slot_in t fault_slot eq_refl)).
  destruct (two _ st1 inside1 eq_refl ltac:(intros [[]|same]; congruence) kind_c behind1 one) as (ok2 & behind2).
  destruct (replace_in t cspace_slot _ st1) as [st2|st2]; [|exact ok2]. cbn [and_then state_of] in *. specialize (behind2 st2 eq_refl).
  refine (proj1 (three _ st2 _ eq_refl _ kind_v behind2 ok2)).
  - intros x [is_x| ->]; [exact (inside1 x is_x) | exact (thread_slot_in t cspace_slot eq_refl)].
  - intros [[[]|same]|same]; congruence.
Qed.
Lemma set_ipc_buffer_housed a i t : invoked call = TCBCap t -> then_housed (tcb_set_ipc_buffer a (cap i call) call st) st.
Proof.
  intros is_thread. destruct (invoked_is_low t is_thread) as (there & t_low). unfold tcb_set_ipc_buffer. rewrite (is_t t call is_thread). chosen_housed.
  cbn [in_progress then_housed].
  apply well_progress, (well_set_buffer t t_low none_done); try assumption; [exact (none_within t) | exact (none_far _) | exact (begins_behind t _ st (proj1
    ok) there)].
Qed.
Lemma set_timeout_housed i t : invoked call = TCBCap t -> then_housed (tcb_set_timeout_endpoint (cap i call) call st) st.
Proof.
  intros is_thread. destruct (invoked_is_low t is_thread) as (there & t_low). unfold tcb_set_timeout_endpoint. rewrite (is_t t call is_thread). chosen_housed.
  cbn [in_progress then_housed]. apply well_progress.
  refine (proj1 (replaced_behind t t_low none_done timeout_slot _ st (none_within t) eq_refl (none_far _) _
    (begins_behind t _ st (proj1 ok) there) ok)). apply replacement_of_fault. assumption.
Qed.
Lemma well_same one : calm st one -> settled_slots one -> well_housed one. Proof. intros same all_. exact (conj all_ (calm_housed st one same (proj2 ok))). Qed.
Lemma set_sched_params_housed a b i j k t : invoked call = TCBCap t ->
  then_housed (tcb_set_sched_params a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros is_thread. destruct (invoked_is_low t is_thread) as (there & t_low).
  pose proof settled_quietly as quiet. pose proof (calm_quietly st) as still. unfold tcb_set_sched_params, thread_argument, in_progress.
  rewrite (is_t t call is_thread). cbv zeta beta.
  assert (settled_slots (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st))) as after.
  { apply (@keeps_set_priority _ _ _ _ quiet _ _ eq_refl), (@keeps_change_thread _ _ _ _ quiet); [intros x; split; intros _; reflexivity | exact (proj1 ok)]. }
  assert (calm st (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st))) as same.
  { apply (@keeps_set_priority _ _ _ _ still _ _ eq_refl), (@keeps_change_thread _ _ _ _ still); [intros x; split; intros _; reflexivity | apply calm_refl]. }
  assert (forall one, calm st one -> settled_slots one -> is_fault_endpoint (cap k call) = true ->
    well_housed (state_of (replace_in t fault_slot (replacement (cap k call)) one))) as last_.
  { intros one calm_ all_ fault_. refine (proj1 (replaced_behind t t_low none_done fault_slot _ one (none_within t) eq_refl (none_far _)
      (replacement_of_fault _ fault_) _ (well_same one calm_ all_))).
    exact (behind_same t _ st one calm_ (begins_behind t _ st (proj1 ok) there)). }
  destruct (argument (cap i call)) as [[]|]; try exact I. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  revert after same. destruct (argument (cap j call)) as [[]|]; try (intros; exact I).
  all: match goal with |- _ -> _ -> then_housed (if ?x then _ else _) _ => destruct x; [|intros; exact I] end;
    destruct (is_fault_endpoint (cap k call)) eqn:fault_; [|intros; exact I]; cbn [then_housed];
    generalize (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st)); intros one after same;
    apply well_progress, last_; try reflexivity.
  - destruct (context_of t one); [exact same | exact (@keeps_bind_context _ _ _ _ still _ _ eq_refl one same)].
  - destruct (context_of t one); [exact after | exact (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl one after)].
  - destruct (context_of t one); [exact (@keeps_unbind_thread _ _ _ _ still _ eq_refl one same) | exact same].
  - destruct (context_of t one); [exact (@keeps_unbind_thread _ _ _ _ quiet _ eq_refl one after) | exact after].
Qed.
Lemma irq_room irq : irq < most_interrupts -> forall one, in_room (irq_slot irq) one.
Proof.
  intros few one. split; [exact (irq_slot_low irq few)|]. right. unfold irq_slot, slot_of, slot_bytes. change (N.shiftl 1 slot_bits) with 32.
  change most_interrupts with 2251799813685248 in few. change nowhere with 144115188075855872. lia.
Qed.
Lemma set_notification_housed i irq : invoked call = IRQHandlerCap irq -> then_housed (irq_handler_set_notification (cap i call) call st) st.
Proof.
  intros is_irq. pose proof (few_at _ _ (proj1 fine_call)) as few. unfold irq_handler_set_notification, in_progress, invoked_interrupt. rewrite is_irq in *.
  cbv zeta beta. chosen_housed. cbn [then_housed].
  match goal with is_n : argument (cap i call) = Some ?c |- _ =>
    pose proof (well_replace (irq_slot irq) (Some (argument_slot (cap i call), c)) st I (fun one _ => irq_room irq few one) ok) as after end.
  destruct (replace_slot (irq_slot _) _ st) as [one|one]; [|exact (proj2 after)]. cbn [state_of and_then state_after] in *.
  exact (calm_housed one _ (@keeps_set_mask _ _ _ _ (calm_quietly one) _ _ one (calm_refl one)) (proj2 after)).
Qed.
Lemma claimed_housed slot s o c one : in_room slot st -> few_irq c -> calm st one -> housed (insert_derived slot s o c one).
Proof.
  intros room few same. apply (brings_housed slot c one _ (derived_brings slot s o c one)); [exact (room_stays _ _ _ (proj1 same) room) | exact few|].
  exact (calm_housed _ _ same (proj2 ok)).
Qed.
Lemma irq_get_housed a b c d i : last_interrupt (machine st) < most_interrupts -> then_housed (irq_control_get a b c d (cap i call) call st) st.
Proof.
  intros few. unfold irq_control_get, empty_slot_in, slot_in, always. cbv zeta beta. chosen_housed. cbn [then_housed state_after].
  apply claimed_housed.
  - match goal with into : slot_under _ _ _ st = inl ?s |- in_room ?s st => exact (argument_room _ _ _ _ into) end.
  - cbn [few_irq]. match goal with H : (_ && _) || (a =? irq_serror) = true |- _ => apply orb_prop in H; destruct H as [H|H] end.
    + match goal with H : _ && (a <=? _) = true |- _ => apply andb_prop, proj2, N.leb_le in H; lia end.
    + match goal with H : (a =? _) = true |- _ => apply N.eqb_eq in H; subst a; reflexivity end.
  - destruct (is_held_back _); apply calm_same; reflexivity.
Qed.
Lemma irq_issue_housed a b c d i : then_housed (irq_control_issue_sgisignal a b c d (cap i call) call st) st.
Proof.
  unfold irq_control_issue_sgisignal, empty_slot_in, slot_in, always. cbv zeta beta. chosen_housed. cbn [then_housed state_after].
  apply claimed_housed; [|exact I | apply calm_refl].
  match goal with into : slot_under _ _ _ st = inl ?s |- in_room ?s st => exact (argument_room _ _ _ _ into) end.
Qed.
Lemma changed_housed slot c one : calm st one -> housed (change_capability slot c one).
Proof. intros same. exact (change_housed slot c one (calm_housed _ _ same (proj2 ok))). Qed.
Lemma entry_calm t i e one : calm st one -> calm st (set_page_entry t i e one).
Proof. apply (@set_page_entry_freely _ _ _ _ (calm_quietly st) t i e eq_refl). intros x no. discriminate no. Qed.
Lemma table_map_housed a b i : then_housed (page_table_map a b (cap i call) call st) st.
Proof.
  unfold page_table_map, vspace_argument, always. cbv beta zeta. chosen_housed. all: cbn [then_housed state_after]; apply changed_housed, entry_calm, calm_refl.
Qed.
Lemma table_unmap_housed : then_housed (page_table_unmap call st) st.
Proof.
  unfold page_table_unmap, always. cbv beta zeta. chosen_housed. cbn [then_housed state_after]. apply changed_housed.
  exact (@unmap_table_freely _ _ _ _ (calm_quietly st) _ _ eq_refl st (calm_refl st)).
Qed.
Lemma frame_map_housed a b c i : then_housed (frame_map a b c (cap i call) call st) st.
Proof.
  unfold frame_map, vspace_argument, always. cbv beta zeta. chosen_housed.
  all: cbn [then_housed state_after]; apply changed_housed, entry_calm;
    match goal with |- calm st (if ?x then _ else _) => destruct x end; [exact (calm_same st (emit _ st) eq_refl eq_refl) | apply calm_refl].
Qed.
Lemma frame_unmap_housed : then_housed (frame_unmap call st) st.
Proof.
  unfold frame_unmap, always. cbv beta zeta. chosen_housed. cbn [then_housed state_after]. apply changed_housed.
  exact (@unmap_frame_freely _ _ _ _ (calm_quietly st) _ _ _ eq_refl st (calm_refl st)).
Qed.
Lemma make_pool_housed a b i j : then_housed (asid_control_make_pool a b (cap i call) (cap j call) call st) st.
Proof.
  unfold asid_control_make_pool, empty_slot_in, slot_in, always. cbv beta zeta. chosen_housed. cbn [then_housed state_after].
  match goal with |- housed (carve ?u ?at_ ?size ?x ?slot ?c ?s) => assert (calm st s) as same by (apply calm_same; reflexivity);
    apply (brings_housed slot c s _ (carve_brings u at_ size x slot c s)); [|exact I | exact (calm_housed _ _ same (proj2 ok))];
    apply (room_stays _ _ _ (proj1 same)) end.
  match goal with into : slot_under _ _ _ st = inl ?s |- in_room ?s st => exact (argument_room _ _ _ _ into) end.
Qed.
Lemma assign_housed i : then_housed (asid_pool_assign (cap i call) call st) st.
Proof.
  unfold asid_pool_assign, always. cbv beta zeta. chosen_housed. cbn [then_housed state_after]. apply changed_housed.
  exact (@change_pool_freely _ _ _ _ (calm_quietly st) _ _ eq_refl st (calm_refl st)).
Qed.
Lemma copy_housed a b c d r i : then_housed (cnode_copy a b c d r (cap i call) call st) st.
Proof. apply derive_housed. intros x y same. injection same as <-. destruct x; exact id. Qed.
Lemma mint_housed a b c d r badge i : then_housed (cnode_mint a b c d r badge (cap i call) call st) st.
Proof.
  apply derive_housed. intros x y. destruct x; cbn [mask_rights with_badge with_guard];
    try (intros same; injection same as <-; exact id); try (destruct badge0; [intros same; injection same as <-; exact id | discriminate]).
  cbv zeta. destruct (_ <=? _); [intros same; injection same as <-; exact id | discriminate].
Qed.
End Methods.

(** ** Each step *)
Definition but_moving (k : Link) : bool := match k with Ending | Placing | Telling => true | _ => false end.
Definition stays_housed (m : Machine) (st : State) : Prop := measured m st /\ well_housed st.
Lemma housed_quietly m : kept_quietly_but but_moving (stays_housed m) (fine_pieces m) low_and_bounded.
Proof.
  pose proof (measured_quietly m) as pieces. pose proof settled_quietly as all_. constructor.
  - intros a b s r o rd sl same_pools (grows_ & same_m) (is_m & (settled_ & ok)). split; [|split].
    + exact (looks_at_objects pieces a b s r o rd sl (conj grows_ same_m) is_m).
    + exact (looks_at_objects all_ a b s r o rd sl same_pools settled_).
    + exact (calm_housed a b (calm_same a b s o) ok).
  - intros t st (is_m & (settled_ & ok)). split; [exact (after_unplace pieces t st is_m)|]. split; [exact (after_unplace all_ t st settled_)|].
    exact (calm_housed st (unplace t st) (after_unplace (calm_quietly st) t st (calm_refl st)) ok).
  - intros insert t st usual (is_m & (settled_ & ok)). split; [exact (after_place pieces insert t st usual is_m)|].
    split; [exact (after_place all_ insert t st usual settled_)|]. exact (calm_housed st _ (after_place (calm_quietly st) insert t st usual (calm_refl st)) ok).
  - intros t st asleep (is_m & (settled_ & ok)). split; [exact (after_sleeping_anew pieces t st asleep is_m)|].
    split; [exact (after_sleeping_anew all_ t st asleep settled_)|].
    exact (calm_housed st _ (after_sleeping_anew (calm_quietly st) t st asleep (calm_refl st)) ok).
  - intros o x y st there same change fine_x (is_m & (settled_ & ok)).
    assert (object_change nothing y x) as free by (destruct y, x; try exact I; repeat split; discriminate).
    assert (fine_object (fun _ => True) x) as fine_ by (destruct x; exact I).
    split; [refine (after_put_object pieces o x y st there same _ fine_x is_m); destruct y, x; try exact I; repeat split; discriminate|].
    split; [exact (after_put_object all_ o x y st there same change fine_ settled_)|].
    exact (calm_housed st _ (after_put_object (calm_quietly st) o x y st there same free fine_ (calm_refl st)) ok).
  - intros o c st (is_m & _). exact (contexts_are_fine pieces o c st is_m).
  - intros slot c st (_ & (settled_ & _)). exact (capabilities_are_fine all_ slot c st settled_).
  - exact (looks_at_time pieces).
  - exact (fine_new pieces).
  - intros used st c (is_m & _). exact (fine_charge pieces used st c is_m).
  - exact (fine_begin_use pieces).
  - intros core b p extra badge flags st c (is_m & _). exact (fine_configure pieces core b p extra badge flags st c is_m).
  - exact I.
Qed.
Lemma arrived_few slot s c st : arrives slot s c st -> housed st -> few_irq c.
Proof.
  intros (from & address & to & old & found & _ & -> & _) ok. apply occupied_in_place in found. destruct (ok s old found) as (_ & few). destruct old; exact few.
Qed.
Lemma housed_kept m : kept_but but_moving (stays_housed m) (fine_pieces m) low_and_bounded.
Proof.
  pose proof (measured_kept m) as pieces. pose proof settled_kept as all_.
  constructor; try (intros; discriminate); try solve [intros; intros absurd; destruct absurd].
  - intros slot p o c st from fine_c arrived (is_m & (settled_ & ok)). split; [exact (after_insert_child pieces slot p o c st from I is_m)|].
    split; [exact (after_insert_child all_ slot p o c st from fine_c arrived settled_)|].
    apply (brings_housed slot c st _ (child_brings slot p o c st)); [exact (good_room slot st (arrival_is_good slot p c st (proj1 (proj1 settled_)) (proj2
      (proj1
      settled_)) arrived)) | exact (arrived_few slot p c st arrived ok) | exact ok].
  - intros slot s o c st from fine_c arrived (is_m & (settled_ & ok)). split; [exact (after_insert_sibling pieces slot s o c st from I is_m)|].
    split; [exact (after_insert_sibling all_ slot s o c st from fine_c arrived settled_)|].
    apply (brings_housed slot c st _ (sibling_brings slot s o c st)); [exact (good_room slot st (arrival_is_good slot s c st (proj1 (proj1 settled_)) (proj2
      (proj1
      settled_)) arrived)) | exact (arrived_few slot s c st arrived ok) | exact ok].
  - intros u at_ size x slot c st with_it new fine_c (-> & arrived) (is_m & (settled_ & ok)).
    split; [exact (after_carve pieces u at_ size None slot c st with_it new I is_m)|].
    split; [exact (after_carve all_ u at_ size None slot c st with_it I fine_c (conj eq_refl arrived) settled_)|].
    apply (brings_housed slot c st _ (carve_brings u at_ size None slot c st)); [exact (good_room slot st (arrival_is_good slot u c st (proj1 (proj1 settled_))
      (proj2 (proj1 settled_)) arrived)) | exact (arrived_few slot u c st arrived ok) | exact ok].
  - exact (fine_yield all_).
Qed.
Lemma measured_method m method call st : fits method (invoked call) -> valid call st -> measured m st ->
  match decode_method method call st with Perform work => measured m (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type fine_call ok. refine (@decode_well but_telling_only (measured m) (fine_pieces m) (fun _ => True) (measured_quietly m) (measured_kept m)
    (measured_given m) method call st _ type fine_call ok).
  split; [exact I|]. induction (cap_arguments call) as [|a l IH]; constructor; [|exact IH]. unfold good, good_argument, good_option. destruct (argument a);
    exact I.
Qed.
Lemma housed_method m method call st : last_interrupt m < most_interrupts -> negb (forallb (fun k => negb (but_placing k)) (links_of method)) = true ->
  fits method (invoked call) -> valid call st -> stays_housed m st ->
  match decode_method method call st with Perform work => stays_housed m (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros few moves type fine_call (is_m & ok).
  assert (then_housed (decode_method method call st) st) as here.
  { pose proof (same_machine_ m st is_m) as same_m. destruct method; try discriminate moves; unfold decode_method.
    all: try (destruct (invoked_thread_is _ call type eq_refl) as (t & is_thread)).
    all: first [ apply (retype_housed call st fine_call ok) | apply (copy_housed call st fine_call ok) | apply (mint_housed call st fine_call ok)
      | apply (move_into_housed call st fine_call ok) | apply (rotate_method_housed call st fine_call ok)
      | apply (configure_housed call st fine_call ok) with t | apply (set_space_housed call st fine_call ok) with t
      | apply (set_ipc_buffer_housed call st fine_call ok) with t | apply (set_timeout_housed call st fine_call ok) with t
      | apply (set_sched_params_housed call st fine_call ok) with t
      | (destruct (invoked call) eqn:is_it; try discriminate type; apply (set_notification_housed call st fine_call ok _ _ is_it))
      | apply (irq_get_housed call st fine_call ok) | apply (irq_issue_housed call st fine_call ok) | apply (table_map_housed call st ok)
      | apply (table_unmap_housed call st ok) | apply (frame_map_housed call st ok) | apply (frame_unmap_housed call st ok)
      | apply (make_pool_housed call st fine_call ok) | apply (assign_housed call st ok) ].
    all: first [ assumption | rewrite same_m; exact few ]. }
  pose proof (measured_method m method call st type fine_call is_m) as machine_.
  pose proof (given_method settled_operations method) as given_. destruct given_ as [free|given_]; [rewrite free in moves; discriminate moves|].
  specialize (given_ call st type fine_call (proj1 ok)). destruct (decode_method method call st); [exact I|]. exact (conj machine_ (conj given_ here)).
Qed.
Lemma measured_unit m anchor st : measured m st -> measured m (snd (delete_unit anchor st)).
Proof. intros ok. exact (proj2 (@keeps_delete_unit _ _ _ _ (measured_quietly m) (measured_kept m) (measured_given m) anchor st ok)). Qed.
Lemma housed_operations m : last_interrupt m < most_interrupts -> operations but_moving (stays_housed m).
Proof.
  intros few. constructor.
  - right. intros anchor st (is_m & ok). exact (conj (measured_unit m anchor st is_m) (well_unit anchor st ok)).
  - intros method. destruct (forallb (fun k => negb (but_placing k)) (links_of method)) eqn:free.
    + left. revert free. destruct method; first [reflexivity | discriminate].
    + right. intros call st. apply (housed_method m method call st few). rewrite free. reflexivity.
Qed.
Lemma housed_step m st e : last_interrupt m < most_interrupts -> stays_housed m st -> settled_slots (fst (fst (step st e))) ->
  stays_housed m (fst (fst (step st e))).
Proof.
  intros few ok settled_. split; [exact (measured_step m st e (proj1 ok))|]. split; [exact settled_|].
  pose proof (housed_quietly m) as quiet. rewrite (proj1 (finished_step st e)).
  assert (stays_housed m (enter e st)) as entered.
  { unfold enter. apply (@keeps_save_registers _ _ _ _ quiet). destruct ok as (is_m & (all_ & rooms)).
    split; [exact (measured_same m st (begin_step e st) eq_refl eq_refl is_m)|].
    split; [exact (@keeps_begin_step _ _ _ _ settled_quietly e eq_refl st all_)|].
    exact (calm_housed st (begin_step e st) (calm_same st (begin_step e st) eq_refl eq_refl) rooms). }
  destruct (@keeps_handle _ _ _ _ quiet (housed_kept m) (housed_operations m few) (cause e) eq_refl _ entered) as (_ & after).
  destruct (@keeps_choose_thread _ _ _ _ quiet eq_refl _ after) as (_ & (_ & rooms)).
  exact (calm_housed _ (leave _) (calm_same _ (leave _) eq_refl eq_refl) rooms).
Qed.

(** ** Boot *)
Lemma housed_start p : boot_fits p -> housed (insert_roots p (first_state p)).
Proof.
  intros fits_ j c there. pose proof (roots_at p j c there) as listed. split.
  - apply good_room. split; [exact (low_elsewhere j (root_in_cnode p j c fits_ listed)) | left].
    destruct fits_ as [right _ within_]. destruct (within_ j _ listed) as (i & less & ->). exists (root_cnode p), (root_radix p), i.
    split; [exact (first_cnode p (roots_differ p right)) | split; [exact less | reflexivity]].
  - destruct c; try exact I. destruct (roots_plain p j _ listed irq eq_refl).
Qed.
Lemma housed_copy p i place st : thread_exists (root_thread p) st = true -> root_thread p < irq_slot 0 -> place < thread_slots -> housed st ->
  housed (copy_to_thread p i place st) /\ thread_exists (root_thread p) (copy_to_thread p i place st) = true.
Proof.
  intros there low_ few ok. unfold copy_to_thread. destruct (capability_at (root_slot p i) st) as [c|] eqn:at_root; [|split; [exact ok | exact there]].
  pose proof (derived_brings (slot_of (root_thread p) place) (root_slot p i) false (derived c) st) as came. split.
  - apply (brings_housed _ _ _ _ came); [| |exact ok].
    + apply (within_room _ (root_thread p)); [exact (thread_slot_low _ _ low_ few) | exact (thread_within _ _ _ there (thread_slot_in _ _ few))].
    + destruct (ok _ c at_root) as (_ & few_c). destruct c; exact few_c.
  - unfold thread_exists in *. pose proof (containers_stay _ _ (proj1 came) (root_thread p) None) as stay. unfold slots_in in stay.
    destruct (objects st !! root_thread p) as [[]|]; try discriminate there. specialize (stay eq_refl).
    destruct (objects (insert_derived _ _ _ _ st) !! root_thread p) as [[]|]; try discriminate stay. reflexivity.
Qed.
Lemma boot_housed p : boot_fits p -> housed (boot p).
Proof.
  intros fits_. pose proof (fits_sound p fits_) as right. pose proof (housed_start p fits_) as ok.
  assert (root_thread p < irq_slot 0) as low_.
  { assert (boot_capability p (TCBCap (root_thread p))) as listed by (eexists; apply in_or_app; left; left; reflexivity).
    exact (proj1 (roots_low p right _ listed) _ eq_refl). }
  assert (thread_exists (root_thread p) (insert_roots p (first_state p)) = true) as there.
  { pose proof (roots_differ p right) as differ. unfold roots_are_apart in differ. rewrite !NoDup_cons_iff in differ. cbn [In] in differ.
    unfold thread_exists. rewrite insert_roots_is, objects_with_roots, first_objects.
    destruct (N.eqb_spec (root_thread p) (root_context p)) as [same|]; [exfalso; intuition congruence|].
    destruct (N.eqb_spec (root_thread p) (root_pool p)) as [same|]; [exfalso; intuition congruence|].
    destruct (N.eqb_spec (root_thread p) (root_vspace p)) as [same|]; [exfalso; intuition congruence|].
    destruct (N.eqb_spec (root_thread p) (root_cnode p)) as [same|]; [exfalso; intuition congruence|]. rewrite N.eqb_refl. reflexivity. }
  unfold boot. cbv zeta. unfold first_state in ok, there. revert ok there. generalize (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
  intros st ok there.
  destruct (housed_copy p InitSlot.CNode cspace_slot st there low_ eq_refl ok) as (ok1 & there1).
  destruct (housed_copy p InitSlot.VSpace vspace_slot _ there1 low_ eq_refl ok1) as (ok2 & there2).
  destruct (housed_copy p InitSlot.IPCBuffer buffer_slot _ there2 low_ eq_refl ok2) as (ok3 & _). revert ok3.
  generalize (copy_to_thread p InitSlot.IPCBuffer buffer_slot (copy_to_thread p InitSlot.VSpace vspace_slot (copy_to_thread p InitSlot.CNode cspace_slot st))).
  clear. intros st ok. pose proof (calm_quietly st) as quiet. refine (calm_housed st _ _ ok).
  apply (@keeps_leave _ _ _ _ quiet), (@keeps_choose_thread _ _ _ _ quiet eq_refl), (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl).
  refine (@keeps_change_context _ _ _ _ quiet _ _ _ _ st (calm_refl st)).
  - split; [intros; exact I | reflexivity].
  - intros x. discriminate.
Qed.
Theorem reachable_housed p st : boot_fits p -> reachable step p st -> housed st.
Proof.
  intros fits_ reached. assert (stays_housed (boot_machine p) st) as (_ & (_ & ok)); [|exact ok]. induction reached as [|st e reached IH].
  - exact (conj (measured_boot p) (conj (boot_settled p fits_) (boot_housed p fits_))).
  - apply (housed_step _ st e (few_of p fits_) IH). exact (reachable_settled p _ fits_ (after_event step p st e reached)).
Qed.

(** ** What tests it *)
Lemma container_found st o j : sound st -> is_within j o st = true -> exists x, last_below (j + 1) (objects st) = Some (o, x).
Proof.
  intros right inside. pose proof inside as inside_. unfold is_within in inside. apply andb_prop in inside. destruct inside as (above & below_).
  apply N.leb_le in above. apply N.ltb_lt in below_. apply within_cases in inside_. destruct inside_ as (k & is_k & _).
  destruct (objects st !! o) as [x|] eqn:found; [|unfold slots_in in is_k; rewrite found in is_k; discriminate].
  assert (j < o + size_of x) as within_.
  { unfold slot_count, slot_of, slot_bytes in below_. change (N.shiftl 1 slot_bits) with 32 in below_. unfold slots_in in is_k. rewrite found in *.
    destruct x; try discriminate is_k; cbn [size_of].
    - rewrite N.shiftl_1_l in *. rewrite N.pow_add_r. change (2 ^ slot_bits) with 32. lia.
    - change (N.shiftl 1 tcb_size_bits) with 2048. unfold thread_slots in below_. lia. }
  destruct (last_is_largest (fun e => fst e <? j + 1) (entries (objects st)) o x (entries_sorted (objects st))) as (q & y & is_last_ & less).
  - apply filter_In. split; [apply in_entries; exact found | apply N.ltb_lt; cbn [fst]; lia].
  - rewrite <- last_below_plain in is_last_. rewrite is_last_. exists y. destruct (N.eq_dec q o) as [->|other]; [reflexivity|]. exfalso.
    apply last_below_found in is_last_. destruct is_last_ as (q_below & is_y).
    pose proof (objects_are_apart st (memory_right st right) o q x y found is_y (not_eq_sym other)) as far. unfold apart in far. cbn [fst snd] in far.
    pose proof (positive_size y). lia.
Qed.
Lemma rooms_tested st : sound st -> housed st -> slots_in_containers st = true.
Proof.
  intros right ok. unfold slots_in_containers, all. apply forallb_forall. intros (slot & e) listed. apply in_entries in listed.
  destruct (ok slot (capability e)) as ((_ & room) & _); [unfold capability_at; rewrite listed; reflexivity|]. apply orb_true_intro.
  destruct room as [(o & inside)|(above & below_)]; [left | right].
  - destruct (container_found st o slot right inside) as (x & ->). exact inside.
  - apply andb_true_intro. split; [apply N.leb_le; exact above | apply N.ltb_lt; exact below_].
Qed.
