(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Links with notifications are symmetric

    A thread and its bound notification name each other, and so do a notification and the scheduling context that it lends. They are
    changed together, and only where a thread or a context is bound or unbound, or one of them ends. *)
From Coq Require Import Lia.
From Spec Require Export UnitProofs.
Open Scope N_scope.

Definition but_waiting (k : Link) : bool :=
  match k with Waiting | Handling | Mapping | Placing | Telling | Lending | Yielding | Ranking | Faulting => false | _ => true end.
Definition unlinked (o : N) (st : State) : Prop :=
  bound_notification (thread o st) = None /\ bound_thread (notification o st) = None /\ lent_context (notification o st) = None
  /\ context_notification (context o st) = None.
Record linked (st : State) : Prop := {
  linked_live : all_live st;
  linked_both : links_are_symmetric st;
  linked_zombies : forall s o, capability_at s st = Some (ZombieCap o) -> bound_notification (thread o st) = None
}.

(** ** States with the same links *)
Record same_links (a b : State) : Prop := {
  same_bound : forall t, bound_notification (thread t b) = bound_notification (thread t a);
  same_binder : forall n, bound_thread (notification n b) = bound_thread (notification n a);
  same_lent : forall n, lent_context (notification n b) = lent_context (notification n a);
  same_lender : forall c, context_notification (context c b) = context_notification (context c a)
}.
Lemma links_of_same a b : same_links a b -> links_are_symmetric a -> links_are_symmetric b.
Proof.
  intros same [both_ lent_]. constructor.
  - intros t n. rewrite (same_bound _ _ same), (same_binder _ _ same). apply both_.
  - intros n c. rewrite (same_lent _ _ same), (same_lender _ _ same). apply lent_.
Qed.
Lemma same_links_objects a b : objects b = objects a -> same_links a b.
Proof. intros same. constructor; intros o; unfold thread, notification, context; rewrite same; reflexivity. Qed.
Lemma linked_same a b : all_live b -> same_links a b ->
  (forall s o, capability_at s b = Some (ZombieCap o) -> exists s', capability_at s' a = Some (ZombieCap o)) -> linked a -> linked b.
Proof.
  intros alive same fewer [_ both_ zombies]. constructor; [exact alive | exact (links_of_same a b same both_)|].
  intros s o zombie. rewrite (same_bound _ _ same). destruct (fewer s o zombie) as (s' & there). exact (zombies s' o there).
Qed.
Ltac read_put o' o := let same := fresh in destruct (N.eqb_spec o' o) as [same|_]; [rewrite same|].
Lemma put_same_links o x y st : objects st !! o = Some y -> same_kind y x -> object_change but_waiting y x -> same_links st (put_object o x st).
Proof.
  intros there same change. constructor; intros o'; unfold thread, notification, context;
    change (objects (put_object o x st)) with (set o x (objects st)); rewrite find_set; read_put o' o; try reflexivity;
    rewrite there; destruct x, y; try contradiction same; try reflexivity; cbn [object_change] in change.
  - exact (proj1 change eq_refl).
  - exact (proj1 change eq_refl).
  - exact (proj1 (proj2 change) eq_refl).
  - exact (change eq_refl).
Qed.
Lemma new_same_links o x st : objects st !! o = None -> is_new x -> forall after, objects after = set o x (objects st) -> same_links st after.
Proof.
  intros none new after same. constructor; intros o'; unfold thread, notification, context; rewrite same, find_set; read_put o' o; try reflexivity;
    rewrite none; destruct x; try reflexivity; cbn [is_new] in new; try (rewrite new; reflexivity). destruct new as (bits & ->). reflexivity.
Qed.
Lemma removed_same_links o st after : unlinked o st -> objects after = remove o (objects st) -> same_links st after.
Proof.
  intros (bound & binder & lent & lender) same. constructor; intros o'; unfold thread, notification, context; rewrite same, find_remove;
    read_put o' o; try reflexivity; symmetry; assumption.
Qed.

(** ** What every step does *)
Lemma linked_quietly : kept_quietly_but but_waiting linked (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept_quietly as live_.
  assert (forall a b, slots b = slots a -> references b = references a -> objects b = objects a -> linked a -> linked b) as of_same.
  { intros a b same_slots same_references same_objects ok. apply (linked_same a); [|exact (same_links_objects a b same_objects) | | exact ok].
    - destruct (linked_live a ok) as (right & alive). split; [exact (indices_of_same a b same_slots same_references right)|].
      exact (live_of_same a b same_slots same_objects alive).
    - intros s o zombie. exists s. rewrite <- (capability_same s a b same_slots). exact zombie. }
  constructor; try (intros; exact I).
  - intros a b same_slots same_references same_objects _ _. exact (of_same a b same_slots same_references same_objects).
  - intros t st. change (linked st -> linked (unplace t st)). apply of_same; reflexivity.
  - intros insert t st _. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
    exact (of_same st _ same_slots same_references same_objects).
  - intros t st _. apply of_same; reflexivity.
  - intros o x y st there same change fine ok. apply (linked_same st); [|exact (put_same_links o x y st there same change) | | exact ok].
    + apply (after_put_object live_ o x y st there same); [|exact fine | exact (linked_live st ok)].
      destruct y, x; try exact I; repeat split; discriminate.
    + intros s z zombie. exists s. exact zombie.
Qed.
Lemma caps_linked st after :
  all_live after -> objects after = objects st ->
  (forall s o, capability_at s after = Some (ZombieCap o) -> exists s', capability_at s' st = Some (ZombieCap o)) -> linked st -> linked after.
Proof. intros alive same fewer. exact (linked_same st after alive (same_links_objects st after same) fewer). Qed.
Lemma in_change slot c st j : capability_at j (change_capability slot c st) = capability_at j st
  \/ exists old, capability_at j st = Some old /\ capability_at j (change_capability slot c st) = Some c /\ stands_alike old c = true.
Proof.
  unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|left; reflexivity].
  destruct (_ && _) eqn:alike; [|left; reflexivity]. apply andb_prop in alike.
  rewrite !capability_at_in, (in_replace slot e c st j there). destruct (N.eqb_spec j slot) as [->|]; [right | left; reflexivity].
  exists (capability e). split; [unfold capability_in; rewrite there; reflexivity|]. split; [reflexivity | exact (proj1 alike)].
