// SPDX-License-Identifier: BSD-2-Clause
// The test's user level: provokes at EL0 what the kernel has to handle, and checks what comes back.
#include "call.hpp"
#include "caprock/abi.hpp"

extern "C" {
extern volatile caprock::Word other_ran;
extern const char a32_instructions[];
bool registers_survive_call();
bool registers_survive_memory_fault();
bool registers_survive_exception();
bool registers_survive_interrupt();
void fill_fpu();
bool expect_fpu();
[[noreturn]] void user_main(caprock::Word run, caprock::Word console_kind, caprock::Word console_offset);
}

namespace caprock::arch_test {

Word milliseconds(Word count) {
    Word frequency;
    asm("mrs %0, cntfrq_el0" : "=r"(frequency));
    return frequency / 1000 * count;
}

Word counter() {
    Word value;
    asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(value));
    return value;
}

namespace {

constexpr Word direct_map = 0xffff800000000000, kernel_image = 0xffffffff80000000;
constexpr Word unmapped = 0x30000000, beyond_tables = 0x0000ffff00000000;

// -- Registers
void check_registers() {
    Word pointer, read_only;
    asm volatile("mrs %0, tpidr_el0\n mrs %1, tpidrro_el0" : "=r"(pointer), "=r"(read_only));
    check("registers: thread pointers start as zero", (pointer | read_only) == 0, pointer | read_only);
    check("registers: all survive a system call", registers_survive_call());
    check("registers: all survive a memory fault", registers_survive_memory_fault());
    check("registers: all survive an exception", registers_survive_exception());
    call(Call::ArmTimer, milliseconds(2), reinterpret_cast<Word>(&interrupted));
    check("registers: all survive an interrupt", registers_survive_interrupt());
}

// -- Memory faults
enum class Access { Read, Write, Fetch };

struct FaultRow {
    const char* name;
    Access access;
    Word address;
};

Word accessed_address;

void do_access(Access access) {
    switch (access) {
    case Access::Read: asm volatile("ldr x9, [%0]" : : "r"(accessed_address) : "x9", "memory"); break;
    case Access::Write: asm volatile("str xzr, [%0]" : : "r"(accessed_address) : "memory"); break;
    case Access::Fetch: asm volatile("blr %0" : : "r"(accessed_address) : "x30", "memory"); break;
    }
}

void check_fault(const FaultRow& row) {
    accessed_address = row.address;
    constexpr void (*accesses[])() = {[] { do_access(Access::Read); }, [] { do_access(Access::Write); }, [] { do_access(Access::Fetch); }};
    const Provoked provoked = provoke(accesses[static_cast<unsigned>(row.access)]);
    const bool fetch = row.access == Access::Fetch;
    const bool write = (provoked.syndrome >> 6 & 1) != 0;
    check(row.name, provoked.fault == (fetch ? Fault::Fetch : Fault::Memory) && provoked.address == row.address &&
          (fetch || write == (row.access == Access::Write)), provoked.syndrome);
}

void check_faults() {
    static Word data;
    static const Word constant = 1;
    const Word text = reinterpret_cast<Word>(a32_instructions) & ~Word{7};
    const FaultRow rows[] = {
        {"faults: reading an unmapped page", Access::Read, unmapped},
        {"faults: reading where no table is", Access::Read, beyond_tables},
        {"faults: reading near zero", Access::Read, 0},
        {"faults: writing text", Access::Write, text},
        {"faults: writing constants", Access::Write, reinterpret_cast<Word>(&constant)},
        {"faults: executing data", Access::Fetch, reinterpret_cast<Word>(&data) & ~Word{3}},
        {"faults: executing an unmapped page", Access::Fetch, unmapped},
        {"faults: reading the direct map", Access::Read, direct_map + 0x50000000},
        {"faults: writing the direct map", Access::Write, direct_map + 0x50000000},
        {"faults: reading the kernel", Access::Read, kernel_image},
        {"faults: writing the kernel", Access::Write, kernel_image},
        {"faults: executing the kernel", Access::Fetch, kernel_image},
    };
    for (const FaultRow& row : rows) check_fault(row);
}

// -- Exceptions of other kinds
struct ExceptionRow {
    const char* name;
    Word exception_class;
    void (*instructions)();
};

alignas(16) Word aligned_words[4];

constexpr ExceptionRow exceptions[] = {
    {"exceptions: an undefined instruction", 0x00, [] { asm volatile("udf #7"); }},
    {"exceptions: svc with an immediate", 0x15, [] { asm volatile("svc #5"); }},
    {"exceptions: an unaligned exclusive access", 0x24,
     [] { asm volatile("ldxr x9, [%0]" : : "r"(reinterpret_cast<Word>(aligned_words) + 1) : "x9", "memory"); }},
    {"exceptions: a jump to an unaligned address", 0x22,
     [] { asm volatile("adr x9, 1f + 2\n blr x9\n1:" : : : "x9", "x30", "memory"); }},
};

void check_exceptions() {
    for (const ExceptionRow& row : exceptions) {
        const Provoked provoked = provoke(row.instructions);
        check(row.name, provoked.fault == Fault::Exception && provoked.exception_class() == row.exception_class, provoked.syndrome);
    }
}

// -- Floating point
// By their encodings: a compiler that may not use these registers may refuse their names.
void read_fpcr() { asm volatile("mrs x9, S3_3_C4_C4_0" : : : "x9"); }
void read_fpsr() { asm volatile("mrs x9, S3_3_C4_C4_1" : : : "x9"); }

void check_fpu() {
    constexpr Word fpu_access = 0x07;
    const Provoked first = provoke(fill_fpu);
    check("fpu: its first use traps", first.fault == Fault::Fpu && first.exception_class() == fpu_access, first.syndrome);
    check("fpu: then it is open", provoke(read_fpcr).fault == Fault::None);
    constexpr Word sum = 32 * 0x1000 + 32 * 0x2000 + 31 * 32 + 0x02000000 + 0x08000000;
    const Word saved = call(Call::CycleFpu).first;
    check("fpu: all registers are saved", saved == sum, saved);
    check("fpu: all registers are restored", expect_fpu());
    call(Call::CloseFpu);
    check("fpu: it can be closed again", provoke(read_fpsr).fault == Fault::Fpu);
    check("fpu: the trap changes no register", expect_fpu());
}

// -- Interrupts, idling and address spaces
void check_software_interrupt() {
    constexpr Word irqs[] = {2, 15, 15};
    for (const Word irq : irqs) {
        call(Call::SendSgi, irq);
        const Answer taken = call(Call::TakeInterrupt);
        check("sgi: it interrupts user level, each time", taken.first == 1 && taken.second == irq, taken.second);
    }
}

void check_idling() {
    const Word wanted = milliseconds(2);
    const Word start = counter();
    call(Call::Idle, wanted);
    const Word passed = counter() - start;
    check("interrupts: the idle core slept until its deadline", passed >= wanted, passed);
}

Word read_own_page() { return *reinterpret_cast<volatile Word*>(own_page); }

Word own_page_of(Word space) {
    call(Call::EnterSpace, space);
    return read_own_page();
}

void check_spaces() {
    check("spaces: the first one's page", own_page_of(0) == own_page_value, read_own_page());
    check("spaces: the second one's page, by its ASID alone", own_page_of(1) == own_page_value + 1, read_own_page());
    check("spaces: the first one's page again", own_page_of(0) == own_page_value, read_own_page());
    call(Call::ReplacePage);
    check("spaces: a replaced page is seen", read_own_page() == own_page_value + 1, read_own_page());
    call(Call::RemovePage);
    const Provoked provoked = provoke([] { read_own_page(); });
    check("spaces: a removed page is not", provoked.fault == Fault::Memory && provoked.address == own_page, provoked.address);
}

[[noreturn]] void run_suite() {
    check_registers();
    check_faults();
    check_exceptions();
    check_visible_state();
    check_software_interrupt();
    check_fpu();
    check_debugging();
    check_idling();
    check_spaces();
    call(Call::Finish);
    __builtin_unreachable();
}

[[noreturn]] void run_serrors() {
    struct Row {
        const char* name;
        SErrorAt place;
    };
    constexpr Row rows[] = {
        {"serror: one at user level is delivered", SErrorAt::Thread},
        {"serror: one in the kernel is delivered", SErrorAt::Kernel},
        {"serror: one while idle is delivered", SErrorAt::Idle},
    };
    Word count = 0;
    for (const Row& row : rows) {
        call(Call::RaiseSError, static_cast<Word>(row.place));
        count++;
        check(row.name, call(Call::CountSErrors).first == count);
        check("serror: the thread that its handler chose runs", other_ran == count, other_ran);
    }
    call(Call::Finish);
    __builtin_unreachable();
}

// -- The console, when the kernel has given it up
struct Uart {
    Word base;
    bool mini;

