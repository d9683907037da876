// SPDX-License-Identifier: BSD-2-Clause
// QEMU plugin for `./caprock trace`: writes down when an unchanged kernel is entered and left, why, and which threads and budgets changed meanwhile.
// It ends with the console's line that ends the run, or after `for` nanoseconds. docs/trace.md says what becomes of the records.
//
// arguments: out=FILE; vectors=ADDRESS of the kernel's exception vectors; iar=ADDRESS: where GICv2 tells the interrupt that is taken (physical);
// ready=ADDRESS: where the loader starts threads; addresses=ADDRESS: its array of the objects' places; threads=INDEX+…, contexts=INDEX+… and
// others=INDEX+…: which of them are TCBs, scheduling contexts, and have names; for=NANOSECONDS.
#include "platform/common/plugin.hpp"

#include "arch/seam.hpp"
#include "object/sched_context.hpp"
#include "object/tcb.hpp"
#include "sched/core.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

using caprock::Core;
using caprock::SchedContext;
using caprock::Tcb;

constexpr uint64_t kernel_half = 0xffff'0000'0000'0000;
constexpr uint64_t memory_base = 0xffff'8000'0000'0000;   // where the kernel maps memory
constexpr unsigned vector_bytes = 0x80;
constexpr unsigned vector_count = 16;
constexpr unsigned registers = 32;
constexpr uint32_t register_bits = registers - 1;   // the last number is no register, but zero
constexpr uint32_t exception_return = 0xd69f'03e0;
// mrs of CNTVCT_EL0 and ICC_IAR1_EL1: what was read is there at the next instruction. msr of CVAL and CTL of the virtual and the physical timer.
constexpr uint32_t read_counter = 0xd53b'e040;
constexpr uint32_t read_acknowledge = 0xd538'cc00;
constexpr std::array<uint32_t, 4> timer_writes = {0xd51b'e340, 0xd51b'e320, 0xd51b'e240, 0xd51b'e220};
constexpr std::string_view timer_names = "VvPp";
constexpr uint64_t acknowledged_bits = 0x3ff;

// What happens at an instruction. Hooks live as long as the machine.
struct Hook {
    enum Kind : unsigned { Entry, Exit, Counter, Acknowledge, Timer, Ready } kind;
    unsigned number;   // of the vector or of the register that is looked at; of timers also which of `timer_writes`
};

struct Arguments {
    std::string out;
    uint64_t vectors = 0, ready = 0, addresses = 0, acknowledge = 0, duration = ~uint64_t{0};
    std::vector<unsigned> threads, contexts, others;
};

// What a record says of a thread or a context: it is written when it is another than the last one.
using Text = std::string;

Arguments arguments;
std::map<std::pair<unsigned, unsigned>, Hook> hooks;
uint64_t executed = 0;            // instructions of all cores: each takes a nanosecond
PluginRegister* general[31];
PluginRegister* syndrome = nullptr;
PluginRegister* link = nullptr;
PluginRegister* core_register = nullptr;
std::FILE* out = nullptr;
uint64_t offset = 0;             // of the counter to the number of instructions
bool objects_known = false;
std::map<uint64_t, Text> threads, contexts;   // last records, by kernel address
std::map<uint64_t, std::string> lines;        // that are being written to devices, by physical address

[[noreturn]] void stop(const char* what) {
    std::fprintf(stderr, "trace plugin: %s\n", what);
    std::exit(1);
}

uint64_t now() { return executed; }

void count(unsigned, void*) { ++executed; }

// Z time reason
void tell_end(const std::string& reason) { std::fprintf(out, "Z %" PRIu64 " %s\n", now(), reason.c_str()); }

void finish() {
    if (std::fclose(out) != 0 || std::rename((arguments.out + ".part").c_str(), arguments.out.c_str()) != 0) stop("the record cannot be written");
    out = nullptr;
}

uint64_t value_of(PluginRegister* which) {
    uint64_t value = 0;
    if (!read_register(which, value)) stop("a register has no 64 bits (another version of QEMU?)");
    return value;
}

// -- The kernel's objects, copied as far as they are looked at.

