(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Extraction to OCaml

    What is trusted besides Coq's extraction: that the functions below do on zarith's integers ([Number] is its module [Z]) what their Coq counterparts do on
    natural numbers. Nothing else is replaced. *)
From Coq Require Extraction.
From Coq Require Import ZArith Int.
From Spec Require Import WellFormed Bounds.
Extraction Language OCaml.
Extraction Blacklist List String Number.

(** Data that OCaml has itself. [nat] counts only list positions and bounds of recursion. *)
Extract Inductive bool => "bool" ["true" "false"].
Extract Inductive option => "option" ["Some" "None"].
Extract Inductive list => "list" ["[]" "(::)"].
Extract Inductive prod => "( * )" ["(,)"].
Extract Inductive unit => "unit" ["()"].
Extract Inductive sumbool => "bool" ["true" "false"].
Extract Inductive nat => "int" ["0" "Stdlib.succ"] "(fun zero next n -> if n = 0 then zero () else next (n - 1))".
Extract Inductive positive => "Number.t" ["(fun p -> Number.succ (Number.shift_left p 1))" "(fun p -> Number.shift_left p 1)" "Number.one"]
  "(fun odd even one p -> if Number.equal p Number.one then one () else
     let half = Number.shift_right p 1 in if Number.testbit p 0 then odd half else even half)".
Extract Inductive N => "Number.t" ["Number.zero" ""] "(fun zero positive n -> if Number.equal n Number.zero then zero () else positive n)".
Extract Inductive Z => "Number.t" ["Number.zero" "" "Number.neg"]
  "(fun zero positive negative n ->
     let s = Number.sign n in if s = 0 then zero () else if s > 0 then positive n else negative (Number.neg n))".

(** The heights of tables' trees. *)
Extract Constant BinInt.Z.add => "Number.add".
Extract Constant BinInt.Z.max => "Number.max".
Extract Constant BinInt.Z.ltb => "Number.lt".
Extract Constant BinInt.Z.leb => "Number.leq".
Extract Constant BinInt.Z.eqb => "Number.equal".
Extract Constant BinInt.Z.compare => "(fun a b -> let c = Number.compare a b in if c = 0 then Eq else if c < 0 then Lt else Gt)".
Extract Constant Int.Z_as_Int.gt_le_dec => "(fun a b -> Number.gt a b)".
Extract Constant Int.Z_as_Int.ge_lt_dec => "(fun a b -> Number.geq a b)".

(** Arithmetic. Subtraction stops at zero; division by zero is zero. *)
Extract Constant N.add => "Number.add".
Extract Constant N.sub => "(fun a b -> if Number.leq a b then Number.zero else Number.sub a b)".
Extract Constant N.mul => "Number.mul".
Extract Constant N.div => "(fun a b -> if Number.equal b Number.zero then Number.zero else Number.div a b)".
Extract Constant N.modulo => "(fun a b -> if Number.equal b Number.zero then a else Number.rem a b)".
Extract Constant N.eqb => "Number.equal".
Extract Constant N.leb => "Number.leq".
Extract Constant N.ltb => "Number.lt".
Extract Constant N.compare => "(fun a b -> let c = Number.compare a b in if c = 0 then Eq else if c < 0 then Lt else Gt)".
Extract Constant N.min => "Number.min".
Extract Constant N.max => "Number.max".
Extract Constant N.land => "Number.logand".
Extract Constant N.lor => "Number.logor".
Extract Constant N.ldiff => "(fun a b -> Number.logand a (Number.lognot b))".
Extract Constant N.shiftl => "(fun a n -> Number.shift_left a (Number.to_int n))".
Extract Constant N.shiftr => "(fun a n -> Number.shift_right a (Number.to_int n))".
Extract Constant N.ones => "(fun n -> Number.pred (Number.shift_left Number.one (Number.to_int n)))".
Extract Constant N.testbit => "(fun a n -> Number.testbit a (Number.to_int n))".
Extract Constant N.to_nat => "Number.to_int".
Extract Constant N.of_nat => "Number.of_int".
Extraction Inline set_field.

Extraction "oracle_core.ml" step boot broken_invariants put_entry count_reference nothing_yet nothing_chosen update rights_of_word word_of_rights
  FaultLabel.of_number BreakpointType.of_number CapType.of_number pol_check violations openings beyond bound_by bound_check.
