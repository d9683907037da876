// SPDX-License-Identifier: BSD-2-Clause
// The fuzzer's look at registers: each rule that it says it checks finds what breaks it.
#include "audit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace caprock;
using namespace caprock::fuzz;

namespace {

// A thread that called a method: what it gave, and what it got.
struct Return {
    Registers before;
    Registers after;

    Return() {
        for (unsigned i = 0; i < 31; ++i) before.x[i] = 0x1000 + i;
        before.x[7] = static_cast<uint64_t>(abi::Syscall::Call);
        before.sp = 0x7000;
        before.tpidr = 0x8000;
        after = before;
        after.x[0] = 0;
        after.x[1] = abi::MessageInfo::make(2, 0, 0, 0).raw;
    }
    std::string found() const {
        Finding finding = check_return(before, after);
        return finding ? finding.rule : "";
    }
};

}  // namespace

TEST_CASE("a return with words, zeroes and the caller's own is right", "[audit]") {
    Return done;
    done.after.x[2] = 5;
    done.after.x[3] = 6;
    done.after.x[9] = 0;
    done.after.x[17] = 0;
    CHECK(done.found() == "");
}

TEST_CASE("a word beyond the message's length is a leak", "[audit]") {
    Return done;
    done.after.x[4] = 7;
    CHECK(done.found() == "a dead register changed to something else than zero");
}

TEST_CASE("each dead register is looked at", "[audit]") {
    for (unsigned i : {4u, 5u, 6u, 7u, 8u, 9u, 10u, 11u, 12u, 13u, 14u, 15u, 16u, 17u, 18u}) {
        Return done;
        done.after.x[i] = 0x77'0000;
        INFO(i);
        CHECK(check_return(done.before, done.after).place == i);
    }
}

TEST_CASE("words of the second bank are part of a long message", "[audit]") {
    Return done;
    done.after.x[1] = abi::MessageInfo::make(12, 0, 0, 3).raw;
    for (unsigned i : {2u, 3u, 4u, 5u, 9u, 10u, 11u, 12u, 13u, 14u, 15u, 16u}) done.after.x[i] = 0x99 + i;
    CHECK(done.found() == "");
    done.after.x[8] = 1;
    CHECK(done.found() != "");
}

TEST_CASE("preserved registers, the stack pointer and the thread pointer stay", "[audit]") {
    for (unsigned i = 19; i < 31; ++i) {
        Return done;
        done.after.x[i] = 0;
        CHECK(done.found() == "a preserved register changed");
    }
    Return stack;
    stack.after.sp = 0;
    CHECK(stack.found() == "SP changed");
    Return pointer;
    pointer.after.tpidr = 0;
    CHECK(pointer.found() == "TPIDR_EL0 changed");
}

TEST_CASE("a system call of two phases leaves the number of the second", "[audit]") {
    Return done;
    done.before.x[7] = static_cast<uint64_t>(abi::Syscall::ReplyRecv) | abi::syscall_flag_require_donation;
    done.after.x[7] = static_cast<uint64_t>(abi::Syscall::Recv) | abi::syscall_flag_require_donation;
    CHECK(done.found() == "");
    done.after.x[7] = static_cast<uint64_t>(abi::Syscall::Recv);
    CHECK(done.found() != "");
}

TEST_CASE("a method on a range keeps its progress in its start", "[audit]") {
    Return done;
    done.before.x[1] = abi::MessageInfo::make(2, 0, 0, static_cast<uint64_t>(abi::Method::FrameCleanData)).raw;
    done.before.x[2] = 0x1000;
    done.before.x[3] = 0x3000;
    done.after = done.before;
    done.after.x[1] = 0;
    done.after.x[2] = 0x2000;
    CHECK(done.found() == "");
    done.after.x[2] = 0x4000;
    CHECK(done.found() != "");
    done.after.x[2] = 0x800;
    CHECK(done.found() != "");
}

TEST_CASE("a retype keeps its progress in first slot and count", "[audit]") {
    Return done;
    done.before.x[1] = abi::MessageInfo::make(6, 1, 0, static_cast<uint64_t>(abi::Method::UntypedRetype)).raw;
    done.before.x[9] = 40;
    done.before.x[10] = 3;
    done.after = done.before;
    done.after.x[1] = 0;
    done.after.x[9] = 42;
    done.after.x[10] = 1;
    CHECK(done.found() == "");
    done.after.x[9] = 44;
    CHECK(done.found() != "");
    done.after.x[9] = 39;
    CHECK(done.found() != "");
    done.after.x[9] = 40;
    done.after.x[10] = 4;
    CHECK(done.found() != "");
}

TEST_CASE("a length that no message has is found", "[audit]") {
    Return done;
    done.after.x[1] = abi::MessageInfo::make(121, 0, 0, 0).raw;
    CHECK(done.found() == "the message info tells a length that no message has");
}

TEST_CASE("an address of the kernel is found wherever it is", "[audit]") {
    Choices choices(1);
    Generator generator(choices);
    generator.forbid({0x5000'0000, 0x5000'1000});
    Registers registers;
    CHECK_FALSE(find_kernel_address(generator, registers));
    for (unsigned i = 0; i < 31; ++i) {
        Registers leaking;
        leaking.x[i] = 0xffff'8000'4000'0000;
        CHECK(find_kernel_address(generator, leaking).place == i);
    }
    registers.sp = 0xffff'ffff'8000'0000;
    CHECK(find_kernel_address(generator, registers));
    registers = {};
    registers.pc = 0x5000'0fff;
    CHECK(find_kernel_address(generator, registers));
    registers = {};
    registers.tpidr = 0x5000'0000;
    CHECK(find_kernel_address(generator, registers));
    registers.tpidr = 0x5000'1000;
    CHECK_FALSE(find_kernel_address(generator, registers));

    abi::IPCBuffer buffer{};
    CHECK_FALSE(find_kernel_address(generator, buffer));
    buffer.msg[119] = 0xffff'8000'0000'0000;
    CHECK(find_kernel_address(generator, buffer).place == 119);
    buffer = {};
    buffer.caps_or_badges[2] = 0xffff'8000'0000'0000;
    CHECK(find_kernel_address(generator, buffer).place == 2);
}
