(* SPDX-License-Identifier: BSD-2-Clause *)
(* What differs between two states. A table that was made from another by a few changes shares most of its tree with it; what is the same
   value in memory is not looked into, so that the work grows with the changes and not with the tables. *)
open Oracle_core
open Map.Raw

(* The parts of a tree with keys below and above a key, and the key's own value. *)
let rec split key = function
  | Leaf -> (Leaf, None, Leaf)
  | Node (l, k, v, r, h) ->
      let order = Number.compare key k in
      if order = 0 then (l, Some v, r)
      else if order < 0 then let below, found, above = split key l in (below, found, Node (above, k, v, r, h))
      else let below, found, above = split key r in (Node (l, k, v, below, h), found, above)

(* Calls f with each key whose value is not the same in memory, with the values before and after. *)
let rec of_tables f before after =
  if before != after then
    match (before, after) with
    | Leaf, Leaf -> ()
    | Leaf, Node (l, k, v, r, _) -> of_tables f Leaf l; f k None (Some v); of_tables f Leaf r
    | Node (l, k, v, r, _), _ ->
        let below, found, above = split k after in
        of_tables f l below;
        (match found with Some value when value == v -> () | _ -> f k (Some v) found);
        of_tables f r above

let buffer_before = Buffer.create 4096
let buffer_after = Buffer.create 4096

(* Adds the line of a value if it is another than before; of one that is gone the first two words. *)
let add_line out print before after =
  let fill buffer value = Buffer.clear buffer; Option.iter (print buffer) value in
  fill buffer_before before;
  fill buffer_after after;
  if not (String.equal (Buffer.contents buffer_before) (Buffer.contents buffer_after)) then begin
    if after <> None then Buffer.add_buffer out buffer_after
    else begin
      let line = Buffer.contents buffer_before in
      Buffer.add_string out (String.sub line 0 (String.index_from line (1 + String.index line ' ') ' '))
    end;
    Buffer.add_char out '\n'
  end

(* The lines that say how to come from one state to another: always that of the core, which tells the time, and those that differ. *)
let print out (before : state) (after : state) =
  let table print before after =
    of_tables (fun key a b -> add_line out print (Option.map (fun v -> (key, v)) a) (Option.map (fun v -> (key, v)) b)) before after in
  add_line out Text.machine_line (Some before.machine0) (Some after.machine0);
  add_line out Text.core_line None (Some after);
  table Text.turn_line before.schedule after.schedule;
  table Text.object_line before.objects after.objects;
  table Text.slot_line before.slots after.slots;
  table Text.interrupt_line before.interrupts after.interrupts;
  table Text.pool_line before.pools after.pools
