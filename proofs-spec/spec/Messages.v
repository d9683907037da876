(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Messages, notifications, replies and faults

    What passes from thread to thread: messages through endpoints, with capabilities and with scheduling contexts; answers through reply objects; signals
    through notifications; and the messages that the kernel sends in the name of a thread that faults. *)
From Spec Require Export Schedule.
Open Scope N_scope.

(** ** What a message says *)
Record Message := { label : N; words : list N; cap_addresses : list N }.

Definition words_of_buffer (buffer first : N) (count : nat) (st : State) : list N :=
  map (fun i => read_memory (buffer + ipc_buffer_msg + 8 * i) st) (numbers_from first count).
Definition register_words (t : Thread) : list N := map (fun r => register r t) message_registers.

(** The message of a thread that made a system call. Words beyond the registers and addresses of capabilities are in its IPC
    buffer; without one there are none. *)
Definition message_of_call (o : N) (st : State) : Message :=
  let t := thread o st in
  let info := register 1 t in
  let length := N.min (MessageInfo.length info) ipc_message_words in
  let in_registers := firstn (N.to_nat length) (register_words t) in
  match send_buffer o st with
  | Some buffer =>
      {| label := MessageInfo.label info;
         words := in_registers ++ words_of_buffer buffer ipc_register_words (N.to_nat (length - ipc_register_words)) st;
         cap_addresses := map (fun i => read_memory (buffer + ipc_buffer_caps_or_badges + 8 * i) st)
                              (numbers_from 0 (N.to_nat (MessageInfo.extra_caps info))) |}
  | None => {| label := MessageInfo.label info; words := in_registers; cap_addresses := [] |}
  end.

(** A thread that is blocked on a fault sends that instead. *)
Definition message_of (o : N) (st : State) : Message :=
  match fault (thread o st) with
  | Some f => {| label := FaultLabel.number (fault_label f); words := fault_words f; cap_addresses := [] |}
  | None => message_of_call o st
  end.

(** ** Transfer of capabilities *)

(** The empty slot that a receiver named in its buffer, resolved now. *)
Definition receive_slot (o : N) (st : State) : option N :=
  match receive_buffer o st with
  | Some buffer =>
      let depth := read_memory (buffer + ipc_buffer_receive_depth) st in
      match occupied_slot_of_address o (read_memory (buffer + ipc_buffer_receive_cnode) st) st with
      | inl (_, root) =>
          if depth <=? 64 then
            match slot_under (Some root) (read_memory (buffer + ipc_buffer_receive_index) st) depth st with
            | inl slot => if is_empty slot st then Some slot else None
            | inr _ => None
            end
          else None
      | inr _ => None
      end
  | None => None
  end.

(** Capabilities go over in order. One of the endpoint [through] which the message goes is unwrapped: only its badge arrives. The first other one is derived
    into the receive slot. The first that cannot go over ends the transfer. The result says which were unwrapped, as bits, and how many came. *)
Fixpoint transfer (position : N) (addresses : list N) (through : option N) (from to : N) (slot_is_free : bool) (st : State)
    : N * N * State :=
  match addresses, receive_buffer to st with
  | address :: rest, Some buffer =>
      match occupied_slot_of_address from address st with
      | inl (source, c) =>
          let unwrapped_badge :=
            match c with EndpointCap o badge _ => if is_number through o then Some badge else None | _ => None end in
          match unwrapped_badge with
          | Some badge =>
              let st := write_memory (buffer + ipc_buffer_caps_or_badges + 8 * position) badge st in
              let '(bits, count, st) := transfer (position + 1) rest through from to slot_is_free st in
              (bits + N.shiftl 1 position, count + 1, st)
          | None =>
              match slot_is_free, derivation_error source c st, receive_slot to st with
              | true, None, Some slot =>
                  let st := insert_derived slot source false (derived c) st in
                  let '(bits, count, st) := transfer (position + 1) rest through from to false st in
                  (bits, count + 1, st)
              | _, _, _ => (0, 0, st)
              end
          end
      | inr _ => (0, 0, st)
      end
  | _, _ => (0, 0, st)
  end.

