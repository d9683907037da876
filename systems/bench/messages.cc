// SPDX-License-Identifier: BSD-2-Clause
// Calls, replies and sends.
#include "messages.hpp"
#include "rows.hpp"

namespace bench {
namespace {

/// One way there and one way back, to a server that notes times. It tells the beginning of a reply with the next call.
void measure_one_way(Table& table)
{
    const uint64_t server = endpoint_of("noting");
    Stamps& times = stamps("noting");
    Registers registers {};
    Shot last = trap(registers, abi::Syscall::Call, server);
    const auto call = [&] {
        announce<Operation::OneWay>();
        const Shot shot = trap(registers, abi::Syscall::Call, server);
        return times.end - shot.start;
    };
    const auto reply = [&] {
        const Shot shot = trap(registers, abi::Syscall::Call, server);
        const uint64_t ticks = last.end - times.start;
        last = shot;
        return ticks;
    };
    table.add("call one way", figure_of(call));
    last = trap(registers, abi::Syscall::Call, server);
    table.add("replyrecv one way", figure_of(reply));
}

void check_word(uint64_t found, uint64_t expected, uint64_t index)
{
    if (found != expected)
        caprock::panic("word {} came back as {}, not {}", index, found, expected);
}

/// Whether messages of that length arrive whole: the server that notes times adds one to each word.
void check_transfer(uint64_t words)
{
    constexpr uint64_t first = 0x1234'5678'9abc'def0;
    Registers registers {};
    uint64_t* memory = caprock_ipc_buffer->msg;
    const auto word = [&](uint64_t index) -> uint64_t& {
        return index < abi::ipc_register_words ? registers.x[word_register(index)] : memory[index];
    };
    for (uint64_t i = 0; i < words; ++i)
        word(i) = first + i;
    trap(registers, abi::Syscall::Call, endpoint_of("noting"), message_info(words));
    check_word(abi::MessageInfo {registers.x[1]}.length(), words, abi::ipc_message_words);
    for (uint64_t i = 0; i < words; ++i)
        check_word(word(i), first + i + 1, i);
}

Figure round_trip(caprock::Text server, uint64_t words)
{
    check_transfer(words);
    const uint64_t endpoint = endpoint_of(server);
    const bool announced = words == 0 && server == "passive";
    Registers registers {};
    const auto shot = [&] {
        if (announced)
            announce<Operation::RoundTrip>();
        return trap(registers, abi::Syscall::Call, endpoint, message_info(words)).ticks();
    };
    const uint64_t middle = median_of(shot);
    set_call(registers, abi::Syscall::Call, endpoint, message_info(words));
    return {middle, loop_mean(bench_loop_trap, registers)};
}

Figure null_send()
{
    Registers registers {};
    const uint64_t middle = median_of([&] {
        announce<Operation::NullSend>();
        return trap(registers, abi::Syscall::NBSend, 0).ticks();
    });
    set_call(registers, abi::Syscall::NBSend, 0);
    return {middle, loop_mean(bench_loop_trap, registers)};
}

Figure send()
{
    const uint64_t receiver = endpoint_of("receiver");
    Registers registers {};
    const uint64_t middle = median_of([&] { return trap(registers, abi::Syscall::Send, receiver).ticks(); });
    set_call(registers, abi::Syscall::Send, receiver);
    return {middle, loop_mean(bench_loop_trap, registers)};
}

} // namespace

uint64_t endpoint_of(caprock::Text server) { return self().get(caprock::ComponentEntryKind::Uses, server).value; }

uint64_t loop_mean(Loop loop, Registers& registers)
{
    Registers nothing {};
    const uint64_t own = bench_loop_nothing(nothing, rounds).ticks();
    return (loop(registers, rounds).ticks() - own) * 100 / rounds;
}

void measure_messages(Table& table)
{
    table.add("nbsend null", null_send());
    measure_one_way(table);
    table.add("round trip 0 words, passive server, same or other address space", round_trip("passive", 0));
    table.add("round trip 4 words", round_trip("passive", 4));
    table.add("round trip 10 words", round_trip("passive", 10));
    table.add("round trip 64 words", round_trip("passive", 64));
    table.add("round trip 120 words", round_trip("passive", 120));
    table.add("round trip 0 words, server with its own scheduling context", round_trip("active", 0));
    table.add("send receive", send());
}

void measure_simd(Table& table)
{
    const uint64_t server = endpoint_of("simd");
    Registers registers {};
    const auto round_trip_of = [&] {
        set_call(registers, abi::Syscall::Call, server);
        return bench_simd_trap(registers).ticks();
    };
    const auto first_use = [&] {
        trap(registers, abi::Syscall::Call, server);
        return bench_simd().ticks();
    };
    const uint64_t middle = median_of(round_trip_of);
    set_call(registers, abi::Syscall::Call, server);
    table.add("round trip 0 words, both sides use SIMD in every iteration (FPU enabled)", {middle, loop_mean(bench_loop_simd_trap, registers)});
    table.add("first FP use after a switch", figure_of(first_use));
}

} // namespace bench
