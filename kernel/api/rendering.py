# SPDX-License-Identifier: BSD-2-Clause
"""Filters of the templates: names, types, comments, and the code that is easier to build here than in a template."""

import re
import textwrap

from description import RESERVED_NAMES, SCALARS

# The smallest message of the C++ stubs that carries a method: its name, the words that it takes, and the words that it returns (errors have five).
MESSAGES = (("Invocation", 4, 5), ("LongInvocation", 8, 8), ("Message", 12, 12))


def snake(name):
    """snake_case of a PascalCase name: IRQHandler is irq_handler, VSpace is vspace, SetTLSBase is set_tls_base."""
    name = name.replace("VSpace", "Vspace").replace("CNode", "Cnode")
    name = re.sub(r"(IPC|TLS|VM|IRQ|ASID|TCB|NB|MC)(?=[A-Z])", r"\1_", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def comment(text, indent=0, prefix="/// ", width=130):
    """`text` as comment lines, the first one included, indented by `indent` spaces; every line of `text` starts a paragraph."""
    start = " " * indent + prefix
    lines = []
    for paragraph in text.splitlines():
        hanging = start + "  " if paragraph.startswith("@") else start
        lines.append(textwrap.fill(paragraph, width, initial_indent=start, subsequent_indent=hanging, break_long_words=False,
                                   break_on_hyphens=False))
    return "\n".join(lines)


def flat(text):
    """`text` on one line."""
    return " ".join(text.split())


def first_sentence(text):
    """What stands before the first full stop."""
    return flat(text).split(". ")[0].rstrip(".") + "."


def prose(text):
    """A paragraph of Markdown in lines of at most 140 columns."""
    return textwrap.fill(flat(text), 140, break_long_words=False, break_on_hyphens=False)


def cell(text):
    """Prose for a cell of a Markdown table."""
    return flat(text).replace("|", "\\|")


def anchor(title):
    """The anchor that Markdown renderers give a title."""
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def hexadecimal(value):
    """Large numbers in hexadecimal, small ones in decimal, as a reader expects them."""
    return f"{value:#x}" if value >= 1 << 16 and value % 1000 else str(value)


def mask(field):
    """The mask of a bit field, before it is shifted into place, as a literal."""
    return f"{(1 << (field['hi'] - field['lo'] + 1)) - 1:#x}"


def code(pieces, separator, start, end, indent):
    """`pieces` of code joined by `separator` between `start` and `end`, in lines of at most 130 columns, broken between pieces."""
    text = start + separator.join(pieces).replace(" ", "\0").replace(separator.replace(" ", "\0"), separator) + end
    lines = textwrap.wrap(text, 130 - indent, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), " " * indent).replace("\0", " ")


# Types ------------------------------------------------------------------------------------------------------------------------------
def cxx_type(name):
    """The C++ type of a structure's field, inside caprock::abi."""
    return f"uint{8 * SCALARS[name]}_t" if name in SCALARS else name


def c_type(name):
    """The C type of a structure's field."""
    return f"uint{8 * SCALARS[name]}_t" if name in SCALARS else f"caprock_{snake(name)}_t"


def enumerators(enum):
    """A scoped enumeration in C++; the words on its values stand before it."""
    return code([f"{value['name']} = {value['value']}" for value in enum["values"]], ", ", f"enum class {enum['name']} : uint64_t {{ ", " };", 0)


def method_enumerators(methods):
    """The enumeration of the methods' labels in C++."""
    return enumerators({"name": "Method", "values": [{"name": "None", "value": 0},
                                                     *({"name": m["full_name"], "value": m["label"]} for m in methods)]})


def make_function(entry):
    """A bit field's make() in C++: parameters in the order of the fields."""
    return "\n".join((
        code([f"uint64_t new_{field['name']}" for field in entry["fields"]], ", ", f"static constexpr {entry['name']} make(", ")", 4),
        code([f"(new_{field['name']} & {mask(field)}) << {field['lo']}" for field in entry["fields"]], " | ",
             "{ return {", "}; }", 4)))


def c_make_function(entry):
    """A bit field's make function in C."""
    name = f"caprock_{snake(entry['name'])}"
    return "\n".join((
        code([f"uint64_t {field['name']}" for field in entry["fields"]], ", ", f"static inline {name}_t {name}_make(", ")", 0), "{",
        code([f"({field['name']} & UINT64_C({mask(field)})) << {field['lo']}" for field in entry["fields"]], " | ",
             f"{name}_t value = {{", "};", 4),
        "    return value;", "}"))


