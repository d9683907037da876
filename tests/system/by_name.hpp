// SPDX-License-Identifier: BSD-2-Clause
// For code that a test links around the loader: the loader's capabilities by the names of the description.
#pragma once

#include "capdl/loader/report.hpp"

namespace caprock::loader {

inline bool equal(const char* a, const char* b) {
    while (*a != 0 && *a == *b) ++a, ++b;
    return *a == *b;
}

inline uint32_t find(const char* name) {
    for (uint32_t i = 0; i < system.object_names.size; ++i)
        if (equal(system.object_names[i], name)) return i;
    halt(Text() << "the test knows no " << name);
}

template <class T>
Cap<T> cap(const char* name) {
    return Cap<T>{the_loader().slot_of(find(name))};
}

template <class R>
void must(const R& result) {
    check(result, [](Text& text) { text << "deviating"; });
}

}  // namespace caprock::loader
