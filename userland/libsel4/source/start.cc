// SPDX-License-Identifier: BSD-2-Clause
// From the entry to main: thread-local storage as the program's own ELF headers say, boot information and IPC buffer, constructors; then the exit.
#include <caprock/root.h>
#include <sel4/bootinfo.h>

extern "C" {
// By another name, as C++ programs may not call main.
int caprock_root_main(int, char**) __asm__("main");
extern void (*__init_array_start[])();
extern void (*__init_array_end[])();
// The ELF header, where the linker has put it into the image.
extern const char __ehdr_start[] __attribute__((weak, visibility("hidden")));
}

namespace {

struct ElfHeader {
    seL4_Uint8 ident[32];
    seL4_Uint64 segments_offset;
    seL4_Uint8 others[14];
    seL4_Uint16 segment_size;
    seL4_Uint16 segment_count;
};

struct ElfSegment {
    seL4_Uint32 type;
    seL4_Uint32 flags;
    seL4_Uint64 offset, vaddr, paddr, file_size, memory_size, alignment;
};

constexpr seL4_Uint32 segment_thread_local = 7;
// Words that the thread library has before the variables.
constexpr seL4_Word reserved_bytes = 16;
constexpr seL4_Word largest_block = 16384;
constexpr seL4_Word largest_alignment = 4096;

alignas(largest_alignment) seL4_Uint8 thread_block[largest_block];

const ElfSegment* thread_local_segment() {
    if (__ehdr_start == nullptr) return nullptr;
    const auto& header = *reinterpret_cast<const ElfHeader*>(__ehdr_start);
    const auto* segments = reinterpret_cast<const ElfSegment*>(__ehdr_start + header.segments_offset);
    for (unsigned i = 0; i < header.segment_count; ++i)
        if (segments[i].type == segment_thread_local) return &segments[i];
    return nullptr;
}

// The thread pointer stands before the reserved words; the variables follow these at their alignment.
void set_up_thread_locals() {
    if (const ElfSegment* segment = thread_local_segment()) {
        const seL4_Word alignment = segment->alignment < reserved_bytes ? reserved_bytes : segment->alignment;
        const seL4_Word start = (reserved_bytes + alignment - 1) & ~(alignment - 1);
        if (alignment > largest_alignment || start + segment->memory_size > largest_block) __builtin_trap();
        const auto* image = reinterpret_cast<const volatile seL4_Uint8*>(segment->vaddr);
        for (seL4_Word i = 0; i < segment->file_size; ++i) thread_block[start + i] = image[i];
    }
    __asm__ volatile("msr tpidr_el0, %0" : : "r"(thread_block) : "memory");
}

}  // namespace

// Thread-local variables are read only in functions that are called after the thread pointer is set.
extern "C" [[noreturn]] void caprock_root_start(seL4_BootInfo* bi) {
    set_up_thread_locals();
    seL4_InitBootInfo(bi);
    for (auto constructor = __init_array_start; constructor != __init_array_end; ++constructor) (*constructor)();
    static char name[] = "root";
    char* arguments[] = {name, nullptr};
    caprock_root_exit(caprock_root_main(1, arguments));
}
