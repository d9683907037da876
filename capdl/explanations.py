# SPDX-License-Identifier: BSD-2-Clause
"""What the codes of findings mean: `explain CODE`. Every code that this package gives a finding is here; a test compares."""

from difflib import get_close_matches
from typing import NamedTuple


class Explanation(NamedTuple):
    """cause: what the finding says of the description, and why it matters. remedy: what to do."""

    cause: str
    remedy: str


_TEXT = {
    "syntax": Explanation(
        "The text departs from the grammar at this place.",
        "Write what the message expects. docs/capdl.md has the grammar; after an error the rest is read as far as it can be understood."),
    "number-range": Explanation(
        "A number does not fit 64 bits. The reference tool drops what does not fit, so the system would not be the one that was written.",
        "Write a number up to 0xffffffffffffffff."),
    "include": Explanation(
        "A file cannot be read, is no UTF-8 text, includes itself, or is one of too many.",
        "Correct the path: a mere name means userland/interfaces first, `./NAME` the folder of the including file."),
    "architecture": Explanation(
        "An object, capability or component does not exist on the architecture that the description names, or two files name different ones.",
        "Correct the line `arch NAME`, or use what that architecture has."),
    "api-description": Explanation(
        "The kernel's API description, which says how large objects and boot pages are, does not load.",
        "Correct kernel/api as the lines behind say; no description can be elaborated without it."),
}

_NAMES = {
    "unknown-name": Explanation(
        "A name is used that nothing declares, or an array's name without brackets, or brackets behind what is no array.",
        "Declare it, or correct the spelling: the message proposes the nearest name. `name[]` is all of an array, `name[3]` one element."),
    "not-unique": Explanation(
        "Several objects are named where exactly one is needed: a container of `cdt`, an untyped, the object of a `mapping`.",
        "Name one: `name`, or `name[3]`."),
    "array-bounds": Explanation(
        "An index is past the end of an array. Indices count from 0.",
        "Correct the index, or give the array more elements."),
    "empty-array": Explanation(
        "An array of no elements declares nothing, and what refers to it can mean nothing. (The reference tool never returns from it.)",
        "Remove it, or give it at least one element."),
    "too-large": Explanation(
        "Arrays multiply beyond what any machine holds. This bounds the tool's own work as well.",
        "Declare what the system needs."),
    "duplicate-name": Explanation(
        "A name is declared twice. Only an untyped may be, the second time to say what it covers.",
        "Rename one of the two; the message names both places."),
    "untyped-two-sizes": Explanation(
        "A repeated declaration of an untyped gives another size or address than the first. The reference tool drops the second one silently.",
        "Leave size and address out of the second declaration."),
    "cap-name": Explanation(
        "A name is given to several capabilities at once, or has an index.",
        "Write `name[] = array[]`: element i of the name is then the capability to element i of the array."),
    "duplicate-cap-name": Explanation(
        "Two capabilities have one name; the reference tool takes the last, so that a copy may be of another one than the reader thinks.",
        "Rename one of them."),
    "slot-of-nothing": Explanation(
        "`name = (object, slot)` names a slot of an object that does not exist.",
        "Correct the object's name, or remove the line."),
}

