// SPDX-License-Identifier: BSD-2-Clause
// The boot shim's reading of device trees: small trees made here, in which one thing at a time is missing, odd or damaged.
#include <catch2/catch_test_macros.hpp>

#include <libfdt.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "platform/shim/device_tree.hpp"

using namespace caprock;
using namespace caprock::shim;

namespace {

// A device tree in memory, changed with libfdt's own functions.
class Tree {
public:
    Tree() : words_(8192) { check(fdt_create_empty_tree(words_.data(), static_cast<int>(words_.size() * 8))); }

    const void* data() const { return words_.data(); }
    void* data() { return words_.data(); }

    Tree& node(const std::string& path) {
        const size_t slash = path.rfind('/');
        const int parent = fdt_path_offset(data(), slash == 0 ? "/" : path.substr(0, slash).c_str());
        REQUIRE(parent >= 0);
        REQUIRE(fdt_add_subnode(data(), parent, path.substr(slash + 1).c_str()) >= 0);
        return *this;
    }
    Tree& cells(const std::string& path, const char* name, const std::vector<uint32_t>& values) {
        std::vector<uint32_t> big(values.size());
        for (size_t i = 0; i < values.size(); ++i) big[i] = cpu_to_fdt32(values[i]);
        return bytes(path, name, big.data(), big.size() * 4);
    }
    Tree& text(const std::string& path, const char* name, const std::string& value) {
        return bytes(path, name, value.c_str(), value.size() + 1);
    }
    Tree& flag(const std::string& path, const char* name) { return bytes(path, name, "", 0); }
    Tree& bytes(const std::string& path, const char* name, const void* value, size_t size) {
        check(fdt_setprop(data(), at(path), name, value, static_cast<int>(size)));
        return *this;
    }
    Tree& without(const std::string& path, const char* name) {
        check(fdt_delprop(data(), at(path), name));
        return *this;
    }
    Tree& without(const std::string& path) {
        check(fdt_del_node(data(), at(path)));
        return *this;
    }
    Tree& reserve(uint64_t address, uint64_t size) {
        check(fdt_add_mem_rsv(data(), address, size));
        return *this;
    }

private:
    int at(const std::string& path) {
        const int node = fdt_path_offset(data(), path.c_str());
        REQUIRE(node >= 0);
        return node;
    }
    static void check(int result) { REQUIRE(result == 0); }

    std::vector<uint64_t> words_;
};

// A machine in the manner of the Raspberry Pi 4: a bus that is mapped elsewhere, an alias, spin tables.
Tree make_board() {
    Tree tree;
    tree.text("/", "compatible", std::string("example,board\0example,chip", 26))
        .cells("/", "#address-cells", {2})
        .cells("/", "#size-cells", {1});
    tree.node("/aliases").text("/aliases", "serial1", "/soc/serial@7e215040");
    tree.node("/chosen").text("/chosen", "stdout-path", "serial1:115200n8");
    tree.cells("/chosen", "linux,initrd-start", {0x8000000}).cells("/chosen", "linux,initrd-end", {0, 0x8001000});
    tree.cells("/chosen", "rng-seed", {1, 2, 3, 4, 5});
    tree.node("/memory@0").text("/memory@0", "device_type", "memory").cells("/memory@0", "reg", {0, 0, 0x3c000000, 1, 0, 0x40000000});
    tree.node("/soc").cells("/soc", "#address-cells", {1}).cells("/soc", "#size-cells", {1});
    tree.cells("/soc", "ranges", {0x7e000000, 0, 0xfe000000, 0x1800000, 0x40000000, 0, 0xff800000, 0x800000});
    tree.node("/soc/serial@7e215040").text("/soc/serial@7e215040", "compatible", "brcm,bcm2835-aux-uart");
    tree.cells("/soc/serial@7e215040", "reg", {0x7e215040, 0x40});
    tree.node("/soc/gic@40041000").text("/soc/gic@40041000", "compatible", "arm,gic-400");
    tree.cells("/soc/gic@40041000", "reg", {0x40041000, 0x1000, 0x40042000, 0x2000, 0x40044000, 0x2000});
    tree.node("/timer").text("/timer", "compatible", "arm,armv8-timer");
    tree.cells("/timer", "interrupts", {1, 13, 0xf08, 1, 14, 0xf08, 1, 11, 0xf08, 1, 10, 0xf08});
    tree.node("/cpus").cells("/cpus", "#address-cells", {1}).cells("/cpus", "#size-cells", {0});
    for (uint32_t i = 0; i < 4; ++i) {
        const std::string cpu = "/cpus/cpu@" + std::to_string(i);
        tree.node(cpu).text(cpu, "device_type", "cpu").cells(cpu, "reg", {i}).text(cpu, "enable-method", "spin-table");
        tree.cells(cpu, "cpu-release-addr", {0, 0xd8 + 8 * i});
    }
    return tree;
}

std::string read(const Tree& tree, Machine& machine, uint64_t mpidr = 2) {
    const Problem problem = read_machine(tree.data(), mpidr, machine);
    return problem ? problem.what : "";
}

std::string problem_of(const Tree& tree, uint64_t mpidr = 2) {
    Machine machine;
    return read(tree, machine, mpidr);
}

bool same(BootRange a, BootRange b) { return a.start == b.start && a.end == b.end; }

}  // namespace

