// SPDX-License-Identifier: BSD-2-Clause
// Messages of more than four words: between the IPC buffer and the registers that the kernel takes them in.
#include <sel4/caprock_trap.h>

namespace {

constexpr seL4_Word short_words = seL4_FastMessageRegisters;
constexpr seL4_Word register_words = CAPROCK_IPC_REGISTER_WORDS;

constexpr seL4_Word in_registers(seL4_Word length) { return length < register_words ? length : register_words; }

}  // namespace

extern "C" {

void caprock_sel4_spill(const seL4_Word* words, seL4_Word length) {
    for (seL4_Word i = short_words; i < in_registers(length); ++i) __sel4_ipc_buffer->msg[i] = words[i - short_words];
}

void caprock_sel4_trap_long(seL4_Word number, caprock_sel4_exchange_t* exchange, seL4_Word reply, seL4_Word second) {
    seL4_Word words[register_words] = {exchange->words[0], exchange->words[1], exchange->words[2], exchange->words[3]};
    const seL4_Word sent = in_registers(exchange->info & CAPROCK_SEL4_LENGTH_MASK);
    for (seL4_Word i = short_words; i < sent; ++i) words[i] = __sel4_ipc_buffer->msg[i];
    caprock_trap(number, &exchange->x0, &exchange->info, words, reply, second);
    for (seL4_Word i = 0; i < short_words; ++i) exchange->words[i] = words[i];
    caprock_sel4_spill(words + short_words, exchange->info & CAPROCK_SEL4_LENGTH_MASK);
}

}  // extern "C"
