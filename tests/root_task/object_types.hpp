// SPDX-License-Identifier: BSD-2-Clause
// The type of object that a typed capability stands for.
#pragma once

#include "caprock/objects.hpp"

namespace caprock {

template <class T> inline constexpr abi::ObjectType object_type_of = T::no_such_object;
template <> inline constexpr abi::ObjectType object_type_of<Untyped> = abi::ObjectType::Untyped;
template <> inline constexpr abi::ObjectType object_type_of<TCB> = abi::ObjectType::TCB;
template <> inline constexpr abi::ObjectType object_type_of<Endpoint> = abi::ObjectType::Endpoint;
template <> inline constexpr abi::ObjectType object_type_of<Notification> = abi::ObjectType::Notification;
template <> inline constexpr abi::ObjectType object_type_of<CNode> = abi::ObjectType::CNode;
template <> inline constexpr abi::ObjectType object_type_of<SchedContext> = abi::ObjectType::SchedContext;
template <> inline constexpr abi::ObjectType object_type_of<Reply> = abi::ObjectType::Reply;
template <> inline constexpr abi::ObjectType object_type_of<VSpace> = abi::ObjectType::VSpace;
template <> inline constexpr abi::ObjectType object_type_of<Frame> = abi::ObjectType::SmallPage;
template <> inline constexpr abi::ObjectType object_type_of<PageTable> = abi::ObjectType::PageTable;

}  // namespace caprock
