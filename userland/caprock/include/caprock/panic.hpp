// SPDX-License-Identifier: BSD-2-Clause
// Ending a component: by its own will (end), or because it cannot go on (panic). Both are system-call numbers that the kernel
// does not know, so they reach the component's fault handler, which reads status or reason from the fault message. Without a
// handler the component stays blocked.
#pragma once

#include <caprock/format.hpp>

namespace caprock {

/// Longest reason of a panic that reaches the fault handler, in bytes: it travels in x0 to x6.
inline constexpr size_t panic_text_bytes = 56;

/// Ends the component with `status`; 0 stands for success.
[[noreturn]] void end(uint64_t status);

/// Ends the component with a reason; what exceeds panic_text_bytes is cut off.
[[noreturn]] void panic_with(Text reason);

/// Ends the component with a formatted reason; see format().
template <class... Arguments>
[[noreturn]] void panic(Pattern<typename detail::Same<Arguments>::type...> pattern, const Arguments&... arguments)
{
    char field[panic_text_bytes];
    Writer writer {field, sizeof field};
    format(writer, pattern, arguments...);
    panic_with(writer.text());
}

} // namespace caprock
