// SPDX-License-Identifier: BSD-2-Clause
// Inspect: reading what other capabilities hold. Objects are told apart by opaque numbers: their addresses, encrypted under a key of this boot.
#include "object/inspect.hpp"

#include "object/invocation.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/vspace.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
constexpr uint32_t rotate_right(uint32_t word, unsigned bits) { return word >> bits | word << (32 - bits); }
constexpr uint32_t rotate_left(uint32_t word, unsigned bits) { return word << bits | word >> (32 - bits); }

// What ReadCNode and ReadTCBSlot tell of a capability, in their order.
struct Description {
    Word kind = 0;
    Word rights = 0;
    Word badge = 0;
    Word size_bits = 0;
    Word guard_size = 0;
    Word identity = 0;
};

Word identity_of(const Kernel& kernel, CapType type, const void* object) {
    return object == nullptr ? 0 : identity(kernel, type, arch::address_of(object));
}

Description describe(const Kernel& kernel, const Cap& cap) {
    Description told{.kind = static_cast<Word>(cap.type()), .identity = 0};
    Word size = 0;   // part of an untyped's identity: it may start where a smaller one starts
    switch (cap.type()) {
        case CapType::Untyped: told.size_bits = size = as<UntypedCap>(cap).size_bits().raw; break;
        case CapType::Endpoint:
        case CapType::Notification:
            told.rights = as<EndpointCap>(cap).rights().raw;
            told.badge = as<EndpointCap>(cap).badge().raw;
            break;
        case CapType::Reply: told.rights = CapRights::make(0, 0, as<ReplyCap>(cap).can_grant(), 0).raw; break;
        case CapType::CNode:
            told.badge = as<CNodeCap>(cap).guard();
            told.size_bits = as<CNodeCap>(cap).radix();
            told.guard_size = as<CNodeCap>(cap).guard_size();
            break;
        case CapType::SchedContext: told.size_bits = as<SchedContextCap>(cap).size_bits().raw; break;
        case CapType::Frame:
            told.rights = CapRights::make(as<FrameCap>(cap).can_write(), as<FrameCap>(cap).can_read(), 0, 0).raw;
            told.size_bits = as<FrameCap>(cap).size_bits().raw;
            told.badge = as<MappedCap>(cap).address().raw;
            break;
        case CapType::PageTable: told.badge = as<MappedCap>(cap).address().raw; break;
        case CapType::VSpace:
        case CapType::ASIDPool:
        case CapType::SchedControl:
        case CapType::IRQHandler: told.badge = as<VSpaceCap>(cap).number(); break;
        case CapType::SGISignal: told.badge = as<SgiSignalCap>(cap).irq().raw; break;
        default: break;
    }
    if (cap.object() != KernAddr(0)) told.identity = identity(kernel, cap.type(), cap.object(), size);
    return told;
}

// Whether a look at two capabilities says already that the one is not derived from the other.
bool unrelated(const Cap& parent, const Cap& child) {
    if (parent.is(CapType::Untyped)) return child.object() - parent.object() >= as<UntypedCap>(parent).size_bits().bytes();
    return parent.object() != child.object();
}

// The nearest capability before it that can be its parent is its parent: between the two stand only descendants of that one. Equal badges that have lost
// the original of theirs stand together behind a first of them, which has the same parent: nothing before that can have made them.
Word parent_in(const Slot* child, const Slot* first, Word count) {
    const Slot* slot = child->prev();
    for (unsigned i = 0; slot != nullptr && i < abi::inspect_parent_steps; ++i, slot = slot->prev()) {
        if (unrelated(slot->cap, child->cap)) continue;
        if (is_parent(*slot, *child)) return first <= slot && slot < first + count ? static_cast<Word>(slot - first) + 1 : 0;
        if (slot->first_badged()) child = slot;
    }
    return 0;
}

