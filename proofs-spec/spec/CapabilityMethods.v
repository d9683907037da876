(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Methods of untypeds and CNodes *)
From Spec Require Export Invocation.
Open Scope N_scope.

(** ** Untyped *)

(** log2 of the size of an object, where [n] is the choice of types that have one; and the range of that choice. *)
Definition object_bits (type : ObjectType.t) (n : N) : N :=
  match type with
  | ObjectType.Untyped | ObjectType.SchedContext => n
  | ObjectType.CNode => n + slot_bits
  | ObjectType.TCB => tcb_size_bits
  | ObjectType.Endpoint => endpoint_size_bits
  | ObjectType.Notification => notification_size_bits
  | ObjectType.Reply => reply_size_bits
  | ObjectType.VSpace => vspace_size_bits
  | ObjectType.PageTable => page_table_size_bits
  | ObjectType.SmallPage => 12
  | ObjectType.LargePage => 21
  | ObjectType.HugePage => 30
  end.
Definition choice_of_size (type : ObjectType.t) : option (N * N) :=
  match type with
  | ObjectType.Untyped => Some (min_untyped_bits, max_untyped_bits)
  | ObjectType.CNode => Some (1, 31)
  | ObjectType.SchedContext => Some (min_sched_context_bits, 20)
  | _ => None
  end.
Definition needs_memory (type : ObjectType.t) : bool :=
  match type with
  | ObjectType.Untyped | ObjectType.SmallPage | ObjectType.LargePage | ObjectType.HugePage => false
  | _ => true
  end.
Definition is_frame (type : ObjectType.t) : bool := negb (needs_memory type) && negb (N.eqb (ObjectType.number type) 0).

