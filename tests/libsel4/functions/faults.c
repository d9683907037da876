// SPDX-License-Identifier: BSD-2-Clause
// Faults as handlers receive and answer them, and the accessors of seL4_Fault_t and of the bit fields.
#include "testing.h"

enum { above = main_priority + 1 };

static seL4_CPtr handler, reply;

// Starts a thread whose faults come to `handler`.
static Thread start_faulting(void (*entry)(void *), void *argument)
{
    handler = make(seL4_EndpointObject, 0);
    reply = make(seL4_ReplyObject, 0);
    Thread thread = new_thread(entry, argument, above);
    seL4_TCB_SetSchedParams(thread.tcb, self, 0, above, thread.context, handler);
    seL4_TCB_Resume(thread.tcb);
    return thread;
}

static void read_address(void *argument)
{
    (void)*(volatile seL4_Word *)argument;
}

TEST(vm_fault)
{
    start_faulting(read_address, (void *)0x7123456000);
    seL4_MessageInfo_t info = seL4_Recv(handler, 0, reply);
    CHECK(seL4_isVMFault_tag(info) && !seL4_isCapFault_tag(info) && !seL4_isNullFault_tag(info));
    seL4_Fault_t fault = seL4_getFault(info);
    CHECK_EQUAL(seL4_Fault_VMFault, seL4_Fault_get_seL4_FaultType(fault));
    CHECK_EQUAL(seL4_Fault_VMFault, seL4_Fault_ptr_get_seL4_FaultType(&fault));
    CHECK(seL4_Fault_seL4_FaultType_equals(fault, seL4_Fault_VMFault));
    CHECK_EQUAL(0x7123456000, seL4_Fault_VMFault_get_Addr(fault));
    CHECK_EQUAL(seL4_DataFault, seL4_Fault_VMFault_get_PrefetchFault(fault));
    CHECK_EQUAL(seL4_GetMR(seL4_VMFault_FSR), seL4_Fault_VMFault_get_FSR(fault));
    CHECK_EQUAL(seL4_GetMR(seL4_VMFault_IP), seL4_Fault_VMFault_get_IP(seL4_getArchFault(info)));
    CHECK_EQUAL(seL4_VMFault_Length, seL4_MessageInfo_get_length(info));
}

static void undefined_instruction(void *argument)
{
    __asm__ volatile("udf #0");
    *(volatile seL4_Word *)argument = 1;
}

TEST(user_exception)
{
    volatile seL4_Word went_on = 0;
    start_faulting(undefined_instruction, (void *)&went_on);
    seL4_MessageInfo_t info = seL4_Recv(handler, 0, reply);
    CHECK(seL4_isUserException_tag(info));
    seL4_Fault_t fault = seL4_getFault(info);
    CHECK_EQUAL(0, seL4_Fault_UserException_get_Number(fault));
    CHECK(seL4_Fault_UserException_get_Stack(fault) != 0);
    // The reply sets the program counter.
    seL4_SetMR(seL4_UserException_FaultIP, seL4_Fault_UserException_get_FaultIP(fault) + 4);
    seL4_Send(reply, seL4_MessageInfo_new(0, 0, 0, 1));
    CHECK_EQUAL(1, went_on);
}

static void unknown_system_call(void *argument)
{
    register seL4_Word r0 __asm__("x0") = 11;
    register seL4_Word r7 __asm__("x7") = 77;
    __asm__ volatile("svc #0" : "+r"(r0) : "r"(r7) : "memory");
    *(volatile seL4_Word *)argument = r0;
}

TEST(unknown_syscall)
{
    volatile seL4_Word result = 0;
    start_faulting(unknown_system_call, (void *)&result);
    seL4_MessageInfo_t info = seL4_Recv(handler, 0, reply);
    CHECK(seL4_isUnknownSyscall_tag(info));
    seL4_Fault_t fault = seL4_getFault(info);
    CHECK_EQUAL(77, seL4_Fault_UnknownSyscall_get_Syscall(fault));
    CHECK_EQUAL(11, seL4_Fault_UnknownSyscall_get_X0(fault));
    CHECK_EQUAL(seL4_GetMR(seL4_UnknownSyscall_LR), seL4_Fault_UnknownSyscall_get_LR(fault));
    seL4_SetMR(seL4_UnknownSyscall_X0, 12);
    seL4_SetMR(seL4_UnknownSyscall_FaultIP, seL4_GetMR(seL4_UnknownSyscall_FaultIP) + 4);
    seL4_Send(reply, seL4_MessageInfo_new(0, 0, 0, seL4_UnknownSyscall_Length));
    CHECK_EQUAL(12, result);
}

