// SPDX-License-Identifier: BSD-2-Clause
// The boot contract: what the root task finds at its start.
#include "testing.h"

extern const char __ehdr_start[];

enum { page = 4096 };

TEST(seL4_GetBootInfo)
{
    seL4_BootInfo *found = seL4_GetBootInfo(), other = *boot;
    CHECK_EQUAL(0, (seL4_Word)found % page);
    seL4_InitBootInfo(&other);
    int remembered = seL4_GetBootInfo() == &other;
    seL4_InitBootInfo(found);
    CHECK(remembered);
    CHECK_EQUAL(0, boot->nodeID);
    CHECK_EQUAL(0, boot->initThreadDomain);
    CHECK(boot->untyped.end - boot->untyped.start <= CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS);
}

TEST(fixed_slots)
{
    static const seL4_Word kinds[] = {
        CAPROCK_CAP_TYPE_NULL, CAPROCK_CAP_TYPE_TCB, CAPROCK_CAP_TYPE_CNODE, CAPROCK_CAP_TYPE_VSPACE, CAPROCK_CAP_TYPE_IRQ_CONTROL,
        CAPROCK_CAP_TYPE_ASID_CONTROL, CAPROCK_CAP_TYPE_ASID_POOL, CAPROCK_CAP_TYPE_NULL, CAPROCK_CAP_TYPE_NULL, CAPROCK_CAP_TYPE_FRAME,
        CAPROCK_CAP_TYPE_FRAME, CAPROCK_CAP_TYPE_DOMAIN, CAPROCK_CAP_TYPE_NULL, CAPROCK_CAP_TYPE_NULL, CAPROCK_CAP_TYPE_SCHED_CONTEXT,
        CAPROCK_CAP_TYPE_NULL, CAPROCK_CAP_TYPE_INSPECT};
    for (seL4_CPtr slot = 0; slot < sizeof(kinds) / sizeof(kinds[0]); ++slot)
        CHECK_EQUAL(kinds[slot], kind_of(slot));
}

TEST(regions_hold_what_they_say)
{
    const struct {
        seL4_SlotRegion region;
        seL4_Word kind;
    } regions[] = {
        {boot->userImageFrames, CAPROCK_CAP_TYPE_FRAME}, {boot->userImagePaging, CAPROCK_CAP_TYPE_PAGE_TABLE},
        {boot->extraBIPages, CAPROCK_CAP_TYPE_FRAME},    {boot->schedcontrol, CAPROCK_CAP_TYPE_SCHED_CONTROL},
        {boot->untyped, CAPROCK_CAP_TYPE_UNTYPED},
    };
    for (unsigned i = 0; i < sizeof(regions) / sizeof(regions[0]); ++i) {
        CHECK(regions[i].region.start < regions[i].region.end);
        for (seL4_CPtr slot = regions[i].region.start; slot < regions[i].region.end; ++slot)
            CHECK_EQUAL(regions[i].kind, kind_of(slot));
    }
    CHECK_EQUAL(LIBSEL4_BIT(boot->initThreadCNodeSizeBits), boot->empty.end);
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NULL, kind_of(boot->empty.end / 2));
}

// Where the root task's own capability says that the frame is mapped.
static seL4_Word mapped_at(seL4_CPtr frame)
{
    caprock_cap_type_t kind;
    caprock_cap_rights_t rights;
    uint64_t address = 0, bits, guard, identity, parent;
    caprock_inspect_read_cnode(seL4_CapInspect, frame, cnode, &kind, &rights, &address, &bits, &guard, &identity, &parent, 0);
    return address;
}

TEST(image_frames_ascend_from_the_base)
{
    seL4_Word base = (seL4_Word)__ehdr_start;
    CHECK_EQUAL(0, base % page);
    for (seL4_CPtr slot = boot->userImageFrames.start; slot < boot->userImageFrames.end; ++slot)
        CHECK_EQUAL(base + (slot - boot->userImageFrames.start) * page, mapped_at(slot));
    CHECK_EQUAL((seL4_Word)boot->ipcBuffer, base + (boot->userImageFrames.end - boot->userImageFrames.start) * page);
    CHECK_EQUAL((seL4_Word)boot->ipcBuffer, mapped_at(seL4_CapInitThreadIPCBuffer));
    CHECK_EQUAL((seL4_Word)boot, mapped_at(seL4_CapBootInfoFrame));
    CHECK_EQUAL((seL4_Word)boot + page, mapped_at(boot->extraBIPages.start));
}

TEST(untypeds_are_aligned)
{
    seL4_Word memory = 0;
    for (seL4_Word i = 0; i < boot->untyped.end - boot->untyped.start; ++i) {
        const seL4_UntypedDesc *untyped = &boot->untypedList[i];
        CHECK_EQUAL(0, untyped->paddr & (LIBSEL4_BIT(untyped->sizeBits) - 1));
        CHECK(untyped->sizeBits >= seL4_MinUntypedBits && untyped->sizeBits <= seL4_MaxUntypedBits);
        if (!untyped->isDevice)
            memory += LIBSEL4_BIT(untyped->sizeBits);
    }
    note("MiB of memory", memory >> 20);
    CHECK(memory > 512ul << 20);
}

// The first chunk of the extra boot information with an id; null without one.
static const seL4_BootInfoHeader *find_chunk(seL4_Word id)
{
    for (seL4_Word offset = 0; offset < boot->extraLen;) {
        const seL4_BootInfoHeader *header = (const seL4_BootInfoHeader *)((seL4_Word)boot + seL4_BootInfoFrameSize + offset);
        if (header->id == id)
            return header;
        offset += header->len;
    }
    return 0;
}

TEST(device_tree)
{
    const seL4_BootInfoHeader *chunk = find_chunk(SEL4_BOOTINFO_HEADER_FDT);
    CHECK(chunk != 0);
    CHECK_EQUAL(__builtin_bswap32(0xd00dfeed), *(const seL4_Uint32 *)(chunk + 1));
    CHECK(chunk->len >= 256);
}

TEST(a_device_untyped_covers_the_console)
{
    const caprock_root_platform_t *platform = (const void *)(find_chunk(SEL4_BOOTINFO_HEADER_CAPROCK) + 1);
    int covered = 0;
    for (seL4_Word i = 0; i < boot->untyped.end - boot->untyped.start; ++i) {
        const seL4_UntypedDesc *untyped = &boot->untypedList[i];
        covered |= untyped->isDevice && untyped->sizeBits >= seL4_PageBits && platform->console_paddr - untyped->paddr < LIBSEL4_BIT(untyped->sizeBits);
    }
    CHECK(covered);
}

TEST(priority_and_maximum_are_the_highest)
{
    SUCCEEDS(seL4_TCB_SetPriority(self, self, seL4_MaxPrio));
    SUCCEEDS(seL4_TCB_SetPriority(self, self, main_priority));
    CHECK_EQUAL(255, seL4_MaxPrio);
    CHECK_EQUAL(0, seL4_MaxExtraRefills(seL4_MinSchedContextBits));
    CHECK_EQUAL(8, seL4_MaxExtraRefills(8));
}

TEST(archive)
{
    size_t size = 0;
    const char *text = caprock_root_archive(&size);
    CHECK(text != 0);
    CHECK_EQUAL(10000, size);
    for (size_t i = 0; i < size; ++i)
        CHECK_EQUAL((unsigned char)(i * 7), (unsigned char)text[i]);
}
