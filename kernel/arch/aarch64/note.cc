// SPDX-License-Identifier: BSD-2-Clause
// The ELF note that names the API description this kernel was built with; the boot shim refuses a kernel whose hash is not its own.
#include "caprock/abi.hpp"

namespace caprock::arch {
namespace {
struct ApiNote {
    uint32_t name_size = sizeof(name);
    uint32_t content_size = sizeof(hash);
    uint32_t type = 1;
    char name[8] = "Caprock";
    uint32_t hash[2] = {static_cast<uint32_t>(abi::api_hash), static_cast<uint32_t>(abi::api_hash >> 32)};  // aligned to 4 bytes only
};
[[gnu::used, gnu::section(".note.caprock")]] constexpr ApiNote note;
}  // namespace
}  // namespace caprock::arch
