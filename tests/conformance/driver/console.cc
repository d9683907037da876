// SPDX-License-Identifier: BSD-2-Clause
#include "tests/conformance/driver/console.hpp"

#include "caprock/syscall.hpp"

namespace caprock::conformance {

constinit loader::Uart console;

void bail_out(const char* file, unsigned line, const char* what, uint64_t error) {
    console.write(loader::Text() << "Bail out! " << file << ":" << uint64_t{line} << ": " << what << " is error " << error << "\ncaprock: exit 1\n");
    for (;;) sys::yield();
}

}  // namespace caprock::conformance
