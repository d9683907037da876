// SPDX-License-Identifier: BSD-2-Clause
// Messages and invocations of the greatest size whose capabilities all lie at the end of the longest way that a lookup goes.
#include "tests/worst_case/operations.hpp"
#include "tests/worst_case/thread.hpp"

namespace caprock::worst_case {

namespace {

// A CSpace of as many CNodes as an address can lead through, one in the other. All addresses lead to slots of the last.
class DeepSpace {
public:
    static constexpr unsigned leaf_radix = 10;
    /// Bits of an address that lead to the last CNode.
    static constexpr unsigned path_bits = address_bits - leaf_radix;

    DeepSpace();
    Cap<CNode> root() const { return root_; }
    Cap<CNode> leaf() const { return leaf_; }
    /// Copies a capability of the root CNode to the address `address`.
    void put(uint64_t address, CapRef cap) const { copy_to(leaf_, address, leaf_radix, cap); }
    void mint(uint64_t address, CapRef cap, uint64_t badge) const {
        must(leaf_.mint(address, leaf_radix, cap.address(), address_bits, all_rights, badge, root_cnode));
    }
    void empty(uint64_t address) const { must(leaf_.delete_cap(address, leaf_radix)); }

private:
    Cap<CNode> root_{};
    Cap<CNode> leaf_ = create<CNode>(leaf_radix);
};

DeepSpace::DeepSpace() {
    constexpr unsigned inner_levels = abi::cspace_levels - 1;
    constexpr uint64_t guard_size = path_bits / inner_levels - 1;
    constexpr uint64_t first_guard_size = guard_size + path_bits % inner_levels;
    Cap<CNode> below = leaf_;
    for (unsigned i = 0; i < inner_levels; ++i) {
        const Cap<CNode> node = create<CNode>(1);
        copy_to(node, 0, 1, below);
        below = worst_case::mint(node, abi::CNodeCapData::make(i + 1 == inner_levels ? first_guard_size : guard_size, 0).raw);
    }
    root_ = below;
}

// Addresses in every deep CSpace.
enum Address : uint64_t {
    go = 1,
    endpoint,
    reply,
    far_endpoint,
    far_reply,
    first_badge,
    second_badge,
    passed,
    own_root,
    own_leaf,
    thread,
    frame,
    vspace,
    untyped,
    second_thread,
    inspector,
    first_node,
    second_node,
    received,
    first_made = 512,
};

// A puppet with a deep CSpace and a buffer, ready to send the longest message with three capabilities and to receive one: two are unwrapped,
// the third is copied.
class DeepPuppet {
public:
    void start(const ThreadOptions& options, abi::IPCBuffer& buffer);
    /// Lets it wait for the next call of tell(), whatever it waited for.
    void restart();
    /// Takes away what it received, and names again what it sends.
    void make_room();
    /// The capabilities of its next message.
    void name_caps(uint64_t first, uint64_t second, uint64_t third);
    const DeepSpace& space() const { return space_; }
    Puppet& puppet() { return puppet_; }
    void perform(const Registers& registers) {
        puppet_.registers = registers;
        puppet_.tell();
    }

private:
    DeepSpace space_;
    Puppet puppet_{};
    abi::IPCBuffer* buffer_ = nullptr;
};

constexpr abi::MessageInfo longest_message = abi::MessageInfo::make(abi::ipc_message_words, abi::ipc_extra_caps, 0, 0);

struct alignas(page_bytes) Buffers {
    abi::IPCBuffer of[3];
};
constinit Buffers buffers{};

void DeepPuppet::start(const ThreadOptions& options, abi::IPCBuffer& buffer) {
    buffer_ = &buffer;
    const Cap<Notification> notification = create<Notification>();
    space_.put(go, notification);
    space_.put(own_root, space_.root());
    space_.put(passed, create<Endpoint>());
    ThreadOptions deep = options;
    deep.cspace = space_.root();
    deep.buffer = &buffer;
    puppet_.start(deep, notification, go);
    restart();
}

void DeepPuppet::restart() {
    puppet_.restart();
    make_room();
}

void DeepPuppet::make_room() {
    space_.empty(received);
    name_caps(first_badge, second_badge, passed);
    buffer_->receive_cnode = own_root;
    buffer_->receive_index = received;
    buffer_->receive_depth = address_bits;
}

void DeepPuppet::name_caps(uint64_t first, uint64_t second, uint64_t third) {
    buffer_->caps_or_badges[0] = first;
    buffer_->caps_or_badges[1] = second;
    buffer_->caps_or_badges[2] = third;
}

// -- Messages

// Two clients and a server that answers one and receives from the other in one system call.
class Conversation {
public:
    /// Passive: the first client and the server have no scheduling context of their own, but one that they hand on.
    explicit Conversation(bool passive = false);
    /// The server is about to receive.
    void prepare_call();
    /// The first client waits for the reply, the second one for the server.
    void prepare_reply_recv();
    /// The first client waits for a message to the far endpoint, the second one for the server.
    void prepare_send_recv();
    /// The same, passive: the server's message takes its scheduling context along.
    void prepare_donation();
    /// The second client gets an answer, and with it the scheduling context that it lent.
    void answer() { server.perform(send_to(CapRef{reply})); }
    /// The server performs a system call that ends with a receive; it receives all that the second client sends.
    void perform(abi::Syscall number, Address destination, abi::MessageInfo info, const uint64_t (&words)[6], uint64_t flags = 0);
    /// What the server makes objects of.
    void destroy_objects() const { must(server.space().leaf().revoke(untyped, DeepSpace::leaf_radix)); }

