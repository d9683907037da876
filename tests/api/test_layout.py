# SPDX-License-Identifier: BSD-2-Clause
"""Structures of TOML files: the packed bytes, the generated header, and mistakes of callers and files."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPONENT = ROOT / "userland" / "caprock" / "api" / "component.toml"
CXX = ["aarch64-linux-gnu-g++", "-std=gnu++2b", "-ffreestanding", "-Wall", "-Wextra", "-Wconversion", "-Werror"]

sys.path.insert(0, str(ROOT))
from kernel.api.description import DescriptionError  # noqa: E402 (the path comes first)
from kernel.api.layout import LayoutError, load_structs  # noqa: E402

NESTED = """
[[constant]]
name = "magic"
value = 0x1234
doc = "A number."

[[enum]]
name = "Colour"
doc = "A choice."
values = [ { name = "Red", value = 1, doc = "Red." }, { name = "Green", value = 7, doc = "Green." } ]

[[struct]]
name = "Inner"
doc = "A part."
fields = [ { name = "small", type = "u8", doc = "One byte." }, { name = "pad", type = "u8", doc = "Zero." },
           { name = "half", type = "u16", doc = "Two bytes." }, { name = "word", type = "u32", doc = "Four bytes." } ]

[[struct]]
name = "Outer"
size = 48
doc = "The whole."
fields = [ { name = "one", type = "Inner", doc = "A structure." }, { name = "more", type = "Inner", count = 2, doc = "An array." },
           { name = "text", type = "u8", count = 8, doc = "Bytes." }, { name = "words", type = "u64", count = 2, doc = "Words." } ]
