(* SPDX-License-Identifier: BSD-2-Clause *)
(** * What every step keeps

    Slots change only through the five definitions of [Capabilities], and the time of a scheduling context only where it is charged, begun
    to be used or configured. So a property of slots, counts of references and objects that these keep holds after every step. The proofs
    follow the text of the specification and are made by one tactic. *)
From Coq Require Import Lia.
From Spec Require Export LoopProofs TreeProofs.
Open Scope N_scope.

(** What is kept: a property of states that looks at slots, references, objects and the queues of those that can run only. Of objects it says
    something about scheduling contexts only, and of these about their time. Of capabilities it says something that what is made of one
    inherits, so that every capability that comes into a slot has it: it was made of one that was in a slot. *)
Definition same_kind (a b : Object) : Prop :=
  match a, b with
  | CNodeObject radix, CNodeObject radix' => radix = radix'
  | SchedContextObject c, SchedContextObject d => context_bits c = context_bits d
  | ThreadObject _, ThreadObject _ | EndpointObject _, EndpointObject _ | NotificationObject _, NotificationObject _
  | ReplyObject _, ReplyObject _ | VSpaceObject _, VSpaceObject _
  | PageTableObject _, PageTableObject _ | ASIDPoolObject _, ASIDPoolObject _ => True
  | _, _ => False
  end.
Definition fine_object (fine_context : SchedContext -> Prop) (x : Object) : Prop :=
  match x with SchedContextObject c => fine_context c | _ => True end.

(** Of the links between objects some may be frozen: then what changes them is not among the changes that are kept one by one. With [Placing] nothing is
    that moves capabilities, or says of them where their objects are, or changes page tables and ASID pools; but for what a message brings.
    With [Telling] effects are only ever added, on the same machine: what begins and ends a step, where there are none, is left out. [Ranking] is of
    priorities; with [Faulting] faults are frozen where who waits is, and flags
    of notifications are at most taken there. *)
Inductive Link := Binding | Loan | Waiting | Ending | Handling | Mapping | Placing | Telling | Lending | Yielding | Ranking | Faulting.

(** What a thread runs on, the stacks of calls, and whether a context is configured, are frozen only together with who waits. *)
Definition holds_contexts (frozen : Link -> bool) : bool := frozen Waiting && frozen Lending.
Definition as_well (b : bool) (P Q : Prop) : Prop := if b then P /\ Q else Q.
Definition same_uses (x y : SchedContext) : Prop :=
  context_thread y = context_thread x /\ calls y = calls x /\ configured y = configured x.
Definition thread_change (frozen : Link -> bool) (x y : Thread) : Prop :=
  as_well (frozen Ranking) (priority y = priority x) (as_well (frozen Yielding) (yielded_to y = yielded_to x)
    (as_well (frozen Faulting) (frozen Waiting = true -> fault y = fault x)
      ((frozen Binding = true -> bound_notification y = bound_notification x)
      /\ (frozen Waiting = true -> as_well (holds_contexts frozen) (sched_context y = sched_context x) (run_state y = run_state x))))).
Definition notification_change (frozen : Link -> bool) (x y : Notification) : Prop :=
  as_well (frozen Faulting) (frozen Waiting = true -> word_of_flags y = None \/ word_of_flags y = word_of_flags x)
    ((frozen Binding = true -> bound_thread y = bound_thread x) /\ (frozen Loan = true -> lent_context y = lent_context x)
    /\ (frozen Waiting = true -> waiters y = waiters x)).
Definition context_change (frozen : Link -> bool) (x y : SchedContext) : Prop :=
  as_well (frozen Yielding) (yielder y = yielder x)
    (frozen Loan = true -> as_well (holds_contexts frozen) (same_uses x y) (context_notification y = context_notification x)).
Definition endpoint_change (frozen : Link -> bool) (x y : Endpoint) : Prop := frozen Waiting = true -> y = x.
Definition reply_change (frozen : Link -> bool) (x y : Reply) : Prop :=
  frozen Waiting = true -> as_well (holds_contexts frozen) (along y = along x) (caller y = caller x /\ receiver y = receiver x).
Definition table_change (frozen : Link -> bool) (x y : Table PageEntry) : Prop :=
  frozen Mapping = true -> forall i base bits device r a, y !! i = Some (Page base bits device r a) -> x !! i = Some (Page base bits device r a).
Definition object_change (frozen : Link -> bool) (x y : Object) : Prop :=
  match x, y with
  | ThreadObject a, ThreadObject b => thread_change frozen a b
  | NotificationObject a, NotificationObject b => notification_change frozen a b
  | SchedContextObject a, SchedContextObject b => context_change frozen a b
  | EndpointObject a, EndpointObject b => endpoint_change frozen a b
  | ReplyObject a, ReplyObject b => reply_change frozen a b
  | VSpaceObject a, VSpaceObject b | PageTableObject a, PageTableObject b => if frozen Placing then b = a else table_change frozen a b
  | ASIDPoolObject a, ASIDPoolObject b => if frozen Placing then b = a else True
  | _, _ => True
  end.
Definition same_known (a b : State) : Prop := forall irq, is_some (interrupts b !! irq) = is_some (interrupts a !! irq).
Definition provided (b : bool) (P Q : Prop) : Prop := if b then P -> Q else Q.

(** The links of a YieldTo change together where it returns, in one of two ways, or is forgotten. *)
Definition yield_reports : list (N -> State -> N * State) := [report_consumed; report_booked].
Record kept_quietly_but (frozen : Link -> bool) (invariant : State -> Prop) (fine_context : SchedContext -> Prop)
    (fine_capability : Capability -> Prop) : Prop := {
  looks_at_objects :
    forall a b, slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a -> sleeping b = sleeping a ->
      provided (frozen Handling) (same_known a b) (provided (frozen Placing) (pools b = pools a)
        (provided (frozen Telling) (incl (effects a) (effects b) /\ machine b = machine a) (invariant a -> invariant b)));
  after_unplace : forall t st, provided (holds_contexts frozen) False (invariant st -> invariant (unplace t st));
  after_place : forall insert t st, In insert [insert_behind; insert_ahead] -> invariant st -> invariant (place_by insert t st);
  after_sleeping_anew :
    forall t st, member t (sleeping st) = true -> invariant st -> invariant (st <| sleeping := insert_by_time t (without t (sleeping st)) st |>);
  after_put_object :
    forall o x y st, objects st !! o = Some y -> same_kind y x -> object_change frozen y x -> fine_object fine_context x -> invariant st ->
      invariant (put_object o x st);
  contexts_are_fine : forall o c st, invariant st -> objects st !! o = Some (SchedContextObject c) -> fine_context c;
  capabilities_are_fine : forall slot c st, invariant st -> capability_at slot st = Some c -> fine_capability c;
  looks_at_time :
    forall a b, refills b = refills a -> budget b = budget a -> period b = period a -> unreturned b = unreturned a ->
      extra_refills b = extra_refills a -> fine_context a -> fine_context b;
  fine_new : forall n, fine_context (new_sched_context n);
  fine_charge : forall used st c, invariant st -> fine_context c -> fine_context (charge used (smallest_budget st) c);
  fine_begin_use : forall time c, fine_context c -> fine_context (begin_use time c);
  fine_configure : forall core b p extra badge flags st c, invariant st -> fine_context (configure_context core b p extra badge flags st c);
  given_yields :
    if frozen Yielding
    then (forall report t st, In report yield_reports -> invariant st -> invariant (end_yield_by report t st))
         /\ forall t st, invariant st -> invariant (forget_yield t st)
    else True
}.

(** Where capabilities come and go the rest is needed too. What comes is derived from what is there, or comes with its memory. *)
Definition is_untyped (c : Capability) : bool := match c with UntypedCap _ _ _ _ => true | _ => false end.
Definition derivable (c : Capability) (source : N) (st : State) : Prop :=
  is_zombie c = false /\ exists x, capability_at source st = Some x /\ (is_untyped x = false /\ is_claimed c st = true) /\ stands_alike x c = true.
Definition comes_with (c : Capability) (at_ size : N) (object : option Object) : Prop :=
  is_zombie c = false
  /\ match object with
     | Some x => object_of c = Some at_ /\ fits_object c x /\ size_of x = size
     | None => exists bits device, memory_of c = Some (at_, bits, device) /\ size = N.shiftl 1 bits
     end.
Definition arrives (slot source : N) (c : Capability) (st : State) : Prop :=
  exists from address to old, occupied_slot_of_address from address st = inl (source, old) /\ derivation_error source old st = None
    /\ c = derived old /\ receive_slot to st = Some slot.
Definition is_new (x : Object) : Prop :=
  match x with
  | ThreadObject t => t = new_thread
  | EndpointObject e => e = {| senders := []; receivers := [] |}
  | NotificationObject n => n = idle_notification
  | ReplyObject r => r = unused_reply
  | SchedContextObject c => exists bits, c = new_sched_context bits
  | VSpaceObject t | PageTableObject t => t = empty
  | _ => True
  end.
Record kept_but (frozen : Link -> bool) (invariant : State -> Prop) (fine_context : SchedContext -> Prop) (fine_capability : Capability -> Prop)
    : Prop := {
  after_insert_child :
    forall slot p o c st, derivable c p st -> fine_capability c ->
      provided (frozen Placing) (arrives slot p c st) (invariant st -> invariant (insert_child slot p o c st));
  after_insert_sibling :
    forall slot source o c st, derivable c source st -> fine_capability c ->
      provided (frozen Placing) (arrives slot source c st) (invariant st -> invariant (insert_sibling slot source o c st));
  after_carve :
    forall untyped at_ size x slot c st, comes_with c at_ size x -> match x with Some x => fine_object fine_context x /\ is_new x | None => True end ->
      fine_capability c ->
      provided (frozen Placing) (x = None /\ arrives slot untyped c st) (invariant st -> invariant (carve untyped at_ size x slot c st));
  after_discard : forall slot st, frozen Ending = false -> invariant st -> invariant (discard slot st);
  after_move_capability : forall from to st, provided (frozen Placing) False (invariant st -> invariant (move_capability from to st));
  after_change_capability :
    forall slot c st, fine_capability c -> provided (frozen Placing) False (invariant st -> invariant (change_capability slot c st));
  after_make_zombie :
    forall slot st, frozen Ending = false ->
      (forall e o, slots st !! slot = Some e -> container_of (capability e) st = Some o -> fine_capability (ZombieCap o)) ->
      invariant st -> invariant (make_zombie slot st);
  fine_yield : forall c made, yields c made -> fine_capability c -> fine_capability made
}.
Arguments looks_at_objects {_ _ _ _} _.
Arguments after_unplace {_ _ _ _} _.
Arguments after_place {_ _ _ _} _.
Arguments after_sleeping_anew {_ _ _ _} _.
Arguments after_put_object {_ _ _ _} _.
Arguments contexts_are_fine {_ _ _ _} _.
Arguments capabilities_are_fine {_ _ _ _} _.
Arguments looks_at_time {_ _ _ _} _.
Arguments fine_new {_ _ _ _} _.
Arguments fine_charge {_ _ _ _} _.
Arguments fine_begin_use {_ _ _ _} _.
Arguments fine_configure {_ _ _ _} _.
Arguments given_yields {_ _ _ _} _.
Arguments after_insert_child {_ _ _ _} _.
Arguments after_insert_sibling {_ _ _ _} _.
Arguments after_carve {_ _ _ _} _.
Arguments after_discard {_ _ _ _} _.
Arguments after_move_capability {_ _ _ _} _.
Arguments after_change_capability {_ _ _ _} _.
Arguments after_make_zombie {_ _ _ _} _.
Arguments fine_yield {_ _ _ _} _.


(** What is frozen is kept where all of it is done: by a unit of deletion, and by some methods. *)
Definition needs (frozen : Link -> bool) (l : list Link) (P : Prop) : Prop := forallb (fun k => negb (frozen k)) l = true \/ P.
Definition all_links : list Link := [Binding; Loan; Waiting; Ending; Handling; Placing].
Definition links_of (m : Method.t) : list Link :=
  match m with
  | Method.TCBBindNotification | Method.TCBUnbindNotification => [Binding]
  | Method.IRQControlGet => [Handling; Placing]
  | Method.FrameMap => [Mapping; Placing]
  | Method.UntypedRetype | Method.CNodeCopy | Method.CNodeMint | Method.CNodeMove | Method.CNodeMutate | Method.CNodeRotate | Method.TCBConfigure
  | Method.TCBSetSpace | Method.TCBSetIPCBuffer | Method.TCBSetTimeoutEndpoint | Method.PageTableMap | Method.PageTableUnmap | Method.FrameUnmap
  | Method.ASIDControlMakePool | Method.ASIDPoolAssign | Method.IRQControlIssueSGISignal | Method.IRQHandlerSetNotification => [Placing]
  | Method.TCBSetSchedParams => [Waiting; Placing; Ranking]
  | Method.TCBSetPriority => [Waiting; Ranking]
  | Method.SchedContextBind | Method.SchedContextUnbind | Method.SchedContextUnbindObject => [Loan; Lending]
  | Method.SchedControlConfigureFlags => [Lending]
  | Method.TCBSuspend | Method.TCBResume | Method.TCBReadRegisters | Method.TCBWriteRegisters | Method.TCBCopyRegisters
  | Method.CNodeCancelBadgedSends => [Waiting]
  | _ => []
  end.
Definition fits (method : Method.t) (c : Capability) : Prop := CapType.number (Method.invoked method) = CapType.number (cap_type c).
Definition in_place (a : Argument) (st : State) : Prop := forall c, argument a = Some c -> capability_at (argument_slot a) st = Some c.
Definition valid (call : Invocation) (st : State) : Prop :=
  capability_at (invoked_slot call) st = Some (invoked call) /\ Forall (fun a => in_place a st) (cap_arguments call).
Definition state_after (o : Outcome) : State := match o with Returns _ st | Stops st | Continues st => st end.
Record operations (frozen : Link -> bool) (invariant : State -> Prop) : Prop := {
  given_delete_unit : needs frozen all_links (forall a st, invariant st -> invariant (snd (delete_unit a st)));
  given_method : forall m, needs frozen (links_of m) (forall call st, fits m (invoked call) -> valid call st -> invariant st ->
    match decode_method m call st with Perform work => invariant (state_after (work st)) | Refuse _ _ => True end)
}.
Arguments given_delete_unit {_ _} _.
Arguments given_method {_ _} _.

