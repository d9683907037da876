// SPDX-License-Identifier: BSD-2-Clause
// The fuzzer on the host, guided by the coverage of the kernel that an input reaches (libFuzzer): an input's bytes are the choices.
#include "fuzzer.hpp"

#include <cstdio>
#include <cstdlib>

using namespace caprock::fuzz;

// What libFuzzer calls with each input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count) {
    static Counts counts;
    Choices choices(bytes, count);
    std::string problem = run_component(choices, counts);
    if (problem.empty()) return 0;
    std::printf("fuzz host: failure: %s\n", problem.c_str());
    std::fflush(stdout);
    std::abort();
}
