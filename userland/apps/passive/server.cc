// SPDX-License-Identifier: BSD-2-Clause
// A server that works on its callers' time: it is passive in systems/passive.cdl.

#include <caprock/server.hpp>
#include <interfaces/worker.hpp>

namespace {

class Worker : public interfaces::Worker::Service<Worker> {
public:
    caprock::RpcResult<uint64_t> sum(caprock::Caller, uint64_t rounds)
    {
        uint64_t total = 0;
        for (uint64_t number = 0; number < rounds; ++number) {
            // Opaque to the compiler, which would else know the sum without the work.
            __asm__ volatile("add %0, %0, %1" : "+r"(total) : "r"(number));
        }
        return total;
    }
};

} // namespace

int main()
{
    Worker worker;
    caprock::Server server;
    server.provide("worker", worker);
    server.run();
}
