// SPDX-License-Identifier: BSD-2-Clause
// Faults, as their handlers receive them.
#pragma once

#include <sel4/functions.h>
#include <sel4/types.h>

LIBSEL4_INLINE_FUNC seL4_Bool seL4_isNullFault_tag(seL4_MessageInfo_t tag)
{
    return seL4_MessageInfo_get_label(tag) == seL4_Fault_NullFault;
}

LIBSEL4_INLINE_FUNC seL4_Bool seL4_isCapFault_tag(seL4_MessageInfo_t tag)
{
    return seL4_MessageInfo_get_label(tag) == seL4_Fault_CapFault;
}

LIBSEL4_INLINE_FUNC seL4_Bool seL4_isUnknownSyscall_tag(seL4_MessageInfo_t tag)
{
    return seL4_MessageInfo_get_label(tag) == seL4_Fault_UnknownSyscall;
}

LIBSEL4_INLINE_FUNC seL4_Bool seL4_isUserException_tag(seL4_MessageInfo_t tag)
{
    return seL4_MessageInfo_get_label(tag) == seL4_Fault_UserException;
}

LIBSEL4_INLINE_FUNC seL4_Bool seL4_isDebugException_tag(seL4_MessageInfo_t tag)
{
    return seL4_MessageInfo_get_label(tag) == seL4_Fault_DebugException;
}

LIBSEL4_INLINE_FUNC seL4_Bool seL4_isTimeoutFault_tag(seL4_MessageInfo_t tag)
{
    return seL4_MessageInfo_get_label(tag) == seL4_Fault_Timeout;
}

LIBSEL4_INLINE_FUNC seL4_Bool seL4_isVMFault_tag(seL4_MessageInfo_t tag)
{
    return seL4_MessageInfo_get_label(tag) == seL4_Fault_VMFault;
}

/// The fault whose message is in the IPC buffer; a null fault for another label.
LIBSEL4_INLINE_FUNC seL4_Fault_t seL4_getFault(seL4_MessageInfo_t tag)
{
    static const seL4_Uint8 lengths[] = {0,
                                         seL4_CapFault_Length,
                                         seL4_UnknownSyscall_Length,
                                         seL4_UserException_Length,
                                         seL4_DebugException_Length,
                                         seL4_Timeout_Length,
                                         seL4_VMFault_Length};
    seL4_Fault_t fault = seL4_Fault_NullFault_new();
    seL4_Word label = seL4_MessageInfo_get_label(tag);
    if (label >= sizeof(lengths))
        return fault;
    fault.words[0] = label;
    for (int i = 0; i < lengths[label]; ++i)
        fault.words[i + 1] = seL4_GetMR(i);
    return fault;
}

/// As seL4_getFault.
LIBSEL4_INLINE_FUNC seL4_Fault_t seL4_getArchFault(seL4_MessageInfo_t tag)
{
    return seL4_getFault(tag);
}

/// The reply to a timeout fault: with `resume` the thread goes on, with the first `length` of these registers (those of seL4_TimeoutReply_Msg). Its
/// words are in the IPC buffer then.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_TimeoutReply_new(seL4_Bool resume, seL4_UserContext regs, seL4_Word length)
{
    const seL4_Word *words = (const seL4_Word *)(const void *)&regs;
    for (seL4_Word i = 0; i < length && i < seL4_TimeoutReply_Length; ++i)
        seL4_SetMR((int)i, words[i]);
    return seL4_MessageInfo_new(!resume, 0, 0, length);
}
