(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The claims about policies say something

    The boot state is within a policy that gives the root task what it has, and what it makes stays within; each part of the check is needed; and
    steps that give capabilities away are refuted. *)
From Coq Require Import Lia.
From Spec Require Import BoundProofs Witness.
Open Scope N_scope.

Definition permit (subject : N) (t : CapType.t) (start size : N) (r : Rights) : Holding :=
  {| holder := subject; held_type := t; held_start := start; held_size := size; held_rights := r |}.
Definition root : N := 0.
Definition root_permits : list Holding := [
  permit root CapType.TCB 0x1000 0x800 no_rights; permit root CapType.CNode 0x2000 0x800 no_rights; permit root CapType.VSpace 0x3000 0x1000 no_rights;
  permit root CapType.ASIDPool 0x4000 0x1000 no_rights; permit root CapType.SchedContext 0x5000 0x100 no_rights;
  permit root CapType.Frame 0x6000 0x2000 memory_rights; permit root CapType.IRQControl 0 1 no_rights; permit root CapType.ASIDControl 0 1 no_rights;
  permit root CapType.Domain 0 1 no_rights; permit root CapType.Inspect 0 1 no_rights; permit root CapType.SchedControl 0 1 no_rights ].
Definition root_untyped : Holding := permit root CapType.Untyped 0x10000 0x10000 no_rights.
Definition policy_of (regions_ : list Region) (permits_ : list Holding) : Policy :=
  {| regions := regions_; permitted := permits_; acts_for := []; trusted := []; silent := [] |}.
Definition all_of_it : Region := {| region_start := 0; region_size := 0x200000000000000; region_owner := root |}.
Definition root_policy : Policy := policy_of [all_of_it] (root_untyped :: root_permits).

Example the_root_task_is_within : pol_check root_policy (boot small_plan) = true.
Proof. vm_compute. reflexivity. Qed.
Example what_it_makes_is_within : pol_check root_policy (after [retype_endpoint; mint_badge]) = true.
Proof. vm_compute. reflexivity. Qed.
Example without_the_untyped_it_is_not :
  violations (policy_of [all_of_it] root_permits) (boot small_plan) = [Exceeds root (slot_of 0x2000 18) (UntypedCap 0x10000 16 false 0)].
Proof. vm_compute. reflexivity. Qed.

(** Neither half of the check is enough. *)
Example nobody_may_hold_anything : ~ forall p st, openings p = [] -> within p st.
Proof.
  intros enough. destruct (enough (policy_of [] []) (boot small_plan) eq_refl) as [holds_ _ _].
  destruct (holds_ (slot_of 0x2000 18) (UntypedCap 0x10000 16 false 0)) as (subject & owned & _); [vm_compute; reflexivity | discriminate].
Qed.

(** Two who meet at an endpoint: the one who may grant gives all that he may hold, and gets as much. A receiver who may not grant gives nothing. *)
Definition sender : N := 1.
Definition receiver_ : N := 2.
Definition with_grant : Rights := {| can_write := true; can_read := false; can_grant := true; can_grant_reply := false |}.
Definition calls_only : Rights := {| can_write := true; can_read := false; can_grant := false; can_grant_reply := true |}.
Definition receives_only : Rights := {| can_write := false; can_read := true; can_grant := false; can_grant_reply := false |}.
Definition of_sender (r : Rights) : Holding := permit sender CapType.Endpoint 0x100 16 r.
Definition of_receiver : Holding := permit receiver_ CapType.Endpoint 0x100 16 receives_only.
Definition two (r : Rights) : Policy := policy_of [] [of_sender r; of_receiver].
Example granting_opens :
  openings (two with_grant) = [NotClosed Granting sender receiver_ (of_sender with_grant); NotClosed Granting receiver_ sender of_receiver].
