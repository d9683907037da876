# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock trace --compare`: the shipped kernel image on QEMU, watched by a plugin, and the specification's oracle beside it, compared after each kernel
entry (proofs-spec/image)."""

import subprocess
from pathlib import Path

from . import BUILD, ROOT, building, lockstep, systems
from .errors import Finding

_SCRIPT = ROOT / "proofs-spec" / "image" / "replaying.py"
_TARGETS = ("proofs-spec/image/caprock-replay", "proofs-spec/image/caprock-image.so", "tests/conformance/conformance.elf")


def compare(options) -> int:
    """Does what the options say: 0 if kernel and specification agreed and the system's own status was 0, else 1 after lines that say why."""
    setting = systems.chosen_setting(options)
    systems.prepare(not options.no_install, tier="proofs", tests=options.tests is not None, more=_TARGETS)
    oracle = lockstep.build_oracle()
    if options.tests is not None:
        return _replay(options, setting, oracle, ["--tests", *([options.tests] if options.tests else [])])
    with systems.built(options.system, setting, offline=options.no_install or None, settings=options.settings) as ready:
        return _replay(options, setting, oracle, ["--payload", str(ready.payload)])


def _replay(options, setting, oracle: str, what: list[str]) -> int:
    """Runs the script that does the work."""
    keep = ["--trace", str(Path(options.keep).resolve())] if options.keep else []
    counter = ["--frequency", str(options.frequency)] if options.frequency else []
    values = [f"{name}={getattr(setting, name)}" for name in ("gic", "el", "cores")] if setting.machine == "virt" else []
    command = ["/usr/bin/python3", "-B", str(_SCRIPT), "--oracle", oracle, *keep, *counter, "--timeout", str(options.timeout), *what, "--",
               setting.machine, *values]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, env={**building.python_environment(), "CAPROCK_BUILD": str(BUILD)}, check=False)
    if done.returncode not in (0, 1):
        raise Finding("the replay was not made (the lines above say why)")
    return done.returncode
