// SPDX-License-Identifier: BSD-2-Clause
// The program of test_many_signals.py. With `args { expected: N }` it waits until N kinds of signals have come and prints how many came and the sum of
// the numbers in their names; with `args { silent: N }` it signals all that it emits but those whose numbers are multiples of N.

#include <caprock/print.hpp>
#include <caprock/self.hpp>
#include <interfaces/system.hpp>

namespace {

using caprock::ComponentEntry;
using caprock::ComponentEntryKind;
using caprock::entry_name;
using caprock::self;

constexpr uint64_t most = 8192;
bool heard[most];

/// The number behind the letter of a name.
uint64_t number_of(caprock::Text name)
{
    uint64_t number = 0;
    for (size_t i = 1; i < name.size(); ++i)
        number = number * 10 + static_cast<uint64_t>(name[i] - '0');
    return number;
}

void listen(uint64_t expected)
{
    const caprock::Printer console;
    uint64_t count = 0, sum = 0, strangers = 0;
    while (count < expected) {
        const uint64_t signals = self().wait_for(~uint64_t {0});
        self().for_each_signal(signals, [&](caprock::Text name) {
            const uint64_t number = number_of(name);
            if (number >= most) {
                ++strangers;
            } else if (!heard[number]) {
                heard[number] = true;
                ++count;
                sum += number;
            }
        });
    }
    console.print("heard {} kinds of sum {}", count, sum);
    static_cast<void>(self().uses<interfaces::System>("system").exit(strangers == 0 && count == expected ? 0 : 1));
}

void speak(uint64_t silent)
{
    for (const ComponentEntry& entry : self().entries())
        if (entry.kind == static_cast<uint64_t>(ComponentEntryKind::Emits) && number_of(entry_name(entry)) % silent != 0)
            caprock::Signal {entry}();
}

} // namespace

int main()
{
    if (self().has_argument("expected"))
        listen(self().argument("expected"));
    else
        speak(self().argument("silent"));
    return 0;
}
