# SPDX-License-Identifier: BSD-2-Clause
"""The executable specification against the words of the reference manual: for each kind of object a few traces by hand, with what the manual
says of them as the expectation; and random traces, after each event of which every invariant holds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build  # noqa: E402
import generate  # noqa: E402
from random_traces import RandomSystem  # noqa: E402
from traces import BOOT, BUFFER, CONSTANTS, METHODS, SLOT_BYTES, Oracle, Session, enum, init_slot, message_info, parse_state  # noqa: E402

FOLDER = Path(__file__).resolve().parent
CNODE, ROOT_TCB, VSPACE = init_slot("CNode"), init_slot("TCB"), init_slot("VSpace")
SCHED_CONTROL = init_slot("FirstDynamic")
UNTYPED = SCHED_CONTROL + BOOT["cores"]
DEVICE = UNTYPED + 1
ALL, GRANT = 15, 4
TICKS = 62.5


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The oracle, built if it has to be."""
    out = Path(os.environ["CAPROCK_BUILD"]) / "proofs-spec" if "CAPROCK_BUILD" in os.environ else tmp_path_factory.mktemp("specification")
    try:
        build.check_tools()
    except build.BuildError as error:
        pytest.skip(str(error))
    return build.build(out)


class World(Session):
    """A session of the root task with names for what it makes."""

    def __init__(self, program):
        super().__init__(Oracle(program))
        self.next = 100
        self.addresses = {}

    def make(self, kind, size_bits=0, count=1, untyped=UNTYPED):
        """New objects in slots of the root CNode: the first slot."""
        slot, self.next = self.next, self.next + count
        outcome = self.invoke("Untyped.Retype", untyped, enum("ObjectType", kind), size_bits, 0, 0, slot, count, caps=[CNODE])
        assert outcome.result == "Succeeds", outcome
        return slot

    def free(self):
        self.next += 1
        return self.next - 1

    def capability(self, slot):
        """The capability in a slot of the root CNode as text, and its parts."""
        entry = self.oracle.state().slots.get(BOOT["cnode"] + SLOT_BYTES * slot)
        if entry is None:
            return None, []
        name, _, parts = entry["capability"].rstrip(")").partition("(")
        return name, [None if part == "-" else int(part, 16) for part in parts.split(",")] if parts else []

    def object_of(self, slot):
        """The object that a capability names: its address."""
        return self.capability(slot)[1][0]

    def field(self, slot, name):
        """A field of the object that a capability names."""
        return self.oracle.state().objects[self.object_of(slot)][name]

    def parent(self, slot):
        """The slot of the root CNode that holds the parent of a capability."""
        parent = self.oracle.state().slots[BOOT["cnode"] + SLOT_BYTES * slot]["parent"]
        return None if parent is None else (parent - BOOT["cnode"]) // SLOT_BYTES

    def mint(self, source, badge, rights=ALL):
        slot = self.free()
        assert self.invoke("CNode.Mint", CNODE, slot, 64, source, 64, rights, badge, caps=[CNODE]).result == "Succeeds"
        return slot

    def copy(self, source, rights=ALL):
        slot = self.free()
        assert self.invoke("CNode.Copy", CNODE, slot, 64, source, 64, rights, caps=[CNODE]).result == "Succeeds"
        return slot

    def delete(self, slot, **options):
        return self.invoke("CNode.Delete", CNODE, slot, 64, **options)

    def context(self, budget=1000, period=10000, extra=0, flags=0):
        slot = self.make("SchedContext", 8)
        assert self.invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, budget, period, extra, 0, flags, caps=[slot]).result == "Succeeds"
        return slot

    def thread(self, priority=254, context=True, fault_endpoint=0, resume=False, buffer=False):
        """A thread in the root task's spaces: the slots of its TCB and of its scheduling context, which is 0 if it has none."""
        tcb = self.make("TCB")
        frame, address = (self.make("SmallPage"), 0x20000000) if buffer else (0, 0)
        assert self.invoke("TCB.Configure", tcb, 0, 0, address, caps=[CNODE, VSPACE, frame]).result == "Succeeds"
        if buffer:
            self.buffers[self.object_of(tcb)] = self.object_of(frame)
        context = self.context() if context else 0
        caps = [ROOT_TCB, context, fault_endpoint]
        assert self.invoke("TCB.SetSchedParams", tcb, 255, priority, caps=caps).result == "Succeeds"
        if resume:
            assert self.invoke("TCB.Resume", tcb).result == "Succeeds"
        return tcb, context

    def yield_to_others(self):
        """The root task waits, so that threads of lower priority run, until wake_root."""
        if not hasattr(self, "rest"):
            self.rest, self.handler = self.make("Notification"), self.free()
            self.invoke("IRQControl.Get", init_slot("IRQControl"), 2, 0, self.handler, 64, caps=[CNODE])
            self.invoke("IRQHandler.SetNotification", self.handler, caps=[self.mint(self.rest, 1)])
        return self.system_call("Wait", {"x0": self.rest})

    def wake_root(self):
        """An interrupt ends the root task's wait."""
        self.running = self.oracle.event("irq", 2).current
        assert self.running == BOOT["thread"]

    def lookup_failure(self):
        """The details that FailedLookup gave."""
        source, why, *details = self.results()
        return source, why, details


@pytest.fixture
def world(program):
    result = World(program)
    yield result
    result.oracle.close()


# ---- Untyped -----------------------------------------------------------------------------------------------------------------------
def test_retype_lays_objects_side_by_side_and_makes_them_children(world):
    slot = world.make("Endpoint", count=3)
    addresses = [world.object_of(slot + number) for number in range(3)]
    assert addresses == [0x41000000, 0x41000010, 0x41000020]
    assert [world.parent(slot + number) for number in range(3)] == [UNTYPED] * 3
    assert world.capability(slot)[1][1:] == [0, ALL]
    assert world.capability(UNTYPED)[1] == [0x41000000, 24, 0, 0x30]


def test_retype_aligns_objects_to_their_size(world):
    world.make("Endpoint")
    assert world.object_of(world.make("SmallPage")) == 0x41001000


def test_an_untyped_without_children_starts_at_its_beginning_again(world):
    first = world.make("Endpoint")
    assert world.delete(first).result == "Succeeds"
    assert world.object_of(world.make("Notification")) == 0x41000000


@pytest.mark.parametrize("words, error, results", [
    ((99, 0, 0, 0, 100, 1), "InvalidArgument", [0]),
    ((enum("ObjectType", "Untyped"), 3, 0, 0, 100, 1), "RangeError", [4, 47]),
    ((enum("ObjectType", "CNode"), 0, 0, 0, 100, 1), "RangeError", [1, 31]),
    ((enum("ObjectType", "SchedContext"), 6, 0, 0, 100, 1), "RangeError", [7, 20]),
    ((enum("ObjectType", "TCB"), 0, 0, 65, 100, 1), "RangeError", [1, 64]),
    ((enum("ObjectType", "TCB"), 0, 300, 64, 100, 1), "FailedLookup", [0, 2, 0, 0, 0]),
    ((enum("ObjectType", "TCB"), 0, 0, 0, 4096, 1), "RangeError", [0, 4095]),
    ((enum("ObjectType", "TCB"), 0, 0, 0, 100, 0), "RangeError", [1, 256]),
    ((enum("ObjectType", "TCB"), 0, 0, 0, 4095, 2), "RangeError", [1, 1]),
    ((enum("ObjectType", "TCB"), 0, 0, 0, 1, 1), "DeleteFirst", []),
    ((enum("ObjectType", "HugePage"), 0, 0, 0, 100, 1), "NotEnoughMemory", [1 << 24]),
])
def test_retype_checks_in_order(world, words, error, results):
    outcome = world.invoke("Untyped.Retype", UNTYPED, *words, caps=[CNODE])
    assert outcome.result == f"Fails({error})"
    assert world.results() == results
    assert outcome.effects == []


def test_a_device_untyped_makes_only_untypeds_and_frames_and_clears_nothing(world):
    assert world.invoke("Untyped.Retype", DEVICE, enum("ObjectType", "TCB"), 0, 0, 0, 100, 1, caps=[CNODE]).result == "Fails(InvalidArgument)"
    assert world.invoke("Untyped.Retype", DEVICE, enum("ObjectType", "Untyped"), 11, 0, 0, 100, 1, caps=[CNODE]).result == "Fails(RangeError)"
    assert world.results() == [12, 47]
    assert world.invoke("Untyped.Retype", DEVICE, enum("ObjectType", "SmallPage"), 0, 0, 0, 100, 1, caps=[CNODE]).effects == []


def test_frames_of_memory_are_clean_to_the_point_of_coherency(world):
    outcome = world.invoke("Untyped.Retype", UNTYPED, enum("ObjectType", "SmallPage"), 0, 0, 0, 100, 1, caps=[CNODE])
    assert outcome.effects == ["ClearMemory(0x41000000,0x1000,1)"]


def test_a_preempted_retype_names_what_is_left_in_the_message(world):
    words = (enum("ObjectType", "Endpoint"), 0, 0, 0, 100, 3)
    outcome = world.invoke("Untyped.Retype", UNTYPED, *words, caps=[CNODE], preempt_after=1)
    assert outcome.result == "IsPreempted"
    registers = world.oracle.state().registers(BOOT["thread"])
    assert (registers["x9"], registers["x10"]) == (101, 2)
    assert world.invoke("Untyped.Retype", UNTYPED, *words[:4], 101, 2, caps=[CNODE]).result == "Succeeds"
    assert [world.object_of(slot) for slot in (100, 101, 102)] == [0x41000000, 0x41000010, 0x41000020]


def test_an_untyped_with_children_is_not_copied(world):
    world.make("Endpoint")
    assert world.invoke("CNode.Copy", CNODE, 300, 64, UNTYPED, 64, ALL, caps=[CNODE]).result == "Fails(RevokeFirst)"


# ---- CNode -------------------------------------------------------------------------------------------------------------------------
def test_mint_gives_rights_badge_and_parent(world):
    endpoint = world.make("Endpoint")
    badged = world.mint(endpoint, 77, 3)
    assert world.capability(badged) == ("Endpoint", [world.object_of(endpoint), 77, 3])
    assert world.parent(badged) == endpoint
    twin = world.copy(badged)
    assert world.parent(twin) == badged, "what is derived from an original is its child"
    assert world.invoke("CNode.Mint", CNODE, 300, 64, badged, 64, ALL, 5, caps=[CNODE]).result == "Fails(IllegalOperation)"


def test_copies_of_a_copy_stand_beside_it_and_revoke_of_a_copy_deletes_nothing(world):
    endpoint = world.make("Endpoint")
    copy = world.copy(endpoint)
    again = world.copy(copy)
    badged = world.mint(copy, 5)
    assert [world.parent(slot) for slot in (copy, again, badged)] == [endpoint] * 3
    assert world.invoke("CNode.Revoke", CNODE, copy, 64).result == "Succeeds"
    assert all(world.capability(slot)[0] == "Endpoint" for slot in (copy, again, badged))
    assert world.invoke("CNode.Revoke", CNODE, endpoint, 64).result == "Succeeds"
    assert all(world.capability(slot) == (None, []) for slot in (copy, again, badged))


def test_a_copy_of_an_untyped_is_an_original_and_uses_its_source_up(world):
    source = world.make("Untyped", 13)
    copy = world.copy(source)
    assert world.parent(copy) == source
    assert world.invoke("Untyped.Retype", source, enum("ObjectType", "SmallPage"), 0, 0, 0, 300, 1, caps=[CNODE]).result == "Fails(NotEnoughMemory)"
    frame = world.make("SmallPage", untyped=copy)
    assert world.parent(frame) == copy