Proof. vm_compute. reflexivity. Qed.
Example calling_does_not : openings (two calls_only) = [].
Proof. vm_compute. reflexivity. Qed.
Example whoever_holds_nothing_more_is_within : ~ forall p st, beyond p st = [] -> closed p.
Proof.
  intros enough. pose proof (enough (two with_grant) (nothing_yet small_machine) eq_refl) as [_ _ _ senders_ _ _].
  assert (meet_at (two with_grant) (of_sender with_grant) of_receiver) as meeting by (repeat split; (simpl; tauto) || reflexivity).
  destruct (senders_ _ _ meeting eq_refl eq_refl eq_refl) as ([same|[[]|(_ & pass)]] & _); [discriminate|].
  destruct (pass (of_sender with_grant) (or_introl eq_refl) eq_refl) as (own & listed & whose & enough_).
  destruct listed as [<-|[<-|[]]]; [discriminate whose | vm_compute in enough_; discriminate].
Qed.

(** What the root task invokes it may hold. *)
Lemma root_is_within : slots_within root_policy (boot small_plan).
Proof. exact (holds_within _ _ (proj2 (pol_check_is_sound_proved root_policy (boot small_plan) the_root_task_is_within))). Qed.
Lemma root_is_closed : closed root_policy.
Proof. exact (proj1 (pol_check_is_sound_proved root_policy (boot small_plan) the_root_task_is_within)). Qed.
Lemma root_thread_is_roots : is_of root_policy 0x1000 root.
Proof. exists root. repeat split; try (vm_compute; reflexivity); exact id. Qed.
Example the_root_task_may_hold_what_it_revokes_by : may root_policy root (invoked revocation).
Proof.
  refine (proj1 (calls_invoke_what_they_may_hold_proved root_policy before_revocation (restless revoke_endpoint) 0x1000 root Method.CNodeRevoke revocation
                   root_is_closed _ root_thread_is_roots _ revocation_is_invoked)); [|vm_compute; reflexivity].
  apply slots_are_within. vm_compute. reflexivity.
Qed.
(** In a policy that is not closed a thread can name what its subject may not hold: the root task, if its thread alone may hold its CNode. *)
Definition of_thread : Region := {| region_start := 0x1000; region_size := 0x800; region_owner := sender |}.
Definition open_policy : Policy :=
  {| regions := [of_thread; all_of_it]; permitted := map (fun h => permit sender (held_type h) (held_start h) (held_size h) (held_rights h)) root_permits
                                                     ++ root_untyped :: root_permits;
     acts_for := [(sender, receiver_)]; trusted := []; silent := [] |}.
Example names_of_open_policies : ~ forall p st t subject address slot c,
  slots_within p st -> is_of p t subject -> occupied_slot_of_address t address st = inl (slot, c) -> may p subject c.
Proof.
  intros enough. assert (slots_within open_policy (boot small_plan)) as holds_ by (apply slots_are_within; vm_compute; reflexivity).
  assert (is_of open_policy 0x1000 receiver_) as whose by (exists sender; repeat split; try (vm_compute; reflexivity); exact id).
  assert (occupied_slot_of_address 0x1000 1 (boot small_plan) = inl (slot_of 0x2000 1, TCBCap 0x1000)) as named by (vm_compute; reflexivity).
  destruct (enough open_policy (boot small_plan) 0x1000 receiver_ 1 _ _ holds_ whose named) as [[]|(h & listed & is_receivers & _)].
  simpl in listed. repeat destruct listed as [<-|listed]; try discriminate is_receivers. contradiction.
Qed.

