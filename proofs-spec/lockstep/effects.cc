// SPDX-License-Identifier: BSD-2-Clause
#include "effects.hpp"

#include "canonical.hpp"

#include <stdexcept>

namespace caprock::lockstep {

namespace {

constexpr Word cache_line = 64;

void add_lines(Ranges& ranges, Word start, Word size) { ranges.add(align_down(start, cache_line), align_up(start + size, cache_line)); }

std::string page_text(Word asid, Word address) { return "page " + hex(address) + " of ASID " + hex(asid); }
std::string space_text(Word asid) { return "ASID " + hex(asid); }
std::string send_text(Word irq, Word core) { return "interrupt " + hex(irq) + " to core " + hex(core); }

std::string joined(const std::vector<std::string>& all) {
    std::string text;
    for (const std::string& one : all) text += (text.empty() ? "" : ", ") + one;
    return text.empty() ? "nothing" : text;
}

// Whether `all` has the items of `some` in their order, and nothing else but pages.
bool has_in_order(const std::vector<std::string>& all, const std::vector<std::string>& some) {
    std::size_t found = 0;
    for (const std::string& one : all) {
        if (found < some.size() && some[found] == one) ++found;
        else if (one.starts_with("ASID")) return false;
    }
    return found == some.size();
}

}  // namespace

// -- Ranges

void Ranges::add(Word start, Word end) {
    if (start >= end) return;
    auto next = ranges_.upper_bound(start);
    if (next != ranges_.begin()) {
        auto before = std::prev(next);
        if (before->second >= start) {
            start = before->first;
            end = std::max(end, before->second);
            next = ranges_.erase(before);
        }
    }
    while (next != ranges_.end() && next->first <= end) {
        end = std::max(end, next->second);
        next = ranges_.erase(next);
    }
    ranges_[start] = end;
}

bool Ranges::overlaps(Word start, Word end) const {
    auto next = ranges_.upper_bound(start);
    if (next != ranges_.end() && next->first < end) return true;
    return next != ranges_.begin() && std::prev(next)->second > start;
}

bool Ranges::contains(const Ranges& other) const { return other.without(*this).empty(); }

Ranges Ranges::without(const Ranges& other) const {
    Ranges rest;
    for (auto [start, end] : ranges_) {
        Word at = start;
        for (auto [from, to] : other.ranges_) {
            if (to <= at || from >= end) continue;
            rest.add(at, from);
            at = std::max(at, to);
        }
        rest.add(at, end);
    }
    return rest;
}

Word Ranges::bytes() const {
    Word sum = 0;
    for (auto [start, end] : ranges_) sum += end - start;
    return sum;
}

std::string Ranges::text() const {
    std::string text;
    for (auto [start, end] : ranges_) text += (text.empty() ? "" : ", ") + hex(start) + " to " + hex(end);
    return text.empty() ? "nothing" : text;
}

// -- What both sides did

Effects effects_of(const std::vector<host::Effect>& record, Controller& controller) {
    using host::Effect;
    Effects effects;
    bool entry_cleared = false;
    auto line = [&](Word irq) -> InterruptLine& {
        if (irq >= host::hardware.interrupts) effects.disorder = "the controller is told of interrupt " + hex(irq) + ", which it does not have";
        return controller.line(irq);
    };
    for (const Effect& effect : record) {
        switch (effect.kind) {
            case Effect::Clear: effects.cleared.add(effect.a, effect.a + effect.b); break;
            case Effect::Clean: add_lines(effects.clean, effect.a, effect.b); break;
            case Effect::CleanInvalidate: add_lines(effects.flushed, effect.a, effect.b); break;
            case Effect::Unify: add_lines(effects.unified, effect.a, effect.b); break;
            case Effect::WriteEntry: entry_cleared |= effect.b == 0; break;
            case Effect::InvalidatePage:
                if (!entry_cleared) effects.disorder = "a page was invalidated before its entry was cleared";
                effects.tlb.push_back(page_text(effect.a, effect.b));
                break;
            case Effect::InvalidateAsid: effects.tlb.push_back(space_text(effect.a)); break;
            case Effect::Deactivate: line(effect.a).active = false; break;
            case Effect::Mask: line(effect.a).masked = true; break;
            case Effect::Unmask: line(effect.a).masked = false; break;
            case Effect::Configure: line(effect.a) = {.edge = effect.b != 0, .masked = true, .active = false}; break;
            case Effect::SendSgi: effects.sent.push_back(send_text(effect.a, effect.b)); break;
            case Effect::SetAddressSpace:
            case Effect::NoAddressSpace: break;
            case Effect::PriorityDrop: ++effects.dropped; break;
        }
    }
    return effects;
}

Effects effects_of(const std::vector<std::string>& said, Controller& controller) {
    Effects effects;
    for (const std::string& effect : said) {
        std::size_t open = effect.find('(');
        std::string_view name = std::string_view(effect).substr(0, open);
        std::vector<Word> arguments;
        if (open != std::string::npos) {
            for (std::string_view part : parts(std::string_view(effect).substr(open + 1, effect.size() - open - 2))) arguments.push_back(number(part));
        }
        arguments.resize(3);
        Word a = arguments[0];
        Word b = arguments[1];
        if (name == "WriteMemory") {
            effects.written[a] = b;
        } else if (name == "ClearMemory") {
            effects.cleared.add(a, a + b);
            if (arguments[2] != 0) effects.clean.add(a, a + b);
        } else if (name == "Clean") {
            add_lines(effects.clean, a, b);
        } else if (name == "Invalidate" || name == "CleanInvalidate") {
            // To invalidate without cleaning could uncover what was there before: both clean.
            add_lines(effects.flushed, a, b);
        } else if (name == "Unify") {
            add_lines(effects.unified, a, b);
        } else if (name == "InvalidatePage") {
            effects.tlb.push_back(page_text(a, b));
        } else if (name == "InvalidateSpace") {
            effects.tlb.push_back(space_text(a));
        } else if (name == "ConfigureInterrupt") {
            controller.line(a) = {.edge = b != 0, .masked = true, .active = false};
        } else if (name == "MaskInterrupt") {
            controller.line(a).masked = true;
        } else if (name == "UnmaskInterrupt") {
            controller.line(a).masked = false;
        } else if (name == "DeactivateInterrupt") {
            controller.line(a).active = false;
        } else if (name == "SendInterrupt") {
            effects.sent.push_back(send_text(a, b));
        } else if (name == "PrintCharacter") {
            effects.printed.push_back(static_cast<char>(a));
        } else {
            throw std::runtime_error("the specification has the effect " + effect + ", which the lockstep does not know (add it to effects.cc)");
        }
    }
    return effects;
}

std::string difference(const Effects& kernel, const Effects& specification) {
    std::string text = kernel.disorder.empty() ? "" : "  kernel: " + kernel.disorder + "\n";
    auto report = [&](const char* what, const std::string& ours, const std::string& theirs) {
        text += std::string("  kernel:        ") + what + " " + ours + "\n  specification: " + what + " " + theirs + "\n";
    };
    if (!kernel.ready.contains(specification.cleared)) report("has cleared", kernel.ready.text(), specification.cleared.text());
    if (!kernel.ready_clean.contains(specification.clean)) report("has cleaned", kernel.ready_clean.text(), specification.clean.text());
    // What is cleaned beyond what is asked for is memory that was cleared.
    if (!kernel.cleared.contains(kernel.clean.without(specification.clean))) report("cleans", kernel.clean.text(), specification.clean.text());
    if (kernel.flushed != specification.flushed) report("cleans and invalidates", kernel.flushed.text(), specification.flushed.text());
    if (kernel.unified != specification.unified) report("unifies", kernel.unified.text(), specification.unified.text());
    if (!has_in_order(kernel.tlb, specification.tlb)) report("invalidates", joined(kernel.tlb), joined(specification.tlb));
    if (kernel.sent != specification.sent) report("sends", joined(kernel.sent), joined(specification.sent));
    if (kernel.printed != specification.printed) report("prints", kernel.printed, specification.printed);
    return text;
}

}  // namespace caprock::lockstep
