// SPDX-License-Identifier: BSD-2-Clause
// Methods of CNodes and untypeds.
#include "testing.h"

TEST(seL4_Untyped_Retype)
{
    seL4_CPtr untyped = make(seL4_UntypedObject, 12), slot = new_slot();
    SUCCEEDS(seL4_Untyped_Retype(untyped, seL4_EndpointObject, 0, cnode, 0, 0, slot, 1));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_ENDPOINT, kind_of(slot));
    FAILS(seL4_InvalidArgument, seL4_Untyped_Retype(untyped, 99, 0, cnode, 0, 0, new_slot(), 1));
    FAILS(seL4_DeleteFirst, seL4_Untyped_Retype(untyped, seL4_EndpointObject, 0, cnode, 0, 0, slot, 1));
    FAILS_WITH(seL4_NotEnoughMemory, 0, 4096 - 16, seL4_Untyped_Retype(untyped, seL4_ARM_SmallPageObject, 0, cnode, 0, 0, new_slot(), 1));
    FAILS_WITH(seL4_RangeError, 1, seL4_UntypedRetypeMaxObjects, seL4_Untyped_Retype(untyped, seL4_EndpointObject, 0, cnode, 0, 0, new_slot(), 257));
    FAILS(seL4_IllegalOperation, seL4_Untyped_Retype(cnode, seL4_EndpointObject, 0, cnode, 0, 0, new_slot(), 1));
}

TEST(retype_into_a_cnode_below)
{
    seL4_CPtr untyped = make(seL4_UntypedObject, 12), inner = make(seL4_CapTableObject, 4);
    SUCCEEDS(seL4_Untyped_Retype(untyped, seL4_NotificationObject, 0, cnode, inner, depth, 3, 2));
    seL4_CPtr out = new_slot();
    FAILS(seL4_FailedLookup, seL4_CNode_Move(cnode, out, depth, inner, 5, 4));
    SUCCEEDS(seL4_CNode_Move(cnode, out, depth, inner, 4, 4));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NOTIFICATION, kind_of(out));
}

TEST(seL4_CNode_Revoke)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), child = mint(endpoint, 5);
    SUCCEEDS(seL4_CNode_Revoke(cnode, endpoint, depth));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NULL, kind_of(child));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_ENDPOINT, kind_of(endpoint));
    FAILS_WITH(seL4_RangeError, 1, 64, seL4_CNode_Revoke(cnode, endpoint, 65));
}

TEST(seL4_CNode_Delete)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0);
    SUCCEEDS(seL4_CNode_Delete(cnode, endpoint, depth));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NULL, kind_of(endpoint));
    FAILS_WITH(seL4_FailedLookup, 1, seL4_GuardMismatch, seL4_CNode_Delete(cnode, nowhere, depth));
    CHECK_EQUAL(64, seL4_GetMR(2));
    CHECK_EQUAL(0, seL4_GetMR(3));
    CHECK_EQUAL(64 - boot->initThreadCNodeSizeBits, seL4_GetMR(4));
    FAILS(seL4_IllegalOperation, seL4_CNode_Delete(self, endpoint, depth));
}

static void send_and_note(void *argument)
{
    seL4_Word *badge_and_result = argument;
    seL4_Send(badge_and_result[0], seL4_MessageInfo_new(9, 0, 0, 0));
    badge_and_result[1] = 1;
}

TEST(seL4_CNode_CancelBadgedSends)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), badged = mint(endpoint, 5), weak = new_slot();
    seL4_Word state[2] = {badged, 0}, badge = 0;
    start(send_and_note, state, main_priority + 1);
    // The cancelled sender sends again when it runs: it waits once more.
    SUCCEEDS(seL4_CNode_CancelBadgedSends(cnode, badged, depth));
    CHECK_EQUAL(0, state[1]);
    seL4_Wait(endpoint, &badge);
    CHECK_EQUAL(5, badge);
    SUCCEEDS(seL4_CNode_Copy(cnode, weak, depth, cnode, badged, depth, seL4_CanWrite));
    FAILS(seL4_IllegalOperation, seL4_CNode_CancelBadgedSends(cnode, weak, depth));
}

TEST(seL4_CNode_Copy)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), copy = new_slot();
    SUCCEEDS(seL4_CNode_Copy(cnode, copy, depth, cnode, endpoint, depth, seL4_CanRead));
    FAILS(seL4_DeleteFirst, seL4_CNode_Copy(cnode, copy, depth, cnode, endpoint, depth, seL4_AllRights));
    FAILS_WITH(seL4_FailedLookup, 1, seL4_MissingCapability, seL4_CNode_Copy(cnode, new_slot(), depth, cnode, new_slot(), depth, seL4_AllRights));
    // The copy may not send.
    seL4_Word word = 7;
    CHECK_EQUAL(seL4_InvalidCapability, seL4_MessageInfo_get_label(seL4_CallWithMRs(copy, seL4_MessageInfo_new(0, 0, 0, 1), &word, 0, 0, 0)));
}

TEST(seL4_CNode_Mint)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0), badged = new_slot();
    seL4_Word badge = 0;
    SUCCEEDS(seL4_CNode_Mint(cnode, badged, depth, cnode, notification, depth, seL4_AllRights, 0x55));
    seL4_Signal(badged);
    seL4_Wait(notification, &badge);
    CHECK_EQUAL(0x55, badge);
    FAILS(seL4_IllegalOperation, seL4_CNode_Mint(cnode, new_slot(), depth, cnode, badged, depth, seL4_AllRights, 1));
}

TEST(seL4_CNode_Move)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), target = new_slot();
    SUCCEEDS(seL4_CNode_Move(cnode, target, depth, cnode, endpoint, depth));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NULL, kind_of(endpoint));
    FAILS_WITH(seL4_FailedLookup, 0, 1, seL4_CNode_Move(cnode, new_slot(), depth, cnode, endpoint, depth));
}

TEST(seL4_CNode_Mutate)
{
    seL4_CPtr inner = make(seL4_CapTableObject, 4), target = new_slot();
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0);
    SUCCEEDS(seL4_CNode_Mutate(cnode, target, depth, cnode, inner, depth, seL4_CNode_CapData_new(0, 60).words[0]));
    // With the guard that it has now, slot 1 of the inner CNode is at the full depth.
    SUCCEEDS(seL4_CNode_Move(target, 1, depth, cnode, endpoint, depth));
    FAILS(seL4_IllegalOperation, seL4_CNode_Mutate(cnode, new_slot(), depth, target, 1, depth, 3));
}

TEST(seL4_CNode_Rotate)
{
    seL4_CPtr first = make(seL4_CapTableObject, 4), second = make(seL4_CapTableObject, 5), empty = new_slot();
    SUCCEEDS(seL4_CNode_Rotate(cnode, empty, depth, 0, cnode, first, depth, 0, cnode, second, depth));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_CNODE, kind_of(empty));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_CNODE, kind_of(first));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NULL, kind_of(second));
    // The one that was the pivot has 16 slots.
    FAILS(seL4_RangeError, seL4_Untyped_Retype(make(seL4_UntypedObject, 12), seL4_EndpointObject, 0, empty, 0, 0, 16, 1));
    FAILS(seL4_IllegalOperation, seL4_CNode_Rotate(cnode, second, depth, 0, cnode, first, depth, 0, cnode, first, depth));
}
