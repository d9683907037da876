# SPDX-License-Identifier: BSD-2-Clause
"""Parameters of object declarations: which ones a type may have and must have, and what fills mean."""

from .model import FILL_BOOT_INFO, FILL_FILE, OWN_TCB_PARAMETERS, Fill

# type -> (parameters that it may have, parameters that it must have)
_TCB_PLACE = ("addr", "ip", "sp", "prio", "max_prio", "affinity")
OBJECT_PARAMETERS = {
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
_NO_PARAMETERS = ((), ())


class ParameterReader:
    """The part of the Resolver that reads parameters. Attributes: diagnostics, strict."""

    def error(self, place, message, check):
        """A mistake that every tool rejects."""
        self.diagnostics.error(place, message, check)

    def strict_error(self, place, message, check):
        """A mistake that only this tool rejects."""
        (self.diagnostics.error if self.strict else self.diagnostics.warning)(place, message, check)

    def object_parameters(self, declaration):
        """(size_bits, paddr, fills, params) of a declaration, checked against its type."""
        kind, place = declaration.type, declaration.place
        allowed, required = OBJECT_PARAMETERS.get(kind, _NO_PARAMETERS)
        values = {}
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

    def check_tcb_parameters(self, declaration, values):
        """The three sets of parameters that a TCB may have."""
        given = {name for name in _TCB_PLACE if name in values}
        if given not in (set(), {"addr", "affinity"}, set(_TCB_PLACE)) or not given and not values.keys().isdisjoint(("resume",
                                                                                                                     "fpu_disabled")):
            self.error(declaration.place, f"'{declaration.name}' needs all of {', '.join(_TCB_PLACE)}, or addr and affinity, or none of "
                       "them", "object-parameters")

    def frame_bits(self, declaration, size):
        """log2 of a frame's size."""
        if size == 0 or size & (size - 1):
            self.error(declaration.place, f"the size of the frame '{declaration.name}' is no power of two", "frame-size")
            return None
        return size.bit_length() - 1

    def fills(self, items):
        """The fills that the words of a frame mean."""
        result = []
        for words, place in items:
            fill = self.fill(words, place)
            if fill is not None:
                result.append(fill)
        return tuple(result)

    def fill(self, words, place):
        """offset length kind what what_offset"""
        def number(word):
            try:
                return int(word, 0) if len(word) < 100 else None
            except ValueError:
                return int(word) if word.isdecimal() and len(word) < 100 else None
        numbers = [number(word) for word in words]
        well_formed = (len(words) == 5 and numbers[0] is not None and numbers[1] is not None and numbers[4] is not None
                       and words[2] in (FILL_FILE, FILL_BOOT_INFO))
        if not well_formed or min(numbers[0], numbers[1], numbers[4]) < 0:
            self.strict_error(place, f"the fill is not understood (write {{offset length {FILL_FILE} \"file\" offset}} or "
                              f"{{offset length {FILL_BOOT_INFO} {FILL_BOOT_INFO}_FDT offset}})", "fill-form")
            return None
        return Fill(numbers[0], numbers[1], words[2], words[3].strip('"'), numbers[4])
