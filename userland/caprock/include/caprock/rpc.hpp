// SPDX-License-Identifier: BSD-2-Clause
// What generated interface headers stand on: the result of a remote call, and reading and writing messages word by word.
// Wire format: label = 1 + index of the method, and above that the server's incarnation that the client knows; request words are the in and inout
// scalars, structs field by field and arrays, then each bytes parameter as its length and its bytes packed little-endian; a reply has label 0, the
// returned value, and the out and inout parameters likewise.
// Elements of arrays of scalars are packed little-endian, those of arrays of structs follow each other. A capability travels as such.
#pragma once

#include <caprock/abi.hpp>
#include <caprock/bytes.hpp>

namespace caprock {

/// Why a remote call failed: the label of the reply. Labels below 256 are the kernel's (abi::Error); an interface may define
/// errors of its own from RpcError::First on.
enum class RpcError : uint64_t {
    /// No error.
    None = 0,
    /// The server asked for a scheduling context and the call brought none.
    NoDonation = 11,
    /// The call was delivered, and its reply will not come: the server was restarted or has dropped it.
    CallCancelled = 12,
    /// The server does not know the method: client and server were built from different interfaces.
    UnknownMethod = 256,
    /// The message is longer or shorter than the method's.
    BadLength = 257,
    /// A value is outside its type's range, or bytes exceed their bound.
    BadArgument = 258,
    /// The badge names no interface that the server provides.
    NotProvided = 259,
    /// The reply does not have the form that the method's has.
    BadReply = 260,
    /// The server cannot do it now; try again later.
    Busy = 261,
    /// The server does not do it for this client, or not at all.
    Refused = 262,
    /// The capability that belongs to the message did not come: its sender may not grant, or the receiver has no free slot for it.
    MissingCap = 263,
    /// The server was restarted while it worked on the call, which it may have done or not.
    PeerRestarted = 264,
    /// The server was restarted since the client's last call, which was not done; what the server knew of the client is gone. The reply's first word
    /// is the server's incarnation, which the client's next call names.
    StaleIncarnation = 265,
    /// First number for errors of an interface's own.
    First = 1024,
};

/// A value or an RpcError. Must be looked at.
template <class T>
class [[nodiscard]] RpcResult {
public:
    constexpr RpcResult(T value) : value_ {value} {}
    constexpr RpcResult(RpcError error) : error_ {error} {}

    constexpr bool ok() const { return error_ == RpcError::None; }
    constexpr RpcError error() const { return error_; }
    /// The value; T's zero after an error.
    constexpr T value() const { return value_; }

private:
    T value_ {};
    RpcError error_ = RpcError::None;
};

template <>
class [[nodiscard]] RpcResult<void> {
public:
    constexpr RpcResult() = default;
    constexpr RpcResult(RpcError error) : error_ {error} {}

    constexpr bool ok() const { return error_ == RpcError::None; }
    constexpr RpcError error() const { return error_; }

private:
    RpcError error_ = RpcError::None;
};

/// Who calls: the badge of the request.
struct Caller {
    uint64_t badge;

    /// The lower bits: the badge given in `connect`, or the caller's number.
    constexpr uint64_t number() const { return badge & ((uint64_t {1} << 48) - 1); }
};

/// A message under way: words 0 to 11 by value, as they travel in registers, the others in the IPC buffer.
struct Packet {
    abi::MessageInfo info {};
    uint64_t badge = 0;
    uint64_t registers[abi::ipc_register_words] {};
    /// IPCBuffer.msg; its words 0 to 11 are not used.
    uint64_t* memory = nullptr;
    /// IPCBuffer.caps_or_badges; its first word names the capability that is sent.
    uint64_t* caps = nullptr;
    /// Slot of a capability that came, until somebody takes it over; 0 for none.
    uint64_t received_slot = 0;
    /// The badge of a capability to the receiver's own endpoint, which comes as no more than that; 0 for none.
    uint64_t received_badge = 0;

    /// Word `index`, below abi::ipc_message_words.
    uint64_t word(size_t index) const { return index < abi::ipc_register_words ? registers[index] : memory[index]; }
    void set_word(size_t index, uint64_t value) { (index < abi::ipc_register_words ? registers[index] : memory[index]) = value; }
};

/// How often a client makes a call that is idempotent, when its reply is lost. A restart takes two of them: one that is lost, one that is stale.
inline constexpr unsigned idempotent_attempts = 16;

/// Bits of a label that name the method; those above are an incarnation.
inline constexpr unsigned method_bits = 16;

/// True for what a call says whose server was restarted, or has dropped it: one that may be done twice is made again.
constexpr bool was_restarted(RpcError error)
{
    return error == RpcError::CallCancelled || error == RpcError::PeerRestarted || error == RpcError::StaleIncarnation;
}
inline bool is_lost(const Packet& packet) { return was_restarted(static_cast<RpcError>(packet.info.label())); }

/// Deletes a received capability and makes its slot free for the next one. The SDK has it; tests on the host bring their own.
void release_cap(uint64_t slot);

/// Releases a capability that came with a message without being asked for.
inline void drop_cap(Packet& packet)
{
    if (packet.received_slot != 0)
        release_cap(packet.received_slot);
    packet.received_slot = 0;
}

/// A capability that came with a message. It is deleted at the end of this object's life, unless `keep` was called.
class ReceivedCap {
public:
    ReceivedCap() = default;
    ReceivedCap(const ReceivedCap&) = delete;
    ReceivedCap& operator=(const ReceivedCap&) = delete;
    ~ReceivedCap() { reset(); }

