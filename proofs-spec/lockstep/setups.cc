// SPDX-License-Identifier: BSD-2-Clause
// What the supervisor sets up for the component beside what tests/fuzz has: weak capabilities, servers without time of their own, objects that only the
// kernel still holds.
#include "driver.hpp"

namespace caprock::lockstep {

using abi::InitSlot;
using abi::Method;
using test::World;

namespace {

constexpr unsigned most_steps = 60;      // until the threads wait that should

}  // namespace

// An untyped that the component is not made of.
Word Driver::other_memory() const {
    constexpr unsigned least_bits = 23;
    for (Word slot = world_.root_info().untyped.start; slot < world_.root_info().untyped.end; ++slot) {
        const auto& untyped = as<UntypedCap>(world_.slot(slot).cap);
        if (slot != world_.memory() && !untyped.is_device() && untyped.size_bits().raw >= least_bits) return slot;
    }
    throw std::runtime_error("the machine has one large untyped only");
}

// A frame of a device, one that is larger than what is maintained in one piece, and memory of a device.
void Driver::give_frames() {
    using abi::ObjectType;
    constexpr Word device_bits = 14;
    auto give = [&](Word untyped, ObjectType type, Word bits, Word slot, Word target) {
        constexpr Word cnode = static_cast<Word>(InitSlot::CNode);
        call({untyped, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, slot, 1}, {cnode}});
        call({universe_->space(), Method::CNodeCopy, {target, fuzz::space_bits, slot, World::full_depth, 15}, {cnode}});
    };
    Word device = world_.root_info().untyped.end - 1;
    give(device, ObjectType::SmallPage, 0, extra_, fuzz::shelf_slot(CapType::Frame, fuzz::given(CapType::Frame)));
    give(own_memory_, ObjectType::LargePage, 0, extra_ + 1, fuzz::shelf_slot(CapType::Frame, fuzz::given(CapType::Frame) + 1));
    give(device, ObjectType::Untyped, device_bits, extra_ + 4, fuzz::shelf_slot(CapType::Untyped, fuzz::given(CapType::Untyped)));
}

// Endpoints and notifications that let messages through, but not all that goes with them, or only one way.
void Driver::give_weak_ones() {
    constexpr Word rights[] = {1, 2, 3, 6, 7, 10, 11, 13};
    Word space = universe_->space();
    for (CapType type : {CapType::Endpoint, CapType::Notification}) {
        for (unsigned i = fuzz::given(type); i < fuzz::shelf_size(type); ++i) {
            Word target = fuzz::shelf_slot(type, i);
            Word source = fuzz::shelf_slot(type, choices_.below(fuzz::fuzz_endpoints));
            call({space, Method::CNodeMint, {target, fuzz::space_bits, source, fuzz::space_bits, choices_.one_of(rights), choices_.below(3)}, {space}});
        }
    }
}

// Threads of the component do what is planned for them: as far as they run.
void Driver::carry_out_plans() {
    for (unsigned i = 0; i < fuzz::fuzz_threads; ++i) {
        Word thread = universe_->thread(i);
        if (plans_.contains(&world_.object<Tcb>(thread))) call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    }
    let_go();
    for (unsigned i = 0; i < most_steps && !plans_.empty() && world_.current() != nullptr && world_.current() != world_.root().object; ++i) {
        operate(*world_.current());
    }
    plans_.clear();
}

// All threads of the component wait for an object.
void Driver::let_wait(Word target) {
    for (unsigned i = 0; i < fuzz::fuzz_threads; ++i) plans_[&world_.object<Tcb>(universe_->thread(i))] = {.target = target};
    carry_out_plans();
}

// Endpoint capabilities of the component to receive through: some let no capabilities through in the answer.
std::optional<Word> Driver::receiving_end() {
    std::vector<Word> found;
    bool weak = choices_.one_in(3);
    for (Word slot = 0; slot < space_slots; ++slot) {
        const Cap& cap = component_slots()[slot].cap;
        if (!cap.is(CapType::Endpoint) || !as<EndpointCap>(cap).can_receive()) continue;
        if (!weak || !as<EndpointCap>(cap).can_grant()) found.push_back(slot);
    }
    if (found.empty()) return std::nullopt;
    return found[choices_.below(found.size())];
}

