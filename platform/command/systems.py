# SPDX-License-Identifier: BSD-2-Clause
"""The verbs that take a system description: run it, make an image of it, debug it, check and print it.

The boot helpers in platform/ and the tool in capdl/ do the work; here they get the build folder's files and their errors become findings.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import BUILD, ROOT, building, from_host, outside, setup
from .errors import Finding, Usage, in_one_line, say
from .requirements import NEEDED_TIERS

KERNEL_ENTRY = "start_core"
"""The kernel's first function that runs at its own addresses: before it no symbol of the kernel's means anything to a debugger."""


@dataclass(frozen=True)
class Built:
    """A system that is ready to start: the boot shim's Image with the kernel in it, the payload, the ELF files of its components, what it consists of,
    and the program that makes it."""

    image: Path
    payload: Path
    elfs: tuple[Path, ...]
    spec: object  # capdl.model.Spec
    root: Path    # the root task with symbols


def set_up(tier: str, may_install: bool) -> None:
    """Installs a tier, and fetches what it takes from packages of the target's architecture."""
    setup.install(tier, may_install)
    for needed in NEEDED_TIERS[tier]:
        for name in setup.FETCHED.get(needed, {}):
            setup.fetch(name, may_install)


def prepare(may_install: bool, tier: str = "run", jobs: int | None = None, quiet: bool = True, tests: bool = False,
            more: tuple[str, ...] = ()) -> None:
    """Makes everything that a verb needs present and up to date: the tier's tools, and the build (with `tests`: their programs too; and the
    targets `more`)."""
    set_up(tier, may_install)
    building.build(quiet, jobs, tests, more)


def run(options) -> int:
    """Runs a system on QEMU and returns its own status."""
    import machines

    setting = chosen_setting(options)
    prepare_reading(options)
    offline = options.no_install or None
    says = "Verified" if options.verify and not options.from_host else "Nothing"
    with built(options.system, setting, options.debug, offline, options.settings, says) as ready:
        if options.from_host:
            outcome = from_host.run(setting, ready, lambda found: from_host.compare(ready.spec, found), timeout=options.timeout, output=sys.stdout,
                                    offline=offline)
        else:
            outcome = in_one_line(machines.run, setting, timeout=options.timeout, image=ready.image, payload=ready.payload, offline=offline)
    sys.stdout.flush()
    if outcome.status != 0:
        say(outcome.reason)
    return outcome.status


def prepare_reading(options) -> None:
    """As `prepare`, for a verb that may read a system from the host; wrong usage for what cannot be read."""
    if options.from_host and options.debug:
        raise Usage("--from-host knows how the production kernel lies in memory (leave out --debug)")
    prepare(not options.no_install, more=(from_host.TARGET,) if options.from_host else ())


def dump(options) -> int:
    """Runs a system until all of it is there, and prints as a canonical description what its loader has read back, or what its memory holds; that of a
    system that runs, too."""
    import machines
    from capdl import live, printing

    if options.at is not None and not options.from_host:
        raise Usage("--at looks at a system that runs, which its loader cannot do any more (give --from-host, too)")

    setting = chosen_setting(options)
    prepare_reading(options)
    offline = options.no_install or None
    texts: list[str] = []
    with built(options.system, setting, options.debug, offline, options.settings, "Nothing" if options.from_host else "Dump") as ready:
        if options.from_host:
            outcome = from_host.run(setting, ready, lambda found: from_host.take(texts, found), timeout=options.timeout, output=None, offline=offline,
                                    at=options.at)
        else:
            outcome = in_one_line(machines.run, setting, timeout=options.timeout, image=ready.image, payload=ready.payload, offline=offline, output=None,
                                  until=live.END)
            texts += [printing.canonical_text(live.read(ready.spec, outcome.log))] if outcome.status == 0 else []
        if outcome.status != 0:
            sys.stderr.write(outcome.log)
            raise Finding(f"{options.system}: {outcome.reason}")
    sys.stdout.write("".join(texts))
    return 0


