# SPDX-License-Identifier: BSD-2-Clause
"""`fmt`: the uniform shape of a description that people write. Comments, line breaks and the order of things stay as they are.

Lines are indented by two spaces per open bracket, trailing space and repeated empty lines go, and the text ends with one newline.
The inside of block comments moves with the line that begins them. What stands within a line stays, so that the text means what it meant.
"""

import re

from .compat.dump import is_dump

_PIECE = re.compile(r'"[^"\n]*"|--[^\n]*|/\*|\*/|[{}()\[\]]|[^\W\d_][\w\-@.]*|.', re.DOTALL)
_INDENT = "  "
_OPENING, _CLOSING = "{([", "})]"


def format_text(text: str) -> str:
    """The formatted text; formatting it again changes nothing. The text should be free of syntax errors."""
    lines: list[str] = []
    depth = comment_depth = shift = 0
    for line in text.split("\n"):
        stripped = line.strip()
        present = len(line[:len(line) - len(line.lstrip())].expandtabs(8))
        if comment_depth:
            indent = max(present + shift, 0) if stripped else 0
        else:
            indent = len(_INDENT) * max(depth - leading_closings(stripped), 0)
            shift = indent - present
        depth, comment_depth = scan(stripped, depth, comment_depth)
        if stripped or (lines and lines[-1]):
            lines.append(" " * indent + stripped if stripped else "")
    while lines and not lines[-1]:
        lines.pop()
    if lines and is_dump(lines[0]) and not is_dump(text):
        lines.insert(0, "")  # without the empty line, which is not its first one, it would be a dump
    return "".join(line + "\n" for line in lines)


def leading_closings(line: str) -> int:
    """How many brackets a line closes before anything else."""
    count = 0
    for character in line:
        if character in _CLOSING:
            count += 1
        elif not character.isspace():
            break
    return count


def scan(line: str, depth: int, comment_depth: int) -> tuple[int, int]:
    """Bracket and comment depth after a line."""
    for match in _PIECE.finditer(line):
        piece = match.group()
        if piece == "/*":
            comment_depth += 1
        elif piece == "*/" and comment_depth:
            comment_depth -= 1
        elif comment_depth and piece.startswith(("--", '"')):
            # Only block comments end or nest here; look into the piece for them.
            comment_depth += piece.count("/*") - piece.count("*/")
            comment_depth = max(comment_depth, 0)
        elif not comment_depth and piece in _OPENING:
            depth += 1
        elif not comment_depth and piece in _CLOSING:
            depth = max(depth - 1, 0)
    return depth, comment_depth