// Some threads wait for calls, and have no time of their own then: calls among them go on on what the first caller had.
void Driver::make_servers() {
    unsigned count = 1 + static_cast<unsigned>(choices_.below(3));
    unsigned first = static_cast<unsigned>(choices_.below(fuzz::fuzz_threads));
    auto server = [&](unsigned i) { return universe_->thread((first + i) % fuzz::fuzz_threads); };
    bool important = choices_.one_in(2);
    for (unsigned i = 0; i < count; ++i) {
        std::optional<Word> endpoint = receiving_end();
        if (!endpoint) return;
        plans_[&world_.object<Tcb>(server(i))] = {.target = *endpoint, .reply = fuzz::shelf_slot(CapType::Reply, i)};
        if (important) call({server(i), Method::TCBSetPriority, {fuzz::thread_max_priority / 2}, {static_cast<Word>(InitSlot::TCB)}});
    }
    carry_out_plans();
    if (!take_over()) return;
    for (unsigned i = 0; i < count; ++i) {
        const Tcb& thread = world_.object<Tcb>(server(i));
        if (thread.state == ThreadState::BlockedOnReceive && thread.sched_context != nullptr) take_time(*thread.sched_context);
        if (choices_.one_in(3)) call({static_cast<Word>(InitSlot::Domain), Method::DomainSet, {1}, {server(i)}});
    }
}

// Unbinds a context, if the component has a capability to it.
void Driver::take_time(const SchedContext& context) {
    use_copy([&](const SchedContext& one) { return &one == &context; }, [&](Word copy) { call({copy, Method::SchedContextUnbind, {}, {}}); });
}

// A thread gets a context that nobody has.
void Driver::give_time(Word thread) {
    auto is_free = [](const SchedContext& one) { return one.tcb == nullptr && one.notification == nullptr && one.configured(); };
    use_copy(is_free, [&](Word copy) { call({copy, Method::SchedContextBind, {}, {thread}}); });
}

// Uses a copy of a capability to a context that the component has, without taking that away.
void Driver::use_copy(const std::function<bool(const SchedContext&)>& fits, const std::function<void(Word)>& use) {
    Word cnode = static_cast<Word>(InitSlot::CNode);
    Word copy = extra_ + 2;
    for (Word slot = 0; slot < space_slots; ++slot) {
        const Cap& cap = component_slots()[slot].cap;
        if (!cap.is(CapType::SchedContext) || !fits(cap.as_object<SchedContext>())) continue;
        call({cnode, Method::CNodeCopy, {copy, World::full_depth, slot, fuzz::space_bits, 15}, {universe_->space()}});
        use(copy);
        call({cnode, Method::CNodeDelete, {copy, World::full_depth}, {}});
        return;
    }
}

// Sets up a thread's spaces anew; `guard` begins the addresses of its CSpace.
void Driver::settle(unsigned i, Word guard) {
    Word cnode = static_cast<Word>(InitSlot::CNode);
    Word data = abi::CNodeCapData::make(World::full_depth - fuzz::space_bits, guard).raw;
    call({cnode, Method::CNodeMint, {extra_ + 2, World::full_depth, universe_->space(), World::full_depth, 15, data}, {cnode}});
    call({universe_->thread(i), Method::TCBConfigure, {0, 0, universe_->buffer_of(i)},
          {extra_ + 2, universe_->vspace(universe_->space_of(i)), universe_->buffer(i)}});
    call({cnode, Method::CNodeDelete, {extra_ + 2, World::full_depth}, {}});
}

