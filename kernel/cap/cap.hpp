// SPDX-License-Identifier: BSD-2-Clause
// Capabilities: 16 bytes, and the layout of each type. This is the one file that knows bit numbers of capabilities.
#pragma once

#include "arch/seam.hpp"
#include "caprock/abi.hpp"
#include "core/bits.hpp"

namespace caprock {

using CapType = abi::CapType;
using CapRights = abi::CapRights;
using ObjectType = abi::ObjectType;

// Word 0 holds the type in its highest bits and, for capabilities to objects, the object's kernel address in its lowest 48.
struct Cap {
    Word w0 = 0;
    Word w1 = 0;

    using Type = Field<63, 59>;
    using Pointer = Field<47, 0>;

    constexpr CapType type() const { return static_cast<CapType>(Type::get(w0)); }
    constexpr bool is_null() const { return w0 == 0; }
    constexpr bool is(CapType t) const { return type() == t; }
    // Kernel addresses have 48 significant bits and are sign-extended.
    [[gnu::always_inline]] KernAddr object() const { return KernAddr(static_cast<Word>(static_cast<int64_t>(w0 << 16) >> 16)); }
    template <class T>
    [[gnu::always_inline]] T& as_object() const { return *arch::pointer<T>(object()); }
    // Of the same type, and of the same object (or both of none).
    bool names_as(const Cap& other) const { return ((w0 ^ other.w0) & (Type::mask | Pointer::mask)) == 0; }
    friend constexpr bool operator==(const Cap& a, const Cap& b) { return a.w0 == b.w0 && a.w1 == b.w1; }

protected:
    static constexpr Word head(CapType type, KernAddr object = KernAddr(0)) {
        return Type::make(static_cast<Word>(type)) | Pointer::make(object.raw);
    }
};
static_assert(sizeof(Cap) == 16);

// A typed view: the same two words under the names of one type. `as` asserts nothing; callers have looked at the type.
template <class View>
inline const View& as(const Cap& cap) { return static_cast<const View&>(cap); }
template <class View>
inline View& as(Cap& cap) { return static_cast<View&>(cap); }

struct UntypedCap : Cap {
    static constexpr CapType cap_type = CapType::Untyped;
    using SizeField = Field<53, 48>;
    using DeviceField = Field<54, 54>;
    // The watermark counts units of 16 bytes, of a device untyped 4 KiB. `cleared` counts pages above the watermark, rounded up to a page,
    // that are known to be zero: the progress of a retype that was preempted while clearing.
    using WatermarkField = Field<35, 0>;
    using ClearedField = Field<63, 36>;
    static_assert(disjoint<Type, Pointer, SizeField, DeviceField> && disjoint<WatermarkField, ClearedField>);

    static constexpr UntypedCap make(KernAddr object, SizeBits bits, bool device) {
        UntypedCap cap;
        cap.w0 = head(cap_type, object) | SizeField::make(bits.raw) | DeviceField::make(device);
        return cap;
    }
    SizeBits size_bits() const { return SizeBits(static_cast<unsigned>(SizeField::get(w0))); }
    bool is_device() const { return DeviceField::get(w0) != 0; }
    Word watermark() const { return WatermarkField::get(w1) << unit_bits(); }  // bytes
    Word cleared() const { return ClearedField::get(w1) << page_bits; }        // bytes
    void set_progress(Word watermark, Word cleared) {
        w1 = WatermarkField::make(watermark >> unit_bits()) | ClearedField::make(cleared >> page_bits);
    }

private:
    unsigned unit_bits() const { return is_device() ? page_bits : 4; }
};

// Endpoint and Notification: rights in word 0, the badge in word 1. A notification has no grant rights.
template <CapType T>
struct BadgedCap : Cap {
    static constexpr CapType cap_type = T;
    using RightsField = Field<51, 48>;
    static_assert(disjoint<Cap::Type, Cap::Pointer, RightsField>);

