(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Messages give no more than the policy

    What comes with a message the sender's subject may hold, and it comes into a slot of somebody to whom the receiver's subject gives. *)
From Coq Require Import Lia.
From Spec Require Export ConfinementProofs ErrorProofs.
Open Scope N_scope.

(** ** What is quiet, seen from a state *)
Section Seen.
Variables (p : Policy) (start : State).
Record seen (st : State) : Prop := { seen_fit : fit p st; seen_slots : slots st = slots start; seen_counts : forall o, slot_count o st = slot_count o start }.
Lemma seen_quietly : kept_quietly seen (fun _ => True) low.
Proof.
  pose proof (fit_is_kept_quietly p) as of_fit. pose proof (slots_are_kept_quietly (slots start)) as of_slots.
  pose proof (counts_are_kept_quietly (fun o => slot_count o start)) as of_counts. constructor; try (intros; exact I).
  - intros a b s1 s2 s3 s4 s5 [ok same counts]. constructor;
      [exact (looks_at_objects of_fit a b s1 s2 s3 s4 s5 ok) | exact (looks_at_objects of_slots a b s1 s2 s3 s4 s5 same)
        | exact (looks_at_objects of_counts a b s1 s2 s3 s4 s5 counts)].
  - intros t st [ok same counts]. constructor; [exact (after_unplace of_fit t st ok) | exact same | exact counts].
  - intros insert t st listed [ok same counts]. constructor;
      [exact (after_place of_fit insert t st listed ok) | exact (after_place of_slots insert t st listed same)
        | exact (after_place of_counts insert t st listed counts)].
  - intros t st sleeps [ok same counts]. constructor; [exact (after_sleeping_anew of_fit t st sleeps ok) | exact same | exact counts].
  - intros o x y st there kind change fine_x [ok same counts]. constructor; [exact (after_put_object of_fit o x y st there kind change fine_x ok)
    | exact same |].
    exact (after_put_object of_counts o x y st there kind change fine_x counts).
  - intros slot c st [ok _ _]. exact (capabilities_are_fine of_fit slot c st ok).
Qed.
Lemma acts_seen u x st : seen st -> acts p start u x -> acts p st u x.
Proof.
  intros [_ same counts] (whose & alive_ & [nodes threads_ handlers]). split; [exact whose|]. split.
  - intros (z & o & zombie & inside). apply alive_. exists z, o. split; [rewrite <- (capability_same z start st same); exact zombie|].
    unfold is_within in *. rewrite <- (counts o). exact inside.
  - constructor; [exact nodes | exact threads_|]. intros slot irq n badge r there. apply (handlers slot). rewrite <- (capability_same slot start st same).
    exact there.
Qed.
End Seen.
Lemma seen_refl p st : fit p st -> seen p st st. Proof. intros ok. constructor; [exact ok | reflexivity | reflexivity]. Qed.

(** ** The transfer *)
Section Transfers.
Variables (p : Policy) (from to x y : N).
Notation fit := (fit p).
Hypothesis is_closed : closed p.
Hypothesis nobodys : owner_of p nowhere = None.
Hypothesis passed : passes p x y.
Lemma receives_into st slot : fit st -> acts p st to y -> receive_slot to st = Some slot -> gives_to p y slot.
Proof.
  intros ok who found. unfold receive_slot in found. destruct (receive_buffer to st) as [buffer|]; [|discriminate].
  destruct (occupied_slot_of_address to _ st) as [(place & root)|] eqn:named_; [|discriminate]. destruct (_ <=? 64); [|discriminate].
  destruct (slot_under (Some root) _ _ st) as [slot'|] eqn:under_; [|discriminate]. destruct (is_empty slot' st); [|discriminate]. injection found as ->.
  destruct (occupied_address to _ st place root named_) as (at_ & there). pose proof (address_known p to y is_closed st _ place root ok who at_ there)
    as known_.
  destruct who as ((part & _ & _ & _ & loud & itself) & _ & gives_all).
  apply (lies_given p y st gives_all). exact (under_lies p y st is_closed loud itself ok root _ _ slot known_ under_).
Qed.
Lemma fit_transfer through addresses : forall position free st, fit st -> (free = true -> acts p st from x /\ acts p st to y) ->
  fit (snd (transfer position addresses through from to free st)).
