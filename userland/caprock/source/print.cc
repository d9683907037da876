// SPDX-License-Identifier: BSD-2-Clause
// Ends a formatted line and hands it to the console.

#include <caprock/print.hpp>

namespace caprock {

void Printer::print_field(char* field, size_t size, bool truncated) const
{
    if (truncated) {
        for (size_t i = size - 3; i < size; ++i)
            field[i] = '.';
    }
    field[size] = '\n';
    // A line says the same when it comes twice.
    auto written = console_.write(Text {field, size + 1}.bytes());
    for (unsigned attempt = 1; attempt < idempotent_attempts && was_restarted(written.error()); ++attempt)
        written = console_.write(Text {field, size + 1}.bytes());
    if (!written.ok())
        panic("the console refused a line: error {}", static_cast<uint64_t>(written.error()));
}

} // namespace caprock
