// SPDX-License-Identifier: BSD-2-Clause
// The byte ring: order, wrap-around, whole writes, draining, two threads at once, and peers that publish nonsense.

#include <caprock/ring.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using caprock::Bytes;
using caprock::Channel;
using caprock::ConstBytes;
using caprock::RingConsumer;
using caprock::RingHeader;
using caprock::RingProducer;

/// Two regions of `size` bytes, exactly, so that the address sanitizer sees any access outside.
struct Regions {
    explicit Regions(size_t size) : size {size}, a {make(size)}, b {make(size)} {}
    ~Regions()
    {
        ::operator delete(a, std::align_val_t {64});
        ::operator delete(b, std::align_val_t {64});
    }
    Regions(const Regions&) = delete;
    Regions& operator=(const Regions&) = delete;

    static uint8_t* make(size_t size)
    {
        auto* memory = static_cast<uint8_t*>(::operator new(size, std::align_val_t {64}));
        std::memset(memory, 0, size);
        return memory;
    }
    Bytes first() const { return {a, size}; }
    Bytes second() const { return {b, size}; }
    RingHeader* first_header() const { return reinterpret_cast<RingHeader*>(a); }
    RingHeader* second_header() const { return reinterpret_cast<RingHeader*>(b); }

    size_t size;
    uint8_t* a;
    uint8_t* b;
};

ConstBytes bytes_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

std::string read_all(RingConsumer& consumer)
{
    std::string result;
    uint8_t piece[5];
    while (const size_t count = consumer.read(piece))
        result.append(reinterpret_cast<char*>(piece), count);
    return result;
}

} // namespace

TEST_CASE("a ring hands on bytes in order and wraps around")
{
    const Regions regions {sizeof(RingHeader) + 7};
    RingProducer producer {regions.first(), regions.second()};
    RingConsumer consumer {regions.second(), regions.first()};
    REQUIRE(producer.capacity() == 7);
    std::string sent;
    std::string received;
    for (int round = 0; round < 100; ++round) {
        const std::string text(static_cast<size_t>(round % 9), static_cast<char>('a' + round % 26));
        const size_t count = producer.write(bytes_of(text));
        CHECK(count == (text.size() < 7 ? text.size() : 7));
        sent += text.substr(0, count);
        CHECK(consumer.available() == count);
        received += read_all(consumer);
        CHECK(producer.drained());
    }
    CHECK(sent == received);
}

TEST_CASE("a full ring takes what fits, and a whole write all or nothing")
{
    const Regions regions {sizeof(RingHeader) + 8};
    RingProducer producer {regions.first(), regions.second()};
    RingConsumer consumer {regions.second(), regions.first()};
    CHECK(producer.write(bytes_of("123456")) == 6);
    CHECK(producer.room() == 2);
    CHECK_FALSE(producer.write_whole(bytes_of("789")));
    CHECK(producer.room() == 2);
    CHECK(producer.write(bytes_of("789")) == 2);
    CHECK(producer.write(bytes_of("x")) == 0);
    CHECK_FALSE(producer.drained());
    CHECK(read_all(consumer) == "12345678");
    CHECK(producer.write_whole(bytes_of("abcdefgh")));
    CHECK(read_all(consumer) == "abcdefgh");
}

TEST_CASE("a channel carries both directions at once")
{
    const Regions regions {256};
    Channel left {regions.first(), regions.second()};
    Channel right {regions.second(), regions.first()};
    REQUIRE(left.output.write_whole(bytes_of("ping")));
    REQUIRE(right.output.write_whole(bytes_of("pong!")));
    CHECK(read_all(right.input) == "ping");
    CHECK(read_all(left.input) == "pong!");
    CHECK(left.output.drained());
    CHECK(right.output.drained());
}

TEST_CASE("regions too small for any data hold nothing")
{
    for (const size_t size : {size_t {0}, size_t {64}, sizeof(RingHeader)}) {
        const Regions regions {size};
        RingProducer producer {regions.first(), regions.second()};
        RingConsumer consumer {regions.second(), regions.first()};
        CHECK(producer.capacity() == 0);
        CHECK(producer.write(bytes_of("x")) == 0);
        CHECK(consumer.available() == 0);
    }
}

TEST_CASE("a consumer that lies breaks the producer's stream only")
{
    const Regions regions {sizeof(RingHeader) + 16};
    RingProducer producer {regions.first(), regions.second()};
    REQUIRE(producer.write(bytes_of("12345678")) == 8);
    SECTION("it claims more than was produced") { regions.second_header()->consumed = 9; }
    SECTION("it claims a huge position") { regions.second_header()->consumed = UINT64_MAX; }
    SECTION("it goes back")
    {
        regions.second_header()->consumed = 5;
        CHECK(producer.room() == 13);
        regions.second_header()->consumed = 4;
    }
    CHECK(producer.room() == 0);
    CHECK(producer.broken());
    CHECK(producer.write(bytes_of("x")) == 0);
    CHECK_FALSE(producer.drained());
    // For good, even when the peer publishes something sensible again.
    regions.second_header()->consumed = 8;
    CHECK(producer.write(bytes_of("x")) == 0);
}

