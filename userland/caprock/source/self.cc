// SPDX-License-Identifier: BSD-2-Clause
// Waiting for signals, and the check that a port has the interface that the program expects.

#include <caprock/self.hpp>

namespace caprock {

uint64_t Self::wait_for(uint64_t mask)
{
    while ((kept_ & mask) == 0) {
        if (info().notification == 0)
            panic("waits for a signal, but consumes none");
        sys::ShortMessage message;
        sys::wait(info().notification, message);
        kept_ |= message.badge;
    }
    return take_kept(mask);
}

uint64_t Self::take_kept(uint64_t mask)
{
    const uint64_t taken = kept_ & mask;
    kept_ &= ~mask;
    return taken;
}

void Self::check_interface(const ComponentEntry& entry, Text interface)
{
    const Text described = entry_text(entry);
    if (!described.empty() && !(described == interface))
        panic("`uses {}` is {}, not {}", entry_name(entry), described, interface);
}

} // namespace caprock
