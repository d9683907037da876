(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Methods of scheduling contexts, of the authority over them, and of domains *)
From Spec Require Export ThreadMethods.
Open Scope N_scope.

(** ** SchedContext *)
Definition invoked_context (call : Invocation) : N := match invoked call with SchedContextCap c _ => c | _ => 0 end.

Definition sched_context_bind (target : Argument) (call : Invocation) (st : State) : Decision :=
  let c := invoked_context call in
  let unbound := negb (is_some (context_thread (context c st))) && negb (is_some (context_notification (context c st))) in
  match argument target with
  | Some (TCBCap t) =>
      require unbound otherwise illegal_operation;
      require negb (is_some (context_of t st)) otherwise illegal_operation;
      always (bind_context c t)
  | Some (NotificationCap n _ _) =>
      require unbound otherwise illegal_operation;
      require negb (is_some (lent_context (notification n st))) otherwise illegal_operation;
      always (fun st =>
        change_notification n (fun x => x <| lent_context := Some c |>) st
          >> change_context c (fun x => x <| context_notification := Some n |>))
  | _ => invalid_capability 1
  end.

Definition sched_context_unbind (call : Invocation) (st : State) : Decision :=
  let c := invoked_context call in
  require negb (is_number (context_thread (context c st)) (invoker call)) otherwise illegal_operation;
  always (fun st => unbind_thread_of_context c st >> unbind_notification_of_context c).

Definition sched_context_unbind_object (target : Argument) (call : Invocation) (st : State) : Decision :=
  let c := invoked_context call in
  match argument target with
  | Some (TCBCap t) =>
      require is_number (context_thread (context c st)) t otherwise illegal_operation;
      require negb (is_invoker t call) otherwise illegal_operation;
      always (unbind_thread_of_context c)
  | Some (NotificationCap n _ _) =>
      require is_number (context_notification (context c st)) n otherwise illegal_operation;
      always (unbind_notification_of_context c)
  | _ => invalid_capability 1
  end.

Definition sched_context_consumed (call : Invocation) (st : State) : Decision :=
  Perform (fun st => let (used, st) := report_consumed (invoked_context call) st in Returns [used] st).

(** A thread that can run at once does; the caller stays right behind it, and its call returns when it runs again. Another thread
    that is ready comes first among its equals. *)
Definition sched_context_yield_to (call : Invocation) (st : State) : Decision :=
  let c := invoked_context call in
  let self := invoker call in
  match context_thread (context c st) with
  | None => illegal_operation
  | Some t =>
      require negb (is_invoker t call) otherwise illegal_operation;
      require priority (thread t st) <=? controlled_priority (thread self st) otherwise illegal_operation;
      Perform (fun st =>
        let st := match yielder (context c st) with Some other => end_yield other st | None => st end in
        let is_ready := member t (ready st) in
        let runs_at_once := is_ready && (priority (thread self st) <=? priority (thread t st))
                            && (thread_domain (thread t st) =? current_domain st) in
        if runs_at_once then
          Continues (place_ahead self st
                       >> place_ahead t
                       >> change_context c (fun x => x <| yielder := Some self |>)
                       >> change_thread self (fun x => x <| yielded_to := Some c |>))
        else
          let st := if is_ready then place_ahead t st else st in
          let (used, st) := report_consumed c st in
          Returns [used] st)
  end.

(** ** SchedControl *)

(** A context of 2^n bytes has room for so many refills. *)
Definition refill_room (bits : N) : N := (N.shiftl 1 bits - sched_context_core_bytes) / refill_bytes.

(** The refills of a context that is configured: all of the budget now. If a thread has it already at most what was left, at the time at
    which it is usable but not before now, and the rest a period later; all of it a period later when one of the two is too small. What
    is left of a turn counts from now on; a turn that is over begins anew. *)
