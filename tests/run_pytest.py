#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs pytest files and reports in TAP, one line per case, so that Meson and ./caprock test count cases and not files.

usage: run_pytest.py PATH...    Without pytest everything is skipped. No case at all is a failure.
"""

import os
import sys

try:
    import pytest
except ImportError:
    print("1..0 # SKIP pytest is missing (./caprock setup dev)")
    sys.exit(0)


class TapReporter:
    """A pytest plugin that prints one TAP line per case, and what went wrong as comments."""

    def __init__(self):
        self.output = os.fdopen(os.dup(1), "w", encoding="utf-8")
        # pytest's own report, which the TAP replaces, goes nowhere; the plugin that writes it has to stay, since assertions ask it for options.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
        self.count = 0

    def report(self, passed: bool, name: str, note: str = "", details: str = "") -> None:
        """Prints one case."""
        self.count += 1
        self.output.write(f"{'ok' if passed else 'not ok'} {self.count} - {name.replace('#', '_')}{note}\n")
        self.output.writelines(f"# {line}\n" for line in details.splitlines())
        self.output.flush()

    def pytest_collectreport(self, report):
        """A file that cannot be collected is a failed case."""
        if report.failed:
            self.report(False, f"collecting {report.nodeid}", details=str(report.longrepr))

    def pytest_runtest_logreport(self, report):
        """Reports a case once: where its call ended, or where an earlier or later phase did not pass."""
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
            self.report(True, report.nodeid, f" # SKIP {reason}")
        elif report.failed:
            self.report(False, f"{report.nodeid}{'' if report.when == 'call' else f' ({report.when})'}",
                        details=f"{report.longrepr}\n{report.capstdout}{report.capstderr}")
        elif report.when == "call":
            self.report(True, report.nodeid)


def main() -> int:
    """Runs the files that the command line names."""
    if len(sys.argv) < 2:
        print("usage: run_pytest.py PATH...", file=sys.stderr)
        return 2
    reporter = TapReporter()
    status = pytest.main(["--tb=short", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[reporter])
    if reporter.count == 0:
        reporter.report(False, f"no case in {' '.join(sys.argv[1:])} (pytest status {int(status)})")
    reporter.output.write(f"1..{reporter.count}\n")
    reporter.output.flush()
    return 0 if status == pytest.ExitCode.OK else 1


if __name__ == "__main__":
    sys.exit(main())
