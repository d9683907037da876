# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of the lookup of capability addresses: the step that the fast paths make, in a CSpace that is one CNode which takes all bits of an address."""

import z3

from . import representation as kernel
from . import specification as spec
from .proving import Case, Contract

_CHANGED = (17, 18, 19, 20, 21, 24, 26, 28)
"""Registers that the fast paths may use before anything is decided: those of the thread are saved."""


def _lookup(case: Case):
    cspace = case.machine.stack_pointer + case.layouts.offset("Tcb", "slots")
    address = case.register(0, "address")
    case.register(1, "info")
    first, second = (case.named(f"word {number} of the CSpace", case.word(cspace + 8 * number)) for number in (0, 1))
    # The slot of a thread's CSpace holds a CNode, what is left of one, or nothing.
    case.assume(case.machine.stack_pointer & 15 == 0, z3.Or(first == 0, *(kernel.is_type(first, name) for name in ("CNode", "Zombie"))))
    case.assume(z3.Implies(kernel.is_type(first, "CNode"), kernel.is_well_formed_cnode(first, second)))
    # A CNode's slots are aligned to their size.
    case.assume(z3.Implies(kernel.is_type(first, "CNode"), kernel.object_of(first) & (kernel.SLOT_BYTES - 1) == 0))

    def claims(end):
        root = kernel.capability(first, second)
        remaining = 64 - (root["guard_size"] + root["radix"])
        reached = z3.And(root.is_a("CNodeCap"), remaining == 0, spec.bits_of(address, root["radix"], root["guard_size"]) == root["guard"])
        slot = spec.slot_of(root["cnode"], spec.bits_of(address, 0, root["radix"]))
        yield "all else that a thread has is as it was", z3.And(*(
            end.registers[number] == case.machine.registers[number] for number in range(31) if number not in _CHANGED))
        if case.is_at(end, "system_call"):
            yield "it is left to the general path only if the walk does not end in the first CNode", z3.Not(reached)
        else:
            yield "the walk reaches a slot in the first CNode", reached
            yield "x17 and x20 are the capability there", z3.And(
                end.registers[17] == case.word(slot), end.registers[20] == case.word(slot + 8), end.registers[24] == slot)
    return claims


CONTRACTS = (
    Contract("lookup step", "fast_call", "Capabilities.v: walk, slot_of_address", _lookup,
             ends=("system_call", "system_call_found", "call_object", "call_endpoint")),
)
