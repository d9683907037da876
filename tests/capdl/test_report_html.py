# SPDX-License-Identifier: BSD-2-Clause
"""The report as a page: it needs nothing else, says what the report says, and works in a browser, by keyboard, in light and dark, and on paper."""

import html.parser
import json
import shutil
import subprocess
import zlib

import pytest

import capdl
from capdl.report import make_report

BROWSER = shutil.which("chromium")
pytestmark = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed (./caprock setup dev)")
in_browser = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed (./caprock setup dev)")

SYSTEM = """caprock 1
arch aarch64
interface Give { take(in cap given) -> u64 wcet 100us }
components {
  giver = component { elf "a.elf"; prio 10; budget 1ms/10ms; uses give: Give; emits go; region shared }
  taker = component { elf "b.elf"; prio 20; budget 2ms/10ms; provides give: Give; grant thread: giver_tcb; region shared }
  other = component { elf "c.elf"; prio 10; budget 1ms/10ms; core 1; consumes go }
}
connect { call giver.give -> taker.give; notify giver.go -> other.go; shared giver.shared -> taker.shared (8k, from: RW, to: R) }
policy {
  trusted other "<it> is & stays tested"
  deny caps (ut) in *
  deny flow taker -> other
  deny caps (notification) in taker
}
"""


class Page(html.parser.HTMLParser):
    """Elements with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def having(self, tag, **wanted):
        """The attributes of the elements of a kind that have these."""
        return [found for name, found in self.elements if name == tag and all(found.get(key) == value for key, value in wanted.items())]


@pytest.fixture(name="path", scope="module")
def write_page(tmp_path_factory):
    """A file with the page of SYSTEM."""
    from capdl.report_html import as_html
    folder = tmp_path_factory.mktemp("page")
    (folder / "system.cdl").write_text(SYSTEM)
    spec, diagnostics = capdl.load(folder / "system.cdl", partial=True, judged=False)
    assert diagnostics.ok, diagnostics.render()
    text = as_html(make_report(spec), spec)
    assert text == as_html(make_report(spec), spec)
    (folder / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(name="page", scope="module")
def read_page(path):
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_needs_nothing_else(page):
    """No address but within the page, every id once, and every link leads somewhere."""
    addresses = [value for _, found in page.elements for key, value in found.items() if key in ("src", "href", "xlink:href", "action", "data")]
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert addresses and all(address[0] == "#" and address[1:] in ids for address in addresses)
    assert len(ids) == len(set(ids))
    assert "url(" not in "".join(page.words) and "@import" not in "".join(page.words)


def test_the_page_says_what_the_report_says(page):
    text = " ".join(" ".join(page.words).split())
    for words in ('trusted other "<it> is & stays tested"', "holds", "violated", "information can flow from taker to other", "Admission, supply",
                  "2000 µs", "taker_ep", "shared with taker", "the kernel, the hardware"):
        assert words in text, words
    titles = {found["id"] for found in page.having("h2")}
    assert titles == {"policy", "components", "matrix", "capabilities", "memory", "schedule", "trust"}
    rows = page.having("tr", **{"class": "capability"})
    assert {(row["data-holder"], row["data-kind"]) for row in rows} >= {("giver", "ep"), ("giver", "notification"), ("taker", "tcb"), ("other", "notification")}


def test_witnesses_are_marked_on_the_graph(page):
    """Each button names elements of the graph that there are: those of the witness's subjects, and the way between them."""
    buttons = page.having("button", **{"class": "show"})
    ids = {found["id"] for _, found in page.elements if "id" in found}
    assert len(buttons) == 2 and all(set(json.loads(button["data-marks"])) <= ids for button in buttons)
    assert len(json.loads(buttons[0]["data-marks"])) >= 3


