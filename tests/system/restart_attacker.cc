// SPDX-License-Identifier: BSD-2-Clause
// Makes the restarter itself fault, for test_restart.py: `grant victim` is its thread.

#include <caprock/self.hpp>

int main()
{
    constexpr uint64_t resume = 1;
    caprock::abi::UserContext context {};
    const caprock::Cap<caprock::TCB> victim {caprock::self().grant("victim")};
    return victim.write_registers(resume, 1, context).ok() ? 0 : 1;
}
