#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a kept failure: the bytes of an input that fails on the host, as few as can be found, as a text file for tests/fuzz/seeds.

usage: keep.py SEED|FILE REASON > tests/fuzz/seeds/NAME.seed
SEED is one that `./caprock fuzz kernel --host` has reported, FILE an input of the guided fuzzer; REASON says in a line what was wrong."""

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
MOST_BYTES = 1 << 20
MASK = (1 << 64) - 1


def stream(seed: int, count: int) -> bytes:
    """The first bytes of a seed's stream (choices.hpp)."""
    words = []
    state = seed
    for _ in range(-(-count // 8)):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & MASK
        words.append((mixed ^ mixed >> 31).to_bytes(8, "little"))
    return b"".join(words)[:count]


def fails(data: bytes) -> bool:
    """Whether the host's fuzzer finds something with these bytes."""
    with tempfile.NamedTemporaryFile(prefix="caprock-") as file:
        file.write(data)
        file.flush()
        done = subprocess.run([BUILD / "tests" / "fuzz" / "fuzz-kernel", file.name], capture_output=True, check=False)
    return done.returncode != 0


def shortest(data: bytes) -> bytes:
    """The shortest failing beginning."""
    low, high = 0, len(data)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(data[:middle]) else (middle + 1, high)
    return data[:high]


def smaller(data: bytes) -> bytes:
    """The bytes without pieces that do not matter: halves, quarters and so on, as long as the rest fails."""
    size = len(data) // 2
    while size >= 8:
        place = 0
        while place < len(data):
            rest = data[:place] + data[place + size:]
            if fails(rest):
                data = rest
            else:
                place += size
        size //= 2
    return data


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    what, reason = sys.argv[1:]
    data = stream(int(what), MOST_BYTES) if what.isdecimal() else Path(what).read_bytes()
    if not fails(data):
        print(f"keep.py: {what}: it does not fail (give what the fuzzer reported, with the same build)", file=sys.stderr)
        return 1
    data = smaller(shortest(data))
    print("# SPDX-License-Identifier: BSD-2-Clause")
    print("\n".join(textwrap.wrap(reason, 120, initial_indent="# ", subsequent_indent="# ")))
    print("\n".join(textwrap.wrap(data.hex(), 120)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
