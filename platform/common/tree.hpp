// SPDX-License-Identifier: BSD-2-Clause
// Nodes and properties of a device tree that the boot shim has checked as a whole: so they are found without a check of every byte on the way, which
// with the MMU off is most of the time that booting takes. For the shim, and for the loader, to which the kernel passes the same tree. A node is its
// offset, the root 0. Devicetree Specification 0.4, chapter 5.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace caprock::fdt {

// Tokens of the structure block.
enum : uint32_t { begin_node = 1, end_node = 2, property_token = 3, nothing = 4, end_of_tree = 9 };
// Where the header has the offsets of the blocks.
inline constexpr int structure_field = 8, strings_field = 12;

inline uint32_t big_endian(const uint8_t* bytes) {
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

inline bool equal(const char* a, const char* b) {
    while (*a && *a == *b) ++a, ++b;
    return *a == *b;
}

// A device tree's two blocks.
struct Tree {
    static constexpr int none = -1;

    const void* fdt;
    const uint8_t* structure;
    const char* strings;

    explicit Tree(const void* fdt)
        : fdt(fdt), structure(block(structure_field)), strings(reinterpret_cast<const char*>(block(strings_field))) {}

    uint32_t token(int offset) const { return big_endian(structure + offset); }
    const char* name(int node) const { return reinterpret_cast<const char*>(structure + node + 4); }

    // The offset of the token behind the one at `offset`.
    int behind(int offset) const {
        const uint32_t kind = token(offset);
        int end = offset + 4;
        if (kind == property_token) end += 8 + static_cast<int>(token(offset + 4));
        if (kind == begin_node) {
            while (structure[end++] != 0) {}
        }
        return (end + 3) & ~3;
    }

    // The node behind `node` in the order of the file, below it or not; `depth` changes by the levels between them. `none` if there is no further
    // one below the node at which `depth` was 0.
    int next(int node, int& depth) const {
        for (int offset = behind(node);; offset = behind(offset)) {
            const uint32_t kind = token(offset);
            if (kind == begin_node) {
                ++depth;
                return offset;
            }
            if (kind == end_of_tree || (kind == end_node && --depth < 0)) return none;
        }
    }

    // The first child of `parent`, or the one behind `child`.
    int first_child(int parent) const {
        int depth = 0;
        return next(parent, depth);
    }
    int next_sibling(int child) const {
        int depth = 1;
        do child = next(child, depth);
        while (child != none && depth > 1);
        return depth == 1 ? child : none;
    }

    int parent(int node) const {
        int depth = 0;
        for (int at = 0; at != node; at = next(at, depth)) {}
        int parent = none;
        int level = 0;
        for (int at = 0; at != node; at = next(at, level)) {
            if (level == depth - 1) parent = at;
        }
        return parent;
    }

    int child(int parent, const char* wanted) const {
        int node = first_child(parent);
        while (node != none && !equal(name(node), wanted)) node = next_sibling(node);
        return node;
    }

    // The node of a path like /soc/serial@10, or none.
    int find(const char* path) const {
        int node = 0;
        while (node != none && path[0] == '/' && path[1] != 0) {
            const char* part = ++path;
            while (*path != 0 && *path != '/') ++path;
            node = first_child(node);
            while (node != none && !is(name(node), part, path)) node = next_sibling(node);
        }
        return node;
    }

    // The value of a property and its length in bytes, or null.
    const uint8_t* property(int node, const char* wanted, unsigned& length) const {
        for (int offset = behind(node);; offset = behind(offset)) {
            const uint32_t kind = token(offset);
            if (kind != property_token && kind != nothing) return nullptr;
            if (kind == nothing || !equal(strings + token(offset + 8), wanted)) continue;
            length = token(offset + 4);
            return structure + offset + 12;
        }
    }

private:
    const uint8_t* block(int field) const { return static_cast<const uint8_t*>(fdt) + big_endian(static_cast<const uint8_t*>(fdt) + field); }
    // Whether a text is the part of another one from `begin` to `end`.
    static bool is(const char* text, const char* begin, const char* end) {
        while (begin != end && *text == *begin) ++text, ++begin;
        return begin == end && *text == 0;
    }
};

}  // namespace caprock::fdt