Lemma free_all (frozen : Link -> bool) : forallb (fun k => negb (frozen k)) all_links = true ->
  (frozen Binding = false /\ frozen Loan = false /\ frozen Waiting = false /\ frozen Ending = false) /\ frozen Handling = false /\ frozen Placing = false.
Proof.
  cbn. destruct (frozen Binding), (frozen Loan), (frozen Waiting), (frozen Ending), (frozen Handling), (frozen Placing); try discriminate.
  repeat split.
Qed.
Lemma free_one (frozen : Link -> bool) k : forallb (fun k => negb (frozen k)) [k] = true -> frozen k = false.
Proof. cbn. destruct (frozen k); [discriminate | reflexivity]. Qed.
Lemma free_two (frozen : Link -> bool) j k : forallb (fun k => negb (frozen k)) [j; k] = true -> frozen j = false /\ frozen k = false.
Proof. cbn. destruct (frozen j), (frozen k); try discriminate. split; reflexivity. Qed.
Lemma free_three (frozen : Link -> bool) i j k : forallb (fun k => negb (frozen k)) [i; j; k] = true ->
  frozen i = false /\ frozen j = false /\ frozen k = false.
Proof. cbn. destruct (frozen i), (frozen j), (frozen k); try discriminate. repeat split. Qed.
Lemma use_provided (b : bool) (P Q : Prop) : (b = true -> P) -> provided b P Q -> Q.
Proof. unfold provided. destruct b; [intros p q; exact (q (p eq_refl)) | intros _ q; exact q]. Qed.
Lemma give_provided (b : bool) (P Q : Prop) : Q -> provided b P Q.
Proof. unfold provided. destruct b; [intros q _; exact q | exact id]. Qed.

(** Nothing frozen is the usual case. *)
Definition nothing (_ : Link) : bool := false.
Notation kept_quietly := (kept_quietly_but nothing).
Notation kept := (kept_but nothing).
Lemma nothing_given invariant : operations nothing invariant.
Proof. constructor; [left; reflexivity | intros []; left; reflexivity]. Qed.

Section Kept.
Variable frozen : Link -> bool.
Variable invariant : State -> Prop.
Variable fine_context : SchedContext -> Prop.
Variable fine_capability : Capability -> Prop.
Hypothesis quiet : kept_quietly_but frozen invariant fine_context fine_capability.
Hypothesis primitives : kept_but frozen invariant fine_context fine_capability.
Hypothesis given : operations frozen invariant.
Class Free (k : Link) : Prop := is_free : frozen k = false.
Definition if_free (k : Link) (P : Prop) : Prop := if frozen k then True else P.
Lemma freely {k : Link} {P : Prop} {free : Free k} : if_free k P -> P.
Proof. unfold if_free. rewrite (is_free : frozen k = false). exact id. Qed.
Class Calls : Prop := calls_freely : frozen Waiting || frozen Yielding = false.
Instance calls_waiting {calls : Calls} : Free Waiting. Proof. exact (proj1 (orb_false_elim _ _ calls)). Qed.
Instance calls_yielding {calls : Calls} : Free Yielding. Proof. exact (proj2 (orb_false_elim _ _ calls)). Qed.
Class Lends : Prop := lends : holds_contexts frozen = false.
Instance waiting_lends {moves : Free Waiting} : Lends. Proof. unfold Lends, holds_contexts. rewrite moves. reflexivity. Qed.
Instance lending_lends {lent : Free Lending} : Lends. Proof. unfold Lends, holds_contexts. rewrite lent. apply andb_false_r. Qed.

(* Definitions are told apart by their names, not by what they unfold to. *)
#[local] Hint Constants Opaque : typeclass_instances.

(** ** What it means for everything that carries a state *)
Class Good (T : Type) : Type := good : T -> Prop.
Instance good_any (T : Type) : Good T | 100 := fun _ => True.
Instance good_state : Good State := invariant.
Instance good_pair {A B : Type} `{Good A} `{Good B} : Good (A * B) := fun p => good (fst p) /\ good (snd p).
Instance good_progress : Good Progress := fun p => good (state_of p).
Instance good_outcome : Good Outcome := fun o => match o with Returns _ st | Stops st | Continues st => good st end.
Instance good_loop {A B : Type} `{Good A} `{Good B} : Good (Turn_of_loop A B) := fun t => match t with Again a => good a | Finished b => good b end.
Instance good_capability : Good Capability := fine_capability.
Instance good_sum {A B : Type} `{Good A} `{Good B} : Good (A + B) := fun x => match x with inl a => good a | inr b => good b end.
Instance good_option {A : Type} `{Good A} : Good (option A) := fun o => match o with Some a => good a | None => True end.
Instance good_argument : Good Argument := fun a => good (argument a).
Instance good_arguments : Good (list Argument) := Forall good.
Instance good_invocation : Good Invocation := fun call => good (invoked call) /\ good (cap_arguments call).
Class Keeps {T : Type} `{Good T} (f : State -> T) : Prop := keeps : forall st, good st -> good (f st).
Instance good_decision : Good Decision := fun d => match d with Perform work => Keeps work | Refuse _ _ => True end.

Lemma good_of_same (a b : State) :
  slots b = slots a -> references b = references a -> objects b = objects a -> ready b = ready a -> sleeping b = sleeping a ->
  (frozen Handling = true -> same_known a b) -> (frozen Placing = true -> pools b = pools a) ->
  (frozen Telling = true -> incl (effects a) (effects b) /\ machine b = machine a) -> good a -> good b.
Proof.
  intros same1 same2 same3 same4 same5 known same_pools more.
  exact (use_provided _ _ _ more (use_provided _ _ _ same_pools (use_provided _ _ _ known (looks_at_objects quiet a b same1 same2 same3 same4 same5)))).
Qed.
Lemma known_same (a b : State) : interrupts b = interrupts a -> frozen Handling = true -> same_known a b.
Proof. intros same _ irq. rewrite same. reflexivity. Qed.

(** Constructors carry what they are given. *)
Lemma good_done st : good st -> good (Done st). Proof. exact id. Qed.
Lemma good_preempted st : good st -> good (Preempted st). Proof. exact id. Qed.
Lemma good_returns l st : good st -> good (Returns l st). Proof. exact id. Qed.
Lemma good_stops st : good st -> good (Stops st). Proof. exact id. Qed.
Lemma good_continues st : good st -> good (Continues st). Proof. exact id. Qed.
Lemma good_again {A B : Type} `{Good A} `{Good B} (a : A) : good a -> good (Again a : Turn_of_loop A B). Proof. exact id. Qed.
Lemma good_finished {A B : Type} `{Good A} `{Good B} (b : B) : good b -> good (Finished b : Turn_of_loop A B). Proof. exact id. Qed.
Lemma good_some {A : Type} `{Good A} (a : A) : good a -> good (Some a). Proof. exact id. Qed.
Lemma good_perform work : Keeps work -> good (Perform work). Proof. exact id. Qed.
Lemma good_both {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : good a -> good b -> good (a, b).
Proof. split; assumption. Qed.
Lemma done_good st : good (Done st) -> good st. Proof. exact id. Qed.
Lemma preempted_good st : good (Preempted st) -> good st. Proof. exact id. Qed.
Lemma returns_good l st : good (Returns l st) -> good st. Proof. exact id. Qed.
Lemma stops_good st : good (Stops st) -> good st. Proof. exact id. Qed.
Lemma continues_good st : good (Continues st) -> good st. Proof. exact id. Qed.
Lemma again_good {A B : Type} `{Good A} `{Good B} (a : A) : good (Again a : Turn_of_loop A B) -> good a. Proof. exact id. Qed.
Lemma finished_good {A B : Type} `{Good A} `{Good B} (b : B) : good (Finished b : Turn_of_loop A B) -> good b. Proof. exact id. Qed.
Lemma some_good {A : Type} `{Good A} (a : A) : good (Some a) -> good a. Proof. exact id. Qed.
Lemma inl_good {A B : Type} `{Good A} `{Good B} (a : A) : good (inl a : A + B) -> good a. Proof. exact id. Qed.
Lemma good_inl {A B : Type} `{Good A} `{Good B} (a : A) : good a -> good (inl a : A + B). Proof. exact id. Qed.
Lemma good_inr {A B : Type} `{Good A} `{Good B} (b : B) : good b -> good (inr b : A + B). Proof. exact id. Qed.
Lemma both_good {A B : Type} `{Good A} `{Good B} (a : A) (b : B) : good (a, b) -> good a /\ good b. Proof. exact id. Qed.

(** ** Capabilities

    What is made of a fine capability is fine. *)
Lemma good_argument_of a : good a -> good (argument a). Proof. exact id. Qed.
Lemma good_invoked call : good call -> good (invoked call). Proof. exact (@proj1 _ _). Qed.
Lemma good_cap i call : good call -> good (cap i call).
Proof.
  intros (_ & each). unfold cap. revert i. induction each as [|a l ok _ IH]; intros [|i]; simpl; try exact I; [exact ok | apply IH].
Qed.
Lemma good_derived c : good c -> good (derived c).
Proof. destruct c; intros ok; try exact ok. exact (fine_yield primitives _ _ (other_place_of_frame _ _ _ _ _ _) ok). Qed.
Lemma good_mask m c : good c -> good (mask_rights m c).
Proof. exact (fine_yield primitives c _ (fewer_rights c m)). Qed.
Lemma good_with_guard d c : good c -> good (with_guard d c).
Proof.
  intros ok. destruct (with_guard d c) as [made|] eqn:same; [|exact I]. exact (fine_yield primitives c made (other_guard c d made same) ok).
Qed.
Lemma good_with_badge d c : good c -> good (with_badge d c).
Proof.
  intros ok. destruct (with_badge d c) as [made|] eqn:same; [|exact I]. exact (fine_yield primitives c made (badge_given c d made same) ok).
Qed.
Lemma good_mutated d c : good c -> good (mutated d c).
Proof. intros ok. destruct c; try exact I; exact (good_with_guard d _ ok). Qed.
Lemma good_used base bits device used used' :
  good (UntypedCap base bits device used) -> used' <= N.shiftl 1 bits -> good (UntypedCap base bits device used').
Proof. intros ok within. exact (fine_yield primitives _ _ (other_use _ _ _ _ _ within) ok). Qed.
Lemma good_place_of_frame base bits device r p p' : good (FrameCap base bits device r p) -> good (FrameCap base bits device r p').
Proof. exact (fine_yield primitives _ _ (other_place_of_frame _ _ _ _ _ _)). Qed.
Lemma good_place_of_table t p p' : good (PageTableCap t p) -> good (PageTableCap t p').
Proof. exact (fine_yield primitives _ _ (other_place_of_table _ _ _)). Qed.
Lemma good_asid v a a' : good (VSpaceCap v a) -> good (VSpaceCap v a').
Proof. exact (fine_yield primitives _ _ (other_asid _ _ _)). Qed.
Lemma good_pool base used : good (UntypedCap base 12 false used) -> good (ASIDPoolCap base).
Proof. exact (fine_yield primitives _ _ (pool_made _ _)). Qed.
Lemma good_zombie c o st : good c -> container_of c st = Some o -> good (ZombieCap o).
Proof.
  intros ok. unfold container_of. destruct c; try discriminate.
  - destruct (is_last _ st); [|discriminate]. intros same. injection same as <-. exact (fine_yield primitives _ _ (cnode_ends _ _ _ _) ok).
  - destruct (is_last _ st); [|discriminate]. intros same. injection same as <-. exact (fine_yield primitives _ _ (thread_ends _) ok).
  - intros same. injection same as <-. exact ok.
Qed.
Class Making (make : Capability -> option Capability) : Prop := making : forall c, good c -> good (make c).
Instance making_some : Making Some. Proof. intros c ok. exact ok. Qed.
Instance making_badge d : Making (with_badge d). Proof. exact (good_with_badge d). Qed.
Instance making_mutated d : Making (mutated d). Proof. exact (good_mutated d). Qed.

(** ** The tactic

    A value that is chosen by cases is good when it is in each case. A state that is named is good once and for all. A function of
    a state is good when it keeps the invariant, which is looked up among the lemmas below. *)
Ltac carries_state T :=
  lazymatch T with
  | State => idtac
  | (_ * ?B)%type => carries_state B
  | Progress => idtac
  | Outcome => idtac
  | Decision => idtac
  | option ?A => carries_state A
  | Turn_of_loop _ ?B => carries_state B
  end.
Ltac carries_capability T :=
  lazymatch T with
  | Capability => idtac
  | Argument => idtac
  | Invocation => idtac
  | list Argument => idtac
  | (_ * ?B)%type => carries_capability B
  | (?A + _)%type => carries_capability A
  | option ?A => carries_capability A
  end.
Ltac open_hypotheses :=
  repeat match goal with
  | H : good (_, _) |- _ => let a := fresh "ok" in let b := fresh "ok" in destruct (both_good _ _ H) as (a & b); clear H
  | H : good (Done _) |- _ => apply done_good in H
  | H : good (Preempted _) |- _ => apply preempted_good in H
  | H : good (Returns _ _) |- _ => apply returns_good in H
  | H : good (Stops _) |- _ => apply stops_good in H
  | H : good (Continues _) |- _ => apply continues_good in H
  | H : good (Again _) |- _ => apply again_good in H
  | H : good (Finished _) |- _ => apply finished_good in H
  | H : good (Some _) |- _ => apply some_good in H
  | H : good (inl _) |- _ => apply inl_good in H
  end.
