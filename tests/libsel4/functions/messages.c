// SPDX-License-Identifier: BSD-2-Clause
// System calls: messages of every kind of length, and the faults of those that name no capability.
#include "testing.h"

enum { above = main_priority + 1, badge = 0x100, mark = 0xabcd0000 };

typedef struct {
    seL4_CPtr endpoint, reply;
    volatile seL4_Word words[8];
} Shared;

static const seL4_Word lengths[] = {0, 1, 3, 4, 5, 11, 12, 13, 120};
enum { length_count = sizeof(lengths) / sizeof(lengths[0]) };

static seL4_MessageInfo_t info_of(seL4_Word length)
{
    return seL4_MessageInfo_new(7, 0, 0, length);
}

static void fill(seL4_Word base)
{
    for (int i = 0; i < seL4_MsgMaxLength; ++i)
        seL4_SetMR(i, base + (seL4_Word)i);
}

// Whether the first words are `base` and up, and the others, but for the first four, still `rest` and up.
static int holds(seL4_Word length, seL4_Word base, seL4_Word rest)
{
    for (seL4_Word i = 0; i < seL4_MsgMaxLength; ++i)
        if ((i < length || i >= 4) && seL4_GetMR((int)i) != (i < length ? base : rest) + i)
            return 0;
    return 1;
}

// Answers every call with its words, each greater by the badge.
static void echo(void *argument)
{
    Shared *shared = argument;
    seL4_Word sender;
    seL4_MessageInfo_t info = seL4_Recv(shared->endpoint, &sender, shared->reply);
    for (;;) {
        for (seL4_Word i = 0; i < seL4_MessageInfo_get_length(info); ++i)
            seL4_SetMR((int)i, seL4_GetMR((int)i) + sender);
        info = seL4_ReplyRecv(shared->endpoint, seL4_MessageInfo_new(5, 0, 0, seL4_MessageInfo_get_length(info)), &sender, shared->reply);
    }
}

static void set_up(Shared *shared)
{
    shared->endpoint = make(seL4_EndpointObject, 0);
    shared->reply = make(seL4_ReplyObject, 0);
}

TEST(seL4_Call)
{
    Shared shared;
    set_up(&shared);
    start(echo, &shared, above);
    seL4_CPtr client = mint(shared.endpoint, badge);
    for (int i = 0; i < length_count; ++i) {
        fill(mark);
        seL4_MessageInfo_t info = seL4_Call(client, info_of(lengths[i]));
        CHECK_EQUAL(5, seL4_MessageInfo_get_label(info));
        CHECK_EQUAL(lengths[i], seL4_MessageInfo_get_length(info));
        CHECK(holds(lengths[i], mark + badge, mark));
    }
}

TEST(seL4_CallWithMRs)
{
    Shared shared;
    set_up(&shared);
    start(echo, &shared, above);
    seL4_CPtr client = mint(shared.endpoint, badge);
    for (int i = 0; i < length_count; ++i) {
        seL4_Word length = lengths[i], words[4] = {mark, mark + 1, mark + 2, mark + 3};
        fill(mark);
        seL4_MessageInfo_t info = seL4_CallWithMRs(client, info_of(length), &words[0], &words[1], &words[2], &words[3]);
        CHECK_EQUAL(length, seL4_MessageInfo_get_length(info));
        for (seL4_Word word = 0; word < 4; ++word)
            CHECK_EQUAL(word < length ? mark + word + badge : 0, words[word]);
        CHECK(length <= 4 || seL4_GetMR((int)length - 1) == mark + length - 1 + badge);
    }
    // Null pointers leave their words out.
    seL4_Word third = 3;
    seL4_CallWithMRs(client, info_of(3), 0, 0, &third, 0);
    CHECK_EQUAL(3 + badge, third);
}

// Calls twice, the second time with the length that the first answer had, and keeps what it got.
static void call_twice(void *argument)
{
    Shared *shared = argument;
    fill(mark);
    seL4_MessageInfo_t info = seL4_Call(shared->endpoint, info_of(shared->words[0]));
    shared->words[1] = seL4_GetMR(0);
    shared->words[2] = (seL4_Word)holds(seL4_MessageInfo_get_length(info), 50, mark);
    seL4_Call(shared->endpoint, info);
    shared->words[3] = 1;
}

