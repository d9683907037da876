// SPDX-License-Identifier: BSD-2-Clause
// Capabilities that the component hardly comes to hold by itself: containers in containers, also in themselves, that go all at once; threads that take
// away what they stand on; families of copies and badges; parents that are far away.
#include "driver.hpp"

namespace caprock::lockstep {

using abi::InitSlot;
using abi::Method;
using abi::Syscall;
using test::World;

namespace {

constexpr Word cnode = static_cast<Word>(InitSlot::CNode);
constexpr unsigned most_nodes = 3;
constexpr Word all_rights = 15;

}  // namespace

// CNodes and threads that hold each other and themselves, made of one untyped. It is revoked, or one of them is deleted: the last capabilities to them
// lie in each other then.
void Driver::make_nest() {
    constexpr Word nest_bits = 14;
    Word memory = nest_;
    make(abi::ObjectType::Untyped, nest_bits, memory, own_memory_);
    unsigned count = 1 + static_cast<unsigned>(choices_.below(most_nodes));
    Word radix[most_nodes] = {};
    for (unsigned i = 0; i < count; ++i) {
        radix[i] = 1 + choices_.below(3);
        make(abi::ObjectType::CNode, radix[i], memory + 1 + i, memory);
    }
    Word thread = memory + 1 + most_nodes;
    bool threaded = choices_.one_in(2);
    if (threaded) make(abi::ObjectType::TCB, 0, thread, memory);
    auto any_node = [&] { return static_cast<unsigned>(choices_.below(count)); };
    unsigned ties = 1 + static_cast<unsigned>(choices_.below(5));
    for (unsigned i = 0; i < ties; ++i) {
        unsigned outer = any_node();
        Word inner = threaded && choices_.one_in(3) ? thread : memory + 1 + any_node();
        Word slot = choices_.below(Word{1} << radix[outer]);
        call({memory + 1 + outer, Method::CNodeCopy, {slot, radix[outer], inner, World::full_depth, all_rights}, {cnode}});
    }
    if (threaded) call({thread, Method::TCBSetSpace, {0, 0}, {0, memory + 1 + any_node(), universe_->vspace(0)}});
    // The supervisor's own capabilities go into a container too, or away.
    for (unsigned i = 0; i < count; ++i) {
        unsigned outer = any_node();
        Word slot = choices_.below(Word{1} << radix[outer]);
        switch (choices_.below(3)) {
            case 0: call({memory + 1 + outer, Method::CNodeMove, {slot, radix[outer], memory + 1 + i, World::full_depth}, {cnode}}); break;
            case 1: remove(memory + 1 + i); break;
            default: break;
        }
    }
    if (choices_.one_in(2)) remove(thread);
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// A CNode of more slots than fit in memory beside much else: it goes with a capability somewhere in it.
void Driver::make_wide() {
    constexpr Word radix = 16;
    Word wide = nest_;
    make(abi::ObjectType::CNode, radix, wide, own_memory_);
    call({wide, Method::CNodeCopy, {choices_.below(Word{1} << radix), radix, control_, World::full_depth, all_rights}, {cnode}});
    remove(wide);
}

// A CNode in a CNode in a CNode, each named by the one around it alone: the outermost of the capabilities is deleted in its slot. They lie next to each
// other in memory, in any order, and the innermost may lead back.
void Driver::make_chain() {
    constexpr Word chain_bits = 12;
    constexpr unsigned length = 3;
    const Word outer = choices_.below(length);
    const Word middle = (outer + 1 + choices_.below(length - 1)) % length;
    const Word inner = length - outer - middle;
    Word memory = nest_;
    Word radix[length] = {};
    Word slot[length] = {};
    make(abi::ObjectType::Untyped, chain_bits, memory, own_memory_);
    for (unsigned i = 0; i < length; ++i) {
        radix[i] = 1 + choices_.below(2);
        slot[i] = choices_.below(Word{1} << radix[i]);
        make(abi::ObjectType::CNode, radix[i], memory + 1 + i, memory);
    }
    auto enter = [&](Method method, Word node, Word index, Word what) {
        call({memory + 1 + node, method, {index, radix[node], what, World::full_depth, all_rights}, {cnode}});
    };
    if (choices_.one_in(3)) enter(Method::CNodeCopy, inner, slot[inner], memory + 1 + choices_.below(length));
    enter(Method::CNodeMove, middle, slot[middle], memory + 1 + inner);
    if (choices_.one_in(2)) begin({memory + 1 + middle, Method::CNodeDelete, {slot[middle], radix[middle]}, {}}, 1 + static_cast<unsigned>(choices_.below(6)));
    enter(Method::CNodeMove, outer, slot[outer], memory + 1 + middle);
    if (choices_.one_in(2)) enter(Method::CNodeCopy, outer, choices_.below(Word{1} << radix[outer]), control_);
    call({memory + 1 + outer, Method::CNodeDelete, {slot[outer], radix[outer]}, {}});
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// An address leads through as many CNodes as it may, or one more or less, or some of them.
void Driver::make_deep() {
    constexpr Word memory_bits = 12;
    Word memory = nest_;
    Word first = nest_ + 1;
    Word found = nest_ + 4;
    Word levels = abi::cspace_levels + choices_.below(3) - 1;
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::CNode, 1, first, memory);
    Word last = first;
    auto enter = [&](Word what) { call({last, Method::CNodeCopy, {0, 1, what, World::full_depth, all_rights}, {cnode}}); };
    for (Word i = 1; i < levels; ++i) {
        Word next = nest_ + 2 + i % 2;
        make(abi::ObjectType::CNode, 1, next, memory);
        enter(next);
        if (last != first) remove(last);
        last = next;
    }
    enter(control_);
    for (Word depth : {levels, 1 + choices_.below(levels + 1)}) {
        call({cnode, Method::CNodeCopy, {found, World::full_depth, 0, depth, all_rights}, {first}});
        remove(found);
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// A thread deletes the CNode `outer` in a slot of its own CSpace `inner`. The last capability to the thread lies in `outer`, and so does another one to
// `inner`: the thread goes, and with it the last way to the slot that is being deleted.
void Driver::delete_itself() {
    constexpr Word suicide_bits = 14;
    constexpr Word inner_bits = 1;
    Word memory = nest_;
    Word inner = memory + 1;
    Word outer = memory + 2;
    Word thread = memory + 3;
    Word context = memory + 4;
    Word outer_bits = 1 + choices_.below(3);
    make(abi::ObjectType::Untyped, suicide_bits, memory, own_memory_);
    make(abi::ObjectType::CNode, inner_bits, inner, memory);
    make(abi::ObjectType::CNode, outer_bits, outer, memory);
    make(abi::ObjectType::TCB, 0, thread, memory);
    make(abi::ObjectType::SchedContext, 8, context, memory);
    if (world_.slot(context).empty()) return;
    Word tcb = static_cast<Word>(InitSlot::TCB);
    Word guard = abi::CNodeCapData::make(World::full_depth - inner_bits - outer_bits, 0).raw;
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {10'000, 10'000, 0, 0xc0, 0}, {context}});
    call({thread, Method::TCBConfigure, {guard, 0, 0}, {inner, universe_->vspace(0), 0}});
    call({thread, Method::TCBSetSchedParams, {fuzz::thread_max_priority, fuzz::thread_max_priority}, {tcb, context, 0}});
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    const Tcb* object = &world_.object<Tcb>(thread);
    // What else is in `outer` goes as well.
    Word way = choices_.below(Word{1} << outer_bits);
    Word own = choices_.below(Word{1} << outer_bits);
    if (own == way) own ^= 1;
    call({outer, Method::CNodeCopy, {way, outer_bits, inner, World::full_depth, all_rights}, {cnode}});
    call({outer, Method::CNodeMove, {own, outer_bits, thread, World::full_depth}, {cnode}});
    if (choices_.one_in(2)) call({outer, Method::CNodeCopy, {0, outer_bits, control_, World::full_depth, all_rights}, {cnode}});
    Word place = choices_.below(Word{1} << inner_bits);
    call({inner, Method::CNodeMove, {place, inner_bits, outer, World::full_depth}, {cnode}});
    remove(inner);
    let_go();
    test::Message message{static_cast<Word>(Method::CNodeDelete), {place, inner_bits}, {}};
    if (world_.current() == object) call_to_end(Syscall::Call, place << outer_bits | way, message);
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// A thread puts another address space in the place of its own, to which there is no other capability.
void Driver::change_space() {
    Word space = nest_;
    raise_crowd(cnode, 0, 1);
    Word thread = crowd_ + 1;
    make(abi::ObjectType::VSpace, 0, space, own_memory_);
    call({static_cast<Word>(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {space}});
    call({thread, Method::TCBSetSpace, {0, 0}, {0, cnode, space}});
    call({thread, Method::TCBSetIPCBuffer, {universe_->buffer_of(0)}, {universe_->buffer(0)}});
    remove(space);
    if (start_of_crowd(0, 0)) perform(Syscall::Call, thread, {static_cast<Word>(Method::TCBSetSpace), {0, 0}, {0, cnode, universe_->vspace(0)}});
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// The slots of a thread are replaced that have the last capabilities to an endpoint with senders and to a CNode: these go in steps before new ones come.
// What is to come may go with the CNode, if the thread changes its own slots.
void Driver::change_slots() {
    constexpr unsigned senders = 2;
    constexpr unsigned member = senders;
    constexpr Word radix = 3;
    constexpr Word self = 1;
    constexpr Word root = 2;
    constexpr Word space = 3;
    Word crowded = nest_;
    Word own = nest_ + 1;
    Word thread = crowd_ + 1 + member;
    Word vspace = universe_->vspace(0);
    Word guard = abi::CNodeCapData::make(World::full_depth - radix, 0).raw;
    raise_crowd(cnode, 0, member + 1);
    make(abi::ObjectType::Endpoint, 0, crowded, crowd_);
    make(abi::ObjectType::CNode, radix, own, crowd_);
    auto enter = [&](Word index, Word what) { call({own, Method::CNodeCopy, {index, radix, what, World::full_depth, all_rights}, {cnode}}); };
    enter(self, thread);
    bool stays = choices_.one_in(4);
    enter(root, stays ? own : cnode);
    enter(space, vspace);
    for (unsigned i = 0; i < senders; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Send, crowded);
        if (!take_over()) return;
    }
    call({thread, Method::TCBConfigure, {guard, 0, universe_->buffer_of(0)}, {own, vspace, universe_->buffer(0)}});
    bool starts = start_of_crowd(member, crowded);
    remove(crowded);
    remove(own);
    if (!choices_.one_in(3)) {
        let_go();
        test::Message message{static_cast<Word>(Method::TCBSetSpace), {stays ? guard : 0, 0}, {0, root, space}};
        if (starts && runs(member)) call_to_end(Syscall::Call, self, message);
    } else if (choices_.one_in(2)) {
        call({thread, Method::TCBConfigure, {0, 0, 0}, {cnode, vspace, 0}});
    } else {
        call({thread, Method::TCBSetSpace, {0, 0}, {0, cnode, vspace}});
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A thread revokes the memory that it was made of: it goes, with its scheduling context, and then the address space in which it ran. Or it revokes only
// its address space, and goes on without one.
void Driver::revoke_itself() {
    constexpr Word memory_bits = 15;
    Word memory = nest_;
    Word space = memory + 1;
    Word thread = memory + 2;
    Word context = memory + 3;
    Word tcb = static_cast<Word>(InitSlot::TCB);
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::VSpace, 0, space, memory);
    make(abi::ObjectType::TCB, 0, thread, memory);
    make(abi::ObjectType::SchedContext, 8, context, memory);
    if (world_.slot(context).empty()) return;
    call({static_cast<Word>(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {space}});
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {10'000, 10'000, 0, 0xc0, 0}, {context}});
    call({thread, Method::TCBConfigure, {0, 0, 0}, {cnode, space, 0}});
    call({thread, Method::TCBSetSchedParams, {fuzz::thread_max_priority, fuzz::thread_max_priority}, {tcb, context, 0}});
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    const Tcb* object = &world_.object<Tcb>(thread);
    let_go();
    test::Message message{static_cast<Word>(Method::CNodeRevoke), {choices_.one_in(3) ? space : memory, World::full_depth}, {}};
    if (world_.current() == object) call_to_end(Syscall::Call, cnode, message);
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// Capabilities to one object, made, moved and taken away in any order. What is left of a CNode that is being deleted lies among them.
void Driver::make_family() {
    using abi::ObjectType;
    constexpr unsigned most_changes = 30;
    struct Founder {
        ObjectType type;
        Word bits;
    };
    constexpr Founder founders[] = {{ObjectType::Endpoint, 0}, {ObjectType::Endpoint, 0}, {ObjectType::Notification, 0}, {ObjectType::CNode, 2},
                                    {ObjectType::CNode, 2},    {ObjectType::Untyped, 13}, {ObjectType::Reply, 0}};
    const Founder& founder = choices_.one_of(founders);
    const Word mapped = choices_.one_in(2) ? universe_->buffer(0) : universe_->vspace(0);
    if (choices_.one_in(4)) call({cnode, Method::CNodeCopy, {nest_, World::full_depth, mapped, World::full_depth, all_rights}, {cnode}});
    else make(founder.type, founder.bits, nest_, own_memory_);
    for (unsigned i = 0; i < most_changes; ++i) change_family();
    for (Word slot = nest_; slot < nest_ + nest_slots; ++slot) remove(slot);
}

void Driver::change_family() {
    constexpr Word depth = World::full_depth;
    auto any = [&](bool empty) {
        Word start = choices_.below(nest_slots);
        for (Word i = 0; i < nest_slots && !choices_.one_in(16); ++i) {
            Word slot = nest_ + (start + i) % nest_slots;
            if (world_.slot(slot).empty() == empty) return slot;
        }
        return nest_ + start;
    };
    Word from = any(false);
    Word to = any(true);
    // Often the same badge again; of a CNode it is a guard, as long as there may be, or longer.
    bool is_node = world_.slot(from).cap.is(CapType::CNode) && choices_.one_in(2);
    Word badge = is_node ? abi::CNodeCapData::make(60 + choices_.below(4), choices_.below(4)).raw : choices_.one_in(3) ? choices_.below(3) : 1;
    switch (choices_.below(10)) {
        case 0: call({cnode, Method::CNodeDelete, {from, depth}, {}}); break;
        case 1: call({cnode, Method::CNodeRevoke, {from, depth}, {}}); break;
        case 2: call({cnode, Method::CNodeMove, {to, depth, from, depth}, {cnode}}); break;
        case 3: call({cnode, Method::CNodeMutate, {to, depth, from, depth, badge}, {cnode}}); break;
        case 4: {
            Word pivot = any(false);
            if (choices_.one_in(2)) to = any(false);
            call({cnode, Method::CNodeRotate, {to, depth, badge, pivot, depth, choices_.below(2), from, depth}, {cnode, cnode}});
            break;
        }
        case 5: begin({cnode, Method::CNodeDelete, {from, depth}, {}}); break;
        case 6:
        case 7: call({cnode, Method::CNodeCopy, {to, depth, from, depth, all_rights}, {cnode}}); break;
        default: call({cnode, Method::CNodeMint, {to, depth, choices_.one_in(2) ? nest_ : from, depth, all_rights, badge}, {cnode}});
    }
}

// Inspect says where in a CNode a capability's parent is: also when that lies just behind the CNode, or just before it, in another one, and when it is that of
// all interrupts.
void Driver::look_for_parents() {
    constexpr Word radix = 1;
    Word nodes = nest_ + 1;
    Word notification = static_cast<Word>(abi::ObjectType::Notification);
    make(abi::ObjectType::Untyped, 12, nest_, own_memory_);
    make(abi::ObjectType::CNode, radix, nodes, nest_, 3);
    Word parent = choices_.below(6);
    Word child = (parent + 1 + choices_.below(5)) % 6;
    auto node = [&](Word place) { return nodes + place / 2; };
    call({nest_, Method::UntypedRetype, {notification, 0, 0, 0, parent % 2, 1}, {node(parent)}});
    call({node(child), Method::CNodeCopy, {child % 2, radix, parent % 2, radix, all_rights}, {node(parent)}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {child % 2}, {node(child)}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {node(child)}, {cnode}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {control_handler_}, {cnode}});
    call({cnode, Method::CNodeRevoke, {nest_, World::full_depth}, {}});
    remove(nest_);
}

// Between a capability and its parent stand as many others as Inspect goes back, or one more or less.
void Driver::look_far() {
    constexpr Word radix = 8;
    constexpr Word parent = (Word{1} << radix) - 1;
    Word node = nest_;
    Word count = abi::inspect_parent_steps + choices_.below(3) - 1;
    static_assert(abi::inspect_parent_steps + 2 <= Word{1} << radix);
    make(abi::ObjectType::CNode, radix, node, own_memory_);
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Notification), 0, 0, 0, parent, 1}, {node}});
    for (Word i = 0; i <= count; ++i) call({node, Method::CNodeCopy, {i, radix, parent, radix, all_rights}, {node}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {0}, {node}});
    remove(node);
}

// Capabilities that are derived from none move and go: the root task's own, when it needs them no more.
void Driver::remove_originals() {
    const Word originals[] = {static_cast<Word>(InitSlot::Inspect),    static_cast<Word>(InitSlot::Domain), static_cast<Word>(InitSlot::ASIDControl),
                              static_cast<Word>(InitSlot::IRQControl), world_.root_info().untyped.end - 1,  own_memory_};
    for (Word original : originals) {
        Word place = original;
        if (choices_.one_in(2)) {
            call({cnode, Method::CNodeMove, {nest_, World::full_depth, original, World::full_depth}, {cnode}});
            place = nest_;
        }
        if (!choices_.one_in(4)) remove(place);
    }
}

}  // namespace caprock::lockstep
