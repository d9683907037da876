// SPDX-License-Identifier: BSD-2-Clause
// QEMU plugin for the boot figures of `./caprock bench`: instructions that the first core executes from the Image's first one and from the kernel's
// entry to the first one of user level, and to the first one of a component.
//
// arguments: out=FILE, which gets a line `NAME COUNT` for each of image, kernel, user and component: the number of instructions before its first;
// image=WORD, kernel=WORD: the first instruction of each, which stands at the beginning of a page (the kernel is where the shim jumps to);
// component=ADDRESS: where components begin, component-word=WORD: with this instruction.
#include "platform/common/plugin.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr uint64_t page_mask = 0xfff;
constexpr uint32_t jump_of_shim = 0xd61f'0200;   // br x16, in enter_kernel of platform/shim/head.S

// What is reached in this order.
enum Place : unsigned { image, kernel, user, component, places };
constexpr std::array<const char*, places> place_names = {"image", "kernel", "user", "component"};

struct Instruction {
    uint64_t address;
    uint32_t word;
};

std::map<std::pair<uint64_t, uint32_t>, Instruction> instructions;   // of a translation; they live as long as the machine
std::array<uint64_t, places> reached_at{};
std::array<uint32_t, places> words{};
uint64_t component_address = 0;
uint64_t count = 0;
uint32_t last_word = 0;
unsigned next = image;
bool kernel_is_high = false;
std::string out;

void report() {
    std::FILE* file = std::fopen(out.c_str(), "w");
    if (file == nullptr) {
        std::fprintf(stderr, "boot plugin: %s cannot be written\n", out.c_str());
        std::exit(1);
    }
    for (unsigned i = 0; i < places; ++i) std::fprintf(file, "%s %llu\n", place_names[i], static_cast<unsigned long long>(reached_at[i]));
    std::fclose(file);
}

bool is_next(const Instruction& instruction) {
    switch (next) {
        case user: return kernel_is_high && instruction.address >> 63 == 0;
        case component: return instruction.address == component_address && instruction.word == words[component];
        case kernel:
            if (last_word != jump_of_shim) return false;
            [[fallthrough]];
        default: return (instruction.address & page_mask) == 0 && instruction.word == words[next];
    }
}

void executed(unsigned core, void* data) {
    if (core != 0 || next == places) return;
    const auto& instruction = *static_cast<const Instruction*>(data);
    kernel_is_high = kernel_is_high || (next == user && instruction.address >> 63 != 0);
    if (is_next(instruction)) {
        reached_at[next++] = count;
        if (next == places) report();
    }
    last_word = instruction.word;
    ++count;
}

void translated(uint64_t, PluginBlock* block) {
    for (std::size_t i = 0; next != places && i < qemu_plugin_tb_n_insns(block); ++i) {
        PluginInstruction* instruction = qemu_plugin_tb_get_insn(block, i);
        uint32_t word = 0;
        if (qemu_plugin_insn_data(instruction, &word, sizeof word) != sizeof word) continue;
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        Instruction& known = instructions[{address, word}];
        known = {address, word};
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, executed, reads_nothing, &known);
    }
}

}  // namespace

int qemu_plugin_install(uint64_t id, const void*, int arguments_count, char** arguments) {
    for (int i = 0; i < arguments_count; ++i) {
        const std::string_view argument = arguments[i];
        const std::size_t equals = argument.find('=');
        if (equals == argument.npos) continue;
        const std::string_view name = argument.substr(0, equals);
        const uint64_t value = std::strtoull(arguments[i] + equals + 1, nullptr, 0);
        if (name == "out") out = argument.substr(equals + 1);
        if (name == "image") words[image] = static_cast<uint32_t>(value);
        if (name == "kernel") words[kernel] = static_cast<uint32_t>(value);
        if (name == "component-word") words[component] = static_cast<uint32_t>(value);
        if (name == "component") component_address = value;
    }
    if (out.empty()) {
        std::fprintf(stderr, "boot plugin: out=FILE is missing\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
