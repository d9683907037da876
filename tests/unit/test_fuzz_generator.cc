// SPDX-License-Identifier: BSD-2-Clause
// The fuzzer's generator: its choices repeat, every operation is drawn, and nothing that must not be drawn is.
#include "generator.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <set>

using namespace caprock;
using namespace caprock::fuzz;

namespace {

constexpr unsigned many = 200'000;

}  // namespace

TEST_CASE("bytes make choices, and end", "[choices]") {
    const uint8_t bytes[] = {7, 1, 2, 3};
    Choices choices(bytes, sizeof bytes);
    CHECK(choices.below(5) == 2);
    CHECK(choices.below(1) == 0);
    CHECK(choices.below(0x10000) == 0x0201);
    CHECK_FALSE(choices.ended());
    CHECK(choices.below(256) == 3);
    CHECK(choices.ended());
    CHECK(choices.below(256) == 0);
    CHECK(choices.word() == 0);
}

TEST_CASE("a seed gives a stream of its own that repeats", "[choices]") {
    Choices one(1);
    Choices again(1);
    Choices two(2);
    bool differs = false;
    for (unsigned i = 0; i < 100; ++i) {
        uint64_t word = one.word();
        CHECK(word == again.word());
        differs = differs || word != two.word();
    }
    CHECK(differs);
    CHECK_FALSE(one.ended());
}

TEST_CASE("the same bytes make the same operation", "[generator]") {
    Choices first(5);
    Choices second(5);
    Generator one(first);
    Generator other(second);
    Operation a;
    Operation b;
    for (unsigned i = 0; i < 1'000; ++i) {
        one.next(a);
        other.next(b);
        REQUIRE(std::memcmp(a.x, b.x, sizeof a.x) == 0);
        REQUIRE(a.kind == b.kind);
    }
}

TEST_CASE("every system call and every method is drawn", "[generator]") {
    Choices choices(1);
    Generator generator(choices);
    Operation operation;
    std::set<abi::Syscall> calls;
    std::set<abi::Method> methods;
    std::set<Operation::Kind> kinds;
    for (unsigned i = 0; i < many; ++i) {
        generator.next(operation);
        kinds.insert(operation.kind);
        if (operation.kind == Operation::Kind::SystemCall) calls.insert(operation.syscall());
        if (operation.is_invocation()) methods.insert(operation.method);
    }
    CHECK(kinds.size() == 4);
    for (uint64_t number = 1; number <= static_cast<uint64_t>(abi::Syscall::Yield); ++number) CHECK(calls.contains(static_cast<abi::Syscall>(number)));
    CHECK_FALSE(calls.contains(abi::Syscall::DebugHalt));
    for (unsigned label = 1; label < method_count; ++label) {
        INFO(method_tables[label].name);
        CHECK(methods.contains(static_cast<abi::Method>(label)));
    }
}

TEST_CASE("an address of the kernel is never drawn", "[generator]") {
    Choices choices(2);
    Generator generator(choices);
    // Holds powers of two, which are drawn often.
    generator.forbid({uint64_t{1} << 44, (uint64_t{1} << 46) + 1});
    Operation operation;
    for (unsigned i = 0; i < many; ++i) {
        generator.next(operation);
        for (uint64_t x : operation.x) REQUIRE_FALSE(generator.is_forbidden(x));
        for (uint64_t word : operation.words) REQUIRE_FALSE(generator.is_forbidden(word));
        for (uint64_t cap : operation.caps) REQUIRE_FALSE(generator.is_forbidden(cap));
    }
}

TEST_CASE("a method's message carries what the description says", "[generator]") {
    Choices choices(3);
    Generator generator(choices);
    unsigned whole = 0;
    for (unsigned i = 0; i < 1'000; ++i) {
        Operation operation;
        generator.invocation(operation, abi::Method::CNodeMint);
        abi::MessageInfo info{operation.x[1]};
        CHECK(info.label() == static_cast<uint64_t>(abi::Method::CNodeMint));
        if (info.length() == 6 && info.extra_caps() == 1) ++whole;
    }
    CHECK(whole > 850);
}

TEST_CASE("each type of capability has a shelf", "[shelves]") {
    unsigned end = 0;
    for (unsigned type = 0; type < cap_types; ++type) {
        CapType kind = static_cast<CapType>(type);
        CHECK(shelf_start(kind) == end);
        CHECK(given(kind) >= 1);
        CHECK(given(kind) <= shelf_size(kind));
        CHECK(is_on_shelf(kind, shelf_slot(kind, shelf_size(kind) + 1)));
        end += shelf_size(kind);
    }
    CHECK(end <= 1u << space_bits);
}
