// SPDX-License-Identifier: BSD-2-Clause
// From the first instructions to main: checks ComponentInfo, sets the IPC buffer, runs constructors. Also the ELF note by which
// the capdl tool refuses a component that was built for another API.

#include <caprock/self.hpp>

int main();

constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;

extern "C" {
extern void (*__init_array_start[])();
extern void (*__init_array_end[])();
}

namespace caprock {

namespace {

// By assembly, as compilers align constants of this size to 8 bytes, which readers of notes take for another format.
[[gnu::used]] void emit_api_note()
{
    __asm__(".pushsection .note.caprock, \"a\", %%note\n\t"
            ".balign 4\n\t"
            ".4byte 8, 8, 1\n\t"
            ".asciz \"Caprock\"\n\t"
            ".8byte %c0\n\t"
            ".popsection"
            :
            : "i"(abi::api_hash));
}

alignas(Self) uint8_t self_storage[sizeof(Self)];

void check(const ComponentInfo* info)
{
    if (info == nullptr || info->magic != component::component_magic)
        panic("started without ComponentInfo");
    if (info->api_hash != abi::api_hash)
        panic("built for API {}, not {}", hex(abi::api_hash), hex(info->api_hash));
}

} // namespace

Self& self() { return *reinterpret_cast<Self*>(self_storage); }

extern "C" [[noreturn]] void caprock_start(const ComponentInfo* info)
{
    check(info);
    caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(info->ipc_buffer);
    // Placed by hand: constructors of global objects may use self().
    __builtin_memcpy(self_storage, &static_cast<const Self&>(Self {*info}), sizeof(Self));
    self().prepare_receive_slot();
    self().prepare_heartbeat();
    for (auto constructor = __init_array_start; constructor != __init_array_end; ++constructor)
        (*constructor)();
    end(static_cast<uint64_t>(main()));
}

} // namespace caprock
