// SPDX-License-Identifier: BSD-2-Clause
// Frames, page tables, address spaces and ASIDs.
#include "tests/target/thread.hpp"

namespace caprock::target {

namespace {

using abi::ObjectType;

constexpr uint64_t large_bytes = uint64_t{1} << 21;
constexpr uint64_t huge_bytes = uint64_t{1} << 30;
// Nothing of the image is in the gigabyte from here.
constexpr uint64_t huge_window = 0x80'0000'0000 - huge_bytes;

volatile uint64_t& word_at(uint64_t address) { return *reinterpret_cast<volatile uint64_t*>(address); }

Cap<Frame> create_large() { return Cap<Frame>{CHECK_OK(try_create(ObjectType::LargePage)).address()}; }

Cap<VSpace> create_space() {
    const Cap<VSpace> vspace = create<VSpace>();
    CHECK_OK(root_asid_pool.assign(vspace));
    return vspace;
}

// Whether a load from the address faults, in an address space that has the image.
bool load_faults(uint64_t address, Cap<VSpace> vspace = root_vspace) {
    const FaultHandler handler;
    auto loading = [=] { return word_at(address); };
    const Thread& thread = spawn(loading, {.vspace = vspace, .fault_endpoint = handler.endpoint()});
    if (thread.done()) return false;
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::VMFault);
    return true;
}

bool store_faults(uint64_t address) {
    const FaultHandler handler;
    auto storing = [=] { word_at(address) = 1; };
    const Thread& thread = spawn(storing, {.fault_endpoint = handler.endpoint()});
    if (thread.done()) return false;
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::VMFault);
    return true;
}

}  // namespace

TEST(small_page, "a frame of 4 KiB is mapped, shared by its copies, and unmapped") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> second = copy(frame);
    CHECK_OK(frame.map(small_window, read_write, cached, root_vspace));
    CHECK_OK(second.map(small_window + page_bytes, read_write, cached, root_vspace));
    word_at(small_window + 64) = 0x1234;
    CHECK_EQUAL(word_at(small_window + page_bytes + 64), 0x1234);
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.unmap());
    CHECK(load_faults(small_window));
    CHECK_EQUAL(word_at(small_window + page_bytes + 64), 0x1234);
    CHECK_OK(frame.map(small_window, read_only, cached, root_vspace));
    CHECK_EQUAL(word_at(small_window + 64), 0x1234);
}

TEST(large_page, "a frame of 2 MiB is mapped, zero, and unmapped with its capability") {
    const Cap<Frame> frame = create_large();
    CHECK_OK(frame.map(large_window, read_write, cached, root_vspace));
    for (uint64_t offset = 0; offset < large_bytes; offset += page_bytes) CHECK_EQUAL(word_at(large_window + offset), 0);
    word_at(large_window + large_bytes - 8) = 9;
    CHECK_EQUAL(word_at(large_window + large_bytes - 8), 9);
    const uint64_t address = CHECK_OK(frame.get_address());
    CHECK_EQUAL(address % large_bytes, 0);
    delete_cap(frame);
    CHECK(load_faults(large_window));
}

TEST(huge_page, "a frame of 1 GiB") {
    const Cap<Untyped> memory = environment.spare_untyped(30);
    if (memory.is_null()) skip("the machine has too little memory");
    const Cap<Frame> frame{environment.take_slots()};
    CHECK_OK(memory.retype(ObjectType::HugePage, 0, 0, 0, frame.address(), 1, root_cnode));
    CHECK_OK(frame.map(huge_window, read_write, cached, root_vspace));
    word_at(huge_window + huge_bytes - 8) = 7;
    CHECK_EQUAL(word_at(huge_window + huge_bytes - 8), 7);
    CHECK_EQUAL(word_at(huge_window + 8), 0);
    delete_cap(frame);
    CHECK(load_faults(huge_window));
}

TEST(map_order, "the errors of Frame::Map come in the documented order") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> large = create_large();
    const Cap<VSpace> unassigned = create<VSpace>();
    const Cap<VSpace> other = environment.other_vspace();
    CHECK_CAPABILITY(frame.map(abi::user_top, all_rights, cached, CapRef{frame.address()}), 1);
    CHECK_CAPABILITY(frame.map(abi::user_top, all_rights, cached, unassigned), 1);
    CHECK_ARGUMENT(frame.map(abi::user_top, all_rights, cached, root_vspace), 0);
    CHECK_ARGUMENT(large.map(abi::user_top - large_bytes + 8, all_rights, cached, root_vspace), 0);
    CHECK_ERROR(frame.map(small_window + 8, all_rights, cached, root_vspace), AlignmentError);
    CHECK_ERROR(large.map(large_window + page_bytes, all_rights, cached, root_vspace), AlignmentError);
    CHECK_OK(frame.map(small_window, all_rights, cached, root_vspace));
    CHECK_CAPABILITY(frame.map(small_window, all_rights, cached, other), 1);
    CHECK_ARGUMENT(frame.map(small_window + page_bytes, all_rights, cached, root_vspace), 0);
    const Cap<Frame> second = create<Frame>();
    CHECK_ERROR(second.map(small_window, all_rights, cached, root_vspace), DeleteFirst);
    CHECK_ERROR(large.map(small_window, all_rights, cached, root_vspace), DeleteFirst);
    CHECK_OK(frame.unmap());
    CHECK_OK(second.map(small_window, all_rights, cached, root_vspace));
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

