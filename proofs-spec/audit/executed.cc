// SPDX-License-Identifier: BSD-2-Clause
// QEMU plugin of the audit: notes which instructions of the kernel are executed once the boot is over, one byte for each in a file that is mapped,
// so that nothing is lost when the machine is killed.
//
// arguments: out=FILE, start=ADDRESS, bytes=N (the kernel's code), from=ADDRESS (of the instruction at whose first execution the boot is over)
#include "platform/common/plugin.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr uint64_t instruction_bytes = 4;
uint64_t start = 0;
uint64_t size = 0;
uint64_t first = 0;
bool boot_is_over = false;
unsigned char* executed = nullptr;

[[noreturn]] void stop(const char* why) {
    std::fprintf(stderr, "executed: %s\n", why);
    std::exit(1);
}

void begin(unsigned, void*) { boot_is_over = true; }

void note(unsigned, void* place) {
    if (boot_is_over) *static_cast<unsigned char*>(place) = 1;
}

void translated(uint64_t, PluginBlock* block) {
    for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        PluginInstruction* instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t offset = qemu_plugin_insn_vaddr(instruction) - start;
        if (offset >= size) continue;
        if (start + offset == first) qemu_plugin_register_vcpu_insn_exec_cb(instruction, begin, reads_nothing, nullptr);
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, note, reads_nothing, executed + offset / instruction_bytes);
    }
}

uint64_t number(std::string_view text) { return std::strtoull(text.data(), nullptr, 0); }

void map(const char* path) {
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    const std::size_t bytes = size / instruction_bytes;
    if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) stop("the file of `out` cannot be written");
    void* place = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (place == MAP_FAILED) stop("the file of `out` cannot be mapped");
    executed = static_cast<unsigned char*>(place);
    close(file);
}

}  // namespace

int qemu_plugin_install(uint64_t id, const void*, int count, char** arguments) {
    const char* out = nullptr;
    for (int i = 0; i < count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument.starts_with("out=")) out = arguments[i] + 4;
        if (argument.starts_with("start=")) start = number(argument.substr(6));
        if (argument.starts_with("bytes=")) size = number(argument.substr(6));
        if (argument.starts_with("from=")) first = number(argument.substr(5));
    }
    if (out == nullptr || size == 0 || first == 0) stop("it needs out=FILE, start=ADDRESS, bytes=N and from=ADDRESS");
    map(out);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