Proof.
  induction addresses as [|address rest IH]; intros position free st ok who; cbn [transfer]; [exact ok|].
  destruct (receive_buffer to st) as [buffer|]; [|exact ok]. destruct (occupied_slot_of_address from address st) as [(s & c)|] eqn:found; [|exact ok].
  destruct (match c with EndpointCap o badge _ => if is_number through o then Some badge else None | _ => None end) as [badge|].
  - set (st1 := write_memory _ badge st). assert (seen p st st1) as later by (constructor; [apply (fit_like p st); try reflexivity;
    exact ok | reflexivity | reflexivity]).
    assert (fit (snd (transfer (position + 1) rest through from to free st1))) as done.
    { apply IH; [exact (seen_fit _ _ _ later)|]. intros is_free. destruct (who is_free) as (gives & takes).
      split; [exact (acts_seen p st from x st1 later gives) | exact (acts_seen p st to y st1 later takes)]. }
    destruct (transfer (position + 1) rest through from to free st1) as ((bits & count) & after). exact done.
  - destruct free; [|exact ok]. destruct (derivation_error s c st) eqn:none; [exact ok|]. destruct (receive_slot to st) as [slot|] eqn:into; [|exact ok].
    destruct (who eq_refl) as (gives & takes). destruct (occupied_address from address st s c found) as (at_ & there).
    pose proof (address_known p from x is_closed st address s c ok gives at_ there) as known_.
    assert (is_zombie c = false) as usable by (destruct c; try reflexivity; discriminate none).
    pose proof (may_passes p x y c passed (proj2 known_ usable)) as held. pose proof (receives_into st slot ok takes into) as given.
    set (st1 := insert_derived slot s false (derived c) st).
    assert (fit st1) as ok1.
    { apply fit_derived; [exact nobodys | apply low_derived; exact (known_low p x st ok c known_) | | | exact ok].
      - exact (granted_by p y slot _ given (may_derived p y c held)).
      - intros u same is_u. rewrite there in same. injection same as <-. exact (granted_by p y slot c given held). }
    assert (fit (snd (transfer (position + 1) rest through from to false st1))) as done by (apply IH; [exact ok1 | discriminate]).
    destruct (transfer (position + 1) rest through from to false st1) as ((bits & count) & after). exact done.
Qed.
End Transfers.

(** ** Faults stay as they are *)
Definition same_faults (a b : State) : Prop := forall t, fault (thread t b) = fault (thread t a).
Lemma faults_trans a b c : same_faults a b -> same_faults b c -> same_faults a c. Proof. intros first second t. rewrite second. apply first. Qed.
Lemma faults_objects a b : objects b = objects a -> same_faults a b. Proof. intros same t. unfold thread. rewrite same. reflexivity. Qed.
Lemma faults_thread t f st : (forall x, fault (f x) = fault x) -> same_faults st (change_thread t f st).
Proof.
  intros same u. rewrite thread_after_change_thread. destruct (N.eqb_spec u t) as [->|]; [|reflexivity].
  cbn [andb]. destruct (thread_exists t st); [apply same | reflexivity].
Qed.
Lemma faults_put o x y st : objects st !! o = Some y -> match x with ThreadObject _ => False | _ => True end ->
  match y with ThreadObject _ => False | _ => True end -> same_faults st (put_object o x st).
Proof.
  intros there not_x not_y t. unfold thread. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec t o) as [->|]; [|reflexivity]. rewrite there. destruct x, y; try contradiction; reflexivity.
Qed.
Lemma faults_context o f st : same_faults st (change_context o f st).
Proof.
  unfold change_context. destruct (objects st !! o) as [[]|] eqn:there; try (apply faults_objects; reflexivity). refine (faults_put _ _ _ st there _ _);
    exact I.
Qed.
Lemma faults_reply o r st : same_faults st (put_reply o r st).
Proof.
  unfold put_reply. destruct (objects st !! o) as [[]|] eqn:there; try (apply faults_objects; reflexivity). refine (faults_put _ _ _ st there _ _); exact I.
Qed.
Lemma faults_unplace t st : same_faults st (unplace t st). Proof. apply faults_objects. reflexivity. Qed.
Lemma faults_give c t st : same_faults st (give_context c t st).
Proof.
  unfold give_context. cbv zeta. eapply faults_trans; [|apply faults_thread; reflexivity]. eapply faults_trans; [|apply faults_context].
  destruct (context_thread _); [eapply faults_trans; [apply faults_unplace | apply faults_thread; reflexivity] | apply faults_objects; reflexivity].
Qed.
Lemma faults_break r st : same_faults st (break_stack r st).
Proof.
  unfold break_stack. destruct (along (reply r st)) as [c|]; [|apply faults_objects; reflexivity]. cbv zeta. eapply faults_trans; [|apply faults_context].
  generalize (calls_from r (calls (context c st))). intros l. revert st. induction l as [|first rest IH]; intros st; [apply faults_objects; reflexivity|].
  eapply faults_trans; [|apply IH]. apply faults_reply.
Qed.
Lemma faults_return r t st : same_faults st (return_context r t st).
Proof.
  unfold return_context. destruct (along (reply r st)) as [c|]; [|apply faults_objects; reflexivity].
  destruct (calls (context c st)) as [|last rest]; [apply faults_break|]. destruct (last =? r); [|apply faults_break]. cbv zeta.
  match goal with |- same_faults _ (match context_of t ?s with _ => _ end) => assert (same_faults st s) as before; [|revert before; generalize s;
    intros st1 before] end.
  - eapply faults_trans; [apply faults_context | apply faults_reply].
  - destruct (context_of t st1); [exact before | exact (faults_trans _ _ _ before (faults_give c t st1))].
Qed.
Lemma objects_of_words a l st : objects (write_words a l st) = objects st.
Proof. revert a st. induction l as [|v rest IH]; intros a st; [reflexivity|]. cbn [write_words]. rewrite IH. reflexivity. Qed.
Lemma objects_of_long_words t l st : objects (write_long_words t l st) = objects st.
Proof. unfold write_long_words. destruct (receive_buffer t st); [apply objects_of_words | reflexivity]. Qed.
Lemma faults_endpoint o f st : same_faults st (change_endpoint o f st).
Proof.
  unfold change_endpoint. destruct (objects st !! o) as [[]|] eqn:there; try (apply faults_objects; reflexivity). refine (faults_put _ _ _ st there _ _);
    exact I.
