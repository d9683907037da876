# SPDX-License-Identifier: BSD-2-Clause
"""`run --root`: a program with seL4's boot contract as the root task, in place of the loader that makes systems of descriptions."""

import sys
import tempfile
from pathlib import Path

from . import BUILD, systems
from .errors import Finding, in_one_line, say


def run(options) -> int:
    """Runs the program on QEMU and returns the status that it ends with (its line `caprock: exit N`)."""
    import machines
    import rootimage

    setting = systems.chosen_setting(options)
    systems.prepare(not options.no_install)
    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        payload = Path(scratch) / "system.bin"
        try:
            payload.write_bytes(rootimage.make(options.root, options.archive, options.cnode_bits or 0))
        except rootimage.RootImageError as error:
            raise Finding(str(error)) from error
        outcome = in_one_line(machines.run, setting, timeout=options.timeout, payload=payload, offline=options.no_install or None,
                              image=BUILD / "platform" / ("Image-debug" if options.debug else "Image"))
    sys.stdout.flush()
    if outcome.status != 0:
        say(outcome.reason)
    return outcome.status
