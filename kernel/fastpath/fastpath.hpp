// SPDX-License-Identifier: BSD-2-Clause
// The common cases of Call and ReplyRecv in few instructions: between a client and a passive server in fastpath.S, and here between threads that each
// have a scheduling context. The general path (syscall/syscall.cc) is the reference: what is done here, it would do alike.
#pragma once

#include "sched/core.hpp"

namespace caprock {

// Calls a server that waits with a reply object, and switches to it. The message is in registers, the endpoint's capability lets the server answer, and
// nobody more important is ready. `cap` is what x0 names. False: it is another case, and nothing has changed.
[[nodiscard]] bool fast_call_own(Core& core, Tcb& caller, const EndpointCap& cap);

// Answers the caller, lets the server wait for the next call, and switches to the caller. The message is in registers, nobody waits in the endpoint, no
// notification is bound, and nobody more important is ready. False: as above.
[[nodiscard]] bool fast_reply_recv_own(Core& core, Tcb& server, const EndpointCap& cap);

}  // namespace caprock
