(* SPDX-License-Identifier: BSD-2-Clause *)
(* States, events and effects as text, the form that proofs-spec/trace.md describes: printing and reading. *)
open Oracle_core

exception Bad of string (* what is wrong, and what to write instead *)

let bad format = Printf.ksprintf (fun text -> raise (Bad text)) format

(* ---- printing ---- *)
let hex_digits = "0123456789abcdef"

let number buffer n =
  Buffer.add_string buffer "0x";
  if Number.fits_int n then begin
    let n = Number.to_int n in
    let rec digits shift = if shift < 60 && n lsr (shift + 4) <> 0 then digits (shift + 4) else shift in
    let rec emit shift =
      if shift >= 0 then begin
        Buffer.add_char buffer hex_digits.[(n lsr shift) land 15];
        emit (shift - 4)
      end
    in
    emit (digits 0)
  end
  else Buffer.add_string buffer (Number.format "%x" n)

let option buffer = function Some n -> number buffer n | None -> Buffer.add_char buffer '-'
let boolean buffer b = Buffer.add_char buffer (if b then '1' else '0')

let separated buffer print = function
  | [] -> Buffer.add_char buffer '-'
  | first :: rest ->
      print buffer first;
      List.iter (fun x -> Buffer.add_char buffer ','; print buffer x) rest

let numbers buffer l = separated buffer number l
let field buffer name print x =
  Buffer.add_char buffer ' ';
  Buffer.add_string buffer name;
  Buffer.add_char buffer '=';
  print buffer x

(* A name and its parts in parentheses. *)
let call buffer name parts =
  Buffer.add_string buffer name;
  if parts <> [] then begin
    Buffer.add_char buffer '(';
    List.iteri (fun i part -> if i > 0 then Buffer.add_char buffer ','; part buffer) parts;
    Buffer.add_char buffer ')'
  end

let n x buffer = number buffer x
let o x buffer = option buffer x
let b x buffer = boolean buffer x
let r x = n (word_of_rights x)

let place p =
  match p with
  | Some p -> [ n p.place_asid; n p.place_address; n p.place_level ]
  | None -> [ o None ]

let capability buffer c =
  let call = call buffer in
  match c with
  | UntypedCap (base, bits, device, used) -> call "Untyped" [ n base; n bits; b device; n used ]
  | EndpointCap (e, badge, rights) -> call "Endpoint" [ n e; n badge; r rights ]
  | NotificationCap (e, badge, rights) -> call "Notification" [ n e; n badge; r rights ]
  | ReplyCap (e, rights) -> call "Reply" [ n e; r rights ]
  | CNodeCap (e, radix, guard, size) -> call "CNode" [ n e; n radix; n guard; n size ]
  | TCBCap e -> call "TCB" [ n e ]
  | SchedContextCap (e, bits) -> call "SchedContext" [ n e; n bits ]
  | SchedControlCap core -> call "SchedControl" [ n core ]
  | VSpaceCap (e, asid) -> call "VSpace" [ n e; o asid ]
  | PageTableCap (e, p) -> call "PageTable" (n e :: place p)
  | FrameCap (base, bits, device, rights, p) -> call "Frame" (n base :: n bits :: b device :: r rights :: place p)
  | ASIDControlCap -> call "ASIDControl" []
  | ASIDPoolCap e -> call "ASIDPool" [ n e ]
  | IRQControlCap -> call "IRQControl" []
  | IRQHandlerCap irq -> call "IRQHandler" [ n irq ]
  | SGISignalCap (irq, target) -> call "SGISignal" [ n irq; n target ]
  | DomainCap -> call "Domain" []
  | InspectCap -> call "Inspect" []
  | ZombieCap e -> call "Zombie" [ n e ]

let run_state buffer s =
  let call = call buffer in
  match s with
  | Inactive -> call "inactive" []
  | Running -> call "running" []
  | BlockedOnReceive (e, reply, requires, grant) -> call "receive" [ n e; o reply; b requires; b grant ]
  | BlockedOnSend (e, badge, grant, grant_reply, is_call, lends) ->
      call "send" [ n e; n badge; b grant; b grant_reply; b is_call; b lends ]
  | BlockedOnReply (e, grant) -> call "reply" [ n e; b grant ]
  | BlockedOnNotification e -> call "wait" [ n e ]

