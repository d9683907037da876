// SPDX-License-Identifier: BSD-2-Clause
// Views of memory that others own (Span, Bytes, Text) and a small byte string held by value (Buffer). Freestanding.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace caprock {

/// A run of `size` objects that somebody else owns. Indexing is not checked; `part` is.
template <class T>
class Span {
public:
    constexpr Span() = default;
    constexpr Span(T* data, size_t size) : data_ {data}, size_ {size} {}
    template <size_t count>
    constexpr Span(T (&array)[count]) : data_ {array}, size_ {count} {}
    /// A view that may write is also one that may read.
    constexpr operator Span<const T>() const { return {data_, size_}; }

    constexpr T* data() const { return data_; }
    constexpr size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr T& operator[](size_t index) const { return data_[index]; }
    constexpr T* begin() const { return data_; }
    constexpr T* end() const { return data_ + size_; }

    /// The objects from `start` on, at most `count`; empty when `start` is past the end.
    constexpr Span part(size_t start, size_t count = SIZE_MAX) const
    {
        if (start >= size_)
            return {};
        const size_t rest = size_ - start;
        return {data_ + start, count < rest ? count : rest};
    }

private:
    T* data_ = nullptr;
    size_t size_ = 0;
};

using Bytes = Span<uint8_t>;
using ConstBytes = Span<const uint8_t>;

/// Characters that somebody else owns; not NUL-terminated.
class Text {
public:
    constexpr Text() = default;
    constexpr Text(const char* data, size_t size) : data_ {data}, size_ {size} {}
    constexpr Text(const char* terminated) : data_ {terminated}
    {
        while (terminated[size_] != '\0')
            ++size_;
    }

    /// The characters before the first NUL of a field of `capacity` bytes.
    static Text from_field(const uint8_t* field, size_t capacity)
    {
        size_t size = 0;
        while (size < capacity && field[size] != 0)
            ++size;
        return {reinterpret_cast<const char*>(field), size};
    }

    constexpr const char* data() const { return data_; }
    constexpr size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr char operator[](size_t index) const { return data_[index]; }
    constexpr const char* begin() const { return data_; }
    constexpr const char* end() const { return data_ + size_; }
    ConstBytes bytes() const { return {reinterpret_cast<const uint8_t*>(data_), size_}; }

    constexpr bool operator==(const Text& other) const
    {
        if (size_ != other.size_)
            return false;
        for (size_t i = 0; i < size_; ++i) {
            if (data_[i] != other.data_[i])
                return false;
        }
        return true;
    }

private:
    const char* data_ = "";
    size_t size_ = 0;
};

/// `count` objects by value: what an array of an interface becomes.
template <class T, size_t count>
struct Array {
    T items[count] {};

    static constexpr size_t size() { return count; }
    constexpr T& operator[](size_t index) { return items[index]; }
    constexpr const T& operator[](size_t index) const { return items[index]; }
    constexpr T* begin() { return items; }
    constexpr T* end() { return items + count; }
    constexpr const T* begin() const { return items; }
    constexpr const T* end() const { return items + count; }
};

/// Up to `capacity` bytes by value: what a method's `bytes[capacity]` parameter becomes.
template <size_t capacity_bytes>
class Buffer {
public:
    static constexpr size_t capacity = capacity_bytes;

    constexpr size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr const uint8_t* data() const { return data_; }
    constexpr uint8_t* data() { return data_; }
    ConstBytes bytes() const { return {data_, size_}; }
    Text text() const { return {reinterpret_cast<const char*>(data_), size_}; }

    /// Sets how many bytes count; returns false and changes nothing when they are more than there is room for.
    constexpr bool resize(size_t size)
    {
        if (size > capacity)
            return false;
        size_ = size;
        return true;
    }

    /// Appends a byte; returns false and changes nothing when there is no room.
    constexpr bool append(uint8_t byte)
    {
        if (size_ == capacity)
            return false;
        data_[size_++] = byte;
        return true;
    }

    /// Appends all of `bytes`; returns false and changes nothing when there is no room.
    constexpr bool append(ConstBytes bytes)
    {
        if (bytes.size() > capacity - size_)
            return false;
        for (const uint8_t byte : bytes)
            data_[size_++] = byte;
        return true;
    }

private:
    uint8_t data_[capacity_bytes] {};
    size_t size_ = 0;
};

} // namespace caprock
