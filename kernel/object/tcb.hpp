// SPDX-License-Identifier: BSD-2-Clause
// TCB: a thread: its registers, the capabilities that it runs with, what it waits for, and its places in the kernel's queues.
#pragma once

#include "arch/context.hpp"
#include "cap/slot.hpp"
#include "core/heap.hpp"
#include "core/prio_queue.hpp"
#include "core/result.hpp"

namespace caprock {

struct Core;
struct Endpoint;
struct Notification;
struct Reply;
struct SchedContext;

// Slots of a TCB, in the order in which its destruction empties them backwards.
enum class TcbSlot : unsigned { CSpace, VSpace, Buffer, FaultHandler, TimeoutHandler, Count };
inline constexpr unsigned tcb_slots = static_cast<unsigned>(TcbSlot::Count);

enum class ThreadState : uint8_t {
    Inactive,
    Running,
    BlockedOnReceive,
    BlockedOnSend,
    BlockedOnReply,
    BlockedOnNotification,
};

// Why a thread waits for its fault handler; `words` are what the message needs and the registers do not hold.
struct Fault {
    abi::FaultLabel label = abi::FaultLabel::NullFault;
    bool flag = false;               // CapFault: in the receive phase; VMFault: on an instruction fetch
    Word words[2] = {};
    LookupFault lookup;
};

struct Tcb {
    Context context;                         // first: Core::current_context is also the current thread

    // What the fast paths read stands together.
    ThreadState state = ThreadState::Inactive;
    Prio priority;
    Prio max_priority;                       // highest priority that it may give
    CoreId core;
    bool is_call = false;                    // BlockedOnSend: a Call (or a fault) and not a Send
    bool can_grant = false;                  // BlockedOnSend: the message may pass capabilities
    bool can_grant_reply = false;
    bool requires_donation = false;          // BlockedOnReceive: refuses what would leave it without a scheduling context
    SchedContext* sched_context = nullptr;
    Reply* reply = nullptr;                  // BlockedOnReceive, BlockedOnReply: the reply object
    Endpoint* endpoint = nullptr;            // BlockedOnSend, BlockedOnReceive
    Notification* notification = nullptr;    // BlockedOnNotification
    Badge badge;                             // BlockedOnSend: of the capability that it sends through
    Notification* bound_notification = nullptr;
    SchedContext* yielding_to = nullptr;

    WaitHook<Tcb> wait;                      // in an endpoint or notification
    Hook<Tcb> ready;                         // in a ready queue
    HeapHook<Tcb> release;                   // waits for its next refill

    Fault fault;
    UserVirtAddr buffer;                     // address of the IPC buffer in its VSpace; its frame is in TcbSlot::Buffer
    Word flags = 0;
    FpuContext fpu;
    alignas(32) Slot slots[tcb_slots];

    Slot& slot(TcbSlot which) { return slots[static_cast<unsigned>(which)]; }
    const Cap& cap(TcbSlot which) const { return slots[static_cast<unsigned>(which)].cap; }
    bool blocked_on_ipc() const { return state >= ThreadState::BlockedOnReceive; }
    bool faulted() const { return fault.label != abi::FaultLabel::NullFault; }
};
static_assert(sizeof(Tcb) <= 1u << 11);

// Ends whatever the thread waits for. A thread that waited for a partner executes its system call again when it runs; one that waited for a
// reply returns from its call with CallCancelled. Leaves it Inactive unless it was running.
void cancel_ipc(Tcb& thread);
void suspend(Core& core, Tcb& thread);
// Lets a thread that does not run continue (a blocked one is cancelled first).
void resume(Core& core, Tcb& thread);
void set_priority(Core& core, Tcb& thread, Prio priority);

}  // namespace caprock
