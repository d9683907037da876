// SPDX-License-Identifier: BSD-2-Clause
// What the shim learns from the device tree: everything that differs between machines, in terms of BootInfo. No other code names a board.
#pragma once

#include <stdint.h>

#include "caprock/abi.hpp"
#include "problem.hpp"
#include "ranges.hpp"

namespace caprock::shim {

inline constexpr uint64_t mpidr_affinity_mask = 0xff'00ff'ffff;

// The console that /chosen/stdout-path names.
struct Console {
    abi::ConsoleKind kind = abi::ConsoleKind::None;
    uint64_t address = 0;  // physical address of the UART's first register
};

// The machine, addresses as the cores see them.
struct Machine {
    static constexpr unsigned max_cores = 8;

    const char* compatible = nullptr;  // the root node's first compatible string
    RangeList ram;                     // whole pages
    RangeList no_map;                  // whole pages that belong to firmware: memreserve, reserved-memory, spin tables
    BootRange payload{};               // linux,initrd-start and -end
    Console console;
    uint64_t gic_version = 0;
    BootRange gic_distributor{};
    BootRange gic_cpu{};
    uint64_t timer_virtual = 0;  // interrupt numbers, 16 to 31
    uint64_t timer_physical = 0;
    uint64_t timer_frequency = 0;  // Hz; 0 when the device tree leaves it to CNTFRQ_EL0
    abi::PsciConduit psci = abi::PsciConduit::None;
    abi::BootCore cores[max_cores]{};  // the boot core, then the others by rising affinity
    unsigned core_count = 0;
    uint64_t entropy[4]{};  // /chosen rng-seed; zero words where it is shorter
};

// Checks the whole device tree at `fdt`, which is aligned to 8 and of which `limit` bytes can be read. It must be known to be one by
// `device_tree_size`.
Problem check_device_tree(const void* fdt, uint64_t limit);

// The size in bytes that the header of the device tree at `fdt` declares, or 0 if there is none (or one above 2 MiB, which no loader
// makes).
uint64_t device_tree_size(const void* fdt);

// Reads the console alone, so that later problems can be printed on it.
Problem read_console(const void* fdt, Console& console);

// Reads the machine from a checked device tree. `boot_mpidr` holds the boot core's affinity; that core becomes entry 0 of `cores`.
Problem read_machine(const void* fdt, uint64_t boot_mpidr, Machine& machine);

}  // namespace caprock::shim