TEST(seL4_ReplyRecv)
{
    Shared shared = {.words = {120}};
    seL4_Word sender = 0;
    set_up(&shared);
    seL4_CPtr endpoint = shared.endpoint;
    shared.endpoint = mint(endpoint, badge);
    start(call_twice, &shared, above);
    fill(7);
    seL4_MessageInfo_t info = seL4_Recv(endpoint, &sender, shared.reply);
    CHECK_EQUAL(120, seL4_MessageInfo_get_length(info));
    CHECK(holds(120, mark, 7));
    CHECK_EQUAL(badge, sender);
    fill(50);
    info = seL4_ReplyRecv(endpoint, info_of(9), &sender, shared.reply);
    CHECK_EQUAL(9, seL4_MessageInfo_get_length(info));
    CHECK_EQUAL(50, shared.words[1]);
    CHECK_EQUAL(1, shared.words[2]);
    seL4_Send(shared.reply, info_of(0));
    CHECK_EQUAL(1, shared.words[3]);
}

TEST(seL4_ReplyRecvWithMRs)
{
    Shared shared = {.words = {2}};
    seL4_Word sender = 0, first = 0, second = 0, third = 50;
    set_up(&shared);
    start(call_twice, &shared, above);
    seL4_RecvWithMRs(shared.endpoint, &sender, &first, &second, 0, 0, shared.reply);
    CHECK_EQUAL(mark, first);
    CHECK_EQUAL(mark + 1, second);
    seL4_MessageInfo_t info = seL4_ReplyRecvWithMRs(shared.endpoint, info_of(1), &sender, &third, 0, 0, 0, shared.reply);
    CHECK_EQUAL(50, shared.words[1]);
    CHECK_EQUAL(1, seL4_MessageInfo_get_length(info));
}

static void send_words(void *argument)
{
    Shared *shared = argument;
    fill(mark);
    seL4_Send(shared->endpoint, info_of(shared->words[0]));
    shared->words[1] = 1;
}

TEST(seL4_Send)
{
    for (int i = 0; i < length_count; ++i) {
        Shared shared = {.words = {lengths[i]}};
        seL4_Word sender = 1;
        set_up(&shared);
        start(send_words, &shared, above);
        CHECK_EQUAL(0, shared.words[1]);
        fill(0);
        seL4_MessageInfo_t info = seL4_Wait(shared.endpoint, &sender);
        CHECK_EQUAL(lengths[i], seL4_MessageInfo_get_length(info));
        CHECK_EQUAL(0, sender);
        CHECK(holds(lengths[i], mark, 0));
        CHECK_EQUAL(1, shared.words[1]);
    }
}

static void send_two_words(void *argument)
{
    Shared *shared = argument;
    seL4_Word first = 21, second = 22;
    seL4_SendWithMRs(shared->endpoint, info_of(2), &first, &second, 0, 0);
}

TEST(seL4_SendWithMRs)
{
    Shared shared;
    seL4_Word first = 0, second = 0, third = 9;
    set_up(&shared);
    start(send_two_words, &shared, above);
    seL4_WaitWithMRs(shared.endpoint, 0, &first, &second, &third, 0);
    CHECK_EQUAL(21, first);
    CHECK_EQUAL(22, second);
    CHECK_EQUAL(0, third);
}

static void receive_words(void *argument)
{
    Shared *shared = argument;
    seL4_Word sender;
    seL4_MessageInfo_t info = seL4_Recv(shared->endpoint, &sender, shared->reply);
    shared->words[0] = seL4_MessageInfo_get_length(info);
    shared->words[1] = seL4_GetMR(0);
    shared->words[2] = seL4_GetMR(5);
}

TEST(seL4_NBSend)
{
    Shared shared = {.words = {99}};
    set_up(&shared);
    fill(mark);
    seL4_NBSend(shared.endpoint, info_of(6));
    start(receive_words, &shared, above);
    CHECK_EQUAL(99, shared.words[0]);
    fill(mark);
    seL4_NBSend(shared.endpoint, info_of(6));
    CHECK_EQUAL(6, shared.words[0]);
    CHECK_EQUAL(mark, shared.words[1]);
    CHECK_EQUAL(mark + 5, shared.words[2]);
}

TEST(seL4_NBSendWithMRs)
{
    Shared shared = {.words = {99}};
    seL4_Word first = 31;
    set_up(&shared);
    start(receive_words, &shared, above);
    seL4_NBSendWithMRs(shared.endpoint, info_of(1), &first, 0, 0, 0);
    CHECK_EQUAL(1, shared.words[0]);
    CHECK_EQUAL(31, shared.words[1]);
}