template <class T>
struct Copy {
    alignas(T) std::array<uint8_t, sizeof(T)> bytes{};
    const T& object() const { return *reinterpret_cast<const T*>(bytes.data()); }
};

template <class T>
Copy<T> copy_of(uint64_t address, std::size_t first = 0, std::size_t behind = sizeof(T)) {
    static Bytes* const bytes = g_byte_array_new();
    Copy<T> copy;
    if (!qemu_plugin_read_memory_vaddr(address + first, bytes, behind - first)) stop("an object of the kernel cannot be read (is the build current?)");
    std::memcpy(copy.bytes.data() + first, bytes->data, behind - first);
    return copy;
}

uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

template <class... Values>
Text format(const char* form, Values... values) {
    char text[400];
    std::snprintf(text, sizeof text, form, values...);
    return text;
}

void write_if_new(std::map<uint64_t, Text>& known, uint64_t address, char letter, Text text) {
    Text& last = known[address];
    if (last == text) return;
    last = std::move(text);
    std::fprintf(out, "%c %" PRIx64 " %s\n", letter, address, last.c_str());
}

// What is copied of a thread and of a core, from the first byte to behind the last one.
constexpr std::size_t thread_first = offsetof(Tcb, priority);
constexpr std::size_t thread_behind = offsetof(Tcb, buffer);
constexpr std::size_t core_behind = offsetof(Core, queues);
constexpr bool is_copied(std::size_t place, std::size_t bytes) { return place >= thread_first && place + bytes <= thread_behind; }
static_assert(is_copied(offsetof(Tcb, state), sizeof(Tcb::state)) && is_copied(offsetof(Tcb, release), sizeof(Tcb::release)) &&
              is_copied(offsetof(Tcb, sched_context), sizeof(Tcb::sched_context)) && is_copied(offsetof(Tcb, reply), sizeof(Tcb::reply)) &&
              is_copied(offsetof(Tcb, fault), sizeof(Tcb::fault)));
static_assert(offsetof(Core, current) < core_behind && offsetof(Core, current_sched_context) < core_behind);

// t ADDRESS state waits-for-refill context reply fault at-fetch words
void look_at_thread(uint64_t address) {
    const Copy<Tcb> copy = copy_of<Tcb>(address, thread_first, thread_behind);
    const Tcb& tcb = copy.object();
    if (tcb.sched_context != nullptr) contexts.try_emplace(address_of(tcb.sched_context));
    write_if_new(threads, address, 't',
                 format("%u %d %" PRIx64 " %" PRIx64 " %u %d %" PRIx64 " %" PRIx64 " %" PRIx64, static_cast<unsigned>(tcb.state), tcb.release.linked(),
                        address_of(tcb.sched_context), address_of(tcb.reply), static_cast<unsigned>(tcb.fault.label), tcb.fault.flag, tcb.fault.words[0],
                        tcb.fault.words[1], tcb.fault.words[2]));
}

// s ADDRESS budget period, time and amount of the first refill
void look_at_context(uint64_t address) {
    const Copy<SchedContext> copy = copy_of<SchedContext>(address);
    const Copy<caprock::Refill> refill = copy_of<caprock::Refill>(address + sizeof(SchedContext));
    const SchedContext& context = copy.object();
    write_if_new(contexts, address, 's', format("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, context.budget.raw, context.period.raw,
                                                refill.object().time.raw, refill.object().amount.raw));
}

// -- What is recorded.

uint64_t register_or_zero(unsigned number) { return number == register_bits ? 0 : value_of(general[number]); }

// E number-of-vector time syndrome return-address x0 x1 x7 x8
void enter(unsigned vector) {
    std::fprintf(out, "E %u %" PRIu64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", vector, now(), value_of(syndrome),
                 value_of(link), value_of(general[0]), value_of(general[1]), value_of(general[7]), value_of(general[8]));
}