def test_copy_checks_destination_before_source(world):
    endpoint = world.make("Endpoint")
    checks = [((300, 0, 9999, 0), "RangeError"), ((300, 63, endpoint, 0), "FailedLookup"), ((1, 64, 9999, 0), "DeleteFirst"),
              ((300, 64, endpoint, 65), "RangeError"), ((300, 64, endpoint, 63), "FailedLookup"), ((300, 64, 301, 64), "FailedLookup")]
    for words, error in checks:
        assert world.invoke("CNode.Copy", CNODE, *words, ALL, caps=[CNODE]).result == f"Fails({error})"
    assert world.lookup_failure() == (1, enum("LookupFailure", "MissingCapability"), [0, 0, 0])
    assert world.invoke("CNode.Copy", CNODE, 300, 64, init_slot("IRQControl"), 64, ALL, caps=[CNODE]).result == "Fails(IllegalOperation)"


def test_addresses_are_resolved_through_guards_and_levels(world):
    inner = world.make("CNode", 4)
    guarded = world.mint(inner, 0b101 << 6 | 3)
    outer = world.mint(world.make("CNode", 2), 0)
    assert world.invoke("CNode.Copy", outer, 1, 2, guarded, 64, ALL, caps=[CNODE]).result == "Succeeds"
    endpoint = world.make("Endpoint")
    # Two bits of the outer CNode, three of the guard, four of the inner one.
    path = 1 << 7 | 0b101 << 4 | 9
    assert world.invoke("CNode.Copy", outer, path, 9, endpoint, 64, ALL, caps=[CNODE]).result == "Succeeds"
    assert world.invoke("CNode.Delete", outer, path ^ 1 << 5, 9).result == "Fails(FailedLookup)"
    assert world.lookup_failure() == (0, enum("LookupFailure", "GuardMismatch"), [7, 0b101, 3])
    assert world.invoke("CNode.Delete", outer, path >> 1, 8).result == "Fails(FailedLookup)"
    assert world.lookup_failure() == (0, enum("LookupFailure", "DepthMismatch"), [6, 7, 0])
    assert world.invoke("CNode.Delete", outer, path, 10).result == "Fails(FailedLookup)"
    assert world.lookup_failure() == (0, enum("LookupFailure", "DepthMismatch"), [8, 0, 0]), "the outer CNode's slot 0 is empty"
    assert world.invoke("CNode.Delete", endpoint, 0, 1).result == "Succeeds", "a Call to an endpoint is a message"


def test_a_lookup_leads_through_at_most_cspace_levels(world):
    cnodes = world.make("CNode", 1, CONSTANTS["cspace_levels"] + 1)
    for number in range(CONSTANTS["cspace_levels"]):
        assert world.invoke("CNode.Copy", cnodes + number, 0, 1, cnodes + number + 1, 64, ALL, caps=[CNODE]).result == "Succeeds"
    depth = CONSTANTS["cspace_levels"]
    assert world.invoke("CNode.Delete", cnodes, 1, depth).result == "Succeeds"
    assert world.invoke("CNode.Delete", cnodes, 1, depth + 1).result == "Fails(FailedLookup)"
    assert world.lookup_failure() == (0, enum("LookupFailure", "TooManyLevels"), [1, 0, 0])


def test_move_takes_the_place_in_the_tree_along_and_mutate_changes_guards_only(world):
    endpoint = world.make("Endpoint")
    badged = world.mint(endpoint, 7)
    assert world.invoke("CNode.Move", CNODE, 300, 64, endpoint, 64, caps=[CNODE]).result == "Succeeds"
    assert world.capability(endpoint) == (None, []) and world.parent(badged) == 300 and world.parent(300) == UNTYPED
    assert world.invoke("CNode.Mutate", CNODE, 301, 64, 300, 64, 1, caps=[CNODE]).result == "Fails(IllegalOperation)"
    cnode = world.make("CNode", 4)
    assert world.invoke("CNode.Mutate", CNODE, 302, 64, cnode, 64, 60, caps=[CNODE]).result == "Succeeds"
    assert world.capability(302)[1][1:] == [4, 0, 60]
    assert world.invoke("CNode.Mutate", CNODE, 303, 64, 302, 64, 61, caps=[CNODE]).result == "Fails(IllegalOperation)"


def test_rotate_moves_two_capabilities_or_exchanges_them(world):
    a, b = world.make("CNode", 2), world.make("CNode", 3)
    rotate = [300, 64, 0, a, 64, 0, b, 64]
    assert world.invoke("CNode.Rotate", CNODE, *rotate, caps=[CNODE, CNODE]).result == "Succeeds"
    assert (world.capability(300)[1][1], world.capability(a)[1][1], world.capability(b)) == (2, 3, (None, []))
    assert world.invoke("CNode.Rotate", CNODE, a, 64, 0, 300, 64, 0, a, 64, caps=[CNODE, CNODE]).result == "Succeeds"
    assert (world.capability(300)[1][1], world.capability(a)[1][1]) == (3, 2)
    assert world.invoke("CNode.Rotate", CNODE, 301, 64, 0, a, 64, 0, a, 64, caps=[CNODE, CNODE]).result == "Fails(IllegalOperation)"


def test_revoke_deletes_all_descendants_and_keeps_the_capability(world):
    endpoint = world.make("Endpoint")
    badged = [world.mint(endpoint, badge) for badge in (1, 2, 3)]
    twins = [world.copy(slot) for slot in badged]
    assert world.invoke("CNode.Revoke", CNODE, endpoint, 64).result == "Succeeds"
    assert all(world.capability(slot) == (None, []) for slot in badged + twins)
    assert world.capability(endpoint)[0] == "Endpoint"


def test_a_preempted_revoke_goes_on_with_those_that_are_left(world):
    endpoint = world.make("Endpoint")
    badged = [world.mint(endpoint, badge) for badge in (1, 2, 3)]
    assert world.invoke("CNode.Revoke", CNODE, endpoint, 64, preempt_after=2).result == "IsPreempted"
    assert sum(world.capability(slot)[0] is not None for slot in badged) == 1
    assert world.invoke("CNode.Revoke", CNODE, endpoint, 64).result == "Succeeds"
    assert all(world.capability(slot) == (None, []) for slot in badged)


def test_deleting_the_last_capability_of_a_cnode_empties_it(world):
    cnode = world.make("CNode", 4)
    endpoint = world.make("Endpoint")
    address = world.object_of(endpoint)
    assert world.invoke("CNode.Move", cnode, 5, 4, endpoint, 64, caps=[CNODE]).result == "Succeeds"
    assert world.delete(cnode).result == "Succeeds"
    state = world.oracle.state()
    assert address not in state.objects and all(thing["kind"] != "CNode" or number == BOOT["cnode"] for number, thing in state.objects.items())


def test_a_preempted_deletion_leaves_a_zombie_that_can_only_be_deleted(world):
    cnode = world.make("CNode", 4)
    for index in range(4):
        endpoint = world.make("Endpoint")
        assert world.invoke("CNode.Move", cnode, index, 4, endpoint, 64, caps=[CNODE]).result == "Succeeds"
    assert world.delete(cnode, preempt_after=3).result == "IsPreempted"
    assert world.capability(cnode)[0] == "Zombie"
    assert world.invoke("CNode.Move", CNODE, 300, 64, cnode, 64, caps=[CNODE]).result == "Fails(IllegalOperation)"
    assert world.invoke("CNode.Copy", CNODE, 300, 64, cnode, 64, ALL, caps=[CNODE]).result == "Fails(IllegalOperation)"
    assert world.invoke("CNode.Revoke", cnode, 0, 4).result == "Fails(IllegalOperation)"
    assert world.delete(cnode).result == "Succeeds"
    assert world.capability(cnode) == (None, [])


@pytest.mark.parametrize("points", range(12))
def test_chains_and_cycles_of_cnodes_are_destroyed_from_any_point_of_preemption(world, points):
    first, second, third = (world.make("CNode", 2) for _ in range(3))
    addresses = {world.object_of(slot) for slot in (first, second, third)}
    third_copy = world.copy(third)
    for holder, index, held in ((third_copy, 0, third_copy), (second, 3, third), (first, 1, second)):
        assert world.invoke("CNode.Move", holder, index, 2, held, 64, caps=[CNODE]).result == "Succeeds"
    outcome = world.delete(first, preempt_after=points)
    while outcome.result == "IsPreempted":
        outcome = world.delete(first)
    assert outcome.result == "Succeeds"
    left = addresses & set(world.oracle.state().objects)
    # The third CNode names itself: the manual of deletion leaves it to the revocation of its memory.
    assert len(left) == 1
    assert world.invoke("CNode.Revoke", CNODE, UNTYPED, 64).result == "Succeeds"
    assert not addresses & set(world.oracle.state().objects)


def test_cancel_badged_sends_restarts_the_senders_with_the_badge(world):
    endpoint = world.make("Endpoint")
    senders = []
    for badge in (1, 2, 1):
        capability = world.mint(endpoint, badge)
        tcb, _ = world.thread(resume=True)
        senders.append(tcb)
        world.yield_to_others()
        assert world.running == world.object_of(tcb)
        world.system_call("Send", {"x0": capability, "pc": 0x1004})
        world.wake_root()
    badged = world.mint(endpoint, 1)
    assert world.invoke("CNode.CancelBadgedSends", CNODE, badged, 64, preempt_after=1).result == "IsPreempted"
    assert [world.field(tcb, "state")[:4] for tcb in senders] == ["runn", "send", "send"]
    assert world.invoke("CNode.CancelBadgedSends", CNODE, badged, 64).result == "Succeeds"
    assert [world.field(tcb, "state")[:4] for tcb in senders] == ["runn", "send", "runn"]
    again = ("CNode.CancelBadgedSends", CNODE, badged, 64)
    assert world.invoke(*again, preempt_after=0).result == "IsPreempted", "it passes over the sender that is left"
    assert world.invoke(*again, preempt_after=1).result == "Succeeds"
    assert world.oracle.state().registers(world.object_of(senders[2]))["pc"] == 0x1000
    assert world.invoke("CNode.CancelBadgedSends", CNODE, world.mint(endpoint, 1, 7), 64).result == "Fails(IllegalOperation)"


# ---- Endpoints, replies, donation --------------------------------------------------------------------------------------------------
def serve(world, with_flag=False, priority=254, context=False):
    """A thread that waits at an endpoint with a reply object: TCB, endpoint and reply object. The root task runs again."""
    endpoint, reply, bell = world.make("Endpoint"), world.make("Reply"), world.make("Notification")
    tcb, own = world.thread(priority=priority, buffer=True)
    assert world.invoke("TCB.Resume", tcb).result == "Succeeds"
    wake = world.mint(bell, 1)
    world.system_call("Wait", {"x0": bell})
    flags = CONSTANTS["syscall_flag_require_donation"] if with_flag else 0
    server = world.running
    assert server == world.object_of(tcb)
    # It signals the root task and receives.
    outcome = world.system_call("NBSendRecv", {"x0": endpoint, "x6": reply, "x8": wake, "pc": 0x2004}, flags=flags)
    assert outcome.result == "Succeeds" and world.running == BOOT["thread"]
    if not context:
        assert world.invoke("SchedContext.Unbind", own).result == "Succeeds"
    return tcb, endpoint, reply


