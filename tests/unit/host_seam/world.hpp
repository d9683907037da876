// SPDX-License-Identifier: BSD-2-Clause
// A booted kernel and its user level: boot_kernel makes the root task from a made-up BootInfo, and everything after that happens through
// system calls, faults and interrupts as it would on a machine. After every kernel entry the invariants are checked.
#pragma once

#include "host_seam.hpp"
#include "invariants.hpp"
#include "object/endpoint.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/vspace.hpp"
#include "sched/scheduler.hpp"
#include "syscall/entry.hpp"

#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

namespace caprock::test {

using abi::Error;
using abi::InitSlot;
using abi::Method;
using abi::Syscall;

/// What a system call sends.
struct Message {
    Word label = 0;
    std::vector<Word> words{};
    std::vector<Word> caps{};
};

/// What a system call returned: x0, and the message that x1 describes.
struct Answer {
    Word badge = 0;
    Word label = 0;
    std::vector<Word> words{};
    Word caps = 0;
    Word unwrapped = 0;
    bool operator==(const Answer&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Answer& answer);

/// The result of an invocation that succeeded, or failed with these details.
inline Answer success(std::vector<Word> words = {}) { return {.words = std::move(words)}; }
inline Answer failure(Error error, std::vector<Word> details = {}) {
    return {.label = static_cast<Word>(error), .words = std::move(details)};
}
inline Answer failed_lookup(bool source, abi::LookupFailure type, Word bits_left, Word detail1 = 0, Word detail2 = 0) {
    return failure(Error::FailedLookup, {source, static_cast<Word>(type), bits_left, detail1, detail2});
}

/// A thread of a test: capability addresses in the root CNode, and the object.
struct Thread {
    Word tcb = 0;
    Word context = 0;  // scheduling context, 0: passive
    Word buffer = 0;   // frame of the IPC buffer
    Prio priority;
    Tcb* object = nullptr;

    Tcb* operator->() const { return object; }
    abi::IPCBuffer& ipc() const;
};

struct Budget {
    Word budget_us = 10'000;
    Word period_us = 10'000;
    Word extra_refills = 0;
    Word badge = 0;
    bool sporadic = false;
};

class World {
public:
    static constexpr unsigned cnode_bits = 12;
    static constexpr Word full_depth = 64;
    static constexpr Word control_irq = 40;

    World();

    Core& core() const { return *host::hardware.core; }
    Kernel& kernel() const { return *core().kernel; }
    const abi::BootInfo& boot_info() const { return info_; }
    const abi::RootBootInfo& root_info() const { return *root_info_; }
    /// The root task, at the highest priority. It runs whenever no thread of the test was let go.
    const Thread& root() const { return root_; }
    Tcb* current() const { return core().current; }

    Slot& slot(Word address) const { return slots_[address]; }
    template <class T>
    T& object(Word address) const {
        return slots_[address].cap.as_object<T>();
    }
    /// Addresses of `count` slots in a row that nobody used yet.
    Word fresh(Word count = 1);

    // -- One kernel entry each. The invariants are checked after it.

    /// Puts the registers of a system call in place, in the current thread.
    void prepare(Syscall number, Word cap, const Message& message = {}, Word reply = 0, Word destination = 0, Word flags = 0);
    /// The current thread executes its next instruction, an svc.
    void execute();
    void interrupt(Word irq);
    void timer();
    void vm_fault(Word esr, Word far, bool fetch);
    void user_exception(Word esr);
    void fpu_trap();
    void debug_exception(abi::BreakpointType reason, Word address = 0);
    void serror();

    // -- System calls of the current thread.

    /// Executes a system call, again and again while the kernel is preempted in it.
    void syscall(Syscall number, Word cap, const Message& message = {}, Word reply = 0, Word destination = 0, Word flags = 0);
    /// What the thread's last system call returned.
    Answer answer(const Tcb& thread) const;
    Answer answer(const Thread& thread) const { return answer(*thread.object); }
    /// How often the last system call was preempted.
    unsigned restarts() const { return restarts_; }

    // -- The root task does something; it comes back first if a thread runs.

    void take_over();
    /// The root task waits; who is ready runs.
    void let_go();
    /// Lets this thread run, before all others of the test.
    void run(const Thread& thread);
    /// Calls a method of the capability at `cap`; the result.
    Answer invoke(Word cap, Method method, std::vector<Word> words = {}, std::vector<Word> caps = {});
    /// As invoke, and throws unless it succeeds.
    std::vector<Word> must(Word cap, Method method, std::vector<Word> words = {}, std::vector<Word> caps = {});

    /// Objects from `memory()` in fresh slots: the address of the first.
    Word make(ObjectType type, Word size_bits = 0, Word count = 1);
    Word make_in(Word untyped, ObjectType type, Word size_bits = 0, Word count = 1);
    Answer retype(Word untyped, ObjectType type, Word size_bits, Word offset, Word count = 1);
    Word copy(Word source, CapRights rights = CapRights{15});
    Word mint(Word source, Word badge, CapRights rights = CapRights{15});
    Answer remove(Word address);
    Answer revoke(Word address);
    /// A large untyped that nothing else uses.
    Word memory() const { return memory_; }

    /// A thread with the root task's spaces and a buffer of its own; passive without a budget. It is not resumed.
    Thread make_thread(unsigned priority, const Budget* budget = nullptr);
    Thread make_thread(unsigned priority, const Budget& budget) { return make_thread(priority, &budget); }
    Word make_context(const Budget& budget, unsigned size_bits = 9);
    void configure(Word context, const Budget& budget);
    void resume(const Thread& thread) { must(thread.tcb, Method::TCBResume); }
    /// A thread that was resumed, on a round-robin context.
    Thread start_thread(unsigned priority);

    static constexpr Word cap(InitSlot which) { return static_cast<Word>(which); }
    Word sched_control() const { return root_info().sched_control.start; }

    /// Slots of the root CNode that were used so far.
    Word used_slots() const { return next_slot_; }
    /// Slots that the invariants look at, from 0: fewer make a check faster.
    void limit_slots(Word count) { checked_slots_ = count; }
    void check(bool deep = true) const { check_invariants(core(), slots_, checked_slots_, deep); }
    /// Everything that lives, found through the slots that the invariants look at.
    std::vector<Live> live() const { return find_live(core(), slots_, checked_slots_); }
    /// Whether every kernel entry is followed by the deep checks.
    void set_deep(bool deep) { deep_ = deep; }
    /// Whether kernel entries are followed by checks at all: not where many make a state that is checked as a whole.
    void set_checking(bool checking) { checking_ = checking; }

private:
    void leave() const {
        if (checking_) check(deep_);
    }
    void find_memory();
    void make_control();

    abi::BootInfo info_{};
    const abi::RootBootInfo* root_info_ = nullptr;
    Slot* slots_ = nullptr;
    Thread root_;
    Word next_slot_ = 0;
    Word memory_ = 0;
    Word control_ = 0;  // notification that brings the root task back
    Word control_handler_ = 0;
    Thread favourite_;  // the thread that `run` has raised
    Word checked_slots_ = Word{1} << cnode_bits;
    unsigned restarts_ = 0;
    bool deep_ = true;
    bool checking_ = true;
};

/// A description of a small machine: 64 MiB of memory with a hole for firmware, a GIC, a console.
abi::BootInfo make_boot_info();
/// Boots the kernel on `info` as if it had never run before.
void boot(const abi::BootInfo& info, unsigned cores = 1);

/// The method's result is NoError.
#define REQUIRE_OK(...) REQUIRE((__VA_ARGS__) == ::caprock::test::success())

}  // namespace caprock::test
