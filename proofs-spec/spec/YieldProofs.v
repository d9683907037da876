(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Who yields to what

    A thread whose YieldTo has not returned and the scheduling context that it named name each other. Both ends change together: where a YieldTo begins,
    where it returns, and where it is forgotten. *)
From Coq Require Import Lia.
From Spec Require Export LendProofs.
Open Scope N_scope.

Definition but_yields (k : Link) : bool := match k with Yielding | Ending => true | _ => false end.
Record yielding (st : State) : Prop := {
  y_live : all_live st;
  y_both : forall t c, yielded_to (thread t st) = Some c <-> yielder (context c st) = Some t;
  y_zombies : forall s t, capability_at s st = Some (ZombieCap t) -> yielded_to (thread t st) = None
}.

(** ** States with the same yields *)
Record same_yields (a b : State) : Prop := {
  same_to : forall t, yielded_to (thread t b) = yielded_to (thread t a);
  same_by : forall c, yielder (context c b) = yielder (context c a)
}.
Lemma same_yields_refl st : same_yields st st. Proof. constructor; reflexivity. Qed.
Lemma same_yields_trans a b c : same_yields a b -> same_yields b c -> same_yields a c.
Proof. intros [t1 c1] [t2 c2]. constructor; intros o; [rewrite t2 | rewrite c2]; auto. Qed.
Lemma same_yields_objects a b : objects b = objects a -> same_yields a b.
Proof. intros same. constructor; intros o; unfold thread, context; rewrite same; reflexivity. Qed.
Lemma yielding_same a b : all_live b -> same_yields a b ->
  (forall s o, capability_at s b = Some (ZombieCap o) -> exists s', capability_at s' a = Some (ZombieCap o)) -> yielding a -> yielding b.
Proof.
  intros alive same fewer [_ both_ zombies]. constructor; [exact alive | |].
  - intros t c. rewrite (same_to _ _ same), (same_by _ _ same). apply both_.
  - intros s t zombie. rewrite (same_to _ _ same). destruct (fewer s t zombie) as (s' & there). exact (zombies s' t there).
Qed.
Lemma put_same_yields o x y st : objects st !! o = Some y -> same_kind y x -> object_change but_yields y x -> same_yields st (put_object o x st).
Proof.
  intros there same change. constructor; intros o'; unfold thread, context; change (objects (put_object o x st)) with (set o x (objects st));
    rewrite find_set; read_put o' o; try reflexivity; rewrite there; destruct x, y; try contradiction same; try reflexivity; exact (proj1 change).
Qed.
Lemma new_same_yields o x st after : objects st !! o = None -> is_new x -> objects after = set o x (objects st) -> same_yields st after.
Proof.
  intros no new same. constructor; intros o'; unfold thread, context; rewrite same, find_set; read_put o' o; try reflexivity; rewrite no;
    destruct x; try reflexivity; cbn [is_new] in new; try (rewrite new; reflexivity). destruct new as (bits & ->). reflexivity.
Qed.

(** ** Both ends *)
Lemma to_exists t c st : yielding st -> yielded_to (thread t st) = Some c -> thread_exists t st = true /\ context_exists c st = true.
Proof.
  intros ok to. pose proof (proj1 (y_both st ok t c) to) as back. split.
  - destruct (thread_exists t st) eqn:there; [reflexivity|]. rewrite (missing_thread t st there) in to. discriminate.
  - unfold context_exists, context in *. destruct (objects st !! c) as [[]|]; try discriminate. reflexivity.
Qed.
Lemma ends_read t c f g st : thread_exists t st = true -> context_exists c st = true -> (forall x, context_bits (g x) = context_bits x) ->
  let after := change_thread t f (change_context c g st) in
  (forall u, thread u after = if u =? t then f (thread t st) else thread u st)
    /\ (forall k, context k after = if k =? c then g (context c st) else context k st)
  /\ slots after = slots st.
Proof.
  intros t_there c_there bits. cbv zeta. destruct (after_context c g st) as (contexts & threads & _). split; [|split].
  - intros u. rewrite thread_after_change_thread, (proj1 (context_sorts c g st bits t)), t_there, andb_true_r, !threads. reflexivity.
  - intros k. rewrite context_after_thread, contexts, c_there, andb_true_r. reflexivity.
  - rewrite (proj1 (thread_frame t f _)). exact (proj1 (context_frame c g st)).
Qed.
Lemma cut_yield t c f st : yielding st -> yielded_to (thread t st) = Some c -> (forall x, yielded_to (f x) = None) ->
  let after := change_thread t f (change_context c (fun x => x <| yielder := None |>) st) in
  yielding after /\ yielded_to (thread t after) = None /\ yielder (context c after) = None
  /\ forall u k, yielded_to (thread u after) = Some k -> yielded_to (thread u st) = Some k.
