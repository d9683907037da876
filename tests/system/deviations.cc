// SPDX-License-Identifier: BSD-2-Clause
// Changes one thing of a system between the loader's work and its comparison, or behind that if it is LATE. Linked around the loader with --wrap;
// DEVIATION says which one, and SEED which thread.
#include "by_name.hpp"

namespace caprock::loader {
namespace {

constexpr abi::CapRights reading = abi::CapRights::make(0, 1, 0, 0);
constexpr abi::CapRights writing = abi::CapRights::make(1, 0, 0, 0);
constexpr abi::VMAttributes plain = abi::VMAttributes::make(1, 0, 1);

Loader& loader() { return the_loader(); }

uint64_t slot(const char* name) { return loader().slot_of(find(name)); }

/// The loader's own capability to an object with another badge or guard, in a new slot.
uint64_t minted(const char* name, uint64_t badge, abi::CapRights rights = all_rights) {
    const uint32_t slot_of_copy = loader().take_slots(1);
    must(root_cnode.mint(slot_of_copy, address_bits, slot(name), address_bits, rights, badge, root_cnode));
    return slot_of_copy;
}

const Thread& chosen() { return system.threads[SEED % system.threads.size]; }
Cap<TCB> chosen_tcb() { return Cap<TCB>{loader().slot_of(chosen().tcb)}; }

const Thread& thread(const char* name) {
    for (const Thread& candidate : system.threads)
        if (candidate.tcb == find(name)) return candidate;
    halt(Text() << "the test knows no thread " << name);
}

// Objects: the comparison looks at the loader's own capabilities.

void swap(const char* a, const char* b) {
    uint32_t& first = buffers.object_slots[find(a)];
    uint32_t& second = buffers.object_slots[find(b)];
    const uint32_t kept = first;
    first = second;
    second = kept;
    const uint64_t identity = buffers.identities[find(a)];
    buffers.identities[find(a)] = buffers.identities[find(b)];
    buffers.identities[find(b)] = identity;
}

void object_kind() { swap("e", "n"); }
void object_size() { swap("cspace", "callers_cspace"); }
void object_address() { swap("uart", "data"); }
void table_address() { swap("v2", "v3"); }

// Slots of the CNode `cspace`, which has 2^5.

constexpr uint64_t depth = 5;

void replace(uint64_t at, const char* name, abi::CapRights rights, uint64_t badge = 0) {
    const Cap<CNode> cnode = cap<CNode>("cspace");
    must(cnode.delete_cap(at, depth));
    if (badge == 0)
        must(cnode.copy(at, depth, slot(name), address_bits, rights, root_cnode));
    else
        must(cnode.mint(at, depth, slot(name), address_bits, rights, badge, root_cnode));
}

void slot_missing() { must(cap<CNode>("cspace").delete_cap(1, depth)); }
void slot_extra() { must(cap<CNode>("cspace").copy(30, depth, slot("e"), address_bits, reading, root_cnode)); }
void slot_rights() { replace(3, "n", writing); }
void slot_badge() { replace(4, "n", writing, 0x11); }
void slot_guard() { replace(6, "cspace", all_rights, abi::CNodeCapData::make(59, 1).raw); }
void slot_guard_size() { replace(6, "cspace", all_rights, abi::CNodeCapData::make(58, 0).raw); }
void slot_object() { replace(1, "served", reading); }
void slot_parent() { replace(19, "full", writing, 0x33); }

// Pages of the address space `v`: `data` is mapped by the loader's own capability to it.

void map(uint64_t frame, uint64_t address, abi::CapRights rights, abi::VMAttributes attributes) {
    must(Cap<Frame>{frame}.map(address, rights, attributes, cap<VSpace>("v")));
}

uint64_t copied(const char* name) {
    const uint32_t slot_of_copy = loader().take_slots(1);
    must(root_cnode.copy(slot_of_copy, address_bits, slot(name), address_bits, all_rights, root_cnode));
    return slot_of_copy;
}

void page_missing() { must(cap<Frame>("data").unmap()); }
void page_frame() { page_missing(), map(copied("shared"), 0x404000, read_write, plain); }
void page_rights() { page_missing(), map(slot("data"), 0x404000, reading, plain); }
void page_attributes() { page_missing(), map(slot("data"), 0x404000, read_write, abi::VMAttributes::make(0, 0, 1)); }
void page_extra() { map(copied("shared"), 0x40a000, read_write, plain); }

// Threads.

void thread_state() { must(cap<TCB>("spinner").resume()); }
void thread_priority() { must(chosen_tcb().set_priority(chosen().priority + 1, root_tcb)); }
void thread_highest() { must(chosen_tcb().set_mc_priority(chosen().max_priority + 1, root_tcb)); }
void thread_domain() { must(Cap<Domain>{init_slot(abi::InitSlot::Domain)}.set(chosen().domain + 1, chosen_tcb())); }
void thread_core() { must(cap<TCB>("loner").set_affinity(2)); }
void thread_flags() {
    const Cap<SchedControl> control{loader().boot.info->sched_control.start};
    must(control.set_thread_access(abi::ThreadFlags{0}, abi::ThreadFlags::make(0, 1, 0), cap<TCB>("caller")));
}
void thread_buffer() { must(cap<TCB>("probe").set_ipc_buffer(0x406400, cap<Frame>("buffer"))); }
void thread_context() { must(cap<SchedContext>("sc_asleep").unbind()); }
void thread_notification() { must(chosen_tcb().bind_notification(cap<Notification>("n"))); }
void thread_registers() {
    abi::UserContext context{};
    context.pc = thread("caller").ip;
    context.sp = 8;
    must(cap<TCB>("caller").write_registers(0, sizeof context / sizeof(uint64_t), context));
}

void set_space(abi::CNodeCapData data, const char* vspace) {
    must(cap<TCB>("caller").set_space(data, 0, CapRef{}, cap<CNode>("callers_cspace"), cap<VSpace>(vspace)));
}
void thread_cspace() { set_space(abi::CNodeCapData::make(61, 0), "v"); }
void thread_vspace() { set_space(thread("caller").cspace_data, "w"); }
void thread_buffer_frame() { must(cap<TCB>("probe").set_ipc_buffer(0x406000, cap<Frame>("data"))); }
void thread_handler() {
    const Thread& faulty = thread("faulty");
    must(cap<TCB>("faulty").set_sched_params(faulty.max_priority, faulty.priority, root_tcb, cap<SchedContext>("sc_faulty"),
                                             Cap<Endpoint>{minted("e", 0x78, faulty.fault.rights)}));
}
void thread_timeout() { must(cap<TCB>("spinner").set_timeout_endpoint(Cap<Endpoint>{minted("e", 0x89, thread("spinner").timeout.rights)})); }

// Scheduling contexts and interrupts.

void configure(uint64_t budget, uint64_t period, uint64_t refills, uint64_t badge) {
    const Cap<SchedControl> control{loader().boot.info->sched_control.start};
    must(control.configure_flags(budget, period, refills, badge, abi::SchedContextFlags{0}, cap<SchedContext>("sc_caller")));
}
void context_budget() { configure(4000, 10000, 0, 0); }
void context_period() { configure(5000, 11000, 0, 0); }
void context_refills() { configure(5000, 10000, 1, 0); }
void context_badge() { configure(5000, 10000, 0, 1); }
void context_notification() { thread_context(), must(cap<SchedContext>("sc_asleep").bind(cap<Notification>("n"))); }
void interrupt_notification() { must(cap<IRQHandler>("clock").set_notification(cap<Notification>("n"))); }
void interrupt_badge() { must(cap<IRQHandler>("message_line").set_notification(Cap<Notification>{minted("n", 0x21, writing)})); }

constexpr bool of_objects = OF_OBJECTS;

extern "C" {
void __real__ZN7caprock6loader14verify_objectsERKNS0_6LoaderE(const Loader& loader);
void __real__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(const Loader& loader);

void __wrap__ZN7caprock6loader14verify_objectsERKNS0_6LoaderE(const Loader& loader) {
    if constexpr (of_objects) DEVIATION();
    __real__ZN7caprock6loader14verify_objectsERKNS0_6LoaderE(loader);
    // Whatever was exchanged goes back, so that the loader goes on with what it has.
    if constexpr (of_objects) DEVIATION();
}

void __wrap__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(const Loader& loader) {
    if constexpr (!of_objects && !LATE) DEVIATION();
    __real__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(loader);
    if constexpr (LATE) DEVIATION();
}
}

}  // namespace
}  // namespace caprock::loader
