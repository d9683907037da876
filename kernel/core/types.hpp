// SPDX-License-Identifier: BSD-2-Clause
// The kernel's vocabulary: integers that cannot be confused with one another. Addresses of the three kinds convert only in arch/seam.hpp.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace caprock {

using Word = uint64_t;

// An integer with a meaning of its own. It is explicit to make, ordered, and gives its value by `raw`.
template <class Tag, class Rep = Word>
struct Strong {
    Rep raw{};

    constexpr Strong() = default;
    constexpr explicit Strong(Rep value) : raw(value) {}
    friend constexpr bool operator==(Strong a, Strong b) { return a.raw == b.raw; }
    friend constexpr bool operator!=(Strong a, Strong b) { return a.raw != b.raw; }
    friend constexpr bool operator<(Strong a, Strong b) { return a.raw < b.raw; }
    friend constexpr bool operator<=(Strong a, Strong b) { return a.raw <= b.raw; }
    friend constexpr bool operator>(Strong a, Strong b) { return a.raw > b.raw; }
    friend constexpr bool operator>=(Strong a, Strong b) { return a.raw >= b.raw; }
    friend constexpr Strong operator+(Strong a, Rep n) { return Strong(static_cast<Rep>(a.raw + n)); }
    friend constexpr Strong operator-(Strong a, Rep n) { return Strong(static_cast<Rep>(a.raw - n)); }
    friend constexpr Rep operator-(Strong a, Strong b) { return static_cast<Rep>(a.raw - b.raw); }
    constexpr Strong& operator+=(Rep n) { raw = static_cast<Rep>(raw + n); return *this; }
};

using PhysAddr = Strong<struct PhysAddrTag>;          // a physical address
using KernAddr = Strong<struct KernAddrTag>;          // an address in the kernel's direct map
using UserVirtAddr = Strong<struct UserVirtAddrTag>;  // an address in a user address space: never dereferenced by the kernel
using CPtr = Strong<struct CPtrTag>;                  // a capability address
using Badge = Strong<struct BadgeTag>;
using Prio = Strong<struct PrioTag, uint8_t>;
using DomainId = Strong<struct DomainTag, uint8_t>;
using CoreId = Strong<struct CoreIdTag, uint8_t>;
using Asid = Strong<struct AsidTag, uint16_t>;
using Irq = Strong<struct IrqTag, uint32_t>;
using Ticks = Strong<struct TicksTag>;    // counter ticks: an instant or a duration
using Micros = Strong<struct MicrosTag>;  // microseconds, as the API counts time

// Counts how often an address space may have been lost (sched/switch.hpp). 40 bits: then it stops, at a number that no thread has.
struct SpaceEpoch {
    uint8_t bytes[5] = {};

    static constexpr Word last = 0xff'ffff'ffff;
    Word raw() const { return bytes[0] | Word{bytes[1]} << 8 | Word{bytes[2]} << 16 | Word{bytes[3]} << 24 | Word{bytes[4]} << 32; }
    void advance() {
        if (raw() == last) return;
        for (uint8_t& byte : bytes) {
            if (++byte != 0) return;
        }
    }
    friend bool operator==(const SpaceEpoch& a, const SpaceEpoch& b) { return a.raw() == b.raw(); }
};

// log2 of a size in bytes.
struct SizeBits {
    uint8_t raw{};
    constexpr SizeBits() = default;
    constexpr explicit SizeBits(unsigned bits) : raw(static_cast<uint8_t>(bits)) {}
    constexpr Word bytes() const { return Word{1} << raw; }
    friend constexpr bool operator==(SizeBits a, SizeBits b) { return a.raw == b.raw; }
};

// A half-open range [start, end).
template <class Address>
struct Range {
    Address start{};
    Address end{};
    constexpr Word size() const { return end - start; }
    constexpr bool empty() const { return end <= start; }
};

constexpr Word align_down(Word value, Word alignment) { return value & ~(alignment - 1); }
constexpr Word align_up(Word value, Word alignment) { return align_down(value + alignment - 1, alignment); }
constexpr bool is_aligned(Word value, Word alignment) { return (value & (alignment - 1)) == 0; }

constexpr unsigned page_bits = 12;
constexpr Word page_size = Word{1} << page_bits;

}  // namespace caprock