Proof.
  intros ok to cuts. destruct (to_exists t c st ok to) as (t_there & c_there). set (g := fun x : SchedContext => x <| yielder := None |>). cbv zeta.
  destruct (ends_read t c f g st t_there c_there ltac:(reflexivity)) as (threads & contexts & same_slots).
  assert (forall u, yielded_to (thread u (change_thread t f (change_context c g st))) = if u =? t then None else yielded_to (thread u st)) as to_
    by (intros u; rewrite threads; destruct (u =? t); [apply cuts | reflexivity]).
  assert (forall k, yielder (context k (change_thread t f (change_context c g st))) = if k =? c then None else yielder (context k st)) as by__
    by (intros k; rewrite contexts; destruct (k =? c); reflexivity).
  split; [constructor | split; [rewrite to_, N.eqb_refl; reflexivity | split; [rewrite by__, N.eqb_refl; reflexivity|]]].
  - apply thread_live, context_live; [reflexivity | exact (y_live st ok)].
  - intros u k. rewrite to_, by__. pose proof (y_both st ok u k) as both_. destruct (N.eqb_spec u t) as [->|], (N.eqb_spec k c) as [->|].
    + split; discriminate.
    + split; [discriminate|]. intros back. apply both_ in back. congruence.
    + split; [|discriminate]. intros back. apply both_ in back. apply (y_both st ok) in to. congruence.
    + exact both_.
  - intros s u zombie. rewrite (capability_same s st _ same_slots) in zombie. rewrite to_.
    destruct (u =? t); [reflexivity | exact (y_zombies st ok s u zombie)].
  - intros u k. rewrite to_. destruct (u =? t); [discriminate | exact id].
Qed.
Lemma tied_yield t c st : yielding st -> thread_exists t st = true -> not_zombie t st -> context_exists c st = true -> yielded_to (thread t st) = None ->
  yielder (context c st) = None ->
  yielding (change_thread t (fun x => x <| yielded_to := Some c |>) (change_context c (fun x => x <| yielder := Some t |>) st)).
Proof.
  intros ok t_there alive c_there no_to no_by. set (f := fun x : Thread => x <| yielded_to := Some c |>).
  set (g := fun x : SchedContext => x <| yielder := Some t |>).
  destruct (ends_read t c f g st t_there c_there ltac:(reflexivity)) as (threads & contexts & same_slots).
  assert (forall u, yielded_to (thread u (change_thread t f (change_context c g st))) = if u =? t then Some c else yielded_to (thread u st)) as to_
    by (intros u; rewrite threads; destruct (u =? t); reflexivity).
  assert (forall k, yielder (context k (change_thread t f (change_context c g st))) = if k =? c then Some t else yielder (context k st)) as by__
    by (intros k; rewrite contexts; destruct (k =? c); reflexivity).
  constructor.
  - apply thread_live, context_live; [reflexivity | exact (y_live st ok)].
  - intros u k. rewrite to_, by__. pose proof (y_both st ok u k) as both_. destruct (N.eqb_spec u t) as [->|], (N.eqb_spec k c) as [->|];
      rewrite ?no_to, ?no_by in *.
    + split; reflexivity.
    + split; [congruence|]. intros back. apply both_ in back. discriminate.
    + split; [|congruence]. intros back. apply both_ in back. discriminate.
    + exact both_.
  - intros s u zombie. rewrite (capability_same s st _ same_slots) in zombie. rewrite to_.
    destruct (N.eqb_spec u t) as [->|]; [destruct (alive s zombie) | exact (y_zombies st ok s u zombie)].
Qed.

(** ** Reports leave yields *)
Lemma context_yields c f st : (forall x, yielder (f x) = yielder x) -> same_yields st (change_context c f st).
Proof.
  intros same. destruct (after_context c f st) as (contexts & threads & _). constructor; intros o; [rewrite threads; reflexivity|].
  rewrite contexts. destruct (_ && _) eqn:is_c; [|reflexivity]. apply andb_prop, proj1, N.eqb_eq in is_c. subst o. apply same.
Qed.
Lemma book_yields st : same_yields st (book st).
Proof.
  unfold book. cbv zeta. change (current_context (st <| charged_until := now st |>)) with (current_context st). destruct (current_context st) as [c|];
    [|apply same_yields_objects; reflexivity].
  change (objects (st <| charged_until := now st |>)) with (objects st). destruct (objects st !! c) as [[]|]; try (apply same_yields_objects; reflexivity).
  apply (same_yields_trans _ (st <| charged_until := now st |>)); [apply same_yields_objects; reflexivity|]. apply context_yields. intros x.
  exact (yield_of_charge _ _ x).
Qed.
Lemma book_turn_yields st : same_yields st (book_turn st).
Proof.
  unfold book_turn. destruct (current_context st) as [c|]; [|apply book_yields]. cbv zeta. pose proof (book_yields st) as booked.
  destruct (thread_that_uses c (book st)) as [t|]; [|exact booked].
  destruct (turn_is_over c st); [|destruct (is_used_up c (book st)); [|exact booked]]; apply (same_yields_trans _ _ _ booked), same_yields_objects;
    [|reflexivity].
  exact (proj2 (proj2 (place_by_same insert_behind t (book st)))).
Qed.
Lemma report_yields report c st : In report yield_reports -> same_yields st (snd (report c st)).
Proof.
  intros [<-|[<-|[]]]; [|apply context_yields; reflexivity]. unfold report_consumed, report_booked. cbn [snd].
  refine (same_yields_trans _ _ _ _ (context_yields c _ _ _)); [|reflexivity]. destruct (is_number _ _); [apply book_turn_yields | apply same_yields_refl].
