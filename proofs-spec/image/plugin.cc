// SPDX-License-Identifier: BSD-2-Clause
// QEMU plugin: watches an unchanged kernel image and tells the replayer when it is entered and left, what it reads from the counter and from the
// interrupt controller, and what it writes there. The machine stands still while the replayer looks at its memory.
//
// arguments: records=FIFO, answers=FIFO, hooks=EVENT:ADDRESS:REGISTER+… (EVENT by its number; REGISTER: the first of those that are told)
#include "message.hpp"
#include "platform/common/plugin.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace {

using caprock::image::Event;
using caprock::image::Record;

// What is told when an instruction is about to be executed.
struct Hook {
    Event event;
    unsigned first;   // register
};

std::map<uint64_t, Hook> hooks;
PluginRegister* general[31];
PluginRegister* thread_pointers[3];
PluginRegister* exception_state[3];   // SP_EL0, ELR_EL1, SPSR_EL1: sp, pc and spsr of a thread
int records = -1;
int answers = -1;
bool image_told = false;

[[noreturn]] void stop(const char* what) {
    std::fprintf(stderr, "image plugin: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

// A replayer that is gone has said why itself.
void tell(const Record& record) {
    if (write(records, &record, sizeof record) != sizeof record) stop("the replayer does not listen any more");
    char answer = 0;
    if (record.event <= caprock::image::last_awaited && read(answers, &answer, 1) != 1) stop("the replayer has ended");
}

uint64_t value_of(PluginRegister* which) {
    uint64_t value = 0;
    if (!read_register(which, value)) stop("a register has no 64 bits (another version of QEMU?)");
    return value;
}

void find_registers(uint64_t, unsigned core) {
    if (core != 0) return;
    const char* const names[] = {"TPIDR_EL0", "TPIDRRO_EL0", "TPIDR_EL1"};
    const char* const states[] = {"SP_EL0", "ELR_EL1", "SPSR_EL1"};
    const Bytes* all = qemu_plugin_get_registers();
    const auto* description = reinterpret_cast<const RegisterDescription*>(all->data);
    for (unsigned i = 0; i < all->length; ++i) {
        std::string_view name = description[i].name;
        for (unsigned j = 0; j < std::size(names); ++j) {
            if (name == names[j]) thread_pointers[j] = description[i].handle;
            if (name == states[j]) exception_state[j] = description[i].handle;
        }
        for (unsigned j = 0; j < std::size(general); ++j) {
            if (name == "x" + std::to_string(j)) general[j] = description[i].handle;
        }
    }
    bool named = general[30] != nullptr && thread_pointers[2] != nullptr && exception_state[0] != nullptr && exception_state[1] != nullptr;
    if (!named || exception_state[2] == nullptr) stop("QEMU does not name the registers of a core");
}

// What a fast path does not save before it is sure to end.
void tell_registers() {
    auto tell_one = [](uint64_t number, PluginRegister* which) {
        tell({.event = Event::Register, .x = {number, value_of(which), 0}, .tpidr = 0, .tpidrro = 0, .core = 0});
    };
    for (unsigned i = 0; i < std::size(general); ++i) {
        if (caprock::image::kept_by_fast_path(i)) tell_one(i, general[i]);
    }
    for (unsigned i = 0; i < std::size(exception_state); ++i) tell_one(std::size(general) + i, exception_state[i]);
}

void reached(unsigned core, void* data) {
    if (core != 0) return;
    const auto& hook = *static_cast<const Hook*>(data);
    Record record{.event = hook.event, .x = {}, .tpidr = 0, .tpidrro = 0, .core = 0};
    bool awaited = hook.event <= caprock::image::last_awaited;
    if (hook.event == Event::FastEntry || hook.event == Event::FastLeave) tell_registers();
    for (unsigned i = 0; i < (awaited ? std::size(record.x) : 1); ++i) record.x[i] = value_of(general[hook.first + i]);
    if (awaited) {
        record.tpidr = value_of(thread_pointers[0]);
        record.tpidrro = value_of(thread_pointers[1]);
        record.core = value_of(thread_pointers[2]);
    }
    tell(record);
}

// The kernel uses memory: its image, once, and devices.
void used(unsigned core, uint32_t how, uint64_t address, void*) {
    bool in_image = !image_told && address - caprock::image::image_base < caprock::image::image_limit;
    if (core != 0 || (!in_image && address < caprock::image::device_base)) return;
    const PluginAddress* where = qemu_plugin_get_hwaddr(how, address);
    if (where == nullptr) stop("an access has no physical address");
    uint64_t physical = qemu_plugin_hwaddr_phys_addr(where);
    if (in_image) {
        image_told = true;
        physical -= address - caprock::image::image_base;
        return tell({.event = Event::Image, .x = {physical, 0, 0}, .tpidr = 0, .tpidrro = 0, .core = 0});
    }
    PluginValue value = qemu_plugin_mem_get_value(how);
    uint64_t mask = value.size >= 3 ? ~uint64_t{0} : (uint64_t{1} << (8 << value.size)) - 1;
    tell({.event = qemu_plugin_mem_is_store(how) ? Event::Write : Event::Read,
          .x = {physical, value.low & mask, uint64_t{1} << value.size},
          .tpidr = 0,
          .tpidrro = 0,
          .core = 0});
}

void translated(uint64_t, PluginBlock* block) {
    for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        PluginInstruction* instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (address < caprock::image::image_base) return;
        auto hook = hooks.find(address);
        if (hook != hooks.end()) qemu_plugin_register_vcpu_insn_exec_cb(instruction, reached, reads_registers, &hook->second);
        qemu_plugin_register_vcpu_mem_cb(instruction, used, reads_nothing, loads_and_stores, nullptr);
    }
}

void read_hooks(const char* text) {
    for (char* end = nullptr; *text != 0; text = *end == '+' ? end + 1 : end) {
        uint64_t fields[3];
        for (uint64_t& field : fields) {
            field = std::strtoull(text, &end, 0);
            text = *end == ':' ? end + 1 : end;
        }
        hooks[fields[1]] = {static_cast<Event>(fields[0]), static_cast<unsigned>(fields[2])};
    }
}

}  // namespace

int qemu_plugin_install(uint64_t id, const void*, int count, char** arguments) {
    std::string paths[2];
    for (int i = 0; i < count; ++i) {
        std::string_view argument = arguments[i];
        if (argument.starts_with("records=")) paths[0] = argument.substr(8);
        if (argument.starts_with("answers=")) paths[1] = argument.substr(8);
        if (argument.starts_with("hooks=")) read_hooks(arguments[i] + 6);
    }
    records = open(paths[0].c_str(), O_WRONLY);
    if (records < 0) stop("records=FIFO cannot be opened");
    answers = open(paths[1].c_str(), O_RDONLY);
    if (answers < 0) stop("answers=FIFO cannot be opened");
    qemu_plugin_register_vcpu_init_cb(id, find_registers);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
