(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Who is ready stands by priority

    Those that are ready stand by their priorities, the highest first. So the first of them that belongs to the domain whose turn it is has the highest
    priority of those, and is who runs. *)
From Coq Require Import Lia.
From Spec Require Export LendProofs.
Open Scope N_scope.

(** ** Lists by priority *)
Definition by_rank (rank : N -> N) (l : list N) : Prop := StronglySorted (fun a b => rank b <= rank a) l.
Definition rank (st : State) (t : N) : N := priority (thread t st).
Lemma by_rank_without r t l : by_rank r l -> by_rank r (without t l).
Proof.
  induction 1 as [|first rest sorted IH above]; [constructor|]. unfold without in *. cbn [filter]. destruct (negb _); [|exact IH]. constructor; [exact IH|].
  apply Forall_forall. intros u listed. apply filter_In in listed. exact (proj1 (Forall_forall _ _) above u (proj1 listed)).
Qed.
Lemma by_rank_inserted r precedes t l : (forall o, precedes o = true -> r o <= r t) -> (forall o, precedes o = false -> r t <= r o) -> by_rank r l ->
  by_rank r (insert_by precedes t l).
Proof.
  intros ahead_of behind_of. induction 1 as [|first rest sorted IH above]; cbn [insert_by]; [constructor; constructor|].
  destruct (precedes first) eqn:comes.
  - constructor; [constructor; assumption|]. constructor; [exact (ahead_of first comes)|]. apply Forall_forall. intros u listed.
    pose proof (proj1 (Forall_forall _ _) above u listed) as lower. pose proof (ahead_of first comes). cbn beta in lower. lia.
  - constructor; [exact IH|]. apply Forall_forall. intros u listed. destruct (insert_by_inserts precedes t rest) as (a & b & cut & put).
    rewrite put in listed. assert (u = t \/ In u rest) as [->|later].
    { rewrite cut. rewrite in_app_iff in *. cbn [In] in listed. intuition congruence. }
    + exact (behind_of first comes).
    + exact (proj1 (Forall_forall _ _) above u later).
Qed.
Lemma by_rank_same r r' l : (forall t, In t l -> r' t = r t) -> by_rank r l -> by_rank r' l.
Proof.
  intros same sorted. induction sorted as [|first rest sorted IH above]; constructor.
  - apply IH. intros t listed. apply same. right. exact listed.
  - apply Forall_forall. intros t listed. rewrite (same first (or_introl eq_refl)), (same t (or_intror listed)).
    exact (proj1 (Forall_forall _ _) above t listed).
Qed.

(** ** The order *)
Record ordered (st : State) : Prop := {
  o_live : all_live st;
  o_once : queues_are_right st;
  o_there : forall t, In t (ready st) -> thread_exists t st = true;
  o_ranked : by_rank (rank st) (ready st)
}.
Definition but_ranking (k : Link) : bool := match k with Ranking | Ending => true | _ => false end.

Lemma ready_placed insert t st : In insert [insert_behind; insert_ahead] ->
  ready (place_by insert t st) = without t (ready st)
  \/ is_running t st = true /\ exists chosen, In chosen [insert_behind; insert_ahead] /\ ready (place_by insert t st) = chosen t (without t (ready st)) st.
Proof.
  intros usual. unfold place_by. cbv zeta.
  set (chosen := if is_number (ahead _) t then insert_ahead else if is_number (behind _) t then insert_behind else insert).
  assert (In chosen [insert_behind; insert_ahead]) as either
    by (unfold chosen; destruct (is_number _ t); [right; left; reflexivity | destruct (is_number _ t); [left; reflexivity | exact usual]]).
  clearbody chosen. change (is_running t (unplace t st)) with (is_running t st). destruct (is_running t st); [|left; reflexivity].
  destruct (context_of t (unplace t st)) as [c|]; [|left; reflexivity]. destruct (negb _); [left; reflexivity|].
  destruct (usable _ _); [|left; reflexivity]. right. split; [reflexivity|]. exists chosen. split; [exact either|].
  destruct either as [<-|[<-|[]]]; reflexivity.
Qed.
Lemma by_rank_chosen insert t l st : In insert [insert_behind; insert_ahead] -> by_rank (rank st) l -> by_rank (rank st) (insert t l st).
Proof.
  intros [<-|[<-|[]]]; apply by_rank_inserted; intros o comes; unfold rank.
  - apply N.ltb_lt in comes. lia.
  - apply N.ltb_ge in comes. exact comes.
  - apply N.leb_le in comes. exact comes.
  - apply N.leb_gt in comes. lia.
Qed.
Lemma same_threads a b t : objects b = objects a -> rank b t = rank a t /\ thread_exists t b = thread_exists t a.
Proof. unfold rank, thread, thread_exists. intros ->. split; reflexivity. Qed.

(** Who takes its place stands right among the others, whatever its rank was before. *)
Lemma ordered_placed insert t st : In insert [insert_behind; insert_ahead] -> all_live st -> queues_are_right st ->
  (forall u, In u (without t (ready st)) -> thread_exists u st = true) -> by_rank (rank st) (without t (ready st)) -> ordered (place_by insert t st).
