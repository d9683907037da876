// SPDX-License-Identifier: BSD-2-Clause
// The replayer as a program: records of the plugin come from one FIFO, answers go to another. Ends, when QEMU does, with one line of counts; with
// lines that say what differs and status 1 when something does.
#include "replay.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace {

using namespace caprock::image;
using caprock::Word;

constexpr const char* usage =
    "usage: caprock-replay --oracle PROGRAM --memory FILE --start ADDRESS --records FIFO --answers FIFO --frequency HZ\n"
    "                      --distributor ADDRESS --cpu ADDRESS [--version3] [--trace FILE]\n";

struct Options {
    std::map<std::string_view, std::string> values;
    bool version3 = false;

    const std::string& text(std::string_view name) const { return values.at(name); }
    Word number(std::string_view name) const { return std::strtoull(values.at(name).c_str(), nullptr, 0); }
};

std::optional<Options> read_options(int count, char** arguments) {
    constexpr std::string_view needed[] = {"--oracle", "--memory", "--start", "--records", "--answers", "--frequency", "--distributor", "--cpu"};
    Options options;
    for (int i = 1; i < count; ++i) {
        std::string_view name = arguments[i];
        bool known = name == "--trace" || std::find(std::begin(needed), std::end(needed), name) != std::end(needed);
        if (name == "--version3") options.version3 = true;
        else if (!known || ++i == count) return std::nullopt;
        else options.values[name] = arguments[i];
    }
    for (std::string_view name : needed) {
        if (!options.values.contains(name)) return std::nullopt;
    }
    return options;
}

// Reads one record; false when the machine is gone.
bool next(int records, Record& record) {
    std::size_t had = 0;
    while (had < sizeof record) {
        ssize_t count = read(records, reinterpret_cast<char*>(&record) + had, sizeof record - had);
        if (count <= 0) return false;
        had += static_cast<std::size_t>(count);
    }
    return true;
}

void print(const Tally& tally) {
    constexpr std::size_t shown = 10;
    for (const auto& [kind, texts] : tally.differences) {
        std::printf("%s: %zu differences\n", kind.c_str(), texts.size());
        for (std::size_t i = 0; i < texts.size() && i < shown; ++i) std::printf("%s", texts[i].c_str());
    }
    for (const auto& [result, times] : tally.results) std::printf("  %-40s %llu\n", result.c_str(), static_cast<unsigned long long>(times));
    auto count = [](uint64_t number) { return static_cast<unsigned long long>(number); };
    std::printf("replay: %llu events, %llu of them preempted, %llu with an order of equals that is the kernel's, %llu in which the counter moved\n",
                count(tally.events), count(tally.preemptions), count(tally.orders), count(tally.moments));
}

int run(const Options& options) {
    Tally tally;
    bool failed = false;
    // In the order in which the plugin opens them.
    int records = open(options.text("--records").c_str(), O_RDONLY);
    int answers = open(options.text("--answers").c_str(), O_WRONLY);
    if (records < 0 || answers < 0) throw std::runtime_error(std::string("the pipes to the machine: ") + std::strerror(errno));
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> trace(nullptr, std::fclose);
    if (options.values.contains("--trace")) trace.reset(std::fopen(options.text("--trace").c_str(), "w"));
    Memory memory(options.text("--memory"), options.number("--start"));
    caprock::lockstep::Oracle oracle(options.text("--oracle"));
    GicPlace gic{.distributor = options.number("--distributor"), .cpu = options.number("--cpu"), .version3 = options.version3};
    Replay replay(memory, oracle, tally, gic, options.number("--frequency"), 1, trace.get());
    Record record;
    try {
        while (next(records, record)) {
            replay.take(record);
            if (record.event <= last_awaited && write(answers, "", 1) != 1) break;
        }
    } catch (const std::exception& problem) {
        std::printf("replay: failure: event %llu: %s\n", static_cast<unsigned long long>(tally.events), problem.what());
        failed = true;
    }
    print(tally);
    return failed || !tally.differences.empty() ? 1 : 0;
}

}  // namespace

int main(int count, char** arguments) {
    std::optional<Options> options = read_options(count, arguments);
    if (!options) {
        std::fputs(usage, stderr);
        return 2;
    }
    try {
        return run(*options);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "caprock-replay: %s\n", problem.what());
        return 2;
    }
}
