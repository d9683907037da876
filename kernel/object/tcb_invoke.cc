// SPDX-License-Identifier: BSD-2-Clause
// The methods of a TCB.
#include "cap/delete.hpp"
#include "cap/derive.hpp"
#include "ipc/ipc.hpp"
#include "object/invocation.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/user_context.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
Tcb& target(const Invocation& invocation) { return invocation.cap().as_object<Tcb>(); }

// -- Registers. A count selects a prefix of abi::UserContext.

constexpr unsigned first_integer = 17;      // x9: from here on CopyRegisters' second group

// x0 to x18 of a thread inside a system call mean nothing to anybody: what the kernel keeps there is its own.
bool is_dead_register(const Tcb& thread, unsigned i) {
    return thread.blocked_on_ipc() && !thread.faulted() && ((i >= 3 && i <= 14) || (i >= 17 && i <= 23));
}

[[gnu::cold]] Invoked read_registers(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBReadRegistersArgs>();
    Tcb& source = target(invocation);
    Tcb& reader = invocation.thread;
    if (&source == &reader) return Failure::illegal_operation();
    if (args.count < 1 || args.count > context_words) return Failure::range(1, context_words);
    if ((args.flags & 1) != 0) suspend(invocation.core, source);
    IPCBuffer* buffer = writable_buffer(reader);
    unsigned count = static_cast<unsigned>(args.count);
    if (count > register_words && buffer == nullptr) count = register_words;
    clear_register_words(reader.context);
    for (unsigned i = 0; i < count; ++i) {
        Word word = is_dead_register(source, i) ? 0 : context_word(source.context, i);
        if (i == spsr_word) word = arch::sanitise_spsr(word);
        (i < register_words ? reader.context.x[reg::word(i)] : buffer->msg[i]) = word;
    }
    set_received(reader, Badge(0), MessageInfo::make(count, 0, 0, 0));
    return Outcome::Answered;
}

// The thread goes on with registers that somebody else gives it: not in a system call, and without an unfinished one behind it.
[[gnu::cold]] void leave_system_call(Core& core, Tcb& thread) {
    if (thread.yielding_to != nullptr) forget_yield(core, thread);
    end_sweep(thread);
    if (!thread.blocked_on_ipc()) return;
    Word pc = thread.context.pc;
    suspend(core, thread);
    thread.context.pc = pc;
}

[[gnu::cold]] void finish_registers(Core& core, Tcb& thread, bool resumes) {
    arch::arm_step(thread.context, thread.debug.steps != 0);
    if (resumes) resume(core, thread);
}

[[gnu::cold]] Invoked write_registers(const Invocation& invocation) {
    constexpr unsigned first = 2;
    auto args = invocation.args<abi::TCBWriteRegistersArgs>();
    Tcb& thread = target(invocation);
    SentMessage message(invocation.thread);
    if (args.count > message.info().length() - first) return Failure::of(Error::TruncatedMessage);
    if (args.count > context_words) return Failure::range(0, context_words);
    if (&thread == &invocation.thread) return Failure::illegal_operation();
    leave_system_call(invocation.core, thread);
    for (unsigned i = 0; i < args.count; ++i) {
        set_context_word(thread.context, i, message.word(first + i));
    }
    finish_registers(invocation.core, thread, (args.flags & 1) != 0);
    return Outcome::Done;
}

[[gnu::cold]] Invoked copy_registers(const Invocation& invocation) {
    using Args = abi::TCBCopyRegistersArgs;
    auto args = invocation.args<Args>();
    Slot* slot = TRY(invocation.argument<TcbCap>(Args::cap_source));
    Tcb& source = slot->cap.as_object<Tcb>();
    Tcb& thread = target(invocation);
    if (&thread == &invocation.thread || &source == &invocation.thread) return Failure::illegal_operation();
    if ((args.flags & 1) != 0) suspend(invocation.core, source);
    leave_system_call(invocation.core, thread);
    for (unsigned i = 0; i < context_words - thread_pointers; ++i) {
        Word group = i < first_integer ? 4 : 8;
        if ((args.flags & group) != 0) context_word(thread.context, i) = is_dead_register(source, i) ? 0 : context_word(source.context, i);
    }
    finish_registers(invocation.core, thread, (args.flags & 2) != 0);
    return Outcome::Done;
}

