// SPDX-License-Identifier: BSD-2-Clause
// Operations that only the present state makes possible, or worth while.
#include "director.hpp"

#include "object/endpoint.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/sched_context.hpp"
#include "cap/slot.hpp"
#include "sched/scheduler.hpp"

#include <algorithm>

namespace caprock::lockstep {

using abi::Method;
using abi::Syscall;
using fuzz::Operation;
using fuzz::WordKind;

namespace {

// How many words of the answer to a fault count, at most.
uint64_t words_of_answer(abi::FaultLabel label) {
    switch (label) {
        case abi::FaultLabel::UnknownSyscall: return 12;
        case abi::FaultLabel::UserException: return 3;
        case abi::FaultLabel::Timeout: return 34;
        default: return 1;
    }
}

}  // namespace

void Director::invoke(Operation& operation, Method method, uint64_t cap, std::initializer_list<uint64_t> words, std::initializer_list<uint64_t> caps) {
    start(operation);
    operation.method = method;
    operation.x[0] = cap;
    operation.x[1] = abi::MessageInfo::make(words.size(), caps.size(), 0, static_cast<uint64_t>(method)).raw;
    operation.x[7] = static_cast<uint64_t>(Syscall::Call);
    unsigned i = 0;
    for (uint64_t value : words) word(operation, i++) = value;
    operation.message_words = i;
    std::copy(caps.begin(), caps.end(), operation.caps);
}

// A message of any length, with any capabilities, to a target.
void Director::write_message(Operation& operation, Syscall number, uint64_t target) {
    start(operation);
    uint64_t length = choices_.one_in(3) ? choices_.below(40) : choices_.below(14);
    for (unsigned i = 0; i < length; ++i) word(operation, i) = choices_.one_in(3) ? choices_.word() & 0xffff'ffff : 0x6b00 + i;
    uint64_t caps = choices_.one_in(2) ? choices_.below(4) : 0;
    for (uint64_t& cap : operation.caps) cap = holder(~uint32_t{0}).value_or(0);
    operation.message_words = static_cast<unsigned>(length);
    operation.x[0] = target;
    operation.x[1] = abi::MessageInfo::make(length, caps, 0, choices_.one_in(4) ? 1 : 0).raw;
    operation.x[6] = holder(mask_of(CapType::Reply)).value_or(0);
    operation.x[7] = static_cast<uint64_t>(number) | (choices_.one_in(6) ? abi::syscall_flag_require_donation : 0);
    operation.x[8] = holder(mask_of(CapType::Endpoint) | mask_of(CapType::Notification)).value_or(0);
    std::optional<uint64_t> cnode = choices_.one_in(2) ? own_cnode() : holder(mask_of(CapType::CNode));
    std::optional<Place> place = cnode ? place_in(*cnode, WordKind::Target, Method::None) : std::nullopt;
    if (!place) return;
    operation.receive_cnode = *cnode;
    operation.receive_index = place->index;
    operation.receive_depth = place->depth;
}

// The answer brings the caller the endpoint from which the second phase receives, to where that looks for it.
void Director::give_source(Operation& operation, const Tcb& caller) {
    const abi::IPCBuffer* buffer = readable_buffer(caller);
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, [](const Cap& cap) { return as<EndpointCap>(cap).can_receive(); });
    if (buffer == nullptr || !endpoint) return;
    uint64_t cnode = buffer->receive_cnode % space_slots;
    uint64_t slot = buffer->receive_index % space_slots;
    std::optional<Container> container = container_of(space_[cnode].cap);
    if (!container || container->slots != space_ || !space_[slot].empty()) return;
    operation.x[0] = slot;
    operation.caps[0] = *endpoint;
    abi::MessageInfo info{operation.x[1]};
    operation.x[1] = abi::MessageInfo::make(info.length(), 1, 0, info.label()).raw;
}

bool Director::answer(Operation& operation, const Tcb& current) {
    auto waits = [](const Cap& cap) {
        const Tcb* thread = cap.as_object<Reply>().tcb;
        return thread != nullptr && thread->state == ThreadState::BlockedOnReply;
    };
    // The call whose context this thread runs on: the answer leaves it without one.
    auto returns_time = [&](const Cap& cap) { return waits(cap) && cap.as_object<Reply>().context == current.sched_context; };
    std::optional<uint64_t> reply = choices_.one_in(2) ? holder_of(CapType::Reply, returns_time) : std::nullopt;
    if (!reply) reply = holder_of(CapType::Reply, waits);
    if (!reply) return false;
    auto sends = [](const Cap& cap) { return as<EndpointCap>(cap).can_receive() && cap.as_object<Endpoint>().sending(); };
    std::optional<uint64_t> endpoint = choices_.one_in(2) ? holder_of(CapType::Endpoint, sends) : std::nullopt;
    if (!endpoint) endpoint = holder(mask_of(CapType::Endpoint));
    uint64_t target = endpoint.value_or(0);
    switch (choices_.below(5)) {
        case 0: write_message(operation, Syscall::Send, *reply); return true;
        case 1:
        case 2:
            write_message(operation, Syscall::ReplyRecv, target);
            operation.x[6] = *reply;
            if (choices_.one_in(2)) operation.x[7] |= abi::syscall_flag_require_donation;
            if (choices_.one_in(2)) give_source(operation, *space_[*reply].cap.as_object<Reply>().tcb);
            return true;
        case 3:
            write_message(operation, choices_.one_in(2) ? Syscall::NBSendRecv : Syscall::NBSendWait, target);
            operation.x[8] = *reply;
            return true;
        default: write_message(operation, choices_.one_in(2) ? Syscall::NBSend : Syscall::Call, *reply); return true;
    }
}

