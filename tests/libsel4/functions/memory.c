// SPDX-License-Identifier: BSD-2-Clause
// Address spaces, page tables, frames, ASIDs.
#include "testing.h"

enum { page = 4096 };

TEST(seL4_ARM_PageTable_Map)
{
    seL4_CPtr table = make(seL4_ARM_PageTableObject, 0);
    seL4_Word address = 0x7000000000;
    SUCCEEDS(seL4_ARM_PageTable_Map(table, vspace, address, seL4_ARM_Default_VMAttributes));
    FAILS_WITH(seL4_InvalidCapability, 0, 0, seL4_ARM_PageTable_Map(table, vspace, address, seL4_ARM_Default_VMAttributes));
    FAILS(seL4_InvalidArgument,
          seL4_ARM_PageTable_Map(make(seL4_ARM_PageTableObject, 0), vspace, seL4_UserTop + 1ul, seL4_ARM_Default_VMAttributes));
}

TEST(seL4_ARM_PageTable_Unmap)
{
    seL4_CPtr table = make(seL4_ARM_PageTableObject, 0);
    SUCCEEDS(seL4_ARM_PageTable_Map(table, vspace, 0x7000000000, seL4_ARM_Default_VMAttributes));
    seL4_CPtr copy = new_slot();
    SUCCEEDS(seL4_CNode_Copy(cnode, copy, depth, cnode, table, depth, seL4_AllRights));
    FAILS(seL4_RevokeFirst, seL4_ARM_PageTable_Unmap(table));
    SUCCEEDS(seL4_CNode_Delete(cnode, copy, depth));
    SUCCEEDS(seL4_ARM_PageTable_Unmap(table));
}

TEST(seL4_MappingFailedLookupLevel)
{
    seL4_CPtr space = make(seL4_ARM_VSpaceObject, 0), frame = make(seL4_ARM_SmallPageObject, 0);
    const seL4_Word levels[] = {SEL4_MAPPING_LOOKUP_NO_PUD, SEL4_MAPPING_LOOKUP_NO_PD, SEL4_MAPPING_LOOKUP_NO_PT};
    SUCCEEDS(seL4_ARM_ASIDPool_Assign(seL4_CapInitThreadASIDPool, space));
    for (int i = 0; i < 3; ++i) {
        FAILS(seL4_FailedLookup, seL4_ARM_Page_Map(frame, space, 0x400000, seL4_ReadWrite, seL4_ARM_Default_VMAttributes));
        CHECK_EQUAL(levels[i], seL4_MappingFailedLookupLevel());
        SUCCEEDS(seL4_ARM_PageTable_Map(make(seL4_ARM_PageTableObject, 0), space, 0x400000, seL4_ARM_Default_VMAttributes));
    }
    SUCCEEDS(seL4_ARM_Page_Map(frame, space, 0x400000, seL4_ReadWrite, seL4_ARM_Default_VMAttributes));
}

TEST(seL4_ARM_Page_Map)
{
    seL4_CPtr frame;
    volatile seL4_Word *memory = new_page(&frame);
    memory[5] = 17;
    SUCCEEDS(seL4_ARM_Page_Map(frame, vspace, (seL4_Word)memory, seL4_CanRead, seL4_ARM_Default_VMAttributes));
    CHECK_EQUAL(17, memory[5]);
    seL4_CPtr other = make(seL4_ARM_SmallPageObject, 0);
    FAILS(seL4_AlignmentError, seL4_ARM_Page_Map(other, vspace, (seL4_Word)memory + 8, seL4_ReadWrite, seL4_ARM_Default_VMAttributes));
    FAILS(seL4_DeleteFirst, seL4_ARM_Page_Map(other, vspace, (seL4_Word)memory, seL4_ReadWrite, seL4_ARM_Default_VMAttributes));
}

TEST(large_pages)
{
    seL4_CPtr frame = make(seL4_ARM_LargePageObject, 0);
    volatile seL4_Word *memory = (seL4_Word *)new_address();
    SUCCEEDS(map(frame, vspace, (seL4_Word)memory));
    memory[LIBSEL4_BIT(seL4_LargePageBits) / sizeof(seL4_Word) - 1] = 3;
    CHECK_EQUAL(0, memory[0]);
}

TEST(seL4_ARM_Page_Unmap)
{
    seL4_CPtr frame;
    new_page(&frame);
    SUCCEEDS(seL4_ARM_Page_Unmap(frame));
    FAILS(seL4_IllegalOperation, seL4_ARM_Page_Unmap(cnode));
}

