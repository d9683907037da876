// SPDX-License-Identifier: BSD-2-Clause
// Where a message is: words 0 to 11 in registers, further ones in the IPC buffer. One place knows the register map of system calls.
#pragma once

#include "object/tcb.hpp"

namespace caprock {

using abi::IPCBuffer;
using abi::MessageInfo;

namespace reg {
inline constexpr unsigned cap = 0;           // in: capability; out: badge
inline constexpr unsigned info = 1;
inline constexpr unsigned reply = 6;
inline constexpr unsigned number = 7;        // number of the system call and its flags
inline constexpr unsigned destination = 8;   // second capability of NBSendRecv and NBSendWait
[[gnu::always_inline]] constexpr unsigned word(unsigned i) { return i < 4 ? i + 2 : i + 5; }  // x2-x5, x9-x16
}  // namespace reg

inline constexpr unsigned register_words = abi::ipc_register_words;

// The thread's IPC buffer in the kernel's direct map, or null: it has none, or may not read (write) it.
inline IPCBuffer* readable_buffer(const Tcb& thread) {
    const Cap& cap = thread.cap(TcbSlot::Buffer);
    if (!cap.is(CapType::Frame) || !as<FrameCap>(cap).can_read()) return nullptr;
    Word offset = thread.buffer.raw & (as<FrameCap>(cap).size_bits().bytes() - 1);
    return arch::pointer<IPCBuffer>(cap.object() + offset);
}
inline IPCBuffer* writable_buffer(const Tcb& thread) {
    const Cap& cap = thread.cap(TcbSlot::Buffer);
    return cap.is(CapType::Frame) && as<FrameCap>(cap).can_write() ? readable_buffer(thread) : nullptr;
}

// What a thread says about its message, made sane: a length that does not fit is cut.
inline MessageInfo sent_info(const Tcb& thread) {
    MessageInfo info{thread.context.x[reg::info]};
    if (info.length() <= register_words) return info;
    Word most = readable_buffer(thread) != nullptr ? Word{abi::ipc_message_words} : Word{register_words};
    if (info.length() <= most) return info;
    return MessageInfo::make(most, info.extra_caps(), info.caps_unwrapped(), info.label());
}

// A message being read: word n of what `thread` sent. Words beyond its length read as 0.
class SentMessage {
public:
    explicit SentMessage(const Tcb& thread) : thread_(thread), info_(sent_info(thread)), buffer_(nullptr) {
        if (info_.length() > register_words || info_.extra_caps() != 0) buffer_ = readable_buffer(thread);
    }
    MessageInfo info() const { return info_; }
    Word word(unsigned i) const {
        if (i >= info_.length()) return 0;
        if (i < register_words) return thread_.context.x[reg::word(i)];
        return buffer_->msg[i];
    }
    // Address of capability argument i; the message has it if i < extra_caps().
    CPtr cap(unsigned i) const { return CPtr(buffer_->caps_or_badges[i]); }
    unsigned extra_caps() const { return buffer_ == nullptr ? 0 : static_cast<unsigned>(info_.extra_caps()); }

private:
    const Tcb& thread_;
    MessageInfo info_;
    const IPCBuffer* buffer_;
};

// Clears the message words from `first` on that travel in registers.
inline void clear_register_words(Context& context, unsigned first = 0) {
    for (unsigned i = first; i < register_words; ++i) context.x[reg::word(i)] = 0;
}

// Of a thread that waits for a message (BlockedOnReceive) or for an answer to its call (BlockedOnReply, without a fault) only those registers count that
// its system call needs when it executes again: of a receiver x0, x6 and x7. The others are 0 for everybody who sees them; here for a thread whose
// wait ends, all but x0, x1 and the words, which its end writes.
[[gnu::always_inline]] inline void clear_dead_registers(Tcb& thread) {
    Word* x = thread.context.x;
    if (thread.state == ThreadState::BlockedOnReply) x[reg::reply] = x[reg::number] = 0;
    x[reg::destination] = x[17] = x[18] = 0;
}

// Copies those words as far as the message goes, and clears the others.
inline void copy_register_words(const Context& from, Context& to, unsigned length) {
    for (unsigned i = 0; i < register_words && i < length; ++i) to.x[reg::word(i)] = from.x[reg::word(i)];
    clear_register_words(to, length);
}

// Gives `thread` the badge and info that its system call returns.
inline void set_received(Tcb& thread, Badge badge, MessageInfo info) {
    thread.context.x[reg::cap] = badge.raw;
    thread.context.x[reg::info] = info.raw;
}

// The result of an invocation: its error, or words. The remaining message registers are cleared.
void set_words(Tcb& thread, Word label, const Word* words, unsigned length);
void set_result(Tcb& thread, const Failure& failure);
inline void set_result(Tcb& thread, Word word) { set_words(thread, 0, &word, 1); }
template <unsigned N>
inline void set_results(Tcb& thread, const Word (&words)[N]) {
    static_assert(N <= register_words);
    set_words(thread, 0, words, N);
}
// The result of an invocation that has nothing to say but that it is done.
inline void set_done(Tcb& thread) { set_received(thread, Badge(0), MessageInfo{0}); }

}  // namespace caprock
