// SPDX-License-Identifier: BSD-2-Clause
// What a frame needs after its content was written, before others see it.
#pragma once

#include "capdl/loader/report.hpp"

namespace caprock::loader {

inline constexpr uint64_t page_bytes = 4096;

/// Makes the content of a frame of `size` bytes visible to instruction fetches, and to whoever reads past the caches. Page by page: the
/// kernel bounds what one call maintains.
inline void maintain_caches(Cap<Frame> frame, uint64_t size, bool executable, bool uncached, const char* name) {
    const auto describe = [name](Text& text) { text << "cleaning the caches of " << name; };
    for (uint64_t page = 0; page < size; page += page_bytes) {
        if (executable) check(frame.unify_instruction(page, page + page_bytes), describe);
        if (uncached) check(frame.clean_invalidate_data(page, page + page_bytes), describe);
    }
}

}  // namespace caprock::loader
