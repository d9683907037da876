# SPDX-License-Identifier: BSD-2-Clause
"""The audit of the binary: each kind of violation in a small kernel of its own is found, and what is allowed is not taken for one; and the kernel that was
built has none."""

import os
from pathlib import Path

import pytest

from audit import calls, inventory, pages, places, stack
from audit.code import AuditError, Instruction, parse, read_operands
from audit.image import Image, Segment, Source
from small_kernel import SCRIPT

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
FLOATING = ("fpu_save_at",)


@pytest.fixture(scope="module")
def kernel():
    """The production kernel of the build."""
    return Image(BUILD / "kernel" / "kernel.elf", ROOT)


@pytest.fixture(scope="module")
def graph(kernel):
    return calls.build(kernel, places.read_indirect())


# ---- the kernel that was built -----------------------------------------------------------------------------------------------------------
def test_the_kernel_executes_privileged_instructions_only_where_they_are_listed(kernel):
    assert places.findings(kernel, places.read_listed(), ("fpu_save_at", "fpu_restore_at")) == []


def test_nothing_of_the_kernel_is_writable_and_executable(kernel):
    assert len(kernel.segments) == 4
    assert pages.of_segments(kernel) == []


def test_the_kernels_calls_are_known_and_never_recursive(kernel, graph):
    assert graph.findings == []
    assert sum(edge.returns for edges in graph.edges.values() for edge in edges) > 500
    assert kernel.stray() == []


def test_everything_in_the_kernel_is_reached_from_its_entries(kernel, graph):
    running, booting = inventory.phases(kernel, graph)
    assert running | booting == set(kernel.functions)
    assert kernel.named("boot_kernel") in booting and kernel.named("handle_syscall") in running


def test_the_kernels_stacks_are_large_enough(kernel, graph):
    usages, wrong = stack.measure_all(kernel, graph)
    assert wrong == []
    sizes = inventory.stack_sizes(kernel, ROOT)
    assert sizes == {"kernel_stacks": 8176, "emergency_stack": 8192}
    for name, entries in inventory._STACKS.items():
        for entry in entries:
            bound = stack.bound(graph, usages, kernel.named(entry))
            assert 0 < bound.total <= sizes[name], entry


def test_functions_are_found_in_the_sources(kernel):
    schedule = next(function for function in kernel.functions if function.source.name == "schedule")
    assert schedule.source.file == "kernel/sched/scheduler.cc"
    assert len(schedule.parts) > 5
    assert all((ROOT / function.source.file).is_file() or function.source.file.startswith("kernel/api/caprock/") for function in kernel.functions)
    assert kernel.named("memset").is_assembly and kernel.named("memset").source.file.endswith("memory.S")


def test_reviews_are_of_the_text_that_is_there():
    assert inventory.changed_reviews(inventory.read_reviewed(), ROOT) == []


# ---- places ------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("instruction, kind", [
    ("msr ttbr0_el1, x0", "msr ttbr0_el1"), ("mrs x3, tpidr_el1", "mrs tpidr_el1"), ("tlbi vmalle1", "sys #0, C8, C7, #0"),
    ("dc zva, x1", "sys #3, C7, C4, #1"),
    ("hvc #0", "hvc"), ("smc #1", "smc"), ("eret", "eret"), ("wfi", "hint #0x3"), ("brk #1", "brk"), ("msr daifset, #2", "msr daifset"),
    ("msr dbgbvr3_el1, x2", "msr dbgbvrN_el1"),
])
def test_a_privileged_instruction_elsewhere_is_found(assemble, instruction, kind):
    image = assemble(f"    function thief\n    {instruction}\n    ret\n    finish thief\n")
    found = places.findings(image, {}, FLOATING)
    assert len(found) == 1 and f": {kind}: this place is not listed" in found[0] and "thief" in found[0]


def test_barriers_and_arithmetic_may_be_anywhere(assemble):
    image = assemble("    function fine\n    dsb sy\n    isb\n    dmb ish\n    nop\n    add x0, x0, #1\n    ret\n    finish fine\n")
    assert places.findings(image, {}, FLOATING) == []


def test_a_listed_place_that_is_not_there_is_found(assemble):
    image = assemble("    function fine\n    ret\n    finish fine\n")
    assert "the image has it not" in places.findings(image, {places.Place("a.cc", "f", "eret"): "why"}, FLOATING)[0]


