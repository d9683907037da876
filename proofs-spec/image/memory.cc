// SPDX-License-Identifier: BSD-2-Clause
#include "memory.hpp"

#include "cap/slot.hpp"
#include "message.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace caprock::image {

namespace {

// Physical address p is at our_base + p. No address of this process is near, and few numbers of a program look like one.
constexpr Word our_base = 0x5b00'0000'0000;
constexpr Word window = Word{1} << 44;   // of physical addresses, in which devices are too
constexpr Word pointer_bits = (Word{1} << 48) - 1;
constexpr unsigned type_shift = 59;
constexpr unsigned period = 64;          // refreshes after which copies are forgotten
constexpr Word words_of_page = page_size / sizeof(Word);

Memory* the_memory = nullptr;

// A page is copied when it is read for the first time.
void on_fault(int, siginfo_t* information, void*) {
    if (the_memory != nullptr && the_memory->show(reinterpret_cast<Word>(information->si_addr))) return;
    std::signal(SIGSEGV, SIG_DFL);
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

}  // namespace

Memory::Memory(const std::string& path, Word start) : start_(start) {
    int file = open(path.c_str(), O_RDONLY);
    struct stat status {};
    if (file < 0 || fstat(file, &status) != 0) fail(path + " (the machine's memory)");
    bytes_ = static_cast<Word>(status.st_size);
    void* machine = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (machine == MAP_FAILED) fail(path + " cannot be mapped");
    machine_ = static_cast<const uint8_t*>(machine);
    void* place = reinterpret_cast<void*>(our_base + start_);
    void* copy = mmap(place, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (copy != place) fail("the address that kernel objects are copied to is taken");
    void* earlier = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (earlier == MAP_FAILED) fail("no memory to see what changes");
    earlier_ = static_cast<uint8_t*>(earlier);
    pages_.reserve(bytes_ / page_size);
    arch::direct_map = our_base;
    the_memory = this;
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGSEGV, &action, nullptr) != 0) fail("no handler for SIGSEGV");
}

Memory::~Memory() {
    munmap(const_cast<uint8_t*>(machine_), bytes_);
    munmap(reinterpret_cast<void*>(our_base + start_), bytes_);
    munmap(earlier_, bytes_);
    the_memory = nullptr;
}

bool Memory::show(Word address) {
    if (!contains(address - our_base, 1)) return false;
    Word page = align_down(address, page_size);
    if (mprotect(reinterpret_cast<void*>(page), page_size, PROT_READ | PROT_WRITE) != 0) return false;
    pages_.push_back(page);
    std::memcpy(earlier_ + (page - our_base - start_), machine_ + (page - our_base - start_), page_size);
    copy(page);
    return true;
}

// Pages of objects that are gone would have to be looked at for ever: from time to time all are forgotten, and those that are read come back.
void Memory::refresh() {
    if (++refreshes_ % period == 0) {
        if (mprotect(reinterpret_cast<void*>(our_base + start_), bytes_, PROT_NONE) != 0) fail("copies cannot be forgotten");
        pages_.clear();
        return;
    }
    for (Word page : pages_) {
        Word offset = page - our_base - start_;
        if (std::memcmp(earlier_ + offset, machine_ + offset, page_size) == 0) continue;
        std::memcpy(earlier_ + offset, machine_ + offset, page_size);
        copy(page);
    }
}

bool Memory::is_pointer(Word value) const {
    return value - memory_base < window || (value - image_base < image_limit && has_image());
}

Word Memory::ours(Word kernel_address) const {
    bool in_image = kernel_address - image_base < image_limit;
    return our_base + (in_image ? image_ + (kernel_address - image_base) : kernel_address - memory_base);
}

// Pointers are whole words, but for those of capabilities: the lowest 48 bits of a slot's first word, which has a type and is followed by the
// slot's links. Slots of objects are aligned. What only looks like a pointer is undone by `expose` and in the text.
void Memory::copy(Word page) {
    const auto* from = reinterpret_cast<const Word*>(machine_ + (page - our_base - start_));
    auto* to = reinterpret_cast<Word*>(page);
    const auto* end = reinterpret_cast<const Word*>(machine_ + bytes_);
    bool in_image = page - our_base - image_ < image_limit;
    for (unsigned i = 0; i < words_of_page; ++i) {
        Word value = from[i];
        bool may_be_slot = in_image || i % (sizeof(Slot) / sizeof(Word)) == 0;
        if (value == 0) {
            to[i] = 0;
        } else if (is_pointer(value)) {
            to[i] = ours(value);
        } else {
            Word object = (value & pointer_bits) | ~pointer_bits;
            bool has_links = may_be_slot && from + i + 3 < end && is_link(from[i + 2]) && is_link(from[i + 3]);
            bool capability = has_links && value >> type_shift != 0 && object - memory_base < window;
            to[i] = capability ? (value & ~pointer_bits) | ours(object) : value;
        }
    }
}

void Memory::expose(const void* start, Word bytes) {
    std::memcpy(const_cast<void*>(start), machine_ + (reinterpret_cast<Word>(start) - our_base - start_), bytes);
}

void Memory::restore(std::string& text) const {
    constexpr std::ptrdiff_t length = 12;   // of a number of 48 bits
    for (std::size_t at = text.find("0x"); at != std::string::npos; at = text.find("0x", at + 2)) {
        Word value = 0;
        const char* start = text.data() + at + 2;
        const char* end = std::from_chars(start, text.data() + text.size(), value, 16).ptr;
        Word physical = value - our_base;
        if (end - start != length || physical >= window) continue;
        char digits[16];
        Word theirs = physical - image_ < image_limit ? image_base + (physical - image_) : memory_base + physical;
        std::to_chars(digits, std::end(digits), theirs, 16);
        text.replace(at + 2, length, digits, sizeof digits);
    }
}

}  // namespace caprock::image
