// SPDX-License-Identifier: BSD-2-Clause
// Where an exhaustive search starts: small systems, each with the operations that its threads can perform and what can happen to them.
#pragma once

#include "lockstep.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace caprock::lockstep {

/// Something that can happen. `perform` is false if it cannot happen in the present state.
struct Move {
    std::string name;
    std::function<bool(Lockstep&)> perform;
};

class Scene {
public:
    explicit Scene(std::string name) : name_(std::move(name)) {}
    const std::string& name() const { return name_; }
    test::World& world() { return world_; }
    const std::vector<Move>& moves() const { return moves_; }
    /// Slots from 0 on that are used.
    Word slots() const { return world_.used_slots(); }
    /// Memory that objects of the scene lie in, or can.
    Word memory_start() const { return arch::to_physical(world_.slot(world_.memory()).cap.object()).raw; }
    Word memory_end() const;

    // -- For those who write scenes.

    using Words = std::vector<Word>;
    test::Thread thread(unsigned priority, const test::Budget& budget = {});
    /// The current thread makes a system call; preempted at the point `preempt`, if it is not 0.
    void call(std::string name, abi::Syscall number, Word cap, const test::Message& message = {}, Word reply = 0, Word destination = 0, Word flags = 0,
              unsigned preempt = 0);
    void invoke(std::string name, Word cap, abi::Method method, Words words = {}, Words caps = {}, unsigned preempt = 0);
    void move(std::string name, std::function<bool(Lockstep&)> perform) { moves_.push_back({std::move(name), std::move(perform)}); }
    /// The timer comes at the instant that it is set to; a little time passes; an interrupt comes.
    void add_time();
    void add_interrupt(Word irq);
    void add_fault();

private:
    std::string name_;
    test::World world_;
    std::vector<Move> moves_;
};

/// Names of all scenes, and a scene in its start state.
std::vector<std::string> scene_names();
std::unique_ptr<Scene> make_scene(const std::string& name);

}  // namespace caprock::lockstep
