(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Who is held to a policy

    [pol_check] says whether a state is within a policy and the policy closed. That every state stays within it which comes after takes more where some can
    give others what those may not hold. [bound_check] says of subjects that they cannot: whoever they can fill slots or tables of may hold what they may,
    and who meets them, at whatever endpoint they may hold or make, too. It is no part of the kernel. *)
From Spec Require Export Policy.
Open Scope N_scope.

(** ** Who waits

    A thread waits with what the subject that it acts for may hold, or, to send that it faulted, with what the owner of one of its slots may. *)
Definition is_sending (s : RunState) : bool := match s with BlockedOnSend _ _ _ _ _ _ => true | _ => false end.
Definition may_wait_with (p : Policy) (o : N) (t : Thread) (c : Capability) : bool :=
  match owner_of p o with Some part => may_hold p (acting p part) c | None => false end
  || is_sending (run_state t) && is_some (fault t)
     && existsb (fun i => match owner_of p (slot_of o i) with Some part => may_hold p part c | None => false end) (numbers_from 0 (N.to_nat thread_slots)).
Definition waits_well (p : Policy) (st : State) : bool :=
  forallb (fun entry => match snd entry with
                        | ThreadObject t => forallb (may_wait_with p (fst entry) t) (waits_with (run_state t))
                        | _ => true
                        end) (entries (objects st)).

(** ** Who gives away no more than may be held

    All of a range is somebody's to whom a subject gives what can come there: into slots that he may fill all that he may hold, into tables what is mapped, and
    into slots of interrupts notifications. Whoever claims interrupts could fill any slot of one. *)
Definition passes_of (p : Policy) (kinds : list CapType.t) (giver taker : N) : bool :=
  forallb (fun h => negb (existsb (same_type (held_type h)) kinds)
                    || existsb (fun own => covers own (held_type h) (held_start h) (held_size h) (held_rights h)) (holdings_of p taker))
          (holdings_of p giver).
Definition passes_to (p : Policy) (giver taker : N) : bool := match gets p Taking giver taker with [] => true | _ => false end.
Fixpoint is_owned (turns : nat) (p : Policy) (from end_ : N) : bool :=
  (end_ <=? from)
  || match turns, List.find (fun r => is_in from 1 (region_start r) (region_size r)) (regions p) with
     | S rest, Some r => is_owned rest p (region_start r + region_size r) end_
     | _, _ => false
     end.
Definition all_give (p : Policy) (start size : N) (gives_ : N -> bool) : bool :=
  is_owned (S (length (regions p))) p start (start + size)
  && forallb (fun r => negb (overlaps start size (region_start r) (region_size r)) || gives_ (region_owner r)) (regions p).
Definition gives_for (p : Policy) (subject : N) (h : Holding) : bool :=
  match held_type h with
  | CapType.CNode | CapType.TCB | CapType.Untyped => all_give p (held_start h) (held_size h) (passes_to p subject)
  | CapType.VSpace | CapType.PageTable =>
      all_give p (held_start h) (held_size h) (passes_of p [CapType.Frame; CapType.PageTable; CapType.Untyped] subject)
  | CapType.IRQHandler =>
      all_give p (irq_slot (held_start h)) (slot_bytes * held_size h) (passes_of p [CapType.Notification; CapType.Untyped] subject)
  | CapType.IRQControl => false
  | _ => true
  end.
Definition is_himself (p : Policy) (subject : N) : bool :=
  negb (member subject (silent p)) && (acting p subject =? subject)
  && forallb (fun x => negb (snd x =? subject) || negb (member (fst x) (silent p))) (acts_for p).

(** Between any two of some subjects who can meet at an endpoint that they may hold, or that they may make, and who answers with a reply object of the
    receiver's, what one may hold the other may, too. *)
Definition endpoint_rights (h : Holding) : Rights := match held_type h with CapType.Endpoint => held_rights h | CapType.Untyped => all_rights | _ =>
  no_rights end.
Definition replies_with (h : Holding) : bool := is_to CapType.Reply h || is_to CapType.Untyped h.
Definition meet_well (p : Policy) (held : list Holding) (a b : Holding) : bool :=
  let ra := endpoint_rights a in let rb := endpoint_rights b in
  negb (shared a b && can_write ra && can_read rb)
  || (negb (can_grant ra) || passes_to p (holder a) (holder b) && passes_to p (holder b) (holder a))
     && (negb ((can_grant ra || can_grant_reply ra) && can_grant rb)
         || forallb (fun r => negb ((holder r =? holder b) && replies_with r)
                              || forallb (fun z => negb (replies_with z && shared r z) || passes_to p (holder z) (holder a)) held) held).
Definition bound_by (p : Policy) (subjects : list N) : bool :=
  let held := filter (fun h => member (holder h) subjects) (permitted p) in
  forallb (is_himself p) subjects && forallb (fun h => gives_for p (holder h) h) held
  && forallb (fun a => forallb (meet_well p held a) held) held.

(** Who waits for an answer that may bring capabilities may get it from whoever may hold the reply object. *)
Definition answered_well (p : Policy) (subjects : list N) (st : State) : bool :=
  forallb (fun entry =>
    match snd entry with
    | ThreadObject t =>
        match run_state t, fault t, owner_of p (fst entry) with
        | BlockedOnReply r true, None, Some part =>
            negb (member (acting p part) subjects)
            || forallb (fun z => negb (may_hold p z (ReplyCap r no_rights)) || passes_to p z (acting p part)) subjects
        | _, _, _ => true
        end
    | _ => true
    end) (entries (objects st)).

(** What is looked at besides [pol_check]. *)
Definition bound_check (p : Policy) (subjects : list N) (st : State) : bool :=
  bound_by p subjects && negb (is_some (owner_of p nowhere)) && waits_well p st && answered_well p subjects st.
