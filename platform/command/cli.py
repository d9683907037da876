# SPDX-License-Identifier: BSD-2-Clause
"""The verbs of ./caprock, their options, and how errors leave the command: one line, status 1 for a finding and 2 for wrong usage."""

import argparse
import re
import sys
from pathlib import Path

from . import ROOT, version
from .errors import Finding, Usage

PROGRAM = "./caprock"
_DEFAULT_SYSTEM = ROOT / "systems" / "hello.cdl"


class Parser(argparse.ArgumentParser):
    """A parser that reports wrong usage in one line, as everything else is reported."""

    def error(self, message: str):
        verb = self.prog.removeprefix(PROGRAM).strip()
        raise Usage(f"{message} (`{PROGRAM} help{' ' + verb if verb else ''}` shows what there is)")


def main(arguments: list[str]) -> int:
    """Runs one verb and returns the exit status."""
    try:
        parser, verbs = make_parser()
        if not arguments:
            raise Usage(f"no verb given: one of {', '.join(verbs)} (`{PROGRAM} help` explains them)")
        options, rest = parser.parse_known_args(arguments)
        if rest:
            verbs[options.verb].error(f"unknown option or argument {rest[0]}")
        return options.function(options) or 0
    except Finding as error:
        sys.stdout.flush()
        print(f"caprock: error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("caprock: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def make_parser() -> tuple[Parser, dict[str, Parser]]:
    """The command's parser, and that of each verb."""
    parser = Parser(prog=PROGRAM, add_help=False, allow_abbrev=False,
                    description="Builds, runs and tests Caprock systems. Each verb installs what it lacks, unless --no-install is given.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the project's version")
    parser.add_argument("--help", "-h", action=_Help, nargs=0, help=argparse.SUPPRESS)
    group = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=Parser)
    verbs = {}

    def verb(name: str, function, summary: str, installs: bool = True) -> Parser:
        verbs[name] = group.add_parser(name, help=summary, description=summary, add_help=False, allow_abbrev=False)
        verbs[name].set_defaults(function=function)
        verbs[name].add_argument("--help", "-h", action=_Help, nargs=0, help=argparse.SUPPRESS)
        if installs:
            verbs[name].add_argument("--no-install", action="store_true", help="never install anything; fail if something is missing")
        return verbs[name]

    run = _system(verb("run", _run, "build a system and run it on QEMU; the exit status is the system's own"), optional=True)
    run.add_argument("--verify", action="store_true", help="print also what comparing the started system with its description gave")
    _reading(run)
    _rooting(run)
    test = verb("test", _test, "run the tests; the last line is `N passed, N failed`, with `, N skipped` where something is missing")
    test.add_argument("--quick", action="store_true", help="only what takes less than five minutes")
    test.add_argument("names", nargs="*", metavar="NAME",
                      help="only these tests (`meson test --list` names them; the part before a dash, such as conformance, stands for all of them)")
    _fuzzing(verb("fuzz", _fuzz, "give a part of the system random input, with every check after each; a failure says how to repeat it"))
    _mutating(verb("mutants", _mutants, "run the conformance tests on kernels with seeded mistakes; status 1 if a test fails for none"))
    _stepping(verb("lockstep", _lockstep, "perform random events on the kernel's core and on the specification, and compare the whole state after each"))
    _tracing(_system(verb("trace", _trace, "run a system on QEMU and say what it did with its time: who ran, called, waited and was interrupted, and for how "
                          "long"), optional=True))
    _auditing(verb("audit", _audit, "work out anew what is known of the kernel and its proofs: the last line is RESULT PASS or RESULT FAIL"))
    _benching(verb("bench", _bench, "count the instructions of the kernel's operations, beside those of seL4 and the goals"))
    compiling = verb("build", _build, "compile everything")
    compiling.add_argument("--systems", action="store_true", help="only what systems are made of: no tests, no specification")
    compiling.add_argument("-j", dest="jobs", type=_number(1, 64), metavar="N", help="processes (1..64)")
    image = verb("image", _image, "make a bootable disk or SD-card image of a system, and its bill of materials (FILE.spdx.json)")
    image.add_argument("system", type=_existing, metavar="SYSTEM.cdl")
    image.add_argument("--machine", choices=("virt", "raspi4b"), default="virt")
    image.add_argument("--debug", action="store_true", help="with the debug kernel")
    _setting(image)
    image.add_argument("-o", dest="output", type=Path, required=True, metavar="FILE", help="the image to write")
    dump = _system(verb("dump", _dump, "run a system until all of it is there, and print what the kernel says that it consists of, as a canonical "
                        "description"))
    _reading(dump)
    dump.add_argument("--at", metavar="TEXT", help="with --from-host: read it later, while it runs, as soon as its console has printed TEXT")
    _killing(_system(verb("kill", _kill, "kill components of a running system that are restarted, where chance wants it, and look what is missing then")))
    gdb = _system(verb("gdb", _gdb, "run a system under gdb-multiarch, stopped at the kernel's entry, with symbols of kernel and components"))
    gdb.add_argument("--command", action="append", default=[], metavar="COMMAND",
                     help="run this debugger command and leave at the end of the last one (may repeat)")
    for name, summary in (("check", "check a system description"), ("elaborate", "print a description as plain capDL"),
                          ("fmt", "print a description in the usual layout")):
        sub = verb(name, _describe, summary, installs=name != "fmt")
        sub.add_argument("system", type=_existing, metavar="FILE")
        if name != "fmt":
            sub.add_argument("--machine", choices=("virt", "raspi4b"), help="the board that it is for" + (
                ": check devices and programs too" if name == "check" else " (default: virt)"))
        if name == "check":
            sub.add_argument("--compat", action="store_true", help="only what the reference tool for capDL rejects is an error; 0 if it accepts the file")
            sub.add_argument("--json", action="store_true", help="print the findings to standard output, as JSON")
        if name != "fmt":
            _setting(sub)
        if name == "elaborate":
            shape = sub.add_mutually_exclusive_group()
            shape.add_argument("--canonical", action="store_true", help="without the comments that say where each object and capability comes from")
            shape.add_argument("--compat", action="store_true", help="plain capDL, as other tools read it; an error for each extension in the way")
            sub.add_argument("-o", dest="output", type=Path, metavar="FILE", help="write to FILE instead")
    serving = verb("lsp", _lsp, "answer an editor on standard input and output (Language Server Protocol)", installs=False)
    serving.add_argument("--machine", choices=("virt", "raspi4b"), default="virt", help="the board whose devices it knows (default: virt)")
    verb("explain", _explain, "say what the code of a finding means; without a code, list them").add_argument("code", nargs="?", metavar="CODE")
    _reporting(verb("report", _report, "print what a system takes and who in it may do what to whom"))
    admitting = verb("admit", _admit, "say whether the time that a system's budgets promise is there; status 1 if not")
    admitting.add_argument("system", type=_existing, metavar="FILE")
    admitting.add_argument("--level", choices=("load", "supply", "chain"), help="only this level (default: all)")
    admitting.add_argument("--json", action="store_true", help="as JSON")
    _setting(admitting)
    changes = verb("diff", _diff, "print what authority each component gained or lost between two descriptions; status 1 if any was gained")
    changes.add_argument("old", type=_existing, metavar="OLD")
    changes.add_argument("new", type=_existing, metavar="NEW")
    changes.add_argument("--machine", choices=("virt", "raspi4b"), default="virt", help="the board (default: virt)")
    _setting(changes)
    verb("new", _new, "make a component and a system around it in a new folder", installs=False).add_argument("name", metavar="NAME")
    setup = verb("setup", _setup, "install a tier: run (QEMU, compilers; the default), dev (tests, debugger, clang), proofs (Coq, OCaml, z3), all")
    setup.add_argument("tier", nargs="?", choices=("run", "dev", "proofs", "all"), default="run")
    verb("doctor", _doctor, "say what is there, missing or of another version", installs=False)
    verb("size", _size, "print the kernel's lines and bytes beside their limits")
    helper = verb("help", _help, "explain the command, or one verb", installs=False)
    helper.add_argument("topic", nargs="?", metavar="VERB")
    helper.set_defaults(parser=parser, verbs=verbs)
    return parser, verbs


