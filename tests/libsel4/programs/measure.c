// SPDX-License-Identifier: BSD-2-Clause
// What a round trip costs through libsel4 and through the native stubs, in instructions from user level to user level, loop included: between two threads of
// one address space, the server passive. Meaningful where virtual time advances one nanosecond with every instruction.
#include "../functions/testing.h"

#include <caprock/syscall.h>

enum { above = main_priority + 1, rounds = 10000, warm_up = 16, most_beyond_native = 16, words = 4 };

typedef struct {
    seL4_CPtr endpoint, reply, ready;
} Server;

static seL4_Word now(void)
{
    seL4_Word value;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value));
    return value;
}

static seL4_Word instructions(seL4_Word ticks)
{
    seL4_Word frequency;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    return ticks * (1000000000 / frequency) / rounds;
}

static void serve(void *argument)
{
    const Server *server = argument;
    seL4_Signal(server->ready);
    seL4_Recv(server->endpoint, 0, server->reply);
    for (;;)
        seL4_ReplyRecv(server->endpoint, seL4_MessageInfo_new(0, 0, 0, words), 0, server->reply);
}

static void serve_natively(void *argument)
{
    const Server *server = argument;
    seL4_Signal(server->ready);
    seL4_Recv(server->endpoint, 0, server->reply);
    caprock_short_message_t message = {caprock_message_info_make(words, 0, 0, 0), 0, {0, 0, 0, 0}};
    for (;;) {
        message.info = caprock_message_info_make(words, 0, 0, 0);
        caprock_reply_recv_short(server->endpoint, server->reply, 0, &message);
    }
}

static Server start_server(void (*entry)(void *))
{
    static Server server;
    server.endpoint = make(seL4_EndpointObject, 0);
    server.reply = make(seL4_ReplyObject, 0);
    server.ready = make(seL4_NotificationObject, 0);
    Thread thread = start(entry, &server, main_priority);
    seL4_Wait(server.ready, 0);
    seL4_SchedContext_Unbind(thread.context);
    return server;
}

static seL4_Word call_often(seL4_CPtr endpoint, int count)
{
    seL4_Word start = now();
    for (int i = 0; i < count; ++i)
        seL4_Call(endpoint, seL4_MessageInfo_new(0, 0, 0, words));
    return now() - start;
}

static seL4_Word call_often_natively(seL4_CPtr endpoint, int count)
{
    caprock_short_message_t message = {caprock_message_info_make(words, 0, 0, 0), 0, {0, 0, 0, 0}};
    seL4_Word start = now();
    for (int i = 0; i < count; ++i) {
        message.info = caprock_message_info_make(words, 0, 0, 0);
        caprock_call_short(endpoint, &message);
    }
    return now() - start;
}

TEST(round_trip_of_four_words)
{
    Server server = start_server(serve_natively);
    call_often_natively(server.endpoint, warm_up);
    seL4_Word native = instructions(call_often_natively(server.endpoint, rounds));
    server = start_server(serve);
    call_often(server.endpoint, warm_up);
    seL4_Word ours = instructions(call_often(server.endpoint, rounds));
    note("round trip of 4 words, native:", native);
    note("round trip of 4 words, libsel4:", ours);
    CHECK(native > 100 && ours < native + most_beyond_native + 1);
}
