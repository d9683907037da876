// SPDX-License-Identifier: BSD-2-Clause
// Walks the tokens of a flattened device tree.
#include "capdl/loader/device_tree.hpp"

namespace caprock::loader {
namespace {

using Bytes = alloc::Slice<const uint8_t>;

/// Tokens of the structure block.
enum : uint32_t { begin_node = 1, end_node = 2, property = 3, nothing = 4 };
constexpr uint32_t magic = 0xd00dfeed;
constexpr size_t header_bytes = 40;

uint32_t big_endian(const uint8_t* bytes) {
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

/// The part of `bytes` from `start` on, empty when it begins past the end.
Bytes after(Bytes bytes, size_t start) { return start <= bytes.size ? Bytes{bytes.data + start, bytes.size - start} : Bytes{}; }

/// Length of the text at the start of `bytes`; bytes.size when it does not end.
size_t text_length(Bytes bytes) {
    size_t length = 0;
    while (length < bytes.size && bytes[length] != 0) ++length;
    return length;
}

bool equal(Bytes bytes, const char* text) {
    const size_t length = text_length(bytes);
    for (size_t i = 0; i < length; ++i)
        if (text[i] == 0 || static_cast<uint8_t>(text[i]) != bytes[i]) return false;
    return length < bytes.size && text[length] == 0;
}

/// Takes tokens and what belongs to them off the structure block.
class Reader {
public:
    explicit Reader(Bytes tree) {
        if (tree.size < header_bytes || big_endian(tree.data) != magic) return;
        left_ = after(tree, big_endian(tree.data + 8));
        strings_ = after(tree, big_endian(tree.data + 12));
    }

    /// False at the end, and at what is no token.
    bool next(uint32_t& token) {
        do {
            if (left_.size < 4) return false;
            token = big_endian(left_.data);
            left_ = after(left_, 4);
        } while (token == nothing);
        return token == begin_node || token == end_node || token == property;
    }
    /// The name of the node that begins, and all behind it.
    Bytes take_name() {
        const Bytes name = left_;
        left_ = after(left_, text_length(name) / 4 * 4 + 4);
        return name;
    }
    /// The property that was announced; false when the tree ends in it.
    bool take_property(Bytes& name, Bytes& value) {
        if (left_.size < 8) return false;
        const uint32_t length = big_endian(left_.data);
        name = after(strings_, big_endian(left_.data + 4));
        left_ = after(left_, 8);
        if (length > left_.size) return false;
        value = {left_.data, length};
        left_ = after(left_, (size_t{length} + 3) / 4 * 4);
        return true;
    }

private:
    Bytes left_;
    Bytes strings_;
};

/// Follows a path from node to node. Names of one node's children differ, so that no way leads back from a child that fits.
class Path {
public:
    explicit Path(const char* path) : rest_(path) {}

    void enter(Bytes name) {
        if (depth_++ != matched_) return;
        if (matched_ == 0 || takes(name)) ++matched_;
    }
    /// False when the node that the path led to so far ends.
    bool leave() { return depth_-- != matched_; }
    /// True in the node that the whole path means.
    bool arrived() const { return depth_ == matched_ && depth_ != 0 && (rest_[0] == 0 || (rest_[0] == '/' && rest_[1] == 0)); }

private:
    bool takes(Bytes name) {
        const size_t length = text_length(name);
        if (rest_[0] != '/') return false;
        for (size_t i = 0; i < length; ++i)
            if (rest_[1 + i] == 0 || static_cast<uint8_t>(rest_[1 + i]) != name[i]) return false;
        if (rest_[1 + length] != 0 && rest_[1 + length] != '/') return false;
        rest_ += 1 + length;
        return true;
    }

    const char* rest_;
    size_t depth_ = 0;
    size_t matched_ = 0;
};

}  // namespace

Found find_property(Bytes tree, const char* path, const char* name, Bytes& value) {
    Reader reader(tree);
    Path way(path);
    bool arrived = false, enabled = true, has = false;
    for (uint32_t token; reader.next(token);) {
        if (token == begin_node) {
            way.enter(reader.take_name());
        } else if (token == end_node) {
            if (!way.leave()) break;
        } else {
            Bytes its_name, its_value;
            if (!reader.take_property(its_name, its_value)) break;
            if (!way.arrived()) continue;
            if (equal(its_name, name)) {
                value = its_value;
                has = true;
            }
            if (equal(its_name, "status")) enabled = equal(its_value, "okay") || equal(its_value, "ok");
        }
        arrived = arrived || way.arrived();
    }
    if (!arrived) return Found::Nothing;
    return !enabled ? Found::Disabled : has ? Found::Property : Found::Node;
}

}  // namespace caprock::loader
