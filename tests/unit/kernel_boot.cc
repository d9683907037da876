// SPDX-License-Identifier: BSD-2-Clause
// Cases of kernel/boot: what becomes of physical memory, and what the root task gets.
#include "world.hpp"

#include "boot/memory.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstring>
#include <map>
#include <random>
#include <vector>

using namespace caprock;
using namespace caprock::test;
using host::hardware;

namespace {

PhysRange range(Word start, Word end) { return {PhysAddr(start), PhysAddr(end)}; }

std::vector<std::pair<Word, Word>> list_of(const RangeList& ranges) {
    std::vector<std::pair<Word, Word>> list;
    for (PhysRange each : ranges) list.push_back({each.start.raw, each.end.raw});
    return list;
}

using List = std::vector<std::pair<Word, Word>>;

// What the untypeds of one kind cover, page by page.
std::map<Word, unsigned> memory_pages(const World& w) {
    std::map<Word, unsigned> pages;
    for (Word i = w.root_info().untyped.start; i < w.root_info().untyped.end; ++i) {
        const UntypedCap& untyped = as<UntypedCap>(w.slot(i).cap);
        if (untyped.is_device()) continue;
        Word start = arch::to_physical(untyped.object()).raw;
        for (Word page = start; page < start + untyped.size_bits().bytes(); page += page_size) ++pages[page];
    }
    return pages;
}

bool inside(Word page, const abi::BootRange& range) { return page >= range.start && page < range.end; }

}  // namespace

TEST_CASE("ranges with holes", "[boot]") {
    RangeList list;
    list.append(range(10, 20));
    list.append(range(30, 30));
    list.append(range(30, 40));
    REQUIRE(list_of(list) == List{{10, 20}, {30, 40}});
    SECTION("outside") {
        list.remove(range(0, 10));
        list.remove(range(20, 30));
        list.remove(range(40, 50));
        list.remove(range(15, 15));
        CHECK(list_of(list) == List{{10, 20}, {30, 40}});
    }
    SECTION("in the middle, at the start, at the end") {
        list.remove(range(14, 16));
        list.remove(range(5, 11));
        list.remove(range(39, 45));
        CHECK(list_of(list) == List{{11, 14}, {16, 20}, {30, 39}});
    }
    SECTION("across several") {
        list.remove(range(15, 35));
        CHECK(list_of(list) == List{{10, 15}, {35, 40}});
    }
    SECTION("all") {
        list.remove(range(0, 100));
        CHECK(list_of(list).empty());
    }
    SECTION("too many pieces are a panic") {
        host::reset();
        RangeList many;
        CHECK_THROWS_AS(
            [&] {
                for (Word i = 0; i <= RangeList::capacity; ++i) many.append(range(2 * i + 1, 2 * i + 2));
            }(),
            host::Halt);
    }
}

TEST_CASE("ranges with random holes, against a map of units", "[boot]") {
    std::mt19937 random(7);
    for (unsigned round = 0; round < 200; ++round) {
        RangeList list;
        std::vector<bool> model(256, false);
        for (Word at = 0; at + 16 < 256; at += 32) {
            Word start = at + random() % 16;
            Word end = start + random() % 16;
            list.append(range(start, end));
            for (Word i = start; i < end; ++i) model[i] = true;
        }
        for (unsigned hole = 0; hole < 12; ++hole) {
            Word start = random() % 256;
            Word end = std::min<Word>(256, start + random() % 40);
            list.remove(range(start, end));
            for (Word i = start; i < end; ++i) model[i] = false;
        }
        std::vector<bool> covered(256, false);
        Word last = 0;
        for (PhysRange each : list) {
            REQUIRE(each.start.raw >= last);
            REQUIRE(!each.empty());
            last = each.end.raw;
            for (Word i = each.start.raw; i < each.end.raw; ++i) covered[i] = true;
        }
        REQUIRE(covered == model);
    }
}

TEST_CASE("pieces are the largest that are aligned and fit", "[boot]") {
    CHECK(largest_piece(range(0x1000, 0x2000)).raw == 12);
    CHECK(largest_piece(range(0x1000, 0x8000)).raw == 12);
    CHECK(largest_piece(range(0x4000, 0x7000)).raw == 13);
    CHECK(largest_piece(range(0, 0x7000)).raw == 14);
    CHECK(largest_piece(range(0, Word{1} << 48)).raw == 47);
}

TEST_CASE("every page of memory is the kernel's, the root task's, firmware's or in one untyped", "[boot]") {
    World w;
    const abi::BootInfo& info = w.boot_info();
    std::map<Word, unsigned> pages = memory_pages(w);
    Word missing = 0;
    for (Word page = host::ram_start; page < host::ram_start + host::ram_bytes; page += page_size) {
        bool taken = inside(page, info.kernel) || inside(page, info.root) || inside(page, info.no_map[0]);
        INFO("page " << std::hex << page);
        REQUIRE(pages[page] <= 1);
        if (taken)
            REQUIRE(pages[page] == 0);
        else
            missing += pages[page] == 0;
    }
    // What is missing is the root task's objects: its CNode, three levels of tables, extra boot information and six pages.
    CHECK(missing == (Word{1} << (World::cnode_bits + 5)) / page_size + 3 + 2 + 6);
    // The device tree, BootInfo and the payload are memory again.
    CHECK(pages[info.fdt.start] == 1);
    CHECK(pages[info.boot_info.start] == 1);
}

