# SPDX-License-Identifier: BSD-2-Clause
"""The language server: what it answers, to Neovim and to a session that Neovim recorded; and that it lives through any edits and says what `check` says."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from capdl_support import GOLDEN, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import capdl
from capdl.component_parser import ITEMS
from capdl.devicetree import Board
from capdl.diagnostics import Diagnostics
from capdl.editor.analysis import Analysis
from capdl.editor.completion import complete
from capdl.editor.context import CONNECTIONS, SECTIONS
from capdl.editor.definition import definition
from capdl.editor.hover import hover
from capdl.editor.outline import outline
from capdl.editor.problems import problems
from capdl.editor.text import Lines
from capdl.editor.words import MEANINGS
from capdl.policy_parser import CLAUSES

pytest.importorskip("pygls", reason="pygls is not installed (./caprock setup dev)")
from capdl.editor.server import make_server, path_of  # noqa: E402 (which needs it)

HERE = Path(__file__).resolve().parent
MARK = "¦"
SYSTEM = """caprock 1
include "serial.cdl"
const page = 4k
interface Log @2 { struct Entry { u64 time; u32[4] words } write(in Entry entry) -> u64 idempotent wcet 20us }
components {
  log = component { elf "log.elf"; prio 120; passive; stack 32k; provides log: Log @2; uses console: Console; region ring }
  sensor = component {
    elf "sensor.elf"; prio 110; budget 500us/10ms; heap 64k; args { rate: page }
    uses log: Log; region ring; consumes line; faults to log
    device regs: "/soc/serial@1000"; irq wire: stdout 1
    grant spare: spare[] (RW)
  }
  main = component { elf "main.elf"; prio 100; budget 1ms/10ms; emits line; uses log: Log; uses system: System }
}
connect {
  call sensor.log -> log.log
  call main.log -> log.log (badge: 7)
  call log.console -> console.console
  call main.system -> console.system
  notify main.line -> sensor.line
  shared sensor.ring -> log.ring (page, from: RW, to: R)
}
objects { spare[4] = frame (4k)  table = cnode (4 bits) }
caps { table { 1: first = spare[0] (R)  2: <first> } }
policy { deny flow main -> sensor }
"""


def analyze(folder, text, board=None):
    """An analysis of a text, and the offset of its mark."""
    path = (folder / "system.cdl").resolve()
    offset = text.index(MARK) if MARK in text else 0
    return Analysis(path, {path: text.replace(MARK, "")}, Board(board) if board else None), offset


def marked(anchor, at=0, text=SYSTEM):
    """The text with a mark in or behind the first occurrence of some words."""
    place = text.index(anchor) + at
    return text[:place] + MARK + text[place:]


# Definitions ----------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("anchor", "at", "kind", "declared"), [
    ("call sensor.log", 6, "component", "sensor = component"),
    ("call sensor.log", 13, "uses", "log: Log; region ring; consumes"),
    ("-> log.log\n", 8, "provides", "log: Log @2; uses"),
    ("notify main.line", 13, "emits", "line; uses log"),
    ("-> sensor.line", 11, "consumes", "line; faults"),
    ("-> log.ring", 8, "region", "ring }\n  sensor"),
    ("(page, from", 2, "constant", "page = 4k"),
    ("rate: page", 8, "constant", "page = 4k"),
    ("uses log: Log; region", 11, "interface", "Log @2 { struct"),
    ("faults to log", 11, "component", "log = component"),
    ("spare: spare[]", 9, "object", "spare[4] = frame"),
    ("first = spare[0]", 10, "object", "spare[4] = frame"),
    ("<first>", 2, "capability", "first = spare"),
    ("in Entry", 5, "struct", "Entry { u64"),
    ("flow main", 6, "component", "main = component"),
    ("grant spare", 7, "grant", "spare: spare[]"),
])
def test_definitions(tmp_path, anchor, at, kind, declared):
    analysis, offset = analyze(tmp_path, marked(anchor, at))
    word, found = definition(analysis, offset)
    assert found.kind == kind and found.place.source.path == analysis.path
    assert SYSTEM.startswith(declared, found.place.offset), SYSTEM[found.place.offset:][:30]
    assert word.text == found.name


def test_definitions_in_included_files(tmp_path):
    analysis, offset = analyze(tmp_path, marked("uses console: Console", 16))
    assert definition(analysis, offset)[1].place.source.path.name == "console.cdl"
    analysis, offset = analyze(tmp_path, marked('"serial.cdl"', 3))
    assert definition(analysis, offset)[1].place.source.path.name == "serial.cdl"
    (tmp_path / "part.cdl").write_text("caprock 1 const x = 3")
    analysis, offset = analyze(tmp_path, f'caprock 1 include "part.cdl" const y = {MARK}x')
    assert definition(analysis, offset)[1].place.source.path == (tmp_path / "part.cdl").resolve()


def test_a_file_that_is_open_is_as_it_is_there(tmp_path):
    """And one that the disk does not have, too."""
    path, part = (tmp_path / "a.cdl").resolve(), (tmp_path / "part.cdl").resolve()
    analysis = Analysis(path, {path: 'caprock 1 include "part.cdl" const y = new', part: "caprock 1 const new = 5ms"})
    assert problems(analysis) == [] and hover(analysis, len(analysis.source.text)).text.endswith("duration: 5000 us")


def test_words_of_the_language_and_comments_are_declared_nowhere(tmp_path):
    for anchor in ("provides", "component", "500us", "call", "deny", "cnode"):
        analysis, offset = analyze(tmp_path, marked(anchor, 1))
        assert definition(analysis, offset) is None
    analysis, offset = analyze(tmp_path, f"caprock 1 const a = 1 /* {MARK}a */ -- a")
    assert definition(analysis, offset) is None and hover(analysis, offset) is None and complete(analysis, offset) == []


# Hover ----------------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("anchor", "at", "parts"), [
    ("(page, from", 2, ["const page = 4096", "size: 4096 bytes"]),
    ("32k", 1, ["**32768 bytes** = 0x8000"]),
    ("500us", 4, ["**500 us**"]),
    ("10ms", 3, ["**10000 us**"]),
    ("(4 bits)", 1, ["2^4 = **16**"]),
    ("sensor = component", 1, ["prio 110", "500us/10000us (5 % of core 0)", "heap 64 KiB", "calls log"]),
    ("faults to log", 11, ["passive", "called by main, sensor", "stack 32 KiB"]),
    ("Log @2 {", 1, ["interface Log @2", "struct Entry { u64 time; u32[4] words }", "write(in Entry entry) -> u64 idempotent wcet 20us", "0x"]),
    ("write(", 1, ["at most 3 words there and 1 back"]),
    ("in Entry", 5, ["3 words of a message"]),
    ("-> log.ring", 8, ["region ring", "shared: sensor.ring (4 KiB)"]),
    ("uses log: Log; region", 6, ["uses log: Log", "call: log.log"]),
    ("provides", 2, ["An interface that it serves."]),
])
def test_hover_has_values_worked_out(tmp_path, anchor, at, parts):
    analysis, offset = analyze(tmp_path, marked(anchor, at))
    text = hover(analysis, offset).text
    assert all(part in text for part in parts), text


def test_hover_tells_objects_and_memory(tmp_path):
    """Of a description without errors: what a component becomes, and who holds an object."""
    text = """caprock 1 components {
  a = component { elf "a.elf"; prio 1; budget 1ms/2ms; grant part: part (RW); heap 64k }
} objects { part = frame (4k, paddr: 0x1000) } """
    analysis, _ = analyze(tmp_path, text)
    told = hover(analysis, text.index("a = component")).text
    objects = [item for item in analysis.spec.objects.values() if item.component == "a"]
    assert f"{sum(item.type == 'frame' for item in objects)} frame" in told and "1 tcb" in told
    assert f"{sum(1 << item.memory_bits() for item in objects)} bytes of memory; 1 capabilities" in told
    told = hover(analysis, text.index("part = frame")).text
    assert "4 KiB, at 0x1000" in told and "in a_cnode slot 0x4 (RW)" in told


def test_hover_tells_what_devices_are(tmp_path, board):
    for anchor in ('"/soc/serial@1000"', "stdout 1"):
        analysis, offset = analyze(tmp_path, marked(anchor, 2), board)
        text = hover(analysis, offset).text
        assert "/soc/serial@1000" in text and "registers 0x9001000, 0x1000 bytes (arm,pl011)" in text and "interrupt 1: number 34, edge" in text
    analysis, offset = analyze(tmp_path, marked('"/soc/serial@1000"', 3).replace("serial@1000", "nothing"), board)
    assert "has no node '/soc/nothing'" in hover(analysis, offset).text


# Completion -----------------------------------------------------------------------------------------------------------------------------

def proposals(folder, text, board=None):
    analysis, offset = analyze(folder, text, board)
    return [item.label for item in complete(analysis, offset)]


@pytest.mark.parametrize(("text", "some", "others"), [
    ("\n¦", ["components", "const", "irq maps"], ["elf", "call"]),
    ("\ncomponents { x = ¦", ["component"], ["ep"]),
    ("\ncomponents { x = component { ¦", ["elf", "prio", "uses"], ["call"]),
    ('\ncomponents { x = component { elf "a"; pr¦', ["prio", "provides"], ["Log"]),
    ("\ncomponents { x = component {\n passive\n st¦\n prio 3 } }", ["stack"], ["Log"]),
    ("\ncomponents { x = component { uses a: ¦", ["Log", "Console", "System"], ["log", "page"]),
    ("\ncomponents { x = component { faults to ¦", ["log", "sensor", "console"], ["Log"]),
    ("\ncomponents { x = component { access ¦", ["physical_timer", "pmu"], ["log"]),
    ("\ncomponents { x = component { stack ¦", ["page"], ["log"]),
    ("\ncomponents { x = component { grant a: ¦", ["spare", "table", "log_tcb", "irq_control"], ["page"]),
    ("\ncomponents { x = component { grant a: spare (¦", ["RW", "badge"], ["spare"]),
    ("\ncomponents { x = component { restart on ¦", ["fault", "hang"], ["on"]),
    ("\ncomponents { x = component { restart on fault (¦", ["max", "backoff", "heartbeat"], ["fault"]),
    ("\nconnect { ¦", ["call", "notify", "shared"], ["main"]),
    ("\nconnect { call ¦", ["main.log", "sensor.log"], ["log.log", "main.line", "sensor.ring"]),
    ("\nconnect { call main.log -> ¦", ["log.log"], ["console.system", "sensor.log"]),
    ("\nconnect { notify main.line -> ¦", ["sensor.line"], ["main.line", "log.log"]),
    ("\nconnect { shared sensor.ring -> log.ring (¦", ["from", "to", "page"], ["badge"]),
    ("\ninterface I { m(¦", ["in", "out", "inout"], ["u8"]),
    ("\ninterface I { m(in ¦", ["u8", "cap", "bytes"], ["in"]),
    ("\ninterface I { m(in u8 a) -> ¦", ["u64", "bool"], ["cap"]),
    ("\npolicy { ¦", ["deny", "isolated"], ["main"]),
    ("\npolicy { deny ¦", ["flow", "caps"], ["main"]),
    ("\npolicy { deny flow ¦", ["main", "console"], ["Log"]),
    ("\npolicy { deny caps (¦", ["tcb", "irq_control"], ["main"]),
    ("\nobjects { a = ¦", ["ep", "frame"], ["component"]),
    ("\nobjects { t = tcb (¦", ["addr", "prio", "resume"], ["fill"]),
    ("\nobjects { t = tcb (resume: ¦", ["True", "False"], ["addr"]),
    ("\ncaps { ¦", ["spare", "table"], ["Log"]),
    ("\ncaps { table { 3: ¦", ["spare", "irq_control"], ["first"]),
    ("\ncaps { table { 3: <¦", ["first"], ["spare"]),
    ("\narch ¦", ["aarch64", "riscv"], ["ep"]),
    ("\ninclude ¦", ['"console.cdl"', '"timer.cdl"'], ["ep"]),
])
def test_completion_knows_what_fits(tmp_path, text, some, others):
    found = proposals(tmp_path, SYSTEM + text)
    assert set(some) <= set(found) and not set(others) & set(found), found


def test_completion_of_devices(tmp_path, board):
    found = proposals(tmp_path, SYSTEM + "\ncomponents { x = component { device d: ¦", board)
    assert "stdout" in found and '"/soc/serial@1000"' in found and '"/soc/off@3000"' not in found


def test_every_word_has_a_meaning():
    assert {*SECTIONS, *ITEMS, *CONNECTIONS, *CLAUSES} <= MEANINGS.keys()


# Outline, findings, texts ---------------------------------------------------------------------------------------------------------------

def test_outline(tmp_path):
    analysis, _ = analyze(tmp_path, SYSTEM)
    symbols = {symbol.name: symbol for symbol in outline(analysis)}
    assert list(symbols) == ["page", "Log", "log", "sensor", "main", "spare", "table", "first"]
    assert [child.name for child in symbols["sensor"].children] == ["log", "ring", "line", "regs", "wire", "spare"]
    whole = SYSTEM[symbols["sensor"].start:symbols["sensor"].end]
    assert whole.startswith("sensor = component {") and whole.endswith("(RW)\n  }")
    assert SYSTEM[symbols["table"].start:symbols["table"].end] == "table = cnode (4 bits)"


def test_findings_have_ranges_and_other_places(tmp_path):
    text = "caprock 1 interface I { }\ninterface 𝒳 { }\ninterface I { }"
    analysis, _ = analyze(tmp_path, text.replace("𝒳", "J"))
    found, = problems(analysis)
    assert (found.code, text.replace("𝒳", "J")[found.start:found.end], found.severity) == ("interface-names", "I", "error")
    assert found.start > 30 and [(place.line, place.column) for place, _ in found.related] == [(1, 21)]


@pytest.mark.parametrize(("text", "offset", "position"), [("a\r\nb", 3, (1, 0)), ("a\rb", 2, (1, 0)), ("𝒳b", 1, (0, 2)),
                                                          ("a\u2028b\fc\n", 4, (0, 4)), ("", 0, (0, 0))])
def test_positions(text, offset, position):
    lines = Lines(text)
    assert lines.position(offset) == position and lines.offset(*position) == offset


# Any edits ------------------------------------------------------------------------------------------------------------------------------

class Talk:
    """A server in this process, and what it says of findings."""

    def __init__(self, folder):
        self.server = make_server()
        self.uri = f"file://{folder.resolve()}/edited.cdl"
        self.told = {}
        self.server.publish_diagnostics = lambda uri, diagnostics: self.told.__setitem__(uri, diagnostics)
        self.features = self.server.lsp.fm.features

    def text(self):
        return self.server.opened[self.uri]

    def ask(self, name, offset):
        line, character = Lines(self.text()).position(offset)
        return self.features[name](SimpleNamespace(text_document=SimpleNamespace(uri=self.uri), position=SimpleNamespace(line=line, character=character)))

    def replace(self, first, last, new):
        """An incremental change, in the protocol's words."""
        start, end = ({"line": line, "character": column} for line, column in map(Lines(self.text()).position, (first, last)))
        change = SimpleNamespace(range=SimpleNamespace(start=SimpleNamespace(**start), end=SimpleNamespace(**end)), text=new)
        self.features["textDocument/didChange"](SimpleNamespace(text_document=SimpleNamespace(uri=self.uri), content_changes=[change]))


