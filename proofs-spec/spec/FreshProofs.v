(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What is made holds its first value only

    A Retype and a MakePool put objects where none were, clear their memory, and change nothing else but registers of their caller. *)
From Coq Require Import Lia.
From Spec Require Export LiveProofs.
Open Scope N_scope.

(** ** What such a call does to a state *)
Record made (t : N) (a b : State) : Prop := {
  made_queue : ready b = ready a /\ current_domain b = current_domain a /\ current b = current a /\ current_context b = current_context a
    /\ choices b = choices a;
  made_threads : forall o, same_thread_but_registers (thread o a) (thread o b);
  made_new : forall o x, o <> t -> objects b !! o = Some x -> objects a !! o = Some x \/ (objects a !! o = None /\ is_fresh o x (effects b));
  made_stays : forall o x, objects a !! o = Some x -> exists y, objects b !! o = Some y;
  made_effects : incl (effects a) (effects b);
  made_frames : forall s base bits r p, capability_at s b = Some (FrameCap base bits false r p) ->
    capability_at s a = Some (FrameCap base bits false r p) \/ In (ClearMemory base (N.shiftl 1 bits) true) (effects b)
}.
Lemma made_refl t st : made t st st.
Proof.
  constructor; try (repeat split; reflexivity).
  - intros o. apply same_thread_refl.
  - intros o x _ there. left. exact there.
  - intros o x there. exists x. exact there.
  - apply incl_refl.
  - intros s base bits r p there. left. exact there.
Qed.
Lemma made_trans t a b c : made t a b -> made t b c -> made t a c.
Proof.
  intros [(r1 & d1 & c1 & x1 & k1) threads1 new1 stays1 effects1 frames1] [(r2 & d2 & c2 & x2 & k2) threads2 new2 stays2 effects2 frames2]. constructor.
  - repeat split; congruence.
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
Lemma made_quietly t a b : objects b = objects a -> slots b = slots a -> incl (effects a) (effects b) ->
  ready b = ready a /\ current_domain b = current_domain a /\ current b = current a /\ current_context b = current_context a /\ choices b = choices a ->
  made t a b.
Proof.
  intros same_objects same_slots more queue. constructor; [exact queue | | | | exact more |].
  - intros o. unfold thread. rewrite same_objects. apply same_thread_refl.
  - intros o x _. rewrite same_objects. intros there. left. exact there.
  - intros o x there. exists x. rewrite same_objects. exact there.
  - intros s base bits r p. unfold capability_at. rewrite same_slots. intros there. left. exact there.
Qed.
Lemma made_emit t e st : made t st (emit e st).
Proof. apply made_quietly; try reflexivity; [intros x listed; right; exact listed | repeat split]. Qed.
Lemma made_registers t f st : only_registers f -> made t st (change_thread t f st).
Proof.
  intros only. unfold change_thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:there; try apply made_emit.
  change (made t st (put_object t (ThreadObject (f x)) st)). constructor; try (repeat split; reflexivity).
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
  apply made_quietly; try reflexivity; [intros x listed; right; exact listed | repeat split].
Qed.
Lemma made_result t e l st : made t st (put_result t e l st).
Proof.
  unfold put_result, set_empty_result, write_long_words. destruct (thread_exists t st); [|apply made_refl].
  destruct e, l; try (apply made_registers; first [apply with_empty_result_only | apply with_error_result_only]);
    (destruct (receive_buffer t _); [eapply made_trans; [|apply made_words]|]; apply made_registers; apply with_error_result_only).
Qed.
Lemma made_back t st : made t st (go_back t st).
Proof. unfold go_back. destruct (thread_exists t st); [|apply made_refl]. apply made_registers. intros x. apply with_register_only. Qed.

(** ** One object, and many *)
Definition same_but_memory (a b : State) : Prop :=
  b = a <| objects := objects b |> <| slots := slots b |> <| references := references b |> <| effects := effects b |>.
Lemma same_memory_then a b c : same_but_memory a b -> same_but_slots b c -> same_but_memory a c.
Proof.
  destruct a, b, c. unfold same_but_memory, same_but_slots, set_field. cbn. intros first second. injection first. injection second. intros. subst.
  reflexivity.
