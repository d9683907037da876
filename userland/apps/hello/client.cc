// SPDX-License-Identifier: BSD-2-Clause
// A component that calls another one, `count` times, and ends with success when all answers were right.

#include <caprock/print.hpp>
#include <interfaces/greeter.hpp>

int main()
{
    const caprock::Printer console;
    const auto greeter = caprock::self().uses<interfaces::Greeter>("greeter");
    const uint64_t count = caprock::self().argument("count");
    for (uint64_t number = 1; number <= count; ++number) {
        const auto given = greeter.greet(number);
        if (!given.ok() || given.value() != number) {
            console.print("greeting {} failed: error {}, count {}", number, static_cast<uint64_t>(given.error()), given.value());
            return 1;
        }
        console.print("greeting {} arrived", number);
    }
    caprock::Buffer<48> words;
    const auto worded = greeter.words(caprock::self().name().bytes(), words);
    if (!worded.ok()) {
        console.print("no words: error {}", static_cast<uint64_t>(worded.error()));
        return 1;
    }
    console.print("the server says: {}", words.text());
    return 0;
}
