// SPDX-License-Identifier: BSD-2-Clause
// Random operations of random threads, interrupts, faults, jumps of the clock and preemptions, with every invariant checked after each. A
// failure names the seed and the step: `unit-kernel '[fuzz]'` with CAPROCK_FUZZ_SEED and CAPROCK_FUZZ_STEPS set repeats it.
#include "world.hpp"

#include "caprock/decode.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <random>
#include <string>

using namespace caprock;
using namespace caprock::test;
using host::hardware;

namespace {

constexpr unsigned steps_a_world = 10'000;
constexpr Word pool_slots = 72;
constexpr Word child_bits = 3;

class Fuzz {
public:
    explicit Fuzz(uint64_t seed) : random_(seed) {
        world_.set_deep(false);
        memory_ = world_.make(ObjectType::Untyped, 18);
        pool_ = world_.fresh(pool_slots);
        world_.limit_slots(pool_ + pool_slots);
        give(World::cap(InitSlot::CNode));
        give(World::cap(InitSlot::VSpace));
        give(World::cap(InitSlot::ASIDPool));
        give(World::cap(InitSlot::ASIDControl));
        give(world_.sched_control());
        give(memory_);
        for (unsigned i = 0; i < 3; ++i) {
            create(ObjectType::Endpoint);
            create(ObjectType::Notification);
            create(ObjectType::Reply);
        }
        for (unsigned i = 0; i < 5; ++i) revive();
        world_.check();
    }

