# SPDX-License-Identifier: BSD-2-Clause
"""Restart: what `restart on ...` adds to a system, and the table by which the component `restarter` does it (docs/restart.md).

The restarter gets a master of each capability of a restarted component, both its memory and pristine copies of that, and a table of all of it. It
gets nothing else: no memory to make objects of, and no authority that the component does not have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import syntax
from .component_info import layout
from .model import FILL_FILE, TCB_SLOTS, Cap, Fill, Object, Spec
from .restart_rules import RESTARTER, TABLE_FILE, is_needed, rule_of

if TYPE_CHECKING:
    from .components import Elaborator, Part

TABLE_NAME = "restarts"
# Where things are in the restarter's address space: its table, the memory of others, and what that was at boot.
TABLE_ADDRESS = 0x3000_0000
LIVE_ADDRESS, PRISTINE_ADDRESS = 1 << 33, 1 << 34
# Badge of what a restarted component receives through. It means nothing to anybody: the kernel takes back what is derived from a badged capability.
RECEIVE_BADGE = 1
# Window of the backoff of a rule without `max`, in microseconds.
DEFAULT_WINDOW = 10_000_000
PAGE = 4096


def restarted(spec: Spec) -> list[str]:
    """Names of the components of an elaborated system that its restarter restarts."""
    if RESTARTER not in spec.components:
        return []
    held = {cap.object for cap in spec.objects[spec.components[RESTARTER].cnode].slots.values()}
    return [name for name, component in spec.components.items() if name != RESTARTER and component.cnode in held]


class Restarts:
    """Gives the restarter what it needs for each component that it restarts. All of these are elaborated."""

    def __init__(self, elaborator: Elaborator, restarter: Part):
        self.elaborator, self.restarter = elaborator, restarter
        self.live, self.pristine = LIVE_ADDRESS, PRISTINE_ADDRESS
        self.components: list[dict[str, int | bytes]] = []   # fields of RestartComponent; of the others likewise
        self.areas: list[dict[str, int]] = []
        self.slots: list[dict[str, int]] = []
        self.irqs: list[dict[str, int]] = []
        self.masters: dict[tuple[str, str, int], int] = {}   # of objects that no slot stands for, by object, rights and badge

    def make(self, parts: list[Part]) -> None:
        """Masters, memory and the table. parts: the components that are restarted, in order of declaration."""
        self.restarter.own_cnode_slot = self.restarter.own_cnode_slot or self.restarter.slot()
        own_tcb = self.give(Cap(self.restarter.tcb.name, place=self.restarter.place))
        for part in parts:
            self.add_component(part)
            self.restarter.max_priority = max(self.restarter.max_priority, part.tcb.params["prio"], part.tcb.params["max_prio"])
        head = {"component_count": len(self.components), "area_count": len(self.areas), "slot_count": len(self.slots), "irq_count": len(self.irqs),
                "cnode": self.restarter.own_cnode_slot, "tcb": own_tcb}
        content = layout().pack("RestartTable", head)
        content += b"".join(layout().pack("RestartComponent", entry) for entry in self.components)
        content += b"".join(layout().pack("RestartArea", entry) for entry in self.areas)
        content += b"".join(layout().pack("RestartSlot", entry) for entry in self.slots)
        content += b"".join(layout().pack("RestartIrq", entry) for entry in self.irqs)
        self.map_table(content)

    def give(self, cap: Cap) -> int:
        """The slot of a capability that the restarter gets."""
        slot = self.restarter.slot()
        self.restarter.cnode.slots[slot] = cap
        return slot

    def once(self, cap: Cap) -> int:
        """As give, for one that it may have already."""
        key = (cap.object or "", cap.rights, cap.badge)
        if key not in self.masters:
            self.masters[key] = self.give(cap)
        return self.masters[key]

    def add_component(self, part: Part) -> None:
        """One component: its entry of the table, and all that the entry names."""
        first_area, first_slot, first_irq = len(self.areas), len(self.slots), len(self.irqs)
        cnode = self.once(Cap(part.cnode.name, place=part.place))
        masters = {slot: self.add_slot(part, slot, cap) for slot, cap in sorted(part.cnode.slots.items())}
        info = self.add_memory(part, first_area)
        for item in part.component.irqs:
            self.add_irq(part, item, masters)
        rule = rule_of(part.component)
        params = part.tcb.params
        fault = part.tcb.slots[TCB_SLOTS["fault_ep_slot"]]
        notification = part.notification is not None and TCB_SLOTS["bound_notification"] in part.tcb.slots
        self.components.append({
            "name": part.name.encode(), "fault_badge": fault.badge, "tcb": self.once(Cap(part.tcb.name, place=part.place)), "cnode": cnode,
            "cnode_radix": part.cnode.size_bits, "cspace_data": part.tcb.slots[TCB_SLOTS["cspace"]].guard_size,
            "vspace": self.once(Cap(part.space.root.name, place=part.place)),
            "buffer_frame": self.once(replace(part.tcb.slots[TCB_SLOTS["ipc_buffer_slot"]])), "buffer_address": params["addr"],
            "sched_context": self.once(Cap(part.sched_context.name, place=part.place)), "fault_handler": self.once(replace(fault)),
            "reply": masters[self.slot_of(part, part.reply)] if part.reply else 0,
            "notification": masters[self.slot_of(part, part.notification)] if notification else 0,
            "ip": params["ip"], "sp": params["sp"], "argument": params["init"][0], "priority": params["prio"], "max_priority": params["max_prio"],
            "info": info, "first_area": first_area, "area_count": len(self.areas) - first_area, "first_slot": first_slot,
            "slot_count": len(self.slots) - first_slot, "first_irq": first_irq, "irq_count": len(self.irqs) - first_irq,
            "max_restarts": rule.most or 0, "window": rule.window or DEFAULT_WINDOW, "backoff": rule.backoff or 0, "heartbeat": rule.heartbeat or 0,
            "on_fault": int(rule.fault), "on_end": int(rule.fault and is_needed(part.component))})

    @staticmethod
    def slot_of(part: Part, item: Object) -> int:
        """The first slot of a component's CNode that holds one of its own objects."""
        return next(slot for slot, cap in sorted(part.cnode.slots.items()) if cap.object == item.name)

    def add_slot(self, part: Part, slot: int, cap: Cap) -> int:
        """The master of what is in a slot. What has a badge, and what nobody else holds, is derived from its master, so that all copies can be taken
        back."""
        master = self.give(replace(cap))
        kind = None if cap.object is None else self.elaborator.spec.objects[cap.object].type
        if kind == "ut" or cap.built_in == "irq_control" or cap.mapping is not None:
            self.elaborator.error(cap.place, f"'{part.name}' is restarted, and the kernel makes no copy of this capability to '{cap.object or cap.built_in}' "
                                  "to restore it from (give it to a component that is not restarted)", "restart-grants")
        revoke = bool(cap.badge) or kind in ("rtreply", "arm_irq")
        if revoke:
            self.elaborator.spec.cdt[part.cnode.name, slot] = (self.restarter.cnode.name, master)
        self.slots.append({"slot": slot, "master": master, "revoke": int(revoke)})
        return master

    def add_irq(self, part: Part, item: syntax.IrqItem, masters: dict[int, int]) -> None:
        """An interrupt: its handler, and what it signals."""
        name = f"{part.name}_irq_{item.name}"
        if name not in self.elaborator.spec.objects:
            return   # without a board there are no interrupts
        handler = self.elaborator.spec.objects[name]
        signal = self.give(replace(handler.slots[0]))
        self.irqs.append({"handler": masters[self.slot_of(part, handler)], "notification": signal})

    def add_memory(self, part: Part, first_area: int) -> int:
        """Map all private memory of a component, and frames with what the image has for it. first_area: number of its first area. The address of its
        ComponentInfo in the restarter."""
        info = 0
        for vaddr, frame, rights in part.memory:
            size = 1 << frame.size_bits
            live = (self.live + size - 1) // size * size
            self.live = live + size
            self.restarter.space.map(live, frame, "RW")
            pristine = 0
            if frame.fills:
                pristine = self.pristine
                self.pristine += size
                copy = self.elaborator.add(self.restarter.component, f"pristine_{frame.name}", "frame", size_bits=frame.size_bits, fills=frame.fills)
                self.restarter.space.map(pristine, copy, "R")
            if vaddr == part.tcb.params["init"][0]:
                info = live
            self.add_area(live, pristine, size, int("G" in rights), first_area)
        return info

    def add_area(self, live: int, pristine: int, size: int, executable: int, first_area: int) -> None:
        """Memory to restore; what continues the component's area before becomes a part of that."""
        last = self.areas[-1] if len(self.areas) > first_area else None
        if last and last["live"] + last["size"] == live and last["executable"] == executable and (
                pristine == last["pristine"] + last["size"] if last["pristine"] else not pristine):
            last["size"] += size
        else:
            self.areas.append({"live": live, "pristine": pristine, "size": size, "executable": executable})

    def map_table(self, content: bytes) -> None:
        """The table in the restarter's memory, read-only, and where it is."""
        self.elaborator.info_pages[TABLE_FILE] = content
        for offset in range(0, len(content), PAGE):
            fill = Fill(0, min(PAGE, len(content) - offset), FILL_FILE, TABLE_FILE, offset)
            frame = self.elaborator.add(self.restarter.component, f"frame_{TABLE_ADDRESS + offset:x}", "frame", size_bits=PAGE.bit_length() - 1, fills=(fill,))
            self.restarter.space.map(TABLE_ADDRESS + offset, frame, "R")
        self.restarter.info.entry("Region", TABLE_NAME, value=TABLE_ADDRESS, size=len(content))
