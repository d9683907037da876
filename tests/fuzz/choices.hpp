// SPDX-License-Identifier: BSD-2-Clause
// Where every choice of the fuzzer comes from: a stream of bytes, either pseudo-random ones from a seed, or given ones (an input of the
// coverage-guided fuzzer, or a kept failure). The same bytes make the same choices, so a seed's bytes can be kept and made smaller.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace caprock::fuzz {

class Choices {
public:
    /// An endless stream from a seed.
    explicit Choices(uint64_t seed) : state_(seed) {}
    /// `count` given bytes, which must outlive this; then zeroes, and `ended` says so.
    Choices(const uint8_t* bytes, size_t count) : bytes_(bytes), left_(count) {}

    bool ended() const { return bytes_ != nullptr && left_ == 0; }

    /// A number below `limit`, which is not 0. Small limits take one byte, so that given bytes keep their meaning when others change.
    uint64_t below(uint64_t limit) {
        if (limit <= 1) return 0;
        if (limit <= 0x100) return byte() % limit;
        if (limit <= 0x1'0000) return (byte() | byte() << 8) % limit;
        return word() % limit;
    }
    bool one_in(uint64_t count) { return below(count) == 0; }
    uint64_t word() {
        uint64_t value = 0;
        for (unsigned i = 0; i < 8; ++i) value = value << 8 | byte();
        return value;
    }
    template <class T, size_t N>
    T one_of(const T (&choices)[N]) {
        return choices[below(N)];
    }

private:
    uint64_t byte() {
        if (bytes_ != nullptr) {
            if (left_ == 0) return 0;
            --left_;
            return *bytes_++;
        }
        if (fresh_ == 0) {
            buffer_ = next();
            fresh_ = 8;
        }
        uint64_t value = buffer_ & 0xff;
        buffer_ >>= 8;
        --fresh_;
        return value;
    }
    // A counter in steps of the golden ratio, mixed: every seed gives another stream.
    uint64_t next() {
        uint64_t mixed = state_ += 0x9e37'79b9'7f4a'7c15;
        mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9;
        mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
        return mixed ^ mixed >> 31;
    }

    uint64_t state_ = 0;
    uint64_t buffer_ = 0;
    unsigned fresh_ = 0;   // bytes of `buffer_` that were not given out
    const uint8_t* bytes_ = nullptr;
    size_t left_ = 0;
};

}  // namespace caprock::fuzz
