// SPDX-License-Identifier: BSD-2-Clause
// The planner. Objects at fixed addresses come first, by address: the untyped that holds some is cut by paddings, which are untypeds
// aligned to their size, so that the watermark meets each of them. What is memory and stays free, whole untypeds and paddings, is the
// pool for all other objects, taken in descending size. A piece of the pool is aligned to its size and so far holds only objects at
// least as big as the next one: its watermark is aligned for that one, and what remains of the piece is a multiple of its size. So
// no byte is lost to alignment, and the planner fails only when the memory is really used up.
#include "capdl/alloc/plan.hpp"

namespace caprock::alloc {
namespace {

using abi::ObjectType;

constexpr uint64_t bytes(unsigned size_bits) { return uint64_t{1} << size_bits; }

constexpr bool is_fixed(const Object& object) { return object.paddr != any_address; }

constexpr bool may_be_device(ObjectType type) {
    return type == ObjectType::Untyped || type == ObjectType::SmallPage || type == ObjectType::LargePage || type == ObjectType::HugePage;
}

/// Largest block that starts at `start`, is aligned to its size and ends at `end` or before.
unsigned block_bits(uint64_t start, uint64_t end) {
    unsigned bits = start == 0 ? 63 : static_cast<unsigned>(__builtin_ctzll(start));
    const unsigned fitting = 63 - static_cast<unsigned>(__builtin_clzll(end - start));
    if (bits > fitting) bits = fitting;
    return bits > abi::max_untyped_bits ? static_cast<unsigned>(abi::max_untyped_bits) : bits;
}

class Planner {
public:
    Planner(Slice<const Untyped> untypeds, Slice<const Object> objects, const Workspace& workspace)
        : untypeds_(untypeds), objects_(objects), work_(workspace) {}

    Outcome run() {
        if (buffers_fit()) {
            take_untypeds();
            sort_objects();
            if (check_fixed() && place_fixed()) {
                fill_pool();
                if (place_others()) account(objects_.size);
            }
        }
        return out_;
    }

private:
    const Object& ordered(size_t position) const { return objects_[work_.order[position]]; }
    uint64_t end_of(size_t position) const { return ordered(position).paddr + bytes(ordered(position).size_bits); }

    bool fail(Problem problem, size_t position, size_t other = 0) {
        out_.problem = problem;
        if (position < objects_.size) out_.object = work_.order[position];
        if (other < objects_.size) out_.other = work_.order[other];
        return false;
    }

    bool buffers_fit() {
        if (work_.order.size >= objects_.size && work_.addresses.size >= objects_.size && work_.pieces.size >= untypeds_.size &&
            work_.by_address.size >= untypeds_.size && work_.pool.size >= work_.pieces.size)
            return true;
        out_.problem = Problem::TooSmallBuffers;
        return false;
    }

    void take_untypeds() {
        for (size_t i = 0; i < untypeds_.size; ++i) {
            const Untyped& untyped = untypeds_[i];
            work_.pieces[i] = {.paddr = untyped.paddr, .used = 0, .size_bits = untyped.size_bits, .is_device = untyped.is_device};
            work_.by_address[i] = static_cast<uint32_t>(i);
        }
        out_.pieces = static_cast<uint32_t>(untypeds_.size);
        heap_sort(Slice<uint32_t>{work_.by_address.data, untypeds_.size},
                  [this](uint32_t a, uint32_t b) { return untypeds_[a].paddr < untypeds_[b].paddr; });
    }

    /// Fixed addresses first, ascending; then by descending size, so that nothing is lost to alignment, and by type, so that many
    /// objects share one retype.
    bool before(uint32_t a, uint32_t b) const {
        const Object& left = objects_[a];
        const Object& right = objects_[b];
        if (left.paddr != right.paddr) return left.paddr < right.paddr;
        if (left.size_bits != right.size_bits) return left.size_bits > right.size_bits;
        if (left.type != right.type) return left.type < right.type;
        return a < b;
    }

    void sort_objects() {
        const Slice<uint32_t> order{work_.order.data, objects_.size};
        for (size_t i = 0; i < order.size; ++i) order[i] = static_cast<uint32_t>(i);
        heap_sort(order, [this](uint32_t a, uint32_t b) { return before(a, b); });
        while (fixed_ < order.size && is_fixed(ordered(fixed_))) ++fixed_;
    }

    bool check_fixed() {
        for (size_t i = 0; i < fixed_; ++i) {
            const Object& object = ordered(i);
            if ((object.paddr & (bytes(object.size_bits) - 1)) != 0) return fail(Problem::Misaligned, i);
            if (i > 0 && end_of(i - 1) > object.paddr) return fail(Problem::Overlap, i, i - 1);
        }
        return true;
    }

    bool place_fixed() {
        size_t position = 0;
        for (size_t i = 0; i < untypeds_.size && position < fixed_; ++i) {
            const uint32_t piece = work_.by_address[i];
            if (ordered(position).paddr < untypeds_[piece].paddr) break;
            if (!place_fixed_in(piece, position)) return false;
        }
        return position == fixed_ || fail(Problem::NotCovered, position);
    }

    /// Places the objects from `position` on that start in the untyped `piece`, and moves `position` past them.
    bool place_fixed_in(uint32_t piece, size_t& position) {
        const Untyped& untyped = untypeds_[piece];
        const uint64_t end = untyped.paddr + bytes(untyped.size_bits);
        if (ordered(position).paddr >= end) return true;
        for (; position < fixed_ && ordered(position).paddr < end; ++position) {
            const Object& object = ordered(position);
            if (end_of(position) > end) return fail(Problem::NotCovered, position);
            if (untyped.is_device && !may_be_device(object.type)) return fail(Problem::DeviceMemory, position);
            if (!pad(piece, object.paddr)) return fail(Problem::TooSmallBuffers, position);
            if (!create(piece, position, 1)) return fail(Problem::TooSmallBuffers, position);
        }
        // The rest of device memory stays as it is; the rest of memory joins the pool in pieces that are aligned to their size.
        return untyped.is_device || pad(piece, end) || fail(Problem::TooSmallBuffers, position - 1);
    }