// Who handles a fault says with which registers the thread goes on, or that it does not.
bool Director::answer_fault(Operation& operation) {
    auto is_fault = [](const Cap& cap) {
        const Tcb* thread = cap.as_object<Reply>().tcb;
        return thread != nullptr && thread->state == ThreadState::BlockedOnReply && thread->faulted();
    };
    std::optional<uint64_t> reply = holder_of(CapType::Reply, is_fault);
    if (!reply) return false;
    write_message(operation, choices_.one_of({Syscall::Send, Syscall::NBSend}), *reply);
    uint64_t length = choices_.one_in(2) ? choices_.below(40) : words_of_answer(space_[*reply].cap.as_object<Reply>().tcb->fault.label) - choices_.below(2);
    // Also registers behind the message, which are not to be read.
    for (unsigned i = 0; i < std::max<uint64_t>(length, abi::ipc_register_words); ++i) word(operation, i) = choices_.word() & 0xffff'fffc;
    operation.message_words = static_cast<unsigned>(length);
    operation.x[1] = abi::MessageInfo::make(length, 0, 0, choices_.one_in(6) ? 1 : 0).raw;
    return true;
}

// Reads what there is, of each type that can be read.
bool Director::inspect(Operation& operation) {
    std::optional<uint64_t> authority = holder(mask_of(CapType::Inspect));
    if (!authority) return false;
    auto read = [&](Method method, CapType type, uint64_t place) {
        std::optional<uint64_t> target = holder(mask_of(type));
        if (target) invoke(operation, method, *authority, {place}, {*target});
        return target.has_value();
    };
    switch (choices_.below(8)) {
        case 0: return read(Method::InspectReadTCB, CapType::TCB, 0);
        case 1: return read(Method::InspectReadTCBSlot, CapType::TCB, choices_.below(tcb_slots + 1));
        case 2: return read(Method::InspectReadSchedContext, CapType::SchedContext, 0);
        case 3: return read(Method::InspectReadUntyped, CapType::Untyped, 0);
        case 4: return read(Method::InspectReadReply, CapType::Reply, 0);
        case 5: return read(Method::InspectReadIRQHandler, CapType::IRQHandler, 0);
        case 6: return read(Method::InspectReadVSpace, CapType::VSpace, fuzz::buffer_address + 0x10'0000 * choices_.below(3) + 4096 * choices_.below(6));
        default: {
            // Any capability that there is: most slots of the component are empty.
            std::optional<uint64_t> slot = holder(~uint32_t{0});
            std::optional<uint64_t> cnode = own_cnode();
            if (slot && cnode) invoke(operation, Method::InspectReadCNode, *authority, {*slot}, {*cnode});
            return slot && cnode;
        }
    }
}

// Waits in line with others that send.
bool Director::wait_in_line(Operation& operation) {
    auto takes_senders = [](const Cap& cap) { return as<EndpointCap>(cap).can_send() && !cap.as_object<Endpoint>().receiving(); };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, takes_senders);
    if (!endpoint) return false;
    write_message(operation, choices_.one_in(3) ? Syscall::Call : Syscall::Send, *endpoint);
    return true;
}

bool Director::send(Operation& operation) {
    auto receives = [](const Cap& cap) { return as<EndpointCap>(cap).can_send() && cap.as_object<Endpoint>().receiving(); };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, receives);
    if (!endpoint) return false;
    Syscall number = choices_.one_of({Syscall::Call, Syscall::Call, Syscall::Send, Syscall::NBSend, Syscall::NBSendRecv, Syscall::NBSendWait});
    write_message(operation, number, *endpoint);
    if (choices_.one_in(2)) operation.x[8] = *endpoint;
    return true;
}

bool Director::receive(Operation& operation) {
    auto sends = [](const Cap& cap) { return as<EndpointCap>(cap).can_receive() && cap.as_object<Endpoint>().sending(); };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, sends);
    if (!endpoint) return false;
    Syscall number = choices_.one_of({Syscall::Recv, Syscall::NBRecv, Syscall::Wait, Syscall::NBWait, Syscall::ReplyRecv, Syscall::NBSendRecv});
    write_message(operation, number, *endpoint);
    return true;
}