Qed.
Lemma in_move from to st j c : capability_at j (move_capability from to st) = Some c -> exists k, capability_at k st = Some c.
Proof.
  unfold move_capability. destruct (slots st !! from) as [e|] eqn:there; [|intros at_j; exists j; exact at_j].
  destruct (is_empty to st); [|intros at_j; exists j; exact at_j].
  fold (adopt (Some to) (children e) st). cbv zeta. rewrite capability_at_in.
  match goal with |- capability_in (slots ?t) j = _ -> _ =>
    change (slots t) with (set to e (remove from (slots (change_children (parent e) (replace from [to]) (adopt (Some to) (children e) st))))) end.
  rewrite in_set, in_remove, in_children, in_adopt. destruct (j =? to).
  - intros same. exists from. unfold capability_at. rewrite there. exact same.
  - destruct (j =? from); [discriminate|]. intros same. exists j. rewrite capability_at_in. exact same.
Qed.
Lemma linked_kept : kept_but but_waiting linked (fun _ => True) (fun _ => True).
Proof.
  pose proof live_is_kept as live_. constructor; try discriminate; try (intros; exact I).
  - intros slot p o c st from _ ok. apply (caps_linked st).
    + exact (after_insert_child live_ slot p o c st from I (linked_live st ok)).
    + apply objects_of_insert_child.
    + intros s z. destruct (is_empty slot st && negb (is_empty p st)) eqn:can.
      * rewrite capability_at_in, (in_insert_child slot p o c st s can). destruct (s =? slot).
        -- intros same. injection same as ->. destruct from as (no_zombie & _). discriminate.
        -- rewrite <- capability_at_in. intros zombie. exists s. exact zombie.
      * unfold insert_child. rewrite can. intros zombie. exists s. exact zombie.
    + exact ok.
  - intros slot source_ o c st from _ ok. apply (caps_linked st).
    + exact (after_insert_sibling live_ slot source_ o c st from I (linked_live st ok)).
    + rewrite (insert_sibling_same slot source_ o c st). reflexivity.
    + intros s z. destruct (is_empty slot st) eqn:vacant; [|unfold insert_sibling; rewrite vacant; intros zombie; exists s; exact zombie].
      destruct (slots st !! source_) as [e|] eqn:there; [|unfold insert_sibling; rewrite vacant, there; intros zombie; exists s; exact zombie].
      rewrite capability_at_in, (in_insert_sibling slot source_ o c st e s (proj1 (is_empty_spec slot st) vacant) there). destruct (s =? slot).
      * intros same. injection same as ->. destruct from as (no_zombie & _). discriminate.
      * rewrite <- capability_at_in. intros zombie. exists s. exact zombie.
    + exact ok.
  - intros u at_ size x slot c st with_it fine_x _ ok.
    assert (all_live (carve u at_ size x slot c st)) as alive
      by (apply (after_carve live_); [exact with_it | exact fine_x | exact I | exact (linked_live st ok)]).
    destruct (carve_cases u at_ size x slot c st) as [stuck|cut].
    { rewrite stuck in *. apply (caps_linked st); [exact alive | reflexivity | | exact ok]. intros s o zombie. exists s. exact zombie. }
    destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & unused & caps & _ & objs).
    apply (linked_same st); [exact alive | | | exact ok].
    + destruct x as [x|]; [exact (new_same_links at_ x st (unused ltac:(discriminate)) (proj2 fine_x) _ objs) | exact (same_links_objects _ _ objs)].
    + intros s o. rewrite capability_at_in, caps. destruct (s =? slot).
      * intros same. injection same as ->. destruct with_it as (no_zombie & _). discriminate.
      * destruct (s =? u); [discriminate|]. rewrite <- capability_at_in. intros zombie. exists s. exact zombie.
  - intros from to st ok. apply (caps_linked st); [exact (after_move_capability live_ from to st (linked_live st ok)) | | | exact ok].
    + rewrite (move_capability_same from to st). reflexivity.
    + intros s o. apply in_move.
  - intros slot c st _ ok. apply (caps_linked st); [exact (after_change_capability live_ slot c st I (linked_live st ok)) | | | exact ok].
    + unfold change_capability. destruct (slots st !! slot) as [e|]; [|reflexivity]. destruct (_ && _); [|reflexivity].
      rewrite (replace_capability_same slot e c st). reflexivity.
    + intros s o zombie. destruct (in_change slot c st s) as [same|(old & at_s & now_ & alike)]; [exists s; rewrite <- same; exact zombie|].
      rewrite zombie in now_. injection now_ as <-. destruct (alike_spec _ _ o alike eq_refl) as (named & type).
      destruct (zombie_is old) as (z & ->); [rewrite <- (zombie_alike _ _ type); reflexivity|]. cbn [object_of] in named. injection named as ->.
      exists s. exact at_s.
