# SPDX-License-Identifier: BSD-2-Clause
"""Elaboration: from checked components and connections to kernel objects.

A component becomes a TCB, a CNode, an address space with its page tables and frames, a scheduling context (of a passive one only for its
start), and what its connections need: one endpoint for everything it provides (callers differ by badge), one reply object, one notification for
everything it consumes. The layout of its memory is the table below; ComponentInfo (userland/caprock/api/component.toml) tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from . import devicetree, elf, syntax
from .component_checks import NOTIFICATION_BITS, PAGE, System, bells_for, find, start_order
from .component_info import InfoPage
from .diagnostics import Diagnostics, Place
from .grants import GrantResolver
from .interface_meaning import differences, meaning, meaning_hash
from .model import ASID_POOL_ENTRIES, FILL_FILE, LOADER_POOL_FREE, PAGE_TABLE_SHIFT, TCB_SLOTS, BoardFact, Cap, ComponentSummary, Fill, Object, Spec
from .restart_rules import RESTARTER, rule_of
from .restarts import RECEIVE_BADGE, Restarts

ELF_START, ELF_END = 0x40_0000, 0x1000_0000
INFO_ADDRESS = 0x1000_0000
IPC_BUFFER_ADDRESS = 0x1010_0000
HEAP_ADDRESS = 0x1100_0000
REGION_ADDRESS, REGION_END = 0x1200_0000, 0x1800_0000
# From here on are regions that have no room there any more, and from there on the information on a component of many connections: more addresses than
# either can take.
MORE_REGIONS, MORE_INFO = 1 << 32, 1 << 46
DEVICE_ADDRESS, DEVICE_END = 0x1800_0000, 0x1f00_0000
STACK_TOP = 0x2000_0000
REGION_STEP = 1 << 21
LARGE_FRAME_BITS, SMALL_FRAME_BITS = 21, 12
DEFAULT_STACK = 16 << 10
SC_BITS = 8
# What a passive component is lent for its start: budget and period in microseconds.
START_BUDGET = (5_000, 10_000)
ENDPOINT_SLOT, REPLY_SLOT, NOTIFICATION_SLOT, FIRST_FREE_SLOT = 1, 2, 3, 4
CPTR_BITS = 64
DEFAULT_RECEIVE_SLOTS = 8
# What hangs below each level of an address space.
_BELOW = {"pgd": "pud", "pud": "pd", "pd": "pt"}
End = tuple[str, str]                # component and port
Region = tuple[list[Object], str]    # frames and rights


class AddressSpace:
    """The page tables of one component; maps frames and makes the tables in between."""

    def __init__(self, elaborator: Elaborator, component: Any):
        self.elaborator = elaborator
        self.component = component
        self.root = elaborator.add(component, "vspace", "pgd")

    def map(self, vaddr: int, frame: Object, rights: str, cached: bool = True) -> None:
        """Map `frame` (an Object, 4 KiB or 2 MiB) at `vaddr` with `rights` (letters of R, W, and G for executable)."""
        leaf = "pd" if frame.size_bits == LARGE_FRAME_BITS else "pt"
        table = self.root
        while table.type != leaf:
            table = self.next_table(table, vaddr)
        slot = (vaddr >> PAGE_TABLE_SHIFT[leaf]) & 511
        table.slots[slot] = Cap(frame.name, rights=rights, cached=cached, place=self.component.place)

    def next_table(self, table: Object, vaddr: int) -> Object:
        """The table below `table` on the way to `vaddr`."""
        shift = PAGE_TABLE_SHIFT[table.type]
        slot = (vaddr >> shift) & 511
        if slot not in table.slots:
            kind = _BELOW[table.type]
            made = self.elaborator.add(self.component, f"{kind}_{vaddr >> shift << shift:x}", kind)
            table.slots[slot] = Cap(made.name, place=self.component.place)
        return self.elaborator.spec.objects[table.slots[slot].object]


class Bit(NamedTuple):
    """Where a signal arrives: the bit, as a mask, in the component's notification; if more signals share that, the bank that has this one: its
    notification, the slot of that, and the bit in it."""

    mask: int
    bank: Object | None = None
    slot: int = 0
    inner: int = 0


class Part:
    """A component while it is elaborated: its syntax, its objects, and the next free slots and bits."""

    def __init__(self, component: Any):
        self.component = component
        self.name = component.name
        self.place = component.place
        self.tcb: Object = None
        self.cnode: Object = None
        self.space: AddressSpace = None
        self.info: InfoPage = None
        self.endpoint: Object | None = None
        self.reply: Object | None = None
        self.notification: Object | None = None
        self.sched_context: Object | None = None
        self.entry = 0
        self.next_slot = FIRST_FREE_SLOT
        self.own_cnode_slot = 0
        self.bits: dict[tuple[str, str], Bit] = {}   # by ("consumes" or "irq", name)
        self.memory: list[tuple[int, Object, str]] = []   # what is mapped for it alone: address, frame, rights
        self.restarted = rule_of(component) is not None
        self.max_priority = 0   # the highest one that it gives by what is generated

    def map(self, vaddr: int, frame: Object, rights: str) -> None:
        """Map a frame that is its own."""
        self.memory.append((vaddr, frame, rights))
        self.space.map(vaddr, frame, rights)

    def slot(self) -> int:
        """Take a free slot of its CNode."""
        self.next_slot += 1
        return self.next_slot - 1


class Elaborator:
    """Adds the objects of a component_checks.System, which passed its checks, to a Spec."""

    def __init__(self, spec: Spec, system: System, diagnostics: Diagnostics, elf_dirs: Sequence[Path], board: devicetree.Board | None, api_hash: bytes,
                 partial: bool):
        """elf_dirs: directories (Path) with the components' ELF files. board: devicetree.Board or None. api_hash: 8 bytes.
        partial: leave out programs when there are no elf_dirs, and devices when there is no board, instead of reporting."""
        self.spec, self.system, self.diagnostics = spec, system, diagnostics
        self.elf_dirs, self.board, self.api_hash, self.partial = elf_dirs, board, api_hash, partial
        self.parts: dict[str, Part] = {}
        self.fault_handlers = {system.setting(component, "faults") for component in system.all_components}
        self.images: dict[str, elf.Image | None] = {}
        self.device_pages: dict[int, str] = {}       # physical page -> name of the component that maps it
        self.info_pages: dict[str, bytes] = {}       # name of the file -> content

    def error(self, place: Place | None, message: str, check: str) -> None:
        """Record an error."""
        self.diagnostics.error(place, message, check)

    def add(self, component: Any, suffix: str, kind: str, **values: Any) -> Object:
        """Create the object NAME_suffix of a component (anything with name and place)."""
        name = f"{component.name}_{suffix}"
        if name in self.spec.objects or name in self.spec.arrays:
            self.error(component.place, f"the generated object '{name}' has the name of another object (rename the component or the "
                       "object)", "generated-name")
        made = Object(name, kind, component.place, name, component=component.name, **values)
        self.spec.objects[name] = made
        return made

    def elaborate(self) -> None:
        """All components, then their connections."""
        for component in self.system.all_components:
            part = self.parts[component.name] = Part(component)
            self.make_objects(part)
            self.make_memory(part)
        for part in self.parts.values():
            self.make_devices(part)
            self.make_irqs(part)
        self.connect_calls()
        self.connect_signals()
        self.connect_regions()
        self.connect_faults()
        self.connect_grants()
        restarted = [part for part in self.parts.values() if part.restarted]
        # The restarter is told how all others have become.
        for part in sorted(self.parts.values(), key=lambda part: part.name == RESTARTER):
            if part.name == RESTARTER and restarted:
                Restarts(self, part).make(restarted)
            self.finish(part)
        self.spec.components = {name: self.spec.components[name] for name in self.parts}
        self.make_asid_pools()
        self.spec.start_order = start_order(self.system)

    # Objects ----------------------------------------------------------------------------------------------------------------------------

    def setting(self, part: Part, name: str, default: Any = None) -> Any:
        """The value of a setting."""
        return self.system.setting(part.component, name, default)

    def handles_faults(self, name: str) -> bool:
        """True when some component's faults go to the component `name`."""
        return name in self.fault_handlers

    def make_objects(self, part: Part) -> None:
        """TCB, CNode, endpoint, reply, notification and scheduling context."""
        component = part.component
        part.tcb = self.add(component, "tcb", "tcb")
        part.cnode = self.add(component, "cnode", "cnode")
        badge = RECEIVE_BADGE if part.restarted else 0
        if any(port.kind == "provides" for port in component.ports) or self.handles_faults(part.name):
            part.endpoint = self.add(component, "ep", "ep")
            rights = "RG" if self.passes_caps(component, "provides", "out") else "R"
            part.reply = self.add(component, "reply", "rtreply")
            part.cnode.slots[ENDPOINT_SLOT] = Cap(part.endpoint.name, rights=rights, badge=badge, place=part.place)
            part.cnode.slots[REPLY_SLOT] = Cap(part.reply.name, place=part.place)
        if component.irqs or any(port.kind == "consumes" for port in component.ports):
            part.notification = self.add(component, "ntfn", "notification")
            part.cnode.slots[NOTIFICATION_SLOT] = Cap(part.notification.name, rights="R", badge=badge, place=part.place)
            self.give_bits(part)
            if part.endpoint:
                part.tcb.slots[TCB_SLOTS["bound_notification"]] = Cap(part.notification.name, rights="R", place=part.place)
        self.make_time(part)

    def give_bits(self, part: Part) -> None:
        """A bit of the notification for each signal and interrupt. When there are more, those that are declared last share bits, the bells: each says that
        something has come to a notification beside it, a bank, which has a bit for each. Of more banks than bells some share one."""
        kinds = [port.name for port in part.component.ports if port.kind == "consumes"]
        irqs = [item.name for item in part.component.irqs]
        bells = bells_for(len(kinds), len(irqs))
        single = kinds[:NOTIFICATION_BITS - len(irqs) - bells]
        for bit, signal in enumerate([*(("consumes", name) for name in single), *(("irq", name) for name in irqs)]):
            part.bits[signal] = Bit(1 << bit)
        shared = kinds[len(single):]
        for number, first in enumerate(range(0, len(shared), NOTIFICATION_BITS)):
            bank = self.add(part.component, f"ntfn_{number}", "notification")
            slot = part.slot()
            part.cnode.slots[slot] = Cap(bank.name, rights="R", badge=RECEIVE_BADGE if part.restarted else 0, place=part.place)
            for inner, name in enumerate(shared[first:first + NOTIFICATION_BITS]):
                part.bits["consumes", name] = Bit(1 << (len(single) + len(irqs) + number % bells), bank, slot, 1 << inner)

    def passes_caps(self, component: Any, kind: str, direction: str) -> bool:
        """True when a port of `kind` has an interface with capabilities in requests (in) or replies (out)."""
        return any(port.kind == kind and self.system.interfaces[port.type].takes_cap(direction) for port in component.ports)

    def make_time(self, part: Part) -> None:
        """The scheduling context: the component's own, or one that is lent to it until its first receive."""
        passive = self.setting(part, "passive")
        budget, period = START_BUDGET if passive else self.setting(part, "budget")
        context = self.add(part.component, "start_sc" if passive else "sc", "sc", size_bits=SC_BITS,
                           params={"period": period, "budget": budget})
        part.tcb.slots[TCB_SLOTS["sc_slot"]] = Cap(context.name, place=part.place)
        if passive:
            part.tcb.params["first_receive"] = ENDPOINT_SLOT
        else:
            part.sched_context = context

    def make_memory(self, part: Part) -> None:
        """Address space, program, stack, heap and IPC buffer."""
        component = part.component
        part.info = InfoPage(part.name)
        part.space = AddressSpace(self, component)
        self.make_program(part)
        self.map_zeroed(part, STACK_TOP - self.setting(part, "stack", DEFAULT_STACK), STACK_TOP)
        heap = self.setting(part, "heap", 0)
        self.map_zeroed(part, HEAP_ADDRESS, HEAP_ADDRESS + heap)
        part.info.head(heap_start=HEAP_ADDRESS if heap else 0, heap_size=heap, ipc_buffer=IPC_BUFFER_ADDRESS)
        buffer = self.add(component, f"frame_{IPC_BUFFER_ADDRESS:x}", "frame", size_bits=SMALL_FRAME_BITS)
        part.map(IPC_BUFFER_ADDRESS, buffer, "RW")
        part.tcb.slots[TCB_SLOTS["ipc_buffer_slot"]] = Cap(buffer.name, rights="RW", place=part.place)

    def map_zeroed(self, part: Part, start: int, end: int) -> None:
        """Map zeroed read-write memory at [start, end), in large frames where whole ones fit."""
        vaddr = start
        while vaddr < end:
            bits = SMALL_FRAME_BITS
            if vaddr % (1 << LARGE_FRAME_BITS) == 0 and end - vaddr >= 1 << LARGE_FRAME_BITS:
                bits = LARGE_FRAME_BITS
            part.map(vaddr, self.add(part.component, f"frame_{vaddr:x}", "frame", size_bits=bits), "RW")
            vaddr += 1 << bits

    # Programs ---------------------------------------------------------------------------------------------------------------------------

    def image(self, part: Part) -> elf.Image | None:
        """The elf.Image of a component's program, or None (then reported unless partial)."""
        setting = next(item for item in part.component.settings if item.name == "elf")
        if setting.value in self.images:
            return self.images[setting.value]
        self.images[setting.value] = None
        if not self.elf_dirs:
            if not self.partial:
                self.error(setting.place, f"\"{setting.value}\" cannot be looked for (give its directory with --elf-dir)", "elf-missing")
            return None
        path = next((folder / setting.value for folder in self.elf_dirs if (folder / setting.value).is_file()), None)
        if path is None:
            searched = ", ".join(str(folder) for folder in self.elf_dirs)
            self.error(setting.place, f"the program \"{setting.value}\" does not exist in {searched} (build it: ./caprock build)",
                       "elf-missing")
            return None
        try:
            image = elf.read(path)
        except elf.ElfProblem as problem:
            self.error(setting.place, f"the program \"{setting.value}\" {problem}", "elf-form")
            return None
        if image.api_hash != self.api_hash:
            self.error(setting.place, f"the program \"{setting.value}\" was built for another kernel interface (API hash "
                       f"{image.api_hash.hex()}, this tool's is {self.api_hash.hex()}; build it again: ./caprock build)", "elf-api-hash")
            return None
        self.spec.files[setting.value] = path
        self.images[setting.value] = image
        return image

    def check_meanings(self, part: Part, file: str, image: elf.Image) -> None:
        """Report where the interfaces that the program was compiled with differ from the description's."""
        for port in part.component.ports:
            theirs = image.meanings.get(port.type)
            ours = meaning(self.system.interfaces[port.type]) if port.type else None
            if theirs is not None and theirs != ours:
                self.error(port.place, f"\"{file}\" was compiled with another {port.type}: {'; '.join(differences(theirs, ours))} (build it again with "
                           "this description, or describe the interface that it has)", "interface-meaning")

    def make_program(self, part: Part) -> None:
        """Map the segments of a component's ELF file."""
        image = self.image(part)
        if image is None:
            return
        setting = next(item for item in part.component.settings if item.name == "elf")
        part.entry = image.entry
        self.check_meanings(part, setting.value, image)
        if not any(segment.executable and segment.vaddr <= image.entry < segment.vaddr + segment.size for segment in image.segments):
            self.error(setting.place, f"\"{setting.value}\": the entry {image.entry:#x} is in no executable segment", "elf-layout")
        last_page = 0
        for segment in image.segments:
            problem = segment_problem(segment, last_page)
            if problem:
                self.error(setting.place, f"\"{setting.value}\": the segment at {segment.vaddr:#x} {problem}", "elf-layout")
                return
            last_page = (segment.vaddr + segment.size - 1) // PAGE * PAGE
            self.map_segment(part, setting.value, segment)

    def map_segment(self, part: Part, file: str, segment: elf.Segment) -> None:
        """Frames for one segment, page by page, filled from the file."""
        rights = "R" + ("W" if segment.writable else "") + ("G" if segment.executable else "")
        for page in range(segment.vaddr // PAGE * PAGE, segment.vaddr + segment.size, PAGE):
            first = max(page, segment.vaddr)
            last = min(page + PAGE, segment.vaddr + segment.file_size)
            fills: tuple[Fill, ...] = ()
            if last > first:
                fills = (Fill(first - page, last - first, FILL_FILE, file, segment.offset + first - segment.vaddr),)
            frame = self.add(part.component, f"frame_{page:x}", "frame", size_bits=SMALL_FRAME_BITS, fills=fills)
            part.map(page, frame, rights)

    # Devices and interrupts -------------------------------------------------------------------------------------------------------------

    def have_board(self, place: Place | None) -> bool:
        """True when there is a device tree; reports its absence unless partial."""
        if self.board is None and not self.partial:
            self.error(place, "devices need a board's device tree (give it with --dtb)", "device-tree")
        return self.board is not None

    def make_devices(self, part: Part) -> None:
        """Map device registers."""
        next_address = DEVICE_ADDRESS
        mapped: dict[int, int] = {}
        for item in part.component.devices:
            if not self.have_board(item.place):
                continue
            try:
                registers = self.board.registers(item.node)
                facts = list(self.board.register_facts(item.node))
            except devicetree.DeviceProblem as problem:
                self.error(item.place, str(problem), "device-tree")
                continue
            first_page = registers.address // PAGE * PAGE
            end = registers.address + registers.size
            if first_page not in mapped:
                size = (end + PAGE - 1) // PAGE * PAGE - first_page
                if next_address + size > DEVICE_END:
                    self.error(item.place, f"the device registers of '{part.name}' exceed {DEVICE_END - DEVICE_ADDRESS:#x} bytes",
                               "device-size")
                    continue
                self.map_device(part, item, first_page, size, next_address, mapped)
                next_address += size + PAGE
            self.take_facts(part, facts)
            address = mapped[first_page] + registers.address - first_page
            part.info.entry("Device", item.name, value=address, size=registers.size, text=registers.compatible)

    def take_facts(self, part: Part, facts: Iterable[tuple[str, str, int, bytes]]) -> None:
        """Note what the loader has to find in the device tree at boot, each thing once."""
        for path, name, offset, content in facts:
            fact = BoardFact(path, name, offset, content, part.name)
            if all((fact.path, fact.property, fact.offset) != (item.path, item.property, item.offset) for item in self.spec.board_facts):
                self.spec.board_facts.append(fact)

    def map_device(self, part: Part, item: syntax.DeviceItem, first_page: int, size: int, vaddr: int, mapped: dict[int, int]) -> None:
        """Map the pages of one device."""
        for offset in range(0, size, PAGE):
            page = first_page + offset
            holder = self.device_pages.setdefault(page, part.name)
            if holder != part.name:
                self.error(item.place, f"the page {page:#x} of the device '{item.node}' is already mapped by '{holder}', and a page "
                           "cannot be divided (let one component drive both devices)", "device-shared")
                mapped.setdefault(first_page, vaddr)
                return
            if page in mapped:
                frame = self.spec.objects[f"{part.name}_device_{page:x}"]
            else:
                frame = self.add(part.component, f"device_{page:x}", "frame", size_bits=SMALL_FRAME_BITS, paddr=page)
            mapped[page] = vaddr + offset
            part.space.map(vaddr + offset, frame, "RW", cached=False)

    def make_irqs(self, part: Part) -> None:
        """Interrupt handlers, bound to the component's notification."""
        for item in part.component.irqs:
            if not self.have_board(item.place):
                continue
            try:
                number, trigger = self.board.interrupt(item.node, item.index)
                self.take_facts(part, self.board.interrupt_facts(item.node, item.index))
            except devicetree.DeviceProblem as problem:
                self.error(item.place, str(problem), "device-tree")
                continue
            if number in self.spec.irqs:
                self.error(item.place, f"interrupt {number} already belongs to '{self.spec.irqs[number]}' (one component handles it)",
                           "irq-twice")
                continue
            mask = part.bits["irq", item.name].mask
            handler = self.add(part.component, f"irq_{item.name}", "arm_irq", params={"trigger": trigger, "target": 0})
            handler.slots[0] = Cap(part.notification.name, rights="W", badge=mask, place=item.place)
            self.spec.irqs[number], self.spec.irq_places[number] = handler.name, item.place
            slot = part.slot()
            part.cnode.slots[slot] = Cap(handler.name, place=item.place)
            part.info.entry("Irq", item.name, value=slot, badge=mask)

    # Connections ------------------------------------------------------------------------------------------------------------------------

    def connect_calls(self) -> None:
        """Endpoint capabilities of callers, each with its badge."""
        constants = InfoPage.constants()
        for part in self.parts.values():
            provides = [port for port in part.component.ports if port.kind == "provides"]
            for index, port in enumerate(provides, 1):
                part.info.entry("Provides", port.name, value=index, **self.interface_fields(port))
        calls = [item for item in self.system.connections if item.kind == "call"]
        given = {(item.target.component, item.target.port, parameter.value) for item in calls for parameter in item.parameters}
        next_badge = dict.fromkeys(((item.target.component, item.target.port) for item in calls), 1)
        for connection in calls:
            client, server = self.parts[connection.source.component], self.parts[connection.target.component]
            index = 1 + [port.name for port in server.component.ports if port.kind == "provides"].index(connection.target.port)
            low = next((parameter.value for parameter in connection.parameters), None)
            if low is None:
                target = (connection.target.component, connection.target.port)
                low = next(number for number in count(next_badge[target]) if (*target, number) not in given)
                next_badge[target] = low + 1
            badge = index << constants["badge_provide_shift"] | low
            slot = client.slot()
            port = find(client.component.ports, connection.source.port, "uses")
            rights = "WGP" if self.system.interfaces[port.type].takes_cap("in") else "WP"
            client.cnode.slots[slot] = Cap(server.endpoint.name, rights=rights, badge=badge, place=connection.place)
            client.info.entry("Uses", port.name, value=slot, **self.interface_fields(port))
            server.info.entry("Client", client.name, badge=badge)

    def interface_fields(self, port: syntax.Port) -> dict[str, Any]:
        """What the component is told of a port's interface."""
        return {"text": port.type, "size": meaning_hash(meaning(self.system.interfaces[port.type]))}

    def connect_signals(self) -> None:
        """Notification capabilities of those that signal."""
        for part in self.parts.values():
            for (kind, name), bit in part.bits.items():
                if kind == "consumes":
                    part.info.entry("Consumes", name, value=bit.mask, size=bit.slot, badge=bit.inner)
        for connection in self.system.connections:
            if connection.kind != "notify":
                continue
            source, target = self.parts[connection.source.component], self.parts[connection.target.component]
            bit = target.bits["consumes", connection.target.port]
            bells = [(target.notification, bit.mask)] if bit.bank is None else [(bit.bank, bit.inner), (target.notification, bit.mask)]
            slots = [source.slot() for _ in bells]
            for slot, (notification, mask) in zip(slots, bells):
                source.cnode.slots[slot] = Cap(notification.name, rights="W", badge=mask, place=connection.place)
            source.info.entry("Emits", connection.source.port, value=slots[0], size=slots[1] if len(slots) > 1 else 0)

    def connect_regions(self) -> None:
        """Shared memory. Connections that have an end in common share one region."""
        regions: dict[End, Region] = {}
        next_address = dict.fromkeys(self.parts, REGION_ADDRESS)
        for connection in self.system.connections:
            if connection.kind != "shared":
                continue
            values = {parameter.name: parameter.value for parameter in connection.parameters}
            ends = [((connection.source.component, connection.source.port), values["from"]),
                    ((connection.target.component, connection.target.port), values["to"])]
            known = [regions[key] for key, _ in ends if key in regions]
            if not self.region_fits(connection, values, known, regions, ends):
                continue
            frames = known[0][0] if known else self.region_frames(connection, values["size"])
            for key, rights in ends:
                if key not in regions:
                    regions[key] = (frames, rights)
                    self.map_region(key, frames, rights, next_address)

    def region_fits(self, connection: syntax.Connection, values: dict[str, Any], known: list[Region], regions: dict[End, Region],
                    ends: list[tuple[End, str]]) -> bool:
        """True when a connection agrees with earlier ones on the same region."""
        if len(known) == 2 and known[0][0] is not known[1][0]:
            self.error(connection.place, "both ends already belong to different regions (connect them to one of them)", "region")
            return False
        for frames, _ in known:
            if sum(1 << frame.size_bits for frame in frames) != values["size"]:
                self.error(connection.place, f"the region has another size in an earlier connection than {values['size']} bytes", "region")
                return False
        for key, rights in ends:
            if key in regions and regions[key][1] != rights:
                self.error(connection.place, f"'{key[0]}.{key[1]}' has the rights {regions[key][1]} in an earlier connection (write "
                           "the same)", "region")
                return False
        return True

    def region_frames(self, connection: syntax.Connection, size: int) -> list[Object]:
        """The frames of a region, named after its first end."""
        component = self.parts[connection.source.component].component
        return [self.add(component, f"{connection.source.port}_region_{offset:x}", "frame", size_bits=SMALL_FRAME_BITS)
                for offset in range(0, size, PAGE)]

    def map_region(self, key: End, frames: list[Object], rights: str, next_address: dict[str, int]) -> None:
        """Map a region into one component."""
        part = self.parts[key[0]]
        vaddr = next_address[key[0]]
        size = len(frames) * PAGE
        if vaddr < MORE_REGIONS and vaddr + size > REGION_END:
            vaddr = MORE_REGIONS
        for index, frame in enumerate(frames):
            part.space.map(vaddr + index * PAGE, frame, rights)
        next_address[key[0]] = vaddr + (size + REGION_STEP - 1) // REGION_STEP * REGION_STEP
        part.info.entry("Region", key[1], value=vaddr, size=size)

    def connect_faults(self) -> None:
        """Fault handlers: endpoint capabilities in TCB slots, and TCB capabilities of the handled for the handler."""
        constants = InfoPage.constants()
        numbers = dict.fromkeys(self.parts, 0)
        for part in self.parts.values():
            setting = next((item for item in part.component.settings if item.name == "faults"), None)
            if setting is None:
                continue
            handler = self.parts[setting.value]
            numbers[handler.name] += 1
            badge = constants["badge_fault_provide"] << constants["badge_provide_shift"] | numbers[handler.name]
            # That a budget is used up is no news for who restarts others, and the restarter itself waits for nobody.
            is_timed = not part.restarted and part.name != RESTARTER
            for slot_name in ("fault_ep_slot", "temp_fault_ep_slot") if is_timed else ("fault_ep_slot",):
                part.tcb.slots[TCB_SLOTS[slot_name]] = Cap(handler.endpoint.name, rights="WG", badge=badge, place=setting.place)
            if part.sched_context and is_timed:
                part.sched_context.params["data"] = numbers[handler.name]
            slot = 0
            # Who is told that the restarter failed gets no power over it, which would be power over all that it restarts; that has masters of its own.
            if is_timed:
                slot = handler.slot()
                handler.cnode.slots[slot] = Cap(part.tcb.name, place=setting.place)
            handler.info.entry("Faults", part.name, value=slot, badge=badge)

    def connect_grants(self) -> None:
        """Capabilities to objects by name: those of `objects` and generated ones, which exist by now, and what the kernel has built in."""
        resolver = GrantResolver(self.spec, self.diagnostics)
        for part in self.parts.values():
            for grant in part.component.grants:
                caps = resolver.granted_caps(grant)
                first = part.next_slot
                for cap in caps:
                    part.cnode.slots[part.slot()] = cap
                if caps:
                    part.info.entry("Grant", grant.name, value=first, size=len(caps))

    # Completion -------------------------------------------------------------------------------------------------------------------------

    def finish(self, part: Part) -> None:
        """What depends on everything else: sizes, the thread's start, and the ComponentInfo pages."""
        component = part.component
        for argument in component.arguments:
            is_number = isinstance(argument.value, int)
            part.info.entry("Argument", argument.name, value=argument.value if is_number else 0, text=str(argument.value))
        self.make_receive_slots(part)
        part.cnode.size_bits = max((part.next_slot - 1).bit_length(), 1)
        if part.own_cnode_slot:
            part.cnode.slots[part.own_cnode_slot] = Cap(part.cnode.name, guard_size=CPTR_BITS - part.cnode.size_bits, place=part.place)
        part.tcb.params.update(addr=IPC_BUFFER_ADDRESS, ip=part.entry, sp=STACK_TOP, prio=self.setting(part, "prio"),
                               max_prio=max(self.setting(part, "max_prio", 0), part.max_priority), affinity=self.setting(part, "core", 0))
        part.tcb.params.update((access.name, True) for access in component.accesses)
        if self.setting(part, "domain"):
            part.tcb.params["dom"] = self.setting(part, "domain")
        part.tcb.slots[TCB_SLOTS["cspace"]] = Cap(part.cnode.name, guard_size=CPTR_BITS - part.cnode.size_bits, place=part.place)
        part.tcb.slots[TCB_SLOTS["vspace"]] = Cap(part.space.root.name, place=part.place)
        part.info.head(endpoint=ENDPOINT_SLOT if part.endpoint else 0, reply=REPLY_SLOT if part.reply else 0,
                       notification=NOTIFICATION_SLOT if part.notification else 0)
        self.map_info(part)
        self.spec.components[part.name] = self.summary(part)

    def make_receive_slots(self, part: Part) -> None:
        """Free slots for capabilities that come with messages, and the CNode's own capability, by which the kernel finds them."""
        if self.passes_caps(part.component, "provides", "in") or self.passes_caps(part.component, "uses", "out"):
            count = self.setting(part, "receive", DEFAULT_RECEIVE_SLOTS)
            part.own_cnode_slot = part.slot()
            part.info.entry("Receive", "caps", value=part.own_cnode_slot, size=count, badge=part.next_slot)
            part.next_slot += count

    def map_info(self, part: Part) -> None:
        """The ComponentInfo pages, read-only, filled from a generated file. The thread starts with their address."""
        file = f"{part.name}.info"
        content = part.info.content(self.api_hash)
        self.info_pages[file] = content
        start = INFO_ADDRESS if INFO_ADDRESS + len(content) <= IPC_BUFFER_ADDRESS else MORE_INFO
        part.tcb.params["init"] = (start,)
        for offset in range(0, len(content), PAGE):
            length = min(PAGE, len(content) - offset)
            frame = self.add(part.component, f"frame_{start + offset:x}", "frame", size_bits=SMALL_FRAME_BITS,
                             fills=(Fill(0, length, FILL_FILE, file, offset),))
            part.map(start + offset, frame, "R")

    def make_asid_pools(self) -> None:
        """ASID pools for the address spaces that the loader's own has no room for."""
        named = {cap.object for item in self.spec.objects.values() if item.type == "asid_pool" for cap in item.slots.values()}
        spaces = sum(item.type == "pgd" and item.name not in named for item in self.spec.objects.values())
        others = list(self.parts.values())[::-1][:max(spaces - LOADER_POOL_FREE, 0)]
        for number, first in enumerate(range(0, len(others), ASID_POOL_ENTRIES)):
            members = others[first:first + ASID_POOL_ENTRIES]
            pool = self.add(members[0].component, f"asid_pool_{number}", "asid_pool")
            pool.component = None   # it is everybody's
            pool.slots.update((slot, Cap(part.space.root.name, place=part.place)) for slot, part in enumerate(members))

    def summary(self, part: Part) -> ComponentSummary:
        """What tools want to know of a component."""
        def name(item: Object | None) -> str | None:
            return None if item is None else item.name
        ports = part.component.ports
        return ComponentSummary(part.name, self.setting(part, "elf"), part.tcb.name, part.cnode.name, part.space.root.name,
                                name(part.sched_context), name(part.endpoint), name(part.notification), name(part.reply),
                                f"{part.name}.info", part.entry, STACK_TOP,
                                {port.name: port.type for port in ports if port.kind == "provides"},
                                {port.name: port.type for port in ports if port.kind == "uses"}, part.place)


def segment_problem(segment: elf.Segment, last_page: int) -> str | None:
    """Why a segment cannot be mapped, or None. last_page: the last page of the segment before."""
    if segment.writable and segment.executable:
        return "is writable and executable (separate code from data)"
    if segment.vaddr < ELF_START or segment.vaddr + segment.size > ELF_END:
        return f"is outside {ELF_START:#x} to {ELF_END:#x} (link with the SDK's linker script)"
    if segment.vaddr // PAGE * PAGE <= last_page:
        return "shares a page with the segment before (align segments to 4096 bytes)"
    return None
