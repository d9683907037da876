// SPDX-License-Identifier: BSD-2-Clause
// Slots, objects and the second address space of a component.
#include "tests/conformance/component/test.hpp"

// Where the SDK's stubs find the IPC buffer.
extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;
}

namespace caprock::conformance {

namespace {

constinit uint64_t next_slot = slot_of(Slot::FirstFree);
constinit Cap<VSpace> second_vspace{};

void map_copy(Cap<VSpace> vspace, CapRef frame, uint64_t address, abi::CapRights rights, abi::VMAttributes attributes) {
    CHECK_OK(copy(Cap<Frame>{frame.address()}).map(address, rights, attributes, vspace));
}

}  // namespace

uint64_t take_slots(uint64_t count) {
    const uint64_t first = next_slot;
    next_slot += count;
    CHECK(next_slot <= uint64_t{1} << cnode_radix);
    return first;
}

Result<CapRef> try_create(abi::ObjectType type, uint64_t bits, uint64_t count) {
    const uint64_t slot = take_slots(count);
    const Result<void> made = memory.retype(type, bits, 0, 0, slot, count, own_cnode);
    if (!made.ok()) return made.failure();
    return CapRef{slot};
}

bool is_empty(CapRef cap) {
    const uint64_t aside = take_slots();
    const Result<void> moved = move_to(aside, cap);
    if (moved.error() == abi::Error::FailedLookup) return true;
    CHECK_OK(moved);
    CHECK_OK(move_to(cap.address(), CapRef{aside}));
    return false;
}

void map_image(Cap<VSpace> vspace) {
    for (unsigned level = 0; level < 2; ++level) CHECK_OK(create<PageTable>().map(data_address, cached, vspace));
    map_copy(vspace, CapRef{slot_of(Slot::Image)}, image_address, read_only, cached_executable);
    CHECK_OK(create<PageTable>().map(data_address, cached, vspace));
    for (uint64_t i = 0; i < shared_page().data_frames; ++i)
        map_copy(vspace, CapRef{slot_of(Slot::DataFrames) + i}, data_address + i * page_bytes, read_write, cached);
    map_copy(vspace, CapRef{slot_of(Slot::SharedFrame)}, shared_address, read_write, cached);
}

Cap<VSpace> other_vspace() {
    if (second_vspace.is_null()) {
        const Cap<VSpace> made = create<VSpace>();
        CHECK_OK(own_asid_pool.assign(made));
        map_image(made);
        second_vspace = made;
    }
    return second_vspace;
}

}  // namespace caprock::conformance
