// SPDX-License-Identifier: BSD-2-Clause
// What the project's QEMU plugins share. QEMU's header for them is not packaged: the few names of its interface, version 4, stand here as
// docs/devel/tcg-plugins describes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
struct PluginBlock;
struct PluginInstruction;
struct PluginRegister;
struct PluginAddress;
struct PluginValue {
    int size;   // 0 to 4: 2 to the power of it bytes
    uint64_t low alignas(8);
    uint64_t high;
};
struct RegisterDescription {
    PluginRegister* handle;
    const char* name;
    const char* feature;
};
// GLib's GByteArray and GArray.
struct Bytes {
    uint8_t* data;
    unsigned length;
};
Bytes* g_byte_array_new();
Bytes* g_byte_array_set_size(Bytes*, unsigned);
Bytes* qemu_plugin_get_registers();
int qemu_plugin_read_register(PluginRegister*, Bytes*);
bool qemu_plugin_read_memory_vaddr(uint64_t, Bytes*, std::size_t);
std::size_t qemu_plugin_tb_n_insns(const PluginBlock*);
PluginInstruction* qemu_plugin_tb_get_insn(const PluginBlock*, std::size_t);
std::size_t qemu_plugin_insn_data(const PluginInstruction*, void*, std::size_t);
uint64_t qemu_plugin_insn_vaddr(const PluginInstruction*);
void* qemu_plugin_insn_haddr(const PluginInstruction*);
void qemu_plugin_register_vcpu_init_cb(uint64_t, void (*)(uint64_t, unsigned));
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, PluginBlock*));
void qemu_plugin_register_vcpu_insn_exec_cb(PluginInstruction*, void (*)(unsigned, void*), int, void*);
void qemu_plugin_register_vcpu_mem_cb(PluginInstruction*, void (*)(unsigned, uint32_t, uint64_t, void*), int, int, void*);
bool qemu_plugin_mem_is_store(uint32_t);
unsigned qemu_plugin_mem_size_shift(uint32_t);
PluginValue qemu_plugin_mem_get_value(uint32_t);
PluginAddress* qemu_plugin_get_hwaddr(uint32_t, uint64_t);
bool qemu_plugin_hwaddr_is_io(const PluginAddress*);
uint64_t qemu_plugin_hwaddr_phys_addr(const PluginAddress*);

[[gnu::visibility("default"), gnu::used]] inline int qemu_plugin_version = 4;
[[gnu::visibility("default")]] int qemu_plugin_install(uint64_t, const void*, int, char**);
}

// What callbacks read of registers, and which accesses they are for.
inline constexpr int reads_nothing = 0;
inline constexpr int reads_registers = 1;
inline constexpr int stores = 2;
inline constexpr int loads_and_stores = 3;

// Reads a register of 64 bits of the core that the callback is about. False if it has another width, as in another version of QEMU.
inline bool read_register(PluginRegister* which, uint64_t& value) {
    static Bytes* const bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 0);
    if (qemu_plugin_read_register(which, bytes) != sizeof value) return false;
    std::memcpy(&value, bytes->data, sizeof value);
    return true;
}
