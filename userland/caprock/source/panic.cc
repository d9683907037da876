// SPDX-License-Identifier: BSD-2-Clause
// The two system-call numbers by which a component ends.

#include <caprock/component.hpp>
#include <caprock/panic.hpp>

namespace caprock {

void end(uint64_t status)
{
    // A fault handler may resume the component; it has still ended.
    for (;;) {
        register uint64_t x0 __asm__("x0") = status;
        register uint64_t x7 __asm__("x7") = component::syscall_end;
        __asm__ volatile("svc #0" : "+r"(x0) : "r"(x7) : "memory");
    }
}

void panic_with(Text reason)
{
    uint64_t words[panic_text_bytes / 8] {};
    for (size_t i = 0; i < reason.size() && i < panic_text_bytes; ++i)
        words[i / 8] |= static_cast<uint64_t>(static_cast<uint8_t>(reason[i])) << i % 8 * 8;
    for (;;) {
        register uint64_t x0 __asm__("x0") = words[0];
        register uint64_t x1 __asm__("x1") = words[1];
        register uint64_t x2 __asm__("x2") = words[2];
        register uint64_t x3 __asm__("x3") = words[3];
        register uint64_t x4 __asm__("x4") = words[4];
        register uint64_t x5 __asm__("x5") = words[5];
        register uint64_t x6 __asm__("x6") = words[6];
        register uint64_t x7 __asm__("x7") = component::syscall_panic;
        __asm__ volatile("svc #0" : : "r"(x0), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x6), "r"(x7) : "memory");
    }
}

} // namespace caprock