_OBJECTS = {
    "object-parameters": Explanation(
        "An object's parameters are not those of its type: one is unknown, repeated or missing.",
        "Write the parameters that the message lists. Threads have addr, ip, sp, prio, max_prio and affinity together, or addr and affinity, or none."),
    "frame-size": Explanation(
        "A frame has a size that is no power of two, that the architecture lacks, or that the table which maps it cannot map.",
        "AArch64 has frames of 4k (in a pt), 2M (in a pd) and 1G (in a pud)."),
    "fill-form": Explanation(
        "The words of a fill are not those that a loader understands.",
        "Write {offset length CDL_FrameFill_FileData \"file\" file_offset} or {offset length CDL_FrameFill_BootInfo CDL_FrameFill_BootInfo_FDT offset}."),
    "fill-file": Explanation(
        "A file that a fill reads does not exist in the folders that were searched.",
        "Put it beside the description, or give its folder to the tool."),
    "fill": Explanation(
        "A fill ends past its frame or past its file, or two fills of one frame overlap. What would be in memory is then not what was written.",
        "Correct offset or length."),
    "cover": Explanation(
        "What covers is no untyped; or an object is covered twice, or by itself. An object has its memory from exactly one place.",
        "Leave each object to one untyped."),
    "cnode-slot": Explanation(
        "A slot is outside its CNode: a CNode of n bits has 2^n slots.",
        "Give the CNode more bits, or use a smaller slot."),
    "table-index": Explanation(
        "An index is outside its page table or ASID pool (512 entries per table on AArch64).",
        "Use an index below the number of entries."),
    "priority": Explanation(
        "A priority is above the highest, 255. The kernel would refuse to set it.",
        "Write 0 to 255."),
    "budget": Explanation(
        "A scheduling context has no budget, more budget than its period, or a period that the kernel refuses.",
        "Write a budget from 1 to the period, and a period of at most an hour, both in microseconds."),
    "untyped-size": Explanation(
        "The objects that an untyped covers do not fit into it. The loader would run out of memory in the middle.",
        "Give the untyped more bits, or move objects to another one."),
    "physical-address": Explanation(
        "A physical address is not aligned to the object's size, or the object is not within the untyped that covers it.",
        "Correct the address; untypeds and frames of 2^n bytes lie at multiples of 2^n."),
    "physical-overlap": Explanation(
        "Two objects lie on the same physical memory, and neither covers the other: whoever has one reads and writes the other.",
        "Move one, or declare one of them and give capabilities to it twice."),
    "loadable-architecture": Explanation(
        "The description is for another architecture. It can be checked and printed, but not booted.",
        "Caprock runs descriptions for aarch64."),
    "loadable-object": Explanation(
        "The kernel does not have objects of this type. docs/capdl.md has the table of types that load.",
        "Remove the object; the message says why it is refused."),
    "loadable-size": Explanation(
        "The kernel does not make objects of this size, or an object has an address that cannot have one.",
        "Scheduling contexts have 7 bits or more, CNodes 1 to 42, untypeds 4 to 47."),
    "loadable-tcb": Explanation(
        "A thread has a property that the loader cannot give it.",
        "The message says which, and what to write in its place."),
    "loadable-cap": Explanation(
        "A capability cannot be made: reply capabilities of threads are those of kernels without reply objects, and cores have to exist.",
        "Use an rtreply; use a core that the kernel supports."),
    "loadable-irq": Explanation(
        "An interrupt number does not exist or is the kernel's own, or the interrupt shall go to another core than 0.",
        "Interrupts count as the GIC does: shared interrupt n is 32 + n."),
    "loadable-sgi": Explanation(
        "A capability to send a software-generated interrupt names one that does not exist or is the kernel's, or a core that does not exist.",
        "Use interrupts 2 to 15."),
    "loadable-domains": Explanation(
        "The domain schedule does not fit the kernel's table, names a domain that does not exist, or begins with an end marker.",
        "Shorten or correct the schedule."),
    "loadable-shared-irq": Explanation(
        "One handler object stands for several interrupts; the kernel has one handler per interrupt.",
        "Declare an interrupt object for each number."),
    "loadable-vspace": Explanation(
        "A page table maps pages but hangs in no address space, so nobody can use what it maps.",
        "Put it into its parent table, or remove it."),
}

