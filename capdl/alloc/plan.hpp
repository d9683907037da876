// SPDX-License-Identifier: BSD-2-Clause
// Placement of kernel objects in untyped memory: decides which Untyped::Retype calls create a system. The loader executes the same plan
// that the host's tool checks, so the two cannot drift apart. The one model of the kernel that it holds is the watermark: a retype
// creates its objects one after the other, from the untyped's watermark rounded up to the object's size.
#pragma once

#include "capdl/alloc/slice.hpp"
#include "caprock/abi.hpp"

namespace caprock::alloc {

/// Object::paddr of an object that may be anywhere in memory.
inline constexpr uint64_t any_address = ~uint64_t{0};

/// Most paddings that surround one run of adjacent objects at fixed addresses: one per bit of an address on either side.
inline constexpr size_t paddings_per_run = 2 * (abi::max_untyped_bits + 1);

/// Untyped memory that is there, without children. paddr is a multiple of 2^size_bits.
struct Untyped {
    uint64_t paddr;
    uint8_t size_bits;
    bool is_device;  // holds frames and untypeds only, and only at fixed addresses
};

/// An object to create. paddr: its physical address, or any_address. size_bits: log2 of the bytes that it takes, at most
/// max_untyped_bits.
struct Object {
    uint64_t paddr;
    abi::ObjectType type;
    uint8_t size_bits;
};

/// One Untyped::Retype. Its capabilities go to the next `count` free slots.
struct Step {
    uint32_t parent;  // piece to retype: see Workspace::pieces
    uint32_t first;   // position in Workspace::order of the first object; for a padding the piece that it makes
    uint32_t count;   // 1 to retype_fan_out_limit
    abi::ObjectType type;
    uint8_t size_bits;  // log2 of the bytes of each object
    bool is_padding;    // makes an untyped that the plan needs, and no object
};

/// Memory that objects are placed in: first the given untypeds by their index, then the paddings, which are untypeds made by a step.
struct Piece {
    uint64_t paddr;
    uint64_t used;  // bytes up to the watermark
    uint8_t size_bits;
    bool is_device;
};

/// Buffers of the planner, and its result. Sizes: order and addresses one per object; pieces, by_address and pool one per untyped
/// plus paddings_per_run per run of objects at fixed addresses; steps one per object plus the same number of paddings.
struct Workspace {
    Slice<uint32_t> order;       // out: objects in order of creation
    Slice<uint64_t> addresses;   // out: physical address by object
    Slice<Step> steps;           // out: what to execute, in this order
    Slice<Piece> pieces;         // out
    Slice<uint32_t> by_address;  // scratch
    Slice<uint32_t> pool;        // scratch
};

/// Why there is no plan.
enum class Problem : uint8_t {
    None,
    NoMemory,         // the object fits in no free piece
    NotCovered,       // no untyped holds all of the object's fixed address range
    Overlap,          // it shares addresses with the object `other`
    Misaligned,       // its fixed address is not a multiple of its size
    DeviceMemory,     // its fixed address is in device memory, where only frames and untypeds can be
    TooSmallBuffers,  // the workspace is smaller than promised
};

/// What became of the planning. On success steps and pieces say how much of the workspace is filled. The accounts of free memory
/// leave device memory out.
struct Outcome {
    Problem problem;
    uint32_t object;  // index of the object at fault
    uint32_t other;   // index of the object that it overlaps
    uint32_t steps;
    uint32_t pieces;
    uint8_t largest_free_bits;  // log2 of the largest free piece, 0 for none
    uint64_t free_bytes;        // memory that is left
    uint64_t missing_bytes;     // memory that the object and all that were to follow it need
};

/// Plans the creation of `objects` in `untypeds`: exact addresses for those that ask for one, the biggest first for all others, which
/// wastes nothing. Takes O(n log n) steps; the result depends on nothing but the arguments.
Outcome plan(Slice<const Untyped> untypeds, Slice<const Object> objects, const Workspace& workspace);

/// The argument `size_bits` of Untyped::Retype for an object that takes 2^size_bits bytes.
constexpr uint64_t retype_size_argument(abi::ObjectType type, unsigned size_bits) {
    switch (type) {
        case abi::ObjectType::CNode:
            return size_bits - abi::slot_bits;
        case abi::ObjectType::Untyped:
        case abi::ObjectType::SchedContext:
            return size_bits;
        default:
            return 0;
    }
}

}  // namespace caprock::alloc
