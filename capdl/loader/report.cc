// SPDX-License-Identifier: BSD-2-Clause
// The loader's failures in words.
#include "capdl/loader/report.hpp"

#include "capdl/loader/console.hpp"

namespace caprock::loader {

const char* error_name(abi::Error error) {
    switch (error) {
        case abi::Error::NoError:
            return "NoError";
        case abi::Error::InvalidArgument:
            return "InvalidArgument";
        case abi::Error::InvalidCapability:
            return "InvalidCapability";
        case abi::Error::IllegalOperation:
            return "IllegalOperation";
        case abi::Error::RangeError:
            return "RangeError";
        case abi::Error::AlignmentError:
            return "AlignmentError";
        case abi::Error::FailedLookup:
            return "FailedLookup";
        case abi::Error::TruncatedMessage:
            return "TruncatedMessage";
        case abi::Error::DeleteFirst:
            return "DeleteFirst";
        case abi::Error::RevokeFirst:
            return "RevokeFirst";
        case abi::Error::NotEnoughMemory:
            return "NotEnoughMemory";
        case abi::Error::NoDonation:
            return "NoDonation";
        case abi::Error::CallCancelled:
            return "CallCancelled";
    }
    return "an unknown error";
}

Text& operator<<(Text& text, const ResultBase& result) {
    text << error_name(result.error());
    switch (result.error()) {
        case abi::Error::InvalidArgument:
            return text << " (word " << result.detail(0) << ")";
        case abi::Error::InvalidCapability:
            return text << " (capability " << result.detail(0) << ")";
        case abi::Error::RangeError:
            return text << " (from " << result.detail(0) << " to " << result.detail(1) << ")";
        case abi::Error::NotEnoughMemory:
            return text << " (" << result.detail(0) << " bytes are left)";
        case abi::Error::FailedLookup:
            return text << " (failure " << result.detail(1) << ", " << result.detail(2) << " bits left)";
        default:
            return text;
    }
}

void halt(const Text& reason) {
    // A failure while the console is being taken back would come here again: it has nowhere to go.
    static bool halting = false;
    if (!halting) {
        halting = true;
        Console console(the_loader());
        if (console.open()) {
            console.write(Text() << "\ncaprock: halt: loader: ");
            console.write(reason);
            console.write(Text() << "\n");
        }
    }
    // Not even the right to suspend itself can be relied on here; an idle loop always works.
    const Result<void> suspended = root_tcb.suspend();
    static_cast<void>(suspended);
    for (;;) sys::yield();
}

}  // namespace caprock::loader
