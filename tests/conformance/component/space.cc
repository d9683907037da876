// SPDX-License-Identifier: BSD-2-Clause
// Address spaces in tests.
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

// Whether the access of `body` faults; another fault than of memory fails the test.
template <class Body>
bool faults(Body body, Cap<VSpace> vspace) {
    const FaultHandler handler;
    const Thread& thread = spawn(body, {.vspace = vspace, .fault_endpoint = handler.endpoint()});
    if (thread.done()) return false;
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::VMFault);
    return true;
}

}  // namespace

Cap<Frame> create_large() { return Cap<Frame>{CHECK_OK(try_create(abi::ObjectType::LargePage)).address()}; }

Cap<VSpace> create_space() {
    const Cap<VSpace> vspace = create<VSpace>();
    CHECK_OK(own_asid_pool.assign(vspace));
    return vspace;
}

void make_tables(Cap<VSpace> vspace, uint64_t address, Cap<Untyped> source) {
    for (;;) {
        const Result<void> mapped = create_in<PageTable>(source).map(address, cached, vspace);
        if (mapped.error() == abi::Error::DeleteFirst) return;
        CHECK_OK(mapped);
    }
}

bool load_faults(uint64_t address, Cap<VSpace> vspace) {
    return faults([=] { return word_at(address); }, vspace);
}

bool store_faults(uint64_t address, Cap<VSpace> vspace) {
    return faults([=] { word_at(address) = 1; }, vspace);
}

}  // namespace caprock::conformance