Qed.
Lemma report_alive report c st : In report yield_reports -> all_live st -> all_live (snd (report c st)) /\ slots (snd (report c st)) = slots st.
Proof.
  intros [<-|[<-|[]]] alive.
  - split; [exact (proj2 (@keeps_report_consumed _ _ _ _ live_is_kept_quietly c st alive))|].
    exact (proj1 (proj2 (@keeps_report_consumed _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) c st (conj eq_refl eq_refl)))).
  - split; [exact (proj2 (@keeps_report_booked _ _ _ _ live_is_kept_quietly c st alive))|].
    exact (proj1 (proj2 (@keeps_report_booked _ _ _ _ (tables_are_kept_quietly (slots st) (references st)) c st (conj eq_refl eq_refl)))).
Qed.
Lemma returned_yields report t st : In report yield_reports -> yielding st ->
  yielding (end_yield_by report t st) /\ yielded_to (thread t (end_yield_by report t st)) = None
  /\ (forall c, yielded_to (thread t st) = Some c -> yielder (context c (end_yield_by report t st)) = None)
  /\ forall u k, yielded_to (thread u (end_yield_by report t st)) = Some k -> yielded_to (thread u st) = Some k.
Proof.
  intros usual ok. unfold end_yield_by. destruct (yielded_to (thread t st)) as [c|] eqn:to; [|split; [exact ok | split; [exact to | split;
    [discriminate | auto]]]].
  pose proof (report_yields report c st usual) as same. destruct (report_alive report c st usual (y_live st ok)) as (alive & same_slots).
  destruct (report c st) as (used & one). cbn [snd] in *.
  assert (yielding one) as ok1.
  { apply (yielding_same st); [exact alive | exact same | | exact ok]. intros s o zombie. exists s. rewrite <- (capability_same s st one same_slots).
    exact zombie. }
  rewrite <- (same_to _ _ same) in to.
  destruct (cut_yield t c (fun x => with_error_result Error.NoError [used] (x <| yielded_to := None |>)) one ok1 to) as (after & no_to & no_by & others);
    [intros x; exact (yield_of_registers _ _)|].
  split; [exact after|]. split; [exact no_to|]. split; [intros d is_d; injection is_d as <-; exact no_by|]. intros u k has. rewrite <- (same_to _ _ same).
  exact (others u k has).
Qed.
Lemma forgotten_yields t st : yielding st -> yielding (forget_yield t st)
  /\ forall u k, yielded_to (thread u (forget_yield t st)) = Some k -> yielded_to (thread u st) = Some k.
Proof.
  intros ok. unfold forget_yield. destruct (yielded_to (thread t st)) as [c|] eqn:to; [|split; auto].
  destruct (cut_yield t c (fun x => x <| yielded_to := None |>) st ok to) as (after & _ & _ & others); [reflexivity|]. exact (conj after others).
Qed.

