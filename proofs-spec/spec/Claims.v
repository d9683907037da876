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
            <| choices := choices b |> <| effects := effects b |>.

(** Between two steps a state is settled: the thread that runs is the first that is ready in the domain that has its turn, or there is none;
    the context in use is that thread's; no YieldTo of its is pending; and nothing of a step remains. *)
Definition is_at_rest (st : State) : Prop := leave st = st.
Record settled (st : State) : Prop := {
  is_first : current st = first_ready st;
  is_in_use : current_context st = context_of_first st;
  no_yield : forall t, current st = Some t -> yielded_to (thread t st) = None;
  at_rest : is_at_rest st
}.
Definition states_are_settled : Prop := forall p st, reachable p st -> settled st.

(** An event of which the kernel does not choose to book time, or to end the turn of a domain late. *)
Definition leaves_time_alone (e : Event) : Prop := books (chosen e) = false /\ ends_turn (chosen e) = false.

(** When a system call returns an error in a state that can be reached, the kernel has done nothing to the machine, and its state is the
    former one but for the clock and the registers of the caller, in which the error is told. *)
Definition errors_change_nothing : Prop :=
  forall p st e error next done,
    reachable p st -> leaves_time_alone e -> step st e = (next, Fails error, done) ->
    done = [] /\ now next = N.max (now st) (time e) /\ exists t, current st = Some t /\ same_but_registers_of t st next.

(** The one exception is time, which the kernel may look at in any step: then the error leaves the state like that, and what follows is
    what comes at the end of every step, the charge and the choice of the next thread. This holds of every state. *)
Definition errors_only_book : Prop :=
  forall st e error next done,
    step st e = (next, Fails error, done) ->
    exists t told, current st = Some t /\ same_but_registers_of t st told /\ now told = N.max (now st) (time e) /\ effects told = []
      /\ (next, Fails error, done) = finish (Fails error, told).

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

(** ** T6a: refills sum to the budget

    Of a context that has a limit the refills and what is unreturned sum to its budget. One without a limit has one refill, of no more than
    its budget. *)
Definition total (l : list Refill) : N := fold_right (fun r sum => amount r + sum) 0 l.
Definition refills_are_right (c : SchedContext) : Prop :=
  match refills c with
  | [] => True
  | first :: rest =>
      if budget c =? period c then rest = [] /\ amount first <= budget c
      else total (refills c) + unreturned c = budget c
  end.
Definition refills_sum_to_budget : Prop :=
  forall p st o c, reachable p st -> objects st !! o = Some (SchedContextObject c) -> refills_are_right c.
