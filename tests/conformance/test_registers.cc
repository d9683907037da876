// SPDX-License-Identifier: BSD-2-Clause
// What threads keep across preemption and system calls, and which registers of the machine they see.
#include "tests/conformance/component/probes.hpp"
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

// Runs one instruction in a thread; true if it faulted as an exception.
template <class Body>
bool traps(Body body) {
    const FaultHandler handler;
    const Thread& thread = spawn(body, {.fault_endpoint = handler.endpoint()});
    if (thread.done()) return false;
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::UserException);
    return true;
}

alignas(64) uint64_t line[64];

}  // namespace

#define READS(name) [] { uint64_t value; asm volatile("mrs %0, " name : "=r"(value)); }
#define WRITES(name) [] { asm volatile("msr " name ", xzr"); }

TEST(visible, "counters, identification of caches and cache maintenance are open to threads") {
    CHECK(!traps(READS("cntvct_el0")));
    CHECK(!traps(READS("cntpct_el0")));
    CHECK(!traps(READS("cntfrq_el0")));
    CHECK(!traps(READS("ctr_el0")));
    CHECK(!traps(READS("dczid_el0")));
    CHECK(!traps(READS("tpidrro_el0")));
    CHECK(!traps([] { asm volatile("dc cvac, %0" : : "r"(line) : "memory"); }));
    CHECK(!traps([] { asm volatile("dc cvau, %0" : : "r"(line) : "memory"); }));
    CHECK(!traps([] { asm volatile("dc civac, %0" : : "r"(line) : "memory"); }));
    CHECK(!traps([] { asm volatile("dc zva, %0" : : "r"(line) : "memory"); }));
    CHECK(!traps([] { asm volatile("ic ivau, %0" : : "r"(line) : "memory"); }));
    CHECK(!traps([] { asm volatile("sevl\n\twfe"); }));
}

TEST(timers, "timer registers trap") {
    CHECK(traps(READS("cntv_ctl_el0")));
    CHECK(traps(READS("cntv_cval_el0")));
    CHECK(traps(WRITES("cntv_tval_el0")));
    CHECK(traps(READS("cntp_ctl_el0")));
    CHECK(traps(WRITES("cntp_cval_el0")));
    CHECK(traps(READS("cntkctl_el1")));
}

TEST(monitors, "performance and debug monitors trap") {
    CHECK(traps(READS("pmcr_el0")));
    CHECK(traps(READS("pmccntr_el0")));
    CHECK(traps(WRITES("pmcntenset_el0")));
    CHECK(traps(READS("mdscr_el1")));
    CHECK(traps(WRITES("pmuserenr_el0")));
}

TEST(privileged, "registers and operations of the kernel trap") {
    CHECK(traps(READS("sctlr_el1")));
    CHECK(traps(WRITES("ttbr0_el1")));
    CHECK(traps(READS("midr_el1")));
    CHECK(traps(READS("tpidr_el1")));
    CHECK(traps(WRITES("tpidrro_el0")));
    CHECK(traps(READS("daif")));
    CHECK(traps([] { asm volatile("tlbi vmalle1"); }));
    CHECK(traps([] { asm volatile("at s1e0r, %0" : : "r"(line)); }));
    CHECK(traps([] { asm volatile("dc ivac, %0" : : "r"(line)); }));
    CHECK(traps([] { asm volatile("ic iallu"); }));
    CHECK(traps([] { asm volatile("eret"); }));
    CHECK(traps([] { asm volatile("wfi"); }));
}

