// SPDX-License-Identifier: BSD-2-Clause
// How the loader says that it failed: one line on the console that names the object, then the end.
#pragma once

#include "capdl/loader/loader.hpp"

namespace caprock::loader {

/// Prints `caprock: halt: loader: ` and the reason, and stops. Takes the console back from the system if need be.
[[noreturn]] void halt(const Text& reason);

/// `error` as the API names it.
const char* error_name(abi::Error error);

/// The one loader, for those who cannot be told.
Loader& the_loader();

/// Appends an error of the kernel with those of its details that say something.
Text& operator<<(Text& text, const ResultBase& result);

/// Halts unless `result` is a success. `describe` appends to a Text what was attempted.
template <class Describe>
void check(const ResultBase& result, Describe describe) {
    if (result.ok()) return;
    Text text;
    describe(text);
    text << ": " << result;
    halt(text);
}

}  // namespace caprock::loader
