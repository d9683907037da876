// SPDX-License-Identifier: BSD-2-Clause
// Cache maintenance and clearing by range (Arm ARM D7.5). Line sizes are the smallest of any cache, as CTR_EL0 gives them.
#include "arch/seam.hpp"

namespace caprock::arch {
namespace {
// What a line is in all caches of the processors that there are. On others clearing takes longer.
constexpr Word usual_line = 64;

bool has_usual_blocks(Word dczid) { return dczid == 4; }   // DC ZVA is permitted and clears 2^4 words
bool has_usual_lines(Word ctr) { return CTR_EL0::data_line(ctr) == usual_line; }

void zero_by_stores(Word start, Word end) {
    while (start < end)
        asm volatile("stp xzr, xzr, [%0], #16" : "+r"(start) : : "memory");
}
}  // namespace

// dc zva never touches device memory here: the range is in the direct map, which is Normal. Eight lines a turn.
void clear_memory(KernAddr start, Word bytes) {
    Word address = start.raw;
    const Word end = address + bytes;
    if (!has_usual_blocks(DCZID_EL0::read()) || !is_aligned(address | bytes, usual_line)) return zero_by_stores(address, end);
    for (Word last = end - 8 * usual_line; address <= last;)
        asm volatile(".rept 8\n\tdc zva, %0\n\tadd %0, %0, %1\n\t.endr" : "+r"(address) : "i"(usual_line) : "memory");
    while (address < end)
        asm volatile("dc zva, %0\n\tadd %0, %0, %1" : "+r"(address) : "i"(usual_line) : "memory");
}

void clear_and_clean(KernAddr start, Word bytes) {
    Word address = start.raw;
    const Word end = address + bytes;
    if (!has_usual_blocks(DCZID_EL0::read()) || !has_usual_lines(CTR_EL0::read())) {
        zero_by_stores(address, end);
        return clean_data(start, bytes);
    }
    for (Word last = end - 8 * usual_line; address <= last;)
        asm volatile(".rept 8\n\tdc zva, %0\n\tdc cvac, %0\n\tadd %0, %0, %1\n\t.endr" : "+r"(address) : "i"(usual_line) : "memory");
    while (address < end)
        asm volatile("dc zva, %0\n\tdc cvac, %0\n\tadd %0, %0, %1" : "+r"(address) : "i"(usual_line) : "memory");
    dsb_sy();
}

void clean_data(KernAddr start, Word bytes) {
    const Word line = CTR_EL0::data_line(CTR_EL0::read());
    for (Word address = align_down(start.raw, line); address < start.raw + bytes; address += line)
        asm volatile("dc cvac, %0" : : "r"(address) : "memory");
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
