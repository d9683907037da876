(* SPDX-License-Identifier: BSD-2-Clause *)
(** * One edge a rule: proofs

    Each role in which something is met comes with an edge of the policy. What the thread that runs can name, before a first phase and behind it, the subject
      that
    it acts for may hold, as all that came into slots meanwhile is its own. *)
From Coq Require Import Lia.
From Spec Require BufferProofs.
From Spec Require Export MessageProofs TransferProofs DangleProofs LendProofs LinkProofs YieldProofs.
Open Scope N_scope.

(** ** What is in slots while a message goes *)
Section Known.
Variables (p : Policy) (subject : N).
Definition all_known (st : State) : Prop := forall slot c, capability_at slot st = Some c -> may p subject c \/ can_lie p slot c.
Lemma known_of_slots a b : slots b = slots a -> all_known a -> all_known b.
Proof. intros same ok slot c found. apply (ok slot c). unfold capability_at in *. rewrite <- same. exact found. Qed.
Lemma known_is_kept_quietly : kept_quietly all_known (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same _ _ _ _. exact (known_of_slots a b same).
  - intros t st. exact (known_of_slots st _ eq_refl).
  - intros insert t st _. exact (known_of_slots st _ (proj1 (place_by_same insert t st))).
  - intros t st _. exact (known_of_slots st _ eq_refl).
  - intros o x y st _ _ _ _. exact (known_of_slots st _ eq_refl).
Qed.
Notation quietly := known_is_kept_quietly.
Lemma inserted_known slot s o made c st : capability_at s st = Some c -> may p subject c -> may p subject made -> all_known st ->
  all_known (insert_derived slot s o made st).
Proof.
  intros source mine derived_ ok. pose proof source as there. unfold capability_at in there.
  unfold insert_derived. destruct (slots st !! s) as [x|] eqn:is_x; [|discriminate]. injection there as is_c.
  assert (forall after, (forall j, capability_at j after = if j =? slot then Some made else capability_at j st) -> all_known after) as each.
  { intros after caps j d found. rewrite caps in found. destruct (j =? slot); [injection found as <-; left; exact derived_ | exact (ok j d found)]. }
  assert (all_known (insert_child slot s o made st)) as child.
  { destruct (is_empty slot st && negb (is_empty s st)) eqn:can; [|unfold insert_child; rewrite can; exact (known_of_slots st _ eq_refl ok)].
    apply each. intros j. rewrite !capability_at_in. exact (in_insert_child slot s o made st j can). }
  assert (all_known (insert_sibling slot s o made st)) as sibling.
  { destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; exact (known_of_slots st _ eq_refl ok)].
    apply each. intros j. rewrite !capability_at_in. apply (in_insert_sibling slot s o made st x j); [apply is_empty_spec; exact vacant |
      exact is_x]. }
  rewrite is_c. destruct c; try (destruct (_ || _); [exact (known_of_slots st _ eq_refl ok)|]; destruct (original x); [exact child | exact sibling]).
  match goal with |- all_known (carve ?u ?a ?z ?x ?k ?d st) => destruct (carve_cases u a z x k d st) as [->|cut] end; [exact (known_of_slots st _ eq_refl ok)|].
  destruct cut as (e' & base' & bits' & device' & used' & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
  rewrite is_x in there. injection there as <-. intros j d found. rewrite capability_at_in, caps in found.
  destruct (j =? slot); [injection found as <-; left; exact mine|]. destruct (j =? s).
  - injection found as <-. left. rewrite is_it in is_c. injection is_c as -> -> -> ->. exact mine.
  - rewrite <- capability_at_in in found. exact (ok j d found).
Qed.
Lemma derived_known slot s c st : capability_at s st = Some c -> may p subject c -> all_known st -> all_known (insert_derived slot s false (derived c) st).
Proof. intros there mine. exact (inserted_known slot s false (derived c) c st there mine (may_derived p subject c mine)). Qed.
Lemma moved_known from to st : (forall c, capability_at from st = Some c -> may p subject c) -> all_known st -> all_known (move_capability from to st).
Proof.
  intros mine ok. destruct (WithinProofs.move_cases from to st) as [->|(c & there & vacant)]; [exact (known_of_slots st _ eq_refl ok)|].
  intros j d found. rewrite (proj2 (proj2 (WithinProofs.move_in from to st c there vacant))) in found.
  destruct (j =? to); [injection found as <-; left; exact (mine c there)|]. destruct (j =? from); [discriminate | exact (ok j d found)].
Qed.

Hypothesis is_closed : closed p.
Variable t : N.
Hypothesis whose : is_of p t subject.
Lemma named_known st address slot c : all_known st -> occupied_slot_of_address t address st = inl (slot, c) -> capability_at slot st = Some c /\ may p subject
  c.
Proof.
  intros ok named. destruct whose as (part & owned & loud_part & acts_ & loud & itself). unfold occupied_slot_of_address in named.
  destruct (walk_from_thread t address st) as [slot' rest|report] eqn:walked; [|discriminate].
  destruct (capability_at slot' st) as [c'|] eqn:found; [|discriminate]. injection named as -> ->. split; [exact found|].
  exact (named_by_thread p st subject is_closed ok loud itself t part address slot rest c owned loud_part acts_ walked found).
Qed.
Lemma transfer_known through to addresses : forall position free st, all_known st -> all_known (snd (transfer position addresses through t to free st)).
Proof.
  induction addresses as [|address rest IH]; intros position free st ok; cbn [transfer]; [exact ok|]. destruct (receive_buffer to st) as [buffer|]; [|exact ok].
  destruct (occupied_slot_of_address t address st) as [(s & c)|] eqn:found; [|exact ok]. cbv zeta.
  destruct (match c with EndpointCap o badge _ => if is_number through o then Some badge else None | _ => None end) as [badge|].
  - match goal with |- context [write_memory ?a ?v st] => pose proof (IH (position + 1) free _ (known_of_slots st (write_memory a v st) eq_refl ok)) as ok1 end.
    destruct (transfer _ _ _ _ _ _ _) as ((? & ?) & ?). exact ok1.
  - destruct free; [|exact ok]. destruct (derivation_error s c st); [exact ok|]. destruct (receive_slot to st) as [slot|]; [|exact ok].
    destruct (named_known st address s c ok found) as (source & mine).
    pose proof (IH (position + 1) false _ (derived_known slot s c st source mine ok)) as ok1. destruct (transfer _ _ _ _ _ _ _) as ((? & ?) & ?). exact ok1.
Qed.
Lemma long_words_known u l st : all_known st -> all_known (write_long_words u l st). Proof. exact (@keeps_write_long_words _ _ _ _ quietly u l st). Qed.
Lemma thread_known u f st : all_known st -> all_known (change_thread u f st).
Proof. apply known_of_slots. unfold change_thread. destruct (objects st !! u) as [[]|]; reflexivity. Qed.
Lemma context_known c f st : all_known st -> all_known (change_context c f st).
Proof. apply known_of_slots. unfold change_context. destruct (objects st !! c) as [[]|]; reflexivity. Qed.
Lemma endpoint_known x f st : all_known st -> all_known (change_endpoint x f st).
Proof. apply known_of_slots. unfold change_endpoint. destruct (objects st !! x) as [[]|]; reflexivity. Qed.
Lemma reply_known r x st : all_known st -> all_known (put_reply r x st).
Proof. apply known_of_slots. unfold put_reply. destruct (objects st !! r) as [[]|]; reflexivity. Qed.
Lemma give_known c u st : all_known st -> all_known (give_context c u st). Proof. exact (@keeps_give_context _ _ _ _ quietly c u eq_refl st). Qed.
Lemma wake_known u st : all_known st -> all_known (wake u st). Proof. exact (@keeps_wake _ _ _ _ quietly u eq_refl st). Qed.
Lemma wake_ahead_known u st : all_known st -> all_known (wake_ahead u st). Proof. exact (@keeps_wake_ahead _ _ _ _ quietly u eq_refl st). Qed.
Lemma unanswered_known u st : all_known st -> all_known (end_unanswered u st). Proof. exact (@keeps_end_unanswered _ _ _ _ quietly u eq_refl st). Qed.
Lemma signal_known n b st : all_known st -> all_known (signal n b st). Proof. exact (@keeps_signal _ _ _ _ quietly n b eq_refl st). Qed.
Lemma deliver_known m through badge grant to st : all_known st -> all_known (deliver m through badge grant t to st).
Proof.
  intros ok. unfold deliver. pose proof (transfer_known through to (if grant then cap_addresses m else []) 0 true st ok) as ok1.
  destruct (transfer _ _ _ _ _ _ _) as ((bits & count) & st1). cbv zeta. apply long_words_known, thread_known. exact ok1.
Qed.
Ltac known := repeat (cbv beta iota zeta; match goal with
  | H : all_known ?a |- all_known ?a => exact H
  | |- all_known (change_thread _ _ _) => apply thread_known
  | |- all_known (end_unanswered _ _) => apply unanswered_known
  | |- all_known (change_context _ _ _) => apply context_known
  | |- all_known (change_endpoint _ _ _) => apply endpoint_known
  | |- all_known (put_reply _ _ _) => apply reply_known
  | |- all_known (unplace _ ?s) => apply (known_of_slots s); [reflexivity|]
  | |- all_known (emit _ ?s) => apply (known_of_slots s); [reflexivity|]
  | |- all_known (give_context _ _ _) => apply give_known
  | |- all_known (wake _ _) => apply wake_known
  | |- all_known (wake_ahead _ _) => apply wake_ahead_known
  | |- all_known (match ?a with _ => _ end) => destruct a
  end).
Lemma meet_known u x badge r rg g gr c l st : all_known st -> all_known (meet t u x badge r rg g gr c l st).
Proof.
  intros ok. unfold meet. cbv zeta. pose proof (deliver_known (message_of t st) (Some x) badge g u st ok) as ok1. revert ok1.
  generalize (deliver (message_of t st) (Some x) badge g t u st). intros st1 ok1. generalize (lends_now t u (l && (c && answerable r g gr || negb c)) st).
    intros lends_.
  match goal with |- all_known (match ?l with Some c => wake_ahead _ (give_context c _ ?s) | None => _ end) => assert (all_known s) as ok2;
    [|revert ok2; generalize s; intros s2 ok2; known] end.
  known.
Qed.
Lemma send_known x badge g gr c l w st : all_known st -> all_known (snd (send t x badge g gr c l w st)).
Proof.
  intros ok. unfold send. destruct (receivers (endpoint x st)) as [|first rest].
  - destruct w; cbn [snd]; known.
  - destruct (run_state (thread first st)); cbn [snd]; try (known; fail). cbv zeta. destruct (leaves_without_context _ _ _ _); cbn [snd]; [exact ok|].
    apply meet_known, endpoint_known. exact ok.
Qed.
Lemma answer_known r g st : all_known st -> all_known (answer t r g st).
Proof.
  intros ok. unfold answer. destruct (caller (reply r st)) as [c|]; [|exact ok]. cbv zeta.
  assert (all_known (change_thread c (with_state Running) (put_reply r unused_reply (return_context r c st)))) as ok1
    by (apply thread_known, reply_known; exact (@keeps_return_context _ _ _ _ quietly r c eq_refl st ok)).
  revert ok1. generalize (change_thread c (with_state Running) (put_reply r unused_reply (return_context r c st))). intros st1 ok1.
  assert (all_known match fault (thread c st1) with
    | Some f => answer_fault c f (message_of_call t st1) st1
    | None => deliver (message_of_call t st1) None 0 (g && answer_may_grant (run_state (thread c st))) t c st1 end) as ok2.
  { destruct (fault (thread c st1)); [exact (@keeps_answer_fault _ _ _ _ quietly c _ _ eq_refl st1 ok1) | apply deliver_known; exact ok1]. }
  known.
Qed.
Lemma arguments_known addresses st arguments : all_known st -> cap_arguments_at addresses t st = inl arguments ->
  forall a c, In a arguments -> argument a = Some c -> may p subject c.
Proof.
  intros ok. revert arguments. induction addresses as [|address rest IH]; intros arguments found a c listed is_c; [injection found as <-; contradiction|].
  cbn [cap_arguments_at] in found. destruct (slot_of_address t address st) as [slot|] eqn:walked; [|discriminate].
  destruct (cap_arguments_at rest t st) as [others|]; [|discriminate]. injection found as <-. destruct listed as [<-|listed]; [|exact (IH others eq_refl a c
    listed is_c)].
  refine (proj2 (named_known st address slot c ok _)). unfold slot_of_address, occupied_slot_of_address in *. cbn [argument] in is_c.
  destruct (walk_from_thread t address st); [|discriminate]. injection walked as ->. rewrite is_c. reflexivity.
Qed.
Lemma under_known root index depth st slot c : all_known st -> (forall d, root = Some d -> may p subject d) -> slot_under root index depth st = inl slot ->
  capability_at slot st = Some c -> may p subject c.
Proof.
  intros ok mine under_ found. destruct whose as (part & owned & loud_part & acts_ & loud & itself). unfold slot_under, walk_from in under_.
  destruct root as [[]|]; try discriminate under_. destruct (walk _ _ _ _ _ _ _ st) as [s [|rest]|report] eqn:walked; try discriminate under_.
  injection under_ as ->. exact (named_by_walk p st subject is_closed ok loud itself _ subject _ _ _ _ _ _ _ _ c itself loud (mine _ eq_refl) walked found).
Qed.
Lemma changed_known slot c st : may p subject c -> all_known st -> all_known (change_capability slot c st).
Proof.
  intros mine ok j d found. destruct (at_change j slot c st) as [same|(-> & is_c)]; [apply (ok j d); congruence|].
  rewrite is_c in found. injection found as <-. left. exact mine.
Qed.
Lemma derive_known a b c d x root make o call st : makes make -> may p subject (invoked call) -> (forall z, argument root = Some z -> may p subject z) ->
  all_known st -> all_known (done_by (derive_into a b c d x root make o call st) st).
Proof.
  intros making mine roots_mine ok. checks ok. cbn [always done_by state_after].
  match goal with H : capability_at ?s st = Some ?old, U : slot_under _ _ _ st = inl ?s, M : make _ = Some ?new |- _ =>
    pose proof (under_known _ _ _ _ s old ok roots_mine U H) as of_old; apply (inserted_known _ s _ _ old); [exact H | exact of_old | | exact ok];
    apply may_derived, (proj1 (made_held p make _ new making M)), (may_yields p subject old _ (fewer_rights old _)); exact of_old end.
Qed.
Lemma move_into_known a b c d root make call st : makes make -> may p subject (invoked call) -> (forall z, argument root = Some z -> may p subject z) ->
  all_known st -> all_known (done_by (move_into a b c d root make call st) st).
Proof.
  intros making mine roots_mine ok. checks ok. cbn [always done_by state_after].
  match goal with H : capability_at ?s st = Some ?old, U : slot_under _ _ _ st = inl ?s, M : make _ = Some ?new |- _ =>
    pose proof (under_known _ _ _ _ s old ok roots_mine U H) as of_old;
    pose proof (proj1 (made_held p make _ new making M) subject of_old) as of_new; apply moved_known; [|apply changed_known; assumption];
    intros z found; destruct (at_change s s new st) as [same|(_ & same)]; congruence end.
Qed.
Lemma change_keeps_one slot c j st x : capability_at j st = Some x ->
  exists y, capability_at j (change_capability slot c st) = Some y /\ (y = x \/ j = slot /\ y = c).
Proof.
  intros there. destruct (at_change j slot c st) as [same|(-> & same)]; [exists x; split; [congruence | left; reflexivity]|].
  exists c. split; [exact same | right; split; reflexivity].
Qed.
Lemma exchange_known a b st x y : capability_at a st = Some x -> capability_at b st = Some y -> a <> b -> may p subject x -> may p subject y -> all_known st ->
  all_known (exchange_capabilities a b st).
Proof.
  intros at_a at_b differ of_x of_y ok. unfold exchange_capabilities.
  assert (forall from to s, capability_at to s <> None -> move_capability from to s = emit Stuck s) as stuck
    by (intros from to s some; apply WithinProofs.move_stuck; right; exact some).
  destruct (capability_at nowhere st) as [z|] eqn:there.
  - rewrite (stuck a nowhere st) by congruence. assert (forall j, capability_at j (emit Stuck st) = capability_at j st) as same by reflexivity.
    rewrite (stuck b a (emit Stuck st)) by (rewrite same; congruence).
    rewrite (stuck nowhere b) by (change (capability_at b st <> None); congruence). exact (known_of_slots st _ eq_refl ok).
  - assert (b <> nowhere) as not_b by congruence. assert (a <> nowhere) as not_a by congruence.
    destruct (WithinProofs.move_in a nowhere st x at_a there) as (_ & _ & caps). apply N.eqb_neq in not_b, not_a. pose proof differ as other.
    apply not_eq_sym, N.eqb_neq in other.
    assert (all_known (move_capability a nowhere st)) as ok1 by (apply moved_known; [intros c same; congruence | exact ok]).
    set (one := move_capability a nowhere st) in *. assert (capability_at b one = Some y) as at_b1 by (rewrite caps, not_b, other; exact at_b).
    assert (capability_at a one = None) as free by (rewrite caps, not_a, N.eqb_refl; reflexivity).
    destruct (WithinProofs.move_in b a one y at_b1 free) as (_ & _ & caps2).
    apply moved_known; [|apply moved_known; [intros c same; congruence | exact ok1]]. intros c. rewrite caps2, (N.eqb_sym nowhere a), not_a,
      (N.eqb_sym nowhere b), not_b, caps, N.eqb_refl. congruence.
Qed.
Lemma rotate_known a b c d e f g h i j call st : may p subject (invoked call) -> (forall k z, argument (cap k call) = Some z -> may p subject z) ->
  all_known st -> all_known (done_by (cnode_rotate a b c d e f g h (cap i call) (cap j call) call st) st).
Proof.
  intros mine roots_mine ok. unfold cnode_rotate, slot_in, range_error, failed_lookup. destruct (_ && _); [|exact ok].
  destruct (slot_under (Some (invoked call)) a b st) as [dest|]; [|exact ok]. destruct (_ && _); [|exact ok].
  destruct (slot_under (argument (cap j call)) g h st) as [src|] eqn:from; [|exact ok]. destruct (_ && _); [|exact ok].
  destruct (slot_under (argument (cap i call)) d e st) as [pivot|] eqn:over; [|exact ok]. destruct (negb (pivot =? src) && _) eqn:differ; [|exact ok].
  destruct (_ || _); [|exact ok]. unfold occupant. destruct (capability_at src st) as [x|] eqn:at_src; [|exact ok].
  destruct (capability_at pivot st) as [y|] eqn:at_pivot; [|exact ok]. cbv beta. destruct (negb (is_zombie x) && _); [|exact ok].
  destruct (mutated c y) as [to_dest|] eqn:made_y; [|exact ok]. destruct (mutated f x) as [to_pivot|] eqn:made_x; [|exact ok].
  cbn [done_by always state_after]. cbv zeta. rewrite andb_true_iff, !negb_true_iff, !N.eqb_neq in differ. destruct differ as (not_src & not_dest).
  pose proof (under_known _ _ _ _ src x ok (roots_mine j) from at_src) as of_x.
  pose proof (under_known _ _ _ _ pivot y ok (roots_mine i) over at_pivot) as of_y.
  pose proof (proj1 (made_held p _ y to_dest (makes_mutated c) made_y) subject of_y) as of_y'.
  pose proof (proj1 (made_held p _ x to_pivot (makes_mutated f) made_x) subject of_x) as of_x'.
  destruct (change_keeps_one pivot to_dest src st x at_src) as (x1 & at_src1 & [->|(same & _)]); [|destruct (not_src (eq_sym same))].
  destruct (change_keeps_one pivot to_dest pivot st y at_pivot) as (y1 & at_pivot1 & of_y1). pose proof (changed_known pivot to_dest st of_y' ok) as ok1.
  destruct (change_keeps_one src to_pivot src _ x at_src1) as (x2 & at_src2 & of_x2).
  destruct (change_keeps_one src to_pivot pivot _ y1 at_pivot1) as (y2 & at_pivot2 & [->|(same & _)]); [|destruct (not_src same)].
  pose proof (changed_known src to_pivot _ of_x' ok1) as ok2. revert at_src2 at_pivot2 ok2.
  generalize (change_capability src to_pivot (change_capability pivot to_dest st)). intros st2 at_src2 at_pivot2 ok2.
  assert (may p subject x2) as mine_x by (destruct of_x2 as [->|(_ & ->)]; assumption).
  assert (may p subject y1) as mine_y by (destruct of_y1 as [->|(_ & ->)]; assumption).
  destruct (N.eqb_spec dest src) as [_|apart]; [exact (exchange_known src pivot st2 x2 y1 at_src2 at_pivot2 (not_eq_sym not_src) mine_x mine_y ok2)|].
  apply moved_known; [|apply moved_known; [intros z same; congruence | exact ok2]]. intros z.
  rewrite (BufferProofs.move_other pivot dest st2 src (not_eq_sym not_src) (not_eq_sym apart)). congruence.
Qed.
Lemma carved_known u at_ size x slot c st : may p subject c -> all_known st -> all_known (carve u at_ size x slot c st).
Proof.
  intros mine ok. destruct (carve_cases u at_ size x slot c st) as [->|cut]; [exact (known_of_slots st _ eq_refl ok)|].
  destruct cut as (e & base & bits & device & used & there & is_it & above & below & _ & _ & caps & _). intros j k found.
  rewrite capability_at_in, caps in found. destruct (j =? slot); [injection found as <-; left; exact mine|].
  destruct (N.eqb_spec j u) as [->|]; [|rewrite <- capability_at_in in found; exact (ok j k found)]. injection found as <-.
  assert (yields (UntypedCap base bits device used) (UntypedCap base bits device (at_ + size - base))) as less by (apply other_use; lia).
  destruct (ok u (UntypedCap base bits device used)) as [held|(owner & whose_ & held)]; [unfold capability_at; rewrite there, is_it; reflexivity| |];
    [left; exact (may_yields p subject _ _ less held) | right; exists owner; split; [exact whose_ | exact (may_yields p owner _ _ less held)]].
Qed.
Lemma objects_known count type at_ n d slot offset u v base bits used st : may p subject (UntypedCap base bits d used) -> base <= at_ ->
  at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= base + N.shiftl 1 bits -> d && needs_memory type = false -> size_fits type n -> all_known st ->
  all_known (state_after (make_objects count type at_ n d slot offset u v st)).
Proof.
  intros mine above below memory sized. revert at_ slot offset st above below.
  induction count as [|rest IH]; intros at_ slot offset st above below ok; cbn [make_objects]; [exact ok|].
  destruct (must_stop st); [apply thread_known, thread_known; exact ok|]. cbv zeta. apply IH; [lia | lia|].
  apply (known_of_slots (make_object type at_ n d slot u st)); [reflexivity|]. unfold make_object. cbv zeta. apply carved_known.
  - apply (may_yields p subject _ _ (retyped base bits d used type at_ n above ltac:(lia) memory sized) mine).
  - destruct (_ || _); [exact (known_of_slots st _ eq_refl ok) | exact ok].
Qed.
Lemma retype_known a b c d e f r call st : may p subject (invoked call) -> all_known st -> all_known (done_by (untyped_retype a b c d e f r call st) st).
Proof.
  intros mine ok. unfold untyped_retype, missing_capability, failed_lookup, not_enough_memory, range_error, invalid_argument, delete_first.
  destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_u; try exact ok.
  destruct (ObjectType.of_number a) as [type|]; [|exact ok].
  repeat (cbv beta zeta; match goal with
    | |- all_known (done_by (Refuse _ _) _) => exact ok
    | |- all_known (done_by (if ?x then _ else _) _) => destruct x eqn:?
    | |- all_known (done_by (match ?x with _ => _ end) _) => destruct x eqn:?
  end);
  match goal with H : (align_up ?x ?y + _ <=? _) = true, choice : or_default _ _ = (_, _), sized : (_ <=? b) && (b <=? _) = true,
      kind : negb device || negb _ = true |- _ =>
    pose proof (align_up_above x y); apply N.leb_le in H; rewrite N.shiftl_mul_pow2 in H; cbn [done_by];
    apply (objects_known _ _ _ _ _ _ _ _ _ base bits used);
      [exact mine | lia | rewrite N2Nat.id, N.shiftl_1_l; exact H
      | destruct device, (needs_memory type); reflexivity || discriminate kind | exact (size_is_fit _ _ _ _ choice sized) | exact ok] end.
Qed.
Lemma made_pool_known a b u r call st : (forall c, argument u = Some c -> may p subject c) -> all_known st ->
  all_known (done_by (asid_control_make_pool a b u r call st) st).
Proof.
  intros mine ok. unfold asid_control_make_pool, delete_first, revoke_first, invalid_capability. destruct (free_pool_index st) as [number|]; [|exact ok].
  destruct (argument u) as [g|] eqn:given; [|exact ok]. destruct g as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact ok.
  destruct (N.eq_dec bits 12) as [->|other].
  2: { repeat match goal with |- all_known (done_by (match ?x with _ => _ end) _) => is_var x; destruct x; try exact ok; try contradiction end. }
  destruct device; [exact ok|]. checks ok. cbn [done_by state_after].
  apply carved_known; [exact (may_yields p subject _ _ (pool_made base used) (mine _ eq_refl)) | exact (known_of_slots st _ eq_refl ok)].
Qed.
Lemma resume_known u st : all_known st -> all_known (resume u st). Proof. exact (@keeps_resume _ _ _ _ quietly u eq_refl st). Qed.
Lemma suspend_known u st : all_known st -> all_known (suspend u st). Proof. exact (@keeps_suspend _ _ _ _ quietly u eq_refl st). Qed.
Lemma stop_known u st : all_known st -> all_known (stop_for_writing u st). Proof. exact (@keeps_stop_for_writing _ _ _ _ quietly u eq_refl st). Qed.
Lemma rank_known u n st : all_known st -> all_known (set_priority u n st).
Proof. exact (@set_priority_freely _ _ _ _ quietly u n eq_refl eq_refl st). Qed.
Lemma placed_known u st : all_known st -> all_known (place_anew u st). Proof. exact (@keeps_place_anew _ _ _ _ quietly u st). Qed.
Lemma place_known u st : all_known st -> all_known (place u st). Proof. exact (@keeps_place _ _ _ _ quietly u st). Qed.
Lemma turn_known st : all_known st -> all_known (book_turn st). Proof. exact (@keeps_book_turn _ _ _ _ quietly st). Qed.
Lemma consumed_known c st : all_known st -> all_known (snd (report_consumed c st)).
Proof. intros ok. exact (proj2 (@keeps_report_consumed _ _ _ _ quietly c st ok)). Qed.
Lemma table_known o f st : all_known st -> all_known (change_table o f st).
Proof. apply known_of_slots. unfold change_table. destruct (objects st !! o) as [[]|]; reflexivity. Qed.
Lemma notification_known n f st : all_known st -> all_known (change_notification n f st).
Proof. apply known_of_slots. unfold change_notification. destruct (objects st !! n) as [[]|]; reflexivity. Qed.
Lemma pool_known o f st : all_known st -> all_known (change_pool o f st).
Proof. apply known_of_slots. unfold change_pool. destruct (objects st !! o) as [[]|]; reflexivity. Qed.
Lemma unbound_known u n st : all_known st -> all_known (unbind_notification u n st).
Proof. intros ok. apply notification_known, thread_known. exact ok. Qed.
Lemma without_thread_known c st : all_known st -> all_known (unbind_thread_of_context c st).
Proof. exact (@keeps_unbind_thread _ _ _ _ quietly c eq_refl st). Qed.
Lemma unlent_known c st : all_known st -> all_known (unbind_notification_of_context c st).
Proof. exact (@keeps_unbind_of_context _ _ _ _ quietly c eq_refl st). Qed.
Lemma bound_context_known c u st : all_known st -> all_known (bind_context c u st).
Proof. exact (@keeps_bind_context _ _ _ _ quietly c u eq_refl st). Qed.
Lemma end_yield_known u st : all_known st -> all_known (end_yield u st). Proof. exact (@keeps_end_yield _ _ _ _ quietly u st). Qed.
Lemma ahead_known u st : all_known st -> all_known (place_ahead u st). Proof. exact (@keeps_place_ahead _ _ _ _ quietly u st). Qed.
Lemma yield_to_known call st : all_known st -> all_known (done_by (sched_context_yield_to call st) st).
Proof.
  intros ok. unfold sched_context_yield_to. cbv zeta. destruct (context_thread _) as [u|]; [|exact ok]. destruct (negb _); [|exact ok].
  destruct (_ <=? _); [|exact ok]. cbn [done_by].
  assert (all_known match yielder (context (invoked_context call) st) with Some other => end_yield other st | None => st end) as ok1
    by (destruct (yielder _); [apply end_yield_known|]; exact ok). revert ok1.
  generalize (match yielder (context (invoked_context call) st) with Some other => end_yield other st | None => st end). intros s ok1.
  match goal with |- all_known (state_after (if ?b then _ else _)) => destruct b end; [apply thread_known, context_known, ahead_known, ahead_known; exact ok1|].
  match goal with |- context [report_consumed ?c ?s'] => assert (all_known (snd (report_consumed c s'))) as ok2
    by (apply consumed_known; destruct (member u (ready s)); [apply ahead_known|]; exact ok1); destruct (report_consumed c s') as (n & s2) end. exact ok2.
Qed.
Lemma cancelled_known x b st : all_known st -> all_known (state_of (cancel_badged_sends x b st)).
Proof. exact (@keeps_cancel_badged_sends _ _ _ _ quietly x b eq_refl st). Qed.
Lemma unmapped_known q level one effect st : all_known st -> all_known (unmap q level one effect st).
Proof.
  intros ok. unfold unmap. destruct (vspace_of_asid _ st); [|exact ok]. destruct (table_of_level _ _ _ st) as [table|]; [|exact ok]. cbv zeta.
  destruct (table_entries table st !! _) as [x|]; [|exact ok]. destruct (one x); [|exact ok].
  apply (known_of_slots (clear_page_entry table (entry_index level (place_address q)) st)); [reflexivity|].
  apply table_known. exact ok.
Qed.
Lemma maintained_known op a z call st : all_known st -> all_known (done_by (frame_maintain op a z call st) st) /\ all_known (done_by (vspace_maintain op a z
  call st) st).
Proof.
  intros ok. pose proof (@keeps_frame_maintain _ _ _ _ quietly op a z call st ok) as one.
  pose proof (@keeps_vspace_maintain _ _ _ _ quietly op a z call st ok) as two. split.
  - destruct (frame_maintain op a z call st) as [x l|work]; [exact ok|]. pose proof (one st ok) as after. cbn [done_by]. destruct (work st); exact after.
  - destruct (vspace_maintain op a z call st) as [x l|work]; [exact ok|]. pose proof (two st ok) as after. cbn [done_by]. destruct (work st); exact after.
Qed.
Lemma decode_known m call st : is_direct m = true -> StepProofs.fits m (invoked call) -> may p subject (invoked call) ->
  capability_at (invoked_slot call) st = Some (invoked call) ->
  (forall a c, In a (cap_arguments call) -> argument a = Some c -> may p subject c) -> all_known st -> all_known (done_by (decode_method m call st) st).
Proof.
  intros direct type mine there arguments ok. pose proof (fun i c is_c => arguments _ c (argument_listed i call c is_c) is_c) as roots_mine. pose proof (fun
    op a z
    => proj1 (maintained_known op a z call st ok)) as of_frame.
  pose proof (fun op a z => proj2 (maintained_known op a z call st ok)) as of_space.
  destruct m; try discriminate direct; cbn [decode_method]; try apply of_frame; try apply of_space;
    try (unfold inspect_read_cnode, inspect_read_tcb, inspect_read_vspace, inspect_read_sched_context, inspect_read_untyped, inspect_read_reply,
           inspect_read_irq_handler, inspect_read_tcb_slot, frame_get_address, tcb_get_breakpoint; checks ok; fail);
    try (unfold tcb_set_breakpoint, tcb_unset_breakpoint, tcb_configure_single_stepping, tcb_set_tls_base, tcb_set_affinity, tcb_set_mc_priority;
      checks ok; apply thread_known; exact ok; fail).
  - apply retype_known; assumption.
  - unfold tcb_read_registers, suspend_if. checks ok. cbn [done_by state_after]. destruct (named 0 _); [apply suspend_known|]; exact ok.
  - unfold tcb_write_registers, resume_if. checks ok. cbn [done_by state_after].
    match goal with |- context [change_thread ?a ?f (stop_for_writing ?b st)] => pose proof (thread_known a f _ (stop_known b st ok)) as ok1 end.
    destruct (named 0 _); [apply resume_known|]; exact ok1.
  - unfold tcb_copy_registers, resume_if, suspend_if, copy_registers. checks ok. cbn [done_by state_after]. cbv zeta.
    match goal with |- context [stop_for_writing ?a ?s] => assert (all_known s) as ok1 by (destruct (named 0 _); [apply suspend_known|]; exact ok);
      revert ok1; generalize s end. intros s ok1.
    match goal with |- context [change_thread ?a ?f (stop_for_writing ?b s)] => pose proof (thread_known a f _ (stop_known b s ok1)) as ok2 end.
    destruct (named 1 _); [apply resume_known|]; exact ok2.
  - unfold tcb_set_priority. checks ok. apply rank_known. exact ok.
  - apply suspend_known. exact ok.
  - apply resume_known. exact ok.
  - unfold tcb_bind_notification. checks ok. apply notification_known, thread_known. exact ok.
  - unfold tcb_unbind_notification. checks ok. apply unbound_known. exact ok.
  - unfold tcb_set_flags, change_flags. checks ok. apply thread_known. exact ok.
  - unfold cnode_cancel_badged_sends, in_progress. checks ok; cbn [done_by]; [exact ok|].
    match goal with |- context [cancel_badged_sends ?x ?b st] => pose proof (cancelled_known x b st ok) as ok1; destruct (cancel_badged_sends x b st) end;
      exact ok1.
  - apply derive_known; [exact makes_some | exact mine | apply roots_mine | exact ok].
  - apply derive_known; [apply makes_badge | exact mine | apply roots_mine | exact ok].
  - apply move_into_known; [exact makes_some | exact mine | apply roots_mine | exact ok].
  - apply move_into_known; [apply makes_mutated | exact mine | apply roots_mine | exact ok].
  - apply rotate_known; assumption.
  - unfold sched_control_configure_flags. checks ok. cbn [done_by state_after].
    match goal with |- context [change_context ?c ?f ?s] => assert (all_known (change_context c f s)) as ok1;
      [apply context_known; destruct (is_number _ _); [apply turn_known|]; exact ok|]; revert ok1; generalize (change_context c f s) end.
    intros s ok1. destruct (thread_that_uses _ s); [destruct (_ && _); [exact (known_of_slots s _ eq_refl ok1) | apply placed_known; exact ok1]|].
    destruct (context_thread _); [apply place_known|]; exact ok1.
  - unfold sched_context_bind. checks ok; [apply context_known, notification_known | apply bound_context_known]; exact ok.
  - unfold sched_context_unbind. checks ok. apply unlent_known, without_thread_known. exact ok.
  - unfold sched_context_unbind_object. checks ok; [apply unlent_known | apply without_thread_known]; exact ok.
  - unfold sched_context_consumed. cbn [done_by]. pose proof (consumed_known (invoked_context call) st ok) as ok1.
    destruct (report_consumed _ st) as (n & s). exact ok1.
  - apply yield_to_known. exact ok.
  - destruct (invoked call) as [| | | | | | | | |u q| | | | | | | | |] eqn:is_t; try discriminate type. unfold page_table_map. rewrite is_t.
    destruct q; [checks ok|]. checks ok. cbn [done_by state_after]. apply changed_known; [refine (may_yields p subject _ _ _ mine); constructor | apply
      table_known; exact ok].
  - destruct (invoked call) as [| | | | | | | | |u q| | | | | | | | |] eqn:is_t; try discriminate type. unfold page_table_unmap. rewrite is_t. checks ok.
    cbn [done_by state_after]. apply changed_known; [refine (may_yields p subject _ _ _ mine); constructor|]. unfold unmap_table. destruct q; [|exact ok].
    apply table_known, unmapped_known. exact ok.
  - destruct (invoked call) as [| | | | | | | | | |base bits device r q| | | | | | | |] eqn:is_f; try discriminate type. unfold frame_map. rewrite is_f.
    checks ok; cbn [done_by state_after]; (apply changed_known; [refine (may_yields p subject _ _ _ mine); constructor|]; apply table_known);
      match goal with |- all_known (if ?b then _ else _) => destruct b; [exact (known_of_slots st _ eq_refl ok) | exact ok] | |- _ => exact ok end.
  - destruct (invoked call) as [| | | | | | | | | |base bits device r q| | | | | | | |] eqn:is_f; try discriminate type. unfold frame_unmap. rewrite is_f.
    checks ok. cbn [done_by state_after]. apply changed_known; [refine (may_yields p subject _ _ _ mine); constructor|]. unfold unmap_frame. destruct q;
      [|exact ok].
    apply unmapped_known. exact ok.
  - apply made_pool_known; [apply roots_mine | exact ok].
  - unfold asid_pool_assign. checks ok. cbn [done_by always state_after]. apply changed_known; [|apply pool_known; exact ok].
    match goal with H : argument (cap 0 call) = Some ?c |- _ => exact (may_yields p subject _ _ (other_asid _ _ _) (roots_mine 0%nat c H)) end.
  - destruct (invoked call) eqn:is_c; try discriminate type. unfold irq_control_get. checks ok. cbn [done_by state_after].
    apply (inserted_known _ _ _ _ IRQControlCap); [destruct (is_held_back _); exact there | exact mine | |].
    + exact (may_yields p subject _ _ (interrupt_claimed _) mine).
    + apply (known_of_slots st); [destruct (is_held_back _); reflexivity | exact ok].
  - exact (@keeps_deactivate _ _ _ _ quietly _ st ok).
  - unfold domain_set. checks ok. cbn [done_by state_after].
    match goal with |- context [change_thread ?a ?f st] => pose proof (thread_known a f st ok) as ok1 end. destruct (member _ _); [apply placed_known|];
      exact ok1.
  - destruct (invoked call) eqn:is_c; try discriminate type. unfold irq_control_issue_sgisignal. checks ok. cbn [done_by state_after].
    apply (inserted_known _ _ _ _ IRQControlCap); [exact there | exact mine | exact (may_yields p subject _ _ (sender_made _ _) mine) | exact ok].
  - unfold domain_schedule_configure. checks ok. exact (known_of_slots st _ eq_refl ok).
  - unfold domain_schedule_set_start. checks ok. exact (known_of_slots st _ eq_refl ok).
  - unfold sched_control_set_thread_access, change_flags. checks ok. apply thread_known. exact ok.
Qed.
Lemma invoke_known slot c st : conveys c (method_for (label (message_of_call t st)) c) = true ->
  match c with EndpointCap _ _ _ | NotificationCap _ _ _ | ReplyCap _ _ | SGISignalCap _ _ => False | _ => True end ->
  may p subject c -> capability_at slot st = Some c -> all_known st -> all_known (snd (invoke t slot c st)).
Proof.
  intros through other mine there ok. rewrite invoke_is. destruct (cap_arguments_at _ t st) as [l|] eqn:args; [|exact ok].
  destruct (method_for _ c) as [method|] eqn:is_m; [|exact ok]. cbv zeta. destruct (_ && _); [|exact ok].
  apply decode_known; cbn [invoked invoked_slot]; [destruct c; try contradiction; exact through | exact (method_is_fit _ c method is_m) | exact mine | exact
    there | | exact ok].
  exact (arguments_known _ st l ok args).
Qed.
Definition is_conveyed (sent : option Target) : Prop := match sent with Some (c, m) => conveys c m = true | None => True end.
Lemma send_phase_known address m st : is_conveyed (sent_by t address st) -> all_known st -> all_known (snd (send_phase t address m st)).
Proof.
  intros through ok. unfold send_phase, sent_by, named_by in *. destruct (occupied_slot_of_address t address st) as [(slot & c)|] eqn:found;
    [|exact ok]. cbn [option_map is_conveyed] in through. destruct (named_known st address slot c ok found) as (there & mine).
  destruct c; try (apply invoke_known; [exact through | exact I | exact mine | exact there | exact ok]).
  - destruct (can_write _); [|exact ok].
    match goal with |- context [send t ?b ?c ?d ?e ?f ?g ?h st] => pose proof (send_known b c d e f g h st ok) as ok1;
      destruct (send t b c d e f g h st) as ([| | |] & st1) end; cbn [snd] in *; assumption.
  - destruct (can_write _); [apply signal_known|]; exact ok.
  - apply answer_known. exact ok.
  - exact (known_of_slots st _ eq_refl ok).
Qed.
Lemma early_known r first st : all_known st -> all_known (state_of (refuse_early t r first st)).
Proof. exact (@keeps_refuse_early _ _ _ _ quietly t r first eq_refl st). Qed.
Lemma stages_known st e at_ : all_known st -> current st = Some t -> only_messages st e -> stage st e at_ -> all_known at_.
Proof.
  intros before cur only at_stage. assert (all_known (enter e st)) as ok by (apply (known_of_slots st); [apply slots_of_enter | exact before]).
  induction at_stage as [|u s at_ why cur' number listed|u with_reply at_ cur' _ IH]; [exact ok| |rewrite cur in cur'; injection cur' as <-; apply early_known;
    exact IH].
  rewrite cur in cur'. injection cur' as <-.
  pose proof (fun c m => only t s c m why cur number) as sent. revert ok sent listed. generalize (enter e st). intros s0 ok sent listed.
  assert (forall target : option Target, (forall c m, target = Some (c, m) -> conveys c m = true) -> is_conveyed target) as conveyed
    by (intros [(c & m)|] each; [exact (each c m eq_refl) | exact I]).
  assert (forall st1, all_known st1 -> is_conveyed (sent_by t (register 8 (thread t st1)) st1) -> all_known (told t st1)) as told_.
  { intros st1 ok1 through. pose proof (send_phase_known (register 8 (thread t st1)) passing_on st1 through ok1) as ok2. fold (pass_on t st1) in ok2.
    unfold told. destruct (pass_on t st1) as ([x l| |a report|] & st3); cbn [snd] in ok2; try exact ok2. apply long_words_known. exact ok2. }
  destruct s; cbn [later_stages sent_through] in *; cbv zeta in *; try contradiction; unfold passed_on in sent.
  - pose proof (early_known true (reply_phase t) s0 ok) as ok1. destruct (refuse_early t true (reply_phase t) s0) as [s1|]; [|destruct listed].
    cbn [state_of] in ok1. destruct listed as [<-|[<-|[]]]; [exact ok1|]. apply thread_known. unfold reply_phase.
    destruct (occupied_slot_of_address t _ s1) as [(slot & c)|]; [|exact ok1]. destruct c; try exact ok1. apply answer_known. exact ok1.
  - pose proof (early_known true (pass_message t) s0 ok) as ok1. destruct (refuse_early t true _ s0) as [s1|]; [|destruct listed].
    cbn [state_of once_done] in *. destruct listed as [<-|[<-|[]]]; [exact ok1|]. apply thread_known, told_; [exact ok1 | apply conveyed; exact sent].
  - pose proof (early_known false (pass_message t) s0 ok) as ok1. destruct (refuse_early t false _ s0) as [s1|]; [|destruct listed].
    cbn [state_of once_done] in *. destruct listed as [<-|[<-|[]]]; [exact ok1|]. apply thread_known, told_; [exact ok1 | apply conveyed; exact sent].
Qed.
End Known.

(** ** Roles and edges *)
Section Edges.
Variables (plan : BootPlan) (p : Policy) (subject : N) (st : State) (e : Event).
Hypothesis apart : roots_are_apart plan.
Hypothesis reached_ : reachable step plan st.
Hypothesis is_closed : closed p.
Hypothesis within_ : PolicyClaims.within p st.
Hypothesis does_ : does p st e subject.
Hypothesis only : only_messages st e.
Notation next := (next_of step st e).
Notation met_thread := (met_thread p subject st e).
Notation met_context := (met_context p subject st e).
Definition where_waited (o : N) : Prop := where_it_waits p subject st e o.
Definition in_stack (o : N) : Prop := exists c, met_context c /\ In o (calls (context c st)).
Definition yielded_before (o : N) : Prop := exists c bits, sent_to p subject st e yields_to_it (SchedContextCap c bits) /\ yielder (context c st) = Some o.
Definition in_memory (o : N) : Prop :=
  objects st !! o = None /\ exists base bits device used, named_in_call p subject st e (UntypedCap base bits device used)
    /\ base <= o /\ o < base + N.shiftl 1 bits.
Definition a_holder (o : N) : Prop :=
  met_thread o \/ (exists r, may_reply p subject r /\ receiver (reply r st) = Some o) \/ (exists c, met_context c /\ context_thread (context c st) = Some o)
  \/ yielded_before o \/ current next = Some o /\ yielded_to (thread o st) <> None.
Definition a_clock (o : N) : Prop :=
  met_context o \/ current_context st = Some o \/ (exists t, met_thread t /\ yielded_to (thread t st) = Some o)
  \/ (exists t, current next = Some t /\ (context_of t st = Some o \/ yielded_to (thread t st) = Some o))
  \/ exists bits, named_in_call p subject st e (SchedContextCap o bits).
Definition with_edge (role : Role) (o : N) : Prop :=
  match role with
  | ToSend => may_reach p subject st e o
  | ToReceive => may_take p subject o
  | ToSignal => may_signal p subject e o
  | ToAwait => may_await p subject st o
  | ToAnswer => may_reply p subject o
  | Actor => current st = Some o
  | Partner => met_thread o
  | AQueue => may_reach p subject st e o \/ may_take p subject o \/ where_waited o
  | AFlags => may_signal p subject e o \/ may_await p subject st o \/ where_waited o \/ is_bound_in_call p subject st e o
  | ACall => may_reply p subject o \/ where_waited o \/ in_stack o
  | AContext => met_context o
  | AClock => a_clock o
  | AHolder => a_holder o
  | ATable => met_table p subject st e o \/ in_memory o
  | ASpace => in_space p subject st e o
  | ToBind => sent_to p subject st e binds_thread (TCBCap o)
  | ToLend => exists bits, sent_to p subject st e binds_context (SchedContextCap o bits)
  | ToYield => exists bits, sent_to p subject st e yields_to_it (SchedContextCap o bits)
  | AYielder => met_thread o \/ yielded_before o
  | APool => named_in_call p subject st e (ASIDPoolCap o)
  | AMade => in_memory o
  | IfReceiving => met_thread o \/ exists n, may_signal p subject e n /\ bound_thread (notification n st) = Some o
  | IfFree => met_context o \/ exists n, (may_signal p subject e n \/ may_await p subject st n) /\ lent_context (notification n st) = Some o
  | IfNext => current next = Some o
  end.
Lemma acts_for_subject t : (forall irq, cause e <> InterruptArrives irq) -> current st = Some t -> is_of p t subject.
Proof. intros no_irq cur. unfold does in does_. destruct (cause e) as [|irq| | | |] eqn:why; try exact (does_ t cur). destruct (no_irq irq eq_refl). Qed.
Lemma stage_known at_ t : (forall irq, cause e <> InterruptArrives irq) -> current st = Some t -> stage st e at_ -> all_known p subject at_.
Proof.
  intros no_irq cur. apply (stages_known p subject is_closed t (acts_for_subject t no_irq cur) st e at_); [|exact cur | exact only].
  intros slot c found. right. exact (holds_within p st within_ slot c found).
Qed.
Lemma sent_may t s c m : cause e = SystemCall -> current st = Some t -> sent_through t s (enter e st) = Some (c, m) -> may p subject c.
Proof.
  intros why cur sent. destruct (proj2 (proj2 (fields_change_by_rule_proved st e)) t s c m why cur sent) as (t' & address & slot & cur' & named).
  rewrite cur in cur'. injection cur' as <-. refine (proj2 (named_known p subject is_closed t (acts_for_subject t _ cur) st address slot _ _ named)).
  - intros irq. congruence.
  - intros place d found. right. exact (holds_within p st within_ place d found).
Qed.
Lemma posts_name s role o : In (role, o) (posts_of s) -> In o (waits_at s) /\ (role = AQueue \/ role = AFlags \/ role = ACall).
Proof.
  destruct s as [| |x [r|] q g|x b g gr c l|r g|n]; simpl; intros listed; repeat match goal with H : _ \/ _ |- _ => destruct H end; try contradiction;
    match goal with H : (_, _) = (_, _) |- _ => injection H as <- <- end; tauto.
Qed.
Lemma who_stands t o q (right : Rights -> bool) : stands t q st ->
  match q with InSenders x => x = o /\ right = can_write | InReceivers x | InWaiters x => x = o /\ right = can_read | _ => False end ->
  may_wait p st t o right.
Proof.
  intros stands_ at_o. pose proof (no_link_dangles_proved plan st apart reached_) as linked. pose proof (threads_wait_where_they_say_proved plan st apart
    reached_) as waits_.
  assert (exists x, objects st !! t = Some (ThreadObject x)) as (x & there) by (apply (threads_live st linked); right; right; left; exists q; exact stands_).
  apply (stands_where_it_says st waits_) in stands_. unfold thread in stands_. rewrite there in stands_.
  destruct (waits_within p st within_ t x there) as (part & of_t & each). exists x, part.
  assert (exists c, In c (waits_with (run_state x)) /\ object_of c = Some o /\ right (rights_of c) = true) as (c & listed & names_ & has).
  { destruct q as [y|y|y|y|y]; try contradiction; destruct at_o as (-> & ->); destruct (run_state x) as [| |z [w|] k g|z b g gr k l|z g|z]; simpl in stands_;
      try contradiction; subst;
      eexists; (split; [left; reflexivity | split; reflexivity]). }
  exists c. repeat split; try assumption. exact (each c listed).
Qed.
Lemma opened_has_edge c role o : may p subject c -> In (role, o) (meets_by c) -> with_edge role o.
Proof.
  intros mine opens_.
  destruct c; cbn [meets_by] in opens_; try contradiction; try (apply in_app_iff in opens_; destruct opens_ as [opens_|opens_]);
    repeat match goal with H : In _ (if ?b then _ else _) |- _ => destruct b eqn:?; [|destruct H] end;
    match goal with H : In _ [_] |- _ => destruct H as [same|[]]; injection same as <- <- end; cbn [with_edge].
  - exact (by_send p subject st e _ _ _ mine ltac:(assumption)).
  - eexists _, _. split; eassumption.
  - eexists _, _. split; [eassumption | left; assumption].
  - left. eexists _, _. split; eassumption.
  - eexists. exact mine.
Qed.
Lemma of_call_may at_ t s c m d : stage st e at_ -> cause e = SystemCall -> current st = Some t -> sent_through t s (enter e st) = Some (c, m) ->
  is_of_call t at_ c m d -> may p subject d.
Proof.
  intros at_stage why cur sent of_call. assert (forall irq, cause e <> InterruptArrives irq) as no_irq by (intros irq; congruence).
  destruct of_call as [->|(_ & a & listed & is_d)]; [exact (sent_may t s c m why cur sent)|]. unfold arguments_of in listed.
  destruct (cap_arguments_at _ t at_) as [l|] eqn:args; [|destruct listed].
  exact (arguments_known p subject is_closed t (acts_for_subject t no_irq cur) _ at_ l (stage_known at_ t no_irq cur at_stage) args a d listed is_d).
Qed.
Lemma sent_named does_so c : sent_to p subject st e does_so c -> named_in_call p subject st e c.
Proof. intros (mine & t & s & d & m & cur & number & sent & same & _). split; [exact mine | exists t, s, d, m; tauto]. Qed.
Lemma role_has_edge role o : met_as step st e role o -> with_edge role o.
Proof.
  intros is_role. induction is_role as [t cur|at_ t address slot c role o at_stage why cur listed named opens_
    |at_ t s c m d role o at_stage why cur number sent of_call opens_
    |at_ t s c m index depth slot d role o at_stage why cur number sent under_ found opens_
    |at_ t s c m base bits device used o at_stage why cur number sent of_call above below none|t s c m o i x why cur number sent there is_x
    |at_ t x badge r at_stage why cur there writes
    |irq n badge r why there|c use|at_ c t listed use has|at_ c t x badge r listed use has there writes|t cur|role more o _ IH listed|role o more n _ IH
      listed].
  - exact cur.
  - assert (forall irq, cause e <> InterruptArrives irq) as no_irq by (intros irq; congruence).
    destruct (named_known p subject is_closed t (acts_for_subject t no_irq cur) at_ address slot c (stage_known at_ t no_irq cur at_stage) named) as (_ & mine).
    exact (opened_has_edge c role o mine opens_).
  - pose proof (of_call_may at_ t s c m d at_stage why cur sent of_call) as mine.
    assert (forall is_so : Capability -> option Method.t -> Prop, is_so c m -> in_call p subject st e is_so d) as in_call_
      by (intros is_so so; split; [exact mine | exists t, s, c, m; tauto]).
    assert (named_in_call p subject st e d) as named_ by (apply in_call_; destruct of_call as [same|(takes_ & _)]; [left; congruence | right; exact takes_]).
    assert (forall does_so k, does_so m = true -> takes_it m d = false -> k = d -> sent_to p subject st e does_so k) as sent_
      by (intros does_so k so takes_not ->; apply in_call_; destruct of_call as [same|(takes_ & _)]; [split; congruence | congruence]).
    destruct d; cbn [handled_as] in opens_; try contradiction.
    + destruct (takes_it m _) eqn:takes_; [|destruct opens_]. assert (taken_in_call p subject st e (NotificationCap notification badge rights)) as taken_
        by (apply in_call_; exact takes_). destruct (can_read rights) eqn:reads; destruct opens_ as [same|[]]; injection same as <- <-; cbn [with_edge].
      * left. exists badge, rights. split; [exact mine | exact reads].
      * right. right. right. left. exists badge, rights. exact taken_.
    + destruct opens_ as [same|[]]. injection same as <- <-. destruct (binds_thread m) eqn:binds; cbn [with_edge]; [|apply it_is_named; exact named_].
      apply (sent_ binds_thread _ binds); [|reflexivity]. destruct m as [[]|]; try discriminate binds; reflexivity.
    + destruct opens_ as [same|[]]. injection same as <- <-. destruct (binds_context m) eqn:binds; [|destruct (yields_to_it m) eqn:yields_]; cbn [with_edge].
      * exists size_bits. apply (sent_ binds_context _ binds); [|reflexivity]. destruct m as [[]|]; try discriminate binds; reflexivity.
      * exists size_bits. apply (sent_ yields_to_it _ yields_); [|reflexivity]. destruct m as [[]|]; try discriminate yields_; reflexivity.
      * right. right. right. right. exists size_bits. exact named_.
    + destruct opens_ as [same|[]]. injection same as <- <-. apply (its_root p subject st e vspace asid). exact named_.
    + destruct opens_ as [same|[]]. injection same as <- <-. apply (the_table p subject st e table place). exact named_.
    + destruct opens_ as [same|[]]. injection same as <- <-. exact named_.
  - assert (forall irq, cause e <> InterruptArrives irq) as no_irq by (intros irq; congruence).
    assert (may p subject d) as mine by (apply (under_known p subject is_closed t (acts_for_subject t no_irq cur) (Some c) index depth at_ slot d);
      [exact (stage_known at_ t no_irq cur at_stage) | | exact under_ | exact found]; intros k same; injection same as <-;
      exact (sent_may t s c m why cur sent)).
    exact (opened_has_edge d role o mine opens_).
  - split; [exact none|]. exists base, bits, device, used. split; [|split; assumption].
    split; [exact (of_call_may at_ t s c m _ at_stage why cur sent of_call) | exists t, s, c, m; repeat split; try assumption].
    destruct of_call as [same|(takes_ & _)]; [left; congruence | right; exact takes_].
  - left. right. exists c, i, x. split; [|split; assumption].
    split; [exact (sent_may t s c m why cur sent) | exists t, s, c, m; repeat split; try assumption; left; reflexivity].
  - refine (by_fault p subject st e x t badge r cur _ writes). exact (stage_known at_ t why cur at_stage _ _ there).
  - destruct (holds_within p st within_ _ _ there) as (owner & whose & held). unfold does in does_. rewrite why in does_. rewrite whose in does_.
    injection does_ as ->. exists badge, r. split; [exact held | right; exists irq; exact why].
  - right. left. exact use.
  - apply (it_has_time p subject st e t at_). split; [exact listed | exists c; split; assumption].
  - apply (by_budget p subject st e x at_ t badge r); [split; [exact listed | exists c; split; assumption] | exact there | exact writes].
  - exact cur.
  - destruct role; simpl in listed; repeat match type of listed with _ \/ _ => destruct listed as [<-|listed] end; try contradiction; cbn [with_edge] in *;
      try tauto.
    + exact (it_runs p subject st e o IH).
    + left. exact IH.
    + left. exact IH.
    + left. left. exact IH.
    + apply it_is_named. exact (sent_named _ _ IH).
    + destruct IH as (bits & sent). exact (it_is_bound_by p subject st e o bits sent).
    + destruct IH as (bits & sent). right. right. right. right. exists bits. exact (sent_named _ _ sent).
    + unfold a_holder. tauto.
  - pose proof (contexts_stay_linked_proved plan st apart reached_) as linked. cbn [with_edge] in *.
    destruct role; cbn [leads_as with_edge] in *; cbv zeta in listed; rewrite ?in_app_iff, ?in_map_iff in listed;
      repeat match goal with H : _ \/ _ |- _ => destruct H end; try contradiction;
      repeat match goal with H : exists x, _ /\ _ |- _ => destruct H as (? & ? & ?) end;
      repeat match goal with H : (_, _) = (_, _) |- _ => injection H as <- <- end;
      repeat match goal with H : In _ (the_name ?o) |- _ => destruct o as [?|] eqn:?; [destruct H as [<-|[]]|destruct H] end.
    + apply (it_receives p subject st e x o IH), (who_stands x o (InReceivers o)); [assumption | split; reflexivity].
    + apply (it_sends p subject st e x o IH), (who_stands x o (InSenders o)); [assumption | split; reflexivity].
    + apply (it_waits p subject st e x o IH), (who_stands x o (InWaiters o)); [assumption | split; reflexivity].
    + right. exists o. split; assumption.
    + right. exists o. split; [left; exact IH | assumption].
    + right. exists o. split; [right; exact IH | assumption].
    + apply (it_calls p subject st e n o IH). assumption.
    + right. left. exists o. split; assumption.
    + right. exists o. split; assumption.
    + match goal with H : In _ (posts_of _) |- _ => destruct (posts_name _ _ _ H) as (waits_ & [->|[->| ->]]) end;
        cbn [with_edge]; [right; right | right; right; left | right; left]; exists o; split; assumption.
    + apply (of_a_thread p subject st e n o IH). assumption.
    + right. right. left. exists o. split; assumption.
    + apply (of_a_call p subject st e n o); [left; assumption | assumption].
    + apply (of_a_call p subject st e n o); [right; assumption | assumption].
    + match goal with H : in_stack o |- _ => destruct H as (c & of_c & in_c) end. apply (both_along st linked) in in_c.
      assert (c = n) as -> by congruence. exact of_c.
    + right. right. left. exists o. split; assumption.
    + right. right. exists o. split; assumption.
    + apply in_tables in listed. destruct listed as (-> & i & there). exact (named_in_table p subject st e n o i IH there).
    + right. right. right. right. left. exists o. split; assumption.
    + destruct IH as (bits & sent). right. right. right. right. right. exists o, bits. split; assumption.
    + destruct IH as (bits & sent). right. exists o, bits. split; assumption.
    + right. right. left. exists o. split; assumption.
    + match goal with H : yielded_before o |- _ => destruct H as (c & bits & sent & by_o) end.
      apply (yields_stay_linked_proved plan st o c apart reached_) in by_o. assert (c = n) as -> by congruence.
      right. right. right. right. exists bits. exact (sent_named _ _ sent).
    + destruct (awaits_a_message _); [|contradiction]. destruct listed as [same|[]]. injection same as <- <-. assumption.
    + destruct (awaits_a_message (run_state (thread o st))) eqn:receiving; [|contradiction]. destruct listed as [same|[]]. injection same as <- <-.
      match goal with A : may_signal _ _ _ ?n, B : bound_thread (notification ?n st) = Some o |- _ => exact (it_is_bound p subject st e o n A B receiving) end.
    + destruct (context_thread _); [contradiction|]. destruct listed as [same|[]]. injection same as <- <-. assumption.
    + destruct (context_thread (context o st)) eqn:holder; [contradiction|]. destruct listed as [same|[]]. injection same as <- <-.
      match goal with A : may_signal _ _ _ ?n \/ _, B : lent_context (notification ?n st) = Some o |- _ => exact (of_a_loan p subject st e o n A B holder) end.
    + right. right. right. left. exists o. split; [exact IH | left; assumption].
    + destruct (yielded_to (thread o st)) as [c|] eqn:pending; [|contradiction]. match goal with H : In _ [_; _] |- _ => destruct H as [same|[same|[]]] end;
        injection same as <- <-.
      * right. right. right. right. split; [exact IH | congruence].
      * right. right. right. left. exists o. split; [exact IH | right; exact pending].
Qed.
Theorem changes_by_edge o : objects next !! o = objects st !! o \/ met_by_edge p subject st e next o.
Proof.
  destruct (messages_change_what_is_met st e o only) as [same|[(role & is_met_ & is_sort & is_role)|(none & is_role)]]; [left; exact same | right..].
  2: { apply role_has_edge in is_role. unfold met_by_edge. rewrite none. exact (proj2 is_role). }
  apply role_has_edge in is_role. unfold met_by_edge. destruct (objects st !! o) as [x|] eqn:there; [|discriminate is_sort].
  destruct role; try discriminate is_met_; destruct x as [|t| | | | | | |]; try discriminate is_sort; cbn [with_edge] in is_role; try tauto;
    try (left; exact is_role); try (destruct is_role as [is_table|(none & _)]; [exact is_table | congruence]).
  - left. apply it_runs. exact is_role.
  - unfold a_holder, thread in is_role. rewrite there in is_role. exact is_role.
  - left. apply it_is_named. exact (sent_named _ _ is_role).
  - destruct is_role as (bits & sent). left. exact (it_is_bound_by p subject st e o bits sent).
  - destruct is_role as (bits & sent). right. right. right. right. exists bits. exact (sent_named _ _ sent).
Qed.
End Edges.

Lemma is_it_messages st e : only_messages st e \/ ~ only_messages st e.
Proof.
  unfold only_messages. destruct (cause e) eqn:why; try (left; intros; discriminate). destruct (current st) as [t|]; [|left; intros; discriminate].
  destruct (system_call_of t (enter e st)) as [s|] eqn:number; [|left; intros u s c m _ same is_s; injection same as <-; congruence].
  destruct (sent_through t s (enter e st)) as [(c & m)|] eqn:sent; [|left; intros u s' c m _ same is_s is_c; injection same as <-; congruence].
  destruct (conveys c m) eqn:conveyed; [left | right].
  - intros u s' c' m' _ same is_s is_c. injection same as <-. rewrite number in is_s. injection is_s as <-. congruence.
  - intros all_. rewrite (all_ t s c m eq_refl eq_refl number sent) in conveyed. discriminate.
Qed.
