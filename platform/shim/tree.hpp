// SPDX-License-Identifier: BSD-2-Clause
// Nodes and properties of a device tree that libfdt has checked as a whole: so they are found without a check of every byte on the way, which with
// the MMU off is most of the time that booting takes. A node is libfdt's offset of it, the root 0. Devicetree Specification 0.4, chapter 5.
#pragma once

#include <libfdt.h>
#include <stdint.h>

namespace caprock::shim {

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
        : fdt(fdt), structure(static_cast<const uint8_t*>(fdt) + fdt_off_dt_struct(fdt)), strings(static_cast<const char*>(fdt) + fdt_off_dt_strings(fdt)) {}

    uint32_t token(int offset) const { return big_endian(structure + offset); }
    const char* name(int node) const { return reinterpret_cast<const char*>(structure + node + 4); }

    // The offset of the token behind the one at `offset`.
    int behind(int offset) const {
        const uint32_t kind = token(offset);
        int end = offset + 4;
        if (kind == FDT_PROP) end += 8 + static_cast<int>(token(offset + 4));
        if (kind == FDT_BEGIN_NODE) {
            while (structure[end++] != 0) {}
        }
        return (end + 3) & ~3;
    }

    // The node behind `node` in the order of the file, below it or not; `depth` changes by the levels between them. `none` if there is no further
    // one below the node at which `depth` was 0.
    int next(int node, int& depth) const {
        for (int offset = behind(node);; offset = behind(offset)) {
            const uint32_t kind = token(offset);
            if (kind == FDT_BEGIN_NODE) {
                ++depth;
                return offset;
            }
            if (kind == FDT_END || (kind == FDT_END_NODE && --depth < 0)) return none;
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

    // The value of a property and its length in bytes, or null.
    const uint8_t* property(int node, const char* wanted, unsigned& length) const {
        for (int offset = behind(node);; offset = behind(offset)) {
            const uint32_t kind = token(offset);
            if (kind != FDT_PROP && kind != FDT_NOP) return nullptr;
            if (kind == FDT_NOP || !equal(strings + token(offset + 8), wanted)) continue;
            length = token(offset + 4);
            return structure + offset + 12;
        }
    }
};

}  // namespace caprock::shim