Qed.

(** ** What ends and begins *)
Lemma linked_discard s st : linked st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> unlinked o st) -> linked (discard s st).
Proof.
  intros ok free. pose proof (after_discard live_is_kept s st eq_refl (linked_live st ok)) as alive. revert alive. unfold discard.
  destruct (capability_at s st) as [c|] eqn:there; [|intros _; exact ok].
  assert (forall j o, capability_at j (remove_capability s st) = Some (ZombieCap o) -> exists k, capability_at k st = Some (ZombieCap o)) as fewer.
  { intros j o. rewrite !capability_at_in, in_remove_capability. destruct (j =? s); [discriminate|]. intros zombie. exists j.
    rewrite capability_at_in. exact zombie. }
  destruct (object_of c) as [o|] eqn:names; [destruct (is_zombie c || is_last c st) eqn:last|]; intros alive.
  - apply (linked_same st); [exact alive | | exact fewer | exact ok]. apply (removed_same_links o); [exact (free c o eq_refl names last)|].
    change (objects (remove_object o (remove_capability s st))) with (remove o (objects (remove_capability s st))).
    rewrite objects_of_remove_capability. reflexivity.
  - apply (caps_linked st); [exact alive | apply objects_of_remove_capability | exact fewer | exact ok].
  - apply (caps_linked st); [exact alive | apply objects_of_remove_capability | exact fewer | exact ok].
Qed.

(** What an object of another kind is not linked to. *)
Definition ends_in (c : Capability) (st : State) : Prop :=
  match c with
  | NotificationCap n _ _ => bound_thread (notification n st) = None /\ lent_context (notification n st) = None
  | SchedContextCap k _ => context_notification (context k st) = None
  | TCBCap t => bound_notification (thread t st) = None
  | _ => True
  end.
Lemma unlinked_by_kind s c o st : linked st -> capability_at s st = Some c -> object_of c = Some o -> ends_in c st -> unlinked o st.
Proof.
  intros ok there names ends. assert (exists x, objects st !! o = Some x /\ fits_object c x) as (x & found & kind).
  { destruct (linked_live st ok) as (_ & alive). apply (refers _ _ alive s c o); [rewrite <- capability_at_in; exact there | exact names]. }
  pose proof (fun z => linked_zombies st ok s z) as zombies.
  unfold unlinked, ends_in, thread, notification, context in *. clear ok.
  destruct c; cbn [object_of referent] in names; try discriminate names; injection names as ->; destruct x; try discriminate kind;
    try specialize (zombies o there); rewrite ?found in *; repeat split; try reflexivity; try exact ends; try exact zombies; apply ends.
Qed.
Lemma linked_make_zombie s st : linked st -> (forall t, capability_at s st = Some (TCBCap t) -> unlinked t st) -> linked (make_zombie s st).
Proof.
  intros ok free. pose proof (after_make_zombie live_is_kept s st eq_refl (fun _ _ _ _ => I) (linked_live st ok)) as alive. revert alive.
  unfold make_zombie. destruct (slots st !! s) as [e|] eqn:there;
    [|intros alive; apply (caps_linked st); [exact alive | reflexivity | intros j o zombie; exists j; exact zombie | exact ok]].
  destruct (container_of (capability e) st) as [o|] eqn:container;
    [|intros alive; apply (caps_linked st); [exact alive | reflexivity | intros j o zombie; exists j; exact zombie | exact ok]].
  intros alive. assert (objects (replace_capability s e (ZombieCap o) st) = objects st) as same
    by (rewrite (replace_capability_same s e (ZombieCap o) st); reflexivity).
  pose proof (same_links_objects st _ same) as links. constructor; [exact alive | exact (links_of_same st _ links (linked_both st ok))|].
  intros j z. rewrite (same_bound _ _ links), capability_at_in, (in_replace s e _ st j there). destruct (N.eqb_spec j s) as [->|];
    [|rewrite <- capability_at_in; apply (linked_zombies st ok)].
  intros names. injection names as <-. assert (capability_at s st = Some (capability e)) as at_s by (unfold capability_at; rewrite there; reflexivity).
  destruct (container_spec _ _ _ container) as (named & _). destruct (capability e) eqn:is_it; try discriminate container.
  - exact (proj1 (unlinked_by_kind s _ o st ok at_s named I)).
  - cbn [object_of referent] in named. injection named as ->. exact (proj1 (free o at_s)).
  - exact (proj1 (unlinked_by_kind s _ o st ok at_s named I)).
Qed.

