// SPDX-License-Identifier: BSD-2-Clause
// Repeats each line that is typed, until `quit` ends the system.

#include <caprock/alarm.hpp>
#include <caprock/print.hpp>
#include <interfaces/system.hpp>

namespace {

class Echo {
public:
    /// Takes one typed character; true after the line `quit`.
    bool take(char character)
    {
        if (character != '\n' && character != '\r') {
            // What exceeds the buffer is dropped, as terminals do.
            line_.append(static_cast<uint8_t>(character));
            return false;
        }
        const bool quit = line_.text() == "quit";
        console_.print("{}", line_.text());
        line_.resize(0);
        return quit;
    }

private:
    caprock::Printer console_;
    caprock::Buffer<80> line_;
};

void run()
{
    constexpr uint64_t poll_us = 5'000;
    const auto input = caprock::self().uses<interfaces::Console>("console");
    const caprock::Alarm alarm;
    Echo echo;
    for (;;) {
        caprock::Buffer<64> typed;
        if (!input.read(typed).ok())
            caprock::panic("the console refused to read");
        for (const char character : typed.text()) {
            if (echo.take(character))
                return;
        }
        if (typed.empty() && !alarm.sleep(poll_us).ok())
            caprock::panic("the timer refused the alarm");
    }
}

} // namespace

int main()
{
    caprock::Printer {}.print("type lines, `quit` ends");
    run();
    const auto ended = caprock::self().uses<interfaces::System>("system").exit(0);
    caprock::panic("the system did not end: error {}", static_cast<uint64_t>(ended.error()));
}
