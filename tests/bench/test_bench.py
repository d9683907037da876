# SPDX-License-Identifier: BSD-2-Clause
"""./caprock bench: what it measures is not above what is recorded, the same twice, and what its two instruments say agrees."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from command import bench, bench_footprint, bench_record
from command.bench_machine import Bench
from command.bench_rows import ROWS
from command.errors import Finding

TIMEOUT = 240
FAST_PATHS = {"call one way": 1, "replyrecv one way": 1, "round trip 0 words": 2, "signal idle": 0, "signal low": 0, "signal high": 1, "wait blocking": 1,
              "wait active": 0, "nbsend null": 0, "fault passive": 2, "fault active": 2, "irq to user": 1}
"""Operations without barriers but one isb for each change of address space, and how many of these they have."""
RECORD = "if that is meant, `./caprock bench --record` makes these the recorded figures"


@pytest.fixture(scope="module", name="machine")
def fixture_machine() -> Bench:
    """The table's machine."""
    return Bench(bench.setting("virt"), TIMEOUT, offline=True)


@pytest.fixture(scope="module", name="measured")
def fixture_measured(machine) -> list[bench.Measured]:
    """All figures, measured once."""
    return bench.measure(machine)


@pytest.fixture(scope="module", name="footprints")
def fixture_footprints(machine) -> dict[str, bench_footprint.Footprint]:
    """All footprints, measured once."""
    return {item.operation: item for item in bench_footprint.measure(machine)}


@pytest.fixture(scope="module", name="instructions")
def fixture_instructions(measured) -> dict[str, int]:
    """Instructions by operation."""
    return {item.row.operation: item.median for item in measured}


@pytest.fixture(scope="module", name="recorded")
def fixture_recorded() -> dict:
    """What is recorded, if it is this compiler's."""
    recorded = bench_record.expected_figures()
    if recorded["compiler"] != bench_record.compiler():
        pytest.skip(f"the recorded figures are those of {recorded['compiler']}, and this is {bench_record.compiler()}")
    return recorded


def test_no_figure_is_above_the_recorded_one(instructions, recorded):
    worse = bench_record.exceeded(instructions, recorded["instructions"])
    assert not worse, "; ".join([*worse, RECORD])


def test_recorded_figures_are_not_beaten(instructions, recorded):
    better = bench_record.beaten(instructions, recorded["instructions"])
    if better:
        pytest.skip(f"better than recorded; `./caprock bench --record` lowers what is expected: {'; '.join(better)}")


def test_the_round_trip_touches_no_more_than_recorded(footprints, recorded):
    def touched(counts):
        return {name: counts[name] for name in bench_footprint.TOUCHED}

    worse = bench_record.exceeded(touched(footprints[bench_footprint.ROUND_TRIP].counts), touched(recorded["footprint"][bench_footprint.ROUND_TRIP]))
    assert not worse, "; ".join([*worse, RECORD])


def test_two_runs_print_the_same(machine, measured):
    assert bench.table(bench.measure(machine)) == bench.table(measured)


@pytest.mark.parametrize("operation", ["call one way", "replyrecv one way", "signal idle", "signal low", "signal high", "wait active", "nbsend null"])
def test_the_plugin_and_the_counter_agree(instructions, footprints, operation):
    # The counter's figure includes one of its two reads.
    assert footprints[operation].instructions + 1 == instructions[operation]


@pytest.mark.parametrize("operation, switches", FAST_PATHS.items())
def test_fast_paths_have_no_dsb_and_one_isb_for_a_switch(footprints, operation, switches):
    counts = footprints[operation].counts
    assert counts["dsb"] == 0 and counts["tlbi"] == 0 and counts["isb"] <= switches


# Rows in which threads use the floating-point unit, and how many of them do: each gets it for eight turns by one trap.
UNIT_USERS = {"round trip 0 words, both sides use SIMD in every iteration (FPU enabled)": 2, "first FP use after a switch": 1}
UNIT_TURNS, TRAP = 8, 200


def test_single_shots_and_loops_agree(measured):
    # A loop's mean is without the counter's own instruction.
    loops = [item for item in measured if item.mean is not None and item.row.operation not in UNIT_USERS]
    assert loops
    assert [item.row.operation for item in loops if abs(item.median - item.mean) > 0.02 * item.median + 3] == []


def test_one_turn_in_eight_traps_for_the_floating_point_unit(measured):
    found = {item.row.operation: item.mean - item.median for item in measured if item.row.operation in UNIT_USERS}
    assert found.keys() == UNIT_USERS.keys()
    assert [name for name, more in found.items() if not 0 < more < UNIT_USERS[name] * TRAP / UNIT_TURNS] == []


