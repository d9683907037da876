// SPDX-License-Identifier: BSD-2-Clause
// Frames: mapping, rights, caches.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

using abi::ObjectType;

using CacheMethod = Result<void> (Cap<Frame>::*)(uint64_t, uint64_t) const;

// The four cache methods check the same.
void check_cache_order(abi::Method method, CacheMethod call) {
    const Cap<Frame> frame = create_large();
    Order order(method);
    NEXT(order, (uart_frame.*call)(8, 8)).range(0, page_bytes);
    AGAIN(order, (frame.*call)(8, 8)).range(0, large_bytes);
    AGAIN(order, (frame.*call)(0, large_bytes + 1)).range(0, large_bytes);
    AGAIN(order, (frame.*call)(~uint64_t{0}, 1)).range(0, large_bytes);
    AGAIN(order, (frame.*call)(large_bytes, large_bytes)).range(0, large_bytes);
    NEXT(order, (uart_frame.*call)(0, 8));
    CHECK_OK((frame.*call)(1, 2));
    CHECK_OK((frame.*call)(0, large_bytes));
}

}  // namespace

TEST(order_map, "Map's checks come in the documented order") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> large = create_large();
    const Cap<VSpace> unassigned = create<VSpace>();
    Order order(abi::Method::FrameMap);
    CHECK_OK(frame.map(small_window, all_rights, cached, own_vspace));
    NEXT(order, frame.map(abi::user_top + 8, all_rights, cached, CapRef{frame.address()})).number(1);
    AGAIN(order, frame.map(abi::user_top + 8, all_rights, cached, unassigned)).number(1);
    NEXT(order, frame.map(abi::user_top + 8, all_rights, cached, other_vspace())).number(0);
    AGAIN(order, large.map(abi::user_top - large_bytes + 8, all_rights, cached, own_vspace)).number(0);
    AGAIN(order, frame.map(~uint64_t{0}, all_rights, cached, own_vspace)).number(0);
    NEXT(order, frame.map(small_window + 8, all_rights, cached, other_vspace()));
    AGAIN(order, large.map(large_window + page_bytes, all_rights, cached, own_vspace));
    NEXT(order, frame.map(empty_terabyte, all_rights, cached, other_vspace())).number(1);
    NEXT(order, frame.map(empty_terabyte, all_rights, cached, own_vspace)).number(0);
    const Cap<Frame> second = create<Frame>();
    NEXT(order, second.map(empty_terabyte, all_rights, cached, own_vspace)).lookup(false, abi::LookupFailure::MissingCapability);
    NEXT(order, second.map(small_window, all_rights, cached, own_vspace));
    AGAIN(order, large.map(small_window, all_rights, cached, own_vspace));
    CHECK_OK(frame.unmap());
    CHECK_OK(second.map(small_window, all_rights, cached, own_vspace));
}

TEST(order_clean_data, "CleanData's checks come in the documented order") {
    check_cache_order(abi::Method::FrameCleanData, &Cap<Frame>::clean_data);
}
TEST(order_invalidate_data, "InvalidateData's checks come in the documented order") {
    check_cache_order(abi::Method::FrameInvalidateData, &Cap<Frame>::invalidate_data);
}
TEST(order_clean_invalidate_data, "CleanInvalidateData's checks come in the documented order") {
    check_cache_order(abi::Method::FrameCleanInvalidateData, &Cap<Frame>::clean_invalidate_data);
}
TEST(order_unify_instruction, "UnifyInstruction's checks come in the documented order") {
    check_cache_order(abi::Method::FrameUnifyInstruction, &Cap<Frame>::unify_instruction);
}

TEST(small_page, "a frame of 4 KiB is mapped, shared by its copies, and unmapped") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> second = copy(frame);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    CHECK_OK(second.map(small_window + page_bytes, read_write, cached, own_vspace));
    word_at(small_window + 64) = 0x1234;
    CHECK_EQUAL(word_at(small_window + page_bytes + 64), 0x1234);
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.unmap());
    CHECK(load_faults(small_window));
    CHECK_EQUAL(word_at(small_window + page_bytes + 64), 0x1234);
    CHECK_OK(frame.map(small_window, read_only, cached, own_vspace));
    CHECK_EQUAL(word_at(small_window + 64), 0x1234);
}

TEST(large_page, "a frame of 2 MiB is mapped, zero, and unmapped with its capability") {
    const Cap<Frame> frame = create_large();
    CHECK_OK(frame.map(large_window, read_write, cached, own_vspace));
    for (uint64_t offset = 0; offset < large_bytes; offset += page_bytes) CHECK_EQUAL(word_at(large_window + offset), 0);
    word_at(large_window + large_bytes - 8) = 9;
    CHECK_EQUAL(word_at(large_window + large_bytes - 8), 9);
    const uint64_t address = CHECK_OK(frame.get_address());
    CHECK_EQUAL(address % large_bytes, 0);
    delete_cap(frame);
    CHECK(load_faults(large_window));
}

