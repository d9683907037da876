// SPDX-License-Identifier: BSD-2-Clause
// The root task's console, exit and archive.
#include <caprock/root.h>
#include <sel4/sel4.h>

namespace {

constexpr seL4_Word page_bytes = LIBSEL4_BIT(seL4_PageBits);

// The trailer that platform/rootimage.py writes at the end of the archive's last page, just below the IPC buffer.
struct ArchiveTrailer {
    seL4_Word size;
    seL4_Word magic;
};
constexpr seL4_Word archive_magic = 0x4556494843524143;   // the bytes CARCHIVE (little-endian)

struct Uart {
    seL4_Word data;
    seL4_Word status;
    seL4_Uint32 status_mask;    // of the bit that says whether a character can be written
    seL4_Uint32 status_ready;   // its value then
};
constexpr Uart pl011 = {.data = 0x00, .status = 0x18, .status_mask = 1u << 5, .status_ready = 0};
constexpr Uart mini_uart = {.data = 0x00, .status = 0x14, .status_mask = 1u << 5, .status_ready = 1u << 5};

enum class State { closed, debug_kernel, uart, none };

State state = State::closed;
const Uart* uart = &pl011;
seL4_Word uart_base = 0;
char last_character = '\n';

constexpr seL4_Word align_up(seL4_Word value, seL4_Word alignment) { return (value + alignment - 1) & ~(alignment - 1); }

seL4_Word extra_pages(const seL4_BootInfo* bi) { return reinterpret_cast<seL4_Word>(bi) + seL4_BootInfoFrameSize; }

const caprock_root_platform_t* find_platform(const seL4_BootInfo* bi) {
    for (seL4_Word offset = 0; offset + sizeof(seL4_BootInfoHeader) <= bi->extraLen;) {
        const auto* header = reinterpret_cast<const seL4_BootInfoHeader*>(extra_pages(bi) + offset);
        if (header->id == SEL4_BOOTINFO_HEADER_CAPROCK) return reinterpret_cast<const caprock_root_platform_t*>(header + 1);
        if (header->len < sizeof(seL4_BootInfoHeader)) return nullptr;
        offset += header->len;
    }
    return nullptr;
}

// Free slots of the root CNode, from the end: whoever allocates slots starts at the beginning.
class LastSlots {
public:
    explicit LastSlots(const seL4_BootInfo* bi) : next_(bi->empty.end) {}
    seL4_CPtr take() { return --next_; }

private:
    seL4_CPtr next_;
};

bool retype(seL4_CPtr untyped, seL4_Word type, seL4_Word bits, seL4_CPtr slot) {
    return seL4_Untyped_Retype(untyped, type, bits, seL4_CapInitThreadCNode, 0, 0, slot, 1) == seL4_NoError;
}

// Makes the frame at `page` of the device untyped that begins at `start`: what lies before it becomes untypeds, as large as their places permit.
seL4_CPtr carve(seL4_CPtr untyped, seL4_Word start, seL4_Word page, LastSlots& slots) {
    for (seL4_Word at = start; at < page;) {
        seL4_Word bits = seL4_PageBits;
        while (((at - start) & (LIBSEL4_BIT(bits + 1) - 1)) == 0 && at + LIBSEL4_BIT(bits + 1) <= page) ++bits;
        if (!retype(untyped, seL4_UntypedObject, bits, slots.take())) return 0;
        at += LIBSEL4_BIT(bits);
    }
    const seL4_CPtr frame = slots.take();
    if (!retype(untyped, seL4_ARM_SmallPageObject, 0, frame)) return 0;
    const seL4_ARM_Page_GetAddress_t found = seL4_ARM_Page_GetAddress(frame);
    return found.error == seL4_NoError && found.paddr == page ? frame : 0;
}

bool add_page_table(const seL4_BootInfo* bi, seL4_Word vaddr, LastSlots& slots) {
    const seL4_CPtr table = slots.take();
    for (seL4_Word i = 0; i < bi->untyped.end - bi->untyped.start; ++i) {
        if (bi->untypedList[i].isDevice || !retype(bi->untyped.start + i, seL4_ARM_PageTableObject, 0, table)) continue;
        return seL4_ARM_PageTable_Map(table, seL4_CapInitThreadVSpace, vaddr, seL4_ARM_Default_VMAttributes) == seL4_NoError;
    }
    return false;
}

bool map(const seL4_BootInfo* bi, seL4_CPtr frame, seL4_Word vaddr, LastSlots& slots) {
    for (;;) {
        const seL4_Error error = seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, vaddr, seL4_ReadWrite, seL4_ARM_ExecuteNever);
        if (error != seL4_FailedLookup) return error == seL4_NoError;
        if (!add_page_table(bi, vaddr, slots)) return false;
    }
}

