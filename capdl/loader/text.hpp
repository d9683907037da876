// SPDX-License-Identifier: BSD-2-Clause
// A line of text under construction, of bounded length: what is too long is cut.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace caprock::loader {

/// Appends chain: Text() << "frame " << name << " at " << Hex{address}.
struct Hex {
    uint64_t value;
};

class Text {
public:
    static constexpr size_t capacity = 320;

    Text& operator<<(const char* text) {
        for (; *text != 0; ++text) put(*text);
        return *this;
    }

    Text& operator<<(uint64_t number) {
        char digits[20];
        size_t count = 0;
        do {
            digits[count++] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        while (count > 0) put(digits[--count]);
        return *this;
    }

    Text& operator<<(Hex hex) {
        *this << "0x";
        unsigned shift = 60;
        while (shift > 0 && (hex.value >> shift) == 0) shift -= 4;
        for (;; shift -= 4) {
            put("0123456789abcdef"[hex.value >> shift & 15]);
            if (shift == 0) return *this;
        }
    }

    /// The bytes as pairs of hexadecimal digits.
    Text& hex_bytes(const uint8_t* bytes, size_t count) {
        for (size_t i = 0; i < count; ++i) {
            put("0123456789abcdef"[bytes[i] >> 4]);
            put("0123456789abcdef"[bytes[i] & 15]);
        }
        return *this;
    }

    /// A number of bytes in the largest unit that divides it.
    Text& size(uint64_t bytes) {
        static constexpr const char* units[] = {" bytes", " KiB", " MiB", " GiB"};
        unsigned unit = 0;
        while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) {
            bytes /= 1024;
            ++unit;
        }
        return *this << bytes << units[unit];
    }

    const char* begin() const { return text_; }
    const char* end() const { return text_ + length_; }

private:
    void put(char character) {
        if (length_ < capacity) text_[length_++] = character;
    }

    char text_[capacity]{};
    size_t length_ = 0;
};

}  // namespace caprock::loader