TEST(seL4_Recv)
{
    Shared shared = {.words = {13}};
    seL4_Word sender = 1;
    set_up(&shared);
    start(send_words, &shared, above);
    seL4_MessageInfo_t info = seL4_Recv(shared.endpoint, &sender, shared.reply);
    CHECK_EQUAL(13, seL4_MessageInfo_get_length(info));
    CHECK_EQUAL(0, sender);
    CHECK_EQUAL(mark + 12, seL4_GetMR(12));
}

TEST(seL4_RecvWithMRs)
{
    Shared shared = {.words = {5}};
    seL4_Word sender = 1, first = 0, fourth = 0;
    set_up(&shared);
    start(send_words, &shared, above);
    seL4_RecvWithMRs(shared.endpoint, &sender, &first, 0, 0, &fourth, shared.reply);
    CHECK_EQUAL(mark, first);
    CHECK_EQUAL(mark + 3, fourth);
    CHECK_EQUAL(mark + 4, seL4_GetMR(4));
}

TEST(seL4_NBRecv)
{
    Shared shared = {.words = {4}};
    seL4_Word sender = 1;
    set_up(&shared);
    CHECK_EQUAL(0, seL4_MessageInfo_get_length(seL4_NBRecv(shared.endpoint, &sender, shared.reply)));
    CHECK_EQUAL(0, sender);
    start(send_words, &shared, above);
    CHECK_EQUAL(4, seL4_MessageInfo_get_length(seL4_NBRecv(shared.endpoint, &sender, shared.reply)));
    CHECK_EQUAL(mark + 3, seL4_GetMR(3));
}

TEST(seL4_NBRecvWithMRs)
{
    Shared shared = {.words = {1}};
    seL4_Word sender = 1, first = 0;
    set_up(&shared);
    start(send_words, &shared, above);
    seL4_NBRecvWithMRs(shared.endpoint, &sender, &first, 0, 0, 0, shared.reply);
    CHECK_EQUAL(mark, first);
}

TEST(seL4_Wait)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0);
    seL4_Word word = 0;
    seL4_Signal(mint(notification, 1));
    seL4_Signal(mint(notification, 4));
    CHECK_EQUAL(0, seL4_MessageInfo_get_length(seL4_Wait(notification, &word)));
    CHECK_EQUAL(5, word);
}

TEST(seL4_WaitWithMRs)
{
    Shared shared = {.words = {2}};
    seL4_Word second = 0;
    set_up(&shared);
    start(send_words, &shared, above);
    seL4_WaitWithMRs(shared.endpoint, 0, 0, &second, 0, 0);
    CHECK_EQUAL(mark + 1, second);
}

TEST(seL4_NBWait)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0);
    seL4_Word word = 1;
    seL4_NBWait(notification, &word);
    CHECK_EQUAL(0, word);
    seL4_Signal(mint(notification, 2));
    seL4_NBWait(notification, &word);
    CHECK_EQUAL(2, word);
}

TEST(seL4_NBWaitWithMRs)
{
    Shared shared = {.words = {2}};
    seL4_Word sender = 1, first = 0;
    set_up(&shared);
    start(send_words, &shared, above);
    seL4_NBWaitWithMRs(shared.endpoint, &sender, &first, 0, 0, 0);
    CHECK_EQUAL(mark, first);
}

TEST(seL4_Poll)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0);
    seL4_Word word = 1;
    seL4_Poll(notification, &word);
    CHECK_EQUAL(0, word);
    seL4_Signal(mint(notification, 8));
    seL4_Poll(notification, &word);
    CHECK_EQUAL(8, word);
}

TEST(seL4_Signal)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0);
    seL4_Word word = 0;
    seL4_Signal(mint(notification, 6));
    seL4_Wait(notification, &word);
    CHECK_EQUAL(6, word);
}

// Receives words on one endpoint, then sends two of its own on another.
static void receive_then_send(void *argument)
{
    Shared *shared = argument;
    seL4_Word sender, first = 41, second = 42;
    seL4_MessageInfo_t info = seL4_Recv(shared->endpoint, &sender, shared->reply);
    shared->words[1] = seL4_MessageInfo_get_length(info);
    shared->words[2] = seL4_GetMR(0);
    seL4_SendWithMRs(shared->words[0], info_of(2), &first, &second, 0, 0);
}

static seL4_CPtr start_responder(Shared *shared)
{
    seL4_CPtr back = make(seL4_EndpointObject, 0);
    set_up(shared);
    shared->words[0] = mint(back, badge);
    start(receive_then_send, shared, above);
    return back;
}

