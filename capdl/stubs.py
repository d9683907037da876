# SPDX-License-Identifier: BSD-2-Clause
"""C++ and C headers of interfaces: for each `interface` of a description a client and a service skeleton.

    python3 -m capdl.stubs FILE.cdl -o DIR      writes DIR/NAME.hpp and DIR/NAME.h for each interface Name of the file and of what it includes

Headers stand on caprock/rpc.hpp, which also describes the wire format, and caprock/rpc.h. Names of parameters and methods become C++ names, so C++
keywords, and the few names that the generated code uses itself, are refused with their place.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import capdl
import jinja2

from . import stubs_c, syntax
from .diagnostics import Diagnostics
from .interface_meaning import meaning, meaning_hash
from .stubs_c import C_TYPES

TEMPLATES = Path(__file__).resolve().parent / "templates"

KEYWORDS = frozenset("""
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl concept const
    consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double dynamic_cast else
    enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using virtual void
    volatile wchar_t while xor xor_eq""".split())
# Names that the generated classes use for themselves.
CLASS_NAMES = frozenset(("Client", "Service", "Method", "Self", "Transport", "Wcet"))
METHOD_NAMES = KEYWORDS | CLASS_NAMES | {"dispatch", "name", "version", "meaning", "interface_name", "interface_meaning"}
PARAMETER_NAMES = KEYWORDS | CLASS_NAMES | {"caprock"}


class _Value:
    """A field of a struct, or a parameter that is neither bytes nor a capability, as the template wants it. kind: a syntax.Type."""

    def __init__(self, name: str, kind: syntax.Type):
        self.name = name
        self.kind = kind
        self.is_scalar = kind.is_scalar

    @property
    def type(self) -> str:
        """Its type in C++."""
        element = C_TYPES.get(self.kind.name, self.kind.name)
        return element if self.kind.count is None else f"caprock::Array<{element}, {self.kind.count}>"

    def put(self, packet: str, expression: str) -> str:
        """The statement that appends `expression` to the PacketWriter `packet`."""
        if self.kind.struct is None:
            return f"{packet}.put{'' if self.is_scalar else '_array'}({expression});"
        if self.kind.count is None:
            return f"put_{self.kind.name}({packet}, {expression});"
        return f"for (const {self.kind.name}& item_ : {expression}) put_{self.kind.name}({packet}, item_);"

    def take(self, packet: str, expression: str) -> str:
        """The statement that fills `expression` from the PacketReader `packet`."""
        if self.is_scalar:
            return f"{expression} = {packet}.template take<{self.type}>();"
        if self.kind.struct is None:
            return f"{packet}.take_array({expression});"
        if self.kind.count is None:
            return f"take_{self.kind.name}({packet}, {expression});"
        return f"for ({self.kind.name}& item_ : {expression}) take_{self.kind.name}({packet}, item_);"


class _Parameter(_Value):
    """A parameter as the template wants it."""

    def __init__(self, parameter: syntax.MethodParameter):
        super().__init__(parameter.name, parameter.type)
        self.direction = parameter.direction
        self.is_bytes = parameter.type.is_bytes
        self.is_cap = parameter.type.is_cap
        self.size = parameter.type.size
        self.qualifier = "const " if self.direction == "in" else ""
        self.spelling = f"{parameter.direction} {parameter.type} {parameter.name}"

    @property
    def type(self) -> str:
        """Its type in C++; of a capability that is sent its slot."""
        if self.is_cap:
            return "uint64_t"
        return f"caprock::Buffer<{self.size}>" if self.is_bytes else super().type

    @property
    def client_declaration(self) -> str:
        """The parameter of the client's method."""
        if self.direction != "in":
            return f"{'caprock::ReceivedCap' if self.is_cap else self.type}& {self.name}"
        if self.is_bytes:
            return f"caprock::ConstBytes {self.name}"
        return f"{self.type} {self.name}" if self.is_scalar or self.is_cap else f"const {self.type}& {self.name}"

    @property
    def service_declaration(self) -> str:
        """The parameter of the service's method."""
        if self.direction != "in":
            return f"{self.type}& {self.name}"
        if self.is_cap:
            return f"caprock::ReceivedCap& {self.name}"
        return f"{self.type} {self.name}" if self.is_scalar else f"const {self.type}& {self.name}"


class _Struct:
    """A struct as the template wants it."""

    def __init__(self, struct: syntax.Struct):
        self.name = struct.name
        self.fields = [_Value(item.name, item.type) for item in struct.fields]


