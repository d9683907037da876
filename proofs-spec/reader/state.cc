// SPDX-License-Identifier: BSD-2-Clause
// The state of a kernel that stands still, as the canonical text of proofs-spec/trace.md: read from the memory of the machine that it runs on. All is
// found that one CNode leads to; without --root that of the thread that runs.
#include "../image/memory.hpp"
#include "../image/seeds.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>

namespace {

using caprock::Cap;
using caprock::CapType;
using caprock::Core;
using caprock::Tcb;
using caprock::TcbSlot;
using caprock::Word;
using caprock::image::Memory;
using caprock::image::Seeds;

constexpr const char* usage =
    "usage: caprock-state --memory FILE --start ADDRESS --image ADDRESS --core ADDRESS --frequency HZ [--root ADDRESS --radix BITS]\n";

using Options = std::map<std::string_view, const char*>;

bool read_options(int count, char** arguments, Options& options) {
    constexpr std::string_view needed[] = {"--memory", "--start", "--image", "--core", "--frequency"};
    constexpr std::string_view together[] = {"--root", "--radix"};
    for (int i = 1; i + 1 < count; i += 2) options[arguments[i]] = arguments[i + 1];
    std::size_t known = 0;
    for (std::string_view name : needed) known += options.count(name);
    if (known != std::size(needed)) return false;
    for (std::string_view name : together) known += options.count(name);
    return count % 2 == 1 && known == options.size() && known != std::size(needed) + 1;
}

Word number(const Options& options, std::string_view name) { return std::strtoull(options.at(name), nullptr, 0); }

// The capability from which all others are found.
Cap first_container(const Options& options, const Core& core) {
    if (options.contains("--root")) {
        const caprock::PhysAddr address(number(options, "--root"));
        return caprock::CNodeCap::make(caprock::arch::to_kernel(address), static_cast<unsigned>(number(options, "--radix")));
    }
    const Tcb* thread = core.current;
    if (thread == nullptr || !thread->cap(TcbSlot::CSpace).is(CapType::CNode)) throw std::runtime_error("no thread with a CSpace runs (give --root)");
    return thread->cap(TcbSlot::CSpace);
}

void print_state(const Options& options) {
    Memory memory(options.at("--memory"), number(options, "--start"));
    memory.set_image(number(options, "--image"));
    caprock::host::hardware.frequency = number(options, "--frequency");
    Core& core = memory.object<Core>(number(options, "--core"));
    Seeds seeds;
    seeds.begin(first_container(options, core));
    const caprock::lockstep::Inventory inventory(core, seeds.slots(), seeds.count());
    for (const Tcb* thread : inventory.threads()) {
        memory.expose(&thread->context, sizeof thread->context);
        memory.expose(&thread->fault, sizeof thread->fault);
        memory.expose(&thread->badge, sizeof thread->badge);
    }
    std::string text;
    caprock::lockstep::write_state(text, core, inventory, {});
    seeds.remove_from(text);
    memory.restore(text);
    std::fputs(text.c_str(), stdout);
}

}  // namespace

int main(int count, char** arguments) {
    Options options;
    if (!read_options(count, arguments, options)) {
        std::fputs(usage, stderr);
        return 2;
    }
    try {
        print_state(options);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "caprock-state: %s\n", problem.what());
        return 1;
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
}
