// SPDX-License-Identifier: BSD-2-Clause
// Page tables: levels, and what ends with a table.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

TEST(order_map, "Map's checks come in the documented order") {
    const Cap<VSpace> vspace = create_space();
    const Cap<VSpace> unassigned = create<VSpace>();
    const Cap<PageTable> table = create<PageTable>();
    const Cap<PageTable> mapped = create<PageTable>();
    CHECK_OK(mapped.map(0x1234, cached, vspace));
    Order order(abi::Method::PageTableMap);
    NEXT(order, mapped.map(abi::user_top, cached, CapRef{})).number(0);
    AGAIN(order, mapped.map(0x1234, cached, vspace)).number(0);
    NEXT(order, table.map(abi::user_top, cached, CapRef{table.address()})).number(1);
    AGAIN(order, table.map(abi::user_top, cached, unassigned)).number(1);
    NEXT(order, table.map(abi::user_top, cached, own_vspace)).number(0);
    AGAIN(order, table.map(~uint64_t{0}, cached, own_vspace)).number(0);
    NEXT(order, table.map(data_address, cached, own_vspace));
    CHECK_OK(table.map(abi::user_top - 1, cached, vspace));
}

TEST(order_unmap, "Unmap's check") {
    const Cap<VSpace> vspace = create_space();
    const Cap<PageTable> table = create<PageTable>();
    Order order(abi::Method::PageTableUnmap);
    CHECK_OK(table.unmap());
    CHECK_OK(table.map(0x1234, cached, vspace));
    const Cap<PageTable> second = copy(table);
    NEXT(order, table.unmap());
    AGAIN(order, second.unmap());
    delete_cap(second);
    CHECK_OK(table.unmap());
    CHECK_OK(table.map(0x1234, cached, vspace));
}

TEST(missing_tables, "a mapping call tells which level is missing: 39, 30 or 21 bits") {
    const Cap<VSpace> vspace = create_space();
    const Cap<Frame> frame = create<Frame>();
    constexpr uint64_t address = 0x12'3456'7000;
    const uint64_t levels[] = {39, 30, 21};
    for (const uint64_t bits : levels) {
        const Result<void> mapped = frame.map(address, read_write, cached, vspace);
        CHECK_LOOKUP(mapped, false, MissingCapability);
        CHECK_EQUAL(mapped.detail(2), bits);
        CHECK_OK(create<PageTable>().map(address, cached, vspace));
    }
    CHECK_OK(frame.map(address, read_write, cached, vspace));
    CHECK_ERROR(create<PageTable>().map(address, cached, vspace), DeleteFirst);
    // A frame where a table would be.
    const Cap<Frame> large = create_large();
    CHECK_OK(large.map(0x12'3460'0000, read_write, cached, vspace));
    CHECK_ERROR(create<PageTable>().map(0x12'3460'0000, cached, vspace), DeleteFirst);
    CHECK_ERROR(create<Frame>().map(0x12'3460'0000, read_write, cached, vspace), FailedLookup);
}

TEST(unmapped, "what was mapped below a table is gone with it, and does not come back") {
    const Cap<PageTable> table = create<PageTable>();
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(table.map(large_window, cached, own_vspace));
    CHECK_OK(frame.map(large_window, read_write, cached, own_vspace));
    word_at(large_window) = 1;
    CHECK_OK(table.unmap());
    CHECK(load_faults(large_window));
    CHECK_OK(table.map(large_window, cached, own_vspace));
    CHECK(load_faults(large_window));
    // The frame's capability still says where it was mapped.
    CHECK_ARGUMENT(frame.map(small_window, read_write, cached, own_vspace), 0);
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    CHECK_EQUAL(word_at(small_window), 1);
}

TEST(deleted, "a table that is deleted takes its mappings along") {
    const Cap<PageTable> table = create<PageTable>();
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(table.map(large_window, cached, own_vspace));
    CHECK_OK(frame.map(large_window, read_write, cached, own_vspace));
    word_at(large_window) = 1;
    delete_cap(table);
    CHECK(load_faults(large_window));
    CHECK_OK(frame.unmap());
}

TEST(zero_when_unmapped, "a table that is unmapped and mapped elsewhere brings nothing along") {
    const Cap<PageTable> table = create<PageTable>();
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(table.map(large_window, cached, own_vspace));
    CHECK_OK(frame.map(large_window + 3 * page_bytes, read_write, cached, own_vspace));
    CHECK_OK(table.unmap());
    CHECK_OK(table.map(large_window + large_bytes, cached, own_vspace));
    CHECK(load_faults(large_window + large_bytes + 3 * page_bytes));
    CHECK(load_faults(large_window + 3 * page_bytes));
}

TEST(upper_unmapped, "unmapping a table of an upper level takes the lower ones and their frames along") {
    const Cap<VSpace> vspace = other_vspace();
    const Cap<PageTable> tables[3] = {create<PageTable>(), create<PageTable>(), create<PageTable>()};
    for (const Cap<PageTable> table : tables) CHECK_OK(table.map(empty_terabyte, cached, vspace));
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(empty_terabyte, read_write, cached, vspace));
    CHECK(!load_faults(empty_terabyte, vspace));
    CHECK_OK(tables[0].unmap());
    CHECK(load_faults(empty_terabyte, vspace));
    // The lower ones still say that they are mapped, and can be unmapped and mapped again.
    CHECK_CAPABILITY(tables[1].map(empty_terabyte, cached, vspace), 0);
    CHECK_OK(tables[2].unmap());
    CHECK_OK(tables[1].unmap());
    for (const Cap<PageTable> table : tables) CHECK_OK(table.map(empty_terabyte, cached, vspace));
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.map(empty_terabyte, read_write, cached, vspace));
    CHECK(!load_faults(empty_terabyte, vspace));
}

}  // namespace caprock::conformance
