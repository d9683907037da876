// SPDX-License-Identifier: BSD-2-Clause
#include "processor.hpp"

#include "caprock/abi.hpp"

#include <algorithm>

namespace caprock::lockstep {

using host::hardware;

namespace {

constexpr uint64_t never = uint64_t{1} << 62;   // and all later instants
constexpr uint64_t micros_in_second = 1'000'000;
constexpr uint64_t slot_bytes = 32;
constexpr uint64_t pool_entries = 512;

std::string_view value_of(const Lines& state, std::string_view key) {
    auto found = state.find(key);
    return found == state.end() ? std::string_view{} : std::string_view(found->second);
}
std::string_view object(const Lines& state, std::string_view address) { return value_of(state, "object " + std::string(address)); }

std::string said(const std::string& what, const std::string& ours, const std::string& theirs) {
    return ours == theirs ? "" : "  processor:     " + what + " " + ours + "\n  specification: " + what + " " + theirs + "\n";
}

// The space that the thread's VSpace capability stands for, unless its ASID was taken from it.
std::string space_of(const Lines& state, std::string_view thread) {
    std::string_view slot = value_of(state, "slot " + hex(number(thread) + slot_bytes));
    constexpr std::string_view start = " VSpace(";
    if (!slot.starts_with(start)) return "none";
    std::vector<std::string_view> arguments = parts(slot.substr(start.size(), slot.find(')') - start.size()));
    if (arguments.size() != 2 || arguments[1] == "-") return "none";
    uint64_t asid = number(arguments[1]);
    std::string_view pool = field(value_of(state, "pool " + hex(asid / pool_entries)), "object");
    for (std::string_view entry : parts(field(object(state, pool), "assigned"))) {
        if (entry == hex(asid % pool_entries) + ":" + std::string(arguments[0])) return std::string(arguments[0]) + " with ASID " + hex(asid);
    }
    return "none";
}

std::string armed_points() {
    std::string text;
    auto add = [&](const DebugPoint& point, unsigned number) {
        if (!point.enabled) return;
        text += (text.empty() ? "" : ",") + hex(number) + ":" + hex(point.address) + ":" + hex(point.size) + ":" + hex(static_cast<Word>(point.access));
    };
    for (unsigned i = 0; hardware.debug && i < hardware.breakpoints; ++i) add(hardware.debug->breakpoints[i], i);
    for (unsigned i = 0; hardware.debug && i < hardware.watchpoints; ++i) add(hardware.debug->watchpoints[i], hardware.breakpoints + i);
    return text.empty() ? "-" : text;
}

struct FirstRefill {
    uint64_t time = never;
    uint64_t amount = never;
};
FirstRefill first_refill(const Lines& state, std::string_view context) {
    std::vector<std::string_view> refills = parts(field(object(state, context), "refills"));
    if (refills.empty()) return {};
    std::size_t colon = refills[0].find(':');
    return {number(refills[0].substr(0, colon)), number(refills[0].substr(colon + 1))};
}

// When the kernel has to do something next: a turn or a budget ends, a thread gets budget. It may keep a distance to refills that are due, and must when the
// timer has just woken others: a crowd of threads would hold the processor up.
struct Instants {
    uint64_t first;
    uint64_t last;
};
Instants next_instants(const Lines& state, uint64_t last_release) {
    std::string_view core = value_of(state, "core");
    std::string_view turn = field(core, "turn_end");
    uint64_t charged = number(field(core, "charged_until"));
    uint64_t ends = turn == "-" ? never : std::min(never, number(turn));
    std::string_view context = field(core, "sched_context");
    if (context != "-") ends = std::min(ends, charged + first_refill(state, context).amount);
    uint64_t wakes = never;
    for (std::string_view thread : parts(field(core, "sleeping"))) {
        wakes = std::min(wakes, first_refill(state, field(object(state, thread), "sched_context")).time);
    }
    std::string_view machine = value_of(state, "machine");
    uint64_t distance = number(field(machine, "smallest_budget_us")) * number(field(machine, "timer_frequency")) / micros_in_second;
    auto with_distance = [&](uint64_t from) { return std::min(ends, wakes == never ? never : std::max(wakes, from + distance)); };
    return {last_release == 0 ? std::min(ends, wakes) : with_distance(last_release), with_distance(charged)};
}

}  // namespace

std::string Processor::timer(const Lines& state, bool at_timer) {
    std::string_view core = value_of(state, "core");
    std::vector<std::string_view> sleeping = parts(field(core, "sleeping"));
    std::set<std::string, std::less<>> now(sleeping.begin(), sleeping.end());
    bool woke = std::any_of(sleeping_.begin(), sleeping_.end(), [&](const std::string& thread) { return !now.contains(thread); });
    if (at_timer && woke) last_release_ = number(field(core, "charged_until"));
    sleeping_ = std::move(now);
    Instants next = next_instants(state, last_release_);
    // One that was earlier than it need be may stay, but it does not come twice.
    bool kept = hardware.deadline == earlier_deadline_ && !(at_timer && hardware.deadline <= hardware.time);
    earlier_deadline_ = hardware.deadline;
    if (hardware.deadline > next.last && next.last < never) return said("has its timer set to", hex(hardware.deadline), hex(next.last));
    if (hardware.deadline < next.first && !kept) return said("has its timer set to", hex(hardware.deadline), hex(next.first));
    return "";
}

std::string Processor::difference(const Lines& state, bool at_timer) {
    std::string_view thread = field(value_of(state, "core"), "current");
    std::string text = said("is in the address space", hardware.root == PhysAddr(0) ? "none" : hex(hardware.root.raw) + " with ASID " + hex(hardware.asid.raw),
                            thread == "-" ? "none" : space_of(state, thread));
    text += timer(state, at_timer);
    if (thread == "-") return text + said("has the floating-point unit", hardware.fpu_enabled ? "open" : "closed", "closed");
    std::string_view line = object(state, thread);
    abi::ThreadFlags flags{number(field(line, "flags"))};
    text += said("gives the performance monitor", hex(hardware.pmu), hex(flags.pmu()));
    text += said("gives the physical timer", hex(hardware.physical_timer), hex(flags.physical_timer()));
    text += said("steps", hardware.debug && hardware.debug->steps != 0 ? "yes" : "no", number(field(line, "step_count")) != 0 ? "yes" : "no");
    text += said("has the breakpoints", armed_points(), std::string(field(line, "breakpoints")));
    if (flags.fpu_disabled() != 0) text += said("has the floating-point unit", hardware.fpu_enabled ? "open" : "closed", "closed");
    return text + fpu(state, thread);
}

// What the unit holds is the thread's, if it is open to it.
std::string Processor::fpu(const Lines& state, std::string_view thread) {
    std::erase_if(fpu_registers_, [&](const auto& entry) { return object(state, entry.first).empty(); });
    if (!hardware.fpu_enabled) return "";
    auto known = fpu_registers_.find(thread);
    return said("has in the floating-point unit", hex(hardware.fpu_register), hex(known == fpu_registers_.end() ? 0 : known->second));
}

std::string Processor::use_fpu(const std::string& thread) {
    if (!hardware.fpu_enabled) return "  processor: the floating-point unit stays closed\n";
    Word& known = fpu_registers_[thread];
    std::string text = said("has in the floating-point unit", hex(hardware.fpu_register), hex(known));
    hardware.fpu_register = known = ++fresh_;
    return text;
}

}  // namespace caprock::lockstep
