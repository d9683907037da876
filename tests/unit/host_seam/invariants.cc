// SPDX-License-Identifier: BSD-2-Clause
#include "invariants.hpp"

#include "host_seam.hpp"
#include "object/endpoint.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "object/vspace.hpp"
#include "sched/scheduler.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace caprock::test {

namespace {

void require(bool condition, const char* invariant) {
    if (!condition) throw Broken(invariant);
}

void require(bool condition, const char* invariant, const void* where) {
    if (condition) return;
    Word offset = reinterpret_cast<Word>(where) - arch::to_kernel(PhysAddr(host::ram_start)).raw;
    throw Broken(std::string(invariant) + " (at memory offset " + std::to_string(offset) + ")");
}

// Marks of what was seen in this check, one for each place of 16 bytes in memory: numbers of checks, so that nothing needs to be cleared.
class Marks {
public:
    void next() { ++check_; }
    // True the first time in a check.
    bool add(const void* place) {
        Word index = index_of(place);
        require(index < places_.size(), "a pointer leads outside memory", place);
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
        for (Tcb* thread : threads_) require(!thread->wait.linked() || seen_waiting.has(thread), "a thread waits in no queue", thread);
        check_irqs();
        check_core();
    }

    void deep() {
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
        require(slot.next() == nullptr || !slot.next()->empty(), "the next slot in the derivation list is empty", &slot);
        require(slot.prev() == nullptr || !slot.prev()->empty(), "the previous slot in the derivation list is empty", &slot);
        if (slot.next() != nullptr) add_slot(*slot.next());
        if (slot.prev() != nullptr) add_slot(*slot.prev());
        check_cap(slot.cap);
    }

