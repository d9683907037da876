// SPDX-License-Identifier: BSD-2-Clause
// The system calls, for C11 and C++11: each function is one svc with the register map of the manual's chapter "System calls and
// messages". Words 0 to 11 of a message are in the structure, words 12 and up and capabilities in the thread's IPC buffer.
#pragma once

#include <caprock/abi.h>
#include <stdint.h>

#define CAPROCK_INLINE static inline __attribute__((always_inline))

// The calling thread's IPC buffer, null while it has none. The runtime defines it; local-exec, as components are linked statically.
#if defined(__cplusplus) && __cplusplus >= 202002L
#include <caprock/abi.hpp>
extern "C" constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer __attribute__((tls_model("local-exec")));
#elif defined(__cplusplus)
extern "C" __thread caprock_ipc_buffer_t *caprock_ipc_buffer __attribute__((tls_model("local-exec")));
#else
extern _Thread_local caprock_ipc_buffer_t *caprock_ipc_buffer __attribute__((tls_model("local-exec")));
#endif

/// A message of up to 12 words, or the first 12 words of a longer one.
typedef struct caprock_message {
    caprock_message_info_t info;
    /// Received: badge of the capability that it was sent through.
    uint64_t badge;
    uint64_t words[CAPROCK_IPC_REGISTER_WORDS];
} caprock_message_t;

/// A message of up to 4 words, which costs fewer instructions. Further words of a received message are lost.
typedef struct caprock_short_message {
    caprock_message_info_t info;
    uint64_t badge;
    uint64_t words[4];
} caprock_short_message_t;

/// Traps into the kernel with all message registers.
/// @param number  system-call number and flags (x7)
/// @param x0      in: capability; out: badge
/// @param x1      in and out: message info
/// @param words   in and out: words 0 to 11
/// @param x6      reply object, 0 for none
/// @param x8      second destination, 0 for none
CAPROCK_INLINE void caprock_trap(uint64_t number, uint64_t *x0, uint64_t *x1, uint64_t *words, uint64_t x6, uint64_t x8)
{
    register uint64_t r0 __asm__("x0") = *x0;
    register uint64_t r1 __asm__("x1") = *x1;
    register uint64_t r6 __asm__("x6") = x6;
    register uint64_t r7 __asm__("x7") = number;
    register uint64_t r8 __asm__("x8") = x8;
    // Words go through memory inside the statement: as operands they would exceed the 30 that GCC accepts. The clobbers leave only
    // preserved registers for `words`, so it survives the call.
    __asm__ volatile("ldp x2, x3, [%[words]]\n\t"
                     "ldp x4, x5, [%[words], #16]\n\t"
                     "ldp x9, x10, [%[words], #32]\n\t"
                     "ldp x11, x12, [%[words], #48]\n\t"
                     "ldp x13, x14, [%[words], #64]\n\t"
                     "ldp x15, x16, [%[words], #80]\n\t"
                     "svc #0\n\t"
                     "stp x2, x3, [%[words]]\n\t"
                     "stp x4, x5, [%[words], #16]\n\t"
                     "stp x9, x10, [%[words], #32]\n\t"
                     "stp x11, x12, [%[words], #48]\n\t"
                     "stp x13, x14, [%[words], #64]\n\t"
                     "stp x15, x16, [%[words], #80]"
                     : "+r"(r0), "+r"(r1), "+r"(r6), "+r"(r7), "+r"(r8)
                     : [words] "r"(words)
                     : "x2", "x3", "x4", "x5", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "memory", "cc");
    *x0 = r0;
    *x1 = r1;
}

/// Traps into the kernel with words 0 to 3 only; word 4 is an output, since errors have up to five words of details.
/// @param words   in: words 0 to 3; out: words 0 to 4
CAPROCK_INLINE void caprock_trap_short(uint64_t number, uint64_t *x0, uint64_t *x1, uint64_t *words, uint64_t x6, uint64_t x8)
{
    register uint64_t r0 __asm__("x0") = *x0;
    register uint64_t r1 __asm__("x1") = *x1;
    register uint64_t r2 __asm__("x2") = words[0];
    register uint64_t r3 __asm__("x3") = words[1];
    register uint64_t r4 __asm__("x4") = words[2];
    register uint64_t r5 __asm__("x5") = words[3];
    register uint64_t r6 __asm__("x6") = x6;
    register uint64_t r7 __asm__("x7") = number;
    register uint64_t r8 __asm__("x8") = x8;
    register uint64_t r9 __asm__("x9");
    __asm__ volatile("svc #0"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8), "=r"(r9)
                     :
                     : "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "memory", "cc");
    *x0 = r0;
    *x1 = r1;
    words[0] = r2;
    words[1] = r3;
    words[2] = r4;
    words[3] = r5;
    words[4] = r9;
}

