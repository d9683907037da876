// SPDX-License-Identifier: BSD-2-Clause
// The memory and string functions that compilers call and C programmers expect. Plain loops: nothing here is hot in a system
// whose bulk data stays in place in shared memory.

#include <stddef.h>
#include <stdint.h>

// GCC would turn the loops below into calls of the very functions that they implement.
#if defined(__GNUC__) && !defined(__clang__)
#define PLAIN_LOOPS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#else
#define PLAIN_LOOPS
#endif

namespace {

bool aligned(const void* first, const void* second)
{
    return ((reinterpret_cast<uintptr_t>(first) | reinterpret_cast<uintptr_t>(second)) & 7) == 0;
}

// A word that may alias anything.
using Word = uint64_t __attribute__((may_alias));

} // namespace

extern "C" {

PLAIN_LOOPS void* memcpy(void* destination, const void* source, size_t size)
{
    auto to = static_cast<uint8_t*>(destination);
    auto from = static_cast<const uint8_t*>(source);
    if (aligned(to, from)) {
        for (; size >= 8; size -= 8, to += 8, from += 8)
            *reinterpret_cast<Word*>(to) = *reinterpret_cast<const Word*>(from);
    }
    for (; size > 0; --size)
        *to++ = *from++;
    return destination;
}

PLAIN_LOOPS void* memmove(void* destination, const void* source, size_t size)
{
    auto to = static_cast<uint8_t*>(destination);
    auto from = static_cast<const uint8_t*>(source);
    if (reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from) >= size)
        return memcpy(destination, source, size);
    while (size > 0) {
        --size;
        to[size] = from[size];
    }
    return destination;
}

PLAIN_LOOPS void* memset(void* destination, int value, size_t size)
{
    auto to = static_cast<uint8_t*>(destination);
    const auto byte = static_cast<uint8_t>(value);
    if (aligned(to, to)) {
        for (; size >= 8; size -= 8, to += 8)
            *reinterpret_cast<Word*>(to) = byte * uint64_t {0x0101'0101'0101'0101};
    }
    for (; size > 0; --size)
        *to++ = byte;
    return destination;
}

int memcmp(const void* first, const void* second, size_t size)
{
    auto left = static_cast<const uint8_t*>(first);
    auto right = static_cast<const uint8_t*>(second);
    for (; size > 0; --size, ++left, ++right) {
        if (*left != *right)
            return *left - *right;
    }
    return 0;
}

void* memchr(const void* memory, int value, size_t size)
{
    auto bytes = static_cast<const uint8_t*>(memory);
    for (; size > 0; --size, ++bytes) {
        if (*bytes == static_cast<uint8_t>(value))
            return const_cast<uint8_t*>(bytes);
    }
    return nullptr;
}

PLAIN_LOOPS size_t strlen(const char* text)
{
    size_t size = 0;
    while (text[size] != '\0')
        ++size;
    return size;
}

PLAIN_LOOPS size_t strnlen(const char* text, size_t limit)
{
    size_t size = 0;
    while (size < limit && text[size] != '\0')
        ++size;
    return size;
}

int strncmp(const char* first, const char* second, size_t limit)
{
    for (; limit > 0; --limit, ++first, ++second) {
        const auto left = static_cast<uint8_t>(*first);
        const auto right = static_cast<uint8_t>(*second);
        if (left != right || left == 0)
            return left - right;
    }
    return 0;
}

int strcmp(const char* first, const char* second) { return strncmp(first, second, SIZE_MAX); }

} // extern "C"
