# SPDX-License-Identifier: BSD-2-Clause
"""A report as text for people."""

from __future__ import annotations

from collections.abc import Sequence

from .admission import as_lines as admission_lines
from .policy import EXCLUSIONS, UNKNOWN, Judgement
from .report import Report
from .report_authority import VERBS


def as_text(report: Report) -> str:
    """The whole report."""
    sections = (summary_lines(report), policy_lines(report.policy), matrix_lines(report), relation_lines(report), load_lines(report),
                admission_lines(report.admission), capability_lines(report), memory_lines(report), code_lines(report))
    return "\n".join("".join(line.rstrip() + "\n" for line in section) for section in sections if section)


def spell_bytes(count: int) -> str:
    """A size as people write it, exactly."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift and count % (1 << shift) == 0:
            return f"{count >> shift} {unit}"
    return f"{count} bytes"


def spell_share(share: int) -> str:
    """Parts of a million as percent."""
    return f"{share / 10000:.2f} %"


def table(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> list[str]:
    """Rows of texts in columns; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows]


def summary_lines(report: Report) -> list[str]:
    """What the system consists of."""
    total = sum(size for _, size in report.objects.values())
    rows = [("object", "number", "memory"), *((kind, str(number), spell_bytes(size) if size else "-")
                                              for kind, (number, size) in report.objects.items())]
    return [f"System {report.system} ({report.arch}): {sum(number for number, _ in report.objects.values())} objects, {spell_bytes(total)}",
            *table(rows)]


def policy_lines(judgement: Judgement) -> list[str]:
    """What the description promises, and whether the system keeps it."""
    if not judgement.verdicts and not judgement.problems:
        return ["Policy: the description promises nothing (docs/policy.md)"]
    lines = [f"Policy ({'; '.join(EXCLUSIONS)})"]
    lines += [f"  {clause}" for clause in judgement.trusted]
    lines += [f"  wrong: {message}, {place} [{code}]" for place, message, code in judgement.problems]
    for verdict in judgement.verdicts:
        lines.append(f"  {verdict.state}: {verdict.clause}" + (" (it takes a board to know: --machine)" if verdict.state == UNKNOWN else ""))
        if verdict.relies:
            lines.append(f"    relies on trusted {', '.join(verdict.relies)}")
        lines += [f"    {clause}" for clause in verdict.assumptions]
        if verdict.violation is not None:
            lines.append(f"    {verdict.violation.message}, {verdict.clause.place}")
            lines += [f"      {number}. {step}" for number, step in enumerate(verdict.violation.witness, 1)]
    return lines


def matrix_lines(report: Report) -> list[str]:
    """Who may do what to whom, as a table of letters."""
    cells: dict[tuple[str, str], set[str]] = {}
    for relation in report.relations:
        cells.setdefault((relation.subject, relation.target), set()).add(VERBS[relation.verb])
    names = [subject.name for subject in report.subjects]
    targets = [name for name in dict.fromkeys([*names, *(relation.target for relation in report.relations)])
               if any((subject, name) in cells for subject in names)]
    if not targets:
        return ["Authority: nobody may do anything to anybody"]
    letters = "".join(VERBS.values())
    rows = [("", *(str(number) for number in range(1, len(targets) + 1)))]
    rows += [(name, *("".join(sorted(cells.get((name, target), "."), key=(letters + ".").index)) for target in targets)) for name in names]
    legend = ", ".join(f"{letter} {verb}" for verb, letter in VERBS.items())
    columns = [f"  {number} = {name}" for number, name in enumerate(targets, 1)]
    return [f"Authority, directly (row over column; {legend}); timing, caches and scheduling excluded", *columns, *table(rows)]


def relation_lines(report: Report) -> list[str]:
    """By which objects the relations are there."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for relation in report.relations:
        grouped.setdefault((relation.subject, relation.verb, relation.target), []).append(relation.by)
    lines = ["Relations"] if grouped else []
    for (subject, verb, target), objects in grouped.items():
        shown = ", ".join(objects[:3]) + (f" and {len(objects) - 3} more" if len(objects) > 3 else "")
        lines.append(f"  {subject} {verb} {target}: by {shown}")
    return lines


def load_lines(report: Report) -> list[str]:
    """Sum of budget / period, core by core, and what each thread has."""
    lines = ["Load (sum of budget / period)"]
    times = {subject.name: subject for subject in report.subjects}
    for load in report.load:
        lines.append(f"  core {load.core}: {spell_share(load.share)}" + (" (more than there is)" if load.share > 1_000_000 else ""))
        for name in load.threads:
            subject = times[name]
            lines.append(f"    {name}: {subject.budget_us} us in {subject.period_us} us, priority {subject.priority}")
    for subject in report.subjects:
        if subject.budget_us is None:
            lines.append(f"  {subject.name}: no time of its own, priority {subject.priority}")
    return lines


def capability_lines(report: Report) -> list[str]:
    """Capabilities by holder and kind."""
    lines = ["Capabilities"]
    for subject in report.subjects:
        kinds = ", ".join(f"{number} {kind}" for kind, number in subject.capabilities.items())
        lines.append(f"  {subject.name}: {kinds or 'none'}")
    return lines


def memory_lines(report: Report) -> list[str]:
    """Address spaces, and what objects take."""
    lines = ["Memory"]
    for subject in report.subjects:
        total = sum(subject.bytes_by_kind.values())
        kinds = ", ".join(f"{kind} {spell_bytes(size)}" for kind, size in subject.bytes_by_kind.items())
        lines.append(f"  {subject.name}: {spell_bytes(total)} ({kinds})")
        for item in subject.memory:
            rights = "".join(letter if letter in item.rights else "-" for letter in "RWG").replace("G", "X")
            lines.append(f"    {item.start:#014x} {item.end:#014x} {rights} {spell_bytes(item.end - item.start)} {item.what}"
                         + ("" if item.cached else " (device memory)"))
    return lines


def code_lines(report: Report) -> list[str]:
    """What each one's correct work relies on, and how large that is."""
    lines = ["Trusted code (what each one relies on: the kernel, whom it calls, who handles its faults or controls it, and so on)"]
    if report.kernel is not None:
        lines.append(f"  kernel: {report.kernel.lines} source lines, {report.kernel.bytes} bytes")
    for subject in report.subjects:
        own = f"{subject.code.lines} source lines, {subject.code.bytes} bytes" if subject.code else "program unknown"
        trusted = f"{subject.trusted.lines} source lines, {subject.trusted.bytes} bytes" if subject.trusted else "not known"
        lines.append(f"  {subject.name}: itself {own}; with {', '.join(subject.relies_on[1:])}: {trusted}")
    return lines
