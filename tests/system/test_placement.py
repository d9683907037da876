# SPDX-License-Identifier: BSD-2-Clause
"""What the tool predicts of a system's placement is what the loader does: given the untypeds that the kernel gave, the planner names the address of
each object, and the kernel says the same of each frame."""

import re
import subprocess

from test_loader import BUILD, PROBE, build, make_probe, run
from wrapping import wrap

from capdl.alloc import fit
from capdl.lower import VAULT_NAME, lower


def addresses(log, word):
    """name -> address, of lines that begin with `word`."""
    return {name.replace(" ", "_"): int(address, 16) for name, address in re.findall(rf"^{word} (.+) (0x[0-9a-f]+)$", log, re.MULTILINE)}


def test_predicted_addresses_are_live_ones(tmp_path):
    make_probe(tmp_path)
    system, setting = build(tmp_path, PROBE, "probe")
    outcome = run(wrap(system, tmp_path / "out", "placement_probe.cc", [], tmp_path), setting)
    assert "caprock: halt: loader: printed" in outcome.log, outcome.log
    untypeds = re.findall(r"^untyped 0x[0-9a-f]+ \d+ (?:memory|device)$", outcome.log, re.MULTILINE)
    lines = [*untypeds, *fit.object_lines(lower(system.spec))]
    predicted = addresses(subprocess.run([BUILD / "capdl" / "capdl-plan"], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True).stdout,
                          "place")
    found = addresses(outcome.log, "found")
    assert addresses(outcome.log, "planned") == predicted
    assert found == {name: predicted[name] for name in found} and {"data", "large", "uart", "tree"} <= found.keys()
    assert VAULT_NAME.replace(" ", "_") in predicted and len(predicted) > 30 and len(untypeds) > 5
