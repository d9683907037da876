# SPDX-License-Identifier: BSD-2-Clause
"""Lines of counts, as the pieces of a campaign print them: "5 operations, 2 system calls"."""

import re
from collections import Counter

_COUNT = re.compile(r"(\d+) ([a-z][a-z ]*[a-z])")


def add_up(lines: list[str]) -> str:
    """The counts of several lines as one."""
    totals = Counter()
    for line in lines:
        for number, name in _COUNT.findall(line):
            totals[name] += int(number)
    return ", ".join(f"{total} {name}" for name, total in totals.items())
