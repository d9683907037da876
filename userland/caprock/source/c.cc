// SPDX-License-Identifier: BSD-2-Clause
// The SDK for programs in C: the same packets and the same server, by the names of rpc.h and component.h.

#include <caprock/component.h>
#include <caprock/server.hpp>

using namespace caprock;

namespace {

// A packet in C is one in C++.
static_assert(sizeof(caprock_packet) == sizeof(Packet) && __builtin_offsetof(caprock_packet, memory) == __builtin_offsetof(Packet, memory));
static_assert(__builtin_offsetof(caprock_packet, registers) == __builtin_offsetof(Packet, registers));
static_assert(__builtin_offsetof(caprock_packet, caps) == __builtin_offsetof(Packet, caps));
static_assert(__builtin_offsetof(caprock_packet, received_slot) == __builtin_offsetof(Packet, received_slot));
static_assert(__builtin_offsetof(caprock_packet, received_badge) == __builtin_offsetof(Packet, received_badge));

Packet to_packet(const caprock_packet& packet) { return __builtin_bit_cast(Packet, packet); }
caprock_packet from_packet(const Packet& packet) { return __builtin_bit_cast(caprock_packet, packet); }

void fail(caprock_reader& reader, uint64_t error)
{
    if (reader.error == CAPROCK_RPC_NONE)
        reader.error = error;
}

uint64_t take_word(caprock_reader& reader)
{
    if (reader.position == reader.length)
        fail(reader, CAPROCK_RPC_BAD_LENGTH);
    if (reader.error != CAPROCK_RPC_NONE)
        return 0;
    const uint64_t index = reader.position++;
    return index < abi::ipc_register_words ? reader.packet->registers[index] : reader.packet->memory[index];
}

/// The incarnations of servers that were restarted, by the endpoints that they are called through.
class Incarnations {
public:
    uint64_t of(uint64_t endpoint) const
    {
        for (size_t i = 0; i < count_; ++i) {
            if (entries_[i].endpoint == endpoint)
                return entries_[i].incarnation;
        }
        return 0;
    }
    void set(uint64_t endpoint, uint64_t incarnation)
    {
        for (size_t i = 0; i < count_; ++i) {
            if (entries_[i].endpoint == endpoint) {
                entries_[i].incarnation = incarnation;
                return;
            }
        }
        if (count_ == capacity)
            panic("calls more than {} servers that were restarted", capacity);
        entries_[count_++] = {endpoint, incarnation};
    }

private:
    static constexpr size_t capacity = 64;
    struct Entry {
        uint64_t endpoint;
        uint64_t incarnation;
    };
    Entry entries_[capacity] {};
    size_t count_ = 0;
};
Incarnations incarnations;

} // namespace

