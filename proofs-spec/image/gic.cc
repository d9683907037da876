// SPDX-License-Identifier: BSD-2-Clause
#include "gic.hpp"

#include <algorithm>

namespace caprock::image {

namespace {

constexpr uint64_t software_interrupts = 16;
constexpr uint64_t special_interrupts = 1020;
constexpr uint64_t number_mask = 0x3ff;
constexpr uint64_t distributor_bytes = 0x1000;
constexpr uint64_t sgi_frame = 0x10000;   // of a redistributor
enum Offset : uint64_t { TYPER = 4, ISENABLER = 0x100, ICENABLER = 0x180, ICFGR = 0xc00, ROUTES = 0xd00, IAR = 0xc, DIR = 0x1000 };

}  // namespace

std::optional<uint64_t> Gic::acknowledged(uint64_t value) const {
    uint64_t number = value & number_mask;
    return number < special_interrupts ? std::optional(number) : std::nullopt;
}

void Gic::write_distributor(uint64_t offset, uint64_t value, lockstep::Controller& controller) {
    auto each = [&](uint64_t first, auto&& action) {
        for (uint64_t bit = 0; bit < 32; ++bit) {
            uint64_t irq = first + bit;
            if ((value >> bit & 1) != 0 && irq >= software_interrupts && irq < special_interrupts) action(controller.line(irq));
        }
    };
    if (offset >= ISENABLER && offset < ICENABLER) {
        each((offset - ISENABLER) * 8, [](lockstep::InterruptLine& line) { line.masked = false; });
    } else if (offset >= ICENABLER && offset < ICENABLER + 0x80) {
        each((offset - ICENABLER) * 8, [](lockstep::InterruptLine& line) { line.masked = true; });
    } else if (offset >= ICFGR && offset < ROUTES) {
        uint64_t first = (offset - ICFGR) * 4;
        for (uint64_t i = 0; i < 16 && first + i < special_interrupts; ++i) controller.line(first + i).edge = (value >> (2 * i + 1) & 1) != 0;
    }
}

std::optional<uint64_t> Gic::take(const Record& record, lockstep::Controller& controller) {
    uint64_t address = record.x[0];
    uint64_t value = record.x[1];
    bool reads = record.event == Event::Read;
    auto deactivate = [&](uint64_t number) {
        if ((number & number_mask) < special_interrupts) controller.line(number & number_mask).active = false;
    };
    if (record.event == Event::Acknowledge) return acknowledged(record.x[0]);
    if (record.event == Event::Deactivate) {
        deactivate(record.x[0]);
    } else if (address - place_.distributor < distributor_bytes) {
        uint64_t offset = address - place_.distributor;
        if (reads && offset == TYPER) interrupts_ = std::min<uint64_t>(32 * (1 + (value & 31)), special_interrupts);
        if (!reads) write_distributor(offset, value, controller);
    } else if (place_.version3) {
        uint64_t offset = address - place_.cpu - sgi_frame;
        if (!reads && offset < distributor_bytes) write_distributor(offset, value, controller);
    } else {
        uint64_t offset = address - place_.cpu;
        if (reads && offset == IAR) return acknowledged(value);
        if (!reads && offset == DIR) deactivate(value);
    }
    return std::nullopt;
}

}  // namespace caprock::image
