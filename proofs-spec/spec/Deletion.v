(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Deletion

    What the deletion of a capability does, in units between which it can be preempted. The last capability to a CNode or thread
    takes along what is in its slots; that may be the last capability to a further one, and so on, in chains and in cycles. *)
From Spec Require Export Spaces.
Open Scope N_scope.

(** ** Units of work

    Preemptible work is done in units. Before each of them is a preemption point. An event says how many units are done before the
    operation is preempted, if one more is left then; the state has how many of these are left. *)
Inductive Progress := Done (st : State) | Preempted (st : State).
Definition state_of (p : Progress) : State := match p with Done st | Preempted st => st end.
Definition and_then (p : Progress) (f : State -> Progress) : Progress :=
  match p with Done st => f st | Preempted st => Preempted st end.
Definition allow (units : N) (st : State) : State := st <| allowance := units |>.
Definition must_stop (st : State) : bool := allowance st =? 0.

(** Does units of work as long as [remains] says that there is one more, or until the step is preempted. *)
Definition unit_turn {A} (remains : A -> State -> bool) (work : A -> State -> A * State) (x : A * N * State) : Turn_of_loop (A * N * State) Progress :=
  let '(a, units, st) := x in
  if negb (remains a st) then Finished (Done (allow units st))
  else if units =? 0 then Finished (Preempted (allow 0 st))
  else let (a, st) := work a st in Again (a, units - 1, st).
Definition in_units {A} (remains : A -> State -> bool) (work : A -> State -> A * State) (a : A) (st : State) : Progress :=
  match repeat_after (allowance st) (unit_turn remains work) (a, allowance st, st) with Finished p => p | Again (_, _, st) => Preempted st end.

(** ** The ends of objects

    A capability leaves its slot for good, and with the last one of an object the object. A zombie is the last one of its container. *)
Definition remove_object (o : N) (st : State) : State := st <| objects := remove o (objects st) |>.
Definition discard (slot : N) (st : State) : State :=
  match capability_at slot st with
  | Some c =>
      match object_of c, is_zombie c || is_last c st with
      | Some o, true => remove_capability slot st >> remove_object o
      | _, _ => remove_capability slot st
      end
  | None => st
  end.

Definition unbind_notification (t n : N) (st : State) : State :=
  change_thread t (fun x => x <| bound_notification := None |>) st
    >> change_notification n (fun x => x <| bound_thread := None |>).
Definition unbind_thread_of_context (c : N) (st : State) : State :=
  match context_thread (context c st) with
  | Some t =>
      let st := if is_number (current_context st) c then book_turn st else st in
      unplace t st
        >> change_thread t (fun x => x <| sched_context := None |>)
        >> change_context c (fun x => x <| context_thread := None |>)
  | None => st
  end.
Definition unbind_notification_of_context (c : N) (st : State) : State :=
  match context_notification (context c st) with
  | Some n =>
      change_notification n (fun x => x <| lent_context := None |>) st
        >> change_context c (fun x => x <| context_notification := None |>)
  | None => st
  end.

(** A thread ends: it stops, and is unbound from its notification and its scheduling context. Its slots remain. *)
Definition end_thread (t : N) (st : State) : State :=
  let st := suspend t st in
  let st := match bound_notification (thread t st) with Some n => unbind_notification t n st | None => st end in
  match context_of t st with Some c => unbind_thread_of_context c st | None => st end.

(** A notification ends, when nobody waits on it any more: it is unbound. *)
Definition end_notification (n : N) (st : State) : State :=
  let st := match bound_thread (notification n st) with Some t => unbind_notification t n st | None => st end in
  match lent_context (notification n st) with Some c => unbind_notification_of_context c st | None => st end.

(** A scheduling context ends: thread and notification lose it, calls go on without it, and a YieldTo to it returns. *)
Definition end_context (c : N) (st : State) : State :=
  let st := match yielder (context c st) with Some t => end_yield t st | None => st end in
  let st := unbind_thread_of_context c st >> unbind_notification_of_context c in
  fold_left (fun st r => put_reply r (without_context (reply r st)) st) (calls (context c st)) st.