(** Memory words [first] and up of a buffer get the values. *)
Fixpoint write_words (address : N) (values : list N) (st : State) : State :=
  match values with
  | value :: rest => write_words (address + 8) rest (write_memory address value st)
  | [] => st
  end.

(** What fits a thread: without a buffer no more words than registers hold. Words beyond them go to its buffer. *)
Definition fitting_words (t : N) (l : list N) (st : State) : list N :=
  match receive_buffer t st with Some _ => l | None => firstn (N.to_nat ipc_register_words) l end.
Definition write_long_words (t : N) (l : list N) (st : State) : State :=
  match receive_buffer t st with
  | Some buffer => write_words (buffer + ipc_buffer_msg + 8 * ipc_register_words) (skipn (N.to_nat ipc_register_words) l) st
  | None => st
  end.

(** A message arrives. *)
Definition deliver (m : Message) (through : option N) (badge : N) (with_caps : bool) (from to : N) (st : State) : State :=
  let '(unwrapped, count, st) := transfer 0 (if with_caps then cap_addresses m else []) through from to true st in
  let fitting := fitting_words to (words m) st in
  let info := MessageInfo.make (length_of fitting) count unwrapped (label m) in
  change_thread to (with_result badge info fitting) st >> write_long_words to fitting.

(** ** Reply objects *)

(** Takes a reply object out of the stack of calls of the context that went with its call. The stack ends there: what is below
    belongs to no stack any more. *)
Fixpoint calls_above (r : N) (l : list N) : list N :=
  match l with first :: rest => if first =? r then [] else first :: calls_above r rest | [] => [] end.
Fixpoint calls_from (r : N) (l : list N) : list N :=
  match l with first :: rest => if first =? r then l else calls_from r rest | [] => [] end.
Definition without_context (r : Reply) : Reply := {| caller := caller r; receiver := receiver r; along := None |}.
Definition break_stack (r : N) (st : State) : State :=
  match along (reply r st) with
  | Some c =>
      let stack := calls (context c st) in
      fold_left (fun st r => put_reply r (without_context (reply r st)) st) (calls_from r stack) st
        >> change_context c (fun x => x <| calls := calls_above r stack |>)
  | None => st
  end.

(** A call ends in order: the context that went with it comes back to the caller, if its call is the last in the stack. *)
Definition return_context (r caller_thread : N) (st : State) : State :=
  match along (reply r st) with
  | Some c =>
      match calls (context c st) with
      | last :: rest =>
          if last =? r then
            let st := change_context c (fun x => x <| calls := rest |>) st in
            let st := put_reply r (without_context (reply r st)) st in
            match context_of caller_thread st with Some _ => st | None => give_context c caller_thread st end
          else break_stack r st
      | [] => break_stack r st
      end
  | None => st
  end.

Definition set_empty_result (t : N) (st : State) : State := change_thread t with_empty_result st.
Definition set_error_result (e : Error.t) (t : N) (st : State) : State := change_thread t (with_error_result e []) st.

(** The caller of a call that will not be answered returns with CallCancelled; one that waits for its fault handler becomes inactive. *)
Definition end_call_of (t : N) (had_context : bool) (st : State) : State :=
  match fault (thread t st) with
  | Some _ => change_thread t (fun x => with_state Inactive (x <| fault := None |>)) st
  | None =>
      let st := set_error_result Error.CallCancelled t st in
      if had_context then wake t st else wake_ahead t st
  end.

(** A reply object is freed: the call that it stands for ends, and a receiver that named it receives without one. *)
Definition free_reply (r : N) (st : State) : State :=
  let st := match caller (reply r st) with
            | Some t =>
                let had_context := is_some (context_of t st) in
                return_context r t st >> put_reply r unused_reply >> end_call_of t had_context
            | None => st
            end in
  let st := match receiver (reply r st) with
            | Some t =>
                change_thread t (fun x => match run_state x with
                                          | BlockedOnReceive e _ requires may_grant => with_state (BlockedOnReceive e None requires may_grant) x
                                          | _ => x
                                          end) st
            | None => st
            end in
  put_reply r unused_reply st.

