// SPDX-License-Identifier: BSD-2-Clause
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

constexpr uint64_t space_slots = uint64_t{1} << fuzz::space_bits;

constexpr uint32_t mask_of(CapType type) { return uint32_t{1} << static_cast<unsigned>(type); }

// Register of message word i.
constexpr unsigned word_register(unsigned i) { return i < 4 ? i + 2 : i + 5; }
uint64_t& word(Operation& operation, unsigned i) { return i < abi::ipc_register_words ? operation.x[word_register(i)] : operation.words[i]; }

struct Container {
    const Slot* slots;
    uint64_t count;
    uint64_t guard;
    uint64_t depth;
};
std::optional<Container> container_of(const Cap& cap) {
    if (!cap.is(CapType::CNode)) return std::nullopt;
    const auto& node = as<CNodeCap>(cap);
    uint64_t guard = node.radix() < 64 ? node.guard() << node.radix() : 0;
    return Container{arch::pointer<Slot>(cap.object()), uint64_t{1} << node.radix(), guard, node.guard_size() + node.radix()};
}

}  // namespace

void Director::call(Operation& operation, const Slot* space) {
    space_ = space;
    auto method = static_cast<Method>(1 + choices_.below(fuzz::method_count - 1));
    start(operation);
    generator_.invocation(operation, method);
    const fuzz::MethodTable& table = fuzz::method_tables[static_cast<unsigned>(method)];
    choose_capabilities(operation, table);
    choose_slots(operation, table);
    if (keeps_to_plan()) details(operation);
    if (choices_.one_in(12)) spoil(operation, table);
    Syscall number = Syscall::Call;
    if (choices_.one_in(8)) number = choices_.one_of({Syscall::Send, Syscall::NBSend, Syscall::NBSendRecv, Syscall::NBSendWait});
    operation.x[7] = static_cast<uint64_t>(number);
    if (number != Syscall::NBSendRecv && number != Syscall::NBSendWait) return;
    operation.x[8] = operation.x[0];
    operation.x[0] = holder(mask_of(CapType::Endpoint) | mask_of(CapType::Notification)).value_or(0);
    operation.x[6] = holder(mask_of(CapType::Reply)).value_or(0);
}

void Director::message(Operation& operation, const Slot* space) {
    constexpr uint32_t targets = mask_of(CapType::Endpoint) | mask_of(CapType::Notification);
    space_ = space;
    auto repair = [&](uint64_t& address, uint32_t types) {
        if (keeps_to_plan()) address = holder(types).value_or(address);
    };
    const Cap* target = cap_at(operation.x[0]);
    if (target == nullptr || target->is(CapType::Null)) repair(operation.x[0], targets);
    repair(operation.x[6], mask_of(CapType::Reply));
    const Cap* other = cap_at(operation.x[8]);
    if (other == nullptr || other->is(CapType::Null)) repair(operation.x[8], targets | mask_of(CapType::Reply) | mask_of(CapType::SGISignal));
}

void Director::debug_call(Operation& operation) {
    start(operation);
    bool prints = choices_.one_in(2);
    operation.x[0] = prints ? 'a' + choices_.below(26) : choices_.below(space_slots);
    operation.x[7] = static_cast<uint64_t>(prints ? Syscall::DebugPutChar : Syscall::DebugCapIdentify);
}

void Director::wait(Operation& operation, uint64_t target) {
    start(operation);
    operation.x[0] = target;
    operation.x[7] = static_cast<uint64_t>(choices_.one_in(3) ? Syscall::NBSendWait : Syscall::Wait);
    operation.x[8] = 0;
}

// What the operation does not use is a pattern of its own.
void Director::start(Operation& operation) {
    operation = Operation{};
    uint64_t salt = uint64_t{0x7700'0000'0000} | choices_.below(256) << 16;
    for (uint64_t& x : operation.x) x = salt++;
}

// -- What there is

const Cap* Director::cap_at(uint64_t address) const { return address < space_slots ? &space_[address].cap : nullptr; }

std::optional<uint64_t> Director::holder(uint32_t types) {
    uint64_t found[space_slots];
    uint64_t count = 0;
    for (uint64_t i = 0; i < space_slots; ++i) {
        if (!space_[i].empty() && (mask_of(space_[i].cap.type()) & types) != 0) found[count++] = i;
    }
    if (count == 0) return std::nullopt;
    return found[choices_.below(count)];
}