let name_of table what number =
  match List.assoc_opt (Number.to_int number) table with Some name -> name | None -> bad "%s has no value %s" what (Number.to_string number)

let register_names = Array.make 36 ""
let () = List.iter (fun (i, name) -> register_names.(i) <- name) Names.registers

let pair separator print_key print_value buffer (key, value) =
  print_key buffer key;
  Buffer.add_char buffer separator;
  print_value buffer value

let register buffer i = Buffer.add_string buffer register_names.(Number.to_int i)

let fault buffer = function
  | None -> Buffer.add_char buffer '-'
  | Some f -> call buffer (name_of Names.fault_label "FaultLabel" (FaultLabel.number f.fault_label)) (List.map n f.fault_words)

let page_entry buffer = function
  | NextTable table -> call buffer "table" [ n table ]
  | Page (base, bits, device, rights, attributes) -> call buffer "page" [ n base; n bits; b device; r rights; n attributes ]

let table_entries buffer table = field buffer "entries" (fun buffer -> separated buffer (pair ':' number page_entry)) (entries table)

let breakpoint buffer x = List.iteri (fun i v -> if i > 0 then Buffer.add_char buffer ':'; number buffer v)
    [ x.watched_address; x.watched_size; x.watched_access ]

let refill buffer x = pair ':' number number buffer (x.usable_at, x.amount)

let object_line buffer (address, thing) =
  let start kind = Buffer.add_string buffer "object "; number buffer address; Buffer.add_char buffer ' '; Buffer.add_string buffer kind in
  let number_field name x = field buffer name number x
  and option_field name x = field buffer name option x
  and list_field name x = field buffer name numbers x in
  match thing with
  | CNodeObject radix -> start "CNode"; number_field "radix" radix
  | ThreadObject t ->
      start "TCB";
      field buffer "state" run_state t.run_state;
      number_field "priority" t.priority;
      number_field "mcp" t.controlled_priority;
      number_field "domain" t.thread_domain;
      number_field "affinity" t.affinity;
      number_field "flags" t.flags;
      number_field "buffer" t.buffer_address;
      option_field "notification" t.bound_notification;
      option_field "sched_context" t.sched_context;
      option_field "yielded_to" t.yielded_to;
      number_field "step_count" t.step_count;
      field buffer "fault" fault t.fault0;
      field buffer "breakpoints" (fun buffer -> separated buffer (pair ':' number breakpoint)) (entries t.breakpoints);
      field buffer "registers" (fun buffer -> separated buffer (pair ':' register number)) (entries t.registers0)
  | EndpointObject e -> start "Endpoint"; list_field "senders" e.senders; list_field "receivers" e.receivers
  | NotificationObject e ->
      start "Notification";
      field buffer "active" boolean (e.word_of_flags <> None);
      number_field "word" (Option.value e.word_of_flags ~default:Number.zero);
      list_field "waiters" e.waiters;
      option_field "thread" e.bound_thread;
      option_field "sched_context" e.lent_context
  | ReplyObject e -> start "Reply"; option_field "caller" e.caller; option_field "receiver" e.receiver; option_field "along" e.along
  | SchedContextObject c ->
      start "SchedContext";
      number_field "size_bits" c.context_bits;
      number_field "core" c.context_core;
      number_field "budget_us" c.budget_us;
      number_field "period_us" c.period_us;
      number_field "budget" c.budget;
      number_field "period" c.period;
      number_field "extra_refills" c.extra_refills;
      number_field "badge" c.context_badge;
      number_field "flags" c.context_flags;
      field buffer "refills" (fun buffer -> separated buffer refill) c.refills;
      number_field "unreturned" c.unreturned;
      number_field "consumed" c.consumed;
      option_field "thread" c.context_thread;
      option_field "notification" c.context_notification;
      list_field "calls" c.calls;
      option_field "yielder" c.yielder
  | VSpaceObject table -> start "VSpace"; table_entries buffer table
  | PageTableObject table -> start "PageTable"; table_entries buffer table
  | ASIDPoolObject p ->
      start "ASIDPool";
      number_field "index" p.pool_index;
      field buffer "assigned" (fun buffer -> separated buffer (pair ':' number number)) (entries p.assigned)

