// SPDX-License-Identifier: BSD-2-Clause
// Loaders that are wrong and find nothing wrong: each makes something else than the description has, in a way that their own comparison cannot see.
// Linked around the loader with --wrap; DEVIATION says which one.
#include "by_name.hpp"

namespace caprock::loader {
namespace {

// When each is done.
enum class Moment { BeforeObjects, BehindObjects, BehindComparison };

struct BeforeObjects {
    static constexpr Moment moment = Moment::BeforeObjects;
};
struct BehindObjects {
    static constexpr Moment moment = Moment::BehindObjects;
};
struct BehindComparison {
    static constexpr Moment moment = Moment::BehindComparison;
};

// The tables say something else: the loader makes, and compares with, what they say.

struct object_kind : BeforeObjects {
    static void act() { system.objects[find("idle")].type = abi::ObjectType::Endpoint; }
};
struct object_radix : BeforeObjects {
    static void act() { ++system.objects[find("spare")].size_bits; }
};
struct object_size : BeforeObjects {
    static void act() { ++system.objects[find("sc_asleep")].size_bits; }
};
struct object_address : BeforeObjects {
    static void act() { system.objects[find("apart")].paddr += 0x1000; }
};

// Something is there beside the system, or lacks a part that no capability tells of.

struct interrupt_extra : BehindObjects {
    static void act() {
        const Cap<IRQControl> control{init_slot(abi::InitSlot::IRQControl)};
        must(control.get(40, abi::IRQTrigger::Level, the_loader().take_slots(1), address_bits, root_cnode));
    }
};
struct thread_extra : BehindObjects {
    static void act() {
        const uint64_t slot = the_loader().take_slots(1);
        for (uint64_t i = 0; i < the_loader().boot.untyped_count(); ++i) {
            const Cap<Untyped> untyped{the_loader().boot.untyped_slot(i)};
            if (untyped.retype(abi::ObjectType::TCB, 0, 0, 0, slot, 1, root_cnode).ok()) return;
        }
        halt(Text() << "the test found no memory for a thread");
    }
};
struct turn_length : BehindComparison {
    static void act() { must(Cap<Domain>{init_slot(abi::InitSlot::Domain)}.schedule_configure(8, 0, 1000)); }
};
struct table_missing : BehindComparison {
    static void act() { must(cap<PageTable>("w3").unmap()); }
};
struct thread_register : BehindComparison {
    static void act() {
        abi::UserContext context{};
        context.x9_x15[0] = 1;
        must(cap<TCB>("loner").write_registers(0, sizeof context / sizeof(uint64_t), context));
    }
};
struct notification_active : BehindComparison {
    static void act() {
        sys::ShortMessage message{};
        sys::call(the_loader().slot_of(find("n")), message);
    }
};

void act(Moment moment) {
    if (DEVIATION::moment == moment) DEVIATION::act();
}

extern "C" {
void __real__ZN7caprock6loader14create_objectsERNS0_6LoaderE(Loader& loader);
void __real__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(const Loader& loader);

void __wrap__ZN7caprock6loader14create_objectsERNS0_6LoaderE(Loader& loader) {
    act(Moment::BeforeObjects);
    __real__ZN7caprock6loader14create_objectsERNS0_6LoaderE(loader);
    act(Moment::BehindObjects);
}

void __wrap__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(const Loader& loader) {
    __real__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(loader);
    act(Moment::BehindComparison);
}
}

}  // namespace
}  // namespace caprock::loader
