// SPDX-License-Identifier: BSD-2-Clause
#include "audit.hpp"

namespace caprock::fuzz {

namespace {

constexpr unsigned sp_place = 31;
constexpr unsigned pc_place = 32;
constexpr unsigned tpidr_place = 33;
constexpr unsigned first_preserved = 19;
constexpr unsigned number_place = 7;

// The word that a register carries in a message; -1 if none.
int word_of(unsigned i) {
    if (i >= 2 && i <= 5) return static_cast<int>(i) - 2;
    if (i >= 9 && i <= 16) return static_cast<int>(i) - 5;
    return -1;
}

// Of a system call in two phases the number of the second one stays.
bool is_number(uint64_t before, uint64_t after) {
    return (before & ~abi::syscall_number_mask) == (after & ~abi::syscall_number_mask) &&
           ((after & abi::syscall_number_mask) == static_cast<uint64_t>(abi::Syscall::Recv) ||
            (after & abi::syscall_number_mask) == static_cast<uint64_t>(abi::Syscall::Wait));
}

// A preempted method may keep in its arguments what is left to do: of a range the start moves on, of a retype the first slot and the count.
bool is_progress(unsigned i, const Registers& before, uint64_t after) {
    constexpr unsigned start = 2;
    constexpr unsigned end = 3;
    constexpr unsigned offset = 9;
    constexpr unsigned count = 10;
    uint64_t label = abi::MessageInfo{before.x[1]}.label();
    if (label >= method_count) return false;
    if (label == static_cast<uint64_t>(abi::Method::UntypedRetype)) {
        if (i == offset) return after > before.x[i] && after - before.x[i] <= before.x[count];
        return i == count && after < before.x[i];
    }
    const MethodTable& method = method_tables[label];
    bool takes_range = method.word_count == 2 && word_tables[method.words + 1].kind == WordKind::After;
    return i == start && takes_range && after >= before.x[start] && after <= before.x[end];
}

// x0 to x18 after a return with `info`.
bool is_allowed(unsigned i, const Registers& before, uint64_t after, abi::MessageInfo info) {
    if (i < 2 || after == before.x[i] || after == 0) return true;
    int word = word_of(i);
    if (word >= 0 && static_cast<uint64_t>(word) < info.length()) return true;
    return (i == number_place && is_number(before.x[i], after)) || is_progress(i, before, after);
}

}  // namespace

Finding find_kernel_address(const Generator& generator, const Registers& registers) {
    for (unsigned i = 0; i < 31; ++i) {
        if (generator.is_forbidden(registers.x[i])) return {"a register holds an address of the kernel", i, registers.x[i]};
    }
    if (generator.is_forbidden(registers.sp)) return {"SP holds an address of the kernel", sp_place, registers.sp};
    if (generator.is_forbidden(registers.pc)) return {"PC holds an address of the kernel", pc_place, registers.pc};
    if (generator.is_forbidden(registers.tpidr)) return {"TPIDR_EL0 holds an address of the kernel", tpidr_place, registers.tpidr};
    return {};
}

Finding find_kernel_address(const Generator& generator, const abi::IPCBuffer& buffer) {
    for (unsigned i = 0; i < abi::ipc_message_words; ++i) {
        if (generator.is_forbidden(buffer.msg[i])) return {"a message word holds an address of the kernel", i, buffer.msg[i]};
    }
    for (unsigned i = 0; i < abi::ipc_extra_caps; ++i) {
        if (generator.is_forbidden(buffer.caps_or_badges[i])) return {"a badge holds an address of the kernel", i, buffer.caps_or_badges[i]};
    }
    return {};
}

Finding check_return(const Registers& before, const Registers& after) {
    abi::MessageInfo info{after.x[1]};
    // Not every system call returns a message info: the caller's own may be any word.
    if (info.length() > abi::ipc_message_words && info.raw != before.x[1]) return {"the message info tells a length that no message has", 1, info.raw};
    for (unsigned i = 0; i < first_preserved; ++i) {
        if (!is_allowed(i, before, after.x[i], info)) return {"a dead register changed to something else than zero", i, after.x[i], before.x[i], info.raw};
    }
    for (unsigned i = first_preserved; i < 31; ++i) {
        if (after.x[i] != before.x[i]) return {"a preserved register changed", i, after.x[i], before.x[i], info.raw};
    }
    if (after.sp != before.sp) return {"SP changed", sp_place, after.sp};
    if (after.tpidr != before.tpidr) return {"TPIDR_EL0 changed", tpidr_place, after.tpidr};
    return {};
}

}  // namespace caprock::fuzz
