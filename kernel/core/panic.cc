// SPDX-License-Identifier: BSD-2-Clause
#include "core/panic.hpp"

namespace caprock {
namespace {
void print(const char* text) {
    while (*text != 0) arch::console_put(*text++);
}
}  // namespace

void panic(const char* reason) {
    print("\ncaprock: halt: kernel: ");
    print(reason);
    print("\n");
    arch::halt();
}
}  // namespace caprock