def test_what_one_acts_on_can_be_reached_by_keyboard(page):
    """Whatever does something is a control that browsers let one reach, with a name; tables have heads, pictures a text."""
    assert {tag for tag, found in page.elements if "tabindex" in found or "onclick" in found} == set()
    assert page.having("button", type="button") and page.having("summary") and page.having("label")
    assert all(found.get("aria-label") for found in page.having("div", role="img"))
    assert page.having("html", lang="en") and page.having("th", scope="row") and page.having("th", scope="col")


def browse(path, *options):
    """What a headless browser prints."""
    line = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent / 'profile'}", "--virtual-time-budget=3000", *options]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@in_browser
def test_a_verdict_is_shown_in_the_browser(path):
    """The address shows a verdict: exactly what its button names is marked."""
    for button_index, verdict in enumerate((2, 3)):
        shown = Page(browse(path, "--dump-dom", f"file://{path}#verdict-{verdict}"))
        marked = {found["id"] for _, found in shown.elements if "marked" in found.get("class", "").split()}
        buttons = shown.having("button", **{"class": "show"})
        assert marked == set(json.loads(buttons[button_index]["data-marks"])) and buttons[button_index]["aria-pressed"] == "true"
        assert [button["aria-pressed"] for button in buttons].count("true") == 1


@in_browser
def test_capabilities_are_filtered_in_the_browser(path):
    def rows(address):
        shown = Page(browse(path, "--dump-dom", f"file://{path}{address}"))
        return shown, [row for row in shown.having("tr", **{"class": "capability"}) if "hidden" not in row]
    everything = rows("")[1]
    shown, kept = rows("#holder=taker&kind=tcb")
    assert [(row["data-holder"], row["data-object"]) for row in kept] == [("taker", "giver_tcb")] and len(everything) > 5
    assert f"1 of {len(everything)}" in "".join(shown.words)
    graph = [found for _, found in shown.elements
             if found.get("id", "").startswith(("held-node", "held-edge")) and "display: none" not in found.get("style", "")]
    assert {found["id"] for found in graph} == {kept[0]["data-edge"], *kept[0]["data-nodes"].split()}
    assert [row["data-object"] for row in rows("#object=no-such-object")[1]] == []


@in_browser
def test_keys_work_in_the_browser(path, tmp_path):
    """A button takes the focus and is pressed and released; Escape ends what is shown; a choice filters. A script at the page's end does it and notes what
    came of it."""
    script = """<script>
      const notes = [], marked = () => all("#component-graph .marked").length, button = document.querySelector("button.show");
      button.focus(); notes.push(document.activeElement === button);
      button.click(); notes.push(marked() > 0); button.click(); notes.push(marked() === 0);
      button.click(); document.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"})); notes.push(marked() === 0);
      fields.holder.value = "other"; fields.holder.dispatchEvent(new Event("input"));
      notes.push(all("tr.capability:not([hidden])").length < all("tr.capability").length);
      dispatchEvent(new Event("beforeprint")); notes.push(all("details:not([open])").length === 0);
      document.title = JSON.stringify(notes);
    </script></body>"""
    copy = tmp_path / "copy.html"
    copy.write_text(path.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    title = browse(copy, "--dump-dom", f"file://{copy}").split("<title>")[1].split("</title>")[0]
    assert json.loads(title) == [True] * 6


def first_pixel(png):
    """The first pixel of a PNG: its filter cannot refer to anything before it."""
    data, at, packed = png.read_bytes(), 8, b""
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    return tuple(zlib.decompress(packed)[1:4])


@in_browser
def test_light_dark_and_paper(path, tmp_path):
    """The page's colours follow the reader's, and it prints."""
    pixels = []
    for number, options in enumerate((["--blink-settings=preferredColorScheme=1"], ["--blink-settings=preferredColorScheme=0"])):
        picture = tmp_path / f"{number}.png"
        browse(path, *options, "--window-size=800,600", f"--screenshot={picture}", f"file://{path}")
        pixels.append(first_pixel(picture))
    assert sum(pixels[0]) > 700 and sum(pixels[1]) < 150, pixels
    browse(path, f"--print-to-pdf={tmp_path / 'report.pdf'}", f"file://{path}")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page") > 1
