// SPDX-License-Identifier: BSD-2-Clause
// Fields of packed words. A layout is a list of Field constants; `disjoint` proves at compile time that no two of them overlap.
#pragma once

#include "core/types.hpp"

namespace caprock {

template <unsigned Hi, unsigned Lo>
struct Field {
    static_assert(Hi >= Lo && Hi < 64);
    static constexpr unsigned width = Hi - Lo + 1;
    static constexpr Word mask = (width == 64 ? ~Word{0} : ((Word{1} << width) - 1)) << Lo;
    static constexpr Word get(Word word) { return (word & mask) >> Lo; }
    static constexpr Word make(Word value) { return (value << Lo) & mask; }
    static constexpr Word set(Word word, Word value) { return (word & ~mask) | make(value); }
};

template <class... Fields>
inline constexpr bool disjoint = ((Fields::mask + ...) == (Fields::mask | ...));

constexpr unsigned leading_zeros(Word word) { return static_cast<unsigned>(__builtin_clzll(word)); }
constexpr unsigned trailing_zeros(Word word) { return static_cast<unsigned>(__builtin_ctzll(word)); }

}  // namespace caprock