Ltac open_up x ok := destruct x; open_hypotheses.
Class LosesContext : Prop := loses_context : forall o st, good st -> good (put_reply o (without_context (reply o st)) st).
Ltac keep_step find :=
  match goal with
  | |- True => exact I
  | |- _ /\ _ => split
  | H : good ?x |- good ?x => exact H
  | H : Free ?k |- Free ?k => exact H
  | |- good (_, _) => apply good_both
  | |- good (Some _) => apply good_some
  | |- good None => exact I
  | |- good (inl _) => apply good_inl
  | |- good (inr _) => apply good_inr
  | H : good ?a |- good (argument ?a) => exact (good_argument_of a H)
  | H : good ?call |- good (invoked ?call) => exact (good_invoked call H)
  | H : good ?call |- good (cap ?i ?call) => exact (good_cap i call H)
  | H : good ?call |- good (argument (cap ?i ?call)) => exact (good_argument_of _ (good_cap i call H))
  | |- good (derived _) => apply good_derived
  | |- good (mask_rights _ _) => apply good_mask
  | |- good (with_guard _ _) => apply good_with_guard
  | |- good (with_badge _ _) => apply good_with_badge
  | |- good (mutated _ _) => apply good_mutated
  | M : Making ?make |- good (?make _) => apply M
  | H : good (UntypedCap ?b ?s ?d ?u) |- good (UntypedCap ?b _ _ ?v) => exact (good_used b s d u v H (N.le_refl _))
  | H : good (FrameCap ?b ?s ?d ?r ?p) |- good (FrameCap ?b ?s ?d ?r ?q) => exact (good_place_of_frame b s d r p q H)
  | H : good (PageTableCap ?t ?p) |- good (PageTableCap ?t ?q) => exact (good_place_of_table t p q H)
  | H : good (VSpaceCap ?v ?a) |- good (VSpaceCap ?v ?b) => exact (good_asid v a b H)
  | H : good (UntypedCap ?b _ _ ?u) |- good (ASIDPoolCap ?b) => exact (good_pool b u H)
  | |- good (Done _) => apply good_done
  | |- good (Preempted _) => apply good_preempted
  | |- good (Returns _ _) => apply good_returns
  | |- good (Stops _) => apply good_stops
  | |- good (Continues _) => apply good_continues
  | |- good (Again _) => apply good_again
  | |- good (Finished _) => apply good_finished
  | |- good (Refuse _ _) => exact I
  | |- good illegal_operation => exact I
  | |- good (invalid_argument _) => exact I
  | |- good (invalid_capability _) => exact I
  | |- good (range_error _ _) => exact I
  | |- good alignment_error => exact I
  | |- good truncated_message => exact I
  | |- good delete_first => exact I
  | |- good revoke_first => exact I
  | |- good (not_enough_memory _) => exact I
  | |- good (failed_lookup _ _) => exact I
  | |- good (missing_capability _) => exact I
  | |- good (Perform _) => apply good_perform; intros ? ?
  | |- @good _ (good_any _) _ => exact I
  | |- good (let x := ?v in @?b x) =>
      tryif (let T := type of v in carries_state T)
      then (let ok := fresh "ok" in assert (ok : good v); [|revert ok; generalize v; intros ? ok; cbv beta])
      else (change (good (b v)); cbv beta)
  | |- good (match ?x with _ => _ end) =>
      tryif (let T := type of x in carries_state T)
      then (let ok := fresh "ok" in assert (ok : good x); [|open_up x ok])
      else (let T := type of x in
            tryif carries_capability T
            then first [let ok := fresh "ok" in assert (ok : good x) by (solve [find]); open_up x ok | destruct x]
            else destruct x)
  | H : good ?p |- @good State _ (state_of ?p) => exact H
  | |- good (and_then ?p _) => let ok := fresh "ok" in assert (ok : good p); [|unfold and_then; open_up p ok]
  | |- good (slot_in _ _ _ _ _ _) => unfold slot_in; cbv beta
  | |- good (empty_slot_in _ _ _ _ _) => unfold empty_slot_in; cbv beta
  | |- good (occupant _ _ _ _) => unfold occupant; cbv beta
  | |- good (thread_argument _ _ _) => unfold thread_argument; cbv beta
  | |- good (vspace_argument _ _ _) => unfold vspace_argument; cbv beta
  | |- good (always _) => unfold always; cbv beta
  | |- good (in_progress _) => unfold in_progress; cbv beta
  | |- good (reports _) => unfold reports; cbv beta
  | |- good (set_field _ _ ?s) =>
      let ok := fresh "ok" in
      (cut (good s); [generalize s; intros ? ok; refine (good_of_same _ _ _ _ _ _ _ _ _ _ ok);
         [reflexivity | reflexivity | reflexivity | reflexivity | reflexivity
         | first [exact (known_same _ _ eq_refl) | intros handling; exfalso; unfold is_free in *; congruence]
         | first [intros _; reflexivity | intros fixed; exfalso; unfold is_free in *; congruence]
         | first [intros _; split; [apply incl_refl | reflexivity] | intros fixed; exfalso; unfold is_free in *; congruence]] |])
  | |- good (put_reply ?o (without_context (reply ?o ?s)) ?s) => apply (loses_context o s)
  | |- good (?f ?s) => apply (keeps (f := f) s)
  | |- Keeps _ => intros ? ?; cbv beta
  end.
Ltac find_value := repeat keep_step ltac:(fail).
Ltac keep := repeat keep_step find_value.
Ltac head f := lazymatch f with ?g _ => head g | _ => f end.
Ltac keeping f := intros ? ?; unfold f; keep.
Ltac unless_telling := unfold if_free; destruct (frozen Telling) eqn:telling; [exact I | change (Free Telling) in telling].
Ltac unless_ranking := unfold if_free; destruct (frozen Ranking) eqn:ranking; [exact I | change (Free Ranking) in ranking].
Ltac unless_placing := unfold if_free; destruct (frozen Placing) eqn:placing; [exact I | change (Free Placing) in placing].
Hint Extern 0 (Keeps (fun _ => _)) => (intros ? ?; cbv beta; solve [keep]) : typeclass_instances.

(** ** Loops *)
Instance keeps_fold {A : Type} (f : State -> A -> State) (l : list A) :
  (forall a, Keeps (fun st => f st a)) -> Keeps (fold_left f l).
Proof. intros each. induction l as [|a rest IH]; intros st ok; [exact ok|]. apply IH. exact (each a st ok). Qed.

Lemma good_repeat {A B : Type} `{Good A} `{Good B} n (f : A -> Turn_of_loop A B) (a : A) :
  (forall a, good a -> good (f a)) -> good a -> good (repeat_after n f a).
Proof. intros each. exact (repeat_keeps f good good each n a). Qed.

(** ** Objects and slots

    Objects other than scheduling contexts are always fine; a change of a context is when each part of it is. *)
Class FineObject (x : Object) : Prop := fine : fine_object fine_context x.
Class FineUpdate (f : SchedContext -> SchedContext) : Prop :=
  fine_update : (forall c, fine_context c -> fine_context (f c)) /\ forall c, context_bits c = context_bits (f c).
Ltac fine_step :=
  match goal with
  | H : fine_context ?c |- fine_context ?c => exact H
  | |- invariant ?s => change (good s); solve [find_value]
  | |- fine_context (charge _ _ _) => apply (fine_charge quiet)
  | |- fine_context (begin_use _ _) => apply (fine_begin_use quiet)
  | |- fine_context (configure_context _ _ _ _ _ _ _ _) => apply (fine_configure quiet)
  | |- fine_context (new_sched_context _) => apply (fine_new quiet)
  | |- fine_context (root_context_at_boot _ _ _) => unfold root_context_at_boot
  | |- fine_context (set_field _ _ ?s) =>
      let ok := fresh "ok" in
      (cut (fine_context s); [generalize s; intros ? ok; refine (looks_at_time quiet _ _ _ _ _ _ _ ok); reflexivity |])
  end.
Lemma bits_of_give_back smallest r c : context_bits (give_back smallest r c) = context_bits c.
Proof. unfold give_back. cbv zeta. destruct (refills _); [reflexivity|]. destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; reflexivity. Qed.
Lemma bits_of_charge used smallest c : context_bits (charge used smallest c) = context_bits c.
Proof.
  unfold charge. destruct (is_round_robin c); [destruct (refills c); reflexivity|].
  assert (forall x, context_bits (mend_first smallest x) = context_bits x) as mended
    by (intros x; unfold mend_first; destruct (refills x) as [|? [|? ?]]; [|destruct (_ <=? _)|destruct (_ <=? _)]; reflexivity).
  pose proof (repeat_keeps (charge_step smallest) (fun x => context_bits (fst x) = context_bits c) (fun x => context_bits x = context_bits c)) as kept.
  assert (forall x, context_bits (fst x) = context_bits c -> match charge_step smallest x with
    Again a => context_bits (fst a) = context_bits c | Finished b => context_bits b = context_bits c end) as each.
  { intros (x & n) same. unfold charge_step. destruct (refills x) as [|first rest]; [exact same|]. cbv zeta. destruct (_ || _); [exact same|].
    destruct (_ <=? _); [destruct rest as [|second others]; [exact same|]|]; cbn [fst]; rewrite bits_of_give_back; exact same. }
  specialize (kept each used (c, used) eq_refl). destruct (repeat_after _ _ _) as [(x & n)|x]; rewrite mended; exact kept.
Qed.
Lemma bits_of_begin_use time c : context_bits (begin_use time c) = context_bits c.
Proof. unfold begin_use. destruct (refills c); [reflexivity|]. destruct (_ || _); reflexivity. Qed.
Ltac bits_step :=
  match goal with
  | |- context_bits ?c = context_bits ?c => reflexivity
  | |- _ = context_bits (charge _ _ _) => rewrite bits_of_charge
  | |- _ = context_bits (begin_use _ _) => rewrite bits_of_begin_use
  | |- _ = context_bits (configure_context _ _ _ _ _ _ _ ?c) => change (context_bits (configure_context _ _ _ _ _ _ _ c)) with (context_bits c)
  | |- _ = context_bits (root_context_at_boot _ _ _) => unfold root_context_at_boot
  | |- _ = context_bits (set_field ?f ?v ?c) => change (context_bits (set_field f v c)) with (context_bits c)
  end.