def _system(parser: Parser, optional: bool = False) -> Parser:
    """Adds the options of verbs that start a system on a machine."""
    parser.add_argument("system", type=_existing, nargs="?" if optional else None, metavar="SYSTEM.cdl", default=_DEFAULT_SYSTEM,
                        help="the system's description" + (" (default: systems/hello.cdl)" if optional else ""))
    parser.add_argument("--machine", choices=("virt", "raspi4b"), default="virt", help="the board (default: virt)")
    parser.add_argument("--via", choices=("kernel", "uboot"), default="kernel", help="start it directly (default) or through U-Boot")
    parser.add_argument("--gic", type=int, choices=(2, 3), help="virt's interrupt controller (default: 2)")
    parser.add_argument("--el", type=int, choices=(1, 2), help="virt's exception level at boot (default: 2)")
    parser.add_argument("--cores", type=_number(1, 8), metavar="N", help="1..8 cores, raspi4b: 4 (default: 4)")
    parser.add_argument("--timeout", type=_number(1, 86400), default=60, metavar="S", help="give up after S seconds (default: 60)")
    parser.add_argument("--debug", action="store_true", help="with the debug kernel (assertions, debug system calls)")
    _setting(parser)
    return parser


def _setting(parser: Parser) -> None:
    """Adds the option that sets parameters of a description."""
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help="the value of a parameter (may repeat)")


