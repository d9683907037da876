// SPDX-License-Identifier: BSD-2-Clause
// The methods of Domain: which domain a thread belongs to, and the schedule by which domains take turns.
#include "object/invocation.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
Invoked set(const Invocation& invocation) {
    using Args = abi::DomainSetArgs;
    auto args = invocation.args<Args>();
    if (args.domain >= abi::domains) return Failure::invalid_argument(0);
    Slot* slot = TRY(invocation.argument<TcbCap>(Args::cap_tcb));
    set_domain(invocation.core, slot->cap.as_object<Tcb>(), DomainId(static_cast<uint8_t>(args.domain)));
    return Outcome::Done;
}

Invoked configure(const Invocation& invocation) {
    auto args = invocation.args<abi::DomainScheduleConfigureArgs>();
    Kernel& kernel = invocation.kernel();
    if (args.index >= abi::domain_schedule_entries) return Failure::range(0, abi::domain_schedule_entries - 1);
    if (args.domain >= abi::domains) return Failure::range(0, abi::domains - 1);
    constexpr uint16_t least = min_budget_us.raw;   // a shorter turn would be over before user level executed anything
    if (args.duration != 0 && (args.duration < least || args.duration > abi::timeout_max_us)) return Failure::range(least, abi::timeout_max_us);
    if (args.duration == 0 && args.index == kernel.domain_start) return Failure::illegal_operation();
    kernel.domain_schedule[args.index] = {DomainId(static_cast<uint8_t>(args.domain)), ticks_up(Micros(args.duration))};
    return Outcome::Done;
}

Invoked set_start(const Invocation& invocation) {
    auto args = invocation.args<abi::DomainScheduleSetStartArgs>();
    Kernel& kernel = invocation.kernel();
    if (args.index >= abi::domain_schedule_entries) return Failure::range(0, abi::domain_schedule_entries - 1);
    if (kernel.domain_schedule[args.index].length == Ticks(0)) return Failure::illegal_operation();
    kernel.domain_start = static_cast<unsigned>(args.index);
    charge(invocation.core, arch::now());
    begin_domain_turn(invocation.core, kernel.domain_start);
    return Outcome::Done;
}
}  // namespace

Invoked invoke_domain(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::DomainSet: return set(invocation);
        case Method::DomainScheduleConfigure: return configure(invocation);
        case Method::DomainScheduleSetStart: return set_start(invocation);
        default: return Failure::illegal_operation();
    }
}
}  // namespace caprock
