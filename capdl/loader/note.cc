// SPDX-License-Identifier: BSD-2-Clause
// The ELF note that every program of the system carries: the API that it was built for.
#include "caprock/abi.hpp"

namespace {

/// Type 1 of owner "Caprock". The hash is in two words, as notes are aligned to four bytes.
struct ApiNote {
    uint32_t owner_size;
    uint32_t content_size;
    uint32_t type;
    char owner[8];
    uint32_t hash[2];
};

}  // namespace

// KEEP in link.ld holds it, as nothing refers to it.
extern "C" {
extern const ApiNote caprock_api_note;
[[gnu::section(".note.caprock"), gnu::used]] const ApiNote caprock_api_note = {
    .owner_size = sizeof(ApiNote::owner),
    .content_size = sizeof(ApiNote::hash),
    .type = 1,
    .owner = "Caprock",
    .hash = {static_cast<uint32_t>(caprock::abi::api_hash), static_cast<uint32_t>(caprock::abi::api_hash >> 32)},
};
}
