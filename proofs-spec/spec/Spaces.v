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

(** The table that has the entry of a level for an address; or the level at which there is no table to go on with. *)
Fixpoint table_for (steps : nat) (table level address : N) (st : State) : N + N :=
  match steps with
  | O => inl table
  | S rest =>
      match table_entries table st !! entry_index level address with
      | Some (NextTable next) => table_for rest next (level + 1) address st
      | _ => inr level
      end
  end.
Definition table_of_level (vspace level address : N) (st : State) : N + N := table_for (N.to_nat level) vspace 0 address st.

(** What an address is mapped to, and at which level the walk ended. *)
Fixpoint translate_from (steps : nat) (table level address : N) (st : State) : option PageEntry * N :=
  match table_entries table st !! entry_index level address, steps with
  | Some (NextTable next), S rest => translate_from rest next (level + 1) address st
  | entry, _ => (entry, level)
  end.
Definition translate (vspace address : N) (st : State) : option PageEntry * N := translate_from 3 vspace 0 address st.

Definition set_page_entry (table index : N) (e : PageEntry) (st : State) : State := change_table table (set index e) st.
Definition clear_page_entry (table index : N) (st : State) : State := change_table table (remove index) st.

(** Undoes the mapping of a frame capability, as far as the entry still is this frame's. *)
Definition unmap_frame (base size_bits : N) (place : option Place) (st : State) : State :=
  match place with
  | Some p =>
      match vspace_of_asid (place_asid p) st with
      | Some vspace =>
          let level := level_of_frame size_bits in
          match table_of_level vspace level (place_address p) st with
          | inl table =>
              let index := entry_index level (place_address p) in
              match table_entries table st !! index with
              | Some (Page base' _ _ _ _) =>
                  if base' =? base
                  then clear_page_entry table index st >> emit (InvalidatePage (place_asid p) (place_address p))
                  else st
              | _ => st
              end
          | inr _ => st
          end
      | None => st
      end
  | None => st
  end.

(** Undoes the mapping of a page table: the entry that points to it, if it still does, and all entries in it. *)
Definition unmap_table (table : N) (place : option Place) (st : State) : State :=
  match place with
  | Some p =>
      let st :=
        match vspace_of_asid (place_asid p) st with
        | Some vspace =>
            let level := place_level p - 1 in
            match table_of_level vspace level (place_address p) st with
            | inl above =>
                let index := entry_index level (place_address p) in
                match table_entries above st !! index with
                | Some (NextTable t) =>
                    if t =? table then clear_page_entry above index st >> emit (InvalidateSpace (place_asid p)) else st
                | _ => st
                end
            | inr _ => st
            end
        | None => st
        end in
      change_table table (fun _ => empty) st
  | None => st
  end.

(** A VSpace gives its ASID back. A pool takes the ASIDs of all its VSpaces away, one after the other, and then its place. *)
Definition release_asid (vspace : N) (asid : option N) (st : State) : State :=
  match asid with
  | Some a =>
      match pools st !! (a / asid_pool_entries) with
      | Some p =>
          if owns_asid vspace asid st
          then change_pool p (fun x => {| pool_index := pool_index x;
                                          assigned := remove (a mod asid_pool_entries) (assigned x) |}) st
                 >> emit (InvalidateSpace a)
          else st
      | None => st
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