Invoked read_cnode(const Invocation& invocation) {
    using Args = abi::InspectReadCNodeArgs;
    auto args = invocation.args<Args>();
    Slot* argument = TRY(invocation.argument<CNodeCap>(Args::cap_cnode));
    const CNodeCap& cnode = as<CNodeCap>(argument->cap);
    Word count = Word{1} << cnode.radix();
    if (args.slot >= count) return Failure::range(0, count - 1);
    const Slot* first = arch::pointer<Slot>(cnode.object());
    const Slot& slot = first[args.slot];
    Description told = describe(invocation.kernel(), slot.cap);
    Word parent = slot.empty() ? 0 : parent_in(&slot, first, count);
    set_results(invocation.thread, {told.kind, told.rights, told.badge, told.size_bits, told.guard_size, told.identity, parent});
    return Outcome::Answered;
}

Invoked read_tcb_slot(const Invocation& invocation) {
    using Args = abi::InspectReadTCBSlotArgs;
    auto args = invocation.args<Args>();
    Slot* argument = TRY(invocation.argument<TcbCap>(Args::cap_tcb));
    if (args.slot >= tcb_slots) return Failure::range(0, tcb_slots - 1);
    Description told = describe(invocation.kernel(), argument->cap.as_object<Tcb>().slots[args.slot].cap);
    set_results(invocation.thread, {told.kind, told.rights, told.badge, told.size_bits, told.guard_size, told.identity});
    return Outcome::Answered;
}

Invoked read_tcb(const Invocation& invocation) {
    Slot* argument = TRY(invocation.argument<TcbCap>(abi::InspectReadTCBArgs::cap_tcb));
    const Kernel& kernel = invocation.kernel();
    const Tcb& thread = argument->cap.as_object<Tcb>();
    set_results(invocation.thread, {identity_of(kernel, CapType::TCB, &thread), static_cast<Word>(thread.state), thread.priority.raw,
                                    thread.max_priority.raw, thread.domain.raw, thread.core.raw, thread.flags,
                                    identity_of(kernel, CapType::SchedContext, thread.sched_context),
                                    identity_of(kernel, CapType::Notification, thread.bound_notification), thread.buffer.raw});
    return Outcome::Answered;
}

Invoked read_vspace(const Invocation& invocation) {
    using Args = abi::InspectReadVSpaceArgs;
    auto args = invocation.args<Args>();
    const VSpaceCap& space = *TRY(space_argument(invocation, Args::cap_vspace));
    if (args.vaddr >= abi::user_top) return Failure::invalid_argument(0);
    Walk found = walk(space.object(), UserVirtAddr(args.vaddr), last_level);
    Word size_bits = level_shift(found.level);
    if (!arch::entry_present(*found.entry)) {
        set_results(invocation.thread, {0, size_bits, 0, 0});
        return Outcome::Answered;
    }
    arch::PageAttributes attributes = arch::entry_attributes(*found.entry);
    set_results(invocation.thread, {identity(invocation.kernel(), CapType::Frame, arch::to_kernel(arch::entry_address(*found.entry))), size_bits,
                                    CapRights::make(attributes.write, attributes.read, 0, 0).raw,
                                    abi::VMAttributes::make(attributes.cacheable, 0, !attributes.execute).raw});
    return Outcome::Answered;
}

Invoked read_sched_context(const Invocation& invocation) {
    Slot* argument = TRY(invocation.argument<SchedContextCap>(abi::InspectReadSchedContextArgs::cap_sched_context));
    const Kernel& kernel = invocation.kernel();
    const SchedContext& context = argument->cap.as_object<SchedContext>();
    Word budget = micros_up(context.budget).raw;
    Word period = context.round_robin() ? budget : micros_down(context.period).raw;
    Word extra_refills = context.refill_max < min_refills ? 0 : context.refill_max - min_refills;
    set_results(invocation.thread, {identity_of(kernel, CapType::SchedContext, &context), budget, period, extra_refills, context.badge.raw,
                                    context.sporadic, context.core.raw, identity_of(kernel, CapType::TCB, context.tcb),
                                    identity_of(kernel, CapType::Notification, context.notification)});
    return Outcome::Answered;
}