Proof.
  intros usual alive once there sorted. destruct (place_by_same insert t st) as (same_slots & same_references & same_objects).
  pose proof (fun u => same_threads st (place_by insert t st) u same_objects) as same. constructor.
  - exact (live_same st _ same_slots same_references same_objects alive).
  - apply place_queues; [|exact once]. destruct usual as [<-|[<-|[]]]; [exact behind_inserts | exact ahead_inserts].
  - intros u. rewrite (proj2 (same u)). destruct (ready_placed insert t st usual) as [->|(runs & chosen & either & ->)]; [apply there|].
    rewrite (in_inserted chosen t _ st u) by (destruct either as [<-|[<-|[]]]; [exact behind_inserts | exact ahead_inserts]).
    intros [->|listed]; [|exact (there u listed)]. apply thread_is. apply running_is in runs. rewrite runs. discriminate.
  - apply (by_rank_same (rank st)); [intros u _; apply same|].
    destruct (ready_placed insert t st usual) as [->|(_ & chosen & either & ->)]; [exact sorted | exact (by_rank_chosen chosen t _ st either sorted)].
Qed.
Lemma ordered_same a b : all_live b -> (forall t, thread_exists t a = true -> rank b t = rank a t /\ thread_exists t b = true) -> ready b = ready a ->
  sleeping b = sleeping a -> ordered a -> ordered b.
Proof.
  intros alive same same_ready same_sleeping [_ once there sorted]. constructor; [exact alive | | |]; rewrite ?same_ready.
  - unfold queues_are_right in *. rewrite same_ready, same_sleeping. exact once.
  - intros t listed. exact (proj2 (same t (there t listed))).
  - apply (by_rank_same (rank a)); [|exact sorted]. intros t listed. exact (proj1 (same t (there t listed))).
Qed.
Lemma ordered_objects a b : all_live b -> objects b = objects a -> ready b = ready a -> sleeping b = sleeping a -> ordered a -> ordered b.
Proof.
  intros alive same. apply ordered_same; [exact alive|]. intros t there. destruct (same_threads a b t same) as (ranks & ->). split; assumption.
Qed.
Lemma ordered_quietly frozen : frozen Ranking = true -> frozen Yielding = false -> kept_quietly_but frozen ordered (fun _ => True) (fun _ => True).
Proof.
  intros ranks yields_. pose proof live_is_kept_quietly as live_. constructor; try (intros; exact I).
  - intros a b s r o d l. apply give_provided, give_provided, give_provided. intros ok.
    exact (ordered_objects a b (live_same a b s r o (o_live a ok)) o d l ok).
  - intros t st. apply give_provided. intros [alive once there sorted].
    constructor; [exact (live_same st (unplace t st) eq_refl eq_refl eq_refl alive) | exact (unplace_queues t st once) | |].
    + intros u listed. apply in_without in listed. exact (there u (proj1 listed)).
    + exact (by_rank_without _ t _ sorted).
  - intros insert t st usual [alive once there sorted]. apply ordered_placed; [exact usual | exact alive | exact once | | exact (by_rank_without _ t _ sorted)].
    intros u listed. apply in_without in listed. exact (there u (proj1 listed)).
  - intros t st asleep [alive once there sorted].
    constructor; [exact (after_sleeping_anew live_ t st asleep alive) | exact (after_sleeping_anew queues_are_kept_quietly t st asleep once) | exact there |
      exact sorted].
  - intros o x y st there kind change fine ok. apply (ordered_same st); [| |reflexivity | reflexivity | exact ok].
    + apply (after_put_object live_ o x y st there kind); [|exact fine | exact (o_live st ok)]. destruct y, x; try exact I; repeat split; discriminate.
    + intros t. unfold rank, thread, thread_exists. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
      destruct (N.eqb_spec t o) as [->|]; [|intros ->; split; reflexivity]. rewrite there.
      destruct y, x; try contradiction kind; try discriminate; try (intros _; split; reflexivity). intros _. split; [|reflexivity].
      cbn [object_change] in change. unfold thread_change, as_well in change. rewrite ranks in change. exact (proj1 change).
  - rewrite yields_. exact I.
Qed.
Lemma ordered_kept frozen : frozen Ending = true -> kept_but frozen ordered (fun _ => True) (fun _ => True).
Proof.
  intros ends. apply kept_by_zombies; [exact ends | exact o_live|]. intros st after alive objs _ same_ready same_sleeping.
  apply ordered_same; [exact alive | | exact same_ready | exact same_sleeping]. intros t.
  destruct objs as [same|(o & x & no & new & same)]; unfold rank, thread, thread_exists; rewrite same; [intros ->; split; reflexivity|].
  rewrite find_set. destruct (N.eqb_spec t o) as [->|]; [rewrite no; discriminate | intros ->; split; reflexivity].
Qed.
Notation order_quiet := (ordered_quietly but_ranking eq_refl eq_refl).
Notation order_kept := (ordered_kept but_ranking eq_refl).

(** ** Who has a zombie is not ready *)
Lemma zombie_not_ready s o st : parts st -> capability_at s st = Some (ZombieCap o) -> ~ In o (ready st).
Proof.
  intros (_ & _ & ok) zombie listed. pose proof (b_zombies none st ok s o zombie) as bare.
  destruct (proj1 (b_queued none st ok o (fun no => no))) as (_ & c & has & _); [apply in_app_iff; left; exact listed | congruence].
Qed.
Lemma ordered_discard s st : ordered st ->
  (forall c o, capability_at s st = Some c -> object_of c = Some o -> is_zombie c || is_last c st = true -> ~ In o (ready st)) -> ordered (discard s st).
