(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The claims say something

    A small machine whose boot state is well formed, and events after it that meet the premises of the claims: computed, not argued. And
    the indices can be wrong: a removal that forgets the children breaks the tree. *)
From Coq Require Import Lia.
From Spec Require Import NeverProofs MemoryProofs InterruptProofs SignalProofs ContainerProofs MappingProofs LinkProofs OrderProofs ReturnProofs
  FlushProofs WellProofs AgainProofs RefusalProofs WindowProofs.
Open Scope N_scope.

Definition small_machine : Machine := {|
  core_count := 1; last_interrupt := 64; timer_interrupt := 27; timer_frequency := 1000000; smallest_budget_us := 10;
  breakpoint_count := 1; watchpoint_count := 1; debug_build := false |}.
Definition small_plan : BootPlan := {|
  boot_machine := small_machine; root_thread := 0x1000; root_cnode := 0x2000; root_radix := 6; root_vspace := 0x3000;
  root_pool := 0x4000; root_context := 0x5000; root_buffer := 0x6000; root_boot_info := 0x7000; root_budget_us := 1000;
  boot_untypeds := [(0x10000, 16, false)] |}.

Example boot_is_well_formed : broken_invariants (boot small_plan) = [].
Proof. vm_compute. reflexivity. Qed.

Example boot_is_settled : settled (boot small_plan) /\ current (boot small_plan) = Some 0x1000.
Proof. split; [apply (states_are_settled_proved small_plan), at_boot | vm_compute; reflexivity]. Qed.

(** The root task invokes its own thread with a label that no method has: the error that [errors_change_nothing] speaks of. *)
Definition wrong_call : Event := {|
  cause := SystemCall; time := 5; saved := [(0, 1); (1, MessageInfo.make 0 0 0 9999); (7, Syscall.number Syscall.Call); (pc, 0x104)];
  readable := []; preempt_after := None; chosen := nothing_chosen |}.
Example an_error_happens : snd (fst (step (boot small_plan) wrong_call)) = Fails Error.IllegalOperation.
Proof. vm_compute. reflexivity. Qed.

(** It makes an endpoint in slot 40, derives a badged capability into slot 41 and revokes the first: each state is well formed. *)
Definition words_of_call (label : N) (target : N) (words : list N) (caps : N) : list (N * N) :=
  (0, target) :: (1, MessageInfo.make (length_of words) caps 0 label) :: (7, Syscall.number Syscall.Call) :: (pc, 0x104)
    :: combine message_registers words.
Definition call_passing (cap label target : N) (words : list N) : Event := {|
  cause := SystemCall; time := 9; saved := words_of_call label target words 1; readable := [(0x6000 + ipc_buffer_caps_or_badges, cap)];
  preempt_after := None; chosen := nothing_chosen |}.
Definition call_event : N -> N -> list N -> Event := call_passing (InitSlot.number InitSlot.CNode).
Definition retype_endpoint : Event :=
  call_event (Method.label Method.UntypedRetype) 18 [ObjectType.number ObjectType.Endpoint; 0; 0; 0; 40; 1].
Definition mint_badge : Event := call_event (Method.label Method.CNodeMint) 2 [41; 64; 40; 64; 15; 7].
Definition revoke_endpoint : Event := call_event (Method.label Method.CNodeRevoke) 2 [40; 64].
Definition after (events : list Event) : State := fold_left (fun st e => fst (fst (step st e))) events (boot small_plan).

Example capabilities_come_and_go :
  map (fun events => (broken_invariants (after events), capability_at (slot_of 0x2000 41) (after events)))
      [[retype_endpoint; mint_badge]; [retype_endpoint; mint_badge; revoke_endpoint]]
  = [([], Some (EndpointCap 0x10000 7 all_rights)); ([], None)].
Proof. vm_compute. reflexivity. Qed.

Lemma reached_after (events : list Event) : reachable step small_plan (after events).
Proof.
  unfold after. assert (forall st, reachable step small_plan st ->
    reachable step small_plan (fold_left (fun st e => fst (fst (step st e))) events st)) as onwards.
  { induction events as [|e rest IH]; intros st reached; [exact reached|]. apply IH, after_event, reached. }
  apply onwards, at_boot.
Qed.

(** ** Mistakes

    A step that is right but for what it does to the state at its end. Each claim is refuted of such a step, or of one with a mistake of its
    own; but for [step_is_a_function], which holds of all functions. *)
Definition with_mistake (mistake : State -> State) : Stepping := fun st e =>
  let '(next, result, done) := step st e in (mistake next, result, done).
Lemma mistaken_state mistake st e : fst (fst (with_mistake mistake st e)) = mistake (fst (fst (step st e))).
Proof. unfold with_mistake. destruct (step st e) as ((next & result) & done). reflexivity. Qed.
Definition mistaken (mistake : State -> State) (e : Event) : State := mistake (fst (fst (step (boot small_plan) e))).
Lemma mistaken_reached mistake e : reachable (with_mistake mistake) small_plan (mistaken mistake e).
Proof. unfold mistaken. rewrite <- mistaken_state. apply after_event, at_boot. Qed.

(** The thread that runs is forgotten. *)
Definition forget_current (st : State) : State := st <| current := None |>.
Example forgotten_thread_is_refuted : ~ states_are_settled (with_mistake forget_current).
Proof. intros claim. destruct (claim small_plan _ (mistaken_reached forget_current wrong_call)) as [first _ _ _]. vm_compute in first. discriminate. Qed.

(** A removal that only empties the slot leaves a child whose parent is gone. *)
Definition careless_removal (slot : N) (st : State) : State := st <| slots := remove slot (slots st) |>.
Definition remove_untyped : State -> State := careless_removal (slot_of 0x2000 18).
Example careless_removal_is_refuted : ~ indices_hold (with_mistake remove_untyped).
Proof.
  intros claim. destruct (claim small_plan _ (mistaken_reached remove_untyped retype_endpoint)) as (tree & _).
  destruct (parents_exist _ tree (slot_of 0x2000 40) (slot_of 0x2000 18)) as (e & found).
  - eexists. split; vm_compute; reflexivity.
  - vm_compute in found. discriminate.
Qed.

(** An object is gone that has a capability. *)
Definition lose_vspace : State -> State := remove_object 0x3000.
Lemma small_roots_are_apart : roots_are_apart small_plan.
Proof. unfold roots_are_apart. repeat (constructor; [vm_compute; intuition discriminate|]). constructor. Qed.
Example lost_object_is_refuted : ~ no_capability_dangles (with_mistake lose_vspace).
Proof.
  intros claim. destruct (claim small_plan _ small_roots_are_apart (mistaken_reached lose_vspace wrong_call)) as [none_dangles _].
  destruct (none_dangles (root_slot small_plan InitSlot.VSpace) (VSpaceCap 0x3000 (Some root_asid)) 0x3000) as (x & found & _).
  - vm_compute. reflexivity.
  - reflexivity.
  - vm_compute in found. discriminate.
Qed.