State open_uart(const seL4_BootInfo* bi, const caprock_root_platform_t& platform) {
    if (platform.console_kind == CAPROCK_CONSOLE_KIND_NONE) return State::none;
    if (platform.console_kind == CAPROCK_CONSOLE_KIND_MINI_UART) uart = &mini_uart;
    const seL4_Word page = platform.console_paddr & ~(page_bytes - 1);
    const seL4_Word vaddr = extra_pages(bi) + align_up(bi->extraLen, page_bytes);
    LastSlots slots(bi);
    for (seL4_Word i = 0; i < bi->untyped.end - bi->untyped.start; ++i) {
        const seL4_UntypedDesc& untyped = bi->untypedList[i];
        if (page < untyped.paddr || page - untyped.paddr >= LIBSEL4_BIT(untyped.sizeBits)) continue;
        const seL4_CPtr frame = carve(bi->untyped.start + i, untyped.paddr, page, slots);
        if (frame == 0 || !map(bi, frame, vaddr, slots)) return State::none;
        uart_base = vaddr + (platform.console_paddr - page);
        return State::uart;
    }
    return State::none;
}

State open_console() {
    const seL4_BootInfo* bi = seL4_GetBootInfo();
    const caprock_root_platform_t* platform = bi == nullptr ? nullptr : find_platform(bi);
    if (platform == nullptr) return State::none;
    return platform->debug_build != 0 ? State::debug_kernel : open_uart(bi, *platform);
}

volatile seL4_Uint32& reg(seL4_Word offset) { return *reinterpret_cast<volatile seL4_Uint32*>(uart_base + offset); }

void put_on_uart(char character) {
    while ((reg(uart->status) & uart->status_mask) != uart->status_ready) {}
    reg(uart->data) = static_cast<seL4_Uint8>(character);
}

void put(char character) {
    if (state == State::debug_kernel) caprock_debug_put_char(character);
    if (state == State::uart) put_on_uart(character);
}

}  // namespace

extern "C" {

int caprock_root_put_char(char character) {
    if (state == State::closed) state = open_console();
    if (character == '\n') put('\r');
    put(character);
    last_character = character;
    return state == State::debug_kernel || state == State::uart;
}

int caprock_root_print(const char* text) {
    int printed = 1;
    for (; *text != 0; ++text) printed = caprock_root_put_char(*text);
    return printed;
}

void caprock_root_exit(int status) {
    const auto number = static_cast<unsigned>(status) & 255;
    const char digits[] = {static_cast<char>('0' + number / 100), static_cast<char>('0' + number / 10 % 10), static_cast<char>('0' + number % 10),
                           '\n', 0};
    if (last_character != '\n') caprock_root_put_char('\n');
    caprock_root_print("caprock: exit ");
    caprock_root_print(digits + (number < 10 ? 2 : number < 100 ? 1 : 0));
    for (;;) seL4_TCB_Suspend(seL4_CapInitThreadTCB);
}

const void* caprock_root_archive(size_t* size) {
    const auto end = reinterpret_cast<seL4_Word>(seL4_GetBootInfo()->ipcBuffer);
    const auto& trailer = *reinterpret_cast<const ArchiveTrailer*>(end - sizeof(ArchiveTrailer));
    if (trailer.magic != archive_magic) return nullptr;
    *size = trailer.size;
    return reinterpret_cast<const void*>(end - align_up(trailer.size + sizeof(ArchiveTrailer), page_bytes));
}

}  // extern "C"
