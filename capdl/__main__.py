# SPDX-License-Identifier: BSD-2-Clause
"""The command line of the tool: `python3 -m capdl VERB`. Exit status 0: fine; 1: findings; 2: wrong usage."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from . import diff, driver
from .admission import LEVELS, admit, as_dictionary, as_lines
from .diagnostics import CapdlError, Diagnostics
from .explanations import explain, nearest
from .formatting import format_text
from .model import Spec
from .plain import extensions
from .printing import canonical_text
from .report import as_json, make_report
from .report_svg import as_svg
from .report_text import as_text
from .source_map import notes

OK, FINDINGS, USAGE = 0, 1, 2


class ArgumentParser(argparse.ArgumentParser):
    """Wrong usage is told in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"capdl: {message} (see: python3 -m capdl --help)\n")


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(prog="capdl", description="Checks, elaborates, formats, reports on and compares system descriptions.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=ArgumentParser)
    check = verbs.add_parser("check", help="report what is wrong with a description")
    elaborate = verbs.add_parser("elaborate", help="print the canonical object-level text of a system")
    reporting = verbs.add_parser("report", help="print memory, capabilities, authority, load and trusted code of a system")
    admitting = verbs.add_parser("admit", help="say whether there is the time that a description promises; status 1 if not")
    comparing = verbs.add_parser("diff", help="print what authority each component gained or lost; status 1 if any was gained")
    for verb in (check, elaborate, reporting, admitting, comparing):
        verb.add_argument("--dtb", type=Path, metavar="FILE", help="flattened device tree blob of the board")
        verb.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="settings", help="the value of a parameter (repeatable)")
    for verb in (check, elaborate, reporting, admitting):
        verb.add_argument("file", type=Path, metavar="FILE")
        verb.add_argument("--elf-dir", type=Path, metavar="DIR", action="append", default=[], dest="elf_dirs",
                          help="where the components' programs are (repeatable)")
    for verb in (check, elaborate):
        verb.add_argument("--machine", help="check also that the system can be built; needs the device tree if it has devices")
    shape = elaborate.add_mutually_exclusive_group()
    shape.add_argument("--canonical", action="store_true", help="without the comments that say where each object and capability comes from")
    shape.add_argument("--compat", action="store_true", help="plain capDL, as other tools read it; an error for each extension that stands in the way")
    elaborate.add_argument("-o", type=Path, metavar="FILE", dest="output",
                           help="write here instead of to standard output; generated pages of components go beside it")
    check.add_argument("--build-dir", type=Path, metavar="DIR", help="with --machine: check also that the system fits the memory; the folder has the planner")
    check.add_argument("--compat", action="store_true", help="only what the reference tool for capDL rejects is an error; 0 if it accepts the file")
    check.add_argument("--json", action="store_true", help="print the findings to standard output, as JSON")
    report_arguments(reporting)
    admitting.add_argument("--level", choices=LEVELS, help="only this level (default: all)")
    admitting.add_argument("--json", action="store_true", help="as JSON")
    comparing.add_argument("old", type=Path, metavar="OLD")
    comparing.add_argument("new", type=Path, metavar="NEW")
    code = verbs.add_parser("explain", help="say what the code of a finding means; without a code, list them")
    code.add_argument("code", nargs="?", metavar="CODE")
    serving = verbs.add_parser("lsp", help="answer an editor on standard input and output (Language Server Protocol)")
    serving.add_argument("--dtb", type=Path, metavar="FILE", help="flattened device tree blob of the board, for what devices are")
    formatter = verbs.add_parser("fmt", help="print a description in its uniform shape")
    formatter.add_argument("file", type=Path, metavar="FILE")
    formatter.add_argument("-i", "--in-place", action="store_true", help="write the file itself")
    return parser.parse_args(words)


def report_arguments(reporting: argparse.ArgumentParser) -> None:
    """What the verb report takes beside what all of them do."""
    shape = reporting.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="as JSON")
    shape.add_argument("--svg", action="store_true", help="as a picture of who may do what to whom")
    shape.add_argument("--html", action="store_true", help="as one page with everything, policies and their witnesses included")
    reporting.add_argument("--kernel", type=Path, metavar="FILE", help="the kernel's ELF file, to count its code")
    reporting.add_argument("--source-root", type=Path, metavar="DIR", action="append", default=[], dest="source_roots",
                           help="where the programs' sources are (repeatable); without it no lines are counted")
    reporting.add_argument("-o", type=Path, metavar="FILE", dest="output", help="write here instead of to standard output")


def tell(diagnostics: Diagnostics, in_json: bool = False) -> int:
    """Print the findings; gives the exit status."""
    if in_json:
        sys.stdout.write(diagnostics.as_json())
    else:
        sys.stderr.write(diagnostics.render())
    return OK if diagnostics.ok else FINDINGS


def check(options: argparse.Namespace) -> int:
    """capdl check"""
    if options.compat:
        return tell(driver.judge(options.file), options.json)
    for_machine = options.machine is not None
    spec, diagnostics = driver.load(options.file, elf_dirs=options.elf_dirs, dtb=options.dtb, loadable=for_machine, partial=not for_machine,
                                    settings=options.settings)
    if for_machine and diagnostics.ok and options.build_dir is not None:
        driver.check_placement(spec, diagnostics, options.build_dir, options.machine, options.dtb)
    return tell(diagnostics, options.json)


