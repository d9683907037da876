# SPDX-License-Identifier: BSD-2-Clause
"""A component consumes more kinds of signals than its notification has bits, each from an emitter of its own."""

import machines
import pytest
from test_user_level import IMAGE, ROOT, compile_component, make_payload

EMITTERS = 200


def description(rings):
    """A system with an emitter for each of `rings`, which says whether it signals; the consumer runs when they are done."""
    numbers = range(len(rings))
    emitters = "\n".join(f'  e{number} = component {{ elf "many-signals.elf"; prio 150; budget 50us/50ms; args {{ ring: {int(rings[number])} }}; emits out }}'
                         for number in numbers)
    ports = "; ".join(f"consumes k{number}" for number in numbers)
    connections = "\n".join(f"  notify e{number}.out -> ear.k{number}" for number in numbers)
    return f"""caprock 1
arch aarch64
include "serial.cdl"
components {{
  ear = component {{
    elf "many-signals.elf"; prio 100; budget 1ms/10ms; args {{ expected: {sum(rings)} }}; uses console: Console; uses system: System; {ports}
  }}
{emitters}
}}
connect {{
  call ear.console -> console.console
  call ear.system -> console.system
{connections}
}}
"""


@pytest.mark.parametrize("silent", (3, 7))
def test_each_of_200_kinds_is_told_from_all_others(silent, tmp_path):
    """Every so many emitters are silent, and the others are heard: no more, no fewer, no others."""
    compile_component(ROOT / "tests" / "system" / "many_signals.cc", tmp_path / "many-signals.elf")
    rings = [number % silent != 0 for number in range(EMITTERS)]
    path = tmp_path / "many.cdl"
    path.write_text(description(rings), encoding="utf-8")
    setting = machines.Setting("virt")
    outcome = machines.run(setting, timeout=120, image=IMAGE, payload=make_payload(path, setting, tmp_path), offline=True, output=None, deterministic=True)
    assert outcome.status == 0, outcome.log
    heard = [number for number in range(EMITTERS) if rings[number]]
    assert f"[ear] heard {len(heard)} kinds of sum {sum(heard)}\n" in outcome.log