def _rooting(parser: Parser) -> None:
    """Adds the options of `run` for a program that runs as the root task itself."""
    parser.add_argument("--root", type=_file, metavar="FILE.elf", help="instead of a system: this program as the root task, written to the seL4 API")
    parser.add_argument("--with", dest="archive", type=_file, metavar="ARCHIVE", help="with --root: a file that the program finds behind its image")
    parser.add_argument("--cnode-bits", type=_number(12, 20), metavar="N", help="with --root: radix of the root CNode, 12..20 (default: 12)")


def _reporting(parser: Parser) -> None:
    """Adds the options of `report`."""
    parser.add_argument("system", type=_existing, metavar="FILE")
    parser.add_argument("--machine", choices=("virt", "raspi4b"), default="virt", help="the board (default: virt)")
    _setting(parser)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="as JSON")
    shape.add_argument("--svg", action="store_true", help="as a picture of who may do what to whom")
    shape.add_argument("--html", action="store_true", help="as one page with everything, policies and their witnesses included")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="write to FILE instead")


def _fuzzing(parser: Parser) -> None:
    """Adds the options of `fuzz`."""
    parser.add_argument("part", choices=("kernel", "capdl"), help="what is tried: the kernel, or the description tool")
    parser.add_argument("--host", action="store_true", help="its portable part on this machine, with sanitizers and all invariants (default: both)")
    parser.add_argument("--target", action="store_true", help="the whole kernel on QEMU")
    parser.add_argument("--ops", type=_number(1, 10**12), metavar="N", help="operations (default: 1000000 on the host, 250000 on the target)")
    parser.add_argument("--inputs", type=_number(1, 10**9), metavar="N", help="of the description tool: descriptions, most of them damaged (default: 20000)")
    parser.add_argument("--seed", type=_number(0, 2**63), default=1, metavar="S", help="the first seed; every 10000 operations take one (default: 1)")
    parser.add_argument("--guided", type=_number(1, 10**6), metavar="SECONDS", help="on the host, guided by coverage, for so long")
    parser.add_argument("--replay", metavar="FILE|SEED", help="the operations of one seed, or of the file of an input")
    parser.add_argument("--kernel", choices=("debug", "production"), help="the target's kernel (default: both take turns)")
    parser.add_argument("-j", dest="jobs", type=_number(1, 64), default=1, metavar="N", help="processes (1..64, default: 1)")


def _stepping(parser: Parser) -> None:
    """Adds the options of `lockstep`."""
    parser.add_argument("--ops", type=_number(1, 10**12), metavar="N", help="events (default: 100000), transitions (10000000), or events of a mutant (150000)")
    parser.add_argument("--seed", type=_number(0, 2**62), default=1, metavar="S", help="the first seed; a component of 5000 events takes one (default: 1)")
    parser.add_argument("--table", action="store_true", help="print how often each operation came to each result")
    parser.add_argument("--cells", action="store_true", help="fail unless each operation came to each result that the API description promises")
    parser.add_argument("--still", action="store_true", help="no time passes")
    parser.add_argument("--whole", action="store_true", help="no operation is preempted")
    parser.add_argument("--go-on", action="store_true", help="note differences and go on from the kernel's state; print the first of each operation")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--exhaustive", action="store_true", help="every move in every state, breadth first from seven small systems on")
    way.add_argument("--mutants", type=_number(1, 10**5), metavar="N",
                     help="make N mistakes in the kernel's core, drawn by the seed, and see whether each is found")
    parser.add_argument("-j", dest="jobs", type=_number(1, 64), default=1, metavar="N", help="processes (1..64, default: 1)")


