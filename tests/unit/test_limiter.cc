// SPDX-License-Identifier: BSD-2-Clause
// When a component is started again: pauses that double, and no more restarts in a window than allowed.

#include "../../userland/servers/restarter/limiter.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <vector>

using restarter::Limiter;

TEST_CASE("the first restart in a window is at once, each further one after twice the pause")
{
    Limiter limiter {0, 1'000, 10};
    CHECK(limiter.ready_at(5) == 5);
    limiter.restarted(5);
    CHECK(limiter.ready_at(6) == 16);
    limiter.restarted(16);
    CHECK(limiter.ready_at(20) == 40);
    limiter.restarted(40);
    CHECK(limiter.ready_at(41) == 81);
    // A window later all is as at the beginning.
    CHECK(limiter.ready_at(1'040) == 1'040);
}

TEST_CASE("no pause is longer than the window")
{
    Limiter limiter {0, 1'000, 900};
    limiter.restarted(1);
    limiter.restarted(2);
    limiter.restarted(3);
    CHECK(limiter.ready_at(4) == 1'004);
}

TEST_CASE("without limits a restart is always at once")
{
    Limiter limiter {0, 1'000, 0};
    for (uint64_t now = 1; now < 100; ++now) {
        CHECK(limiter.ready_at(now) == now);
        limiter.restarted(now);
    }
    CHECK(limiter.count() == 99);
}

TEST_CASE("no window ever has more restarts than allowed")
{
    std::mt19937_64 random {1};
    for (uint64_t most = 1; most <= Limiter::capacity; ++most) {
        Limiter limiter {most, 1'000, most % 3 * 7};
        std::vector<uint64_t> times;
        uint64_t now = 1;
        for (unsigned i = 0; i < 200; ++i) {
            now += random() % 300;
            now = limiter.ready_at(now);
            limiter.restarted(now);
            times.push_back(now);
        }
        for (size_t i = most; i < times.size(); ++i)
            CHECK(times[i] - times[i - most] >= 1'000);
    }
}