(** ** Leaving a queue, and cancellation *)

(** A thread stops waiting for whatever it waits for; nothing is said yet of what it does instead. *)
Definition stop_waiting (t : N) (st : State) : State :=
  match run_state (thread t st) with
  | BlockedOnReceive e r _ _ =>
      let st := change_endpoint e (fun x => x <| receivers := without t (receivers x) |>) st in
      match r with Some r => put_reply r unused_reply st | None => st end
  | BlockedOnSend e _ _ _ _ _ => change_endpoint e (fun x => x <| senders := without t (senders x) |>) st
  | BlockedOnNotification n => change_notification n (fun x => x <| waiters := without t (waiters x) |>) st
  | BlockedOnReply r _ => break_stack r st >> put_reply r unused_reply
  | Inactive | Running => st
  end.

(** A system call will be executed again: the thread goes back to the instruction. *)
Definition system_call_bytes : N := 4.
Definition to_restart (t : Thread) : Thread := with_register pc (register pc t - system_call_bytes) t.

(** A thread becomes inactive. Its send, receive or wait is cancelled and will restart when it is resumed; a call whose message
    was delivered will return with CallCancelled; a fault is forgotten. A YieldTo that has not returned does now. *)
Definition suspend (t : N) (st : State) : State :=
  let st := end_yield t st in
  let state := run_state (thread t st) in
  let st := stop_waiting t st >> unplace t in
  let is_fault := is_some (fault (thread t st)) in
  let st := change_thread t (fun x => with_state Inactive (x <| fault := None |>)) st in
  match is_fault, state with
  | true, _ | _, Inactive | _, Running => st
  | _, BlockedOnReply _ _ => set_error_result Error.CallCancelled t st
  | _, _ => change_thread t to_restart st
  end.

(** A thread that waits on something that goes away restarts its system call; one that waits there with a fault becomes inactive. *)
Definition make_inactive (t : N) (st : State) : State :=
  unplace t st >> change_thread t (fun x => with_state Inactive (x <| fault := None |>)).
Definition restart (t : N) (st : State) : State :=
  match fault (thread t st) with
  | Some _ => stop_waiting t st >> make_inactive t
  | None => wake t (suspend t st)
  end.

(** ** Sending and receiving *)

(** A thread that begins to wait for a message, or for the answer to its call, loses the registers that its system call does not read again. *)
Definition lose_registers (numbers : list N) : Thread -> Thread := with_registers (map (fun r => (r, 0)) numbers).
Definition begin_receive (s : RunState) (t : Thread) : Thread := with_state s (lose_registers (numbers_from 1 5 ++ numbers_from 8 11) t).
Definition begin_call (s : RunState) (t : Thread) : Thread := with_state s (if is_some (fault t) then t else lose_registers (numbers_from 0 19) t).

(** A caller that nobody can answer returns with CallCancelled; a fault leaves its thread inactive. *)
Definition end_unanswered (t : N) (st : State) : State :=
  match fault (thread t st) with
  | Some _ => make_inactive t st
  | None => let st := set_error_result Error.CallCancelled t st in if is_running t st then st else wake t st
  end.

(** A thread that lent nothing keeps its context; one that was lent a context by a notification gives it back when it waits. *)
Definition return_lent_context (t n : N) (st : State) : State :=
  match lent_context (notification n st), context_of t st with
  | Some a, Some b =>
      if a =? b then
        change_thread t (fun x => x <| sched_context := None |>) st
          >> change_context a (fun x => x <| context_thread := None |>)
      else st
  | _, _ => st
  end.

(** A notification lends its context to a thread that has none, if nobody has it. *)
Definition lend_context (t n : N) (st : State) : State :=
  match lent_context (notification n st), context_of t st with
  | Some c, None => match context_thread (context c st) with None => give_context c t st | Some _ => st end
  | _, _ => st
  end.