Qed.

Section Meetings.
Variables (p : Policy) (start : State).
Notation fit := (fit p).
Notation quietly := (fit_is_kept_quietly p).
Notation seen := (seen p start).
Hypothesis is_closed : closed p.
Hypothesis nobodys : owner_of p nowhere = None.

Lemma fit_long_words t l st : fit st -> fit (write_long_words t l st). Proof. exact (@keeps_write_long_words _ _ _ _ quietly t l st). Qed.
Lemma fit_deliver m through badge grant from to st : seen st -> (grant = true -> agree p start from to) -> fit (deliver m through badge grant from to st).
Proof.
  intros later who. pose proof (seen_fit _ _ _ later) as ok. unfold deliver.
  assert (fit (snd (transfer 0 (if grant then cap_addresses m else []) through from to true st))) as done.
  { destruct grant; [|exact ok]. destruct (who eq_refl) as (x & y & gives & takes & passed).
    apply (fit_transfer p from to x y is_closed nobodys passed); [exact ok|]. intros _.
    split; [exact (acts_seen p start from x st later gives) | exact (acts_seen p start to y st later takes)]. }
  destruct (transfer 0 _ through from to true st) as ((bits & count) & after). apply fit_long_words, q_thread. exact done.
Qed.
Lemma q_reply o r st : fit st -> fit (put_reply o r st). Proof. apply (@keeps_put_reply _ _ _ _ quietly o r). intros x. discriminate. Qed.
Lemma q_unplace t st : fit st -> fit (unplace t st). Proof. exact (@keeps_unplace _ _ _ _ quietly t eq_refl st). Qed.
Lemma q_give c t st : fit st -> fit (give_context c t st). Proof. exact (@keeps_give_context _ _ _ _ quietly c t eq_refl st). Qed.
Lemma q_wake t st : fit st -> fit (wake t st). Proof. exact (@keeps_wake _ _ _ _ quietly t eq_refl st). Qed.
Lemma q_wake_ahead t st : fit st -> fit (wake_ahead t st). Proof. exact (@keeps_wake_ahead _ _ _ _ quietly t eq_refl st). Qed.
Lemma q_endpoint o f st : fit st -> fit (change_endpoint o f st). Proof. apply (@keeps_change_endpoint _ _ _ _ quietly o f). intros x. discriminate. Qed.
Lemma q_unanswered t st : fit st -> fit (end_unanswered t st). Proof. exact (@keeps_end_unanswered _ _ _ _ quietly t eq_refl st). Qed.
Ltac quiet := repeat (cbv beta iota zeta; match goal with
  | H : fit ?a |- fit ?a => exact H
  | |- fit (change_thread _ _ _) => apply q_thread
  | |- fit (end_unanswered _ _) => apply q_unanswered
  | |- fit (change_context _ _ _) => apply q_context; [reflexivity|]
  | |- fit (change_endpoint _ _ _) => apply q_endpoint
  | |- fit (put_reply _ _ _) => apply q_reply
  | |- fit (unplace _ _) => apply q_unplace
  | |- fit (give_context _ _ _) => apply q_give
  | |- fit (wake _ _) => apply q_wake
  | |- fit (wake_ahead _ _) => apply q_wake_ahead
  | |- fit (emit _ _) => apply q_emit
  | |- fit (match ?a with _ => _ end) => destruct a
  end).
(** A message about a fault brings no capability. *)
Lemma fit_meet sender receiver_ e badge r rg grant grant_reply is_call lends st :
  seen st -> (grant = true -> fault (thread sender st) = None -> agree p start sender receiver_) ->
  fit (meet sender receiver_ e badge r rg grant grant_reply is_call lends st).
Proof.
  intros later who. unfold meet. cbv zeta.
  assert (fit (deliver (message_of sender st) (Some e) badge grant sender receiver_ st)) as delivered.
  { destruct (fault (thread sender st)) eqn:faulted; [|apply fit_deliver; [exact later | intros yes; exact (who yes eq_refl)]]. unfold deliver.
    rewrite (silent_message sender st) by (left; congruence). destruct grant; cbn [transfer]; apply fit_long_words, q_thread; exact (seen_fit _ _ _ later). }
  revert delivered.
  generalize (deliver (message_of sender st) (Some e) badge grant sender receiver_ st). intros st1 ok1.
  assert (fit match r with Some r => put_reply r unused_reply st1 | None => st1 end) as ok2 by quiet. revert ok2.
  generalize (match r with Some r => put_reply r unused_reply st1 | None => st1 end). intros st2 ok2.
  match goal with |- fit (match ?l with Some c => wake_ahead _ (give_context c _ ?s) | None => _ end) => assert (fit s) as ok3; [|revert ok3; generalize s;
    intros st3 ok3; quiet] end.
  quiet.
Qed.
Lemma seen_endpoint o f st : seen st -> seen (change_endpoint o f st).
Proof. apply (@keeps_change_endpoint _ _ _ _ (seen_quietly p start) o f). intros x. discriminate. Qed.
Lemma fit_send t e badge grant grant_reply is_call lends blocking : fit start ->
  (forall u x o q g, grant = true -> hd_error (receivers (endpoint e start)) = Some u -> run_state (thread u start) = BlockedOnReceive x o q g ->
     fault (thread t start) = None -> agree p start t u) -> fit (snd (send t e badge grant grant_reply is_call lends blocking start)).
