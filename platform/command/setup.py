# SPDX-License-Identifier: BSD-2-Clause
"""Set-up: says what is missing and how large it is, then installs it with the machine's own apt."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import BUILD, host
from .errors import Finding, say
from .requirements import BACKPORTS, NEEDED_TIERS, RELEASE, TIERS, Requirement, State, check_tiers, expected

APT_FOLDER = Path("/etc/apt")
DERIVED_NAME = "caprock-backports"
_APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}

FETCHED = {
    "run": {"libfdt": ("libfdt for the boot shim, and the package lists that it is in", 10)},
    "dev": {
        "rpi4-dtb": ("the Raspberry Pi 4's device tree, from the kernel package", 60),
        "u-boot-rpi": ("U-Boot for the Raspberry Pi 4", 1),
        "raspi-firmware": ("the Raspberry Pi's boot firmware, and the package lists that it is in", 15),
    },
}
"""What tiers take from packages of other architectures (platform/fetch.py's names): what it is, and about how many MB are downloaded.

What belongs to `dev` is also fetched when a verb first needs it."""


def install(tier: str, allowed: bool = True) -> bool:
    """Makes everything that `tier` needs present, and returns whether anything was installed.

    A tier is "run", "dev", "proofs" or "all". With `allowed` false nothing is installed: what is missing is a Finding then, as are another kind
    of host, a failed installation, and a package that does not give the version needed.
    """
    host.require_supported()
    lacking = [state for state in check_tiers(NEEDED_TIERS[tier]) if state.condition != "there"]
    if not lacking:
        return False
    if not allowed:
        raise Finding(f"{_listed(lacking)}: not installed because of --no-install (`./caprock setup {tier}` installs it)")
    prefix = _as_root()
    _announce(tier, lacking)
    _add_backports(prefix, [state.requirement for state in lacking])
    _update(prefix)
    packages = _wanted([state.requirement for state in lacking])
    _announce_size(prefix, packages)
    _apt(prefix, ["install", "--yes", "--no-install-recommends", *packages], f"installing {' '.join(packages)}")
    still = [state for state in check_tiers(NEEDED_TIERS[tier]) if state.condition != "there"]
    if still:
        raise Finding(f"installed, and yet {_listed(still)} (is another copy earlier on PATH? `./caprock doctor` shows each)")
    return True


def fetch(name: str, allowed: bool = True) -> None:
    """Fetches files of a package of another architecture (one of FETCHED) into the cache, unless they are there.

    A Finding if it cannot be had, or if it is not in the cache and `allowed` is false.
    """
    import fetch as fetcher  # in platform/, found on PYTHONPATH

    try:
        fetcher.fetch(name, offline=True)
    except fetcher.FetchError as missing:
        if not allowed:
            raise Finding(str(missing)) from missing
        purpose, megabytes = next(group[name] for group in FETCHED.values() if name in group)
        say(f"fetching {purpose} (about {megabytes} MB, kept in {fetcher.cache_folder()})")
        try:
            fetcher.fetch(name)
        except fetcher.FetchError as error:
            raise Finding(str(error)) from error


def derive_backports(apt_folder: Path) -> tuple[str, str] | None:
    """The sources entry for the backports suite, derived from the entry that the machine has for its release.

    Returns (file name, text), in the format of the entry that it was made from and with nothing but the suite changed; None if the suite is among
    the sources already. A Finding if no entry serves the release.
    """
    entries = list(_entries(apt_folder))
    if any(BACKPORTS in suites for suites, _, _ in entries):
        return None
    for suites, suffix, text in entries:
        if RELEASE in suites:
            return DERIVED_NAME + suffix, text
    raise Finding(f"no apt source below {apt_folder} serves {RELEASE} (add Debian's archive to sources.list.d)")


def _entries(apt_folder: Path):
    """Every enabled source of binary packages as (its suites, suffix of its format, its text with the backports suite in their place)."""
    parts = apt_folder / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
            fields = {name.lower(): value.split() for name, value in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE)}
            if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
                derived = re.sub(r"^(Suites:).*$", rf"\1 {BACKPORTS}", stanza.strip("\n"), flags=re.MULTILINE | re.IGNORECASE)
                yield fields.get("suites", []), ".sources", derived + "\n"
    for path in [apt_folder / "sources.list", *sorted(parts.glob("*.list"))]:
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            match = re.match(r"\s*(deb\s+(?:\[[^\]]*\]\s+)?\S+\s+)(\S+)(\s+.*)", line)
            if match:
                yield [match.group(2)], ".list", f"{match.group(1)}{BACKPORTS}{match.group(3)}\n"


def _add_backports(prefix: list[str], lacking: list[Requirement]) -> None:
    """Adds the backports suite to the machine's sources if something that is missing comes from there."""
    if not any(requirement.from_backports for requirement in lacking):
        return
    derived = derive_backports(APT_FOLDER)
    if derived is None:
        return
    path = APT_FOLDER / "sources.list.d" / derived[0]
    say(f"adding {path} (the suite {BACKPORTS} of the archive that this machine uses)")
    done = subprocess.run([*prefix, "tee", str(path)], input=derived[1], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Finding(f"{path} cannot be written: {done.stderr.strip()}")


def _as_root() -> list[str]:
    """What to put before a command that needs root."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        return ["sudo"]
    raise Finding("installing needs root, and there is no sudo: run as root once `./caprock setup`")


def _announce(tier: str, lacking: list[State]) -> None:
    """Says what each tier that lacks something will get, before anything is done."""
    by_package = {state.requirement.package: state for state in lacking}
    for name in NEEDED_TIERS[tier]:
        purpose, requirements = TIERS[name]
        packages = [requirement.package for requirement in requirements if requirement.package in by_package]
        if packages:
            say(f"tier {name} ({purpose}) installs: {' '.join(packages)}")


def _wanted(requirements: list[Requirement]) -> list[str]:
    """The packages to install, in apt's spelling: NAME, or NAME/SUITE for those that have to come from the backports suite."""
    return [package for requirement in requirements
            for package in [f"{name}/{BACKPORTS}" for name in requirement.from_backports] or [requirement.package]]


def _announce_size(prefix: list[str], packages: list[str]) -> None:
    """Says how much will be downloaded and how much disk space it takes, as apt reckons it."""
    done = subprocess.run([*prefix, "apt-get", "install", "--no-install-recommends", "--assume-no", *packages], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL, env={**os.environ, **_APT_ENVIRONMENT})
    download = parse_size(r"Need to get (?:[\d.,]+ [kMG]?B/)?([\d.,]+) ([kMG]?B) of archives", done.stdout)
    disk = parse_size(r"After this operation, ([\d.,]+) ([kMG]?B) of additional", done.stdout)
    say(f"size: {download / 1e6:.0f} MB of packages, {disk / 1e6:.0f} MB on disk")


def parse_size(pattern: str, text: str) -> float:
    """The size in bytes that `pattern` (groups: number, unit) finds in apt's words; 0 if apt does not say."""
    match = re.search(pattern, text)
    return float(match.group(1).replace(",", "")) * _UNITS[match.group(2)] if match else 0.0


def _update(prefix: list[str]) -> None:
    """Reads the package lists anew; another try or two, as networks fail and another apt may hold the lists."""
    for attempt in range(3):
        try:
            _apt(prefix, ["update"], "reading the package lists")
            return
        except Finding:
            if attempt == 2:
                raise
            time.sleep(5)


def _apt(prefix: list[str], arguments: list[str], what: str) -> None:
    """Runs apt-get; its words go to setup.log in the build folder, and a failure becomes one line with the first of its errors."""
    say(what)
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "setup.log"
    command = [*prefix, "env", *(f"{name}={value}" for name, value in _APT_ENVIRONMENT.items()),
               "apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        raise Finding(f"{what} failed: {error}") from error
    with log.open("a", encoding="utf-8") as handle:
        handle.write(f"$ {' '.join(command)}\n{done.stdout}")
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if line.startswith("E:")] or done.stdout.splitlines() or ["no message"]
        raise Finding(f"{what} failed: {errors[0]} (check the network and the machine's apt sources; everything apt said: {log})")


def _listed(states: list[State]) -> str:
    """Requirements that do not serve, for one line."""
    missing = [state.requirement.package for state in states if state.condition == "missing"]
    other = [f"{state.requirement.package} is {state.version or 'of an unknown version'}, not {expected(state.requirement)}"
             for state in states if state.condition == "other"]
    return ", ".join(([f"missing: {' '.join(missing)}"] if missing else []) + other)


def doctor() -> int:
    """Prints what is there, missing or of another version, tier by tier. Returns 1 if the tier `run` lacks something or the host is another."""
    name, version, architecture = host.describe()
    fine = host.is_supported()
    print(f"host: {name} {version} ({architecture}){'' if fine else f' — not supported, {host.SUPPORTED} is: use the Containerfile'}")
    for tier, (purpose, _) in TIERS.items():
        states = check_tiers((tier,))
        lacking = [state for state in states if state.condition != "there"]
        print(f"tier {tier} ({purpose}): {'complete' if not lacking else f'./caprock setup {tier}'}")
        for state in states:
            note = {"there": f"there {state.version or ''}", "missing": "MISSING",
                    "other": f"OTHER VERSION: {state.version or 'unknown'}, expected {expected(state.requirement)}"}[state.condition]
            print(f"  {state.requirement.package:24} {note.rstrip()}")
        fine = fine and (tier != "run" or not lacking)
    sys.stdout.flush()
    return 0 if fine else 1
