// SPDX-License-Identifier: BSD-2-Clause
// Untyped::Retype: memory becomes objects. The watermark divides an untyped into memory in use, below, and free memory; it goes back to the
// start when the untyped has no children. New objects hold zeroes, and of frames also memory does: what was there never reaches user level.
#include "cap/slot.hpp"
#include "core/panic.hpp"
#include "object/endpoint.hpp"
#include "object/invocation.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/tcb.hpp"

namespace caprock {

namespace {

constexpr Word clear_step = 4 * page_size;   // memory cleared between two preemption points
constexpr unsigned max_sched_context_bits = 20;   // holds more refills than a context can count

// One traits row per type: the smallest size that user level may ask for, what is added to it, and whether the object is memory for user level.
struct Kind {
    ObjectType type;
    bool sized;              // size_bits is the user's choice
    unsigned min_bits;       // smallest choice, or the fixed size
    unsigned max_bits;       // largest choice
    unsigned slot_bits;      // added to the choice
};

constexpr Kind kinds[] = {
    {ObjectType::Untyped, true, abi::min_untyped_bits, abi::max_untyped_bits, 0},
    {ObjectType::TCB, false, 11, 11, 0},
    {ObjectType::Endpoint, false, 4, 4, 0},
    {ObjectType::Notification, false, 6, 6, 0},
    {ObjectType::CNode, true, 1, CNodeCap::max_radix, abi::slot_bits},
    {ObjectType::SchedContext, true, abi::min_sched_context_bits, max_sched_context_bits, 0},
    {ObjectType::Reply, false, 5, 5, 0},
    {ObjectType::HugePage, false, 30, 30, 0},
    {ObjectType::VSpace, false, page_bits, page_bits, 0},
    {ObjectType::SmallPage, false, page_bits, page_bits, 0},
    {ObjectType::LargePage, false, 21, 21, 0},
    {ObjectType::PageTable, false, page_bits, page_bits, 0},
};

bool is_frame(ObjectType type) {
    return type == ObjectType::SmallPage || type == ObjectType::LargePage || type == ObjectType::HugePage;
}

// A retype that passed all checks.
struct Plan {
    ObjectType type;
    SizeBits size;           // of one object
    unsigned user_bits;      // as the user gave it: a CNode's radix
    Word offset;             // of the first object in the untyped
    Word count;
    Slot* first_slot;
    bool reused;             // the untyped has no children: all of it is free
};

Result<Slot*> find_window(const Cap& root, CPtr index, Word depth) {
    if (depth == 0) {
        if (!root.is(CapType::CNode)) return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::InvalidRoot), false);
        return nullptr;
    }
    Result<Slot*> slot = find_slot_at(root, index, depth, false);
    if (slot.ok() && !slot.value()->cap.is(CapType::CNode)) {
        return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::MissingCapability), false);
    }
    return slot;
}

// The slots [offset, offset + count) of the CNode that root, index and depth name; all must be empty.
Result<Slot*> find_slots(const Cap& root, CPtr index, Word depth, Word offset, Word count) {
    Slot* window = TRY(find_window(root, index, depth));
    const CNodeCap& node = as<CNodeCap>(window == nullptr ? root : window->cap);
    Word size = Word{1} << node.radix();
    if (offset > size - 1) return Failure::range(0, size - 1);
    if (count < 1 || count > abi::retype_fan_out_limit) return Failure::range(1, abi::retype_fan_out_limit);
    if (count > size - offset) return Failure::range(1, size - offset);
    Slot* first = arch::pointer<Slot>(node.object()) + offset;
    for (Word i = 0; i < count; ++i) {
        if (!first[i].empty()) return Failure::of(Error::DeleteFirst);
    }
    return first;
}

Result<Plan> decode(const Invocation& invocation) {
    auto args = invocation.args<abi::UntypedRetypeArgs>();
    const UntypedCap& untyped = as<UntypedCap>(invocation.cap());
    if (args.object_type >= sizeof(kinds) / sizeof(kinds[0])) return Failure::invalid_argument(0);
    const Kind& kind = kinds[args.object_type];
    if (kind.sized && (args.size_bits < kind.min_bits || args.size_bits > kind.max_bits)) {
        return Failure::range(kind.min_bits, kind.max_bits);
    }
    unsigned bits = kind.sized ? static_cast<unsigned>(args.size_bits) : kind.min_bits;
    Plan plan{kind.type, SizeBits(bits + kind.slot_bits), bits, 0, args.num_objects, nullptr, !has_children(invocation.slot)};
    const Cap& root = invocation.caps[abi::UntypedRetypeArgs::cap_root]->cap;
    plan.first_slot = TRY(find_slots(root, CPtr(args.node_index), args.node_depth, args.node_offset, args.num_objects));
    if (untyped.is_device() && !is_frame(plan.type) && plan.type != ObjectType::Untyped) return Failure::invalid_argument(0);
    if (untyped.is_device() && plan.size.raw < page_bits) return Failure::range(page_bits, abi::max_untyped_bits);
    Word watermark = plan.reused ? 0 : untyped.watermark();
    plan.offset = align_up(watermark, plan.size.bytes());
    Word whole = untyped.size_bits().bytes();
    if (plan.offset > whole || (whole - plan.offset) >> plan.size.raw < plan.count) {
        return Failure::of(Error::NotEnoughMemory, whole - watermark);
    }
    return plan;
}