@pytest.mark.parametrize("instruction", ["fadd d0, d1, d2", "ldr q3, [x0]", "movi v0.16b, #0", "fmov x1, d0"])
def test_a_floating_point_register_elsewhere_is_found(assemble, instruction):
    image = assemble(f"    function thief\n    {instruction}\n    ret\n    finish thief\n")
    found = places.findings(image, {}, FLOATING)
    assert len(found) == 1 and "uses a floating-point register outside of fpu_save_at" in found[0]


def test_a_lambda_expression_belongs_to_the_function_around_it():
    inner, helper, around = Source("operator()", "a.cc", 39), Source("each_line", "a.cc", 15), Source("clear_memory", "a.cc", 30)
    register = Source("SysReg<3, 0>::write", places._WRAPPERS, 12)
    assert places._user([inner, helper, around]) == around
    assert places._user([register, helper, around]) == helper


def test_a_place_needs_a_reason(tmp_path):
    path = tmp_path / "places.toml"
    path.write_text('[[place]]\nfile = "a"\nfunction = "b"\ninstructions = ["eret"]\nreason = " "\n', encoding="utf-8")
    with pytest.raises(AuditError, match="entry 1: it needs"):
        places.read_listed(path)


# ---- pages -------------------------------------------------------------------------------------------------------------------------------
def test_a_segment_that_is_writable_and_executable_is_found(assemble):
    script = "PHDRS { all PT_LOAD FLAGS(7); } SECTIONS { . = 0xffffffff80000000; .text : { *(*) } :all }"
    image = assemble("    function fine\n    ret\n    finish fine\n", script)
    assert any("both writable and executable" in line for line in pages.of_segments(image))


def test_a_page_of_two_segments_is_found(assemble):
    script = SCRIPT.replace("    . = ALIGN(4096);\n", "")
    image = assemble("    function fine\n    ret\n    finish fine\n    .data\n    .quad 1\n", script)
    assert any("share a page" in line for line in pages.of_segments(image))


BASE = 0x4000_0000
DATA, CODE, NOWHERE = 0x60000000000703 | 0x8, 0x40000000000783 | 0x8, 0x60000000000783 | 0x8


class _Kernel:
    """As much of an image as its tables are held against."""

    segments = [Segment(0xFFFF_FFFF_8000_0000, 0x1000, False, True)]


def memory(entries):
    """Memory with tables whose last level has these entries, which begin where the kernel does."""
    content = bytearray(0x4000)

    def put(table: int, index: int, value: int) -> None:
        content[table + 8 * index:table + 8 * index + 8] = value.to_bytes(8, "little")

    put(0x0000, 511, BASE + 0x1000 | 3)
    put(0x1000, 510, BASE + 0x2000 | 3)
    put(0x2000, 0, BASE + 0x3000 | 3)
    for index, entry in enumerate(entries):
        put(0x3000, index, entry)
    return bytes(content)


def tables(*entries):
    return pages.of_tables(pages.walk(memory(entries), BASE, BASE), _Kernel)


def test_tables_that_are_right():
    assert tables(0x1_0000 | CODE, 0x1_1000 | DATA) == []
    (mapping,) = pages.walk(memory([0x1_0000 | CODE]), BASE, BASE)
    assert str(mapping) == "0xffffffff80000000 to 0xffffffff80001000 (physical 0x10000, -x-)"


def test_a_page_that_is_writable_and_executable_is_found():
    assert any("both writable and executable" in line for line in tables(0x1_0000 | CODE & ~0x80))


def test_code_that_is_writable_elsewhere_is_found():
    assert any("the same memory is writable elsewhere" in line for line in tables(0x1_0000 | CODE, 0x1_0000 | DATA))


def test_an_executable_page_outside_of_the_code_is_found():
    assert any("not in the image's code" in line for line in tables(0x1_0000 | CODE, 0x2_0000 | CODE))


def test_a_page_of_the_kernels_that_user_level_reaches_is_found():
    assert any("user level may reach it" in line for line in tables(0x1_0000 | CODE, 0x2_0000 | DATA | 0x40))


def test_tables_without_code_are_not_the_kernels():
    assert "nothing in them can be executed" in tables(0x1_0000 | NOWHERE)[0]


def test_a_table_outside_of_memory_is_refused():
    content = bytearray(memory([]))
    content[0x2000:0x2008] = (0x9000_0000 | 3).to_bytes(8, "little")
    with pytest.raises(AuditError, match="no memory is"):
        pages.walk(bytes(content), BASE, BASE)


def test_the_kernel_is_found_in_memory(kernel):
    content = bytearray(6 << 20)
    first = kernel.segments[0]
    content[4 << 20:(4 << 20) + 2 * pages.PAGE] = kernel.read(first.start, 2 * pages.PAGE)
    assert pages.find_image(bytes(content), kernel) == 4 << 20


