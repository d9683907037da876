// SPDX-License-Identifier: BSD-2-Clause
// What the SDK reads: ComponentInfo by name, fault messages, packets, device registers, the counter's arithmetic; and the timer driver's
// alarms.

#include <caprock/clock.hpp>
#include <caprock/fault.hpp>
#include <caprock/mmio.hpp>

#include "userland/drivers/timer/alarms.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace caprock {

// On the target this ends the component.
void panic_with(Text reason) { throw std::runtime_error {std::string {reason.data(), reason.size()}}; }

} // namespace caprock

namespace {

using namespace caprock;

/// A page as the capdl tool writes it.
class Page {
public:
    explicit Page(const char* name) { std::strcpy(reinterpret_cast<char*>(words_[0].info.name), name); }

    Page& add(ComponentEntryKind kind, const char* name, uint64_t value, uint64_t badge = 0)
    {
        Unit unit {};
        unit.entry.kind = static_cast<uint64_t>(kind);
        unit.entry.value = value;
        unit.entry.badge = badge;
        std::strcpy(reinterpret_cast<char*>(unit.entry.name), name);
        words_.push_back(unit);
        words_[0].info.entry_count = words_.size() - 1;
        return *this;
    }
    ComponentView view() const { return ComponentView {words_[0].info}; }

private:
    union Unit {
        ComponentInfo info {};
        ComponentEntry entry;
    };
    static_assert(sizeof(Unit) == sizeof(ComponentInfo) && sizeof(Unit) == sizeof(ComponentEntry));

    std::vector<Unit> words_ {Unit {}};
};

Page supervisor_page()
{
    Page page {"boss"};
    page.add(ComponentEntryKind::Uses, "log", 5).add(ComponentEntryKind::Emits, "log", 6);
    page.add(ComponentEntryKind::Faults, "child", 7, uint64_t {0xf000} << 48 | 3);
    return page;
}

struct FaultPacket : Packet {
    explicit FaultPacket(abi::FaultLabel label)
    {
        memory = storage;
        badge = uint64_t {0xf000} << 48 | 3;
        info = abi::MessageInfo::make(13, 0, 0, static_cast<uint64_t>(label));
    }
    uint64_t storage[abi::ipc_message_words] {};
};

std::string described(const Packet& packet)
{
    static const Page page = supervisor_page();
    char field[160];
    Writer writer {field, sizeof field};
    format(writer, "{}", read_fault(packet, page.view()));
    return {writer.text().data(), writer.text().size()};
}

Packet packet_of(std::vector<uint64_t> words, uint64_t* memory)
{
    Packet packet;
    packet.memory = memory;
    for (size_t i = 0; i < words.size(); ++i)
        packet.set_word(i, words[i]);
    packet.info = abi::MessageInfo::make(words.size(), 0, 0, 1);
    return packet;
}

} // namespace

TEST_CASE("entries are found by kind and name")
{
    const Page page = supervisor_page();
    const ComponentView view = page.view();
    CHECK(view.name() == "boss");
    CHECK(view.get(ComponentEntryKind::Uses, "log").value == 5);
    CHECK(view.get(ComponentEntryKind::Emits, "log").value == 6);
    CHECK(view.find(ComponentEntryKind::Region, "log") == nullptr);
    CHECK(view.find(ComponentEntryKind::Uses, "lo") == nullptr);
    CHECK(view.find_badge(ComponentEntryKind::Faults, uint64_t {0xf000} << 48 | 3)->value == 7);
    CHECK(view.find_badge(ComponentEntryKind::Client, uint64_t {0xf000} << 48 | 3) == nullptr);
}

TEST_CASE("a missing name ends the component with both names in the reason")
{
    const Page page = supervisor_page();
    try {
        (void)page.view().get(ComponentEntryKind::Region, "ring");
        FAIL("found what is not there");
    } catch (const std::runtime_error& error) {
        CHECK(std::string {error.what()} == "the description lacks `region ring`");
    }
}

