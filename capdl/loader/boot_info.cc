// SPDX-License-Identifier: BSD-2-Clause
// Walks the chunks of the extra boot information.
#include "capdl/loader/boot_info.hpp"

namespace caprock::loader {
namespace {

/// Each chunk starts with these words; length counts them.
struct ChunkHeader {
    uint64_t id;
    uint64_t length;
};

constexpr uint64_t extra_offset = 4096;

}  // namespace

BootView read_boot_info(const abi::RootBootInfo& info) {
    BootView view{.info = &info, .platform = nullptr, .device_tree = {}};
    const uint8_t* chunk = reinterpret_cast<const uint8_t*>(&info) + extra_offset;
    for (uint64_t left = info.extra_len; left >= sizeof(ChunkHeader);) {
        const ChunkHeader& header = *reinterpret_cast<const ChunkHeader*>(chunk);
        if (header.length < sizeof(ChunkHeader) || header.length > left) break;
        const uint8_t* content = chunk + sizeof(ChunkHeader);
        const uint64_t length = header.length - sizeof(ChunkHeader);
        if (header.id == static_cast<uint64_t>(abi::BootChunk::Fdt)) view.device_tree = {content, length};
        if (header.id == static_cast<uint64_t>(abi::BootChunk::Caprock) && length >= sizeof(abi::RootPlatform))
            view.platform = reinterpret_cast<const abi::RootPlatform*>(content);
        chunk += header.length;
        left -= header.length;
    }
    return view;
}

}  // namespace caprock::loader