Proof.
  intros ok free. pose proof (after_discard live_is_kept s st eq_refl (o_live st ok)) as alive. revert alive. unfold discard.
  destruct (capability_at s st) as [c|] eqn:there; [|intros _; exact ok].
  pose proof (remove_capability_same s st) as blind.
  assert (ready (remove_capability s st) = ready st /\ sleeping (remove_capability s st) = sleeping st) as (same_ready & same_sleeping)
    by (rewrite blind; split; reflexivity).
  assert (all_live (remove_capability s st) -> ordered (remove_capability s st)) as only_slots.
  { intros alive. apply (ordered_objects st); [exact alive | apply objects_of_remove_capability | exact same_ready | exact same_sleeping | exact ok]. }
  destruct (object_of c) as [o|] eqn:names; [|exact only_slots]. destruct (is_zombie c || is_last c st) eqn:last; [|exact only_slots].
  intros alive. pose proof (free c o eq_refl names last) as gone_. destruct ok as [_ once there_ sorted].
  assert (forall t, t <> o -> rank (remove_object o (remove_capability s st)) t = rank st t
    /\ thread_exists t (remove_object o (remove_capability s st)) = thread_exists t st) as others.
  { intros t other. unfold rank, thread, thread_exists.
    change (objects (remove_object o (remove_capability s st))) with (remove o (objects (remove_capability s st))).
    rewrite objects_of_remove_capability, find_remove. destruct (N.eqb_spec t o) as [->|]; [contradiction | split; reflexivity]. }
  constructor; [exact alive | | |].
  - unfold queues_are_right in *. change (NoDup (ready (remove_capability s st) ++ sleeping (remove_capability s st))). rewrite same_ready, same_sleeping.
    exact once.
  - intros t. change (In t (ready (remove_capability s st)) -> thread_exists t (remove_object o (remove_capability s st)) = true). rewrite same_ready.
    intros listed. rewrite (proj2 (others t ltac:(intros ->; contradiction))). exact (there_ t listed).
  - change (by_rank (rank (remove_object o (remove_capability s st))) (ready (remove_capability s st))). rewrite same_ready.
    apply (by_rank_same (rank st)); [|exact sorted]. intros t listed. apply others. intros ->. contradiction.
Qed.
Lemma ordered_become s c st : ordered st -> ordered (become_zombie s c st).
Proof.
  intros ok. unfold become_zombie. set (ended := match c with TCBCap t => end_thread t st | _ => st end).
  assert (ordered ended) as after by (unfold ended; destruct c; first [exact ok | exact (@keeps_end_thread _ _ _ _ order_quiet _ eq_refl eq_refl st ok)]).
  clearbody ended. pose proof (after_make_zombie live_is_kept s ended eq_refl (fun _ _ _ _ => I) (o_live ended after)) as alive. revert alive.
  unfold make_zombie. destruct (slots ended !! s) as [e|]; [|intros _; exact (@keeps_emit _ _ _ _ order_quiet Stuck ended after)].
  destruct (container_of (capability e) ended) as [o|]; [|intros _; exact (@keeps_emit _ _ _ _ order_quiet Stuck ended after)].
  intros alive. pose proof (replace_capability_same s e (ZombieCap o) ended) as blind.
  apply (ordered_objects ended); [exact alive | | | | exact after]; rewrite blind; reflexivity.
Qed.
Lemma ordered_gone s c st : ordered st -> capability_at s st = Some c -> container_of c st = None -> ordered (discard s (let_go c st)).
Proof.
  intros ok there no_container. pose proof (@keeps_let_go _ _ _ _ order_quiet c eq_refl eq_refl eq_refl eq_refl st ok) as after.
  change (ordered (let_go c st)) in after. destruct (let_go_tables c st) as (same_slots & same_references).
  pose proof (capability_same s st _ same_slots) as same_cap. rewrite there in same_cap.
  apply ordered_discard; [exact after|]. intros d o is_d names last listed. rewrite same_cap in is_d. injection is_d as <-.
  rewrite (zombie_contains c st no_container), (is_last_same c st _ same_references) in last. cbn [orb] in last.
  pose proof (o_there _ after o listed) as is_thread. destruct (refers_to s c o _ (o_live _ after) same_cap names) as (x & found & kind).
  unfold thread_exists in is_thread. rewrite found in is_thread. destruct x; try discriminate is_thread.
  destruct c; try discriminate kind; unfold container_of in no_container; rewrite ?last in no_container; discriminate.
Qed.

(** ** A unit of deletion *)
Definition tidy (st : State) : Prop := parts st /\ ordered st.
Lemma tidy_unit anchor st : tidy st -> tidy (snd (delete_unit anchor st)).
Proof.
  apply (unit_kept_by tidy).
  - intros from to before (all_ & ok).
    split; [exact (after_move_capability parts_kept from to before all_) | exact (after_move_capability order_kept from to before ok)].
  - intros s o before (all_ & ok) there. split; [exact (whole_parts _ (whole_discard_zombie s o before (parts_whole before all_) there))|].
    apply ordered_discard; [exact ok|]. intros c z is_c names _. rewrite there in is_c. injection is_c as <-. cbn [object_of] in names. injection names as <-.
    exact (zombie_not_ready s o before all_ there).
  - intros s c before (all_ & ok) there. split; [exact (whole_parts _ (whole_become s c before (parts_whole before all_) there)) | exact (ordered_become s c
      before ok)].
  - intros s c before (all_ & ok) there no_container alone_.
    split; [exact (whole_parts _ (whole_gone s c before (parts_whole before all_) there no_container alone_)) | exact (ordered_gone s c before ok there
      no_container)].
  - intros s c t before ((link & wait & bonds) & ok) there listed. split; [|exact (@keeps_restart _ _ _ _ order_quiet t eq_refl before ok)].
    split; [exact (@keeps_restart _ _ _ _ linked_quietly t eq_refl before link)|].
    split; [exact (restarted t before wait (waits_on_it c t before wait listed)) | exact (restarted_bonds t before wait bonds)].
  - intros v a before (all_ & ok). split; [exact (@keeps_release_asid _ _ _ _ parts_quietly v a before all_) |
      exact (@keeps_release_asid _ _ _ _ order_quiet v a before ok)].
