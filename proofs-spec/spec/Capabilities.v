(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Slots, the derivation tree and addresses

    How capabilities come into slots, how new ones are derived from old ones, and how a capability address finds its slot. *)
From Spec Require Export Prelude Api Objects.
Open Scope N_scope.

(** ** The derivation tree

    All changes to the tree are made of the next five definitions. They keep three things in step: each slot's parent, the
    children that the parent lists, and the number of capabilities that refer to each object. *)
Definition put_entry (slot : N) (e : Entry) (st : State) : State := st <| slots := set slot e (slots st) |>.
Definition change_entry (slot : N) (f : Entry -> Entry) (st : State) : State := st <| slots := update slot f (slots st) |>.

Definition count_reference (c : Capability) (st : State) : State :=
  match referent c with
  | Some o => st <| references := set o (or_default 0 (references st !! o) + 1) (references st) |>
  | None => st
  end.
Definition discount_reference (c : Capability) (st : State) : State :=
  match referent c with
  | Some o =>
      let others := or_default 0 (references st !! o) - 1 in
      st <| references := if others =? 0 then remove o (references st) else set o others (references st) |>
  | None => st
  end.

(** The last capability to something: deleting it destroys what it refers to. *)
Definition is_last (c : Capability) (st : State) : bool :=
  match referent c with Some o => or_default 0 (references st !! o) =? 1 | None => false end.

Definition with_parent (p : option N) (e : Entry) : Entry := e <| parent := p |>.
Definition with_children (l : list N) (e : Entry) : Entry := e <| children := l |>.
Definition change_children (slot : option N) (f : list N -> list N) (st : State) : State :=
  match slot with Some s => change_entry s (fun e => with_children (f (children e)) e) st | None => st end.

(** [replace old new l]: the list with [new] where [old] was. *)
Definition replace (old : N) (new l : list N) : list N := flat_map (fun n => if n =? old then new else [n]) l.

(** A new capability in an empty slot: as the first child of [parent], or as the next sibling of [source]. *)
Definition insert_child (slot parent : N) (is_original : bool) (c : Capability) (st : State) : State :=
  if is_empty slot st && negb (is_empty parent st)
  then change_children (Some parent) (cons slot) st
         >> put_entry slot {| capability := c; original := is_original; parent := Some parent; children := [] |}
         >> count_reference c
  else emit Stuck st.
Definition insert_sibling (slot source : N) (is_original : bool) (c : Capability) (st : State) : State :=
  match is_empty slot st, slots st !! source with
  | true, Some e =>
      change_children (parent e) (replace source [source; slot]) st
        >> put_entry slot {| capability := c; original := is_original; parent := parent e; children := [] |}
        >> count_reference c
  | _, _ => emit Stuck st
  end.

(** A capability leaves its slot; its children become children of its parent, where it was. *)
Definition remove_capability (slot : N) (st : State) : State :=
  match slots st !! slot with
  | Some e =>
      let st := fold_left (fun st child => change_entry child (with_parent (parent e)) st) (children e) st in
      change_children (parent e) (replace slot (children e)) st
        >> (fun st => st <| slots := remove slot (slots st) |>)
        >> discount_reference (capability e)
  | None => st
  end.

(** A capability goes to an empty slot and takes its place in the tree along. *)
Definition move_capability (from to : N) (st : State) : State :=
  match slots st !! from, is_empty to st with
  | Some e, true =>
      let st := fold_left (fun st child => change_entry child (with_parent (Some to)) st) (children e) st in
      change_children (parent e) (replace from [to]) st
        >> (fun st => st <| slots := set to e (remove from (slots st)) |>)
  | _, _ => emit Stuck st
  end.

(** Two capabilities change places; [nowhere] is no slot of anything. *)
Definition nowhere : N := 0x200000000000000.
Definition exchange_capabilities (a b : N) (st : State) : State :=
  st >> move_capability a nowhere >> move_capability b a >> move_capability nowhere b.

(** Whether a capability can have been made of another: it stands for no object and no memory, or for the same, as the same type and as so
    large as before, where it says how large its object is. A handler is made of one of the same interrupt or of IRQControl, and that of none. *)
Definition told_size (c : Capability) : N := match c with CNodeCap _ radix _ _ => radix | SchedContextCap _ bits => bits | _ => 0 end.
Definition stands_alike (c made : Capability) : bool :=
  match made, c with
  | UntypedCap base bits device used, UntypedCap base' bits' device' used' =>
      (base =? base') && (bits =? bits') && Bool.eqb device device' && (used =? used')
  | FrameCap base bits _ _ _, FrameCap base' bits' _ _ _ => (base =? base') && (bits =? bits')
  | IRQHandlerCap irq, IRQHandlerCap irq' => irq =? irq'
  | IRQHandlerCap _, IRQControlCap | IRQControlCap, IRQControlCap => true
  | UntypedCap _ _ _ _, _ | FrameCap _ _ _ _ _, _ | IRQHandlerCap _, _ | IRQControlCap, _ => false
  | _, _ =>
      match object_of made with
      | Some o =>
          is_number (object_of c) o && (CapType.number (cap_type made) =? CapType.number (cap_type c)) && (told_size made =? told_size c)
      | None => true
      end
  end.

