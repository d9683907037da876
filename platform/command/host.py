# SPDX-License-Identifier: BSD-2-Clause
"""Which machine this is. Set-up and building are supported on one kind, Debian 12 on amd64; others are sent to the Containerfile."""

import os
import platform
import shlex
from pathlib import Path

from .errors import Finding

SUPPORTED = "Debian 12 (amd64)"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def describe() -> tuple[str, str, str]:
    """The machine's distribution, its version and the architecture in Debian's spelling, e.g. ("debian", "12", "amd64").

    CAPROCK_OS_RELEASE names a file to read instead of /etc/os-release, which is how other hosts are tested.
    """
    path = Path(os.environ.get("CAPROCK_OS_RELEASE", "/etc/os-release"))
    fields = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, separator, value = line.partition("=")
            if separator and not name.lstrip().startswith("#"):
                fields[name.strip()] = "".join(shlex.split(value))
    machine = platform.machine()
    return fields.get("ID", "unknown"), fields.get("VERSION_ID", "unknown"), _ARCHITECTURES.get(machine, machine)


def is_supported() -> bool:
    """Whether set-up and building work on this machine."""
    return describe() == ("debian", "12", "amd64")


def require_supported() -> None:
    """Refuses any other host in one line."""
    if not is_supported():
        name, version, architecture = describe()
        raise Finding(f"this host is {name} {version} ({architecture}), and {SUPPORTED} is needed: use the Containerfile "
                      "(podman build -t caprock . && podman run --rm -it caprock)")
