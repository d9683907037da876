# SPDX-License-Identifier: BSD-2-Clause
"""From a file to a checked system: reads it and what it includes, and runs the phases in order.

Phases: parse, check components, resolve, elaborate, check objects. After an error components are not elaborated, and objects are checked as far as they are
known; after one of syntax, what may be due to the part that was not understood is left out (damage.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from . import checks, component_checks, restart_checks
from .compat import verdict
from .component_checks import System
from .constants import Scope
from .damage import Damage
from .diagnostics import Diagnostics, Place, Source
from .model import FILL_FILE, Call, Object, Spec
from .parsing import parse, read_settings
from .policy import judge as judge_policy
from .policy import make_policy
from .resolve import Resolver
from .restart_rules import TABLE_FILE, expand
from .syntax import Include, Interface, Module

ROOT = Path(__file__).resolve().parent.parent
INTERFACE_DIR = ROOT / "userland" / "interfaces"
MAX_INCLUDES = 256
MAX_INCLUDE_DEPTH = 32
# Of errors that are of one place in a file; others are of files that could not be read.
PARSERS_CODES = ("syntax", "number-range", "constant")


class Reader:
    """Reads a file and, depth first, what it includes. modules: (syntax.Module) in that order, each file once. texts: by resolved path, instead of what is in
    those files."""

    def __init__(self, diagnostics: Diagnostics, strict: bool, texts: Mapping[Path, str] | None = None):
        self.diagnostics = diagnostics
        self.strict = strict
        self.texts = texts or {}
        self.modules: list[Module] = []
        self.finished: set[Path] = set()
        self.scope = Scope(self.include)
        self.open: list[tuple[Path, str, tuple[Path, ...]]] = []  # (path, name, chain) of the files that are being read, outermost first

    def read(self, path: Path, name: str, place: Place | None, chain: tuple[Path, ...]) -> None:
        """path: the file. name: as messages call it. place: of the include, or None. chain: resolved paths of the including files."""
        resolved = path.resolve()
        if resolved in chain:
            self.diagnostics.error(place, f"\"{name}\" includes itself, directly or through others (remove one include)", "include")
            return
        if resolved in self.finished:
            return
        self.finished.add(resolved)
        if len(self.finished) > MAX_INCLUDES:
            self.diagnostics.error(place, f"more than {MAX_INCLUDES} files are included", "include")
            return
        try:
            text = self.texts[resolved] if resolved in self.texts else resolved.read_text(encoding="utf-8")
        except OSError as error:
            self.diagnostics.error(place, f"{name}: cannot be read: {error.strerror}", "include")
            self.scope.incomplete = True
            return
        except UnicodeDecodeError:
            self.diagnostics.error(place, f"{name}: is no UTF-8 text", "include")
            self.scope.incomplete = True
            return
        self.open.append((path, name, (*chain, resolved)))
        module = parse(Source(name, text, resolved), self.diagnostics, self.strict, self.scope)
        self.open.pop()
        self.modules.append(module)

    def include(self, include: Include) -> None:
        """Read an included file where it is included: one of the project's interfaces if the path is a mere name of one, else relative to the
        including file. "./NAME" always means the file beside the including one."""
        path, name, chain = self.open[-1]
        if len(chain) > MAX_INCLUDE_DEPTH:
            self.diagnostics.error(include.place, f"includes nest deeper than {MAX_INCLUDE_DEPTH} files", "include")
            return
        for setting, value in include.settings.items():
            self.scope.give(setting, value)
        candidates = [(path.parent / include.path, str(Path(name).parent / include.path))]
        if "/" not in include.path:
            candidates.insert(0, (INTERFACE_DIR / include.path, f"userland/interfaces/{include.path}"))
        for candidate, candidate_name in candidates:
            if self.exists(candidate):
                self.read(candidate, candidate_name, include.place, chain)
                self.check_settings(include, candidate)
                return
        self.scope.incomplete = True
        self.diagnostics.error(include.place, f"\"{include.path}\" does not exist beside this file (or, as a mere name, in "
                               "userland/interfaces)", "include")

    def exists(self, path: Path) -> bool:
        """Whether there is a file, or a text instead of one."""
        try:
            return path.is_file() or bool(self.texts) and path.resolve() in self.texts
        except (OSError, ValueError):  # of names that no file can have
            return False

    def check_settings(self, include: Include, path: Path) -> None:
        """Report settings of an include that no parameter took, as none has the name or the file was included before."""
        for name, value in include.settings.items():
            if name not in self.scope.used:
                self.diagnostics.error(value.place, f"{path.name} has no parameter '{name}' (declare it there: parameter {name} = ...)", "parameter")
            elif name in self.scope.values and self.scope.values[name].value != value.value:
                self.diagnostics.error(value.place, f"'{name}' of {path.name} was set to {self.scope.values[name]} before (set it once)", "parameter")


def read_modules(path: Path, diagnostics: Diagnostics, strict: bool = True, settings: Iterable[str] = (),
                 texts: Mapping[Path, str] | None = None) -> list[Module]:
    """Parse `path` and its includes: the modules, included ones first. settings: `NAME=VALUE` for parameters. texts: see Reader."""
    reader = Reader(diagnostics, strict, texts)
    values = read_settings(settings, diagnostics)
    for name, value in values.items():
        reader.scope.give(name, value)
    reader.read(Path(path), str(path), None, ())
    for name in values:
        if name not in reader.scope.used and diagnostics.ok:
            diagnostics.error(None, f"--set {name}: the description has no parameter '{name}'", "parameter")
    return reader.modules


def read_file(path: Path, diagnostics: Diagnostics) -> Module | None:
    """Parse one file for its syntax alone: included files are not read. Gives the syntax.Module."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        diagnostics.error(None, f"{path}: is no UTF-8 text", "include")
        return None
    return parse(Source(str(path), text, Path(path)), diagnostics, scope=Scope(syntax_only=True))