Proof.
  intros ok who. unfold send. destruct (receivers (endpoint e start)) as [|first rest] eqn:queue.
  - destruct blocking; cbn [snd]; quiet.
  - destruct (run_state (thread first start)) eqn:state; cbn [snd]; try (apply q_emit; exact ok).
    destruct (leaves_without_context _ _ _ _); cbn [snd]; [exact ok|].
    apply fit_meet; [apply seen_endpoint, seen_refl; exact ok|]. intros yes none. rewrite (faults_endpoint e _ start t) in none.
    exact (who first _ _ _ _ yes eq_refl state none).
Qed.
Lemma fit_answer t r grant : fit start -> (forall u, grant = true -> caller (reply r start) = Some u -> answer_may_grant (run_state (thread u start)) = true ->
    fault (thread u start) = None -> agree p start t u) -> fit (answer t r grant start).
Proof.
  intros ok who. unfold answer. destruct (caller (reply r start)) as [c|] eqn:calls_; [|exact ok]. cbv zeta.
  set (st1 := change_thread c (with_state Running) (put_reply r unused_reply (return_context r c start))).
  assert (seen st1) as later.
  { apply (@keeps_change_thread _ _ _ _ (seen_quietly p start)); [intros x; split; discriminate|].
    apply (@keeps_put_reply _ _ _ _ (seen_quietly p start)); [intros x; discriminate|].
    exact (@keeps_return_context _ _ _ _ (seen_quietly p start) r c eq_refl start (seen_refl p start ok)). }
  assert (same_faults start st1) as same.
  { eapply faults_trans; [apply (faults_return r c)|]. eapply faults_trans; [apply (faults_reply r unused_reply) | apply faults_thread; reflexivity]. }
  clearbody st1. set (st2 := match fault (thread c st1) with Some f => _ | None => _ end).
  assert (fit st2) as ok2; [|clearbody st2; quiet]. unfold st2. destruct (fault (thread c st1)) as [f|] eqn:faulted.
  - exact (@keeps_answer_fault _ _ _ _ quietly c f _ eq_refl st1 (seen_fit _ _ _ later)).
  - apply fit_deliver; [exact later|]. intros both. apply andb_prop in both. destruct both as (first & second). rewrite (same c) in faulted.
    exact (who c first eq_refl second faulted).
Qed.
End Meetings.

(** ** What leaves the queues of endpoints as they are *)
Definition queues_stay (a b : State) : Prop := forall e, endpoint e b = endpoint e a.
Lemma stay_trans a b c : queues_stay a b -> queues_stay b c -> queues_stay a c. Proof. intros first second e. rewrite second. apply first. Qed.
Lemma stay_objects a b : objects b = objects a -> queues_stay a b. Proof. intros same e. unfold endpoint. rewrite same. reflexivity. Qed.
Lemma stay_put o x y st : objects st !! o = Some y -> match x with EndpointObject _ => False | _ => True end -> match y with EndpointObject _ => False | _ =>
  True end ->
  queues_stay st (put_object o x st).
Proof.
  intros there not_x not_y e. unfold endpoint. change (objects (put_object o x st)) with (set o x (objects st)). rewrite find_set.
  destruct (N.eqb_spec e o) as [->|]; [|reflexivity]. rewrite there. destruct x, y; try contradiction; reflexivity.
Qed.
Lemma stay_thread o f st : queues_stay st (change_thread o f st).
Proof. unfold change_thread. destruct (objects st !! o) as [[]|] eqn:there; try (apply stay_objects; reflexivity). (refine (stay_put _ _ _ st there _ _);
  exact I). Qed.
Lemma stay_context o f st : queues_stay st (change_context o f st).
Proof. unfold change_context. destruct (objects st !! o) as [[]|] eqn:there; try (apply stay_objects; reflexivity). (refine (stay_put _ _ _ st there _ _);
  exact I). Qed.
Lemma stay_reply o r st : queues_stay st (put_reply o r st).
Proof. unfold put_reply. destruct (objects st !! o) as [[]|] eqn:there; try (apply stay_objects; reflexivity). (refine (stay_put _ _ _ st there _ _);
  exact I). Qed.
Lemma stay_unplace t st : queues_stay st (unplace t st). Proof. apply stay_objects. reflexivity. Qed.
Lemma stay_place insert t st : queues_stay st (place_by insert t st). Proof. apply stay_objects. exact (proj2 (proj2 (place_by_same insert t st))). Qed.
Lemma stay_sporadic t st : queues_stay st (begin_sporadic t st).
Proof. unfold begin_sporadic. destruct (context_of t st); [|apply stay_objects; reflexivity]. destruct (_ && _); [apply stay_context | apply stay_objects;
  reflexivity]. Qed.
Lemma stay_wake t st : queues_stay st (wake t st).
Proof. unfold wake. eapply stay_trans; [|apply stay_place]. eapply stay_trans; [apply stay_thread | apply stay_sporadic]. Qed.
Lemma stay_wake_ahead t st : queues_stay st (wake_ahead t st).
Proof. unfold wake_ahead. eapply stay_trans; [|apply stay_place]. eapply stay_trans; [apply stay_thread | apply stay_sporadic]. Qed.
Lemma stay_give c t st : queues_stay st (give_context c t st).
Proof.
  unfold give_context. cbv zeta. eapply stay_trans; [|apply stay_thread]. eapply stay_trans; [|apply stay_context].
  destruct (context_thread _); [eapply stay_trans; [apply stay_unplace | apply stay_thread] | apply stay_objects; reflexivity].