TEST_CASE("a whole board is read") {
    const Tree tree = make_board();
    const Problem damaged = check_device_tree(tree.data(), device_tree_size(tree.data()));
    REQUIRE_FALSE(damaged);
    Machine machine;
    REQUIRE(read(tree, machine) == "");
    CHECK(std::string(machine.compatible) == "example,board");
    REQUIRE(machine.ram.size() == 2);
    CHECK(same(machine.ram[0], {0, 0x3c000000}));
    CHECK(same(machine.ram[1], {0x100000000, 0x140000000}));
    CHECK(same(machine.payload, {0x8000000, 0x8001000}));
    CHECK(machine.console.kind == abi::ConsoleKind::MiniUart);
    CHECK(machine.console.address == 0xfe215040);
    CHECK(machine.gic_version == 2);
    CHECK(same(machine.gic_distributor, {0xff841000, 0xff842000}));
    CHECK(same(machine.gic_cpu, {0xff842000, 0xff844000}));
    CHECK(machine.timer_virtual == 27);
    CHECK(machine.timer_physical == 30);
    CHECK(machine.timer_frequency == 0);
    CHECK(machine.psci == abi::PsciConduit::None);
    CHECK(machine.entropy[0] == 0x100000002);
    CHECK(machine.entropy[1] == 0x300000004);
    CHECK(machine.entropy[2] == 0);
}

TEST_CASE("the boot core comes first, and spin tables are reserved") {
    Machine machine;
    REQUIRE(read(make_board(), machine) == "");
    REQUIRE(machine.core_count == 4);
    CHECK(machine.cores[0].mpidr == 2);
    CHECK(machine.cores[0].start_method == static_cast<uint64_t>(abi::StartMethod::None));
    CHECK(machine.cores[1].mpidr == 0);
    CHECK(machine.cores[1].release_addr == 0xd8);
    CHECK(machine.cores[2].mpidr == 1);
    CHECK(machine.cores[3].mpidr == 3);
    CHECK(machine.cores[3].start_method == static_cast<uint64_t>(abi::StartMethod::SpinTable));
    REQUIRE(machine.no_map.size() == 1);
    CHECK(same(machine.no_map[0], {0, 0x1000}));
}

TEST_CASE("cores: PSCI, those that cannot be started, and a ninth") {
    Tree tree = make_board();
    tree.node("/psci").text("/psci", "compatible", "arm,psci-1.0").text("/psci", "method", "smc");
    tree.text("/cpus/cpu@0", "enable-method", "psci")
        .text("/cpus/cpu@1", "status", "disabled")
        .text("/cpus/cpu@3", "enable-method", "magic");
    Machine machine;
    REQUIRE(read(tree, machine) == "");
    CHECK(machine.psci == abi::PsciConduit::Smc);
    REQUIRE(machine.core_count == 2);
    CHECK(machine.cores[1].start_method == static_cast<uint64_t>(abi::StartMethod::Psci));
    CHECK(problem_of(make_board(), 7) == "device tree: /cpus does not list the boot core");

    Tree many = make_board();
    for (uint32_t i = 4; i < 12; ++i) {
        const std::string cpu = "/cpus/cpu@" + std::to_string(i);
        many.node(cpu).text(cpu, "device_type", "cpu").cells(cpu, "reg", {i}).text(cpu, "enable-method", "spin-table");
        many.cells(cpu, "cpu-release-addr", {0, 0x2000});
    }
    Machine largest;
    REQUIRE(read(many, largest, 11) == "");
    CHECK(largest.core_count == 8);
    CHECK(largest.cores[0].mpidr == 11);
    for (unsigned i = 1; i < 8; ++i) CHECK(largest.cores[i].mpidr == i - 1);
}

