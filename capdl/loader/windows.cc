// SPDX-License-Identifier: BSD-2-Clause
// The windows' addresses, and the frames of the image that stood there.
#include "capdl/loader/windows.hpp"

#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

constexpr uint64_t page_bytes = 4096;

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
        const uint64_t index = static_cast<uint64_t>(page - image_start) / page_bytes;
        const Cap<Frame> frame{loader.boot.info->user_image_frames.start + index};
        check(frame.unmap(), [&](Text& text) { text << "unmapping page " << index << " of the loader's image"; });
    }
}

uint64_t console_window() { return reinterpret_cast<uint64_t>(console_page); }

uint64_t fill_window(unsigned size_bits) { return size_bits == 12 ? reinterpret_cast<uint64_t>(fill_page) : large_window; }

}  // namespace caprock::loader
