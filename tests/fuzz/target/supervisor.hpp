// SPDX-License-Identifier: BSD-2-Clause
// The fuzzer on the target. The supervisor, of the highest priority, gives one thread of the component after the other its next operation and
// waits until nothing runs any more; then it looks at the thread's registers and buffer. An idle helper of the lowest priority tells it; a
// second helper, awake in short periods, makes timer interrupts come at any point, and tells it when the component does not come to rest.
#pragma once

#include "component.hpp"
#include "machine.hpp"
#include "tests/fuzz/audit.hpp"
#include "tests/fuzz/universe.hpp"

namespace caprock::fuzz {

struct Counts {
    uint64_t operations = 0;
    uint64_t system_calls = 0;
    uint64_t succeeded = 0;     // invocations
    uint64_t refused = 0;
    uint64_t waited = 0;        // operations that did not end at once
    uint64_t faults = 0;
    uint64_t universes = 0;
    uint64_t digest = 0xcbf2'9ce4'8422'2325;

    void note(uint64_t word) { digest = (digest ^ word) * 0x100'0000'01b3; }
};

/// How the run ends when something is wrong: what, and where.
struct Report {
    const char* problem = nullptr;
    Finding finding{};
};

class Supervisor {
public:
    constexpr explicit Supervisor(Machine& machine) : machine_(machine) {}

    /// Makes what stays: helpers, memory, windows. False when that failed. A steady run is the same on kernels that take more or less time: no timer
    /// interrupts, nothing that tells or measures out time; and its digest is of all that can be seen after each operation.
    bool start(bool steady);
    /// Builds a component, gives it `operations` operations from `seed`, and takes it back. False when something is wrong.
    bool run(uint64_t seed, uint64_t operations);

    const Counts& counts() const { return counts_; }
    const Report& report() const { return report_; }

    // The Port of Universe.
    Error call(const Request& request);
    bool prepare_space(uint64_t vspace);
    bool is_clear(uint64_t frame, unsigned thread);

private:
    /// A thread of the component.
    struct Thread {
        bool pending = false;    // its operation did not end yet
        bool waits = false;      // in a steady run: for a message, an answer, or a notification
        bool writes = false;     // and changes registers of threads
        unsigned refused = 0;    // times in a row that it did not come to its operation
        Registers before{};
    };

    bool make_helper(void (*function)(), uint8_t priority, uint64_t budget, uint64_t period);
    bool make_code_tables();
    bool map_console(unsigned space, uint64_t vspace);
    Resources resources();
    bool operate(Choices& choices, unsigned thread);
    bool operate_some(Choices& choices, unsigned thread);
    bool operate_equals(Choices& choices, unsigned thread, unsigned other);
    bool operate_meeting(Choices& choices, unsigned thread, unsigned other);
    bool perform(unsigned thread);
    void set_priority(unsigned thread, uint64_t priority);
    bool give(unsigned thread, const Operation& operation);
    bool look(unsigned thread, bool at_once);
    bool look_at_buffer(unsigned thread);
    void count(const Operation& operation, const Registers& after, bool ended);
    bool may_write_registers() const;
    void wait();
    void sleep_or_wake(Choices& choices);
    void mend(Choices& choices);
    unsigned next_thread(Choices& choices);
    bool draw(Choices& choices, Operation& operation, bool server);
    bool note_all(uint64_t flags);
    bool note_answer(Method method, uint64_t cap, uint64_t* state = nullptr);
    bool fail(const char* problem, Finding finding = {});
    bool fail(Finding finding) { return fail(finding.rule, finding); }

    Machine& machine_;
    bool steady_ = false;
    Counts counts_{};
    Report report_{};
    Cap<Untyped> memory_{};
    Cap<Frame> code_copies_[fuzz_spaces]{};
    Cap<Frame> console_copies_[fuzz_spaces]{};
    Cap<PageTable> code_tables_[fuzz_spaces]{};
    unsigned spaces_prepared_ = 0;
    uint64_t universe_slots_ = 0;
    uint64_t aliases_[fuzz_threads] = {};   // slots of the supervisor's own mappings of the buffers
    Thread threads_[fuzz_threads];
    Generator* generator_ = nullptr;
    Universe<Supervisor>* universe_ = nullptr;
    Operation operation_{};
    Operation other_operation_{};   // of the thread that the first one yields to
};

}  // namespace caprock::fuzz
