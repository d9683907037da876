// SPDX-License-Identifier: BSD-2-Clause
// Byte streams between two components through shared memory: one producer and one consumer, no locks, no trust.
//
// Each side owns one region, which it alone may write; the other side maps it read-only. A region holds how much its owner has
// produced and consumed, and the bytes that it produced. A Channel is both directions over the two regions.
//
// Why this is safe against a hostile peer: positions that the peer publishes are only compared with private copies of our own
// positions; a value that no honest peer can publish (more consumed than was produced, more produced than fits, a position that
// goes back) marks the stream as broken, which stops it for good. Addresses are always computed from our own positions.
//
// Restart: positions stay in shared memory when a side is restarted, so that the new instance goes on where the old one was. It publishes its positions,
// and then its incarnation. A side that sees the incarnation of its peer change takes the peer's positions as they are, even if they went back, and
// forgets that the peer broke the stream.
//
// Ordering: a producer stores bytes, then its position with release; a consumer loads the position with acquire, then the bytes.
// The same pair on `consumed` keeps the producer from overwriting bytes that are still being read.
#pragma once

#include <caprock/bytes.hpp>

namespace caprock {

/// What stands at the start of a region that one side of a channel owns. Positions count bytes since the start and never wrap.
struct RingHeader {
    /// Bytes that the owner has put into its data so far.
    alignas(64) uint64_t produced;
    /// Bytes that the owner has taken out of the peer's data so far.
    alignas(64) uint64_t consumed;
    /// How often the owner was restarted.
    uint64_t incarnation;
};
static_assert(sizeof(RingHeader) == 128);

namespace detail {

inline RingHeader* ring_header(Bytes region) { return reinterpret_cast<RingHeader*>(region.data()); }
inline const RingHeader* ring_header(ConstBytes region) { return reinterpret_cast<const RingHeader*>(region.data()); }
/// Data bytes of a region; 0 for one that is too small to hold any.
constexpr uint64_t ring_capacity(size_t region_size) { return region_size > sizeof(RingHeader) ? region_size - sizeof(RingHeader) : 0; }

/// What a ring's end sees of the other side's life.
class RingPeer {
public:
    explicit RingPeer(ConstBytes region) : region_ {region} { changed(); }

    /// True once for each restart of the peer.
    bool changed()
    {
        if (region_.size() < sizeof(RingHeader))
            return false;
        const uint64_t incarnation = __atomic_load_n(&ring_header(region_)->incarnation, __ATOMIC_ACQUIRE);
        const bool is_new = incarnation != incarnation_;
        incarnation_ = incarnation;
        return is_new;
    }
    uint64_t produced() const { return __atomic_load_n(&ring_header(region_)->produced, __ATOMIC_ACQUIRE); }
    uint64_t consumed() const { return __atomic_load_n(&ring_header(region_)->consumed, __ATOMIC_ACQUIRE); }

private:
    ConstBytes region_;
    uint64_t incarnation_ = 0;
};

} // namespace detail

/// The sending end.
class RingProducer {
public:
    /// `own` is written, `peer` only read; both are zero before first use, aligned to 64 bytes, and live as long as this. Goes on where an earlier
    /// instance of this side was.
    RingProducer(Bytes own, ConstBytes peer)
        : own_ {own}, peer_ {peer}, capacity_ {peer.size() < sizeof(RingHeader) ? 0 : detail::ring_capacity(own.size())}
    {
        if (capacity_ == 0)
            return;
        produced_ = detail::ring_header(own_)->produced;
        consumed_ = peer_.consumed();
        // What an instance left that had lost its mind is dropped.
        if (produced_ - consumed_ > capacity_)
            produced_ = consumed_;
        __atomic_store_n(&detail::ring_header(own_)->produced, produced_, __ATOMIC_RELEASE);
    }

    /// Bytes that `write` would accept now.
    uint64_t room()
    {
        update();
        return broken_ ? 0 : capacity_ - (produced_ - consumed_);
    }

    /// Appends as many of `bytes` as fit, and returns how many.
    size_t write(ConstBytes bytes)
    {
        const uint64_t free = room();
        const size_t count = bytes.size() < free ? bytes.size() : static_cast<size_t>(free);
        if (count == 0)
            return 0;
        uint64_t offset = produced_ % capacity_;
        for (size_t i = 0; i < count; ++i) {
            own_[sizeof(RingHeader) + offset] = bytes[i];
            offset = offset + 1 == capacity_ ? 0 : offset + 1;
        }
        produced_ += count;
        __atomic_store_n(&detail::ring_header(own_)->produced, produced_, __ATOMIC_RELEASE);
        return count;
    }

