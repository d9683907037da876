// SPDX-License-Identifier: BSD-2-Clause
// The program of tests/system/test_loader.py: looks from inside at what the loader made of the description there, with which its slots,
// badges and addresses agree. Prints a line per failed check, and ends the system with their number.
#include "caprock/objects.hpp"

extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;

// Compilers copy structures with it.
void* memcpy(void* to, const void* from, size_t size) {
    for (size_t i = 0; i < size; ++i) {
        static_cast<uint8_t*>(to)[i] = static_cast<const uint8_t*>(from)[i];
        asm volatile("" : : : "memory");  // else the loop would become a call of this function
    }
    return to;
}
}

namespace {

using namespace caprock;

// Addresses and slots of the description.
constexpr uint64_t stack_top = 0x40'6000;
constexpr uint64_t buffer_address = 0x40'6000;
constexpr uint64_t uart_address = 0x40'7000;
constexpr uint64_t tree_address = 0x40'8000;
constexpr uint64_t constant_address = 0x40'9000;
constexpr uint64_t free_address = 0x40'a000;
constexpr uint64_t shared_address = 0x40'b000;
constexpr uint64_t trace_address = 0x40'5008;
constexpr uint64_t large_address = 0xa0'0000;

constexpr CapRef endpoint{1};
constexpr CapRef reply{2};
constexpr Cap<Notification> notification{3};
constexpr Cap<Notification> signaller{4};
constexpr Cap<Untyped> untyped{5};
constexpr Cap<CNode> cnode{6};
constexpr Cap<TCB> faulty{7};
constexpr Cap<IRQHandler> handler{8};
constexpr Cap<Frame> constant{9};
constexpr Cap<Frame> uart{10};
constexpr uint64_t child_slot = 11;
constexpr uint64_t derived_slot = 12;
constexpr uint64_t full_slot = 13;
constexpr Cap<SchedControl> sched_control{14};
constexpr Cap<SchedContext> sched_context{15};
constexpr Cap<VSpace> vspace{16};
constexpr Cap<IRQControl> irq_control{17};
constexpr Cap<ASIDPool> asid_pool{18};
constexpr uint64_t equal_slot = 19;
constexpr uint64_t free_slot = 20;
constexpr CapRef message{21};
constexpr Cap<IRQHandler> message_line{22};
constexpr Cap<IRQHandler> errors{23};
constexpr Cap<Domain> domain{24};
constexpr CapRef served{25};
constexpr uint64_t other_domain_entry = 7;

constexpr uint64_t donation = abi::syscall_flag_require_donation;

constexpr uint64_t depth = 64;
constexpr abi::CapRights all_rights = abi::CapRights::make(1, 1, 1, 1);

void print(const char* text) {
    for (; *text != 0; ++text) {
        while ((*reinterpret_cast<volatile uint32_t*>(uart_address + 0x18) & 1u << 5) != 0) {
        }
        *reinterpret_cast<volatile uint32_t*>(uart_address) = static_cast<uint8_t>(*text);
    }
}

unsigned failures = 0;

void check(bool passed, const char* what) {
    if (passed) return;
    ++failures;
    print("probe: ");
    print(what);
    print(" failed\n");
}

uint64_t word_at(uint64_t address) { return *reinterpret_cast<volatile uint64_t*>(address); }

void check_start(uint64_t first, uint64_t second, uint64_t stack) {
    check(first == 0x1234 && second == 0xffff'ffff'ffff'fff0, "initial arguments");
    check(stack == stack_top, "stack pointer");
    check(word_at(stack_top - 0x1000) == 0, "zeroed memory");
}

void check_memory() {
    check(word_at(constant_address) == 0x0706'0504'0302'0100, "filled frame");
    check(word_at(constant_address + 16) == 0, "zero behind the fill");
    check(word_at(large_address) == 0x0706'0504'0302'0100, "start of a filled large frame");
    check(word_at(large_address + 0x1f'f008) == 0x0f0e'0d0c'0b0a'0908, "end of a filled large frame");
    check(word_at(large_address + 0x1000) == 0, "zero in a large frame");
    check(*reinterpret_cast<volatile uint32_t*>(tree_address) == 0xedfe'0dd0, "device tree in a frame");
    check(uart.get_address().value_or(0) == 0x900'0000, "frame at a fixed address");
    *reinterpret_cast<volatile uint64_t*>(shared_address) = 77;
    check(word_at(shared_address + 0x1000) == 77, "one frame at two addresses");
    // The capability in the CNode is the one that maps, and has more rights than the mapping.
    check(constant.unmap().ok(), "unmapping by the controlling capability");
    check(constant.map(free_address, all_rights, abi::VMAttributes::make(1, 0, 1), vspace).ok(), "mapping elsewhere");
    *reinterpret_cast<volatile uint64_t*>(free_address) = 5;
    check(word_at(free_address) == 5, "writing with the capability's rights");
}

void check_rights() {
    check(faulty.bind_notification(signaller).error() == abi::Error::InvalidCapability, "no Read on the signaller");
    check(faulty.bind_notification(notification).ok(), "Read on the notification");
    check(faulty.unbind_notification().ok(), "unbinding");
    check(handler.set_notification(notification).error() == abi::Error::InvalidCapability, "no Write on the notification");
    check(handler.set_notification(signaller).ok(), "Write on the signaller");
    check(handler.ack().ok(), "interrupt handler");
    sys::signal(signaller.address());
    sys::ShortMessage message{};
    sys::wait(notification.address(), message);
    check(message.badge == 0x10, "badge of a notification");
}

/// Whether a slot is empty, by copying its capability.
bool is_empty(uint64_t slot) {
    const Result<void> copied = cnode.copy(free_slot, depth, slot, depth, all_rights, cnode);
    if (!copied.ok()) return copied.error() == abi::Error::FailedLookup;
    check(cnode.delete_cap(free_slot, depth).ok(), "deleting a copy");
    return false;
}

void check_derivation() {
    check(cnode.mint(free_slot, depth, derived_slot, depth, all_rights, 5, cnode).error() == abi::Error::IllegalOperation,
          "badge is fixed");
    check(cnode.revoke(derived_slot, depth).ok(), "revoking the badged capability");
    check(is_empty(equal_slot), "the one derived from it is gone");
    check(!is_empty(derived_slot), "badged capability is still there");
    check(cnode.revoke(full_slot, depth).ok(), "revoking the first capability");
    check(is_empty(derived_slot), "badged capability is gone");
    check(!is_empty(full_slot), "first capability is still there");
}

void check_authority() {
    check(untyped.retype(abi::ObjectType::VSpace, 0, 0, 0, free_slot, 1, cnode).ok(), "retyping the untyped");
    check(asid_pool.assign(Cap<VSpace>{free_slot}).ok(), "ASID pool");
    check(cnode.revoke(untyped.address(), depth).ok(), "revoking the untyped");
    check(is_empty(child_slot), "the untyped's child is gone");
    check(irq_control.get(36, abi::IRQTrigger::Level, free_slot, depth, cnode).ok(), "IRQControl");
    check(sched_control.configure_flags(4000, 8000, 0, 0, abi::SchedContextFlags{0}, sched_context).ok(), "SchedControl");
}

/// Timer and performance monitor trap when a thread may not use them: then this one would end here.
void check_access() {
    uint64_t timer_control = 1;
    uint64_t cycles = 0;
    asm volatile("mrs %0, cntp_ctl_el0\n\tmrs %1, pmccntr_el0" : "+r"(timer_control), "+r"(cycles));
    check((timer_control & 1) == 0, "physical timer at rest");
    const abi::ThreadFlags without_fpu = abi::ThreadFlags::make(1, 0, 0);
    check(faulty.set_flags({0}, {0}).value_or({0}).raw == without_fpu.raw, "flags of another thread");
}

void check_software_interrupts() {
    sys::signal(message.address());
    sys::ShortMessage received{};
    sys::wait(notification.address(), received);
    check(received.badge == 0x20, "badge of a software-generated interrupt");
    check(message_line.ack().ok(), "handler of a software-generated interrupt");
    check(errors.set_notification(signaller).ok(), "handler of SError");
}

/// A thread of another domain runs in its turns and in no others, whatever its priority. It may take some turns until it has got so far; a domain
/// that never has one ends the test by its time limit.
void check_domains() {
    check(word_at(trace_address) == 0, "a domain without time");
    check(domain.schedule_set_start(other_domain_entry).ok(), "beginning the schedule");
    while (word_at(trace_address) == 0) {
    }
}

/// The server works on its caller's time, and takes nothing from who brings none: what it started on was taken back.
void check_passive_server() {
    sys::ShortMessage request{abi::MessageInfo::make(0, 0, 0, 3), 0, {}};
    check(sys::send(served.address(), request) == abi::Error::NoDonation, "no time of its own");
    sys::call(served.address(), request);
    check(request.info.label() == 4 && request.words[0] == 0x66, "a passive server's answer");
}

/// The other threads fault, run out of budget and call: each message tells its sender by the badge.
void check_threads() {
    unsigned seen = 0;
    sys::ShortMessage message{};
    sys::recv(endpoint.address(), reply.address(), message);
    for (;;) {
        const uint64_t label = message.info.label();
        if (message.badge == 0x77) {
            check(label == static_cast<uint64_t>(abi::FaultLabel::VMFault), "fault of the faulty thread");
            check(message.words[abi::VMFault::addr] == 0x70'0000, "address of the fault");
            seen |= 1;
        } else if (message.badge == 0x88) {
            check(label == static_cast<uint64_t>(abi::FaultLabel::Timeout), "fault of the spinning thread");
            check(message.words[abi::Timeout::data] == 0x55, "data of the timeout");
            seen |= 2;
        } else if (message.badge == 0x99) {
            check(label == 42, "message of the calling thread");
            seen |= 4;
        } else {
            check(false, "badge of a message");
        }
        if (seen == 7) return;
        sys::recv(endpoint.address(), reply.address(), message);
    }
}

}  // namespace

// The entries of the threads, which start.S below puts at the description's addresses.
extern "C" [[noreturn]] void probe(uint64_t first, uint64_t second, uint64_t stack) {
    caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(buffer_address);
    check_start(first, second, stack);
    check_memory();
    check_rights();
    check_access();
    check_software_interrupts();
    check_passive_server();
    check_domains();
    check_derivation();
    check_threads();
    check_authority();
    print(failures == 0 ? "caprock: exit 0\n" : "caprock: exit 1\n");
    for (;;) sys::yield();
}

extern "C" [[noreturn]] void caller() {
    sys::ShortMessage message{abi::MessageInfo::make(0, 0, 0, 42), 0, {}};
    sys::call(1, message);
    for (;;) sys::yield();
}

// Answers with the label plus one and the badge; the first that it answers is the loader.
extern "C" [[noreturn]] void server() {
    sys::ShortMessage request{};
    sys::recv(1, 2, request, donation);
    for (;;) {
        const uint64_t label = request.info.label() + 1;
        request = {abi::MessageInfo::make(1, 0, 0, label), 0, {request.badge}};
        sys::reply_recv(1, 2, request, donation);
    }
}

extern "C" [[noreturn]] void elsewhere() {
    *reinterpret_cast<volatile uint64_t*>(trace_address) = 1;
    for (;;) sys::yield();
}

asm(R"(
        .section .text.start, "ax"
        .global _start
_start: b       1f              // 0x400000: the probe
        b       caller          // 0x400004
        b       .               // 0x400008: spins
        movz    x0, #0x70, lsl #16
        ldr     x0, [x0]        // 0x40000c: faults
        b       elsewhere       // 0x400014
        b       server          // 0x400018
1:      adrp    x2, thread_block
        add     x2, x2, :lo12:thread_block
        msr     tpidr_el0, x2
        mov     x2, sp
        b       probe
        .section .bss.thread_block, "aw", %nobits
        .balign 16
thread_block:
        .skip   64
)");
