# SPDX-License-Identifier: BSD-2-Clause
"""Components that are restarted: what they are afterwards, what their callers see, when it happens, and what becomes of a restarter that fails."""

import os
import re
from pathlib import Path

import machines
import pytest
from test_user_level import compile_component, lines_by_component, make_payload

from capdl import stubs

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
IMAGE = BUILD / "platform" / "Image"
MACHINES = [machines.Setting("virt"), machines.Setting("raspi4b")]

INTERFACE = """caprock 1
interface Fragile {
  count() -> u64
  again() -> u64 idempotent
  fail(in u64 how)
  bell(out cap (notification) signal)
}
"""
SYSTEM = """caprock 1
arch aarch64
include "serial.cdl"
include "restart.cdl"
include "./fragile.cdl"
components {{
  fragile = component {{
    elf "restart-fragile.elf"; prio 120; budget 2ms/10ms
    provides fragile: Fragile; emits bell
    restart on {rule}
  }}
  client = component {{
    elf "restart-client.elf"; prio 100; budget 2ms/10ms; args {{ {arguments} }}
    uses fragile: Fragile; uses console: Console; uses system: System; uses restarts: Restarts; consumes bell
  }}
  {more}
}}
connect {{
  notify fragile.bell -> client.bell
  call client.fragile -> fragile.fragile
  call client.console -> console.console
  call client.system -> console.system
  call client.restarts -> restarter.restarts
}}
"""
LOST, STALE = 264, 265
# Microseconds until the restarter sees what has come, while it looks at the clock once in each of its periods.
LATENCY = 6_000


def run(folder, rule="fault", arguments="failures: 0", more="", setting=MACHINES[0]):
    """Run the fragile server and its client: the Outcome."""
    (folder / "fragile.cdl").write_text(INTERFACE, encoding="utf-8")
    (folder / "restart.cdl").write_text(SYSTEM.format(rule=rule, arguments=arguments, more=more), encoding="utf-8")
    headers, diagnostics = stubs.generate(folder / "fragile.cdl", folder / "include" / "interfaces")
    assert headers, diagnostics.render()
    for program in ("fragile", "client", "attacker"):
        compile_component(ROOT / "tests" / "system" / f"restart_{program}.cc", folder / f"restart-{program}.elf", folder / "include")
    return machines.run(setting, timeout=120, image=IMAGE, payload=make_payload(folder / "restart.cdl", setting, folder), offline=True, output=None,
                        deterministic=True)


def client_lines(outcome):
    return lines_by_component(outcome.log)["client"]


@pytest.mark.parametrize("setting", MACHINES, ids=lambda setting: setting.machine)
def test_a_restarted_server_is_new_and_its_caller_is_told(setting, tmp_path):
    outcome = run(tmp_path, setting=setting)
    assert outcome.status == 0, outcome.log
    causes = {0: 0, 1: 7, 3: 2, 4: 0, 5: 6}   # numbers of caprock::FaultCause; a server that others need begins anew even when it ends well
    expected = ["count 1 error 0", "count 2 error 0"]
    for restarts, (how, cause) in enumerate(causes.items(), 1):
        place = "nowhere" if how in (1, 5) else "somewhere"
        expected += [f"fail {how} error {LOST}", f"count 0 error {STALE}", "count 1 error 0", f"fragile {restarts} cause {cause} {place} before error 0"]
    assert client_lines(outcome) == [*expected, "again 1", "the bell rings", "the bell is silent"], outcome.log


def test_a_server_that_hangs_is_restarted(tmp_path):
    outcome = run(tmp_path, "hang or fault (heartbeat 50ms)", "failures: 0, hang: 1")
    assert outcome.status == 0, outcome.log
    lines = client_lines(outcome)
    hang = next(index for index, line in enumerate(lines) if line.startswith("hang"))
    found = re.fullmatch(rf"hang error {LOST} after (\d+) us", lines[hang])
    # The question behind the last answer is asked at most one heartbeat after the hang began, and unanswered after another.
    assert found and 0 < int(found[1]) <= 2 * 50_000 + 2 * 5_000, outcome.log
    assert lines[hang + 1] == f"count 0 error {STALE}" and re.fullmatch(r"fragile \d+ cause 9 somewhere before error 0", lines[hang + 2]), outcome.log


def test_who_shows_that_it_is_alive_is_not_restarted(tmp_path):
    outcome = run(tmp_path, "fault or hang (heartbeat 20ms)", "failures: 3")
    assert outcome.status == 0 and "cause 9" not in outcome.log, outcome.log


def failures(outcome):
    """Microseconds from a fault to the answer that the call is lost, and to the next call's result, by failure."""
    found = re.findall(r"^\[client\] failure \d+: (\d+) us, (\d+) us$", outcome.log, re.MULTILINE)
    return [tuple(map(int, item)) for item in found]


def test_restarts_pause_for_longer_each_time(tmp_path):
    """Seven restarts are in the window when the row begins: the pause is that of the eighth, and doubles."""
    outcome = run(tmp_path, "fault (max 16 per 30s, backoff 1ms)", "failures: 4")
    assert outcome.status == 0, outcome.log
    took = failures(outcome)
    assert len(took) == 4 and all(lost < LATENCY for lost, _ in took), outcome.log
    for exponent, (_, again) in enumerate(took, 6):
        assert 1_000 * 2 ** exponent <= again < 1_000 * 2 ** exponent + 12_000, outcome.log


def test_no_more_restarts_than_the_rule_allows(tmp_path):
    """Two in 200 ms: the answer that a call is lost comes at once, and the server when the window is over."""
    outcome = run(tmp_path, "fault (max 2 per 200ms)", "failures: 4")
    assert outcome.status == 0, outcome.log
    took = failures(outcome)
    assert all(lost < LATENCY for lost, _ in took) and sum(again for _, again in took[:2]) > 100_000, outcome.log
    assert 190_000 < sum(again for _, again in took[2:]) < 220_000, outcome.log


def test_a_restarter_that_fails_ends_the_system(tmp_path):
    more = 'attacker = component { elf "restart-attacker.elf"; prio 90; budget 1ms/10ms; grant victim: restarter_tcb }'
    outcome = run(tmp_path, more=more, arguments="failures: 1000")
    assert outcome.status == 1 and outcome.reason.startswith("caprock: halt: restarter: execution of unmapped address 0x0"), outcome.log
