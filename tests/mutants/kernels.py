# SPDX-License-Identifier: BSD-2-Clause
"""Kernels with mutants: one that holds all of them, from which a number in memory chooses, and one for each that is `separate`.

The sources that have mutants are copies in the build folder; compiler and options are those of the production kernel, as its build has them
(less -Werror: a mutant may leave something unused). Nothing of this is in kernel/."""

import fcntl
import os
import shlex
import subprocess
from pathlib import Path

from catalogue import KERNEL, CatalogueError, Mutant, separate_source, sources

# Where the build puts the objects of hot and of cold files.
_OBJECTS = ("kernel/kernel.elf.p/", "kernel/libkernel-cold.a.p/")
_MARKER = b"caprock: this mutant is chosen: "   # followed by the number, in eight bytes

_HEADER = """// SPDX-License-Identifier: BSD-2-Clause
// Chooses a mutant; included before everything else in each of the kernel's sources. Made by tests/mutants: do not edit.
#ifndef CAPROCK_MUTANT
#ifndef __ASSEMBLER__
struct CaprockMutant {
    char marker[32];
    unsigned long number;
};
extern "C" volatile const CaprockMutant caprock_mutant;
#define CAPROCK_MUTANT(wanted) (!__builtin_is_constant_evaluated() && caprock_mutant.number == (wanted))
#endif
#endif
"""
_CHOICE = f"""// SPDX-License-Identifier: BSD-2-Clause
// The number of the mutant that is chosen, 0 for none: to be changed in the Image. Made by tests/mutants: do not edit.
extern "C" [[gnu::used]] volatile const CaprockMutant caprock_mutant{{{{{', '.join(str(byte) for byte in _MARKER)}}}, 0}};
"""


