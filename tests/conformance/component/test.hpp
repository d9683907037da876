// SPDX-License-Identifier: BSD-2-Clause
// Tests and checks. A test runs in its component's first thread; a check that fails, in whichever thread, ends the test.
#pragma once

#include "tests/conformance/component/environment.hpp"

namespace caprock::conformance {

/// Defines a test, which is named after its file and `identifier`: cnode.copy_order in test_cnode.cc. Its body follows. `description` is
/// one line for the report.
#define TEST(identifier, description)                                                                                               \
    static void identifier##_test();                                                                                                \
    static constexpr ::caprock::conformance::TestCase identifier##_case{__FILE_NAME__, #identifier, description, identifier##_test}; \
    [[gnu::section(".test_cases"), gnu::used]] static const ::caprock::conformance::TestCase* const identifier##_entry =             \
        &identifier##_case;                                                                                                         \
    static void identifier##_test()

/// Ends the test as failed, for `reason`.
[[noreturn]] void fail(const Text& reason);
/// Ends the test as passed over, for `reason`.
[[noreturn]] void skip(const char* reason);
/// Has a line with a measured value printed, which says nothing about the verdict.
void note(const char* what, uint64_t value, const char* unit);

/// Where a check stands, and what it says.
struct Place {
    const char* file;
    unsigned line;
    const char* text;
};

/// Ends the test unless `holds`.
inline void check(bool holds, const Place& place) {
    if (!holds) fail(Text() << place.file << ":" << uint64_t{place.line} << ": " << place.text);
}

/// Ends the test unless `actual` is `expected`; both are numbers or enumerators.
template <class Actual, class Expected>
void check_equal(Actual actual, Expected expected, const Place& place) {
    const uint64_t found = static_cast<uint64_t>(actual);
    const uint64_t wanted = static_cast<uint64_t>(expected);
    if (found != wanted)
        fail(Text() << place.file << ":" << uint64_t{place.line} << ": " << place.text << " is " << Hex{found} << ", not " << Hex{wanted});
}

/// The value of a result, which must be one.
template <class T>
T checked(const Result<T>& result, const Place& place) {
    check_equal(result.error(), abi::Error::NoError, place);
    return result.value();
}
inline void checked(const ResultBase& result, const Place& place) { check_equal(result.error(), abi::Error::NoError, place); }

inline void check_detail(const ResultBase& result, abi::Error error, uint64_t detail, const Place& place) {
    check_equal(result.error(), error, place);
    check_equal(result.detail(0), detail, place);
}
inline void check_range(const ResultBase& result, uint64_t least, uint64_t most, const Place& place) {
    check_detail(result, abi::Error::RangeError, least, place);
    check_equal(result.detail(1), most, place);
}
inline void check_lookup(const ResultBase& result, bool is_source, abi::LookupFailure failure, const Place& place) {
    check_detail(result, abi::Error::FailedLookup, is_source, place);
    check_equal(result.detail(1), failure, place);
}

#define PLACE(text) (::caprock::conformance::Place{__FILE_NAME__, __LINE__, text})
#define CHECK(condition) ::caprock::conformance::check((condition), PLACE(#condition))
#define CHECK_EQUAL(actual, expected) ::caprock::conformance::check_equal((actual), (expected), PLACE(#actual))
/// The value of a Result, or the end of the test.
#define CHECK_OK(result) ::caprock::conformance::checked((result), PLACE(#result))
#define CHECK_ERROR(result, expected) \
    ::caprock::conformance::check_equal((result).error(), ::caprock::abi::Error::expected, PLACE(#result))
/// A RangeError with these limits.
#define CHECK_RANGE(result, least, most) ::caprock::conformance::check_range((result), (least), (most), PLACE(#result))
/// A FailedLookup of the source or destination for this LookupFailure.
#define CHECK_LOOKUP(result, is_source, failure) \
    ::caprock::conformance::check_lookup((result), (is_source), ::caprock::abi::LookupFailure::failure, PLACE(#result))
/// An InvalidCapability that names this capability: 0 for the invoked one, 1 and up for arguments.
#define CHECK_CAPABILITY(result, number) \
    ::caprock::conformance::check_detail((result), ::caprock::abi::Error::InvalidCapability, (number), PLACE(#result))
/// An InvalidArgument that names this word.
#define CHECK_ARGUMENT(result, number) \
    ::caprock::conformance::check_detail((result), ::caprock::abi::Error::InvalidArgument, (number), PLACE(#result))

/// An object of the test's memory. `bits`: a CNode's radix, an untyped's or a scheduling context's size.
template <class T>
Cap<T> create(uint64_t bits = 0) {
    return Cap<T>{checked(try_create(object_type_of<T>, bits), PLACE("creating an object")).address()};
}

/// The same of another untyped's memory, which can be revoked on its own.
template <class T>
Cap<T> create_in(Cap<Untyped> memory, uint64_t bits = 0) {
    const Cap<T> made{take_slots()};
    CHECK_OK(memory.retype(object_type_of<T>, bits, 0, 0, made.address(), 1, own_cnode));
    return made;
}

/// A copy in a new slot of the capability in `source`, with the rights that are also in `rights`.
template <class T>
Cap<T> copy(Cap<T> source, abi::CapRights rights = all_rights) {
    const Cap<T> made{take_slots()};
    CHECK_OK(own_cnode.copy(made.address(), address_bits, source.address(), address_bits, rights, own_cnode));
    return made;
}

/// The same with a badge or, for a CNode, a guard.
template <class T>
Cap<T> mint(Cap<T> source, uint64_t badge, abi::CapRights rights = all_rights) {
    const Cap<T> made{take_slots()};
    CHECK_OK(own_cnode.mint(made.address(), address_bits, source.address(), address_bits, rights, badge, own_cnode));
    return made;
}

inline Result<void> copy_to(uint64_t target, CapRef source, abi::CapRights rights = all_rights) {
    return own_cnode.copy(target, address_bits, source.address(), address_bits, rights, own_cnode);
}
inline Result<void> mint_to(uint64_t target, CapRef source, uint64_t badge) {
    return own_cnode.mint(target, address_bits, source.address(), address_bits, all_rights, badge, own_cnode);
}
inline Result<void> move_to(uint64_t target, CapRef source) {
    return own_cnode.move(target, address_bits, source.address(), address_bits, own_cnode);
}

/// Whether the slot is empty: only an occupied one can be moved.
bool is_empty(CapRef cap);

/// A CNode capability that is a root: its guard and its radix are all bits of an address. The capability given stays.
inline Cap<CNode> as_root(Cap<CNode> node, uint64_t radix) { return mint(node, abi::CNodeCapData::make(address_bits - radix, 0).raw); }

inline void delete_cap(CapRef cap) { CHECK_OK(own_cnode.delete_cap(cap.address(), address_bits)); }
inline void revoke(CapRef cap) { CHECK_OK(own_cnode.revoke(cap.address(), address_bits)); }

}  // namespace caprock::conformance
