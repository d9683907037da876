# SPDX-License-Identifier: BSD-2-Clause
"""What the template of C headers wants to know of an interface; stubs.py renders it. Names are prefixed with the interface's in snake_case."""

from __future__ import annotations

from . import syntax
from .syntax import SCALAR_BYTES

C_TYPES = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
           "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t", "bool": "bool"}


class Value:
    """A field of a struct, or the result of a method. kind: a syntax.Type."""

    def __init__(self, prefix: str, name: str, kind: syntax.Type):
        self.prefix, self.name, self.kind = prefix, name, kind

    @property
    def type(self) -> str:
        """Its type in C, or that of its elements."""
        return f"struct {self.prefix}_{self.kind.name}" if self.kind.struct else C_TYPES[self.kind.name]

    @property
    def declaration(self) -> str:
        """As a variable."""
        return f"{self.type} {self.name}" + (f"[{self.kind.count}]" if self.kind.count else "")

    def put(self, writer: str, value: str) -> str:
        """The statement that appends `value`, which is an array or a struct itself, or the number."""
        if self.kind.struct and self.kind.count:
            return f"for (size_t i_ = 0; i_ < {self.kind.count}; ++i_) {self.prefix}_{self.kind.name}_put({writer}, &{value}[i_]);"
        if self.kind.struct:
            return f"{self.prefix}_{self.kind.name}_put({writer}, &{value});"
        if self.kind.count:
            return f"caprock_put_array({writer}, {value}, {self.kind.count}, {SCALAR_BYTES[self.kind.name]});"
        cast = "(uint64_t)(int64_t)" if self.kind.name.startswith("i") else ""
        return f"caprock_put({writer}, {cast}{value});"

    def take(self, reader: str, value: str) -> str:
        """The statement that fills `value`."""
        if self.kind.struct and self.kind.count:
            return f"for (size_t i_ = 0; i_ < {self.kind.count}; ++i_) {self.prefix}_{self.kind.name}_take({reader}, &{value}[i_]);"
        if self.kind.struct:
            return f"{self.prefix}_{self.kind.name}_take({reader}, &{value});"
        size = SCALAR_BYTES[self.kind.name]
        if self.kind.count:
            return f"caprock_take_array({reader}, {value}, {self.kind.count}, {size}, {'true' if self.kind.name == 'bool' else 'false'});"
        if self.kind.name == "bool":
            return f"{value} = caprock_take_bool({reader});"
        return f"{value} = ({self.type})caprock_take_{'signed' if self.kind.name.startswith('i') else 'unsigned'}({reader}, {size});"


