// SPDX-License-Identifier: BSD-2-Clause
// Results of operations that may fail. A Failure carries everything that the caller of a method is told; nothing is kept on the side.
#pragma once

#include "caprock/abi.hpp"
#include "core/bits.hpp"

namespace caprock {

using Error = abi::Error;

// Why a capability address did not resolve (abi::LookupFailure says what the details are). It is two registers wide, as Failure is, and its
// first word is never 0: so is a Result of either that holds no more than a word.
struct LookupFault {
    using Type = Field<7, 0>;           // abi::LookupFailure
    using BitsLeft = Field<15, 8>;
    using GuardSize = Field<23, 16>;    // GuardMismatch: detail 2
    static_assert(disjoint<Type, BitsLeft, GuardSize>);

    Word head = 0;
    Word detail = 0;                    // detail 1: guard found, or bits that the CNode resolves

    static constexpr LookupFault of(abi::LookupFailure type, unsigned bits_left = 0, Word detail = 0, unsigned guard_size = 0) {
        return {Type::make(static_cast<Word>(type)) | BitsLeft::make(bits_left) | GuardSize::make(guard_size), detail};
    }
    constexpr abi::LookupFailure type() const { return static_cast<abi::LookupFailure>(Type::get(head)); }
    constexpr Word bits_left() const { return BitsLeft::get(head); }
    constexpr Word guard_size() const { return GuardSize::get(head); }
};

// An error with its details. `words` writes them out in the order in which the invoker receives them.
struct Failure {
    using Code = Field<7, 0>;           // Error: never NoError
    using Lookup = Field<31, 8>;        // FailedLookup: the fault's head
    using Source = Field<32, 32>;       // FailedLookup: it was the source
    using Least = Field<63, 48>;        // RangeError
    static_assert(disjoint<Code, Lookup, Source, Least>);

    Word head = 0;
    Word detail = 0;                    // the number, the largest value, the bytes left, or the lookup's detail 1

    static constexpr Failure of(Error error, Word detail = 0) { return {Code::make(static_cast<Word>(error)), detail}; }
    static constexpr Failure invalid_argument(Word number) { return of(Error::InvalidArgument, number); }
    static constexpr Failure invalid_capability(Word number) { return of(Error::InvalidCapability, number); }
    static constexpr Failure illegal_operation() { return of(Error::IllegalOperation); }
    static constexpr Failure range(Word least, Word most) { return {of(Error::RangeError).head | Least::make(least), most}; }
    static constexpr Failure failed_lookup(const LookupFault& fault, bool source) {
        return {of(Error::FailedLookup).head | Lookup::make(fault.head) | Source::make(source), fault.detail};
    }
    static constexpr Failure no_table(unsigned bits_left) {
        return failed_lookup(LookupFault::of(abi::LookupFailure::MissingCapability, bits_left), false);
    }
    constexpr Error error() const { return static_cast<Error>(Code::get(head)); }

    static constexpr unsigned most_words = 5;
    // Returns how many words there are.
    unsigned words(Word (&to)[most_words]) const;
};

// A value or a failure. `TRY` unwraps it or returns the failure to the caller. There is no union in it: compilers would keep that in memory.
template <class T, class F = Failure>
class [[nodiscard]] Result {
public:
    constexpr Result(T value) : head_(0), value_(value) {}
    constexpr Result(const F& failure) : head_(failure.head), detail_(failure.detail) {}
    constexpr bool ok() const { return head_ == 0; }
    constexpr const T& value() const { return value_; }
    constexpr F failure() const { return F{head_, detail_}; }

private:
    Word head_;   // of the failure; 0: there is a value
    Word detail_ = 0;
    T value_{};
};

// A value of one word shares the failure's second: the result travels in two registers.
template <class T, class F>
    requires(sizeof(T) == sizeof(Word))
class [[nodiscard]] Result<T, F> {
public:
    constexpr Result(T value) : head_(0), second_(__builtin_bit_cast(Word, value)) {}
    constexpr Result(const F& failure) : head_(failure.head), second_(failure.detail) {}
    constexpr bool ok() const { return head_ == 0; }
    constexpr T value() const { return __builtin_bit_cast(T, second_); }
    constexpr F failure() const { return F{head_, second_}; }

private:
    Word head_;
    Word second_;
};

// How far a committed operation came. A preempted one has left its state consistent and is executed again from its system call.
enum class [[nodiscard]] Progress : uint8_t { Complete, Preempted };

#define TRY(expression)                          \
    __extension__({                              \
        auto result_ = (expression);             \
        if (!result_.ok()) return result_.failure(); \
        result_.value();                         \
    })

}  // namespace caprock