(** An interrupt loses its last handler: it is masked, and deactivated if it was taken. *)
Definition end_interrupt (irq : N) (st : State) : State :=
  match interrupts st !! irq with
  | Some i =>
      let st := if masked i then st else emit (MaskInterrupt irq) st in
      let st := if active i then emit (DeactivateInterrupt irq) st else st in
      st <| interrupts := remove irq (interrupts st) |>
  | None => st
  end.

(** What ends with a capability that is no CNode's or thread's: with each capability of a frame its mapping, with the last one of
    an object what the object does. *)
Definition let_go (c : Capability) (st : State) : State :=
  match c, is_last c st with
  | FrameCap base bits _ _ place, _ => unmap_frame base bits place st
  | NotificationCap o _ _, true => end_notification o st
  | ReplyCap o _, true => free_reply o st
  | SchedContextCap o _, true => end_context o st
  | VSpaceCap o asid, true => release_asid o asid st
  | PageTableCap o place, true => unmap_table o place st
  | ASIDPoolCap o, true => release_pool o st
  | IRQHandlerCap irq, true => end_interrupt irq st
  | _, _ => st
  end.

(** ** Zombies

    A CNode or thread whose last capability is deleted becomes a zombie: its slots are emptied from the last one down. *)
Definition container_of (c : Capability) (st : State) : option N :=
  match c with
  | CNodeCap o _ _ _ | TCBCap o => if is_last c st then Some o else None
  | ZombieCap o => Some o
  | _ => None
  end.
Definition is_within (slot container : N) (st : State) : bool :=
  (container <=? slot) && (slot <? slot_of container (slot_count container st)).

(** The last occupied slot of a container, and its capability. *)
Definition last_occupied (container : N) (st : State) : option (N * Capability) :=
  match last_below (slot_of container (slot_count container st)) (slots st) with
  | Some (slot, e) => if container <=? slot then Some (slot, capability e) else None
  | None => None
  end.

(** The last capability to a container becomes a zombie. *)
Definition make_zombie (slot : N) (st : State) : State :=
  match slots st !! slot with
  | Some e =>
      match container_of (capability e) st with
      | Some o => replace_capability slot e (ZombieCap o) st
      | None => emit Stuck st
      end
  | None => emit Stuck st
  end.
Definition become_zombie (slot : N) (c : Capability) (st : State) : State :=
  make_zombie slot (match c with TCBCap t => end_thread t st | _ => st end).

(** The slot that is being deleted is the _anchor_. When it holds the zombie of a container and a slot [s] of that turns out to hold the last capability to
    an inner one, the zombies are rotated: the inner one comes to the anchor, the outer one to the inner container's first slot, and what was there to [s].
    The first slot of a container is emptied last, so the outer zombie is met again when the inner container is done; then it comes back to the anchor. When
    the anchor lies inside the inner container the two capabilities change places, and the anchor moves to [s]. An inner container that is empty, and of
    which the kernel knows that it has passed all slots, goes where its zombie stands. *)
Definition rotate_zombies (anchor s inner : N) (st : State) : State :=
  let first := slot_of inner 0 in
  let st := move_capability s nowhere st in
  let st := if is_empty first st then st else move_capability first s st in
  move_capability anchor first st >> move_capability nowhere anchor.
Definition meet_inner (anchor s outer inner : N) (st : State) : N * State :=
  if member inner (passed_whole (choices st)) && negb (is_some (last_occupied inner st))
  then (anchor, discard s st)
  else if is_within anchor inner st then (s, exchange_capabilities anchor s st)
  else if (s =? slot_of outer 0) && negb (is_within anchor outer st)
  then (anchor, discard anchor st >> move_capability s anchor)
  else (anchor, rotate_zombies anchor s inner st).

(** Threads that wait on an object that goes away: those of an endpoint, or of a notification. *)
Definition waiting_on (c : Capability) (st : State) : list N :=
  match c with
  | EndpointCap e _ _ => senders (endpoint e st) ++ receivers (endpoint e st)
  | NotificationCap n _ _ => waiters (notification n st)
  | _ => []
  end.

