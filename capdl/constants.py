# SPDX-License-Identifier: BSD-2-Clause
"""Named constants and parameters of descriptions: `const NAME = 4k`, and `parameter NAME = 10ms`, which the including file or the command line may
set to something else. They are known from where they stand on, in the file, in what it includes later, and in files that include it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from .diagnostics import Place
from .syntax import Include


@dataclass(frozen=True)
class Value:
    """A value with its unit. kind: "number", "size" (bytes), "duration" (microseconds) or "text"."""

    kind: str
    value: int | str
    place: Place

    def __str__(self) -> str:
        spelled = {"size": f"{self.value} bytes", "duration": f"{self.value} us", "text": f'"{self.value}"'}
        return spelled.get(self.kind, str(self.value))


class Scope:
    """The constants of a description, while its files are read. include: called with a syntax.Include where it stands, or None when includes are not
    followed. syntax_only: a file is read for its syntax alone, so that any name may stand for a constant."""

    def __init__(self, include: Callable[[Include], None] | None = None, syntax_only: bool = False):
        self.include = include
        self.syntax_only = syntax_only
        self.values: dict[str, Value] = {}
        self.given: dict[str, Value] = {}
        self.used: set[str] = set()
        self.lost: set[str] = set()   # names of constants whose values were not understood
        self.incomplete = False       # a file could not be read: any name may be of a constant in it

    def give(self, name: str, value: Value) -> None:
        """Set a parameter that is going to be declared."""
        self.given[name] = value

    def declare(self, name: str, default: Value | None, place: Place, is_parameter: bool) -> str | None:
        """A constant or parameter. Returns what is wrong with it, or None."""
        value = default
        if is_parameter and name in self.given:
            self.used.add(name)
            value = self.given[name]
            if default is not None and {value.kind, default.kind} not in ({value.kind}, {"number", "size"}):
                return f"the parameter '{name}' is a {default.kind} ({default}), but {value} was given"
        if value is None:
            return f"the parameter '{name}' has no value (give it one here, with the include, or with --set {name}=VALUE)"
        earlier = self.values.get(name)
        if earlier is not None:
            return f"the name '{name}' stands for {earlier} already, since {earlier.place} (rename one)"
        self.values[name] = Value(value.kind, value.value, place)
        return None

    def near(self, name: str) -> str:
        """A known name that is like `name`, as a remedy, or nothing."""
        near = get_close_matches(name, self.values, 1)
        return f" (did you mean '{near[0]}'?)" if near else ""
