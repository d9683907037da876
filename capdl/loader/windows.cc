// SPDX-License-Identifier: BSD-2-Clause
// The windows' addresses, and the frames of the image that stood there.
#include "capdl/loader/windows.hpp"

#include "capdl/loader/maintenance.hpp"

namespace caprock::loader {
namespace {

/// Last 2 MiB of the first gigabyte: link.ld keeps the image below.
constexpr uint64_t large_window = 0x3fe0'0000;

}  // namespace

// By the linker script, on pages of their own in an image without gaps.
extern "C" char image_start[];
extern "C" char stack_guard[];
extern "C" char console_page[];
extern "C" char fill_page[];

void prepare_windows(const Loader& loader) {
    const char* const pages[] = {stack_guard, console_page, fill_page};
    for (const char* page : pages) {
        const Cap<Frame> frame{image_slot(loader, reinterpret_cast<uint64_t>(page))};
        check(frame.unmap(), [page](Text& text) { text << "unmapping the page of the loader's image at " << Hex{reinterpret_cast<uint64_t>(page)}; });
    }
}

uint32_t image_slot(const Loader& loader, uint64_t address) {
    const uint64_t index = (address - reinterpret_cast<uint64_t>(image_start)) / page_bytes;
    return static_cast<uint32_t>(loader.boot.info->user_image_frames.start + index);
}

uint64_t console_window() { return reinterpret_cast<uint64_t>(console_page); }

uint64_t fill_window(unsigned size_bits) { return size_bits == 12 ? reinterpret_cast<uint64_t>(fill_page) : large_window; }

}  // namespace caprock::loader
