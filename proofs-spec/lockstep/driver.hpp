// SPDX-License-Identifier: BSD-2-Clause
// What happens in a lockstep: the component of the kernel's fuzzer (tests/fuzz) with its generator of system calls, on a kernel that the
// specification follows. A supervisor, the root task, builds the component, mends it and takes it back; all of that is in step, too.
#pragma once

#include "director.hpp"
#include "lockstep.hpp"
#include "tests/fuzz/universe.hpp"

#include <functional>
#include <optional>

namespace caprock::lockstep {

/// The first of the interrupts whose handlers the component gets.
inline constexpr Word first_line = 41;

/// Threads beside the component's own that come and go together, at most.
inline constexpr unsigned crowd_size = 8;
/// Slots of the supervisor for a crowd: of its memory, and of its threads and contexts.
inline constexpr Word crowd_slots = 1 + 2 * crowd_size;

/// Slots of the supervisor for objects that come and go.
inline constexpr Word nest_slots = 6;

/// How time and preemptions are.
struct Manner {
    bool time_passes = true;
    bool preempts = true;
    bool goes_on = false;   // after a difference
};

class Driver {
public:
    /// Boots a kernel; from here on the oracle follows.
    Driver(fuzz::Choices& choices, Oracle& oracle, Tally& tally, const Manner& manner);

    /// Builds the component.
    void build();
    /// One event of the component, or what the supervisor does to it.
    void step();
    /// Takes the component back.
    void finish();
    /// False when the component has stopped the supervisor, which its authority allows.
    bool alive() const { return !stranded_; }
    Lockstep* lockstep() { return lockstep_ ? &*lockstep_ : nullptr; }

    // The Port of Universe.
    abi::Error call(const fuzz::Request& request);
    bool prepare_space(uint64_t) { return true; }
    bool is_clear(uint64_t frame, unsigned) const;

private:
    // What a thread is to do when it runs next: wait for what `target` names, with a reply object if it is to be called.
    struct Plan {
        Word target = 0;
        Word reply = 0;
    };

    // -- What there is for the component beside what tests/fuzz gives it (setups.cc).

    Word other_memory() const;
    void give_frames();
    void give_weak_ones();
    void make_last_holder();
    void carry_out_plans();
    void let_wait(Word target);
    std::optional<Word> receiving_end();
    void make_servers();
    void take_time(const SchedContext& context);
    void give_time(Word thread);
    void use_copy(const std::function<bool(const SchedContext&)>& fits, const std::function<void(Word)>& use);
    void settle(unsigned i, Word guard);
    void give_signals();
    void truncate();
    void wake();

    // -- Capabilities that the component hardly comes to hold by itself (nests.cc).

    void make_nest();
    void make_wide();
    void make_chain();
    void make_deep();
    void delete_itself();
    void revoke_itself();
    void change_space();
    void change_slots();
    void make_family();
    void change_family();
    void look_for_parents();
    void look_far();
    void remove_originals();

    // -- Threads beside the component's own, and time (crowds.cc).

    void pass(Word micros);
    void pass_until(Word instant);
    void raise_crowd(Word space, Word guard, unsigned size = crowd_size);
    bool start_of_crowd(unsigned member, Word fault_handler);
    bool runs(unsigned member) const;
    Word context_of_crowd(unsigned member) const { return crowd_ + 1 + crowd_size + member; }
    void perform(abi::Syscall number, Word cap, const test::Message& message = {}, Word reply = 0, Word destination = 0, Word flags = 0);
    void make_refused();
    void make_refused_behind();
    void receive_behind_call(Word from, Word reply);
    void receive_behind_send(Word from, Word reply, Word destination);
    void make_stack();
    void break_stack();
    void make_swept();
    void resume_sweep();
    void make_waiters();
    void make_lent();
    void drop_context();
    void make_float();
    void clear_gap();
    void empty_tables();
    void reuse_asid();
    void make_roomy();
    void make_yield();
    void answer_with_source();
    void make_crowd();
    void break_budget();
    void change_budget();
    void spread_priorities();

    // -- Objects that are made and lost (objects.cc).

    void change_plans();
    void use_fresh();
    void make_huge_page();
    void lose_pool();
    void fill_pool();
    void make_pools();
    void leave_unwanted();
    void watch_twice();

    // -- Events.

    Word border();
    void pass_time();
    void count_lost_spaces();
    const Slot* component_slots() const;
    // Into slots of the supervisor's CNode, and out of one.
    void make(abi::ObjectType type, Word bits, Word slot, Word untyped, Word count = 1);
    void remove(Word slot);
    bool take_over();
    void let_go();
    void begin(const fuzz::Request& request, unsigned point = 1);
    void call_to_end(abi::Syscall number, Word cap, const test::Message& message = {});
    void idle();
    void supervise();
    void operate(Tcb& thread);
    void draw(const Tcb& thread);
    void go_on();
    void interfere();
    void debug();
    void execute(Tcb& thread);
    void load(Tcb& thread);
    void add_guard(const Tcb& thread);
    void arm();
    void note_preemption();

    fuzz::Choices& choices_;
    Manner manner_;
    test::World world_;
    fuzz::Generator generator_{choices_};
    Director director_{choices_, generator_};
    std::optional<fuzz::Universe<Driver>> universe_;
    std::optional<Lockstep> lockstep_;
    fuzz::Operation operation_;
    fuzz::Grants grants_;
    Word control_ = 0;
    Word control_handler_ = 0;
    Word own_memory_ = 0;                      // an untyped for what only this driver makes
    Word extra_ = 0;                           // slots of frames and of a device's memory that only this driver gives, and two for what comes and goes
    Word crowd_ = 0;                           // slots of the memory, threads and contexts of a crowd
    Word nest_ = 0;                            // slots of containers that hold each other
    std::map<std::string, unsigned> points_;   // of each operation: at which it is preempted next
    std::map<const Tcb*, Plan> plans_;
    Word epoch_ = 0;                           // of address spaces, as it was seen last
    bool in_turn_ = false;                     // that is how it is armed
    bool stranded_ = false;
};

/// Events of one component, when nothing else ends it.
inline constexpr uint64_t component_events = 5'000;

}  // namespace caprock::lockstep