def make_system(modules: list[Module]) -> System:
    """The component level of parsed modules, with what restarting adds."""
    components, connections = expand([item for module in modules for item in module.components],
                                     [item for module in modules for item in module.connections])
    return System([item for module in modules for item in module.interfaces], components, connections)


def load_interfaces(path: Path, settings: Iterable[str] = ()) -> tuple[list[Interface], Diagnostics]:
    """The interfaces (syntax.Interface) of `path` and its includes, and the Diagnostics. Only what concerns interfaces is checked. settings: as of load."""
    diagnostics = Diagnostics()
    modules = read_modules(path, diagnostics, settings=settings)
    system = make_system(modules)
    for item in component_checks.COMPONENT_CHECKS:
        if item.name in ("interface-names", "message-length", "message-caps"):
            for place, message in item.function(system):
                diagnostics.error(place, message, item.name)
    return list(system.interfaces.values())[::-1], diagnostics


def set_architecture(spec: Spec, modules: list[Module], diagnostics: Diagnostics) -> None:
    """The architecture that the modules agree on; aarch64 when none says."""
    given = [module for module in modules if module.arch]
    spec.arch = given[-1].arch if given else "aarch64"
    for module in given:
        if module.arch != spec.arch:
            diagnostics.error(module.arch_place, f"'{module.arch}' differs from '{spec.arch}' of the including file", "architecture")


def elaborate_components(spec: Spec, system: System, diagnostics: Diagnostics, elf_dirs: Sequence[Path], dtb: Path | None, out_dir: Path | None,
                         partial: bool) -> None:
    """Elaborate the component level into `spec`, and write ComponentInfo pages to `out_dir`."""
    # Imported here, as a system without components needs neither libfdt nor the API description.
    from kernel.api.description import DescriptionError

    from .component_info import layout
    from .components import Elaborator
    from .devicetree import Board, DeviceProblem
    board = None
    try:
        api_hash = layout().api_hash().to_bytes(8, "little")
    except DescriptionError as problem:
        diagnostics.error(None, f"the API description is wrong:\n{problem}", "api-description")
        return
    if dtb is not None:
        try:
            board = Board(Path(dtb))
        except DeviceProblem as problem:
            diagnostics.error(None, str(problem), "device-tree")
            return
    elaborator = Elaborator(spec, system, diagnostics, elf_dirs, board, api_hash, partial)
    elaborator.elaborate()
    if out_dir is not None and diagnostics.ok:
        Path(out_dir).mkdir(parents=True, exist_ok=True)
        for name, content in elaborator.info_pages.items():
            spec.files[name] = Path(out_dir) / name
            spec.files[name].write_bytes(content)


def find_fill_files(spec: Spec, diagnostics: Diagnostics, folders: list[Path], generated: Collection[str]) -> None:
    """Fill Spec.files for the files that fills name; generated: names that need not exist."""
    missing: dict[str, Object] = {}
    for item in spec.objects.values():
        for fill in item.fills:
            if fill.kind == FILL_FILE and fill.file not in spec.files and fill.file not in generated:
                missing.setdefault(fill.file, item)
    for name, item in missing.items():
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is None:
            searched = ", ".join(str(folder) for folder in folders)
            diagnostics.error(item.place, f"the file \"{name}\" that fills '{item.name}' does not exist in {searched}", "fill-file")
        else:
            spec.files[name] = path


