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

class Director {
public:
    Director(fuzz::Choices& choices, fuzz::Generator& generator) : choices_(choices), generator_(generator) {}

    /// Draws a call of any method for a component whose capabilities are in `space`, by their addresses.
    void call(fuzz::Operation& operation, const Slot* space);
    /// Draws something that only the present state makes possible: an answer to whom waits for one, a message to whom receives, a YieldTo to a thread that
    /// is ready. False if there is no such thing.
    bool opportunity(fuzz::Operation& operation, const Slot* space, const Tcb& current);
    /// A Wait for what the address names.
    void wait(fuzz::Operation& operation, uint64_t target);
    /// Draws a system call of debug builds.
    void debug_call(fuzz::Operation& operation);
    /// Gives a message that the generator has drawn a target that takes messages.
    void message(fuzz::Operation& operation, const Slot* space);

private:
    struct Place {
        uint64_t index;
        uint64_t depth;
    };

    std::optional<uint64_t> holder(uint32_t types);
    const Cap* cap_at(uint64_t address) const;
    std::optional<Place> place_in(uint64_t root, fuzz::WordKind kind, abi::Method method);
    void choose_capabilities(fuzz::Operation& operation, const fuzz::MethodTable& table);
    void choose_slots(fuzz::Operation& operation, const fuzz::MethodTable& table);
    void retype(fuzz::Operation& operation);
    void breakpoint(fuzz::Operation& operation);
    void details(fuzz::Operation& operation);
    void start(fuzz::Operation& operation);
    void write_message(fuzz::Operation& operation, abi::Syscall number, uint64_t target);
    bool answer(fuzz::Operation& operation);
    bool send(fuzz::Operation& operation);
    bool receive(fuzz::Operation& operation);
    bool yield_to(fuzz::Operation& operation, const Tcb& current);
    bool rotate(fuzz::Operation& operation);
    bool map_again(fuzz::Operation& operation);
    bool cancel(fuzz::Operation& operation);
    bool configure(fuzz::Operation& operation, const Tcb& current);
    void invoke(fuzz::Operation& operation, abi::Method method, uint64_t cap, std::initializer_list<uint64_t> words, std::initializer_list<uint64_t> caps);
    template <class Fits>
    std::optional<uint64_t> holder_of(CapType type, Fits fits);
    void spoil(fuzz::Operation& operation, const fuzz::MethodTable& table);
    bool replace(fuzz::Operation& operation, const Tcb& current);
    bool strip(fuzz::Operation& operation);
    bool send_without_time(fuzz::Operation& operation);
    bool make_passive(fuzz::Operation& operation, const Tcb& current);
    std::optional<Place> own_place(uint64_t slot);
    bool keeps_to_plan() { return !choices_.one_in(10); }

    fuzz::Choices& choices_;
    fuzz::Generator& generator_;
    const Slot* space_ = nullptr;
};

}  // namespace caprock::lockstep
