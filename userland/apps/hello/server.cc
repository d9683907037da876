// SPDX-License-Identifier: BSD-2-Clause
// A component that answers calls.

#include <caprock/print.hpp>
#include <caprock/server.hpp>
#include <interfaces/greeter.hpp>

namespace {

class Greeter : public interfaces::Greeter::Service<Greeter> {
public:
    caprock::RpcResult<uint64_t> greet(caprock::Caller, uint64_t number)
    {
        ++given_;
        console_.print("greeting {} given", number);
        return given_;
    }

    caprock::RpcResult<void> words(caprock::Caller, const caprock::Buffer<24>& name, caprock::Buffer<48>& text)
    {
        if (name.empty())
            return caprock::RpcError::BadArgument;
        text.append(caprock::Text {"hello, "}.bytes());
        text.append(name.bytes());
        return {};
    }

private:
    caprock::Printer console_;
    uint64_t given_ = 0;
};

} // namespace

int main()
{
    Greeter greeter;
    caprock::Server server;
    server.provide("greeter", greeter);
    server.run();
}
