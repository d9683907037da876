// SPDX-License-Identifier: BSD-2-Clause
// What compilers and libfdt expect of a C library. Byte by byte where a word might be unaligned: with the MMU off that faults. Built with
// -fno-tree-loop-distribute-patterns, lest the compiler see a memcpy in memcpy's loop and call it.
#include <stddef.h>
#include <stdint.h>

#include "console.hpp"

namespace {

// A word of any object: stores and loads of it may alias every other type.
using AnyWord = uint64_t __attribute__((may_alias));

constexpr bool word_aligned(const void* a, const void* b) {
    return (reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b)) % 8 == 0;
}

}  // namespace

extern "C" {

void* memcpy(void* destination, const void* source, size_t size) {
    char* to = static_cast<char*>(destination);
    const char* from = static_cast<const char*>(source);
    if (word_aligned(to, from)) {
        for (; size >= 32; size -= 32, to += 32, from += 32) {
            const AnyWord* words = reinterpret_cast<const AnyWord*>(from);
            const AnyWord a = words[0], b = words[1], c = words[2], d = words[3];
            AnyWord* copies = reinterpret_cast<AnyWord*>(to);
            copies[0] = a, copies[1] = b, copies[2] = c, copies[3] = d;
        }
        for (; size >= 8; size -= 8, to += 8, from += 8) *reinterpret_cast<AnyWord*>(to) = *reinterpret_cast<const AnyWord*>(from);
    }
    for (; size > 0; --size) *to++ = *from++;
    return destination;
}

void* memmove(void* destination, const void* source, size_t size) {
    char* to = static_cast<char*>(destination);
    const char* from = static_cast<const char*>(source);
    if (to <= from) return memcpy(destination, source, size);
    while (size > 0) --size, to[size] = from[size];
    return destination;
}

void* memset(void* destination, int byte, size_t size) {
    char* to = static_cast<char*>(destination);
    if (byte == 0 && word_aligned(to, to)) {
        for (; size >= 64; size -= 64, to += 64) {
            AnyWord* words = reinterpret_cast<AnyWord*>(to);
            words[0] = words[1] = words[2] = words[3] = words[4] = words[5] = words[6] = words[7] = 0;
        }
        for (; size >= 8; size -= 8, to += 8) *reinterpret_cast<AnyWord*>(to) = 0;
    }
    for (; size > 0; --size) *to++ = static_cast<char>(byte);
    return destination;
}

int memcmp(const void* a, const void* b, size_t size) {
    const unsigned char* left = static_cast<const unsigned char*>(a);
    const unsigned char* right = static_cast<const unsigned char*>(b);
    for (; size > 0; --size, ++left, ++right) {
        if (*left != *right) return *left - *right;
    }
    return 0;
}

void* memchr(const void* memory, int byte, size_t size) {
    const unsigned char* at = static_cast<const unsigned char*>(memory);
    for (; size > 0; --size, ++at) {
        if (*at == static_cast<unsigned char>(byte)) return const_cast<unsigned char*>(at);
    }
    return nullptr;
}

size_t strnlen(const char* text, size_t limit) {
    size_t length = 0;
    while (length < limit && text[length]) ++length;
    return length;
}

size_t strlen(const char* text) { return strnlen(text, SIZE_MAX); }

char* strchr(const char* text, int character) { return static_cast<char*>(memchr(text, character, strlen(text) + 1)); }

char* strrchr(const char* text, int character) {
    for (size_t i = strlen(text) + 1; i > 0; --i) {
        if (text[i - 1] == static_cast<char>(character)) return const_cast<char*>(text + i - 1);
    }
    return nullptr;
}

// Debian's libfdt is built with stack protection. A constant guard still finds an overflow; nobody attacks the shim's stack by reading it.
uintptr_t __stack_chk_guard = 0x00ff'0a0d'5a7e'c3d1;

[[noreturn]] void __stack_chk_fail() { caprock::shim::halt({"boot shim: stack overflow", "the device tree may be damaged; report this"}); }

}  // extern "C"
