// SPDX-License-Identifier: BSD-2-Clause
// Cases of kernel/core: the containers against models, fields, results.
#include "host_seam.hpp"

#include "core/bits.hpp"
#include "core/heap.hpp"
#include "core/panic.hpp"
#include "core/prio_queue.hpp"
#include "core/result.hpp"
#include "core/ring.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

using namespace caprock;

namespace {

struct Element {
    HeapHook<Element> heap;
    Hook<Element> ring;
    WaitHook<Element> wait;
    Prio priority;
    unsigned key = 0;
};

struct Earlier {
    static bool before(const Element& a, const Element& b) { return a.key < b.key; }
};

using TestHeap = Heap<Element, &Element::heap, Earlier>;
using TestRing = Ring<Element, &Element::ring>;

std::vector<std::unique_ptr<Element>> make_elements(unsigned count) {
    std::vector<std::unique_ptr<Element>> elements;
    for (unsigned i = 0; i < count; ++i) elements.push_back(std::make_unique<Element>());
    return elements;
}

Word depth_on_the_right(const Element* element) {
    Word depth = 0;
    for (; element != nullptr; element = element->heap.right) ++depth;
    return depth;
}

bool is_heap(const Element* element, const Element* parent) {
    if (element == nullptr) return true;
    Word left = element->heap.left == nullptr ? 0 : element->heap.left->heap.rank;
    Word right = element->heap.right == nullptr ? 0 : element->heap.right->heap.rank;
    return element->heap.parent == parent && (parent == nullptr || parent->key <= element->key) && left >= right &&
           element->heap.rank == right + 1 && is_heap(element->heap.left, element) && is_heap(element->heap.right, element);
}

std::vector<Element*> in_order(const PrioQueue<Element>& queue) {
    std::vector<Element*> order;
    for (Element* leader = queue.head; leader != nullptr; leader = leader->wait.lower) {
        Element* element = leader;
        do {
            order.push_back(element);
            element = element->wait.ring.next;
        } while (element != nullptr && element != leader);
    }
    return order;
}

}  // namespace

TEST_CASE("a heap keeps its shape and gives its least, whatever is inserted and removed", "[core]") {
    std::mt19937 random(1);
    auto elements = make_elements(200);
    std::vector<Element*> inside;
    TestHeap heap;
    for (unsigned step = 0; step < 20'000; ++step) {
        Element& element = *elements[random() % elements.size()];
        if (element.heap.linked()) {
            heap.remove(element);
            std::erase(inside, &element);
            REQUIRE(!element.heap.linked());
        } else {
            element.key = static_cast<unsigned>(random() % 50);
            heap.insert(element);
            inside.push_back(&element);
        }
        REQUIRE(heap.empty() == inside.empty());
        REQUIRE(is_heap(heap.root, nullptr));
        if (inside.empty()) continue;
        auto least = std::min_element(inside.begin(), inside.end(), [](Element* a, Element* b) { return a->key < b->key; });
        REQUIRE(heap.least()->key == (*least)->key);
        // The right spine is logarithmic: at least 2^n - 1 elements for a spine of n.
        REQUIRE(inside.size() + 1 >= Word{1} << depth_on_the_right(heap.root));
    }
}

TEST_CASE("a heap in rising and falling order", "[core]") {
    for (bool rising : {true, false}) {
        auto elements = make_elements(1000);
        TestHeap heap;
        for (unsigned i = 0; i < 1000; ++i) {
            elements[i]->key = rising ? i : 1000 - i;
            heap.insert(*elements[i]);
        }
        unsigned last = 0;
        while (!heap.empty()) {
            REQUIRE(heap.least()->key >= last);
            last = heap.least()->key;
            heap.remove(*heap.least());
        }
    }
}

TEST_CASE("a queue by priority is first come first served among equals", "[core]") {
    std::mt19937 random(2);
    auto elements = make_elements(60);
    std::vector<Element*> model;
    PrioQueue<Element> queue;
    for (unsigned step = 0; step < 20'000; ++step) {
        Element& element = *elements[random() % elements.size()];
        if (std::find(model.begin(), model.end(), &element) != model.end()) {
            queue.remove(element);
            std::erase(model, &element);
            REQUIRE(element.wait.clear());
        } else {
            element.priority = Prio(static_cast<uint8_t>(random() % 5 * 60));
            queue.insert(element);
            auto behind = std::find_if(model.begin(), model.end(), [&](Element* other) { return other->priority < element.priority; });
            model.insert(behind, &element);
        }
        REQUIRE(in_order(queue) == model);
        REQUIRE(queue.empty() == model.empty());
    }
}

TEST_CASE("a ring is first in, first out, and can be entered in front", "[core]") {
    auto elements = make_elements(4);
    TestRing ring;
    CHECK(ring.empty());
    ring.push_back(*elements[0]);
    ring.push_back(*elements[1]);
    ring.push_front(*elements[2]);
    CHECK(ring.head == elements[2].get());
    CHECK(ring.head->ring.next == elements[0].get());
    ring.remove(*elements[2]);
    CHECK(ring.head == elements[0].get());
    CHECK(!elements[2]->ring.linked());
    ring.remove(*elements[1]);
    CHECK(elements[0]->ring.next == elements[0].get());
    ring.remove(*elements[0]);
    CHECK(ring.empty());
}

TEST_CASE("fields read back what was put in, and leave the rest", "[core]") {
    using Low = Field<3, 0>;
    using High = Field<63, 60>;
    using All = Field<63, 0>;
    CHECK(Low::get(Low::make(0xf5)) == 5);
    CHECK(High::get(High::make(9)) == 9);
    CHECK(High::make(9) == Word{9} << 60);
    CHECK(Low::set(~Word{0}, 2) == ((~Word{0} & ~Word{0xf}) | 2));
    CHECK(All::get(~Word{0}) == ~Word{0});
    CHECK(disjoint<Low, High>);
    CHECK(!disjoint<Low, All>);
}

TEST_CASE("a failure tells its details in the manual's order", "[core]") {
    Word words[Failure::most_words] = {};
    CHECK(Failure::illegal_operation().words(words) == 0);
    REQUIRE(Failure::range(3, 9).words(words) == 2);
    CHECK((words[0] == 3 && words[1] == 9));
    REQUIRE(Failure::invalid_argument(4).words(words) == 1);
    CHECK(words[0] == 4);
    REQUIRE(Failure::failed_lookup(LookupFault::of(abi::LookupFailure::GuardMismatch, 17, 0xabc, 12), true).words(words) == 5);
    CHECK((words[0] == 1 && words[1] == 4 && words[2] == 17 && words[3] == 0xabc && words[4] == 12));
}

TEST_CASE("a panic says why and halts; an assertion that holds does nothing", "[core]") {
    host::reset();
    assert_that(true, "nothing");
    CHECK_THROWS_AS(assert_that(false, "the invariant"), host::Halt);
    CHECK(host::hardware.console == "\ncaprock: halt: kernel: the invariant\n");
}
