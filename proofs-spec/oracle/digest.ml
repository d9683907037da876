(* SPDX-License-Identifier: BSD-2-Clause *)
(* The digest of a state: the sum of the hashes of its lines. What a step does not touch is the same value in memory afterwards, so only
   lines of changed entries are hashed again. *)
open Oracle_core

(* FNV-1a over 63 bits, with a last stirring so that sums of hashes do not cancel out. *)
let prime = 0x100000001b3
let stir h = let h = (h lxor (h lsr 32)) * 0x9e3779b97f4a7c1 in h lxor (h lsr 29)

let hash buffer =
  let h = ref 0xbf29ce484222325 in
  for i = 0 to Buffer.length buffer - 1 do
    h := (!h lxor Char.code (Buffer.nth buffer i)) * prime
  done;
  stir !h

let scratch = Buffer.create 4096
let line_hash print x = Buffer.clear scratch; print scratch x; hash scratch

(* A table's lines: the entries when it was looked at last, with the hash of each. *)
type 'a part = { print : Buffer.t -> Number.t * 'a -> unit; mutable table : 'a table option; mutable known : (Number.t * 'a * int) list; mutable sum : int }

let part print = { print; table = None; known = []; sum = 0 }

let refresh part table =
  let same = match part.table with Some old -> old == table | None -> false in
  if not same then begin
    let sum = ref 0 in
    let rec merge fresh known collected =
      match fresh with
      | [] -> List.rev collected
      | (key, value) :: rest -> (
          match known with
          | (k, v, h) :: others ->
              let order = Number.compare k key in
              if order < 0 then merge fresh others collected
              else if order = 0 && v == value then begin sum := !sum + h; merge rest others ((key, value, h) :: collected) end
              else add key value rest known collected
          | [] -> add key value rest [] collected)
    and add key value rest known collected =
      let h = line_hash part.print (key, value) in
      sum := !sum + h;
      merge rest known ((key, value, h) :: collected)
    in
    part.known <- merge (entries table) part.known [];
    part.table <- Some table;
    part.sum <- !sum
  end;
  part.sum

type t = { objects : object0 part; slots : entry part; interrupts : interrupt part; pools : Number.t part; schedule : turn part }

let create () =
  { objects = part Text.object_line; slots = part Text.slot_line; interrupts = part Text.interrupt_line; pools = part Text.pool_line;
    schedule = part Text.turn_line }

let of_state d (st : state) =
  line_hash Text.machine_line st.machine0 + line_hash Text.core_line st + refresh d.objects st.objects + refresh d.slots st.slots
  + refresh d.interrupts st.interrupts + refresh d.pools st.pools + refresh d.schedule st.schedule
