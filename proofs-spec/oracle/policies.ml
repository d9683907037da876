(* SPDX-License-Identifier: BSD-2-Clause *)
(* Policies as text, the form that proofs-spec/trace.md describes: reading, and saying what breaks one. *)
open Oracle_core

(* Subjects are numbers to the specification; here they have names. *)
type t = { names : (string, Number.t) Hashtbl.t; mutable spelled : string list; mutable policy : policy; mutable trouble : violation list Lazy.t }

let empty () =
  { names = Hashtbl.create 64; spelled = []; trouble = lazy [];
    policy = { regions = []; permitted = []; acts_for = []; trusted = []; silent = [] } }

let subject known name =
  match Hashtbl.find_opt known.names name with
  | Some number -> number
  | None ->
      let number = Number.of_int (Hashtbl.length known.names) in
      Hashtbl.replace known.names name number;
      known.spelled <- name :: known.spelled;
      number

let name_of known number = List.nth known.spelled (List.length known.spelled - 1 - Number.to_int number)

let cap_type name =
  match CapType.of_number (Text.number_of Names.cap_type "CapType" name) with
  | Some found -> found
  | None -> Text.bad "'%s' is no type of capability" name

let read_line known line =
  let p = known.policy and number = Text.read_number in
  known.policy <-
    (match String.split_on_char ' ' line with
     | [ "memory"; who; start; size ] ->
         { p with regions = { region_start = number start; region_size = number size; region_owner = subject known who } :: p.regions }
     | [ "holds"; who; kind; start; size; rights ] ->
         let held = { holder = subject known who; held_type = cap_type kind; held_start = number start; held_size = number size;
                      held_rights = Text.rights rights } in
         { p with permitted = held :: p.permitted }
     | [ "acts"; part; whole ] -> let part = subject known part in { p with acts_for = (part, subject known whole) :: p.acts_for }
     | [ "trusted"; who ] -> { p with trusted = subject known who :: p.trusted }
     | [ "silent"; who ] -> { p with silent = subject known who :: p.silent }
     | word :: _ -> Text.bad "'%s' begins no line of a policy: write memory, holds, acts, trusted or silent, each with all its words" word
     | [] -> p)

(* The lines up to `end`. Whether the policy is closed is worked out once, when it is first asked. *)
let read next =
  let known = empty () in
  let rec lines () =
    match next () with
    | "end" -> ()
    | line -> (if line <> "" && line.[0] <> '#' then read_line known line); lines ()
  in
  lines ();
  let p = known.policy in
  known.policy <- { p with regions = List.rev p.regions };
  known.trouble <- lazy (openings known.policy);
  known

let hex n = let buffer = Buffer.create 20 in Text.number buffer n; Buffer.contents buffer
let written print x = let buffer = Buffer.create 80 in print buffer x; Buffer.contents buffer
let rule = function
  | Taking -> "take" | Controlling -> "control" | Mapping -> "table" | Granting -> "grant" | Replying -> "reply-grant"
  | Sharing -> "share"

let range h =
  Printf.sprintf "%s at %s, %s bytes, rights %s" (Text.name_of Names.cap_type "CapType" (CapType.number h.held_type)) (hex h.held_start) (hex h.held_size)
    (hex (word_of_rights h.held_rights))

let violation known = function
  | Unowned address -> Printf.sprintf "unowned: %s is nobody's memory" (hex address)
  | Exceeds (who, slot, c) -> Printf.sprintf "exceeds: %s holds %s in slot %s" (name_of known who) (written Text.capability c) (hex slot)
  | MapsBeyond (who, table, e) -> Printf.sprintf "maps: %s maps %s in table %s" (name_of known who) (written Text.page_entry e) (hex table)
  | WaitsBeyond (who, t) -> Printf.sprintf "waits: %s waits with more than it may have, in thread %s" (name_of known who) (hex t)
  | NotClosed (why, giver, taker, h) ->
      Printf.sprintf "open: by %s %s gets what %s may hold, and may not: %s" (rule why) (name_of known taker) (name_of known giver) (range h)
  | Unbounded (giver, taker) ->
      Printf.sprintf "open: %s gets what %s may hold, of whom the policy says nothing" (name_of known taker) (name_of known giver)

(* What breaks the policy in a state, a line for each. *)
let violations known state = List.map (violation known) (Lazy.force known.trouble @ beyond known.policy state)

(* Of those for whom threads act, who is bound by the policy: as many as are together, in the order in which they were named; who is not; and whether the
   state is kept to it by the first. *)
let bound known state =
  let p = known.policy in
  let among l s = List.exists (Number.equal s) l in
  let actors = List.fold_left (fun l (_, whole) -> if among l whole then l else whole :: l) [] p.acts_for in
  let chosen = List.fold_left (fun l s -> if bound_by p (s :: l) then s :: l else l) [] actors in
  let names = List.map (name_of known) in
  (names (List.rev chosen), names (List.filter (fun s -> not (among chosen s)) actors), bound_check p chosen state)
