// SPDX-License-Identifier: BSD-2-Clause
// The common cases of Call and ReplyRecv in few instructions. The general path (syscall/syscall.cc) is the reference: what is done here, it would
// do alike.
#pragma once

#include "sched/core.hpp"

namespace caprock {

// Calls a passive server that waits, and switches to it. The message is in registers, the endpoint's capability lets the server answer, and nobody
// more important is ready. False: it is another case, and nothing has changed.
[[nodiscard]] bool fast_call(Core& core, Tcb& caller);

// Answers the caller of a passive server, who gets its scheduling context back, lets the server wait for the next call, and switches to the caller.
// The message is in registers, nobody waits in the endpoint, no notification is bound, and nobody more important is ready. False: as above.
[[nodiscard]] bool fast_reply_recv(Core& core, Tcb& server);

// The same between threads that each have a scheduling context. `cap` is what x0 names.
[[nodiscard]] bool fast_call_own(Core& core, Tcb& caller, const EndpointCap& cap);
[[nodiscard]] bool fast_reply_recv_own(Core& core, Tcb& server, const EndpointCap& cap);

}  // namespace caprock
