#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Generates those headers of libsel4 that follow from the API description: interface.toml says what libsel4 calls things, kernel/api what they are."""

import argparse
import re
import sys
import tomllib
from pathlib import Path

import jinja2

FOLDER = Path(__file__).resolve().parent
API_FOLDER = FOLDER.parents[1] / "kernel" / "api"
sys.path.insert(0, str(API_FOLDER))

import rendering  # noqa: E402
from description import Description, DescriptionError  # noqa: E402

HEADERS = ("sel4/shared_types_gen.h", "sel4/sel4_arch/types_gen.h", "sel4/invocation.h", "sel4/absent.h", "interfaces/sel4_client.h")
# The C type of a parameter, and its name with the asterisk that belongs to the type.
PARAMETER = re.compile(r"(\w+) (\*?\w+)")
# Types of libsel4 that are structures of one word.
ONE_WORD = ("seL4_CapRights_t",)
# Types that are no words: values of theirs are converted.
NARROW_TYPES = ("seL4_Bool", "seL4_Uint8", "seL4_Uint16", "seL4_ARM_VMAttributes")
# Bits of a seL4_Fault_t that hold its type.
TYPE_MASK = 15


class InterfaceError(Exception):
    """interface.toml does not fit the API description; the text is one line: file: entry: cause; remedy."""


def fail(entry, cause, remedy):
    """Reports one mistake in interface.toml."""
    raise InterfaceError(f"interface.toml: {entry}: {cause}; {remedy}")


def split(text, entry):
    """The two parts of "type name"."""
    found = PARAMETER.fullmatch(text)
    if not found:
        fail(entry, f"'{text}' is no parameter", 'write "type name"')
    return found[1], found[2]


def read_bitfields(interface, api):
    """The bit fields, with position and mask of every field."""
    result = []
    for entry in interface["bitfield"]:
        source = next((item for item in api.bitfields if item["name"] == entry["source"]), None)
        if source is None:
            fail(entry["name"], f"kernel/api has no bit field {entry['source']}", "correct `source`")
        known = {field["name"]: field for field in source["fields"]}
        fields = []
        for text in entry["fields"]:
            name, _, there = text.partition("=")
            field = known.pop(there or name, None)
            if field is None:
                fail(entry["name"], f"{entry['source']} has no field {there or name}", "correct `fields`")
            fields.append({"name": name, "lo": field["lo"], "mask": rendering.mask(field)})
        if known:
            fail(entry["name"], f"{', '.join(known)} is missing", "add it to `fields`")
        result.append({"name": entry["name"], "fields": fields})
    return result


def read_faults(interface, api):
    """The faults in the order of their labels, with words and fields; FaultLabel has no other."""
    labels = {value["name"]: value["value"] for value in api.enum("FaultLabel")["values"]}
    result = []
    for entry in interface["fault"]:
        message = api.message(entry["name"])
        if entry["name"] not in labels or (message is None) != (not entry["words"]):
            fail(entry["name"], "kernel/api has no such fault, or no message for it", "correct `name` or `words`")
        fields = entry.get("fields", entry["words"])
        if message and not len(message["fields"]) == len(entry["words"]) == len(fields):
            fail(entry["name"], f"its message has {len(message['fields'])} words", "name each of them in `words` and `fields`")
        result.append({"name": entry["name"], "label": labels.pop(entry["name"]), "words": entry["words"], "fields": fields})
    if labels:
        fail(", ".join(labels), "there is no entry [[fault]]", "add one")
    return sorted(result, key=lambda fault: fault["label"])


