// SPDX-License-Identifier: BSD-2-Clause
// Faults for ever, once it is told to: it reads an address at which nothing is mapped, and never will be.
#include "bench.hpp"

int main()
{
    bench::Registers registers {};
    bench::trap(registers, bench::abi::Syscall::Wait, bench::self().info().notification);
    __asm__ volatile("ldr xzr, [%0]" : : "r"(0x1f00'0000UL));
    return 1;
}
