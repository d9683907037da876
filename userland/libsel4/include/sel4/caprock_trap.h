// SPDX-License-Identifier: BSD-2-Clause
// The system call of a program whose messages are in its IPC buffer, as libsel4's are, while the kernel takes words 0 to 11 in registers: words are
// loaded before the call and spilled after it, by length. Short messages are exchanged here; <caprock/syscall.h> has the rest.
#pragma once

#include <sel4/caprock_stubs.h>
#include <sel4/functions.h>

#define CAPROCK_SEL4_INLINE LIBSEL4_INLINE_FUNC __attribute__((always_inline))
#define CAPROCK_SEL4_LENGTH_MASK 0x7ful

/// What a message consists of besides the buffer: x0 and x1, and words 0 to 3.
typedef struct caprock_sel4_exchange {
    seL4_Word x0;
    seL4_Word info;
    seL4_Word words[seL4_FastMessageRegisters];
} caprock_sel4_exchange_t;

#ifdef __cplusplus
extern "C" {
#endif
/// The whole exchange of a message that is longer than four words.
/// @param number  system-call number
/// @param exchange  as caprock_sel4_trap has it
/// @param reply, second  x6 and x8
void caprock_sel4_trap_long(seL4_Word number, caprock_sel4_exchange_t *exchange, seL4_Word reply, seL4_Word second);

/// Stores words 4 and up of a received message of `length` words, which are in `words` as far as they came in registers.
void caprock_sel4_spill(const seL4_Word *words, seL4_Word length);
#ifdef __cplusplus
}
#endif

/// Traps into the kernel with the message that `exchange` and the IPC buffer hold, and leaves what was received in the same places.
CAPROCK_SEL4_INLINE void caprock_sel4_trap(seL4_Word number, caprock_sel4_exchange_t *exchange, seL4_Word reply, seL4_Word second)
{
    if (__builtin_expect((exchange->info & CAPROCK_SEL4_LENGTH_MASK) > seL4_FastMessageRegisters, 0)) {
        caprock_sel4_trap_long(number, exchange, reply, second);
        return;
    }
    register seL4_Word r0 __asm__("x0") = exchange->x0;
    register seL4_Word r1 __asm__("x1") = exchange->info;
    register seL4_Word r2 __asm__("x2") = exchange->words[0];
    register seL4_Word r3 __asm__("x3") = exchange->words[1];
    register seL4_Word r4 __asm__("x4") = exchange->words[2];
    register seL4_Word r5 __asm__("x5") = exchange->words[3];
    register seL4_Word r6 __asm__("x6") = reply;
    register seL4_Word r7 __asm__("x7") = number;
    register seL4_Word r8 __asm__("x8") = second;
    register seL4_Word r9 __asm__("x9");
    register seL4_Word r10 __asm__("x10");
    register seL4_Word r11 __asm__("x11");
    register seL4_Word r12 __asm__("x12");
    register seL4_Word r13 __asm__("x13");
    register seL4_Word r14 __asm__("x14");
    register seL4_Word r15 __asm__("x15");
    register seL4_Word r16 __asm__("x16");
    __asm__ volatile("svc #0"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8), "=r"(r9), "=r"(r10), "=r"(r11),
                       "=r"(r12), "=r"(r13), "=r"(r14), "=r"(r15), "=r"(r16)
                     :
                     : "x17", "x18", "memory", "cc");
    exchange->x0 = r0;
    exchange->info = r1;
    exchange->words[0] = r2;
    exchange->words[1] = r3;
    exchange->words[2] = r4;
    exchange->words[3] = r5;
    if (__builtin_expect((r1 & CAPROCK_SEL4_LENGTH_MASK) > seL4_FastMessageRegisters, 0)) {
        const seL4_Word words[CAPROCK_IPC_REGISTER_WORDS - seL4_FastMessageRegisters] = {r9, r10, r11, r12, r13, r14, r15, r16};
        caprock_sel4_spill(words, r1 & CAPROCK_SEL4_LENGTH_MASK);
    }
}

/// Sends words 0 to 3 from the IPC buffer.
CAPROCK_SEL4_INLINE caprock_sel4_exchange_t caprock_sel4_load(seL4_CPtr destination, seL4_MessageInfo_t info)
{
    const seL4_Word *words = __sel4_ipc_buffer->msg;
    caprock_sel4_exchange_t exchange = {destination, info.words[0], {words[0], words[1], words[2], words[3]}};
    return exchange;
}

/// Sends nothing: what a receive starts with.
CAPROCK_SEL4_INLINE caprock_sel4_exchange_t caprock_sel4_empty(seL4_CPtr source)
{
    caprock_sel4_exchange_t exchange = {source, 0, {0, 0, 0, 0}};
    return exchange;
}

/// Sends words 0 to 3 from variables, as far as they are there and the message has them.
CAPROCK_SEL4_INLINE caprock_sel4_exchange_t caprock_sel4_gather(seL4_CPtr destination, seL4_MessageInfo_t info, const seL4_Word *mr0,
                                                                const seL4_Word *mr1, const seL4_Word *mr2, const seL4_Word *mr3)
{
    seL4_Word length = info.words[0] & CAPROCK_SEL4_LENGTH_MASK;
    caprock_sel4_exchange_t exchange = {destination, info.words[0], {0, 0, 0, 0}};
    if (mr0 && length > 0)
        exchange.words[0] = *mr0;
    if (mr1 && length > 1)
        exchange.words[1] = *mr1;
    if (mr2 && length > 2)
        exchange.words[2] = *mr2;
    if (mr3 && length > 3)
        exchange.words[3] = *mr3;
    return exchange;
}

CAPROCK_SEL4_INLINE seL4_MessageInfo_t caprock_sel4_info(const caprock_sel4_exchange_t *exchange)
{
    seL4_MessageInfo_t info;
    info.words[0] = exchange->info;
    return info;
}

/// Ends a receive: words 0 to 3 go to the IPC buffer, the badge to `sender` unless that is null.
CAPROCK_SEL4_INLINE seL4_MessageInfo_t caprock_sel4_store(const caprock_sel4_exchange_t *exchange, seL4_Word *sender)
{
    seL4_Word *words = __sel4_ipc_buffer->msg;
    words[0] = exchange->words[0];
    words[1] = exchange->words[1];
    words[2] = exchange->words[2];
    words[3] = exchange->words[3];
    if (sender)
        *sender = exchange->x0;
    return caprock_sel4_info(exchange);
}

/// Ends a receive: words 0 to 3 go to variables, as far as they are there.
CAPROCK_SEL4_INLINE seL4_MessageInfo_t caprock_sel4_scatter(const caprock_sel4_exchange_t *exchange, seL4_Word *sender, seL4_Word *mr0,
                                                            seL4_Word *mr1, seL4_Word *mr2, seL4_Word *mr3)
{
    if (mr0)
        *mr0 = exchange->words[0];
    if (mr1)
        *mr1 = exchange->words[1];
    if (mr2)
        *mr2 = exchange->words[2];
    if (mr3)
        *mr3 = exchange->words[3];
    if (sender)
        *sender = exchange->x0;
    return caprock_sel4_info(exchange);
}
