#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fetches files out of Debian packages of another architecture, without touching this machine's package database.

A private apt root in the cache folder holds its own lists and an empty status file; its sources are derived from the machine's own, so no
mirror is named here. What was fetched stays in the cache and is used again without the network.
"""

import argparse
import fcntl
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Files that the build and the images need: short name -> (package, patterns inside it, components beside main). A package that only depends
# on the real one, whose name moves with each version, is followed.
KNOWN = {
    "libfdt": ("libfdt-dev", ("usr/lib/*/libfdt.a", "usr/include/fdt.h", "usr/include/libfdt.h"), ()),
    "u-boot-rpi": ("u-boot-rpi", ("usr/lib/u-boot/rpi_arm64/u-boot.bin", "usr/lib/u-boot/rpi_4/u-boot.bin"), ()),
    "rpi4-dtb": ("linux-image-arm64", ("usr/lib/linux-image-*/broadcom/bcm2711-rpi-4-b.dtb",), ()),
    "raspi-firmware": ("raspi-firmware", ("usr/lib/raspi-firmware/start4.elf", "usr/lib/raspi-firmware/fixup4.dat"),
                       ("non-free-firmware",)),
}
COPYRIGHT = "usr/share/doc/*/copyright"
LISTS_MAX_AGE_SECONDS = 24 * 3600


class FetchError(Exception):
    """A package could not be had; the text is one line that says what, why and what to do."""


@dataclass(frozen=True)
class Package:
    """A fetched package: its name, version and architecture, and the folder that holds the files asked for."""

    name: str
    version: str
    architecture: str
    root: Path

    def file(self, pattern: str) -> Path:
        """Returns the one extracted file whose path inside the package matches the glob `pattern`; FetchError if none or several do."""
        found = [path for path in sorted(self.root.rglob("*"))
                 if path.is_file() and fnmatch.fnmatchcase(str(path.relative_to(self.root)), pattern)]
        if len(found) != 1:
            raise FetchError(f"package {self.name} {self.version}: {len(found)} files match {pattern} (expected one; the package "
                             "has changed: adapt platform/fetch.py)")
        return found[0]


def cache_folder() -> Path:
    """Returns the cache folder: CAPROCK_CACHE, else caprock in XDG_CACHE_HOME, else ~/.cache/caprock. It is made if it does not exist."""
    configured = os.environ.get("CAPROCK_CACHE")
    folder = Path(configured) if configured else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caprock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"cache folder {folder}: {error.strerror} (set CAPROCK_CACHE to a folder that can be written)") from error
    return folder.resolve()


def fetch(name: str, patterns: tuple[str, ...] = (), components: tuple[str, ...] = (), architecture: str = "arm64",
          offline: bool | None = None) -> Package:
    """Returns the files `patterns` (globs, relative to /) and the copyright file of Debian package `name`, or of a KNOWN short name.

    `components` are archive components wanted beside main. With `offline` (default: CAPROCK_OFFLINE=1 in the environment) only the cache is
    used. FetchError if the package cannot be had."""
    if not patterns:
        if name not in KNOWN:
            raise FetchError(f"package {name}: no file patterns given, and it is not one of {', '.join(sorted(KNOWN))}")
        name, patterns, components = KNOWN[name]
    offline = os.environ.get("CAPROCK_OFFLINE") == "1" if offline is None else offline
    with _locked(cache_folder() / "lock"):
        cached = _from_cache(name, patterns, architecture)
        if cached:
            return cached
        if offline:
            raise FetchError(f"package {name}:{architecture} is not in {cache_folder()} and fetching is switched off (run once without the "
                             "offline option)")
        return _download(name, patterns, components, architecture)


@contextmanager
def _locked(path: Path):
    """Holds an exclusive lock, so that two builds that share the cache do not write the same package."""
    with open(path, "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _record_path(name: str, architecture: str) -> Path:
    return cache_folder() / "packages" / f"{name}_{architecture}.json"


def _from_cache(name: str, patterns: tuple[str, ...], architecture: str) -> Package | None:
    """Returns the package recorded in the cache if every pattern was extracted from it, else None."""
    try:
        record = json.loads(_record_path(name, architecture).read_text(encoding="utf-8"))
        root = cache_folder() / "packages" / record["folder"]
        if not set(patterns) <= set(record["patterns"]) or not root.is_dir():
            return None
        return Package(record["name"], record["version"], architecture, root)
    except (OSError, ValueError, KeyError):
        return None


def _download(name: str, patterns: tuple[str, ...], components: tuple[str, ...], architecture: str) -> Package:
    apt = _AptRoot(architecture, components)
    real, version = apt.resolve(name)
    wanted = tuple(patterns) + (COPYRIGHT,)
    folder = f"{real}_{version.replace(':', '%3a')}_{architecture}"
    root = cache_folder() / "packages" / folder
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        archive = apt.download(real, version, Path(scratch))
        content = Path(scratch) / "content"
        _extract(archive, wanted, content, real)
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(exist_ok=True)
        content.rename(root)
    record = {"name": real, "version": version, "folder": folder, "patterns": list(patterns)}
    temporary = _record_path(name, architecture).with_suffix(".new")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.rename(_record_path(name, architecture))
    return Package(real, version, architecture, root)


def _extract(archive: Path, patterns: tuple[str, ...], target: Path, name: str) -> None:
    """Extracts the regular files that match from a .deb into `target`."""
    target.mkdir()
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as unpacker:
        matched = set()
        with tarfile.open(fileobj=unpacker.stdout, mode="r|") as tar:
            for member in tar:
                path = os.path.normpath(member.name)
                hits = {pattern for pattern in patterns if fnmatch.fnmatchcase(path, pattern)}
                if not hits or not member.isreg() or path.startswith(("..", "/")):
                    continue
                destination = target / path
                destination.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, open(destination, "wb") as sink:
                    shutil.copyfileobj(source, sink)
                matched |= hits
        if unpacker.wait() != 0:
            raise FetchError(f"package {name}: dpkg-deb cannot unpack it (remove {archive.parent} and try again)")
    missing = [pattern for pattern in patterns if pattern not in matched and pattern != COPYRIGHT]
    if missing:
        raise FetchError(f"package {name}: it has no {missing[0]} (the package has changed: adapt platform/fetch.py)")


class _AptRoot:
    """A private apt installation below the cache folder: own lists, own archive cache, an empty status file."""

    def __init__(self, architecture: str, components: tuple[str, ...]):
        self._architecture = architecture
        self._folder = cache_folder() / "-".join(("apt", architecture, *components))
        for part in ("lists/partial", "archives/partial"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        sources = "\n\n".join(_debian_sources(components)) + "\n"
        path = self._folder / "debian.sources"
        fresh = not path.exists() or path.read_text(encoding="utf-8") != sources
        path.write_text(sources, encoding="utf-8")
        self._update(fresh)

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        """Runs an apt tool on the private root and returns what it prints; FetchError with its first error line if it fails."""
        settings = {
            "APT::Architecture": self._architecture, "APT::Architectures": self._architecture, "APT::Sandbox::User": "root",
            "Dir::State": str(self._folder), "Dir::State::status": str(self._folder / "status"),
            "Dir::State::lists": str(self._folder / "lists"),
            "Dir::Cache": str(self._folder), "Dir::Cache::archives": str(self._folder / "archives"),
            "Dir::Etc::sourcelist": str(self._folder / "debian.sources"), "Dir::Etc::sourceparts": "-",
            "Acquire::Languages": "none", "Acquire::Retries": "2",
        }
        options = [argument for key, value in settings.items() for argument in ("-o", f"{key}={value}")]
        try:
            done = subprocess.run([command[0], *options, *command[1:]], cwd=cwd, capture_output=True, text=True, timeout=600,
                                  stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}, check=False)
        except FileNotFoundError as error:
            raise FetchError(f"{command[0]} is not installed (a Debian machine with apt is needed to fetch packages)") from error
        except subprocess.TimeoutExpired as error:
            raise FetchError(f"{' '.join(command)}: no answer in 10 minutes (check the network)") from error
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines() or ["no message"]
            raise FetchError(f"{' '.join(command)}: {lines[0]} (check the network and the machine's apt sources)")
        return done.stdout

    def _update(self, force: bool) -> None:
        """Reads the package lists anew if they are older than a day."""
        stamp = self._folder / "updated"
        if not force and stamp.exists() and stamp.stat().st_mtime + LISTS_MAX_AGE_SECONDS > time.time():
            return
        self._run("apt-get", "update", "-q")
        stamp.touch()

    def resolve(self, name: str) -> tuple[str, str]:
        """Returns name and candidate version of the package that holds `name`'s files: itself, or for linux-image-arm64 the real image."""
        if name.startswith("linux-image-") and not re.search(r"\d", name.removesuffix(self._architecture)):
            listing = self._run("apt-cache", "depends", "--no-recommends", "--no-suggests", name)
            real = re.search(r"^\s*Depends: (linux-image-\S+)$", listing, re.MULTILINE)
            if not real:
                raise FetchError(f"package {name}: it depends on no kernel image (name another package in platform/fetch.py)")
            name = real.group(1)
        policy = self._run("apt-cache", "policy", name)
        candidate = re.search(r"^\s*Candidate: (\S+)$", policy, re.MULTILINE)
        if not candidate or candidate.group(1) == "(none)":
            raise FetchError(f"package {name}:{self._architecture}: the machine's apt sources do not offer it")
        return name, candidate.group(1)

    def download(self, name: str, version: str, target: Path) -> Path:
        """Downloads a package into the folder `target` and returns the .deb's path."""
        self._run("apt-get", "download", "-q", f"{name}={version}", cwd=target)
        archives = list(target.glob("*.deb"))
        if len(archives) != 1:
            raise FetchError(f"package {name}: apt-get download left {len(archives)} files (expected one)")
        return archives[0]


