// SPDX-License-Identifier: BSD-2-Clause
#include "world.hpp"

#include "ipc/message.hpp"

#include <new>
#include <ostream>

namespace caprock::test {

using host::hardware;

std::ostream& operator<<(std::ostream& out, const Answer& answer) {
    out << "{badge " << answer.badge << ", label " << answer.label << ", words";
    for (Word word : answer.words) out << ' ' << std::hex << word << std::dec;
    return out << ", caps " << answer.caps << ", unwrapped " << answer.unwrapped << '}';
}

abi::IPCBuffer& Thread::ipc() const { return *readable_buffer(*object); }

abi::BootInfo make_boot_info() {
    constexpr Word start = host::ram_start;
    constexpr Word megabyte = Word{1} << 20;
    abi::BootInfo info{};
    info.magic = abi::boot_magic;
    info.version = abi::boot_version;
    info.api_hash = abi::api_hash;
    info.kernel = {start, start + 2 * megabyte};
    info.fdt = {start + 2 * megabyte, start + 2 * megabyte + page_size};
    info.boot_info = {info.fdt.end, info.fdt.end + page_size};
    info.root = {info.boot_info.end, info.boot_info.end + 3 * page_size};
    info.root_entry = 0x400000;
    info.segment_count = 2;
    info.segments[0] = {.vaddr = 0x400000, .paddr = info.root.start, .size = 2 * page_size, .flags = 5, .reserved = 0};
    info.segments[1] = {.vaddr = 0x402000, .paddr = info.root.start + 2 * page_size, .size = page_size, .flags = 6, .reserved = 0};
    info.ram_count = 1;
    info.ram[0] = {start, start + host::ram_bytes};
    info.no_map_count = 1;
    info.no_map[0] = {start + 48 * megabyte, start + 48 * megabyte + 16 * page_size};
    info.core_count = 1;
    info.gic_version = 2;
    info.gic_distributor = {0x0800'0000, 0x0801'0000};
    info.gic_cpu = {0x0801'0000, 0x0802'0000};
    info.timer_frequency = 62'500'000;
    info.console_kind = static_cast<Word>(abi::ConsoleKind::Pl011);
    info.console = {0x0900'0000, 0x0900'1000};
    info.boot_el = 1;
    return info;
}

void boot(const abi::BootInfo& info, unsigned cores) {
    // The kernel's state is one object of its own; where it is shows once a core was bound.
    static Kernel* kernel = nullptr;
    if (kernel != nullptr) new (kernel) Kernel{};
    Word frequency = hardware.frequency;
    host::reset();
    hardware.frequency = frequency;
    boot_kernel(info, cores);
    kernel = hardware.core->kernel;
}

World::World() {
    info_ = make_boot_info();
    hardware.frequency = 62'500'000;
    boot(info_);
    root_.object = core().current;
    root_.tcb = cap(InitSlot::TCB);
    root_.context = cap(InitSlot::SchedContext);
    root_.buffer = cap(InitSlot::IPCBuffer);
    root_.priority = Prio(255);
    slots_ = arch::pointer<Slot>(root_.object->cap(TcbSlot::CSpace).object());
    root_info_ = arch::pointer<abi::RootBootInfo>(slots_[cap(InitSlot::BootInfoFrame)].cap.object());
    next_slot_ = root_info_->empty.start;
    leave();
    find_memory();
    make_control();
}

void World::find_memory() {
    Word most = 0;
    for (Word address = root_info().untyped.start; address < root_info().untyped.end; ++address) {
        const UntypedCap& untyped = as<UntypedCap>(slot(address).cap);
        if (untyped.is_device() || untyped.size_bits().raw <= most) continue;
        most = untyped.size_bits().raw;
        memory_ = address;
    }
}

void World::make_control() {
    control_ = make(ObjectType::Notification);
    control_handler_ = fresh();
    must(cap(InitSlot::IRQControl), Method::IRQControlGet, {control_irq, 1, control_handler_, full_depth}, {cap(InitSlot::CNode)});
    must(control_handler_, Method::IRQHandlerSetNotification, {}, {control_});
}

Word World::fresh(Word count) {
    Word first = next_slot_;
    next_slot_ += count;
    if (next_slot_ > Word{1} << cnode_bits) throw std::logic_error("the test used up the root CNode");
    return first;
}

void World::prepare(Syscall number, Word cap, const Message& message, Word reply, Word destination, Word flags) {
    Tcb& thread = *current();
    Context& context = thread.context;
    context.x[reg::cap] = cap;
    context.x[reg::info] = MessageInfo::make(message.words.size(), message.caps.size(), 0, message.label).raw;
    context.x[reg::reply] = reply;
    context.x[reg::number] = static_cast<Word>(number) | flags;
    context.x[reg::destination] = destination;
    IPCBuffer* buffer = readable_buffer(thread);
    for (unsigned i = 0; i < message.words.size(); ++i) {
        if (i < register_words)
            context.x[reg::word(i)] = message.words[i];
        else if (buffer != nullptr)
            buffer->msg[i] = message.words[i];
    }
    for (unsigned i = 0; i < message.caps.size() && buffer != nullptr; ++i) buffer->caps_or_badges[i] = message.caps[i];
}

void World::execute() {
    current()->context.pc += svc_bytes;
    // svc is the instruction that was to be stepped (Arm ARM D2.12.5).
    current()->context.spsr &= ~host::single_step;
    handle_syscall(core());
    leave();
}

void World::interrupt(Word irq) {
    hardware.incoming.push_back(irq);
    handle_interrupt(core());
    leave();
}

void World::timer() { interrupt(arch::timer_irq().raw); }

void World::vm_fault(Word esr, Word far, bool fetch) {
    handle_vm_fault(core(), esr, far, fetch);
    leave();
}

void World::user_exception(Word esr) {
    handle_user_exception(core(), esr);
    leave();
}

void World::fpu_trap() {
    handle_fpu_trap(core(), Word{0x1fe00000});
    leave();
}

void World::debug_exception(abi::BreakpointType reason, Word address) {
    handle_debug_exception(core(), reason, address);
    leave();
}

void World::serror() {
    handle_serror(core());
    leave();
}

void World::syscall(Syscall number, Word cap, const Message& message, Word reply, Word destination, Word flags) {
    Tcb* thread = current();
    if (thread == nullptr) throw std::logic_error("a system call while nobody runs");
    prepare(number, cap, message, reply, destination, flags);
    Word pc = thread->context.pc;
    restarts_ = 0;
    execute();
    while (current() == thread && thread->context.pc == pc) {
        if (++restarts_ > 100'000) throw std::logic_error("a system call restarts for ever");
        execute();
    }
}

Answer World::answer(const Tcb& thread) const {
    MessageInfo info{thread.context.x[reg::info]};
    Answer answer{thread.context.x[reg::cap], info.label(), {}, info.extra_caps(), info.caps_unwrapped()};
    for (unsigned i = 0; i < info.length(); ++i) {
        answer.words.push_back(i < register_words ? thread.context.x[reg::word(i)] : readable_buffer(thread)->msg[i]);
    }
    return answer;
}

void World::take_over() {
    if (current() == root_.object) return;
    interrupt(control_irq);
    if (current() != root_.object) {
        throw std::logic_error("the root task did not come back; its state is " + std::to_string(static_cast<int>(root_->state)) +
                               ", its last call was " + std::to_string(root_->context.x[reg::number]) + " of " +
                               std::to_string(root_->context.x[reg::cap]));
    }
    must(control_handler_, Method::IRQHandlerAck);
}

void World::let_go() {
    if (current() != root_.object) return;
    syscall(Syscall::Wait, control_);
}

void World::run(const Thread& thread) {
    constexpr Word most_important = 254;
    take_over();
    if (favourite_.object != nullptr && slot(favourite_.tcb).cap.is(CapType::TCB)) {
        must(favourite_.tcb, Method::TCBSetPriority, {favourite_.priority.raw}, {root_.tcb});
    }
    favourite_ = thread;
    must(thread.tcb, Method::TCBSetPriority, {most_important}, {root_.tcb});
    let_go();
    if (current() != thread.object) throw std::logic_error("the thread cannot run");
}

Answer World::invoke(Word cap, Method method, std::vector<Word> words, std::vector<Word> caps) {
    take_over();
    syscall(Syscall::Call, cap, {static_cast<Word>(method), std::move(words), std::move(caps)});
    return answer(root_);
}

std::vector<Word> World::must(Word cap, Method method, std::vector<Word> words, std::vector<Word> caps) {
    Answer result = invoke(cap, method, std::move(words), std::move(caps));
    if (result.label != 0)
        throw std::logic_error("method " + std::to_string(static_cast<Word>(method)) + " failed with error " +
                               std::to_string(result.label));
    return result.words;
}

Answer World::retype(Word untyped, ObjectType type, Word size_bits, Word offset, Word count) {
    return invoke(untyped, Method::UntypedRetype, {static_cast<Word>(type), size_bits, 0, 0, offset, count}, {cap(InitSlot::CNode)});
}

Word World::make_in(Word untyped, ObjectType type, Word size_bits, Word count) {
    Word first = fresh(count);
    must(untyped, Method::UntypedRetype, {static_cast<Word>(type), size_bits, 0, 0, first, count}, {cap(InitSlot::CNode)});
    return first;
}

Word World::make(ObjectType type, Word size_bits, Word count) { return make_in(memory_, type, size_bits, count); }

Word World::copy(Word source, CapRights rights) {
    Word target = fresh();
    must(cap(InitSlot::CNode), Method::CNodeCopy, {target, full_depth, source, full_depth, rights.raw}, {cap(InitSlot::CNode)});
    return target;
}

Word World::mint(Word source, Word badge, CapRights rights) {
    Word target = fresh();
    must(cap(InitSlot::CNode), Method::CNodeMint, {target, full_depth, source, full_depth, rights.raw, badge}, {cap(InitSlot::CNode)});
    return target;
}

Answer World::remove(Word address) { return invoke(cap(InitSlot::CNode), Method::CNodeDelete, {address, full_depth}); }
Answer World::revoke(Word address) { return invoke(cap(InitSlot::CNode), Method::CNodeRevoke, {address, full_depth}); }

void World::configure(Word context, const Budget& budget) {
    must(sched_control(), Method::SchedControlConfigureFlags,
         {budget.budget_us, budget.period_us, budget.extra_refills, budget.badge, Word{budget.sporadic}}, {context});
}

Word World::make_context(const Budget& budget, unsigned size_bits) {
    Word context = make(ObjectType::SchedContext, size_bits);
    configure(context, budget);
    return context;
}

Thread World::make_thread(unsigned priority, const Budget* budget) {
    constexpr Word buffer_address = 0x1000'0000;
    Thread thread;
    thread.priority = Prio(static_cast<uint8_t>(priority));
    thread.tcb = make(ObjectType::TCB);
    thread.buffer = make(ObjectType::SmallPage);
    thread.object = &object<Tcb>(thread.tcb);
    must(thread.tcb, Method::TCBConfigure, {0, 0, buffer_address}, {cap(InitSlot::CNode), cap(InitSlot::VSpace), thread.buffer});
    must(thread.tcb, Method::TCBSetMCPriority, {priority}, {root_.tcb});
    must(thread.tcb, Method::TCBSetPriority, {priority}, {root_.tcb});
    must(thread.tcb, Method::TCBWriteRegisters, {0, 2, 0x500000, 0x600000});
    if (budget != nullptr) {
        thread.context = make_context(*budget);
        must(thread.context, Method::SchedContextBind, {}, {thread.tcb});
    }
    return thread;
}

Thread World::start_thread(unsigned priority) {
    Thread thread = make_thread(priority, Budget{});
    resume(thread);
    return thread;
}

}  // namespace caprock::test