Qed.
Lemma stay_break r st : queues_stay st (break_stack r st).
Proof.
  unfold break_stack. destruct (along (reply r st)) as [c|]; [|apply stay_objects; reflexivity]. cbv zeta. eapply stay_trans; [|apply stay_context].
  generalize (calls_from r (calls (context c st))). intros l. revert st. induction l as [|first rest IH]; intros st; [apply stay_objects; reflexivity|].
  eapply stay_trans; [|apply IH]. apply stay_reply.
Qed.
Lemma stay_return r t st : queues_stay st (return_context r t st).
Proof.
  unfold return_context. destruct (along (reply r st)) as [c|]; [|apply stay_objects; reflexivity].
  destruct (calls (context c st)) as [|last rest]; [apply stay_break|]. destruct (last =? r); [|apply stay_break]. cbv zeta.
  match goal with |- queues_stay _ (match context_of t ?s with _ => _ end) => assert (queues_stay st s) as before; [|revert before; generalize s;
    intros st1 before] end.
  - eapply stay_trans; [apply stay_context | apply stay_reply].
  - destruct (context_of t st1); [exact before | exact (stay_trans _ _ _ before (stay_give c t st1))].
Qed.
Lemma stay_free r st : queues_stay st (free_reply r st).
Proof.
  unfold free_reply. cbv zeta. eapply stay_trans; [|apply stay_reply].
  match goal with |- queues_stay _ (match receiver (reply r ?s) with _ => _ end) => assert (queues_stay st s) as before; [|revert before; generalize s;
    intros st1 before] end.
  - destruct (caller (reply r st)) as [t|]; [|apply stay_objects; reflexivity]. eapply stay_trans; [apply stay_return|]. eapply stay_trans; [apply stay_reply|].
    unfold end_call_of, set_error_result. cbv zeta. destruct (fault _); [apply stay_thread|].
    destruct (is_some _); (eapply stay_trans; [apply stay_thread|]); [apply stay_wake | apply stay_wake_ahead].
  - destruct (receiver (reply r st1)); [exact (stay_trans _ _ _ before (stay_thread _ _ st1)) | exact before].
Qed.

(** ** Receiving *)
Section Receiving.
Variables (p : Policy) (start : State).
Notation fit := (fit p).
Notation quietly := (fit_is_kept_quietly p).
Notation seen := (seen p start).
Hypothesis is_closed : closed p.
Hypothesis nobodys : owner_of p nowhere = None.
Lemma q_wake_ t st : fit st -> fit (wake t st). Proof. exact (@keeps_wake _ _ _ _ quietly t eq_refl st). Qed.
(** What [inv] says stays when the reply object is freed. *)
Variable inv : State -> Prop.
Hypothesis inv_freed : forall r, inv start -> inv (free_reply r start).
Definition may_give (u t : N) : Prop := forall st x b gr c l, inv st -> run_state (thread u st) = BlockedOnSend x b true gr c l -> fault (thread u st) = None ->
  agree p start u t.
Lemma fit_receive_from t e r rg queue st : seen st -> inv st -> (forall u, In u queue -> may_give u t) -> fit (snd (receive_from queue t e r rg st)).
Proof.
  intros later now_ who. destruct queue as [|sender rest]; cbn [receive_from]; [exact (seen_fit _ _ _ later)|].
  destruct (run_state (thread sender st)) as [| | |x b g gr c l| |] eqn:state; cbn [snd]; try (apply q_emit; exact (seen_fit _ _ _ later)). cbv zeta.
  pose proof (seen_endpoint p start e (fun x => x <| senders := rest |>) st later) as later1.
  assert (g = true -> fault (thread sender (change_endpoint e (fun x => x <| senders := rest |>) st)) = None -> agree p start sender t) as met.
  { intros -> none. rewrite (faults_endpoint e _ st sender) in none. exact (who sender (or_introl eq_refl) st x b gr c l now_ state none). }
  pose proof (fit_meet p start is_closed nobodys sender t e b r rg g gr c l _ later1 met) as after. cbn [snd]. destruct c; [exact after|].
  apply q_wake_. unfold set_empty_result. apply q_thread. exact after.
Qed.
Lemma fit_take t n st : fit st -> fit (take_flags t n st). Proof. exact (@keeps_take_flags _ _ _ _ quietly t n eq_refl st). Qed.
Lemma fit_ahead t st : fit st -> fit (if is_some (context_of t st) && negb (member t (ready st)) then wake_ahead t st else st).
Proof. intros ok. destruct (_ && _); [exact (@keeps_wake_ahead _ _ _ _ quietly t eq_refl st ok) | exact ok]. Qed.
Lemma fit_receive t e r requires rg blocking : fit start -> inv start -> (forall u, In u (senders (endpoint e start)) -> may_give u t) ->
  fit (receive t e r requires rg blocking start).
