(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The claims about policies say something

    The boot state is within a policy that gives the root task what it has, and what it makes stays within; each part of the check is needed; and
    steps that give capabilities away are refuted. *)
From Spec Require Import PolicyProofs Witness.
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
