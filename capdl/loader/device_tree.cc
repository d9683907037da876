// SPDX-License-Identifier: BSD-2-Clause
#include "capdl/loader/device_tree.hpp"

#include "platform/common/tree.hpp"

namespace caprock::loader {
namespace {

using fdt::Tree;

bool is_disabled(const Tree& tree, int node) {
    unsigned length = 0;
    const char* status = reinterpret_cast<const char*>(tree.property(node, "status", length));
    return status != nullptr && !fdt::equal(status, "okay") && !fdt::equal(status, "ok");
}

}  // namespace

Found find_property(alloc::Slice<const uint8_t> bytes, const char* path, const char* name, alloc::Slice<const uint8_t>& value) {
    if (bytes.size == 0) return Found::Nothing;
    const Tree tree(bytes.data);
    const int node = tree.find(path);
    if (node == Tree::none) return Found::Nothing;
    if (is_disabled(tree, node)) return Found::Disabled;
    unsigned length = 0;
    const uint8_t* found = tree.property(node, name, length);
    if (found == nullptr) return Found::Node;
    value = {found, length};
    return Found::Property;
}

}  // namespace caprock::loader
