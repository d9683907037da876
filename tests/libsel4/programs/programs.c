// SPDX-License-Identifier: BSD-2-Clause
// What software of this ecosystem is made of: an allocator with a CSpace of two levels, processes from an archive, a pager, a passive server with time
// limits, capabilities that travel, a timer, domains, and SIMD registers in two processes.
#include "process.h"

enum { below = main_priority - 1, above = main_priority + 1 };

// -- An allocator over untypeds; its CSpace has two levels: the top CNode takes the high bits of an address, those below it the rest.

enum { top_bits = 6, leaf_bits = 8, leaf_slots = 1 << leaf_bits, most_objects = 600 };

typedef struct {
    seL4_CPtr top;
    seL4_Word used;
    seL4_CPtr pool;
} Allocator;

// A free address, with the CNode that it lies in made as the first of its addresses is asked for.
static seL4_CPtr take_address(Allocator *allocator)
{
    seL4_Word number = allocator->used++;
    if (number % leaf_slots == 0) {
        seL4_CPtr leaf = make(seL4_CapTableObject, leaf_bits);
        seL4_Error error = seL4_CNode_Mint(allocator->top, number / leaf_slots, top_bits, cnode, leaf, depth, seL4_AllRights, 0);
        if (error != seL4_NoError)
            fail(__FILE__, __LINE__, "leaf", seL4_NoError, error);
    }
    return number;
}

static seL4_Error allocate(Allocator *allocator, seL4_Word type, seL4_CPtr *address)
{
    *address = take_address(allocator);
    return seL4_Untyped_Retype(allocator->pool, type, 0, allocator->top, *address >> leaf_bits, top_bits, *address & (leaf_slots - 1), 1);
}

TEST(allocator_with_two_levels)
{
    Allocator allocator = {make(seL4_CapTableObject, top_bits), leaf_slots, make(seL4_UntypedObject, 16)};
    seL4_CPtr first = 0, last = 0;
    for (int i = 0; i < most_objects; ++i) {
        SUCCEEDS(allocate(&allocator, seL4_EndpointObject, &last));
        first = first ? first : last;
    }
    // Every address of the CSpace leads to its endpoint: copies of it are children of the pool.
    seL4_CPtr out = new_slot();
    SUCCEEDS(seL4_CNode_Copy(cnode, out, depth, allocator.top, last, top_bits + leaf_bits, seL4_AllRights));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_ENDPOINT, kind_of(out));
    // A thread with that CSpace uses them by these addresses.
    SUCCEEDS(seL4_CNode_Delete(allocator.top, first, top_bits + leaf_bits));
    FAILS_WITH(seL4_FailedLookup, 1, seL4_MissingCapability,
               seL4_CNode_Copy(cnode, new_slot(), depth, allocator.top, first, top_bits + leaf_bits, seL4_AllRights));
    // Memory comes back when all that was made of the pool is gone.
    seL4_CPtr page = new_slot();
    SUCCEEDS(seL4_CNode_Revoke(cnode, allocator.pool, depth));
    SUCCEEDS(seL4_Untyped_Retype(allocator.pool, seL4_ARM_SmallPageObject, 0, cnode, 0, 0, page, 1));
}

typedef struct {
    seL4_CPtr endpoint;
    volatile seL4_Word sent;
} Sender;

static void send_once(void *argument)
{
    Sender *sender = argument;
    seL4_SetMR(0, 5);
    seL4_Send(sender->endpoint, seL4_MessageInfo_new(0, 0, 0, 1));
    sender->sent = 1;
}

TEST(thread_in_a_two_level_cspace)
{
    Allocator allocator = {make(seL4_CapTableObject, top_bits), leaf_slots, make(seL4_UntypedObject, 16)};
    Sender sender = {0, 0};
    SUCCEEDS(allocate(&allocator, seL4_EndpointObject, &sender.endpoint));
    Thread thread = new_thread(send_once, &sender, above);
    seL4_Word guard = seL4_CNode_CapData_new(0, 64 - top_bits - leaf_bits).words[0];
    SUCCEEDS(seL4_TCB_SetSpace(thread.tcb, seL4_CapNull, allocator.top, guard, vspace, 0));
    SUCCEEDS(seL4_TCB_Resume(thread.tcb));
    seL4_CPtr here = new_slot();
    SUCCEEDS(seL4_CNode_Copy(cnode, here, depth, allocator.top, sender.endpoint, top_bits + leaf_bits, seL4_AllRights));
    seL4_Wait(here, 0);
    CHECK_EQUAL(5, seL4_GetMR(0));
    SUCCEEDS(seL4_TCB_Suspend(thread.tcb));
}