    void step(unsigned number) {
        hardware.ticks_per_read = below(4) == 0 ? below(500) : 0;
        hardware.pending_at = below(4) == 0 ? 1 + static_cast<unsigned>(below(4)) : 0;
        if (below(8) == 0) hardware.time += below(3) == 0 ? below(2'000'000) : below(20'000);
        if (world_.current() == world_.root().object)
            root_step();
        else if (world_.current() == nullptr)
            idle_step();
        else
            thread_step();
        if (number % 16 == 0) world_.check();
    }

private:
    struct Call {
        Word cap;
        Method method;
        std::vector<Word> words;
        std::vector<Word> caps;
    };

    Word below(Word limit) { return std::uniform_int_distribution<Word>(0, limit - 1)(random_); }
    template <class T, std::size_t N>
    T one_of(const T (&choices)[N]) {
        return choices[below(N)];
    }

    Word any_slot() { return pool_ + below(pool_slots); }
    Word empty_slot() {
        Word address = any_slot();
        for (Word i = 0; i < pool_slots && !world_.slot(address).empty(); ++i) address = pool_ + (address - pool_ + 1) % pool_slots;
        return address;
    }
    // A slot of the pool with a capability of this type; any, if there is none.
    Word slot_of(CapType type) {
        Word address = any_slot();
        for (Word i = 0; i < pool_slots; ++i) {
            Word candidate = pool_ + (address - pool_ + i) % pool_slots;
            if (world_.slot(candidate).cap.is(type)) return candidate;
        }
        return address;
    }
    Word likely(CapType type) { return below(10) == 0 ? any_slot() : slot_of(type); }
    Word any_address() { return below(12) == 0 ? random_() : any_slot(); }

    // A copy in the pool of what the root task has.
    void give(Word source) {
        world_.invoke(World::cap(InitSlot::CNode), Method::CNodeMove,
                      {empty_slot(), 64, source == memory_ ? memory_ : world_.copy(source), 64}, {World::cap(InitSlot::CNode)});
    }

    void create(ObjectType type) {
        Word bits = type == ObjectType::CNode ? child_bits : type == ObjectType::SchedContext ? 7 + below(2) : 4 + below(12);
        Word slot = empty_slot();
        Word untyped = slot_of(CapType::Untyped);
        if (!world_.slot(untyped).cap.is(CapType::Untyped)) return;
        Answer made = world_.retype(untyped, type, bits, slot);
        if (made != success()) return;
        if (type == ObjectType::SmallPage) require_zero(world_.slot(slot).cap.object());
    }

    static void require_zero(KernAddr frame) {
        for (Word i = 0; i < page_size / sizeof(Word); ++i) {
            if (arch::pointer<Word>(frame)[i] != 0) throw Broken("a new frame shows what was there before");
        }
    }

    // Makes a thread of what is in the pool, and lets it run.
    void revive() {
        create(ObjectType::TCB);
        create(ObjectType::SchedContext);
        Word tcb = slot_of(CapType::TCB);
        Word context = slot_of(CapType::SchedContext);
        Word cnode = World::cap(InitSlot::CNode);
        root_invoke({tcb, Method::TCBSetSpace, {0, 0}, {slot_of(CapType::Endpoint), cnode, World::cap(InitSlot::VSpace)}});
        root_invoke({tcb, Method::TCBSetPriority, {1 + below(6)}, {World::cap(InitSlot::TCB)}});
        if (below(2) == 0) {
            create(ObjectType::SmallPage);
            root_invoke({tcb, Method::TCBSetIPCBuffer, {0x1000'0000}, {slot_of(CapType::Frame)}});
        }
        if (below(3) == 0) root_invoke({tcb, Method::TCBSetTimeoutEndpoint, {}, {slot_of(CapType::Endpoint)}});
        configure(context);
        root_invoke({context, Method::SchedContextBind, {}, {tcb}});
        root_invoke({tcb, Method::TCBResume, {}, {}});
    }

    void configure(Word context) {
        Word period = 10 + below(20'000);
        Word budget = below(3) == 0 ? period : 10 + below(period);
        root_invoke(
            {world_.sched_control(), Method::SchedControlConfigureFlags, {budget, period, below(3), below(100), below(2)}, {context}});
    }

    // -- What happens

    void idle_step() {
        if (below(3) == 0) return world_.take_over();
        if (hardware.deadline < hardware.time + 100'000'000) hardware.time = std::max(hardware.time, hardware.deadline);
        world_.timer();
    }

    void root_step() {
        switch (below(8)) {
            case 0:
                return revive();
            case 1:
                return create(static_cast<ObjectType>(below(12)));
            case 2:
                return get_irq();
            case 3:
                return world_.let_go();
            default:
                break;
        }
        root_invoke(any_call());
        if (below(2) == 0) world_.let_go();
    }

    // The root task has no fault handler, and must not block: it names only what there is, and what answers at once.
    void root_invoke(const Call& call) {
        if (call.cap >= Word{1} << World::cnode_bits || world_.slot(call.cap).empty()) return;
        const Cap& cap = world_.slot(call.cap).cap;
        if (cap.is(CapType::Endpoint) || cap.is(CapType::Notification) || cap.is(CapType::Reply)) return;
        world_.invoke(call.cap, call.method, call.words, call.caps);
    }

    void get_irq() {
        world_.invoke(World::cap(InitSlot::IRQControl), Method::IRQControlGet, {41 + below(4), below(2), empty_slot(), 64},
                      {World::cap(InitSlot::CNode)});
    }

    void thread_step() {
        switch (below(24)) {
            case 0:
                return world_.take_over();
            case 1:
                return world_.timer();
            case 2:
                return world_.interrupt(40 + below(6));
            case 3:
                return world_.vm_fault(random_(), random_(), below(2) == 0);
            case 4:
                return world_.user_exception(random_());
            case 5:
                return world_.fpu_trap();
            case 6:
                hardware.time = std::max(hardware.time, std::min(hardware.deadline, hardware.time + 1'000'000));
                return world_.timer();
            case 7:
                return unknown_syscall();
            case 8:
                return invoke();
            case 9:
            case 10:
            case 11:
                return world_.execute();  // with whatever is in the registers: an interrupted system call goes on
            default:
                return communicate();
        }
    }

    void unknown_syscall() {
        world_.prepare(static_cast<Syscall>(12 + below(100)), any_address());
        world_.execute();
    }

    void invoke() {
        Call call = any_call();
        Syscall number = below(8) == 0 ? Syscall::NBSendRecv : below(8) == 0 ? Syscall::NBSend : Syscall::Call;
        Message message{static_cast<Word>(call.method), call.words, call.caps};
        if (number == Syscall::NBSendRecv)
            world_.prepare(number, slot_of(CapType::Endpoint), message, slot_of(CapType::Reply), call.cap);
        else
            world_.prepare(number, call.cap, message);
        world_.execute();
    }

    void communicate() {
        static constexpr Syscall calls[] = {Syscall::Call,      Syscall::Call,       Syscall::Call,       Syscall::ReplyRecv,
                                            Syscall::ReplyRecv, Syscall::ReplyRecv,  Syscall::Send,       Syscall::NBSend,
                                            Syscall::Recv,      Syscall::Recv,       Syscall::NBRecv,     Syscall::Wait,
                                            Syscall::NBWait,    Syscall::NBSendRecv, Syscall::NBSendWait, Syscall::Yield};
        static constexpr CapType targets[] = {CapType::Endpoint, CapType::Endpoint, CapType::Endpoint, CapType::Notification,
                                              CapType::Reply};
        Message message{.label = below(4), .words = std::vector<Word>(one_of({0u, 1u, 3u, 12u, 13u, 20u}), below(1000)), .caps = {}};
        for (Word i = below(3); i > 0; --i) message.caps.push_back(any_address());
        Word flags = below(3) == 0 ? abi::syscall_flag_require_donation : 0;
        point_receive_slot();
        world_.prepare(one_of(calls), likely(one_of(targets)), message, likely(CapType::Reply), likely(one_of(targets)), flags);
        world_.execute();
    }

    void point_receive_slot() {
        const Cap& cap = world_.current()->cap(TcbSlot::Buffer);
        if (!cap.is(CapType::Frame) || as<FrameCap>(cap).is_device()) return;
        Word offset = world_.current()->buffer.raw & (as<FrameCap>(cap).size_bits().bytes() - 1);
        abi::IPCBuffer& buffer = *arch::pointer<abi::IPCBuffer>(cap.object() + offset);
        buffer.receive_cnode = slot_of(CapType::CNode);
        buffer.receive_index = any_slot();
        buffer.receive_depth = 64;
    }

    // -- Invocations

    // Index and depth of a slot under a CNode of the pool: the root's, or a small one.
    struct Place {
        Word cnode;
        Word index;
        Word depth;
    };
    Place place() {
        Word cnode = likely(CapType::CNode);
        const Cap& cap = world_.slot(cnode).cap;
        if (cap.is(CapType::CNode) && as<CNodeCap>(cap).radix() == child_bits) return {cnode, below(1 << child_bits), child_bits};
        return {cnode, any_slot(), 64};
    }

    Call any_call() {
        switch (below(20)) {
            case 0:
            case 1:
                return retype();
            case 2:
            case 3:
            case 4:
                return copy(Method::CNodeCopy);
            case 5:
            case 6:
                return copy(Method::CNodeMint);
            case 7:
            case 8:
                return copy(one_of({Method::CNodeMove, Method::CNodeMutate}));
            case 9:
            case 10:
                return remove(Method::CNodeDelete);
            case 11:
                return remove(Method::CNodeRevoke);
            case 12:
            case 13:
                return thread_call();
            case 14:
                return context_call();
            case 15:
            case 16:
                return map_call();
            case 17:
                return irq_call();
            default:
                return wild_call();
        }
    }

    Call retype() {
        Place to = place();
        Word type = below(12);
        Word bits = type == static_cast<Word>(ObjectType::CNode) ? child_bits : 4 + below(14);
        Word depth = below(2) == 0 ? 0 : to.depth;
        Word index = depth == 0 ? 0 : to.index;
        Word offset = depth == 0 ? to.index : 0;
        return {likely(CapType::Untyped), Method::UntypedRetype, {type, bits, index, depth, offset, 1 + below(3)}, {to.cnode}};
    }

    Call copy(Method method) {
        Place to = place();
        Place from = place();
        std::vector<Word> words{to.index, to.depth, from.index, from.depth};
        if (method == Method::CNodeCopy) words.push_back(below(16));
        if (method == Method::CNodeMint) words.insert(words.end(), {below(16), below(100)});
        if (method == Method::CNodeMutate) words.push_back(0);
        return {to.cnode, method, words, {from.cnode}};
    }

    Call remove(Method method) {
        Place at = place();
        return {at.cnode, method, {at.index, at.depth}, {}};
    }

    Call thread_call() {
        Word tcb = likely(CapType::TCB);
        Word cnode = likely(CapType::CNode);
        Word vspace = likely(CapType::VSpace);
        Word frame = below(3) == 0 ? any_slot() : slot_of(CapType::Frame);
        Word endpoint = likely(CapType::Endpoint);
        switch (below(12)) {
            case 0:
                return {tcb, Method::TCBSuspend, {}, {}};
            case 1:
                return {tcb, Method::TCBResume, {}, {}};
            case 2:
                return {tcb, Method::TCBSetPriority, {1 + below(8)}, {likely(CapType::TCB)}};
            case 3:
                return {tcb, Method::TCBConfigure, {0, 0, below(2) * 0x1000'0000}, {cnode, vspace, frame}};
            case 4:
                return {tcb, Method::TCBSetSpace, {0, 0}, {endpoint, cnode, vspace}};
            case 5:
                return {tcb, Method::TCBSetIPCBuffer, {below(2) * 0x1000'0400}, {frame}};
            case 6:
                return {tcb, Method::TCBBindNotification, {}, {likely(CapType::Notification)}};
            case 7:
                return {tcb, Method::TCBUnbindNotification, {}, {}};
            case 8:
                return {tcb, Method::TCBSetSchedParams, {below(8), below(8)}, {tcb, likely(CapType::SchedContext), endpoint}};
            case 9:
                return {tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint}};
            case 10:
                return {tcb, Method::TCBReadRegisters, {below(2), 1 + below(36)}, {}};
            default:
                return {tcb, Method::TCBWriteRegisters, {below(2), below(6), random_(), random_(), random_(), random_()}, {}};
        }
    }

    Call context_call() {
        Word context = likely(CapType::SchedContext);
        Word target = below(2) == 0 ? likely(CapType::TCB) : likely(CapType::Notification);
        Word period = 10 + below(20'000);
        switch (below(6)) {
            case 0:
                return {context, Method::SchedContextBind, {}, {target}};
            case 1:
                return {context, Method::SchedContextUnbind, {}, {}};
            case 2:
                return {context, Method::SchedContextUnbindObject, {}, {target}};
            case 3:
                return {context, Method::SchedContextConsumed, {}, {}};
            default:
                return {likely(CapType::SchedControl),
                        Method::SchedControlConfigureFlags,
                        {below(3) == 0 ? period : 10 + below(period), period, below(4), below(10), below(2)},
                        {context}};
        }
    }

    Call map_call() {
        static constexpr Word addresses[] = {0x1000'0000, 0x1000'1000, 0x4000'0000, 0x80'0000'0000};
        Word frame = likely(CapType::Frame);
        Word table = likely(CapType::PageTable);
        Word vspace = likely(CapType::VSpace);
        Word address = one_of(addresses);
        Place to = place();
        switch (below(9)) {
            case 0:
            case 1:
                return {frame, Method::FrameMap, {address, below(4), below(8)}, {vspace}};
            case 2:
                return {frame, Method::FrameUnmap, {}, {}};
            case 3:
            case 4:
            case 5:
                return {table, Method::PageTableMap, {address, 0}, {vspace}};
            case 6:
                return {table, Method::PageTableUnmap, {}, {}};
            case 7:
                return {likely(CapType::ASIDPool), Method::ASIDPoolAssign, {}, {vspace}};
            default:
                return {
                    likely(CapType::ASIDControl), Method::ASIDControlMakePool, {to.index, to.depth}, {likely(CapType::Untyped), to.cnode}};
        }
    }

    Call irq_call() {
        Word handler = likely(CapType::IRQHandler);
        switch (below(3)) {
            case 0:
                return {handler, Method::IRQHandlerAck, {}, {}};
            case 1:
                return {handler, Method::IRQHandlerSetNotification, {}, {likely(CapType::Notification)}};
            default:
                return {handler, Method::IRQHandlerClear, {}, {}};
        }
    }

    Call wild_call() {
        Call call{any_address(), static_cast<Method>(below(abi::method_count + 2)), {}, {}};
        for (Word i = below(8); i > 0; --i) call.words.push_back(below(2) == 0 ? any_address() : below(70));
        for (Word i = below(4); i > 0; --i) call.caps.push_back(any_slot());
        return call;
    }

    World world_;
    std::mt19937_64 random_;
    Word memory_ = 0;
    Word pool_ = 0;
};

uint64_t setting(const char* name, uint64_t otherwise) {
    const char* value = std::getenv(name);
    return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

}  // namespace

TEST_CASE("random operations keep every invariant", "[fuzz]") {
    uint64_t seed = setting("CAPROCK_FUZZ_SEED", 1);
    uint64_t steps = setting("CAPROCK_FUZZ_STEPS", 150'000);
    for (uint64_t done = 0; done < steps; done += steps_a_world, ++seed) {
        Fuzz fuzz(seed);
        unsigned step = 0;
        try {
            for (; step < steps_a_world && done + step < steps; ++step) {
                hardware.effects.clear();
                fuzz.step(step);
            }
        } catch (const std::exception& problem) {
            FAIL("seed " << seed << ", step " << step << ": " << problem.what());
        }
    }
    SUCCEED();
}
