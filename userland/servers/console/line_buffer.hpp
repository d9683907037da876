// SPDX-License-Identifier: BSD-2-Clause
// Makes whole lines of the text of one client, with its name before each, so that no client can pass for another.
#pragma once

#include <caprock/format.hpp>

namespace console {

/// Longest text of a line, in bytes.
inline constexpr size_t max_line = 255;
/// Longest line as it is printed: `[name] text` and the newline.
inline constexpr size_t max_printed = 1 + 32 + 2 + max_line + 1;

/// The unfinished line of one client.
class LineBuffer {
public:
    /// Takes `text` apart into lines; `print(Text)` is called with each finished one as it is to be printed.
    template <class Print>
    void add(caprock::Text client, caprock::Text text, Print print)
    {
        for (const char character : text) {
            if (character != '\n')
                line_.append(static_cast<uint8_t>(printable(character) ? character : '?'));
            if (character == '\n' || line_.size() == max_line)
                finish(client, print);
        }
    }

    /// Ends the line, unless it is empty.
    template <class Print>
    void flush(caprock::Text client, Print print)
    {
        if (!line_.empty())
            finish(client, print);
    }

private:
    static constexpr bool printable(char character) { return (character >= ' ' && character <= '~') || character == '\t'; }

    template <class Print>
    void finish(caprock::Text client, Print print)
    {
        char field[max_printed];
        caprock::Writer writer {field, sizeof field};
        caprock::format(writer, "[{}] {}\n", client, line_.text());
        line_.resize(0);
        print(writer.text());
    }

    caprock::Buffer<max_line> line_;
};

} // namespace console
