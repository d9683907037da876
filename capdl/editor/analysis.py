# SPDX-License-Identifier: BSD-2-Clause
"""What the tool makes of a description as it stands in the editor: syntax trees, named things, the checked system, and the findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import driver, syntax
from ..component_checks import System
from ..constants import Value
from ..diagnostics import Diagnostics, Finding, Place, Source
from ..lexer import Tokens
from ..model import Spec

# What elaboration makes of a component, behind its name.
GENERATED = ("tcb", "cnode", "vspace", "sc", "start_sc", "ep", "ntfn", "reply")


@dataclass(frozen=True)
class Definition:
    """A named thing. kind: component, interface, method, struct, field, object, capability, constant, file, or that of a port (uses, provides, emits,
    consumes, region, device, irq, grant). owner: the component or interface that it belongs to. node: of the syntax tree."""

    kind: str
    name: str
    place: Place
    owner: str | None = None
    node: Any = None


@dataclass
class Analysis:
    """Of one file and what it includes. texts: of files that the editor has, by resolved path. board: devicetree.Board, or None."""

    path: Path
    texts: Mapping[Path, str]
    board: Any = None
    source: Source = field(init=False)
    tokens: Tokens = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.path.resolve()
        self.source = Source(str(self.path), self.texts[self.path], self.path)
        self.tokens = Tokens(self.source.text)

    @cached_property
    def _read(self) -> tuple[list[syntax.Module], Mapping[str, Value]]:
        reader = driver.Reader(Diagnostics(), True, self.texts)
        reader.read(self.path, str(self.path), None, ())
        return reader.modules, reader.scope.values

    @property
    def modules(self) -> list[syntax.Module]:
        """The file, behind those that it includes."""
        return self._read[0]

    @property
    def constants(self) -> Mapping[str, Value]:
        """Named constants and parameters."""
        return self._read[1]

    @cached_property
    def system(self) -> System:
        """The component level."""
        return driver.make_system(self.modules)

    @cached_property
    def _loaded(self) -> tuple[Spec, Diagnostics]:
        return driver.load(self.path, partial=True, loadable=False, texts=self.texts)

    @property
    def spec(self) -> Spec | None:
        """The system without programs and devices; None while there are errors."""
        spec, diagnostics = self._loaded
        return spec if diagnostics.ok else None

    @property
    def findings(self) -> list[Finding]:
        """As `check` has them."""
        return self._loaded[1].ordered()

    @cached_property
    def definitions(self) -> list[Definition]:
        """All that has a name."""
        found = [Definition("constant", name, value.place, node=value) for name, value in self.constants.items()]
        for module in self.modules:
            found += definitions_of(module)
        return found

    def find(self, kind: str, name: str, owner: str | None = None) -> Definition | None:
        """The first thing of a kind and name."""
        return next((item for item in self.definitions if item.kind == kind and item.name == name and item.owner == owner), None)

    def port(self, component: str, name: str, kinds: tuple[str, ...]) -> Definition | None:
        """A port of one of the kinds."""
        return next((item for item in self.definitions if item.kind in kinds and item.name == name and item.owner == component), None)


def definitions_of(module: syntax.Module) -> Iterator[Definition]:
    """All named things of a file but constants, which are of all files."""
    for interface in module.interfaces:
        yield Definition("interface", interface.name, interface.place, node=interface)
        for struct in interface.structs:
            yield Definition("struct", struct.name, struct.place, interface.name, struct)
        for method in interface.methods:
            yield Definition("method", method.name, method.place, interface.name, method)
    for component in module.components:
        yield Definition("component", component.name, component.place, node=component)
        for device in component.devices:
            yield Definition("device", device.name, device.place, component.name, device)
        for irq in component.irqs:
            yield Definition("irq", irq.name, irq.place, component.name, irq)
        for grant in component.grants:
            yield Definition("grant", grant.name, grant.place, component.name, grant)
        for port in component.ports:
            yield Definition(port.kind, port.name, port.place, component.name, port)
    for declaration in module.objects:
        yield from objects_of(declaration)
    for caps in module.caps:
        if isinstance(caps, syntax.CapName):
            yield Definition("capability", caps.name, caps.place, node=caps)
            continue
        for entry in caps.entries:
            if entry.name is not None:
                yield Definition("capability", entry.name.name, entry.name.place, node=entry)


def objects_of(declaration: syntax.ObjectDeclaration) -> Iterator[Definition]:
    """An object, and those in its braces."""
    yield Definition("object", declaration.name.name, declaration.name.place, node=declaration)
    for item in declaration.body or ():
        if isinstance(item, syntax.ObjectDeclaration):
            yield from objects_of(item)
