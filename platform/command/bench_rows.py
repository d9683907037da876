# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark's table: each operation's name, what seL4 takes for it, and what Caprock is to take. Guest instructions, from user level to user level.

seL4 16.0.0 (2026-08), built for release with gcc 12.2, on the same machine and counted alike, with the floating-point unit disabled for every
thread. `best` is the best of its configurations for the operation; `mcs` the best of those with scheduling contexts, whose semantics Caprock has.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """An operation. A figure is None where there is none; without a goal the figure is only reported."""

    operation: str
    best: int | None
    mcs: int | None
    goal: int | None
    boot: bool = False  # counted by a plugin, not by the benchmark system

    @property
    def peer(self) -> int | None:
        """The smaller of seL4's figures."""
        figures = [figure for figure in (self.best, self.mcs) if figure is not None]
        return min(figures, default=None)


ROWS = (
    Row("nbsend null", 249, 302, 90),
    Row("yield", 255, 402, 230),
    Row("call one way", 193, 211, 120),
    Row("replyrecv one way", 211, 264, 135),
    Row("round trip 0 words, passive server, same or other address space", 403, 474, 255),
    Row("round trip 4 words", 457, 527, 260),
    Row("round trip 10 words", 1275, 1798, 275),
    Row("round trip 64 words", 1829, 2352, 600),
    Row("round trip 120 words", 2389, 2912, 900),
    Row("round trip 0 words, server with its own scheduling context", None, None, 400),
    Row("round trip 0 words, both sides use SIMD in every iteration (FPU enabled)", 506, 577, 380),
    Row("first FP use after a switch", None, None, None),
    Row("send receive", 951, 1269, 600),
    Row("signal idle", 321, 143, 100),
    Row("signal low", 560, 233, 200),
    Row("signal high", 454, 633, 300),
    Row("wait blocking", 353, 447, 250),
    Row("wait active", 203, 256, 110),
    Row("fault passive", 411, 448, 360),
    Row("fault active", 411, 1475, 450),
    Row("irq to user", 306, 419, 240),
    Row("irq cycle", 1019, 1283, 650),
    Row("cnode copy", 583, 643, 350),
    Row("cnode mint", 601, 661, 360),
    Row("cnode move", 502, 561, 320),
    Row("cnode delete", 559, 624, 350),
    Row("cnode revoke 1", 626, 722, 400),
    Row("cnode revoke 100", 18156, 21538, 10000),
    Row("retype frame clear", 1064, 1112, 600),
    Row("retype frame reused", 1607, 2967, 900),
    Row("retype tcb clear", 665, 700, 450),
    Row("retype tcb reused", 950, 1640, 800),
    Row("retype 256 frames reused", 249686, 592247, 150000),
    Row("page map", 490, 579, 320),
    Row("page unmap", 436, 522, 300),
    Row("tcb configure", 1169, 1255, 750),
    Row("tcb resume", 624, 710, 350),
    Row("tcb delete", 1928, 2031, 1100),
    Row("tcb life", 7258, 8651, 4500),
    Row("kernel entry to the first user instruction", None, 2324947, 400000, True),
    Row("first instruction of the Image to the first user instruction", None, None, 1500000, True),
    Row("hello.cdl: first instruction of the Image to the first one of a component", None, None, None, True),
)
"""In the order in which they are printed."""