bool Director::yield_to(Operation& operation, const Tcb& current) {
    auto is_ready = [&](const Cap& cap) {
        const Tcb* thread = cap.as_object<SchedContext>().tcb;
        return thread != nullptr && thread != &current && schedulable(*thread);
    };
    // Who is no less important runs at once, and the yield lasts until he stops.
    auto takes_over = [&](const Cap& cap) {
        const Tcb* thread = cap.as_object<SchedContext>().tcb;
        return is_ready(cap) && thread->priority >= current.priority && thread->domain == current.domain;
    };
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, takes_over);
    if (!context || choices_.one_in(4)) context = holder_of(CapType::SchedContext, is_ready);
    if (!context) return false;
    invoke(operation, Method::SchedContextYieldTo, *context, {}, {});
    if (choices_.one_in(6)) operation.x[7] = static_cast<uint64_t>(Syscall::Send);
    if (!choices_.one_in(6)) return true;
    operation.x[8] = *context;
    operation.x[0] = holder(mask_of(CapType::Endpoint)).value_or(0);
    operation.x[6] = holder(mask_of(CapType::Reply)).value_or(0);
    operation.x[7] = static_cast<uint64_t>(Syscall::NBSendRecv);
    return true;
}

// A thread that yields is stopped, or begins anew.
bool Director::stop_yielder(Operation& operation) {
    std::optional<uint64_t> yielder = holder_of(CapType::TCB, [](const Cap& cap) { return cap.as_object<Tcb>().yielding_to != nullptr; });
    if (yielder) invoke(operation, choices_.one_in(2) ? Method::TCBSuspend : Method::TCBResume, *yielder, {}, {});
    return yielder.has_value();
}

// Two threads yield to one, or the one that another yields to yields to a third.
bool Director::yield_again(Operation& operation, const Slot* space, const Tcb& current) {
    space_ = space;
    auto is_awaited = [](const Cap& cap) { return cap.as_object<SchedContext>().yield_from != nullptr; };
    auto is_of_another = [&](const Cap& cap) { return is_awaited(cap) && cap.as_object<SchedContext>().tcb != &current; };
    if (!holder_of(CapType::SchedContext, is_awaited)) return false;
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, is_of_another);
    if (!context) return yield_to(operation, current);
    invoke(operation, Method::SchedContextYieldTo, *context, {}, {});
    return true;
}

// Three slots of one CNode: source and destination may be the same, and so may others.
bool Director::rotate(Operation& operation) {
    std::optional<uint64_t> cnode = holder(mask_of(CapType::CNode));
    if (!cnode) return false;
    std::optional<Place> source = place_in(*cnode, WordKind::Source, Method::None);
    std::optional<Place> pivot = place_in(*cnode, WordKind::Source, Method::None);
    std::optional<Place> empty = place_in(*cnode, WordKind::Target, Method::None);
    if (!source || !pivot || !empty) return false;
    Place to = choices_.one_in(2) ? *source : *empty;
    uint64_t badge = choices_.one_in(2) ? 0 : choices_.below(8);
    invoke(operation, Method::CNodeRotate, *cnode, {to.index, to.depth, badge, pivot->index, pivot->depth, badge, source->index, source->depth},
           {*cnode, *cnode});
    return true;
}

// A frame at a place of its size; most of these have the tables that it takes.
bool Director::map(Operation& operation) {
    auto is_free = [](const Cap& cap) { return !as<FrameCap>(cap).is_mapped(); };
    std::optional<uint64_t> frame = holder_of(CapType::Frame, is_free);
    std::optional<uint64_t> space = holder(mask_of(CapType::VSpace));
    if (!frame || !space) return false;
    uint64_t size = as<FrameCap>(space_[*frame].cap).size_bits().bytes();
    uint64_t address = (fuzz::buffer_address & ~(size - 1)) + size * choices_.below(6);
    if (choices_.one_in(16)) address = abi::user_top - size * choices_.below(2);
    invoke(operation, Method::FrameMap, *frame, {address, choices_.below(4), choices_.below(8)}, {*space});
    return true;
}

// A page table where one is missing.
bool Director::map_table(Operation& operation) {
    auto is_free = [](const Cap& cap) { return !as<PageTableCap>(cap).is_mapped(); };
    auto has_number = [](const Cap& cap) { return as<VSpaceCap>(cap).number() != 0; };
    std::optional<uint64_t> table = holder_of(CapType::PageTable, is_free);
    std::optional<uint64_t> space = holder_of(CapType::VSpace, has_number);
    if (!table || !space) return false;
    constexpr uint64_t sizes[] = {0x1000, 0x20'0000, 0x4000'0000, 0x80'0000'0000};
    uint64_t address = choices_.one_in(8) ? abi::user_top : fuzz::buffer_address + choices_.one_of(sizes) * choices_.below(4);
    invoke(operation, Method::PageTableMap, *table, {address, choices_.below(2)}, {*space});
    return true;
}