def test_objects_for_programs(measured):
    objects = json.loads(json.dumps([bench.as_object(item) for item in measured]))
    assert [item["operation"] for item in objects] == [row.operation for row in ROWS]
    first = objects[0]
    assert first["operation"] == "nbsend null" and first["peer"] == 249 and first["goal"] == 90 and first["caprock"] == measured[0].median


def test_the_chart_has_a_bar_for_each_row_of_sel4s(measured):
    picture = ElementTree.fromstring(bench.chart(measured))
    names = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert names >= {row.operation for row in ROWS if row.peer}


def test_the_document_shows_the_recorded_figures():
    text = bench_record.DOCUMENT.read_text(encoding="utf-8")
    for name, table in bench_record.tables(bench_record.expected_figures()).items():
        assert bench_record.replaced(text, name, table) == text, f"{name}: `./caprock bench --record` writes it"


@pytest.mark.parametrize("log, found", [
    ("[client] instrument 1 20017\n", "20017"),
    ("[client] instrument 16 20001\n", "differ by 16"),
    ("nothing at all\n", "differ by nothing"),
])
def test_an_instrument_that_does_not_count_instructions_is_refused(log, found):
    with pytest.raises(Finding, match=found):
        bench.check_instrument(log)


def test_the_instrument_that_counts_is_accepted():
    bench.check_instrument("[client] instrument 1 20001\n")


def test_rows_that_only_one_side_has_are_refused():
    lines = "".join(f"[client] row {row.operation}: 1 1.00\n" for row in ROWS if not row.boot)
    boot = {row.operation: 1 for row in ROWS if row.boot}
    assert len(bench.figures(lines, boot)) == len(ROWS)
    with pytest.raises(Finding, match="`new row` is measured, but is no row"):
        bench.figures(lines + "[client] row new row: 1 1.00\n", boot)
    with pytest.raises(Finding, match="`yield` is not measured"):
        bench.figures(lines.replace("[client] row yield: 1 1.00\n", ""), boot)


def test_a_boards_console_gives_nanoseconds(tmp_path):
    lines = [f"[client] row {row.operation}: 3 2.50\r\n" for row in ROWS if not row.boot]
    console = tmp_path / "serial.txt"
    console.write_text("".join(["noise \xff\r\n", "[client] frequency 54000000\r\n", *lines]), encoding="latin-1", newline="")
    measured = bench.from_console(console.read_text(encoding="utf-8", errors="replace"))
    assert [item.row for item in measured] == [row for row in ROWS if not row.boot]
    assert measured[0].median == 56 and round(measured[0].mean, 2) == 46.30
    assert "median ns" in bench.wall_table(measured).splitlines()[0]


def test_fast_paths_are_the_same_on_both_boards(instructions):
    board = {item.row.operation: item.median for item in bench.measure(Bench(bench.setting("raspi4b"), TIMEOUT, offline=True))}
    assert board.keys() == instructions.keys()
    fast = FAST_PATHS.keys() & board.keys()
    assert {name: board[name] for name in fast} == {name: instructions[name] for name in fast}


def test_a_missing_footprint_is_refused():
    with pytest.raises(Finding, match="did not announce `round trip 0 words`"):
        bench_footprint.read("")


def test_the_gate_tells_better_from_worse():
    expected = {"call": 1000}
    assert bench_record.exceeded({"call": 1011}, expected) == ["call: 1011, recorded 1000"]
    assert bench_record.exceeded({"call": 1010}, expected) == []
    assert bench_record.exceeded({"call": 1000, "other": 1}, expected) == ["other: not recorded"]
    assert bench_record.exceeded({}, expected) == ["call: recorded, but not measured"]
    assert bench_record.beaten({"call": 999}, expected) == ["call: 999, recorded 1000"]
    assert bench_record.beaten({"call": 1000}, expected) == []


def test_recording_writes_what_the_tests_and_the_document_hold(tmp_path, monkeypatch, instructions, footprints):
    document = tmp_path / "performance.md"
    document.write_bytes(bench_record.DOCUMENT.read_bytes())
    monkeypatch.setattr(bench_record, "EXPECTED", tmp_path / "expected.json")
    monkeypatch.setattr(bench_record, "DOCUMENT", document)
    bench_record.record(instructions | {"yield": 9_876_543}, list(footprints.values()))
    recorded = bench_record.expected_figures()
    assert bench_record.beaten(instructions, recorded["instructions"]) == [f"yield: {instructions['yield']}, recorded 9876543"]
    assert bench_record.exceeded(instructions, recorded["instructions"]) == []
    assert "| yield | 9,876,543 |" in document.read_text(encoding="utf-8")


def test_a_document_without_a_place_for_a_table_is_refused():
    with pytest.raises(Finding, match="no place for the table"):
        bench_record.replaced("no table here", "operations", "")
