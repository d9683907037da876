// SPDX-License-Identifier: BSD-2-Clause
#include "generator.hpp"

namespace caprock::fuzz {

namespace {

using abi::Method;
using abi::ObjectType;
using abi::Syscall;

constexpr unsigned register_words = abi::ipc_register_words;

// Words that are at the edge of something.
constexpr uint64_t edges[] = {
    0, 1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 15, 16, 31, 32, 63, 64, 65, 119, 120, 121, 127, 128, 255, 256, 511, 512, 1023, 1024, 4095, 4096,
    0x20'0000, 0x3fff'ffff, 0x4000'0000, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff, 0x1'0000'0000, abi::user_top - 4096, abi::user_top - 1,
    abi::user_top, uint64_t{1} << 55, uint64_t{1} << 62, (uint64_t{1} << 63) - 1, uint64_t{1} << 63, ~uint64_t{0} - 4095, ~uint64_t{0},
};

// Where calls map and what they maintain: neighbours at each level.
constexpr uint64_t places[] = {0x1000'0000, 0x1000'1000, 0x1000'2000, 0x1020'0000, 0x4000'0000, 0x80'0000'0000};

// Methods that make up much of what a component does; the others come once in a while.
constexpr Method frequent[] = {
    Method::UntypedRetype, Method::UntypedRetype, Method::UntypedRetype, Method::CNodeCopy, Method::CNodeCopy, Method::CNodeMint, Method::CNodeMint,
    Method::CNodeMove, Method::CNodeMutate, Method::CNodeDelete, Method::CNodeDelete, Method::CNodeDelete, Method::CNodeRevoke, Method::FrameMap,
    Method::PageTableMap, Method::SchedControlConfigureFlags, Method::SchedContextBind, Method::TCBResume, Method::TCBWriteRegisters,
};

// The type of capability that an object of this type is held by.
CapType held_by(uint64_t object) {
    switch (static_cast<ObjectType>(object)) {
        case ObjectType::Untyped: return CapType::Untyped;
        case ObjectType::TCB: return CapType::TCB;
        case ObjectType::Endpoint: return CapType::Endpoint;
        case ObjectType::Notification: return CapType::Notification;
        case ObjectType::CNode: return CapType::CNode;
        case ObjectType::SchedContext: return CapType::SchedContext;
        case ObjectType::Reply: return CapType::Reply;
        case ObjectType::VSpace: return CapType::VSpace;
        case ObjectType::PageTable: return CapType::PageTable;
        default: return CapType::Frame;
    }
}

// Register of message word i.
constexpr unsigned word_register(unsigned i) { return i < 4 ? i + 2 : i + 5; }

}  // namespace

bool Operation::writes_registers() const {
    // What no method was meant to be may still be one.
    switch (static_cast<Method>(abi::MessageInfo{x[1]}.label())) {
        case Method::TCBWriteRegisters:
        case Method::TCBCopyRegisters:
        case Method::TCBSetTLSBase: return true;
        default: return false;
    }
}

void Generator::forbid(Forbidden range) {
    if (forbidden_count_ == most_forbidden) __builtin_trap();
    forbidden_[forbidden_count_++] = range;
}

bool Generator::is_forbidden(uint64_t word) const {
    for (unsigned i = 0; i < forbidden_count_; ++i) {
        if (forbidden_[i].holds(word)) return true;
    }
    return false;
}

// What the operation does not use is there to be leaked: a pattern of its own.
void Generator::start(Operation& operation) {
    constexpr uint64_t pattern = 0x7700'0000'0000;
    uint64_t salt = pattern | choices_.below(256) << 16;
    operation = Operation{};
    for (unsigned i = 0; i < sizeof operation.x / sizeof operation.x[0]; ++i) operation.x[i] = salt + i;
}

void Generator::next(Operation& operation, bool server) {
    start(operation);
    if (server && !choices_.one_in(4)) return serve(operation);
    switch (choices_.below(32)) {
        case 0: return fault(operation);
        case 1: operation.kind = Operation::Kind::UseFpu; return;
        case 2: return unknown_call(operation);
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
        case 9:
        case 10:
        case 11: return communicate(operation);
        default: return call_method(operation);
    }
}

// -- Words

uint64_t Generator::any_word() {
    uint64_t word = 0;
    switch (choices_.below(4)) {
        case 0: word = choices_.one_of(edges); break;
        case 1: word = choices_.word(); break;
        case 2: word = uint64_t{1} << choices_.below(64); break;
        default: word = choices_.below(256); break;
    }
    // Wherever the word ends, it must not become the number of the system call that stops a debug kernel.
    if ((word & abi::syscall_number_mask) == static_cast<uint64_t>(Syscall::DebugHalt)) word ^= 2;
    return is_forbidden(word) ? word & 0xffff : word;
}

uint64_t Generator::any_address() { return choices_.one_in(16) ? any_word() : choices_.below(uint64_t{1} << space_bits); }

CapType Generator::any_shelf() { return static_cast<CapType>(1 + choices_.below(cap_types - 1)); }

CapType Generator::one_type(uint32_t kinds) {
    // Few arguments take two types, and none more.
    uint32_t others = kinds & (kinds - 1);
    if (others != 0 && choices_.one_in(2)) kinds = others;
    return static_cast<CapType>(__builtin_ctz(kinds));
}

uint64_t Generator::likely(CapType type) { return choices_.one_in(16) ? any_address() : slot_of(type); }

// A slot that most likely holds a capability of the type: who calls to an empty one is stopped by a fault.
uint64_t Generator::held(CapType type) {
    if (choices_.one_in(32)) return any_address();
    return choices_.one_in(3) ? slot_of(type) : shelf_slot(type, choices_.below(given(type)));
}

// A slot that is often empty: one that nothing was put into at first.
uint64_t Generator::empty(CapType type) {
    unsigned first = given(type);
    unsigned rest = shelf_size(type) - first;
    return rest == 0 || choices_.one_in(8) ? likely(type) : shelf_slot(type, first + choices_.below(rest));
}

uint64_t Generator::slot_address(WordKind kind, uint64_t root) {
    if (is_child_place(root)) return choices_.below(1 << child_bits);
    switch (kind) {
        case WordKind::Source: return held(theme_);
        case WordKind::Target: return empty(theme_);
        // Mostly one that the component has made itself: what it deletes of its first capabilities it has to do without for some time.
        default: return choices_.one_in(6) ? likely(theme_) : empty(theme_);
    }
}

uint64_t Generator::capability(const CapTable& table) {
    if (table.optional && choices_.one_in(4)) return 0;
    return held(one_type(table.kinds));
}

uint64_t Generator::micros() {
    if (choices_.one_in(12)) return any_word();
    return 10 + (choices_.one_in(3) ? choices_.below(100) : choices_.below(20'000));
}

// Mostly one that keeps the addresses of a CNode of the component as they are.
uint64_t Generator::guard() {
    if (choices_.one_in(3)) return 0;
    if (choices_.one_in(4)) return any_word();
    return abi::CNodeCapData::make(64 - space_bits, 0).raw;
}

uint64_t Generator::user_address() {
    if (choices_.one_in(12)) return any_word();
    // What a thread executes, which a breakpoint can stop.
    if (choices_.one_in(8)) return code_address + 4 * choices_.below(4);
    uint64_t address = choices_.one_of(places);
    if (choices_.one_in(4)) address += choices_.below(8) * 1024;
    return choices_.one_in(24) ? 0 : address;
}

uint64_t Generator::in_range(uint64_t low, uint64_t high) {
    uint64_t width = high - low + 1;
    if (choices_.one_in(24)) return choices_.one_in(2) ? high + 1 : low - 1;
    if (choices_.one_in(24)) return any_word();
    // What stands at an index does so more often at a low one.
    return low + (choices_.one_in(2) && width > 6 ? choices_.below(1 + choices_.below(6)) : choices_.below(width));
}

uint64_t& Generator::word(Operation& operation, unsigned i) {
    return i < register_words ? operation.x[word_register(i)] : operation.words[i];
}

// -- Methods

Method Generator::any_method() {
    if (choices_.one_in(2)) return choices_.one_of(frequent);
    // One more than there are: no method.
    return static_cast<Method>(1 + choices_.below(method_count));
}

// Of a few methods only one type of slot has something to do.
CapType Generator::theme_of(Method method) {
    switch (method) {
        case Method::CNodeCancelBadgedSends: return CapType::Endpoint;
        case Method::CNodeRevoke: return choices_.one_in(3) ? CapType::Untyped : any_shelf();
        case Method::ASIDControlMakePool: return CapType::ASIDPool;
        case Method::IRQControlGet: return CapType::IRQHandler;
        case Method::IRQControlIssueSGISignal: return CapType::SGISignal;
        default: return any_shelf();
    }
}

uint64_t Generator::word_for(const WordTable& table, const Operation& operation, unsigned position) {
    // The CNode under which an address is resolved: a small one has other slots and another depth.
    uint64_t root = table.root == 0 ? invoked_ : operation.caps[table.root - 1];
    switch (table.kind) {
        case WordKind::Range: return in_range(table.low, table.high);
        case WordKind::Mask: return choices_.one_in(32) ? any_word() : choices_.one_in(2) ? table.high : choices_.below(table.high + 1);
        case WordKind::Guard: return guard();
        case WordKind::Index:
        case WordKind::Source:
        case WordKind::Target: return slot_address(table.kind, root);
        case WordKind::Depth:
            if (choices_.one_in(24)) return in_range(0, 64);
            return is_child_place(root) ? child_bits : space_depth;
        case WordKind::Address: return user_address();
        case WordKind::Bytes: return choices_.one_in(12) ? any_word() : choices_.below(2) * choices_.below(page_bytes);
        case WordKind::Micros: return micros();
        case WordKind::SizeBits: return in_range(4, 12);
        case WordKind::After: {
            uint64_t before = operation.x[word_register(position - 1)];
            if (choices_.one_in(16)) return any_word();
            return before + choices_.one_of({0u, 1u, 64u, 4096u, 100u}) * choices_.below(17);
        }
        case WordKind::Power:
            if (choices_.one_in(16)) return any_word();
            return choices_.one_in(3) ? 0 : uint64_t{1} << choices_.below(64 - static_cast<unsigned>(__builtin_clzll(table.high)));
        case WordKind::Count: return in_range(0, table.high);
        default: return any_word();
    }
}

void Generator::invocation(Operation& operation, Method method) {
    const MethodTable& table = method_tables[static_cast<unsigned>(method)];
    invoked_ = held(table.object);
    theme_ = theme_of(method);
    if (is_on_shelf(table.object, invoked_)) operation.method = method;
    operation.x[0] = invoked_;
    for (unsigned i = 0; i < table.cap_count; ++i) operation.caps[i] = capability(cap_tables[table.caps + i]);
    uint64_t tail = 0;
    for (unsigned i = 0; i < table.word_count; ++i) {
        const WordTable& entry = word_tables[table.words + i];
        word(operation, i) = word_for(entry, operation, i);
        if (entry.kind == WordKind::Count) tail = word(operation, i) <= entry.high ? word(operation, i) : entry.high;
    }
    if (method == Method::UntypedRetype) retype(operation);
    if (tail != 0) add_tail(operation, table.word_count, tail);
    finish(operation, static_cast<uint64_t>(method), table.word_count + tail, table.cap_count);
}

// New objects go to the shelf of their type, and are small.
void Generator::retype(Operation& operation) {
    uint64_t& type = word(operation, 0);
    uint64_t& size = word(operation, 1);
    uint64_t& depth = word(operation, 3);
    uint64_t& offset = word(operation, 4);
    uint64_t& count = word(operation, 5);
    if (type == static_cast<uint64_t>(ObjectType::CNode) && !choices_.one_in(8)) size = child_bits;
    if (type == static_cast<uint64_t>(ObjectType::SchedContext) && !choices_.one_in(8)) size = 7 + choices_.below(3);
    // Of a page an ASID pool can be made.
    if (type == static_cast<uint64_t>(ObjectType::Untyped) && choices_.one_in(2)) size = page_bits;
    if (choices_.one_in(16)) return;
    count = choices_.one_in(3) ? 1 + choices_.below(3) : 1;
    bool small = is_child_place(operation.caps[0]);
    offset = small ? choices_.below(1 << child_bits) : empty(held_by(type));
    if (!choices_.one_in(8)) depth = 0;
}

// Registers of a thread: mostly such that it goes on with the component's code.
void Generator::add_tail(Operation& operation, unsigned word_count, uint64_t tail_words) {
    for (unsigned i = 0; i < tail_words; ++i) {
        bool is_pc = i == 0;
        word(operation, word_count + i) = is_pc && !choices_.one_in(4) ? code_address : any_word();
    }
}

void Generator::finish(Operation& operation, uint64_t label, uint64_t words, uint64_t caps) {
    if (choices_.one_in(32)) words = choices_.below(128);
    if (choices_.one_in(32)) caps = choices_.below(4);
    operation.message_words = static_cast<unsigned>(words < abi::ipc_message_words ? words : uint64_t{abi::ipc_message_words});
    operation.x[1] = abi::MessageInfo::make(words, caps, choices_.one_in(64) ? 7 : 0, label).raw;
}

void Generator::call_method(Operation& operation) {
    Method method = any_method();
    if (static_cast<unsigned>(method) >= method_count) {
        operation.x[0] = any_address();
        operation.x[1] = any_word();
    } else {
        invocation(operation, method);
    }
    Syscall number = Syscall::Call;
    switch (choices_.below(16)) {
        case 0: number = Syscall::Send; break;
        case 1: number = Syscall::NBSend; break;
        case 2: number = choices_.one_in(2) ? Syscall::NBSendRecv : Syscall::NBSendWait; break;
        default: break;
    }
    operation.x[7] = static_cast<uint64_t>(number);
    if (number != Syscall::NBSendRecv && number != Syscall::NBSendWait) return;
    operation.x[8] = operation.x[0];
    operation.x[0] = held(choices_.one_in(2) ? CapType::Endpoint : CapType::Notification);
    operation.x[6] = held(CapType::Reply);
}

// -- Messages

// The kind of message that programs send most: short, without capabilities, between partners that know each other.
void Generator::speak_plainly(Operation& operation, Syscall number) {
    uint64_t length = choices_.one_in(8) ? choices_.below(abi::ipc_message_words + 1) : choices_.below(register_words + 1);
    for (unsigned i = 0; i < length; ++i) word(operation, i) = any_word();
    finish(operation, choices_.below(8), length, 0);
    operation.x[0] = shelf_slot(CapType::Endpoint, 0);
    operation.x[6] = shelf_slot(CapType::Reply, 0);
    operation.x[7] = static_cast<uint64_t>(number);
    operation.x[8] = operation.x[0];
}

// A signal, or a look at one, through a capability of either badge.
void Generator::signal_plainly(Operation& operation) {
    static constexpr Syscall numbers[] = {Syscall::Send, Syscall::NBSend, Syscall::Call, Syscall::NBWait, Syscall::NBRecv, Syscall::Wait};
    operation.x[0] = shelf_slot(CapType::Notification, choices_.one_in(2) ? 0 : given(CapType::Notification) / 2);
    operation.x[6] = shelf_slot(CapType::Reply, 0);
    operation.x[7] = static_cast<uint64_t>(choices_.one_of(numbers));
}

void Generator::await(Operation& operation, Meeting meeting) {
    start(operation);
    if (meeting == Meeting::Message || meeting == Meeting::Fault) return speak_plainly(operation, Syscall::Recv);
    operation.x[0] = shelf_slot(CapType::Notification, console_line);
    operation.x[7] = static_cast<uint64_t>(Syscall::Wait);
}

void Generator::wake(Operation& operation, Meeting meeting) {
    start(operation);
    if (meeting == Meeting::Message) return speak_plainly(operation, Syscall::Send);
    operation.x[0] = shelf_slot(CapType::Notification, given(CapType::Notification) / 2 + console_line);
    operation.x[7] = static_cast<uint64_t>(Syscall::NBSend);
    if (meeting == Meeting::Interrupt) operation.kind = Operation::Kind::Interrupt;
    if (meeting == Meeting::Fault) operation.kind = Operation::Kind::MemoryFault;
}

void Generator::acknowledge(Operation& operation) {
    start(operation);
    operation.method = Method::IRQHandlerAck;
    operation.x[0] = shelf_slot(CapType::IRQHandler, console_line);
    finish(operation, static_cast<uint64_t>(Method::IRQHandlerAck), 0, 0);
    operation.x[7] = static_cast<uint64_t>(Syscall::Call);
}

void Generator::yield(Operation& operation) {
    start(operation);
    operation.x[7] = static_cast<uint64_t>(Syscall::Yield);
}

void Generator::serve(Operation& operation) { speak_plainly(operation, choices_.one_in(4) ? Syscall::Recv : Syscall::ReplyRecv); }

void Generator::converse(Operation& operation, bool server) {
    start(operation);
    if (choices_.one_in(6)) return signal_plainly(operation);
    if (server) {
        serve(operation);
        if (choices_.one_in(4)) operation.x[7] |= abi::syscall_flag_require_donation;
    } else {
        speak_plainly(operation, choices_.one_in(4) ? Syscall::Send : Syscall::Call);
        // The same endpoint, with a badge.
        if (choices_.one_in(2)) operation.x[0] = shelf_slot(CapType::Endpoint, given(CapType::Endpoint) / 2);
    }
}

void Generator::communicate(Operation& operation) {
    static constexpr Syscall calls[] = {
        Syscall::Call, Syscall::Call, Syscall::Call, Syscall::ReplyRecv, Syscall::ReplyRecv, Syscall::ReplyRecv, Syscall::Send, Syscall::NBSend,
        Syscall::Recv, Syscall::Recv, Syscall::NBRecv, Syscall::Wait, Syscall::NBWait, Syscall::NBSendRecv, Syscall::NBSendWait, Syscall::Yield,
    };
    static constexpr CapType targets[] = {
        CapType::Endpoint, CapType::Endpoint, CapType::Endpoint, CapType::Notification, CapType::Reply, CapType::SGISignal,
    };
    static constexpr unsigned lengths[] = {0, 0, 1, 3, 4, 11, 12, 13, 20, 120};
    Syscall number = choices_.one_of(calls);
    if (choices_.one_in(2)) return speak_plainly(operation, choices_.one_in(4) ? number : Syscall::Call);
    uint64_t length = choices_.one_of(lengths);
    for (unsigned i = 0; i < length; ++i) word(operation, i) = i < 2 ? any_word() : 0x5a00 + i;
    for (uint64_t& cap : operation.caps) cap = choices_.one_in(8) ? any_address() : held(any_shelf());
    operation.x[0] = held(choices_.one_of(targets));
    finish(operation, choices_.below(8), length, choices_.below(4));
    operation.x[6] = held(CapType::Reply);
    operation.x[7] = static_cast<uint64_t>(number) | (choices_.one_in(4) ? abi::syscall_flag_require_donation : 0);
    operation.x[8] = held(choices_.one_of(targets));
    point_receive_slot(operation);
}

void Generator::point_receive_slot(Operation& operation) {
    operation.receive_cnode = held(CapType::CNode);
    bool small = is_child_place(operation.receive_cnode);
    operation.receive_index = small ? choices_.below(1 << child_bits) : choices_.below(uint64_t{1} << space_bits);
    operation.receive_depth = choices_.one_in(16) ? any_word() : small ? child_bits : space_depth;
}

void Generator::unknown_call(Operation& operation) {
    for (uint64_t& x : operation.x) x = choices_.one_in(4) ? any_word() : any_address();
    uint64_t& number = operation.x[7];
    if (choices_.one_in(4)) number = static_cast<uint64_t>(Syscall::DebugCapIdentify);
    uint64_t low = number & abi::syscall_number_mask;
    bool prints = low == static_cast<uint64_t>(Syscall::DebugPutChar);
    if (prints || low == static_cast<uint64_t>(Syscall::DebugHalt)) number = 0;
    operation.message_words = 0;
}

void Generator::fault(Operation& operation) {
    operation.kind = choices_.one_in(2) ? Operation::Kind::MemoryFault : Operation::Kind::Exception;
    operation.x[0] = choices_.one_in(2) ? user_address() : any_word();
    operation.x[1] = any_word();
}

}  // namespace caprock::fuzz