def test_a_call_carries_words_badge_and_the_scheduling_context_and_the_reply_brings_it_back(world):
    tcb, endpoint, reply = serve(world)
    badged = world.mint(endpoint, 42)
    world.system_call("Call", {"x0": badged, "pc": 0x3004}, words=(10, 20, 30), label=7)
    server = world.object_of(tcb)
    assert world.running == server, "the receiver runs at once on the caller's scheduling context"
    state = world.oracle.state()
    registers = state.registers(server)
    assert (registers["x0"], registers["x1"]) == (42, message_info(7, 3))
    assert [registers[name] for name in ("x2", "x3", "x4")] == [10, 20, 30] and "x5" not in registers
    assert state.objects[BOOT["thread"]]["state"] == f"reply({world.object_of(reply):#x},1)"
    assert state.objects[server]["sched_context"] == BOOT["context"]
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply, "pc": 0x2004}, words=(99,), label=8)
    assert world.running == BOOT["thread"]
    registers = world.oracle.state().registers(BOOT["thread"])
    assert (registers.get("x0", 0), registers["x1"], registers["x2"]) == (0, message_info(8, 1), 99)
    assert world.field(tcb, "sched_context") is None


def test_a_send_to_a_passive_server_that_requires_donation_is_refused(world):
    tcb, endpoint, _ = serve(world, with_flag=True)
    for name in ("Send", "NBSend"):
        assert world.system_call(name, {"x0": endpoint}, words=(1,)).result == "Fails(NoDonation)"
    assert world.oracle.state().registers(BOOT["thread"])["x1"] == message_info(enum("Error", "NoDonation"))
    assert world.field(tcb, "state").startswith("receive(")
    world.system_call("Call", {"x0": endpoint})
    assert world.running == world.object_of(tcb)


def test_without_the_flag_a_send_leaves_a_passive_server_without_time(world):
    tcb, endpoint, _ = serve(world)
    assert world.system_call("Send", {"x0": endpoint}, words=(1,)).result == "Succeeds"
    assert world.field(tcb, "state") == "running" and world.running == BOOT["thread"]


def test_a_blocked_sender_is_refused_when_a_passive_receiver_comes(world):
    _, elsewhere, _ = serve(world)
    endpoint, reply = world.make("Endpoint"), world.make("Reply")
    sender, _ = world.thread(resume=True)
    world.yield_to_others()
    world.system_call("Send", {"x0": endpoint, "pc": 0x4004}, words=(5,))
    assert world.field(sender, "state").startswith("send(")
    world.wake_root()
    receiver, _ = world.thread(resume=True)
    world.yield_to_others()
    assert world.running == world.object_of(receiver)
    # It passes its context on, and then would be left with a message and without time.
    world.system_call("NBSendRecv", {"x0": endpoint, "x6": reply, "x8": elsewhere, "pc": 0x5004}, flags=CONSTANTS["syscall_flag_require_donation"])
    assert world.field(receiver, "sched_context") is None and world.field(receiver, "state").startswith("receive(")
    assert world.field(sender, "state") == "running"
    assert world.oracle.state().registers(world.object_of(sender))["x1"] == message_info(enum("Error", "NoDonation"))


def test_senders_are_refused_one_by_one_before_anything_else_is_done(world):
    server, elsewhere, _ = serve(world)
    endpoint, reply = world.make("Endpoint"), world.make("Reply")
    senders = [world.thread(resume=True)[0] for _ in range(2)]
    world.yield_to_others()
    for sender in senders:
        assert world.running == world.object_of(sender)
        world.system_call("Send", {"x0": endpoint, "pc": 0x4004}, words=(5,))
    world.wake_root()
    receiver, _ = world.thread(priority=255, resume=True)
    world.yield_to_others()
    assert world.running == world.object_of(receiver)
    # Preempted before the first, and between them: the message is not sent yet, nor the context given away.
    arguments = {"x0": endpoint, "x6": reply, "x8": elsewhere, "pc": 0x5004}
    flag = CONSTANTS["syscall_flag_require_donation"]
    outcomes = [world.system_call("NBSendRecv", arguments, flags=flag, preempt_after=0)]
    for left in (2, 1):
        assert outcomes.pop().result == "IsPreempted" and world.running == world.object_of(receiver)
        assert [world.field(sender, "state").startswith("send(") for sender in senders].count(True) == left
        assert world.field(server, "state").startswith("receive(") and world.field(receiver, "sched_context") is not None
        assert world.oracle.state().registers(world.running)["pc"] == arguments["pc"] - 4
        outcomes = [world.again(preempt_after=1)]
    assert outcomes.pop().result == "Succeeds"
    assert world.field(server, "state") == "running" and world.field(receiver, "state").startswith("receive(")
    assert world.field(receiver, "sched_context") is None
    assert all(world.oracle.state().registers(world.object_of(sender))["x1"] == message_info(enum("Error", "NoDonation")) for sender in senders)


def test_a_receive_that_ends_its_own_call_refuses_those_who_wait_before(world):
    """The scheduling context came with the call, and goes back when the reply object is freed."""
    tcb, endpoint, reply = serve(world, priority=255)
    elsewhere = world.make("Endpoint")
    senders = [world.thread(resume=True)[0] for _ in range(2)]
    world.yield_to_others()
    for _ in senders:
        world.system_call("Send", {"x0": elsewhere, "pc": 0x4004}, words=(5,))
    world.wake_root()
    world.system_call("Call", {"x0": endpoint, "pc": 0x3004}, words=(1,))
    assert world.running == world.object_of(tcb)
    flag = CONSTANTS["syscall_flag_require_donation"]
    outcomes = [world.system_call("Recv", {"x0": elsewhere, "x6": reply, "pc": 0x2004}, flags=flag, preempt_after=0)]
    for left in (2, 1):
        assert outcomes.pop().result == "IsPreempted" and world.running == world.object_of(tcb)
        assert [world.field(sender, "state").startswith("send(") for sender in senders].count(True) == left
        assert world.field(tcb, "sched_context") is not None and world.field(ROOT_TCB, "sched_context") is None
        outcomes = [world.again(preempt_after=1)]
    assert outcomes.pop().result == "Succeeds" and world.running == BOOT["thread"]
    assert world.field(tcb, "state").startswith("receive(") and world.field(tcb, "sched_context") is None
    assert world.oracle.state().registers(BOOT["thread"])["x1"] == message_info(enum("Error", "CallCancelled"))
    assert all(world.oracle.state().registers(world.object_of(sender))["x1"] == message_info(enum("Error", "NoDonation")) for sender in senders)


def test_capabilities_are_unwrapped_or_derived_into_the_receive_slot(world):
    tcb, endpoint, _ = serve(world)
    badged, other = world.mint(endpoint, 42), world.make("Notification")
    target = world.free()
    buffer = world.buffers[world.object_of(tcb)]
    receive = {buffer + BUFFER["receive_cnode"]: CNODE, buffer + BUFFER["receive_index"]: target, buffer + BUFFER["receive_depth"]: 64}
    outcome = world.system_call("Call", {"x0": endpoint}, words=(1,), caps=[badged, other, other], memory=receive)
    registers = world.oracle.state().registers(world.object_of(tcb))
    # The second capability of the wrong kind has no slot to go to: the transfer ends there.
    assert registers["x1"] == message_info(0, 1, 2, 1)
    assert f"WriteMemory({buffer + BUFFER['caps_or_badges']:#x},0x2a)" in outcome.effects
    assert world.capability(target) == world.capability(other)


def test_without_grant_no_capability_travels(world):
    tcb, endpoint, _ = serve(world)
    sender = world.mint(endpoint, 0, 1 | 8)
    other, target = world.make("Notification"), world.free()
    buffer = world.buffers[world.object_of(tcb)]
    receive = {buffer + BUFFER["receive_cnode"]: CNODE, buffer + BUFFER["receive_index"]: target, buffer + BUFFER["receive_depth"]: 64}
    world.system_call("Call", {"x0": sender}, caps=[other], memory=receive)
    assert world.oracle.state().registers(world.object_of(tcb)).get("x1", 0) == 0
    assert world.capability(target) == (None, [])


@pytest.mark.parametrize("receiver_first", (True, False))
@pytest.mark.parametrize("rights, reply_rights, arrives", ((ALL, ALL, True), (ALL & ~GRANT, ALL, False), (ALL, ALL & ~GRANT, False)))
def test_an_answer_brings_capabilities_if_the_receive_and_the_reply_capability_have_grant(world, rights, reply_rights, arrives, receiver_first):
    endpoint, reply, given, target = world.make("Endpoint"), world.make("Reply"), world.make("Notification"), world.free()
    receive_from, answer_to = world.copy(endpoint, rights), world.copy(reply, reply_rights)
    tcb, _ = world.thread(buffer=True, resume=True)
    receive = {"x0": receive_from, "x6": reply}
    if receiver_first:
        world.yield_to_others()
        world.system_call("Recv", receive)
        noted = bool(rights & GRANT)
        assert world.field(tcb, "state") == f"receive({world.object_of(endpoint):#x},{world.object_of(reply):#x},0,{int(noted)})"
        world.wake_root()
    world.system_call("Call", {"x0": endpoint})
    assert world.running == world.object_of(tcb)
    if not receiver_first:
        world.system_call("Recv", receive)
    buffer = BOOT["buffer"]
    place = {buffer + BUFFER["receive_cnode"]: CNODE, buffer + BUFFER["receive_index"]: target, buffer + BUFFER["receive_depth"]: 64}
    world.system_call("Send", {"x0": answer_to}, words=(7,), caps=[given], memory=place)
    registers = world.oracle.state().registers(BOOT["thread"])
    assert (registers["x1"], registers["x2"]) == (message_info(0, 1, int(arrives)), 7)
    assert world.capability(target) == (world.capability(given) if arrives else (None, []))


def test_long_messages_go_through_the_buffers_and_are_cut_without_one(world):
    tcb, endpoint, reply = serve(world)
    words = tuple(range(100, 120))
    outcome = world.system_call("Call", {"x0": endpoint}, words=words)
    buffer = world.buffers[world.object_of(tcb)]
    expected = [f"WriteMemory({buffer + BUFFER['msg'] + 8 * number:#x},{words[number]:#x})" for number in range(12, 20)]
    assert outcome.effects == expected
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply}, words=(1,))
    assert world.invoke("TCB.SetIPCBuffer", tcb, 0, caps=[0]).result == "Succeeds"
    assert world.system_call("Call", {"x0": endpoint}, words=words).effects == []
    assert world.oracle.state().registers(world.object_of(tcb))["x1"] == message_info(0, 12)


def test_a_caller_that_cannot_be_answered_hears_of_it(world):
    tcb, endpoint, _ = serve(world, context=True)
    only_write = world.mint(endpoint, 0, 1)
    world.system_call("Call", {"x0": only_write})
    state = world.oracle.state()
    assert state.registers(BOOT["thread"])["x1"] == message_info(enum("Error", "CallCancelled"))
    assert state.objects[BOOT["thread"]]["state"] == state.objects[world.object_of(tcb)]["state"] == "running"


def test_deleting_a_reply_object_ends_the_call(world):
    tcb, endpoint, reply = serve(world)
    world.system_call("Call", {"x0": endpoint, "pc": 0x3004})
    assert world.delete(reply).result == "Succeeds"
    registers = world.oracle.state().registers(BOOT["thread"])
    assert registers["x1"] == message_info(enum("Error", "CallCancelled")) and registers["pc"] == 0x3004
    assert world.running == BOOT["thread"]


def chain(world, depth):
    """Passive servers that call one another: the root task's context is with the last. TCBs, endpoints, reply objects."""
    servers = [serve(world) for _ in range(depth)]
    world.system_call("Call", {"x0": servers[0][1], "pc": 0x3004})
    for (tcb, _, _), (_, endpoint, _) in zip(servers, servers[1:]):
        assert world.running == world.object_of(tcb)
        world.system_call("Call", {"x0": endpoint, "pc": 0x3004})
    assert world.running == world.object_of(servers[-1][0])
    return servers


