// SPDX-License-Identifier: BSD-2-Clause
// Checks of ELF executables: nothing in a header is believed before it is compared with the size of what is there.
#include "elf.hpp"

#include "caprock/abi.hpp"
#include "ranges.hpp"

namespace caprock::shim {
namespace {

struct ElfHeader {
    uint8_t ident[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t segments_offset;
    uint64_t sections_offset;
    uint32_t flags;
    uint16_t header_size;
    uint16_t segment_size;
    uint16_t segment_count;
    uint16_t section_size;
    uint16_t section_count;
    uint16_t names_section;
};
static_assert(sizeof(ElfHeader) == 64);

struct NoteHeader {
    uint32_t name_size;
    uint32_t content_size;
    uint32_t type;
};

constexpr uint16_t type_executable = 2;
constexpr uint16_t machine_aarch64 = 183;
constexpr uint32_t segment_load = 1;
constexpr uint32_t segment_note = 4;
constexpr uint32_t note_api_hash = 1;
constexpr char note_owner[8] = "Caprock";

constexpr bool within(uint64_t offset, uint64_t size, uint64_t limit) { return offset <= limit && size <= limit - offset; }

bool is_elf64_little_endian(const ElfHeader& header) {
    return header.ident[0] == 0x7f && header.ident[1] == 'E' && header.ident[2] == 'L' && header.ident[3] == 'F' && header.ident[4] == 2 &&
           header.ident[5] == 1;
}

template <class T>
T read_at(const uint8_t* image, uint64_t offset) {
    T value;
    __builtin_memcpy(&value, image + offset, sizeof(T));
    return value;
}

// Looks for the API hash among the notes of a PT_NOTE segment that lies within the image. Notes that do not fit end the search.
void read_notes(const uint8_t* image, const ElfSegment& segment, Elf& elf) {
    uint64_t offset = 0;
    while (within(offset, sizeof(NoteHeader), segment.file_size)) {
        const auto note = read_at<NoteHeader>(image, segment.offset + offset);
        const uint64_t name = offset + sizeof(NoteHeader);
        const uint64_t content = name + align_up(note.name_size, 4);
        if (!within(content, note.content_size, segment.file_size)) return;
        if (note.type == note_api_hash && note.name_size == sizeof(note_owner) && note.content_size == sizeof(elf.api_hash) &&
            __builtin_memcmp(image + segment.offset + name, note_owner, sizeof(note_owner)) == 0) {
            elf.has_api_hash = true;
            elf.api_hash = read_at<uint64_t>(image, segment.offset + content);
        }
        offset = content + align_up(note.content_size, 4);
    }
}

// Whether a segment at this address ends, rounded up to pages, within the address space.
constexpr bool fits(uint64_t address, uint64_t size) { return size <= UINT64_MAX - page_size && address <= UINT64_MAX - page_size - size; }

constexpr uint64_t segment_end(const ElfSegment& segment) { return segment.vaddr + segment.memory_size; }

bool add_segment(const ElfSegment& segment, Elf& elf) {
    if (segment.memory_size == 0) return true;
    if (elf.segment_count == Elf::max_segments) return false;
    if (segment.file_size > segment.memory_size) return false;
    if (!fits(segment.vaddr, segment.memory_size) || !fits(segment.paddr, segment.memory_size)) return false;
    if (elf.segment_count > 0 && segment.vaddr < segment_end(elf.segments[elf.segment_count - 1])) return false;
    elf.segments[elf.segment_count++] = segment;
    return true;
}

const ElfSegment* executable_segment_of(const Elf& elf, uint64_t address) {
    for (unsigned i = 0; i < elf.segment_count; ++i) {
        const ElfSegment& segment = elf.segments[i];
        if ((segment.flags & elf_execute) && segment.vaddr <= address && address < segment_end(segment)) return &segment;
    }
    return nullptr;
}

}  // namespace

Problem read_elf(const uint8_t* image, uint64_t size, const ElfTexts& texts, Elf& elf) {
    if (size < sizeof(ElfHeader)) return {texts.damaged, texts.remedy};
    const auto header = read_at<ElfHeader>(image, 0);
    if (!is_elf64_little_endian(header)) return {texts.damaged, texts.remedy};
    if (header.machine != machine_aarch64 || header.type != type_executable) return {texts.foreign, texts.remedy};
    if (header.segment_size != sizeof(ElfSegment) ||
        !within(header.segments_offset, uint64_t{header.segment_count} * sizeof(ElfSegment), size)) {
        return {texts.damaged, texts.remedy};
    }
    elf = {};
    elf.image = image;
    elf.entry = header.entry;
    for (unsigned i = 0; i < header.segment_count; ++i) {
        const auto segment = read_at<ElfSegment>(image, header.segments_offset + i * sizeof(ElfSegment));
        if (segment.type != segment_load && segment.type != segment_note) continue;
        if (!within(segment.offset, segment.file_size, size)) return {texts.damaged, texts.remedy};
        if (segment.type == segment_note) {
            read_notes(image, segment, elf);
        } else if (!add_segment(segment, elf)) {
            return {texts.segments, texts.remedy, segment.vaddr};
        }
    }
    if (elf.segment_count == 0) return {texts.segments, texts.remedy};
    return {};
}

Problem check_root(const Elf& elf, uint64_t& bytes) {
    constexpr const char* remedy = "link the root task with page-aligned segments and the project's linker script";
    bytes = 0;
    uint64_t end = 0;
    for (unsigned i = 0; i < elf.segment_count; ++i) {
        const ElfSegment& segment = elf.segments[i];
        if ((segment.flags & elf_write) && (segment.flags & elf_execute)) {
            return {"root task: a segment is writable and executable", remedy, segment.vaddr};
        }
        const BootRange pages = pages_around({segment.vaddr, segment_end(segment)});
        if (pages.end > abi::user_top) return {"root task: a segment lies above the user addresses", remedy, segment.vaddr};
        if (pages.start < end) return {"root task: two segments share a page", remedy, pages.start};
        end = pages.end;
        bytes += size_of(pages);
    }
    if (!executable_segment_of(elf, elf.entry)) return {"root task: the entry is in no executable segment", remedy, elf.entry};
    return {};
}

Problem check_kernel(const Elf& elf, uint64_t& bytes, uint64_t& entry_offset) {
    constexpr const char* remedy = "build the Image again";
    bytes = 0;
    for (unsigned i = 0; i < elf.segment_count; ++i) {
        const ElfSegment& segment = elf.segments[i];
        if (segment.paddr % page_size != 0) return {"kernel: a segment is not page-aligned", remedy, segment.paddr};
        if (segment.paddr < bytes) return {"kernel: segments overlap in physical memory", remedy, segment.paddr};
        bytes = align_up(segment.paddr + segment.memory_size, page_size);
    }
    // An entry below the image's virtual addresses is a physical one already.
    const bool physical = elf.entry < elf.segments[0].vaddr;
    const ElfSegment* segment =
        executable_segment_of(elf, physical ? elf.entry + (elf.segments[0].vaddr - elf.segments[0].paddr) : elf.entry);
    if (!segment) return {"kernel: the entry is in no executable segment", remedy, elf.entry};
    entry_offset = physical ? elf.entry : elf.entry - segment->vaddr + segment->paddr;
    return {};
}

}  // namespace caprock::shim
