# SPDX-License-Identifier: BSD-2-Clause
"""The figures of a traced run for people to read."""

_KERNEL_ROWS = 12


def text(name: str, found: dict) -> str:
    """Everything that trace_figures.figures gives, as lines. name: the system's."""
    head = [f"trace of {name}: {_ms(found['length'])}, {found['entries']:,} kernel entries, {found['switches']:,} switches; "
            + ("over the time asked for" if found["end"] == "for" else found["end"]),
            "an instruction takes a nanosecond; docs/trace.md says what each figure means and what it leaves out"]
    parts = [_time(found), _lent(found), _calls(found), _signals(found), _interrupts(found), _budgets(found), _faults(found), _kernel(found), _worst(found),
             _admission(found)]
    return "\n".join([*head, *(line for part in parts if part for line in ("", *part))]) + "\n"


def _us(time: float | None) -> str:
    return "-" if time is None else f"{time / 1000:,.3f} us"


def _ms(time: int | None) -> str:
    return "-" if time is None else f"{time / 1_000_000:,.6f} ms"


def _table(title: str, heads: list[str], rows: list[list[str]], left: int = 1) -> list[str]:
    """A table with `left` columns of words in front of those of numbers."""
    if not rows:
        return []
    cells = [heads, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = ["  " + "  ".join(cell.ljust(width) if column < left else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
             for row in cells]
    return [title, *lines]


def _time(found: dict) -> list[str]:
    rows = []
    for row in found["time"]:
        budget = [f"{row['budget'] / 1000:,.0f}/{row['period'] / 1000:,.0f} us", _us(row["used"]), _us(row["most"])] if "budget" in row else ["", "", ""]
        rows.append([row["name"], _us(row["user"]), _us(row["kernel"]), f"{row['share']:.2%}", str(row["activations"] or ""), *budget])
    total = [sum(row[key] for row in found["time"]) for key in ("user", "kernel", "share")]
    rows.append(["total", _us(total[0]), _us(total[1]), f"{total[2]:.2%}", "", "", "", ""])
    return _table("Time", ["", "user", "kernel", "share", "activations", "budget", "used", "most in a period"], rows)


def _lent(found: dict) -> list[str]:
    return _table("Time lent with calls", ["of", "to", "time"], [[row["of"], row["to"], _us(row["time"])] for row in found["lent"]], 2)


def _calls(found: dict) -> list[str]:
    rows = [[row["client"], f"{row['server']}.{row['method']}", str(row["count"]), str(row["count"] - row["answered"] or ""), str(row["errors"] or ""),
             _us(row["best"]), _us(row["mean"]), _us(row["worst"]), _ms(row["at"]), _us(row["waited"])] for row in found["calls"]]
    return _table("Calls", ["client", "method", "count", "unanswered", "errors", "best", "mean", "worst", "at", "worst wait for the server"], rows, 2)


def _signals(found: dict) -> list[str]:
    return _table("Signals", ["from", "to", "count"], [[row["source"], row["target"], str(row["count"])] for row in found["signals"]], 2)


def _interrupts(found: dict) -> list[str]:
    rows = [[row["device"], row["handler"] or "kernel", str(row["number"]), str(row["count"]), _us(row["mean"]), _us(row["worst"]), _ms(row["at"]),
             str(row["busy"] or ""), _us(row["busy_worst"]) if row["busy"] else ""] for row in found["interrupts"]]
    return _table("Interrupts", ["device", "handler", "number", "count", "mean latency", "worst", "at", "handler busy", "worst then"], rows, 2)


def _budgets(found: dict) -> list[str]:
    words = {"ended": "used up", "waits": "woke before it was there again", "yielded": "given up by Yield"}
    rows = [[row["of"], row["thread"], words[row["what"]], str(row["count"]), _ms(row["first"])] for row in found["budgets"]]
    return _table("Budgets", ["of", "thread", "what", "count", "first at"], rows, 3)


def _faults(found: dict) -> list[str]:
    rows = [[row["thread"], row["kind"] + (f" {row['address']:#x}" if "memory" in row["kind"] else ""), f"{row['instruction']:#x}", row["handler"] or "nobody",
             str(row["count"]), _us(row["worst"]), _ms(row["first"])] for row in found["faults"]]
    return _table("Faults and ends", ["thread", "what", "instruction", "told to", "count", "after at most", "first at"], rows, 4)


def _kernel(found: dict) -> list[str]:
    rows = [[row["what"], str(row["count"]), _us(row["time"]), _us(row["mean"]), _us(row["worst"]), _ms(row["at"])] for row in found["kernel"][:_KERNEL_ROWS]]
    left = len(found["kernel"]) - len(rows)
    return _table("In the kernel" + (f", the first {len(rows)} of {len(rows) + left}" if left else ""), ["for", "count", "time", "mean", "worst", "at"], rows)


def _worst(found: dict) -> list[str]:
    words = {"activation": "ready to first instruction", "call": "call to answer", "interrupt": "interrupt to handler", "kernel": "in the kernel at once"}
    rows = [[words[kind], _us(row["time"]), _ms(row["at"]), row["of"] or "none"] for kind, row in found["worst"].items()]
    return ["Worst", *("  " + "  ".join([words_.ljust(26), time.rjust(14), at.rjust(14), who]) for words_, time, at, who in rows)]


def _admission(found: dict) -> list[str]:
    rows = [[row["name"], "never" if row["promised"] is None else _us(row["promised"]), _us(row["seen"]), _ms(row["at"])] for row in found["admission"]]
    return _table("Ready without a break: what ./caprock admit promises (level supply), and the longest seen", ["", "promised", "seen", "at"], rows)
