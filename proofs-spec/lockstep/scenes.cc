// SPDX-License-Identifier: BSD-2-Clause
#include "scenes.hpp"

#include "ipc/message.hpp"

#include <algorithm>
#include <iterator>

namespace caprock::lockstep {

using abi::InitSlot;
using abi::Method;
using abi::ObjectType;
using abi::Syscall;
using host::hardware;
using test::Thread;
using test::World;

namespace {

constexpr Word depth = World::full_depth;
constexpr Word root_cnode = static_cast<Word>(InitSlot::CNode);
constexpr Word code = 0x500000;
constexpr Word far_away = 100'000'000;

std::string text(Word number) { return std::to_string(number); }

// -- Messages: three threads, an endpoint with and without badge, two reply objects, a notification.

void build_messages(Scene& scene) {
    World& w = scene.world();
    Thread threads[] = {scene.thread(10), scene.thread(10), scene.thread(11)};
    Word endpoint = w.make(ObjectType::Endpoint);
    Word badged = w.mint(endpoint, 5);
    Word replies = w.make(ObjectType::Reply, 0, 2);
    Word notification = w.make(ObjectType::Notification);
    Word signal = w.mint(notification, 2);
    Word empty = w.fresh(2);
    for (const Thread& thread : threads) {
        thread.ipc().receive_cnode = root_cnode;
        thread.ipc().receive_index = empty;
        thread.ipc().receive_depth = depth;
        w.must(thread.tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint});
    }
    for (Word target : {endpoint, badged}) {
        std::string which = target == endpoint ? "" : " with badge";
        scene.call("Call" + which, Syscall::Call, target, {1, {7}, {}});
        scene.call("Send" + which, Syscall::Send, target, {2, {8, 9}, {}});
        scene.call("NBSend" + which, Syscall::NBSend, target, {3, {}, {}});
    }
    scene.call("Call with a capability", Syscall::Call, badged, {1, {7, 1, 2, 3, 4}, {signal}});
    scene.call("Recv", Syscall::Recv, endpoint, {}, replies);
    scene.call("Recv with the other reply", Syscall::Recv, endpoint, {}, replies + 1);
    scene.call("Recv that wants time", Syscall::Recv, endpoint, {}, replies, 0, abi::syscall_flag_require_donation);
    scene.call("NBRecv", Syscall::NBRecv, endpoint, {}, replies);
    scene.call("Wait for messages", Syscall::Wait, endpoint);
    scene.call("ReplyRecv", Syscall::ReplyRecv, endpoint, {0, {6}, {}}, replies);
    scene.call("Send an answer", Syscall::Send, replies, {0, {5}, {}});
    scene.call("Send the other answer", Syscall::Send, replies + 1, {1, {5}, {}});
    scene.call("NBSendRecv", Syscall::NBSendRecv, endpoint, {4, {3}, {}}, replies + 1, badged);
    scene.call("NBSendWait", Syscall::NBSendWait, notification, {4, {3}, {}}, 0, endpoint);
    scene.call("Signal", Syscall::NBSend, signal);
    scene.call("Wait", Syscall::Wait, notification);
    scene.call("NBWait", Syscall::NBWait, notification);
    scene.call("Yield", Syscall::Yield, 0);
    scene.invoke("CancelBadgedSends", root_cnode, Method::CNodeCancelBadgedSends, {badged, depth});
    scene.invoke("Delete a reply", root_cnode, Method::CNodeDelete, {replies, depth});
    scene.invoke("Revoke the endpoint", root_cnode, Method::CNodeRevoke, {endpoint, depth});
    scene.invoke("Delete what was received", root_cnode, Method::CNodeDelete, {empty, depth});
    for (unsigned i = 0; i < std::size(threads); ++i) {
        const Thread& thread = threads[i];
        scene.invoke("Suspend " + text(i), thread.tcb, Method::TCBSuspend);
        scene.invoke("Resume " + text(i), thread.tcb, Method::TCBResume);
        scene.invoke("BindNotification " + text(i), thread.tcb, Method::TCBBindNotification, {}, {notification});
        scene.invoke("Unbind the context of " + text(i), thread.context, Method::SchedContextUnbind);
    }
    scene.invoke("Unbind the notification of 0", threads[0].tcb, Method::TCBUnbindNotification);
    scene.invoke("Bind the context of 1 to the notification", threads[1].context, Method::SchedContextBind, {}, {notification});
    scene.invoke("SetPriority 0", threads[0].tcb, Method::TCBSetPriority, {12}, {static_cast<Word>(InitSlot::TCB)});
    scene.invoke("ReadRegisters 2", threads[2].tcb, Method::TCBReadRegisters, {0, 8});
    scene.invoke("WriteRegisters 1", threads[1].tcb, Method::TCBWriteRegisters, {1, 1, code});
    scene.add_fault();
}

// -- Calls: two passive servers that wait, and two clients. One server is the other one's client, or takes its place.

// The thread waits for calls, and has no scheduling context then.
void serve(World& w, const Thread& server, Word endpoint, Word reply) {
    w.run(server);
    w.syscall(Syscall::Recv, endpoint, {}, reply);
    w.must(server.context, Method::SchedContextUnbind);
    w.must(server.tcb, Method::TCBSetPriority, {server.priority.raw}, {static_cast<Word>(InitSlot::TCB)});
}

void build_calls(Scene& scene) {
    World& w = scene.world();
    Thread servers[] = {scene.thread(12), scene.thread(12)};
    Thread clients[] = {scene.thread(10, {.budget_us = 100, .period_us = 300, .badge = 3}), scene.thread(10)};
    Word endpoints[] = {w.make(ObjectType::Endpoint), w.make(ObjectType::Endpoint)};
    Word replies = w.make(ObjectType::Reply, 0, 2);
    Word notification = w.make(ObjectType::Notification);
    constexpr abi::CapRights send_only{1};
    constexpr abi::CapRights receive_only{2};
    constexpr abi::CapRights send_with_answer{9};
    Word badged = w.mint(endpoints[0], 5, send_with_answer);
    Word unanswered = w.copy(endpoints[0], send_only);
    Word weak = w.copy(endpoints[0], receive_only);
    for (unsigned i = 0; i < std::size(servers); ++i) serve(w, servers[i], endpoints[i], replies + i);
    for (unsigned i = 0; i < std::size(endpoints); ++i) {
        Word endpoint = endpoints[i];
        std::string number = " " + text(i);
        scene.call("Call" + number, Syscall::Call, endpoint, {1, {7}, {}});
        scene.call("Call with much" + number, Syscall::Call, endpoint, {2, std::vector<Word>(13, 6), {}});
        scene.call("ReplyRecv" + number, Syscall::ReplyRecv, endpoint, {3, {1, 2, 3, 4, 5}, {}}, replies + i);
        scene.call("ReplyRecv that wants time" + number, Syscall::ReplyRecv, endpoint, {0, {}, {}}, replies + i, 0, abi::syscall_flag_require_donation);
        scene.call("Recv" + number, Syscall::Recv, endpoint, {}, replies + i);
        scene.invoke("Unbind the context of server" + number, servers[i].context, Method::SchedContextUnbind);
        scene.invoke("Bind the context of server" + number, servers[i].context, Method::SchedContextBind, {}, {servers[i].tcb});
        scene.invoke("SetPriority of server" + number, servers[i].tcb, Method::TCBSetPriority, {9}, {static_cast<Word>(InitSlot::TCB)});
        scene.invoke("Suspend server" + number, servers[i].tcb, Method::TCBSuspend);
        scene.invoke("Resume server" + number, servers[i].tcb, Method::TCBResume);
        scene.invoke("Suspend client" + number, clients[i].tcb, Method::TCBSuspend);
        scene.invoke("Resume client" + number, clients[i].tcb, Method::TCBResume);
        scene.invoke("Unbind the context of client" + number, clients[i].context, Method::SchedContextUnbind);
        scene.invoke("Bind the context of server 0 to client" + number, servers[0].context, Method::SchedContextBind, {}, {clients[i].tcb});
        scene.invoke("Delete reply" + number, root_cnode, Method::CNodeDelete, {replies + i, depth});
    }
    scene.call("Call with badge", Syscall::Call, badged, {1, {7}, {}});
    scene.call("Call that is not answered", Syscall::Call, unanswered, {1, {7}, {}});
    scene.call("Call with a capability", Syscall::Call, endpoints[0], {1, {7}, {badged}});
    scene.call("Send", Syscall::Send, badged, {1, {7}, {}});
    scene.call("ReplyRecv without grant", Syscall::ReplyRecv, weak, {0, {9}, {}}, replies);
    scene.call("ReplyRecv with a capability", Syscall::ReplyRecv, endpoints[0], {0, {9}, {badged}}, replies);
    scene.call("ReplyRecv from the other's clients", Syscall::ReplyRecv, endpoints[1], {0, {9}, {}}, replies);
    scene.call("ReplyRecv without a right", Syscall::ReplyRecv, unanswered, {0, {9}, {}}, replies);
    scene.call("Send an answer", Syscall::Send, replies, {0, {5}, {}});
    scene.invoke("BindNotification", servers[0].tcb, Method::TCBBindNotification, {}, {notification});
    scene.invoke("UnbindNotification", servers[0].tcb, Method::TCBUnbindNotification);
    scene.invoke("Bind the context of server 1 to the notification", servers[1].context, Method::SchedContextBind, {}, {notification});
    scene.call("Signal", Syscall::NBSend, notification);
    scene.invoke("Set the domain of server 0", static_cast<Word>(InitSlot::Domain), Method::DomainSet, {1}, {servers[0].tcb});
    scene.invoke("Set the domain of client 0", static_cast<Word>(InitSlot::Domain), Method::DomainSet, {1}, {clients[0].tcb});
    scene.invoke("Revoke the endpoint", root_cnode, Method::CNodeRevoke, {endpoints[0], depth});
    scene.call("Yield", Syscall::Yield, 0);
    scene.add_fault();
    scene.add_time();
}

// -- Capabilities: a CNode of four slots and an untyped.

void build_capabilities(Scene& scene) {
    World& w = scene.world();
    scene.thread(10);
    constexpr Word radix = 2;
    constexpr Word slots = Word{1} << radix;
    Word cnode = w.make(ObjectType::CNode, radix);
    Word untyped = w.make(ObjectType::Untyped, 12);
    auto retype = [&](const std::string& what, ObjectType type, Word bits, Word slot, Word count, unsigned preempt = 0) {
        scene.invoke("Retype " + what + " in " + text(slot), untyped, Method::UntypedRetype,
                     {static_cast<Word>(type), bits, 0, 0, slot, count}, {cnode}, preempt);
    };
    for (Word slot = 0; slot < slots; ++slot) {
        retype("Endpoint", ObjectType::Endpoint, 0, slot, 1);
        scene.invoke("Delete " + text(slot), cnode, Method::CNodeDelete, {slot, radix});
        scene.invoke("Revoke " + text(slot), cnode, Method::CNodeRevoke, {slot, radix});
        scene.invoke("Revoke, preempted, " + text(slot), cnode, Method::CNodeRevoke, {slot, radix}, {}, 1);
        Word next = (slot + 1) % slots;
        scene.invoke("Copy " + text(slot), cnode, Method::CNodeCopy, {next, radix, slot, radix, 15}, {cnode});
        scene.invoke("Copy with less rights " + text(slot), cnode, Method::CNodeCopy, {(slot + 2) % slots, radix, slot, radix, 1}, {cnode});
        scene.invoke("Mint " + text(slot), cnode, Method::CNodeMint, {next, radix, slot, radix, 15, 3}, {cnode});
        scene.invoke("Move " + text(slot), cnode, Method::CNodeMove, {(slot + 3) % slots, radix, slot, radix}, {cnode});
        scene.invoke("Mutate " + text(slot), cnode, Method::CNodeMutate, {next, radix, slot, radix, 4}, {cnode});
        scene.invoke("Rotate " + text(slot), cnode, Method::CNodeRotate, {slot, radix, 0, next, radix, 0, slot, radix}, {cnode, cnode});
    }
    retype("Untyped", ObjectType::Untyped, 8, 0, 1);
    retype("CNode", ObjectType::CNode, 1, 1, 1);
    retype("TCB", ObjectType::TCB, 0, 2, 1);
    retype("two Notifications", ObjectType::Notification, 0, 2, 2);
    retype("three Replies, preempted", ObjectType::Reply, 0, 1, 3, 2);
    scene.invoke("Rotate over three", cnode, Method::CNodeRotate, {2, radix, 0, 1, radix, 0, 0, radix}, {cnode, cnode});
    scene.invoke("Retype in the untyped in 0", cnode, Method::CNodeRevoke, {9, 5});
    scene.invoke("Revoke the untyped", root_cnode, Method::CNodeRevoke, {untyped, depth});
    scene.invoke("Revoke the untyped, preempted", root_cnode, Method::CNodeRevoke, {untyped, depth}, {}, 2);
    scene.invoke("Copy the untyped", cnode, Method::CNodeCopy, {3, radix, untyped, depth, 15}, {root_cnode});
}

// -- Time: threads with budgets of all kinds.

void build_time(Scene& scene) {
    World& w = scene.world();
    Thread threads[] = {scene.thread(10, {.budget_us = 100, .period_us = 400, .extra_refills = 1}),
                        scene.thread(10, {.budget_us = 100, .period_us = 300, .sporadic = true}), scene.thread(9, {.budget_us = 50, .period_us = 50})};
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    Word free_context = w.make_context({.budget_us = 60, .period_us = 200, .badge = 9});
    w.must(threads[0].tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint});
    for (unsigned i = 0; i < std::size(threads); ++i) {
        const Thread& thread = threads[i];
        std::string number = " " + text(i);
        scene.invoke("Configure small" + number, w.sched_control(), Method::SchedControlConfigureFlags, {20, 100, 0, 1, 1}, {thread.context});
        scene.invoke("Configure large" + number, w.sched_control(), Method::SchedControlConfigureFlags, {150, 500, 1, 2, 0}, {thread.context});
        scene.invoke("Configure turns" + number, w.sched_control(), Method::SchedControlConfigureFlags, {70, 70, 0, 3, 0}, {thread.context});
        scene.invoke("Consumed" + number, thread.context, Method::SchedContextConsumed);
        scene.invoke("YieldTo" + number, thread.context, Method::SchedContextYieldTo);
        scene.invoke("Unbind" + number, thread.context, Method::SchedContextUnbind);
        scene.invoke("Bind" + number, thread.context, Method::SchedContextBind, {}, {thread.tcb});
        scene.invoke("Bind another" + number, free_context, Method::SchedContextBind, {}, {thread.tcb});
        scene.invoke("Suspend" + number, thread.tcb, Method::TCBSuspend);
        scene.invoke("Resume" + number, thread.tcb, Method::TCBResume);
        scene.invoke("SetPriority" + number, thread.tcb, Method::TCBSetPriority, {9 + i}, {static_cast<Word>(InitSlot::TCB)});
    }
    scene.invoke("Unbind the other", free_context, Method::SchedContextUnbind);
    scene.call("Yield", Syscall::Yield, 0);
    scene.call("Call", Syscall::Call, endpoint, {1, {}, {}});
    scene.call("Recv", Syscall::Recv, endpoint, {}, reply);
    scene.call("ReplyRecv", Syscall::ReplyRecv, endpoint, {}, reply);
    scene.call("Wait", Syscall::Wait, endpoint);
    scene.add_time();
}

