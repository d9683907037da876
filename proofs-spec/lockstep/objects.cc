// SPDX-License-Identifier: BSD-2-Clause
// Objects that the component hardly makes or loses by itself: what is made anew of one untyped, pools and address spaces until there are no more, an
// interrupt's notification, breakpoints.
#include "driver.hpp"

#include "fuzz_tables.hpp"

namespace caprock::lockstep {

using abi::InitSlot;
using abi::Method;
using abi::Syscall;
using host::hardware;
using test::World;

namespace {

constexpr Word cnode = static_cast<Word>(InitSlot::CNode);
constexpr Word all_rights = 15;

}  // namespace

// Pages are made until that is preempted, while memory is cleared or later; then other ones of the same untyped, more or fewer.
void Driver::change_plans() {
    constexpr Word memory_bits = 17;
    constexpr unsigned most_pages = 12;
    constexpr unsigned most_calls = 4;
    Word memory = nest_;
    Word pages = crowd_ + 1;
    Word first = pages;
    if (!world_.slot(crowd_).empty()) call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    for (unsigned i = 0; i < most_calls && first + most_pages <= crowd_ + crowd_slots; ++i) {
        Word count = 1 + choices_.below(most_pages);
        begin({memory, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::SmallPage), 0, 0, 0, first, count}, {cnode}},
              1 + static_cast<unsigned>(choices_.below(most_pages)));
        while (first < crowd_ + crowd_slots && !world_.slot(first).empty()) ++first;
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// Methods of an object that was just made: nothing is bound to it or mapped, and there are no other capabilities to it.
void Driver::use_fresh() {
    using abi::ObjectType;
    constexpr unsigned most_calls = 4;
    struct Fresh {
        ObjectType type;
        Word bits;
        CapType cap;
    };
    constexpr Fresh choices[] = {{ObjectType::TCB, 0, CapType::TCB},           {ObjectType::SchedContext, 8, CapType::SchedContext},
                                 {ObjectType::CNode, 2, CapType::CNode},       {ObjectType::SmallPage, 0, CapType::Frame},
                                 {ObjectType::PageTable, 0, CapType::PageTable}, {ObjectType::VSpace, 0, CapType::VSpace}};
    const Fresh& fresh = choices_.one_of(choices);
    make(fresh.type, fresh.bits, nest_, own_memory_);
    const Word others[] = {nest_, nest_, cnode, control_, universe_->vspace(0), universe_->vspace(1), universe_->thread(0), universe_->context(1),
                           universe_->buffer(2), universe_->reply(0), static_cast<Word>(InitSlot::TCB), static_cast<Word>(InitSlot::ASIDPool)};
    auto capability = [&](uint32_t kinds) {
        std::vector<Word> found;
        for (Word slot : others) {
            if ((mask_of(world_.slot(slot).cap.type()) & kinds) != 0) found.push_back(slot);
        }
        return found.empty() || choices_.one_in(8) ? choices_.one_of(others) : found[choices_.below(found.size())];
    };
    for (unsigned i = 0; i < most_calls; ++i) {
        auto method = static_cast<Method>(1 + choices_.below(fuzz::method_count - 1));
        const fuzz::MethodTable* table = &fuzz::method_tables[static_cast<unsigned>(method)];
        while (table->object != fresh.cap) {
            method = static_cast<Method>(1 + choices_.below(fuzz::method_count - 1));
            table = &fuzz::method_tables[static_cast<unsigned>(method)];
        }
        fuzz::Operation operation;
        generator_.invocation(operation, method);
        if (choices_.one_in(2)) director_.go_to_border(operation, *table);
        fuzz::Request request{nest_, method};
        request.words.count = std::min<unsigned>(table->word_count, std::size(request.words.items));
        for (unsigned j = 0; j < request.words.count; ++j) request.words.items[j] = word(operation, j);
        request.caps.count = table->cap_count;
        for (unsigned j = 0; j < table->cap_count; ++j) request.caps.items[j] = capability(fuzz::cap_tables[table->caps + j].kinds);
        call(request);
    }
    remove(nest_);
}

// The largest page there is, of a device's registers.
void Driver::make_huge_page() {
    constexpr unsigned huge_bits = 30;
    abi::SlotRegion all = world_.root_info().untyped;
    auto has_room = [](const Cap& cap) {
        return cap.is(CapType::Untyped) && as<UntypedCap>(cap).is_device() && as<UntypedCap>(cap).size_bits().raw >= huge_bits;
    };
    Word untyped = all.start;
    while (untyped < all.end && !has_room(world_.slot(untyped).cap)) ++untyped;
    if (untyped == all.end) return;
    make(abi::ObjectType::HugePage, 0, nest_, untyped);
    remove(nest_);
}

// Tables of an address space with something below them are taken out and mapped again, there or elsewhere: they are empty then.
void Driver::empty_tables() {
    constexpr Word memory_bits = 15;
    constexpr unsigned tables = 3;
    constexpr Word places[] = {0x100'0000, 0x120'0000, 0x4100'0000, 0x80'0100'0000};
    Word memory = nest_;
    Word space = nest_ + 1;
    Word table = nest_ + 2;
    Word frame = table + tables;
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::VSpace, 0, space, memory);
    make(abi::ObjectType::PageTable, 0, table, memory, tables);
    make(abi::ObjectType::SmallPage, 0, frame, memory);
    call({static_cast<Word>(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {space}});
    auto fill = [&](Word address) {
        for (unsigned i = 0; i < tables; ++i) call({table + i, Method::PageTableMap, {address, 0}, {space}});
        call({frame, Method::FrameMap, {address, 3, 0}, {space}});
    };
    fill(places[0]);
    for (unsigned i = 0; i < 2; ++i) {
        call({table + choices_.below(tables), Method::PageTableUnmap, {}, {}});
        fill(choices_.one_of(places));
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// A frame says that it is mapped under an ASID that another address space got since, in which something else is mapped there.
void Driver::reuse_asid() {
    constexpr Word memory_bits = 16;
    constexpr unsigned tables = 3;
    constexpr Word address = 0x100'0000;
    Word memory = nest_;
    Word space = nest_ + 1;
    Word table = nest_ + 2;
    Word stale = extra_ + 2;
    Word fresh = extra_ + 3;
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::PageTable, 0, table, memory, tables);
    make(abi::ObjectType::SmallPage, 0, stale, memory);
    make(abi::ObjectType::SmallPage, 0, fresh, memory);
    auto map = [&](Word frame) { call({frame, Method::FrameMap, {address, 3, 0}, {space}}); };
    for (Word frame : {stale, fresh}) {
        make(abi::ObjectType::VSpace, 0, space, memory);
        call({static_cast<Word>(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {space}});
        for (unsigned i = 0; i < tables; ++i) {
            call({table + i, Method::PageTableUnmap, {}, {}});
            call({table + i, Method::PageTableMap, {address, 0}, {space}});
        }
        map(frame);
        if (frame == stale) remove(space);
    }
    map(stale);
    if (choices_.one_in(2)) call({stale, Method::FrameUnmap, {}, {}});
    if (choices_.one_in(2)) map(fresh);
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// The largest context, with as many refills as it has room for, or too many.
void Driver::make_roomy() {
    constexpr Word context_bits = 20;
    constexpr Word most_refills = 65'530;
    Word context = nest_;
    make(abi::ObjectType::SchedContext, context_bits, context, own_memory_);
    for (unsigned i = 0; i < 3; ++i) {
        call({world_.sched_control(), Method::SchedControlConfigureFlags, {20, 1'000, most_refills - choices_.below(5), 0, choices_.below(2)}, {context}});
    }
    remove(context);
}

// A pool of ASIDs goes in one of whose address spaces a thread runs, or ran. When the thread runs again it has none.
void Driver::lose_pool() {
    constexpr Word spaces = 3;
    Word memory = nest_;
    Word pool = nest_ + 1;
    Word space = nest_ + 2;
    raise_crowd(cnode, 0, 1);
    make(abi::ObjectType::Untyped, page_bits, memory, own_memory_);
    make(abi::ObjectType::VSpace, 0, space, own_memory_, spaces);
    call({static_cast<Word>(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, World::full_depth}, {memory, cnode}});
    for (Word i = 0; i < spaces; ++i) call({pool, Method::ASIDPoolAssign, {}, {space + i}});
    call({crowd_ + 1, Method::TCBConfigure, {0, 0, 0}, {cnode, space + choices_.below(spaces), 0}});
    bool runs_there = start_of_crowd(0, 0);
    if (runs_there && choices_.one_in(2)) perform(Syscall::Call, cnode, {static_cast<Word>(Method::CNodeDelete), {pool, World::full_depth}, {}});
    remove(pool);
    let_go();
    if (runs(0)) perform(Syscall::Yield, 0);
    for (Word slot : {pool, memory, space, space + 1, space + 2}) remove(slot);
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// As many address spaces as a pool has ASIDs, and one more.
void Driver::fill_pool() {
    constexpr Word memory_bits = 22;
    constexpr Word radix = 10;
    Word memory = nest_;
    Word pool = nest_ + 1;
    Word kept = nest_ + 2;
    Word space = nest_ + 3;
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::Untyped, page_bits, space, memory);
    make(abi::ObjectType::CNode, radix, kept, memory);
    call({static_cast<Word>(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, World::full_depth}, {space, cnode}});
    call({kept, Method::CNodeMove, {abi::asid_pool_entries + 1, radix, space, World::full_depth}, {cnode}});
    for (Word i = 0; i <= abi::asid_pool_entries && world_.slot(pool).cap.is(CapType::ASIDPool); ++i) {
        make(abi::ObjectType::VSpace, 0, space, memory);
        call({pool, Method::ASIDPoolAssign, {}, {space}});
        call({kept, Method::CNodeMove, {i, radix, space, World::full_depth}, {cnode}});
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// Objects in steps, in memory that was used before, behind a small one: not at the beginning of a page. Each step is preempted, and goes on.
void Driver::clear_gap() {
    constexpr Word memory_bits = 16;
    constexpr Word radix = 5;
    constexpr Word threads = 12;
    Word memory = nest_;
    Word kept = nest_ + 1;
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::CNode, radix, kept, own_memory_);
    auto make_kept = [&](abi::ObjectType type, Word first, Word count) {
        test::Message message{static_cast<Word>(Method::UntypedRetype), {static_cast<Word>(type), 0, kept, World::full_depth, first, count}, {cnode}};
        if (!take_over()) return;
        const Tcb* root = world_.current();
        world_.prepare(Syscall::Call, memory, message);
        Word pc = root->context.pc;
        for (unsigned i = 0; i < 3 * threads && world_.current() == root && root->context.pc == pc; ++i) {
            hardware.pending_at = manner_.preempts ? 1 : 0;
            lockstep_->system_call();
        }
        if (world_.current() == root && root->context.pc == pc) throw Mismatch("a Retype that is preempted again and again does not come to its end");
    };
    for (unsigned i = 0; i < 2; ++i) {
        Word first = choices_.one_in(2) ? 0 : 1 + choices_.below(threads);
        if (first != 0) make_kept(choices_.one_in(3) ? abi::ObjectType::Endpoint : abi::ObjectType::TCB, 1, first);
        make_kept(abi::ObjectType::TCB, 1 + first, threads);
        // What is made next finds memory in which threads were.
        call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    }
    remove(kept);
    remove(memory);
}

// As many pools of ASIDs as there may be, and one more.
void Driver::make_pools() {
    constexpr Word memory_bits = 20;
    constexpr Word radix = 8;
    Word memory = nest_;
    Word kept = nest_ + 1;
    Word page = nest_ + 2;
    Word pool = nest_ + 3;
    auto keep = [&](Word place, Word slot) { call({kept, Method::CNodeMove, {place, radix, slot, World::full_depth}, {cnode}}); };
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::CNode, radix, kept, memory);
    for (Word i = 0; i < abi::asid_pools && !world_.slot(kept).empty(); ++i) {
        make(abi::ObjectType::Untyped, page_bits, page, memory);
        call({static_cast<Word>(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, World::full_depth}, {page, cnode}});
        if (world_.slot(pool).empty()) break;
        keep(2 * i, page);
        keep(2 * i + 1, pool);
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    remove(memory);
}

// An interrupt comes whose notification is gone, although its handler is there: with the notification's other capabilities that of the interrupt was revoked.
void Driver::leave_unwanted() {
    Word object = extra_ + 2;
    Word handler = extra_ + 3;
    Word line = fuzz::shelf_slot(CapType::IRQHandler, choices_.below(fuzz::fuzz_lines));
    make(abi::ObjectType::Notification, 0, object, own_memory_);
    call({cnode, Method::CNodeCopy, {handler, World::full_depth, line, fuzz::space_bits, all_rights}, {universe_->space()}});
    if (world_.slot(handler).cap.is(CapType::IRQHandler)) {
        Word irq = as<IrqHandlerCap>(world_.slot(handler).cap).number();
        call({handler, Method::IRQHandlerSetNotification, {}, {object}});
        call({handler, Method::IRQHandlerAck, {}, {}});
        call({cnode, Method::CNodeRevoke, {object, World::full_depth}, {}});
        if (irq >= first_line && irq != abi::irq_serror) lockstep_->interrupt(irq);
    }
    // The notification leaves a context behind that was bound to it.
    make(abi::ObjectType::SchedContext, 8, nest_, own_memory_);
    if (world_.slot(object).cap.is(CapType::Notification)) call({nest_, Method::SchedContextBind, {}, {object}});
    remove(object);
    remove(nest_);
    remove(handler);
}

// The first two breakpoints of a thread are at one address.
void Driver::watch_twice() {
    Word thread = universe_->thread(static_cast<unsigned>(choices_.below(fuzz::fuzz_threads)));
    Word address = fuzz::code_address + 4 * choices_.below(4);
    for (Word i = 0; i < 2; ++i) {
        call({thread, Method::TCBSetBreakpoint, {i, address, static_cast<Word>(abi::BreakpointType::Instruction), 0, 0}, {}});
    }
}

}  // namespace caprock::lockstep