def test_findings_of_included_files_are_told_there_and_go_away(tmp_path):
    """Also those of files that only the editor has, until they are right or nobody includes them any more."""
    talk = Talk(tmp_path)
    part = f"file://{tmp_path.resolve()}/part.cdl"

    def change(uri, text):
        talk.features["textDocument/didChange"](SimpleNamespace(text_document=SimpleNamespace(uri=uri), content_changes=[SimpleNamespace(text=text)]))
        talk.server.publish()

    def told(uri):
        return [item.code for item in talk.told.get(uri, ())]

    talk.features["textDocument/didOpen"](SimpleNamespace(text_document=SimpleNamespace(uri=talk.uri, text='caprock 1 include "part.cdl"')))
    talk.server.publish()
    assert told(talk.uri) == ["include"] and part not in talk.told
    (tmp_path / "part.cdl").write_text("caprock 1 objects { e = epp }")
    talk.features["textDocument/didSave"](SimpleNamespace())
    talk.server.publish()
    assert (told(talk.uri), told(part)) == ([], ["syntax"])
    talk.features["textDocument/didOpen"](SimpleNamespace(text_document=SimpleNamespace(uri=part, text="caprock 1 objects { e = ep }")))
    talk.server.publish()
    assert (told(talk.uri), told(part)) == ([], [])
    change(part, "caprock 1 objects { e = eq }")
    assert told(part) == ["syntax"]
    talk.features["textDocument/didClose"](SimpleNamespace(text_document=SimpleNamespace(uri=part)))
    change(talk.uri, "caprock 1 objects { }")
    assert told(part) == []


