# SPDX-License-Identifier: BSD-2-Clause
"""Capabilities that `grant` gives a component: to any object by name, with the rights that the description says."""

from .model import BUILT_IN_CAPS, Cap
from .resolve import CAP_PARAMETERS, Resolver
from .syntax import Grant


class GrantResolver(Resolver):
    """Resolves grants when all objects are known, generated ones too."""

    def granted_caps(self, grant: Grant) -> list[Cap]:
        """The capabilities of a syntax.Grant; none after an error."""
        target = grant.target
        if target.name in BUILT_IN_CAPS and target.ranges is None and target.name not in self.spec.objects:
            cap = self.built_in_cap(grant)
            return [] if cap is None else [cap]
        caps = [self.object_cap(name, grant) for name in self.names(target)]
        if None in caps or not caps:
            return []
        kind = self.spec.objects[caps[0].object].type
        if "rights" in CAP_PARAMETERS.get(kind, ()) and not caps[0].rights:
            self.error(grant.place, f"'grant {grant.name}' says no rights to '{target}' ({kind}), so it would be useless (add, for example: (RW))",
                       "grant-rights")
            return []
        return caps