_CAPABILITIES = {
    "no-slots": Explanation(
        "Capabilities are put into an object that has no slots.",
        "CNodes, threads, page tables, ASID pools, interrupts and IO spaces hold capabilities."),
    "slot-twice": Explanation(
        "Two capabilities are put into one slot. Entries without a slot take the one behind the last.",
        "Number the entries, or choose another slot."),
    "copy-unnumbered": Explanation(
        "A container has copies (`<name>`) and entries without a slot, so where the latter are depends on what is copied.",
        "Number all entries of the container."),
    "cap-parameters": Explanation(
        "A capability's parameters are not those of its object's type: one is unknown, repeated or missing.",
        "Write the parameters that the message lists."),
    "copy-parameters": Explanation(
        "A copy has a parameter other than `masked`, which the reference tool ignores.",
        "Remove it: a copy is its original, with the rights that `masked` leaves."),
    "copy-cycle": Explanation(
        "Copies are of each other, in a circle; no capability begins it.",
        "Let one of them name an object."),
    "copy-of-nothing": Explanation(
        "A copy is of a slot that is empty.",
        "Fill that slot, or copy another one."),
    "two-parents": Explanation(
        "A capability is derived from two others.",
        "Remove one derivation: a capability has one parent, or none."),
    "cdt-cycle": Explanation(
        "Derivations run in a circle.",
        "Remove one of them; the first of a chain is derived from nothing."),
    "cdt-rights": Explanation(
        "A derived capability has a right that its parent lacks. No kernel makes such a capability.",
        "Give the parent the right, or take it from the child."),
    "cdt-empty": Explanation(
        "A derivation is of or from an empty slot.",
        "Fill the slot, or remove the derivation."),
    "guard": Explanation(
        "A guard is wider than its size, or guard and radix together resolve more than the 64 bits of an address.",
        "Correct guard and guard_size: radix + guard_size is at most 64, and guard < 2^guard_size."),
    "tcb-slot": Explanation(
        "A thread's slot holds a capability of another kind than the slot is for, or the slot does not exist.",
        "cspace: cnode, vspace: the root of an address space, ipc_buffer_slot: frame, fault_ep_slot: ep, sc_slot: sc, bound_notification: notification."),
    "table-child": Explanation(
        "A page table holds what its level cannot hold.",
        "On AArch64: pgd holds pud, pud holds pd or frames, pd holds pt or frames, pt holds frames."),
    "irq-slot": Explanation(
        "An interrupt object has one slot, 0, for the notification that the interrupt signals.",
        "Put a notification, with its badge, into slot 0."),
    "asid-slot": Explanation(
        "An ASID pool holds roots of address spaces and nothing else.",
        "On AArch64 these are of type pgd."),
    "mapping": Explanation(
        "`mapping: (table, entry)` says which entry a frame capability controls: it must hold that frame, and be named once, by a capability in a CNode.",
        "Correct table and entry."),
    "table-parents": Explanation(
        "A page table is in two tables, or an address space in two ASID pools. The kernel has one place for each.",
        "Declare one table per place; frames may be in several."),
    "irq-maps-twice": Explanation(
        "There are two sections `irq maps`.",
        "Merge them."),
    "irq-twice": Explanation(
        "An interrupt number is given twice, or a component claims an interrupt that another one has.",
        "An interrupt has one handler; let others be notified by it."),
    "irq-kind": Explanation(
        "`irq maps` names an object that is no interrupt.",
        "Name one of type irq or arm_irq."),
    "irq-unmapped": Explanation(
        "There is a handler capability for an interrupt object that has no number.",
        "Give it one in `irq maps`."),
    "domains": Explanation(
        "The domain schedule is incomplete, given twice, or begins past its end.",
        "One schedule, domains 0 to 255, and a start that is an entry of the schedule."),
}

