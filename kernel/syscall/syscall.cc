// SPDX-License-Identifier: BSD-2-Clause
// System calls: which send and receive phases a number stands for, and what each kind of capability does with them. The order of the checks is
// the manual's chapter on system calls.
#include "cap/lookup.hpp"
#include "ipc/fault.hpp"
#include "ipc/ipc.hpp"
#include "ipc/message.hpp"
#include "object/invocation.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "sched/switch.hpp"
#include "syscall/debug.hpp"
#include "syscall/entry.hpp"

namespace caprock {
namespace {
using abi::Syscall;

// The system call cannot go on; it executes again if the fault handler replies.
[[gnu::noinline]] void cap_fault(Core& core, Tcb& thread, CPtr address, const LookupFault& lookup, bool receiving) {
    restart_syscall(thread);
    send_fault(core, thread, {.label = abi::FaultLabel::CapFault, .flag = receiving, .words = {address.raw, 0}, .lookup = lookup});
}

[[gnu::noinline]] void missing_cap(Core& core, Tcb& thread, CPtr address, bool receiving) {
    cap_fault(core, thread, address, lookup_fault(thread, address), receiving);
}

// -- Sending

struct SendPhase {
    uint32_t options;   // of SendOptions
    bool answers;       // the system call ends with this phase and returns its result