TEST_CASE("memory faults say what was tried where")
{
    FaultPacket packet {abi::FaultLabel::VMFault};
    packet.set_word(abi::VMFault::ip, 0x400010);
    packet.set_word(abi::VMFault::addr, 0x8);
    packet.set_word(abi::VMFault::fsr, 0x9200'0006);
    CHECK(described(packet) == "child: read of unmapped address 0x8 at 0x400010");
    packet.set_word(abi::VMFault::fsr, 0x9200'004f);
    CHECK(described(packet) == "child: write of forbidden address 0x8 at 0x400010");
    packet.set_word(abi::VMFault::prefetch_fault, 1);
    packet.set_word(abi::VMFault::fsr, 0x8200'000f);
    CHECK(described(packet) == "child: execution of forbidden address 0x8 at 0x400010");
}

TEST_CASE("ends, panics and unknown system calls are told apart")
{
    FaultPacket packet {abi::FaultLabel::UnknownSyscall};
    packet.set_word(abi::UnknownSyscall::x0, 3);
    packet.set_word(abi::UnknownSyscall::fault_ip, 0x400020);
    packet.set_word(abi::UnknownSyscall::syscall, component::syscall_end);
    CHECK(described(packet) == "child: ended with status 3");
    packet.set_word(abi::UnknownSyscall::syscall, 77);
    CHECK(described(packet) == "child: unknown system call 0x4d at 0x400020");
    packet.set_word(abi::UnknownSyscall::syscall, component::syscall_panic);
    const char reason[] = "nothing works";
    std::memcpy(packet.registers, reason, sizeof reason);
    CHECK(described(packet) == "child: panicked: nothing works");
    std::memset(packet.registers, 'x', panic_text_bytes);
    CHECK(described(packet) == "child: panicked: " + std::string(panic_text_bytes, 'x'));
}

TEST_CASE("other faults and strangers are described too")
{
    FaultPacket timeout {abi::FaultLabel::Timeout};
    CHECK(described(timeout) == "child: ran past its budget");
    timeout.badge += 1;
    CHECK(described(timeout) == "unknown component: ran past its budget");
    FaultPacket capability {abi::FaultLabel::CapFault};
    capability.set_word(abi::CapFault::ip, 0x400004);
    capability.set_word(abi::CapFault::addr, 0x99);
    CHECK(described(capability) == "child: system call with the missing capability 0x99 at 0x400004");
    FaultPacket exception {abi::FaultLabel::UserException};
    exception.set_word(abi::UserException::fault_ip, 0x400008);
    exception.set_word(abi::UserException::code, 0x2000000);
    CHECK(described(exception) == "child: exception with syndrome 0x2000000 at 0x400008");
    CHECK(described(FaultPacket {static_cast<abi::FaultLabel>(99)}) == "child: unknown fault");
    Packet call;
    call.badge = uint64_t {1} << 48;
    CHECK_FALSE(is_fault(call));
    CHECK(is_fault(timeout));
}

TEST_CASE("packets carry scalars and bytes there and back, across the registers' end")
{
    uint64_t memory[abi::ipc_message_words] {};
    Packet packet;
    packet.memory = memory;
    std::string text(100, '?');
    for (size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>(i);
    PacketWriter writer {packet};
    writer.put(int8_t {-2});
    writer.put(true);
    writer.put_bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    writer.put(uint64_t {7});
    writer.finish(9);
    CHECK(packet.info.length() == 2 + 1 + 13 + 1);
    CHECK(packet.info.label() == 9);
    CHECK(packet.registers[0] == UINT64_MAX - 1);
    PacketReader reader {packet};
    CHECK(reader.take<int8_t>() == -2);
    CHECK(reader.take<bool>());
    Buffer<100> bytes;
    reader.take_bytes(bytes);
    CHECK(std::string {bytes.text().data(), bytes.size()} == text);
    CHECK(reader.take<uint64_t>() == 7);
    CHECK(reader.finish() == RpcError::None);
}

TEST_CASE("malformed packets give errors and zeros")
{
    uint64_t memory[abi::ipc_message_words] {};
    {
        const Packet packet = packet_of({256}, memory);
        PacketReader reader {packet};
        CHECK(reader.take<uint8_t>() == 0);
        CHECK(reader.finish() == RpcError::BadArgument);
    }
    {
        const Packet packet = packet_of({2}, memory);
        PacketReader reader {packet};
        CHECK_FALSE(reader.take<bool>());
        CHECK(reader.finish() == RpcError::BadArgument);
    }
    {
        const Packet packet = packet_of({0x80}, memory);
        PacketReader reader {packet};
        CHECK(reader.take<int8_t>() == 0);
        CHECK(reader.finish() == RpcError::BadArgument);
    }
    {
        const Packet packet = packet_of({1, 2}, memory);
        PacketReader reader {packet};
        CHECK(reader.take<uint64_t>() == 1);
        CHECK(reader.finish() == RpcError::BadLength);
    }
    {
        const Packet packet = packet_of({}, memory);
        PacketReader reader {packet};
        CHECK(reader.take<uint64_t>() == 0);
        CHECK(reader.finish() == RpcError::BadLength);
    }
    for (const uint64_t size : {uint64_t {9}, UINT64_MAX, uint64_t {1} << 63}) {
        const Packet packet = packet_of({size, 1, 2}, memory);
        PacketReader reader {packet};
        Buffer<8> bytes;
        reader.take_bytes(bytes);
        CHECK(bytes.empty());
        CHECK(reader.finish() == RpcError::BadArgument);
    }
    {
        const Packet packet = packet_of({8}, memory);
        PacketReader reader {packet};
        Buffer<8> bytes;
        reader.take_bytes(bytes);
        CHECK(reader.finish() == RpcError::BadLength);
    }
    {
        // Length 127 exists in the field but not in a message.
        Packet packet = packet_of({}, memory);
        packet.info = abi::MessageInfo::make(127, packet.info.extra_caps(), packet.info.caps_unwrapped(), packet.info.label());
        PacketReader reader {packet};
        for (int i = 0; i < 130; ++i)
            (void)reader.take<uint64_t>();
        CHECK(reader.finish() == RpcError::BadLength);
    }
}

TEST_CASE("register fields are made and read at their places")
{
    using Control = Register<4>;
    using Enable = Bitfield<Control, 0>;
    using Level = Bitfield<Control, 6, 4>;
    using Top = Bitfield<Control, 31, 31>;
    static_assert(Level::mask == 0x70 && Top::mask == 0x8000'0000 && Bitfield<Control, 31, 0>::mask == UINT32_MAX);
    uint32_t device[3] = {1, 2, 3};
    const Mmio registers {reinterpret_cast<uint64_t>(device)};
    registers.write(Enable::all() | Level::of(5) | Top::of(3));
    CHECK(device[1] == 0x8000'0051);
    CHECK(Level::get(registers.read<Control>()) == 5);
    CHECK(Enable::test(registers.read<Control>()));
    registers.write(Level::with(registers.read<Control>(), 0x1a));
    CHECK(device[1] == 0x8000'0021);
    CHECK(device[0] == 1);
    CHECK(device[2] == 3);
}

TEST_CASE("ticks become microseconds without overflow")
{
    CHECK(ticks_to_us(0, 62'500'000) == 0);
    CHECK(ticks_to_us(62'499'999, 62'500'000) == 999'999);
    CHECK(ticks_to_us(62'500'000, 62'500'000) == 1'000'000);
    CHECK(ticks_to_us(54, 54'000'000) == 1);
    CHECK(ticks_to_us(uint64_t {1} << 56, 62'500'000) == 1'152'921'504'606'846);
    CHECK(ticks_to_us(UINT64_MAX, 1'000'000'000) == UINT64_MAX / 1000);
}

TEST_CASE("microseconds become ticks that are not early, without overflow")
{
    CHECK(us_to_ticks(0, 62'500'000) == 0);
    CHECK(us_to_ticks(1, 62'500'000) == 63);
    CHECK(us_to_ticks(2, 62'500'000) == 125);
    CHECK(us_to_ticks(1'000'000, 62'500'000) == 62'500'000);
    CHECK(us_to_ticks(1'000'001, 54'000'000) == 54'000'054);
    CHECK(us_to_ticks(UINT64_MAX, 62'500'000) == UINT64_MAX);
    // The last second whose ticks fit 64 bits, and the one after it.
    CHECK(us_to_ticks(UINT64_MAX / 1'000'000'000 * 1'000'000, 1'000'000'000) == UINT64_MAX / 1'000'000'000 * 1'000'000'000);
    CHECK(us_to_ticks((UINT64_MAX / 1'000'000'000 + 1) * 1'000'000, 1'000'000'000) == UINT64_MAX);
    for (uint64_t us = 0; us < 2'000'000; us += 77) {
        const uint64_t ticks = us_to_ticks(us, 62'500'000);
        CHECK(ticks_to_us(ticks, 62'500'000) == us);
        CHECK((ticks == 0 || ticks_to_us(ticks - 1, 62'500'000) < us));
    }
}

// The timer driver's table of alarms.

namespace {

using timer::Alarm;
using timer::Alarms;
using timer::never;

/// The signals that ring at `now`, in order, and the deadline that is left.
struct Expired {
    std::vector<uint64_t> signals;
    uint64_t next;

    bool operator==(const Expired&) const = default;
};

Expired expire(Alarms& alarms, uint64_t now)
{
    Expired result {{}, 0};
    result.next = alarms.expire(now, [&](uint64_t signal) { result.signals.push_back(signal); });
    return result;
}

void set(Alarms& alarms, uint64_t badge, uint64_t deadline)
{
    Alarm* alarm = alarms.find(badge);
    REQUIRE(alarm != nullptr);
    alarm->deadline = deadline;
}

} // namespace

TEST_CASE("a table without alarms has no deadline", "[timer]")
{
    Alarms alarms;
    CHECK(expire(alarms, 5) == Expired {{}, never});
    REQUIRE(alarms.add(7, 70) != nullptr);
    CHECK(expire(alarms, never) == Expired {{}, never});
}

TEST_CASE("each alarm rings once, at its deadline and not before", "[timer]")
{
    Alarms alarms;
    for (const uint64_t badge : {1u, 2u, 3u})
        REQUIRE(alarms.add(badge, badge * 10) != nullptr);
    set(alarms, 1, 300);
    set(alarms, 2, 100);
    set(alarms, 3, 200);
    CHECK(expire(alarms, 99) == Expired {{}, 100});
    CHECK(expire(alarms, 100) == Expired {{20}, 200});
    CHECK(expire(alarms, 100) == Expired {{}, 200});
    CHECK(expire(alarms, 1000) == Expired {{10, 30}, never});
    CHECK(expire(alarms, 2000) == Expired {{}, never});
}

TEST_CASE("a deadline can be replaced and taken away", "[timer]")
{
    Alarms alarms;
    REQUIRE(alarms.add(1, 10) != nullptr);
    set(alarms, 1, 100);
    set(alarms, 1, 500);
    CHECK(expire(alarms, 100) == Expired {{}, 500});
    set(alarms, 1, never);
    CHECK(expire(alarms, never) == Expired {{}, never});
}

TEST_CASE("clients are told apart by their badges", "[timer]")
{
    Alarms alarms;
    CHECK(alarms.find(1) == nullptr);
    Alarm* first = alarms.add(1, 10);
    Alarm* second = alarms.add(2, 20);
    CHECK(alarms.find(1) == first);
    CHECK(alarms.find(2) == second);
    CHECK(first != second);
}

TEST_CASE("a full table takes no more clients", "[timer]")
{
    Alarms alarms;
    for (uint64_t badge = 1; badge <= Alarms::capacity; ++badge)
        REQUIRE(alarms.add(badge, badge) != nullptr);
    CHECK(alarms.add(Alarms::capacity + 1, 1) == nullptr);
    CHECK(alarms.find(Alarms::capacity) != nullptr);
}