def test_large_descriptions_are_answered_in_time(tmp_path):
    """The work grows no faster than the description: counted, as a clock would tell of the machine."""
    def work(count):
        text = "arch aarch64 objects {\n" + "".join(f"f{number} = frame (4k)\n" for number in range(count)) + "c = cnode (16 bits)\n} caps { c {\n" + \
            "".join(f"{number}: f{number} (RW)\n" for number in range(count)) + "} }"
        path = (tmp_path / "large.cdl").resolve()
        calls = 0

        def count_call(frame, event, argument):
            nonlocal calls
            calls += event in ("call", "c_call")
        sys.setprofile(count_call)
        try:
            analysis = Analysis(path, {path: text})
            assert problems(analysis) == [] and len(outline(analysis)) == count + 1
            assert "4 KiB" in hover(analysis, text.index("f7 = ")).text and complete(analysis, text.index("3: f3") + 4)
        finally:
            sys.setprofile(None)
        return calls
    work(10)
    assert work(2000) < 2.2 * work(1000)


PIECES = st.sampled_from(["{", "}", "(", ")", ";", "\n", "\r", "\r\n", '"', "/*", "*/", "--", "->", ".", "component", "uses a: Log", "call ",
                          "const x = 4k\n", "4k",
                          "𝒳", "\u2028", "\0", "objects { e = ep }", 'include "serial.cdl"', "x", " "])
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES | st.text(max_size=4)), max_size=6)
TEXTS = [SYSTEM, *(path.read_text(encoding="utf-8") for path in (GOLDEN / "components.cdl", GOLDEN / "aarch64.cdl", ROOT / "systems" / "hello.cdl")
                   if path.is_file())]