    /// Appends all of `bytes`, or nothing and returns false.
    bool write_whole(ConstBytes bytes)
    {
        if (room() < bytes.size())
            return false;
        return write(bytes) == bytes.size();
    }

    /// True when the consumer has taken everything.
    bool drained()
    {
        update();
        return !broken_ && consumed_ == produced_;
    }
    /// Most bytes that can be under way.
    uint64_t capacity() const { return capacity_; }
    /// True once the peer has published a position that cannot be; nothing is written any more.
    bool broken() const { return broken_; }

private:
    void update()
    {
        const bool restarted = peer_.changed();
        broken_ = broken_ && !restarted;
        if (broken_ || capacity_ == 0)
            return;
        const uint64_t position = peer_.consumed();
        if (restarted)
            consumed_ = produced_ - position > capacity_ ? produced_ : position;
        else if (position < consumed_ || position > produced_)
            broken_ = true;
        else
            consumed_ = position;
    }

    Bytes own_;
    detail::RingPeer peer_;
    uint64_t capacity_;
    uint64_t produced_ = 0;
    uint64_t consumed_ = 0;
    bool broken_ = false;
};

/// The receiving end.
class RingConsumer {
public:
    /// `own` is written, `peer` only read; both are zero before first use, aligned to 64 bytes, and live as long as this. Goes on where an earlier
    /// instance of this side was.
    RingConsumer(Bytes own, ConstBytes peer)
        : own_ {own}, peer_ {peer}, data_ {peer}, capacity_ {own.size() < sizeof(RingHeader) ? 0 : detail::ring_capacity(peer.size())}
    {
        if (capacity_ == 0)
            return;
        produced_ = peer_.produced();
        consumed_ = detail::ring_header(own_)->consumed;
        if (produced_ - consumed_ > capacity_)
            consumed_ = produced_;
        commit();
    }

    /// Bytes that `read` would return now.
    uint64_t available()
    {
        update();
        return broken_ ? 0 : produced_ - consumed_;
    }

    /// Takes at most `into.size()` bytes, and returns how many. A hostile peer may change bytes while they are copied; what is
    /// in `into` afterwards is private, and only that may be looked at.
    size_t read(Bytes into)
    {
        const size_t count = take(into);
        if (count > 0)
            commit();
        return count;
    }

    /// As `read`, but the bytes stay in the ring until `commit`: a side that is restarted before finds them again.
    size_t take(Bytes into)
    {
        const uint64_t ready = available();
        const size_t count = into.size() < ready ? into.size() : static_cast<size_t>(ready);
        if (count == 0)
            return 0;
        uint64_t offset = consumed_ % capacity_;
        for (size_t i = 0; i < count; ++i) {
            into[i] = __atomic_load_n(&data_[sizeof(RingHeader) + offset], __ATOMIC_RELAXED);
            offset = offset + 1 == capacity_ ? 0 : offset + 1;
        }
        consumed_ += count;
        return count;
    }

    /// Leaves the room of all that was taken to the peer.
    void commit()
    {
        committed_ = consumed_;
        if (capacity_ != 0)
            __atomic_store_n(&detail::ring_header(own_)->consumed, consumed_, __ATOMIC_RELEASE);
    }

    /// True once the peer has published a position that cannot be; nothing is read any more.
    bool broken() const { return broken_; }

private:
    void update()
    {
        const bool restarted = peer_.changed();
        broken_ = broken_ && !restarted;
        if (broken_ || capacity_ == 0)
            return;
        const uint64_t position = peer_.produced();
        if (restarted && position - consumed_ > capacity_) {
            consumed_ = position;
            commit();
        }
        if ((position < produced_ && !restarted) || position - committed_ > capacity_)
            broken_ = true;
        else
            produced_ = position;
    }

    Bytes own_;
    detail::RingPeer peer_;
    ConstBytes data_;
    uint64_t capacity_;
    uint64_t produced_ = 0;
    uint64_t consumed_ = 0;
    uint64_t committed_ = 0; // the last position that the peer was told
    bool broken_ = false;
};

/// Both directions between two components.
class Channel {
public:
    /// `own`: the region that this side writes; `peer`: the one that the other side writes. See RingProducer. `incarnation`: how often this side was
    /// restarted.
    Channel(Bytes own, ConstBytes peer, uint64_t incarnation = 0) : output {own, peer}, input {own, peer}
    {
        if (own.size() >= sizeof(RingHeader))
            __atomic_store_n(&detail::ring_header(own)->incarnation, incarnation, __ATOMIC_RELEASE);
    }

    RingProducer output;
    RingConsumer input;
};

} // namespace caprock