(** ** Confinement

    The root task's revocation meets the premises of [calls_confine], which then says that what it leaves is confined. *)
Lemma root_owns address : address < nowhere -> owner_of root_policy address = Some root.
Proof.
  intros less. unfold owner_of. cbn [regions root_policy policy_of List.find]. assert (is_in address 1 0 nowhere = true) as inside.
  { unfold is_in. rewrite andb_true_iff, !N.leb_le. lia. }
  change (region_start all_of_it) with 0. change (region_size all_of_it) with nowhere. rewrite inside. reflexivity.
Qed.
Lemma nowhere_is_nobodys : owner_of root_policy nowhere = None.
Proof. vm_compute. reflexivity. Qed.
Lemma root_gives_to slot : slot < nowhere -> gives_to root_policy root slot.
Proof. intros less. exists root. split; [exact (root_owns slot less) | left; reflexivity]. Qed.
Lemma root_ranges_are_low subject c : may root_policy subject c ->
  fst (range_of c) + snd (range_of c) <= 0x20000 \/ In (cap_type c) [CapType.IRQHandler; CapType.SGISignal].
Proof.
  intros [[]|(h & listed & _ & given)]. revert given. unfold gives. rewrite covers_cases.
  assert (held_start h + held_size h <= 0x20000) as low_.
  { assert (forallb (fun h => held_start h + held_size h <=? 0x20000) (permitted root_policy) = true) as all_ by (vm_compute; reflexivity).
    apply N.leb_le. exact (proj1 (forallb_forall _ _) all_ h listed). }
  assert (forall s z, is_in s z (held_start h) (held_size h) = true -> s + z <= 0x20000) as inside
    by (intros s z; unfold is_in; rewrite andb_true_iff, !N.leb_le; lia).
  intros [(_ & within_ & _)|[(_ & _ & within_)|[(_ & kind)|(_ & _ & within_)]]]; try (left; exact (inside _ _ within_)).
  right. destruct kind as [->| ->]; [left | right; left]; reflexivity.
Qed.
Lemma no_zombies_no_end st slot : forallb (fun e => negb (is_zombie (capability (snd e)))) (entries (slots st)) = true -> ~ is_ending st slot.
Proof.
  intros none (z & o & zombie & _). unfold capability_at in zombie. destruct (slots st !! z) as [e|] eqn:found; [|discriminate].
  injection zombie as is_z. apply in_entries in found. pose proof (proj1 (forallb_forall _ _) none _ found) as usable. cbn [snd] in usable.
  rewrite is_z in usable. discriminate usable.
Qed.
Definition has_handlers (st : State) : bool :=
  existsb (fun e => match capability (snd e) with IRQHandlerCap _ => true | _ => false end) (entries (slots st)).
Lemma root_gives_away st : has_handlers st = false -> gives_away root_policy st root.
Proof.
  intros none. constructor.
  - intros o radix guard size i held less. apply root_gives_to. destruct (root_ranges_are_low _ _ held) as [low_|[kind|[kind|[]]]]; try discriminate kind.
    cbn [range_of fst snd] in low_. rewrite N.shiftl_mul_pow2, N.mul_1_l, N.pow_add_r in low_. change (2 ^ slot_bits) with 32 in low_.
    unfold slot_of. change slot_bytes with 32. change nowhere with 0x200000000000000. lia.
  - intros t i held less. apply root_gives_to. destruct (root_ranges_are_low _ _ held) as [low_|[kind|[kind|[]]]]; try discriminate kind.
    cbn [range_of fst snd] in low_. change (N.shiftl 1 tcb_size_bits) with 2048 in low_. unfold thread_slots in less.
    unfold slot_of. change slot_bytes with 32. change nowhere with 0x200000000000000. lia.
  - intros slot irq n badge r there _ _. exfalso. unfold has_handlers in none. unfold capability_at in there.
    destruct (slots st !! slot) as [e|] eqn:found; [|discriminate]. injection there as is_h. apply in_entries in found.
    rewrite <- not_true_iff_false, existsb_exists in none. apply none. exists (slot, e).
    split; [exact found|]. cbn [snd]. rewrite is_h. reflexivity.
Qed.
Lemma root_acts st : has_handlers st = false -> forallb (fun e => negb (is_zombie (capability (snd e)))) (entries (slots st)) = true ->
  acts root_policy st 0x1000 root.
Proof. intros none usable. split; [exact root_thread_is_roots|]. split; [exact (no_zombies_no_end st _ usable) | exact (root_gives_away st none)]. Qed.
Lemma calls_of_methods_meet_nobody st t place c :
  Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some Syscall.Call ->
  occupied_slot_of_address t (register 0 (thread t st)) st = inl (place, c) -> match c with EndpointCap _ _ _ | ReplyCap _ _ => False | _ => True end ->
  acts root_policy st t root -> forall at_ address, begins st t at_ address -> acts root_policy at_ t root /\ meets_its_like root_policy at_ t address.
Proof.
  intros call found kind who at_ address (s & number & listed). rewrite call in number. injection number as <-. destruct listed as [same|[]].
  injection same as <- <-. split; [exact who|].
  intros giver taker [e b r u (slot & same) _ _|e b r u (slot & same) _|o r u (slot & same) _ _ _]; rewrite found in same; injection same as _ ->;
    contradiction.
Qed.
Example what_a_revocation_leaves_is_confined : confined root_policy (fst (fst (step before_revocation (restless revoke_endpoint)))).
Proof.
  assert (slots_within root_policy before_revocation) as holds_ by (apply slots_are_within; vm_compute; reflexivity).
  assert (current (enter (restless revoke_endpoint) before_revocation) = Some 0x1000) as cur by (vm_compute; reflexivity).
  assert (acts root_policy (enter (restless revoke_endpoint) before_revocation) 0x1000 root) as who by (apply root_acts; vm_compute; reflexivity).
  assert (Syscall.of_number (N.land (register 7 (thread 0x1000 (enter (restless revoke_endpoint) before_revocation))) syscall_number_mask)
          = Some Syscall.Call) as call by (vm_compute; reflexivity).
  assert (occupied_slot_of_address 0x1000 (register 0 (thread 0x1000 (enter (restless revoke_endpoint) before_revocation)))
            (enter (restless revoke_endpoint) before_revocation) = inl (slot_of 0x2000 2, CNodeCap 0x2000 6 0 58)) as found by (vm_compute; reflexivity).
  exact (calls_confine_proved small_plan root_policy before_revocation (restless revoke_endpoint) 0x1000 root small_roots_are_sound (reached_after _)
           root_is_closed nowhere_is_nobodys (checked_is_confined _ _ nowhere_is_nobodys holds_) eq_refl cur
           (calls_of_methods_meet_nobody _ _ _ _ call found I who)).
Qed.

(** ** Steps with a mistake *)
Lemma mistaken_leads mistake e : leads_to (with_mistake mistake) (boot small_plan) (mistaken mistake e).
Proof. unfold mistaken. rewrite <- mistaken_state. apply by_event, to_itself. Qed.
Lemma nobody_may_hold_foreign_memory subject : ~ may root_policy subject foreign_memory.
Proof.
  assert (forallb (fun h => negb (gives h foreign_memory)) (permitted root_policy) = true) as none by (vm_compute; reflexivity).
  intros [[]|(h & listed & _ & given)]. pose proof (proj1 (forallb_forall _ _) none h listed) as not_. cbv beta in not_. rewrite given in not_.
  discriminate not_.
Qed.
Example generous_step_exceeds : ~ nothing_beyond_the_policy generous_step.
Proof.
  intros claim. destruct (claim root_policy (boot small_plan) _ _ _ eq_refl root_is_within (mistaken_leads _ wrong_call)
                            (planted_found foreign_memory wrong_call)) as (subject & held). exact (nobody_may_hold_foreign_memory subject held).
Qed.
Example generous_timer_exceeds : ~ only_calls_can_exceed generous_step.
Proof.
  intros claim. assert (cause time_passes <> SystemCall) as no_call by discriminate.
  pose proof (claim root_policy (boot small_plan) time_passes no_call root_is_within) as holds_. unfold generous_step in holds_.
  rewrite mistaken_state in holds_. destruct (holds_ _ _ (planted_found foreign_memory time_passes)) as (subject & _ & held).
  exact (nobody_may_hold_foreign_memory subject held).
Qed.
Example generous_call_exceeds : ~ calls_confine (with_mistake (planted foreign_memory)).
Proof.
  intros claim. assert (acts root_policy (enter retype_endpoint (boot small_plan)) 0x1000 root) as who by (apply root_acts; vm_compute; reflexivity).
  assert (current (enter retype_endpoint (boot small_plan)) = Some 0x1000) as cur by (vm_compute; reflexivity).
  assert (Syscall.of_number (N.land (register 7 (thread 0x1000 (enter retype_endpoint (boot small_plan)))) syscall_number_mask) = Some Syscall.Call) as call
    by (vm_compute; reflexivity).
  assert (occupied_slot_of_address 0x1000 (register 0 (thread 0x1000 (enter retype_endpoint (boot small_plan)))) (enter retype_endpoint (boot small_plan))
          = inl (slot_of 0x2000 18, UntypedCap 0x10000 16 false 0)) as found by (vm_compute; reflexivity).
  assert (use_within root_policy (mistaken (planted foreign_memory) retype_endpoint)) as use.
  { unfold mistaken. rewrite <- mistaken_state.
    exact (uses_within _ _ (claim small_plan root_policy (boot small_plan) retype_endpoint 0x1000 root small_roots_are_sound (at_boot _ _) root_is_closed
             nowhere_is_nobodys (checked_is_confined _ _ nowhere_is_nobodys root_is_within) eq_refl cur
             (calls_of_methods_meet_nobody _ _ _ _ call found I who))). }
  assert (forallb (fun e => negb (is_zombie (capability (snd e)))) (entries (slots (mistaken (planted foreign_memory) retype_endpoint))) = true) as usable
    by (vm_compute; reflexivity).
  destruct (use (slot_of 0x2000 50) foreign_memory (planted_found foreign_memory retype_endpoint) eq_refl (no_zombies_no_end _ _ usable))
    as (subject & _ & held). exact (nobody_may_hold_foreign_memory subject held).
Qed.
Example generous_event_exceeds : ~ other_events_confine (with_mistake (planted foreign_memory)).
Proof.
  intros claim. assert (cause time_passes <> SystemCall) as no_call by discriminate.
  assert (use_within root_policy (mistaken (planted foreign_memory) time_passes)) as use.
  { unfold mistaken. rewrite <- mistaken_state.
    exact (uses_within _ _ (claim small_plan root_policy (boot small_plan) time_passes small_roots_are_sound (at_boot _ _)
             (checked_is_confined _ _ nowhere_is_nobodys root_is_within) no_call)). }
  assert (forallb (fun e => negb (is_zombie (capability (snd e)))) (entries (slots (mistaken (planted foreign_memory) time_passes))) = true) as usable
    by (vm_compute; reflexivity).
  destruct (use (slot_of 0x2000 50) foreign_memory (planted_found foreign_memory time_passes) eq_refl (no_zombies_no_end _ _ usable))
    as (subject & _ & held). exact (nobody_may_hold_foreign_memory subject held).
Qed.

(** ** Tables and those who wait

    The root task maps a frame; that meets the premises of [calls_contain]. Steps that map memory which nobody may hold, or let a thread wait on what nobody may
    hold, are refuted. *)
Definition before_mapping : State := after (firstn 5 map_a_frame).
Definition map_the_frame : Event := in_vspace (Method.label Method.FrameMap) 43 [0x400000; 15; 0].
Example the_frame_is_mapped : translate 0x3000 0x400000 (fst (fst (step before_mapping map_the_frame))) = (Some (Page 0x13000 12 false memory_rights 0), 3).
Proof. vm_compute. reflexivity. Qed.
Lemma root_is_contained events : pol_check root_policy (after events) = true -> waits_well root_policy (after events) = true ->
  contained root_policy (after events).
Proof. exact (checked_is_contained root_policy (after events) nowhere_is_nobodys). Qed.
Lemma root_gives_tables : gives_tables root_policy root.
Proof.
  assert (forall t, t + 4096 <= 0x20000 -> forall c, may root_policy root c -> can_lie root_policy t c) as low_.
  { intros t less c may_. exists root. split; [|exact may_]. apply root_owns. change nowhere with 0x200000000000000. lia. }
  intros t c [held|held] _ may_; apply low_; try exact may_; destruct (root_ranges_are_low _ _ held) as [below|[kind|[kind|[]]]]; try discriminate kind;
    exact below.
Qed.
Example what_is_mapped_is_contained : contained root_policy (fst (fst (step before_mapping map_the_frame))).
Proof.
  assert (contained root_policy before_mapping) as before by (apply root_is_contained; vm_compute; reflexivity).
  assert (current (enter map_the_frame before_mapping) = Some 0x1000) as cur by (vm_compute; reflexivity).
  assert (acts root_policy (enter map_the_frame before_mapping) 0x1000 root) as who by (apply root_acts; vm_compute; reflexivity).
  assert (Syscall.of_number (N.land (register 7 (thread 0x1000 (enter map_the_frame before_mapping))) syscall_number_mask) = Some Syscall.Call) as call
    by (vm_compute; reflexivity).
  assert (occupied_slot_of_address 0x1000 (register 0 (thread 0x1000 (enter map_the_frame before_mapping))) (enter map_the_frame before_mapping)
          = inl (slot_of 0x2000 43, FrameCap 0x13000 12 false memory_rights None)) as found by (vm_compute; reflexivity).
  exact (calls_contain_proved small_plan root_policy before_mapping map_the_frame 0x1000 root small_roots_are_sound (reached_after _)
           root_is_closed nowhere_is_nobodys before eq_refl cur root_gives_tables (calls_of_methods_meet_nobody _ _ _ _ call found I who)).
Qed.
Definition wait_for_nobody : State -> State := change_thread 0x1000 (with_state (BlockedOnNotification 0x900000)).
Lemma nobody_may c : forallb (fun h => negb (gives h c)) (permitted root_policy) = true -> forall subject, ~ may root_policy subject c.
Proof.
  intros none subject [[]|(h & listed & _ & given)]. pose proof (proj1 (forallb_forall _ _) none h listed) as not_. cbv beta in not_. rewrite given in not_.
  discriminate not_.
Qed.
Example mapping_for_nobody_exceeds : ~ calls_contain (with_mistake map_nobodys).
Proof.
  intros claim. assert (acts root_policy (enter retype_endpoint (boot small_plan)) 0x1000 root) as who by (apply root_acts; vm_compute; reflexivity).
  assert (contained root_policy (after [])) as before by (apply root_is_contained; vm_compute; reflexivity).
  assert (current (enter retype_endpoint (boot small_plan)) = Some 0x1000) as cur by (vm_compute; reflexivity).
  assert (Syscall.of_number (N.land (register 7 (thread 0x1000 (enter retype_endpoint (boot small_plan)))) syscall_number_mask) = Some Syscall.Call) as call
    by (vm_compute; reflexivity).
  assert (occupied_slot_of_address 0x1000 (register 0 (thread 0x1000 (enter retype_endpoint (boot small_plan)))) (enter retype_endpoint (boot small_plan))
          = inl (slot_of 0x2000 18, UntypedCap 0x10000 16 false 0)) as found by (vm_compute; reflexivity).
  pose proof (tables_within _ _ (claim small_plan root_policy (boot small_plan) retype_endpoint 0x1000 root small_roots_are_sound (at_boot _ _) root_is_closed
    nowhere_is_nobodys before eq_refl cur root_gives_tables (calls_of_methods_meet_nobody _ _ _ _ call found I who))) as each.
  rewrite mistaken_state in each.
  assert (objects (map_nobodys (fst (fst (step (boot small_plan) retype_endpoint)))) !! 0x3000
          = Some (VSpaceObject (set 0 (Page 0 12 false memory_rights 0) empty))) as there by (vm_compute; reflexivity).
  destruct (each _ _ (or_introl there) 0 (Page 0 12 false memory_rights 0)) as (subject & _ & held); [vm_compute; reflexivity|].
  revert held. apply nobody_may. vm_compute. reflexivity.
Qed.
Example waiting_for_nobody_exceeds : ~ other_events_contain (with_mistake wait_for_nobody).
Proof.
  intros claim. assert (contained root_policy (after [])) as before by (apply root_is_contained; vm_compute; reflexivity).
  pose proof (waiters_within _ _ (claim small_plan root_policy (boot small_plan) time_passes small_roots_are_sound (at_boot _ _) before ltac:(discriminate)))
    as each. rewrite mistaken_state in each.
  set (next := wait_for_nobody (fst (fst (step (boot small_plan) time_passes)))) in *.
  assert (objects next !! 0x1000 = Some (ThreadObject (thread 0x1000 next)) /\ run_state (thread 0x1000 next) = BlockedOnNotification 0x900000
    /\ fault (thread 0x1000 next) = None) as (there & state & none) by (vm_compute; repeat split).
  destruct (each _ _ there (NotificationCap 0x900000 0 receives_only)) as [(part & _ & held)|(_ & faulted & _)].
  - rewrite state. left. reflexivity.
  - revert held. apply nobody_may. vm_compute. reflexivity.
  - exact (faulted none).
Qed.
