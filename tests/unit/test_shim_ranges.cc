// SPDX-License-Identifier: BSD-2-Clause
// The boot shim's range arithmetic and placement: the lists stay sorted and disjoint, and no placement overlaps another or leaves its
// range.
#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <random>
#include <vector>

#include "platform/shim/ranges.hpp"

using namespace caprock::shim;

namespace {

using Pairs = std::vector<std::pair<uint64_t, uint64_t>>;

Pairs pairs(const RangeList& list) {
    Pairs result;
    for (unsigned i = 0; i < list.size(); ++i) result.emplace_back(list[i].start, list[i].end);
    return result;
}

RangeList list_of(const Pairs& ranges) {
    RangeList list;
    for (const auto& [start, end] : ranges) REQUIRE(list.add({start, end}));
    return list;
}

}  // namespace

TEST_CASE("pages around and within a range") {
    CHECK(pages_around({0x1001, 0x1002}).start == 0x1000);
    CHECK(pages_around({0x1001, 0x1002}).end == 0x2000);
    CHECK(pages_around({0x1000, 0x3000}).end == 0x3000);
    CHECK(pages_within({0x1001, 0x3fff}).start == 0x2000);
    CHECK(pages_within({0x1001, 0x3fff}).end == 0x3000);
    CHECK(size_of(pages_within({0x1001, 0x1fff})) == 0);
    CHECK(size_of(pages_within({0x1001, 0x2fff})) == 0);
}

TEST_CASE("a range that would pass the end of the address space is cut off") {
    CHECK(range_at(0x1000, 0x2000).end == 0x3000);
    CHECK(range_at(UINT64_MAX - 0x1000, UINT64_MAX).end == align_down(UINT64_MAX, page_size));
}

TEST_CASE("ranges are kept sorted, and those that touch are joined") {
    CHECK(pairs(list_of({{30, 40}, {10, 20}})) == Pairs{{10, 20}, {30, 40}});
    CHECK(pairs(list_of({{10, 20}, {20, 30}})) == Pairs{{10, 30}});
    CHECK(pairs(list_of({{20, 30}, {10, 20}})) == Pairs{{10, 30}});
    CHECK(pairs(list_of({{10, 20}, {30, 40}, {50, 60}, {15, 55}})) == Pairs{{10, 60}});
    CHECK(pairs(list_of({{10, 60}, {20, 30}})) == Pairs{{10, 60}});
    CHECK(pairs(list_of({{10, 20}, {30, 40}, {20, 30}})) == Pairs{{10, 40}});
    CHECK(pairs(list_of({{10, 10}, {20, 15}})).empty());
}

TEST_CASE("removal cuts, splits and drops ranges") {
    RangeList list = list_of({{10, 20}, {30, 40}, {50, 60}});
    REQUIRE(list.remove({20, 30}));
    CHECK(pairs(list) == Pairs{{10, 20}, {30, 40}, {50, 60}});
    REQUIRE(list.remove({33, 35}));
    CHECK(pairs(list) == Pairs{{10, 20}, {30, 33}, {35, 40}, {50, 60}});
    REQUIRE(list.remove({15, 55}));
    CHECK(pairs(list) == Pairs{{10, 15}, {55, 60}});
    REQUIRE(list.remove({0, 100}));
    CHECK(pairs(list).empty());
}

TEST_CASE("a full list refuses what does not fit, and is unchanged") {
    RangeList list;
    for (uint64_t i = 0; i < RangeList::capacity; ++i) REQUIRE(list.add({i * 10, i * 10 + 5}));
    const Pairs before = pairs(list);
    CHECK_FALSE(list.add({7, 8}));
    CHECK_FALSE(list.remove({1, 2}));
    CHECK(pairs(list) == before);
    CHECK(list.add({5, 10}));
    CHECK(list.size() == RangeList::capacity - 1);
}

TEST_CASE("containment and overlap") {
    const RangeList list = list_of({{10, 20}, {30, 40}});
    CHECK(list.contains({10, 20}));
    CHECK(list.contains({12, 13}));
    CHECK_FALSE(list.contains({12, 21}));
    CHECK_FALSE(list.contains({15, 35}));
    CHECK(list.overlaps({15, 35}));
    CHECK(list.overlaps({0, 11}));
    CHECK_FALSE(list.overlaps({20, 30}));
    CHECK(list.bytes() == 20);
}

TEST_CASE("lists agree with a set of bytes under random additions and removals") {
    constexpr unsigned bytes = 96;
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        RangeList list;
        std::vector<bool> expected(bytes);
        for (int step = 0; step < 40; ++step) {
            const uint64_t start = random() % bytes;
            const uint64_t end = start + random() % (bytes + 1 - start);
            const bool add = random() % 2 == 0;
            REQUIRE((add ? list.add({start, end}) : list.remove({start, end})));
            for (uint64_t i = start; i < end; ++i) expected[i] = add;
            std::vector<bool> actual(bytes);
            for (unsigned i = 0; i < list.size(); ++i) {
                REQUIRE(list[i].start < list[i].end);
                if (i > 0) REQUIRE(list[i - 1].end < list[i].start);
                for (uint64_t k = list[i].start; k < list[i].end; ++k) actual[k] = true;
            }
            REQUIRE(actual == expected);
        }
    }
}

TEST_CASE("placement takes the lowest aligned room, and keeps address 0") {
    RangeList free = list_of({{0, 0x300000}, {0x40000000, 0x50000000}});
    Request requests[] = {{0x200000, 0x200000}, {0x3000, page_size}, {0x1000, page_size}};
    REQUIRE(place(free, requests, 3) == nullptr);
    CHECK(requests[0].placed.start == 0x40000000);
    CHECK(requests[1].placed.start == 0x1000);
    CHECK(requests[2].placed.start == 0x4000);
    CHECK(pairs(free) == Pairs{{0, 0x1000}, {0x5000, 0x300000}, {0x40200000, 0x50000000}});
}

TEST_CASE("placement names the request that fits nowhere") {
    RangeList free = list_of({{0x201000, 0x400000}});
    Request requests[] = {{0x1000, page_size}, {0x1000, 0x200000}};
    CHECK(place(free, requests, 2) == &requests[1]);
    RangeList high = list_of({{UINT64_MAX - 0xfff, UINT64_MAX}});
    Request aligned[] = {{0x1000, 0x200000}};
    CHECK(place(high, aligned, 1) == &aligned[0]);
}

TEST_CASE("placements never overlap each other or what is in use") {
    std::mt19937_64 random(2);
    for (int round = 0; round < 500; ++round) {
        RangeList free = list_of({{0x40000000, 0x40000000 + page_size * (random() % 4096 + 1)}});
        RangeList used;
        for (int i = 0; i < 5; ++i) {
            const uint64_t start = 0x40000000 + page_size * (random() % 4096);
            const BootRange range{start, start + page_size * (random() % 64 + 1)};
            REQUIRE(used.add(range));
            REQUIRE(free.remove(range));
        }
        const RangeList before = free;
        Request requests[] = {
            {page_size * (random() % 512 + 1), 0x200000}, {page_size * (random() % 64 + 1), page_size}, {page_size, page_size}};
        const Request* failed = place(free, requests, 3);
        for (const Request* request = requests; request != (failed ? failed : requests + 3); ++request) {
            REQUIRE(request->placed.start % request->alignment == 0);
            REQUIRE(size_of(request->placed) == request->size);
            REQUIRE(before.contains(request->placed));
            REQUIRE_FALSE(used.overlaps(request->placed));
            REQUIRE(used.add(request->placed));
        }
    }
}
