// SPDX-License-Identifier: BSD-2-Clause
// ELF executables as the shim loads them: a checked view of the loadable segments of a 64-bit little-endian AArch64 image in memory.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "problem.hpp"

namespace caprock::shim {

inline constexpr uint32_t elf_execute = 1;
inline constexpr uint32_t elf_write = 2;
inline constexpr uint32_t elf_read = 4;

// An ELF program header, as in the file.
struct ElfSegment {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t vaddr;
    uint64_t paddr;
    uint64_t file_size;
    uint64_t memory_size;
    uint64_t alignment;
};
static_assert(sizeof(ElfSegment) == 56);

// The loadable segments of an executable, ascending by address.
struct Elf {
    static constexpr unsigned max_segments = 8;

    const uint8_t* image = nullptr;
    uint64_t entry = 0;
    ElfSegment segments[max_segments]{};
    unsigned segment_count = 0;
    bool has_api_hash = false;  // a note of owner "Caprock", type 1, gives the hash of the API description that it was built with
    uint64_t api_hash = 0;
};

// Texts of the problems of one kind of executable, so that a message says whose ELF is bad.
struct ElfTexts {
    const char* damaged;   // not an ELF, cut off, or headers that point outside
    const char* foreign;   // an ELF for another machine, or not an executable
    const char* segments;  // no loadable segment, too many, unordered or overlapping
    const char* remedy;
};

// Reads and checks the executable of `size` bytes at `image`, which is aligned to 8. Empty segments are left out. A segment's addresses do
// not wrap around, and its file bytes lie within the image.
Problem read_elf(const uint8_t* image, uint64_t size, const ElfTexts& texts, Elf& elf);

// What the root task's segments come to in memory: checks that they can be mapped page by page (no page shared by two of them, none both
// writable and executable, all below abi::user_top, the entry in an executable one) and returns the bytes of all their pages.
Problem check_root(const Elf& elf, uint64_t& bytes);

// The size of the kernel's image from its lowest physical address, and its entry as an offset in it: checks that p_paddr are page-aligned
// offsets and that the entry lies in an executable segment.
Problem check_kernel(const Elf& elf, uint64_t& bytes, uint64_t& entry_offset);

}  // namespace caprock::shim
