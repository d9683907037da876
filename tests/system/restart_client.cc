// SPDX-License-Identifier: BSD-2-Clause
// The client of restart_fragile.cc: makes it fail in every way, and prints what it sees of that. `args { failures: n }`: how often it does so in a row
// at the end, with the time that each restart took.

#include <caprock/clock.hpp>
#include <caprock/print.hpp>
#include <interfaces/fragile.hpp>
#include <interfaces/restarts.hpp>
#include <interfaces/system.hpp>

namespace {

using caprock::self;
using Fragile = interfaces::Fragile::Client<caprock::IpcTransport>;

class Test {
public:
    void run() const
    {
        count();
        count();
        constexpr uint64_t ways[] = {0, 1, 3, 4, 5};
        for (const uint64_t how : ways)
            fail(how);
        // What may be done twice is made again without a word.
        if (fragile_.fail(0).error() == caprock::RpcError::PeerRestarted)
            console_.print("again {}", fragile_.again().value());
        take_signal();
        if (self().has_argument("hang"))
            hang();
        fail_in_a_row(self().argument("failures"));
        static_cast<void>(self().uses<interfaces::System>("system").exit(0));
    }

private:
    void count() const
    {
        const auto result = fragile_.count();
        console_.print("count {} error {}", result.value(), static_cast<uint64_t>(result.error()));
    }

    /// The call is lost, the next one is stale, and the server has forgotten everything.
    void fail(uint64_t how) const
    {
        console_.print("fail {} error {}", how, static_cast<uint64_t>(fragile_.fail(how).error()));
        count();
        count();
        print_reason();
    }

    void print_reason() const
    {
        caprock::Buffer<31> name;
        uint64_t count = 0, cause = 0, address = 0, detail = 0, time = 0;
        const auto result = self().uses<interfaces::Restarts>("restarts").last(0, name, count, cause, address, detail, time);
        const bool in_past = time != 0 && time <= caprock::now_us();
        const caprock::Text where = address != 0 ? "somewhere" : "nowhere";
        const caprock::Text when = in_past ? "before" : "never";
        console_.print("{} {} cause {} {} {} error {}", name.text(), count, cause, where, when, static_cast<uint64_t>(result.error()));
    }

    /// A capability that the server passes on works, until the server is restarted.
    void take_signal() const
    {
        caprock::ReceivedCap signal;
        auto given = fragile_.bell(signal);
        if (given.error() == caprock::RpcError::StaleIncarnation)
            given = fragile_.bell(signal);
        ring(signal);
        static_cast<void>(fragile_.fail(0));
        static_cast<void>(fragile_.again());
        ring(signal);
    }

    void ring(const caprock::ReceivedCap& signal) const
    {
        caprock::sys::ShortMessage message {};
        static_cast<void>(caprock::sys::nb_send(signal.slot(), message));
        caprock::sys::nb_wait(self().info().notification, message);
        console_.print("the bell {}", caprock::Text {message.badge != 0 ? "rings" : "is silent"});
    }

    void hang() const
    {
        const uint64_t start = caprock::now_us();
        const auto error = static_cast<uint64_t>(fragile_.fail(2).error());
        console_.print("hang error {} after {} us", error, caprock::now_us() - start);
        count();
        print_reason();
    }

    void fail_in_a_row(uint64_t failures) const
    {
        for (uint64_t i = 1; i <= failures; ++i) {
            const uint64_t start = caprock::now_us();
            static_cast<void>(fragile_.fail(0));
            const uint64_t lost = caprock::now_us();
            static_cast<void>(fragile_.again());
            console_.print("failure {}: {} us, {} us", i, lost - start, caprock::now_us() - start);
        }
    }

    const caprock::Printer console_;
    const Fragile fragile_ = self().uses<interfaces::Fragile>("fragile");
};

} // namespace

int main()
{
    Test {}.run();
    return 1;
}