    constexpr bool blocking() const { return (options & SendOptions::blocking) != 0; }
};

constexpr uint32_t call_options = SendOptions::blocking | SendOptions::call | SendOptions::donate;
constexpr SendPhase call_phase{.options = call_options, .answers = true};
constexpr SendPhase send_phase{.options = SendOptions::blocking, .answers = true};
constexpr SendPhase nb_send_phase{.options = 0, .answers = true};
constexpr SendPhase first_phase{.options = SendOptions::donate, .answers = false};

void refuse_send(Tcb& thread, const SendPhase& phase) {
    if (phase.answers) set_result(thread, Failure::invalid_capability(0));
}

[[gnu::always_inline]] inline void send_to_endpoint(Core& core, Tcb& thread, const EndpointCap& cap, const SendPhase& phase) {
    if (!cap.can_send()) return refuse_send(thread, phase);
    SendResult sent = send_ipc(core, thread, cap.as_object<Endpoint>(), cap.badge(), SendOptions::through(cap, phase.options));
    if (!phase.answers) return;
    if (sent == SendResult::Refused) set_result(thread, Failure::of(Error::NoDonation));
    if (sent == SendResult::Finished) set_done(thread);
}

void signal_notification(Core& core, Tcb& thread, const NotificationCap& cap, const SendPhase& phase) {
    if (!cap.can_send()) return refuse_send(thread, phase);
    signal(core, cap.as_object<Notification>(), cap.badge());
    if (phase.answers) set_done(thread);
}

static_assert(abi::syscall_number_mask == UINT8_MAX);

Syscall number_of(const Tcb& thread) { return static_cast<Syscall>(static_cast<uint8_t>(thread.context.x[reg::number])); }
bool one_of(Syscall number, Word set) { return (Word{1} << static_cast<unsigned>(number) & set) != 0; }
template <class... Numbers>
constexpr Word set_of(Numbers... numbers) { return ((Word{1} << static_cast<unsigned>(numbers)) | ...); }

constexpr Word sends = set_of(Syscall::Call, Syscall::Send, Syscall::NBSend);

// -- Invocations

[[gnu::cold, gnu::noinline]] void unresolved_argument(Core& core, Tcb& thread, CPtr address) {
    Syscall number = number_of(thread);
    if (number == Syscall::NBSend) {
        set_done(thread);
    } else if (one_of(number, sends)) {
        cap_fault(core, thread, address, lookup_fault(thread, address), false);
        schedule(core);
    }
}

// Every capability argument must resolve, also to an empty slot: several methods take "none". Both functions return how many there are, or -1 when
// the invocation is over.
[[gnu::cold, gnu::noinline]] int walk_to_arguments(Core& core, Tcb& thread, const IPCBuffer& buffer, int count, Slot** to) {
    for (int i = 0; i < count; ++i) {
        CPtr address(buffer.caps_or_badges[i]);
        to[i] = find_slot(thread, address);
        if (to[i] != nullptr) continue;
        unresolved_argument(core, thread, address);
        return -1;
    }
    return count;
}

[[gnu::always_inline]] inline int find_arguments(Core& core, Tcb& thread, int count, Slot** to) {
    if (count == 0) return 0;
    const IPCBuffer* buffer = readable_buffer(thread);
    if (buffer == nullptr) return 0;
    const Cap& root = thread.cap(TcbSlot::CSpace);
    for (int i = 0; i < count; ++i) {
        CPtr address(buffer->caps_or_badges[i]);
        if (!is_flat(root, address, word_bits)) return walk_to_arguments(core, thread, *buffer, count, to);
        to[i] = &slot_in_flat(root, address);
    }
    return count;
}

[[gnu::always_inline]] inline Invoked dispatch(const Invocation& invocation) {
    CapType type = invocation.cap().type();
    if (type == CapType::CNode) return invoke_cnode(invocation);
    if (type == CapType::Frame) return invoke_frame(invocation);
    if (type == CapType::Untyped) return invoke_untyped(invocation);
    if (type == CapType::TCB) return invoke_tcb(invocation);
    switch (type) {
        case CapType::SchedControl: return invoke_sched_control(invocation);
        case CapType::SchedContext: return invoke_sched_context(invocation);
        case CapType::PageTable: return invoke_page_table(invocation);
        case CapType::ASIDControl: return invoke_asid_control(invocation);
        case CapType::ASIDPool: return invoke_asid_pool(invocation);
        case CapType::IRQControl: return invoke_irq_control(invocation);
        case CapType::IRQHandler: return invoke_irq_handler(invocation);
        case CapType::VSpace: return invoke_vspace(invocation);
        case CapType::Domain: return invoke_domain(invocation);
        case CapType::Inspect: return invoke_inspect(invocation);
        default: return Failure::illegal_operation();
    }
}

// The number and the length of a method are looked up; the object's own function checks the rest.
[[gnu::always_inline]] inline Invoked invoke(const Invocation& invocation, Word words, int caps) {
    Word label = static_cast<Word>(invocation.method);
    if (label >= abi::method_count) return Failure::illegal_operation();
    const abi::MethodInfo& method = abi::method_info[label];
    if (method.object != invocation.cap().type()) return Failure::illegal_operation();
    if (words < method.words || caps < method.caps) return Failure::of(Error::TruncatedMessage);
    return dispatch(invocation);
}

// The thread does not just go on. After a first phase it is the receive phase that says who does.
[[gnu::noinline]] void schedule_after(Core& core, const Tcb& thread) {
    if (one_of(number_of(thread), sends)) schedule(core);
}

[[gnu::noinline]] Progress invoke_object(Core& core, Slot& slot) {
    Tcb& thread = *core.current;
    MessageInfo info{thread.context.x[reg::info]};
    Slot* caps[abi::ipc_extra_caps];
    int count = find_arguments(core, thread, static_cast<int>(info.extra_caps()), caps);
    if (count < 0) return Progress::Complete;
    Invoked invoked = invoke({core, thread, slot, static_cast<Method>(info.label()), caps}, info.length(), count);
    if (!invoked.ok()) {
        set_result(thread, invoked.failure());
    } else if (invoked.value() == Outcome::Done) {
        set_done(thread);
    } else if (invoked.value() == Outcome::Preempted) {
        restart_syscall(thread);
        schedule_after(core, thread);
        return Progress::Preempted;
    }
    if (!settled(core, thread)) schedule_after(core, thread);
    return Progress::Complete;
}

constexpr unsigned result_registers = reg::word(register_words - 1) + 1;   // x0 to x16

// A first phase gives no result: the receive phase, and whoever handles a fault of it, finds the registers as they were.
[[gnu::cold, gnu::noinline]] Progress invoke_unanswered(Core& core, Tcb& thread, Slot& slot) {
    Word kept[result_registers];
    __builtin_memcpy(kept, thread.context.x, sizeof(kept));
    if (invoke_object(core, slot) == Progress::Preempted) return Progress::Preempted;
    __builtin_memcpy(thread.context.x, kept, sizeof(kept));
    return Progress::Complete;
}

// Who sends to a capability of these types invokes a method.
bool has_methods(CapType type) {
    constexpr auto bit = [](CapType of) { return Word{1} << static_cast<Word>(of); };
    constexpr Word others = bit(CapType::Null) | bit(CapType::Endpoint) | bit(CapType::Notification) | bit(CapType::Reply) | bit(CapType::SGISignal);
    return (others >> static_cast<Word>(type) & 1) == 0;
}

[[gnu::always_inline]] inline Progress send_through(Core& core, Tcb& thread, Slot& slot, const SendPhase& phase) {
    switch (slot.cap.type()) {
        case CapType::Endpoint: send_to_endpoint(core, thread, as<EndpointCap>(slot.cap), phase); break;
        case CapType::Notification: signal_notification(core, thread, as<NotificationCap>(slot.cap), phase); break;
        case CapType::Reply:
            send_reply(core, thread, slot.cap.as_object<Reply>(), as<ReplyCap>(slot.cap).can_grant());
            if (phase.answers) set_done(thread);
            break;
        case CapType::SGISignal:
            arch::irq_send_sgi(as<SgiSignalCap>(slot.cap).irq(), as<SgiSignalCap>(slot.cap).core());
            if (phase.answers) set_done(thread);
            break;
        default:
            assert_that(!phase.answers, "invocation_answered");   // what answers is done by perform_found
            return invoke_unanswered(core, thread, slot);
    }
    return Progress::Complete;
}

// Preempted: the system call executes again, from this phase.
template <SendPhase phase>
Progress send(Core& core, Tcb& thread, Slot* slot) {
    if (slot != nullptr && !slot->empty()) return send_through(core, thread, *slot, phase);
    if (phase.blocking()) {
        missing_cap(core, thread, CPtr(thread.context.x[reg::cap]), false);
    } else if (phase.answers) {
        set_done(thread);
    }
    return Progress::Complete;
}

// Nothing follows that a preemption would have to skip.
template <SendPhase phase>
void send_only(Core& core, Tcb& thread, Slot* slot) {
    static_cast<void>(send<phase>(core, thread, slot));
}

// -- Receiving

struct ReceivePhase {
    bool blocking;
    bool with_reply;
    Reply* reply = nullptr;   // if the first phase has looked it up
};

// The reply object that a receive names, in `reply`; false after a fault.
[[gnu::always_inline]] inline bool find_reply(Core& core, Tcb& thread, const ReceivePhase& phase, Reply*& reply) {
    reply = phase.reply;
    if (!phase.with_reply || reply != nullptr) return true;
    CPtr address(thread.context.x[reg::reply]);
    Slot* slot = find_slot_quickly(thread, address);
    if (slot == nullptr || slot->empty()) {
        missing_cap(core, thread, address, true);
        return false;
    }
    if (!slot->cap.is(CapType::Reply)) {
        cap_fault(core, thread, address, LookupFault::of(abi::LookupFailure::MissingCapability), true);
        return false;
    }
    reply = &slot->cap.as_object<Reply>();
    return true;
}

bool requires_donation(const Tcb& thread) { return (thread.context.x[reg::number] & abi::syscall_flag_require_donation) != 0; }

void receive(Core& core, Tcb& thread, Slot* slot, ReceivePhase phase) {
    CPtr address(thread.context.x[reg::cap]);
    if (slot == nullptr || slot->empty()) return missing_cap(core, thread, address, true);
    if (slot->cap.is(CapType::Endpoint) && as<EndpointCap>(slot->cap).can_receive()) {
        Word flags = thread.context.x[reg::number] & ReceiveOptions::require_donation;
        Reply* reply;
        if (!find_reply(core, thread, phase, reply)) return;
        ReceiveOptions options = ReceiveOptions::through(as<EndpointCap>(slot->cap), flags | (phase.blocking ? ReceiveOptions::blocking : 0));
        return receive_ipc(core, thread, slot->cap.as_object<Endpoint>(), reply, options);
    }
    if (slot->cap.is(CapType::Notification) && as<NotificationCap>(slot->cap).can_receive()) {
        Notification& notification = slot->cap.as_object<Notification>();
        if (notification.bound_tcb == nullptr || notification.bound_tcb == &thread) {
            return wait(core, thread, notification, phase.blocking);
        }
    }
    cap_fault(core, thread, address, LookupFault::of(abi::LookupFailure::MissingCapability), true);
}

// What x0 names, or null.
Slot* first_slot(const Tcb& thread) { return find_slot_quickly(thread, CPtr(thread.context.x[reg::cap])); }

// From here on the system call is the plain receive: should it execute again, its send phase does not.
void become_receive(Tcb& thread, Syscall alone) {
    Word& number = thread.context.x[reg::number];
    number = (number & ~abi::syscall_number_mask) | static_cast<Word>(alone);
}

void receive_after_send(Core& core, Tcb& thread, Syscall alone, const ReceivePhase& phase) {
    become_receive(thread, alone);
    bool yields = thread.yielding_to != nullptr;
    if (thread.state == ThreadState::Running && !yields) return receive(core, thread, first_slot(thread), phase);
    // The first phase stopped the thread itself, or lets another one run first: the receive is what it continues with.
    if (yields) forget_yield(core, thread);
    restart_syscall(thread);
}

// -- Refusing senders in time: before a first phase whose message gives the thread's scheduling context away, which a receive with the flag needs.

const Reply* named_reply(const Tcb& thread) {
    Slot* slot = find_slot(thread, CPtr(thread.context.x[reg::reply]));
    return slot != nullptr && slot->cap.is(CapType::Reply) ? &slot->cap.as_object<Reply>() : nullptr;
}

bool answer_gives_context(const Tcb& thread) {
    const Reply* reply = named_reply(thread);
    return reply != nullptr && returns_context(*reply, thread);
}

bool message_gives_context(const Tcb& thread) {
    Slot* slot = find_slot(thread, CPtr(thread.context.x[reg::destination]));
    if (slot == nullptr) return false;
    if (slot->cap.is(CapType::Reply)) return returns_context(slot->cap.as_object<Reply>(), thread);
    if (!slot->cap.is(CapType::Endpoint) || !as<EndpointCap>(slot->cap).can_send()) return false;
    const Endpoint& endpoint = slot->cap.as_object<Endpoint>();
    return endpoint.receiving() && endpoint.queue.head->sched_context == nullptr;
}

// Refuses the senders that the receive phase would refuse. Preempted: nothing of the system call is done.
[[gnu::cold, gnu::noinline]] Progress refuse_first(Core& core, Tcb& thread, bool with_reply) {
    Slot* slot = find_slot(thread, CPtr(thread.context.x[reg::cap]));
    if (slot == nullptr || !slot->cap.is(CapType::Endpoint) || !as<EndpointCap>(slot->cap).can_receive()) return Progress::Complete;
    const Reply* reply = with_reply ? named_reply(thread) : nullptr;
    if (with_reply && reply == nullptr) return Progress::Complete;
    Progress progress = refuse_waiting(core, thread, slot->cap.as_object<Endpoint>(), reply);
    if (progress == Progress::Preempted) restart_syscall(thread);
    return progress;
}

// Returns the reply object, or null if x6 names none.
Reply* answer(Core& core, Tcb& thread) {
    Slot* slot = find_slot_quickly(thread, CPtr(thread.context.x[reg::reply]));
    if (slot == nullptr || !slot->cap.is(CapType::Reply)) return nullptr;
    Reply& reply = slot->cap.as_object<Reply>();
    send_reply(core, thread, reply, as<ReplyCap>(slot->cap).can_grant());
    return &reply;
}

[[gnu::always_inline]] inline void reply_recv(Core& core, Tcb& thread, Slot* slot) {
    if (requires_donation(thread) && answer_gives_context(thread) && refuse_first(core, thread, true) == Progress::Preempted) return;
    bool is_found = slot != nullptr && !slot->empty();
    Reply* reply = answer(core, thread);
    become_receive(thread, Syscall::Recv);
    // The answer may have brought a capability to where x0 leads, or to somewhere on the way.
    if (!is_found) slot = first_slot(thread);
    receive(core, thread, slot, {.blocking = true, .with_reply = true, .reply = reply});
}

void send_receive(Core& core, Tcb& thread, CPtr destination, bool with_reply) {
    if (requires_donation(thread) && message_gives_context(thread) && refuse_first(core, thread, with_reply) == Progress::Preempted) return;
    if (send<first_phase>(core, thread, find_slot_quickly(thread, destination)) == Progress::Preempted) return;
    receive_after_send(core, thread, with_reply ? Syscall::Recv : Syscall::Wait, {.blocking = true, .with_reply = with_reply});
}

void unknown_syscall(Core& core, Tcb& thread) {
    Word number = thread.context.x[reg::number];
    if (debug_syscall(thread, number & abi::syscall_number_mask)) return;
    restart_syscall(thread);
    send_fault(core, thread, {.label = abi::FaultLabel::UnknownSyscall, .flag = false, .words = {number, 0}, .lookup = {}});
}

[[gnu::noinline]] void perform_rarer(Core& core, Tcb& thread, Slot* slot) {
    CPtr destination(thread.context.x[reg::destination]);
    switch (number_of(thread)) {
        case Syscall::NBRecv: return receive(core, thread, slot, {.blocking = false, .with_reply = true});
        case Syscall::NBWait: return receive(core, thread, slot, {.blocking = false, .with_reply = false});
        case Syscall::NBSendRecv: return send_receive(core, thread, destination, true);
        case Syscall::NBSendWait: return send_receive(core, thread, destination, false);
        case Syscall::Yield: return yield(core);
        default: return unknown_syscall(core, thread);
    }
}

// `slot` is what x0 names, or null.
[[gnu::always_inline]] inline void perform(Core& core, Tcb& thread, Slot* slot) {
    switch (number_of(thread)) {
        case Syscall::Call: return send_only<call_phase>(core, thread, slot);
        case Syscall::ReplyRecv: return reply_recv(core, thread, slot);
        case Syscall::Send: return send_only<send_phase>(core, thread, slot);
        case Syscall::NBSend: return send_only<nb_send_phase>(core, thread, slot);
        case Syscall::Recv: return receive(core, thread, slot, {.blocking = true, .with_reply = true});
        case Syscall::Wait: return receive(core, thread, slot, {.blocking = true, .with_reply = false});
        default: return perform_rarer(core, thread, slot);
    }
}

[[gnu::noinline]] void perform_and_schedule(Core& core, Slot* slot) {
    perform(core, *core.current, slot);
    schedule(core);
}

[[gnu::always_inline]] inline void perform_found(Core& core, Slot& slot) {
    bool invokes = one_of(number_of(*core.current), sends) && has_methods(slot.cap.type());
    if (!invokes) return perform_and_schedule(core, &slot);
    static_cast<void>(invoke_object(core, slot));
}
}  // namespace
}  // namespace caprock

using namespace caprock;

extern "C" void handle_found(Core& core, Slot& slot) { perform_found(core, slot); }

extern "C" void handle_syscall(Core& core) {
    Slot* slot = number_of(*core.current) <= Syscall::NBWait ? first_slot(*core.current) : nullptr;
    return slot != nullptr ? handle_found(core, *slot) : perform_and_schedule(core, nullptr);
}
