// SPDX-License-Identifier: BSD-2-Clause
// The methods of VSpaces: caches by address.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

using CacheMethod = Result<void> (Cap<VSpace>::*)(uint64_t, uint64_t) const;
constexpr CacheMethod cache_methods[] = {&Cap<VSpace>::clean_data, &Cap<VSpace>::invalidate_data, &Cap<VSpace>::clean_invalidate_data,
                                         &Cap<VSpace>::unify_instruction};

// The four methods check the same.
void check_cache_order(abi::Method method, CacheMethod call) {
    const Cap<VSpace> unassigned = create<VSpace>();
    Order order(method);
    NEXT(order, (unassigned.*call)(abi::user_top + 8, abi::user_top + 8)).number(0);
    NEXT(order, (own_vspace.*call)(abi::user_top + 8, abi::user_top + 8)).number(1);
    AGAIN(order, (own_vspace.*call)(~uint64_t{0}, 0)).number(1);
    NEXT(order, (own_vspace.*call)(data_address, abi::user_top + 1));
    AGAIN(order, (own_vspace.*call)(abi::user_top, ~uint64_t{0}));
    CHECK_OK((own_vspace.*call)(data_address, data_address + 1));
    CHECK_OK((own_vspace.*call)(abi::user_top - 1, abi::user_top));
}

}  // namespace

TEST(order_clean_data, "CleanData's checks come in the documented order") {
    check_cache_order(abi::Method::VSpaceCleanData, &Cap<VSpace>::clean_data);
}
TEST(order_invalidate_data, "InvalidateData's checks come in the documented order") {
    check_cache_order(abi::Method::VSpaceInvalidateData, &Cap<VSpace>::invalidate_data);
}
TEST(order_clean_invalidate_data, "CleanInvalidateData's checks come in the documented order") {
    check_cache_order(abi::Method::VSpaceCleanInvalidateData, &Cap<VSpace>::clean_invalidate_data);
}
TEST(order_unify_instruction, "UnifyInstruction's checks come in the documented order") {
    check_cache_order(abi::Method::VSpaceUnifyInstruction, &Cap<VSpace>::unify_instruction);
}

TEST(whole_space, "a range over the whole of an address space passes over what is not mapped") {
    word_at(reinterpret_cast<uint64_t>(current_thread()->memory().stack)) = 0x77;
    for (const CacheMethod call : cache_methods) {
        CHECK_OK((own_vspace.*call)(0, abi::user_top));
        CHECK_OK((create_space().*call)(0, abi::user_top));
    }
    CHECK_EQUAL(word_at(reinterpret_cast<uint64_t>(current_thread()->memory().stack)), 0x77);
}

TEST(keeps_data, "maintenance changes no data, whatever the mapping's rights and size") {
    const Cap<Frame> small = create<Frame>();
    const Cap<Frame> large = create_large();
    CHECK_OK(small.map(small_window, read_write, cached, own_vspace));
    CHECK_OK(large.map(large_window, read_write, cached, own_vspace));
    word_at(small_window + 8) = 1;
    word_at(large_window + 8) = 2;
    word_at(large_window + large_bytes - 8) = 3;
    CHECK_OK(small.map(small_window, read_only, cached, own_vspace));
    for (const CacheMethod call : cache_methods) {
        CHECK_OK((own_vspace.*call)(small_window, large_window + large_bytes));
        CHECK_EQUAL(word_at(small_window + 8), 1);
        CHECK_EQUAL(word_at(large_window + 8), 2);
        CHECK_EQUAL(word_at(large_window + large_bytes - 8), 3);
    }
}

TEST(device_mapping, "a device's registers in the range are left alone") {
    CHECK_OK(copy(uart_frame).map(small_window + page_bytes, read_write, uncached, own_vspace));
    for (const CacheMethod call : cache_methods) CHECK_OK((own_vspace.*call)(small_window, small_window + 3 * page_bytes));
}

TEST(new_code, "code that was written runs, after UnifyInstruction by its address") {
    CHECK_OK(create<Frame>().map(small_window, read_write, cached_executable, own_vspace));
    for (uint32_t i = 0; i < 4; ++i) {
        *reinterpret_cast<volatile uint32_t*>(small_window + 64) = 0x52800000 | i << 5;   // mov w0, #i
        *reinterpret_cast<volatile uint32_t*>(small_window + 68) = 0xd65f03c0;            // ret
        CHECK_OK(own_vspace.unify_instruction(small_window + 64, small_window + 72));
        CHECK_EQUAL(reinterpret_cast<uint32_t (*)()>(small_window + 64)(), i);
    }
}

TEST(foreign_space, "another address space's caches are maintained from here") {
    const Cap<VSpace> vspace = create_space();
    make_tables(vspace, empty_terabyte);
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> here = copy(frame);
    CHECK_OK(frame.map(empty_terabyte, read_only, cached, vspace));
    CHECK_OK(here.map(small_window, read_write, cached, own_vspace));
    word_at(small_window) = 5;
    for (const CacheMethod call : cache_methods) CHECK_OK((vspace.*call)(empty_terabyte, empty_terabyte + page_bytes));
    CHECK_EQUAL(word_at(small_window), 5);
}

TEST(preempted, "maintenance of a large range is preempted, and ends with all of it done") {
    for (uint64_t i = 0; i < 3; ++i) {
        CHECK_OK(create_large().map(large_window + i * large_bytes, read_write, cached, own_vspace));
        word_at(large_window + i * large_bytes) = i;
    }
    Ticker ticker(60);
    CHECK_OK(own_vspace.clean_invalidate_data(large_window, large_window + 3 * large_bytes));
    ticker.check_on_time();
    for (uint64_t i = 0; i < 3; ++i) CHECK_EQUAL(word_at(large_window + i * large_bytes), i);
}

}  // namespace caprock::conformance