(** ** What is quiet *)
Lemma yielding_quietly : kept_quietly_but but_yields yielding (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_.
  assert (forall a b, slots b = slots a -> references b = references a -> objects b = objects a -> yielding a -> yielding b) as of_same.
  { intros a b same_slots same_references same_objects ok. apply (yielding_same a); [|exact (same_yields_objects a b same_objects) | | exact ok].
    - exact (live_same a b same_slots same_references same_objects (y_live a ok)).
    - intros s o zombie. exists s. rewrite <- (capability_same s a b same_slots). exact zombie. }
  constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _. exact (of_same a b same_slots same_references same_objects).
  - intros t st ok. apply (of_same st); [reflexivity | reflexivity | reflexivity | exact ok].
  - intros insert t st _ ok. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
    exact (of_same st _ same_slots same_references same_objects ok).
  - intros t st _ ok. apply (of_same st); [reflexivity | reflexivity | reflexivity | exact ok].
  - intros o x y st there same change fine ok. apply (yielding_same st); [|exact (put_same_yields o x y st there same change) | | exact ok].
    + apply (after_put_object live_ o x y st there same); [|exact fine | exact (y_live st ok)]. destruct y, x; try exact I; repeat split; discriminate.
    + intros s z zombie. exists s. exact zombie.
  - split; [intros report t st usual ok; exact (proj1 (returned_yields report t st usual ok)) | intros t st ok; exact (proj1 (forgotten_yields t st ok))].
Qed.
Lemma yielding_kept : kept_but but_yields yielding (fun _ => True) (fun _ => True).
Proof.
  apply kept_by_zombies; [reflexivity | exact y_live|]. intros st after alive objs fewer _ _ ok.
  apply (yielding_same st); [exact alive | | exact fewer | exact ok].
  destruct objs as [same|(o & x & no & new & same)]; [exact (same_yields_objects st after same) | exact (new_same_yields o x st after no new same)].
Qed.

(** A thread that has not yielded does not, and a context that nobody yields to is not yielded to, by what is quiet. *)
Lemma still_none t a b : (forall k, yielded_to (thread t b) = Some k -> yielded_to (thread t a) = Some k) -> yielded_to (thread t a) = None ->
  yielded_to (thread t b) = None.
Proof. intros fewer no. destruct (yielded_to (thread t b)) as [k|] eqn:to; [pose proof (fewer k eq_refl); congruence | reflexivity]. Qed.
Definition idle (t : N) (st : State) : Prop := yielding st /\ yielded_to (thread t st) = None.
Lemma idle_quietly t : kept_quietly_but but_yields (idle t) (fun _ => True) (fun _ => True).
Proof.
  pose proof yielding_quietly as quiet. constructor; try (intros; exact I).
  - intros a b s r o d l (ok & no). split; [exact (looks_at_objects quiet a b s r o d l ok)|]. rewrite (same_to _ _ (same_yields_objects a b o)). exact no.
  - intros u st (ok & no). split; [exact (after_unplace quiet u st ok) | exact no].
  - intros insert u st usual (ok & no). split; [exact (after_place quiet insert u st usual ok)|].
    rewrite (same_to _ _ (same_yields_objects st _ (proj2 (proj2 (place_by_same insert u st))))). exact no.
  - intros u st asleep (ok & no). split; [exact (after_sleeping_anew quiet u st asleep ok) | exact no].
  - intros o x y st there same change fine (ok & no). split; [exact (after_put_object quiet o x y st there same change fine ok)|].
    rewrite (same_to _ _ (put_same_yields o x y st there same change)). exact no.
  - split.
    + intros report u st usual (ok & no). destruct (returned_yields report u st usual ok) as (after & _ & _ & others).
      exact (conj after (still_none t _ _ (others t) no)).
    + intros u st (ok & no). destruct (forgotten_yields u st ok) as (after & others). exact (conj after (still_none t _ _ (others t) no)).
Qed.
Definition unyielded (c : N) (st : State) : Prop := yielding st /\ yielder (context c st) = None.
Lemma still_unyielded c a b : yielding a -> yielding b -> (forall u k, yielded_to (thread u b) = Some k -> yielded_to (thread u a) = Some k) ->
  yielder (context c a) = None -> yielder (context c b) = None.
Proof.
  intros ok_a ok_b fewer no. destruct (yielder (context c b)) as [u|] eqn:back; [|reflexivity].
  apply (y_both b ok_b), fewer, (y_both a ok_a) in back. congruence.
Qed.
Lemma unyielded_quietly c : kept_quietly_but but_yields (unyielded c) (fun _ => True) (fun _ => True).
Proof.
  pose proof yielding_quietly as quiet. constructor; try (intros; exact I).
  - intros a b s r o d l (ok & no). split; [exact (looks_at_objects quiet a b s r o d l ok)|]. rewrite (same_by _ _ (same_yields_objects a b o)). exact no.
  - intros u st (ok & no). split; [exact (after_unplace quiet u st ok) | exact no].
  - intros insert u st usual (ok & no). split; [exact (after_place quiet insert u st usual ok)|].
    rewrite (same_by _ _ (same_yields_objects st _ (proj2 (proj2 (place_by_same insert u st))))). exact no.
  - intros u st asleep (ok & no). split; [exact (after_sleeping_anew quiet u st asleep ok) | exact no].
  - intros o x y st there same change fine (ok & no). split; [exact (after_put_object quiet o x y st there same change fine ok)|].
    rewrite (same_by _ _ (put_same_yields o x y st there same change)). exact no.
  - split.
    + intros report u st usual (ok & no). destruct (returned_yields report u st usual ok) as (after & _ & _ & others).
      exact (conj after (still_unyielded c st _ ok after others no)).
    + intros u st (ok & no). destruct (forgotten_yields u st ok) as (after & others). exact (conj after (still_unyielded c st _ ok after others no)).
Qed.

(** ** What ends *)
Definition unyielding (o : N) (st : State) : Prop := yielded_to (thread o st) = None /\ yielder (context o st) = None.
Definition yield_ends (c : Capability) (st : State) : Prop :=
  match c with TCBCap t => yielded_to (thread t st) = None | SchedContextCap k _ => yielder (context k st) = None | _ => True end.
Lemma unyielding_by_kind s c o st : yielding st -> capability_at s st = Some c -> object_of c = Some o -> yield_ends c st -> unyielding o st.
Proof.
  intros ok there names ends. destruct (refers_to s c o st (y_live st ok) there names) as (x & found & kind).
  pose proof (fun z => y_zombies st ok s z) as zombies. unfold unyielding, yield_ends, thread, context in *. clear ok.
  destruct c; cbn [object_of referent] in names; try discriminate names; injection names as ->; destruct x; try discriminate kind;
    try specialize (zombies o there); rewrite ?found in *; repeat split; try reflexivity; try exact ends; exact zombies.
Qed.
Lemma yielding_discard s st : yielding st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> unyielding o st) -> yielding (discard s st).
Proof.
  intros ok free. pose proof (after_discard live_is_kept s st eq_refl (y_live st ok)) as alive. revert alive. unfold discard.
  destruct (capability_at s st) as [c|] eqn:there; [|intros _; exact ok].
  assert (forall j o, capability_at j (remove_capability s st) = Some (ZombieCap o) -> exists k, capability_at k st = Some (ZombieCap o)) as fewer.
  { intros j o. rewrite !capability_at_in, in_remove_capability. destruct (j =? s); [discriminate|]. intros zombie. exists j.
    rewrite capability_at_in. exact zombie. }
  assert (all_live (remove_capability s st) -> yielding (remove_capability s st)) as only_slots
    by (intros alive; apply (yielding_same st); [exact alive | apply same_yields_objects, objects_of_remove_capability | exact fewer | exact ok]).
  destruct (object_of c) as [o|] eqn:names; [destruct (is_zombie c || is_last c st) eqn:last|]; intros alive; try exact (only_slots alive).
  apply (yielding_same st); [exact alive | | exact fewer | exact ok]. destruct (free c o eq_refl names last) as (no_to & no_by).
  assert (objects (remove_object o (remove_capability s st)) = remove o (objects st)) as same
    by (change (objects (remove_object o (remove_capability s st))) with (remove o (objects (remove_capability s st)));
        rewrite objects_of_remove_capability; reflexivity).
  constructor; intros o'; unfold thread, context; rewrite same, find_remove; read_put o' o; try reflexivity; symmetry; assumption.