let slot_line buffer (slot, e) =
  Buffer.add_string buffer "slot ";
  number buffer slot;
  Buffer.add_char buffer ' ';
  capability buffer e.capability0;
  field buffer "parent" option e.parent;
  field buffer "original" boolean e.original

let interrupt_line buffer (irq, i) =
  Buffer.add_string buffer "interrupt ";
  number buffer irq;
  field buffer "edge" boolean i.edge_triggered;
  field buffer "masked" boolean i.masked;
  field buffer "active" boolean i.active

let pool_line buffer (index, pool) = Buffer.add_string buffer "pool "; number buffer index; field buffer "object" number pool

let turn_line buffer (index, turn) =
  Buffer.add_string buffer "turn ";
  number buffer index;
  field buffer "domain" number turn.turn_domain;
  field buffer "length" number turn.turn_length

let core_line buffer st =
  Buffer.add_string buffer "core";
  field buffer "now" number st.now;
  field buffer "current" option st.current;
  field buffer "sched_context" option st.current_context;
  field buffer "charged_until" number st.charged_until;
  field buffer "ready" numbers st.ready;
  field buffer "sleeping" numbers st.sleeping;
  field buffer "schedule_start" number st.schedule_start;
  field buffer "schedule_index" number st.schedule_index;
  field buffer "domain" number st.current_domain;
  field buffer "turn_end" option st.turn_end

let machine_line buffer m =
  Buffer.add_string buffer "machine";
  field buffer "cores" number m.core_count;
  field buffer "last_interrupt" number m.last_interrupt;
  field buffer "timer_interrupt" number m.timer_interrupt;
  field buffer "timer_frequency" number m.timer_frequency;
  field buffer "smallest_budget_us" number m.smallest_budget_us;
  field buffer "breakpoints" number m.breakpoint_count;
  field buffer "watchpoints" number m.watchpoint_count;
  field buffer "debug_build" boolean m.debug_build

(* The order of children is part of the state, but of no line that is compared: kernels keep it in their own way. *)
let children_line buffer (slot, e) = Buffer.add_string buffer "children "; number buffer slot; field buffer "of" numbers e.children

let lines buffer print l = List.iter (fun x -> print buffer x; Buffer.add_char buffer '\n') l

let print_state buffer st =
  lines buffer machine_line [ st.machine0 ];
  lines buffer core_line [ st ];
  lines buffer turn_line (entries st.schedule);
  lines buffer object_line (entries st.objects);
  lines buffer slot_line (entries st.slots);
  lines buffer children_line (List.filter (fun (_, e) -> match e.children with _ :: _ :: _ -> true | _ -> false) (entries st.slots));
  lines buffer interrupt_line (entries st.interrupts);
  lines buffer pool_line (entries st.pools)

let effect_ buffer e =
  let call = call buffer in
  match e with
  | WriteMemory (address, value) -> call "WriteMemory" [ n address; n value ]
  | ClearMemory (address, size, coherent) -> call "ClearMemory" [ n address; n size; b coherent ]
  | MaintainCache (operation, address, size) ->
      let name = match operation with
        | Clean -> "Clean" | Invalidate -> "Invalidate" | CleanInvalidate -> "CleanInvalidate" | Unify -> "Unify" in
      call name [ n address; n size ]
  | InvalidatePage (asid, address) -> call "InvalidatePage" [ n asid; n address ]
  | InvalidateSpace asid -> call "InvalidateSpace" [ n asid ]
  | ConfigureInterrupt (irq, edge) -> call "ConfigureInterrupt" [ n irq; b edge ]
  | MaskInterrupt irq -> call "MaskInterrupt" [ n irq ]
  | UnmaskInterrupt irq -> call "UnmaskInterrupt" [ n irq ]
  | DeactivateInterrupt irq -> call "DeactivateInterrupt" [ n irq ]
  | SendInterrupt (irq, core) -> call "SendInterrupt" [ n irq; n core ]
  | PrintCharacter c -> call "PrintCharacter" [ n c ]
  | StopMachine -> call "StopMachine" []
  | Stuck -> call "Stuck" []