// -- Processes

TEST(process_from_the_archive)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), reply = make(seL4_ReplyObject, 0);
    seL4_Word badge = 0, size;
    new_process("child.elf", endpoint, 0x71, do_answer, below);
    seL4_MessageInfo_t info = seL4_Recv(endpoint, &badge, reply);
    CHECK_EQUAL(request_done, seL4_MessageInfo_get_label(info));
    CHECK_EQUAL(0x71, badge);
    CHECK_EQUAL(42, seL4_GetMR(0));
    CHECK(find_file(_cpio_archive, "notes.txt", &size) != 0);
    CHECK_EQUAL(6, size);
    CHECK(find_file(_cpio_archive, "nothing", &size) == 0);
}

TEST(pages_on_demand)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), reply = make(seL4_ReplyObject, 0);
    seL4_Word badge = 0, mapped = 0, expected = 0;
    Process process = new_process("child.elf", endpoint, 0x72, do_touch_pages, below);
    seL4_MessageInfo_t info = seL4_Recv(endpoint, &badge, reply);
    while (seL4_isVMFault_tag(info)) {
        seL4_Word address = seL4_Fault_VMFault_get_Addr(seL4_getFault(info)) & ~(page_bytes - 1ul);
        CHECK(address >= child_heap && address < child_heap + touched_pages * page_bytes);
        SUCCEEDS(map(make(seL4_ARM_SmallPageObject, 0), process.space, address));
        ++mapped;
        info = seL4_ReplyRecv(endpoint, seL4_MessageInfo_new(0, 0, 0, 0), &badge, reply);
    }
    for (seL4_Word i = 0; i < touched_pages; i += 2)
        expected += i;
    CHECK_EQUAL(request_done, seL4_MessageInfo_get_label(info));
    CHECK_EQUAL(expected, seL4_GetMR(0));
    CHECK_EQUAL(touched_pages / 2, mapped);
}

TEST(capabilities_between_address_spaces)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), reply = make(seL4_ReplyObject, 0), frame = make(seL4_ARM_SmallPageObject, 0), copy = new_slot();
    seL4_Word badge = 0;
    Process process = new_process("child.elf", endpoint, 0x73, do_map_received, below);
    // The process can map a small page as soon as there are tables.
    SUCCEEDS(map(make(seL4_ARM_SmallPageObject, 0), process.space, child_heap + page_bytes));
    SUCCEEDS(seL4_CNode_Copy(cnode, copy, depth, cnode, frame, depth, seL4_AllRights));
    CHECK_EQUAL(request_page, seL4_MessageInfo_get_label(seL4_Recv(endpoint, &badge, reply)));
    seL4_SetCap(0, copy);
    seL4_MessageInfo_t info = seL4_ReplyRecv(endpoint, seL4_MessageInfo_new(0, 0, 1, 0), &badge, reply);
    CHECK_EQUAL(request_done, seL4_MessageInfo_get_label(info));
    CHECK_EQUAL(seL4_NoError, seL4_GetMR(0));
    seL4_Word address = new_address();
    SUCCEEDS(map(frame, vspace, address));
    CHECK_EQUAL(0x600d, *(volatile seL4_Word *)address);
}

