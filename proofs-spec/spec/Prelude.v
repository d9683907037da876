(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Numbers, lists and tables

    The few general notions that the specification is written with: words and their bits, finite tables from numbers to
    anything, and a notation for "this record, with that field changed". Nothing here knows of a kernel. *)
From Coq Require Export NArith List Bool.
From Coq Require Import FMapAVL OrderedTypeEx.
Export ListNotations.
Open Scope N_scope.

(** ** Words

    Every number of the specification is a natural number without a bound. Where the kernel has 64 bits, [wrap] cuts. *)
Definition word_mask : N := 0xffffffffffffffff.
Definition wrap (n : N) : N := N.land n word_mask.

(** [width] bits of a word, from bit [low] on. *)
Definition bits_of (word low width : N) : N := N.land (N.shiftr word low) (N.ones width).

(** The smallest multiple of 2^[bits] that is at least [n]; whether [n] is such a multiple. *)
Definition align_up (n bits : N) : N := N.shiftl (N.shiftr (n + N.ones bits) bits) bits.
Definition aligned (n bits : N) : bool := N.land n (N.ones bits) =? 0.

(** Flags as numbers. *)
Definition bit (b : bool) : N := if b then 1 else 0.

(** ** Options and lists *)
Definition is_some {A} (o : option A) : bool := match o with Some _ => true | None => false end.
Definition or_default {A} (default : A) (o : option A) : A := match o with Some a => a | None => default end.

Definition is_number (o : option N) (n : N) : bool := match o with Some m => m =? n | None => false end.

Definition without (n : N) (l : list N) : list N := filter (fun m => negb (m =? n)) l.
Definition member (n : N) (l : list N) : bool := existsb (N.eqb n) l.

(** The numbers from [first] on, [count] of them. *)
Fixpoint numbers_from (first : N) (count : nat) : list N :=
  match count with O => [] | S rest => first :: numbers_from (first + 1) rest end.

(** ** Tables

    A table is a finite map from numbers. Its implementation is a balanced tree of the standard library; [entries] lists it
    by ascending keys. What one needs to know of it is proved in [TableFacts]. *)
Module Map := FMapAVL.Make N_as_OT.
Definition Table (A : Type) : Type := Map.t A.
Definition empty {A} : Table A := Map.empty A.
Definition find {A} (key : N) (table : Table A) : option A := Map.find key table.
Definition set {A} (key : N) (value : A) (table : Table A) : Table A := Map.add key value table.
Definition remove {A} (key : N) (table : Table A) : Table A := Map.remove key table.
Definition entries {A} (table : Table A) : list (N * A) := Map.elements table.
Notation "table !! key" := (find key table) (at level 15, left associativity).

Definition table_of {A} (l : list (N * A)) : Table A := fold_left (fun table entry => set (fst entry) (snd entry) table) l empty.

(** The entry of a key, changed if it is there. *)
Definition update {A} (key : N) (f : A -> A) (table : Table A) : Table A :=
  match table !! key with Some value => set key (f value) table | None => table end.

(** The entry with the largest key below a bound: the last one in [entries] whose key is smaller. It is found by going down the tree. *)
Fixpoint last_below_in {A} (bound : N) (tree : Map.Raw.tree A) : option (N * A) :=
  match tree with
  | Map.Raw.Leaf _ => None
  | Map.Raw.Node smaller key value larger _ =>
      if key <? bound
      then match last_below_in bound larger with Some found => Some found | None => Some (key, value) end
      else last_below_in bound smaller
  end.
Definition last_below {A} (bound : N) (table : Table A) : option (N * A) := last_below_in bound (Map.this table).

(** What all entries of a table weigh together. *)
Definition sum_over {A} (weight : A -> N) (table : Table A) : N := Map.fold (fun _ value sum => weight value + sum) table 0.

(** ** Records with a field changed

    [r <| field := v |>] is the record [r] with another value in one field. For each record type an instance of [Fields] says
    how its values are made of their fields; everything else is found from that. *)
Class Fields (R : Type) : Type := fields : R -> R.
Class Setter {R T : Type} (field : R -> T) : Type := setter : T -> R -> R.
Ltac make_setter field :=
  lazymatch type of field with
  | ?R -> ?T =>
      let instance := constr:(_ : Fields R) in
      let build := eval hnf in instance in
      exact (fun (value : T) (record : R) =>
        ltac:(let whole := eval cbv beta in (build record) in
              lazymatch eval pattern (field record) in whole with
              | ?context _ => let result := eval cbv beta in (context value) in exact result
              end))
  end.
#[export] Hint Extern 0 (Setter ?field) => make_setter field : typeclass_instances.
Definition set_field {R T : Type} (field : R -> T) {found : Setter field} (value : T) (record : R) : R := found value record.
Notation "r '<|' field ':=' v '|>'" := (set_field field v r) (at level 16, left associativity, only parsing).

(** Functions on states are read from left to right. *)
Notation "x '>>' f" := (f x) (at level 50, left associativity, only parsing).
