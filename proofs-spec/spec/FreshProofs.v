(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What is made holds its first value only

    A Retype and a MakePool put objects where none were, clear their memory, and change nothing else but registers of their caller. Nobody names what they
    made: so what follows in the step leaves it as it is, but for a second phase that receives from what the caller's registers name. *)
From Coq Require Import Lia.
From Spec Require Export UnnamedProofs FlushProofs IntegrityClaims.
(* Not imported, as it has the names of [StepProofs] for rules of its own. *)
From Spec Require FieldProofs.
Open Scope N_scope.

(** ** What such a call does to a state *)
Record made (t : N) (a b : State) : Prop := {
  made_use : current_context b = current_context a;
  made_threads : forall o, same_thread_but_registers (thread o a) (thread o b);
  made_new : forall o x, o <> t -> objects b !! o = Some x -> objects a !! o = Some x \/ (objects a !! o = None /\ is_fresh o x (effects b));
  made_stays : forall o x, objects a !! o = Some x -> exists y, objects b !! o = Some y;
  made_effects : incl (effects a) (effects b);
  made_frames : forall s base bits r p, capability_at s b = Some (FrameCap base bits false r p) ->
    capability_at s a = Some (FrameCap base bits false r p) \/ In (ClearMemory base (N.shiftl 1 bits) true) (effects b)
}.
Lemma made_refl t st : made t st st.
Proof.
  constructor; try reflexivity.
  - intros o. apply same_thread_refl.
  - intros o x _ there. left. exact there.
  - intros o x there. exists x. exact there.
  - apply incl_refl.
  - intros s base bits r p there. left. exact there.
Qed.
Lemma made_trans t a b c : made t a b -> made t b c -> made t a c.
Proof.
  intros [use1 threads1 new1 stays1 effects1 frames1] [use2 threads2 new2 stays2 effects2 frames2]. constructor.
  - congruence.
  - intros o. exact (same_thread_trans _ _ _ (threads1 o) (threads2 o)).
  - intros o x other there. destruct (new2 o x other there) as [before|(none & fresh)].
    + destruct (new1 o x other before) as [first|(none & bits & made_ & clear_)]; [left; exact first | right; split; [exact none|]].
      exists bits. split; [exact made_ | exact (effects2 _ clear_)].
    + right. split; [|exact fresh]. destruct (objects a !! o) as [y|] eqn:first; [|reflexivity]. destruct (stays1 o y first) as (z & here). congruence.
  - intros o x there. destruct (stays1 o x there) as (y & here). exact (stays2 o y here).
  - exact (incl_tran effects1 effects2).
  - intros s base bits r p there. destruct (frames2 s base bits r p there) as [before|clear_]; [|right; exact clear_].
    destruct (frames1 s base bits r p before) as [first|clear_]; [left; exact first | right; exact (effects2 _ clear_)].
Qed.
Lemma made_quietly t a b : objects b = objects a -> slots b = slots a -> incl (effects a) (effects b) -> current_context b = current_context a ->
  made t a b.
Proof.
  intros same_objects same_slots more use. constructor; [exact use | | | | exact more |].
  - intros o. unfold thread. rewrite same_objects. apply same_thread_refl.
  - intros o x _. rewrite same_objects. intros there. left. exact there.
  - intros o x there. exists x. rewrite same_objects. exact there.
  - intros s base bits r p. unfold capability_at. rewrite same_slots. intros there. left. exact there.
Qed.
Lemma made_emit t e st : made t st (emit e st).
Proof. apply made_quietly; try reflexivity. intros x listed. right. exact listed. Qed.
Lemma made_registers t f st : only_registers f -> made t st (change_thread t f st).
Proof.
  intros only. unfold change_thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:there; try apply made_emit.
  change (made t st (put_object t (ThreadObject (f x)) st)). constructor; try reflexivity.
  - intros o. unfold thread. change (objects (put_object t (ThreadObject (f x)) st)) with (set t (ThreadObject (f x)) (objects st)). rewrite find_set.
    destruct (N.eqb_spec o t) as [->|]; [rewrite there; apply only | apply same_thread_refl].
  - intros o y other. change (objects (put_object t (ThreadObject (f x)) st)) with (set t (ThreadObject (f x)) (objects st)). rewrite find_set.
    apply N.eqb_neq in other. rewrite other. intros here. left. exact here.
  - intros o y here. change (objects (put_object t (ThreadObject (f x)) st)) with (set t (ThreadObject (f x)) (objects st)). rewrite find_set.
    destruct (o =? t); [eexists; reflexivity | exists y; exact here].
  - apply incl_refl.
  - intros s base bits r p here. left. exact here.
Qed.
Lemma made_word t i v st : made t st (set_word_argument i v t st).
Proof. apply made_registers. apply with_register_only. Qed.
Lemma made_words t a l st : made t st (write_words a l st).
Proof.
  revert a st. induction l as [|v l IH]; intros a st; [apply made_refl|]. cbn [write_words]. apply (made_trans t st (write_memory a v st)); [|apply IH].
  apply made_quietly; try reflexivity. intros x listed. right. exact listed.
Qed.

(** ** One object, and many *)
Definition same_but_memory (a b : State) : Prop :=
  b = a <| objects := objects b |> <| slots := slots b |> <| references := references b |> <| effects := effects b |>.
Lemma same_memory_then a b c : same_but_memory a b -> same_but_slots b c -> same_but_memory a c.
Proof. unfold same_but_memory, same_but_slots. intros first second. rewrite second, first. reflexivity. Qed.
Lemma same_slots_memory a b : same_but_slots a b -> same_but_memory a b.
Proof. apply same_memory_then. destruct a. reflexivity. Qed.
Lemma put_memory a b o x : same_but_memory a b -> same_but_memory a (put_object o x b).
Proof. unfold same_but_memory. intros first. rewrite first. reflexivity. Qed.
Lemma carve_same untyped at_ size x slot c st : same_but_memory st (carve untyped at_ size x slot c st).
Proof.
  assert (same_but_memory st (emit Stuck st)) as stuck by (destruct st; reflexivity).
  unfold carve. destruct (slots st !! untyped) as [e|]; [|exact stuck].
  destruct (capability_at untyped st) as [[base bits device used| | | | | | | | | | | | | | | | | |]|]; try exact stuck. cbv zeta.
  destruct (_ && _); [|exact stuck]. eapply same_memory_then; [|apply insert_child_same].
  pose proof (same_slots_memory _ _ (replace_capability_same untyped e (UntypedCap base bits device (at_ + size - base)) st)) as taken.
  destruct x as [x|]; [exact (put_memory _ _ at_ x taken) | exact taken].
Qed.
Lemma effects_of_insert_child slot p o c st : incl (effects st) (effects (insert_child slot p o c st)).
Proof.
  unfold insert_child. destruct (_ && _); [|intros x listed; right; exact listed]. unfold count_reference, change_children.
  destruct (referent c); intros x listed; exact listed.
Qed.
Lemma effects_of_replace slot e c st : effects (replace_capability slot e c st) = effects st.
Proof. unfold replace_capability, count_reference, discount_reference, put_entry. cbv zeta. destruct (referent c), (referent (capability e)); reflexivity. Qed.
Lemma effects_of_carve untyped at_ size x slot c st : incl (effects st) (effects (carve untyped at_ size x slot c st)).
Proof.
  assert (incl (effects st) (effects (emit Stuck st))) as stuck by (intros y listed; right; exact listed).
  unfold carve. destruct (slots st !! untyped) as [e|]; [|exact stuck].
  destruct (capability_at untyped st) as [[base bits device used| | | | | | | | | | | | | | | | | |]|]; try exact stuck. cbv zeta.
  destruct (_ && _); [|exact stuck]. eapply incl_tran; [|apply effects_of_insert_child].
  destruct x as [x|]; cbn [put_if_some]; [change (effects (put_object at_ x ?s)) with (effects s)|]; rewrite effects_of_replace; apply incl_refl.
Qed.
(** What is carved off is new, and cleared before. *)
Lemma made_carve t untyped at_ size x slot c st :
  (forall y, x = Some y -> is_fresh at_ y (effects st) /\ match y with ThreadObject z => z = new_thread | _ => True end) ->
  (forall base bits r p, c = FrameCap base bits false r p -> In (ClearMemory base (N.shiftl 1 bits) true) (effects st)) ->
  made t st (carve untyped at_ size x slot c st).
Proof.
  intros fresh cleared. pose proof (effects_of_carve untyped at_ size x slot c st) as more. pose proof (carve_same untyped at_ size x slot c st) as same.
  unfold same_but_memory in same. destruct (carve_cases untyped at_ size x slot c st) as [stuck|cut]; [rewrite stuck; apply made_emit|].
  destruct cut as (e & base & bits & device & used & there & is_it & _ & _ & vacant & unused & caps & _ & objs). revert more same caps objs.
  generalize (carve untyped at_ size x slot c st). intros after more same caps objs. constructor.
  - rewrite same. reflexivity.
  - intros o. assert (thread o after = thread o st) as ->; [|apply same_thread_refl]. unfold thread. rewrite objs.
    destruct x as [y|]; [|reflexivity]. rewrite find_set. destruct (N.eqb_spec o at_) as [->|]; [|reflexivity].
    rewrite (unused ltac:(discriminate)). destruct (fresh y eq_refl) as (_ & is_new_). destruct y; try reflexivity. exact is_new_.
  - intros o y _. rewrite objs. destruct x as [z|]; [|intros here; left; exact here]. rewrite find_set.
    destruct (N.eqb_spec o at_) as [->|]; [|intros here; left; exact here]. intros is_y. injection is_y as <-. right.
    split; [exact (unused ltac:(discriminate))|]. destruct (fresh z eq_refl) as ((size' & first & clear_) & _). exists size'. split; [exact first|].
    exact (more _ clear_).
  - intros o y here. rewrite objs. destruct x as [z|]; [|exists y; exact here]. rewrite find_set.
    destruct (o =? at_); [eexists; reflexivity | exists y; exact here].
  - exact more.
  - intros s b size' r p. rewrite !capability_at_in, caps. destruct (s =? slot).
    + intros new. injection new as new. right. exact (more _ (cleared b size' r p new)).
    + destruct (s =? untyped); [discriminate|]. intros here. left. exact here.
Qed.
Lemma made_object t type at_ n d slot untyped st : made t st (make_object type at_ n d slot untyped st).
Proof.
  unfold make_object. cbv zeta. set (clears := needs_memory type || (is_frame type && negb d)).
  set (cleared := if clears then _ else st).
  assert (made t st cleared) as begun by (unfold cleared; destruct clears; [apply made_emit | apply made_refl]).
  assert (clears = true -> In (ClearMemory at_ (N.shiftl 1 (object_bits type n)) (is_frame type)) (effects cleared)) as clear_
    by (intros yes; unfold cleared; rewrite yes; left; reflexivity).
  clearbody cleared. apply (made_trans t st cleared); [exact begun|]. clear begun. unfold clears in clear_. apply made_carve.
  - intros y new. split.
    + exists (object_bits type n). split; [left; exists type, n; split; [exact new | reflexivity]|].
      destruct type; try discriminate new; exact (clear_ eq_refl).
    + destruct type; try discriminate new; injection new as <-; first [exact I | reflexivity].
  - intros base bits r p new. destruct type; try discriminate new; injection new as <- <- -> _ _; exact (clear_ eq_refl).
Qed.
Lemma made_objects count type at_ n d slot offset untyped t st : made t st (state_after (make_objects count type at_ n d slot offset untyped t st)).
Proof.
  revert at_ slot offset st. induction count as [|rest IH]; intros at_ slot offset st; cbn [make_objects]; [apply made_refl|].
  destruct (must_stop st); cbn [state_after]; [eapply made_trans; apply made_word|]. cbv zeta.
  eapply made_trans; [apply (made_object t type at_ n d slot untyped)|]. eapply made_trans; [|apply IH].
  apply made_quietly; try reflexivity. apply incl_refl.
Qed.
Lemma made_by_retype a b c d e f r call st :
  match untyped_retype a b c d e f r call st with Perform work => made (invoker call) st (state_after (work st)) | Refuse _ _ => True end.
Proof.
  unfold untyped_retype. destruct (invoked call); try exact I. destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta.
  repeat match goal with |- match (match ?x with _ => _ end) with _ => _ end => destruct x; try exact I end.
  all: apply made_objects.
Qed.

Lemma made_by_pool a b u r call st :
  match asid_control_make_pool a b u r call st with Perform work => made (invoker call) st (state_after (work st)) | Refuse _ _ => True end.
Proof.
  unfold asid_control_make_pool, empty_slot_in, slot_in. cbv beta.
  repeat match goal with |- match (match ?x with _ => _ end) with _ => _ end => destruct x; try exact I end.
  cbn [always state_after]. eapply made_trans; [apply made_emit|]. eapply made_trans; [|apply made_carve].
  - apply made_quietly; try reflexivity. apply incl_refl.
  - intros y new. injection new as <-. split; [|exact I]. exists page_bits. split; [right; eexists; split; reflexivity | left; reflexivity].
  - intros base' bits' r' p. discriminate.
Qed.

(** ** The first phase *)
Definition makes (m : Method.t) : Prop := m = Method.UntypedRetype \/ m = Method.ASIDControlMakePool.
Lemma made_by_method method call st : makes method ->
  match decode_method method call st with Perform work => made (invoker call) st (state_after (work st)) | Refuse _ _ => True end.
Proof. intros [-> | ->]; [apply made_by_retype | apply made_by_pool]. Qed.
Lemma invoke_made method t slot c st : method_for (label (message_of_call t st)) c = Some method -> makes method -> made t st (snd (invoke t slot c st)).
Proof.
  intros named_ makes_. unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(a & report)]; [|apply made_refl]. unfold decide.
  rewrite named_. destruct (_ && _); [|apply made_refl].
  match goal with |- context [decode_method method ?call st] => pose proof (made_by_method method call st makes_) as worked end. cbn [invoker] in worked.
  destruct (decode_method method _ st) as [error details|work]; [apply made_refl|]. destruct (work st); exact worked.
Qed.
Lemma phase_made method t a manner c st : sent_by t a st = Some (c, Some method) -> makes method -> made t st (snd (send_phase t a manner st)).
Proof.
  unfold sent_by, named_by, send_phase. destruct (occupied_slot_of_address t a st) as [(slot & d)|report]; [|discriminate]. cbn [option_map].
  intros same makes_. injection same as -> named_. pose proof (invoke_made method t slot c st named_ makes_) as worked.
  pose proof (method_fits _ _ _ named_) as type.
  destruct makes_ as [-> | ->]; destruct c; try discriminate type; exact worked.
Qed.

(** ** Where something is made *)
Definition is_creation (r : ChangeRule) : bool := match r with ByCreation => true | _ => false end.
Definition creates (l : list ChangeRule) : bool := existsb is_creation l.
Lemma no_creation l : creates l = false -> ~ In ByCreation l.
Proof.
  intros none_ listed. assert (creates l = true) as some by (apply existsb_exists; exists ByCreation; split; [exact listed | reflexivity]). congruence.
Qed.
Lemma comes_by_making st e o x : objects st !! o = None -> objects (fst (fst (step st e))) !! o = Some x -> creates (rules_of st e) = true.
Proof.
  intros none there. pose proof (proj1 (FieldProofs.fields_change_by_rule_proved st e) o) as changed. unfold next_of in changed. rewrite none, there in changed.
  destruct (creates (rules_of st e)) eqn:no; [reflexivity | exfalso]. apply no_creation in no.
  assert (forall y, by_rules st e (fun r => In r (rules_of st e)) o None y -> y = None) as stays_.
  { intros y rules. induction rules as [|rule y z _ IH ok row]; [reflexivity|]. subst y. inversion row; subst; contradiction. }
  discriminate (stays_ _ changed).
Qed.
Lemma creating_method m : creates (rules_of_method m) = true -> makes m.
Proof. unfold makes. destruct m; intros some; try discriminate some; [left | right]; reflexivity. Qed.
Lemma creation_sent st e : creates (rules_of st e) = true -> cause e = SystemCall /\ exists t s c m,
  current st = Some t /\ system_call_of t (enter e st) = Some s /\ sent_through t s (enter e st) = Some (c, Some m) /\ makes m.
Proof.
  unfold rules_of, creates. rewrite existsb_app. cbn [every_step existsb is_creation orb]. destruct (cause e), (current st) as [t|]; try discriminate.
  intros some. split; [reflexivity|]. cbn [existsb is_creation orb] in some. destruct (system_call_of t (enter e st)) as [s|] eqn:number; [|discriminate some].
  unfold rules_of_call in some. rewrite existsb_app in some. apply orb_prop in some.
  destruct some as [some|some]; [destruct (receives_then s); discriminate some|].
  destruct (sent_through t s (enter e st)) as [(c & [m|])|] eqn:sent; [|destruct c; discriminate some|discriminate some].
  exists t, s, c, m. repeat split; try assumption. apply creating_method. destruct c; first [discriminate some | exact some].
Qed.

(** ** What comes behind *)
Definition rules_behind : list ChangeRule := every_step ++ [ByReceiving; ByFlags; ByDonation; ByGrant].
Section Behind.
Variables (from : State) (e : Event) (t : N).
(** As the rules see it [t] is the thread that runs. *)
Definition start : State := from <| current := Some t |>.
Definition behind (after : State) : Prop := FieldProofs.framed start e (fun r => In r rules_behind) (current_context from) after.
Lemma behind_itself : behind from. Proof. constructor; [intros o; apply as_it_was | intros slot; apply slot_as_it_was | reflexivity]. Qed.
Ltac listed := unfold FieldProofs.Allows; cbn; tauto.
Lemma behind_receive w : behind (snd (then_receive t w from)).
Proof.
  refine (proj2 (@FieldProofs.keeps_then_receive start e (fun r => In r rules_behind) (current_context from) _ _ _ t w eq_refl _ _ _ _ from behind_itself));
    listed.
Qed.
Lemma behind_send manner report : behind (snd (finish_send t manner (report, from))).
Proof.
  refine (proj2 (@FieldProofs.finish_send_good start e (fun r => In r rules_behind) (current_context from) _ _ _ t manner (report, from) eq_refl _ (conj I
    behind_itself))); listed.
Qed.
Lemma behind_early w first : behind (state_of (refuse_early t w first from)).
Proof.
  refine (@FieldProofs.keeps_refuse_early start e (fun r => In r rules_behind) (current_context from) _ _ _ t w first from behind_itself); listed.
Qed.
Lemma behind_choose after : behind after ->
  forall o, by_rules start e (fun r => In r rules_behind) o (objects from !! o) (objects (choose_thread after) !! o).
Proof.
  intros ok o. destruct (FieldProofs.choice_ruled start e (fun r => In r rules_behind) (fun r is_r => in_or_app _ _ r (or_introl is_r)) after ok) as
    (used & after_).
  exact (FieldProofs.objects_ruled _ _ _ _ _ after_ o).
Qed.

(** What the rules leave of each kind of object. *)
Lemma none_behind o y : by_rules start e (fun r => In r rules_behind) o None y -> y = None.
Proof.
  intros rules. induction rules as [|rule y z _ IH ok row]; [reflexivity|]. subst y. inversion row; subst; cbn in ok; intuition discriminate.
Qed.
Lemma receivers_behind o y : by_rules start e (fun r => In r rules_behind) o (Some (EndpointObject {| senders := []; receivers := [] |})) y ->
  exists x, y = Some (EndpointObject x) /\ forall u, In u (receivers x) -> u = t.
Proof.
  intros rules. induction rules as [|rule y z _ IH ok row]; [eexists; split; [reflexivity | intros u []]|]. destruct IH as (x & -> & only).
  inversion row as [|a b r row'| | | | | | | | |]; subst; try (cbn in ok; intuition discriminate). exists b. split; [reflexivity|]. intros u listed_.
  inversion row'; subst; cbn in listed_; auto.
  - match goal with H : forall u, In u _ -> current start = Some u \/ _ |- _ => destruct (H u listed_) as [is_cur|before] end;
      [injection is_cur as is_cur; congruence | auto].
  - cbn in ok. intuition discriminate.
Qed.
Lemma waiters_behind o y : by_rules start e (fun r => In r rules_behind) o (Some (NotificationObject idle_notification)) y ->
  exists l, y = Some (NotificationObject (idle_notification <| waiters := l |>)) /\ forall u, In u l -> u = t.
Proof.
  intros rules. induction rules as [|rule y z _ IH ok row]; [exists []; split; [reflexivity | intros u []]|]. destruct IH as (l & -> & only).
  inversion row as [| |a b r row'| | | | | | | |]; subst; try (cbn in ok; intuition discriminate).
  inversion row'; subst; try (cbn in ok; intuition discriminate).
  - exists l. split; [reflexivity | exact only].
  - match goal with H : incl ?k _ |- _ => exists k; split; [reflexivity | intros u listed_; exact (only u (H u listed_))] end.
  - match goal with H : forall u, In u ?k -> current start = Some u \/ _ |- _ => exists k; split; [reflexivity|]; intros u listed_;
      destruct (H u listed_) as [is_cur|before] end; [injection is_cur as is_cur; congruence | exact (only u before)].
Qed.
Lemma reply_behind o y : by_rules start e (fun r => In r rules_behind) o (Some (ReplyObject unused_reply)) y ->
  exists x, y = Some (ReplyObject x) /\ (x = unused_reply \/ x = {| caller := None; receiver := Some t; along := None |}
    \/ exists other c, x = {| caller := Some other; receiver := None; along := c |}).
Proof.
  intros rules. induction rules as [|rule y z _ IH ok row]; [eexists; split; [reflexivity | left; reflexivity]|]. destruct IH as (x & -> & forms).
  inversion row as [| | |a b r row'| | | | | | |]; subst; try (cbn in ok; intuition discriminate). exists b. split; [reflexivity|].
  inversion row'; subst.
  - left. reflexivity.
  - right. right. do 2 eexists. reflexivity.
  - right. left. match goal with H : current start = Some _ |- _ => injection H as H end. congruence.
  - destruct forms as [-> | [-> | (other & c & ->)]]; [left; reflexivity | right; left; reflexivity | right; right; do 2 eexists; reflexivity].
Qed.
End Behind.

(** ** What is fresh is named by nobody *)
Record sane (st : State) : Prop := { s_parts : LendProofs.parts st; s_yields : yielding st; s_placed : placed st }.
Lemma s_sound st : sane st -> sound st. Proof. intros ok. exact (proj1 (s_placed st ok)). Qed.
Lemma s_live st : sane st -> capabilities_live st. Proof. intros ok. apply live_is, live_ok, s_sound. exact ok. Qed.
Record blank (o : N) (st : State) : Prop := {
  blank_thread : thread o st = new_thread;
  blank_endpoint : endpoint o st = {| senders := []; receivers := [] |};
  blank_notification : notification o st = idle_notification;
  blank_reply : reply o st = unused_reply;
  blank_context : exists n, context o st = new_sched_context n
}.
Lemma fresh_blank o x bits st : first_value x bits -> objects st !! o = Some x -> blank o st.
Proof.
  intros first there. constructor; unfold thread, endpoint, notification, reply, context; rewrite there;
    destruct first as [(type & n & made_ & _)|(i & -> & _)]; try reflexivity; try (eexists; reflexivity);
    destruct type; try discriminate made_; injection made_ as <-; first [reflexivity | eexists; reflexivity].
Qed.
Lemma blank_is_clear o x st : sane st -> blank o st -> forall p y, objects st !! p = Some y -> clear o (Some x) y.
Proof.
  intros [(link & wait & ok) yields _] [new_t new_e new_n new_r (n & new_c)] p y there.
  assert (forall t q, stands t q st <-> says (run_state (thread t st)) q) as posts.
  { intros t q. rewrite (w_stands nobody st wait t q). split; [intros (_ & is_q); exact is_q | intros is_q; split; [intros [] | exact is_q]]. }
  assert (forall q, ~ stands o q st) as nowhere_ by (intros q at_q; apply posts in at_q; rewrite new_t in at_q; exact at_q).
  pose proof (both_bound _ (linked_both st link)) as bound. pose proof (both_lent _ (linked_both st link)) as lent.
  assert (forall a, a <> Some o -> others o (Some x) a) as each by (intros [a|] differs; [right; congruence | exact I]).
  assert (forall l, ~ In o l -> Forall (other o (Some x)) l) as all_.
  { intros l no. apply Forall_forall. intros a listed. right. intros ->. exact (no listed). }
  destruct y as [radix|y|y|y|y|y|l|l|y]; try exact I; cbn [clear].
  - assert (thread p st = y) as is_y by (unfold thread; rewrite there; reflexivity). split; [|repeat split; apply each].
    + destruct (run_state y) as [| |e r q g|e b g gr c l|r g|m] eqn:state; try exact I; cbn [clear_state]; [split|..].
      * right. intros ->. pose proof (proj2 (posts p (InReceivers o))) as at_. cbn [stands] in at_. rewrite new_e, is_y, state in at_.
        destruct r; exact (at_ (eq_refl o)).
      * apply each. intros ->. pose proof (proj2 (posts p (AsReceiver o))) as at_. cbn [stands] in at_. rewrite new_r, is_y, state in at_.
        discriminate (at_ (eq_refl o)).
      * right. intros ->. pose proof (proj2 (posts p (InSenders o))) as at_. cbn [stands] in at_. rewrite new_e, is_y, state in at_. exact (at_ (eq_refl o)).
      * right. intros ->. pose proof (proj2 (posts p (AsCaller o))) as at_. cbn [stands] in at_. rewrite new_r, is_y, state in at_.
        discriminate (at_ (eq_refl o)).
      * right. intros ->. pose proof (proj2 (posts p (InWaiters o))) as at_. cbn [stands] in at_. rewrite new_n, is_y, state in at_. exact (at_ (eq_refl o)).
    + rewrite <- is_y. intros to. apply bound in to. rewrite new_n in to. discriminate to.
    + rewrite <- is_y. intros to. apply (b_had none st ok) in to. rewrite new_c in to. discriminate to.
    + rewrite <- is_y. intros to. apply (y_both st yields) in to. rewrite new_c in to. discriminate to.
  - assert (endpoint p st = y) as is_y by (unfold endpoint; rewrite there; reflexivity). rewrite <- is_y.
    split; apply all_; [exact (nowhere_ (InSenders p)) | exact (nowhere_ (InReceivers p))].
  - assert (notification p st = y) as is_y by (unfold notification; rewrite there; reflexivity). rewrite <- is_y.
    split; [apply all_; exact (nowhere_ (InWaiters p)) | split; apply each].
    + intros to. apply bound in to. rewrite new_t in to. discriminate to.
    + intros to. apply lent in to. rewrite new_c in to. discriminate to.
  - assert (reply p st = y) as is_y by (unfold reply; rewrite there; reflexivity). rewrite <- is_y.
    split; [|split]; apply each; [exact (nowhere_ (AsCaller p)) | exact (nowhere_ (AsReceiver p))|].
    intros to. apply (b_along none st ok) in to. rewrite new_c in to. exact to.
  - assert (context p st = y) as is_y by (unfold context; rewrite there; reflexivity). rewrite <- is_y. split; [|split; [|split]].
    + apply each. intros to. apply (b_had none st ok) in to. rewrite new_t in to. discriminate to.
    + apply each. intros to. apply lent in to. rewrite new_n in to. discriminate to.
    + apply all_. intros listed. apply (b_along none st ok) in listed. rewrite new_r in listed. discriminate listed.
    + apply each. intros to. apply (y_both st yields) in to. rewrite new_t in to. discriminate to.
Qed.
Lemma fresh_is_unnamed o x bits st : sane st -> first_value x bits -> objects st !! o = Some x -> current_context st <> Some o -> unnamed o (Some x) st.
Proof.
  intros ok first there unused. constructor.
  - exists x. split; [exact there | reflexivity].
  - exact (blank_is_clear o x st ok (fresh_blank o x bits st first there)).
  - destruct (current_context st) as [c|]; [right; congruence | exact I].
Qed.
Lemma endpoint_is_unsent o st : (exists x, objects st !! o = Some (EndpointObject x) /\ senders x = []) -> unnamed o None st.
Proof.
  intros (x & there & none_). assert (forall l, Forall (other o None) l) as all_ by (intros l; apply Forall_forall; intros a _; left; reflexivity).
  assert (forall a, others o None a) as each by (intros [a|]; [left; reflexivity | exact I]). constructor.
  - exists (EndpointObject x). split; [exact there | exact none_].
  - intros p y _. destruct y as [radix|y|y|y|y|y|l|l|y]; try exact I; repeat split; try apply all_; try apply each.
    destruct (run_state y); try exact I; try (left; reflexivity). split; [left; reflexivity | apply each].
  - apply each.
Qed.

(** A capability to it lies where the Retype put it: in a CNode. *)
Lemma objects_in_cnodes o count type n d u t : forall at_ slot offset one,
  (forall k, k < N.of_nat count -> is_slot_of_cnode (slot + slot_bytes * k) one) -> in_cnodes o one ->
  in_cnodes o (state_after (make_objects count type at_ n d slot offset u t one)).
Proof.
  induction count as [|rest IH]; intros at_ slot offset one good_ ok; cbn [make_objects]; [exact ok|]. destruct (must_stop one).
  - cbn [state_after]. unfold set_word_argument. apply (in_cnodes_same o one); [rewrite !slots_of_change_thread; reflexivity | | exact ok].
    assert (forall f s, cnodes_stay s (change_thread t f s)) as stay.
    { intros f s. unfold change_thread. destruct (objects s !! t) as [[]|] eqn:found; try exact (cnodes_same s (emit Stuck s) eq_refl).
      exact (cnodes_put t (ThreadObject (f thread)) _ s found I). }
    intros c radix is_c. apply stay, stay. exact is_c.
  - cbv zeta. unfold make_object. cbv zeta.
    match goal with |- context [carve u at_ ?size ?x slot ?c ?s] => set (told := s);
      assert (objects told = objects one /\ slots told = slots one) as (objs & same) by (unfold told; destruct (_ || _); split; reflexivity);
      destruct (in_cnodes_carve o u at_ size x slot c told) as (came & stay) end.
    + intros _ _ _. apply (slot_stays one told _ (cnodes_same _ _ objs)). specialize (good_ 0 ltac:(lia)). rewrite N.mul_0_r, N.add_0_r in good_. exact good_.
    + exact (in_cnodes_same o one told same (cnodes_same _ _ objs) ok).
    + apply IH.
      * intros k less. replace (slot + slot_bytes + slot_bytes * k) with (slot + slot_bytes * (k + 1)) by lia.
        apply (slot_stays one); [|exact (good_ (k + 1) ltac:(lia))]. intros c radix is_c. apply stay. rewrite objs. exact is_c.
      * exact came.
Qed.
Lemma retype_in_cnodes o a b c d e f i call st : valid call st -> capabilities_live st -> in_cnodes o st ->
  does (in_cnodes o) (untyped_retype a b c d e f (cap i call) call st) st.
Proof.
  intros there alive ok. unfold untyped_retype. destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta.
  assert (forall place cnode radix g s, capability_at place st = Some (CNodeCap cnode radix g s) -> e + f <= N.shiftl 1 radix ->
    forall k, k < f -> is_slot_of_cnode (slot_of cnode e + slot_bytes * k) st) as slots_.
  { intros place cnode radix g s at_place room k less. exists cnode, radix, (e + k). split; [exact (cnode_there st place _ _ _ _ alive at_place)|].
    split; [lia | unfold slot_of; lia]. }
  checks.
  all: cbn [does]; apply objects_in_cnodes; [rewrite N2Nat.id | exact ok].
  - match goal with room : (e + f <=? _) = true, is_c : argument (cap i call) = Some _ |- _ =>
      exact (slots_ _ _ _ _ _ (argument_at call st i _ there is_c) (proj1 (N.leb_le _ _) room)) end.
  - match goal with room : (e + f <=? _) = true, is_c : capability_at _ st = Some (CNodeCap _ _ _ _) |- _ =>
      exact (slots_ _ _ _ _ _ is_c (proj1 (N.leb_le _ _) room)) end.
Qed.
Lemma pool_in_cnodes o a b u r call st : in_cnodes o st -> does (in_cnodes o) (asid_control_make_pool a b u r call st) st.
Proof.
  intros ok. assert (forall s, slots s = slots st -> objects s = objects st -> in_cnodes o s) as same
    by (intros s same_slots same_objects; exact (in_cnodes_same o st s same_slots (cnodes_same st s same_objects) ok)).
  unfold asid_control_make_pool, empty_slot_in, slot_in. cbv beta. checks.
  all: cbn [does always state_after]; apply in_cnodes_carve; [discriminate | apply same; reflexivity].
Qed.
Lemma phase_in_cnodes o t a manner c m st : capabilities_live st -> sent_by t a st = Some (c, Some m) -> makes m -> in_cnodes o st ->
  in_cnodes o (snd (send_phase t a manner st)).
Proof.
  intros alive. unfold sent_by, named_by, send_phase. destruct (occupied_slot_of_address t a st) as [(slot & d)|report] eqn:found; [|discriminate].
  cbn [option_map]. intros same makes_ ok. injection same as -> named_. pose proof (method_fits _ _ _ named_) as type. apply occupied_in_place in found.
  assert (in_cnodes o (snd (invoke t slot c st))) as worked.
  { unfold invoke. cbv zeta. destruct (cap_arguments_at _ t st) as [arguments|(x & report)] eqn:listed; [|exact ok]. unfold decide. rewrite named_.
    destruct (_ && _); [|exact ok].
    match goal with |- context [decode_method m ?call st] => assert (does (in_cnodes o) (decode_method m call st) st) as worked end.
    { destruct makes_ as [-> | ->]; [apply retype_in_cnodes; [|exact alive | exact ok] | apply pool_in_cnodes; exact ok].
      split; [exact found | exact (arguments_in_place _ _ _ _ listed)]. }
    destruct (decode_method m _ st) as [error details|work]; [exact ok|]. cbn [does] in worked. destruct (work st); exact worked. }
  destruct makes_ as [-> | ->]; destruct c; try discriminate type; exact worked.
Qed.

(** ** From the first phase to the end of the step *)
Section Ends.
Variables (e : Event) (t o : N) (st1 st2 : State).
Hypothesis runs1 : run_state (thread t st1) = Running.
Hypothesis none1 : objects st1 !! o = None.
Hypothesis unused1 : current_context st1 <> Some o.
Hypothesis made_so : made t st1 st2.
Hypothesis ok2 : sane st2.
Hypothesis shelf2 : in_cnodes o st2.
Lemma maker_runs : run_state (thread t st2) = Running.
Proof. rewrite (made_threads _ _ _ made_so t). exact runs1. Qed.
Lemma maker_exists : thread_exists t st2 = true. Proof. apply thread_is. rewrite maker_runs. discriminate. Qed.
Lemma maker_is_another : t <> o.
Proof. intros ->. unfold thread in runs1. rewrite none1 in runs1. discriminate runs1. Qed.
Lemma made_is_fresh x : objects st2 !! o = Some x -> is_fresh o x (effects st2).
Proof.
  intros there. destruct (made_new _ _ _ made_so o x (not_eq_sym maker_is_another) there) as [before|(_ & fresh_)]; [congruence | exact fresh_].
Qed.
Lemma made_is_unnamed x : objects st2 !! o = Some x -> unnamed o (Some x) st2.
Proof.
  intros there. destruct (made_is_fresh x there) as (bits & first & _). apply (fresh_is_unnamed o x bits st2 ok2 first there).
  rewrite (made_use _ _ _ made_so). exact unused1.
Qed.
Lemma made_is_shelved : shelved o st2. Proof. exact (conj (s_sound st2 ok2) shelf2). Qed.
Lemma still_new x : objects st2 !! o = Some x -> match Some x with Some (ThreadObject y) => yielded_to y = None | _ => True end.
Proof.
  intros there. destruct (made_is_fresh x there) as (bits & [(type & n & new & _)|(i & -> & _)] & _); [|exact I].
  destruct type; try discriminate new; injection new as <-; first [exact I | reflexivity].
Qed.
Lemma tells_itself st : tells st st. Proof. apply tells_grows, grows_refl. Qed.
(** What was told in the first phase is told of the step. *)
Lemma told_at_last after : told st2 after -> incl (effects st2) (effects (choose_thread after)).
Proof. intros so_far. exact (tells_more _ _ (proj2 (@keeps_choose_thread _ _ _ _ (told_quietly st2) eq_refl after so_far))). Qed.
Lemma fresh_at_last x after : objects st2 !! o = Some x -> told st2 after -> is_fresh o x (rev (effects (choose_thread after))).
Proof.
  intros there so_far. destruct (made_is_fresh x there) as (bits & first & cleared). exists bits. split; [exact first|].
  apply in_rev. rewrite rev_involutive. exact (told_at_last after so_far _ cleared).
Qed.
Lemma some_at_last x after : behind st2 e t after -> objects (choose_thread after) !! o = Some x -> exists first, objects st2 !! o = Some first.
Proof.
  intros ok there. pose proof (behind_choose st2 e t after ok o) as rules. rewrite there in rules. destruct (objects st2 !! o) as [first|]; [exists first;
    reflexivity|]. discriminate (none_behind st2 e t o _ rules).
Qed.

(** A system call that only sends leaves what it made. *)
Lemma sent_unnamed expected manner report : unnamed o expected st2 -> unnamed o expected (snd (finish_send t manner (report, st2))).
Proof.
  intros ok. assert (other o expected t) as differs by (right; exact maker_is_another). unfold finish_send. destruct report as [error details| |a r|].
  - destruct error; apply (clears_put_result o expected t _ _ differs); exact ok.
  - exact ok.
  - destruct (faults manner); [|apply (clears_put_result o expected t _ _ differs); exact ok].
    apply clears_cap_fault; [exact differs | | exact ok]. intros p b x. exact (not_in_thread o st2 t fault_slot p b x made_is_shelved maker_exists eq_refl).
  - apply (clears_go_back o expected t differs). exact ok.
Qed.
Lemma ends_by_sending manner report after x : after = snd (finish_send t manner (report, st2)) -> LendProofs.parts after ->
  objects (choose_thread after) !! o = Some x -> is_fresh o x (rev (effects (choose_thread after))).
Proof.
  intros is_after all_ there. destruct (some_at_last x after) as (first & before); [rewrite is_after; apply behind_send | exact there|].
  pose proof (sent_unnamed (Some first) manner report (made_is_unnamed first before)) as ok. rewrite <- is_after in ok.
  assert (shelved o after) as shelf
    by (rewrite is_after; exact (proj2 (@finish_send_good _ _ _ _ (shelved_quietly o) t manner (report, st2) eq_refl (conj I made_is_shelved)))).
  assert (told st2 after) as so_far
    by (rewrite is_after; exact (proj2 (@finish_send_good _ _ _ _ (told_quietly st2) t manner (report, st2) eq_refl (conj I (conj (s_placed st2 ok2)
      (tells_itself st2)))))).
  destruct (u_object _ _ _ (unnamed_choose o (Some first) after (still_new first before) all_ shelf ok)) as (y & found & same). cbn in same. subst y.
  assert (x = first) as -> by congruence. exact (fresh_at_last first after before so_far).
Qed.

(** One that receives behind it may use that. *)
Lemma spared_by_kind x : objects st2 !! o = Some x -> match x with EndpointObject _ | NotificationObject _ | ReplyObject _ => False | _ => True end ->
  spared o (Some x) st2.
Proof.
  intros there kind slot c p at_ through names_. right. intros same. subst p.
  destruct (none_dangles st2 (s_live st2 ok2) slot c o at_ names_) as (y & at_o & fits_). assert (y = x) as -> by congruence.
  destruct c; try discriminate through; destruct x; try contradiction kind; discriminate fits_.
Qed.
Lemma then_unnamed expected w : spared o expected st2 -> unnamed o expected st2 -> unnamed o expected (snd (then_receive t w st2)).
Proof.
  intros free ok. apply clears_then_receive; [right; exact maker_is_another | exact free | | exact ok]. intros p b x.
  exact (not_in_thread o st2 t fault_slot p b x made_is_shelved maker_exists eq_refl).
Qed.
Lemma at_most_one (l : list N) : NoDup l -> (forall u, In u l -> u = t) -> l = [] \/ l = [t].
Proof.
  intros once only. destruct l as [|a [|b l]]; [left; reflexivity | right; rewrite (only a (or_introl eq_refl)); reflexivity | exfalso].
  inversion once as [|? ? no _]. apply no. left. rewrite (only a (or_introl eq_refl)), (only b (or_intror (or_introl eq_refl))). reflexivity.
Qed.
Lemma ends_by_receiving w after x : after = snd (then_receive t w st2) -> LendProofs.parts after ->
  (NoDup (receivers (endpoint o (choose_thread after))) /\ NoDup (waiters (notification o (choose_thread after)))) ->
  objects (choose_thread after) !! o = Some x ->
  exists first, is_fresh o first (rev (effects (choose_thread after))) /\ (x = first \/ used_by t first x).
Proof.
  intros is_after all_ (once_r & once_w) there.
  assert (behind st2 e t after) as rules by (rewrite is_after; apply behind_receive).
  destruct (some_at_last x after rules there) as (first & before). exists first.
  assert (shelved o after) as shelf
    by (rewrite is_after; exact (proj2 (@keeps_then_receive _ _ _ _ (shelved_quietly o) (shelved_kept o) t w eq_refl st2 made_is_shelved))).
  assert (told st2 after) as so_far
    by (rewrite is_after; exact (proj2 (@keeps_then_receive _ _ _ _ (told_quietly st2) (told_kept st2) t w eq_refl st2 (conj (s_placed st2 ok2)
      (tells_itself st2))))).
  split; [exact (fresh_at_last first after before so_far)|].
  assert (forall expected, match expected with Some (ThreadObject y) => yielded_to y = None | _ => True end ->
    spared o expected st2 -> unnamed o expected st2 -> exists y, objects (choose_thread after) !! o = Some y /\ as_expected expected y) as each.
  { intros expected new elsewhere ok. pose proof (then_unnamed expected w elsewhere ok) as ok1. rewrite <- is_after in ok1.
    exact (u_object _ _ _ (unnamed_choose o expected after new all_ shelf ok1)). }
  pose proof (behind_choose st2 e t after rules o) as changed. rewrite before, there in changed.
  destruct (made_is_fresh first before) as (bits & value & _).
  assert (match first with EndpointObject _ | NotificationObject _ | ReplyObject _ => False | _ => True end -> x = first) as same.
  { intros kind. destruct (each (Some first) (still_new first before) (spared_by_kind first before kind) (made_is_unnamed first before))
      as (y & found & is_y). cbn in is_y. congruence. }
  destruct value as [(type & n & new & _)|(i & -> & _)]; [|left; exact (same I)].
  destruct type; try discriminate new; injection new as <-; try (left; exact (same I)).
  - destruct (receivers_behind st2 e t o _ changed) as (y & is_y & only). injection is_y as ->.
    destruct (each None I) as (z & found & none_).
    + intros slot c p _ _ _. left. reflexivity.
    + apply endpoint_is_unsent. eexists. split; [exact before | reflexivity].
    + assert (z = EndpointObject y) as -> by congruence. cbn in none_. unfold endpoint in once_r. rewrite there in once_r.
      destruct y as [s l]. cbn in *. subst s. destruct (at_most_one l once_r only) as [-> | ->]; [left; reflexivity | right; constructor].
  - destruct (waiters_behind st2 e t o _ changed) as (l & is_y & only). injection is_y as ->. unfold notification in once_w. rewrite there in once_w.
    destruct (at_most_one l once_w only) as [-> | ->]; [left; reflexivity | right; constructor].
  - destruct (reply_behind st2 e t o _ changed) as (y & is_y & forms). injection is_y as ->.
    destruct forms as [-> | [-> | (other_ & c & ->)]]; [left; reflexivity | right; constructor | right; constructor].
Qed.
End Ends.

(** ** The start of the step *)
Lemma enter_same_queue e st : same_queue st (enter e st).
Proof.
  unfold enter, save_registers. assert (same_queue st (begin_step e st)) as begun by (destruct st, e; repeat split).
  destruct (current (begin_step e st)) as [t|]; [|exact begun]. apply (same_queue_trans st (begin_step e st)); [exact begun|].
  apply change_thread_same_queue. intros x. rewrite (registers_only (saved e) x). split; reflexivity.
Qed.
Lemma enter_objects e st t o : current (enter e st) = Some t -> o <> t -> objects (enter e st) !! o = objects st !! o.
Proof.
  intros cur other. destruct (enter_same_queue e st) as (_ & _ & same & _). rewrite same in cur.
  unfold enter, save_registers. replace (current (begin_step e st)) with (Some t) by (destruct st, e; symmetry; exact cur).
  unfold change_thread. replace (objects (begin_step e st)) with (objects st) by (destruct st, e; reflexivity).
  destruct (objects st !! t) as [[|x| | | | | | |]|]; try (destruct st, e; reflexivity).
  change (set t (ThreadObject (with_registers (saved e) x)) (objects (begin_step e st)) !! o = objects st !! o). rewrite find_set.
  apply N.eqb_neq in other. rewrite other. destruct st, e. reflexivity.
Qed.

(** ** The claim *)
Lemma phase_sane t a manner st : sane st -> run_state (thread t st) = Running -> yielded_to (thread t st) = None -> sane (snd (send_phase t a manner st)).
Proof.
  intros [all_ yields spaces] runs fresh. constructor.
  - exact (phase_sends_bonds t a manner st all_ runs).
  - exact (phase_yields t a manner st (conj all_ (conj yields (conj runs fresh)))).
  - exact (proj2 (@keeps_send_phase _ _ _ _ placed_quietly placed_kept placed_operations t a manner eq_refl st spaces)).
Qed.
Lemma early_sane t w first st : sane st -> run_state (thread t st) = Running -> sane (state_of (refuse_early t w first st)).
Proof.
  intros [all_ yields spaces] runs. constructor.
  - exact (proj1 (refused_early_whole t w first st (conj all_ runs))).
  - exact (@keeps_refuse_early _ _ _ _ yielding_quietly t w first eq_refl st yields).
  - exact (@keeps_refuse_early _ _ _ _ placed_quietly t w first eq_refl st spaces).
Qed.
Lemma words_sane t l st : sane st -> sane (write_long_words t l st).
Proof.
  intros [all_ yields spaces]. constructor.
  - exact (@keeps_write_long_words _ _ _ _ parts_quietly t l st all_).
  - exact (@keeps_write_long_words _ _ _ _ yielding_quietly t l st yields).
  - exact (@keeps_write_long_words _ _ _ _ placed_quietly t l st spaces).
Qed.
Lemma long_words_same t l st : slots (write_long_words t l st) = slots st /\ objects (write_long_words t l st) = objects st.
Proof.
  unfold write_long_words. destruct (receive_buffer t st) as [b|]; [|split; reflexivity]. split; [apply slots_of_write_words|].
  generalize (b + ipc_buffer_msg + 8 * ipc_register_words), (skipn (N.to_nat ipc_register_words) l). clear b l. intros a l. revert a st.
  induction l as [|v l IH]; intros a st; [reflexivity|]. cbn [write_words]. rewrite IH. reflexivity.
Qed.
Lemma made_long_words t l st : made t st (write_long_words t l st).
Proof. unfold write_long_words. destruct (receive_buffer t st); [apply made_words | apply made_refl]. Qed.
Lemma nothing_to_it o st : capabilities_live st -> objects st !! o = None -> in_cnodes o st.
Proof. intros alive none_ j b r there. destruct (none_dangles st alive j _ o there eq_refl) as (x & found & _). congruence. Qed.
Lemma run_of_call t s st c m : system_call_of t st = Some s -> sent_through t s st = Some (c, m) -> system_call t st = run_system_call s t st.
Proof.
  unfold system_call_of, system_call. cbv zeta. intros number sent. rewrite number. destruct s; try discriminate sent; reflexivity.
Qed.

(** What the first phase leaves, and what is then made of it. *)
Section Call.
Variables (e : Event) (t o : N) (st : State).
Hypothesis ok : sane st.
Hypothesis runs : run_state (thread t st) = Running.
Hypothesis fresh : yielded_to (thread t st) = None.
Hypothesis none_ : objects st !! o = None.
Hypothesis unused : current_context st <> Some o.
Lemma sent_fresh a manner c m after x : sent_by t a st = Some (c, Some m) -> makes m -> after = snd (finish_send t manner (send_phase t a manner st)) ->
  LendProofs.parts after -> objects (choose_thread after) !! o = Some x -> is_fresh o x (rev (effects (choose_thread after))).
Proof.
  intros sent makes_ is_after all_. pose proof (phase_made m t a manner c st sent makes_) as worked.
  pose proof (phase_sane t a manner st ok runs fresh) as ok2.
  pose proof (phase_in_cnodes o t a manner c m st (s_live st ok) sent makes_ (nothing_to_it o st (s_live st ok) none_)) as shelf.
  destruct (send_phase t a manner st) as (report & two). cbn [snd] in *.
  exact (ends_by_sending e t o st two runs none_ unused worked ok2 shelf manner report after x is_after all_).
Qed.
Lemma received_fresh w c m after x : passed_on t w st = Some (c, Some m) -> makes m -> after = snd (send_and_receive t w st) ->
  LendProofs.parts after -> (NoDup (receivers (endpoint o (choose_thread after))) /\ NoDup (waiters (notification o (choose_thread after)))) ->
  objects (choose_thread after) !! o = Some x ->
  exists first, is_fresh o first (rev (effects (choose_thread after))) /\ (x = first \/ used_by t first x).
Proof.
  unfold passed_on, send_and_receive. intros sent makes_ is_after all_ once. set (first_phase := pass_message t) in *.
  pose proof (early_sane t w first_phase st ok runs) as ok1.
  pose proof (early_same t w first_phase st (proj1 (proj2 (s_parts st ok))) runs) as same.
  pose proof (behind_early st e t w first_phase) as early_.
  destruct (refuse_early t w first_phase st) as [one|one]; [|discriminate sent]. cbn [once_done unless_preempted state_of] in *.
  assert (objects one !! o = None) as none1.
  { pose proof (FieldProofs.objects_ruled _ _ _ _ _ early_ o) as rules. unfold FieldProofs.ruled in rules.
    change (objects (start st t)) with (objects st) in rules. rewrite none_ in rules. exact (none_behind st e t o _ rules). }
  assert (current_context one <> Some o) as unused1 by (rewrite (FieldProofs.same_use _ _ _ _ _ early_); exact unused).
  rewrite <- same in runs, fresh. pose proof (phase_made m t _ passing_on c one sent makes_) as worked.
  pose proof (phase_sane t (register 8 (thread t one)) passing_on one ok1 runs fresh) as ok2.
  pose proof (phase_in_cnodes o t _ passing_on c m one (s_live one ok1) sent makes_ (nothing_to_it o one (s_live one ok1) none1)) as shelf.
  fold (pass_on t one) in worked, ok2, shelf. destruct (pass_on t one) as (report & two). cbn [snd] in worked, ok2, shelf.
  destruct report as [error details| |a r|].
  - pose proof (made_long_words t (fitting_words t details two) two) as told_. pose proof (words_sane t (fitting_words t details two) two ok2) as ok3.
    destruct (long_words_same t (fitting_words t details two) two) as (same_slots & same_objects).
    exact (ends_by_receiving e t o one _ runs none1 unused1 (made_trans _ _ _ _ worked told_) ok3
      (in_cnodes_same o two _ same_slots (cnodes_same _ _ same_objects) shelf) w after x is_after all_ once).
  - exact (ends_by_receiving e t o one two runs none1 unused1 worked ok2 shelf w after x is_after all_ once).
  - exact (ends_by_receiving e t o one two runs none1 unused1 worked ok2 shelf w after x is_after all_ once).
  - intros there. exists x. split; [|left; reflexivity].
    exact (ends_by_sending e t o one two runs none1 unused1 worked ok2 shelf passing_on Restarted after x is_after all_ there).
Qed.
End Call.
Lemma sends_as t manner st : sends t manner st = finish_send t manner (send_phase t (register 0 (thread t st)) manner st). Proof. reflexivity. Qed.
Lemma runs_as s t st : match s with
  | Syscall.Call => run_system_call s t st = sends t calling st
  | Syscall.Send => run_system_call s t st = sends t sending st
  | Syscall.NBSend => run_system_call s t st = sends t sending_if_received st
  | Syscall.NBSendRecv => run_system_call s t st = send_and_receive t true st
  | Syscall.NBSendWait => run_system_call s t st = send_and_receive t false st
  | _ => True
  end.
Proof. destruct s; first [exact I | reflexivity]. Qed.
Lemma left_alone st : objects (leave st) = objects st /\ (forall o, endpoint o (leave st) = endpoint o st)
  /\ forall o, notification o (leave st) = notification o st.
Proof. repeat split. Qed.
Lemma comes_fresh (e : Event) t o st s c m after x : sane st -> run_state (thread t st) = Running -> yielded_to (thread t st) = None ->
  objects st !! o = None ->
  current_context st <> Some o -> system_call_of t st = Some s -> sent_through t s st = Some (c, Some m) -> makes m ->
  after = snd (run_system_call s t st) -> LendProofs.parts after ->
  (NoDup (receivers (endpoint o (choose_thread after))) /\ NoDup (waiters (notification o (choose_thread after)))) ->
  objects (choose_thread after) !! o = Some x ->
  exists first, is_fresh o first (rev (effects (choose_thread after))) /\ (x = first \/ sends_and_receives t st /\ used_by t first x).
Proof.
  intros ok runs fresh none_ unused number sent makes_ is_after all_ once there.
  assert (forall a manner, sent_by t a st = Some (c, Some m) -> after = snd (finish_send t manner (send_phase t a manner st)) ->
    exists first, is_fresh o first (rev (effects (choose_thread after))) /\ (x = first \/ sends_and_receives t st /\ used_by t first x)) as just.
  { intros a manner is_sent is_it. exists x.
    split; [exact (sent_fresh e t o st ok runs fresh none_ unused a manner c m after x is_sent makes_ is_it all_ there) | left; reflexivity]. }
  assert (forall w, passed_on t w st = Some (c, Some m) -> after = snd (send_and_receive t w st) -> In s [Syscall.NBSendRecv; Syscall.NBSendWait] ->
    exists first, is_fresh o first (rev (effects (choose_thread after))) /\ (x = first \/ sends_and_receives t st /\ used_by t first x)) as both.
  { intros w passed is_it kind.
    destruct (received_fresh e t o st ok runs fresh none_ unused w c m after x passed makes_ is_it all_ once there) as (first & fresh_ & which).
    exists first. split; [exact fresh_|]. destruct which as [same|used]; [left; exact same | right].
    split; [exists s; split; [exact number | exact kind] | exact used]. }
  pose proof (runs_as s t st) as is_run. destruct s; try discriminate sent; cbn [sent_through] in sent; rewrite ?is_run, ?sends_as in is_after.
  - exact (just _ calling sent is_after).
  - exfalso. destruct (refuse_early _ _ _ _) as [one|one]; [|discriminate sent]. cbn [once_done] in sent. unfold answered_by in sent.
    destruct (named_by _ _ one) as [[]|]; discriminate sent.
  - exact (just _ sending sent is_after).
  - exact (just _ sending_if_received sent is_after).
  - exact (both true sent is_after (or_introl eq_refl)).
  - exact (both false sent is_after (or_intror (or_introl eq_refl))).
Qed.
(** The state in which the system call begins. *)
Lemma entered_sane p st e t : roots_are_sound p -> reachable step p st -> current (enter e st) = current st /\ sane (enter e st)
  /\ (current st = Some t -> run_state (thread t (enter e st)) = Running /\ yielded_to (thread t (enter e st)) = None).
Proof.
  intros right reached. pose proof (reachable_strong p st right reached) as strong_.
  pose proof (states_are_settled_proved p st reached) as [first _ no_yield _].
  assert (forall u, current st = Some u -> run_state (thread u st) = Running) as runs.
  { intros u is_cur. apply (w_runs nobody st (proj1 (proj2 (g_parts st strong_)))), in_app_iff. left. rewrite first in is_cur. unfold first_ready in is_cur.
    apply List.find_some in is_cur. exact (proj1 is_cur). }
  destruct (enter_same e st strong_ runs) as (same_current & runs0). split; [exact same_current|]. split.
  - constructor.
    + exact (@keeps_enter _ _ _ _ parts_quietly e st (g_parts st strong_)).
    + exact (@keeps_enter _ _ _ _ yielding_quietly e st (g_yields st strong_)).
    + exact (@keeps_enter _ _ _ _ placed_quietly e st (reachable_placed p st right reached)).
  - intros cur. split; [exact (runs0 t cur)|].
    exact (proj2 (@keeps_enter _ _ _ _ (idle_quietly t) e st (conj (g_yields st strong_) (no_yield t cur)))).
Qed.
Theorem made_objects_come_fresh p st e next result done o x : roots_are_sound p -> reachable step p st -> step st e = (next, result, done) ->
  objects st !! o = None -> objects next !! o = Some x ->
  exists first, is_fresh o first done /\ (x = first \/ exists t, current st = Some t /\ sends_and_receives t (enter e st) /\ used_by t first x).
Proof.
  intros right reached stepped none_ there. pose proof (roots_differ p right) as apart_.
  assert (next = fst (fst (step st e)) /\ done = snd (step st e)) as (is_next & is_done) by (rewrite stepped; split; reflexivity).
  pose proof there as made_. rewrite is_next in made_.
  destruct (creation_sent st e (comes_by_making st e o x none_ made_)) as (is_call & t & s & c & m & cur & number & sent & makes_). clear made_.
  pose proof (after_event step p st e reached) as reached_next. rewrite <- is_next in reached_next.
  destruct (threads_wait_where_they_say_proved p next apart_ reached_next) as [_ once _ _]. specialize (once o).
  rewrite (proj1 (finished_step st e)) in is_next. rewrite (proj2 (finished_step st e)) in is_done.
  destruct (entered_sane p st e t right reached) as (same_current & ok0 & each). destruct (each cur) as (runs0 & fresh0).
  assert (objects (enter e st) !! o = None) as none0.
  { rewrite enter_objects with (t := t); [exact none_ | rewrite same_current; exact cur|]. intros ->.
    destruct (threads_live st (no_link_dangles_proved p st apart_ reached) t (or_intror (or_introl cur))) as (y & found). congruence. }
  assert (current_context (enter e st) <> Some o) as unused0.
  { rewrite (proj1 (proj2 (proj2 (proj2 (enter_same_queue e st))))). intros is_o.
    destruct (contexts_live st (no_link_dangles_proved p st apart_ reached) o (or_introl is_o)) as (y & found). congruence. }
  assert (LendProofs.parts (snd (handle (cause e) (enter e st)))) as parts3.
  { apply handled_parts; [exact (s_parts _ ok0)|]. intros u is_cur. rewrite same_current, cur in is_cur. injection is_cur as <-. exact runs0. }
  assert (handle (cause e) (enter e st) = run_system_call s t (enter e st)) as handled_.
  { unfold handle. rewrite is_call, same_current, cur. exact (run_of_call t s (enter e st) c (Some m) number sent). }
  rewrite is_next in there, once. destruct (left_alone (choose_thread (snd (handle (cause e) (enter e st))))) as (objs & ends & notes).
  rewrite objs in there. rewrite ends, notes in once. rewrite handled_ in there, once, parts3.
  destruct (comes_fresh e t o (enter e st) s c m _ x ok0 runs0 fresh0 none0 unused0 number sent makes_ eq_refl parts3 (proj2 once) there)
    as (first_ & fresh_ & which).
  exists first_. split; [rewrite is_done, handled_; exact fresh_|]. destruct which as [same|(receives_ & used)]; [left; exact same | right].
  exists t. split; [exact cur | split; [exact receives_ | exact used]].
Qed.

(** Claim [made_objects_are_fresh]. *)
Theorem made_objects_are_fresh_proved : made_objects_are_fresh step.
Proof. intros p st e next result done o x. exact (made_objects_come_fresh p st e next result done o x). Qed.

(** ** Frames of memory

    What a message brings is a frame that was there. *)
Definition known_frame (st : State) (done : list Effect) (c : Capability) : Prop :=
  match c with
  | FrameCap base bits false _ _ =>
      In (ClearMemory base (N.shiftl 1 bits) true) done \/ exists slot r p, capability_at slot st = Some (FrameCap base bits false r p)
  | _ => True
  end.
Section Known.
Variables (before : State) (done : list Effect).
Notation fine := (known_frame before done).
Lemma arrival_known slot source c st : arrives slot source c st -> all_fine fine st -> fine c.
Proof.
  intros (from & address & to & old & found & _ & -> & _) ok. apply occupied_in_place in found. rewrite capability_at_in in found.
  pose proof (ok source old found) as known. destruct old; exact known.
Qed.
Lemma known_quietly : kept_quietly_but but_placing (all_fine fine) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same _ _ _ _ _. exact (fine_of_slots _ a b same).
  - intros t st. exact (fine_of_slots _ st (unplace t st) eq_refl).
  - intros insert t st _. exact (fine_of_slots _ st _ (proj1 (place_by_same insert t st))).
  - intros t st _. exact (fine_of_slots _ st _ eq_refl).
  - intros o x y st _ _ _ _ ok. exact ok.
Qed.
Lemma known_kept : kept_but but_placing (all_fine fine) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; discriminate); try solve [intros; intros absurd; destruct absurd]; try (intros; exact I).
  - intros slot p original_ c st _ _ arrived ok. exact (insert_child_fine fine slot p original_ c st (arrival_known slot p c st arrived ok) ok).
  - intros slot s original_ c st _ _ arrived ok. exact (insert_sibling_fine fine slot s original_ c st (arrival_known slot s c st arrived ok) ok).
  - intros u at_ size x slot c st _ _ _ (-> & arrived) ok. pose proof (arrival_known slot u c st arrived ok) as known.
    unfold carve, capability_at. destruct (slots st !! u) as [e|]; [|exact ok]. destruct (capability e); try exact ok. cbv zeta.
    destruct (_ && _); [|exact ok]. cbn [put_if_some]. apply insert_child_fine; [exact known|]. apply replace_capability_fine; [exact I | exact ok].
Qed.
End Known.

(** What one system call makes in its first phase was cleared, or was there; and in its slot, unless the second phase moved it. *)
Section Frames.
Variables (e : Event) (t : N) (st st1 st2 : State).
Hypothesis same1 : slots st1 = slots st.
Hypothesis made_so : made t st1 st2.
Hypothesis ok2 : sane st2.
Lemma frames_between slot base bits r p : capability_at slot st2 = Some (FrameCap base bits false r p) ->
  capability_at slot st = Some (FrameCap base bits false r p) \/ In (ClearMemory base (N.shiftl 1 bits) true) (effects st2).
Proof.
  intros there. destruct (made_frames _ _ _ made_so slot base bits r p there) as [before|cleared]; [left | right; exact cleared].
  rewrite <- (capability_same slot st st1 same1). exact before.
Qed.
Lemma frames_sent manner report after slot base bits r p : after = snd (finish_send t manner (report, st2)) ->
  capability_at slot (choose_thread after) = Some (FrameCap base bits false r p) ->
  In (ClearMemory base (N.shiftl 1 bits) true) (rev (effects (choose_thread after))) \/ capability_at slot st = Some (FrameCap base bits false r p).
Proof.
  intros is_after there.
  assert (told st2 after) as so_far
    by (rewrite is_after; exact (proj2 (@finish_send_good _ _ _ _ (told_quietly st2) t manner (report, st2) eq_refl (conj I (conj (s_placed st2 ok2)
      (tells_itself st2)))))).
  assert (slots after = slots st2) as same_slots
    by (rewrite is_after; exact (proj2 (@finish_send_good _ _ _ _ (slots_are_kept_quietly (slots st2)) t manner (report, st2) eq_refl (conj I eq_refl)))).
  assert (slots (choose_thread after) = slots st2) as same
    by (rewrite <- same_slots; exact (@keeps_choose_thread _ _ _ _ (slots_are_kept_quietly (slots after)) eq_refl after eq_refl)).
  rewrite (capability_same slot st2 _ same) in there. destruct (frames_between slot base bits r p there) as [before|cleared]; [right; exact before | left].
  apply in_rev. rewrite rev_involutive. exact (told_at_last st2 after so_far _ cleared).
Qed.
Lemma frames_received w after slot base bits r p : after = snd (then_receive t w st2) ->
  capability_at slot (choose_thread after) = Some (FrameCap base bits false r p) ->
  In (ClearMemory base (N.shiftl 1 bits) true) (rev (effects (choose_thread after)))
  \/ exists slot' r' p', capability_at slot' st = Some (FrameCap base bits false r' p').
Proof.
  intros is_after there.
  assert (told st2 after) as so_far
    by (rewrite is_after; exact (proj2 (@keeps_then_receive _ _ _ _ (told_quietly st2) (told_kept st2) t w eq_refl st2 (conj (s_placed st2 ok2)
      (tells_itself st2))))).
  assert (all_fine (known_frame st (effects st2)) st2) as known.
  { intros j c. rewrite <- capability_at_in. intros at_j. destruct c as [| | | | | | | | | |b n device rights place| | | | | | | |]; try exact I.
    destruct device; [exact I|]. destruct (frames_between j b n rights place at_j) as [before|cleared]; [right; exists j, rights, place; exact before | left;
      exact cleared]. }
  pose proof (known_quietly st (effects st2)) as quiet.
  assert (all_fine (known_frame st (effects st2)) after) as known1
    by (rewrite is_after; exact (proj2 (@keeps_then_receive _ _ _ _ quiet (known_kept st (effects st2)) t w eq_refl st2 known))).
  assert (all_fine (known_frame st (effects st2)) (choose_thread after)) as known2 by exact (@keeps_choose_thread _ _ _ _ quiet eq_refl after known1).
  rewrite capability_at_in in there. destruct (known2 slot _ there) as [cleared|before]; [left | right; exact before].
  apply in_rev. rewrite rev_involutive. exact (told_at_last st2 after so_far _ cleared).
Qed.
End Frames.
Lemma frames_of_call t st s c m after slot base bits r p : sane st -> run_state (thread t st) = Running -> yielded_to (thread t st) = None ->
  sent_through t s st = Some (c, Some m) -> makes m -> after = snd (run_system_call s t st) ->
  capability_at slot (choose_thread after) = Some (FrameCap base bits false r p) ->
  In (ClearMemory base (N.shiftl 1 bits) true) (rev (effects (choose_thread after)))
  \/ exists slot' r' p', capability_at slot' st = Some (FrameCap base bits false r' p') /\ (slot' = slot \/ receives_then s = true).
Proof.
  intros ok runs fresh sent makes_ is_after there.
  assert (forall a manner, sent_by t a st = Some (c, Some m) -> after = snd (finish_send t manner (send_phase t a manner st)) ->
    In (ClearMemory base (N.shiftl 1 bits) true) (rev (effects (choose_thread after)))
    \/ exists slot' r' p', capability_at slot' st = Some (FrameCap base bits false r' p') /\ (slot' = slot \/ receives_then s = true)) as just.
  { intros a manner is_sent is_it. pose proof (phase_made m t a manner c st is_sent makes_) as worked.
    pose proof (phase_sane t a manner st ok runs fresh) as ok2. destruct (send_phase t a manner st) as (report & two). cbn [snd] in *.
    destruct (frames_sent t st st two eq_refl worked ok2 manner report after slot base bits r p is_it there) as [cleared|before]; [left; exact cleared | right].
    exists slot, r, p. split; [exact before | left; reflexivity]. }
  assert (forall w, passed_on t w st = Some (c, Some m) -> after = snd (send_and_receive t w st) -> receives_then s = true ->
    In (ClearMemory base (N.shiftl 1 bits) true) (rev (effects (choose_thread after)))
    \/ exists slot' r' p', capability_at slot' st = Some (FrameCap base bits false r' p') /\ (slot' = slot \/ receives_then s = true)) as both.
  { intros w passed is_it then_. unfold passed_on, send_and_receive in *. set (first_phase := pass_message t) in *.
    pose proof (early_sane t w first_phase st ok runs) as ok1.
    pose proof (early_same t w first_phase st (proj1 (proj2 (s_parts st ok))) runs) as same.
    assert (slots (state_of (refuse_early t w first_phase st)) = slots st) as same_slots
      by exact (@keeps_refuse_early _ _ _ _ (slots_are_kept_quietly (slots st)) t w first_phase eq_refl st eq_refl).
    destruct (refuse_early t w first_phase st) as [one|one]; [|discriminate passed]. cbn [once_done unless_preempted state_of] in *.
    rewrite <- same in runs, fresh. pose proof (phase_made m t _ passing_on c one passed makes_) as worked.
    pose proof (phase_sane t (register 8 (thread t one)) passing_on one ok1 runs fresh) as ok2. fold (pass_on t one) in worked, ok2.
    destruct (pass_on t one) as (report & two). cbn [snd] in worked, ok2.
    assert (forall three, made t one three -> sane three -> after = snd (then_receive t w three) ->
      In (ClearMemory base (N.shiftl 1 bits) true) (rev (effects (choose_thread after)))
      \/ exists slot' r' p', capability_at slot' st = Some (FrameCap base bits false r' p') /\ (slot' = slot \/ receives_then s = true)) as each.
    { intros three worked3 ok3 is_three. destruct (frames_received t st one three same_slots worked3 ok3 w after slot base bits r p is_three there)
        as [cleared|(j & r' & p' & before)]; [left; exact cleared | right]. exists j, r', p'. split; [exact before | right; exact then_]. }
    destruct report as [error details| |a rep|].
    - exact (each _ (made_trans _ _ _ _ worked (made_long_words t _ two)) (words_sane t _ two ok2) is_it).
    - exact (each two worked ok2 is_it).
    - exact (each two worked ok2 is_it).
    - destruct (frames_sent t st one two same_slots worked ok2 passing_on Restarted after slot base bits r p is_it there) as [cleared|before];
        [left; exact cleared | right]. exists slot, r, p. split; [exact before | left; reflexivity]. }
  pose proof (runs_as s t st) as is_run. destruct s; try discriminate sent; cbn [sent_through] in sent; rewrite ?is_run, ?sends_as in is_after.
  - exact (just _ calling sent is_after).
  - exfalso. destruct (refuse_early _ _ _ _) as [one|one]; [|discriminate sent]. cbn [once_done] in sent. unfold answered_by in sent.
    destruct (named_by _ _ one) as [[]|]; discriminate sent.
  - exact (just _ sending sent is_after).
  - exact (just _ sending_if_received sent is_after).
  - exact (both true sent is_after eq_refl).
  - exact (both false sent is_after eq_refl).
Qed.
Lemma capability_left slot st : capability_at slot (leave st) = capability_at slot st. Proof. reflexivity. Qed.

(** Claim [made_frames_are_cleared]. *)
Theorem made_frames_are_cleared_proved : made_frames_are_cleared step.
Proof.
  intros plan st e next result done t s c m slot base bits r p right reached stepped is_call cur number sent is_m there.
  assert (makes m) as makes_ by (destruct is_m as [<-|[<-|[]]]; [left | right]; reflexivity).
  destruct (entered_sane plan st e t right reached) as (same_current & ok0 & each). destruct (each cur) as (runs0 & fresh0).
  assert (next = fst (fst (step st e)) /\ done = snd (step st e)) as (is_next & is_done) by (rewrite stepped; split; reflexivity).
  assert (handle (cause e) (enter e st) = run_system_call s t (enter e st)) as handled_.
  { unfold handle. rewrite is_call, same_current, cur. exact (run_of_call t s (enter e st) c (Some m) number sent). }
  rewrite (proj1 (finished_step st e)), handled_ in is_next. rewrite (proj2 (finished_step st e)), handled_ in is_done.
  rewrite is_next, capability_left in there. rewrite is_done.
  destruct (frames_of_call t (enter e st) s c m _ slot base bits r p ok0 runs0 fresh0 sent makes_ eq_refl there) as [cleared|(j & r' & p' & before & which)];
    [left; exact cleared | right].
  exists j, r', p'. split; [|exact which]. rewrite <- before. symmetry. apply capability_same.
  exact (keeps_enter _ _ _ _ (slots_are_kept_quietly (slots st)) e st eq_refl).
Qed.
