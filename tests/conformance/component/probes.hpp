// SPDX-License-Identifier: BSD-2-Clause
// Code in assembly whose registers are known exactly (probes.S).
#pragma once

#include <stdint.h>

extern "C" {

/// x0 to x18 become registers[0] to [18], svc #0, and they are stored there again.
void probe_system_call(uint64_t* registers);
/// The svc instruction of probe_system_call.
extern const uint32_t probe_system_call_svc[];

/// Stores x0 to x30 at sp, and stops with an undefined instruction.
void probe_store_registers();

/// Makes the system call that the registers describe, and stops with an undefined instruction.
void probe_call_and_stop();

/// Fills x2 to x29 from `seed`, counts `rounds` (at least 1) down, and returns how many of the registers changed meanwhile.
uint64_t probe_general_registers(uint64_t seed, uint64_t rounds);

/// Fills v0 to v31, FPCR and FPSR from `seed`.
void probe_fill_simd(uint64_t seed);
/// How many of them do not have what probe_fill_simd put there.
uint64_t probe_check_simd(uint64_t seed);
/// The bits that are set anywhere in v0 to v31, FPCR and FPSR.
uint64_t probe_gather_simd();
/// Uses the unit, and no more.
void probe_use_simd();

}
