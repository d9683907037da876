// SPDX-License-Identifier: BSD-2-Clause
#include "director.hpp"

#include "cap/slot.hpp"

#include <map>

namespace caprock::lockstep {

using abi::Method;
using abi::Syscall;
using fuzz::Operation;
using fuzz::WordKind;

std::optional<Container> container_of(const Cap& cap) {
    if (!cap.is(CapType::CNode)) return std::nullopt;
    const auto& node = as<CNodeCap>(cap);
    uint64_t guard = node.radix() < 64 ? node.guard() << node.radix() : 0;
    return Container{arch::pointer<Slot>(cap.object()), uint64_t{1} << node.radix(), guard, node.guard_size() + node.radix()};
}

bool leads_to(const Tcb& thread, const Slot* slots) {
    constexpr uint64_t word_bits = 64;
    constexpr unsigned outer_bits = 1;
    const Cap* root = &thread.cap(TcbSlot::CSpace);
    if (!root->is(CapType::CNode)) return false;
    uint64_t bits = as<CNodeCap>(*root).guard_size() + as<CNodeCap>(*root).radix();
    if (as<CNodeCap>(*root).radix() == outer_bits) {
        root = &arch::pointer<Slot>(root->object())->cap;
        if (!root->is(CapType::CNode)) return false;
        bits += as<CNodeCap>(*root).guard_size() + as<CNodeCap>(*root).radix();
    }
    return arch::pointer<Slot>(root->object()) == slots && bits == word_bits;
}

void Director::call(Operation& operation, const Slot* space) {
    space_ = space;
    Method method = choose_method();
    start(operation);
    generator_.invocation(operation, method);
    const fuzz::MethodTable& table = fuzz::method_tables[static_cast<unsigned>(method)];
    choose_capabilities(operation, table);
    choose_slots(operation, table);
    if (keeps_to_plan()) details(operation);
    if (choices_.one_in(12)) spoil(operation, table);
    if (choices_.one_in(8)) go_to_border(operation, table);
    Syscall number = Syscall::Call;
    if (choices_.one_in(8)) number = choices_.one_of({Syscall::Send, Syscall::NBSend, Syscall::NBSendRecv, Syscall::NBSendWait});
    operation.x[7] = static_cast<uint64_t>(number);
    if (number != Syscall::NBSendRecv && number != Syscall::NBSendWait) return;
    operation.x[8] = operation.x[0];
    operation.x[0] = holder(mask_of(CapType::Endpoint) | mask_of(CapType::Notification)).value_or(0);
    operation.x[6] = holder(mask_of(CapType::Reply)).value_or(0);
}

// Of an object that the component has, mostly.
Method Director::choose_method() {
    Method method = Method::None;
    do {
        method = static_cast<Method>(1 + choices_.below(fuzz::method_count - 1));
    } while (!holder(mask_of(fuzz::method_tables[static_cast<unsigned>(method)].object)) && !choices_.one_in(8));
    return method;
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

void Director::receive_with(Operation& operation, uint64_t endpoint, uint64_t reply) {
    start(operation);
    operation.x[0] = endpoint;
    operation.x[6] = reply;
    operation.x[7] = static_cast<uint64_t>(Syscall::Recv) | (choices_.one_in(2) ? abi::syscall_flag_require_donation : 0);
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
    std::vector<uint64_t> found;
    for (uint64_t i = 0; i < space_slots; ++i) {
        if (!space_[i].empty() && (mask_of(space_[i].cap.type()) & types) != 0) found.push_back(i);
    }
    return one_of(found);
}

// Any of them, or any of one kind: there are many capabilities with all rights, and few with others.
std::optional<uint64_t> Director::one_of(const std::vector<uint64_t>& slots) {
    if (slots.empty()) return std::nullopt;
    auto kind = [&](uint64_t slot) {
        const Cap& cap = space_[slot].cap;
        return std::pair((cap.w0 & ~Cap::Pointer::mask), cap.w1 != 0);
    };
    if (!choices_.one_in(3)) return slots[choices_.below(slots.size())];
    std::map<std::pair<Word, bool>, std::vector<uint64_t>> kinds;
    for (uint64_t slot : slots) kinds[kind(slot)].push_back(slot);
    const std::vector<uint64_t>& chosen = std::next(kinds.begin(), static_cast<std::ptrdiff_t>(choices_.below(kinds.size())))->second;
    return chosen[choices_.below(chosen.size())];
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

std::optional<uint64_t> Director::own_cnode() {
    return holder_of(CapType::CNode, [&](const Cap& cap) { return arch::pointer<Slot>(cap.object()) == space_; });
}

// A slot of the component as its own CNode names it.
std::optional<Director::Place> Director::own_place(uint64_t slot) {
    std::optional<uint64_t> cnode = own_cnode();
    if (!cnode) return std::nullopt;
    std::optional<Container> container = container_of(space_[*cnode].cap);
    return Place{container->guard | slot, container->depth};
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
            word(operation, 2) = turn_length();
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

// What is allowed for an argument of that kind ends here, or somewhere near.
uint64_t Director::border_of(const fuzz::WordTable& entry) {
    constexpr uint64_t top = abi::user_top;
    constexpr uint64_t addresses[] = {0, 4096, 0x20'0000, 0x4000'0000, top - 0x4000'0000, top - 0x20'0000, top - 4096, top, uint64_t{1} << 63};
    constexpr uint64_t times[] = {10, 10, 11, 20, abi::timeout_max_us};
    constexpr uint64_t sizes[] = {1, 4, 5, 6, 8, 10, 11, 12, 16, 20, 21, 30, 32, 36, 47, 63, 64};
    constexpr uint64_t others[] = {1, 4, 8, 10, 16, 20, 36, 64, 256, 512, 1019, 1020, 4096, 0x20'0000, 0x4000'0000, uint64_t{1} << 63};
    switch (entry.kind) {
        case WordKind::Address: return choices_.one_of(addresses);
        case WordKind::Micros: return choices_.one_of(times);
        case WordKind::SizeBits:
        case WordKind::Depth: return choices_.one_of(sizes);
        case WordKind::Range:
        case WordKind::Mask:
        case WordKind::Power:
        case WordKind::Count: return choices_.one_in(6) ? choices_.one_of(others) : choices_.one_in(2) ? entry.low : entry.high;
        default: return choices_.one_of(others);
    }
}

// One word is at the border of what is allowed, or next to it.
void Director::go_to_border(Operation& operation, const fuzz::MethodTable& table) {
    if (table.word_count == 0) return;
    unsigned i = static_cast<unsigned>(choices_.below(table.word_count));
    uint64_t border = border_of(fuzz::word_tables[table.words + i]);
    word(operation, i) = choices_.one_in(2) ? border : border + choices_.below(3) - 1;
}

// A call that would succeed gets one argument that it does not expect.
void Director::go_wrong(Operation& operation) {
    const fuzz::MethodTable& table = fuzz::method_tables[static_cast<unsigned>(operation.method)];
    switch (choices_.below(4)) {
        case 0: return spoil(operation, table);
        case 1:
            if (table.cap_count != 0) operation.caps[choices_.below(table.cap_count)] = choices_.one_in(3) ? 0 : holder(~uint32_t{0}).value_or(0);
            return;
        default: return go_to_border(operation, table);
    }
}

// One thing is wrong: the message is too short, a depth or a count is out of range, the method is another object's, an address leads nowhere.
void Director::spoil(Operation& operation, const fuzz::MethodTable& table) {
    abi::MessageInfo info{operation.x[1]};
    constexpr uint64_t nowhere = uint64_t{1} << 40;
    switch (choices_.below(6)) {
        case 5: operation.caps[choices_.below(table.cap_count == 0 ? 1 : table.cap_count)] = nowhere; return;
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

}  // namespace caprock::lockstep