let result buffer = function
  | Succeeds -> Buffer.add_string buffer "Succeeds"
  | Fails e ->
      Buffer.add_string buffer "Fails(";
      Buffer.add_string buffer (name_of Names.error "Error" (Error.number e));
      Buffer.add_char buffer ')'
  | Faults f ->
      Buffer.add_string buffer "Faults(";
      Buffer.add_string buffer (name_of Names.fault_label "FaultLabel" (FaultLabel.number f));
      Buffer.add_char buffer ')'
  | IsPreempted -> Buffer.add_string buffer "IsPreempted"
  | Serves -> Buffer.add_string buffer "Serves"
  | Impossible -> Buffer.add_string buffer "Impossible"

let invariant = function
  | DerivationTree -> "DerivationTree"
  | ReferenceCounts -> "ReferenceCounts"
  | NoDanglingCapability -> "NoDanglingCapability"
  | NoOrphanObject -> "NoOrphanObject"
  | SlotsInContainers -> "SlotsInContainers"
  | ObjectsDisjoint -> "ObjectsDisjoint"
  | UntypedContents -> "UntypedContents"
  | ThreadQueues -> "ThreadQueues"
  | RunQueues -> "RunQueues"
  | ContextLinks -> "ContextLinks"
  | NotificationLinks -> "NotificationLinks"
  | ReplyLinks -> "ReplyLinks"
  | Refills -> "Refills"
  | Interrupts -> "Interrupts"
  | Spaces -> "Spaces"
  | CurrentThread -> "CurrentThread"

(* ---- reading ---- *)
let read_number text =
  match Number.of_string text with
  | n when Number.sign n >= 0 -> n
  | _ -> bad "'%s' is negative: write a number from 0" text
  | exception Invalid_argument _ -> bad "'%s' is no number: write it in decimal or as 0x…" text

let read_option text = if text = "-" then None else Some (read_number text)
let read_boolean text = match text with "0" -> false | "1" -> true | _ -> bad "'%s' is neither 0 nor 1" text

(* Splits at commas that are not in parentheses. *)
let split_list text =
  if text = "-" then []
  else begin
    let parts = ref [] and depth = ref 0 and start = ref 0 in
    String.iteri (fun i c ->
        match c with
        | '(' -> incr depth
        | ')' -> decr depth
        | ',' when !depth = 0 -> parts := String.sub text !start (i - !start) :: !parts; start := i + 1
        | _ -> ()) text;
    List.rev (String.sub text !start (String.length text - !start) :: !parts)
  end

let read_numbers text = List.map read_number (split_list text)

(* name(part,part,…) *)
let read_call text =
  match String.index_opt text '(' with
  | None -> (text, [])
  | Some i ->
      if text.[String.length text - 1] <> ')' then bad "'%s' does not end with a parenthesis" text;
      (String.sub text 0 i, split_list (String.sub text (i + 1) (String.length text - i - 2)))

let read_pair separator text =
  match String.index_opt text separator with
  | Some i -> (String.sub text 0 i, String.sub text (i + 1) (String.length text - i - 1))
  | None -> bad "'%s' lacks a '%c'" text separator

let rights text = rights_of_word (read_number text)

let read_place = function
  | [ "-" ] -> None
  | [ asid; address; level ] ->
      Some { place_asid = read_number asid; place_address = read_number address; place_level = read_number level }
  | _ -> bad "a place is '-', or ASID, address and level"

