// SPDX-License-Identifier: BSD-2-Clause
// The table's rows on the client's side, and what fills them.
#pragma once

#include <caprock/bytes.hpp>

#include "samples.hpp"

namespace bench {

/// An operation's name in the table (platform/command/bench_rows.py), and its figure.
struct Row {
    caprock::Text name;
    Figure figure;
};

/// The rows that are measured already.
class Table {
public:
    void add(caprock::Text name, Figure figure) { rows_[count_++] = {name, figure}; }
    caprock::Span<const Row> rows() const { return {rows_, count_}; }

private:
    static constexpr size_t capacity = 64;
    Row rows_[capacity];
    size_t count_ = 0;
};

void measure_messages(Table& table);
void measure_signals(Table& table);
void measure_interrupts(Table& table);
void measure_simd(Table& table);

} // namespace bench
