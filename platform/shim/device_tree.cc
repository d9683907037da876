// SPDX-License-Identifier: BSD-2-Clause
// Reads the device tree, following the Devicetree Specification 0.4 and the bindings of the devices named here. Every property's length is checked
// before its cells are read.
#include "device_tree.hpp"

#include <libfdt.h>

#include "platform/common/tree.hpp"

namespace caprock::shim {

using fdt::big_endian;
using fdt::equal;
using fdt::Tree;

namespace {

constexpr uint64_t max_size = uint64_t{2} << 20;
constexpr const char* use_another = "give the boot loader this machine's own device tree";
constexpr uint64_t cell_bytes = 4;

// A property's value: big-endian 32-bit cells.
struct Cells {
    const uint8_t* bytes = nullptr;
    unsigned count = 0;  // cells; a rest of less than a cell is left out
    unsigned size = 0;   // bytes

    uint32_t cell(unsigned i) const { return big_endian(bytes + i * cell_bytes); }
    // The number of `cells` cells at cell i; the two lowest cells of a longer one.
    uint64_t number(unsigned i, unsigned cells) const {
        uint64_t value = 0;
        for (unsigned k = 0; k < cells; ++k) value = value << 32 | cell(i + k);
        return value;
    }
    explicit operator bool() const { return bytes != nullptr; }
};

Cells property(const Tree& tree, int node, const char* name) {
    unsigned size = 0;
    const uint8_t* value = tree.property(node, name, size);
    if (!value) return {};
    return {value, static_cast<unsigned>(size / cell_bytes), size};
}

// A property that is one number of one or two cells.
bool read_number(const Tree& tree, int node, const char* name, uint64_t& value) {
    const Cells cells = property(tree, node, name);
    if (cells.count < 1 || cells.count > 2) return false;
    value = cells.number(0, cells.count);
    return true;
}

// A property that is text; nullptr unless it ends with a NUL.
const char* text(const Tree& tree, int node, const char* name) {
    const Cells value = property(tree, node, name);
    if (!value || value.size == 0 || value.bytes[value.size - 1] != 0) return nullptr;
    return reinterpret_cast<const char*>(value.bytes);
}

bool available(const Tree& tree, int node) {
    const char* status = text(tree, node, "status");
    return !status || equal(status, "okay") || equal(status, "ok");
}

// Whether one of a node's compatible strings is the given one.
bool is_compatible(const Tree& tree, int node, const char* compatible) {
    const Cells list = property(tree, node, "compatible");
    for (unsigned at = 0; at < list.size;) {
        const char* one = reinterpret_cast<const char*>(list.bytes) + at;
        unsigned length = 0;
        while (at + length < list.size && one[length] != 0) ++length;
        if (at + length == list.size) return false;   // no NUL at the end
        if (equal(one, compatible)) return true;
        at += length + 1;
    }
    return false;
}

// The first available node of a compatible string, or Tree::none.
int find_compatible(const Tree& tree, const char* compatible) {
    int depth = 0;
    int node = 0;
    while (node != Tree::none && !(is_compatible(tree, node, compatible) && available(tree, node))) node = tree.next(node, depth);
    return node;
}

struct CellCounts {
    unsigned address;
    unsigned size;
};

// #address-cells and #size-cells that a node sets for its children. False if they are absurd.
bool child_cells(const Tree& tree, int node, CellCounts& counts) {
    const Cells address = property(tree, node, "#address-cells");
    const Cells size = property(tree, node, "#size-cells");
    if ((address && address.size != cell_bytes) || (size && size.size != cell_bytes)) return false;
    counts = {address ? address.cell(0) : 2, size ? size.cell(0) : 1};
    return counts.address >= 1 && counts.address <= 3 && counts.size <= 2;
}

// Translates an address one level up, by the `ranges` of `bus`, whose parent's address cells are given.
bool translate_once(const Tree& tree, int bus, CellCounts counts, unsigned parent_cells, uint64_t& address) {
    const Cells ranges = property(tree, bus, "ranges");
    if (!ranges) return false;
    if (ranges.count == 0) return true;
    const unsigned entry = counts.address + parent_cells + counts.size;
    for (unsigned i = 0; i + entry <= ranges.count; i += entry) {
        const uint64_t child = ranges.number(i, counts.address);
        const uint64_t size = ranges.number(i + counts.address + parent_cells, counts.size);
        if (address < child || address - child >= size) continue;
        address = address - child + ranges.number(i + counts.address, parent_cells);
        return true;
    }
    return false;
}

// Entry `index` of a node's `reg`, as physical addresses.
bool read_reg(const Tree& tree, int node, unsigned index, BootRange& range) {
    int bus = tree.parent(node);
    CellCounts counts{};
    if (bus < 0 || !child_cells(tree, bus, counts)) return false;
    const Cells reg = property(tree, node, "reg");
    const unsigned entry = counts.address + counts.size;
    if ((index + 1) * entry > reg.count) return false;
    uint64_t address = reg.number(index * entry, counts.address);
    const uint64_t size = reg.number(index * entry + counts.address, counts.size);
    while (bus != 0) {
        const int parent = tree.parent(bus);
        CellCounts above{};
        if (parent < 0 || !child_cells(tree, parent, above) || !translate_once(tree, bus, counts, above.address, address)) return false;
        bus = parent;
        counts = above;
    }
    range = range_at(address, size);
    return true;
}

Problem list_full() { return {"device tree: more than 32 separate ranges of memory", use_another}; }

// RAM: every available node below the root whose device_type is memory.
Problem read_ram(const Tree& tree, Machine& machine) {
    for (int node = tree.first_child(0); node != Tree::none; node = tree.next_sibling(node)) {
        const char* type = text(tree, node, "device_type");
        if (!type || !equal(type, "memory") || !available(tree, node)) continue;
        BootRange range{};
        for (unsigned i = 0; read_reg(tree, node, i, range); ++i) {
            if (!machine.ram.add(pages_within(range))) return list_full();
        }
    }
    if (machine.ram.size() == 0) return {"device tree: no memory", use_another};
    if (machine.ram.size() > abi::boot_max_ranges) return list_full();
    return {};
}

// Memory reservations of the header. Boot loaders also list what they loaded, which is ours to use and to free: it is told apart by its
// start.
Problem read_memory_reservations(const Tree& tree, Machine& machine) {
    const uint64_t self = reinterpret_cast<uint64_t>(tree.fdt);
    const int count = fdt_num_mem_rsv(tree.fdt);
    for (int i = 0; i < count; ++i) {
        uint64_t address = 0;
        uint64_t size = 0;
        if (fdt_get_mem_rsv(tree.fdt, i, &address, &size) != 0) return {"device tree: its memory reservations are damaged", use_another};
        const BootRange range = range_at(address, size);
        const bool loaded = address == self || (address == machine.payload.start && range.end <= align_up(machine.payload.end, page_size));
        if (!loaded && size != 0 && !machine.no_map.add(pages_around(range))) return list_full();
    }
    return {};
}

// Static regions of /reserved-memory. A reusable one is ordinary memory until its driver asks for it, and dynamic ones have no place.
Problem read_reserved_memory(const Tree& tree, Machine& machine) {
    const int parent = tree.child(0, "reserved-memory");
    if (parent < 0) return {};
    for (int node = tree.first_child(parent); node != Tree::none; node = tree.next_sibling(node)) {
        if (!available(tree, node) || property(tree, node, "reusable")) continue;
        BootRange range{};
        for (unsigned i = 0; read_reg(tree, node, i, range); ++i) {
            if (range.start < range.end && !machine.no_map.add(pages_around(range))) return list_full();
        }
    }
    return {};
}

Problem read_payload_range(const Tree& tree, Machine& machine) {
    const int chosen = tree.child(0, "chosen");
    if (chosen < 0 || !read_number(tree, chosen, "linux,initrd-start", machine.payload.start) ||
        !read_number(tree, chosen, "linux,initrd-end", machine.payload.end)) {
        return {"no payload", "load system.bin as the initial ramdisk: -initrd system.bin, or the second argument of booti"};
    }
    if (machine.payload.start >= machine.payload.end) {
        return {"device tree: the initial ramdisk ends before it starts", use_another, machine.payload.start};
    }
    return {};
}

void read_entropy(const Tree& tree, Machine& machine) {
    const int chosen = tree.child(0, "chosen");
    const Cells seed = chosen < 0 ? Cells{} : property(tree, chosen, "rng-seed");
    for (unsigned i = 0; i < 4 && (i + 1) * 8 <= seed.size; ++i) machine.entropy[i] = seed.number(2 * i, 2);
}

Problem read_gic(const Tree& tree, Machine& machine) {
    struct Known {
        const char* compatible;
        uint64_t version;
    };
    const Known known[] = {{"arm,gic-v3", 3}, {"arm,gic-400", 2}, {"arm,cortex-a15-gic", 2}};
    for (const Known& gic : known) {
        const int node = find_compatible(tree, gic.compatible);
        if (node < 0) continue;
        if (!read_reg(tree, node, 0, machine.gic_distributor) || !read_reg(tree, node, 1, machine.gic_cpu)) {
            return {"device tree: the interrupt controller's registers cannot be located", use_another};
        }
        machine.gic_version = gic.version;
        return {};
    }
    return {"device tree: no GICv2 or GICv3 interrupt controller", use_another};
}

// Interrupt number `index` of the timer node (a private peripheral interrupt); 0 if there is none.
uint64_t timer_interrupt(const Cells& interrupts, unsigned cells, unsigned index) {
    constexpr uint32_t private_peripheral = 1;
    if ((index + 1) * cells > interrupts.count || interrupts.cell(index * cells) != private_peripheral) return 0;
    const uint32_t number = interrupts.cell(index * cells + 1);
    return number < 16 ? 16 + number : 0;
}

// The generic timer. Without interrupt-names its interrupts are: secure physical, physical, virtual, hypervisor.
Problem read_timer(const Tree& tree, Machine& machine) {
    const int node = find_compatible(tree, "arm,armv8-timer");
    if (node < 0) return {"device tree: no arm,armv8-timer", use_another};
    const Cells interrupts = property(tree, node, "interrupts");
    const int named_physical = fdt_stringlist_search(tree.fdt, node, "interrupt-names", "phys");
    const int named_virtual = fdt_stringlist_search(tree.fdt, node, "interrupt-names", "virt");
    constexpr unsigned cells = 3;
    machine.timer_physical = timer_interrupt(interrupts, cells, named_physical < 0 ? 1 : static_cast<unsigned>(named_physical));
    machine.timer_virtual = timer_interrupt(interrupts, cells, named_virtual < 0 ? 2 : static_cast<unsigned>(named_virtual));
    if (machine.timer_physical == 0 || machine.timer_virtual == 0) {
        return {"device tree: the timer's interrupts are not private peripheral ones", use_another};
    }
    if (property(tree, node, "clock-frequency") && !read_number(tree, node, "clock-frequency", machine.timer_frequency)) {
        return {"device tree: the timer's clock-frequency is not a number", use_another};
    }
    return {};
}

Problem read_psci(const Tree& tree, Machine& machine) {
    int node = find_compatible(tree, "arm,psci-1.0");
    if (node < 0) node = find_compatible(tree, "arm,psci-0.2");
    if (node < 0) return {};
    const char* method = text(tree, node, "method");
    if (method && equal(method, "smc")) {
        machine.psci = abi::PsciConduit::Smc;
    } else if (method && equal(method, "hvc")) {
        machine.psci = abi::PsciConduit::Hvc;
    } else {
        return {"device tree: PSCI's method is neither smc nor hvc", use_another};
    }
    return {};
}

// How the core of a node is started; false if the shim knows no way.
bool read_start_method(const Tree& tree, int node, const Machine& machine, abi::BootCore& core) {
    const char* method = text(tree, node, "enable-method");
    if (!method) return false;
    if (equal(method, "psci") && machine.psci != abi::PsciConduit::None) {
        core.start_method = static_cast<uint64_t>(abi::StartMethod::Psci);
        return true;
    }
    if (equal(method, "spin-table") && read_number(tree, node, "cpu-release-addr", core.release_addr)) {
        core.start_method = static_cast<uint64_t>(abi::StartMethod::SpinTable);
        return core.release_addr % sizeof(uint64_t) == 0;
    }
    return false;
}

// Adds a core behind the boot core, in the order of affinities; if there are too many, the one with the highest is left out.
void add_core(Machine& machine, const abi::BootCore& core) {
    unsigned i = machine.core_count;
    while (i > 1 && machine.cores[i - 1].mpidr > core.mpidr) --i;
    if (i == Machine::max_cores) return;
    if (machine.core_count < Machine::max_cores) ++machine.core_count;
    for (unsigned k = machine.core_count - 1; k > i; --k) machine.cores[k] = machine.cores[k - 1];
    machine.cores[i] = core;
}

// The cores, the boot core first. Those that cannot be started are left out. The page of each spin table belongs to firmware: other cores
// execute there.
Problem read_cores(const Tree& tree, uint64_t boot_mpidr, Machine& machine) {
    const int parent = tree.child(0, "cpus");
    bool boot_core_listed = false;
    machine.cores[0] = {};
    machine.cores[0].mpidr = boot_mpidr;
    machine.core_count = 1;
    for (int node = parent == Tree::none ? parent : tree.first_child(parent); node != Tree::none; node = tree.next_sibling(node)) {
        const char* type = text(tree, node, "device_type");
        abi::BootCore core{};
        if (!type || !equal(type, "cpu") || !available(tree, node) || !read_number(tree, node, "reg", core.mpidr)) continue;
        const bool can_start = read_start_method(tree, node, machine, core);
        if (core.release_addr != 0 && !machine.no_map.add(pages_around({core.release_addr, core.release_addr + sizeof(uint64_t)}))) {
            return list_full();
        }
        if (core.mpidr == boot_mpidr) {
            boot_core_listed = true;
        } else if (can_start) {
            add_core(machine, core);
        }
    }
    if (!boot_core_listed) return {"device tree: /cpus does not list the boot core", use_another, boot_mpidr};
    return {};
}

// The Raspberry Pi 4's firmware keeps its boot stub (spin loop, or the entry to TF-A) in page 0, which not all of its device trees reserve.
Problem reserve_boot_stub(const Tree& tree, Machine& machine) {
    if (!is_compatible(tree, 0, "brcm,bcm2711")) return {};
    return machine.no_map.add({0, page_size}) ? Problem{} : list_full();
}

}  // namespace

uint64_t device_tree_size(const void* fdt) {
    const Cells header{static_cast<const uint8_t*>(fdt), 2, 8};
    const uint32_t size = header.cell(1);
    return header.cell(0) == FDT_MAGIC && size >= sizeof(fdt_header) && size <= max_size ? size : 0;
}

Problem check_device_tree(const void* fdt, uint64_t limit) {
    if (fdt_check_full(fdt, limit) != 0) return {"device tree: damaged", use_another, reinterpret_cast<uint64_t>(fdt)};
    return {};
}

Problem read_console(const void* fdt, Console& console) {
    const Tree tree(fdt);
    constexpr const char* remedy = "set stdout-path of /chosen to a UART: arm,pl011 or brcm,bcm2835-aux-uart";
    const int chosen = tree.child(0, "chosen");
    const char* path = chosen < 0 ? nullptr : text(tree, chosen, "stdout-path");
    if (!path) return {"device tree: no console", remedy};
    int length = 0;
    while (path[length] && path[length] != ':') ++length;  // options such as the baud rate follow the colon
    const int node = fdt_path_offset_namelen(fdt, path, length);
    if (node < 0) return {"device tree: stdout-path names no node", remedy};
    abi::ConsoleKind kind = abi::ConsoleKind::None;
    if (is_compatible(tree, node, "arm,pl011")) kind = abi::ConsoleKind::Pl011;
    if (is_compatible(tree, node, "brcm,bcm2835-aux-uart")) kind = abi::ConsoleKind::MiniUart;
    BootRange registers{};
    if (kind == abi::ConsoleKind::None || !read_reg(tree, node, 0, registers))
        return {"device tree: the console is of an unknown kind", remedy};
    console = {kind, registers.start};
    return {};
}

Problem read_machine(const void* fdt, uint64_t boot_mpidr, Machine& machine) {
    const Tree tree(fdt);
    machine.compatible = text(tree, 0, "compatible");
    if (!machine.compatible) return {"device tree: the root node has no compatible string", use_another};
    if (const Problem problem = read_console(fdt, machine.console)) return problem;
    if (const Problem problem = read_ram(tree, machine)) return problem;
    if (const Problem problem = read_payload_range(tree, machine)) return problem;
    if (const Problem problem = read_memory_reservations(tree, machine)) return problem;
    if (const Problem problem = read_reserved_memory(tree, machine)) return problem;
    if (const Problem problem = reserve_boot_stub(tree, machine)) return problem;
    if (const Problem problem = read_gic(tree, machine)) return problem;
    if (const Problem problem = read_timer(tree, machine)) return problem;
    if (const Problem problem = read_psci(tree, machine)) return problem;
    if (const Problem problem = read_cores(tree, boot_mpidr, machine)) return problem;
    if (machine.no_map.size() > abi::boot_max_ranges) return list_full();
    read_entropy(tree, machine);
    return {};
}

}  // namespace caprock::shim