(** Binding and unbinding change both ends. *)
Lemma bound_exists t st n : bound_notification (thread t st) = Some n -> exists x, objects st !! t = Some (ThreadObject x) /\ thread t st = x.
Proof. unfold thread. destruct (objects st !! t) as [[]|]; try discriminate. intros _. eexists. split; reflexivity. Qed.
Lemma binder_exists n st t : bound_thread (notification n st) = Some t -> exists x, objects st !! n = Some (NotificationObject x) /\ notification n st = x.
Proof. unfold notification. destruct (objects st !! n) as [[]|]; try discriminate. intros _. eexists. split; reflexivity. Qed.
Lemma lent_exists n st c : lent_context (notification n st) = Some c -> exists x, objects st !! n = Some (NotificationObject x) /\ notification n st = x.
Proof. unfold notification. destruct (objects st !! n) as [[]|]; try discriminate. intros _. eexists. split; reflexivity. Qed.
Lemma lender_exists c st n : context_notification (context c st) = Some n ->
  exists x, objects st !! c = Some (SchedContextObject x) /\ context c st = x.
Proof. unfold context. destruct (objects st !! c) as [[]|]; try discriminate. intros _. eexists. split; reflexivity. Qed.

(** A thread and a notification get other ends; so do a notification and a context. *)
Definition rebind (t n : N) (to_notification to_thread : option N) (st : State) : State :=
  change_thread t (fun x => x <| bound_notification := to_notification |>) st
    >> change_notification n (fun x => x <| bound_thread := to_thread |>).
Lemma rebind_reads t n a b st x y : objects st !! t = Some (ThreadObject x) -> objects st !! n = Some (NotificationObject y) ->
  let after := rebind t n a b st in
  slots after = slots st
  /\ (forall u, bound_notification (thread u after) = if u =? t then a else bound_notification (thread u st))
  /\ (forall m, bound_thread (notification m after) = if m =? n then b else bound_thread (notification m st))
  /\ (forall m, lent_context (notification m after) = lent_context (notification m st))
  /\ (forall c, context_notification (context c after) = context_notification (context c st)).
Proof.
  intros at_t at_n after. assert (n <> t) as other by congruence. apply N.eqb_neq in other.
  assert (objects after = set n (NotificationObject (y <| bound_thread := b |>)) (set t (ThreadObject (x <| bound_notification := a |>)) (objects st))
          /\ slots after = slots st) as (objs & same_slots).
  { unfold after, rebind, change_thread. rewrite at_t. unfold change_notification.
    match goal with |- context [put_object t ?z st] => change (objects (put_object t z st)) with (set t z (objects st)) end.
    rewrite find_set, other, at_n. split; reflexivity. }
  split; [exact same_slots|]. repeat split; intros o; unfold thread, notification, context; rewrite objs, !find_set;
    destruct (N.eqb_spec o n) as [is_n|_], (N.eqb_spec o t) as [is_t|_]; try congruence; subst; rewrite ?at_t, ?at_n; reflexivity.
Qed.
Definition relend (n c : N) (to_context to_notification : option N) (st : State) : State :=
  change_notification n (fun x => x <| lent_context := to_context |>) st
    >> change_context c (fun x => x <| context_notification := to_notification |>).
Lemma relend_reads n c a b st x y : objects st !! n = Some (NotificationObject x) -> objects st !! c = Some (SchedContextObject y) ->
  let after := relend n c a b st in
  slots after = slots st
  /\ (forall m, lent_context (notification m after) = if m =? n then a else lent_context (notification m st))
  /\ (forall k, context_notification (context k after) = if k =? c then b else context_notification (context k st))
  /\ (forall u, bound_notification (thread u after) = bound_notification (thread u st))
  /\ (forall m, bound_thread (notification m after) = bound_thread (notification m st)).
Proof.
  intros at_n at_c after. assert (c <> n) as other by congruence. apply N.eqb_neq in other.
  assert (objects after = set c (SchedContextObject (y <| context_notification := b |>)) (set n (NotificationObject (x <| lent_context := a |>)) (objects st))
          /\ slots after = slots st) as (objs & same_slots).
  { unfold after, relend, change_notification. rewrite at_n. unfold change_context.
    match goal with |- context [put_object n ?z st] => change (objects (put_object n z st)) with (set n z (objects st)) end.
    rewrite find_set, other, at_c. split; reflexivity. }
  split; [exact same_slots|]. repeat split; intros o; unfold thread, notification, context; rewrite objs, !find_set;
    destruct (N.eqb_spec o c) as [is_c|_], (N.eqb_spec o n) as [is_n|_]; try congruence; subst; rewrite ?at_c, ?at_n; reflexivity.
Qed.
Lemma rebind_live t n a b st : all_live st -> all_live (rebind t n a b st).
Proof.
  intros ok. unfold rebind. pose proof live_is_kept_quietly as live_.
  refine (@keeps_change_notification _ _ _ _ live_ n _ _ _ (@keeps_change_thread _ _ _ _ live_ t _ _ st ok)); intros z; repeat split; discriminate.
Qed.
Lemma relend_live n c a b st : all_live st -> all_live (relend n c a b st).
Proof.
  intros ok. unfold relend. pose proof live_is_kept_quietly as live_.
  refine (@keeps_change_context _ _ _ _ live_ c _ _ _ _ (@keeps_change_notification _ _ _ _ live_ n _ _ st ok)).
  - split; [intros; exact I | reflexivity].
  - intros z. discriminate.
  - intros z. repeat split; discriminate.
