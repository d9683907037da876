(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Methods of threads *)
From Spec Require Export Invocation.
Open Scope N_scope.

(** The thread that is invoked. *)
Definition invoked_thread (call : Invocation) : N := match invoked call with TCBCap t => t | _ => 0 end.
Definition is_invoker (t : N) (call : Invocation) : bool := t =? invoker call.
Definition named (flag word : N) : bool := N.testbit word flag.

(** ** Registers *)
Definition register_count : N := length_of user_context.
Definition suspend_if (b : bool) (t : N) (st : State) : State := if b then suspend t st else st.

(** Resume lets a thread run, whatever it waits for. *)
Definition is_blocked (t : N) (st : State) : bool :=
  match run_state (thread t st) with Inactive | Running => false | _ => true end.
Definition resume (t : N) (st : State) : State :=
  if is_running t st then st else wake t (suspend_if (is_blocked t st) t st).
Definition resume_if (b : bool) (t : N) (st : State) : State := if b then resume t st else st.

(** A thread whose registers are written leaves its system call: one that is blocked stops, and will go on behind it. *)
Definition stop_for_writing (t : N) (st : State) : State :=
  let st := forget_yield t st in
  if is_blocked t st then
    let address := register pc (thread t st) in
    suspend t st >> change_thread t (with_register pc address)
  else st.

(** A register as others see it: those that are dead in a system call read as 0 while the thread is in one. *)
Definition last_dead_register : N := 18.
Definition is_in_system_call (t : N) (st : State) : bool := is_blocked t st && negb (is_some (fault (thread t st))).
Definition seen_register (t : N) (st : State) (r : N) : N :=
  if is_in_system_call t st && (r <=? last_dead_register) then 0 else register r (thread t st).