def image(options) -> int:
    """Writes a bootable image of a system, and its bill of materials beside it."""
    import images
    import machines

    output = options.output.resolve()
    if not output.parent.is_dir():
        raise Usage(f"{output.parent}: no such folder (make it first)")
    setting = machines.Setting(options.machine).checked()
    prepare(not options.no_install)
    with built(options.system, setting, options.debug, options.no_install or None, options.settings) as ready:
        bill = in_one_line(images.make_image, options.machine, output, ready.image, ready.payload, offline=options.no_install or None)
    say(f"wrote {output} and {bill}")
    return 0


def gdb(options) -> int:
    """Runs a system under the debugger, stopped where the kernel begins."""
    import machines

    setting = chosen_setting(options)
    set_up("dev", not options.no_install)
    building.build()
    with built(options.system, setting, options.debug, options.no_install or None, options.settings) as ready:
        console = ready.payload.with_name("console")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        line = in_one_line(machines.command, setting, serial=console, image=ready.image, payload=ready.payload, gdb_port=port,
                            offline=options.no_install or None)
        say(f"the system's console goes to {console}")
        with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as machine:
            try:
                return _debug(options, ready, port)
            finally:
                machine.terminate()
                machine.wait()
                if console.exists():
                    sys.stdout.write(console.read_text(encoding="utf-8", errors="replace"))


def describe(options) -> int:
    """Checks, elaborates or prints a description, by the tool in capdl/.

    Without a machine a check looks at the description alone; with one, at its programs and the board's devices too, as elaboration has to.
    """
    if options.verb == "fmt":
        return _capdl("fmt", str(options.system))
    switches = _settings(options) + [f"--{name}" for name in ("compat", "json", "canonical") if getattr(options, name, False)]
    if options.verb == "check" and options.machine is None:
        set_up("run", not options.no_install)
        return _capdl("check", str(options.system), *switches)
    if options.verb == "check" and getattr(options, "compat", False):
        raise Usage("--compat looks at the text alone: give no --machine with it")
    import machines

    prepare(not options.no_install)
    setting = machines.Setting(options.machine or "virt").checked()
    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        tree = in_one_line(machines.device_tree, setting, Path(scratch) / "board.dtb", options.no_install or None)
        arguments = ["--machine", options.machine] if options.machine else []
        arguments += ["--build-dir", str(BUILD)] if options.verb == "check" else []
        for folder in _elf_folders(options.system, options.settings):
            arguments += ["--elf-dir", str(folder)]
        if getattr(options, "output", None):
            arguments += ["-o", str(options.output)]
        return _capdl(options.verb, str(options.system), "--dtb", str(tree), *switches, *arguments)


def _settings(options) -> list[str]:
    """The values of parameters as the description tool takes them."""
    return [word for value in options.settings for word in ("--set", value)]


def explain(options) -> int:
    """Says what a code of the description tool means."""
    set_up("run", not options.no_install)
    return _capdl("explain", *filter(None, [options.code]))


def language_server(options) -> int:
    """Answers an editor until that ends. Without QEMU, or without the board's device tree, all but devices is known."""
    import machines

    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        try:
            tree = in_one_line(machines.device_tree, machines.Setting(options.machine).checked(), Path(scratch) / "board.dtb", True)
        except Finding as error:
            print(f"caprock: devices are not known: {error}", file=sys.stderr)
            return _capdl("lsp")
        return _capdl("lsp", "--dtb", str(tree))


def report(options) -> int:
    """Prints what a system takes and who in it may do what: text, JSON, a picture or a page."""
    if options.svg or options.html:
        set_up("dev", not options.no_install)
    prepare(not options.no_install)
    arguments = ["report", str(options.system), "--kernel", str(BUILD / "kernel" / "kernel.elf"), *_settings(options)]
    for root in (ROOT, BUILD, options.system.parent):
        arguments += ["--source-root", str(root)]
    for folder in _elf_folders(options.system, options.settings):
        arguments += ["--elf-dir", str(folder)]
    arguments += [f"--{shape}" for shape in ("json", "svg", "html") if getattr(options, shape)]
    if options.output:
        arguments += ["-o", str(options.output)]
    return _with_board(options, arguments)


def admit(options) -> int:
    """Prints whether the time that a description promises is there."""
    set_up("run", not options.no_install)
    arguments = (["--level", options.level] if options.level else []) + (["--json"] if options.json else [])
    return _capdl("admit", str(options.system), *arguments, *_settings(options))