/// Traps into the kernel with words 0 to 7 only.
/// @param words   in and out: words 0 to 7
CAPROCK_INLINE void caprock_trap_middle(uint64_t number, uint64_t *x0, uint64_t *x1, uint64_t *words, uint64_t x6, uint64_t x8)
{
    register uint64_t r0 __asm__("x0") = *x0;
    register uint64_t r1 __asm__("x1") = *x1;
    register uint64_t r2 __asm__("x2") = words[0];
    register uint64_t r3 __asm__("x3") = words[1];
    register uint64_t r4 __asm__("x4") = words[2];
    register uint64_t r5 __asm__("x5") = words[3];
    register uint64_t r6 __asm__("x6") = x6;
    register uint64_t r7 __asm__("x7") = number;
    register uint64_t r8 __asm__("x8") = x8;
    register uint64_t r9 __asm__("x9") = words[4];
    register uint64_t r10 __asm__("x10") = words[5];
    register uint64_t r11 __asm__("x11") = words[6];
    register uint64_t r12 __asm__("x12") = words[7];
    __asm__ volatile("svc #0"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8), "+r"(r9), "+r"(r10),
                       "+r"(r11), "+r"(r12)
                     :
                     : "x13", "x14", "x15", "x16", "x17", "x18", "memory", "cc");
    *x0 = r0;
    *x1 = r1;
    words[0] = r2;
    words[1] = r3;
    words[2] = r4;
    words[3] = r5;
    words[4] = r9;
    words[5] = r10;
    words[6] = r11;
    words[7] = r12;
}

/// Any system call that takes or gives a message: caprock_trap with the message's fields, x0 becoming its badge.
CAPROCK_INLINE void caprock_exchange(uint64_t number, uint64_t x0, caprock_message_t *message, uint64_t x6, uint64_t x8)
{
    uint64_t info = message->info.raw;
    caprock_trap(number, &x0, &info, message->words, x6, x8);
    message->info.raw = info;
    message->badge = x0;
}

/// The same for a short message.
CAPROCK_INLINE void caprock_exchange_short(uint64_t number, uint64_t x0, caprock_short_message_t *message, uint64_t x6, uint64_t x8)
{
    uint64_t info = message->info.raw;
    uint64_t words[5] = {message->words[0], message->words[1], message->words[2], message->words[3], 0};
    caprock_trap_short(number, &x0, &info, words, x6, x8);
    message->info.raw = info;
    message->badge = x0;
    for (unsigned i = 0; i < 4; ++i)
        message->words[i] = words[i];
}

/// Sends `message` to `destination` and waits for the reply, which replaces it.
CAPROCK_INLINE void caprock_call(caprock_cptr_t destination, caprock_message_t *message)
{
    caprock_exchange(CAPROCK_SYSCALL_CALL, destination, message, 0, 0);
}

/// caprock_call with words 0 to 3 only.
CAPROCK_INLINE void caprock_call_short(caprock_cptr_t destination, caprock_short_message_t *message)
{
    caprock_exchange_short(CAPROCK_SYSCALL_CALL, destination, message, 0, 0);
}

/// Sends `message` to `destination`, waiting for a receiver.
/// @return CAPROCK_ERROR_NO_ERROR, or why it was not sent: CAPROCK_ERROR_NO_DONATION when the receiver refused it
CAPROCK_INLINE caprock_error_t caprock_send(caprock_cptr_t destination, const caprock_message_t *message)
{
    caprock_message_t copy = *message;
    caprock_exchange(CAPROCK_SYSCALL_SEND, destination, &copy, 0, 0);
    return caprock_message_info_get_label(copy.info);
}

/// Sends `message` to `destination` if a receiver waits; otherwise nothing happens.
/// @return as caprock_send; CAPROCK_ERROR_NO_ERROR also when nobody waited
CAPROCK_INLINE caprock_error_t caprock_nb_send(caprock_cptr_t destination, const caprock_message_t *message)
{
    caprock_message_t copy = *message;
    caprock_exchange(CAPROCK_SYSCALL_NB_SEND, destination, &copy, 0, 0);
    return caprock_message_info_get_label(copy.info);
}

/// Signals the notification `notification` with its capability's badge.
CAPROCK_INLINE void caprock_signal(caprock_cptr_t notification)
{
    caprock_short_message_t message = {{0}, 0, {0, 0, 0, 0}};
    caprock_exchange_short(CAPROCK_SYSCALL_SEND, notification, &message, 0, 0);
}