Qed.
Ltac by_cases := repeat match goal with |- context [?a =? ?b] => destruct (N.eqb_spec a b) as [->|] end.
Ltac settle both_ := split; intros ?; first [congruence | match goal with H : _ |- _ => apply both_ in H; first [exact H | congruence] end].
Lemma linked_unbind t n st : linked st -> bound_notification (thread t st) = Some n ->
  linked (unbind_notification t n st) /\ bound_notification (thread t (unbind_notification t n st)) = None
  /\ bound_thread (notification n (unbind_notification t n st)) = None
  /\ forall m, lent_context (notification m (unbind_notification t n st)) = lent_context (notification m st).
Proof.
  intros ok named. pose proof (proj1 (both_bound _ (linked_both st ok) t n) named) as back.
  destruct (bound_exists t st n named) as (x & at_t & _), (binder_exists n st t back) as (y & at_n & _).
  destruct (rebind_reads t n None None st x y at_t at_n) as (same_slots & bound & binder & lent & lender).
  change (rebind t n None None st) with (unbind_notification t n st) in *. split; [|rewrite bound, binder, !N.eqb_refl; repeat split; exact lent].
  constructor; [exact (rebind_live t n None None st (linked_live st ok)) | constructor|].
  - intros u m. rewrite bound, binder. pose proof (both_bound _ (linked_both st ok) u m) as both_. by_cases; settle both_.
  - intros m c. rewrite lent, lender. apply (both_lent _ (linked_both st ok)).
  - intros s o zombie. rewrite bound. rewrite (capability_same s st _ same_slots) in zombie.
    destruct (o =? t); [reflexivity | exact (linked_zombies st ok s o zombie)].
Qed.
Lemma linked_bind t n st x y s : linked st -> objects st !! t = Some (ThreadObject x) -> objects st !! n = Some (NotificationObject y) ->
  capability_at s st = Some (TCBCap t) -> bound_notification (thread t st) = None -> bound_thread (notification n st) = None ->
  linked (rebind t n (Some n) (Some t) st).
Proof.
  intros ok at_t at_n there free_t free_n.
  destruct (rebind_reads t n (Some n) (Some t) st x y at_t at_n) as (same_slots & bound & binder & lent & lender).
  constructor; [exact (rebind_live t n _ _ st (linked_live st ok)) | constructor|].
  - intros u m. rewrite bound, binder. pose proof (both_bound _ (linked_both st ok) u m) as both_. by_cases; settle both_.
  - intros m c. rewrite lent, lender. apply (both_lent _ (linked_both st ok)).
  - intros j o zombie. rewrite bound. rewrite (capability_same j st _ same_slots) in zombie.
    destruct (N.eqb_spec o t) as [->|]; [exfalso | exact (linked_zombies st ok j o zombie)].
    destruct (linked_live st ok) as (_ & alive). rewrite capability_at_in in zombie. pose proof there as here. rewrite capability_at_in in here.
    pose proof (alone _ _ alive j s _ t zombie here eq_refl) as is_j. subst s. congruence.
Qed.
Lemma linked_relend n c a b st x y : linked st -> objects st !! n = Some (NotificationObject x) -> objects st !! c = Some (SchedContextObject y) ->
  (forall m k, (if m =? n then a else lent_context (notification m st)) = Some k <->
               (if k =? c then b else context_notification (context k st)) = Some m) -> linked (relend n c a b st).
Proof.
  intros ok at_n at_c both_. destruct (relend_reads n c a b st x y at_n at_c) as (same_slots & lent & lender & bound & binder).
  constructor; [exact (relend_live n c a b st (linked_live st ok)) | constructor|].
  - intros u m. rewrite bound, binder. apply (both_bound _ (linked_both st ok)).
  - intros m k. rewrite lent, lender. apply both_.
  - intros j o zombie. rewrite bound. rewrite (capability_same j st _ same_slots) in zombie. exact (linked_zombies st ok j o zombie).
Qed.
Lemma linked_unlend c st : linked st ->
  linked (unbind_notification_of_context c st) /\ context_notification (context c (unbind_notification_of_context c st)) = None
  /\ (forall n, context_notification (context c st) = Some n -> lent_context (notification n (unbind_notification_of_context c st)) = None)
  /\ forall m, bound_thread (notification m (unbind_notification_of_context c st)) = bound_thread (notification m st).
Proof.
  intros ok. unfold unbind_notification_of_context. destruct (context_notification (context c st)) as [n|] eqn:named;
    [|split; [exact ok|]; split; [exact named|]; split; [discriminate | reflexivity]].
  pose proof (proj2 (both_lent _ (linked_both st ok) n c) named) as back.
  destruct (lent_exists n st c back) as (x & at_n & _), (lender_exists c st n named) as (y & at_c & _).
  destruct (relend_reads n c None None st x y at_n at_c) as (same_slots & lent & lender & bound & binder). fold (relend n c None None st).
  split; [|rewrite lender, N.eqb_refl; split; [reflexivity|]; split; [|exact binder]].
  - apply (linked_relend n c None None st x y ok at_n at_c). intros m k. pose proof (both_lent _ (linked_both st ok) m k) as both_.
    by_cases; settle both_.
  - intros m is_n. injection is_n as <-. rewrite lent, N.eqb_refl. reflexivity.
