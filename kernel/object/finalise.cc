// SPDX-License-Identifier: BSD-2-Clause
#include "object/finalise.hpp"

#include "ipc/ipc.hpp"
#include "object/irq.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/vspace.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
Progress progress(bool complete) { return complete ? Progress::Complete : Progress::Preempted; }

Progress finalise_notification(Core& core, Notification& notification) {
    if (!cancel_all_waiters(core, notification)) return Progress::Preempted;
    if (notification.bound_tcb != nullptr) unbind_notification(*notification.bound_tcb);
    if (notification.sched_context != nullptr) unbind_sched_context_notification(*notification.sched_context);
    return Progress::Complete;
}

void finalise_sched_context(Core& core, SchedContext& context) {
    if (core.current_sched_context == &context) {
        charge(core, arch::now());
        core.current_sched_context = nullptr;
    }
    if (context.yield_from != nullptr) end_yield(core, *context.yield_from);
    unbind_sched_context_tcb(core, context);
    unbind_sched_context_notification(context);
    if (context.reply != nullptr) context.reply->context = nullptr;
    context.reply = nullptr;
    context.refill_max = 0;
    core.reschedule = true;
}

Progress finalise_irq_handler(Core& core, Irq irq) {
    if (clear_irq_notification(core, irq) == Progress::Preempted) return Progress::Preempted;
    if (has_line(irq)) {
        arch::irq_mask(irq);
        arch::irq_deactivate(irq);
    }
    core.kernel->irq_issued[irq.raw] = false;
    return Progress::Complete;
}

Progress finalise_object(Core& core, const Cap& cap) {
    switch (cap.type()) {
        case CapType::Endpoint: return progress(cancel_all(core, cap.as_object<Endpoint>()));
        case CapType::Notification: return finalise_notification(core, cap.as_object<Notification>());
        case CapType::Reply: cancel_reply(core, cap.as_object<Reply>()); break;
        case CapType::SchedContext: finalise_sched_context(core, cap.as_object<SchedContext>()); break;
        case CapType::VSpace: release_asid(core, as<VSpaceCap>(cap)); break;
        case CapType::PageTable: unmap_table(*core.kernel, as<PageTableCap>(cap)); break;
        case CapType::ASIDPool: return remove_asid_pool(core, as<AsidPoolCap>(cap));
        case CapType::IRQHandler: return finalise_irq_handler(core, Irq(static_cast<uint32_t>(as<IrqHandlerCap>(cap).number())));
        default: break;
    }
    return Progress::Complete;
}
}  // namespace

Progress finalise(Core& core, const Cap& cap, bool final) {
    // It may be a thread's, and it is not asked whose.
    if (cap.is(CapType::VSpace)) lose_address_spaces(*core.kernel);
    // Each frame capability stands for its own mapping, so every one of them unmaps.
    if (cap.is(CapType::Frame)) unmap_frame(*core.kernel, as<FrameCap>(cap));
    return final ? finalise_object(core, cap) : Progress::Complete;
}

void finalise_tcb(Core& core, Tcb& thread) {
    suspend(core, thread);
    end_sweep(thread);
    unbind_notification(thread);
    if (thread.sched_context != nullptr) unbind_sched_context_tcb(core, *thread.sched_context);
    if (core.fpu_owner == &thread) take_fpu(core, nullptr);
    if (core.current == &thread) {
        // Its VSpace may go next: the processor must not walk the tables any more when the TLB forgets their ASID.
        arch::set_no_address_space();
        core.current = nullptr;
    }
}

Progress clear_irq_notification(Core& core, Irq irq) {
    Slot& slot = core.kernel->irq_notifications[irq.raw];
    if (slot.empty()) return Progress::Complete;
    bool final = is_final(slot);
    if (final && finalise_notification(core, slot.cap.as_object<Notification>()) == Progress::Preempted) return Progress::Preempted;
    unlink_slot(slot);
    return Progress::Complete;
}
}  // namespace caprock
