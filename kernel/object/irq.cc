// SPDX-License-Identifier: BSD-2-Clause
// IRQControl, IRQHandler, and what happens when an interrupt comes. An interrupt stays active from its arrival until its handler acknowledges
// it (EOImode 1: the priority drops at once, deactivation waits), so a device cannot interrupt again before it was served.
#include "object/irq.hpp"

#include "core/panic.hpp"
#include "object/finalise.hpp"
#include "object/invocation.hpp"
#include "object/notification.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
constexpr Word first_irq = 2;    // those below are the kernel's, from core to core
constexpr Word last_sgi = 15;

Irq irq_of(const Invocation& invocation) { return Irq(static_cast<uint32_t>(as<IrqHandlerCap>(invocation.cap()).number())); }

Invoked get(const Invocation& invocation) {
    using Args = abi::IRQControlGetArgs;
    auto args = invocation.args<Args>();
    Word last = arch::irq_count() - 1;
    bool serror = args.irq == abi::irq_serror;
    if (args.irq < first_irq || (args.irq > last && !serror)) return Failure::range(first_irq, last);
    if (args.trigger > static_cast<Word>(abi::IRQTrigger::Edge)) return Failure::range(0, static_cast<Word>(abi::IRQTrigger::Edge));
    Irq irq(static_cast<uint32_t>(args.irq));
    if (invocation.kernel().irq_issued[irq.raw] || irq == arch::timer_irq()) return Failure::of(Error::RevokeFirst);
    Slot* slot = TRY(find_empty_slot(invocation.caps[Args::cap_root]->cap, CPtr(args.index), args.depth));
    if (!serror) arch::irq_configure(irq, args.trigger == static_cast<Word>(abi::IRQTrigger::Edge), invocation.core.id);
    assert_that(invocation.kernel().irq_notifications[irq.raw].empty(), "irq_issued");
    invocation.kernel().irq_issued[irq.raw] = true;
    insert_derived(IrqHandlerCap::make(KernAddr(0), irq.raw), invocation.slot, *slot);
    return Outcome::Done;
}

Invoked issue_sgi_signal(const Invocation& invocation) {
    using Args = abi::IRQControlIssueSGISignalArgs;
    auto args = invocation.args<Args>();
    Word cores = invocation.kernel().core_count;
    if (args.irq < first_irq || args.irq > last_sgi) return Failure::range(first_irq, last_sgi);
    if (args.target >= cores) return Failure::range(0, cores - 1);
    Slot* slot = TRY(find_empty_slot(invocation.caps[Args::cap_root]->cap, CPtr(args.index), args.depth));
    SgiSignalCap cap = SgiSignalCap::make(Irq(static_cast<uint32_t>(args.irq)), CoreId(static_cast<uint8_t>(args.target)));
    insert_derived(cap, invocation.slot, *slot);
    return Outcome::Done;
}

Invoked set_notification(const Invocation& invocation) {
    constexpr unsigned argument = abi::IRQHandlerSetNotificationArgs::cap_notification;
    Slot* source = TRY(invocation.argument<NotificationCap>(argument));
    if (!as<NotificationCap>(source->cap).can_send()) return Failure::invalid_capability(argument + 1);
    Irq irq = irq_of(invocation);
    if (clear_irq_notification(invocation.core, irq) == Progress::Preempted) return Outcome::Preempted;
    insert_derived(source->cap, *source, invocation.kernel().irq_notifications[irq.raw]);
    if (has_line(irq)) arch::irq_unmask(irq);
    return Outcome::Done;
}

Invoked acknowledge(const Invocation& invocation) {
    if (has_line(irq_of(invocation))) arch::irq_deactivate(irq_of(invocation));
    return Outcome::Done;
}

Invoked clear(const Invocation& invocation) {
    if (has_line(irq_of(invocation))) arch::irq_mask(irq_of(invocation));
    return outcome(clear_irq_notification(invocation.core, irq_of(invocation)));
}
}  // namespace

Invoked invoke_irq_control(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::IRQControlGet: return get(invocation);
        case Method::IRQControlIssueSGISignal: return issue_sgi_signal(invocation);
        default: return Failure::illegal_operation();
    }
}

Invoked invoke_irq_handler(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::IRQHandlerAck: return acknowledge(invocation);
        case Method::IRQHandlerSetNotification: return set_notification(invocation);
        case Method::IRQHandlerClear: return clear(invocation);
        default: return Failure::illegal_operation();
    }
}

void handle_device_irq(Core& core, Irq irq) {
    if (signal_irq(core, irq)) return;
    // Nobody wants it: masked, it cannot come again.
    arch::irq_mask(irq);
    arch::irq_deactivate(irq);
}

bool signal_irq(Core& core, Irq irq) {
    const Cap& cap = core.kernel->irq_notifications[irq.raw].cap;
    if (!cap.is(CapType::Notification)) return false;
    assert_that(core.kernel->irq_issued[irq.raw], "irq_issued");
    signal(core, cap.as_object<Notification>(), as<NotificationCap>(cap).badge());
    return true;
}
}  // namespace caprock