// -- Address spaces: frames, page tables, ASIDs.

void build_spaces(Scene& scene) {
    World& w = scene.world();
    Thread thread = scene.thread(10);
    Word space = w.make(ObjectType::VSpace);
    Word tables = w.make(ObjectType::PageTable, 0, 3);
    Word frame = w.make(ObjectType::SmallPage);
    Word empty = w.fresh(3);
    Word untyped = w.make(ObjectType::Untyped, 12);
    Word pool = static_cast<Word>(InitSlot::ASIDPool);
    constexpr Word address = 0x4000'0000;
    scene.invoke("Assign", pool, Method::ASIDPoolAssign, {}, {space});
    scene.invoke("MakePool", static_cast<Word>(InitSlot::ASIDControl), Method::ASIDControlMakePool, {empty + 2, depth}, {untyped, root_cnode});
    scene.invoke("Assign by the new pool", empty + 2, Method::ASIDPoolAssign, {}, {space});
    for (Word i = 0; i < 3; ++i) {
        scene.invoke("Map table " + text(i), tables + i, Method::PageTableMap, {address, 1}, {space});
        scene.invoke("Unmap table " + text(i), tables + i, Method::PageTableUnmap);
    }
    for (Word which : {frame, empty}) {
        std::string name = which == frame ? "the frame" : "its copy";
        scene.invoke("Map " + name, which, Method::FrameMap, {address, 3, 5}, {space});
        scene.invoke("Map readable " + name, which, Method::FrameMap, {address, 2, 1}, {space});
        scene.invoke("Map elsewhere " + name, which, Method::FrameMap, {address + 4096, 3, 0}, {space});
        scene.invoke("Map in the threads' space " + name, which, Method::FrameMap, {0x700000, 3, 5}, {static_cast<Word>(InitSlot::VSpace)});
        scene.invoke("Unmap " + name, which, Method::FrameUnmap);
        scene.invoke("GetAddress of " + name, which, Method::FrameGetAddress);
        scene.invoke("Delete " + name, root_cnode, Method::CNodeDelete, {which, depth});
    }
    scene.invoke("Copy the frame", root_cnode, Method::CNodeCopy, {empty, depth, frame, depth, 15}, {root_cnode});
    scene.invoke("Copy the frame to read", root_cnode, Method::CNodeCopy, {empty, depth, frame, depth, 2}, {root_cnode});
    scene.invoke("Copy the space", root_cnode, Method::CNodeCopy, {empty + 1, depth, space, depth, 15}, {root_cnode});
    scene.invoke("Copy a table", root_cnode, Method::CNodeCopy, {empty + 1, depth, tables, depth, 15}, {root_cnode});
    scene.invoke("Delete the copy", root_cnode, Method::CNodeDelete, {empty + 1, depth});
    for (Word which : {space, tables, frame, empty + 2, untyped}) {
        scene.invoke("Revoke " + text(which - space), root_cnode, Method::CNodeRevoke, {which, depth});
        scene.invoke("Delete slot " + text(which - space), root_cnode, Method::CNodeDelete, {which, depth});
    }
    scene.invoke("CleanData", space, Method::VSpaceCleanData, {address, address + 8192});
    scene.invoke("CleanInvalidateData, preempted", space, Method::VSpaceCleanInvalidateData, {address, address + 8192}, {}, 1);
    scene.invoke("ReadVSpace", static_cast<Word>(InitSlot::Inspect), Method::InspectReadVSpace, {address}, {space});
    scene.invoke("SetSpace", thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, space});
    scene.invoke("SetSpace back", thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, static_cast<Word>(InitSlot::VSpace)});
}