Qed.
Lemma yielding_make_zombie s st : yielding st -> (forall t, capability_at s st = Some (TCBCap t) -> unyielding t st) -> yielding (make_zombie s st).
Proof.
  intros ok free. pose proof (after_make_zombie live_is_kept s st eq_refl (fun _ _ _ _ => I) (y_live st ok)) as alive. revert alive.
  unfold make_zombie. destruct (slots st !! s) as [e|] eqn:there; [|intros _; exact (@keeps_emit _ _ _ _ yielding_quietly Stuck st ok)].
  destruct (container_of (capability e) st) as [o|] eqn:container; [|intros _; exact (@keeps_emit _ _ _ _ yielding_quietly Stuck st ok)].
  intros alive. assert (objects (replace_capability s e (ZombieCap o) st) = objects st) as same
    by (rewrite (replace_capability_same s e (ZombieCap o) st); reflexivity).
  pose proof (same_yields_objects st _ same) as yields. constructor; [exact alive | |].
  - intros t c. rewrite (same_to _ _ yields), (same_by _ _ yields). apply (y_both st ok).
  - intros j z. rewrite (same_to _ _ yields), capability_at_in, (in_replace s e _ st j there). destruct (N.eqb_spec j s) as [->|];
      [|rewrite <- capability_at_in; apply (y_zombies st ok)].
    intros names. injection names as <-. assert (capability_at s st = Some (capability e)) as at_s by (unfold capability_at; rewrite there; reflexivity).
    destruct (container_spec _ _ _ container) as (named & _). destruct (capability e) eqn:is_it; try discriminate container.
    + exact (proj1 (unyielding_by_kind s _ o st ok at_s named I)).
    + cbn [object_of referent] in named. injection named as ->. exact (proj1 (free o at_s)).
    + exact (proj1 (unyielding_by_kind s _ o st ok at_s named I)).
Qed.
Lemma yielding_end_thread s t st : yielding st -> capability_at s st = Some (TCBCap t) -> yielding (end_thread t st) /\ unyielding t (end_thread t st).
Proof.
  intros ok there. pose proof (capability_same s st _ (proj1 (end_thread_tables t st))) as same_cap. rewrite there in same_cap.
  assert (idle t (end_thread t st)) as (after & no); [|exact (conj after (unyielding_by_kind s (TCBCap t) t _ after same_cap eq_refl no))].
  clear there same_cap. unfold end_thread. cbv zeta.
  assert (idle t (suspend t st)) as stopped_.
  { unfold suspend. cbv zeta. destruct (returned_yields report_consumed t st (or_introl eq_refl) ok) as (ended & no & _).
    fold (end_yield t st) in ended, no. pose proof (conj ended no : idle t (end_yield t st)) as start. revert start. generalize (end_yield t st). clear.
    intros st start.
    pose proof (@keeps_unplace _ _ _ _ (idle_quietly t) t eq_refl _ (@keeps_stop_waiting _ _ _ _ (idle_quietly t) t eq_refl st start)) as away.
    set (f := fun x : Thread => with_state Inactive (x <| fault := None |>)).
    assert (idle t (change_thread t f (unplace t (stop_waiting t st)))) as inactive
      by (refine (@keeps_change_thread _ _ _ _ (idle_quietly t) t f _ _ away); intros x; split; [reflexivity | split; discriminate]).
    revert inactive. generalize (change_thread t f (unplace t (stop_waiting t st))). intros one inactive.
    assert (idle t (change_thread t to_restart one)) as restarts
      by (refine (@keeps_change_thread _ _ _ _ (idle_quietly t) t to_restart _ _ inactive); intros x; split; [reflexivity | split; discriminate]).
    pose proof (@keeps_set_error_result _ _ _ _ (idle_quietly t) Error.CallCancelled t one inactive) as told.
    destruct (is_some _); [exact inactive|]. destruct (run_state (thread t st)); assumption. }
  revert stopped_. generalize (suspend t st). clear. intros st start.
  set (one := match bound_notification (thread t st) with Some n => unbind_notification t n st | None => st end).
  assert (idle t one) as after
    by (unfold one; destruct (bound_notification _) as [n|]; [exact (@keeps_unbind_notification _ _ _ _ (idle_quietly t) t n eq_refl st start) | exact start]).
  clearbody one. destruct (context_of t one) as [c|]; [exact (@keeps_unbind_thread _ _ _ _ (idle_quietly t) c eq_refl one after) | exact after].
Qed.
Lemma yielding_end_context c st : yielding st -> unyielded c (end_context c st).
Proof.
  intros ok. unfold end_context. cbv zeta. set (one := match yielder (context c st) with Some t => end_yield t st | None => st end).
  assert (unyielded c one) as start.
  { unfold one. destruct (yielder (context c st)) as [t|] eqn:back; [|exact (conj ok back)].
    destruct (returned_yields report_consumed t st (or_introl eq_refl) ok) as (after & _ & no & _). exact (conj after (no c (proj2 (y_both st ok t c) back))). }
  clearbody one. pose proof (@keeps_unbind_of_context _ _ _ _ (unyielded_quietly c) c eq_refl _ (@keeps_unbind_thread _ _ _ _ (unyielded_quietly c)
    c eq_refl one start)) as two.
  change (unyielded c (unbind_notification_of_context c (unbind_thread_of_context c one))) in two. revert two.
  generalize (unbind_notification_of_context c (unbind_thread_of_context c one)). clear. intros st start. generalize (calls (context c st)). intros l.
  revert st start.
  induction l as [|r l IH]; intros st start; [exact start|]. exact (IH _ (@reply_loses_context _ _ _ _ (unyielded_quietly c) eq_refl r st start)).
