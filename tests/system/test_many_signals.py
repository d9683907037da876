# SPDX-License-Identifier: BSD-2-Clause
"""Systems of many components and of many kinds of signals: as many as memory holds."""

import machines
import pytest
from test_user_level import IMAGE, ROOT, compile_component, make_payload


def description(emitters, kinds, silent):
    """A system in which `emitters` signal `kinds` kinds between them, but for those whose number is a multiple of `silent`; the consumer runs when they are
    done."""
    heard = sum(number % silent != 0 for number in range(kinds))
    components = "\n".join(
        f'  e{first} = component {{ elf "many-signals.elf"; prio 150; budget 20us/50ms; args {{ silent: {silent} }}; '
        + "; ".join(f"emits o{number}" for number in range(first, kinds, emitters)) + " }" for first in range(emitters))
    ports = "; ".join(f"consumes k{number}" for number in range(kinds))
    connections = "\n".join(f"  notify e{number % emitters}.o{number} -> ear.k{number}" for number in range(kinds))
    return f"""caprock 1
arch aarch64
include "serial.cdl"
components {{
  ear = component {{
    elf "many-signals.elf"; prio 100; budget 1ms/10ms; args {{ expected: {heard} }}; uses console: Console; uses system: System; {ports}
  }}
{components}
}}
connect {{
  call ear.console -> console.console
  call ear.system -> console.system
{connections}
}}
"""


def run(folder, emitters, kinds, silent):
    """The log of such a system, which has to end well."""
    compile_component(ROOT / "tests" / "system" / "many_signals.cc", folder / "many-signals.elf")
    path = folder / "many.cdl"
    path.write_text(description(emitters, kinds, silent), encoding="utf-8")
    setting = machines.Setting("virt")
    outcome = machines.run(setting, timeout=240, image=IMAGE, payload=make_payload(path, setting, folder), offline=True, output=None, deterministic=True)
    assert outcome.status == 0, outcome.log
    return outcome.log


@pytest.mark.parametrize(("emitters", "kinds", "silent"), [(200, 200, 3), (200, 200, 7), (1, 5000, 3)])
def test_each_kind_is_told_from_all_others(emitters, kinds, silent, tmp_path):
    """Some are silent, and the others are heard: no more, no fewer, no others. 5,000 are more than a notification for each bit of another one has bits."""
    heard = [number for number in range(kinds) if number % silent != 0]
    assert f"[ear] heard {len(heard)} kinds of sum {sum(heard)}\n" in run(tmp_path, emitters, kinds, silent)


def test_a_system_of_1000_components(tmp_path):
    """More address spaces than one ASID pool has room for; the loader compares all of them with the description, and each runs."""
    assert f"[ear] heard 500 kinds of sum {500 ** 2}\n" in run(tmp_path, 1000, 1000, 2)
