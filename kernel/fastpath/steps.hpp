// SPDX-License-Identifier: BSD-2-Clause
// The steps that both directions have in common.
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
    return thread.priority.raw >= core.ready->highest && thread.domain == core.domain && remembers_address_space(core, thread);
}

[[gnu::always_inline]] inline void deliver(const Tcb& from, Tcb& to, Badge badge, MessageInfo info) {
    clear_dead_registers(to);
    copy_register_words(from.context, to.context, static_cast<unsigned>(info.length()));
    set_received(to, badge, MessageInfo::make(info.length(), 0, 0, info.label()));
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
    endpoint.add_receiver();
    endpoint.queue.insert(server);
}

}  // namespace caprock
