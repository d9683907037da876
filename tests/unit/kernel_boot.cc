// SPDX-License-Identifier: BSD-2-Clause
// Cases of kernel/boot: what becomes of physical memory, and what the root task gets.
#include "world.hpp"

#include "boot/memory.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace caprock;
using namespace caprock::test;

TEST_CASE("the world boots") {
    World world;
    CHECK(world.current() == world.root().object);
}
