// SPDX-License-Identifier: BSD-2-Clause
// QEMU plugin that counts how often instructions of the kernel are executed: whether random operations come to the ways that they shall compare.
//
// arguments: place=ADDRESS, any number of times; out=FILE, which holds a 64-bit count for each of them in their order, also when the machine is ended.
#include "platform/common/plugin.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

std::vector<uint64_t> places;
uint64_t* counts = nullptr;

void executed(unsigned, void* count) { ++*static_cast<uint64_t*>(count); }

void translated(uint64_t, PluginBlock* block) {
    for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        PluginInstruction* instruction = qemu_plugin_tb_get_insn(block, i);
        for (std::size_t place = 0; place < places.size(); ++place) {
            if (qemu_plugin_insn_vaddr(instruction) != places[place]) continue;
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, executed, reads_nothing, counts + place);
        }
    }
}

// The counts are in the file itself: nobody has to write them when QEMU is ended.
bool open_counts(const std::string& path) {
    const std::size_t bytes = places.size() * sizeof(uint64_t);
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) return false;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) return false;
    counts = static_cast<uint64_t*>(memory);
    return true;
}

}  // namespace

int qemu_plugin_install(uint64_t id, const void*, int arguments_count, char** arguments) {
    std::string out;
    for (int i = 0; i < arguments_count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument.starts_with("place=")) places.push_back(std::strtoull(arguments[i] + 6, nullptr, 0));
        if (argument.starts_with("out=")) out = argument.substr(4);
    }
    if (places.empty() || out.empty() || !open_counts(out)) {
        std::fprintf(stderr, "counting plugin: place=ADDRESS and out=FILE are needed, and a file that can be written (it is '%s')\n", out.c_str());
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