// X time thread context return-address x1, behind what changed
void leave() {
    const uint64_t time = now();
    const Copy<Core> core = copy_of<Core>(value_of(core_register), 0, core_behind);
    const uint64_t current = address_of(core.object().current);
    if (current != 0) threads.try_emplace(current);
    for (const auto& [address, text] : threads) look_at_thread(address);
    for (const auto& [address, text] : contexts) look_at_context(address);
    std::fprintf(out, "X %" PRIu64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", time, current,
                 address_of(core.object().current_sched_context), value_of(link), value_of(general[1]));
    if (time + offset < arguments.duration) return;
    tell_end("for");
    finish();
}

// The loader has planned where objects are and made them: o INDEX ADDRESS
void read_objects() {
    if (objects_known) return;
    objects_known = true;
    auto read_one = [](unsigned index) {
        const Copy<uint64_t> physical = copy_of<uint64_t>(arguments.addresses + sizeof(uint64_t) * index);
        const uint64_t address = memory_base + physical.object();
        std::fprintf(out, "o %u %" PRIx64 "\n", index, address);
        return address;
    };
    for (unsigned index : arguments.threads) threads.try_emplace(read_one(index));
    for (unsigned index : arguments.contexts) contexts.try_emplace(read_one(index));
    for (unsigned index : arguments.others) read_one(index);
    std::fprintf(out, "R %" PRIu64 "\n", now());
}

void counter_was_read(uint64_t value) {
    if (value - now() == offset) return;
    offset = value - now();
    std::fprintf(out, "T %" PRIu64 " %" PRIu64 "\n", now(), offset);
}

void reached(unsigned core, void* data) {
    if (core != 0 || out == nullptr) return;
    const auto& hook = *static_cast<const Hook*>(data);
    switch (hook.kind) {
        case Hook::Entry: return enter(hook.number);
        case Hook::Exit: return leave();
        case Hook::Counter: return counter_was_read(value_of(general[hook.number]));
        case Hook::Acknowledge: std::fprintf(out, "A %" PRIu64 "\n", value_of(general[hook.number])); return;
        case Hook::Timer:
            std::fprintf(out, "%c %" PRIu64 " %" PRIu64 "\n", timer_names[hook.number / registers], now(), register_or_zero(hook.number % registers));
            return;
        case Hook::Ready: return read_objects();
    }
}

bool ends_run(std::string_view line) { return line.starts_with("caprock: exit ") || line.starts_with("caprock: halt: "); }

// A line that a device was told byte by byte: the console's that ends the run ends the record. Whoever follows the console ends this machine as soon
// as the line is whole, so each byte of it may be the last one.
void device_was_told(uint64_t place, char byte) {
    constexpr std::size_t most = 100;
    std::string& line = lines[place];
    const bool goes_on = byte != '\r' && byte != '\n';
    if (goes_on && line.size() < most) line += byte;
    if (!ends_run(line)) {
        if (!goes_on) line.clear();
        return;
    }
    if (!goes_on) return finish();
    tell_end(line);
    std::fflush(out);
}

void accessed(unsigned core, uint32_t how, uint64_t address, void*) {
    if (core != 0 || out == nullptr) return;
    const PluginAddress* where = qemu_plugin_get_hwaddr(how, address);
    if (where == nullptr || !qemu_plugin_hwaddr_is_io(where)) return;
    const uint64_t place = qemu_plugin_hwaddr_phys_addr(where);
    const uint64_t value = qemu_plugin_mem_get_value(how).low;
    if (qemu_plugin_mem_is_store(how)) return device_was_told(place, static_cast<char>(value));
    if (place == arguments.acknowledge) std::fprintf(out, "A %" PRIu64 "\n", value & acknowledged_bits);
}

// -- Where QEMU is to call.

void hook(PluginInstruction* instruction, Hook::Kind kind, unsigned number) {
    Hook& known = hooks[{kind, number}];
    known = {kind, number};
    qemu_plugin_register_vcpu_insn_exec_cb(instruction, reached, reads_registers, &known);
}

// What the instruction before this one has read is there now.
void hook_result(PluginInstruction* instruction, uint32_t before) {
    if ((before & ~register_bits) == read_counter) hook(instruction, Hook::Counter, before & register_bits);
    if ((before & ~register_bits) == read_acknowledge) hook(instruction, Hook::Acknowledge, before & register_bits);
}

