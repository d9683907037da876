// SPDX-License-Identifier: BSD-2-Clause
// Threads of a test: each runs a callable on its own stack, with an IPC buffer, in one of the two address spaces, and in the component's
// CSpace unless told otherwise.
#pragma once

#include "tests/conformance/component/test.hpp"

namespace caprock::conformance {

// The first thread, which runs the test, has worker_priority.
inline constexpr uint8_t higher_priority = 110;    // runs at once
inline constexpr uint8_t lower_priority = 90;      // runs while the test waits

struct ThreadOptions {
    uint8_t priority = higher_priority;
    Cap<VSpace> vspace = own_vspace;
    /// No scheduling context: the thread runs only on one that is lent or bound to it.
    bool passive = false;
    bool buffer = true;
    /// Microseconds. Equal: round robin.
    uint64_t budget = worker_budget;
    uint64_t period = worker_budget;
    /// Where faults go; null fails the test at the first one.
    CapRef fault_endpoint{};
    Cap<CNode> cspace = own_cnode;
};

/// Memory of a thread.
struct alignas(2 * page_bytes) ThreadMemory {
    abi::IPCBuffer buffer;
    uint64_t thread_block[8];   // two words before the thread-local variables
    uint8_t stack[2 * page_bytes - sizeof(abi::IPCBuffer) - 8 * sizeof(uint64_t)];
};

class Thread {
public:
    Cap<TCB> tcb;
    Cap<SchedContext> context;
    /// Signalled when the thread's function returns.
    Cap<Notification> ended;

    bool done() const { return done_; }
    void resume() const { CHECK_OK(tcb.resume()); }
    /// Waits until the thread's function returned.
    void join() const;
    abi::IPCBuffer& buffer() const { return memory_->buffer; }
    ThreadMemory& memory() const { return *memory_; }

private:
    friend Thread& prepare_thread(void (*function)(void*), void* argument, const ThreadOptions& options);
    friend void thread_main(Thread* thread);
    friend void start_first_thread();

    void make_objects(const ThreadOptions& options);
    void set_registers() const;

    void (*function_)(void*) = nullptr;
    void* argument_ = nullptr;
    ThreadMemory* memory_ = nullptr;
    volatile bool done_ = false;
    bool has_buffer_ = true;
};

/// Makes a thread that is not resumed yet. It lives until the test ends.
Thread& prepare_thread(void (*function)(void*), void* argument, const ThreadOptions& options);

/// The same for a callable, which must live as long as the thread runs.
template <class Callable>
Thread& prepare(Callable& callable, const ThreadOptions& options = {}) {
    return prepare_thread([](void* argument) { (*static_cast<Callable*>(argument))(); }, &callable, options);
}

/// Makes a thread and lets it run.
template <class Callable>
Thread& spawn(Callable& callable, const ThreadOptions& options = {}) {
    Thread& thread = prepare(callable, options);
    thread.resume();
    return thread;
}

/// Flags of TCB::ReadRegisters and TCB::WriteRegisters.
inline constexpr uint64_t suspend_source = 1;
inline constexpr uint64_t resume_target = 1;

/// The running thread.
Thread* current_thread();
/// Makes the component's first thread, which is running, a Thread too. Must be called first, once.
void start_first_thread();
/// Stops the running thread for good.
[[noreturn]] void stop_current_thread();

/// Gives the memory of the last `count` threads back, which must be deleted.
void forget_threads(unsigned count);
/// Lets everybody else of the component run for so many microseconds.
void sleep(uint64_t microseconds);

/// A thread of higher priority that runs for a moment in each period, and notes how long it had to wait: whether an operation of another thread
/// lets interrupts in.
class Ticker {
public:
    explicit Ticker(uint64_t period);
    Ticker(const Ticker&) = delete;
    ~Ticker() { CHECK_OK(thread_->tcb.suspend()); }
    /// Ends the test unless the thread ran in every period since its last start, and at least `least` times.
    void check_on_time(uint64_t least = 2) const;
    /// Forgets what was until now.
    void start();
    /// What it does at each turn, beside taking note.
    void (*at_turn)() = nullptr;
    void operator()();

private:
    const Thread* thread_;
    uint64_t period_;
    volatile uint64_t last_ = 0;
    volatile uint64_t longest_ = 0;
    volatile uint64_t turns_ = 0;
};

/// Threads without stack and buffer, each of which makes one system call and then stops: many that wait.
class Crowd {
public:
    explicit Crowd(unsigned count);
    /// Lets the next one, of this priority, make its system call. One that is blocked in it has no scheduling context afterwards.
    Cap<TCB> add(abi::Syscall call, CapRef cap, uint8_t priority, uint64_t word = 0);

private:
    uint64_t first_;
    unsigned left_;
    Cap<SchedContext> context_;
};

/// Configures a scheduling context; microseconds.
void set_budget(Cap<SchedContext> context, uint64_t budget, uint64_t period, uint64_t extra_refills = 0, uint64_t badge = 0);

/// A fault that was received: the thread waits until `reply` is answered.
struct FaultReport {
    abi::FaultLabel label;
    uint64_t badge;
    uint64_t length;
    uint64_t words[abi::ipc_message_words];
};

/// Endpoint and reply object of a fault handler that is the test itself.
class FaultHandler {
public:
    FaultHandler() : endpoint_(create<Endpoint>()), reply_(create<Reply>()) {}
    Cap<Endpoint> endpoint() const { return endpoint_; }
    Cap<Reply> reply_object() const { return reply_; }
    /// Waits for a fault.
    FaultReport receive() const;
    /// Answers with a label and words.
    void reply(uint64_t label = 0, const uint64_t* words = nullptr, uint64_t count = 0) const;

private:
    Cap<Endpoint> endpoint_;
    Cap<Reply> reply_;
};

/// Copies a received message, words in the IPC buffer included.
FaultReport report_of(const sys::Message& message);

}  // namespace caprock::conformance
