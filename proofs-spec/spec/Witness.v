(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The claims say something

    A small machine whose boot state is well formed, and events after it that meet the premises of the claims: computed, not argued. And
    the indices can be wrong: a removal that forgets the children breaks the tree. *)
From Spec Require Import RefillProofs ErrorProofs.
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
Definition call_event (label target : N) (words : list N) : Event := {|
  cause := SystemCall; time := 9; saved := words_of_call label target words 1;
  readable := [(0x6000 + ipc_buffer_caps_or_badges, InitSlot.number InitSlot.CNode)]; preempt_after := None;
  chosen := nothing_chosen |}.
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

Lemma reached_after (events : list Event) : reachable small_plan (after events).
Proof.
  unfold after. assert (forall st, reachable small_plan st ->
    reachable small_plan (fold_left (fun st e => fst (fst (step st e))) events st)) as onwards.
  { induction events as [|e rest IH]; intros st reached; [exact reached|]. apply IH, after_event, reached. }
  apply onwards, at_boot.
Qed.

(** A removal that only empties the slot leaves a child whose parent is gone. *)
Definition careless_removal (slot : N) (st : State) : State := st <| slots := remove slot (slots st) |>.
Example careless_removal_breaks_the_tree :
  ~ tree_is_right (careless_removal (slot_of 0x2000 40) (after [retype_endpoint; mint_badge])).
Proof.
  intros right. destruct (parents_exist _ right (slot_of 0x2000 41) (slot_of 0x2000 40)) as (e & found).
  - eexists. split; vm_compute; reflexivity.
  - vm_compute in found. discriminate.
Qed.

(** Time that is used comes back a period later; a charge that forgot it would break [refills_are_right]. *)
Definition limited_context : SchedContext := configure_context 0 100 1000 2 0 0 (boot small_plan) (new_sched_context 8).
Example time_comes_back :
  refills (charge 30 10 limited_context) = [{| usable_at := 30; amount := 70 |}; {| usable_at := 1000; amount := 30 |}].
Proof. vm_compute. reflexivity. Qed.
Example careless_charge_loses_time : ~ refills_are_right (limited_context <| refills := [{| usable_at := 30; amount := 70 |}] |>).
Proof. vm_compute. discriminate. Qed.
