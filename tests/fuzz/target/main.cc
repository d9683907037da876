// SPDX-License-Identifier: BSD-2-Clause
// The fuzzer's root task: reads its parameters, which tests/fuzz/run_target.py writes into the program, and prints one line of counts, or what is
// wrong and how to see it again.
#include "supervisor.hpp"

#include <caprock/syscall.hpp>

namespace caprock::fuzz {

namespace {

/// Found in the ELF file by the text at its start.
struct Parameters {
    char name[16];
    uint64_t seed;
    uint64_t operations;
    uint64_t universe_operations;   // every so many have a component and a seed of their own
    uint64_t steady;                // 1: what happens does not depend on time; each component's digest is printed
};
[[gnu::used]] constinit volatile Parameters parameters = {"fuzz parameters", 1, 20'000, 10'000, 0};

constinit Machine machine;
constinit Supervisor supervisor(machine);

[[noreturn]] void end(const Text& text, uint64_t status) {
    machine.print(text);
    machine.print(Text() << "caprock: exit " << status << "\n");
    for (;;) sys::yield();
}

[[noreturn]] void report_failure(uint64_t seed) {
    const Report& report = supervisor.report();
    const Counts& counts = supervisor.counts();
    Text text;
    text << "fuzz target: failure: seed " << seed << ": " << report.problem;
    if (report.finding) {
        text << " (place " << uint64_t{report.finding.place} << ", value " << Hex{report.finding.value} << ", before " << Hex{report.finding.before}
             << ", info " << Hex{report.finding.info} << ")";
    }
    end(text << ", in operation " << counts.operations << "\n", 1);
}

}  // namespace

// tests/root_task/start.S calls it.
extern "C" [[noreturn]] void root_main(const abi::RootBootInfo* info) {
    // Without a console there is nobody to tell.
    if (!machine.start(*info)) __builtin_trap();
    if (!supervisor.start(parameters.steady != 0)) end(Text() << "fuzz target: failure: the helpers could not be made\n", 1);
    uint64_t seed = parameters.seed;
    for (uint64_t left = parameters.operations; left > 0; ++seed) {
        uint64_t operations = left < parameters.universe_operations ? left : parameters.universe_operations;
        if (!supervisor.run(seed, operations)) report_failure(seed);
        left -= operations;
        if (parameters.steady != 0) machine.print(Text() << "fuzz target: seed " << seed << " digest " << Hex{supervisor.counts().digest} << "\n");
    }
    const Counts& counts = supervisor.counts();
    Text text;
    text << "fuzz target: " << counts.operations << " operations, " << counts.system_calls << " system calls (" << counts.succeeded
         << " invocations done, " << counts.refused << " refused, " << counts.waited << " waited), " << counts.faults << " faults, " << counts.universes
         << " components, digest " << Hex{counts.digest} << "\n";
    end(text, 0);
}

}  // namespace caprock::fuzz
