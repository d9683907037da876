(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Methods of interrupts, and of Inspect *)
From Spec Require Export Invocation.
Open Scope N_scope.

(** ** Interrupts

    Software-generated interrupts and SError are never held back: they are not active after they came. *)
Definition first_private : N := 16.
Definition is_software (irq : N) : bool := irq <? first_private.
Definition is_held_back (irq : N) : bool := negb (is_software irq) && negb (irq =? irq_serror).

Definition irq_control_get (irq trigger index depth : N) (root : Argument) (call : Invocation) (st : State) : Decision :=
  let last := last_interrupt (machine st) in
  require ((2 <=? irq) && (irq <=? last)) || (irq =? irq_serror) otherwise range_error 2 last;
  require is_some (IRQTrigger.of_number trigger) otherwise range_error 0 1;
  require negb (is_some (interrupts st !! irq)) && negb (irq =? timer_interrupt (machine st)) otherwise revoke_first;
  slot <- empty_slot_in (argument root) index depth st;
  let edge := is_software irq || (is_held_back irq && (trigger =? IRQTrigger.number IRQTrigger.Edge)) in
  always (fun st =>
    let st := if is_held_back irq then emit (ConfigureInterrupt irq edge) st else st in
    st <| interrupts := set irq {| edge_triggered := edge; masked := true; active := false |} (interrupts st) |>
      >> insert_derived slot (invoked_slot call) true (IRQHandlerCap irq)).

Definition irq_control_issue_sgisignal (irq target index depth : N) (root : Argument) (call : Invocation) (st : State) : Decision :=
  require (2 <=? irq) && (irq <=? 15) otherwise range_error 2 15;
  require target <? core_count (machine st) otherwise range_error 0 (core_count (machine st) - 1);
  slot <- empty_slot_in (argument root) index depth st;
  always (insert_derived slot (invoked_slot call) false (SGISignalCap irq target)).

Definition invoked_interrupt (call : Invocation) : N := match invoked call with IRQHandlerCap irq => irq | _ => 0 end.
Definition change_interrupt (irq : N) (f : Interrupt -> Interrupt) (st : State) : State :=
  st <| interrupts := update irq f (interrupts st) |>.
Definition deactivate (irq : N) (st : State) : State :=
  match interrupts st !! irq with
  | Some i =>
      if active i
      then emit (DeactivateInterrupt irq) st
             >> change_interrupt irq (fun i => {| edge_triggered := edge_triggered i; masked := masked i; active := false |})
      else st
  | None => st
  end.
Definition set_mask (irq : N) (m : bool) (st : State) : State :=
  match interrupts st !! irq with
  | Some i =>
      if Bool.eqb (masked i) m then st
      else emit (if m then MaskInterrupt irq else UnmaskInterrupt irq) st
             >> change_interrupt irq (fun i => {| edge_triggered := edge_triggered i; masked := m; active := active i |})
  | None => st
  end.

Definition irq_handler_ack (call : Invocation) (st : State) : Decision := always (deactivate (invoked_interrupt call)).

Definition irq_handler_set_notification (notification_ : Argument) (call : Invocation) (st : State) : Decision :=
  let irq := invoked_interrupt call in
  match argument notification_ with
  | Some (NotificationCap n badge r) =>
      require can_write r otherwise invalid_capability 1;
      in_progress (fun st =>
        and_then (replace_slot (irq_slot irq) (Some (argument_slot notification_, NotificationCap n badge r)) st) (fun st =>
          Done (set_mask irq false st)))
  | _ => invalid_capability 1
  end.

Definition irq_handler_clear (call : Invocation) (st : State) : Decision :=
  let irq := invoked_interrupt call in
  in_progress (fun st => delete (irq_slot irq) (set_mask irq true st)).

