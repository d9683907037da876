(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What threads run on: what ends, methods, and the step

    Before an object goes nothing is bound to it. So in every state that can be reached a thread and its context name each other, the calls of a context
    are those that say so, and who can run stands in a queue. *)
From Coq Require Import Lia.
From Spec Require Export BondProofs.
Open Scope N_scope.

(** A state in which all links are right. *)
Record whole (st : State) : Prop := { whole_linked : linked st; whole_waiting : waiting nobody st; whole_bonded : bonded none st }.

(** ** What ends *)
Definition unbonded (o : N) (st : State) : Prop :=
  sched_context (thread o st) = None /\ context_thread (context o st) = None /\ along (reply o st) = None.
Lemma removed_bonds o l st after : bonded none st -> unbonded o st -> calls (context o st) = l -> all_live after ->
  (forall s z, capability_at s after = Some (ZombieCap z) -> exists s', capability_at s' st = Some (ZombieCap z)) -> queue after = queue st ->
  objects after = remove o (objects (lose l st)) -> bonded none after.
Proof.
  intros ok (no_context & no_thread & no_along) stack alive fewer same_queue same. destruct (lost l st (b_live none st ok))
    as (_ & _ & threads & contexts & _ & replies).
  assert (forall u, thread u after = if u =? o then new_thread else thread u st) as thread_.
  { intros u. rewrite <- (threads u). unfold thread. rewrite same, find_remove. destruct (u =? o); reflexivity. }
  assert (forall k, context k after = if k =? o then new_sched_context min_sched_context_bits else context k st) as context_.
  { intros k. rewrite <- (contexts k). unfold context. rewrite same, find_remove. destruct (k =? o); reflexivity. }
  assert (forall r, reply r after = if r =? o then unused_reply else if member r l then without_context (reply r st) else reply r st) as reply_.
  { intros r. rewrite <- (replies r). unfold reply. rewrite same, find_remove. destruct (r =? o); reflexivity. }
  constructor.
  - exact alive.
  - intros u k. rewrite thread_, context_. pose proof (b_had none st ok u k) as both_. destruct (N.eqb_spec u o) as [->|], (N.eqb_spec k o) as [->|]; cbn.
    + split; discriminate.
    + split; [discriminate|]. intros back. apply both_ in back. congruence.
    + split; [|discriminate]. intros has. apply both_ in has. congruence.
    + exact both_.
  - intros r k. rewrite reply_, context_. pose proof (b_along none st ok r k) as both_. pose proof (b_along none st ok r o) as both_o. rewrite stack in both_o.
    destruct (N.eqb_spec r o) as [->|other].
    + split; [discriminate|]. destruct (k =? o); [intros []|]. intros listed. apply both_ in listed. congruence.
    + destruct (member r l) eqn:listed; [apply member_spec in listed|].
      * split; [discriminate|]. destruct (N.eqb_spec k o) as [->|other_k]; [intros []|]. intros at_k. apply both_ in at_k. apply both_o in listed. congruence.
      * destruct (N.eqb_spec k o) as [->|]; [|exact both_]. split; [|intros []]. intros with_o. apply both_o, member_spec in with_o. congruence.
  - intros k. rewrite context_. destruct (k =? o); [constructor | apply (b_once none st ok)].
  - intros r k. rewrite reply_. destruct (r =? o); [discriminate|]. destruct (member r l); [discriminate | apply (b_called none st ok)].
  - intros s u zombie. rewrite thread_. destruct (u =? o); [reflexivity|]. destruct (fewer s u zombie) as (s' & there). exact (b_zombies none st ok s' u there).
  - intros u _. rewrite same_queue. pose proof (b_queued none st ok u (fun no => no)) as queued_. unfold can_run in *. rewrite thread_.
    destruct (N.eqb_spec u o) as [->|other].
    + rewrite queued_. split; intros (_ & k & has & _); [congruence | discriminate].
    + rewrite queued_. pose proof (b_had none st ok u o) as both_. split; intros (runs & k & has & full); (split; [exact runs|]); exists k; (split;
        [exact has|]);
        rewrite context_ in *; destruct (N.eqb_spec k o) as [->|]; try exact full; apply both_ in has; congruence.
Qed.
Lemma discards s l st : bonded none st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> unbonded o st /\ calls (context o st) = l) ->
  (l = [] \/ exists c o, capability_at s st = Some c /\ object_of c = Some o /\ is_last c st = true) -> bonded none (discard s (lose l st)).