def test_a_kernel_that_is_not_in_memory_is_said_so(kernel):
    with pytest.raises(AuditError, match="the kernel is not in it"):
        pages.find_image(bytes(8 << 20), kernel)


# ---- calls -------------------------------------------------------------------------------------------------------------------------------
def test_recursion_is_found(assemble):
    image = assemble("""
    function first
    str x30, [sp, #-16]!
    bl second
    ldr x30, [sp], #16
    ret
    finish first
    function second
    b first
    finish second
""")
    assert [line for line in calls.build(image).findings if line.startswith("recursion: ")] == ["recursion: first -> second -> first"]


def test_a_loop_is_no_recursion(assemble):
    image = assemble("    function loop\n1:  b 1b\n    finish loop\nidle:\n    wfi\n    b idle\n")
    assert calls.build(image).findings == []


@pytest.mark.parametrize("branch", ["br x1", "blr x1", "ret x5"])
def test_an_indirect_branch_is_found(assemble, branch):
    image = assemble(f"    function thief\n    {branch}\n    finish thief\n")
    assert len(calls.build(image).findings) == 1


TABLE = """
    function chooser
    {before}
    cmp w0, #{limit}
    b.hi 3f
    {between}
    adrp x1, table
    add x1, x1, :lo12:table
    ldrb w1, [x1, w0, uxtw]
    adr x2, 1f
    add x1, x2, w1, sxtb #2
    br x1
1:  ret
2:  mov w0, #1
    ret
3:  mov w0, #2
    ret
    finish chooser
    .section .rodata
table: .byte (1b - 1b) / 4, (2b - 1b) / 4, {third}
"""


def test_a_jump_table_with_a_checked_index_is_read(assemble):
    image = assemble(TABLE.format(before="", limit=1, between="", third="0"))
    graph = calls.build(image)
    assert graph.findings == []
    start = image.named("chooser").address
    assert list(graph.jumps.values()) == [[start + 32, start + 36]]


@pytest.mark.parametrize("before, limit, between, third", [
    ("", 2, "", "100"),              # an entry leads out of the function
    ("", 1, "mov w0, w3", "0"),      # the index changes after the check
    ("", 1, "9: cbz w4, 9b", "0"),   # something jumps in between check and branch
])
def test_a_jump_table_that_cannot_be_trusted_is_found(assemble, before, limit, between, third):
    found = calls.build(assemble(TABLE.format(before=before, limit=limit, between=between, third=third))).findings
    assert len(found) == 1 and "not through a jump table with a checked index" in found[0]


def test_a_jump_without_a_check_is_found(assemble):
    text = TABLE.format(before="", limit=1, between="", third="0").replace("cmp w0, #1", "nop").replace("b.hi 3f", "nop")
    assert "not through a jump table with a checked index" in calls.build(assemble(text)).findings[0]


def test_a_computed_jump_of_assembly_may_be_listed(assemble):
    image = assemble("clear:\n    adr x1, last\n    sub x1, x1, x0, lsl #2\n    br x1\nrun:\n    mov x2, #0\n    mov x3, #0\nlast:\n    ret\n")
    assert len(calls.build(image).findings) == 1
    graph = calls.build(image, {"clear": 3})
    assert graph.findings == []
    assert list(graph.jumps.values()) == [[image.symbol("run"), image.symbol("run") + 4, image.symbol("last")]]


def test_a_branch_into_the_middle_of_a_function_is_found(assemble):
    image = assemble("    function one\n    nop\n    ret\n    finish one\n    function two\n    b one + 4\n    finish two\n")
    assert "leads into the middle of one" in calls.build(image).findings[0]


def test_instructions_in_no_function_are_found(assemble):
    image = assemble("    function one\n    ret\n    finish one\n    mov x0, #1\n    ret\n")
    assert [str(found) for found in image.stray()] == ["movz x0, #0x1", "ret"]


# ---- the stack ---------------------------------------------------------------------------------------------------------------------------
def bound_of(image, name):
    graph = calls.build(image)
    usages, wrong = stack.measure_all(image, graph)
    return stack.bound(graph, usages, image.named(name)), wrong


