# SPDX-License-Identifier: BSD-2-Clause
"""Plain capDL: whether other tools for the language can read an elaborated system, and what stands in the way where they cannot."""

from collections.abc import Iterator

from .diagnostics import Place
from .model import OWN_TCB_PARAMETERS, Spec

_MEANING = {"first_receive": "starts on time that is lent to it until its first receive (`passive`)", "physical_timer": "has access to the physical timer",
            "pmu": "has access to the performance monitor"}
assert set(_MEANING) == set(OWN_TCB_PARAMETERS)


def extensions(spec: Spec) -> Iterator[tuple[Place | None, str]]:
    """(place, message) for everything that the system says in words of this project's own."""
    for item in spec.objects.values():
        for name in OWN_TCB_PARAMETERS:
            if item.type == "tcb" and name in item.params:
                yield item.place, f"'{item.name}' {_MEANING[name]}, which plain capDL cannot say (its extension is the parameter {name}; remove it)"
    for domain, duration, unit in spec.domains.schedule if spec.domains else ():
        if unit is not None:
            yield spec.domains.place, (f"the turn of domain {domain} lasts {duration} {unit}, and plain capDL has no units of time (its extension is the unit; "
                                       "remove it)")
