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

// One traits row per type: what a capability to a new object is but for the address, the smallest size that user level may ask for, and what is added to it.
struct Kind {
    Word head;               // of the capability; without the size that the user chooses
    uint8_t min_bits;        // smallest choice, or the fixed size
    uint8_t max_bits;        // largest choice; 0: the user has none
    uint8_t slot_bits;       // added to the choice
};

constexpr KernAddr nowhere{0};
constexpr Kind fixed(unsigned bits, const Cap& cap) { return {cap.w0, static_cast<uint8_t>(bits), 0, 0}; }
constexpr Kind frame(unsigned bits) { return fixed(bits, FrameCap::make(nowhere, SizeBits(bits), false)); }

// By ObjectType.
constexpr Kind kinds[] = {
    {UntypedCap::make(nowhere, SizeBits(0), false).w0, abi::min_untyped_bits, abi::max_untyped_bits, 0},
    fixed(11, TcbCap::make()),
    fixed(4, EndpointCap::make(nowhere, CapRights{15})),
    fixed(6, NotificationCap::make(nowhere, CapRights{3})),
    {CNodeCap::make(nowhere, 0).w0, 1, CNodeCap::max_radix, abi::slot_bits},
    {SchedContextCap::make(nowhere, SizeBits(0)).w0, abi::min_sched_context_bits, max_sched_context_bits, 0},
    fixed(5, ReplyCap::make(nowhere, true)),
    frame(30),
    fixed(page_bits, VSpaceCap::make(nowhere, 0)),
    frame(page_bits),
    frame(21),
    fixed(page_bits, PageTableCap::make(nowhere)),
};
static_assert(static_cast<Word>(ObjectType::PageTable) == sizeof(kinds) / sizeof(kinds[0]) - 1);
static_assert(UntypedCap::SizeField::mask == SchedContextCap::SizeField::mask);

bool is_frame(ObjectType type) {
    return type == ObjectType::SmallPage || type == ObjectType::LargePage || type == ObjectType::HugePage;
}

// A retype that passed all checks.
struct Plan {
    ObjectType type;
    SizeBits size;           // of one object
    Word head;               // of each capability
    Word offset;             // of the first object in the untyped
    Word count;
    Slot* first_slot;
    bool reused;             // the untyped has no children: all of it is free
};

// The CNode that holds the slots is not the root itself.
[[gnu::cold]] Result<const Cap*> find_window(const Cap& root, CPtr index, Word depth) {
    if (depth == 0) return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::InvalidRoot), false);
    Slot* slot = TRY(find_slot_at(root, index, depth, false));
    if (!slot->cap.is(CapType::CNode)) return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::MissingCapability), false);
    return &slot->cap;
}

// The slots [offset, offset + count) of the CNode that root, index and depth name; all must be empty.
Result<Slot*> find_slots(const Cap& root, CPtr index, Word depth, Word offset, Word count) {
    const Cap* window = &root;
    if (depth != 0 || !root.is(CapType::CNode)) window = TRY(find_window(root, index, depth));
    const CNodeCap& node = as<CNodeCap>(*window);
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
    ObjectType type = static_cast<ObjectType>(args.object_type);
    Plan plan{type, SizeBits(kind.min_bits), kind.head, 0, args.num_objects, nullptr, !is_in_use(invocation.slot)};
    if (kind.max_bits != 0) {
        if (args.size_bits < kind.min_bits || args.size_bits > kind.max_bits) return Failure::range(kind.min_bits, kind.max_bits);
        plan.size = SizeBits(static_cast<unsigned>(args.size_bits) + kind.slot_bits);
        plan.head |= type == ObjectType::CNode ? CNodeCap::RadixField::make(args.size_bits) : UntypedCap::SizeField::make(args.size_bits);
    }
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

// Clears much memory for the objects to be in steps, from the first page above the watermark that is not known to be zero, a gap before the first
// object included: what `cleared` counts has no holes.
[[gnu::noinline]] Progress clear_in_steps(UntypedCap& untyped, Word offset, Word end) {
    Word base = align_up(untyped.watermark(), page_size);
    Word at = base + untyped.cleared();
    if (offset < base) arch::clear_memory(untyped.object() + offset, base - offset);
    while (at < end) {
        Word step = end - at < clear_step ? end - at : clear_step;
        // What counts as cleared is clean too: a preempted retype may be followed by another one, of frames.
        arch::clear_and_clean(untyped.object() + at, step);
        at += step;
        untyped.set_progress(untyped.watermark(), at - base);
        // Preemption point: what is between the watermark and `at` is zero, and belongs to no object yet.
        if (at != end && arch::irq_pending()) return Progress::Preempted;
    }
    return Progress::Complete;
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
    KernAddr object = untyped.object() + plan.offset;
    // Of device memory there are untypeds and frames, and both say so.
    Cap cap;
    cap.w0 = plan.head | Cap::Pointer::make(object.raw) | (untyped.w0 & UntypedCap::DeviceField::mask);
    Word made = 0;
    do {
        construct(plan, object);
        insert_object(cap, slot, plan.first_slot[made]);
        object += plan.size.bytes();
        cap.w0 += plan.size.bytes();   // the next object's address: it is in the lowest bits
        // Preemption point: what was made is whole, what is left is free memory and empty slots.
    } while (++made != plan.count && !arch::irq_pending());
    Word next = object - untyped.object();
    Word cleared = 0;
    if (made != plan.count) {
        Word cleared_end = align_up(untyped.watermark(), page_size) + untyped.cleared();
        Word page = align_up(next, page_size);
        if (cleared_end > page) cleared = cleared_end - page;
    }
    untyped.set_progress(next, cleared);
    return made;
}

[[gnu::always_inline]] inline Progress clear(Slot& slot, const Plan& plan) {
    Word bytes = plan.count << plan.size.raw;
    if (bytes > clear_step) return clear_in_steps(as<UntypedCap>(slot.cap), plan.offset, plan.offset + bytes);
    KernAddr start = slot.cap.object() + plan.offset;
    if (is_frame(plan.type)) arch::clear_and_clean(start, bytes);
    else arch::clear_memory(start, bytes);
    return Progress::Complete;
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
