// SPDX-License-Identifier: BSD-2-Clause
// Results of operations that may fail. A Failure carries everything that the caller of a method is told; nothing is kept on the side.
#pragma once

#include "caprock/abi.hpp"
#include "core/types.hpp"

namespace caprock {

using Error = abi::Error;

// Why a capability address did not resolve (abi::LookupFailure says what the details are). Two registers wide, as is Failure: failing is
// cheap, and the code that hands failures on is small.
struct LookupFault {
    uint8_t type = 0;         // abi::LookupFailure
    uint8_t bits_left = 0;
    uint8_t guard_size = 0;   // GuardMismatch: detail 2
    Word detail1 = 0;         // guard found, or bits that the CNode resolves

    static constexpr LookupFault of(abi::LookupFailure type, unsigned bits_left = 0, Word detail1 = 0, unsigned guard_size = 0) {
        LookupFault fault;
        fault.type = static_cast<uint8_t>(type);
        fault.bits_left = static_cast<uint8_t>(bits_left);
        fault.guard_size = static_cast<uint8_t>(guard_size);
        fault.detail1 = detail1;
        return fault;
    }
};

// An error with its details. `words` writes them out in the order in which the invoker receives them.
struct Failure {
    uint8_t code = 0;         // Error
    uint8_t lookup = 0;       // FailedLookup: abi::LookupFailure
    bool source = false;
    uint8_t bits_left = 0;
    uint8_t guard_size = 0;
    uint16_t least = 0;       // RangeError
    Word detail = 0;          // the number, the largest value, the bytes left, or the lookup's detail 1

    static constexpr Failure of(Error error, Word detail = 0) {
        Failure failure;
        failure.code = static_cast<uint8_t>(error);
        failure.detail = detail;
        return failure;
    }
    static constexpr Failure invalid_argument(Word number) { return of(Error::InvalidArgument, number); }
    static constexpr Failure invalid_capability(Word number) { return of(Error::InvalidCapability, number); }
    static constexpr Failure illegal_operation() { return of(Error::IllegalOperation); }
    static constexpr Failure range(uint16_t least, Word most) {
        Failure failure = of(Error::RangeError, most);
        failure.least = least;
        return failure;
    }
    static constexpr Failure failed_lookup(const LookupFault& fault, bool source) {
        Failure failure = of(Error::FailedLookup, fault.detail1);
        failure.lookup = fault.type;
        failure.source = source;
        failure.bits_left = fault.bits_left;
        failure.guard_size = fault.guard_size;
        return failure;
    }
    static constexpr Failure no_table(unsigned bits_left) {
        return failed_lookup(LookupFault::of(abi::LookupFailure::MissingCapability, bits_left), false);
    }

    static constexpr unsigned most_words = 5;
    // Returns how many words there are.
    unsigned words(Word (&to)[most_words]) const;
};
static_assert(sizeof(LookupFault) == 16 && sizeof(Failure) == 16);

// A value or a failure. `TRY` unwraps it or returns the failure to the caller.
template <class T, class F = Failure>
class [[nodiscard]] Result {
public:
    constexpr Result(T value) : value_(value), ok_(true) {}
    constexpr Result(const F& failure) : failure_(failure), ok_(false) {}
    constexpr bool ok() const { return ok_; }
    constexpr const T& value() const { return value_; }
    constexpr const F& failure() const { return failure_; }

private:
    union {
        T value_;
        F failure_;
    };
    bool ok_;
};

struct Nothing {};
using Status = Result<Nothing>;
inline constexpr Nothing done{};

// How far a committed operation came. A preempted one has left its state consistent and is executed again from its system call.
enum class [[nodiscard]] Progress : uint8_t { Complete, Preempted };

#define TRY(expression)                          \
    __extension__({                              \
        auto result_ = (expression);             \
        if (!result_.ok()) return result_.failure(); \
        result_.value();                         \
    })

}  // namespace caprock
