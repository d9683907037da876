# SPDX-License-Identifier: BSD-2-Clause
"""The API description: its mistakes are found, numbers never change, headers compile, and the manual in docs/reference is current."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
API = ROOT / "kernel" / "api"
GOLDEN = Path(__file__).parent / "labels.golden"
SDK = ROOT / "userland" / "caprock" / "include"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
CXX = ["-std=gnu++2b", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-mgeneral-regs-only", *WARNINGS]
C11 = ["-std=c11", "-ffreestanding", "-mgeneral-regs-only", *WARNINGS]

sys.path.insert(0, str(API))
from description import Description  # noqa: E402 (the path comes first)


def generate(*arguments, hash_seed="0"):
    """Runs the generator; returns its completed process."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(["/usr/bin/python3", API / "generate.py", *map(str, arguments)], capture_output=True, text=True,
                          timeout=60, env=environment, check=False)


@pytest.fixture(scope="module")
def headers(tmp_path_factory):
    """An include folder with the generated headers."""
    out = tmp_path_factory.mktemp("headers")
    done = generate("--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def description():
    """The description itself."""
    return Description(API)


# Mistakes ---------------------------------------------------------------------------------------------------------------------------
# Name: (file, text that is replaced once, replacement, what the message must say).
MISTAKES = {
    "syntax": ("irq.toml", "[[object]]", "[[object]", "kernel/api/irq.toml: file: not TOML"),
    "unknown_section": ("sched_control.toml", "[[object", "[[objekt", "kernel/api/sched_control.toml: objekt: unknown section"),
    "unknown_section_of_contract": ("boot.toml", "[[constant]]", "[[const]]", "kernel/api/boot.toml: const: unknown section"),
    "unknown_key": ("tcb.toml", "label = 12\n", "label = 12\ncolour = \"red\"\n", "kernel/api/tcb.toml: TCB.Suspend: unknown key 'colour'"),
    "missing_prose": ("frame.toml", 'effect = "Nothing changes."\n', "", "kernel/api/frame.toml: Frame.GetAddress: 'effect' is missing"),
    "empty_prose": ("frame.toml", 'effect = "Nothing changes."\n', 'effect = " "\n', "Frame.GetAddress: 'effect' is empty"),
    "wrong_kind_of_value": ("tcb.toml", "label = 12\n", 'label = "12"\n', "TCB.Suspend: 'label' is not of type int"),
    "duplicate_label": ("tcb.toml", "label = 12\n", "label = 13\n", "label 13 belongs to TCB.Suspend"),
    "gap_in_labels": ("inspect.toml", "label = 63\n", "label = 70\n", "labels: they do not run from 1 without gaps: missing [63"),
    "label_zero": ("inspect.toml", "label = 63\n", "label = 0\n", "labels: they do not run from 1 without gaps"),
    "unknown_status": ("tcb.toml", 'status = "implemented"', 'status = "soon"', "unknown status 'soon'"),
    "duplicate_method": ("irq.toml", 'name = "Clear"', 'name = "Ack"', "kernel/api/irq.toml: IRQHandler.Ack: the name occurs twice"),
    "duplicate_object": ("irq.toml", 'name = "IRQHandler"', 'name = "Frame"', "object Frame: the name occurs twice"),
    "name_of_method": ("irq.toml", 'name = "Clear"', 'name = "clear_it"', "IRQHandler.clear_it: the name does not follow the conventions"),
    "name_of_argument": ("irq.toml", 'name = "trigger"', 'name = "class"', "IRQControl.Get.words.class: the name is reserved"),
    "name_that_hides": ("irq.toml", 'name = "trigger"', 'name = "words"', "IRQControl.Get.words: the name is reserved"),
    "argument_twice": ("irq.toml", 'name = "trigger"', 'name = "irq"', "IRQControl.Get.words.irq: the name occurs twice"),
    "word_named_as_capability": ("irq.toml", 'name = "trigger"', 'name = "root"', "a word and a capability share the name"),
    "unknown_type": ("irq.toml", 'type = "IRQTrigger"', 'type = "Trigger"', "IRQControl.Get.trigger: unknown type 'Trigger'"),
    "unknown_kind": ("domain.toml", 'kind = "TCB"', 'kind = "Thread"', "Domain.Set.tcb: unknown kind 'Thread'"),
    "unknown_error": ("domain.toml", 'error = "InvalidArgument"', 'error = "Oops"', "no such error or fault 'Oops'"),
    "no_error_as_error": ("domain.toml", 'error = "InvalidArgument"', 'error = "NoError"', "no such error or fault 'NoError'"),
    "unknown_cap_type": ("domain.toml", 'cap_type = "Domain"', 'cap_type = "Realm"', "'cap_type' names no value of CapType"),
    "undescribed_type": ("domain.toml", 'cap_type = "Domain"', 'cap_type = "TCB"', "enum CapType.Domain: no object has this type"),
    "half_a_size": ("reply.toml", "min_size_bits = 5\n", "", "'min_size_bits' and 'size_bits' come together"),
    "unknown_tail": ("tcb.toml", 'tail = "UserContext"', 'tail = "Registers"', "'result_tail' names no structure"),
    "too_many_caps": ("domain.toml", "caps = [", 'caps = [ { name = "a", kind = "TCB", doc = "a" }, '
                      '{ name = "b", kind = "TCB", doc = "b" }, { name = "c", kind = "TCB", doc = "c" },',
                      "Domain.Set.caps: there are more than 3"),
    "struct_size": ("abi.toml", "size = 1024", "size = 1000", "struct IPCBuffer: its fields take 1024 bytes, 'size' says 1000"),
    "struct_padding": ("boot.toml", '{ name = "version", type = "u32"', '{ name = "version", type = "u16"', "is not aligned to 4"),
    "struct_type": ("boot.toml", 'type = "BootRange"', 'type = "BootRanges"', "unknown type 'BootRanges'"),
    "overlapping_bits": ("abi.toml", "lo = 7, hi = 8", "lo = 6, hi = 8", "bitfield MessageInfo.extra_caps: bits 8:6 overlap"),
    "equal_values": ("abi.toml", 'name = "Send", value = 3', 'name = "Send", value = 2', "the value 2 occurs twice"),
    "negative_value": ("abi.toml", 'name = "Send", value = 3', 'name = "Send", value = -3', "enum Syscall.Send: the value is out of range"),
    "constant_too_large": ("abi.toml", "value = 120", "value = 0x1_0000_0000_0000_0000", "the value does not fit 64 bits"),
    "syscall_without_prose": ("ipc.toml", 'name = "Yield"', 'name = "Wield"', "syscall.Yield: its prose is missing"),
    "prose_without_syscall": ("ipc.toml", 'name = "Yield"', 'name = "Wield"', "syscall.Wield: nothing has this name"),
    "fault_without_prose": ("ipc.toml", 'name = "VMFault"', 'name = "VmFault"', "fault.VMFault: its prose is missing"),
    "message_without_fault": ("abi.toml", '[[message]]\nname = "Timeout"', '[[message]]\nname = "TimeOut"',
                              "message TimeOut: no such value"),
    "type_twice": ("boot.toml", 'name = "BootCore"', 'name = "MessageInfo"', "MessageInfo: also a type of abi.toml"),
    "error_table_missing": ("abi.toml", 'name = "Error"', 'name = "Errors"', "enum Error: it is missing"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_reported(mistake, tmp_path):
    file, old, new, message = MISTAKES[mistake]
    for source in API.glob("*.toml"):
        shutil.copy(source, tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text, f"{file} no longer contains {old!r}: correct this test"
    (tmp_path / file).write_text(text.replace(old, new, 1))
    done = generate("--api", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_missing_file_is_reported(tmp_path):
    for source in API.glob("*.toml"):
        if source.name != "frame.toml":
            shutil.copy(source, tmp_path)
    done = generate("--api", tmp_path, "--list-planned")
    assert done.returncode == 1
    assert "kernel/api/frame.toml: file: it cannot be read: No such file" in done.stderr


def test_nothing_to_do_is_an_error():
    done = generate()
    assert done.returncode == 2
    assert "nothing to do" in done.stderr


# Numbers ----------------------------------------------------------------------------------------------------------------------------
def test_numbers_are_append_only(description):
    """Every number that was ever released keeps its meaning; a new one is added to the golden file by hand."""
    lines = [f"Method {method['object']['name']}::{method['name']} {method['label']}" for method in description.methods]
    for enum in ("Syscall", "Error", "LookupFailure", "FaultLabel", "ObjectType", "CapType", "InitSlot"):
        lines += [f"{enum} {value['name']} {value['value']}" for value in description.enum(enum)["values"]]
    golden = [line for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#")]
    assert sorted(set(golden) - set(lines)) == [], "released numbers were changed or removed"
    assert sorted(set(lines) - set(golden)) == [], "new numbers: add these lines to tests/api/labels.golden"


def test_no_two_labels_are_equal(description):
    labels = [method["label"] for method in description.methods]
    assert len(labels) == len(set(labels))
    assert labels == list(range(1, len(labels) + 1))


def test_hash_covers_the_interface_and_not_the_prose(tmp_path, description):
    for source in API.glob("*.toml"):
        shutil.copy(source, tmp_path)
    irq = (tmp_path / "irq.toml").read_text()
    (tmp_path / "irq.toml").write_text(irq.replace("Lets the interrupt come again.", "Other prose."))
    assert Description(tmp_path).api_hash() == description.api_hash()
    (tmp_path / "irq.toml").write_text(irq.replace('name = "trigger"', 'name = "sampling"'))
    assert Description(tmp_path).api_hash() != description.api_hash()


def test_planned_methods_are_listed(description):
    done = generate("--list-planned")
    planned = [f"{m['object']['name']}::{m['name']}" for m in description.methods if m["status"] == "planned"]
    assert done.returncode == 0
    assert done.stdout.split() == planned


def test_implemented_methods_have_their_kernel_file(description):
    missing = sorted({m["file"] for m in description.methods if m["status"] == "implemented" and not (ROOT / m["file"]).is_file()})
    assert missing == []


# What is generated ------------------------------------------------------------------------------------------------------------------
def tree(folder):
    """Relative paths and texts of all files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_output_is_deterministic(tmp_path):
    for name, seed in (("one", "1"), ("two", "2")):
        assert generate("--out", tmp_path / name, "--docs", tmp_path / name / "docs", hash_seed=seed).returncode == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_reference_manual_is_current(tmp_path):
    assert generate("--docs", tmp_path).returncode == 0
    fresh, checked_in = tree(tmp_path), tree(ROOT / "docs" / "reference")
    stale = sorted(name for name in fresh.keys() | checked_in.keys() if fresh.get(name) != checked_in.get(name))
    assert stale == [], "run: kernel/api/generate.py --docs docs/reference"


def test_manual_leaves_other_pages_alone(tmp_path):
    (tmp_path / "notes.md").write_text("# Notes\n")
    (tmp_path / "gone.md").write_text("<!-- Generated from kernel/api/gone.toml by kernel/api/generate.py: do not edit. -->\n")
    assert generate("--docs", tmp_path).returncode == 0
    assert (tmp_path / "notes.md").exists()
    assert not (tmp_path / "gone.md").exists()


def test_links_of_the_manual_lead_somewhere():
    pages = tree(ROOT / "docs" / "reference")
    anchors = {name: {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^#+ (.*)$", text)}
               for name, text in pages.items()}
    broken = []
    for name, text in pages.items():
        for page, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
            target = page or name
            if target not in pages or (anchor and anchor not in anchors[target]):
                broken.append(f"{name}: {page}#{anchor}")
    assert broken == []


def test_lines_of_the_headers_are_short(headers):
    long = [f"{name}: {line}" for name, text in tree(headers).items() for line in text.splitlines() if len(line) > 140]
    assert long == []


def test_generated_kernel_code_is_small(headers):
    """It counts towards the kernel's budget of lines."""
    code = [line for name in ("abi.hpp", "decode.hpp") for line in (headers / "caprock" / name).read_text().splitlines()
            if line.strip() and not line.strip().startswith("//")]
    assert len(code) < 1000


CXX_PROGRAM = """
#include <caprock/decode.hpp>
#include <caprock/objects.hpp>
#include <caprock/objects.h>
using namespace caprock;
constinit thread_local abi::IPCBuffer* caprock_ipc_buffer = nullptr;

struct Words { uint64_t words[12]; constexpr uint64_t word(unsigned i) const { return words[i]; } };
constexpr auto mint = abi::CNodeMintArgs::read(Words {{1, 2, 3, 4, 5, 6}});
static_assert(mint.dest_index == 1 && mint.src_depth == 4 && mint.rights == 5 && mint.badge == 6);
static_assert(abi::CNodeMintArgs::cap_src_root == 0);
static_assert(abi::method_info[static_cast<uint64_t>(abi::Method::CNodeMint)].object == abi::CapType::CNode);
static_assert(abi::method_info[static_cast<uint64_t>(abi::Method::CNodeMint)].words == 6);
constexpr auto info = abi::MessageInfo::make(3, 2, 0, 0xfffffffffffff);
static_assert(info.length() == 3 && info.extra_caps() == 2 && info.label() == 0xfffffffffffff);
static_assert(info.raw == 0xfffffffffffff103);
static_assert(abi::VMFault::length == 4 && abi::CapFault::detail2 == 6 && abi::api_hash == CAPROCK_API_HASH);

constexpr Result<uint64_t> good {7ull};
constexpr Result<uint64_t> bad {Failure {abi::Error::RangeError, {1, 64}}};
static_assert(good.ok() && good.value() == 7 && good.error() == abi::Error::NoError && good.value_or(1) == 7);
static_assert(!bad.ok() && bad.error() == abi::Error::RangeError && bad.detail(1) == 64 && bad.detail(9) == 0 && bad.value_or(1) == 1);

uint64_t use(abi::UserContext& context)
{
    Cap<CNode> cnode {2};
    Cap<TCB> tcb {1};
    sys::Message message;
    sys::recv(5, 6, message, abi::syscall_flag_require_donation);
    sys::ShortMessage small {message.info, 0, {}};
    sys::reply_recv(5, 6, small);
    sys::call(5, message);
    sys::nb_send_recv(4, 5, 6, message);
    auto registers = tcb.read_registers(1, 36, context);
    auto written = tcb.write_registers(1, 36, context);
    auto parameters = tcb.set_sched_params(255, 254, tcb, CapRef {}, Cap<Endpoint> {3});
    auto bound = Cap<SchedContext> {9}.bind(Cap<Notification> {4});
    return cnode.copy(1, 64, 2, 64, abi::CapRights {15}, cnode).ok() + Cap<Frame> {7}.get_address().value_or(3) + registers.detail(4)
        + written.ok() + parameters.ok() + bound.ok() + static_cast<uint64_t>(sys::send(3, small)) + message.words[11];
}
"""

C_PROGRAM = """
#include <caprock/objects.h>
_Thread_local caprock_ipc_buffer_t *caprock_ipc_buffer;
_Static_assert(CAPROCK_ERROR_NO_DONATION == 11 && CAPROCK_METHOD_CNODE_MINT == 27 && CAPROCK_VM_FAULT_LENGTH == 4, "numbers");

uint64_t use(caprock_user_context_t *context)
{
    uint64_t address = 0;
    caprock_failure_t failure = {{0}};
    caprock_message_t message = {{0}, 0, {0}};
    caprock_recv(5, 6, CAPROCK_SYSCALL_FLAG_REQUIRE_DONATION, &message);
    caprock_error_t error = caprock_frame_get_address(7, &address, &failure);
    error |= caprock_cnode_copy(2, 1, 64, 2, 64, caprock_cap_rights_make(1, 1, 1, 1), 2, 0);
    error |= caprock_tcb_write_registers(1, 1, 36, context, &failure);
    return error + address + failure.details[4] + caprock_message_info_get_label(message.info);
}
"""

WRONG_KIND = """
#include <caprock/objects.hpp>
auto use() { return caprock::Cap<caprock::CNode> {2}.move(1, 64, 2, 64, caprock::Cap<caprock::Frame> {3}); }
"""

UNUSED_RESULT = """
#include <caprock/objects.hpp>
void use() { caprock::Cap<caprock::TCB> {2}.suspend(); }
"""


def compile_text(compiler, options, suffix, text, headers, folder):
    """Compiles `text`; returns the completed process. Skips the test when the compiler is not there."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = folder / f"program{suffix}"
    source.write_text(text)
    return subprocess.run([compiler, *options, f"-I{headers}", f"-I{SDK}", "-c", source, "-o", folder / "program.o"],
                          capture_output=True, text=True, timeout=120, check=False)


def clang(name):
    """The newest clang of that name that is installed."""
    return next((f"{name}-{version}" for version in range(21, 13, -1) if shutil.which(f"{name}-{version}")), name)


COMPILERS = {
    "g++": ("aarch64-linux-gnu-g++", [*CXX, "-O2"], ".cpp", CXX_PROGRAM),
    "g++ -O0": ("aarch64-linux-gnu-g++", [*CXX, "-O0"], ".cpp", CXX_PROGRAM),
    "gcc": ("aarch64-linux-gnu-gcc", [*C11, "-O2"], ".c", C_PROGRAM),
    "clang++": (clang("clang++"), ["--target=aarch64-none-elf", *CXX, "-O2"], ".cpp", CXX_PROGRAM),
    "clang": (clang("clang"), ["--target=aarch64-none-elf", *C11, "-O2"], ".c", C_PROGRAM),
}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_headers_compile(compiler, headers, tmp_path):
    done = compile_text(*COMPILERS[compiler], headers, tmp_path)
    assert done.returncode == 0, done.stderr


def test_structures_have_no_padding(headers, tmp_path):
    """Every field lies where the description puts it, so that all who read a structure by the description agree with the compiler."""
    asserts = "\n".join(f"static_assert(__builtin_offsetof(caprock::abi::{entry['name']}, {field['name']}) == {field['offset']});"
                        for entry in Description(API).structs for field in entry["fields"])
    asserts += "".join(f"\nstatic_assert(sizeof(caprock::abi::{entry['name']}) == {entry['size']});" for entry in Description(API).structs)
    done = compile_text("aarch64-linux-gnu-g++", CXX, ".cpp", f"#include <caprock/abi.hpp>\n{asserts}\n", headers, tmp_path)
    assert asserts and done.returncode == 0, done.stderr


@pytest.mark.parametrize("text, message", [(WRONG_KIND, "does not take capabilities of this type"), (UNUSED_RESULT, "nodiscard")],
                         ids=["wrong kind", "unused result"])
def test_misuse_does_not_compile(text, message, headers, tmp_path):
    done = compile_text("aarch64-linux-gnu-g++", CXX, ".cpp", text, headers, tmp_path)
    assert done.returncode != 0
    assert message in done.stderr


TRAP = """
#include <caprock/syscall.h>
void full(uint64_t *words) { uint64_t x0 = 100, x1 = 101; caprock_trap(107, &x0, &x1, words, 106, 108); words[0] += x0 + x1; }
"""


def test_stub_follows_the_register_map(headers, tmp_path):
    """The stub's instructions fill, before svc, the registers that the manual names, and read the words from where the manual says."""
    done = compile_text("aarch64-linux-gnu-gcc", [*C11, "-O2"], ".c", TRAP, headers, tmp_path)
    assert done.returncode == 0, done.stderr
    listing = subprocess.run(["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", tmp_path / "program.o"], capture_output=True,
                             text=True, timeout=60, check=True).stdout
    before = listing[:listing.index("svc")]
    for register, value in ((0, 100), (1, 101), (6, 106), (7, 107), (8, 108)):
        assert re.search(rf"mov\s+x{register}, #{value:#x}\b", before), (register, listing)
    for pair, offset in (("x2, x3", 0), ("x4, x5", 16), ("x9, x10", 32), ("x11, x12", 48), ("x13, x14", 64), ("x15, x16", 80)):
        place = rf"\[x(19|2\d|30){rf', #{offset}' if offset else ''}\]"
        assert re.search(rf"ldp\s+{pair}, {place}", before), (pair, listing)
        assert re.search(rf"stp\s+{pair}, {place}", listing[len(before):]), (pair, listing)
