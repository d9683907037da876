(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Events and the step of the kernel

    An event is what makes the kernel run: a system call, an interrupt, its timer, an exception of the current thread. [step] says
    for each state and event what the next state is, what came of it, and what the kernel does to the machine meanwhile. *)
From Spec Require Export Dispatch.
Open Scope N_scope.

(** ** Events *)
Definition most_units : N := N.shiftl 1 64.
Inductive Cause :=
| SystemCall
| InterruptArrives (irq : N)                         (* SError is the interrupt [irq_serror] *)
| TimerExpires
| MemoryFault (address : N) (is_fetch : bool) (syndrome : N)
| ExceptionTaken (number code : N)                   (* an instruction that user level cannot execute *)
| DebugEvent (reason : BreakpointType.t) (address number : N).

(** [saved] are registers of the current thread that user level changed since it began to run; of a system call the program
    counter is that of the next instruction. [readable] are the words of user memory that the kernel may read; others count as 0.
    [preempt_after] says how many units of work a preemptible operation does before it is preempted; without it there are [most_units]. *)
Record Event := {
  cause : Cause;
  time : N;
  saved : list (N * N);
  readable : list (N * N);
  preempt_after : option N;
  chosen : Choices
}.

(** What came of the event for the thread that was running. *)
Inductive Result :=
| Succeeds                                           (* a system call that is done, or that waits *)
| Fails (error : Error.t)
| Faults (label : FaultLabel.t)
| IsPreempted                                        (* the system call will be executed again *)
| Serves                                             (* no system call *)
| Impossible.                                        (* no thread runs that could have caused this *)

