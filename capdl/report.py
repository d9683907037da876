# SPDX-License-Identifier: BSD-2-Clause
"""What `report` says of an elaborated system: memory, capabilities, authority, load and trusted code. A pure function of the model and the files
that it names; report_text.py and report_svg.py print the result, and `as_json` gives it to other programs.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .model import FILL_FILE, TCB_SLOTS, Object, Spec
from .admission import Level, admit
from .admission import as_dictionary as admission_dictionary
from .policy import Judgement, judge
from .report_authority import VERB_MEANING, Authority, Relation, Subject
from .report_code import CodeSize, code_size

KERNEL = "kernel"


@dataclass
class Range:
    """Adjacent pages of one kind in an address space. what: `program FILE`, `memory`, `shared with ...` or `physical ADDRESS`."""

    start: int
    end: int
    rights: str
    cached: bool
    what: str


@dataclass
class SubjectReport:
    """One component, or thread of no component.

    memory: its address space. bytes_by_kind: what its objects take. capabilities: kind -> number, in its CSpace.
    relies_on: whose mistakes can harm it, itself and the kernel included. trusted: their code, together; None without the programs.
    """

    name: str
    component: bool
    priority: int
    core: int
    budget_us: int | None
    period_us: int | None
    memory: list[Range]
    bytes_by_kind: dict[str, int]
    capabilities: dict[str, int]
    relies_on: list[str]
    code: CodeSize | None = None
    trusted: CodeSize | None = None


@dataclass
class Load:
    """Of one core. share: sum of budget / period, as parts of a million. threads: names."""

    core: int
    share: int
    threads: list[str]


@dataclass
class Report:
    """Everything. verbs: what the relations' verbs mean. objects: type -> [number, bytes]. policy: the verdicts on what the description promises.
    admission: whether there is the time that it promises."""

    system: str
    arch: str
    objects: dict[str, list[int]]
    subjects: list[SubjectReport]
    relations: list[Relation]
    load: list[Load]
    policy: Judgement
    admission: list[Level]
    kernel: CodeSize | None = None
    verbs: dict[str, str] = field(default_factory=lambda: dict(VERB_MEANING))


def make_report(spec: Spec, kernel_elf: Path | None = None, source_roots: tuple[Path, ...] = ()) -> Report:
    """The Report of a system. kernel_elf: the kernel with its symbols. source_roots: where the programs' sources are looked for; without them,
    and where a program is unknown, code is not counted."""
    authority = Authority(spec)
    sizes = program_sizes(spec, source_roots)
    kernel = code_size(kernel_elf, source_roots) if kernel_elf is not None and source_roots else None
    if kernel is not None:
        sizes[KERNEL] = kernel
    subjects = [report_subject(spec, authority, subject, sizes) for subject in authority.subjects]
    return Report(spec.name, spec.arch, count_objects(spec.objects.values()), subjects, authority.relations, loads(subjects), judge(spec), admit(spec),
                  kernel)


def program_sizes(spec: Spec, source_roots: tuple[Path, ...]) -> dict[str, CodeSize]:
    """CodeSize by component, of those whose program is known."""
    if not source_roots:
        return {}
    by_file = {component.elf: code_size(spec.files[component.elf], source_roots) for component in spec.components.values()
               if component.elf in spec.files}
    return {component.name: by_file[component.elf] for component in spec.components.values() if component.elf in by_file}


def report_subject(spec: Spec, authority: Authority, subject: Subject, sizes: dict[str, CodeSize]) -> SubjectReport:
    """What there is to say of one subject."""
    context = spec.objects.get(subject.held("sc_slot"))
    lent = context is None or "first_receive" in subject.tcb.params
    relies_on = trust(authority, subject.name)
    known = all(name in sizes for name in relies_on)
    objects = [item for item in spec.objects.values() if subject.component and item.component == subject.name]
    objects = objects or [spec.objects[name] for name in sorted(subject.own)]
    return SubjectReport(
        subject.name, subject.component, subject.tcb.params.get("prio", 0), subject.tcb.params.get("affinity", 0),
        None if lent else context.params.get("budget"), None if lent else context.params.get("period"),
        ranges(spec, authority, subject), {kind: total for kind, (_, total) in count_objects(objects).items() if total},
        dict(sorted(Counter(cap.built_in or spec.objects[cap.object].type for cap in subject.caps).items())), relies_on,
        sizes.get(subject.name), CodeSize.total([sizes[name] for name in relies_on]) if known else None)


def count_objects(items: Iterable[Object]) -> dict[str, list[int]]:
    """type -> [number, bytes], by type."""
    result: dict[str, list[int]] = {}
    for item in sorted(items, key=lambda item: item.type):
        entry = result.setdefault(item.type, [0, 0])
        bits = item.memory_bits()
        entry[0] += 1
        entry[1] += 0 if bits is None else 1 << bits
    return result


def ranges(spec: Spec, authority: Authority, subject: Subject) -> list[Range]:
    """The address space of a subject as Ranges."""
    holders: dict[str, dict[str, None]] = {}
    for other in authority.subjects:
        for mapping in other.mappings:
            holders.setdefault(mapping.frame, {})[other.name] = None
    result: list[Range] = []
    for mapping in subject.mappings:
        frame = spec.objects[mapping.frame]
        others = [name for name in holders[mapping.frame] if name != subject.name]
        files = sorted({fill.file for fill in frame.fills if fill.kind == FILL_FILE})
        what = authority.devices.get(frame.name) or (f"shared with {', '.join(others)}" if others else f"file {files[0]}" if files
                                                     else "memory")
        end = mapping.address + (1 << (frame.size_bits or 12))
        last = result[-1] if result else None
        if last and (last.end, last.rights, last.cached, last.what) == (mapping.address, mapping.rights, mapping.cached, what):
            last.end = end
        else:
            result.append(Range(mapping.address, end, mapping.rights, mapping.cached, what))
    return result


def trust(authority: Authority, name: str) -> list[str]:
    """Those on whom a subject relies: itself, whom it calls, who handles its faults, who controls it, on whom these rely in turn; and the kernel."""
    found = [name]
    for subject in found:
        for relation in authority.relations:
            other = None
            if relation.subject == subject and relation.verb == "call":
                other = relation.target
            elif relation.target == subject and relation.verb in ("handle", "control"):
                other = relation.subject
            if other is not None and other not in found:
                found.append(other)
    return [*found, KERNEL]


def loads(subjects: Iterable[SubjectReport]) -> list[Load]:
    """Load per core, of cores on which somebody has time of its own."""
    result: dict[int, Load] = {}
    for subject in subjects:
        if subject.budget_us and subject.period_us:
            load = result.setdefault(subject.core, Load(subject.core, 0, []))
            load.share += subject.budget_us * 1_000_000 // subject.period_us
            load.threads.append(subject.name)
    return [result[core] for core in sorted(result)]


def as_json(report: Report) -> str:
    """The report as JSON text."""
    def plain(value: Any) -> Any:
        if isinstance(value, Relation):
            return value._asdict()
        if isinstance(value, Judgement):
            return value.as_dictionary()
        if isinstance(value, CodeSize):
            return {"bytes": value.bytes, "lines": value.lines, "files": dict(value.files), "missing": list(value.missing)}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if dataclasses.is_dataclass(value):
            return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
        return value
    return json.dumps({**plain(report), "admission": admission_dictionary(report.admission)}, indent=1) + "\n"
