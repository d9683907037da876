# SPDX-License-Identifier: BSD-2-Clause
"""Parameters of object declarations: which ones a type may have and must have, and what fills mean."""

from collections.abc import Iterable
from typing import Any

from .diagnostics import Diagnostics, Place
from .model import FILL_BOOT_INFO, FILL_FILE, OWN_TCB_PARAMETERS, Fill
from .syntax import ObjectDeclaration

# type -> (parameters that it may have, parameters that it must have)
_TCB_PLACE = ("addr", "ip", "sp", "prio", "max_prio", "affinity")
OBJECT_PARAMETERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tcb": ((*_TCB_PLACE, "resume", "fpu_disabled", "dom", "fault_ep", "init", *OWN_TCB_PARAMETERS), ()),
    "cnode": (("bits",), ("bits",)),
    "ut": (("bits", "paddr"), ()),
    "frame": (("size", "paddr", "fill"), ("size",)),
    "sc": (("bits", "period", "budget", "data"), ()),
    "asid_pool": (("asid_high",), ()),
    "arm_irq": (("trigger", "target"), ("trigger", "target")),
    "ioapic_irq": (("ioapic_num", "ioapic_pin", "ioapic_level", "ioapic_polarity"),) * 2,
    "msi_irq": (("msi_handle", "msi_pci_bus", "msi_pci_dev", "msi_pci_fun"),) * 2,
    "io_ports": (("ports",), ("ports",)),
    "io_device": (("domainID", "pci"), ("domainID", "pci")),
    "arm_io_device": (("iospace",), ("iospace",)),
    "io_pt": (("level",), ("level",)),
    "contextbank": (("bank",), ()),
    "arm_sgi_signal": (("irq", "target"), ("irq", "target")),
}
_NO_PARAMETERS: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


class ParameterReader:
    """The part of the Resolver that reads parameters."""

    diagnostics: Diagnostics
    strict: bool

    def error(self, place: Place | None, message: str, check: str) -> None:
        """A mistake that every tool rejects."""
        self.diagnostics.error(place, message, check)

    def strict_error(self, place: Place | None, message: str, check: str) -> None:
        """A mistake that only this tool rejects."""
        (self.diagnostics.error if self.strict else self.diagnostics.warning)(place, message, check)

    def object_parameters(self, declaration: ObjectDeclaration) -> tuple[int | None, int | None, tuple[Fill, ...], dict[str, Any]]:
        """(size_bits, paddr, fills, params) of a declaration, checked against its type."""
        kind, place = declaration.type, declaration.place
        allowed, required = OBJECT_PARAMETERS.get(kind, _NO_PARAMETERS)
        values: dict[str, Any] = {}
        for parameter in declaration.parameters:
            if parameter.name not in allowed:
                text = f"(it takes: {', '.join(allowed)})" if allowed else "(it takes none)"
                self.error(parameter.place, f"the parameter '{parameter.name}' has no meaning for type {kind} {text}", "object-parameters")
            elif parameter.name in values:
                self.error(parameter.place, f"the parameter '{parameter.name}' is given twice (remove one)", "object-parameters")
            else:
                values[parameter.name] = parameter.value
        missing = [name for name in required if name not in values]
        if missing:
            self.error(place, f"'{declaration.name}' lacks the parameter '{missing[0]}' ({kind} needs: {', '.join(required)})",
                       "object-parameters")
        if kind == "tcb":
            self.check_tcb_parameters(declaration, values)
        if kind == "sc" and not values.keys().isdisjoint(("period", "budget", "data")) and not {"period", "budget"} <= values.keys():
            self.error(place, f"'{declaration.name}' needs period and budget together", "object-parameters")
        if not values:
            return None, None, (), {}
        size_bits = values.pop("bits", None)
        paddr = values.pop("paddr", None)
        if kind == "frame" and "size" in values:
            size_bits = self.frame_bits(declaration, values.pop("size"))
        fills = self.fills(values.pop("fill", ()))
        return size_bits, paddr, fills, values

    def check_tcb_parameters(self, declaration: ObjectDeclaration, values: dict[str, Any]) -> None:
        """The three sets of parameters that a TCB may have."""
        given: set[str] = {name for name in _TCB_PLACE if name in values}
        if given not in (set(), {"addr", "affinity"}, set(_TCB_PLACE)) or not given and not values.keys().isdisjoint(("resume",
                                                                                                                     "fpu_disabled")):
            self.error(declaration.place, f"'{declaration.name}' needs all of {', '.join(_TCB_PLACE)}, or addr and affinity, or none of "
                       "them", "object-parameters")

    def frame_bits(self, declaration: ObjectDeclaration, size: int) -> int | None:
        """log2 of a frame's size."""
        if size == 0 or size & (size - 1):
            self.error(declaration.place, f"the size of the frame '{declaration.name}' is no power of two", "frame-size")
            return None
        return size.bit_length() - 1

    def fills(self, items: Iterable[tuple[list[str], Place]]) -> tuple[Fill, ...]:
        """The fills that the words of a frame mean."""
        result = []
        for words, place in items:
            fill = self.fill(words, place)
            if fill is not None:
                result.append(fill)
        return tuple(result)

    def fill(self, words: list[str], place: Place) -> Fill | None:
        """offset length kind what what_offset"""
        def number(word: str) -> int | None:
            try:
                return int(word, 0) if len(word) < 100 else None
            except ValueError:
                return int(word) if word.isdecimal() and len(word) < 100 else None
        offset, length, file_offset = (number(words[index]) for index in (0, 1, 4)) if len(words) == 5 else (None, None, None)
        if (offset is None or length is None or file_offset is None or min(offset, length, file_offset) < 0
                or words[2] not in (FILL_FILE, FILL_BOOT_INFO)):
            self.strict_error(place, f"the fill is not understood (write {{offset length {FILL_FILE} \"file\" offset}} or "
                              f"{{offset length {FILL_BOOT_INFO} {FILL_BOOT_INFO}_FDT offset}})", "fill-form")
            return None
        return Fill(offset, length, words[2], words[3].strip('"'), file_offset)