Proof.
  intros ok now_ who. unfold receive. cbv zeta.
  set (st1 := match r with Some r => free_reply r start | None => start end).
  assert (seen st1 /\ inv st1 /\ queues_stay start st1) as (later & then_ & same).
  { unfold st1. destruct r as [o|]; [split; [exact (@keeps_free_reply _ _ _ _ (seen_quietly p start) o eq_refl start (seen_refl p start ok))
    | split; [exact (inv_freed o now_) | apply stay_free]]|].
    split; [exact (seen_refl p start ok) | split; [exact now_ | apply stay_objects; reflexivity]]. }
  clearbody st1. pose proof (seen_fit _ _ _ later) as ok1.
  assert (fit (let (received, st) := receive_from (senders (endpoint e st1)) t e r rg st1 in
               if received then st else if blocking then
                 let st := unplace t st >> change_thread t (begin_receive (BlockedOnReceive e r requires rg)) in
                 let st := change_endpoint e (fun x => x <| receivers := insert_behind t (receivers x) st |>) st in
                 let st := match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} st | None => st end in
                 match bound_notification (thread t st1) with Some n => return_lent_context t n st | None => st end
               else set_empty_result t st)) as usual.
  { assert (fit (snd (receive_from (senders (endpoint e st1)) t e r rg st1))) as done
      by (apply fit_receive_from; [exact later | exact then_ | intros u; rewrite (same e); apply who]).
    destruct (receive_from _ _ _ _ _ _) as ([] & after); cbn [snd] in done; [exact done|]. destruct blocking; [|apply q_thread; exact done]. cbv zeta.
    match goal with |- fit (match _ with Some n => return_lent_context t n ?s | None => _ end) => assert (fit s) as ok3; [|revert ok3; generalize s;
      intros st3 ok3] end.
    - assert (forall s, fit s -> fit (match r with Some r => put_reply r {| caller := None; receiver := Some t; along := None |} s | None => s end)) as named_
        by (intros s oks; destruct r; [apply (@keeps_put_reply _ _ _ _ quietly); [intros x; discriminate | exact oks] | exact oks]).
      apply named_. apply (@keeps_change_endpoint _ _ _ _ quietly); [intros x; discriminate|]. apply q_thread.
        exact (@keeps_unplace _ _ _ _ quietly t eq_refl after done).
    - destruct (bound_notification _); [exact (@keeps_return_lent_context _ _ _ _ quietly _ _ eq_refl _ ok3) | exact ok3]. }
  destruct (bound_notification (thread t st1)) as [n|]; [|exact usual]. destruct (is_signalled t st1); [apply fit_ahead, fit_take; exact ok1 | exact usual].
Qed.
End Receiving.

(** ** Phases *)
Lemma first_listed (l : list N) u : hd_error l = Some u -> In u l. Proof. destruct l; [discriminate|]. intros same. injection same as ->. left.
  reflexivity. Qed.
Section Phases.
Variables (p : Policy) (t subject : N).
Notation fit := (fit p).
Notation quietly := (fit_is_kept_quietly p).
Hypothesis is_closed : closed p.
Hypothesis nobodys : owner_of p nowhere = None.
Section Phase.
Variables (start : State) (address : N).
Hypothesis ok : fit start.
Hypothesis who : acts p start t subject.
Hypothesis met : meets_its_like p start t address.
Lemma fit_send_phase manner : fit (snd (send_phase t address manner start)).
Proof.
  unfold send_phase. destruct (occupied_slot_of_address t address start) as [(slot & c)|report] eqn:found; [|exact ok].
  pose proof (fit_invoke p t subject is_closed nobodys start _ slot c ok who found) as invoked_.
  destruct c; try exact invoked_; clear invoked_.
  - destruct (can_write rights); [|exact ok].
    pose proof (fit_send p start is_closed nobodys t endpoint badge (can_grant rights) (can_grant_reply rights) (calls_back manner) (lends_context manner)
      (waits manner) ok (fun u _ _ _ _ yes listed _ _ => met t u (by_sending start t address endpoint badge rights u (ex_intro _ slot found) yes
        (first_listed _ _ listed)))) as sent.
    destruct (send _ _ _ _ _ _ _ _ start) as ([] & after); cbn [snd] in sent; first [exact sent | exact ok].
  - destruct (can_write rights); [|exact ok]. exact (@keeps_signal _ _ _ _ quietly notification badge eq_refl start ok).
  - apply fit_answer; [exact is_closed | exact nobodys | exact ok|]. intros u yes calls_ grants _.
    exact (met t u (by_answering start t address reply rights u (ex_intro _ slot found) yes calls_ grants)).
  - apply q_emit. exact ok.
Qed.
Lemma fit_reply_phase : address = register 6 (thread t start) -> fit (reply_phase t start).
Proof.
  intros is_x6. unfold reply_phase. rewrite <- is_x6. destruct (occupied_slot_of_address t address start) as [(slot & c)|] eqn:found; [|exact ok].
  destruct c; try exact ok. apply fit_answer; [exact is_closed | exact nobodys | exact ok|]. intros u yes calls_ grants _.
  exact (met t u (by_answering start t address reply rights u (ex_intro _ slot found) yes calls_ grants)).
