(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Methods of address spaces: VSpaces, page tables, frames and ASIDs *)
From Spec Require Export Invocation.
Open Scope N_scope.

(** A VSpace argument whose ASID is still its own. *)
Definition vspace_argument (a : Argument) (st : State) (rest : N * N -> Decision) : Decision :=
  match argument a with
  | Some (VSpaceCap v (Some asid)) => if owns_asid v (Some asid) st then rest (v, asid) else invalid_capability 1
  | _ => invalid_capability 1
  end.

(** ** Page tables *)

(** The table is the next one that is missing for the address. Level 3 is the last. *)
Definition page_table_map (vaddr attributes : N) (vspace : Argument) (call : Invocation) (st : State) : Decision :=
  match invoked call with
  | PageTableCap table None =>
      va <- vspace_argument vspace st;
      let (v, asid) := va : N * N in
      require vaddr <? user_top otherwise invalid_argument 0;
      let '(above, level, entry) := walk_tables 3 v 0 vaddr st in
      require negb (is_some entry) && (level <? 3) otherwise delete_first;
      let address := N.shiftl (N.shiftr vaddr (entry_bits level)) (entry_bits level) in
      let p := {| place_asid := asid; place_address := address; place_level := level + 1 |} in
      always (fun st =>
        set_page_entry above (entry_index level vaddr) (NextTable table) st
          >> change_capability (invoked_slot call) (PageTableCap table (Some p)))
  | _ => invalid_capability 0
  end.

Definition page_table_unmap (call : Invocation) (st : State) : Decision :=
  match invoked call with
  | PageTableCap table p =>
      require is_last (invoked call) st otherwise revoke_first;
      always (fun st => unmap_table table p st >> change_capability (invoked_slot call) (PageTableCap table None))
  | _ => illegal_operation
  end.

(** ** Frames *)

(** A mapping has no more rights than its capability, is writable only where it is readable, and executable only if it is memory. *)
Definition mapping_rights (r : Rights) (mask : N) : Rights :=
  let common := common_rights r (rights_of_word mask) in
  {| can_write := can_write common && can_read common; can_read := can_read common; can_grant := false; can_grant_reply := false |}.
Definition mapping_attributes (word : N) (device : bool) : N :=
  VMAttributes.make (VMAttributes.cacheable word) 0 (N.lor (VMAttributes.execute_never word) (bit device)).

Definition same_rights (a b : Rights) : bool := word_of_rights a =? word_of_rights b.

Definition frame_map (vaddr rights attributes : N) (vspace : Argument) (call : Invocation) (st : State) : Decision :=
  match invoked call with
  | FrameCap base bits device r p =>
      va <- vspace_argument vspace st;
      let (v, asid) := va : N * N in
      require vaddr + N.shiftl 1 bits <=? user_top otherwise invalid_argument 0;
      require aligned vaddr bits otherwise alignment_error;
      require match p with Some p => place_asid p =? asid | None => true end otherwise invalid_capability 1;
      require match p with Some p => place_address p =? vaddr | None => true end otherwise invalid_argument 0;
      let level := level_of_frame bits in
      match table_of_level v level vaddr st with
      | inr missing => failed_lookup destination (lookup_report LookupFailure.MissingCapability (entry_bits missing) 0 0)
      | inl table =>
          let index := entry_index level vaddr in
          let old := table_entries table st !! index in
          let is_own := match old, p with Some (Page b _ _ _ _), Some _ => b =? base | None, _ => true | _, _ => false end in
          require is_own otherwise delete_first;
          let new_rights := mapping_rights r rights in
          let new_attributes := mapping_attributes attributes device in
          let changes :=
            match old with Some (Page _ _ _ r a) => negb (same_rights r new_rights && (a =? new_attributes)) | _ => false end in
          let place := {| place_asid := asid; place_address := vaddr; place_level := level |} in
          always (fun st =>
            let st := if changes then emit (InvalidatePage asid vaddr) st else st in
            set_page_entry table index (Page base bits device new_rights new_attributes) st
              >> change_capability (invoked_slot call) (FrameCap base bits device r (Some place)))
      end
  | _ => illegal_operation
  end.

Definition frame_unmap (call : Invocation) (st : State) : Decision :=
  match invoked call with
  | FrameCap base bits device r p =>
      always (fun st => unmap_frame base bits p st >> change_capability (invoked_slot call) (FrameCap base bits device r None))
  | _ => illegal_operation
  end.

Definition frame_get_address (call : Invocation) (st : State) : Decision :=
  match invoked call with FrameCap base _ _ _ _ => reports [base] | _ => illegal_operation end.

(** ** Caches

    Ranges are maintained in pieces that end at multiples of 16 KiB. At the preemption point behind each piece word 0 of the caller's message is the start of
    the rest; when all is done in one go it is what it was. *)