Definition tcb_read_registers (flags count : N) (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  require negb (is_invoker t call) otherwise illegal_operation;
  require (1 <=? count) && (count <=? register_count) otherwise range_error 1 register_count;
  Perform (fun st =>
    let st := suspend_if (named 0 flags) t st in
    Returns (map (seen_register t st) (firstn (N.to_nat count) user_context)) st).

Definition tcb_write_registers (flags count : N) (values : list N) (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  require count <=? length_of values otherwise truncated_message;
  require count <=? register_count otherwise range_error 0 register_count;
  require negb (is_invoker t call) otherwise illegal_operation;
  always (fun st =>
    stop_for_writing t st
      >> change_thread t (write_registers user_context (firstn (N.to_nat count) values))
      >> resume_if (named 0 flags) t).

(** The two groups that CopyRegisters knows. *)
Definition frame_registers : list N := [pc; sp; spsr; 0; 1; 2; 3; 4; 5; 6; 7; 8; 16; 17; 18; 29; 30].
Definition integer_registers : list N := [9; 10; 11; 12; 13; 14; 15; 19; 20; 21; 22; 23; 24; 25; 26; 27; 28].
Definition copy_registers (numbers : list N) (from to : N) (st : State) : State :=
  let values := map (seen_register from st) numbers in
  change_thread to (write_registers numbers values) st.
Definition tcb_copy_registers (flags : N) (source : Argument) (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  from <- thread_argument source 1;
  require negb (is_invoker t call) && negb (is_invoker from call) otherwise illegal_operation;
  always (fun st =>
    let groups := (if named 2 flags then frame_registers else []) ++ (if named 3 flags then integer_registers else []) in
    suspend_if (named 0 flags) from st
      >> stop_for_writing t
      >> copy_registers groups from t
      >> resume_if (named 1 flags) t).

(** ** Spaces *)

(** What replaces a thread's capability: a copy of the argument, changed by [make], or nothing. *)
Definition replacement (a : Argument) : option (N * Capability) :=
  match argument a with Some c => Some (argument_slot a, c) | None => None end.
Definition is_cnode (a : Argument) : bool := match argument a with Some (CNodeCap _ _ _ _) => true | _ => false end.
Definition is_usable_vspace (a : Argument) : bool := match argument a with Some (VSpaceCap _ (Some _)) => true | _ => false end.
Definition is_memory_frame (a : Argument) : bool := match argument a with Some (FrameCap _ _ false _ _) => true | _ => false end.
Definition is_fault_endpoint (a : Argument) : bool :=
  match argument a with
  | None => true
  | Some (EndpointCap _ _ r) => can_write r && (can_grant r || can_grant_reply r)
  | Some _ => false
  end.

(** The guard that a CSpace root gets: that of the data, or its own when the data is 0. *)
Definition guarded (data : N) (a : Argument) : option (N * Capability) :=
  match argument a with
  | Some c => match (if data =? 0 then Some c else with_guard data c) with Some c => Some (argument_slot a, c) | None => None end
  | None => None
  end.

Definition replace_in (t slot : N) (by_ : option (N * Capability)) (st : State) : Progress := replace_slot (slot_of t slot) by_ st.
Definition set_buffer (t address : N) (frame : Argument) (st : State) : Progress :=
  let st := change_thread t (fun x => x <| buffer_address := 0 |>) st in
  and_then (replace_in t buffer_slot (if address =? 0 then None else replacement frame) st) (fun st =>
    Done (change_thread t (fun x => x <| buffer_address := address |>) st)).

Definition tcb_configure (cspace_root_data vspace_root_data buffer : N) (cspace_root vspace_root buffer_frame : Argument)
    (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  require is_cnode cspace_root otherwise invalid_capability 1;
  require is_some (guarded cspace_root_data cspace_root) otherwise illegal_operation;
  require is_usable_vspace vspace_root otherwise invalid_capability 2;
  require (buffer =? 0) || is_memory_frame buffer_frame otherwise invalid_capability 3;
  require aligned buffer ipc_buffer_bits otherwise alignment_error;
  in_progress (fun st =>
    and_then (replace_in t cspace_slot (guarded cspace_root_data cspace_root) st) (fun st =>
    and_then (replace_in t vspace_slot (replacement vspace_root) st)
             (set_buffer t buffer buffer_frame))).

Definition tcb_set_ipc_buffer (buffer : N) (buffer_frame : Argument) (call : Invocation) (st : State) : Decision :=
  require (buffer =? 0) || is_memory_frame buffer_frame otherwise invalid_capability 1;
  require aligned buffer ipc_buffer_bits otherwise alignment_error;
  in_progress (set_buffer (invoked_thread call) buffer buffer_frame).

Definition tcb_set_space (cspace_root_data vspace_root_data : N) (fault_ep cspace_root vspace_root : Argument)
    (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  require is_fault_endpoint fault_ep otherwise invalid_capability 1;
  require is_cnode cspace_root otherwise invalid_capability 2;
  require is_some (guarded cspace_root_data cspace_root) otherwise illegal_operation;
  require is_usable_vspace vspace_root otherwise invalid_capability 3;
  in_progress (fun st =>
    and_then (replace_in t fault_slot (replacement fault_ep) st) (fun st =>
    and_then (replace_in t cspace_slot (guarded cspace_root_data cspace_root) st)
             (replace_in t vspace_slot (replacement vspace_root)))).

Definition tcb_set_timeout_endpoint (timeout_fault_ep : Argument) (call : Invocation) (st : State) : Decision :=
  require is_fault_endpoint timeout_fault_ep otherwise invalid_capability 1;
  in_progress (replace_in (invoked_thread call) timeout_slot (replacement timeout_fault_ep)).

(** ** Priorities *)

(** A thread takes the place of its new priority in the queue in which it stands: behind its equals when it waits, where it is when it runs. *)
Definition set_priority (t p : N) (st : State) : State :=
  let st := change_thread t (fun x => x <| priority := p |>) st in
  match run_state (thread t st) with
  | BlockedOnReceive e _ _ _ =>
      change_endpoint e (fun x => x <| receivers := insert_behind t (without t (receivers x)) st |>) st
  | BlockedOnSend e _ _ _ _ _ =>
      change_endpoint e (fun x => x <| senders := insert_behind t (without t (senders x)) st |>) st
  | BlockedOnNotification n =>
      change_notification n (fun x => x <| waiters := insert_behind t (without t (waiters x)) st |>) st
  | Running =>
      if member t (sleeping st) then st <| sleeping := insert_by_time t (without t (sleeping st)) st |>
      else place_anew t st
  | Inactive | BlockedOnReply _ _ => st
  end.

Definition permitted_priority (authority : N) (st : State) : N := controlled_priority (thread authority st).
Definition tcb_set_priority (priority : N) (authority : Argument) (call : Invocation) (st : State) : Decision :=
  a <- thread_argument authority 1;
  require priority <=? permitted_priority a st otherwise range_error 0 (permitted_priority a st);
  always (set_priority (invoked_thread call) priority).

Definition tcb_set_mc_priority (mcp : N) (authority : Argument) (call : Invocation) (st : State) : Decision :=
  a <- thread_argument authority 1;
  require mcp <=? permitted_priority a st otherwise range_error 0 (permitted_priority a st);
  always (change_thread (invoked_thread call) (fun x => x <| controlled_priority := mcp |>)).

(** ** Scheduling parameters *)

(** A thread gets a context that nobody has, and runs if nothing else was missing. *)
Definition bind_context (c t : N) (st : State) : State :=
  let st := give_context c t st in
  (if is_running t st then begin_sporadic t st else st) >> place t.

Definition tcb_set_sched_params (mcp priority : N) (authority sched_context_ fault_ep : Argument) (call : Invocation) (st : State)
    : Decision :=
  let t := invoked_thread call in
  a <- thread_argument authority 1;
  require mcp <=? permitted_priority a st otherwise range_error 0 (permitted_priority a st);
  require priority <=? permitted_priority a st otherwise range_error 0 (permitted_priority a st);
  let with_context rest :=
    match argument sched_context_ with
    | Some (SchedContextCap c _) => rest (Some c)
    | None => rest None
    | Some _ => invalid_capability 2
    end in
  c <- with_context;
  let fits :=
    match c with
    | Some c =>
        (is_number (context_of t st) c || (negb (is_some (context_of t st)) && negb (is_some (context_thread (context c st)))))
        && negb (is_some (context_notification (context c st)))
    | None => negb (is_invoker t call)
    end in
  require fits otherwise illegal_operation;
  require is_fault_endpoint fault_ep otherwise invalid_capability 3;
  in_progress (fun st =>
    let st := change_thread t (fun x => x <| controlled_priority := mcp |>) st >> set_priority t priority in
    let st := match c, context_of t st with
              | Some _, Some _ | None, None => st
              | Some c, None => bind_context c t st
              | None, Some old => unbind_thread_of_context old st
              end in
    replace_in t fault_slot (replacement fault_ep) st).

(** ** Stopping and starting *)
Definition tcb_suspend (call : Invocation) (st : State) : Decision := always (suspend (invoked_thread call)).
Definition tcb_resume (call : Invocation) (st : State) : Decision := always (resume (invoked_thread call)).

(** ** The bound notification *)
Definition tcb_bind_notification (notification_ : Argument) (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  match argument notification_ with
  | Some (NotificationCap n _ r) =>
      require negb (is_some (bound_notification (thread t st))) otherwise illegal_operation;
      require can_read r otherwise invalid_capability 1;
      require negb (is_some (bound_thread (notification n st))) && match waiters (notification n st) with [] => true | _ => false end
      otherwise invalid_capability 1;
      always (fun st =>
        change_thread t (fun x => x <| bound_notification := Some n |>) st
          >> change_notification n (fun x => x <| bound_thread := Some t |>))
  | _ => invalid_capability 1
  end.
Definition tcb_unbind_notification (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  match bound_notification (thread t st) with
  | Some n => always (unbind_notification t n)
  | None => illegal_operation
  end.

(** ** Other parameters *)
Definition tcb_set_tls_base (tls_base : N) (call : Invocation) (st : State) : Decision :=
  always (change_thread (invoked_thread call) (with_register tpidr_el0 tls_base)).

(** Flags are cleared, then set. *)
Definition known_flags : N := ThreadFlags.make 1 1 1.
Definition hardware_flags : N := ThreadFlags.make 0 1 1.
Definition change_flags (t clear set_ : N) (st : State) : Outcome :=
  let value := N.land (N.lor (N.ldiff (flags (thread t st)) clear) set_) known_flags in
  Returns [value] (change_thread t (fun x => x <| flags := value |>) st).
Definition tcb_set_flags (clear set_ : N) (call : Invocation) (st : State) : Decision :=
  require N.land set_ hardware_flags =? 0 otherwise illegal_operation;
  Perform (change_flags (invoked_thread call) clear set_).
Definition sched_control_set_thread_access (clear set_ : N) (tcb : Argument) (call : Invocation) (st : State) : Decision :=
  t <- thread_argument tcb 1;
  Perform (change_flags t clear set_).

Definition tcb_set_affinity (core : N) (call : Invocation) (st : State) : Decision :=
  let t := invoked_thread call in
  require core <? core_count (machine st) otherwise range_error 0 (core_count (machine st) - 1);
  require negb (is_some (context_of t st)) otherwise illegal_operation;
  always (change_thread t (fun x => x <| affinity := core |>)).

(** ** Breakpoints

    Breakpoints have the first numbers, watchpoints those after them. *)
Definition debug_registers (st : State) : N := breakpoint_count (machine st) + watchpoint_count (machine st).
Definition is_watchpoint (number : N) (st : State) : bool := breakpoint_count (machine st) <=? number.
Definition type_of_breakpoint (number : N) (st : State) : N :=
  BreakpointType.number (if is_watchpoint number st then BreakpointType.Data else BreakpointType.Instruction).

Definition tcb_set_breakpoint (number vaddr type size access : N) (call : Invocation) (st : State) : Decision :=
  require number <? debug_registers st otherwise range_error 0 (debug_registers st - 1);
  require vaddr <? user_top otherwise invalid_argument 1;
  require type =? type_of_breakpoint number st otherwise invalid_argument 2;
  let data := is_watchpoint number st in
  require (if data then member size [1; 2; 4; 8] else size =? 0) otherwise invalid_argument 3;
  require (if data then is_some (BreakpointAccess.of_number access) else access =? BreakpointAccess.number BreakpointAccess.Read)
  otherwise invalid_argument 4;
  require (if data then vaddr mod size =? 0 else vaddr mod 4 =? 0) otherwise alignment_error;
  let b := {| watched_address := vaddr; watched_size := size; watched_access := access |} in
  always (change_thread (invoked_thread call) (fun x => x <| breakpoints := set number b (breakpoints x) |>)).

Definition tcb_get_breakpoint (number : N) (call : Invocation) (st : State) : Decision :=
  require number <? debug_registers st otherwise range_error 0 (debug_registers st - 1);
  reports (match breakpoints (thread (invoked_thread call) st) !! number with
           | Some b => [watched_address b; type_of_breakpoint number st; watched_size b; watched_access b; 1]
           | None => [0; type_of_breakpoint number st; 0; 0; 0]
           end).

Definition tcb_unset_breakpoint (number : N) (call : Invocation) (st : State) : Decision :=
  require number <? debug_registers st otherwise range_error 0 (debug_registers st - 1);
  always (change_thread (invoked_thread call) (fun x => x <| breakpoints := remove number (breakpoints x) |>)).

Definition tcb_configure_single_stepping (number instructions : N) (call : Invocation) (st : State) : Decision :=
  Perform (fun st => Returns [0] (change_thread (invoked_thread call) (fun x => x <| step_count := instructions |>) st)).
