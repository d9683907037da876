// SPDX-License-Identifier: BSD-2-Clause
// The steps that fast paths have in common.
#pragma once

#include "cap/lookup.hpp"
#include "core/panic.hpp"
#include "ipc/message.hpp"
#include "object/call_stack.hpp"
#include "object/endpoint.hpp"
#include "sched/switch.hpp"

namespace caprock {

inline bool in_registers(MessageInfo info) { return info.length() <= register_words && info.extra_caps() == 0; }

// With budget the thread would be the next to run, without more ado.
[[gnu::always_inline]] inline bool comes_next(const Core& core, const Tcb& thread) {
    bool first = core.ready->summary == 0 || thread.priority.raw >= core.ready->highest();
    return first && thread.domain == core.domain && has_address_space(*core.kernel, thread);
}

[[gnu::always_inline]] inline void deliver(const Context& from, Context& to, Badge badge, MessageInfo info) {
    copy_register_words(from, to, static_cast<unsigned>(info.length()));
    to.x[reg::cap] = badge.raw;
    to.x[reg::info] = MessageInfo::make(info.length(), 0, 0, info.label()).raw;
}

// ReplyRecv has answered: the server waits for the next call.
[[gnu::always_inline]] inline void await_call(Tcb& server, Endpoint& endpoint, const EndpointCap& cap, Reply& reply) {
    // Should the thread have to execute its system call again, it only receives.
    Word& number = server.context.x[reg::number];
    server.receiving = ReceiveOptions::through(cap, ReceiveOptions::blocking | (number & ReceiveOptions::require_donation));
    number = (number & ~abi::syscall_number_mask) | static_cast<Word>(abi::Syscall::Recv);
    server.reply = &reply;
    reply.tcb = &server;
    server.state = ThreadState::BlockedOnReceive;
    server.endpoint = &endpoint;
    endpoint.set_receiving();
    endpoint.queue.start(server);
}

}  // namespace caprock
