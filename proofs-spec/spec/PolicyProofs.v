(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Policies: proofs

    [pol_check] means what [PolicyClaims] says it means; a thread names nothing beyond what its subject may hold; and what nobody may hold never comes up. *)
From Coq Require Import Lia.
From Spec Require Export PolicyClaims OriginProofs.
Open Scope N_scope.

(** ** Lists of violations *)
Lemma none_in_flat_map {A B} (f : A -> list B) l : flat_map f l = [] <-> forall a, In a l -> f a = [].
Proof.
  induction l as [|a l IH]; simpl; [split; [contradiction | reflexivity]|]. split.
  - intros none. apply app_eq_nil in none. destruct none as (none & others). intros b [<-|listed]; [exact none | apply IH; assumption].
  - intros none. rewrite (none a (or_introl eq_refl)). apply IH. intros b listed. apply none. right. exact listed.
Qed.
Lemma unless_none b v : unless b v = [] -> b = true.
Proof. destruct b; [reflexivity | discriminate]. Qed.
Lemma member_in n l : member n l = true <-> In n l.
Proof.
  unfold member. rewrite existsb_exists. split.
  - intros (m & listed & same). apply N.eqb_eq in same. rewrite same. exact listed.
  - intros listed. exists n. split; [exact listed | apply N.eqb_refl].
Qed.

(** ** Holdings *)
Lemma same_type_eq a b : same_type a b = true -> a = b.
Proof. destruct a, b; (reflexivity || discriminate). Qed.
Lemma same_type_refl a : same_type a a = true.
Proof. apply N.eqb_refl. Qed.
Lemma is_in_trans s z s' z' s'' z'' : is_in s z s' z' = true -> is_in s' z' s'' z'' = true -> is_in s z s'' z'' = true.
Proof. unfold is_in. rewrite !andb_true_iff, !N.leb_le. lia. Qed.
Definition rights_le (a b : Rights) : Prop :=
  (can_write a = true -> can_write b = true) /\ (can_read a = true -> can_read b = true) /\ (can_grant a = true -> can_grant b = true)
  /\ (can_grant_reply a = true -> can_grant_reply b = true).
Lemma no_more_le a b : no_more a b = true <-> rights_le a b.
Proof.
  destruct a as [a1 a2 a3 a4], b as [b1 b2 b3 b4]. unfold rights_le. cbn [can_write can_read can_grant can_grant_reply].
  destruct a1, a2, a3, a4, b1, b2, b3, b4; vm_compute; split; intros; repeat split; intros; try reflexivity; try discriminate;
    intuition discriminate.
Qed.
Lemma no_more_trans a b c : no_more a b = true -> no_more b c = true -> no_more a c = true.
Proof. rewrite !no_more_le. unfold rights_le. intuition. Qed.
Lemma no_more_common m a b : no_more a b = true -> no_more (common_rights m a) b = true.
Proof. rewrite !no_more_le. unfold rights_le, common_rights. cbn. rewrite !andb_true_iff. intuition. Qed.

(** What [covers] says, by cases. *)
Lemma covers_cases h t s z r : covers h t s z r = true <->
  (held_type h = t /\ is_in s z (held_start h) (held_size h) = true /\ no_more r (held_rights h) = true)
  \/ (held_type h = CapType.Untyped /\ made_of_untyped t = true /\ is_in s z (held_start h) (held_size h) = true)
  \/ (held_type h = CapType.IRQControl /\ (t = CapType.IRQHandler \/ t = CapType.SGISignal))
  \/ ((held_type h = CapType.CNode \/ held_type h = CapType.TCB) /\ t = CapType.Zombie /\ is_in s z (held_start h) (held_size h) = true).
Proof.
  assert (forall a b, same_type a b = true <-> a = b) as same
    by (intros a b; split; [apply same_type_eq | intros ->; apply same_type_refl]).
  unfold covers. cbv zeta. rewrite !orb_true_iff, !andb_true_iff, !orb_true_iff, !same. tauto.
