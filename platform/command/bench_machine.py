# SPDX-License-Identifier: BSD-2-Clause
"""Runs systems for `./caprock bench`: on a machine on which an instruction takes a nanosecond and a tick of the counter, or as fast as it goes."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import BUILD, systems
from .errors import Finding, in_one_line

_PLUGINS = BUILD / "platform" / "bench"
_COUNTER = ("-global", "cortex-a72-arm-cpu.cntfrq=1000000000")


@dataclass(frozen=True)
class Bench:
    """Where and how systems run. `setting`: a machines.Setting; `wall`: in real time; `offline` as systems.built has it."""

    setting: object
    timeout: float
    offline: bool | None
    wall: bool = False

    def run(self, system: Path, plugin: str | None = None, arguments=lambda ready: {}) -> tuple[str, str]:
        """Runs a system with the production kernel until it ends: its console, and what the plugin of this name wrote to its file.

        `arguments` gives the plugin's by name, from what systems.built gives. A Finding if the system does not end with 0.
        """
        import machines

        with systems.built(system, self.setting, offline=self.offline) as ready, tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
            out = Path(scratch) / "out"
            extra = () if self.wall else _COUNTER
            if plugin:
                values = "".join(f",{name}={value}" for name, value in arguments(ready).items())
                extra += ("-plugin", f"file={_PLUGINS / plugin},out={out}{values}")
            outcome = in_one_line(machines.run, self.setting, timeout=self.timeout, image=ready.image, payload=ready.payload,
                                  deterministic=not self.wall, extra=extra, offline=self.offline, output=None)
            if outcome.status != 0:
                sys.stderr.write(outcome.log)
                raise Finding(f"{system.name} did not end well: {outcome.reason} (the lines above say how far it came)")
            if plugin and not out.is_file():
                raise Finding(f"{plugin} saw nothing in {system.name}: what it waits for did not come")
            return outcome.log, out.read_text(encoding="utf-8") if plugin else ""
