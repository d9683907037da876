(* SPDX-License-Identifier: BSD-2-Clause *)
(** * The state at boot

    The kernel starts with one thread, the root task, which holds all authority: its own objects in the slots that [InitSlot] names, a
    SchedControl capability per core, and untypeds for all other memory. Its program's pages, which depend on the program, are
    left out here: a replay of a real system starts from the state that was read there. *)
From Spec Require Export Step.
Open Scope N_scope.

(** Where the root task's objects lie, and what untypeds there are: base, log2 of the size, and whether it is device memory. *)
Record BootPlan := {
  boot_machine : Machine;
  root_thread : N; root_cnode : N; root_radix : N; root_vspace : N; root_pool : N; root_context : N;
  root_buffer : N; root_boot_info : N;
  root_budget_us : N;
  boot_untypeds : list (N * N * bool)
}.

(** The root task's VSpace has the first ASID that user level can have. *)
Definition root_asid : N := 1.
Definition root_buffer_address : N := 0x10000000.
Definition root_slot (p : BootPlan) (index : InitSlot.t) : N := slot_of (root_cnode p) (InitSlot.number index).

Definition root_capabilities (p : BootPlan) : list (N * Capability) :=
  [ (root_slot p InitSlot.TCB, TCBCap (root_thread p));
    (root_slot p InitSlot.CNode, CNodeCap (root_cnode p) (root_radix p) 0 (64 - root_radix p));
    (root_slot p InitSlot.VSpace, VSpaceCap (root_vspace p) (Some root_asid));
    (root_slot p InitSlot.IRQControl, IRQControlCap);
    (root_slot p InitSlot.ASIDControl, ASIDControlCap);
    (root_slot p InitSlot.ASIDPool, ASIDPoolCap (root_pool p));
    (root_slot p InitSlot.BootInfoFrame, FrameCap (root_boot_info p) 12 false memory_rights None);
    (root_slot p InitSlot.IPCBuffer, FrameCap (root_buffer p) 12 false memory_rights None);
    (root_slot p InitSlot.Domain, DomainCap);
    (root_slot p InitSlot.SchedContext, SchedContextCap (root_context p) min_sched_context_bits);
    (root_slot p InitSlot.Inspect, InspectCap) ].

(** SchedControl capabilities and untypeds follow in the dynamic slots. *)
Definition dynamic_capabilities (p : BootPlan) : list (N * Capability) :=
  let controls := map (fun core => SchedControlCap core) (numbers_from 0 (N.to_nat (core_count (boot_machine p)))) in
  let untypeds := map (fun u => let '(base, bits, device) := u in UntypedCap base bits device 0) (boot_untypeds p) in
  let all := controls ++ untypeds in
  combine (map (slot_of (root_cnode p)) (numbers_from (InitSlot.number InitSlot.FirstDynamic) (length all))) all.

Definition nothing_yet (m : Machine) : State := {|
  machine := m; objects := empty; slots := empty; references := empty; interrupts := empty; pools := empty;
  schedule := table_of [(0, {| turn_domain := 0; turn_length := endless |})]; schedule_start := 0; schedule_index := 0;
  current_domain := 0; turn_end := None; ready := []; sleeping := []; current := None; current_context := None; charged_until := 0; now := 0;
  memory := empty; allowance := 0; choices := nothing_chosen; effects := [] |}.

(** A capability that is derived from none. *)
Definition insert_root (slot : N) (c : Capability) (st : State) : State :=
  if is_empty slot st
  then put_entry slot {| capability := c; original := true; parent := None; children := [] |} st >> count_reference c
  else emit Stuck st.

Definition root_thread_at_boot (p : BootPlan) : Thread :=
  new_thread <| priority := priorities - 1 |> <| controlled_priority := priorities - 1 |>
             <| buffer_address := root_buffer_address |> <| run_state := Running |>.

(** The root task's context has its budget at once and no limit. *)
Definition root_context_at_boot (p : BootPlan) (st : State) (c : SchedContext) : SchedContext :=
  configure_context 0 (root_budget_us p) (root_budget_us p) 0 0 0 st c.

Definition put_root_objects (p : BootPlan) (st : State) : State :=
  put_object (root_thread p) (ThreadObject (root_thread_at_boot p)) st
    >> put_object (root_cnode p) (CNodeObject (root_radix p))
    >> put_object (root_vspace p) (VSpaceObject empty)
    >> put_object (root_pool p) (ASIDPoolObject {| pool_index := 0; assigned := table_of [(root_asid, root_vspace p)] |})
    >> put_object (root_context p) (SchedContextObject (new_sched_context min_sched_context_bits))
    >> (fun st => st <| pools := table_of [(0, root_pool p)] |>).
Definition insert_roots (p : BootPlan) (st : State) : State :=
  fold_left (fun st entry => insert_root (fst entry) (snd entry) st) (root_capabilities p ++ dynamic_capabilities p) st.

(** A copy of one of the root task's capabilities goes to a slot of its thread. *)
Definition copy_to_thread (p : BootPlan) (index : InitSlot.t) (place : N) (st : State) : State :=
  match capability_at (root_slot p index) st with
  | Some c => insert_derived (slot_of (root_thread p) place) (root_slot p index) false (derived c) st
  | None => emit Stuck st
  end.

Definition boot (p : BootPlan) : State :=
  let st := nothing_yet (boot_machine p) >> put_root_objects p >> insert_roots p in
  let st := st >> copy_to_thread p InitSlot.CNode cspace_slot >> copy_to_thread p InitSlot.VSpace vspace_slot
              >> copy_to_thread p InitSlot.IPCBuffer buffer_slot in
  let st := change_context (root_context p) (root_context_at_boot p st) st in
  leave (choose_thread (bind_context (root_context p) (root_thread p) st)).
