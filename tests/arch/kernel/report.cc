// SPDX-License-Identifier: BSD-2-Clause
#include "report.hpp"

#include "arch/aarch64/console.hpp"

namespace caprock::arch_test {
namespace {

using arch::print;

Word checks = 0;
Word failures = 0;

void print_number(Word number) {
    if (number >= 10) print_number(number / 10);
    arch::console_put(static_cast<char>('0' + number % 10));
}

}  // namespace

void check(const char* name, bool passed, Word value) {
    checks++;
    if (!passed) failures++;
    print(passed ? "ok " : "not ok ");
    print_number(checks);
    print(" - ");
    print(name);
    print("\n");
    if (!passed) {
        print("# value ");
        arch::print_hex(value);
        print("\n");
    }
}

void finish() {
    print("1..");
    print_number(checks);
    print(failures == 0 ? "\ncaprock: exit 0\n" : "\ncaprock: exit 1\n");
    arch::halt();
}

}  // namespace caprock::arch_test