// Threads go on, whatever stopped them, but most of those that wait for somebody: servers are to stay servers. One that has lost its CSpace can do little.
void Driver::wake() {
    bool any = false;
    for (unsigned i = 0; i < fuzz::fuzz_threads; ++i) {
        const Tcb& thread = world_.object<Tcb>(universe_->thread(i));
        if (!leads_to(thread, component_slots()) && choices_.one_in(2)) settle(i, choices_.one_in(3) ? choices_.below(4) : 0);
        bool waits = thread.state == ThreadState::BlockedOnReceive || thread.state == ThreadState::BlockedOnNotification;
        bool needs_time = thread.sched_context == nullptr && !thread.blocked_on_ipc();
        if (!waits && thread.domain != world_.core().domain && choices_.one_in(4)) {
            call({static_cast<Word>(InitSlot::Domain), Method::DomainSet, {world_.core().domain.raw}, {universe_->thread(i)}});
        }
        if (needs_time && choices_.one_in(2)) give_time(universe_->thread(i));
        bool left_alone = thread.sched_context == nullptr ? !choices_.one_in(8) : waits ? !choices_.one_in(4) : choices_.one_in(4);
        if (left_alone) continue;
        call({universe_->thread(i), Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
        any = any || thread.sched_context != nullptr;
    }
    if (!any) universe_->repair(choices_, generator_);
}

// Handlers of what has no line at the interrupt controller.
void Driver::give_signals() {
    Word control = static_cast<Word>(InitSlot::IRQControl);
    if (!world_.slot(control).cap.is(CapType::IRQControl)) return;
    constexpr Word first_signal = 2;
    Word irq = choices_.one_in(3) ? Word{abi::irq_serror} : first_signal + choices_.below(14);
    Word slot = fuzz::shelf_slot(CapType::IRQHandler, fuzz::given(CapType::IRQHandler) + choices_.below(2));
    if (choices_.one_in(2)) call({universe_->space(), Method::CNodeDelete, {slot, fuzz::space_bits}, {}});
    call({control, Method::IRQControlGet, {irq, choices_.below(2), slot, fuzz::space_bits}, {universe_->space()}});
    // The last line of all, for a slot that is taken.
    call({control, Method::IRQControlGet, {arch::irq_count() - 1u, 0, control_handler_, World::full_depth}, {static_cast<Word>(InitSlot::CNode)}});
}

// An object that only a slot of the kernel's own still holds, with threads that wait for it: what takes its place there has several steps to do.
void Driver::make_last_holder() {
    using abi::ObjectType;
    constexpr Word cnode = static_cast<Word>(InitSlot::CNode);
    bool endpoint = choices_.one_in(2);
    CapType type = endpoint ? CapType::Endpoint : CapType::Notification;
    Word object = extra_ + 2;
    Word handler = extra_ + 3;
    Word space = universe_->space();
    Word shown = fuzz::shelf_slot(type, fuzz::shelf_size(type) - 1);
    call({space, Method::CNodeDelete, {shown, fuzz::space_bits}, {}});
    Word kind = static_cast<Word>(endpoint ? ObjectType::Endpoint : ObjectType::Notification);
    call({own_memory_, Method::UntypedRetype, {kind, 0, 0, 0, object, 1}, {cnode}});
    call({space, Method::CNodeCopy, {shown, fuzz::space_bits, object, World::full_depth, 15}, {cnode}});
    let_wait(shown);
    Word line = fuzz::shelf_slot(CapType::IRQHandler, choices_.below(fuzz::fuzz_lines));
    call({cnode, Method::CNodeCopy, {handler, World::full_depth, line, fuzz::space_bits, 15}, {space}});
    bool has_handler = world_.slot(handler).cap.is(CapType::IRQHandler);
    Word thread = universe_->thread(static_cast<unsigned>(choices_.below(fuzz::fuzz_threads)));
    Word tcb = static_cast<Word>(InitSlot::TCB);
    bool of_faults = choices_.one_in(2);
    auto set_handler = [&](Word handler_endpoint) {
        if (of_faults) call({thread, Method::TCBSetSchedParams, {fuzz::thread_max_priority, 1}, {tcb, 0, handler_endpoint}});
        else call({thread, Method::TCBSetTimeoutEndpoint, {}, {handler_endpoint}});
    };
    if (endpoint) set_handler(object);
    else if (has_handler) call({handler, Method::IRQHandlerSetNotification, {}, {object}});
    call({space, Method::CNodeDelete, {shown, fuzz::space_bits}, {}});
    call({cnode, Method::CNodeDelete, {object, World::full_depth}, {}});
    Word other = control_;
    if (endpoint) set_handler(0);
    if (has_handler && choices_.one_in(2)) call({handler, Method::IRQHandlerSetNotification, {}, {other}});
    if (has_handler) call({handler, Method::IRQHandlerClear, {}, {}});
    call({cnode, Method::CNodeDelete, {handler, World::full_depth}, {}});
    let_go();
}

// What only the supervisor holds can be called by it only: with too few words, or its own address space.
void Driver::truncate() {
    Word control = static_cast<Word>(InitSlot::IRQControl);
    if (!world_.slot(control).cap.is(CapType::IRQControl)) return;
    call({control, choices_.one_in(2) ? Method::IRQControlGet : Method::IRQControlIssueSGISignal, {first_line}, {}});
    call({static_cast<Word>(InitSlot::VSpace), Method::VSpaceCleanData, {fuzz::buffer_address, fuzz::buffer_address + page_size}, {}});
}

}  // namespace caprock::lockstep
