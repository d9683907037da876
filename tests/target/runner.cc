// SPDX-License-Identifier: BSD-2-Clause
// The runner's thread has the highest priority and waits for the case's end: a signal of the case or of the watchdog, or a fault.
#include "tests/target/runner.hpp"

#include "tests/target/thread.hpp"

// The table that TEST fills, by the linker script.
extern "C" {
extern const caprock::target::TestCase* const test_cases_start[];
extern const caprock::target::TestCase* const test_cases_end[];
}

namespace caprock::target {

namespace {

enum class Verdict : uint8_t { Running, Passed, Failed, Skipped };

constexpr uint64_t ended_badge = 1;
constexpr uint64_t timeout_badge = 2;
constexpr uint8_t watchdog_priority = 254;
constexpr uint64_t watchdog_period = 500'000;   // microseconds
constexpr unsigned watchdog_patience = 12;      // periods that a case may take

struct State {
    Verdict verdict;
    Text reason;
    volatile unsigned number;   // of the running case
    Cap<Endpoint> fault_endpoint;
    Cap<Reply> reply;
    Cap<Notification> notification;
    Cap<Notification> ended;    // badged
    Cap<Notification> timeout;  // badged
};
State state;   // zero: link.ld refuses what a constructor would have to start

void conclude(Verdict verdict, const Text& reason) {
    if (state.verdict == Verdict::Running) {
        state.verdict = verdict;
        state.reason = reason;
    }
    sys::signal(state.ended.address());
}

// Before the first case there is no thread to stop and nobody to tell but the console.
[[noreturn]] void give_up(const Text& reason) {
    environment.print(Text() << "Bail out! " << Text(reason) << "\ncaprock: exit 1\n");
    for (;;) sys::yield();
}

void watch() {
    unsigned seen = 0;
    for (unsigned periods = 0;; ++periods) {
        sys::yield();
        if (seen != state.number) periods = 0;
        seen = state.number;
        if (periods == watchdog_patience) sys::signal(state.timeout.address());
    }
}

void make_runner() {
    state.fault_endpoint = create<Endpoint>();
    state.reply = create<Reply>();
    state.notification = create<Notification>();
    CHECK_OK(root_tcb.bind_notification(state.notification));
    state.ended = mint(state.notification, ended_badge);
    state.timeout = mint(state.notification, timeout_badge);
    static auto watchdog = [] { watch(); };
    spawn(watchdog, {.priority = watchdog_priority, .budget = 1'000, .period = watchdog_period});
    environment.keep();
    keep_threads();
}

void fail_by_message(const sys::Message& message) {
    if (message.info.raw == abi::notification_message_info) {
        state.reason = Text() << "it did not end in time";
    } else {
        state.reason = Text() << "fault " << message.info.label() << " at " << Hex{message.words[0]} << ": " << Hex{message.words[1]} << " "
                              << Hex{message.words[2]} << " " << Hex{message.words[3]} << " " << Hex{message.words[4]};
    }
    state.verdict = Verdict::Failed;
}

void run(const TestCase& test) {
    state.verdict = Verdict::Running;
    state.reason = Text();
    auto worker = [&test] {
        test.run();
        conclude(Verdict::Passed, Text());
    };
    spawn(worker, {.priority = worker_priority});
    sys::Message message;
    sys::recv(state.fault_endpoint.address(), state.reply.address(), message);
    if (state.verdict == Verdict::Running) fail_by_message(message);
    const bool clean = environment.clean_up();
    forget_threads();
    sys::nb_wait(state.notification.address(), message);   // more than one thread may have ended the case
    if (clean || state.verdict == Verdict::Failed) return;
    state.verdict = Verdict::Failed;
    state.reason = Text() << "cleaning up after it failed";
}

void report(const TestCase& test) {
    const bool failed = state.verdict == Verdict::Failed;
    Text line;
    line << (failed ? "not ok " : "ok ") << uint64_t{state.number} << " - " << test.name;
    if (state.verdict == Verdict::Skipped) line << " # SKIP " << state.reason;
    line << "\n";
    environment.print(line);
    if (failed) note(state.reason);
}

}  // namespace

Cap<Endpoint> default_fault_endpoint() { return state.fault_endpoint; }

void fail(const Text& reason) {
    if (current_thread() == nullptr) give_up(reason);
    conclude(Verdict::Failed, reason);
    stop_current_thread();
}

void skip(const char* reason) {
    conclude(Verdict::Skipped, Text() << reason);
    stop_current_thread();
}

void note(const Text& text) { environment.print(Text() << "# " << text << "\n"); }

// start.S calls it.
extern "C" [[noreturn]] void root_main(const abi::RootBootInfo* info) {
    if (!environment.start(*info)) give_up(Text() << "the environment could not be made");
    make_runner();
    const uint64_t count = static_cast<uint64_t>(test_cases_end - test_cases_start);
    environment.print(Text() << "TAP version 13\n1.." << count << "\n");
    bool failed = false;
    for (const TestCase* const* test = test_cases_start; test != test_cases_end; ++test) {
        state.number = state.number + 1;
        run(**test);
        report(**test);
        failed = failed || state.verdict == Verdict::Failed;
    }
    environment.print(Text() << "caprock: exit " << uint64_t{failed} << "\n");
    for (;;) sys::yield();
}

}  // namespace caprock::target
