// SPDX-License-Identifier: BSD-2-Clause
// From where all capabilities are found: every container that lives, as if a slot beside the machine's memory named it. A root task may be gone
// for long, and no one CNode leads to all.
#pragma once

#include "../lockstep/abstraction.hpp"

#include <string>
#include <vector>

namespace caprock::image {

class Seeds {
public:
    Seeds();
    ~Seeds();
    Seeds(const Seeds&) = delete;
    Seeds& operator=(const Seeds&) = delete;

    /// The first one, of the root task.
    void begin(const Cap& cap);
    /// Takes the containers of a state.
    void keep(const lockstep::Inventory& inventory);
    /// Leaves those out that no capability names any more, in memory as it is now.
    void drop_dead();

    Slot* slots() const { return slots_; }
    Word count() const { return containers_.size(); }
    /// Takes the slots that there are not out of a state's text.
    void remove_from(std::string& text) const;

private:
    void place();

    Slot* slots_ = nullptr;
    std::vector<Cap> containers_;
};

}  // namespace caprock::image