Qed.
Lemma yielding_let_go s c st : yielding st -> capability_at s st = Some c -> container_of c st = None -> (waiting_on c st = [] \/ is_last c st = false) ->
  yielding (let_go c st) /\ (is_last c st = true -> forall o, object_of c = Some o -> unyielding o (let_go c st)).
Proof.
  intros ok there no_container _. pose proof (capability_same s st _ (proj1 (let_go_tables c st))) as same_cap. rewrite there in same_cap.
  assert (yielding (let_go c st)) as after by exact (@keeps_let_go _ _ _ _ yielding_quietly c eq_refl eq_refl eq_refl eq_refl st ok).
  split; [exact after|]. intros last o names. apply (unyielding_by_kind s c o _ after same_cap names).
  destruct c; try exact I.
  - unfold container_of in no_container. rewrite last in no_container. discriminate.
  - unfold let_go. rewrite last. exact (proj2 (yielding_end_context context st ok)).
Qed.
Lemma yielding_unit anchor st : yielding st -> yielding (snd (delete_unit anchor st)).
Proof.
  apply (unit_kept yielding unyielding).
  - intros s o before ok zombie. exact (unyielding_by_kind s _ o before ok zombie eq_refl I).
  - exact yielding_discard.
  - exact (after_move_capability yielding_kept).
  - exact yielding_make_zombie.
  - exact yielding_end_thread.
  - exact yielding_let_go.
  - intros s c t before ok _ _. exact (@keeps_restart _ _ _ _ yielding_quietly t eq_refl before ok).
  - intros v a before ok. exact (@keeps_release_asid _ _ _ _ yielding_quietly v a before ok).
Qed.
Lemma yielding_methods : operations but_yields yielding.
Proof. constructor; [right; exact yielding_unit | intros []; left; reflexivity]. Qed.

(** ** YieldTo *)
Lemma yields_to call st : parts st -> yielding st -> fits Method.SchedContextYieldTo (invoked call) -> capability_at (invoked_slot call)
  st = Some (invoked call) ->
  run_state (thread (invoker call) st) = Running -> yielded_to (thread (invoker call) st) = None ->
  match sched_context_yield_to call st with Perform work => yielding (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros (_ & wait & _) ok type there runs no_to. unfold sched_context_yield_to, invoked_context.
  destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |]; try discriminate type. cbv zeta. set (self := invoker call) in *.
  destruct (context_thread (context c st)) as [t|]; [|exact I]. destruct (negb _); [|exact I]. destruct (_ <=? _); [|exact I].
  pose proof (context_is_there _ c bits st (y_live st ok) there) as c_there.
  set (one := match yielder (context c st) with Some other => end_yield other st | None => st end).
  assert (forall frozen inv, kept_quietly_but frozen inv (fun _ => True) (fun _ => True) -> inv st -> inv one) as returns.
  { intros frozen inv quiet start. unfold one. destruct (yielder _) as [other|]; [exact (@keeps_end_yield _ _ _ _ quiet other st start) | exact start]. }
  assert (unyielded c one) as nobody_yet.
  { unfold one. destruct (yielder (context c st)) as [other|] eqn:back; [|exact (conj ok back)].
    destruct (returned_yields report_consumed other st (or_introl eq_refl) ok) as (after & _ & no & _).
    exact (conj after (no c (proj2 (y_both st ok other c) back))). }
  destruct (returns _ _ (idle_quietly self) (conj ok no_to)) as (_ & no_to1).
  destruct (returns _ _ (still_quietly nobody st) (still_start nobody st wait)) as (wait1 & same).
  pose proof (context_stays _ _ _ (returns _ _ (stay_quietly st) (stay_start nobody st wait)) c_there) as there1. rewrite <- (same_state _ _ same) in runs.
  clearbody one. clear returns same ok no_to wait there c_there.
  match goal with |- yielding (state_after (if ?x then _ else _)) => destruct x end; cbn [state_after].
  - set (two := place_ahead t (place_ahead self one)).
    assert (objects two = objects one) as same
      by (unfold two; rewrite (proj2 (proj2 (place_by_same insert_ahead t _))); exact (proj2 (proj2 (place_by_same insert_ahead self one)))).
    pose proof (@keeps_place_ahead _ _ _ _ yielding_quietly t _ (@keeps_place_ahead _ _ _ _ yielding_quietly self one (proj1 nobody_yet))) as ok2.
    pose proof (@keeps_place_ahead _ _ _ _ (waiting_quietly nobody) t _ (@keeps_place_ahead _ _ _ _ (waiting_quietly nobody) self one wait1)) as wait2.
    change (yielding two) in ok2. change (waiting nobody two) in wait2.
    assert (forall o, thread o two = thread o one /\ context o two = context o one) as reads by (intros o; unfold thread, context; rewrite same; split;
      reflexivity).
    assert (run_state (thread self two) <> Inactive) as active by (rewrite (proj1 (reads self)), runs; discriminate).
    apply tied_yield; [exact ok2 | exact (thread_is self two active) | exact (awake nobody self two wait2 active) | | |].
    + unfold context_exists in *. rewrite same. exact there1.
    + rewrite (proj1 (reads self)). exact no_to1.
    + rewrite (proj2 (reads c)). exact (proj2 nobody_yet).
  - set (two := if member t (ready one) then place_ahead t one else one).
    assert (yielding two) as ok2 by (unfold two; destruct (member _ _); [exact (@keeps_place_ahead _ _ _ _ yielding_quietly t one (proj1 nobody_yet)) |
      exact (proj1 nobody_yet)]).
    pose proof (@keeps_report_consumed _ _ _ _ yielding_quietly c two ok2) as (_ & after). destruct (report_consumed c two). exact after.
