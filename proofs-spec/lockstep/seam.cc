// SPDX-License-Identifier: BSD-2-Clause
// The fixed bits of a thread's SPSR, which the manual leaves to the kernel, are none here: the specification has none. Only a new thread has one, by
// which saved_state.cc knows that it was given them. The linker puts these functions in place of the imitated machine's.
#include "arch/seam.hpp"

extern "C" caprock::Word __wrap__ZN7caprock4arch12initial_spsrEv() { return 0x40; }
extern "C" caprock::Word __wrap__ZN7caprock4arch13sanitise_spsrEm(caprock::Word spsr) { return spsr & 0xf000'0000; }