(** Whether a message brings the receiver a scheduling context: the sender lends its own to a receiver that has none. A call lends
    only when it can be answered. *)
Definition answerable (r : option N) (may_grant may_grant_reply : bool) : bool :=
  is_some r && (may_grant || may_grant_reply).
Definition lends_now (sender receiver_thread : N) (lends : bool) (st : State) : bool :=
  lends && is_some (context_of sender st) && negb (is_some (context_of receiver_thread st)).
Definition leaves_without_context (receiver_thread : N) (requires lending : bool) (st : State) : bool :=
  requires && negb (is_some (context_of receiver_thread st)) && negb lending.

(** Sender and receiver meet, and neither stands in a queue any more. The message is delivered. A caller waits for the reply from
    now on, with the right grant of the capability through which the receiver received, or learns that there will be none; the
    context of a sender that lends goes to the receiver. The receiver runs, at once when it got the context. *)
Definition meet (sender receiver_thread e badge : N) (r : option N) (receiver_grant grant grant_reply is_call lends : bool)
    (st : State) : State :=
  let answered := is_call && answerable r grant grant_reply in
  let lending := lends_now sender receiver_thread (lends && (answered || negb is_call)) st in
  let st := deliver (message_of sender st) (Some e) badge grant sender receiver_thread st in
  let st := match r with Some r => put_reply r unused_reply st | None => st end in
  let lent := if lending then context_of sender st else None in
  let st :=
    match is_call, answered, r with
    | true, true, Some r =>
        unplace sender st
          >> change_thread sender (begin_call (BlockedOnReply r receiver_grant))
          >> put_reply r {| caller := Some sender; receiver := None; along := lent |}
          >> (fun st => match lent with Some c => change_context c (fun x => x <| calls := r :: calls x |>) st | None => st end)
    | true, _, _ => end_unanswered sender st
    | false, _, _ => st
    end in
  match lent with
  | Some c => give_context c receiver_thread st >> wake_ahead receiver_thread
  | None => if is_running receiver_thread st then st else wake receiver_thread st
  end.

(** What became of a message that was sent. *)
Inductive Sent := Delivered | Waits | Dropped | Refused.

(** Sends to an endpoint. The first receiver gets the message, unless it would be left without a scheduling context and does not
    want that; when none waits a blocking sender does. *)
Definition send (t e badge : N) (grant grant_reply is_call lends blocking : bool) (st : State) : Sent * State :=
  match receivers (endpoint e st) with
  | first :: rest =>
      match run_state (thread first st) with
      | BlockedOnReceive _ r requires receiver_grant =>
          let lending := lends_now t first (lends && (negb is_call || answerable r grant grant_reply)) st in
          if leaves_without_context first requires lending st then (Refused, st)
          else
            let st := change_endpoint e (fun x => x <| receivers := rest |>) st in
            (Delivered, meet t first e badge r receiver_grant grant grant_reply is_call lends st)
      | _ => (Dropped, emit Stuck st)
      end
  | [] =>
      if blocking then
        (Waits,
         unplace t st
           >> change_thread t (with_state (BlockedOnSend e badge grant grant_reply is_call lends))
           >> (fun st => change_endpoint e (fun x => x <| senders := insert_behind t (senders x) st |>) st))
      else (Dropped, st)
  end.

(** A sender whose message a receiver refuses gets NoDonation; a faulting one becomes inactive. *)
Definition refuse_sender (t : N) (st : State) : State :=
  match fault (thread t st) with
  | Some _ => change_thread t (fun x => with_state Inactive (x <| fault := None |>)) st
  | None => set_error_result Error.NoDonation t st >> wake t
  end.

(** Takes the message of the first sender; says whether there was one. A plain sender goes on. *)
Definition receive_from (queue : list N) (t e : N) (r : option N) (may_grant : bool) (st : State) : bool * State :=
  match queue with
  | sender :: rest =>
      match run_state (thread sender st) with
      | BlockedOnSend _ badge grant grant_reply is_call lends =>
          let st := change_endpoint e (fun x => x <| senders := rest |>) st in
          let st := meet sender t e badge r may_grant grant grant_reply is_call lends st in
          (true, if is_call then st else set_empty_result sender st >> wake sender)
      | _ => (false, emit Stuck st)
      end
  | [] => (false, st)
  end.