Qed.

(** ** Both together *)
Definition but_tidy (k : Link) : bool := match k with Ranking => true | _ => but_whole k end.
Lemma tidy_quietly : kept_quietly_but but_tidy tidy (fun _ => True) (fun _ => True).
Proof.
  apply both_quietly; [|exact (ordered_quietly but_tidy eq_refl eq_refl)]. constructor; try (intros; exact I).
  - exact (looks_at_objects parts_quietly).
  - exact (after_unplace parts_quietly).
  - exact (after_place parts_quietly).
  - exact (after_sleeping_anew parts_quietly).
  - intros o x y st there kind change fine ok. apply (after_put_object parts_quietly o x y st there kind); [|exact fine | exact ok].
    revert change. destruct y, x; try exact id. intros change. exact (proj2 change).
Qed.
Lemma tidy_kept : kept_but but_tidy tidy (fun _ => True) (fun _ => True).
Proof.
  pose proof parts_kept as p. pose proof (ordered_kept but_tidy eq_refl) as o. constructor; try (intros; exact I); try discriminate.
  - intros slot q k c st from fine (x & y). exact (conj (after_insert_child p slot q k c st from fine x) (after_insert_child o slot q k c st from fine y)).
  - intros slot q k c st from fine (x & y).
    exact (conj (after_insert_sibling p slot q k c st from fine x) (after_insert_sibling o slot q k c st from fine y)).
  - intros u a s z slot c st from new fine (x & y).
    exact (conj (after_carve p u a s z slot c st from new fine x) (after_carve o u a s z slot c st from new fine y)).
  - intros from to st (x & y). exact (conj (after_move_capability p from to st x) (after_move_capability o from to st y)).
  - intros slot c st fine (x & y). exact (conj (after_change_capability p slot c st fine x) (after_change_capability o slot c st fine y)).
Qed.

(** ** Methods *)
Lemma ordered_thread t f st : (forall x, priority (f x) = priority x) -> ordered st -> ordered (change_thread t f st).
Proof.
  intros same. refine (@keeps_change_thread _ _ _ _ order_quiet t f _ st). intros x. split; [apply same | split; discriminate].
Qed.
Lemma ordered_notification n f st : ordered st -> ordered (change_notification n f st).
Proof. refine (@keeps_change_notification _ _ _ _ order_quiet n f _ st). intros x. repeat split; discriminate. Qed.
Lemma ordered_context c f st : (forall x, context_bits (f x) = context_bits x) -> ordered st -> ordered (change_context c f st).
Proof.
  intros same. refine (@keeps_change_context _ _ _ _ order_quiet c f _ _ st);
    [split; [intros; exact I | intros x; symmetry; apply same] | intros x; discriminate].
Qed.
Lemma ordered_priority t p st : parts st -> ordered st -> ordered (set_priority t p st).
Proof.
  intros (_ & wait & _) ok. unfold set_priority. cbv zeta. set (f := fun x : Thread => x <| priority := p |>).
  destruct (thread_frame t f st) as (same_slots & same_ready & same_sleeping).
  assert (forall u, run_state (thread u (change_thread t f st)) = run_state (thread u st)) as states.
  { intros u. rewrite thread_after_change_thread. destruct (_ && _) eqn:is_t; [|reflexivity]. apply andb_prop, proj1, N.eqb_eq in is_t. subst u. reflexivity. }
  assert (forall u, thread_exists u (change_thread t f st) = thread_exists u st) as exist by (intros u; apply (thread_sorts t f st u)).
  assert (forall u, u <> t -> rank (change_thread t f st) u = rank st u) as others.
  { intros u other. unfold rank. rewrite thread_after_change_thread. apply N.eqb_neq in other. rewrite other. reflexivity. }
  assert (all_live (change_thread t f st)) as alive by exact (thread_live t f st (o_live st ok)).
  assert (~ In t (ready st) -> ordered (change_thread t f st)) as absent.
  { intros away. destruct ok as [_ once there sorted]. constructor; [exact alive | | |].
    - unfold queues_are_right in *. rewrite same_ready, same_sleeping. exact once.
    - intros u. rewrite same_ready, exist. apply there.
    - rewrite same_ready. apply (by_rank_same (rank st)); [|exact sorted]. intros u listed. apply others. intros ->. contradiction. }
  assert (run_state (thread t st) <> Running -> ordered (change_thread t f st)) as waits_
    by (intros stopped; apply absent; intros listed; apply stopped, (w_runs nobody st wait), in_app_iff; left; exact listed).
  rewrite states. destruct (run_state (thread t st)) eqn:state.
  - exact (waits_ ltac:(discriminate)).
  - destruct (member t (sleeping (change_thread t f st))) eqn:sleeps.
    + apply (after_sleeping_anew order_quiet t _ sleeps). apply absent. intros listed. apply member_in in sleeps. rewrite same_sleeping in sleeps.
      exact (proj2 (proj2 (proj1 (queues_are_apart st) (o_once st ok))) t listed sleeps).
    + assert (forall insert, In insert [insert_behind; insert_ahead] -> ordered (place_by insert t (change_thread t f st))) as placed.
      { intros insert usual. destruct ok as [_ once there sorted]. apply ordered_placed; [exact usual | exact alive | | |].
        - unfold queues_are_right in *. rewrite same_ready, same_sleeping. exact once.
        - intros u listed. rewrite same_ready in listed. apply in_without in listed. rewrite exist. exact (there u (proj1 listed)).
        - rewrite same_ready. apply (by_rank_same (rank st)); [|exact (by_rank_without _ t _ sorted)]. intros u listed. apply in_without in listed.
          exact (others u (proj2 listed)). }
      unfold place_anew. destruct (is_number _ t); apply placed; [right; left; reflexivity | left; reflexivity].
  - refine (@keeps_change_endpoint _ _ _ _ order_quiet _ _ _ _ _); [intros x; discriminate | apply waits_; discriminate].
  - refine (@keeps_change_endpoint _ _ _ _ order_quiet _ _ _ _ _); [intros x; discriminate | apply waits_; discriminate].
  - exact (waits_ ltac:(discriminate)).
  - apply ordered_notification, waits_. discriminate.