(** A capability is replaced by one in the same place. *)
Definition replace_capability (slot : N) (e : Entry) (c : Capability) (st : State) : State :=
  discount_reference (capability e) st >> put_entry slot (e <| capability := c |>) >> count_reference c.
Definition change_capability (slot : N) (c : Capability) (st : State) : State :=
  match slots st !! slot with
  | Some e => if stands_alike (capability e) c && stands_alike c (capability e) then replace_capability slot e c st else emit Stuck st
  | None => emit Stuck st
  end.

Definition children_of (slot : N) (st : State) : list N := match slots st !! slot with Some e => children e | None => [] end.
Definition parent_of (slot : N) (st : State) : option N := match slots st !! slot with Some e => parent e | None => None end.
Definition has_children (slot : N) (st : State) : bool := match children_of slot st with [] => false | _ => true end.

(** ** Derivation *)

(** The same capability with no more rights than [mask]. *)
Definition mask_rights (mask : Rights) (c : Capability) : Capability :=
  match c with
  | EndpointCap o b r => EndpointCap o b (common_rights mask r)
  | NotificationCap o b r => NotificationCap o b (common_rights mask r)
  | ReplyCap o r => ReplyCap o (common_rights mask r)
  | FrameCap b s d r p => FrameCap b s d (common_rights mask r) p
  | _ => c
  end.

(** A CNode capability with the guard of a CNodeCapData, if that leaves the CNode resolvable. *)
Definition with_guard (data : N) (c : Capability) : option Capability :=
  match c with
  | CNodeCap o radix _ _ =>
      let size := CNodeCapData.guard_size data in
      if size + radix <=? 64 then Some (CNodeCap o radix (bits_of (CNodeCapData.guard data) 0 size) size) else None
  | _ => Some c
  end.

(** What Mint makes of a capability and a badge. *)
Definition with_badge (data : N) (c : Capability) : option Capability :=
  match c with
  | EndpointCap o 0 r => Some (EndpointCap o data r)
  | NotificationCap o 0 r => Some (NotificationCap o data r)
  | EndpointCap _ _ _ | NotificationCap _ _ _ => None
  | _ => with_guard data c
  end.

(** What Mutate and Rotate make of them: a badge cannot be given in place. *)
Definition mutated (data : N) (c : Capability) : option Capability :=
  match c with
  | EndpointCap _ _ _ | NotificationCap _ _ _ => None
  | _ => with_guard data c
  end.

(** Whether a capability can be derived from the one in a slot, and why not. A copy of a frame is not mapped. *)
Definition derivation_error (slot : N) (c : Capability) (st : State) : option Error.t :=
  match c with
  | UntypedCap _ _ _ _ => if has_children slot st then Some Error.RevokeFirst else None
  | IRQControlCap | ZombieCap _ | VSpaceCap _ None | PageTableCap _ None => Some Error.IllegalOperation
  | _ => None
  end.
Definition derived (c : Capability) : Capability :=
  match c with FrameCap b s d r _ => FrameCap b s d r None | _ => c end.

