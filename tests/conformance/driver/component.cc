// SPDX-License-Identifier: BSD-2-Clause
// Making and unmaking components.
#include "tests/conformance/driver/component.hpp"

// The components' image, which the build embeds.
extern "C" const uint8_t component_image[];
extern "C" const uint8_t component_image_end[];

namespace caprock::conformance {

namespace {

// QEMU's virt has its PL011 where it is the console; the Raspberry Pi 4's is the mini-UART.
constexpr uint64_t mini_uart_page = 0xfe21'5000;

constexpr uint64_t slot_of(Slot slot) { return static_cast<uint64_t>(slot); }

bool is_empty(uint64_t slot, uint64_t scratch) {
    const Result<void> moved = root_cnode.move(scratch, address_bits, slot, address_bits, root_cnode);
    return moved.error() == abi::Error::FailedLookup && moved.detail(1) == static_cast<uint64_t>(abi::LookupFailure::MissingCapability);
}

// Whether the untyped has no children: then all of it can be one object.
bool resets(Cap<Untyped> untyped, unsigned bits, uint64_t scratch) {
    return retype(untyped, abi::ObjectType::Untyped, bits, scratch).ok() && root_cnode.delete_cap(scratch, address_bits).ok();
}

bool take_back(Cap<Untyped> untyped, unsigned bits, uint64_t scratch) {
    return root_cnode.revoke(untyped.address(), address_bits).ok() && resets(untyped, bits, scratch);
}

}  // namespace

const uint8_t* Image::bytes() { return component_image; }

void Image::load() {
    frame_ = authority.make<Frame>(abi::ObjectType::LargePage);
    const uint64_t size = static_cast<uint64_t>(component_image_end - component_image);
    if (frame_.is_null() || size > large_page_bytes || data_frames() > most_data_frames)
        bail_out(__FILE_NAME__, __LINE__, "the component's image does not fit", size);
    // The large page's own table is the driver's level-2 table, which map_tables() made for the console.
    MUST(frame_.map(image_window, read_write, cached, root_vspace));
    __builtin_memcpy(reinterpret_cast<void*>(image_window), bytes(), size);
    for (uint64_t offset = 0; offset < size; offset += page_bytes) MUST(frame_.unify_instruction(offset, offset + page_bytes));
    MUST(frame_.unmap());
}

Component::Component(const Image& image, Cap<Notification> ended, Cap<Endpoint> faults)
    : image_(image), ended_(ended), faults_(faults), first_slot_(authority.take_slots(slot_count)),
      first_data_slot_(authority.take_slots(image.data_frames())) {
    const uint64_t registers = authority.boot().platform->console_paddr;
    const bool is_mini_uart = authority.boot().platform->console_kind == static_cast<uint64_t>(abi::ConsoleKind::MiniUart);
    uart_address_ = is_mini_uart ? mini_uart_page : registers - registers % page_bytes;
    uart_ = authority.device_frame(uart_address_);
}

template <class T>
Cap<T> Component::make_object(abi::ObjectType type, uint64_t bits) {
    const Cap<T> made{next_slot_++};
    MUST(retype(authority.arena(), type, bits, made.address()));
    return made;
}

void Component::give(Slot slot, CapRef cap, abi::CapRights rights) {
    MUST(cnode_.copy(slot_of(slot), address_bits, cap.address(), address_bits, rights, root_cnode));
}

void Component::move(Slot slot, CapRef cap) {
    MUST(cnode_.move(slot_of(slot), address_bits, cap.address(), address_bits, root_cnode));
}

void Component::make(const TestCase* test) {
    next_slot_ = first_slot_;
    // First of all, as it takes an aligned half of the arena.
    const Cap<Untyped> memory = make_object<Untyped>(abi::ObjectType::Untyped, memory_bits);
    const Cap<CNode> plain = make_object<CNode>(abi::ObjectType::CNode, cnode_radix);
    cnode_ = Cap<CNode>{next_slot_++};
    const uint64_t guard = abi::CNodeCapData::make(address_bits - cnode_radix, 0).raw;
    MUST(root_cnode.mint(cnode_.address(), address_bits, plain.address(), address_bits, all_rights, guard, root_cnode));
    move(Slot::Memory, memory);
    make_space();
    make_data();
    make_shared_page(test);
    give_authority();
    make_thread();
}

// An address space with an ASID of a pool of its own.
void Component::make_space() {
    vspace_ = make_object<VSpace>(abi::ObjectType::VSpace);
    const Cap<Untyped> page = make_object<Untyped>(abi::ObjectType::Untyped, 12);
    const Cap<ASIDPool> pool{next_slot_++};
    MUST(asid_control.make_pool(pool.address(), address_bits, page, root_cnode));
    MUST(pool.assign(vspace_));
    give(abi::InitSlot::ASIDPool, pool);
    give(abi::InitSlot::VSpace, vspace_);
    // Two levels for all addresses, and the last one for the data and for the tests' window.
    constexpr uint64_t tables[] = {data_address, data_address, data_address, small_window};
    for (const uint64_t address : tables) MUST(make_object<PageTable>(abi::ObjectType::PageTable).map(address, cached, vspace_));
    const Cap<Frame> image{next_slot_++};
    MUST(root_cnode.copy(image.address(), address_bits, image_.frame().address(), address_bits, read_only, root_cnode));
    MUST(image.map(image_address, read_only, cached_executable, vspace_));
    move(Slot::Image, image);
}

// Frames of zeroes: the component's first instructions copy the data's first values out of the image.
void Component::make_data() {
    MUST(retype(authority.arena(), abi::ObjectType::SmallPage, 0, first_data_slot_, image_.data_frames()));
    for (uint64_t i = 0; i < image_.data_frames(); ++i)
        MUST(Cap<Frame>{first_data_slot_ + i}.map(data_address + i * page_bytes, read_write, cached, vspace_));
}

void Component::make_shared_page(const TestCase* test) {
    const Cap<Frame> frame = make_object<Frame>(abi::ObjectType::SmallPage);
    const Cap<Frame> own{next_slot_++};
    MUST(root_cnode.copy(own.address(), address_bits, frame.address(), address_bits, all_rights, root_cnode));
    MUST(own.map(shared_window, read_write, cached, root_vspace));
    MUST(frame.map(shared_address, read_write, cached, vspace_));
    move(Slot::SharedFrame, frame);
    SharedPage& shared = *reinterpret_cast<SharedPage*>(shared_window);
    shared.platform = *authority.boot().platform;
    shared.test = test;
    shared.started = authority.started();
    shared.data_frames = image_.data_frames();
    shared.has_spare = !authority.spare().is_null();
    shared.device_address = authority.device().address;
    shared.uart_address = uart_address_;
}

void Component::give_authority() {
    give(abi::InitSlot::CNode, cnode_);
    give(abi::InitSlot::ASIDControl, asid_control);
    give(abi::InitSlot::Domain, domain);
    give(abi::InitSlot::Inspect, inspect);
    give(Slot::SchedControl, authority.sched_control());
    if (!authority.spare().is_null())
        MUST(retype_into(cnode_, authority.spare(), abi::ObjectType::Untyped, spare_bits, slot_of(Slot::Spare)));
    MUST(retype_into(cnode_, Cap<Untyped>{authority.device().slot}, abi::ObjectType::Untyped, device_bits, slot_of(Slot::Device)));
    give(Slot::Uart, uart_, read_write);
    give(Slot::Ended, ended_, abi::CapRights::make(1, 0, 0, 0));
    give(Slot::Faults, faults_, abi::CapRights::make(1, 0, 1, 1));
    move(static_cast<Slot>(abi::InitSlot::IRQControl), irq_control);
}

void Component::make_thread() {
    const Cap<TCB> tcb = make_object<TCB>(abi::ObjectType::TCB);
    const Cap<SchedContext> context = make_object<SchedContext>(abi::ObjectType::SchedContext, sched_context_bits);
    const ImageHeader& header = image_.header();
    const uint64_t buffer_frame = (header.thread_memory - data_address) / page_bytes;
    MUST(tcb.configure(abi::CNodeCapData{0}, 0, header.thread_memory, cnode_, vspace_, CapRef{first_data_slot_ + buffer_frame}));
    MUST(authority.sched_control().configure_flags(worker_budget, worker_budget, 0, 0, abi::SchedContextFlags::make(0), context));
    MUST(tcb.set_sched_params(255, worker_priority, root_tcb, context, faults_));
    for (uint64_t i = 0; i < image_.data_frames(); ++i)
        move(static_cast<Slot>(slot_of(Slot::DataFrames) + i), CapRef{first_data_slot_ + i});
    give(abi::InitSlot::TCB, tcb);
    give(abi::InitSlot::SchedContext, context);
    abi::UserContext registers{};
    registers.pc = header.entry;
    registers.sp = header.thread_stack_top;
    MUST(tcb.write_registers(1, sizeof registers / sizeof(uint64_t), registers));
}

// IRQControl is the one capability that cannot be copied: it was the component's.
const char* Component::take_back_control() {
    const uint64_t slot = irq_control.address();
    if (!root_cnode.move(slot, address_bits, static_cast<uint64_t>(abi::InitSlot::IRQControl), address_bits, cnode_).ok())
        bail_out(__FILE_NAME__, __LINE__, "IRQControl, which is where the test should have left it,", 0);
    return root_cnode.revoke(slot, address_bits).ok() ? nullptr : "the interrupt handlers cannot be revoked";
}

// As at boot: domain 0 for ever. Whatever the test has put into the table, this entry can be its start.
const char* Component::reset_schedule() {
    bool reset = domain.schedule_configure(0, 0, abi::timeout_max_us).ok() && domain.schedule_set_start(0).ok();
    for (uint64_t i = 1; i < abi::domain_schedule_entries; ++i) reset = domain.schedule_configure(i, 0, 0).ok() && reset;
    return reset ? nullptr : "the domain schedule cannot be reset";
}

const char* Component::destroy() {
    if (const char* problem = take_back_control()) return problem;
    if (const char* problem = reset_schedule()) return problem;
    const uint64_t scratch = first_slot_;
    if (!root_cnode.revoke(authority.arena().address(), address_bits).ok()) return "the component's memory cannot be revoked";
    for (uint64_t slot = first_slot_ + 1; slot < first_data_slot_ + image_.data_frames(); ++slot)
        if (!is_empty(slot, scratch)) return "a capability survived the revocation of its memory";
    if (!resets(authority.arena(), arena_bits, scratch)) return "the component's memory is not free again";
    if (!take_back(Cap<Untyped>{authority.device().slot}, device_bits, scratch)) return "the device untyped is not free again";
    if (!authority.spare().is_null() && !take_back(authority.spare(), spare_bits, scratch)) return "the spare memory is not free again";
    console.silence();
    return nullptr;
}

}  // namespace caprock::conformance
