// SPDX-License-Identifier: BSD-2-Clause
// Where a system differs from its description, in words. They are collected, since printing takes the console away from the system.
#pragma once

#include "capdl/loader/report.hpp"

namespace caprock::loader {

class Deviations {
public:
    /// What the next comparisons are about: an object, and a slot or address of it.
    void at(const char* name, const char* word = nullptr, uint64_t number = 0) {
        name_ = name;
        word_ = word;
        number_ = number;
    }

    void compare(const char* what, uint64_t found, uint64_t expected);
    /// An object by its identity, with one of the tables, or none.
    void compare_objects(const char* what, uint64_t identity, uint32_t expected);
    void compare_kinds(abi::CapType found, abi::CapType expected);

    /// Prints all, and halts if there are any.
    void finish() const;

private:
    /// A new deviation, with the words that say where.
    Text& add();

    static constexpr size_t room = 16;
    Text texts_[room + 1];  // the last one is for what there is no room for
    size_t count_ = 0;
    const char* name_ = "";
    const char* word_ = nullptr;
    uint64_t number_ = 0;
};

}  // namespace caprock::loader
