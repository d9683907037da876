// SPDX-License-Identifier: BSD-2-Clause
// Numbers of the API that assembly needs: thread.cc compares them with the generated headers.
#pragma once

#define SYSCALL_CALL 1
#define SYSCALL_SEND 3
#define SYSCALL_RECV 5
#define SYSCALL_WAIT 7
#define SYSCALL_YIELD 11
#define LABEL_TCB_SUSPEND 12
