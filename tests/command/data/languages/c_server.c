/* SPDX-License-Identifier: BSD-2-Clause */
/* Serves Test in C. */
#include <caprock/syscall.h>
#include <interfaces/test.h>

static uint64_t signals;

static uint64_t move(void *context, uint64_t badge, const struct test_Point *by, struct test_Point ends[2], const void *name, size_t name_size, void *greeting,
    size_t *greeting_size, uint16_t many[3], int32_t *sum)
{
    (void)context;
    if ((badge >> 48) != 1)
        return CAPROCK_RPC_REFUSED;
    *sum = 0;
    for (int i = 0; i < 2; ++i) {
        ends[i].x += by->x;
        ends[i].y += by->y;
        *sum += ends[i].x + ends[i].y;
    }
    __builtin_memcpy(greeting, "hello, ", 7);
    __builtin_memcpy((char *)greeting + 7, name, name_size);
    *greeting_size = 7 + name_size;
    for (int i = 0; i < 3; ++i)
        many[i] = (uint16_t)(65535 - i);
    return CAPROCK_RPC_NONE;
}

static uint64_t ring(void *context, uint64_t badge, uint64_t *bell)
{
    (void)context;
    (void)badge;
    caprock_signal(*bell);
    return CAPROCK_RPC_NONE;
}

static uint64_t bell(void *context, uint64_t badge, uint64_t *bell_slot)
{
    (void)context;
    (void)badge;
    *bell_slot = caprock_grant("bell");
    return CAPROCK_RPC_NONE;
}

static uint64_t rung(void *context, uint64_t badge, uint64_t *count)
{
    (void)context;
    (void)badge;
    *count = signals;
    return CAPROCK_RPC_NONE;
}

static uint64_t refuse(void *context, uint64_t badge, uint8_t why)
{
    (void)context;
    (void)badge;
    return CAPROCK_RPC_FIRST + why;
}

static void count_signal(void *context, uint64_t arrived)
{
    (void)context;
    (void)arrived;
    ++signals;
}

int main(void)
{
    const struct test_service service = {0, move, ring, bell, rung, refuse};
    const struct caprock_provided provided = test_provided("test", &service);
    const struct caprock_signal_handler handler = {caprock_consumes("tick"), 0, count_signal};
    caprock_serve(&provided, 1, &handler, 1);
}