    DeepPuppet first;
    DeepPuppet second;
    DeepPuppet server;
    static constexpr Registers call = Registers::call(CapRef{endpoint}, longest_message, abi::Syscall::Call);

private:
    void prepare();
    void lend(DeepPuppet& puppet) const;
    static void receive(DeepPuppet& puppet, Address source, Address reply_object);

    Cap<SchedContext> context_ = make_round_robin();
};

Conversation::Conversation(bool passive) {
    first.start({.passive = passive}, buffers.of[0]);
    second.start({}, buffers.of[1]);
    server.start({.priority = eager_priority + 1, .vspace = system.other_vspace(), .passive = passive}, buffers.of[2]);
    const Cap<Endpoint> near = create<Endpoint>();
    const Cap<Endpoint> far = create<Endpoint>();
    server.space().put(reply, create<Reply>());
    first.space().put(far_reply, create<Reply>());
    server.space().put(untyped, create<Untyped>(12));
    DeepPuppet* const all[] = {&first, &second, &server};
    for (DeepPuppet* puppet : all) {
        puppet->space().put(endpoint, near);
        puppet->space().put(far_endpoint, far);
        // Capabilities of the endpoint that the message goes to.
        puppet->space().mint(first_badge, puppet == &server ? far : near, 1);
        puppet->space().mint(second_badge, puppet == &server ? far : near, 2);
    }
}

void Conversation::prepare() {
    first.restart();
    second.restart();
    server.restart();
}

void Conversation::receive(DeepPuppet& puppet, Address source, Address reply_object) {
    Registers receiving = Registers::call(CapRef{source}, empty_message, abi::Syscall::Recv);
    receiving.x[6] = reply_object;
    puppet.perform(receiving);
}

void Conversation::prepare_call() {
    prepare();
    receive(server, endpoint, reply);
}

void Conversation::prepare_reply_recv() {
    prepare_call();
    first.perform(call);
    server.make_room();
    second.perform(call);
}

void Conversation::prepare_send_recv() {
    prepare();
    receive(first, far_endpoint, far_reply);
    second.perform(call);
}

void Conversation::lend(DeepPuppet& puppet) const {
    must(context_.unbind());
    must(context_.bind(puppet.puppet().thread()));
    puppet.restart();
}

void Conversation::prepare_donation() {
    lend(first);
    receive(first, far_endpoint, far_reply);
    lend(server);
    second.restart();
    second.perform(call);
}

// The message that `receiver` got, all of it.
void check_received(DeepPuppet& receiver, uint64_t unwrapped, uint64_t caps) {
    const abi::MessageInfo expected = abi::MessageInfo::make(abi::ipc_message_words, caps, unwrapped, 0);
    must(receiver.puppet().result().raw == expected.raw, "the whole message and its capabilities arrive");
}

constexpr uint64_t first_two = 3;   // unwrapped, as they are of the endpoint itself

void Conversation::perform(abi::Syscall number, Address destination, abi::MessageInfo info, const uint64_t (&words)[6], uint64_t flags) {
    Registers registers = Registers::call(CapRef{endpoint}, info, number);
    registers.x[6] = reply;
    registers.x[7] |= flags;
    registers.x[8] = destination;
    for (unsigned i = 0; i < 6; ++i) registers.x[i < 4 ? 2 + i : 5 + i] = words[i];
    server.perform(registers);
    check_received(server, first_two, 3);
}

void measure_messages(Sweep& sweep) {
    Conversation conversation;
    sweep.each([&] { conversation.prepare_call(); },
               [&] {
                   conversation.first.perform(Conversation::call);
                   check_received(conversation.server, first_two, 3);
               });
    sweep.each([&] { conversation.prepare_reply_recv(); },
               [&] { conversation.perform(abi::Syscall::ReplyRecv, far_endpoint, longest_message, {}); });
    check_received(conversation.first, 0, 1);
    sweep.each([&] { conversation.prepare_send_recv(); },
               [&] { conversation.perform(abi::Syscall::NBSendRecv, far_endpoint, longest_message, {}); });
    check_received(conversation.first, first_two, 3);
}

void measure_donation(Sweep& sweep) {
    Conversation conversation(true);
    const uint64_t all_flags[] = {0, abi::syscall_flag_require_donation};
    for (const uint64_t flags : all_flags) {
        sweep.each([&] { conversation.prepare_donation(); },
                   [&] {
                       conversation.perform(abi::Syscall::NBSendRecv, far_endpoint, longest_message, {}, flags);
                       conversation.answer();
                   });
        check_received(conversation.first, first_two, 3);
    }
}

// A system call whose first half makes as many objects as one can, and whose second half receives.
void measure_invocation_and_message(Sweep& sweep) {
    Conversation conversation;
    const auto prepare = [&] {
        conversation.destroy_objects();
        conversation.prepare_send_recv();
        conversation.server.name_caps(own_root, own_root, own_root);
    };
    const abi::MessageInfo info = abi::MessageInfo::make(6, 3, 0, static_cast<uint64_t>(abi::Method::UntypedRetype));
    const uint64_t type = static_cast<uint64_t>(abi::ObjectType::Untyped);
    sweep.each(prepare, [&] {
        conversation.perform(abi::Syscall::NBSendRecv, untyped, info, {type, 4, 0, DeepSpace::path_bits, first_made, abi::retype_fan_out_limit});
    });
    const auto last = inspect.read_cnode(first_made + abi::retype_fan_out_limit - 1, conversation.server.space().leaf());
    must(last.value().kind == abi::CapType::Untyped, "the objects are there");
}

// -- Invocations

// A puppet that invokes what it finds at the end of long ways.
class Invoker {
public:
    Invoker() {
        puppet_.start({}, buffers.of[0]);
        puppet_.space().put(thread, target_);
        puppet_.space().put(frame, system.image_frame(&buffers));
        puppet_.space().put(vspace, root_vspace);
        puppet_.space().put(untyped, memory_);
        puppet_.space().put(endpoint, create<Endpoint>());
        puppet_.space().put(second_thread, create<TCB>());
        puppet_.space().put(inspector, inspect);
        puppet_.space().put(own_leaf, puppet_.space().leaf());
        puppet_.space().put(first_node, create<CNode>(1));
        puppet_.space().put(second_node, create<CNode>(1));
    }
    /// Invokes a method with words 0 to 10 and three capabilities.
    void invoke(Address invoked, abi::Method method, const uint64_t (&words)[11], const uint64_t (&caps)[3]);
    const DeepSpace& space() const { return puppet_.space(); }
    Puppet& puppet() { return puppet_.puppet(); }

private:
    DeepPuppet puppet_{};
    Cap<TCB> target_ = create<TCB>();
    Cap<Untyped> memory_ = create<Untyped>(12);
};

void Invoker::invoke(Address invoked, abi::Method method, const uint64_t (&words)[11], const uint64_t (&caps)[3]) {
    const abi::MessageInfo info = abi::MessageInfo::make(11, 3, 0, static_cast<uint64_t>(method));
    Registers registers = Registers::call(CapRef{invoked}, info, abi::Syscall::Call);
    for (unsigned i = 0; i < 11; ++i) registers.x[i < 4 ? 2 + i : 5 + i] = words[i];
    puppet_.name_caps(caps[0], caps[1], caps[2]);
    puppet_.perform(registers);
    const uint64_t error = puppet().result().label();
    if (error != 0) fail(Text() << "Bail out! an invocation failed: method " << static_cast<uint64_t>(method) << ", error " << error);
}

void measure_invocations(Sweep& sweep) {
    Invoker invoker;
    const uint64_t buffer = reinterpret_cast<uint64_t>(&buffers);
    sweep.each([&] { invoker.invoke(thread, abi::Method::TCBConfigure, {0, 0, buffer}, {own_root, vspace, frame}); });
    const auto remove_copy = [&] { invoker.space().empty(received); };
    sweep.each(remove_copy, [&] {
        invoker.invoke(own_root, abi::Method::CNodeMint, {received, address_bits, endpoint, address_bits, all_rights.raw, 7}, {own_root, own_root, own_root});
    });
    sweep.each([&] {
        invoker.invoke(own_root, abi::Method::CNodeRotate, {first_node, address_bits, 0, second_node, address_bits, 0, first_node, address_bits},
                       {own_root, own_root, own_root});
    });
    constexpr uint64_t copy_all = 3 << 2;
    sweep.each([&] { invoker.invoke(thread, abi::Method::TCBCopyRegisters, {copy_all}, {second_thread, second_thread, second_thread}); });
    sweep.each([&] { invoker.invoke(inspector, abi::Method::InspectReadCNode, {first_node}, {own_leaf, own_leaf, own_leaf}); });
    const auto destroy = [&] { must(invoker.space().leaf().revoke(untyped, DeepSpace::leaf_radix)); };
    const auto retype_into_leaf = [&] {
        const uint64_t type = static_cast<uint64_t>(abi::ObjectType::Untyped);
        invoker.invoke(untyped, abi::Method::UntypedRetype, {type, 4, 0, DeepSpace::path_bits, first_made, abi::retype_fan_out_limit},
                       {own_root, own_root, own_root});
    };
    sweep.each(destroy, retype_into_leaf);
}

}  // namespace

const Operation lookup_operations[] = {
    {"the longest messages through the deepest CSpaces", measure_messages},
    {"the longest messages, sent and received without a scheduling context", measure_donation},
    {"an invocation and the longest message in one system call", measure_invocation_and_message},
    {"invocations through the deepest CSpaces", measure_invocations},
    {nullptr, nullptr},
};

}  // namespace caprock::worst_case