def test_calls_nest_and_replies_bring_the_context_back_step_by_step(world):
    servers = chain(world, 3)
    state = world.oracle.state()
    stack = state.numbers(state.objects[BOOT["context"]], "calls")
    assert stack == [world.object_of(reply) for _, _, reply in reversed(servers)]
    for (tcb, endpoint, reply), (caller, _, _) in zip(reversed(servers[1:]), reversed(servers[:-1])):
        world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply, "pc": 0x2004})
        assert world.running == world.object_of(caller)
    world.system_call("ReplyRecv", {"x0": servers[0][1], "x6": servers[0][2], "pc": 0x2004})
    assert world.running == BOOT["thread"]


def test_a_reply_out_of_order_breaks_the_stack_there(world):
    servers = chain(world, 3)
    # The last server answers the first call: the context stays with it, and the root task has none.
    world.system_call("Send", {"x0": servers[0][2]})
    state = world.oracle.state()
    assert world.running == world.object_of(servers[2][0])
    assert state.objects[BOOT["thread"]]["state"] == "running" and state.objects[BOOT["thread"]]["sched_context"] is None
    assert state.numbers(state.objects[BOOT["context"]], "calls") == [world.object_of(reply) for _, _, reply in (servers[2], servers[1])]
    world.system_call("ReplyRecv", {"x0": servers[2][1], "x6": servers[2][2], "pc": 0x2004})
    assert world.running == world.object_of(servers[1][0])


def test_suspending_in_the_middle_of_a_chain_leaves_the_context_with_the_last(world):
    servers = chain(world, 3)
    assert world.invoke("TCB.Suspend", servers[1][0]).result == "Succeeds"
    state = world.oracle.state()
    assert state.objects[BOOT["context"]]["thread"] == world.object_of(servers[2][0])
    assert state.numbers(state.objects[BOOT["context"]], "calls") == [], "the stack ends at the call that was broken off"


def test_a_server_whose_callers_time_runs_out_waits_for_the_callers_refill(world):
    tcb, endpoint, _ = serve(world)
    client, context = world.thread(priority=253, resume=True)
    world.yield_to_others()
    world.system_call("Call", {"x0": endpoint, "pc": 0x3004})
    assert world.running == world.object_of(tcb)
    world.oracle.time += int(1000 * TICKS)
    assert world.oracle.event("timer").current is None
    assert world.oracle.state().core["sleeping"] == world.object_of(tcb)
    assert world.field(context, "thread") == world.object_of(tcb) and world.field(client, "state").startswith("reply(")


def test_a_notification_lends_its_context_and_gets_it_back(world):
    bell, notification = world.make("Notification"), world.make("Notification")
    tcb, own = world.thread(resume=True)
    signal = world.mint(notification, 4)
    world.yield_to_others()
    world.system_call("Wait", {"x0": notification, "pc": 0x1004})
    world.wake_root()
    assert world.invoke("SchedContext.Unbind", own).result == "Succeeds"
    assert world.invoke("SchedContext.Bind", own, caps=[notification]).result == "Succeeds"
    assert world.system_call("NBSend", {"x0": signal}).result == "Succeeds"
    assert world.field(tcb, "sched_context") == world.object_of(own), "lent to a passive thread that it wakes"
    world.yield_to_others()
    assert world.running == world.object_of(tcb)
    world.system_call("Wait", {"x0": notification, "pc": 0x1004})
    assert world.field(tcb, "sched_context") is None and world.field(own, "thread") is None and bell


def test_receiving_with_a_reply_object_in_use_ends_its_call(world):
    tcb, endpoint, reply = serve(world, context=True)
    world.system_call("Call", {"x0": endpoint, "pc": 0x3004})
    assert world.running == world.object_of(tcb)
    world.system_call("NBRecv", {"x0": endpoint, "x6": reply, "pc": 0x2004})
    assert world.oracle.state().registers(BOOT["thread"])["x1"] == message_info(enum("Error", "CallCancelled"))


def test_endpoint_capabilities_need_rights(world):
    endpoint = world.make("Endpoint")
    read_only = world.mint(endpoint, 0, 2)
    assert world.system_call("NBSend", {"x0": read_only}).result == "Fails(InvalidCapability)"
    assert world.results() == [0]


def test_nonblocking_calls_come_back_empty(world):
    endpoint, notification = world.make("Endpoint"), world.make("Notification")
    assert world.system_call("NBSend", {"x0": endpoint}, words=(1, 2)).result == "Succeeds"
    assert world.system_call("NBSend", {"x0": 4000}).result == "Succeeds", "NBSend raises no faults"
    for name, target in (("NBWait", endpoint), ("NBWait", notification)):
        assert world.system_call(name, {"x0": target, "x2": 77}).result == "Succeeds"
        registers = world.oracle.state().registers(BOOT["thread"])
        assert "x0" not in registers and "x1" not in registers


# ---- Notifications -----------------------------------------------------------------------------------------------------------------
def test_signals_gather_in_the_word_and_are_taken_as_a_whole(world):
    notification = world.make("Notification")
    for badge in (1, 4):
        assert world.system_call("Send", {"x0": world.mint(notification, badge)}).result == "Succeeds"
    assert world.field(notification, "word") == 5
    world.system_call("Wait", {"x0": notification})
    registers = world.oracle.state().registers(BOOT["thread"])
    assert (registers["x0"], registers["x1"]) == (5, CONSTANTS["notification_message_info"])
    assert (world.field(notification, "active"), world.field(notification, "word")) == ("0", 0)


def test_a_badge_of_0_makes_a_notification_active(world):
    notification = world.make("Notification")
    assert world.system_call("Send", {"x0": notification}).result == "Succeeds"
    assert world.field(notification, "word") == 0
    world.system_call("Wait", {"x0": notification})
    assert world.running == BOOT["thread"]
    registers = world.oracle.state().registers(BOOT["thread"])
    assert "x0" not in registers and registers["x1"] == CONSTANTS["notification_message_info"]


def test_a_signal_to_an_active_notification_wakes_nobody(world):
    endpoint, notification = world.make("Endpoint"), world.make("Notification")
    receiver, _ = world.thread(resume=True)
    world.yield_to_others()
    assert world.running == world.object_of(receiver)
    world.system_call("Wait", {"x0": endpoint, "pc": 0x1004})
    world.wake_root()
    assert world.system_call("Send", {"x0": world.mint(notification, 1)}).result == "Succeeds"
    assert world.invoke("TCB.BindNotification", receiver, caps=[notification]).result == "Succeeds"
    assert world.system_call("Send", {"x0": world.mint(notification, 4)}).result == "Succeeds"
    assert world.field(notification, "word") == 5 and world.field(receiver, "state").startswith("receive")


def test_empty_results_leave_the_callers_words(world):
    notification = world.make("Notification")
    world.system_call("NBSend", {"x0": notification}, words=(1, 2, 3, 4, 5))
    registers = world.oracle.state().registers(BOOT["thread"])
    assert (registers["x2"], registers["x9"]) == (1, 5) and "x0" not in registers and "x1" not in registers
    world.system_call("NBWait", {"x0": world.make("Endpoint"), "x2": 77})
    assert world.oracle.state().registers(BOOT["thread"])["x2"] == 77
    world.system_call("Yield", {"x0": 5, "x1": 6, "x2": 7})
    registers = world.oracle.state().registers(BOOT["thread"])
    assert (registers["x0"], registers["x1"], registers["x2"]) == (5, 6, 7), "of Yield all registers keep what they held"
    world.invoke("TCB.Resume", CNODE, 8)
    assert "x2" not in world.oracle.state().registers(BOOT["thread"]), "errors clear them"


@pytest.mark.parametrize("rights, sends, receives", [(3, True, True), (2, True, False), (1, False, False)])
def test_buffers_are_reached_with_the_rights_of_the_frame(world, rights, sends, receives):
    frame, endpoint, notification = world.make("SmallPage"), world.make("Endpoint"), world.make("Notification")
    limited = world.copy(frame, rights)
    tcb, _ = world.thread(resume=True)
    assert world.invoke("TCB.SetIPCBuffer", tcb, 0x20000000, caps=[limited]).result == "Succeeds"
    buffer = world.object_of(frame)
    world.yield_to_others()
    words = {buffer + BUFFER["msg"] + 8 * 12: 5}
    world.oracle.event("svc", registers={"x0": endpoint, "x1": message_info(0, 13), "x7": enum("Syscall", "Send"), "pc": 0x1004})
    world.wake_root()
    outcome = world.system_call("NBRecv", {"x0": endpoint, "x6": world.make("Reply")}, memory=words)
    assert world.oracle.state().registers(BOOT["thread"]).get("x1", 0) == message_info(0, 13 if sends else 12)
    assert len(outcome.effects) == (1 if sends else 0)
    world.yield_to_others()
    world.oracle.event("svc", registers={"x0": endpoint, "x7": enum("Syscall", "Wait"), "pc": 0x1004})
    world.wake_root()
    outcome = world.system_call("NBSend", {"x0": endpoint}, words=range(13))
    assert len(outcome.effects) == (1 if receives else 0) and notification
    assert world.oracle.state().registers(world.object_of(tcb))["x1"] == message_info(0, 13 if receives else 12)


def test_a_bound_notification_ends_a_receive_and_only_its_thread_can_wait(world):
    tcb, endpoint, _ = serve(world, context=True)
    notification = world.make("Notification")
    assert world.invoke("TCB.BindNotification", tcb, caps=[notification]).result == "Succeeds"
    assert world.system_call("NBWait", {"x0": notification}).result == "Faults(CapFault)"


def test_a_signal_reaches_a_bound_receiver(world):
    tcb, endpoint, _ = serve(world, context=True)
    notification = world.make("Notification")
    assert world.invoke("TCB.BindNotification", tcb, caps=[notification]).result == "Succeeds"
    assert world.system_call("NBSend", {"x0": world.mint(notification, 9)}).result == "Succeeds"
    assert world.field(tcb, "state") == "running"
    assert world.oracle.state().registers(world.object_of(tcb))["x0"] == 9
    assert world.field(endpoint, "receivers") is None


def test_bind_notification_checks_in_order(world):
    tcb, _ = world.thread()
    notification, endpoint = world.make("Notification"), world.make("Endpoint")
    assert world.invoke("TCB.BindNotification", tcb, caps=[endpoint]).result == "Fails(InvalidCapability)"
    assert world.invoke("TCB.BindNotification", tcb, caps=[world.mint(notification, 1, 1)]).result == "Fails(InvalidCapability)"
    assert world.invoke("TCB.BindNotification", tcb, caps=[notification]).result == "Succeeds"
    assert world.invoke("TCB.BindNotification", tcb, caps=[notification]).result == "Fails(IllegalOperation)"
    assert world.invoke("TCB.UnbindNotification", tcb).result == "Succeeds"
    assert world.invoke("TCB.UnbindNotification", tcb).result == "Fails(IllegalOperation)"


# ---- Threads -----------------------------------------------------------------------------------------------------------------------
def test_registers_are_written_read_and_copied_by_prefix(world):
    (a, _), (b, _) = world.thread(), world.thread()
    assert world.invoke("TCB.WriteRegisters", a, 0, 4, 0x1000, 0x2000, 0xffffffffffffffff, 55).result == "Succeeds"
    assert world.invoke("TCB.ReadRegisters", a, 0, 4).result == "Succeeds"
    assert world.results() == [0x1000, 0x2000, 0xf0000000, 55], "NZCV are the only bits of spsr that count"
    assert world.invoke("TCB.CopyRegisters", b, 4, caps=[a]).result == "Succeeds"
    assert world.invoke("TCB.ReadRegisters", b, 0, 4).result == "Succeeds"
    assert world.results() == [0x1000, 0x2000, 0xf0000000, 55]
    assert world.invoke("TCB.ReadRegisters", ROOT_TCB, 0, 4).result == "Fails(IllegalOperation)"
    assert world.invoke("TCB.ReadRegisters", a, 0, 37).result == "Fails(RangeError)" and world.results() == [1, 36]
    assert world.invoke("TCB.WriteRegisters", a, 0, 2, 1).result == "Fails(TruncatedMessage)"


