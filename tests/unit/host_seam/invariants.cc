// SPDX-License-Identifier: BSD-2-Clause
#include "invariants.hpp"

#include "host_seam.hpp"
#include "object/endpoint.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/vspace.hpp"
#include "sched/scheduler.hpp"
#include "sched/switch.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace caprock::test {

namespace {

// `name` is the invariant's in docs/invariants.md, `detail` how it is broken.
void require(bool condition, const char* name, const char* detail) {
    if (!condition) throw Broken(std::string(name) + ": " + detail);
}

void require(bool condition, const char* name, const char* detail, const void* where) {
    if (condition) return;
    Word offset = reinterpret_cast<Word>(where) - arch::to_kernel(PhysAddr(host::ram_start)).raw;
    throw Broken(std::string(name) + ": " + detail + " (at memory offset " + std::to_string(offset) + ")");
}

// Marks of what was seen in this check, one for each place of 16 bytes in memory: numbers of checks, so that nothing needs to be cleared.
class Marks {
public:
    void next() { ++check_; }
    // True the first time in a check.
    bool add(const void* place) {
        Word index = index_of(place);
        require(index < places_.size(), "object_in_memory", "a pointer leads outside memory", place);
        if (places_[index] == check_) return false;
        places_[index] = check_;
        return true;
    }
    bool has(const void* place) const {
        Word index = index_of(place);
        return index < places_.size() && places_[index] == check_;
    }

private:
    static Word index_of(const void* place) {
        return (reinterpret_cast<Word>(place) - arch::to_kernel(PhysAddr(host::ram_start)).raw) / 16;
    }
    uint32_t check_ = 0;
    std::vector<uint32_t> places_ = std::vector<uint32_t>(host::ram_bytes / 16);
};

Marks seen_slots;
Marks seen_objects;
Marks seen_waiting;

template <class T>
bool contains(const std::vector<T>& all, const T& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

// The memory of a capability's object; empty if it has none.
Range<KernAddr> memory_of(const Cap& cap) {
    Word bytes = 0;
    switch (cap.type()) {
        case CapType::Untyped:
            bytes = as<UntypedCap>(cap).size_bits().bytes();
            break;
        case CapType::Frame:
            bytes = as<FrameCap>(cap).size_bits().bytes();
            break;
        case CapType::Endpoint:
            bytes = 16;
            break;
        case CapType::Notification:
            bytes = 64;
            break;
        case CapType::Reply:
            bytes = 32;
            break;
        case CapType::CNode:
            bytes = sizeof(Slot) << as<CNodeCap>(cap).radix();
            break;
        case CapType::TCB:
            bytes = 2048;
            break;
        case CapType::SchedContext:
            bytes = as<SchedContextCap>(cap).size_bits().bytes();
            break;
        case CapType::VSpace:
        case CapType::PageTable:
        case CapType::ASIDPool:
            bytes = page_size;
            break;
        case CapType::Zombie:
            bytes = as<ZombieCap>(cap).is_tcb() ? 2048 : sizeof(Slot) << as<ZombieCap>(cap).radix();
            break;
        default:
            break;
    }
    return {cap.object(), cap.object() + bytes};
}

bool is_device(const Cap& cap) {
    return (cap.is(CapType::Untyped) && as<UntypedCap>(cap).is_device()) || (cap.is(CapType::Frame) && as<FrameCap>(cap).is_device());
}

bool serves_faults(const Cap& cap) {
    if (!cap.is(CapType::Endpoint)) return false;
    const EndpointCap& endpoint = as<EndpointCap>(cap);
    return endpoint.can_send() && (endpoint.can_grant() || endpoint.can_grant_reply());
}

bool same_point(const DebugPoint& a, const DebugPoint& b) {
    return a.enabled == b.enabled && a.address == b.address && a.size == b.size && a.access == b.access;
}

// Where the memory of a slot's object is.
struct Place {
    Range<KernAddr> memory;
    Slot* slot;
};

// What a check finds. It is made once: the fuzzer checks after every operation, and would allocate more than it looks.
struct Found {
    std::vector<Slot*> containers;
    std::vector<Slot*> work;
    std::vector<Slot*> slots;
    std::vector<Slot*> irq_slots;
    std::vector<Tcb*> threads;
    std::vector<SchedContext*> contexts;
    std::vector<Reply*> replies;
    std::vector<Endpoint*> endpoints;
    std::vector<Notification*> notifications;
    std::vector<Place> places;
};
Found found;

Found& cleared(Found& all) {
    all.containers.clear();
    all.work.clear();
    all.slots.clear();
    all.irq_slots.clear();
    all.threads.clear();
    all.contexts.clear();
    all.replies.clear();
    all.endpoints.clear();
    all.notifications.clear();
    all.places.clear();
    return all;
}

class Check {
public:
    Check(Core& core, Slot* slots, Word count) : core_(core), kernel_(*core.kernel) {
        seen_slots.next();
        seen_objects.next();
        seen_waiting.next();
        add_container(slots, count);
        for (Slot& slot : kernel_.irq_notifications) add_slot(slot);
        while (!work_.empty()) {
            Slot* slot = work_.back();
            work_.pop_back();
            visit(*slot);
        }
    }

    void shallow() {
        for (Slot* slot : slots_) check_links(*slot);
        for (Tcb* thread : threads_) check_thread(*thread);
        for (SchedContext* context : contexts_) check_context(*context);
        for (Reply* reply : replies_) check_reply(*reply);
        for (Endpoint* endpoint : endpoints_) check_endpoint(*endpoint);
        for (Notification* notification : notifications_) check_notification(*notification);
        for (Tcb* thread : threads_) check_waiting(*thread);
        check_irqs();
        check_core();
    }

    // Occupied slots and objects, without memory of user level.
    std::vector<Live> live() const {
        std::vector<Live> all;
        for (Slot* slot : slots_) all.push_back({slot, sizeof(*slot), "slot"});
        for (Tcb* thread : threads_) all.push_back({thread, offsetof(Tcb, slots), "thread"});
        for (Endpoint* endpoint : endpoints_) all.push_back({endpoint, sizeof(*endpoint), "endpoint"});
        for (Notification* notification : notifications_) all.push_back({notification, sizeof(*notification), "notification"});
        for (Reply* reply : replies_) all.push_back({reply, sizeof(*reply), "reply"});
        for (SchedContext* context : contexts_)
            all.push_back({context, sizeof(*context) + context->refill_max * sizeof(Refill), "scheduling context"});
        for (Slot* slot : slots_) {
            bool table = slot->cap.is(CapType::PageTable) || slot->cap.is(CapType::VSpace) || slot->cap.is(CapType::ASIDPool);
            if (table) all.push_back({arch::pointer<void>(slot->cap.object()), page_size, "table"});
        }
        return all;
    }

    void deep() {
        for (unsigned domain = 0; domain < abi::domains; ++domain) check_ready(core_.queues[domain], domain, true);
        check_slots();
        check_derivation();
        check_disjoint();
        check_pools();
    }

private:
    // -- Finding everything

    // The slots of a container, once: of the root CNode only those that the check was asked to look at.
    void add_container(Slot* first, Word count) {
        if (contains(containers_, first)) return;
        containers_.push_back(first);
        for (Word i = 0; i < count; ++i) add_slot(first[i]);
    }

    bool is_irq_slot(const Slot& slot) const {
        return &slot >= kernel_.irq_notifications && &slot < kernel_.irq_notifications + Kernel::max_irqs;
    }

    void add_slot(Slot& slot) {
        if (slot.empty()) return;
        if (is_irq_slot(slot)) {
            if (contains(irq_slots_, &slot)) return;
            irq_slots_.push_back(&slot);
        } else if (!seen_slots.add(&slot)) {
            return;
        }
        slots_.push_back(&slot);
        work_.push_back(&slot);
    }

    void visit(Slot& slot) {
        require(slot.next() == nullptr || !slot.next()->empty(), "derivation_links", "the next slot in the derivation list is empty",
                &slot);
        require(slot.prev() == nullptr || !slot.prev()->empty(), "derivation_links", "the previous slot in the derivation list is empty",
                &slot);
        if (slot.next() != nullptr) add_slot(*slot.next());
        if (slot.prev() != nullptr) add_slot(*slot.prev());
        check_cap(slot.cap);
    }

    void check_cap(const Cap& cap) {
        Range<KernAddr> memory = memory_of(cap);
        if (is_device(cap) || memory.empty()) return;
        require(arch::to_physical(memory.start).raw >= host::ram_start, "object_in_memory", "a capability's object is no memory",
                arch::pointer<void>(memory.start));
        bool fresh = !cap.is(CapType::Untyped) && !cap.is(CapType::Frame) && seen_objects.add(arch::pointer<void>(memory.start));
        switch (cap.type()) {
            case CapType::CNode:
                add_container(arch::pointer<Slot>(memory.start), Word{1} << as<CNodeCap>(cap).radix());
                break;
            case CapType::Zombie:
                check_zombie(as<ZombieCap>(cap));
                break;
            case CapType::TCB:
                if (fresh) add_thread(cap.as_object<Tcb>());
                break;
            case CapType::SchedContext:
                if (fresh) contexts_.push_back(&cap.as_object<SchedContext>());
                break;
            case CapType::Reply:
                if (fresh) replies_.push_back(&cap.as_object<Reply>());
                break;
            case CapType::Endpoint:
                if (fresh) endpoints_.push_back(&cap.as_object<Endpoint>());
                break;
            case CapType::Notification:
                if (fresh) notifications_.push_back(&cap.as_object<Notification>());
                break;
            default:
                break;
        }
    }

    void check_zombie(const ZombieCap& zombie) {
        Slot* first = zombie.is_tcb() ? zombie.as_object<Tcb>().slots : arch::pointer<Slot>(zombie.object());
        Word size = zombie.is_tcb() ? Word{tcb_slots} : Word{1} << zombie.radix();
        require(zombie.slots() <= size, "zombie_slots", "a zombie counts more slots than it has", first);
        // The anchor itself may stand behind the slots that are left, when the container contains it.
        add_container(first, size);
        if (zombie.is_tcb()) add_thread(zombie.as_object<Tcb>());
    }

    void add_thread(Tcb& thread) {
        if (contains(threads_, &thread)) return;
        threads_.push_back(&thread);
        add_container(thread.slots, tcb_slots);
    }

    // -- Derivation list

    void check_links(Slot& slot) {
        require(slot.next() == nullptr || slot.next()->prev() == &slot, "derivation_links", "a slot's successor does not lead back", &slot);
        require(slot.prev() == nullptr || slot.prev()->next() == &slot, "derivation_links", "a slot's predecessor does not lead to it",
                &slot);
    }

    // -- Queues

    static WaitHook<Tcb>& hook(Tcb& thread) { return thread.wait; }

    // Calls `visit` for every thread of a queue, and checks the queue's shape.
    template <class Visit>
    void walk(const PrioQueue<Tcb>& queue, Visit visit) {
        int above = 256;
        Tcb* higher = nullptr;
        for (Tcb* leader = queue.head; leader != nullptr; leader = leader->wait.lower) {
            require(!hook(*leader).follower, "wait_queue_order", "the first of a priority is no leader", leader);
            require(hook(*leader).higher == higher, "wait_queue_order", "a group of waiting threads does not lead back", leader);
            require(leader->priority.raw < above, "wait_queue_order", "groups of waiting threads are not in order", leader);
            above = leader->priority.raw;
            higher = leader;
            Tcb* thread = leader;
            do {
                require(seen_waiting.add(thread), "blocked_waits", "a thread waits twice", thread);
                require(thread == leader || hook(*thread).follower, "wait_queue_order", "a group has two leaders", thread);
                require(thread->priority == leader->priority, "wait_queue_order", "a thread waits among those of another priority", thread);
                visit(*thread);
                Tcb* next = hook(*thread).ring.next;
                require(next != thread && (next != nullptr || (thread == leader && hook(*thread).ring.prev == nullptr)), "wait_queue_order",
                        "a thread alone in its priority is in a ring, or one among others is not", thread);
                require(next == nullptr || hook(*next).ring.prev == thread, "wait_queue_order", "a ring of waiting threads does not lead back", thread);
                thread = next;
            } while (thread != nullptr && thread != leader);
        }
    }

    void check_endpoint(Endpoint& endpoint) {
        require(int{endpoint.idle()} + int{endpoint.sending()} + int{endpoint.receiving()} == 1, "endpoint_state",
                "an endpoint is in no state or two", &endpoint);
        require(endpoint.idle() == endpoint.queue.empty(), "endpoint_state", "an endpoint's state is not its queue's", &endpoint);
        require(!endpoint.has_only_receiver() || endpoint.queue.holds_only(*endpoint.queue.head), "endpoint_state",
                "an endpoint's only receiver is not the only one", &endpoint);
        ThreadState expected = endpoint.sending() ? ThreadState::BlockedOnSend : ThreadState::BlockedOnReceive;
        walk(endpoint.queue, [&](Tcb& thread) {
            require(thread.state == expected, "endpoint_waiters", "a thread waits at an endpoint in another state", &thread);
            require(thread.endpoint == &endpoint, "endpoint_waiters", "a thread waits at another endpoint than it says", &thread);
        });
        if (Tcb* sweeper = endpoint.sweeper()) {
            require(endpoint.sending(), "sweep_tie", "an endpoint without senders is swept", &endpoint);
            require(contains(threads_, sweeper), "sweep_tie", "a dead thread sweeps an endpoint", &endpoint);
            require(sweeper->sweep.endpoint == &endpoint, "sweep_tie", "an endpoint's sweeper sweeps another one", &endpoint);
        }
    }

    void check_notification(Notification& notification) {
        bool waiting = notification.state == Notification::State::Waiting;
        require(waiting == !notification.queue.empty(), "notification_state", "a notification's state is not its queue's", &notification);
        require(notification.state == Notification::State::Active || notification.word == 0, "notification_state",
                "an inactive notification has flags", &notification);
        walk(notification.queue, [&](Tcb& thread) {
            require(thread.state == ThreadState::BlockedOnNotification, "notification_waiters",
                    "a thread waits at a notification in another state", &thread);
            require(thread.notification == &notification, "notification_waiters", "a thread waits at another notification than it says",
                    &thread);
        });
        if (Tcb* bound = notification.bound_tcb) {
            require(contains(threads_, bound), "bound_notification", "a notification is bound to a dead thread", &notification);
            require(bound->bound_notification == &notification, "bound_notification", "a bound thread is not bound to its notification",
                    &notification);
        }
        if (SchedContext* context = notification.sched_context) {
            require(contains(contexts_, context), "lending_notification", "a notification has a dead scheduling context", &notification);
            require(context->notification == &notification, "lending_notification", "a notification's scheduling context is not its own",
                    &notification);
        }
    }

    // -- Threads

    // After all queues.
    void check_waiting(const Tcb& thread) {
        bool waits = thread.state == ThreadState::BlockedOnSend || thread.state == ThreadState::BlockedOnReceive ||
                     thread.state == ThreadState::BlockedOnNotification;
        require(seen_waiting.has(&thread) == waits, "blocked_waits", "a thread waits and does not, or does and should not", &thread);
        require(waits || thread.wait.clear(), "blocked_waits", "a thread that waits in no queue has a place in one", &thread);
    }

    void check_thread(Tcb& thread) {
        bool in_endpoint = thread.state == ThreadState::BlockedOnSend || thread.state == ThreadState::BlockedOnReceive;
        bool in_notification = thread.state == ThreadState::BlockedOnNotification;
        if (in_endpoint) require(contains(endpoints_, thread.endpoint), "endpoint_waiters", "a thread waits at a dead endpoint", &thread);
        if (in_notification)
            require(contains(notifications_, thread.notification), "notification_waiters", "a thread waits at a dead notification",
                    &thread);
        bool may_have_reply = thread.state == ThreadState::BlockedOnReceive || thread.state == ThreadState::BlockedOnReply;
        require(thread.reply == nullptr || may_have_reply, "reply_tie", "a thread that waits for no reply has a reply object", &thread);
        require(thread.reply != nullptr || thread.state != ThreadState::BlockedOnReply, "reply_tie",
                "a thread waits for a reply without reply object", &thread);
        if (thread.reply != nullptr) {
            require(contains(replies_, thread.reply), "reply_tie", "a thread has a dead reply object", &thread);
            require(thread.reply->tcb == &thread, "reply_tie", "a thread's reply object is not its own", &thread);
        }
        require(!thread.faulted() || thread.state == ThreadState::BlockedOnSend || thread.state == ThreadState::BlockedOnReply,
                "fault_pending", "a thread has a fault that nobody handles", &thread);
        for (TcbSlot slot : {TcbSlot::FaultHandler, TcbSlot::TimeoutHandler}) {
            const Cap& handler = thread.cap(slot);
            require(handler.is_null() || serves_faults(handler), "fault_handler", "a thread has a handler that it cannot call", &thread);
        }
        if (Notification* bound = thread.bound_notification) {
            require(contains(notifications_, bound), "bound_notification", "a thread is bound to a dead notification", &thread);
            require(bound->bound_tcb == &thread, "bound_notification", "a thread's notification is not bound to it", &thread);
        }
        if (Endpoint* endpoint = thread.sweep.endpoint) {
            require(contains(endpoints_, endpoint), "sweep_tie", "a thread sweeps a dead endpoint", &thread);
            require(endpoint->sweeper() == &thread, "sweep_tie", "the endpoint that a thread sweeps has another sweeper", &thread);
            Tcb* next = thread.sweep.next;
            require(next == nullptr || contains(threads_, next), "sweep_cursor", "a sweep goes on at a dead thread", &thread);
            require(next == nullptr || (next->state == ThreadState::BlockedOnSend && next->endpoint == endpoint), "sweep_cursor",
                    "a sweep goes on at a thread that does not send there", &thread);
        }
        if (SchedContext* context = thread.yielding_to) {
            require(contains(contexts_, context), "yield_tie", "a thread yields to a dead scheduling context", &thread);
            require(context->yield_from == &thread, "yield_tie", "the context that a thread yields to knows another one", &thread);
            require(core_.current != &thread, "yield_tie", "a thread runs and still yields", &thread);
        }
        check_special(thread);
        check_remembered_space(thread);
        if (SchedContext* context = thread.sched_context) {
            require(contains(contexts_, context), "sched_context_tie", "a thread has a dead scheduling context", &thread);
            require(context->tcb == &thread, "sched_context_tie", "a thread's scheduling context is not its own", &thread);
        }
        check_placement(thread);
    }

    void check_special(const Tcb& thread) {
        Word known = abi::ThreadFlags::make(1, 1, 1).raw;
        require((thread.flags & ~known) == 0, "thread_flags", "a thread has a flag without a name", &thread);
        bool access = thread.thread_flags().pmu() != 0 || thread.thread_flags().physical_timer() != 0;
        bool fpu = core_.fpu_owner == &thread;
        require(thread.special == ((fpu ? Special::fpu : 0) | (access ? Special::access : 0) | (is_debugged(thread) ? Special::debug : 0) |
                                   (thread.yielding_to != nullptr ? Special::yield : 0) | (thread.fpu_turns != 0 ? Special::fpu_soon : 0) |
                                   (access || is_debugged(thread) || thread.yielding_to != nullptr ? Special::rare : 0)),
                "special_thread", "a thread counts as special and is not, or is and does not count", &thread);
        bool stepped = (thread.context.spsr & host::single_step) != 0;
        // A stepped thread whose bit is clear, as the processor leaves it behind svc, traps before its next instruction.
        require(!stepped || thread.debug.steps != 0, "step_armed", "a thread is armed for a step and not stepped", &thread);
    }

    void check_remembered_space(const Tcb& thread) {
        if (!remembers_address_space(core_, thread)) return;
        const Cap& cap = thread.cap(TcbSlot::VSpace);
        Asid asid(static_cast<uint16_t>(cap.is(CapType::VSpace) ? as<VSpaceCap>(cap).number() : 0));
        bool valid = asid != Asid(0) && vspace_of(kernel_, asid) == cap.object();
        require(valid && thread.space == arch::address_space(arch::to_physical(cap.object()), asid), "remembered_space",
                "a thread remembers an address space that is not its own, or no more", &thread);
    }

    void check_placement(Tcb& thread) {
        Word present = core_.queues[thread.domain.raw].present[thread.priority.raw / 64];
        require(!thread.ready.linked() || (present >> (thread.priority.raw % 64) & 1) != 0, "ready_map", "a ready thread is not marked",
                &thread);
        bool current = core_.current == &thread;
        bool could_run = thread.state == ThreadState::Running && thread.sched_context != nullptr && thread.sched_context->configured();
        int places = int{current} + int{thread.ready.linked()} + int{thread.release.linked()};
        require(places == int{could_run}, "runnable_placed",
                could_run ? "a thread that could run is in none or two of the queues" : "a thread that cannot run is in a queue", &thread);
    }

    // -- Scheduling

    void check_context(SchedContext& context) {
        if (context.tcb != nullptr) {
            require(contains(threads_, context.tcb), "sched_context_tie", "a scheduling context has a dead thread", &context);
            require(context.tcb->sched_context == &context, "sched_context_tie", "a scheduling context's thread is not its own", &context);
        }
        if (context.yield_from != nullptr) {
            require(contains(threads_, context.yield_from), "yield_tie", "a dead thread yields to a scheduling context", &context);
            require(context.yield_from->yielding_to == &context, "yield_tie", "who yields to a context yields to another one", &context);
        }
        if (context.notification != nullptr) {
            require(contains(notifications_, context.notification), "lending_notification", "a scheduling context has a dead notification",
                    &context);
            require(context.notification->sched_context == &context, "lending_notification",
                    "a scheduling context's notification is not its own", &context);
        }
        check_stack(context);
        if (context.configured()) check_refills(context);
    }

    void check_stack(SchedContext& context) {
        Reply* newer = nullptr;
        Word depth = 0;
        for (Reply* reply = context.reply; reply != nullptr; reply = reply->prev) {
            require(contains(replies_, reply), "call_stack", "a dead reply object is in a stack of calls", &context);
            require(reply->next == newer, "call_stack", "a stack of calls does not lead back", &context);
            require(reply->context == (newer == nullptr ? &context : nullptr), "call_stack",
                    "not the newest call only knows the scheduling context", &context);
            require(++depth <= replies_.size(), "call_stack", "a stack of calls is a ring", &context);
            newer = reply;
        }
    }

    void check_refills(SchedContext& context) {
        require(context.count >= 1 && context.count <= context.refill_max && (context.head == 0 || context.head + 1 < context.refill_max), "refill_bounds",
                "a ring of refills is out of bounds", &context);
        if (context.round_robin()) {
            require(context.count == 1 && context.first().amount <= context.budget, "refill_sum", "a round robin is more than its budget",
                    &context);
            return;
        }
        Ticks sum(0);
        for (unsigned i = 0; i < context.count; ++i) {
            Refill& refill = context.refill(i);
            require(refill.amount > Ticks(0), "refill_order", "a refill is empty", &context);
            // The first may have been delayed beyond the time of the next.
            if (i > 1) {
                Refill& before = context.refill(i - 1);
                require(before.time + before.amount.raw <= refill.time, "refill_order", "refills are not in order", &context);
            }
            require(refill.amount >= min_budget(), "refill_sufficient", "a refill is too small to run on", &context);
            sum += refill.amount.raw;
        }
        require(sum + context.unreturned.raw == context.budget, "refill_sum", "refills do not sum to the budget", &context);
    }

    // The queues that the map says are there, or all.
    template <class Ring>
    static bool are_empty(const Ring* rings) {
        uintptr_t heads = 0;
        for (unsigned i = 0; i < 64; ++i) heads |= reinterpret_cast<uintptr_t>(rings[i].head);
        return heads == 0;
    }

    void check_ready(ReadyQueues& ready, unsigned domain, bool all) {
        int64_t highest = -1;
        for (unsigned word = 0; word < ReadyQueues::words; ++word) {
            bool marked = (ready.summary >> word & 1) != 0;
            if (marked) highest = static_cast<int64_t>(word * 64 + 63 - leading_zeros(ready.present[word]));
            require(marked == (ready.present[word] != 0), "ready_map", "the summary of ready priorities is wrong");
        }
        require(ready.highest == highest, "ready_map", "the highest ready priority is not what the map says");
        for (unsigned priority = 0; priority < abi::priorities; ++priority) {
            // Most are empty: of these only that they are is looked at.
            bool skips = priority % 64 == 0 && ready.present[priority / 64] == 0;
            if (skips) {
                if (all) require(are_empty(&ready.rings[priority]), "ready_map", "a thread is ready and not in the map");
                priority += 63;
                continue;
            }
            auto& ring = ready.rings[priority];
            bool present = (ready.present[priority / 64] >> (priority % 64) & 1) != 0;
            if (!present && ring.empty()) continue;
            require(present && !ring.empty(), "ready_map", "the map of ready priorities is wrong");
            Tcb* thread = ring.head;
            do {
                require(contains(threads_, thread), "ready_queue", "a dead thread is ready");
                require(thread->priority.raw == priority, "ready_queue", "a thread is ready at another priority", thread);
                require(thread->domain.raw == domain, "ready_queue", "a thread is ready in another domain", thread);
                require(thread->ready.next->ready.prev == thread, "ready_queue", "a ring of ready threads does not lead back", thread);
                thread = thread->ready.next;
            } while (thread != ring.head);
        }
    }

    Word check_heap(Tcb* thread, Tcb* parent) {
        if (thread == nullptr) return 0;
        require(contains(threads_, thread), "release_heap", "a dead thread waits for its refill");
        require(thread->release.parent == parent, "release_heap", "the release queue does not lead back", thread);
        require(parent == nullptr || !EarlierRelease::before(*thread, *parent), "release_heap", "the release queue is not in order",
                thread);
        Word left = check_heap(thread->release.left, thread);
        Word right = check_heap(thread->release.right, thread);
        require(left >= right && thread->release.rank == right + 1, "release_heap", "the release queue leans to the wrong side", thread);
        return thread->release.rank;
    }

    void check_domains() {
        const DomainTurn* schedule = kernel_.domain_schedule;
        require(kernel_.domain_start < abi::domain_schedule_entries && schedule[kernel_.domain_start].length != Ticks(0), "domain_schedule",
                "the schedule of domains starts at its end");
        require(core_.domain_entry < abi::domain_schedule_entries, "domain_schedule", "the turn in progress is no entry");
        require(core_.domain.raw < abi::domains, "domain_schedule", "the current domain does not exist");
        require(core_.ready == &core_.queues[core_.domain.raw], "current_domain", "the core looks at the queues of another domain");
    }

    bool fpu_open() const { return (core_.special & Special::fpu) != 0; }

    // The next interrupt of the timer comes before anything is late.
    void check_deadline() {
        Ticks deadline(host::hardware.deadline);
        require(deadline <= core_.domain_end, "timer_armed", "the timer misses the end of the domain's turn");
        // The next release keeps the smallest budget's distance from the last one.
        if (Tcb* thread = core_.release.least()) {
            Ticks due = std::max(thread->sched_context->first().time, core_.last_release + min_budget().raw);
            require(deadline <= due, "timer_armed", "the timer misses a refill", thread);
        }
        if (core_.current == nullptr) return;
        SchedContext& context = *core_.current_sched_context;
        require(deadline <= core_.charged_until + context.first().amount.raw, "timer_armed", "the timer misses the end of the budget",
                &context);
    }

    // What the hardware lets user level do is what the current thread may do.
    void check_access(const Tcb& thread) {
        const host::Hardware& hardware = host::hardware;
        require(hardware.pmu == (thread.thread_flags().pmu() != 0), "user_access", "the performance monitor is open to the wrong thread",
                &thread);
        require(hardware.physical_timer == (thread.thread_flags().physical_timer() != 0), "user_access",
                "the physical timer is open to the wrong thread", &thread);
        require(!fpu_open() || thread.thread_flags().fpu_disabled() == 0, "user_access",
                "the floating-point unit is open to the wrong thread", &thread);
        require(hardware.debug.has_value() == is_debugged(thread), "debug_armed", "the debug registers are another thread's", &thread);
        if (!hardware.debug) return;
        for (unsigned i = 0; i < DebugState::most; ++i) {
            bool same = same_point(hardware.debug->breakpoints[i], thread.debug.breakpoints[i]) &&
                        same_point(hardware.debug->watchpoints[i], thread.debug.watchpoints[i]);
            require(same, "debug_armed", "a breakpoint is armed as it was, not as it is", &thread);
        }
    }

    void check_core() {
        for (unsigned domain = 0; domain < abi::domains; ++domain) check_ready(core_.queues[domain], domain, false);
        check_heap(core_.release.root, nullptr);
        check_domains();
        check_deadline();
        require(core_.candidate == nullptr, "entry_settled", "a candidate is left over");
        require(!core_.reschedule, "entry_settled", "a reschedule is left over");
        if (core_.fpu_owner != nullptr)
            require(contains(threads_, core_.fpu_owner), "fpu_owner", "a dead thread owns the floating-point unit");
        require(host::hardware.fpu_enabled == fpu_open(), "fpu_owner", "the floating-point unit is not as the core thinks");
        if (core_.current == nullptr) {
            require(core_.current_context == &core_.idle, "current_context", "nobody runs, and yet not the idle loop");
            require(core_.queues[core_.domain.raw].highest < 0, "highest_runs", "the core idles with a thread ready");
            require(host::hardware.root == PhysAddr(0), "current_address_space", "the core idles in an address space");
            return;
        }
        Tcb& thread = *core_.current;
        require(contains(threads_, &thread), "current_runnable", "a dead thread runs");
        require(core_.current_context == &thread.context, "current_context", "another thread runs than the core thinks");
        require(schedulable(thread), "current_runnable", "a thread runs that must not");
        require(thread.sched_context == core_.current_sched_context, "current_sched_context",
                "a thread runs on another's scheduling context");
        require(thread.domain == core_.domain, "current_domain", "a thread runs in the turn of another domain");
        require(thread.priority.raw >= core_.queues[core_.domain.raw].highest, "highest_runs",
                "a thread runs before a more important one");
        require(!fpu_open() || core_.fpu_owner == &thread, "fpu_owner", "a thread uses another's floating-point registers");
        check_address_space(thread);
        check_access(thread);
    }

    void check_address_space(const Tcb& thread) {
        const Cap& cap = thread.cap(TcbSlot::VSpace);
        Asid asid(static_cast<uint16_t>(cap.is(CapType::VSpace) ? as<VSpaceCap>(cap).number() : 0));
        bool valid = asid != Asid(0) && vspace_of(kernel_, asid) == cap.object();
        require(host::hardware.root == (valid ? arch::to_physical(cap.object()) : PhysAddr(0)), "current_address_space",
                "a thread runs in another's address space");
        require(host::hardware.asid == (valid ? asid : Asid(0)), "current_address_space", "a thread runs with another's ASID");
    }

    // -- Replies

    void check_reply(Reply& reply) {
        if (reply.tcb == nullptr) {
            require(reply.prev == nullptr && reply.next == nullptr && reply.context == nullptr, "call_stack",
                    "a free reply object is in a stack of calls", &reply);
            return;
        }
        require(contains(threads_, reply.tcb), "reply_tie", "a reply object has a dead thread", &reply);
        require(reply.tcb->reply == &reply, "reply_tie", "a reply object's thread has another one", &reply);
        require(reply.prev == nullptr || reply.prev->next == &reply, "call_stack", "an older call does not lead to the newer", &reply);
        require(reply.next == nullptr || reply.next->prev == &reply, "call_stack", "a newer call does not lead to the older", &reply);
        require(reply.context == nullptr || reply.context->reply == &reply, "call_stack",
                "a reply object is not on top of its scheduling context", &reply);
        bool receiving = reply.tcb->state == ThreadState::BlockedOnReceive;
        require(!receiving || (reply.prev == nullptr && reply.next == nullptr && reply.context == nullptr), "call_stack",
                "a receiver's reply object is in a stack", &reply);
    }

    // -- Interrupts

    void check_irqs() {
        std::vector<Word> handlers;
        for (Slot* slot : slots_) {
            if (slot->cap.is(CapType::IRQHandler)) handlers.push_back(as<IrqHandlerCap>(slot->cap).number());
        }
        for (Word irq = 0; irq < Kernel::max_irqs; ++irq) {
            if (!kernel_.irq_issued[irq] && kernel_.irq_notifications[irq].empty()) continue;
            require(kernel_.irq_issued[irq], "irq_issued", "an interrupt without a handler has a notification");
            require(contains(handlers, irq), "irq_issued", "an interrupt counts as issued, and has no handler");
        }
        for (Word irq : handlers) require(kernel_.irq_issued[irq], "irq_issued", "an interrupt has a handler and counts as free");
        for (Slot* slot : irq_slots_)
            require(slot->cap.is(CapType::Notification), "irq_notification", "an interrupt signals no notification");
    }

    // -- Deep checks

    // The slots that a capability is the way to; empty for what is no container.
    static Range<const Slot*> slots_of(const Cap& cap) {
        bool tcb = cap.is(CapType::TCB) || (cap.is(CapType::Zombie) && as<ZombieCap>(cap).is_tcb());
        if (tcb) return {cap.as_object<Tcb>().slots, cap.as_object<Tcb>().slots + tcb_slots};
        const Slot* first = arch::pointer<Slot>(cap.object());
        if (cap.is(CapType::CNode)) return {first, first + (Word{1} << as<CNodeCap>(cap).radix())};
        if (cap.is(CapType::Zombie)) return {first, first + (Word{1} << as<ZombieCap>(cap).radix())};
        return {};
    }

    void check_slots() {
        std::vector<Range<const Slot*>> ranges;
        for (Slot* slot : slots_) {
            Range<const Slot*> range = slots_of(slot->cap);
            if (range.start != nullptr) ranges.push_back(range);
        }
        std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
        for (Slot* slot : slots_) {
            if (is_irq_slot(*slot)) continue;
            auto behind = std::upper_bound(ranges.begin(), ranges.end(), slot, [](const Slot* at, const auto& range) { return at < range.start; });
            require(behind != ranges.begin() && slot < (behind - 1)->end, "slots_in_containers", "a capability lies in no CNode and no thread", slot);
        }
    }

    // Walks each list with the stack of untypeds that the slot lies below: every object must lie in the used part of the innermost one.
    void check_derivation() {
        for (Slot* head : slots_) {
            if (head->prev() != nullptr) continue;
            std::vector<Slot*> above;
            for (Slot* slot = head; slot != nullptr; slot = slot->next()) check_parent(*slot, above);
        }
    }

    static bool inside(const Range<KernAddr>& inner, const Range<KernAddr>& outer) {
        return outer.start <= inner.start && inner.end <= outer.end;
    }

    void check_parent(Slot& slot, std::vector<Slot*>& above) {
        Range<KernAddr> memory = memory_of(slot.cap);
        if (!memory.empty()) {
            while (!above.empty() && !inside(memory, memory_of(above.back()->cap))) above.pop_back();
            if (!above.empty()) {
                const UntypedCap& parent = as<UntypedCap>(above.back()->cap);
                Word used = parent.watermark();
                require(memory.end - parent.object() <= used, "untyped_watermark", "an object lies in free memory", &slot);
            }
        }
        if (slot.cap.is(CapType::Untyped)) above.push_back(&slot);
        for (Slot* ancestor : above) {
            // Whatever lies in an untyped's memory must be found by revoking it.
            if (ancestor != &slot && !memory.empty())
                require(is_parent(*ancestor, slot), "untyped_children", "an object is not derived from its untyped", &slot);
        }
    }

    // Objects of one kind that are named twice are named by neighbours; different objects do not overlap; untypeds nest.
    void check_disjoint() {
        std::vector<Place>& places = places_;
        for (Slot* slot : slots_) {
            Range<KernAddr> memory = memory_of(slot->cap);
            if (!memory.empty() && !slot->cap.is(CapType::Untyped)) places.push_back({memory, slot});
        }
        std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.memory.start < b.memory.start; });
        for (std::size_t i = 1; i < places.size(); ++i) {
            const Place& a = places[i - 1];
            const Place& b = places[i];
            if (b.memory.start >= a.memory.end) continue;
            require(same_object(a.slot->cap, b.slot->cap), "objects_disjoint", "two objects share memory", b.slot);
        }
        for (std::size_t first = 0; first < places.size();) {
            std::size_t end = first + 1;
            while (end < places.size() && places[end].memory.start == places[first].memory.start) ++end;
            check_run(first, end);
            first = end;
        }
    }

