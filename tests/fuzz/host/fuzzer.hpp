// SPDX-License-Identifier: BSD-2-Clause
// The generator on the host: a kernel that runs on an imitated machine, a component in it, and after every operation all invariants and the
// look for what must not reach user level.
#pragma once

#include "tests/fuzz/audit.hpp"
#include "tests/fuzz/universe.hpp"
#include "world.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

namespace caprock::fuzz {

/// Something is wrong with the kernel; the text says what.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What happened in a number of operations: to be printed, and the same for the same choices.
struct Counts {
    uint64_t operations = 0;
    uint64_t system_calls = 0;
    uint64_t succeeded = 0;     // invocations
    uint64_t refused = 0;
    uint64_t preempted = 0;
    uint64_t faults = 0;
    uint64_t interrupts = 0;
    uint64_t universes = 0;
    uint64_t results[method_count][16] = {};   // of each method, by error
    uint64_t digest = 0xcbf2'9ce4'8422'2325;

    void note(uint64_t word) { digest = (digest ^ word) * 0x100'0000'01b3; }
};

class HostFuzzer {
public:
    /// Boots a kernel and builds a component.
    HostFuzzer(Choices& choices, Counts& counts);

    /// One operation, all checks included. Throws if something is wrong.
    void step();
    /// Takes the component back. Throws if something of it is left.
    void finish();
    /// False when the component has stopped the supervisor, which its authority allows: then there is nothing to finish.
    bool alive() const { return !stranded_; }
    /// What the last operation was, for a report.
    std::string last() const;

    // The Port of Universe.
    Error call(const Request& request);
    bool prepare_space(uint64_t) { return true; }
    bool is_clear(uint64_t frame, unsigned) const;

private:
    void disturb();
    bool take_over();
    void idle();
    void supervise();
    void operate(Tcb& thread);
    void happen();
    void debug_exception();
    void execute(Tcb& thread, bool restarted);
    void load(Tcb& thread);
    void fill_buffer(Tcb& thread);
    void audit(const Tcb* issuer);
    void check_new_frame(const Slot& slot) const;
    void check_message(const Tcb& thread);
    void count_result(const Tcb& thread, const Registers& before, bool meant);
    const Slot& component_slot(Word address) const;
    const Slot* place_of_new_object() const;
    void forget_changed_threads();
    void look_at_frames();

    Choices& choices_;
    Counts& counts_;
    test::World world_;
    Generator generator_{choices_};
    std::optional<Universe<HostFuzzer>> universe_;
    Operation operation_;
    std::unordered_map<const Tcb*, Registers> calls_;   // system calls that did not return yet: the registers before
    const char* happened_ = "nothing";
    bool stranded_ = false;
    Grants grants_;
};

/// Operations of one component, when nothing else ends it.
inline constexpr uint64_t universe_operations = 10'000;

/// Builds a component, lets it live until its choices end or for `limit` operations, and takes it back.
/// @return what is wrong, with the operation in which it showed; empty if nothing is
std::string run_component(Choices& choices, Counts& counts, uint64_t limit = universe_operations);

}  // namespace caprock::fuzz
