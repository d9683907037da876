# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock fuzz kernel`: random system calls against the kernel, on the host and on the target, in pieces that have seeds of their own.

A piece is a run of one of the fuzzer's programs (tests/fuzz). It prints one line of counts, which are added up, or one that says what is wrong."""

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from random import Random

from . import BUILD, ROOT, systems
from .counts import add_up
from .errors import Finding, Usage, say

_FOLDER = BUILD / "tests" / "fuzz"
_CORPUS = BUILD / "fuzz" / "corpus"
_SEEDS = ROOT / "tests" / "fuzz" / "seeds"
_COMPONENT_OPERATIONS = 10_000  # one seed each
_PIECE_SEEDS = 1_000  # components can end early: more than a piece uses
_HOST_PIECE, _TARGET_PIECE = 1_000_000, 250_000
_TARGET_RATE = 200  # operations in a second, at the very least
_INPUT_BYTES = 8192
_FIRST_INPUTS = 64
_KERNELS = {"debug": "Image-debug", "production": "Image"}


@dataclass(frozen=True)
class Piece:
    """A part of a run: on the "host", or on the "target" with a debug or production kernel."""

    form: str
    kernel: str
    seed: int
    operations: int


def fuzz(options) -> int:
    """Does what the options of `./caprock fuzz` say; 0 if nothing is wrong, 1 after a line that says what is and how to see it again."""
    if options.part == "capdl":
        from . import fuzzing_capdl
        return fuzzing_capdl.fuzz(options)
    _check(options)
    systems.prepare(not options.no_install, tier="run" if options.no_install else "dev", more=("fuzzers",))
    if options.guided is not None:
        return _guided(options.guided, options.jobs)
    if options.replay is not None and not options.replay.isdecimal():
        return _replay_file(Path(options.replay))
    seed = int(options.replay) if options.replay is not None else options.seed
    operations = _COMPONENT_OPERATIONS if options.replay is not None else options.ops
    forms = [form for form in ("host", "target") if getattr(options, form)] or (["host"] if options.replay is not None else ["host", "target"])
    return max(_campaign(form, options.kernel, seed, operations, options.jobs) for form in forms)


def _check(options) -> None:
    """Usage if the options do not go together."""
    if options.inputs is not None:
        raise Usage("--inputs is for capdl (fuzz kernel counts --ops)")
    if options.replay is not None:
        if options.guided is not None or options.ops is not None:
            raise Usage("--replay repeats one run: give neither --ops nor --guided with it")
        if not options.replay.isdecimal():
            if options.target:
                raise Usage("--target replays a seed, not a file: inputs are for the host")
            read_input(Path(options.replay))
    if options.guided is not None and (options.target or options.ops is not None):
        raise Usage("--guided runs on the host, for seconds: give neither --target nor --ops with it")


