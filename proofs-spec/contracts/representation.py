# SPDX-License-Identifier: BSD-2-Clause
"""How the kernel writes things of the specification down: which bits of two words are which part of a capability. Objects are named by their addresses in
the kernel's memory, which differ from the specification's names by a constant."""

import z3

from .interface import SLOT_BITS, TYPES
from .specification import Capability, OptionalNumber, Place, bits_of, rights_of_word, word
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
