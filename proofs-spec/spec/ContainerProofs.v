(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Addresses name slots

    A walk leads from CNode to CNode, and each of them is there, as a capability to it is: so the slot at which it ends is one of a CNode's. *)
From Coq Require Import Lia.
From Spec Require Export LiveProofs.
Open Scope N_scope.

Lemma bits_below word low width : bits_of word low width < N.shiftl 1 width.
Proof. unfold bits_of. rewrite N.land_ones, N.shiftl_1_l. apply N.mod_lt, N.pow_nonzero. lia. Qed.
Lemma cnode_there st place cnode radix guard size : capabilities_live st -> capability_at place st = Some (CNodeCap cnode radix guard size) ->
  objects st !! cnode = Some (CNodeObject radix).
Proof.
  intros live_ there. destruct (none_dangles st live_ place _ cnode there eq_refl) as (x & found & fits_). destruct x; try discriminate fits_.
  apply N.eqb_eq in fits_. congruence.
Qed.
Lemma walk_ends_in_cnode st : capabilities_live st -> forall levels cnode radix guard size address bits slot left_,
  objects st !! cnode = Some (CNodeObject radix) -> walk levels cnode radix guard size address bits st = Reached slot left_ -> is_slot_of_cnode slot st.
Proof.
  intros live_. induction levels as [|levels IH]; intros cnode radix guard size address bits slot left_ there; cbn [walk]; cbv zeta.
  all: destruct (_ || _); [discriminate|]; destruct (bits <? size + radix); [discriminate|].
  all: assert (is_slot_of_cnode (slot_of cnode (bits_of address (bits - (size + radix)) radix)) st) as here
    by (exists cnode, radix, (bits_of address (bits - (size + radix)) radix); repeat split; [exact there | apply bits_below]).
  all: destruct (bits - (size + radix) =? 0); [intros same; injection same as <- _; exact here|].
  all: destruct (capability_at _ st) as [[]|] eqn:found; try (intros same; injection same as <- _; exact here).
  - discriminate.
  - apply IH. exact (cnode_there st _ _ _ _ _ live_ found).
Qed.
Lemma walk_from_root st place address bits slot left_ : capabilities_live st ->
  walk_from (capability_at place st) address bits st = Reached slot left_ -> is_slot_of_cnode slot st.
Proof.
  intros live_. unfold walk_from. destruct (capability_at place st) as [[]|] eqn:root; try discriminate.
  exact (walk_ends_in_cnode st live_ _ _ _ _ _ _ _ _ _ (cnode_there st _ _ _ _ _ live_ root)).
Qed.

(** Claim [addresses_name_slots]. *)
Theorem addresses_name_slots_proved : addresses_name_slots step.
Proof.
  intros p st apart reached. pose proof (no_capability_dangles_proved p st apart reached) as live_. split.
  - intros place address depth slot. unfold slot_under. destruct (walk_from _ address depth st) as [s left_|] eqn:walked; [|discriminate].
    destruct left_; [|discriminate]. intros same. injection same as <-. exact (walk_from_root st place _ _ _ _ live_ walked).
  - intros t address slot. unfold slot_of_address, walk_from_thread. destruct (walk_from _ address 64 st) as [s left_|] eqn:walked; [|discriminate].
    intros same. injection same as <-. exact (walk_from_root st _ _ _ _ _ live_ walked).
Qed.
