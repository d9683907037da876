# SPDX-License-Identifier: BSD-2-Clause
"""The section `policy { ... }` of the description language."""

from __future__ import annotations

from .model import BUILT_IN_CAPS, OBJECT_TYPES
from .parser import Parser
from .policy_clauses import EVERY, AllowFlow, AssumeDma, CpuLoad, DenyCaps, DenyFlow, Isolated, Name, Names, OnlyReach, Trusted

CLAUSES = ("trusted", "deny", "allow", "isolated", "only", "assume", "cpu")
KINDS = (*OBJECT_TYPES, *BUILT_IN_CAPS)
MAX_PERCENT = 100


class PolicyParser(Parser):
    """Parser of policies, beside the object level."""

    def policy_clause(self) -> None:
        """One clause."""
        place, index = self.place(), self.index
        word = self.name("a clause of the policy")
        if word == "trusted":
            self.module.policy.append(Trusted(self.subject(), self.string("the reason, in double quotes"), place))
        elif word == "deny" and self.accept_word("flow"):
            self.module.policy.append(DenyFlow(*self.ends(), place))
        elif word == "deny" and self.accept_word("caps"):
            self.module.policy.append(self.deny_caps(index))
        elif word == "allow":
            self.expect_word("flow")
            source, target = self.ends()
            self.expect_word("via")
            self.module.policy.append(AllowFlow(source, target, self.subjects(), place))
        elif word == "isolated":
            members = self.braced_subjects()
            self.module.policy.append(Isolated(members, self.subjects() if self.accept_word("via") else (), place))
        elif word == "only":
            subject = self.subject()
            self.expect_word("may")
            self.expect_word("reach")
            self.module.policy.append(OnlyReach(subject, self.subject("a device: a path in double quotes, or an alias such as stdout"), place))
        elif word == "assume":
            self.module.policy.append(self.assume_dma(index))
        elif word == "cpu":
            self.module.policy.append(self.cpu_load(index))
        elif word == "deny":
            raise self.problem(f"expected 'flow' or 'caps' after 'deny', found {self.found()}")
        else:
            raise self.problem(f"unknown clause '{word}' of a policy (known: {' '.join(CLAUSES)})", index)
        self.accept(";")

    def subject(self, what: str = "a component, or a device's path in double quotes") -> Name:
        """The name of a subject."""
        place = self.place()
        return Name(self.string() if self.kinds[self.index] == "string" else self.name(what), place)

    def subject_or_every(self, what: str) -> Name:
        """The name of a subject, or `*`"""
        place = self.place()
        return Name(EVERY, place) if self.accept(EVERY) else self.subject(what)

    def subjects(self) -> Names:
        """SUBJECT, ..."""
        names = [self.subject()]
        while self.accept(","):
            names.append(self.subject())
        return tuple(names)

    def braced_subjects(self) -> Names:
        """{ SUBJECT, ... }, which may be empty"""
        self.expect("{", "before the names of components")
        names = () if self.kinds[self.index] == "}" else self.subjects()
        self.expect("}", "or ',' after a name")
        return names

    def ends(self) -> tuple[Name, Name]:
        """SUBJECT -> SUBJECT"""
        source = self.subject()
        self.expect("->", "and the other end")
        return source, self.subject()

    def deny_caps(self, index: int) -> DenyCaps:
        """(KIND, ...) in SUBJECT, or in * except SUBJECT, ...; the first words are taken. index: of the clause."""
        if self.kinds[self.index] != "(":
            raise self.problem(f"expected '(' and kinds of capabilities, found {self.found()}")
        kinds = tuple(self.parameters(self.kind))
        self.expect_word("in")
        subject = self.subject_or_every("a component, or *")
        exceptions: Names = ()
        if self.at_word("except"):
            if subject.text != EVERY:
                raise self.problem("'except' goes with *, which stands for every component (remove it)")
            self.index += 1
            exceptions = self.subjects()
        return DenyCaps(kinds, subject, exceptions, self.place(index))

    def kind(self) -> str:
        """A kind of capability."""
        index = self.index
        kind = self.name("a kind of capability")
        if kind not in KINDS:
            raise self.problem(f"unknown kind of capability '{kind}' (known: {' '.join(KINDS)})", index)
        return kind

    def assume_dma(self, index: int) -> AssumeDma:
        """dma(DEVICE) within { SUBJECT, ... }; the first word is taken. index: of the clause."""
        self.expect_word("dma")
        self.expect("(", "and a device")
        device = self.subject_or_every("a device: a path in double quotes, an alias, or * for all others")
        self.expect(")", "after the device")
        self.expect_word("within")
        return AssumeDma(device, self.braced_subjects(), self.place(index))

    def cpu_load(self, index: int) -> CpuLoad:
        """CORE load <= PERCENT%; the first word is taken. index: of the clause."""
        core = self.number("the number of a core")
        self.expect_word("load")
        self.expect("<", "and '=' after 'load'")
        self.expect("=", "after '<'")
        percent_index = self.index
        percent = self.number("a share of the core's time in percent")
        if percent > MAX_PERCENT:
            raise self.problem(f"a core has {MAX_PERCENT}% of its time, not {percent}%", percent_index)
        self.expect("%", "after the share of the core's time")
        return CpuLoad(core, percent, self.place(index))
