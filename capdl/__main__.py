# SPDX-License-Identifier: BSD-2-Clause
"""The command line of the tool: `python3 -m capdl VERB`. Exit status 0: fine; 1: findings; 2: wrong usage."""

import argparse
import sys
from pathlib import Path

from . import driver
from .diagnostics import Diagnostics
from .formatting import format_text
from .printing import canonical_text

OK, FINDINGS, USAGE = 0, 1, 2


class ArgumentParser(argparse.ArgumentParser):
    """Wrong usage is told in one line."""

    def error(self, message):
        self.exit(USAGE, f"capdl: {message} (see: python3 -m capdl --help)\n")


def arguments(words):
    """Parse the command line."""
    parser = ArgumentParser(prog="capdl", description="Checks, elaborates and formats system descriptions.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=ArgumentParser)
    check = verbs.add_parser("check", help="report what is wrong with a description")
    elaborate = verbs.add_parser("elaborate", help="print the canonical object-level text of a system")
    for verb in (check, elaborate):
        verb.add_argument("file", type=Path, metavar="FILE")
        verb.add_argument("--machine", help="check also that the system can be built; needs the device tree if it has devices")
        verb.add_argument("--dtb", type=Path, metavar="FILE", help="flattened device tree blob of the board")
        verb.add_argument("--elf-dir", type=Path, metavar="DIR", action="append", default=[], dest="elf_dirs",
                          help="where the components' programs are (repeatable)")
    elaborate.add_argument("-o", type=Path, metavar="FILE", dest="output",
                           help="write here instead of to standard output; generated pages of components go beside it")
    formatter = verbs.add_parser("fmt", help="print a description in its uniform shape")
    formatter.add_argument("file", type=Path, metavar="FILE")
    formatter.add_argument("-i", "--in-place", action="store_true", help="write the file itself")
    return parser.parse_args(words)


def report(diagnostics):
    """Print the findings; gives the exit status."""
    sys.stderr.write(diagnostics.render())
    return OK if diagnostics.ok else FINDINGS


def check(options):
    """capdl check"""
    for_machine = options.machine is not None
    _, diagnostics = driver.load(options.file, elf_dirs=options.elf_dirs, dtb=options.dtb, loadable=for_machine, partial=not for_machine)
    return report(diagnostics)


def elaborate(options):
    """capdl elaborate"""
    out_dir = options.output.resolve().parent if options.output else None
    if out_dir is not None and not out_dir.is_dir():
        sys.stderr.write(f"capdl: {out_dir}: no such directory (make it first)\n")
        return USAGE
    spec, diagnostics = driver.load(options.file, elf_dirs=options.elf_dirs, dtb=options.dtb, out_dir=out_dir,
                                    loadable=options.machine is not None)
    if diagnostics.ok:
        text = canonical_text(spec)
        if options.output:
            options.output.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    return report(diagnostics)


def fmt(options):
    """capdl fmt"""
    diagnostics = Diagnostics()
    driver.read_file(options.file, diagnostics)
    if not diagnostics.ok:
        return report(diagnostics)
    text = options.file.read_text(encoding="utf-8")
    formatted = format_text(text)
    if not options.in_place:
        sys.stdout.write(formatted)
    elif formatted != text:
        options.file.write_text(formatted, encoding="utf-8")
    return report(diagnostics)


def main(words=None):
    """Run one verb; gives the exit status."""
    options = arguments(words)
    if not options.file.is_file():
        sys.stderr.write(f"capdl: {options.file}: no such file\n")
        return USAGE
    try:
        return {"check": check, "elaborate": elaborate, "fmt": fmt}[options.verb](options)
    except OSError as error:
        sys.stderr.write(f"capdl: {error.filename}: {error.strerror}\n")
        return FINDINGS


if __name__ == "__main__":
    sys.exit(main())