def pieces(form: str, kernel: str | None, seed: int, operations: int) -> list[Piece]:
    """The run of `operations` operations from `seed` on, in pieces. On the target, without a kernel given, both take turns."""
    length = _HOST_PIECE if form == "host" else _TARGET_PIECE
    kernels = [kernel] if kernel else list(_KERNELS)
    return [Piece(form, kernels[number % len(kernels)] if form == "target" else "debug", seed + number * _PIECE_SEEDS,
                  min(length, operations - number * length)) for number in range(-(-operations // length))]


def read_input(path: Path) -> bytes:
    """The bytes of an input: a file of libFuzzer's, or a kept failure, which holds them as text after comments."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Usage(f"{path}: {error.strerror} (give a seed, or the file of an input)") from error
    if path.suffix != ".seed":
        return content
    text = "".join(line for line in content.decode("utf-8").splitlines() if not line.startswith("#"))
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise Usage(f"{path}: {error} (a kept failure is comments, then hexadecimal digits)") from error


def run_inputs(inputs: list[Path]) -> tuple[int, str]:
    """Runs files of inputs on the host; the status, and the last line of what it printed."""
    with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
        copies = []
        for number, path in enumerate(inputs):
            copies.append(Path(folder) / f"{number}-{path.name}")
            copies[-1].write_bytes(read_input(path))
        return _run([str(_FOLDER / "fuzz-kernel"), *map(str, copies)])


def run_piece(piece: Piece) -> tuple[int, str]:
    """Runs a piece; the status, and the line that it printed last."""
    options = ["--seed", str(piece.seed), "--ops", str(piece.operations)]
    if piece.form == "host":
        return _run([str(_FOLDER / "fuzz-kernel"), *options])
    image = BUILD / "platform" / _KERNELS[piece.kernel]
    patience = 60 + piece.operations // _TARGET_RATE
    return _run([sys.executable, "-B", str(ROOT / "tests" / "fuzz" / "run_target.py"), *options, "--image", str(image), "--timeout", str(patience),
                 "virt", "gic=2", "el=1", "cores=1"])


def _run(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, errors="replace")
    lines = done.stdout.strip().splitlines()
    # A sanitizer says more than one line: all of it helps.
    if done.returncode != 0 and not any("failure: " in line for line in lines):
        return done.returncode, done.stdout.strip()
    return done.returncode, lines[-1] if lines else "it printed nothing"


def _campaign(form: str, kernel: str | None, seed: int, operations: int | None, jobs: int) -> int:
    """Runs one form in pieces, `jobs` at a time, and prints the sum of their counts."""
    operations = operations or (_HOST_PIECE if form == "host" else _TARGET_PIECE)
    lines, done = [], 0
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(run_piece, piece): piece for piece in pieces(form, kernel, seed, operations)}
        for future in as_completed(running):
            piece, (status, line) = running[future], future.result()
            if status != 0:
                pool.shutdown(wait=True, cancel_futures=True)
                return _report(piece, line)
            lines.append(line)
            done += piece.operations
            if done < operations:
                say(f"{done} of {operations} operations on the {form}")
    print(f"fuzz {form}: {add_up(lines)}")
    return 0


def _report(piece: Piece, line: str) -> int:
    """Says what a piece found, and how to see it again."""
    print(line)
    seed = re.search(r"seed (\d+)", line)
    again = f"--replay {seed[1]}" if seed else f"--seed {piece.seed} --ops {piece.operations}"
    kernel = f" --kernel {piece.kernel}" if piece.form == "target" else ""
    print(f"fuzz {piece.form}: to see it again: ./caprock fuzz kernel --{piece.form}{kernel} {again}")
    return 1


def _replay_file(path: Path) -> int:
    status, line = run_inputs([path])
    print(line)
    return 1 if status else 0


def _fill_corpus() -> None:
    """Gives libFuzzer something to begin with: the kept failures, and bytes that are long enough for a component to do something."""
    _CORPUS.mkdir(parents=True, exist_ok=True)
    for seed in _SEEDS.glob("*.seed"):
        (_CORPUS / seed.stem).write_bytes(read_input(seed))
    if len(list(_CORPUS.iterdir())) >= _FIRST_INPUTS:
        return
    random = Random(1)
    for number in range(_FIRST_INPUTS):
        (_CORPUS / f"first-{number}").write_bytes(random.randbytes(random.randrange(256, _INPUT_BYTES)))


def _guided(seconds: int, jobs: int) -> int:
    """Runs libFuzzer for a while; its corpus stays in the build folder."""
    program = _FOLDER / "fuzz-guided"
    if not program.exists():
        raise Finding("the guided fuzzer was not built: clang 19 or its libFuzzer is missing (./caprock setup dev)")
    _fill_corpus()
    artifacts = BUILD / "fuzz"
    command = [str(program), str(_CORPUS), f"-max_total_time={seconds}", f"-max_len={_INPUT_BYTES}", "-len_control=0", "-print_final_stats=1",
               f"-artifact_prefix={artifacts}/", *([f"-fork={jobs}"] if jobs > 1 else [])]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, errors="replace")
    runs = re.findall(r"^#(\d+).*?cov: (\d+)", done.stdout, re.MULTILINE)
    if done.returncode == 0:
        print(f"fuzz guided: {runs[-1][0]} inputs, {runs[-1][1]} edges covered" if runs else done.stdout.strip().splitlines()[-1])
        return 0
    print("\n".join(done.stdout.strip().splitlines()[-60:]))
    found = re.search(r"Test unit written to (\S+)", done.stdout)
    if found:
        print(f"fuzz guided: to see it again: ./caprock fuzz kernel --replay {found[1]}")
    return 1