// A mapped frame, where it is or elsewhere, or one where another is.
bool Director::map_again(Operation& operation) {
    auto mapped = [](const Cap& cap) { return as<FrameCap>(cap).is_mapped(); };
    std::optional<uint64_t> known = holder_of(CapType::Frame, mapped);
    std::optional<uint64_t> space = holder(mask_of(CapType::VSpace));
    if (!known || !space) return false;
    uint64_t address = as<FrameCap>(space_[*known].cap).address().raw;
    if (choices_.one_in(4)) address += 4096 * choices_.below(3);
    uint64_t frame = choices_.one_in(3) ? holder(mask_of(CapType::Frame)).value_or(*known) : *known;
    invoke(operation, Method::FrameMap, frame, {address, choices_.below(4), choices_.below(8)}, {*space});
    return true;
}

// An address space whose ASID pool goes: what still names it is to be refused everywhere.
bool Director::lose_space(Operation& operation) {
    auto is_later = [](const Cap& cap) { return as<AsidPoolCap>(cap).number() != 0; };
    std::optional<uint64_t> pool = holder_of(CapType::ASIDPool, is_later);
    auto is_lost = [&](const Cap& cap) {
        Word asid = as<VSpaceCap>(cap).number();
        return asid != 0 && vspace_of(*host::hardware.core->kernel, Asid(static_cast<uint16_t>(asid))) != cap.object();
    };
    if (std::optional<uint64_t> lost = holder_of(CapType::VSpace, is_lost)) return use_lost_space(operation, *lost);
    if (!pool) return false;
    auto is_new = [](const Cap& cap) { return as<VSpaceCap>(cap).number() == 0; };
    std::optional<uint64_t> space = holder_of(CapType::VSpace, is_new);
    std::optional<Place> place = own_place(*pool);
    if (space && choices_.one_in(2)) {
        invoke(operation, Method::ASIDPoolAssign, *pool, {}, {*space});
    } else if (place) {
        invoke(operation, Method::CNodeDelete, *own_cnode(), {place->index, place->depth}, {});
    } else {
        return false;
    }
    return true;
}

bool Director::use_lost_space(Operation& operation, uint64_t space) {
    uint64_t address = fuzz::buffer_address + 4096 * choices_.below(4);
    uint64_t frame = holder(mask_of(CapType::Frame)).value_or(0);
    uint64_t table = holder(mask_of(CapType::PageTable)).value_or(0);
    uint64_t thread = holder(mask_of(CapType::TCB)).value_or(0);
    uint64_t cnode = own_cnode().value_or(0);
    switch (choices_.below(7)) {
        case 0: invoke(operation, Method::FrameMap, frame, {address, 3, 5}, {space}); return true;
        case 1: invoke(operation, Method::PageTableMap, table, {address, 1}, {space}); return true;
        case 2: invoke(operation, Method::TCBSetSpace, thread, {0, 0}, {0, cnode, space}); return true;
        case 3: invoke(operation, Method::TCBConfigure, thread, {0, 0, 0}, {cnode, space, 0}); return true;
        case 4: invoke(operation, Method::InspectReadVSpace, holder(mask_of(CapType::Inspect)).value_or(0), {address}, {space}); return true;
        default: {
            constexpr Method maintenance[] = {Method::VSpaceCleanData, Method::VSpaceInvalidateData, Method::VSpaceCleanInvalidateData,
                                              Method::VSpaceUnifyInstruction};
            invoke(operation, choices_.one_of(maintenance), space, {address, address + 4096}, {});
            return true;
        }
    }
}

// The handler of an interrupt that has no line at the controller: a signal of software, or SError.
bool Director::use_signal(Operation& operation) {
    constexpr Word first_line = 16;
    auto has_no_line = [](const Cap& cap) {
        Word irq = as<IrqHandlerCap>(cap).number();
        return irq < first_line || irq == abi::irq_serror;
    };
    std::optional<uint64_t> handler = holder_of(CapType::IRQHandler, has_no_line);
    if (!handler) return false;
    switch (choices_.below(4)) {
        case 0: invoke(operation, Method::IRQHandlerAck, *handler, {}, {}); return true;
        case 1: invoke(operation, Method::IRQHandlerClear, *handler, {}, {}); return true;
        default: {
            invoke(operation, Method::IRQHandlerSetNotification, *handler, {}, {holder(mask_of(CapType::Notification)).value_or(0)});
            return true;
        }
    }
}

// A thread that receives from an endpoint is bound to a notification that was active before, which is signalled again.
bool Director::bind_notification(Operation& operation) {
    auto is_active = [](const Notification& notification) { return notification.state == Notification::State::Active; };
    auto receives = [](const Tcb* thread) { return thread != nullptr && thread->state == ThreadState::BlockedOnReceive; };
    auto is_late = [&](const Cap& cap) { return is_active(cap.as_object<Notification>()) && receives(cap.as_object<Notification>().bound_tcb); };
    auto is_free = [&](const Cap& cap) {
        const Notification& notification = cap.as_object<Notification>();
        return notification.bound_tcb == nullptr && notification.queue.empty();
    };
    auto is_receiver = [&](const Cap& cap) { return receives(&cap.as_object<Tcb>()) && cap.as_object<Tcb>().bound_notification == nullptr; };
    if (std::optional<uint64_t> late = holder_of(CapType::Notification, is_late)) {
        write_short_message(operation, Syscall::Send, *late);
        return true;
    }
    std::optional<uint64_t> free = holder_of(CapType::Notification, is_free);
    std::optional<uint64_t> receiver = holder_of(CapType::TCB, is_receiver);
    if (!free || !receiver) return false;
    if (is_active(space_[*free].cap.as_object<Notification>())) {
        invoke(operation, Method::TCBBindNotification, *receiver, {}, {*free});
    } else {
        write_short_message(operation, Syscall::Send, *free);
    }
    return true;
}

