// SPDX-License-Identifier: BSD-2-Clause
// The planner against a model of the kernel's untypeds: every plan is executed step by step with the kernel's watermark rule, and each
// object must come out at the planned address, aligned, inside its untyped and disjoint from all others.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <vector>

#include "capdl/alloc/plan.hpp"

namespace {

using namespace caprock;
using namespace caprock::alloc;
using abi::ObjectType;

constexpr uint64_t size_of(unsigned bits) { return uint64_t{1} << bits; }

struct Planned {
    std::vector<uint32_t> order, by_address, pool;
    std::vector<uint64_t> addresses;
    std::vector<Step> steps;
    std::vector<Piece> pieces;
    Outcome outcome{};
};

size_t fixed_runs(std::vector<Object> objects) {
    std::erase_if(objects, [](const Object& object) { return object.paddr == any_address; });
    std::sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) { return a.paddr < b.paddr; });
    size_t runs = 0;
    for (size_t i = 0; i < objects.size(); ++i)
        if (i == 0 || objects[i - 1].paddr + size_of(objects[i - 1].size_bits) != objects[i].paddr) ++runs;
    return runs;
}

/// Plans with buffers of exactly the promised sizes.
Planned make_plan(const std::vector<Untyped>& untypeds, const std::vector<Object>& objects) {
    Planned planned;
    const size_t paddings = paddings_per_run * fixed_runs(objects);
    const size_t pieces = untypeds.size() + paddings;
    planned.order.resize(objects.size());
    planned.addresses.resize(objects.size());
    planned.steps.resize(objects.size() + paddings);
    planned.pieces.resize(pieces);
    planned.by_address.resize(pieces);
    planned.pool.resize(pieces);
    const Workspace workspace{{planned.order.data(), planned.order.size()}, {planned.addresses.data(), planned.addresses.size()},
                              {planned.steps.data(), planned.steps.size()}, {planned.pieces.data(), pieces},
                              {planned.by_address.data(), pieces},          {planned.pool.data(), pieces}};
    planned.outcome = plan({untypeds.data(), untypeds.size()}, {objects.data(), objects.size()}, workspace);
    return planned;
}

/// The kernel's rule: objects follow each other from the watermark, rounded up to their size.
struct ModelUntyped {
    uint64_t paddr;
    unsigned size_bits;
    bool is_device;
    uint64_t watermark;

    uint64_t retype(ObjectType type, unsigned bits) {
        REQUIRE((!is_device || type == ObjectType::Untyped || type == ObjectType::SmallPage || type == ObjectType::LargePage ||
                 type == ObjectType::HugePage));
        const uint64_t start = (watermark + size_of(bits) - 1) & ~(size_of(bits) - 1);
        REQUIRE(start + size_of(bits) <= size_of(size_bits));
        watermark = start + size_of(bits);
        return paddr + start;
    }
};

/// Executes a plan; returns the number of retypes.
void execute(const std::vector<Untyped>& untypeds, const std::vector<Object>& objects, const Planned& planned) {
    std::vector<ModelUntyped> pieces;
    for (const Untyped& untyped : untypeds) pieces.push_back({untyped.paddr, untyped.size_bits, untyped.is_device, 0});
    std::vector<bool> created(objects.size());
    std::map<uint64_t, uint64_t> taken;  // start -> end of every object
    for (uint32_t i = 0; i < planned.outcome.steps; ++i) {
        const Step& step = planned.steps[i];
        REQUIRE(step.parent < pieces.size());
        REQUIRE(step.count >= 1);
        REQUIRE(step.count <= abi::retype_fan_out_limit);
        for (uint32_t n = 0; n < step.count; ++n) {
            const uint64_t paddr = pieces[step.parent].retype(step.type, step.size_bits);
            if (step.is_padding) {
                REQUIRE(step.first == pieces.size());
                REQUIRE(planned.pieces[step.first].paddr == paddr);
                pieces.push_back({paddr, step.size_bits, pieces[step.parent].is_device, 0});
                continue;
            }
            const uint32_t index = planned.order.at(step.first + n);
            const Object& object = objects.at(index);
            REQUIRE_FALSE(created[index]);
            created[index] = true;
            REQUIRE(object.type == step.type);
            REQUIRE(object.size_bits == step.size_bits);
            REQUIRE(planned.addresses[index] == paddr);
            REQUIRE((object.paddr == any_address || object.paddr == paddr));
            REQUIRE((object.paddr != any_address || !pieces[step.parent].is_device));
            REQUIRE(paddr % size_of(object.size_bits) == 0);
            REQUIRE(taken.emplace(paddr, paddr + size_of(object.size_bits)).second);
        }
    }
    REQUIRE(std::all_of(created.begin(), created.end(), [](bool done) { return done; }));
    uint64_t end = 0;
    for (const auto& [start, stop] : taken) {
        REQUIRE(start >= end);
        end = stop;
    }
}

