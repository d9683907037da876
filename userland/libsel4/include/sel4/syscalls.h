// SPDX-License-Identifier: BSD-2-Clause
// The system calls.
#pragma once

#include <sel4/caprock_trap.h>
#include <sel4/functions.h>
#include <sel4/types.h>

/// Sends the message in the IPC buffer, waiting for a receiver.
LIBSEL4_INLINE_FUNC void seL4_Send(seL4_CPtr dest, seL4_MessageInfo_t msgInfo)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_load(dest, msgInfo);
    caprock_sel4_trap(seL4_SysSend, &exchange, 0, 0);
}

/// Sends the message if a receiver waits; else nothing happens.
LIBSEL4_INLINE_FUNC void seL4_NBSend(seL4_CPtr dest, seL4_MessageInfo_t msgInfo)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_load(dest, msgInfo);
    caprock_sel4_trap(seL4_SysNBSend, &exchange, 0, 0);
}

/// Sends the message and waits for the reply, which replaces it.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_Call(seL4_CPtr dest, seL4_MessageInfo_t msgInfo)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_load(dest, msgInfo);
    caprock_sel4_trap(seL4_SysCall, &exchange, 0, 0);
    return caprock_sel4_store(&exchange, 0);
}

/// Receives from src, with reply as the right to answer. The badge goes to sender unless that is null, here and below.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_Recv(seL4_CPtr src, seL4_Word *sender, seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysRecv, &exchange, reply, 0);
    return caprock_sel4_store(&exchange, sender);
}

/// seL4_Recv that does not wait: the badge is 0 when nothing was there.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBRecv(seL4_CPtr src, seL4_Word *sender, seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysNBRecv, &exchange, reply, 0);
    return caprock_sel4_store(&exchange, sender);
}

/// Answers through reply, then receives from src with it.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_ReplyRecv(seL4_CPtr src, seL4_MessageInfo_t msgInfo, seL4_Word *sender, seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_load(src, msgInfo);
    caprock_sel4_trap(seL4_SysReplyRecv, &exchange, reply, 0);
    return caprock_sel4_store(&exchange, sender);
}

/// seL4_NBSend to dest, then seL4_Recv from src.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBSendRecv(seL4_CPtr dest, seL4_MessageInfo_t msgInfo, seL4_CPtr src, seL4_Word *sender,
                                                       seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_load(src, msgInfo);
    caprock_sel4_trap(seL4_SysNBSendRecv, &exchange, reply, dest);
    return caprock_sel4_store(&exchange, sender);
}

/// seL4_NBSend to dest, then seL4_Wait on src.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBSendWait(seL4_CPtr dest, seL4_MessageInfo_t msgInfo, seL4_CPtr src, seL4_Word *sender)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_load(src, msgInfo);
    caprock_sel4_trap(seL4_SysNBSendWait, &exchange, 0, dest);
    return caprock_sel4_store(&exchange, sender);
}

/// Receives without a reply object: a notification, or an endpoint that only seL4_Send reaches.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_Wait(seL4_CPtr src, seL4_Word *sender)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysWait, &exchange, 0, 0);
    return caprock_sel4_store(&exchange, sender);
}

/// seL4_Wait that does not wait: the badge is 0 when nothing was there.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBWait(seL4_CPtr src, seL4_Word *sender)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysNBWait, &exchange, 0, 0);
    return caprock_sel4_store(&exchange, sender);
}

/// Looks at a notification without waiting.
LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_Poll(seL4_CPtr src, seL4_Word *sender)
{
    return seL4_NBWait(src, sender);
}

/// Signals a notification.
LIBSEL4_INLINE_FUNC void seL4_Signal(seL4_CPtr dest)
{
    caprock_signal(dest);
}

/// Gives up the rest of the current budget.
LIBSEL4_INLINE_FUNC void seL4_Yield(void)
{
    caprock_yield();
}

// The same with words 0 to 3 in variables, in and out; a null pointer leaves its word out. Words 4 and up are in the IPC buffer.

