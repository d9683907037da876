// SPDX-License-Identifier: BSD-2-Clause
// The driver: runs the selected tests one after another, each in a component of its own, and prints their results in TAP (version 13):
// "ok 12 - suite.identifier: description". It has the highest priority and waits for a test's end: a signal of the component or of the
// watchdog, or a fault that the test did not expect.
#include "tests/conformance/driver/component.hpp"
#include "tests/conformance/driver/selection.hpp"

namespace caprock::conformance {

namespace {

using loader::Hex;
using loader::Text;

constexpr uint64_t ended_badge = 1;
constexpr uint64_t timeout_badge = 2;
constexpr uint8_t watchdog_priority = 254;
constexpr uint64_t watchdog_period = 250'000;   // microseconds
constexpr unsigned watchdog_patience = 5;       // periods that a test may take; the longest waits for 400 ms

struct Outcome {
    Verdict verdict;
    Text reason;
    Text notes;
};

// The suite of a test in test_SUITE.cc.
View suite_of(const char* file) {
    View name = View::of(file);
    name.skip(View::of("test_"));
    return name.cut('.');
}

Text& operator<<(Text& text, View view) {
    for (const char* at = view.begin; at != view.end; ++at) {
        const char character[] = {*at, 0};
        text << character;
    }
    return text;
}

// -- The watchdog counts periods for as long as the same test runs.

constinit volatile uint64_t running_test = 0;
constinit Cap<Notification> timeout{};
alignas(16) constinit uint8_t watchdog_stack[4096]{};

void watch() {
    uint64_t seen = 0;
    for (unsigned periods = 0;; ++periods) {
        sys::yield();
        if (seen != running_test) periods = 0;
        seen = running_test;
        if (periods == watchdog_patience) sys::signal(timeout.address());
    }
}

void start_watchdog() {
    const Cap<TCB> tcb = authority.make<TCB>(abi::ObjectType::TCB);
    const Cap<SchedContext> context = authority.make<SchedContext>(abi::ObjectType::SchedContext, sched_context_bits);
    MUST(tcb.configure(abi::CNodeCapData{0}, 0, 0, root_cnode, root_vspace, CapRef{}));
    MUST(authority.sched_control().configure_flags(1'000, watchdog_period, 0, 0, abi::SchedContextFlags::make(0), context));
    MUST(tcb.set_sched_params(watchdog_priority, watchdog_priority, root_tcb, context, CapRef{}));
    abi::UserContext registers{};
    registers.pc = reinterpret_cast<uint64_t>(&watch);
    registers.sp = reinterpret_cast<uint64_t>(watchdog_stack + sizeof watchdog_stack);
    MUST(tcb.write_registers(1, 2, registers));
}

// -- One test

struct Runner {
    const Image& image;
    Cap<Notification> notification = authority.make<Notification>(abi::ObjectType::Notification);
    Cap<Endpoint> endpoint = authority.make<Endpoint>(abi::ObjectType::Endpoint);
    Cap<Reply> reply = authority.make<Reply>(abi::ObjectType::Reply);
    Cap<Notification> ended = mint(ended_badge);
    Component component{image, ended, endpoint};

    Cap<Notification> mint(uint64_t badge) const {
        const Cap<Notification> made{authority.take_slots()};
        MUST(root_cnode.mint(made.address(), address_bits, notification.address(), address_bits, all_rights, badge, root_cnode));
        return made;
    }

    Outcome run(const TestCase* test) {
        component.make(test);
        sys::Message message;
        sys::recv(endpoint.address(), reply.address(), message);
        Outcome outcome = judge(message);
        const char* problem = component.destroy();
        if (problem != nullptr && outcome.verdict != Verdict::Failed) outcome = {Verdict::Failed, Text() << problem, outcome.notes};
        // More than one thread may have ended the test, and both ways.
        sys::nb_wait(notification.address(), message);
        return outcome;
    }

    Outcome judge(const sys::Message& message) const {
        const SharedPage& shared = component.shared();
        if (shared.verdict != Verdict::Running) return {shared.verdict, shared.reason, shared.notes};
        Outcome outcome{Verdict::Failed, Text(), shared.notes};
        if (message.info.raw != abi::notification_message_info) {
            outcome.reason << "fault " << message.info.label() << " at " << Hex{message.words[0]} << ":";
            for (uint64_t i = 1; i < message.info.length() && i < 7; ++i) outcome.reason << " " << Hex{message.words[i]};
        } else if ((message.badge & ended_badge) != 0) {
            outcome.reason << "it ended without a verdict";
        } else {
            outcome.reason << "it did not end within " << watchdog_period * watchdog_patience / 1'000 << " ms";
        }
        return outcome;
    }
};

// -- All tests

struct Tests {
    const Image& image;
    const Selection& selection;

    uint64_t count() const { return static_cast<uint64_t>(image.header().cases_end - image.header().cases); }
    const TestCase* address(uint64_t index) const { return image.at(image.header().cases)[index]; }
    const TestCase& test(uint64_t index) const { return *image.at(address(index)); }
    View suite(uint64_t index) const { return suite_of(image.at(test(index).file)); }
    const char* identifier(uint64_t index) const { return image.at(test(index).identifier); }

    bool selected(uint64_t index) const { return selection.contains(suite(index), View::of(identifier(index))); }

    uint64_t count_selected() const {
        uint64_t selected_tests = 0;
        for (uint64_t i = 0; i < count(); ++i) selected_tests += selected(i);
        return selected_tests;
    }

    bool exists(View name) const {
        for (uint64_t i = 0; i < count(); ++i)
            if (Selection::selects(name, suite(i), View::of(identifier(i)))) return true;
        return false;
    }
};

void report(const Tests& tests, uint64_t index, uint64_t number, const Outcome& outcome) {
    Text line;
    line << (outcome.verdict == Verdict::Failed ? "not ok " : "ok ") << number << " - " << tests.suite(index) << "." << tests.identifier(index)
         << ": " << tests.image.at(tests.test(index).description);
    console.write(line);
    if (outcome.verdict == Verdict::Skipped) {
        console.write(Text() << " # SKIP ");
        console.write(outcome.reason);
    }
    console.write(Text() << "\n");
    console.write(outcome.notes);
    if (outcome.verdict != Verdict::Failed) return;
    console.write(Text() << "# ");
    console.write(outcome.reason);
    console.write(Text() << "\n");
}

// True when no test failed.
bool run_all(const Tests& tests, Runner& runner) {
    bool passed = true;
    uint64_t number = 0;
    for (uint64_t i = 0; i < tests.count(); ++i) {
        if (!tests.selected(i)) continue;
        running_test = ++number;
        const Outcome outcome = runner.run(tests.address(i));
        report(tests, i, number, outcome);
        passed = passed && outcome.verdict != Verdict::Failed;
        if (!passed && tests.selection.stop_at_failure()) break;
    }
    return passed;
}

void prepare(const abi::RootBootInfo& info) {
    if (!authority.take(info)) bail_out(__FILE_NAME__, __LINE__, "taking what the kernel gave", 0);
    if (!authority.map_tables(console_window)) bail_out(__FILE_NAME__, __LINE__, "making page tables", 0);
    const abi::RootPlatform& platform = *authority.boot().platform;
    const Cap<Frame> frame = authority.device_frame(platform.console_paddr);
    MUST(frame.map(console_window, read_write, uncached, root_vspace));
    console.open(static_cast<abi::ConsoleKind>(platform.console_kind), console_window + platform.console_paddr % page_bytes);
}

}  // namespace

// tests/root_task/start.S calls it.
extern "C" [[noreturn]] void root_main(const abi::RootBootInfo* info) {
    prepare(*info);
    static constinit Image image;
    image.load();
    Runner runner{image};
    MUST(root_tcb.bind_notification(runner.notification));
    timeout = runner.mint(timeout_badge);
    start_watchdog();
    const Selection selection{authority.boot().device_tree};
    const Tests tests{image, selection};
    if (const View name = selection.unknown([&](View wanted) { return tests.exists(wanted); }); !name.empty()) {
        console.write(Text() << "Bail out! no test is named " << name << " (tests=SUITE.IDENTIFIER or tests=SUITE.)\ncaprock: exit 2\n");
        for (;;) sys::yield();
    }
    console.write(Text() << "TAP version 13\n1.." << tests.count_selected() << "\n");
    const bool passed = run_all(tests, runner);
    console.write(Text() << "caprock: exit " << uint64_t{!passed} << "\n");
    for (;;) sys::yield();
}

}  // namespace caprock::conformance
