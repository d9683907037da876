// SPDX-License-Identifier: BSD-2-Clause
// Reading ComponentInfo, the page by which the capdl tool tells a component its name and what it holds.
#pragma once

#include <caprock/bytes.hpp>
#include <caprock/component.hpp>
#include <caprock/panic.hpp>

namespace caprock {

using component::ComponentEntry;
using component::ComponentEntryKind;
using component::ComponentInfo;

inline Text entry_name(const ComponentEntry& entry) { return Text::from_field(entry.name, sizeof entry.name); }
inline Text entry_text(const ComponentEntry& entry) { return Text::from_field(entry.text, sizeof entry.text); }

/// What an entry of `kind` is called in messages, in the words of the description language.
constexpr Text kind_name(ComponentEntryKind kind)
{
    constexpr const char* names[] = {"entry", "uses", "provides", "emits", "consumes", "region", "device", "irq", "faults of", "client",
        "argument", "grant", "receive"};
    const auto index = static_cast<uint64_t>(kind);
    return index < sizeof names / sizeof names[0] ? names[index] : names[0];
}

/// The named things of a component. The page outlives this view.
class ComponentView {
public:
    explicit ComponentView(const ComponentInfo& info) : info_ {&info} {}

    Text name() const { return Text::from_field(info_->name, sizeof info_->name); }
    const ComponentInfo& info() const { return *info_; }
    Span<const ComponentEntry> entries() const
    {
        return {reinterpret_cast<const ComponentEntry*>(info_ + 1), static_cast<size_t>(info_->entry_count)};
    }

    /// The entry of `kind` called `name`, or null.
    const ComponentEntry* find(ComponentEntryKind kind, Text name) const
    {
        for (const ComponentEntry& entry : entries()) {
            if (entry.kind == static_cast<uint64_t>(kind) && entry_name(entry) == name)
                return &entry;
        }
        return nullptr;
    }

    /// The entry of `kind` whose badge is `badge`, or null.
    const ComponentEntry* find_badge(ComponentEntryKind kind, uint64_t badge) const
    {
        for (const ComponentEntry& entry : entries()) {
            if (entry.kind == static_cast<uint64_t>(kind) && entry.badge == badge)
                return &entry;
        }
        return nullptr;
    }

    /// The entry of `kind` called `name`; panics, naming both, when the description gives the component none.
    const ComponentEntry& get(ComponentEntryKind kind, Text name) const
    {
        const ComponentEntry* entry = find(kind, name);
        if (entry == nullptr)
            panic("the description lacks `{} {}`", kind_name(kind), name);
        return *entry;
    }

private:
    const ComponentInfo* info_;
};

} // namespace caprock
