# SPDX-License-Identifier: BSD-2-Clause
"""Random inputs for the description tool: good descriptions with bytes changed, and texts that Hypothesis draws. Each input has a seed of its own.

    fuzz.py --inputs N --seed S --keep DIR       N inputs from seed S on; the first that fails is kept in DIR
    fuzz.py --replay FILE                        one kept input
"""

import argparse
import sys
import traceback
from collections import Counter
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from capdl_support import GOLDEN, ROOT  # noqa: E402 (the path comes first)
from dumps import DUMP  # noqa: E402
from hypothesis import HealthCheck, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from robustness import examine  # noqa: E402

WORDS = [
    b"arch", b"aarch64", b"arm11", b"riscv", b"objects", b"caps", b"irq maps", b"cdt", b"domains", b"{", b"}", b"(", b")", b"[", b"]",
    b"<", b">", b"=", b":", b";", b",", b"..", b"/", b"-", b"- child_of", b"->", b".", b"a", b"b", b"c", b"e[2]", b"a[]", b"a[1..]",
    b"ep", b"tcb", b"cnode", b"ut", b"frame", b"pt", b"pgd", b"irq", b"sc", b"4k", b"8 bits", b"0 bits", b"3", b"0x10",
    b"99999999999999999999", b"18446744073709551615", b"cspace", b"RW", b"badge", b"masked", b"guard", b"mapping", b"reply", b"paddr",
    b"fill", b"{0 1 x y 2}", b"schedule", b"caprock", b"1", b"include", b'"x"', b"interface", b"components", b"component", b"connect",
    b"call", b"notify", b"shared", b"a.b", b"prio", b"budget", b"1ms", b"elf", b"uses", b"provides", b"region", b"emits", b"device",
    b"grant", b"/*", b"*/", b"--", b"-- Dump", b"\n", b"\r", b"\t", b"\x00", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xff", b'"'
]
LARGEST = 20_000
# Of ten inputs so many are drawn by Hypothesis; the rest are changed descriptions.
DRAWN = 1


def corpus():
    """Good descriptions, in an order that is the same everywhere."""
    paths = [*GOLDEN.glob("*.cdl"), *(ROOT / "systems").glob("*.cdl"), *(ROOT / "userland" / "interfaces").glob("*.cdl")]
    return [DUMP.encode(), b"arch aarch64 objects { e = ep c = cnode (4 bits) } caps { c { e (RW) } }", *(path.read_bytes() for path in sorted(paths))]


def change(data, other, random):
    """One change: a byte, or a part removed, repeated, replaced by a word or by a part of another description."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice((0, 1, 1, 2, 8, 40, 400)))
    from_other = random.randrange(len(other) + 1)
    piece = random.choice((b"", bytes([random.randrange(256)]), data[start:end] * 2, random.choice(WORDS), b" " + random.choice(WORDS) + b" ",
                           other[from_other:from_other + random.choice((8, 80, 800))]))
    return (data[:start] + piece + data[end:])[:LARGEST]


def make_input(number, texts):
    """The input of seed `number`."""
    random = Random(number)
    data = random.choice(texts)
    for _ in range(random.choice((1, 1, 2, 3, 5, 9))):
        data = change(data, random.choice(texts), random)
    return data


def fail(data, error, keep):
    """Keep an input and say what is wrong with it; the status."""
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / "failure.cdl"
    path.write_bytes(data)
    traceback.print_exception(error, file=sys.stdout)
    print(f"failure: {type(error).__name__} (again: ./caprock fuzz capdl --replay {path})")
    return 1


def changed(first, count, keep, counts):
    """`count` changed descriptions; the status."""
    texts = corpus()
    for number in range(first, first + count):
        data = make_input(number, texts)
        try:
            counts["systems"] += examine(data)
        except Exception as error:  # whatever it is, it is a finding
            return fail(data, error, keep)
    return 0


def drawn(first, count, keep, counts):
    """`count` texts of Hypothesis: words in any order, any characters, any bytes; the status."""
    text = st.one_of(st.lists(st.sampled_from(WORDS), max_size=60).map(b" ".join), st.text(max_size=200).map(lambda drawn: drawn.encode("utf-8", "replace")),
                     st.binary(max_size=200).map(lambda drawn: b"arch aarch64 objects { " + drawn))
    last = [b""]

    @seed(first)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(text)
    def run(data):
        last[0] = data
        counts["systems"] += examine(data)
    try:
        run()
    except Exception as error:  # whatever it is, it is a finding
        return fail(last[0], error, keep)
    return 0


def main():
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("."))
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    if options.replay:
        examine(options.replay.read_bytes())
        print("1 inputs")
        return 0
    counts = Counter()
    by_hypothesis = options.inputs * DRAWN // 10
    status = changed(options.seed, options.inputs - by_hypothesis, options.keep, counts)
    if status == 0 and by_hypothesis:
        status = drawn(options.seed, by_hypothesis, options.keep, counts)
    if status == 0:
        print(f"{options.inputs} inputs, {counts['systems']} systems without errors")
    return status


if __name__ == "__main__":
    sys.exit(main())
