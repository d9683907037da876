// SPDX-License-Identifier: BSD-2-Clause
// A hypervisor under which the real kernel runs as at EL1: it raises SErrors, whose moment the test's user level chooses, and prints for it.
// User level asks by reading CTR_EL0, which traps here; the register that it reads into says what for (protocol.hpp).
#include "../../../platform/shim/console.hpp"
#include "../protocol.hpp"

namespace caprock::arch_test {

/// A guest's general registers, as harness.S saves them.
struct GuestRegisters {
    Word x[31];
    Word padding;
};

namespace {

constexpr Word wait_for_interrupt = 0x01, register_access = 0x18;  // ESR_EL2.EC
constexpr Word instruction_bytes = 4;
constexpr Word raise_virtual_serror = Word{1} << 8;                // HCR_EL2.VSE
// ESR_EL2.ISS of a read of CTR_EL0 (op0 3, op1 3, CRn 0, CRm 0, op2 1), without the register that it reads into.
constexpr Word reads_ctr = 3 << 20 | 1 << 17 | 3 << 14 | 1;
constexpr Word access_mask = 0x3ffc1f;
constexpr unsigned no_register = 31;

struct Armed {
    bool kernel = false;  // the kernel's next read of CTR_EL0
    bool idle = false;    // the next wfi
};
constinit Armed armed;

void raise_serror() {
    Word hcr;
    asm volatile("mrs %0, hcr_el2" : "=r"(hcr));
    asm volatile("msr hcr_el2, %0" : : "r"(hcr | raise_virtual_serror));
}

void print_character(Word character) {
    const char text[] = {static_cast<char>(character), '\0'};
    shim::print(text);
}

void serve_user(unsigned target, const GuestRegisters& registers) {
    switch (static_cast<Service>(target)) {
    case Service::RaiseHere: raise_serror(); break;
    case Service::RaiseInKernel: armed.kernel = true; break;
    case Service::RaiseInIdle: armed.idle = true; break;
    case Service::Print: print_character(registers.x[print_register]); break;
    }
}

void serve_kernel() {
    if (armed.kernel) raise_serror();
    armed.kernel = false;
}

// Whether the wait is over: else the guest's wfi is to be executed again, which the SError then interrupts.
bool end_wait() {
    if (!armed.idle) {
        asm volatile("wfi");
        return true;
    }
    armed.idle = false;
    raise_serror();
    return false;
}

}  // namespace

// Called by harness.S for every exception of the guest.
extern "C" void hypervisor_trap(GuestRegisters& registers) {
    Word syndrome, state, address;
    asm volatile("mrs %0, esr_el2\n mrs %1, spsr_el2\n mrs %2, elr_el2" : "=r"(syndrome), "=r"(state), "=r"(address));
    bool advance = true;
    if (syndrome >> 26 == wait_for_interrupt) {
        advance = end_wait();
    } else if (syndrome >> 26 == register_access && (syndrome & access_mask) == reads_ctr) {
        const auto target = static_cast<unsigned>(syndrome >> 5 & 31);
        (state & 0xf) == 0 ? serve_user(target, registers) : serve_kernel();
        if (target != no_register) asm volatile("mrs %0, ctr_el0" : "=r"(registers.x[target]));
    } else {
        shim::halt({"harness: the hypervisor met a trap that it did not ask for", "see ESR_EL2 in hypervisor.cc", syndrome});
    }
    if (advance) asm volatile("msr elr_el2, %0" : : "r"(address + instruction_bytes));
}

}  // namespace caprock::arch_test
