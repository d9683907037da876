// SPDX-License-Identifier: BSD-2-Clause
// Cache maintenance by address (Arm DDI 0487, D7.5).
#include "cache.hpp"

namespace caprock::shim {

void clean_invalidate(abi::BootRange range) {
    uint64_t cache_type;
    asm volatile("mrs %0, ctr_el0" : "=r"(cache_type));
    const uint64_t line = uint64_t{4} << (cache_type >> 16 & 15);  // CTR_EL0.DminLine counts words
    uint64_t address = range.start & ~(line - 1);
    const auto clean_next = [&address, line] {
        asm volatile("dc civac, %0" ::"r"(address) : "memory");
        address += line;
    };
    while (address + 3 * line < range.end) clean_next(), clean_next(), clean_next(), clean_next();
    while (address < range.end) clean_next();
    asm volatile("dsb sy" ::: "memory");
}

void invalidate_instructions() { asm volatile("dsb sy\n\tic iallu\n\tdsb sy\n\tisb" ::: "memory"); }

}  // namespace caprock::shim
