# SPDX-License-Identifier: BSD-2-Clause
"""Coq's files as text: what they say without their comments, and what a proof may not contain."""

import re

FORBIDDEN = ("Admitted", "admit", "Axiom", "Parameter", "Conjecture", "Unset Guard Checking", "bypass_check", "Unset Universe Checking")
"""A hole, or a way around the checker."""
_FORBIDDEN = re.compile("|".join(rf"(?<![\w']){word}(?![\w'])" for word in FORBIDDEN))


def without_comments(text):
    """A file without its comments, which may be nested; every line stays where it is."""
    kept, depth, place = [], 0, 0
    while place < len(text):
        pair = text[place:place + 2]
        if pair == "(*" or pair == "*)" and depth:
            depth += 1 if pair == "(*" else -1
            place += 2
        else:
            kept.append(text[place] if not depth or text[place] == "\n" else "")
            place += 1
    return "".join(kept)


def holes(text):
    """Each place of a file that leaves something unproved or works around the checker: line number and word."""
    return [(number, found) for number, line in enumerate(without_comments(text).splitlines(), 1) for found in _FORBIDDEN.findall(line)]
