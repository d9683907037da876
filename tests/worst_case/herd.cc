// SPDX-License-Identifier: BSD-2-Clause
// Making the herd, and driving it to where it shall wait.
#include "tests/worst_case/herd.hpp"

namespace caprock::worst_case {

constinit Herd herd;

void Herd::make() {
    threads_ = create_many(abi::ObjectType::TCB, 0, size);
    contexts_ = create_many(abi::ObjectType::SchedContext, abi::min_sched_context_bits, size);
    constexpr uint64_t turn = 1'000;   // microseconds
    for (unsigned i = 0; i < size; ++i) {
        must(system.sched_control().configure_flags(turn, turn, 0, 0, abi::SchedContextFlags{0}, context(i)));
        must(member(i).configure(abi::CNodeCapData{0}, 0, 0, root_cnode, root_vspace, Cap<Frame>{}));
        must(member(i).set_sched_params(0, priority(i), root_tcb, context(i), Cap<Endpoint>{}));
    }
}

// It must not go on with what it did before, and runs ahead of the worker until it blocks.
void Herd::start(unsigned i, const Registers& registers) {
    must(member(i).suspend());
    must(member(i).set_priority(eager_priority, root_tcb));
    start_at(member(i), member_entry, registers, {{member(i).address()}});
    must(member(i).set_priority(priority(i), root_tcb));
}

void Herd::start_all(const Registers& registers, unsigned count) {
    for (unsigned i = 0; i < count; ++i) start(i, registers);
    must(is_blocked(state_of(member(0))) && is_blocked(state_of(member(count - 1))), "the members wait");
}

void Herd::finish() {
    must(root_tcb.set_priority(0, root_tcb));
    must(root_tcb.set_priority(worker_priority, root_tcb));
    for (unsigned i = 0; i < size; ++i) must(state_of(member(i)) == ThreadState::Inactive, "all members have run");
}

void Herd::stop_all(unsigned count) {
    for (unsigned i = 0; i < count; ++i) must(member(i).suspend());
}

}  // namespace caprock::worst_case
