// SPDX-License-Identifier: BSD-2-Clause
// Reads the system back with Inspect before any of its threads starts, and compares it with the tables: objects, every slot of every CNode, every
// page of every address space, threads, scheduling contexts and interrupts. What the tables do not have must not be there either.
#include "capdl/loader/verify.hpp"

namespace caprock::loader {

using abi::CapType;

constinit Deviations deviations;

namespace {

CapType type_of(abi::ObjectType type) {
    switch (type) {
        case abi::ObjectType::Untyped: return CapType::Untyped;
        case abi::ObjectType::TCB: return CapType::TCB;
        case abi::ObjectType::Endpoint: return CapType::Endpoint;
        case abi::ObjectType::Notification: return CapType::Notification;
        case abi::ObjectType::CNode: return CapType::CNode;
        case abi::ObjectType::SchedContext: return CapType::SchedContext;
        case abi::ObjectType::Reply: return CapType::Reply;
        case abi::ObjectType::VSpace: return CapType::VSpace;
        case abi::ObjectType::PageTable: return CapType::PageTable;
        case abi::ObjectType::HugePage:
        case abi::ObjectType::SmallPage:
        case abi::ObjectType::LargePage: return CapType::Frame;
    }
    return CapType::Null;
}

}  // namespace

// Objects without memory stand behind the others.
CapType kind_of(uint32_t object) {
    for (const uint32_t pool : system.asid_pools)
        if (pool == object) return CapType::ASIDPool;
    if (object < system.objects.size) return type_of(system.objects[object].type);
    return object - system.objects.size < system.interrupts.size ? CapType::IRQHandler : CapType::SGISignal;
}

namespace {

// Objects -------------------------------------------------------------------------------------------------------------------------------

/// What ReadCNode calls size_bits of a capability to an object.
uint64_t size_of(uint32_t object, CapType kind) {
    const bool told = kind == CapType::Untyped || kind == CapType::Frame || kind == CapType::SchedContext;
    if (kind == CapType::CNode) return system.objects[object].size_bits - abi::slot_bits;
    return told ? system.objects[object].size_bits : 0;
}

/// Compares an object with its entry, through the capability that the loader has, and notes its identity.
void verify_object(const Loader& loader, uint32_t object) {
    const auto found = value_of(inspect.read_cnode(loader.slot_of(object), root_cnode), loader.name_of(object));
    const CapType kind = kind_of(object);
    buffers.identities[object] = found.identity;
    deviations.at(loader.name_of(object));
    deviations.compare_kinds(found.kind, kind);
    if (object >= system.objects.size) return;
    deviations.compare("size in bits", found.size_bits, size_of(object, kind));
    const uint64_t paddr = system.objects[object].paddr;
    if (kind == CapType::Frame && paddr != alloc::any_address)
        deviations.compare("physical address", value_of(Cap<Frame>{loader.slot_of(object)}.get_address(), loader.name_of(object)), paddr);
}

void verify_tables(const Loader& loader) {
    for (const TableMapping& mapping : system.table_mappings) {
        deviations.at(loader.name_of(mapping.table));
        const auto found = value_of(inspect.read_cnode(loader.slot_of(mapping.table), root_cnode), loader.name_of(mapping.table));
        deviations.compare("mapped address", found.badge, mapping.address);
    }
}

// Threads and what gives them time ------------------------------------------------------------------------------------------------------

/// The slots of a thread, in the order of ReadTCBSlot.
void verify_thread_slots(const Loader& loader, const Thread& thread) {
    const auto endpoint = [](const Handler& handler) {
        return handler.endpoint == none ? Expected{} : Expected{CapType::Endpoint, handler.endpoint, handler.rights.raw, handler.badge, 0};
    };
    const Expected space{CapType::CNode, thread.cspace, 0, thread.cspace_data.guard(), thread.cspace_data.guard_size()};
    const Expected expected[tcb_slots] = {
        thread.cspace == none ? Expected{} : space,
        thread.vspace == none ? Expected{} : Expected{.kind = CapType::VSpace, .object = thread.vspace},
        thread.buffer_frame == none ? Expected{} : Expected{.kind = CapType::Frame, .object = thread.buffer_frame},
        endpoint(thread.fault),
        endpoint(thread.timeout),
    };
    for (uint64_t slot = 0; slot < tcb_slots; ++slot) {
        const char* name = loader.name_of(thread.tcb);
        const auto found = value_of(inspect.read_tcb_slot(slot, Cap<TCB>{loader.slot_of(thread.tcb)}), name);
        deviations.at(name, "slot", slot);
        deviations.compare_kinds(found.kind, expected[slot].kind);
        if (expected[slot].kind == CapType::Null) continue;
        deviations.compare_objects("object", found.identity, expected[slot].object);
        if (expected[slot].kind == CapType::Endpoint) deviations.compare("rights", found.rights.raw, expected[slot].rights);
        if (expected[slot].kind == CapType::Endpoint || expected[slot].kind == CapType::CNode)
            deviations.compare("badge or guard", found.badge, expected[slot].badge);
        deviations.compare("guard size", found.guard_size, expected[slot].guard_size);
    }
}

void verify_registers(const Loader& loader, const Thread& thread) {
    abi::UserContext context{};
    check(Cap<TCB>{loader.slot_of(thread.tcb)}.read_registers(0, sizeof context / sizeof(uint64_t), context),
          [&](Text& text) { text << "reading back the registers of " << loader.name_of(thread.tcb); });
    deviations.compare("program counter", context.pc, thread.ip);
    deviations.compare("stack pointer", context.sp, thread.sp);
    for (size_t i = 0; i < sizeof thread.arguments / sizeof thread.arguments[0]; ++i)
        deviations.compare("argument register", context.x0_x8[i], thread.arguments[i]);
}

void verify_thread(const Loader& loader, const Thread& thread) {
    const auto found = value_of(inspect.read_tcb(Cap<TCB>{loader.slot_of(thread.tcb)}), loader.name_of(thread.tcb));
    deviations.at(loader.name_of(thread.tcb));
    deviations.compare("state", found.state, 0);
    deviations.compare("priority", found.priority, thread.priority);
    deviations.compare("highest priority that it may give", found.mcp, thread.max_priority);
    deviations.compare("domain", found.domain, thread.domain);
    if (thread.sched_context == none) deviations.compare("core", found.core, thread.core);
    deviations.compare("flags", found.flags.raw, thread.flags.raw);
    deviations.compare("address of the IPC buffer", found.buffer, thread.buffer_frame == none ? 0 : thread.buffer_address);
    deviations.compare_objects("scheduling context", found.sched_context, thread.sched_context);
    deviations.compare_objects("notification", found.notification, thread.notification);
    verify_registers(loader, thread);
    verify_thread_slots(loader, thread);
}

uint32_t thread_with(uint32_t sched_context) {
    for (const Thread& thread : system.threads)
        if (thread.sched_context == sched_context) return thread.tcb;
    return none;
}

void verify_schedule(const Loader& loader, const Schedule& schedule) {
    const char* name = loader.name_of(schedule.sched_context);
    const auto found = value_of(inspect.read_sched_context(Cap<SchedContext>{loader.slot_of(schedule.sched_context)}), name);
    deviations.at(name);
    deviations.compare("budget", found.budget, schedule.budget);
    deviations.compare("period", found.period, schedule.period);
    deviations.compare("badge", found.badge, schedule.badge);
    deviations.compare("core", found.core, schedule.core);
    deviations.compare("further refills", found.extra_refills, 0);
    deviations.compare_objects("thread", found.thread, thread_with(schedule.sched_context));
    deviations.compare_objects("notification", found.notification, none);
}

void verify_interrupt(const Loader& loader, const Interrupt& interrupt) {
    const char* name = loader.name_of(interrupt.object);
    const auto found = value_of(inspect.read_irq_handler(Cap<IRQHandler>{loader.slot_of(interrupt.object)}), name);
    deviations.at(name);
    deviations.compare("interrupt", found.irq, interrupt.number);
    deviations.compare_objects("notification", found.notification, interrupt.notification);
    if (interrupt.notification != none) deviations.compare("badge", found.badge, interrupt.badge);
}

}  // namespace

void verify_objects(const Loader& loader) {
    const uint32_t console = static_cast<uint32_t>(system.objects.size - 1);
    for (uint32_t object = 0; object < system.object_names.size; ++object)
        if (object != console) verify_object(loader, object);
    verify_tables(loader);
}

void verify_system(const Loader& loader) {
    verify_spaces(loader, verify_cnodes(loader));
    for (const Thread& thread : system.threads) verify_thread(loader, thread);
    for (const Schedule& schedule : system.schedules) verify_schedule(loader, schedule);
    for (const Interrupt& interrupt : system.interrupts) verify_interrupt(loader, interrupt);
    deviations.finish();
}

}  // namespace caprock::loader
