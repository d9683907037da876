// SPDX-License-Identifier: BSD-2-Clause
#include "seeds.hpp"

#include "../lockstep/canonical.hpp"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <sys/mman.h>
#include <unordered_set>

namespace caprock::image {

namespace {

constexpr Word place_of_seeds = Word{1} << 42;   // physical address, of nothing on any board
constexpr Word most = Word{1} << 16;

bool is_thread(const Cap& cap) { return cap.is(CapType::TCB) || (cap.is(CapType::Zombie) && as<ZombieCap>(cap).is_tcb()); }
bool is_node(const Cap& cap) { return cap.is(CapType::CNode) || (cap.is(CapType::Zombie) && !as<ZombieCap>(cap).is_tcb()); }

struct Contents {
    const Slot* first;
    Word count;
};
Contents contents(const Cap& cap) {
    if (is_thread(cap)) return {cap.as_object<Tcb>().slots, tcb_slots};
    unsigned radix = cap.is(CapType::Zombie) ? as<ZombieCap>(cap).radix() : as<CNodeCap>(cap).radix();
    return {arch::pointer<Slot>(cap.object()), Word{1} << radix};
}

}  // namespace

Seeds::Seeds() {
    void* place = arch::pointer<void>(arch::to_kernel(PhysAddr(place_of_seeds)));
    void* made = mmap(place, most * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (made != place) throw std::runtime_error("the address of the seeds is taken");
    slots_ = static_cast<Slot*>(made);
}

Seeds::~Seeds() { munmap(slots_, most * sizeof(Slot)); }

void Seeds::begin(const Cap& cap) {
    containers_ = {cap};
    place();
}

void Seeds::keep(const lockstep::Inventory& inventory) {
    containers_.clear();
    for (const Cap* cap : inventory.objects()) {
        if (is_thread(*cap) || is_node(*cap)) containers_.push_back(*cap);
    }
}

void Seeds::drop_dead() {
    std::unordered_set<Word> named;
    for (const Cap& container : containers_) {
        auto [first, count] = contents(container);
        for (const Slot& slot : std::span(first, count)) {
            if (is_thread(slot.cap) || is_node(slot.cap)) named.insert(slot.cap.object().raw);
        }
    }
    std::erase_if(containers_, [&](const Cap& container) { return !named.contains(container.object().raw); });
    place();
}

void Seeds::place() {
    if (containers_.size() > most) throw std::runtime_error("more containers than there is room for (raise `most` in seeds.cc)");
    for (Word i = 0; i < containers_.size(); ++i) {
        slots_[i].clear();
        slots_[i].cap = containers_[i];
    }
}

void Seeds::remove_from(std::string& text) const {
    std::size_t start = text.find("\nslot " + lockstep::hex(place_of_seeds) + " ");
    std::size_t end = start;
    for (Word i = 0; i < count() && end != std::string::npos; ++i) end = text.find('\n', end + 1);
    if (end == std::string::npos) throw std::logic_error("the seeds are not in the text of the state");
    text.erase(start, end - start);
}

}  // namespace caprock::image
