(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Those who are bound stay within the policy

    Whoever waits at an endpoint may hold a capability to it, so those who meet there agree when they are bound; and who answers may hold the reply object. *)
From Coq Require Import Lia.
From Spec Require Export BoundClaims BoundProofs.
Open Scope N_scope.

Section Among.
Variables (p : Policy) (subjects : list N).
Hypothesis bounds : bound p subjects.
Notation M := (awaited p subjects).
Notation held := (held p M).

(** ** What the bound may do *)
Lemma bound_gives s st : In s subjects -> gives_away p st s /\ gives_tables p s.
Proof.
  intros listed. pose proof (give_what_fills p subjects bounds s) as each. split; [constructor | exact (give_what_maps p subjects bounds s listed)].
  - intros o radix guard size i held_ less. apply (each _ _ listed held_). exists i. split; [exact less | reflexivity].
  - intros t i held_ less. apply (each _ _ listed held_). exists i. split; [exact less | reflexivity].
  - intros slot irq n badge r _ held_ may_. exact (give_what_signals p subjects bounds s irq n badge r listed held_ may_).
Qed.
Lemma slot_zero t : slot_of t cspace_slot = t. Proof. unfold slot_of, cspace_slot. rewrite N.mul_0_r, N.add_0_r. reflexivity. Qed.
Lemma bound_acts st t s : sound st -> parts st -> In s subjects -> is_of p t s -> run_state (thread t st) <> Inactive -> acts p st t s.
Proof.
  intros right (_ & wait & _) listed whose awake_. split; [exact whose|]. split; [|exact (proj1 (bound_gives s st listed))].
  exact (thread_not_ending st t cspace_slot right (thread_is t st awake_) (awake nobody t st wait awake_) eq_refl).
