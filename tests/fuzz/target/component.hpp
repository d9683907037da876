// SPDX-License-Identifier: BSD-2-Clause
// Where the component's threads begin to run, for each kind of operation (component.S).
#pragma once

#include "tests/fuzz/generator.hpp"

extern "C" const char component_code[];

namespace caprock::fuzz {

inline constexpr uint64_t entry_bytes = 16;
/// After the instruction of a system call.
inline constexpr uint64_t returned_pc = code_address + 4;

/// Numbers of the entries.
namespace entry {
inline constexpr uint64_t system_call = 0;
inline constexpr uint64_t first_memory_fault = 1;
inline constexpr uint64_t memory_faults = 4;
inline constexpr uint64_t first_exception = 5;
inline constexpr uint64_t exceptions = 11;
inline constexpr uint64_t floating_point = 16;
inline constexpr uint64_t interrupt = 17;
}  // namespace entry

/// Address of the instruction with which a thread performs `operation`.
inline uint64_t entry_of(const Operation& operation) {
    uint64_t number = entry::system_call;
    switch (operation.kind) {
        case Operation::Kind::SystemCall: break;
        case Operation::Kind::MemoryFault: number = entry::first_memory_fault + operation.x[1] % entry::memory_faults; break;
        case Operation::Kind::Exception: number = entry::first_exception + operation.x[1] % entry::exceptions; break;
        case Operation::Kind::UseFpu: number = entry::floating_point; break;
        case Operation::Kind::Interrupt: number = entry::interrupt; break;
    }
    return code_address + number * entry_bytes;
}

}  // namespace caprock::fuzz