Qed.
Lemma fit_receive_now with_reply blocking : address = register 0 (thread t start) -> fit (snd (receive_now t with_reply blocking start)).
Proof.
  intros is_x0. assert (forall a r, fit (snd (cap_fault t a 1 r start))) as faults_
    by (intros a r; exact (proj2 (@keeps_cap_fault _ _ _ _ quietly t a 1 r eq_refl start ok))).
  unfold receive_now. destruct (source_of t with_reply start) as [e r grant|n|a report] eqn:from; cbn [snd]; [| |apply faults_].
  - apply (fit_receive p start is_closed nobodys (fun _ => True)); [intros; exact I | exact ok | exact I|].
    intros u listed st' x b gr asks l _ _ _. unfold source_of in from. rewrite <- is_x0 in from.
    destruct (occupied_slot_of_address t address start) as [(slot & c)|] eqn:found; [|discriminate].
    destruct c; try discriminate from.
    + assert (e = endpoint) as ->.
      { destruct (negb _); [discriminate|]. destruct with_reply; [|congruence].
        destruct (occupied_slot_of_address t (register 6 _) start) as [(s & [])|]; try discriminate from; congruence. }
      exact (met u t (by_receiving start t address endpoint badge rights u (ex_intro _ slot found) listed)).
    + destruct (_ && _); discriminate from.
  - exact (@keeps_wait_on _ _ _ _ quietly t n blocking eq_refl start ok).
Qed.
End Phase.

Variable start : State.
Hypothesis ok : fit start.
Hypothesis each : forall at_ address, begins start t at_ address -> acts p at_ t subject /\ meets_its_like p at_ t address.
Lemma q_becomes n st : fit st -> fit (becomes n t st). Proof. apply q_thread. Qed.
Lemma q_back st : fit st -> fit (go_back t st). Proof. exact (@keeps_go_back _ _ _ _ quietly t st). Qed.
Lemma q_early r first_phase st : fit st -> fit (state_of (refuse_early t r first_phase st)).
Proof. exact (@keeps_refuse_early _ _ _ _ quietly t r first_phase eq_refl st). Qed.
(** What is needed of the phase that receives is needed once all that are refused are. *)
Definition all_refused (r : bool) (st : State) : State := state_of (refuse_early t r (free_own_reply t r) st).
Definition meets_then (r : bool) (st : State) : Prop :=
  acts p (all_refused r st) t subject /\ meets_its_like p (all_refused r st) t (register 0 (thread t (all_refused r st))).
Lemma fit_receives r blocking st : fit st -> meets_then r st -> fit (snd (receive_phase t r blocking st)).
Proof.
  intros before (_ & met). pose proof (q_early r (free_own_reply t r) st before) as after. unfold all_refused in met.
  change (receive_phase t r blocking st) with (unless_preempted t (refuse_early t r (free_own_reply t r) st) (receive_now t r blocking)).
  destruct (refuse_early t r (free_own_reply t r) st) as [one|one]; cbn [state_of unless_preempted] in *; [|exact (q_back one after)].
  exact (fit_receive_now one _ after met r blocking eq_refl).
Qed.
Lemma fit_then_receive (r : bool) st : fit st -> meets_then r (becomes (if r then Syscall.Recv else Syscall.Wait) t st) -> fit (snd (then_receive t r st)).
Proof.
  intros okb second. unfold then_receive. destruct (negb _); [exact okb|]. cbv zeta. pose proof (q_becomes (if r then Syscall.Recv else Syscall.Wait)
    st okb) as ok1.
  destruct (_ && _); cbn [snd].
  - exact (fit_receives r true _ ok1 second).
  - apply q_thread. exact (@keeps_forget_yield _ _ _ _ quietly t _ ok1).
Qed.
Lemma fit_reply_and_receive : Syscall.of_number (N.land (register 7 (thread t start)) syscall_number_mask) = Some Syscall.ReplyRecv ->
  fit (snd (reply_and_receive t start)).
Proof.
  intros number. unfold reply_and_receive. pose proof (q_early true (reply_phase t) start ok) as ok1.
  assert (forall at_ address, In (at_, address) (phases Syscall.ReplyRecv t start) -> acts p at_ t subject /\ meets_its_like p at_ t address) as here
    by (intros at_ address listed; apply each; exists Syscall.ReplyRecv; split; assumption).
  cbn [phases] in here. cbv zeta in here. destruct (refuse_early t true (reply_phase t) start) as [st1|st1]; cbn [state_of unless_preempted] in *;
    [|exact (q_back st1 ok1)].
  destruct (here _ _ (or_introl eq_refl)) as (_ & met). apply fit_then_receive; [exact (fit_reply_phase st1 _ ok1 met eq_refl)|].
  exact (here _ _ (or_intror (or_introl eq_refl))).
Qed.
Lemma fit_send_and_receive (r : bool) s : s = (if r then Syscall.NBSendRecv else Syscall.NBSendWait) ->
  Syscall.of_number (N.land (register 7 (thread t start)) syscall_number_mask) = Some s -> fit (snd (send_and_receive t r start)).