Invoked read_untyped(const Invocation& invocation) {
    Slot* argument = TRY(invocation.argument<UntypedCap>(abi::InspectReadUntypedArgs::cap_untyped));
    const UntypedCap& untyped = as<UntypedCap>(argument->cap);
    Word size_bits = untyped.size_bits().raw;
    Word used = has_children(*argument) ? untyped.watermark() : 0;
    set_results(invocation.thread, {identity(invocation.kernel(), CapType::Untyped, untyped.object(), size_bits), size_bits,
                                    untyped.size_bits().bytes() - used, untyped.is_device()});
    return Outcome::Answered;
}

Invoked read_reply(const Invocation& invocation) {
    Slot* argument = TRY(invocation.argument<ReplyCap>(abi::InspectReadReplyArgs::cap_reply));
    const Kernel& kernel = invocation.kernel();
    const Reply& reply = argument->cap.as_object<Reply>();
    bool waits = reply.tcb != nullptr && reply.tcb->state == ThreadState::BlockedOnReply;
    set_results(invocation.thread, {identity_of(kernel, CapType::Reply, &reply), waits ? identity_of(kernel, CapType::TCB, reply.tcb) : 0});
    return Outcome::Answered;
}

Invoked read_irq_handler(const Invocation& invocation) {
    Slot* argument = TRY(invocation.argument<IrqHandlerCap>(abi::InspectReadIRQHandlerArgs::cap_irq_handler));
    const Kernel& kernel = invocation.kernel();
    Word irq = as<IrqHandlerCap>(argument->cap).number();
    Description told = describe(kernel, kernel.irq_notifications[irq].cap);
    set_results(invocation.thread, {irq, told.identity, told.badge});
    return Outcome::Answered;
}
}  // namespace

// Speck64/128 (R. Beaulieu et al., "The Simon and Speck families of lightweight block ciphers", 2013): a permutation, so that different
// objects have different numbers, which tells nothing about its inputs to who does not know the key.
Word encrypt(const uint32_t (&key)[4], Word block) {
    constexpr unsigned rounds = 27;
    uint32_t x = static_cast<uint32_t>(block >> 32);
    uint32_t y = static_cast<uint32_t>(block);
    uint32_t round_key = key[0];
    uint32_t schedule[3] = {key[1], key[2], key[3]};
    for (unsigned i = 0; i < rounds; ++i) {
        x = (rotate_right(x, 8) + y) ^ round_key;
        y = rotate_left(y, 3) ^ x;
        uint32_t& next = schedule[i % 3];
        next = (rotate_right(next, 8) + round_key) ^ i;
        round_key = rotate_left(round_key, 3) ^ next;
    }
    return Word{x} << 32 | y;
}

Word identity(const Kernel& kernel, CapType type, KernAddr object, Word size_bits) {
    constexpr unsigned address_bits = 48, type_bits = 8;
    Word block = (object.raw & ((Word{1} << address_bits) - 1)) | static_cast<Word>(type) << address_bits | size_bits << (address_bits + type_bits);
    return encrypt(kernel.identity_key, block);
}

Invoked invoke_inspect(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::InspectReadCNode: return read_cnode(invocation);
        case Method::InspectReadTCBSlot: return read_tcb_slot(invocation);
        case Method::InspectReadTCB: return read_tcb(invocation);
        case Method::InspectReadVSpace: return read_vspace(invocation);
        case Method::InspectReadSchedContext: return read_sched_context(invocation);
        case Method::InspectReadUntyped: return read_untyped(invocation);
        case Method::InspectReadReply: return read_reply(invocation);
        case Method::InspectReadIRQHandler: return read_irq_handler(invocation);
        default: return Failure::illegal_operation();
    }
}
}  // namespace caprock