def diff(options) -> int:
    """Prints what authority changed between two descriptions."""
    set_up("run", not options.no_install)
    return _with_board(options, ["diff", str(options.old), str(options.new), *_settings(options)])


def _with_board(options, arguments: list[str]) -> int:
    """Runs the reporting tool with the machine's device tree."""
    import machines

    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        setting = machines.Setting(options.machine).checked()
        tree = in_one_line(machines.device_tree, setting, Path(scratch) / "board.dtb", options.no_install or None)
        return _capdl(*arguments, "--dtb", str(tree))


def chosen_setting(options):
    """The machine that the options ask for; wrong usage if there is none such."""
    import machines

    try:
        return machines.Setting(options.machine, options.via, options.gic, options.el, options.cores).checked()
    except machines.MachineError as error:
        raise Usage(str(error)) from error


@contextmanager
def built(system: Path, setting, debug: bool = False, offline: bool | None = True, settings: list[str] = (),
          says: str = "Nothing"):
    """Builds the system of a description for a machine (machines.Setting), from programs that are there; gives it as Built while the block runs.

    The payload is a copy: another command may build the same system meanwhile. `debug`: with the debug kernel. `offline`: True takes packages
    from the cache only, None also from the network. `settings`: `NAME=VALUE` for its parameters. `says`: what its loader prints beside
    (capdl.emit). A Finding, after what the tool says, if it cannot be built.
    """
    from capdl import build as system_builder
    from capdl.diagnostics import CapdlError

    import machines

    setting = setting.checked()
    name = f"{setting.machine}-gic{setting.gic}-el{setting.el}-cores{setting.cores}"
    folder = BUILD / "systems" / outside.identifier(system) / name
    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        payload = Path(scratch) / "system.bin"
        with building.locked():
            folder.mkdir(parents=True, exist_ok=True)
            tree = in_one_line(machines.device_tree, setting, folder / "board.dtb", offline)
            try:
                result = system_builder.build_system(system, machine=setting.machine, dtb=tree, elf_dirs=_elf_folders(system, settings),
                                                     build_dir=BUILD, out_dir=folder, settings=settings,
                                                     says=says)
            except CapdlError as error:
                sys.stderr.write(str(error))
                raise Finding(f"{system} cannot be built (the lines above say why)") from error
            sys.stderr.write(result.warnings)
            root = Path(shutil.copyfile(result.root_elf, Path(scratch) / "root.elf"))
            shutil.copyfile(result.payload, payload)
        yield Built(BUILD / "platform" / ("Image-debug" if debug else "Image"), payload, tuple(result.elfs), result.spec, root)


def _elf_folders(system: Path, settings: list[str]) -> list[Path]:
    """Where a description's ELF files are looked for: its own folder's programs first, then the project's."""
    return [*outside.build_components(system, settings), BUILD / "userland"]


def _debug(options, ready: Built, port: int) -> int:
    """Runs the debugger on a machine that waits at `port`."""
    kernel = BUILD / "kernel" / ("kernel-debug.elf" if options.debug else "kernel.elf")
    commands = [f"directory {ROOT}", *(f"add-symbol-file {elf}" for elf in ready.elfs), f"target remote 127.0.0.1:{port}",
                f"thbreak {KERNEL_ENTRY}", "continue", *options.command]
    line = ["gdb-multiarch", "-nx", "-q", *(["-batch"] if options.command else []), "-ex", "set confirm off", str(kernel)]
    for command in commands:
        line += ["-ex", command]
    try:
        return subprocess.run(line, stdin=subprocess.DEVNULL if options.command else None, check=False,
                              timeout=options.timeout if options.command else None).returncode
    except subprocess.TimeoutExpired as error:
        raise Finding(f"the debugger's commands did not end in {options.timeout} s (--timeout gives more)") from error


def _capdl(*arguments: str) -> int:
    """Runs the description tool, which reports its findings itself."""
    return subprocess.run(["/usr/bin/python3", "-P", "-m", "capdl", *arguments], env=building.python_environment(), check=False).returncode