// A thread that runs on a notification's context waits there again.
bool Director::wait_again(Operation& operation, const Tcb& current) {
    auto has_lent = [&](const Cap& cap) {
        const SchedContext* context = cap.as_object<Notification>().sched_context;
        return context != nullptr && context == current.sched_context;
    };
    std::optional<uint64_t> lender = holder_of(CapType::Notification, has_lent);
    if (lender) write_short_message(operation, Syscall::Wait, *lender);
    return lender.has_value();
}

// A thread that waits for a notification loses its own context, and gets that of the notification with a signal. The last step that is possible is taken.
bool Director::lend_by_signal(Operation& operation) {
    auto waiter = [](const Cap& cap) -> const Tcb* { return cap.as_object<Notification>().queue.head; };
    auto has_context = [](const Cap& cap) { return cap.as_object<Notification>().sched_context != nullptr; };
    auto is_passive = [&](const Cap& cap) { return has_context(cap) && waiter(cap) != nullptr && waiter(cap)->sched_context == nullptr; };
    auto is_active = [&](const Cap& cap) { return has_context(cap) && waiter(cap) != nullptr && waiter(cap)->sched_context != nullptr; };
    auto lacks_context = [&](const Cap& cap) { return !has_context(cap) && waiter(cap) != nullptr; };
    if (std::optional<uint64_t> ready = holder_of(CapType::Notification, is_passive)) {
        write_short_message(operation, Syscall::Send, *ready);
    } else if (std::optional<uint64_t> awaited = holder_of(CapType::Notification, is_active)) {
        const SchedContext* own = waiter(space_[*awaited].cap)->sched_context;
        std::optional<uint64_t> context = holder_of(CapType::SchedContext, [&](const Cap& cap) { return &cap.as_object<SchedContext>() == own; });
        if (!context) return false;
        invoke(operation, Method::SchedContextUnbind, *context, {}, {});
    } else if (std::optional<uint64_t> poor = holder_of(CapType::Notification, lacks_context)) {
        auto is_free = [](const Cap& cap) { return cap.as_object<SchedContext>().tcb == nullptr && cap.as_object<SchedContext>().notification == nullptr; };
        std::optional<uint64_t> context = holder_of(CapType::SchedContext, is_free);
        if (!context) return false;
        invoke(operation, Method::SchedContextBind, *context, {}, {*poor});
    } else {
        return false;
    }
    return true;
}

// Memory that was used already, or cleared in part only: of one untyped large and small objects.
bool Director::retype_again(Operation& operation) {
    using abi::ObjectType;
    auto is_large = [](const Cap& cap) { return as<UntypedCap>(cap).size_bits().raw > page_bits; };
    std::optional<uint64_t> untyped = holder_of(CapType::Untyped, is_large);
    std::optional<uint64_t> cnode = own_cnode();
    if (!untyped || !cnode) return false;
    struct Choice {
        ObjectType type;
        uint64_t bits;
        CapType shelf;
    };
    constexpr Choice few[] = {{ObjectType::CNode, 11, CapType::CNode},     {ObjectType::CNode, 10, CapType::CNode}, {ObjectType::SmallPage, 0, CapType::Frame},
                              {ObjectType::SmallPage, 0, CapType::Frame},  {ObjectType::Endpoint, 0, CapType::Endpoint},
                              {ObjectType::SchedContext, 15, CapType::SchedContext}, {ObjectType::TCB, 0, CapType::TCB}};
    const Choice& choice = choices_.one_of(few);
    uint64_t first = fuzz::shelf_slot(choice.shelf, fuzz::given(choice.shelf) + choices_.below(2));
    uint64_t count = 1 + choices_.below(3);
    invoke(operation, Method::UntypedRetype, *untyped, {static_cast<uint64_t>(choice.type), choice.bits, 0, 0, first, count}, {*cnode});
    return true;
}

