// SPDX-License-Identifier: BSD-2-Clause
// Configures scheduling contexts and threads, binds notifications and interrupts, and starts what is to run.
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

/// A capability with a badge and fewer rights, in the scratch slot for as long as this lives.
class Minted {
public:
    Minted(const Loader& loader, uint32_t object, abi::CapRights rights, uint64_t badge) : loader_(loader) {
        const uint64_t source = loader.slot_of(object);
        check(root_cnode.mint(loader.scratch_slot, address_bits, source, address_bits, rights, badge, root_cnode),
              [&](Text& text) { text << "making a capability to " << loader.name_of(object); });
    }
    Minted(const Minted&) = delete;
    Minted& operator=(const Minted&) = delete;
    ~Minted() { loader_.delete_slot(loader_.scratch_slot); }

    template <class T>
    Cap<T> cap() const {
        return Cap<T>{loader_.scratch_slot};
    }

private:
    const Loader& loader_;
};

void configure_schedule(const Loader& loader, const Schedule& schedule) {
    const abi::SlotRegion& cores = loader.boot.info->sched_control;
    const char* name = loader.name_of(schedule.sched_context);
    if (schedule.core >= cores.end - cores.start)
        halt(Text() << name << " is for core " << uint64_t{schedule.core} << ", but the kernel runs " << cores.end - cores.start
                    << " (start the machine with more cores)");
    const Cap<SchedControl> control{cores.start + schedule.core};
    check(control.configure_flags(schedule.budget, schedule.period, 0, schedule.badge, abi::SchedContextFlags{0},
                                  Cap<SchedContext>{loader.slot_of(schedule.sched_context)}),
          [&](Text& text) { text << "configuring " << name << " with " << schedule.budget << " us in " << schedule.period << " us"; });
}

void set_parameters(const Loader& loader, const Thread& thread, CapRef fault_handler) {
    check(Cap<TCB>{loader.slot_of(thread.tcb)}.set_sched_params(thread.max_priority, thread.priority, root_tcb,
                                                                CapRef{loader.slot_or_null(thread.sched_context)}, fault_handler),
          [&](Text& text) { text << "setting the priority, scheduling context and fault handler of " << loader.name_of(thread.tcb); });
}

void set_handlers(const Loader& loader, const Thread& thread) {
    if (thread.fault.endpoint == none) {
        set_parameters(loader, thread, CapRef{});
    } else {
        const Minted handler(loader, thread.fault.endpoint, thread.fault.rights, thread.fault.badge);
        set_parameters(loader, thread, handler.cap<Endpoint>());
    }
    if (thread.timeout.endpoint == none) return;
    const Minted handler(loader, thread.timeout.endpoint, thread.timeout.rights, thread.timeout.badge);
    check(Cap<TCB>{loader.slot_of(thread.tcb)}.set_timeout_endpoint(handler.cap<Endpoint>()),
          [&](Text& text) { text << "setting the timeout handler of " << loader.name_of(thread.tcb); });
}

void set_registers(const Loader& loader, const Thread& thread) {
    abi::UserContext context{};
    context.pc = thread.ip;
    context.sp = thread.sp;
    for (size_t i = 0; i < sizeof thread.arguments / sizeof thread.arguments[0]; ++i) context.x0_x8[i] = thread.arguments[i];
    check(Cap<TCB>{loader.slot_of(thread.tcb)}.write_registers(0, sizeof context / sizeof(uint64_t), context),
          [&](Text& text) { text << "writing the registers of " << loader.name_of(thread.tcb); });
}

/// Domain, hardware that only some threads may use, and the core of a thread without a scheduling context.
void set_properties(const Loader& loader, const Thread& thread) {
    const Cap<TCB> tcb{loader.slot_of(thread.tcb)};
    const char* name = loader.name_of(thread.tcb);
    if (thread.domain != 0) {
        check(Cap<Domain>{init_slot(abi::InitSlot::Domain)}.set(thread.domain, tcb),
              [&](Text& text) { text << "placing " << name << " in domain " << uint64_t{thread.domain}; });
    }
    if (thread.flags.raw != 0) {
        const Cap<SchedControl> control{loader.boot.info->sched_control.start};
        check(control.set_thread_access(abi::ThreadFlags{0}, thread.flags, tcb), [&](Text& text) { text << "setting the flags of " << name; });
    }
    if (thread.core != 0)
        check(tcb.set_affinity(thread.core), [&](Text& text) { text << "placing " << name << " on core " << uint64_t{thread.core}; });
}

void configure_thread(const Loader& loader, const Thread& thread) {
    const Cap<TCB> tcb{loader.slot_of(thread.tcb)};
    const char* name = loader.name_of(thread.tcb);
    if (thread.cspace != none) {
        check(tcb.configure(thread.cspace_data, 0, thread.buffer_address, Cap<CNode>{loader.slot_of(thread.cspace)},
                            Cap<VSpace>{loader.slot_of(thread.vspace)}, Cap<Frame>{loader.slot_or_null(thread.buffer_frame)}),
              [&](Text& text) { text << "setting the CSpace, VSpace and IPC buffer of " << name; });
    }
    set_properties(loader, thread);
    set_handlers(loader, thread);
    if (thread.notification != none) {
        check(tcb.bind_notification(Cap<Notification>{loader.slot_of(thread.notification)}),
              [&](Text& text) { text << "binding " << loader.name_of(thread.notification) << " to " << name; });
    }
    set_registers(loader, thread);
}

void bind_interrupt(const Loader& loader, const Interrupt& interrupt) {
    if (interrupt.notification == none) return;
    const Minted notification(loader, interrupt.notification, abi::CapRights::make(1, 0, 0, 0), interrupt.badge);
    check(Cap<IRQHandler>{loader.slot_of(interrupt.object)}.set_notification(notification.cap<Notification>()),
          [&](Text& text) { text << "binding " << loader.name_of(interrupt.object) << " to " << loader.name_of(interrupt.notification); });
}

/// Waits until a server receives, and takes the scheduling context back on which it started. The loader has the highest priority, so its
/// call is the first that the server answers. When it returns the server waits for the next call, and nobody can have called: callers start
/// later. What the server answers to a call that is nobody's does not matter.
void take_back(const Loader& loader, const Thread& thread) {
    sys::ShortMessage message{};
    sys::call(loader.slot_of(thread.first_receive), message);
    check(Cap<SchedContext>{loader.slot_of(thread.sched_context)}.unbind(),
          [&](Text& text) { text << "taking back the scheduling context lent to " << loader.name_of(thread.tcb); });
}

}  // namespace

void configure_threads(Loader& loader) {
    for (const Schedule& schedule : system.schedules) configure_schedule(loader, schedule);
    for (const Thread& thread : system.threads) configure_thread(loader, thread);
    for (const Interrupt& interrupt : system.interrupts) bind_interrupt(loader, interrupt);
}

void resume_threads(Loader& loader) {
    for (const Thread& thread : system.threads) {
        if (!thread.resume) continue;
        check(Cap<TCB>{loader.slot_of(thread.tcb)}.resume(), [&](Text& text) { text << "resuming " << loader.name_of(thread.tcb); });
        if (thread.first_receive != none) take_back(loader, thread);
    }
}

}  // namespace caprock::loader