Definition cache_piece : N := 16384.
Definition piece_end (x : N) : N := (x / cache_piece + 1) * cache_piece.
Definition maintain (t : N) (piece : N -> State -> N * State) (start end_ : N) (st : State) : Outcome :=
  let one (x : N) st := let (next, st) := piece x st in (next, set_word_argument 0 next t st) in
  match in_units (fun x _ => x <? end_) one start st with
  | Done st => Returns [] (set_word_argument 0 start t st)
  | Preempted st => Stops st
  end.

Definition frame_maintain (operation : CacheOperation) (start end_ : N) (call : Invocation) (st : State) : Decision :=
  match invoked call with
  | FrameCap base bits device _ _ =>
      let size := N.shiftl 1 bits in
      require (start <? end_) && (end_ <=? size) otherwise range_error 0 size;
      require negb device otherwise illegal_operation;
      Perform (maintain (invoker call)
        (fun x st => let next := N.min end_ (piece_end x) in (next, emit (MaintainCache operation (base + x) (next - x)) st))
        start end_)
  | _ => illegal_operation
  end.
Definition frame_clean_data : N -> N -> Invocation -> State -> Decision := frame_maintain Clean.
Definition frame_invalidate_data : N -> N -> Invocation -> State -> Decision := frame_maintain Invalidate.
Definition frame_clean_invalidate_data : N -> N -> Invocation -> State -> Decision := frame_maintain CleanInvalidate.
Definition frame_unify_instruction : N -> N -> Invocation -> State -> Decision := frame_maintain Unify.

(** In an address space a piece ends with its page at the latest; where nothing is mapped it ends with the hole, and what is no memory is passed over. *)
Definition piece_of_space (operation : CacheOperation) (v end_ x : N) (st : State) : N * State :=
  let (entry, level) := translate v x st in
  let boundary := N.shiftl (N.shiftr x (entry_bits level) + 1) (entry_bits level) in
  match entry with
  | Some (Page base bits false _ _) =>
      let next := N.min end_ (N.min boundary (piece_end x)) in
      (next, emit (MaintainCache operation (base + bits_of x 0 bits) (next - x)) st)
  | _ => (N.min end_ boundary, st)
  end.
Definition vspace_maintain (operation : CacheOperation) (start end_ : N) (call : Invocation) (st : State) : Decision :=
  match invoked call with
  | VSpaceCap v (Some asid) =>
      require owns_asid v (Some asid) st otherwise invalid_capability 0;
      require start <? end_ otherwise invalid_argument 1;
      require end_ <=? user_top otherwise illegal_operation;
      Perform (maintain (invoker call) (piece_of_space operation v end_) start end_)
  | _ => invalid_capability 0
  end.
Definition vspace_clean_data : N -> N -> Invocation -> State -> Decision := vspace_maintain Clean.
Definition vspace_invalidate_data : N -> N -> Invocation -> State -> Decision := vspace_maintain Invalidate.
Definition vspace_clean_invalidate_data : N -> N -> Invocation -> State -> Decision := vspace_maintain CleanInvalidate.
Definition vspace_unify_instruction : N -> N -> Invocation -> State -> Decision := vspace_maintain Unify.

(** ** ASIDs *)
Definition page_bits : N := 12.
Definition asid_control_make_pool (index depth : N) (untyped root : Argument) (call : Invocation) (st : State) : Decision :=
  match free_pool_index st with
  | None => delete_first
  | Some number =>
      match argument untyped with
      | Some (UntypedCap base 12 false _) =>
          require negb (has_children (argument_slot untyped) st) otherwise revoke_first;
          slot <- empty_slot_in (argument root) index depth st;
          always (fun st =>
            emit (ClearMemory base (N.shiftl 1 page_bits) false) st
              >> (fun st => st <| pools := set number base (pools st) |>)
              >> carve (argument_slot untyped) base (N.shiftl 1 page_bits) (Some (ASIDPoolObject {| pool_index := number; assigned := empty |}))
                       slot (ASIDPoolCap base))
      | _ => invalid_capability 1
      end
  end.

Definition asid_pool_assign (vspace : Argument) (call : Invocation) (st : State) : Decision :=
  match invoked call, argument vspace with
  | ASIDPoolCap p, Some (VSpaceCap v None) =>
      match free_entry (pool p st) with
      | Some index =>
          let asid := asid_pool_entries * pool_index (pool p st) + index in
          always (fun st =>
            change_pool p (fun x => {| pool_index := pool_index x; assigned := set index v (assigned x) |}) st
              >> change_capability (argument_slot vspace) (VSpaceCap v (Some asid)))
      | None => delete_first
      end
  | _, _ => invalid_capability 1
  end.
