// SPDX-License-Identifier: BSD-2-Clause
#include "syscall/debug.hpp"

#include "cap/lookup.hpp"
#include "core/panic.hpp"
#include "ipc/message.hpp"

namespace caprock {
bool debug_syscall(Tcb& thread, Word number) {
    if constexpr (!debug_build) return false;
    Word argument = thread.context.x[reg::cap];
    switch (static_cast<abi::Syscall>(number)) {
        case abi::Syscall::DebugPutChar: arch::console_put(static_cast<char>(argument)); return true;
        case abi::Syscall::DebugHalt: panic("halted by DebugHalt");
        case abi::Syscall::DebugCapIdentify: {
            Slot* slot = find_slot(thread, CPtr(argument));
            thread.context.x[reg::cap] = slot == nullptr ? 0 : static_cast<Word>(slot->cap.type());
            return true;
        }
        default: return false;
    }
}
}  // namespace caprock