Qed.

(** What is no link of these leaves them. *)
Lemma links_trans a b c : same_links a b -> same_links b c -> same_links a c.
Proof.
  intros [b1 n1 l1 c1] [b2 n2 l2 c2]. constructor; intros o; [rewrite b2 | rewrite n2 | rewrite l2 | rewrite c2]; auto.
Qed.
Lemma links_quietly st : kept_quietly_but but_waiting (same_links st) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b _ _ same _ _ ok. exact (links_trans _ _ _ ok (same_links_objects a b same)).
  - intros t a ok. apply (links_trans _ a); [exact ok | apply same_links_objects; reflexivity].
  - intros insert t a _ ok. exact (links_trans _ _ _ ok (same_links_objects a _ (proj2 (proj2 (place_by_same insert t a))))).
  - intros t a _ ok. apply (links_trans _ a); [exact ok | apply same_links_objects; reflexivity].
  - intros o x y a there same change _ ok. exact (links_trans _ _ _ ok (put_same_links o x y a there same change)).
Qed.
Lemma links_refl st : same_links st st. Proof. constructor; reflexivity. Qed.

Lemma linked_end_thread s t st : linked st -> capability_at s st = Some (TCBCap t) -> linked (end_thread t st) /\ unlinked t (end_thread t st).
Proof.
  intros ok there. pose proof (capability_same s st _ (proj1 (end_thread_tables t st))) as same_cap. rewrite there in same_cap.
  assert (linked (end_thread t st) /\ bound_notification (thread t (end_thread t st)) = None) as (after & none);
    [|split; [exact after | exact (unlinked_by_kind s (TCBCap t) t _ after same_cap eq_refl none)]].
  unfold end_thread. cbv zeta. pose proof (@keeps_suspend _ _ _ _ linked_quietly t eq_refl st ok) as stopped.
  change (linked (suspend t st)) in stopped. revert stopped. generalize (suspend t st). clear. intros st ok.
  set (unbound := match bound_notification (thread t st) with Some n => unbind_notification t n st | None => st end).
  assert (linked unbound /\ bound_notification (thread t unbound) = None) as (after & none).
  { unfold unbound. destruct (bound_notification (thread t st)) as [n|] eqn:named; [|split; assumption].
    destruct (linked_unbind t n st ok named) as (after & none & _). split; assumption. }
  clearbody unbound. destruct (context_of t unbound) as [c|]; [|split; assumption]. split.
  - exact (@keeps_unbind_thread _ _ _ _ linked_quietly c eq_refl unbound after).
  - pose proof (@keeps_unbind_thread _ _ _ _ (links_quietly unbound) c eq_refl unbound (links_refl unbound)) as same.
    rewrite (same_bound _ _ same). exact none.
Qed.
Lemma linked_end_notification n st : linked st -> linked (end_notification n st) /\ bound_thread (notification n (end_notification n st)) = None
  /\ lent_context (notification n (end_notification n st)) = None.
Proof.
  intros ok. unfold end_notification. cbv zeta.
  set (unbound := match bound_thread (notification n st) with Some t => unbind_notification t n st | None => st end).
  assert (linked unbound /\ bound_thread (notification n unbound) = None) as (after & none).
  { unfold unbound. destruct (bound_thread (notification n st)) as [t|] eqn:named; [|split; assumption].
    pose proof (proj2 (both_bound _ (linked_both st ok) t n) named) as back.
    destruct (linked_unbind t n st ok back) as (after & _ & none & _). split; assumption. }
  clearbody unbound. destruct (lent_context (notification n unbound)) as [c|] eqn:lent; [|exact (conj after (conj none lent))].
  destruct (linked_unlend c unbound after) as (gone_ & _ & no_loan & same). split; [exact gone_|]. split; [rewrite same; exact none|].
  apply no_loan. apply (both_lent _ (linked_both unbound after)). exact lent.
Qed.
Lemma loses_all_contexts l inv : kept_quietly_but but_waiting inv (fun _ => True) (fun _ => True) ->
  forall st, inv st -> inv (fold_left (fun st r => put_reply r (without_context (reply r st)) st) l st).
Proof. intros quiet. induction l as [|r l IH]; intros st ok; [exact ok|]. exact (IH _ (@reply_loses_context _ _ _ _ quiet eq_refl r st ok)). Qed.
Lemma linked_end_context c st : linked st -> linked (end_context c st) /\ context_notification (context c (end_context c st)) = None.
Proof.
  intros ok. unfold end_context. cbv zeta.
  set (returned := match yielder (context c st) with Some t => end_yield t st | None => st end).
  assert (linked returned) as after by (unfold returned; destruct (yielder _); [exact (@keeps_end_yield _ _ _ _ linked_quietly _ st ok) | exact ok]).
  clearbody returned.
  pose proof (@keeps_unbind_thread _ _ _ _ linked_quietly c eq_refl returned after : linked (unbind_thread_of_context c returned)) as unbound.
  revert unbound. generalize (unbind_thread_of_context c returned). clear. intros st ok. destruct (linked_unlend c st ok) as (gone_ & none & _).
  revert gone_ none. generalize (unbind_notification_of_context c st). clear. intros st ok none.
  split; [exact (loses_all_contexts _ linked linked_quietly st ok)|].
  rewrite (same_lender _ _ (loses_all_contexts (calls (context c st)) (same_links st) (links_quietly st) st (links_refl st))). exact none.