uint64_t memory_bytes(const std::vector<Untyped>& untypeds) {
    uint64_t total = 0;
    for (const Untyped& untyped : untypeds)
        if (!untyped.is_device) total += size_of(untyped.size_bits);
    return total;
}

Object free_object(ObjectType type, unsigned bits) { return {any_address, type, static_cast<uint8_t>(bits)}; }
Object frame_at(uint64_t paddr, unsigned bits = 12) {
    const ObjectType type = bits == 12 ? ObjectType::SmallPage : ObjectType::LargePage;
    return {paddr, type, static_cast<uint8_t>(bits)};
}

}  // namespace

TEST_CASE("an empty system needs no step", "[alloc]") {
    const Planned planned = make_plan({{0x4000'0000, 20, false}}, {});
    CHECK(planned.outcome.problem == Problem::None);
    CHECK(planned.outcome.steps == 0);
    CHECK(planned.outcome.free_bytes == size_of(20));
    CHECK(planned.outcome.largest_free_bits == 20);
}

TEST_CASE("equal objects share a retype up to the kernel's limit", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x4000'0000, 24, false}};
    const std::vector<Object> objects(600, free_object(ObjectType::SmallPage, 12));
    const Planned planned = make_plan(untypeds, objects);
    REQUIRE(planned.outcome.problem == Problem::None);
    execute(untypeds, objects, planned);
    REQUIRE(planned.outcome.steps == 3);
    CHECK(planned.steps[0].count == 256);
    CHECK(planned.steps[2].count == 88);
}

TEST_CASE("memory is used to the last byte whatever the order of the request", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x4000'0000, 13, false}, {0x5000'0000, 12, false}};
    const std::vector<Object> objects{
        free_object(ObjectType::Endpoint, 4),     free_object(ObjectType::SmallPage, 12),   free_object(ObjectType::TCB, 11),
        free_object(ObjectType::Notification, 6), free_object(ObjectType::SmallPage, 12),   free_object(ObjectType::CNode, 10),
        free_object(ObjectType::CNode, 9),        free_object(ObjectType::SchedContext, 8), free_object(ObjectType::SchedContext, 7),
        free_object(ObjectType::Reply, 5),        free_object(ObjectType::Endpoint, 4)};
    const Planned planned = make_plan(untypeds, objects);
    REQUIRE(planned.outcome.problem == Problem::None);
    execute(untypeds, objects, planned);
    CHECK(planned.outcome.free_bytes == 0);
    CHECK(planned.outcome.largest_free_bits == 0);
}

TEST_CASE("a device frame is reached by paddings", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x4000'0000, 20, false}, {0x0800'0000, 27, true}};
    const std::vector<Object> objects{frame_at(0x0900'0000), free_object(ObjectType::TCB, 11), frame_at(0x0901'0000),
                                      frame_at(0x0901'1000)};
    const Planned planned = make_plan(untypeds, objects);
    REQUIRE(planned.outcome.problem == Problem::None);
    execute(untypeds, objects, planned);
    // 16 MiB lie below the first frame, and 60 KiB between it and the next two, which share a retype.
    CHECK(planned.steps[0].is_padding);
    CHECK(planned.steps[0].size_bits == 24);
    CHECK(planned.outcome.steps == 1 + 1 + 4 + 1 + 1);
}

TEST_CASE("gaps between fixed addresses in memory are used for other objects", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x4000'0000, 21, false}};
    std::vector<Object> objects{frame_at(0x4010'0000)};
    objects.insert(objects.end(), 511, free_object(ObjectType::SmallPage, 12));
    const Planned planned = make_plan(untypeds, objects);
    REQUIRE(planned.outcome.problem == Problem::None);
    execute(untypeds, objects, planned);
    CHECK(planned.outcome.free_bytes == 0);
}

TEST_CASE("exhaustion names the object and what is left", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x4000'0000, 14, false}, {0x0800'0000, 27, true}};
    std::vector<Object> objects(4, free_object(ObjectType::SmallPage, 12));
    objects.push_back(free_object(ObjectType::TCB, 11));
    objects.push_back(free_object(ObjectType::Endpoint, 4));
    const Planned full = make_plan(untypeds, objects);
    CHECK(full.outcome.problem == Problem::NoMemory);
    CHECK(full.outcome.object == 4);
    CHECK(full.outcome.free_bytes == 0);
    CHECK(full.outcome.missing_bytes == size_of(11) + size_of(4));

    objects[2] = free_object(ObjectType::LargePage, 21);
    const Planned too_big = make_plan(untypeds, objects);
    CHECK(too_big.outcome.problem == Problem::NoMemory);
    CHECK(too_big.outcome.object == 2);
    CHECK(too_big.outcome.largest_free_bits == 14);
    CHECK(too_big.outcome.free_bytes == size_of(14));
}

TEST_CASE("what is left after an untyped was cut counts as well", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x4000'0000, 14, false}};
    const Planned planned = make_plan(untypeds, {frame_at(0x4000'1000), free_object(ObjectType::CNode, 14)});
    CHECK(planned.outcome.problem == Problem::NoMemory);
    CHECK(planned.outcome.object == 1);
    CHECK(planned.outcome.largest_free_bits == 13);
    CHECK(planned.outcome.free_bytes == size_of(14) - size_of(12));
}

TEST_CASE("fixed addresses that cannot be are refused by name", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x0800'0000, 27, true}, {0x4000'0000, 20, false}};
    SECTION("outside all untypeds") {
        const Planned planned = make_plan(untypeds, {frame_at(0x0900'0000), frame_at(0x2000'0000)});
        CHECK(planned.outcome.problem == Problem::NotCovered);
        CHECK(planned.outcome.object == 1);
    }
    SECTION("below all untypeds") {
        const Planned planned = make_plan(untypeds, {frame_at(0x1000)});
        CHECK(planned.outcome.problem == Problem::NotCovered);
    }
    SECTION("above all untypeds") {
        const Planned planned = make_plan(untypeds, {frame_at(0x4010'0000)});
        CHECK(planned.outcome.problem == Problem::NotCovered);
    }
    SECTION("larger than its untyped") {
        const Planned planned = make_plan(untypeds, {frame_at(0x4000'0000, 21)});
        CHECK(planned.outcome.problem == Problem::NotCovered);
    }
    SECTION("overlapping") {
        const Planned planned = make_plan(untypeds, {frame_at(0x0900'1000), frame_at(0x0900'0000), frame_at(0x0900'1000)});
        CHECK(planned.outcome.problem == Problem::Overlap);
        CHECK(planned.outcome.object == 2);
        CHECK(planned.outcome.other == 0);
    }
    SECTION("a frame inside a large one") {
        const Planned planned = make_plan(untypeds, {frame_at(0x0900'1000), frame_at(0x0900'0000, 21)});
        CHECK(planned.outcome.problem == Problem::Overlap);
        CHECK(planned.outcome.object == 0);
        CHECK(planned.outcome.other == 1);
    }
    SECTION("misaligned") {
        const Planned planned = make_plan(untypeds, {frame_at(0x0900'0800)});
        CHECK(planned.outcome.problem == Problem::Misaligned);
    }
    SECTION("a kernel object in device memory") {
        const Planned planned = make_plan(untypeds, {{0x0900'0000, ObjectType::CNode, 12}});
        CHECK(planned.outcome.problem == Problem::DeviceMemory);
    }
}

TEST_CASE("device memory is never used for objects without an address", "[alloc]") {
    const Planned planned = make_plan({{0x0800'0000, 27, true}}, {free_object(ObjectType::SmallPage, 12)});
    CHECK(planned.outcome.problem == Problem::NoMemory);
    CHECK(planned.outcome.free_bytes == 0);
}

TEST_CASE("buffers that are too small are noticed", "[alloc]") {
    const std::vector<Untyped> untypeds{{0x0800'0000, 27, true}};
    const std::vector<Object> objects{frame_at(0x0900'1000)};
    std::vector<uint32_t> numbers(3);
    std::vector<uint64_t> addresses(1);
    std::vector<Step> steps(8);
    std::vector<Piece> pieces(2);
    Workspace workspace{{numbers.data(), 1}, {addresses.data(), 1},   {steps.data(), 8},
                        {pieces.data(), 2},  {numbers.data() + 1, 1}, {numbers.data() + 2, 1}};
    CHECK(plan({untypeds.data(), 1}, {objects.data(), 1}, workspace).problem == Problem::TooSmallBuffers);
    workspace.order.size = 0;
    CHECK(plan({untypeds.data(), 1}, {objects.data(), 1}, workspace).problem == Problem::TooSmallBuffers);
}

TEST_CASE("retype's size argument is what the API counts", "[alloc]") {
    CHECK(retype_size_argument(ObjectType::CNode, 17) == 12);
    CHECK(retype_size_argument(ObjectType::Untyped, 17) == 17);
    CHECK(retype_size_argument(ObjectType::SchedContext, 8) == 8);
    CHECK(retype_size_argument(ObjectType::TCB, 11) == 0);
    CHECK(retype_size_argument(ObjectType::LargePage, 21) == 0);
}

namespace {

/// Untypeds like a kernel's: a memory range and a device range, each cut into blocks that are aligned to their size.
std::vector<Untyped> random_untypeds(std::mt19937_64& random) {
    std::vector<Untyped> untypeds;
    for (const auto& [base, span_bits, device] : {std::tuple{uint64_t{0x4000'0000}, 24U, false}, {uint64_t{0x0800'0000}, 25U, true}}) {
        uint64_t start = base + (random() % size_of(span_bits - 2) & ~uint64_t{0xfff});
        const uint64_t end = base + size_of(span_bits) - (random() % size_of(span_bits - 2) & ~uint64_t{0xfff});
        while (start < end) {
            unsigned bits = static_cast<unsigned>(__builtin_ctzll(start));
            while (start + size_of(bits) > end) --bits;
            untypeds.push_back({start, static_cast<uint8_t>(bits), device});
            start += size_of(bits);
        }
    }
    std::shuffle(untypeds.begin(), untypeds.end(), random);
    return untypeds;
}

std::vector<Object> random_objects(std::mt19937_64& random, const std::vector<Untyped>& untypeds) {
    static constexpr Object kinds[] = {
        {any_address, ObjectType::Endpoint, 4},     {any_address, ObjectType::Reply, 5},      {any_address, ObjectType::Notification, 6},
        {any_address, ObjectType::SchedContext, 8}, {any_address, ObjectType::CNode, 9},      {any_address, ObjectType::TCB, 11},
        {any_address, ObjectType::SmallPage, 12},   {any_address, ObjectType::PageTable, 12}, {any_address, ObjectType::VSpace, 12},
        {any_address, ObjectType::LargePage, 21},   {any_address, ObjectType::Untyped, 16},
    };
    std::vector<Object> objects;
    const size_t count = random() % 3000;
    for (size_t i = 0; i < count; ++i) {
        const Object& kind = kinds[random() % (i % 64 == 0 ? std::size(kinds) : 9)];
        objects.push_back(kind);
    }
    std::map<uint64_t, bool> used;
    for (size_t i = random() % 40; i-- > 0;) {
        const Untyped& untyped = untypeds[random() % untypeds.size()];
        if (untyped.size_bits < 12) continue;
        const uint64_t paddr = untyped.paddr + (random() % size_of(untyped.size_bits) & ~uint64_t{0xfff});
        if (used.emplace(paddr, true).second) objects.push_back(frame_at(paddr));
    }
    std::shuffle(objects.begin(), objects.end(), random);
    return objects;
}

}  // namespace

TEST_CASE("random systems come out exactly as planned, and fail only when memory is used up", "[alloc]") {
    std::mt19937_64 random(20240607);
    unsigned planned_systems = 0;
    unsigned full_systems = 0;
    for (unsigned round = 0; round < 300; ++round) {
        const std::vector<Untyped> untypeds = random_untypeds(random);
        const std::vector<Object> objects = random_objects(random, untypeds);
        const Planned planned = make_plan(untypeds, objects);
        uint64_t needed = 0;
        for (const Object& object : objects) {
            const bool in_memory = object.paddr >= 0x4000'0000;
            if (in_memory) needed += size_of(object.size_bits);
        }
        if (planned.outcome.problem == Problem::None) {
            ++planned_systems;
            execute(untypeds, objects, planned);
            REQUIRE(planned.outcome.free_bytes == memory_bytes(untypeds) - needed);
            continue;
        }
        ++full_systems;
        REQUIRE(planned.outcome.problem == Problem::NoMemory);
        // Nothing bigger than the failing object's size was free, so no other order could have placed it.
        const Object& object = objects[planned.outcome.object];
        REQUIRE(planned.outcome.largest_free_bits < object.size_bits);
    }
    CHECK(planned_systems > 50);
    CHECK(full_systems > 20);
}

TEST_CASE("planning twenty thousand objects needs few comparisons", "[alloc]") {
    std::vector<uint32_t> numbers(20000);
    std::mt19937_64 random(7);
    for (uint32_t& number : numbers) number = static_cast<uint32_t>(random());
    std::vector<uint32_t> expected = numbers;
    std::sort(expected.begin(), expected.end());
    uint64_t comparisons = 0;
    heap_sort(Slice<uint32_t>{numbers.data(), numbers.size()}, [&](uint32_t a, uint32_t b) {
        ++comparisons;
        return a < b;
    });
    CHECK(numbers == expected);
    CHECK(comparisons < 20000 * 15 * 3);
}