// A slot of a CNode that the kind of argument asks for.
std::optional<Director::Place> Director::place_in(uint64_t root, WordKind kind, Method method) {
    const Cap* cap = cap_at(root);
    std::optional<Container> container = cap == nullptr ? std::nullopt : container_of(*cap);
    if (!container) return std::nullopt;
    auto fits = [&](const Slot& slot) {
        if (kind == WordKind::Target) return slot.empty();
        if (method == Method::CNodeCancelBadgedSends) return slot.cap.is(CapType::Endpoint);
        // What holds memory together should not always go first.
        if (method == Method::CNodeRevoke && slot.cap.is(CapType::Untyped) && !choices_.one_in(8)) return false;
        return !slot.empty();
    };
    std::vector<uint64_t> found;
    for (uint64_t i = 0; i < container->count; ++i) {
        if (fits(container->slots[i])) found.push_back(i);
    }
    if (found.empty()) return std::nullopt;
    uint64_t i = found[choices_.below(found.size())];
    return Place{container->guard | i, container->depth};
}

// -- Arguments

void Director::choose_capabilities(Operation& operation, const fuzz::MethodTable& table) {
    if (keeps_to_plan()) operation.x[0] = holder(mask_of(table.object)).value_or(operation.x[0]);
    for (unsigned i = 0; i < table.cap_count; ++i) {
        const fuzz::CapTable& argument = fuzz::cap_tables[table.caps + i];
        if (argument.optional && choices_.one_in(4)) {
            operation.caps[i] = 0;
        } else if (keeps_to_plan()) {
            operation.caps[i] = holder(argument.kinds).value_or(operation.caps[i]);
        }
    }
}

void Director::choose_slots(Operation& operation, const fuzz::MethodTable& table) {
    if (operation.method == Method::UntypedRetype) return retype(operation);
    for (unsigned i = 0; i + 1 < table.word_count; ++i) {
        const fuzz::WordTable& entry = fuzz::word_tables[table.words + i];
        bool names_slot = entry.kind == WordKind::Index || entry.kind == WordKind::Source || entry.kind == WordKind::Target;
        if (!names_slot || !keeps_to_plan()) continue;
        std::optional<Place> place = place_in(entry.root == 0 ? operation.x[0] : operation.caps[entry.root - 1], entry.kind, operation.method);
        if (!place) continue;
        word(operation, i) = place->index;
        if (keeps_to_plan()) word(operation, i + 1) = place->depth;
    }
}

// Into the CNode that the address names itself, at a run of empty slots.
void Director::retype(Operation& operation) {
    const Cap* root = cap_at(operation.caps[0]);
    std::optional<Container> container = root == nullptr ? std::nullopt : container_of(*root);
    if (!container || !keeps_to_plan()) return;
    word(operation, 2) = 0;
    word(operation, 3) = 0;
    uint64_t count = 1 + choices_.below(4);
    uint64_t start = choices_.below(container->count);
    for (uint64_t i = 0; i < container->count; ++i) {
        uint64_t first = (start + i) % container->count;
        uint64_t run = 0;
        while (run < count && first + run < container->count && container->slots[first + run].empty()) ++run;
        if (run == 0) continue;
        word(operation, 4) = first;
        word(operation, 5) = choices_.one_in(8) ? count : run;
        return;
    }
}

void Director::breakpoint(Operation& operation) {
    bool instruction = choices_.one_in(2);
    uint64_t count = instruction ? host::hardware.breakpoints : host::hardware.watchpoints;
    word(operation, 0) = (instruction ? 0 : host::hardware.breakpoints) + choices_.below(count);
    word(operation, 2) = static_cast<uint64_t>(instruction ? abi::BreakpointType::Instruction : abi::BreakpointType::Data);
    word(operation, 3) = instruction ? 0 : uint64_t{1} << choices_.below(4);
    word(operation, 1) &= ~uint64_t{instruction ? 3u : 7u};
    word(operation, 4) = instruction ? 0 : choices_.below(3);
}

