// SPDX-License-Identifier: BSD-2-Clause
// An invocation: a message sent to a capability that is not an endpoint's, asking the kernel for a method. Each object has one function
// that decodes (checks everything, in the manual's order, and changes nothing) and then commits (cannot fail, may be preempted).
#pragma once

#include "caprock/decode.hpp"
#include "cap/lookup.hpp"
#include "core/result.hpp"
#include "ipc/message.hpp"
#include "sched/core.hpp"

namespace caprock {

using abi::Method;

// What became of an invocation that did not fail.
enum class Outcome : Word {
    Done,        // the result is empty
    Answered,    // the result is in the invoker's registers already
    Preempted,   // the invoker executes its system call again
};
using Invoked = Result<Outcome>;

constexpr Outcome outcome(Progress progress) { return progress == Progress::Complete ? Outcome::Done : Outcome::Preempted; }

struct Invocation {
    Core& core;
    Tcb& thread;              // the invoker
    Slot& slot;               // of the invoked capability
    Method method;
    Slot* const* caps;        // capability arguments, as many as the method takes at least

    const Cap& cap() const { return slot.cap; }
    Kernel& kernel() const { return *core.kernel; }
    // The method's words: as many as it takes are there, and all in registers.
    template <class Args>
    Args args() const {
        static_assert(sizeof(Args) <= register_words * sizeof(Word));
        return Args::read(*this);
    }
    Word word(unsigned number) const { return thread.context.x[reg::word(number)]; }

    // Changes argument `number`, a word in a register, for the next execution of a system call that is preempted: what is left to do.
    void set_argument(unsigned number, Word value) const { thread.context.x[reg::word(number)] = value; }

    // Capability argument `number` as a capability of type View, or InvalidCapability.
    template <class View>
    Result<Slot*> argument(unsigned number) const {
        if (!caps[number]->cap.is(View::cap_type)) return Failure::invalid_capability(number + 1);
        return caps[number];
    }
};

// One function for each kind of object.
Invoked invoke_untyped(const Invocation& invocation);
Invoked invoke_cnode(const Invocation& invocation);
Invoked invoke_tcb(const Invocation& invocation);
Invoked invoke_sched_control(const Invocation& invocation);
Invoked invoke_sched_context(const Invocation& invocation);
Invoked invoke_page_table(const Invocation& invocation);
Invoked invoke_frame(const Invocation& invocation);
Invoked invoke_vspace(const Invocation& invocation);
Invoked invoke_asid_control(const Invocation& invocation);
Invoked invoke_asid_pool(const Invocation& invocation);
Invoked invoke_irq_control(const Invocation& invocation);
Invoked invoke_irq_handler(const Invocation& invocation);
Invoked invoke_domain(const Invocation& invocation);
Invoked invoke_inspect(const Invocation& invocation);
// The methods of a TCB that concern the debug hardware.
Invoked invoke_debug(const Invocation& invocation);

// A VSpace capability argument whose address space is in use.
Result<const VSpaceCap*> space_argument(const Invocation& invocation, unsigned argument);

// The empty slot that a method puts a new capability into: DeleteFirst if it is occupied.
Result<Slot*> find_empty_slot(const Cap& root, CPtr index, Word depth);

}  // namespace caprock