Qed.
Lemma tidy_units {A} remains (work : A -> State -> A * State) (a : A) st : (forall a st, tidy st -> tidy (snd (work a st))) ->
  tidy st -> tidy (state_of (in_units remains work a st)).
Proof. intros each ok. refine (@keeps_in_units _ _ _ _ tidy_quietly A remains work a _ st ok). intros b before fine. exact (conj I (each b before fine)). Qed.
Lemma tidy_replaced slot by_ st : tidy st -> tidy (state_of (replace_slot slot by_ st)).
Proof.
  intros ok. unfold replace_slot, delete. pose proof (tidy_units is_occupied delete_unit slot st tidy_unit ok) as after.
  destruct (in_units is_occupied delete_unit slot st) as [one|one]; [|exact after]. cbn [state_of and_then] in *. destruct by_ as [(source_ & c)|];
    [|exact after].
  exact (@keeps_insert_copy _ _ _ _ tidy_quietly tidy_kept slot source_ c I one after).
Qed.
Lemma ordered_params mcp p authority sc fault_ep call st : fits Method.TCBSetSchedParams (invoked call) ->
  capability_at (invoked_slot call) st = Some (invoked call) -> in_place sc st -> tidy st ->
  match tcb_set_sched_params mcp p authority sc fault_ep call st with Perform work => ordered (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros type there placed (all_ & ok). pose proof (fun c => params_taken mcp p sc call st c type there placed all_) as before.
  unfold tcb_set_sched_params, thread_argument, in_progress. cbv zeta. destruct (argument authority) as [[]|]; try exact I.
  destruct (_ <=? _); [|exact I]. destruct (_ <=? _); [|exact I]. set (t := invoked_thread call) in *.
  set (first_ := change_thread t (fun x => x <| controlled_priority := mcp |>) st) in *.
  assert (ordered (set_priority t p first_)) as after.
  { apply ordered_priority; [apply parts_thread; [reflexivity | reflexivity | reflexivity | exact all_] | apply ordered_thread; [reflexivity | exact ok]]. }
  assert (forall q, tidy (state_of q) -> ordered (state_after match q with Done st => Returns [] st | Preempted st => Stops st end)) as progress
    by (intros [] (_ & fine); exact fine).
  destruct (argument sc) as [[]|] eqn:given_; try exact I.
  - destruct (_ && _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota. specialize (before (Some context) (ex_intro _ _ eq_refl)).
    apply progress, tidy_replaced. split; [exact before|]. fold first_. destruct (context_of t (set_priority t p first_)); [exact after|].
    exact (@keeps_bind_context _ _ _ _ order_quiet context t eq_refl _ after).
  - destruct (negb _); [|exact I]. destruct (is_fault_endpoint _); [|exact I]. cbn beta iota. specialize (before None I).
    apply progress, tidy_replaced. split; [exact before|]. fold first_. destruct (context_of t (set_priority t p first_)) as [old|]; [|exact after].
    exact (@keeps_unbind_thread _ _ _ _ order_quiet old eq_refl _ after).
Qed.
Ltac checked := repeat match goal with |- match (if ?x then _ else _) with _ => _ end => destruct x; [|exact I] end; cbn [state_after always].
Lemma ordered_methods m call st : forallb (fun k => negb (but_tidy k)) (links_of m) = false -> fits m (invoked call) -> valid call st -> tidy st ->
  match decode_method m call st with Perform work => ordered (state_after (work st)) | Refuse _ _ => True end.
Proof.
  intros held type (there & placed) (all_ & ok). destruct m; try discriminate held; clear held; unfold decode_method.
  - unfold tcb_read_registers. cbv zeta. checked. exact (@keeps_suspend_if _ _ _ _ order_quiet _ _ eq_refl st ok).
  - unfold tcb_write_registers, always. cbv zeta. checked. apply (@keeps_resume_if _ _ _ _ order_quiet _ _ eq_refl), ordered_thread;
      [intros x; apply rank_of_registers | exact (@keeps_stop_for_writing _ _ _ _ order_quiet _ eq_refl st ok)].
  - unfold tcb_copy_registers, thread_argument, always. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact I. checked.
    apply (@keeps_resume_if _ _ _ _ order_quiet _ _ eq_refl), (@keeps_copy_registers _ _ _ _ order_quiet), (@keeps_stop_for_writing _ _ _ _ order_quiet
      _ eq_refl).
    exact (@keeps_suspend_if _ _ _ _ order_quiet _ _ eq_refl st ok).
  - unfold tcb_set_priority, thread_argument, always. destruct (argument (cap 0 call)) as [[]|]; try exact I. checked. exact (ordered_priority _ _ st all_ ok).
  - exact (ordered_params _ _ _ (cap 1 call) _ call st type there (cap_in_place 1 call st placed) (conj all_ ok)).
  - exact (@keeps_suspend _ _ _ _ order_quiet _ eq_refl st ok).
  - exact (@keeps_resume _ _ _ _ order_quiet _ eq_refl st ok).
  - unfold tcb_bind_notification. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact I. checked.
    apply ordered_notification, ordered_thread; [reflexivity | exact ok].
  - unfold tcb_unbind_notification. cbv zeta. destruct (bound_notification _) as [n|]; [|exact I].
    exact (@keeps_unbind_notification _ _ _ _ order_quiet (invoked_thread call) n eq_refl st ok).
  - unfold cnode_cancel_badged_sends, slot_in, in_progress, always. destruct (_ && _); [|exact I]. destruct (slot_under _ _ _ st) as [slot|]; [|exact I].
    destruct (capability_at slot st) as [[]|]; try exact I. destruct (has_all_rights _); [|exact I]. destruct (_ =? _); [exact ok|].
    pose proof (@keeps_cancel_badged_sends _ _ _ _ order_quiet endpoint badge eq_refl st ok) as after. cbn [state_after].
    destruct (cancel_badged_sends endpoint badge st); exact after.
  - unfold sched_control_configure_flags. destruct (argument (cap 0 call)) as [[]|]; try exact I. destruct (invoked call); try exact I. cbv zeta. checked.
    set (one := if is_number (current_context st) context then book_turn st else st).
    assert (ordered one) as fine by (unfold one; destruct (is_number _ _); [exact (@keeps_book_turn _ _ _ _ order_quiet st ok) | exact ok]). clearbody one.
    match goal with |- context [change_context context ?f one] => assert (ordered (change_context context f one)) as two
      by (apply ordered_context; [reflexivity | exact fine]); revert two; generalize (change_context context f one) end.
    intros two fine2. destruct (thread_that_uses context two) as [t|].
    + destruct (_ && _); [exact (@keeps_will_book _ _ _ _ order_quiet two fine2) | exact (@keeps_place_anew _ _ _ _ order_quiet t two fine2)].
    + destruct (context_thread _) as [t|]; [exact (@keeps_place _ _ _ _ order_quiet t two fine2) | exact fine2].
  - unfold sched_context_bind. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact I; checked.
    + apply ordered_context; [reflexivity|]. apply ordered_notification. exact ok.
    + exact (@keeps_bind_context _ _ _ _ order_quiet _ _ eq_refl st ok).
  - unfold sched_context_unbind. cbv zeta. checked. apply (@keeps_unbind_of_context _ _ _ _ order_quiet _ eq_refl).
    exact (@keeps_unbind_thread _ _ _ _ order_quiet _ eq_refl st ok).
  - unfold sched_context_unbind_object. cbv zeta. destruct (argument (cap 0 call)) as [[]|]; try exact I; checked.
    + exact (@keeps_unbind_of_context _ _ _ _ order_quiet _ eq_refl st ok).
    + exact (@keeps_unbind_thread _ _ _ _ order_quiet _ eq_refl st ok).
Qed.
Lemma tidy_methods : operations but_tidy tidy.
Proof.
  constructor; [right; exact tidy_unit|]. intros m. unfold needs.
  destruct (forallb (fun k => negb (but_tidy k)) (links_of m)) eqn:free; [left; reflexivity|]. right. intros call st type placed ok.
  destruct (given_method parts_methods m) as [whole_free|each]; [exfalso; destruct m; discriminate|].
  pose proof (each call st type placed (proj1 ok)) as in_parts. pose proof (ordered_methods m call st free type placed ok) as in_order.
  destruct (decode_method m call st); [exact I | exact (conj in_parts in_order)].
Qed.

(** ** System calls *)
Lemma invoked_order t slot c st : tidy st -> capability_at slot st = Some c -> ordered (snd (invoke t slot c st)).
Proof. intros ok there. exact (proj2 (proj2 (invoke_good _ _ _ _ tidy_quietly tidy_kept tidy_methods t slot c st there ok))). Qed.
Lemma phase_order t a m st : tidy st -> ordered (snd (send_phase t a m st)).
Proof.
  intros all_. pose proof (proj2 all_) as ok. unfold send_phase. destruct (occupied_slot_of_address t a st) as [(slot & c)|report] eqn:found; [|exact ok].
  apply occupied_in_place in found. pose proof (invoked_order t slot c st all_ found) as usual. destruct c; try exact usual.
  - destruct (can_write _); [|exact ok].
    pose proof (@keeps_send _ _ _ _ order_quiet order_kept t endpoint badge (can_grant rights) (can_grant_reply rights) (calls_back m) (lends_context m)
      (waits m) eq_refl st ok) as (_ & after).
    destruct (send _ _ _ _ _ _ _ _ _) as ([| | |] & two); cbn [snd] in *; first [exact after | exact ok].
  - destruct (can_write _); [|exact ok]. exact (@keeps_signal _ _ _ _ order_quiet notification badge eq_refl st ok).
  - exact (@keeps_answer _ _ _ _ order_quiet order_kept t reply (can_grant rights) eq_refl st ok).
  - exact (@keeps_emit _ _ _ _ order_quiet _ st ok).
Qed.
Lemma passes_order t w st : tidy st -> run_state (thread t st) = Running -> ordered (snd (send_and_receive t w st)).
Proof.
  intros (all_ & ok) runs. unfold send_and_receive.
  pose proof (refused_early_whole t w (pass_message t) st (conj all_ runs)) as early.
  pose proof (@keeps_refuse_early _ _ _ _ order_quiet t w (pass_message t) eq_refl st ok) as refused.
  change (ordered (state_of (refuse_early t w (pass_message t) st))) in refused. unfold unless_preempted.
  destruct (refuse_early t w (pass_message t) st) as [one|one]; cbn [state_of] in *;
    [|exact (@keeps_go_back _ _ _ _ order_quiet t one refused)].
  pose proof (phase_order t (register 8 (thread t one)) passing_on one (conj (proj1 early) refused)) as after. fold (pass_on t one) in after.
  destruct (pass_on t one) as ([e d| |x r|] & two); cbn [snd] in *;
    try exact (proj2 (@keeps_then_receive _ _ _ _ order_quiet order_kept t w eq_refl two after));
      [|exact (@keeps_go_back _ _ _ _ order_quiet t two after)].
  apply (@keeps_then_receive _ _ _ _ order_quiet order_kept t w eq_refl). exact (@keeps_write_long_words _ _ _ _ order_quiet t _ two after).
Qed.
Lemma sends_order t m st : tidy st -> ordered (snd (sends t m st)).
Proof. intros ok. unfold sends. exact (proj2 (@finish_send_good _ _ _ _ order_quiet t m _ eq_refl (conj I (phase_order t _ m st ok)))). Qed.
Lemma call_order s t st : tidy st -> run_state (thread t st) = Running -> ordered (snd (run_system_call s t st)).
Proof.
  intros all_ runs. pose proof (proj2 all_) as ok. unfold run_system_call. cbv zeta. destruct s;
    first [ exact (sends_order t _ st all_) | exact (proj2 (@keeps_receive_phase _ _ _ _ order_quiet order_kept t _ _ eq_refl st ok))
          | exact (passes_order t _ st all_ runs) | exact (@keeps_yield _ _ _ _ order_quiet t st ok) | exact (@keeps_emit _ _ _ _ order_quiet _ st ok)
          | exact (proj2 (@keeps_reply_and_receive _ _ _ _ order_quiet order_kept t eq_refl st ok)) | idtac ].
  apply ordered_thread; [reflexivity | exact ok].
Qed.
Lemma system_call_order t st : tidy st -> run_state (thread t st) = Running -> ordered (snd (system_call t st)).
Proof.
  intros all_ runs. unfold system_call. cbv zeta. pose proof (proj2 (@keeps_unknown_system_call _ _ _ _ order_quiet t eq_refl st (proj2 all_))) as unknown.
  destruct (Syscall.of_number _) as [s|]; [|exact unknown]. destruct (_ && _); [exact unknown | exact (call_order s t st all_ runs)].
Qed.

(** ** The step *)
Lemma handled_order c st : tidy st -> (forall t, current st = Some t -> run_state (thread t st) = Running) -> ordered (snd (handle c st)).
Proof.
  intros all_ runs. pose proof (proj2 all_) as ok. unfold handle. destruct c, (current st) as [t|]; try exact ok;
    first [ exact (system_call_order t st all_ (runs t eq_refl)) | exact (@keeps_interrupt _ _ _ _ order_quiet _ eq_refl st ok)
          | exact (@keeps_timer_expires _ _ _ _ order_quiet eq_refl st ok) | exact (proj2 (@keeps_user_fault _ _ _ _ order_quiet t _ eq_refl st ok)) ].
Qed.
Lemma step_order st e : tidy st -> (forall t, current st = Some t -> In t (ready st)) -> ordered (fst (fst (step st e))).
Proof.
  intros (all_ & ok) queued_. unfold step. pose proof (@keeps_enter _ _ _ _ parts_quietly e st all_) as entered. change (parts (enter e st)) in entered.
  pose proof (@keeps_enter _ _ _ _ order_quiet e st ok) as order_. change (ordered (enter e st)) in order_.
  destruct (@keeps_enter _ _ _ _ (still_quietly nobody st) e st (still_start nobody st (proj1 (proj2 all_)))) as (_ & same).
  assert (current (enter e st) = current st) as same_current.
  { unfold enter, save_registers. change (current (begin_step e st)) with (current st). destruct (current st) as [c|] eqn:cur; [|exact cur].
    unfold change_thread. destruct (objects (begin_step e st) !! c) as [[]|]; exact cur. }
  refine (proj1 (proj1 (@finish_good _ _ _ _ order_quiet _ eq_refl (conj I (handled_order (cause e) _ (conj entered order_) _))))).
  intros t. rewrite same_current. intros is_cur. rewrite (same_state _ _ same). apply (w_runs nobody st (proj1 (proj2 all_))), in_app_iff. left.
  exact (queued_ t is_cur).
Qed.
Lemma ordered_at_start p : roots_are_apart p -> ordered (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  intros apart. destruct (roots_change_slots p (put_root_objects p (nothing_yet (boot_machine p)))) as (_ & same).
  assert (ready (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))) ++ sleeping (insert_roots p (put_root_objects p (nothing_yet (boot_machine
    p)))) = []) as nobody_ by exact same.
  apply app_eq_nil in nobody_. destruct nobody_ as (none_ready & none_asleep).
  constructor; [exact (live_at_start p apart) | unfold queues_are_right | |]; rewrite ?none_ready, ?none_asleep; [constructor | intros t [] | constructor].
Qed.
Theorem reachable_order p st : roots_are_apart p -> reachable step p st -> ordered st.
Proof.
  intros apart reached. induction reached as [|st e reached IH].
  - exact (@boot_keeps _ _ _ _ order_quiet order_kept p (ordered_at_start p apart) eq_refl eq_refl).
  - apply step_order; [exact (conj (reachable_parts p st apart reached) IH)|]. intros t is_cur.
    destruct (states_are_settled_proved p st reached) as [first _ _ _]. rewrite first in is_cur. unfold first_ready in is_cur.
    apply List.find_some in is_cur. exact (proj1 is_cur).
Qed.

(** Claim [highest_priority_runs]: who is found first precedes all that would do as well. *)
Lemma first_is_highest r f l : by_rank r l ->
  match List.find f l with
  | Some t => (In t l /\ f t = true) /\ forall u, In u l -> f u = true -> r u <= r t
  | None => forall u, In u l -> f u = false
  end.
Proof.
  induction 1 as [|first rest sorted IH above]; cbn [List.find]; [intros u []|]. destruct (f first) eqn:fits_.
  - split; [split; [left; reflexivity | exact fits_]|]. intros u [->|later] _; [lia | exact (proj1 (Forall_forall _ _) above u later)].
  - destruct (List.find f rest) as [t|].
    + destruct IH as ((listed & fits_t) & highest). split; [split; [right; exact listed | exact fits_t]|]. intros u [->|later] fits_u; [congruence|].
      exact (highest u later fits_u).
    + intros u [->|later]; [exact fits_ | exact (IH u later)].
Qed.
Theorem highest_priority_runs_proved : highest_priority_runs step.
Proof.
  intros p st apart reached. rewrite (is_first st (states_are_settled_proved p st reached)). unfold first_ready, may_run_now.
  pose proof (first_is_highest _ (fun t => thread_domain (thread t st) =? current_domain st) _ (o_ranked st (reachable_order p st apart reached))) as first_.
  destruct (List.find _ (ready st)) as [t|].
  - destruct first_ as ((listed & here) & highest). apply N.eqb_eq in here. split; [split; assumption|]. intros u (listed_u & here_u).
    apply (highest u listed_u), N.eqb_eq. exact here_u.
  - intros u (listed & here). pose proof (first_ u listed) as elsewhere. apply N.eqb_neq in elsewhere. contradiction.
Qed.

(** Claim [chains_never_cycle]. *)
Lemma chain_callers c st x : contexts_are_linked st -> waits_are_right st -> In x (chain c st) ->
  exists t r grant, x = Some t /\ caller (reply r st) = Some t /\ along (reply r st) = Some c /\ run_state (thread t st) = BlockedOnReply r grant.
Proof.
  intros linked_ waits_ listed. unfold chain in listed. apply in_map_iff in listed. destruct listed as (r & <- & in_calls).
  apply (both_along st linked_) in in_calls. pose proof (along_called st linked_ r c in_calls) as called.
  destruct (caller (reply r st)) as [t|] eqn:calls_; [|contradiction]. pose proof (proj1 (stands_where_it_says st waits_ t (AsCaller r)) calls_) as said.
  destruct (says_caller _ _ said) as (grant & state). exists t, r, grant. repeat split; assumption.
Qed.
Theorem chains_never_cycle_proved : chains_never_cycle step.
Proof.
  intros p st c apart reached. pose proof (contexts_stay_linked_proved p st apart reached) as linked_.
  pose proof (threads_wait_where_they_say_proved p st apart reached) as waits_. split.
  - pose proof (along_once st linked_ c) as once. pose proof (fun x => chain_callers c st x linked_ waits_) as callers. unfold chain in *.
    assert (forall r r', In r (calls (context c st)) -> In r' (calls (context c st)) -> caller (reply r st) = caller (reply r' st) -> r = r') as distinct.
    { intros r r' listed listed' same. destruct (callers _ (in_map (fun r => caller (reply r st)) _ _ listed)) as (t & _ & _ & is_t & _).
      assert (caller (reply r' st) = Some t) as is_t' by congruence.
      pose proof (proj1 (stands_where_it_says st waits_ t (AsCaller r)) is_t) as said. pose proof (proj1 (stands_where_it_says st waits_ t (AsCaller r')) is_t')
        as said'.
      destruct (says_caller _ _ said) as (g & state), (says_caller _ _ said') as (g' & state'). congruence. }
    clear callers. induction (calls (context c st)) as [|r l IH]; cbn [map]; [constructor|]. apply NoDup_cons_iff in once. destruct once as (new & once).
    constructor; [|apply IH; [exact once | intros a b in_a in_b; apply distinct; right; assumption]]. intros again. apply in_map_iff in again.
    destruct again as (r' & same & listed). apply new. rewrite (distinct r r' (or_introl eq_refl) (or_intror listed) (eq_sym same)). exact listed.
  - intros x listed. destruct (chain_callers c st x linked_ waits_ listed) as (t & r & grant & -> & _ & here & state).
    split; [exists t, r, grant; split; [reflexivity | exact state]|]. intros other listed'.
    destruct (chain_callers other st _ linked_ waits_ listed') as (t' & r' & grant' & same & _ & there & state').
    injection same as <-. assert (r' = r) as -> by congruence. congruence.
Qed.
