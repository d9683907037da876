// SPDX-License-Identifier: BSD-2-Clause
// Finds /chosen bootargs in a flattened device tree (Devicetree Specification 0.4, chapter 5), and takes it apart.
#include "tests/conformance/driver/selection.hpp"

namespace caprock::conformance {

namespace {

uint32_t big_endian(const uint8_t* bytes) {
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

// A walk through the structure block. Boot shim and kernel have checked and copied the tree: it is well-formed.
class TreeWalk {
public:
    explicit TreeWalk(const uint8_t* tree) : at_(tree + big_endian(tree + 8)), strings_(tree + big_endian(tree + 12)) {}

    View find_boot_arguments() {
        for (unsigned depth = 0;;) {
            switch (word()) {
            case begin_node: enter(depth++); break;
            case end_node: leave(--depth); break;
            case property:
                if (const View value = read_property(); !value.empty()) return value;
                break;
            case end: return {};
            default: break;
            }
        }
    }

private:
    static constexpr uint32_t begin_node = 1, end_node = 2, property = 3, end = 9;

    uint32_t word() {
        const uint32_t value = big_endian(at_);
        at_ += 4;
        return value;
    }

    void skip(uint64_t bytes) { at_ += (bytes + 3) & ~uint64_t{3}; }

    void enter(unsigned depth) {
        const View name = View::of(reinterpret_cast<const char*>(at_));
        if (depth == 1 && name == View::of("chosen")) in_chosen_ = true;
        skip(static_cast<uint64_t>(name.end - name.begin) + 1);
    }

    void leave(unsigned depth) {
        if (depth == 1) in_chosen_ = false;
    }

    // The value of /chosen's bootargs; empty when it is another property.
    View read_property() {
        const uint32_t bytes = word();
        const View name = View::of(reinterpret_cast<const char*>(strings_ + word()));
        const char* value = reinterpret_cast<const char*>(at_);
        skip(bytes);
        if (!in_chosen_ || bytes == 0 || !(name == View::of("bootargs"))) return {};
        return {value, value + bytes - 1};
    }

    const uint8_t* at_;
    const uint8_t* strings_;
    bool in_chosen_ = false;
};

}  // namespace

View View::of(const char* text) {
    View view{text, text};
    while (*view.end != 0) ++view.end;
    return view;
}

bool View::operator==(const View& other) const {
    View rest = *this;
    return rest.skip(other) && rest.empty();
}

View View::cut(char separator) {
    View head{begin, begin};
    while (head.end != end && *head.end != separator) ++head.end;
    begin = head.end == end ? end : head.end + 1;
    return head;
}

bool View::skip(View prefix) {
    const char* at = begin;
    for (; !prefix.empty(); ++prefix.begin, ++at)
        if (at == end || *at != *prefix.begin) return false;
    begin = at;
    return true;
}

Selection::Selection(alloc::Slice<const uint8_t> device_tree) {
    if (device_tree.size == 0) return;
    for (View arguments = TreeWalk(device_tree.begin()).find_boot_arguments(); !arguments.empty();) {
        View word = arguments.cut(' ');
        if (word == View::of("stop")) stop_at_failure_ = true;
        if (!word.skip(View::of("tests="))) continue;
        names_ = word;
        all_ = false;
    }
}

bool Selection::selects(View name, View suite, View identifier) {
    if (!name.skip(suite) || !name.skip(View::of("."))) return false;
    return name.empty() || name == identifier;
}

bool Selection::contains(View suite, View identifier) const {
    if (all_) return true;
    for (View names = names_; !names.empty();)
        if (selects(names.cut(','), suite, identifier)) return true;
    return false;
}

}  // namespace caprock::conformance
