// SPDX-License-Identifier: BSD-2-Clause
// PL011 (Arm DDI 0183) and BCM2835 auxiliary mini-UART (BCM2711 peripherals manual, chapter 2) output.
#include "console.hpp"

namespace caprock::shim {
namespace {

namespace pl011 {
constexpr uint64_t data = 0x00;
constexpr uint64_t flags = 0x18;
constexpr uint64_t line_control = 0x2c;
constexpr uint64_t control = 0x30;
constexpr uint64_t identification = 0xfe0;  // four bytes of part and maker, four of PrimeCell, each in a word
constexpr uint32_t flag_transmit_full = 1 << 5;
constexpr uint32_t line_8n1_fifo = 0x70;
constexpr uint32_t control_enable_transmit = 1 << 0 | 1 << 8;
constexpr uint32_t control_receive = 1 << 9;
}  // namespace pl011

namespace mini_uart {
constexpr uint64_t data = 0x00;
constexpr uint64_t line_control = 0x0c;
constexpr uint64_t line_status = 0x14;
constexpr uint64_t control = 0x20;
constexpr uint64_t enables = 0x04;  // AUX_ENABLES, from the start of the page
constexpr uint64_t in_page = 0x40;
constexpr uint32_t enable_uart = 1 << 0;
constexpr uint32_t line_8bit = 3;
constexpr uint32_t control_both = 3;
constexpr uint32_t status_transmit_free = 1 << 5;
}  // namespace mini_uart

constexpr uint64_t virt_ram = 0x4000'0000;
constexpr Console virt_console{abi::ConsoleKind::Pl011, 0x900'0000};
constexpr Console rpi4_consoles[] = {{abi::ConsoleKind::Pl011, 0xfe20'1000}, {abi::ConsoleKind::MiniUart, 0xfe21'5040}};

constexpr unsigned max_open = 2;
constinit Console open_consoles[max_open]{};
constinit unsigned open_count = 0;

uint32_t read32(uint64_t address) {
    uint32_t value;
    asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

void write32(uint64_t address, uint32_t value) { asm volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory"); }

void enable_pl011(uint64_t base) {
    const uint32_t control = read32(base + pl011::control);
    if ((control & pl011::control_enable_transmit) == pl011::control_enable_transmit) return;
    write32(base + pl011::control, 0);
    write32(base + pl011::line_control, pl011::line_8n1_fifo);
    write32(base + pl011::control, pl011::control_enable_transmit | pl011::control_receive);
}

void enable_mini_uart(uint64_t base) {
    const uint64_t enables = base - mini_uart::in_page + mini_uart::enables;
    const uint32_t enabled = read32(enables);
    if (enabled & mini_uart::enable_uart) return;
    write32(enables, enabled | mini_uart::enable_uart);
    write32(base + mini_uart::line_control, mini_uart::line_8bit);
    write32(base + mini_uart::control, mini_uart::control_both);
}

bool transmitter_full(const Console& console) {
    if (console.kind == abi::ConsoleKind::Pl011) return read32(console.address + pl011::flags) & pl011::flag_transmit_full;
    return !(read32(console.address + mini_uart::line_status) & mini_uart::status_transmit_free);
}

// A UART that never drains must not keep the machine from booting: after this many polls the character is lost.
constexpr unsigned max_polls = 1'000'000;

void put(char character) {
    for (unsigned i = 0; i < open_count; ++i) {
        for (unsigned polls = 0; transmitter_full(open_consoles[i]) && polls < max_polls; ++polls) {
        }
        static_assert(pl011::data == mini_uart::data);
        write32(open_consoles[i].address + pl011::data, static_cast<uint8_t>(character));
    }
}

bool answers(const Console& console) {
    if (console.kind == abi::ConsoleKind::MiniUart) {
        return read32(console.address - mini_uart::in_page + mini_uart::enables) & mini_uart::enable_uart;
    }
    constexpr uint8_t expected[] = {0x11, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    constexpr uint8_t compared[] = {0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff};  // the revision does not matter
    for (uint64_t i = 0; i < sizeof(expected); ++i) {
        if ((read32(console.address + pl011::identification + 4 * i) & compared[i]) != expected[i]) return false;
    }
    return true;
}

}  // namespace

void open_console(const Console& console) {
    if (open_count == max_open) return;
    if (console.kind == abi::ConsoleKind::Pl011) enable_pl011(console.address);
    if (console.kind == abi::ConsoleKind::MiniUart) enable_mini_uart(console.address);
    open_consoles[open_count++] = console;
}

void open_fallback_console(uint64_t load_address) {
    if (load_address >= virt_ram) {
        if (answers(virt_console)) open_console(virt_console);
        return;
    }
    for (const Console& console : rpi4_consoles) {
        if (answers(console)) open_console(console);
    }
}

bool console_open() { return open_count != 0; }

void print(const char* text) {
    for (; *text; ++text) {
        if (*text == '\n') put('\r');
        put(*text);
    }
}

void print_decimal(uint64_t value) {
    char digits[21];
    char* first = digits + sizeof(digits) - 1;
    *first = 0;
    do {
        *--first = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(first);
}

void print_hex(uint64_t value) {
    char digits[17];
    char* first = digits + sizeof(digits) - 1;
    *first = 0;
    do {
        *--first = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    print("0x");
    print(first);
}

void halt(const Problem& problem) {
    print("caprock: halt: ");
    print(problem.what);
    if (problem.place != Problem::no_place) {
        print(" at ");
        print_hex(problem.place);
    }
    print(" (");
    print(problem.remedy);
    print(")\n");
    for (;;) asm volatile("wfe");
}

}  // namespace caprock::shim