TEST(huge_page, "a frame of 1 GiB") {
    const Cap<Untyped> memory = spare_untyped();
    if (memory.is_null()) skip("the machine has too little memory");
    const Cap<Frame> frame{take_slots()};
    CHECK_OK(memory.retype(ObjectType::HugePage, 0, 0, 0, frame.address(), 1, own_cnode));
    CHECK_OK(frame.map(huge_window, read_write, cached, own_vspace));
    word_at(huge_window + huge_bytes - 8) = 7;
    CHECK_EQUAL(word_at(huge_window + huge_bytes - 8), 7);
    CHECK_EQUAL(word_at(huge_window + 8), 0);
    delete_cap(frame);
    CHECK(load_faults(huge_window));
}

TEST(remap, "mapping a frame again changes its rights, down and up") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    CHECK(!store_faults(small_window));
    CHECK_OK(frame.map(small_window, read_only, cached, own_vspace));
    CHECK(store_faults(small_window) && !load_faults(small_window));
    CHECK_OK(frame.map(small_window, abi::CapRights::make(0, 0, 0, 0), cached, own_vspace));
    CHECK(load_faults(small_window));
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    CHECK(!store_faults(small_window));
}

TEST(weak_frame, "a mapping has no more rights than the capability") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> weak = copy(frame, read_only);
    CHECK_OK(weak.map(small_window, all_rights, cached, own_vspace));
    CHECK(store_faults(small_window) && !load_faults(small_window));
    CHECK_OK(weak.unmap());
    const Cap<Frame> write_only = copy(frame, abi::CapRights::make(1, 0, 0, 0));
    CHECK_OK(write_only.map(small_window, all_rights, cached, own_vspace));
    CHECK(store_faults(small_window) && load_faults(small_window));
}

TEST(execute, "code that was written runs, after its caches were unified") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached_executable, own_vspace));
    for (uint32_t i = 0; i < 4; ++i) {
        *reinterpret_cast<volatile uint32_t*>(small_window) = 0x52800000 | i << 5;   // mov w0, #i
        *reinterpret_cast<volatile uint32_t*>(small_window + 4) = 0xd65f03c0;        // ret
        CHECK_OK(frame.unify_instruction(0, 8));
        CHECK_EQUAL(reinterpret_cast<uint32_t (*)()>(small_window)(), i);
    }
}

TEST(invalidate, "InvalidateData does not undo a write") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    word_at(small_window) = 0x55aa;
    CHECK_OK(frame.invalidate_data(0, page_bytes));
    CHECK_EQUAL(word_at(small_window), 0x55aa);
}

TEST(device_address, "a device frame has its physical address, and is never executable") {
    const Cap<Frame> device = copy(uart_frame);
    CHECK_EQUAL(CHECK_OK(device.get_address()), shared_page().uart_address);
    CHECK_OK(device.map(small_window, read_write, abi::VMAttributes::make(0, 0, 0), own_vspace));
    const FaultHandler handler;
    auto fetching = [] { reinterpret_cast<void (*)()>(small_window)(); };
    spawn(fetching, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, abi::FaultLabel::VMFault);
    CHECK_EQUAL(report.words[abi::VMFault::prefetch_fault], 1);
}

TEST(execute_never, "memory that is mapped execute-never cannot be executed, and can when it is mapped again") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    *reinterpret_cast<volatile uint32_t*>(small_window) = 0xd65f03c0;   // ret
    CHECK_OK(frame.unify_instruction(0, 4));
    const FaultHandler handler;
    auto jumping = [] { reinterpret_cast<void (*)()>(small_window)(); };
    spawn(jumping, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(handler.receive().words[abi::VMFault::prefetch_fault], 1);
    CHECK_OK(frame.map(small_window, read_only, cached_executable, own_vspace));
    reinterpret_cast<void (*)()>(small_window)();
    CHECK_OK(frame.map(small_window, read_only, cached, own_vspace));
    spawn(jumping, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(handler.receive().words[abi::VMFault::prefetch_fault], 1);
}

TEST(uncached, "what was written through a cached mapping is read through an uncached one, and the other way round") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> second = copy(frame);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    word_at(small_window + 128) = 0x1111;
    CHECK_OK(frame.clean_data(0, page_bytes));
    CHECK_OK(second.map(small_window + page_bytes, read_write, uncached, own_vspace));
    CHECK_EQUAL(word_at(small_window + page_bytes + 128), 0x1111);
    CHECK_OK(frame.clean_invalidate_data(0, page_bytes));
    word_at(small_window + page_bytes + 128) = 0x2222;
    CHECK_OK(frame.invalidate_data(128, 136));
    CHECK_EQUAL(word_at(small_window + 128), 0x2222);
}