TEST(seL4_ARM_Page_GetAddress)
{
    seL4_CPtr untyped = make(seL4_UntypedObject, 13), first = new_slot();
    new_slot();
    SUCCEEDS(seL4_Untyped_Retype(untyped, seL4_ARM_SmallPageObject, 0, cnode, 0, 0, first, 2));
    seL4_ARM_Page_GetAddress_t low = seL4_ARM_Page_GetAddress(first);
    SUCCEEDS(low.error);
    CHECK_EQUAL(low.paddr + page, seL4_ARM_Page_GetAddress(first + 1).paddr);
    SUCCEEDS(seL4_ARM_Page_GetAddress(first + 1).error);
    FAILS(seL4_IllegalOperation, seL4_ARM_Page_GetAddress(cnode).error);
}

TEST(seL4_ARM_Page_Clean_Data)
{
    seL4_CPtr frame = make(seL4_ARM_SmallPageObject, 0);
    SUCCEEDS(seL4_ARM_Page_Clean_Data(frame, 0, page));
    FAILS_WITH(seL4_RangeError, 1, page, seL4_ARM_Page_Clean_Data(frame, 0, page + 1));
}

TEST(seL4_ARM_Page_Invalidate_Data)
{
    seL4_CPtr frame = make(seL4_ARM_SmallPageObject, 0);
    SUCCEEDS(seL4_ARM_Page_Invalidate_Data(frame, 0, page));
    FAILS(seL4_RangeError, seL4_ARM_Page_Invalidate_Data(frame, 8, 8));
}

TEST(seL4_ARM_Page_CleanInvalidate_Data)
{
    seL4_CPtr frame = make(seL4_ARM_SmallPageObject, 0);
    SUCCEEDS(seL4_ARM_Page_CleanInvalidate_Data(frame, 64, 128));
    FAILS(seL4_RangeError, seL4_ARM_Page_CleanInvalidate_Data(frame, 0, page + 1));
}

TEST(seL4_ARM_Page_Unify_Instruction)
{
    seL4_CPtr frame = make(seL4_ARM_SmallPageObject, 0);
    SUCCEEDS(seL4_ARM_Page_Unify_Instruction(frame, 0, page));
    FAILS(seL4_RangeError, seL4_ARM_Page_Unify_Instruction(frame, 16, 8));
}

TEST(seL4_ARM_VSpace_Clean_Data)
{
    seL4_Word start = (seL4_Word)new_page(0);
    SUCCEEDS(seL4_ARM_VSpace_Clean_Data(vspace, start, start + page));
    FAILS_WITH(seL4_InvalidArgument, 0, 1, seL4_ARM_VSpace_Clean_Data(vspace, start, start));
}

TEST(seL4_ARM_VSpace_Invalidate_Data)
{
    seL4_Word start = (seL4_Word)new_page(0);
    SUCCEEDS(seL4_ARM_VSpace_Invalidate_Data(vspace, start, start + page));
    FAILS(seL4_IllegalOperation, seL4_ARM_VSpace_Invalidate_Data(vspace, start, seL4_UserTop + 2ul));
}

TEST(seL4_ARM_VSpace_CleanInvalidate_Data)
{
    seL4_Word start = (seL4_Word)new_page(0);
    SUCCEEDS(seL4_ARM_VSpace_CleanInvalidate_Data(vspace, start, start + page));
    FAILS(seL4_InvalidCapability, seL4_ARM_VSpace_CleanInvalidate_Data(make(seL4_ARM_VSpaceObject, 0), start, start + page));
}

TEST(seL4_ARM_VSpace_Unify_Instruction)
{
    seL4_Word start = (seL4_Word)new_page(0);
    SUCCEEDS(seL4_ARM_VSpace_Unify_Instruction(vspace, start, start + page));
    FAILS(seL4_InvalidArgument, seL4_ARM_VSpace_Unify_Instruction(vspace, start, start));
}

TEST(seL4_ARM_ASIDControl_MakePool)
{
    seL4_CPtr untyped = make(seL4_UntypedObject, seL4_ASIDPoolBits), pool = new_slot();
    SUCCEEDS(seL4_ARM_ASIDControl_MakePool(seL4_CapASIDControl, untyped, cnode, pool, depth));
    SUCCEEDS(seL4_ARM_ASIDPool_Assign(pool, make(seL4_ARM_VSpaceObject, 0)));
    FAILS(seL4_RevokeFirst, seL4_ARM_ASIDControl_MakePool(seL4_CapASIDControl, untyped, cnode, new_slot(), depth));
    FAILS_WITH(seL4_InvalidCapability, 0, 1, seL4_ARM_ASIDControl_MakePool(seL4_CapASIDControl, cnode, cnode, new_slot(), depth));
}

TEST(seL4_ARM_ASIDPool_Assign)
{
    seL4_CPtr space = make(seL4_ARM_VSpaceObject, 0);
    SUCCEEDS(seL4_ARM_ASIDPool_Assign(seL4_CapInitThreadASIDPool, space));
    FAILS_WITH(seL4_InvalidCapability, 0, 1, seL4_ARM_ASIDPool_Assign(seL4_CapInitThreadASIDPool, space));
}