class _Method:
    """A method as the template wants it. In messages all else precedes bytes."""

    def __init__(self, method: syntax.Method, label: int):
        parameters = [_Parameter(parameter) for parameter in method.parameters]
        wire = sorted(parameters, key=lambda parameter: parameter.is_bytes)
        self.name = method.name
        self.label = label
        self.idempotent, self.wcet = method.idempotent, method.wcet
        self.in_cap = next((parameter.name for parameter in parameters if parameter.is_cap and parameter.direction == "in"), None)
        self.out_cap = next((parameter.name for parameter in parameters if parameter.is_cap and parameter.direction == "out"), None)
        self.returns = C_TYPES[method.returns.name] if method.returns else "void"
        self.inputs = [parameter for parameter in wire if parameter.direction != "out"]
        self.outputs = [parameter for parameter in wire if parameter.direction != "in"]
        self.pure_outputs = [parameter for parameter in wire if parameter.direction == "out"]
        self.client_parameters = ", ".join(parameter.client_declaration for parameter in parameters)
        self.service_parameters = ", ".join(["caprock::Caller caller", *(parameter.service_declaration for parameter in parameters)])
        self.arguments = ", ".join(["caller_", *(parameter.name for parameter in parameters)])
        spelled = ", ".join(parameter.spelling for parameter in parameters)
        self.declaration = f"{method.name}({spelled})" + (f" -> {method.returns}" if method.returns else "")
        self.declaration += (" idempotent" if method.idempotent else "") + (f" wcet {method.wcet}us" if method.wcet else "")


def check(interface: syntax.Interface, diagnostics: Diagnostics) -> None:
    """Report names of `interface` (syntax.Interface) that cannot be C++ names to `diagnostics`. What concerns messages is checked with
    the description."""
    _check_name("interface", interface, KEYWORDS | CLASS_NAMES, diagnostics)
    structs = {struct.name for struct in interface.structs}
    for struct in interface.structs:
        _check_name("struct", struct, METHOD_NAMES | {interface.name} | {method.name for method in interface.methods}, diagnostics)
        for field in struct.fields:
            _check_name("field", field, KEYWORDS | {struct.name}, diagnostics)
    for method in interface.methods:
        _check_name("method", method, METHOD_NAMES | {interface.name}, diagnostics)
        for parameter in method.parameters:
            _check_name("parameter", parameter, PARAMETER_NAMES | structs, diagnostics)


def _check_name(what: str, node: Any, taken: Container[str], diagnostics: Diagnostics) -> None:
    """Report the name of `node` if it is among `taken`, or reserved in C++ or for the generated code's own variables."""
    if node.name in taken:
        diagnostics.error(node.place, f"{what} '{node.name}' has a name that generated code needs (choose another)", "stubs")
    elif "__" in node.name or node.name.endswith("_"):
        diagnostics.error(node.place, f"{what} '{node.name}' is no name for C++ code (only single underscores, and none at the end)",
                          "stubs")


def render(interface: syntax.Interface, source: str) -> dict[str, str]:
    """The texts of the headers of `interface`, which has passed check(), by file name. source: name of its file, for the headers' comments."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True, keep_trailing_newline=True)
    text = meaning(interface)
    name = file_stem(interface)
    common = {"interface": interface, "source": source, "meaning": meaning_hash(text), "record": record(text)}
    labelled = list(enumerate(interface.methods, 1))
    return {
        f"{name}.hpp": environment.get_template("interface.hpp.j2").render(
            **common, methods=[_Method(method, label) for label, method in labelled], structs=[_Struct(struct) for struct in interface.structs]),
        f"{name}.h": environment.get_template("interface.h.j2").render(
            **common, prefix=name, methods=[stubs_c.Method(name, method, label) for label, method in labelled],
            structs=[stubs_c.Struct(name, struct) for struct in interface.structs]),
    }


def record(text: str) -> str:
    """The statement that puts a meaning into the program's section of interfaces, which is not loaded."""
    lines = text.split("\n")
    words = ['__asm__(".pushsection .caprock.interfaces,\\"\\",%progbits\\n"', *(f'        "\\t.ascii \\"{line}\\\\n\\"\\n"' for line in lines[:-1]),
             f'        "\\t.asciz \\"{lines[-1]}\\"\\n"', '        "\\t.popsection");']
    return "\n".join(words)


def file_stem(interface: syntax.Interface) -> str:
    """Name of the headers of `interface` without their suffixes: its name in snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", interface.name).lower()


def generate(path: Path, out_dir: Path, settings: Iterable[str] = ()) -> tuple[list[Path], Diagnostics]:
    """Write the headers of the interfaces in `path` and its includes to `out_dir`. settings: `NAME=VALUE` for parameters.
    Returns (paths, diagnostics); nothing is written when there is an error."""
    interfaces, diagnostics = capdl.load_interfaces(path, settings)
    headers = {}
    for interface in interfaces:
        check(interface, diagnostics)
        headers[file_stem(interface)] = interface
    if not diagnostics.ok:
        return [], diagnostics
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for interface in headers.values():
        for name, text in render(interface, Path(interface.place.source.name).name).items():
            (out_dir / name).write_text(text, encoding="utf-8")
            written.append(out_dir / name)
    return written, diagnostics


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status: 0 done, 1 errors in the description, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="capdl.stubs", description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path, help="description with interfaces")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where the headers go")
    options = parser.parse_args(arguments)
    try:
        _, diagnostics = generate(options.file, options.out)
    except OSError as error:
        print(f"capdl.stubs: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    sys.stderr.write(diagnostics.render())
    return 0 if diagnostics.ok else 1


if __name__ == "__main__":
    sys.exit(main())