def load(path: Path, *, elf_dirs: Sequence[Path] = (), dtb: Path | None = None, out_dir: Path | None = None, loadable: bool = True, partial: bool = False,
         strict: bool = True, settings: Iterable[str] = (), judged: bool = True, texts: Mapping[Path, str] | None = None) -> tuple[Spec, Diagnostics]:
    """Read, elaborate and check a description.

    path: the file. elf_dirs: directories with the components' ELF files and with files that fills name; the description's own directory
    is searched last. dtb: flattened device tree blob of the board, needed when components have devices or interrupts. out_dir: where the
    ComponentInfo pages are written (NAME.info), created when missing; None: they are not written, and Spec.files lacks them.
    loadable: check also that a Caprock kernel can hold the system. partial: without elf_dirs leave programs out, and without dtb
    devices, instead of reporting them. strict: findings of strict checks are errors. settings: `NAME=VALUE` for each parameter that the caller sets.
    judged: violations of its policy are errors. texts: of files that are not as on the disk, by resolved path.

    Returns (model.Spec, Diagnostics). The Spec is complete only when `diagnostics.ok`.
    """
    path = Path(path)
    diagnostics = Diagnostics()
    spec = Spec(name=path.stem)
    modules = read_modules(path, diagnostics, strict, settings, texts)
    if not diagnostics.ok:
        check_rest(spec, modules, diagnostics, strict, loadable)
        return spec, diagnostics
    set_architecture(spec, modules, diagnostics)
    spec.memory = [item for module in modules for item in module.memory]
    folders = [Path(folder) for folder in elf_dirs]
    if folders or not partial:
        folders.append(path.parent)
    system = make_system(modules)
    component_checks.run(system, diagnostics)
    resolver = Resolver(spec, diagnostics, strict)
    resolver.resolve(modules)
    if system.all_components and diagnostics.ok:
        if spec.arch != "aarch64":
            diagnostics.error(system.all_components[0].place, f"components run on aarch64 only, not on {spec.arch}", "architecture")
            return spec, diagnostics
        elaborate_components(spec, system, diagnostics, folders, dtb, out_dir, partial)
    if folders and diagnostics.ok:
        find_fill_files(spec, diagnostics, folders, {TABLE_FILE, *(component.info for component in spec.components.values())})
    checks.run(spec, diagnostics, strict, loadable)
    spec.policy = make_policy([clause for module in modules for clause in module.policy], system, dtb)
    spec.calls = list(make_calls(system))
    if judged and diagnostics.ok:
        check_policy(spec, diagnostics)
    return spec, diagnostics


def make_calls(system: System) -> Iterator[Call]:
    """Who calls whom, and how long that takes."""
    for connection, client, server in system.calls():
        port = system.port(connection.target, "provides")
        interface = None if port is None else system.interfaces.get(port.type)
        if interface is not None:
            yield Call(client.name, server.name, tuple((method.name, method.wcet) for method in interface.methods), connection.place)


def check_rest(spec: Spec, modules: list[Module], diagnostics: Diagnostics, strict: bool, loadable: bool) -> None:
    """Report what else is wrong in modules that were not understood in all parts, but for what those parts may be the reason of."""
    damage = Damage(whole=any(finding.check not in PARSERS_CODES for finding in diagnostics.errors), architecture=not any(module.arch for module in modules))
    for module in modules:
        damage.join(module.damage)
    later = Diagnostics()
    set_architecture(spec, modules, later)
    component_checks.run(make_system(modules), later)
    Resolver(spec, later, strict).resolve(modules)
    checks.run(spec, later, strict, loadable)
    diagnostics.findings += damage.unexplained(later.findings)


def check_policy(spec: Spec, diagnostics: Diagnostics) -> None:
    """Report how a system without errors violates its policy."""
    from .devicetree import DeviceProblem  # which needs libfdt
    try:
        judge_policy(spec).report(diagnostics)
    except DeviceProblem as problem:
        diagnostics.error(None, str(problem), "device-tree")


def check_placement(spec: Spec, diagnostics: Diagnostics, build_dir: Path, machine: str, dtb: Path | None) -> None:
    """Report what of a system without errors cannot be placed: in the memory that its description declares, and on a board. build_dir: the build
    folder with the planner. machine: the board's name; dtb: its device tree, or None for no board."""
    from .alloc.fit import check_system
    from .lower import lower_or_report
    tables = lower_or_report(spec, diagnostics)
    if tables is not None:
        check_system(spec, tables, diagnostics, build_dir, machine, dtb)


def judge(path: Path) -> Diagnostics:
    """What the reference tool for capDL has against a file (Diagnostics); what this tool has beyond that are warnings. A dump is a file, too."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        diagnostics = Diagnostics()
        diagnostics.error(None, f"{path}: is no UTF-8 text", "include")
        return diagnostics
    diagnostics = verdict.judge(Source(str(path), text, Path(path)))
    if diagnostics.ok:
        for finding in load_text(text, str(path), strict=False)[1].findings:
            diagnostics.warning(finding.place, finding.message, finding.check)
    return diagnostics


def load_text(text: str, name: str = "<text>", **options: bool) -> tuple[Spec, Diagnostics]:
    """As `load` for plain capDL in memory; options: strict, loadable. Files that fills name are not looked for."""
    diagnostics = Diagnostics()
    spec = Spec(name=name)
    modules = [parse(Source(name, text), diagnostics, options.get("strict", True))]
    set_architecture(spec, modules, diagnostics)
    if diagnostics.ok:
        Resolver(spec, diagnostics, options.get("strict", True)).resolve(modules)
        checks.run(spec, diagnostics, options.get("strict", True), options.get("loadable", False))
    return spec, diagnostics