Proof.
  intros ok free here. destruct (lost l st (b_live none st ok)) as (alive1 & (slots1 & ready1 & sleeping1) & _ & _ & _ & _).
  assert (references (lose l st) = references st) as references1.
  { clear. revert st. induction l as [|r l IH]; intros st; [reflexivity|]. unfold lose. cbn [fold_left].
    fold (lose l (put_reply r (without_context (reply r st)) st)).
    rewrite IH. unfold put_reply. destruct (objects st !! r) as [[]|]; reflexivity. }
  pose proof (after_discard live_is_kept s (lose l st) eq_refl alive1) as alive. revert alive. unfold discard. rewrite (capability_same s st _ slots1).
  destruct (capability_at s st) as [c|] eqn:there.
  2: { intros _. destruct here as [->|(c & o & no & _)]; [exact ok | discriminate]. }
  rewrite (is_last_same c st _ references1).
  assert (forall j o, capability_at j (remove_capability s (lose l st)) = Some (ZombieCap o) -> exists k, capability_at k st = Some (ZombieCap o)) as fewer.
  { intros j o. rewrite !capability_at_in, in_remove_capability. destruct (j =? s); [discriminate|]. intros zombie. exists j.
    rewrite <- (capability_same j st _ slots1), capability_at_in. exact zombie. }
  assert (queue (remove_capability s (lose l st)) = queue st) as same_queue
    by (unfold queue; rewrite (remove_capability_same s (lose l st)); change (ready (lose l st) ++ sleeping (lose l st) = ready st ++ sleeping st); congruence).
  assert (all_live (remove_capability s (lose l st)) -> l = [] -> bonded none (remove_capability s (lose l st))) as only_slots.
  { intros alive ->. apply (bonded_same none none st); [exact alive | apply same_bonds_objects, objects_of_remove_capability | exact fewer | | exact ok].
    intros t _. rewrite same_queue. unfold can_run, thread, context. rewrite objects_of_remove_capability. exact (b_queued none st ok t (fun no => no)). }
  destruct (object_of c) as [o|] eqn:names; [destruct (is_zombie c || is_last c st) eqn:last|]; intros alive.
  - destruct (free c o eq_refl names last) as (unbound & stack). apply (removed_bonds o l st);
      [exact ok | exact unbound | exact stack | exact alive | exact fewer | exact same_queue|].
    change (objects (remove_object o (remove_capability s (lose l st)))) with (remove o (objects (remove_capability s (lose l st)))).
    rewrite objects_of_remove_capability. reflexivity.
  - apply (only_slots alive). destruct here as [no|(d & o' & is_d & _ & last_d)]; [exact no|]. injection is_d as <-. rewrite last_d, orb_true_r in last.
    discriminate.
  - apply (only_slots alive). destruct here as [no|(d & o' & is_d & names_d & _)]; [exact no|]. congruence.
Qed.
Lemma discard_bonds s st : bonded none st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> unbonded o st /\ calls (context o st) = []) ->
  bonded none (discard s st).
Proof. intros ok free. exact (discards s [] st ok free (or_introl eq_refl)). Qed.

(** What an object of another kind is not bonded to. *)
Definition bond_ends (c : Capability) (st : State) : Prop :=
  match c with
  | TCBCap t => sched_context (thread t st) = None
  | SchedContextCap k _ => context_thread (context k st) = None
  | ReplyCap r _ => along (reply r st) = None
  | _ => True
  end.
Lemma unbonded_by_kind s c o st : bonded none st -> capability_at s st = Some c -> object_of c = Some o -> bond_ends c st ->
  unbonded o st /\ (match c with SchedContextCap _ _ => True | _ => calls (context o st) = [] end).
Proof.
  intros ok there names ends. destruct (refers_to s c o st (b_live none st ok) there names) as (x & found & kind).
  pose proof (fun z => b_zombies none st ok s z) as zombies. unfold unbonded, bond_ends, thread, context, reply in *. clear ok.
  destruct c; cbn [object_of referent] in names; try discriminate names; injection names as ->; destruct x; try discriminate kind;
    try specialize (zombies o there); rewrite ?found in *; repeat split; try reflexivity; try exact ends; exact zombies.
Qed.
Lemma make_zombie_bonds s st : bonded none st -> (forall t, capability_at s st = Some (TCBCap t) -> sched_context (thread t st) = None) ->
  bonded none (make_zombie s st).
Proof.
  intros ok free. pose proof (after_make_zombie live_is_kept s st eq_refl (fun _ _ _ _ => I) (b_live none st ok)) as alive. revert alive.
  unfold make_zombie. destruct (slots st !! s) as [e|] eqn:there; [|intros _; exact (@keeps_emit _ _ _ _ (bonded_quietly none) Stuck st ok)].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|intros _; exact (@keeps_emit _ _ _ _ (bonded_quietly none) Stuck st ok)].
  intros alive. pose proof (replace_capability_same s e (ZombieCap o) st) as blind.
  assert (objects (replace_capability s e (ZombieCap o) st) = objects st /\ queue (replace_capability s e (ZombieCap o) st) = queue st)
    as (same & same_queue) by (unfold queue; rewrite blind; split; reflexivity).
  pose proof (same_bonds_objects st _ same) as bonds. destruct ok as [alive_ had_ along_ once called zombies queued_] eqn:is_ok.
  constructor; [exact alive | | | | | |].
  - intros t c. destruct (same_used _ _ bonds c) as (thread_ & _). rewrite (same_had _ _ bonds), thread_. apply had_.
  - intros r c. destruct (same_used _ _ bonds c) as (_ & calls_ & _). rewrite (same_along _ _ bonds), calls_. apply along_.
  - intros c. destruct (same_used _ _ bonds c) as (_ & calls_ & _). rewrite calls_. apply once.
  - intros r c. unfold reply. rewrite same. apply called.
  - intros j z. rewrite (same_had _ _ bonds), capability_at_in, (in_replace s e _ st j there). destruct (N.eqb_spec j s) as [->|];
      [|rewrite <- capability_at_in; apply zombies].
    intros names. injection names as <-. assert (capability_at s st = Some (capability e)) as at_s by (unfold capability_at; rewrite there; reflexivity).
    destruct (container_spec _ _ _ container) as (named & _). destruct (capability e) eqn:is_it; try discriminate container.
    + exact (proj1 (proj1 (unbonded_by_kind s _ o st ok at_s named I))).
    + cbn [object_of referent] in named. injection named as ->. exact (free o at_s).
    + exact (proj1 (proj1 (unbonded_by_kind s _ o st ok at_s named I))).
  - intros t no. rewrite same_queue. unfold can_run, thread, context. rewrite same. exact (queued_ t no).
Qed.

(** A context is taken from its thread. *)
Lemma thread_unbound c st : bonded none st ->
  let after := unbind_thread_of_context c st in
  bonded none after /\ context_thread (context c after) = None
  /\ (forall t, context_thread (context c st) = Some t -> sched_context (thread t after) = None)
  /\ (forall k, calls (context k after) = calls (context k st)).
Proof.
  intros ok. unfold unbind_thread_of_context. destruct (context_thread (context c st)) as [t|] eqn:back; cbv zeta;
    [|split; [exact ok | split; [exact back | split; [discriminate | reflexivity]]]].
  set (one := if is_number (current_context st) c then book_turn st else st).
  assert (steady none st one) as (ok1 & same)
    by (unfold one; destruct (is_number _ _); [exact (@keeps_book_turn _ _ _ _ (steady_quietly none st) st (steady_start none st ok)) |
      exact (steady_start none st ok)]).
  clearbody one. destruct (same_used _ _ same c) as (same_thread & _). rewrite back in same_thread.
  destruct (let_gone (also t none) none t c (unplace t one) (bonded_unplaced none t one ok1) same_thread (not_in_unplaced t one))
    as (after & _ & free & no & _ & stack); [intros u other [[]|is_t]; contradiction|].
  fold (lets_go t c (unplace t one)). split; [exact after|]. split; [exact no|]. split; [intros u is_u; injection is_u as <-; exact free|].
  intros k. rewrite stack. destruct (same_used _ _ same k) as (_ & same_calls & _). exact same_calls.
Qed.
Lemma calm_context ex c f st : (forall x, same_uses x (f x)) -> (forall x, context_bits (f x) = context_bits x) -> bonded ex st ->
  steady ex st (change_context c f st).
Proof.
  intros same bits ok. assert (same_bonds st (change_context c f st)) as bonds.
  { unfold change_context. destruct (objects st !! c) as [[]|] eqn:there; try (apply same_bonds_objects; reflexivity).
    apply (put_same_bonds _ _ _ st there); [symmetry; apply bits | apply same]. }
  split; [|exact bonds]. apply (bonded_calm ex st); [exact (context_live c f st bits (b_live ex st ok)) | exact bonds | apply context_frame | | exact ok].
  intros t. rewrite (proj1 (proj2 (after_context c f st))). reflexivity.
Qed.
Lemma loan_ended c st : bonded none st -> steady none st (unbind_notification_of_context c st).
Proof.
  intros ok. unfold unbind_notification_of_context. destruct (context_notification (context c st)) as [n|]; [|exact (steady_start none st ok)].
  destruct (calm_context none c (fun x => x <| context_notification := None |>) _ ltac:(repeat split) ltac:(reflexivity)
    (calm_notification none n (fun x => x <| lent_context := None |>) st ok)) as (after & same).
  split; [exact after | exact (same_bonds_trans _ _ _ (notification_bonds n _ st) same)].
Qed.
Lemma end_thread_bonds t st : whole st -> bonded none (end_thread t st) /\ sched_context (thread t (end_thread t st)) = None.
Proof.
  intros [_ wait ok]. unfold end_thread. cbv zeta. pose proof (suspended_bonds t st wait ok) as stopped_. revert stopped_. generalize (suspend t st). clear.
  intros st ok.
  set (one := match bound_notification (thread t st) with Some n => unbind_notification t n st | None => st end).
  assert (bonded none one) as after
    by (unfold one; destruct (bound_notification _) as [n|]; [exact (@keeps_unbind_notification _ _ _ _ (bonded_quietly none) t n eq_refl st ok) | exact ok]).
  clearbody one. unfold context_of. destruct (sched_context (thread t one)) as [c|] eqn:has; [|split; assumption].
  destruct (thread_unbound c one after) as (last_ & _ & free & _). split; [exact last_ | exact (free t (proj1 (b_had none one after t c) has))].
Qed.
Lemma end_notification_bonds n st : bonded none st -> bonded none (end_notification n st).
Proof.
  intros ok. unfold end_notification. cbv zeta. set (one := match bound_thread (notification n st) with Some t => unbind_notification t n st | None => st end).
  assert (bonded none one) as after
    by (unfold one; destruct (bound_thread _) as [t|]; [exact (@keeps_unbind_notification _ _ _ _ (bonded_quietly none) t n eq_refl st ok) | exact ok]).
  destruct (lent_context (notification n one)) as [c|]; [exact (proj1 (loan_ended c one after)) | exact after].
Qed.
Lemma end_context_bonds c st : bonded none st -> exists before, end_context c st = lose (calls (context c before)) before /\ bonded none before
  /\ context_thread (context c before) = None.
Proof.
  intros ok. unfold end_context. cbv zeta. set (one := match yielder (context c st) with Some t => end_yield t st | None => st end).
  assert (bonded none one) as ok1 by (unfold one; destruct (yielder _); [exact (@keeps_end_yield _ _ _ _ (bonded_quietly none) _ st ok) | exact ok]).
  clearbody one. destruct (thread_unbound c one ok1) as (ok2 & no & _ & _). destruct (loan_ended c _ ok2) as (ok3 & same).
  exists (unbind_notification_of_context c (unbind_thread_of_context c one)). split; [reflexivity|]. split; [exact ok3|].
  destruct (same_used _ _ same c) as (same_thread & _). congruence.
Qed.
Lemma gone_bonds s c st : whole st -> capability_at s st = Some c -> container_of c st = None -> bonded none (discard s (let_go c st)).
Proof.
  intros [_ wait ok] there no_container.
  destruct (let_go_tables c st) as (same_slots & same_references).
  pose proof (capability_same s st _ same_slots) as same_cap. rewrite there in same_cap. pose proof (is_last_same c st _ same_references) as same_last.
  pose proof (zombie_contains c st no_container) as no_zombie.
  assert (forall after, let_go c st = after -> bonded none after -> (is_last c st = true -> match c with SchedContextCap _ _ => False |
    _ => bond_ends c after end) ->
    bonded none (discard s after)) as plain.
  { intros after is_after fine ends. apply discard_bonds; [exact fine|]. rewrite is_after in *. intros d o is_d names last. rewrite same_cap in is_d.
    injection is_d as <-.
    rewrite no_zombie, same_last in last. cbn [orb] in last. specialize (ends last).
    assert (bond_ends c after) as ends_ by (destruct c; first [exact ends | contradiction]).
    destruct (unbonded_by_kind s c o after fine same_cap names ends_) as (unbound & stack). split; [exact unbound|].
    destruct c; first [exact stack | contradiction]. }
  destruct (is_last c st) eqn:last.
  2: { refine (plain (let_go c st) eq_refl _ ltac:(discriminate)). unfold let_go. destruct c; rewrite ?last; try exact ok.
       exact (@keeps_unmap_frame _ _ _ _ (bonded_quietly none) base size_bits place st ok). }
  destruct c as [base bits device used|e badge r|n badge r|r rights|cnode radix guard size|t|k bits|k|v a|tb p|base bits d r p| |p| | |irq| | |z];
    try (refine (plain (let_go _ st) eq_refl _ (fun _ => I)); unfold let_go; rewrite ?last; try exact ok).
  - apply end_notification_bonds. exact ok.
  - refine (plain (let_go (ReplyCap r rights) st) eq_refl _ _); unfold let_go; rewrite last; [exact (freed_bonds r st wait ok)|].
    intros _. cbn [bond_ends]. rewrite (proj1 (proj2 (reply_freed r st wait))). reflexivity.
  - unfold container_of in no_container. rewrite last in no_container. discriminate.
  - destruct (end_context_bonds k st ok) as (before & is_after & fine & no_thread). unfold let_go in *. rewrite last in *. rewrite is_after in *.
    destruct (lost (calls (context k before)) before (b_live none before fine)) as (_ & (slots1 & _ & _) & _).
    assert (capability_at s before = Some (SchedContextCap k bits)) as at_s by (rewrite <- (capability_same s before _ slots1); exact same_cap).
    apply discards; [exact fine | |].
    + intros d o is_d names _. rewrite at_s in is_d. injection is_d as <-. destruct (unbonded_by_kind s _ o before fine at_s names no_thread) as (unbound & _).
      split; [exact unbound|]. cbn [object_of referent] in names. injection names as <-. reflexivity.
    + right. exists (SchedContextCap k bits), k. split; [exact at_s | split; [reflexivity|]]. rewrite <- same_last. apply is_last_same. symmetry.
      clear. generalize (calls (context k before)). intros l. revert before. induction l as [|r l IH]; intros st; [reflexivity|]. unfold lose. cbn [fold_left].
      fold (lose l (put_reply r (without_context (reply r st)) st)). rewrite IH. unfold put_reply. destruct (objects st !! r) as [[]|]; reflexivity.
  - exact (@keeps_release_asid _ _ _ _ (bonded_quietly none) v a st ok).
  - exact (@keeps_unmap_table _ _ _ _ (bonded_quietly none) tb p st ok).
  - exact (@keeps_unmap_frame _ _ _ _ (bonded_quietly none) base bits p st ok).
  - exact (@keeps_release_pool _ _ _ _ (bonded_quietly none) p st ok).
  - exact (@keeps_end_interrupt _ _ _ _ (bonded_quietly none) irq eq_refl st ok).
Qed.

(** ** A unit of deletion *)
Lemma whole_by (f : State -> State) st : whole st -> (linked st -> linked (f st)) -> (waiting nobody st -> waiting nobody (f st))
  -> (bonded none st -> bonded none (f st)) ->
  whole (f st).
Proof. intros [link wait ok] one two three. constructor; auto. Qed.
Lemma whole_discard_zombie s o st : whole st -> capability_at s st = Some (ZombieCap o) -> whole (discard s st).
Proof.
  intros [link wait ok] there. constructor.
  - refine (zombie_discarded linked unlinked _ linked_discard s o st link there). intros j z before fine zombie.
    exact (unlinked_by_kind j _ z before fine zombie eq_refl I).
  - refine (zombie_discarded (waiting nobody) unawaited _ waiting_discard s o st wait there). intros j z before fine zombie.
    exact (unawaited_by_kind j _ z before fine zombie eq_refl I).
  - apply discard_bonds; [exact ok|]. intros c z is_c names _. rewrite there in is_c. injection is_c as <-. exact (unbonded_by_kind s _ z st ok there names I).
Qed.
Lemma whole_become s c st : whole st -> capability_at s st = Some c -> whole (become_zombie s c st).
Proof.
  intros all_ there. destruct all_ as [link wait ok] eqn:is_whole. constructor.
  - exact (become_kept linked unlinked linked_make_zombie linked_end_thread s c st link there).
  - exact (become_kept (waiting nobody) unawaited waiting_make_zombie waiting_end_thread s c st wait there).
  - unfold become_zombie. destruct c; try (apply make_zombie_bonds; [exact ok | intros t at_s; congruence]).
    destruct (end_thread_bonds thread st all_) as (after & free). apply make_zombie_bonds; [exact after|]. intros t at_s.
    rewrite (capability_same s st _ (proj1 (end_thread_tables thread st))), there in at_s. injection at_s as <-. exact free.
Qed.
Lemma whole_gone s c st : whole st -> capability_at s st = Some c -> container_of c st = None -> (waiting_on c st = [] \/ is_last c st = false) ->
  whole (discard s (let_go c st)).
Proof.
  intros all_ there no_container alone_. destruct all_ as [link wait ok] eqn:is_whole. constructor.
  - exact (gone linked unlinked linked_discard linked_let_go s c st link there no_container alone_).
  - exact (gone (waiting nobody) unawaited waiting_discard waiting_let_go s c st wait there no_container alone_).
  - exact (gone_bonds s c st all_ there no_container).
Qed.
Lemma whole_unit anchor st : whole st -> whole (snd (delete_unit anchor st)).
Proof.
  apply (unit_kept_by whole).
  - intros from to before all_. apply (whole_by (move_capability from to)); [exact all_ | | |];
      [exact (after_move_capability linked_kept from to before) | exact (after_move_capability (waiting_kept nobody) from to before) |
       exact (after_move_capability (bonded_kept none) from to before)].
  - exact whole_discard_zombie.
  - exact whole_become.
  - exact whole_gone.
  - intros s c t before all_ there listed. apply (whole_by (restart t)); [exact all_ | | |].
    + exact (@keeps_restart _ _ _ _ linked_quietly t eq_refl before).
    + intros wait. exact (restarted t before wait (waits_on_it c t before wait listed)).
    + exact (restarted_bonds t before (whole_waiting before all_)).
  - intros v a before all_. apply (whole_by (release_asid v a)); [exact all_ | | |];
      [exact (@keeps_release_asid _ _ _ _ linked_quietly v a before) | exact (@keeps_release_asid _ _ _ _ (waiting_quietly nobody) v a before) |
       exact (@keeps_release_asid _ _ _ _ (bonded_quietly none) v a before)].
Qed.

(** ** More may be frozen *)
Definition leaves_rest (f : Link -> bool) : Prop :=
  f Handling = false /\ f Yielding = false /\ f Placing = false /\ f Telling = false /\ f Ranking = false /\ f Faulting = false.
Lemma quietly_more (f g : Link -> bool) P : (forall k, f k = true -> g k = true) -> leaves_rest f -> leaves_rest g ->
  kept_quietly_but f P (fun _ => True) (fun _ => True) -> kept_quietly_but g P (fun _ => True) (fun _ => True).
Proof.
  intros more (no_f & yields_f & places_f & tells_f & ranks_f & faults_f) (no_g & yields_g & places_g & tells_g & ranks_g &
    faults_g) quiet. constructor; try (intros; exact I).
  - intros a b s r o d l. pose proof (looks_at_objects quiet a b s r o d l) as looks. unfold provided in *. rewrite no_f, places_f, tells_f in looks.
    rewrite no_g, places_g, tells_g. exact looks.
  - intros t st. pose proof (after_unplace quiet t st) as leaves. unfold provided, holds_contexts in *. pose proof (more Waiting) as waits_.
    pose proof (more Lending) as lends_.
    destruct (f Waiting), (g Waiting), (f Lending), (g Lending); cbn [andb] in *; try (specialize (waits_ eq_refl)); try (specialize (lends_ eq_refl));
      try discriminate;
      try exact leaves; intros [].
  - exact (after_place quiet).
  - exact (after_sleeping_anew quiet).
  - intros o x y st there kind change fine. apply (after_put_object quiet o x y st there kind); [|exact fine]. revert change.
    clear - more yields_f yields_g places_f places_g ranks_f ranks_g faults_f faults_g. unfold object_change.
    destruct y, x; rewrite ?places_f, ?places_g; try exact id;
      unfold thread_change, endpoint_change, notification_change, reply_change, context_change, table_change, as_well, holds_contexts;
      rewrite ?yields_f, ?yields_g, ?ranks_f, ?ranks_g, ?faults_f, ?faults_g;
      clear yields_f yields_g places_f places_g ranks_f ranks_g faults_f faults_g;
      pose proof (more Binding) as m1; pose proof (more Loan) as m2; pose proof (more Waiting) as m3; pose proof (more Lending) as m4;
        pose proof (more Mapping) as m5;
      clear more; intros change; repeat match goal with |- _ /\ _ => split | H : _ /\ _ |- _ => destruct H end;
      destruct (f Binding), (f Loan), (f Waiting), (f Lending), (f Mapping); cbn [andb] in *; intros is_frozen; try discriminate is_frozen;
      repeat match goal with H : true = true -> _ |- _ => specialize (H eq_refl) end;
      repeat match goal with H : g ?k = true |- _ => rewrite H in *; clear H end; cbn [andb] in *;
      repeat match goal with H : true = true -> _ |- _ => specialize (H eq_refl) end; try tauto;
      destruct (g Binding), (g Loan), (g Waiting), (g Lending), (g Mapping); cbn [andb] in *; tauto.
  - rewrite yields_g. exact I.
Qed.
Lemma all_quietly frozen P Q R : kept_quietly_but frozen P (fun _ => True) (fun _ => True) -> kept_quietly_but frozen Q (fun _ => True) (fun _ => True) ->
  kept_quietly_but frozen R (fun _ => True) (fun _ => True) -> kept_quietly_but frozen (fun st => P st /\ Q st /\ R st) (fun _ => True) (fun _ => True).
Proof. intros p q r. exact (both_quietly frozen _ _ p (both_quietly frozen _ _ q r)). Qed.
Definition but_whole (k : Link) : bool := match k with Handling | Mapping | Yielding | Placing | Telling | Ranking | Faulting => false | _ => true end.
Definition parts (st : State) : Prop := linked st /\ waiting nobody st /\ bonded none st.
Lemma parts_whole st : parts st -> whole st. Proof. intros (link & wait & ok). constructor; assumption. Qed.
Lemma whole_parts st : whole st -> parts st. Proof. intros [link wait ok]. exact (conj link (conj wait ok)). Qed.
Lemma parts_quietly : kept_quietly_but but_whole parts (fun _ => True) (fun _ => True).
Proof.
  apply all_quietly; [apply (quietly_more but_waiting) | apply (quietly_more but_binding) | apply (quietly_more but_lending)];
    try exact (conj eq_refl (conj eq_refl (conj eq_refl (conj eq_refl (conj eq_refl eq_refl))))); try (intros []; first [reflexivity | discriminate]);
    [exact linked_quietly | exact (waiting_quietly nobody) | exact (bonded_quietly none)].
Qed.
Lemma parts_kept : kept_but but_whole parts (fun _ => True) (fun _ => True).
Proof.
  pose proof linked_kept as l. pose proof (waiting_kept nobody) as w. pose proof (bonded_kept none) as b. constructor; try (intros; exact I); try discriminate.
  - intros slot p o c st from fine (x & y & z). exact (conj (after_insert_child l slot p o c st from fine x)
      (conj (after_insert_child w slot p o c st from fine y)
      (after_insert_child b slot p o c st from fine z))).
  - intros slot p o c st from fine (x & y & z). exact (conj (after_insert_sibling l slot p o c st from fine x)
      (conj (after_insert_sibling w slot p o c st from fine y)
      (after_insert_sibling b slot p o c st from fine z))).
  - intros u a s x slot c st from new fine (p & q & r). exact (conj (after_carve l u a s x slot c st from new fine p)
      (conj (after_carve w u a s x slot c st from new fine q) (after_carve b u a s x slot c st from new fine r))).
  - intros from to st (x & y & z). exact (conj (after_move_capability l from to st x) (conj (after_move_capability w from to st y)
      (after_move_capability b from to st z))).
  - intros slot c st fine (x & y & z). exact (conj (after_change_capability l slot c st fine x) (conj (after_change_capability w slot c st fine y)
      (after_change_capability b slot c st fine z))).
Qed.

(** ** Methods *)
Definition both (st : State) : Prop := waiting nobody st /\ bonded none st.
Lemma both_suspend_if b t st : both st -> both (suspend_if b t st).
Proof. intros (wait & ok). split; [exact (proj1 (suspended_if b t st wait))|]. destruct b; [exact (suspended_bonds t st wait ok) | exact ok]. Qed.
Lemma both_registers t f st : (forall x, sched_context (f x) = sched_context x) ->
  (forall x, run_state (f x) = run_state x) -> both st -> both (change_thread t f st).
Proof.
  intros same states (wait & ok). split; [exact (quiet_registers nobody t f st states wait)|].
  apply calm_thread; [exact same | intros x; rewrite states; reflexivity | exact ok].
Qed.
Lemma both_stop_for_writing t st : both st -> both (stop_for_writing t st).
Proof.
  intros (wait & ok). split; [exact (proj1 (stops_for_writing t st wait))|]. unfold stop_for_writing. cbv zeta.
  pose proof (@keeps_forget_yield _ _ _ _ (waiting_quietly nobody) t st wait) as wait1. pose proof (@keeps_forget_yield _ _ _ _ (bonded_quietly none) t st ok)
    as ok1.
  change (waiting nobody (forget_yield t st)) in wait1. change (bonded none (forget_yield t st)) in ok1. revert wait1 ok1. generalize (forget_yield t st).
  clear. intros st wait ok.
  destruct (is_blocked t st); [|exact ok]. apply calm_thread; [reflexivity | reflexivity | exact (suspended_bonds t st wait ok)].
Qed.
Lemma resumed_bonds b t st : both st -> bonded none (resume_if b t st).
Proof.
  intros (wait & ok). destruct b; [|exact ok]. cbn [resume_if]. unfold resume. destruct (is_running t st); [exact ok|].
  exact (proj1 (woken_none t _ (proj2 (both_suspend_if _ t st (conj wait ok))))).
Qed.
Lemma priority_bonds t p st : bonded none st -> bonded none (set_priority t p st).
Proof.
  intros ok. unfold set_priority. cbv zeta. set (one := change_thread t (fun x => x <| priority := p |>) st).
  assert (bonded none one) as after by (apply calm_thread; [reflexivity | reflexivity | exact ok]). clearbody one. clear ok st. rename one into st.
  destruct (run_state (thread t st)); try exact after; try (apply calm_endpoint; exact after); try (apply calm_notification; exact after).
  destruct (member t (sleeping st)) eqn:sleeps; [exact (after_sleeping_anew (bonded_quietly none) t st sleeps after)|].
  exact (@keeps_place_anew _ _ _ _ (bonded_quietly none) t st after).
Qed.
Lemma bound_bonds c t st : bonded none st -> thread_exists t st = true -> not_zombie t st -> context_of t st = None -> context_exists c st = true ->
  bonded none (bind_context c t st).
Proof.
  intros ok there alive free c_there. unfold bind_context. cbv zeta. destruct (given none c t st ok there alive free c_there) as (after & _).
  revert after. generalize (give_context c t st). clear. intros st after.
  refine (bonded_placed (also t none) none insert_behind t _ (or_introl eq_refl) _ _); [intros u other [[]|is_t]; contradiction|].
  destruct (is_running t st); [exact (@keeps_begin_sporadic _ _ _ _ (bonded_quietly (also t none)) t st after) | exact after].
Qed.
Lemma units_parts {A} remains (work : A -> State -> A * State) (a : A) st : (forall a st, parts st -> parts (snd (work a st))) ->
  parts st -> parts (state_of (in_units remains work a st)).
Proof. intros each ok. refine (@keeps_in_units _ _ _ _ parts_quietly A remains work a _ st ok). intros b before fine. exact (conj I (each b before fine)). Qed.
Lemma unit_parts anchor st : parts st -> parts (snd (delete_unit anchor st)).
Proof. intros ok. exact (whole_parts _ (whole_unit anchor st (parts_whole st ok))). Qed.
Lemma replaced_parts slot by_ st : parts st -> parts (state_of (replace_slot slot by_ st)).
Proof.
  intros ok. unfold replace_slot, delete. pose proof (units_parts is_occupied delete_unit slot st unit_parts ok) as after.
  destruct (in_units is_occupied delete_unit slot st) as [one|one]; [|exact after]. cbn [state_of and_then] in *. destruct by_ as [(source_ & c)|];
    [|exact after].
  exact (@keeps_insert_copy _ _ _ _ parts_quietly parts_kept slot source_ c I one after).
Qed.
Lemma canceled_parts e b st : parts st -> parts (state_of (cancel_badged_sends e b st)).
Proof.
  intros ok. unfold cancel_badged_sends.
  assert (parts (state_of (in_units (has_sender_with_badge e b) (cancel_unit e b) tt st))) as after.
  { apply units_parts; [|exact ok]. intros u before (link & wait & fine). unfold cancel_unit. cbn [snd].
    destruct (sender_with_badge e b before) as [t|] eqn:found;
      [|exact (conj link (conj wait fine))].
    apply List.find_some in found. destruct found as (listed & _). apply filter_In in listed. destruct listed as (listed & _).
    split; [exact (@keeps_restart _ _ _ _ linked_quietly t eq_refl before link)|]. split; [|exact (restarted_bonds t before wait fine)].
    apply restarted; [exact wait|]. apply (waits_on_it (EndpointCap e 0 all_rights) t before wait). apply in_app_iff. left. exact listed. }
  destruct (in_units _ _ _ _) as [one|one]; [|exact after]. cbn [state_of and_then] in *. destruct (_ && _); exact after.
Qed.
Lemma all_good call : @good _ (good_invocation (fun _ => True)) call.
Proof. split; [exact I|]. apply Forall_forall. intros a _. unfold good, good_argument, good_option. destruct (argument a); exact I. Qed.
Lemma method_parts m call st : fits m (invoked call) -> valid call st -> parts st ->
  match decode_method m call st with Perform work => bonded none (state_after (work st)) | Refuse _ _ => True end ->
  match decode_method m call st with Perform work => parts (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type placed (link & wait & ok).
  pose proof (decode_well _ _ _ _ linked_quietly linked_kept linked_operations m call st (all_good call) type placed link
    : decides_well linked _ _) as in_link.
  pose proof (decode_well _ _ _ _ (waiting_quietly nobody) (waiting_kept nobody) waiting_methods m call st (all_good call) type placed wait
    : decides_well (waiting nobody) _ _) as in_wait.
  unfold decides_well in *. destruct (decode_method m call st) as [|work]; [intros _; exact I|]. intros fine. exact (conj in_link (conj in_wait fine)).
Qed.

(** A context that is configured: its thread may run from now on, or could before. *)
Lemma context_moved c f st : (forall x, context_thread (f x) = context_thread x /\ calls (f x) = calls x) -> (forall x, context_bits (f x) = context_bits x) ->
  bonded none st -> bonded (fun t => context_thread (context c st) = Some t) (change_context c f st).
Proof.
  intros same bits [alive had_ along_ once called zombies queued_]. destruct (after_context c f st) as (contexts & threads & replies).
  destruct (context_frame c f st) as (same_slots & same_ready & same_sleeping).
  assert (forall k, context_thread (context k (change_context c f st)) = context_thread (context k st)) as thread_
    by (intros k; rewrite contexts; destruct (_ && _) eqn:is_c; [apply andb_prop, proj1, N.eqb_eq in is_c; subst k; apply same | reflexivity]).
  assert (forall k, calls (context k (change_context c f st)) = calls (context k st)) as calls_
    by (intros k; rewrite contexts; destruct (_ && _) eqn:is_c; [apply andb_prop, proj1, N.eqb_eq in is_c; subst k; apply same | reflexivity]).
  constructor.
  - exact (context_live c f st bits alive).
  - intros t k. rewrite threads, thread_. apply had_.
  - intros r k. rewrite replies, calls_. apply along_.
  - intros k. rewrite calls_. apply once.
  - intros r k. rewrite replies. apply called.
  - intros s t zombie. rewrite threads. rewrite (capability_same s st _ same_slots) in zombie. exact (zombies s t zombie).
  - intros t free. unfold queue. rewrite same_ready, same_sleeping. fold (queue st). rewrite (queued_ t (fun no => no)). unfold can_run. rewrite threads.
    split; intros (runs & k & has & full); (split; [exact runs|]); exists k; (split; [exact has|]); rewrite contexts in *;
      destruct (N.eqb_spec k c) as [->|]; try exact full; apply had_ in has; contradiction.
Qed.
Lemma configured_after core b p extra badge flags_ st c : configured (configure_context core b p extra badge flags_ st c) = true.
Proof.
  unfold configure_context, configured. cbv zeta. match goal with |- match refills ?x with _ => _ end = _ => change (refills x) with
    (configured_refills c (ticks_down b st) (if b =? p then ticks_down b st else ticks_up p st) (smallest_budget st) (now st)) end.
  unfold configured_refills. destruct (refills c), (context_thread c); try reflexivity. cbv zeta. destruct (_ =? _); [reflexivity|].
  destruct (_ =? _); [reflexivity|].
  destruct (_ || _); reflexivity.
Qed.
Lemma configured_bonds b p extra badge flags_ target call st : bonded none st ->
  match sched_control_configure_flags b p extra badge flags_ target call st with Perform work => bonded none (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros ok_. unfold sched_control_configure_flags. destruct (argument target) as [[]|]; try exact I. destruct (invoked call); try exact I. cbv zeta.
  repeat match goal with |- match (if ?x then _ else _) with _ => _ end => destruct x; [|exact I] end. cbn [state_after always].
  set (one := if is_number (current_context st) context then book_turn st else st).
  assert (bonded none one) as ok by (unfold one; destruct (is_number _ _); [exact (@keeps_book_turn _ _ _ _ (bonded_quietly none) st ok_) | exact ok_]).
  clearbody one. set (f := configure_context core b p extra badge flags_ one).
  pose proof (context_moved context f one ltac:(intros x; split; reflexivity) ltac:(reflexivity) ok) as moved_.
  destruct (after_context context f one) as (contexts & threads & _). destruct (context_frame context f one) as (_ & same_ready & same_sleeping).
  set (two := change_context context f one) in *.
  assert (context_thread (Objects.context context two) = context_thread (Objects.context context one)) as same_thread
    by (rewrite contexts; destruct (_ && _); reflexivity).
  destruct (context_thread (Objects.context context one)) as [t|] eqn:back.
  - assert (forall u, u <> t -> Some t = Some u -> none u) as others by (intros u other is_u; congruence).
    assert (bonded none (place t two) /\ bonded none (place_anew t two)) as (placed & anew).
    { split; [exact (bonded_placed _ none insert_behind t two (or_introl eq_refl) others moved_)|]. unfold place_anew.
      destruct (is_number (current two) t); [exact (bonded_placed _ none insert_ahead t two (or_intror (or_introl eq_refl)) others moved_) |
        exact (bonded_placed _ none insert_behind t two (or_introl eq_refl) others moved_)]. }
    unfold thread_that_uses. rewrite same_thread. destruct (member t (ready two)) eqn:queued_; [|exact placed]. destruct (_ && _); [|exact anew].
    refine (@keeps_will_book _ _ _ _ (bonded_quietly none) two _). apply (settled_at (fun u => Some t = Some u) none t); [|exact others | exact moved_].
    assert (In t (queue two)) as listed by (unfold queue; apply in_app_iff; left; apply member_spec; exact queued_). split; [intros _ | intros _; exact listed].
    assert (In t (queue one)) as before by (unfold queue in *; rewrite same_ready, same_sleeping in listed; exact listed).
    apply (b_queued none one ok t (fun no => no)) in before. destruct before as (runs & _). split; [rewrite threads; exact runs|].
    pose proof (proj2 (b_had none one ok t context) back) as has. exists context. split; [rewrite threads; exact has|].
    rewrite contexts, N.eqb_refl, (proj2 (had_exists none t context one ok has)). apply configured_after.
  - unfold thread_that_uses. rewrite same_thread. apply (weaker (fun t => None = Some t)); [discriminate | exact moved_].
Qed.
Lemma context_is_there s c bits st : all_live st -> capability_at s st = Some (SchedContextCap c bits) -> context_exists c st = true.
Proof.
  intros alive there. destruct (refers_to s _ c st alive there eq_refl) as (x & found & kind). unfold context_exists. rewrite found.
  destruct x; try discriminate kind. reflexivity.
Qed.
Lemma thread_is_there s t st : all_live st -> capability_at s st = Some (TCBCap t) -> thread_exists t st = true.
Proof.
  intros alive there. destruct (refers_to s _ t st alive there eq_refl) as (x & found & kind). unfold thread_exists. rewrite found.
  destruct x; try discriminate kind. reflexivity.
Qed.
Lemma bind_bonds a call st : fits Method.SchedContextBind (invoked call) -> capability_at (invoked_slot call) st = Some (invoked call)
  -> in_place a st -> parts st ->
  match sched_context_bind a call st with Perform work => bonded none (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type there placed (_ & wait & ok). unfold sched_context_bind, invoked_context.
  destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |]; try discriminate type. cbv zeta.
  destruct (argument a) as [[| |n badge r| | |t| | | | | | | | | | | | |]|] eqn:given_; try exact I; (destruct (_ && _); [|exact I]).
  - destruct (negb _); [|exact I]. cbn [state_after always].
    exact (proj1 (calm_context none c (fun x => x <| context_notification := Some n |>) _ ltac:(repeat split) ltac:(reflexivity)
      (calm_notification none n (fun x => x <| lent_context := Some c |>) st ok))).
  - destruct (context_of t st) eqn:free; [exact I|]. cbn [is_some negb state_after always]. pose proof (placed _ given_) as at_a.
    exact (bound_bonds c t st ok (thread_is_there _ t st (b_live none st ok) at_a) (holds_no_zombie _ t st wait at_a) free
      (context_is_there _ c bits st (b_live none st ok) there)).
Qed.
(** What TCB.SetSchedParams does before it replaces a capability. *)
Definition with_params (t mcp p : N) (c : option N) (st : State) : State :=
  let st := set_priority t p (change_thread t (fun x => x <| controlled_priority := mcp |>) st) in
  match c, context_of t st with
  | Some _, Some _ | None, None => st
  | Some c, None => bind_context c t st
  | None, Some old => unbind_thread_of_context old st
  end.
Lemma params_taken mcp p sc call st c : fits Method.TCBSetSchedParams (invoked call) -> capability_at (invoked_slot call) st = Some (invoked call) ->
  in_place sc st -> parts st -> match c with Some k => exists bits, argument sc = Some (SchedContextCap k bits) | None => True end ->
  parts (with_params (invoked_thread call) mcp p c st).
Proof.
  intros type there placed (link & wait & ok) given_. unfold invoked_thread. destruct (invoked call) as [| | | | |t| | | | | | | | | | | | |];
    try discriminate type.
  set (first_ := change_thread t (fun x => x <| controlled_priority := mcp |>) st).
  assert (parts (set_priority t p first_)) as after.
  { split; [|split].
    - refine (@keeps_set_priority _ _ _ _ linked_quietly t p eq_refl first_ _). refine (@keeps_change_thread _ _ _ _ linked_quietly t _ _ st link). intros x.
      split; [reflexivity | discriminate].
    - apply priority_set, quiet_registers; [reflexivity | exact wait].
    - apply priority_bonds, calm_thread; [reflexivity | reflexivity | exact ok]. }
  assert (slots (set_priority t p first_) = slots st) as same_slots.
  { exact (eq_trans (proj1 (@keeps_set_priority _ _ _ _ (tables_are_kept_quietly (slots first_) (references first_)) t p eq_refl first_ (conj eq_refl eq_refl)))
      (proj1 (thread_frame t _ st))). }
  unfold with_params. cbv zeta. unfold first_ in after, same_slots. clear first_. revert after same_slots.
  generalize (set_priority t p (change_thread t (fun x => x <| controlled_priority := mcp |>) st)). intros one (link1 & wait1 & ok1) same_slots.
  destruct c as [k|].
  - destruct given_ as (bits & given_). destruct (context_of t one) eqn:free; [exact (conj link1 (conj wait1 ok1))|].
    pose proof (placed _ given_) as at_a. rewrite <- (capability_same _ st one same_slots) in at_a. rewrite <- (capability_same _ st one same_slots) in there.
    split; [exact (@keeps_bind_context _ _ _ _ linked_quietly k t eq_refl one link1)|].
    split; [exact (@keeps_bind_context _ _ _ _ (waiting_quietly nobody) k t eq_refl one wait1)|].
    exact (bound_bonds k t one ok1 (thread_is_there _ t one (b_live none one ok1) there) (holds_no_zombie _ t one wait1 there) free
      (context_is_there _ k _ one (b_live none one ok1) at_a)).
  - destruct (context_of t one) as [old|]; [|exact (conj link1 (conj wait1 ok1))].
    split; [exact (@keeps_unbind_thread _ _ _ _ linked_quietly old eq_refl one link1)|].
    split; [exact (@keeps_unbind_thread _ _ _ _ (waiting_quietly nobody) old eq_refl one wait1) | exact (proj1 (thread_unbound old one ok1))].
Qed.
Lemma params_bonds mcp p authority sc fault_ep call st : fits Method.TCBSetSchedParams (invoked call) ->
  capability_at (invoked_slot call) st = Some (invoked call) -> in_place sc st -> parts st ->
  match tcb_set_sched_params mcp p authority sc fault_ep call st with Perform work => parts (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type there placed ok. pose proof (fun c => params_taken mcp p sc call st c type there placed ok) as before.
  unfold tcb_set_sched_params, thread_argument, in_progress. cbv zeta. destruct (argument authority) as [[]|]; try exact I.
  destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I].
  assert (forall q, parts (state_of q) -> parts (state_after match q with Done st => Returns [] st | Preempted st => Stops st end)) as progress by (intros [];
    exact id).
  destruct (argument sc) as [[]|] eqn:given_; try exact I.
  - destruct (_ && _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota.
    apply progress, replaced_parts. exact (before (Some context) (ex_intro _ _ eq_refl)).
  - destruct (negb _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota. apply progress, replaced_parts. exact (before None I).
Qed.
Lemma parts_methods : operations but_whole parts.
Proof.
  constructor; [right; exact unit_parts|]. intros m. destruct m; try (left; reflexivity); right; intros call st type (there & placed) ok.
  all: try (apply method_parts; [exact type | split; assumption | exact ok|]; unfold decode_method; destruct ok as (link & wait & fine)).
  - unfold tcb_read_registers. cbv zeta. destruct (negb _); [|exact I]. destruct (_ && _); [|exact I]. exact (proj2 (both_suspend_if _ _ st (conj wait fine))).
  - unfold tcb_write_registers, always. cbv zeta. destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I]. destruct (negb _); [|exact I].
    cbn [state_after].
    apply resumed_bonds, both_registers; [intros x; apply uses_of_registers | intros x; apply state_of_registers |
      exact (both_stop_for_writing _ st (conj wait fine))].
  - unfold tcb_copy_registers, thread_argument, always. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact I. destruct (_ && _); [|exact I].
    cbn [state_after].
    apply resumed_bonds. unfold copy_registers. apply both_registers; [intros x; apply uses_of_registers | intros x; apply state_of_registers|].
    exact (both_stop_for_writing _ _ (both_suspend_if _ thread st (conj wait fine))).
  - unfold tcb_set_priority, thread_argument, always. destruct (argument (cap 0 call)) as [[]|]; try exact I. destruct (_ <=? _); [|exact I].
    exact (priority_bonds _ _ st fine).
  - pose proof (fun mcp p authority fault_ep => params_bonds mcp p authority (cap 1 call) fault_ep call st type there (cap_in_place 1 call st placed)
      (conj link (conj wait fine))) as each.
    match goal with |- match tcb_set_sched_params ?mcp ?p ?authority _ ?fault_ep call st with _ => _ end => specialize (each mcp p authority fault_ep);
      destruct (tcb_set_sched_params mcp p authority (cap 1 call) fault_ep call st) end; [exact I | exact (proj2 (proj2 each))].
  - exact (suspended_bonds (invoked_thread call) st wait fine).
  - exact (resumed_bonds true (invoked_thread call) st (conj wait fine)).
  - unfold tcb_bind_notification. destruct (argument (cap 0 call)) as [[]|]; try exact I.
    repeat match goal with |- match (if ?x then _ else _) with _ => _ end => destruct x; [|exact I] end. cbn [state_after always].
    apply calm_notification, calm_thread; [reflexivity | reflexivity | exact fine].
  - unfold tcb_unbind_notification. destruct (bound_notification _) as [n|]; [|exact I].
    exact (@keeps_unbind_notification _ _ _ _ (bonded_quietly none) (invoked_thread call) n eq_refl st fine).
  - unfold cnode_cancel_badged_sends, slot_in, in_progress, always. destruct (_ && _); [|exact I]. destruct (slot_under _ _ _ st) as [slot|]; [|exact I].
    destruct (capability_at slot st) as [[]|]; try exact I. destruct (has_all_rights _); [|exact I]. destruct (_ =? _); [exact fine|].
    pose proof (canceled_parts endpoint badge st (conj link (conj wait fine))) as after. cbn [state_after].
    destruct (cancel_badged_sends endpoint badge st); exact (proj2 (proj2 after)).
  - exact (configured_bonds _ _ _ _ _ _ call st fine).
  - exact (bind_bonds (cap 0 call) call st type there (cap_in_place 0 call st placed) (conj link (conj wait fine))).
  - unfold sched_context_unbind. cbv zeta. destruct (negb _); [|exact I]. cbn [always state_after].
    exact (proj1 (loan_ended _ _ (proj1 (thread_unbound _ st fine)))).
  - unfold sched_context_unbind_object. cbv zeta. destruct (argument _) as [[]|]; try exact I.
    + destruct (is_number _ _); [|exact I]. exact (proj1 (loan_ended _ st fine)).
    + destruct (is_number _ _); [|exact I]. destruct (negb _); [|exact I]. exact (proj1 (thread_unbound _ st fine)).
Qed.

(** ** System calls *)
Lemma invoked_parts t slot c st : parts st -> capability_at slot st = Some c -> parts (snd (invoke t slot c st)).
Proof. intros ok there. exact (proj2 (invoke_good _ _ _ _ parts_quietly parts_kept parts_methods t slot c st there ok)). Qed.
Lemma phase_sends_bonds t a m st : parts st -> run_state (thread t st) = Running -> parts (snd (send_phase t a m st)).
Proof.
  intros (link & wait & ok) runs.
  split; [exact (proj2 (@keeps_send_phase _ _ _ _ linked_quietly linked_kept linked_operations t a m eq_refl st link))|].
  split; [exact (proj1 (phase_sends t a m st wait runs))|].
  unfold send_phase. destruct (occupied_slot_of_address t a st) as [(slot & c)|report] eqn:found; [|exact ok].
  apply occupied_in_place in found. pose proof (proj2 (proj2 (invoked_parts t slot c st (conj link (conj wait ok)) found))) as usual.
  destruct c; try exact usual.
  - destruct (can_write _); [|exact ok]. pose proof (sent_bonds t endpoint badge (can_grant rights) (can_grant_reply rights)
      (calls_back m) (lends_context m) (waits m) st wait ok runs) as after.
    destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [snd] in *; first [exact after | exact ok].
  - destruct (can_write _); [|exact ok]. exact (signalled_bonds _ _ st link wait ok).
  - exact (answered_bonds _ _ _ st wait ok).
  - exact (@keeps_emit _ _ _ _ (bonded_quietly none) _ st ok).
Qed.
Lemma raised_parts slot l t f st : parts st -> run_state (thread t st) = Running -> parts (raise_fault_to slot l t f st).
Proof.
  intros (link & wait & ok) runs. split; [exact (@keeps_raise_fault_to _ _ _ _ linked_quietly slot l t f eq_refl st link)|].
  split; [exact (raised slot l t f st wait runs) | exact (raised_bonds slot l t f st wait ok runs)].
Qed.
Lemma parts_thread t f st : (forall x, sched_context (f x) = sched_context x) -> (forall x, run_state (f x) = run_state x) ->
  (forall x, bound_notification (f x) = bound_notification x) -> parts st -> parts (change_thread t f st) /\ run_state (thread t (change_thread t f st))
    = run_state (thread t st).
Proof.
  intros same states bound (link & wait & ok). split; [split; [|exact (both_registers t f st same states (conj wait ok))]|].
  - refine (@keeps_change_thread _ _ _ _ linked_quietly t f _ st link). intros x. split; [intros _; apply bound | discriminate].
  - rewrite thread_after_change_thread. destruct (_ && _); [apply states | reflexivity].
Qed.
Lemma parts_restart t st : parts st -> parts (change_thread t to_restart st) /\ run_state (thread t (change_thread t to_restart st)) = run_state (thread t st).
Proof. apply parts_thread; reflexivity. Qed.
Lemma cap_faulted_parts t a p r st : parts st -> run_state (thread t st) = Running -> parts (snd (cap_fault t a p r st)).
Proof.
  intros ok runs. unfold cap_fault. cbn [snd]. destruct (parts_restart t st ok) as (after & same). apply raised_parts; [exact after | rewrite same; exact runs].
Qed.
Lemma unknown_parts t st : parts st -> run_state (thread t st) = Running -> parts (snd (unknown_system_call t st)).
Proof.
  intros ok runs. unfold unknown_system_call. cbn [snd]. destruct (parts_restart t st ok) as (after & same).
  apply raised_parts; [exact after | rewrite same; exact runs].
Qed.
Lemma result_parts t e l st : parts st -> parts (put_result t e l st).
Proof. exact (@keeps_put_result _ _ _ _ parts_quietly t e l st). Qed.
Lemma back_parts t st : parts st -> parts (go_back t st).
Proof. exact (@keeps_go_back _ _ _ _ parts_quietly t st). Qed.
Lemma sends_parts t m st : parts st -> run_state (thread t st) = Running -> parts (snd (sends t m st)).
Proof.
  intros ok runs. unfold sends, finish_send. pose proof (phase_sends_bonds t (register 0 (thread t st)) m st ok runs) as after.
  destruct (phase_sends t (register 0 (thread t st)) m st (proj1 (proj2 ok)) runs) as (_ & back).
  destruct (send_phase _ _ _ _) as ([e d| |x r|] & two); cbn [fst snd] in *.
  - destruct e; apply result_parts; exact after.
  - exact after.
  - rewrite (back x r eq_refl). destruct (faults m); [exact (cap_faulted_parts t x 0 r st ok runs) | apply result_parts; exact ok].
  - apply back_parts. exact after.
Qed.

(** Senders that are refused early: who runs goes on. *)
Definition goes_on_whole (t : N) (st : State) : Prop := parts st /\ run_state (thread t st) = Running.
Lemma goes_whole_quietly t : kept_quietly_but but_whole (goes_on_whole t) (fun _ => True) (fun _ => True).
Proof.
  apply both_quietly; [exact parts_quietly|]. constructor; try (intros; exact I).
  - intros a b _ _ same _ _ ok. unfold thread in *. rewrite same. exact ok.
  - intros u st [].
  - intros insert u st _ ok. unfold thread in *. rewrite (proj2 (proj2 (place_by_same insert u st))). exact ok.
  - intros u st _ ok. exact ok.
  - intros o x y st there same change _ ok. unfold thread in *. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
    destruct (N.eqb_spec t o) as [->|]; [|exact ok]. rewrite there in ok. destruct x, y; try contradiction same; try discriminate ok.
    rewrite (proj2 (proj2 change eq_refl)). exact ok.
Qed.
Lemma refused_whole t e r st : goes_on_whole t st -> goes_on_whole t (refuse_first e r st).
Proof.
  intros ((link & wait & ok) & runs). destruct (refused_and_goes t e r st (conj wait runs)) as (after & still_runs). split; [|exact still_runs].
  split; [exact (@keeps_refuse_first _ _ _ _ linked_quietly e r eq_refl st link)|]. split; [exact after | exact (first_refused_bonds e r st wait ok)].
Qed.
Lemma refused_early_whole t w first st : goes_on_whole t st -> goes_on_whole t (state_of (refuse_early t w first st)).
Proof.
  intros ok. unfold refuse_early. destruct (source_of t w st) as [e r g|n|a r]; try exact ok. destruct (_ && _); [|exact ok].
  refine (@keeps_in_units _ _ _ _ (goes_whole_quietly t) _ _ _ tt _ st ok). intros u before fine. exact (conj I (refused_whole t e r before fine)).
Qed.
Lemma unless_it_stops_whole t p rest : goes_on_whole t (state_of p) -> (forall st, goes_on_whole t st -> parts (snd (rest st)))
  -> parts (snd (unless_preempted t p rest)).
Proof. intros ok each. unfold unless_preempted. destruct p; [exact (each _ ok) | exact (back_parts t _ (proj1 ok))]. Qed.
Lemma receives_now_parts t w b st : parts st -> run_state (thread t st) = Running -> parts (snd (receive_now t w b st)).
Proof.
  intros (link & wait & ok) runs. split; [exact (proj2 (@keeps_receive_now _ _ _ _ linked_quietly linked_kept t w b eq_refl st link))|].
  split; [exact (receives_now t w b st wait runs)|]. unfold receive_now.
  assert (match source_of t w st with
          | FromEndpoint e r _ => endpoint_exists e st = true /\ forall r', r = Some r' -> reply_exists r' st = true
          | _ => True
          end) as there.
  { unfold source_of. cbv zeta. destruct (occupied_slot_of_address t (register 0 (thread t st)) st) as [(s & c)|] eqn:found; [|exact I].
    apply occupied_in_place in found. destruct c; try exact I.
    - pose proof (endpoint_there s _ _ _ st wait found) as e_there. destruct (negb _); [exact I|]. destruct w; [|split; [exact e_there | discriminate]].
      destruct (occupied_slot_of_address t (register 6 (thread t st)) st) as [(k & d)|] eqn:second; [|exact I]. apply occupied_in_place in second.
      destruct d; try exact I. split; [exact e_there|]. intros r' is_r. injection is_r as <-. exact (reply_there k _ _ st wait second).
    - destruct (_ && _); exact I. }
  destruct (source_of t w st) as [e r g|n|a r]; cbn [snd].
  - destruct there as (e_there & r_there). exact (receives_bonds t e r _ g b st link wait ok runs e_there r_there).
  - exact (waited_bonds t n b st link wait ok runs).
  - exact (proj2 (proj2 (cap_faulted_parts t a 1 r st (conj link (conj wait ok)) runs))).
Qed.
Lemma phase_receives_parts t w b st : parts st -> run_state (thread t st) = Running -> parts (snd (receive_phase t w b st)).
Proof.
  intros ok runs. apply (unless_it_stops_whole t _ (receive_now t w b)); [exact (refused_early_whole t w _ st (conj ok runs))|].
  intros one (fine & goes_on_). exact (receives_now_parts t w b one fine goes_on_).
Qed.
Lemma then_receives_parts t w st : parts st -> parts (snd (then_receive t w st)).
Proof.
  intros ok. unfold then_receive. destruct (negb (thread_exists t st)); [exact ok|]. cbv zeta.
  assert (parts (becomes (if w then Syscall.Recv else Syscall.Wait) t st)) as after by exact (@keeps_becomes _ _ _ _ parts_quietly _ t st ok).
  revert after. generalize (becomes (if w then Syscall.Recv else Syscall.Wait) t st). intros one after.
  assert (parts (change_thread t to_restart (forget_yield t one))) as restarts
    by exact (proj1 (parts_restart t _ (@keeps_forget_yield _ _ _ _ parts_quietly t one after))).
  destruct (is_running t one) eqn:runs; cbn [andb]; [|exact restarts].
  destruct (negb _); [apply phase_receives_parts; [exact after | apply running_is; exact runs] | exact restarts].
Qed.
Lemma reply_phase_parts t st : parts st -> parts (reply_phase t st).
Proof.
  intros (link & wait & ok). split; [exact (@keeps_reply_phase _ _ _ _ linked_quietly linked_kept t eq_refl st link)|].
  split; [exact (reply_phase_waits t st wait)|].
  unfold reply_phase. destruct (occupied_slot_of_address _ _ _) as [(s & [])|]; try exact ok. exact (answered_bonds _ _ _ st wait ok).
Qed.
Lemma passes_on_parts t w st : goes_on_whole t st -> parts (snd (send_and_receive t w st)).
Proof.
  intros ok. unfold send_and_receive. apply unless_it_stops_whole; [exact (refused_early_whole t w _ st ok)|]. clear st ok. intros st (ok & runs).
  pose proof (phase_sends_bonds t (register 8 (thread t st)) passing_on st ok runs) as after. fold (pass_on t st) in after.
  destruct (pass_on t st) as ([e d| |x r|] & two); cbn [snd] in *; try exact (then_receives_parts t w two after); [|exact (back_parts t two after)].
  apply then_receives_parts. exact (@keeps_write_long_words _ _ _ _ parts_quietly t _ two after).
Qed.
Lemma call_runs_parts s t st : parts st -> run_state (thread t st) = Running -> parts (snd (run_system_call s t st)).
Proof.
  intros ok runs. unfold run_system_call. cbv zeta. destruct s;
    first [ exact (sends_parts t _ st ok runs) | exact (phase_receives_parts t _ _ st ok runs) | exact (passes_on_parts t _ st (conj ok runs))
          | exact (@keeps_yield _ _ _ _ parts_quietly t st ok) | exact (@keeps_emit _ _ _ _ parts_quietly _ st ok) | idtac ].
  - unfold reply_and_receive. apply unless_it_stops_whole; [exact (refused_early_whole t true _ st (conj ok runs))|]. intros before (fine & _).
    apply then_receives_parts, reply_phase_parts. exact fine.
  - refine (proj1 (parts_thread t _ st _ _ _ ok)); reflexivity.
Qed.
Lemma system_calls_parts t st : parts st -> run_state (thread t st) = Running -> parts (snd (system_call t st)).
Proof.
  intros ok runs. unfold system_call. cbv zeta. destruct (Syscall.of_number _) as [s|]; [|exact (unknown_parts t st ok runs)].
  destruct (_ && _); [exact (unknown_parts t st ok runs) | exact (call_runs_parts s t st ok runs)].
Qed.

(** ** Other events *)
Lemma interrupts_parts irq st : parts st -> parts (interrupt irq st).
Proof.
  intros (link & wait & ok). split; [exact (@keeps_interrupt _ _ _ _ linked_quietly irq eq_refl st link)|]. split; [exact (interrupts_wait irq st wait)|].
  unfold interrupt. cbv zeta. destruct (interrupts st !! irq) as [i|].
  - assert (bonded none (if irq =? irq_serror then st else set_mask irq true st)) as usual
      by (destruct (_ =? _); [exact ok | exact (@keeps_set_mask _ _ _ _ (bonded_quietly none) irq true st ok)]).
    destruct (capability_at (irq_slot irq) st) as [[]|]; try exact usual. destruct (is_held_back irq); [|exact (signalled_bonds _ _ st link wait ok)].
    apply signalled_bonds; [exact (@keeps_change_interrupt _ _ _ _ linked_quietly irq _ st link) |
      exact (@keeps_change_interrupt _ _ _ _ (waiting_quietly nobody) irq _ st wait)
      | exact (@keeps_change_interrupt _ _ _ _ (bonded_quietly none) irq _ st ok)].
  - destruct (is_held_back irq); [exact (@keeps_emit _ _ _ _ (bonded_quietly none) _ st ok) | exact ok].
Qed.
Lemma times_out_parts t c st : goes_on_whole t st -> parts (time_out t c st).
Proof.
  intros ok. unfold time_out. destruct (capability_at _ st) as [[]|]; try exact (proj1 ok).
  destruct (@keeps_report_consumed _ _ _ _ (goes_whole_quietly t) c st ok) as (_ & (after & runs)). destruct (report_consumed c st) as (used & two).
  cbn [snd] in *.
  exact (raised_parts _ _ t _ two after runs).
Qed.
Lemma budget_ends_parts st : parts st -> parts (end_budget st).
Proof.
  intros ok. unfold end_budget. cbv zeta. pose proof (@keeps_book_turn _ _ _ _ parts_quietly st ok) as booked. change (parts (book_turn st)) in booked.
  revert booked. generalize (book_turn st). clear. intros st ok. destruct (current_context st) as [c|]; [|exact ok]. unfold thread_that_uses.
  destruct (context_thread (context c st)) as [t|]; [|exact ok]. destruct (member t (ready st)) eqn:queued_; [|exact ok].
  destruct (is_used_up c st); [|exact ok].
  apply times_out_parts. refine (@keeps_place _ _ _ _ (goes_whole_quietly t) t st (conj ok _)). apply (w_runs nobody st (proj1 (proj2 ok))), in_app_iff. left.
  apply member_in. exact queued_.
Qed.
Lemma faults_parts t c st : goes_on_whole t st -> parts (snd (user_fault t c st)).
Proof.
  intros (ok & runs). unfold user_fault. cbv zeta. destruct c; try exact ok; try exact (raised_parts _ _ t _ st ok runs). unfold debug_event. cbv zeta.
  destruct reason; try exact (raised_parts _ _ t _ st ok runs).
  destruct (parts_thread t (fun x => x <| step_count := step_count x - 1 |>) st) as (after & same); try reflexivity; [exact ok|].
  destruct (_ =? _); [|exact after]. apply raised_parts; [exact after | rewrite same; exact runs].
Qed.
Lemma handled_parts c st : parts st -> (forall t, current st = Some t -> run_state (thread t st) = Running) -> parts (snd (handle c st)).
Proof.
  intros ok runs. unfold handle. destruct c, (current st) as [t|]; try exact ok;
    first [ exact (system_calls_parts t st ok (runs t eq_refl)) | exact (interrupts_parts _ st ok) | exact (faults_parts t _ st (conj ok (runs t eq_refl))) |
      idtac ].
  all: exact (@keeps_end_turn_if_due _ _ _ _ parts_quietly _ (@keeps_wake_sleepers _ _ _ _ parts_quietly _ (budget_ends_parts st ok))).
Qed.
Lemma parts_field a b : parts a -> slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a ->
  sleeping b = sleeping a -> parts b.
Proof. intros ok s r o d l. exact (looks_at_objects parts_quietly a b s r o d l ok). Qed.
Lemma chosen_parts st : parts st -> parts (choose_thread st).
Proof.
  intros ok. unfold choose_thread. cbv zeta. set (one := if ends_turn (choices st) then end_turn_if_due st else st).
  assert (parts one) as ok1 by (unfold one; destruct (ends_turn _); [exact (@keeps_end_turn_if_due _ _ _ _ parts_quietly st ok) | exact ok]).
  clearbody one. set (two := if stays_in_use one && negb (books (choices one)) then one else change_context_in_use one).
  assert (parts two) as ok2.
  { unfold two. destruct (_ && _); [exact ok1|]. unfold change_context_in_use. cbv zeta. pose proof (budget_ends_parts one ok1) as ended.
    revert ended. generalize (end_budget one). intros three ok3. set (four := three <| current_context := context_of_first three |>).
    assert (parts four) as ok4 by (apply (parts_field three); [exact ok3 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
    clearbody four. destruct (context_of_first three) as [c|]; [|exact ok4]. destruct (_ || _); [exact ok4|].
    refine (@keeps_change_context _ _ _ _ parts_quietly c _ _ _ four ok4).
    - split; [intros; exact I|]. intros x. symmetry. apply bits_of_begin_use.
    - intros x _. split; [apply uses_of_begin_use | apply loan_of_begin_use]. }
  clearbody two. set (three := two <| current := first_ready two |>).
  assert (parts three) as ok3 by (apply (parts_field two); [exact ok2 | reflexivity | reflexivity | reflexivity | reflexivity | reflexivity]).
  clearbody three. destruct (first_ready two) as [t|]; [|exact ok3].
  refine (@keeps_end_yield_by _ _ _ _ parts_quietly report_booked t reports_booked _ three ok3).
  intros c. exact (@keeps_report_booked _ _ _ _ parts_quietly c).
Qed.
Lemma step_parts st e : parts st -> (forall t, current st = Some t -> In t (ready st)) -> parts (fst (fst (step st e))).
Proof.
  intros ok runs. unfold step, finish. pose proof (@keeps_enter _ _ _ _ parts_quietly e st ok) as entered. change (parts (enter e st)) in entered.
  destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st (proj1 (proj2 ok)))) as (_ & same).
  assert (parts (snd (handle (cause e) (enter e st)))) as after.
  { apply handled_parts; [exact entered|]. intros t is_cur. rewrite (same_state _ _ same). apply (w_runs nobody st (proj1 (proj2 ok))), in_app_iff. left.
    apply runs.
    rewrite <- is_cur. unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur;
      [|exact (eq_sym cur)].
    unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact (eq_sym cur). }
  destruct (handle (cause e) (enter e st)) as (result & two). cbn [fst snd] in *.
  exact (@keeps_leave _ _ _ _ parts_quietly _ (chosen_parts two after)).
Qed.

(** ** Boot *)
Lemma roots_are_unbonded p o : let start := put_root_objects p (nothing_yet (boot_machine p)) in
  sched_context (thread o start) = None /\ context_thread (context o start) = None /\ calls (context o start) = [] /\ reply o start = unused_reply.
Proof.
  cbv zeta. unfold thread, context, reply. rewrite root_objects, !find_set. change (objects (nothing_yet (boot_machine p))) with (@empty Object).
  rewrite find_empty.
  repeat match goal with |- context [?a =? ?b] => destruct (a =? b) end; repeat split; reflexivity.
Qed.
Lemma roots_change_slots p start : let after := insert_roots p start in objects after = objects start /\ queue after = queue start.
Proof.
  unfold insert_roots. cbv zeta. generalize (root_capabilities p ++ dynamic_capabilities p). intros l. revert start.
  induction l as [|(slot & c) l IH]; intros st; [split; reflexivity|]. cbn [fold_left fst snd]. destruct (IH (insert_root slot c st)) as (objs & same).
  pose proof (insert_root_same slot c st) as blind. rewrite objs, same. unfold queue. rewrite blind. split; reflexivity.
Qed.
Lemma bonded_at_start p : roots_are_apart p -> bonded none (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros apart. set (start := put_root_objects p (nothing_yet (boot_machine p))). destruct (roots_change_slots p start) as (objs & same_queue).
  pose proof (fun o => roots_are_unbonded p o) as bare. cbv zeta in bare. fold start in bare.
  assert (forall o, thread o (insert_roots p start) = thread o start /\ context o (insert_roots p start) = context o start /\ reply o (insert_roots p start)
    = reply o start)
    as reads by (intros o; unfold thread, context, reply; rewrite objs; repeat split; reflexivity).
  constructor.
  - exact (live_at_start p apart).
  - intros t c. destruct (reads t) as (-> & _), (reads c) as (_ & -> & _). destruct (bare t) as (-> & _), (bare c) as (_ & -> & _). split; discriminate.
  - intros r c. destruct (reads r) as (_ & _ & ->), (reads c) as (_ & -> & _). destruct (bare r) as (_ & _ & _ & ->), (bare c) as (_ & _ & -> & _).
    split; [discriminate | intros []].
  - intros c. destruct (reads c) as (_ & -> & _), (bare c) as (_ & _ & -> & _). constructor.
  - intros r c. destruct (reads r) as (_ & _ & ->), (bare r) as (_ & _ & _ & ->). discriminate.
  - intros s t _. destruct (reads t) as (-> & _), (bare t) as (-> & _). reflexivity.
  - intros t _. rewrite same_queue. split; [intros [] | intros (_ & c & has & _)]. destruct (reads t) as (same & _), (bare t) as (no & _). congruence.
Qed.
Lemma root_runs p : roots_are_apart p -> run_state (thread (root_thread p) (put_root_objects p (nothing_yet (boot_machine p)))) = Running.
Proof.
  intros apart. unfold roots_are_apart in apart. rewrite !NoDup_cons_iff in apart. cbn [In] in apart. unfold thread.
  rewrite root_objects, !find_set, N.eqb_refl.
  repeat match goal with |- context [root_thread p =? ?b] => destruct (N.eqb_spec (root_thread p) b) as [is_b|_]; [exfalso; intuition congruence|] end.
  reflexivity.
Qed.
Lemma boot_parts p : roots_are_apart p -> parts (boot p).
Proof.
  intros apart. set (first_ := insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
  pose proof (linked_at_start p apart) as link. pose proof (waiting_at_start p apart) as wait. pose proof (bonded_at_start p apart) as ok.
  fold first_ in link, wait, ok.
  assert (run_state (thread (root_thread p) first_) = Running) as runs.
  { unfold thread, first_. rewrite (proj1 (roots_change_slots p _)). exact (root_runs p apart). }
  assert (context_exists (root_context p) first_ = true) as there.
  { unfold context_exists, first_. rewrite (proj1 (roots_change_slots p _)), root_objects, find_set, N.eqb_refl. reflexivity. }
  assert (sched_context (thread (root_thread p) first_) = None /\ context_thread (context (root_context p) first_) = None) as (free & no).
  { unfold thread, context, first_. rewrite (proj1 (roots_change_slots p _)). exact (conj (proj1 (roots_are_unbonded p (root_thread p)))
      (proj1 (proj2 (roots_are_unbonded p (root_context p))))). }
  unfold boot. cbv zeta. fold first_. clearbody first_.
  set (copied := copy_to_thread p InitSlot.IPCBuffer buffer_slot (copy_to_thread p InitSlot.VSpace vspace_slot (copy_to_thread p InitSlot.CNode cspace_slot
    first_))).
  assert (forall frozen inv, frozen Placing = false -> kept_quietly_but frozen inv (fun _ => True) (fun _ => True) ->
    kept_but frozen inv (fun _ => True) (fun _ => True) -> inv first_ -> inv copied) as copies.
  { intros frozen inv placing quiet primitives start. pose proof (fun i k => @copy_to_thread_freely _ _ _ _ quiet primitives p i k placing) as each.
    exact (each InitSlot.IPCBuffer buffer_slot _ (each InitSlot.VSpace vspace_slot _ (each InitSlot.CNode cspace_slot first_ start))). }
  pose proof (copies _ _ eq_refl linked_quietly linked_kept link) as link1.
  destruct (copies _ _ eq_refl (still_quietly nobody first_) (still_kept nobody first_) (still_start nobody first_ wait))
    as (wait1 & states). destruct (copies _ _ eq_refl (steady_quietly none first_) (steady_kept none first_) (steady_start none first_ ok)) as (ok1 & same).
  pose proof (context_stays _ _ _ (copies _ _ eq_refl (stay_quietly first_) (stay_kept first_) (stay_start nobody first_ wait)) there) as there1.
  rewrite <- (same_state _ _ states) in runs. rewrite <- (same_had _ _ same) in free. rewrite <- (proj1 (same_used _ _ same (root_context p))) in no.
  clearbody copied. clear - link1 wait1 ok1 runs free no there1.
  set (f := root_context_at_boot p copied). destruct (after_context (root_context p) f copied) as (_ & threads & _).
  set (two := change_context (root_context p) f copied).
  assert (linked two) as link2.
  { refine (@keeps_change_context _ _ _ _ linked_quietly (root_context p) f _ _ copied link1); [split; [intros; exact I | reflexivity] | intros x _;
      reflexivity]. }
  assert (waiting nobody two) as wait2.
  { refine (@keeps_change_context _ _ _ _ (waiting_quietly nobody) (root_context p) f _ _ copied wait1); [split; [intros; exact I | reflexivity] | intros x;
      discriminate]. }
  assert (bonded none two) as ok2.
  { apply (weaker (fun t => context_thread (context (root_context p) copied) = Some t)); [intros t is_t; congruence|].
    apply context_moved; [split; reflexivity | reflexivity | exact ok1]. }
  assert (run_state (thread (root_thread p) two) <> Inactive) as active by (unfold two; rewrite threads, runs; discriminate).
  assert (parts (bind_context (root_context p) (root_thread p) two)) as bound.
  { split; [exact (@keeps_bind_context _ _ _ _ linked_quietly _ _ eq_refl two link2)|]. split;
      [exact (@keeps_bind_context _ _ _ _ (waiting_quietly nobody) _ _ eq_refl two wait2)|].
    apply bound_bonds; [exact ok2 | exact (thread_is _ two active) | exact (awake nobody _ two wait2 active) | unfold context_of, two; rewrite threads;
      exact free|].
    unfold two. rewrite (proj1 (proj2 (context_sorts (root_context p) f copied ltac:(reflexivity) (root_context p)))). exact there1. }
  exact (@keeps_leave _ _ _ _ parts_quietly _ (chosen_parts _ bound)).
Qed.
Theorem reachable_parts p st : roots_are_apart p -> reachable step p st -> parts st.
Proof.
  intros apart reached. induction reached as [|st e reached IH]; [exact (boot_parts p apart)|]. apply step_parts; [exact IH|].
  intros t is_cur. destruct (states_are_settled_proved p st reached) as [first _ _ _]. rewrite first in is_cur. unfold first_ready in is_cur.
  apply List.find_some in is_cur. exact (proj1 is_cur).
Qed.

(** Claims [contexts_stay_linked] and [who_can_run_is_queued]. *)
Theorem contexts_stay_linked_proved : contexts_stay_linked step.
Proof.
  intros p st apart reached. destruct (reachable_parts p st apart reached) as (_ & _ & [_ had_ along_ once called _ _]).
  constructor; [exact had_ | exact along_ | exact once | exact called].
Qed.
Theorem who_can_run_is_queued_proved : who_can_run_is_queued step.
Proof. intros p st t apart reached. exact (b_queued none st (proj2 (proj2 (reachable_parts p st apart reached))) t (fun no => no)). Qed.
