// SPDX-License-Identifier: BSD-2-Clause
// The other end of messages: answers each with itself, alone or with SIMD registers in use, or notes times and changes the words, or only
// receives. The description says which, by `role`.
#include "bench.hpp"

namespace bench {
namespace {

/// Answers with each word one higher, and tells when its system calls began and ended.
[[noreturn]] void serve_noting_times(uint64_t endpoint, uint64_t reply)
{
    Stamps& times = stamps("times");
    uint64_t* memory = caprock_ipc_buffer->msg;
    Registers registers {};
    Shot shot = trap(registers, abi::Syscall::Recv, endpoint, 0, reply);
    for (;;) {
        times.start = shot.start;
        times.end = shot.end;
        const uint64_t length = abi::MessageInfo {registers.x[1]}.length();
        for (uint64_t i = 0; i < length; ++i)
            ++(i < abi::ipc_register_words ? registers.x[word_register(i)] : memory[i]);
        shot = trap(registers, abi::Syscall::ReplyRecv, endpoint, message_info(length), reply);
    }
}

[[noreturn]] void serve()
{
    const uint64_t endpoint = self().info().endpoint;
    const uint64_t reply = self().info().reply;
    const caprock::Text role = self().argument_text("role");
    Registers registers {};
    set_call(registers, abi::Syscall::Recv, endpoint, 0, reply);
    if (role == "answer")
        bench_serve(registers, static_cast<uint64_t>(abi::Syscall::ReplyRecv));
    if (role == "answer with SIMD")
        bench_serve_simd(registers, static_cast<uint64_t>(abi::Syscall::ReplyRecv));
    if (role == "note times")
        serve_noting_times(endpoint, reply);
    if (role == "receive")
        bench_serve(registers, static_cast<uint64_t>(abi::Syscall::Recv));
    caprock::panic("unknown role {}", role);
}

} // namespace
} // namespace bench

int main() { bench::serve(); }