(** Deletes the capability of a slot that is no container's last one; or does a part of what must come first: restarts one of those who wait on what it is
    the last to, or takes one of a pool's ASIDs away. The last capability of an interrupt handler first takes the notification capability along. *)
Definition delete_plain (s : N) (c : Capability) (st : State) : State :=
  match is_last c st, waiting_on c st, c with
  | true, t :: _, _ => restart t st
  | true, [], ASIDPoolCap p =>
      match first_assigned p st with
      | Some (index, v) => release_asid v (Some (asid_pool_entries * pool_index (pool p st) + index)) st
      | None => let_go c st >> discard s
      end
  | _, _, _ => let_go c st >> discard s
  end.
Definition delete_one (s : N) (c : Capability) (st : State) : State :=
  match c, is_last c st with
  | IRQHandlerCap irq, true =>
      match capability_at (irq_slot irq) st with
      | Some (NotificationCap n badge r) => delete_plain (irq_slot irq) (NotificationCap n badge r) st
      | _ => delete_plain s c st
      end
  | _, _ => delete_plain s c st
  end.

(** One unit of the deletion of the slot [anchor], as long as there is a capability in it. A zombie that stands in its own container goes
    to the first slot when it is the last one in there. *)
Definition to_first_slot (anchor first : N) (st : State) : State :=
  if is_empty first st then move_capability anchor first st else exchange_capabilities anchor first st.
Definition empty_zombie (anchor outer : N) (st : State) : N * State :=
  let first := slot_of outer 0 in
  match last_occupied outer st with
  | None => (anchor, discard anchor st)
  | Some (s, c) =>
      if s =? anchor then
        if anchor =? first then (anchor, discard anchor st)
        else (first, to_first_slot anchor first st)
      else
        match container_of c st with
        | Some inner => meet_inner anchor s outer inner (become_zombie s c st)
        | None => (anchor, delete_one s c st)
        end
  end.
Definition delete_unit (anchor : N) (st : State) : N * State :=
  match capability_at anchor st with
  | None => (anchor, st)
  | Some (ZombieCap outer) => empty_zombie anchor outer st
  | Some c =>
      match container_of c st with
      | Some _ => (anchor, become_zombie anchor c st)
      | None => (anchor, delete_one anchor c st)
      end
  end.
Definition is_occupied (slot : N) (st : State) : bool := negb (is_empty slot st).
Definition delete (slot : N) (st : State) : Progress := in_units is_occupied delete_unit slot st.

(** ** Revocation

    All descendants of a capability are deleted, the child derived last first: when a deletion is done, the next begins. *)
Definition next_deletion (slot anchor : N) (st : State) : N :=
  if is_occupied anchor st then anchor else hd nowhere (children_of slot st).
Definition revoke (slot : N) (st : State) : Progress :=
  in_units (fun anchor st => is_occupied anchor st || has_children slot st) (fun anchor st => delete_unit (next_deletion slot anchor st) st) nowhere st.

(** ** Replacement

    The capability in one of the kernel's own slots (a thread's, an interrupt's) is deleted and a copy of another takes its place.
    If the other has gone with what was deleted nothing does. *)
Definition insert_copy (slot source : N) (c : Capability) (st : State) : State :=
  match capability_at source st with
  | Some original => if is_empty slot st && stands_alike original c then insert_derived slot source false (derived c) st else st
  | None => st
  end.
Definition replace_slot (slot : N) (by_ : option (N * Capability)) (st : State) : Progress :=
  and_then (delete slot st) (fun st =>
    Done (match by_ with Some (source, c) => insert_copy slot source c st | None => st end)).

(** ** Cancelling sends

    The senders that wait at an endpoint with a badge restart, one after the other. The operation passes over others, and can be preempted there too. *)
Definition senders_in_turn (e : N) (st : State) : list N :=
  filter (fun t => negb (member t (passed_over (choices st)))) (senders (endpoint e st)).
Definition sender_with_badge (e badge : N) (st : State) : option N :=
  List.find (fun t => match run_state (thread t st) with BlockedOnSend _ b _ _ _ _ => b =? badge | _ => false end) (senders_in_turn e st).
Definition has_sender_with_badge (e badge : N) (_ : unit) (st : State) : bool := is_some (sender_with_badge e badge st).
Definition cancel_unit (e badge : N) (_ : unit) (st : State) : unit * State :=
  (tt, match sender_with_badge e badge st with Some t => restart t st | None => st end).
Definition cancel_badged_sends (e badge : N) (st : State) : Progress :=
  and_then (in_units (has_sender_with_badge e badge) (cancel_unit e badge) tt st) (fun st =>
    if must_stop st && is_some (hd_error (senders_in_turn e st)) then Preempted st else Done st).
