(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Time: scheduling contexts, queues and the choice of the next thread

    A thread runs when it is runnable, has a scheduling context whose first refill may be used, belongs to the current domain, and
    no such thread of higher priority is there. Time is counted in timer ticks; every event says what time it is. *)
From Spec Require Export Capabilities.
Open Scope N_scope.

(** ** Repetition

    A loop takes turns until one of them finishes it. It is told how many turns there can be before that: [repeat_after n turn a] takes n + 1
    at least, as it doubles one turn as often as n has bits. Claim [loops_finish] says that this is enough. *)
Inductive Turn_of_loop (A B : Type) := Again (a : A) | Finished (b : B).
Arguments Again {A B} a.
Arguments Finished {A B} b.
Fixpoint repeat_doubled {A B} (doublings : nat) (turn : A -> Turn_of_loop A B) (a : A) : Turn_of_loop A B :=
  match doublings with
  | O => turn a
  | S half => match repeat_doubled half turn a with Again a' => repeat_doubled half turn a' | finished => finished end
  end.
Definition repeat_after {A B} (n : N) : (A -> Turn_of_loop A B) -> A -> Turn_of_loop A B := repeat_doubled (N.to_nat (N.size n)).

(** ** Units

    The interface counts microseconds. Amounts of time are rounded down to ticks, periods up. *)
Definition ticks_down (us : N) (st : State) : N := us * timer_frequency (machine st) / 1000000.
Definition ticks_up (us : N) (st : State) : N := (us * timer_frequency (machine st) + 999999) / 1000000.
Definition microseconds (ticks : N) (st : State) : N := ticks * 1000000 / timer_frequency (machine st).
Definition smallest_budget (st : State) : N := ticks_down (smallest_budget_us (machine st)) st.

(** ** Refills

    The refills of a context are in the order of their times. Their amounts, with what is unreturned, sum to its budget. What was used
    comes back a period later. Budget may come late in all of this, never early. *)
Definition configured (c : SchedContext) : bool := match refills c with [] => false | _ => true end.

(** With a period equal to its budget a context has no limit: it takes turns with its equals. *)
Definition is_round_robin (c : SchedContext) : bool := configured c && (budget c =? period c).

Definition end_of (r : Refill) : N := usable_at r + amount r.

(** [r] comes back behind all the others. It joins the last when the two touch. Else a piece that is smaller than the smallest budget waits for the next
    piece; and when a context has as many refills as it has room for, [extra_refills] + 2, the last one is delayed until it touches [r]. *)
Definition give_back (smallest : N) (r : Refill) (c : SchedContext) : SchedContext :=
  let piece := {| usable_at := usable_at r; amount := amount r + unreturned c |} in
  let c := c <| unreturned := 0 |> in
  match refills c with
  | [] => c <| refills := [piece] |>
  | first :: _ =>
      let last_one := last (refills c) first in
      let both := amount last_one + amount piece in
      if usable_at piece <=? end_of last_one
      then c <| refills := removelast (refills c) ++ [{| usable_at := usable_at last_one; amount := both |}] |>
      else if amount piece <? smallest then c <| unreturned := amount piece |>
      else if N.of_nat (length (refills c)) =? extra_refills c + 2
      then c <| refills := removelast (refills c) ++ [{| usable_at := usable_at piece - amount last_one; amount := both |}] |>
      else c <| refills := refills c ++ [piece] |>
  end.

(** The only refill is delayed by a period: when it is used up, or too small. What waits comes back with it. *)
Definition delay_only (only : Refill) (c : SchedContext) : SchedContext :=
  c <| refills := [{| usable_at := usable_at only + period c; amount := amount only + unreturned c |}] |> <| unreturned := 0 |>.