(** ** Inspect

    Identities are opaque: here the number that the specification has for the object stands for it, and comparisons are up to the kernel's renaming. *)
Definition identity (o : N) : N := o.
Definition identity_of (o : option N) : N := match o with Some o => identity o | None => 0 end.

(** What Inspect says of a capability: type, rights, badge, log2 of size, size of guard and identity. *)
Definition description_of (c : option Capability) (st : State) : list N :=
  let row (c : Capability) rights badge size guard_size o := [CapType.number (cap_type c); rights; badge; size; guard_size; o] in
  let address p := match p with Some p => place_address p | None => 0 end in
  match c with
  | None => [CapType.number CapType.Null; 0; 0; 0; 0; 0]
  | Some c =>
      match c with
      | UntypedCap base bits _ _ => row c 0 0 bits 0 (identity base)
      | EndpointCap o badge r | NotificationCap o badge r => row c (word_of_rights r) badge 0 0 (identity o)
      | ReplyCap o r => row c (word_of_rights r) 0 0 0 (identity o)
      | CNodeCap o radix guard size => row c 0 guard radix size (identity o)
      | TCBCap o => row c 0 0 0 0 (identity o)
      | SchedContextCap o bits => row c 0 0 bits 0 (identity o)
      | SchedControlCap core => row c 0 core 0 0 0
      | VSpaceCap o asid => row c 0 (or_default 0 asid) 0 0 (identity o)
      | PageTableCap o p => row c 0 (address p) 0 0 (identity o)
      | FrameCap base bits _ r p => row c (word_of_rights r) (address p) bits 0 (identity base)
      | ASIDPoolCap o => row c 0 (asid_pool_entries * pool_index (pool o st)) 0 0 (identity o)
      | IRQHandlerCap irq | SGISignalCap irq _ => row c 0 irq 0 0 0
      | ZombieCap o => row c 0 0 0 0 (identity o)
      | ASIDControlCap | IRQControlCap | DomainCap | InspectCap => row c 0 0 0 0 0
      end
  end.

(** The first capabilities of [next] and of what was derived from them, each ahead of what was derived from it. *)
Fixpoint in_tree_order (count : nat) (next : list N) (st : State) : list N :=
  match count, next with
  | S rest, slot :: others => slot :: in_tree_order rest (children_of slot st ++ others) st
  | _, _ => []
  end.

(** The number of the slot with a capability's parent, if that is in the CNode, and not too far ahead of the capability in the tree. *)
Definition parent_in_cnode (cnode radix slot : N) (st : State) : N :=
  match parent_of slot st with
  | Some p =>
      let index := (p - cnode) / slot_bytes in
      if (cnode <=? p) && (index <? N.shiftl 1 radix) && member slot (in_tree_order (N.to_nat inspect_parent_steps) (children_of p st) st)
      then index + 1 else 0
  | None => 0
  end.

Definition inspect_read_cnode (slot : N) (cnode : Argument) (call : Invocation) (st : State) : Decision :=
  match argument cnode with
  | Some (CNodeCap o radix _ _) =>
      let count := N.shiftl 1 radix in
      require slot <? count otherwise range_error 0 (count - 1);
      let place := slot_of o slot in
      reports (description_of (capability_at place st) st ++ [parent_in_cnode o radix place st])
  | _ => invalid_capability 1
  end.

Definition inspect_read_tcb_slot (slot : N) (tcb : Argument) (call : Invocation) (st : State) : Decision :=
  t <- thread_argument tcb 1;
  require slot <? thread_slots otherwise range_error 0 (thread_slots - 1);
  reports (description_of (capability_at (slot_of t slot) st) st).

Definition state_number (s : RunState) : N :=
  match s with
  | Inactive => 0
  | Running => 1
  | BlockedOnReceive _ _ _ _ => 2
  | BlockedOnSend _ _ _ _ _ _ => 3
  | BlockedOnReply _ _ => 4
  | BlockedOnNotification _ => 5
  end.
Definition inspect_read_tcb (tcb : Argument) (call : Invocation) (st : State) : Decision :=
  o <- thread_argument tcb 1;
  let t := thread o st in
  reports [identity o; state_number (run_state t); priority t; controlled_priority t; thread_domain t; affinity t; flags t;
           identity_of (sched_context t); identity_of (bound_notification t); buffer_address t].

Definition inspect_read_vspace (vaddr : N) (vspace : Argument) (call : Invocation) (st : State) : Decision :=
  match argument vspace with
  | Some (VSpaceCap v asid) =>
      require owns_asid v asid st otherwise invalid_capability 1;
      require vaddr <? user_top otherwise invalid_argument 0;
      reports (match translate v vaddr st with
               | (Some (Page base bits _ r attributes), _) => [identity base; bits; word_of_rights r; attributes]
               | (_, level) => [0; entry_bits level; 0; 0]
               end)
  | _ => invalid_capability 1
  end.

Definition inspect_read_sched_context (context_ : Argument) (call : Invocation) (st : State) : Decision :=
  match argument context_ with
  | Some (SchedContextCap o _) =>
      let c := context o st in
      reports [identity o; budget_us c; period_us c; if is_round_robin c then 0 else extra_refills c; context_badge c;
               context_flags c; context_core c; identity_of (context_thread c); identity_of (context_notification c)]
  | _ => invalid_capability 1
  end.

Definition inspect_read_untyped (untyped : Argument) (call : Invocation) (st : State) : Decision :=
  match argument untyped with
  | Some (UntypedCap base bits device used) =>
      let used := if has_children (argument_slot untyped) st then used else 0 in
      reports [identity base; bits; N.shiftl 1 bits - used; bit device]
  | _ => invalid_capability 1
  end.

Definition inspect_read_reply (reply_ : Argument) (call : Invocation) (st : State) : Decision :=
  match argument reply_ with
  | Some (ReplyCap o _) => reports [identity o; identity_of (caller (reply o st))]
  | _ => invalid_capability 1
  end.

Definition inspect_read_irq_handler (irq_handler : Argument) (call : Invocation) (st : State) : Decision :=
  match argument irq_handler with
  | Some (IRQHandlerCap irq) =>
      reports (match capability_at (irq_slot irq) st with
               | Some (NotificationCap n badge _) => [irq; identity n; badge]
               | _ => [irq; 0; 0]
               end)
  | _ => invalid_capability 1
  end.
