/* SPDX-License-Identifier: BSD-2-Clause */
/* What a component in C holds, by the names of its description, and how it serves. As in self.hpp, a name that the description does not give ends the
   component with a message that says which. */
#pragma once

#include <caprock/rpc.h>

#ifdef __cplusplus
#define CAPROCK_NORETURN [[noreturn]]
extern "C" {
#else
#define CAPROCK_NORETURN _Noreturn
#endif

/* The endpoint of `uses NAME`, whose interface must be that one. Generated headers call it. */
uint64_t caprock_uses(const char *name, const char *interface, uint64_t meaning);
/* Signals the notification of `emits NAME`. */
void caprock_emit(const char *name);
/* The bit, as a mask, of `consumes NAME`. */
uint64_t caprock_consumes(const char *name);
/* Calls visit(context, NAME) for each `consumes NAME` of which a signal has come. signals: bits that were taken. */
void caprock_for_each_signal(uint64_t signals, void (*visit)(void *context, const char *name), void *context);
/* Waits for one of the signals in `mask`, and takes those of them that have come. */
uint64_t caprock_wait_for(uint64_t mask);
/* The shared memory of `region NAME`, and its bytes. */
void *caprock_region(const char *name, size_t *size);
/* The registers of `device NAME`, and their bytes. */
volatile void *caprock_device(const char *name, size_t *size);
/* The first slot of `grant NAME`. */
uint64_t caprock_grant(const char *name);
/* The number in `args { NAME: n }`. */
uint64_t caprock_argument(const char *name);
/* The heap, and its bytes. */
void *caprock_heap(size_t *size);
/* Ends the component with a reason, of which up to 56 characters arrive. */
CAPROCK_NORETURN void caprock_panic(const char *reason);

/* Something that is provided: `provides PORT`, its interface, and who answers. Generated headers make it. */
struct caprock_provided {
    const char *port;
    const char *interface;
    uint64_t meaning;
    const void *service;
    void (*dispatch)(const void *service, struct caprock_packet *packet);
};

/* What happens when signals come. */
struct caprock_signal_handler {
    uint64_t mask;
    void *context;
    void (*deliver)(void *context, uint64_t signals);
};

/* Serves for ever; see Server in server.hpp. */
CAPROCK_NORETURN void caprock_serve(const struct caprock_provided *provided, size_t provided_count, const struct caprock_signal_handler *handlers,
    size_t handler_count);

#ifdef __cplusplus
}
#endif
