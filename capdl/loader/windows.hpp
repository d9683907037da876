// SPDX-License-Identifier: BSD-2-Clause
// Places in the loader's address space where it maps frames of others for a while. Small frames take the place of a page of the
// loader's image, for which a page table is there already; large ones have a place of their own in the same gigabyte.
#pragma once

#include "capdl/loader/loader.hpp"

namespace caprock::loader {

/// Frees the places: must come before any use. Also unmaps the page below the stack, so that an overflow faults.
void prepare_windows(const Loader& loader);

/// Slot of the frame of a page of the loader's image.
uint32_t image_slot(const Loader& loader, uint64_t address);

/// Address at which a small frame of the console can be mapped.
uint64_t console_window();
/// Address at which a frame of 2^size_bits bytes (12 or 21) can be mapped to be filled.
uint64_t fill_window(unsigned size_bits);

}  // namespace caprock::loader
