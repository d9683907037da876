# SPDX-License-Identifier: BSD-2-Clause
"""What the words of the language mean, in a line each, as hover and completion say it."""

from __future__ import annotations

_SECTIONS = {
    "caprock": "The version of the language; a file that begins with it may use components.",
    "arch": "The architecture: aarch64, or another one for descriptions that are only checked.",
    "include": "The text of another file, once. A mere name means the project's interfaces first.",
    "const": "A name for a value: a number, a size, a duration or a text.",
    "parameter": "A constant that including files or `--set` may set.",
    "interface": "Methods that a server offers to its clients.",
    "components": "The programs that the system consists of.",
    "connect": "Who calls, signals and shares memory with whom.",
    "memory": "What every board has that the system is for: SIZE at ADDRESS.",
    "policy": "What the system must not do. A system that breaks its policy is not built.",
    "objects": "Kernel objects by name.",
    "caps": "Who holds which capability, by container and slot.",
    "irq maps": "Which object is which interrupt, by number.",
    "cdt": "From which capability each one is derived.",
    "domains": "The schedule of domains.",
}
_ITEMS = {
    "elf": "The program.",
    "prio": "Priority, 0 to 255.",
    "max_prio": "The highest priority that it may give to other threads.",
    "core": "The core that it runs on.",
    "domain": "The domain that it runs in, 0 to 15.",
    "budget": "Time in each period: budget 1ms/10ms.",
    "passive": "Works on its callers' time only.",
    "stack": "Bytes of its stack, whole pages (default 16k).",
    "heap": "Bytes of its heap, whole pages (default none).",
    "receive": "Slots for capabilities that come with messages (default 8).",
    "args": "Numbers and texts for the program.",
    "uses": "An interface that it calls.",
    "provides": "An interface that it serves.",
    "emits": "A signal that it sends.",
    "consumes": "A signal that it gets.",
    "region": "An end of shared memory.",
    "device": "The registers of a device, by path or alias in the board's device tree.",
    "irq": "An interrupt of a device, by its position in the node.",
    "access": "Instructions that are otherwise forbidden: physical_timer, pmu.",
    "grant": "A capability to anything.",
    "faults": "Who is told when it faults, panics, ends, or uses up its budget.",
    "restart": "When and how it is started anew.",
}
_CONNECTIONS = {
    "call": "Calls of `uses` go to `provides`.",
    "notify": "Signals of `emits` arrive as `consumes`.",
    "shared": "Both regions are one piece of memory.",
}
_CLAUSES = {
    "trusted": "Flows through this component are its own responsibility, for the reason given.",
    "deny": "`deny flow A -> B`, or `deny caps (KINDS) in A`.",
    "allow": "`allow flow A -> B via C`: only through these.",
    "isolated": "No flow between any two of these.",
    "only": "`only A may reach DEVICE`.",
    "assume": "`assume dma(DEVICE) within {A}`: what the device reads and writes.",
    "cpu": "`cpu N load <= P%`: of all budgets on a core.",
}
_INTERFACES = {
    "in": "Travels with the request.",
    "out": "Travels with the answer.",
    "inout": "Travels both ways.",
    "bytes": "Up to N bytes: bytes[N].",
    "cap": "A capability, one each way at most.",
    "idempotent": "Doing it twice is as good as once.",
    "wcet": "The most time that the server takes for it.",
    "struct": "Fields that travel together.",
}
_OBJECTS = {
    "ep": "Endpoint: where calls meet their server.",
    "notification": "A word of flags that can be signalled and waited for.",
    "tcb": "A thread.",
    "cnode": "A table of capability slots: cnode (N bits).",
    "ut": "Untyped memory, which becomes what it covers: ut (N bits).",
    "irq": "An interrupt.",
    "arm_irq": "An interrupt with its trigger: arm_irq (trigger: level, target: 0).",
    "asid_pool": "Names of address spaces.",
    "pgd": "An address space: a page table of level 0.",
    "pud": "A page table of level 1.",
    "pd": "A page table of level 2.",
    "pt": "A page table of level 3.",
    "frame": "A piece of memory that can be mapped: frame (4k).",
    "sc": "Scheduling context: sc (8 bits, period: N, budget: N), in microseconds.",
    "rtreply": "The right to answer one call.",
    "arm_sgi_signal": "The right to send a software-generated interrupt.",
}

MEANINGS = {**_OBJECTS, **_CLAUSES, **_INTERFACES, **_CONNECTIONS, **_SECTIONS, **_ITEMS}
BY_BLOCK = {"objects": _OBJECTS, "policy": _CLAUSES | _OBJECTS, "interface": _INTERFACES, "struct": _INTERFACES, "connect": _CONNECTIONS, "component": _ITEMS,
            "": _SECTIONS}


def meaning(block: str, word: str) -> str | None:
    """What a word means in a block (context.Context)."""
    return BY_BLOCK.get(block, {}).get(word) or MEANINGS.get(word)
