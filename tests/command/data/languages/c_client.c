/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls a server in C++, prints whether it said what it should, and ends the system. */
#include <caprock/syscall.h>
#include <interfaces/console.h>
#include <interfaces/system.h>
#include <interfaces/test.h>

static uint64_t console;

static void say(const char *text)
{
    if (console_write(console, text, __builtin_strlen(text)) != CAPROCK_RPC_NONE)
        caprock_panic("the console refused a line");
}

static void expect(bool truth, const char *what)
{
    if (!truth)
        caprock_panic(what);
}

static void check_move(uint64_t test)
{
    const struct test_Point by = {10, 20};
    struct test_Point ends[2] = {{1, 2}, {-100, -3}};
    char greeting[24];
    size_t size = 0;
    uint16_t many[3];
    int32_t sum = 0;
    expect(test_move(test, &by, ends, "C", 1, greeting, &size, many, &sum) == CAPROCK_RPC_NONE, "move");
    expect(sum == 11 + 22 - 90 + 17 && ends[0].x == 11 && ends[1].x == -90 && ends[1].y == 17 && many[0] == 65535 && many[2] == 65533, "values");
    expect(size == 8 && __builtin_memcmp(greeting, "hello, C", 8) == 0, "greeting");
    expect(test_move(test, &by, ends, greeting, 17, greeting, &size, many, &sum) == CAPROCK_RPC_BAD_ARGUMENT, "long name");
    say("moved\n");
}

static void check_caps(uint64_t test)
{
    for (int i = 0; i < 2; ++i) {
        expect(test_ring(test, caprock_grant("bell")) == CAPROCK_RPC_NONE, "ring");
        expect(caprock_wait_for(caprock_consumes("bell")) != 0, "bell");
    }
    expect(test_ring(test, 0) == CAPROCK_RPC_MISSING_CAP, "ring without a bell");
    for (int i = 0; i < 12; ++i) {
        uint64_t bell = 0;
        expect(test_bell(test, &bell) == CAPROCK_RPC_NONE && bell != 0, "a bell of its own");
        caprock_signal(bell);
        caprock_release_cap(bell);
    }
    uint64_t count = 0;
    expect(test_rung(test, &count) == CAPROCK_RPC_NONE && count == 12, "rung");
    say("rang\n");
}

int main(void)
{
    console = console_connect("console");
    const uint64_t test = test_connect("test");
    caprock_wait_for(caprock_consumes("next"));
    check_move(test);
    check_caps(test);
    expect(test_refuse(test, 9) == CAPROCK_RPC_FIRST + 9, "refuse");
    caprock_emit("tick");
    system_exit(system_connect("system"), 0);
    return 1;
}