Qed.
Lemma same_slots_memory a b : same_but_slots a b -> same_but_memory a b.
Proof. apply same_memory_then. destruct a. reflexivity. Qed.
Lemma put_memory a b o x : same_but_memory a b -> same_but_memory a (put_object o x b).
Proof. destruct a, b. unfold same_but_memory, put_object, set_field. cbn. intros first. injection first. intros. subst. reflexivity. Qed.
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
  - rewrite same. repeat split.
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
  apply made_quietly; try reflexivity; [apply incl_refl | repeat split].
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
  - apply made_quietly; try reflexivity; [apply incl_refl | repeat split].
  - intros y new. injection new as <-. split; [|exact I]. exists page_bits. split; [right; eexists; split; reflexivity | left; reflexivity].
  - intros base' bits' r' p. discriminate.
Qed.

(** ** The system call *)
Definition makes (m : Method.t) : Prop := m = Method.UntypedRetype \/ m = Method.ASIDControlMakePool.
Lemma sends_making method t m st place c :
  makes method -> occupied_slot_of_address t (register 0 (thread t st)) st = inl (place, c) -> fits method c ->
  sends t m st = finish_send t m (invoke t place c st).
Proof. intros [-> | ->] found type; unfold sends, send_phase; rewrite found; destruct c; try discriminate type; reflexivity. Qed.
Lemma made_by_method method call st : makes method ->
  match decode_method method call st with Perform work => made (invoker call) st (state_after (work st)) | Refuse _ _ => True end.
