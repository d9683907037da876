// SPDX-License-Identifier: BSD-2-Clause
// A kernel that does not come back from an event, or breaks down in it, has no state to compare: the program says so and ends.
#pragma once

#include <string>

namespace caprock::lockstep {

/// From now on a crash ends the program with a line that begins with `where` and with status 1. `where` must outlive all events.
void catch_crashes(const std::string& where);

/// While one lives, the program may use some seconds of processor time.
class Watch {
public:
    Watch();
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
};

}  // namespace caprock::lockstep