    /// Brings the watermark of `piece` to the physical address `target` by untypeds that are aligned to their size.
    bool pad(uint32_t piece, uint64_t target) {
        Piece& parent = work_.pieces[piece];
        while (parent.paddr + parent.used < target) {
            const uint64_t start = parent.paddr + parent.used;
            const unsigned bits = block_bits(start, target);
            if (out_.pieces == work_.pieces.size || out_.steps == work_.steps.size) return false;
            work_.pieces[out_.pieces] = {.paddr = start, .used = 0, .size_bits = static_cast<uint8_t>(bits), .is_device = parent.is_device};
            work_.steps[out_.steps++] = {.parent = piece,
                                         .first = out_.pieces,
                                         .count = 1,
                                         .type = ObjectType::Untyped,
                                         .size_bits = static_cast<uint8_t>(bits),
                                         .is_padding = true};
            ++out_.pieces;
            parent.used += bytes(bits);
        }
        return true;
    }

    /// Creates `count` equal objects from `position` of the order on at the watermark of `piece`, joining the step before where it can.
    bool create(uint32_t piece, size_t position, uint32_t count) {
        Piece& parent = work_.pieces[piece];
        const Object& object = ordered(position);
        for (uint32_t i = 0; i < count; ++i) {
            work_.addresses[work_.order[position + i]] = parent.paddr + parent.used;
            parent.used += bytes(object.size_bits);
        }
        if (out_.steps > 0) {
            Step& last = work_.steps[out_.steps - 1];
            if (!last.is_padding && last.parent == piece && last.type == object.type && last.size_bits == object.size_bits &&
                last.count + count <= abi::retype_fan_out_limit) {
                last.count += count;
                return true;
            }
        }
        if (out_.steps == work_.steps.size) return false;
        work_.steps[out_.steps++] = {.parent = piece,
                                     .first = static_cast<uint32_t>(position),
                                     .count = count,
                                     .type = object.type,
                                     .size_bits = object.size_bits,
                                     .is_padding = false};
        return true;
    }

    /// Sorts the free pieces of memory so that the smallest is last, and of equal ones the one with the lowest address.
    void fill_pool() {
        size_t size = 0;
        for (uint32_t i = 0; i < out_.pieces; ++i) {
            const Piece& piece = work_.pieces[i];
            if (!piece.is_device && piece.used == 0) work_.pool[size++] = i;
        }
        pool_ = {work_.pool.data, size};
        heap_sort(pool_, [this](uint32_t a, uint32_t b) {
            const Piece& left = work_.pieces[a];
            const Piece& right = work_.pieces[b];
            return left.size_bits != right.size_bits ? left.size_bits > right.size_bits : left.paddr > right.paddr;
        });
    }

    /// The pool is used as a stack: below `top` are the pieces that are big enough, from `next` on those that are too small so far.
    /// The smallest piece that serves is taken first, which leaves the big ones whole for those who come later.
    bool place_others() {
        size_t top = 0;
        size_t next = 0;
        for (size_t position = fixed_; position < objects_.size;) {
            const Object& object = ordered(position);
            for (; next < pool_.size && work_.pieces[pool_[next]].size_bits >= object.size_bits; ++next) pool_[top++] = pool_[next];
            if (top == 0) {
                account(position);
                return fail(Problem::NoMemory, position);
            }
            const uint32_t piece = pool_[top - 1];
            const uint32_t count = run_length(position, work_.pieces[piece]);
            if (!create(piece, position, count)) return fail(Problem::TooSmallBuffers, position);
            position += count;
            if (work_.pieces[piece].used == bytes(work_.pieces[piece].size_bits)) --top;
        }
        return true;
    }

    /// How many objects from `position` on are equal and fit in `piece`, at most the kernel's limit for one retype.
    uint32_t run_length(size_t position, const Piece& piece) const {
        const Object& first = ordered(position);
        uint64_t room = (bytes(piece.size_bits) - piece.used) >> first.size_bits;
        if (room > abi::retype_fan_out_limit) room = abi::retype_fan_out_limit;
        uint32_t count = 1;
        while (count < room && position + count < objects_.size && ordered(position + count).type == first.type &&
               ordered(position + count).size_bits == first.size_bits)
            ++count;
        return count;
    }

    /// Counts the memory that is left, and what the objects from `position` on need.
    void account(size_t position) {
        for (uint32_t i = 0; i < out_.pieces; ++i) {
            const Piece& piece = work_.pieces[i];
            if (piece.is_device) continue;
            out_.free_bytes += bytes(piece.size_bits) - piece.used;
            for (uint64_t start = piece.used; start < bytes(piece.size_bits);) {
                const unsigned bits = block_bits(start, bytes(piece.size_bits));
                if (bits > out_.largest_free_bits) out_.largest_free_bits = static_cast<uint8_t>(bits);
                start += bytes(bits);
            }
        }
        for (; position < objects_.size; ++position) out_.missing_bytes += bytes(ordered(position).size_bits);
    }

    Slice<const Untyped> untypeds_;
    Slice<const Object> objects_;
    const Workspace& work_;
    Slice<uint32_t> pool_;
    size_t fixed_ = 0;
    Outcome out_{};
};

}  // namespace

Outcome plan(Slice<const Untyped> untypeds, Slice<const Object> objects, const Workspace& workspace) {
    return Planner(untypeds, objects, workspace).run();
}

}  // namespace caprock::alloc
