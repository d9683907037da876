# SPDX-License-Identifier: BSD-2-Clause
"""A report as one HTML page that needs nothing else: graphs, matrix, capabilities, memory, schedule, trusted code and the policy's verdicts, with the
witnesses marked on the graph. templates/report.html.j2 is the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jinja2

from .admission import NOT_CHECKED
from .model import RIGHTS, Cap, Spec
from .policy import EXCLUSIONS, Verdict
from .report import Report
from .report_authority import VERBS, find_subjects, reachable_cnodes
from .report_svg import draw, spell
from .report_text import spell_bytes, spell_share

SECTIONS = (("policy", "Policy"), ("components", "Components"), ("matrix", "Authority matrix"), ("capabilities", "Capabilities"), ("memory", "Memory map"),
            ("schedule", "Schedule"), ("trust", "Trusted code"))


@dataclass(frozen=True)
class Held:
    """A capability as the page lists it. edge, nodes: what stands for it in the graph."""

    holder: str
    slot: str
    object: str
    kind: str
    rights: str
    badge: str
    place: str
    edge: str
    nodes: tuple[str, str]


class Graph:
    """A graph for Graphviz whose nodes and edges have ids."""

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.nodes: dict[str, str] = {}                    # name -> attributes
        self.edges: dict[tuple[str, str], list[str]] = {}  # ends -> attributes, words of the label behind them

    def node(self, name: str, attributes: str) -> str:
        """Add a node if there is none of this name; gives its id."""
        self.nodes.setdefault(name, attributes)
        return f"{self.prefix}-node-{list(self.nodes).index(name)}"

    def edge(self, source: str, target: str, attributes: str, label: str) -> str:
        """Add a word to an edge, which is made if there is none; gives its id."""
        words = self.edges.setdefault((source, target), [attributes])
        if label not in words[1:]:
            words.append(label)
        return self.edge_id(source, target)

    def edge_id(self, source: str, target: str) -> str:
        """The id of an edge that there is."""
        return f"{self.prefix}-edge-{list(self.edges).index((source, target))}"

    def svg(self) -> str:
        """The picture, without what only a file of its own begins with."""
        lines = [f"digraph {self.prefix} {{", f"  id={spell(f'{self.prefix}-graph')}; rankdir=LR;",
                 '  node [fontname="sans-serif"]; edge [fontname="sans-serif", fontsize=10];']
        for number, (name, attributes) in enumerate(self.nodes.items()):
            lines.append(f"  {spell(name)} [id={spell(f'{self.prefix}-node-{number}')}, {attributes}];")
        for number, ((source, target), (attributes, *words)) in enumerate(self.edges.items()):
            label = spell(", ".join(words))
            lines.append(f"  {spell(source)} -> {spell(target)} [id={spell(f'{self.prefix}-edge-{number}')}, label={label}, {attributes}];")
        text = draw("\n".join([*lines, "}"]) + "\n")
        return text[text.index("<svg"):]


def as_html(report: Report, spec: Spec) -> str:
    """The page of a Report, which is of this system. Raises CapdlError when Graphviz is missing or fails."""
    graph = component_graph(report)
    marks = [witness_marks(graph, verdict) for verdict in report.policy.verdicts]
    capabilities, capability_graph = held_capabilities(spec)
    targets = list(dict.fromkeys([*(subject.name for subject in report.subjects), *(relation.target for relation in report.relations)]))
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True,
                                     keep_trailing_newline=True)
    return environment.get_template("report.html.j2").render(
        report=report, sections=SECTIONS, objects=sum(number for number, _ in report.objects.values()), exclusions=EXCLUSIONS, marks=marks, graph=graph.svg(),
        verbs=[(letter, verb, report.verbs[verb]) for verb, letter in VERBS.items()], targets=targets, cells=matrix(report), capabilities=capabilities,
        capability_graph=capability_graph.svg(), kinds=sorted({item.kind for item in capabilities}), widths=shares(report), not_checked=NOT_CHECKED,
        spell_bytes=spell_bytes, spell_share=spell_share)


def component_graph(report: Report) -> Graph:
    """Subjects and devices, and who may do what to whom."""
    graph = Graph("system")
    for subject in report.subjects:
        graph.node(subject.name, f"shape={'box' if subject.component else 'ellipse'}")
    for relation in report.relations:
        graph.node(relation.target, "shape=component")
        graph.edge(relation.subject, relation.target, 'class="relation"', relation.verb)
    return graph


def witness_marks(graph: Graph, verdict: Verdict) -> list[str]:
    """Ids of what a witness passes, in order. A step that is no relation gets an edge that is seen only when it is marked."""
    marks: dict[str, None] = {}
    for step in verdict.violation.witness if verdict.violation else ():
        marks[graph.node(step.subject, 'shape=component, class="only-witness"')] = None
        if step.other is None:
            continue
        marks[graph.node(step.other, 'shape=component, class="only-witness"')] = None
        ends = next((ends for ends in ((step.subject, step.other), (step.other, step.subject)) if ends in graph.edges), None)
        if ends is None:
            marks[graph.edge(step.subject, step.other, 'class="only-witness", style=dashed, constraint=false', step.rule)] = None
        else:
            marks[graph.edge_id(*ends)] = None
    return list(marks)


def held_capabilities(spec: Spec) -> tuple[list[Held], Graph]:
    """The capabilities in everyone's CSpace, and their graph."""
    graph, found = Graph("held"), []
    subjects = find_subjects(spec)
    roots = {subject.held("cspace") for subject in subjects}
    for subject in subjects:
        graph.node(subject.name, "shape=box")
        for cnode in reachable_cnodes(spec, subject.held("cspace"), roots):
            for slot, cap in sorted(spec.objects[cnode].slots.items()):
                name = cap.object or cap.built_in or ""
                kind = spec.objects[cap.object].type if cap.object else name
                rights = "".join(sorted(cap.rights, key=RIGHTS.index))
                nodes = (graph.node(subject.name, "shape=box"), graph.node(f"{name} ({kind})", "shape=ellipse"))
                edge = graph.edge(subject.name, f"{name} ({kind})", 'class="capability"', rights)
                found.append(Held(subject.name, f"{cnode} {slot}", name, kind, rights, badge_of(cap), str(cap.place or ""), edge, nodes))
    return found, graph


def badge_of(cap: Cap) -> str:
    """A badge, if there is one."""
    return f"{cap.badge:#x}" if cap.badge else ""


def matrix(report: Report) -> dict[tuple[str, str], str]:
    """(subject, target) -> letters."""
    cells: dict[tuple[str, str], str] = {}
    for verb, letter in VERBS.items():
        for ends in dict.fromkeys((item.subject, item.target) for item in report.relations if item.verb == verb):
            cells[ends] = cells.get(ends, "") + letter
    return cells


def shares(report: Report) -> dict[int, dict[str, str]]:
    """core -> thread -> percent of the bar."""
    times = {subject.name: subject for subject in report.subjects}

    def widths(names: Iterable[str], total: int) -> dict[str, str]:
        parts = {name: (times[name].budget_us or 0) * 1_000_000 // (times[name].period_us or 1) for name in names}
        return {name: f"{100 * part / max(total, 1_000_000):.2f}" for name, part in parts.items()}
    return {load.core: widths(load.threads, load.share) for load in report.load}