Qed.

(** ** System calls *)
Definition calls_freshly (t : N) (st : State) : Prop := parts st /\ yielding st /\ run_state (thread t st) = Running /\ yielded_to (thread t st) = None.
Lemma invoked_yields t slot c st : calls_freshly t st -> capability_at slot st = Some c -> yielding (snd (invoke t slot c st)).
Proof.
  intros (all_ & ok & runs & no_to) there. pose proof (invoke_good _ _ _ _ yielding_quietly yielding_kept yielding_methods t slot c st there ok) as usual.
  unfold but_for in usual. cbn [but_yields andb] in usual.
  destruct (calls_yield_to (message_of_call t st) c) eqn:special; [|exact (proj2 usual)]. clear usual. unfold calls_yield_to in special.
  destruct (method_for (label (message_of_call t st)) c) as [m|] eqn:named; [|discriminate]. destruct m; try discriminate special. clear special.
  unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(x & y)]; [|exact ok]. unfold decide. rewrite named.
  destruct (Nat.leb _ _ && _); [|exact ok]. unfold decode_method.
  set (call := {| invoker := t; invoked_slot := slot; invoked := c; word_arguments := words (message_of_call t st); cap_arguments := arguments |}).
  pose proof (yields_to call st all_ ok (method_fits _ _ _ named) there runs no_to) as after.
  destruct (sched_context_yield_to call st) as [e d|work]; [exact ok|]. destruct (work st); exact after.
Qed.
Lemma phase_yields t a m st : calls_freshly t st -> yielding (snd (send_phase t a m st)).
Proof.
  intros fresh. pose proof fresh as (_ & ok & _ & _). unfold send_phase. destruct (occupied_slot_of_address t a st) as [(slot & c)|report] eqn:found;
    [|exact ok].
  apply occupied_in_place in found. pose proof (invoked_yields t slot c st fresh found) as usual. destruct c; try exact usual.
  - destruct (can_write _); [|exact ok].
    pose proof (@keeps_send _ _ _ _ yielding_quietly yielding_kept t endpoint badge (can_grant rights) (can_grant_reply rights) (calls_back m)
      (lends_context m) (waits m)
      eq_refl st ok) as (_ & after).
    destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [snd] in *; first [exact after | exact ok].
  - destruct (can_write _); [|exact ok]. exact (@keeps_signal _ _ _ _ yielding_quietly notification badge eq_refl st ok).
  - exact (@keeps_answer _ _ _ _ yielding_quietly yielding_kept t reply (can_grant rights) eq_refl st ok).
  - exact (@keeps_emit _ _ _ _ yielding_quietly _ st ok).
Qed.
Lemma passes_yields t w st : calls_freshly t st -> yielding (snd (send_and_receive t w st)).
Proof.
  intros (all_ & ok & runs & no_to). unfold send_and_receive.
  pose proof (refused_early_whole t w (pass_message t) st (conj all_ runs)) as early.
  pose proof (@keeps_refuse_early _ _ _ _ (idle_quietly t) t w (pass_message t) eq_refl st (conj ok no_to)) as fresh.
  change (idle t (state_of (refuse_early t w (pass_message t) st))) in fresh. unfold unless_preempted.
  destruct (refuse_early t w (pass_message t) st) as [one|one]; cbn [state_of] in *.
  2: { exact (@keeps_go_back _ _ _ _ yielding_quietly t one (proj1 fresh)). }
  destruct early as (all1 & runs1), fresh as (ok1 & no1).
  pose proof (phase_yields t (register 8 (thread t one)) passing_on one (conj all1 (conj ok1 (conj runs1 no1)))) as after. fold (pass_on t one) in after.
  destruct (pass_on t one) as ([e d| |x r|] & two); cbn [snd] in *;
    try exact (proj2 (@keeps_then_receive _ _ _ _ yielding_quietly yielding_kept t w eq_refl two after));
      [|exact (@keeps_go_back _ _ _ _ yielding_quietly t two after)].
  apply (@keeps_then_receive _ _ _ _ yielding_quietly yielding_kept t w eq_refl). exact (@keeps_write_long_words _ _ _ _ yielding_quietly t _ two after).
Qed.
Lemma sends_yields t m st : calls_freshly t st -> yielding (snd (sends t m st)).
Proof.
  intros fresh. unfold sends. exact (proj2 (@finish_send_good _ _ _ _ yielding_quietly t m _ eq_refl (conj I (phase_yields t _ m st fresh)))).
