# SPDX-License-Identifier: BSD-2-Clause
"""What holds for every text, be it a description or not: the tool comes to an end with findings or a system, formatted text stays as it is and
means the same, and what is printed of a system is that system. Shared by the tests and by fuzz.py."""

import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path

import capdl
from capdl import driver
from capdl.compat.verdict import judge
from capdl.diagnostics import Source
from capdl.driver import load_text
from capdl.formatting import format_text
from capdl.printing import canonical_text

# Far more than any input of some thousand bytes takes, on any machine.
HANG_SECONDS = 60


class Hang(Exception):
    """The tool did not come to an end."""


@contextmanager
def no_hang():
    """Raises Hang in the block after HANG_SECONDS."""
    def stop(_signal, _frame):
        raise Hang(f"no end after {HANG_SECONDS} s")
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def examine_file(data):
    """The whole tool on a file with these bytes, without programs and board."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.cdl"
        path.write_bytes(data)
        spec, diagnostics = capdl.load(path, partial=True)
        diagnostics.render()
        diagnostics.as_json()
        if diagnostics.ok:
            assert load_text(canonical_text(spec))[1].ok
        driver.judge(path).render()


def examine_text(text):
    """The object level of a text, its layout, and the reference tool's verdict; gives whether it is free of errors."""
    formatted = format_text(text)
    assert format_text(formatted) == formatted, f"formatting changes what it formatted:\n{formatted}"
    spec, diagnostics = load_text(text, loadable=True)
    diagnostics.render()
    loose, with_warnings = load_text(text, strict=False)
    accepted = judge(Source("<text>", text)).ok
    if diagnostics.ok:
        assert with_warnings.ok, with_warnings.render()
        examine_canonical(spec)
    if with_warnings.ok:
        again, repeated = load_text(formatted, strict=False)
        assert repeated.ok, f"the formatted text has errors:\n{formatted}\n{repeated.render()}"
        assert canonical_text(again) == canonical_text(loose), f"the formatted text means something else:\n{formatted}"
    if accepted:
        assert judge(Source("<formatted>", formatted)).ok, f"the reference tool rejects the formatted text:\n{formatted}"
        if with_warnings.ok:
            verdict = judge(Source("<canonical>", canonical_text(loose)))
            assert verdict.ok, f"the reference tool rejects the canonical text:\n{canonical_text(loose)}\n{verdict.render()}"
    return diagnostics.ok


def examine_canonical(spec):
    """The canonical text is that system, and stays as it is."""
    canonical = canonical_text(spec)
    again, repeated = load_text(canonical)
    assert repeated.ok, f"{canonical}\n{repeated.render()}"
    assert canonical_text(again) == canonical


def examine(data):
    """Everything, for bytes that may be no text; gives whether they are a system without errors."""
    with no_hang():
        examine_file(data)
        return examine_text(data.decode("utf-8", "replace"))
