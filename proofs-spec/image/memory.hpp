// SPDX-License-Identifier: BSD-2-Clause
// Memory of a machine that QEMU models, as a file that this process maps, and a copy of the pages that hold kernel objects in which the kernel's
// pointers are ours: the kernel's own classes, and the abstraction made of them, read it as it is.
#pragma once

#include "core/types.hpp"

#include <string>
#include <vector>

namespace caprock::image {

class Memory {
public:
    /// The file with all memory, which starts at this physical address. There is one object of this class at a time.
    Memory(const std::string& path, Word start);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    /// Physical address of the kernel image's first byte.
    void set_image(Word physical) { image_ = physical; }
    bool has_image() const { return image_ != 0; }
    /// An object that the kernel has at this address of its own.
    template <class T>
    T& object(Word kernel_address) const { return *reinterpret_cast<T*>(ours(kernel_address)); }
    /// What the kernel did since becomes visible.
    void refresh();

    bool contains(Word physical, Word bytes) const { return physical >= start_ && bytes <= bytes_ && physical - start_ <= bytes_ - bytes; }
    /// A word as the machine has it.
    Word word(Word physical) const { return *reinterpret_cast<const Word*>(machine_ + (physical - start_)); }
    /// Copies the page at an address that nobody read before; false if it is none of memory's. For the handler of the fault.
    bool show(Word address);
    /// Of this copied range no word is a pointer: it is as the machine has it.
    void expose(const void* start, Word bytes);
    /// Our addresses in a text become the kernel's again: words of user level may look like pointers of the kernel's.
    void restore(std::string& text) const;

private:
    void copy(Word page);
    Word ours(Word kernel_address) const;
    bool is_pointer(Word value) const;
    bool is_link(Word value) const { return (value & ~Word{3}) == 0 || is_pointer(value); }

    Word start_;
    Word bytes_ = 0;
    Word image_ = 0;
    const uint8_t* machine_ = nullptr;
    uint8_t* earlier_ = nullptr;   // what was copied of it
    unsigned refreshes_ = 0;
    std::vector<Word> pages_;   // that are copied, by our addresses
};

}  // namespace caprock::image
