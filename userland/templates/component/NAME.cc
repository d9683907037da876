// SPDX-License-Identifier: BSD-2-Clause
// NAME: says hello as often as its description asks for, and ends the system.

#include <caprock/print.hpp>
#include <interfaces/system.hpp>

int main()
{
    const caprock::Printer console;
    for (uint64_t number = 1; number <= caprock::self().argument("count"); ++number)
        console.print("hello {}", number);
    const auto ended = caprock::self().uses<interfaces::System>("system").exit(0);
    caprock::panic("the system did not end: error {}", static_cast<uint64_t>(ended.error()));
}
