// SPDX-License-Identifier: BSD-2-Clause
// The root task: measures the operations that were selected, one after another, and prints the results in TAP.
#include "tests/worst_case/herd.hpp"
#include "tests/worst_case/operations.hpp"

namespace caprock::worst_case {

namespace {

constexpr const Operation* tables[] = {basic_operations, memory_operations, deletion_operations, queue_operations, time_operations,
                                       lookup_operations};

bool selected(const Operation& operation) {
    const volatile char* wanted = worst_case_options.selection;
    for (const char* name = operation.name; *wanted != 0; ++name, ++wanted) {
        if (*name != *wanted) return false;
    }
    return true;
}

template <class Visitor>
void for_each_selected(Visitor visitor) {
    for (const Operation* table : tables) {
        for (const Operation* operation = table; operation->name != nullptr; ++operation) {
            if (selected(*operation)) visitor(*operation);
        }
    }
}

bool measure(const Operation& operation, uint64_t number) {
    Sweep sweep(operation.name);
    operation.measure(sweep);
    system.clean_up();
    const bool good = sweep.report();
    system.print(Text() << (good ? "ok " : "not ok ") << number << " - " << operation.name << "\n");
    return good;
}

}  // namespace

// tests/root_task/start.S calls it.
extern "C" [[noreturn]] void root_main(const abi::RootBootInfo* info) {
    system.start(*info);
    start_monitor();
    must(root_tcb.set_priority(worker_priority, root_tcb));
    start_handler();
    herd.make();
    system.keep();
    uint64_t count = 0;
    for_each_selected([&](const Operation&) { ++count; });
    system.print(Text() << "TAP version 13\n1.." << count << "\n");
    uint64_t number = 0;
    uint64_t failed = 0;
    for_each_selected([&](const Operation& operation) { failed += !measure(operation, ++number); });
    system.print(Text() << "caprock: exit " << uint64_t{failed != 0} << "\n");
    for (;;) sys::yield();
}

}  // namespace caprock::worst_case