def findings_of(path):
    """What `check --json` has."""
    return [(item["code"], item["severity"], item["message"]) + ((item["line"], item["column"]) if item["file"] == str(path) else (None, None))
            for item in json.loads(capdl.load(path, partial=True, loadable=False)[1].as_json())["findings"]]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TEXTS), EDITS, st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_it_lives_through_edits_and_says_what_check_says(text, edits, places):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        talk = Talk(folder)
        talk.features["textDocument/didOpen"](SimpleNamespace(text_document=SimpleNamespace(uri=talk.uri, text=text)))
        for where, count, new in edits:
            whole = talk.text()
            first = int(where * len(whole))
            last = min(first + count, len(whole))
            talk.replace(first, last, new)
            kept = Lines(whole)
            assert talk.text() == whole[:kept.offset(*kept.position(first))] + new + whole[kept.offset(*kept.position(last)):]
        path = path_of(talk.uri)
        path.write_bytes(talk.text().encode("utf-8", "surrogatepass"))
        talk.server.publish()
        told = [(item.code, item.severity.name.lower(), item.message.split("\n")[0], item.range.start)
                for diagnostics in talk.told.values() for item in diagnostics]
        expected = findings_of(path)
        assert sorted(item[:3] for item in told) == sorted((code, severity, message.split("\n")[0]) for code, severity, message, _, _ in expected)
        for where in places:
            offset = int(where * len(talk.text()))
            for feature in ("textDocument/hover", "textDocument/definition", "textDocument/completion"):
                talk.ask(feature, offset)
        talk.ask("textDocument/documentSymbol", 0)
        edits = talk.ask("textDocument/formatting", 0)
        assert edits is None or not any(item.check == "syntax" for item in syntax_findings(path))


