// SPDX-License-Identifier: BSD-2-Clause
// All mutable state of the kernel: one Kernel, and one Core for each processor.
#pragma once

#include "caprock/abi.hpp"
#include "object/sched_context.hpp"
#include "object/tcb.hpp"

namespace caprock {

struct Kernel;

// Threads that can run and do not, by priority. Bit p of `present` (in words of 64) says that ring p is not empty, `summary` which words are not.
struct ReadyQueues {
    static constexpr unsigned words = abi::priorities / 64;
    int64_t highest = 0;   // priority that has a thread, or -1 (which booting writes: a kernel is all zeroes before)
    Word summary = 0;      // bit i: present[i] is not 0
    Word present[words] = {};
    Ring<Tcb, &Tcb::ready> rings[abi::priorities];

    [[gnu::always_inline]] void mark(Prio priority) {
        present[priority.raw / 64] |= Word{1} << (priority.raw % 64);
        summary |= Word{1} << (priority.raw / 64);
        if (highest < priority.raw) highest = priority.raw;
    }
    // Its ring has become empty.
    [[gnu::always_inline]] void unmark(Prio priority) {
        Word& word = present[priority.raw / 64];
        word &= ~(Word{1} << (priority.raw % 64));
        if (word == 0) summary &= ~(Word{1} << (priority.raw / 64));
        if (highest == priority.raw) find_highest();
    }

private:
    void find_highest() {
        unsigned i = 63 - leading_zeros(summary | 1);
        highest = summary == 0 ? -1 : static_cast<int64_t>(i * 64 + 63 - leading_zeros(present[i]));
    }
};

struct EarlierRelease {
    static bool before(const Tcb& a, const Tcb& b) {
        Ticks at = a.sched_context->first().time;
        Ticks bt = b.sched_context->first().time;
        return at < bt || (at == bt && a.priority > b.priority);
    }
};

inline constexpr Ticks never{~Word{0} >> 1};

struct alignas(64) Core {
    Context* current_context = nullptr;      // offset 0: what the exception return restores
    Tcb* current = nullptr;                  // null: idle
    SchedContext* current_sched_context = nullptr;
    ReadyQueues* ready = nullptr;            // the current domain's of `queues`
    // A word of the form that a thread has.
    Prio no_priority;
    DomainId domain;                         // whose turn it is
    uint8_t special = 0;                     // of Special: what the hardware is set up for
    SpaceEpoch space_epoch;
    Word stack_top = 0;                      // the kernel stack of this core
    Kernel* kernel = nullptr;
    Tcb* candidate = nullptr;                // likely the next to run; in no queue

    Ticks charged_until;                     // time before this is booked on some context
    Ticks last_release;                      // when a thread last left the release queue by the timer
    bool reschedule = false;                 // look at the queues, whatever the candidate
    CoreId id;
    Ticks domain_end;                        // of its turn
    unsigned domain_entry = 0;               // of the schedule
    Tcb* fpu_owner = nullptr;                // whose registers are in the unit
    Heap<Tcb, &Tcb::release, EarlierRelease> release;
    ReadyQueues queues[abi::domains];
    Context idle;
};
static_assert(offsetof(Core, candidate) == 56, "what the fast path and most system calls look at is in one line");
static_assert(offsetof(Tcb, domain) - offsetof(Tcb, priority) == offsetof(Core, domain) - offsetof(Core, no_priority) &&
              offsetof(Tcb, special) - offsetof(Tcb, priority) == offsetof(Core, special) - offsetof(Core, no_priority) &&
              offsetof(Tcb, space_epoch) - offsetof(Tcb, priority) == offsetof(Core, space_epoch) - offsetof(Core, no_priority));

// A pool's entries are the kernel addresses of the VSpaces of 512 consecutive ASIDs; 0 is free.
struct AsidPool {
    KernAddr vspace[abi::asid_pool_entries];
};

// A turn of the domain schedule.
struct DomainTurn {
    DomainId domain;
    Ticks length;   // 0: the schedule ends before it
};

struct Kernel {
    static constexpr unsigned max_irqs = abi::irq_serror + 1;   // SError comes behind the last interrupt

    AsidPool* asid_pools[abi::asid_pools] = {};   // first: every switch of address spaces reads it
    Core cores[abi::max_cores];
    unsigned core_count = 0;
    DomainTurn domain_schedule[abi::domain_schedule_entries];
    unsigned domain_start = 0;
    uint32_t identity_key[4] = {};           // of the opaque numbers that Inspect gives
    Slot irq_notifications[max_irqs];        // the notification that each interrupt signals
    bool irq_issued[max_irqs] = {};          // a handler exists
};

// The root of an address space in use, or KernAddr(0).
[[gnu::always_inline]] inline KernAddr vspace_of(const Kernel& kernel, Asid asid) {
    const AsidPool* pool = kernel.asid_pools[asid.raw / abi::asid_pool_entries];
    return pool == nullptr ? KernAddr(0) : pool->vspace[asid.raw % abi::asid_pool_entries];
}

}  // namespace caprock
