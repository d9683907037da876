// SPDX-License-Identifier: BSD-2-Clause
// Calls a server in C, and prints what it says.
#include <caprock/print.hpp>
#include <interfaces/test.hpp>

using interfaces::Test;

int main()
{
    const caprock::Printer console;
    caprock::Self& self = caprock::self();
    const auto test = self.uses<Test>("test");
    caprock::Array<Test::Point, 2> ends {{{1, 2}, {-100, INT32_MIN}}};
    caprock::Buffer<24> greeting;
    caprock::Array<uint16_t, 3> many;
    const auto sum = test.move({10, 20}, ends, caprock::Text {"C++"}.bytes(), greeting, many);
    console.print("move {}: {} {} {} {}, {}", static_cast<uint64_t>(sum.error()), ends[0].x, ends[0].y, ends[1].x, static_cast<uint64_t>(many[2]),
                  greeting.text());
    // Twice as many as the server has slots for: what it does not keep is deleted.
    for (int i = 0; i < 2; ++i) {
        if (!test.ring(self.grant("bell")).ok())
            caprock::panic("the bell did not arrive");
        self.wait_for(self.consumes("bell"));
    }
    console.print("rang twice; without a bell {}", static_cast<uint64_t>(test.ring(0).error()));
    for (int i = 0; i < 2; ++i) {
        caprock::ReceivedCap bell;
        if (!test.bell(bell).ok())
            caprock::panic("no bell came");
        caprock::sys::signal(bell.slot());
    }
    console.print("rung {}, refused {}", test.rung().value(), static_cast<uint64_t>(test.refuse(7).error()));
    self.emits("next")();
    return 0;
}
