# SPDX-License-Identifier: BSD-2-Clause
"""Short runs of the kernel's fuzzer, and every failure that it ever found (`./caprock fuzz kernel` makes long runs)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(Path(__file__).resolve().parent)]

import tables  # noqa: E402
from command import fuzzing  # noqa: E402
from command.counts import add_up  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
FOLDER = BUILD / "tests" / "fuzz"
SEEDS = sorted((ROOT / "tests" / "fuzz" / "seeds").glob("*.seed"))
MACHINES = (("Image-debug", ("virt", "gic=2", "el=1", "cores=1")), ("Image", ("virt", "gic=3", "el=2")))


def host(*arguments) -> subprocess.CompletedProcess:
    """Runs the fuzzer of the host."""
    return subprocess.run([FOLDER / "fuzz-kernel", *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False, errors="replace")


def target(operations: int, image: str, machine: tuple[str, ...], seed: int = 1) -> subprocess.CompletedProcess:
    """Runs the fuzzer of the target."""
    return subprocess.run([sys.executable, "-B", ROOT / "tests" / "fuzz" / "run_target.py", "--seed", str(seed), "--ops", str(operations), "--image",
                           BUILD / "platform" / image, *machine], capture_output=True, text=True, timeout=600, check=False)


def counts(line: str) -> dict[str, int]:
    """The counts that a run prints, by their names."""
    return {name: int(number) for number, name in re.findall(r"(\d+) ([a-z][a-z ]*[a-z])", line)}


def test_the_host_finds_nothing():
    done = host("--seed", 1, "--ops", 60_000)
    assert done.returncode == 0, done.stdout + done.stderr
    found = counts(done.stdout)
    assert found["operations"] == 60_000
    # A generator that no check passes would find nothing either.
    assert found["invocations done"] > 3_000
    assert found["components"] >= 6


def test_every_method_is_called_with_success():
    done = host("--seed", 500, "--ops", 60_000, "--methods")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if "::" in line.split(" ")[0]]
    assert len(lines) > 60
    # A component holds IRQControl for a short time only: its supervisor has it, and uses it on the component's behalf.
    assert {line[0] for line in lines if line[1] == "0"} <= {"IRQControl::Get", "IRQControl::IssueSGISignal"}


def test_a_seed_repeats():
    runs = [host("--seed", 7, "--ops", 5_000) for _ in range(2)]
    assert runs[0].returncode == 0
    assert "digest" in runs[0].stdout
    assert runs[0].stdout == runs[1].stdout
    assert host("--seed", 8, "--ops", 5_000).stdout != runs[0].stdout


@pytest.mark.parametrize("image, machine", MACHINES)
def test_the_target_finds_nothing(image, machine):
    done = target(8_000, image, machine)
    assert done.returncode == 0, done.stdout + done.stderr
    found = counts(done.stdout)
    assert found["operations"] == 8_000
    assert found["invocations done"] > 500


def test_a_run_on_the_target_repeats():
    runs = [target(1_000, *MACHINES[0]) for _ in range(2)]
    assert runs[0].returncode == 0
    assert "digest" in runs[0].stdout
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.parametrize("seed", SEEDS, ids=[path.stem for path in SEEDS])
def test_a_failure_of_the_past(seed):
    status, line = fuzzing.run_inputs([seed])
    assert status == 0, line


def test_coverage_guides(tmp_path):
    program = FOLDER / "fuzz-guided"
    if not program.exists():
        pytest.skip("clang 19 or its libFuzzer is missing (./caprock setup dev)")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "first").write_bytes(bytes(range(256)) * 8)
    done = subprocess.run([program, corpus, "-runs=200", "-max_len=2048", "-len_control=0", "-seed=1", f"-artifact_prefix={tmp_path}/"],
                          capture_output=True, text=True, timeout=600, check=False, errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
    covered = [int(number) for number in re.findall(r"cov: (\d+)", done.stderr)]
    assert covered[-1] > covered[0] > 0


@pytest.mark.parametrize("arguments", [("--ops",), ("--ops", "many"), ("--frob",)])
def test_wrong_usage_of_the_host(arguments):
    done = host(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: fuzz-kernel")


def test_an_input_that_is_not_there(tmp_path):
    done = host(tmp_path / "nothing")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize("text, expected", [
    ("0 to domains - 1", (0, 15)),
    ("1 to retype_fan_out_limit", (1, 256)),
    ("0 to the frame's size - 1", (0, tables.PROSE_RANGE)),
    ("any; unnamed bits are ignored", None),
])
def test_ranges_are_read_from_the_description(text, expected):
    assert tables.limits(text, {"domains": 16, "retype_fan_out_limit": 256}) == expected


def test_pieces_cover_a_run():
    pieces = fuzzing.pieces("target", None, 5, 600_000)
    assert [(piece.kernel, piece.operations) for piece in pieces] == [("debug", 250_000), ("production", 250_000), ("debug", 100_000)]
    assert [piece.seed for piece in pieces] == [5, 1_005, 2_005]


def test_counts_are_added():
    assert add_up(["fuzz host: 5 operations, 2 system calls (1 refused)", "fuzz host: 6 operations, 1 system calls (2 refused)"]) \
        == "11 operations, 3 system calls, 3 refused"
