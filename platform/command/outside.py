# SPDX-License-Identifier: BSD-2-Clause
"""Components outside the project's tree: beside a description, each NAME.cc or NAME.c is the program of `elf "NAME.elf"`.

They are compiled with the project's SDK exactly as its own components are: the build leaves compiler, options and libraries in sdk.json.
"""

import hashlib
import json
import subprocess
from pathlib import Path

from . import BUILD, ROOT
from .errors import Finding


# Options of the C++ compiler that C does not have.
_ONLY_CPP = ("-std=", "-fno-rtti", "-fno-threadsafe-statics")


def is_outside(system: Path) -> bool:
    """Whether a description lies outside the project's tree, whose own components the build system makes."""
    return not system.resolve().is_relative_to(ROOT)


def identifier(system: Path) -> str:
    """The folder name that stands for a description in the build folder: its name, and for those outside the tree a mark of where they are."""
    if not is_outside(system):
        return system.stem
    return f"{system.stem}-{hashlib.sha256(str(system.resolve().parent).encode()).hexdigest()[:12]}"


def build_components(system: Path, settings: list[str]) -> list[Path]:
    """Compiles the programs beside a description that lies outside the tree and names them.

    Returns the folders to look for them in: none for a description of the project. A Finding, after the compiler's words, if one does not
    compile.
    """
    if not is_outside(system):
        return []
    folder = BUILD / "systems" / identifier(system) / "programs"
    folder.mkdir(parents=True, exist_ok=True)
    sdk = json.loads((BUILD / "platform" / "sdk" / "sdk.json").read_text(encoding="utf-8"))
    _make_stubs(system, folder / "interfaces", settings)
    description = system.read_text(encoding="utf-8", errors="replace")
    for source in sorted([*system.parent.glob("*.cc"), *system.parent.glob("*.c")]):
        if f'"{source.stem}.elf"' in description:
            _compile(sdk, source, folder)
    return [folder]


def _make_stubs(system: Path, folder: Path, settings: list[str]) -> None:
    """Makes the headers of the interfaces that a description declares or includes. settings: `NAME=VALUE` for its parameters."""
    from capdl import stubs

    _, diagnostics = stubs.generate(system, folder, settings)
    if not diagnostics.ok:
        raise Finding(f"{system}: its interfaces cannot be used\n{diagnostics.render().rstrip()}")


def _compile(sdk: dict, source: Path, folder: Path) -> None:
    """Compiles and links one program. Its source is named as if it lay in the root, so that no path of this machine reaches the result."""
    elf = folder / f"{source.stem}.elf"
    arguments, language = sdk["arguments"], []
    if source.suffix == ".c":
        arguments, language = [argument for argument in arguments if not argument.startswith(_ONLY_CPP)], ["-x", "c", "-std=gnu11"]
    command = [*sdk["compiler"], *arguments, "-g", f"-ffile-prefix-map={source.parent}=.", f"-I{folder}", *language, str(source), "-x", "none",
               "-o", str(elf), *sdk["link"]]
    done = subprocess.run(command, cwd=BUILD, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Finding(f"{source} does not compile:\n{done.stderr.rstrip()}")
