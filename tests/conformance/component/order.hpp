// SPDX-License-Identifier: BSD-2-Clause
// The documented order of a method's checks. A test makes one call for each check, which fails in it and, as far as that is possible, in every
// later one too: the error must be the one that the API description has in this place. What the manual says is what is expected.
#pragma once

#include "tests/conformance/component/test.hpp"
#include "tests/conformance/documented.hpp"

namespace caprock::conformance {

/// A failed call, whose details can be checked too: NEXT(order, call).range(1, 64).
class FailedCheck {
public:
    FailedCheck(const ResultBase& result, const Place& place) : failure_{result.failure()}, place_{place} {}

    const FailedCheck& detail(unsigned index, uint64_t expected) const {
        check_equal(failure_.details[index], expected, place_);
        return *this;
    }
    /// The limits of a RangeError.
    void range(uint64_t least, uint64_t most) const { detail(0, least).detail(1, most); }
    /// The number of the argument of an InvalidArgument, or of the capability of an InvalidCapability.
    void number(uint64_t expected) const { detail(0, expected); }
    /// Side and reason of a FailedLookup.
    void lookup(bool is_source, abi::LookupFailure failure) const { detail(0, is_source).detail(1, static_cast<uint64_t>(failure)); }

private:
    Failure failure_;
    Place place_;
};

/// Goes through the documented checks of a method. At the end of its life all of them must have been seen.
class Order {
public:
    explicit Order(abi::Method method) : method_(documented_methods[static_cast<uint64_t>(method)]) {}
    Order(const Order&) = delete;
    ~Order() {
        if (next_ != method_.check_count)
            fail(Text() << method_.name << ": the test ends before check " << uint64_t{next_} + 1 << " of " << uint64_t{method_.check_count});
    }

    /// `result` is a call that fails in the next check.
    FailedCheck next(const ResultBase& result, const Place& place) {
        if (next_ == method_.check_count) fail(Text() << place.file << ":" << uint64_t{place.line} << ": " << method_.name << " has no more checks");
        ++next_;
        return again(result, place);
    }
    /// `result` is another call that fails in the same check.
    FailedCheck again(const ResultBase& result, const Place& place) const {
        check_equal(result.error(), method_.checks[next_ - 1], place);
        return FailedCheck(result, place);
    }
    /// The next check cannot fail on this machine.
    void pass_over() { ++next_; }

private:
    const DocumentedMethod& method_;
    unsigned next_ = 0;
};

#define NEXT(order, result) ((order).next((result), PLACE(#result)))
#define AGAIN(order, result) ((order).again((result), PLACE(#result)))

}  // namespace caprock::conformance
