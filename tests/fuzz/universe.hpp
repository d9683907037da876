// SPDX-License-Identifier: BSD-2-Clause
// The component that is fuzzed, built by a supervisor with system calls out of one untyped: a CSpace with capabilities of every kind, threads,
// scheduling contexts, address spaces. The supervisor keeps the originals and gives copies, so that it can mend what the component breaks, and
// take everything back: then the untyped must be whole again. Host and target build the same.
//
// A Port is how the supervisor calls and what it has:
//     abi::Error call(const Request& request);      a system call to its own capabilities; NoError or why not
//     bool prepare_space(uint64_t vspace);          maps what a thread needs to run in an address space that has tables for the buffers
//     bool is_clear(uint64_t frame, unsigned i);    a new frame holds zeroes only; it is that of thread i's buffer
#pragma once

#include "generator.hpp"

namespace caprock::fuzz {

using abi::Error;
using abi::Method;
using abi::ObjectType;

inline constexpr unsigned fuzz_threads = 5;
inline constexpr unsigned server_thread = fuzz_threads - 1;   // it receives and answers, mostly
inline constexpr unsigned fuzz_spaces = 2;
inline constexpr unsigned fuzz_endpoints = 3;
inline constexpr unsigned fuzz_lines = 4;   // interrupts whose handlers the component gets
inline constexpr unsigned space_tables = 3;
/// Bytes of the untyped that a component is made of, and of those that it gets: log2.
inline constexpr unsigned universe_bits = 23;
inline constexpr unsigned large_gift_bits = 22;
inline constexpr unsigned small_gift_bits = 16;
/// Memory of an object that takes the place of another one.
inline constexpr unsigned renewal_bits = 11;
inline constexpr unsigned thread_max_priority = 100;
inline constexpr uint64_t full_depth = 64;

/// Words or capabilities of a call.
template <unsigned Most>
struct List {
    uint64_t items[Most] = {};
    unsigned count = 0;
    template <class... T>
    constexpr List(T... values) : items{static_cast<uint64_t>(values)...}, count(sizeof...(T)) {}
};
struct Request {
    uint64_t cap;
    Method method;
    List<8> words{};
    List<3> caps{};
};

/// What the supervisor has: slots of its own CNode.
struct Resources {
    uint64_t cnode = 0;
    uint64_t memory = 0;       // an untyped of at least 2^universe_bits bytes that nothing else uses
    uint64_t tcb = 0;          // of the supervisor: what gives priorities
    uint64_t asid_control = 0;
    uint64_t asid_pool = 0;
    uint64_t irq_control = 0;
    uint64_t domain = 0;
    uint64_t inspect = 0;
    uint64_t sched_control = 0;
    uint64_t first_slot = 0;   // from here on Universe::slots slots are empty
    uint64_t lines[fuzz_lines] = {};
};

/// Authority that the component can turn against its supervisor, so that it does not always get it.
struct Grants {
    bool irq_control = false;
    bool domain = false;
};

template <class Port>
class Universe {
public:
    static constexpr unsigned slots = 64;

    Universe(Port& port, const Resources& resources) : port_(port), at_(resources) {}

    /// Makes the component and lets its threads run. False when something that must succeed does not; `problem` says what.
    bool build(Choices& choices, Grants grants);
    /// Takes everything back, and looks whether the memory is whole. False if not.
    bool destroy();
    /// Gives the component again what it may have lost.
    void restock(Choices& choices);
    /// Lets some of its threads go on, whatever stopped them.
    void wake(Choices& choices);
    /// Gives the server a scheduling context of its own, or takes it away: who waits without one is passive, and lives on its callers' time.
    void give_time(bool gives);
    /// Lets the first endpoint hear of a thread's faults.
    void give_handler(unsigned i);
    /// Sets one of its threads up anew.
    void repair(Choices& choices, Generator& generator);
    /// The supervisor gives up an object that it has kept, and makes another one: if the component has a capability to it, that is the last now.
    void renew(Choices& choices, Generator& generator);
    /// The supervisor uses authority that the component does not hold on its behalf.
    void assist(Choices& choices, Generator& generator);

