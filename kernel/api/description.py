# SPDX-License-Identifier: BSD-2-Clause
"""The API description in memory: reads the TOML files of this folder, or others that hold structures, and checks them.

Every mistake is reported as file, entry, cause and remedy, all of them at once; a description that loads is complete and consistent.
"""

import hashlib
import json
import re
import tomllib
from pathlib import Path

SCALARS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
WORD_TYPES = ("u64", "u8", "cptr")
STATUSES = ("implemented", "planned")
CONTRACT_FILES = ("abi.toml", "boot.toml")
PROSE_FILE = "ipc.toml"
OBJECT_FILES = ("untyped.toml", "cnode.toml", "tcb.toml", "endpoint.toml", "notification.toml", "reply.toml", "sched_context.toml",
                "sched_control.toml", "vspace.toml", "page_table.toml", "frame.toml", "asid.toml", "irq.toml", "domain.toml",
                "inspect.toml")
# Names that would not compile.
RESERVED_NAMES = frozenset("""auto bool break case catch char class const constexpr continue default delete do double else enum explicit
    extern false float for friend goto if inline int long mutable namespace new noexcept nullptr operator private protected public
    register restrict return short signed sizeof static struct switch template this throw true try typedef typename union unsigned
    using virtual void volatile while""".split())
# Names that would hide a member of the decode views, or a parameter that the stubs add.
RESERVED_ARGUMENTS = frozenset(("method", "words", "caps", "read", "service", "result"))
# Longest message that fits the registers: typed stubs need no IPC buffer for it.
MAX_ARGUMENT_WORDS = 12
MAX_ARGUMENT_CAPS = 3

# What each kind of entry may and must say: key -> (type, required).
VALUE_KEYS = {"name": (str, True), "value": (int, True), "doc": (str, True)}
BIT_KEYS = {"name": (str, True), "lo": (int, True), "hi": (int, True), "doc": (str, True)}
FIELD_KEYS = {"name": (str, True), "type": (str, True), "count": (int, False), "doc": (str, True)}
NAME_KEYS = {"name": (str, True), "doc": (str, True)}
WORD_KEYS = {"name": (str, True), "type": (str, True), "unit": (str, False), "range": (str, True), "doc": (str, True)}
RESULT_KEYS = {"name": (str, True), "type": (str, True), "unit": (str, False), "doc": (str, True)}
CAP_KEYS = {"name": (str, True), "kind": (str, True), "doc": (str, True)}
CHECK_KEYS = {"check": (str, True), "error": (str, True), "cause": (str, True)}
OBJECT_KEYS = {"name": (str, True), "object_type": (str, False), "cap_type": (str, True), "min_size_bits": (int, False),
               "size_bits": (str, False), "doc": (str, True), "method": (list, False)}
METHOD_KEYS = {"name": (str, True), "label": (int, True), "status": (str, True), "file": (str, True), "doc": (str, True),
               "words": (list, False), "caps": (list, False), "results": (list, False), "tail": (str, False),
               "result_tail": (str, False), "checks": (list, True), "effect": (str, True), "blocking": (str, True),
               "wakeup": (str, True), "preemption": (str, True)}
CONTRACT_KEYS = {
    "constant": {"name": (str, True), "value": (int, True), "doc": (str, True)},
    "enum": {"name": (str, True), "doc": (str, True), "values": (list, True)},
    "bitfield": {"name": (str, True), "doc": (str, True), "fields": (list, True)},
    "struct": {"name": (str, True), "size": (int, False), "doc": (str, True), "fields": (list, True)},
    "message": {"name": (str, True), "doc": (str, True), "fields": (list, True)},
}
PROSE_KEYS = {
    "chapter": {"name": (str, True), "title": (str, True), "doc": (str, True)},
    "syscall": {"name": (str, True), "checks": (list, False), "effect": (str, True), "blocking": (str, True), "wakeup": (str, True)},
    "fault": {"name": (str, True), "cause": (str, True), "reply": (str, True)},
}
# The chapters that the templates of the manual place.
CHAPTERS = ("registers", "messages", "invocations", "restart", "donation", "fault_handling")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*")