(** The first sender, if a receiver without a scheduling context that requires one would refuse it; and that it does so. *)
Definition first_refused (e : N) (r : option N) (st : State) : option N :=
  match senders (endpoint e st) with
  | sender :: _ =>
      match run_state (thread sender st) with
      | BlockedOnSend _ _ grant grant_reply is_call lends =>
          if lends && is_some (context_of sender st) && (negb is_call || answerable r grant grant_reply) then None else Some sender
      | _ => None
      end
  | [] => None
  end.
Definition refuse_first (e : N) (r : option N) (st : State) : State :=
  match first_refused e r st with
  | Some sender => change_endpoint e (fun x => x <| senders := tl (senders x) |>) st >> refuse_sender sender
  | None => st
  end.

(** The flags of a notification, as a thread receives them. *)
Definition take_flags (t n : N) (st : State) : State :=
  let word := or_default 0 (word_of_flags (notification n st)) in
  change_notification n (fun x => x <| word_of_flags := None |>) st
    >> change_thread t (with_result word notification_message_info [])
    >> lend_context t n.
Definition is_active (n : N) (st : State) : bool := is_some (word_of_flags (notification n st)).

(** Whether the bound notification of a thread has flags for it. *)
Definition is_signalled (t : N) (st : State) : bool :=
  match bound_notification (thread t st) with Some n => is_active n st | None => false end.

(** Receives from an endpoint through a capability that has the right grant or not. A reply object that stands for a call is freed
    first. Flags of the bound notification come before messages. Who would be refused was, before. *)
Definition receive (t e : N) (r : option N) (requires may_grant blocking : bool) (st : State) : State :=
  let st := match r with Some r => free_reply r st | None => st end in
  let bound := bound_notification (thread t st) in
  match bound, is_signalled t st with
  | Some n, true => take_flags t n st >> (fun st => if is_some (context_of t st) && negb (member t (ready st)) then wake_ahead t st else st)
  | _, _ =>
      let (received, st) := receive_from (senders (endpoint e st)) t e r may_grant st in
      if received then st
      else if blocking then
        let st := unplace t st >> change_thread t (begin_receive (BlockedOnReceive e r requires may_grant)) in
        let st := change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st |>) st in
        let st := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st | None => st end in
        match bound with Some n => return_lent_context t n st | None => st end
      else set_empty_result t st
  end.

(** Waits on a notification. *)
Definition wait_on (t n : N) (blocking : bool) (st : State) : State :=
  if is_active n st then
    take_flags t n st >> (fun st => if is_some (context_of t st) && negb (member t (ready st)) then wake_ahead t st else st)
  else if blocking then
    unplace t st
      >> change_thread t (with_state (BlockedOnNotification n))
      >> (fun st => change_notification n (fun x => x <| waiters := insert_behind t (waiters x) st |>) st)
      >> return_lent_context t n
  else set_empty_result t st.

(** ** Signals *)

(** A thread that waits takes the flags and runs. *)
Definition hand_flags_to (t n : N) (st : State) : State := stop_waiting t st >> take_flags t n >> wake t.

(** The notification is active from now on, and the badge is added to its flags. If it was not active before, a thread that waits takes
    them: the first waiter, or the bound thread if it receives from an endpoint. *)
Definition signal (n badge : N) (st : State) : State :=
  let add x := x <| word_of_flags := Some (N.lor (or_default 0 (word_of_flags x)) badge) |> in
  let was_active := is_active n st in
  let st := change_notification n add st in
  match was_active, waiters (notification n st), bound_thread (notification n st) with
  | false, first :: _, _ => hand_flags_to first n st
  | false, [], Some t =>
      match run_state (thread t st) with BlockedOnReceive _ _ _ _ => hand_flags_to t n st | _ => st end
  | _, _, _ => st
  end.

