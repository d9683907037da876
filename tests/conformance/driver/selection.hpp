// SPDX-License-Identifier: BSD-2-Clause
// Which tests to run: the device tree's /chosen bootargs say it, in words with a space between them.
//   tests=NAME,NAME,...   only these: SUITE.IDENTIFIER, or SUITE. for all of a suite
//   stop                  end the run at the first test that fails
// Other words are not the driver's.
#pragma once

#include "capdl/alloc/slice.hpp"
#include "tests/conformance/protocol.hpp"

namespace caprock::conformance {

/// Part of a text that is not terminated.
struct View {
    const char* begin = nullptr;
    const char* end = nullptr;

    /// The text up to its terminating zero.
    static View of(const char* text);
    bool empty() const { return begin == end; }
    bool operator==(const View& other) const;
    /// Cuts off and returns what comes before the next `separator`, which goes too.
    View cut(char separator);
    /// Cuts `prefix` off; false when the text does not start with it.
    bool skip(View prefix);
};

class Selection {
public:
    /// \param device_tree  empty: everything is selected
    explicit Selection(alloc::Slice<const uint8_t> device_tree);

    bool stop_at_failure() const { return stop_at_failure_; }
    /// Whether to run a test of the suite `suite` with this identifier.
    bool contains(View suite, View identifier) const;
    /// The first name that selects none of the tests that `exists` knows; empty when there is none.
    /// \param matches  matches(name): whether there is a test that the name selects
    template <class Matches> View unknown(Matches matches) const {
        for (View names = names_; !names.empty();)
            if (const View name = names.cut(','); !matches(name)) return name;
        return {};
    }
    /// Whether `name` selects the test.
    static bool selects(View name, View suite, View identifier);

private:
    View names_;
    bool all_ = true;
    bool stop_at_failure_ = false;
};

}  // namespace caprock::conformance