// Words that belong together.
void Director::details(Operation& operation) {
    switch (operation.method) {
        case Method::TCBSetBreakpoint: return breakpoint(operation);
        case Method::TCBGetBreakpoint:
        case Method::TCBUnsetBreakpoint: word(operation, 0) = choices_.below(host::hardware.breakpoints + host::hardware.watchpoints); return;
        case Method::TCBConfigureSingleStepping:
            word(operation, 0) = 0;
            word(operation, 1) = choices_.below(4);
            return;
        case Method::TCBSetFlags: word(operation, 1) &= 1; return;
        case Method::TCBSetAffinity: word(operation, 0) = 0; return;
        case Method::DomainScheduleConfigure:
            word(operation, 0) = choices_.below(4);
            word(operation, 1) = choices_.below(3);
            word(operation, 2) = choices_.one_in(4) ? 0 : 10 + choices_.below(1'000);
            return;
        case Method::DomainScheduleSetStart: word(operation, 0) = choices_.below(4); return;
        case Method::FrameCleanData:
        case Method::FrameInvalidateData:
        case Method::FrameCleanInvalidateData:
        case Method::FrameUnifyInstruction: {
            const Cap* frame = cap_at(operation.x[0]);
            if (frame == nullptr || !frame->is(CapType::Frame)) return;
            uint64_t bytes = as<FrameCap>(*frame).size_bits().bytes();
            word(operation, 0) = choices_.below(bytes < 100'000 ? bytes : 100'000);
            word(operation, 1) = word(operation, 0) + 1 + choices_.below(bytes - word(operation, 0) < 100'000 ? bytes - word(operation, 0) : 100'000);
            return;
        }
        case Method::SchedControlConfigureFlags: word(operation, 2) = choices_.below(3); return;
        default: return;
    }
}

// One thing is wrong: the message is too short, a depth or a count is out of range, the method is another object's.
void Director::spoil(Operation& operation, const fuzz::MethodTable& table) {
    abi::MessageInfo info{operation.x[1]};
    switch (choices_.below(5)) {
        case 4: operation.x[1] = abi::MessageInfo::make(info.length(), info.extra_caps(), 0, choices_.below(fuzz::method_count + 2)).raw; return;
        case 0: operation.x[1] = abi::MessageInfo::make(info.length() == 0 ? 0 : choices_.below(info.length()), info.extra_caps(), 0, info.label()).raw; return;
        case 1: {
            Word fewer = info.extra_caps() == 0 ? 0 : choices_.below(info.extra_caps());
            operation.x[1] = abi::MessageInfo::make(info.length(), fewer, 0, info.label()).raw;
            return;
        }
        case 2:
            for (unsigned i = 0; i < table.word_count; ++i) {
                if (fuzz::word_tables[table.words + i].kind == WordKind::Depth) word(operation, i) = choices_.one_in(2) ? 0 : 65 + choices_.below(100);
            }
            return;
        default:
            if (operation.method == Method::TCBSetBreakpoint) word(operation, 1) |= 1;
            if (operation.method != Method::TCBWriteRegisters) return;
            word(operation, 1) = 37 + choices_.below(20);
            operation.message_words = 70;
            operation.x[1] = abi::MessageInfo::make(operation.message_words, 0, 0, info.label()).raw;
    }
}

// -- Opportunities

template <class Fits>
std::optional<uint64_t> Director::holder_of(CapType type, Fits fits) {
    uint64_t found[space_slots];
    uint64_t count = 0;
    for (uint64_t i = 0; i < space_slots; ++i) {
        if (space_[i].cap.is(type) && fits(space_[i].cap)) found[count++] = i;
    }
    if (count == 0) return std::nullopt;
    return found[choices_.below(count)];
}

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
    std::optional<uint64_t> cnode = holder(mask_of(CapType::CNode));
    std::optional<Place> place = cnode ? place_in(*cnode, WordKind::Target, Method::None) : std::nullopt;
    if (!place) return;
    operation.receive_cnode = *cnode;
    operation.receive_index = place->index;
    operation.receive_depth = place->depth;
}

