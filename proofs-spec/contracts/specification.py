# SPDX-License-Identifier: BSD-2-Clause
"""The definitions of the specification that contracts compare with, in z3's terms: the types and functions of proofs-spec/spec under their names there, which
each docstring gives. Numbers, which have no bound there, are words here; where that matters a contract assumes that nothing runs over."""

import z3

from .interface import ERRORS, SLOT_BITS
from .variants import Value, Variant, choose, match


def word(value: int) -> z3.BitVecRef:
    return z3.BitVecVal(value, 64)


def bits_of(value: z3.BitVecRef, low: int, width) -> z3.BitVecRef:
    """Prelude.v bits_of: `width` bits of a word, from bit `low` on."""
    return z3.LShR(value, low) & ((word(1) << width) - 1 if z3.is_expr(width) else word((1 << width) - 1))


OptionalNumber = Variant(NoNumber=(), Number=("number",))
"""`option N`."""
Place = Variant(Nowhere=(), At=("asid", "address", "level"))
"""Objects.v Place, or none: where a frame or page table is mapped."""
Capability = Variant(
    NoCap=(), UntypedCap=("base", "untyped_bits", "is_device", "used"), EndpointCap=("endpoint", "endpoint_badge", "endpoint_rights"),
    NotificationCap=("notification", "notification_badge", "notification_rights"), ReplyCap=("reply", "reply_rights"),
    CNodeCap=("cnode", "radix", "guard", "guard_size"), TCBCap=("thread",), SchedContextCap=("context", "context_bits"), SchedControlCap=("core",),
    VSpaceCap=("vspace", "vspace_asid"), PageTableCap=("table", "table_place"),
    FrameCap=("frame", "frame_bits", "frame_is_device", "frame_rights", "frame_place"), ASIDControlCap=(), ASIDPoolCap=("pool",), IRQControlCap=(),
    IRQHandlerCap=("irq",), SGISignalCap=("sgi", "target"), DomainCap=(), InspectCap=(), ZombieCap=("container",))
"""Objects.v Capability; `NoCap` is an empty slot."""
Refusal = Variant(Allowed=(), Refused=("error",))
"""`option Error.t`."""
ALLOWED = Refusal("Allowed")


def refused(error: str) -> Value:
    return Refusal("Refused", word(ERRORS[error]))


# ---- rights and derivation ---------------------------------------------------------------------------------------------------------------
def rights_of_word(value: z3.BitVecRef) -> z3.BitVecRef:
    """Objects.v rights_of_word: four flags, as bits."""
    return bits_of(value, 0, 4)


def common_rights(a: z3.BitVecRef, b: z3.BitVecRef) -> z3.BitVecRef:
    """Objects.v common_rights."""
    return a & b


def mask_rights(mask: z3.BitVecRef, c: Value) -> Value:
    """Capabilities.v mask_rights."""
    return match(c, c, EndpointCap=Capability("EndpointCap", c["endpoint"], c["endpoint_badge"], common_rights(mask, c["endpoint_rights"])),
                 NotificationCap=Capability("NotificationCap", c["notification"], c["notification_badge"], common_rights(mask, c["notification_rights"])),
                 ReplyCap=Capability("ReplyCap", c["reply"], common_rights(mask, c["reply_rights"])),
                 FrameCap=Capability("FrameCap", c["frame"], c["frame_bits"], c["frame_is_device"], common_rights(mask, c["frame_rights"]), c["frame_place"]))


def guard_is_possible(data: z3.BitVecRef, c: Value) -> z3.BoolRef:
    """Capabilities.v with_guard: whether it gives a capability."""
    return z3.Implies(c.is_a("CNodeCap"), z3.ULE(bits_of(data, 0, 6) + c["radix"], 64))


def with_guard(data: z3.BitVecRef, c: Value) -> Value:
    """Capabilities.v with_guard: the capability that it gives. The fields of `data` are those of the interface's CNodeCapData."""
    size, guard = bits_of(data, 0, 6), bits_of(data, 6, 58)
    return match(c, c, CNodeCap=Capability("CNodeCap", c["cnode"], c["radix"], bits_of(guard, 0, size), size))


def badge_is_possible(data: z3.BitVecRef, c: Value) -> z3.BoolRef:
    """Capabilities.v with_badge: whether it gives a capability."""
    return match(c, guard_is_possible(data, c), EndpointCap=c["endpoint_badge"] == 0, NotificationCap=c["notification_badge"] == 0)


def with_badge(data: z3.BitVecRef, c: Value) -> Value:
    """Capabilities.v with_badge: the capability that it gives."""
    return match(c, with_guard(data, c), EndpointCap=Capability("EndpointCap", c["endpoint"], data, c["endpoint_rights"]),
                 NotificationCap=Capability("NotificationCap", c["notification"], data, c["notification_rights"]))


def mutation_is_possible(data: z3.BitVecRef, c: Value) -> z3.BoolRef:
    """Capabilities.v mutated: whether it gives a capability, which is that of `with_guard`."""
    return z3.And(z3.Not(c.is_a("EndpointCap")), z3.Not(c.is_a("NotificationCap")), guard_is_possible(data, c))


def derivation_error(c: Value, has_children: z3.BoolRef) -> Value:
    """Capabilities.v derivation_error, of a capability whose slot has children or not."""
    illegal = refused("IllegalOperation")
    return match(c, ALLOWED, UntypedCap=choose(has_children, refused("RevokeFirst"), ALLOWED), IRQControlCap=illegal, ZombieCap=illegal,
                 VSpaceCap=choose(c["vspace_asid"].is_a("NoNumber"), illegal, ALLOWED), PageTableCap=choose(c["table_place"].is_a("Nowhere"), illegal, ALLOWED))


def derived(c: Value) -> Value:
    """Capabilities.v derived."""
    return match(c, c, FrameCap=Capability("FrameCap", c["frame"], c["frame_bits"], c["frame_is_device"], c["frame_rights"], Place("Nowhere")))


def slot_of(container: z3.BitVecRef, index: z3.BitVecRef) -> z3.BitVecRef:
    """Objects.v slot_of."""
    return container + (index << SLOT_BITS)


# ---- address spaces ----------------------------------------------------------------------------------------------------------------------
def entry_bits(level: int) -> int:
    """Spaces.v entry_bits."""
    return 39 - 9 * level


def entry_index(level: int, address: z3.BitVecRef) -> z3.BitVecRef:
    """Spaces.v entry_index."""
    return bits_of(address, entry_bits(level), 9)
