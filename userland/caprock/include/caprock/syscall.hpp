// SPDX-License-Identifier: BSD-2-Clause
// The system calls for C++: the functions of syscall.h with typed messages. `Message` carries 12 words; the overloads for
// `ShortMessage` carry 4 in fewer instructions.
#pragma once

#include <caprock/abi.hpp>
#include <caprock/syscall.h>

namespace caprock::sys {

/// A message of up to 12 words, or the first 12 words of a longer one; the rest is in the IPC buffer.
struct Message {
    abi::MessageInfo info;
    /// Received: badge of the capability that it was sent through.
    uint64_t badge;
    uint64_t words[abi::ipc_register_words];
};

/// A message of up to 4 words. Further words of a received message are lost.
struct ShortMessage {
    abi::MessageInfo info;
    uint64_t badge;
    uint64_t words[4];
};

/// An invocation of up to 4 words and its result of up to 5.
struct Invocation {
    abi::MessageInfo info;
    uint64_t badge;
    uint64_t words[5];
};

/// An invocation of up to 8 words, and its result of as many.
struct LongInvocation {
    abi::MessageInfo info;
    uint64_t badge;
    uint64_t words[8];
};

namespace detail {

[[gnu::always_inline]] inline void exchange(uint64_t number, uint64_t x0, Message& message, uint64_t reply, uint64_t second)
{
    caprock_trap(number, &x0, &message.info.raw, message.words, reply, second);
    message.badge = x0;
}

[[gnu::always_inline]] inline void exchange(uint64_t number, uint64_t x0, Invocation& message, uint64_t reply, uint64_t second)
{
    caprock_trap_short(number, &x0, &message.info.raw, message.words, reply, second);
    message.badge = x0;
}

[[gnu::always_inline]] inline void exchange(uint64_t number, uint64_t x0, LongInvocation& message, uint64_t reply, uint64_t second)
{
    caprock_trap_middle(number, &x0, &message.info.raw, message.words, reply, second);
    message.badge = x0;
}

[[gnu::always_inline]] inline void exchange(uint64_t number, uint64_t x0, ShortMessage& message, uint64_t reply, uint64_t second)
{
    Invocation full {message.info, 0, {message.words[0], message.words[1], message.words[2], message.words[3], 0}};
    exchange(number, x0, full, reply, second);
    message = {full.info, full.badge, {full.words[0], full.words[1], full.words[2], full.words[3]}};
}

/// A word that nobody looks at: whatever a register holds.
[[gnu::always_inline]] inline uint64_t anything()
{
    uint64_t word;
    __asm__ volatile inline("" : "=r"(word));
    return word;
}

/// x7 of system call `number` with `flags`.
constexpr uint64_t number(abi::Syscall number, uint64_t flags = 0) { return static_cast<uint64_t>(number) | flags; }

} // namespace detail

/// Any of the messages above.
template <class T> concept AnyMessage = __is_same(T, Message) || __is_same(T, ShortMessage) || __is_same(T, Invocation) || __is_same(T, LongInvocation);

/// Sends `message` to `destination` and waits for the reply, which replaces it.
[[gnu::always_inline]] inline void call(uint64_t destination, AnyMessage auto& message)
{
    detail::exchange(detail::number(abi::Syscall::Call), destination, message, 0, 0);
}

/// The same for a method with `given` words: the kernel looks at no others, and whoever else gets the message sees them cleared.
template <unsigned given> [[gnu::always_inline]] inline void invoke(uint64_t object, AnyMessage auto& message)
{
    constexpr unsigned most = sizeof(message.words) / sizeof(message.words[0]);
#pragma GCC unroll 12
    for (unsigned i = given; i < most; ++i)
        message.words[i] = detail::anything();
    detail::exchange(detail::number(abi::Syscall::Call), object, message, detail::anything(), detail::anything());
}

/// Sends `message` to `destination`, waiting for a receiver.
/// @return NoError, or why it was not sent: NoDonation when the receiver refused it
[[gnu::always_inline]] inline abi::Error send(uint64_t destination, AnyMessage auto message)
{
    detail::exchange(detail::number(abi::Syscall::Send), destination, message, 0, 0);
    return static_cast<abi::Error>(message.info.label());
}

/// Sends `message` to `destination` if a receiver waits; otherwise nothing happens.
/// @return as send; NoError also when nobody waited
[[gnu::always_inline]] inline abi::Error nb_send(uint64_t destination, AnyMessage auto message)
{
    detail::exchange(detail::number(abi::Syscall::NBSend), destination, message, 0, 0);
    return static_cast<abi::Error>(message.info.label());
}

/// Signals `notification` with its capability's badge.
inline void signal(uint64_t notification) { caprock_signal(notification); }

/// Receives into `message` from `source`; `reply` becomes the right to answer a call.
/// @param flags  0, or abi::syscall_flag_require_donation
[[gnu::always_inline]] inline void recv(uint64_t source, uint64_t reply, AnyMessage auto& message, uint64_t flags = 0)
{
    message = {};
    detail::exchange(detail::number(abi::Syscall::Recv, flags), source, message, reply, 0);
}

/// recv that does not wait: the badge is 0 when nothing was there.
[[gnu::always_inline]] inline void nb_recv(uint64_t source, uint64_t reply, AnyMessage auto& message, uint64_t flags = 0)
{
    message = {};
    detail::exchange(detail::number(abi::Syscall::NBRecv, flags), source, message, reply, 0);
}

/// Answers with `message` through `reply`, then receives into it from `source`.
[[gnu::always_inline]] inline void reply_recv(uint64_t source, uint64_t reply, AnyMessage auto& message, uint64_t flags = 0)
{
    detail::exchange(detail::number(abi::Syscall::ReplyRecv, flags), source, message, reply, 0);
}

/// Receives into `message` from `source` without a reply object: a notification, or an endpoint that only plain sends reach.
[[gnu::always_inline]] inline void wait(uint64_t source, AnyMessage auto& message, uint64_t flags = 0)
{
    message = {};
    detail::exchange(detail::number(abi::Syscall::Wait, flags), source, message, 0, 0);
}

/// wait that does not wait: the badge is 0 when nothing was there.
[[gnu::always_inline]] inline void nb_wait(uint64_t source, AnyMessage auto& message, uint64_t flags = 0)
{
    message = {};
    detail::exchange(detail::number(abi::Syscall::NBWait, flags), source, message, 0, 0);
}

/// nb_send of `message` to `destination`, then recv into it from `source`.
[[gnu::always_inline]] inline void nb_send_recv(uint64_t destination, uint64_t source, uint64_t reply, AnyMessage auto& message,
                                                uint64_t flags = 0)
{
    detail::exchange(detail::number(abi::Syscall::NBSendRecv, flags), source, message, reply, destination);
}

/// nb_send of `message` to `destination`, then wait into it from `source`.
[[gnu::always_inline]] inline void nb_send_wait(uint64_t destination, uint64_t source, AnyMessage auto& message, uint64_t flags = 0)
{
    detail::exchange(detail::number(abi::Syscall::NBSendWait, flags), source, message, 0, destination);
}

/// Gives up the rest of the current budget.
inline void yield() { caprock_yield(); }

/// Debug kernels: prints `character` on the kernel's console. Other kernels raise an UnknownSyscall fault.
inline void debug_put_char(char character) { caprock_debug_put_char(character); }

/// Debug kernels: stops the machine. Other kernels raise an UnknownSyscall fault.
inline void debug_halt() { caprock_debug_halt(); }

/// Debug kernels: the type of the capability at `cap`.
inline abi::CapType debug_cap_identify(uint64_t cap) { return static_cast<abi::CapType>(caprock_debug_cap_identify(cap)); }

} // namespace caprock::sys