// -- Priorities: a thread gives at most its authority's maximum.

Result<Prio> allowed_priority(const Invocation& invocation, Word priority, unsigned authority_argument) {
    Slot* slot = TRY(invocation.argument<TcbCap>(authority_argument));
    Word most = slot->cap.as_object<Tcb>().max_priority.raw;
    if (priority > most) return Failure::range(0, most);
    return Prio(static_cast<uint8_t>(priority));
}

[[gnu::cold]] Invoked set_priority_method(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBSetPriorityArgs>();
    Prio priority = TRY(allowed_priority(invocation, args.priority, abi::TCBSetPriorityArgs::cap_authority));
    set_priority(invocation.core, target(invocation), priority);
    return Outcome::Done;
}

[[gnu::cold]] Invoked set_max_priority(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBSetMCPriorityArgs>();
    target(invocation).max_priority = TRY(allowed_priority(invocation, args.mcp, abi::TCBSetMCPriorityArgs::cap_authority));
    return Outcome::Done;
}

// -- Slots of the TCB. The old capability is deleted first, which can be preempted; only then the new one is put in.

// A capability to be put into a TCB's slot; `source` null or empty leaves the slot empty.
struct Replacement {
    TcbSlot slot;
    Slot* source;
    Cap cap;
};

// Mostly it is the same word. Of the types that there are here, that names the object.
bool still_names(const Slot& source, const Cap& cap) {
    return source.cap.w0 == cap.w0 || (source.cap.type() == cap.type() && same_object(source.cap, cap));
}

Progress replace(Core& core, Tcb& thread, const Replacement& replacement) {
    Slot& slot = thread.slot(replacement.slot);
    if (!slot.empty() && delete_slot(core, slot) == Progress::Preempted) return Progress::Preempted;
    // This deletion or one before may have reached the source, and even the thread itself.
    if (replacement.source != nullptr && still_names(*replacement.source, replacement.cap) && slot.empty()) {
        insert_derived(replacement.cap, *replacement.source, slot);
    }
    return Progress::Complete;
}

Result<Replacement> fault_handler(const Invocation& invocation, unsigned argument, TcbSlot slot) {
    Slot* source = invocation.caps[argument];
    if (source->empty()) return Replacement{slot, nullptr, Cap{}};
    if (!source->cap.is(CapType::Endpoint)) return Failure::invalid_capability(argument + 1);
    const EndpointCap& endpoint = as<EndpointCap>(source->cap);
    if (!endpoint.can_send() || (!endpoint.can_grant() && !endpoint.can_grant_reply())) return Failure::invalid_capability(argument + 1);
    return Replacement{slot, source, source->cap};
}

Result<Replacement> cspace_root(const Invocation& invocation, unsigned argument, Word data) {
    Slot* source = TRY(invocation.argument<CNodeCap>(argument));
    Cap cap = source->cap;
    if (data != 0) cap = TRY(with_data(cap, data, false));
    return Replacement{TcbSlot::CSpace, source, cap};
}

Result<Replacement> vspace_root(const Invocation& invocation, unsigned argument) {
    Slot* source = TRY(invocation.argument<VSpaceCap>(argument));
    if (as<VSpaceCap>(source->cap).number() == 0) return Failure::invalid_capability(argument + 1);
    return Replacement{TcbSlot::VSpace, source, source->cap};
}

Result<Replacement> ipc_buffer(const Invocation& invocation, unsigned argument, Word address) {
    Slot* source = invocation.caps[argument];
    if (address == 0) return Replacement{TcbSlot::Buffer, nullptr, Cap{}};
    if (!source->cap.is(CapType::Frame) || as<FrameCap>(source->cap).is_device()) return Failure::invalid_capability(argument + 1);
    if (!is_aligned(address, sizeof(IPCBuffer))) return Failure::of(Error::AlignmentError);
    Cap cap = TRY(derive(*source));
    return Replacement{TcbSlot::Buffer, source, cap};
}

// The current thread goes on in the address space that it was just given.
void refresh_current(const Invocation& invocation, Tcb& thread) {
    if (invocation.core.current == &thread) reload_address_space(invocation.core);
}