def test_priorities_are_given_by_authority(world):
    tcb, _ = world.thread()
    assert world.invoke("TCB.SetMCPriority", tcb, 10, caps=[ROOT_TCB]).result == "Succeeds"
    assert world.invoke("TCB.SetPriority", tcb, 11, caps=[tcb]).result == "Fails(RangeError)" and world.results() == [0, 10]
    assert world.invoke("TCB.SetPriority", tcb, 10, caps=[CNODE]).result == "Fails(InvalidCapability)" and world.results() == [1]


def test_suspending_a_caller_ends_its_call_and_keeps_the_context_with_the_server(world):
    tcb, endpoint, reply = serve(world)
    world.system_call("Call", {"x0": endpoint, "pc": 0x3004})
    assert world.invoke("TCB.Suspend", ROOT_TCB).result == "Succeeds"
    state = world.oracle.state()
    assert state.objects[BOOT["thread"]]["state"] == "inactive"
    assert state.registers(BOOT["thread"])["x1"] == message_info(enum("Error", "CallCancelled"))
    assert state.objects[world.object_of(tcb)]["sched_context"] == BOOT["context"]
    assert world.field(reply, "caller") is None


def test_dead_registers_of_a_thread_in_a_system_call_read_as_0(world):
    reader, _ = world.thread()
    bell = world.make("Notification")
    assert world.invoke("TCB.Resume", reader).result == "Succeeds"
    world.yield_to_others()
    world.system_call("Wait", {"x0": bell, "x3": 7, "x19": 9, "pc": 0x1004})
    world.wake_root()
    assert world.invoke("TCB.ReadRegisters", reader, 0, 12).result == "Succeeds"
    assert world.results()[0] == 0x1004 and world.results()[3:] == [0] * 9, "x0 to x8"
    other, _ = world.thread()
    assert world.invoke("TCB.CopyRegisters", other, 1 << 2 | 1 << 3, caps=[reader]).result == "Succeeds"
    registers = world.oracle.state().registers(world.object_of(other))
    assert "x3" not in registers and registers["x19"] == 9
    assert world.invoke("TCB.ReadRegisters", reader, 1, 12).result == "Succeeds"
    assert world.results()[0] == 0x1000 and world.results()[6] == 7, "once it is suspended its arguments are those of the restart"


def test_resume_restarts_a_receive_with_its_arguments(world):
    tcb, endpoint, reply = serve(world, context=True)
    assert world.invoke("TCB.Suspend", tcb).result == "Succeeds"
    registers = world.oracle.state().registers(world.object_of(tcb))
    assert registers["pc"] == 0x2000 and registers["x0"] == endpoint
    assert registers["x7"] == enum("Syscall", "Recv"), "of NBSendRecv only the receive phase"
    assert world.field(endpoint, "receivers") is None and world.field(reply, "receiver") is None


def test_a_thread_that_waits_for_a_message_or_an_answer_keeps_what_its_system_call_reads_again(world):
    tcb, endpoint, reply = serve(world)
    server, caller = world.object_of(tcb), BOOT["thread"]

    def dead(registers):
        return {name for name in registers if name[0] == "x" and int(name[1:]) <= 18}

    assert dead(world.oracle.state().registers(server)) == {"x0", "x6", "x7"}, "a receive may be executed again"
    others = {f"x{number}": number for number in range(8, 21)}
    world.system_call("Call", {"x0": endpoint, **others, "x6": 6, "pc": 0x3004}, words=(10,), label=7)
    registers = world.oracle.state().registers(caller)
    assert dead(registers) == set() and (registers["x19"], registers["x20"]) == (19, 20), "a call is not"
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply, **others, "pc": 0x2004}, words=(99,), label=8)
    state = world.oracle.state()
    assert world.running == caller and dead(state.registers(caller)) == {"x1", "x2"} and dead(state.registers(server)) == {"x0", "x6", "x7"}


def test_flags_that_reach_hardware_are_set_by_sched_control_only(world):
    tcb, _ = world.thread()
    assert world.invoke("TCB.SetFlags", tcb, 0, 2).result == "Fails(IllegalOperation)"
    assert world.invoke("SchedControl.SetThreadAccess", SCHED_CONTROL, 0, 6, caps=[tcb]).result == "Succeeds" and world.results() == [6]
    assert world.invoke("TCB.SetFlags", tcb, 2, 1).result == "Succeeds" and world.results() == [5]


def test_breakpoints_check_their_arguments_in_order(world):
    tcb, _ = world.thread()
    data = enum("BreakpointType", "Data")
    first_watchpoint = BOOT["breakpoints"]
    for words, error, results in (((10, 0, 0, 0, 0), "RangeError", [0, 9]), ((0, 1 << 47, data, 3, 9), "InvalidArgument", [1]),
                                  ((0, 0x1000, data, 3, 9), "InvalidArgument", [2]), ((0, 0x1000, 0, 3, 9), "InvalidArgument", [3]),
                                  ((0, 0x1000, 0, 0, 1), "InvalidArgument", [4]), ((0, 0x1001, 0, 0, 0), "AlignmentError", []),
                                  ((first_watchpoint, 0x1002, data, 4, 2), "AlignmentError", [])):
        assert world.invoke("TCB.SetBreakpoint", tcb, *words).result == f"Fails({error})"
        assert world.results() == results
    assert world.invoke("TCB.SetBreakpoint", tcb, first_watchpoint, 0x1004, data, 4, 2).result == "Succeeds"
    assert world.invoke("TCB.GetBreakpoint", tcb, first_watchpoint).result == "Succeeds"
    assert world.results() == [0x1004, data, 4, 2, 1]
    assert world.invoke("TCB.UnsetBreakpoint", tcb, first_watchpoint).result == "Succeeds"
    assert world.invoke("TCB.GetBreakpoint", tcb, first_watchpoint).result == "Succeeds" and world.results()[4] == 0


def test_a_fault_is_a_message_and_the_reply_decides(world):
    tcb, endpoint, reply = serve(world, priority=254)
    victim, _ = world.thread(priority=253, fault_endpoint=endpoint, resume=True)
    world.yield_to_others()
    assert world.running == world.object_of(victim)
    outcome = world.oracle.event("memory", 0xdead000, 0, 0x92000007, registers={"pc": 0x5000})
    assert outcome.result == "Faults(VMFault)" and outcome.current == world.object_of(tcb), "a passive handler works"
    registers = world.oracle.state().registers(world.object_of(tcb))
    assert registers["x1"] == message_info(enum("FaultLabel", "VMFault"), 4)
    assert [registers.get(name, 0) for name in ("x2", "x3", "x4", "x5")] == [0x5000, 0xdead000, 0, 0x92000007]
    world.running = outcome.current
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply}, label=1)
    assert world.running == world.object_of(victim), "of a VMFault label and words are ignored"


def test_an_unknown_system_call_is_emulated_by_its_handler(world):
    tcb, endpoint, reply = serve(world)
    victim, _ = world.thread(priority=253, fault_endpoint=endpoint, resume=True)
    world.yield_to_others()
    outcome = world.oracle.event("svc", registers={"x7": 200, "x0": 11, "pc": 0x6004})
    assert outcome.result == "Faults(UnknownSyscall)"
    assert world.oracle.state().registers(world.object_of(tcb))["x13"] == 0x6000, "word 8 is the address of the system call"
    world.running = outcome.current
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply}, words=(1, 2, 3, 4, 5, 6, 7, 8, 0x6004))
    registers = world.oracle.state().registers(world.object_of(victim))
    assert registers["x0"] == 1 and registers["pc"] == 0x6004 and world.running == world.object_of(victim)


def test_deleting_a_thread_stops_it_and_deletes_its_capabilities(world):
    tcb, context = world.thread(resume=True)
    notification = world.make("Notification")
    assert world.invoke("TCB.BindNotification", tcb, caps=[notification]).result == "Succeeds"
    address = world.object_of(tcb)
    assert world.delete(tcb).result == "Succeeds"
    state = world.oracle.state()
    assert address not in state.objects and not any(address <= slot < address + 5 * SLOT_BYTES for slot in state.slots)
    assert world.field(context, "thread") is None and world.field(notification, "thread") is None
    assert state.core["ready"] == BOOT["thread"]


def test_a_single_step_counts_instructions_and_the_reply_says_how_many_more(world):
    tcb, endpoint, reply = serve(world)
    victim, _ = world.thread(priority=253, fault_endpoint=endpoint, resume=True)
    assert world.invoke("TCB.ConfigureSingleStepping", victim, 0, 2).result == "Succeeds" and world.results() == [0]
    world.yield_to_others()
    assert world.oracle.event("debug", "SingleStep", 0, 0, registers={"pc": 0x100}).result == "Serves"
    outcome = world.oracle.event("debug", "SingleStep", 0, 0, registers={"pc": 0x104})
    assert outcome.result == "Faults(DebugException)"
    registers = world.oracle.state().registers(world.object_of(tcb))
    assert [registers.get(name, 0) for name in ("x2", "x3", "x4", "x5")] == [0x104, enum("BreakpointType", "SingleStep"), 0, 0]
    world.running = outcome.current
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply, "pc": 0x2004}, words=(7,))
    assert world.field(victim, "step_count") == 7


def test_a_debug_message_names_the_breakpoint_that_triggered_whatever_was_set_since(world):
    """The fault waits while its handler does not receive; the breakpoints are set anew meanwhile."""
    endpoint, reply = world.make("Endpoint"), world.make("Reply")
    victim, _ = world.thread(priority=253, fault_endpoint=endpoint, resume=True)
    execute, read = enum("BreakpointType", "Instruction"), enum("BreakpointAccess", "Read")
    assert world.invoke("TCB.SetBreakpoint", victim, 1, 0x100, execute, 0, read).result == "Succeeds"
    world.yield_to_others()
    assert world.oracle.event("debug", "Instruction", 0x100, 1, registers={"pc": 0x100}).result == "Faults(DebugException)"
    world.wake_root()
    assert world.invoke("TCB.SetBreakpoint", victim, 0, 0x100, execute, 0, read).result == "Succeeds"
    assert world.invoke("TCB.SetBreakpoint", victim, 1, 0x200, execute, 0, read).result == "Succeeds"
    world.system_call("Recv", {"x0": endpoint, "x6": reply})
    assert world.results() == [0x100, execute, 0x100, 1] and world.running == BOOT["thread"]


def test_after_brk_the_reply_says_where_to_go_on(world):
    tcb, endpoint, reply = serve(world)
    victim, _ = world.thread(priority=253, fault_endpoint=endpoint, resume=True)
    world.yield_to_others()
    world.running = world.oracle.event("debug", "SoftwareBreakRequest", 0, 0, registers={"pc": 0x100}).current
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply, "pc": 0x2004}, words=(0x104,))
    assert world.running == world.object_of(victim) and world.oracle.state().registers(world.running)["pc"] == 0x104