_COMPONENTS = {
    "interface-names": Explanation(
        "Interfaces, methods of one, or parameters of one method have the same name.",
        "Rename one of them."),
    "message-length": Explanation(
        "The arguments or results of a method do not fit a message.",
        "Pass less, or use a shared region."),
    "unknown-interface": Explanation(
        "A component provides or uses an interface that no file declares.",
        "Include the file that declares it."),
    "stubs": Explanation(
        "A name of an interface cannot be a name in C++.",
        "Choose another name."),
    "component-names": Explanation(
        "Components, or items of one, have the same name.",
        "Rename one of them."),
    "component-settings": Explanation(
        "A component lacks what every component must say (elf, prio, budget or passive), or says what contradicts.",
        "Add or remove what the message names."),
    "component-ranges": Explanation(
        "The value of a setting is out of range.",
        "Write a value within the bounds that the message gives."),
    "restart-rule": Explanation(
        "A rule `restart on ...` contradicts itself: a hang without a heartbeat to show it, a heartbeat that has no consequence, a time of 0, a number out "
        "of range.",
        "Write, for example: restart on fault or hang (max 3 per 1s, backoff 10ms, heartbeat 100ms). docs/restart.md says what each part means."),
    "restart-handler": Explanation(
        "A component that is to be restarted has nobody who does it, or tells somebody else of its faults, or could hold the restarter up.",
        "Include \"restart.cdl\", remove `faults to`, and keep the component's priority below the restarter's. A passive component needs a budget."),
    "restart-calls": Explanation(
        "A component that is restarted while a passive server works on its time would start without time.",
        "Give the server a budget of its own, or do not restart the caller."),
    "restart-grants": Explanation(
        "A restarted component holds a capability that cannot be restored, or one that others may have copies of which nobody can take back.",
        "Grant it to a component that is not restarted, or give it a badge: what is derived from a badged capability can be taken back."),
    "component-passive": Explanation(
        "A component without time of its own is to do what only one with time can do.",
        "Give it a budget, or take that from it."),
    "priority-order": Explanation(
        "A server is less important than a client of it. While it works for that client, components between the two run first, so that the client waits for "
        "components that are less important than itself.",
        "Give the server at least the priority of its most important client."),
    "call-cycle": Explanation(
        "Components call each other in a circle. Each of them answers only when it does not wait itself, so that all may wait for ever.",
        "Turn one of the calls into a signal (emits, consumes) and let the other side fetch what there is, or move what both need into a third component."),
    "core-load": Explanation(
        "The budgets of a core's components are parts of its time that together exceed it. Whoever is most important gets its part, and others may not. "
        "Budgets of a whole period are not counted: they promise nothing.",
        "Lower budgets to what the components need (`report` prints the sum), lengthen periods, or use another core."),
    "unused-interface": Explanation(
        "A component provides what no component calls. It may be a connection that was forgotten.",
        "Connect it, or remove the line if the program does not ask for it."),
    "fault-handler": Explanation(
        "A component's faults shall go to one that does not exist, or to itself.",
        "Name another component."),
    "notification-bits": Explanation(
        "A component has more interrupts than its notification has bits: 64, one for each interrupt, and at least one for all signals.",
        "Divide the component."),
    "connection-end": Explanation(
        "A connection names a component or port that does not exist, or a port of another kind.",
        "`call` goes from uses to provides, `notify` from emits to consumes, `shared` from region to region."),
    "connection-type": Explanation(
        "A call connects two different interfaces.",
        "Let both ends name the same interface."),
    "connected-twice": Explanation(
        "A port that has one peer is connected twice, or two callers of a server have the same badge.",
        "Remove one connection, or leave the badge out: the tool numbers callers."),
    "connection-parameters": Explanation(
        "A connection's parameters are missing, repeated or out of range.",
        "Write what the message proposes."),
    "unconnected": Explanation(
        "A port is connected to nothing; the component would call or wait in vain.",
        "Connect it, or remove the port."),
    "generated-name": Explanation(
        "An object of `objects` has the name of one that a component generates.",
        "Rename it; generated names begin with the component's name and an underscore."),
    "grant-rights": Explanation(
        "A grant gives a capability without any right.",
        "Say the rights, for example (RW)."),
    "region": Explanation(
        "The connections of a shared region contradict each other, or its pages do not fit the component's address space.",
        "Let all connections of one region agree on its size."),
}

_BOARD = {
    "elf-missing": Explanation(
        "A component's program does not exist where programs are looked for.",
        "Build it: `./caprock build`."),
    "elf-form": Explanation(
        "A component's program is no ELF file that can be loaded: AArch64, 64 bits, little-endian, linked at a fixed address, with a Caprock note.",
        "Build it with the SDK's flags and linker script."),
    "elf-layout": Explanation(
        "A segment of a program lies outside a component's addresses, shares a page with another one, or is writable and executable.",
        "Use the SDK's linker script."),
    "elf-api-hash": Explanation(
        "A program was built for another kernel interface than that of this kernel.",
        "Build it again."),
    "device-tree": Explanation(
        "A node of the board's device tree does not exist, is disabled, or has no registers or interrupts that can be used.",
        "Correct the path. `dtc -O dts BOARD.dtb` prints a tree; aliases and `stdout` work as paths."),
    "memory-fit": Explanation(
        "The system does not fit into the memory that the description declares, or that the board has. Asked is the loader's own placement, of nominal "
        "memory: what kernel and firmware take is a bound.",
        "Make the named object or others smaller, or declare more memory if all boards have it."),
    "memory-map": Explanation(
        "The memory that a description declares overlaps itself, or is not made of whole pages.",
        "Write ranges such as `128M at 0x40000000`."),
    "device-size": Explanation(
        "A device's registers take more addresses than a component has for devices.",
        "Map a part of it as an object of `objects`."),
    "device-shared": Explanation(
        "Two components map the same page of device registers: each could drive the other's device.",
        "Leave the device to one component, and let the other call it."),
    "emit": Explanation(
        "The system cannot be put into the loader's tables.",
        "The message says which object or capability, and what to change."),
}

