(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Claims

    What is proved of [step], stated in full: nothing outside of this file and the definition of [step] is needed to read it. Each
    claim is a proposition with a name; the proofs are elsewhere, and say which claim they prove. *)
From Spec Require Export WellFormed.
Open Scope N_scope.

(** ** States that can be reached

    From a boot state, by any events whatever. *)
Inductive reachable (p : BootPlan) : State -> Prop :=
| at_boot : reachable p (boot p)
| after_event (st : State) (e : Event) : reachable p st -> reachable p (fst (fst (step st e))).

(** ** T0: the step is a function

    For each state and event there is one next state, one result and one list of effects. That it is total and has only one value is
    what Coq checks of every function; the claim says no more. *)
Definition step_is_a_function : Prop := forall st e, exists! next, step st e = next.

(** ** T0: an error changes nothing

    A thread with other registers, and a state in which one thread has other registers and the clock has moved on. *)
Definition same_thread_but_registers (a b : Thread) : Prop := b = a <| registers := registers b |>.
Definition same_but_registers_of (t : N) (a b : State) : Prop :=
  (forall o, o <> t -> objects b !! o = objects a !! o)
  /\ (exists x y, objects a !! t = Some (ThreadObject x) /\ objects b !! t = Some (ThreadObject y) /\ same_thread_but_registers x y)
  /\ b = a <| objects := objects b |> <| now := now b |> <| memory := memory b |> <| allowance := allowance b |>
            <| books_time := books_time b |> <| goes_ahead := goes_ahead b |> <| goes_behind := goes_behind b |>
            <| effects := effects b |>.

(** The state that a kernel is in while thread [t] runs, between two steps: [t] is the first that is ready, on the context that is in
    use, and no YieldTo of its is pending. *)
Definition is_at_rest (st : State) : Prop := leave st = st.
Record settled (t : N) (st : State) : Prop := {
  is_current : current st = Some t;
  is_thread : thread_exists t st = true;
  is_first : first_ready st = Some t;
  is_in_use : context_of t st = current_context st;
  no_yield : yielded_to (thread t st) = None;
  at_rest : is_at_rest st
}.

(** When a system call returns an error, the kernel has done nothing to the machine, and its state is the former one but for the clock and
    the registers of the caller, in which the error is told; unless it books the time that was used, which it may do in any step. There
    are no exceptions: a system call of two phases that fails in the second one raises a fault and returns no error, and a preempted one
    is executed again as an event of its own. *)
Definition errors_change_nothing : Prop :=
  forall st e t error next done,
    settled t st -> books e = false -> step st e = (next, Fails error, done) ->
    done = [] /\ same_but_registers_of t st next /\ now next = N.max (now st) (time e).

(** A well-formed state with a current thread is settled. *)
Definition well_formed_is_settled : Prop :=
  forall st t, well_formed st -> is_at_rest st -> current st = Some t -> settled t st.

(** ** The derivation tree and the counts of references

    The state keeps, for speed, the children of each slot and the number of capabilities that refer to each object. They are what they
    stand for: the children that a slot lists are exactly the slots that name it as their parent, once each; parents exist; no slot is
    its own ancestor; and counts count. *)
Definition is_child (st : State) (c p : N) : Prop := exists e, slots st !! c = Some e /\ parent e = Some p.
Record tree_is_right (st : State) : Prop := {
  children_listed : forall s e c, slots st !! s = Some e -> (In c (children e) <-> is_child st c s);
  children_once : forall s e, slots st !! s = Some e -> NoDup (children e);
  parents_exist : forall c p, is_child st c p -> exists e, slots st !! p = Some e;
  no_cycles : exists rank : N -> nat, forall c p, is_child st c p -> (rank p < rank c)%nat
}.
Definition weight (o : N) (e : Entry) : N := bit (is_number (referent (capability e)) o).
Definition count_of (o : N) (table : Table Entry) : N := sum_over (weight o) table.
Definition counts_are_right (st : State) : Prop :=
  forall o, or_default 0 (references st !! o) = count_of o (slots st).

Definition indices_are_right (st : State) : Prop := tree_is_right st /\ counts_are_right st.
Definition indices_hold : Prop := forall p st, reachable p st -> indices_are_right st.
