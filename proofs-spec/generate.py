#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Generates from the API description what the specification says with the kernel's own numbers: constants, enumerations, bit fields, the
order of registers, methods and their dispatch (Coq), and the names that the oracle prints and reads (OCaml)."""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "kernel/api"))
from description import Description, DescriptionError  # noqa: E402
from rendering import snake  # noqa: E402

HEAD = "Generated from kernel/api by proofs-spec/generate.py."
# Enumerations and structures of the boot chain are no business of the running kernel.
BOOT_FILE = "boot.toml"
# Numbers of the registers in the specification: x0 to x30 are 0 to 30.
SPECIAL_REGISTERS = {"sp": 31, "pc": 32, "spsr": 33, "tpidr_el0": 34, "tpidrro_el0": 35}
# Words that Coq or OCaml keep for themselves.
RESERVED = frozenset("""as at cofix else end exists fix for forall fun if in let match mod return then type using val where with""".split())


class GenerationError(Exception):
    """The description says something that the specification has no form for; str() names place, cause and remedy."""


def identifier(name):
    """`name` as a variable of Coq."""
    return name + "_" if name in RESERVED else name


def registers_of_context(description):
    """The numbers of the registers in the order of UserContext."""
    numbers = []
    for field in description.struct("UserContext")["fields"]:
        name, count = field["name"], field.get("count", 1)
        match = re.fullmatch(r"x(\d+)(?:_x(\d+))?", name)
        if match:
            first = int(match[1])
            if int(match[2] or first) != first + count - 1:
                raise GenerationError(f"kernel/api/abi.toml: UserContext.{name}: its count {count} does not fit its name; correct one")
            numbers += range(first, first + count)
        elif name in SPECIAL_REGISTERS and count == 1:
            numbers.append(SPECIAL_REGISTERS[name])
        else:
            raise GenerationError(f"kernel/api/abi.toml: UserContext.{name}: no such register; add it to generate.py")
    return numbers


def contract_entries(entries):
    """The entries that running programs use."""
    return [entry for entry in entries if entry["file"] != BOOT_FILE]


def coq_enum(entry):
    """A module with the enumeration as an inductive type, its numbers and back."""
    values = entry["values"]
    lines = [f"(** {entry['doc']} *)", f"Module {entry['name']}.", "Inductive t :="]
    lines += [f"| {value['name']}" for value in values]
    lines[-1] += "."
    lines += ["Definition number (value : t) : N :=", "  match value with"]
    lines += [f"  | {value['name']} => {value['value']}" for value in values]
    lines += ["  end.", "Definition of_number (n : N) : option t :=", "  match n with"]
    lines += [f"  | {value['value']} => Some {value['name']}" for value in values]
    lines += ["  | _ => None", "  end.", f"End {entry['name']}.", ""]
    return lines


def coq_bitfield(entry):
    """A module with a function for each field, and one that makes the word."""
    fields = entry["fields"]
    lines = [f"(** {entry['doc']} *)", f"Module {entry['name']}."]
    for field in fields:
        width = field["hi"] - field["lo"] + 1
        lines.append(f"Definition {identifier(field['name'])} (word : N) : N := bits_of word {field['lo']} {width}.")
    parameters = " ".join(identifier(field["name"]) + "_value" for field in fields)
    terms = [f"N.shiftl (bits_of {identifier(field['name'])}_value 0 {field['hi'] - field['lo'] + 1}) {field['lo']}" for field in fields]
    lines += [f"Definition make ({parameters} : N) : N :=", "  " + " + ".join(terms) + ".", f"End {entry['name']}.", ""]
    return lines


def coq_methods(description):
    """The methods as an inductive type, and what the invocation of each takes."""
    methods = description.methods
    lines = ["(** Every method of every object. *)", "Module Method.", "Inductive t :="]
    lines += [f"| {method['full_name']}" for method in methods]
    lines[-1] += "."
    tables = (("label", "N", lambda method: str(method["label"])),
              ("invoked", "CapType.t", lambda method: "CapType." + method["object"]["cap_type"]),
              ("words", "nat", lambda method: f"{len(method['words'])}%nat"),
              ("caps", "nat", lambda method: f"{len(method['caps'])}%nat"),
              ("implemented", "bool", lambda method: "true" if method["status"] == "implemented" else "false"))
    for name, kind, render in tables:
        lines += [f"Definition {name} (method : t) : {kind} :=", "  match method with"]
        lines += [f"  | {method['full_name']} => {render(method)}" for method in methods]
        lines += ["  end."]
    lines += ["Definition of_label (n : N) : option t :=", "  match n with"]
    lines += [f"  | {method['label']} => Some {method['full_name']}" for method in methods]
    lines += ["  | _ => None", "  end.", "End Method.", ""]
    return lines


def coq_messages(description):
    """For each message of a fault a function that puts its words in order."""
    lines = []
    for message in description.messages:
        names = [identifier(field["name"]) for field in message["fields"]]
        lines += [f"(** {message['doc']} *)", f"Definition {snake(message['name'])}_words ({' '.join(names)} : N) : list N :=",
                  f"  [{'; '.join(names)}].", ""]
    return lines


def coq_api(description):
    """The text of Api.v."""
    lines = [f"(* SPDX-License-Identifier: BSD-2-Clause *)", f"(** {HEAD} The numbers of the binary interface. *)",
             "From Spec Require Export Prelude.",
             "Open Scope N_scope.", ""]
    for entry in contract_entries(description.constants):
        lines += [f"(** {entry['doc']} *)", f"Definition {entry['name']} : N := {entry['value']}.", ""]
    for entry in contract_entries(description.enums):
        lines += coq_enum(entry)
    for entry in contract_entries(description.bitfields):
        lines += coq_bitfield(entry)
    for field in description.struct("IPCBuffer")["fields"]:
        lines.append(f"Definition ipc_buffer_{field['name']} : N := {field['offset']}.")
    lines += ["", "(** The registers in the order of UserContext. *)",
              f"Definition user_context : list N := [{'; '.join(map(str, registers_of_context(description)))}].", ""]
    lines += ["(** log2 of the smallest object of each type that has memory, in bytes. *)"]
    lines += [f"Definition {snake(entry['name'])}_size_bits : N := {entry['min_size_bits']}."
              for entry in description.objects if "min_size_bits" in entry]
    lines += [""] + coq_messages(description) + coq_methods(description)
    return "\n".join(lines)


def coq_dispatch(description):
    """The text of Dispatch.v: each method with its arguments by position."""
    lines = ["(* SPDX-License-Identifier: BSD-2-Clause *)",
             f"(** {HEAD} Which definition decodes which method, and the arguments that it takes. *)",

             "From Spec Require Export Methods.", "Open Scope N_scope.", "",
             "Definition decode_method (method : Method.t) (call : Invocation) (st : State) : Decision :=", "  match method with"]
    for method in description.methods:
        name = snake(method["object"]["name"]) + "_" + snake(method["name"])
        arguments = [f"(word {index} call)" for index in range(len(method["words"]))]
        arguments += [f"(cap {index} call)" for index in range(len(method["caps"]))]
        if "tail" in method:
            arguments.append(f"(words_after {len(method['words'])} call)")
        lines.append(f"  | Method.{method['full_name']} => {' '.join([name, *arguments, 'call st'])}")
    lines += ["  end.", ""]
    return "\n".join(lines)


def ocaml_names(description):
    """The text of names.ml: names by number, for the oracle's input and output."""
    def table(name, pairs):
        return [f"let {name} = ["] + [f'  ({number}, "{text}");' for number, text in pairs] + ["]", ""]
    lines = [f"(* SPDX-License-Identifier: BSD-2-Clause *)", f"(* {HEAD} *)"]
    registers = [(number, f"x{number}") for number in range(31)] + [(number, name) for name, number in SPECIAL_REGISTERS.items()]
    lines += table("registers", registers)
    for entry in contract_entries(description.enums):
        lines += table(snake(entry["name"]), [(value["value"], value["name"]) for value in entry["values"]])
    lines += table("methods", [(method["label"], f"{method['object']['name']}.{method['name']}") for method in description.methods])
    lines.append(f"let api_hash = \"{description.api_hash():016x}\"\n")
    return "\n".join(lines)


def write(path, text):
    """Writes `text` unless the file says so already, so that a build sees only real changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def generate(out, api=ROOT / "kernel/api"):
    """Writes Api.v, Dispatch.v and names.ml to the folder `out`. DescriptionError, GenerationError say what is wrong."""
    description = Description(api)
    write(out / "Api.v", coq_api(description))
    write(out / "Dispatch.v", coq_dispatch(description))
    write(out / "names.ml", ocaml_names(description))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    parser.add_argument("--api", type=Path, default=ROOT / "kernel/api", metavar="DIR", help="read the description from DIR instead")
    arguments = parser.parse_args()
    try:
        generate(arguments.out, arguments.api)
    except (DescriptionError, GenerationError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