Qed.
Lemma covers_trans own h t s z r :
  covers own (held_type h) (held_start h) (held_size h) (held_rights h) = true -> covers h t s z r = true -> covers own t s z r = true.
Proof.
  rewrite !covers_cases.
  intros [(a1 & a2 & a3)|[(a1 & a2 & a3)|[(a1 & a2)|(a1 & a2 & a3)]]] [(b1 & b2 & b3)|[(b1 & b2 & b3)|[(b1 & b2)|(b1 & b2 & b3)]]].
  - left. rewrite <- b1. split; [exact a1|]. split; [exact (is_in_trans _ _ _ _ _ _ b2 a2) | exact (no_more_trans _ _ _ b3 a3)].
  - right. left. split; [congruence|]. split; [exact b2 | exact (is_in_trans _ _ _ _ _ _ b3 a2)].
  - right. right. left. split; [congruence | exact b2].
  - right. right. right. split; [destruct b1; [left | right]; congruence|]. split; [exact b2 | exact (is_in_trans _ _ _ _ _ _ b3 a2)].
  - right. left. split; [exact a1|]. rewrite <- b1. split; [exact a2 | exact (is_in_trans _ _ _ _ _ _ b2 a3)].
  - right. left. split; [exact a1|]. split; [exact b2 | exact (is_in_trans _ _ _ _ _ _ b3 a3)].
  - exfalso. rewrite b1 in a2. discriminate.
  - right. left. split; [exact a1|]. rewrite b2. split; [reflexivity | exact (is_in_trans _ _ _ _ _ _ b3 a3)].
  - right. right. left. split; [exact a1 | rewrite <- b1; exact a2].
  - exfalso. destruct a2 as [a2|a2]; rewrite b1 in a2; discriminate.
  - exfalso. destruct a2 as [a2|a2]; rewrite b1 in a2; discriminate.
  - exfalso. destruct a2 as [a2|a2], b1 as [b1|b1]; rewrite b1 in a2; discriminate.
  - right. right. right. split; [exact a1|]. split; [congruence | exact (is_in_trans _ _ _ _ _ _ b2 a3)].
  - exfalso. congruence.
  - exfalso. congruence.
  - exfalso. destruct b1 as [b1|b1]; congruence.
Qed.

Lemma holdings_of_in p subject h : In h (holdings_of p subject) <-> In h (permitted p) /\ holder h = subject.
Proof. unfold holdings_of. rewrite filter_In, N.eqb_eq. reflexivity. Qed.
Lemma may_hold_may p subject c : may_hold p subject c = true <-> may p subject c.
Proof.
  unfold may_hold, may. rewrite orb_true_iff, member_in, existsb_exists. split; intros [quiet|(h & rest)];
    [left; exact quiet | right | left; exact quiet | right].
  - destruct rest as (listed & given). apply holdings_of_in in listed. exists h. tauto.
  - destruct rest as (listed & whose & given). exists h. split; [apply holdings_of_in; split; assumption | exact given].
