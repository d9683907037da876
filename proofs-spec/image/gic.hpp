// SPDX-License-Identifier: BSD-2-Clause
// What the kernel tells the interrupt controller and hears from it, told from accesses to the controller's registers (GICv2: IHI 0048B, GICv3:
// IHI 0069).
#pragma once

#include "../lockstep/controller.hpp"
#include "message.hpp"

#include <optional>

namespace caprock::image {

/// Physical addresses of registers; of version 3 `cpu` is the first redistributor's.
struct GicPlace {
    uint64_t distributor = 0;
    uint64_t cpu = 0;
    bool version3 = false;
};

class Gic {
public:
    explicit Gic(const GicPlace& place) : place_(place) {}

    /// Applies an access to the controller as the kernel imagines it. The interrupt that is taken with it, if one is.
    std::optional<uint64_t> take(const Record& record, lockstep::Controller& controller);
    /// Numbers of interrupts that there are, once the kernel has asked.
    uint64_t interrupts() const { return interrupts_; }

private:
    std::optional<uint64_t> acknowledged(uint64_t value) const;
    void write_distributor(uint64_t offset, uint64_t value, lockstep::Controller& controller);

    GicPlace place_;
    uint64_t interrupts_ = 0;
};

}  // namespace caprock::image