def syntax_findings(path):
    """Of one file alone."""
    diagnostics = Diagnostics()
    capdl.driver.read_file(path, diagnostics)
    return diagnostics.findings


# Clients --------------------------------------------------------------------------------------------------------------------------------

SERVER = ["/usr/bin/python3", "-P", "-m", "capdl", "lsp"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


class Client:
    """Speaks the protocol with a server of its own, message by message."""

    def __init__(self):
        self.process = subprocess.Popen(SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)

    def send(self, message):
        body = json.dumps(message).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.process.stdout.readline().strip()):
            name, _, value = line.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        return json.loads(self.process.stdout.read(length))

    def until(self, wanted):
        """The next message of which something holds."""
        while not wanted(message := self.receive()):
            pass
        return message


def test_a_recorded_session_of_neovim(tmp_path):
    """Every request is answered, findings follow every change, and the end is orderly. Recorded with Neovim 0.7.2."""
    recorded = (HERE / "data" / "neovim.json").read_text(encoding="utf-8").replace("/editor", str(tmp_path))
    client, answers, told = Client(), {}, []
    try:
        for message in json.loads(recorded):
            if message.get("method") == "initialize":
                message["params"]["processId"] = os.getpid()
            client.send(message)
            if "id" in message and "method" in message:
                answer = client.until(lambda item, number=message["id"]: item.get("id") == number)
                assert "error" not in answer, answer
                answers[message["method"]] = answer["result"]
            elif message["method"] in ("textDocument/didOpen", "textDocument/didChange"):
                told.append(client.until(lambda item: item.get("method") == "textDocument/publishDiagnostics")["params"]["diagnostics"])
        assert client.process.wait(60) == 0
    finally:
        client.process.kill()
        client.process.stdin.close()
        client.process.stdout.close()
    capabilities = answers["initialize"]["capabilities"]
    assert capabilities["textDocumentSync"]["change"] == 2 and all(capabilities[f"{name}Provider"] for name in (
        "hover", "definition", "completion", "documentSymbol", "documentFormatting"))
    assert "size: 4096 bytes" in answers["textDocument/hover"]["contents"]["value"]
    assert answers["textDocument/definition"]["uri"].endswith("/serial.cdl")
    assert [item["name"] for item in answers["textDocument/documentSymbol"]] == ["page", "a"]
    assert told[0] == [] and [item["message"].split("\n")[0] for item in told[-1]] == ["expected 'component', found 'komponent'"]
    assert answers["textDocument/formatting"] is None


