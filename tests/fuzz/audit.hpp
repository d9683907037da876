// SPDX-License-Identifier: BSD-2-Clause
// What a thread may find in its registers when its system call returns: what it put there itself, zeroes, and the message. Anything else
// comes from the kernel or from another component, and is a leak.
#pragma once

#include "generator.hpp"

namespace caprock::fuzz {

/// A thread's registers as user level sees them.
struct Registers {
    uint64_t x[31] = {};
    uint64_t sp = 0;
    uint64_t pc = 0;
    uint64_t tpidr = 0;
};

/// A finding: which rule was broken, null if none was, and the register (31: SP, 32: PC, 33: TPIDR_EL0) or word of the buffer.
struct Finding {
    const char* rule = nullptr;
    unsigned place = 0;
    uint64_t value = 0;
    uint64_t before = 0;   // of a register that changed
    uint64_t info = 0;     // the message info of the return
    explicit operator bool() const { return rule != nullptr; }
};

/// Looks for the kernel's addresses in a thread's registers.
Finding find_kernel_address(const Generator& generator, const Registers& registers);
/// The same in the part of an IPC buffer that the kernel writes.
Finding find_kernel_address(const Generator& generator, const abi::IPCBuffer& buffer);

/// Compares the registers before a system call that the kernel knows with those after its return.
Finding check_return(const Registers& before, const Registers& after);

}  // namespace caprock::fuzz