class Stubs:
    """Emits the user-level stubs of methods: C++ member functions and C functions."""

    def __init__(self, description):
        self.description = description
        self.filters = {"c_name": self.c_name, "cxx_name": self.cxx_name, "cxx_word": self.cxx_word, "cxx_doc": self.cxx_doc,
                        "cxx_method": self.cxx_method, "c_doc": self.c_doc, "c_function": self.c_function, "signature": self.signature}

    # Names and types ----------------------------------------------------------------------------------------------------------------
    @staticmethod
    def c_name(method):
        """object_method."""
        return f"{snake(method['object']['name'])}_{snake(method['name'])}"

    @staticmethod
    def cxx_name(method):
        """The member function's name; Delete is delete_cap, since delete is a keyword."""
        name = snake(method["name"])
        return f"{name}_cap" if name in RESERVED_NAMES else name

    def cxx_word(self, name):
        """The C++ type of a word argument or result, inside caprock."""
        return "uint64_t" if self.description.kind_of(name) == "scalar" else f"abi::{name}"

    def c_word(self, name):
        """The C type of a word argument or result."""
        if name == "cptr":
            return "caprock_cptr_t"
        return "uint64_t" if self.description.kind_of(name) == "scalar" else f"caprock_{snake(name)}_t"

    def cxx_value(self, entry):
        """A word argument as uint64_t, in C++."""
        kind = self.description.kind_of(entry["type"])
        return {"enum": f"static_cast<uint64_t>({entry['name']})", "bitfield": f"{entry['name']}.raw"}.get(kind, entry["name"])

    def c_value(self, entry):
        """A word argument as uint64_t, in C."""
        return entry["name"] + (".raw" if self.description.kind_of(entry["type"]) == "bitfield" else "")

    @staticmethod
    def message_type(method):
        """The message that carries the method's arguments and results."""
        if {"tail", "result_tail"} & set(method):
            return "Message"
        return next(name for name, words, results in MESSAGES if len(method["words"]) <= words and len(method["results"]) <= results)

    @staticmethod
    def kinds(cap):
        """Template arguments of CapOf."""
        return ", ".join(kind for kind in cap["kind"].split(" or ") if kind != "null")

    def tail_words(self, method):
        """Words of the structure that a method passes or returns as its tail; 0 without one."""
        tail = method.get("tail", method.get("result_tail"))
        return self.description.struct(tail)["size"] // 8 if tail else 0

    # Comments -----------------------------------------------------------------------------------------------------------------------
    def parameter_lines(self, method):
        lines = []
        for word in method["words"]:
            unit = f", in {word['unit']}" if "unit" in word and word["unit"] not in ("address",) else ""
            lines.append(f"@param {word['name']}  {flat(word['doc'])} Range{unit}: {flat(word['range'])}.")
        if "tail" in method:
            lines.append("@param context  The words that follow, of which `count` are read.")
        if "result_tail" in method:
            lines.append("@param context  Receives the first `count` words of the result; the rest keeps its value.")
        lines += [f"@param {cap['name']}  {cap['kind']}. {flat(cap['doc'])}" for cap in method["caps"]]
        return lines

    @staticmethod
    def error_names(method):
        names = list(dict.fromkeys(check["error"] for check in method["checks"]))
        return ", ".join(names) if names else "none of its own"

    def cxx_doc(self, method):
        """The comment above a member function."""
        returned = ""
        if len(method["results"]) == 1:
            returned = f"{flat(method['results'][0]['doc'])} "
        return comment("\n".join([flat(method["doc"]), *self.parameter_lines(method),
                                  f"@return {returned}Errors: {self.error_names(method)}."]), 4)

    def c_doc(self, method):
        """The comment above a C function."""
        results = [f"@param {result['name']}  Receives on success: {flat(result['doc'])}" for result in method["results"]]
        return comment("\n".join([flat(method["doc"]), f"@param service  The {method['object']['name']} capability.",
                                  *self.parameter_lines(method), *results, f"Errors: {self.error_names(method)}."]))

    # C++ ----------------------------------------------------------------------------------------------------------------------------
    def cxx_result_type(self, method):
        if len(method["results"]) > 1:
            return f"{method['name']}Result"
        return self.cxx_word(method["results"][0]["type"]) if method["results"] else "void"

    def cxx_declaration(self, method):
        """The head of the member function."""
        parameters = [f"{self.cxx_word(word['type'])} {word['name']}" for word in method["words"]]
        if self.tail_words(method):
            parameters.append(f"{'const ' if 'tail' in method else ''}abi::{method.get('tail', method.get('result_tail'))}& context")
        parameters += [f"CapOf<{self.kinds(cap)}> {cap['name']}" for cap in method["caps"]]
        return code(parameters, ", ", f"[[nodiscard]] Result<{self.cxx_result_type(method)}> {self.cxx_name(method)}(", ") const", 4)

    def signature(self, method):
        """The member function as a block of Markdown; nothing for a planned method, which has none."""
        if method["status"] == "planned":
            return ""
        return f"```cpp\n{textwrap.dedent(self.cxx_declaration(method)).replace('[[nodiscard]] ', '', 1)};\n```"

    def cxx_method(self, method):
        """The member function, declaration and body."""
        lines = [self.cxx_declaration(method), "    {", *self.cxx_send(method),
                 "        if (message.info.label() != 0) return detail::failure_of(message);"]
        if "result_tail" in method:
            lines.append("        detail::store_tail(message, reinterpret_cast<uint64_t*>(&context), tail_words);")
        return "\n".join([*lines, self.cxx_return(method), "    }"])

    def cxx_send(self, method):
        lines = []
        length = str(len(method["words"]))
        if self.tail_words(method):
            limit = self.tail_words(method)
            lines.append(f"        uint64_t tail_words = count < {limit} ? count : {limit};")
            length += " + tail_words" if "tail" in method else ""
        label = f"static_cast<uint64_t>(abi::Method::{method['full_name']})"
        lines.append(code([self.cxx_value(word) for word in method["words"]], ", ",
                          f"sys::{self.message_type(method)} message {{abi::MessageInfo::make({length}, {len(method['caps'])}, 0, {label}), 0, {{", "}};", 8))
        if "tail" in method:
            first = len(method["words"])
            lines.append(f"        detail::load_tail(message, {first}, reinterpret_cast<const uint64_t*>(&context), tail_words);")
        if method["caps"]:
            lines.append(code([f"{cap['name']}.address()" for cap in method["caps"]], ", ", "detail::set_caps(", ");", 8))
        if self.message_type(method) == "Message":
            return lines + ["        sys::call(address(), message);"]
        return lines + [f"        sys::invoke<{len(method['words'])}>(address(), message);"]

    def cxx_return(self, method):
        values = []
        for position, result in enumerate(method["results"]):
            word = f"message.words[{position}]"
            kind = self.description.kind_of(result["type"])
            values.append({"enum": f"static_cast<abi::{result['type']}>({word})", "bitfield": f"abi::{result['type']} {{{word}}}"}
                          .get(kind, word))
        if not values:
            return "        return {};"
        if len(values) == 1:
            return f"        return {values[0]};"
        return code(values, ", ", f"return {method['name']}Result {{", "};", 8)

    # C ------------------------------------------------------------------------------------------------------------------------------
    def c_function(self, method):
        """The C function, declaration and body."""
        parameters = ["caprock_cptr_t service", *(f"{self.c_word(word['type'])} {word['name']}" for word in method["words"])]
        if self.tail_words(method):
            constant = "const " if "tail" in method else ""
            parameters.append(f"{constant}{c_type(method.get('tail', method.get('result_tail')))} *context")
        parameters += [f"caprock_cptr_t {cap['name']}" for cap in method["caps"]]
        parameters += [f"{self.c_word(result['type'])} *{result['name']}" for result in method["results"]]
        parameters.append("caprock_failure_t *failure")
        lines = [code(parameters, ", ", f"static inline caprock_error_t caprock_{self.c_name(method)}(", ")", 0), "{"]
        return "\n".join([*lines, *self.c_send(method), *self.c_return(method), "}"])

    def c_send(self, method):
        lines = ["    caprock_message_t message = {{0}, 0, {0}};"]
        length = str(len(method["words"]))
        if self.tail_words(method):
            limit = self.tail_words(method)
            lines.append(f"    uint64_t tail_words = count < {limit} ? count : {limit};")
            length += " + tail_words" if "tail" in method else ""
        label = f"CAPROCK_METHOD_{self.c_name(method).upper()}"
        lines.append(f"    message.info = caprock_message_info_make({length}, {len(method['caps'])}, 0, {label});")
        lines += [f"    message.words[{position}] = {self.c_value(word)};" for position, word in enumerate(method["words"])]
        if "tail" in method:
            lines.append(f"    caprock_load_tail(&message, {len(method['words'])}, (const uint64_t *)context, tail_words);")
        lines += [f"    caprock_ipc_buffer->caps_or_badges[{position}] = {cap['name']};" for position, cap in enumerate(method["caps"])]
        return [*lines, "    caprock_call(service, &message);"]

    def c_return(self, method):
        if not method["results"] and "result_tail" not in method:
            return ["    return caprock_finish(&message, failure);"]
        lines = ["    caprock_error_t error = caprock_finish(&message, failure);"]
        if "result_tail" in method:
            lines += ["    if (error == CAPROCK_ERROR_NO_ERROR)", "        caprock_store_tail(&message, (uint64_t *)context, tail_words);"]
        for position, result in enumerate(method["results"]):
            target = f"{result['name']}->raw" if self.description.kind_of(result["type"]) == "bitfield" else f"*{result['name']}"
            lines += ["    if (error == CAPROCK_ERROR_NO_ERROR)", f"        {target} = message.words[{position}];"]
        return [*lines, "    return error;"]