    // Of the slots at the same address, one whose object others name too has one of them beside it, or it counts as the last.
    void check_run(std::size_t first, std::size_t end) {
        for (std::size_t i = first; i < end; ++i) {
            Slot& slot = *places_[i].slot;
            if (!is_final(slot)) continue;
            for (std::size_t j = first; j < end; ++j) {
                require(j == i || !same_object(slot.cap, places_[j].slot->cap), "finality",
                        "a capability counts as the last of its object and is not", &slot);
            }
        }
    }

    void check_pools() {
        for (Word i = 0; i < abi::asid_pools; ++i) {
            AsidPool* pool = kernel_.asid_pools[i];
            if (pool == nullptr) continue;
            require(named(CapType::ASIDPool, pool, i * abi::asid_pool_entries), "asid_pool_named",
                    "an ASID pool is in use without a capability", pool);
            for (Word entry = 0; entry < abi::asid_pool_entries; ++entry) {
                KernAddr root = pool->vspace[entry];
                if (root == KernAddr(0)) continue;
                Word asid = i * abi::asid_pool_entries + entry;
                require(named(CapType::VSpace, arch::pointer<void>(root), asid), "asid_named", "an ASID belongs to a dead VSpace", pool);
                check_table(root, 0, asid, 0);
            }
        }
    }