    volatile uint32_t& at(Word offset) const { return *reinterpret_cast<volatile uint32_t*>(base + offset); }
    bool full() const { return mini ? (at(0x14) & 1u << 5) == 0 : (at(0x18) & 1u << 5) != 0; }
    void print(const char* text) const {
        for (; *text != '\0'; text++) {
            while (full()) {
            }
            at(0) = static_cast<uint8_t>(*text);
        }
    }
};

// The kernel is asked to print, then this prints itself: the status is 0 if the kernel does not even map the console any more.
[[noreturn]] void run_silence(Word console_kind, Word console_offset) {
    const Uart uart{console_page + console_offset, console_kind == static_cast<Word>(abi::ConsoleKind::MiniUart)};
    const bool mapped = call(Call::Speak).first != 0;
    uart.print(mapped ? "caprock: exit 1\r\n" : "caprock: exit 0\r\n");
    for (;;) {
    }
}

}  // namespace
}  // namespace caprock::arch_test

using namespace caprock::arch_test;

void user_main(caprock::Word run, caprock::Word console_kind, caprock::Word console_offset) {
    switch (static_cast<UserRun>(run)) {
    case UserRun::Suite: run_suite();
    case UserRun::SErrors: run_serrors();
    case UserRun::Silence: run_silence(console_kind, console_offset);
    case UserRun::AArch32: call(Call::EnterAArch32, reinterpret_cast<caprock::Word>(a32_instructions)); break;
    case UserRun::Other: break;  // never comes here
    }
    for (;;) {
    }
}
