// SPDX-License-Identifier: BSD-2-Clause
// Typed device registers: a Register has an offset and a width, a Bitfield belongs to one register, and only fields of the same
// register combine. Each access is one volatile load or store of the register's width.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace caprock {

/// A register at `offset` bytes from the device's first one.
template <size_t offset_bytes, class ValueType = uint32_t>
struct Register {
    static constexpr size_t offset = offset_bytes;
    using Value = ValueType;
};

/// The value of one register, made of fields.
template <class Register>
struct RegisterValue {
    typename Register::Value raw = 0;

    constexpr RegisterValue operator|(RegisterValue other) const { return {static_cast<typename Register::Value>(raw | other.raw)}; }
};

/// Bits high:low of a register.
template <class Register, unsigned high, unsigned low = high>
struct Bitfield {
    static_assert(low <= high && high < sizeof(typename Register::Value) * 8);
    using Value = typename Register::Value;
    static constexpr Value mask = static_cast<Value>((~uint64_t {0} >> (63 - (high - low))) << low);

    /// The register's value with `value` in this field and zero elsewhere; bits that do not fit are dropped.
    static constexpr RegisterValue<Register> of(Value value) { return {static_cast<Value>(value << low & mask)}; }
    /// The register's value with all ones in this field and zero elsewhere.
    static constexpr RegisterValue<Register> all() { return {mask}; }
    /// This field of `value`.
    static constexpr Value get(RegisterValue<Register> value) { return static_cast<Value>((value.raw & mask) >> low); }
    /// True when any bit of this field is set.
    static constexpr bool test(RegisterValue<Register> value) { return (value.raw & mask) != 0; }
    /// `value` with this field replaced.
    static constexpr RegisterValue<Register> with(RegisterValue<Register> value, Value field)
    {
        return {static_cast<Value>((value.raw & static_cast<Value>(~mask)) | of(field).raw)};
    }
};

/// A device's registers.
class Mmio {
public:
    /// `address`: the device's first register, mapped as device memory.
    explicit Mmio(uint64_t address) : address_ {address} {}

    template <class Register>
    RegisterValue<Register> read() const
    {
        return {*reinterpret_cast<const volatile typename Register::Value*>(address_ + Register::offset)};
    }
    template <class Register>
    void write(RegisterValue<Register> value) const
    {
        *reinterpret_cast<volatile typename Register::Value*>(address_ + Register::offset) = value.raw;
    }

private:
    uint64_t address_;
};

} // namespace caprock