/// Receives into `message` from `source`; `reply` becomes the right to answer a call.
/// @param flags  0, or CAPROCK_SYSCALL_FLAG_REQUIRE_DONATION
CAPROCK_INLINE void caprock_recv(caprock_cptr_t source, caprock_cptr_t reply, uint64_t flags, caprock_message_t *message)
{
    message->info.raw = 0;
    caprock_exchange(CAPROCK_SYSCALL_RECV | flags, source, message, reply, 0);
}

/// caprock_recv that does not wait: the badge is 0 when nothing was there.
CAPROCK_INLINE void caprock_nb_recv(caprock_cptr_t source, caprock_cptr_t reply, uint64_t flags, caprock_message_t *message)
{
    message->info.raw = 0;
    caprock_exchange(CAPROCK_SYSCALL_NB_RECV | flags, source, message, reply, 0);
}

/// Answers with `message` through `reply`, then receives into it from `source`.
CAPROCK_INLINE void caprock_reply_recv(caprock_cptr_t source, caprock_cptr_t reply, uint64_t flags, caprock_message_t *message)
{
    caprock_exchange(CAPROCK_SYSCALL_REPLY_RECV | flags, source, message, reply, 0);
}

/// caprock_reply_recv with words 0 to 3 only, both ways.
CAPROCK_INLINE void caprock_reply_recv_short(caprock_cptr_t source, caprock_cptr_t reply, uint64_t flags, caprock_short_message_t *message)
{
    caprock_exchange_short(CAPROCK_SYSCALL_REPLY_RECV | flags, source, message, reply, 0);
}

/// Receives into `message` from `source` without a reply object: a notification, or an endpoint that only plain sends reach.
CAPROCK_INLINE void caprock_wait(caprock_cptr_t source, uint64_t flags, caprock_message_t *message)
{
    message->info.raw = 0;
    caprock_exchange(CAPROCK_SYSCALL_WAIT | flags, source, message, 0, 0);
}

/// caprock_wait that does not wait: the badge is 0 when nothing was there.
CAPROCK_INLINE void caprock_nb_wait(caprock_cptr_t source, uint64_t flags, caprock_message_t *message)
{
    message->info.raw = 0;
    caprock_exchange(CAPROCK_SYSCALL_NB_WAIT | flags, source, message, 0, 0);
}

/// caprock_nb_send of `message` to `destination`, then caprock_recv into it.
CAPROCK_INLINE void caprock_nb_send_recv(caprock_cptr_t destination, caprock_cptr_t source, caprock_cptr_t reply, uint64_t flags,
                                         caprock_message_t *message)
{
    caprock_exchange(CAPROCK_SYSCALL_NB_SEND_RECV | flags, source, message, reply, destination);
}

/// caprock_nb_send of `message` to `destination`, then caprock_wait into it.
CAPROCK_INLINE void caprock_nb_send_wait(caprock_cptr_t destination, caprock_cptr_t source, uint64_t flags, caprock_message_t *message)
{
    caprock_exchange(CAPROCK_SYSCALL_NB_SEND_WAIT | flags, source, message, 0, destination);
}

/// Gives up the rest of the current budget.
CAPROCK_INLINE void caprock_yield(void)
{
    caprock_short_message_t message = {{0}, 0, {0, 0, 0, 0}};
    caprock_exchange_short(CAPROCK_SYSCALL_YIELD, 0, &message, 0, 0);
}

/// Debug kernels: prints `character` on the kernel's console. Other kernels raise an UnknownSyscall fault.
CAPROCK_INLINE void caprock_debug_put_char(char character)
{
    caprock_short_message_t message = {{0}, 0, {0, 0, 0, 0}};
    caprock_exchange_short(CAPROCK_SYSCALL_DEBUG_PUT_CHAR, (unsigned char)character, &message, 0, 0);
}

/// Debug kernels: stops the machine. Other kernels raise an UnknownSyscall fault.
CAPROCK_INLINE void caprock_debug_halt(void)
{
    caprock_short_message_t message = {{0}, 0, {0, 0, 0, 0}};
    caprock_exchange_short(CAPROCK_SYSCALL_DEBUG_HALT, 0, &message, 0, 0);
}

/// Debug kernels: the type of the capability at `cap`, a value of caprock_cap_type_t.
CAPROCK_INLINE uint64_t caprock_debug_cap_identify(caprock_cptr_t cap)
{
    caprock_short_message_t message = {{0}, 0, {0, 0, 0, 0}};
    caprock_exchange_short(CAPROCK_SYSCALL_DEBUG_CAP_IDENTIFY, cap, &message, 0, 0);
    return message.badge;
}

#undef CAPROCK_INLINE
