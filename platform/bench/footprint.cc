// SPDX-License-Identifier: BSD-2-Clause
// QEMU plugin for `./caprock bench --footprint`: what is executed and touched between two reads of the counter by user level: instructions by
// class, memory accesses, distinct lines of 64 bytes and pages of 4 KiB. `movz xzr, #N` (systems/bench/bench.hpp: announce) says which operation
// comes next; reads after it that have kernel instructions between them are its windows 0 and 1. Of each the last one is reported, when
// operation 0 is announced: there are no more.
//
// argument: out=FILE, which gets a line `N WINDOW NAME=COUNT...` for each window.
#include "platform/common/plugin.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr unsigned line_bits = 6;
constexpr unsigned page_bits = 12;
constexpr unsigned windows = 2;   // of an operation: there, and back

enum Class : unsigned { load, store, alu, branch, mrs, msr, isb, dsb, dmb, tlbi, cache, svc, eret, simd, hint, classes };
constexpr std::array<const char*, classes> class_names = {"load", "store", "alu", "branch", "mrs", "msr", "isb", "dsb", "dmb", "tlbi", "cache",
                                                          "svc", "eret", "simd", "hint"};

constexpr uint32_t eret_word = 0xd69f03e0;

// Arm ARM C4.1.68: branches, exception generation and system instructions.
Class system_class(uint32_t word) {
    const unsigned op0 = word >> 19 & 3;
    const unsigned crn = word >> 12 & 15;
    const unsigned op2 = word >> 5 & 7;
    if (op0 >= 2) return (word >> 21 & 1) != 0 ? mrs : msr;
    if (op0 == 1) return crn == 8 ? tlbi : cache;
    if (crn == 3) return op2 == 4 ? dsb : op2 == 6 ? isb : dmb;
    return crn == 2 ? hint : msr;
}

// C4.1.94: loads and stores.
Class memory_class(uint32_t word) {
    const bool vector = (word >> 26 & 1) != 0;
    const unsigned opc = word >> 22 & 3;
    if ((word & 0x3b00'0000) == 0x1800'0000) return load;                // literal
    if ((word & 0x3a00'0000) != 0x3800'0000) return (opc & 1) != 0 ? load : store;   // pairs, exclusives, vector structures
    return opc == 0 || (vector && opc == 2 && word >> 30 == 0) ? store : load;
}

Class class_of(uint32_t word) {
    if (word == eret_word) return eret;
    if ((word & 0xffe0'001f) == 0xd400'0001) return svc;
    if ((word & 0xffc0'0000) == 0xd500'0000) return system_class(word);
    if ((word & 0x1c00'0000) == 0x1400'0000) return branch;
    if ((word & 0x0a00'0000) == 0x0800'0000) return memory_class(word);
    return (word & 0x0e00'0000) == 0x0e00'0000 ? simd : alu;
}

struct Footprint {
    std::array<unsigned, classes> count{};
    unsigned kernel = 0;
    unsigned accesses = 0;
    std::set<uint64_t> code_lines, code_pages, data_lines, data_pages;
};

struct Instruction {
    uint32_t word;
    bool in_kernel;
    Class kind;
    uint64_t place;   // where the instruction is in the host's memory: as good as its physical address to tell lines apart
};

std::map<std::pair<unsigned, unsigned>, Footprint> results;
std::map<std::pair<uint64_t, uint32_t>, Instruction> instructions;   // of a translation, by place and word; they live as long as the machine
Footprint current;
unsigned operation = 0;
unsigned window = 0;
bool announced = false;
bool counting = false;
std::string out;

// The end of a window and the beginning of the next one.
void read_counter() {
    if (counting && current.kernel != 0) results[{operation, window++}] = current;
    announced = window < windows;
    counting = announced;
    current = {};
}

void report() {
    std::FILE* file = std::fopen(out.c_str(), "w");
    if (file == nullptr) {
        std::fprintf(stderr, "footprint plugin: %s cannot be written\n", out.c_str());
        std::exit(1);
    }
    for (const auto& [key, footprint] : results) {
        std::fprintf(file, "%u %u kernel=%u accesses=%u code_lines=%zu code_pages=%zu data_lines=%zu data_pages=%zu", key.first, key.second,
                     footprint.kernel, footprint.accesses, footprint.code_lines.size(), footprint.code_pages.size(), footprint.data_lines.size(),
                     footprint.data_pages.size());
        for (unsigned i = 0; i < classes; ++i) std::fprintf(file, " %s=%u", class_names[i], footprint.count[i]);
        std::fputc('\n', file);
    }
    std::fclose(file);
}

void announce(unsigned next) {
    operation = next;
    announced = next != 0;
    counting = false;
    window = 0;
    if (!announced) report();
}

void executed(unsigned, void* data) {
    const auto& instruction = *static_cast<const Instruction*>(data);
    if (!instruction.in_kernel && (instruction.word & 0xffe0'001f) == 0xd280'001f) {
        return announce(instruction.word >> 5 & 0xffff);
    }
    if (!announced) return;
    if (!instruction.in_kernel && (instruction.word & ~31u) == 0xd53b'e040) return read_counter();
    if (!counting) return;
    ++current.count[instruction.kind];
    current.kernel += instruction.in_kernel;
    current.code_lines.insert(instruction.place >> line_bits);
    current.code_pages.insert(instruction.place >> page_bits);
}

void accessed(unsigned, uint32_t how, uint64_t address, void*) {
    if (!counting) return;
    const PluginAddress* where = qemu_plugin_get_hwaddr(how, address);
    const uint64_t place = where == nullptr ? address : qemu_plugin_hwaddr_phys_addr(where);
    const uint64_t last = place + (uint64_t{1} << qemu_plugin_mem_size_shift(how)) - 1;
    ++current.accesses;
    current.data_lines.insert({place >> line_bits, last >> line_bits});
    current.data_pages.insert({place >> page_bits, last >> page_bits});
}

void translated(uint64_t, PluginBlock* block) {
    for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        PluginInstruction* instruction = qemu_plugin_tb_get_insn(block, i);
        uint32_t word = 0;
        if (qemu_plugin_insn_data(instruction, &word, sizeof word) != sizeof word) continue;
        const auto place = reinterpret_cast<uint64_t>(qemu_plugin_insn_haddr(instruction));
        const bool in_kernel = qemu_plugin_insn_vaddr(instruction) >> 63 != 0;
        Instruction& known = instructions[{place, word}];
        known = {word, in_kernel, class_of(word), place};
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, executed, reads_nothing, &known);
        qemu_plugin_register_vcpu_mem_cb(instruction, accessed, reads_nothing, loads_and_stores, nullptr);
    }
}

}  // namespace

int qemu_plugin_install(uint64_t id, const void*, int count, char** arguments) {
    for (int i = 0; i < count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument.starts_with("out=")) out = argument.substr(4);
    }
    if (out.empty()) {
        std::fprintf(stderr, "footprint plugin: out=FILE is missing\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
