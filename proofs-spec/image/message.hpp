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
    FastEntry,     // a fast path in assembly begins, which may go on in the handler after all; before it come registers that it keeps
    FastLeave,     // it is about to return to user level; before it come the next thread's registers
    // And goes on after these.
    Register,      // number as Context has them, value
    Time,          // it read the counter: value
    Pending,       // it looked for interrupts at a preemption point: ISR_EL1
    Acknowledge,   // GICv3: it took an interrupt: ICC_IAR1_EL1
    Deactivate,    // GICv3: ICC_DIR_EL1
    Read,          // of a device: physical address, value, bytes
    Write,
    Image,         // where physical memory has the first byte of the kernel's image
};
inline constexpr Event last_awaited = Event::FastLeave;

struct Record {
    Event event;
    uint64_t x[3];         // registers x0 to x2, or the values above
    uint64_t tpidr;        // TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1 when the machine waits
    uint64_t tpidrro;
    uint64_t core;
};
static_assert(sizeof(Record) == 56);

/// Whether a fast path begins and ends with a thread's general register, or its sp, pc or spsr, in the processor, and not in its Context.
constexpr bool kept_by_fast_path(uint64_t number) { return number < 17 || (number >= 29 && number < 34); }

/// Where the kernel is linked, and the most that it may take there; where it maps its interrupt controller and its memory.
inline constexpr uint64_t image_base = 0xffff'ffff'8000'0000;
inline constexpr uint64_t image_limit = 0x20'0000;
inline constexpr uint64_t device_base = 0xffff'ffff'c000'0000;
inline constexpr uint64_t memory_base = 0xffff'8000'0000'0000;

}  // namespace caprock::image