    const char* problem() const { return problem_; }
    uint64_t thread(unsigned i) const { return at(threads + i); }
    uint64_t buffer(unsigned i) const { return at(buffers + i); }
    uint64_t reply(unsigned i) const { return at(replies + i); }
    uint64_t context(unsigned i) const { return at(contexts + i); }
    uint64_t vspace(unsigned i) const { return at(spaces + i); }
    uint64_t space() const { return at(main_space); }
    /// The address of a thread's IPC buffer, and its address space.
    static constexpr uint64_t buffer_of(unsigned i) { return buffer_address + 0x10'0000 + i * page_bytes; }
    static constexpr unsigned space_of(unsigned i) { return i % fuzz_spaces; }
    static constexpr unsigned priority_of(unsigned i) { return i == server_thread ? 6 : 1 + i; }

private:
    // The originals, from first_slot on.
    enum Place : unsigned {
        universe,
        main_space,
        guarded_space,                // the same with the guard that makes its addresses whole words
        outer_space,                  // two slots, the first of which leads to the main space
        guarded_outer,
        children,                     // two small CNodes
        threads = children + 2,
        contexts = threads + fuzz_threads,
        buffers = contexts + fuzz_threads,
        spaces = buffers + fuzz_threads,
        tables = spaces + fuzz_spaces,
        endpoints = tables + fuzz_spaces * space_tables,
        notifications = endpoints + fuzz_endpoints,
        replies = notifications + fuzz_endpoints,
        large_gift = replies + fuzz_endpoints,
        small_gifts,
        scratch = small_gifts + 2,
        places,
    };
    static_assert(places <= slots);

    uint64_t at(unsigned place) const { return at_.first_slot + place; }
    bool fail(const char* what) {
        problem_ = what;
        return false;
    }
    bool must(const Request& request, const char* what) { return port_.call(request) == Error::NoError || fail(what); }
    // Where a failure is as good as success.
    void may(const Request& request) { static_cast<void>(port_.call(request)); }

    bool make(ObjectType type, unsigned bits, unsigned place, unsigned count, uint64_t untyped) {
        return must({untyped, Method::UntypedRetype, {static_cast<uint64_t>(type), bits, 0, 0, at(place), count}, {at_.cnode}}, "a retype failed");
    }
    bool make(ObjectType type, unsigned bits, unsigned place, unsigned count = 1) { return make(type, bits, place, count, at(universe)); }

    // A copy of one of the supervisor's capabilities in a slot of the component.
    Request gift(uint64_t source, uint64_t slot, uint64_t badge = 0) const {
        Method method = badge == 0 ? Method::CNodeCopy : Method::CNodeMint;
        return {at(guarded_space), method, {slot, space_depth, source, full_depth, 15, badge}, {at_.cnode}};
    }
    void add_pool();
    void add(ObjectType type, unsigned bits, CapType shelf, unsigned i);
    bool renew_object(ObjectType type, unsigned bits, unsigned place);
    void take_copies(Choices& choices, CapType type, unsigned i);
    bool make_objects();
    bool make_spaces();
    bool make_address_space(unsigned i);
    bool make_threads(Choices& choices);
    bool set_up_thread(unsigned i);
    void set_up_again(unsigned i);
    bool give_untypeds();
    void give(Choices& choices);
    void give_handlers();
    void make_handler(Method method, Generator& generator);
    void configure_context(unsigned i, uint64_t budget, uint64_t period, uint64_t flags);

    Port& port_;
    Resources at_;
    Grants grants_{};
    const char* problem_ = "";
};

// -- Building

template <class Port>
bool Universe<Port>::make_objects() {
    return make(ObjectType::Untyped, large_gift_bits, large_gift) && make(ObjectType::CNode, space_bits, main_space) &&
           make(ObjectType::CNode, 1, outer_space) && make(ObjectType::CNode, child_bits, children, 2) &&
           make(ObjectType::TCB, 0, threads, fuzz_threads) && make(ObjectType::SchedContext, 8, contexts, fuzz_threads) &&
           make(ObjectType::SmallPage, 0, buffers, fuzz_threads) && make(ObjectType::VSpace, 0, spaces, fuzz_spaces) &&
           make(ObjectType::PageTable, 0, tables, fuzz_spaces * space_tables) && make(ObjectType::Endpoint, 0, endpoints, fuzz_endpoints) &&
           make(ObjectType::Notification, 0, notifications, fuzz_endpoints) && make(ObjectType::Reply, 0, replies, fuzz_endpoints) &&
           make(ObjectType::Untyped, small_gift_bits, small_gifts, 2);
}

// The main space is reached directly and through a CNode before it: the addresses are the same.
template <class Port>
bool Universe<Port>::make_spaces() {
    constexpr uint64_t outer_bits = 1;
    uint64_t guard = abi::CNodeCapData::make(64 - space_bits, 0).raw;
    uint64_t outer_guard = abi::CNodeCapData::make(64 - space_bits - outer_bits, 0).raw;
    auto mint = [&](unsigned from, unsigned to, uint64_t data) {
        return Request{at_.cnode, Method::CNodeMint, {at(to), full_depth, at(from), full_depth, 15, data}, {at_.cnode}};
    };
    auto enter = [&](uint64_t slot, unsigned from) {
        return Request{at(outer_space), Method::CNodeCopy, {slot, outer_bits, at(from), full_depth, 15}, {at_.cnode}};
    };
    return must(mint(main_space, guarded_space, guard), "no guard for the space") && must(enter(0, main_space), "no way to the space") &&
           must(enter(1, children), "no way to the small CNode") && must(mint(outer_space, guarded_outer, outer_guard), "no outer guard");
}

template <class Port>
bool Universe<Port>::make_address_space(unsigned i) {
    if (!must({at_.asid_pool, Method::ASIDPoolAssign, {}, {vspace(i)}}, "no ASID is left")) return false;
    for (unsigned level = 0; level < space_tables; ++level) {
        Request map{at(tables + i * space_tables + level), Method::PageTableMap, {buffer_address, 1}, {vspace(i)}};
        if (!must(map, "a table was not mapped")) return false;
    }
    return port_.prepare_space(vspace(i)) || fail("an address space was not prepared");
}

template <class Port>
void Universe<Port>::configure_context(unsigned i, uint64_t budget, uint64_t period, uint64_t flags) {
    may({at_.sched_control, Method::SchedControlConfigureFlags, {budget, period, i % 3, 0x80 + i, flags}, {at(contexts + i)}});
}

template <class Port>
bool Universe<Port>::set_up_thread(unsigned i) {
    uint64_t root = at(i == 1 ? guarded_outer : guarded_space);
    uint64_t mapped = buffer_of(i);
    constexpr uint64_t cached = 5;   // and execute-never
    return (port_.is_clear(buffer(i), i) || fail("a new frame is not clear")) &&
           must({buffer(i), Method::FrameMap, {mapped, 3, cached}, {vspace(space_of(i))}}, "a buffer was not mapped") &&
           must({thread(i), Method::TCBConfigure, {0, 0, mapped}, {root, vspace(space_of(i)), buffer(i)}}, "a thread was not configured") &&
           must({thread(i), Method::TCBSetSchedParams, {thread_max_priority, priority_of(i)}, {at_.tcb, at(contexts + i), at(endpoints + i % fuzz_endpoints)}},
                "a thread got no scheduling context");
}

template <class Port>
bool Universe<Port>::make_threads(Choices& choices) {
    for (unsigned i = 0; i < fuzz_threads; ++i) {
        configure_context(i, 10'000, 10'000, 0);
        if (!set_up_thread(i)) return false;
    }
    may({thread(3), Method::TCBSetTimeoutEndpoint, {}, {at(endpoints)}});
    may({thread(0), Method::TCBBindNotification, {}, {at(notifications)}});
    configure_context(3, 200, 1'000 + choices.below(5'000), 1);
    for (unsigned i = 0; i < fuzz_threads; ++i) {
        if (!must({thread(i), Method::TCBWriteRegisters, {1, 1, code_address}, {}}, "a thread was not started")) return false;
    }
    return true;
}

// An untyped has children or copies, not both: the component gets the originals.
template <class Port>
bool Universe<Port>::give_untypeds() {
    for (unsigned i = 0; i < 3; ++i) {
        uint64_t slot = shelf_slot(CapType::Untyped, i);
        Request move{at(guarded_space), Method::CNodeMove, {slot, space_depth, at(large_gift + i), full_depth}, {at_.cnode}};
        if (!must(move, "an untyped was not given")) return false;
    }
    return true;
}

template <class Port>
void Universe<Port>::give_handlers() {
    for (unsigned i = 0; i < fuzz_lines; ++i) {
        uint64_t slot = shelf_slot(CapType::IRQHandler, i);
        // What else is in the slot may be an endpoint, which the supervisor must not call.
        Request make_handler{at_.irq_control, Method::IRQControlGet, {at_.lines[i], 1, slot, space_depth}, {at(guarded_space)}};
        if (port_.call(make_handler) != Error::NoError) continue;
        Request get{at_.cnode, Method::CNodeCopy, {at(scratch), full_depth, slot, space_depth, 15}, {at(guarded_space)}};
        if (port_.call(get) != Error::NoError) continue;
        may({at(scratch), Method::IRQHandlerSetNotification, {}, {at(notifications + i % fuzz_endpoints)}});
        may({at_.cnode, Method::CNodeDelete, {at(scratch), full_depth}, {}});
    }
}

template <class Port>
void Universe<Port>::give(Choices& choices) {
    may(gift(at(guarded_space), shelf_slot(CapType::CNode, 0)));
    may(gift(at(guarded_space), shelf_slot(CapType::CNode, 1)));
    may(gift(at(children), shelf_slot(CapType::CNode, first_child)));
    may(gift(at(children + 1), shelf_slot(CapType::CNode, first_child + 1)));
    for (unsigned i = 0; i < fuzz_endpoints; ++i) {
        may(gift(at(endpoints + i), shelf_slot(CapType::Endpoint, i)));
        may(gift(at(endpoints + i), shelf_slot(CapType::Endpoint, fuzz_endpoints + i), 1 + choices.below(4)));
        may(gift(at(notifications + i), shelf_slot(CapType::Notification, i)));
        may(gift(at(notifications + i), shelf_slot(CapType::Notification, fuzz_endpoints + i), uint64_t{1} << choices.below(8)));
        may(gift(at(replies + i), shelf_slot(CapType::Reply, i)));
    }
    for (unsigned i = 0; i < fuzz_threads; ++i) {
        may(gift(thread(i), shelf_slot(CapType::TCB, i)));
        may(gift(at(contexts + i), shelf_slot(CapType::SchedContext, i)));
        may(gift(buffer(i), shelf_slot(CapType::Frame, i)));
    }
    for (unsigned i = 0; i < fuzz_spaces; ++i) {
        may(gift(vspace(i), shelf_slot(CapType::VSpace, i)));
        may(gift(at(tables + i * space_tables + 2), shelf_slot(CapType::PageTable, i)));
    }
    may(gift(at_.asid_control, shelf_slot(CapType::ASIDControl, 0)));
    may(gift(at_.asid_pool, shelf_slot(CapType::ASIDPool, 0)));
    may(gift(at_.inspect, shelf_slot(CapType::Inspect, 0)));
    may(gift(at_.sched_control, shelf_slot(CapType::SchedControl, 0)));
    if (grants_.domain) may(gift(at_.domain, shelf_slot(CapType::Domain, 0)));
}

template <class Port>
bool Universe<Port>::build(Choices& choices, Grants grants) {
    grants_ = grants;
    if (!make(ObjectType::Untyped, universe_bits, universe, 1, at_.memory) || !make_objects() || !make_spaces()) return false;
    for (unsigned i = 0; i < fuzz_spaces; ++i) {
        if (!make_address_space(i)) return false;
    }
    give(choices);
    give_handlers();
    if (!give_untypeds()) return false;
    if (grants.irq_control) {
        uint64_t slot = shelf_slot(CapType::IRQControl, 0);
        Request move{at(guarded_space), Method::CNodeMove, {slot, space_depth, at_.irq_control, full_depth}, {at_.cnode}};
        if (!must(move, "IRQControl was not given")) return false;
    }
    return make_threads(choices);
}

// -- Keeping it alive

template <class Port>
void Universe<Port>::restock(Choices& choices) {
    give(choices);
    give_handlers();
    for (unsigned i = 0; i < 3; ++i) add(ObjectType::Untyped, small_gift_bits, CapType::Untyped, i);
    // What the component can use once only, such as an address space that has no ASID yet.
    may({at(guarded_space), Method::CNodeDelete, {shelf_slot(CapType::Untyped, 3), space_depth}, {}});
    add(ObjectType::Untyped, page_bits, CapType::Untyped, 3);
    add(ObjectType::VSpace, 0, CapType::VSpace, fuzz_spaces);
    add_pool();
    add(ObjectType::PageTable, 0, CapType::PageTable, fuzz_spaces);
    add(ObjectType::TCB, 0, CapType::TCB, fuzz_threads);
    add(ObjectType::SchedContext, 8, CapType::SchedContext, fuzz_threads);
    add(ObjectType::CNode, child_bits, CapType::CNode, first_child + 2);
}

// An ASID pool that the component can lose with all address spaces in it.
template <class Port>
void Universe<Port>::add_pool() {
    constexpr uint64_t untyped = static_cast<uint64_t>(ObjectType::Untyped);
    Request page{at(universe), Method::UntypedRetype, {untyped, page_bits, 0, 0, at(scratch), 1}, {at_.cnode}};
    if (port_.call(page) != Error::NoError) return;
    may({at_.asid_control, Method::ASIDControlMakePool, {shelf_slot(CapType::ASIDPool, 1), space_depth}, {at(scratch), at(guarded_space)}});
    may({at_.cnode, Method::CNodeDelete, {at(scratch), full_depth}, {}});
}

// A new object in a slot of the component, if it is empty.
template <class Port>
void Universe<Port>::add(ObjectType type, unsigned bits, CapType shelf, unsigned i) {
    may({at(universe), Method::UntypedRetype, {static_cast<uint64_t>(type), bits, 0, 0, shelf_slot(shelf, i), 1}, {at(main_space)}});
}

template <class Port>
void Universe<Port>::give_time(bool gives) {
    if (gives) {
        may({at(contexts + server_thread), Method::SchedContextBind, {}, {thread(server_thread)}});
    } else {
        may({at(contexts + server_thread), Method::SchedContextUnbind, {}, {}});
    }
}

template <class Port>
void Universe<Port>::give_handler(unsigned i) {
    may({thread(i), Method::TCBSetSpace, {0, 0}, {at(endpoints), at(guarded_space), vspace(space_of(i))}});
}

template <class Port>
void Universe<Port>::wake(Choices& choices) {
    // Who waits for a message should get one rather than be woken.
    unsigned woken = choices.one_in(4) ? fuzz_threads : 1;
    for (unsigned i = 0; i < woken; ++i) {
        may({thread(static_cast<unsigned>(choices.below(fuzz_threads))), Method::TCBWriteRegisters, {1, 1, code_address}, {}});
    }
}

// False when there is no memory left: then the object stays.
template <class Port>
bool Universe<Port>::renew_object(ObjectType type, unsigned bits, unsigned place) {
    constexpr uint64_t untyped = static_cast<uint64_t>(ObjectType::Untyped);
    // Without another one the component could not go on.
    Request try_memory{at(universe), Method::UntypedRetype, {untyped, renewal_bits, 0, 0, at(scratch), 1}, {at_.cnode}};
    if (port_.call(try_memory) != Error::NoError) return false;
    may({at_.cnode, Method::CNodeDelete, {at(place), full_depth}, {}});
    return make(type, bits, place, 1, at(scratch)) && port_.call({at_.cnode, Method::CNodeDelete, {at(scratch), full_depth}, {}}) == Error::NoError;
}

// The copies that the component was given go too, sometimes: then the object ends with the original, whatever it is doing.
template <class Port>
void Universe<Port>::take_copies(Choices& choices, CapType type, unsigned i) {
    if (choices.one_in(3)) return;
    may({at(guarded_space), Method::CNodeDelete, {shelf_slot(type, i), space_depth}, {}});
    bool badged = type == CapType::Endpoint || type == CapType::Notification;
    if (badged) may({at(guarded_space), Method::CNodeDelete, {shelf_slot(type, fuzz_endpoints + i), space_depth}, {}});
}

template <class Port>
void Universe<Port>::renew(Choices& choices, Generator& generator) {
    unsigned i = static_cast<unsigned>(choices.below(fuzz_threads));
    unsigned other = i % fuzz_endpoints;
    switch (choices.below(6)) {
        case 0:
            take_copies(choices, CapType::TCB, i);
            if (renew_object(ObjectType::TCB, 0, threads + i)) set_up_again(i);
            break;
        case 1:
        case 2:
            take_copies(choices, CapType::SchedContext, i);
            if (!renew_object(ObjectType::SchedContext, 8, contexts + i)) break;
            configure_context(i, generator.micros(), 10'000, choices.below(2));
            may({at(contexts + i), Method::SchedContextBind, {}, {thread(i)}});
            break;
        case 3:
            take_copies(choices, CapType::Endpoint, other);
            static_cast<void>(renew_object(ObjectType::Endpoint, 0, endpoints + other));
            break;
        case 4:
            take_copies(choices, CapType::Notification, other);
            static_cast<void>(renew_object(ObjectType::Notification, 0, notifications + other));
            break;
        default:
            take_copies(choices, CapType::Reply, other);
            static_cast<void>(renew_object(ObjectType::Reply, 0, replies + other));
    }
}

template <class Port>
void Universe<Port>::set_up_again(unsigned i) {
    may({thread(i), Method::TCBConfigure, {0, 0, buffer_of(i)}, {at(guarded_space), vspace(space_of(i)), buffer(i)}});
    may({thread(i), Method::TCBSetSchedParams, {thread_max_priority, priority_of(i)}, {at_.tcb, at(contexts + i), at(endpoints + i % fuzz_endpoints)}});
}

template <class Port>
void Universe<Port>::repair(Choices& choices, Generator& generator) {
    unsigned i = static_cast<unsigned>(choices.below(fuzz_threads));
    if (choices.one_in(4)) return may({at(contexts + i), Method::SchedContextUnbind, {}, {}});
    uint64_t root = at(choices.one_in(4) ? guarded_outer : guarded_space);
    uint64_t handler = choices.one_in(4) ? 0 : at(endpoints + static_cast<unsigned>(choices.below(fuzz_endpoints)));
    may({thread(i), Method::TCBSetSpace, {0, 0}, {handler, root, vspace(space_of(i))}});
    may({thread(i), Method::TCBSetIPCBuffer, {buffer_of(i)}, {buffer(i)}});
    may({thread(i), Method::TCBSetMCPriority, {thread_max_priority}, {at_.tcb}});
    may({thread(i), Method::TCBSetPriority, {choices.one_in(2) ? priority_of(i) : 1 + choices.below(6)}, {at_.tcb}});
    may({thread(i), Method::TCBConfigureSingleStepping, {0, 0}, {}});
    uint64_t budget = generator.micros();
    uint64_t period = choices.one_in(3) ? budget : budget + choices.below(10'000);
    configure_context(i, budget, period, choices.below(2));
    if (!choices.one_in(4)) may({at(contexts + i), Method::SchedContextBind, {}, {thread(i)}});
    if (!grants_.domain) may({at_.domain, Method::DomainSet, {0}, {thread(i)}});
}

template <class Port>
void Universe<Port>::assist(Choices& choices, Generator& generator) {
    switch (choices.below(5)) {
        case 0: return make_handler(Method::IRQControlGet, generator);
        case 1: return make_handler(Method::IRQControlIssueSGISignal, generator);
        case 2: {
            uint64_t slot = generator.slot_of(CapType::IRQHandler);
            Request get{at_.irq_control, Method::IRQControlGet,
                        {at_.lines[choices.below(fuzz_lines)], choices.below(2), slot, space_depth}, {at(guarded_space)}};
            return may(get);
        }
        case 3: {
            uint64_t slot = generator.slot_of(CapType::SGISignal);
            return may({at_.irq_control, Method::IRQControlIssueSGISignal, {2 + choices.below(6), 0, slot, space_depth}, {at(guarded_space)}});
        }
        default:
            // Out of the domain that runs and back: what stands in its queues has to follow.
            may({at_.domain, Method::DomainSet, {choices.below(3)}, {thread(static_cast<unsigned>(choices.below(fuzz_threads)))}});
    }
}

// The words are the generator's, the capabilities the supervisor's.
template <class Port>
void Universe<Port>::make_handler(Method method, Generator& generator) {
    Operation operation;
    generator.invocation(operation, method);
    may({at_.irq_control, method, {operation.x[2], operation.x[3], operation.x[4], operation.x[5]}, {at(guarded_space)}});
}

// -- The end

template <class Port>
bool Universe<Port>::destroy() {
    if (!must({at_.cnode, Method::CNodeRevoke, {at(universe), full_depth}, {}}, "the memory was not revoked")) return false;
    // Whole again: one object takes all of it.
    if (!make(ObjectType::Untyped, universe_bits, main_space)) return fail("memory is lost: the untyped is not whole after its revocation");
    return must({at_.cnode, Method::CNodeRevoke, {at_.memory, full_depth}, {}}, "the memory was not given back");
}

}  // namespace caprock::fuzz