TEST(simd_in_two_processes)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), replies[2] = {make(seL4_ReplyObject, 0), make(seL4_ReplyObject, 0)};
    seL4_Word badge = 0, done = 0, rounds = 0, turns = 0, last = 0;
    new_process("child.elf", endpoint, 0, do_simd | 0x1100, below);
    new_process("child.elf", endpoint, 1, do_simd | 0x2200, below);
    // Each process waits for its answer until the other one has called too.
    for (seL4_Word waiting = 0; done < 2;) {
        seL4_MessageInfo_t info = seL4_Recv(endpoint, &badge, replies[waiting]);
        rounds += seL4_MessageInfo_get_label(info) == request_progress;
        turns += badge != last;
        last = badge;
        if (seL4_MessageInfo_get_label(info) == request_done) {
            CHECK_EQUAL(0, seL4_GetMR(0));
            ++done;
        }
        if (++waiting == 2 && done == 0) {
            seL4_Send(replies[0], seL4_MessageInfo_new(0, 0, 0, 0));
            seL4_Send(replies[1], seL4_MessageInfo_new(0, 0, 0, 0));
            waiting = 0;
        }
    }
    CHECK_EQUAL(2 * simd_rounds, rounds);
    CHECK(turns >= simd_rounds);
}

// -- A passive server: it runs on its clients' time. One that gives too little ends in a timeout fault, and the handler puts the server back to where it
// waits and tells the client.

enum { quick = 1, endless = 2, label_late = 77 };

typedef struct {
    seL4_CPtr endpoint, reply, ready;
    volatile seL4_Word served;
} PassiveServer;

static void serve(void *argument)
{
    PassiveServer *server = argument;
    seL4_Word badge;
    seL4_MessageInfo_t info = seL4_NBSendRecv(server->ready, seL4_MessageInfo_new(0, 0, 0, 0), server->endpoint, &badge, server->reply);
    for (;;) {
        if (seL4_MessageInfo_get_label(info) == endless)
            for (;;)
                __asm__ volatile("");
        ++server->served;
        info = seL4_ReplyRecv(server->endpoint, seL4_MessageInfo_new(quick, 0, 0, 0), &badge, server->reply);
    }
}

typedef struct {
    seL4_CPtr endpoint;
    seL4_Word request;
    volatile seL4_Word answer;
} Client;

static void ask(void *argument)
{
    Client *client = argument;
    client->answer = seL4_MessageInfo_get_label(seL4_Call(client->endpoint, seL4_MessageInfo_new(client->request, 0, 0, 0)));
}

TEST(passive_server_with_timeout_faults)
{
    PassiveServer server = {make(seL4_EndpointObject, 0), make(seL4_ReplyObject, 0), make(seL4_NotificationObject, 0), 0};
    seL4_CPtr timeouts = make(seL4_EndpointObject, 0), timeout_reply = make(seL4_ReplyObject, 0);
    Thread thread = new_thread(serve, &server, above);
    SUCCEEDS(seL4_TCB_SetTimeoutEndpoint(thread.tcb, timeouts));
    SUCCEEDS(seL4_TCB_Resume(thread.tcb));
    seL4_Wait(server.ready, 0);
    SUCCEEDS(seL4_SchedContext_Unbind(thread.context));
    seL4_UserContext at_start;
    SUCCEEDS(seL4_TCB_ReadRegisters(thread.tcb, 0, 0, sizeof(at_start) / sizeof(seL4_Word), &at_start));

    Client first = {server.endpoint, quick, 0};
    start(ask, &first, above);
    CHECK_EQUAL(quick, first.answer);

    Client late = {server.endpoint, endless, 0};
    Thread client = new_thread(ask, &late, above);
    SUCCEEDS(seL4_SchedControl_Configure(boot->schedcontrol.start, client.context, 500, 100000, 0, 0x5c));
    SUCCEEDS(seL4_TCB_Resume(client.tcb));
    seL4_MessageInfo_t info = seL4_Recv(timeouts, 0, timeout_reply);
    CHECK(seL4_isTimeoutFault_tag(info));
    CHECK_EQUAL(0x5c, seL4_GetMR(seL4_Timeout_Data));
    // The client gets an answer, and its time back; the server begins anew, on time that it is lent until it waits.
    seL4_Send(server.reply, seL4_MessageInfo_new(label_late, 0, 0, 0));
    SUCCEEDS(seL4_SchedContext_Bind(thread.context, thread.tcb));
    at_start.pc = (seL4_Word)serve;
    at_start.x0 = (seL4_Word)&server;
    seL4_Send(timeout_reply, seL4_TimeoutReply_new(1, at_start, seL4_TimeoutReply_Length));
    seL4_Wait(server.ready, 0);
    SUCCEEDS(seL4_SchedContext_Unbind(thread.context));
    SUCCEEDS(seL4_SchedControl_Configure(boot->schedcontrol.start, client.context, 5000, 5000, 0, 0));
    CHECK_EQUAL(label_late, late.answer);

    Client second = {server.endpoint, quick, 0};
    start(ask, &second, above);
    CHECK_EQUAL(quick, second.answer);
    CHECK_EQUAL(2, server.served);
}

