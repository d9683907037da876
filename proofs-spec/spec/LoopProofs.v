(* SPDX-License-Identifier: BSD-2-Clause *)
(** * Loops finish

    What holds after a loop that kept it in each turn; and a loop whose turns count something down finishes within that many. *)
From Coq Require Import Lia.
From Spec Require Export Claims.
Open Scope N_scope.

Section Loops.
Context {A B : Type} (turn : A -> Turn_of_loop A B).

Lemma repeat_keeps (during : A -> Prop) (behind : B -> Prop) :
  (forall a, during a -> match turn a with Again a' => during a' | Finished b => behind b end) ->
  forall n a, during a -> match repeat_after n turn a with Again a' => during a' | Finished b => behind b end.
Proof.
  intros each count. unfold repeat_after. induction (N.to_nat (N.size count)) as [|n IH]; intros a ok; [exact (each a ok)|]. simpl.
  pose proof (IH a ok) as once. destruct (repeat_doubled n turn a) as [a'|b]; [exact (IH a' once) | exact once].
Qed.

Lemma repeat_finished (behind : B -> Prop) :
  (forall a b, turn a = Finished b -> behind b) -> forall n a b, repeat_after n turn a = Finished b -> behind b.
Proof.
  intros each n a b finished. pose proof (repeat_keeps (fun _ => True) behind) as kept.
  specialize (kept ltac:(intros x _; destruct (turn x) eqn:one; [exact I | exact (each x _ one)]) n a I). rewrite finished in kept. exact kept.
Qed.

Variable left : A -> N.
Hypothesis counts_down : forall a a', turn a = Again a' -> left a' < left a.
Lemma doubled_counts_down n a a' : repeat_doubled n turn a = Again a' -> left a' + 2 ^ N.of_nat n <= left a.
Proof.
  revert a a'. induction n as [|n IH]; intros a a' again; [apply counts_down in again; simpl; lia|]. simpl in again.
  destruct (repeat_doubled n turn a) as [between|] eqn:once; [|discriminate]. apply IH in once, again.
  rewrite Nat2N.inj_succ, N.pow_succ_r'. lia.
Qed.
Lemma repeat_ends n a : left a <= n -> exists b, repeat_after n turn a = Finished b.
Proof.
  intros few. unfold repeat_after. destruct (repeat_doubled _ turn a) as [a'|b] eqn:result; [exfalso | exists b; reflexivity].
  apply doubled_counts_down in result. rewrite N2Nat.id in result. pose proof (N.size_gt n). lia.
Qed.
End Loops.

(** Claim [loops_finish]. *)
Theorem loops_finish_proved : loops_finish.
Proof.
  split.
  - intros smallest c used. apply (repeat_ends _ snd); [|reflexivity]. clear. intros (c & used) (c' & used') again. unfold charge_step in again.
    destruct (refills c) as [|first rest]; [discriminate|]. cbv zeta in again.
    destruct (N.eqb_spec used 0) as [|some]; [discriminate|]. destruct (N.eqb_spec (amount first) 0) as [|holds]; [discriminate|]. cbn [orb] in again.
    destruct (N.leb_spec (amount first) used) as [whole|]; [|discriminate].
    assert (used' = used - amount first) as -> by (destruct rest; injection again as _ <-; reflexivity). cbn [snd]. lia.
  - intros A remains work a st. apply (repeat_ends _ (fun x => snd (fst x))); [|reflexivity]. clear. intros ((a & units) & st) ((a' & units') & st') again.
    unfold unit_turn in again. destruct (negb _); [discriminate|]. destruct (N.eqb_spec units 0) as [|some]; [discriminate|].
    destruct (work a st) as (x & y). injection again as _ <- _. cbn [fst snd]. lia.
Qed.
