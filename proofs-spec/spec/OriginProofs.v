(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Where capabilities come from, and where they go

    Every capability that comes into a slot was made of one that was in a slot; so all of them stem from those that the root task held at
    boot. Only system calls move them; and when a revocation is done, nothing is left of what was derived. *)
From Coq Require Import Lia.
From Spec Require Export RefillProofs ErrorProofs.
Open Scope N_scope.

(** ** What the primitives do to capabilities *)
Definition capability_in (t : Table Entry) (j : N) : option Capability := option_map capability (t !! j).
Lemma capability_at_in st j : capability_at j st = capability_in (slots st) j.
Proof. unfold capability_at, capability_in. destruct (slots st !! j); reflexivity. Qed.

Lemma in_set k e t j : capability_in (set k e t) j = if j =? k then Some (capability e) else capability_in t j.
Proof. unfold capability_in. rewrite find_set. destruct (j =? k); reflexivity. Qed.
Lemma in_remove k t j : capability_in (remove k t) j = if j =? k then None else capability_in t j.
Proof. unfold capability_in. rewrite find_remove. destruct (j =? k); reflexivity. Qed.
Lemma in_update k f t j : (forall e, capability (f e) = capability e) -> capability_in (update k f t) j = capability_in t j.
Proof.
  intros same. unfold capability_in. rewrite find_update. destruct (j =? k); [|reflexivity].
  destruct (t !! j); [simpl; rewrite same|]; reflexivity.
Qed.
Lemma in_children p f st j : capability_in (slots (change_children p f st)) j = capability_in (slots st) j.
Proof. rewrite slots_of_change_children. destruct p; [apply in_update; reflexivity | reflexivity]. Qed.
Lemma in_adopt p l st j : capability_in (slots (adopt p l st)) j = capability_in (slots st) j.
Proof. unfold capability_in. rewrite slots_of_adopt. destruct (member j l); [|reflexivity]. destruct (slots st !! j); reflexivity. Qed.

Section Fine.
Variable fine : Capability -> Prop.
Definition all_fine (st : State) : Prop := forall slot c, capability_in (slots st) slot = Some c -> fine c.

Lemma fine_of_slots a b : slots b = slots a -> all_fine a -> all_fine b.
Proof. intros same ok slot c. rewrite same. apply ok. Qed.
Lemma fine_set k e st t : fine (capability e) -> all_fine st ->
  (forall j, capability_in t j = if j =? k then Some (capability e) else capability_in (slots st) j) -> forall j c, capability_in t j = Some c -> fine c.
Proof.
  intros fine_e ok found j c. rewrite found. destruct (j =? k); [intros same; injection same as <-; exact fine_e | apply ok].
Qed.

Lemma insert_child_fine slot p o c st : fine c -> all_fine st -> all_fine (insert_child slot p o c st).
Proof.
  intros fine_c ok. unfold insert_child. destruct (_ && _); [|exact ok]. intros j x. rewrite (proj1 (slots_of_count c _)).
  revert j x. apply (fine_set slot {| capability := c; original := o; parent := Some p; children := [] |} st _ fine_c ok). intros j.
  etransitivity; [apply in_set|]. rewrite (in_children (Some p) (cons slot) st j). reflexivity.
Qed.
Lemma insert_sibling_fine slot source o c st : fine c -> all_fine st -> all_fine (insert_sibling slot source o c st).
Proof.
  intros fine_c ok. unfold insert_sibling. destruct (is_empty slot st), (slots st !! source) as [e|]; try exact ok. intros j x.
  rewrite (proj1 (slots_of_count c _)). revert j x.
  apply (fine_set slot {| capability := c; original := o; parent := parent e; children := [] |} st _ fine_c ok). intros j.
  etransitivity; [apply in_set|]. rewrite (in_children (parent e) _ st j). reflexivity.
Qed.
Lemma insert_root_fine slot c st : fine c -> all_fine st -> all_fine (insert_root slot c st).
Proof.
  intros fine_c ok. unfold insert_root. destruct (is_empty slot st); [|exact ok]. intros j x. rewrite (proj1 (slots_of_count c _)). revert j x.
  apply (fine_set slot {| capability := c; original := true; parent := None; children := [] |} st _ fine_c ok). intros j. apply in_set.