Proof.
  intros is_s number. unfold send_and_receive.
  assert (forall at_ address, In (at_, address) (phases s t start) -> acts p at_ t subject /\ meets_its_like p at_ t address) as here
    by (intros at_ address listed; apply each; exists s; split; assumption).
  pose proof (q_early r (pass_message t) start ok) as ok1.
  assert (forall st1, refuse_early t r (pass_message t) start = Done st1 ->
    (acts p st1 t subject /\ meets_its_like p st1 t (register 8 (thread t st1)))
    /\ let told := match pass_on t st1 with (Reported _ l, st) => write_long_words t (fitting_words t l st) st | (_, st) => st end in
       meets_then r (becomes (if r then Syscall.Recv else Syscall.Wait) t told)) as both.
  { intros st1 early. rewrite is_s in here. split; apply here; destruct r; cbn [phases]; cbv zeta; rewrite early; cbn [state_of];
      first [left; reflexivity | right; left; reflexivity]. }
  destruct (refuse_early t r (pass_message t) start) as [st1|st1]; cbn [state_of unless_preempted] in *; [|exact (q_back st1 ok1)].
  destruct (both st1 eq_refl) as ((who & met) & second). clear both here. pose proof (fit_send_phase st1 _ ok1 who met passing_on) as passed.
  fold (pass_on t st1) in passed. destruct (pass_on t st1) as ([error l| |address report|] & after); cbn [snd] in passed.
  - apply fit_then_receive; [apply fit_long_words; exact passed | exact second].
  - apply fit_then_receive; [exact passed | exact second].
  - apply fit_then_receive; [exact passed | exact second].
  - exact (q_back after passed).
Qed.
Lemma fit_system_call : fit (snd (system_call t start)).
Proof.
  assert (fit (snd (unknown_system_call t start))) as unknown by exact (proj2 (@keeps_unknown_system_call _ _ _ _ quietly t eq_refl start ok)).
  unfold system_call. cbv zeta. destruct (Syscall.of_number _) as [s|] eqn:number; [|exact unknown]. destruct (_ && _); [exact unknown|].
  assert (forall at_ address, In (at_, address) (phases s t start) -> acts p at_ t subject /\ meets_its_like p at_ t address) as here
    by (intros at_ address listed; apply each; exists s; split; assumption).
  assert (forall manner, In (start, register 0 (thread t start)) (phases s t start) -> fit (snd (sends t manner start))) as sends_.
  { intros manner listed. destruct (here _ _ listed) as (who & met). unfold sends. apply (@finish_send_good _ _ _ _ quietly t manner _ eq_refl).
    split; [exact I | exact (fit_send_phase start _ ok who met manner)]. }
  assert (forall r b, In (all_refused r start, register 0 (thread t (all_refused r start))) (phases s t start) -> fit (snd (receive_phase t r b start)))
    as receives_ by (intros r b listed; exact (fit_receives r b start ok (here _ _ listed))).
  unfold run_system_call. cbv zeta. destruct s;
    try (apply sends_; left; reflexivity); try (apply receives_; left; reflexivity); cbn [snd].
  all: clear sends_ receives_ here.
  - exact (fit_reply_and_receive number).
  - exact (fit_send_and_receive true _ eq_refl number).
  - exact (fit_send_and_receive false _ eq_refl number).
  - exact (@keeps_yield _ _ _ _ quietly t start ok).
  - apply q_emit. exact ok.
  - apply q_emit. exact ok.
  - apply q_thread. exact ok.
Qed.
End Phases.

(** ** Steps *)
Lemma confined_is_fit plan p st : roots_are_sound plan -> reachable step plan st -> confined p st -> fit p st.
Proof.
  intros sound_plan reached [use free].
  split; [exact (reachable_keeps _ _ _ sound_is_kept_quietly sound_is_kept plan (sound_at_start plan sound_plan) st reached) | split; assumption].
Qed.
Lemma fit_finish p r st : fit p st -> confined p (fst (fst (finish (r, st)))).
Proof.
  intros ok. pose proof (@finish_good _ _ _ _ (fit_is_kept_quietly p) (r, st) eq_refl (conj I ok)) as (after & _).
  destruct after as ((_ & use & free) & _). split; assumption.
Qed.
Theorem calls_confine_proved : calls_confine step.
Proof.
  intros plan p st e t subject sound_plan reached is_closed nobodys before is_call cur each.
  pose proof (keeps_enter _ _ _ _ (fit_is_kept_quietly p) e st (confined_is_fit plan p st sound_plan reached before)) as ok.
  pose proof (fit_system_call p t subject is_closed nobodys (enter e st) ok each) as called.
  unfold step, handle. rewrite is_call, cur. destruct (system_call t (enter e st)) as (r & told). exact (fit_finish p r told called).
Qed.
Theorem other_events_confine_proved : other_events_confine step.
Proof.
  intros plan p st e sound_plan reached before no_call.
  pose proof (keeps_enter _ _ _ _ (fit_is_kept_quietly p) e st (confined_is_fit plan p st sound_plan reached before)) as ok.
  assert (forall t, fit p (snd (user_fault t (cause e) (enter e st)))) as served
    by (intros t; exact (proj2 (@keeps_user_fault _ _ _ _ (fit_is_kept_quietly p) t (cause e) eq_refl (enter e st) ok))).
  assert (fit p (snd (handle (cause e) (enter e st)))) as handled.
  { unfold handle. destruct (cause e) as [|irq| |a f s|n c|why a n]; [contradiction | | | | |];
      try (destruct (current (enter e st)) as [t|]; [exact (served t) | exact ok]).
    - exact (@keeps_interrupt _ _ _ _ (fit_is_kept_quietly p) irq eq_refl _ ok).
    - exact (@keeps_timer_expires _ _ _ _ (fit_is_kept_quietly p) eq_refl _ ok). }
  unfold step. destruct (handle (cause e) (enter e st)) as (r & told). exact (fit_finish p r told handled).
Qed.
