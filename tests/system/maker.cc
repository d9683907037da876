// SPDX-License-Identifier: BSD-2-Clause
// The program of test_what_a_system_made_of_itself: makes an endpoint and a page table of its untyped, maps the table in its address space, deletes another
// capability, says so, and waits.

#include <caprock/print.hpp>
#include <caprock/self.hpp>

int main()
{
    using caprock::self;
    constexpr uint64_t free_slot = 12;
    constexpr uint64_t table_slot = 13;
    constexpr uint64_t nowhere = 0x8000'0000;
    constexpr uint64_t bits = 64;
    const caprock::Cap<caprock::Untyped> memory {self().grant("memory")};
    const caprock::Cap<caprock::CNode> own {self().grant("own")};
    const bool made = memory.retype(caprock::abi::ObjectType::Endpoint, 0, 0, 0, free_slot, 1, own).ok()
        && memory.retype(caprock::abi::ObjectType::PageTable, 0, 0, 0, table_slot, 1, own).ok()
        && caprock::Cap<caprock::PageTable> {table_slot}.map(nowhere, {}, caprock::Cap<caprock::VSpace> {self().grant("space")}).ok();
    const bool deleted = own.delete_cap(self().grant("spare"), bits).ok();
    caprock::Printer().print("made {}, deleted {}", made ? "all" : "nothing", deleted ? "it" : "nothing");
    self().wait_for(self().consumes("never"));
    return 0;
}
