// SPDX-License-Identifier: BSD-2-Clause
// The payload (system.bin): the checks that it passes before a byte of it is used.
#pragma once

#include "caprock/abi.hpp"
#include "elf.hpp"
#include "problem.hpp"

namespace caprock::shim {

// A checked payload.
struct Payload {
    abi::PayloadHeader header{};
    Elf root{};
    uint64_t root_bytes = 0;  // all pages of the root task's segments
};

// Checks the `size` bytes at `data`, which is aligned to 8: magic, version, sizes, CRC-32, API hash, and the root task's ELF.
Problem read_payload(const uint8_t* data, uint64_t size, Payload& payload);

}  // namespace caprock::shim