CHAIN = """
    function outer
    stp x29, x30, [sp, #-32]!
    cbz x0, 1f
    bl inner
1:  ldp x29, x30, [sp], #32
    ret
    finish outer
    function inner
    mov x16, #4096
    sub sp, sp, x16
    sub sp, sp, #16
    str x30, [sp, #-16]!
    bl leaf
    ldr x30, [sp], #16
    add sp, sp, #16
    mov x16, #4096
    add sp, sp, x16
    b tail
    finish inner
    function leaf
    ret
    finish leaf
    function tail
    sub sp, sp, #{tail}
    sub sp, sp, #64
    add sp, sp, #64
    add sp, sp, #{tail}
    ret
    finish tail
"""


@pytest.mark.parametrize("tail, total, last", [(16, 32 + 4096 + 16 + 16, "inner"), (4080, 32 + 4080 + 64, "tail")])
def test_the_deepest_chain_is_found(assemble, tail, total, last):
    found, wrong = bound_of(assemble(CHAIN.format(tail=tail)), "outer")
    assert wrong == []
    assert (found.total, str(found.chain[-1])) == (total, last)


@pytest.mark.parametrize("body, finding", [
    ("    sub sp, sp, x0\n    ret\n", "moves the stack by what cannot be told"),
    ("    sub sp, sp, #16\n    ret\n", "16 bytes from where it was"),
    ("    cbz x0, 1f\n    sub sp, sp, #16\n1:  ret\n", "bytes are on the stack, or"),
    ("    add sp, sp, #16\n    ret\n", "-16 bytes from where it was"),
])
def test_a_stack_that_is_not_kept_is_found(assemble, body, finding):
    _, wrong = bound_of(assemble(f"    function thief\n{body}    finish thief\n"), "thief")
    assert any(finding in line for line in wrong)


def test_what_follows_a_call_that_never_returns_does_not_count(assemble):
    found, wrong = bound_of(assemble("""
    function careful
    cbz x0, 1f
    str x30, [sp, #-16]!
    bl panic
1:  ret
    finish careful
    function panic
2:  b 2b
    finish panic
"""), "careful")
    assert wrong == [] and found.total == 16


# ---- reading -----------------------------------------------------------------------------------------------------------------------------
def test_a_listing_is_read():
    instructions, data = parse("ffffffff80000000:\t9100043f \tadd\tsp, x1, #0x1\t// why\n"
                               "ffffffff80000004:\t54000040 \tb.eq\tffffffff8000000c <x+0xc>  // b.none\n"
                               "ffffffff80000008:\tdeadbeef \t.word\t0xdeadbeef\n")
    assert [str(found) for found in instructions] == ["add sp, x1, #0x1", "b.eq ffffffff8000000c"]
    assert instructions[1].target == 0xFFFF_FFFF_8000_000C and data == {0xFFFF_FFFF_8000_0008}


@pytest.mark.parametrize("text, operands", [
    ("x0, [sp, #16]!", ("x0", "[sp, #16]!")), ("x0, x1, [x2], #16", ("x0", "x1", "[x2]", "#16")), ("", ()), ("v0.16b, #0x0", ("v0.16b", "#0x0")),
])
def test_operands_are_told_apart(text, operands):
    assert read_operands(text) == operands


@pytest.mark.parametrize("mnemonic, operands, register, writes", [
    ("add", "x0, x1, x2", 0, True), ("add", "x0, x1, x2", 1, False), ("str", "x0, [x1]", 0, False), ("str", "x0, [x1, #8]!", 1, True),
    ("ldr", "x0, [x1], #8", 1, True), ("ldp", "x0, x1, [x2]", 1, True), ("stxr", "w6, w5, [x3]", 6, True), ("subs", "wzr, w1, #1", 1, False),
    ("cbz", "x0, 80", 0, False), ("msr", "ttbr0_el1, x0", 0, False), ("mrs", "x0, ctr_el0", 0, True), ("bic", "x3, x1, x2", 3, True),
    ("bl", "80", 30, True), ("ldaxr", "w4, [x3]", 4, True),
])
def test_what_an_instruction_writes(mnemonic, operands, register, writes):
    assert Instruction(0, 0, mnemonic, read_operands(operands)).writes(register) == writes


def test_a_file_that_is_no_kernel_is_refused(tmp_path):
    (tmp_path / "kernel.elf").write_bytes(b"no")
    with pytest.raises(AuditError, match="no ELF file"):
        Image(tmp_path / "kernel.elf", ROOT)
    with pytest.raises(AuditError, match="no ELF file"):
        Image(tmp_path / "nothing", ROOT)


def test_a_missing_disassembler_is_said(tmp_path, monkeypatch, assemble):
    image = assemble("    function fine\n    ret\n    finish fine\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AuditError, match="is not installed"):
        Image(image.path, ROOT)
