// SPDX-License-Identifier: BSD-2-Clause
// Processes: address spaces of their own, made of the ELF files in the archive that is part of this program.
#pragma once

#include "../functions/testing.h"

/// Slots of a process's CNode.
enum {
    child_tcb = 1,
    child_cnode = 2,
    child_vspace = 3,
    child_endpoint = 4,
    child_received = 8,
    child_cnode_bits = 4,
    /// Where the page tables of a process end that exist from its start: frames can be mapped below.
    child_heap = 0x10100000,
    child_buffer = 0x101ff000,
    child_stack = 0x101fe000
};

typedef struct {
    seL4_CPtr tcb, context, cspace, space, endpoint;
} Process;

/// Makes a process of a file of the archive, with a badged capability to an endpoint, the same one for its faults. `what` is its argument.
/// It has its budget every period.
Process new_process(const char *file, seL4_CPtr endpoint, seL4_Word badge, seL4_Word what, seL4_Word priority);
/// A file of a cpio archive (new ASCII format); null if it has none of that name.
const char *find_file(const char *archive, const char *name, seL4_Word *size);
extern const char _cpio_archive[];

/// Requests of the child, the labels of its calls.
enum { request_done = 100, request_page = 101, request_progress = 102 };
/// Arguments: what the child does.
enum { do_answer = 1, do_touch_pages = 2, do_map_received = 3, do_simd = 4, do_count = 5 };
enum { touched_pages = 20, simd_rounds = 40, page_bytes = 4096 };