// Clears the memory of the objects to be. Much of it is cleared in steps, from the first page above the watermark that is not known to be zero,
// a gap before the first object included: what `cleared` counts has no holes.
Progress clear(Slot& slot, const Plan& plan) {
    UntypedCap& untyped = as<UntypedCap>(slot.cap);
    Word end = plan.offset + (plan.count << plan.size.raw);
    Word base = align_up(untyped.watermark(), page_size);
    bool at_once = end - plan.offset <= clear_step;
    Word at = at_once ? plan.offset : base + untyped.cleared();
    if (!at_once && plan.offset < base) arch::clear_memory(untyped.object() + plan.offset, base - plan.offset);
    while (at < end) {
        Word step = end - at < clear_step ? end - at : clear_step;
        // What counts as cleared is clean too: a preempted retype may be followed by another one, of frames.
        if (!at_once || is_frame(plan.type)) arch::clear_and_clean(untyped.object() + at, step);
        else arch::clear_memory(untyped.object() + at, step);
        at += step;
        if (!at_once) untyped.set_progress(untyped.watermark(), at - base);
        // Preemption point: what is between the watermark and `at` is zero, and belongs to no object yet.
        if (at != end && arch::irq_pending()) return Progress::Preempted;
    }
    return Progress::Complete;
}

Cap make_cap(const Plan& plan, KernAddr object, bool device) {
    switch (plan.type) {
        case ObjectType::Untyped: return UntypedCap::make(object, plan.size, device);
        case ObjectType::TCB: return TcbCap::make(object);
        case ObjectType::Endpoint: return EndpointCap::make(object, CapRights{15});
        case ObjectType::Notification: return NotificationCap::make(object, CapRights{3});
        case ObjectType::CNode: return CNodeCap::make(object, plan.user_bits);
        case ObjectType::SchedContext: return SchedContextCap::make(object, plan.size);
        case ObjectType::Reply: return ReplyCap::make(object, true);
        case ObjectType::VSpace: return VSpaceCap::make(object, 0);
        case ObjectType::PageTable: return PageTableCap::make(object);
        default: return FrameCap::make(object, plan.size, device);
    }
}

// An object that holds zeroes is an initial object of every type but TCB, whose registers start with a sane SPSR.
void construct(const Plan& plan, KernAddr object) {
    if (plan.type == ObjectType::TCB) arch::pointer<Tcb>(object)->context.spsr = arch::initial_spsr();
}

// Makes objects until all are there or an interrupt waits; returns how many it made.
Word create(Slot& slot, const Plan& plan) {
    UntypedCap& untyped = as<UntypedCap>(slot.cap);
    Word end = plan.offset + (plan.count << plan.size.raw);
    assert_that(untyped.watermark() <= plan.offset && end <= untyped.size_bits().bytes(), "untyped_watermark");
    Word cleared_end = align_up(untyped.watermark(), page_size) + untyped.cleared();
    KernAddr object = untyped.object() + plan.offset;
    Cap cap = make_cap(plan, object, untyped.is_device());
    Word made = 0;
    do {
        construct(plan, object);
        insert_object(cap, slot, plan.first_slot[made]);
        object += plan.size.bytes();
        cap.w0 += plan.size.bytes();   // the next object's address: it is in the lowest bits
        // Preemption point: what was made is whole, what is left is free memory and empty slots.
    } while (++made != plan.count && !arch::irq_pending());
    Word next = object - untyped.object();
    Word page = align_up(next, page_size);
    untyped.set_progress(next, made != plan.count && cleared_end > page ? cleared_end - page : 0);
    return made;
}

Progress commit(const Invocation& invocation, const Plan& plan) {
    Slot& slot = invocation.slot;
    UntypedCap& untyped = as<UntypedCap>(slot.cap);
    if (plan.reused && untyped.watermark() != 0) untyped.set_progress(0, 0);
    if (!untyped.is_device() && plan.type != ObjectType::Untyped && clear(slot, plan) == Progress::Preempted) return Progress::Preempted;
    Word made = create(slot, plan);
    if (made == plan.count) return Progress::Complete;
    using Args = abi::UntypedRetypeArgs;
    invocation.set_argument(offsetof(Args, node_offset) / sizeof(Word), invocation.args<Args>().node_offset + made);
    invocation.set_argument(offsetof(Args, num_objects) / sizeof(Word), plan.count - made);
    return Progress::Preempted;
}

}  // namespace

Invoked invoke_untyped(const Invocation& invocation) {
    Plan plan = TRY(decode(invocation));
    return outcome(commit(invocation, plan));
}

}  // namespace caprock