TEST_CASE("a producer that lies breaks the consumer's stream only")
{
    const Regions regions {sizeof(RingHeader) + 16};
    RingConsumer consumer {regions.second(), regions.first()};
    uint8_t into[64];
    SECTION("it claims more than fits") { regions.first_header()->produced = 17; }
    SECTION("it claims a huge position") { regions.first_header()->produced = UINT64_MAX; }
    SECTION("it goes back")
    {
        regions.first_header()->produced = 10;
        CHECK(consumer.read(into) == 10);
        regions.first_header()->produced = 9;
    }
    CHECK(consumer.available() == 0);
    CHECK(consumer.broken());
    CHECK(consumer.read(into) == 0);
    regions.first_header()->produced = 16;
    CHECK(consumer.read(into) == 0);
}

TEST_CASE("whatever a peer writes into its region, nothing outside the regions is touched")
{
    const Regions regions {sizeof(RingHeader) + 33};
    std::mt19937_64 random {1};
    for (int system = 0; system < 200; ++system) {
        std::memset(regions.a, 0, regions.size);
        std::memset(regions.b, 0, regions.size);
        Channel honest {regions.first(), regions.second()};
        for (int step = 0; step < 200; ++step) {
            // Mostly near the honest positions, where the interesting mistakes are.
            const uint64_t produced = random() % 4 == 0 ? random() : random() % 80;
            const uint64_t consumed = random() % 4 == 0 ? random() : random() % 80;
            *regions.second_header() = {produced, consumed, random() % 16 == 0 ? random() : 0};
            uint8_t piece[50];
            CHECK(honest.output.write({piece, 0}) == 0);
            std::memset(piece, 1, sizeof piece);
            CHECK(honest.output.write({piece, random() % 50}) <= 33);
            CHECK(honest.input.read({piece, random() % 50}) <= 33);
        }
    }
}

TEST_CASE("a side that is restarted goes on where it was, and finds again what it had not committed")
{
    const Regions regions {sizeof(RingHeader) + 64};
    Channel writer {regions.first(), regions.second()};
    uint8_t piece[6];
    {
        Channel reader {regions.second(), regions.first()};
        REQUIRE(writer.output.write_whole(bytes_of("first second ")));
        CHECK(reader.input.read(piece) == 6);
        CHECK(reader.input.take(piece) == 6);
        // What was taken is still the reader's.
        CHECK(writer.output.room() == 64 - 7);
    }
    Channel reader {regions.second(), regions.first(), 1};
    CHECK(read_all(reader.input) == "second ");
    CHECK(writer.output.drained());

    REQUIRE(writer.output.write_whole(bytes_of("third ")));
    Channel second {regions.first(), regions.second(), 1};
    REQUIRE(second.output.write_whole(bytes_of("fourth")));
    CHECK(read_all(reader.input) == "third fourth");
    CHECK_FALSE(reader.input.broken());
}

TEST_CASE("a stream that its peer broke goes on when the peer is restarted, whatever positions were left")
{
    for (const uint64_t left : {uint64_t {0}, uint64_t {1}, uint64_t {5'000}, UINT64_MAX}) {
        const Regions regions {sizeof(RingHeader) + 64};
        Channel writer {regions.first(), regions.second()};
        Channel reader {regions.second(), regions.first()};
        REQUIRE(writer.output.write_whole(bytes_of("before")));
        CHECK(read_all(reader.input) == "before");
        regions.first_header()->produced = left;
        uint8_t piece[6];
        static_cast<void>(reader.input.read(piece));

        Channel restarted {regions.first(), regions.second(), 1};
        REQUIRE(restarted.output.write_whole(bytes_of("after")));
        const std::string found = read_all(reader.input);
        CHECK(found.size() >= 5);
        CHECK(found.substr(found.size() - 5) == "after");
        CHECK_FALSE(reader.input.broken());

        regions.second_header()->consumed = left;
        static_cast<void>(restarted.output.room());
        Channel again {regions.second(), regions.first(), 1};
        CHECK(restarted.output.room() > 0);
        CHECK_FALSE(restarted.output.broken());
    }
}

TEST_CASE("two threads pass a long stream")
{
    const Regions regions {sizeof(RingHeader) + 61};
    constexpr size_t total = 200'000;
    std::thread sender {[&] {
        RingProducer producer {regions.first(), regions.second()};
        for (size_t sent = 0; sent < total;) {
            uint8_t piece[23];
            const size_t count = total - sent < sizeof piece ? total - sent : sizeof piece;
            for (size_t i = 0; i < count; ++i)
                piece[i] = static_cast<uint8_t>((sent + i) * 7);
            const size_t written = producer.write({piece, count});
            sent += written;
            if (written == 0)
                std::this_thread::yield();
        }
    }};
    RingConsumer consumer {regions.second(), regions.first()};
    size_t wrong = 0;
    for (size_t received = 0; received < total;) {
        uint8_t piece[37];
        const size_t count = consumer.read(piece);
        for (size_t i = 0; i < count; ++i)
            wrong += piece[i] != static_cast<uint8_t>((received + i) * 7);
        received += count;
        if (count == 0)
            std::this_thread::yield();
    }
    sender.join();
    CHECK(wrong == 0);
    CHECK_FALSE(consumer.broken());
}