TEST(table_order, "the errors of PageTable::Map and Unmap come in the documented order") {
    const Cap<VSpace> vspace = create_space();
    const Cap<VSpace> unassigned = create<VSpace>();
    const Cap<PageTable> table = create<PageTable>();
    CHECK_CAPABILITY(table.map(abi::user_top, cached, CapRef{table.address()}), 1);
    CHECK_CAPABILITY(table.map(abi::user_top, cached, unassigned), 1);
    CHECK_ARGUMENT(table.map(abi::user_top, cached, vspace), 0);
    CHECK_OK(table.unmap());
    CHECK_OK(table.map(0x1234, cached, vspace));
    CHECK_CAPABILITY(table.map(abi::user_top, cached, CapRef{}), 0);
    const Cap<PageTable> second = copy(table);
    CHECK_ERROR(table.unmap(), RevokeFirst);
    delete_cap(second);
    CHECK_OK(table.unmap());
    CHECK_OK(table.map(0x1234, cached, vspace));
}

TEST(table_unmapped, "what was mapped below a table is gone with it, and does not come back") {
    const Cap<PageTable> table = create<PageTable>();
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(table.map(large_window, cached, root_vspace));
    CHECK_OK(frame.map(large_window, read_write, cached, root_vspace));
    word_at(large_window) = 1;
    CHECK_OK(table.unmap());
    CHECK(load_faults(large_window));
    CHECK_OK(table.map(large_window, cached, root_vspace));
    CHECK(load_faults(large_window));
    // The frame's capability still says where it was mapped.
    CHECK_ARGUMENT(frame.map(small_window, read_write, cached, root_vspace), 0);
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.map(small_window, read_write, cached, root_vspace));
    CHECK_EQUAL(word_at(small_window), 1);
}

TEST(table_deleted, "a table that is deleted takes its mappings along") {
    const Cap<PageTable> table = create<PageTable>();
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(table.map(large_window, cached, root_vspace));
    CHECK_OK(frame.map(large_window, read_write, cached, root_vspace));
    word_at(large_window) = 1;
    delete_cap(table);
    CHECK(load_faults(large_window));
    CHECK_OK(frame.unmap());
}

TEST(remap, "mapping a frame again changes its rights, down and up") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, root_vspace));
    CHECK(!store_faults(small_window));
    CHECK_OK(frame.map(small_window, read_only, cached, root_vspace));
    CHECK(store_faults(small_window) && !load_faults(small_window));
    CHECK_OK(frame.map(small_window, abi::CapRights::make(0, 0, 0, 0), cached, root_vspace));
    CHECK(load_faults(small_window));
    CHECK_OK(frame.map(small_window, read_write, cached, root_vspace));
    CHECK(!store_faults(small_window));
}

TEST(weak_frame, "a mapping has no more rights than the capability") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> weak = copy(frame, read_only);
    CHECK_OK(weak.map(small_window, all_rights, cached, root_vspace));
    CHECK(store_faults(small_window) && !load_faults(small_window));
    CHECK_OK(weak.unmap());
    const Cap<Frame> write_only = copy(frame, abi::CapRights::make(1, 0, 0, 0));
    CHECK_OK(write_only.map(small_window, all_rights, cached, root_vspace));
    CHECK(store_faults(small_window) && load_faults(small_window));
}

TEST(execute, "code that was written runs, after its caches were unified") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached_executable, root_vspace));
    for (uint32_t i = 0; i < 4; ++i) {
        *reinterpret_cast<volatile uint32_t*>(small_window) = 0x52800000 | i << 5;   // mov w0, #i
        *reinterpret_cast<volatile uint32_t*>(small_window + 4) = 0xd65f03c0;        // ret
        CHECK_OK(frame.unify_instruction(0, 8));
        CHECK_EQUAL(reinterpret_cast<uint32_t (*)()>(small_window)(), i);
    }
}

TEST(cache_errors, "the cache methods check range, length and kind") {
    const Cap<Frame> frame = create_large();
    CHECK_RANGE(frame.clean_data(8, 8), 0, large_bytes);
    CHECK_RANGE(frame.invalidate_data(0, large_bytes + 1), 0, large_bytes);
    CHECK_RANGE(frame.clean_invalidate_data(100, 100 + 16 * 1024 + 1), 0, 100 + 16 * 1024);
    CHECK_RANGE(frame.unify_instruction(~uint64_t{0}, 1), 0, large_bytes);
    CHECK_OK(frame.clean_data(large_bytes - 16 * 1024, large_bytes));
    CHECK_OK(frame.invalidate_data(1, 2));
    CHECK_OK(frame.clean_invalidate_data(0, 16 * 1024));
    const Cap<Frame> device = environment.device_frame(environment.boot().platform->console_paddr);
    CHECK_ERROR(device.clean_data(0, 8), IllegalOperation);
    CHECK_RANGE(device.clean_data(8, 8), 0, page_bytes);
}