def _tracing(parser: Parser) -> None:
    """Adds the options of `trace`."""
    parser.add_argument("--for", dest="duration", type=_duration, metavar="TIME", help="end after so much of the system's time: a number with us, ms or s")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--perfetto", type=Path, metavar="FILE", help="write what happened to FILE, too, which Perfetto opens")
    parser.add_argument("--compare", action="store_true", help="instead: compare the kernel with the specification after each kernel entry")
    parser.add_argument("--tests", nargs="?", const="", metavar="NAME[,NAME...]", help="compare in the conformance tests, all or those named")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="with --compare: write the trace, which the oracle replays by itself")
    parser.add_argument("--frequency", type=_number(1_000_000, 10**9), metavar="HZ", help="with --compare: of the machine's counter (default: 1000000)")


def _killing(parser: Parser) -> None:
    """Adds the options of `kill`."""
    parser.set_defaults(timeout=3600, cores=1)
    parser.add_argument("--kills", type=_number(1, 10**7), default=100, metavar="N", help="how many (default: 100)")
    parser.add_argument("--seed", type=_number(0, 2**62), default=1, metavar="S", help="what chance wants (default: 1)")
    parser.add_argument("--victims", metavar="NAME[,NAME...]", help="only these components (default: all that are restarted)")
    parser.add_argument("--mutate", action="store_true", help="instead of killing them, damage instructions of theirs, until they end by themselves")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write to FILE what the console printed")


def _auditing(parser: Parser) -> None:
    """Adds the options of `audit`."""
    parser.add_argument("system", type=_existing, nargs="?", metavar="SYSTEM.cdl", default=_DEFAULT_SYSTEM,
                        help="the system whose authority is looked at (default: systems/hello.cdl)")
    _setting(parser)
    parser.add_argument("--section", dest="sections", action="append", type=_number(1, 7), default=[], metavar="N",
                        help="only this section (may repeat); without the others the result is no PASS")
    parser.add_argument("--events", type=_number(1, 10**9), metavar="N", help="events of the lockstep (default: 200000)")


def _benching(parser: Parser) -> None:
    """Adds the options of `bench`."""
    parser.add_argument("--machine", choices=("virt", "raspi4b"), default="virt", help="the board (default: virt)")
    parser.add_argument("--timeout", type=_number(1, 86400), default=300, metavar="S", help="give up after S seconds (default: 300)")
    parser.add_argument("--json", action="store_true", help="print a list of objects with operation, caprock, peer and goal")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw Caprock's figures in relation to seL4's, too")
    parser.add_argument("--footprint", action="store_true", help="instead: instructions by class, memory accesses, and cache lines and pages touched")
    parser.add_argument("--record", action="store_true", help="make the figures those that the tests expect and docs/performance.md shows")
    parser.add_argument("--wall", action="store_true", help="instead: real time in nanoseconds, which no two runs have in common")
    parser.add_argument("--console", type=_file, metavar="FILE", help="with --wall: the figures are those in FILE, what a board's console printed")


def _mutating(parser: Parser) -> None:
    """Adds the options of `mutants`."""
    parser.add_argument("--mutant", action="append", default=[], metavar="NAME", help="only this one (may repeat); tests/mutants/entries has them")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME", help="look for what only this suite's tests fail for (may repeat)")
    parser.add_argument("--all", action="store_true", help="every suite on every mutant, not first those that its file concerns")
    parser.add_argument("--repeat", action="store_true", help="begin with tests/mutants/kills.toml; look for mutants only of tests that these miss")
    parser.add_argument("--record", action="store_true", help="write each test's mutant to tests/mutants/kills.toml, where the tests look")
    parser.add_argument("-j", "--jobs", type=_number(1, 64), default=2, metavar="N", help="machines at once (1..64, default: 2)")