class DescriptionError(Exception):
    """The description is wrong; str() is one line per mistake: file: entry: cause; remedy."""


class Contract:
    """Checked constants, types and messages. Attributes hold the TOML entries as dictionaries, completed with computed keys.

    constants, enums, bitfields, structs, messages: lists in file order, each entry with its `file`. A struct has its `size`, and each of
    its fields an `offset`, in bytes.
    """

    # What stands before a file's name in messages.
    prefix = ""

    def __init__(self, paths, sections=tuple(CONTRACT_KEYS)):
        """Reads the files `paths`, of which later ones may use types of earlier ones. sections: what they may hold, names of
        CONTRACT_KEYS. DescriptionError with every mistake that they contain."""
        self.problems = []
        self.sections = sections
        self.constants, self.enums, self.bitfields, self.structs, self.messages = ([] for _ in range(5))
        for path in paths:
            self._read_contract(str(path))
        self._check_types()
        self._raise_problems()

    # Access for templates -----------------------------------------------------------------------------------------------------------
    def enum(self, name):
        """The enumeration called `name`; None when there is none."""
        return next((entry for entry in self.enums if entry["name"] == name), None)

    def value(self, enum, name):
        """The number of a value of an enumeration; both exist."""
        return next(value["value"] for value in self.enum(enum)["values"] if value["name"] == name)

    def message(self, name):
        """The fault message called `name`; None when there is none."""
        return next((entry for entry in self.messages if entry["name"] == name), None)

    def kind_of(self, type_name):
        """'scalar', 'enum', 'bitfield' or 'struct'; None for an unknown type."""
        if type_name in SCALARS or type_name == "cptr":
            return "scalar"
        for kind, entries in (("enum", self.enums), ("bitfield", self.bitfields), ("struct", self.structs)):
            if any(entry["name"] == type_name for entry in entries):
                return kind
        return None

    def struct(self, name):
        """The structure called `name`; None when there is none."""
        return next((entry for entry in self.structs if entry["name"] == name), None)

    # Reading ------------------------------------------------------------------------------------------------------------------------
    def _problem(self, file, entry, cause, remedy):
        self.problems.append(f"{self.prefix}{file}: {entry}: {cause}; {remedy}")

    def _raise_problems(self):
        if self.problems:
            raise DescriptionError("\n".join(self.problems))

    def _path(self, file):
        """Where the file is that messages call `file`."""
        return Path(file)

    def _load(self, name):
        try:
            with open(self._path(name), "rb") as stream:
                return tomllib.load(stream)
        except OSError as error:
            self._problem(name, "file", f"it cannot be read: {error.strerror}", "restore it, or do not name it")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self._problem(name, "file", f"not TOML: {error}", "correct the syntax")
        return {}

    def _check_keys(self, file, place, entry, keys):
        """Checks an entry's keys and their types, and that no text is empty. True when the entry can be used."""
        before = len(self.problems)
        if not isinstance(entry, dict):
            self._problem(file, place, "it is not a table", "write { name = … }")
            return False
        for key, value in entry.items():
            if key not in keys:
                self._problem(file, place, f"unknown key '{key}'", f"use {', '.join(keys)}")
            elif not isinstance(value, keys[key][0]) or isinstance(value, bool):
                self._problem(file, place, f"'{key}' is not of type {keys[key][0].__name__}", "correct its value")
            elif isinstance(value, str) and not value.strip():
                self._problem(file, place, f"'{key}' is empty", "write what it means")
            elif isinstance(value, str) and keys is not PROSE_KEYS["chapter"]:
                entry[key] = " ".join(value.split())
        for key, (_, required) in keys.items():
            if required and key not in entry:
                self._problem(file, place, f"'{key}' is missing", "add it")
        return len(self.problems) == before

    def _check_list(self, file, place, entries, keys, pattern):
        """Checks the entries of a list (their keys, names, no name twice) and returns the usable ones."""
        good, seen = [], set()
        for number, entry in enumerate(entries):
            name = entry.get("name", number) if isinstance(entry, dict) else number
            if not self._check_keys(file, f"{place}.{name}", entry, keys):
                continue
            if self._check_name(file, f"{place}.{name}", name, pattern) and name in seen:
                self._problem(file, f"{place}.{name}", "the name occurs twice", "rename one")
            seen.add(name)
            good.append(entry)
        return good

    def _check_name(self, file, place, name, pattern):
        if not pattern.fullmatch(name):
            self._problem(file, place, "the name does not follow the conventions",
                          "write snake_case" if pattern is SNAKE else "write PascalCase")
            return False
        if name in RESERVED_NAMES:
            self._problem(file, place, "the name is reserved in the generated code", "choose another")
            return False
        return True

    # Contracts ---------------------------------------------------------------------------------------------------------
    def _read_contract(self, file):
        lists = {"constant": self.constants, "enum": self.enums, "bitfield": self.bitfields, "struct": self.structs,
                 "message": self.messages}
        readers = {"constant": self._read_constant, "enum": self._read_enum, "bitfield": self._read_bitfield,
                   "struct": self._read_struct, "message": self._read_message}
        for section, entries in self._load(file).items():
            if section not in self.sections or not isinstance(entries, list):
                self._problem(file, section, "unknown section", f"use [[{']], [['.join(self.sections)}]]")
                continue
            for number, entry in enumerate(entries):
                place = f"{section} {entry.get('name', number) if isinstance(entry, dict) else number}"
                if not self._check_keys(file, place, entry, CONTRACT_KEYS[section]):
                    continue
                self._check_name(file, place, entry["name"], SNAKE if section == "constant" else PASCAL)
                if any(entry["name"] == other["name"] for other in lists[section]):
                    self._problem(file, place, "the name occurs twice", "rename one")
                entry["file"] = file
                readers[section](file, place, entry)
                lists[section].append(entry)

    def _read_constant(self, file, place, entry):
        if not 0 <= entry["value"] < 2**64:
            self._problem(file, place, "the value does not fit 64 bits", "choose another")

    def _read_enum(self, file, place, entry):
        entry["values"] = self._check_list(file, place, entry["values"], VALUE_KEYS, PASCAL)
        numbers = [value["value"] for value in entry["values"]]
        for value in entry["values"]:
            if numbers.count(value["value"]) > 1:
                self._problem(file, f"{place}.{value['name']}", f"the value {value['value']} occurs twice", "use a number of its own")
            if not 0 <= value["value"] < 2**31:
                self._problem(file, f"{place}.{value['name']}", "the value is out of range", "use 0 to 2^31 - 1")

    def _read_bitfield(self, file, place, entry):
        entry["fields"] = self._check_list(file, place, entry["fields"], BIT_KEYS, SNAKE)
        next_free = 0
        for field in entry["fields"]:
            if not next_free <= field["lo"] <= field["hi"] <= 63:
                self._problem(file, f"{place}.{field['name']}", f"bits {field['hi']}:{field['lo']} overlap, descend or exceed 63",
                              "list the fields by ascending bits")
            next_free = field["hi"] + 1

    def _read_struct(self, file, place, entry):
        entry["fields"] = self._check_list(file, place, entry["fields"], FIELD_KEYS, SNAKE)

    def _read_message(self, file, place, entry):
        entry["fields"] = self._check_list(file, place, entry["fields"], NAME_KEYS, SNAKE)
        if any(field["name"] == "length" for field in entry["fields"]):
            self._problem(file, f"{place}.length", "the name is taken by the number of words", "choose another")

    def _check_types(self):
        """Lays out the structures (a type must be defined before its use) and finds names that mean two things."""
        names = {}
        for entry in self.enums + self.bitfields + self.structs:
            other = names.setdefault(entry["name"], entry)
            if other is not entry:
                self._problem(entry["file"], entry["name"], f"also a type of {other['file']}", "rename one")
        sizes = {name: (size, size) for name, size in SCALARS.items()}
        for entry in self.structs:
            self._lay_out(entry, sizes)

    def _lay_out(self, entry, sizes):
        """Gives every field its offset and the structure its size; there may be no padding that is not a field."""
        place, offset, alignment = f"struct {entry['name']}", 0, 1
        for field in entry["fields"]:
            if field["type"] not in sizes:
                self._problem(entry["file"], f"{place}.{field['name']}", f"unknown type '{field['type']}'",
                              f"use {', '.join(SCALARS)} or a structure defined above")
                return
            size, align = sizes[field["type"]]
            if field.get("count", 1) < 1:
                self._problem(entry["file"], f"{place}.{field['name']}", "'count' is below 1", "correct it")
                return
            if offset % align:
                self._problem(entry["file"], f"{place}.{field['name']}", f"offset {offset} is not aligned to {align}",
                              "add a padding field")
            field["offset"] = offset
            offset += size * field.get("count", 1)
            alignment = max(alignment, align)
        if offset % alignment:
            self._problem(entry["file"], place, f"{offset} bytes are no multiple of its alignment {alignment}", "add a padding field")
        if entry.get("size", offset) != offset:
            self._problem(entry["file"], place, f"its fields take {offset} bytes, 'size' says {entry['size']}", "correct one")
        entry["size"] = offset
        sizes[entry["name"]] = (offset, alignment)


