# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock audit`: works out anew what is known of the kernel and its proofs, and fails on whatever is not as it must be (proofs-spec/audit)."""

import mmap
import os
import sys
import tempfile
from pathlib import Path

from . import BUILD, ROOT, confined, from_host, lockstep, outside, systems
from .errors import Finding, in_one_line

_PROOFS = ROOT / "proofs-spec"
_TARGETS = ("proofs-spec/lockstep/caprock-lockstep", "proofs-spec/image/caprock-replay", "proofs-spec/image/caprock-image.so",
            "proofs-spec/audit/caprock-executed.so", "tests/conformance/conformance.elf", from_host.TARGET)
_MEMORY_START = 0x4000_0000
_MEMORY_SIZE = 1 << 30
_TRACE_SECONDS = 900
_RUN_SECONDS = 120


def audit(options) -> int:
    """Prints the audit's sections: 0 only if nothing is wrong and none was left out."""
    systems.prepare(not options.no_install, tier="proofs", more=_TARGETS)
    job = make_job(options)
    from audit import sections

    return sections.audit(job, tuple(options.sections) or sections.ALL)


def make_job(options):
    """What the sections need of this command: how to build, run and trace systems."""
    sys.path[:0] = [str(_PROOFS)] if str(_PROOFS) not in sys.path else []
    os.environ["CAPROCK_BUILD"] = str(BUILD)
    import machines
    from audit import sections

    offline = options.no_install or None
    setting = machines.Setting("virt").checked()
    return sections.Job(
        root=ROOT, build=BUILD, oracle=lockstep.build_oracle, system=options.system, settings=options.settings,
        elf_folders=[*outside.build_components(options.system, options.settings), BUILD / "userland"],
        jobs=sections.processes(), events=options.events or sections.EVENTS,
        trace=lambda what, gic, tests, more: _trace(what, gic, tests, more, offline),
        memory=lambda folder: _memory(folder, offline),
        tree=lambda path: in_one_line(machines.device_tree, setting, path, offline),
        confine=lambda: _confine(options, setting, offline))


def _confine(options, setting, offline: bool | None):
    """Starts the system, and checks what its components have."""
    with systems.built(options.system, setting, offline=offline, settings=options.settings) as ready:
        return confined.check(lockstep.build_oracle(), setting, ready, timeout=_RUN_SECONDS, offline=offline)


def _trace(what: str, gic: int, tests: str, more: tuple[str, ...], offline: bool | None) -> tuple[int, int, str]:
    """Runs the shipped image with the oracle beside it: a system of the project, or some conformance tests."""
    import machines

    sys.path[:0] = [str(_PROOFS / "image")]
    import replaying

    setting = machines.Setting("virt", gic=gic).checked()
    oracle = lockstep.build_oracle()
    try:
        if tests:
            with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
                payload = replaying.conformance.make_payload(BUILD / "tests/conformance/conformance.elf", Path(folder) / "system.bin")
                outcome, status, text = replaying.replay(setting, BUILD / "platform/Image", payload, oracle, _TRACE_SECONDS, None, (f"tests={tests}",), more)
        else:
            with systems.built(ROOT / "systems" / f"{what}.cdl", setting, offline=offline) as ready:
                outcome, status, text = replaying.replay(setting, ready.image, ready.payload, oracle, _TRACE_SECONDS, None, (), more)
    except replaying.ReplayError as error:
        raise Finding(str(error)) from error
    return outcome.status, status, text


def _memory(folder: Path, offline: bool | None) -> tuple[bytes, int]:
    """Runs the first system, and gives the machine's memory as it was at the end, and where it starts."""
    import machines

    path = folder / "memory"
    with path.open("wb") as file:
        file.truncate(_MEMORY_SIZE)
    setting = machines.Setting("virt", memory=f"{_MEMORY_SIZE >> 20}M").checked()
    shared = ("-object", f"memory-backend-file,id=shared,size={_MEMORY_SIZE},mem-path={path},share=on", "-machine", "memory-backend=shared")
    with systems.built(ROOT / "systems" / "hello.cdl", setting, offline=offline) as ready:
        outcome = in_one_line(machines.run, setting, timeout=_RUN_SECONDS, image=ready.image, payload=ready.payload, output=None, extra=shared)
    if outcome.status != 0:
        raise Finding(f"systems/hello.cdl did not run to its end: {outcome.reason}")
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), _MEMORY_START
