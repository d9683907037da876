// SPDX-License-Identifier: BSD-2-Clause
// Floating-point and SIMD registers: each thread's own, at any point.
#include "tests/conformance/component/thread.hpp"
#include "tests/conformance/component/probes.hpp"

namespace caprock::conformance {

TEST(preempted, "SIMD registers of three threads never mix, preempted at any point") {
    struct {
        uint64_t seed;
        uint64_t changed;
        void operator()() {
            for (unsigned i = 0; i < 300; ++i) {
                probe_fill_simd(seed + i);
                for (unsigned j = 0; j < 20; ++j) changed += probe_check_simd(seed + i);
            }
        }
    } users[3] = {{0x1000'0000, 0}, {0x2000'0001, 0}, {0x3000'0000, 0}};
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i)
        threads[i] = &spawn(users[i], {.priority = lower_priority, .vspace = i == 1 ? other_vspace() : own_vspace,
                                       .budget = 50, .period = 50});
    for (unsigned i = 0; i < 3; ++i) {
        threads[i]->join();
        CHECK_EQUAL(users[i].changed, 0);
    }
}

TEST(calls, "SIMD registers survive system calls to a server that uses them") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    uint64_t changed = 0;
    auto serving = [&] {
        sys::ShortMessage message;
        probe_fill_simd(77);
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            changed += probe_check_simd(77);
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    };
    const Thread& server = spawn(serving, {.vspace = other_vspace()});
    CHECK_OK(server.context.unbind());
    probe_fill_simd(4);
    for (unsigned i = 0; i < 10; ++i) {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
        CHECK_EQUAL(probe_check_simd(4), 0);
    }
    CHECK_EQUAL(changed, 0);
}

TEST(new_thread, "a new thread's SIMD registers are zero, whatever its memory and the unit held") {
    probe_fill_simd(0xffff'ffff'ffff'0000);
    uint64_t found = 1;
    auto looking = [&] {
        found = probe_gather_simd();
        probe_fill_simd(0xffff'ffff'ffff'0000);
    };
    for (unsigned i = 0; i < 3; ++i) {
        found = 1;
        const Thread& thread = spawn(looking);
        CHECK(thread.done());
        CHECK_EQUAL(found, 0);
        delete_cap(thread.tcb);
    }
    CHECK_EQUAL(probe_check_simd(0xffff'ffff'ffff'0000), 0);
}

}  // namespace caprock::conformance
