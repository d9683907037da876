#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Generates the headers of kernel and user level and the reference manual from the API description of this folder; with --structs, a
header from any TOML file of constants, enumerations and structures."""

import argparse
import re
import sys
from pathlib import Path

import jinja2

import rendering
from description import Contract, Description, DescriptionError

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
# What every generated page starts with; a page that starts otherwise is left alone.
PAGE_HEAD = "<!-- Generated from kernel/api/"
NAMESPACE = re.compile(r"[a-z_][a-z0-9_]*(::[a-z_][a-z0-9_]*)*")
# What a file of --structs may hold.
STRUCT_SECTIONS = ("constant", "enum", "struct")
HEADERS = ("abi.hpp", "abi.h", "decode.hpp", "objects.hpp", "objects.h")


def environment():
    """The Jinja2 environment of the templates that need no API description."""
    result = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER / "templates"), undefined=jinja2.StrictUndefined,
                                trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    for function in (rendering.snake, rendering.comment, rendering.flat, rendering.first_sentence, rendering.hexadecimal, rendering.mask,
                     rendering.cxx_type, rendering.c_type, rendering.make_function, rendering.enumerators, rendering.method_enumerators,
                     rendering.c_make_function, rendering.prose, rendering.cell, rendering.anchor):
        result.filters[function.__name__] = function
    return result


def api_environment(description):
    """The Jinja2 environment of the templates that render the API description."""
    result = environment()
    result.filters.update(rendering.Stubs(description).filters)
    result.globals.update(api=description, api_hash=f"{description.api_hash():#018x}")
    return result


def write(path, text):
    """Writes `text` unless the file says so already, so that builds see only real changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def generate_headers(templates, out):
    """Writes every header to `out`/caprock."""
    for name in HEADERS:
        write(out / "caprock" / name, templates.get_template(name + ".j2").render())


def generate_manual(templates, description, docs):
    """Writes the manual's pages to `docs` and removes pages that are no longer generated."""
    pages = {name + ".md": templates.get_template(name + ".md.j2").render() for name in ("index", "system-calls", "faults")}
    for name, title in (("abi", "Constants, errors and structures"), ("boot", "Boot structures")):
        pages[name + ".md"] = templates.get_template("contract.md.j2").render(file=name + ".toml", title=title)
    for entry in description.objects:
        pages[rendering.snake(entry["name"]) + ".md"] = templates.get_template("object.md.j2").render(object=entry)
    for name, text in pages.items():
        write(docs / name, re.sub(r"\n{3,}", "\n\n", text))
    for page in docs.glob("*.md"):
        if page.name not in pages and page.read_text().startswith(PAGE_HEAD):
            page.unlink()


def generate_structs(source, namespace, header):
    """Writes the declarations of the file `source`, in `namespace`, to the file `header`. DescriptionError names its mistakes."""
    contract = Contract([source], STRUCT_SECTIONS)
    resolved = source.resolve()
    # No output may depend on where the sources are.
    name = resolved.relative_to(ROOT).as_posix() if resolved.is_relative_to(ROOT) else resolved.name
    write(header, environment().get_template("structs.hpp.j2").render(contract=contract, namespace=namespace, source=name))


def generate_api(arguments):
    """Does what the options say with the API description. DescriptionError names its mistakes."""
    description = Description(arguments.api)
    templates = api_environment(description)
    if arguments.out:
        generate_headers(templates, arguments.out)
    if arguments.docs:
        generate_manual(templates, description, arguments.docs)
    if arguments.list_planned:
        for method in description.methods:
            if method["status"] == "planned":
                print(f"{method['object']['name']}::{method['name']}")


def parse_arguments():
    """The checked command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the headers to DIR/caprock")
    parser.add_argument("--docs", type=Path, metavar="DIR", help="write the reference manual to DIR")
    parser.add_argument("--list-planned", action="store_true", help="list the methods that the kernel does not implement yet")
    parser.add_argument("--api", type=Path, default=FOLDER, metavar="DIR", help="read the description from DIR instead")
    parser.add_argument("--structs", type=Path, metavar="FILE", help="declare in C++ what the TOML file FILE describes")
    parser.add_argument("--namespace", metavar="NAME", help="with --structs: the declarations' C++ namespace, such as caprock::component")
    parser.add_argument("--header", type=Path, metavar="PATH", help="with --structs: write the declarations to PATH")
    arguments = parser.parse_args()
    if not (arguments.out or arguments.docs or arguments.list_planned or arguments.structs):
        parser.error("nothing to do: give --out, --docs, --list-planned or --structs")
    if len({option is None for option in (arguments.structs, arguments.namespace, arguments.header)}) > 1:
        parser.error("--structs, --namespace and --header come together: give all or none")
    if arguments.namespace and not NAMESPACE.fullmatch(arguments.namespace):
        parser.error(f"'{arguments.namespace}' is no namespace: give names in snake_case, joined by ::")
    return arguments


def main():
    arguments = parse_arguments()
    try:
        if arguments.structs:
            generate_structs(arguments.structs, arguments.namespace, arguments.header)
        if arguments.out or arguments.docs or arguments.list_planned:
            generate_api(arguments)
    except DescriptionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