TEST(invalidate, "InvalidateData does not undo a write") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, root_vspace));
    word_at(small_window) = 0x55aa;
    CHECK_OK(frame.invalidate_data(0, page_bytes));
    CHECK_EQUAL(word_at(small_window), 0x55aa);
}

TEST(device_address, "a device frame has its physical address, and is never executable") {
    const uint64_t address = environment.boot().platform->console_paddr;
    const Cap<Frame> device = copy(environment.device_frame(address));
    CHECK_EQUAL(CHECK_OK(device.get_address()), address - address % page_bytes);
    CHECK_OK(device.map(small_window, read_write, abi::VMAttributes::make(0, 0, 0), root_vspace));
    const FaultHandler handler;
    auto fetching = [] { reinterpret_cast<void (*)()>(small_window)(); };
    spawn(fetching, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, abi::FaultLabel::VMFault);
    CHECK_EQUAL(report.words[abi::VMFault::prefetch_fault], 1);
}

TEST(assign_errors, "ASIDPool::Assign takes VSpaces without an ASID") {
    CHECK_CAPABILITY(root_asid_pool.assign(CapRef{create<Frame>().address()}), 1);
    CHECK_CAPABILITY(root_asid_pool.assign(root_vspace), 1);
    const Cap<VSpace> vspace = create_space();
    CHECK_CAPABILITY(root_asid_pool.assign(vspace), 1);
}

TEST(make_pool_order, "the errors of ASIDControl::MakePool come in the documented order") {
    const Cap<Untyped> page = create<Untyped>(12);
    const Cap<Untyped> small = create<Untyped>(11);
    const uint64_t empty = environment.take_slots();
    const CapRef wrong{create<Endpoint>().address()};
    const Result<void> first = asid_control.make_pool(empty, 0, wrong, wrong);
    if (first.error() == abi::Error::DeleteFirst) skip("the processor has ASIDs for one pool only");
    CHECK_CAPABILITY(first, 1);
    CHECK_CAPABILITY(asid_control.make_pool(empty, 0, small, wrong), 1);
    const Cap<Endpoint> child = create_in<Endpoint>(page);
    CHECK_ERROR(asid_control.make_pool(empty, 0, page, wrong), RevokeFirst);
    delete_cap(child);
    CHECK_RANGE(asid_control.make_pool(empty, 0, page, wrong), 1, 64);
    CHECK_LOOKUP(asid_control.make_pool(empty, 64, page, wrong), false, InvalidRoot);
    CHECK_ERROR(asid_control.make_pool(wrong.address(), 64, page, root_cnode), DeleteFirst);
    CHECK_OK(asid_control.make_pool(empty, 64, page, root_cnode));
    CHECK_ERROR(asid_control.make_pool(environment.take_slots(), 64, page, root_cnode), RevokeFirst);
    CHECK_OK(Cap<ASIDPool>{empty}.assign(create<VSpace>()));
}

TEST(asid_reuse, "an ASID that is given again shows nothing of the space that had it") {
    const Cap<Frame> frames[2] = {create<Frame>(), create<Frame>()};
    for (unsigned i = 0; i < 2; ++i) {
        CHECK_OK(frames[i].map(small_window, read_write, cached, root_vspace));
        word_at(small_window) = 100 + i;
        CHECK_OK(frames[i].unmap());
    }
    const Cap<Untyped> memory = create<Untyped>(16);
    constexpr uint64_t address = empty_terabyte;
    for (unsigned round = 0; round < 4; ++round) {
        const Cap<VSpace> vspace = create_in<VSpace>(memory);
        CHECK_OK(root_asid_pool.assign(vspace));
        CHECK(copy_image(vspace));
        for (unsigned level = 0; level < 3; ++level) CHECK_OK(create_in<PageTable>(memory).map(address, cached, vspace));
        const Cap<Frame> shown = copy(frames[round % 2]);
        CHECK_OK(shown.map(address, read_only, cached, vspace));
        uint64_t seen = 0;
        auto looking = [&] { seen = word_at(address); };
        CHECK(spawn(looking, {.vspace = vspace}).done());
        CHECK_EQUAL(seen, 100 + round % 2);
        revoke(memory);
    }
}

TEST(many_spaces, "forty address spaces at once keep their mappings apart") {
    constexpr uint64_t address = empty_terabyte;
    constexpr unsigned count = 40;
    Cap<VSpace> spaces[count];
    Cap<Frame> frames[count];
    for (unsigned i = 0; i < count; ++i) {
        spaces[i] = create_space();
        frames[i] = create<Frame>();
        for (unsigned level = 0; level < 3; ++level) CHECK_OK(create<PageTable>().map(address, cached, spaces[i]));
        CHECK_OK(frames[i].map(address, read_only, cached, spaces[i]));
    }
    for (unsigned i = 0; i < count; ++i) {
        CHECK_CAPABILITY(frames[i].map(address, read_only, cached, spaces[(i + 1) % count]), 1);
        CHECK_OK(frames[i].map(address, read_write, cached, spaces[i]));
    }
}

}  // namespace caprock::target
