// SPDX-License-Identifier: BSD-2-Clause
// What the plugin inside QEMU tells the replayer: records of one size through a pipe, in the order in which things happen.
#pragma once

#include <cstdint>

namespace caprock::image {

enum class Event : uint64_t {
    // The machine waits for an answer of one byte after these.
    Syscall,       // the kernel's handler is entered: x0, x1, x2, and the thread pointers
    Exception,     // the same of a synchronous exception: x1 syndrome, x2 fault address
    Interrupt,     // the same of an interrupt, which the handler acknowledges itself
    SystemError,   // the same of SError
    Leave,         // the kernel is about to return to user level
    // And goes on after these.
    Time,          // it read the counter: value
    Pending,       // it looked for interrupts at a preemption point: ISR_EL1
    Acknowledge,   // GICv3: it took an interrupt: ICC_IAR1_EL1
    Deactivate,    // GICv3: ICC_DIR_EL1
    Read,          // of a device: physical address, value, bytes
    Write,
    Image,         // where physical memory has the first byte of the kernel's image
};
inline constexpr Event last_awaited = Event::Leave;

struct Record {
    Event event;
    uint64_t x[3];         // registers x0 to x2, or the values above
    uint64_t tpidr;        // TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1 when the machine waits
    uint64_t tpidrro;
    uint64_t core;
};
static_assert(sizeof(Record) == 56);

/// Where the kernel is linked, and the most that it may take there; where it maps its interrupt controller and its memory.
inline constexpr uint64_t image_base = 0xffff'ffff'8000'0000;
inline constexpr uint64_t image_limit = 0x20'0000;
inline constexpr uint64_t device_base = 0xffff'ffff'c000'0000;
inline constexpr uint64_t memory_base = 0xffff'8000'0000'0000;

}  // namespace caprock::image
