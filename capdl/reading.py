# SPDX-License-Identifier: BSD-2-Clause
"""What the two readers of a running system share (live.py, observation.py): a copy of its description that is filled with what they read, in the language's
words."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from .model import ACCESS_PARAMETERS, RIGHTS, TCB_SLOTS, Cap, Object, Spec

# Bits of abi::CapRights, in the order of RIGHTS, and of abi::VMAttributes; fields of abi::ThreadFlags; slots of a thread in the kernel.
RIGHTS_BITS = (2, 1, 4, 8)
CACHEABLE, EXECUTE_NEVER = 1, 4
FLAGS = ("fpu_disabled", *ACCESS_PARAMETERS)
HELD_SLOTS = ("cspace", "vspace", "ipc_buffer_slot", "fault_ep_slot", "temp_fault_ep_slot")
HANDLER_SLOTS = (TCB_SLOTS["fault_ep_slot"], TCB_SLOTS["temp_fault_ep_slot"])


def letters(bits: int) -> str:
    """Rights as the language spells them."""
    return "".join(letter for letter, bit in zip(RIGHTS, RIGHTS_BITS) if bits & bit)


def page(frame: str, rights: int, attributes: int) -> Cap:
    """What an entry of a page table maps."""
    executable = "" if attributes & EXECUTE_NEVER else "G"
    return Cap(frame, rights=letters(rights) + executable, cached=bool(attributes & CACHEABLE))


class Reading:
    """declared: the description. live: what is read becomes a copy of it."""

    def __init__(self, declared: Spec):
        self.declared = declared
        self.live = deepcopy(declared)

    def set_parameter(self, item: Object, key: str, value: object) -> None:
        """Set a parameter, unless it has no value in either."""
        if value or key in item.params:
            item.params[key] = value

    def set_thread(self, item: Object, priority: int, highest: int, domain: int, flags: int, buffer: int) -> None:
        """Parameters of a thread."""
        for key, value in (("prio", priority), ("max_prio", highest), ("dom", domain), ("addr", buffer)):
            self.set_parameter(item, key, value)
        for number, key in enumerate(FLAGS):
            self.set_parameter(item, key, bool(flags >> number & 1))

    def set_registers(self, item: Object, counter: int, stack: int, arguments: Sequence[int]) -> None:
        """Where a thread starts, and with what."""
        self.set_parameter(item, "ip", counter)
        self.set_parameter(item, "sp", stack)
        known = len(item.params.get("init", ()))
        length = max([known, *(number for number, word in enumerate(arguments, 1) if word)])
        self.set_parameter(item, "init", tuple(arguments[:length]))

    def hold(self, item: Object, slot: int, cap: Cap) -> None:
        """Put a capability into a thread's slot. The kernel keeps rights of handlers alone; others are the description's, if it is the same object."""
        declared = self.declared.objects[item.name].slots.get(slot)
        if declared is not None and declared.object == cap.object and slot not in HANDLER_SLOTS:
            cap.rights = declared.rights
        item.slots[slot] = cap
