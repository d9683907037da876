// SPDX-License-Identifier: BSD-2-Clause
// Trees, chains and containers of capabilities that are destroyed.
#include "tests/worst_case/herd.hpp"
#include "tests/worst_case/operations.hpp"

namespace caprock::worst_case {

namespace {

constexpr uint64_t table_reach = 512 * page_bytes;   // what one table of the last level maps

// Moves a capability of the root CNode into slot `index` of a CNode with 2^`radix` slots.
void move_into(Cap<CNode> node, uint64_t radix, uint64_t index, CapRef cap) {
    must(node.move(index, radix, cap.address(), address_bits, root_cnode));
}

// -- Children of one capability

void sweep_revoke_of_badges(Sweep& sweep, uint64_t children, bool long_one) {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const uint64_t slots = system.take_slots(children);
    const auto prepare = [=] {
        for (uint64_t i = 0; i < children; ++i)
            must(root_cnode.mint(slots + i, address_bits, endpoint.address(), address_bits, all_rights, i + 1, root_cnode));
    };
    const auto operation = [=] { revoke(endpoint); };
    long_one ? sweep.throughout(prepare, operation) : sweep.each(prepare, operation);
}

void measure_revoke_of_badges(Sweep& sweep) {
    sweep_revoke_of_badges(sweep, 10'000, true);
    sweep_revoke_of_badges(sweep, 3, false);
}

void sweep_revoke_of_untyped(Sweep& sweep, Cap<Untyped> memory, abi::ObjectType type, uint64_t bits, uint64_t count, bool long_one) {
    const uint64_t slots = system.take_slots(count);
    const auto prepare = [=] { retype(memory, type, bits, slots, count); };
    const auto operation = [=] { revoke(memory); };
    long_one ? sweep.throughout(prepare, operation) : sweep.each(prepare, operation);
}

void measure_revoke_of_untyped(Sweep& sweep) {
    const Cap<Untyped> memory = create<Untyped>(22);
    sweep_revoke_of_untyped(sweep, memory, abi::ObjectType::Endpoint, 0, 10'000, true);
    sweep_revoke_of_untyped(sweep, memory, abi::ObjectType::TCB, 0, 2'000, true);
    sweep_revoke_of_untyped(sweep, memory, abi::ObjectType::CNode, 4, 2'000, true);
    sweep_revoke_of_untyped(sweep, memory, abi::ObjectType::CNode, 14, 1, true);
    sweep_revoke_of_untyped(sweep, memory, abi::ObjectType::CNode, 2, 1, false);
    sweep_revoke_of_untyped(sweep, memory, abi::ObjectType::TCB, 0, 2, false);
}

// One frame that is mapped at `count` addresses, each by a copy of its capability.
void measure_revoke_of_mappings(Sweep& sweep) {
    constexpr uint64_t count = 4'096;
    const Cap<Frame> frame = create<Frame>();
    const uint64_t copies = system.take_slots(count);
    for (uint64_t i = 0; i < count; i += 512) map_tables(root_vspace, empty_terabyte + i * page_bytes);
    sweep.throughout(
        [=] {
            for (uint64_t i = 0; i < count; ++i) {
                const Cap<Frame> copied{copies + i};
                copy_to(root_cnode, copied.address(), address_bits, frame);
                must(copied.map(empty_terabyte + i * page_bytes, read_write, cached, root_vspace));
            }
        },
        [=] {
            for (uint64_t i = 0; i < count; ++i) delete_cap(CapRef{copies + i});
        });
}

// -- Containers

// A CNode that holds `count` frames, each mapped.
void sweep_cnode_of_frames(Sweep& sweep, unsigned radix, bool long_one) {
    const uint64_t count = uint64_t{1} << radix;
    const Cap<Untyped> memory = create<Untyped>(radix + 13);
    const Cap<CNode> node{system.take_slots()};
    const uint64_t frames = system.take_slots(count);
    for (uint64_t i = 0; i < count; i += 512) map_tables(root_vspace, empty_terabyte + i * page_bytes);
    const auto prepare = [=] {
        revoke(memory);
        retype(memory, abi::ObjectType::CNode, radix, node.address(), 1);
        retype(memory, abi::ObjectType::SmallPage, 0, frames, count);
        for (uint64_t i = 0; i < count; ++i) {
            const Cap<Frame> frame{frames + i};
            must(frame.map(empty_terabyte + i * page_bytes, read_write, cached, root_vspace));
            move_into(node, radix, i, frame);
        }
    };
    const auto operation = [=] { delete_cap(node); };
    long_one ? sweep.throughout(prepare, operation) : sweep.each(prepare, operation);
}

void measure_cnode_of_frames(Sweep& sweep) {
    sweep_cnode_of_frames(sweep, 12, true);
    sweep_cnode_of_frames(sweep, 1, false);
}

// A CNode in a CNode in a CNode: each is held by slot `index` of the one before. The first one's capability is in the first of the slots.
class CNodeChain {
public:
    CNodeChain(uint64_t length, uint64_t index) : length_(length), index_(index), slots_(system.take_slots(length)) {}
    Cap<CNode> head() const { return Cap<CNode>{slots_}; }
    Cap<Untyped> memory() const { return memory_; }
    void build() const {
        revoke(memory_);
        retype(memory_, abi::ObjectType::CNode, 1, slots_, length_);
        for (uint64_t i = length_ - 1; i > 0; --i) move_into(Cap<CNode>{slots_ + i - 1}, 1, index_, CapRef{slots_ + i});
    }

private:
    uint64_t length_;
    uint64_t index_;
    uint64_t slots_;
    Cap<Untyped> memory_ = create<Untyped>(20);
};

void measure_cnode_chain(Sweep& sweep) {
    for (uint64_t index = 0; index < 2; ++index) {
        const CNodeChain longest(8'000, index);
        sweep.throughout([&] { longest.build(); }, [&] { delete_cap(longest.head()); });
        const CNodeChain brief(4, index);
        sweep.each([&] { brief.build(); }, [&] { delete_cap(brief.head()); });
    }
}

// The last CNode of the chain holds the first: nothing outside reaches them but the untyped.
void measure_cnode_cycle(Sweep& sweep) {
    const auto close = [](const CNodeChain& chain, uint64_t index) {
        chain.build();
        must(chain.head().copy(index ^ 1, 1, chain.head().address(), address_bits, all_rights, root_cnode));
        delete_cap(chain.head());
    };
    const CNodeChain longest(8'000, 0);
    sweep.throughout([&] { close(longest, 0); }, [&] { revoke(longest.memory()); });
    const CNodeChain brief(3, 1);
    sweep.each([&] { close(brief, 1); }, [&] { revoke(brief.memory()); });
}

// Threads and CNodes by turns: each thread's CSpace is a CNode that holds the next thread.
void measure_thread_chain(Sweep& sweep) {
    constexpr uint64_t length = 2'000;
    const Cap<Untyped> memory = create<Untyped>(23);
    const uint64_t nodes = system.take_slots(length);
    const uint64_t threads = system.take_slots(length);
    sweep.throughout(
        [=] {
            revoke(memory);
            retype(memory, abi::ObjectType::TCB, 0, threads, length);
            retype(memory, abi::ObjectType::CNode, 1, nodes, length);
            for (uint64_t i = length; i-- > 0;) {
                if (i + 1 < length) move_into(Cap<CNode>{nodes + i}, 1, 0, CapRef{threads + i + 1});
                const Cap<TCB> thread{threads + i};
                must(thread.configure(abi::CNodeCapData{0}, 0, 0, Cap<CNode>{nodes + i}, root_vspace, Cap<Frame>{}));
                delete_cap(CapRef{nodes + i});
            }
        },
        [=] { delete_cap(CapRef{threads}); });
}

// A thread that holds the last capability to everything that a thread can have, and waits behind every other priority.
class BurdenedThread {
public:
    static constexpr unsigned waiters = 30;

    void build() const;
    Cap<TCB> thread() const { return thread_; }

private:
    Cap<Untyped> memory_ = create<Untyped>(19);
    Cap<TCB> thread_{system.take_slots()};
    Cap<CNode> cspace_{system.take_slots()};
    Cap<VSpace> vspace_{system.take_slots()};
    Cap<Frame> buffer_{system.take_slots()};
    uint64_t tables_ = system.take_slots(3);
    Cap<Endpoint> fault_endpoint_{system.take_slots()};
    Cap<Endpoint> timeout_endpoint_{system.take_slots()};
    Cap<Notification> notification_{system.take_slots()};
    Cap<SchedContext> context_{system.take_slots()};
    Cap<Endpoint> endpoint_ = create<Endpoint>();
};

void BurdenedThread::build() const {
    herd.stop_all(2 * waiters);
    revoke(memory_);
    retype(memory_, abi::ObjectType::TCB, 0, thread_.address(), 1);
    retype(memory_, abi::ObjectType::CNode, 6, cspace_.address(), 1);
    retype(memory_, abi::ObjectType::VSpace, 0, vspace_.address(), 1);
    retype(memory_, abi::ObjectType::SmallPage, 0, buffer_.address(), 1);
    retype(memory_, abi::ObjectType::PageTable, 0, tables_, 3);
    retype(memory_, abi::ObjectType::Endpoint, 0, fault_endpoint_.address(), 1);
    retype(memory_, abi::ObjectType::Endpoint, 0, timeout_endpoint_.address(), 1);
    retype(memory_, abi::ObjectType::Notification, 0, notification_.address(), 1);
    retype(memory_, abi::ObjectType::SchedContext, 12, context_.address(), 1);
    must(root_asid_pool.assign(vspace_));
    for (uint64_t i = 0; i < 3; ++i) must(Cap<PageTable>{tables_ + i}.map(empty_terabyte, cached, vspace_));
    must(buffer_.map(empty_terabyte, read_write, cached, vspace_));
    // It blocks first, with the root task's capabilities, and then gets its own.
    must(system.sched_control().configure_flags(1'000, 10'000, 200, 0, abi::SchedContextFlags::make(1), context_));
    must(thread_.configure(abi::CNodeCapData{0}, 0, 0, root_cnode, root_vspace, Cap<Frame>{}));
    must(thread_.set_sched_params(0, eager_priority, root_tcb, context_, fault_endpoint_));
    must(thread_.set_timeout_endpoint(timeout_endpoint_));
    must(thread_.bind_notification(notification_));
    start_at(thread_, member_entry, send_to(endpoint_), {{thread_.address()}});
    must(thread_.set_priority(0, root_tcb));
    must(thread_.configure(abi::CNodeCapData{0}, 0, empty_terabyte, cspace_, vspace_, buffer_));
    for (unsigned i = 0; i < waiters; ++i) {
        herd.start(i, send_to(fault_endpoint_));
        herd.start(waiters + i, send_to(timeout_endpoint_));
    }
    must(state_of(thread_) == ThreadState::BlockedOnSend, "the thread waits");
    delete_cap(cspace_);
    delete_cap(vspace_);
    delete_cap(buffer_);
    delete_cap(fault_endpoint_);
    delete_cap(timeout_endpoint_);
}

void measure_burdened_thread(Sweep& sweep) {
    const BurdenedThread burdened;
    const auto prepare = [&] { burdened.build(); };
    sweep.each(prepare, [&] { delete_cap(burdened.thread()); });
    sweep.each(prepare, [&] { must(burdened.thread().suspend()); });
    // Its capabilities go, and others take their place.
    sweep.each(prepare, [&] {
        must(burdened.thread().set_space(abi::CNodeCapData{0}, 0, Cap<Endpoint>{}, root_cnode, root_vspace));
    });
    herd.stop_all(2 * BurdenedThread::waiters);
}

// -- Address spaces

// A table of each level with all its entries, and pages in all entries of the last.
struct PopulatedSpace {
    static constexpr uint64_t root_entries = 256;
    static constexpr uint64_t entries = 512;
    static constexpr uint64_t tables = root_entries + 2 * entries;

    Cap<Untyped> memory = create<Untyped>(24);
    Cap<VSpace> vspace{system.take_slots()};
    uint64_t table_slots = system.take_slots(tables);
    uint64_t page_slots = system.take_slots(entries);

    void build() const {
        revoke(memory);
        retype(memory, abi::ObjectType::VSpace, 0, vspace.address(), 1);
        retype(memory, abi::ObjectType::PageTable, 0, table_slots, tables);
        retype(memory, abi::ObjectType::SmallPage, 0, page_slots, entries);
        must(root_asid_pool.assign(vspace));
        uint64_t slot = table_slots;
        for (unsigned level = 0; level < 3; ++level) {
            const unsigned shift = 39 - 9 * level;
            for (uint64_t i = 0; i < (level == 0 ? root_entries : entries); ++i)
                must(Cap<PageTable>{slot++}.map(i << shift, cached, vspace));
        }
        for (uint64_t i = 0; i < entries; ++i) must(Cap<Frame>{page_slots + i}.map(i * page_bytes, read_write, cached, vspace));
    }
};

void measure_populated_space(Sweep& sweep) {
    const PopulatedSpace space;
    const auto prepare = [&] { space.build(); };
    sweep.throughout(prepare, [&] { revoke(space.memory); });
    // Tables before what they map, and the root before them.
    const auto delete_from_the_top = [&] {
        delete_cap(space.vspace);
        for (uint64_t i = 0; i < space.tables; ++i) delete_cap(CapRef{space.table_slots + i});
        for (uint64_t i = 0; i < space.entries; ++i) delete_cap(CapRef{space.page_slots + i});
    };
    sweep.throughout(prepare, delete_from_the_top);
    sweep.each(prepare, [&] { delete_cap(space.vspace); });
}

// All entries of a table at once.
void measure_table_unmap(Sweep& sweep) {
    const uint64_t pages = create_many(abi::ObjectType::SmallPage, 0, 512);
    map_tables(root_vspace, empty_terabyte);
    const Cap<PageTable> table = create<PageTable>();
    constexpr uint64_t address = empty_terabyte + table_reach;
    const auto prepare = [=] {
        must(table.map(address, cached, root_vspace));
        for (uint64_t i = 0; i < 512; ++i) {
            must(Cap<Frame>{pages + i}.unmap());
            must(Cap<Frame>{pages + i}.map(address + i * page_bytes, read_write, cached, root_vspace));
        }
    };
    sweep.each(prepare, [=] { must(table.unmap()); });
}

// Every VSpace of a pool loses its ASID at once; then a pool in which all but one entry is taken is asked for one.
void measure_asid_pool(Sweep& sweep) {
    constexpr uint64_t count = abi::asid_pool_entries;
    const Cap<Untyped> memory = create<Untyped>(22);
    const uint64_t spaces = system.take_slots(count);
    const uint64_t pool_memory = system.take_slots();
    const Cap<ASIDPool> pool{system.take_slots()};
    const auto prepare = [=] {
        revoke(memory);
        retype(memory, abi::ObjectType::Untyped, 12, pool_memory, 1);
        must(asid_control.make_pool(pool.address(), address_bits, Cap<Untyped>{pool_memory}, root_cnode));
        retype(memory, abi::ObjectType::VSpace, 0, spaces, count);
        for (uint64_t i = 0; i + 1 < count; ++i) must(pool.assign(Cap<VSpace>{spaces + i}));
    };
    const Cap<VSpace> last{spaces + count - 1};
    sweep.each(prepare, [=] { must(pool.assign(last)); });
    const auto fill = [=] {
        prepare();
        must(pool.assign(last));
    };
    sweep.each(fill, [=] { delete_cap(pool); });
    sweep.each(fill, [=] { delete_cap(last); });
    sweep.throughout(fill, [=] { revoke(memory); });
}

}  // namespace

const Operation deletion_operations[] = {
    {"revoke of 10,000 badged endpoint capabilities", measure_revoke_of_badges},
    {"revoke of an untyped with 10,000 endpoints", measure_revoke_of_untyped},
    {"4,096 mappings of one frame deleted", measure_revoke_of_mappings},
    {"a CNode of 4,096 mapped frames deleted", measure_cnode_of_frames},
    {"a chain of 8,000 CNodes deleted", measure_cnode_chain},
    {"a cycle of 8,000 CNodes deleted", measure_cnode_cycle},
    {"a chain of 2,000 threads and their CNodes deleted", measure_thread_chain},
    {"a thread destroyed that holds the last of everything", measure_burdened_thread},
    {"a fully populated VSpace destroyed", measure_populated_space},
    {"a page table of 512 pages unmapped", measure_table_unmap},
    {"an ASID pool with 512 VSpaces deleted", measure_asid_pool},
    {nullptr, nullptr},
};

}  // namespace caprock::worst_case
