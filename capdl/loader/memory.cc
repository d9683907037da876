// SPDX-License-Identifier: BSD-2-Clause
// The memory functions that the compiler expects of a freestanding program. Built with -fno-builtin, so that a loop stays a loop.
#include <stddef.h>
#include <stdint.h>

extern "C" void* memcpy(void* target, const void* source, size_t size) {
    uint8_t* to = static_cast<uint8_t*>(target);
    const uint8_t* from = static_cast<const uint8_t*>(source);
    const bool alike = ((reinterpret_cast<uintptr_t>(to) ^ reinterpret_cast<uintptr_t>(from)) & 7) == 0;
    if (alike) {
        for (; size > 0 && (reinterpret_cast<uintptr_t>(to) & 7) != 0; --size) *to++ = *from++;
        for (; size >= 8; size -= 8, to += 8, from += 8) *reinterpret_cast<uint64_t*>(to) = *reinterpret_cast<const uint64_t*>(from);
    }
    for (; size > 0; --size) *to++ = *from++;
    return target;
}

extern "C" void* memset(void* target, int value, size_t size) {
    uint8_t* to = static_cast<uint8_t*>(target);
    for (; size > 0; --size) *to++ = static_cast<uint8_t>(value);
    return target;
}