extern "C" {

caprock_packet caprock_new_packet(void) { return from_packet(ipc_packet()); }

void caprock_rpc_call(uint64_t endpoint, caprock_packet* packet)
{
    Packet native = to_packet(*packet);
    const uint64_t known = incarnations.of(endpoint);
    const IpcTransport transport {endpoint, known};
    transport.call(native);
    if (transport.incarnation() != known)
        incarnations.set(endpoint, transport.incarnation());
    *packet = from_packet(native);
}

caprock_writer caprock_write_to(caprock_packet* packet) { return {packet, 0, 0}; }

void caprock_put(caprock_writer* writer, uint64_t word)
{
    const uint64_t index = writer->length++;
    (index < abi::ipc_register_words ? writer->packet->registers[index] : writer->packet->memory[index]) = word;
}

void caprock_put_array(caprock_writer* writer, const void* items, size_t count, size_t bytes)
{
    const auto* from = static_cast<const uint8_t*>(items);
    for (size_t start = 0; start < count * bytes; start += 8) {
        uint64_t word = 0;
        for (size_t i = start; i < count * bytes && i < start + 8; ++i)
            word |= static_cast<uint64_t>(from[i]) << (i - start) * 8;
        caprock_put(writer, word);
    }
}

void caprock_put_bytes(caprock_writer* writer, const void* bytes, size_t size)
{
    caprock_put(writer, size);
    caprock_put_array(writer, bytes, size, 1);
}

void caprock_put_cap(caprock_writer* writer, uint64_t slot)
{
    if (slot == 0)
        return;
    writer->packet->caps[0] = slot;
    writer->caps = 1;
}

void caprock_finish(caprock_writer* writer, uint64_t label) { writer->packet->info = abi::MessageInfo::make(writer->length, writer->caps, 0, label).raw; }

caprock_reader caprock_read_from(const caprock_packet* packet)
{
    const uint64_t length = abi::MessageInfo {packet->info}.length();
    return {packet, length < abi::ipc_message_words ? length : abi::ipc_message_words, 0, CAPROCK_RPC_NONE};
}

bool caprock_is_lost(const caprock_packet* packet) { return is_lost(to_packet(*packet)); }

uint64_t caprock_label(const caprock_packet* packet) { return abi::MessageInfo {packet->info}.label(); }

uint64_t caprock_take_unsigned(caprock_reader* reader, size_t bytes)
{
    const uint64_t word = take_word(*reader);
    if (bytes >= 8 || word >> 8 * bytes == 0)
        return word;
    fail(*reader, CAPROCK_RPC_BAD_ARGUMENT);
    return 0;
}

int64_t caprock_take_signed(caprock_reader* reader, size_t bytes)
{
    const auto value = static_cast<int64_t>(take_word(*reader));
    const unsigned shift = static_cast<unsigned>(64 - 8 * bytes);
    if (static_cast<int64_t>(static_cast<uint64_t>(value) << shift) >> shift == value)
        return value;
    fail(*reader, CAPROCK_RPC_BAD_ARGUMENT);
    return 0;
}

bool caprock_take_bool(caprock_reader* reader)
{
    const uint64_t word = take_word(*reader);
    if (word > 1)
        fail(*reader, CAPROCK_RPC_BAD_ARGUMENT);
    return word == 1;
}

void caprock_take_array(caprock_reader* reader, void* items, size_t count, size_t bytes, bool truth)
{
    auto* to = static_cast<uint8_t*>(items);
    uint64_t word = 0;
    for (size_t i = 0; i < count * bytes; ++i, word >>= 8) {
        if (i % 8 == 0)
            word = take_word(*reader);
        if (truth && (word & 0xff) > 1)
            fail(*reader, CAPROCK_RPC_BAD_ARGUMENT);
        to[i] = static_cast<uint8_t>(truth ? word & 1 : word);
    }
    if (word != 0)
        fail(*reader, CAPROCK_RPC_BAD_ARGUMENT);
}

size_t caprock_take_bytes(caprock_reader* reader, void* bytes, size_t capacity)
{
    const uint64_t size = take_word(*reader);
    if (size > capacity)
        fail(*reader, CAPROCK_RPC_BAD_ARGUMENT);
    if (reader->error != CAPROCK_RPC_NONE)
        return 0;
    auto* to = static_cast<uint8_t*>(bytes);
    uint64_t word = 0;
    for (size_t i = 0; i < size; ++i, word >>= 8) {
        if (i % 8 == 0)
            word = take_word(*reader);
        to[i] = static_cast<uint8_t>(word);
    }
    return static_cast<size_t>(size);
}

uint64_t caprock_check(caprock_reader* reader)
{
    if (reader->position != reader->length)
        fail(*reader, CAPROCK_RPC_BAD_LENGTH);
    return reader->error;
}

uint64_t caprock_take_cap(caprock_packet* packet)
{
    const uint64_t slot = packet->received_slot;
    packet->received_slot = 0;
    return slot;
}

void caprock_release_cap(uint64_t slot) { release_cap(slot); }

void caprock_drop_cap(caprock_packet* packet)
{
    if (packet->received_slot != 0)
        release_cap(caprock_take_cap(packet));
}

void caprock_reply_error(caprock_packet* packet, uint64_t error) { packet->info = abi::MessageInfo::make(0, 0, 0, error).raw; }

uint64_t caprock_uses(const char* name, const char* interface, uint64_t meaning) { return self().uses_endpoint(name, interface, meaning); }

void caprock_emit(const char* name) { self().emits(name)(); }

uint64_t caprock_consumes(const char* name) { return self().consumes(name); }

uint64_t caprock_wait_for(uint64_t mask) { return self().wait_for(mask); }

void caprock_for_each_signal(uint64_t signals, void (*visit)(void* context, const char* name), void* context)
{
    self().for_each_signal(signals, [visit, context](Text name) { visit(context, name.data()); });
}

void* caprock_region(const char* name, size_t* size)
{
    const Bytes region = self().region(name);
    *size = region.size();
    return region.data();
}

volatile void* caprock_device(const char* name, size_t* size)
{
    const Device device = self().device(name);
    *size = static_cast<size_t>(device.size);
    return reinterpret_cast<volatile void*>(device.address);
}

uint64_t caprock_grant(const char* name) { return self().grant(name); }

uint64_t caprock_argument(const char* name) { return self().argument(name); }

void* caprock_heap(size_t* size)
{
    *size = self().heap().size();
    return self().heap().data();
}

void caprock_panic(const char* reason) { panic_with(reason); }

void caprock_serve(const caprock_provided* provided, size_t provided_count, const caprock_signal_handler* handlers, size_t handler_count)
{
    Server server;
    for (size_t i = 0; i < provided_count; ++i) {
        const caprock_provided& one = provided[i];
        server.provide(one.port, one.interface, one.meaning, const_cast<caprock_provided*>(&one), [](void* object, Packet& packet) {
            const auto* service = static_cast<const caprock_provided*>(object);
            caprock_packet plain = from_packet(packet);
            service->dispatch(service->service, &plain);
            packet = to_packet(plain);
        });
    }
    for (size_t i = 0; i < handler_count; ++i) {
        server.on_signal(handlers[i].mask, const_cast<caprock_signal_handler*>(&handlers[i]), [](void* object, uint64_t signals) {
            const auto* handler = static_cast<const caprock_signal_handler*>(object);
            handler->deliver(handler->context, signals);
        });
    }
    server.run();
}

} // extern "C"
