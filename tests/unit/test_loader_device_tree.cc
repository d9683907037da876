// SPDX-License-Identifier: BSD-2-Clause
// The loader's reader of device trees, and with it the boot shim's: finds what is there and nothing else. Broken trees end in the shim.
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "capdl/loader/device_tree.hpp"

namespace {

using namespace caprock::loader;
using Tree = std::vector<uint8_t>;

/// Writes a tree token by token.
class Writer {
public:
    Writer& begin(std::string_view name) {
        word(1);
        return bytes(std::string(name) + '\0');
    }
    Writer& end() { return word(2); }
    Writer& nothing() { return word(4); }
    Writer& property(const std::string& name, const std::string& value) {
        const size_t at = names_.size();
        names_ += name + '\0';
        return word(3).word(static_cast<uint32_t>(value.size())).word(static_cast<uint32_t>(at)).bytes(value);
    }
    Tree finish() {
        word(9);
        Tree tree;
        const uint32_t start = 40, strings = start + static_cast<uint32_t>(structure_.size());
        const uint32_t end = strings + static_cast<uint32_t>(names_.size());
        for (const uint32_t field : {0xd00dfeedu, end, start, strings, 0u, 17u, 16u, 0u, 0u, 0u}) append(tree, field);
        tree.insert(tree.end(), structure_.begin(), structure_.end());
        tree.insert(tree.end(), names_.begin(), names_.end());
        return tree;
    }

private:
    static void append(Tree& tree, uint32_t value) {
        for (int shift = 24; shift >= 0; shift -= 8) tree.push_back(static_cast<uint8_t>(value >> shift));
    }
    Writer& word(uint32_t value) {
        append(structure_, value);
        return *this;
    }
    Writer& bytes(const std::string& value) {
        structure_.insert(structure_.end(), value.begin(), value.end());
        while (structure_.size() % 4 != 0) structure_.push_back(0);
        return *this;
    }

    Tree structure_;
    std::string names_;
};

Tree board() {
    return Writer()
        .begin("")
        .property("model", "board")
        .begin("soc")
        .nothing()
        .property("ranges", "")
        .begin("serial@10")
        .property("reg", "longer")
        .end()
        .begin("serial@1")
        .property("reg", "right")
        .property("status", std::string("okay\0", 5))
        .begin("child")
        .property("reg", "child")
        .property("dma", "child")
        .end()
        .end()
        .begin("off")
        .property("status", std::string("disabled\0", 9))
        .property("reg", "off")
        .end()
        .end()
        .begin("serial@1")
        .property("reg", "top")
        .end()
        .end()
        .finish();
}

/// What is found, and the value behind it.
std::string look(const Tree& tree, const char* path, const char* name) {
    caprock::alloc::Slice<const uint8_t> value;
    switch (find_property({tree.data(), tree.size()}, path, name, value)) {
        case Found::Property:
            return "=" + std::string(reinterpret_cast<const char*>(value.data), value.size);
        case Found::Node:
            return "node";
        case Found::Disabled:
            return "disabled";
        case Found::Nothing:
            return "nothing";
    }
    return "";
}

TEST_CASE("a property is found at its node and nowhere else") {
    const Tree tree = board();
    CHECK(look(tree, "/soc/serial@1", "reg") == "=right");
    CHECK(look(tree, "/soc/serial@10", "reg") == "=longer");
    CHECK(look(tree, "/serial@1", "reg") == "=top");
    CHECK(look(tree, "/soc/serial@1/child", "reg") == "=child");
    CHECK(look(tree, "/", "model") == "=board");
    CHECK(look(tree, "/soc", "ranges") == "=");
    CHECK(look(tree, "/soc/serial@1", "dma") == "node");
    CHECK(look(tree, "/soc/serial@1", "re") == "node");
    CHECK(look(tree, "/soc/serial@1", "regs") == "node");
    CHECK(look(tree, "/soc/off", "reg") == "disabled");
    CHECK(look(tree, "/soc/serial", "reg") == "nothing");
    CHECK(look(tree, "/soc/serial@1/child/more", "reg") == "nothing");
    CHECK(look(tree, "/soc/serial@2", "reg") == "nothing");
    CHECK(look(tree, "", "model") == "=board");
}

TEST_CASE("nothing is found where there is no tree") { CHECK(look({}, "/", "model") == "nothing"); }

}  // namespace
