# SPDX-License-Identifier: BSD-2-Clause
"""Where the kernel's portable core can be made wrong: all sites of a fixed list of operators in its sources. Sources are read as tokens; what a change
makes of them is for the compiler to judge."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("cap", "core", "fastpath", "ipc", "object", "sched", "syscall")
# What ends the kernel is no part of what it does.
LEFT_OUT = ("core/panic.hpp", "core/panic.cc")
# Functions that are left out with the statements that only call them, because nothing that the specification has depends on what they do. So are
# assertions (assert_...).
LEFT_OUT_FUNCTIONS = {
    # Ranks decide the shape of the heap, and with it how long an insertion takes, but not who is least.
    "core/heap.hpp": ("rank", "balance", "restore_ranks"),
    # The numbers of objects are opaque: any will do that are different. A unit test has the published vectors of the cipher.
    "object/inspect.cc": ("rotate_right", "rotate_left", "encrypt", "identity"),
    # Only assembly calls these, which no host has: tests/fastpath compares its path with the general one.
    "syscall/trap.cc": ("handle_acknowledged", "handle_special_switch", "handle_context_switch"),
}

# Functions of which the first two arguments mean the same in any order: as with the operands of +, that they change places is no mistake.
SYMMETRIC = {"swap_slots", "earlier", "later", "shorter"}

_TOKEN = re.compile(r"""
    (?P<skipped>//[^\n]*|/\*.*?\*/|^[ ]*\#(?:\\\n|[^\n])*|\[\[[^\]]*\]\]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<number>\b0x[0-9a-fA-F']+u?\b|\b\d[\d']*u?\b)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign><<=|>>=|<=>|->|::|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|/=|%=|&=|\|=|\^=|[-+*/%&|^~!<>=?:;,.(){}\[\]])
  | (?P<space>\s+)
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

# Operators between two operands, and what takes their place.
_SWAPS = {
    "<": ("<=", ">"), "<=": ("<",), ">": (">=", "<"), ">=": (">",), "==": ("!=",), "!=": ("==",), "&&": ("||",), "||": ("&&",),
    "+": ("-",), "-": ("+",), "*": ("+",), "/": ("*",), "%": ("/",), "&": ("|",), "|": ("&",), "^": ("|",), "<<": (">>",), ">>": ("<<",),
    "+=": ("-=",), "-=": ("+=",), "|=": ("&=",), "&=": ("|=",),
}
_STEPS = {"++": "--", "--": "++"}
_KEYWORDS = {"if", "for", "while", "switch", "return", "case", "else", "do", "default", "break", "continue", "using", "const", "constexpr", "auto", "template",
             "static", "inline", "namespace", "struct", "class", "enum", "union", "typename", "operator",
              "public", "private", "friend", "static_assert", "sizeof",
             "alignof", "throw", "goto", "extern"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Site:
    """One change: in `file` (below kernel/) the text from `start` to `end` becomes `new`."""

    file: str
    operator: str
    start: int
    end: int
    new: str
    line: int
    before: str   # the source's line
    behind: str = ""   # the line before it

    def apply(self, text: str) -> str:
        return text[:self.start] + self.new + text[self.end:]

    def changed_line(self, text: str) -> str:
        """What the line is afterwards, in one piece."""
        after = self.apply(text)
        first = text.rfind("\n", 0, self.start) + 1
        last = after.find("\n", self.start + len(self.new))
        return " ".join(after[first:last].split())


def tokens(text: str) -> list[Token]:
    """What the compiler sees of a source."""
    found = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"character {text[at]!r} at {at} begins no token")
        if match.lastgroup not in ("skipped", "space"):
            found.append(Token(match.lastgroup, match.group(), match.start(), match.end()))
        at = match.end()
    return found


def _matching(all_tokens: list[Token]) -> dict[int, int]:
    """Of each opening bracket the index of the closing one."""
    pairs = {}
    open_ones = []
    for i, token in enumerate(all_tokens):
        if token.text in "([{":
            open_ones.append(i)
        elif token.text in ")]}":
            pairs[open_ones.pop()] = i
    return pairs


class _Source:
    """Finds the sites of one source."""

    def __init__(self, file: str, text: str):
        self.file = file
        self.text = text
        self.tokens = tokens(text)
        self.pairs = _matching(self.tokens)
        self.sites: list[Site] = []

    def add(self, operator: str, start: int, end: int, new: str) -> None:
        line = self.text.count("\n", 0, start) + 1
        first = self.text.rfind("\n", 0, start) + 1
        before = " ".join(self.text[first:self.text.find("\n", end)].split())
        behind = " ".join(self.text[self.text.rfind("\n", 0, max(first - 1, 0)) + 1:max(first - 1, 0)].split())
        self.sites.append(Site(self.file, operator, start, end, new, line, before, behind))

    def spaced(self, i: int) -> bool:
        """Binary operators have spaces around them; brackets of templates and signs of types have not."""
        token = self.tokens[i]
        return self.text[token.start - 1].isspace() and self.text[token.end:token.end + 1].isspace()

    def left_out(self) -> list[tuple[int, int]]:
        """Where the functions stand that are left out, and statements that are calls of them: starts and ends in the text."""
        names = LEFT_OUT_FUNCTIONS.get(self.file, ())
        ranges = []
        for i, token in enumerate(self.tokens):
            left_out = token.text in names or token.text.startswith("assert_")
            if not left_out or self.tokens[i + 1].text != "(":
                continue
            behind = self.tokens[self.pairs[i + 1] + 1]
            if behind.text == "{":
                ranges.append((token.start, self.tokens[self.pairs[self.pairs[i + 1] + 1]].end))
            elif behind.text == ";":
                ranges.append((token.start, behind.end))
        return ranges

    def find(self) -> list[Site]:
        ranges = self.left_out()
        return [site for site in self.find_all() if not any(start <= site.start < end for start, end in ranges)]

    def find_all(self) -> list[Site]:
        for i, token in enumerate(self.tokens):
            if token.kind == "sign":
                self.swap(i, token)
            elif token.kind == "number":
                self.shift(token)
            elif token.text in ("true", "false"):
                self.add("boolean", token.start, token.end, "false" if token.text == "true" else "true")
            elif token.text in ("if", "while") and self.tokens[i + 1].text == "(":
                self.condition(i)
            elif token.kind == "word" and i + 1 < len(self.tokens) and self.tokens[i + 1].text == "(" and token.text not in _KEYWORDS | SYMMETRIC:
                self.arguments(i + 1)
            if token.text in (";", "{", "}") and i + 1 < len(self.tokens):
                self.statement(i + 1)
        return self.sites

    def swap(self, i: int, token: Token) -> None:
        if token.text in _STEPS:
            self.add("step", token.start, token.end, _STEPS[token.text])
        elif token.text in _SWAPS and self.spaced(i):
            for other in _SWAPS[token.text]:
                self.add("operator", token.start, token.end, other)
        elif token.text == "!":
            self.add("negation", token.start, token.end, "")

    def shift(self, token: Token) -> None:
        value = int(token.text.replace("'", "").rstrip("u"), 0)
        for other in (value + 1, value - 1):
            if other >= 0:
                self.add("constant", token.start, token.end, str(other))

    def condition(self, i: int) -> None:
        """Negated, always true, never true; the declaration of a condition stays."""
        first = self.tokens[i + 2].start
        close = self.pairs[i + 1]
        inside = [token for token in self.tokens[i + 2:close] if token.text == ";"]
        if inside:
            first = inside[-1].end
        last = self.tokens[close].start
        old = self.text[first:last].strip()
        for new in (f"!({old})", f"({old}) || true", f"({old}) && false"):
            self.add("condition", first, last, new)

    def arguments(self, opening: int) -> None:
        """The first two of a call's arguments change places."""
        close = self.pairs[opening]
        commas = []
        i = opening + 1
        while i < close:
            if i in self.pairs:
                i = self.pairs[i]
            elif self.tokens[i].text == ",":
                commas.append(i)
            i += 1
        if not commas:
            return
        ends = [self.tokens[commas[0]].start, self.tokens[commas[1] if len(commas) > 1 else close].start]
        start = self.tokens[opening].end
        first, second = self.text[start:ends[0]].strip(), self.text[self.tokens[commas[0]].end:ends[1]].strip()
        self.add("arguments", start, ends[1], f"{second}, {first}")

    def statement(self, i: int) -> None:
        """A call or an assignment that is a statement of its own is left out; so is a statement behind a condition in one line."""
        while self.tokens[i].text in ("if", "else", "for", "while") and i + 1 < len(self.tokens):
            if self.tokens[i].text == "else":
                i += 1
                continue
            if self.tokens[i + 1].text != "(":
                return
            i = self.pairs[i + 1] + 1
        first = i
        if self.tokens[i].kind != "word" and self.tokens[i].text not in ("*", "++", "--", "("):
            return
        if self.tokens[i].text in _KEYWORDS:
            return
        acts = self.tokens[i].text in _STEPS
        while i < len(self.tokens) and self.tokens[i].text not in (";", "{", "}"):
            if self.tokens[i].text == "(":
                acts = True
                i = self.pairs[i]
            elif self.tokens[i].text in ("[",):
                i = self.pairs[i]
            elif self.tokens[i].text in ("=", "+=", "-=", "|=", "&=", "^=", "++", "--"):
                acts = True
            i += 1
        if acts and i < len(self.tokens) and self.tokens[i].text == ";":
            self.add("statement", self.tokens[first].start, self.tokens[i].end, ";")


def sites_of(file: str, text: str) -> list[Site]:
    """All sites of a source, in their order, each once."""
    return list(dict.fromkeys(_Source(file, text).find()))


def all_sites(kernel: Path) -> list[Site]:
    """All sites of the portable core, in the order of their files."""
    files = sorted(path for folder in FOLDERS for path in (kernel / folder).glob("*") if path.suffix in (".cc", ".hpp"))
    names = [path.relative_to(kernel).as_posix() for path in files]
    return [site for path, name in zip(files, names) if name not in LEFT_OUT for site in sites_of(name, path.read_text(encoding="utf-8"))]