Qed.
Lemma remove_capability_fine slot st : all_fine st -> all_fine (remove_capability slot st).
Proof.
  intros ok. unfold remove_capability. destruct (slots st !! slot) as [e|]; [|exact ok]. fold (adopt (parent e) (children e) st).
  intros j x. rewrite (proj2 (slots_of_count _ _)).
  match goal with |- capability_in ?t j = _ -> _ =>
    change t with (remove slot (slots (change_children (parent e) (replace slot (children e)) (adopt (parent e) (children e) st)))) end.
  rewrite in_remove, in_children, in_adopt. destruct (j =? slot); [discriminate | apply ok].
Qed.
Lemma move_capability_fine from to st : all_fine st -> all_fine (move_capability from to st).
Proof.
  intros ok. unfold move_capability. destruct (slots st !! from) as [e|] eqn:present, (is_empty to st); try exact ok.
  fold (adopt (Some to) (children e) st). intros j x.
  match goal with |- capability_in ?t j = _ -> _ =>
    change t with (set to e (remove from (slots (change_children (parent e) (replace from [to]) (adopt (Some to) (children e) st))))) end.
  rewrite in_set, in_remove, in_children, in_adopt. destruct (j =? to); [|destruct (j =? from); [discriminate | apply ok]].
  intros same. apply (ok from). unfold capability_in. rewrite present. exact same.
