# SPDX-License-Identifier: BSD-2-Clause
"""Inductive types of the specification as terms: a number that says which constructor it is, and the fields of all of them. z3 has such types itself, but is
slow with them."""

import z3

_TAG_BITS = 8


class Value:
    """A value of a variant type. What a field is when the value is of another constructor says nothing."""

    def __init__(self, kind: "Variant", tag: z3.BitVecRef, fields: dict[str, object]):
        self.kind, self.tag, self.fields = kind, tag, fields

    def is_a(self, constructor: str) -> z3.BoolRef:
        return self.tag == self.kind.tag(constructor)

    def __getitem__(self, field: str):
        return self.fields.get(field, z3.BitVecVal(0, 64))

    def equals(self, other: "Value") -> z3.BoolRef:
        """Whether it is the same constructor with the same fields."""
        facts = [self.tag == other.tag]
        for constructor, names in self.kind.constructors.items():
            same = [_equal(self.fields[name], other.fields[name]) for name in names if name in self.fields and name in other.fields]
            lacking = [name for name in names if (name in self.fields) != (name in other.fields)]
            facts.append(z3.Implies(self.is_a(constructor), z3.And(*same, z3.BoolVal(not lacking))))
        return z3.And(*facts)


class Variant:
    """A type: its constructors and the names of their fields, no two of which are the same."""

    def __init__(self, **constructors: tuple[str, ...]):
        self.constructors = constructors

    def tag(self, constructor: str) -> z3.BitVecRef:
        return z3.BitVecVal(list(self.constructors).index(constructor), _TAG_BITS)

    def __call__(self, constructor: str, *values) -> Value:
        """The value of a constructor."""
        names = self.constructors[constructor]
        assert len(names) == len(values), constructor
        return Value(self, self.tag(constructor), dict(zip(names, values)))


def _equal(a, b) -> z3.BoolRef:
    return a.equals(b) if isinstance(a, Value) else a == b


def choose(condition: z3.BoolRef, a, b):
    """If the condition holds `a`, else `b`: values of one variant type, or terms."""
    if not isinstance(a, Value):
        return z3.If(condition, a, b)
    fields = {name: choose(condition, a.fields.get(name, b.fields.get(name)), b.fields.get(name, a.fields.get(name))) for name in {**a.fields, **b.fields}}
    return Value(a.kind, z3.If(condition, a.tag, b.tag), fields)


def match(value: Value, otherwise, **alternatives):
    """`match`: what the alternative of the value's constructor says, or else `otherwise`."""
    for constructor, result in alternatives.items():
        otherwise = choose(value.is_a(constructor), result, otherwise)
    return otherwise
