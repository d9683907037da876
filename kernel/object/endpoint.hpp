// SPDX-License-Identifier: BSD-2-Clause
// Endpoint: where senders and receivers meet. Threads of one kind at a time wait in it.
#pragma once

#include "core/prio_queue.hpp"

namespace caprock {

struct Tcb;

struct Endpoint {
    enum class State : Word { Idle, Send, Receive };

    PrioQueue<Tcb> queue;
    State state = State::Idle;
};
static_assert(sizeof(Endpoint) <= 1u << 4);

}  // namespace caprock
