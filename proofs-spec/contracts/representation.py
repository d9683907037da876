# SPDX-License-Identifier: BSD-2-Clause
"""How the kernel writes things of the specification down: which bits of two words are which part of a capability. Objects are named by their addresses in
the kernel's memory, which differ from the specification's names by a constant."""

import z3

from .interface import SLOT_BITS, TYPES
from .specification import Capability, OptionalNumber, PageEntry, Place, bits_of, entry_bits, rights_of_word, vm_attributes, word
from .variants import Value, choose

SLOT_BYTES = 1 << SLOT_BITS
NEXT, PREVIOUS = 16, 24
"""In a slot, behind the capability: its neighbours in the list of all capabilities, which is the derivation tree in preorder."""
ORIGINAL, FIRST_BADGED = 1, 2
"""Marks in the lowest bits of NEXT."""


def type_of(first: z3.BitVecRef) -> z3.BitVecRef:
    return z3.LShR(first, 59)


def is_type(first: z3.BitVecRef, name: str) -> z3.BoolRef:
    return type_of(first) == TYPES[name]


def object_of(first: z3.BitVecRef) -> z3.BitVecRef:
    """The address of the object: the lowest 48 bits, with the sign."""
    return z3.SignExt(16, z3.Extract(47, 0, first))


def _flag(first: z3.BitVecRef, place: int) -> z3.BoolRef:
    return z3.Extract(place, place, first) == 1


def _place(second: z3.BitVecRef, level: z3.BitVecRef) -> Value:
    """Where something is mapped: an ASID in the lowest 16 bits (0: nowhere), and 36 bits of an address's page from bit 28 on."""
    asid = bits_of(second, 0, 16)
    return choose(asid == 0, Place("Nowhere"), Place("At", asid, bits_of(second, 28, 36) << 12, level))


def capability(first: z3.BitVecRef, second: z3.BitVecRef) -> Value:
    """The capability that two words stand for. A type that the interface does not number stands for none."""
    this, size, device = object_of(first), bits_of(first, 48, 6), _flag(first, 54)
    units = bits_of(second, 0, 36)
    made = {
        "Untyped": Capability("UntypedCap", this, size, device, z3.If(device, units << 12, units << 4)),
        "Endpoint": Capability("EndpointCap", this, second, rights_of_word(bits_of(first, 48, 4))),
        "Notification": Capability("NotificationCap", this, second, rights_of_word(bits_of(first, 48, 4))),
        "Reply": Capability("ReplyCap", this, rights_of_word(bits_of(first, 48, 1) << 2)),
        "CNode": Capability("CNodeCap", this, bits_of(first, 54, 5), second, size),
        "TCB": Capability("TCBCap", this),
        "SchedContext": Capability("SchedContextCap", this, size),
        "SchedControl": Capability("SchedControlCap", second),
        "VSpace": Capability("VSpaceCap", this, choose(second == 0, OptionalNumber("NoNumber"), OptionalNumber("Number", second))),
        "PageTable": Capability("PageTableCap", this, _place(second, bits_of(first, 48, 2))),
        "Frame": Capability("FrameCap", this, size, device, rights_of_word(bits_of(first, 55, 2)), _place(second, word(0))),
        "ASIDControl": Capability("ASIDControlCap"),
        "ASIDPool": Capability("ASIDPoolCap", this),
        "IRQControl": Capability("IRQControlCap"),
        "IRQHandler": Capability("IRQHandlerCap", second),
        "Domain": Capability("DomainCap"),
        "Inspect": Capability("InspectCap"),
        "SGISignal": Capability("SGISignalCap", bits_of(second, 0, 32), bits_of(second, 32, 32)),
        "Zombie": Capability("ZombieCap", this),
    }
    result = Capability("NoCap")
    for name, value in made.items():
        result = choose(type_of(first) == TYPES[name], value, result)
    return result


def is_known(first: z3.BitVecRef) -> z3.BoolRef:
    """Whether a capability's type is one of the interface's; no capability is all zeroes."""
    return z3.And(z3.Or(*(type_of(first) == number for number in TYPES.values())), z3.Implies(is_type(first, "Null"), first == 0))


def is_well_formed_cnode(first: z3.BitVecRef, second: z3.BitVecRef) -> z3.BoolRef:
    """What holds of every CNode capability (WellFormed.v refers_well): its guard is no longer than it says, and with the radix no longer than an address."""
    size, radix = bits_of(first, 48, 6), bits_of(first, 54, 5)
    return z3.And(z3.ULE(size + radix, 64), z3.ULE(second, (word(1) << size) - 1), radix != 0)


# ---- slots -------------------------------------------------------------------------------------------------------------------------------
def next_slot(link: z3.BitVecRef) -> z3.BitVecRef:
    """The slot behind, out of the word at NEXT."""
    return link & ~word(ORIGINAL | FIRST_BADGED)


def is_original(link: z3.BitVecRef) -> z3.BoolRef:
    """Whether copies of the capability are its children (Objects.v Entry, `original`), out of the word at NEXT."""
    return link & ORIGINAL != 0


def is_within(inner: z3.BitVecRef, untyped: z3.BitVecRef) -> z3.BoolRef:
    """Whether a capability's object, if it has one, lies in the memory of an untyped, of all of which it is a part if it says its size."""
    size, base = bits_of(untyped, 48, 6), object_of(untyped)
    sized = z3.Or(is_type(inner, "Untyped"), is_type(inner, "Frame"))
    return z3.And(object_of(inner) != 0, z3.LShR(object_of(inner) - base, size) == 0, z3.Implies(sized, z3.ULE(bits_of(inner, 48, 6), size)))


