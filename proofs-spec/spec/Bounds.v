(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Who is held to a policy

    [pol_check] says whether a state is within a policy and the policy closed. That every state stays within it which comes after takes more where some can
    give others what those may not hold. [bound_check] says of subjects that they cannot: whoever they can fill slots or tables of may hold what they may,
    and who meets them, at whatever endpoint they may hold or make, too. It is no part of the kernel. *)
From Spec Require Export Policy.
Open Scope N_scope.

(** ** Who waits

    A thread waits with what the subject that it acts for may hold, or, to send that it faulted, with what the owner of one of its slots may. *)
Definition is_sending (s : RunState) : bool := match s with BlockedOnSend _ _ _ _ _ _ => true | _ => false end.
Definition may_wait_with (p : Policy) (o : N) (t : Thread) (c : Capability) : bool :=
  match owner_of p o with Some part => may_hold p (acting p part) c | None => false end
  || is_sending (run_state t) && is_some (fault t)
     && existsb (fun i => match owner_of p (slot_of o i) with Some part => may_hold p part c | None => false end) (numbers_from 0 (N.to_nat thread_slots)).
Definition waits_well (p : Policy) (st : State) : bool :=
  forallb (fun entry => match snd entry with
                        | ThreadObject t => forallb (may_wait_with p (fst entry) t) (waits_with (run_state t))
                        | _ => true
                        end) (entries (objects st)).
Definition maps_well (p : Policy) (st : State) : bool :=
  forallb (fun entry => match snd entry with
                        | VSpaceObject table | PageTableObject table => match within_table p (fst entry) table with [] => true | _ => false end
                        | _ => true
                        end) (entries (objects st)).