    void check_cap(const Cap& cap) {
        Range<KernAddr> memory = memory_of(cap);
        if (is_device(cap) || memory.empty()) return;
        require(arch::to_physical(memory.start).raw >= host::ram_start, "a capability's object is no memory",
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
        require(zombie.slots() <= size, "a zombie counts more slots than it has", first);
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
        require(slot.next() == nullptr || slot.next()->prev() == &slot, "a slot's successor does not lead back", &slot);
        require(slot.prev() == nullptr || slot.prev()->next() == &slot, "a slot's predecessor does not lead to it", &slot);
    }

    // -- Queues

    static WaitHook<Tcb>& hook(Tcb& thread) { return thread.wait; }

    // Calls `visit` for every thread of a queue, and checks the queue's shape.
    template <class Visit>
    void walk(const PrioQueue<Tcb>& queue, Visit visit) {
        int above = 256;
        Tcb* higher = nullptr;
        for (Tcb* leader = queue.head; leader != nullptr; leader = leader->wait.lower) {
            require(hook(*leader).leader, "the first of a priority is no leader", leader);
            require(hook(*leader).higher == higher, "a group of waiting threads does not lead back", leader);
            require(leader->priority.raw < above, "groups of waiting threads are not in order", leader);
            above = leader->priority.raw;
            higher = leader;
            Tcb* thread = leader;
            do {
                require(seen_waiting.add(thread), "a thread waits twice", thread);
                require(thread == leader || !hook(*thread).leader, "a group has two leaders", thread);
                require(thread->priority == leader->priority, "a thread waits among those of another priority", thread);
                require(hook(*hook(*thread).ring.next).ring.prev == thread, "a ring of waiting threads does not lead back", thread);
                visit(*thread);
                thread = hook(*thread).ring.next;
            } while (thread != leader);
        }
    }

    void check_endpoint(Endpoint& endpoint) {
        require((endpoint.state == Endpoint::State::Idle) == endpoint.queue.empty(), "an endpoint's state is not its queue's", &endpoint);
        ThreadState expected = endpoint.state == Endpoint::State::Send ? ThreadState::BlockedOnSend : ThreadState::BlockedOnReceive;
        walk(endpoint.queue, [&](Tcb& thread) {
            require(thread.state == expected, "a thread waits at an endpoint in another state", &thread);
            require(thread.endpoint == &endpoint, "a thread waits at another endpoint than it says", &thread);
        });
    }

    void check_notification(Notification& notification) {
        bool waiting = notification.state == Notification::State::Waiting;
        require(waiting == !notification.queue.empty(), "a notification's state is not its queue's", &notification);
        require(notification.state == Notification::State::Active || notification.word == 0, "an inactive notification has flags",
                &notification);
        walk(notification.queue, [&](Tcb& thread) {
            require(thread.state == ThreadState::BlockedOnNotification, "a thread waits at a notification in another state", &thread);
            require(thread.notification == &notification, "a thread waits at another notification than it says", &thread);
        });
        if (Tcb* bound = notification.bound_tcb) {
            require(contains(threads_, bound), "a notification is bound to a dead thread", &notification);
            require(bound->bound_notification == &notification, "a bound thread is not bound to its notification", &notification);
        }
        if (SchedContext* context = notification.sched_context) {
            require(contains(contexts_, context), "a notification has a dead scheduling context", &notification);
            require(context->notification == &notification, "a notification's scheduling context is not its own", &notification);
        }
    }

    // -- Threads

    void check_thread(Tcb& thread) {
        bool in_endpoint = thread.state == ThreadState::BlockedOnSend || thread.state == ThreadState::BlockedOnReceive;
        bool in_notification = thread.state == ThreadState::BlockedOnNotification;
        require(thread.wait.linked() == (in_endpoint || in_notification), "a thread waits and does not, or does and should not", &thread);
        if (in_endpoint) require(contains(endpoints_, thread.endpoint), "a thread waits at a dead endpoint", &thread);
        if (in_notification) require(contains(notifications_, thread.notification), "a thread waits at a dead notification", &thread);
        bool may_have_reply = thread.state == ThreadState::BlockedOnReceive || thread.state == ThreadState::BlockedOnReply;
        require(thread.reply == nullptr || may_have_reply, "a thread that waits for no reply has a reply object", &thread);
        require(thread.reply != nullptr || thread.state != ThreadState::BlockedOnReply, "a thread waits for a reply without reply object",
                &thread);
        if (thread.reply != nullptr) {
            require(contains(replies_, thread.reply), "a thread has a dead reply object", &thread);
            require(thread.reply->tcb == &thread, "a thread's reply object is not its own", &thread);
        }
        require(!thread.faulted() || thread.state == ThreadState::BlockedOnSend || thread.state == ThreadState::BlockedOnReply,
                "a thread has a fault that nobody handles", &thread);
        if (Notification* bound = thread.bound_notification) {
            require(contains(notifications_, bound), "a thread is bound to a dead notification", &thread);
            require(bound->bound_tcb == &thread, "a thread's notification is not bound to it", &thread);
        }
        if (SchedContext* context = thread.sched_context) {
            require(contains(contexts_, context), "a thread has a dead scheduling context", &thread);
            require(context->tcb == &thread, "a thread's scheduling context is not its own", &thread);
        }
        check_placement(thread);
    }

    void check_placement(Tcb& thread) {
        bool current = core_.current == &thread;
        bool could_run = thread.state == ThreadState::Running && thread.sched_context != nullptr && thread.sched_context->configured();
        int places = int{current} + int{thread.ready.linked()} + int{thread.release.linked()};
        require(places == int{could_run},
                could_run ? "a thread that could run is in none or two of the queues" : "a thread that cannot run is in a queue", &thread);
    }

    // -- Scheduling

    void check_context(SchedContext& context) {
        if (context.tcb != nullptr) {
            require(contains(threads_, context.tcb), "a scheduling context has a dead thread", &context);
            require(context.tcb->sched_context == &context, "a scheduling context's thread is not its own", &context);
        }
        if (context.notification != nullptr) {
            require(contains(notifications_, context.notification), "a scheduling context has a dead notification", &context);
            require(context.notification->sched_context == &context, "a scheduling context's notification is not its own", &context);
        }
        check_stack(context);
        if (context.configured()) check_refills(context);
    }

    void check_stack(SchedContext& context) {
        Reply* newer = nullptr;
        Word depth = 0;
        for (Reply* reply = context.reply; reply != nullptr; reply = reply->prev) {
            require(contains(replies_, reply), "a dead reply object is in a stack of calls", &context);
            require(reply->next == newer, "a stack of calls does not lead back", &context);
            require(reply->context == (newer == nullptr ? &context : nullptr), "not the newest call only knows the scheduling context",
                    &context);
            require(++depth <= replies_.size(), "a stack of calls is a ring", &context);
            newer = reply;
        }
    }

    void check_refills(SchedContext& context) {
        require(context.count >= 1 && context.count <= context.refill_max && context.head < context.refill_max,
                "a ring of refills is out of bounds", &context);
        if (context.round_robin()) {
            require(context.count == 1 && context.first().amount <= context.budget, "a round robin is more than its budget", &context);
            return;
        }
        Ticks sum(0);
        for (unsigned i = 0; i < context.count; ++i) {
            Refill& refill = context.refill(i);
            require(refill.amount > Ticks(0), "a refill is empty", &context);
            if (i > 0) {
                Refill& before = context.refill(i - 1);
                require(before.time + before.amount.raw <= refill.time, "refills are not in order", &context);
            }
            sum += refill.amount.raw;
        }
        require(sum == context.budget, "refills do not sum to the budget", &context);
        require(context.first().amount >= min_budget(), "the first refill is too small to run on", &context);
    }

    void check_ready() {
        for (unsigned priority = 0; priority < abi::priorities; ++priority) {
            auto& ring = core_.ready.rings[priority];
            bool present = (core_.ready.present[priority / 64] >> (priority % 64) & 1) != 0;
            require(present == !ring.empty(), "the map of ready priorities is wrong");
            if (ring.empty()) continue;
            Tcb* thread = ring.head;
            do {
                require(contains(threads_, thread), "a dead thread is ready");
                require(thread->priority.raw == priority, "a thread is ready at another priority", thread);
                require(thread->ready.next->ready.prev == thread, "a ring of ready threads does not lead back", thread);
                thread = thread->ready.next;
            } while (thread != ring.head);
        }
    }

    Word check_heap(Tcb* thread, Tcb* parent) {
        if (thread == nullptr) return 0;
        require(contains(threads_, thread), "a dead thread waits for its refill");
        require(thread->release.parent == parent, "the release queue does not lead back", thread);
        require(parent == nullptr || !EarlierRelease::before(*thread, *parent), "the release queue is not in order", thread);
        Word left = check_heap(thread->release.left, thread);
        Word right = check_heap(thread->release.right, thread);
        require(left >= right && thread->release.rank == right + 1, "the release queue leans to the wrong side", thread);
        return thread->release.rank;
    }

    void check_core() {
        check_ready();
        check_heap(core_.release.root, nullptr);
        require(core_.candidate == nullptr, "a candidate is left over");
        require(!core_.reschedule, "a reschedule is left over");
        if (core_.fpu_owner != nullptr) require(contains(threads_, core_.fpu_owner), "a dead thread owns the floating-point unit");
        require(host::hardware.fpu_enabled == core_.fpu_enabled, "the floating-point unit is not as the core thinks");
        if (core_.current == nullptr) {
            require(core_.current_context == &core_.idle, "nobody runs, and yet not the idle loop");
            require(core_.ready.highest() < 0, "the core idles with a thread ready");
            require(host::hardware.root == PhysAddr(0), "the core idles in an address space");
            return;
        }
        Tcb& thread = *core_.current;
        require(contains(threads_, &thread), "a dead thread runs");
        require(core_.current_context == &thread.context, "another thread runs than the core thinks");
        require(schedulable(thread), "a thread runs that must not");
        require(thread.sched_context == core_.current_sched_context, "a thread runs on another's scheduling context");
        require(thread.priority.raw >= core_.ready.highest(), "a thread runs before a more important one");
        require(!core_.fpu_enabled || core_.fpu_owner == &thread, "a thread uses another's floating-point registers");
        check_address_space(thread);
    }

    void check_address_space(const Tcb& thread) {
        const Cap& cap = thread.cap(TcbSlot::VSpace);
        Asid asid(static_cast<uint16_t>(cap.is(CapType::VSpace) ? as<VSpaceCap>(cap).number() : 0));
        bool valid = asid != Asid(0) && vspace_of(kernel_, asid) == cap.object();
        require(host::hardware.root == (valid ? arch::to_physical(cap.object()) : PhysAddr(0)), "a thread runs in another's address space");
        require(host::hardware.asid == (valid ? asid : Asid(0)), "a thread runs with another's ASID");
    }

    // -- Replies

    void check_reply(Reply& reply) {
        if (reply.tcb == nullptr) {
            require(reply.prev == nullptr && reply.next == nullptr && reply.context == nullptr,
                    "a free reply object is in a stack of calls", &reply);
            return;
        }
        require(contains(threads_, reply.tcb), "a reply object has a dead thread", &reply);
        require(reply.tcb->reply == &reply, "a reply object's thread has another one", &reply);
        require(reply.prev == nullptr || reply.prev->next == &reply, "an older call does not lead to the newer", &reply);
        require(reply.next == nullptr || reply.next->prev == &reply, "a newer call does not lead to the older", &reply);
        require(reply.context == nullptr || reply.context->reply == &reply, "a reply object is not on top of its scheduling context",
                &reply);
        bool receiving = reply.tcb->state == ThreadState::BlockedOnReceive;
        require(!receiving || (reply.prev == nullptr && reply.next == nullptr && reply.context == nullptr),
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
            require(kernel_.irq_issued[irq], "an interrupt without a handler has a notification");
            require(contains(handlers, irq), "an interrupt counts as issued, and has no handler");
        }
        for (Word irq : handlers) require(kernel_.irq_issued[irq], "an interrupt has a handler and counts as free");
        for (Slot* slot : irq_slots_) require(slot->cap.is(CapType::Notification), "an interrupt signals no notification");
    }

    // -- Deep checks

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
                require(memory.end - parent.object() <= used, "an object lies in free memory", &slot);
            }
        }
        if (slot.cap.is(CapType::Untyped)) above.push_back(&slot);
        for (Slot* ancestor : above) {
            // Whatever lies in an untyped's memory must be found by revoking it.
            if (ancestor != &slot && !memory.empty())
                require(is_parent(*ancestor, slot), "an object is not derived from its untyped", &slot);
        }
    }

    // Objects of one kind that are named twice are named by neighbours; different objects do not overlap; untypeds nest.
    void check_disjoint() {
        struct Place {
            Range<KernAddr> memory;
            Slot* slot;
        };
        std::vector<Place> places;
        for (Slot* slot : slots_) {
            Range<KernAddr> memory = memory_of(slot->cap);
            if (!memory.empty() && !slot->cap.is(CapType::Untyped)) places.push_back({memory, slot});
        }
        std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.memory.start < b.memory.start; });
        for (std::size_t i = 1; i < places.size(); ++i) {
            const Place& a = places[i - 1];
            const Place& b = places[i];
            if (b.memory.start >= a.memory.end) continue;
            require(same_object(a.slot->cap, b.slot->cap), "two objects share memory", b.slot);
        }
        for (const Place& place : places) check_run(*place.slot);
    }

    // A slot whose object others name too has one of them beside it, or it counts as the last.
    void check_run(Slot& slot) {
        if (!is_final(slot)) return;
        for (Slot* other : slots_) {
            if (other != &slot)
                require(!same_object(slot.cap, other->cap), "a capability counts as the last of its object and is not", &slot);
        }
    }

    void check_pools() {
        for (Word i = 0; i < abi::asid_pools; ++i) {
            AsidPool* pool = kernel_.asid_pools[i];
            if (pool == nullptr) continue;
            require(named(CapType::ASIDPool, pool, i * abi::asid_pool_entries), "an ASID pool is in use without a capability", pool);
            for (Word entry = 0; entry < abi::asid_pool_entries; ++entry) {
                KernAddr root = pool->vspace[entry];
                if (root == KernAddr(0)) continue;
                Word asid = i * abi::asid_pool_entries + entry;
                require(named(CapType::VSpace, arch::pointer<void>(root), asid), "an ASID belongs to a dead VSpace", pool);
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
        for (Word i = 0; i < 512; ++i) {
            if (!arch::entry_present(entries[i])) continue;
            Word at = address + (i << level_shift(level));
            bool is_table = arch::entry_is_table(entries[i], level);
            PhysAddr target = arch::entry_address(entries[i]);
            require(mapped(is_table, arch::to_kernel(target), level, asid, at), "a page table leads to what is not mapped there",
                    entries + i);
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
    std::vector<Slot*> containers_;
    std::vector<Slot*> work_;
    std::vector<Slot*> slots_;
    std::vector<Slot*> irq_slots_;
    std::vector<Tcb*> threads_;
    std::vector<SchedContext*> contexts_;
    std::vector<Reply*> replies_;
    std::vector<Endpoint*> endpoints_;
    std::vector<Notification*> notifications_;
};

}  // namespace

void check_invariants(Core& core, Slot* slots, Word count, bool deep) {
    Check check(core, slots, count);
    check.shallow();
    if (deep) check.deep();
}

}  // namespace caprock::test
