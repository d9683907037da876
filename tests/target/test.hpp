// SPDX-License-Identifier: BSD-2-Clause
// Test cases and checks. A case runs in a thread of its own; a check that fails, in whichever thread, ends the case.
#pragma once

#include "tests/target/environment.hpp"

namespace caprock::target {

inline Text& operator<<(Text& text, const Text& other) {
    for (const char character : other) {
        const char string[] = {character, 0};
        text << string;
    }
    return text;
}

struct TestCase {
    const char* name;
    void (*run)();
};

/// Defines a test case; its body follows. `identifier` is unique in its file, `name` one line for the report.
#define TEST(identifier, name)                                                                                                       \
    static void identifier();                                                                                                        \
    static constexpr ::caprock::target::TestCase identifier##_case{name, identifier};                                                \
    [[gnu::section(".test_cases"), gnu::used]] static const ::caprock::target::TestCase* const identifier##_entry = &identifier##_case; \
    static void identifier()

/// Ends the running case as failed, for `reason`.
[[noreturn]] void fail(const Text& reason);
/// Ends the running case as passed over, for `reason`.
[[noreturn]] void skip(const char* reason);
/// Prints a line of the report that says nothing about the case.
void note(const Text& text);

/// Where a check stands, and what it says.
struct Place {
    const char* file;
    unsigned line;
    const char* text;
};

/// Ends the case unless `holds`.
inline void check(bool holds, const Place& place) {
    if (!holds) fail(Text() << place.file << ":" << uint64_t{place.line} << ": " << place.text);
}

/// Ends the case unless `actual` is `expected`; both are numbers or enumerators.
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

#define PLACE(text) (::caprock::target::Place{__FILE_NAME__, __LINE__, text})
#define CHECK(condition) ::caprock::target::check((condition), PLACE(#condition))
#define CHECK_EQUAL(actual, expected) ::caprock::target::check_equal((actual), (expected), PLACE(#actual))
/// The value of a Result, or the end of the case.
#define CHECK_OK(result) ::caprock::target::checked((result), PLACE(#result))
#define CHECK_ERROR(result, expected) \
    ::caprock::target::check_equal((result).error(), ::caprock::abi::Error::expected, PLACE(#result))
/// A RangeError with these limits.
#define CHECK_RANGE(result, least, most) ::caprock::target::check_range((result), (least), (most), PLACE(#result))
/// A FailedLookup of the source or destination for this LookupFailure.
#define CHECK_LOOKUP(result, is_source, failure) \
    ::caprock::target::check_lookup((result), (is_source), ::caprock::abi::LookupFailure::failure, PLACE(#result))
/// An InvalidCapability that names this capability: 0 for the invoked one, 1 and up for arguments.
#define CHECK_CAPABILITY(result, number) \
    ::caprock::target::check_detail((result), ::caprock::abi::Error::InvalidCapability, (number), PLACE(#result))
/// An InvalidArgument that names this word.
#define CHECK_ARGUMENT(result, number) \
    ::caprock::target::check_detail((result), ::caprock::abi::Error::InvalidArgument, (number), PLACE(#result))

/// An object of the running case's memory. `bits`: a CNode's radix, an untyped's or a scheduling context's size.
template <class T>
Cap<T> create(uint64_t bits = 0) {
    return Cap<T>{checked(try_create(object_type_of<T>, bits), PLACE("creating an object")).address()};
}

/// The same of another untyped's memory, which can be revoked on its own.
template <class T>
Cap<T> create_in(Cap<Untyped> memory, uint64_t bits = 0) {
    const Cap<T> made{environment.take_slots()};
    CHECK_OK(memory.retype(object_type_of<T>, bits, 0, 0, made.address(), 1, root_cnode));
    return made;
}

/// A copy in a new slot of the capability in `source`, with the rights that are also in `rights`.
template <class T>
Cap<T> copy(Cap<T> source, abi::CapRights rights = all_rights) {
    const Cap<T> made{environment.take_slots()};
    CHECK_OK(root_cnode.copy(made.address(), address_bits, source.address(), address_bits, rights, root_cnode));
    return made;
}

/// The same with a badge or, for a CNode, a guard.
template <class T>
Cap<T> mint(Cap<T> source, uint64_t badge, abi::CapRights rights = all_rights) {
    const Cap<T> made{environment.take_slots()};
    CHECK_OK(root_cnode.mint(made.address(), address_bits, source.address(), address_bits, rights, badge, root_cnode));
    return made;
}

inline void delete_cap(CapRef cap) { CHECK_OK(root_cnode.delete_cap(cap.address(), address_bits)); }
inline void revoke(CapRef cap) { CHECK_OK(root_cnode.revoke(cap.address(), address_bits)); }

}  // namespace caprock::target
