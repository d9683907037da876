# SPDX-License-Identifier: BSD-2-Clause
"""A report as a picture: subjects and devices, and arrows for who may do what to whom. Graphviz draws it."""

from __future__ import annotations

import subprocess

from .diagnostics import CapdlError
from .report import Report

_SHAPES = {True: "box", False: "ellipse"}


def spell(text: str) -> str:
    """A quoted string of Graphviz' language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_dot(report: Report) -> str:
    """The picture in Graphviz' language."""
    lines = ["digraph system {", "  rankdir=LR;", '  node [fontname="sans-serif"]; edge [fontname="sans-serif", fontsize=10];',
             f"  label={spell(f'{report.system}: who may do what to whom, directly')};"]
    names = {subject.name for subject in report.subjects}
    for subject in report.subjects:
        time = "no time of its own" if subject.budget_us is None else f"{subject.budget_us} us in {subject.period_us} us"
        words = f"{subject.name}\\npriority {subject.priority}, core {subject.core}\\n{time}"
        lines.append(f"  {spell(subject.name)} [shape={_SHAPES[subject.component]}, label=\"{words}\"];")
    for target in dict.fromkeys(relation.target for relation in report.relations if relation.target not in names):
        lines.append(f"  {spell(target)} [shape=component, style=filled, fillcolor=lightgrey];")
    edges: dict[tuple[str, str], dict[str, None]] = {}
    for relation in report.relations:
        edges.setdefault((relation.subject, relation.target), {})[relation.verb] = None
    for (holder, target), verbs in edges.items():
        lines.append(f"  {spell(holder)} -> {spell(target)} [label={spell(', '.join(verbs))}];")
    return "\n".join([*lines, "}"]) + "\n"


def as_svg(report: Report) -> str:
    """The picture as SVG. Raises CapdlError when Graphviz is missing or fails."""
    return draw(as_dot(report))


def draw(dot: str) -> str:
    """A text of Graphviz' language as SVG. Raises CapdlError when Graphviz is missing or fails."""
    try:
        done = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CapdlError("capdl: error: dot cannot be run, which draws the picture (install graphviz: ./caprock setup dev)\n") from error
    if done.returncode != 0:
        raise CapdlError(f"capdl: error: dot failed:\n{done.stderr}")
    return done.stdout