(** An untyped gives memory away, from behind what is used on, or from its beginning when it has no children. An object comes there, where none
    is, or nothing; the first capability to it is the untyped's child. *)
Definition put_if_some (o : N) (object : option Object) (st : State) : State := match object with Some x => put_object o x st | None => st end.
Definition carve (untyped at_ size : N) (object : option Object) (slot : N) (c : Capability) (st : State) : State :=
  match slots st !! untyped, capability_at untyped st with
  | Some e, Some (UntypedCap base bits device used) =>
      let free := base + (if has_children untyped st then used else 0) in
      if (free <=? at_) && (at_ + size <=? base + N.shiftl 1 bits) && is_empty slot st && negb (is_some object && is_some (objects st !! at_))
      then replace_capability untyped e (UntypedCap base bits device (at_ + size - base)) st
             >> put_if_some at_ object
             >> insert_child slot untyped true c
      else emit Stuck st
  | _, _ => emit Stuck st
  end.

(** Puts [c], derived from the capability in [source], into an empty slot: as a child of an original, or beside a copy. A copy of an
    untyped is an original, and uses its source up, as it stands for the same memory. A handler comes only of an interrupt that is known. *)
Definition is_claimed (c : Capability) (st : State) : bool := match c with IRQHandlerCap irq => is_some (interrupts st !! irq) | _ => true end.
Definition insert_derived (slot source : N) (is_original : bool) (c : Capability) (st : State) : State :=
  match slots st !! source with
  | Some e =>
      match capability e with
      | UntypedCap base bits _ _ => carve source base (N.shiftl 1 bits) None slot (capability e) st
      | _ =>
          if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
          else if original e then insert_child slot source is_original c st else insert_sibling slot source is_original c st
      end
  | None => emit Stuck st
  end.

(** ** Addresses *)

(** Why a lookup failed, with the three details that messages and results have room for. *)
Record LookupReport := { failure : LookupFailure.t; detail0 : N; detail1 : N; detail2 : N }.
Definition lookup_report (why : LookupFailure.t) (d0 d1 d2 : N) : LookupReport :=
  {| failure := why; detail0 := d0; detail1 := d1; detail2 := d2 |}.

(** The walk ends at a slot with some bits left, or it fails. *)
Inductive Walk := Reached (slot bits_left : N) | Failed (report : LookupReport).

(** Each CNode compares as many of the highest bits that are left as its guard has, and takes the next radix bits as the slot's
    number. [levels] is how many CNodes may still follow. *)
Fixpoint walk (levels : nat) (cnode radix guard guard_size address bits_left : N) (st : State) : Walk :=
  let resolved := guard_size + radix in
  if (bits_left <? guard_size) || negb (bits_of address (bits_left - guard_size) guard_size =? guard)
  then Failed (lookup_report LookupFailure.GuardMismatch bits_left guard guard_size)
  else if bits_left <? resolved then Failed (lookup_report LookupFailure.DepthMismatch bits_left resolved 0)
  else
    let remaining := bits_left - resolved in
    let slot := slot_of cnode (bits_of address remaining radix) in
    if remaining =? 0 then Reached slot 0
    else match capability_at slot st with
         | Some (CNodeCap cnode' radix' guard' size') =>
             match levels with
             | O => Failed (lookup_report LookupFailure.TooManyLevels remaining 0 0)
             | S levels' => walk levels' cnode' radix' guard' size' address remaining st
             end
         | _ => Reached slot remaining
         end.
Definition walk_from (root : option Capability) (address bits : N) (st : State) : Walk :=
  match root with
  | Some (CNodeCap cnode radix guard size) => walk (N.to_nat (cspace_levels - 1)) cnode radix guard size address bits st
  | _ => Failed (lookup_report LookupFailure.InvalidRoot bits 0 0)
  end.

(** The slot at the [depth] lowest bits of an address under a root, as methods name slots: the bits must end there. *)
Definition slot_under (root : option Capability) (address depth : N) (st : State) : N + LookupReport :=
  match walk_from root address depth st with
  | Reached slot 0 => inl slot
  | Reached slot remaining => inr (lookup_report LookupFailure.DepthMismatch remaining 0 0)
  | Failed report => inr report
  end.

(** The slot that a thread names with a 64-bit address. Bits that are left where the walk ends do not count. *)
Definition walk_from_thread (thread address : N) (st : State) : Walk :=
  walk_from (capability_at (slot_of thread cspace_slot) st) address 64 st.
Definition slot_of_address (thread address : N) (st : State) : N + LookupReport :=
  match walk_from_thread thread address st with
  | Reached slot _ => inl slot
  | Failed report => inr report
  end.

(** The same for a slot that must be occupied. *)
Definition occupied_slot_of_address (thread address : N) (st : State) : (N * Capability) + LookupReport :=
  match walk_from_thread thread address st with
  | Reached slot remaining =>
      match capability_at slot st with
      | Some c => inl (slot, c)
      | None => inr (lookup_report LookupFailure.MissingCapability remaining 0 0)
      end
  | Failed report => inr report
  end.

(** ** IPC buffers

    The kernel reaches a thread's IPC buffer through the frame capability in the thread, wherever the frame is mapped, and with no
    more rights than that: a frame that may not be read is no buffer, and into one that may not be written nothing is received. *)
Definition buffer_with (may : Rights -> bool) (o : N) (st : State) : option N :=
  match capability_at (slot_of o buffer_slot) st with
  | Some (FrameCap base bits false r _) => if may r then Some (base + bits_of (buffer_address (thread o st)) 0 bits) else None
  | _ => None
  end.
Definition send_buffer : N -> State -> option N := buffer_with can_read.
Definition receive_buffer : N -> State -> option N := buffer_with (fun r => can_read r && can_write r).
Definition read_memory (address : N) (st : State) : N := or_default 0 (memory st !! address).
Definition write_memory (address value : N) (st : State) : State :=
  emit (WriteMemory address value) (st <| memory := set address value (memory st) |>).