(** ** Faults *)

(** A thread faults: the kernel calls the endpoint in one of the thread's slots in its name. Without an endpoint that can be sent
    to and can answer the thread becomes inactive. *)
Definition raise_fault_to (slot : N) (lends : bool) (t : N) (f : Fault) (st : State) : State :=
  match capability_at (slot_of t slot) st with
  | Some (EndpointCap e badge r) =>
      if can_write r && (can_grant r || can_grant_reply r) then
        let st := change_thread t (fun x => x <| fault := Some f |>) st in
        match send t e badge (can_grant r) (can_grant_reply r) true lends true st with
        | (Refused, st) => make_inactive t st
        | (_, st) => st
        end
      else make_inactive t st
  | _ => make_inactive t st
  end.
Definition raise_fault : N -> Fault -> State -> State := raise_fault_to fault_slot true.

(** A reply to a fault. The words of the reply become registers where the fault says so, as many as there are. *)
Definition condition_flags : N := 0xf0000000.
Definition saved_register (r value : N) : N * N := (r, if r =? spsr then N.land value condition_flags else value).
Definition write_registers (numbers values : list N) (t : Thread) : Thread :=
  with_registers (map (fun rv => saved_register (fst rv) (snd rv)) (combine numbers values)) t.
Definition thread_pointers : nat := 2.                    (* the last of UserContext *)
Definition registers_of_fault (f : FaultLabel.t) : list N :=
  match f with
  | FaultLabel.UnknownSyscall => [0; 1; 2; 3; 4; 5; 6; 7; pc; sp; 30; spsr]
  | FaultLabel.UserException => [pc; sp; spsr]
  | FaultLabel.Timeout => firstn (length user_context - thread_pointers) user_context
  | _ => []
  end.

(** What a reply to DebugException means depends on the reason. *)
Definition debug_reply (f : Fault) (values : list N) (t : Thread) : Thread :=
  match BreakpointType.of_number (nth 1 (fault_words f) 0), values with
  | Some BreakpointType.SingleStep, _ => t <| step_count := hd 0 values |>
  | Some BreakpointType.SoftwareBreakRequest, address :: _ => with_register pc address t
  | _, _ => t
  end.
Definition goes_on (f : Fault) (reply_label : N) : bool :=
  match fault_label f with FaultLabel.VMFault | FaultLabel.CapFault => true | _ => reply_label =? 0 end.
Definition answer_fault (t : N) (f : Fault) (m : Message) (st : State) : State :=
  let st := change_thread t (fun x =>
    let x := write_registers (registers_of_fault (fault_label f)) (words m) (x <| fault := None |>) in
    match fault_label f with FaultLabel.DebugException => debug_reply f (words m) x | _ => x end) st in
  if goes_on f (label m) then st else change_thread t (with_state Inactive) st.

(** ** Answers

    The thread [t] sends its message to a reply object: the caller that it stands for gets it, and the context that went with the call. Capabilities go
    along if the capability to the reply object has the right grant, and the one through which the call was received had it. *)
Definition answer_may_grant (s : RunState) : bool := match s with BlockedOnReply _ may_grant => may_grant | _ => false end.
Definition answer (t r : N) (grant : bool) (st : State) : State :=
  match caller (reply r st) with
  | Some c =>
      let had_context := is_some (context_of c st) in
      let grant := grant && answer_may_grant (run_state (thread c st)) in
      let st := return_context r c st >> put_reply r unused_reply >> change_thread c (with_state Running) in
      let st := match fault (thread c st) with
                | Some f => answer_fault c f (message_of_call t st) st
                | None => deliver (message_of_call t st) None 0 grant t c st
                end in
      if negb (is_running c st) then st else if had_context then wake c st else wake_ahead c st
  | None => st
  end.

(** A fault message says what the registers of the thread were. *)
Definition fault_report (l : FaultLabel.t) (values : list N) : Fault := {| fault_label := l; fault_words := map wrap values |}.