def test_an_answer_other_than_0_leaves_a_thread_with_an_exception_inactive(world):
    tcb, endpoint, reply = serve(world)
    victim, _ = world.thread(priority=253, fault_endpoint=endpoint, resume=True)
    world.yield_to_others()
    world.running = world.oracle.event("exception", 0, 0x2000000, registers={"pc": 0x100}).current
    world.system_call("ReplyRecv", {"x0": endpoint, "x6": reply, "pc": 0x2004}, label=1)
    assert world.field(victim, "state") == "inactive"


def test_a_thread_without_a_fault_endpoint_becomes_inactive(world):
    victim, _ = world.thread(resume=True)
    world.yield_to_others()
    assert world.oracle.event("exception", 0, 0x2000000).current is None
    assert world.field(victim, "state") == "inactive"


# ---- Time --------------------------------------------------------------------------------------------------------------------------
def test_configure_flags_checks_in_order(world):
    context = world.make("SchedContext", 7)
    for words, results in (((19, 1000, 0), [20, 3_600_000_000]), ((1000, 19, 0), [20, 3_600_000_000]), ((1000, 999, 0), [20, 999]),
                           ((1000, 1000, 1), [0, 0])):
        assert world.invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, *words, 0, 0, caps=[context]).result == "Fails(RangeError)"
        assert world.results() == results
    assert world.invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, 1000, 1000, 0, 0, 0, caps=[CNODE]).result == "Fails(InvalidCapability)"


def test_a_thread_whose_budget_is_used_up_waits_for_its_refill(world):
    tcb, context = world.thread(resume=True)
    world.yield_to_others()
    start = world.oracle.time
    world.oracle.time = start + int(1000 * TICKS)
    outcome = world.oracle.event("timer")
    assert outcome.current is None
    assert world.oracle.state().core["sleeping"] == world.object_of(tcb)
    world.oracle.time = start + int(9999 * TICKS)
    assert world.oracle.event("timer").current is None
    world.oracle.time = start + int(10000 * TICKS)
    assert world.oracle.event("timer").current == world.object_of(tcb), "what was used comes back a period later"


def test_the_only_refill_takes_small_pieces_along_when_it_is_delayed(world):
    tcb, context = world.thread(resume=True)
    world.yield_to_others()
    world.oracle.time += int(10 * TICKS)
    world.wake_root()
    assert world.field(context, "unreturned") == int(10 * TICKS), "a piece smaller than the smallest budget waits"
    world.yield_to_others()
    start = world.oracle.time
    world.oracle.time += int(990 * TICKS)
    assert world.oracle.event("timer").current is None
    assert world.field(context, "unreturned") == 0
    assert world.field(context, "refills") == f"{start + int(10000 * TICKS):#x}:{int(1000 * TICKS):#x}", "all of the budget, a period later"


def test_consumed_reports_and_starts_a_new_count(world):
    tcb, context = world.thread(priority=255, resume=True)
    world.system_call("Yield")
    assert world.running == world.object_of(tcb)
    world.oracle.time += int(400 * TICKS)
    world.running = world.oracle.event("timer").current
    world.oracle.time += int(100 * TICKS)
    world.system_call("Wait", {"x0": 4000})
    assert world.running == BOOT["thread"]
    assert world.invoke("SchedContext.Consumed", context).result == "Succeeds" and world.results() == [500]
    assert world.invoke("SchedContext.Consumed", context).result == "Succeeds" and world.results() == [0]


def test_a_timeout_fault_goes_to_the_timeout_endpoint_with_the_contexts_badge(world):
    tcb, endpoint, reply = serve(world, context=True)
    victim, context = world.thread(priority=253, resume=True)
    assert world.invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, 1000, 10000, 0, 0x77, 0, caps=[context]).result == "Succeeds"
    assert world.invoke("TCB.SetTimeoutEndpoint", victim, caps=[endpoint]).result == "Succeeds"
    world.yield_to_others()
    assert world.running == world.object_of(victim)
    world.oracle.time += int(1000 * TICKS)
    assert world.oracle.event("timer").current == world.object_of(tcb)
    registers = world.oracle.state().registers(world.object_of(tcb))
    assert registers["x1"] == message_info(enum("FaultLabel", "Timeout"), 2) and (registers["x2"], registers["x3"]) == (0x77, 1000)
    assert world.field(victim, "sched_context") == world.object_of(context), "the context is not lent, as it has no time"
    world.system_call("Send", {"x0": reply}, words=(0x4000, 0x5000, 1 << 64 - 1, 7))
    registers = world.oracle.state().registers(world.object_of(victim))
    assert (registers["pc"], registers["sp"], registers.get("spsr", 0), registers["x0"]) == (0x4000, 0x5000, 0, 7), "the words become registers"
    assert world.field(victim, "state") == "running"


@pytest.mark.parametrize("used, configures", [(1000, False), (990, True)])
def test_a_budget_that_a_method_finds_used_up_is_a_timeout(world, used, configures):
    """Also one of which less than the smallest budget is left when the context gets another."""
    tcb, endpoint, _ = serve(world, priority=255, context=True)
    victim, context = world.thread(priority=253, resume=True, buffer=True)
    assert world.invoke("TCB.SetTimeoutEndpoint", victim, caps=[endpoint]).result == "Succeeds"
    world.yield_to_others()
    assert world.running == world.object_of(victim)
    world.oracle.time += int(used * TICKS)
    if configures:
        outcome = world.invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, 200, 5000, 0, 0, 0, caps=[context])
    else:
        outcome = world.invoke("SchedContext.Consumed", context)
    assert outcome.result == "Succeeds" and outcome.current == world.object_of(tcb)
    assert world.oracle.state().registers(world.object_of(tcb))["x1"] == message_info(enum("FaultLabel", "Timeout"), 2)


def test_round_robin_contexts_take_turns(world):
    tcb, context = world.thread(priority=255)
    assert world.invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, 5000, 5000, 0, 0, 0, caps=[context]).result == "Succeeds"
    assert world.invoke("TCB.Resume", tcb).result == "Succeeds" and world.running == BOOT["thread"]
    for expected in (world.object_of(tcb), BOOT["thread"], world.object_of(tcb)):
        world.oracle.time += int(5000 * TICKS)
        assert world.oracle.event("timer").current == expected


def test_bind_and_unbind_check_who_has_what(world):
    tcb, context = world.thread()
    notification = world.make("Notification")
    assert world.invoke("SchedContext.Bind", context, caps=[notification]).result == "Fails(IllegalOperation)"
    assert world.invoke("SchedContext.UnbindObject", context, caps=[notification]).result == "Fails(IllegalOperation)"
    assert world.invoke("SchedContext.UnbindObject", context, caps=[tcb]).result == "Succeeds"
    assert world.invoke("SchedContext.Bind", context, caps=[notification]).result == "Succeeds"
    assert world.invoke("SchedContext.Bind", context, caps=[CNODE]).result == "Fails(InvalidCapability)"
    assert world.invoke("SchedContext.Unbind", context).result == "Succeeds"
    assert world.invoke("SchedContext.Unbind", init_slot("SchedContext")).result == "Fails(IllegalOperation)"


def test_yield_to_runs_the_other_thread_first_and_returns_what_it_consumed(world):
    tcb, context = world.thread(priority=255, resume=True)
    outcome = world.invoke("SchedContext.YieldTo", context)
    assert outcome.current == world.object_of(tcb)
    world.oracle.time += int(200 * TICKS)
    world.running = outcome.current
    world.system_call("Wait", {"x0": 4000})
    assert world.running == BOOT["thread"] and world.results() == [200]


def test_a_thread_whose_registers_are_written_forgets_its_yield_to(world):
    waiter, _ = world.thread(priority=255, resume=True)
    other, context = world.thread(priority=255, resume=True)
    world.system_call("Yield")
    assert world.running == world.object_of(waiter)
    outcome = world.invoke("SchedContext.YieldTo", context)
    assert outcome.current == world.object_of(other) and world.field(waiter, "yielded_to") == world.object_of(context)
    world.running = outcome.current
    assert world.invoke("TCB.WriteRegisters", waiter, 0, 4, 0x4000, 0, 0, 55).result == "Succeeds"
    assert world.field(waiter, "yielded_to") is None and world.field(context, "yielder") is None
    assert world.oracle.state().registers(world.object_of(waiter))["x0"] == 55


def test_a_turn_keeps_its_domain_and_ends_when_the_kernel_sees_it(world):
    tcb, _ = world.thread(priority=255)
    domain = init_slot("Domain")
    for index, number in ((0, 0), (1, 1)):
        assert world.invoke("Domain.ScheduleConfigure", domain, index, number, 100).result == "Succeeds"
    assert world.invoke("Domain.Set", domain, 1, caps=[tcb]).result == "Succeeds"
    assert world.invoke("TCB.Resume", tcb).result == "Succeeds"
    assert world.invoke("Domain.ScheduleSetStart", domain, 0).result == "Succeeds"
    assert world.invoke("Domain.ScheduleConfigure", domain, 0, 1, 100).current == BOOT["thread"], "the turn has begun"
    world.oracle.time += int(100 * TICKS)
    assert world.system_call("NBSend", {"x0": 4000}).current == BOOT["thread"], "the timer will end it"
    assert world.system_call("NBSend", {"x0": 4000}, choices=["/"]).current == world.object_of(tcb)


def test_a_thread_that_comes_to_a_domain_stands_behind_its_equals(world):
    tcb, _ = world.thread(priority=255, resume=True)
    domain = init_slot("Domain")
    assert world.invoke("Domain.Set", domain, 1, caps=[tcb]).result == "Succeeds"
    assert world.invoke("Domain.Set", domain, 0, caps=[tcb]).current == BOOT["thread"]
    assert world.invoke("Domain.Set", domain, 0, caps=[ROOT_TCB]).current == BOOT["thread"], "the running thread stays ahead"


def test_domains_run_by_the_schedule_only(world):
    tcb, _ = world.thread(priority=255, resume=True)
    domain = init_slot("Domain")
    assert world.invoke("Domain.Set", domain, 16, caps=[tcb]).result == "Fails(InvalidArgument)"
    assert world.invoke("Domain.Set", domain, 1, caps=[tcb]).result == "Succeeds"
    assert world.invoke("Domain.ScheduleConfigure", domain, 0, 0, 100).result == "Succeeds"
    assert world.invoke("Domain.ScheduleConfigure", domain, 0, 0, 0).result == "Fails(IllegalOperation)"
    assert world.invoke("Domain.ScheduleConfigure", domain, 1, 1, 100).result == "Succeeds"
    assert world.invoke("Domain.ScheduleSetStart", domain, 2).result == "Fails(IllegalOperation)"
    assert world.invoke("Domain.ScheduleSetStart", domain, 0).result == "Succeeds"
    for expected in (world.object_of(tcb), BOOT["thread"], world.object_of(tcb)):
        world.oracle.time += int(100 * TICKS)
        assert world.oracle.event("timer").current == expected


# ---- Address spaces ----------------------------------------------------------------------------------------------------------------
def space(world):
    """A VSpace with an ASID and page tables for address 0x200000."""
    vspace = world.make("VSpace")
    assert world.invoke("ASIDPool.Assign", init_slot("ASIDPool"), caps=[vspace]).result == "Succeeds"
    tables = world.make("PageTable", count=3)
    for number in range(3):
        assert world.invoke("PageTable.Map", tables + number, 0x200000, 0, caps=[vspace]).result == "Succeeds"
    return vspace, tables


