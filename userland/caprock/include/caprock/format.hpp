// SPDX-License-Identifier: BSD-2-Clause
// A small text formatter without allocation: `format(writer, "{} at {}", name, hex(address))`. Each {} takes the next argument;
// the number of {} is checked against the number of arguments when the program is compiled.
#pragma once

#include <caprock/bytes.hpp>

namespace caprock {

/// Characters into a field that somebody else owns. What does not fit is cut off and remembered.
class Writer {
public:
    constexpr Writer(char* data, size_t capacity) : data_ {data}, capacity_ {capacity} {}

    constexpr void put(char character)
    {
        if (size_ == capacity_) {
            truncated_ = true;
            return;
        }
        data_[size_++] = character;
    }
    constexpr void put(Text text)
    {
        for (const char character : text)
            put(character);
    }

    constexpr Text text() const { return {data_, size_}; }
    /// True when something was cut off.
    constexpr bool truncated() const { return truncated_; }

private:
    char* data_;
    size_t capacity_;
    size_t size_ = 0;
    bool truncated_ = false;
};

/// A number to be written as 0x and lower-case hexadecimal digits.
struct Hex {
    uint64_t value;
};
constexpr Hex hex(uint64_t value) { return {value}; }

namespace detail {

constexpr void put_digits(Writer& writer, uint64_t value, unsigned base)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0)
        writer.put(digits[--count]);
}

template <class T>
constexpr bool is_integer = requires(T value) { value << 1; static_cast<uint64_t>(value); };

template <class T>
struct Same {
    using type = T;
};

/// Not constexpr: reached while a pattern is checked, it ends the compilation with its name.
inline void pattern_and_arguments_differ() {}

} // namespace detail

constexpr void put_value(Writer& writer, Text text) { writer.put(text); }
constexpr void put_value(Writer& writer, const char* text) { writer.put(Text {text}); }
constexpr void put_value(Writer& writer, char character) { writer.put(character); }
constexpr void put_value(Writer& writer, bool value) { writer.put(value ? Text {"true"} : Text {"false"}); }
constexpr void put_value(Writer& writer, Hex number)
{
    writer.put(Text {"0x"});
    detail::put_digits(writer, number.value, 16);
}
template <class Integer>
    requires detail::is_integer<Integer>
constexpr void put_value(Writer& writer, Integer value)
{
    if (value < Integer {}) {
        writer.put('-');
        detail::put_digits(writer, ~static_cast<uint64_t>(value) + 1, 10);
    } else {
        detail::put_digits(writer, static_cast<uint64_t>(value), 10);
    }
}

/// The pattern of a format call, checked against its arguments at compile time.
template <class... Arguments>
class Pattern {
public:
    template <size_t size>
    consteval Pattern(const char (&text)[size]) : text_ {text}
    {
        size_t holes = 0;
        for (size_t i = 0; i + 1 < size; ++i)
            holes += text[i] == '{' && text[i + 1] == '}';
        if (holes != sizeof...(Arguments))
            detail::pattern_and_arguments_differ();
    }

    constexpr Text text() const { return text_; }

private:
    Text text_;
};

namespace detail {

/// Writes `pattern` up to its next {} and returns what follows it.
constexpr Text put_until_hole(Writer& writer, Text pattern)
{
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '{' && i + 1 < pattern.size() && pattern[i + 1] == '}')
            return {pattern.data() + i + 2, pattern.size() - i - 2};
        writer.put(pattern[i]);
    }
    return {};
}

template <class Argument>
constexpr Text put_next(Writer& writer, Text pattern, const Argument& argument)
{
    const Text rest = put_until_hole(writer, pattern);
    put_value(writer, argument);
    return rest;
}

} // namespace detail

/// Writes `pattern` with each {} replaced by the next argument: integers in decimal, hex(n), bool, char, Text and C strings.
template <class... Arguments>
constexpr void format(Writer& writer, Pattern<typename detail::Same<Arguments>::type...> pattern, const Arguments&... arguments)
{
    Text rest = pattern.text();
    ((rest = detail::put_next(writer, rest, arguments)), ...);
    writer.put(rest);
}

} // namespace caprock