(** ** Sending

    The phase of a system call that sends. What it reports is not yet in the caller's registers. *)
Inductive Report :=
| Reported (error : Error.t) (details : list N)
| LeftAlone                                          (* the caller waits, or its result comes later *)
| LookupFault (address : N) (report : LookupReport)
| Restarted.

(** How a system call sends: whether it is a Call, whether it waits for a receiver, whether it lends its context, and whether an
    address that does not resolve is a fault. *)
Record Manner := { calls_back : bool; waits : bool; lends_context : bool; faults : bool }.

Definition empty_report : Report := Reported Error.NoError [].

(** The capability arguments of an invocation. *)
Fixpoint cap_arguments_at (addresses : list N) (t : N) (st : State) : list Argument + (N * LookupReport) :=
  match addresses with
  | [] => inl []
  | address :: rest =>
      match slot_of_address t address st with
      | inl slot =>
          match cap_arguments_at rest t st with
          | inl l => inl ({| argument_slot := slot; argument := capability_at slot st |} :: l)
          | inr e => inr e
          end
      | inr report => inr (address, report)
      end
  end.

(** The method that a label names, if the invoked capability's object has it. *)
Definition method_for (l : N) (c : Capability) : option Method.t :=
  match Method.of_label l with
  | Some m => if (CapType.number (Method.invoked m) =? CapType.number (cap_type c)) && Method.implemented m then Some m else None
  | None => None
  end.

(** The checks that come before a method's own, then those, then its work. *)
Definition decide (m : Message) (t slot : N) (c : Capability) (arguments : list Argument) (st : State) : Decision :=
  match method_for (label m) c with
  | None => illegal_operation
  | Some method =>
      require (Nat.leb (Method.words method) (length (words m))) && (Nat.leb (Method.caps method) (length arguments))
      otherwise truncated_message;
      decode_method method {| invoker := t; invoked_slot := slot; invoked := c; word_arguments := words m; cap_arguments := arguments |} st
  end.

Definition thread_exists (t : N) (st : State) : bool :=
  match objects st !! t with Some (ThreadObject _) => true | _ => false end.

Definition invoke (t slot : N) (c : Capability) (st : State) : Report * State :=
  let m := message_of_call t st in
  match cap_arguments_at (cap_addresses m) t st with
  | inr (address, report) => (LookupFault address report, st)
  | inl arguments =>
      match decide m t slot c arguments st with
      | Refuse error details => (Reported error details, st)
      | Perform work =>
          match work st with
          | Returns results st => (Reported Error.NoError results, st)
          | Continues st => (LeftAlone, st)
          | Stops st => (Restarted, st)
          end
      end
  end.

Definition invalid_target : Report := Reported Error.InvalidCapability [0].
Definition send_phase (t address : N) (manner : Manner) (st : State) : Report * State :=
  match occupied_slot_of_address t address st with
  | inr report => (LookupFault address report, st)
  | inl (slot, c) =>
      match c with
      | EndpointCap e badge r =>
          if can_write r then
            match send t e badge (can_grant r) (can_grant_reply r) (calls_back manner) (lends_context manner) (waits manner) st with
            | (Delivered, st) => (if calls_back manner then LeftAlone else empty_report, st)
            | (Waits, st) => (LeftAlone, st)
            | (Dropped, st) => (empty_report, st)
            | (Refused, _) => (Reported Error.NoDonation [], st)
            end
          else (invalid_target, st)
      | NotificationCap n badge r => if can_write r then (empty_report, signal n badge st) else (invalid_target, st)
      | ReplyCap r rights => (empty_report, answer t r (can_grant rights) st)
      | SGISignalCap irq target => (empty_report, emit (SendInterrupt irq target) st)
      | _ => invoke t slot c st
      end
  end.

(** ** Faults of system calls *)

(** A system call that faults will be executed again; the fault names its instruction. *)
Definition cap_fault (t address : N) (in_recv_phase : N) (r : LookupReport) (st : State) : Result * State :=
  let st := change_thread t to_restart st in
  let f := fault_report FaultLabel.CapFault
             (cap_fault_words (register pc (thread t st)) address in_recv_phase (LookupFailure.number (failure r))
                              (detail0 r) (detail1 r) (detail2 r)) in
  (Faults FaultLabel.CapFault, raise_fault t f st).
Definition unknown_system_call (t : N) (st : State) : Result * State :=
  let st := change_thread t to_restart st in
  let x := thread t st in
  let r n := register n x in
  let f := fault_report FaultLabel.UnknownSyscall
             (unknown_syscall_words (r 0) (r 1) (r 2) (r 3) (r 4) (r 5) (r 6) (r 7) (r pc) (r sp) (r 30) (r spsr) (r 7)) in
  (Faults FaultLabel.UnknownSyscall, raise_fault t f st).

(** The result of a system call that only sends. What errors say more fits the registers. *)
Definition put_result (t : N) (error : Error.t) (details : list N) (st : State) : State :=
  if thread_exists t st then
    match error, details with
    | Error.NoError, [] => set_empty_result t st
    | Error.NoError, _ =>
        let fitting := fitting_words t details st in
        change_thread t (with_error_result error fitting) st >> write_long_words t fitting
    | _, _ => change_thread t (with_error_result error details) st
    end
  else st.
Definition go_back (t : N) (st : State) : State := if thread_exists t st then change_thread t to_restart st else st.
Definition finish_send (t : N) (manner : Manner) (outcome : Report * State) : Result * State :=
  match outcome with
  | (Reported Error.NoError details, st) => (Succeeds, put_result t Error.NoError details st)
  | (Reported error details, st) => (Fails error, put_result t error details st)
  | (LeftAlone, st) => (Succeeds, st)
  | (LookupFault address report, st) =>
      if faults manner then cap_fault t address 0 report st else (Succeeds, put_result t Error.NoError [] st)
  | (Restarted, st) => (IsPreempted, go_back t st)
  end.

(** ** Receiving

    What a thread receives from: an endpoint, with a reply object or without and with the right grant of the capability; a notification;
    or nothing, as an address, of the first or of the reply object, names nothing fit for it. *)
Inductive Source :=
| FromEndpoint (endpoint : N) (reply : option N) (may_grant : bool)
| FromNotification (notification : N)
| FromNothing (address : N) (report : LookupReport).
Definition nothing_to_receive_from : LookupReport := lookup_report LookupFailure.MissingCapability 0 0 0.
Definition source_of (t : N) (with_reply : bool) (st : State) : Source :=
  let address := register 0 (thread t st) in
  let reply_address := register 6 (thread t st) in
  match occupied_slot_of_address t address st with
  | inr report => FromNothing address report
  | inl (_, EndpointCap e _ r) =>
      if negb (can_read r) then FromNothing address nothing_to_receive_from
      else if with_reply then
        match occupied_slot_of_address t reply_address st with
        | inl (_, ReplyCap o _) => FromEndpoint e (Some o) (can_grant r)
        | inl _ => FromNothing reply_address nothing_to_receive_from
        | inr report => FromNothing reply_address report
        end
      else FromEndpoint e None (can_grant r)
  | inl (_, NotificationCap n _ r) =>
      let bound_elsewhere := match bound_thread (notification n st) with Some o => negb (o =? t) | None => false end in
      if can_read r && negb bound_elsewhere then FromNotification n else FromNothing address nothing_to_receive_from
  | inl _ => FromNothing address nothing_to_receive_from
  end.
Definition requires_donation (t : N) (st : State) : bool :=
  negb (N.land (register 7 (thread t st)) syscall_flag_require_donation =? 0).

(** Before what leaves the thread without a scheduling context, senders that wait already are refused if the thread requires one of them, one per unit. It
    is preempted only in between, and nothing else is done until all are refused. *)
Definition refuse_waiting (e : N) (r : option N) (st : State) : Progress :=
  in_units (fun _ st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) tt st.
Definition refuse_early (t : N) (with_reply : bool) (what_follows : State -> State) (st : State) : Progress :=
  match source_of t with_reply st with
  | FromEndpoint e r _ =>
      if requires_donation t st && negb (is_signalled t st) && negb (is_some (context_of t (what_follows st)))
      then refuse_waiting e r st
      else Done st
  | _ => Done st
  end.
Definition unless_preempted (t : N) (p : Progress) (rest : State -> Result * State) : Result * State :=
  match p with Done st => rest st | Preempted st => (IsPreempted, go_back t st) end.

(** Freeing the reply object may return the context that came with the call. *)
Definition free_own_reply (t : N) (with_reply : bool) (st : State) : State :=
  match source_of t with_reply st with FromEndpoint _ (Some r) _ => free_reply r st | _ => st end.
Definition receive_phase (t : N) (with_reply blocking : bool) (st : State) : Result * State :=
  unless_preempted t (refuse_early t with_reply (free_own_reply t with_reply) st) (fun st =>
    match source_of t with_reply st with
    | FromEndpoint e r may_grant => (Succeeds, receive t e r (requires_donation t st) may_grant blocking st)
    | FromNotification n => (Succeeds, wait_on t n blocking st)
    | FromNothing address report => cap_fault t address 1 report st
    end).

(** A system call with two phases is a Recv or a Wait from its second phase on. *)
Definition becomes (number : Syscall.t) (t : N) (st : State) : State :=
  change_thread t (fun x =>
    with_register 7 (N.ldiff (register 7 x) syscall_number_mask + Syscall.number number) x) st.

(** A thread that stopped in the first phase, or lets another run by YieldTo, executes the second when it runs again. *)
Definition then_receive (t : N) (with_reply : bool) (st : State) : Result * State :=
  if negb (thread_exists t st) then (Succeeds, st)
  else
    let st := becomes (if with_reply then Syscall.Recv else Syscall.Wait) t st in
    if is_running t st && negb (is_some (yielded_to (thread t st))) then receive_phase t with_reply true st
    else (Succeeds, forget_yield t st >> change_thread t to_restart).

(** The first phase of ReplyRecv. *)
Definition reply_phase (t : N) (st : State) : State :=
  match occupied_slot_of_address t (register 6 (thread t st)) st with
  | inl (_, ReplyCap r rights) => answer t r (can_grant rights) st
  | _ => st
  end.
Definition reply_and_receive (t : N) (st : State) : Result * State :=
  unless_preempted t (refuse_early t true (reply_phase t) st) (fun st => then_receive t true (reply_phase t st)).

(** The first phase of NBSendRecv and NBSendWait; a preempted invocation restarts all of the system call. What it would report is lost,
    but for words beyond the registers. That the context is given away is foreseen of a message; behind a method it is the second phase that refuses. *)
Definition passing_on : Manner := {| calls_back := false; waits := false; lends_context := true; faults := false |}.
Definition pass_on (t : N) (st : State) : Report * State := send_phase t (register 8 (thread t st)) passing_on st.
Definition pass_message (t : N) (st : State) : State :=
  match occupied_slot_of_address t (register 8 (thread t st)) st with
  | inl (_, EndpointCap _ _ _) | inl (_, ReplyCap _ _) => snd (pass_on t st)
  | _ => st
  end.
Definition send_and_receive (t : N) (with_reply : bool) (st : State) : Result * State :=
  unless_preempted t (refuse_early t with_reply (pass_message t) st) (fun st =>
    match pass_on t st with
    | (Restarted, st) => (IsPreempted, go_back t st)
    | (Reported _ details, st) => then_receive t with_reply (write_long_words t (fitting_words t details st) st)
    | (_, st) => then_receive t with_reply st
    end).

(** ** Yield

    The rest of the first refill is charged, if that is usable; only what was used counts as consumed. No register changes. *)
Definition yield (t : N) (st : State) : State :=
  match context_of t st with
  | Some c =>
      let st := book st in
      let rest := match refills (context c st) with
                  | first :: _ => if usable_at first <=? now st then amount first else 0
                  | [] => 0
                  end in
      change_context c (charge rest (smallest_budget st)) st >> place t
  | None => st
  end.

(** ** System calls *)
Definition sends (t : N) (manner : Manner) (st : State) : Result * State :=
  finish_send t manner (send_phase t (register 0 (thread t st)) manner st).
Definition calling : Manner := {| calls_back := true; waits := true; lends_context := true; faults := true |}.
Definition sending : Manner := {| calls_back := false; waits := true; lends_context := false; faults := true |}.
Definition sending_if_received : Manner := {| calls_back := false; waits := false; lends_context := false; faults := false |}.

(** Calls of the debug group, which other kernels than debug builds do not know. *)
Definition is_debug_call (s : Syscall.t) : bool :=
  match s with Syscall.DebugPutChar | Syscall.DebugHalt | Syscall.DebugCapIdentify => true | _ => false end.

Definition run_system_call (s : Syscall.t) (t : N) (st : State) : Result * State :=
  let x0 := register 0 (thread t st) in
  match s with
  | Syscall.Call => sends t calling st
  | Syscall.Send => sends t sending st
  | Syscall.NBSend => sends t sending_if_received st
  | Syscall.Recv => receive_phase t true true st
  | Syscall.NBRecv => receive_phase t true false st
  | Syscall.Wait => receive_phase t false true st
  | Syscall.NBWait => receive_phase t false false st
  | Syscall.ReplyRecv => reply_and_receive t st
  | Syscall.NBSendRecv => send_and_receive t true st
  | Syscall.NBSendWait => send_and_receive t false st
  | Syscall.Yield => (Succeeds, yield t st)
  | Syscall.DebugPutChar => (Succeeds, emit (PrintCharacter x0) st)
  | Syscall.DebugHalt => (Succeeds, emit StopMachine st)
  | Syscall.DebugCapIdentify =>
      let type := match occupied_slot_of_address t x0 st with inl (_, c) => cap_type c | inr _ => CapType.Null end in
      (Succeeds, change_thread t (with_register 0 (CapType.number type)) st)
  end.

Definition system_call (t : N) (st : State) : Result * State :=
  let number := N.land (register 7 (thread t st)) syscall_number_mask in
  match Syscall.of_number number with
  | Some s =>
      if is_debug_call s && negb (debug_build (machine st)) then unknown_system_call t st
      else run_system_call s t st
  | None => unknown_system_call t st
  end.

(** ** Interrupts *)
Definition interrupt (irq : N) (st : State) : State :=
  match interrupts st !! irq, capability_at (irq_slot irq) st with
  | Some _, Some (NotificationCap n badge _) =>
      let st := if is_held_back irq
                then change_interrupt irq (fun i => {| edge_triggered := edge_triggered i; masked := masked i; active := true |}) st
                else st in
      signal n badge st
  | Some _, _ => if irq =? irq_serror then st else set_mask irq true st
  | None, _ => if is_held_back irq then emit (MaskInterrupt irq) st else st
  end.

(** ** The end of a budget

    Time is booked. A thread whose budget is then found used up raises Timeout if it has an endpoint for that; else it waits for its next refill. *)
Definition time_out (t c : N) (st : State) : State :=
  match capability_at (slot_of t timeout_slot) st with
  | Some (EndpointCap _ _ _) =>
      let (used, st) := report_consumed c st in
      raise_fault_to timeout_slot false t (fault_report FaultLabel.Timeout (timeout_words (context_badge (context c st)) used)) st
  | _ => st
  end.
Definition end_budget (st : State) : State :=
  let st := book_turn st in
  match current_context st with
  | Some c =>
      match thread_that_uses c st with
      | Some t => if is_used_up c st then time_out t c (place t st) else st
      | None => st
      end
  | None => st
  end.

(** ** The timer *)

(** Of the threads whose refill has come at most four become ready at once; the timer expires again for the others. *)
Definition most_wake_ups : nat := 4.
Definition wake_sleepers (st : State) : State :=
  fold_left (fun st t => if wake_time t st <=? now st then place t st else st) (firstn most_wake_ups (sleeping st)) st.
Definition timer_expires (st : State) : State := end_budget st >> wake_sleepers >> end_turn_if_due.

(** ** Exceptions of the current thread *)
Definition debug_event (t : N) (reason : BreakpointType.t) (address number : N) (st : State) : Result * State :=
  let x := thread t st in
  let raise st :=
    let f := fault_report FaultLabel.DebugException
               (debug_exception_words (register pc x) (BreakpointType.number reason) address number) in
    (Faults FaultLabel.DebugException, raise_fault t f st) in
  match reason with
  | BreakpointType.SingleStep =>
      let st := change_thread t (fun x => x <| step_count := step_count x - 1 |>) st in
      if step_count x =? 1 then raise st else (Serves, st)
  | _ => raise st
  end.

Definition user_fault (t : N) (c : Cause) (st : State) : Result * State :=
  let r n := register n (thread t st) in
  match c with
  | MemoryFault address is_fetch syndrome =>
      (Faults FaultLabel.VMFault,
       raise_fault t (fault_report FaultLabel.VMFault (vm_fault_words (r pc) address (bit is_fetch) syndrome)) st)
  | ExceptionTaken number code =>
      (Faults FaultLabel.UserException,
       raise_fault t (fault_report FaultLabel.UserException (user_exception_words (r pc) (r sp) (r spsr) number code)) st)
  | DebugEvent reason address number => debug_event t reason address number st
  | _ => (Serves, st)
  end.

(** ** The step *)

(** The step gets what the event says, and the current thread's registers are saved. *)
Definition begin_step (e : Event) (st : State) : State :=
  st <| now := N.max (now st) (time e) |> <| memory := table_of (readable e) |> <| allowance := or_default most_units (preempt_after e) |>
     <| choices := chosen e |> <| effects := [] |>.
Definition save_registers (l : list (N * N)) (st : State) : State :=
  match current st with Some t => change_thread t (with_registers l) st | None => st end.
Definition enter (e : Event) (st : State) : State := save_registers (saved e) (begin_step e st).

Definition handle (c : Cause) (st : State) : Result * State :=
  match c, current st with
  | InterruptArrives irq, _ => (Serves, interrupt irq st)
  | TimerExpires, _ => (Serves, timer_expires st)
  | SystemCall, Some t => system_call t st
  | _, Some t => user_fault t c st
  | _, None => (Impossible, st)
  end.

(** The end of every step: whoever comes first runs from now on. The context that is left is charged; one that stays in use, in the hands of the same thread
    or of another, is not touched, unless the kernel books time anyway. The YieldTo of a thread that runs again returns. *)
Definition context_of_first (st : State) : option N := match first_ready st with Some t => context_of t st | None => None end.
Definition stays_in_use (st : State) : bool :=
  match context_of_first st, current_context st with
  | Some a, Some b => a =? b
  | None, None => true
  | _, _ => false
  end.
Definition change_context_in_use (st : State) : State :=
  let used := current_context st in
  let st := end_budget st in
  let chosen := context_of_first st in
  let st := st <| current_context := chosen |> in
  match chosen with
  | Some c => if is_sporadic (context c st) || is_number used c then st else change_context c (begin_use (now st)) st
  | None => st
  end.
Definition choose_thread (st : State) : State :=
  let st := if ends_turn (choices st) then end_turn_if_due st else st in
  let st := if stays_in_use st && negb (books (choices st)) then st else change_context_in_use st in
  let next := first_ready st in
  let st := st <| current := next |> in
  match next with Some t => end_yield_by report_booked t st | None => st end.

(** Nothing of the step remains in the state but what the kernel remembers. *)
Definition leave (st : State) : State :=
  st <| memory := empty |> <| allowance := 0 |> <| choices := nothing_chosen |> <| effects := [] |>.

Definition finish (outcome : Result * State) : State * Result * list Effect :=
  let (result, st) := outcome in
  let st := choose_thread st in
  (leave st, result, rev (effects st)).
Definition step (st : State) (e : Event) : State * Result * list Effect := finish (handle (cause e) (enter e st)).