TEST_CASE("a Raspberry Pi 4's boot stub is reserved without any reservation") {
    Tree tree = make_board();
    tree.text("/", "compatible", std::string("raspberrypi,4-model-b\0brcm,bcm2711", 34));
    tree.node("/psci").text("/psci", "compatible", "arm,psci-1.0").text("/psci", "method", "smc");
    for (uint32_t i = 0; i < 4; ++i) tree.text("/cpus/cpu@" + std::to_string(i), "enable-method", "psci");
    Machine machine;
    REQUIRE(read(tree, machine) == "");
    REQUIRE(machine.no_map.size() == 1);
    CHECK(same(machine.no_map[0], {0, 0x1000}));
}

TEST_CASE("reservations: firmware's are kept, what the loader loaded is not, reusable and disabled regions are not") {
    Tree tree = make_board();
    tree.reserve(0x10000800, 0x1000)
        .reserve(0x8000000, 0x1000)
        .reserve(reinterpret_cast<uint64_t>(tree.data()), 0x4000)
        .reserve(0x20000000, 0);
    tree.node("/reserved-memory").cells("/reserved-memory", "#address-cells", {2}).cells("/reserved-memory", "#size-cells", {1});
    tree.flag("/reserved-memory", "ranges");
    tree.node("/reserved-memory/a")
        .cells("/reserved-memory/a", "reg", {0, 0x30000000, 0x2000, 0, 0x31000000, 0x1000})
        .flag("/reserved-memory/a", "no-map");
    tree.node("/reserved-memory/b").cells("/reserved-memory/b", "reg", {0, 0x32000000, 0x1000}).flag("/reserved-memory/b", "reusable");
    tree.node("/reserved-memory/c")
        .cells("/reserved-memory/c", "reg", {0, 0x33000000, 0x1000})
        .text("/reserved-memory/c", "status", "disabled");
    tree.node("/reserved-memory/d").cells("/reserved-memory/d", "size", {0x1000});
    Machine machine;
    REQUIRE(read(tree, machine) == "");
    REQUIRE(machine.no_map.size() == 4);
    CHECK(same(machine.no_map[0], {0, 0x1000}));
    CHECK(same(machine.no_map[1], {0x10000000, 0x10002000}));
    CHECK(same(machine.no_map[2], {0x30000000, 0x30002000}));
    CHECK(same(machine.no_map[3], {0x31000000, 0x31001000}));
}

TEST_CASE("a reservation that starts at the payload but goes on behind it is firmware's") {
    Tree tree = make_board();
    tree.reserve(0x8000000, 0x2000);
    Machine machine;
    REQUIRE(read(tree, machine) == "");
    CHECK(machine.no_map.contains({0x8000000, 0x8002000}));
}

TEST_CASE("GICv3 and named timer interrupts") {
    Tree tree = make_board();
    tree.text("/soc/gic@40041000", "compatible", "arm,gic-v3");
    tree.cells("/timer", "interrupts", {1, 1, 4, 1, 2, 4}).bytes("/timer", "interrupt-names", "virt\0phys", 10);
    tree.cells("/timer", "clock-frequency", {54000000});
    Machine machine;
    REQUIRE(read(tree, machine) == "");
    CHECK(machine.gic_version == 3);
    CHECK(machine.timer_virtual == 17);
    CHECK(machine.timer_physical == 18);
    CHECK(machine.timer_frequency == 54000000);
}

TEST_CASE("a disabled node is passed over for the next of its kind") {
    Tree tree = make_board();
    tree.text("/soc/gic@40041000", "status", "disabled");
    CHECK(problem_of(tree) == "device tree: no GICv2 or GICv3 interrupt controller");
    tree.node("/soc/gic@40051000").text("/soc/gic@40051000", "compatible", "arm,gic-400");
    tree.cells("/soc/gic@40051000", "reg", {0x40051000, 0x1000, 0x40052000, 0x2000});
    Machine machine;
    REQUIRE(read(tree, machine) == "");
    CHECK(machine.gic_distributor.start == 0xff851000);
}