    bool named(CapType type, const void* object, Word number) const {
        for (Slot* slot : slots_) {
            if (slot->cap.is(type) && arch::pointer<void>(slot->cap.object()) == object && slot->cap.w1 == number) return true;
        }
        return false;
    }

    void check_table(KernAddr table, unsigned level, Word asid, Word address) {
        arch::Pte* entries = arch::pointer<arch::Pte>(table);
        constexpr Word group = 16;
        for (Word i = 0; i < 512; ++i) {
            // Most are empty.
            if (i % group == 0 && std::all_of(entries + i, entries + i + group, [](arch::Pte entry) { return entry == 0; })) {
                i += group - 1;
                continue;
            }
            if (!arch::entry_present(entries[i])) continue;
            Word at = address + (i << level_shift(level));
            bool is_table = arch::entry_is_table(entries[i], level);
            PhysAddr target = arch::entry_address(entries[i]);
            require(mapped(is_table, arch::to_kernel(target), level, asid, at), "mapping_named",
                    "a page table leads to what is not mapped there", entries + i);
            if (is_table) check_table(arch::to_kernel(target), level + 1, asid, at);
        }
    }

    bool mapped(bool table, KernAddr object, unsigned level, Word asid, Word address) const {
        for (Slot* slot : slots_) {
            if (!slot->cap.is(table ? CapType::PageTable : CapType::Frame) || slot->cap.object() != object) continue;
            const MappedCap& cap = as<MappedCap>(slot->cap);
            unsigned cap_level = table ? as<PageTableCap>(slot->cap).level() - 1 : as<FrameCap>(slot->cap).level();
            if (cap.is_mapped() && cap.asid().raw == asid && cap.address().raw == address && cap_level == level) return true;
        }
        return false;
    }

    Core& core_;
    Kernel& kernel_;
    Found& found_ = cleared(found);
    std::vector<Slot*>& containers_ = found_.containers;
    std::vector<Slot*>& work_ = found_.work;
    std::vector<Slot*>& slots_ = found_.slots;
    std::vector<Slot*>& irq_slots_ = found_.irq_slots;
    std::vector<Tcb*>& threads_ = found_.threads;
    std::vector<SchedContext*>& contexts_ = found_.contexts;
    std::vector<Reply*>& replies_ = found_.replies;
    std::vector<Endpoint*>& endpoints_ = found_.endpoints;
    std::vector<Notification*>& notifications_ = found_.notifications;
    std::vector<Place>& places_ = found_.places;
};

}  // namespace

std::vector<Live> find_live(Core& core, Slot* slots, Word count) { return Check(core, slots, count).live(); }

void check_invariants(Core& core, Slot* slots, Word count, bool deep) {
    Check check(core, slots, count);
    check.shallow();
    if (deep) check.deep();
}

}  // namespace caprock::test
