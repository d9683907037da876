// SPDX-License-Identifier: BSD-2-Clause
// What operations cost, in instructions from user level to user level, system-call stub and loop included. Meaningful on a machine whose
// virtual time advances one nanosecond with every instruction. Each figure has a bound: what it was when it was last looked at, and some
// more.
#include "tests/conformance/component/probes.hpp"
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

constexpr uint64_t rounds = 10'000;
constexpr uint64_t most_of_boot = 5'000'000;
constexpr uint64_t most_of_round_trip = 700;
constexpr uint64_t nanoseconds_in_second = 1'000'000'000;

// Prints the mean cost of one of `count` operations that took `ticks`, and returns it.
uint64_t report(const char* operation, uint64_t ticks, uint64_t count) {
    const uint64_t instructions = ticks * (nanoseconds_in_second / platform().timer_frequency) / count;
    note(operation, instructions, "instructions");
    return instructions;
}

// A passive server in the other address space, which answers with as many words as it gets.
template <class Message>
struct Server {
    Cap<Endpoint> endpoint = create<Endpoint>();
    Cap<Reply> reply = create<Reply>();
    uint64_t words;

    explicit Server(uint64_t words) : words(words) {}

    void operator()() {
        Message message;
        const abi::MessageInfo info = abi::MessageInfo::make(words, 0, 0, 0);
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            message.info = info;
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    }
};

template <class Message>
uint64_t round_trip(const char* operation, uint64_t words) {
    Server<Message> server(words);
    const Thread& thread = spawn(server, {.vspace = other_vspace()});
    CHECK_OK(thread.context.unbind());
    Message message{abi::MessageInfo::make(words, 0, 0, 0), 0, {}};
    const abi::MessageInfo info = message.info;
    for (unsigned i = 0; i < 16; ++i) {
        message.info = info;
        sys::call(server.endpoint.address(), message);
    }
    const uint64_t start = now();
    for (uint64_t i = 0; i < rounds; ++i) {
        message.info = info;
        sys::call(server.endpoint.address(), message);
    }
    const uint64_t end = now();
    CHECK_EQUAL(message.info.length(), words);
    return report(operation, end - start, rounds);
}

// Mean cost of `operation`, which is short and does not block.
template <class Operation>
uint64_t repeat(const char* name, Operation operation) {
    operation();
    const uint64_t start = now();
    for (uint64_t i = 0; i < rounds; ++i) operation();
    return report(name, now() - start, rounds);
}

}  // namespace

TEST(boot, "from the machine's reset to the root task, boot shim included") {
    CHECK(report("reset to root task", shared_page().started, 1) < most_of_boot);
}

TEST(round_trip_0, "round trip of 0 words to a passive server in another address space") {
    CHECK(round_trip<sys::ShortMessage>("round trip 0 words", 0) < most_of_round_trip);
}

TEST(round_trip_4, "round trip of 4 words") { CHECK(round_trip<sys::ShortMessage>("round trip 4 words", 4) < most_of_round_trip); }

TEST(round_trip_12, "round trip of 12 words") { CHECK(round_trip<sys::Message>("round trip 12 words", 12) < 800); }

TEST(round_trip_64, "round trip of 64 words") { CHECK(round_trip<sys::Message>("round trip 64 words", 64) < 2'600); }

TEST(round_trip_120, "round trip of 120 words") { CHECK(round_trip<sys::Message>("round trip 120 words", 120) < 3'300); }

TEST(nbsend_null, "NBSend to a null capability") {
    const auto operation = [] { CHECK_EQUAL(sys::nb_send(0, sys::ShortMessage{}), abi::Error::NoError); };
    CHECK(repeat("nbsend null", operation) < 250);
}

TEST(signal_idle, "signal of a notification that nobody waits for") {
    const Cap<Notification> notification = create<Notification>();
    CHECK(repeat("signal idle", [=] { sys::signal(notification.address()); }) < 300);
}

TEST(wait_active, "signal of a notification and wait for it") {
    const Cap<Notification> notification = create<Notification>();
    const auto operation = [=] {
        sys::ShortMessage message;
        sys::signal(notification.address());
        sys::wait(notification.address(), message);
    };
    CHECK(repeat("signal and wait active", operation) < 750);
}

TEST(yield, "yield to an equal and back") {
    auto other = [] {
        for (;;) sys::yield();
    };
    spawn(other, {.priority = worker_priority, .vspace = other_vspace()});
    // The equal is in its loop from the first yield on.
    CHECK(repeat("yield there and back", [] { sys::yield(); }) < 1'200);
}

TEST(fault_round_trip, "page fault to a passive handler in another address space and back") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    uint64_t faults = 0;
    uint64_t start = 0;
    uint64_t end = 0;
    const Cap<Notification> finished = create<Notification>();
    // The load stays impossible: each reply lets it fault again, until the count is full.
    auto handler = [&, endpoint, reply, finished] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        start = now();
        for (; faults < rounds; ++faults) {
            message.info = abi::MessageInfo{0};
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
        end = now();
        sys::signal(finished.address());
        stop_current_thread();
    };
    const Thread& thread = spawn(handler, {.vspace = other_vspace()});
    CHECK_OK(thread.context.unbind());
    auto faulter = [] { (void)*reinterpret_cast<volatile uint64_t*>(empty_terabyte); };
    spawn(faulter, {.priority = lower_priority, .fault_endpoint = endpoint});
    sys::ShortMessage message;
    sys::wait(finished.address(), message);
    CHECK(report("fault round trip, passive handler", end - start, rounds) < 1'600);
}

TEST(fpu_round_trip, "first use of SIMD registers after a switch") {
    auto other = [] {
        for (;;) {
            probe_use_simd();
            sys::yield();
        }
    };
    spawn(other, {.priority = worker_priority, .vspace = other_vspace()});
    const auto operation = [] {
        probe_use_simd();
        sys::yield();
    };
    CHECK(repeat("yield there and back, both use SIMD", operation) < 1'500);
}

}  // namespace caprock::conformance