def explain_code(options: argparse.Namespace) -> int:
    """capdl explain"""
    text = explain(options.code)
    if text is None:
        near = nearest(options.code)
        hint = f"did you mean {near}?" if near else "without a code, `explain` lists them"
        sys.stderr.write(f"capdl: unknown code {options.code} ({hint})\n")
        return USAGE
    sys.stdout.write(text)
    return OK


def elaborate(options: argparse.Namespace) -> int:
    """capdl elaborate"""
    out_dir = options.output.resolve().parent if options.output else None
    if out_dir is not None and not out_dir.is_dir():
        sys.stderr.write(f"capdl: {out_dir}: no such directory (make it first)\n")
        return USAGE
    spec, diagnostics = driver.load(options.file, elf_dirs=options.elf_dirs, dtb=options.dtb, out_dir=out_dir,
                                    loadable=options.machine is not None, settings=options.settings)
    for place, message in extensions(spec) if options.compat and diagnostics.ok else ():
        diagnostics.error(place, message, "extension")
    if diagnostics.ok:
        text = canonical_text(spec) if options.canonical or options.compat else canonical_text(spec, notes(spec))
        write(text, options.output)
    return tell(diagnostics)


def fmt(options: argparse.Namespace) -> int:
    """capdl fmt"""
    diagnostics = Diagnostics()
    driver.read_file(options.file, diagnostics)
    if not diagnostics.ok:
        return tell(diagnostics)
    text = options.file.read_text(encoding="utf-8")
    formatted = format_text(text)
    if not options.in_place:
        sys.stdout.write(formatted)
    elif formatted != text:
        options.file.write_text(formatted, encoding="utf-8")
    return tell(diagnostics)


def load_existing(path: Path, options: argparse.Namespace, elf_dirs: Sequence[Path] = ()) -> Spec:
    """The system of a description, for looking at: programs and devices are left out where they are unknown. Raises CapdlError with what is wrong in it."""
    spec, diagnostics = driver.load(path, elf_dirs=elf_dirs, dtb=options.dtb, partial=True, loadable=False, settings=options.settings, judged=False)
    if not diagnostics.ok:
        raise CapdlError(diagnostics.render())
    return spec


def report(options: argparse.Namespace) -> int:
    """capdl report"""
    spec = load_existing(options.file, options, options.elf_dirs)
    result = make_report(spec, options.kernel, tuple(options.source_roots))
    if options.html:
        from .report_html import as_html  # which needs Jinja
        write(as_html(result, spec), options.output)
    else:
        write(as_json(result) if options.json else as_svg(result) if options.svg else as_text(result), options.output)
    return OK


def admission(options: argparse.Namespace) -> int:
    """capdl admit"""
    levels = [level for level in admit(load_existing(options.file, options)) if options.level in (None, level.name)]
    sys.stdout.write(json.dumps(as_dictionary(levels), indent=1) + "\n" if options.json else "".join(f"{line}\n" for line in as_lines(levels)))
    return OK if all(level.ok for level in levels) else FINDINGS


def compare(options: argparse.Namespace) -> int:
    """capdl diff"""
    found = diff.compare(load_existing(options.old, options), load_existing(options.new, options))
    sys.stdout.write(diff.as_text(found))
    return FINDINGS if any(change.gained for change in found) else OK


def serve(options: argparse.Namespace) -> int:
    """capdl lsp"""
    try:
        from .editor.server import make_server
    except ImportError as error:
        sys.stderr.write(f"capdl: lsp needs the Python module {error.name} (./caprock setup dev)\n")
        return USAGE
    board = None
    if options.dtb is not None:
        from .devicetree import Board, DeviceProblem  # which needs libfdt
        try:
            board = Board(options.dtb)
        except DeviceProblem as problem:
            sys.stderr.write(f"capdl: {problem}\n")
            return FINDINGS
    make_server(board).start_io()
    return OK


def write(text: str, path: Path | None) -> None:
    """Write to a file, or to standard output if that is None."""
    if path:
        path.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def main(words: list[str] | None = None) -> int:
    """Run one verb; gives the exit status."""
    options = arguments(words)
    if options.verb in ("explain", "lsp"):
        return {"explain": explain_code, "lsp": serve}[options.verb](options)
    for path in (options.old, options.new) if options.verb == "diff" else (options.file,):
        if not path.is_file():
            sys.stderr.write(f"capdl: {path}: no such file\n")
            return USAGE
    try:
        return {"check": check, "elaborate": elaborate, "fmt": fmt, "report": report, "diff": compare,
                "admit": admission}[options.verb](options)
    except CapdlError as error:
        sys.stderr.write(str(error))
        return FINDINGS
    except OSError as error:
        sys.stderr.write(f"capdl: {error.filename}: {error.strerror}\n")
        return FINDINGS


if __name__ == "__main__":
    sys.exit(main())