LIBSEL4_INLINE_FUNC void seL4_SendWithMRs(seL4_CPtr dest, seL4_MessageInfo_t msgInfo, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                                          seL4_Word *mr3)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_gather(dest, msgInfo, mr0, mr1, mr2, mr3);
    caprock_sel4_trap(seL4_SysSend, &exchange, 0, 0);
}

LIBSEL4_INLINE_FUNC void seL4_NBSendWithMRs(seL4_CPtr dest, seL4_MessageInfo_t msgInfo, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                                            seL4_Word *mr3)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_gather(dest, msgInfo, mr0, mr1, mr2, mr3);
    caprock_sel4_trap(seL4_SysNBSend, &exchange, 0, 0);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_CallWithMRs(seL4_CPtr dest, seL4_MessageInfo_t msgInfo, seL4_Word *mr0, seL4_Word *mr1,
                                                        seL4_Word *mr2, seL4_Word *mr3)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_gather(dest, msgInfo, mr0, mr1, mr2, mr3);
    caprock_sel4_trap(seL4_SysCall, &exchange, 0, 0);
    return caprock_sel4_scatter(&exchange, 0, mr0, mr1, mr2, mr3);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_RecvWithMRs(seL4_CPtr src, seL4_Word *sender, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                                                        seL4_Word *mr3, seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysRecv, &exchange, reply, 0);
    return caprock_sel4_scatter(&exchange, sender, mr0, mr1, mr2, mr3);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBRecvWithMRs(seL4_CPtr src, seL4_Word *sender, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                                                          seL4_Word *mr3, seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysNBRecv, &exchange, reply, 0);
    return caprock_sel4_scatter(&exchange, sender, mr0, mr1, mr2, mr3);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_ReplyRecvWithMRs(seL4_CPtr src, seL4_MessageInfo_t msgInfo, seL4_Word *sender, seL4_Word *mr0,
                                                             seL4_Word *mr1, seL4_Word *mr2, seL4_Word *mr3, seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_gather(src, msgInfo, mr0, mr1, mr2, mr3);
    caprock_sel4_trap(seL4_SysReplyRecv, &exchange, reply, 0);
    return caprock_sel4_scatter(&exchange, sender, mr0, mr1, mr2, mr3);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBSendRecvWithMRs(seL4_CPtr dest, seL4_MessageInfo_t msgInfo, seL4_CPtr src, seL4_Word *sender,
                                                              seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2, seL4_Word *mr3, seL4_CPtr reply)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_gather(src, msgInfo, mr0, mr1, mr2, mr3);
    caprock_sel4_trap(seL4_SysNBSendRecv, &exchange, reply, dest);
    return caprock_sel4_scatter(&exchange, sender, mr0, mr1, mr2, mr3);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBSendWaitWithMRs(seL4_CPtr dest, seL4_MessageInfo_t msgInfo, seL4_CPtr src, seL4_Word *sender,
                                                              seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2, seL4_Word *mr3)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_gather(src, msgInfo, mr0, mr1, mr2, mr3);
    caprock_sel4_trap(seL4_SysNBSendWait, &exchange, 0, dest);
    return caprock_sel4_scatter(&exchange, sender, mr0, mr1, mr2, mr3);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_WaitWithMRs(seL4_CPtr src, seL4_Word *sender, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                                                        seL4_Word *mr3)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysWait, &exchange, 0, 0);
    return caprock_sel4_scatter(&exchange, sender, mr0, mr1, mr2, mr3);
}

LIBSEL4_INLINE_FUNC seL4_MessageInfo_t seL4_NBWaitWithMRs(seL4_CPtr src, seL4_Word *sender, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                                                          seL4_Word *mr3)
{
    caprock_sel4_exchange_t exchange = caprock_sel4_empty(src);
    caprock_sel4_trap(seL4_SysNBWait, &exchange, 0, 0);
    return caprock_sel4_scatter(&exchange, sender, mr0, mr1, mr2, mr3);
}

#include <sel4/debug.h>