Class Nice {T : Type} `{Good T} (x : T) : Prop := nice : good x.
Hint Extern 0 (Nice _) => (red; solve [keep]) : typeclass_instances.
Hint Extern 0 (FineObject _) => (red; cbn [fine_object]; solve [exact I | repeat fine_step]) : typeclass_instances.
Hint Extern 0 (FineUpdate _) => (split; [intros ? ?; cbv beta; solve [repeat fine_step] | intros ?; cbv beta; solve [repeat bits_step]]) : typeclass_instances.

(** Changes that are allowed: of what is frozen nothing changes. *)
Class Allowed {T : Type} (change : (Link -> bool) -> T -> T -> Prop) (f : T -> T) : Prop := allowed : forall x, change frozen x (f x).
Lemma registers_only l x : with_registers l x = x <| registers := registers (with_registers l x) |>.
Proof.
  unfold with_registers. revert x. induction l as [|(r & v) l IH]; intros x; [destruct x; reflexivity|]. cbn [fold_left fst snd].
  rewrite IH. reflexivity.
Qed.
Lemma bound_of_registers l x : bound_notification (with_registers l x) = bound_notification x.
Proof. rewrite (registers_only l x). reflexivity. Qed.
Lemma state_of_registers l x : run_state (with_registers l x) = run_state x.
Proof. rewrite (registers_only l x). reflexivity. Qed.
Lemma uses_of_registers l x : sched_context (with_registers l x) = sched_context x.
Proof. rewrite (registers_only l x). reflexivity. Qed.
Lemma yield_of_registers l x : yielded_to (with_registers l x) = yielded_to x.
Proof. rewrite (registers_only l x). reflexivity. Qed.
Lemma fault_of_registers l x : fault (with_registers l x) = fault x.
Proof. rewrite (registers_only l x). reflexivity. Qed.
Lemma rank_of_registers l x : priority (with_registers l x) = priority x.
Proof. rewrite (registers_only l x). reflexivity. Qed.
Lemma loan_of_give_back smallest r c : context_notification (give_back smallest r c) = context_notification c.
Proof. unfold give_back. cbv zeta. destruct (refills _); [reflexivity|]. destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; reflexivity. Qed.
Lemma loan_of_charge used smallest c : context_notification (charge used smallest c) = context_notification c.
Proof.
  unfold charge. destruct (is_round_robin c); [destruct (refills c); reflexivity|].
  assert (forall x, context_notification (mend_first smallest x) = context_notification x) as mended
    by (intros x; unfold mend_first; destruct (refills x) as [|? [|? ?]]; [|destruct (_ <=? _)|destruct (_ <=? _)]; reflexivity).
  pose proof (repeat_keeps (charge_step smallest) (fun x => context_notification (fst x) = context_notification c)
    (fun x => context_notification x = context_notification c)) as kept.
  assert (forall x, context_notification (fst x) = context_notification c -> match charge_step smallest x with
    Again a => context_notification (fst a) = context_notification c | Finished b => context_notification b = context_notification c end) as each.
  { intros (x & n) same. unfold charge_step. destruct (refills x) as [|first rest]; [exact same|]. cbv zeta. destruct (_ || _); [exact same|].
    destruct (_ <=? _); [destruct rest as [|second others]; [exact same|]|]; cbn [fst]; rewrite loan_of_give_back; exact same. }
  specialize (kept each used (c, used) eq_refl). destruct (repeat_after _ _ _) as [(x & n)|x]; rewrite mended; exact kept.
Qed.
Lemma loan_of_begin_use time c : context_notification (begin_use time c) = context_notification c.
Proof. unfold begin_use. destruct (refills c); [reflexivity|]. destruct (_ || _); reflexivity. Qed.
Lemma yield_of_give_back smallest r c : yielder (give_back smallest r c) = yielder c.
Proof. unfold give_back. cbv zeta. destruct (refills _); [reflexivity|]. destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; reflexivity. Qed.
Lemma yield_of_charge used smallest c : yielder (charge used smallest c) = yielder c.
Proof.
  unfold charge. destruct (is_round_robin c); [destruct (refills c); reflexivity|].
  assert (forall x, yielder (mend_first smallest x) = yielder x) as mended
    by (intros x; unfold mend_first; destruct (refills x) as [|? [|? ?]]; [|destruct (_ <=? _)|destruct (_ <=? _)]; reflexivity).
  pose proof (repeat_keeps (charge_step smallest) (fun x => yielder (fst x) = yielder c)
    (fun x => yielder x = yielder c)) as kept.
  assert (forall x, yielder (fst x) = yielder c -> match charge_step smallest x with
    Again a => yielder (fst a) = yielder c | Finished b => yielder b = yielder c end) as each.
  { intros (x & n) same. unfold charge_step. destruct (refills x) as [|first rest]; [exact same|]. cbv zeta. destruct (_ || _); [exact same|].
    destruct (_ <=? _); [destruct rest as [|second others]; [exact same|]|]; cbn [fst]; rewrite yield_of_give_back; exact same. }
  specialize (kept each used (c, used) eq_refl). destruct (repeat_after _ _ _) as [(x & n)|x]; rewrite mended; exact kept.
Qed.
Lemma yield_of_begin_use time c : yielder (begin_use time c) = yielder c.
Proof. unfold begin_use. destruct (refills c); [reflexivity|]. destruct (_ || _); reflexivity. Qed.
Lemma some_refills (l : list Refill) x : match l ++ [x] with [] => false | _ => true end = true. Proof. destruct l; reflexivity. Qed.
Lemma uses_of_give_back smallest r c :
  context_thread (give_back smallest r c) = context_thread c /\ calls (give_back smallest r c) = calls c /\ configured (give_back smallest r c) = true.
Proof.
  unfold give_back, configured. cbv zeta. destruct (refills _) eqn:some; [repeat split|].
  destruct (_ <=? _); [|destruct (_ <? _); [|destruct (_ =? _)]]; (split; [reflexivity | split; [reflexivity|]]); try apply some_refills.
  match goal with |- match refills ?x with _ => _ end = _ => change (refills x) with (refills c) end.
  change (refills c = r0 :: l) in some. rewrite some. reflexivity.
Qed.
Lemma uses_of_charge used smallest c : same_uses c (charge used smallest c).
Proof.
  unfold charge. destruct (is_round_robin c).
  { unfold same_uses, configured. destruct (refills c) eqn:some; [rewrite some|]; repeat split. }
  assert (forall x, same_uses x (mend_first smallest x)) as mended.
  { intros x. unfold mend_first, same_uses, configured, delay_only. destruct (refills x) as [|first [|second rest]] eqn:some;
      [rewrite some; repeat split | destruct (_ <=? _) | destruct (_ <=? _)]; rewrite ?some; repeat split. }
  pose proof (repeat_keeps (charge_step smallest) (fun x => same_uses c (fst x)) (fun x => same_uses c x)) as kept.
  assert (forall a b d, same_uses a b -> same_uses b d -> same_uses a d) as follows
    by (intros a b d (first & second & third) (first' & second' & third'); repeat split; congruence).
  assert (forall x, same_uses c (fst x) -> match charge_step smallest x with Again a => same_uses c (fst a) | Finished b => same_uses c b end) as each.
  { intros (x & n) same. cbn [fst] in same. unfold charge_step. destruct (refills x) as [|first rest] eqn:some; [exact same|]. cbv zeta.
    destruct (_ || _); [exact same|].
    assert (forall r a, context_thread a = context_thread x -> calls a = calls x -> same_uses c (give_back smallest r a)) as given_back.
    { intros r a thread_ calls_. destruct same as (same_thread & same_calls & same_configured), (uses_of_give_back smallest r a) as (first' & second & third).
      assert (configured x = true) as full by (unfold configured; rewrite some; reflexivity). repeat split; congruence. }
    destruct (_ <=? _); [destruct rest as [|second others]|]; cbn [fst].
    - apply (follows _ x); [exact same|]. unfold same_uses, delay_only, configured. rewrite some. repeat split.
    - apply given_back; reflexivity.
    - apply given_back; reflexivity. }
  specialize (kept each used (c, used)). assert (same_uses c c) as start by (repeat split). specialize (kept start).
  destruct (repeat_after _ _ _) as [(x & n)|x]; exact (follows _ _ _ kept (mended _)).
Qed.
Lemma join_some count time first rest : join_touching count time first rest <> [].
Proof.
  revert first rest. induction count as [|n IH]; intros first [|second rest]; cbn [join_touching]; try discriminate.
  destruct (_ <=? _); [apply IH | discriminate].
Qed.
Lemma uses_of_begin_use time c : same_uses c (begin_use time c).
Proof.
  unfold begin_use, same_uses, configured. destruct (refills c) as [|first rest] eqn:some; [rewrite some; repeat split|].
  destruct (_ || _); [rewrite some; repeat split|]. split; [reflexivity | split; [reflexivity|]].
  match goal with |- match refills ?x with _ => _ end = _ => destruct (refills x) eqn:joined; [|reflexivity] end.
  exfalso. exact (join_some _ _ _ _ joined).
Qed.
Ltac same_step :=
  match goal with
  | |- ?a = ?a => reflexivity
  | |- bound_notification (set_field ?f ?v ?x) = _ => change (bound_notification (set_field f v x)) with (bound_notification x)
  | |- run_state (set_field ?f ?v ?x) = _ => change (run_state (set_field f v x)) with (run_state x)
  | |- bound_notification (with_registers ?l ?x) = _ => rewrite (bound_of_registers l x)
  | |- run_state (with_registers ?l ?x) = _ => rewrite (state_of_registers l x)
  | |- context_notification (charge ?a ?b ?x) = _ => rewrite (loan_of_charge a b x)
  | |- context_notification (begin_use ?a ?x) = _ => rewrite (loan_of_begin_use a x)
  | |- context_notification (set_field ?f ?v ?x) = _ => change (context_notification (set_field f v x)) with (context_notification x)
  | |- sched_context (set_field ?f ?v ?x) = _ => change (sched_context (set_field f v x)) with (sched_context x)
  | |- sched_context (with_registers ?l ?x) = _ => rewrite (uses_of_registers l x)
  | |- yielded_to (set_field ?f ?v ?x) = _ => change (yielded_to (set_field f v x)) with (yielded_to x)
  | |- yielded_to (with_registers ?l ?x) = _ => rewrite (yield_of_registers l x)
  | |- fault (set_field ?f ?v ?x) = _ => change (fault (set_field f v x)) with (fault x)
  | |- fault (with_registers ?l ?x) = _ => rewrite (fault_of_registers l x)
  | |- word_of_flags (set_field ?f ?v ?x) = _ => change (word_of_flags (set_field f v x)) with (word_of_flags x)
  | |- priority (set_field ?f ?v ?x) = _ => change (priority (set_field f v x)) with (priority x)
  | |- priority (with_registers ?l ?x) = _ => rewrite (rank_of_registers l x)
  | |- yielder (charge ?a ?b ?x) = _ => rewrite (yield_of_charge a b x)
  | |- yielder (begin_use ?a ?x) = _ => rewrite (yield_of_begin_use a x)
  | |- yielder (set_field ?f ?v ?x) = _ => change (yielder (set_field f v x)) with (yielder x)
  | |- context_thread (charge ?a ?b ?x) = _ => rewrite (proj1 (uses_of_charge a b x))
  | |- calls (charge ?a ?b ?x) = _ => rewrite (proj1 (proj2 (uses_of_charge a b x)))
  | |- configured (charge ?a ?b ?x) = _ => rewrite (proj2 (proj2 (uses_of_charge a b x)))
  | |- context_thread (begin_use ?a ?x) = _ => rewrite (proj1 (uses_of_begin_use a x))
  | |- calls (begin_use ?a ?x) = _ => rewrite (proj1 (proj2 (uses_of_begin_use a x)))
  | |- configured (begin_use ?a ?x) = _ => rewrite (proj2 (proj2 (uses_of_begin_use a x)))
  | |- context_thread (set_field ?f ?v ?x) = _ => change (context_thread (set_field f v x)) with (context_thread x)
  | |- calls (set_field ?f ?v ?x) = _ => change (calls (set_field f v x)) with (calls x)
  | |- configured (set_field ?f ?v ?x) = _ => change (configured (set_field f v x)) with (configured x)
  | |- context ctx [match ?x with _ => _ end] => destruct x
  end.
Ltac allow :=
  intros ?; unfold thread_change, notification_change, context_change, endpoint_change, reply_change, table_change, as_well, same_uses;
  repeat match goal with |- _ /\ _ => split | |- _ -> _ => intros ? | |- if ?held then _ else _ => destruct held eqn:? end;
  first [ exfalso; congruence
        | left; reflexivity
        | right; solve [repeat same_step]
        | cbv beta; unfold debug_reply, write_registers, to_restart, with_error_result, with_result, with_empty_result, begin_receive, begin_call,
            lose_registers, with_state, with_register, root_context_at_boot; cbv zeta; first [ reflexivity | solve [repeat same_step] ] ].
Ltac know_what_is_free :=
  repeat match goal with H : Free _ |- _ => red in H | H : Lends |- _ => red in H end;
  try (assert (holds_contexts frozen = false)
         by (unfold holds_contexts; repeat match goal with H : frozen _ = false |- _ => rewrite H end; rewrite ?andb_false_r; reflexivity)).
Hint Extern 0 (Allowed _ _) => (know_what_is_free; allow) : typeclass_instances.

Instance keeps_emit e : Keeps (emit e).
Proof. intros st ok. exact (good_of_same st (emit e st) eq_refl eq_refl eq_refl eq_refl eq_refl (known_same _ _ eq_refl) (fun _ => eq_refl)
  (fun _ => conj (incl_tl e (incl_refl _)) eq_refl) ok). Qed.
Ltac change_object f o :=
  let st := fresh "st" in let ok := fresh "ok" in let found := fresh "found" in
  intros st ok; unfold f; destruct (objects st !! o) as [[]|] eqn:found; try exact (keeps_emit Stuck st ok);
  refine (after_put_object quiet o _ _ st found _ _ _ ok); cbn [object_change]; try rewrite (is_free : frozen Placing = false);
  first [exact I | match goal with A : Allowed _ _ |- _ => exact (A _) end].
Instance keeps_change_thread o f : Allowed thread_change f -> Keeps (change_thread o f). Proof. intros fine. change_object change_thread o. Qed.
Instance keeps_change_endpoint o f : Allowed endpoint_change f -> Keeps (change_endpoint o f). Proof. intros fine. change_object change_endpoint o. Qed.
Instance keeps_change_notification o f : Allowed notification_change f -> Keeps (change_notification o f).
Proof. intros fine. change_object change_notification o. Qed.
Instance keeps_put_reply o r : Allowed reply_change (fun _ => r) -> Keeps (put_reply o r).
Proof. intros fine. change_object put_reply o. Qed.
Instance reply_loses_context {lent : Lends} : LosesContext.
Proof.
  intros o st ok. unfold put_reply, reply. destruct (objects st !! o) as [[| | | |x| | | |]|] eqn:found; try exact (keeps_emit Stuck st ok).
  refine (after_put_object quiet o (ReplyObject (without_context x)) _ st found I _ I ok). intros _. unfold as_well. rewrite lent. split; reflexivity.
Qed.
Instance keeps_change_context o f : FineUpdate f -> Allowed context_change f -> Keeps (change_context o f).
Proof.
  intros (fine & same) fixed st ok. unfold change_context. destruct (objects st !! o) as [[]|] eqn:found; try exact (keeps_emit Stuck st ok).
  exact (after_put_object quiet o (SchedContextObject (f context)) _ st found (same _) (fixed _) (fine _ (contexts_are_fine quiet o _ st ok found)) ok).
Qed.
Lemma keeps_change_table o f : Allowed table_change f -> if_free Placing (Keeps (change_table o f)).
Proof. intros fine. unless_placing. change_object change_table o. Qed.
Instance change_table_freely o f {placing : Free Placing} : Allowed table_change f -> Keeps (change_table o f).
Proof. intros fine. exact (freely (keeps_change_table o f fine)). Qed.
Instance allowed_next i t : Allowed table_change (set i (NextTable t)).
Proof. intros x _ j base bits device r a. rewrite find_set. destruct (j =? i); [discriminate | exact id]. Qed.
Instance allowed_removal i : Allowed table_change (remove i).
Proof. intros x _ j base bits device r a. rewrite find_remove. destruct (j =? i); [discriminate | exact id]. Qed.
Instance allowed_emptying : Allowed table_change (fun _ => empty).
Proof. intros x _ j base bits device r a. rewrite find_empty. discriminate. Qed.
Lemma keeps_change_pool o f : if_free Placing (Keeps (change_pool o f)). Proof. unless_placing. change_object change_pool o. Qed.
Instance change_pool_freely o f {placing : Free Placing} : Keeps (change_pool o f). Proof. exact (freely (keeps_change_pool o f)). Qed.
Instance keeps_capability_at slot : Keeps (capability_at slot).
Proof. intros st ok. destruct (capability_at slot st) as [c|] eqn:found; [exact (capabilities_are_fine quiet slot c st ok found) | exact I]. Qed.
Instance keeps_occupied_slot t a : Keeps (occupied_slot_of_address t a).
Proof. keeping occupied_slot_of_address. Qed.
Instance keeps_last_occupied o : Keeps (last_occupied o).
Proof.
  intros st ok. unfold last_occupied. destruct (last_below _ _) as [(slot & e)|] eqn:found; [|exact I].
  destruct (o <=? slot); [|exact I]. apply last_below_found in found. destruct found as (_ & found).
  apply good_some, good_both; [exact I|]. apply (capabilities_are_fine quiet slot _ st ok). unfold capability_at. rewrite found. reflexivity.
Qed.
Instance keeps_discard slot {ends : Free Ending} : Keeps (discard slot). Proof. intros st. exact (after_discard primitives slot st ends). Qed.
Lemma not_placing (P : Prop) {placing : Free Placing} : frozen Placing = true -> P. Proof. red in placing. congruence. Qed.
Instance keeps_move_capability from to {placing : Free Placing} : Keeps (move_capability from to).
Proof. intros st. exact (use_provided _ _ _ (not_placing _) (after_move_capability primitives from to st)). Qed.
Instance keeps_change_capability slot c {placing : Free Placing} : Nice c -> Keeps (change_capability slot c).
Proof. intros fine st. exact (use_provided _ _ _ (not_placing _) (after_change_capability primitives slot c st fine)). Qed.
Lemma keeps_exchange a b : if_free Placing (Keeps (exchange_capabilities a b)). Proof. unless_placing. keeping exchange_capabilities. Qed.
Instance exchange_freely a b {placing : Free Placing} : Keeps (exchange_capabilities a b). Proof. exact (freely (keeps_exchange a b)). Qed.
Lemma keeps_carve untyped at_ size x slot c {placing : Free Placing} :
  comes_with c at_ size x -> match x with Some x => FineObject x /\ is_new x | None => True end -> Nice c -> Keeps (carve untyped at_ size x slot c).
Proof.
  intros with_it fine fine_c st. exact (use_provided _ _ _ (not_placing _) (after_carve primitives untyped at_ size x slot c st with_it fine fine_c)).
Qed.
Lemma insert_derived_good slot s o c st : (frozen Placing = true -> arrives slot s c st) -> good c -> good st -> good (insert_derived slot s o c st).
Proof.
  intros arrived fine ok. unfold insert_derived. destruct (slots st !! s) as [e|] eqn:found; [|keep].
  assert (capability_at s st = Some (capability e)) as there by (unfold capability_at; rewrite found; reflexivity).
  pose proof (capabilities_are_fine quiet s _ st ok there) as fine_source.
  destruct (is_untyped (capability e)) eqn:untyped.
  - destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_it; try discriminate untyped.
    refine (use_provided _ _ _ _ (after_carve primitives s base _ None slot _ st _ I fine_source) ok);
      [|split; [reflexivity|]; exists bits, device; split; reflexivity].
    intros placing. split; [reflexivity|]. destruct (arrived placing) as (from & address & to & old & found_ & may & is_c & goes).
    exists from, address, to, old. repeat split; try assumption. pose proof found_ as at_s. unfold occupied_slot_of_address in at_s.
    destruct (walk_from_thread from address st) as [s' left_|]; [|discriminate]. destruct (capability_at s' st) as [d|] eqn:at_s'; [|discriminate].
    injection at_s as -> ->. assert (old = UntypedCap base bits device used) as -> by congruence. reflexivity.
  - assert (good (if is_zombie c || negb (is_claimed c st) || negb (stands_alike (capability e) c) then emit Stuck st
                  else if original e then insert_child slot s o c st else insert_sibling slot s o c st)) as kept.
    { destruct (is_zombie c) eqn:no_zombie; [exact (keeps_emit Stuck st ok)|]. cbn [orb].
      destruct (is_claimed c st) eqn:claimed; cbn [negb orb]; [|exact (keeps_emit Stuck st ok)].
      destruct (stands_alike (capability e) c) eqn:alike; cbn [negb]; [|exact (keeps_emit Stuck st ok)].
      assert (derivable c s st) as from by (split; [exact no_zombie | exists (capability e); repeat split; assumption]).
      destruct (original e).
      - exact (use_provided _ _ _ arrived (after_insert_child primitives slot s o c st from fine) ok).
      - exact (use_provided _ _ _ arrived (after_insert_sibling primitives slot s o c st from fine) ok). }
    destruct (capability e); try exact kept. discriminate untyped.
Qed.
Lemma keeps_insert_derived slot s o c : Nice c -> if_free Placing (Keeps (insert_derived slot s o c)).
Proof. intros fine. unless_placing. intros st. exact (insert_derived_good slot s o c st (not_placing _) fine). Qed.
Instance insert_derived_freely slot s o c {placing : Free Placing} : Nice c -> Keeps (insert_derived slot s o c).
Proof. intros fine. exact (freely (keeps_insert_derived slot s o c fine)). Qed.
Instance keeps_write_memory a v : Keeps (write_memory a v). Proof. keeping write_memory. Qed.

(** ** Time *)
Instance keeps_unplace t {lent : Lends} : Keeps (unplace t).
Proof. intros st. pose proof (after_unplace quiet t st) as leaves. unfold provided in leaves. rewrite lent in leaves. exact leaves. Qed.
Instance keeps_place t : Keeps (place t). Proof. intros st. exact (after_place quiet insert_behind t st (or_introl eq_refl)). Qed.
Instance keeps_place_ahead t : Keeps (place_ahead t).
Proof. intros st. exact (after_place quiet insert_ahead t st (or_intror (or_introl eq_refl))). Qed.
Instance keeps_place_anew t : Keeps (place_anew t). Proof. keeping place_anew. Qed.
Instance keeps_begin_sporadic t : Keeps (begin_sporadic t). Proof. keeping begin_sporadic. Qed.
Instance keeps_wake t {moves : Free Waiting} : Keeps (wake t). Proof. keeping wake. Qed.
Instance keeps_wake_ahead t {moves : Free Waiting} : Keeps (wake_ahead t). Proof. keeping wake_ahead. Qed.
Instance keeps_give_context c t {lent : Lends} : Keeps (give_context c t). Proof. keeping give_context. Qed.
Instance keeps_book : Keeps book. Proof. keeping book. Qed.
Instance keeps_will_book : Keeps will_book. Proof. keeping will_book. Qed.
Instance keeps_book_turn : Keeps book_turn. Proof. keeping book_turn. Qed.
Instance keeps_report_booked c : Keeps (report_booked c). Proof. keeping report_booked. Qed.
Instance keeps_report_consumed c : Keeps (report_consumed c). Proof. keeping report_consumed. Qed.
Instance keeps_begin_turn i : Keeps (begin_turn i). Proof. keeping begin_turn. Qed.
Instance keeps_next_turn : Keeps next_turn. Proof. keeping next_turn. Qed.
Instance keeps_end_turn_if_due : Keeps end_turn_if_due. Proof. keeping end_turn_if_due. Qed.
Class Reports (report : N -> State -> N * State) : Prop := reports : In report yield_reports.
#[export] Instance reports_consumed : Reports report_consumed. Proof. left. reflexivity. Qed.
#[export] Instance reports_booked : Reports report_booked. Proof. right. left. reflexivity. Qed.
Instance keeps_end_yield_by report t {r : Reports report} : (forall c, Keeps (report c)) -> Keeps (end_yield_by report t).
Proof.
  intros each st ok. pose proof (given_yields quiet) as ends. destruct (frozen Yielding) eqn:yields; [exact (proj1 ends report t st r ok)|].
  change (Free Yielding) in yields. unfold end_yield_by. keep.
Qed.
Instance keeps_end_yield t : Keeps (end_yield t). Proof. keeping end_yield. Qed.
Instance keeps_forget_yield t : Keeps (forget_yield t).
Proof.
  intros st ok. pose proof (given_yields quiet) as ends. destruct (frozen Yielding) eqn:yields; [exact (proj2 ends t st ok)|].
  change (Free Yielding) in yields. unfold forget_yield. keep.
Qed.

(** ** Messages *)
Instance keeps_transfer position l through from to free : Keeps (transfer position l through from to free).
Proof.
  revert position free. induction l as [|address rest IH]; intros position free st ok; cbn [transfer]; [keep|].
  destruct (receive_buffer to st) as [buffer|]; [|keep]. pose proof (keeps_occupied_slot from address st ok) as fine.
  destruct (occupied_slot_of_address from address st) as [(source_ & c)|report] eqn:found; [|keep].
  apply inl_good, both_good in fine. destruct fine as (_ & fine). cbv zeta.
  match goal with |- good (match ?x with _ => _ end) => destruct x; [solve [keep]|] end.
  destruct free; [|keep]. destruct (derivation_error source_ c st) as [error|] eqn:may; [keep|].
  destruct (receive_slot to st) as [slot|] eqn:goes; [|keep].
  assert (good (insert_derived slot source_ false (derived c) st)) as arrived.
  { apply insert_derived_good; [|exact (good_derived c fine) | exact ok]. intros _. exists from, address, to, c. repeat split; assumption. }
  keep.
Qed.
Instance keeps_write_words a l : Keeps (write_words a l).
Proof. revert a. induction l as [|v rest IH]; intros a st ok; simpl; keep. Qed.
Instance keeps_write_long_words t l : Keeps (write_long_words t l). Proof. keeping write_long_words. Qed.
Instance keeps_deliver m through badge caps from to : Keeps (deliver m through badge caps from to). Proof. keeping deliver. Qed.
Instance keeps_break_stack r {lent : Lends} : Keeps (break_stack r). Proof. keeping break_stack. Qed.
Instance keeps_return_context r t {lent : Lends} : Keeps (return_context r t). Proof. keeping return_context. Qed.
Instance keeps_set_empty_result t : Keeps (set_empty_result t). Proof. keeping set_empty_result. Qed.
Instance keeps_set_error_result e t : Keeps (set_error_result e t). Proof. keeping set_error_result. Qed.
Instance keeps_end_call_of t h {moves : Free Waiting} : Keeps (end_call_of t h). Proof. keeping end_call_of. Qed.
Instance keeps_free_reply r {moves : Free Waiting} : Keeps (free_reply r). Proof. keeping free_reply. Qed.
Instance keeps_stop_waiting t {moves : Free Waiting} : Keeps (stop_waiting t). Proof. keeping stop_waiting. Qed.
Instance keeps_suspend t {moves : Free Waiting} : Keeps (suspend t). Proof. keeping suspend. Qed.
Instance keeps_make_inactive t {moves : Free Waiting} : Keeps (make_inactive t). Proof. keeping make_inactive. Qed.
Instance keeps_end_unanswered t {moves : Free Waiting} : Keeps (end_unanswered t). Proof. keeping end_unanswered. Qed.
Instance keeps_restart t {moves : Free Waiting} : Keeps (restart t). Proof. keeping restart. Qed.
Instance keeps_return_lent_context t n {lent : Lends} : Keeps (return_lent_context t n). Proof. keeping return_lent_context. Qed.
Instance keeps_lend_context t n {lent : Lends} : Keeps (lend_context t n). Proof. keeping lend_context. Qed.
Instance keeps_meet s t e b r rg g gr c l {moves : Free Waiting} : Keeps (meet s t e b r rg g gr c l). Proof. keeping meet. Qed.
Instance keeps_send t e b g gr c l w {moves : Free Waiting} : Keeps (send t e b g gr c l w). Proof. keeping send. Qed.
Instance keeps_refuse_sender t {moves : Free Waiting} : Keeps (refuse_sender t). Proof. keeping refuse_sender. Qed.
Instance keeps_receive_from queue t e r g {moves : Free Waiting} : Keeps (receive_from queue t e r g). Proof. keeping receive_from. Qed.
Instance keeps_refuse_first e r {moves : Free Waiting} : Keeps (refuse_first e r). Proof. keeping refuse_first. Qed.
Instance keeps_take_flags t n {lent : Lends} : Keeps (take_flags t n). Proof. keeping take_flags. Qed.
Instance keeps_receive t e r requires g b {moves : Free Waiting} : Keeps (receive t e r requires g b). Proof. keeping receive. Qed.
Instance keeps_wait_on t n b {moves : Free Waiting} : Keeps (wait_on t n b). Proof. keeping wait_on. Qed.
Instance keeps_hand_flags_to t n {moves : Free Waiting} : Keeps (hand_flags_to t n). Proof. keeping hand_flags_to. Qed.
Instance keeps_signal n b {moves : Free Waiting} : Keeps (signal n b). Proof. keeping signal. Qed.
Lemma keeps_deliver_words m through badge caps from to : cap_addresses m = [] -> Keeps (deliver m through badge caps from to).
Proof.
  intros none st ok. unfold deliver. rewrite none. assert ((if caps then @nil N else []) = []) as -> by (destruct caps; reflexivity).
  cbn [transfer]. keep.
Qed.
(** A thread with a fault says so, and what is no thread says nothing. *)
Definition is_silent (t : N) (st : State) : Prop := fault (thread t st) <> None \/ thread t st = new_thread.
Lemma silent_message t st : is_silent t st -> cap_addresses (message_of t st) = [].
Proof.
  unfold message_of, message_of_call. intros [some|none].
  - destruct (fault (thread t st)); [reflexivity | contradiction].
  - rewrite none. cbn [fault new_thread]. destruct (send_buffer _ _); reflexivity.
Qed.
Lemma faulting_is_silent t f st : is_silent t (change_thread t (fun x => x <| fault := Some f |>) st).
Proof.
  unfold is_silent, change_thread, thread. destruct (objects st !! t) as [[|x| | | | | | |]|] eqn:found.
  2: { left. match goal with |- context [put_object t ?x st] => change (objects (put_object t x st)) with (set t x (objects st)) end.
       rewrite find_set, N.eqb_refl. discriminate. }
  all: right; change (objects (emit Stuck st)) with (objects st); rewrite found; reflexivity.
Qed.
Lemma silent_after_change_endpoint t e f st : is_silent t st -> is_silent t (change_endpoint e f st).
Proof.
  assert (thread t (change_endpoint e f st) = thread t st) as same; [|unfold is_silent; rewrite same; exact id].
  unfold change_endpoint, thread. destruct (objects st !! e) as [[| |x| | | | | |]|] eqn:found; try reflexivity.
  match goal with |- context [put_object e ?x st] => change (objects (put_object e x st)) with (set e x (objects st)) end.
  rewrite find_set. destruct (N.eqb_spec t e) as [->|]; [rewrite found|]; reflexivity.
Qed.
Lemma meet_silent s t e b r rg g gr c l st {moves : Free Waiting} : is_silent s st -> good st -> good (meet s t e b r rg g gr c l st).
Proof.
  intros silent ok. unfold meet. pose proof (keeps_deliver_words (message_of s st) (Some e) b g s t (silent_message s st silent) st ok). keep.
Qed.
Lemma send_silent t e b g gr c l w st {moves : Free Waiting} : is_silent t st -> good st -> good (send t e b g gr c l w st).
Proof.
  intros silent ok. unfold send. destruct (receivers (endpoint e st)) as [|first rest]; [keep|].
  destruct (run_state (thread first st)) as [| |x r requires receiver_grant| | |]; [keep | keep | | keep | keep | keep].
  cbv zeta. destruct (leaves_without_context _ _ _ _); [keep|].
  apply good_both; [exact I|]. apply meet_silent; [exact moves | apply silent_after_change_endpoint; exact silent | keep].
Qed.
Instance keeps_raise_fault_to slot l t f {moves : Free Waiting} : Keeps (raise_fault_to slot l t f).
Proof.
  intros st ok. unfold raise_fault_to. destruct (capability_at _ st) as [[|e badge r| | | | | | | | | | | | | | | | |]|];
    try solve [exact (keeps_make_inactive t st ok)].
  destruct (_ && _); [|keep]. cbv zeta.
  assert (good (change_thread t (fun x => x <| fault := Some f |>) st)) as faulting by keep.
  pose proof (send_silent t e badge (can_grant r) (can_grant_reply r) true l true _ (faulting_is_silent t f st) faulting) as sent.
  destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & after); apply both_good in sent; destruct sent as (_ & sent); keep.
Qed.
Instance keeps_raise_fault t f {moves : Free Waiting} : Keeps (raise_fault t f). Proof. keeping raise_fault. Qed.
Instance keeps_answer_fault t f m {moves : Free Waiting} : Keeps (answer_fault t f m). Proof. keeping answer_fault. Qed.
Instance keeps_answer t r g {moves : Free Waiting} : Keeps (answer t r g). Proof. keeping answer. Qed.

(** ** Spaces and deletion *)
Lemma keeps_set_page_entry t i e : Allowed table_change (set i e) -> if_free Placing (Keeps (set_page_entry t i e)).
Proof. intros fine. unless_placing. keeping set_page_entry. Qed.
Instance set_page_entry_freely t i e {placing : Free Placing} : Allowed table_change (set i e) -> Keeps (set_page_entry t i e).
Proof. intros fine. exact (freely (keeps_set_page_entry t i e fine)). Qed.
Instance keeps_clear_page_entry t i {placing : Free Placing} : Keeps (clear_page_entry t i). Proof. keeping clear_page_entry. Qed.
Instance keeps_unmap p level one e {placing : Free Placing} : Keeps (unmap p level one e). Proof. keeping unmap. Qed.
Lemma keeps_unmap_frame b n p : if_free Placing (Keeps (unmap_frame b n p)). Proof. unless_placing. keeping unmap_frame. Qed.
Instance unmap_frame_freely b n p {placing : Free Placing} : Keeps (unmap_frame b n p). Proof. exact (freely (keeps_unmap_frame b n p)). Qed.
Lemma keeps_unmap_table t p : if_free Placing (Keeps (unmap_table t p)). Proof. unless_placing. keeping unmap_table. Qed.
Instance unmap_table_freely t p {placing : Free Placing} : Keeps (unmap_table t p). Proof. exact (freely (keeps_unmap_table t p)). Qed.
Lemma keeps_release_asid v a : if_free Placing (Keeps (release_asid v a)). Proof. unless_placing. keeping release_asid. Qed.
Instance release_asid_freely v a {placing : Free Placing} : Keeps (release_asid v a). Proof. exact (freely (keeps_release_asid v a)). Qed.
Lemma keeps_release_pool p : if_free Placing (Keeps (release_pool p)). Proof. unless_placing. keeping release_pool. Qed.
Instance release_pool_freely p {placing : Free Placing} : Keeps (release_pool p). Proof. exact (freely (keeps_release_pool p)). Qed.
Instance keeps_allow n : Keeps (allow n). Proof. keeping allow. Qed.
Instance keeps_in_units {A : Type} remains (work : A -> State -> A * State) (a : A) :
  (forall a, Keeps (work a)) -> Keeps (in_units remains work a).
Proof.
  intros each st ok. unfold in_units.
  assert (good (repeat_after (allowance st) (unit_turn remains work) (a, allowance st, st))) as result.
  { apply good_repeat; [|repeat split; exact ok]. intros ((a' & units) & st') (_ & ok'). unfold unit_turn. keep. }
  destruct (repeat_after _ _ _) as [((? & ?) & st')|p]; [exact (proj2 result) | exact result].
Qed.
Instance keeps_unbind_notification t n {bound : Free Binding} : Keeps (unbind_notification t n). Proof. keeping unbind_notification. Qed.
Instance keeps_unbind_thread c {lent : Lends} : Keeps (unbind_thread_of_context c). Proof. keeping unbind_thread_of_context. Qed.
Instance keeps_unbind_of_context c {lent : Free Loan} : Keeps (unbind_notification_of_context c). Proof. keeping unbind_notification_of_context. Qed.
Instance keeps_end_thread t {moves : Free Waiting} {bound : Free Binding} : Keeps (end_thread t). Proof. keeping end_thread. Qed.
Instance keeps_end_notification n {bound : Free Binding} {lent : Free Loan} : Keeps (end_notification n). Proof. keeping end_notification. Qed.
Instance keeps_end_context c {lent : Free Loan} {lends : Lends} : Keeps (end_context c). Proof. keeping end_context. Qed.
Instance keeps_end_interrupt i {handles : Free Handling} : Keeps (end_interrupt i). Proof. keeping end_interrupt. Qed.
Lemma keeps_let_go c {moves : Free Waiting} {bound : Free Binding} {lent : Free Loan} {handles : Free Handling} : if_free Placing (Keeps (let_go c)).
Proof. unless_placing. keeping let_go. Qed.
Instance let_go_freely c {moves : Free Waiting} {bound : Free Binding} {lent : Free Loan} {handles : Free Handling} {placing : Free Placing} :
  Keeps (let_go c).
Proof. exact (freely (keeps_let_go c)). Qed.
Instance keeps_make_zombie s {ends : Free Ending} : Keeps (make_zombie s).
Proof.
  intros st ok. apply (after_make_zombie primitives); [exact ends | | exact ok]. intros e o found container.
  apply (good_zombie (capability e) o st); [|exact container]. apply (capabilities_are_fine quiet s _ st ok).
  unfold capability_at. rewrite found. reflexivity.
Qed.
Instance keeps_become_zombie s c {moves : Free Waiting} {bound : Free Binding} {ends : Free Ending} : Keeps (become_zombie s c).
Proof. keeping become_zombie. Qed.
Lemma keeps_rotate_zombies a s i : if_free Placing (Keeps (rotate_zombies a s i)). Proof. unless_placing. keeping rotate_zombies. Qed.
Instance rotate_zombies_freely a s i {placing : Free Placing} : Keeps (rotate_zombies a s i). Proof. exact (freely (keeps_rotate_zombies a s i)). Qed.
Instance keeps_meet_inner a s o i {ends : Free Ending} {placing : Free Placing} : Keeps (meet_inner a s o i). Proof. keeping meet_inner. Qed.
Instance keeps_delete_plain s c {moves : Free Waiting} {bound : Free Binding} {lent : Free Loan} {ends : Free Ending} {handles : Free Handling}
    {placing : Free Placing} :
  Keeps (delete_plain s c).
Proof. keeping delete_plain. Qed.
Instance keeps_delete_one s c {moves : Free Waiting} {bound : Free Binding} {lent : Free Loan} {ends : Free Ending} {handles : Free Handling}
    {placing : Free Placing} :
  Keeps (delete_one s c).
Proof. keeping delete_one. Qed.
Instance keeps_to_first_slot a f {placing : Free Placing} : Keeps (to_first_slot a f). Proof. keeping to_first_slot. Qed.
Instance keeps_empty_zombie a o {moves : Free Waiting} {bound : Free Binding} {lent : Free Loan} {ends : Free Ending} {handles : Free Handling}
    {placing : Free Placing} :
  Keeps (empty_zombie a o).
Proof.
  keeping empty_zombie.
Qed.
Instance keeps_delete_unit a : Keeps (delete_unit a).
Proof.
  destruct (given_delete_unit given) as [free|all_of_it]; [|intros st ok; exact (conj I (all_of_it a st ok))].
  apply free_all in free. destruct free as ((bound & lent & moves & ends) & handles & placing).
  change (Free Binding) in bound. change (Free Loan) in lent. change (Free Waiting) in moves. change (Free Ending) in ends.
  change (Free Handling) in handles. change (Free Placing) in placing. keeping delete_unit.
Qed.
Instance keeps_delete slot : Keeps (delete slot). Proof. exact (keeps_in_units is_occupied delete_unit slot keeps_delete_unit). Qed.
Instance keeps_revoke slot : Keeps (revoke slot).
Proof.
  apply keeps_in_units. intros anchor st. exact (keeps_delete_unit (next_deletion slot anchor st) st).
Qed.
Lemma keeps_insert_copy slot s c : Nice c -> if_free Placing (Keeps (insert_copy slot s c)).
Proof. intros fine. unless_placing. red in fine. keeping insert_copy. Qed.
Instance insert_copy_freely slot s c {placing : Free Placing} : Nice c -> Keeps (insert_copy slot s c).
Proof. intros fine. exact (freely (keeps_insert_copy slot s c fine)). Qed.
Instance keeps_replace_slot slot by_ {placing : Free Placing} : Nice by_ -> Keeps (replace_slot slot by_). Proof. intros fine. red in fine.
  keeping replace_slot. Qed.
Instance keeps_cancel_unit e b u {moves : Free Waiting} : Keeps (cancel_unit e b u). Proof. keeping cancel_unit. Qed.
Instance keeps_cancel_badged_sends e b {moves : Free Waiting} : Keeps (cancel_badged_sends e b).
Proof.
  pose proof (keeps_in_units (has_sender_with_badge e b) (cancel_unit e b) tt (fun u => keeps_cancel_unit e b u)). keeping cancel_badged_sends.
Qed.

(** ** Methods *)
Instance keeps_set_word_argument i v t : Keeps (set_word_argument i v t). Proof. keeping set_word_argument. Qed.
Lemma new_object_is_fine type n x : new_object type n = Some x -> FineObject x /\ is_new x.
Proof. destruct type; intros made; try discriminate; injection made as <-; (split; [exact _|]); first [reflexivity | eexists; reflexivity]. Qed.
Lemma new_comes_with type at_ n device : comes_with (new_capability type at_ n device) at_ (N.shiftl 1 (object_bits type n)) (new_object type n).
Proof. destruct type; (split; [reflexivity|]); first [repeat split; first [reflexivity | apply N.eqb_refl] | do 2 eexists; split; reflexivity]. Qed.
Lemma keeps_carve_pool u base p slot : Nice (ASIDPoolCap base) ->
  if_free Placing (Keeps (carve u base (N.shiftl 1 page_bits) (Some (ASIDPoolObject p)) slot (ASIDPoolCap base))).
Proof. intros fine. unless_placing. apply keeps_carve; [exact placing | repeat split | split; exact I | exact fine]. Qed.
Instance carve_pool_freely u base p slot {placing : Free Placing} : Nice (ASIDPoolCap base) ->
  Keeps (carve u base (N.shiftl 1 page_bits) (Some (ASIDPoolObject p)) slot (ASIDPoolCap base)).
Proof. intros fine. exact (freely (keeps_carve_pool u base p slot fine)). Qed.
Lemma keeps_make_object type at_ n d slot u : Nice (new_capability type at_ n d) -> if_free Placing (Keeps (make_object type at_ n d slot u)).
Proof.
  intros fine. unless_placing. intros st ok. unfold make_object. cbv zeta.
  assert (match new_object type n with Some x => FineObject x /\ is_new x | None => True end) as fine_x
    by (destruct (new_object type n) as [x|] eqn:made; [exact (new_object_is_fine type n x made) | exact I]).
  apply (keeps_carve u at_ _ (new_object type n) slot _ (new_comes_with type at_ n d) fine_x fine).
  destruct (needs_memory type || (is_frame type && negb d)); [exact (keeps_emit _ st ok) | exact ok].
Qed.
Instance make_object_freely type at_ n d slot u {placing : Free Placing} : Nice (new_capability type at_ n d) -> Keeps (make_object type at_ n d slot u).
Proof. intros fine. exact (freely (keeps_make_object type at_ n d slot u fine)). Qed.
Lemma keeps_make_objects count type at_ n d slot offset base bits used u t {placing : Free Placing} :
  good (UntypedCap base bits d used) -> base <= at_ -> at_ + N.of_nat count * N.shiftl 1 (object_bits type n) <= base + N.shiftl 1 bits ->
  d && needs_memory type = false -> size_fits type n -> Keeps (make_objects count type at_ n d slot offset u t).
Proof.
  intros fine. revert at_ slot offset.
  induction count as [|rest IH]; intros at_ slot offset above fits memory sized st ok; cbn [make_objects]; [exact ok|].
  destruct (must_stop st); [keep|]. cbv zeta.
  assert (Nice (new_capability type at_ n d)) as made
    by (exact (fine_yield primitives _ _ (retyped base bits d used type at_ n above ltac:(lia) memory sized) fine)).
  apply (IH (at_ + N.shiftl 1 (object_bits type n)) (slot + slot_bytes) (offset + 1)); [lia | lia | exact memory | exact sized | keep].
Qed.
Lemma size_is_fit type n low high : or_default (n, n) (choice_of_size type) = (low, high) -> (low <=? n) && (n <=? high) = true -> size_fits type n.
Proof.
  unfold size_fits. intros range within smallest largest choice. rewrite choice in range. injection range as -> ->. apply andb_prop in within. destruct within.
  split; apply N.leb_le; assumption.
Qed.
Lemma align_up_above n bits : n <= align_up n bits.
Proof.
  unfold align_up. rewrite N.shiftl_mul_pow2, N.shiftr_div_pow2, N.ones_equiv. assert (2 ^ bits <> 0) as some by (apply N.pow_nonzero; lia).
  pose proof (N.div_mod (n + N.pred (2 ^ bits)) (2 ^ bits) some). pose proof (N.mod_lt (n + N.pred (2 ^ bits)) (2 ^ bits) some). lia.
Qed.
Instance keeps_untyped_retype a b c d e f r call {placing : Free Placing} : Nice call -> Keeps (untyped_retype a b c d e f r call).
Proof.
  intros fine st ok. apply good_invoked in fine. unfold untyped_retype.
  destruct (invoked call) as [base bits device used| | | | | | | | | | | | | | | | | |]; try exact I.
  destruct (ObjectType.of_number a) as [type|]; [|exact I]. cbv zeta.
  repeat match goal with
         | |- good (if ?x then _ else _) => destruct x eqn:?; [|solve [keep]]
         | |- good (match ?x with _ => _ end) => destruct x eqn:?; try solve [keep]
         end.
  all: apply good_perform; apply (keeps_make_objects _ type _ _ device _ _ base bits used _ _ fine).
  all: match goal with H : (_ + N.shiftl _ _ <=? _) = true |- _ => apply N.leb_le in H; rewrite N.shiftl_mul_pow2 in H end.
  all: try (match goal with H : or_default _ _ = _, within : _ && _ = true |- _ => exact (size_is_fit _ _ _ _ H within) end).
  all: try (pose proof (align_up_above (base + (if has_children (invoked_slot call) st then used else 0)) (object_bits type b)); lia).
  all: try (rewrite N2Nat.id, N.shiftl_1_l; assumption).
  all: destruct device, (needs_memory type); try reflexivity; discriminate.
Qed.
Instance keeps_cnode_revoke i d call : Keeps (cnode_revoke i d call). Proof. keeping cnode_revoke. Qed.
Instance keeps_cnode_delete i d call : Keeps (cnode_delete i d call). Proof. keeping cnode_delete. Qed.
Instance keeps_cnode_cancel i d call {moves : Free Waiting} : Keeps (cnode_cancel_badged_sends i d call). Proof. keeping cnode_cancel_badged_sends. Qed.
Instance keeps_derive_into a b c d e r m o call {placing : Free Placing} : Making m -> Keeps (derive_into a b c d e r m o call). Proof. intros fine.
  keeping derive_into. Qed.
Instance keeps_move_into a b c d r m call {placing : Free Placing} : Making m -> Keeps (move_into a b c d r m call). Proof. intros fine. keeping move_into. Qed.
Instance keeps_cnode_rotate a b c d e f g h p r call {placing : Free Placing} : Keeps (cnode_rotate a b c d e f g h p r call). Proof. keeping cnode_rotate. Qed.
Instance keeps_suspend_if b t {moves : Free Waiting} : Keeps (suspend_if b t). Proof. keeping suspend_if. Qed.
Instance keeps_resume t {moves : Free Waiting} : Keeps (resume t). Proof. keeping resume. Qed.
Instance keeps_resume_if b t {moves : Free Waiting} : Keeps (resume_if b t). Proof. keeping resume_if. Qed.
Instance keeps_stop_for_writing t {moves : Free Waiting} : Keeps (stop_for_writing t). Proof. keeping stop_for_writing. Qed.
Instance keeps_copy_registers l from to : Keeps (copy_registers l from to). Proof. keeping copy_registers. Qed.
Instance keeps_replace_in t slot by_ {placing : Free Placing} : Nice by_ -> Keeps (replace_in t slot by_). Proof. intros fine. red in fine.
  keeping replace_in. Qed.
Lemma good_replacement a : good a -> good (replacement a). Proof. intros ok. unfold replacement. keep. Qed.
Lemma good_guarded d a : good a -> good (guarded d a). Proof. intros ok. unfold guarded. keep. Qed.
Hint Extern 0 (Nice (replacement _)) => (red; apply good_replacement; solve [keep]) : typeclass_instances.
Hint Extern 0 (Nice (guarded _ _)) => (red; apply good_guarded; solve [keep]) : typeclass_instances.
Instance keeps_set_buffer t a f {placing : Free Placing} : Nice f -> Keeps (set_buffer t a f).
Proof. intros fine. red in fine. intros st ok. unfold set_buffer. destruct (a =? 0); keep. Qed.
Lemma keeps_set_priority t p {moves : Free Waiting} : if_free Ranking (Keeps (set_priority t p)).
Proof.
  unless_ranking. intros st ok. unfold set_priority. cbv zeta. assert (good (change_thread t (fun x => x <| priority := p |>) st)) as changed by keep.
  revert changed. generalize (change_thread t (fun x => x <| priority := p |>) st). intros after fine.
  destruct (run_state (thread t after)); [keep | | keep | keep | keep | keep].
  destruct (member t (sleeping after)) eqn:sleeps; [exact (after_sleeping_anew quiet t after sleeps fine) | keep].
Qed.
Instance set_priority_freely t p {moves : Free Waiting} {ranks : Free Ranking} : Keeps (set_priority t p).
Proof. exact (freely (keeps_set_priority t p)). Qed.
Instance keeps_bind_context c t {lent : Lends} : Keeps (bind_context c t). Proof. keeping bind_context. Qed.
Instance keeps_change_flags t c s : Keeps (change_flags t c s). Proof. keeping change_flags. Qed.
Instance keeps_tcb_configure a b c x y z call {placing : Free Placing} : Nice x -> Nice y -> Nice z -> Keeps (tcb_configure a b c x y z call).
Proof. intros fine_x fine_y fine_z. red in fine_x, fine_y, fine_z. keeping tcb_configure. Qed.
Instance keeps_tcb_set_space a b x y z call {placing : Free Placing} : Nice x -> Nice y -> Nice z -> Keeps (tcb_set_space a b x y z call).
Proof. intros fine_x fine_y fine_z. red in fine_x, fine_y, fine_z. keeping tcb_set_space. Qed.
Instance keeps_tcb_set_sched_params a b x y z call {moves : Free Waiting} {placing : Free Placing} {ranks : Free Ranking} :
  Nice x -> Nice y -> Nice z -> Keeps (tcb_set_sched_params a b x y z call).
Proof. intros fine_x fine_y fine_z. red in fine_x, fine_y, fine_z. keeping tcb_set_sched_params. Qed.
Instance keeps_change_interrupt i f : Keeps (change_interrupt i f).
Proof.
  intros st ok. refine (good_of_same st (change_interrupt i f st) eq_refl eq_refl eq_refl eq_refl eq_refl _ (fun _ => eq_refl)
    (fun _ => conj (incl_refl _) eq_refl) ok). intros _ irq.
  change (interrupts (change_interrupt i f st)) with (update i f (interrupts st)). rewrite find_update.
  destruct (irq =? i); [destruct (interrupts st !! irq)|]; reflexivity.
Qed.
Instance keeps_deactivate i : Keeps (deactivate i). Proof. keeping deactivate. Qed.
Instance keeps_set_mask i m : Keeps (set_mask i m). Proof. keeping set_mask. Qed.
Instance keeps_maintain t piece start end_ : (forall x, Keeps (piece x)) -> Keeps (maintain t piece start end_).
Proof. intros each st ok. unfold maintain. keep. Qed.
Instance keeps_piece_of_space op v end_ x : Keeps (piece_of_space op v end_ x). Proof. keeping piece_of_space. Qed.
Instance keeps_frame_maintain op a b call : Keeps (frame_maintain op a b call). Proof. keeping frame_maintain. Qed.
Instance keeps_vspace_maintain op a b call : Keeps (vspace_maintain op a b call). Proof. keeping vspace_maintain. Qed.

(** IRQControl makes handlers and senders. *)
Lemma keeps_irq_control_get a b c d r call {handles : Free Handling} {placing : Free Placing} :
  good call -> invoked call = IRQControlCap -> Keeps (irq_control_get a b c d r call).
Proof.
  intros fine is_control. pose proof (good_invoked call fine) as control. rewrite is_control in control.
  pose proof (fine_yield primitives _ _ (interrupt_claimed a) control : good (IRQHandlerCap a)). keeping irq_control_get.
Qed.
Lemma keeps_irq_control_issue a b c d r call {placing : Free Placing} : good call -> invoked call = IRQControlCap ->
  Keeps (irq_control_issue_sgisignal a b c d r call).
Proof.
  intros fine is_control. pose proof (good_invoked call fine) as control. rewrite is_control in control.
  pose proof (fine_yield primitives _ _ (sender_made a b) control : good (SGISignalCap a b)). keeping irq_control_issue_sgisignal.
Qed.

(** The dispatch to all methods. When yields are frozen it leaves YieldTo out: who calls it must be known. *)
Definition is_yield_to (m : Method.t) : bool := match m with Method.SchedContextYieldTo => true | _ => false end.
Definition calls_yield_to (m : Message) (c : Capability) : bool := match method_for (label m) c with Some m => is_yield_to m | None => false end.
Definition but_for (b : bool) (P : Prop) : Prop := if b then True else P.
Definition decides_well (d : Decision) (st : State) : Prop := match d with Perform work => good (state_after (work st)) | Refuse _ _ => True end.
Lemma good_decides d st : good d -> good st -> decides_well d st.
Proof. destruct d as [e l|work]; intros fine ok; [exact I|]. pose proof (fine st ok) as after. unfold decides_well. destruct (work st); exact after. Qed.
Lemma decode_well method call st : good call -> fits method (invoked call) -> valid call st -> good st ->
  but_for (frozen Yielding && is_yield_to method) (decides_well (decode_method method call st) st).
Proof.
  intros fine type in_place_ ok. unfold but_for. destruct (frozen Yielding && is_yield_to method) eqn:yields; [exact I|].
  assert (is_yield_to method = true -> Free Yielding) as yields_freely by (intros is_it; rewrite is_it, andb_true_r in yields; exact yields).
  clear yields. destruct (given_method given method) as [free|all_of_it]; [|exact (all_of_it call st type in_place_ ok)].
  apply good_decides; [|exact ok]. destruct method; cbn [links_of] in free;
    first [ apply free_three in free; let one := fresh "one" in let two := fresh "two" in let three := fresh "three" in destruct free as (one & two & three);
            match type of one with frozen ?k = false => change (Free k) in one end; match type of two with frozen ?k = false => change (Free k) in two end;
            match type of three with frozen ?k = false => change (Free k) in three end
          | apply free_two in free; let one := fresh "one" in let two := fresh "two" in destruct free as (one & two);
            match type of one with frozen ?k = false => change (Free k) in one end;
            match type of two with frozen ?k = false => change (Free k) in two end
          | apply free_one in free; match type of free with frozen ?k = false => change (Free k) in free end | clear free ];
    try specialize (yields_freely eq_refl); unfold decode_method;
    match goal with
    | |- good (irq_control_get _ _ _ _ _ _ _) =>
        apply keeps_irq_control_get; [assumption | assumption | exact fine | destruct (invoked call); try discriminate type; reflexivity | exact ok]
    | |- good (irq_control_issue_sgisignal _ _ _ _ _ _ _) =>
        apply keeps_irq_control_issue; [assumption | exact fine | destruct (invoked call); try discriminate type; reflexivity | exact ok]
    | |- good (?f st) => apply (keeps (f := f) st ok)
    | |- good (?f st) => let h := head f in unfold h; keep
    end.
Qed.
(** ** Events *)
Lemma method_fits l c m : method_for l c = Some m -> fits m c.
Proof.
  unfold method_for. destruct (Method.of_label l) as [method|]; [|discriminate].
  destruct (_ =? _) eqn:same; [|discriminate]. destruct (Method.implemented method); [|discriminate].
  intros is_m. injection is_m as <-. apply N.eqb_eq. exact same.
Qed.
Lemma decide_well m t slot c arguments st :
  good c -> good arguments -> capability_at slot st = Some c -> Forall (fun a => in_place a st) arguments -> good st ->
  but_for (frozen Yielding && calls_yield_to m c) (decides_well (decide m t slot c arguments st) st).
Proof.
  intros fine fine_arguments there in_place_ ok. unfold decide, calls_yield_to. destruct (method_for (label m) c) as [method|] eqn:found.
  2: { rewrite andb_false_r. exact I. }
  destruct (Nat.leb _ _ && _); [|unfold but_for; destruct (_ && _); exact I].
  apply decode_well; [split; assumption | exact (method_fits _ _ _ found) | split; assumption | exact ok].
Qed.
Lemma arguments_in_place l t st arguments : cap_arguments_at l t st = inl arguments -> Forall (fun a => in_place a st) arguments.
Proof.
  revert arguments. induction l as [|address rest IH]; intros arguments; cbn [cap_arguments_at]; [intros same; injection same as <-; constructor|].
  destruct (slot_of_address t address st) as [slot|]; [|discriminate]. destruct (cap_arguments_at rest t st) as [others|]; [|discriminate].
  intros same. injection same as <-. constructor; [intros c there; exact there | apply IH; reflexivity].
Qed.
Instance keeps_cap_arguments l t : Keeps (cap_arguments_at l t).
Proof.
  induction l as [|address rest IH]; intros st ok; [constructor|]. cbn [cap_arguments_at].
  destruct (slot_of_address t address st) as [slot|report]; [|split; exact I].
  pose proof (IH st ok) as others. destruct (cap_arguments_at rest t st) as [l|e]; [|split; exact I].
  apply good_inl. constructor; [exact (keeps_capability_at slot st ok) | exact others].
Qed.
Lemma invoke_good t slot c st : capability_at slot st = Some c -> good st ->
  but_for (frozen Yielding && calls_yield_to (message_of_call t st) c) (good (invoke t slot c st)).
Proof.
  intros there ok. unfold but_for. destruct (frozen Yielding && calls_yield_to (message_of_call t st) c) eqn:yields; [exact I|].
  pose proof (keeps_capability_at slot st ok) as fine. rewrite there in fine. apply some_good in fine.
  unfold invoke. cbv zeta. pose proof (keeps_cap_arguments (cap_addresses (message_of_call t st)) t st ok) as fine_arguments.
  destruct (cap_arguments_at _ t st) as [arguments|(address & report)] eqn:listed; [|apply good_both; [exact I | exact ok]]. apply inl_good in fine_arguments.
  pose proof (decide_well (message_of_call t st) t slot c arguments st fine fine_arguments there (arguments_in_place _ _ _ _ listed) ok) as decided.
  unfold but_for in decided. rewrite yields in decided.
  destruct (decide (message_of_call t st) t slot c arguments st) as [error details|work]; [apply good_both; [exact I | exact ok]|].
  unfold decides_well in decided. destruct (work st); apply good_both; exact I || exact decided.
Qed.
Lemma occupied_in_place t a st slot c : occupied_slot_of_address t a st = inl (slot, c) -> capability_at slot st = Some c.
Proof.
  unfold occupied_slot_of_address. destruct (walk_from_thread t a st) as [s left|]; [|discriminate].
  destruct (capability_at s st) as [d|] eqn:there; [|discriminate]. intros same. injection same as <- <-. exact there.
Qed.
Instance keeps_send_phase t a m {calls_ : Calls} : Keeps (send_phase t a m).
Proof.
  intros st ok. unfold send_phase. destruct (occupied_slot_of_address t a st) as [(slot & c)|report] eqn:found; [|keep].
  pose proof (invoke_good t slot c st (occupied_in_place t a st slot c found) ok) as invoked_. unfold but_for in invoked_.
  rewrite (calls_yielding : frozen Yielding = false) in invoked_. cbn [andb] in invoked_. destruct c; keep.
Qed.
Instance keeps_cap_fault t a p r {moves : Free Waiting} : Keeps (cap_fault t a p r). Proof. keeping cap_fault. Qed.
Instance keeps_unknown_system_call t {moves : Free Waiting} : Keeps (unknown_system_call t). Proof. keeping unknown_system_call. Qed.
Instance keeps_put_result t e l : Keeps (put_result t e l). Proof. keeping put_result. Qed.
Instance keeps_go_back t : Keeps (go_back t). Proof. keeping go_back. Qed.
Lemma finish_send_good t m outcome {moves : Free Waiting} : good outcome -> good (finish_send t m outcome).
Proof. intros ok. unfold finish_send. keep. Qed.
Instance keeps_becomes n t : Keeps (becomes n t). Proof. keeping becomes. Qed.
Instance keeps_refuse_waiting e r {moves : Free Waiting} : Keeps (refuse_waiting e r).
Proof.
  intros st ok. unfold refuse_waiting.
  assert (forall u : unit, Keeps (fun st => (u, refuse_first e r st))) as each by (intros u; keep).
  pose proof (keeps_in_units (fun _ st => is_some (first_refused e r st)) (fun _ st => (tt, refuse_first e r st)) tt (fun _ => each tt) st ok). keep.
Qed.
Instance keeps_refuse_early t r first {moves : Free Waiting} : Keeps (refuse_early t r first).
Proof.
  intros st ok. unfold refuse_early. destruct (source_of t r st) as [e reply_ g|n|a report]; try exact ok.
  destruct (_ && _); [|exact ok]. exact (keeps_refuse_waiting e reply_ st ok).
Qed.
Lemma unless_preempted_good t p rest : good p -> Keeps rest -> good (unless_preempted t p rest).
Proof. intros ok each. unfold unless_preempted. destruct p as [st|st]; [exact (each st ok) | exact (good_both _ _ I (keeps_go_back t st ok))]. Qed.

(** The phase that receives, once all that are refused are. *)
Definition receive_now (t : N) (with_reply blocking : bool) (st : State) : Result * State :=
  match source_of t with_reply st with
  | FromEndpoint e r may_grant => (Succeeds, receive t e r (requires_donation t st) may_grant blocking st)
  | FromNotification n => (Succeeds, wait_on t n blocking st)
  | FromNothing address report => cap_fault t address 1 report st
  end.
Instance keeps_receive_now t r b {moves : Free Waiting} : Keeps (receive_now t r b). Proof. keeping receive_now. Qed.
Instance keeps_receive_phase t r b {moves : Free Waiting} : Keeps (receive_phase t r b).
Proof. intros st ok. exact (unless_preempted_good t _ (receive_now t r b) (keeps_refuse_early t r (free_own_reply t r) st ok) _). Qed.
Instance keeps_then_receive t r {moves : Free Waiting} : Keeps (then_receive t r). Proof. keeping then_receive. Qed.
Instance keeps_reply_phase t {moves : Free Waiting} : Keeps (reply_phase t). Proof. keeping reply_phase. Qed.
Instance keeps_reply_and_receive t {moves : Free Waiting} : Keeps (reply_and_receive t).
Proof. intros st ok. unfold reply_and_receive. apply unless_preempted_good; keep. Qed.
Instance keeps_pass_on t {calls_ : Calls} : Keeps (pass_on t). Proof. keeping pass_on. Qed.
Instance keeps_send_and_receive t r {calls_ : Calls} : Keeps (send_and_receive t r).
Proof. intros st ok. unfold send_and_receive. apply unless_preempted_good; keep. Qed.
Instance keeps_yield t : Keeps (yield t). Proof. keeping yield. Qed.
Instance keeps_sends t m {calls_ : Calls} : Keeps (sends t m).
Proof. pose proof calls_waiting as moves. intros st ok. unfold sends. apply finish_send_good; keep. Qed.
Instance keeps_run_system_call s t {calls_ : Calls} : Keeps (run_system_call s t). Proof. keeping run_system_call. Qed.
Instance keeps_system_call t {calls_ : Calls} : Keeps (system_call t). Proof. keeping system_call. Qed.
Instance keeps_interrupt i {moves : Free Waiting} : Keeps (interrupt i). Proof. keeping interrupt. Qed.
Instance keeps_time_out t c {moves : Free Waiting} : Keeps (time_out t c). Proof. keeping time_out. Qed.
Instance keeps_end_budget {moves : Free Waiting} : Keeps end_budget. Proof. keeping end_budget. Qed.
Instance keeps_wake_sleepers : Keeps wake_sleepers. Proof. keeping wake_sleepers. Qed.
Instance keeps_timer_expires {moves : Free Waiting} : Keeps timer_expires. Proof. keeping timer_expires. Qed.
Instance keeps_debug_event t r a n {moves : Free Waiting} : Keeps (debug_event t r a n). Proof. keeping debug_event. Qed.
Instance keeps_user_fault t c {moves : Free Waiting} : Keeps (user_fault t c). Proof. keeping user_fault. Qed.
Instance keeps_begin_step e {telling : Free Telling} : Keeps (begin_step e). Proof. keeping begin_step. Qed.
Instance keeps_save_registers l : Keeps (save_registers l). Proof. keeping save_registers. Qed.
Lemma keeps_enter e : if_free Telling (Keeps (enter e)). Proof. unless_telling. keeping enter. Qed.
Instance enter_freely e {telling : Free Telling} : Keeps (enter e). Proof. exact (freely (keeps_enter e)). Qed.
Instance keeps_handle c {calls_ : Calls} : Keeps (handle c). Proof. keeping handle. Qed.
Instance keeps_change_context_in_use {moves : Free Waiting} : Keeps change_context_in_use. Proof. keeping change_context_in_use. Qed.
Instance keeps_choose_thread {moves : Free Waiting} : Keeps choose_thread. Proof. keeping choose_thread. Qed.
Lemma keeps_leave : if_free Telling (Keeps leave). Proof. unless_telling. keeping leave. Qed.
Instance leave_freely {telling : Free Telling} : Keeps leave. Proof. exact (freely keeps_leave). Qed.
Lemma finish_good outcome {moves : Free Waiting} : if_free Telling (good outcome -> good (finish outcome)).
Proof. unless_telling. intros ok. unfold finish. keep. Qed.

(** After every step from a state in which the invariant holds it holds again. *)
Theorem step_keeps {calls_ : Calls} (st : State) (e : Event) : if_free Telling (invariant st -> invariant (fst (fst (step st e)))).
Proof.
  pose proof calls_waiting as moves. unless_telling. intros ok. assert (start : good st) by exact ok.
  assert (kept : good (step st e)) by (unfold step; apply (freely (finish_good _)); keep). exact (proj1 (proj1 kept)).
Qed.

(** ** Boot *)
Variable plan : BootPlan.
Lemma keeps_copy_to_thread p i place : if_free Placing (Keeps (copy_to_thread p i place)). Proof. unless_placing. keeping copy_to_thread. Qed.
Instance copy_to_thread_freely p i place {placing : Free Placing} : Keeps (copy_to_thread p i place).
Proof. exact (freely (keeps_copy_to_thread p i place)). Qed.
Hypothesis at_the_start :
  if frozen Placing then invariant (boot plan) else invariant (insert_roots plan (put_root_objects plan (nothing_yet (boot_machine plan)))).
Lemma boot_keeps {moves : Free Waiting} {telling : Free Telling} : good (boot plan).
Proof.
  revert at_the_start. destruct (frozen Placing) eqn:placing; [exact id|]. change (Free Placing) in placing. intros start.
  change (good (insert_roots plan (put_root_objects plan (nothing_yet (boot_machine plan))))) in start. unfold boot. revert start.
  generalize (insert_roots plan (put_root_objects plan (nothing_yet (boot_machine plan)))). intros st start. keep.
Qed.

Theorem reachable_keeps_but {calls_ : Calls} (st : State) : if_free Telling (reachable step plan st -> invariant st).
Proof. unless_telling. induction 1 as [|st e _ IH]; [exact boot_keeps | exact (freely (step_keeps st e) IH)]. Qed.
End Kept.
Lemma reachable_keeps invariant fine_context fine_capability : kept_quietly invariant fine_context fine_capability ->
  kept invariant fine_context fine_capability -> forall p, invariant (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))) ->
  forall st, reachable step p st -> invariant st.
Proof.
  intros quiet primitives p start st.
  exact (@reachable_keeps_but nothing invariant fine_context fine_capability quiet primitives (nothing_given invariant) p start eq_refl st).
Qed.

(** What the queues are changed by leaves the rest. *)
Lemma place_by_same insert t st :
  slots (place_by insert t st) = slots st /\ references (place_by insert t st) = references st /\ objects (place_by insert t st) = objects st.
Proof.
  unfold place_by. cbv zeta. destruct (is_running t (unplace t st)), (context_of t (unplace t st)) as [c|]; try (repeat split; reflexivity).
  destruct (negb _); [repeat split; reflexivity|]. destruct (usable _ _); repeat split; reflexivity.
Qed.

(** What does not ask where a capability refers to has simpler premises. *)
Lemma kept_by_parts (invariant : State -> Prop) (fine_context : SchedContext -> Prop) (fine_capability : Capability -> Prop) :
  kept_quietly invariant fine_context fine_capability ->
  (forall slot p o c st, fine_capability c -> invariant st -> invariant (insert_child slot p o c st)) ->
  (forall slot source o c st, fine_capability c -> invariant st -> invariant (insert_sibling slot source o c st)) ->
  (forall o x st, fine_object fine_context x -> invariant st -> invariant (put_object o x st)) ->
  (forall slot st, invariant st -> invariant (remove_capability slot st)) ->
  (forall o st, invariant st -> invariant (remove_object o st)) ->
  (forall from to st, invariant st -> invariant (move_capability from to st)) ->
  (forall slot e c st, slots st !! slot = Some e -> fine_capability c -> invariant st -> invariant (replace_capability slot e c st)) ->
  (forall c made, yields c made -> fine_capability c -> fine_capability made) -> kept invariant fine_context fine_capability.
Proof.
  intros quiet child sibling put removed gone moved replaced fine.
  assert (forall st, invariant st -> invariant (emit Stuck st)) as stuck by (intros st; apply (looks_at_objects quiet); reflexivity).
  constructor; try assumption.
  - intros slot p o c st _. exact (child slot p o c st).
  - intros slot source_ o c st _. exact (sibling slot source_ o c st).
  - intros u at_ size x slot c st _ fine_x fine_c ok. unfold carve, capability_at. destruct (slots st !! u) as [e|] eqn:there; [|exact (stuck st ok)].
    destruct (capability e) as [base bits device used| | | | | | | | | | | | | | | | | |] eqn:is_untyped_; try exact (stuck st ok). cbv zeta.
    destruct (_ && _) eqn:can; [|exact (stuck st ok)]. rewrite !andb_true_iff, !N.leb_le in can. destruct can as (((above & below) & _) & _).
    assert (invariant (replace_capability u e (UntypedCap base bits device (at_ + size - base)) st)) as taken.
    { apply replaced; [exact there | | exact ok]. apply (fine (UntypedCap base bits device used)); [apply other_use; lia|].
      apply (capabilities_are_fine quiet u _ st ok). unfold capability_at. rewrite there, is_untyped_. reflexivity. }
    apply child; [exact fine_c|]. destruct x as [x|]; [exact (put at_ x _ (proj1 fine_x) taken) | exact taken].
  - intros slot st _ ok. unfold discard. destruct (capability_at slot st) as [c|]; [|exact ok].
    destruct (object_of c) as [o|], (is_zombie c || is_last c st); try exact (removed slot st ok). exact (gone o _ (removed slot st ok)).
  - intros slot c st fine_c ok. unfold change_capability. destruct (slots st !! slot) as [e|] eqn:there; [|exact (stuck st ok)].
    destruct (_ && _); [exact (replaced slot e c st there fine_c ok) | exact (stuck st ok)].
  - intros slot st _ fine_z ok. unfold make_zombie. destruct (slots st !! slot) as [e|] eqn:there; [|exact (stuck st ok)].
    destruct (container_of (capability e) st) as [o|] eqn:container; [|exact (stuck st ok)].
    exact (replaced slot e _ st there (fine_z e o eq_refl container) ok).
Qed.
Lemma start_by_parts (invariant : State -> Prop) (fine_context : SchedContext -> Prop) (fine_capability : Capability -> Prop) p :
  kept_quietly invariant fine_context fine_capability -> (forall m, invariant (nothing_yet m)) ->
  (forall o x st, fine_object fine_context x -> invariant st -> invariant (put_object o x st)) ->
  (forall slot c st, fine_capability c -> invariant st -> invariant (insert_root slot c st)) ->
  (forall c, boot_capability p c -> fine_capability c) -> invariant (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros quiet start put root fine. assert (invariant (put_root_objects p (nothing_yet (boot_machine p)))) as begun.
  { unfold put_root_objects. cbv beta zeta.
    match goal with |- invariant (set_field pools _ ?st) => apply (looks_at_objects quiet st) end; try reflexivity.
    do 5 (apply put; [first [exact I | exact (fine_new quiet _)]|]). exact (start (boot_machine p)). }
  revert begun. generalize (put_root_objects p (nothing_yet (boot_machine p))). unfold insert_roots, boot_capability in *. revert fine.
  induction (root_capabilities p ++ dynamic_capabilities p) as [|(slot & c) l IH]; intros fine st ok; [exact ok|].
  apply IH; [intros other (s & listed); apply fine; exists s; right; exact listed|].
  apply root; [apply fine; exists slot; left; reflexivity | exact ok].
Qed.

(** Claim [indices_hold]: of objects it says nothing, nor of capabilities. *)
Lemma indices_after_put o x st : indices_are_right st -> indices_are_right (put_object o x st).
Proof. exact (indices_of_same st (put_object o x st) eq_refl eq_refl). Qed.
Lemma indices_are_kept_quietly : kept_quietly indices_are_right (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same_slots same_references _ _ _. exact (indices_of_same a b same_slots same_references).
  - intros t before. exact (indices_of_same before (unplace t before) eq_refl eq_refl).
  - intros insert t before _. destruct (place_by_same insert t before) as (same_slots & same_references & _).
    exact (indices_of_same before (place_by insert t before) same_slots same_references).
  - intros t before _. apply (indices_of_same before); reflexivity.
  - intros o x y before _ _ _ _. apply indices_after_put.
Qed.
Lemma indices_are_kept : kept indices_are_right (fun _ => True) (fun _ => True).
Proof.
  apply (kept_by_parts _ _ _ indices_are_kept_quietly); try (intros; exact I).
  - intros slot p o c st _. apply insert_child_right.
  - intros slot source o c st _. apply insert_sibling_right.
  - intros o x st _. apply indices_after_put.
  - exact remove_capability_right.
  - intros o before. exact (indices_of_same before (remove_object o before) eq_refl eq_refl).
  - exact move_capability_right.
  - intros slot e c st there _. exact (replace_capability_right slot e c st there).
Qed.
Lemma indices_at_start p : indices_are_right (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  apply (start_by_parts _ _ _ p indices_are_kept_quietly nothing_yet_right); try (intros; exact I).
  - intros o x st _. apply indices_after_put.
  - intros slot c st _. apply insert_root_right.
Qed.
Theorem indices_hold_proved : indices_hold step.
Proof. intros p st. exact (reachable_keeps _ _ _ indices_are_kept_quietly indices_are_kept p (indices_at_start p) st). Qed.