Qed.
Lemma gets_passes p rule giver taker : gets p rule giver taker = [] -> passes p giver taker.
Proof.
  unfold gets, passes. destruct (giver =? taker) eqn:same; [left; apply N.eqb_eq; exact same|].
  destruct (member taker (silent p)) eqn:quiet; [right; left; apply member_in; exact quiet|]. cbn [orb].
  destruct (member giver (silent p)) eqn:quiet'; [discriminate|].
  rewrite none_in_flat_map. intros none. right. right. split; [rewrite <- member_in, quiet'; discriminate|]. intros h listed whose.
  pose proof (unless_none _ _ (none h (proj2 (holdings_of_in p giver h) (conj listed whose)))) as found.
  apply existsb_exists in found. destruct found as (own & mine & enough). apply holdings_of_in in mine. exists own. tauto.
Qed.

(** What passes may be held. *)
Lemma may_passes p giver taker c : passes p giver taker -> may p giver c -> may p taker c.
Proof.
  intros [<-|[quiet|(loud & pass)]] held; [exact held | left; exact quiet|]. destruct held as [quiet|(h & listed & whose & given)]; [contradiction|].
  destruct (pass h listed whose) as (own & own_listed & mine & enough). right. exists own. split; [exact own_listed|]. split; [exact mine|].
  exact (covers_trans own h _ _ _ _ enough given).
Qed.

(** ** Claim [pol_check_is_sound] *)
Lemma owners_in_listed p h r : In r (regions p) -> reaches h r -> In (region_owner r) (owners_in p h).
Proof. intros listed reached. unfold owners_in. apply nodup_In, in_map, filter_In. split; assumption. Qed.
Lemma is_loud p h : permits p h <-> In h (filter (fun h => negb (member (holder h) (silent p))) (permitted p)).
Proof. unfold permits. rewrite filter_In, negb_true_iff, <- not_true_iff_false, member_in. reflexivity. Qed.
Lemma is_to_refl h t : held_type h = t -> is_to t h = true.
Proof. intros <-. apply same_type_refl. Qed.

Section Closed.
Variable p : Policy.
Hypothesis none : openings p = [].
Lemma none_for h : permits p h -> closed_for p h = [].
Proof. intros loud. apply is_loud in loud. apply app_eq_nil in none. destruct none as (first & _). exact (proj1 (none_in_flat_map _ _) first h loud). Qed.
Lemma none_between a b : permits p a -> permits p b -> is_to CapType.Endpoint a || is_to CapType.CNode a = true ->
  is_to CapType.Endpoint b || is_to CapType.CNode b = true ->
  meets p (filter (is_to CapType.Reply) (filter (fun h => negb (member (holder h) (silent p))) (permitted p))) a b = [].
Proof.
  intros loud_a loud_b kind_a kind_b. apply is_loud in loud_a, loud_b. apply app_eq_nil in none. destruct none as (_ & second).
  refine (proj1 (none_in_flat_map _ _) (proj1 (none_in_flat_map _ _) second a _) b _); apply filter_In; split; assumption.
Qed.
Lemma sender_is_endpoint h : may_send p h = true -> is_to CapType.Endpoint h = true.
Proof. unfold may_send. rewrite !andb_true_iff. tauto. Qed.
Lemma receiver_is_endpoint h : may_receive p h = true -> is_to CapType.Endpoint h = true.
Proof. unfold may_receive. rewrite !andb_true_iff. tauto. Qed.
Lemma no_cnode h : is_to CapType.Endpoint h = true -> is_to CapType.CNode h = false.
Proof. unfold is_to. intros same. apply same_type_eq in same. rewrite same. reflexivity. Qed.
Lemma none_at_endpoint a b : meet_at p a b -> may_send p a = true -> may_receive p b = true ->
  (can_grant (held_rights a) = true ->
     gets p Granting (acting p (holder a)) (acting p (holder b)) = [] /\ gets p Granting (acting p (holder b)) (acting p (holder a)) = [])
  /\ (can_grant (held_rights a) || can_grant_reply (held_rights a) = true -> can_grant (held_rights b) = true ->
     gets p Replying (acting p (holder b)) (acting p (holder a)) = []
     /\ forall z, In z (filter (is_to CapType.Reply) (filter (fun h => negb (member (holder h) (silent p))) (permitted p))) ->
          may_answer p (filter (is_to CapType.Reply) (filter (fun h => negb (member (holder h) (silent p))) (permitted p))) (acting p (holder b)) z = true ->
          gets p Replying (acting p (holder z)) (acting p (holder a)) = []).
Proof.
  intros (loud_a & loud_b & meeting) sends_ receives. pose proof (sender_is_endpoint a sends_) as to_a. pose proof (receiver_is_endpoint b receives) as to_b.
  pose proof (none_between a b loud_a loud_b) as quiet. rewrite to_a, to_b in quiet. specialize (quiet eq_refl eq_refl).
  unfold meets in quiet. cbv zeta in quiet. rewrite meeting, (no_cnode a to_a), sends_, receives in quiet. cbn [negb andb] in quiet.
  apply app_eq_nil in quiet. destruct quiet as (granted & answered). split.
  - intros grant. rewrite grant in granted. apply app_eq_nil in granted. exact granted.
  - intros asks answers. rewrite asks, answers in answered. cbn [andb] in answered. apply app_eq_nil in answered. destruct answered as (direct & others).
    split; [exact direct|]. intros z listed may_. pose proof (proj1 (none_in_flat_map _ _) others z listed) as quiet. cbv beta in quiet.
    rewrite may_ in quiet. exact quiet.
Qed.
Lemma none_closed : closed p.
Proof.
  constructor.
  - intros h r loud kind listed reached. pose proof (none_for h loud) as quiet. pose proof (owners_in_listed p h r listed reached) as owner_.
    unfold closed_for in quiet. cbv zeta in quiet.
    destruct kind as [kind|[kind|[kind|[kind|[]]]]]; rewrite <- kind in quiet; try (apply app_eq_nil in quiet; destruct quiet as (quiet & _));
      exact (gets_passes _ _ _ _ (proj1 (none_in_flat_map _ _) quiet _ owner_)).
  - intros h r loud kind listed reached. pose proof (none_for h loud) as quiet. pose proof (owners_in_listed p h r listed reached) as owner_.
    unfold closed_for in quiet. cbv zeta in quiet.
    destruct kind as [kind|[kind|[]]]; rewrite <- kind in quiet; try (apply app_eq_nil in quiet; destruct quiet as (_ & quiet));
      exact (gets_passes _ _ _ _ (proj1 (none_in_flat_map _ _) quiet _ owner_)).
  - intros a b (loud_a & loud_b & meeting) kind_a kind_b alike. pose proof (is_to_refl a _ kind_a) as to_a. pose proof (is_to_refl b _ kind_b) as to_b.
    assert (is_to CapType.Endpoint a || is_to CapType.CNode a = true) as fit_a by (rewrite to_a; apply orb_true_r).
    assert (is_to CapType.Endpoint b || is_to CapType.CNode b = true) as fit_b by (rewrite to_b; apply orb_true_r).
    pose proof (none_between a b loud_a loud_b fit_a fit_b) as quiet. unfold meets in quiet. cbv zeta in quiet.
    rewrite meeting, to_a, to_b, alike, Bool.eqb_reflx in quiet. exact (gets_passes _ _ _ _ quiet).
  - intros a b meeting sends_ receives grant. destruct (proj1 (none_at_endpoint a b meeting sends_ receives) grant) as (there & back).
    split; eapply gets_passes; eassumption.
  - intros a b meeting sends_ receives asks answers. destruct (proj2 (none_at_endpoint a b meeting sends_ receives) asks answers) as (direct & _).
    exact (gets_passes _ _ _ _ direct).
  - intros a b r z meeting sends_ receives asks answers loud_r loud_z kind_r kind_z same_ through trusts.
    destruct (proj2 (none_at_endpoint a b meeting sends_ receives) asks answers) as (_ & others). apply (gets_passes p Replying), others.
    + apply filter_In. split; [apply is_loud; exact loud_z | exact (is_to_refl z _ kind_z)].
    + unfold may_answer. rewrite trusts. cbn [negb andb]. apply existsb_exists. exists r. split.
      * apply filter_In. split; [apply is_loud; exact loud_r | exact (is_to_refl r _ kind_r)].
      * rewrite same_, N.eqb_refl, through. reflexivity.
Qed.
End Closed.

Lemma slots_are_within p st : flat_map (within_slot p) (entries (slots st)) = [] -> slots_within p st.
Proof.
  intros none slot c found. unfold capability_at in found. destruct (slots st !! slot) as [e|] eqn:there; [|discriminate]. injection found as <-.
  apply in_entries in there. pose proof (proj1 (none_in_flat_map _ _) none _ there) as quiet. unfold within_slot in quiet. cbn [fst snd] in quiet.
  destruct (owner_of p slot) as [subject|]; [|discriminate]. exists subject. split; [reflexivity|]. apply may_hold_may. exact (unless_none _ _ quiet).
Qed.
Lemma table_is_within p o table : within_table p o table = [] -> table_within p o table.
Proof.
  unfold within_table, table_within. destruct (owner_of p o) as [subject|]; [|discriminate]. intros none. exists subject. split; [reflexivity|].
  intros index e found. apply in_entries in found. apply may_hold_may. exact (unless_none _ _ (proj1 (none_in_flat_map _ _) none _ found)).
Qed.
Theorem pol_check_is_sound_proved : pol_check_is_sound.
Proof.
  intros p st checked. unfold pol_check, violations in checked. destruct (openings p ++ beyond p st) eqn:none; [|discriminate].
  apply app_eq_nil in none. destruct none as (open_ & more). apply app_eq_nil in more. destruct more as (of_slots & of_objects).
  split; [exact (none_closed p open_)|]. assert (forall o x, objects st !! o = Some x -> within_object p (o, x) = []) as each.
  { intros o x found. apply in_entries in found. exact (proj1 (none_in_flat_map _ _) of_objects _ found). }
  constructor.
  - exact (slots_are_within p st of_slots).
  - intros o table [found|found]; apply table_is_within; exact (each o _ found).
  - intros o t found. pose proof (each o _ found) as quiet. unfold within_object, within_thread in quiet. cbn [fst snd] in quiet.
    destruct (owner_of p o) as [subject|]; [|discriminate]. exists subject. split; [reflexivity|]. intros c waits_.
    pose proof (unless_none _ _ (proj1 (none_in_flat_map _ _) quiet c waits_)) as either. apply orb_true_iff in either.
    destruct either as [held|held]; [left | right]; apply may_hold_may; exact held.
Qed.

(** ** Claims [threads_name_what_they_may_hold] and [calls_invoke_what_they_may_hold]

    A CNode that somebody may hold lies in memory of which he gets what may be in its slots. *)
Lemma cnode_given h o radix guard size : gives h (CNodeCap o radix guard size) = true ->
  In (held_type h) [CapType.CNode; CapType.VSpace; CapType.PageTable; CapType.Untyped]
  /\ is_in o (N.shiftl 1 (radix + slot_bits)) (held_start h) (held_size h) = true.
Proof.
  unfold gives. rewrite covers_cases. cbn [cap_type range_of fst snd rights_of In].
  intros [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate; rewrite kind; tauto.
Qed.
Lemma slot_in_cnode cnode radix guard size h address low r slot :
  slot = slot_of cnode (bits_of address low radix) -> gives h (CNodeCap cnode radix guard size) = true ->
  is_in slot 1 (region_start r) (region_size r) = true -> reaches h r.
Proof.
  intros -> given. destruct (cnode_given h cnode radix guard size given) as (_ & inside). revert inside. unfold reaches, is_in, overlaps.
  rewrite !andb_true_iff, !N.leb_le, !N.ltb_lt. unfold slot_of, slot_bytes. rewrite !N.shiftl_mul_pow2, N.pow_add_r, !N.mul_1_l.
  assert (bits_of address low radix < 2 ^ radix) as less by (unfold bits_of; rewrite N.land_ones; apply N.mod_lt, N.pow_nonzero; discriminate).
  change (2 ^ slot_bits) with 32. revert less. generalize (bits_of address low radix), (2 ^ radix). intros i count less (above & below) (start & end_). lia.
Qed.

Section Names.
Variables (p : Policy) (st : State) (subject : N).
Hypothesis is_closed : closed p.
Hypothesis holds : forall slot c, capability_at slot st = Some c -> may p subject c \/ exists owner, owner_of p slot = Some owner /\ may p owner c.
Hypothesis loud : ~ In subject (silent p).
Hypothesis itself : acting p subject = subject.

Lemma named_in_cnode part cnode radix guard size address low slot c :
  acting p part = subject -> ~ In part (silent p) -> may p part (CNodeCap cnode radix guard size) ->
  slot = slot_of cnode (bits_of address low radix) -> capability_at slot st = Some c -> may p subject c.
Proof.
  intros acts_ loud_part [quiet|(h & listed & whose & given)] place_ found; [contradiction|].
  destruct (holds slot c found) as [mine|(owner_ & owned & held)]; [exact mine|]. unfold owner_of in owned.
  destruct (List.find _ (regions p)) as [r|] eqn:region; [|discriminate]. injection owned as <-.
  apply find_some in region. destruct region as (region & inside).
  apply (may_passes p (region_owner r)); [|exact held]. rewrite <- acts_, <- whose. apply (containers_pass p is_closed h r).
  - split; [exact listed | rewrite whose; exact loud_part].
  - exact (proj1 (cnode_given h cnode radix guard size given)).
  - exact region.
  - exact (slot_in_cnode cnode radix guard size h address low r slot place_ given inside).
Qed.
Lemma named_by_walk levels : forall part cnode radix guard size address bits_left slot rest c,
  acting p part = subject -> ~ In part (silent p) -> may p part (CNodeCap cnode radix guard size) ->
  walk levels cnode radix guard size address bits_left st = Reached slot rest -> capability_at slot st = Some c -> may p subject c.
Proof.
  induction levels as [|levels IH]; intros part cnode radix guard size address bits_left slot rest c acts_ loud_part held walked found;
    cbn [walk] in walked; cbv zeta in walked; destruct (_ || _); try discriminate walked; destruct (_ <? _); try discriminate walked.
  - destruct (_ =? 0) in walked; [injection walked as walked _; exact (named_in_cnode _ _ _ _ _ _ _ _ c acts_ loud_part held (eq_sym walked) found)|].
    destruct (capability_at _ st) as [[]|] in walked; try discriminate walked; injection walked as walked _;
      exact (named_in_cnode _ _ _ _ _ _ _ _ c acts_ loud_part held (eq_sym walked) found).
  - destruct (_ =? 0) in walked; [injection walked as walked _; exact (named_in_cnode _ _ _ _ _ _ _ _ c acts_ loud_part held (eq_sym walked) found)|].
    destruct (capability_at (slot_of cnode _) st) as [inner|] eqn:there in walked;
      [|injection walked as walked _; exact (named_in_cnode _ _ _ _ _ _ _ _ c acts_ loud_part held (eq_sym walked) found)].
    pose proof (named_in_cnode _ _ _ _ _ _ _ _ inner acts_ loud_part held eq_refl there) as mine.
    destruct inner; try (injection walked as walked _; exact (named_in_cnode _ _ _ _ _ _ _ _ c acts_ loud_part held (eq_sym walked) found)).
    exact (IH subject _ _ _ _ _ _ _ _ c itself loud mine walked found).
Qed.
Lemma named_by_thread t part address slot rest c :
  owner_of p (slot_of t cspace_slot) = Some part -> ~ In part (silent p) -> acting p part = subject ->
  walk_from_thread t address st = Reached slot rest -> capability_at slot st = Some c -> may p subject c.
Proof.
  intros owned loud_part acts_ walked found. unfold walk_from_thread, walk_from in walked.
  destruct (capability_at (slot_of t cspace_slot) st) as [root|] eqn:there; [|discriminate]. destruct root; try discriminate.
  destruct (holds _ _ there) as [mine|(owner_ & owned' & held)]; [exact (named_by_walk _ subject _ _ _ _ _ _ _ _ c itself loud mine walked found)|].
  rewrite owned in owned'. injection owned' as <-. exact (named_by_walk _ part _ _ _ _ _ _ _ _ c acts_ loud_part held walked found).
Qed.
End Names.

Lemma slots_known p st subject : slots_within p st -> forall slot c, capability_at slot st = Some c ->
  may p subject c \/ exists owner, owner_of p slot = Some owner /\ may p owner c.
Proof. intros holds_ slot c found. right. exact (holds_ slot c found). Qed.
Theorem threads_name_what_they_may_hold_proved : threads_name_what_they_may_hold.
Proof.
  intros p st t subject address slot c is_closed holds_ (part & owned & loud_part & acts_ & loud & itself) named. unfold occupied_slot_of_address in named.
  destruct (walk_from_thread t address st) as [slot' rest|report] eqn:walked; [|discriminate].
  destruct (capability_at slot' st) as [c'|] eqn:found; [|discriminate]. injection named as -> ->.
  exact (named_by_thread p st subject is_closed (slots_known p st subject holds_) loud itself t part address slot rest c owned loud_part acts_ walked found).
Qed.
Lemma arguments_named p st t subject addresses : closed p -> slots_within p st -> is_of p t subject ->
  forall arguments, cap_arguments_at addresses t st = inl arguments -> forall a c, In a arguments -> argument a = Some c -> may p subject c.
Proof.
  intros is_closed holds_ (part & owned & loud_part & acts_ & loud & itself). induction addresses as [|address rest IH]; intros arguments found a c listed is_c.
  - injection found as <-. contradiction.
  - cbn [cap_arguments_at] in found. unfold slot_of_address in found. destruct (walk_from_thread t address st) as [slot left_|] eqn:walked; [|discriminate].
    destruct (cap_arguments_at rest t st) as [others|]; [|discriminate]. injection found as <-. destruct listed as [<-|listed].
    + exact (named_by_thread p st subject is_closed (slots_known p st subject holds_) loud itself t part address slot left_ c owned loud_part acts_ walked
      is_c).
    + exact (IH others eq_refl a c listed is_c).
Qed.
Lemma slots_of_enter e st : slots (enter e st) = slots st.
Proof. exact (keeps_enter _ _ _ _ (slots_are_kept_quietly (slots st)) e st eq_refl). Qed.
Lemma within_of_slots p a b : slots b = slots a -> slots_within p a -> slots_within p b.
Proof. intros same holds_ slot c found. apply (holds_ slot c). unfold capability_at in *. rewrite <- same. exact found. Qed.
Theorem calls_invoke_what_they_may_hold_proved : calls_invoke_what_they_may_hold.
Proof.
  intros p st e t subject m call is_closed before whose cur (t' & s & place & c & arguments & cur' & _ & _ & found & args & _ & ->).
  rewrite cur in cur'. injection cur' as <-. pose proof (within_of_slots p st _ (slots_of_enter e st) before) as holds_. split; cbn [invoked cap_arguments].
  - exact (threads_name_what_they_may_hold_proved p _ t subject _ place c is_closed holds_ whose found).
  - intros a d. exact (arguments_named p _ t subject _ is_closed holds_ whose arguments args a d).
Qed.

(** ** Claim [nothing_beyond_the_policy]

    What is made of a capability the same holding gives. *)
Lemma gives_made h c made : yields c made -> gives h c = true -> gives h made = true.
Proof.
  assert (forall a b, cap_type b = cap_type a -> range_of b = range_of a -> rights_of b = rights_of a -> gives h a = true -> gives h b = true) as alike
    by (intros a b type range_ rights_; unfold gives; rewrite type, range_, rights_; exact id).
  assert (forall data a b, with_guard data a = Some b -> gives h a = true -> gives h b = true) as guarded_.
  { intros data a b. destruct a; cbn [with_guard]; try (intros same; injection same as <-; exact id).
    destruct (_ <=? _); [|discriminate]. intros same. injection same as <-. apply alike; reflexivity. }
  intros made_so given. destruct made_so.
  - destruct c; try exact given; revert given; unfold gives; rewrite !covers_cases; cbn [mask_rights cap_type range_of rights_of fst snd];
      (intros [(kind & inside & fewer)|rest]; [left; split; [exact kind|]; split; [exact inside | apply no_more_common; exact fewer] | right; exact rest]).
  - destruct c; cbn [with_badge] in H; try exact (guarded_ _ _ _ H given); (destruct badge0; [|discriminate]); injection H as <-;
      exact (alike _ _ eq_refl eq_refl eq_refl given).
  - exact (guarded_ _ _ _ H given).
  - exact (alike _ _ eq_refl eq_refl eq_refl given).
  - exact (alike _ _ eq_refl eq_refl eq_refl given).
  - exact (alike _ _ eq_refl eq_refl eq_refl given).
  - exact (alike _ _ eq_refl eq_refl eq_refl given).
  - revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of rights_of fst snd].
    assert (forall s z, is_in cnode (N.shiftl 1 (radix + slot_bits)) s z = true -> is_in cnode 1 s z = true) as smaller.
    { intros s z. unfold is_in. rewrite !andb_true_iff, !N.leb_le, N.shiftl_mul_pow2, N.mul_1_l.
      assert (2 ^ (radix + slot_bits) <> 0) by (apply N.pow_nonzero; discriminate). lia. }
    intros [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate.
    + right. right. right. split; [left; exact kind|]. split; [reflexivity | exact (smaller _ _ inside)].
    + right. left. split; [exact kind|]. split; [reflexivity | exact (smaller _ _ inside)].
  - revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of rights_of fst snd].
    assert (forall s z, is_in t (N.shiftl 1 tcb_size_bits) s z = true -> is_in t 1 s z = true) as smaller.
    { intros s z. unfold is_in. rewrite !andb_true_iff, !N.leb_le. change (N.shiftl 1 tcb_size_bits) with 2048. lia. }
    intros [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate.
    + right. right. right. split; [right; exact kind|]. split; [reflexivity | exact (smaller _ _ inside)].
    + right. left. split; [exact kind|]. split; [reflexivity | exact (smaller _ _ inside)].
  - revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of rights_of fst snd].
    intros [(kind & _)|[(_ & made & _)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate. right. right. left. split; [exact kind | left; reflexivity].
  - revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of rights_of fst snd].
    intros [(kind & _)|[(_ & made & _)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate. right. right. left. split; [exact kind | right; reflexivity].
  - revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of rights_of fst snd].
    intros [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate;
      (right; left; split; [exact kind|]; split; [reflexivity | exact inside]).
  - assert (is_in (fst (range_of (new_capability type at_ n device))) (snd (range_of (new_capability type at_ n device))) base (N.shiftl 1 bits) = true)
      as fits_.
    { unfold is_in. rewrite andb_true_iff, !N.leb_le. destruct type; cbn [new_capability range_of fst snd object_bits] in *; split; assumption || exact H0. }
    assert (made_of_untyped (cap_type (new_capability type at_ n device)) = true) as possible by (destruct type; reflexivity).
    revert given. unfold gives. rewrite !covers_cases. cbn [cap_type range_of rights_of fst snd].
    intros [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|(_ & kind & _)]]]; try discriminate;
      (right; left; split; [exact kind|]; split; [exact possible | exact (is_in_trans _ _ _ _ _ _ fits_ inside)]).
Qed.
Definition somebody_may (p : Policy) (c : Capability) : Prop := exists subject, may p subject c.
Lemma somebody_made p : silent p = [] -> forall c made, yields c made -> somebody_may p c -> somebody_may p made.
Proof.
  intros nobody c made made_so (subject & [quiet|(h & listed & whose & given)]); [rewrite nobody in quiet; contradiction|].
  exists subject. right. exists h. split; [exact listed|]. split; [exact whose | exact (gives_made h c made made_so given)].
Qed.
Theorem nothing_beyond_the_policy_proved : nothing_beyond_the_policy step.
Proof.
  intros p st next slot c nobody holds_ leads. revert slot c.
  assert (all_fine (somebody_may p) next) as kept.
  { induction leads as [|next e _ IH].
    - intros slot c. rewrite <- capability_at_in. intros found. destruct (holds_ slot c found) as (subject & _ & held). exists subject. exact held.
    - exact (@step_keeps nothing _ _ _ (fine_is_kept_quietly (somebody_may p)) (fine_is_kept (somebody_may p) (somebody_made p nobody))
               (nothing_given _) eq_refl next e IH). }
  intros slot c found. apply (kept slot). rewrite <- capability_at_in. exact found.
Qed.

(** Claim [only_calls_can_exceed]. *)
Theorem only_calls_can_exceed_proved : only_calls_can_exceed step.
Proof. intros p st e no_call. exact (within_of_slots p st _ (only_system_calls_move_capabilities_proved st e no_call)). Qed.
