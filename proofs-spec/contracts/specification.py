# SPDX-License-Identifier: BSD-2-Clause
"""The definitions of the specification that contracts compare with, in z3's terms: the types and functions of proofs-spec/spec under their names there, which
each docstring gives. Numbers, which have no bound there, are words here; where that matters a contract assumes that nothing runs over."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import z3

from .interface import ASID_POOL_ENTRIES, ERRORS, OBJECT_BITS, OBJECT_TYPES, SLOT_BITS, USER_TOP, bits
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


def field(value: z3.BitVecRef, bitfield: str, name: str) -> z3.BitVecRef:
    """A field of a word of the interface, as MessageInfo.label."""
    return bits_of(value, *bits(bitfield, name))


def aligned(n: z3.BitVecRef, size_bits: z3.BitVecRef) -> z3.BoolRef:
    """Prelude.v aligned."""
    return n & ((word(1) << size_bits) - 1) == 0


def align_up(n: z3.BitVecRef, size_bits: z3.BitVecRef) -> z3.BitVecRef:
    """Prelude.v align_up."""
    return z3.LShR(n + ((word(1) << size_bits) - 1), size_bits) << size_bits


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


PageEntry = Variant(NoEntry=(), NextTable=("next_table",), Page=("base", "page_bits", "page_is_device", "page_rights", "page_attributes"))
"""Objects.v PageEntry, or none."""
_WRITE, _READ = 1, 2


def level_of_frame(size_bits: int) -> int:
    """Spaces.v level_of_frame."""
    return (39 - size_bits) // 9


def pool_and_entry(asid: z3.BitVecRef) -> tuple[z3.BitVecRef, z3.BitVecRef]:
    """Spaces.v vspace_of_asid: which pool an ASID is in, and which entry there."""
    return z3.UDiv(asid, word(ASID_POOL_ENTRIES)), z3.URem(asid, word(ASID_POOL_ENTRIES))


def mapping_rights(rights: z3.BitVecRef, mask: z3.BitVecRef) -> z3.BitVecRef:
    """SpaceMethods.v mapping_rights."""
    common = common_rights(rights, rights_of_word(mask))
    both = z3.And(common & _WRITE != 0, common & _READ != 0)
    return z3.If(both, word(_WRITE), word(0)) | common & _READ


def mapping_attributes(value: z3.BitVecRef, is_device: z3.BoolRef) -> z3.BitVecRef:
    """SpaceMethods.v mapping_attributes."""
    never = field(value, "VMAttributes", "execute_never") | z3.If(is_device, word(1), word(0))
    return vm_attributes(field(value, "VMAttributes", "cacheable"), never)


def vm_attributes(cacheable: z3.BitVecRef, execute_never: z3.BitVecRef) -> z3.BitVecRef:
    """VMAttributes.make, with no parity."""
    return cacheable << bits("VMAttributes", "cacheable")[0] | execute_never << bits("VMAttributes", "execute_never")[0]


def frame_map_requirements(vaddr: z3.BitVecRef, size_bits: int, frame: Value, owns_asid: z3.BoolRef, asid: z3.BitVecRef, has_table: z3.BoolRef,
                           old: Value) -> dict[str, z3.BoolRef]:
    """SpaceMethods.v frame_map: what is required, by the error otherwise. `has_table`: there is one for the frame's entry; `old`: what that is so far."""
    place = frame["frame_place"]
    is_mapped, size = place.is_a("At"), word(1 << size_bits)
    is_own = match(old, z3.BoolVal(False), NoEntry=z3.BoolVal(True), Page=z3.And(is_mapped, old["base"] == frame["frame"]))
    return {
        "InvalidCapability": z3.And(owns_asid, z3.Implies(is_mapped, place["asid"] == asid)),
        "InvalidArgument": z3.And(z3.ULE(vaddr, USER_TOP), z3.ULE(size, USER_TOP - vaddr), z3.Implies(is_mapped, place["address"] == vaddr)),
        "AlignmentError": aligned(vaddr, word(size_bits)), "FailedLookup": has_table, "DeleteFirst": is_own}