TEST(unmap_other_entry, "unmapping a frame whose entry is another's by now does not take that away") {
    const Cap<PageTable> table = create<PageTable>();
    CHECK_OK(table.map(large_window, cached, own_vspace));
    const Cap<Frame> first = create<Frame>();
    CHECK_OK(first.map(large_window, read_write, cached, own_vspace));
    CHECK_OK(table.unmap());
    CHECK_OK(table.map(large_window, cached, own_vspace));
    const Cap<Frame> second = create<Frame>();
    CHECK_OK(second.map(large_window, read_write, cached, own_vspace));
    word_at(large_window) = 6;
    CHECK_OK(first.unmap());
    CHECK(!load_faults(large_window));
    delete_cap(first);
    CHECK_EQUAL(word_at(large_window), 6);
}

TEST(last_page, "the last page of user level can be mapped and used") {
    make_tables(own_vspace, abi::user_top - page_bytes);
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(abi::user_top - page_bytes, read_write, cached, own_vspace));
    word_at(abi::user_top - 8) = 4;
    CHECK_EQUAL(word_at(abi::user_top - 8), 4);
}

TEST(remap_errors, "a frame is mapped once: not elsewhere, not in another address space, before it is unmapped") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    CHECK_ARGUMENT(frame.map(small_window + page_bytes, read_write, cached, own_vspace), 0);
    CHECK_CAPABILITY(frame.map(small_window, read_write, cached, other_vspace()), 1);
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.map(small_window + page_bytes, read_write, cached, own_vspace));
    word_at(small_window + page_bytes) = 1;
}

TEST(map_space_gone, "a frame that was mapped in an address space that is gone can be mapped again") {
    const Cap<Untyped> untyped = create<Untyped>(14);
    const Cap<VSpace> vspace = create_in<VSpace>(untyped);
    CHECK_OK(own_asid_pool.assign(vspace));
    make_tables(vspace, empty_terabyte, create<Untyped>(16));
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(empty_terabyte, read_write, cached, vspace));
    revoke(untyped);
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    word_at(small_window) = 1;
}

TEST(cache_preempted, "maintenance of a large frame is preempted, and ends with all of it done") {
    const Cap<Frame> frame = create_large();
    CHECK_OK(frame.map(large_window, read_write, cached, own_vspace));
    for (uint64_t offset = 0; offset < large_bytes; offset += page_bytes) word_at(large_window + offset) = offset;
    Ticker ticker(25);
    const CacheMethod methods[] = {&Cap<Frame>::clean_data, &Cap<Frame>::invalidate_data, &Cap<Frame>::clean_invalidate_data,
                                   &Cap<Frame>::unify_instruction};
    for (const CacheMethod method : methods) {
        ticker.start();
        CHECK_OK((frame.*method)(0, large_bytes));
        ticker.check_on_time();
    }
    for (uint64_t offset = 0; offset < large_bytes; offset += page_bytes) CHECK_EQUAL(word_at(large_window + offset), offset);
}

TEST(copy_and_mapping, "a copy of a mapped frame is not mapped: it cannot change the mapping, and minted or copied can be mapped elsewhere") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    const Cap<Frame> copied = copy(frame);
    const Cap<Frame> minted = mint(frame, 0);
    CHECK_ERROR(copied.map(small_window, read_only, cached, own_vspace), DeleteFirst);
    CHECK_ERROR(minted.map(small_window, read_only, cached, own_vspace), DeleteFirst);
    CHECK(!store_faults(small_window));
    CHECK_OK(copied.unmap());
    CHECK_OK(minted.unmap());
    CHECK(!store_faults(small_window));
    CHECK_OK(copied.map(small_window + page_bytes, read_write, cached, own_vspace));
    CHECK_OK(minted.map(small_window + 2 * page_bytes, read_write, cached, own_vspace));
    word_at(small_window) = 9;
    CHECK(word_at(small_window + page_bytes) == 9 && word_at(small_window + 2 * page_bytes) == 9);
    delete_cap(frame);
    CHECK_EQUAL(word_at(small_window + 2 * page_bytes), 9);
    // A mapping ends with its own capability, though others to the frame are left.
    delete_cap(copied);
    CHECK(load_faults(small_window + page_bytes));
    CHECK(!load_faults(small_window + 2 * page_bytes));
}

}  // namespace caprock::conformance