Qed.
Lemma call_yields s t st : calls_freshly t st -> yielding (snd (run_system_call s t st)).
Proof.
  intros fresh. pose proof fresh as (_ & ok & _ & _). unfold run_system_call. cbv zeta. destruct s;
    first [ exact (sends_yields t _ st fresh) | exact (proj2 (@keeps_receive_phase _ _ _ _ yielding_quietly yielding_kept t _ _ eq_refl st ok))
          | exact (passes_yields t _ st fresh) | exact (@keeps_yield _ _ _ _ yielding_quietly t st ok) | exact (@keeps_emit _ _ _ _ yielding_quietly _ st ok)
          | exact (proj2 (@keeps_reply_and_receive _ _ _ _ yielding_quietly yielding_kept t eq_refl st ok)) | idtac ].
  refine (@keeps_change_thread _ _ _ _ yielding_quietly t _ _ st ok). intros x. split; [reflexivity | split; discriminate].
Qed.
Lemma system_call_yields t st : calls_freshly t st -> yielding (snd (system_call t st)).
Proof.
  intros fresh. pose proof fresh as (_ & ok & _ & _). unfold system_call. cbv zeta.
  pose proof (proj2 (@keeps_unknown_system_call _ _ _ _ yielding_quietly t eq_refl st ok)) as unknown.
  destruct (Syscall.of_number _) as [s|]; [|exact unknown]. destruct (_ && _); [exact unknown | exact (call_yields s t st fresh)].
Qed.
Lemma handled_yields c st : parts st -> yielding st ->
  (forall t, current st = Some t -> run_state (thread t st) = Running /\ yielded_to (thread t st) = None) -> yielding (snd (handle c st)).
Proof.
  intros all_ ok fresh. unfold handle. destruct c, (current st) as [t|]; try exact ok;
    first [ exact (system_call_yields t st (conj all_ (conj ok (fresh t eq_refl)))) | exact (@keeps_interrupt _ _ _ _ yielding_quietly _ eq_refl st ok)
          | exact (@keeps_timer_expires _ _ _ _ yielding_quietly eq_refl st ok)
          | exact (proj2 (@keeps_user_fault _ _ _ _ yielding_quietly t _ eq_refl st ok)) ].
Qed.
Lemma step_yields st e : parts st -> yielding st -> (forall t, current st = Some t -> In t (ready st) /\ yielded_to (thread t st) = None) ->
  yielding (fst (fst (step st e))).
Proof.
  intros all_ ok fresh. unfold step. pose proof (@keeps_enter _ _ _ _ parts_quietly e st all_) as entered. change (parts (enter e st)) in entered.
  pose proof (@keeps_enter _ _ _ _ yielding_quietly e st ok) as yields. change (yielding (enter e st)) in yields.
  destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st (proj1 (proj2 all_)))) as (_ & same).
  assert (current (enter e st) = current st) as same_current.
  { unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur; [|exact cur].
    unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact cur. }
  refine (proj1 (proj1 (@finish_good _ _ _ _ yielding_quietly _ eq_refl (conj I (handled_yields (cause e) _ entered yields _))))).
  intros t. rewrite same_current. intros is_cur. destruct (fresh t is_cur) as (queued_ & no). split.
  - rewrite (same_state _ _ same). apply (w_runs nobody st (proj1 (proj2 all_))), in_app_iff. left. exact queued_.
  - exact (proj2 (@keeps_enter _ _ _ _ (idle_quietly t) e st (conj ok no))).
Qed.

(** ** Boot *)
Lemma yielding_at_start p : roots_are_apart p -> yielding (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros apart. set (start := put_root_objects p (nothing_yet (boot_machine p))).
  pose proof (same_yields_objects start _ (proj1 (roots_change_slots p start))) as same.
  assert (forall o, yielded_to (thread o start) = None /\ yielder (context o start) = None) as bare.
  { intros o. unfold thread, context, start. rewrite root_objects, !find_set. change (objects (nothing_yet (boot_machine p))) with (@empty Object).
    rewrite find_empty.
    repeat match goal with |- context [?a =? ?b] => destruct (a =? b) end; split; reflexivity. }
  constructor; [exact (live_at_start p apart) | |].
  - intros t c. rewrite (same_to _ _ same), (same_by _ _ same). destruct (bare t) as (-> & _), (bare c) as (_ & ->). split; discriminate.
  - intros s t _. rewrite (same_to _ _ same). exact (proj1 (bare t)).
Qed.
Theorem reachable_yields p st : roots_are_apart p -> reachable step p st -> yielding st.
Proof.
  intros apart reached. induction reached as [|st e reached IH].
  - exact (@boot_keeps _ _ _ _ yielding_quietly yielding_kept p (yielding_at_start p apart) eq_refl eq_refl).
  - apply step_yields; [exact (reachable_parts p st apart reached) | exact IH|]. intros t is_cur.
    destruct (states_are_settled_proved p st reached) as [first _ no _]. split; [|exact (no t is_cur)]. rewrite first in is_cur. unfold first_ready in is_cur.
    apply List.find_some in is_cur. exact (proj1 is_cur).
Qed.

(** Claim [yields_stay_linked]. *)
Theorem yields_stay_linked_proved : yields_stay_linked step.
Proof. intros p st t c apart reached. exact (y_both st (reachable_yields p st apart reached) t c). Qed.
