// SPDX-License-Identifier: BSD-2-Clause
// The linker puts these functions in place of others. The fixed bits of a thread's SPSR, which the manual leaves to the kernel, are none here: the
// specification has none. System calls by the fast paths are counted: a lockstep that never takes them says nothing about them.
#include "seam.hpp"

#include "arch/seam.hpp"
#include "sched/core.hpp"

using namespace caprock;

extern "C" {

Word __wrap__ZN7caprock4arch12initial_spsrEv() { return 0; }
Word __wrap__ZN7caprock4arch13sanitise_spsrEm(Word spsr) { return spsr & 0xf000'0000; }

bool __real__ZN7caprock9fast_callERNS_4CoreERNS_3TcbE(Core& core, Tcb& caller);
bool __real__ZN7caprock15fast_reply_recvERNS_4CoreERNS_3TcbE(Core& core, Tcb& server);

bool __wrap__ZN7caprock9fast_callERNS_4CoreERNS_3TcbE(Core& core, Tcb& caller) {
    bool done = __real__ZN7caprock9fast_callERNS_4CoreERNS_3TcbE(core, caller);
    lockstep::fast_paths += done;
    return done;
}

bool __wrap__ZN7caprock15fast_reply_recvERNS_4CoreERNS_3TcbE(Core& core, Tcb& server) {
    bool done = __real__ZN7caprock15fast_reply_recvERNS_4CoreERNS_3TcbE(core, server);
    lockstep::fast_paths += done;
    return done;
}
}
