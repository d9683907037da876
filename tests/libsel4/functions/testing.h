// SPDX-License-Identifier: BSD-2-Clause
// A root task's tests: registration and checks, and what tests make objects, mappings and threads with. After each test everything that it made is
// gone.
#pragma once

#include <caprock/root.h>
#include <sel4/sel4.h>

typedef struct {
    const char *name;
    void (*run)(void);
} Test;

/// Declares and registers a test; it ends at the first check that fails.
#define TEST(name) \
    static void test_##name(void); \
    __attribute__((section("tests"), used, aligned(16))) static const Test entry_##name = {#name, test_##name}; \
    static void test_##name(void)

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fail(__FILE__, __LINE__, #condition, 0, 0); \
            return; \
        } \
    } while (0)
#define CHECK_EQUAL(expected, actual) \
    do { \
        seL4_Word wanted_ = (seL4_Word)(expected), found_ = (seL4_Word)(actual); \
        if (wanted_ != found_) { \
            fail(__FILE__, __LINE__, #actual, wanted_, found_); \
            return; \
        } \
    } while (0)
/// The call succeeds, or fails with this error.
#define SUCCEEDS(call) CHECK_EQUAL(seL4_NoError, call)
#define FAILS(error, call) CHECK_EQUAL(error, call)
/// The same with a word of the error's details.
#define FAILS_WITH(error, word, value, call) \
    FAILS(error, call); \
    CHECK_EQUAL(value, seL4_GetMR(word))

void fail(const char *file, int line, const char *text, seL4_Word expected, seL4_Word actual);
/// Adds a line to the report.
void note(const char *text, seL4_Word value);

enum {
    main_priority = 100,
    cnode = seL4_CapInitThreadCNode,
    vspace = seL4_CapInitThreadVSpace,
    self = seL4_CapInitThreadTCB,
    depth = 64,
    /// A slot beyond the CNode.
    nowhere = 1 << 30
};

extern seL4_BootInfo *boot;

/// An empty slot.
seL4_CPtr new_slot(void);
/// A new object, or 0 after a failed check of its own.
seL4_CPtr make(seL4_Word type, seL4_Word bits);
/// A copy of a capability with a badge or guard, and all rights.
seL4_CPtr mint(seL4_CPtr source, seL4_Word badge);
/// The type of a capability, a value of caprock_cap_type_t.
seL4_Word kind_of(seL4_CPtr slot);
/// An address that nothing is mapped at, aligned to 2 MiB.
seL4_Word new_address(void);
/// Maps a frame, making page tables as they are missing.
seL4_Error map(seL4_CPtr frame, seL4_CPtr space, seL4_Word vaddr);
/// A new page, mapped.
void *new_page(seL4_CPtr *frame);

typedef struct {
    seL4_CPtr tcb;
    seL4_CPtr context;
    seL4_IPCBuffer *buffer;
} Thread;

/// A new thread of this program that can be resumed, with time of its own.
Thread new_thread(void (*entry)(void *), void *argument, seL4_Word priority);
/// The same, resumed.
Thread start(void (*entry)(void *), void *argument, seL4_Word priority);
/// Microseconds in ticks of the counter.
seL4_Word ticks(seL4_Word microseconds);
/// Lets threads of lower priority run for some time.
void sleep_us(seL4_Word microseconds);
/// Ends the calling thread.
__attribute__((noreturn)) void stop(void);
