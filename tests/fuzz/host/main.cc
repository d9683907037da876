// SPDX-License-Identifier: BSD-2-Clause
// The fuzzer on the host without coverage: operations from a seed, or from the bytes of a file. Ends with one line of counts; with a line
// that says what is wrong and how to see it again, and status 1, when something is.
#include "fuzzer.hpp"

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string_view>

// Addresses are all that the sanitizer has to tell: it need not remember who allocated what.
extern "C" const char* __asan_default_options() { return "malloc_context_size=0:quarantine_size_mb=1"; }

namespace {

using namespace caprock::fuzz;

constexpr const char* usage =
    "usage: fuzz-kernel [--seed S] [--ops N] [--methods]    N operations from seed S on; every 10000 have a seed of their own\n"
    "       fuzz-kernel FILE...                             the operations that the bytes of each file make\n";

struct Options {
    uint64_t seed = 1;
    uint64_t operations = 100'000;
    bool methods = false;
    std::vector<std::string> files;
};

bool read_number(std::string_view text, uint64_t& number) {
    auto [end, error] = std::from_chars(text.begin(), text.end(), number);
    return error == std::errc{} && end == text.end();
}

std::optional<Options> read_options(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        std::string_view argument = arguments[i];
        if (argument == "--methods") {
            options.methods = true;
            continue;
        }
        bool number = argument == "--seed" || argument == "--ops";
        if (number && (++i == count || !read_number(arguments[i], argument == "--seed" ? options.seed : options.operations))) return std::nullopt;
        if (!number && argument.starts_with('-')) return std::nullopt;
        if (!number) options.files.emplace_back(argument);
    }
    return options;
}

void print(const Counts& counts) {
    std::printf("fuzz host: %llu operations, %llu system calls (%llu invocations done, %llu refused, %llu preempted), %llu faults, "
                "%llu interrupts, %llu components, digest %016llx\n",
                static_cast<unsigned long long>(counts.operations), static_cast<unsigned long long>(counts.system_calls),
                static_cast<unsigned long long>(counts.succeeded), static_cast<unsigned long long>(counts.refused),
                static_cast<unsigned long long>(counts.preempted), static_cast<unsigned long long>(counts.faults),
                static_cast<unsigned long long>(counts.interrupts), static_cast<unsigned long long>(counts.universes),
                static_cast<unsigned long long>(counts.digest));
}

// One line for each method, for those who want to know what the generator reaches: how often it gave each error, NoError first.
void print_methods(const Counts& counts) {
    for (unsigned i = 1; i < method_count; ++i) {
        std::printf("%-32s", method_tables[i].name);
        for (uint64_t count : counts.results[i]) std::printf(" %6llu", static_cast<unsigned long long>(count));
        std::printf("\n");
    }
}

int run_seeds(const Options& options) {
    Counts counts;
    for (uint64_t seed = options.seed; counts.operations < options.operations; ++seed) {
        Choices choices(seed);
        std::string problem = run_component(choices, counts, std::min(universe_operations, options.operations - counts.operations));
        if (problem.empty()) continue;
        std::printf("fuzz host: failure: seed %llu: %s\n", static_cast<unsigned long long>(seed), problem.c_str());
        return 1;
    }
    print(counts);
    if (options.methods) print_methods(counts);
    return 0;
}

int run_files(const Options& options) {
    Counts counts;
    for (const std::string& name : options.files) {
        std::ifstream file(name, std::ios::binary);
        std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
        if (!file) {
            std::fprintf(stderr, "%s: it cannot be read (give a file that holds the bytes of an input)\n", name.c_str());
            return 2;
        }
        Choices choices(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
        std::string problem = run_component(choices, counts);
        if (problem.empty()) continue;
        std::printf("fuzz host: failure: %s: %s\n", name.c_str(), problem.c_str());
        return 1;
    }
    print(counts);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    std::optional<Options> options = read_options(count, arguments);
    if (!options) {
        std::fputs(usage, stderr);
        return 2;
    }
    return options->files.empty() ? run_seeds(*options) : run_files(*options);
}