// Objects of the smallest and largest sizes, as many as there may be, at the end of a CNode, or one more or less.
bool Director::retype_at_border(Operation& operation) {
    using abi::ObjectType;
    std::optional<uint64_t> untyped = holder(mask_of(CapType::Untyped));
    std::optional<uint64_t> cnode = own_cnode();
    if (!untyped || !cnode) return false;
    struct Sizes {
        ObjectType type;
        uint64_t least;
        uint64_t most;
    };
    constexpr Sizes sizes[] = {{ObjectType::Untyped, abi::min_untyped_bits, abi::max_untyped_bits},
                               {ObjectType::CNode, 1, CNodeCap::max_radix},
                               {ObjectType::SchedContext, abi::min_sched_context_bits, 20}};
    const Sizes& size = choices_.one_of(sizes);
    auto near = [&](uint64_t border) { return choices_.one_in(2) ? border : border + choices_.below(3) - 1; };
    uint64_t bits = near(choices_.one_in(2) ? size.least : size.most);
    uint64_t first = choices_.one_in(2) ? near(space_slots) : fuzz::shelf_slot(CapType::Untyped, fuzz::given(CapType::Untyped) + 1);
    uint64_t count = choices_.one_in(3) ? near(abi::retype_fan_out_limit) : choices_.below(3);
    invoke(operation, Method::UntypedRetype, *untyped, {static_cast<uint64_t>(size.type), bits, 0, 0, first, count}, {*cnode});
    return true;
}

// What a device's memory can become, and what it cannot.
bool Director::retype_device(Operation& operation) {
    auto is_device = [](const Cap& cap) { return as<UntypedCap>(cap).is_device(); };
    std::optional<uint64_t> untyped = holder_of(CapType::Untyped, is_device);
    std::optional<uint64_t> cnode = own_cnode();
    if (!untyped || !cnode) return false;
    constexpr uint64_t last_type = static_cast<uint64_t>(abi::ObjectType::PageTable);
    uint64_t type = choices_.one_in(2) ? choices_.below(last_type + 1) : static_cast<uint64_t>(abi::ObjectType::Untyped);
    uint64_t bits = choices_.one_in(2) ? page_bits + choices_.below(2) : 4 + choices_.below(11);
    uint64_t first = fuzz::shelf_slot(CapType::Untyped, fuzz::given(CapType::Untyped) + 1);
    invoke(operation, Method::UntypedRetype, *untyped, {type, bits, 0, 0, first, 1 + choices_.below(2)}, {*cnode});
    return true;
}

// A context leaves the thread or the notification that it is bound to, by name.
bool Director::unbind(Operation& operation) {
    bool thread = choices_.one_in(3);
    auto bound_to = [&](const Cap& cap) -> const void* {
        const SchedContext& context = cap.as_object<SchedContext>();
        return thread ? static_cast<const void*>(context.tcb) : context.notification;
    };
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, [&](const Cap& cap) { return bound_to(cap) != nullptr; });
    if (!context) return false;
    auto is_it = [&](const Cap& cap) { return arch::pointer<void>(cap.object()) == bound_to(space_[*context].cap); };
    std::optional<uint64_t> object = holder_of(thread ? CapType::TCB : CapType::Notification, is_it);
    if (!object) return false;
    invoke(operation, Method::SchedContextUnbindObject, *context, {}, {*object});
    return true;
}

bool Director::cancel(Operation& operation) {
    auto has_senders = [](const Cap& cap) { return cap.as_object<Endpoint>().sending() && as<EndpointCap>(cap).badge().raw != 0; };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, has_senders);
    std::optional<uint64_t> cnode = own_cnode();
    if (!endpoint || !cnode) return false;
    std::optional<Container> container = container_of(space_[*cnode].cap);
    invoke(operation, Method::CNodeCancelBadgedSends, *cnode, {container->guard | *endpoint, container->depth}, {});
    return true;
}

