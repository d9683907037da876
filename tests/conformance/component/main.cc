// SPDX-License-Identifier: BSD-2-Clause
// A component's first thread: runs the test that the driver named, and reports.
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

// The first verdict counts. The driver runs at once.
void conclude(Verdict verdict, const Text& reason) {
    SharedPage& shared = shared_page();
    if (shared.verdict == Verdict::Running) {
        shared.verdict = verdict;
        shared.reason = reason;
    }
    sys::signal(slot_of(Slot::Ended));
}

}  // namespace

void fail(const Text& reason) {
    conclude(Verdict::Failed, reason);
    stop_current_thread();
}

void skip(const char* reason) {
    conclude(Verdict::Skipped, Text() << reason);
    stop_current_thread();
}

void note(const char* what, uint64_t value, const char* unit) { shared_page().notes << "# " << what << ": " << value << " " << unit << "\n"; }

// start.S calls it.
extern "C" [[noreturn]] void component_main() {
    start_first_thread();
    shared_page().test->run();
    conclude(Verdict::Passed, Text());
    stop_current_thread();
}

}  // namespace caprock::conformance