Definition configured_refills (c : SchedContext) (new_budget new_period smallest time : N) : list Refill :=
  match refills c, context_thread c with
  | first :: _, Some _ =>
      let start := N.max time (usable_at first) in
      let remaining := N.min (amount first) new_budget in
      let rest := new_budget - remaining in
      if new_budget =? new_period then [{| usable_at := time; amount := if remaining <? smallest then new_budget else remaining |}]
      else if rest =? 0 then [{| usable_at := start; amount := remaining |}]
      else if (remaining <? smallest) || (rest <? smallest) then [{| usable_at := start + new_period; amount := new_budget |}]
      else [{| usable_at := start; amount := remaining |}; {| usable_at := start + new_period; amount := rest |}]
  | _, _ => [{| usable_at := time; amount := new_budget |}]
  end.
Definition configure_context (core budget_ period_ extra badge flags_ : N) (st : State) (c : SchedContext) : SchedContext :=
  let new_budget := ticks_down budget_ st in
  let new_period := if budget_ =? period_ then new_budget else ticks_up period_ st in
  c <| context_core := core |> <| budget_us := budget_ |> <| period_us := period_ |> <| budget := new_budget |>
    <| period := new_period |> <| extra_refills := extra |> <| context_badge := badge |>
    <| context_flags := SchedContextFlags.make (SchedContextFlags.sporadic flags_) |> <| unreturned := 0 |>
    <| refills := configured_refills c new_budget new_period (smallest_budget st) (now st) |>.

Definition sched_control_configure_flags (budget_ period_ extra badge flags_ : N) (target : Argument) (call : Invocation)
    (st : State) : Decision :=
  match argument target, invoked call with
  | Some (SchedContextCap c bits), SchedControlCap core =>
      let smallest := smallest_budget_us (machine st) in
      require (smallest <=? budget_) && (budget_ <=? timeout_max_us) otherwise range_error smallest timeout_max_us;
      require (smallest <=? period_) && (period_ <=? timeout_max_us) otherwise range_error smallest timeout_max_us;
      require budget_ <=? period_ otherwise range_error smallest period_;
      require extra <=? refill_room bits - 2 otherwise range_error 0 (refill_room bits - 2);
      always (fun st =>
        let in_use := is_number (current_context st) c in
        let st := if in_use then book_turn st else st in
        let st := change_context c (configure_context core budget_ period_ extra badge flags_ st) st in
        match thread_that_uses c st, context_thread (context c st) with
        | Some t, _ =>
            if in_use && is_used_up c st then will_book st
            else place_anew t st
        | None, Some t => place t st
        | None, None => st
        end)
  | _, _ => invalid_capability 1
  end.

(** ** Domain *)
Definition domain_set (domain : N) (tcb : Argument) (call : Invocation) (st : State) : Decision :=
  require domain <? domains otherwise invalid_argument 0;
  t <- thread_argument tcb 1;
  always (fun st =>
    let st := change_thread t (fun x => x <| thread_domain := domain |>) st in
    if member t (ready st) then place_anew t st else st).

Definition domain_schedule_configure (index domain duration : N) (call : Invocation) (st : State) : Decision :=
  require index <? domain_schedule_entries otherwise range_error 0 (domain_schedule_entries - 1);
  require domain <? domains otherwise range_error 0 (domains - 1);
  let smallest := smallest_budget_us (machine st) in
  require (duration =? 0) || ((smallest <=? duration) && (duration <=? timeout_max_us)) otherwise range_error smallest timeout_max_us;
  require negb (duration =? 0) || negb (index =? schedule_start st) otherwise illegal_operation;
  always (fun st => st <| schedule := set index {| turn_domain := domain; turn_length := ticks_up duration st |} (schedule st) |>).

Definition domain_schedule_set_start (index : N) (call : Invocation) (st : State) : Decision :=
  require index <? domain_schedule_entries otherwise range_error 0 (domain_schedule_entries - 1);
  require negb (turn_length (turn_of index st) =? 0) otherwise illegal_operation;
  always (fun st => st <| schedule_start := index |> >> begin_turn index).
