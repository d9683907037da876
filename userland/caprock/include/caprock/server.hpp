// SPDX-License-Identifier: BSD-2-Clause
// The loop of a component that serves: calls to what it provides, signals of its notification, faults of components in its care.
#pragma once

#include <caprock/fault.hpp>
#include <caprock/self.hpp>

namespace caprock {

/// What becomes of a faulted component.
enum class FaultAnswer {
    /// It goes on: the access is tried again; after a Timeout it goes on with its next budget.
    Resume,
    /// It stays stopped.
    Leave,
};

/// Dispatches what arrives to handlers, which are objects that outlive the server.
class Server {
public:
    static constexpr size_t max_provides = 16;
    static constexpr size_t max_signals = 16;

    explicit Server(Self& component = self()) : self_ {component} {}

    /// Calls to `provides NAME` go to `service`, a generated Service.
    template <class Service>
    void provide(Text name, Service& service)
    {
        provide(name, Service::interface_name, Service::interface_meaning, &service, [](void* object, Packet& packet) {
            static_cast<Service*>(object)->dispatch(packet, Caller {packet.badge});
        });
    }

    /// The same for an object of no generated class: `dispatch(object, packet)` answers. interface, meaning: of what it serves.
    void provide(Text name, Text interface, uint64_t meaning, void* object, void (*dispatch)(void*, Packet&))
    {
        check_interface(name, interface, meaning);
        add_service(self_.provides(name), {object, dispatch});
    }

    /// When one of the signals in `mask` has come, `handler(signals)` is called with those of them that have.
    template <class Handler>
    void on_signal(uint64_t mask, Handler& handler)
    {
        on_signal(mask, &handler, [](void* object, uint64_t signals) { (*static_cast<Handler*>(object))(signals); });
    }

    /// The same for an object of any kind: `deliver(object, signals)` handles them.
    void on_signal(uint64_t mask, void* object, void (*deliver)(void*, uint64_t)) { add_signal({mask, object, deliver}); }

    /// Faults go to `handler(const Fault&)`, which returns a FaultAnswer. Without one, faulted components stay stopped.
    template <class Handler>
    void on_fault(Handler& handler)
    {
        fault_handler_ = {&handler, [](void* object, const Fault& fault) { return (*static_cast<Handler*>(object))(fault); }};
    }

    /// Serves forever. Signals are delivered before the next message is received, so a flood of calls cannot starve them. A `passive`
    /// component has come here on time that was lent to it, which is taken back now: from here on it works on its callers' time.
    [[noreturn]] void run();

    /// One round of serving: answers what came last, and takes what comes next.
    /// @param wait  waits until something comes
    /// @return whether something came
    bool serve(bool wait);

private:
    struct ServiceEntry {
        void* object = nullptr;
        void (*dispatch)(void*, Packet&) = nullptr;
    };
    struct SignalEntry {
        uint64_t mask;
        void* object;
        void (*deliver)(void*, uint64_t);
    };
    struct FaultEntry {
        void* object = nullptr;
        FaultAnswer (*handle)(void*, const Fault&) = nullptr;
    };

    void check_interface(Text provide, Text interface, uint64_t meaning) const;
    void add_service(uint64_t index, ServiceEntry entry);
    void add_signal(SignalEntry entry);
    void deliver_signals();
    bool handle(Packet& packet);
    bool handle_fault(Packet& packet);
    bool is_current(Packet& packet) const;

    Self& self_;
    ServiceEntry services_[max_provides];
    SignalEntry signals_[max_signals];
    size_t signal_count_ = 0;
    FaultEntry fault_handler_;
    Packet packet_ {};
    bool answer_ = false; // `packet_` is a reply
};

} // namespace caprock
