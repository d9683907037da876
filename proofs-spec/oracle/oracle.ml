(* SPDX-License-Identifier: BSD-2-Clause *)
(* Replays a trace through the specification and prints what comes of it. The forms of input and output are in proofs-spec/trace.md. *)
open Oracle_core

type mode = Quiet | Results | Digests | States

let usage = "usage: oracle [--quiet | --results | --digests | --states] [--check] [--policy POLICY] [TRACE]\n\
             Replays TRACE, or what comes in, and prints a line for each event: its result only (--results), with the digest of the state after\n\
             it (--digests, which is the default), or with that state (--states). --check also tests every invariant after every event, and\n\
             --policy whether each state is within a policy."

(* [told] is the state that was printed last, as a whole or by its changes. *)
type run = {
  mode : mode; check : bool; judged : bool; mutable state : state; mutable told : state; saved : (string, state) Hashtbl.t; mutable events : int;
  digest : Digest.t; out : Buffer.t; mutable policy : Policies.t option
}

exception Stop of string

let flush run = print_string (Buffer.contents run.out); Buffer.clear run.out; Stdlib.flush stdout

let print_digest run =
  Buffer.add_string run.out (Printf.sprintf "%016x" (Digest.of_state run.digest run.state))

let print_broken run =
  match broken_invariants run.state with
  | [] -> ()
  | l -> raise (Stop ("the state breaks " ^ String.concat ", " (List.map Text.invariant l)))

let policy_of run = match run.policy with Some known -> known | None -> Text.bad "there is no policy: give one between policy and end"

let print_judgement run =
  List.iter (fun line -> Buffer.add_string run.out (line ^ "\n")) (Policies.violations (policy_of run) run.state);
  Buffer.add_string run.out ".\n"

let print_bound run =
  let bound, others, kept = Policies.bound (policy_of run) run.state in
  let line word l = Buffer.add_string run.out (String.concat " " (word :: l) ^ "\n") in
  line "bound:" bound; line "unbound:" others; line "kept:" [ if kept then "yes" else "no" ]

(* With --policy each state has to be within it. *)
let judge run judged =
  if judged then
    match Policies.violations (policy_of run) run.state with
    | [] -> ()
    | first :: others -> raise (Stop (Printf.sprintf "the state breaks the policy: %s%s" first
                                        (if others = [] then "" else Printf.sprintf " (and %d more)" (List.length others))))

let print_outcome run result effects =
  Text.result run.out result;
  Buffer.add_string run.out " current=";
  Text.option run.out run.state.current;
  if run.mode <> Results then begin Buffer.add_string run.out " digest="; print_digest run end;
  List.iter (fun e -> Buffer.add_char run.out ' '; Text.effect_ run.out e) effects;
  Buffer.add_char run.out '\n';
  if run.mode = States then begin Text.print_state run.out run.state; Buffer.add_string run.out ".\n" end

let replay run event =
  let (state, result), effects = step run.state event in
  run.state <- state;
  run.events <- run.events + 1;
  if List.mem Stuck effects then raise (Stop "the specification is stuck");
  if run.mode <> Quiet then print_outcome run result effects;
  if run.check then print_broken run;
  judge run run.judged

(* The lines between begin and end are a state. *)
let rec read_state next st =
  match next () with
  | "end" -> Text.order_children st
  | line -> read_state next (if line = "" || line.[0] = '#' then st else Text.read_state_line st line)

let start run state =
  run.state <- state;
  run.told <- state;
  if run.check then print_broken run;
  judge run run.judged

let print_state run =
  Text.print_state run.out run.state;
  run.told <- run.state;
  Buffer.add_string run.out ".\n";
  flush run

let print_changes run =
  Differences.print run.out run.told run.state;
  run.told <- run.state;
  Buffer.add_string run.out ".\n"

let restore run name =
  match Hashtbl.find_opt run.saved name with
  | Some state -> run.state <- state
  | None -> Text.bad "no state was saved as '%s': write save %s before" name name

let obey run next line =
  if line <> "" && line.[0] <> '#' then
    match String.split_on_char ' ' line with
    | [ "begin" ] -> start run (read_state next Text.empty_state)
    | "boot" :: words -> start run (Text.read_boot words)
    | [ "policy" ] -> run.policy <- Some (Policies.read next)
    | [ "judge" ] -> print_judgement run; flush run
    | [ "bound" ] -> print_bound run; flush run
    | [ "save"; name ] -> Hashtbl.replace run.saved name run.state
    | [ "restore"; name ] -> restore run name
    | [ "state" ] -> print_state run
    | [ "changes" ] -> print_changes run
    | [ "digest" ] -> print_digest run; Buffer.add_char run.out '\n'; flush run
    | [ "check" ] ->
        Buffer.add_string run.out (String.concat " " ("broken:" :: List.map Text.invariant (broken_invariants run.state)) ^ "\n");
        flush run
    | [ "flush" ] -> flush run
    | words -> (
        match Text.read_event words with
        | Some event -> replay run event
        | None -> Text.bad "'%s' is neither an event nor a command" (List.hd words))

(* A file that is a policy from its first line to its last. *)
let read_policy path input =
  let line_number = ref 0 in
  let next () = incr line_number; try input_line input with End_of_file -> "end" in
  try Policies.read next with Text.Bad text -> Printf.eprintf "%s:%d: %s\n" path !line_number text; exit 2

let main () =
  let mode = ref Digests and check = ref false and file = ref None and policy = ref None and wanted = ref false in
  Array.iteri (fun i argument ->
      if i > 0 then
        match argument with
        | path when !wanted -> policy := Some path; wanted := false
        | "--policy" when !policy = None -> wanted := true
        | "--quiet" -> mode := Quiet
        | "--results" -> mode := Results
        | "--digests" -> mode := Digests
        | "--states" -> mode := States
        | "--check" -> check := true
        | _ when String.length argument > 0 && argument.[0] <> '-' && !file = None -> file := Some argument
        | _ -> prerr_endline usage; exit 2) Sys.argv;
  if !wanted then begin prerr_endline usage; exit 2 end;
  let name = Option.value !file ~default:"standard input" in
  let opened what path = try open_in path with Sys_error cause -> prerr_endline ("oracle: " ^ cause ^ ": name a " ^ what ^ " that can be read"); exit 2 in
  let input = match !file with None -> stdin | Some path -> opened "trace" path in
  let run =
    { mode = !mode; check = !check; judged = !policy <> None; policy = Option.map (fun path -> read_policy path (opened "policy" path)) !policy;
      state = Text.empty_state; told = Text.empty_state; saved = Hashtbl.create 16; events = 0; digest = Digest.create (); out = Buffer.create 65536 } in
  let line_number = ref 0 in
  let next () = incr line_number; input_line input in
  let fail status text =
    flush run;
    Printf.eprintf "%s:%d: %s\n" name !line_number text;
    exit status
  in
  (try
     while true do
       obey run next (next ());
       if Buffer.length run.out > 60000 then flush run
     done
   with
   | End_of_file -> ()
   | Text.Bad text -> fail 2 text
   | Stop text -> fail 1 text);
  flush run;
  if run.mode = Quiet then Printf.printf "events=%d digest=%016x\n" run.events (Digest.of_state run.digest run.state)

let () = main ()