@pytest.mark.skipif(shutil.which("nvim") is None, reason="neovim is not installed (./caprock setup dev)")
def test_neovim_shows_what_there_is_to_show(tmp_path):
    """A real client: findings, after an edit too, and answers."""
    path = tmp_path / "system.cdl"
    path.write_text(SYSTEM.replace('    device regs: "/soc/serial@1000"; irq wire: stdout 1\n', ""), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").split("\n")
    row = next(number for number, line in enumerate(lines) if line.startswith("  call sensor.log"))
    script = [{"wait": True}, {"ask": "textDocument/definition", "line": row, "column": 22}, {"ask": "textDocument/completion", "line": row, "column": 21},
              {"insert": "  call x.y -> log.log\n", "line": row, "column": 0}, {"wait": True}, {"ask": "textDocument/formatting", "line": 0, "column": 0}]
    done = subprocess.run(["nvim", "--headless", "--clean", "-c", f"luafile {HERE / 'client.lua'}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=240, check=False, env={**ENVIRONMENT, "CLIENT_FILE": str(path), "CLIENT_SERVER": json.dumps(SERVER),
                                                         "CLIENT_SCRIPT": json.dumps(script), "XDG_STATE_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)})
    first, where, proposed, second, format_edits = json.loads(done.stdout)
    expected = json.loads(capdl.load(path, partial=True, loadable=False)[1].as_json())["findings"]
    assert sorted(item["code"] for item in first["findings"]) == sorted(item["code"] for item in expected)
    declared = where["result"]["range"]["start"]
    assert lines[declared["line"]][declared["character"]:].startswith("log = component")
    assert "log.log" in [item["label"] for item in proposed["result"]]
    assert {item["message"].split("\n")[0].partition(" (")[0] for item in second["findings"]} - {
        item["message"].split("\n")[0].partition(" (")[0] for item in first["findings"]} == {"unknown component 'x'"}
    edited = format_edits["result"]
    assert edited == [] or edited[0]["newText"].startswith("caprock 1\n")


@pytest.mark.skipif(shutil.which("nvim") is None, reason="neovim is not installed (./caprock setup dev)")
def test_the_settings_of_the_document_work(tmp_path):
    """Those for Neovim, word by word: findings of the command's server appear."""
    settings_text, = re.findall(r"```lua\n(.*?)```", (ROOT / "docs" / "editor.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "init.lua").write_text(settings_text.replace("PROJECT", str(ROOT)), encoding="utf-8")
    (tmp_path / "bad.cdl").write_text("caprock 1 objects { e = epp }", encoding="utf-8")
    report = ("lua vim.wait(120000, function() return #vim.diagnostic.get(0) > 0 end, 20); "
              "io.stdout:write(vim.fn.json_encode(vim.diagnostic.get(0))); vim.cmd('qall!')")
    done = subprocess.run(["nvim", "--headless", "--clean", "-c", f"luafile {tmp_path / 'init.lua'}", "-c", f"edit {tmp_path / 'bad.cdl'}", "-c", report],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
                          env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)})
    found, = json.loads(done.stdout)
    assert found["message"].startswith("unknown object type 'epp'") and (found["lnum"], found["col"]) == (0, 24)