TEST_CASE("what is missing is named") {
    struct Case {
        std::function<void(Tree&)> change;
        const char* expected;
    };
    const Case cases[] = {
        {[](Tree& t) { t.without("/", "compatible"); }, "device tree: the root node has no compatible string"},
        {[](Tree& t) { t.without("/chosen", "stdout-path"); }, "device tree: no console"},
        {[](Tree& t) { t.without("/chosen"); }, "device tree: no console"},
        {[](Tree& t) { t.text("/chosen", "stdout-path", "serial7"); }, "device tree: stdout-path names no node"},
        {[](Tree& t) { t.text("/chosen", "stdout-path", "/timer"); }, "device tree: the console is of an unknown kind"},
        {[](Tree& t) { t.bytes("/chosen", "stdout-path", "serial1", 7); }, "device tree: no console"},  // no NUL
        {[](Tree& t) { t.without("/soc", "ranges"); }, "device tree: the console is of an unknown kind"},
        {[](Tree& t) { t.without("/memory@0"); }, "device tree: no memory"},
        {[](Tree& t) { t.text("/memory@0", "status", "disabled"); }, "device tree: no memory"},
        {[](Tree& t) { t.cells("/memory@0", "reg", {0, 0, 0xfff}); }, "device tree: no memory"},
        {[](Tree& t) { t.without("/chosen", "linux,initrd-start"); }, "no payload"},
        {[](Tree& t) { t.without("/chosen", "linux,initrd-end"); }, "no payload"},
        {[](Tree& t) { t.cells("/chosen", "linux,initrd-end", {0x8000000}); }, "device tree: the initial ramdisk ends before it starts"},
        {[](Tree& t) { t.without("/soc/gic@40041000"); }, "device tree: no GICv2 or GICv3 interrupt controller"},
        {[](Tree& t) { t.cells("/soc/gic@40041000", "reg", {0x40041000, 0x1000}); },
         "device tree: the interrupt controller's registers cannot be located"},
        {[](Tree& t) { t.cells("/soc/gic@40041000", "reg", {0x50041000, 0x1000, 0x50042000, 0x1000}); },
         "device tree: the interrupt controller's registers cannot be located"},
        {[](Tree& t) { t.without("/timer"); }, "device tree: no arm,armv8-timer"},
        {[](Tree& t) { t.cells("/timer", "interrupts", {1, 13, 4, 1, 14, 4}); },
         "device tree: the timer's interrupts are not private peripheral ones"},
        {[](Tree& t) { t.cells("/timer", "interrupts", {0, 1, 4, 0, 2, 4, 0, 3, 4}); },
         "device tree: the timer's interrupts are not private peripheral ones"},
        {[](Tree& t) { t.flag("/timer", "clock-frequency"); }, "device tree: the timer's clock-frequency is not a number"},
        {[](Tree& t) { t.node("/psci").text("/psci", "compatible", "arm,psci-0.2").text("/psci", "method", "call"); },
         "device tree: PSCI's method is neither smc nor hvc"},
        {[](Tree& t) { t.without("/cpus"); }, "device tree: /cpus does not list the boot core"},
    };
    for (const Case& missing : cases) {
        Tree tree = make_board();
        missing.change(tree);
        CHECK(problem_of(tree) == missing.expected);
    }
}

TEST_CASE("too many ranges are refused") {
    Tree memory = make_board();
    std::vector<uint32_t> reg;
    for (uint32_t i = 0; i < 33; ++i) reg.insert(reg.end(), {0, i * 0x10000, 0x1000});
    memory.cells("/memory@0", "reg", reg);
    CHECK(problem_of(memory) == "device tree: more than 32 separate ranges of memory");
    Tree reserved = make_board();
    for (uint64_t i = 1; i < 40; ++i) reserved.reserve(i * 0x10000, 0x1000);
    CHECK(problem_of(reserved) == "device tree: more than 32 separate ranges of memory");
}

TEST_CASE("headers that are none are told from sizes that are absurd") {
    Tree tree = make_board();
    CHECK(device_tree_size(tree.data()) == fdt_totalsize(tree.data()));
    fdt_set_totalsize(tree.data(), 0x80000000);
    CHECK(device_tree_size(tree.data()) == 0);
    fdt_set_totalsize(tree.data(), 8);
    CHECK(device_tree_size(tree.data()) == 0);
    const uint64_t nothing[8] = {};
    CHECK(device_tree_size(nothing) == 0);
}

TEST_CASE("random damage is refused or read without a fault") {
    const Tree sound = make_board();
    Tree tree = sound;
    REQUIRE(fdt_pack(tree.data()) == 0);
    const uint64_t size = fdt_totalsize(tree.data());
    std::mt19937 random(5);
    unsigned refused = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<uint64_t> words((size + 7) / 8);
        std::memcpy(words.data(), tree.data(), size);
        auto* bytes = reinterpret_cast<uint8_t*>(words.data());
        for (auto i = random() % 3 + 1; i > 0; --i) bytes[random() % size] = static_cast<uint8_t>(random());
        const uint64_t declared = device_tree_size(words.data());
        if (declared == 0 || declared > size) {
            ++refused;
            continue;
        }
        if (const Problem damaged = check_device_tree(words.data(), declared)) {
            ++refused;
            continue;
        }
        Machine machine;
        if (const Problem problem = read_machine(words.data(), 2, machine)) ++refused;
    }
    CHECK(refused > 1000);
    CHECK(refused < 20000);
}
