/* SPDX-License-Identifier: BSD-2-Clause */
/* The environment that libfdt is compiled against, by libfdt's own convention for ports: byte order and the few library functions it calls,
   here without a hosted C library's headers. */
#ifndef CAPROCK_SHIM_LIBFDT_ENV_H
#define CAPROCK_SHIM_LIBFDT_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint16_t fdt16_t;
typedef uint32_t fdt32_t;
typedef uint64_t fdt64_t;

static inline uint16_t fdt16_to_cpu(fdt16_t x) { return __builtin_bswap16(x); }
static inline fdt16_t cpu_to_fdt16(uint16_t x) { return __builtin_bswap16(x); }
static inline uint32_t fdt32_to_cpu(fdt32_t x) { return __builtin_bswap32(x); }
static inline fdt32_t cpu_to_fdt32(uint32_t x) { return __builtin_bswap32(x); }
static inline uint64_t fdt64_to_cpu(fdt64_t x) { return __builtin_bswap64(x); }
static inline fdt64_t cpu_to_fdt64(uint64_t x) { return __builtin_bswap64(x); }

void* memcpy(void* destination, const void* source, size_t size);
void* memmove(void* destination, const void* source, size_t size);
void* memset(void* destination, int byte, size_t size);
int memcmp(const void* a, const void* b, size_t size);
void* memchr(const void* memory, int byte, size_t size);
size_t strlen(const char* text);
size_t strnlen(const char* text, size_t limit);
char* strchr(const char* text, int character);
char* strrchr(const char* text, int character);

#ifdef __cplusplus
}
#endif

#endif