TEST(seL4_NBSendRecv)
{
    Shared shared;
    seL4_CPtr back = start_responder(&shared);
    seL4_Word sender = 0;
    fill(mark);
    seL4_MessageInfo_t info = seL4_NBSendRecv(shared.endpoint, info_of(10), back, &sender, make(seL4_ReplyObject, 0));
    CHECK_EQUAL(badge, sender);
    CHECK_EQUAL(2, seL4_MessageInfo_get_length(info));
    CHECK_EQUAL(41, seL4_GetMR(0));
    CHECK_EQUAL(10, shared.words[1]);
    CHECK_EQUAL(mark, shared.words[2]);
}

TEST(seL4_NBSendRecvWithMRs)
{
    Shared shared;
    seL4_CPtr back = start_responder(&shared);
    seL4_Word sender = 0, first = 51, second = 0;
    seL4_NBSendRecvWithMRs(shared.endpoint, info_of(1), back, &sender, &first, &second, 0, 0, make(seL4_ReplyObject, 0));
    CHECK_EQUAL(51, shared.words[2]);
    CHECK_EQUAL(41, first);
    CHECK_EQUAL(42, second);
}

TEST(seL4_NBSendWait)
{
    Shared shared;
    seL4_CPtr back = start_responder(&shared);
    seL4_Word sender = 0;
    fill(mark);
    seL4_MessageInfo_t info = seL4_NBSendWait(shared.endpoint, info_of(3), back, &sender);
    CHECK_EQUAL(badge, sender);
    CHECK_EQUAL(2, seL4_MessageInfo_get_length(info));
    CHECK_EQUAL(3, shared.words[1]);
}

TEST(seL4_NBSendWaitWithMRs)
{
    Shared shared;
    seL4_CPtr back = start_responder(&shared);
    seL4_Word sender = 0, first = 61, second = 0;
    seL4_NBSendWaitWithMRs(shared.endpoint, info_of(1), back, &sender, &first, &second, 0, 0);
    CHECK_EQUAL(61, shared.words[2]);
    CHECK_EQUAL(42, second);
}

static void set_flag(void *argument)
{
    *(volatile seL4_Word *)argument = 1;
}

TEST(seL4_Yield)
{
    volatile seL4_Word ran = 0;
    start(set_flag, (void *)&ran, main_priority);
    CHECK_EQUAL(0, ran);
    seL4_Yield();
    CHECK_EQUAL(1, ran);
}

// System calls on a slot without a capability: each raises a fault, in its send or its receive phase; NBSend and its kin pass over it.
static void bad_send(void *argument) { (void)argument; seL4_Send(0, info_of(0)); }
static void bad_call(void *argument) { (void)argument; seL4_Call(0, info_of(0)); }
static void bad_signal(void *argument) { (void)argument; seL4_Signal(0); }
static void bad_recv(void *argument) { (void)argument; seL4_Recv(0, 0, 0); }
static void bad_nb_recv(void *argument) { (void)argument; seL4_NBRecv(0, 0, 0); }
static void bad_reply_recv(void *argument) { (void)argument; seL4_ReplyRecv(0, info_of(0), 0, 0); }
static void bad_wait(void *argument) { (void)argument; seL4_Wait(0, 0); }
static void bad_nb_wait(void *argument) { (void)argument; seL4_NBWait(0, 0); }
static void bad_poll(void *argument) { (void)argument; seL4_Poll(0, 0); }
static void bad_nb_send_recv(void *argument) { (void)argument; seL4_NBSendRecv(0, info_of(0), 0, 0, 0); }
static void bad_nb_send_wait(void *argument) { (void)argument; seL4_NBSendWait(0, info_of(0), 0, 0); }
static void bad_send_with_mrs(void *argument) { (void)argument; seL4_SendWithMRs(0, info_of(0), 0, 0, 0, 0); }
static void bad_call_with_mrs(void *argument) { (void)argument; seL4_CallWithMRs(0, info_of(0), 0, 0, 0, 0); }
static void bad_recv_with_mrs(void *argument) { (void)argument; seL4_RecvWithMRs(0, 0, 0, 0, 0, 0, 0); }
static void bad_nb_recv_with_mrs(void *argument) { (void)argument; seL4_NBRecvWithMRs(0, 0, 0, 0, 0, 0, 0); }
static void bad_reply_recv_with_mrs(void *argument) { (void)argument; seL4_ReplyRecvWithMRs(0, info_of(0), 0, 0, 0, 0, 0, 0); }
static void bad_wait_with_mrs(void *argument) { (void)argument; seL4_WaitWithMRs(0, 0, 0, 0, 0, 0); }
static void bad_nb_wait_with_mrs(void *argument) { (void)argument; seL4_NBWaitWithMRs(0, 0, 0, 0, 0, 0); }
static void bad_nb_send_recv_with_mrs(void *argument) { (void)argument; seL4_NBSendRecvWithMRs(0, info_of(0), 0, 0, 0, 0, 0, 0, 0); }
static void bad_nb_send_wait_with_mrs(void *argument) { (void)argument; seL4_NBSendWaitWithMRs(0, info_of(0), 0, 0, 0, 0, 0, 0); }