Progress set_space_commit(const Invocation& invocation, Tcb& thread, const Replacement& cspace, const Replacement& vspace) {
    if (replace(invocation.core, thread, cspace) == Progress::Preempted) return Progress::Preempted;
    if (replace(invocation.core, thread, vspace) == Progress::Preempted) return Progress::Preempted;
    refresh_current(invocation, thread);
    return Progress::Complete;
}

Progress set_buffer_commit(const Invocation& invocation, Tcb& thread, const Replacement& buffer, Word address) {
    if (replace(invocation.core, thread, buffer) == Progress::Preempted) return Progress::Preempted;
    thread.buffer = UserVirtAddr(address);
    return Progress::Complete;
}

Invoked configure(const Invocation& invocation) {
    using Args = abi::TCBConfigureArgs;
    auto args = invocation.args<Args>();
    Replacement cspace = TRY(cspace_root(invocation, Args::cap_cspace_root, args.cspace_root_data));
    Replacement vspace = TRY(vspace_root(invocation, Args::cap_vspace_root));
    Replacement buffer = TRY(ipc_buffer(invocation, Args::cap_buffer_frame, args.buffer));
    // Looked up once: the capability that is invoked may lie in the CSpace that goes.
    Tcb& thread = target(invocation);
    if (set_space_commit(invocation, thread, cspace, vspace) == Progress::Preempted) return Outcome::Preempted;
    return outcome(set_buffer_commit(invocation, thread, buffer, args.buffer));
}

[[gnu::cold]] Invoked set_space(const Invocation& invocation) {
    using Args = abi::TCBSetSpaceArgs;
    auto args = invocation.args<Args>();
    Replacement handler = TRY(fault_handler(invocation, Args::cap_fault_ep, TcbSlot::FaultHandler));
    Replacement cspace = TRY(cspace_root(invocation, Args::cap_cspace_root, args.cspace_root_data));
    Replacement vspace = TRY(vspace_root(invocation, Args::cap_vspace_root));
    Tcb& thread = target(invocation);
    if (replace(invocation.core, thread, handler) == Progress::Preempted) return Outcome::Preempted;
    return outcome(set_space_commit(invocation, thread, cspace, vspace));
}

[[gnu::cold]] Invoked set_ipc_buffer(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBSetIPCBufferArgs>();
    Replacement buffer = TRY(ipc_buffer(invocation, abi::TCBSetIPCBufferArgs::cap_buffer_frame, args.buffer));
    return outcome(set_buffer_commit(invocation, target(invocation), buffer, args.buffer));
}

[[gnu::cold]] Invoked set_timeout_endpoint(const Invocation& invocation) {
    Replacement handler = TRY(fault_handler(invocation, abi::TCBSetTimeoutEndpointArgs::cap_timeout_fault_ep, TcbSlot::TimeoutHandler));
    return outcome(replace(invocation.core, target(invocation), handler));
}

// -- Scheduling.

// The scheduling context of SetSchedParams: none (an empty slot), the one that the thread has, or a free one for a thread that has none.
Result<SchedContext*> sched_context_argument(const Invocation& invocation, unsigned argument) {
    Slot* slot = invocation.caps[argument];
    if (slot->empty()) return static_cast<SchedContext*>(nullptr);
    if (!slot->cap.is(CapType::SchedContext)) return Failure::invalid_capability(argument + 1);
    SchedContext& context = slot->cap.as_object<SchedContext>();
    Tcb& thread = target(invocation);
    if (thread.sched_context == &context && context.notification == nullptr) return &context;
    if (thread.sched_context != nullptr || context.tcb != nullptr || context.notification != nullptr) return Failure::illegal_operation();
    return &context;
}

Invoked set_sched_params(const Invocation& invocation) {
    using Args = abi::TCBSetSchedParamsArgs;
    auto args = invocation.args<Args>();
    Tcb& thread = target(invocation);
    Prio max_priority = TRY(allowed_priority(invocation, args.mcp, Args::cap_authority));
    Prio priority = TRY(allowed_priority(invocation, args.priority, Args::cap_authority));
    SchedContext* context = TRY(sched_context_argument(invocation, Args::cap_sched_context));
    if (context == nullptr && &thread == &invocation.thread) return Failure::illegal_operation();
    Replacement handler = TRY(fault_handler(invocation, Args::cap_fault_ep, TcbSlot::FaultHandler));
    if (replace(invocation.core, thread, handler) == Progress::Preempted) return Outcome::Preempted;
    thread.max_priority = max_priority;
    set_priority(invocation.core, thread, priority);
    if (context == nullptr) {
        if (thread.sched_context != nullptr) unbind_sched_context_tcb(invocation.core, *thread.sched_context);
    } else if (thread.sched_context != context) {
        bind_sched_context(invocation.core, *context, thread);
    }
    return Outcome::Done;
}

