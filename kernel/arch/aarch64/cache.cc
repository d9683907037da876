// SPDX-License-Identifier: BSD-2-Clause
// Cache maintenance and clearing by range (Arm ARM D7.5). Line sizes are the smallest of any cache, as CTR_EL0 gives them.
#include "arch/seam.hpp"

namespace caprock::arch {
namespace {

void zero_by_stores(Word start, Word end) {
    while (start < end)
        asm volatile("stp xzr, xzr, [%0], #16" : "+r"(start) : : "memory");
}

// Does something with each line of a range, four a turn.
template <class Operation>
[[gnu::always_inline]] inline void each_line(Word start, Word end, Word line, Operation operation) {
    Word address = align_down(start, line);
    for (; address + 3 * line < end; address += line) {
        operation(address);
        operation(address += line);
        operation(address += line);
        operation(address += line);
    }
    for (; address < end; address += line)
        operation(address);
}

}  // namespace

// dc zva never touches device memory here: the range is in the direct map, which is Normal.
void clear_memory(KernAddr start, Word bytes) {
    const Word dczid = DCZID_EL0::read();
    const Word block = DCZID_EL0::block(dczid);
    const Word end = start.raw + bytes;
    if ((dczid & DCZID_EL0::DZP) != 0 || !is_aligned(start.raw | bytes, block)) {
        zero_by_stores(start.raw, end);
        return;
    }
    each_line(start.raw, end, block, [](Word address) { asm volatile("dc zva, %0" : : "r"(address) : "memory"); });
}

// Mostly what is cleared at once is a line.
void clear_and_clean(KernAddr start, Word bytes) {
    const Word dczid = DCZID_EL0::read();
    const Word line = CTR_EL0::data_line(CTR_EL0::read());
    if ((dczid & DCZID_EL0::DZP) != 0 || DCZID_EL0::block(dczid) != line || !is_aligned(start.raw | bytes, line)) {
        clear_memory(start, bytes);
        return clean_data(start, bytes);
    }
    each_line(start.raw, start.raw + bytes, line, [](Word address) { asm volatile("dc zva, %0\n\tdc cvac, %0" : : "r"(address) : "memory"); });
    dsb_sy();
}

void clean_data(KernAddr start, Word bytes) {
    const Word line = CTR_EL0::data_line(CTR_EL0::read());
    each_line(start.raw, start.raw + bytes, line, [](Word address) { asm volatile("dc cvac, %0" : : "r"(address) : "memory"); });
    dsb_sy();  // the observers are devices, outside the inner-shareable domain
}

void clean_invalidate_data(KernAddr start, Word bytes) {
    const Word line = CTR_EL0::data_line(CTR_EL0::read());
    for (Word address = align_down(start.raw, line); address < start.raw + bytes; address += line)
        asm volatile("dc civac, %0" : : "r"(address) : "memory");
    dsb_sy();
}

void unify_instruction(KernAddr start, Word bytes) {
    const Word ctr = CTR_EL0::read();
    const Word end = start.raw + bytes;
    const Word data_line = CTR_EL0::data_line(ctr);
    for (Word address = align_down(start.raw, data_line); address < end; address += data_line)
        asm volatile("dc cvau, %0" : : "r"(address) : "memory");
    dsb_ish();  // the data must be there before an instruction fetch can miss
    if (!CTR_EL0::physically_indexed(ctr)) {
        asm volatile("ic ialluis" : : : "memory");  // user level's alias may have another index than the direct map's address
    } else {
        const Word line = CTR_EL0::instruction_line(ctr);
        for (Word address = align_down(start.raw, line); address < end; address += line)
            asm volatile("ic ivau, %0" : : "r"(address) : "memory");
    }
    dsb_ish();
    isb();
}

}  // namespace caprock::arch
