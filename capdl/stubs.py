# SPDX-License-Identifier: BSD-2-Clause
"""C++ headers of interfaces: for each `interface` of a description a client class and a service skeleton.

    python3 -m capdl.stubs FILE.cdl -o DIR      writes DIR/NAME.hpp for each interface Name of the file and of what it includes

Headers stand on caprock/rpc.hpp, which also describes the wire format. Names of parameters and methods become C++ names, so C++
keywords, and the few names that the generated code uses itself, are refused with their place.
"""

import argparse
import re
import sys
from pathlib import Path

import jinja2

import capdl

TEMPLATES = Path(__file__).resolve().parent / "templates"

SCALARS = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
           "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t", "bool": "bool"}

KEYWORDS = frozenset("""
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl concept const
    consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double dynamic_cast else
    enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using virtual void
    volatile wchar_t while xor xor_eq""".split())
# Names that the generated classes use for themselves.
CLASS_NAMES = frozenset(("Client", "Service", "Method", "Self", "Transport"))
METHOD_NAMES = KEYWORDS | CLASS_NAMES | {"dispatch", "name", "interface_name"}
PARAMETER_NAMES = KEYWORDS | CLASS_NAMES | {"caprock"}


class _Parameter:
    """A parameter as the template wants it."""

    def __init__(self, parameter):
        self.name = parameter.name
        self.direction = parameter.direction
        self.is_bytes = parameter.type.is_bytes
        self.size = parameter.type.size
        self.type = f"caprock::Buffer<{self.size}>" if self.is_bytes else SCALARS[parameter.type.name]
        self.qualifier = "const " if self.direction == "in" else ""
        self.spelling = f"{parameter.direction} {parameter.type} {parameter.name}"

    @property
    def client_declaration(self):
        """The parameter of the client's method."""
        if self.direction == "in":
            return f"{'caprock::ConstBytes' if self.is_bytes else self.type} {self.name}"
        return f"{self.type}& {self.name}"

    @property
    def service_declaration(self):
        """The parameter of the service's method."""
        if self.direction == "in":
            return f"const {self.type}& {self.name}" if self.is_bytes else f"{self.type} {self.name}"
        return f"{self.type}& {self.name}"


class _Method:
    """A method as the template wants it. In messages scalars precede bytes."""

    def __init__(self, method, label):
        parameters = [_Parameter(parameter) for parameter in method.parameters]
        wire = sorted(parameters, key=lambda parameter: parameter.is_bytes)
        self.name = method.name
        self.label = label
        self.returns = SCALARS[method.returns.name] if method.returns else "void"
        self.inputs = [parameter for parameter in wire if parameter.direction != "out"]
        self.outputs = [parameter for parameter in wire if parameter.direction != "in"]
        self.pure_outputs = [parameter for parameter in wire if parameter.direction == "out"]
        self.client_parameters = ", ".join(parameter.client_declaration for parameter in parameters)
        self.service_parameters = ", ".join(["caprock::Caller caller", *(parameter.service_declaration for parameter in parameters)])
        self.arguments = ", ".join(["caller_", *(parameter.name for parameter in parameters)])
        spelled = ", ".join(parameter.spelling for parameter in parameters)
        self.declaration = f"{method.name}({spelled})" + (f" -> {method.returns}" if method.returns else "")


def check(interface, diagnostics):
    """Report names of `interface` (syntax.Interface) that cannot be C++ names to `diagnostics`. What concerns messages is checked with
    the description."""
    _check_name("interface", interface, KEYWORDS | CLASS_NAMES, diagnostics)
    for method in interface.methods:
        _check_name("method", method, METHOD_NAMES | {interface.name}, diagnostics)
        for parameter in method.parameters:
            _check_name("parameter", parameter, PARAMETER_NAMES, diagnostics)


def _check_name(what, node, taken, diagnostics):
    """Report the name of `node` if it is among `taken`, or reserved in C++ or for the generated code's own variables."""
    if node.name in taken:
        diagnostics.error(node.place, f"{what} '{node.name}' has a name that generated code needs (choose another)", "stubs")
    elif "__" in node.name or node.name.endswith("_"):
        diagnostics.error(node.place, f"{what} '{node.name}' is no name for C++ code (only single underscores, and none at the end)",
                          "stubs")


def render(interface, source):
    """The text of the header of `interface`, which has passed check(). source: name of its file, for the header's comment."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True, keep_trailing_newline=True)
    methods = [_Method(method, label) for label, method in enumerate(interface.methods, 1)]
    return environment.get_template("interface.hpp.j2").render(interface=interface, methods=methods, source=source)


def header_name(interface):
    """File name of the header of `interface`: its name in snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", interface.name).lower() + ".hpp"


def generate(path, out_dir):
    """Write the headers of the interfaces in `path` and its includes to `out_dir`.
    Returns (paths, diagnostics); nothing is written when there is an error."""
    interfaces, diagnostics = capdl.load_interfaces(path)
    headers = {}
    for interface in interfaces:
        check(interface, diagnostics)
        headers[header_name(interface)] = interface
    if not diagnostics.ok:
        return [], diagnostics
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for name, interface in headers.items():
        target = out_dir / name
        target.write_text(render(interface, Path(interface.place.source.name).name), encoding="utf-8")
        written.append(target)
    return written, diagnostics


def main(arguments=None):
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