"""


def generate(*arguments):
    """Runs the generator; returns its completed process."""
    return subprocess.run(["/usr/bin/python3", "-B", ROOT / "kernel" / "api" / "generate.py", *map(str, arguments)],
                          capture_output=True, text=True, timeout=60, env=os.environ, check=False)


@pytest.fixture(name="nested")
def fixture_nested(tmp_path):
    """The file of NESTED."""
    path = tmp_path / "nested.toml"
    path.write_text(NESTED)
    return path


@pytest.fixture(name="layout")
def fixture_layout(nested):
    """The layout of NESTED."""
    return load_structs(nested)


# Packing ----------------------------------------------------------------------------------------------------------------------------
def test_names_and_sizes(layout):
    assert layout.constant("magic") == 0x1234
    assert layout.enum("Colour") == {"Red": 1, "Green": 7}
    assert (layout.size("Inner"), layout.size("Outer")) == (8, 48)


def test_every_kind_of_field(layout):
    inner = {"small": 0xff, "half": 0xfffe, "word": 0xfffffffd}
    packed = layout.pack("Outer", {"words": [1, 2**64 - 1], "one": inner, "more": [{}, {"word": 5}], "text": b"caprock"})
    assert packed == struct.pack("<BBHI 8x 4xI 8s QQ", 0xff, 0, 0xfffe, 0xfffffffd, 5, b"caprock", 1, 2**64 - 1)


def test_what_is_not_given_is_zero(layout):
    assert layout.pack("Outer", {}) == bytes(48)
    assert layout.pack("Outer", {"words": [3], "text": [1, 2]}) == bytes(24) + b"\1\2" + bytes(6) + struct.pack("<QQ", 3, 0)


def test_full_arrays_fit(layout):
    assert layout.pack("Outer", {"text": b"12345678"})[24:32] == b"12345678"


@pytest.mark.parametrize(("values", "message"), [
    ({"colour": 1}, "Outer: Outer has no field 'colour' (use one of: one, more, text, words)"),
    ({"one": {"smell": 1}}, "Outer.one: Inner has no field 'smell'"),
    ({"one": {"small": 256}}, "Outer.one.small: 256 is no u8: give a number from 0 to 2^8 - 1"),
    ({"more": [{}, {"half": -1}]}, "Outer.more[1].half: -1 is no u16"),
    ({"more": [{}, {}, {}]}, "Outer.more: 3 values are more than its 2"),
    ({"one": 4}, "Outer.one: 4 is no dictionary of the fields of Inner"),
    ({"text": b"123456789"}, "Outer.text: 9 values are more than its 8"),
    ({"text": "text"}, "Outer.text: 'text' is no list and no bytes"),
    ({"words": b"12"}, "Outer.words: b'12' is no list"),
    ({"words": 7}, "Outer.words: 7 is no list"),
    ({"words": [2**64]}, "Outer.words[0]: 18446744073709551616 is no u64"),
])
def test_misfits_are_named(layout, values, message):
    with pytest.raises(LayoutError, match=re.escape(message)):
        layout.pack("Outer", values)


@pytest.mark.parametrize(("function", "message"), [
    ("constant", "there is no constant 'nothing' (use one of: magic)"), ("enum", "there is no enum 'nothing' (use one of: Colour)"),
    ("size", "there is no struct 'nothing' (use one of: Inner, Outer)"),
])
def test_unknown_names(layout, function, message):
    with pytest.raises(LayoutError, match=re.escape(message)):
        getattr(layout, function)("nothing")


def test_types_of_earlier_files(nested, tmp_path):
    user = tmp_path / "user.toml"
    user.write_text('[[struct]]\nname = "User"\ndoc = "It."\nfields = [ { name = "outer", type = "Outer", doc = "It." } ]\n')
    assert load_structs(nested, user).size("User") == 48
    with pytest.raises(DescriptionError, match=r"user\.toml: struct User\.outer: unknown type 'Outer'"):
        load_structs(user)


# The component contract -------------------------------------------------------------------------------------------------------------
def test_component_info():
    layout = load_structs(COMPONENT)
    packed = layout.pack("ComponentInfo", {"magic": layout.constant("component_magic"), "api_hash": layout.api_hash(), "name": b"echo",
                                           "heap_size": 4096, "entry_count": 1})
    assert packed == struct.pack("<8sQ32s 16xQ 24xQ 24x", b"CAPRCOMP", layout.api_hash(), b"echo", 4096, 1)
    kind = layout.enum("ComponentEntryKind")["Uses"]
    entry = layout.pack("ComponentEntry", {"name": b"log", "kind": kind, "value": 9, "text": b"Console"})
    assert entry == struct.pack("<32sQQQQ64s", b"log", 1, 9, 0, 0, b"Console")


def test_hash_is_that_of_the_headers(tmp_path):
    assert generate("--out", tmp_path).returncode == 0
    text = (tmp_path / "caprock" / "abi.hpp").read_text()
    assert int(re.search(r"api_hash = (0x[0-9a-f]{16});", text)[1], 16) == load_structs().api_hash()


# The header -------------------------------------------------------------------------------------------------------------------------
def compile_header(header, namespace, text, folder):
    """Compiles `text` behind the header, inside of the namespace."""
    source = folder / "program.cc"
    source.write_text(f'#include "{header}"\nnamespace {namespace} {{\n{text}\n}}\n')
    return subprocess.run([*CXX, "-c", source, "-o", folder / "program.o"], capture_output=True, text=True, timeout=120, check=False)


def test_header_of_components(tmp_path):
    header = tmp_path / "caprock" / "component.hpp"
    done = generate("--structs", COMPONENT, "--namespace", "caprock::component", "--header", header)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"#include.*", header.read_text()) == ["#include <stdint.h>"]
    assert not re.search(rf"[\s\"(]{re.escape(str(ROOT))}/", header.read_text())
    done = compile_header(header, "caprock", """
        static_assert(sizeof(component::ComponentInfo) == 128 && sizeof(component::ComponentEntry) == 128);
        static_assert(__builtin_offsetof(component::ComponentInfo, entry_count) == 96);
        static_assert(__builtin_offsetof(component::ComponentEntry, text) == 64);
        static_assert(static_cast<uint64_t>(component::ComponentEntryKind::Grant) == 11);
        static_assert(component::component_magic == 0x504d4f4352504143 && component::badge_provide_shift == 48);
    """, tmp_path)
    assert done.returncode == 0, done.stderr


def test_header_of_nested_structures_agrees_with_pack(nested, layout, tmp_path):
    assert generate("--structs", nested, "--namespace", "test", "--header", tmp_path / "nested.hpp").returncode == 0
    values = ", ".join(map(str, layout.pack("Outer", {"one": {"half": 0x102}, "more": [{}, {"word": 3}], "text": b"ab", "words": [4, 5]})))
    done = compile_header(tmp_path / "nested.hpp", "test", f"""
        struct Bytes {{ uint8_t bytes[48]; }};
        constexpr Outer outer = __builtin_bit_cast(Outer, Bytes {{{{{values}}}}});
        static_assert(outer.one.half == 0x102 && outer.more[0].word == 0 && outer.more[1].word == 3 && outer.text[1] == 'b');
        static_assert(outer.words[0] == 4 && outer.words[1] == 5 && sizeof(Outer) == 48);
    """, tmp_path)
    assert done.returncode == 0, done.stderr


# Mistakes ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("old", "new", "message"), [
    ("[[struct]]", "[[struct]", "nested.toml: file: not TOML"),
    ("[[constant]]", "[[message]]", "nested.toml: message: unknown section; use [[constant]], [[enum]], [[struct]]"),
    ('"u16"', '"u12"', "nested.toml: struct Inner.half: unknown type 'u12'"),
    ("size = 48", "size = 40", "nested.toml: struct Outer: its fields take 48 bytes, 'size' says 40"),
    ('name = "Green", value = 7', 'name = "Green", value = 1', "nested.toml: enum Colour.Red: the value 1 occurs twice"),
])
def test_mistake_is_reported(old, new, message, nested, tmp_path):
    assert old in NESTED
    nested.write_text(NESTED.replace(old, new, 1))
    done = generate("--structs", nested, "--namespace", "test", "--header", tmp_path / "nested.hpp")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "nested.hpp").exists()


def test_missing_file_is_reported(tmp_path):
    done = generate("--structs", tmp_path / "gone.toml", "--namespace", "test", "--header", tmp_path / "gone.hpp")
    assert done.returncode == 1
    assert "gone.toml: file: it cannot be read: No such file" in done.stderr


@pytest.mark.parametrize(("arguments", "message"), [
    (["--structs", COMPONENT], "--structs, --namespace and --header come together"),
    (["--namespace", "test", "--out", "nowhere"], "--structs, --namespace and --header come together"),
    (["--structs", COMPONENT, "--namespace", "Test;", "--header", "nowhere.hpp"], "'Test;' is no namespace"),
])
def test_half_a_request_is_an_error(arguments, message):
    done = generate(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
