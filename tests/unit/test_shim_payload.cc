// SPDX-License-Identifier: BSD-2-Clause
// The boot shim's checks of payloads and ELF executables: a sound one passes, and each kind of damage is told by name. ASan watches that no
// check reads outside the file.
#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "platform/shim/crc32.hpp"
#include "platform/shim/payload.hpp"

using namespace caprock;
using namespace caprock::shim;

namespace {

constexpr uint64_t elf_header_bytes = 64;
constexpr ElfTexts texts{"damaged", "foreign", "segments", "remedy"};

// Bytes in memory aligned to 8 and of exactly their size.
class Buffer {
public:
    explicit Buffer(const std::vector<uint8_t>& bytes) : size_(bytes.size()), bytes_(new(std::align_val_t{8}) uint8_t[bytes.size()]) {
        if (size_ > 0) std::memcpy(bytes_, bytes.data(), size_);
    }
    ~Buffer() { ::operator delete[](bytes_, std::align_val_t{8}); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    const uint8_t* data() const { return bytes_; }
    uint64_t size() const { return size_; }

private:
    uint64_t size_;
    uint8_t* bytes_;
};

template <class T>
void put(std::vector<uint8_t>& bytes, uint64_t offset, T value) {
    if (bytes.size() < offset + sizeof(T)) bytes.resize(offset + sizeof(T));
    std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

// An executable with the given program headers, their content being zeros, except of notes.
std::vector<uint8_t> make_elf(uint64_t entry, std::vector<ElfSegment> segments) {
    std::vector<uint8_t> elf(elf_header_bytes);
    std::memcpy(elf.data(),
                "\x7f"
                "ELF\x02\x01\x01",
                7);
    put<uint16_t>(elf, 16, 2);
    put<uint16_t>(elf, 18, 183);
    put<uint64_t>(elf, 24, entry);
    put<uint64_t>(elf, 32, elf_header_bytes);
    put<uint16_t>(elf, 54, sizeof(ElfSegment));
    put<uint16_t>(elf, 56, static_cast<uint16_t>(segments.size()));
    uint64_t offset = elf_header_bytes + segments.size() * sizeof(ElfSegment);
    for (size_t i = 0; i < segments.size(); ++i) {
        segments[i].offset = offset;
        offset += segments[i].file_size;
        put(elf, elf_header_bytes + i * sizeof(ElfSegment), segments[i]);
    }
    elf.resize(offset);
    return elf;
}

ElfSegment load(uint32_t flags, uint64_t vaddr, uint64_t file_size, uint64_t memory_size) {
    return {1, flags, 0, vaddr, vaddr, file_size, memory_size, 4096};
}

std::vector<ElfSegment> sound_segments() {
    return {load(elf_read | elf_execute, 0x400000, 0x1234, 0x1234), load(elf_read, 0x402000, 8, 8),
            load(elf_read | elf_write, 0x403008, 8, 0x2718)};
}

std::vector<uint8_t> sound_elf() { return make_elf(0x400010, sound_segments()); }

std::string problem_of_elf(const std::vector<uint8_t>& bytes) {
    const Buffer buffer(bytes);
    Elf elf;
    const Problem problem = read_elf(buffer.data(), buffer.size(), texts, elf);
    return problem ? problem.what : "";
}

std::string problem_of_root(uint64_t entry, std::vector<ElfSegment> segments) {
    const Buffer buffer(make_elf(entry, std::move(segments)));
    Elf elf;
    const Problem unread = read_elf(buffer.data(), buffer.size(), texts, elf);
    REQUIRE_FALSE(unread);
    uint64_t bytes = 0;
    const Problem problem = check_root(elf, bytes);
    return problem ? problem.what : "";
}

uint32_t crc_of(const std::vector<uint8_t>& bytes) {
    const Buffer buffer(bytes);
    Crc32 crc;
    crc.add(buffer.data(), buffer.size());
    return crc.value();
}

// A payload around an ELF, its CRC being right after `change` has changed the header.
template <class Change>
std::vector<uint8_t> make_payload(const std::vector<uint8_t>& elf, Change change) {
    abi::PayloadHeader header{};
    header.magic = abi::payload_magic;
    header.version = abi::boot_version;
    header.api_hash = abi::api_hash;
    header.root_offset = sizeof(header);
    header.root_size = elf.size();
    header.total_size = sizeof(header) + elf.size();
    change(header);
    std::vector<uint8_t> payload;
    put(payload, 0, header);
    payload.insert(payload.end(), elf.begin(), elf.end());
    const uint64_t sealed = std::min<uint64_t>(header.total_size, payload.size());
    header.crc32 = crc_of({payload.begin(), payload.begin() + static_cast<int64_t>(sealed)});
    put(payload, 0, header);
    return payload;
}

std::vector<uint8_t> sound_payload() {
    return make_payload(sound_elf(), [](abi::PayloadHeader&) {});
}

std::string problem_of_payload(const std::vector<uint8_t>& bytes) {
    const Buffer buffer(bytes);
    Payload payload;
    const Problem problem = read_payload(buffer.data(), buffer.size(), payload);
    return problem ? problem.what : "";
}

std::vector<uint8_t> with_api_note(uint64_t hash) {
    std::vector<ElfSegment> segments = sound_segments();
    segments.push_back({4, elf_read, 0, 0, 0, 28, 28, 4});
    std::vector<uint8_t> elf = make_elf(0x400010, segments);
    const uint64_t at = elf.size() - 28;
    put<uint32_t>(elf, at, 8);
    put<uint32_t>(elf, at + 4, 8);
    put<uint32_t>(elf, at + 8, 1);
    std::memcpy(elf.data() + at + 12, "Caprock", 8);
    put<uint64_t>(elf, at + 20, hash);
    return elf;
}

}  // namespace

TEST_CASE("CRC-32 of known values") {
    const std::string check = "123456789";
    CHECK(crc_of({check.begin(), check.end()}) == 0xcbf43926);
    CHECK(crc_of({}) == 0);
    CHECK(crc_of(std::vector<uint8_t>(32, 0)) == 0x190a55ad);
    CHECK(crc_of(std::vector<uint8_t>(32, 0xff)) == 0xff6cab0b);
}

TEST_CASE("CRC-32 by words, by bytes and in pieces agree") {
    std::mt19937 random(3);
    std::vector<uint8_t> bytes(203);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    uint32_t state = 0xffffffff;
    for (const uint8_t byte : bytes) state = crc32_step(state, byte);
    const Buffer buffer(bytes);
    Crc32 pieces;
    pieces.add(buffer.data(), 96);
    pieces.add(buffer.data() + 96, buffer.size() - 96);
    CHECK(crc_of(bytes) == ~state);
    CHECK(pieces.value() == ~state);
}

TEST_CASE("a sound ELF is read") {
    const Buffer buffer(sound_elf());
    Elf elf;
    const Problem problem = read_elf(buffer.data(), buffer.size(), texts, elf);
    REQUIRE_FALSE(problem);
    CHECK(elf.segment_count == 3);
    CHECK(elf.entry == 0x400010);
    CHECK_FALSE(elf.has_api_hash);
    uint64_t bytes = 0;
    const Problem unmappable = check_root(elf, bytes);
    REQUIRE_FALSE(unmappable);
    CHECK(bytes == 0x2000 + 0x1000 + 0x3000);
}

TEST_CASE("damaged ELF headers are refused") {
    const std::vector<uint8_t> sound = sound_elf();
    for (size_t size = 0; size < sound.size(); ++size) {
        INFO(size);
        REQUIRE(problem_of_elf({sound.begin(), sound.begin() + static_cast<int64_t>(size)}) == "damaged");
    }
    auto changed = [&](uint64_t offset, auto value) {
        std::vector<uint8_t> elf = sound;
        put(elf, offset, value);
        return problem_of_elf(elf);
    };
    CHECK(changed(0, uint8_t{0}) == "damaged");
    CHECK(changed(4, uint8_t{1}) == "damaged");                     // 32-bit
    CHECK(changed(16, uint16_t{3}) == "foreign");                   // shared object
    CHECK(changed(18, uint16_t{62}) == "foreign");                  // x86-64
    CHECK(changed(32, uint64_t{0xffffffffffffff00}) == "damaged");  // program headers far outside
    CHECK(changed(54, uint16_t{32}) == "damaged");
    CHECK(changed(56, uint16_t{0xffff}) == "damaged");
    CHECK(changed(56, uint16_t{0}) == "segments");
    CHECK(changed(64 + 8, uint64_t{0xffffffffffffff00}) == "damaged");   // p_offset
    CHECK(changed(64 + 32, uint64_t{0xffffffffffffff00}) == "damaged");  // p_filesz
    CHECK(changed(64 + 40, uint64_t{1}) == "segments");                  // p_memsz below p_filesz
    CHECK(changed(64 + 40, uint64_t{0xfffffffffffff000}) == "segments");
    CHECK(changed(64 + 16, uint64_t{0x900000}) == "segments");  // out of order
}

TEST_CASE("an ELF with random damage never makes a check read outside it") {
    const std::vector<uint8_t> sound = with_api_note(abi::api_hash);
    std::mt19937 random(4);
    unsigned refused = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<uint8_t> elf = sound;
        const size_t headers = elf_header_bytes + 4 * sizeof(ElfSegment);
        for (unsigned i = random() % 4 + 1; i > 0; --i) elf[random() % headers] = static_cast<uint8_t>(random());
        if (random() % 4 == 0) elf[elf.size() - 1 - random() % 28] = static_cast<uint8_t>(random());
        refused += !problem_of_elf(elf).empty();
    }
    CHECK(refused > 1000);
}

TEST_CASE("more than eight segments are refused, empty ones do not count") {
    std::vector<ElfSegment> segments;
    for (uint64_t i = 0; i < 8; ++i) segments.push_back(load(elf_read | elf_execute, 0x400000 + i * 0x1000, 8, 8));
    segments.push_back(load(elf_read, 0, 0, 0));
    CHECK(problem_of_elf(make_elf(0x400000, segments)).empty());
    segments.push_back(load(elf_read, 0x500000, 8, 8));
    CHECK(problem_of_elf(make_elf(0x400000, segments)) == "segments");
}

TEST_CASE("root tasks that cannot be mapped are refused") {
    auto with_last = [](ElfSegment segment) {
        std::vector<ElfSegment> segments = sound_segments();
        segments.push_back(segment);
        return segments;
    };
    CHECK(problem_of_root(0x400010, sound_segments()).empty());
    CHECK(problem_of_root(0x400010, with_last(load(7, 0x500000, 8, 8))) == "root task: a segment is writable and executable");
    CHECK(problem_of_root(0x400010, with_last(load(6, 0x405800, 8, 8))) == "root task: two segments share a page");
    CHECK(problem_of_root(0x400010, with_last(load(6, 0x7ffffffff000, 8, 0x1001))) == "root task: a segment lies above the user addresses");
    CHECK(problem_of_root(0x400010, with_last(load(6, 0x7ffffffff000, 8, 0x1000))).empty());
    CHECK(problem_of_root(0x403008, sound_segments()) == "root task: the entry is in no executable segment");
    CHECK(problem_of_root(0x401234, sound_segments()) == "root task: the entry is in no executable segment");
}

TEST_CASE("kernel images give their size and entry offset") {
    std::vector<ElfSegment> segments{{1, 5, 0, 0xffffffff80000000, 0, 0x1800, 0x1800, 4096},
                                     {1, 6, 0, 0xffffffff80002000, 0x2000, 8, 0x5001, 4096}};
    auto check = [](uint64_t entry, const std::vector<ElfSegment>& loaded, uint64_t& bytes, uint64_t& offset) {
        const Buffer buffer(make_elf(entry, loaded));
        Elf elf;
        const Problem unread = read_elf(buffer.data(), buffer.size(), texts, elf);
        REQUIRE_FALSE(unread);
        const Problem problem = check_kernel(elf, bytes, offset);
        return std::string(problem ? problem.what : "");
    };
    uint64_t bytes = 0;
    uint64_t offset = 99;
    CHECK(check(0xffffffff80000040, segments, bytes, offset).empty());
    CHECK(bytes == 0x8000);
    CHECK(offset == 0x40);
    CHECK(check(0, segments, bytes, offset).empty());
    CHECK(offset == 0);
    CHECK(check(0xffffffff80002000, segments, bytes, offset) == "kernel: the entry is in no executable segment");
    segments[1].paddr = 0x1000;
    CHECK(check(0xffffffff80000000, segments, bytes, offset) == "kernel: segments overlap in physical memory");
    segments[1].paddr = 0x2008;
    CHECK(check(0xffffffff80000000, segments, bytes, offset) == "kernel: a segment is not page-aligned");
}

TEST_CASE("a sound payload is read") {
    const Buffer buffer(sound_payload());
    Payload payload;
    const Problem problem = read_payload(buffer.data(), buffer.size(), payload);
    REQUIRE_FALSE(problem);
    CHECK(payload.root.image == buffer.data() + sizeof(abi::PayloadHeader));
    CHECK(payload.root_bytes == 0x6000);
}

TEST_CASE("each damage of a payload is named") {
    using Header = abi::PayloadHeader;
    const std::vector<uint8_t> elf = sound_elf();
    auto changed = [&](auto change) { return problem_of_payload(make_payload(elf, change)); };
    CHECK(changed([](Header& h) { h.magic = 1; }) == "payload: not a Caprock system");
    CHECK(changed([](Header& h) { h.version = 99; }) == "payload: its format has another version than this Image");
    CHECK(changed([](Header& h) { h.total_size += 1; }) == "payload: truncated");
    CHECK(changed([](Header& h) { h.total_size = 8; }) == "payload: its header is damaged");
    CHECK(changed([](Header& h) { h.api_hash += 1; }) == "payload: the root task was built for another API than this Image");
    CHECK(changed([](Header& h) { h.root_offset += 4; }) == "payload: the root task lies outside the payload");
    CHECK(changed([](Header& h) { h.root_offset = UINT64_MAX - 7; }) == "payload: the root task lies outside the payload");
    CHECK(changed([](Header& h) { h.root_size = UINT64_MAX; }) == "payload: the root task lies outside the payload");
    CHECK(changed([](Header& h) { h.root_offset = 0; }) == "payload: the root task's ELF is damaged");
    CHECK(problem_of_payload({}) == "payload: truncated");
    CHECK(problem_of_payload(std::vector<uint8_t>(191)) == "payload: truncated");
}

TEST_CASE("every flipped bit and every cut of a payload is noticed") {
    const std::vector<uint8_t> sound = sound_payload();
    for (size_t i = 0; i < sound.size(); i += 7) {
        std::vector<uint8_t> damaged = sound;
        damaged[i] = static_cast<uint8_t>(damaged[i] ^ 1 << i % 8);
        INFO(i);
        REQUIRE_FALSE(problem_of_payload(damaged).empty());
    }
    for (size_t size = 0; size < sound.size(); size += 61) {
        REQUIRE(problem_of_payload({sound.begin(), sound.begin() + static_cast<int64_t>(size)}) == "payload: truncated");
    }
}

TEST_CASE("bytes behind a payload do not matter") {
    std::vector<uint8_t> padded = sound_payload();
    padded.resize(padded.size() + 100, 0x5a);
    CHECK(problem_of_payload(padded).empty());
}

TEST_CASE("the API hash in an ELF note is compared") {
    auto payload_with = [](uint64_t hash) { return problem_of_payload(make_payload(with_api_note(hash), [](abi::PayloadHeader&) {})); };
    CHECK(payload_with(abi::api_hash).empty());
    CHECK(payload_with(abi::api_hash + 1) == "payload: the root task's ELF note names another API than this Image");
}
