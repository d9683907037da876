(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Policies and channels: proofs

    What a capability opens is its holder's by an edge of the policy; so what belongs to a set of subjects that is closed under the edges is closed under the
    rules by which things lead to things. *)
From Coq Require Import Lia.
From Spec Require Export EdgeProofs FlowClaims DangleProofs LiveProofs IntegrityProofs FieldProofs PolicyProofs.
Open Scope N_scope.

Lemma edge_listed rule : In rule edges. Proof. destruct rule; simpl; tauto. Qed.
Lemma next_is p a b : In b (next_subjects p a) <-> In b (subjects p) /\ exists rule, edge p a b rule = true.
Proof.
  unfold next_subjects. rewrite filter_In, existsb_exists. split; intros (listed & rule & more); (split; [exact listed|]); exists rule;
    [exact (proj2 more) | exact (conj (edge_listed rule) more)].
Qed.
Lemma owner_is_subject p x a : owner_of p x = Some a -> In a (subjects p).
Proof.
  unfold owner_of, subjects. destruct (List.find _ (regions p)) as [r|] eqn:found; [|discriminate]. intros same. injection same as <-.
  apply List.find_some in found. apply nodup_In, in_map. exact (proj1 found).
Qed.
Lemma owner_lies p x a start size : owner_of p x = Some a -> start <= x -> x < start + size -> lies_at p start size a = true.
Proof.
  unfold owner_of, lies_at. destruct (List.find _ (regions p)) as [r|] eqn:found; [|discriminate]. intros same above below. injection same as <-.
  apply List.find_some in found. destruct found as (listed & inside). unfold is_in in inside. rewrite andb_true_iff, !N.leb_le in inside.
  apply existsb_exists. exists r. split; [exact listed|]. rewrite N.eqb_refl. unfold overlaps. rewrite andb_true_l, andb_true_iff, !N.ltb_lt. lia.
Qed.
Lemma acts_by p a b f h : b = a \/ b = acting p a -> In h (permitted p) -> holder h = b -> f h = true -> acts_with p a f = true.
Proof.
  intros who listed whose is_f. apply existsb_exists. exists h. split; [exact listed|]. rewrite is_f, andb_true_r, whose. apply member_in.
  destruct who as [->| ->]; simpl; tauto.
Qed.

(** ** Sets of subjects *)
Section Found.
Variables (p : Policy) (found : list N).
Lemma theirs_is x : theirs p found x = true <-> is_theirs p found x.
Proof.
  unfold theirs, is_theirs. destruct (owner_of p x) as [a|]; [|split; [intros _ a; discriminate | reflexivity]]. split.
  - intros listed b same. injection same as <-. apply member_in. exact listed.
  - intros all_. apply member_in, all_. reflexivity.
Qed.
Lemma all_theirs_is start size x : all_theirs p found start size = true -> start <= x -> x < start + size -> is_theirs p found x.
Proof.
  unfold all_theirs, is_theirs, owner_of. intros all_ above below a same. revert all_ same.
  induction (regions p) as [|r l IH]; cbn [List.find]; [discriminate|].
  destruct (overlaps start size (region_start r) (region_size r)) eqn:meets_.
  - rewrite andb_true_iff, member_in. intros (inside & listed). assert (is_in x 1 (region_start r) (region_size r) = true) as at_r.
    { unfold is_in in *. rewrite andb_true_iff, !N.leb_le in inside. rewrite andb_true_iff, !N.leb_le. lia. }
    rewrite at_r. intros same. injection same as <-. exact listed.
  - destruct (is_in x 1 (region_start r) (region_size r)) eqn:at_r; [|exact IH]. exfalso. rewrite <- not_true_iff_false in meets_. apply meets_.
    unfold overlaps, is_in in *. rewrite andb_true_iff, !N.leb_le in at_r. rewrite andb_true_iff, !N.ltb_lt. lia.
Qed.

Hypothesis closed_ : is_closed_set p found = true.
Lemma goes_on a b rule : In a found -> In b (subjects p) -> edge p a b rule = true -> In b found.
Proof.
  intros listed is_subject is_edge. pose proof (proj1 (forallb_forall _ _) closed_ a listed) as each. cbv beta in each.
  apply member_in. refine (proj1 (forallb_forall _ _) each b _). apply next_is. split; [exact is_subject | exists rule; exact is_edge].
Qed.
Lemma unlimited a b x : In a found -> b = a \/ b = acting p a -> In b (silent p) -> is_theirs p found x.
Proof.
  intros listed who quiet c whose. refine (goes_on a c Unlimited listed (owner_is_subject p x c whose) _). unfold edge, says_nothing. apply orb_true_iff.
  destruct who as [->| ->]; [left | right]; apply member_in; exact quiet.
Qed.