// A context in use, or one whose thread waits for its budget.
bool Director::configure(Operation& operation, const Tcb& current) {
    auto in_use = [&](const Cap& cap) {
        const SchedContext& context = cap.as_object<SchedContext>();
        return &context == current.sched_context || (context.tcb != nullptr && (context.tcb->release.linked() || choices_.one_in(3)));
    };
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, in_use);
    std::optional<uint64_t> control = holder(mask_of(CapType::SchedControl));
    if (!context || !control) return false;
    uint64_t budget = 10 + choices_.below(choices_.one_in(2) ? 30 : 2'000);
    uint64_t period = budget + (choices_.one_in(3) ? 0 : choices_.below(choices_.one_in(4) ? 3 : 3'000));
    uint64_t extra = choices_.below(4);
    invoke(operation, Method::SchedControlConfigureFlags, *control, {budget, period, extra, choices_.below(256), choices_.below(2)}, {*context});
    return true;
}

// Takes the place of a capability in a thread's slot that may be the last one: what it stands for goes, in several steps.
bool Director::replace(Operation& operation, const Tcb& current) {
    auto holds_last = [&](const Cap& cap) {
        const Tcb& thread = cap.as_object<Tcb>();
        auto is_last = [](const Slot& slot) { return !slot.empty() && is_final(slot); };
        return &thread != &current && std::any_of(std::begin(thread.slots), std::end(thread.slots), is_last);
    };
    std::optional<uint64_t> thread = holder_of(CapType::TCB, holds_last);
    if (!thread) return false;
    uint64_t endpoint = holder(mask_of(CapType::Endpoint)).value_or(0);
    uint64_t cnode = holder(mask_of(CapType::CNode)).value_or(0);
    uint64_t space = holder(mask_of(CapType::VSpace)).value_or(0);
    uint64_t guard = choices_.one_in(2) ? 0 : abi::CNodeCapData::make(64 - fuzz::space_bits, 0).raw;
    switch (choices_.below(4)) {
        case 0: invoke(operation, Method::TCBSetTimeoutEndpoint, *thread, {}, {endpoint}); return true;
        case 1: invoke(operation, Method::TCBConfigure, *thread, {guard, 0, 0}, {cnode, space, 0}); return true;
        case 2: {
            std::optional<uint64_t> context = holder(mask_of(CapType::SchedContext));
            std::optional<uint64_t> authority = holder(mask_of(CapType::TCB));
            invoke(operation, Method::TCBSetSchedParams, *thread, {1, 1}, {*authority, choices_.one_in(2) ? 0 : context.value_or(0), endpoint});
            return true;
        }
        default: invoke(operation, Method::TCBSetSpace, *thread, {guard, 0}, {endpoint, cnode, space}); return true;
    }
}

// What a thread's slot, or an interrupt's, has a copy of loses its other capabilities.
bool Director::strip(Operation& operation) {
    std::vector<uint64_t> found;
    for (uint64_t i = 0; i < space_slots; ++i) {
        const Cap& cap = space_[i].cap;
        bool made_here = (cap.is(CapType::CNode) || cap.is(CapType::Endpoint) || cap.is(CapType::Notification)) && space_[i].revocable();
        if (made_here) found.push_back(i);
    }
    if (found.empty()) return false;
    uint64_t slot = *one_of(found);
    std::optional<uint64_t> thread = holder(mask_of(CapType::TCB));
    std::optional<uint64_t> handler = holder(mask_of(CapType::IRQHandler));
    std::optional<Place> place = own_place(slot);
    CapType type = space_[slot].cap.type();
    if (place && choices_.one_in(2)) {
        invoke(operation, Method::CNodeDelete, *own_cnode(),
               {place->index, place->depth}, {});
    } else if (type == CapType::Notification && handler) {
        invoke(operation, Method::IRQHandlerSetNotification, *handler, {}, {slot});
    } else if (type == CapType::Endpoint && thread) {
        invoke(operation, Method::TCBSetTimeoutEndpoint, *thread, {}, {slot});
    } else if (type == CapType::CNode && thread) {
        invoke(operation, Method::TCBSetSpace, *thread, {0, 0}, {0, slot, holder(mask_of(CapType::VSpace)).value_or(0)});
    } else {
        return false;
    }
    return true;
}

// A Send, which lends no time, to who wants some and has none.
bool Director::send_without_time(Operation& operation) {
    auto wants_time = [](const Cap& cap) {
        const Endpoint& endpoint = cap.as_object<Endpoint>();
        const Tcb* receiver = endpoint.receiving() ? endpoint.queue.head : nullptr;
        return as<EndpointCap>(cap).can_send() && receiver != nullptr && receiver->receiving.has(ReceiveOptions::require_donation) &&
            receiver->sched_context == nullptr;
    };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, wants_time);
    if (!endpoint) return false;
    write_message(operation, choices_.one_of({Syscall::Send, Syscall::NBSend, Syscall::Call}), *endpoint);
    return true;
}

// Lends its time to who waits without any, and receives where others send that may bring none.
bool Director::send_and_receive(Operation& operation) {
    auto is_passive = [](const Cap& cap) {
        const Endpoint& endpoint = cap.as_object<Endpoint>();
        return as<EndpointCap>(cap).can_send() && endpoint.receiving() && endpoint.queue.head->sched_context == nullptr;
    };
    auto sends = [](const Cap& cap) { return as<EndpointCap>(cap).can_receive() && cap.as_object<Endpoint>().sending(); };
    std::optional<uint64_t> server = holder_of(CapType::Endpoint, is_passive);
    std::optional<uint64_t> clients = holder_of(CapType::Endpoint, sends);
    if (!server || !clients) return false;
    write_message(operation, choices_.one_of({Syscall::NBSendRecv, Syscall::NBSendWait}), *clients);
    operation.x[8] = *server;
    if (choices_.one_in(2)) operation.x[7] |= abi::syscall_flag_require_donation;
    return true;
}

// A thread that waits for messages, and can answer them or wants time with them, loses its own time.
bool Director::make_passive(Operation& operation, const Tcb& current) {
    auto waits = [&](const Cap& cap) {
        const Tcb* thread = cap.as_object<SchedContext>().tcb;
        return thread != nullptr && thread != &current && thread->state == ThreadState::BlockedOnReceive &&
            (thread->reply != nullptr || thread->receiving.has(ReceiveOptions::require_donation));
    };
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, waits);
    if (!context) return false;
    invoke(operation, Method::SchedContextUnbind, *context, {}, {});
    return true;
}

