// SPDX-License-Identifier: BSD-2-Clause
// A component that follows a null pointer.

#include <caprock/self.hpp>

int main()
{
    // From the description, so that no compiler knows what it is.
    const auto pointer = reinterpret_cast<const volatile int*>(caprock::self().argument("address"));
    return *pointer;
}