Qed.
Lemma owner_is t s part : is_of p t s -> owner_of p t = Some part -> acting p part = s.
Proof. intros (part' & owned & _ & acts_ & _). rewrite slot_zero in owned. rewrite owned. intros same. injection same as <-. exact acts_. Qed.
Lemma thread_at st t : run_state (thread t st) <> Inactive -> objects st !! t = Some (ThreadObject (thread t st)).
Proof. unfold thread. destruct (objects st !! t) as [[]|]; intros awake_; try (destruct (awake_ eq_refl)); reflexivity. Qed.

(** ** Who waits may hold what he waits with *)
Lemma waiter_may st u s c : held st -> is_of p u s -> run_state (thread u st) <> Inactive -> In c (waits_with (run_state (thread u st))) ->
  is_sending (run_state (thread u st)) = false \/ fault (thread u st) = None -> may p s c.
Proof.
  intros ok whose awake_ listed calm_. pose proof (proj1 (ok u _ (thread_at st u awake_)) c listed) as by_.
  destruct by_ as [(part & owned & may_)|(sends_ & faulted & _)].
  - rewrite <- (owner_is u s part whose owned). exact may_.
  - exfalso. destruct calm_ as [none|none]; [rewrite none in sends_; discriminate | exact (faulted none)].
Qed.
Lemma fewer_to_send s e b g gr g' gr' w : may p s (EndpointCap e b {| can_write := true; can_read := w; can_grant := g; can_grant_reply := gr |}) ->
  (g' = true -> g = true) -> (gr' = true -> gr = true) -> may p s (to_send e g' gr').
Proof. intros held_ first second. refine (may_fewer p s e b _ 0 _ _ held_). unfold rights_le. cbn. repeat split; auto. discriminate. Qed.
Lemma fewer_to_receive s e b g g' w gr : may p s (EndpointCap e b {| can_write := w; can_read := true; can_grant := g; can_grant_reply := gr |}) ->
  (g' = true -> g = true) -> may p s (to_receive e g').
Proof. intros held_ first. refine (may_fewer p s e b _ 0 _ _ held_). unfold rights_le. cbn. repeat split; auto; discriminate. Qed.

(** ** Those who meet agree *)
Hypothesis is_closed : closed p.
Hypothesis nobodys : owner_of p nowhere = None.
Section Phase.
Variables (t s : N) (st : State) (address : N).
Hypothesis ok : kept_in p M st.
Hypothesis on : runs t st.
Hypothesis listed : In s subjects.
Hypothesis whose : is_of p t s.
Hypothesis others : forall u, exchanges st t address u -> is_bound p subjects u.
Lemma caller_acts : acts p st t s.
Proof.
  apply bound_acts; [exact (proj1 (kept_fit p M st ok)) | exact (kept_parts p M st ok) | exact listed | exact whose|].
  unfold runs in on. rewrite on. discriminate.
Qed.
Lemma partner_acts u y : In y subjects -> is_of p u y -> run_state (thread u st) <> Inactive -> acts p st u y.
Proof. intros in_y of_y. exact (bound_acts st u y (proj1 (kept_fit p M st ok)) (kept_parts p M st ok) in_y of_y). Qed.
Lemma endpoint_named e badge r : names st t address (EndpointCap e badge r) -> may p s (EndpointCap e badge r).
Proof. intros named_. exact (named_may p M is_closed t s st ok caller_acts address _ named_ eq_refl). Qed.
Lemma receiver_waits u e : In u (receivers (endpoint e st)) -> exists o q g, run_state (thread u st) = BlockedOnReceive e o q g.
Proof.
  intros queued_. pose proof (proj1 (proj2 (kept_parts p M st ok))) as wait. destruct (proj1 (w_stands nobody st wait u (InReceivers e)) queued_) as (_ &
    named).
  destruct (run_state (thread u st)) as [| |x o q g|x b g gr c l|x g|x] eqn:state; try contradiction. cbn [says] in named.
  destruct o; subst x; do 3 eexists; reflexivity.
Qed.
Lemma all_fair : meets_fairly p M st t address.
Proof.
  constructor.
  - intros e badge r u x o q g named_ writes first state none.
    assert (In u (receivers (endpoint e st))) as queued_ by exact (first_listed _ u first).
    destruct (receiver_waits u e queued_) as (o' & q' & g' & state'). rewrite state in state'. injection state' as -> -> -> ->.
    pose proof (endpoint_named e badge r named_) as mine. assert (run_state (thread u st) <> Inactive) as awake_ by (rewrite state; discriminate).
    assert (forall y c, is_of p u y -> In c (waits_with (run_state (thread u st))) -> may p y c) as theirs
      by (intros y c of_y in_c; apply (waiter_may st u y c (kept_held p M st ok) of_y awake_ in_c); left; rewrite state; reflexivity).
    destruct r as [w rd gr_ gp]. cbn [can_write can_grant can_grant_reply] in *. subst w. split.
    + intros ->. destruct (others u) as (y & in_y & of_y); [refine (sends_to _ _ _ _ e badge _ e o' q' g' named_ eq_refl first state eq_refl)|].
      exists s, y. split; [exact caller_acts|]. split; [exact (partner_acts u y in_y of_y awake_)|].
      refine (proj1 (senders_agree p subjects bounds s y e gp listed in_y _ _)).
      * exact (fewer_to_send s e badge _ _ _ _ _ mine id id).
      * refine (fewer_to_receive y e 0 g' false false false (theirs y _ of_y _) _); [rewrite state; left; reflexivity | discriminate].
    + intros asks -> a ->. destruct (others u) as (y & in_y & of_y).
      { refine (sends_to _ _ _ _ e badge _ e (Some a) q' true named_ eq_refl first state _). cbn. rewrite andb_true_r. exact asks. }
      intros part z owned in_part in_z held_. rewrite (owner_is t s part whose owned).
      refine (answerers_agree p subjects bounds s y z e gr_ gp a listed in_y in_z _ asks _ _ held_).
      * exact (fewer_to_send s e badge _ _ _ _ _ mine id id).
      * refine (fewer_to_receive y e 0 true true false false (theirs y _ of_y _) id). rewrite state. left. reflexivity.
      * apply (theirs y _ of_y). rewrite state. right. left. reflexivity.
  - intros e badge r u after x b g gr c l named_ reads queued_ held_ before state none.
    assert (run_state (thread u st) = BlockedOnSend x b g gr c l) as state0 by (rewrite <- (before u); [exact state | rewrite state; reflexivity]).
    destruct (is_sender nobody e st u (proj1 (proj2 (kept_parts p M st ok))) queued_) as (b' & g' & gr' & c' & l' & same).
    rewrite state0 in same. injection same as -> -> -> -> -> ->.
    pose proof (endpoint_named e badge r named_) as mine. assert (run_state (thread u after) <> Inactive) as awake_ by (rewrite state; discriminate).
    assert (run_state (thread u st) <> Inactive) as awake0 by (rewrite state0; discriminate).
    assert (forall y, is_of p u y -> may p y (EndpointCap e b' {| can_write := true; can_read := false; can_grant := g'; can_grant_reply := gr' |})) as theirs.
    { intros y of_y. apply (waiter_may after u y _ held_ of_y awake_); [rewrite state; left; reflexivity | right; exact none]. }
    destruct r as [w rd gr_ gp]. cbn [can_read can_grant can_grant_reply] in *. subst rd. split.
    + intros ->. destruct (others u) as (y & in_y & of_y); [refine (receives_of _ _ _ _ e badge _ e b' true gr' c' l' named_ eq_refl queued_ state0 eq_refl)|].
      exists y, s. split; [exact (partner_acts u y in_y of_y awake0)|]. split; [exact caller_acts|].
      refine (proj1 (senders_agree p subjects bounds y s e gr' in_y listed _ _)).
      * exact (fewer_to_send y e b' _ _ _ _ _ (theirs y of_y) id id).
      * refine (fewer_to_receive s e badge gr_ false w gp mine _). discriminate.
    + intros -> asks -> a rights second. destruct (others u) as (y & in_y & of_y).
      { refine (receives_of _ _ _ _ e badge _ e b' g' gr' true l' named_ eq_refl queued_ state0 _). cbn. rewrite andb_true_r. exact asks. }
      intros part z owned in_part in_z may_z. rewrite (owner_is u y part of_y owned).
      refine (answerers_agree p subjects bounds y s z e g' gr' a in_y listed in_z _ asks _ _ may_z).
      * exact (fewer_to_send y e b' _ _ _ _ _ (theirs y of_y) id id).
      * exact (fewer_to_receive s e badge true true w gp mine id).
      * exact (named_may p M is_closed t s st ok caller_acts _ _ second eq_refl).
  - intros o r u named_ grants calls_ grants' none. destruct (others u) as (y & in_y & of_y); [exact (answers_to _ _ _ _ o r named_ grants calls_ grants')|].
    pose proof (proj1 (proj2 (kept_parts p M st ok))) as wait. destruct (is_caller nobody o st u wait calls_) as (g & state).
    rewrite state in grants'. cbn in grants'. subst g. assert (run_state (thread u st) <> Inactive) as awake_ by (rewrite state; discriminate).
    exists s, y. split; [exact caller_acts|]. split; [exact (partner_acts u y in_y of_y awake_)|].
    pose proof (proj2 (kept_held p M st ok u _ (thread_at st u awake_)) o state none) as promised.
    destruct of_y as (part & owned & _ & acts_ & _). rewrite slot_zero in owned. rewrite <- acts_. apply (promised part s owned).
    + rewrite acts_. exact in_y.
    + exact listed.
    + exact (named_may p M is_closed t s st ok caller_acts address _ named_ eq_refl).
Qed.
End Phase.

(** ** Claim [confinement] *)
Lemma kept_to_held st : kept_to p subjects st <-> confined p st /\ held st.
Proof.
  split.
  - intros [within_ answered]. apply contained_held in within_. destruct within_ as (slots_ & ok). split; [exact slots_|].
    intros o x there. pose proof (ok o x there) as fine_. destruct x; try exact fine_. split; [exact (proj1 fine_)|].
    intros r. exact (answered o _ r there).
  - intros (slots_ & ok). constructor.
    + apply contained_held. split; [exact slots_|]. intros o x there. pose proof (ok o x there) as fine_. destruct x; try exact fine_.
      split; [exact (proj1 fine_) | intros r _ _; exact I].
    + intros u x r there. exact (proj2 (ok u _ there) r).
Qed.
Lemma among_step plan st e : roots_are_sound plan -> reachable step plan st -> kept_to p subjects st -> among p subjects st e ->
  kept_to p subjects (fst (fst (step st e))).
Proof.
  intros sound_plan reached before all_bound. apply kept_to_held in before. destruct before as (slots_ & ok).
  pose proof (kept_reached plan p M st sound_plan reached slots_ ok) as kept_.
  assert (kept_in p M (fst (fst (step st e)))) as after; [|apply kept_to_held; split; [exact (kept_confined p _ _ after) | exact (kept_held _ _ _ after)]].
  apply kept_step; [exact kept_ | exact (reached_first plan st reached)|]. intros t is_call cur entered on. rewrite current_of_enter in cur.
  destruct (all_bound t is_call cur) as ((s & listed & whose) & others).
  apply kept_system_call; [exact is_closed | exact nobodys | exact entered | exact on|]. intros at_ address begins_ ok_at on_at. exists s.
  split; [exact (caller_acts t s at_ ok_at on_at listed whose)|]. split; [exact (proj2 (bound_gives s at_ listed))|].
  exact (all_fair t s at_ address ok_at on_at listed whose (fun u => others at_ address u begins_ on_at)).
Qed.
End Among.
Theorem confinement_proved : confinement step.
Proof. intros plan p subjects st e sound_plan reached is_closed bounds nobodys. exact (among_step p subjects bounds is_closed nobodys plan st e sound_plan
  reached). Qed.

(** ** Claim [bounds_are_sound] *)
Section Checked.
Variable p : Policy.
Lemma passes_to_means giver taker : passes_to p giver taker = true -> passes p giver taker.
Proof. unfold passes_to. intros checked. apply (gets_passes p Taking). destruct (gets p Taking giver taker); [reflexivity | discriminate]. Qed.
Lemma region_owned r x : In r (regions p) -> is_in x 1 (region_start r) (region_size r) = true -> exists o, owner_of p x = Some o.
Proof.
  intros listed inside. unfold owner_of. destruct (List.find _ (regions p)) as [r'|] eqn:found; [eexists; reflexivity|].
  pose proof (find_none _ _ found r listed) as no. cbv beta in no. rewrite inside in no. discriminate.
Qed.
Lemma is_owned_means turns : forall from end_ x, is_owned turns p from end_ = true -> from <= x -> x < end_ -> exists o, owner_of p x = Some o.
Proof.
  induction turns as [|rest IH]; intros from end_ x checked above below; cbn [is_owned] in checked; apply orb_true_iff in checked;
    (destruct checked as [none|checked]; [apply N.leb_le in none; lia|]); [discriminate|].
  destruct (List.find _ (regions p)) as [r|] eqn:found; [|discriminate]. apply find_some in found. destruct found as (listed & inside).
  destruct (N.lt_ge_cases x (region_start r + region_size r)) as [less|more].
  - apply (region_owned r x listed). revert inside. unfold is_in. rewrite !andb_true_iff, !N.leb_le. lia.
  - exact (IH _ end_ x checked more below).
Qed.
Lemma all_give_means start size gives_ x : all_give p start size gives_ = true -> start <= x -> x < start + size ->
  exists o, owner_of p x = Some o /\ gives_ o = true.
Proof.
  intros checked above below. apply andb_prop in checked. destruct checked as (owned & each).
  destruct (is_owned_means _ _ _ x owned above below) as (o & is_o). exists o. split; [exact is_o|]. unfold owner_of in is_o.
  destruct (List.find _ (regions p)) as [r|] eqn:found; [|discriminate]. injection is_o as <-. apply find_some in found. destruct found as (listed & inside).
  pose proof (proj1 (forallb_forall _ _) each r listed) as either. cbv beta in either. apply orb_true_iff in either.
  destruct either as [apart_|yes]; [|exact yes]. exfalso. revert apart_ inside. unfold overlaps, is_in.
  rewrite negb_true_iff, andb_false_iff, andb_true_iff, !N.leb_le, !N.ltb_ge. lia.
Qed.
Lemma gives_range_means s start size x : all_give p start size (passes_to p s) = true -> start <= x -> x < start + size -> gives_to p s x.
Proof.
  intros checked above below. destruct (all_give_means _ _ _ x checked above below) as (o & owned & yes). exists o.
  split; [exact owned | exact (passes_to_means s o yes)].
Qed.
Lemma passes_of_means kinds giver taker c : passes_of p kinds giver taker = true -> ~ In giver (silent p) ->
  (forall h, gives h c = true -> existsb (same_type (held_type h)) kinds = true) -> may p giver c -> may p taker c.
Proof.
  intros checked loud kind [quiet|(h & listed & whose & given)]; [contradiction|].
  pose proof (proj1 (forallb_forall _ _) checked h (proj2 (holdings_of_in p giver h) (conj listed whose))) as either. cbv beta in either.
  rewrite (kind h given) in either. cbn [negb orb] in either. apply existsb_exists in either. destruct either as (own & mine & enough).
  apply holdings_of_in in mine. destruct mine as (mine & of_taker). right. exists own. split; [exact mine|]. split; [exact of_taker|].
  exact (covers_trans own h _ _ _ _ enough given).
Qed.
Lemma mappable_given c h : is_mappable c = true -> gives h c = true ->
  existsb (same_type (held_type h)) [CapType.Frame; CapType.PageTable; CapType.Untyped] = true.
Proof.
  intros mappable. unfold gives. rewrite covers_cases. destruct c; try discriminate mappable; cbn [cap_type];
    (intros [(kind & _)|[(kind & _)|[(_ & [other|other])|(_ & other & _)]]]; [| | discriminate other | discriminate other | discriminate other]);
    rewrite kind; reflexivity.
Qed.
Lemma flags_given n badge r h : gives h (NotificationCap n badge r) = true ->
  existsb (same_type (held_type h)) [CapType.Notification; CapType.Untyped] = true.
Proof.
  unfold gives. rewrite covers_cases. cbn [cap_type].
  intros [(kind & _)|[(kind & _)|[(_ & [other|other])|(_ & other & _)]]]; try discriminate other; rewrite kind; reflexivity.
Qed.
Lemma endpoint_given h e r : gives h (EndpointCap e 0 r) = true ->
  rights_le r (endpoint_rights h) /\ is_in e (N.shiftl 1 endpoint_size_bits) (held_start h) (held_size h) = true.
Proof.
  unfold gives, endpoint_rights. rewrite covers_cases. cbn [cap_type range_of fst snd rights_of].
  intros [(kind & inside & fewer)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate; rewrite kind.
  - split; [apply no_more_le; exact fewer | exact inside].
  - split; [unfold rights_le; cbn; tauto | exact inside].
Qed.
Lemma reply_given h o : gives h (ReplyCap o no_rights) = true ->
  replies_with h = true /\ is_in o (N.shiftl 1 reply_size_bits) (held_start h) (held_size h) = true.
Proof.
  unfold gives, replies_with, is_to. rewrite covers_cases. cbn [cap_type range_of fst snd rights_of].
  intros [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate; rewrite kind; (split; [reflexivity | exact inside]).
Qed.
Lemma both_inside a b o size : 0 < size -> is_in o size (held_start a) (held_size a) = true -> is_in o size (held_start b) (held_size b) = true ->
  shared a b = true.
Proof. unfold is_in, shared, overlaps. rewrite !andb_true_iff, !N.leb_le, !N.ltb_lt. lia. Qed.

Variable subjects : list N.
Hypothesis checked : bound_by p subjects = true.
Definition the_held : list Holding := filter (fun h => member (holder h) subjects) (permitted p).
Lemma checked_parts : forallb (is_himself p) subjects = true /\ forallb (fun h => gives_for p (holder h) h) the_held = true
  /\ forallb (fun a => forallb (meet_well p the_held a) the_held) the_held = true.
Proof. unfold bound_by in checked. cbv zeta in checked. fold the_held in checked. rewrite !andb_true_iff in checked. tauto. Qed.
Lemma himself s : In s subjects -> ~ In s (silent p) /\ acting p s = s /\ forall part, acting p part = s -> ~ In part (silent p).
Proof.
  intros listed. pose proof (proj1 (forallb_forall _ _) (proj1 checked_parts) s listed) as each. unfold is_himself in each.
  rewrite !andb_true_iff, negb_true_iff, N.eqb_eq in each. destruct each as ((loud & itself) & parts_).
  assert (~ In s (silent p)) as loud_ by (rewrite <- PolicyProofs.member_in, loud; discriminate). split; [exact loud_|]. split; [exact itself|].
  intros part acts_. unfold acting in acts_. destruct (List.find _ (acts_for p)) as [x|] eqn:found; [|rewrite acts_; exact loud_].
  apply find_some in found. destruct found as (in_x & same). apply N.eqb_eq in same.
  pose proof (proj1 (forallb_forall _ _) parts_ x in_x) as either. cbv beta in either. rewrite acts_, N.eqb_refl, same in either. cbn in either.
  rewrite negb_true_iff in either. rewrite <- PolicyProofs.member_in, either. discriminate.
Qed.
Lemma holds_by s c : In s subjects -> may p s c -> exists h, In h the_held /\ holder h = s /\ gives h c = true.
Proof.
  intros listed [quiet|(h & in_h & whose & given)]; [destruct (proj1 (himself s listed) quiet)|]. exists h. split; [|split; assumption].
  apply filter_In. split; [exact in_h|]. rewrite whose. apply PolicyProofs.member_in. exact listed.
Qed.
Lemma given_for s c : In s subjects -> may p s c -> exists h, gives h c = true /\ gives_for p s h = true.
Proof.
  intros listed held_. destruct (holds_by s c listed held_) as (h & in_h & whose & given). exists h. split; [exact given|].
  rewrite <- whose. exact (proj1 (forallb_forall _ _) (proj1 (proj2 checked_parts)) h in_h).
Qed.
Lemma filled s c slot : In s subjects -> may p s c -> fills c slot -> gives_to p s slot.
Proof.
  intros listed held_ fills_. destruct (given_for s c listed held_) as (h & given & each). revert given. unfold gives. rewrite covers_cases.
  unfold gives_for in each. destruct c; cbn [fills] in fills_; try contradiction; cbn [cap_type range_of fst snd rights_of];
    (intros [(kind & inside & _)|[(kind & made & inside)|[(kind & other)|(_ & other & _)]]]; [| | |discriminate other]);
    try (destruct other as [other|other]; discriminate other); rewrite kind in each;
    revert inside; unfold is_in; rewrite !andb_true_iff, !N.leb_le; intros (above & below).
  1, 2: destruct fills_ as (i & less & ->); rewrite N.shiftl_mul_pow2, N.mul_1_l, N.pow_add_r in below; change (2 ^ slot_bits) with 32 in below;
    apply (gives_range_means s _ _ _ each); unfold slot_of; change slot_bytes with 32; lia.
  all: destruct fills_ as (i & less & ->); change (N.shiftl 1 tcb_size_bits) with 2048 in below; unfold thread_slots in less;
    apply (gives_range_means s _ _ _ each); unfold slot_of; change slot_bytes with 32; lia.
Qed.
Lemma table_filled s t c h : In s subjects -> gives h (VSpaceCap t None) = true \/ gives h (PageTableCap t None) = true -> gives_for p s h = true ->
  is_mappable c = true -> may p s c -> can_lie p t c.
Proof.
  intros listed given each mappable may_. pose proof (proj1 (himself s listed)) as loud.
  assert (is_in t 4096 (held_start h) (held_size h) = true /\ In (held_type h) [CapType.VSpace; CapType.PageTable; CapType.Untyped]) as (inside & kind).
  { destruct given as [given|given]; revert given; unfold gives; rewrite covers_cases; cbn [cap_type range_of fst snd rights_of In];
      (intros [(kind & inside & _)|[(kind & _ & inside)|[(_ & [other|other])|(_ & other & _)]]]; try discriminate other); rewrite kind; tauto. }
  unfold is_in in inside. rewrite andb_true_iff, !N.leb_le in inside. destruct inside as (above & below). unfold gives_for in each.
  destruct kind as [kind|[kind|[kind|[]]]]; rewrite <- kind in each.
  1, 2: destruct (all_give_means _ _ _ t each above ltac:(lia)) as (o & owned & yes); exists o; (split; [exact owned|]);
    exact (passes_of_means _ s o c yes loud (fun h' => mappable_given c h' mappable) may_).
  destruct (gives_range_means s _ _ t each above ltac:(lia)) as (o & owned & passed). exists o. split; [exact owned | exact (may_passes p s o c passed may_)].
Qed.
Lemma signal_filled s irq n badge r : In s subjects -> may p s (IRQHandlerCap irq) -> may p s (NotificationCap n badge r) ->
  can_lie p (irq_slot irq) (NotificationCap n badge r).
Proof.
  intros listed held_ may_. destruct (given_for s _ listed held_) as (h & given & each). revert given. unfold gives. rewrite covers_cases.
  unfold gives_for in each. cbn [cap_type range_of fst snd rights_of].
  intros [(kind & inside & _)|[(kind & made & _)|[(kind & _)|(_ & other & _)]]]; try discriminate; rewrite kind in each; [|discriminate each].
  unfold is_in in inside. rewrite andb_true_iff, !N.leb_le in inside. destruct inside as (above & below).
  destruct (all_give_means _ _ _ (irq_slot irq) each) as (o & owned & yes); [unfold irq_slot, slot_of; change slot_bytes with 32; lia..|].
  exists o. split; [exact owned|]. exact (passes_of_means _ s o _ yes (proj1 (himself s listed)) (flags_given n badge r) may_).
Qed.
Lemma met_well a b : In a the_held -> In b the_held -> meet_well p the_held a b = true.
Proof. intros in_a in_b. exact (proj1 (forallb_forall _ _) (proj1 (forallb_forall _ _) (proj2 (proj2 checked_parts)) a in_a) b in_b). Qed.
Theorem bound_by_means : bound p subjects.
Proof.
  constructor; [exact himself | exact filled | | exact signal_filled | |].
  - intros s listed t c [held_|held_] mappable may_; destruct (given_for s _ listed held_) as (h & given & each);
      (apply (table_filled s t c h listed); [|exact each | exact mappable | exact may_]); [left | right]; exact given.
  - intros x y e gr in_x in_y sends_ receives_. destruct (holds_by x _ in_x sends_) as (a & in_a & whose_a & given_a).
    destruct (holds_by y _ in_y receives_) as (b & in_b & whose_b & given_b).
    destruct (endpoint_given a e _ given_a) as ((writes & _ & grants & _) & inside_a). destruct (endpoint_given b e _ given_b) as ((_ & reads & _) & inside_b).
    pose proof (met_well a b in_a in_b) as met_. unfold meet_well in met_. cbv zeta in met_.
    rewrite (both_inside a b e (N.shiftl 1 endpoint_size_bits) eq_refl inside_a inside_b), (writes eq_refl), (reads eq_refl), (grants eq_refl) in met_.
      cbn [andb negb orb] in met_.
    apply andb_prop in met_. destruct met_ as (met_ & _). apply andb_prop in met_. rewrite whose_a, whose_b in met_.
    split; apply passes_to_means; tauto.
  - intros x y z e g gr o in_x in_y in_z sends_ asks receives_ names_ answers_.
    destruct (holds_by x _ in_x sends_) as (a & in_a & whose_a & given_a). destruct (holds_by y _ in_y receives_) as (b & in_b & whose_b & given_b).
    destruct (holds_by y _ in_y names_) as (r & in_r & whose_r & given_r). destruct (holds_by z _ in_z answers_) as (d & in_d & whose_d & given_d).
    destruct (endpoint_given a e _ given_a) as ((writes & _ & grants & grants_reply) & inside_a).
    destruct (endpoint_given b e _ given_b) as ((_ & reads & grants_b & _) & inside_b).
    destruct (reply_given r o given_r) as (replies_r & inside_r). destruct (reply_given d o given_d) as (replies_d & inside_d).
    cbn [can_write can_read can_grant can_grant_reply] in *.
    assert (can_grant (endpoint_rights a) || can_grant_reply (endpoint_rights a) = true) as asks_a.
    { apply orb_true_iff in asks. apply orb_true_iff. destruct asks as [yes|yes]; [left; exact (grants yes) | right; exact (grants_reply yes)]. }
    pose proof (met_well a b in_a in_b) as met_. unfold meet_well in met_. cbv zeta in met_.
    rewrite (both_inside a b e (N.shiftl 1 endpoint_size_bits) eq_refl inside_a inside_b), (writes eq_refl), (reads eq_refl), asks_a, (grants_b eq_refl) in
      met_. cbn [andb negb orb] in met_.
    apply andb_prop in met_. destruct met_ as (_ & met_). pose proof (proj1 (forallb_forall _ _) met_ r in_r) as each. cbv beta in each.
    rewrite whose_r, whose_b, N.eqb_refl, replies_r in each. cbn [andb negb orb] in each.
    pose proof (proj1 (forallb_forall _ _) each d in_d) as last_. cbv beta in last_.
    rewrite replies_d, (both_inside r d o (N.shiftl 1 reply_size_bits) eq_refl inside_r inside_d) in last_. cbn [andb negb orb] in last_.
      rewrite whose_a, whose_d in last_.
    apply passes_to_means. exact last_.
Qed.
End Checked.
Lemma answered_well_means p subjects st : answered_well p subjects st = true ->
  forall t x r, objects st !! t = Some (ThreadObject x) -> run_state x = BlockedOnReply r true -> fault x = None -> awaited p subjects t r.
Proof.
  intros checked t x r there state none part z owned in_part in_z held_. apply in_entries in there.
  pose proof (proj1 (forallb_forall _ _) checked _ there) as each. cbn [fst snd] in each. rewrite state, none, owned in each.
  apply orb_true_iff in each. destruct each as [no|each].
  - exfalso. apply PolicyProofs.member_in in in_part. rewrite in_part in no. discriminate.
  - pose proof (proj1 (forallb_forall _ _) each z in_z) as either. cbv beta in either. apply may_hold_may in held_. rewrite held_ in either.
    apply passes_to_means. exact either.
Qed.
Theorem bounds_are_sound_proved : bounds_are_sound.
Proof.
  intros p subjects st within_ checked. destruct (pol_check_is_sound_proved p st within_) as (is_closed & _).
  unfold bound_check in checked. rewrite !andb_true_iff, negb_true_iff in checked. destruct checked as (((bounds & nobodys) & waits_) & answered).
  assert (owner_of p nowhere = None) as none by (destruct (owner_of p nowhere); [discriminate | reflexivity]).
  split; [exact is_closed|]. split; [exact (bound_by_means p subjects bounds)|]. split; [exact none|]. constructor.
  - exact (checked_is_contained p st none within_ waits_).
  - exact (answered_well_means p subjects st answered).
Qed.

(** Claim [runs_are_confined]. *)
Theorem runs_are_confined_proved : runs_are_confined step.
Proof.
  intros plan p subjects st next sound_plan reached within_ checked runs_.
  destruct (bounds_are_sound_proved p subjects st within_ checked) as (is_closed & bounds & nobodys & before).
  assert (reachable step plan next /\ kept_to p subjects next) as (_ & done_); [|exact done_].
  induction runs_ as [|next e _ (IHr & IHk) all_bound|next e _ (IHr & _) presumed].
  - split; assumption.
  - split; [exact (after_event step plan next e IHr)|]. exact (confinement_proved plan p subjects next e sound_plan IHr is_closed bounds nobodys IHk all_bound).
  - split; [exact (after_event step plan next e IHr) | exact presumed].
Qed.
