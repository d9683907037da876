// SPDX-License-Identifier: BSD-2-Clause
// The calling thread's IPC buffer, and the ELF note that says for which API a program was built. A native component has both already, in libcaprock.a.
#include <caprock/syscall.h>

[[gnu::weak]] constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;

namespace {

// Type 1 of owner "Caprock". By assembly, as compilers align constants of this size to 8 bytes, which readers of notes take for another format.
[[gnu::used]] void emit_api_note() {
    __asm__(".pushsection .note.caprock, \"aR\", %%note\n\t"
            ".balign 4\n\t"
            ".4byte 8, 8, 1\n\t"
            ".asciz \"Caprock\"\n\t"
            ".8byte %c0\n\t"
            ".popsection"
            :
            : "i"(caprock::abi::api_hash));
}

}  // namespace