Qed.
Lemma replace_capability_fine slot e c st : fine c -> all_fine st -> all_fine (replace_capability slot e c st).
Proof.
  intros fine_c ok. intros j x. unfold replace_capability. rewrite (proj1 (slots_of_count c _)). set (e' := e <| capability := c |>).
  revert j x. apply (fine_set slot e' st _ fine_c ok). intros j. etransitivity; [apply in_set|].
  rewrite (proj2 (slots_of_count (capability e) st)). reflexivity.
Qed.
End Fine.

(** ** Every step *)
Definition from_boot (p : BootPlan) (c : Capability) : Prop := exists root, boot_capability p root /\ stems_from root c.

Lemma fine_is_kept_quietly (fine : Capability -> Prop) : kept_quietly (all_fine fine) (fun _ => True) fine.
Proof.
  constructor; try (intros; exact I).
  - intros a b same _ _ _ _. exact (fine_of_slots _ a b same).
  - intros t st. exact (fine_of_slots _ st (unplace t st) eq_refl).
  - intros insert t st _. exact (fine_of_slots _ st _ (proj1 (place_by_same insert t st))).
  - intros t st _. exact (fine_of_slots _ st _ eq_refl).
  - intros o x y st _ _ _ _ ok. exact ok.
  - intros slot c st ok. rewrite capability_at_in. apply ok.
Qed.
Lemma fine_is_kept (fine : Capability -> Prop) :
  (forall c made, yields c made -> fine c -> fine made) -> kept (all_fine fine) (fun _ => True) fine.
Proof.
  intros inherited. apply (kept_by_parts _ _ _ (fine_is_kept_quietly fine)); [| | | | | | |exact inherited].
  - intros slot parent_ o c st. apply insert_child_fine.
  - intros slot source_ o c st. apply insert_sibling_fine.
  - intros o x st _ ok. exact ok.
  - apply remove_capability_fine.
  - intros o st ok. exact ok.
  - apply move_capability_fine.
  - intros slot e c st _. apply replace_capability_fine.
Qed.
Lemma fine_at_start (fine : Capability -> Prop) p : (forall c, boot_capability p c -> fine c) ->
  all_fine fine (insert_roots p (put_root_objects p (nothing_yet (boot_machine p)))).
Proof.
  apply (start_by_parts _ _ _ p (fine_is_kept_quietly fine)).
  - intros m slot c. discriminate.
  - intros o x before _ ok. exact ok.
  - intros slot c before. apply insert_root_fine.
Qed.

(** Claim [capabilities_stem_from_boot]. *)
Theorem capabilities_stem_from_boot_proved : capabilities_stem_from_boot step.
Proof.
  intros p st slot c reached. rewrite capability_at_in. revert slot c. change (all_fine (from_boot p) st). revert reached.
  apply (reachable_keeps _ _ _ (fine_is_kept_quietly (from_boot p))).
  - apply fine_is_kept. intros c made step_ (root & at_boot & stems). exists root. split; [exact at_boot | exact (made_of root c made stems step_)].
  - apply fine_at_start. intros c at_boot. exists c. split; [exact at_boot | constructor].
Qed.

(** ** Memory *)
Lemma yields_memory c made base bits device :
  yields c made -> memory_of made = Some (base, bits, device) ->
  exists base0 bits0, memory_of c = Some (base0, bits0, device) /\ base0 <= base /\ base + N.shiftl 1 bits <= base0 + N.shiftl 1 bits0.
Proof.
  assert (forall x, memory_of x = Some (base, bits, device) ->
    exists base0 bits0, memory_of x = Some (base0, bits0, device) /\ base0 <= base /\ base + N.shiftl 1 bits <= base0 + N.shiftl 1 bits0) as same
    by (intros x found; exists base, bits; repeat split; [exact found | lia | lia]).
  intros made_so found. destruct made_so; cbn in found; try discriminate; try (apply same; exact found).
  - apply same. destruct c; exact found.
  - apply same. destruct c; cbn in H; try discriminate; try (injection H as <-; exact found);
      try (destruct badge0; try discriminate; injection H as <-; discriminate).
    destruct (_ <=? _); [injection H as <-; discriminate | discriminate].
  - apply same. destruct c; cbn in H; try discriminate; try (injection H as <-; exact found).
    destruct (_ <=? _); [injection H as <-; discriminate | discriminate].
  - exists base0, bits0. destruct type; cbn in found; try discriminate; injection found as <- <- <-; split; try reflexivity; split; assumption.
Qed.
Lemma stems_memory root c base bits device :
  stems_from root c -> memory_of c = Some (base, bits, device) ->
  exists base0 bits0, memory_of root = Some (base0, bits0, device) /\ base0 <= base /\ base + N.shiftl 1 bits <= base0 + N.shiftl 1 bits0.
Proof.
  intros stems. revert base bits. induction stems as [|c made _ IH step_]; intros base bits found.
  - exists base, bits. repeat split; [exact found | lia | lia].
  - destruct (yields_memory c made base bits device step_ found) as (base1 & bits1 & found1 & above & below).
    destruct (IH base1 bits1 found1) as (base0 & bits0 & found0 & above0 & below0). exists base0, bits0. repeat split; [exact found0 | lia | lia].
Qed.

(** Claim [memory_comes_from_boot]. *)
Theorem memory_comes_from_boot_proved : memory_comes_from_boot step.
Proof.
  intros p st slot c base bits device reached found memory.
  destruct (capabilities_stem_from_boot_proved p st slot c reached found) as (root & at_boot & stems).
  destruct (stems_memory root c base bits device stems memory) as (base0 & bits0 & root_memory & above & below).
  exists root, base0, bits0. repeat split; assumption.
Qed.

(** ** Bounds *)
Lemma yields_in_bounds c made : yields c made -> in_bounds c -> in_bounds made.
Proof.
  intros made_so ok. assert (forall data x y, with_guard data x = Some y -> in_bounds x -> in_bounds y) as guarded_.
  { intros data x y. destruct x; cbn [with_guard]; try (intros same; injection same as <-; exact id).
    destruct (N.leb_spec (CNodeCapData.guard_size data + radix) 64) as [fits_|more]; [|discriminate]. intros same _. injection same as <-.
    split; [lia|]. unfold bits_of. rewrite N.land_ones, N.ones_equiv. apply N.lt_le_pred, N.mod_lt, N.pow_nonzero. lia. }
  destruct made_so; cbn [in_bounds]; try exact I; try exact ok.
  - destruct c; exact ok.
  - destruct c; cbn [with_badge] in H; try exact (guarded_ _ _ _ H ok); destruct badge0; try discriminate; injection H as <-; exact I.
  - exact (guarded_ _ _ _ H ok).
  - assumption.
  - destruct type; cbn [new_capability in_bounds]; try exact I; [lia|]. destruct (H2 1 31 eq_refl). split; [lia | apply N.le_0_l].
Qed.

(** Claim [capabilities_are_in_bounds]. *)
Lemma boot_in_bounds p c : root_radix p <= 64 -> boot_capability p c -> in_bounds c.
Proof.
  intros resolves (slot & listed). apply in_app_or in listed. destruct listed as [listed|listed].
  - unfold root_capabilities in listed. cbn [In] in listed.
    repeat (destruct listed as [same|listed];
            [apply (f_equal snd) in same; cbn [snd] in same; rewrite <- same; cbn [in_bounds]; first [exact I | split; [lia | apply N.le_0_l]]|]).
    contradiction.
  - unfold dynamic_capabilities in listed. cbv zeta in listed. apply in_combine_r, in_app_or in listed. destruct listed as [listed|listed].
    + apply in_map_iff in listed. destruct listed as (core & <- & _). exact I.
    + apply in_map_iff in listed. destruct listed as (((base & bits) & device) & <- & _). cbn [in_bounds]. lia.
Qed.
Lemma stems_in_bounds root c : stems_from root c -> in_bounds root -> in_bounds c.
Proof. induction 1 as [|c made _ IH step_]; intros ok; [exact ok | exact (yields_in_bounds c made step_ (IH ok))]. Qed.
Theorem capabilities_are_in_bounds_proved : capabilities_are_in_bounds step.
Proof.
  intros p st slot c resolves reached found. destruct (capabilities_stem_from_boot_proved p st slot c reached found) as (root & at_boot_ & stems).
  exact (stems_in_bounds root c stems (boot_in_bounds p root resolves at_boot_)).
Qed.

(** ** Only system calls *)
Lemma slots_are_kept_quietly l : kept_quietly (fun st => slots st = l) (fun _ => True) (fun _ => True).
Proof.
  constructor; try (intros; exact I).
  - intros a b same _ _ _ _ is_l. rewrite same. exact is_l.
  - intros t st is_l. exact is_l.
  - intros insert t st _ is_l. rewrite (proj1 (place_by_same insert t st)). exact is_l.
  - intros t st _ is_l. exact is_l.
  - intros o x y st _ _ _ _ is_l. exact is_l.
Qed.
Lemma finish_slots r st : slots (fst (fst (finish (r, st)))) = slots st.
Proof.
  pose proof (@finish_good _ _ _ _ (slots_are_kept_quietly (slots st)) (r, st) eq_refl (conj I eq_refl)) as same. exact (proj1 (proj1 same)).
Qed.

(** Claim [only_system_calls_move_capabilities]. *)
Theorem only_system_calls_move_capabilities_proved : only_system_calls_move_capabilities step.
Proof.
  intros st e no_call. pose proof (slots_are_kept_quietly (slots st)) as quiet.
  assert (slots (enter e st) = slots st) as entered by exact (keeps_enter _ _ _ _ quiet e st eq_refl).
  unfold step. destruct (handle (cause e) (enter e st)) as (r & after) eqn:handled. rewrite finish_slots.
  assert (forall x : State, slots x = slots st -> x = after -> slots after = slots st) as ends by (intros x same <-; exact same).
  unfold handle in handled. destruct (cause e) as [|irq| |a f s|n c|why a n]; try contradiction.
  - injection handled as _ same. exact (ends _ (@keeps_interrupt _ _ _ _ quiet irq eq_refl _ entered) same).
  - injection handled as _ same. exact (ends _ (@keeps_timer_expires _ _ _ _ quiet eq_refl _ entered) same).
  - destruct (current (enter e st)) as [t|]; [|injection handled as _ same; exact (ends _ entered same)].
    pose proof (@keeps_user_fault _ _ _ _ quiet t (MemoryFault a f s) eq_refl _ entered) as served. rewrite handled in served. exact (proj2 served).
  - destruct (current (enter e st)) as [t|]; [|injection handled as _ same; exact (ends _ entered same)].
    pose proof (@keeps_user_fault _ _ _ _ quiet t (ExceptionTaken n c) eq_refl _ entered) as served. rewrite handled in served. exact (proj2 served).
  - destruct (current (enter e st)) as [t|]; [|injection handled as _ same; exact (ends _ entered same)].
    pose proof (@keeps_user_fault _ _ _ _ quiet t (DebugEvent why a n) eq_refl _ entered) as served. rewrite handled in served. exact (proj2 served).
Qed.

(** ** Revocation *)
Lemma units_done {A} (remains : A -> State -> bool) work a st after : in_units remains work a st = Done after ->
  exists a' st', remains a' st' = false /\ after = allow (allowance after) st'.
Proof.
  unfold in_units. destruct (loops_finish_proved) as (_ & finishes). destruct (finishes A remains work a st) as (p & finished). rewrite finished.
  revert after. pattern p. refine (repeat_finished _ _ _ _ _ _ finished). intros ((a' & units) & st') p' turn after ->. unfold unit_turn in turn.
  destruct (remains a' st') eqn:more; cbn [negb] in turn.
  - destruct (units =? 0); [discriminate | destruct (work a' st'); discriminate].
  - injection turn as <-. exists a', st'. split; [exact more | reflexivity].
Qed.
Lemma revoke_done slot st after : revoke slot st = Done after -> has_children slot after = false.
Proof.
  intros revoked. destruct (units_done _ _ _ _ _ revoked) as (anchor & st' & none & ->). apply orb_false_iff in none. exact (proj2 none).
Qed.

Lemma no_first_child st slot c : indices_are_right st -> has_children slot st = false -> ~ is_child st c slot.
Proof.
  intros (tree & _) none child. destruct (parents_exist st tree c slot child) as (e & found). unfold has_children, children_of in none.
  rewrite found in none. apply (children_listed st tree slot e c found) in child. destruct (children e); [exact child | discriminate].
Qed.

Lemma slots_of_write_words a l st : slots (write_words a l st) = slots st.
Proof. revert a st. induction l as [|v rest IH]; intros a st; [reflexivity|]. simpl. rewrite IH. reflexivity. Qed.
Lemma slots_of_change_thread t f st : slots (change_thread t f st) = slots st.
Proof. unfold change_thread. destruct (objects st !! t) as [[]|]; reflexivity. Qed.
Lemma slots_of_put_result t e l st : slots (put_result t e l st) = slots st.
Proof.
  unfold put_result, set_empty_result, write_long_words. destruct (thread_exists t st); [|reflexivity].
  destruct e, l; try apply slots_of_change_thread;
    (destruct (receive_buffer t _); [rewrite slots_of_write_words|]; apply slots_of_change_thread).
Qed.

Lemma call_sends t s st told :
  Syscall.of_number (N.land (register 7 (thread t st)) syscall_number_mask) = Some s -> sends_message s = true ->
  system_call t st = (Succeeds, told) -> exists m, sends t m st = (Succeeds, told).
Proof.
  intros number sending_ called. unfold system_call in called. cbv zeta in called. rewrite number in called.
  destruct s; try discriminate sending_; [exists calling | exists sending]; exact called.
Qed.
Lemma sends_invokes t m st told place cnode radix guard size :
  occupied_slot_of_address t (register 0 (thread t st)) st = inl (place, CNodeCap cnode radix guard size) ->
  sends t m st = (Succeeds, told) -> finish_send t m (invoke t place (CNodeCap cnode radix guard size) st) = (Succeeds, told).
Proof. intros found sent. unfold sends, send_phase in sent. rewrite found in sent. exact sent. Qed.
Lemma decision_to_revoke method call slot st :
  method = Method.CNodeRevoke -> slot_under (Some (invoked call)) (word 0 call) (word 1 call) st = inl slot ->
  decode_method method call st = in_progress (revoke slot) \/ decode_method method call st = range_error 1 64.
Proof.
  intros -> names. unfold decode_method, cnode_revoke, slot_in. destruct (_ && _); [left | right; reflexivity]. rewrite names. reflexivity.
Qed.
Lemma revoked_right st slot after : indices_are_right st -> revoke slot st = Done after -> indices_are_right after.
Proof.
  intros right revoked. pose proof (keeps_revoke _ _ _ _ indices_are_kept_quietly indices_are_kept (nothing_given _) slot st right) as kept_right.
  rewrite revoked in kept_right. exact kept_right.
Qed.
Lemma revoked_told st slot t after : indices_are_right after -> revoke slot st = Done after ->
  forall x, ~ is_child (put_result t Error.NoError [] after) x slot.
Proof.
  intros right revoked x (entry & present & named). rewrite slots_of_put_result in present.
  apply (no_first_child after slot x right (revoke_done slot st after revoked)). exists entry. split; assumption.
Qed.
Lemma done_of_progress t m (work : State -> Progress) st told :
  finish_send t m (match in_progress work with
                   | Refuse error details => (Reported error details, st)
                   | Perform w =>
                       match w st with
                       | Returns results st => (Reported Error.NoError results, st)
                       | Stops st => (Restarted, st)
                       | Continues st => (LeftAlone, st)
                       end
                   end) = (Succeeds, told) ->
  exists after, work st = Done after /\ put_result t Error.NoError [] after = told.
Proof.
  unfold in_progress. cbv beta iota. destruct (work st) as [after|after]; [|discriminate]. intros same. injection same as <-. exists after. split; reflexivity.
Qed.
Lemma call_revoked st call slot t told :
  indices_are_right st -> invokes st Method.CNodeRevoke call -> slot_under (Some (invoked call)) (word 0 call) (word 1 call) st = inl slot ->
  current st = Some t -> system_call t st = (Succeeds, told) -> forall c, ~ is_child told c slot.
Proof.
  intros right (t' & s & place & c & arguments & cur & number & sending_ & found & args & method & is_it) names cur' called.
  rewrite cur in cur'. injection cur' as <-.
  destruct (call_sends t' s st told number sending_ called) as (m & sent).
  assert (exists cnode radix guard size, c = CNodeCap cnode radix guard size) as (cnode & radix & guard & size & is_cnode).
  { pose proof (method_fits _ _ _ method) as type. unfold fits in type. destruct c; try discriminate type. repeat eexists. }
  rewrite is_cnode in found. pose proof (sends_invokes t' m st told place cnode radix guard size found sent) as worked. rewrite <- is_cnode in worked.
  clear called sent found is_cnode. unfold invoke in worked. cbv zeta in worked. rewrite args in worked.
  unfold decide in worked. rewrite method in worked. destruct (_ && _); [|discriminate worked]. rewrite <- is_it in worked.
  destruct (decision_to_revoke Method.CNodeRevoke call slot st eq_refl names) as [decided|decided]; rewrite decided in worked; [|discriminate worked].
  destruct (done_of_progress t' m (revoke slot) st told worked) as (after & revoked & <-).
  exact (revoked_told st slot t' after (revoked_right st slot after right revoked) revoked).
Qed.

(** Claim [revocation_is_complete]. *)
Lemma step_of_call st e t next done :
  cause e = SystemCall -> current (enter e st) = Some t -> step st e = (next, Succeeds, done) ->
  exists told, system_call t (enter e st) = (Succeeds, told) /\ slots next = slots told.
Proof.
  intros is_call cur result. unfold step, handle in result. rewrite is_call, cur in result.
  destruct (system_call t (enter e st)) as (r & told). exists told.
  assert (r = Succeeds) as -> by (rewrite <- (finish_result r told), result; reflexivity).
  split; [reflexivity|]. rewrite <- (finish_slots Succeeds told), result. reflexivity.
Qed.
Theorem revocation_is_complete_proved : revocation_is_complete step.
Proof.
  intros p st e call slot next done reached is_call invoked_ names result c child.
  assert (exists t, current (enter e st) = Some t) as (t & cur) by (destruct invoked_ as (t & ? & ? & ? & ? & cur & _); exists t; exact cur).
  destruct (step_of_call st e t next done is_call cur result) as (told & called & same).
  apply (call_revoked (enter e st) call slot t told
    (keeps_enter _ _ _ _ indices_are_kept_quietly e st (indices_hold_proved p st reached)) invoked_ names cur called c).
  destruct child as (entry & present & named). rewrite same in present. exists entry. split; assumption.
Qed.
