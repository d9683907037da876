// SPDX-License-Identifier: BSD-2-Clause
// The linker puts these functions before the kernel's.
#include "fast_paths.hpp"

#include "sched/core.hpp"

using namespace caprock;

extern "C" {

bool __real__ZN7caprock13fast_call_ownERNS_4CoreERNS_3TcbERKNS_9BadgedCapILNS_3abi7CapTypeE2EEE(Core& core, Tcb& caller, const EndpointCap& cap);
bool __wrap__ZN7caprock13fast_call_ownERNS_4CoreERNS_3TcbERKNS_9BadgedCapILNS_3abi7CapTypeE2EEE(Core& core, Tcb& caller, const EndpointCap& cap) {
    bool done = __real__ZN7caprock13fast_call_ownERNS_4CoreERNS_3TcbERKNS_9BadgedCapILNS_3abi7CapTypeE2EEE(core, caller, cap);
    lockstep::fast_paths += done;
    return done;
}

bool __real__ZN7caprock19fast_reply_recv_ownERNS_4CoreERNS_3TcbERKNS_9BadgedCapILNS_3abi7CapTypeE2EEE(Core& core, Tcb& server, const EndpointCap& cap);
bool __wrap__ZN7caprock19fast_reply_recv_ownERNS_4CoreERNS_3TcbERKNS_9BadgedCapILNS_3abi7CapTypeE2EEE(Core& core, Tcb& server, const EndpointCap& cap) {
    bool done = __real__ZN7caprock19fast_reply_recv_ownERNS_4CoreERNS_3TcbERKNS_9BadgedCapILNS_3abi7CapTypeE2EEE(core, server, cap);
    lockstep::fast_paths += done;
    return done;
}
}