// -- The rest.

[[gnu::cold]] Invoked bind_notification_method(const Invocation& invocation) {
    constexpr unsigned argument = abi::TCBBindNotificationArgs::cap_notification;
    Slot* slot = TRY(invocation.argument<NotificationCap>(argument));
    Notification& notification = slot->cap.as_object<Notification>();
    Tcb& thread = target(invocation);
    if (thread.bound_notification != nullptr) return Failure::illegal_operation();
    if (!as<NotificationCap>(slot->cap).can_receive()) return Failure::invalid_capability(argument + 1);
    if (notification.bound_tcb != nullptr || !notification.queue.empty()) return Failure::invalid_capability(argument + 1);
    bind_notification(thread, notification);
    return Outcome::Done;
}

[[gnu::cold]] Invoked unbind_notification_method(const Invocation& invocation) {
    if (target(invocation).bound_notification == nullptr) return Failure::illegal_operation();
    unbind_notification(target(invocation));
    return Outcome::Done;
}

[[gnu::cold]] Invoked set_tls_base(const Invocation& invocation) {
    Context& context = target(invocation).context;
    context.tpidr = invocation.args<abi::TCBSetTLSBaseArgs>().tls_base;
    if (&target(invocation) == &invocation.thread) arch::load_thread_pointers(context);
    return Outcome::Done;
}

[[gnu::cold]] Invoked set_flags_method(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBSetFlagsArgs>();
    abi::ThreadFlags set{args.set};
    if (set.pmu() != 0 || set.physical_timer() != 0) return Failure::illegal_operation();
    set_flags(invocation.core, target(invocation), abi::ThreadFlags{args.clear}, set);
    set_result(invocation.thread, target(invocation).flags);
    return Outcome::Answered;
}

[[gnu::cold]] Invoked set_affinity(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBSetAffinityArgs>();
    Word cores = invocation.kernel().core_count;
    if (args.core >= cores) return Failure::range(0, cores - 1);
    if (target(invocation).sched_context != nullptr) return Failure::illegal_operation();
    target(invocation).core = CoreId(static_cast<uint8_t>(args.core));
    return Outcome::Done;
}
}  // namespace

Invoked invoke_tcb(const Invocation& invocation) {
    // What every thread's life has in it comes first.
    if (invocation.method == Method::TCBConfigure) return configure(invocation);
    if (invocation.method == Method::TCBResume) {
        resume(invocation.core, target(invocation));
        return Outcome::Done;
    }
    switch (invocation.method) {
        case Method::TCBReadRegisters: return read_registers(invocation);
        case Method::TCBWriteRegisters: return write_registers(invocation);
        case Method::TCBSetPriority: return set_priority_method(invocation);
        case Method::TCBSetMCPriority: return set_max_priority(invocation);
        case Method::TCBSetSchedParams: return set_sched_params(invocation);
        case Method::TCBSetTimeoutEndpoint: return set_timeout_endpoint(invocation);
        case Method::TCBSetIPCBuffer: return set_ipc_buffer(invocation);
        case Method::TCBSetSpace: return set_space(invocation);
        case Method::TCBSuspend: suspend(invocation.core, target(invocation)); return Outcome::Done;
        case Method::TCBBindNotification: return bind_notification_method(invocation);
        case Method::TCBUnbindNotification: return unbind_notification_method(invocation);
        case Method::TCBSetTLSBase: return set_tls_base(invocation);
        case Method::TCBCopyRegisters: return copy_registers(invocation);
        case Method::TCBSetFlags: return set_flags_method(invocation);
        case Method::TCBSetAffinity: return set_affinity(invocation);
        default: return invoke_debug(invocation);
    }
}
}  // namespace caprock
