(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Invocations

    Every method is a definition of type [Decision]: it looks at the state, makes its checks in the order of the manual, and either refuses, with an error
    and what it says more, or gives a function that does the work. As the checks get the state but cannot return one, an error cannot change anything. *)
From Spec Require Export Deletion.
Open Scope N_scope.

(** A capability argument: the slot that its address named, and what is there. An empty slot is null. *)
Record Argument := { argument_slot : N; argument : option Capability }.

Record Invocation := {
  invoker : N;                           (* the thread that calls *)
  invoked_slot : N;
  invoked : Capability;
  word_arguments : list N;
  cap_arguments : list Argument
}.
Definition word (i : nat) (call : Invocation) : N := nth i (word_arguments call) 0.
Definition words_after (i : nat) (call : Invocation) : list N := skipn i (word_arguments call).
Definition cap (i : nat) (call : Invocation) : Argument :=
  nth i (cap_arguments call) {| argument_slot := 0; argument := None |}.

(** What the work comes to: results for the caller, a preemption, or a result that comes later. *)
Inductive Outcome :=
| Returns (results : list N) (st : State)
| Stops (st : State)
| Continues (st : State).

Inductive Decision :=
| Refuse (error : Error.t) (details : list N)
| Perform (work : State -> Outcome).

(** ** Errors with their details *)
Definition invalid_argument (number : N) : Decision := Refuse Error.InvalidArgument [number].
Definition invalid_capability (number : N) : Decision := Refuse Error.InvalidCapability [number].
Definition illegal_operation : Decision := Refuse Error.IllegalOperation [].
Definition range_error (smallest largest : N) : Decision := Refuse Error.RangeError [smallest; largest].
Definition alignment_error : Decision := Refuse Error.AlignmentError [].
Definition truncated_message : Decision := Refuse Error.TruncatedMessage [].
Definition delete_first : Decision := Refuse Error.DeleteFirst [].
Definition revoke_first : Decision := Refuse Error.RevokeFirst [].
Definition not_enough_memory (left_over : N) : Decision := Refuse Error.NotEnoughMemory [left_over].

(** A slot was not found; [source] is 1 when it was the source. *)
Definition source : N := 1.
Definition destination : N := 0.
Definition failed_lookup (which : N) (r : LookupReport) : Decision :=
  Refuse Error.FailedLookup [which; LookupFailure.number (failure r); detail0 r; detail1 r; detail2 r].
Definition missing_capability (which : N) : Decision :=
  failed_lookup which (lookup_report LookupFailure.MissingCapability 0 0 0).

(** ** Checks *)
Notation "'require' condition 'otherwise' error ; rest" := (if condition then rest else error)
  (at level 200, condition at level 100, error at level 100, rest at level 200, only parsing).
Notation "x <- check ; rest" := (check (fun x => rest)) (at level 20, check at level 100, rest at level 200, only parsing).

(** The slot at [depth] bits of [index] under a root. *)
Definition slot_in (root : option Capability) (index depth which : N) (st : State) (rest : N -> Decision) : Decision :=
  require (1 <=? depth) && (depth <=? 64) otherwise range_error 1 64;
  match slot_under root index depth st with inl slot => rest slot | inr report => failed_lookup which report end.

(** An empty slot for a new capability. *)
Definition empty_slot_in (root : option Capability) (index depth : N) (st : State) (rest : N -> Decision) : Decision :=
  slot <- slot_in root index depth destination st;
  require is_empty slot st otherwise delete_first;
  rest slot.

(** A capability that must be there. *)
Definition occupant (slot which : N) (st : State) (rest : Capability -> Decision) : Decision :=
  match capability_at slot st with Some c => rest c | None => missing_capability which end.

(** Arguments of a type; [number] is the argument's. *)
Definition thread_argument (a : Argument) (number : N) (rest : N -> Decision) : Decision :=
  match argument a with Some (TCBCap t) => rest t | _ => invalid_capability number end.

(** ** Work without preemption *)
Definition always (work : State -> State) : Decision := Perform (fun st => Returns [] (work st)).
Definition reports (results : list N) : Decision := Perform (fun st => Returns results st).
Definition in_progress (work : State -> Progress) : Decision :=
  Perform (fun st => match work st with Done st => Returns [] st | Preempted st => Stops st end).

(** A preempted method that keeps what is left to do in the caller's message changes words there. *)
Definition set_word_argument (i : nat) (value : N) (t : N) (st : State) : State :=
  change_thread t (with_register (nth i message_registers 0) value) st.