(** What a capability to an object's memory stands for, all of it, is of those whom edges lead to. *)
Lemma inside_is_at h x b s z : owner_of p x = Some b -> is_in s z (held_start h) (held_size h) = true -> s <= x -> x < s + z -> is_at p b h = true.
Proof.
  intros owner_ inside above below. unfold is_in in inside. rewrite andb_true_iff, !N.leb_le in inside. apply (owner_lies p x b _ _ owner_); lia.
Qed.
Lemma used_is_theirs a who c x : In a found -> who = a \/ who = acting p a -> may p who c -> made_of_untyped (cap_type c) = true ->
  cap_type c <> CapType.Frame -> fst (range_of c) <= x -> x < fst (range_of c) + snd (range_of c) -> is_theirs p found x.
Proof.
  intros listed by_ [quiet|(h & permitted_ & whose & given)] memory_ no_frame above below; [exact (unlimited a who x listed by_ quiet)|].
  intros b owner_. refine (goes_on a b Using listed (owner_is_subject p x b owner_) _). apply (acts_by p a who _ h by_ permitted_ whose).
  pose proof (fun s z inside => inside_is_at h x b s z owner_ inside) as at_.
  unfold gives in given. apply covers_cases in given. unfold is_to_object, is_to.
  destruct given as [(kind & inside & _)|[(kind & _ & inside)|[(_ & [kind|kind])|([kind|kind] & _ & inside)]]].
  - rewrite (at_ _ _ inside above below), kind, memory_. destruct (same_type (cap_type c) CapType.Frame) eqn:frame; [|reflexivity].
    destruct (no_frame (same_type_eq _ _ frame)).
  - rewrite (at_ _ _ inside above below), kind. reflexivity.
  - rewrite kind in memory_. discriminate.
  - rewrite kind in memory_. discriminate.
  - rewrite (at_ _ _ inside above below), kind. reflexivity.
  - rewrite (at_ _ _ inside above below), kind. reflexivity.
Qed.
Lemma claimed a h irq b : In a found -> In h (permitted p) -> holder h = a -> held_type h = CapType.IRQControl ->
  owner_of p (irq_slot irq) = Some b -> In b found.
Proof.
  intros listed permitted_ whose kind owner_. apply (goes_on a b Claiming listed (owner_is_subject p _ b owner_)). unfold edge.
  rewrite (acts_by p a a _ h (or_introl eq_refl) permitted_ whose); [|unfold is_to; rewrite kind; reflexivity]. rewrite andb_true_l. apply existsb_exists.
  revert owner_. unfold owner_of. destruct (List.find _ (regions p)) as [r|] eqn:is_r; [|discriminate]. intros same. injection same as <-.
  apply List.find_some in is_r. destruct is_r as (in_r & inside). exists r. split; [exact in_r|]. rewrite N.eqb_refl, andb_true_l. apply N.ltb_lt.
  unfold is_in in inside. rewrite andb_true_iff, !N.leb_le in inside. revert inside. unfold irq_slot, slot_of. change slot_bytes with 32. lia.
Qed.
Lemma shiftl_one n : N.shiftl 1 n = 2 ^ n. Proof. rewrite N.shiftl_mul_pow2. lia. Qed.
Lemma size_positive n : 0 < N.shiftl 1 n. Proof. rewrite shiftl_one. pose proof (N.pow_nonzero 2 n ltac:(discriminate)). lia. Qed.
Lemma object_in_range c o : object_of c = Some o -> fst (range_of c) <= o /\ o < fst (range_of c) + snd (range_of c).
Proof.
  intros names_. destruct c; try discriminate names_; injection names_ as ->; cbn [range_of fst snd]; split; try lia;
    match goal with |- context [N.shiftl 1 ?n] => pose proof (size_positive n); lia end.
Qed.
Lemma object_is_theirs a who c o : In a found -> who = a \/ who = acting p a -> may p who c -> object_of c = Some o -> is_theirs p found o.
Proof.
  intros listed by_ held names_. apply (used_is_theirs a who c o listed by_ held); destruct (object_in_range c o names_) as (above & below); try assumption;
    destruct c; try discriminate names_; reflexivity || discriminate.
Qed.

(** Who may stand in what is theirs is theirs. *)
Definition waited_by (c : Capability) : Prop :=
  match c with EndpointCap _ _ _ | ReplyCap _ _ => True | NotificationCap _ _ r => can_read r = true | _ => False end.
Lemma standing_is_theirs t part who h c o : owner_of p t = Some part -> who = part \/ who = acting p part -> In h (permitted p) -> holder h = who ->
  gives h c = true -> object_of c = Some o -> waited_by c -> is_some (owner_of p o) = true -> is_theirs p found o -> is_theirs p found t.
Proof.
  intros of_t by_ permitted_ whose given names_ kind owned ok b same. rewrite of_t in same. injection same as <-.
  destruct (owner_of p o) as [a|] eqn:of_o; [|discriminate owned]. destruct (object_in_range c o names_) as (above & below).
  apply (goes_on a part Standing (ok a of_o) (owner_is_subject p t part of_t)). apply (acts_by p part who _ h by_ permitted_ whose).
  unfold gives in given. apply covers_cases in given. pose proof (fun inside => inside_is_at h o a _ _ of_o inside above below) as at_.
  destruct given as [(type & inside & rights_)|[(type & _ & inside)|[(_ & [type|type])|(_ & type & _)]]]; try (rewrite (at_ inside), andb_true_r);
    unfold stands_in; try rewrite type; unfold waited_by in kind; destruct c; try contradiction; try discriminate type; try reflexivity.
  apply no_more_le in rights_. cbn [cap_type]. exact (proj1 (proj2 rights_) kind).
Qed.
Lemma thread_is_theirs t : all_theirs p found t (N.shiftl 1 tcb_size_bits) = true ->
  is_theirs p found t /\ forall i, i < thread_slots -> is_theirs p found (slot_of t i).
Proof.
  intros all_. pose proof (all_theirs_is t (N.shiftl 1 tcb_size_bits)) as at_. change (N.shiftl 1 tcb_size_bits) with 2048 in *. unfold thread_slots, slot_of.
  change slot_bytes with 32. split; [|intros i less]; apply at_; try exact all_; lia.
Qed.

(** ** A state *)
Variable st : State.
Definition no_pool (o : N) : Prop := forall pool, objects st !! o <> Some (ASIDPoolObject pool).
Lemma whole_is_theirs t y : no_pool t -> is_theirs p found t -> (forall i, i < thread_slots -> is_theirs p found (slot_of t i)) -> In y (whole_thread t) ->
  things_of p found st y.
Proof.
  intros none ok slots_ok [<-|[<-|listed]]; [exact ok | split; [exact ok|]|].
  - intros pool_ i v there. destruct (none pool_ there).
  - apply in_map_iff in listed. destruct listed as (i & <- & less). apply in_numbers in less. apply slots_ok. unfold thread_slots in *. simpl in less. lia.
Qed.
Lemma kept_out {A} (f : A -> list N) (l : list A) : (forall a n, In a l -> In n (f a) -> is_theirs p found n) -> forallb (theirs p found) (flat_map f l) = true.
Proof. intros each. apply forallb_forall. intros n listed. apply in_flat_map in listed. destruct listed as (a & in_l & in_f). apply theirs_is. eauto. Qed.

Hypothesis live : capabilities_live st.
Hypothesis linked : links_live st.
Hypothesis waits_ : waits_are_right st.
Hypothesis within_ : PolicyClaims.within p st.
Hypothesis links_ : links_stay p found st = true.
Lemma object_checked o x : objects st !! o = Some x -> is_theirs p found o \/ is_theirs p found (slot_of o timeout_slot) ->
  (forall n, In n (asked_of p o x) -> is_theirs p found n)
  /\ match x with ThreadObject _ | CNodeObject _ => all_theirs p found o (size_of x) = true | _ => True end.
Proof.
  intros there either. pose proof links_ as checked. unfold links_stay in checked. apply andb_true_iff in checked. destruct checked as (of_objects & _).
  apply in_entries in there. pose proof (proj1 (forallb_forall _ _) of_objects _ there) as each. cbv beta iota zeta in each.
  rewrite orb_true_iff, negb_true_iff, orb_false_iff, andb_true_iff in each. destruct each as [(no_o & no_s)|(names_ & placed)].
  - exfalso. destruct either as [ok|ok]; apply theirs_is in ok; congruence.
  - split; [|destruct x; exact I || exact placed]. intros n listed. apply theirs_is. exact (proj1 (forallb_forall _ _) names_ n listed).
Qed.
Lemma slot_checked slot e n : slots st !! slot = Some e -> is_theirs p found slot -> In n (children e ++ spaces_of st (capability e)) -> is_theirs p found n.
Proof.
  intros there ok listed. pose proof links_ as checked. unfold links_stay in checked. apply andb_true_iff in checked. destruct checked as (_ & of_slots).
  apply in_entries in there. pose proof (proj1 (forallb_forall _ _) of_slots _ there) as each. cbv beta iota zeta in each.
  apply theirs_is in ok. rewrite ok in each. apply theirs_is. exact (proj1 (forallb_forall _ _) each n listed).
Qed.
Lemma in_the_name o n : o = Some n -> In n (the_name o). Proof. intros ->. left. reflexivity. Qed.
Lemma space_reached asid : (forall n, In n (the_name (pools st !! (asid / asid_pool_entries)) ++ the_name (vspace_of_asid asid st)) -> is_theirs p found n) ->
  things_of p found st (ASpace asid).
Proof. intros each. split; intros o same; apply each, in_app_iff; [left | right]; apply in_the_name; exact same. Qed.
Lemma all_spaces_reached asid :
  (forall n, In n (flat_map (fun e => snd e :: spaces_in (pool (snd e) st)) (entries (pools st))) -> is_theirs p found n) -> things_of p found st (ASpace asid).
Proof.
  intros each. split.
  - intros o same. apply each, in_flat_map. exists (asid / asid_pool_entries, o). split; [apply in_entries; exact same | left; reflexivity].
  - unfold vspace_of_asid. intros v same. destruct (pools st !! (asid / asid_pool_entries)) as [o|] eqn:is_pool_; [|discriminate].
    apply each, in_flat_map. exists (asid / asid_pool_entries, o). split; [apply in_entries; exact is_pool_|]. right. unfold spaces_in. cbn [snd].
    apply in_entries in same. exact (in_map snd _ _ same).
Qed.
Lemma opened_is_theirs slot e y : slots st !! slot = Some e -> is_theirs p found slot -> opens (capability e) y -> things_of p found st y.
Proof.
  intros there ok op. assert (capability_at slot st = Some (capability e)) as at_ by (unfold capability_at; rewrite there; reflexivity).
  destruct (holds_within p st within_ slot _ at_) as (a & whose & held). pose proof (ok a whose) as listed.
  assert (forall n, In n (spaces_of st (capability e)) -> is_theirs p found n) as spaces_
    by (intros n in_l; apply (slot_checked slot e n there ok), in_app_iff; right; exact in_l).
  pose proof (fun o same => none_dangles st live slot (capability e) o at_ same) as kind.
  destruct op as [c o names_|base bits device used x y above below in_l|e_ badge r grant|o radix guard size i less|o radix guard size|t y in_l|o y in_l
    |v asid|t q|base bits device r q|c asid which| |irq].
  - exact (object_is_theirs a a c o listed (or_introl eq_refl) held names_).
  - assert (is_theirs p found x) as ok_x by (apply (used_is_theirs a a _ x listed (or_introl eq_refl) held); cbn; (reflexivity || discriminate || assumption)).
    destruct in_l as [<-|[<-|[<-|[]]]]; try exact ok_x. split; [exact ok_x|]. intros pool_ i v there_p assigned_. apply spaces_. apply in_flat_map.
    exists (x, ASIDPoolObject pool_). split; [apply in_entries; exact there_p|]. cbn [fst snd].
    assert (is_in x 1 base (N.shiftl 1 bits) = true) as inside by (unfold is_in; rewrite andb_true_iff, !N.leb_le; lia).
    rewrite inside. apply in_entries in assigned_. exact (in_map snd _ _ assigned_).
  - split; [exact (object_is_theirs a a _ _ listed (or_introl eq_refl) held eq_refl)|].
    intros pool_ i v there_p. destruct (kind e_ eq_refl) as (z & same & fits_). rewrite same in there_p.
    injection there_p as ->. discriminate fits_.
  - refine (used_is_theirs a a _ _ listed (or_introl eq_refl) held eq_refl ltac:(discriminate) _ _);
      cbn [range_of fst snd]; unfold slot_of; change slot_bytes with 32;
      rewrite ?shiftl_one, ?N.pow_add_r; change (2 ^ slot_bits) with 32; lia.
  - split; [exact (object_is_theirs a a _ _ listed (or_introl eq_refl) held eq_refl)|].
    intros pool_ i v there_p. destruct (kind o eq_refl) as (z & same & fits_). rewrite same in there_p.
    injection there_p as ->. discriminate fits_.
  - apply (whole_is_theirs t y); [| | |exact in_l].
    + intros pool_ there_p. destruct (kind t eq_refl) as (z & same & fits_). rewrite same in there_p. injection there_p as ->. discriminate fits_.
    + exact (object_is_theirs a a _ _ listed (or_introl eq_refl) held eq_refl).
    + intros i less. refine (used_is_theirs a a _ _ listed (or_introl eq_refl) held eq_refl ltac:(discriminate) _ _);
      cbn [range_of fst snd]; unfold slot_of, thread_slots in *;
        change slot_bytes with 32; change (N.shiftl 1 tcb_size_bits) with 2048; lia.
  - pose proof (object_is_theirs a a _ _ listed (or_introl eq_refl) held eq_refl) as ok_o. destruct in_l as [<-|[<-|[]]].
    + split; [exact ok_o|]. intros pool_ i v there_p. destruct (kind o eq_refl) as (z & same & fits_). rewrite same in there_p. injection there_p as ->.
      discriminate fits_.
    + unfold things_of, slot_of. rewrite N.mul_0_r, N.add_0_r. exact ok_o.
  - apply space_reached. exact spaces_.
  - apply space_reached. exact spaces_.
  - apply space_reached. exact spaces_.
  - apply all_spaces_reached. destruct which as [same|(q & same)]; rewrite same in spaces_; exact spaces_.
  - intros irq free b owner_. destruct held as [quiet|(h & permitted_ & whose_h & given)]; [exact (unlimited a a _ listed (or_introl eq_refl) quiet b owner_)|].
    unfold gives in given. apply covers_cases in given.
    destruct given as [(kind_h & _)|[(_ & none & _)|[(_ & [none|none])|(_ & none & _)]]]; try discriminate none.
    exact (claimed a h irq b listed permitted_ whose_h kind_h owner_).
  - intros b owner_. destruct held as [quiet|(h & permitted_ & whose_h & given)]; [exact (unlimited a a _ listed (or_introl eq_refl) quiet b owner_)|].
    unfold gives in given. apply covers_cases in given.
    destruct given as [(kind_h & inside & _)|[(_ & none & _)|[(kind_h & _)|(_ & none & _)]]]; try discriminate none.
    + apply (goes_on a b Acknowledging listed (owner_is_subject p _ b owner_)). apply (acts_by p a a _ h (or_introl eq_refl) permitted_ whose_h).
      unfold is_to. rewrite kind_h. cbn [cap_type]. rewrite same_type_refl, andb_true_l. cbn [range_of fst snd] in inside.
      unfold is_in in inside. rewrite andb_true_iff, !N.leb_le in inside. apply (owner_lies p _ b _ _ owner_); unfold irq_slot, slot_of;
        change slot_bytes with 32; lia.
    + exact (claimed a h irq b listed permitted_ whose_h kind_h owner_).
Qed.

(** All that leads on stays within. *)
Lemma own_is_theirs t x y : objects st !! t = Some (ThreadObject x) -> is_theirs p found t \/ is_theirs p found (slot_of t timeout_slot) ->
  In y (whole_thread t) -> things_of p found st y.
Proof.
  intros there either. destruct (object_checked t _ there either) as (_ & placed). destruct (thread_is_theirs t placed) as (ok & slots_ok).
  apply whole_is_theirs; [intros pool_ same; congruence | exact ok | exact slots_ok].
Qed.
Lemma asked_is_theirs o x n : objects st !! o = Some x -> is_theirs p found o -> In n (asked_of p o x) -> is_theirs p found n.
Proof. intros there ok. apply (object_checked o x there). left. exact ok. Qed.

(** Who waits in what is theirs, and for what theirs wait. *)
Lemma thread_there t x : objects st !! t = Some (ThreadObject x) -> thread t st = x. Proof. intros there. unfold thread. rewrite there. reflexivity. Qed.
Lemma who_waits t q : stands t q st -> exists x, objects st !! t = Some (ThreadObject x) /\ says (run_state x) q.
Proof.
  intros stands_. assert (exists x, objects st !! t = Some (ThreadObject x)) as (x & there).
  { apply (threads_live st linked). right. right. left. exists q. exact stands_. }
  exists x. split; [exact there|]. apply (stands_where_it_says st waits_) in stands_. rewrite (thread_there t x there) in stands_. exact stands_.
Qed.
Definition waits_for (q : Post) (c : Capability) (o : N) : Prop :=
  object_of c = Some o /\ waited_by c
  /\ match q with InSenders e | InReceivers e | InWaiters e | AsReceiver e => e = o | AsCaller _ => False end.
Lemma waits_with_one s q : says s q -> match q with AsCaller _ => True | _ => exists c o, In c (waits_with s) /\ waits_for q c o end.
Proof.
  destruct s as [| |e [r|] rd g|e b g gr ic ld|r g|n], q as [o|o|o|o|o]; simpl; intros same; try contradiction; try exact I; subst o;
    eexists _, _; first [solve [split; [left; reflexivity | repeat split]] | solve [split; [right; left; reflexivity | repeat split]]].
Qed.
Lemma waiter_is_theirs t q o : stands t q st -> match q with InSenders e | InReceivers e | InWaiters e | AsReceiver e => e = o | AsCaller _ => False end ->
  is_some (owner_of p o) = true -> untold p t = false -> is_theirs p found o -> is_theirs p found t.
Proof.
  intros stands_ at_o owned told ok. destruct (who_waits t q stands_) as (x & there & says_). apply waits_with_one in says_.
  assert (exists c o', In c (waits_with (run_state x)) /\ waits_for q c o') as (c & o' & listed & names_ & kind & post)
    by (destruct q; (exact says_ || contradiction)).
  assert (o' = o) as -> by (destruct q; try contradiction; congruence).
  destruct (waits_within p st within_ t x there) as (part & of_t & each). unfold untold, says_nothing in told. rewrite of_t in told.
  apply orb_false_iff in told. destruct told as (loud & loud_acting). rewrite <- not_true_iff_false, member_in in loud, loud_acting.
  destruct (each c listed) as [[quiet|(h & permitted_ & whose & given)]|[quiet|(h & permitted_ & whose & given)]]; try contradiction.
  - exact (standing_is_theirs t part part h c o of_t (or_introl eq_refl) permitted_ whose given names_ kind owned ok).
  - exact (standing_is_theirs t part _ h c o of_t (or_intror eq_refl) permitted_ whose given names_ kind owned ok).
Qed.
Lemma waiter_or_asked o x t q (l : list N) : objects st !! o = Some x -> is_theirs p found o -> stands t q st ->
  match q with InSenders e | InReceivers e | InWaiters e | AsReceiver e => e = o | AsCaller _ => False end -> In t l ->
  incl (if is_some (owner_of p o) then filter (untold p) l else l) (asked_of p o x) -> is_theirs p found t.
Proof.
  intros there ok stands_ at_o listed asked. destruct (is_some (owner_of p o)) eqn:owned.
  - destruct (untold p t) eqn:told; [|exact (waiter_is_theirs t q o stands_ at_o owned told ok)].
    apply (asked_is_theirs o x t there ok), asked, filter_In. split; assumption.
  - exact (asked_is_theirs o x t there ok (asked t listed)).
Qed.
Lemma waited_for_is_theirs t x n : objects st !! t = Some (ThreadObject x) -> is_theirs p found t -> In n (waits_at (run_state x)) ->
  In n (match run_state x with BlockedOnReply r _ => [r] | _ => [] end) \/ is_theirs p found n.
Proof.
  intros there ok listed. destruct (waits_within p st within_ t x there) as (part & of_t & each).
  assert (forall c, In c (waits_with (run_state x)) -> object_of c = Some n -> is_theirs p found n) as by_cap.
  { intros c in_c names_. destruct (each c in_c) as [held|held];
      [exact (object_is_theirs part part c n (ok part of_t) (or_introl eq_refl) held names_)
      |exact (object_is_theirs part _ c n (ok part of_t) (or_intror eq_refl) held names_)]. }
  destruct (run_state x) as [| |e [r|] rd g|e b g gr ic ld|r g|m]; cbn [waits_at the_name] in listed; simpl in listed;
    repeat match goal with H : _ \/ _ |- _ => destruct H as [<-|H] end; try contradiction; try (left; left; reflexivity); right;
    (eapply by_cap; [left; reflexivity | reflexivity]) || (eapply by_cap; [right; left; reflexivity | reflexivity]).
Qed.
Lemma table_names_theirs o t n : objects st !! o = Some (VSpaceObject t) \/ objects st !! o = Some (PageTableObject t) -> is_theirs p found o ->
  In n (flat_map next_table (entries t)) -> is_theirs p found n.
Proof.
  intros there ok listed. destruct (maps_within p st within_ o t there) as (a & whose & each). apply in_flat_map in listed.
  destruct listed as ((i & e) & in_t & is_next). unfold next_table in is_next. cbn [snd] in is_next. destruct e as [u|]; [|contradiction].
  destruct is_next as [<-|[]]. apply in_entries in in_t.
  exact (object_is_theirs a a _ u (ok a whose) (or_introl eq_refl) (each i _ in_t) eq_refl).
Qed.
Lemma links_to o x n : objects st !! o = Some x -> is_theirs p found o -> In n (names_in x) -> is_theirs p found n.
Proof.
  intros there ok listed. pose proof (asked_is_theirs o x n there ok) as asked.
  destruct x as [radix|t|e|m|r|c|t|t|q]; cbn [names_in asked_of] in *; try (apply asked; exact listed); try contradiction.
  - apply in_app_iff in listed. destruct listed as [listed|listed]; [|apply asked, in_app_iff; right; exact listed].
    destruct (waited_for_is_theirs o t n there ok listed) as [more|theirs_]; [|exact theirs_]. apply asked, in_app_iff. left. exact more.
  - assert (exists q, stands n q st /\ match q with InSenders e | InReceivers e | InWaiters e | AsReceiver e => e = o | AsCaller _ => False end)
      as (q & stands_ & at_o).
    { pose proof listed as either. apply in_app_iff in either. destruct either as [in_l|in_l]; [exists (InSenders o) | exists (InReceivers o)];
        (split; [unfold stands, endpoint; rewrite there; exact in_l | reflexivity]). }
    exact (waiter_or_asked o _ n q (senders e ++ receivers e) there ok stands_ at_o listed (incl_refl _)).
  - apply in_app_iff in listed. destruct listed as [listed|listed]; [|apply asked, in_app_iff; right; exact listed].
    assert (stands n (InWaiters o) st) as stands_ by (unfold stands, notification; rewrite there; exact listed).
    exact (waiter_or_asked o _ n _ (waiters m) there ok stands_ eq_refl listed (incl_appl _ (incl_refl _))).
  - apply in_app_iff in listed. destruct listed as [listed|listed]; [apply asked, in_app_iff; left; exact listed|].
    apply in_app_iff in listed. destruct listed as [listed|listed]; [|apply asked, in_app_iff; right; apply in_app_iff; right; exact listed].
    assert (stands n (AsReceiver o) st) as stands_.
    { unfold stands, reply. rewrite there. destruct (receiver r) as [u|]; [|contradiction]. destruct listed as [<-|[]]. reflexivity. }
    exact (waiter_or_asked o _ n _ (the_name (receiver r)) there ok stands_ eq_refl listed (incl_appr _ (incl_appl _ (incl_refl _)))).
  - exact (table_names_theirs o t n (or_introl there) ok listed).
  - exact (table_names_theirs o t n (or_intror there) ok listed).
Qed.
Lemma things_are_closed : closed_under st (things_of p found st).
Proof.
  intros x y [slot c z there op|slot child listed|o z n there listed|o slot above below|e z t u there listed in_t|t z u there gives in_t
    |t z e badge r u there cap_ in_t|t z u there in_t|o z i v there assigned_|asid o there|asid v there|irq there] ok.
  - unfold capability_at in there. destruct (slots st !! slot) as [e|] eqn:found_; [|discriminate]. injection there as <-.
    exact (opened_is_theirs slot e z found_ ok op).
  - unfold children_of in listed. destruct (slots st !! slot) as [e|] eqn:found_; [|destruct listed].
    refine (slot_checked slot e child found_ ok _). apply in_app_iff. left. exact listed.
  - exact (links_to o z n there ok listed).
  - destruct ok as (ok & _). unfold slot_count in below. destruct (objects st !! o) as [z|] eqn:there; [|unfold slot_of in below; lia].
    destruct (object_checked o z there (or_introl ok)) as (_ & placed). unfold slot_of in below. change slot_bytes with 32 in below.
    destruct z; try lia; apply (all_theirs_is o _ slot placed above); cbn [size_of].
    + rewrite shiftl_one in *. rewrite N.pow_add_r. change (2 ^ slot_bits) with 32. lia.
    + change (N.shiftl 1 tcb_size_bits) with 2048. unfold thread_slots in below. lia.
  - destruct ok as (ok & _). pose proof (links_to e _ t there ok listed) as ok_t.
    assert (exists w, objects st !! t = Some (ThreadObject w)) as (w & is_t).
    { apply (threads_live st linked). right. right. left. apply in_app_iff in listed.
      destruct listed as [listed|listed]; [exists (InSenders e) | exists (InReceivers e)]; unfold stands, endpoint; rewrite there; exact listed. }
    exact (own_is_theirs t w u is_t (or_introl ok_t) in_t).
  - exact (own_is_theirs t z u there (or_introl ok) in_t).
  - exact (own_is_theirs t z u there (or_introl ok) in_t).
  - exact (own_is_theirs t z u there (or_intror ok) in_t).
  - destruct ok as (_ & ok). exact (ok z i v there assigned_).
  - destruct ok as (ok & _). exact (ok o there).
  - destruct ok as (_ & ok). exact (ok v there).
  - exact (ok irq there).
Qed.
End Found.

(** ** The claims *)
Theorem policy_shows_no_channel_proved : policy_shows_no_channel.
Proof.
  intros p st found subject live linked waits_ checked closed_ links_ off.
  split; [exact (things_are_closed p found closed_ st live linked waits_ (proj2 (pol_check_is_sound_proved p st checked)) links_)|].
  intros x whose. split; intros theirs_; exact (off (theirs_ subject whose)).
Qed.
Theorem policy_prevents_interference_proved : policy_prevents_interference step.
Proof.
  intros plan p sources subject st next apart reached_ checked kept runs x whose. unfold keeps_apart in kept.
  rewrite !andb_true_iff, negb_true_iff in kept. destruct kept as ((closed_ & links_) & off).
  refine (proj2 (run_noninterfered_proved plan p subject _ st next apart reached_ _ runs) x whose).
  apply policy_shows_no_channel_proved; try assumption.
  - exact (no_capability_dangles_proved plan st apart reached_).
  - exact (no_link_dangles_proved plan st apart reached_).
  - exact (threads_wait_where_they_say_proved plan st apart reached_).
  - rewrite <- (member_in subject), off. discriminate.
Qed.

(** What is computed: only what edges lead to, and all of it where it is closed. *)
Lemma spread_flows p sources turns : forall found fresh, (forall b, In b found -> exists a, In a sources /\ flows p a b) ->
  (forall b, In b fresh -> exists a, In a sources /\ flows p a b) -> forall b, In b (spread p turns found fresh) -> exists a, In a sources /\ flows p a b.
Proof.
  induction turns as [|turns IH]; intros found fresh ok_found ok_fresh; cbn [spread]; [exact ok_found|].
  destruct fresh as [|c fresh]; [exact ok_found|].
  assert (forall b, In b (filter (fun b => negb (member b found)) (next_subjects p c)) -> exists a, In a sources /\ flows p a b) as ok_more.
  { intros b listed. apply filter_In in listed. destruct listed as (listed & _). apply next_is in listed. destruct listed as (is_subject & rule & is_edge).
    destruct (ok_fresh c (or_introl eq_refl)) as (a & source & way). exists a. split; [exact source|]. exact (along_edge p a c b rule way is_subject is_edge). }
  apply IH; intros b listed; apply in_app_iff in listed; destruct listed as [listed|listed]; auto. apply ok_fresh. right. exact listed.
Qed.
Lemma spread_keeps p turns : forall found fresh b, In b found -> In b (spread p turns found fresh).
Proof.
  induction turns as [|turns IH]; intros found fresh b listed; cbn [spread]; [exact listed|]. destruct fresh as [|c fresh]; [exact listed|].
  apply IH, in_app_iff. right. exact listed.
Qed.
Theorem reach_is_exact_proved : reach_is_exact.
Proof.
  intros p sources b found. assert (forall c, In c sources -> exists a, In a sources /\ flows p a c) as itself
    by (intros c listed; exists c; split; [exact listed | apply to_itself_flows]).
  split; [exact (spread_flows p sources _ sources sources itself itself b)|]. intros closed_ a source way.
  induction way as [|b c rule way IH is_subject is_edge]; [exact (spread_keeps p _ _ _ a source)|].
  exact (goes_on p found closed_ b c rule IH is_subject is_edge).
Qed.

(** ** By which rule whose object changes *)
Section Edges.
Variables (p : Policy) (st : State) (e : Event) (subject : N).
Hypothesis closed_ : closed p.
Hypothesis within_ : slots_within p st.
Hypothesis does_ : does p st e subject.
Lemma caller_may c : (forall irq, cause e <> InterruptArrives irq) -> caller_names st c -> may p subject c.
Proof.
  intros no_irq (t & address & slot & is_cur & named). unfold does in does_. destruct (cause e) as [|irq| | | |];
    try (exact (threads_name_what_they_may_hold_proved p st t subject address slot c closed_ within_ (does_ t is_cur) named)).
  destruct (no_irq irq eq_refl).
Qed.
Lemma signalled_may n badge : signals st e n badge -> exists r, may p subject (NotificationCap n badge r).
Proof.
  unfold signals. destruct (cause e) as [|irq| | | |] eqn:which; try contradiction.
  - intros (r & _ & named). exists r. apply caller_may; [intros irq; congruence | exact named].
  - intros (r & at_). exists r. destruct (within_ _ _ at_) as (a & whose & held). unfold does in does_. rewrite which in does_. congruence.
Qed.

Lemma caller_is_no_interrupt rule : In rule (rules_of st e) -> ~ In rule (every_step ++ [BySignal; ByFlags; ByDonation]) ->
  forall irq, cause e <> InterruptArrives irq.
Proof. intros ok none irq arrives. apply none. unfold rules_of in ok. rewrite arrives in ok. exact ok. Qed.
Lemma sent_method t s at_ c m : sent_through t s at_ = Some (c, m) ->
  exists l, forall rule, In rule (rules_through (c, m)) -> In rule (rules_through (c, method_for l c)).
Proof.
  assert (forall a st, sent_by t a st = Some (c, m) -> exists l, m = method_for l c) as by_.
  { intros a s1 is_c. unfold sent_by in is_c. destruct (named_by t a s1) as [d|]; [|discriminate]. injection is_c as -> <-. eexists. reflexivity. }
  assert (forall a st, sent_by t a st = Some (c, m) -> exists l, forall rule, In rule (rules_through (c, m)) -> In rule (rules_through (c, method_for l c)))
    as of_method by (intros a s1 is_c; destruct (by_ a s1 is_c) as (l & ->); exists l; intros rule listed; exact listed).
  destruct s; try discriminate; cbn [sent_through]; try apply of_method; unfold passed_on; destruct (refuse_early _ _ _ _) as [s1|s1]; try discriminate;
    cbn [once_done]; try apply of_method. unfold answered_by. destruct (named_by t _ s1) as [[]|]; try discriminate. intros same. injection same as <- <-.
  exists 0. intros rule listed. exact listed.
Qed.
Lemma rule_has_edge rule : In rule (rules_of st e) -> (rule = BySignal -> exists n badge, signals st e n badge) -> has_edge p subject rule.
Proof.
  intros ok by_signal. pose proof (proj2 (proj2 (fields_change_by_rule_proved st e))) as named.
  assert (In rule unasked \/ rule = BySignal \/ exists c l, caller_names st c /\ (forall irq, cause e <> InterruptArrives irq)
                                                        /\ In rule (rules_through (c, method_for l c)))
    as [free|[is_signal|(c & l & names_ & no_irq & listed)]].
  { unfold rules_of in ok. apply in_app_iff in ok. destruct ok as [ok|ok]; [left; unfold unasked; apply in_app_iff; left; exact ok|].
    destruct (cause e) as [|irq| | | |] eqn:which; [destruct (current st) as [t|] eqn:is_cur; [|contradiction]| | contradiction
      | destruct (current st); [|contradiction] | destruct (current st); [|contradiction] | destruct (current st); [|contradiction]].
    2-5: simpl in ok; unfold unasked, every_step; repeat (destruct ok as [<-|ok]; [simpl; tauto|]); contradiction.
    destruct ok as [<-|ok]; [left; unfold unasked, every_step; simpl; tauto|]. destruct (system_call_of t (enter e st)) as [s|]; [|contradiction].
    unfold rules_of_call in ok. apply in_app_iff in ok. destruct ok as [ok|ok].
    - left. destruct (receives_then s); [|contradiction]. unfold unasked, every_step. simpl in *. tauto.
    - destruct (sent_through t s (enter e st)) as [(c & m)|] eqn:sent; [|contradiction]. right. right. destruct (sent_method t s _ c m sent) as (l & same).
      exists c, l. split; [exact (named t s c m eq_refl eq_refl sent)|]. split; [discriminate | exact (same rule ok)]. }
  - left. exact free.
  - destruct (by_signal is_signal) as (n & badge & signals_). destruct (signalled_may n badge signals_) as (r & held). right.
    exists (NotificationCap n badge r), 0. split; [exact held|]. rewrite is_signal. left. reflexivity.
  - right. exists c, l. split; [exact (caller_may c no_irq names_) | exact listed].
Qed.
Lemma signal_row o rule y z : changes st e o rule y z -> rule = BySignal -> exists badge, signals st e o badge.
Proof.
  intros row. destruct row as [a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|t n a made|i|a];
    try destruct in_row; intros same; try discriminate same. eexists. eassumption.
Qed.
Lemma row_may_change o rule y z : In rule (rules_of st e) -> changes st e o rule y z -> may_change p subject o rule y.
Proof.
  intros ok row. split.
  - apply (rule_has_edge rule ok). intros same. destruct (signal_row o rule y z row same) as (badge & signals_). exists o, badge. exact signals_.
  - assert (forall c, ~ In rule (every_step ++ [BySignal; ByFlags; ByDonation]) -> caller_names st c -> may p subject c) as named
      by (intros c none; exact (caller_may c (caller_is_no_interrupt rule ok none))).
    assert (forall n, ~ In rule (every_step ++ [BySignal; ByFlags; ByDonation]) -> names_notification st n ->
      exists badge r, may p subject (NotificationCap n badge r)) as of_notification
      by (intros n none (badge & r & names_); exists badge, r; exact (named _ none names_)).
    assert (forall c, ~ In rule (every_step ++ [BySignal; ByFlags; ByDonation]) -> names_context st c -> exists bits, may p subject (SchedContextCap c bits))
      as of_context by (intros c none (bits & names_); exists bits; exact (named _ none names_)).
    destruct row as [a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|a b r in_row|t n a made|i|a]; try exact I;
      destruct in_row; try exact I;
      try ((apply named || apply of_notification || apply of_context); [unfold every_step; simpl; intuition discriminate | assumption]).
    + match goal with H : signals _ _ _ _ |- _ => destruct (signalled_may _ _ H) as (r & held) end. exists badge, r. exact held.
    + assert (~ In ByConfiguration (every_step ++ [BySignal; ByFlags; ByDonation])) as none by (unfold every_step; simpl; intuition discriminate).
      match goal with H : names_context _ _ |- _ => destruct (of_context _ none H) as (bits & held) end. exists bits, core.
      split; [exact held | apply named; assumption].
Qed.
End Edges.
Theorem changes_follow_the_policy_proved : changes_follow_the_policy step.
Proof.
  intros plan p found st e subject apart reached_ checked closed_ links_ begins_ does_ next.
  destruct (pol_check_is_sound_proved p st checked) as (closed_policy & within_).
  pose proof (no_capability_dangles_proved plan st apart reached_) as live. pose proof (no_link_dangles_proved plan st apart reached_) as linked.
  pose proof (threads_wait_where_they_say_proved plan st apart reached_) as waits_.
  destruct (steps_stay_within_proved plan (things_of p found st) st e apart reached_
    (things_are_closed p found closed_ st live linked waits_ within_ links_) begins_) as (_ & [objects_ capabilities_ _ _]).
  destruct (fields_change_by_rule_proved st e) as (of_objects & of_slots & _). fold next in objects_, capabilities_, of_objects, of_slots. split; [|split].
  - intros o. destruct (theirs p found o) eqn:whose.
    + apply theirs_is in whose. specialize (of_objects o). assert (objects next !! o = objects st !! o
        \/ (only_messages st e -> met_by_edge p subject st e next o)) as [same|edge_].
      { destruct (is_it_messages st e) as [only|not_only]; [|right; contradiction].
        destruct (changes_by_edge plan p subject st e apart reached_ closed_policy within_ does_ only o); [left | right; intros _]; assumption. }
      { fold next. rewrite same. apply as_it_stood. }
      clear objects_. induction of_objects as [|rule y z before IH listed row]; [apply as_it_stood|].
      apply (and_by_edge _ _ _ _ _ rule y z IH); [|exact row]. split; [exact whose|]. split; [exact listed|]. split; [|exact edge_].
      exact (row_may_change p st e subject closed_policy (holds_within p st within_) does_ o rule y z listed row).
    + rewrite (objects_ o); [apply as_it_stood|]. intros theirs_. apply theirs_is in theirs_. congruence.
  - intros slot. specialize (of_slots slot). induction of_slots as [|rule y z before IH listed row]; [apply slot_as_it_was|].
    apply (and_slot_by _ _ rule y z IH); [|exact row]. split; [exact listed|].
    apply (rule_has_edge p st e subject closed_policy (holds_within p st within_) does_ rule listed). intros ->. inversion row; discriminate.
  - exact capabilities_.
Qed.
