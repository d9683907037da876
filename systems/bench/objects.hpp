// SPDX-License-Identifier: BSD-2-Clause
// Rows of objects that the client makes itself.
#pragma once

#include "rows.hpp"
#include "workshop.hpp"

namespace bench {

void measure_objects(Table& table, Workshop& shop);
void measure_threads(Table& table, Workshop& shop);
void measure_faults(Table& table, const Workshop& shop);

} // namespace bench
