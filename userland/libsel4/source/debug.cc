// SPDX-License-Identifier: BSD-2-Clause
// What libsel4 adds to the debug kernel's calls: names of threads, and lists of what the root task holds, by its Inspect capability.
#include <caprock/objects.h>
#include <sel4/sel4.h>

namespace {

constexpr unsigned name_bytes = 24;
constexpr unsigned most_names = 64;

struct ThreadName {
    seL4_CPtr tcb;
    char text[name_bytes];
};

ThreadName names[most_names];
unsigned next_name = 0;

constexpr const char* type_names[] = {"null", "untyped", "ep", "notification", "reply", "cnode", "tcb", "sc", "sched_control", "vspace",
                                      "page_table", "frame", "asid_control", "asid_pool", "irq_control", "irq", "domain", "inspect", "zombie",
                                      "arm_sgi_signal"};
constexpr const char* state_names[] = {"inactive", "runnable", "receiving", "sending", "calling", "waiting"};

void print(const char* text) {
    for (; *text != 0; ++text) caprock_debug_put_char(*text);
}

void print_number(seL4_Word value, unsigned base = 10) {
    char digits[24];
    char* at = digits + sizeof(digits);
    *--at = 0;
    do {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    print(base == 16 ? "0x" : "");
    print(at);
}

void print_pair(const char* name, seL4_Word value, unsigned base = 10) {
    print(name);
    print_number(value, base);
}

const ThreadName* name_of(seL4_CPtr tcb) {
    for (const ThreadName& entry : names)
        if (entry.tcb == tcb && entry.text[0] != 0) return &entry;
    return nullptr;
}

struct SlotContent {
    caprock_cap_type_t kind;
    caprock_cap_rights_t rights;
    uint64_t badge, size_bits, guard_size, identity, parent;
};

bool read_slot(seL4_Word slot, SlotContent& content) {
    return caprock_inspect_read_cnode(seL4_CapInspect, slot, seL4_CapInitThreadCNode, &content.kind, &content.rights, &content.badge,
                                      &content.size_bits, &content.guard_size, &content.identity, &content.parent,
                                      nullptr) == CAPROCK_ERROR_NO_ERROR;
}

void print_name(seL4_CPtr tcb) {
    if (const ThreadName* name = name_of(tcb)) {
        print(" ");
        print(name->text);
    }
}

void print_slot(seL4_Word slot, const SlotContent& content) {
    print_pair("  ", slot);
    print(": ");
    print(content.kind < sizeof(type_names) / sizeof(type_names[0]) ? type_names[content.kind] : "unknown");
    if (content.size_bits != 0) print_pair(" bits ", content.size_bits);
    if (content.rights.raw != 0) print_pair(" rights ", content.rights.raw, 16);
    if (content.badge != 0) print_pair(" badge ", content.badge, 16);
    if (content.parent != 0) print_pair(" child of ", content.parent - 1);
    if (content.kind == CAPROCK_CAP_TYPE_TCB) print_name(slot);
    print("\n");
}

void print_thread(seL4_CPtr tcb) {
    uint64_t identity, state, priority, mcp, domain, core, context, notification, buffer;
    caprock_thread_flags_t flags;
    if (caprock_inspect_read_tcb(seL4_CapInspect, tcb, &identity, &state, &priority, &mcp, &domain, &core, &flags, &context, &notification, &buffer,
                                 nullptr) != CAPROCK_ERROR_NO_ERROR) {
        return;
    }
    print_pair("  ", tcb);
    print_name(tcb);
    print(": ");
    print(state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "unknown");
    print_pair(" priority ", priority);
    print_pair(" domain ", domain);
    print(context != 0 ? "\n" : " passive\n");
}

// Calls `visit` with every occupied slot of the root CNode.
template <class Visit>
void visit_slots(const char* title, Visit visit) {
    print(title);
    SlotContent content;
    if (!read_slot(0, content)) return print("  not shown: this is no root task, or its Inspect capability is gone\n");
    for (seL4_Word slot = 0; read_slot(slot, content); ++slot)
        if (content.kind != CAPROCK_CAP_TYPE_NULL) visit(slot, content);
}

}  // namespace

extern "C" {

void seL4_DebugNameThread(seL4_CPtr tcb, const char* name) {
    ThreadName* entry = const_cast<ThreadName*>(name_of(tcb));
    if (entry == nullptr) entry = &names[next_name++ % most_names];
    entry->tcb = tcb;
    unsigned length = 0;
    for (; name[length] != 0 && length < name_bytes - 1; ++length) entry->text[length] = name[length];
    entry->text[length] = 0;
}

void seL4_DebugSnapshot() { visit_slots("capabilities of the root task:\n", print_slot); }

void seL4_DebugDumpScheduler() {
    visit_slots("threads of the root task:\n", [](seL4_Word slot, const SlotContent& content) {
        if (content.kind == CAPROCK_CAP_TYPE_TCB) print_thread(slot);
    });
}

}  // extern "C"
