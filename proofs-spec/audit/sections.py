# SPDX-License-Identifier: BSD-2-Clause
"""The audit's eight sections, worked out one after the other: each is printed when it is there, and the last one is the result."""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import assumptions, authority, binary_proofs, evidence, identity, inventory, operations, pages, proofs
from .code import OBJDUMP, AuditError
from .image import CXXFILT, Image
from .report import Section, result

TOOLS = {OBJDUMP: "binutils-aarch64-linux-gnu", CXXFILT: "binutils-aarch64-linux-gnu", "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
         "gcov": "g++", "ninja": "ninja-build", "meson": "meson", "qemu-system-aarch64": "qemu-system-arm", "coqc": "coq", "coqchk": "coq",
         "ocamlopt": "ocaml"}
"""Programs that the audit runs, and the packages that have them."""
MODULES = {"z3": "python3-z3"}
"""The same of modules of Python."""
ALL = (1, 2, 3, 4, 5, 6, 7)
EVENTS = 200_000
SEED = 90_000
TRACED = (("hello", 2, ""), ("hello", 3, ""), ("tests", 2, "fpu.,debug.,frame.,vspace.,fault.,irq."),
          ("tests", 3, "irq.level,irq.sgi,tcb."))
"""What is traced of the shipped image: a system or conformance tests, the interrupt controller's version, and which tests."""
PLUGIN = "proofs-spec/audit/caprock-executed.so"
_KERNEL = "kernel/kernel.elf"


@dataclass
class Job:
    """What an audit works on: the sources, the build folder, the oracle, the description and parameters of a system, and how many processes and events of
    the lockstep it may use.

    `trace` runs the image with the oracle beside it: (what, gic, tests, further arguments of QEMU) gives (the machine's status, the comparison's, report).
    `memory` runs a system, and gives the machine's memory and where it starts; `tree` gives the board's device tree, `elf_folders` has the programs.
    `confine` starts the system, and gives what it may hold, its state and what goes beyond (command.confined.Found)."""

    root: Path
    build: Path
    oracle: Callable[[], str]
    system: Path
    settings: list[str]
    elf_folders: list[Path]
    jobs: int
    events: int
    trace: Callable[[str, int, str, tuple[str, ...]], tuple[int, int, str]]
    memory: Callable[[Path], tuple[bytes, int]]
    tree: Callable[[Path], Path]
    confine: Callable[[], Any]

    @cached_property
    def image(self) -> Image:
        return Image(self.build / _KERNEL, self.root)

    @cached_property
    def host(self) -> evidence.HostRun:
        self.oracle()
        return evidence.run_host(self.build, operations.step_definitions(self.root / "proofs-spec"), self.events, SEED, self.jobs)

    @cached_property
    def hello(self) -> evidence.ImageRun:
        """What the first system executes."""
        return self._run([entry for entry in TRACED if entry[0] == "hello"])

    @cached_property
    def traced(self) -> evidence.ImageRun:
        both = evidence.ImageRun()
        both.add(self.hello)
        both.add(self._run([entry for entry in TRACED if entry[0] != "hello"]))
        return both

    def _run(self, traced: list[tuple[str, int, str]]) -> evidence.ImageRun:
        def replay(what: str, gic: int, tests: str):
            return lambda more: self.trace(what, gic, tests, more)

        with tempfile.TemporaryDirectory(prefix="caprock-audit-") as folder:
            replays = [(f"{what} on virt with GICv{gic}{': ' + tests if tests else ''}", replay(what, gic, tests)) for what, gic, tests in traced]
            return evidence.run_image(self.image, self.build / PLUGIN, replays, Path(folder))

    @cached_property
    def contracts(self) -> list:
        """The contracts of the machine code, proved (contracts.proving.Proof)."""
        return binary_proofs.prove(self.image, self.jobs)

    @cached_property
    def proved(self) -> tuple[Section, list[proofs.Claim]]:
        return proofs.section(self.root / "proofs-spec", self.build / "proofs-spec")


def missing_tools() -> list[str]:
    """The programs and modules that are not there."""
    lacking = {name: package for name, package in TOOLS.items() if shutil.which(name) is None}
    lacking |= {name: package for name, package in MODULES.items() if importlib.util.find_spec(name) is None}
    return [f"{name} is not installed (package {package}: `./caprock setup proofs`)" for name, package in lacking.items()]


def work_out(job: Job, number: int) -> list[Section]:
    """One section, or two that have one source. Something that cannot be worked out is a failure of the section."""
    try:
        return _MAKERS[number](job)
    except AuditError as error:
        return [Section(number, _TITLES[number], failures=[str(error)])]


def _second(job: Job) -> list[Section]:
    found = inventory.section(job.image, job.root, job.host, job.traced, binary_proofs.proved_functions(job.image, job.contracts))
    found.lines += [f"traced: {line}" for line in job.traced.runs]
    found.failures += job.traced.findings
    with tempfile.TemporaryDirectory(prefix="caprock-audit-") as folder:
        memory, start = job.memory(Path(folder))
        base = pages.find_image(memory, job.image)
        root = start + base + job.image.symbol("kernel_root") - job.image.segments[0].start
        mappings = pages.walk(memory, start, root)
    found.failures += pages.of_tables(mappings, job.image)
    executable = sum(mapping.size for mapping in mappings if mapping.execute)
    found.lines.append(f"translation tables of the running kernel: {len(mappings)} mappings, {executable} bytes executable, none of these writable anywhere")
    return [found]


_TITLES = {1: "identity", 2: "inventory of the trusted computing base", 3: "proof base", 4: "operations", 5: "binary proofs", 6: "assumptions and exclusions",
           7: "authority"}


def _seventh(job: Job) -> list[Section]:
    with tempfile.TemporaryDirectory(prefix="caprock-audit-") as folder:
        found = authority.section(job.system, job.elf_folders, job.tree(Path(folder) / "board.dtb"), job.settings)
    if not found.failures:
        started = job.confine()
        authority.add_confinement(found, job.system.name, started.policy, started.state, started.violations, started.bound, started.unbound)
    return [found]


_MAKERS: dict[int, Callable[[Job], list[Section]]] = {
    1: lambda job: [identity.section(job.root, job.build, job.jobs)],
    2: _second,
    3: lambda job: [job.proved[0]],
    4: lambda job: [operations.section(job.root, job.host, job.proved[1])],
    5: lambda job: [binary_proofs.section(job.image, job.contracts, job.hello.executed)],
    6: lambda job: [assumptions.section(job.root / "docs/audit.md")],
    7: _seventh,
}


def audit(job: Job, numbers: tuple[int, ...] = ALL, output=sys.stdout) -> int:
    """Prints the sections and the result. The exit status: 0 only if every section was looked at and nothing is wrong."""
    missing = missing_tools()
    if missing:
        done = [Section(0, "tools", failures=missing)]
        print(done[0].text(), file=output)
    else:
        done = []
        for section in _sections(job, numbers):
            print(section.text(), file=output, flush=True)
            done.append(section)
    last = result(done, complete=set(numbers) >= set(ALL))
    print(f"== 8 result\n{last}", file=output, flush=True)
    return 0 if last == "RESULT PASS" else 1


def _sections(job: Job, numbers: tuple[int, ...]) -> Iterator[Section]:
    for number in numbers:
        yield from work_out(job, number)


def processes() -> int:
    """As many as there are processors, at most four."""
    return min(4, os.cpu_count() or 1)
