(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Methods that map, and those that move capabilities

    The rest of what [SpaceProofs] needs: each method that changes tables, ASIDs or the places that capabilities tell, and each that moves capabilities, is
    looked at as a whole. *)
From Coq Require Import Lia.
From Spec Require Export SpaceProofs.
Open Scope N_scope.

(** ** What every method needs *)
Lemma good_arguments_low st (l : list Argument) : sound st -> Forall (fun a => in_place a st) l ->
  Forall (fun a => match argument a with Some c => low c | None => True end) l.
Proof.
  intros right. induction 1 as [|a l here _ IH]; constructor; [|exact IH]. destruct (argument a) as [c|] eqn:is_c; [|exact I].
  exact (capabilities_are_fine sound_is_kept_quietly _ c st right (here c is_c)).
Qed.
Lemma sound_method m call st : fits m (invoked call) -> valid call st -> sound st ->
  match decode_method m call st with Perform work => sound (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type ok right. refine (@decode_well nothing sound (fun _ => True) low sound_is_kept_quietly sound_is_kept (nothing_given sound) m call st _ type ok
    right).
  destruct ok as (there & args). split; [exact (capabilities_are_fine sound_is_kept_quietly _ _ st right there) | exact (good_arguments_low st _ right args)].
Qed.
Definition does (P : State -> Prop) (d : Decision) (st : State) : Prop := match d with Perform work => P (state_after (work st)) | Refuse _ _ => True end.
Lemma argument_at call st i c : valid call st -> argument (cap i call) = Some c -> capability_at (argument_slot (cap i call)) st = Some c.
Proof.
  intros (_ & args) is_c. unfold cap in *. revert i is_c. induction args as [|a l here _ IH]; intros [|i] is_c; cbn [nth] in *; try discriminate is_c.
  - exact (here c is_c).
  - exact (IH i is_c).
Qed.
Ltac checks := repeat match goal with
  | |- does _ (if ?x then _ else _) _ => destruct x eqn:?; try exact I
  | |- does _ (match ?x with _ => _ end) _ => destruct x eqn:?; try exact I
  end.

(** ** Derivation and moves *)
Lemma make_suits make s original c st : make = Some \/ (exists d, make = with_badge d) -> capability_at s st = Some original ->
  derivation_error s original st = None -> forall mask, make (mask_rights mask original) = Some c -> suits (derived c) st.
Proof.
  intros which there may mask made space. pose proof (derivable_suits s original st there may) as ok.
  assert (is_space_cap original = true /\ derived c = original) as (space_original & ->).
  { destruct which as [-> | (d & ->)].
    - injection made as <-. destruct original; try discriminate space; split; reflexivity.
    - destruct original; cbn [mask_rights with_badge with_guard] in made;
        try (injection made as <-; first [discriminate space | split; reflexivity]).
      + destruct badge; [injection made as <-; discriminate space | discriminate made].
      + destruct badge; [injection made as <-; discriminate space | discriminate made].
      + destruct (_ <=? _); [injection made as <-; discriminate space | discriminate made]. }
  assert (derived original = original) as same by (destruct original; try discriminate space_original; reflexivity).
  rewrite same in ok. exact (ok space_original).
Qed.
Lemma make_low make original c : make = Some \/ (exists d, make = with_badge d) -> low original -> forall mask, make (mask_rights mask original) = Some c ->
  low (derived c).
Proof.
  intros which fine mask made. pose proof (yields_low _ _ (fewer_rights original mask) fine) as masked.
  assert (low c) as low_c by (destruct which as [-> | (d & ->)]; [injection made as <-; exact masked | exact (yields_low _ _ (badge_given _ d c made) masked)]).
  destruct c; exact low_c.
Qed.
Lemma derive_placed a b c d r root make orig call st : make = Some \/ (exists d, make = with_badge d) -> placed st ->
  does placed (derive_into a b c d r root make orig call st) st.
Proof.
  intros which ok. unfold derive_into, empty_slot_in, slot_in, occupant, always. cbv beta. checks. cbn [does state_after].
  match goal with there : capability_at ?s st = Some ?o, made : make _ = Some ?x, may : derivation_error ?s ?o st = None |- _ =>
    apply derived_placed; [exact (make_low make o x which (low_at s o st ok there) _ made) | exact (make_suits make s o x st which there may _ made)
      | exact ok] end.
Qed.
Lemma move_into_placed a b c d root make call st : make = Some \/ (exists d, make = mutated d) -> placed st ->
  does placed (move_into a b c d root make call st) st.
Proof.
  intros which ok. unfold move_into, empty_slot_in, slot_in, occupant, always. cbv beta. checks. cbn [does state_after].
  match goal with there : capability_at ?s st = Some ?o, made : make ?o = Some ?x |- _ =>
    assert (same_but_guard o x) as same by (destruct which as [-> | (e & ->)]; [injection made as <-; left; reflexivity | exact (mutated_guard e o x made)]);
    apply move_placed, (change_placed s o x st); [exact (guard_low o x same (low_at s o st ok there)) | exact there | exact same | exact ok] end.
Qed.
Lemma rotate_placed a b c d e f g h p r call st : placed st -> does placed (cnode_rotate a b c d e f g h p r call st) st.
Proof.
  intros ok. unfold cnode_rotate, slot_in, occupant, always. cbv beta. checks. cbn [does state_after].
  match goal with differ : negb (?p =? ?s) && _ = true, in_s : capability_at ?s st = Some ?from_s, in_p : capability_at ?p st = Some ?from_p,
      first : mutated _ ?from_p = Some ?to_d, second : mutated _ ?from_s = Some ?to_p |- _ =>
    apply andb_prop, proj1, negb_true_iff, N.eqb_neq in differ;
    pose proof (mutated_guard _ _ _ first) as same; pose proof (mutated_guard _ _ _ second) as same';
    assert (placed (change_capability p to_d st)) as one
      by (apply (change_placed p from_p to_d st); [exact (guard_low _ _ same (low_at p _ st ok in_p)) | exact in_p | exact same | exact ok]);
    assert (placed (change_capability s to_p (change_capability p to_d st))) as two
      by (apply (change_placed s from_s to_p); [exact (guard_low _ _ same' (low_at s _ st ok in_s)) | rewrite change_slots by congruence;
        exact in_s | exact same' | exact one])
  end.
  match goal with |- context [if ?x then _ else _] => destruct x end; [exact (exchange_placed _ _ _ two) | apply move_placed, move_placed; exact two].
Qed.

(** ** Retype *)
Lemma bare_new type at_ n device y : new_object type n = Some y -> is_space_cap (new_capability type at_ n device) = true ->
  bare (new_capability type at_ n device) at_.
Proof. destruct type; try discriminate; intros _ space; try discriminate space; [left | right]; reflexivity. Qed.
Lemma object_made type at_ n d slot u st : low (new_capability type at_ n d) -> placed st -> placed (make_object type at_ n d slot u st).
Proof.
  intros is_low ok. unfold make_object. cbv zeta.
  assert (placed (if needs_memory type || is_frame type && negb d then emit (ClearMemory at_ (N.shiftl 1 (object_bits type n)) (is_frame type)) st else st))
    as cleared
    by (destruct (_ || _); [exact (placed_same st (emit _ st) eq_refl eq_refl eq_refl eq_refl ok) | exact ok]).
  apply carve_placed; [exact (new_comes_with type at_ n d) | | exact is_low | | exact cleared].
  - destruct (new_object type n) as [y|] eqn:made; [|exact I].
    split; [destruct type; try discriminate made; injection made as <-; first [reflexivity | eexists; reflexivity]|].
    intros p ->. destruct type; discriminate made.
  - destruct (new_object type n) as [y|] eqn:made; [|intros none; destruct (none eq_refl)]. intros _. exact (bare_new type at_ n d y made).
Qed.
Lemma objects_made count type at_ n d slot offset base bits used u t : low (UntypedCap base bits d used) -> base <= at_ ->
  at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= base + N.shiftl 1 bits -> d && needs_memory type = false -> size_fits type n ->
  forall st, placed st -> placed (state_after (make_objects count type at_ n d slot offset u t st)).
Proof.
  intros fine. revert at_ slot offset. induction count as [|rest IH]; intros at_ slot offset above fits_ memory sized st ok; cbn [make_objects]; [exact ok|].
  destruct (must_stop st).
  - cbn [state_after]. apply (@keeps_set_word_argument _ _ _ _ placed_quietly), (@keeps_set_word_argument _ _ _ _ placed_quietly). exact ok.
  - cbv zeta. apply (IH (at_ + N.shiftl 1 (object_bits type n))); [lia | lia | exact memory | exact sized|]. apply placed_allow, object_made; [|exact ok].
    exact (yields_low _ _ (retyped base bits d used type at_ n above ltac:(lia) memory sized) fine).
Qed.
Lemma retype_placed a b c d e f r call st : valid call st -> placed st -> does placed (untyped_retype a b c d e f r call st) st.
Proof.
  intros (there & _) ok. unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_u; try exact I.
  pose proof (low_at _ _ st ok there) as fine. destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta. checks.
  all: cbn [does]; apply (objects_made _ type _ _ device _ _ base bits used _ _ fine); [| | | |exact ok].
  all: match goal with H : (_ + N.shiftl _ _ <=? _) = true |- _ => apply N.leb_le in H; rewrite N.shiftl_mul_pow2 in H end.
  all: try (match goal with H : or_default _ _ = _, within : _ && _ = true |- _ => exact (size_is_fit _ _ _ _ H within) end).
  all: try (pose proof (align_up_above (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)); lia).
  all: try (rewrite N2Nat.id, N.shiftl_1_l; assumption).
  all: destruct device, (needs_memory type); try reflexivity; discriminate.
Qed.

(** ** The slots of threads and interrupts *)
Lemma agrees_at Q v a slot st : placed st -> capability_at slot st = Some (VSpaceCap v (Some a)) ->
  (forall c, Q c <-> match c with VSpaceCap w x => w = v -> x = Some a | _ => True end) -> space_caps Q st.
Proof.
  intros (_ & ok) there is_q s c space at_s. apply is_q. destruct c; try exact I. intros ->. exact (asids_agree st ok s slot v _ _ at_s there).
Qed.
Definition is_plain (c : Capability) : bool := negb (is_space_cap c).
Lemma plain_replaced slot by_ st : match by_ with Some (source, c) => low c /\ is_plain c = true | None => True end -> placed st ->
  placed (state_of (replace_slot slot by_ st)).
Proof.
  intros plain ok. refine (proj1 (replaced_placed (fun _ => True) slot by_ st _ ok (fun _ _ _ _ => I))).
  destruct by_ as [(source_ & c)|]; [|exact I]. destruct plain as (is_low & plain). split; [exact is_low|]. destruct c; try exact I; discriminate plain.
Qed.
Lemma buffer_set t a f st : (a = 0 \/ is_memory_frame f = true) -> (forall c, argument f = Some c -> low c) -> placed st ->
  placed (state_of (set_buffer t a f st)).
Proof.
  intros frame is_low ok. unfold set_buffer. cbv zeta.
  assert (placed (change_thread t (fun x => x <| buffer_address := 0 |>) st)) as one
    by (apply (@keeps_change_thread _ _ _ _ placed_quietly); [intros x; split; intros _; reflexivity | exact ok]).
  unfold replace_in. pose proof (plain_replaced (slot_of t buffer_slot) (if a =? 0 then None else replacement f)
    (change_thread t (fun x => x <| buffer_address := 0 |>) st)) as after.
  assert (placed (state_of (replace_slot (slot_of t buffer_slot) (if a =? 0 then None else replacement f)
      (change_thread t (fun x => x <| buffer_address := 0 |>) st)))) as two.
  { apply after; [|exact one]. destruct (N.eqb_spec a 0) as [|other]; [exact I|]. destruct frame as [same|frame]; [contradiction|].
    unfold replacement, is_memory_frame in *.
    destruct (argument f) as [c|]; [|discriminate]. split; [exact (is_low c eq_refl)|]. destruct c; try discriminate frame; reflexivity. }
  destruct (replace_slot _ _ _) as [three|three]; [|exact two]. cbn [state_of and_then] in *.
  apply (@keeps_change_thread _ _ _ _ placed_quietly); [intros x; split; intros _; reflexivity | exact two].
Qed.
Lemma placed_progress p : placed (state_of p) -> placed (state_after match p with Done st => Returns [] st | Preempted st => Stops st end).
Proof. destruct p; exact id. Qed.
Lemma fault_plain a : is_fault_endpoint a = true -> (forall c, argument a = Some c -> low c) ->
  match replacement a with Some (_, c) => low c /\ is_plain c = true | None => True end.
Proof.
  intros fault_ is_low. unfold replacement, is_fault_endpoint in *. destruct (argument a) as [c|]; [|exact I].
  split; [exact (is_low c eq_refl)|]. destruct c; try discriminate fault_; reflexivity.
Qed.
Lemma guarded_plain d a : is_cnode a = true -> (forall c, argument a = Some c -> low c) ->
  match guarded d a with Some (_, c) => low c /\ is_plain c = true | None => True end.
Proof.
  intros cnode_ is_low. unfold guarded, is_cnode in *. destruct (argument a) as [c|]; [|exact I]. specialize (is_low c eq_refl).
  destruct c as [| | | |cnode radix guard size| | | | | | | | | | | | | |]; try discriminate cnode_.
  destruct (d =? 0); [split; [exact is_low | reflexivity]|]. destruct (with_guard d (CNodeCap cnode radix guard size)) as [made|] eqn:same; [|exact I].
  pose proof (guard_only d _ _ same) as only. split; [exact (guard_low _ _ only is_low)|].
  destruct only as [-> | (o & r & g & s & g' & s' & _ & ->)]; reflexivity.
Qed.
Definition of_space (v a : N) (c : Capability) : Prop := match c with VSpaceCap w x => w = v -> x = Some a | _ => True end.
Lemma usable_replaced slot a v x st : argument a = Some (VSpaceCap v (Some x)) -> low (VSpaceCap v (Some x)) -> placed st -> space_caps (of_space v x) st ->
  placed (state_of (replace_slot slot (replacement a) st)) /\ space_caps (of_space v x) (state_of (replace_slot slot (replacement a) st)).
Proof.
  intros is_c is_low ok caps. apply replaced_placed; [|exact ok | exact caps]. unfold replacement. rewrite is_c. split; [exact is_low|].
  split; [intros _; reflexivity | intros y same; exact (same eq_refl)].
Qed.
Lemma plain_replaced_too Q slot by_ st : match by_ with Some (source, c) => low c /\ is_plain c = true | None => True end -> placed st -> space_caps Q st ->
  placed (state_of (replace_slot slot by_ st)) /\ space_caps Q (state_of (replace_slot slot by_ st)).
Proof.
  intros plain. apply replaced_placed. destruct by_ as [(source_ & c)|]; [|exact I]. destruct plain as (is_low & plain). split; [exact is_low|].
  destruct c; try exact I; discriminate plain.
Qed.
Lemma usable_is a : is_usable_vspace a = true -> exists v x, argument a = Some (VSpaceCap v (Some x)).
Proof. unfold is_usable_vspace. destruct (argument a) as [[| | | | | | | |v [x|]| | | | | | | | | |]|]; try discriminate. intros _. exists v, x. reflexivity.
  Qed.
Lemma argument_low call st i : valid call st -> placed st -> forall c, argument (cap i call) = Some c -> low c.
Proof. intros fine ok c is_c. exact (low_at _ c st ok (argument_at call st i c fine is_c)). Qed.
Lemma configure_placed a b c i j k call st : valid call st -> placed st -> does placed (tcb_configure a b c (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros fine ok. unfold tcb_configure, in_progress. cbv zeta beta. checks. cbn [does]. unfold replace_in.
  match goal with usable_ : is_usable_vspace _ = true |- _ => destruct (usable_is _ usable_) as (v & x & is_v) end.
  pose proof (argument_at call st j _ fine is_v) as at_v.
  assert (space_caps (of_space v x) st) as caps by (apply (agrees_at _ v x _ st ok at_v); intros d; reflexivity).
  assert (c = 0 \/ is_memory_frame (cap k call) = true) as frame
    by (match goal with either : (c =? 0) || _ = true |- _ => apply orb_prop in either; destruct either as [zero|frame]; [left; apply N.eqb_eq;
      exact zero | right; exact frame] end).
  match goal with cnode_ : is_cnode _ = true |- _ =>
    destruct (plain_replaced_too (of_space v x) (slot_of (invoked_thread call) cspace_slot) (guarded a (cap i call)) st
                (guarded_plain a _ cnode_ (argument_low call st i fine ok)) ok caps) as (one & caps1) end.
  apply placed_progress. destruct (replace_slot (slot_of (invoked_thread call) cspace_slot) _ st) as [s1|s1]; [|exact one]. cbn [state_of and_then] in *.
  destruct (usable_replaced (slot_of (invoked_thread call) vspace_slot) (cap j call) v x s1 is_v (low_at _ _ st ok at_v) one caps1) as (two & _).
  destruct (replace_slot (slot_of (invoked_thread call) vspace_slot) _ s1) as [s2|s2]; [|exact two]. cbn [state_of and_then] in *.
  exact (buffer_set _ _ _ s2 frame (argument_low call st k fine ok) two).
Qed.
Lemma set_space_placed a b i j k call st : valid call st -> placed st -> does placed (tcb_set_space a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros fine ok. unfold tcb_set_space, in_progress. cbv zeta beta. checks. cbn [does]. unfold replace_in.
  match goal with usable_ : is_usable_vspace _ = true |- _ => destruct (usable_is _ usable_) as (v & x & is_v) end.
  pose proof (argument_at call st k _ fine is_v) as at_v.
  assert (space_caps (of_space v x) st) as caps by (apply (agrees_at _ v x _ st ok at_v); intros d; reflexivity).
  match goal with fault_ : is_fault_endpoint _ = true |- _ =>
    destruct (plain_replaced_too (of_space v x) (slot_of (invoked_thread call) fault_slot) (replacement (cap i call)) st
                (fault_plain _ fault_ (argument_low call st i fine ok)) ok caps) as (one & caps1) end.
  apply placed_progress. destruct (replace_slot (slot_of (invoked_thread call) fault_slot) _ st) as [s1|s1]; [|exact one]. cbn [state_of and_then] in *.
  match goal with cnode_ : is_cnode _ = true |- _ =>
    destruct (plain_replaced_too (of_space v x) (slot_of (invoked_thread call) cspace_slot) (guarded a (cap j call)) s1
                (guarded_plain a _ cnode_ (argument_low call st j fine ok)) one caps1) as (two & caps2) end.
  destruct (replace_slot (slot_of (invoked_thread call) cspace_slot) _ s1) as [s2|s2]; [|exact two]. cbn [state_of and_then] in *.
  exact (proj1 (usable_replaced (slot_of (invoked_thread call) vspace_slot) (cap k call) v x s2 is_v (low_at _ _ st ok at_v) two caps2)).
Qed.
Lemma set_ipc_buffer_placed a i call st : valid call st -> placed st -> does placed (tcb_set_ipc_buffer a (cap i call) call st) st.
Proof.
  intros fine ok. unfold tcb_set_ipc_buffer, in_progress. cbv zeta beta. checks. cbn [does].
  apply placed_progress, buffer_set; [|exact (argument_low call st i fine ok) | exact ok].
  match goal with either : (a =? 0) || _ = true |- _ => apply orb_prop in either; destruct either as [zero|frame]; [left; apply N.eqb_eq; exact zero | right;
    exact frame] end.
Qed.
Lemma set_timeout_placed i call st : valid call st -> placed st -> does placed (tcb_set_timeout_endpoint (cap i call) call st) st.
Proof.
  intros fine ok. unfold tcb_set_timeout_endpoint, in_progress. cbv zeta beta. checks. cbn [does]. apply placed_progress, plain_replaced; [|exact ok].
  match goal with fault_ : is_fault_endpoint _ = true |- _ => exact (fault_plain _ fault_ (argument_low call st i fine ok)) end.
Qed.
Lemma set_sched_params_placed a b i j k call st : valid call st -> placed st ->
  does placed (tcb_set_sched_params a b (cap i call) (cap j call) (cap k call) call st) st.
Proof.
  intros fine ok. pose proof placed_quietly as quiet. unfold tcb_set_sched_params, thread_argument, in_progress. cbv zeta beta.
  set (t := invoked_thread call).
  assert (placed (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st))) as after.
  { apply (@keeps_set_priority _ _ _ _ quiet _ _ eq_refl), (@keeps_change_thread _ _ _ _ quiet); [intros x; split; intros _; reflexivity | exact ok]. }
  destruct (argument (cap i call)) as [[]|]; try exact I. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  revert after. destruct (argument (cap j call)) as [[]|]; try (intros; exact I).
  all: destruct (_ : bool); [|intros; exact I]; destruct (is_fault_endpoint _) eqn:fault_; [|intros; exact I]; cbn [does];
    generalize (set_priority t b (change_thread t (fun x => x <| controlled_priority := a |>) st)); intros one after;
    apply placed_progress, plain_replaced; [exact (fault_plain _ fault_ (argument_low call st k fine ok))|].
  - destruct (context_of t one); [exact after | exact (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl one after)].
  - destruct (context_of t one); [exact (@keeps_unbind_thread _ _ _ _ quiet _ eq_refl one after) | exact after].
Qed.
Lemma set_notification_placed i call st : valid call st -> placed st -> does placed (irq_handler_set_notification (cap i call) call st) st.
Proof.
  intros fine ok. unfold irq_handler_set_notification, in_progress. cbv zeta beta. checks. cbn [does]. apply placed_progress.
  match goal with is_n : argument (cap i call) = Some ?c |- _ => pose proof (plain_replaced (irq_slot (invoked_interrupt call))
    (Some (argument_slot (cap i call), c)) st (conj (argument_low call st i fine ok c is_n) eq_refl) ok) as after end.
  destruct (replace_slot _ _ st) as [one|one]; [|exact after]. cbn [state_of and_then] in *.
  exact (@keeps_set_mask _ _ _ _ placed_quietly _ _ one after).
Qed.
Lemma interrupt_placed slot s o c st : is_space_cap c = false -> low c -> placed st -> placed (insert_derived slot s o c st).
Proof. intros plain is_low ok. apply derived_placed; [exact is_low | intros space; congruence | exact ok]. Qed.
Lemma irq_get_placed a b c d r call st : placed st -> does placed (irq_control_get a b c d r call st) st.
Proof.
  intros ok. unfold irq_control_get, empty_slot_in, slot_in, always. cbv zeta beta. checks. cbn [does state_after].
  all: apply interrupt_placed; [reflexivity | repeat split; intros; discriminate|].
  all: match goal with |- placed (set_field interrupts ?x ?s) => apply (placed_same s); try reflexivity end.
  all: destruct (is_held_back a); [exact (placed_same st (emit _ st) eq_refl eq_refl eq_refl eq_refl ok) | exact ok].
Qed.
Lemma irq_issue_placed a b c d r call st : placed st -> does placed (irq_control_issue_sgisignal a b c d r call st) st.
Proof.
  intros ok. unfold irq_control_issue_sgisignal, empty_slot_in, slot_in, always. cbv zeta beta. checks. cbn [does state_after].
  apply interrupt_placed; [reflexivity | repeat split; intros; discriminate | exact ok].
Qed.

(** ** Where something hangs once *)
Lemma object_held st o x : sound st -> objects st !! o = Some x -> exists s c, capability_at s st = Some c /\ object_of c = Some o /\ fits_object c x.
Proof.
  intros right there. destruct (owned_ok st right o x there) as (s & c & at_s & names). rewrite <- capability_at_in in at_s. exists s, c.
  split; [exact at_s|]. split; [exact names|]. destruct (refers_to st s c o right at_s names) as (y & found & fits_). congruence.
Qed.
Lemma vspace_or_table st asid l q t : spaced st -> hangs st asid l q t -> (l = 0 /\ q = 0 /\ vspace_of_asid asid st = Some t) \/ exists l', l = l' + 1
  /\ is_table t st.
Proof.
  intros ok here. inversion here as [v names is0 is1 is2|l' q' u i u' above less next is0 is1 is2]; subst; [left; repeat split; exact names | right].
  exists l'. split; [reflexivity|]. exact (proj1 (proj2 (tables_hang st ok asid l' _ t here))).
Qed.
Lemma shiftl_same a b n : N.shiftl a n = N.shiftl b n -> a = b.
Proof.
  intros same. apply (f_equal (fun x => N.shiftr x n)) in same. rewrite !N.shiftr_shiftl_l, N.sub_diag, !N.shiftl_0_r in same by apply N.le_refl. exact same.
Qed.
Lemma hangs_once st a l q t a' l' q' : placed st -> hangs st a l q t -> hangs st a' l' q' t -> a' = a /\ l' = l /\ q' = q.
Proof.
  intros (right & ok) here here'.
  destruct (vspace_or_table st a l q t ok here) as [(-> & -> & names)|(m & -> & (x & is_t))],
    (vspace_or_table st a' l' q' t ok here') as [(-> & -> & names')|(m' & -> & (x' & is_t'))].
  - destruct (named_is_vspace st a t (pools_are st ok) names) as (w & is_v). destruct (object_held st t _ right is_v) as (s & c & at_s & is_c & fits_).
    destruct c; try discriminate fits_. cbn in is_c. injection is_c as ->. pose proof (one_asid st ok a t s _ names at_s) as one.
    pose proof (one_asid st ok a' t s _ names' at_s) as two. repeat split. congruence.
  - destruct (named_is_vspace st a t (pools_are st ok) names) as (w & is_v). congruence.
  - destruct (named_is_vspace st a' t (pools_are st ok) names') as (w & is_v). congruence.
  - destruct (object_held st t _ right is_t) as (s & c & at_s & is_c & fits_). destruct c; try discriminate fits_. cbn in is_c. injection is_c as ->.
    destruct (tables_hang st ok a m q t here) as (_ & _ & said). destruct (tables_hang st ok a' m' q' t here') as (_ & _ & said').
    pose proof (said s _ at_s) as one. pose proof (said' s _ at_s) as two. rewrite one in two. injection two as is_a is_address is_level.
    assert (m' = m) as -> by lia. apply shiftl_same in is_address. repeat split; congruence.
Qed.
Lemma hanging_not_bare st asid l q t s c : placed st -> hangs st asid l q t -> capability_at s st = Some c -> ~ bare c t.
Proof.
  intros (right & ok) here at_s [-> | ->]; destruct (refers_to st s _ t right at_s eq_refl) as (x & found & fits_); destruct x; try discriminate fits_;
    destruct (vspace_or_table st asid l q t ok here) as [(-> & -> & names)|(m & -> & (y & is_t))].
  - discriminate (one_asid st ok asid t s None names at_s).
  - congruence.
  - destruct (named_is_vspace st asid t (pools_are st ok) names) as (w & is_v). congruence.
  - destruct (tables_hang st ok asid m q t here) as (_ & _ & said). discriminate (said s None at_s).
Qed.
Lemma named_bound st asid : spaced st -> forall l q t, hangs st asid l q t -> l <= 3.
Proof. intros ok l q t. exact (hangs_level st asid l q t ok). Qed.

(** ** A table that is hung up, a page that is shown *)
Lemma set_entry_light t i e st : light st (set_page_entry t i e st). Proof. apply change_table_light. Qed.
Lemma set_entries t i e st o j : is_vspace t st \/ is_table t st ->
  table_entries o (set_page_entry t i e st) !! j = if (o =? t) && (j =? i) then Some e else table_entries o st !! j.
Proof.
  intros [(x & is_t)|(x & is_t)]; unfold set_page_entry, change_table; rewrite is_t, entries_put; (destruct (N.eqb_spec o t) as [->|]; [|reflexivity]);
    cbn [andb]; rewrite find_set; (destruct (j =? i); [reflexivity|]); unfold table_entries; rewrite is_t; reflexivity.
Qed.
Lemma hanging_object st asid l q t : spaced st -> hangs st asid l q t -> is_vspace t st \/ is_table t st.
Proof.
  intros ok here. destruct (vspace_or_table st asid l q t ok here) as [(_ & _ & names)|(_ & _ & is_t)]; [left | right; exact is_t].
  exact (named_is_vspace st asid t (pools_are st ok) names).
Qed.
Lemma changed_caps slot old c st : capability_at slot st = Some old -> stands_alike old c = true -> stands_alike c old = true ->
  (forall j, capability_at j (change_capability slot c st) = if j =? slot then Some c else capability_at j st)
  /\ pools (change_capability slot c st) = pools st /\ objects (change_capability slot c st) = objects st.
Proof.
  intros there one two. unfold change_capability. unfold capability_at in there. destruct (slots st !! slot) as [e|] eqn:found; [|discriminate].
  injection there as ->. rewrite one, two. cbn [andb]. rewrite (replace_capability_same slot e c st). split; [|split; reflexivity].
  intros j. rewrite <- (replace_capability_same slot e c st), !capability_at_in. exact (in_replace slot e c st j found).
Qed.

Lemma pools_right_same a b : pools b = pools a -> objects b = objects a -> pools_right a -> pools_right b.
Proof. intros same_pools same_objects [found given_]. constructor; unfold is_vspace; rewrite ?same_pools, ?same_objects; assumption. Qed.

(** ** PageTable::Map and PageTable::Unmap *)
Lemma vspace_argument_does P a st rest : (forall v asid, argument a = Some (VSpaceCap v (Some asid)) -> vspace_of_asid asid st = Some v ->
  does P (rest (v, asid)) st) -> does P (vspace_argument a st rest) st.
Proof.
  intros each. unfold vspace_argument. destruct (argument a) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|]; try exact I.
  destruct (owns_asid v (Some asid) st) eqn:owns; [|exact I]. apply each; [reflexivity|]. cbn [owns_asid] in owns.
  destruct (vspace_of_asid asid st) as [w|]; [|discriminate]. apply N.eqb_eq in owns. congruence.
Qed.
Lemma table_hung st after slot table asid l q above i : placed st -> capability_at slot st = Some (PageTableCap table None) ->
  hangs st asid l q above -> l < 3 -> i < 512 -> table_entries above st !! i = None ->
  (forall j, capability_at j after = if j =? slot then Some (PageTableCap table (Some (table_place asid l (q * 512 + i)))) else capability_at j st) ->
  (forall o j, table_entries o after !! j = if (o =? above) && (j =? i) then Some (NextTable table) else table_entries o st !! j) ->
  pools_right after -> (forall a, vspace_of_asid a after = vspace_of_asid a st) -> (forall o, is_table o st -> is_table o after) -> spaced after.
Proof.
  intros ok there here low_ less vacant caps entries_ pools_ names tables_. pose proof ok as (right & spaces).
  assert (forall j, table_entries table st !! j = None) as bare_table
    by (intros j; exact (bare_empty st spaces slot _ table j (or_intror eq_refl) there)).
  assert (forall a m p, ~ hangs st a m p table) as nowhere_
    by (intros a m p hung; exact (hanging_not_bare st a m p table slot _ ok hung there (or_intror eq_refl))).
  assert (table <> above) as differ by (intros ->; exact (nowhere_ _ _ _ here)).
  assert (forall j, table_entries table after !! j = None) as still_bare
    by (intros j; rewrite entries_; apply N.eqb_neq in differ; rewrite differ; apply bare_table).
  assert (is_table table st) as is_t.
  { destruct (refers_to st slot _ table right there eq_refl) as (x & found & fits_). destruct x; try discriminate fits_. eexists. exact found. }
  assert (forall a m p t, hangs after a m p t -> hangs st a m p t \/ t = table /\ a = asid /\ m = l + 1 /\ p = q * 512 + i) as came.
  { intros a m p t hung. induction hung as [v is_v|m p t j t' up IH less' next].
    - left. apply hangs_top. rewrite <- names. exact is_v.
    - rewrite entries_ in next. destruct IH as [was|(-> & _)].
      + destruct (N.eqb_spec t above) as [->|]; [destruct (N.eqb_spec j i) as [->|]|]; cbn [andb] in next.
        * injection next as <-. right. destruct (hangs_once st asid l q above a m p ok here was) as (-> & -> & ->). repeat split.
        * left. exact (hangs_below st a m p above j t' was less' next).
        * left. exact (hangs_below st a m p t j t' was less' next).
      + rewrite <- entries_, still_bare in next. discriminate. }
  assert (forall s c, capability_at s after = Some c -> (forall p, c <> PageTableCap table p) -> capability_at s st = Some c) as was.
  { intros s c. rewrite caps. destruct (s =? slot); [|intros at_s _; exact at_s]. intros same other. injection same as <-. destruct (other _ eq_refl). }
  pose proof (bare_alone st spaces slot _ table (or_intror eq_refl) there) as alone_.
  assert (forall s d o, capability_at s after = Some d -> bare d o -> capability_at s st = Some d /\ s <> slot) as bare_was.
  { intros s d o. rewrite caps. destruct (N.eqb_spec s slot) as [->|other].
    - intros same [is_d|is_d]; rewrite is_d in same; discriminate same.
    - intros at_s _. split; assumption. }
  constructor.
  - exact pools_.
  - intros a v s x is_v at_s. rewrite names in is_v. apply (one_asid st spaces a v s x is_v). apply (was s _ at_s). discriminate.
  - intros s s' v x y at_s at_s'. apply (asids_agree st spaces s s' v x y); [apply (was s _ at_s) | apply (was s' _ at_s')]; discriminate.
  - intros a m p t hung. destruct (came a (m + 1) p t hung) as [before|(-> & -> & is_m & ->)].
    + destruct (tables_hang st spaces a m p t before) as (low_m & is_t' & said). split; [exact low_m|]. split; [exact (tables_ t is_t')|].
      intros s p' at_s. apply (said s p'). apply (was s _ at_s). intros p'' same. injection same as -> ->. exact (nowhere_ _ _ _ before).
    + assert (m = l) as -> by lia. split; [exact low_|]. split; [exact (tables_ table is_t)|]. intros s p'. rewrite caps.
      destruct (N.eqb_spec s slot) as [->|other]; [intros same; injection same as <-; reflexivity|]. intros at_s.
      destruct (other (alone_ s _ at_s eq_refl)).
  - intros s d o is_bare_ at_s k e at_k named. destruct (bare_was s d o at_s is_bare_) as (at_s' & other). rewrite caps in at_k.
    destruct (N.eqb_spec k slot) as [->|]; [|exact (bare_alone st spaces s d o is_bare_ at_s' k e at_k named)].
    injection at_k as <-. cbn in named. injection named as <-. exfalso. apply other. exact (alone_ s d at_s' (proj1 (proj2 (bare_is_space d table is_bare_)))).
  - intros s d o j is_bare_ at_s. destruct (bare_was s d o at_s is_bare_) as (at_s' & other). rewrite entries_.
    destruct (N.eqb_spec o above) as [->|]; [destruct (hanging_not_bare st asid l q above s d ok here at_s' is_bare_)|].
    exact (bare_empty st spaces s d o j is_bare_ at_s').
  - intros a m p t j base bits device r x hung less' found. rewrite entries_ in found. destruct (came a m p t hung) as [before|(-> & _)].
    + assert (table_entries t st !! j = Some (Page base bits device r x)) as found_before
        by (destruct (_ && _); [discriminate | exact found]).
      destruct (pages_backed st spaces a m p t j base bits device r x before less' found_before) as (s & r' & pl & at_s & rest). exists s, r', pl.
      split; [|exact rest]. rewrite caps. destruct (N.eqb_spec s slot) as [->|]; [congruence | exact at_s].
    + rewrite <- entries_, still_bare in found. discriminate.
Qed.
Lemma place_of_table asid l x : l <= 3 ->
  {| place_asid := asid; place_address := N.shiftl (N.shiftr x (entry_bits l)) (entry_bits l); place_level := l + 1 |} = table_place asid l (prefix (l + 1) x).
Proof. intros low_. unfold table_place, prefix, entry_bits. replace (48 - 9 * (l + 1)) with (39 - 9 * l) by lia. reflexivity. Qed.
Lemma below_48 x : (x <? user_top) = true -> x < N.shiftl 1 48.
Proof. rewrite N.ltb_lt. unfold user_top. change (N.shiftl 1 48) with 281474976710656. lia. Qed.
Lemma top_prefix x : x < N.shiftl 1 48 -> prefix 0 x = 0.
Proof.
  intros less. unfold prefix. change (48 - 9 * 0) with 48. rewrite N.shiftr_div_pow2. apply N.div_small. rewrite N.shiftl_1_l in less. exact less.
Qed.
Lemma table_map_placed vaddr a i call st : fits Method.PageTableMap (invoked call) -> valid call st -> placed st ->
  does placed (page_table_map vaddr a (cap i call) call st) st.
Proof.
  intros type fine ok. pose proof ok as (right & spaces). pose proof fine as (there & _). unfold page_table_map.
  destruct (invoked call) as [| | | | | | | | |table [p|]| | | | | | | | |] eqn:is_c; try exact I.
  apply vspace_argument_does. intros v asid _ names. cbv beta iota. destruct (vaddr <? user_top) eqn:less; [|exact I].
  destruct (walk_tables 3 v 0 vaddr st) as ((above & level) & entry) eqn:walked. cbv beta iota.
  destruct (negb (is_some entry) && (level <? 3)) eqn:can; [|exact I]. apply andb_prop in can. destruct can as (none & low_). apply N.ltb_lt in low_.
  destruct (walk_hangs st asid 3 (named_bound st asid spaces) v 0 vaddr) as (u & l' & e & walked' & here & _ & is_e & _);
    [rewrite (top_prefix vaddr (below_48 vaddr less)); apply hangs_top, names|].
  rewrite walked in walked'. injection walked' as <- <- <-. rewrite is_e in none. clear is_e walked.
  set (index := entry_index level vaddr) in *. set (st1 := set_page_entry above index (NextTable table) st).
  pose proof (set_entry_light above index (NextTable table) st) as lit. fold st1 in lit.
  pose proof (set_entries above index (NextTable table) st) as entries1. fold st1 in entries1.
  assert (capability_at (invoked_slot call) st1 = Some (PageTableCap table None)) as there1
    by (rewrite (capability_same _ st st1 (light_slots st st1 lit)); exact there).
  set (place_ := {| place_asid := asid; place_address := N.shiftl (N.shiftr vaddr (entry_bits level)) (entry_bits level); place_level := level + 1 |}).
  destruct (changed_caps (invoked_slot call) _ (PageTableCap table (Some place_)) st1 there1) as (caps & same_pools & same_objects);
    [cbn; rewrite N.eqb_refl; reflexivity | cbn; rewrite N.eqb_refl; reflexivity|].
  cbn [does always state_after]. fold st1. split.
  - apply (after_change_capability sound_is_kept).
    + exact (yields_low _ _ (other_place_of_table table None (Some place_)) (low_at _ _ st ok there)).
    + exact (@keeps_set_page_entry _ _ _ _ sound_is_kept_quietly above index (NextTable table) ltac:(intros x frozen_; discriminate frozen_) st right).
  - apply (table_hung st _ (invoked_slot call) table asid level (prefix level vaddr) above index ok there here low_ (index_below level vaddr)).
    + destruct (table_entries above st !! index); [discriminate none | reflexivity].
    + intros j. rewrite caps, (capability_same j st st1 (light_slots st st1 lit)). unfold place_, index.
      rewrite (place_of_table asid level vaddr ltac:(lia)), (prefix_step level vaddr ltac:(lia)). reflexivity.
    + intros o j. rewrite <- (entries1 o j (hanging_object st asid level _ above spaces here)). unfold table_entries. rewrite same_objects. reflexivity.
    + exact (pools_right_same st1 _ same_pools same_objects (light_pools_right st st1 lit (pools_are st spaces))).
    + intros b. rewrite <- (light_names st st1 b lit). exact (same_names st1 _ same_pools same_objects b).
    + intros o is_t. apply (light_tables st st1 lit) in is_t. unfold is_table. rewrite same_objects. exact is_t.
Qed.
Lemma does_both d st : does sound d st -> does spaced d st -> does placed d st.
Proof. destruct d; [intros; exact I | intros right ok; exact (conj right ok)]. Qed.
Lemma table_unmap_spaced call st : valid call st -> placed st -> does spaced (page_table_unmap call st) st.
Proof.
  intros (there & _) (right & spaces). unfold page_table_unmap.
  destruct (invoked call) as [| | | | | | | | |table p| | | | | | | | |] eqn:is_c; try exact I.
  destruct (is_last (PageTableCap table p) st) eqn:last; [|exact I]. cbn [does always state_after]. set (slot := invoked_slot call) in *.
  set (st1 := unmap_table table p st). pose proof (unmap_table_light table p st) as lit. fold st1 in lit.
  assert (spaced st1) as ok1 by exact (spaced_light st st1 lit (unmap_table_fewer table p st) spaces).
  pose proof (fun j => capability_same j st st1 (light_slots st st1 lit)) as caps1.
  assert (capability_at slot st1 = Some (PageTableCap table p)) as there1 by (rewrite caps1; exact there).
  destruct (changed_caps slot _ (PageTableCap table None) st1 there1) as (caps & same_pools & same_objects);
    [cbn; rewrite N.eqb_refl; reflexivity | cbn; rewrite N.eqb_refl; reflexivity|].
  set (after := change_capability slot (PageTableCap table None) st1) in *.
  assert (forall s d, capability_at s st1 = Some d -> object_of d = Some table -> s = slot) as alone_.
  { intros s d at_s names_d. rewrite caps1, capability_at_in in at_s. unfold capability_at in there.
    destruct (slots st !! slot) as [e|] eqn:found; [|discriminate].
    injection there as is_e. destruct (indices_ok st right) as (_ & counts).
    apply (only_one st slot s e d table counts (live_ok st right) found); [rewrite is_e; reflexivity | rewrite is_e, last;
      reflexivity | exact at_s | exact names_d]. }
  assert (forall a m q, ~ hangs st1 a (m + 1) q table) as nowhere_ by exact (table_unmapped table p slot st spaces there).
  assert (forall i, table_entries table st1 !! i = None) as none.
  { intros i. destruct p as [p|]; [unfold st1, unmap_table; cbv zeta; rewrite emptied_entries, N.eqb_refl; reflexivity|].
    exact (bare_empty st spaces slot _ table i (or_intror eq_refl) there). }
  pose proof (same_names st1 after same_pools same_objects) as names.
  assert (forall o, table_entries o after = table_entries o st1) as entries_ by (intros o; unfold table_entries; rewrite same_objects; reflexivity).
  assert (forall a m q t, hangs after a m q t -> hangs st1 a m q t) as before.
  { apply hangs_fewer; [intros a v; rewrite names; exact id | intros o i e; rewrite entries_; exact id]. }
  assert (forall s d, capability_at s after = Some d -> s = slot /\ d = PageTableCap table None \/ s <> slot /\ capability_at s st1 = Some d) as which.
  { intros s d. rewrite caps. destruct (N.eqb_spec s slot) as [->|other]; [intros same; injection same as <-; left; split; reflexivity | right; split;
      assumption]. }
  constructor.
  - exact (pools_right_same st1 after same_pools same_objects (pools_are st1 ok1)).
  - intros a v s x is_v at_s. rewrite names in is_v.
    destruct (which s _ at_s) as [(_ & absurd)|(_ & was)]; [discriminate absurd | exact (one_asid st1 ok1 a v s x is_v was)].
  - intros s s' v x y at_s at_s'. destruct (which s _ at_s) as [(_ & absurd)|(_ & was)]; [discriminate absurd|].
    destruct (which s' _ at_s') as [(_ & absurd)|(_ & was')]; [discriminate absurd | exact (asids_agree st1 ok1 s s' v x y was was')].
  - intros a m q t hung. destruct (tables_hang st1 ok1 a m q t (before _ _ _ _ hung)) as (low_ & is_t & said). split; [exact low_|].
    split; [destruct is_t as (u & is_t); exists u; rewrite same_objects; exact is_t|]. intros s pl at_s.
    destruct (which s _ at_s) as [(_ & same)|(_ & was)]; [|exact (said s pl was)]. injection same as -> ->. destruct (nowhere_ a m q (before _ _ _ _ hung)).
  - intros j d o is_bare_ at_j k e at_k named. destruct (bare_is_space d o is_bare_) as (_ & names_d & _).
    destruct (which j d at_j) as [(-> & ->)|(nj & was_j)], (which k e at_k) as [(-> & ->)|(nk & was_k)].
    + reflexivity.
    + cbn in names_d. injection names_d as <-. exact (alone_ k e was_k named).
    + cbn in named. injection named as <-. destruct (nj (alone_ j d was_j names_d)).
    + exact (bare_alone st1 ok1 j d o is_bare_ was_j k e was_k named).
  - intros s d o i is_bare_ at_s. rewrite entries_. destruct (which s d at_s) as [(_ & ->)|(_ & was)]; [|exact (bare_empty st1 ok1 s d o i is_bare_ was)].
    destruct is_bare_ as [same|same]; [discriminate same|]. injection same as <-. exact (none i).
  - intros a m q t i base bits device r x hung less found. rewrite entries_ in found.
    destruct (pages_backed st1 ok1 a m q t i base bits device r x (before _ _ _ _ hung) less found) as (s & r' & pl & at_s & rest). exists s, r', pl.
    split; [|exact rest]. rewrite caps. destruct (N.eqb_spec s slot) as [->|]; [congruence | exact at_s].
Qed.

(** ** Frame::Map and Frame::Unmap *)
Lemma page_shown st after slot base bits device r p asid l q t i nr na pl : placed st -> capability_at slot st = Some (FrameCap base bits device r p) ->
  hangs st asid l q t -> i < 512 -> level_of_frame bits = l -> rights_within nr r -> (forall next, table_entries t st !! i <> Some (NextTable next)) ->
  names_page pl asid l (q * 512 + i) ->
  (forall old a pq, p = Some old -> names_page old a l pq -> names_page pl a l pq) ->
  (forall j, capability_at j after = if j =? slot then Some (FrameCap base bits device r (Some pl)) else capability_at j st) ->
  (forall o j, table_entries o after !! j = if (o =? t) && (j =? i) then Some (Page base bits device nr na) else table_entries o st !! j) ->
  pools_right after -> (forall a, vspace_of_asid a after = vspace_of_asid a st) -> (forall o, is_table o st -> is_table o after) -> spaced after.
Proof.
  intros ok there here less level_ within_ no_next named stays caps entries_ pools_ names tables_. pose proof ok as (right & spaces).
  assert (forall a m pq u, hangs after a m pq u -> hangs st a m pq u) as before.
  { intros a m pq u hung. induction hung as [v is_v|m pq u j u' up IH less' next]; [apply hangs_top; rewrite <- names; exact is_v|].
    rewrite entries_ in next. apply (hangs_below st a m pq u j); [exact IH | exact less' | destruct (_ && _); [discriminate next | exact next]]. }
  assert (forall s d, is_space_cap d = true -> capability_at s after = Some d -> capability_at s st = Some d) as was.
  { intros s d space. rewrite caps. destruct (s =? slot); [intros same; injection same as <-; discriminate space | exact id]. }
  assert (forall s d o, capability_at s after = Some d -> object_of d = Some o -> capability_at s st = Some d) as was_object.
  { intros s d o. rewrite caps. destruct (s =? slot); [intros same; injection same as <-; discriminate | intros at_s _; exact at_s]. }
  constructor.
  - exact pools_.
  - intros a v s x is_v at_s. rewrite names in is_v. exact (one_asid st spaces a v s x is_v (was s (VSpaceCap v x) eq_refl at_s)).
  - intros s s' v x y at_s at_s'. exact (asids_agree st spaces s s' v x y (was s (VSpaceCap v x) eq_refl at_s) (was s' (VSpaceCap v y) eq_refl at_s')).
  - intros a m pq u hung. destruct (tables_hang st spaces a m pq u (before _ _ _ _ hung)) as (low_ & is_t & said). split; [exact low_|].
    split; [exact (tables_ u is_t)|].
    intros s p' at_s. exact (said s p' (was s (PageTableCap u p') eq_refl at_s)).
  - intros j d o is_bare_ at_j k e at_k names_e. destruct (bare_is_space d o is_bare_) as (space & _).
    exact (bare_alone st spaces j d o is_bare_ (was j d space at_j) k e (was_object k e o at_k names_e) names_e).
  - intros s d o j is_bare_ at_s. destruct (bare_is_space d o is_bare_) as (space & _). pose proof (was s d space at_s) as at_s'. rewrite entries_.
    destruct (N.eqb_spec o t) as [->|]; [destruct (hanging_not_bare st asid l q t s d ok here at_s' is_bare_)|].
    exact (bare_empty st spaces s d o j is_bare_ at_s').
  - intros a m pq u j b n dev nr' x hung less' found. pose proof (before _ _ _ _ hung) as hung_before. rewrite entries_ in found.
    destruct (N.eqb_spec u t) as [->|nu]; [destruct (N.eqb_spec j i) as [->|nj]|]; cbn [andb] in found.
    + injection found as <- <- <- <- <-. destruct (hangs_once st asid l q t a m pq ok here hung_before) as (-> & -> & ->). exists slot, r, pl.
      rewrite caps, N.eqb_refl. repeat split; try assumption; apply within_ || apply named.
    + destruct (pages_backed st spaces a m pq t j b n dev nr' x hung_before less' found) as (s & r' & p' & at_s & named' & level' & within').
      destruct (N.eq_dec s slot) as [->|other].
      * rewrite there in at_s. injection at_s as <- <- <- <- ->. exists slot, r, pl. rewrite caps, N.eqb_refl. split; [reflexivity|].
        split; [|split; [exact level' | exact within']]. assert (m = l) as -> by congruence. exact (stays p' a _ eq_refl named').
      * exists s, r', p'. rewrite caps. apply N.eqb_neq in other. rewrite other. split; [exact at_s|]. split; [exact named'|]. split; assumption.
    + destruct (pages_backed st spaces a m pq u j b n dev nr' x hung_before less' found) as (s & r' & p' & at_s & named' & level' & within').
      destruct (N.eq_dec s slot) as [->|other].
      * rewrite there in at_s. injection at_s as <- <- <- <- ->. exists slot, r, pl. rewrite caps, N.eqb_refl. split; [reflexivity|].
        split; [|split; [exact level' | exact within']]. assert (m = l) as -> by congruence. exact (stays p' a _ eq_refl named').
      * exists s, r', p'. rewrite caps. apply N.eqb_neq in other. rewrite other. split; [exact at_s|]. split; [exact named'|]. split; assumption.
Qed.
Lemma mapping_within r mask : rights_within (mapping_rights r mask) r.
Proof.
  unfold rights_within, mapping_rights. cbn [can_write can_read can_grant can_grant_reply common_rights]. rewrite !andb_true_iff. repeat split; tauto.
Qed.
Lemma frame_map_spaced vaddr rights attributes i call st : valid call st -> placed st -> does spaced (frame_map vaddr rights attributes (cap i call) call st)
  st.
Proof.
  intros (there & _) ok. pose proof ok as (right & spaces). unfold frame_map.
  destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |] eqn:is_c; try exact I.
  apply vspace_argument_does. intros v asid _ names. cbv beta iota zeta.
  destruct (vaddr + N.shiftl 1 bits <=? user_top) eqn:less; [|exact I]. destruct (aligned vaddr bits); [|exact I].
  destruct (match p with Some p0 => place_asid p0 =? asid | None => true end) eqn:same_asid; [|exact I].
  destruct (match p with Some p0 => place_address p0 =? vaddr | None => true end) eqn:same_address; [|exact I].
  destruct (table_of_level v (level_of_frame bits) vaddr st) as [t|] eqn:found; [|exact I].
  assert (vaddr < N.shiftl 1 48) as less48.
  { apply N.leb_le in less. unfold user_top in less. change (N.shiftl 1 48) with 281474976710656.
    assert (0 < N.shiftl 1 bits) by (rewrite N.shiftl_1_l; apply N.neq_0_lt_0, N.pow_nonzero; lia). lia. }
  pose proof (table_hangs st asid v _ vaddr t (named_bound st asid spaces) names less48 found) as here.
  pose proof (named_bound st asid spaces _ _ _ here) as low_. set (level := level_of_frame bits) in *. set (index := entry_index level vaddr) in *.
  destruct (match table_entries t st !! index with Some (Page b _ _ _ _) => match p with Some _ => b =? base | None => false end | Some (NextTable _) => false
      | None => true end) eqn:own; [|exact I].
  cbn [does always state_after].
  set (new := Page base bits device (mapping_rights r rights) (mapping_attributes attributes device)).
  set (place_ := {| place_asid := asid; place_address := vaddr; place_level := level |}).
  match goal with |- context [set_page_entry t index new ?s] => set (st0 := s) end.
  assert (st0 = st \/ st0 = emit (InvalidatePage asid vaddr) st) as is_st0
    by (unfold st0; match goal with |- (if ?x then _ else _) = _ \/ _ => destruct x end; [right | left]; reflexivity).
  assert (light st st0) as lit0 by (destruct is_st0 as [-> | ->]; [apply light_refl | apply light_emit]).
  assert (forall o, table_entries o st0 = table_entries o st) as entries0 by (intros o; destruct is_st0 as [-> | ->]; reflexivity).
  set (st1 := set_page_entry t index new st0). pose proof (light_trans _ _ _ lit0 (set_entry_light t index new st0)) as lit. fold st1 in lit.
  assert (is_vspace t st0 \/ is_table t st0) as is_t0
    by (destruct (hanging_object st asid level _ t spaces here) as [is_v|is_t]; [left; apply (light_spaces st st0 lit0), is_v | right;
      apply (light_tables st st0 lit0), is_t]).
  assert (capability_at (invoked_slot call) st1 = Some (FrameCap base bits device r p)) as there1
    by (rewrite (capability_same _ st st1 (light_slots st st1 lit)); exact there).
  destruct (changed_caps (invoked_slot call) _ (FrameCap base bits device r (Some place_)) st1 there1) as (caps & same_pools & same_objects);
    [cbn; rewrite !N.eqb_refl; reflexivity | cbn; rewrite !N.eqb_refl; reflexivity|].
  apply (page_shown st _ (invoked_slot call) base bits device r p asid level (prefix level vaddr) t index
           (mapping_rights r rights) (mapping_attributes attributes device) place_ ok there here (index_below level vaddr) eq_refl (mapping_within r rights)).
  - intros next is_next. rewrite is_next in own. discriminate own.
  - unfold names_page, place_, index. cbn [place_asid place_level place_address]. split; [reflexivity|]. split; [reflexivity|]. apply prefix_step. exact low_.
  - intros old a pq -> (is_a & is_level & is_pq). apply N.eqb_eq in same_asid, same_address. unfold names_page, place_.
    cbn [place_asid place_level place_address].
    split; [congruence|]. split; [reflexivity|]. congruence.
  - intros j. rewrite caps, (capability_same j st st1 (light_slots st st1 lit)). reflexivity.
  - intros o j. transitivity (table_entries o st1 !! j); [unfold table_entries; rewrite same_objects; reflexivity|]. rewrite <- (entries0 o).
    exact (set_entries t index new st0 o j is_t0).
  - exact (pools_right_same st1 _ same_pools same_objects (light_pools_right st st1 lit (pools_are st spaces))).
  - intros a. rewrite <- (light_names st st1 a lit). exact (same_names st1 _ same_pools same_objects a).
  - intros o is_t. apply (light_tables st st1 lit) in is_t. unfold is_table. rewrite same_objects. exact is_t.
Qed.
Lemma frame_unmap_spaced call st : valid call st -> placed st -> does spaced (frame_unmap call st) st.
Proof.
  intros (there & _) (right & spaces). unfold frame_unmap.
  destruct (invoked call) as [| | | | | | | | | |base bits device r p| | | | | | | |] eqn:is_c; try exact I. cbn [does always state_after].
  set (st1 := unmap_frame base bits p st). pose proof (unmap_frame_light base bits p st) as lit. fold st1 in lit.
  pose proof (fun j => capability_same j st st1 (light_slots st st1 lit)) as caps1.
  assert (capability_at (invoked_slot call) st1 = Some (FrameCap base bits device r p)) as there1 by (rewrite caps1; exact there).
  destruct (changed_caps (invoked_slot call) _ (FrameCap base bits device r None) st1 there1) as (caps & same_pools & same_objects);
    [cbn; rewrite !N.eqb_refl; reflexivity | cbn; rewrite !N.eqb_refl; reflexivity|].
  set (after := change_capability (invoked_slot call) (FrameCap base bits device r None) st1) in *.
  pose proof (same_names st1 after same_pools same_objects) as names.
  assert (forall o, table_entries o after = table_entries o st1) as entries_ by (intros o; unfold table_entries; rewrite same_objects; reflexivity).
  assert (forall s d, capability_at s after = Some d -> is_space_cap d = true \/ object_of d <> None -> capability_at s st = Some d) as was.
  { intros s d. rewrite caps, caps1. destruct (s =? invoked_slot call); [|intros at_s _; exact at_s]. intros same. injection same as <-.
    intros [absurd|absurd]; [discriminate absurd | destruct (absurd eq_refl)]. }
  apply (spaced_less st).
  - exact (pools_right_same st1 after same_pools same_objects (light_pools_right st st1 lit (pools_are st spaces))).
  - intros a v. rewrite names, (light_names st st1 a lit). exact id.
  - intros o j e. rewrite entries_. apply unmap_frame_fewer.
  - intros j d space at_j. exists j. exact (was j d at_j (or_introl space)).
  - intros j d o is_bare_ at_j k e at_k named. destruct (bare_is_space d o is_bare_) as (space & _).
    assert (object_of e <> None) as some by congruence.
    exact (bare_alone st spaces j d o is_bare_ (was j d at_j (or_introl space)) k e (was k e at_k (or_intror some)) named).
  - intros a m q t _ is_t. apply (light_tables st st1 lit) in is_t. unfold is_table. rewrite same_objects. exact is_t.
  - intros k b n dev r' pl at_k. destruct (N.eq_dec k (invoked_slot call)) as [->|other].
    + right. rewrite there in at_k. injection at_k as <- <- <- <- ->. intros a m q t j n' dev' r'' x hung less level_ found. rewrite entries_ in found.
      refine (frame_unmapped base bits pl st spaces a m q t j n' dev' r'' x _ less level_ found).
      revert hung. apply hangs_fewer; [intros b v; rewrite names; exact id | intros o i e; rewrite entries_; exact id].
    + left. exists k. rewrite caps. apply N.eqb_neq in other. rewrite other, caps1. exact at_k.
  - exact spaces.
Qed.

(** ** ASIDs *)
Lemma carve_goes u at_ size x slot c st e base bits device used : slots st !! u = Some e -> capability e = UntypedCap base bits device used ->
  base + (if has_children u st then used else 0) <= at_ -> at_ + size <= base + N.shiftl 1 bits -> is_empty slot st = true ->
  (x <> None -> objects st !! at_ = None) -> capability_at slot (carve u at_ size x slot c st) = Some c.
Proof.
  intros there is_u above fits_ vacant unused.
  assert (capability_at u st = Some (UntypedCap base bits device used)) as at_u by (unfold capability_at; rewrite there, is_u; reflexivity).
  unfold carve. rewrite there, at_u. cbv zeta.
  assert ((base + (if has_children u st then used else 0) <=? at_) && (at_ + size <=? base + N.shiftl 1 bits) && is_empty slot st
          && negb (is_some x && is_some (objects st !! at_)) = true) as ->.
  { rewrite !andb_true_iff, !N.leb_le. repeat split; try assumption. destruct x as [x|]; [|reflexivity]. rewrite (unused ltac:(discriminate)). reflexivity. }
  set (taken := put_if_some at_ x (replace_capability u e (UntypedCap base bits device (at_ + size - base)) st)).
  assert (slots taken = set u (e <| capability := UntypedCap base bits device (at_ + size - base) |>) (slots st)) as same
    by (unfold taken; rewrite <- slots_of_replace; destruct x; reflexivity).
  assert (slot <> u) as other by (intros ->; apply is_empty_spec in vacant; congruence). apply N.eqb_neq in other. apply is_empty_spec in vacant.
  rewrite capability_at_in, in_insert_child; [rewrite N.eqb_refl; reflexivity|]. unfold is_empty. rewrite same, !find_set, N.eqb_refl, other, vacant.
  reflexivity.
Qed.
Lemma make_pool_spaced a b i j call st : valid call st -> placed st -> does spaced (asid_control_make_pool a b (cap i call) (cap j call) call st) st.
Proof.
  intros fine (right & spaces). unfold asid_control_make_pool, empty_slot_in, slot_in, always. cbv beta.
  destruct (free_pool_index st) as [number|] eqn:free_; [|exact I].
  destruct (argument (cap i call)) as [[base bits device used| | | | | | | | | | | | | | | | | |]|] eqn:is_u; try exact I.
  pose proof (argument_at call st i _ fine is_u) as at_u. set (u := argument_slot (cap i call)) in *.
  repeat match goal with
    | |- does _ (match ?x with N0 => _ | Npos _ => _ end) _ => destruct x; try exact I
    | |- does _ (match ?x with xI _ => _ | xO _ => _ | xH => _ end) _ => destruct x; try exact I
    end.
  destruct device; [exact I|]. destruct (has_children u st) eqn:alone_; [exact I|]. cbn [negb].
  checks. cbn [does state_after]. match goal with vacant : is_empty ?s st = true |- _ => rename s into slot end.
  match goal with |- context [carve u base ?n ?x slot ?c ?s] => set (before := s) end.
  assert (pools st !! number = None) as unknown.
  { unfold free_pool_index in free_. apply List.find_some in free_. destruct free_ as (_ & none). destruct (pools st !! number); [discriminate | reflexivity]. }
  assert (exists e, slots st !! u = Some e /\ capability e = UntypedCap base 12 false used) as (e & there & is_it).
  { unfold capability_at in at_u. destruct (slots st !! u) as [e|]; [|discriminate]. exists e. split; congruence. }
  assert (objects st !! base = None) as unused.
  { destruct (objects st !! base) as [x|] eqn:found; [exfalso|reflexivity]. pose proof (memory_right st right) as memory.
    assert (free_memory u st = Some (base, N.shiftl 1 12)) as free_u by (unfold free_memory; rewrite at_u, alone_, N.add_0_r, N.sub_0_r; reflexivity).
    pose proof (free_is_empty st memory u _ base x free_u found) as far. pose proof (positive_size x). unfold apart in far. cbn [fst snd] in far.
    change (N.shiftl 1 12) with 4096 in far. lia. }
  assert (slots before = slots st /\ objects before = objects st) as (same_slots & same_objects) by (split; reflexivity).
  match goal with vacant : is_empty slot st = true |- _ => pose proof vacant as empty_slot end.
  pose proof (carve_goes u base (N.shiftl 1 page_bits) (Some (ASIDPoolObject {| pool_index := number;
    assigned := empty |})) slot (ASIDPoolCap base) before e base 12 false used
    there is_it) as goes.
  assert (has_children u before = false) as childless_ by exact alone_. rewrite childless_, N.add_0_r in goes.
  specialize (goes (N.le_refl _) (N.le_refl _) empty_slot (fun _ => unused)).
  destruct (carve_cases u base (N.shiftl 1 page_bits) (Some (ASIDPoolObject {| pool_index := number;
    assigned := empty |})) slot (ASIDPoolCap base) before) as [stuck|cut].
  { rewrite stuck in goes. apply is_empty_spec in empty_slot. unfold capability_at in goes. change (slots (emit Stuck before)) with (slots st) in goes.
    rewrite empty_slot in goes. discriminate. }
  pose proof (carve_pools u base (N.shiftl 1 page_bits) (Some (ASIDPoolObject {| pool_index := number;
    assigned := empty |})) slot (ASIDPoolCap base) before) as pools_.
  destruct cut as (e' & base' & bits' & device' & used' & there' & is_it' & _ & _ & vacant & _ & caps & _ & objs).
  apply (carve_spaced st _ u _ slot base (Some (ASIDPoolObject {| pool_index := number;
    assigned := empty |})) (ASIDPoolCap base) right spaces at_u eq_refl vacant).
  - intros k nk nu. rewrite !capability_at_in, caps. apply N.eqb_neq in nk, nu. rewrite nk, nu. reflexivity.
  - exact goes.
  - intros d other. rewrite capability_at_in, caps, N.eqb_refl. destruct (N.eqb_spec u slot); [congruence|]. intros same. injection same as <-. reflexivity.
  - exact objs.
  - intros _. exact unused.
  - split; [reflexivity|]. split; [reflexivity | discriminate].
  - split; [exact unknown | exact pools_].
Qed.
Lemma assign_spaced i call st : valid call st -> placed st -> does spaced (asid_pool_assign (cap i call) call st) st.
Proof.
  intros fine ok. pose proof ok as (right & spaces). pose proof fine as (there & _). unfold asid_pool_assign.
  destruct (invoked call) as [| | | | | | | | | | | |p| | | | | |] eqn:is_c; try exact I.
  destruct (argument (cap i call)) as [[| | | | | | | |v [asid|]| | | | | | | | | |]|] eqn:is_v; try exact I.
  destruct (free_entry (pool p st)) as [index|] eqn:free_; [|exact I]. cbn [does always state_after].
  pose proof (argument_at call st i _ fine is_v) as at_v. set (slot := argument_slot (cap i call)) in *.
  destruct (refers_to st _ _ p right there eq_refl) as (x & is_p & fits_). destruct x as [| | | | | | | |y]; try discriminate fits_.
  rewrite (pool_is p y st is_p) in *.
  unfold free_entry in free_. apply List.find_some in free_. destruct free_ as (listed & none). apply andb_prop, proj1 in none.
  assert (assigned y !! index = None) as unassigned by (destruct (assigned y !! index); [discriminate | reflexivity]). clear none.
  assert (index < asid_pool_entries) as less.
  { assert (forall n first k, In k (numbers_from first n) -> k < first + N.of_nat n) as bound.
    { induction n as [|n IH]; intros first k; cbn [numbers_from In]; [contradiction|]. intros [->|more]; [lia|]. specialize (IH _ _ more). lia. }
    specialize (bound _ _ _ listed). rewrite N2Nat.id in bound. exact bound. }
  set (asid := asid_pool_entries * pool_index y + index).
  set (z := {| pool_index := pool_index y; assigned := set index v (assigned y) |}).
  assert (change_pool p (fun x => {| pool_index := pool_index x; assigned := set index v (assigned x) |}) st = put_object p (ASIDPoolObject z) st) as ->
    by (unfold change_pool; rewrite is_p; reflexivity).
  set (st1 := put_object p (ASIDPoolObject z) st).
  assert (capability_at slot st1 = Some (VSpaceCap v None)) as there1 by exact at_v.
  destruct (changed_caps slot _ (VSpaceCap v (Some asid)) st1 there1) as (caps & same_pools & same_objects);
    [cbn; rewrite N.eqb_refl; reflexivity | cbn; rewrite N.eqb_refl; reflexivity|].
  set (after := change_capability slot (VSpaceCap v (Some asid)) st1) in *.
  assert (forall j, capability_at j st1 = capability_at j st) as caps1 by reflexivity.
  assert (is_vspace v st) as is_vs.
  { destruct (refers_to st slot _ v right at_v eq_refl) as (x & found & fits_v). destruct x as [| | | | | |t| |]; try discriminate fits_v. exists t.
    exact found. }
  assert (pools_right after) as pools_.
  { apply (pools_right_same st1 after same_pools same_objects). refine (put_pool_right p z y st is_p _ _ (pools_are st spaces)); [reflexivity|].
    intros k w. cbn [z assigned]. rewrite find_set. destruct (N.eqb_spec k index) as [->|]; [|left; assumption].
    intros same. injection same as <-. right. split; [exact less | exact is_vs]. }
  destruct (asid_parts (pool_index y) index less) as (is_div & is_mod).
  assert (forall a w, vspace_of_asid a after = Some w -> vspace_of_asid a st = Some w \/ a = asid /\ w = v) as names.
  { intros a w. rewrite (same_names st1 after same_pools same_objects a). unfold st1. rewrite (named_put_pool p z y st a (pools_are st spaces) is_p).
    destruct (N.eqb_spec (a / asid_pool_entries) (pool_index y)) as [same|]; [|left; assumption]. cbn [z assigned]. rewrite find_set.
    destruct (N.eqb_spec (a mod asid_pool_entries) index) as [same_mod|].
    - intros is_w. injection is_w as <-. right. split; [|reflexivity]. rewrite (asid_whole a), same, same_mod. reflexivity.
    - intros is_w. left. unfold vspace_of_asid. rewrite same.
      rewrite (proj2 (pools_found st (pools_are st spaces) (pool_index y) p)) by (exists y; split; [exact is_p | reflexivity]).
      rewrite (pool_is p y st is_p). exact is_w. }
  assert (forall o, table_entries o after = table_entries o st) as entries_.
  { intros o. transitivity (table_entries o st1); [unfold table_entries; rewrite same_objects; reflexivity | exact (put_pool_entries p z y st o is_p)]. }
  pose proof (bare_alone st spaces slot _ v (or_introl eq_refl) at_v) as alone_.
  assert (forall j, table_entries v st !! j = None) as bare_space by (intros j; exact (bare_empty st spaces slot _ v j (or_introl eq_refl) at_v)).
  assert (forall a m q t, hangs after a m q t -> hangs st a m q t \/ m = 0 /\ t = v) as came.
  { intros a m q t hung. induction hung as [w is_w|m q t j t' up IH less' next].
    - destruct (names a w is_w) as [was|(-> & ->)]; [left; apply hangs_top; exact was | right; split; reflexivity].
    - rewrite entries_ in next. destruct IH as [was|(-> & ->)]; [left; exact (hangs_below st a m q t j t' was less' next)|]. rewrite bare_space in next.
      discriminate. }
  assert (forall s d, capability_at s after = Some d -> s = slot /\ d = VSpaceCap v (Some asid) \/ s <> slot /\ capability_at s st = Some d) as which.
  { intros s d. rewrite caps, caps1. destruct (N.eqb_spec s slot) as [->|other]; [intros same; injection same as <-; left; split; reflexivity | right; split;
      assumption]. }
  constructor.
  - exact pools_.
  - intros a w s x is_w at_s. destruct (names a w is_w) as [was|(-> & ->)], (which s _ at_s) as [(-> & same)|(other & at_s')].
    + injection same as -> ->. discriminate (one_asid st spaces a v slot None was at_v).
    + exact (one_asid st spaces a w s x was at_s').
    + injection same as ->. reflexivity.
    + destruct (other (alone_ s _ at_s' eq_refl)).
  - intros s s' w x x' at_s at_s'. destruct (which s _ at_s) as [(-> & same)|(other & was)], (which s' _ at_s') as [(-> & same')|(other' & was')].
    + congruence.
    + injection same as -> ->. destruct (other' (alone_ s' _ was' eq_refl)).
    + injection same' as -> ->. destruct (other (alone_ s _ was eq_refl)).
    + exact (asids_agree st spaces s s' w x x' was was').
  - intros a m q t hung. destruct (came a (m + 1) q t hung) as [was|(absurd & _)]; [|lia].
    destruct (tables_hang st spaces a m q t was) as (low_ & (u & is_t) & said). split; [exact low_|]. split.
    + exists u. rewrite same_objects. etransitivity; [apply find_set|]. destruct (N.eqb_spec t p) as [->|]; [congruence | exact is_t].
    + intros s pl at_s. destruct (which s _ at_s) as [(_ & absurd)|(_ & at_s')]; [discriminate absurd | exact (said s pl at_s')].
  - intros j d o is_bare_ at_j k e at_k named. destruct (bare_is_space d o is_bare_) as (_ & names_d & _).
    destruct (which j d at_j) as [(-> & ->)|(nj & was_j)]; [destruct is_bare_ as [absurd|absurd]; discriminate absurd|].
    destruct (which k e at_k) as [(-> & ->)|(nk & was_k)]; [|exact (bare_alone st spaces j d o is_bare_ was_j k e was_k named)].
    cbn in named. injection named as <-. destruct (nj (alone_ j d was_j names_d)).
  - intros s d o j is_bare_ at_s. rewrite entries_. destruct (which s d at_s) as [(_ & ->)|(_ & was)]; [destruct is_bare_ as [absurd|absurd];
      discriminate absurd|].
    exact (bare_empty st spaces s d o j is_bare_ was).
  - intros a m q t j base bits device r x hung less' found. rewrite entries_ in found.
    destruct (came a m q t hung) as [was|(_ & ->)]; [|rewrite bare_space in found; discriminate].
    destruct (pages_backed st spaces a m q t j base bits device r x was less' found) as (s & r' & pl & at_s & rest). exists s, r', pl. split; [|exact rest].
    rewrite caps, caps1. destruct (N.eqb_spec s slot) as [->|]; [congruence | exact at_s].
Qed.

(** ** All methods *)
Lemma placed_operations : operations but_placing placed.
Proof.
  constructor; [right; exact placed_unit|]. intros m. destruct m; try (left; reflexivity); right; intros call st type fine ok;
    match goal with |- context [decode_method ?m call st] => change (does placed (decode_method m call st) st) end;
    pose proof (sound_method _ call st type fine (proj1 ok)) as right; unfold decode_method in *.
  all: first [ exact (retype_placed _ _ _ _ _ _ _ call st fine ok) | exact (derive_placed _ _ _ _ _ _ _ _ call st (or_introl eq_refl) ok)
    | exact (derive_placed _ _ _ _ _ _ _ _ call st (or_intror (ex_intro _ _ eq_refl)) ok) | exact (move_into_placed _ _ _ _ _ _ call st (or_introl eq_refl) ok)
    | exact (move_into_placed _ _ _ _ _ _ call st (or_intror (ex_intro _ _ eq_refl)) ok) | exact (rotate_placed _ _ _ _ _ _ _ _ _ _ call st ok)
    | exact (configure_placed _ _ _ _ _ _ call st fine ok) | exact (set_space_placed _ _ _ _ _ call st fine ok)
      | exact (set_ipc_buffer_placed _ _ call st fine ok)
    | exact (set_timeout_placed _ call st fine ok) | exact (set_sched_params_placed _ _ _ _ _ call st fine ok)
      | exact (set_notification_placed _ call st fine ok)
    | exact (irq_get_placed _ _ _ _ _ call st ok) | exact (irq_issue_placed _ _ _ _ _ call st ok) | exact (table_map_placed _ _ _ call st type fine ok)
    | exact (does_both _ st right (table_unmap_spaced call st fine ok)) | exact (does_both _ st right (frame_map_spaced _ _ _ _ call st fine ok))
    | exact (does_both _ st right (frame_unmap_spaced call st fine ok)) | exact (does_both _ st right (make_pool_spaced _ _ _ _ call st fine ok))
    | exact (does_both _ st right (assign_spaced _ call st fine ok)) ].
Qed.

(** ** Boot *)
Lemma boot_space_cap p slot c : In (slot, c) (root_capabilities p ++ dynamic_capabilities p) -> is_space_cap c = true ->
  c = VSpaceCap (root_vspace p) (Some root_asid).
Proof.
  intros listed space. apply in_app_or in listed. destruct listed as [listed|listed].
  - unfold root_capabilities in listed. cbn [In] in listed.
    repeat (destruct listed as [same|listed]; [apply (f_equal snd) in same; cbn [snd] in same; rewrite <- same in *; first [discriminate space
      | reflexivity]|]).
    contradiction.
  - unfold dynamic_capabilities in listed. cbv zeta in listed. apply in_combine_r, in_app_or in listed.
    destruct listed as [listed|listed]; apply in_map_iff in listed;
      [destruct listed as (core & <- & _) | destruct listed as (((base & bits) & device) & <- & _)]; discriminate space.
Qed.
Lemma first_pools p : pools (first_state p) = table_of [(0, root_pool p)]. Proof. reflexivity. Qed.
Lemma pools_with_roots l st : pools (with_roots l st) = pools st.
Proof.
  revert st. induction l as [|(slot & c) l IH]; intros st; [reflexivity|]. cbn [with_roots fold_left fst snd]. fold (with_roots l (insert_root slot c st)).
  rewrite IH, (insert_root_same slot c st). reflexivity.
Qed.
Lemma find_one {A} (k j : N) (v : A) : table_of [(k, v)] !! j = if j =? k then Some v else None.
Proof. unfold table_of. cbn [fold_left fst snd]. rewrite find_set, find_empty. reflexivity. Qed.
Lemma placed_at_start p : roots_are_sound p -> placed (insert_roots p (first_state p))
  /\ space_caps (fun c => forall o, ~ bare c o) (insert_roots p (first_state p)).
Proof.
  intros right. pose proof (sound_at_start p right) as sound_. set (st := insert_roots p (first_state p)) in *.
  assert (pools st = table_of [(0, root_pool p)]) as pools_ by (unfold st; rewrite insert_roots_is, pools_with_roots; apply first_pools).
  assert (objects st = objects (first_state p)) as objs by (unfold st; rewrite insert_roots_is; apply objects_with_roots).
  assert (forall j c, capability_at j st = Some c -> is_space_cap c = true -> c = VSpaceCap (root_vspace p) (Some root_asid)) as caps.
  { intros j c at_j. apply (boot_space_cap p j).
    destruct (roots_listed (root_capabilities p ++ dynamic_capabilities p) (root_capabilities p ++ dynamic_capabilities p)
      (first_state p)) as (_ & listed).
    - intros x in_l. exact in_l.
    - intros k. apply no_parent, first_slots.
    - intros k d. unfold capability_in. rewrite first_slots. discriminate.
    - apply listed. rewrite capability_at_in in at_j. exact at_j. }
  pose proof (roots_differ p right) as differ. unfold roots_are_apart in differ. rewrite !NoDup_cons_iff in differ. cbn [In] in differ.
  assert (forall o y, objects st !! o = Some (ASIDPoolObject y) -> o = root_pool p /\ y = {| pool_index := 0;
    assigned := table_of [(root_asid, root_vspace p)] |}) as pool_.
  { intros o y. rewrite objs, first_objects. destruct (_ =? _); [discriminate|]. destruct (N.eqb_spec o (root_pool p)) as [->|].
    - intros same. injection same as <-. split; reflexivity.
    - repeat (destruct (_ =? _); [discriminate|]). discriminate. }
  assert (objects st !! root_pool p = Some (ASIDPoolObject {| pool_index := 0; assigned := table_of [(root_asid, root_vspace p)] |})) as at_pool.
  { rewrite objs, first_objects, N.eqb_refl. destruct (N.eqb_spec (root_pool p) (root_context p)) as [same|]; [exfalso; intuition congruence | reflexivity]. }
  assert (objects st !! root_vspace p = Some (VSpaceObject empty)) as at_vspace.
  { rewrite objs, first_objects, N.eqb_refl. destruct (N.eqb_spec (root_vspace p) (root_context p)) as [same|]; [exfalso; intuition congruence|].
    destruct (N.eqb_spec (root_vspace p) (root_pool p)) as [same|]; [exfalso; intuition congruence | reflexivity]. }
  assert (forall o i, table_entries o st !! i = None) as bare_.
  { intros o i. unfold table_entries. rewrite objs, first_objects. repeat (destruct (_ =? _); [apply find_empty|]). apply find_empty. }
  assert (forall asid v, vspace_of_asid asid st = Some v -> v = root_vspace p /\ asid = root_asid) as names.
  { intros asid v is_v. destruct (named_of_pool st asid v is_v) as (o & y & known & there & assigned_). destruct (pool_ o y there) as (-> & ->).
    cbn [assigned] in assigned_. rewrite find_one in assigned_. rewrite pools_, find_one in known.
    destruct (N.eqb_spec (asid / asid_pool_entries) 0) as [zero|]; [|discriminate]. destruct (N.eqb_spec (asid mod asid_pool_entries) root_asid) as [one|];
      [|discriminate].
    injection assigned_ as <-. split; [reflexivity|]. rewrite (asid_whole asid), zero, one. reflexivity. }
  assert (forall asid l q t, ~ hangs st asid (l + 1) q t) as nothing_hangs.
  { intros asid l q t here. inversion here as [v is_v is0 is1 is2|l' q' u i u' above less next is0 is1 is2]; [lia|]. rewrite bare_ in next. discriminate. }
  assert (forall j c o, bare c o -> capability_at j st <> Some c) as no_bare.
  { intros j c o is_bare_ at_j. pose proof (caps j c at_j (proj1 (bare_is_space c o is_bare_))) as ->. destruct is_bare_ as [same|same]; discriminate same. }
  split; [split; [exact sound_|]|].
  - constructor.
    + constructor.
      * intros i o. rewrite pools_, find_one. destruct (N.eqb_spec i 0) as [->|other].
        -- split; [intros same; injection same as <-; eexists; split; [exact at_pool | reflexivity]|]. intros (y & there & _).
           destruct (pool_ o y there) as (-> & _). reflexivity.
        -- split; [discriminate|]. intros (y & there & is_i). destruct (pool_ o y there) as (_ & ->). cbn in is_i. congruence.
      * intros o y i v there names_v. destruct (pool_ o y there) as (_ & ->). cbn [assigned] in names_v. rewrite find_one in names_v.
        destruct (N.eqb_spec i root_asid) as [->|]; [|discriminate]. injection names_v as <-. split; [reflexivity | exists empty; exact at_vspace].
    + intros asid v s a is_v at_s. destruct (names asid v is_v) as (-> & ->). pose proof (caps s _ at_s eq_refl) as same. congruence.
    + intros s s' v x y at_s at_s'. pose proof (caps s _ at_s eq_refl). pose proof (caps s' _ at_s' eq_refl). congruence.
    + intros asid l q t here. destruct (nothing_hangs asid l q t here).
    + intros j c o is_bare_ at_j. destruct (no_bare j c o is_bare_ at_j).
    + intros s c o i _ _. apply bare_.
    + intros asid l q t i base bits device r a _ _ found. rewrite bare_ in found. discriminate.
  - intros s c space at_s o is_bare_. exact (no_bare s c o is_bare_ at_s).
Qed.
Lemma copied_placed p i place st : placed st -> space_caps (fun c => forall o, ~ bare c o) st ->
  placed (copy_to_thread p i place st) /\ space_caps (fun c => forall o, ~ bare c o) (copy_to_thread p i place st).
Proof.
  intros ok caps. unfold copy_to_thread. destruct (capability_at (root_slot p i) st) as [c|] eqn:there; [|split;
    [exact (placed_same st (emit Stuck st) eq_refl eq_refl eq_refl eq_refl ok) | exact caps]].
  assert (is_space_cap (derived c) = true -> derived c = c) as same by (destruct c; try discriminate; reflexivity). split.
  - apply derived_placed; [| |exact ok].
    + pose proof (low_at _ c st ok there) as is_low. destruct c; exact is_low.
    + intros space. pose proof space as space_c. rewrite (same space) in space_c. rewrite (same space).
      split; [exact (caps _ c space_c there) | exists (root_slot p i); exact there].
  - intros s d space at_s. destruct (slots st !! slot_of (root_thread p) place) as [e|] eqn:full.
    + assert (capability_at s (insert_derived (slot_of (root_thread p) place) (root_slot p i) false (derived c) st) = capability_at s st) as stuck;
        [|exact (caps s d space (eq_trans (eq_sym stuck) at_s))].
      assert (is_empty (slot_of (root_thread p) place) st = false) as occupied by (unfold is_empty; rewrite full; reflexivity).
      unfold insert_derived. destruct (slots st !! root_slot p i) as [e'|]; [|reflexivity].
      assert (capability_at s (if is_zombie (derived c) || negb (is_claimed (derived c) st) || negb (stands_alike (capability e') (derived c)) then emit
        Stuck st
        else if original e' then insert_child (slot_of (root_thread p) place) (root_slot p i) false (derived c) st
             else insert_sibling (slot_of (root_thread p) place) (root_slot p i) false (derived c) st) = capability_at s st) as usual.
      { destruct (_ || _); [reflexivity|]. destruct (original e').
        - unfold insert_child. rewrite occupied. reflexivity.
        - unfold insert_sibling. rewrite occupied. reflexivity. }
      destruct (capability e') as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact usual.
      destruct (carve_cases (root_slot p i) base (N.shiftl 1 bits) None (slot_of (root_thread p) place) (UntypedCap base bits device used) st) as [->|cut];
        [reflexivity|].
      destruct cut as (e2 & b2 & n2 & d2 & u2 & _ & _ & _ & _ & vacant & _). congruence.
    + destruct (insert_derived_caps _ _ _ _ st s d full space at_s) as [was|is_c]; [exact (caps s d space was)|]. subst d.
      pose proof space as space_c. rewrite (same space) in space_c. rewrite (same space). exact (caps _ c space_c there).
Qed.
Lemma boot_placed p : roots_are_sound p -> placed (boot p).
Proof.
  intros right. pose proof placed_quietly as quiet. unfold boot. cbv zeta. destruct (placed_at_start p right) as (ok & caps). unfold first_state in ok, caps.
  revert ok caps.
  generalize (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))). intros st ok caps.
  destruct (copied_placed p InitSlot.CNode cspace_slot st ok caps) as (ok1 & caps1). revert ok1 caps1.
  generalize (copy_to_thread p InitSlot.CNode cspace_slot st). intros st1 ok1 caps1.
  destruct (copied_placed p InitSlot.VSpace vspace_slot st1 ok1 caps1) as (ok2 & caps2). revert ok2 caps2.
  generalize (copy_to_thread p InitSlot.VSpace vspace_slot st1). intros st2 ok2 caps2.
  destruct (copied_placed p InitSlot.IPCBuffer buffer_slot st2 ok2 caps2) as (ok3 & _). revert ok3.
  generalize (copy_to_thread p InitSlot.IPCBuffer buffer_slot st2). intros st3 ok3.
  apply (@keeps_leave _ _ _ _ quiet), (@keeps_choose_thread _ _ _ _ quiet eq_refl), (@keeps_bind_context _ _ _ _ quiet _ _ eq_refl).
  refine (@keeps_change_context _ _ _ _ quiet _ _ _ _ st3 ok3).
  - split; [intros; exact I | reflexivity].
  - intros x. discriminate.
Qed.
Theorem reachable_placed p st : roots_are_sound p -> reachable step p st -> placed st.
Proof.
  intros right reached. exact (@reachable_keeps_but _ _ _ _ placed_quietly placed_kept placed_operations p (boot_placed p right) eq_refl st reached).
Qed.

(** ** The claims *)
Lemma start_same l x y : l <= 3 -> prefix (l + 1) x = prefix (l + 1) y -> start_of_entry l x = start_of_entry l y.
Proof.
  intros low_. unfold start_of_entry, prefix, entry_bits. replace (48 - 9 * (l + 1)) with (39 - 9 * l) by lia. intros ->. reflexivity.
Qed.
(** Claim [spaces_stay_right]. *)
Theorem spaces_stay_right_proved : spaces_stay_right step.
Proof.
  intros p st right reached. destruct (reachable_placed p st right reached) as (_ & ok). constructor.
  - exact (pools_found st (pools_are st ok)).
  - intros asid v names. split; [exact (named_is_vspace st asid v (pools_are st ok) names)|]. intros slot a. exact (one_asid st ok asid v slot a names).
  - intros asid level address o (v & names & less & found).
    pose proof (table_hangs st asid v (level + 1) address o (named_bound st asid ok) names less found) as here.
    destruct (tables_hang st ok asid level _ o here) as (low_ & is_t & said). split; [exact low_|]. split; [exact is_t|]. intros slot q at_slot.
    rewrite (said slot q at_slot). f_equal. symmetry. apply place_of_table. lia.
  - intros slot c o spare there. split; [intros i; exact (bare_empty st ok slot c o i spare there) | exact (bare_alone st ok slot c o spare there)].
Qed.
Lemma page_of_frame st asid address base bits device r a level : placed st -> shows asid address (Page base bits device r a) level st ->
  exists slot r' q, capability_at slot st = Some (FrameCap base bits device r' (Some q)) /\ rights_within r r'
    /\ place_asid q = asid /\ place_level q = level /\ start_of_entry level (place_address q) = start_of_entry level address.
Proof.
  intros (_ & ok) (v & names & less & found). unfold translate in found.
  destruct (walk_hangs st asid 3 (named_bound st asid ok) v 0 address) as (u & l & e & walked & here & _ & is_e & _);
    [rewrite (top_prefix address less); apply hangs_top, names|].
  rewrite walked in found. injection found as -> ->. pose proof (named_bound st asid ok _ _ _ here) as low_.
  destruct (pages_backed st ok asid level _ u _ base bits device r a here (index_below level address) (eq_sym is_e))
    as (s & r' & q & at_s & (is_a & is_l & is_q) & _ & within_).
  rewrite <- (prefix_step level address low_) in is_q. exists s, r', q. repeat split; try assumption; try apply within_. exact (start_same level _ _ low_ is_q).
Qed.
(** Claim [pages_have_frames]. *)
Theorem pages_have_frames_proved : pages_have_frames step.
Proof.
  intros p st asid address base bits device r a level right reached.
  exact (page_of_frame st asid address base bits device r a level (reachable_placed p st right reached)).
Qed.
(** Claim [pages_show_no_objects]. *)
Theorem pages_show_no_objects_proved : pages_show_no_objects step.
Proof.
  intros p st asid address base bits device r a level right reached shown. pose proof (reachable_placed p st right reached) as ok.
  destruct (page_of_frame st asid address base bits device r a level ok shown) as (slot & r' & q & at_slot & _). pose proof (proj1 ok) as sound_. split.
  - intros o x there. destruct (object_held st o x sound_ there) as (s & c & at_s & names & _).
    assert (extent st c = Some (o, size_of x)) as ext by (rewrite (extent_object st c o names), there; reflexivity).
    assert (s <> slot) as other by (intros ->; rewrite at_slot in at_s; injection at_s as <-; discriminate names).
    rewrite capability_at_in in at_s, at_slot.
    destruct (stands_apart _ _ _ (laid_ok st sound_) s slot c _ _ (base, N.shiftl 1 bits) other at_s at_slot ext eq_refl)
      as [far|[[(o' & _ & absurd)|absurd]|[(absurd & _)|(absurd & _)]]].
    + exact far.
    + discriminate absurd.
    + destruct (object_no_frame c _ o names absurd).
    + rewrite (object_is_typed c o names) in absurd. discriminate absurd.
    + discriminate absurd.
  - intros other free is_free.
    destruct (free_apart st other free slot _ (base, N.shiftl 1 bits) sound_ is_free at_slot eq_refl) as [far|[same|(absurd & _)]].
    + exact far.
    + subst other. unfold free_memory in is_free. rewrite at_slot in is_free. discriminate is_free.
    + discriminate absurd.
Qed.
(** Claim [revoked_memory_is_unmapped]. *)
Theorem revoked_memory_is_unmapped_proved : revoked_memory_is_unmapped step.
Proof.
  intros p st e call slot next done base bits device used asid address base' bits' device' r a level right reached is_call invoked_ names result found shown.
  pose proof (revocation_is_complete_proved p st e call slot next done reached is_call invoked_ names result) as none.
  pose proof (after_event step p st e reached) as after. rewrite result in after. cbn [fst] in after. pose proof (reachable_placed p next right after) as ok.
  destruct (page_of_frame next asid address base' bits' device' r a level ok shown) as (other & r' & q & at_other & _).
  assert (free_memory slot next = Some (base, N.shiftl 1 bits)) as free_
    by (unfold free_memory; rewrite found, (childless next slot (proj1 (indices_ok next (proj1 ok))) none), N.add_0_r, N.sub_0_r; reflexivity).
  destruct (free_apart next slot _ other _ (base', N.shiftl 1 bits') (proj1 ok) free_ at_other eq_refl) as [far|[same|(absurd & _)]];
    [exact far | congruence | discriminate absurd].
Qed.