static void send_nowhere(void *argument)
{
    seL4_Send((seL4_CPtr)argument, seL4_MessageInfo_new(0, 0, 0, 0));
}

TEST(cap_fault)
{
    start_faulting(send_nowhere, (void *)nowhere);
    seL4_MessageInfo_t info = seL4_Recv(handler, 0, reply);
    CHECK(seL4_isCapFault_tag(info));
    seL4_Fault_t fault = seL4_getFault(info);
    CHECK_EQUAL(nowhere, seL4_Fault_CapFault_get_Addr(fault));
    CHECK_EQUAL(0, seL4_Fault_CapFault_get_InRecvPhase(fault));
    CHECK_EQUAL(seL4_GuardMismatch, seL4_Fault_CapFault_get_LookupFailureType(fault));
    CHECK_EQUAL(64 - boot->initThreadCNodeSizeBits, seL4_GetMR(seL4_CapFault_GuardMismatch_BitsFound));
    CHECK_EQUAL(0, seL4_GetMR(seL4_CapFault_GuardMismatch_GuardFound));
}

static void run_into_breakpoint(void *argument)
{
    *(volatile seL4_Word *)argument = 1;
    __asm__ volatile("brk #1");
}

TEST(debug_exception)
{
    volatile seL4_Word reached = 0;
    start_faulting(run_into_breakpoint, (void *)&reached);
    seL4_MessageInfo_t info = seL4_Recv(handler, 0, reply);
    CHECK_EQUAL(1, reached);
    CHECK(seL4_isDebugException_tag(info));
    CHECK_EQUAL(seL4_SoftwareBreakRequest, seL4_Fault_DebugException_get_ExceptionReason(seL4_getFault(info)));
}

static void spin(void *argument)
{
    for (;;)
        ++*(volatile seL4_Word *)argument;
}

static void set_flag(void *argument)
{
    *(volatile seL4_Word *)argument = 0xf1a6;
    stop();
}

// Starts a thread that uses its budget up, and waits for its timeout fault.
static Thread run_out(volatile seL4_Word *count, seL4_MessageInfo_t *info)
{
    handler = make(seL4_EndpointObject, 0);
    reply = make(seL4_ReplyObject, 0);
    Thread thread = new_thread(spin, (void *)count, above);
    seL4_SchedControl_Configure(boot->schedcontrol.start, thread.context, 500, 5000, 0, 0x99);
    seL4_TCB_SetTimeoutEndpoint(thread.tcb, handler);
    seL4_TCB_Resume(thread.tcb);
    *info = seL4_Recv(handler, 0, reply);
    return thread;
}

TEST(timeout_fault)
{
    volatile seL4_Word count = 0;
    seL4_MessageInfo_t info;
    run_out(&count, &info);
    CHECK(seL4_isTimeoutFault_tag(info));
    seL4_Fault_t fault = seL4_getFault(info);
    CHECK_EQUAL(0x99, seL4_Fault_Timeout_get_data(fault));
    CHECK(seL4_Fault_Timeout_get_consumed(fault) >= 500);
    CHECK(count != 0);
}

TEST(seL4_TimeoutReply_new)
{
    volatile seL4_Word count = 0, reached = 0;
    seL4_MessageInfo_t info;
    Thread thread = run_out(&count, &info);
    seL4_UserContext registers;
    SUCCEEDS(seL4_TCB_ReadRegisters(thread.tcb, 0, 0, sizeof(registers) / sizeof(seL4_Word), &registers));
    registers.pc = (seL4_Word)set_flag;
    registers.x0 = (seL4_Word)&reached;
    seL4_SchedControl_Configure(boot->schedcontrol.start, thread.context, 5000, 5000, 0, 0);
    seL4_Send(reply, seL4_TimeoutReply_new(1, registers, seL4_TimeoutReply_Length));
    CHECK_EQUAL(0xf1a6, reached);
}