(** A new object's capability has all rights, no badge and no guard. *)
Definition new_capability (type : ObjectType.t) (at_ n : N) (device : bool) : Capability :=
  match type with
  | ObjectType.Untyped => UntypedCap at_ n device 0
  | ObjectType.TCB => TCBCap at_
  | ObjectType.Endpoint => EndpointCap at_ 0 all_rights
  | ObjectType.Notification => NotificationCap at_ 0 memory_rights
  | ObjectType.CNode => CNodeCap at_ n 0 0
  | ObjectType.SchedContext => SchedContextCap at_ n
  | ObjectType.Reply =>
      ReplyCap at_ {| can_write := false; can_read := false; can_grant := true; can_grant_reply := false |}
  | ObjectType.VSpace => VSpaceCap at_ None
  | ObjectType.PageTable => PageTableCap at_ None
  | ObjectType.SmallPage | ObjectType.LargePage | ObjectType.HugePage =>
      FrameCap at_ (object_bits type n) device memory_rights None
  end.
Definition new_object (type : ObjectType.t) (n : N) : option Object :=
  match type with
  | ObjectType.TCB => Some (ThreadObject new_thread)
  | ObjectType.Endpoint => Some (EndpointObject {| senders := []; receivers := [] |})
  | ObjectType.Notification =>
      Some (NotificationObject idle_notification)
  | ObjectType.CNode => Some (CNodeObject n)
  | ObjectType.SchedContext => Some (SchedContextObject (new_sched_context n))
  | ObjectType.Reply => Some (ReplyObject unused_reply)
  | ObjectType.VSpace => Some (VSpaceObject empty)
  | ObjectType.PageTable => Some (PageTableObject empty)
  | _ => None
  end.

(** One object at an address, its capability in a slot. Memory is cleared; untypeds are not, as they will be when they are retyped. *)
Definition make_object (type : ObjectType.t) (at_ n : N) (device : bool) (slot untyped_slot : N) (st : State) : State :=
  let st := if needs_memory type || (is_frame type && negb device)
            then emit (ClearMemory at_ (N.shiftl 1 (object_bits type n)) (is_frame type)) st else st in
  carve untyped_slot at_ (N.shiftl 1 (object_bits type n)) (new_object type n) slot (new_capability type at_ n device) st.

(** The objects that are left to make, one per unit. The preemption point is before each object, while its memory is cleared; there the
    caller's message is changed to name the rest. *)
Fixpoint make_objects (count : nat) (type : ObjectType.t) (at_ n : N) (device : bool) (slot offset untyped_slot t : N) (st : State) : Outcome :=
  match count with
  | O => Returns [] st
  | S rest =>
      if must_stop st then Stops (set_word_argument 4 offset t st >> set_word_argument 5 (N.of_nat count) t)
      else
        let next := at_ + N.shiftl 1 (object_bits type n) in
        let st := make_object type at_ n device slot untyped_slot st >> allow (allowance st - 1) in
        make_objects rest type next n device (slot + slot_bytes) (offset + 1) untyped_slot t st
  end.

Definition untyped_retype (object_type size_bits node_index node_depth node_offset num_objects : N) (root : Argument)
    (call : Invocation) (st : State) : Decision :=
  match invoked call, ObjectType.of_number object_type with
  | UntypedCap base bits device used, Some type =>
      let (smallest, largest) := or_default (size_bits, size_bits) (choice_of_size type) in
      require (smallest <=? size_bits) && (size_bits <=? largest) otherwise range_error smallest largest;
      require node_depth <=? 64 otherwise range_error 1 64;
      let with_destination rest :=
        if node_depth =? 0 then
          match argument root with
          | Some (CNodeCap cnode radix _ _) => rest (cnode, radix)
          | _ => failed_lookup destination (lookup_report LookupFailure.InvalidRoot 0 0 0)
          end
        else
          match slot_under (argument root) node_index node_depth st with
          | inl slot =>
              match capability_at slot st with
              | Some (CNodeCap cnode radix _ _) => rest (cnode, radix)
              | _ => missing_capability destination
              end
          | inr report => failed_lookup destination report
          end in
      found <- with_destination;
      let (cnode, radix) := found : N * N in
      let count := N.shiftl 1 radix in
      require node_offset <? count otherwise range_error 0 (count - 1);
      require (1 <=? num_objects) && (num_objects <=? retype_fan_out_limit) otherwise range_error 1 retype_fan_out_limit;
      require node_offset + num_objects <=? count otherwise range_error 1 (count - node_offset);
      require forallb (fun i => is_empty (slot_of cnode i) st) (numbers_from node_offset (N.to_nat num_objects))
      otherwise delete_first;
      require negb device || negb (needs_memory type) otherwise invalid_argument 0;
      require negb device || is_frame type || (12 <=? size_bits) otherwise range_error 12 max_untyped_bits;
      let used := if has_children (invoked_slot call) st then used else 0 in
      let size := N.shiftl 1 bits in
      let first := align_up (base + used) (object_bits type size_bits) in
      require first + N.shiftl num_objects (object_bits type size_bits) <=? base + size otherwise not_enough_memory (size - used);
      Perform (make_objects (N.to_nat num_objects) type first size_bits device (slot_of cnode node_offset) node_offset
                            (invoked_slot call) (invoker call))
  | _, _ => invalid_argument 0
  end.

(** ** CNode *)
Definition cnode_revoke (index depth : N) (call : Invocation) (st : State) : Decision :=
  slot <- slot_in (Some (invoked call)) index depth destination st;
  in_progress (revoke slot).

Definition cnode_delete (index depth : N) (call : Invocation) (st : State) : Decision :=
  slot <- slot_in (Some (invoked call)) index depth destination st;
  in_progress (delete slot).

Definition has_all_rights (r : Rights) : bool := can_write r && can_read r && can_grant r && can_grant_reply r.
Definition cnode_cancel_badged_sends (index depth : N) (call : Invocation) (st : State) : Decision :=
  slot <- slot_in (Some (invoked call)) index depth destination st;
  match capability_at slot st with
  | Some (EndpointCap e badge r) =>
      require has_all_rights r otherwise illegal_operation;
      if badge =? 0 then always id else in_progress (cancel_badged_sends e badge)
  | _ => illegal_operation
  end.

(** Copy and Mint differ in what they make of the source; what they make can be refused. A badge makes an original. *)
Definition gives_badge (badge : N) (c : Capability) : bool :=
  match c with EndpointCap _ _ _ | NotificationCap _ _ _ => negb (badge =? 0) | _ => false end.
Definition derive_into (dest_index dest_depth src_index src_depth rights : N) (src_root : Argument)
    (make : Capability -> option Capability) (is_original : Capability -> bool) (call : Invocation) (st : State) : Decision :=
  dest <- empty_slot_in (Some (invoked call)) dest_index dest_depth st;
  src <- slot_in (argument src_root) src_index src_depth source st;
  original <- occupant src source st;
  match make (mask_rights (rights_of_word rights) original) with
  | Some c =>
      match derivation_error src original st with
      | Some error => Refuse error []
      | None => always (insert_derived dest src (is_original c) (derived c))
      end
  | None => illegal_operation
  end.
Definition cnode_copy (dest_index dest_depth src_index src_depth rights : N) (src_root : Argument) :
    Invocation -> State -> Decision :=
  derive_into dest_index dest_depth src_index src_depth rights src_root Some (fun _ => false).
Definition cnode_mint (dest_index dest_depth src_index src_depth rights badge : N) (src_root : Argument) :
    Invocation -> State -> Decision :=
  derive_into dest_index dest_depth src_index src_depth rights src_root (with_badge badge) (gives_badge badge).

Definition move_into (dest_index dest_depth src_index src_depth : N) (src_root : Argument)
    (make : Capability -> option Capability) (call : Invocation) (st : State) : Decision :=
  dest <- empty_slot_in (Some (invoked call)) dest_index dest_depth st;
  src <- slot_in (argument src_root) src_index src_depth source st;
  original <- occupant src source st;
  require negb (is_zombie original) otherwise illegal_operation;
  match make original with
  | Some c => always (fun st => change_capability src c st >> move_capability src dest)
  | None => illegal_operation
  end.
Definition cnode_move (dest_index dest_depth src_index src_depth : N) (src_root : Argument) : Invocation -> State -> Decision :=
  move_into dest_index dest_depth src_index src_depth src_root Some.
Definition cnode_mutate (dest_index dest_depth src_index src_depth badge : N) (src_root : Argument) :
    Invocation -> State -> Decision :=
  move_into dest_index dest_depth src_index src_depth src_root (mutated badge).

Definition cnode_rotate (dest_index dest_depth dest_badge pivot_index pivot_depth pivot_badge src_index src_depth : N)
    (pivot_root src_root : Argument) (call : Invocation) (st : State) : Decision :=
  dest <- slot_in (Some (invoked call)) dest_index dest_depth destination st;
  src <- slot_in (argument src_root) src_index src_depth source st;
  pivot <- slot_in (argument pivot_root) pivot_index pivot_depth source st;
  require negb (pivot =? src) && negb (pivot =? dest) otherwise illegal_operation;
  require (dest =? src) || is_empty dest st otherwise delete_first;
  from_source <- occupant src source st;
  from_pivot <- occupant pivot source st;
  require negb (is_zombie from_source) && negb (is_zombie from_pivot) otherwise illegal_operation;
  match mutated dest_badge from_pivot, mutated pivot_badge from_source with
  | Some to_dest, Some to_pivot =>
      always (fun st =>
        let st := change_capability pivot to_dest st >> change_capability src to_pivot in
        if dest =? src then exchange_capabilities src pivot st
        else move_capability pivot dest st >> move_capability src pivot)
  | _, _ => illegal_operation
  end.