    static constexpr BadgedCap make(KernAddr object, CapRights rights, Badge badge = Badge(0)) {
        BadgedCap cap;
        cap.w0 = head(cap_type, object) | RightsField::make(rights.raw);
        cap.w1 = badge.raw;
        return cap;
    }
    CapRights rights() const { return CapRights{RightsField::get(w0)}; }
    bool can_send() const { return (w0 & bit<0>) != 0; }
    bool can_receive() const { return (w0 & bit<1>) != 0; }
    bool can_grant() const { return (w0 & bit<2>) != 0; }
    bool can_grant_reply() const { return (w0 & bit<3>) != 0; }
    Badge badge() const { return Badge(w1); }
    void set_badge(Badge badge) { w1 = badge.raw; }
    void mask_rights(CapRights mask) { w0 &= ~(RightsField::mask & ~RightsField::make(mask.raw)); }

private:
    template <unsigned N>
    static constexpr Word bit = Word{1} << (48 + N);
};
using EndpointCap = BadgedCap<CapType::Endpoint>;
using NotificationCap = BadgedCap<CapType::Notification>;

struct ReplyCap : Cap {
    static constexpr CapType cap_type = CapType::Reply;
    using GrantField = Field<48, 48>;
    static_assert(disjoint<Type, Pointer, GrantField>);

    static constexpr ReplyCap make(KernAddr object, bool can_grant) {
        ReplyCap cap;
        cap.w0 = head(cap_type, object) | GrantField::make(can_grant);
        return cap;
    }
    bool can_grant() const { return GrantField::get(w0) != 0; }
    void mask_rights(CapRights mask) { w0 = GrantField::set(w0, GrantField::get(w0) & mask.grant()); }
};

struct CNodeCap : Cap {
    static constexpr CapType cap_type = CapType::CNode;
    using GuardSizeField = Field<53, 48>;
    using RadixField = Field<58, 54>;
    static constexpr unsigned max_radix = 31;
    static_assert(disjoint<Type, Pointer, GuardSizeField, RadixField> && RadixField::get(RadixField::mask) == max_radix);

    static constexpr CNodeCap make(KernAddr object, unsigned radix, unsigned guard_size = 0, Word guard = 0) {
        CNodeCap cap;
        cap.w0 = head(cap_type, object) | GuardSizeField::make(guard_size) | RadixField::make(radix);
        cap.w1 = guard;
        return cap;
    }
    unsigned radix() const { return static_cast<unsigned>(RadixField::get(w0)); }
    unsigned guard_size() const { return static_cast<unsigned>(GuardSizeField::get(w0)); }
    Word guard() const { return w1; }
    void set_guard(unsigned size, Word guard) {
        w0 = GuardSizeField::set(w0, size);
        w1 = guard;
    }
};

// A capability that names an object and nothing else.
template <CapType T>
struct PlainCap : Cap {
    static constexpr CapType cap_type = T;
    static constexpr PlainCap make(KernAddr object = KernAddr(0)) {
        PlainCap cap;
        cap.w0 = head(cap_type, object);
        return cap;
    }
};
using TcbCap = PlainCap<CapType::TCB>;
using AsidControlCap = PlainCap<CapType::ASIDControl>;
using IrqControlCap = PlainCap<CapType::IRQControl>;
using DomainCap = PlainCap<CapType::Domain>;
using InspectCap = PlainCap<CapType::Inspect>;

struct SchedContextCap : Cap {
    static constexpr CapType cap_type = CapType::SchedContext;
    using SizeField = Field<53, 48>;
    static_assert(disjoint<Type, Pointer, SizeField>);

    static constexpr SchedContextCap make(KernAddr object, SizeBits bits) {
        SchedContextCap cap;
        cap.w0 = head(cap_type, object) | SizeField::make(bits.raw);
        return cap;
    }
    SizeBits size_bits() const { return SizeBits(static_cast<unsigned>(SizeField::get(w0))); }
};

// Capabilities whose word 1 is a number: SchedControl (core), IRQHandler (interrupt), ASIDPool (first ASID), VSpace (its ASID).
template <CapType T>
struct NumberedCap : Cap {
    static constexpr CapType cap_type = T;
    static constexpr NumberedCap make(KernAddr object, Word number) {
        NumberedCap cap;
        cap.w0 = head(cap_type, object);
        cap.w1 = number;
        return cap;
    }
    Word number() const { return w1; }
    Asid asid() const { return Asid(static_cast<uint16_t>(w1)); }   // of a VSpace
};
using SchedControlCap = NumberedCap<CapType::SchedControl>;
using IrqHandlerCap = NumberedCap<CapType::IRQHandler>;
using AsidPoolCap = NumberedCap<CapType::ASIDPool>;
using VSpaceCap = NumberedCap<CapType::VSpace>;

// Word 1: interrupt and core.
struct SgiSignalCap : Cap {
    static constexpr CapType cap_type = CapType::SGISignal;
    using IrqField = Field<31, 0>;
    using CoreField = Field<63, 32>;
    static_assert(disjoint<IrqField, CoreField>);