TEST(timeout_reply_without_resuming)
{
    volatile seL4_Word count = 0;
    seL4_MessageInfo_t info;
    Thread thread = run_out(&count, &info);
    seL4_UserContext registers = {0};
    seL4_SchedControl_Configure(boot->schedcontrol.start, thread.context, 5000, 5000, 0, 0);
    seL4_Send(reply, seL4_TimeoutReply_new(0, registers, 0));
    seL4_Word before = count;
    sleep_us(1000);
    CHECK_EQUAL(before, count);
}

TEST(other_labels_are_no_fault)
{
    CHECK_EQUAL(seL4_Fault_NullFault, seL4_Fault_get_seL4_FaultType(seL4_getFault(seL4_MessageInfo_new(1000, 0, 0, 2))));
    CHECK(seL4_isNullFault_tag(seL4_MessageInfo_new(seL4_Fault_NullFault, 0, 0, 0)));
}

// Every accessor: a field keeps what it is given, cut to its width, and changes no other.
#define FIELD(type, name, width) \
    do { \
        type##_t value = {{0}}; \
        value = type##_set_##name(value, ~0ul); \
        CHECK_EQUAL(width, type##_get_##name(value)); \
        CHECK_EQUAL(width, type##_ptr_get_##name(&value)); \
        type##_ptr_set_##name(&value, 1); \
        CHECK_EQUAL(1, type##_get_##name(value)); \
        type##_ptr_set_##name(&value, 0); \
        CHECK_EQUAL(0, value.words[0]); \
    } while (0)

TEST(bit_fields)
{
    FIELD(seL4_MessageInfo, label, 0xffffffffffffful);
    FIELD(seL4_MessageInfo, capsUnwrapped, 7);
    FIELD(seL4_MessageInfo, extraCaps, 3);
    FIELD(seL4_MessageInfo, length, 127);
    FIELD(seL4_CapRights, capAllowGrantReply, 1);
    FIELD(seL4_CapRights, capAllowGrant, 1);
    FIELD(seL4_CapRights, capAllowRead, 1);
    FIELD(seL4_CapRights, capAllowWrite, 1);
    FIELD(seL4_CNode_CapData, guard, 0x3fffffffffffffful);
    FIELD(seL4_CNode_CapData, guardSize, 63);
    seL4_MessageInfo_t info;
    seL4_MessageInfo_ptr_new(&info, 2, 1, 3, 5);
    CHECK_EQUAL(seL4_MessageInfo_new(2, 1, 3, 5).words[0], info.words[0]);
    CHECK_EQUAL(2 << 12 | 1 << 9 | 3 << 7 | 5, info.words[0]);
    seL4_CapRights_t rights;
    seL4_CapRights_ptr_new(&rights, 1, 0, 0, 1);
    CHECK_EQUAL(seL4_CapRights_new(1, 0, 0, 1).words[0], rights.words[0]);
    CHECK_EQUAL(9, rights.words[0]);
    seL4_CNode_CapData_t data;
    seL4_CNode_CapData_ptr_new(&data, 3, 60);
    CHECK_EQUAL(seL4_CNode_CapData_new(3, 60).words[0], data.words[0]);
    CHECK_EQUAL(3 << 6 | 60, data.words[0]);
}

#define FAULT_FIELD(fault, name) \
    do { \
        seL4_Fault_t value = {{seL4_Fault_##fault}}; \
        value = seL4_Fault_##fault##_set_##name(value, ~0ul); \
        CHECK_EQUAL(~0ul, seL4_Fault_##fault##_get_##name(value)); \
        seL4_Fault_##fault##_ptr_set_##name(&value, 3); \
        CHECK_EQUAL(3, seL4_Fault_##fault##_ptr_get_##name(&value)); \
        CHECK_EQUAL(seL4_Fault_##fault, seL4_Fault_get_seL4_FaultType(value)); \
    } while (0)

TEST(fault_fields)
{
    FAULT_FIELD(CapFault, IP);
    FAULT_FIELD(CapFault, Addr);
    FAULT_FIELD(CapFault, InRecvPhase);
    FAULT_FIELD(CapFault, LookupFailureType);
    FAULT_FIELD(CapFault, MR4);
    FAULT_FIELD(CapFault, MR5);
    FAULT_FIELD(CapFault, MR6);
    FAULT_FIELD(UnknownSyscall, X0);
    FAULT_FIELD(UnknownSyscall, X1);
    FAULT_FIELD(UnknownSyscall, X2);
    FAULT_FIELD(UnknownSyscall, X3);
    FAULT_FIELD(UnknownSyscall, X4);
    FAULT_FIELD(UnknownSyscall, X5);
    FAULT_FIELD(UnknownSyscall, X6);
    FAULT_FIELD(UnknownSyscall, X7);
    FAULT_FIELD(UnknownSyscall, FaultIP);
    FAULT_FIELD(UnknownSyscall, SP);
    FAULT_FIELD(UnknownSyscall, LR);
    FAULT_FIELD(UnknownSyscall, SPSR);
    FAULT_FIELD(UnknownSyscall, Syscall);
    FAULT_FIELD(UserException, FaultIP);
    FAULT_FIELD(UserException, Stack);
    FAULT_FIELD(UserException, SPSR);
    FAULT_FIELD(UserException, Number);
    FAULT_FIELD(UserException, Code);
    FAULT_FIELD(DebugException, FaultIP);
    FAULT_FIELD(DebugException, ExceptionReason);
    FAULT_FIELD(DebugException, TriggerAddress);
    FAULT_FIELD(DebugException, BreakpointNumber);
    FAULT_FIELD(Timeout, data);
    FAULT_FIELD(Timeout, consumed);
    FAULT_FIELD(VMFault, IP);
    FAULT_FIELD(VMFault, Addr);
    FAULT_FIELD(VMFault, PrefetchFault);
    FAULT_FIELD(VMFault, FSR);
}

TEST(new_faults)
{
    seL4_Fault_t fault;
    seL4_Fault_NullFault_ptr_new(&fault);
    CHECK_EQUAL(seL4_Fault_NullFault, seL4_Fault_get_seL4_FaultType(seL4_Fault_NullFault_new()));
    CHECK_EQUAL(seL4_Fault_NullFault, seL4_Fault_get_seL4_FaultType(fault));
    seL4_Fault_CapFault_ptr_new(&fault, 1, 2, 3, 4, 5, 6, 7);
    CHECK_EQUAL(7, seL4_Fault_CapFault_get_MR6(fault));
    CHECK_EQUAL(2, seL4_Fault_CapFault_get_Addr(seL4_Fault_CapFault_new(1, 2, 3, 4, 5, 6, 7)));
    seL4_Fault_UnknownSyscall_ptr_new(&fault, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
    CHECK_EQUAL(13, seL4_Fault_UnknownSyscall_get_Syscall(fault));
    CHECK_EQUAL(9, seL4_Fault_UnknownSyscall_get_FaultIP(seL4_Fault_UnknownSyscall_new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)));
    seL4_Fault_UserException_ptr_new(&fault, 1, 2, 3, 4, 5);
    CHECK_EQUAL(5, seL4_Fault_UserException_get_Code(fault));
    CHECK_EQUAL(2, seL4_Fault_UserException_get_Stack(seL4_Fault_UserException_new(1, 2, 3, 4, 5)));
    seL4_Fault_DebugException_ptr_new(&fault, 1, 2, 3, 4);
    CHECK_EQUAL(4, seL4_Fault_DebugException_get_BreakpointNumber(fault));
    CHECK_EQUAL(3, seL4_Fault_DebugException_get_TriggerAddress(seL4_Fault_DebugException_new(1, 2, 3, 4)));
    seL4_Fault_Timeout_ptr_new(&fault, 1, 2);
    CHECK_EQUAL(2, seL4_Fault_Timeout_get_consumed(fault));
    CHECK_EQUAL(1, seL4_Fault_Timeout_get_data(seL4_Fault_Timeout_new(1, 2)));
    seL4_Fault_VMFault_ptr_new(&fault, 1, 2, 3, 4);
    CHECK_EQUAL(4, seL4_Fault_VMFault_get_FSR(fault));
    CHECK_EQUAL(2, seL4_Fault_VMFault_get_Addr(seL4_Fault_VMFault_new(1, 2, 3, 4)));
}