let read_capability text =
  match read_call text with
  | "Untyped", [ base; bits; device; used ] -> UntypedCap (read_number base, read_number bits, read_boolean device, read_number used)
  | "Endpoint", [ e; badge; r ] -> EndpointCap (read_number e, read_number badge, rights r)
  | "Notification", [ e; badge; r ] -> NotificationCap (read_number e, read_number badge, rights r)
  | "Reply", [ e; r ] -> ReplyCap (read_number e, rights r)
  | "CNode", [ e; radix; guard; size ] -> CNodeCap (read_number e, read_number radix, read_number guard, read_number size)
  | "TCB", [ e ] -> TCBCap (read_number e)
  | "SchedContext", [ e; bits ] -> SchedContextCap (read_number e, read_number bits)
  | "SchedControl", [ core ] -> SchedControlCap (read_number core)
  | "VSpace", [ e; asid ] -> VSpaceCap (read_number e, read_option asid)
  | "PageTable", e :: p -> PageTableCap (read_number e, read_place p)
  | "Frame", base :: bits :: device :: r :: p ->
      FrameCap (read_number base, read_number bits, read_boolean device, rights r, read_place p)
  | "ASIDControl", [] -> ASIDControlCap
  | "ASIDPool", [ e ] -> ASIDPoolCap (read_number e)
  | "IRQControl", [] -> IRQControlCap
  | "IRQHandler", [ irq ] -> IRQHandlerCap (read_number irq)
  | "SGISignal", [ irq; target ] -> SGISignalCap (read_number irq, read_number target)
  | "Domain", [] -> DomainCap
  | "Inspect", [] -> InspectCap
  | "Zombie", [ e ] -> ZombieCap (read_number e)
  | _ -> bad "'%s' is no capability: see trace.md for their forms" text

let read_run_state text =
  match read_call text with
  | "inactive", [] -> Inactive
  | "running", [] -> Running
  | "receive", [ e; reply; requires; g ] ->
      BlockedOnReceive (read_number e, read_option reply, read_boolean requires, read_boolean g)
  | "send", [ e; badge; g; p; c; l ] ->
      BlockedOnSend (read_number e, read_number badge, read_boolean g, read_boolean p, read_boolean c, read_boolean l)
  | "reply", [ e; g ] -> BlockedOnReply (read_number e, read_boolean g)
  | "wait", [ e ] -> BlockedOnNotification (read_number e)
  | _ -> bad "'%s' is no state of a thread" text

let number_of table what name =
  match List.find_opt (fun (_, other) -> other = name) table with Some (i, _) -> Number.of_int i | None -> bad "%s has no value '%s'" what name

let register_numbers : (string, Number.t) Hashtbl.t = Hashtbl.create 64
let () = List.iter (fun (i, name) -> Hashtbl.replace register_numbers name (Number.of_int i)) Names.registers

let read_register name =
  match Hashtbl.find_opt register_numbers name with Some i -> i | None -> bad "'%s' is no register: write x0 to x30, sp, pc, spsr …" name

let read_fault text =
  if text = "-" then None
  else begin
    let name, words = read_call text in
    match FaultLabel.of_number (number_of Names.fault_label "FaultLabel" name) with
    | Some l -> Some { fault_label = l; fault_words = List.map read_number words }
    | None -> bad "'%s' is no fault" text
  end

let read_page_entry text =
  match read_call text with
  | "table", [ t ] -> NextTable (read_number t)
  | "page", [ base; bits; device; r; a ] -> Page (read_number base, read_number bits, read_boolean device, rights r, read_number a)
  | _ -> bad "'%s' is no entry of a page table" text

let read_table read_key read_value text =
  table_of (List.map (fun entry -> let k, v = read_pair ':' entry in (read_key k, read_value v)) (split_list text))

let read_breakpoint text =
  match String.split_on_char ':' text with
  | [ a; s; c ] -> { watched_address = read_number a; watched_size = read_number s; watched_access = read_number c }
  | _ -> bad "'%s' is no breakpoint: write address:size:access" text

(* The fields of a line, each given once; the rest of a line must name exactly those that are asked for. *)
type line_fields = { mutable left : (string * string) list }

let fields_of words = { left = List.map (read_pair '=') words }

let take line name read =
  match List.assoc_opt name line.left with
  | Some text -> line.left <- List.remove_assoc name line.left; read text
  | None -> bad "the field '%s' is missing: add %s=…" name name

let finish line = match line.left with [] -> () | (name, _) :: _ -> bad "unknown field '%s': remove it" name