// A thread that faulted or was stopped is started again; one without time gets a context that nobody has.
bool Director::help(Operation& operation, const Slot* space, const Tcb& current) {
    space_ = space;
    auto is_stuck = [&](const Cap& cap) {
        const Tcb& thread = cap.as_object<Tcb>();
        bool stopped = thread.state == ThreadState::Inactive || (thread.faulted() && thread.state == ThreadState::BlockedOnSend);
        return &thread != &current && leads_to(thread, space_) && stopped;
    };
    auto has_no_time = [&](const Cap& cap) {
        const Tcb& thread = cap.as_object<Tcb>();
        return &thread != &current && thread.sched_context == nullptr && !thread.blocked_on_ipc();
    };
    auto is_free = [](const Cap& cap) { return cap.as_object<SchedContext>().tcb == nullptr && cap.as_object<SchedContext>().notification == nullptr; };
    std::optional<uint64_t> stuck = holder_of(CapType::TCB, is_stuck);
    std::optional<uint64_t> idle = holder_of(CapType::TCB, has_no_time);
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, is_free);
    if (idle && context && choices_.one_in(2)) {
        invoke(operation, Method::SchedContextBind, *context, {}, {*idle});
    } else if (stuck) {
        invoke(operation, Method::TCBWriteRegisters, *stuck, {1, 1, fuzz::code_address}, {});
    } else {
        return false;
    }
    return true;
}

// Mostly short, also none at all, or one that is too short or too long.
uint64_t Director::turn_length() {
    constexpr uint64_t least_us = 10;
    switch (choices_.below(12)) {
        case 0:
        case 1: return 0;
        case 2: return 1 + choices_.below(least_us - 1);
        case 3: return abi::timeout_max_us + choices_.below(3);
        default: return least_us + choices_.below(choices_.one_in(2) ? 4 : 1'000);
    }
}

// Turns of domains, and a new start of the schedule.
bool Director::schedule_domains(Operation& operation) {
    std::optional<uint64_t> domain = holder(mask_of(CapType::Domain));
    if (!domain) return false;
    uint64_t entry = choices_.below(4);
    if (choices_.one_in(2)) {
        invoke(operation, Method::DomainScheduleSetStart, *domain, {entry}, {});
    } else {
        invoke(operation, Method::DomainScheduleConfigure, *domain, {entry, choices_.below(3), turn_length()}, {});
    }
    return true;
}

// An opportunity is taken as it is, mostly.
bool Director::opportunity(Operation& operation, const Slot* space, const Tcb& current) {
    space_ = space;
    operation.method = Method::None;
    if (!find_opportunity(operation, current)) return false;
    if (operation.method != Method::None && choices_.one_in(5)) go_wrong(operation);
    return true;
}

bool Director::find_opportunity(Operation& operation, const Tcb& current) {
    if (choices_.one_in(8) && send_and_receive(operation)) return true;
    if (choices_.one_in(4) && wait_again(operation, current)) return true;
    if (choices_.one_in(3) && stop_yielder(operation)) return true;
    switch (choices_.below(31)) {
        case 24: return map_table(operation);
        case 26: return bind_notification(operation);
        case 27: return lend_by_signal(operation);
        case 23: return schedule_domains(operation);
        case 19: return retype_device(operation);
        case 20: return unbind(operation);
        case 21: return answer_fault(operation);
        case 22:
        case 25: return inspect(operation);
        case 0:
        case 1: return answer(operation, current);
        case 2:
        case 3: return send(operation);
        case 4: return receive(operation);
        case 5:
        case 28:
        case 29: return yield_to(operation, current);
        case 6: return rotate(operation);
        case 7: return map_again(operation);
        case 8: return cancel(operation);
        case 9: return configure(operation, current);
        case 10: return replace(operation, current);
        case 11:
        case 12: return strip(operation);
        case 13: return send_without_time(operation) || make_passive(operation, current);
        case 14: return wait_in_line(operation);
        case 15: return map(operation);
        case 16: return lose_space(operation);
        case 17: return use_signal(operation);
        case 18: return choices_.one_in(3) ? retype_at_border(operation) : retype_again(operation);
        default: return make_passive(operation, current) || configure(operation, current);
    }
}

std::optional<Ticks> Director::instant(const Slot* space) {
    space_ = space;
    auto has_refills = [](const Cap& cap) { return cap.as_object<SchedContext>().configured() && !cap.as_object<SchedContext>().round_robin(); };
    std::optional<uint64_t> chosen = holder_of(CapType::SchedContext, has_refills);
    if (!chosen) return std::nullopt;
    SchedContext& context = space_[*chosen].cap.as_object<SchedContext>();
    const Refill& first = context.first();
    const Refill& next = context.refill(context.count > 1 ? 1 : 0);
    switch (choices_.below(5)) {
        case 0: return first.time;
        case 1: return first.time + first.amount.raw;
        case 2: return next.time;
        case 3: return next.time - first.amount.raw;
        default: return next.time - context.period.raw;
    }
}

}  // namespace caprock::lockstep
