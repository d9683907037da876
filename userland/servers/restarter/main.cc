// SPDX-License-Identifier: BSD-2-Clause
// Restarter: makes components again what they were at boot, when they fault or do not show that they are alive. It calls nobody, so that nobody can
// hold it up; its clock is the period of its own budget. docs/restart.md describes it.
//
// Description: userland/interfaces/restart.cdl; the rest, for each component with `restart on ...`, is generated.

#include <caprock/clock.hpp>
#include <caprock/server.hpp>
#include <interfaces/restarts.hpp>

#include "limiter.hpp"
#include "restart.hpp"

/// Construction at a place that is there: what <new> declares, which not every freestanding compiler brings.
inline void* operator new(decltype(sizeof 0), void* place) noexcept
{
    return place;
}

namespace restarter {

using caprock::ComponentEntryKind;
using caprock::Fault;
using caprock::FaultAnswer;
using caprock::FaultCause;
using caprock::Text;
using caprock::self;

/// Number of the cause that a component did not show that it is alive; those below are caprock::FaultCause.
constexpr uint64_t hang_cause = 9;
static_assert(static_cast<uint64_t>(FaultCause::Unknown) < hang_cause);

/// Why a component stopped.
struct Reason {
    uint64_t cause = 0;
    uint64_t address = 0;
    uint64_t detail = 0;
    uint64_t time = 0;
};

/// One component over all its lives.
class Ward {
public:
    Ward(const Table& table, const RestartComponent& component)
        : component_ {component}, restart_ {table, component}, limiter_ {component.max_restarts, component.window, component.backoff}
    {
        if (component.heartbeat != 0)
            expect_sign(caprock::now_us());
    }

    Text name() const { return Text::from_field(component_.name, sizeof component_.name); }
    uint64_t count() const { return limiter_.count(); }
    const Reason& reason() const { return reason_; }
    bool has_badge(uint64_t badge) const { return component_.fault_badge == badge; }
    /// True when it needs the clock: it is about to be started, or has to show that it is alive.
    bool is_timed() const { return state_ == State::Waiting || (state_ == State::Running && component_.heartbeat != 0); }

    /// It faulted. One that has ended as it should stays as it is, unless others need it.
    void on_fault(const Fault& fault)
    {
        const bool ended = fault.cause == FaultCause::Ended && fault.detail == 0;
        stop({static_cast<uint64_t>(fault.cause), fault.ip, fault.detail, caprock::now_us()}, (ended ? component_.on_end : component_.on_fault) != 0);
    }

    /// It showed that it is alive.
    void on_sign() { is_alive_ = true; }

    /// Does what is due by now.
    void on_time(uint64_t now)
    {
        if (state_ == State::Running && component_.heartbeat != 0 && now >= due_) {
            if (!is_alive_)
                stop({hang_cause, restart_.address(), 0, now}, true);
            else
                expect_sign(now);
        }
        if (state_ == State::Waiting && now >= due_)
            start(now);
    }

private:
    enum class State { Running, Waiting, Down };

    void stop(const Reason& reason, bool again)
    {
        reason_ = reason;
        restart_.stop();
        state_ = again ? State::Waiting : State::Down;
        due_ = limiter_.ready_at(reason.time);
        if (again && due_ <= reason.time)
            start(reason.time);
    }

    void start(uint64_t now)
    {
        limiter_.restarted(now);
        restart_.start(limiter_.count());
        state_ = State::Running;
        is_alive_ = true;
        if (component_.heartbeat != 0)
            expect_sign(caprock::now_us());
    }

    /// Asks for a sign of life, which has to come within a heartbeat's time.
    void expect_sign(uint64_t now)
    {
        is_alive_ = false;
        due_ = now + component_.heartbeat;
        self().emits(name())();
    }

    const RestartComponent& component_;
    Restart restart_;
    Limiter limiter_;
    Reason reason_;
    State state_ = State::Running;
    uint64_t due_ = 0; // when it is started, or has to have shown that it is alive
    bool is_alive_ = false;
};

/// All of them.
class Wards {
public:
    explicit Wards(const Table& table) : table_ {table}
    {
        if (table.components().size() > capacity)
            caprock::panic("restarts more than {} components", capacity);
        for (const RestartComponent& component : table.components())
            new (storage_ + count_++ * sizeof(Ward)) Ward {table_, component};
    }

    Ward* begin() { return reinterpret_cast<Ward*>(storage_); }
    Ward* end() { return begin() + count_; }

    Ward* find(Text name)
    {
        for (Ward& ward : *this) {
            if (ward.name() == name)
                return &ward;
        }
        return nullptr;
    }

    bool are_timed()
    {
        for (Ward& ward : *this) {
            if (ward.is_timed())
                return true;
        }
        return false;
    }

private:
    static constexpr size_t capacity = 64;

    const Table& table_;
    alignas(Ward) uint8_t storage_[capacity * sizeof(Ward)];
    size_t count_ = 0;
};

class Restarts : public interfaces::Restarts::Service<Restarts> {
public:
    explicit Restarts(Wards& wards) : wards_ {wards} {}

    caprock::RpcResult<void> last(caprock::Caller, uint64_t index, caprock::Buffer<31>& component, uint64_t& count, uint64_t& cause, uint64_t& address,
                                  uint64_t& detail, uint64_t& time)
    {
        if (index >= static_cast<uint64_t>(wards_.end() - wards_.begin()))
            return caprock::RpcError::BadArgument;
        const Ward& ward = wards_.begin()[index];
        for (const char character : ward.name())
            component.append(static_cast<uint8_t>(character));
        count = ward.count();
        cause = ward.reason().cause;
        address = ward.reason().address;
        detail = ward.reason().detail;
        time = ward.reason().time;
        return {};
    }

private:
    Wards& wards_;
};

/// Gives the time of this period away: whatever comes before the next one waits for it. Debuggers find this function by its name.
[[gnu::noinline]] void wait_for_next_period() { caprock::sys::yield(); }

/// All signals that show that somebody is alive.
uint64_t signs()
{
    uint64_t mask = 0;
    for (const caprock::ComponentEntry& entry : self().entries()) {
        if (entry.kind == static_cast<uint64_t>(ComponentEntryKind::Consumes))
            mask |= entry.value;
    }
    return mask;
}

} // namespace restarter

int main()
{
    using namespace restarter;
    static const Table table {self().region("restarts").data()};
    static Wards wards {table};
    static Restarts restarts {wards};
    auto on_fault = [](const Fault& fault) {
        for (Ward& ward : wards) {
            if (fault.component != nullptr && ward.has_badge(fault.component->badge))
                ward.on_fault(fault);
        }
        return FaultAnswer::Leave;
    };
    auto on_sign = [](uint64_t signals) {
        self().for_each_signal(signals, [](Text name) {
            if (Ward* ward = wards.find(name); ward != nullptr)
                ward->on_sign();
        });
    };
    caprock::Server server;
    server.provide("restarts", restarts);
    server.on_fault(on_fault);
    if (signs() != 0)
        server.on_signal(signs(), on_sign);
    for (;;) {
        if (!wards.are_timed()) {
            server.serve(true);
        } else if (!server.serve(false)) {
            for (Ward& ward : wards)
                ward.on_time(caprock::now_us());
            wait_for_next_period();
        }
    }
}
