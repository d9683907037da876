// SPDX-License-Identifier: BSD-2-Clause
// The lockstep as a program: N events from seed S on. Ends with one line of counts; with a line that says what differs, how to see it again
// and status 1 when something does.
#include "driver.hpp"
#include "explore.hpp"
#include "watchdog.hpp"

#include <charconv>
#include <cstdio>
#include <fstream>

namespace {

using namespace caprock::lockstep;

constexpr const char* usage =
    "usage: caprock-lockstep --oracle PROGRAM [--seed S] [--ops N] [--trace FILE] [--table] [--still] [--whole] [--go-on]\n"
    "       caprock-lockstep --oracle PROGRAM --exhaustive SCENE|all [--ops N] [--table]\n"
    "N events from seed S on; every 5000 have a seed of their own. A difference leaves in FILE the trace that the oracle needs to see it.\n"
    "--table prints how often each operation came to each result; --still keeps time from passing, --whole operations from being preempted.\n"
    "--exhaustive makes every move in every state, breadth first from a scene's start state on, N moves at most.\n"
    "--go-on notes differences and goes on from the kernel's state; the first of each operation are printed at the end.\n";

struct Options {
    std::string oracle;
    std::string trace;
    std::string scene;
    uint64_t seed = 1;
    uint64_t operations = 10'000;
    bool table = false;
    Manner manner;
};

bool read_number(std::string_view text, uint64_t& number) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

std::optional<Options> read_options(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        std::string_view argument = arguments[i];
        bool has_value = argument == "--oracle" || argument == "--trace" || argument == "--exhaustive" || argument == "--seed" || argument == "--ops";
        if (argument == "--table") options.table = true;
        else if (argument == "--still") options.manner.time_passes = false;
        else if (argument == "--whole") options.manner.preempts = false;
        else if (argument == "--go-on") options.manner.goes_on = true;
        else if (!has_value || ++i == count) return std::nullopt;
        else if (argument == "--oracle") options.oracle = arguments[i];
        else if (argument == "--trace") options.trace = arguments[i];
        else if (argument == "--exhaustive") options.scene = arguments[i];
        else if (!read_number(arguments[i], argument == "--seed" ? options.seed : options.operations)) return std::nullopt;
    }
    if (options.oracle.empty()) return std::nullopt;
    return options;
}

void print_table(const Tally& tally) {
    for (const auto& [operation, results] : tally.results) {
        std::printf("%-32s", operation.c_str());
        for (const auto& [result, count] : results) std::printf(" %s=%llu", result.c_str(), static_cast<unsigned long long>(count));
        std::printf("\n");
    }
}

void print_differences(const Tally& tally) {
    constexpr std::size_t shown = 2;
    for (const auto& [operation, texts] : tally.differences) {
        std::printf("%s: %zu differences\n", operation.c_str(), texts.size());
        for (std::size_t i = 0; i < texts.size() && i < shown; ++i) std::printf("%s", texts[i].c_str());
    }
}

// Events of one seed; what differs, or nothing.
std::string run_seed(uint64_t seed, uint64_t events, const Options& options, Oracle& oracle, Tally& tally) {
    caprock::fuzz::Choices choices(seed);
    std::string place = "seed " + std::to_string(seed);
    catch_crashes(place);
    std::optional<Driver> driver;
    uint64_t last = tally.events + events;
    try {
        driver.emplace(choices, oracle, tally, options.manner);
        driver->build();
        while (driver->alive() && tally.events < last) driver->step();
        driver->finish();
        return "";
    } catch (const std::exception& problem) {
        if (!options.trace.empty() && driver && driver->lockstep() != nullptr) std::ofstream(options.trace) << driver->lockstep()->last_trace();
        return problem.what();
    }
}

int search(const Options& options) {
    Tally tally;
    int status = 0;
    std::vector<std::string> scenes = scene_names();
    if (options.scene != "all") scenes = {options.scene};
    uint64_t transitions = 0;
    for (const std::string& name : scenes) {
        Oracle oracle(options.oracle);
        std::string place = "scene " + name;
        catch_crashes(place);
        Found found = explore(name, oracle, tally, options.operations / scenes.size());
        if (!found.difference.empty()) {
            std::printf("lockstep: failure: %s: %s", place.c_str(), found.difference.c_str());
            status = 1;
        }
        std::printf("%-14s %llu transitions, %llu states seen, %llu of them expanded, depth %u\n", name.c_str(),
                    static_cast<unsigned long long>(found.transitions), static_cast<unsigned long long>(found.states),
                    static_cast<unsigned long long>(found.expanded), found.depth);
        std::fflush(stdout);
        transitions += found.transitions;
    }
    if (options.table) print_table(tally);
    std::printf("lockstep: %llu distinct transitions from %zu start states\n", static_cast<unsigned long long>(transitions), scenes.size());
    return status;
}

int run(const Options& options) {
    Tally tally;
    int status = 0;
    for (uint64_t seed = options.seed; tally.events < options.operations && status == 0; ++seed) {
        Oracle oracle(options.oracle);
        uint64_t before = tally.events;
        std::string problem = run_seed(seed, std::min(component_events, options.operations - before), options, oracle, tally);
        if (problem.empty()) continue;
        std::printf("lockstep: failure: seed %llu, event %llu: %s\n", static_cast<unsigned long long>(seed),
                    static_cast<unsigned long long>(tally.events - before), problem.c_str());
        status = 1;
    }
    print_differences(tally);
    if (!tally.differences.empty()) status = 1;
    if (options.table) print_table(tally);
    std::printf("lockstep: %llu events, %llu of them preempted, %llu with an order of equals that is the kernel's, from seed %llu on\n",
                static_cast<unsigned long long>(tally.events), static_cast<unsigned long long>(tally.preemptions),
                static_cast<unsigned long long>(tally.orders),
                static_cast<unsigned long long>(options.seed));
    return status;
}

}  // namespace

int main(int count, char** arguments) {
    std::optional<Options> options = read_options(count, arguments);
    if (!options) {
        std::fputs(usage, stderr);
        return 2;
    }
    return options->scene.empty() ? run(*options) : search(*options);
}
