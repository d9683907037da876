// SPDX-License-Identifier: BSD-2-Clause
// The life of threads: each is made of the same memory, and gone behind its row.
#include "objects.hpp"

namespace bench {

using namespace caprock;

namespace {

constexpr uint64_t tcb_bits = 11;
constexpr uint64_t context_bits = 8;
constexpr uint64_t lower_priority = 50;
constexpr uint64_t higher_priority = 110;
constexpr uint64_t turn_us = 60'000'000;
constexpr uint64_t resume_target = 1;
constexpr uint64_t registers_written = 12;   // to x8
constexpr uint64_t buffer_address = 0x1018'0000;

/// What a new thread does: waits for what never comes.
[[noreturn]] void wait_forever(uint64_t notification)
{
    sys::ShortMessage message;
    for (;;)
        sys::wait(notification, message);
}

/// Memory for one thread, and what it shares with the last one.
class Threads {
public:
    explicit Threads(Workshop& shop)
        : shop_ {shop}, memory_ {shop.make_memory(tcb_bits)}, thread_ {shop.slot()}, context_ {shop.slot()}, buffer_ {shop.slot()},
          notification_ {shop.slot()}
    {
        shop.make(shop.memory, abi::ObjectType::SchedContext, context_.address(), context_bits);
        shop.make(shop.memory, abi::ObjectType::SmallPage, buffer_.address());
        shop.make(shop.memory, abi::ObjectType::Notification, notification_.address());
        must(shop.time.configure_flags(turn_us, turn_us, 0, 0, abi::SchedContextFlags {0}, context_));
    }

    Result<void> create() const { return memory_.retype(abi::ObjectType::TCB, 0, 0, 0, thread_.address(), 1, shop_.cnode); }
    Result<void> configure() const
    {
        return thread_.configure(abi::CNodeCapData {0}, 0, buffer_address, shop_.cnode, shop_.vspace, buffer_);
    }
    Result<void> schedule(uint64_t priority) const { return thread_.set_sched_params(0, priority, shop_.thread, context_, CapRef {}); }
    Result<void> start() const
    {
        abi::UserContext context {};
        context.pc = reinterpret_cast<uint64_t>(wait_forever);
        context.x0_x8[0] = notification_.address();
        context.sp = reinterpret_cast<uint64_t>(stack_ + sizeof stack_);
        return thread_.write_registers(resume_target, registers_written, context);
    }
    Result<void> resume() const { return thread_.resume(); }
    Result<void> suspend() const { return thread_.suspend(); }
    Result<void> destroy() const { return shop_.cnode.delete_cap(thread_.address(), Workshop::depth); }

private:
    Workshop& shop_;
    Cap<Untyped> memory_;
    Cap<TCB> thread_;
    Cap<SchedContext> context_;
    Cap<Frame> buffer_;
    Cap<Notification> notification_;
    alignas(16) static inline uint8_t stack_[1024];
};

/// The first method that fails, or success.
Result<void> in_order(const Threads& threads)
{
    if (const auto created = threads.create(); !created.ok())
        return created;
    if (const auto configured = threads.configure(); !configured.ok())
        return configured;
    if (const auto scheduled = threads.schedule(higher_priority); !scheduled.ok())
        return scheduled;
    if (const auto started = threads.start(); !started.ok())
        return started;
    return threads.destroy();
}

} // namespace

void measure_threads(Table& table, Workshop& shop)
{
    const Threads threads {shop};
    table.add("tcb configure", figure_of([&] {
        must(threads.create());
        announce<Operation::TcbConfigure>();
        const uint64_t ticks = ticks_of([&] { return threads.configure(); });
        must(threads.destroy());
        return ticks;
    }));
    table.add("tcb delete", figure_of([&] {
        must(threads.create());
        must(threads.configure());
        must(threads.schedule(lower_priority));
        return ticks_of([&] { return threads.destroy(); });
    }));
    table.add("tcb life", figure_of([&] { return ticks_of([&] { return in_order(threads); }); }));
    must(threads.create());
    must(threads.configure());
    must(threads.schedule(lower_priority));
    table.add("tcb resume", figure_of([&] {
        announce<Operation::TcbResume>();
        const uint64_t ticks = ticks_of([&] { return threads.resume(); });
        must(threads.suspend());
        return ticks;
    }));
    must(threads.destroy());
}

} // namespace bench
