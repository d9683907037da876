// SPDX-License-Identifier: BSD-2-Clause
// Printing lines through the console server.
#pragma once

#include <caprock/self.hpp>
#include <interfaces/console.hpp>

namespace caprock {

/// Prints lines through a `uses NAME: Console`.
class Printer {
public:
    /// Longest line, in bytes; longer ones are cut off and end in "...".
    static constexpr size_t max_line = 255;

    explicit Printer(Text name = "console") : console_ {self().uses<interfaces::Console>(name)} {}

    /// Prints a line; see format(). One that a console did not answer because it was restarted is printed again. Panics when the console refuses it, as
    /// nothing else is left to say so.
    template <class... Arguments>
    void print(Pattern<typename detail::Same<Arguments>::type...> pattern, const Arguments&... arguments) const
    {
        char field[max_line + 1];
        Writer writer {field, max_line};
        format(writer, pattern, arguments...);
        print_field(field, writer.text().size(), writer.truncated());
    }

private:
    void print_field(char* field, size_t size, bool truncated) const;

    interfaces::Console::Client<IpcTransport> console_;
};

} // namespace caprock