class _Version(argparse.Action):
    """--version."""

    def __call__(self, parser, namespace, values, option_string=None):
        print(f"caprock {version()}")
        parser.exit()


class _Help(argparse.Action):
    """--help, which `help VERB` stands for."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.print_help()
        parser.exit()


def _number(low: int, high: int):
    """A converter for options that take a number from `low` to `high`."""
    def convert(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not a number from {low} to {high}")
        return int(text)
    return convert


def _duration(text: str) -> int:
    """A converter for times: nanoseconds."""
    units = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
    found = re.fullmatch(r"(\d{1,9})(us|ms|s)", text)
    if not found or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no time (give a number with us, ms or s, such as 100ms)")
    return int(found[1]) * units[found[2]]


def _existing(text: str, what: str = "the path of a system description") -> Path:
    """A converter for files that must be there; `what` they are is the remedy."""
    path = Path(text)
    if not path.is_file():
        raise Usage(f"{text}: {'is a folder' if path.is_dir() else 'no such file'} (give {what})")
    return path.resolve()


def _file(text: str) -> Path:
    """A converter for files other than descriptions."""
    return _existing(text, "a file that is there")


def _reading(parser: Parser) -> None:
    """The option of verbs that can read a system from the host."""
    parser.add_argument("--from-host", action="store_true", help="read the stopped machine's memory instead of asking the loader")


def _run(options) -> int:
    from . import roots, systems
    if options.from_host and not options.verify:
        raise Usage("--from-host says who compares the system with its description (give --verify, too)")
    if options.root is None and (options.archive or options.cnode_bits):
        raise Usage("--with and --cnode-bits are for a program that runs as the root task (give it with --root)")
    if options.root is None:
        return systems.run(options)
    if options.verify:
        raise Usage("--verify compares a system with its description, and a program that runs as the root task has none (leave one out)")
    if options.system != _DEFAULT_SYSTEM:
        raise Usage(f"{options.system.name} and --root: either a system or a root task (leave one out)")
    return roots.run(options)


def _dump(options) -> int:
    from . import systems
    return systems.dump(options)


def _image(options) -> int:
    from . import systems
    return systems.image(options)


def _gdb(options) -> int:
    from . import systems
    return systems.gdb(options)


def _describe(options) -> int:
    from . import systems
    return systems.describe(options)


def _explain(options) -> int:
    from . import systems
    return systems.explain(options)


def _lsp(options) -> int:
    from . import systems
    return systems.language_server(options)


def _report(options) -> int:
    from . import systems
    return systems.report(options)


def _admit(options) -> int:
    from . import systems
    return systems.admit(options)


def _diff(options) -> int:
    from . import systems
    return systems.diff(options)


def _test(options) -> int:
    from . import testing
    return testing.test(options.quick, options.names, not options.no_install)


def _fuzz(options) -> int:
    from . import fuzzing
    return fuzzing.fuzz(options)


def _lockstep(options) -> int:
    from . import lockstep
    return lockstep.lockstep(options)


def _trace(options) -> int:
    from . import tracing
    return tracing.trace(options)


def _kill(options) -> int:
    from . import killing
    return killing.kill(options)


def _audit(options) -> int:
    from . import audit
    return audit.audit(options)


def _mutants(options) -> int:
    from . import mutants
    return mutants.run(options)


def _bench(options) -> int:
    from . import bench
    return bench.bench(options)


def _build(options) -> int:
    from . import systems
    systems.prepare(not options.no_install, jobs=options.jobs, quiet=False, tests=not options.systems)
    return 0


def _new(options) -> int:
    from . import skeleton
    return skeleton.create(options.name, Path.cwd())


def _setup(options) -> int:
    from . import systems
    systems.set_up(options.tier, not options.no_install)
    print(f"caprock: tier {options.tier} is complete")
    return 0


def _doctor(_options) -> int:
    from . import setup
    return setup.doctor()


def _size(options) -> int:
    from . import size, systems
    systems.prepare(not options.no_install)
    return size.report()


def _help(options) -> int:
    if options.topic is None:
        options.parser.print_help()
    elif options.topic in options.verbs:
        options.verbs[options.topic].print_help()
    else:
        raise Usage(f"unknown verb {options.topic}: one of {', '.join(options.verbs)}")
    return 0
