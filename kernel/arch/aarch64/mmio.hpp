// SPDX-License-Identifier: BSD-2-Clause
// Registers of a device in the kernel's device window. Device-nGnRnE memory keeps program order within one device; where another observer
// must see a write complete, the caller adds dsb.
#pragma once

#include "core/types.hpp"

namespace caprock::arch {

class Mmio {
public:
    constexpr Mmio() = default;
    /// `base`: kernel address of the device's first register.
    constexpr explicit Mmio(Word base) : base_(base) {}
    KernAddr address() const { return KernAddr(base_); }

    template <class Register>
    uint32_t read(Register offset, Word index = 0) const { return *at<volatile uint32_t>(offset, index * sizeof(uint32_t)); }
    template <class Register>
    void write(Register offset, uint32_t value, Word index = 0) const { *at<volatile uint32_t>(offset, index * sizeof(uint32_t)) = value; }
    template <class Register>
    void write_byte(Register offset, uint8_t value, Word index) const { *at<volatile uint8_t>(offset, index) = value; }
    template <class Register>
    uint64_t read_long(Register offset) const { return *at<volatile uint64_t>(offset, 0); }
    template <class Register>
    void write_long(Register offset, uint64_t value, Word index = 0) const {
        *at<volatile uint64_t>(offset, index * sizeof(uint64_t)) = value;
    }

private:
    template <class T, class Register>
    T* at(Register offset, Word bytes) const { return reinterpret_cast<T*>(base_ + static_cast<Word>(offset) + bytes); }
    Word base_ = 0;
};

}  // namespace caprock::arch
