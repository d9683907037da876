(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Policies: who may hold what

    A policy is data: whose each piece of memory is, and which capabilities everybody may hold, at most. [pol_check] says whether a state is within
    a policy, and whether the policy is closed: whoever can get what another one may hold may hold it, too. It is no part of the kernel; nothing
    that defines a step needs it.

    Who holds capabilities is a _subject_, which is a number. What a thread runs with is kept apart from what it can invoke: the memory of a
    thread, with its five slots, belongs to a subject of its own, which _acts for_ the one that owns the thread's CSpace. *)
From Spec Require Export WellFormed.
Open Scope N_scope.

Record Region := { region_start : N; region_size : N; region_owner : N }.

(** Capabilities of one type to what lies in a range, with at most these rights. Where a type has no memory the range is one of numbers. *)
Record Holding := { holder : N; held_type : CapType.t; held_start : N; held_size : N; held_rights : Rights }.

(** [trusted] subjects pass on no more than what the policy lets others hold; [silent] ones, of which the policy says nothing, hold anything. *)
Record Policy := { regions : list Region; permitted : list Holding; acts_for : list (N * N); trusted : list N; silent : list N }.

Definition is_in (start size start' size' : N) : bool := (start' <=? start) && (start + size <=? start' + size').
Definition overlaps (start size start' size' : N) : bool := (start <? start' + size') && (start' <? start + size).
Definition owner_of (p : Policy) (address : N) : option N :=
  option_map region_owner (List.find (fun r => is_in address 1 (region_start r) (region_size r)) (regions p)).
Definition acting (p : Policy) (subject : N) : N :=
  match List.find (fun x => fst x =? subject) (acts_for p) with Some x => snd x | None => subject end.

(** ** What a subject may hold *)

(** The range that a capability is to, and its rights; of a type without rights all are counted. *)
Definition range_of (c : Capability) : N * N :=
  match c with
  | UntypedCap base bits _ _ | FrameCap base bits _ _ _ => (base, N.shiftl 1 bits)
  | EndpointCap o _ _ => (o, N.shiftl 1 endpoint_size_bits)
  | NotificationCap o _ _ => (o, N.shiftl 1 notification_size_bits)
  | ReplyCap o _ => (o, N.shiftl 1 reply_size_bits)
  | CNodeCap o radix _ _ => (o, N.shiftl 1 (radix + slot_bits))
  | TCBCap o => (o, N.shiftl 1 tcb_size_bits)
  | SchedContextCap o bits => (o, N.shiftl 1 bits)
  | VSpaceCap o _ | PageTableCap o _ | ASIDPoolCap o => (o, 4096)
  | SchedControlCap number | IRQHandlerCap number => (number, 1)
  | SGISignalCap irq target => (irq + 16 * target, 1)
  | ZombieCap o => (o, 1)
  | ASIDControlCap | IRQControlCap | DomainCap | InspectCap => (0, 1)
  end.
Definition no_rights : Rights := {| can_write := false; can_read := false; can_grant := false; can_grant_reply := false |}.
Definition rights_of (c : Capability) : Rights :=
  match c with EndpointCap _ _ r | NotificationCap _ _ r | FrameCap _ _ _ r _ => r | _ => no_rights end.
Definition no_more (a b : Rights) : bool := word_of_rights (common_rights a b) =? word_of_rights a.

Definition same_type (a b : CapType.t) : bool := CapType.number a =? CapType.number b.

(** What can be made of a holding without anybody's help: of an untyped what fits into it, of IRQControl every interrupt, and of a container
    that ends its zombie. *)
Definition made_of_untyped (t : CapType.t) : bool :=
  match t with
  | CapType.SchedControl | CapType.ASIDControl | CapType.IRQControl | CapType.IRQHandler | CapType.SGISignal | CapType.Domain
  | CapType.Inspect => false
  | _ => true
  end.
Definition covers (h : Holding) (t : CapType.t) (start size : N) (r : Rights) : bool :=
  let is := same_type (held_type h) in
  let inside := is_in start size (held_start h) (held_size h) in
  (is t && inside && no_more r (held_rights h))
  || (is CapType.Untyped && made_of_untyped t && inside)
  || (is CapType.IRQControl && (same_type t CapType.IRQHandler || same_type t CapType.SGISignal))
  || ((is CapType.CNode || is CapType.TCB) && same_type t CapType.Zombie && inside).
Definition gives (h : Holding) (c : Capability) : bool := covers h (cap_type c) (fst (range_of c)) (snd (range_of c)) (rights_of c).
Definition holdings_of (p : Policy) (subject : N) : list Holding := filter (fun h => holder h =? subject) (permitted p).
Definition may_hold (p : Policy) (subject : N) (c : Capability) : bool :=
  member subject (silent p) || existsb (fun h => gives h c) (holdings_of p subject).

(** ** States within a policy

    What breaks a policy, by name: a slot that is nobody's, a capability beyond what the slot's owner may hold, an entry of a page table for
    which the same is true, a thread that waits with more than it may, what one may hold and another one can get, by a rule, who may not, and that one
    can get what is held by another one, of whom the policy says nothing. *)
Inductive Rule := Taking | Controlling | Mapping | Granting | Replying | Sharing.
Inductive Violation :=
| Unowned (address : N)
| Exceeds (subject slot : N) (c : Capability)
| MapsBeyond (subject table : N) (e : PageEntry)
| WaitsBeyond (subject t : N)
| NotClosed (rule : Rule) (giver taker : N) (h : Holding)
| Unbounded (giver taker : N).

Definition unless (b : bool) (v : Violation) : list Violation := if b then [] else [v].
Definition within_slot (p : Policy) (entry : N * Entry) : list Violation :=
  match owner_of p (fst entry) with
  | Some subject => unless (may_hold p subject (capability (snd entry))) (Exceeds subject (fst entry) (capability (snd entry)))
  | None => [Unowned (fst entry)]
  end.

(** An entry of a page table counts as the capability that it was made of. *)
Definition stands_for (e : PageEntry) : Capability :=
  match e with NextTable t => PageTableCap t None | Page base bits device r _ => FrameCap base bits device r None end.
Definition within_table (p : Policy) (o : N) (table : Table PageEntry) : list Violation :=
  match owner_of p o with
  | Some subject => flat_map (fun e => unless (may_hold p subject (stands_for (snd e))) (MapsBeyond subject o (snd e))) (entries table)
  | None => [Unowned o]
  end.

(** What a thread waits with was said by a capability of the one that it acts for, or by one to its fault handler. *)
Definition waits_with (s : RunState) : list Capability :=
  match s with
  | BlockedOnReceive e r _ may_grant =>
      EndpointCap e 0 {| can_write := false; can_read := true; can_grant := may_grant; can_grant_reply := false |}
      :: match r with Some r => [ReplyCap r no_rights] | None => [] end
  | BlockedOnSend e badge may_grant may_grant_reply _ _ =>
      [EndpointCap e badge {| can_write := true; can_read := false; can_grant := may_grant; can_grant_reply := may_grant_reply |}]
  | BlockedOnNotification n => [NotificationCap n 0 {| can_write := false; can_read := true; can_grant := false; can_grant_reply := false |}]
  | Inactive | Running | BlockedOnReply _ _ => []
  end.
Definition within_thread (p : Policy) (o : N) (t : Thread) : list Violation :=
  match owner_of p o with
  | Some subject =>
      flat_map (fun c => unless (may_hold p subject c || may_hold p (acting p subject) c) (WaitsBeyond subject o)) (waits_with (run_state t))
  | None => [Unowned o]
  end.
Definition within_object (p : Policy) (entry : N * Object) : list Violation :=
  match snd entry with
  | ThreadObject t => within_thread p (fst entry) t
  | VSpaceObject table | PageTableObject table => within_table p (fst entry) table
  | _ => []
  end.
Definition beyond (p : Policy) (st : State) : list Violation :=
  flat_map (within_slot p) (entries (slots st)) ++ flat_map (within_object p) (entries (objects st)).

(** ** Closed policies *)
Definition gets (p : Policy) (rule : Rule) (giver taker : N) : list Violation :=
  if (giver =? taker) || member taker (silent p) then []
  else if member giver (silent p) then [Unbounded giver taker]
  else flat_map (fun h => unless (existsb (fun own => covers own (held_type h) (held_start h) (held_size h) (held_rights h)) (holdings_of p taker))
                                 (NotClosed rule giver taker h)) (holdings_of p giver).
Definition owners_in (p : Policy) (h : Holding) : list N :=
  nodup N.eq_dec (map region_owner (filter (fun r => overlaps (held_start h) (held_size h) (region_start r) (region_size r)) (regions p))).

(** Who holds a CNode gets what is in it, who holds a thread all that it acts with, who holds a table what it maps; and so does a thread. Who holds
    an untyped might hold all of these that lie in its memory. *)
Definition closed_for (p : Policy) (h : Holding) : list Violation :=
  let taker := acting p (holder h) in
  let all_of rule := flat_map (fun giver => gets p rule giver taker) (owners_in p h) in
  let threads := flat_map (fun part => gets p Controlling (acting p part) taker) (owners_in p h) in
  match held_type h with
  | CapType.CNode => all_of Taking
  | CapType.VSpace | CapType.PageTable => all_of Mapping
  | CapType.TCB => threads
  | CapType.Untyped => all_of Taking ++ threads
  | _ => []
  end.

(** Between two who meet at an endpoint, or at a CNode that both can invoke, or that both run in; of those who are trusted no more is assumed than
    what they may hold. Answers come from whoever has the receiver's reply object. *)
Definition is_trusted (p : Policy) (h : Holding) : bool := member (acting p (holder h)) (trusted p).
Definition shared (a b : Holding) : bool := overlaps (held_start a) (held_size a) (held_start b) (held_size b).
Definition distrusted (p : Policy) (a b : Holding) : bool :=
  negb (acting p (holder a) =? acting p (holder b)) && negb (is_trusted p a) && negb (is_trusted p b) && shared a b.
Definition is_invoked (p : Policy) (h : Holding) : bool := holder h =? acting p (holder h).
Definition is_to (t : CapType.t) (h : Holding) : bool := same_type (held_type h) t.
Definition may_send (p : Policy) (h : Holding) : bool := is_to CapType.Endpoint h && is_invoked p h && can_write (held_rights h).
Definition may_receive (p : Policy) (h : Holding) : bool := is_to CapType.Endpoint h && is_invoked p h && can_read (held_rights h).
Definition may_answer (p : Policy) (replies : list Holding) (receiver_ : N) (z : Holding) : bool :=
  negb (is_trusted p z) && existsb (fun r => (acting p (holder r) =? receiver_) && shared r z) replies.
Definition meets (p : Policy) (replies : list Holding) (a b : Holding) : list Violation :=
  let x := acting p (holder a) in let y := acting p (holder b) in
  if negb (distrusted p a b) then []
  else if is_to CapType.CNode a && is_to CapType.CNode b then (if Bool.eqb (is_invoked p a) (is_invoked p b) then gets p Sharing x y else [])
  else if may_send p a && may_receive p b then
    (if can_grant (held_rights a) then gets p Granting x y ++ gets p Granting y x else [])
    ++ (if (can_grant (held_rights a) || can_grant_reply (held_rights a)) && can_grant (held_rights b)
        then gets p Replying y x ++ flat_map (fun z => if may_answer p replies y z then gets p Replying (acting p (holder z)) x else []) replies
        else [])
  else [].
Definition openings (p : Policy) : list Violation :=
  let loud := filter (fun h => negb (member (holder h) (silent p))) (permitted p) in
  let meeting := filter (fun h => is_to CapType.Endpoint h || is_to CapType.CNode h) loud in
  flat_map (closed_for p) loud ++ flat_map (fun a => flat_map (meets p (filter (is_to CapType.Reply) loud) a) meeting) meeting.

(** All that breaks the policy; and whether nothing does. *)
Definition violations (p : Policy) (st : State) : list Violation := openings p ++ beyond p st.
Definition pol_check (p : Policy) (st : State) : bool := match violations p st with [] => true | _ => false end.
