// SPDX-License-Identifier: BSD-2-Clause
// The first objects. The kernel allocates memory here and nowhere else: one piece for the root task's objects; all other memory becomes untypeds,
// which the root task gets together with every other authority there is.
#include "boot/memory.hpp"
#include "cap/derive.hpp"
#include "core/panic.hpp"
#include "object/inspect.hpp"
#include "object/vspace.hpp"
#include "sched/scheduler.hpp"
#include "syscall/entry.hpp"

namespace caprock {
namespace {
using abi::BootInfo;
using abi::InitSlot;
using abi::RootBootInfo;

constinit Kernel kernel;

constexpr Asid root_asid{1};
constexpr Prio root_priority{255};
constexpr Micros root_time_slice{10'000};
constexpr unsigned default_cnode_bits = 12;
constexpr unsigned max_cnode_bits = 20;
constexpr SizeBits root_context_bits{8};

struct ChunkHeader {
    Word id;
    Word length;   // this header included
};

// -- Memory for the root task's objects: one range, handed out from the bottom.

class BootMemory {
public:
    void assign(PhysRange range) { range_ = range; }
    KernAddr take(Word bytes) {
        KernAddr start = arch::to_kernel(range_.start);
        range_.start += bytes;
        if (range_.start > range_.end) panic("the root task's objects outgrew the memory set aside for them");
        arch::clear_memory(start, bytes);
        return start;
    }
    KernAddr take_page() { return take(page_size); }

private:
    PhysRange range_;
};

struct Boot {
    const BootInfo& info;
    unsigned cores = 1;
    unsigned cnode_bits = default_cnode_bits;
    UserVirtAddr image_start{};
    UserVirtAddr image_end{};
    Word extra_bytes = 0;
    PhysRange objects{};                // the range that `memory` hands out
    BootMemory memory{};
    Slot* slots = nullptr;              // of the root CNode
    Word next_slot = static_cast<Word>(InitSlot::FirstDynamic);
    KernAddr vspace{};
    RootBootInfo* root_info = nullptr;

    UserVirtAddr ipc_buffer() const { return image_end; }
    UserVirtAddr boot_info_page() const { return image_end + page_size; }
    UserVirtAddr extra_pages() const { return image_end + 2 * page_size; }
    UserVirtAddr space_end() const { return extra_pages() + align_up(extra_bytes, page_size); }

    Slot& slot(InitSlot which) { return slots[static_cast<Word>(which)]; }
    Slot& fresh_slot() {
        if (next_slot == Word{1} << cnode_bits) panic("the root CNode is too small (the image asks for its size: PayloadHeader.root_cnode_bits)");
        return slots[next_slot++];
    }
};

// Tables that cover [start, end) at one level, each of them mapping 2^shift bytes.
Word tables(UserVirtAddr start, UserVirtAddr end, unsigned shift) { return ((end.raw - 1) >> shift) - (start.raw >> shift) + 1; }

Word paging_pages(const Boot& boot) {
    Word pages = 0;
    for (unsigned level = 0; level < last_level; ++level) pages += tables(boot.image_start, boot.space_end(), level_shift(level));
    return pages;
}

RangeList free_memory(const Boot& boot) {
    RangeList list;
    for (Word i = 0; i < boot.info.ram_count; ++i) list.append(phys_range(boot.info.ram[i]));
    for (Word i = 0; i < boot.info.no_map_count; ++i) list.remove(phys_range(boot.info.no_map[i]));
    list.remove(phys_range(boot.info.kernel));
    list.remove(phys_range(boot.info.root));
    return list;
}

// Sets the root task's memory aside: the highest place that fits and that nothing read during boot occupies.
void place_objects(Boot& boot) {
    Word cnode_bytes = Word{1} << (boot.cnode_bits + abi::slot_bits);
    Word pages = paging_pages(boot) + align_up(boot.extra_bytes, page_size) / page_size;
    constexpr Word fixed_pages = 6;   // VSpace, IPC buffer, BootInfo, ASID pool, and one for TCB and scheduling context; one to spare for alignment
    Word bytes = cnode_bytes + (pages + fixed_pages) * page_size;
    RangeList list = free_memory(boot);
    list.remove(phys_range(boot.info.fdt));
    list.remove(phys_range(boot.info.boot_info));
    for (const PhysRange* range = list.end(); range != list.begin();) {
        --range;
        if (range->size() < bytes) continue;
        PhysAddr start(align_down(range->end.raw - bytes, cnode_bytes));
        if (start < range->start) continue;
        boot.objects = {start, start + bytes};
        return boot.memory.assign(boot.objects);
    }
    panic("too little memory for the root task's objects");
}

// -- The root task's address space

arch::PageAttributes memory_attributes(bool write, bool execute) {
    return {.read = true, .write = write, .execute = execute, .cacheable = true, .device = false};
}

FrameCap map_new_frame(Boot& boot, KernAddr frame, UserVirtAddr address, arch::PageAttributes attributes) {
    FrameCap cap = FrameCap::make(frame, SizeBits(page_bits), false);
    map_frame(walk(boot.vspace, address, last_level).entry, cap, root_asid, address, attributes);
    return cap;
}

void make_table(Boot& boot, const Walk& missing, Word address) {
    KernAddr table = boot.memory.take_page();
    PageTableCap cap = PageTableCap::make(table);
    cap.set_level(missing.level + 1);
    cap.set_mapping(root_asid, UserVirtAddr(align_down(address, Word{1} << level_shift(missing.level))));
    arch::write_entry(missing.entry, arch::table_entry(arch::to_physical(table)));
    insert_root(cap, boot.fresh_slot());
}

void make_tables(Boot& boot) {
    constexpr Word reach = Word{1} << level_shift(last_level - 1);
    boot.root_info->user_image_paging.start = boot.next_slot;
    for (Word address = align_down(boot.image_start.raw, reach); address < boot.space_end().raw; address += reach) {
        Walk found = walk(boot.vspace, UserVirtAddr(address), last_level);
        while (found.level != last_level) {
            make_table(boot, found, address);
            found = walk(boot.vspace, UserVirtAddr(address), last_level);
        }
    }
    boot.root_info->user_image_paging.end = boot.next_slot;
}

void map_image(Boot& boot) {
    constexpr Word executable = 1;
    constexpr Word writable = 2;
    boot.root_info->user_image_frames.start = boot.next_slot;
    for (Word i = 0; i < boot.info.segment_count; ++i) {
        const abi::BootSegment& segment = boot.info.segments[i];
        arch::PageAttributes attributes = memory_attributes((segment.flags & writable) != 0, (segment.flags & executable) != 0);
        KernAddr memory = arch::to_kernel(PhysAddr(segment.paddr));
        if ((segment.flags & executable) != 0) arch::unify_instruction(memory, segment.size);
        for (Word offset = 0; offset < segment.size; offset += page_size) {
            insert_root(map_new_frame(boot, memory + offset, UserVirtAddr(segment.vaddr + offset), attributes), boot.fresh_slot());
        }
    }
    boot.root_info->user_image_frames.end = boot.next_slot;
}

// -- What the root task is told

Word copy_chunk(KernAddr to, abi::BootChunk id, const void* content, Word bytes) {
    ChunkHeader header{static_cast<Word>(id), align_up(sizeof(ChunkHeader) + bytes, 8)};
    __builtin_memcpy(arch::pointer<void>(to), &header, sizeof(header));
    __builtin_memcpy(arch::pointer<void>(to + sizeof(header)), content, bytes);
    return header.length;
}

abi::RootPlatform root_platform(const Boot& boot) {
    const BootInfo& info = boot.info;
    abi::RootPlatform platform{abi::api_hash, debug_build, boot.cores, info.gic_version, arch::timer_frequency(),
                               info.console_kind, info.console.start + info.console_offset, info.boot_el, {}, {}};
    // The key of identities stays in the kernel: the root task gets what a permutation under it makes of the rest.
    for (unsigned i = 0; i < 2; ++i) {
        platform.entropy[i] = info.entropy[i];
        platform.entropy[2 + i] = encrypt(kernel.identity_key, info.entropy[i]);
    }
    __builtin_memcpy(platform.system_hash, info.system_hash, sizeof(platform.system_hash));
    return platform;
}

Word extra_size(const BootInfo& info) {
    return 2 * sizeof(ChunkHeader) + align_up(sizeof(abi::RootPlatform), 8) + align_up(info.fdt.end - info.fdt.start, 8);
}

void map_extra_pages(Boot& boot) {
    Word bytes = align_up(boot.extra_bytes, page_size);
    KernAddr pages = boot.memory.take(bytes);
    abi::RootPlatform platform = root_platform(boot);
    Word used = copy_chunk(pages, abi::BootChunk::Caprock, &platform, sizeof(platform));
    const BootInfo& info = boot.info;
    copy_chunk(pages + used, abi::BootChunk::Fdt, arch::pointer<void>(arch::to_kernel(PhysAddr(info.fdt.start))), info.fdt.end - info.fdt.start);
    boot.root_info->extra_len = boot.extra_bytes;
    boot.root_info->extra_bi_pages.start = boot.next_slot;
    for (Word offset = 0; offset < bytes; offset += page_size) {
        insert_root(map_new_frame(boot, pages + offset, boot.extra_pages() + offset, memory_attributes(true, false)), boot.fresh_slot());
    }
    boot.root_info->extra_bi_pages.end = boot.next_slot;
}

void make_root_info(Boot& boot) {
    KernAddr page = boot.memory.take_page();
    boot.root_info = arch::pointer<RootBootInfo>(page);
    boot.root_info->num_nodes = boot.cores;
    boot.root_info->ipc_buffer = boot.ipc_buffer().raw;
    boot.root_info->init_cnode_size_bits = boot.cnode_bits;
}

// -- The root task's thread

void make_thread(Boot& boot) {
    KernAddr page = boot.memory.take_page();
    Tcb& thread = *arch::pointer<Tcb>(page);
    SchedContext& context = *arch::pointer<SchedContext>(page + (page_size / 2));
    insert_root(TcbCap::make(page), boot.slot(InitSlot::TCB));
    insert_root(SchedContextCap::make(page + (page_size / 2), root_context_bits), boot.slot(InitSlot::SchedContext));
    refill_new(context, 1, ticks_down(root_time_slice), Ticks(0), arch::now());
    context.tcb = &thread;
    thread.sched_context = &context;
    thread.priority = thread.max_priority = root_priority;
    thread.context.pc = boot.info.root_entry;
    thread.context.spsr = arch::initial_spsr();
    thread.context.x[0] = boot.boot_info_page().raw;
    thread.buffer = boot.ipc_buffer();
    auto give = [&](InitSlot from, TcbSlot to) { insert_derived(derive(boot.slot(from)).value(), boot.slot(from), thread.slot(to)); };
    give(InitSlot::CNode, TcbSlot::CSpace);
    give(InitSlot::VSpace, TcbSlot::VSpace);
    give(InitSlot::IPCBuffer, TcbSlot::Buffer);
    thread.state = ThreadState::Running;
}

void make_address_space(Boot& boot) {
    KernAddr pool = boot.memory.take_page();
    kernel.asid_pools[0] = arch::pointer<AsidPool>(pool);
    insert_root(AsidPoolCap::make(pool, 0), boot.slot(InitSlot::ASIDPool));
    boot.vspace = boot.memory.take_page();
    kernel.asid_pools[0]->vspace[root_asid.raw] = boot.vspace;
    insert_root(VSpaceCap::make(boot.vspace, root_asid.raw), boot.slot(InitSlot::VSpace));
}

void make_controls(Boot& boot) {
    insert_root(IrqControlCap::make(), boot.slot(InitSlot::IRQControl));
    insert_root(AsidControlCap::make(), boot.slot(InitSlot::ASIDControl));
    insert_root(DomainCap::make(), boot.slot(InitSlot::Domain));
    insert_root(InspectCap::make(), boot.slot(InitSlot::Inspect));
    boot.root_info->sched_control.start = boot.next_slot;
    // One core runs threads: the others are parked, and there is nothing to schedule on them.
    insert_root(SchedControlCap::make(KernAddr(0), 0), boot.fresh_slot());
    boot.root_info->sched_control.end = boot.next_slot;
}

// -- Untypeds

void add_untyped(Boot& boot, PhysAddr start, SizeBits bits, bool device) {
    RootBootInfo& root = *boot.root_info;
    Word index = boot.next_slot - root.untyped.start;
    if (index == abi::root_max_untypeds) panic("more untypeds than BootInfo can describe");
    root.untyped_list[index] = {.paddr = start.raw, .size_bits = bits.raw, .is_device = device, .padding = {}};
    insert_root(UntypedCap::make(arch::to_kernel(start), bits, device), boot.fresh_slot());
}

void add_untypeds(Boot& boot, const RangeList& list, bool device) {
    for (PhysRange range : list) {
        while (!range.empty()) {
            SizeBits bits = largest_piece(range);
            add_untyped(boot, range.start, bits, device);
            range.start += bits.bytes();
        }
    }
}

// Everything that is not memory: devices, less those that are the kernel's own.
RangeList device_memory(const BootInfo& info) {
    RangeList list;
    list.append({PhysAddr(0), PhysAddr(Word{1} << arch::physical_bits())});
    for (Word i = 0; i < info.ram_count; ++i) list.remove(phys_range(info.ram[i]));
    for (Word i = 0; i < info.no_map_count; ++i) list.remove(phys_range(info.no_map[i]));
    for (Word i = 0; i < info.core_count; ++i) {
        if (info.cores[i].start_method != static_cast<Word>(abi::StartMethod::SpinTable)) continue;
        PhysAddr page(align_down(info.cores[i].release_addr, page_size));
        list.remove({page, page + page_size});
    }
    list.remove(phys_range(info.gic_distributor));
    list.remove(phys_range(info.gic_cpu));
    return list;
}

void make_untypeds(Boot& boot) {
    boot.root_info->untyped.start = boot.next_slot;
    RangeList memory = free_memory(boot);
    memory.remove(boot.objects);
    add_untypeds(boot, memory, false);
    add_untypeds(boot, device_memory(boot.info), true);
    boot.root_info->untyped.end = boot.next_slot;
}

// -- In order

Boot plan(const BootInfo& info, unsigned cores) {
    Boot boot{.info = info, .cores = cores, .extra_bytes = extra_size(info)};
    if (info.root_cnode_bits != 0) boot.cnode_bits = static_cast<unsigned>(info.root_cnode_bits);
    if (boot.cnode_bits < default_cnode_bits || boot.cnode_bits > max_cnode_bits) panic("the root CNode's size is not 12 to 20 bits");
    if (info.segment_count == 0 || info.segment_count > abi::boot_max_segments) panic("the root task has no segments, or too many");
    const abi::BootSegment& last = info.segments[info.segment_count - 1];
    boot.image_start = UserVirtAddr(info.segments[0].vaddr);
    boot.image_end = UserVirtAddr(last.vaddr + last.size);
    if (boot.image_start >= boot.image_end || boot.space_end().raw >= abi::user_top) panic("the root task's addresses are not user addresses");
    return boot;
}

void initialise_cores(const BootInfo& info, unsigned cores_up) {
    kernel.core_count = cores_up;
    lose_address_spaces(kernel);   // a new thread remembers none
    kernel.domain_schedule[0] = {DomainId(0), never};
    __builtin_memcpy(kernel.identity_key, info.entropy + 2, sizeof(kernel.identity_key));
    for (unsigned i = 0; i < abi::max_cores; ++i) {
        kernel.cores[i].kernel = &kernel;
        kernel.cores[i].domain_end = never;
        kernel.cores[i].ready = &kernel.cores[i].queues[0];
        for (ReadyQueues& queues : kernel.cores[i].queues) queues.highest = -1;
        kernel.cores[i].id = CoreId(static_cast<uint8_t>(i));
        arch::init_idle_context(kernel.cores[i].idle, i);
    }
    arch::bind_core(kernel.cores[0]);
}

void start_root(Boot& boot) {
    Core& core = kernel.cores[0];
    core.charged_until = arch::now();
    enqueue_front(core, boot.slot(InitSlot::TCB).cap.as_object<Tcb>());
    core.reschedule = true;
    schedule(core);
}
}  // namespace
}  // namespace caprock

using namespace caprock;

extern "C" void boot_kernel(const abi::BootInfo& info, unsigned cores_up) {
    initialise_cores(info, cores_up);
    Boot boot = plan(info, cores_up);
    place_objects(boot);
    KernAddr cnode = boot.memory.take(Word{1} << (boot.cnode_bits + abi::slot_bits));
    boot.slots = arch::pointer<Slot>(cnode);
    insert_root(CNodeCap::make(cnode, boot.cnode_bits, 64 - boot.cnode_bits), boot.slot(InitSlot::CNode));
    make_address_space(boot);
    make_root_info(boot);
    make_tables(boot);
    map_image(boot);
    KernAddr buffer = boot.memory.take_page();
    insert_root(map_new_frame(boot, buffer, boot.ipc_buffer(), memory_attributes(true, false)), boot.slot(InitSlot::IPCBuffer));
    KernAddr info_page = arch::address_of(boot.root_info);
    insert_root(map_new_frame(boot, info_page, boot.boot_info_page(), memory_attributes(true, false)), boot.slot(InitSlot::BootInfoFrame));
    map_extra_pages(boot);
    make_controls(boot);
    make_untypeds(boot);
    boot.root_info->empty = {boot.next_slot, Word{1} << boot.cnode_bits};
    make_thread(boot);
    start_root(boot);
}
