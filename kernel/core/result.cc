// SPDX-License-Identifier: BSD-2-Clause
#include "core/result.hpp"

namespace caprock {
unsigned Failure::words(Word (&to)[most_words]) const {
    LookupFault fault{Lookup::get(head), detail};
    switch (error()) {
        case Error::InvalidArgument:
        case Error::InvalidCapability:
        case Error::NotEnoughMemory: to[0] = detail; return 1;
        case Error::RangeError:
            to[0] = Least::get(head);
            to[1] = detail;
            return 2;
        case Error::FailedLookup:
            to[0] = Source::get(head);
            to[1] = static_cast<Word>(fault.type());
            to[2] = fault.bits_left();
            to[3] = detail;
            to[4] = fault.guard_size();
            return most_words;
        default: return 0;
    }
}
}  // namespace caprock
