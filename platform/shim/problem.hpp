// SPDX-License-Identifier: BSD-2-Clause
// What went wrong, by value: every check of the shim returns one. The shim cannot go on after a problem, so there is no recovery to choose.
#pragma once

#include <stdint.h>

namespace caprock::shim {

// A problem's texts, which follow "caprock: halt: " on the console as `what [at place] (remedy)`. A default-made one means: no problem.
struct [[nodiscard]] Problem {
    static constexpr uint64_t no_place = ~uint64_t{0};

    const char* what = nullptr;    // where and what: "device tree: no interrupt controller"
    const char* remedy = nullptr;  // what the person at the machine can do about it
    uint64_t place = no_place;     // the physical or user address concerned, if one address tells more than the text

    constexpr explicit operator bool() const { return what != nullptr; }
};

}  // namespace caprock::shim
