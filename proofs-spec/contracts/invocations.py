# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of methods, from where an invocation begins: its arguments are found, checked in the manual's order, and the work is done."""

import z3

from . import pages
from . import representation as kernel
from . import specification as spec
from .interface import ASID_POOL_ENTRIES, ASID_POOLS, ERRORS, METHODS, OBJECT_TYPES, SLOT_BITS
from .proving import Case, Contract

_FUNCTION = "caprock::(anonymous namespace)::invoke_object"
_FAILURE, _SCHEDULE = "caprock::set_result", "caprock::(anonymous namespace)::schedule_after"
_ARGUMENT_REGISTERS = (2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16)
"""Schedule.v message_registers."""
_CORE_BYTES, _RADIX = 128, 12


class _Invocation:
    """The beginning of an invocation of a method by the current thread, with one capability argument. What does not matter to the method is as it usually
    is: a CSpace that is one CNode of radix 12, with any guard, in which the argument is, and a page as IPC buffer."""

    def __init__(self, case: Case, method: str, first: z3.BitVecRef):
        offset = case.layouts.offset
        self.case, self.method = case, METHODS[method]
        case.set_register(0, kernel.image_pointer("core", 6), "core")
        self.core = case.object(case.machine.registers[0], _CORE_BYTES, 64)
        # Another thread is about to run, so the scheduler is asked, which is not followed.
        case.set_word(self.core + offset("Core", "candidate"), kernel.pointer("candidate", 11))
        self.slot = case.object(case.set_register(1, kernel.pointer("slot", SLOT_BITS), "slot"), kernel.SLOT_BYTES, kernel.SLOT_BYTES)
        self.thread = case.object(case.set_word(self.core + offset("Core", "current"), kernel.pointer("thread", 11)), case.layouts.size("Tcb"), 64)
        self.first = case.named("word 0", case.set_word(self.slot, first))
        self.second = case.named("word 1", case.word(self.slot + 8))
        self.info = z3.Concat(z3.BitVecVal(self.method.label, 52), z3.BitVec("unwrapped", 3), z3.BitVecVal(1, 2), z3.BitVec("length", 7))
        case.named("info", case.set_word(self.thread + 8, self.info))
        self.words = [case.named(f"argument {number}", self.register(_ARGUMENT_REGISTERS[number])) for number in range(self.method.words)]
        self._find_argument()

    def register(self, number: int) -> z3.BitVecRef:
        """A register of the thread."""
        return self.case.word(self.thread + 8 * number)

    def _find_argument(self) -> None:
        """The slot of the capability argument, whose address is in the IPC buffer."""
        case, offset = self.case, self.case.layouts.offset
        cspace = self.thread + offset("Tcb", "slots")
        page, cnode = kernel.pointer("buffer", 12), kernel.pointer("cnode", SLOT_BITS)
        readable = z3.Concat(z3.BitVec("buffer's detail", 2), z3.BitVecVal(1, 1), z3.BitVec("buffer's rights", 2), z3.BitVecVal(12, 6))
        case.set_word(cspace + 2 * kernel.SLOT_BYTES, kernel.head("Frame", readable, page))
        inside = z3.Concat(z3.BitVec("buffer's page", 52), z3.BitVecVal(0, 12))
        case.set_word(self.thread + offset("Tcb", "buffer"), inside)
        place = case.object(z3.simplify(page + offset("IPCBuffer", "caps_or_badges")), 8)
        case.set_word(cspace, kernel.head("CNode", z3.Concat(z3.BitVecVal(_RADIX, 5), z3.BitVecVal(64 - _RADIX, 6)), cnode))
        guard, index = z3.BitVec("guard", 64 - _RADIX), z3.BitVec("index", _RADIX)
        case.set_word(cspace + 8, z3.Concat(z3.BitVecVal(0, _RADIX), guard))
        case.named("address", case.set_word(place, z3.Concat(guard, index)))
        self.argument_slot = z3.simplify(cnode + z3.Concat(z3.BitVecVal(0, 64 - _RADIX - SLOT_BITS), index, z3.BitVecVal(0, SLOT_BITS)))
        case.object(self.argument_slot, kernel.SLOT_BYTES, kernel.SLOT_BYTES, when=self.argument_slot != self.slot)

    def set_argument(self, number: int, value: z3.BitVecRef) -> z3.BitVecRef:
        """Says what a word of the message is."""
        return self.case.named(f"argument {number}", self.case.set_word(self.thread + 8 * _ARGUMENT_REGISTERS[number], value))

    def error(self, end) -> z3.BitVecRef:
        """The error, at an end where the method fails, which is where its failure is handed over."""
        return kernel.error_of(end.memory.word(end.registers[1]))


