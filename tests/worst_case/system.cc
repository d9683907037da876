// SPDX-License-Identifier: BSD-2-Clause
// How the operations' environment is made of what the kernel gave.
#include "tests/worst_case/system.hpp"

// Where the SDK's stubs find the IPC buffer. Only the worker makes calls that need one.
extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;

extern const char image_start[];
extern const char constants_start[];
extern const char data_start[];
extern const char image_end[];
}

namespace caprock::worst_case {

constinit System system;

namespace {

constexpr unsigned kept_memory_bits = 25;

constexpr uint64_t console_window = 0x1000'0000;

// Maps copies of the root task's image into `vspace`, at the same addresses.
void copy_image(Cap<VSpace> vspace) {
    for (const char* page = image_start; page < image_end; page += page_bytes) {
        const uint64_t address = reinterpret_cast<uint64_t>(page);
        map_tables(vspace, address);
        const abi::CapRights rights = page >= data_start ? read_write : abi::CapRights::make(0, 1, 0, 0);
        must(copy(system.image_frame(page)).map(address, rights, page < constants_start ? cached_executable : cached, vspace));
    }
}

// The index of the largest untyped of memory but `except`.
uint64_t largest_untyped(const loader::BootView& boot, uint64_t except) {
    uint64_t found = boot.untyped_count();
    for (uint64_t i = 0; i < boot.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = boot.info->untyped_list[i];
        if (untyped.is_device != 0 || i == except) continue;
        if (found == boot.untyped_count() || untyped.size_bits > boot.info->untyped_list[found].size_bits) found = i;
    }
    return found;
}

}  // namespace

void System::start(const abi::RootBootInfo& info) {
    caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(info.ipc_buffer);
    boot_ = loader::read_boot_info(info);
    next_slot_ = info.empty.start;
    take_memory();
    open_console();
    other_vspace_ = create<VSpace>();
    must(root_asid_pool.assign(other_vspace_));
    copy_image(other_vspace_);
}

void System::take_memory() {
    const uint64_t giant = largest_untyped(boot_, boot_.untyped_count());
    const uint64_t source = largest_untyped(boot_, giant);
    giant_slot_ = boot_.untyped_slot(giant);
    giant_bits_ = boot_.info->untyped_list[giant].size_bits;
    const Cap<Untyped> all{boot_.untyped_slot(source)};
    memory_ = Cap<Untyped>{take_slots(2)};
    operation_memory_ = Cap<Untyped>{memory_.address() + 1};
    retype(all, abi::ObjectType::Untyped, memory_bits, operation_memory_.address(), 1);
    retype(all, abi::ObjectType::Untyped, kept_memory_bits, memory_.address(), 1);
}

// Splits device untypeds until one is the console's page.
void System::open_console() {
    const uint64_t page = platform().console_paddr & ~(page_bytes - 1);
    for (uint64_t i = 0; i < boot_.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = boot_.info->untyped_list[i];
        if (untyped.is_device == 0 || page < untyped.paddr || page - untyped.paddr >= uint64_t{1} << untyped.size_bits) continue;
        Cap<Untyped> part{boot_.untyped_slot(i)};
        for (unsigned bits = untyped.size_bits; bits > 12; --bits) {
            const uint64_t halves = take_slots(2);
            retype(part, abi::ObjectType::Untyped, bits - 1, halves, 2);
            part = Cap<Untyped>{halves + ((page - untyped.paddr) >> (bits - 1) & 1)};
        }
        const Cap<Frame> frame{take_slots()};
        retype(part, abi::ObjectType::SmallPage, 0, frame.address(), 1);
        map_tables(root_vspace, console_window);
        must(frame.map(console_window, read_write, uncached, root_vspace));
        uart_.open(static_cast<abi::ConsoleKind>(platform().console_kind), console_window + platform().console_paddr % page_bytes);
    }
}

Cap<Frame> System::image_frame(const volatile void* address) const {
    const uint64_t page = (reinterpret_cast<uint64_t>(address) - reinterpret_cast<uint64_t>(image_start)) / page_bytes;
    return Cap<Frame>{boot_.info->user_image_frames.start + page};
}

uint64_t System::take_slots(uint64_t count) {
    const uint64_t first = next_slot_;
    next_slot_ += count;
    must(next_slot_ <= boot_.slot_count(), "a free slot of the root CNode");
    return first;
}

void System::keep() {
    first_operation_slot_ = next_slot_;
    memory_ = operation_memory_;
}

void System::clean_up() {
    revoke(memory_);
    for (; next_slot_ > first_operation_slot_; --next_slot_) delete_cap(CapRef{next_slot_ - 1});
}

void fail(const Text& reason) {
    system.print(Text(reason) << "\ncaprock: exit 1\n");
    for (;;) sys::yield();
}

void must(const ResultBase& result, Place place) {
    if (result.ok()) return;
    fail(Text() << "Bail out! " << place.file << ":" << uint64_t{place.line} << ": error " << static_cast<uint64_t>(result.error()) << " ("
                << result.detail(0) << ", " << result.detail(1) << ")");
}

void must(bool condition, const char* what, Place place) {
    if (!condition) fail(Text() << "Bail out! " << place.file << ":" << uint64_t{place.line} << ": not so: " << what);
}

void retype(Cap<Untyped> memory, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count, Place place) {
    while (count != 0) {
        const uint64_t some = count < abi::retype_fan_out_limit ? count : abi::retype_fan_out_limit;
        must(memory.retype(type, bits, 0, 0, slot, some, root_cnode), place);
        slot += some;
        count -= some;
    }
}

uint64_t create_many(abi::ObjectType type, uint64_t bits, uint64_t count, Place place) {
    const uint64_t slot = system.take_slots(count);
    retype(system.memory(), type, bits, slot, count, place);
    return slot;
}

void copy_to(Cap<CNode> node, uint64_t index, uint64_t depth, CapRef source, Place place) {
    must(node.copy(index, depth, source.address(), address_bits, all_rights, root_cnode), place);
}

void map_tables(Cap<VSpace> vspace, uint64_t address, unsigned shift) {
    Cap<PageTable> table{};
    for (unsigned missing = 39; missing > shift; missing -= 9) {
        if (table.is_null()) table = create<PageTable>();
        const Result<void> mapped = table.map(address, cached, vspace);
        if (mapped.ok()) table = {};
        if (mapped.error() == abi::Error::DeleteFirst) break;
        must(mapped);
    }
    if (!table.is_null()) delete_cap(table);
}

}  // namespace caprock::worst_case
