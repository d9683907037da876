// SPDX-License-Identifier: BSD-2-Clause
#include "core/result.hpp"

namespace caprock {

unsigned Failure::words(Word (&to)[most_words]) const {
    switch (static_cast<Error>(code)) {
        case Error::InvalidArgument:
        case Error::InvalidCapability:
        case Error::NotEnoughMemory: to[0] = detail; return 1;
        case Error::RangeError:
            to[0] = least;
            to[1] = detail;
            return 2;
        case Error::FailedLookup:
            to[0] = source;
            to[1] = lookup;
            to[2] = bits_left;
            to[3] = detail;
            to[4] = guard_size;
            return most_words;
        default: return 0;
    }
}

}  // namespace caprock
