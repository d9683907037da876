# SPDX-License-Identifier: BSD-2-Clause
"""The map from an elaborated system back to its description: a comment behind each object and capability that says where it comes from."""

from .model import Cap, Object, Spec
from .printing import Note


def notes(spec: Spec) -> Note:
    """A function that gives the comment behind a model.Object or model.Cap; empty for what has no place. A capability in an object that was written at the
    same place says nothing that the object does not say."""
    places = {item.name: item.place for item in spec.objects.values()}

    def note(item: Object | Cap, holder: str | None = None) -> str:
        if item.place is None or holder is not None and item.place == places[holder]:
            return ""
        if isinstance(item, Object) and item.component is not None:
            return f"  -- {item.place} component {item.component}"
        return f"  -- {item.place}"
    return note