(** The small machine's roots are sound: what their capabilities stand for is computed, and compared in pairs. *)
Definition far_apart (a b : N * Capability) : bool :=
  (fst a =? fst b) || match extent_at_boot small_plan (snd a), extent_at_boot small_plan (snd b) with
                      | Some (x, m), Some (y, n) => (x + m <=? y) || (y + n <=? x)
                      | _, _ => true
                      end.
Definition lies_low (c : Capability) : bool := match extent_at_boot small_plan c with Some (x, m) => x + m <=? irq_slot 0 | None => true end.
Definition small_roots : list (N * Capability) := root_capabilities small_plan ++ dynamic_capabilities small_plan.
Lemma small_roots_are_sound : roots_are_sound small_plan.
Proof.
  assert (forallb (fun a => forallb (far_apart a) small_roots && lies_low (snd a)) small_roots = true) as computed by (vm_compute; reflexivity).
  pose proof (proj1 (forallb_forall _ _) computed) as each. constructor.
  - exact small_roots_are_apart.
  - intros c (x & m) (slot & listed) ext. specialize (each (slot, c) listed). apply andb_prop, proj2 in each. unfold lies_low in each.
    cbn [snd] in each. rewrite ext in each. apply N.leb_le. exact each.
  - intros j k c d (x & m) (y & n) in_j in_k ext_c ext_d. specialize (each (j, c) in_j). apply andb_prop, proj1 in each.
    pose proof (proj1 (forallb_forall _ _) each (k, d) in_k) as pair. unfold far_apart in pair. cbn [fst snd] in pair. rewrite ext_c, ext_d in pair.
    apply orb_prop in pair. destruct pair as [same|far]; [left; apply N.eqb_eq; exact same | right].
    apply orb_prop in far. destruct far as [far|far]; apply N.leb_le in far; [left | right]; exact far.
Qed.

(** What an untyped has still to give: all of it before, what is behind the endpoint after the Retype above. *)
Example memory_is_given_away :
  map (free_memory (slot_of 0x2000 18)) [boot small_plan; after [retype_endpoint]] = [Some (0x10000, 0x10000); Some (0x10010, 0xfff0)].
Proof. vm_compute. reflexivity. Qed.

(** An object is made where another is. *)
Definition crowd : State -> State := put_object 0x1020 (CNodeObject 1).
Example crowded_memory_is_refuted : ~ memory_stays_apart (with_mistake crowd).
Proof.
  intros claim. pose proof (claim small_plan _ small_roots_are_sound (mistaken_reached crowd wrong_call)) as right.
  assert (objects (mistaken crowd wrong_call) !! 0x1000 = Some (ThreadObject (thread 0x1000 (mistaken crowd wrong_call)))) as first by (vm_compute;
    reflexivity).
  assert (objects (mistaken crowd wrong_call) !! 0x1020 = Some (CNodeObject 1)) as second by (vm_compute; reflexivity).
  pose proof (objects_are_apart _ right _ _ _ _ first second ltac:(discriminate)) as far. unfold apart in far. cbn [fst snd size_of] in far.
  vm_compute in far. destruct far as [far|far]; exact (far eq_refl).
Qed.

(** The root task maps a frame of its own; and a page is in its VSpace that nobody was given. *)
Definition in_vspace : N -> N -> list N -> Event := call_passing (InitSlot.number InitSlot.VSpace).
Definition map_a_frame : list Event :=
  [ call_event (Method.label Method.UntypedRetype) 18 [ObjectType.number ObjectType.PageTable; 0; 0; 0; 40; 3];
    call_event (Method.label Method.UntypedRetype) 18 [ObjectType.number ObjectType.SmallPage; 0; 0; 0; 43; 1];
    in_vspace (Method.label Method.PageTableMap) 40 [0x400000; 0]; in_vspace (Method.label Method.PageTableMap) 41 [0x400000; 0];
    in_vspace (Method.label Method.PageTableMap) 42 [0x400000; 0]; in_vspace (Method.label Method.FrameMap) 43 [0x400000; 15; 0] ].
Example a_frame_is_mapped : translate 0x3000 0x400000 (after map_a_frame) = (Some (Page 0x13000 12 false memory_rights 0), 3).
Proof. vm_compute. reflexivity. Qed.
Definition map_nobodys : State -> State := set_page_entry 0x3000 0 (Page 0 12 false memory_rights 0).
Example nobodys_page_is_refuted : ~ pages_stay_right (with_mistake map_nobodys).
Proof.
  intros claim. destruct (claim small_plan _ 0x3000 0 0 12 false memory_rights 0 (mistaken_reached map_nobodys wrong_call) ltac:(vm_compute; reflexivity))
    as [(root & base0 & bits0 & (slot & listed) & memory & above & _) _ _].
  vm_compute in listed.
  repeat (destruct listed as [listed|listed]; [injection listed as <- <-; try discriminate memory; injection memory as <- <-; exact (above eq_refl)|]).
  exact listed.
Qed.

(** Its frame capability says where, and its tables' capabilities where they hang; and the page of before is no frame's, and a pool is forgotten. *)
Example places_are_told :
  map (fun i => capability_at (slot_of 0x2000 i) (after map_a_frame)) [40; 42; 43]
  = [Some (PageTableCap 0x10000 (Some {| place_asid := 1; place_address := 0; place_level := 1 |}));
     Some (PageTableCap 0x12000 (Some {| place_asid := 1; place_address := 0x400000; place_level := 3 |}));
     Some (FrameCap 0x13000 12 false memory_rights (Some {| place_asid := 1; place_address := 0x400000; place_level := 3 |}))].
Proof. vm_compute. reflexivity. Qed.
Example a_walk_comes_to_a_table : comes_to 1 3 0x400000 0x12000 (after map_a_frame).
Proof. exists 0x3000. repeat split; vm_compute; reflexivity. Qed.
Example a_page_is_shown : shows 1 0x400000 (Page 0x13000 12 false memory_rights 0) 3 (after map_a_frame).
Proof. exists 0x3000. repeat split; vm_compute; reflexivity. Qed.
Lemma no_frame_for_nobody st slot r q :
  forallb (fun entry => match capability (snd entry) with FrameCap base _ _ _ _ => negb (base =? 0) | _ => true end) (entries (slots st)) = true ->
  capability_at slot st <> Some (FrameCap 0 12 false r q).
Proof.
  intros none found. unfold capability_at in found. destruct (slots st !! slot) as [e|] eqn:there; [|discriminate]. injection found as is_frame.
  apply (proj2 (in_entries slot e _)) in there. pose proof (proj1 (forallb_forall _ _) none _ there) as wrong. cbn [snd] in wrong.
  rewrite is_frame in wrong. discriminate.
Qed.
Example nobodys_page_has_no_frame : ~ pages_have_frames (with_mistake map_nobodys).
Proof.
  intros claim. destruct (claim small_plan _ 1 0 0 12 false memory_rights 0 0 small_roots_are_sound (mistaken_reached map_nobodys wrong_call))
    as (slot & r & q & found & _).
  - exists 0x3000. repeat split; vm_compute; reflexivity.
  - apply (no_frame_for_nobody _ _ _ _) in found; [exact found | vm_compute; reflexivity].
Qed.

(** It unmaps the frame, which invalidates the page; and a kernel that forgets the page without saying so. *)
Definition unmap_the_frame : Event := {|
  cause := SystemCall; time := 9; saved := words_of_call (Method.label Method.FrameUnmap) 43 [] 0; readable := []; preempt_after := None;
  chosen := nothing_chosen |}.
Example unmapping_flushes :
  let '(next, result, done) := step (after map_a_frame) unmap_the_frame in
  (translate 0x3000 0x400000 next, result, done) = (None, 3, Succeeds, [InvalidatePage 1 0x400000]).
Proof. vm_compute. reflexivity. Qed.
Definition forget_the_page : State -> State := clear_page_entry 0x12000 0.
Definition forgetful_step : Stepping := fun st e => if is_some (preempt_after e) then with_mistake forget_the_page st e else step st e.
Lemma forgetful_reaches events st :
  forallb (fun e => negb (is_some (preempt_after e))) events = true -> reachable forgetful_step small_plan st ->
  reachable forgetful_step small_plan (fold_left (fun st e => fst (fst (step st e))) events st).
Proof.
  revert st. induction events as [|e rest IH]; intros st calm reached; [exact reached|]. cbn [forallb] in calm. apply andb_prop in calm.
  destruct calm as (calm & others). cbn [fold_left]. apply (IH _ others).
  assert (forgetful_step st e = step st e) as same by (unfold forgetful_step; destruct (preempt_after e); [discriminate | reflexivity]).
  rewrite <- same. apply after_event. exact reached.
Qed.
Definition restless_call : Event := {|
  cause := cause wrong_call; time := 12; saved := saved wrong_call; readable := []; preempt_after := Some 7; chosen := nothing_chosen |}.
Example forgotten_page_is_refuted : ~ stale_pages_are_flushed forgetful_step.
Proof.
  intros claim. pose proof (forgetful_reaches map_a_frame (boot small_plan) eq_refl (at_boot _ _)) as reached.
  destruct (forgetful_step (after map_a_frame) restless_call) as ((next & result) & done) eqn:stepped.
  assert (snd (forgetful_step (after map_a_frame) restless_call) = [] /\ translate 0x3000 0x400000 (fst (fst (forgetful_step (after map_a_frame)
    restless_call))) = (None, 3)
    /\ vspace_of_asid 1 (fst (fst (forgetful_step (after map_a_frame) restless_call))) = Some 0x3000) as (silent & unmapped & names) by (vm_compute;
      repeat split).
  rewrite stepped in silent, unmapped, names. cbn [fst snd] in silent, unmapped, names.
  destruct (claim small_plan (after map_a_frame) restless_call next result done 1 0x400000 0x13000 12 false memory_rights 0 3 small_roots_are_sound reached
    stepped
              a_page_is_shown) as [(bits & device & v & named & _ & found)|[space|(a & page & _)]].
  - rewrite names in named. injection named as <-. rewrite unmapped in found. discriminate.
  - rewrite silent in space. exact space.
  - rewrite silent in page. exact page.
Qed.
Definition map_own : State -> State := set_page_entry 0x3000 0 (Page 0x1000 12 false memory_rights 0).
Example own_page_is_refuted : ~ pages_show_no_objects (with_mistake map_own).
Proof.
  intros claim. destruct (claim small_plan _ 1 0 0x1000 12 false memory_rights 0 0 small_roots_are_sound (mistaken_reached map_own wrong_call)) as (far & _).
  - exists 0x3000. repeat split; vm_compute; reflexivity.
  - assert (objects (mistaken map_own wrong_call) !! 0x1000 = Some (ThreadObject (thread 0x1000 (mistaken map_own wrong_call)))) as there
      by (vm_compute; reflexivity).
    specialize (far _ _ there). vm_compute in far. destruct far as [far|far]; exact (far eq_refl).
Qed.
Definition forget_pools : State -> State := fun st => st <| pools := empty |>.
Example forgotten_pool_is_refuted : ~ spaces_stay_right (with_mistake forget_pools).
Proof.
  intros claim. destruct (claim small_plan _ small_roots_are_sound (mistaken_reached forget_pools wrong_call)) as [known _ _ _].
  assert (pools (mistaken forget_pools wrong_call) !! 0 = Some 0x4000) as found.
  - apply known. eexists. split; vm_compute; reflexivity.
  - vm_compute in found. discriminate.
Qed.

(** The root task names a slot of its CNode; and the CNode is gone. *)
Example an_address_names_a_slot : slot_of_address 0x1000 40 (boot small_plan) = inl (slot_of 0x2000 40).
Proof. vm_compute. reflexivity. Qed.
Definition lose_cnode : State -> State := remove_object 0x2000.
Example lost_cnode_is_refuted : ~ addresses_name_slots (with_mistake lose_cnode).
Proof.
  intros claim. destruct (claim small_plan _ small_roots_are_apart (mistaken_reached lose_cnode wrong_call)) as (_ & named).
  destruct (named 0x1000 40 (slot_of 0x2000 40) ltac:(vm_compute; reflexivity)) as (cnode & radix & index & found & _).
  assert (forallb (fun entry => match snd entry with CNodeObject _ => false | _ => true end) (entries (objects (mistaken lose_cnode wrong_call))) = true)
    as none by (vm_compute; reflexivity).
  apply (proj2 (in_entries cnode (CNodeObject radix) _)) in found. pose proof (proj1 (forallb_forall _ _) none _ found) as wrong. discriminate.
Qed.

(** The root task gets a handler for interrupt 40; and the interrupt is forgotten while the handler is there. *)
Definition get_handler : Event :=
  call_event (Method.label Method.IRQControlGet) (InitSlot.number InitSlot.IRQControl) [40; IRQTrigger.number IRQTrigger.Level; 41; 64].
Example an_interrupt_is_handled :
  (is_some (interrupts (after [get_handler]) !! 40), capability_at (slot_of 0x2000 41) (after [get_handler])) = (true, Some (IRQHandlerCap 40)).
Proof. vm_compute. reflexivity. Qed.
Definition forget_interrupts : State -> State := fun st => st <| interrupts := empty |>.
Example forgotten_interrupt_is_refuted : ~ interrupts_stay_handled (with_mistake forget_interrupts).
Proof.
  intros claim. destruct (proj2 (claim small_plan _ small_roots_are_sound (mistaken_reached forget_interrupts get_handler) 40)) as (i & found).
  - exists (slot_of 0x2000 41). vm_compute. reflexivity.
  - vm_compute in found. discriminate.
Qed.

(** The root task binds a notification to its thread; and a thread names one that does not name it. *)
Definition retype_notification : Event :=
  call_event (Method.label Method.UntypedRetype) 18 [ObjectType.number ObjectType.Notification; 0; 0; 0; 40; 1].

(** It sets the notification for interrupt 40, which comes; and an interrupt that nobody handles raises its flags, too. *)
Definition set_notification : Event := call_passing 40 (Method.label Method.IRQHandlerSetNotification) 41 [].
Definition interrupt_comes : Event :=
  {| cause := InterruptArrives 40; time := 20; saved := []; readable := []; preempt_after := None; chosen := nothing_chosen |}.
Example an_interrupt_signals :
  map (fun events => word_of_flags (notification 0x10000 (after events)))
      [[retype_notification; get_handler; set_notification]; [retype_notification; get_handler; set_notification; interrupt_comes]] = [None; Some 0].
Proof. vm_compute. reflexivity. Qed.
Definition raise_flags : State -> State := change_notification 0x10000 (fun x => x <| word_of_flags := Some 1 |>).
Example raised_flags_are_refuted : ~ interrupts_signal_one_notification (with_mistake raise_flags).
Proof.
  intros claim. specialize (claim (after [retype_notification]) interrupt_comes 40 0x10000 eq_refl). rewrite mistaken_state in claim.
  assert (forall badge r, capability_at (irq_slot 40) (after [retype_notification]) <> Some (NotificationCap 0x10000 badge r)) as nobody
    by (intros badge r; vm_compute; discriminate).
  specialize (claim nobody). vm_compute in claim. discriminate.
Qed.

Definition bind_notification : Event := {|
  cause := SystemCall; time := 9; saved := words_of_call (Method.label Method.TCBBindNotification) (InitSlot.number InitSlot.TCB) [] 1;
  readable := [(0x6000 + ipc_buffer_caps_or_badges, 40)]; preempt_after := None; chosen := nothing_chosen |}.
Example notification_is_bound : let st := after [retype_notification; bind_notification] in
  (broken_invariants st, bound_notification (thread 0x1000 st), bound_thread (notification 0x10000 st)) = ([], Some 0x10000, Some 0x1000).
Proof. vm_compute. reflexivity. Qed.
Definition bind_one_end : State -> State := change_thread 0x1000 (fun t => t <| bound_notification := Some 0x10000 |>).
Example one_end_is_refuted : ~ links_stay_symmetric (with_mistake bind_one_end).
Proof.
  intros claim. pose proof (claim small_plan _ small_roots_are_apart (mistaken_reached bind_one_end retype_notification)) as links.
  pose proof (proj1 (both_bound _ links 0x1000 0x10000)) as back. assert (Some 0x10000 = Some 0x10000) as named by reflexivity.
  vm_compute in back. discriminate (back named).
Qed.

(** The root task makes an endpoint and waits there. A thread that says that it waits, but stands nowhere, would break the claim. *)
Definition wait_for_message : Event := {|
  cause := SystemCall; time := 9; saved := [(0, 40); (7, Syscall.number Syscall.Wait); (pc, 0x104)]; readable := []; preempt_after := None;
  chosen := nothing_chosen |}.
Example root_task_waits : let st := after [retype_endpoint; wait_for_message] in
  (broken_invariants st, receivers (endpoint 0x10000 st), run_state (thread 0x1000 st)) = ([], [0x1000], BlockedOnReceive 0x10000 None false true).
Proof. vm_compute. reflexivity. Qed.
Definition waits_nowhere : State -> State := change_thread 0x1000 (with_state (BlockedOnReceive 0x10000 None false true)).
Example waiting_nowhere_is_refuted : ~ threads_wait_where_they_say (with_mistake waits_nowhere).
Proof.
  intros claim. pose proof (claim small_plan _ small_roots_are_apart (mistaken_reached waits_nowhere wrong_call)) as [stands_ _ _ _].
  pose proof (proj2 (stands_ 0x1000 (InReceivers 0x10000))) as stands_there. vm_compute in stands_there. exact (stands_there eq_refl).
Qed.

(** The root task runs on its context. A thread that loses its own without the context's knowledge would break the claims, and so would a context that says that
    it went along with a call of which nothing is known. *)
Example root_task_has_a_context :
  (sched_context (thread 0x1000 (boot small_plan)), context_thread (context 0x5000 (boot small_plan)), ready (boot small_plan))
  = (Some 0x5000, Some 0x1000, [0x1000]).
Proof. vm_compute. reflexivity. Qed.
Definition lose_context : State -> State := change_thread 0x1000 (fun t => t <| sched_context := None |>).
Example lost_context_is_refuted : ~ contexts_stay_linked (with_mistake lose_context).
Proof.
  intros claim. pose proof (claim small_plan _ small_roots_are_apart (mistaken_reached lose_context wrong_call)) as [had _ _ _].
  pose proof (proj2 (had 0x1000 0x5000)) as back. vm_compute in back. discriminate (back eq_refl).
Qed.
Definition go_along : State -> State := change_context 0x5000 (fun c => c <| calls := [0x10000] |>).
Example unknown_call_is_refuted : ~ contexts_stay_linked (with_mistake go_along).
Proof.
  intros claim. pose proof (claim small_plan _ small_roots_are_apart (mistaken_reached go_along wrong_call)) as [_ along_ _ _].
  pose proof (proj2 (along_ 0x10000 0x5000)) as back. vm_compute in back. discriminate (back (or_introl eq_refl)).
Qed.
Example lost_context_is_queued : ~ who_can_run_is_queued (with_mistake lose_context).
Proof.
  intros claim. assert (In 0x1000 (ready (mistaken lose_context wrong_call) ++ sleeping (mistaken lose_context wrong_call))) as listed
    by (vm_compute; left; reflexivity).
  destruct (proj1 (claim small_plan _ 0x1000 small_roots_are_apart (mistaken_reached lose_context wrong_call)) listed) as (_ & c & has & _).
  vm_compute in has. discriminate.
Qed.
Definition yield_to_nobody : State -> State := change_thread 0x1000 (fun t => t <| yielded_to := Some 0x5000 |>).
Example yield_to_nobody_is_refuted : ~ yields_stay_linked (with_mistake yield_to_nobody).
Proof.
  intros claim. pose proof (proj1 (claim small_plan _ 0x1000 0x5000 small_roots_are_apart (mistaken_reached yield_to_nobody wrong_call))) as back.
  vm_compute in back. discriminate (back eq_refl).
Qed.
Example vanished_context_is_refuted : ~ no_link_dangles (with_mistake (remove_object 0x5000)).
Proof.
  intros claim. pose proof (claim small_plan _ small_roots_are_apart (mistaken_reached (remove_object 0x5000) wrong_call)) as [_ live _ _ _].
  destruct (live 0x5000) as (x & found).
  - right. left. exists 0x1000. left. vm_compute. reflexivity.
  - vm_compute in found. discriminate.
Qed.
Definition forget_ready (st : State) : State := st <| ready := [] |>.
Example forgotten_queue_is_refuted : ~ who_can_run_is_queued (with_mistake forget_ready).
Proof.
  intros claim. refine (proj2 (claim small_plan _ 0x1000 small_roots_are_apart (mistaken_reached forget_ready wrong_call)) _).
  split; [vm_compute; reflexivity|]. exists 0x5000. split; vm_compute; reflexivity.
Qed.

(** The root task makes a second thread, which is ready, too, but of lower priority, and so does not run. A kernel that lets it run would break the claim. *)
Definition retype (type size slot : N) : Event := call_event (Method.label Method.UntypedRetype) 18 [type; size; 0; 0; slot; 1].
Definition second_thread : list Event := [
  retype (ObjectType.number ObjectType.TCB) 0 40; retype (ObjectType.number ObjectType.SchedContext) 8 41;
  call_passing 41 (Method.label Method.SchedControlConfigureFlags) 17 [1000; 1000; 0; 0; 0];
  call_passing 40 (Method.label Method.SchedContextBind) 41 []; call_passing 40 (Method.label Method.TCBResume) 40 []].
Example two_are_ready : let st := after second_thread in
  (broken_invariants st, map (fun t => (t, priority (thread t st))) (ready st), current st) = ([], [(0x1000, 255); (0x10000, 0)], Some 0x1000).
Proof. vm_compute. reflexivity. Qed.
Definition lowest_runs (st : State) : State := st <| current := hd_error (rev (ready st)) |>.
Definition after_mistakes (mistake : State -> State) (events : list Event) : State :=
  fold_left (fun st e => mistake (fst (fst (step st e)))) events (boot small_plan).
Lemma mistakes_reach mistake events : reachable (with_mistake mistake) small_plan (after_mistakes mistake events).
Proof.
  unfold after_mistakes. assert (forall st, reachable (with_mistake mistake) small_plan st ->
    reachable (with_mistake mistake) small_plan (fold_left (fun st e => mistake (fst (fst (step st e)))) events st)) as onwards; [|apply onwards, at_boot].
  induction events as [|e rest IH]; intros st reached; [exact reached|]. cbn [fold_left]. apply IH. rewrite <- mistaken_state. apply after_event. exact reached.
Qed.
Lemma outranked st t other : current st = Some t -> In other (ready st) -> thread_domain (thread other st) = current_domain st ->
  priority (thread t st) < priority (thread other st) ->
  ~ match current st with
    | Some t => may_run_now t st /\ forall other, may_run_now other st -> priority (thread other st) <= priority (thread t st)
    | None => forall other, ~ may_run_now other st
    end.
Proof. intros -> listed here lower (_ & highest). specialize (highest other (conj listed here)). lia. Qed.
Example lowest_priority_is_refuted : ~ highest_priority_runs (with_mistake lowest_runs).
Proof.
  intros claim. refine (outranked (after_mistakes lowest_runs second_thread) 0x10000 0x1000 _ _ _ _
    (claim small_plan _ small_roots_are_apart (mistakes_reach lowest_runs second_thread)));
    [vm_compute; reflexivity | vm_compute; left; reflexivity | vm_compute; reflexivity | vm_compute; reflexivity].
Qed.

(** The second thread gets the root task's priority and spaces, receives from an endpoint and loses its context; and the root task calls it. So the root task's
    context goes along, with which the second thread runs, and the root task is in its chain. One that says that it went along with a call twice would break
    the claim. *)
Definition calls_with (number : Syscall.t) (registers : list (N * N)) : Event := {|
  cause := SystemCall; time := 9; saved := (7, Syscall.number number) :: (pc, 0x104) :: registers; readable := []; preempt_after := None;
  chosen := nothing_chosen |}.
Definition space_shared_with (thread_slot : N) : Event := {|
  cause := SystemCall; time := 9; saved := words_of_call (Method.label Method.TCBSetSpace) thread_slot [0; 0] 3;
  readable := [(0x6000 + ipc_buffer_caps_or_badges + 8, 2); (0x6000 + ipc_buffer_caps_or_badges + 16, 3)]; preempt_after := None;
  chosen := nothing_chosen |}.
Definition share_spaces : Event := space_shared_with 40.
Definition call_the_second : list Event := second_thread ++ [
  retype (ObjectType.number ObjectType.Endpoint) 0 42; retype (ObjectType.number ObjectType.Reply) 0 43; share_spaces;
  call_passing 1 (Method.label Method.TCBSetPriority) 40 [255]; calls_with Syscall.Yield []; calls_with Syscall.Recv [(0, 42); (6, 43)];
  call_passing 41 (Method.label Method.SchedContextUnbind) 41 []; calls_with Syscall.Call [(0, 42); (1, 0)]].
Example a_context_goes_along : let st := after call_the_second in
  (broken_invariants st, chain 0x5000 st, current st, sched_context (thread 0x1000 st), sched_context (thread 0x10000 st))
  = ([], [Some 0x1000], Some 0x10000, None, Some 0x5000).
Proof. vm_compute. reflexivity. Qed.
Definition go_along_twice : State -> State := change_context 0x5000 (fun c => c <| calls := calls c ++ calls c |>).
Example going_along_twice_is_refuted : ~ chains_never_cycle (with_mistake go_along_twice).
Proof.
  intros claim. destruct (claim small_plan _ 0x5000 small_roots_are_apart (mistakes_reach go_along_twice call_the_second)) as (once & _).
  vm_compute in once. apply NoDup_cons_iff in once. apply (proj1 once). left. reflexivity.
Qed.

(** A thread sleeps that is ready. *)
Definition sleep_walk (st : State) : State := st <| sleeping := ready st |>.
Example sleep_walk_is_refuted : ~ threads_queue_once (with_mistake sleep_walk).
Proof.
  intros claim. pose proof (claim small_plan _ (mistaken_reached sleep_walk wrong_call)) as once. vm_compute in once.
  inversion_clear once as [|? ? new _]. apply new. left. reflexivity.
Qed.

(** Time that is used comes back a period later; a charge that forgot it would break [refills_are_right]. *)
Definition limited_context : SchedContext := configure_context 0 100 1000 2 0 0 (boot small_plan) (new_sched_context 8).
Example time_comes_back :
  refills (charge 30 10 limited_context) = [{| usable_at := 30; amount := 70 |}; {| usable_at := 1000; amount := 30 |}].
Proof. vm_compute. reflexivity. Qed.

(** Each turn of a charge but the last takes some of what was used; one that went on with an empty refill would not finish. *)
Example a_charge_takes_turns : charge_step 10 (limited_context, 130) = Again (delay_only {| usable_at := 0; amount := 100 |} limited_context, 30).
Proof. vm_compute. reflexivity. Qed.
Definition tireless_charge (x : SchedContext * N) : Turn_of_loop (SchedContext * N) SchedContext :=
  let (c, used) := x in match refills c with [only] => Again (delay_only only c, used - amount only) | _ => Finished c end.
Definition empty_context : SchedContext := limited_context <| refills := [{| usable_at := 0; amount := 0 |}] |>.
Example tireless_charge_does_not_finish : ~ exists charged, repeat_after 130 tireless_charge (empty_context, 130) = Finished charged.
Proof. intros (charged & finished). vm_compute in finished. discriminate. Qed.
Definition root_refills (l : list Refill) : State -> State := change_context 0x5000 (fun c => c <| refills := l |>).
Lemma context_found l : objects (mistaken (root_refills l) wrong_call) !! 0x5000
                        = Some (SchedContextObject (context 0x5000 (mistaken (root_refills l) wrong_call))).
Proof. vm_compute. reflexivity. Qed.
Definition too_much : list Refill := [{| usable_at := 0; amount := 1000000 |}].
Example too_much_time_is_refuted : ~ refills_sum_to_budget (with_mistake (root_refills too_much)).
Proof.
  intros claim. pose proof (claim small_plan _ 0x5000 _ (mistaken_reached (root_refills too_much) wrong_call) (context_found too_much)) as right.
  vm_compute in right. exact (proj2 right eq_refl).
Qed.
Definition disordered : list Refill :=
  [{| usable_at := 30; amount := 70 |}; {| usable_at := 1000; amount := 20 |}; {| usable_at := 990; amount := 10 |}].
Example disorder_is_refuted : ~ refills_stay_in_order (with_mistake (root_refills disordered)).
Proof.
  intros claim.
  destruct (claim small_plan _ 0x5000 _ (mistaken_reached (root_refills disordered) wrong_call) (context_found disordered)) as (sorted & _).
  vm_compute in sorted. inversion_clear sorted as [|? ? _ first]. inversion_clear first as [|? ? late _]. exact (late eq_refl).
Qed.

(** The badged capability stems from the untyped that the root task held; and a kernel that leaves a capability to memory that nobody had would
    break the claim. *)
Example badge_stems_from_untyped : stems_from (UntypedCap 0x10000 16 false 0) (EndpointCap 0x10000 7 all_rights).
Proof.
  apply made_of with (EndpointCap 0x10000 0 all_rights); [|apply badge_given with 7; reflexivity].
  apply made_of with (UntypedCap 0x10000 16 false 0); [constructor|].
  apply (retyped 0x10000 16 false 0 ObjectType.Endpoint 0x10000 0); vm_compute; reflexivity || discriminate.
Qed.
Definition foreign_memory : Capability := FrameCap 0x900000 12 false memory_rights None.
Definition planted (c : Capability) (st : State) : State :=
  put_entry (slot_of 0x2000 50) {| capability := c; original := true; parent := None; children := [] |} st.
Lemma planted_found c e : capability_at (slot_of 0x2000 50) (mistaken (planted c) e) = Some c.
Proof.
  unfold mistaken. generalize (fst (fst (step (boot small_plan) e))). intros st. unfold capability_at.
  change (slots (planted c st)) with (set (slot_of 0x2000 50) {| capability := c; original := true; parent := None; children := [] |} (slots st)).
  rewrite find_set, N.eqb_refl. reflexivity.
Qed.
Lemma no_boot_memory root base bits : boot_capability small_plan root -> memory_of root = Some (base, bits, false) -> base + N.shiftl 1 bits <= 0x900000.
Proof.
  intros (slot & listed) memory.
  assert (forallb (fun entry => match memory_of (snd entry) with Some (b, n, _) => b + N.shiftl 1 n <=? 0x900000 | None => true end)
            (root_capabilities small_plan ++ dynamic_capabilities small_plan) = true) as all_below by (vm_compute; reflexivity).
  pose proof (proj1 (forallb_forall _ _) all_below (slot, root) listed) as below. cbn [snd] in below. rewrite memory in below.
  apply N.leb_le. exact below.
Qed.
Definition generous_step : Stepping := with_mistake (planted foreign_memory).
Example generous_step_is_refuted : ~ memory_comes_from_boot generous_step.
Proof.
  intros claim. destruct (claim small_plan _ _ _ 0x900000 12 false (mistaken_reached _ wrong_call) (planted_found foreign_memory wrong_call) eq_refl)
    as (root & base & bits & at_boot_ & memory & _ & within).
  pose proof (no_boot_memory root base bits at_boot_ memory). change (N.shiftl 1 12) with 4096 in within. lia.
Qed.
Example generous_step_invents_capabilities : ~ capabilities_stem_from_boot generous_step.
Proof.
  intros claim. destruct (claim small_plan _ _ _ (mistaken_reached _ wrong_call) (planted_found foreign_memory wrong_call)) as (root & at_boot_ & stems).
  destruct (stems_memory root foreign_memory 0x900000 12 false stems eq_refl) as (base & bits & memory & _ & within).
  pose proof (no_boot_memory root base bits at_boot_ memory). change (N.shiftl 1 12) with 4096 in within. lia.
Qed.
Example overfull_untyped_is_refuted : ~ capabilities_are_in_bounds (with_mistake (planted (UntypedCap 0x10000 12 false 4097))).
Proof.
  intros claim. assert (root_radix small_plan <= 64) as resolves by (vm_compute; discriminate).
  pose proof (claim small_plan _ _ _ resolves (mistaken_reached _ wrong_call) (planted_found _ wrong_call)) as within.
  vm_compute in within. exact (within eq_refl).
Qed.

(** It is no error that changes nothing, either, nor a timer that does not move capabilities. *)
Lemma wrong_call_fails : exists next done, step (boot small_plan) wrong_call = (next, Fails Error.IllegalOperation, done).
Proof.
  pose proof an_error_happens as fails. destruct (step (boot small_plan) wrong_call) as ((next & result) & done). cbn [fst snd] in fails. subst result.
  exists next, done. reflexivity.
Qed.
Lemma planted_slot st : slots (planted foreign_memory st) !! slot_of 0x2000 50 <> slots (boot small_plan) !! slot_of 0x2000 50.
Proof.
  change (slots (planted foreign_memory st)) with
    (set (slot_of 0x2000 50) {| capability := foreign_memory; original := true; parent := None; children := [] |} (slots st)).
  rewrite find_set, N.eqb_refl. vm_compute. discriminate.
Qed.
Lemma registers_leave_slots t a b : same_but_registers_of t a b -> slots b = slots a.
Proof. intros (_ & _ & same). rewrite same. reflexivity. Qed.
Example generous_error_is_refuted : ~ errors_change_nothing generous_step.
Proof.
  intros claim. destruct wrong_call_fails as (next & done & fails).
  destruct (claim small_plan (boot small_plan) wrong_call Error.IllegalOperation (planted foreign_memory next) done) as (_ & _ & t & _ & same).
  - apply at_boot.
  - split; reflexivity.
  - unfold generous_step, with_mistake. rewrite fails. reflexivity.
  - apply (planted_slot next). rewrite (registers_leave_slots _ _ _ same). reflexivity.
Qed.
Example generous_error_does_not_only_book : ~ errors_only_book generous_step.
Proof.
  intros claim. destruct wrong_call_fails as (next & done & fails).
  destruct (claim (boot small_plan) wrong_call Error.IllegalOperation (planted foreign_memory next) done) as (t & told & _ & same & _ & _ & finished).
  - unfold generous_step, with_mistake. rewrite fails. reflexivity.
  - apply (planted_slot next). rewrite <- (registers_leave_slots _ _ _ same), <- (finish_slots (Fails Error.IllegalOperation) told), <- finished.
    reflexivity.
Qed.
Definition time_passes : Event := {|
  cause := TimerExpires; time := 50; saved := []; readable := []; preempt_after := None; chosen := nothing_chosen |}.
Example generous_timer_is_refuted : ~ only_system_calls_move_capabilities generous_step.
Proof.
  intros claim. assert (cause time_passes <> SystemCall) as no_call by discriminate. pose proof (claim (boot small_plan) time_passes no_call) as same.
  unfold generous_step in same. rewrite mistaken_state in same. apply (planted_slot (fst (fst (step (boot small_plan) time_passes)))).
  rewrite same. reflexivity.
Qed.

(** The revocation above meets the premises of [revocation_is_complete]; a kernel that says that it is done when it was not preempted only because
    it did nothing would break the claim. *)
Definition idle_step : Stepping := fun st e => if is_some (preempt_after e) then (leave (enter e st), Succeeds, []) else step st e.
Definition restless (e : Event) : Event := {|
  cause := cause e; time := time e; saved := saved e; readable := readable e; preempt_after := Some 7; chosen := chosen e |}.
Definition revocation : Invocation := {|
  invoker := 0x1000; invoked_slot := slot_of 0x2000 2; invoked := CNodeCap 0x2000 6 0 58; word_arguments := [40; 64];
  cap_arguments := [{| argument_slot := slot_of 0x2000 2; argument := Some (CNodeCap 0x2000 6 0 58) |}] |}.
Definition before_revocation : State := after [retype_endpoint; mint_badge].
Example revocation_is_invoked : invokes (enter (restless revoke_endpoint) before_revocation) Method.CNodeRevoke revocation.
Proof.
  exists 0x1000, Syscall.Call, (slot_of 0x2000 2), (CNodeCap 0x2000 6 0 58), (cap_arguments revocation).
  repeat split; vm_compute; reflexivity.
Qed.
Example revocation_succeeds : snd (fst (step before_revocation (restless revoke_endpoint))) = Succeeds.
Proof. vm_compute. reflexivity. Qed.
Lemma idle_reaches events st :
  forallb (fun e => negb (is_some (preempt_after e))) events = true -> reachable idle_step small_plan st ->
  reachable idle_step small_plan (fold_left (fun st e => fst (fst (step st e))) events st).
Proof.
  revert st. induction events as [|e rest IH]; intros st calm reached; [exact reached|]. cbn [forallb] in calm. apply andb_prop in calm.
  destruct calm as (calm & others). cbn [fold_left]. apply (IH _ others).
  assert (idle_step st e = step st e) as same by (unfold idle_step; destruct (preempt_after e); [discriminate | reflexivity]).
  rewrite <- same. apply after_event. exact reached.
Qed.
Example idle_step_is_refuted : ~ revocation_is_complete idle_step.
Proof.
  intros claim.
  pose proof (idle_reaches [retype_endpoint; mint_badge] (boot small_plan) eq_refl (at_boot _ _)) as reached.
  apply (claim small_plan before_revocation (restless revoke_endpoint) revocation (slot_of 0x2000 40)
           (leave (enter (restless revoke_endpoint) before_revocation)) [] reached eq_refl revocation_is_invoked) with (c := slot_of 0x2000 41).
  - vm_compute. reflexivity.
  - unfold idle_step. reflexivity.
  - eexists. split; vm_compute; reflexivity.
Qed.

(** The second thread answers the root task, which has its context again; it would not, if nothing was done. *)
Definition answer_the_root : Event := calls_with Syscall.Send [(0, 43); (1, 0)].
Example the_context_is_back : let st := after (call_the_second ++ [answer_the_root]) in
  (broken_invariants st, chain 0x5000 st, current st, sched_context (thread 0x1000 st), sched_context (thread 0x10000 st))
  = ([], [], Some 0x1000, Some 0x5000, None).
Proof. vm_compute. reflexivity. Qed.
Definition only_grant : Rights := {| can_write := false; can_read := false; can_grant := true; can_grant_reply := false |}.
Example idle_answer_is_refuted : ~ answers_return_contexts idle_step.
Proof.
  intros claim. pose proof (idle_reaches call_the_second (boot small_plan) eq_refl (at_boot _ _)) as reached.
  destruct (claim small_plan (after call_the_second) (restless answer_the_root) 0x10000 0x10920 0x5000 [] 0x1000 small_roots_are_apart reached eq_refl)
    as (has & _).
  - vm_compute. reflexivity.
  - exists Syscall.Send, (slot_of 0x2000 43), only_grant. split; [vm_compute; reflexivity|]. split; [right; left; reflexivity | vm_compute; reflexivity].
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - vm_compute in has. discriminate.
Qed.

(** Likewise of the memory that is then free. *)
Definition revoke_untyped : Event := call_event (Method.label Method.CNodeRevoke) 2 [18; 64].
Definition revocation_of_untyped : Invocation := {|
  invoker := 0x1000; invoked_slot := slot_of 0x2000 2; invoked := CNodeCap 0x2000 6 0 58; word_arguments := [18; 64];
  cap_arguments := cap_arguments revocation |}.
Definition before_reset : State := after [retype_endpoint].
Example reset_is_invoked : invokes (enter (restless revoke_untyped) before_reset) Method.CNodeRevoke revocation_of_untyped.
Proof.
  exists 0x1000, Syscall.Call, (slot_of 0x2000 2), (CNodeCap 0x2000 6 0 58), (cap_arguments revocation_of_untyped).
  repeat split; vm_compute; reflexivity.
Qed.
Example reset_succeeds :
  let '(next, result, _) := step before_reset (restless revoke_untyped) in
  (result, objects next !! 0x10000, free_memory (slot_of 0x2000 18) next) = (Succeeds, None, Some (0x10000, 0x10000)).
Proof. vm_compute. reflexivity. Qed.
Example idle_reset_is_refuted : ~ revoked_memory_is_free idle_step.
Proof.
  intros claim. pose proof (idle_reaches [retype_endpoint] (boot small_plan) eq_refl (at_boot _ _)) as reached.
  destruct (claim small_plan before_reset (restless revoke_untyped) revocation_of_untyped (slot_of 0x2000 18)
              (leave (enter (restless revoke_untyped) before_reset)) [] 0x10000 16 false 16 small_roots_are_sound reached eq_refl reset_is_invoked)
    as (empty_ & _).
  - vm_compute. reflexivity.
  - unfold idle_step. reflexivity.
  - vm_compute. reflexivity.
  - assert (objects (leave (enter (restless revoke_untyped) before_reset)) !! 0x10000 = Some (EndpointObject {| senders := []; receivers := [] |})) as there
      by (vm_compute; reflexivity).
    specialize (empty_ _ _ there). vm_compute in empty_. destruct empty_ as [far|far]; exact (far eq_refl).
Qed.

(** What was mapped of it is not any more; of a kernel that does nothing it still would be. *)
Definition before_unmapping : State := after map_a_frame.
Example reset_after_mapping_is_invoked :
  invokes (enter (restless revoke_untyped) before_unmapping) Method.CNodeRevoke revocation_of_untyped.
Proof.
  exists 0x1000, Syscall.Call, (slot_of 0x2000 2), (CNodeCap 0x2000 6 0 58), (cap_arguments revocation_of_untyped).
  repeat split; vm_compute; reflexivity.
Qed.
Example reset_unmaps :
  let '(next, result, _) := step before_unmapping (restless revoke_untyped) in (result, translate 0x3000 0x400000 next) = (Succeeds, (None, 0)).
Proof. vm_compute. reflexivity. Qed.
Example idle_unmapping_is_refuted : ~ revoked_memory_is_unmapped idle_step.
Proof.
  intros claim. pose proof (idle_reaches map_a_frame (boot small_plan) eq_refl (at_boot _ _)) as reached.
  assert (apart (0x13000, N.shiftl 1 12) (0x10000, N.shiftl 1 16)) as far.
  - apply (claim small_plan before_unmapping (restless revoke_untyped) revocation_of_untyped (slot_of 0x2000 18)
             (leave (enter (restless revoke_untyped) before_unmapping)) [] 0x10000 16 false 0x4000 1 0x400000 0x13000 12 false memory_rights 0 3
             small_roots_are_sound reached eq_refl reset_after_mapping_is_invoked).
    + vm_compute. reflexivity.
    + unfold idle_step. reflexivity.
    + vm_compute. reflexivity.
    + exists 0x3000. repeat split; vm_compute; reflexivity.
  - vm_compute in far. destruct far as [far|far]; exact (far eq_refl).
Qed.

(** No other event moves capabilities. *)
Example idle_timer_moves_nothing : slots (fst (fst (step before_revocation time_passes))) = slots before_revocation.
Proof. apply only_system_calls_move_capabilities_proved. discriminate. Qed.

(** Nor does any get stuck, and the system calls above are among those of which the claim says it; a step that says so would break the claim. *)
Example small_plan_fits : boot_fits small_plan.
Proof.
  constructor; [exact small_roots_are_sound | reflexivity|]. intros slot c listed.
  assert (forallb (fun a => (fst a =? slot_of 0x2000 ((fst a - 0x2000) / slot_bytes)) && ((fst a - 0x2000) / slot_bytes <? N.shiftl 1 (root_radix small_plan)))
    small_roots = true) as computed by (vm_compute; reflexivity).
  pose proof (proj1 (forallb_forall _ _) computed (slot, c) listed) as here. apply andb_prop in here. destruct here as (same & less).
  exists ((slot - 0x2000) / slot_bytes). split; [apply N.ltb_lt; exact less | apply N.eqb_eq; exact same].
Qed.
Example retype_is_covered : ~ In Stuck (snd (step (boot small_plan) retype_endpoint)).
Proof. exact (never_stuck_proved small_plan _ retype_endpoint small_roots_are_apart (at_boot _ _) (fun _ => small_plan_fits)). Qed.

(** The root task gives its own thread a CSpace, a VSpace and a buffer anew: what was in its slots is deleted, and it writes the thread behind that. *)
Definition configure_itself : Event := {|
  cause := SystemCall; time := 9; saved := words_of_call (Method.label Method.TCBConfigure) (InitSlot.number InitSlot.TCB) [0; 0; root_buffer_address] 3;
  readable := combine (map (fun i => 0x6000 + ipc_buffer_caps_or_badges + 8 * i) [0; 1; 2])
    [InitSlot.number InitSlot.CNode; InitSlot.number InitSlot.VSpace; InitSlot.number InitSlot.IPCBuffer];
  preempt_after := None; chosen := nothing_chosen |}.
Example itself_is_configured : snd (fst (step (boot small_plan) configure_itself)) = Succeeds.
Proof. vm_compute. reflexivity. Qed.
Example configuration_is_covered : ~ In Stuck (snd (step (boot small_plan) configure_itself)).
Proof. exact (never_stuck_proved small_plan _ configure_itself small_roots_are_apart (at_boot _ _) (fun _ => small_plan_fits)). Qed.
Definition stuck_step : Stepping := fun st e => let '(next, result, done) := step st e in (next, result, Stuck :: done).
Example stuck_step_is_refuted : ~ never_stuck stuck_step.
Proof.
  intros claim. refine (claim small_plan (boot small_plan) time_passes small_roots_are_apart (at_boot _ _) _ _); [discriminate|].
  unfold stuck_step. destruct (step (boot small_plan) time_passes) as ((next & result) & done). left. reflexivity.
Qed.

(** The Retype above makes an endpoint in which nobody waits, in memory that it clears; a kernel that leaves somebody in it would break the claim. *)
Example endpoint_is_made :
  let '(next, _, done) := step (boot small_plan) retype_endpoint in
  (objects (boot small_plan) !! 0x10000, objects next !! 0x10000, done)
  = (None, Some (EndpointObject {| senders := []; receivers := [] |}), [ClearMemory 0x10000 16 false]).
Proof. vm_compute. reflexivity. Qed.
Definition haunt : State -> State := put_object 0x10000 (EndpointObject {| senders := [0x1000]; receivers := [] |}).
Example haunted_endpoint_is_refuted : ~ made_objects_are_fresh (with_mistake haunt).
Proof.
  intros claim. destruct (step (boot small_plan) retype_endpoint) as ((next & result) & done) eqn:stepped.
  destruct (claim small_plan (boot small_plan) retype_endpoint (haunt next) result done 0x10000
              (EndpointObject {| senders := [0x1000]; receivers := [] |}) small_roots_are_sound (at_boot _ _)) as (first & (bits & first_ & _) & same).
  - unfold with_mistake. rewrite stepped. reflexivity.
  - vm_compute. reflexivity.
  - unfold haunt. change (set 0x10000 (EndpointObject {| senders := [0x1000]; receivers := [] |}) (objects next) !! 0x10000
                          = Some (EndpointObject {| senders := [0x1000]; receivers := [] |})). rewrite find_set. reflexivity.
  - destruct same as [<-|(t & _ & _ & used)]; [|inversion used].
    destruct first_ as [(type & n & new & _)|(index & new & _)]; [destruct type; discriminate new | discriminate new].
Qed.

(** A Retype makes a CNode in whose slots nothing was; a kernel that makes one over slots that are occupied would break the claim. *)
Definition retype_cnode : Event := call_event (Method.label Method.UntypedRetype) 18 [ObjectType.number ObjectType.CNode; 4; 0; 0; 40; 1].
Example cnode_is_made :
  let next := fst (fst (step (boot small_plan) retype_cnode)) in
  (objects (boot small_plan) !! 0x10000, objects next !! 0x10000, is_within (slot_of 0x10000 15) 0x10000 next, capability_at (slot_of 0x10000 15) next)
  = (None, Some (CNodeObject 4), true, None).
Proof. vm_compute. reflexivity. Qed.
Definition cover_slots (st : State) : State := put_object (slot_of 0x2000 1) (CNodeObject 1) st.
Example covered_slots_are_refuted : ~ made_containers_were_empty (with_mistake cover_slots).
Proof.
  intros claim. destruct (step (boot small_plan) wrong_call) as ((next & result) & done) eqn:stepped.
  assert (cover_slots next = mistaken cover_slots wrong_call) as is_next by (unfold mistaken; rewrite stepped; reflexivity).
  assert (capability_at (slot_of 0x2000 1) (boot small_plan) = None) as empty_.
  { apply (claim small_plan (boot small_plan) wrong_call (cover_slots next) result done (slot_of 0x2000 1) (slot_of 0x2000 1) small_plan_fits (at_boot _ _)).
    - unfold with_mistake. rewrite stepped. reflexivity.
    - vm_compute. reflexivity.
    - rewrite is_next. vm_compute. reflexivity. }
  vm_compute in empty_. discriminate empty_.
Qed.

(** In one system call it is made, and its maker waits in it. *)
Definition retype_and_wait : Event := {|
  cause := SystemCall; time := 9; readable := [(0x6000 + ipc_buffer_caps_or_badges, InitSlot.number InitSlot.CNode)]; preempt_after := None;
  saved := words_of_call (Method.label Method.UntypedRetype) 40 [ObjectType.number ObjectType.Endpoint; 0; 0; 0; 40; 1] 1
             ++ [(7, Syscall.number Syscall.NBSendWait); (8, 18)];
  chosen := nothing_chosen |}.
Example endpoint_is_used :
  let '(next, _, done) := step (boot small_plan) retype_and_wait in
  (objects next !! 0x10000, done) = (Some (EndpointObject {| senders := []; receivers := [0x1000] |}), [ClearMemory 0x10000 16 false]).
Proof. vm_compute. reflexivity. Qed.

(** Of the small machine no invariant is broken, be it left open or not; where a count is forgotten one is that is not left open, and so it is where a
    capability is left in memory that is nobody's. *)
Example small_states_are_well_formed : incl (broken_invariants (boot small_plan)) left_open /\ broken_invariants (after [retype_endpoint; mint_badge]) = [].
Proof.
  split; [|vm_compute; reflexivity]. refine (proj1 (proj2 (states_stay_well_formed_proved small_plan _ small_roots_are_sound _ (at_boot _ _))) small_plan_fits).
  discriminate.
Qed.
Definition forget_counts (st : State) : State := st <| references := empty |>.
Example forgotten_counts_are_refuted : ~ states_stay_well_formed (with_mistake forget_counts).
Proof.
  intros claim. assert (In ReferenceCounts (broken_invariants (mistaken forget_counts wrong_call))) as broken by (vm_compute; tauto).
  assert (root_radix small_plan <= 64) as short by discriminate.
  pose proof (proj1 (claim small_plan _ small_roots_are_sound short (mistaken_reached forget_counts wrong_call)) _ broken) as listed.
  unfold left_open in listed. cbn [In] in listed. intuition discriminate.
Qed.
Definition leave_astray (st : State) : State := put_entry 0x18000 {| capability := DomainCap; original := true; parent := None; children := [] |} st.
Example stray_capability_is_refuted : ~ states_stay_well_formed (with_mistake leave_astray).
Proof.
  intros claim. assert (In SlotsInContainers (broken_invariants (mistaken leave_astray wrong_call))) as broken by (vm_compute; tauto).
  assert (root_radix small_plan <= 64) as short by discriminate.
  pose proof (proj1 (proj2 (claim small_plan _ small_roots_are_sound short (mistaken_reached leave_astray wrong_call))) small_plan_fits _ broken) as listed.
  unfold left_open in listed. cbn [In] in listed. intuition discriminate.
Qed.

(** ** Preempted work

    Of two capabilities that were derived from the endpoint's the revocation deletes one before it is preempted, and the other when it is restarted. *)
Definition mint_another : Event := call_event (Method.label Method.CNodeMint) 2 [42; 64; 40; 64; 15; 9].
Definition two_to_delete : State := after [retype_endpoint; mint_badge; mint_another].
Definition stopped_between : State := state_of (revoke (slot_of 0x2000 40) (allow 1 two_to_delete)).
Definition is_preempted (p : Progress) : bool := match p with Preempted _ => true | Done _ => false end.
Lemma preempted_is p : is_preempted p = true -> p = Preempted (state_of p). Proof. destruct p; [discriminate | reflexivity]. Qed.
Example revocation_is_preempted :
  (is_preempted (revoke (slot_of 0x2000 40) (allow 1 two_to_delete)), children_of (slot_of 0x2000 40) two_to_delete,
   children_of (slot_of 0x2000 40) stopped_between, is_preempted (revoke (slot_of 0x2000 40) (allow 3 stopped_between)))
  = (true, [slot_of 0x2000 42; slot_of 0x2000 41], [slot_of 0x2000 41], false).
Proof. vm_compute. reflexivity. Qed.
Example revocation_is_restarted : revoke (slot_of 0x2000 40) (allow (1 + 3) two_to_delete) = revoke (slot_of 0x2000 40) (allow 3 stopped_between).
Proof.
  destruct (restarts_come_to_the_same_proved two_to_delete 1 3 stopped_between) as (_ & revokes & _). apply revokes.
  - apply preempted_is. vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - left. vm_compute. reflexivity.
Qed.

(** Where the deletion was elsewhere its restart comes to something else: a zombie that stands in its own container has gone to the first slot, and there it
    stays; the deletion that is not preempted empties the container and ends it. *)
Definition container : State :=
  let entry c := {| capability := c; original := true; parent := None; children := [] |} in
  nothing_yet small_machine <| objects := table_of [(0x8000, CNodeObject 1)] |>
    <| slots := table_of [(slot_of 0x8000 0, entry DomainCap); (slot_of 0x8000 1, entry (ZombieCap 0x8000))] |>.
Example restart_elsewhere_differs :
  let whole := delete (slot_of 0x8000 1) (allow (1 + 5) container) in
  let first := delete (slot_of 0x8000 1) (allow 1 container) in
  let second := delete (slot_of 0x8000 1) (allow 5 (state_of first)) in
  (is_preempted first, is_preempted whole, is_preempted second, fst (worked delete_unit 1 (slot_of 0x8000 1) container))
  = (true, false, false, slot_of 0x8000 0)
  /\ (is_some (objects (state_of whole) !! 0x8000), is_some (objects (state_of second) !! 0x8000)) = (false, true).
Proof. split; vm_compute; reflexivity. Qed.

(** Work that looks at how much is left of the step would not go on where it was; nor is the restart the same without what the claim presumes of it. *)
Definition hasty_unit (_ : unit) (st : State) : unit * State := (tt, if allowance st =? 1 then emit StopMachine st else st).
Example hasty_work_is_refuted : ~ work_resumes (fun _ _ => true) hasty_unit.
Proof.
  intros claim. destruct (claim tt (boot small_plan) 1 (emit StopMachine (allow 0 (boot small_plan)))) as (_ & b & did & more); [vm_compute; reflexivity|].
  specialize (more 1). apply (f_equal (fun p => effects (state_of p))) in more. destruct b. vm_compute in more. discriminate more.
Qed.
Example restart_anywhere_is_refuted : ~ forall st units more stopped slot, delete slot (allow units st) = Preempted stopped ->
  delete slot (allow (units + more) st) = delete slot (allow more stopped).
Proof.
  intros claim. specialize (claim container 1 5 (state_of (delete (slot_of 0x8000 1) (allow 1 container))) (slot_of 0x8000 1)).
  assert (is_preempted (delete (slot_of 0x8000 1) (allow 1 container)) = true) as stops by (vm_compute; reflexivity).
  apply preempted_is in stops. specialize (claim stops). pose proof (proj2 restart_elsewhere_differs) as differ. rewrite claim in differ. discriminate differ.
Qed.

(** A Retype that makes one of three objects leaves the others to its restart: the message names slot 41 and two objects. *)
Definition words_four_and_five (t : N) (st : State) : N * N :=
  (register (nth 4 message_registers 0) (thread t st), register (nth 5 message_registers 0) (thread t st)).
Example retype_is_preempted :
  match make_objects 3 ObjectType.Endpoint 0x10000 0 false (slot_of 0x2000 40) 40 (slot_of 0x2000 18) 0x1000 (allow 1 (boot small_plan)) with
  | Stops st => (words_four_and_five 0x1000 st, capability_at (slot_of 0x2000 40) st, capability_at (slot_of 0x2000 41) st)
  | _ => (0, 0, None, None)
  end = (41, 2, Some (EndpointCap 0x10000 0 all_rights), None).
Proof. vm_compute. reflexivity. Qed.

(** The root task waits to send with badge 7, and its send is cancelled when a unit is allowed. A kernel that lists senders twice would cancel more at once. *)
Definition send_with_badge : Event := calls_with Syscall.Send [(0, 41); (1, 0)].
Definition waiting_to_send : State := after [retype_endpoint; mint_badge; send_with_badge].
Example send_is_left :
  let cancel units := cancel_badged_sends 0x10000 7 (allow units (enter time_passes waiting_to_send)) in
  (sends_left 0x10000 7 waiting_to_send, is_preempted (cancel 0), sends_left 0x10000 7 (state_of (cancel 0)), is_preempted (cancel 1),
   sends_left 0x10000 7 (state_of (cancel 1))) = (1, true, 1, false, 0).
Proof. vm_compute. reflexivity. Qed.
Definition list_twice : State -> State := fun st =>
  let sender := ThreadObject (new_thread <| run_state := BlockedOnSend 0x10000 7 true true false false |>) in
  put_object 0x9000 sender st >> put_object 0x9800 sender >> put_object 0x10000 (EndpointObject {| senders := [0x9000; 0x9000; 0x9800]; receivers := [] |}).
Example listing_twice_is_refuted : ~ work_counts_down (with_mistake list_twice).
Proof.
  intros claim. set (st := mistaken list_twice retype_endpoint).
  set (stopped := state_of (cancel_badged_sends 0x10000 7 (allow 1 (enter time_passes st)))).
  destruct (claim small_plan st time_passes 0x10000 1 stopped small_roots_are_apart (mistaken_reached list_twice retype_endpoint)) as (cancels & _).
  specialize (cancels 7). assert (sends_left 0x10000 7 stopped + 1 = sends_left 0x10000 7 (enter time_passes st)) as wrong.
  - apply cancels. apply preempted_is. vm_compute. reflexivity.
  - vm_compute in wrong. discriminate wrong.
Qed.

(** A context with a limit: when 110 ticks were charged of its budget of 100, it can be used again a period after it could before. A kernel that let a context
    have more than its budget would break the claim. *)
Definition limited : list Event := [
  retype (ObjectType.number ObjectType.SchedContext) 8 40; call_passing 40 (Method.label Method.SchedControlConfigureFlags) 17 [100; 1000; 2; 0; 0]].
Definition spent : SchedContext := charge 60 10 (charge 50 10 (context 0x10000 (after limited))).
Lemma limited_found : objects (after limited) !! 0x10000 = Some (SchedContextObject (context 0x10000 (after limited))).
Proof. vm_compute. reflexivity. Qed.
Example budget_is_spent :
  (broken_invariants (after limited), refills (context 0x10000 (after limited)), map usable_at (refills spent))
  = ([], [{| usable_at := 9; amount := 100 |}], [1019; 2009]).
Proof. vm_compute. reflexivity. Qed.
Example spent_budget_is_away : exists r others, refills spent = r :: others /\ 9 + 1000 <= usable_at r.
Proof.
  destruct (budget_lasts_a_period_proved small_plan (after limited) 0x10000 (context 0x10000 (after limited)) 0 (context 0x10000 (after limited))
              {| usable_at := 9; amount := 100 |} [] (0 + 50 + 60) spent (reached_after limited) limited_found) as [few|later].
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - vm_compute. discriminate.
  - apply not_used.
  - vm_compute. reflexivity.
  - apply charged_more, charged_more, not_used.
  - vm_compute in few. destruct (few eq_refl).
  - exact later.
Qed.
Definition hoard : State -> State :=
  change_context 0x5000 (fun c => c <| budget := 20 |> <| period := 1000 |> <| refills := [{| usable_at := 0; amount := 100 |}] |>).
Definition hoarder : SchedContext := context 0x5000 (mistaken hoard wrong_call).
Lemma hoarder_found : objects (mistaken hoard wrong_call) !! 0x5000 = Some (SchedContextObject hoarder).
Proof. vm_compute. reflexivity. Qed.
Example hoarded_budget_is_refuted : ~ budget_lasts_a_period (with_mistake hoard).
Proof.
  intros claim. destruct (claim small_plan (mistaken hoard wrong_call) 0x5000 hoarder 0 hoarder {| usable_at := 0; amount := 100 |} []
    (0 + 50) (charge 50 10 hoarder) (mistaken_reached hoard wrong_call) hoarder_found) as [few|(r & others & is_r & late)].
  - vm_compute. reflexivity.
  - vm_compute. reflexivity.
  - vm_compute. discriminate.
  - apply not_used.
  - vm_compute. reflexivity.
  - apply charged_more, not_used.
  - vm_compute in few. exact (few eq_refl).
  - vm_compute in is_r. injection is_r as <- _. vm_compute in late. exact (late eq_refl).
Qed.

(** The second thread cancels the send of the root task, with badge 7, and is preempted before that: the call is executed again. A kernel that lists the caller
    itself among the senders would change its registers. *)
Definition send_beside : list Event := second_thread ++ [
  retype (ObjectType.number ObjectType.Endpoint) 0 42; call_event (Method.label Method.CNodeMint) 2 [44; 64; 42; 64; 15; 7]; share_spaces;
  call_passing 1 (Method.label Method.TCBSetPriority) 40 [255]; calls_with Syscall.Send [(0, 44); (1, 0)]].
Definition cancel_sends (slot : N) : Event := {|
  cause := SystemCall; time := 9; saved := words_of_call (Method.label Method.CNodeCancelBadgedSends) 2 [slot; 64] 0; readable := []; preempt_after := None;
  chosen := nothing_chosen |}.
Definition cancellation (t : N) (slot : N) : Invocation := {|
  invoker := t; invoked_slot := slot_of 0x2000 2; invoked := CNodeCap 0x2000 6 0 58; word_arguments := [slot; 64]; cap_arguments := [] |}.
Example cancellation_is_executed_again : let st := enter (cancel_sends 44) (after send_beside) in
  invokes st Method.CNodeCancelBadgedSends (cancellation 0x10000 44)
  /\ (fst (send_phase 0x10000 2 calling (allow 0 st)), fst (send_phase 0x10000 2 calling (allow 1 st))) = (Restarted, empty_report).
Proof.
  cbv zeta. split; [|vm_compute; reflexivity].
  exists 0x10000, Syscall.Call, (slot_of 0x2000 2), (CNodeCap 0x2000 6 0 58), []. repeat split; vm_compute; reflexivity.
Qed.
Definition list_the_caller : State -> State := fun st =>
  let sends x := x <| run_state := BlockedOnSend 0x10000 7 true true false false |> in
  change_thread 0x1000 sends st >> put_object 0x9000 (ThreadObject (sends new_thread))
    >> put_object 0x10000 (EndpointObject {| senders := [0x1000; 0x9000]; receivers := [] |}).
Example listing_the_caller_is_refuted : ~ cancellations_come_to_the_same (with_mistake list_the_caller).
Proof.
  intros claim. set (events := [retype_endpoint; mint_badge]). set (st := after_mistakes list_the_caller events).
  set (stopped := snd (send_phase 0x1000 2 calling (allow 1 (enter (cancel_sends 41) st)))).
  destruct (claim small_plan st (cancel_sends 41) (cancellation 0x1000 41) 1 stopped calling 0 small_roots_are_apart (mistakes_reach list_the_caller events))
    as (same & _).
  - exists 0x1000, Syscall.Call, (slot_of 0x2000 2), (CNodeCap 0x2000 6 0 58), []. repeat split; vm_compute; reflexivity.
  - assert (fst (send_phase 0x1000 2 calling (allow 1 (enter (cancel_sends 41) st))) = Restarted) as stops by (vm_compute; reflexivity).
    change (register 0 (thread (invoker (cancellation 0x1000 41)) (enter (cancel_sends 41) st))) with (register 0 (thread 0x1000 (enter (cancel_sends 41) st))).
    assert (register 0 (thread 0x1000 (enter (cancel_sends 41) st)) = 2) as -> by (vm_compute; reflexivity). cbn [invoker cancellation].
    unfold stopped. rewrite <- stops. apply surjective_pairing.
  - apply (f_equal run_state) in same. vm_compute in same. discriminate same.
Qed.

(** A third thread waits to send. The second, which runs on the context of the root task's call, receives there, answers before, or sends its message to the
    reply object: it would have no context, and refuses the third, before which it can be preempted. A kernel that lists the caller itself would change it. *)
Definition third_sends : list Event := [
  retype (ObjectType.number ObjectType.Endpoint) 0 44; retype (ObjectType.number ObjectType.TCB) 0 45; retype (ObjectType.number ObjectType.SchedContext) 8 46;
  call_passing 46 (Method.label Method.SchedControlConfigureFlags) 17 [1000; 1000; 0; 0; 0]; call_passing 45 (Method.label Method.SchedContextBind) 46 [];
  space_shared_with 45; call_passing 1 (Method.label Method.TCBSetPriority) 45 [255]; call_passing 45 (Method.label Method.TCBResume) 45 [];
  calls_with Syscall.Yield []; calls_with Syscall.Send [(0, 44); (1, 0)]].
Definition receive_with_flag (endpoint_slot : N) : Event :=
  calls_with Syscall.Recv [(0, endpoint_slot); (6, 43); (7, Syscall.number Syscall.Recv + syscall_flag_require_donation); (8, 43)].
Example refusals_are_preempted : let before := after (third_sends ++ call_the_second) in let st := enter (receive_with_flag 44) before in
  (broken_invariants before, match current st with
    | Some t => map (fun foreseen => map (fun units => is_preempted (refuse_early t true foreseen (allow units st))) [0; 1])
                  [free_own_reply t true; reply_phase t; pass_message t]
    | None => [] end)
  = ([], [[true; false]; [true; false]; [true; false]]).
Proof. vm_compute. reflexivity. Qed.
Definition list_who_receives : State -> State := fun st =>
  change_thread 0x1000 (fun x => x <| sched_context := None |>) (list_the_caller st).
Example listing_who_receives_is_refuted : ~ refusals_come_to_the_same (with_mistake list_who_receives).
Proof.
  intros claim. set (st := after_mistakes list_who_receives [retype_endpoint]).
  set (early := refuse_early 0x1000 false (free_own_reply 0x1000 false) (allow 1 (enter (receive_with_flag 40) st))).
  destruct (claim small_plan st (receive_with_flag 40) 0x1000 false (free_own_reply 0x1000 false) 1 (state_of early) 0 small_roots_are_apart
    (mistakes_reach list_who_receives [retype_endpoint])) as (same & _).
  - vm_compute. reflexivity.
  - left. reflexivity.
  - apply (preempted_is early). vm_compute. reflexivity.
  - apply (f_equal run_state) in same. vm_compute in same. discriminate same.
Qed.
