// SPDX-License-Identifier: BSD-2-Clause
// Memory that becomes objects, and caches that are maintained.
#include "tests/worst_case/operations.hpp"

namespace caprock::worst_case {

namespace {

constexpr uint64_t huge_page_bits = 30;
constexpr uint64_t large_page_bits = 21;
constexpr uint64_t small_page_bits = 12;
constexpr uint64_t large_page_bytes = uint64_t{1} << large_page_bits;

// An untyped of the giant one that can be revoked and made objects of again and again.
Cap<Untyped> piece_of_giant(unsigned bits) {
    const Cap<Untyped> piece{system.take_slots()};
    retype(system.giant(), abi::ObjectType::Untyped, bits, piece.address(), 1);
    return piece;
}

// Sweeps retypes of `count` objects, which are destroyed before each.
void sweep_retype(Sweep& sweep, Cap<Untyped> memory, abi::ObjectType type, uint64_t bits, uint64_t count, bool long_one) {
    const uint64_t slot = system.take_slots(count);
    const auto prepare = [=] { revoke(memory); };
    const auto operation = [=] { retype(memory, type, bits, slot, count); };
    long_one ? sweep.throughout(prepare, operation) : sweep.each(prepare, operation);
    revoke(memory);
}

// As much as there is, up to 1 GiB. A machine with less resets an untyped of large pages.
void measure_reset(Sweep& sweep) {
    if (system.giant_bits() >= huge_page_bits) {
        sweep_retype(sweep, system.giant(), abi::ObjectType::HugePage, 0, 1, true);
    } else {
        sweep_retype(sweep, system.giant(), abi::ObjectType::LargePage, 0, uint64_t{1} << (system.giant_bits() - large_page_bits), true);
    }
}

void measure_large_pages(Sweep& sweep) {
    sweep_retype(sweep, piece_of_giant(large_page_bits + 6), abi::ObjectType::LargePage, 0, 64, true);
    revoke(system.giant());
}

void measure_small_pages(Sweep& sweep) {
    const Cap<Untyped> memory = create<Untyped>(small_page_bits + 8);
    sweep_retype(sweep, memory, abi::ObjectType::SmallPage, 0, 256, true);
    sweep_retype(sweep, memory, abi::ObjectType::SmallPage, 0, 1, false);
}

// Objects that are made without clearing much, as many as one call makes.
void measure_many_objects(Sweep& sweep) {
    const Cap<Untyped> memory = create<Untyped>(20);
    sweep_retype(sweep, memory, abi::ObjectType::Untyped, 4, 256, false);
    sweep_retype(sweep, memory, abi::ObjectType::Endpoint, 0, 256, false);
    sweep_retype(sweep, memory, abi::ObjectType::TCB, 0, 256, true);
    sweep_retype(sweep, memory, abi::ObjectType::TCB, 0, 2, false);
    sweep_retype(sweep, memory, abi::ObjectType::VSpace, 0, 256, true);
    sweep_retype(sweep, memory, abi::ObjectType::CNode, 1, 256, true);
}

// Objects of all sizes after one another: an untyped whose free memory begins anywhere.
void measure_mixed_objects(Sweep& sweep) {
    const Cap<Untyped> memory = create<Untyped>(20);
    const uint64_t slots = system.take_slots(66);
    const auto prepare = [=] {
        revoke(memory);
        retype(memory, abi::ObjectType::Endpoint, 0, slots, 1);
    };
    sweep.throughout(prepare, [=] { retype(memory, abi::ObjectType::SchedContext, 13, slots + 1, 64); });
    sweep.throughout(prepare, [=] { retype(memory, abi::ObjectType::CNode, 14, slots + 1, 1); });
}

void measure_cache_maintenance(Sweep& sweep) {
    const Cap<Frame> frame{system.take_slots()};
    retype(system.giant(), abi::ObjectType::LargePage, 0, frame.address(), 1);
    const auto nothing = [] {};
    sweep.throughout(nothing, [=] { must(frame.clean_data(0, large_page_bytes)); });
    sweep.throughout(nothing, [=] { must(frame.invalidate_data(0, large_page_bytes)); });
    sweep.throughout(nothing, [=] { must(frame.clean_invalidate_data(0, large_page_bytes)); });
    sweep.throughout(nothing, [=] { must(frame.unify_instruction(0, large_page_bytes)); });
    sweep.each([=] { must(frame.unify_instruction(1, 1 + 2 * page_bytes)); });
    revoke(system.giant());
}

// By address: pages of 4 KiB, and all the holes of an address space.
void measure_cache_maintenance_by_address(Sweep& sweep) {
    constexpr uint64_t pages = 512;
    const uint64_t frames = create_many(abi::ObjectType::SmallPage, 0, pages);
    map_tables(root_vspace, empty_terabyte);
    for (uint64_t i = 0; i < pages; ++i)
        must(Cap<Frame>{frames + i}.map(empty_terabyte + i * page_bytes, read_write, cached, root_vspace));
    const auto nothing = [] {};
    sweep.throughout(nothing, [] { must(root_vspace.clean_data(empty_terabyte, empty_terabyte + large_page_bytes)); });
    sweep.throughout(nothing, [] { must(root_vspace.unify_instruction(empty_terabyte, empty_terabyte + large_page_bytes)); });
    sweep.throughout(nothing, [] { must(root_vspace.clean_invalidate_data(0, abi::user_top)); });
    sweep.each([] { must(root_vspace.clean_data(empty_terabyte + 1, empty_terabyte + 2 * page_bytes + 1)); });
}

// One page after the other: mapped, mapped with other rights, unmapped.
void measure_mapping(Sweep& sweep) {
    const Cap<Frame> frame = create<Frame>();
    map_tables(root_vspace, empty_terabyte);
    const auto map = [=](abi::VMAttributes attributes) { must(frame.map(empty_terabyte, read_write, attributes, root_vspace)); };
    const auto unmap = [=] { must(frame.unmap()); };
    sweep.each(unmap, [=] { map(cached); });
    sweep.each([=] { map(uncached); }, [=] { map(cached); });
    sweep.each([=] { map(cached); }, unmap);
}

void measure_asid_pool(Sweep& sweep) {
    const Cap<Untyped> memory = create<Untyped>(small_page_bits);
    const uint64_t slot = system.take_slots();
    const auto prepare = [=] { revoke(memory); };
    sweep.each(prepare, [=] { must(asid_control.make_pool(slot, address_bits, memory, root_cnode)); });
}

}  // namespace

const Operation memory_operations[] = {
    {"reset of the largest untyped, up to 1 GiB", measure_reset},
    {"retype of 64 frames of 2 MiB", measure_large_pages},
    {"retype of 256 frames of 4 KiB", measure_small_pages},
    {"retype of 256 objects of each kind", measure_many_objects},
    {"retype of objects that span pages", measure_mixed_objects},
    {"cache maintenance of a frame of 2 MiB", measure_cache_maintenance},
    {"cache maintenance of all of an address space", measure_cache_maintenance_by_address},
    {"a page mapped, mapped anew, unmapped", measure_mapping},
    {"an ASID pool made", measure_asid_pool},
    {nullptr, nullptr},
};

}  // namespace caprock::worst_case
