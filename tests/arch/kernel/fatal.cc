// SPDX-License-Identifier: BSD-2-Clause
// Each mistake must end in a line that names its kind and gives the addresses; tests/arch/test_arch.py knows which.
#include "fatal.hpp"

#include "arch/aarch64/mmu.hpp"
#include "memory.hpp"
#include "report.hpp"
#include "space.hpp"

extern "C" char text_end[], rodata_start[];

namespace caprock::arch_test {
namespace {

using namespace arch;

// One word: `ret`. In writable memory, whatever the compiler thinks of it.
Word code_in_data = 0xd65f03c0;

struct Mistake {
    const char* name;
    void (*make)(const abi::BootInfo& info);
};

// Far deeper than the stack; no tail call, and a frame that the compiler cannot leave out.
[[gnu::noinline]] Word overflow_stack(Word depth) {
    volatile Word frame[64];
    for (volatile Word& word : frame) word = depth;
    return depth == 0 ? 0 : overflow_stack(depth - 1) + frame[depth % 64];
}

void write_word(Word address) { *reinterpret_cast<volatile Word*>(address) = 0; }

void call(Word address) { reinterpret_cast<void (*)()>(address)(); }

// Interrupts are masked in the kernel: whoever opens them there has made a mistake.
void take_interrupt(const abi::BootInfo&) {
    set_deadline(Ticks(0));
    asm volatile("msr daifclr, #2");
    const Ticks limit = now() + timer_frequency();
    while (now() < limit) {
    }
}

// GICv2 without security extensions: the enabled group 0 becomes FIQs by GICC_CTLR.FIQEn.
void take_fiq(const abi::BootInfo& info) {
    constexpr uint32_t fast_interrupts = 1u << 3;
    const Mmio cpu = map_device(PhysAddr(info.gic_cpu.start), page_size);
    cpu.write(Word{0}, cpu.read(Word{0}) | fast_interrupts);
    set_deadline(Ticks(0));
    asm volatile("msr daifclr, #1");
    const Ticks limit = now() + timer_frequency();
    while (now() < limit) {
    }
}

void use_thread_stack_pointer(const abi::BootInfo&) { asm volatile("msr spsel, #0\n udf #0"); }

void execute_user_page(const abi::BootInfo& info) {
    build_spaces(info);
    enter_space(0);
    call(info.root_entry);
}

constexpr Mistake mistakes[] = {
    {"stack-overflow", [](const abi::BootInfo&) { overflow_stack(STACK_BYTES); }},
    {"write-text", [](const abi::BootInfo&) { write_word(reinterpret_cast<Word>(text_end) - 8); }},
    {"write-constants", [](const abi::BootInfo&) { write_word(reinterpret_cast<Word>(rodata_start)); }},
    {"write-image", [](const abi::BootInfo& info) { write_word(to_kernel(PhysAddr(info.kernel.start)).raw); }},
    {"execute-data", [](const abi::BootInfo&) { call(reinterpret_cast<Word>(&code_in_data)); }},
    {"execute-user", execute_user_page},
    {"execute-memory", [](const abi::BootInfo&) { call(to_kernel(allocate_page()).raw); }},
    {"undefined", [](const abi::BootInfo&) { asm volatile("udf #0"); }},
    {"interrupt", take_interrupt},
    {"fiq", take_fiq},
    {"stack-pointer", use_thread_stack_pointer},
};

}  // namespace

void make_mistake(const Request& request, const abi::BootInfo& info) {
    for (const Mistake& mistake : mistakes) {
        if (!is(request.run, mistake.name)) continue;
        mistake.make(info);
        check("a mistake ends the machine", false);
        finish();
    }
}

}  // namespace caprock::arch_test