static const struct {
    void (*run)(void *);
    seL4_Word in_recv_phase;
} bad_calls[] = {
    {bad_send, 0}, {bad_call, 0}, {bad_signal, 0}, {bad_recv, 1}, {bad_nb_recv, 1}, {bad_reply_recv, 1}, {bad_wait, 1}, {bad_nb_wait, 1},
    {bad_poll, 1}, {bad_nb_send_recv, 1}, {bad_nb_send_wait, 1}, {bad_send_with_mrs, 0}, {bad_call_with_mrs, 0}, {bad_recv_with_mrs, 1},
    {bad_nb_recv_with_mrs, 1}, {bad_reply_recv_with_mrs, 1}, {bad_wait_with_mrs, 1}, {bad_nb_wait_with_mrs, 1}, {bad_nb_send_recv_with_mrs, 1},
    {bad_nb_send_wait_with_mrs, 1},
};

TEST(system_calls_without_a_capability)
{
    seL4_CPtr handler = make(seL4_EndpointObject, 0), reply = make(seL4_ReplyObject, 0);
    for (unsigned i = 0; i < sizeof(bad_calls) / sizeof(bad_calls[0]); ++i) {
        Thread thread = new_thread(bad_calls[i].run, 0, above);
        seL4_TCB_SetSchedParams(thread.tcb, self, 0, above, thread.context, handler);
        seL4_TCB_Resume(thread.tcb);
        seL4_MessageInfo_t info = seL4_Recv(handler, 0, reply);
        CHECK(seL4_isCapFault_tag(info));
        CHECK_EQUAL(bad_calls[i].in_recv_phase, seL4_GetMR(seL4_CapFault_InRecvPhase));
        seL4_TCB_Suspend(thread.tcb);
    }
    seL4_NBSend(0, info_of(0));
    seL4_NBSendWithMRs(0, info_of(0), 0, 0, 0, 0);
}

static void send_capabilities(void *argument)
{
    Shared *shared = argument;
    seL4_SetCap(0, mint(shared->endpoint, badge));
    seL4_SetCap(1, shared->words[0]);
    shared->words[1] = seL4_GetCap(1);
    seL4_Send(shared->endpoint, seL4_MessageInfo_new(0, 0, 2, 0));
}

TEST(capabilities_with_messages)
{
    seL4_CPtr endpoint = make(seL4_EndpointObject, 0), reply = make(seL4_ReplyObject, 0), gift = make(seL4_NotificationObject, 0), target = new_slot();
    seL4_CPtr root, index;
    seL4_Word bits;
    seL4_SetCapReceivePath(cnode, target, depth);
    seL4_GetCapReceivePath(&root, &index, &bits);
    CHECK_EQUAL(cnode, root);
    CHECK_EQUAL(target, index);
    CHECK_EQUAL(depth, bits);
    Shared shared = {.endpoint = endpoint, .words = {gift}};
    start(send_capabilities, &shared, above);
    seL4_MessageInfo_t info = seL4_Recv(endpoint, 0, reply);
    CHECK_EQUAL(2, seL4_MessageInfo_get_extraCaps(info));
    // The first is of the endpoint itself, and comes as its badge.
    CHECK_EQUAL(1, seL4_MessageInfo_get_capsUnwrapped(info));
    CHECK_EQUAL(badge, seL4_GetBadge(0));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NOTIFICATION, kind_of(target));
}

TEST(buffer_and_user_data)
{
    seL4_IPCBuffer *own = seL4_GetIPCBuffer();
    CHECK_EQUAL((seL4_Word)boot->ipcBuffer, (seL4_Word)own);
    seL4_SetUserData(0x77);
    CHECK_EQUAL(0x77, seL4_GetUserData());
    CHECK_EQUAL(0x77, own->userData);
    seL4_SetMR(119, 5);
    CHECK_EQUAL(5, own->msg[119]);
    static seL4_IPCBuffer other;
    seL4_SetIPCBuffer(&other);
    seL4_SetMR(3, 9);
    seL4_Word found = other.msg[3];
    seL4_SetIPCBuffer(own);
    CHECK_EQUAL(9, found);
}
