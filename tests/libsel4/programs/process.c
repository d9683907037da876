// SPDX-License-Identifier: BSD-2-Clause
// Loads ELF files of a cpio archive into new address spaces.
#include "process.h"

// ELF-64, as far as a loader needs it.
typedef struct {
    seL4_Uint8 ident[24];
    seL4_Uint64 entry, segments_offset;
    seL4_Uint8 others[14];
    seL4_Uint16 segment_size, segment_count;
} ElfHeader;

typedef struct {
    seL4_Uint32 type, flags;
    seL4_Uint64 offset, vaddr, paddr, file_size, memory_size, alignment;
} ElfSegment;

enum { load = 1, writable = 2, header_bytes = 110 };

static seL4_Word hexadecimal(const char *digits)
{
    seL4_Word value = 0;
    for (int i = 0; i < 8; ++i)
        value = value << 4 | (seL4_Word)(digits[i] <= '9' ? digits[i] - '0' : (digits[i] | 32) - 'a' + 10);
    return value;
}

static int same(const char *a, const char *b)
{
    for (; *a && *a == *b; ++a, ++b) {
    }
    return *a == *b;
}

const char *find_file(const char *archive, const char *name, seL4_Word *size)
{
    for (;;) {
        *size = hexadecimal(archive + 54);
        const char *entry = archive + header_bytes;
        const char *content = archive + ((header_bytes + hexadecimal(archive + 94) + 3) & ~3ul);
        if (same(entry, name))
            return content;
        if (same(entry, "TRAILER!!!"))
            return 0;
        archive = content + ((*size + 3) & ~3ul);
    }
}

// Maps a new frame into the space, with `bytes` of a file in it from `offset` on.
static void add_page(seL4_CPtr space, seL4_Word vaddr, const char *content, seL4_Word offset, seL4_Word bytes, seL4_CapRights_t rights)
{
    seL4_CPtr frame = make(seL4_ARM_SmallPageObject, 0), copy = new_slot();
    seL4_Word window = new_address();
    seL4_CNode_Copy(cnode, copy, depth, cnode, frame, depth, seL4_AllRights);
    map(copy, vspace, window);
    for (seL4_Word i = 0; i < bytes; ++i)
        ((char *)window)[offset + i] = content[i];
    seL4_ARM_Page_Unify_Instruction(copy, 0, page_bytes);
    seL4_CNode_Delete(cnode, copy, depth);
    map(frame, space, vaddr);
    seL4_Error error = seL4_ARM_Page_Map(frame, space, vaddr, rights, seL4_ARM_Default_VMAttributes);
    if (error != seL4_NoError)
        fail(__FILE__, __LINE__, "add_page", seL4_NoError, error);
}

static void load_segment(seL4_CPtr space, const char *file, const ElfSegment *segment)
{
    seL4_Word end = segment->vaddr + segment->memory_size, file_end = segment->vaddr + segment->file_size;
    for (seL4_Word page = segment->vaddr & ~(page_bytes - 1ul); page < end; page += page_bytes) {
        seL4_Word from = page < segment->vaddr ? segment->vaddr : page;
        seL4_Word to = page + page_bytes < file_end ? page + page_bytes : file_end;
        add_page(space, page, file + segment->offset + (from - segment->vaddr), from - page, from < to ? to - from : 0,
                 segment->flags & writable ? seL4_ReadWrite : seL4_CanRead);
    }
}

static seL4_Word load_elf(seL4_CPtr space, const char *file)
{
    const ElfHeader *header = (const ElfHeader *)file;
    const ElfSegment *segments = (const ElfSegment *)(file + header->segments_offset);
    for (int i = 0; i < header->segment_count; ++i)
        if (segments[i].type == load)
            load_segment(space, file, &segments[i]);
    return header->entry;
}

static void give(Process *process, seL4_Word slot, seL4_CPtr source, seL4_Word badge)
{
    seL4_Error error = seL4_CNode_Mint(process->cspace, slot, depth, cnode, source, depth, seL4_AllRights, badge);
    if (error != seL4_NoError)
        fail(__FILE__, __LINE__, "give", seL4_NoError, error);
}

Process new_process(const char *name, seL4_CPtr endpoint, seL4_Word badge, seL4_Word what, seL4_Word priority)
{
    Process process = {make(seL4_TCBObject, 0), make(seL4_SchedContextObject, 8), new_slot(), make(seL4_ARM_VSpaceObject, 0), mint(endpoint, badge)};
    seL4_Word guard = seL4_CNode_CapData_new(0, 64 - child_cnode_bits).words[0], size;
    seL4_CNode_Mint(cnode, process.cspace, depth, cnode, make(seL4_CapTableObject, child_cnode_bits), depth, seL4_AllRights, guard);
    seL4_ARM_ASIDPool_Assign(seL4_CapInitThreadASIDPool, process.space);
    const char *file = find_file(_cpio_archive, name, &size);
    if (!file) {
        fail(__FILE__, __LINE__, "find_file", 1, 0);
        return process;
    }
    seL4_UserContext registers = {0};
    registers.pc = load_elf(process.space, file);
    registers.sp = child_stack;
    registers.x0 = what;
    add_page(process.space, child_stack - page_bytes, "", 0, 0, seL4_ReadWrite);
    seL4_CPtr buffer = make(seL4_ARM_SmallPageObject, 0);
    map(buffer, process.space, child_buffer);
    give(&process, child_tcb, process.tcb, 0);
    give(&process, child_cnode, process.cspace, guard);
    give(&process, child_vspace, process.space, 0);
    give(&process, child_endpoint, endpoint, badge);
    seL4_Error error = seL4_SchedControl_Configure(boot->schedcontrol.start, process.context, 1000, 1000, 0, badge);
    if (error == seL4_NoError)
        error = seL4_TCB_Configure(process.tcb, process.cspace, guard, process.space, 0, child_buffer, buffer);
    if (error == seL4_NoError)
        error = seL4_TCB_SetSchedParams(process.tcb, self, 0, priority, process.context, process.endpoint);
    if (error == seL4_NoError)
        error = seL4_TCB_WriteRegisters(process.tcb, 1, 0, sizeof(registers) / sizeof(seL4_Word), &registers);
    if (error != seL4_NoError)
        fail(__FILE__, __LINE__, "new_process", seL4_NoError, error);
    return process;
}
