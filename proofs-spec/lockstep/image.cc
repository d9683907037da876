// SPDX-License-Identifier: BSD-2-Clause
#include "image.hpp"

#include <algorithm>
#include <cstring>

namespace caprock::lockstep {

using host::hardware;

Image::Image(std::vector<Region> regions) : regions_(std::move(regions)), hardware_(hardware) {
    for (const Region& region : regions_) bytes_.insert(bytes_.end(), region.start, region.start + region.bytes);
}

void Image::restore() const {
    std::size_t at = 0;
    for (const Region& region : regions_) {
        std::memcpy(region.start, bytes_.data() + at, region.bytes);
        at += region.bytes;
    }
    hardware = hardware_;
}

Image::Delta Image::difference() const {
    Delta delta;
    delta.hardware = hardware;
    std::size_t at = 0;
    for (const Region& region : regions_) {
        for (std::size_t i = 0; i < region.bytes; i += grain, at += grain) {
            if (std::memcmp(region.start + i, bytes_.data() + at, grain) == 0) continue;
            delta.grains.push_back(static_cast<uint32_t>(at / grain));
            delta.bytes.insert(delta.bytes.end(), region.start + i, region.start + i + grain);
        }
    }
    return delta;
}

void Image::apply(const Delta& delta) {
    for (std::size_t i = 0; i < delta.grains.size(); ++i) std::memcpy(bytes_.data() + delta.grains[i] * grain, delta.bytes.data() + i * grain, grain);
    hardware_ = delta.hardware;
}

std::vector<Region> changing_memory(const test::World& world, Word first, Word last) {
    auto* kernel = reinterpret_cast<std::byte*>(&world.kernel());
    // Only the first core runs.
    constexpr std::size_t other_cores = offsetof(Kernel, cores) + sizeof(Core);
    constexpr std::size_t rest = offsetof(Kernel, core_count);
    static_assert(other_cores % Image::grain == 0 && rest % Image::grain == 0 && sizeof(Kernel) % Image::grain == 0);
    std::vector<Region> regions{{kernel, other_cores}, {kernel + rest, sizeof(Kernel) - rest}};
    auto holds = [](const std::byte* page, std::byte value) { return std::all_of(page, page + page_size, [=](std::byte one) { return one == value; }); };
    for (Word page = host::ram_start; page < host::ram_start + host::ram_bytes; page += page_size) {
        auto* start = arch::pointer<std::byte>(arch::to_kernel(PhysAddr(page)));
        bool free = holds(start, std::byte{0xa5}) || holds(start, std::byte{0});
        if (free && (page < first || page >= last)) continue;
        if (regions.back().start + regions.back().bytes == start) {
            regions.back().bytes += page_size;
        } else {
            regions.push_back({start, page_size});
        }
    }
    return regions;
}

}  // namespace caprock::lockstep
