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
struct Tcb;

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

// What few threads have and a switch of threads must not forget.
namespace Special {
inline constexpr uint8_t fpu = 1;       // its registers are in the floating-point unit
inline constexpr uint8_t fpu_soon = 2;  // it used the floating-point unit lately
inline constexpr uint8_t access = 4;    // to the physical timer or the performance monitor
inline constexpr uint8_t debug = 8;     // breakpoints or single stepping
inline constexpr uint8_t yield = 16;    // a YieldTo that is over when it runs again
inline constexpr uint8_t rare = 128;    // of a thread: access, debug or yield
}  // namespace Special

// How a message is sent: in one byte, with the rights where capabilities have them.
struct SendOptions {
    static constexpr uint32_t blocking = 1;    // waits for a receiver
    static constexpr uint32_t call = 2;        // waits for the answer (a fault does, too)
    static constexpr uint32_t grant = 4;       // may pass capabilities
    static constexpr uint32_t grant_reply = 8;
    static constexpr uint32_t donate = 16;     // the receiver may run on the sender's scheduling context

    uint8_t set = 0;

    [[gnu::always_inline]] static SendOptions through(const EndpointCap& cap, uint32_t how) {
        return {static_cast<uint8_t>((cap.rights().raw & (grant | grant_reply)) | how)};
    }
    bool has(uint32_t any_of) const { return (set & any_of) != 0; }
};

// How a thread receives. The right to grant goes over to the caller whom the message puts to waiting: its answer may carry capabilities only if
// it was received through a capability with that right.
struct ReceiveOptions {
    static constexpr Word blocking = 1;             // waits for a sender
    static constexpr Word grant = SendOptions::grant;
    static constexpr Word require_donation = abi::syscall_flag_require_donation;   // refuses what would leave it without a scheduling context

    uint16_t set = 0;

    [[gnu::always_inline]] static ReceiveOptions through(const EndpointCap& cap, Word how) {
        return {static_cast<uint16_t>((cap.rights().raw & grant) | how)};
    }
    bool has(Word option) const { return (set & option) != 0; }
};

// Why a thread waits for its fault handler; `words` are what the message needs and the registers do not hold.
struct Fault {
    abi::FaultLabel label = abi::FaultLabel::NullFault;   // NullFault: it does not
    bool flag = false;               // CapFault: in the receive phase; VMFault: on an instruction fetch
    Word words[3] = {};
    LookupFault lookup;
};

// A CancelBadgedSends that goes through the senders of an endpoint and was preempted: `next` is the first that it has not looked at.
struct Sweep {
    Endpoint* endpoint = nullptr;    // null: none
    Tcb* next = nullptr;
    Badge badge;
};

struct Tcb {
    Context context;                         // first: Core::current_context is also the current thread
    Slot slots[tcb_slots];                   // the CSpace is in the line of the context's end

    // What the fast path looks at is one line. The first word can be compared at once with the core's of the same form.
    alignas(64) Prio priority;
    DomainId domain;
    uint8_t special = 0;                     // of Special: why a switch to it has more to do than usual
    SpaceEpoch space_epoch;                  // of `space`
    ThreadState state = ThreadState::Inactive;
    SendOptions sending;                     // BlockedOnSend: how
    ReceiveOptions receiving;                // BlockedOnReceive: how; BlockedOnReply: of the receiver of the call
    Prio max_priority;                       // highest priority that it may give
    CoreId core;                             // as SetAffinity stored it
    uint8_t flags = 0;                       // abi::ThreadFlags
    uint8_t fpu_turns = 0;                   // fpu_soon: this many switches to it bring it the unit at once
    arch::AddressSpace space{};              // what TcbSlot::VSpace stands for, if the epoch is the core's; see sched/switch.hpp
    Endpoint* endpoint = nullptr;            // BlockedOnSend, BlockedOnReceive
    Notification* bound_notification = nullptr;
    Reply* reply = nullptr;                  // BlockedOnReceive, BlockedOnReply: the reply object
    SchedContext* sched_context = nullptr;
    Fault fault;                             // its label is in this line

    Notification* notification = nullptr;    // BlockedOnNotification
    Badge badge;                             // BlockedOnSend: of the capability that it sends through
    SchedContext* yielding_to = nullptr;
    WaitHook<Tcb> wait;                      // in an endpoint or notification
    Hook<Tcb> ready;                         // in a ready queue
    HeapHook<Tcb> release;                   // waits for its next refill
    UserVirtAddr buffer;                     // address of the IPC buffer in its VSpace; its frame is in TcbSlot::Buffer
    Sweep sweep;
    DebugState debug;
    FpuContext fpu;

    Slot& slot(TcbSlot which) { return slots[static_cast<unsigned>(which)]; }
    const Cap& cap(TcbSlot which) const { return slots[static_cast<unsigned>(which)].cap; }
    bool blocked_on_ipc() const { return state >= ThreadState::BlockedOnReceive; }
    bool faulted() const { return fault.label != abi::FaultLabel::NullFault; }
    abi::ThreadFlags thread_flags() const { return abi::ThreadFlags{flags}; }
};
static_assert(sizeof(Tcb) <= 1u << 11);
static_assert(offsetof(Tcb, fault) + sizeof(abi::FaultLabel) == offsetof(Tcb, priority) + 64, "what the fast path looks at is in one line");

// Ends whatever the thread waits for. A thread that waited for a partner executes its system call again when it runs; one that waited for a
// reply returns from its call with CallCancelled. What state it is in then is the caller's to say.
void cancel_ipc(Tcb& thread);
void suspend(Core& core, Tcb& thread);
// Lets a thread that does not run continue (a blocked one is cancelled first).
void resume(Core& core, Tcb& thread);
void set_priority(Core& core, Tcb& thread, Prio priority);
void set_domain(Core& core, Tcb& thread, DomainId domain);
void set_flags(Core& core, Tcb& thread, abi::ThreadFlags clear, abi::ThreadFlags set);

// -- Debugging by the processor (object/debug.cc).

// A breakpoint or watchpoint is armed, or it is stepped.
bool is_debugged(const Tcb& thread);
// Number, counted as SetBreakpoint counts, of the breakpoint or watchpoint that stands for `address`; the first of its kind if none fits, as
// a watchpoint may report an address beside what it watches.
Word triggered_breakpoint(const Tcb& thread, abi::BreakpointType kind, Word address);
// After `steps` instructions the thread raises a fault; 0: it does not.
void set_single_stepping(Core& core, Tcb& thread, Word steps);

}  // namespace caprock