(** A first refill that is left too small joins the next one; without a next one it is delayed. *)
Definition mend_first (smallest : N) (c : SchedContext) : SchedContext :=
  match refills c with
  | [] => c
  | first :: rest =>
      if smallest <=? amount first then c
      else match rest with
           | [] => delay_only first c
           | second :: others =>
               let start := N.max (usable_at second) (end_of first) - amount first in
               c <| refills := {| usable_at := start; amount := amount first + amount second |} :: others |>
           end
  end.

(** [used] ticks are charged to the first refills of a context that has a limit. A refill begins at its time, or when the one before it
    is used up. An empty refill ends the charge: each turn before the last takes some of what was used. *)
Definition charge_step (smallest : N) (c : SchedContext * N) : Turn_of_loop (SchedContext * N) SchedContext :=
  let (c, used) := c in
  match refills c with
  | [] => Finished c
  | first :: rest =>
      let later := usable_at first + period c in
      if (used =? 0) || (amount first =? 0) then Finished c
      else if amount first <=? used then
        match rest with
        | [] => Again (delay_only first c, used - amount first)
        | second :: others =>
            let whole := {| usable_at := later; amount := amount first |} in
            let second := {| usable_at := N.max (usable_at second) (end_of first); amount := amount second |} in
            Again (give_back smallest whole (c <| refills := second :: others |>), used - amount first)
        end
      else
        let first := {| usable_at := usable_at first + used; amount := amount first - used |} in
        Finished (give_back smallest {| usable_at := later; amount := used |} (c <| refills := first :: rest |>))
  end.

(** A turn of a context without a limit is over when less than the smallest budget is left of it. *)
Definition charge (used smallest : N) (c : SchedContext) : SchedContext :=
  if is_round_robin c then
    match refills c with
    | first :: _ =>
        let remaining := if used + smallest <=? amount first then amount first - used else budget c in
        c <| refills := [{| usable_at := usable_at first; amount := remaining |}] |>
    | [] => c
    end
  else
    match repeat_after used (charge_step smallest) (c, used) with Finished c | Again (c, _) => mend_first smallest c end.

(** A context that begins to be used after its first refill was usable uses that from then on, and with it the next ones that it then
    touches, four at most. Of a sporadic context this is when its thread becomes ready, of another when the thread begins to run. *)
Definition most_joined : nat := 4.
Fixpoint join_touching (count : nat) (time : N) (first : Refill) (rest : list Refill) : list Refill :=
  match count, rest with
  | S fewer, second :: others =>
      if usable_at second <=? end_of first
      then join_touching fewer time {| usable_at := time; amount := amount first + amount second |} others
      else first :: rest
  | _, _ => first :: rest
  end.
Definition begin_use (time : N) (c : SchedContext) : SchedContext :=
  match refills c with
  | first :: rest =>
      if is_round_robin c || (time <? usable_at first) then c
      else c <| refills := join_touching most_joined time {| usable_at := time; amount := amount first |} rest |>
  | [] => c
  end.
Definition is_sporadic (c : SchedContext) : bool := SchedContextFlags.sporadic (context_flags c) =? 1.

Definition usable (time : N) (c : SchedContext) : bool :=
  match refills c with first :: _ => usable_at first <=? time | [] => false end.
Definition refill_time (c : SchedContext) : N := match refills c with first :: _ => usable_at first | [] => 0 end.

(** ** Queues *)

(** A new thread in a queue stands ahead of the first that it precedes: by priority behind its equals, or ahead of them. *)
Fixpoint insert_by (precedes : N -> bool) (t : N) (queue : list N) : list N :=
  match queue with
  | first :: rest => if precedes first then t :: queue else first :: insert_by precedes t rest
  | [] => [t]
  end.
Definition insert_behind (t : N) (queue : list N) (st : State) : list N :=
  insert_by (fun other => priority (thread other st) <? priority (thread t st)) t queue.
Definition insert_ahead (t : N) (queue : list N) (st : State) : list N :=
  insert_by (fun other => priority (thread other st) <=? priority (thread t st)) t queue.