TEST_CASE("device untypeds are everything else but the kernel's own devices", "[boot]") {
    World w;
    const abi::BootInfo& info = w.boot_info();
    Word total = 0;
    for (Word i = w.root_info().untyped.start; i < w.root_info().untyped.end; ++i) {
        const UntypedCap& untyped = as<UntypedCap>(w.slot(i).cap);
        const abi::UntypedDesc& description = w.root_info().untyped_list[i - w.root_info().untyped.start];
        Word start = arch::to_physical(untyped.object()).raw;
        CHECK(description.paddr == start);
        CHECK(description.size_bits == untyped.size_bits().raw);
        CHECK(description.is_device == untyped.is_device());
        if (!untyped.is_device()) continue;
        Word end = start + untyped.size_bits().bytes();
        total += end - start;
        for (const abi::BootRange& kept : {info.gic_distributor, info.gic_cpu, info.ram[0], info.no_map[0]}) {
            CHECK((end <= kept.start || start >= kept.end));
        }
    }
    CHECK(total == (Word{1} << 40) - host::ram_bytes - 0x2'0000);
}

TEST_CASE("spin-table pages stay reserved", "[boot]") {
    abi::BootInfo info = make_boot_info();
    info.core_count = 2;
    info.cores[1].start_method = static_cast<Word>(abi::StartMethod::SpinTable);
    info.cores[1].release_addr = 0x20d8;
    boot(info, 2);
    Slot* slots = arch::pointer<Slot>(hardware.core->current->cap(TcbSlot::CSpace).object());
    const auto& root = *arch::pointer<abi::RootBootInfo>(slots[World::cap(InitSlot::BootInfoFrame)].cap.object());
    for (Word i = root.untyped.start; i < root.untyped.end; ++i) {
        Word start = arch::to_physical(slots[i].cap.object()).raw;
        Word end = start + as<UntypedCap>(slots[i].cap).size_bits().bytes();
        CHECK((end <= 0x2000 || start >= 0x3000));
    }
}

TEST_CASE("the root task's slots are what BootInfo says", "[boot]") {
    World w;
    const abi::RootBootInfo& root = w.root_info();
    const std::map<InitSlot, CapType> expected = {{InitSlot::TCB, CapType::TCB},
                                                  {InitSlot::CNode, CapType::CNode},
                                                  {InitSlot::VSpace, CapType::VSpace},
                                                  {InitSlot::IRQControl, CapType::IRQControl},
                                                  {InitSlot::ASIDControl, CapType::ASIDControl},
                                                  {InitSlot::ASIDPool, CapType::ASIDPool},
                                                  {InitSlot::BootInfoFrame, CapType::Frame},
                                                  {InitSlot::IPCBuffer, CapType::Frame},
                                                  {InitSlot::Domain, CapType::Domain},
                                                  {InitSlot::SchedContext, CapType::SchedContext},
                                                  {InitSlot::Inspect, CapType::Inspect}};
    for (Word i = 0; i < World::cap(InitSlot::FirstDynamic); ++i) {
        auto found = expected.find(static_cast<InitSlot>(i));
        CHECK(w.slot(i).cap.type() == (found == expected.end() ? CapType::Null : found->second));
    }
    auto all = [&](abi::SlotRegion region, CapType type) {
        for (Word i = region.start; i < region.end; ++i) CHECK(w.slot(i).cap.is(type));
        return region.end - region.start;
    };
    CHECK(all(root.user_image_frames, CapType::Frame) == 3);
    CHECK(all(root.user_image_paging, CapType::PageTable) == 3);
    CHECK(all(root.extra_bi_pages, CapType::Frame) == 2);
    CHECK(all(root.sched_control, CapType::SchedControl) == 1);
    CHECK(all(root.untyped, CapType::Untyped) > 10);
    CHECK(root.empty.end == Word{1} << World::cnode_bits);
    CHECK(root.init_cnode_size_bits == World::cnode_bits);
    CHECK(root.num_nodes == 1);
}

TEST_CASE("the root task's address space", "[boot]") {
    World w;
    const Cap& vspace = w.slot(World::cap(InitSlot::VSpace)).cap;
    auto entry = [&](Word address) {
        Walk found = walk(vspace.object(), UserVirtAddr(address), last_level);
        return found.level == last_level ? *found.entry : arch::Pte{0};
    };
    const abi::BootInfo& info = w.boot_info();
    constexpr Word read_only = 1 << 7, never = Word{1} << 54;
    CHECK(arch::entry_address(entry(0x400000)).raw == info.root.start);
    CHECK((entry(0x401000) & (read_only | never)) == read_only);
    CHECK(arch::entry_address(entry(0x402000)).raw == info.root.start + 2 * page_size);
    CHECK((entry(0x402000) & (read_only | never)) == never);
    CHECK(hardware.root == arch::to_physical(vspace.object()));
    CHECK(w.root_info().ipc_buffer == 0x403000);
    CHECK(arch::entry_address(entry(0x403000)) == arch::to_physical(w.slot(World::cap(InitSlot::IPCBuffer)).cap.object()));
    CHECK(arch::entry_address(entry(0x404000)) == arch::to_physical(w.slot(World::cap(InitSlot::BootInfoFrame)).cap.object()));
    CHECK(entry(0x405000) != 0);
    CHECK(entry(0x407000) == 0);
    Tcb& thread = *w.root().object;
    CHECK(thread.context.x[0] == 0);  // the last answer's badge by now; at its start it was the address of BootInfo
    CHECK(thread.priority == Prio(255));
}

TEST_CASE("extra boot information: what the kernel knows, and the device tree", "[boot]") {
    abi::BootInfo info = make_boot_info();
    info.fdt.end = info.fdt.start + 3000;
    std::memset(arch::pointer<void>(arch::to_kernel(PhysAddr(info.fdt.start))), 0x5c, 3000);
    for (unsigned i = 0; i < 4; ++i) info.entropy[i] = 77 + i;
    info.system_hash[31] = 9;
    boot(info, 3);
    Tcb& root_thread = *hardware.core->current;
    CHECK(root_thread.context.x[0] == 0x404000);
    CHECK(root_thread.context.pc == 0x400000);
    Slot* slots = arch::pointer<Slot>(root_thread.cap(TcbSlot::CSpace).object());
    const auto& root = *arch::pointer<abi::RootBootInfo>(slots[World::cap(InitSlot::BootInfoFrame)].cap.object());
    const Word* extra = arch::pointer<Word>(slots[root.extra_bi_pages.start].cap.object());
    CHECK(root.extra_len == 16 + 128 + 16 + 3000);
    CHECK(extra[0] == static_cast<Word>(abi::BootChunk::Caprock));
    CHECK(extra[1] == 16 + 128);
    const auto& platform = *reinterpret_cast<const abi::RootPlatform*>(extra + 2);
    CHECK(platform.api_hash == abi::api_hash);
    CHECK(platform.debug_build == 1);
    CHECK(platform.core_count == 3);
    CHECK(platform.timer_frequency == hardware.frequency);
    CHECK(platform.console_paddr == 0x0900'0000);
    // The key of identities stays with the kernel: what the root task gets in its place tells nothing about it.
    CHECK(platform.entropy[0] == 77);
    CHECK(platform.entropy[1] == 78);
    for (Word word : {platform.entropy[2], platform.entropy[3]})
        for (Word secret : info.entropy) CHECK(word != secret);
    CHECK(platform.system_hash[31] == 9);
    const Word* tree = extra + (16 + 128) / 8;
    CHECK(tree[0] == static_cast<Word>(abi::BootChunk::Fdt));
    CHECK(tree[1] == 16 + 3000);
    CHECK(std::memcmp(tree + 2, arch::pointer<void>(arch::to_kernel(PhysAddr(info.fdt.start))), 3000) == 0);
}

TEST_CASE("a larger root CNode", "[boot]") {
    abi::BootInfo info = make_boot_info();
    info.root_cnode_bits = 16;
    boot(info);
    const CNodeCap& cnode = as<CNodeCap>(hardware.core->current->cap(TcbSlot::CSpace));
    CHECK(cnode.radix() == 16);
    CHECK(cnode.guard_size() == 48);
}

TEST_CASE("what cannot be booted says why", "[boot]") {
    abi::BootInfo info = make_boot_info();
    std::string reason;
    SECTION("no segments") {
        info.segment_count = 0;
        reason = "no segments";
    }
    SECTION("too many segments") {
        info.segment_count = abi::boot_max_segments + 1;
        reason = "too many";
    }
    SECTION("a CNode that is too large") {
        info.root_cnode_bits = 21;
        reason = "12 to 20 bits";
    }
    SECTION("a CNode that is too small") {
        info.root_cnode_bits = 4;
        reason = "12 to 20 bits";
    }
    SECTION("addresses beyond user level's") {
        info.segments[0].vaddr = abi::user_top;
        info.segments[1].vaddr = abi::user_top + 0x2000;
        reason = "not user addresses";
    }
    SECTION("too little memory") {
        info.no_map[0] = {host::ram_start + (Word{2} << 20) + 64 * page_size, host::ram_start + host::ram_bytes};
        reason = "too little memory";
    }
    SECTION("a CNode that does not hold the image's frames") {
        info.segments[1].size = 5000 * page_size;
        info.root.end = info.segments[1].paddr + info.segments[1].size;
        reason = "root CNode is too small";
    }
    CHECK_THROWS_AS(boot(info), host::Halt);
    CHECK(hardware.console.find(reason) != std::string::npos);
}