// -- Containers: CNodes and threads that hold each other, and go.

void build_containers(Scene& scene) {
    World& w = scene.world();
    scene.thread(10);
    constexpr Word radix = 1;
    Word cnodes = w.make(ObjectType::CNode, radix, 2);
    Word other = w.make(ObjectType::TCB);
    Word endpoint = w.make(ObjectType::Endpoint);
    auto slot_of = [&](Word i) { return cnodes + i; };
    for (Word from = 0; from < 4; ++from) {
        Word source = from < 2 ? slot_of(from) : from == 2 ? other : endpoint;
        for (Word to = 0; to < 2; ++to) {
            for (Word slot = 0; slot < 2; ++slot) {
                std::string name = text(from) + " to " + text(to) + "." + text(slot);
                scene.invoke("Move " + name, slot_of(to), Method::CNodeMove, {slot, radix, source, depth}, {root_cnode});
                if (from != 3) continue;
                scene.invoke("Copy " + name, slot_of(to), Method::CNodeCopy, {slot, radix, source, depth, 15}, {root_cnode});
            }
        }
        for (unsigned preempt : {0u, 1u, 2u, 3u}) {
            std::string name = text(from) + (preempt == 0 ? "" : ", preempted at " + text(preempt));
            scene.invoke("Delete " + name, root_cnode, Method::CNodeDelete, {source, depth}, {}, preempt);
        }
        scene.invoke("Revoke " + text(from), root_cnode, Method::CNodeRevoke, {source, depth}, {}, 0);
    }
    for (Word to = 0; to < 2; ++to) {
        for (Word slot = 0; slot < 2; ++slot) {
            std::string name = text(to) + "." + text(slot);
            for (unsigned preempt : {0u, 1u, 2u}) {
                scene.invoke("Delete " + name + " " + text(preempt), slot_of(to), Method::CNodeDelete, {slot, radix}, {}, preempt);
            }
            scene.invoke("Move out " + name, root_cnode, Method::CNodeMove, {slot_of(to), depth, slot, radix}, {slot_of(to)});
        }
    }
    Word space = static_cast<Word>(InitSlot::VSpace);
    for (Word i = 0; i < 2; ++i) {
        for (unsigned preempt : {0u, 1u, 2u}) {
            std::string name = text(i) + (preempt == 0 ? "" : ", preempted at " + text(preempt));
            scene.invoke("SetSpace " + name, other, Method::TCBSetSpace, {0, 0}, {endpoint, slot_of(i), space}, preempt);
        }
    }
    scene.invoke("Revoke the memory, preempted", root_cnode, Method::CNodeRevoke, {w.memory(), depth}, {}, 4);
}