class Parameter(Value):
    """A parameter of a method. What comes back is passed by pointer; bytes are a pointer with a length."""

    def __init__(self, prefix: str, parameter: syntax.MethodParameter):
        super().__init__(prefix, parameter.name, parameter.type)
        self.direction = parameter.direction
        self.is_bytes, self.is_cap, self.size = parameter.type.is_bytes, parameter.type.is_cap, parameter.type.size
        self.spelling = f"{parameter.direction} {parameter.type} {parameter.name}"

    @property
    def by_pointer(self) -> bool:
        """True when the C parameter is a pointer to one value."""
        return not self.kind.count and (self.direction != "in" or self.kind.struct is not None)

    @property
    def value(self) -> str:
        """The client's value: a number, a struct, or an array."""
        return f"(*{self.name})" if self.by_pointer and not self.is_bytes else self.name

    @property
    def size_value(self) -> str:
        """The length of bytes that the client sends."""
        return f"*{self.name}_size" if self.direction == "inout" else f"{self.name}_size"

    def declarations(self, client: bool) -> str:
        """The C parameters. client: of a call; else of the service's function."""
        if self.is_bytes:
            if self.direction == "in":
                return f"const void *{self.name}, size_t {self.name}_size"
            return f"void *{self.name}, size_t *{self.name}_size"
        if self.is_cap:
            return f"uint64_t {self.name}" if client and self.direction == "in" else f"uint64_t *{self.name}"
        constant = "const " if self.direction == "in" else ""
        if self.kind.count:
            return f"{constant}{self.type} {self.name}[{self.kind.count}]"
        return f"{constant if self.by_pointer else ''}{self.type} {'*' if self.by_pointer else ''}{self.name}"

    def put(self, writer: str, value: str) -> str:
        """The statement of a client that appends it."""
        if self.is_bytes:
            return f"caprock_put_bytes({writer}, {self.name}, {self.size_value});"
        return f"caprock_put_cap({writer}, {self.name});" if self.is_cap else super().put(writer, value)

    def take(self, reader: str, value: str) -> str:
        """The statement of a client that fills it from the reply."""
        return f"*{self.name}_size = caprock_take_bytes({reader}, {self.name}, {self.size});" if self.is_bytes else super().take(reader, value)

    # The service's side: everything is a local variable.

    @property
    def local(self) -> str:
        """Its variables."""
        if self.is_bytes:
            return f"uint8_t {self.name}[{self.size}]; size_t {self.name}_size = 0;"
        if self.is_cap:
            return f"uint64_t {self.name} = 0;"
        return f"{self.declaration}; __builtin_memset(&{self.name}, 0, sizeof {self.name});"

    def take_request(self, reader: str) -> str:
        """The statement that fills them."""
        return f"{self.name}_size = caprock_take_bytes({reader}, {self.name}, {self.size});" if self.is_bytes else super().take(reader, self.name)

    def put_reply(self, writer: str) -> str:
        """The statement that appends them to the reply; more bytes than there is room for are a mistake of the service."""
        if self.is_bytes:
            return f"caprock_put_bytes({writer}, {self.name}, {self.name}_size <= {self.size} ? {self.name}_size : {self.size});"
        return f"caprock_put_cap({writer}, {self.name});" if self.is_cap else super().put(writer, self.name)

    @property
    def argument(self) -> str:
        """As the dispatcher passes it to the service."""
        if self.is_bytes:
            return f"{self.name}, {self.name}_size" if self.direction == "in" else f"{self.name}, &{self.name}_size"
        return f"&{self.name}" if self.is_cap or self.by_pointer else self.name


class Method:
    """A method. In messages all else precedes bytes."""

    def __init__(self, prefix: str, method: syntax.Method, label: int):
        self.parameters = [Parameter(prefix, item) for item in method.parameters]
        wire = sorted(self.parameters, key=lambda item: item.is_bytes)
        self.name, self.label, self.idempotent, self.wcet = method.name, label, method.idempotent, method.wcet
        self.inputs = [item for item in wire if item.direction != "out"]
        self.outputs = [item for item in wire if item.direction != "in"]
        self.in_cap = next((item.name for item in self.parameters if item.is_cap and item.direction == "in"), None)
        self.out_cap = next((item.name for item in self.parameters if item.is_cap and item.direction == "out"), None)
        self.result = Value(prefix, "result_", method.returns) if method.returns else None
        result = [f"{self.result.type} *result_"] if self.result else []
        self.client_parameters = ", ".join(["uint64_t endpoint_", *(item.declarations(True) for item in self.parameters), *result])
        self.service_parameters = ", ".join(["void *context_", "uint64_t badge_", *(item.declarations(False) for item in self.parameters), *result])
        self.arguments = ", ".join(["service_->context", "packet_->badge", *(item.argument for item in self.parameters), *(["&result_"] if result else [])])
        spelled = ", ".join(item.spelling for item in self.parameters)
        self.declaration = f"{method.name}({spelled})" + (f" -> {method.returns}" if method.returns else "")


class Struct:
    """A struct."""

    def __init__(self, prefix: str, struct: syntax.Struct):
        self.type = f"{prefix}_{struct.name}"
        self.fields = [Value(prefix, item.name, item.type) for item in struct.fields]