bool Director::answer(Operation& operation) {
    auto waits = [](const Cap& cap) {
        const Tcb* thread = cap.as_object<Reply>().tcb;
        return thread != nullptr && thread->state == ThreadState::BlockedOnReply;
    };
    std::optional<uint64_t> reply = holder_of(CapType::Reply, waits);
    if (!reply) return false;
    auto endpoint = holder(mask_of(CapType::Endpoint)).value_or(0);
    switch (choices_.below(4)) {
        case 0: write_message(operation, Syscall::Send, *reply); return true;
        case 1:
            write_message(operation, Syscall::ReplyRecv, endpoint);
            operation.x[6] = *reply;
            return true;
        case 2:
            write_message(operation, choices_.one_in(2) ? Syscall::NBSendRecv : Syscall::NBSendWait, endpoint);
            operation.x[8] = *reply;
            return true;
        default: write_message(operation, choices_.one_in(2) ? Syscall::NBSend : Syscall::Call, *reply); return true;
    }
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
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, is_ready);
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

bool Director::cancel(Operation& operation) {
    auto has_senders = [](const Cap& cap) { return cap.as_object<Endpoint>().sending() && as<EndpointCap>(cap).badge().raw != 0; };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, has_senders);
    auto is_space = [&](const Cap& cap) { return arch::pointer<Slot>(cap.object()) == space_; };
    std::optional<uint64_t> cnode = holder_of(CapType::CNode, is_space);
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
    uint64_t period = budget + (choices_.one_in(3) ? 0 : choices_.below(3'000));
    invoke(operation, Method::SchedControlConfigureFlags, *control, {budget, period, choices_.below(3), choices_.below(256), choices_.below(2)}, {*context});
    return true;
}

// A slot of the component as its own CNode names it.
std::optional<Director::Place> Director::own_place(uint64_t slot) {
    std::optional<uint64_t> cnode = holder_of(CapType::CNode, [&](const Cap& cap) { return arch::pointer<Slot>(cap.object()) == space_; });
    if (!cnode) return std::nullopt;
    std::optional<Container> container = container_of(space_[*cnode].cap);
    return Place{container->guard | slot, container->depth};
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
    uint64_t found[space_slots];
    uint64_t count = 0;
    for (uint64_t i = 0; i < space_slots; ++i) {
        const Cap& cap = space_[i].cap;
        bool made_here = (cap.is(CapType::CNode) || cap.is(CapType::Endpoint) || cap.is(CapType::Notification)) && space_[i].revocable();
        if (made_here) found[count++] = i;
    }
    if (count == 0) return false;
    uint64_t slot = found[choices_.below(count)];
    std::optional<uint64_t> thread = holder(mask_of(CapType::TCB));
    std::optional<uint64_t> handler = holder(mask_of(CapType::IRQHandler));
    std::optional<Place> place = own_place(slot);
    CapType type = space_[slot].cap.type();
    if (place && choices_.one_in(2)) {
        invoke(operation, Method::CNodeDelete, holder_of(CapType::CNode, [&](const Cap& cap) { return arch::pointer<Slot>(cap.object()) == space_; }).value(),
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
        return as<EndpointCap>(cap).can_send() && receiver != nullptr && receiver->requires_donation && receiver->sched_context == nullptr;
    };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, wants_time);
    if (!endpoint) return false;
    write_message(operation, choices_.one_of({Syscall::Send, Syscall::NBSend, Syscall::Call}), *endpoint);
    return true;
}

// A thread that waits for messages and time loses its own time.
bool Director::make_passive(Operation& operation, const Tcb& current) {
    auto waits = [&](const Cap& cap) {
        const Tcb* thread = cap.as_object<SchedContext>().tcb;
        return thread != nullptr && thread != &current && thread->state == ThreadState::BlockedOnReceive && thread->requires_donation;
    };
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, waits);
    if (!context) return false;
    invoke(operation, Method::SchedContextUnbind, *context, {}, {});
    return true;
}

bool Director::opportunity(Operation& operation, const Slot* space, const Tcb& current) {
    space_ = space;
    switch (choices_.below(14)) {
        case 10: return replace(operation, current);
        case 11:
        case 12: return strip(operation);
        case 13: return send_without_time(operation) || make_passive(operation, current);
        case 0:
        case 1: return answer(operation);
        case 2:
        case 3: return send(operation);
        case 4: return receive(operation);
        case 5: return yield_to(operation, current);
        case 6: return rotate(operation);
        case 7: return map_again(operation);
        case 8: return cancel(operation);
        default: return configure(operation, current);
    }
}

}  // namespace caprock::lockstep
