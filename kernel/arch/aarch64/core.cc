// SPDX-License-Identifier: BSD-2-Clause
// Per-core set-up: the table of what user level sees of the machine, the idle loop, the binding of a core to its state.
#include "core.hpp"

#include "cap/cap.hpp"
#include "core/panic.hpp"
#include "object/endpoint.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "sched/core.hpp"

extern "C" void arch_idle();

namespace caprock::arch {
// -- layout.h says to assembly what is so.

static_assert(alignof(Context) == 16, "Context is addressed by SP while its thread runs: struct alignas(16) Context");
static_assert(offsetof(Context, x) == 0 && offsetof(Context, sp) == CONTEXT_SP && offsetof(Context, pc) == CONTEXT_SP + 8);
static_assert(offsetof(Context, spsr) == CONTEXT_SPSR && offsetof(Context, tpidr) == CONTEXT_TPIDR && CONTEXT_TPIDR == CONTEXT_SPSR + 8 &&
               offsetof(Context, tpidrro) == CONTEXT_TPIDRRO);

static_assert(offsetof(Tcb, context) == 0 && offsetof(Tcb, slots) == TCB_CSPACE && TcbSlot::CSpace == TcbSlot(0));
static_assert(offsetof(Tcb, priority) == TCB_STANDING && offsetof(Tcb, domain) == TCB_STANDING + 1 && offsetof(Tcb, special) == TCB_STANDING + 2);
static_assert(offsetof(Tcb, space_epoch) == TCB_STANDING + 3 && sizeof(SpaceEpoch) == 5 && TCB_STATE == TCB_STANDING + 8);
static_assert(offsetof(Tcb, state) == TCB_STATE && offsetof(Tcb, sending) == TCB_STATE + 1 && offsetof(Tcb, receiving) == TCB_STATE + 2);
static_assert(offsetof(Tcb, space) == TCB_SPACE && offsetof(Tcb, endpoint) == TCB_ENDPOINT);
static_assert(offsetof(Tcb, bound_notification) == TCB_BOUND_NOTIFICATION && offsetof(Tcb, reply) == TCB_REPLY);
static_assert(offsetof(Tcb, sched_context) == TCB_SCHED_CONTEXT && TCB_SCHED_CONTEXT == TCB_REPLY + 8);
static_assert(offsetof(Tcb, slots) + sizeof(Slot) * static_cast<unsigned>(TcbSlot::Buffer) == TCB_BUFFER_CAP &&
              offsetof(Tcb, slots) + sizeof(Slot) * static_cast<unsigned>(TcbSlot::FaultHandler) == TCB_FAULT_HANDLER);
static_assert(Special::fpu == SPECIAL_FPU && Special::fpu_soon == SPECIAL_FPU_SOON && offsetof(Tcb, fpu_turns) == TCB_FPU_TURNS);
static_assert(offsetof(Tcb, special) == TCB_SPECIAL && offsetof(Tcb, buffer) == TCB_BUFFER);
static_assert(offsetof(Tcb, fpu) == TCB_FPU && offsetof(FpuContext, fpcr) == FPU_CONTROL);
static_assert(offsetof(Tcb, notification) == TCB_NOTIFICATION && offsetof(Tcb, wait.ring.next) == TCB_WAIT &&
              offsetof(Tcb, wait.lower) == TCB_WAIT_LOWER);
static_assert(offsetof(Tcb, ready.next) == TCB_READY && offsetof(Tcb, ready.prev) == TCB_READY + 8);
static_assert(offsetof(Tcb, fault.flag) == TCB_FAULT_FLAG && offsetof(Tcb, fault.words) == TCB_FAULT_WORDS);
static_assert(offsetof(Tcb, fault.label) == TCB_FAULT_LABEL && TCB_FAULT_LABEL == TCB_SCHED_CONTEXT + 8 && sizeof(abi::FaultLabel) == 8 &&
              abi::FaultLabel::NullFault == abi::FaultLabel(0));
static_assert(ThreadState::Running == ThreadState(STATE_RUNNING) && ThreadState::BlockedOnReceive == ThreadState(STATE_BLOCKED_ON_RECEIVE) &&
              ThreadState::BlockedOnReply == ThreadState(STATE_BLOCKED_ON_REPLY) &&
              ThreadState::BlockedOnNotification == ThreadState(STATE_BLOCKED_ON_NOTIFICATION));

static_assert(offsetof(Core, current_context) == CORE_CURRENT && offsetof(Core, current) == CORE_CURRENT + 8);
static_assert(offsetof(Core, current_sched_context) == CORE_SCHED_CONTEXT && offsetof(Core, ready) == CORE_READY && CORE_READY == CORE_SCHED_CONTEXT + 8);
static_assert(offsetof(Core, no_priority) == CORE_STANDING && offsetof(Core, special) == CORE_SPECIAL && offsetof(Core, stack_top) == CORE_STACK_TOP);
static_assert(offsetof(Core, kernel) == CORE_KERNEL && offsetof(Kernel, irq_notifications) == KERNEL_IRQ_NOTIFICATIONS &&
              KERNEL_IRQ_NOTIFICATIONS % sizeof(Slot) == 0);
static_assert(offsetof(Core, charged_until) == CORE_CHARGED_UNTIL && offsetof(Core, last_release) == CORE_CHARGED_UNTIL + 8);
static_assert(offsetof(Core, domain_end) == CORE_DOMAIN_END && offsetof(Core, fpu_owner) == CORE_FPU_OWNER);
static_assert(offsetof(Core, release) == CORE_RELEASE && offsetof(decltype(Core::release), root) == 0);
static_assert(offsetof(ReadyQueues, highest) == READY_HIGHEST && sizeof(ReadyQueues::highest) == 8 && offsetof(ReadyQueues, summary) == READY_SUMMARY);
static_assert(offsetof(ReadyQueues, present) == READY_PRESENT && offsetof(ReadyQueues, rings) == READY_RINGS && sizeof(ReadyQueues::rings[0]) == 8);

static_assert(offsetof(Endpoint, queue) == 0 && sizeof(Endpoint) == ENDPOINT_STATE + 8 && Endpoint::only_receiver_word == ENDPOINT_ONLY_RECEIVER);
static_assert(offsetof(SchedContext, tcb) == 0 && offsetof(SchedContext, reply) == SCHED_CONTEXT_REPLY &&
              offsetof(SchedContext, period) == SCHED_CONTEXT_PERIOD && offsetof(SchedContext, consumed) == SCHED_CONTEXT_CONSUMED &&
              offsetof(SchedContext, budget) == SCHED_CONTEXT_BUDGET);
static_assert(offsetof(SchedContext, refill_max) == SCHED_CONTEXT_FORM && sizeof(SchedContext::refill_max) == 2);
static_assert(offsetof(SchedContext, sporadic) * 8 == SCHED_CONTEXT_FORM * 8 + SCHED_CONTEXT_SPORADIC_BIT);
static_assert(sizeof(SchedContext) == SCHED_CONTEXT_FIRST && offsetof(Refill, time) == 0 && offsetof(Refill, amount) == 8);
static_assert(offsetof(Notification, state) == NOTIFICATION_STATE && offsetof(Notification, word) == NOTIFICATION_STATE + 8 &&
              offsetof(Notification, bound_tcb) == NOTIFICATION_BOUND && offsetof(Notification, queue) == 0 &&
              offsetof(Notification, sched_context) == NOTIFICATION_SCHED_CONTEXT);
static_assert(Notification::State::Idle == Notification::State(0) && Notification::State::Waiting == Notification::State(NOTIFICATION_WAITING) &&
              Notification::State::Active == Notification::State(NOTIFICATION_ACTIVE));
static_assert(offsetof(abi::IPCBuffer, msg) + sizeof(Word) * REGISTER_WORDS == BUFFER_LONG_WORDS && abi::ipc_message_words == MESSAGE_WORDS);
static_assert(offsetof(Reply, tcb) == 0 && offsetof(Reply, context) == REPLY_CONTEXT && offsetof(Reply, prev) == REPLY_PREV &&
              offsetof(Reply, next) == REPLY_NEXT);

static_assert(Cap::Type::mask == ~Word{0} << CAP_TYPE_SHIFT && CapType::Endpoint == CapType(CAP_TYPE_ENDPOINT) && CapType::Reply == CapType(CAP_TYPE_REPLY) &&
              CapType::Notification == CapType(CAP_TYPE_NOTIFICATION) && CapType::Frame == CapType(CAP_TYPE_FRAME) &&
              CapType::IRQHandler == CapType(CAP_TYPE_IRQ_HANDLER) && abi::irq_serror == IRQ_LIMIT && CapType::Null == CapType(0));
static_assert(NotificationCap::RightsField::mask == EndpointCap::RightsField::mask);
static_assert(FrameCap::SizeField::mask == ((Word{1} << FRAME_SIZE_BITS) - 1) << FRAME_SIZE_SHIFT);
static_assert(FrameCap::RightsField::mask == Word{3} << FRAME_WRITE_SHIFT && FRAME_WRITE_SHIFT + 4 == CAP_TYPE_SHIFT);
static_assert(Cap::Pointer::mask == (Word{1} << 48) - 1 && EndpointCap::RightsField::mask == Word{15} << CAP_SEND_BIT);
static_assert(CapRights::make(1, 0, 0, 0).raw == 1 && CapRights::make(0, 1, 0, 0).raw == 2 &&
              CapRights::make(0, 0, 1, 1).raw == 12 && CAP_RECEIVE_BIT == CAP_SEND_BIT + 1);
static_assert(CNodeCap::RadixField::mask == Word{31} << CNODE_RADIX_SHIFT && CNODE_RADIX_SHIFT + 5 == CAP_TYPE_SHIFT);
static_assert(CNodeCap::GuardSizeField::mask == ((Word{1} << CNODE_GUARD_SIZE_BITS) - 1) << CNODE_GUARD_SIZE_SHIFT);
static_assert(CNODE_FLAT == static_cast<unsigned>(CapType::CNode) * 32 + 64 && sizeof(Slot) == 1 << SLOT_SHIFT);
// The rights are the low bits of how a thread receives; of those only the right to grant is asked for.
static_assert(ReceiveOptions::grant == EndpointCap::RightsField::get(Word{4} << CAP_SEND_BIT) && ReceiveOptions::require_donation == REQUIRE_DONATION);

static_assert(abi::Syscall::Call == abi::Syscall(SYSCALL_CALL) && abi::Syscall::ReplyRecv == abi::Syscall(SYSCALL_REPLY_RECV) &&
              abi::Syscall::Recv == abi::Syscall(SYSCALL_RECV) && SYSCALL_REPLY_RECV == SYSCALL_CALL + 1 && (SYSCALL_CALL & 1) == 1);
static_assert(abi::Syscall::Send == abi::Syscall(SYSCALL_SEND) && abi::Syscall::NBSend == abi::Syscall(SYSCALL_NB_SEND) &&
              abi::Syscall::NBWait == abi::Syscall(SYSCALL_NB_WAIT) && abi::Syscall::NBRecv > abi::Syscall::Recv &&
              abi::Syscall::Wait == abi::Syscall(SYSCALL_WAIT) && abi::Syscall::Yield == abi::Syscall(SYSCALL_YIELD));
static_assert(abi::MessageInfo::make(127, 0, 0, 0).raw == INFO_LENGTH && abi::MessageInfo::make(0, 3, 7, 0).raw == INFO_CAPS &&
              abi::MessageInfo::make(0, 0, 0, 1).raw == 1 << INFO_LABEL_SHIFT &&
              INFO_LENGTH + 1 == 1 << INFO_CAPS_SHIFT && abi::Method::IRQHandlerAck == abi::Method(METHOD_IRQ_HANDLER_ACK) &&
              abi::notification_message_info == NOTIFICATION_INFO &&
              abi::ipc_register_words == REGISTER_WORDS);
static_assert(abi::FaultLabel::CapFault == abi::FaultLabel(FAULT_CAP) && abi::FaultLabel::VMFault == abi::FaultLabel(FAULT_VM));
static_assert(ESR_EL1::EC::INSTRUCTION_ABORT_EL0 == ESR_EL1::EC(ESR_CLASS_INSTRUCTION_ABORT) &&
              ESR_EL1::EC::DATA_ABORT_EL0 == ESR_EL1::EC(ESR_CLASS_DATA_ABORT) && ESR_EL1::FSC_alignment == ESR_STATUS_ALIGNMENT);

namespace {
// Nothing counts, nothing interrupts, and no count of the boot loader's is left.
void stop_performance_monitor() {
    constexpr Word all_counters = 0xffffffff;
    if (!has_performance_monitor())
        return;
    PMCR_EL0::write(PMCR_EL0::P | PMCR_EL0::C);
    PMCNTENCLR_EL0::write(all_counters);
    PMINTENCLR_EL1::write(all_counters);
    PMOVSCLR_EL0::write(all_counters);
}
}  // namespace

// The machine as user level sees it.
void initialise_core_registers() {
    // Open: cache maintenance by address (UCI), CTR_EL0 (UCT), dc zva (DZE), wfe (nTWE). Trapped: wfi (nTWI), DAIF (UMA).
    SCTLR_EL1::write(SCTLR_EL1_MMU | SCTLR_EL1::UCI | SCTLR_EL1::UCT | SCTLR_EL1::DZE | SCTLR_EL1::nTWE);
    // Both counters can be read; no event stream. No timer register and no performance monitor but for threads that were given it.
    stop_performance_monitor();
    set_user_access(false, false);
    // No breakpoint, and the locks that a debugger of the firmware's may have left are open. By trap: the debug communication channel (TDCC),
    // which would connect any two threads, and floating point.
    OSDLR_EL1::write(0);
    OSLAR_EL1::write(0);
    load_debug_state(nullptr);
    fpu_enable(false);
    // Nothing of the boot loader's in the thread pointers; its physical timer stopped; the kernel's virtual timer on, never due.
    TPIDR_EL0::write(0);
    TPIDRRO_EL0::write(0);
    CNTP_CTL_EL0::write(0);
    set_deadline(Ticks(~Word{0}));
    CNTV_CTL_EL0::write(CNTV_CTL_EL0::ENABLE);
    isb();
}

void el2_install(PhysAddr root) {
    register Word function asm("x0") = EL2_CALL_INSTALL;
    register Word argument asm("x1") = root.raw;
    asm volatile("hvc #0" : "+r"(function) : "r"(argument) : "x2", "x3", "memory");
    if (function != EL2_CALL_DONE)
        panic("the EL2 stub refused its installation (something else owns EL2)");
}

void bind_core(Core& core) {
    core.stack_top = reinterpret_cast<Word>(kernel_stacks) + (current_core() + 1) * STACK_STRIDE - TRAP_WORDS_BYTES;
    TPIDR_EL1::write(reinterpret_cast<Word>(&core));
}

void init_idle_context(Context& context, unsigned) {
    context = Context();
    context.pc = reinterpret_cast<Word>(arch_idle);
    context.spsr = SPSR_EL1::EL1h | SPSR_EL1::F | SPSR_EL1::D;
}

void halt() {
    asm volatile("msr daifset, #0xf" : : : "memory");
    for (;;)
        asm volatile("wfi" : : : "memory");
}
}  // namespace caprock::arch