// -- A timer driver on the processor's physical timer, that serves requests to sleep.

enum { timer_line = 30, alarms = 5, wait_us = 300 };

typedef struct {
    seL4_CPtr endpoint, reply, notification, handler;
} TimerDriver;

static seL4_Word counter(void)
{
    seL4_Word value;
    __asm__ volatile("isb\n\tmrs %0, cntpct_el0" : "=r"(value));
    return value;
}

// Each request is a counter value; its caller is answered when the counter is there.
static void drive_timer(void *argument)
{
    const TimerDriver *driver = argument;
    seL4_Recv(driver->endpoint, 0, driver->reply);
    for (;;) {
        __asm__ volatile("msr cntp_cval_el0, %0\n\tmsr cntp_ctl_el0, %1\n\tisb" : : "r"(seL4_GetMR(0)), "r"(1ul));
        seL4_Wait(driver->notification, 0);
        __asm__ volatile("msr cntp_ctl_el0, xzr\n\tisb");
        seL4_IRQHandler_Ack(driver->handler);
        seL4_ReplyRecv(driver->endpoint, seL4_MessageInfo_new(0, 0, 0, 0), 0, driver->reply);
    }
}

TEST(physical_timer_driver)
{
    TimerDriver driver = {make(seL4_EndpointObject, 0), make(seL4_ReplyObject, 0), make(seL4_NotificationObject, 0), new_slot()};
    SUCCEEDS(seL4_IRQControl_Get(seL4_CapIRQControl, timer_line, cnode, driver.handler, depth));
    SUCCEEDS(seL4_IRQHandler_SetNotification(driver.handler, driver.notification));
    Thread thread = new_thread(drive_timer, &driver, above);
    SUCCEEDS(seL4_SchedControl_SetThreadAccess(boot->schedcontrol.start, thread.tcb, 0, seL4_TCBFlag_physicalTimer).error);
    SUCCEEDS(seL4_TCB_Resume(thread.tcb));
    for (int i = 0; i < alarms; ++i) {
        seL4_Word wanted = counter() + ticks(wait_us);
        seL4_SetMR(0, wanted);
        seL4_Call(driver.endpoint, seL4_MessageInfo_new(0, 0, 0, 1));
        CHECK(counter() >= wanted);
    }
}

// -- Domains: two threads of two domains, each runs in its own domain's turns only.

static void count_forever(void *argument)
{
    for (;;)
        ++*(volatile seL4_Word *)argument;
}

TEST(two_domains)
{
    volatile seL4_Word counts[2] = {0, 0};
    Thread threads[2] = {start(count_forever, (void *)&counts[0], below), start(count_forever, (void *)&counts[1], below)};
    SUCCEEDS(seL4_DomainSet_Set(seL4_CapDomain, 1, threads[0].tcb));
    SUCCEEDS(seL4_DomainSet_Set(seL4_CapDomain, 2, threads[1].tcb));
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 0, 0, ticks(1000)));
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 1, ticks(1000)));
    SUCCEEDS(seL4_DomainSet_ScheduleSetStart(seL4_CapDomain, 0));
    while (counts[0] == 0)
        seL4_Yield();
    // The second domain had no turn yet; it gets one, and then both run.
    seL4_Word first = counts[0];
    CHECK_EQUAL(0, counts[1]);
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 2, 2, ticks(1000)));
    while (counts[1] == 0 || counts[0] == first)
        seL4_Yield();
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 2, 0, 0));
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 0, 0));
    SUCCEEDS(seL4_DomainSet_Set(seL4_CapDomain, 0, threads[0].tcb));
    SUCCEEDS(seL4_DomainSet_Set(seL4_CapDomain, 0, threads[1].tcb));
}
