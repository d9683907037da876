// SPDX-License-Identifier: BSD-2-Clause
// Registers of a thread in the order of abi::UserContext, as messages hold them.
#pragma once

#include "object/tcb.hpp"

namespace caprock {

inline constexpr unsigned context_words = sizeof(abi::UserContext) / sizeof(Word);
inline constexpr unsigned thread_pointers = 2;   // the last ones
inline constexpr unsigned spsr_word = 2;

// Where the words of abi::UserContext are in a Context, in words.
constexpr uint8_t x_word(unsigned i) { return static_cast<uint8_t>(offsetof(Context, x) / sizeof(Word) + i); }
inline constexpr uint8_t context_words_at[] = {
    offsetof(Context, pc) / sizeof(Word), offsetof(Context, sp) / sizeof(Word), offsetof(Context, spsr) / sizeof(Word),
    x_word(0),  x_word(1),  x_word(2),  x_word(3),  x_word(4),  x_word(5),  x_word(6),  x_word(7),  x_word(8),
    x_word(16), x_word(17), x_word(18), x_word(29), x_word(30),
    x_word(9),  x_word(10), x_word(11), x_word(12), x_word(13), x_word(14), x_word(15),
    x_word(19), x_word(20), x_word(21), x_word(22), x_word(23), x_word(24), x_word(25), x_word(26), x_word(27), x_word(28),
    offsetof(Context, tpidr) / sizeof(Word), offsetof(Context, tpidrro) / sizeof(Word),
};
static_assert(sizeof(context_words_at) == context_words);

inline Word& context_word(Context& context, unsigned i) { return reinterpret_cast<Word*>(&context)[context_words_at[i]]; }

// User level chooses no more of SPSR than it may.
inline void set_context_word(Context& context, unsigned i, Word word) {
    context_word(context, i) = i == spsr_word ? arch::sanitise_spsr(word) : word;
}

}  // namespace caprock
