// SPDX-License-Identifier: BSD-2-Clause
// Calls that know the state: the generator of tests/fuzz draws a call, and the director gives it capabilities that are there, slots that are occupied or
// empty as the method wants them, and words that belong together. Most such calls pass all checks but one, or all.
#pragma once

#include "host_seam.hpp"
#include "object/tcb.hpp"
#include "tests/fuzz/generator.hpp"

#include <optional>
#include <vector>

namespace caprock::lockstep {

inline constexpr uint64_t space_slots = uint64_t{1} << fuzz::space_bits;
constexpr uint32_t mask_of(CapType type) { return uint32_t{1} << static_cast<unsigned>(type); }
/// Message word i of an operation.
inline uint64_t& word(fuzz::Operation& operation, unsigned i) {
    if (i >= abi::ipc_register_words) return operation.words[i];
    return operation.x[i < 4 ? i + 2 : i + 5];
}

/// The slots of a CNode, and how its capability names them.
struct Container {
    const Slot* slots;
    uint64_t count;
    uint64_t guard;
    uint64_t depth;
};
std::optional<Container> container_of(const Cap& cap);

/// Whether the addresses of a thread's CSpace are, but for a guard, those of the slots.
bool leads_to(const Tcb& thread, const Slot* slots);

class Director {
public:
    Director(fuzz::Choices& choices, fuzz::Generator& generator) : choices_(choices), generator_(generator) {}

    /// Draws a call of any method for a component whose capabilities are in `space`, by their addresses.
    void call(fuzz::Operation& operation, const Slot* space);
    /// Draws something that only the present state makes possible: an answer to who waits for one, a message to who receives, a YieldTo to a thread that
    /// is ready. False if there is no such thing (opportunities.cc).
    bool opportunity(fuzz::Operation& operation, const Slot* space, const Tcb& current);
    /// Draws a call of a server that waits without time of its own, or its answer. False if there is none (round_trips.cc).
    bool round_trip(fuzz::Operation& operation, const Slot* space, const Tcb& current);
    /// Draws a call that lets another thread go on that cannot by itself. False if there is none.
    bool help(fuzz::Operation& operation, const Slot* space, const Tcb& current);
    /// Draws a YieldTo while another one has not returned, to the same context if that is possible. False if there is none.
    bool yield_again(fuzz::Operation& operation, const Slot* space, const Tcb& current);
    /// An instant at which a refill of one of the component's contexts begins, ends or meets another one.
    std::optional<Ticks> instant(const Slot* space);
    /// A Wait for what the address names.
    void wait(fuzz::Operation& operation, uint64_t target);
    /// A Recv of the endpoint with the reply object that the addresses name, sometimes one that wants time.
    void receive_with(fuzz::Operation& operation, uint64_t endpoint, uint64_t reply);
    /// Brings one word of a call to the border of what is allowed, or next to it.
    void go_to_border(fuzz::Operation& operation, const fuzz::MethodTable& table);
    /// Draws a system call of debug builds.
    void debug_call(fuzz::Operation& operation);
    /// Gives a message that the generator has drawn a target that takes messages.
    void message(fuzz::Operation& operation, const Slot* space);

private:
    struct Place {
        uint64_t index;
        uint64_t depth;
    };

    bool keeps_to_plan() { return !choices_.one_in(10); }
    void start(fuzz::Operation& operation);
    abi::Method choose_method();

    // -- What there is.

    const Cap* cap_at(uint64_t address) const;
    std::optional<uint64_t> one_of(const std::vector<uint64_t>& slots);
    std::optional<uint64_t> holder(uint32_t types);
    template <class Fits>
    std::optional<uint64_t> holder_of(CapType type, Fits fits) {
        std::vector<uint64_t> found;
        for (uint64_t i = 0; i < space_slots; ++i) {
            if (space_[i].cap.is(type) && fits(space_[i].cap)) found.push_back(i);
        }
        return one_of(found);
    }
    std::optional<uint64_t> own_cnode();
    std::optional<Place> place_in(uint64_t root, fuzz::WordKind kind, abi::Method method);
    std::optional<Place> own_place(uint64_t slot);

    // -- Arguments of a call that the generator has drawn.

    void choose_capabilities(fuzz::Operation& operation, const fuzz::MethodTable& table);
    void choose_slots(fuzz::Operation& operation, const fuzz::MethodTable& table);
    void retype(fuzz::Operation& operation);
    void breakpoint(fuzz::Operation& operation);
    void details(fuzz::Operation& operation);
    void spoil(fuzz::Operation& operation, const fuzz::MethodTable& table);
    uint64_t border_of(const fuzz::WordTable& entry);
    void go_wrong(fuzz::Operation& operation);

    // -- Opportunities.

    void write_message(fuzz::Operation& operation, abi::Syscall number, uint64_t target);
    void write_short_message(fuzz::Operation& operation, abi::Syscall number, uint64_t target);
    void add_capabilities(fuzz::Operation& operation);
    bool call_server(fuzz::Operation& operation, bool passive);
    bool give_back_time(fuzz::Operation& operation);
    bool move_partner(fuzz::Operation& operation);
    bool become_server(fuzz::Operation& operation);
    bool answer_and_wait(fuzz::Operation& operation, const Tcb& current);
    void invoke(fuzz::Operation& operation, abi::Method method, uint64_t cap, std::initializer_list<uint64_t> words, std::initializer_list<uint64_t> caps);
    bool answer(fuzz::Operation& operation, const Tcb& current);
    void give_source(fuzz::Operation& operation, const Tcb& caller);
    bool answer_fault(fuzz::Operation& operation);
    bool inspect(fuzz::Operation& operation);
    bool send(fuzz::Operation& operation);
    bool receive(fuzz::Operation& operation);
    bool wait_in_line(fuzz::Operation& operation);
    bool send_without_time(fuzz::Operation& operation);
    bool send_and_receive(fuzz::Operation& operation);
    bool make_passive(fuzz::Operation& operation, const Tcb& current);
    bool yield_to(fuzz::Operation& operation, const Tcb& current);
    bool stop_yielder(fuzz::Operation& operation);
    bool rotate(fuzz::Operation& operation);
    bool find_opportunity(fuzz::Operation& operation, const Tcb& current);
    bool map(fuzz::Operation& operation);
    bool map_table(fuzz::Operation& operation);
    bool map_again(fuzz::Operation& operation);
    bool lose_space(fuzz::Operation& operation);
    bool use_lost_space(fuzz::Operation& operation, uint64_t space);
    bool cancel(fuzz::Operation& operation);
    bool configure(fuzz::Operation& operation, const Tcb& current);
    bool replace(fuzz::Operation& operation, const Tcb& current);
    bool strip(fuzz::Operation& operation);
    bool use_signal(fuzz::Operation& operation);
    bool bind_notification(fuzz::Operation& operation);
    bool wait_again(fuzz::Operation& operation, const Tcb& current);
    bool lend_by_signal(fuzz::Operation& operation);
    bool retype_again(fuzz::Operation& operation);
    bool retype_at_border(fuzz::Operation& operation);
    bool retype_device(fuzz::Operation& operation);
    bool unbind(fuzz::Operation& operation);
    uint64_t turn_length();
    bool schedule_domains(fuzz::Operation& operation);

    fuzz::Choices& choices_;
    fuzz::Generator& generator_;
    const Slot* space_ = nullptr;
};

}  // namespace caprock::lockstep