Proof. intros [-> | ->]; [apply made_by_retype | apply made_by_pool]. Qed.
Lemma call_made method st call t : makes method -> invokes st method call -> current st = Some t -> made t st (snd (system_call t st)).
Proof.
  intros makes_ (t' & s & place & c & arguments & cur & number & sending_ & found & args & named_ & is_it) cur'. rewrite cur in cur'. injection cur' as <-.
  assert (exists m, system_call t' st = sends t' m st) as (m & ->).
  { unfold system_call. cbv zeta. rewrite number. destruct s; try discriminate sending_; [exists calling | exists sending]; reflexivity. }
  rewrite (sends_making method t' m st place c makes_ found (method_fits _ _ _ named_)). unfold invoke. cbv zeta. rewrite args. unfold decide. rewrite named_.
  destruct (_ && _); [|apply made_result]. rewrite <- is_it.
  pose proof (made_by_method method call st makes_) as worked.
  assert (invoker call = t') as is_t by (rewrite is_it; reflexivity). rewrite is_t in worked.
  destruct (decode_method method call st) as [error details|work]; [destruct error; apply made_result|].
  destruct (work st) as [results after|after|after]; cbn [finish_send snd state_after] in *.
  - exact (made_trans _ _ _ _ worked (made_result _ _ _ _)).
  - exact (made_trans _ _ _ _ worked (made_back _ _)).
  - exact worked.
Qed.
Lemma nobody_calls t st s : Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some s -> thread_exists t st = true.
Proof.
  unfold thread_exists, thread. destruct (objects st !! t) as [[]|]; try reflexivity; discriminate.
Qed.
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
Lemma enter_thread e st t : thread_exists t (enter e st) = true -> current (enter e st) = Some t -> exists x, objects st !! t = Some x.
Proof.
  intros present cur. destruct (objects st !! t) as [x|] eqn:there; [exists x; reflexivity|]. exfalso. revert present.
  destruct (enter_same_queue e st) as (_ & _ & same & _). rewrite same in cur. unfold enter, save_registers.
  replace (current (begin_step e st)) with (Some t) by (destruct st, e; symmetry; exact cur).
  unfold change_thread, thread_exists. replace (objects (begin_step e st)) with (objects st) by (destruct st, e; reflexivity). rewrite there.
  change (objects (emit Stuck (begin_step e st))) with (objects (begin_step e st)).
  replace (objects (begin_step e st)) with (objects st) by (destruct st, e; reflexivity). rewrite there. discriminate.
Qed.
Lemma enter_yield e st t : yielded_to (thread t st) = None -> yielded_to (thread t (enter e st)) = None.
Proof.
  intros none. unfold enter, save_registers. assert (thread t (begin_step e st) = thread t st) as same by (destruct st, e; reflexivity).
  destruct (current (begin_step e st)) as [u|]; [|rewrite same; exact none]. rewrite thread_after_change_thread.
  destruct (_ && _) eqn:is_u; [|rewrite same; exact none].
  apply andb_prop in is_u. destruct is_u as (is_u & _). apply N.eqb_eq in is_u. subst u. rewrite (registers_only (saved e) _).
  change (yielded_to (thread t (begin_step e st)) = None). rewrite same. exact none.
Qed.
(** Claim [made_objects_are_fresh]. *)
Theorem made_objects_are_fresh_proved : made_objects_are_fresh step.
Proof.
  intros p st e call next result done reached (unbooked & unended) is_call either stepped.
  assert (exists method, makes method /\ invokes (enter e st) method call) as (method & makes_ & invoked_)
    by (destruct either as [it|it]; eexists; (split; [|exact it]); [left | right]; reflexivity).
  pose proof invoked_ as (t & s & place & c & arguments & cur & number & _).
  pose proof (call_made method (enter e st) call t makes_ invoked_ cur) as work. pose proof (nobody_calls t _ s number) as present.
  destruct (enter_thread e st t present cur) as (x0 & here).
  pose proof (enter_same_queue e st) as kept. pose proof kept as (_ & _ & same_current & same_use & each).
  pose proof (states_are_settled_proved p st reached) as [first use no_y _]. rewrite same_current in cur. specialize (no_y t cur).
  unfold context_of_first in use. rewrite <- first, cur in use. rewrite cur in first.
  unfold step, handle in stepped. rewrite is_call, same_current, cur in stepped.
  destruct (system_call t (enter e st)) as (r & told). cbn [snd] in work. unfold finish in stepped.
  destruct work as [(ready_ & domain_ & current_ & context_ & choices_) threads new _ _ frames].
  assert (choices (enter e st) = chosen e) as chosen_.
  { unfold enter, save_registers. destruct (current _) as [u|]; [|destruct st, e; reflexivity]. unfold change_thread.
    destruct (objects _ !! u) as [[]|]; destruct st, e; reflexivity. }
  assert (same_queue (enter e st) told) as later.
  { repeat split; try assumption; rewrite (threads o); reflexivity. }
  pose proof (same_queue_trans _ _ _ kept later) as whole. pose proof whole as (_ & _ & cur_ & use_ & all_).
  rewrite (choose_settled t told) in stepped.
  - injection stepped as <- _ <-. split.
    + intros o x none there. change (objects (leave told)) with (objects told) in there. assert (o <> t) as other by congruence.
      destruct (new o x other there) as [before|(_ & bits & is_new_ & clear_)].
      * rewrite (enter_objects e st t o ltac:(rewrite same_current; exact cur) other) in before. congruence.
      * exists bits. split; [exact is_new_ | apply in_rev in clear_; exact clear_].
    + intros slot base bits rights place_ vacant there. change (capability_at slot (leave told)) with (capability_at slot told) in there.
      destruct (frames slot base bits rights place_ there) as [before|clear_]; [exfalso | apply in_rev in clear_; exact clear_].
      unfold capability_at in before. rewrite (keeps_enter _ _ _ _ (slots_are_kept_quietly (slots st)) e st eq_refl : slots (enter e st) = slots st) in before.
      rewrite vacant in before. discriminate.
  - rewrite choices_, chosen_. exact unbooked.
  - rewrite choices_, chosen_. exact unended.
  - rewrite (first_ready_same _ _ whole). symmetry. exact first.
  - unfold context_of. rewrite (proj2 (all_ t)), use_. symmetry. exact use.
  - rewrite (threads t). change (yielded_to (thread t (enter e st)) = None). exact (enter_yield e st t no_y).
  - rewrite cur_. exact cur.
Qed.