    static constexpr SgiSignalCap make(Irq irq, CoreId core) {
        SgiSignalCap cap;
        cap.w0 = head(cap_type);
        cap.w1 = IrqField::make(irq.raw) | CoreField::make(core.raw);
        return cap;
    }
    Irq irq() const { return Irq(static_cast<uint32_t>(IrqField::get(w1))); }
    CoreId core() const { return CoreId(static_cast<uint8_t>(CoreField::get(w1))); }
};

// Where a page table or a frame is mapped: ASID 0 says nowhere. The ASID may have passed to another VSpace since, or the address to
// another frame: whoever unmaps compares the entry that it finds with the capability's object.
struct MappedCap : Cap {
    using AsidField = Field<15, 0>;
    using PageField = Field<63, 28>;
    static_assert(disjoint<AsidField, PageField>);

    bool is_mapped() const { return AsidField::get(w1) != 0; }
    Asid asid() const { return Asid(static_cast<uint16_t>(AsidField::get(w1))); }
    UserVirtAddr address() const { return UserVirtAddr(PageField::get(w1) << page_bits); }
    void set_mapping(Asid asid, UserVirtAddr address) { w1 = AsidField::make(asid.raw) | PageField::make(address.raw >> page_bits); }
    void clear_mapping() { w1 = 0; }
};

struct PageTableCap : MappedCap {
    static constexpr CapType cap_type = CapType::PageTable;
    using LevelField = Field<49, 48>;
    static_assert(disjoint<Type, Pointer, LevelField>);

    static constexpr PageTableCap make(KernAddr object) {
        PageTableCap cap;
        cap.w0 = head(cap_type, object);
        return cap;
    }
    // Level of the mapped table, 1 to 3: the level of its entries.
    unsigned level() const { return static_cast<unsigned>(LevelField::get(w0)); }
    void set_level(unsigned level) { w0 = LevelField::set(w0, level); }
};

struct FrameCap : MappedCap {
    static constexpr CapType cap_type = CapType::Frame;
    using SizeField = Field<53, 48>;
    using DeviceField = Field<54, 54>;
    using RightsField = Field<56, 55>;  // write, read
    static_assert(disjoint<Type, Pointer, SizeField, DeviceField, RightsField>);

    static constexpr FrameCap make(KernAddr object, SizeBits bits, bool device) {
        FrameCap cap;
        cap.w0 = head(cap_type, object) | SizeField::make(bits.raw) | DeviceField::make(device) | RightsField::make(3);
        return cap;
    }
    static_assert(SizeField::mask == UntypedCap::SizeField::mask);
    SizeBits size_bits() const { return SizeBits(static_cast<unsigned>(SizeField::get(w0))); }
    bool is_device() const { return DeviceField::get(w0) != 0; }
    CapRights rights() const { return CapRights{RightsField::get(w0)}; }
    bool can_write() const { return (RightsField::get(w0) & 1) != 0; }
    bool can_read() const { return (RightsField::get(w0) & 2) != 0; }
    void mask_rights(CapRights mask) { w0 = RightsField::set(w0, RightsField::get(w0) & mask.raw & 3); }
    unsigned level() const { return 4 - size_bits().raw / 8; }   // of the entry that maps it: 12, 21 and 30 bits
};

// A container (CNode or TCB) whose last capability is being deleted. `slots` of its slots are still to be emptied, the highest first.
struct ZombieCap : Cap {
    static constexpr CapType cap_type = CapType::Zombie;
    using TcbField = Field<48, 48>;
    using RadixField = Field<58, 54>;
    static_assert(disjoint<Type, Pointer, TcbField, RadixField>);

    static constexpr ZombieCap make(KernAddr object, bool tcb, unsigned radix, Word slots) {
        ZombieCap cap;
        cap.w0 = head(cap_type, object) | TcbField::make(tcb) | RadixField::make(radix);
        cap.w1 = slots;
        return cap;
    }
    bool is_tcb() const { return TcbField::get(w0) != 0; }
    unsigned radix() const { return static_cast<unsigned>(RadixField::get(w0)); }
    Word slots() const { return w1; }
    void set_slots(Word slots) { w1 = slots; }
};

}  // namespace caprock