def test_tables_and_frames_are_mapped_level_by_level(world):
    vspace = world.make("VSpace")
    frame = world.make("SmallPage")
    assert world.invoke("Frame.Map", frame, 0x200000, 3, 1, caps=[vspace]).result == "Fails(InvalidCapability)", "it has no ASID"
    assert world.invoke("ASIDPool.Assign", init_slot("ASIDPool"), caps=[vspace]).result == "Succeeds"
    tables = world.make("PageTable", count=4)
    for number, missing in enumerate((39, 30, 21)):
        assert world.invoke("Frame.Map", frame, 0x200000, 3, 1, caps=[vspace]).result == "Fails(FailedLookup)"
        assert world.lookup_failure() == (0, enum("LookupFailure", "MissingCapability"), [missing, 0, 0])
        assert world.invoke("PageTable.Map", tables + number, 0x200000, 0, caps=[vspace]).result == "Succeeds"
    assert world.invoke("PageTable.Map", tables + 3, 0x200000, 0, caps=[vspace]).result == "Fails(DeleteFirst)"
    assert world.invoke("Frame.Map", frame, 0x200000, 3, 1, caps=[vspace]).effects == []
    assert world.invoke("Frame.Map", frame, 0x200000, 2, 1, caps=[vspace]).effects == ["InvalidatePage(0x2,0x200000)"]
    assert world.invoke("Frame.Map", frame, 0x201000, 2, 1, caps=[vspace]).result == "Fails(InvalidArgument)"
    assert world.invoke("Frame.Map", world.copy(frame), 0x200000, 2, 1, caps=[vspace]).result == "Fails(DeleteFirst)"
    assert world.invoke("Inspect.ReadVSpace", init_slot("Inspect"), 0x200000, caps=[vspace]).result == "Succeeds"
    assert world.results()[1:3] == [12, 2]


def test_unmapping_a_table_forgets_what_was_below(world):
    vspace, tables = space(world)
    frame = world.make("SmallPage")
    assert world.invoke("Frame.Map", frame, 0x200000, 3, 1, caps=[vspace]).result == "Succeeds"
    assert world.invoke("PageTable.Unmap", tables + 2).effects == ["InvalidateSpace(0x2)"]
    assert world.invoke("Frame.Unmap", frame).effects == [], "unmapping them changes nothing"
    assert world.field(tables + 2, "entries") is None
    twin = world.copy(tables + 1)
    assert world.invoke("PageTable.Unmap", twin).result == "Fails(RevokeFirst)"


def test_deleting_a_frame_capability_undoes_its_mapping(world):
    vspace, _ = space(world)
    frame = world.make("SmallPage")
    twin = world.copy(frame)
    assert world.invoke("Frame.Map", twin, 0x200000, 3, 1, caps=[vspace]).result == "Succeeds"
    assert world.delete(twin).effects == ["InvalidatePage(0x2,0x200000)"]
    assert world.capability(frame)[1][4:] == [None]


def test_deleting_a_vspace_frees_its_asid(world):
    vspace, tables = space(world)
    assert world.delete(vspace).effects == ["InvalidateSpace(0x2)"]
    other = world.make("VSpace")
    assert world.invoke("ASIDPool.Assign", init_slot("ASIDPool"), caps=[other]).result == "Succeeds"
    assert world.capability(other)[1][1] == 2


def test_an_asid_pool_takes_its_asids_along(world):
    untyped = world.make("Untyped", 12)
    pool = world.free()
    assert world.invoke("ASIDControl.MakePool", init_slot("ASIDControl"), pool, 64, caps=[untyped, CNODE]).result == "Succeeds"
    assert world.parent(pool) == untyped
    vspace = world.make("VSpace")
    assert world.invoke("ASIDPool.Assign", pool, caps=[vspace]).result == "Succeeds"
    assert world.capability(vspace)[1][1] == 512
    assert world.delete(pool).effects == ["InvalidateSpace(0x200)"]
    assert world.invoke("PageTable.Map", world.make("PageTable"), 0, 0, caps=[vspace]).result == "Fails(InvalidCapability)"
    assert world.invoke("VSpace.CleanData", vspace, 0, 4096).result == "Fails(InvalidCapability)"


def test_cache_maintenance_is_preempted_every_16_kib(world):
    frame = world.make("LargePage")
    assert world.invoke("Frame.CleanData", frame, 5, 5).result == "Fails(RangeError)" and world.results() == [0, 1 << 21]
    outcome = world.invoke("Frame.CleanData", frame, 0, 1 << 16, preempt_after=1)
    assert outcome.result == "IsPreempted"
    assert world.oracle.state().registers(BOOT["thread"])["x2"] == 16384
    assert len(world.invoke("Frame.CleanData", frame, 16384, 1 << 16).effects) == 3


def test_cache_maintenance_by_address_passes_over_holes_and_devices(world):
    vspace, _ = space(world)
    frame, device = world.make("SmallPage"), world.make("SmallPage", untyped=DEVICE)
    assert world.invoke("Frame.Map", frame, 0x201000, 3, 1, caps=[vspace]).result == "Succeeds"
    assert world.invoke("Frame.Map", device, 0x203000, 3, 0, caps=[vspace]).result == "Succeeds"
    outcome = world.invoke("VSpace.UnifyInstruction", vspace, 0, 1 << 40)
    assert outcome.effects == [f"Unify({world.object_of(frame):#x},0x1000)"]
    assert world.invoke("VSpace.CleanData", vspace, 8, 8).result == "Fails(InvalidArgument)"
    assert world.invoke("VSpace.CleanData", vspace, 8, (1 << 47) + 1).result == "Fails(IllegalOperation)"


# ---- Interrupts --------------------------------------------------------------------------------------------------------------------
def handler(world, irq, trigger=0):
    slot = world.free()
    outcome = world.invoke("IRQControl.Get", init_slot("IRQControl"), irq, trigger, slot, 64, caps=[CNODE])
    assert outcome.result == "Succeeds"
    return slot, outcome


def test_an_interrupt_signals_its_notification_and_waits_for_the_acknowledgement(world):
    slot, outcome = handler(world, 33, 1)
    assert outcome.effects == ["ConfigureInterrupt(0x21,1)"] and world.parent(slot) == init_slot("IRQControl")
    notification = world.make("Notification")
    assert world.invoke("IRQHandler.SetNotification", slot, caps=[world.mint(notification, 8)]).effects == ["UnmaskInterrupt(0x21)"]
    assert world.oracle.event("irq", 33).effects == []
    assert world.field(notification, "word") == 8
    assert world.oracle.state().interrupts[33]["active"] == "1"
    assert world.invoke("IRQHandler.Ack", slot).effects == ["DeactivateInterrupt(0x21)"]
    assert world.invoke("IRQHandler.Ack", slot).effects == []
    assert world.invoke("IRQHandler.Clear", slot).effects == ["MaskInterrupt(0x21)"]


def test_interrupt_handlers_are_unique_and_revoked_with_irq_control(world):
    slot, _ = handler(world, 40)
    get = ("IRQControl.Get", init_slot("IRQControl"))
    assert world.invoke(*get, 40, 0, 300, 64, caps=[CNODE]).result == "Fails(RevokeFirst)"
    assert world.invoke(*get, BOOT["timer_interrupt"], 0, 300, 64, caps=[CNODE]).result == "Fails(RevokeFirst)"
    assert world.invoke(*get, 1, 0, 300, 64, caps=[CNODE]).result == "Fails(RangeError)" and world.results() == [2, BOOT["last_interrupt"]]
    assert world.invoke(*get, 41, 2, 300, 64, caps=[CNODE]).result == "Fails(RangeError)" and world.results() == [0, 1]
    assert world.invoke("CNode.Revoke", CNODE, init_slot("IRQControl"), 64).result == "Succeeds"
    assert world.capability(slot) == (None, [])
    handler(world, 40)


def test_a_software_generated_interrupt_is_sent_and_needs_no_acknowledgement(world):
    slot = world.free()
    assert world.invoke("IRQControl.IssueSGISignal", init_slot("IRQControl"), 5, 4, slot, 64, caps=[CNODE]).result == "Fails(RangeError)"
    assert world.invoke("IRQControl.IssueSGISignal", init_slot("IRQControl"), 5, 0, slot, 64, caps=[CNODE]).result == "Succeeds"
    assert world.system_call("Send", {"x0": slot}, words=(1, 2)).effects == ["SendInterrupt(0x5,0x0)"]
    irq, _ = handler(world, 5)
    notification = world.make("Notification")
    world.invoke("IRQHandler.SetNotification", irq, caps=[world.mint(notification, 2)])
    for _ in range(2):
        world.oracle.event("irq", 5)
    assert world.oracle.state().interrupts[5]["active"] == "0" and world.field(notification, "word") == 2


def test_serror_is_signalled_or_dropped(world):
    serror = CONSTANTS["irq_serror"]
    assert world.oracle.event("irq", serror).effects == []
    slot, outcome = handler(world, serror)
    notification = world.make("Notification")
    world.invoke("IRQHandler.SetNotification", slot, caps=[world.mint(notification, 1)])
    world.oracle.event("irq", serror)
    assert world.field(notification, "word") == 1


# ---- Inspect -----------------------------------------------------------------------------------------------------------------------
def test_inspect_reads_slots_with_parents(world):
    endpoint = world.make("Endpoint")
    badged = world.mint(endpoint, 6, 3)
    inspect = init_slot("Inspect")
    assert world.invoke("Inspect.ReadCNode", inspect, badged, caps=[CNODE]).result == "Succeeds"
    assert world.results() == [enum("CapType", "Endpoint"), 3, 6, 0, 0, world.object_of(endpoint), endpoint + 1]
    assert world.invoke("Inspect.ReadCNode", inspect, 4096, caps=[CNODE]).result == "Fails(RangeError)"
    assert world.invoke("Inspect.ReadCNode", inspect, 0, caps=[endpoint]).result == "Fails(InvalidCapability)"
    assert world.invoke("Inspect.ReadTCBSlot", inspect, 0, caps=[ROOT_TCB]).result == "Succeeds"
    assert world.results() == [enum("CapType", "CNode"), 0, 0, 12, 52, BOOT["cnode"]]


def test_inspect_reads_objects(world):
    inspect = init_slot("Inspect")
    tcb, context = world.thread(priority=9)
    reads = (("ReadTCB", tcb, [world.object_of(tcb), 0, 9, 255, 0, 0, 0, world.object_of(context), 0, 0]),
             ("ReadSchedContext", context, [world.object_of(context), 1000, 10000, 0, 0, 0, 0, world.object_of(tcb), 0]),
             ("ReadReply", world.make("Reply"), None), ("ReadUntyped", DEVICE, [0x8000000, 24, 1 << 24, 1]))
    for method, target, expected in reads:
        assert world.invoke(f"Inspect.{method}", inspect, caps=[target]).result == "Succeeds"
        assert expected is None or world.results() == expected
        assert world.invoke(f"Inspect.{method}", inspect, caps=[CNODE]).result == "Fails(InvalidCapability)" and world.results() == [1]


# ---- What comes before every method ------------------------------------------------------------------------------------------------
def test_invocations_check_capability_arguments_label_and_length_in_order(world):
    assert world.invoke("TCB.Resume", CNODE).result == "Fails(IllegalOperation)", "the method is another object's"
    assert world.system_call("Call", {"x0": ROOT_TCB}, label=9999).result == "Fails(IllegalOperation)"
    assert world.invoke("TCB.SetPriority", ROOT_TCB, 5).result == "Fails(TruncatedMessage)"
    assert world.invoke("TCB.SetPriority", ROOT_TCB, caps=[ROOT_TCB]).result == "Fails(TruncatedMessage)"