def _codename() -> str:
    """Returns the release's code name from /etc/os-release."""
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError as error:
        raise FetchError(f"/etc/os-release: {error.strerror} (a Debian machine is needed to fetch packages)") from error
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", text, re.MULTILINE)
    if not found:
        raise FetchError("/etc/os-release names no VERSION_CODENAME (a Debian release is needed to fetch packages)")
    return found.group(1)


def _debian_sources(components: tuple[str, ...]) -> list[str]:
    """Returns deb822 stanzas for those of the machine's sources that serve its own release, with main and `components`."""
    codename = _codename()
    stanzas = []
    for uri, suite, key in _machine_sources():
        if suite == codename or suite.startswith(codename + "-"):
            lines = ["Types: deb", f"URIs: {uri}", f"Suites: {suite}", "Components: " + " ".join(("main", *components))]
            stanzas.append("\n".join(lines + ([f"Signed-By: {key}"] if key else [])))
    if not stanzas:
        raise FetchError(f"no apt source of this machine serves {codename} (add Debian's archive to /etc/apt/sources.list.d)")
    return stanzas


def _machine_sources(configuration: Path = Path("/etc/apt")) -> list[tuple[str, str, str]]:
    """Returns (URI, suite, key file) of every binary source of an apt configuration, in both formats."""
    entries = []
    folder = configuration / "sources.list.d"
    for path in sorted(folder.glob("*.sources")):
        text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
        for stanza in re.split(r"\n\s*\n", text):
            fields = {key.lower(): value.strip() for key, value in re.findall(r"^([\w-]+):(.*)$", stanza, re.MULTILINE)}
            if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
                continue
            key = fields.get("signed-by", "")
            entries += [(uri, suite, key if key.startswith("/") else "") for uri in fields.get("uris", "").split()
                        for suite in fields.get("suites", "").split()]
    for path in [configuration / "sources.list", *sorted(folder.glob("*.list"))]:
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            found = re.match(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+\S", line)
            if found:
                key = re.search(r"signed-by=(\S+)", found.group(1) or "")
                entries.append((found.group(2), found.group(3), key.group(1) if key else ""))
    return entries


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch files out of Debian packages; prints the folder that holds them.")
    parser.add_argument("name", help="one of " + ", ".join(sorted(KNOWN)) + ", or a package name together with patterns")
    parser.add_argument("patterns", nargs="*", help="globs of the files wanted, relative to /")
    parser.add_argument("--component", action="append", default=[], help="archive component beside main")
    parser.add_argument("--architecture", default="arm64")
    parser.add_argument("--offline", action="store_true", default=None, help="use only what is in the cache")
    arguments = parser.parse_args()
    try:
        package = fetch(arguments.name, tuple(arguments.patterns), tuple(arguments.component), arguments.architecture, arguments.offline)
    except FetchError as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        return 1
    print(package.root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