Qed.
Lemma linked_let_go s c st : linked st -> capability_at s st = Some c -> container_of c st = None ->
  (waiting_on c st = [] \/ is_last c st = false) -> linked (let_go c st) /\ (is_last c st = true -> forall o, object_of c = Some o -> unlinked o (let_go c st)).
Proof.
  intros ok there none _. pose proof (capability_same s st _ (proj1 (let_go_tables c st))) as same_cap. rewrite there in same_cap.
  assert (linked (let_go c st) /\ (is_last c st = true -> ends_in c (let_go c st))) as (after & ends);
    [|split; [exact after | intros last o names; exact (unlinked_by_kind s c o _ after same_cap names (ends last))]].
  unfold let_go. destruct c; try (split; [exact ok | intros; exact I]).
  - destruct (is_last _ st); [|split; [exact ok | discriminate]]. destruct (linked_end_notification notification st ok) as (after & first & second).
    split; [exact after | intros _; split; assumption].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_free_reply _ _ _ _ linked_quietly reply eq_refl st ok) | exact ok].
  - unfold container_of in none. destruct (is_last (TCBCap thread) st) eqn:last; [discriminate|]. split; [exact ok | discriminate].
  - destruct (is_last _ st); [|split; [exact ok | discriminate]]. destruct (linked_end_context context st ok) as (after & first).
    split; [exact after | intros _; exact first].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_release_asid _ _ _ _ linked_quietly vspace asid st ok) | exact ok].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_unmap_table _ _ _ _ linked_quietly table place st ok) | exact ok].
  - split; [exact (@keeps_unmap_frame _ _ _ _ linked_quietly base size_bits place st ok) | intros; exact I].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_release_pool _ _ _ _ linked_quietly pool st ok) | exact ok].
  - destruct (is_last _ st); (split; [|intros; exact I]); [exact (@keeps_end_interrupt _ _ _ _ linked_quietly irq eq_refl st ok) | exact ok].
Qed.
Lemma linked_unit anchor st : linked st -> linked (snd (delete_unit anchor st)).
Proof.
  apply (unit_kept linked unlinked).
  - intros s o before ok zombie. exact (unlinked_by_kind s _ o before ok zombie eq_refl I).
  - exact linked_discard.
  - exact (after_move_capability linked_kept).
  - exact linked_make_zombie.
  - exact linked_end_thread.
  - exact linked_let_go.
  - intros s c t before ok _ _. exact (@keeps_restart _ _ _ _ linked_quietly t eq_refl before ok).
  - intros v a before ok. exact (@keeps_release_asid _ _ _ _ linked_quietly v a before ok).
Qed.

(** ** The methods that bind and unbind *)
Lemma cap_in_place i call st : Forall (fun a => in_place a st) (cap_arguments call) -> in_place (cap i call) st.
Proof.
  intros each. unfold cap. revert i. induction each as [|a l here _ IH]; intros [|i]; try (intros c; discriminate); [exact here | exact (IH i)].
Qed.
Lemma thread_there s t st : linked st -> capability_at s st = Some (TCBCap t) -> exists x, objects st !! t = Some (ThreadObject x).
Proof.
  intros ok there. destruct (linked_live st ok) as (_ & alive). rewrite capability_at_in in there.
  destruct (refers _ _ alive s _ t there eq_refl) as (x & found & kind). destruct x; try discriminate kind. eexists. exact found.
Qed.
Lemma notification_there s n b r st : linked st -> capability_at s st = Some (NotificationCap n b r) -> exists x, objects st !! n = Some (NotificationObject x).
Proof.
  intros ok there. destruct (linked_live st ok) as (_ & alive). rewrite capability_at_in in there.
  destruct (refers _ _ alive s _ n there eq_refl) as (x & found & kind). destruct x; try discriminate kind. eexists. exact found.
Qed.
Lemma context_there s c bits st : linked st -> capability_at s st = Some (SchedContextCap c bits) -> exists x, objects st !! c = Some (SchedContextObject x).
Proof.
  intros ok there. destruct (linked_live st ok) as (_ & alive). rewrite capability_at_in in there.
  destruct (refers _ _ alive s _ c there eq_refl) as (x & found & kind). destruct x; try discriminate kind. eexists. exact found.