def test_an_address_that_does_not_resolve_faults(world):
    outcome = world.system_call("Call", {"x0": 2000, "pc": 0x7004})
    assert outcome.result == "Faults(CapFault)" and outcome.current is None


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_is_reached(world, name):
    """Each method's definition is found by its label: with no words and no capabilities it refuses or answers, and nothing is stuck."""
    kind = METHODS[name]["object"]["name"]
    fixed = {"Untyped": UNTYPED, "CNode": CNODE, "TCB": ROOT_TCB, "SchedControl": SCHED_CONTROL, "SchedContext": init_slot("SchedContext"),
             "VSpace": VSPACE, "ASIDControl": init_slot("ASIDControl"), "ASIDPool": init_slot("ASIDPool"), "IRQControl": init_slot("IRQControl"),
             "Domain": init_slot("Domain"), "Inspect": init_slot("Inspect"), "Frame": init_slot("IPCBuffer")}
    target = fixed.get(kind) or (world.make(kind) if kind == "PageTable" else handler(world, 50)[0])
    outcome = world.system_call("Call", {"x0": target}, label=METHODS[name]["label"])
    needs = METHODS[name]["words"] or METHODS[name]["caps"]
    assert outcome.result == "Fails(TruncatedMessage)" if needs else outcome.result in ("Succeeds", "Fails(IllegalOperation)")


# ---- The tools ---------------------------------------------------------------------------------------------------------------------
def test_a_state_is_read_back_as_it_was_printed(program, world):
    world.thread(resume=True, buffer=True)
    handler(world, 33)
    space(world)
    world.oracle.write("state")
    lines = []
    while (line := world.oracle.answer()) != ".":
        lines.append(line)
    again = Oracle(program, lines=lines)
    world.oracle.write("digest")
    again.write("digest")
    assert world.oracle.answer() == again.answer()
    assert parse_state(lines) == again.state()
    again.close()


def test_states_are_kept_and_changes_are_told(world):
    before = world.oracle.lines("state")
    world.oracle.write("save start")
    endpoint = world.make("Endpoint")
    changes = world.oracle.changes()
    after = world.oracle.lines("state")
    assert changes[0].startswith("core ")
    assert set(changes[1:]) == {line for line in after if line not in before and not line.startswith("children")}
    assert any(line.startswith("slot ") and "Endpoint" in line for line in changes)
    address = world.object_of(endpoint)
    world.oracle.write("restore start")
    changes = world.oracle.changes()
    assert f"object {address:#x}" in changes, "of lines that are gone the first two words"
    assert world.oracle.lines("state") == before and len(world.oracle.changes()) == 1


def test_the_digest_is_that_of_the_lines(world):
    """As trace.md says, computed from the printed state, also after a state was left and restored."""
    def digest():
        total = 0
        for line in world.oracle.lines("state"):
            if not line.startswith("children"):
                value = 0xbf29ce484222325
                for byte in line.encode():
                    value = (value ^ byte) * 0x100000001b3 % 2**63
                value = (value ^ value >> 32) * 0x9e3779b97f4a7c1 % 2**63
                total += value ^ value >> 29
        return f"{total % 2**63:016x}"
    world.oracle.write("save start")
    for _ in range(2):
        slots = [world.make(kind) for kind in ("Endpoint", "TCB", "Notification")]
        assert world.delete(slots[1]).digest == digest()
        world.oracle.write("restore start")
        assert world.system_call("Yield").digest == digest()


@pytest.mark.parametrize("line, cause", [
    ("svc x", "is no number"), ("nonsense", "neither an event nor a command"), ("svc 0 x99=1", "is no register"),
    ("begin\nslot 0x1 Foo parent=-", "is no capability"),
    ("begin\nobject 0x10 CNode", "'radix' is missing"), ("begin\nobject 0x10 CNode radix=4 more=1", "unknown field 'more'"),
])
def test_mistakes_in_a_trace_are_told_with_their_place(program, line, cause):
    result = subprocess.run([program], input=line + "\n", capture_output=True, text=True, timeout=60)
    assert result.returncode == 2 and cause in result.stderr and result.stderr.startswith(f"standard input:{1 + line.count(chr(10))}: ")


def test_a_state_that_contradicts_itself_is_found(program):
    result = subprocess.run([program, "--check"], input="begin\nslot 0x1000 TCB(0x2000) parent=- original=1\nend\n", capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "NoDanglingCapability" in result.stderr


def test_holes_in_proofs_are_refused():
    for text in ("Lemma a : b. Admitted.", "Axiom a : b.", "Lemma a : b. admit.", "(* then *) Admitted.", "Unset Guard Checking."):
        with pytest.raises(build.BuildError):
            build.check_holes("Some", text)
    build.check_holes("Some", "Lemma a : b. Proof. trivial. Qed. (* no Axiom here *)")


def test_the_specification_is_short_enough_to_read():
    """All that defines what the kernel does, proofs and what is generated apart."""
    files = [FOLDER / "spec" / f"{name}.v" for name in build.SPECIFICATION if name not in build.GENERATED]
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert len(lines) <= 3800 and max(map(len, lines)) <= 160


def test_the_claims_are_short_enough_to_read():
    """What is proved of the specification defines nothing, stands in one file, and is counted by itself."""
    lines = (FOLDER / "spec" / "Claims.v").read_text().splitlines()
    assert len(lines) <= 600 and max(map(len, lines)) <= 160


def test_what_policies_are_is_short_too():
    """Policies, what is claimed of them included. They define nothing of a step, and are counted apart."""
    lines = [line for name in (*build.POLICIES, "PolicyClaims") for line in (FOLDER / "spec" / f"{name}.v").read_text().splitlines()]
    assert len(lines) <= 450 and max(map(len, lines)) <= 160


def test_what_is_claimed_of_the_bound_is_short_too():
    """Who is bound by a policy, and what is claimed of what they do. It defines nothing of a step, and is counted apart."""
    lines = (FOLDER / "spec" / "BoundClaims.v").read_text().splitlines()
    assert len(lines) <= 80 and max(map(len, lines)) <= 160


def test_what_is_claimed_of_integrity_is_short_too():
    """What leads to what, which field changes by which rule, and what is claimed of it. It defines nothing of a step, and is counted apart."""
    lines = (FOLDER / "spec" / "IntegrityClaims.v").read_text().splitlines()
    assert len(lines) <= 450 and max(map(len, lines)) <= 160


def test_what_is_claimed_of_flows_is_short_too():
    """To whom a policy's edges lead, and what is claimed of it. It defines nothing of a step, and is counted apart."""
    lines = (FOLDER / "spec" / "FlowClaims.v").read_text().splitlines()
    assert len(lines) <= 330 and max(map(len, lines)) <= 160


def test_claims_are_those_that_were_agreed():
    """Whoever changes what is claimed changes the golden copy too, so that a weaker claim is seen."""
    for name, golden in build.CLAIMS.items():
        assert (FOLDER / "spec" / f"{name}.v").read_text() == (FOLDER / golden).read_text()


def test_extraction_replaces_numbers_and_plain_data_only():
    text = (FOLDER / "spec" / "Extract.v").read_text()
    inductives = set(re.findall(r"Extract Inductive (\S+)", text))
    assert inductives == {"bool", "option", "list", "prod", "unit", "sumbool", "nat", "positive", "N", "Z"}
    constants = set(re.findall(r"Extract Constant (\S+)", text))
    assert all(name.startswith(("N.", "BinInt.Z.", "Int.Z_as_Int.")) for name in constants) and len(constants) == 28


def test_the_generated_numbers_are_the_descriptions(tmp_path):
    generate.generate(tmp_path)
    text = (tmp_path / "Api.v").read_text()
    for name, value in CONSTANTS.items():
        if f"Definition {name} " in text:
            assert f"Definition {name} : N := {value}." in text
    assert (tmp_path / "Dispatch.v").read_text().count("| Method.") == len(METHODS)


# ---- Preemption --------------------------------------------------------------------------------------------------------------------
def crowded(program):
    """A root task with a CNode that holds much, a tree of badged capabilities with threads that wait, and a mapped space."""
    world = World(program)
    endpoint, notification = world.make("Endpoint"), world.make("Notification")
    badged = [world.mint(endpoint, badge) for badge in (1, 2, 1)]
    for slot in badged:
        world.thread(resume=True)
        world.yield_to_others()
        world.system_call("Send", {"x0": slot, "pc": 0x1004})
        world.wake_root()
    world.thread(resume=True)
    world.yield_to_others()
    world.system_call("Wait", {"x0": notification, "pc": 0x1004})
    world.wake_root()
    outer, inner = world.make("CNode", 3), world.make("CNode", 2)
    tcb, _ = world.thread()
    for holder, index, bits, held in ((inner, 0, 2, tcb), (inner, 2, 2, world.make("Reply")), (outer, 1, 3, inner), (outer, 5, 3, notification),
                                      (outer, 6, 3, world.make("SmallPage"))):
        assert world.invoke("CNode.Move", holder, index, bits, held, 64, caps=[CNODE]).result == "Succeeds"
    return world, endpoint, outer


# What is done to a crowded world: method, words, capabilities, by functions of the slots that it tells.
PREEMPTIBLE = {
    "delete endpoint": lambda endpoint, outer: ("CNode.Delete", CNODE, (endpoint, 64), ()),
    "revoke endpoint": lambda endpoint, outer: ("CNode.Revoke", CNODE, (endpoint, 64), ()),
    "delete container": lambda endpoint, outer: ("CNode.Delete", CNODE, (outer, 64), ()),
    "revoke untyped": lambda endpoint, outer: ("CNode.Revoke", CNODE, (UNTYPED, 64), ()),
    "cancel badged sends": lambda endpoint, outer: ("CNode.CancelBadgedSends", CNODE, (endpoint + 2, 64), ()),
    "retype": lambda endpoint, outer: ("Untyped.Retype", UNTYPED, (enum("ObjectType", "TCB"), 0, 0, 0, 300, 4), (CNODE,)),
    "replace root": lambda endpoint, outer: ("TCB.SetSpace", ROOT_TCB, (0, 0), (0, CNODE, VSPACE)),
}


@pytest.mark.parametrize("name", PREEMPTIBLE)
@pytest.mark.parametrize("units", [1, 2, 3, 5])
def test_a_preempted_operation_ends_as_if_it_had_not_been(program, name, units):
    """Restarted until it is done, with nobody between, an operation leaves the same state."""
    ends = []
    # The replacement of three capabilities begins anew each time, so that it ends only if all fit between two preemptions.
    for step in (None, units if name != "replace root" else units + 2):
        world, endpoint, outer = crowded(program)
        method, target, words, caps = PREEMPTIBLE[name](endpoint, outer)
        buffer = world.buffers[BOOT["thread"]]
        memory = {buffer + BUFFER["caps_or_badges"] + 8 * number: cap for number, cap in enumerate(caps)}
        outcome = world.invoke(method, target, *words, caps=caps, preempt_after=step)
        count = 0
        while outcome.result == "IsPreempted":
            count += 1
            assert count < 100
            outcome = world.again(memory, step)
        assert outcome.result == "Succeeds"
        state = world.oracle.state()
        # What was left to do is in the message, which an empty result does not touch.
        state.objects[BOOT["thread"]].pop("registers")
        ends.append((state, count))
        world.oracle.close()
    assert ends[0][0] == ends[1][0] and ends[0][1] == 0


def test_operations_on_much_come_to_preemption_points(program):
    for name, choose in PREEMPTIBLE.items():
        world, endpoint, outer = crowded(program)
        method, target, words, caps = choose(endpoint, outer)
        outcome = world.invoke(method, target, *words, caps=caps, preempt_after=0)
        assert outcome.result == "IsPreempted" and name
        world.oracle.close()


# ---- Random traces -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(6))
def test_invariants_hold_after_random_events(program, seed):
    system = RandomSystem(program, seed)
    for _ in range(300):
        system.step()
    system.close()
    assert len(system.seen) > 40
