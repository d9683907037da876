// SPDX-License-Identifier: BSD-2-Clause
// Capabilities in messages: those to the endpoint itself arrive as their badges, one other arrives in the receiver's slot.
#pragma once

#include "object/endpoint.hpp"
#include "object/tcb.hpp"

namespace caprock {

struct ReceivedCaps {
    unsigned count = 0;
    Word unwrapped = 0;   // bit i: capability i came as its badge
};

// Hands over the capabilities that the sender's buffer names, until one does not resolve, may not be copied or finds no slot. The receive slot
// is resolved here, at delivery: a slot resolved earlier could have become another subject's memory meanwhile.
ReceivedCaps transfer_caps(const Tcb& sender, Tcb& receiver, const Endpoint* endpoint);

}  // namespace caprock
