// SPDX-License-Identifier: BSD-2-Clause
// Serves Test in C++.
#include <caprock/server.hpp>
#include <interfaces/test.hpp>

using interfaces::Test;

class Service : public Test::Service<Service> {
public:
    caprock::RpcResult<int32_t> move(caprock::Caller caller, const Test::Point& by, caprock::Array<Test::Point, 2>& ends, const caprock::Buffer<16>& name,
        caprock::Buffer<24>& greeting, caprock::Array<uint16_t, 3>& many)
    {
        if (caller.badge >> 48 != 1)
            return caprock::RpcError::Refused;
        int32_t sum = 0;
        for (Test::Point& end : ends) {
            end.x += by.x;
            end.y += by.y;
            sum += end.x + end.y;
        }
        greeting.append(caprock::Text {"hello, "}.bytes());
        greeting.append(name.bytes());
        for (size_t i = 0; i < many.size(); ++i)
            many[i] = static_cast<uint16_t>(65535 - i);
        return sum;
    }
    caprock::RpcResult<void> ring(caprock::Caller, caprock::ReceivedCap& bell)
    {
        caprock::sys::signal(bell.slot());
        return {};
    }
    caprock::RpcResult<void> bell(caprock::Caller, uint64_t& bell)
    {
        bell = caprock::self().grant("bell");
        return {};
    }
    caprock::RpcResult<uint64_t> rung(caprock::Caller) { return signals; }
    caprock::RpcResult<void> refuse(caprock::Caller, uint8_t why) { return static_cast<caprock::RpcError>(1024 + why); }

    uint64_t signals = 0;
};

int main()
{
    Service service;
    auto count = [&](uint64_t) { ++service.signals; };
    caprock::Server server;
    server.provide("test", service);
    server.on_signal(caprock::self().consumes("tick"), count);
    server.run();
}
