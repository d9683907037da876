# SPDX-License-Identifier: BSD-2-Clause
"""The build folder: configured when needed, compiled under a lock, quiet unless something is wrong."""

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager

from . import BUILD, ROOT
from .errors import Finding, say
from .requirements import check_tiers

CROSS_FILE = ROOT / "cross-aarch64.ini"
_TOOLS_RECORD = "caprock-tools.txt"


def build(quiet: bool = True, jobs: int | None = None, tests: bool = False, more: tuple[str, ...] = ()) -> None:
    """Configures the build folder if that is due, and compiles with `jobs` processes (None: one per core): all that systems are made of, with
    `tests` the tests' programs too, and the targets `more`.

    A Finding, after the compiler's own words, if something does not compile.
    """
    targets = [*(["all", "meson-test-prereq"] if tests else ["systems"]), *more]
    with locked():
        _configure()
        if quiet and _up_to_date(targets):
            return
        say(f"building in {BUILD}")
        command = ["ninja", "-C", str(BUILD), *(["-j", str(jobs)] if jobs else []), *(["--quiet"] if quiet else []), *targets]
        _run(command, "the build failed (the lines above say where)", quiet)
    if not quiet:
        say(f"kernel methods that are planned and answer IllegalOperation: {', '.join(planned_methods()) or 'none'}")


def planned_methods() -> list[str]:
    """The methods that the API description names and the kernel does not implement, as Object::Method."""
    command = ["/usr/bin/python3", "-B", str(ROOT / "kernel" / "api" / "generate.py"), "--list-planned"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def python_environment() -> dict[str, str]:
    """The environment for the project's own Python programs: they find its packages, and leave no caches in the sources."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def locked():
    """Keeps two commands from building in the same folder at once."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / ".caprock.lock").open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _configure() -> None:
    """Runs `meson setup` on a new folder, and again when tools came or went: tests that lack theirs are skipped until then."""
    record = BUILD / _TOOLS_RECORD
    tools = "".join(f"{state.requirement.package} {state.condition} {state.version}\n" for state in check_tiers(("run", "dev", "proofs")))
    configured = (BUILD / "build.ninja").exists()
    if configured and record.exists() and record.read_text(encoding="utf-8") == tools:
        return
    say(f"configuring {BUILD}")
    command = ["meson", "setup", str(BUILD), str(ROOT)]
    command += ["--reconfigure", "--clearcache"] if configured else ["--cross-file", str(CROSS_FILE)]
    _run(command, "configuring failed (the lines above say why)", quiet=True)
    record.write_text(tools, encoding="utf-8")


def _up_to_date(targets: list[str]) -> bool:
    """Whether there is nothing to compile."""
    done = subprocess.run(["ninja", "-C", str(BUILD), "-n", *targets], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode == 0 and "no work to do" in done.stdout


def _run(command: list[str], problem: str, quiet: bool) -> None:
    """Runs a build tool; with `quiet` its output is shown only if it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if quiet else None,
                              stderr=subprocess.STDOUT if quiet else None, text=True, check=False, env=python_environment())
    except OSError as error:
        raise Finding(f"{command[0]} cannot be run: {error.strerror} (`./caprock setup run` installs it)") from error
    if done.returncode != 0:
        if quiet:
            sys.stderr.write(done.stdout)
        raise Finding(problem)
