// SPDX-License-Identifier: BSD-2-Clause
// Checks of the payload, in the order that gives the most telling message: a foreign file first, then a cut one, then a damaged one.
#include "payload.hpp"

#include "crc32.hpp"

namespace caprock::shim {
namespace {

constexpr const char* copy_again = "copy system.bin to the boot medium again";
constexpr const char* build_together = "build Image and system.bin from the same source tree";

constexpr ElfTexts root_texts{
    .damaged = "payload: the root task's ELF is damaged",
    .foreign = "payload: the root task is not an AArch64 executable",
    .segments = "payload: the root task's segments are unordered, overlapping or not 1 to 8",
    .remedy = "build system.bin again, with a root task linked by the project's linker script",
};

uint32_t payload_crc32(const uint8_t* data, const abi::PayloadHeader& header) {
    abi::PayloadHeader unsealed = header;
    unsealed.crc32 = 0;
    Crc32 crc;
    crc.add(&unsealed, sizeof(unsealed));
    crc.add(data + sizeof(unsealed), header.total_size - sizeof(unsealed));
    return crc.value();
}

Problem check_header(const abi::PayloadHeader& header, uint64_t size) {
    if (header.magic != abi::payload_magic) return {"payload: not a Caprock system", "load system.bin as the initial ramdisk"};
    if (header.version != abi::boot_version) return {"payload: its format has another version than this Image", build_together};
    if (header.total_size > size) return {"payload: truncated", copy_again};
    if (header.total_size < sizeof(header)) return {"payload: its header is damaged", copy_again};
    return {};
}

}  // namespace

Problem read_payload(const uint8_t* data, uint64_t size, Payload& payload) {
    abi::PayloadHeader& header = payload.header;
    if (size < sizeof(header)) return {"payload: truncated", copy_again};
    __builtin_memcpy(&header, data, sizeof(header));
    if (const Problem problem = check_header(header, size)) return problem;
    if (payload_crc32(data, header) != header.crc32) return {"payload: damaged, its CRC-32 is wrong", copy_again};
    if (header.api_hash != abi::api_hash) return {"payload: the root task was built for another API than this Image", build_together};
    if (header.root_offset % 8 != 0 || header.root_offset > header.total_size ||
        header.root_size > header.total_size - header.root_offset) {
        return {"payload: the root task lies outside the payload", "build system.bin again"};
    }
    if (const Problem problem = read_elf(data + header.root_offset, header.root_size, root_texts, payload.root)) return problem;
    if (payload.root.has_api_hash && payload.root.api_hash != abi::api_hash) {
        return {"payload: the root task's ELF note names another API than this Image", build_together};
    }
    return check_root(payload.root, payload.root_bytes);
}

}  // namespace caprock::shim