// -- Domains and interrupts.

void build_domains(Scene& scene) {
    World& w = scene.world();
    Thread threads[] = {scene.thread(10, {.budget_us = 300, .period_us = 1'000}), scene.thread(10), scene.thread(12)};
    Word notification = w.make(ObjectType::Notification);
    Word badged = w.mint(notification, 1);
    Word handler = w.fresh(2);
    constexpr Word irq = 41;
    Word domain = static_cast<Word>(InitSlot::Domain);
    for (unsigned i = 0; i < std::size(threads); ++i) {
        for (Word number = 0; number < 3; ++number) {
            scene.invoke("Set " + text(i) + " to " + text(number), domain, Method::DomainSet, {number}, {threads[i].tcb});
        }
        scene.invoke("Suspend " + text(i), threads[i].tcb, Method::TCBSuspend);
        scene.invoke("Resume " + text(i), threads[i].tcb, Method::TCBResume);
    }
    for (Word entry = 0; entry < 3; ++entry) {
        scene.invoke("Configure entry " + text(entry), domain, Method::DomainScheduleConfigure, {entry, entry, 200});
        scene.invoke("Clear entry " + text(entry), domain, Method::DomainScheduleConfigure, {entry, 0, 0});
        scene.invoke("Start at " + text(entry), domain, Method::DomainScheduleSetStart, {entry});
    }
    scene.invoke("Give entry 1 to domain 2", domain, Method::DomainScheduleConfigure, {1, 2, 300});
    scene.invoke("Get", static_cast<Word>(InitSlot::IRQControl), Method::IRQControlGet, {irq, 1, handler, depth}, {root_cnode});
    scene.invoke("Get of a level", static_cast<Word>(InitSlot::IRQControl), Method::IRQControlGet, {irq, 0, handler, depth}, {root_cnode});
    scene.invoke("SetNotification", handler, Method::IRQHandlerSetNotification, {}, {badged});
    scene.invoke("Ack", handler, Method::IRQHandlerAck);
    scene.invoke("Clear", handler, Method::IRQHandlerClear);
    scene.invoke("Delete the handler", root_cnode, Method::CNodeDelete, {handler, depth});
    scene.invoke("Copy the handler", root_cnode, Method::CNodeCopy, {handler + 1, depth, handler, depth, 15}, {root_cnode});
    scene.invoke("Delete its copy", root_cnode, Method::CNodeDelete, {handler + 1, depth});
    scene.invoke("Delete the notification", root_cnode, Method::CNodeDelete, {badged, depth});
    scene.call("Wait", Syscall::Wait, notification);
    scene.call("NBWait", Syscall::NBWait, notification);
    scene.call("Yield", Syscall::Yield, 0);
    scene.add_interrupt(irq);
    scene.add_time();
}

struct Entry {
    const char* name;
    void (*build)(Scene&);
};
constexpr Entry entries[] = {{"messages", build_messages}, {"calls", build_calls},           {"capabilities", build_capabilities},
                             {"time", build_time},         {"spaces", build_spaces},         {"containers", build_containers},
                             {"domains", build_domains}};

}  // namespace

Word Scene::memory_end() const {
    Word used = as<UntypedCap>(world_.slot(world_.memory()).cap).watermark();
    return align_up(memory_start() + used, page_size);
}

Thread Scene::thread(unsigned priority, const test::Budget& budget) {
    Thread thread = world_.make_thread(priority, budget);
    world_.must(thread.tcb, Method::TCBSetMCPriority, {100}, {static_cast<Word>(InitSlot::TCB)});
    world_.resume(thread);
    return thread;
}

void Scene::call(std::string name, Syscall number, Word cap, const test::Message& message, Word reply, Word destination, Word flags, unsigned preempt) {
    move(std::move(name), [=, this](Lockstep& lockstep) {
        Tcb* thread = world_.current();
        if (thread == nullptr || thread == world_.root().object) return false;
        std::fill(std::begin(thread->context.x), std::begin(thread->context.x) + 19, 0);
        thread->context.pc = code;
        world_.prepare(number, cap, message, reply, destination, flags);
        hardware.pending_at = preempt;
        lockstep.system_call();
        return true;
    });
}

void Scene::invoke(std::string name, Word cap, Method method, Words words, Words caps, unsigned preempt) {
    call(std::move(name), Syscall::Call, cap, {static_cast<Word>(method), std::move(words), std::move(caps)}, 0, 0, 0, preempt);
}

void Scene::add_time() {
    move("the timer", [](Lockstep& lockstep) {
        if (hardware.deadline > hardware.time + far_away) return false;
        hardware.time = std::max(hardware.time, hardware.deadline);
        lockstep.timer();
        return true;
    });
    move("time passes", [this](Lockstep& lockstep) {
        constexpr Word little = 1'000;
        if (world_.current() == nullptr) return false;
        hardware.time += little;
        lockstep.timer();
        return true;
    });
    move("time passes to just before the timer", [this](Lockstep& lockstep) {
        if (world_.current() == nullptr || hardware.deadline > hardware.time + far_away || hardware.deadline <= hardware.time + 1) return false;
        hardware.time = hardware.deadline - 1;
        lockstep.timer();
        return true;
    });
}

void Scene::add_interrupt(Word irq) {
    move("interrupt " + text(irq), [=](Lockstep& lockstep) {
        lockstep.interrupt(irq);
        return true;
    });
}

void Scene::add_fault() {
    move("memory fault", [this](Lockstep& lockstep) {
        if (world_.current() == nullptr || world_.current() == world_.root().object) return false;
        lockstep.memory_fault(7, 0x123000, false);
        return true;
    });
}

std::vector<std::string> scene_names() {
    std::vector<std::string> names;
    for (const Entry& entry : entries) names.emplace_back(entry.name);
    return names;
}

std::unique_ptr<Scene> make_scene(const std::string& name) {
    for (const Entry& entry : entries) {
        if (name != entry.name) continue;
        auto scene = std::make_unique<Scene>(name);
        entry.build(*scene);
        scene->world().let_go();
        return scene;
    }
    throw std::runtime_error("there is no scene '" + name + "'");
}

}  // namespace caprock::lockstep
