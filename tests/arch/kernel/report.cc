// SPDX-License-Identifier: BSD-2-Clause
#include "report.hpp"

#include "arch/aarch64/console.hpp"

namespace caprock::arch_test {
namespace {

using arch::print;

Word checks = 0;
Word failures = 0;

}  // namespace

void check(const char* name, bool passed, Word value) {
    checks++;
    if (!passed) failures++;
    print(passed ? "ok " : "not ok ");
    arch::print_decimal(checks);
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
    arch::print_decimal(checks);
    print(failures == 0 ? "\ncaprock: exit 0\n" : "\ncaprock: exit 1\n");
    arch::halt();
}

}  // namespace caprock::arch_test
