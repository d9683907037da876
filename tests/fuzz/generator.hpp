// SPDX-License-Identifier: BSD-2-Clause
// The one generator of what a thread of the component does next: system calls, most of which pass the first checks, and faults. The host's
// fuzzer and the one on the target run it; it knows no state but its choices, so the same bytes give the same operations.
#pragma once

#include "choices.hpp"
#include "shelves.hpp"

namespace caprock::fuzz {

/// What a thread does: registers and IPC buffer before the instruction, and the instruction.
struct Operation {
    enum class Kind : uint8_t { SystemCall, MemoryFault, Exception, UseFpu, Interrupt };

    Kind kind = Kind::SystemCall;
    /// The method of the system call, if it names a capability that most likely has it.
    abi::Method method = abi::Method::None;
    /// The registers x0 to x18 of a system call. Of a fault: x0 is the address, x1 the syndrome as ESR_EL1 would have it. Of an interrupt, which the
    /// thread lets the console raise: nothing.
    uint64_t x[19] = {};
    /// Words 12 to message_words - 1 go to the IPC buffer (word n to msg[n]); at most 12: none do.
    unsigned message_words = 0;
    uint64_t words[abi::ipc_message_words] = {};
    uint64_t caps[abi::ipc_extra_caps] = {};
    uint64_t receive_cnode = 0;
    uint64_t receive_index = 0;
    uint64_t receive_depth = 0;

    abi::Syscall syscall() const { return static_cast<abi::Syscall>(x[7] & abi::syscall_number_mask); }
    /// A call of a method, whose answer says how it went.
    bool is_invocation() const { return method != abi::Method::None && syscall() == abi::Syscall::Call; }
    /// The system call may change registers of other threads, or of this one, other than by a message.
    bool writes_registers() const;
};

/// Addresses of this range are never drawn: whoever finds one in a thread's registers got it from the kernel.
struct Forbidden {
    uint64_t start = 0;
    uint64_t end = 0;
    bool holds(uint64_t word) const { return word >= start && word < end; }
};
/// The kernel's addresses on the target, but for the topmost, which are also small negative numbers.
inline constexpr Forbidden kernel_addresses{0xffff'8000'0000'0000, 0xffff'ffff'f000'0000};

class Generator {
public:
    static constexpr unsigned most_forbidden = 4;

    explicit Generator(Choices& choices) : choices_(choices) {}

    /// Keeps a range of words from being drawn. The target's kernel addresses always are.
    void forbid(Forbidden range);
    bool is_forbidden(uint64_t word) const;

    /// Draws the next operation of a client or of a server into `operation`, whatever it holds.
    void next(Operation& operation, bool server = false);

    /// Draws what a client says to a server, or a server to its clients: a short message without capabilities, and mostly an answer to it.
    void converse(Operation& operation, bool server);

    /// What one thread waits for and another one brings.
    enum class Meeting : uint8_t { Interrupt, Signal, Message, Fault };
    static constexpr unsigned meetings = 4;
    /// The line, and the notification that its handler signals, which is that of signals, too.
    static constexpr unsigned console_line = 1;
    /// Draws the wait for it, what brings it, and for an interrupt that it may come again.
    void await(Operation& operation, Meeting meeting);
    void wake(Operation& operation, Meeting meeting);
    void acknowledge(Operation& operation);
    void yield(Operation& operation);

    /// Draws the words and capabilities of a call of a method into `operation`, all but the system call that makes it.
    void invocation(Operation& operation, abi::Method method);
    /// A slot of the type's shelf, empty or not.
    uint64_t slot_of(CapType type) { return shelf_slot(type, choices_.below(shelf_size(type))); }
    /// Budget or period, microseconds.
    uint64_t micros();

private:
    void start(Operation& operation);
    void call_method(Operation& operation);
    void communicate(Operation& operation);
    void serve(Operation& operation);
    void speak_plainly(Operation& operation, abi::Syscall number);
    void signal_plainly(Operation& operation);
    void unknown_call(Operation& operation);
    void fault(Operation& operation);

    void retype(Operation& operation);
    void add_tail(Operation& operation, unsigned word_count, uint64_t tail_words);
    void finish(Operation& operation, uint64_t label, uint64_t words, uint64_t caps);
    void point_receive_slot(Operation& operation);

    abi::Method any_method();
    CapType any_shelf();
    CapType theme_of(abi::Method method);
    CapType one_type(uint32_t kinds);
    uint64_t any_word();
    uint64_t any_address();
    uint64_t likely(CapType type);
    uint64_t held(CapType type);
    uint64_t empty(CapType type);
    uint64_t slot_address(WordKind kind, uint64_t root);
    uint64_t capability(const CapTable& table);
    uint64_t guard();
    uint64_t user_address();
    uint64_t in_range(uint64_t low, uint64_t high);
    uint64_t word_for(const WordTable& table, const Operation& operation, unsigned position);
    uint64_t& word(Operation& operation, unsigned i);

    Choices& choices_;
    Forbidden forbidden_[most_forbidden] = {kernel_addresses};
    unsigned forbidden_count_ = 1;
    CapType theme_ = CapType::Null;   // of the slots that the method's addresses name
    uint64_t invoked_ = 0;            // the capability that is called
};

}  // namespace caprock::fuzz
