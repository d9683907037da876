// SPDX-License-Identifier: BSD-2-Clause
// QEMU's header for plugins is not packaged: the few names of its interface, version 4, stand here as docs/devel/tcg-plugins describes them.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
struct PluginBlock;
struct PluginInstruction;
struct PluginAddress;
std::size_t qemu_plugin_tb_n_insns(const PluginBlock*);
PluginInstruction* qemu_plugin_tb_get_insn(const PluginBlock*, std::size_t);
std::size_t qemu_plugin_insn_data(const PluginInstruction*, void*, std::size_t);
uint64_t qemu_plugin_insn_vaddr(const PluginInstruction*);
void* qemu_plugin_insn_haddr(const PluginInstruction*);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, PluginBlock*));
void qemu_plugin_register_vcpu_insn_exec_cb(PluginInstruction*, void (*)(unsigned, void*), int, void*);
void qemu_plugin_register_vcpu_mem_cb(PluginInstruction*, void (*)(unsigned, uint32_t, uint64_t, void*), int, int, void*);
PluginAddress* qemu_plugin_get_hwaddr(uint32_t, uint64_t);
uint64_t qemu_plugin_hwaddr_phys_addr(const PluginAddress*);
unsigned qemu_plugin_mem_size_shift(uint32_t);

[[gnu::visibility("default"), gnu::used]] inline int qemu_plugin_version = 4;
[[gnu::visibility("default")]] int qemu_plugin_install(uint64_t, const void*, int, char**);
}

// No registers are read.
inline constexpr int reads_nothing = 0;
