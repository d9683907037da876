// SPDX-License-Identifier: BSD-2-Clause
#include "ipc/fault.hpp"

#include "ipc/ipc.hpp"
#include "ipc/message.hpp"
#include "object/user_context.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
using abi::BreakpointType;
using abi::FaultLabel;

void call_handler(Core& core, Tcb& thread, const Cap& cap, bool donate) {
    const EndpointCap& handler = as<EndpointCap>(cap);
    SendOptions options = SendOptions::through(handler, SendOptions::blocking | SendOptions::call | (donate ? SendOptions::donate : 0));
    send_ipc(core, thread, handler.as_object<Endpoint>(), handler.badge(), options);
}

// Writes words of a message in order, into registers and then into the receiver's buffer.
class MessageWriter {
public:
    explicit MessageWriter(Tcb& receiver) : receiver_(receiver), buffer_(writable_buffer(receiver)) { clear_register_words(receiver.context); }
    template <class... Words>
    void put(Words... words) { (append(words), ...); }
    [[gnu::noinline]] void append(Word word) {
        if (length_ < register_words) {
            receiver_.context.x[reg::word(length_++)] = word;
        } else if (buffer_ != nullptr) {
            buffer_->msg[length_++] = word;
        }
    }
    void finish(Badge badge, FaultLabel label) {
        set_received(receiver_, badge, MessageInfo::make(length_, 0, 0, static_cast<Word>(label)));
    }

private:
    Tcb& receiver_;
    IPCBuffer* buffer_;
    unsigned length_ = 0;
};

void put_cap_fault(MessageWriter& message, const Tcb& thread) {
    const LookupFault& lookup = thread.fault.lookup;
    message.put(thread.context.pc, thread.fault.words[0], thread.fault.flag);
    message.put(static_cast<Word>(lookup.type()), lookup.bits_left(), lookup.detail, lookup.guard_size());
}

void put_unknown_syscall(MessageWriter& message, const Tcb& thread) {
    const Context& context = thread.context;
    for (unsigned i = 0; i < 8; ++i) message.put(context.x[i]);
    message.put(context.pc, context.sp, context.x[30], arch::sanitise_spsr(context.spsr), thread.fault.words[0]);
}

void set_flags_register(Tcb& thread, Word spsr) {
    thread.context.spsr = arch::sanitise_spsr(spsr);
    arch::arm_step(thread.context, thread.debug.steps != 0);
}
}  // namespace

void call_fault_handler(Core& core, Tcb& thread) { call_handler(core, thread, thread.cap(TcbSlot::FaultHandler), true); }

[[gnu::cold]] bool report_timeout(Core& core, Tcb& thread) {
    const Cap& handler = thread.cap(TcbSlot::TimeoutHandler);
    if (thread.faulted() || !handler.is(CapType::Endpoint)) return false;
    SchedContext& context = *thread.sched_context;
    thread.fault = {.label = FaultLabel::Timeout, .flag = false, .words = {context.badge.raw, micros_down(context.consumed).raw}, .lookup = {}};
    context.consumed = Ticks(0);
    call_handler(core, thread, handler, false);
    return true;
}

void transfer_fault(Tcb& faulter, Tcb& receiver, Badge badge) {
    const Fault& fault = faulter.fault;
    const Context& context = faulter.context;
    MessageWriter message(receiver);
    switch (fault.label) {
        case FaultLabel::CapFault: put_cap_fault(message, faulter); break;
        case FaultLabel::UnknownSyscall: put_unknown_syscall(message, faulter); break;
        case FaultLabel::UserException: message.put(context.pc, context.sp, arch::sanitise_spsr(context.spsr), fault.words[0], fault.words[1]); break;
        case FaultLabel::Timeout: message.put(fault.words[0], fault.words[1]); break;
        case FaultLabel::VMFault: message.put(context.pc, fault.words[0], fault.flag, fault.words[1]); break;
        case FaultLabel::DebugException: message.put(context.pc, fault.words[0], fault.words[1], fault.words[2]); break;
        case FaultLabel::NullFault: break;
    }
    message.finish(badge, faulter.fault.label);
}

bool apply_fault_reply(Core& core, Tcb& faulter, const Tcb& handler) {
    SentMessage reply(handler);
    unsigned length = static_cast<unsigned>(reply.info().length());
    Context& context = faulter.context;
    switch (faulter.fault.label) {
        case FaultLabel::UnknownSyscall: {
            Word* const targets[] = {&context.x[0], &context.x[1], &context.x[2], &context.x[3], &context.x[4], &context.x[5],
                                     &context.x[6], &context.x[7], &context.pc,   &context.sp,   &context.x[30]};
            for (unsigned i = 0; i < length && i < 11; ++i) *targets[i] = reply.word(i);
            if (length > 11) set_flags_register(faulter, reply.word(11));
            return reply.info().label() == 0;
        }
        case FaultLabel::UserException:
            if (length > 0) context.pc = reply.word(0);
            if (length > 1) context.sp = reply.word(1);
            if (length > 2) set_flags_register(faulter, reply.word(2));
            return reply.info().label() == 0;
        case FaultLabel::DebugException: {
            Word reason = faulter.fault.words[0];
            if (reason == static_cast<Word>(BreakpointType::SingleStep)) set_single_stepping(core, faulter, reply.word(0));
            if (reason == static_cast<Word>(BreakpointType::SoftwareBreakRequest) && length > 0) context.pc = reply.word(0);
            return reply.info().label() == 0;
        }
        case FaultLabel::Timeout:
            for (unsigned i = 0; i < length && i < context_words - thread_pointers; ++i) set_context_word(context, i, reply.word(i));
            arch::arm_step(context, faulter.debug.steps != 0);
            return reply.info().label() == 0;
        default: return true;
    }
}
}  // namespace caprock