let read_object kind line =
  let number name = take line name read_number
  and option name = take line name read_option
  and list name = take line name read_numbers in
  match kind with
  | "CNode" -> CNodeObject (number "radix")
  | "TCB" ->
      ThreadObject
        { run_state = take line "state" read_run_state; priority = number "priority"; controlled_priority = number "mcp";
          thread_domain = number "domain"; affinity = number "affinity"; flags = number "flags"; buffer_address = number "buffer";
          bound_notification = option "notification"; sched_context = option "sched_context"; yielded_to = option "yielded_to";
          step_count = number "step_count"; fault0 = take line "fault" read_fault;
          breakpoints = take line "breakpoints" (fun text ->
            table_of (List.map (fun entry -> let k, v = read_pair ':' entry in (read_number k, read_breakpoint v)) (split_list text)));
          registers0 = take line "registers" (read_table read_register read_number) }
  | "Endpoint" -> EndpointObject { senders = list "senders"; receivers = list "receivers" }
  | "Notification" ->
      let active = take line "active" read_boolean and word = number "word" in
      NotificationObject { word_of_flags = (if active then Some word else None); waiters = list "waiters"; bound_thread = option "thread";
                           lent_context = option "sched_context" }
  | "Reply" -> ReplyObject { caller = option "caller"; receiver = option "receiver"; along = option "along" }
  | "SchedContext" ->
      SchedContextObject
        { context_bits = number "size_bits"; context_core = number "core"; budget_us = number "budget_us"; period_us = number "period_us";
          budget = number "budget"; period = number "period"; extra_refills = number "extra_refills"; context_badge = number "badge";
          context_flags = number "flags"; unreturned = number "unreturned"; consumed = number "consumed"; context_thread = option "thread";
          context_notification = option "notification"; calls = list "calls"; yielder = option "yielder";
          refills = take line "refills" (fun text ->
            List.map (fun entry -> let t, a = read_pair ':' entry in { usable_at = read_number t; amount = read_number a })
              (split_list text)) }
  | "VSpace" -> VSpaceObject (take line "entries" (read_table read_number read_page_entry))
  | "PageTable" -> PageTableObject (take line "entries" (read_table read_number read_page_entry))
  | "ASIDPool" ->
      ASIDPoolObject { pool_index = number "index"; assigned = take line "assigned" (read_table read_number read_number) }
  | _ -> bad "'%s' is no kind of object" kind

let read_machine line =
  let number name = take line name read_number in
  { core_count = number "cores"; last_interrupt = number "last_interrupt"; timer_interrupt = number "timer_interrupt";
    timer_frequency = number "timer_frequency"; smallest_budget_us = number "smallest_budget_us";
    breakpoint_count = number "breakpoints"; watchpoint_count = number "watchpoints"; debug_build = take line "debug_build" read_boolean }

(* One line of a state. Children are put in order at the end. *)
let read_state_line st text =
  let with_line words f = let line = fields_of words in let result = f line in finish line; result in
  match String.split_on_char ' ' text with
  | "machine" :: words -> { st with machine0 = with_line words read_machine }
  | "core" :: words ->
      with_line words (fun line ->
          { st with now = take line "now" read_number; current = take line "current" read_option;
                    current_context = take line "sched_context" read_option; charged_until = take line "charged_until" read_number;
                    ready = take line "ready" read_numbers; sleeping = take line "sleeping" read_numbers;
                    schedule_start = take line "schedule_start" read_number; schedule_index = take line "schedule_index" read_number;
                    current_domain = take line "domain" read_number;
                    turn_end = take line "turn_end" read_option })
  | "turn" :: index :: words ->
      with_line words (fun line ->
          { st with schedule = set (read_number index)
                        { turn_domain = take line "domain" read_number; turn_length = take line "length" read_number } st.schedule })
  | "object" :: address :: kind :: words -> put_object (read_number address) (with_line words (read_object kind)) st
  | "slot" :: slot :: cap :: words ->
      let c = read_capability cap in
      let entry line = { capability0 = c; parent = take line "parent" read_option; original = take line "original" read_boolean; children = [] } in
      count_reference c (put_entry (read_number slot) (with_line words entry) st)
  | "children" :: slot :: words ->
      let l = with_line words (fun line -> take line "of" read_numbers) in
      { st with slots = update (read_number slot) (fun e -> { e with children = l }) st.slots }
  | "interrupt" :: irq :: words ->
      with_line words (fun line ->
          { st with interrupts = set (read_number irq)
                        { edge_triggered = take line "edge" read_boolean; masked = take line "masked" read_boolean;
                          active = take line "active" read_boolean } st.interrupts })
  | "pool" :: index :: words ->
      with_line words (fun line -> { st with pools = set (read_number index) (take line "object" read_number) st.pools })
  | word :: _ -> bad "'%s' begins no line of a state" word
  | [] -> st

