// SPDX-License-Identifier: BSD-2-Clause
// Capabilities, memory and threads: what the slow path does.
#include "objects.hpp"

namespace bench {

using namespace caprock;

namespace {

constexpr abi::CapRights all_rights {15};
constexpr uint64_t depth = Workshop::depth;
constexpr uint64_t frame_bits = 12;
constexpr uint64_t tcb_bits = 11;
// The longest rows have fewer rounds.
constexpr uint64_t few_rounds = 50;
// In the page table of ComponentInfo and IPC buffer, where nothing is mapped.
constexpr uint64_t free_page = 0x1018'0000;

void measure_capabilities(Table& table, Workshop& shop)
{
    const uint64_t source = shop.slot();
    const uint64_t target = shop.slot();
    const Cap<CNode> cnode = shop.cnode;
    shop.make(shop.memory, abi::ObjectType::Endpoint, source);
    const auto copy = [&] { return cnode.copy(target, depth, source, depth, all_rights, cnode); };
    const auto mint = [&] { return cnode.mint(target, depth, source, depth, all_rights, 7, cnode); };
    const auto destroy = [&] { return cnode.delete_cap(target, depth); };
    const auto revoke = [&] { return cnode.revoke(source, depth); };
    table.add("cnode copy", figure_of([&] {
        announce<Operation::CnodeCopy>();
        const uint64_t ticks = ticks_of(copy);
        must(destroy());
        return ticks;
    }));
    table.add("cnode mint", figure_of([&] {
        const uint64_t ticks = ticks_of(mint);
        must(destroy());
        return ticks;
    }));
    table.add("cnode move", figure_of([&] {
        const uint64_t ticks = ticks_of([&] { return cnode.move(target, depth, source, depth, cnode); });
        must(cnode.move(source, depth, target, depth, cnode));
        return ticks;
    }));
    table.add("cnode delete", figure_of([&] {
        must(copy());
        announce<Operation::CnodeDelete>();
        return ticks_of(destroy);
    }));
    table.add("cnode revoke 1", figure_of([&] {
        must(mint());
        return ticks_of(revoke);
    }));
    const uint64_t first_child = shop.slots(100);
    table.add("cnode revoke 100", figure_of([&] {
        for (uint64_t child = first_child; child < first_child + 100; ++child)
            must(cnode.mint(child, depth, source, depth, all_rights, child, cnode));
        return ticks_of(revoke);
    }, few_rounds));
}

/// Retypes of memory of which something else is in use, and of memory that was in use.
void measure_retype(Table& table, Workshop& shop, abi::ObjectType type, uint64_t bits, Text clear_row, Text reused_row)
{
    const uint64_t target = shop.slot();
    const auto retype = [&](Cap<Untyped> memory) {
        if (type == abi::ObjectType::SmallPage)
            announce<Operation::RetypeFrame>();
        const uint64_t ticks = ticks_of([&] { return memory.retype(type, 0, 0, 0, target, 1, shop.cnode); });
        shop.destroy(target);
        return ticks;
    };
    const Cap<Untyped> fresh {self().grant("fresh")};
    shop.make(fresh, abi::ObjectType::Endpoint, shop.slot());
    table.add(clear_row, figure_of([&] { return retype(fresh); }));
    const Cap<Untyped> reused = shop.make_memory(bits + 1);
    table.add(reused_row, figure_of([&] { return retype(reused); }));
}

void measure_many_frames(Table& table, Workshop& shop)
{
    const uint64_t place = shop.slot();
    const Cap<Untyped> memory {place};
    shop.make(shop.memory, abi::ObjectType::Untyped, place, frame_bits + 8);
    const uint64_t first = shop.slots(256);
    table.add("retype 256 frames reused", figure_of([&] {
        const uint64_t ticks = ticks_of([&] { return memory.retype(abi::ObjectType::SmallPage, 0, 0, 0, first, 256, shop.cnode); });
        must(shop.cnode.revoke(place, depth));
        return ticks;
    }, few_rounds));
}

void measure_mapping(Table& table, Workshop& shop)
{
    const Cap<Frame> frame {shop.slot()};
    shop.make(shop.memory, abi::ObjectType::SmallPage, frame.address());
    const auto map = [&] { return frame.map(free_page, abi::CapRights {3}, abi::VMAttributes::make(1, 0, 1), shop.vspace); };
    const auto unmap = [&] { return frame.unmap(); };
    table.add("page map", figure_of([&] {
        announce<Operation::PageMap>();
        const uint64_t ticks = ticks_of(map);
        must(unmap());
        return ticks;
    }));
    table.add("page unmap", figure_of([&] {
        must(map());
        return ticks_of(unmap);
    }));
}

} // namespace

void measure_objects(Table& table, Workshop& shop)
{
    measure_capabilities(table, shop);
    measure_retype(table, shop, abi::ObjectType::SmallPage, frame_bits, "retype frame clear", "retype frame reused");
    measure_retype(table, shop, abi::ObjectType::TCB, tcb_bits, "retype tcb clear", "retype tcb reused");
    measure_many_frames(table, shop);
    measure_mapping(table, shop);
}

} // namespace bench
