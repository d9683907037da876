// SPDX-License-Identifier: BSD-2-Clause
// CRC-32 of IEEE 802.3 (reflected, polynomial 0xedb88320), as in PayloadHeader.crc32. With the MMU off memory is uncached, so it is read in
// whole words and reduced in registers: a table would cost a slow load per byte.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace caprock::shim {

// Reduces one byte, portably.
constexpr uint32_t crc32_step(uint32_t state, uint8_t byte) {
    state ^= byte;
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ (0xedb88320 & (0 - (state & 1)));
    return state;
}

// Reduces eight bytes, given as a little-endian word.
inline uint32_t crc32_step8(uint32_t state, uint64_t word) {
#ifdef __ARM_FEATURE_CRC32
    asm("crc32x %w0, %w0, %1" : "+r"(state) : "r"(word));
#else
    for (int i = 0; i < 8; ++i) state = crc32_step(state, static_cast<uint8_t>(word >> (8 * i)));
#endif
    return state;
}

// A CRC over several pieces; each piece but the last must be a multiple of 8 bytes, and all must be aligned to 8.
class Crc32 {
public:
    void add(const void* data, size_t size) {
        const uint8_t* bytes = static_cast<const uint8_t*>(data);
        for (; size >= 8; size -= 8, bytes += 8) {
            uint64_t word;
            __builtin_memcpy(&word, __builtin_assume_aligned(bytes, 8), 8);
            state_ = crc32_step8(state_, word);
        }
        for (; size > 0; --size, ++bytes) state_ = crc32_step(state_, *bytes);
    }
    uint32_t value() const { return ~state_; }

private:
    uint32_t state_ = 0xffffffff;
};

}  // namespace caprock::shim
