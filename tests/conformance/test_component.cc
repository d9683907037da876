// SPDX-License-Identifier: BSD-2-Clause
// That each test has a component of its own, whatever the one before it did to its own.
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

using abi::CapType;

constinit uint64_t initialised = 0x1234'5678'9abc'def0;
constinit uint64_t zero = 0;

CapType kind_of(uint64_t slot) { return CHECK_OK(inspect.read_cnode(slot, own_cnode)).kind; }

// Everything is as protocol.hpp says.
void check_fresh() {
    CHECK(initialised == 0x1234'5678'9abc'def0 && zero == 0);
    const struct {
        uint64_t slot;
        CapType kind;
    } rows[] = {{slot_of(abi::InitSlot::Null), CapType::Null},
                {own_tcb.address(), CapType::TCB},
                {own_cnode.address(), CapType::CNode},
                {own_vspace.address(), CapType::VSpace},
                {irq_control.address(), CapType::IRQControl},
                {asid_control.address(), CapType::ASIDControl},
                {own_asid_pool.address(), CapType::ASIDPool},
                {slot_of(Slot::SharedFrame), CapType::Frame},
                {domain_control.address(), CapType::Domain},
                {slot_of(abi::InitSlot::SchedContext), CapType::SchedContext},
                {inspect.address(), CapType::Inspect},
                {sched_control.address(), CapType::SchedControl},
                {memory.address(), CapType::Untyped},
                {device_untyped.address(), CapType::Untyped},
                {uart_frame.address(), CapType::Frame},
                {slot_of(Slot::Image), CapType::Frame},
                {slot_of(Slot::Ended), CapType::Notification},
                {default_fault_endpoint.address(), CapType::Endpoint}};
    for (const auto& row : rows) CHECK_EQUAL(kind_of(row.slot), row.kind);
    for (uint64_t slot = slot_of(Slot::FirstFree); slot < uint64_t{1} << cnode_radix; ++slot) CHECK_EQUAL(kind_of(slot), CapType::Null);
    CHECK_EQUAL(CHECK_OK(inspect.read_untyped(memory)).free_bytes, uint64_t{1} << memory_bits);
    CHECK_EQUAL(CHECK_OK(inspect.read_untyped(device_untyped)).free_bytes, uint64_t{1} << device_bits);
    const auto thread = CHECK_OK(inspect.read_tcb(own_tcb));
    CHECK(thread.priority == worker_priority && thread.mcp == 255 && thread.domain == 0 && thread.flags.raw == 0 && thread.notification == 0);
    for (uint64_t offset = 0; offset < large_bytes; offset += page_bytes)
        CHECK_EQUAL(CHECK_OK(inspect.read_vspace(small_window + offset, own_vspace)).identity, 0);
}

}  // namespace

TEST(fresh, "a component starts with its capabilities, all of its memory, its data's first values, and nothing else") { check_fresh(); }

TEST(devastated, "a component uses up and destroys all that it can reach") {
    initialised = 0;
    zero = 1;
    // All memory goes into objects and mappings, a thread spins, and interrupts, domains and contexts are in use.
    CHECK_OK(domain_control.schedule_configure(1, 3, 1'000));
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Level, take_slots(), address_bits, own_cnode));
    auto spinning = [] {
        for (;;) asm volatile("");
    };
    spawn(spinning, {.priority = lower_priority});
    for (uint64_t i = 0; i < 16; ++i) CHECK_OK(create<Frame>().map(small_window + i * page_bytes, read_write, cached, own_vspace));
    while (try_create(abi::ObjectType::LargePage).ok()) {}
    CHECK_OK(device_untyped.retype(abi::ObjectType::SmallPage, 0, 0, 0, take_slots(), 1, own_cnode));
    // What the last lines need is spared, and IRQControl, which exists once.
    const uint64_t spared[] = {own_cnode.address(), irq_control.address(), slot_of(Slot::SharedFrame), slot_of(Slot::Image), slot_of(Slot::Ended)};
    for (uint64_t slot = 0; slot < slot_of(Slot::DataFrames); ++slot) {
        bool kept = false;
        for (const uint64_t one : spared) kept = kept || one == slot;
        if (!kept) CHECK_OK(own_cnode.delete_cap(slot, address_bits));
    }
}

TEST(fresh_again, "the next component has everything again") { check_fresh(); }

}  // namespace caprock::conformance
