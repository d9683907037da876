(* SPDX-License-Identifier: BSD-2-Clause *)
(* The digest of a state: the sum of the hashes of its lines. Only lines of entries that changed since the last digest are hashed again. *)
open Oracle_core

(* FNV-1a over 63 bits, with a last stirring so that sums of hashes do not cancel out. *)
let prime = 0x100000001b3
let stir h = let h = (h lxor (h lsr 32)) * 0x9e3779b97f4a7c1 in h lxor (h lsr 29)

let scratch = Buffer.create 4096
let line_hash print x =
  Buffer.clear scratch;
  print scratch x;
  let h = ref 0xbf29ce484222325 in
  for i = 0 to Buffer.length scratch - 1 do
    h := (!h lxor Char.code (Buffer.nth scratch i)) * prime
  done;
  stir !h

(* A table's lines: the table when it was looked at last, the hash of each entry's line, and their sum. *)
type 'a part = { print : Buffer.t -> Number.t * 'a -> unit; mutable table : 'a table; hashes : (Number.t, int) Hashtbl.t; mutable sum : int }

let part print = { print; table = table_of []; hashes = Hashtbl.create 1024; sum = 0 }

let refresh part table =
  Differences.of_tables
    (fun key before after ->
      if before <> None then begin part.sum <- part.sum - Hashtbl.find part.hashes key; Hashtbl.remove part.hashes key end;
      match after with
      | Some value ->
          let h = line_hash part.print (key, value) in
          Hashtbl.replace part.hashes key h;
          part.sum <- part.sum + h
      | None -> ())
    part.table table;
  part.table <- table;
  part.sum

type t = { objects : object0 part; slots : entry part; interrupts : interrupt part; pools : Number.t part; schedule : turn part }

let create () =
  { objects = part Text.object_line; slots = part Text.slot_line; interrupts = part Text.interrupt_line; pools = part Text.pool_line;
    schedule = part Text.turn_line }

let of_state d (st : state) =
  line_hash Text.machine_line st.machine0 + line_hash Text.core_line st + refresh d.objects st.objects + refresh d.slots st.slots
  + refresh d.interrupts st.interrupts + refresh d.pools st.pools + refresh d.schedule st.schedule
