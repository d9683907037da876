// SPDX-License-Identifier: BSD-2-Clause
// The client's capabilities to objects of its own: it moves to a CNode with room, in which what it was given keeps its slots.
#pragma once

#include <caprock/objects.hpp>

#include "timing.hpp"

namespace bench {

/// What the description grants, and slots behind it.
class Workshop {
public:
    static constexpr uint64_t radix = 12;
    static constexpr uint64_t depth = 64;

    Workshop();

    /// Makes an object of `memory` in `slot`.
    void make(caprock::Cap<caprock::Untyped> memory, abi::ObjectType type, uint64_t slot, uint64_t size_bits = 0) const
    {
        must(memory.retype(type, size_bits, 0, 0, slot, 1, cnode));
    }
    void destroy(uint64_t slot) const { must(cnode.delete_cap(slot, depth)); }
    /// Makes the capability to an untyped of 2^`bits` bytes in a slot that is free so far.
    caprock::Cap<caprock::Untyped> make_memory(uint64_t bits);
    /// A slot that is free so far.
    uint64_t slot() { return slots(1); }
    /// The first of `count` slots that are free so far.
    uint64_t slots(uint64_t count)
    {
        next_slot_ += count;
        return next_slot_ - count;
    }

    caprock::Cap<caprock::CNode> cnode;
    caprock::Cap<caprock::TCB> thread {self().grant("thread")};
    caprock::Cap<caprock::VSpace> vspace {self().grant("vspace")};
    caprock::Cap<caprock::Untyped> memory {self().grant("memory")};
    caprock::Cap<caprock::SchedControl> time {self().grant("time")};

private:
    uint64_t next_slot_ = 0;
};

} // namespace bench