    /// Takes over what came with `packet`, if anything.
    void take(Packet& packet)
    {
        reset();
        slot_ = packet.received_slot;
        badge_ = packet.received_badge;
        packet.received_slot = 0;
    }
    /// True when a capability came.
    bool came() const { return slot_ != 0 || badge_ != 0; }
    /// Its slot; 0 when it is one to the receiver's own endpoint, of which only the badge comes.
    uint64_t slot() const { return slot_; }
    /// The badge of a capability to the receiver's own endpoint, else 0.
    uint64_t badge() const { return badge_; }
    /// The slot, which now is the caller's to release.
    uint64_t keep()
    {
        const uint64_t slot = slot_;
        slot_ = 0;
        return slot;
    }

private:
    void reset()
    {
        if (slot_ != 0)
            release_cap(slot_);
        slot_ = badge_ = 0;
    }

    uint64_t slot_ = 0;
    uint64_t badge_ = 0;
};

/// Words that `size` bytes occupy in a message, without the word for their length.
constexpr size_t packed_words(size_t size) { return (size + 7) / 8; }

/// Fills a packet from the front.
class PacketWriter {
public:
    explicit PacketWriter(Packet& packet) : packet_ {packet} {}

    /// Appends a scalar; signed ones are sign-extended.
    template <class T>
    void put(T value)
    {
        packet_.set_word(length_++, static_cast<uint64_t>(value));
    }

    /// Appends the length and the bytes; bytes beyond the last are zero.
    void put_bytes(ConstBytes bytes)
    {
        put(bytes.size());
        for (size_t start = 0; start < bytes.size(); start += 8) {
            uint64_t word = 0;
            for (size_t i = start; i < bytes.size() && i < start + 8; ++i)
                word |= static_cast<uint64_t>(bytes[i]) << (i - start) * 8;
            put(word);
        }
    }

    /// Appends an array of scalars, packed.
    template <class T, size_t count>
    void put_array(const Array<T, count>& array)
    {
        constexpr size_t per_word = 8 / sizeof(T);
        for (size_t start = 0; start < count; start += per_word) {
            uint64_t word = 0;
            for (size_t i = start; i < count && i < start + per_word; ++i)
                word |= (static_cast<uint64_t>(array[i]) & element_mask<T>) << (i - start) * 8 * sizeof(T);
            put(word);
        }
    }

    /// Sends the capability in `slot` along.
    void put_cap(uint64_t slot)
    {
        packet_.caps[0] = slot;
        caps_ = 1;
    }

    /// Makes the message info; nothing may be appended afterwards.
    void finish(uint64_t label) { packet_.info = abi::MessageInfo::make(length_, caps_, 0, label); }

    /// The bits of a word that an element of an array takes.
    template <class T>
    static constexpr uint64_t element_mask = ~uint64_t {0} >> (64 - 8 * sizeof(T));

private:
    Packet& packet_;
    size_t length_ = 0;
    uint64_t caps_ = 0;
};

/// Reads a packet from the front and remembers the first error; after one everything reads as zero.
class PacketReader {
public:
    explicit PacketReader(const Packet& packet)
        : packet_ {packet}, length_ {packet.info.length() < abi::ipc_message_words ? packet.info.length() : abi::ipc_message_words}
    {
    }

    /// Takes a scalar. BadLength when no word is left, BadArgument when the word is no value of T.
    template <class T>
    T take()
    {
        const uint64_t word = take_word();
        const T value = static_cast<T>(word);
        if (static_cast<uint64_t>(value) == word)
            return value;
        fail(RpcError::BadArgument);
        return T {};
    }

    /// Takes bytes. BadArgument when they are more than `bytes` has room for, BadLength when the message ends early.
    template <size_t capacity>
    void take_bytes(Buffer<capacity>& bytes)
    {
        const uint64_t size = take_word();
        if (size > capacity)
            fail(RpcError::BadArgument);
        if (error_ != RpcError::None)
            return;
        bytes.resize(static_cast<size_t>(size));
        uint64_t word = 0;
        for (size_t i = 0; i < size; ++i, word >>= 8) {
            if (i % 8 == 0)
                word = take_word();
            bytes.data()[i] = static_cast<uint8_t>(word);
        }
    }

    /// Takes an array of scalars. BadArgument when an element is no value of T or an unused byte is not zero.
    template <class T, size_t count>
    void take_array(Array<T, count>& array)
    {
        constexpr size_t per_word = 8 / sizeof(T);
        uint64_t word = 0;
        for (size_t i = 0; i < count; ++i) {
            if (i % per_word == 0)
                word = take_word();
            const uint64_t bits = word & PacketWriter::element_mask<T>;
            array[i] = static_cast<T>(bits);
            if ((static_cast<uint64_t>(array[i]) & PacketWriter::element_mask<T>) != bits)
                fail(RpcError::BadArgument);
            word = per_word == 1 ? 0 : word >> 8 * sizeof(T) % 64;
        }
        if (word != 0)
            fail(RpcError::BadArgument);
    }

    /// The first error, also BadLength when words are left over.
    RpcError finish()
    {
        if (position_ != length_)
            fail(RpcError::BadLength);
        return error_;
    }

private:
    uint64_t take_word()
    {
        if (position_ == length_)
            fail(RpcError::BadLength);
        if (error_ != RpcError::None)
            return 0;
        return packet_.word(position_++);
    }
    void fail(RpcError error)
    {
        if (error_ == RpcError::None)
            error_ = error;
    }

    const Packet& packet_;
    size_t length_;
    size_t position_ = 0;
    RpcError error_ = RpcError::None;
};

/// Makes `packet` the reply that says `error`.
inline void reply_error(Packet& packet, RpcError error)
{
    packet.info = abi::MessageInfo::make(0, 0, 0, static_cast<uint64_t>(error));
}

} // namespace caprock
