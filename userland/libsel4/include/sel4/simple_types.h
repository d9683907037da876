// SPDX-License-Identifier: BSD-2-Clause
// Integers by size, the word, and truth.
#pragma once

#include <sel4/config.h>
#include <sel4/macros.h>

typedef signed char seL4_Int8;
typedef unsigned char seL4_Uint8;
typedef signed short seL4_Int16;
typedef unsigned short seL4_Uint16;
typedef signed int seL4_Int32;
typedef unsigned int seL4_Uint32;
typedef signed long seL4_Int64;
typedef unsigned long seL4_Uint64;

#define SEL4_INT64_IS_LONG 1
#define SEL4_WORD_IS_UINT64 1

typedef seL4_Uint64 seL4_Word;
typedef seL4_Word seL4_CPtr;
typedef seL4_Word seL4_Register;
typedef seL4_Word seL4_NodeId;
typedef seL4_Word seL4_Domain;
typedef seL4_Word seL4_PAddr;
typedef seL4_Uint64 seL4_Time;
typedef seL4_Int8 seL4_Bool;

#define seL4_True 1
#define seL4_False 0
#ifdef __cplusplus
#define seL4_Null 0L
#else
#define seL4_Null ((void *)0)
#endif

// Formats for printf.
#define SEL4_PRId64 "ld"
#define SEL4_PRIi64 "li"
#define SEL4_PRIu64 "lu"
#define SEL4_PRIx64 "lx"
#define SEL4_PRI_word "lu"
#define SEL4_PRId_word "ld"
#define SEL4_PRIi_word "li"
#define SEL4_PRIu_word "lu"
#define SEL4_PRIx_word "lx"

SEL4_COMPILE_ASSERT(seL4_Word_has_the_machines_size, sizeof(seL4_Word) == 8 && sizeof(void *) == 8 && sizeof(seL4_Int32) == 4)
