// SPDX-License-Identifier: BSD-2-Clause
// Threads besides the worker: functions on a stack of their own, and puppets, which perform one system call each time they are told to.
#pragma once

#include "tests/worst_case/system.hpp"

// What threads run, in threads.S, which says which registers each expects; use_fpu is an ordinary function.
extern "C" {
void member_entry();
void puppet_entry();
void waiter_entry();
void yielder_entry();
void spinner_entry();
void hog_entry();
void fpu_spinner_entry();
void server_entry();
void link_entry();
void use_fpu();
}

namespace caprock::worst_case {

struct ThreadOptions {
    uint8_t priority = eager_priority;
    Cap<VSpace> vspace = root_vspace;
    Cap<CNode> cspace = root_cnode;
    /// Address of its IPC buffer in the image; null: it has none.
    abi::IPCBuffer* buffer = nullptr;
    /// No scheduling context: the thread runs only on one that is lent or bound to it.
    bool passive = false;
    /// Where its faults go; null: to the monitor, which ends the run.
    CapRef fault_endpoint{};
};

/// What Inspect::ReadTCB tells of a thread.
enum class ThreadState : uint64_t { Inactive, Runnable, BlockedOnReceive, BlockedOnSend, BlockedOnReply, BlockedOnNotification };
ThreadState state_of(CapRef thread);
inline bool is_blocked(ThreadState state) { return state > ThreadState::Runnable; }

/// Makes a thread that is not resumed yet.
Cap<TCB> make_thread(const ThreadOptions& options);
/// A scheduling context without a limit: its thread takes turns with its equals.
Cap<SchedContext> make_round_robin();

struct alignas(16) ThreadStack {
    uint8_t bytes[4096];
};

/// Lets a thread run a function, which never returns. It must not use thread-local variables.
void start_function(Cap<TCB> thread, void (*function)(void*), void* argument, ThreadStack& stack);

/// Makes the thread that reports faults of threads without a handler of their own, and ends the run.
void start_monitor();

/// x0 to x16 of a system call.
struct Registers {
    uint64_t x[18];

    static constexpr Registers call(CapRef cap, abi::MessageInfo info, abi::Syscall number) {
        Registers registers{};
        registers.x[0] = cap.address();
        registers.x[1] = info.raw;
        registers.x[7] = static_cast<uint64_t>(number);
        return registers;
    }
};

inline constexpr abi::MessageInfo empty_message = abi::MessageInfo::make(0, 0, 0, 0);
inline Registers send_to(CapRef endpoint) { return Registers::call(endpoint, empty_message, abi::Syscall::Send); }

/// Registers that survive a system call.
struct SavedRegisters {
    uint64_t x19_x22[4];
};

/// Lets a thread run `entry` of threads.S with these registers.
void start_at(Cap<TCB> thread, void (*entry)(), const Registers& registers, const SavedRegisters& saved);

/// A thread that performs the system call in `registers` when it is told to, at once if its priority is higher than the worker's.
class Puppet {
public:
    /// `wait_address`: where the puppet finds, in its CSpace, the notification `go` that tells it.
    void start(const ThreadOptions& options, Cap<Notification> go, uint64_t wait_address);
    void start(const ThreadOptions& options);
    /// Lets it wait for the next tell(), whatever it waited for.
    void restart();
    void tell() const { sys::signal(go_.address()); }
    Cap<TCB> thread() const { return thread_; }
    /// What the system call returned.
    abi::MessageInfo result() const { return abi::MessageInfo{registers.x[1]}; }

    /// Of the next system call, and the results of the last; the puppet reads and writes them.
    Registers registers;

private:
    Cap<TCB> thread_;
    Cap<Notification> go_;
    uint64_t wait_address_ = 0;
};

}  // namespace caprock::worst_case
