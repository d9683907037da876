// SPDX-License-Identifier: BSD-2-Clause
#include "ipc/message.hpp"

namespace caprock {
void set_words(Tcb& thread, Word label, const Word* words, unsigned length) {
    clear_register_words(thread.context);
    for (unsigned i = 0; i < length; ++i) thread.context.x[reg::word(i)] = words[i];
    set_received(thread, Badge(0), MessageInfo::make(length, 0, 0, label));
}

[[gnu::cold]] void set_result(Tcb& thread, const Failure& failure) {
    Word words[Failure::most_words];
    unsigned length = failure.words(words);
    set_words(thread, static_cast<Word>(failure.error()), words, length);
}
}  // namespace caprock