Qed.
Lemma bind_linked a call st : fits Method.TCBBindNotification (invoked call) -> capability_at (invoked_slot call) st = Some (invoked call) ->
  in_place a st -> linked st ->
  match tcb_bind_notification a call st with Perform work => linked (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type there placed ok. unfold tcb_bind_notification, invoked_thread.
  destruct (invoked call) as [| | | | |t| | | | | | | | | | | | |]; try discriminate type.
  destruct (argument a) as [[| |n badge r| | | | | | | | | | | | | | | |]|] eqn:given; try exact I.
  destruct (bound_notification (thread t st)) eqn:free_t; [exact I|]. cbn [is_some negb]. destruct (can_read r); [|exact I].
  destruct (bound_thread (notification n st)) eqn:free_n; [exact I|]. cbn [is_some negb andb].
  destruct (waiters (notification n st)); [|exact I]. cbn [state_after always].
  destruct (thread_there _ t st ok there) as (x & at_t), (notification_there _ n badge r st ok (placed _ given)) as (y & at_n).
  exact (linked_bind t n st x y _ ok at_t at_n there free_t free_n).
Qed.
Lemma unbind_linked call st : linked st ->
  match tcb_unbind_notification call st with Perform work => linked (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros ok. unfold tcb_unbind_notification. destruct (bound_notification (thread (invoked_thread call) st)) as [n|] eqn:named; [|exact I].
  exact (proj1 (linked_unbind _ n st ok named)).
Qed.
Lemma lend_linked a call st : fits Method.SchedContextBind (invoked call) -> capability_at (invoked_slot call) st = Some (invoked call) ->
  in_place a st -> linked st ->
  match sched_context_bind a call st with Perform work => linked (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type there placed ok. unfold sched_context_bind, invoked_context.
  destruct (invoked call) as [| | | | | |c bits| | | | | | | | | | | |]; try discriminate type.
  destruct (context_thread (context c st)); cbn [is_some negb andb];
    [destruct (argument a) as [[]|]; exact I|]. destruct (context_notification (context c st)) eqn:free_c; cbn [is_some negb andb];
    [destruct (argument a) as [[]|]; exact I|].
  destruct (argument a) as [[| |n badge r| | |t| | | | | | | | | | | | |]|] eqn:given; try exact I.
  - destruct (lent_context (notification n st)) eqn:free_n; [exact I|]. cbn [is_some negb state_after always].
    destruct (context_there _ c bits st ok there) as (y & at_c), (notification_there _ n badge r st ok (placed _ given)) as (x & at_n).
    apply (linked_relend n c (Some c) (Some n) st x y ok at_n at_c). intros m k. pose proof (both_lent _ (linked_both st ok) m k) as both_.
    by_cases; settle both_.
  - destruct (negb (is_some (context_of t st))); [|exact I]. exact (@keeps_bind_context _ _ _ _ linked_quietly c t eq_refl st ok).
Qed.
Lemma linked_operations : operations but_waiting linked.
Proof.
  constructor; [right; exact linked_unit|]. intros m. destruct m; try (left; reflexivity); right; intros call st type (there & placed) ok; unfold decode_method.
  - exact (bind_linked _ call st type there (cap_in_place 0 call st placed) ok).
  - exact (unbind_linked call st ok).
  - exact (lend_linked _ call st type there (cap_in_place 0 call st placed) ok).
  - unfold sched_context_unbind. cbv zeta. destruct (negb _); [|exact I]. cbn [always state_after].
    exact (proj1 (linked_unlend _ _ (@keeps_unbind_thread _ _ _ _ linked_quietly _ eq_refl st ok))).
  - unfold sched_context_unbind_object. cbv zeta. destruct (argument _) as [[]|]; try exact I.
    + destruct (is_number _ _); [|exact I]. exact (proj1 (linked_unlend _ st ok)).
    + destruct (is_number _ _); [|exact I]. destruct (negb _); [|exact I]. exact (@keeps_unbind_thread _ _ _ _ linked_quietly _ eq_refl st ok).
Qed.

(** ** Boot *)
Lemma roots_are_unlinked p o : unlinked o (put_root_objects p (nothing_yet (boot_machine p))).
Proof.
  unfold unlinked, thread, notification, context. rewrite root_objects, !find_set.
  change (objects (nothing_yet (boot_machine p))) with (@empty Object). rewrite find_empty.
  repeat match goal with |- context [?a =? ?b] => destruct (a =? b) end; repeat split; reflexivity.
Qed.
Lemma linked_at_start p : roots_are_apart p -> linked (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros apart. set (start := put_root_objects p (nothing_yet (boot_machine p))).
  assert (forall l st, objects st = objects start -> objects (fold_left (fun st entry => insert_root (fst entry) (snd entry) st) l st) = objects start) as same.
  { induction l as [|(slot & c) l IH]; intros st same; [exact same|]. apply IH. rewrite (insert_root_same _ _ st). exact same. }
  specialize (same (root_capabilities p ++ dynamic_capabilities p) start eq_refl). fold (insert_roots p start) in same.
  pose proof (same_links_objects start _ same) as links.
  assert (forall o, unlinked o (insert_roots p start)) as free.
  { intros o. destruct (roots_are_unlinked p o) as (first & second & third & fourth). unfold unlinked.
    rewrite (same_bound _ _ links), (same_binder _ _ links), (same_lent _ _ links), (same_lender _ _ links). repeat split; assumption. }
  constructor; [exact (live_at_start p apart) | constructor|].
  - intros t n. destruct (free t) as (none & _), (free n) as (_ & binds & _). rewrite none, binds. split; discriminate.
  - intros n c. destruct (free n) as (_ & _ & lends & _), (free c) as (_ & _ & _ & none). rewrite lends, none. split; discriminate.
  - intros s o _. exact (proj1 (free o)).
Qed.

(** Claim [links_stay_symmetric]. *)
Theorem links_stay_symmetric_proved : links_stay_symmetric step.
Proof.
  intros p st apart reached. apply linked_both.
  exact (@reachable_keeps_but _ _ _ _ linked_quietly linked_kept linked_operations p (linked_at_start p apart) eq_refl st reached).
Qed.