def _owner(case: Case, core: z3.BitVecRef, asid: z3.BitVecRef) -> z3.BitVecRef:
    """Spaces.v vspace_of_asid: the VSpace that has an ASID, or 0."""
    number, index = spec.pool_and_entry(asid & 0xFFFF)
    pools = case.object(case.set_word(core + case.layouts.offset("Core", "kernel"), kernel.image_pointer("kernel", 6)), 8 * ASID_POOLS)
    pool = case.word(pools + 8 * number)
    case.object(pool, 8 * ASID_POOL_ENTRIES, when=pool != 0)
    return z3.If(pool == 0, spec.word(0), case.word(pool + 8 * index))


def _frame_map(case: Case):
    size_bits = 12
    this = kernel.pointer("frame", size_bits)
    detail = z3.Concat(z3.BitVec("unused", 2), z3.BitVec("rights", 2), z3.BitVec("device", 1), z3.BitVecVal(size_bits, 6))
    call = _Invocation(case, "Frame::Map", kernel.head("Frame", detail, this))
    level = spec.level_of_frame(size_bits)
    # The address is below user_top: how others are refused is not looked at.
    vaddr = call.set_argument(0, z3.Concat(z3.BitVecVal(0, 17), z3.BitVec("vaddr", 47)))
    _, mask, attributes = call.words
    root = kernel.pointer("root", 12)
    case.set_word(call.argument_slot, z3.Concat(z3.BitVec("argument's type", 5), z3.BitVec("unused of the argument", 11), z3.Extract(47, 0, root)))
    number = case.set_word(call.argument_slot + 8, z3.Concat(z3.BitVecVal(0, 48), z3.BitVec("number", 16)))
    call.argument = [case.word(call.argument_slot), number]
    frame, argument = kernel.capability(call.first, call.second), kernel.capability(*call.argument)
    asid = argument["vspace_asid"]["number"]
    owner = _owner(case, call.core, asid)
    is_vspace = z3.And(argument.is_a("VSpaceCap"), argument["vspace_asid"].is_a("Number"))
    # 0 is no VSpace's.
    case.assume(z3.Implies(asid == 0, owner == 0))
    pages.assume_tables(case, root, vaddr)
    there, place = pages.entry_of(case, root, vaddr, level)
    case.object(place, 8, when=z3.And(argument.is_a("VSpaceCap"), there))
    case.writes(place, call.slot + 8, call.thread, call.thread + 8)
    old = case.named("entry", case.word(place))

    def claims(end):
        owns = z3.And(is_vspace, owner == root)
        required = spec.frame_map_requirements(vaddr, size_bits, frame, owns, asid, there, kernel.page_entry(old, level))
        if case.is_at(end, _FAILURE):
            yield "it finds fault with the alignment only if that is wrong", z3.Implies(
                call.error(end) == ERRORS["AlignmentError"], z3.Not(required["AlignmentError"]))
            yield "nothing is changed", case.keeps_all(end)
            return
        for error, condition in required.items():
            yield f"it maps only what may be mapped, and else fails with {error}", condition
        entry, changed = end.memory.word(place), end.memory.word(call.slot + 8)
        rights, asked = spec.mapping_rights(frame["frame_rights"], mask), spec.mapping_attributes(attributes, frame["frame_is_device"])
        page = spec.PageEntry("Page", frame["frame"], spec.word(size_bits), frame["frame_is_device"], rights, asked)
        yield "the entry says what was asked for, as far as the capability allows it", kernel.page_entry(entry, level).equals(page)
        yield "the processor takes it for that", entry == kernel.page_descriptor(page, level)
        mapped = spec.Capability("FrameCap", *(frame[name] for name in ("frame", "frame_bits", "frame_is_device", "frame_rights")),
                                 spec.Place("At", asid, vaddr, spec.word(0)))
        yield "the capability knows where it is mapped", kernel.capability(call.first, changed).equals(mapped)
        yield "an entry that was there is taken away first, and forgotten by the TLBs", z3.Implies(
            old & 1 != 0, kernel.is_forgotten(end.invalidations, place, asid, vaddr))
        yield "the result is empty", z3.And(end.memory.word(call.thread) == 0, end.memory.word(call.thread + 8) == 0)
    return claims