# ---- making objects ----------------------------------------------------------------------------------------------------------------------
_FRAME_BITS = {"SmallPage": 12, "LargePage": 21, "HugePage": 30}


def object_bits(object_type: z3.BitVecRef, choice: z3.BitVecRef) -> z3.BitVecRef:
    """CapabilityMethods.v object_bits."""
    result = choice
    for name, number in OBJECT_TYPES.items():
        known = _FRAME_BITS.get(name, OBJECT_BITS.get(name))
        size = choice + SLOT_BITS if name == "CNode" else choice if known is None else word(known)
        result = z3.If(object_type == number, size, result)
    return result


# ---- refills -----------------------------------------------------------------------------------------------------------------------------
MOST_JOINED = 4
"""Schedule.v most_joined."""
Refill = tuple[z3.BitVecRef, z3.BitVecRef]
"""Objects.v Refill: usable_at, amount."""


@dataclass(frozen=True)
class SchedContext:
    """Objects.v SchedContext, what refills need of it. The list of refills is its length, and a function that gives the refill of a place; `room` is
    extra_refills + 2."""

    count: z3.BitVecRef
    refill: Callable[[z3.BitVecRef], Refill]
    unreturned: z3.BitVecRef
    room: z3.BitVecRef

    def with_first(self, first: Refill, dropped: z3.BitVecRef = word(0)) -> "SchedContext":
        """With another first refill, in the place of that and of as many behind it."""
        return replace(self, count=self.count - dropped, refill=lambda i: either(i == 0, first, self.refill(i + dropped)))

    def with_last(self, last: Refill) -> "SchedContext":
        count = self.count
        return replace(self, refill=lambda i: either(i == count - 1, last, self.refill(i)))


def either(condition: z3.BoolRef, a: Refill, b: Refill) -> Refill:
    """If the condition holds `a`, else `b`."""
    return z3.If(condition, a[0], b[0]), z3.If(condition, a[1], b[1])


def _choose_context(condition: z3.BoolRef, a: SchedContext, b: SchedContext) -> SchedContext:
    return replace(a, count=z3.If(condition, a.count, b.count), refill=lambda i: either(condition, a.refill(i), b.refill(i)),
                   unreturned=z3.If(condition, a.unreturned, b.unreturned))


def end_of(refill: Refill) -> z3.BitVecRef:
    """Schedule.v end_of."""
    return refill[0] + refill[1]


def give_back(smallest: z3.BitVecRef, refill: Refill, c: SchedContext) -> SchedContext:
    """Schedule.v give_back, of a context that has refills."""
    last, piece = c.refill(c.count - 1), (refill[0], refill[1] + c.unreturned)
    both = last[1] + piece[1]
    c = replace(c, unreturned=word(0))
    joined, delayed = c.with_last((last[0], both)), c.with_last((piece[0] - last[1], both))
    longer = replace(c, count=c.count + 1).with_last(piece)
    return _choose_context(
        z3.ULE(piece[0], end_of(last)), joined,
        _choose_context(z3.ULT(piece[1], smallest), replace(c, unreturned=piece[1]), _choose_context(c.count == c.room, delayed, longer)))


def begin_use(time: z3.BitVecRef, c: SchedContext) -> list[tuple[z3.BoolRef, SchedContext]]:
    """Schedule.v begin_use, of a context that has refills and a limit: what it is, by how many refills the first one joins."""
    first, goes_on = (time, c.refill(word(0))[1]), z3.UGE(time, c.refill(word(0))[0])
    found = [(z3.Not(goes_on), c)]
    for number in range(MOST_JOINED + 1):
        second = c.refill(word(number + 1))
        joins = z3.And(z3.UGT(c.count, number + 1), z3.ULE(second[0], end_of(first))) if number < MOST_JOINED else z3.BoolVal(False)
        found.append((z3.And(goes_on, z3.Not(joins)), c.with_first(first, word(number))))
        goes_on, first = z3.And(goes_on, joins), (time, first[1] + second[1])
    return found
