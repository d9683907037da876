(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Address spaces

    A VSpace is the table of level 0; its entries, and those of page tables, hold tables of the next level or pages. An entry of
    level n covers 2^(39 - 9 n) bytes. ASIDs name VSpaces: an ASID is the index of its pool and of its entry there. *)
From Spec Require Export Messages.
Open Scope N_scope.

Definition entry_bits (level : N) : N := 39 - 9 * level.
Definition entry_index (level address : N) : N := bits_of address (entry_bits level) 9.

(** The level whose entries are as large as a frame. *)
Definition level_of_frame (size_bits : N) : N := (39 - size_bits) / 9.

(** The VSpace that an ASID names now. *)
Definition vspace_of_asid (asid : N) (st : State) : option N :=
  match pools st !! (asid / asid_pool_entries) with
  | Some p => assigned (pool p st) !! (asid mod asid_pool_entries)
  | None => None
  end.
Definition owns_asid (vspace : N) (asid : option N) (st : State) : bool :=
  match asid with Some a => is_number (vspace_of_asid a st) vspace | None => false end.

(** The walk down the tables for an address, through so many entries at most: the table where it ends, its level, and the entry there. *)
Fixpoint walk_tables (steps : nat) (table level address : N) (st : State) : N * N * option PageEntry :=
  match table_entries table st !! entry_index level address, steps with
  | Some (NextTable next), S rest => walk_tables rest next (level + 1) address st
  | entry, _ => (table, level, entry)
  end.

(** The table that has the entry of a level for an address; or the level at which there is no table to go on with. *)
Definition table_of_level (vspace level address : N) (st : State) : N + N :=
  let '(table, reached, _) := walk_tables (N.to_nat level) vspace 0 address st in if reached =? level then inl table else inr reached.

(** What an address is mapped to, and at which level the walk ended. *)
Definition translate (vspace address : N) (st : State) : option PageEntry * N :=
  let '(_, level, entry) := walk_tables 3 vspace 0 address st in (entry, level).

Definition set_page_entry (table index : N) (e : PageEntry) (st : State) : State := change_table table (set index e) st.
Definition clear_page_entry (table index : N) (st : State) : State := change_table table (remove index) st.

(** Undoes a mapping: the entry of a level goes, and what the TLBs have of it, if it still is the one. *)
Definition unmap (p : Place) (level : N) (is_the_one : PageEntry -> bool) (invalidation : Effect) (st : State) : State :=
  match vspace_of_asid (place_asid p) st with
  | Some vspace =>
      match table_of_level vspace level (place_address p) st with
      | inl table =>
          let index := entry_index level (place_address p) in
          match table_entries table st !! index with
          | Some e => if is_the_one e then clear_page_entry table index st >> emit invalidation else st
          | None => st
          end
      | inr _ => st
      end
  | None => st
  end.

(** That of a frame capability; and that of a page table, with all entries in it. *)
Definition unmap_frame (base size_bits : N) (place : option Place) (st : State) : State :=
  match place with
  | Some p =>
      let is_the_one e := match e with Page base' _ _ _ _ => base' =? base | NextTable _ => false end in
      unmap p (level_of_frame size_bits) is_the_one (InvalidatePage (place_asid p) (place_address p)) st
  | None => st
  end.
Definition unmap_table (table : N) (place : option Place) (st : State) : State :=
  match place with
  | Some p =>
      let is_the_one e := match e with NextTable t => t =? table | Page _ _ _ _ _ => false end in
      unmap p (place_level p - 1) is_the_one (InvalidateSpace (place_asid p)) st >> change_table table (fun _ => empty)
  | None => st
  end.

(** A VSpace gives its ASID back. A pool takes the ASIDs of all its VSpaces away, one after the other, and then its place. *)
Definition release_asid (vspace : N) (asid : option N) (st : State) : State :=
  match asid with
  | Some a =>
      match pools st !! (a / asid_pool_entries), owns_asid vspace asid st with
      | Some p, true =>
          change_pool p (fun x => {| pool_index := pool_index x; assigned := remove (a mod asid_pool_entries) (assigned x) |}) st
            >> emit (InvalidateSpace a)
      | _, _ => st
      end
  | None => st
  end.
Definition release_pool (p : N) (st : State) : State := st <| pools := remove (pool_index (pool p st)) (pools st) |>.
Definition first_assigned (p : N) (st : State) : option (N * N) := hd_error (entries (assigned (pool p st))).

(** A pool has room for ASIDs that are free; ASID 0 is the kernel's. *)
Definition free_entry (p : ASIDPool) : option N :=
  List.find (fun i => negb (is_some (assigned p !! i)) && negb (asid_pool_entries * pool_index p + i =? 0))
            (numbers_from 0 (N.to_nat asid_pool_entries)).
Definition free_pool_index (st : State) : option N :=
  List.find (fun i => negb (is_some (pools st !! i))) (numbers_from 0 (N.to_nat asid_pools)).