Definition context_of (t : N) (st : State) : option N := sched_context (thread t st).
Definition wake_time (t : N) (st : State) : N :=
  match context_of t st with Some c => refill_time (context c st) | None => 0 end.
(** Those that wait for a refill stand by its time, and by priority when the time is the same. *)
Definition insert_by_time (t : N) (queue : list N) (st : State) : list N :=
  insert_by (fun other => (wake_time t st <? wake_time other st)
                          || ((wake_time t st =? wake_time other st) && (priority (thread other st) <? priority (thread t st)))) t queue.

Definition is_running (t : N) (st : State) : bool :=
  match run_state (thread t st) with Running => true | _ => false end.

(** A thread leaves the queues of those that can run, or takes the place that its state and context give it. Who stands ahead among
    equals that become ready in the same step is the kernel's choice, which the event may tell. *)
Definition unplace (t : N) (st : State) : State :=
  st <| ready := without t (ready st) |> <| sleeping := without t (sleeping st) |>.
Definition place_by (usual : N -> list N -> State -> list N) (t : N) (st : State) : State :=
  let st := unplace t st in
  let insert := if is_number (ahead (choices st)) t then insert_ahead else if is_number (behind (choices st)) t then insert_behind else usual in
  match is_running t st, context_of t st with
  | true, Some c =>
      if negb (configured (context c st)) then st
      else if usable (now st) (context c st) then st <| ready := insert t (ready st) st |>
      else st <| sleeping := insert_by_time t (sleeping st) st |>
  | _, _ => st
  end.
Definition place : N -> State -> State := place_by insert_behind.
Definition place_ahead : N -> State -> State := place_by insert_ahead.

(** A thread that changes its queue: behind its new equals, but the one that runs stands ahead of them. *)
Definition place_anew (t : N) (st : State) : State := if is_number (current st) t then place_ahead t st else place t st.

(** A thread that becomes runnable. A context that is in use when it goes on in another thread's hands does not begin to be used. *)
Definition begin_sporadic (t : N) (st : State) : State :=
  match context_of t st with
  | Some c =>
      if is_sporadic (context c st) && negb (is_number (current_context st) c) then change_context c (begin_use (now st)) st else st
  | None => st
  end.
Definition wake (t : N) (st : State) : State := change_thread t (with_state Running) st >> begin_sporadic t >> place t.
Definition wake_ahead (t : N) (st : State) : State :=
  change_thread t (with_state Running) st >> begin_sporadic t >> place_ahead t.

(** A scheduling context goes from a thread to another, which has none. *)
Definition give_context (c to : N) (st : State) : State :=
  let st := match context_thread (context c st) with
            | Some from => unplace from st >> change_thread from (fun t => t <| sched_context := None |>)
            | None => st
            end in
  change_context c (fun x => x <| context_thread := Some to |>) st
    >> change_thread to (fun t => t <| sched_context := Some c |>).

(** ** Booking

    The time that a context was used is booked when it is left, or when something needs to know it. *)
Definition book (st : State) : State :=
  let used := now st - charged_until st in
  let st := st <| charged_until := now st |> in
  match current_context st with
  | Some c =>
      match objects st !! c with
      | Some (SchedContextObject _) =>
          change_context c (fun x => charge used (smallest_budget st) x <| consumed := consumed x + used |>) st
      | _ => st
      end
  | None => st
  end.

(** Whether the current turn of a round-robin context has ended. *)
Definition turn_is_over (c : N) (st : State) : bool :=
  match refills (context c st) with
  | first :: _ => is_round_robin (context c st) && (amount first <? now st - charged_until st + smallest_budget st)
  | [] => false
  end.

(** Books. When the turn of a round-robin context is over its thread goes behind its equals. When the budget is used up the thread stays
    where it is until the end of the step, where [end_budget] sees to it, as time is booked in this step. *)
Definition is_used_up (c : N) (st : State) : bool := configured (context c st) && negb (usable (now st) (context c st)).
Definition thread_that_uses (c : N) (st : State) : option N :=
  match context_thread (context c st) with Some t => if member t (ready st) then Some t else None | None => None end.
Definition will_book (st : State) : State := st <| choices := choices st <| books := true |> |>.
Definition book_turn (st : State) : State :=
  match current_context st with
  | Some c =>
      let over := turn_is_over c st in
      let st := book st in
      match thread_that_uses c st with
      | Some t => if over then place t st else if is_used_up c st then will_book st else st
      | None => st
      end
  | None => book st
  end.

(** Microseconds used since the last report, which this is: as far as they are booked, or with those since then. *)
Definition report_booked (c : N) (st : State) : N * State :=
  (microseconds (consumed (context c st)) st, change_context c (fun x => x <| consumed := 0 |>) st).
Definition report_consumed (c : N) (st : State) : N * State :=
  report_booked c (if is_number (current_context st) c then book_turn st else st).

(** ** Domains

    The entry that the schedule has at boot has no end. *)
Definition endless : N := word_mask.
Definition turn_of (index : N) (st : State) : Turn :=
  or_default {| turn_domain := 0; turn_length := 0 |} (schedule st !! index).
Definition begin_turn (index : N) (st : State) : State :=
  let turn := turn_of index st in
  st <| schedule_index := index |> <| current_domain := turn_domain turn |>
     <| turn_end := if turn_length turn =? endless then None else Some (now st + turn_length turn) |>.
Definition next_turn (st : State) : State :=
  let next := schedule_index st + 1 in
  if (next <? domain_schedule_entries) && negb (turn_length (turn_of next st) =? 0)
  then begin_turn next st else begin_turn (schedule_start st) st.
Definition end_turn_if_due (st : State) : State :=
  match turn_end st with Some time => if time <=? now st then next_turn st else st | None => st end.

(** ** The next thread *)

(** Results that the kernel leaves in a thread's registers: a badge, a message info, and words. Of the register words those beyond the message are 0. *)
Definition message_registers : list N := [2; 3; 4; 5; 9; 10; 11; 12; 13; 14; 15; 16].
Fixpoint pair_up (registers words : list N) : list (N * N) :=
  match registers with
  | r :: rest => (r, hd 0 words) :: pair_up rest (tl words)
  | [] => []
  end.
Definition with_result (badge info : N) (words : list N) (t : Thread) : Thread :=
  with_registers ((0, badge) :: (1, info) :: pair_up message_registers words) t.
Definition length_of (words : list N) : N := N.of_nat (length words).

(** An empty result leaves the words as they were. *)
Definition with_empty_result : Thread -> Thread := with_registers [(0, 0); (1, 0)].

(** The result of an invocation or of a send: an error, or words, and what they say more. *)
Definition with_error_result (e : Error.t) (words : list N) (t : Thread) : Thread :=
  with_result 0 (MessageInfo.make (length_of words) 0 0 (Error.number e)) words t.

(** A YieldTo returns, with what was used of the context. *)
Definition end_yield_by (report : N -> State -> N * State) (t : N) (st : State) : State :=
  match yielded_to (thread t st) with
  | Some c =>
      let (used, st) := report c st in
      change_context c (fun x => x <| yielder := None |>) st
        >> change_thread t (fun x => with_error_result Error.NoError [used] (x <| yielded_to := None |>))
  | None => st
  end.

Definition end_yield : N -> State -> State := end_yield_by report_consumed.

(** Or it does not return at all, when its caller goes on with something else. *)
Definition forget_yield (t : N) (st : State) : State :=
  match yielded_to (thread t st) with
  | Some c =>
      change_context c (fun x => x <| yielder := None |>) st >> change_thread t (fun x => x <| yielded_to := None |>)
  | None => st
  end.

Definition first_ready (st : State) : option N :=
  List.find (fun t => thread_domain (thread t st) =? current_domain st) (ready st).