void hook_instruction(PluginInstruction* instruction, uint64_t address, uint32_t word) {
    const uint64_t vector = (address - arguments.vectors) / vector_bytes;
    const bool in_kernel = address >= kernel_half;
    if (address == arguments.ready) hook(instruction, Hook::Ready, 0);
    if (in_kernel && (address - arguments.vectors) % vector_bytes == 0 && vector < vector_count) hook(instruction, Hook::Entry, static_cast<unsigned>(vector));
    if (in_kernel && word == exception_return) hook(instruction, Hook::Exit, 0);
    for (unsigned i = 0; i < timer_writes.size(); ++i) {
        if ((word & ~register_bits) == timer_writes[i]) hook(instruction, Hook::Timer, i * registers + (word & register_bits));
    }
    qemu_plugin_register_vcpu_mem_cb(instruction, accessed, reads_nothing, in_kernel ? loads_and_stores : stores, nullptr);
}

void translated(uint64_t, PluginBlock* block) {
    static std::map<uint64_t, uint32_t> kernel_words;   // a block may begin behind an instruction whose result is wanted
    for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        PluginInstruction* instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        uint32_t word = 0;
        if (qemu_plugin_insn_data(instruction, &word, sizeof word) != sizeof word) continue;
        if (address >= kernel_half) {
            kernel_words[address] = word;
            auto before = kernel_words.find(address - sizeof word);
            if (before != kernel_words.end()) hook_result(instruction, before->second);
        }
        hook_instruction(instruction, address, word);
        // Behind the callbacks: they count what was executed before.
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, count, reads_nothing, nullptr);
    }
}

void find_registers(uint64_t, unsigned core) {
    if (core != 0) return;
    const Bytes* all = qemu_plugin_get_registers();
    const auto* description = reinterpret_cast<const RegisterDescription*>(all->data);
    const std::map<std::string_view, PluginRegister**> wanted = {
        {"ESR_EL1", &syndrome}, {"ELR_EL1", &link}, {"TPIDR_EL1", &core_register}};
    for (unsigned i = 0; i < all->length; ++i) {
        const std::string_view name = description[i].name;
        if (auto found = wanted.find(name); found != wanted.end()) *found->second = description[i].handle;
        for (unsigned j = 0; j < std::size(general); ++j) {
            if (name == "x" + std::to_string(j)) general[j] = description[i].handle;
        }
    }
    for (const auto& [name, place] : wanted) {
        if (*place == nullptr) stop("QEMU does not name the registers of a core (another version of QEMU?)");
    }
}

std::vector<unsigned> read_indices(const char* text) {
    std::vector<unsigned> indices;
    for (char* end = nullptr; *text != 0; text = *end == '+' ? end + 1 : end) indices.push_back(static_cast<unsigned>(std::strtoul(text, &end, 10)));
    return indices;
}

void read_argument(std::string_view name, const char* value) {
    const uint64_t number = std::strtoull(value, nullptr, 0);
    if (name == "out") arguments.out = value;
    if (name == "vectors") arguments.vectors = number;
    if (name == "iar") arguments.acknowledge = number;
    if (name == "ready") arguments.ready = number;
    if (name == "addresses") arguments.addresses = number;
    if (name == "for") arguments.duration = number;
    if (name == "threads") arguments.threads = read_indices(value);
    if (name == "contexts") arguments.contexts = read_indices(value);
    if (name == "others") arguments.others = read_indices(value);
}

}  // namespace

int qemu_plugin_install(uint64_t id, const void*, int count, char** values) {
    for (int i = 0; i < count; ++i) {
        const char* equals = std::strchr(values[i], '=');
        if (equals != nullptr) read_argument({values[i], static_cast<std::size_t>(equals - values[i])}, equals + 1);
    }
    out = std::fopen((arguments.out + ".part").c_str(), "w");
    if (out == nullptr) stop("out=FILE cannot be written");
    qemu_plugin_register_vcpu_init_cb(id, find_registers);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