class Kernels:
    """The Images of a catalogue's mutants, in a folder of their own in the project's build folder, which must be up to date."""

    def __init__(self, build: Path, mutants: list[Mutant]):
        self._build = build
        self._kernel = os.path.relpath(KERNEL, build)   # as the build's commands name it
        self._folder = build / "mutants"
        self._mutants = mutants

    def make(self, jobs: int) -> None:
        """Compiles what is not up to date. CatalogueError if a place is not found or a mutant does not compile."""
        self._folder.mkdir(exist_ok=True)
        with (self._folder / ".lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._write_sources()
            _write(self._folder / "build.ninja", self._ninja(self._build_commands()))
            done = subprocess.run(["ninja", "-C", str(self._folder), "-j", str(jobs), "--quiet", "-k", "0"], capture_output=True, text=True,
                                  check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise CatalogueError(f"a kernel with mutants does not compile (CAPROCK_MUTANT names the entries):\n{_first_errors(done.stdout)}")

    def image(self, mutant: Mutant | None) -> bytes:
        """The Image in which a mutant is chosen; None: the one with all of them, none chosen."""
        if mutant is not None and mutant.separate:
            return (self._folder / f"Image-{mutant.name}").read_bytes()
        image = bytearray((self._folder / "Image").read_bytes())
        at = image.find(_MARKER)
        if at < 0 or image.find(_MARKER, at + 1) >= 0:
            raise CatalogueError("the kernel with mutants does not hold its marker once")
        number = 0 if mutant is None else mutant.number
        image[at + len(_MARKER):at + len(_MARKER) + 8] = number.to_bytes(8, "little")
        return bytes(image)

    def _build_commands(self) -> list[str]:
        """The commands that make the production Image."""
        done = subprocess.run(["ninja", "-C", str(self._build), "-t", "commands", "platform/Image"], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise CatalogueError(f"{self._build}: no production Image is built there (./caprock build)")
        return done.stdout.splitlines()

    def _write_sources(self) -> None:
        """Copies the kernel's sources, those with mutants in their changed form."""
        changed = sources(self._mutants)
        copy = self._folder / "kernel"
        for path in KERNEL.rglob("*"):
            name = str(path.relative_to(KERNEL))
            if path.suffix in (".cc", ".hpp", ".h", ".S", ".ld") and path.is_file():
                _write(copy / name, changed.get(name) or path.read_text(encoding="utf-8"))
        for mutant in self._mutants:
            if mutant.separate:
                text = (KERNEL / mutant.file).read_text(encoding="utf-8")
                _write(copy / _separate_name(mutant), separate_source(mutant, text))
        _write(self._folder / "mutant.h", _HEADER)
        _write(self._folder / "mutant.cc", _CHOICE)

    def _ninja(self, lines: list[str]) -> str:
        """The build file: compiler commands of the production kernel with this folder's copies, and a shim around each kernel."""
        commands = [shlex.split(line) for line in lines]
        compiles = {words[-1]: words for words in commands if _output(words).startswith(_OBJECTS) and not _generated(_output(words))}
        link = self._command(commands, lambda words: _output(words) == "kernel/kernel.elf")
        shim = self._command(commands, lambda words: _output(words) == "platform/shim/shim-Image.elf")
        embed = self._command(commands, lambda words: any(word.endswith("shim/embed.py") for word in words))
        strip = self._command(commands, lambda words: words[-1] == "platform/Image")
        text = _RULES.format(embed=shlex.join(map(self._outside, embed[:-3])), objcopy=strip[0])
        text += "".join(self._compile(words, source.replace(self._kernel, "kernel", 1), _output(words)) for source, words in compiles.items())
        # Without link-time optimisation, so that the number stays where it is.
        choice = [word for word in next(iter(compiles.values())) if word != "-flto"]
        text += self._compile(choice, "mutant.cc", "mutant.o")
        text += self._image("Image", link, shim, {})
        for mutant in self._mutants:
            if mutant.separate:
                text += self._separate(mutant, compiles, link, shim)
        return text

    def _command(self, commands: list[list[str]], wanted) -> list[str]:
        found = next(filter(wanted, commands), None)
        if found is None:
            raise CatalogueError(f"{self._build}: the commands that make an Image are not as expected (adapt tests/mutants/kernels.py)")
        return found

    def _compile(self, words: list[str], source: str, output: str) -> str:
        """The statement that compiles a source of this folder by the command for another one."""
        before = _output(words)
        words = [word.replace(before, output) for word in words[:-1] if word != "-Werror"]
        words = [words[0], "-include", "mutant.h", *map(self._include, words[1:]), "-w", source]
        return f"build {output}: compile {source} | mutant.h\n    line = {_escape(words)}\n    dependencies = {output}.d\n"

    def _separate(self, mutant: Mutant, compiles: dict[str, list[str]], link: list[str], shim: list[str]) -> str:
        """The statements for a separate mutant's kernel."""
        words = compiles.get(f"{self._kernel}/{mutant.file}")
        if words is None:
            raise CatalogueError(f"{mutant.place}: kernel/{mutant.file} is not compiled by itself (a separate mutant needs a .cc or .S file)")
        output = f"separate/{mutant.name}.o"
        text = self._compile(words, f"kernel/{_separate_name(mutant)}", output)
        return text + self._image(f"Image-{mutant.name}", link, shim, {_output(words): output})

    def _image(self, image: str, link: list[str], shim: list[str], instead: dict[str, str]) -> str:
        """The statements that link a kernel, embed it in a shim and make its Image."""
        inputs = [instead.get(word, word) for word in link if word.endswith(".o") and not _generated(word)] + ["mutant.o"]
        outside = [self._outside(word) for word in link if word.endswith(".o") and _generated(word)]
        flags = [word for word in link[1:] if not word.endswith(".o") and word not in ("-o", _output(link))]
        kernel = [link[0], "-o", f"{image}.kernel", *inputs, *outside, *flags]
        own = f"{image}.S.o"
        wrapper = [own if word.endswith("kernel-Image.S.o") else f"{image}.shim" if word == _output(shim) else self._outside(word) for word in shim[1:]]
        return "".join((
            f"build {image}.kernel: link {' '.join(inputs)}\n    line = {_escape(kernel)}\n",
            f"build {image}.S {image}.stripped: embed {image}.kernel\n    stripped = {image}.stripped\n    source = {image}.S\n",
            f"build {own}: link {image}.S\n    line = {_escape([shim[0], '-c', '-o', own, f'{image}.S'])}\n",
            f"build {image}.shim: link {own}\n    line = {_escape([shim[0], *wrapper])}\n",
            f"build {image}: binary {image}.shim\n"))

    def _include(self, word: str) -> str:
        """A compiler option of the build folder as this folder needs it: the kernel's own headers are its copies."""
        path = word.removeprefix("-I")
        if path == word:
            return word
        if path.startswith(self._kernel) and not path.startswith(f"{self._kernel}/api"):
            return f"-I{path.replace(self._kernel, 'kernel', 1)}"
        return f"-I{os.path.normpath(self._build / path)}"

    def _outside(self, word: str) -> str:
        """A path of the build folder as this folder needs it; other words as they are."""
        return word if word.startswith("-") or "/" not in word else os.path.normpath(self._build / word)


_RULES = """# Made by tests/mutants/kernels.py: do not edit.
rule compile
    command = $line
    description = $out
    depfile = $dependencies
    deps = gcc
rule link
    command = $line
    description = $out
rule embed
    command = {embed} $in $stripped $source
rule binary
    command = {objcopy} -O binary $in $out
"""


def _first_errors(output: str) -> str:
    """What a compiler says first, without its command line."""
    lines = [line for line in output.splitlines() if not line.startswith(("FAILED", "aarch64-", "ninja:"))]
    return "\n".join(lines[:40])


def _output(words: list[str]) -> str:
    """What a compiler command makes."""
    return words[words.index("-o") + 1] if "-o" in words[:-1] else ""


def _generated(name: str) -> bool:
    """Whether an object is of a source that the build makes."""
    return "meson-generated_" in name


def _separate_name(mutant: Mutant) -> str:
    path = Path(mutant.file)
    return str(path.with_name(f"{path.stem}.{mutant.name}{path.suffix}"))


def _escape(words: list[str]) -> str:
    """A command line in a build file."""
    return shlex.join(words).replace("$", "$$")


def _write(path: Path, text: str) -> None:
    """Writes a file unless it holds that text: what did not change is not compiled again."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
