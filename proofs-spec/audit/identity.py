# SPDX-License-Identifier: BSD-2-Clause
"""Section 1: what was audited. The commit, the tools, the hash of what ships, and whether the sources as they are make the same bytes again in an empty
folder elsewhere."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .code import AuditError
from .report import Section

OUTPUTS = ("kernel/kernel.elf", "platform/Image")
"""What is compared: the kernel, and the boot shim's image with the kernel in it, which is what a board loads."""
_SKIPPED = {".git", "__pycache__", ".hypothesis", ".pytest_cache"}


def commit(root: Path) -> str:
    """The commit of the sources and whether files differ from it."""
    def git(*words: str) -> subprocess.CompletedProcess:
        command = ["git", "--no-optional-locks", "-c", f"safe.directory={root}", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    try:
        head = git("rev-parse", "HEAD")
    except OSError:
        return "unknown (git is not installed)"
    if head.returncode != 0:
        return "unknown (no repository)"
    changed = git("status", "--porcelain").stdout.splitlines()
    return head.stdout.strip() + (f" with {len(changed)} changed files" if changed else "")


def sources_hash(root: Path) -> str:
    """A hash of all sources: names and contents, in order. It says the same where there is no repository."""
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not _is_skipped(path.relative_to(root))):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _is_skipped(path: Path) -> bool:
    return bool(_SKIPPED & set(path.parts)) or path.parts[0].startswith("build")


def toolchain(build: Path) -> str:
    """The tools that made a kernel, as it says itself."""
    path = build / OUTPUTS[0]
    if not path.is_file():
        raise AuditError(f"{path}: not built (`./caprock build` makes it)")
    found = re.search(rb"caprock-toolchain: ([^\0]+)\0", path.read_bytes())
    return found[1].decode("utf-8", "replace") if found else "unknown"


def hashes(build: Path, names: tuple[str, ...] = OUTPUTS) -> dict[str, str]:
    """The hash of each output."""
    for name in names:
        if not (build / name).is_file():
            raise AuditError(f"{build / name}: not built (`./caprock build` makes it)")
    return {name: hashlib.sha256((build / name).read_bytes()).hexdigest() for name in names}


def rebuild(root: Path, folder: Path, jobs: int) -> Path:
    """Builds what ships once more, from a copy of the sources in an empty folder. The build folder."""
    sources = folder / "sources"
    shutil.copytree(root, sources, ignore=lambda place, names: {name for name in names if _is_skipped((Path(place) / name).relative_to(root))})
    build = folder / "again"
    environment = {**os.environ, "CAPROCK_BUILD": str(build)}
    for command in (["meson", "setup", str(build), str(sources), "--cross-file", str(sources / "cross-aarch64.ini")],
                    ["ninja", "-C", str(build), "-j", str(jobs), *OUTPUTS]):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AuditError(f"building again: {' '.join(command[:2])} failed: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
    return build


def compare(build: Path, again: Path, names: tuple[str, ...] = OUTPUTS) -> list[str]:
    """What differs between two builds; and if something does, whether their tools do."""
    first, second = hashes(build, names), hashes(again, names)
    differing = [name for name in names if first[name] != second[name]]
    if not differing:
        return []
    tools, others = toolchain(build), toolchain(again)
    cause = "by the same tools, so something outside of the sources reaches it"
    if tools != others:
        cause = f"but the tools differ: {tools} made it, {others} is here"
    return [f"{name}: not the same when it is built again ({first[name][:16]}... and {second[name][:16]}...), {cause}" for name in differing]


def section(root: Path, build: Path, jobs: int) -> Section:
    """The section: builds everything that ships once more, which takes a while."""
    result = Section(1, "identity")
    result.lines += [f"commit: {commit(root)}", f"sources: sha256 {sources_hash(root)}", f"toolchain: {toolchain(build)}"]
    result.lines += [f"{name}: sha256 {value}" for name, value in hashes(build).items()]
    with tempfile.TemporaryDirectory(prefix="caprock-audit-") as folder:
        result.failures += compare(build, rebuild(root, Path(folder), jobs))
    if not result.failures:
        result.lines.append(f"rebuilt bit for bit in an empty folder: {', '.join(OUTPUTS)}")
    return result
