// SPDX-License-Identifier: BSD-2-Clause
// Result<T>: a value, or the kernel's error with the details that its result message carried. It must be used.
#pragma once

#include <caprock/abi.hpp>

namespace caprock {

/// Words of details that an error can have (FailedLookup has most).
inline constexpr unsigned failure_details = 5;

/// An error of the kernel.
struct Failure {
    /// Never NoError.
    abi::Error error = abi::Error::InvalidArgument;
    /// As abi::Error's values describe them.
    uint64_t details[failure_details] {};
};

/// What Result<T> and Result<void> have in common.
class [[nodiscard]] ResultBase {
public:
    constexpr bool ok() const { return failure_.error == abi::Error::NoError; }
    constexpr explicit operator bool() const { return ok(); }
    /// NoError when ok().
    constexpr abi::Error error() const { return failure_.error; }
    /// Word `index` of the error's details, `index` below failure_details; 0 beyond.
    constexpr uint64_t detail(unsigned index) const { return index < failure_details ? failure_.details[index] : 0; }
    /// The error with its details, to pass on as another Result. \pre !ok()
    constexpr const Failure& failure() const { return failure_; }

protected:
    constexpr ResultBase() : failure_ {abi::Error::NoError, {}} {}
    constexpr explicit ResultBase(const Failure& failure) : failure_ {failure} {}

private:
    Failure failure_;
};

/// A T or an error. T is default-constructible and copyable.
template <class T> class [[nodiscard]] Result : public ResultBase {
public:
    constexpr Result(const T& value) : value_ {value} {}
    constexpr Result(const Failure& failure) : ResultBase {failure} {}

    /// The value; traps when there is none. \pre ok()
    constexpr const T& value() const
    {
        if (!ok()) __builtin_trap();
        return value_;
    }
    /// The value, or `other` when there is none.
    constexpr T value_or(const T& other) const { return ok() ? value_ : other; }

private:
    T value_ {};
};

/// Success or an error.
template <> class [[nodiscard]] Result<void> : public ResultBase {
public:
    constexpr Result() = default;
    constexpr Result(const Failure& failure) : ResultBase {failure} {}

    /// Traps unless ok(). \pre ok()
    constexpr void value() const
    {
        if (!ok()) __builtin_trap();
    }
};

} // namespace caprock