TEST(general_registers, "general registers survive preemption by a thread that uses the same") {
    struct {
        uint64_t seed;
        uint64_t changed;
        void operator()() {
            for (unsigned i = 0; i < 20; ++i) changed += probe_general_registers(seed, 30'000);
        }
    } users[2] = {{0x1111'0000, 0}, {0x2222'0000, 0}};
    const Thread* threads[2];
    for (unsigned i = 0; i < 2; ++i)
        threads[i] = &spawn(users[i], {.priority = lower_priority, .vspace = i == 0 ? own_vspace : other_vspace(),
                                       .budget = 100, .period = 100});
    for (unsigned i = 0; i < 2; ++i) {
        threads[i]->join();
        CHECK_EQUAL(users[i].changed, 0);
    }
    // They did take turns.
    CHECK(CHECK_OK(threads[0]->context.consumed()) > 200);
}

TEST(thread_pointers, "both thread pointers are each thread's own") {
    struct {
        uint64_t read_only_pointer;
        uint64_t mismatches;
        void operator()() {
            uint64_t block;
            asm volatile("mrs %0, tpidr_el0" : "=r"(block));
            for (uint64_t i = 0; i < 5'000; ++i) {
                uint64_t written, read_only_read;
                asm volatile("msr tpidr_el0, %2\n\tmov x9, #50\n1:\tsubs x9, x9, #1\n\tb.ne 1b\n\tmrs %0, tpidr_el0\n\tmrs %1, tpidrro_el0"
                             : "=&r"(written), "=&r"(read_only_read)
                             : "r"(read_only_pointer + i)
                             : "x9", "cc", "memory");
                mismatches += written != read_only_pointer + i || read_only_read != read_only_pointer;
            }
            asm volatile("msr tpidr_el0, %0" : : "r"(block) : "memory");
        }
    } users[2] = {{0x1'0000'0000, 0}, {0x2'0000'0000, 0}};
    const Thread* threads[2];
    for (unsigned i = 0; i < 2; ++i) {
        threads[i] = &prepare(users[i], {.priority = lower_priority, .budget = 50, .period = 50});
        abi::UserContext context{};
        constexpr uint64_t words = sizeof context / sizeof(uint64_t);
        CHECK_OK(threads[i]->tcb.read_registers(0, words, context));
        context.tpidrro_el0 = users[i].read_only_pointer;
        CHECK_OK(threads[i]->tcb.write_registers(resume_target, words, context));
    }
    for (unsigned i = 0; i < 2; ++i) {
        threads[i]->join();
        CHECK_EQUAL(users[i].mismatches, 0);
    }
}

TEST(fault_registers, "a fault preserves every register") {
    const FaultHandler handler;
    uint64_t changed = 1;
    static const auto probe = [](uint64_t address) {
        uint64_t result;
        asm volatile("msr nzcv, %2\n\t"
                     "mov x9, #9\n\tmov x10, #10\n\tmov x17, #17\n\tmov x18, #18\n\tmov x0, #1000\n\tmov x7, #7\n\tmov x30, #30\n\t"
                     "ldr xzr, [%1]\n\t"
                     "mrs x1, nzcv\n\tlsr x1, x1, #28\n\t"
                     "add x0, x0, x9\n\tadd x0, x0, x10\n\tadd x0, x0, x17\n\tadd x0, x0, x18\n\tadd x0, x0, x7\n\tadd x0, x0, x30\n\t"
                     "add %0, x0, x1"
                     : "=&r"(result)
                     : "r"(address), "r"(uint64_t{0xa000'0000})
                     : "x0", "x1", "x7", "x9", "x10", "x17", "x18", "x30", "cc", "memory");
        return result;
    };
    auto faulting = [&] { changed = probe(small_window) - (1000 + 9 + 10 + 17 + 18 + 7 + 30 + 10); };
    const Thread& thread = spawn(faulting, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::VMFault);
    CHECK_OK(create<Frame>().map(small_window, read_write, cached, own_vspace));
    handler.reply();
    CHECK(thread.done());
    CHECK_EQUAL(changed, 0);
}

TEST(pmu_access, "the performance monitor is open to a thread to which SetThreadAccess gave it, and to no other") {
    constexpr abi::ThreadFlags none{0};
    constexpr abi::ThreadFlags pmu = abi::ThreadFlags::make(0, 1, 0);
    const FaultHandler handler;
    unsigned step = 0;
    const Cap<Notification> go = create<Notification>();
    auto reading = [&] {
        uint64_t value;
        for (;;) {
            asm volatile("mrs %0, pmccntr_el0" : "=r"(value));
            ++step;
            sys::ShortMessage message;
            sys::wait(go.address(), message);
        }
    };
    const Thread& thread = prepare(reading, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(CHECK_OK(sched_control.set_thread_access(none, pmu, thread.tcb)).raw, pmu.raw);
    thread.resume();
    CHECK_EQUAL(step, 1);
    CHECK(traps(READS("pmccntr_el0")));
    sys::signal(go.address());
    CHECK_EQUAL(step, 2);
    // Anyone who holds the thread can take the access away, and only the control capability gives it.
    CHECK_EQUAL(CHECK_OK(thread.tcb.set_flags(pmu, none)).raw, 0);
    CHECK_ERROR(thread.tcb.set_flags(none, pmu), IllegalOperation);
    sys::signal(go.address());
    CHECK_EQUAL(step, 2);
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::UserException);
}

TEST(physical_timer_access, "the physical timer is open to a thread to which SetThreadAccess gave it, until it is taken away") {
    constexpr abi::ThreadFlags none{0};
    constexpr abi::ThreadFlags timer = abi::ThreadFlags::make(0, 0, 1);
    CHECK(traps(READS("cntp_ctl_el0")));
    CHECK_EQUAL(CHECK_OK(sched_control.set_thread_access(none, timer, own_tcb)).raw, timer.raw);
    uint64_t value;
    asm volatile("msr cntp_cval_el0, %1\n\tmrs %0, cntp_cval_el0" : "=r"(value) : "r"(uint64_t{0x1234'5678}));
    CHECK_EQUAL(value, 0x1234'5678);
    // The flag is this thread's, and the virtual timer is the kernel's for ever.
    CHECK(traps(READS("cntp_cval_el0")));
    CHECK(traps(READS("cntv_cval_el0")));
    CHECK_EQUAL(CHECK_OK(sched_control.set_thread_access(timer, none, own_tcb)).raw, 0);
    const FaultHandler handler;
    auto reading = [] {
        uint64_t read;
        asm volatile("mrs %0, cntp_cval_el0" : "=r"(read));
    };
    const Thread& thread = prepare(reading, {.fault_endpoint = handler.endpoint()});
    CHECK_OK(sched_control.set_thread_access(none, timer, thread.tcb));
    CHECK_EQUAL(CHECK_OK(sched_control.set_thread_access(timer, none, thread.tcb)).raw, 0);
    thread.resume();
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::UserException);
}

TEST(access_flags, "SetThreadAccess clears first and sets then, and unnamed flags stay clear") {
    constexpr abi::ThreadFlags all{~uint64_t{0}};
    constexpr abi::ThreadFlags none{0};
    const Cap<TCB> tcb = create<TCB>();
    CHECK_EQUAL(CHECK_OK(sched_control.set_thread_access(all, all, tcb)).raw, 7);
    CHECK_EQUAL(CHECK_OK(sched_control.set_thread_access(abi::ThreadFlags{2}, none, tcb)).raw, 5);
    CHECK_EQUAL(CHECK_OK(tcb.set_flags(abi::ThreadFlags{4}, none)).raw, 1);
    CHECK_EQUAL(CHECK_OK(tcb.set_flags(all, none)).raw, 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(tcb)).flags.raw, 0);
}

#undef READS
#undef WRITES

}  // namespace caprock::conformance
