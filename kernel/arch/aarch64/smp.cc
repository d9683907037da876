// SPDX-License-Identifier: BSD-2-Clause
// Core start-up by PSCI (Arm DEN0022, CPU_ON) or spin table (an address that the core polls with its MMU off), into a parked loop in kernel
// memory, so that firmware's waiting loops can be forgotten. One core at a time is asked; all are waited for together.
#include "smp.hpp"

#include "console.hpp"
#include "gic.hpp"
#include "mmu.hpp"

namespace caprock::arch {
namespace {
constexpr Word psci_cpu_on = 0xc4000003;

bool arrived[MAX_CORES];

Word psci_call(abi::PsciConduit conduit, Word function, Word target, Word entry, Word context) {
    register Word x0 asm("x0") = function;
    register Word x1 asm("x1") = target;
    register Word x2 asm("x2") = entry;
    register Word x3 asm("x3") = context;
    if (conduit == abi::PsciConduit::Smc)
        asm volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                     "x14", "x15", "x16", "x17", "memory");
    else
        asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                     "x14", "x15", "x16", "x17", "memory");
    return x0;
}

// The word is mapped as a device: the core reads memory past its caches, and so must this write go.
void release_spinning_core(PhysAddr word, PhysAddr entry) {
    const Mmio release = map_device(word, sizeof(Word));
    release.write_long(0, entry.raw);
    dsb_sy();
    asm volatile("sev" : : : "memory");
    unmap_device(release.address(), sizeof(Word));
}

// Whether the request was made; a core that cannot be asked is not waited for.
bool request_start(const abi::BootCore& core, PhysAddr entry, abi::PsciConduit conduit) {
    switch (static_cast<abi::StartMethod>(core.start_method)) {
    case abi::StartMethod::Psci:
        return conduit != abi::PsciConduit::None && psci_call(conduit, psci_cpu_on, core.mpidr, entry.raw, 0) == 0;
    case abi::StartMethod::SpinTable:
        release_spinning_core(PhysAddr(core.release_addr), entry);
        return true;
    case abi::StartMethod::None:
        break;
    }
    return false;
}

bool has_arrived(unsigned core) { return __atomic_load_n(&arrived[core], __ATOMIC_ACQUIRE); }

void report_missing(const abi::BootCore& core) {
    print("caprock: core ");
    print_hex(core.mpidr);
    print(" did not start; it is not used\n");
}
}  // namespace

unsigned start_cores(const abi::BootInfo& info, PhysAddr entry, abi::PsciConduit conduit) {
    bool requested[MAX_CORES] = {};
    for (unsigned core = 1; core < info.core_count; core++)
        requested[core] = request_start(info.cores[core], entry, conduit);

    const Ticks limit = now() + timer_frequency();
    unsigned up = 1;
    for (unsigned core = 1; core < info.core_count; core++) {
        while (requested[core] && !has_arrived(core) && now() < limit) {
        }
        if (has_arrived(core))
            up++;
        else
            report_missing(info.cores[core]);
    }
    return up;
}

void park_core(unsigned core) {
    gic_close_core();
    __atomic_store_n(&arrived[core], true, __ATOMIC_RELEASE);
    halt();
}
}  // namespace caprock::arch
