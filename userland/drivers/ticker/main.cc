// SPDX-License-Identifier: BSD-2-Clause
// One tick per request, a period of its scheduling context later: a timer made of the kernel's own sense of time, on any board.
// Yielding gives up the budget, so the thread sleeps until the budget's replenishment.
//
// Description: budget B/P, where P is the tick; consumes start; emits tick.

#include <caprock/self.hpp>

int main()
{
    const uint64_t start = caprock::self().consumes("start");
    const caprock::Signal tick = caprock::self().emits("tick");
    for (;;) {
        caprock::self().wait_for(start);
        caprock::sys::yield();
        tick();
    }
}