(* Children that no line orders stand in the order of their slots. *)
let order_children st =
  let add st (slot, e) =
    match e.parent with
    | None -> st
    | Some p ->
        { st with slots = update p (fun above ->
              if List.exists (Number.equal slot) above.children then above else { above with children = above.children @ [ slot ] }) st.slots }
  in
  List.fold_left add st (entries st.slots)

let no_machine =
  { core_count = Number.one; last_interrupt = Number.zero; timer_interrupt = Number.zero; timer_frequency = Number.one; smallest_budget_us = Number.zero;
    breakpoint_count = Number.zero; watchpoint_count = Number.zero; debug_build = false }

let empty_state = { (nothing_yet no_machine) with schedule = table_of [] }

let read_untyped text =
  match String.split_on_char ':' text with
  | [ base; bits; device ] -> ((read_number base, read_number bits), read_boolean device)
  | _ -> bad "'%s' is no untyped: write base:bits:device" text

let read_boot words =
  let line = fields_of words in
  let number name = take line name read_number in
  let plan =
    { root_thread = number "thread"; root_cnode = number "cnode"; root_radix = number "radix"; root_vspace = number "vspace";
      root_pool = number "pool"; root_context = number "context"; root_buffer = number "buffer"; root_boot_info = number "boot_info";
      root_budget_us = number "budget_us"; boot_untypeds = take line "untypeds" (fun text -> List.map read_untyped (split_list text));
      boot_machine = read_machine line }
  in
  finish line;
  boot plan

(* ---- events ---- *)
let no_event =
  { cause0 = SystemCall; time = Number.zero; saved = []; readable = []; preempt_after = None; chosen = nothing_chosen }

(* What follows the cause: registers name=value, memory @address=value, preemption !units, and the kernel's choices: % books time, / ends a
   turn that is over, a thread that becomes ready stands ahead of its equals (^thread) or behind them (_thread), a sender is passed
   over (-thread), and a zombie's slots were passed already (&object). *)
let read_event_part event text =
  let rest () = read_number (String.sub text 1 (String.length text - 1)) and choose chosen = { event with chosen } in
  match text.[0] with
  | '@' ->
      let address, value = read_pair '=' (String.sub text 1 (String.length text - 1)) in
      { event with readable = (read_number address, read_number value) :: event.readable }
  | '!' -> { event with preempt_after = Some (rest ()) }
  | '^' -> choose { event.chosen with ahead = Some (rest ()) }
  | '_' -> choose { event.chosen with behind = Some (rest ()) }
  | '-' -> choose { event.chosen with passed_over = rest () :: event.chosen.passed_over }
  | '&' -> choose { event.chosen with passed_whole = rest () :: event.chosen.passed_whole }
  | '%' when text = "%" -> choose { event.chosen with books = true }
  | '/' when text = "/" -> choose { event.chosen with ends_turn = true }
  | _ ->
      let name, value = read_pair '=' text in
      { event with saved = (read_register name, read_number value) :: event.saved }

let read_event words =
  let event cause time parts =
    List.fold_left (fun e part -> if part = "" then e else read_event_part e part) { no_event with cause0 = cause; time = read_number time }
      parts
  in
  match words with
  | "svc" :: time :: parts -> Some (event SystemCall time parts)
  | "irq" :: time :: irq :: parts -> Some (event (InterruptArrives (read_number irq)) time parts)
  | "timer" :: time :: parts -> Some (event TimerExpires time parts)
  | "memory" :: time :: address :: fetch :: syndrome :: parts ->
      Some (event (MemoryFault (read_number address, read_boolean fetch, read_number syndrome)) time parts)
  | "exception" :: time :: class_ :: code :: parts -> Some (event (ExceptionTaken (read_number class_, read_number code)) time parts)
  | "debug" :: time :: reason :: address :: number :: parts -> (
      match BreakpointType.of_number (number_of Names.breakpoint_type "BreakpointType" reason) with
      | Some reason -> Some (event (DebugEvent (reason, read_number address, read_number number)) time parts)
      | None -> bad "'%s' is no reason" reason)
  | _ -> None