_CLEARS = ("caprock::arch::clear_memory", "caprock::arch::clear_and_clean", "caprock::(anonymous namespace)::clear_in_steps")


def _retype(case: Case):
    # Of an untyped of memory that is in use an object is made that has but one size; its slot is in the root CNode itself.
    untyped_bits = z3.BitVec("untyped bits", 6)
    head = kernel.head("Untyped", z3.Concat(z3.BitVecVal(0, 5), untyped_bits), kernel.pointer("untyped", 4))
    call = _Invocation(case, "Untyped::Retype", head)
    object_type = call.set_argument(0, z3.ZeroExt(60, z3.BitVec("type", 4)))
    call.set_argument(3, spec.word(0))
    call.set_argument(5, spec.word(1))
    call.set_argument(4, z3.ZeroExt(64 - _RADIX, z3.BitVec("first slot", _RADIX)))
    slots = kernel.pointer("slots", _RADIX + SLOT_BITS)
    case.set_word(call.argument_slot, kernel.head("CNode", z3.Concat(z3.BitVecVal(_RADIX, 5), z3.BitVec("guard size", 6)), slots))
    untyped = kernel.capability(call.first, call.second)
    size_bits = untyped["untyped_bits"]
    case.assume(z3.ULT(size_bits, 47), spec.aligned(untyped["base"], size_bits))
    case.assume(*(object_type != OBJECT_TYPES[name] for name in ("Untyped", "CNode", "SchedContext")))
    whole = spec.word(1) << size_bits
    case.assume(z3.ULE(untyped["used"], whole), z3.ULT(untyped["base"] + whole, kernel.DIRECT_MAP + kernel.MOST_MEMORY))
    following = case.object(kernel.pointer("next", SLOT_BITS), kernel.SLOT_BYTES, kernel.SLOT_BYTES)
    case.set_word(call.slot + kernel.NEXT, following | z3.ZeroExt(62, z3.BitVec("marks", 2)))
    behind = case.word(following)
    case.assume(kernel.is_known(behind), kernel.is_within(behind, call.first))
    case.writes(call.slot + 8)

    def claims(end):
        used, bits = untyped["used"], spec.object_bits(object_type, call.words[1])
        first = spec.align_up(untyped["base"] + used, bits)
        if case.is_at(end, _FAILURE):
            yield "nothing is changed", case.keeps_all(end)
            return
        in_steps = case.is_at(end, _CLEARS[2])
        start = untyped["base"] + end.registers[1] if in_steps else end.registers[0]
        length = end.registers[2] - end.registers[1] if in_steps else end.registers[1]
        yield "the object is behind what is used, aligned to its size", start == first
        yield "it has its size", length == spec.word(1) << bits
        yield "it is in the untyped", z3.And(z3.UGE(start - untyped["base"], used), z3.ULE(start - untyped["base"], whole),
                                             z3.ULE(length, whole - (start - untyped["base"])))
    return claims


CONTRACTS = (
    Contract("page-table entry", _FUNCTION, "SpaceMethods.v: frame_map, of a page of 4 KiB; Arm manual: VMSAv8-64 descriptors", _frame_map, rounds=4,
             ends=(_FAILURE, _SCHEDULE)),
    Contract("alignment", _FUNCTION, "Prelude.v: align_up; CapabilityMethods.v: object_bits, untyped_retype", _retype, rounds=5,
             ends=(_FAILURE, *_CLEARS)),
)