class Description(Contract):
    """The checked description of the whole API: the contract of abi.toml and boot.toml, and more.

    chapters, syscalls, faults: the prose of ipc.toml by name.
    objects: the object tables, each with a list under `method`. methods: all methods by ascending label.
    """

    prefix = "kernel/api/"

    def __init__(self, folder):
        """Reads the files of `folder`. DescriptionError with every mistake that they contain."""
        self.folder = Path(folder)
        self.objects, self.methods = [], []
        self.chapters, self.syscalls, self.faults = {}, {}, {}
        super().__init__(CONTRACT_FILES)  # What follows refers to its names: without them it would only repeat the mistakes.
        self._read_prose()
        for name in OBJECT_FILES:
            self._read_objects(name)
        self._check_labels()
        self._check_objects()
        self._raise_problems()

    def binary_interface(self):
        """Everything that programs depend on, without prose: what api_hash covers."""
        def names_and(entries, *keys):
            return [{key: entry[key] for key in ("name", *keys) if key in entry} for entry in entries]
        return {
            "constants": names_and(self.constants, "value"),
            "enums": [{"name": e["name"], "values": names_and(e["values"], "value")} for e in self.enums],
            "bitfields": [{"name": e["name"], "fields": names_and(e["fields"], "lo", "hi")} for e in self.bitfields],
            "structs": [{"name": e["name"], "fields": names_and(e["fields"], "type", "count")} for e in self.structs],
            "messages": [{"name": e["name"], "fields": names_and(e["fields"])} for e in self.messages],
            "objects": [{**{key: o[key] for key in ("name", "object_type", "cap_type", "min_size_bits") if key in o},
                         "methods": [{**{key: m[key] for key in ("name", "label", "status", "tail", "result_tail") if key in m},
                                      "words": names_and(m["words"], "type"), "caps": names_and(m["caps"], "kind"),
                                      "results": names_and(m["results"], "type")} for m in o["method"]]} for o in self.objects],
        }

    def api_hash(self):
        """First 8 bytes of SHA-256 over the canonical JSON of binary_interface(), as a big-endian number."""
        text = json.dumps(self.binary_interface(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def _path(self, file):
        return self.folder / file

    def _check_types(self):
        super()._check_types()
        for needed in ("Syscall", "Error", "FaultLabel", "ObjectType", "CapType"):
            if self.enum(needed) is None:
                self._problem("abi.toml", f"enum {needed}", "it is missing", "add it")

    # ipc.toml -----------------------------------------------------------------------------------------------------------------------
    def _read_prose(self):
        entries = {"chapter": self.chapters, "syscall": self.syscalls, "fault": self.faults}
        for section, content in self._load(PROSE_FILE).items():
            if section not in PROSE_KEYS or not isinstance(content, list):
                self._problem(PROSE_FILE, section, "unknown section", f"use [[{']], [['.join(PROSE_KEYS)}]]")
                continue
            pattern = SNAKE if section == "chapter" else PASCAL
            for entry in self._check_list(PROSE_FILE, section, content, PROSE_KEYS[section], pattern):
                entries[section][entry["name"]] = entry
        self._check_complete("chapter", self.chapters, CHAPTERS)
        self._check_complete("syscall", self.syscalls, [value["name"] for value in self.enum("Syscall")["values"]])
        self._check_complete("fault", self.faults, [value["name"] for value in self.enum("FaultLabel")["values"]])
        for name, entry in self.syscalls.items():
            entry["checks"] = self._read_checks(PROSE_FILE, f"syscall.{name}", entry.get("checks", []))
        for entry in self.messages:
            if entry["name"] not in self.faults:
                self._problem(entry["file"], f"message {entry['name']}", "no such value of FaultLabel", "add it there")

    def _check_complete(self, section, entries, names):
        for name in names:
            if name not in entries:
                self._problem(PROSE_FILE, f"{section}.{name}", "its prose is missing", f"add [[{section}]] with this name")
        for name in entries:
            if name not in names:
                self._problem(PROSE_FILE, f"{section}.{name}", "nothing has this name", "correct or remove it")

    def _read_checks(self, file, place, checks):
        errors = {value["name"] for value in self.enum("Error")["values"]}
        faults = {value["name"] for value in self.enum("FaultLabel")["values"]}
        good = []
        for number, check in enumerate(checks):
            where = f"{place}.checks[{number}]"
            if self._check_keys(file, where, check, CHECK_KEYS):
                if check["error"] not in errors | faults or check["error"] in ("NoError", "NullFault"):
                    self._problem(file, where, f"no such error or fault '{check['error']}'", "use a name of Error or FaultLabel")
                good.append(check)
        return good

    # Object files -------------------------------------------------------------------------------------------------------------------
    def _read_objects(self, file):
        for section, entries in self._load(file).items():
            if section != "object" or not isinstance(entries, list):
                self._problem(file, section, "unknown section", "use [[object]]")
                continue
            for number, entry in enumerate(entries):
                name = entry.get("name", number) if isinstance(entry, dict) else number
                if not self._check_keys(file, f"object {name}", entry, OBJECT_KEYS):
                    continue
                entry["file"] = file
                if any(entry["name"] == other["name"] for other in self.objects):
                    self._problem(file, f"object {name}", "the name occurs twice", "rename one")
                self._read_object(file, entry)
                self.objects.append(entry)

    def _read_object(self, file, entry):
        name = entry["name"]
        self._check_name(file, f"object {name}", name, PASCAL)
        for key, enum in (("object_type", "ObjectType"), ("cap_type", "CapType")):
            if key in entry and not any(value["name"] == entry[key] for value in self.enum(enum)["values"]):
                self._problem(file, f"object {name}", f"'{key}' names no value of {enum}", "add it to abi.toml or correct it")
        if ("min_size_bits" in entry) != ("size_bits" in entry):
            self._problem(file, f"object {name}", "'min_size_bits' and 'size_bits' come together", "give both, or none for no memory")
        methods, seen = [], set()
        for number, method in enumerate(entry.get("method", [])):
            place = f"{name}.{method.get('name', number) if isinstance(method, dict) else number}"
            if not self._check_keys(file, place, method, METHOD_KEYS):
                continue
            if self._check_name(file, place, method["name"], PASCAL) and method["name"] in seen:
                self._problem(file, place, "the name occurs twice", "rename one")
            seen.add(method["name"])
            method["object"] = entry
            self._read_method(file, place, method)
            methods.append(method)
        entry["method"] = methods

    def _read_method(self, file, place, method):
        if method["status"] not in STATUSES:
            self._problem(file, place, f"unknown status '{method['status']}'", f"use {' or '.join(STATUSES)}")
        for key, keys, limit in (("words", WORD_KEYS, MAX_ARGUMENT_WORDS), ("caps", CAP_KEYS, MAX_ARGUMENT_CAPS),
                                 ("results", RESULT_KEYS, MAX_ARGUMENT_WORDS)):
            method[key] = self._check_list(file, f"{place}.{key}", method.get(key, []), keys, SNAKE)
            if len(method[key]) > limit:
                self._problem(file, f"{place}.{key}", f"there are more than {limit}", "pass fewer")
        for name in sorted({entry["name"] for entry in method["words"] + method["caps"]} & RESERVED_ARGUMENTS):
            self._problem(file, f"{place}.{name}", "the name is reserved in the generated code", "choose another")
        for shared in {word["name"] for word in method["words"]} & {cap["name"] for cap in method["caps"]}:
            self._problem(file, f"{place}.{shared}", "a word and a capability share the name", "rename one")
        for entry in method["words"] + method["results"]:
            if entry["type"] not in WORD_TYPES and self.kind_of(entry["type"]) not in ("enum", "bitfield"):
                self._problem(file, f"{place}.{entry['name']}", f"unknown type '{entry['type']}'",
                              f"use {', '.join(WORD_TYPES)}, an enum or a bitfield")
        for key in ("tail", "result_tail"):
            if key in method and self.struct(method[key]) is None:
                self._problem(file, place, f"'{key}' names no structure", "add it to abi.toml or correct it")
        method["checks"] = self._read_checks(file, place, method["checks"])

    def _check_labels(self):
        self.methods = sorted((method for entry in self.objects for method in entry["method"]), key=lambda method: method["label"])
        owners = {}
        for method in self.methods:
            method["full_name"] = method["object"]["name"] + method["name"]
            place = f"{method['object']['name']}.{method['name']}"
            owner = owners.setdefault(method["label"], place)
            if owner != place:
                self._problem(method["object"]["file"], place, f"label {method['label']} belongs to {owner}",
                              "use the next free label")
        missing = sorted(set(range(1, max(owners, default=0) + 1)) - set(owners))
        if missing or (owners and min(owners) < 1):
            self._problem("*.toml", "labels", f"they do not run from 1 without gaps: missing {missing or 'nothing, but one is below 1'}",
                          "labels are append-only: restore the method as planned, or number the new one next")

    def _check_objects(self):
        """Checks what refers to other objects: kinds of capability arguments, and that each type has its object."""
        names = {entry["name"] for entry in self.objects}
        for method in self.methods:
            for cap in method["caps"]:
                for kind in cap["kind"].split(" or "):
                    if kind not in names | {"null"}:
                        self._problem(method["object"]["file"], f"{method['object']['name']}.{method['name']}.{cap['name']}",
                                      f"unknown kind '{kind}'", "use names of objects and null, joined by ' or '")
        for value in self.enum("CapType")["values"]:
            if value["name"] not in ("Null", "Zombie") and all(entry["cap_type"] != value["name"] for entry in self.objects):
                self._problem("abi.toml", f"enum CapType.{value['name']}", "no object has this type", "describe the object")