_INTERFACES = {
    "constant": Explanation(
        "A name of a constant or parameter stands for something already, or a parameter was given no value, or one of another kind.",
        "Rename one of the two, or give the value that the message asks for: a number, a size (4k), a duration (10ms) or a text."),
    "parameter": Explanation(
        "A value is given, with an include or by --set, for a parameter that the description does not have, or that has another value already.",
        "Declare it in the included file (`parameter NAME = 4k`), or correct the name."),
    "extension": Explanation(
        "`elaborate --compat` shall print plain capDL, and the system has something that plain capDL has no words for.",
        "Remove it from the description, or elaborate without --compat."),
    "message-caps": Explanation(
        "A method passes more than one capability in one direction, but a receiver names one slot for what comes with a message.",
        "Divide the method."),
    "interface-meaning": Explanation(
        "A program was compiled with an interface of the same name that means something else: the message says where, field by field.",
        "Build the program with this description; raise the version of an interface when it changes."),
    "wcet": Explanation(
        "A passive server works on its caller's time, and a method's promised execution time is more than a caller's whole budget.",
        "Give the caller a larger budget, or the server time of its own."),
}

_POLICY = {
    "policy-name": Explanation(
        "A policy names a component, subject or device that the system and its board do not have, so that the clause would promise nothing.",
        "Correct the name; a device is named by its path in the device tree, in double quotes, or by an alias such as stdout."),
    "policy-form": Explanation(
        "A clause contradicts itself or another one: an `allow` without its `deny`, a flow from a subject to itself, the same said twice.",
        "Write what the message proposes. Every flow is allowed that no clause denies."),
    "policy-flow": Explanation(
        "Information can get from one subject to another although `deny flow` says that it cannot. The numbered lines are the shortest way.",
        "Remove a capability that the lines name, or say through whom the flow is meant to go: `allow flow A -> B via S`."),
    "policy-isolation": Explanation(
        "Two components that shall be isolated can reach each other, or both can come to hold one object. The numbered lines say how.",
        "Remove a capability that the lines name, or say through whom they are connected: `isolated {A, B} via S`."),
    "policy-device": Explanation(
        "Somebody else than the one who may can reach a device: its registers, its interrupts, or every interrupt.",
        "Take the capability away, or say why it may be held: `trusted X \"reason\"`."),
    "policy-caps": Explanation(
        "A component holds, or can come to hold, a capability of a kind that it must not have.",
        "Take the capability away that the numbered lines begin with, or except the component."),
    "policy-load": Explanation(
        "The budgets of a core's threads are a larger share of its time than the policy permits.",
        "Lower a budget, lengthen a period, or move a component to another core."),
}

EXPLANATIONS = {**_TEXT, **_NAMES, **_OBJECTS, **_CAPABILITIES, **_COMPONENTS, **_INTERFACES, **_BOARD, **_POLICY}


def explain(code: str | None) -> str | None:
    """The text of `explain CODE`, or of the list of codes without one; None for an unknown code."""
    if code is None:
        return "".join(f"{name}: {item.cause}\n" for name, item in sorted(EXPLANATIONS.items()))
    item = EXPLANATIONS.get(code)
    return None if item is None else f"{code}\n\nCause:  {item.cause}\nRemedy: {item.remedy}\n"


def nearest(code: str) -> str | None:
    """The code that is spelled most like this one."""
    found = get_close_matches(code, EXPLANATIONS, 1)
    return found[0] if found else None