class Method:
    """One function of libsel4: what the template needs of it. InterfaceError when it does not fit the method that it invokes."""

    def __init__(self, entry, api, stubs):
        self.name, self.service, self.label = entry["name"], entry["service"], entry["label"]
        owner, _, name = entry["method"].partition("::")
        self.method = next((item for item in api.methods if item["object"]["name"] == owner and item["name"] == name), None)
        if self.method is None:
            fail(self.name, f"kernel/api has no method {entry['method']}", "correct `method`")
        self.number = self.method["label"]
        self.stub = f"caprock_{stubs.c_name(self.method)}"
        self.doc = rendering.flat(self.method["doc"])
        self.parameters = [split(text, self.name) for text in entry["parameters"]]
        self.unused = entry.get("unused", [])
        self.results = [split(text, self.name) for text in entry.get("results", [])]
        self.result_type = f"{self.name}_t" if self.results else "seL4_Error"
        self.api = api
        self.arguments = self._arguments(dict(entry.get("arguments", {})))
        self.targets = self._targets()

    def _arguments(self, given):
        """The stub's arguments in its order, as C expressions of type uint64_t or of what the stub takes."""
        parameters = {name.lstrip("*"): kind for kind, name in self.parameters}
        words = [(word["name"], word["type"]) for word in self.method["words"]]
        tail = [("context", "context")] if {"tail", "result_tail"} & set(self.method) else []
        used, result = set(), []
        for name, kind in words + tail + [(cap["name"], "cptr") for cap in self.method["caps"]]:
            text = given.pop(name, name)
            names = set(re.findall(r"\b[a-z_]\w*\b", text)) & set(parameters)
            if not names and text == name:
                fail(self.name, f"nothing gives {name}", "name a parameter so, or give it in `arguments`")
            used |= names
            if text in parameters and parameters[text] in ONE_WORD:
                text = f"{text}.words[0]"
            elif parameters.get(text) in NARROW_TYPES:
                text = f"(seL4_Word){text}"
            result.append(f"caprock_sel4_{rendering.snake(kind)}({text})" if self.api.kind_of(kind) == "bitfield" else text)
        unknown = set(given) or set(parameters) - used - set(self.unused)
        if unknown:
            fail(self.name, f"{', '.join(sorted(unknown))} goes nowhere", "remove it, or name it in `unused`")
        return result

    def _targets(self):
        """For each result: (type of the stub's variable, name, field of the structure, its type, how the variable is read)."""
        if len(self.results) != len(self.method["results"]):
            fail(self.name, f"the method has {len(self.method['results'])} results", "name each of them in `results`")
        targets = []
        for (kind, name), result in zip(self.results, self.method["results"]):
            of_bits = self.api.kind_of(result["type"]) == "bitfield"
            variable = f"caprock_{rendering.snake(result['type'])}_t" if of_bits else "uint64_t"
            targets.append({"variable": variable, "name": name, "type": kind, "value": f"word_{name}.raw" if of_bits else f"word_{name}",
                            "start": "{0}" if of_bits else "0"})
        return targets

    @property
    def signature(self):
        """The head of the function, in lines of at most 130 columns."""
        parameters = [f"{self.service} _service"] + [f"{kind} {name}" for kind, name in self.parameters]
        return rendering.code(parameters, ", ", f"LIBSEL4_INLINE {self.result_type} {self.name}(", ")", 0)

    @property
    def call(self):
        """The call of the stub."""
        arguments = ["_service", *self.arguments, *(f"&word_{target['name']}" for target in self.targets), "&failure"]
        return rendering.code(arguments, ", ", f"caprock_error_t error = {self.stub}(", ");", 4)


def read_methods(interface, api):
    """The functions, in the order of interface.toml."""
    stubs = rendering.Stubs(api)
    methods = [Method(entry, api, stubs) for entry in interface["method"]]
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            fail(name, "the name occurs twice", "rename one")
    return methods


def bit_types(methods, api):
    """The bit fields of kernel/api that stubs take as arguments."""
    kinds = {word["type"] for method in methods for word in method.method["words"] if api.kind_of(word["type"]) == "bitfield"}
    return sorted(rendering.snake(kind) for kind in kinds)


def render(name):
    """The text of one of HEADERS."""
    api = Description(API_FOLDER)
    with open(FOLDER / "interface.toml", "rb") as stream:
        interface = tomllib.load(stream)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER / "templates"), undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    environment.filters["comment"] = rendering.comment
    methods = read_methods(interface, api)
    faults = read_faults(interface, api)
    environment.globals.update(bitfields=read_bitfields(interface, api), faults=faults, methods=methods, bit_types=bit_types(methods, api),
                               absent=interface["absent"], fault_words=1 + max(len(fault["fields"]) for fault in faults), type_mask=TYPE_MASK)
    return environment.get_template(Path(name).name + ".j2").render()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("header", choices=HEADERS, help="which one")
    parser.add_argument("output", type=Path, help="the file to write")
    arguments = parser.parse_args()
    try:
        arguments.output.write_text(render(arguments.header), encoding="utf-8")
    except (DescriptionError, InterfaceError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