# ---- failures ----------------------------------------------------------------------------------------------------------------------------
def error_of(failure: z3.BitVecRef) -> z3.BitVecRef:
    """The error, out of the first word of a failure."""
    return bits_of(failure, 0, 8)


# ---- page tables -------------------------------------------------------------------------------------------------------------------------
DIRECT_MAP = 0xFFFF_8000_0000_0000
"""The kernel address of physical memory at 0 (docs/architecture.md, memory map)."""
MOST_MEMORY = 1 << 46
IMAGE = 0xFFFF_FFFF_8000_0000
LAST_LEVEL = 3
_ADDRESS_BITS = 0x0000_FFFF_FFFF_F000
"""Of an entry: the next table or page (Arm manual, VMSAv8-64 descriptors with 4 KiB granules)."""
_WRITE_BACK, _NON_CACHEABLE, _DEVICE_MEMORY = 2, 1, 0
"""Memory types: AttrIndx of a descriptor, the number of a byte of MAIR_EL1 (kernel/arch/aarch64/layout.h)."""


def pointer(name: str, alignment_bits: int) -> z3.BitVecRef:
    """An unknown address in the direct map, a multiple of a power of two."""
    low, high = alignment_bits, MOST_MEMORY.bit_length() - 1
    return z3.Concat(z3.BitVecVal(DIRECT_MAP >> high, 64 - high), z3.BitVec(name, high - low), z3.BitVecVal(0, low))


def image_pointer(name: str, alignment_bits: int) -> z3.BitVecRef:
    """The same in the kernel's image."""
    low, high = alignment_bits, 21
    return z3.Concat(z3.BitVecVal(IMAGE >> high, 64 - high), z3.BitVec(name, high - low), z3.BitVecVal(0, low))


def head(type_name: str, detail: z3.BitVecRef, this: z3.BitVecRef) -> z3.BitVecRef:
    """The first word of a capability: its type, the 11 bits above the object's address, and that."""
    return z3.Concat(z3.BitVecVal(TYPES[type_name], 5), detail, z3.Extract(47, 0, this))


def leads_to_table(entry: z3.BitVecRef) -> z3.BoolRef:
    """Whether an entry of a level above the last is a table's."""
    return entry & 3 == 3


def object_of_entry(entry: z3.BitVecRef) -> z3.BitVecRef:
    """The table or frame that an entry names."""
    return (entry & _ADDRESS_BITS) + DIRECT_MAP


def page_entry(entry: z3.BitVecRef, level: int) -> Value:
    """What an entry of a level says."""
    rights = bits_of(entry, 56, 1) | bits_of(entry, 6, 1) << 1
    attributes = vm_attributes(z3.If(bits_of(entry, 2, 3) == _WRITE_BACK, word(1), word(0)), bits_of(entry, 54, 1))
    page = PageEntry("Page", object_of_entry(entry), word(entry_bits(level)), _flag(entry, 55), rights, attributes)
    if level < LAST_LEVEL:
        page = choose(leads_to_table(entry), PageEntry("NextTable", object_of_entry(entry)), page)
    return choose(_flag(entry, 0), page, PageEntry("NoEntry"))


def page_descriptor(page: Value, level: int) -> z3.BitVecRef:
    """The descriptor of a page in an address space (Arm manual): its address; valid, and of a page or block; the type of its memory; what EL0 may do with
    it; inner shareable, accessed, not global; never executed by the kernel; and in bits that the hardware leaves to software what was asked for."""
    rights, device = page["page_rights"], page["page_is_device"]
    readable, writable = rights & 2 != 0, rights & 1 != 0
    cacheable, never = _flag(page["page_attributes"], 0), _flag(page["page_attributes"], 2)
    memory = z3.If(cacheable, word(_WRITE_BACK), z3.If(device, word(_DEVICE_MEMORY), word(_NON_CACHEABLE)))
    access = z3.If(readable, z3.If(writable, word(0b01), word(0b11)), word(0b10))
    fixed = (3 if level == LAST_LEVEL else 1) | 0b11 << 8 | 1 << 10 | 1 << 11 | 1 << 53
    one = lambda holds, place: z3.If(holds, word(1 << place), word(0))  # noqa: E731
    return page["base"] - DIRECT_MAP | fixed | memory << 2 | access << 6 | one(never, 54) | one(device, 55) | one(writable, 56)


INVALIDATE_LAST_LEVEL = 5
"""TLBI VALE1IS: the pages of an address in an address space, on all cores. Its operand has the ASID in bits 63 to 48, and bits 55 to 12 of the address."""


def is_forgotten(invalidations: list, place: z3.BitVecRef, asid: z3.BitVecRef, address: z3.BitVecRef) -> z3.BoolRef:
    """Whether the TLBs were told to forget the page at an address when its entry was empty."""
    operand = asid << 48 | bits_of(address, 12, 44)
    return z3.Or(*(z3.And(told.operand == operand, told.memory.word(place) == 0) for told in invalidations if told.operation == INVALIDATE_LAST_LEVEL))


# ---- scheduling contexts -----------------------------------------------------------------------------------------------------------------
def place_of_refill(head: z3.BitVecRef, room: z3.BitVecRef, i: z3.BitVecRef) -> z3.BitVecRef:
    """Where the refill with a number is: the first has a place of its own, the others are a ring behind it, which begins at `head`."""
    index = head + i
    return z3.If(i == 0, word(0), z3.If(z3.ULT(index, room), index, index - room + 1))


# ---- notifications -----------------------------------------------------------------------------------------------------------------------
IDLE, WAITING = 0, 1
"""States of a notification: nothing, or threads that wait."""
