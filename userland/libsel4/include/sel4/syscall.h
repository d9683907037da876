// SPDX-License-Identifier: BSD-2-Clause
// System-call numbers under the names of the seL4 API. They are Caprock's, as is what each register holds: assembly code has to be written for it.
#pragma once

#include <sel4/caprock_stubs.h>

#define seL4_SysCall CAPROCK_SYSCALL_CALL
#define seL4_SysReplyRecv CAPROCK_SYSCALL_REPLY_RECV
#define seL4_SysSend CAPROCK_SYSCALL_SEND
#define seL4_SysNBSend CAPROCK_SYSCALL_NB_SEND
#define seL4_SysRecv CAPROCK_SYSCALL_RECV
#define seL4_SysNBRecv CAPROCK_SYSCALL_NB_RECV
#define seL4_SysWait CAPROCK_SYSCALL_WAIT
#define seL4_SysNBWait CAPROCK_SYSCALL_NB_WAIT
#define seL4_SysNBSendRecv CAPROCK_SYSCALL_NB_SEND_RECV
#define seL4_SysNBSendWait CAPROCK_SYSCALL_NB_SEND_WAIT
#define seL4_SysYield CAPROCK_SYSCALL_YIELD
#define seL4_SysDebugPutChar CAPROCK_SYSCALL_DEBUG_PUT_CHAR
#define seL4_SysDebugHalt CAPROCK_SYSCALL_DEBUG_HALT
#define seL4_SysDebugCapIdentify CAPROCK_SYSCALL_DEBUG_CAP_IDENTIFY
