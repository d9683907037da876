// SPDX-License-Identifier: BSD-2-Clause
// Endpoint: where senders and receivers meet. Threads of one kind at a time wait in it.
#pragma once

#include "core/prio_queue.hpp"

namespace caprock {

struct Tcb;

struct Endpoint {
    PrioQueue<Tcb> queue;

    bool idle() const { return word_ == idle_word; }
    bool receiving() const { return (word_ & receive_word) != 0; }
    // Known to be so: false may also mean that there were others.
    bool has_only_receiver() const { return word_ == only_receiver_word; }
    bool sending() const { return (word_ & state_mask) == send_word; }
    // A receiver came. That it is the only one is known as long as nobody joins it.
    void add_receiver() { word_ = word_ == idle_word ? only_receiver_word : receive_word; }
    void set_sending() { word_ = (word_ & ~state_mask) | send_word; }
    void set_idle() { word_ = idle_word; }

    // The thread whose CancelBadgedSends was preempted, or null. There is none unless the endpoint is sending.
    Tcb* sweeper() const { return reinterpret_cast<Tcb*>(word_ & ~state_mask); }
    void set_sweeper(Tcb* thread) { word_ = reinterpret_cast<Word>(thread) | send_word; }

    static constexpr Word only_receiver_word = 3;

private:
    static constexpr Word idle_word = 0;
    static constexpr Word send_word = 1;
    static constexpr Word receive_word = 2;
    static constexpr Word state_mask = 3;
    Word word_ = idle_word;
};
static_assert(sizeof(Endpoint) <= 1u << 4);

}  // namespace caprock
