# SPDX-License-Identifier: BSD-2-Clause
"""Every diagnostic, provoked: a source text in which `¦` marks the place, the check that must speak, and a part of its message."""

import ast
import re

import pytest
from capdl_support import ROOT, default_elf, make_elf

import capdl
from capdl import checks, component_checks, policy, syntax
from capdl.diagnostics import Diagnostics, Place, Source
from capdl.driver import load_text
from capdl.explanations import EXPLANATIONS
from capdl.model import OBJECT_TYPES
from capdl.parameters import OBJECT_PARAMETERS

MARK = "¦"

# (check, text, part of the message) at the object level. OBJ and CAPS complete a text to a module.
OBJ, CAPS = "arch aarch64 objects {", "} caps {"
CNODE = f"{OBJ} c = cnode (4 bits) e = ep f = frame (4k) t = tcb n = notification u = ut (12 bits) {CAPS}"
TABLES = f"{OBJ} c = cnode (4 bits) g[2] = pgd p = pud d = pd l = pt f = frame (4k) b = frame (2M) e = ep a = asid_pool {CAPS}"
OBJECT_ERRORS = [
    # syntax
    ("syntax", "¦", "expected 'arch NAME'"),
    ("syntax", "¦objects { }", "expected 'arch NAME'"),
    ("syntax", "arch ¦z80 objects { }", "unknown architecture 'z80'"),
    ("syntax", "arch aarch64 ¦", "the file has no section"),
    ("syntax", "arch aarch64 ¦things { }", "expected a section"),
    ("syntax", "arch aarch64 objects { ¦/* open", "never closed (add a '*/')"),
    ("syntax", "arch aarch64 objects ¦{ a = ep", "never closed (add a '}')"),
    ("syntax", f"{OBJ} a ¦ep }}", "expected '='"),
    ("syntax", f"{OBJ} a = ¦epp }}", "unknown object type 'epp'"),
    ("syntax", f"{OBJ} ¦caps = ep }}", "reserved word 'caps'"),
    ("syntax", f"{OBJ} ¦§ = ep }}", "found '§'"),
    ("syntax", f"{OBJ} a = ep ¦{{ b }} }}", "only an untyped (ut) covers objects"),
    ("syntax", f"{OBJ} a = frame (4¦) }}", "expected 'bits', 'k' or 'M'"),
    ("syntax", f"{OBJ} a = tcb (¦colour: 3) }}", "unknown parameter 'colour'"),
    ("syntax", f"{OBJ} a = tcb (resume: ¦yes) }}", "expected True or False"),
    ("syntax", f"{OBJ} a = tcb (prio ¦3) }}", "expected ':' after 'prio'"),
    ("syntax", f"{OBJ} a = tcb (¦physical_timer: True) }}", "unknown parameter 'physical_timer'"),
    ("syntax", f"{OBJ} a = tcb (¦first_receive: 1) }}", "unknown parameter 'first_receive'"),
    ("syntax", f"caprock 1 {OBJ} a = tcb (pmu: ¦1) }}", "expected True or False"),
    ("syntax", f"{OBJ} a = arm_irq (trigger: ¦both, target: 0) }}", "expected level or edge"),
    ("syntax", f"{OBJ} a = frame (4k, fill: [¦{{0 1 x", "the fill is never closed"),
    ("syntax", f"{OBJ} a[1 ¦= ep }}", "expected ']'"),
    ("syntax", f"{OBJ} a[..¦] = ep }}", "an index after '..'"),
    ("syntax", f"{CNODE} c {{ 0 ¦e }} }}", "expected ':' after the slot"),
    ("syntax", f"{CNODE} c {{ 0: ¦(e) }} }}", "expected an object"),
    ("syntax", f"{CNODE} c {{ 0: e (¦bodge: 1) }} }}", "unknown parameter 'bodge'"),
    ("syntax", f"{CNODE} c {{ 0: x = <x ¦}} }}", "expected '>'"),
    ("syntax", f"{CNODE} c {{ 0: <x> (masked: ¦Q) }} }}", "expected rights"),
    ("syntax", f"{CNODE} c {{ 0: e ¦-  child_of x }} }}", "with one space"),
    ("syntax", f"{CNODE} x = ¦e }}", "expected '('"),
    ("syntax", f"{CNODE} }} ¦irq  maps {{ }}", "expected 'irq maps'"),
    ("syntax", f"{CNODE} }} cdt {{ (c, 0) ¦}}", "expected '{'"),
    ("syntax", f"{CNODE} }} domains {{ ¦colour: 1 }}", "unknown item 'colour'"),
    ("syntax", f"{CNODE} }} domains {{ schedule: [(1, 2) ¦(3, 4)] }}", "expected ',' or ']'"),
    ("syntax", f"{OBJ} " + "a = ut { " * 63 + "a = ut ¦{ " + "} " * 64 + "}", "braces nest deeper"),
    ("number-range", f"{OBJ} a = ut (¦0x10000000000000000 bits) }}", "does not fit 64 bits"),
    ("number-range", f"{OBJ} a = ut (12 bits, paddr: ¦" + "9" * 5000 + ") }", "does not fit 64 bits"),
    # objects
    ("duplicate-name", f"{OBJ} a = ep ¦a = ep }}", "declared twice"),
    ("duplicate-name", f"{OBJ} a = ep ¦a = ut (8 bits) }}", "as ep and as ut"),
    ("untyped-two-sizes", f"{OBJ} a = ut (8 bits) ¦a = ut (9 bits) }}", "with 8 bits"),
    ("untyped-two-sizes", f"{OBJ} a = ut (12 bits, paddr: 0x1000) ¦a = ut (12 bits, paddr: 0x2000) }}", "another address"),
    ("empty-array", f"{OBJ} ¦e[0] = ep }}", "is empty"),
    ("too-large", f"{OBJ} ¦e[99999999999] = ep }}", "exceeds the limit"),
    ("too-large", f"{OBJ} e[9999] = ep u[1] = ut (30 bits) u[0] = ut {{ " + "e[] " * 419 + "¦e[] } }", "multiply to more than"),
    ("not-unique", f"{OBJ} ¦e[1..2] = ep }}", "declares nothing"),
    ("object-parameters", f"{OBJ} a = ep (¦prio: 3) }}", "has no meaning for type ep (it takes none)"),
    ("object-parameters", f"{OBJ} a = cnode (4 bits, ¦5 bits) }}", "given twice"),
    ("object-parameters", f"{OBJ} ¦a = cnode }}", "lacks the parameter 'bits'"),
    ("object-parameters", f"{OBJ} ¦a = tcb (ip: 1) }}", "needs all of addr, ip, sp"),
    ("object-parameters", f"{OBJ} ¦a = tcb (resume: True) }}", "needs all of addr, ip, sp"),
    ("object-parameters", f"{OBJ} ¦a = sc (8 bits, period: 3) }}", "period and budget together"),
    ("object-parameters", f"{OBJ} ¦a = arm_irq (trigger: level) }}", "lacks the parameter 'target'"),
    ("frame-size", f"{OBJ} ¦a = frame (3k) }}", "no power of two"),
    ("fill-form", f"{OBJ} a = frame (4k, fill: [¦{{0 1 other}}]) }}", "the fill is not understood"),
    ("cover", f"{OBJ} ¦u[2] = ut (12 bits) {{ e = ep }} }}", "cannot cover objects"),
    ("cover", f"{OBJ} e = ep ¦e/f = ep }}", "'e' covers objects but is of type ep"),
    ("cover", f"{OBJ} e = ep a = ut (9 bits) {{ e }} ¦b = ut (9 bits) {{ e }} }}", "is covered by 'a' and by 'b'"),
    ("cover", f"{OBJ} ¦a = ut (9 bits) {{ a }} }}", "covers itself"),
    ("unknown-name", f"{OBJ} a = ut (9 bits) {{ ¦b }} }}", "unknown object 'b'"),
    ("architecture", f"{OBJ} ¦a = pml4 }}", "which aarch64 does not have"),
    ("architecture", f"{CNODE} c {{ ¦io_space_master }} }}", "has no io_space_master"),
    # capabilities
    ("unknown-name", f"{CNODE} c {{ 0: ¦ee }} }}", "unknown object 'ee'"),
    ("unknown-name", f"{OBJ} frames = ep c = cnode (1 bits) {CAPS} c {{ 0: ¦frame }} }}", "did you mean 'frames'?"),
    ("unknown-name", f"{CNODE} ¦d {{ 0: e }} }}", "unknown object 'd'"),
    ("unknown-name", f"{TABLES} c {{ 0: ¦g }} }}", "is an array (write g[]"),
    ("unknown-name", f"{TABLES} c {{ 0: ¦p[0] }} }}", "is no array"),
    ("unknown-name", f"{TABLES} c {{ 0: ¦zz[0] }} }}", "unknown array of objects"),
    ("array-bounds", f"{TABLES} c {{ 0: ¦g[2] }} }}", "reaches past the array, which has 2 elements"),
    ("array-bounds", f"{TABLES} c {{ 0: ¦g[0..5] }} }}", "reaches past the array"),
    ("not-unique", f"{TABLES} c {{ 0: f (mapping: (¦g[], 0)) }} }}", "means 2 objects where one is needed"),
    ("no-slots", f"{CNODE} ¦e {{ 0: f }} }}", "holds no capabilities"),
    ("slot-twice", f"{CNODE} c {{ 1: e ¦1: f }} }}", "slot 1 of 'c' is filled twice"),
    ("slot-twice", f"{CNODE} t {{ cspace: c ¦cspace: c }} }}", "slot cspace of 't' is filled twice"),
    ("slot-twice", f"{CNODE} c {{ 1: a = e ¦1: <a> }} }}", "is filled twice"),
    ("cap-parameters", f"{CNODE} c {{ 1: t (¦RW) }} }}", "has no meaning for a capability to 't' (tcb)"),
    ("cap-parameters", f"{CNODE} c {{ 1: e (badge: 1, ¦badge: 2) }} }}", "given twice"),
    ("cap-parameters", f"{CNODE} c {{ 1: t (reply, ¦master_reply) }} }}", "given twice"),
    ("cap-parameters", f"{CNODE} c {{ 1: irq_control (¦badge: 2) }} }}", "has no meaning for irq_control"),
    ("cap-parameters", f"{CNODE} c {{ ¦1: sched_control }} }}", "needs the parameter 'core'"),
    ("cap-name", f"{TABLES} c {{ 0: ¦n = g[] }} }}", "one name for 2 capabilities"),
    ("cap-name", f"{TABLES} c {{ 0: ¦n[3] = g[] }} }}", "is written n[]"),
    ("duplicate-cap-name", f"{CNODE} c {{ 0: a = e 1: ¦a = f }} }}", "given twice"),
    ("slot-of-nothing", f"{CNODE} a = (¦irq_table, 0) }}", "which does not exist"),
    ("copy-unnumbered", f"{CNODE} c {{ 0: a = e ¦<a> }} }}", "do not mix"),
    ("unknown-name", f"{CNODE} c {{ 0: <¦a> }} }}", "unknown capability 'a'"),
    ("unknown-name", f"{CNODE} c {{ 0: <¦a[]> }} }}", "unknown array of capabilities 'a'"),
    ("copy-cycle", f"{CNODE} c {{ 0: a = <b> ¦1: b = <a> }} }}", "form a cycle"),
    ("copy-cycle", f"{CNODE} c {{ ¦0: a = <a> }} }}", "form a cycle"),
    ("copy-of-nothing", f"{CNODE} a = (c, 7) c {{ 0: <¦a> }} }}", "names slot 7 of 'c', which is empty"),
    ("copy-parameters", f"{CNODE} c {{ 0: a = e 1: <a> (¦badge: 3) }} }}", "only masked:"),
    ("tcb-slot", f"{CNODE} t {{ ¦12: c }} }}", "'t' has no slot 12"),
    ("tcb-slot", f"{CNODE} t {{ ¦cspace: e }} }}", "slot cspace of 't' cannot hold 'e' (ep)"),
    ("tcb-slot", f"{CNODE} t {{ ¦reply_slot: t }} }}", "slot reply_slot of 't' cannot hold"),
    ("table-child", f"{TABLES} g[0] {{ ¦0: d }} }}", "cannot hold 'd' (pd) (it holds: pud)"),
    ("table-child", f"{TABLES} l {{ ¦0: irq_control }} }}", "cannot hold irq_control"),
    ("asid-slot", f"{TABLES} a {{ ¦0: l }} }}", "only roots of address spaces"),
    ("irq-slot", f"{OBJ} i = irq e = ep {CAPS} i {{ ¦0: e }} }}", "only slot 0 holds a notification"),
    ("mapping", f"{TABLES} c {{ ¦0: f (mapping: (l, 3)) }} }}", "which holds no frame"),
    ("mapping", f"{TABLES} c {{ ¦0: f (mapping: (c, 3)) }} }}", "maps no frames"),
    ("mapping", f"{TABLES} l {{ 0: f }} c {{ 0: f (mapping: (l, 0)) ¦1: f (mapping: (l, 0)) }} }}", "the mapping of two capabilities"),
    ("mapping", f"{TABLES} l {{ 0: f ¦1: f (mapping: (l, 0)) }} }}", "only capabilities in CNodes"),
    # interrupts, derivations, domains
    ("irq-twice", f"{OBJ} i[2] = irq }} irq maps {{ 3: i[0] ¦3: i[1] }}", "mapped twice"),
    ("irq-kind", f"{OBJ} e = ep }} irq maps {{ ¦e }}", "is of type ep, not an interrupt"),
    ("irq-maps-twice", f"{OBJ} i[2] = irq }} irq maps {{ i[0] }} ¦irq maps {{ i[1] }}", "a second 'irq maps'"),
    ("two-parents", f"{CNODE} c {{ e e e }} }} cdt {{ (c, 0) {{ (c, 2) }} (c, 1) {{ ¦(c, 2) }} }}", "has two parents"),
    ("unknown-name", f"{CNODE} }} cdt {{ ¦a {{ }} }}", "unknown capability 'a'"),
    ("domains", f"{CNODE} }} domains {{ ¦schedule: [(256, 1)] }}", "domain 256 is out of range"),
    ("domains", f"{CNODE} }} domains {{ ¦schedule: [(1, 1)] domain_set_start: 1 }}", "past the schedule of 1 entries"),
    ("domains", f"{CNODE} }} domains {{ index_shift: 1 ¦index_shift: 1 }}", "given twice"),
    # strict
    ("cnode-slot", f"{CNODE} c {{ ¦16: e }} }}", "outside 'c', which has 16 slots"),
    ("cnode-slot", f"{OBJ} ¦c = cnode (60 bits) }}", "exceeds the address space"),
    ("table-index", f"{TABLES} l {{ ¦512: f }} }}", "outside 'l', which has 512 entries"),
    ("frame-size", f"{OBJ} ¦f = frame (8k) }}", "has no frames of 2^13 bytes"),
    ("frame-size", f"{TABLES} l {{ ¦0: b }} }}", "maps frames of 2^12 bytes; 'b' has 2^21"),
    ("priority", f"{OBJ} ¦t = tcb (addr: 0, ip: 0, sp: 0, prio: 256, max_prio: 0, affinity: 0) }}", "above the highest priority"),
    ("budget", f"{OBJ} ¦s = sc (8 bits, period: 5, budget: 6) }}", "above its period"),
    ("budget", f"{OBJ} ¦s = sc (8 bits, period: 5, budget: 0) }}", "is 0"),
    ("budget", f"{OBJ} ¦s = sc (8 bits, period: 3600000001, budget: 1) }}", "is above 3600000000 us"),
    ("untyped-size", f"{OBJ} a = ut (10 bits) {{ ¦t = tcb }} }}", "larger than the untyped 'a'"),
    ("untyped-size", f"{OBJ} ¦a = ut (12 bits) {{ f = frame (4k) t = tcb }} }}", "need 6144 bytes; it has 4096"),
    ("physical-address", f"{OBJ} ¦f = frame (4k, paddr: 0x1001) }}", "not aligned"),
    ("physical-address", f"{OBJ} ¦f = ut (63 bits, paddr: 0xC000000000000000) }}", "ends above the last address"),
    ("physical-address", f"{OBJ} a = ut (12 bits, paddr: 0x1000) {{ ¦f = frame (4k, paddr: 0x3000) }} }}", "outside the untyped 'a'"),
    ("physical-overlap", f"{OBJ} a = frame (2M, paddr: 0x200000) ¦b = frame (4k, paddr: 0x3ff000) }}", "overlaps 'a' at 0x200000"),
    ("physical-overlap", f"{OBJ} ¦a[2] = frame (4k, paddr: 0x1000) }}", "overlaps"),
    ("cdt-cycle", f"{CNODE} c {{ e e }} }} cdt {{ (c, 0) {{ ¦(c, 1) }} (c, 1) {{ (c, 0) }} }}", "leads back to itself"),
    ("cdt-rights", f"{CNODE} c {{ e (R) e (RW) }} }} cdt {{ (c, 0) {{ ¦(c, 1) }} }}", "has the right W that its parent"),
    ("cdt-empty", f"{CNODE} c {{ e }} }} cdt {{ (c, 0) {{ ¦(c, 1) }} }}", "holds nothing that could derive"),
    ("fill", f"{OBJ} ¦f = frame (4k, fill: [{{4000 97 CDL_FrameFill_FileData \"x\" 0}}]) }}", "ends at byte 4097, past the frame"),
    ("fill", f"{OBJ} ¦f = frame (4k, fill: [{{0 9 CDL_FrameFill_FileData \"x\" 0}}, {{8 1 CDL_FrameFill_FileData \"x\" 0}}]) }}",
     "overlap at byte 8"),
    ("guard", f"{CNODE} c {{ ¦c (guard: 4, guard_size: 2) }} }}", "wider than its size of 2 bits"),
    ("guard", f"{CNODE} c {{ ¦c (guard: 0, guard_size: 64) }} }}", "out of range (0 to 63)"),
    ("guard", f"{CNODE} c {{ ¦c (guard: 0, guard_size: 61) }} }}", "exceed 64 bits"),
    ("table-parents", f"{TABLES} g[0] {{ 0: p }} g[1] {{ ¦0: p }} }}", "'p' is in 'g[1]' and in 'g[0]'"),
    ("irq-unmapped", f"{OBJ} i = irq c = cnode (1 bits) {CAPS} c {{ ¦i }} }}", "handler of no interrupt"),
    # loadable
    ("loadable-architecture", "arch arm11 objects { ¦e = ep }", "cannot be built"),
    ("loadable-object", f"{OBJ} ¦v = vcpu }}", "'v' (vcpu) cannot be loaded: virtual machines"),
    ("loadable-object", f"{OBJ} ¦v = smc }}", "cannot be loaded: calls of secure firmware"),
    ("loadable-size", f"{OBJ} ¦s = sc (6 bits, period: 1, budget: 1) }}", "at least 7"),
    ("loadable-size", f"{OBJ} ¦c = cnode (0 bits) }}", "a CNode has 1 to 42"),
    ("loadable-size", f"{OBJ} ¦u = ut }}", "has no size"),
    ("loadable-tcb", f"{OBJ} ¦t = tcb (fault_ep: 3) }}", "put the endpoint into fault_ep_slot"),
    ("loadable-tcb", f"{OBJ} ¦t = tcb (dom: 16) }}", "domain 16 does not exist (0 to 15)"),
    ("loadable-tcb", f"caprock 1 {OBJ} ¦t = tcb (dom: 1, first_receive: 1) }}", "starts on a lent context, which it can in domain 0 only"),
    ("loadable-tcb", f"{OBJ} ¦t = tcb (addr: 0, affinity: 8) }}", "core 8 does not exist"),
    ("loadable-tcb", f"{OBJ} ¦t = tcb (init: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) }}", "at most 9"),
    ("loadable-tcb", f"{CNODE} t {{ ¦ipc_buffer_slot: f (RW) }} }}", "no address for it"),
    ("loadable-tcb", f"{OBJ} t = tcb (addr: 0x1001, affinity: 0) f = frame (4k) {CAPS} t {{ ¦ipc_buffer_slot: f }} }}",
     "no multiple of 1024"),
    ("loadable-tcb", f"{OBJ} t = tcb p = pud {CAPS} t {{ ¦vspace: p }} }}", "begins with a pgd"),
    ("loadable-cap", f"{CNODE} c {{ ¦t (reply) }} }}", "use an rtreply"),
    ("loadable-cap", f"{CNODE} c {{ ¦sched_control (core: 8) }} }}", "core 8 does not exist"),
    ("loadable-irq", f"{OBJ} i = irq }} irq maps {{ ¦1: i }}", "out of range (2 to 1019, or 1020 for SError)"),
    ("loadable-irq", f"{OBJ} i = irq }} irq maps {{ ¦1021: i }}", "out of range (2 to 1019, or 1020 for SError)"),
    ("loadable-irq", f"{OBJ} ¦i = arm_irq (trigger: edge, target: 9) }} irq maps {{ 40: i }}", "interrupts go to core 0, not to core 9"),
    ("loadable-shared-irq", f"{OBJ} i = irq }} irq maps {{ 40: i ¦41: i }}", "handler of 2 interrupts"),
    ("loadable-sgi", f"{OBJ} ¦s = arm_sgi_signal (irq: 1, target: 0) }}", "1 is no software-generated interrupt (2 to 15)"),
    ("loadable-sgi", f"{OBJ} ¦s = arm_sgi_signal (irq: 16, target: 0) }}", "16 is no software-generated interrupt (2 to 15)"),
    ("loadable-sgi", f"{OBJ} ¦s = arm_sgi_signal (irq: 2, target: 8) }}", "core 8 does not exist"),
    ("loadable-domains", f"{CNODE} }} domains {{ ¦schedule: [(16, 1)] }}", "domain 16 does not exist (0 to 15)"),
    ("loadable-domains", f"{CNODE} }} domains {{ ¦schedule: [(1, 1), (0, 2)] index_shift: 63 }}", "ends at entry 65, and the kernel has 64"),
    ("loadable-domains", f"{CNODE} }} domains {{ ¦schedule: [(1, 3600000001 us)] }}", "is above 3600000000 us"),
    ("loadable-domains", f"{CNODE} }} domains {{ ¦schedule: [(1, 1), (0, 0)] domain_set_start: 1 }}", "begins with entry 1, whose duration is 0"),
    ("loadable-vspace", f"{TABLES.replace('l = pt', '¦l = pt')} l {{ 0: f }} }}", "is in no address space"),
]

# At the component level. GOOD is a system without findings, by parts; errors replace a part.
HEAD = "caprock 1 interface I { m(in u64 a) -> u64 } interface J { }\n"
SERVER = 's = component { elf "b.elf"; prio 2; budget 1ms/2ms; provides i: I; region r; consumes n }\n'
CLIENT = 'c = component { elf "a.elf"; prio 1; budget 1ms/2ms; uses i: I; region r; emits n; %s}\n'
CONNECT = "connect { call c.i -> s.i; notify c.n -> s.n; shared c.r -> s.r (4k, from: RW, to: R) %s}\n"
GOOD = HEAD + "components {\n" + SERVER + CLIENT + "}\n" + CONNECT


def good(item="", connection=""):
    """GOOD with one more item of the client and one more connection."""
    return GOOD % (item, connection)


def restarted(rule, items=None, more=""):
    """A system of a restarted component, with others, and the restarter."""
    return (f'{HEAD}components {{ restarter = component {{ elf "r.elf"; prio 9; budget 1ms/2ms; provides i: I }} '
            f"c = component {{ {BASE if items is None else items} ¦restart {rule} }} {more} }} ")


def one(items):
    """A system of one component with the given items."""
    return f"{HEAD}components {{ c = component {{ {items} }} }}"


BASE = 'elf "a.elf"; prio 1; budget 1ms/2ms; '
COMPONENT_ERRORS = [
    ("syntax", "caprock 1 memory { 4k ¦0x1000 }", "expected 'at'"),
    ("syntax", "caprock 1 memory { ¦at 0x1000 }", "expected the size of memory"),
    ("syntax", "caprock ¦2", "expected 'caprock 1'"),
    ("syntax", "caprock 1 ¦politics { }", "expected a section (include, interface, components"),
    ("syntax", "caprock 1 arch aarch64 ¦arch aarch64", "given twice"),
    ("syntax", "caprock 1 interface ¦a-b { }", "cannot be the interface's name"),
    ("syntax", "caprock 1 interface I { ¦a.b() }", "cannot be a method's name"),
    ("syntax", "caprock 1 interface I { m(¦u64 a) }", "expected in, out or inout"),
    ("syntax", "caprock 1 interface I { struct S { u8 a¦[4] } }", "stands behind the type (u8[n] a)"),
    ("syntax", "caprock 1 interface I { m(in ¦u65 a) }", "unknown type 'u65'"),
    ("syntax", "caprock 1 interface I { m(in bytes[¦961] a) }", "out of range (1 to 960)"),
    ("syntax", "caprock 1 interface I { m(inout ¦cap a) }", "a capability travels one way"),
    ("syntax", "caprock 1 interface I { m() -> ¦bytes[4] }", "use an 'out' parameter"),
    ("syntax", "caprock 1 interface I { m ¦}", "expected '(' after the method's name"),
    ("syntax", one("¦colour 3"), "unknown item 'colour'"),
    ("syntax", one("access ¦virtual_timer"), "unknown access 'virtual_timer' (known: pmu physical_timer)"),
    ("syntax", one("budget 1¦/2ms"), "expected a unit of time"),
    ("syntax", one("budget 1ms ¦; prio 3"), "expected '/' and the period"),
    ("syntax", one("uses i¦; prio 3"), "expected ':' and an interface"),
    ("syntax", one("args { a: ¦b }"), "a number, or a text"),
    ("syntax", one(f'args {{ a: ¦"{"x" * 64}" }}'), "longer than 63 bytes"),
    ("syntax", one("device d: ¦3"), "expected a device-tree path"),
    ("syntax", one("faults ¦from x"), "expected 'to'"),
    ("syntax", f"caprock 1 components {{ ¦{'x' * 32} = component {{ }} }}", "longer than 31 bytes"),
    ("syntax", "caprock 1 components { ¦a.b = component { } }", "cannot be a component's name"),
    ("syntax", "caprock 1 components { a = ¦thing { } }", "expected 'component'"),
    ("syntax", "caprock 1 connect { ¦wire a.b -> c.d }", "unknown connection 'wire'"),
    ("syntax", "caprock 1 connect { call ¦a -> c.d }", "expected component.port"),
    ("syntax", "caprock 1 connect { call a.b ¦c.d }", "expected '->'"),
    ("syntax", "caprock 1 connect { call a.b -> c.d (¦colour: 3) }", "expected 'badge'"),
    ("syntax", "caprock 1 connect { notify a.b -> c.d (¦badge: 3) }", "has no parameters"),
    ("syntax", "caprock 1 connect { shared a.b -> c.d (4k, ¦via: R) }", "unknown parameter 'via'"),
    ("syntax", "caprock 1 connect { shared a.b -> c.d (4k, from: ¦W) }", "expected R or RW"),
    ("include", "caprock 1 include ¦\"nowhere.cdl\"", "does not exist"),
    ("include", "caprock 1 include ¦\"./test.cdl\"", "includes itself"),
    ("interface-names", "caprock 1 interface I { } interface ¦I { }", "declared twice"),
    ("interface-names", "caprock 1 interface I { m() ¦m() }", "two methods 'm'"),
    ("interface-names", "caprock 1 interface I { m(in u8 a, ¦out u8 a) }", "two parameters 'a'"),
    ("message-length", "caprock 1 interface I { ¦m(in bytes[960] a) }", "takes 121 words; a message has at most 120"),
    ("message-length", "caprock 1 interface I { ¦m(out bytes[952] a) -> u64 m2(out u8 b, out bytes[944] a) }",
     "the reply of 'I.m' takes 121 words"),
    ("message-caps", "caprock 1 interface I { m(in cap a, ¦in cap b) }", "a message hands over one"),
    ("component-names", GOOD % ("", "") + "components { ¦c = component { " + BASE + "} }", "declared twice"),
    ("component-names", one(BASE + "args { a: 1, ¦a: 2 }"), "two arguments 'a'"),
    ("component-names", one(BASE + "¦prio 2"), "has 'prio' twice"),
    ("component-names", one(BASE + "provides i: I; provides ¦i: J"), "has 'provides i' twice"),
    ("component-names", one(BASE + "device d: stdout; ¦device d: stdout"), "two devices 'd'"),
    ("component-names", one(BASE + "access pmu; access ¦pmu"), "two accesses 'pmu'"),
    ("component-settings", f"{HEAD}components {{ ¦c = component {{ prio 1; budget 1ms/2ms }} }}", "has no program"),
    ("component-settings", f"{HEAD}components {{ ¦c = component {{ elf \"a.elf\"; budget 1ms/2ms }} }}", "has no priority"),
    ("component-settings", f"{HEAD}components {{ ¦c = component {{ elf \"a.elf\"; prio 1 }} }}", "has no budget"),
    ("component-settings", one(BASE + "provides i: I; ¦passive"), "is passive and has a budget"),
    ("component-settings", one('elf "a.elf"; prio 1; ¦passive'), "provides nothing"),
    ("component-passive", one('elf "a.elf"; prio 1; provides i: I; irq n: stdout 0; ¦passive'), "the signal 'n' would bring it no time"),
    ("component-passive", one('elf "a.elf"; prio 1; provides i: I; domain 2; ¦passive'), "starts in domain 0 only"),
    ("component-passive", f'{HEAD}components {{ c = component {{ {BASE} ¦faults to p }} p = component {{ elf "a.elf"; prio 1; passive; '
     'provides i: I } }', "'p' is passive, and a timeout would bring it no time"),
    ("component-passive", f'{HEAD}components {{ ¦p = component {{ elf "a.elf"; prio 1; passive; provides i: I; uses j: J }} '
     f"a = component {{ {BASE} provides j: J; uses k: I }} }} connect {{ call p.j -> a.j call a.k -> p.i }}",
     "'p' is passive and has to be ready before those who call it"),
    ("priority-order", GOOD.replace("prio 1", "prio 3").replace("call c.i", "¦call c.i") % ("", ""), "calls 's' of priority 2"),
    ("call-cycle", GOOD.replace("consumes n", "consumes n; prio 2; uses j: J").replace("prio 2; budget", "budget").replace("prio 1", "prio 2; provides j: J")
     % ("", "; ¦call s.j -> c.j"), "calls lead in a circle: c -> s -> c"),
    ("call-cycle", one(BASE + "provides i: I; uses i: I") + " connect { ¦call c.i -> c.i }", "calls lead in a circle: c -> c"),
    ("component-ranges", one('elf "a.elf"; budget 1ms/2ms; ¦prio 256'), "above the highest priority"),
    ("component-ranges", one('elf "a.elf"; prio 1; ¦budget 3ms/2ms'), "above the period"),
    ("component-ranges", one('elf "a.elf"; prio 1; ¦budget 0ms/2ms'), "the budget is 0"),
    ("component-ranges", one('elf "a.elf"; prio 1; ¦budget 1ms/3601s'), "is above 3600000000 us"),
    ("component-ranges", one(BASE + "¦stack 5000"), "no multiple of 4096 bytes (write 8k)"),
    ("component-ranges", one(BASE + "¦stack 17M"), "is above"),
    ("component-ranges", one(BASE + "¦heap 20M"), "is above"),
    ("component-ranges", one(BASE + "¦core 8"), "core 8 does not exist"),
    ("component-ranges", one(BASE + "¦domain 16"), "domain 16 does not exist (0 to 15)"),
    ("component-ranges", one('prio 1; budget 1ms/2ms; ¦elf "../a.elf"'), "no plain file name"),
    ("unknown-interface", one(BASE + "provides ¦k: K"), "unknown interface 'K'"),
    ("wcet", 'caprock 1 interface I { m() wcet 2ms n() wcet 1ms } components { p = component { elf "a.elf"; prio 1; passive; provides i: I } '
     f"a = component {{ {BASE} uses i: I }} }} connect {{ ¦call a.i -> p.i }}", "'I.m' takes up to 2000 us on its caller's time, and 'a' has 1000 us"),
    ("restart-rule", restarted("on hang"), "a hang shows by a missed heartbeat"),
    ("restart-rule", restarted("on fault (heartbeat 1s)"), "a heartbeat that is missed has no consequence"),
    ("restart-rule", restarted("on fault (backoff 0us)"), "a time of 0 means nothing"),
    ("restart-rule", restarted("on fault (max 17 per 1s)"), "max 17 is out of range (1 to 16)"),
    ("restart-rule", restarted("on fault (max 1 per 1s, backoff 2s)"), "the backoff 2000000 us is above the time 1000000 us"),
    ("restart-rule", restarted("on hang (heartbeat 3ms)"), "shorter than two periods of 'c', 2000 us each"),
    ("restart-handler", one(BASE + "¦restart on fault"), "no component 'restarter' to restart 'c'"),
    ("restart-handler", restarted("on fault; provides i: I", "passive; "), "'c' is passive, and would have no time"),
    ("restart-handler", restarted("on fault", BASE.replace("prio 1", "prio 9")), "'c' of priority 9 is not below 'restarter' of priority 9"),
    ("restart-handler", restarted("on fault").replace("¦", "").replace("restarter = component { ", "restarter = component { ¦restart on fault; "),
     "cannot restart itself"),
    ("restart-handler", restarted("on fault; ¦faults to c").replace("¦restart", "restart"), "the faults of 'c' go to 'restarter'"),
    ("restart-handler", f'{HEAD}components {{ ¦restarter = component {{ elf "r.elf"; prio 9; passive; provides i: I }} }}',
     "'restarter' is passive, and nobody calls it"),
    ("restart-calls", restarted("on fault; uses i: I", more='p = component { elf "p.elf"; prio 3; passive; provides i: I }').replace("¦", "")
     + "connect { ¦call c.i -> p.i }", "'c' is restarted, and its time may be with the passive 'p' then"),
    ("restart-grants", restarted("on fault; uses k: K; grant ¦e: e (W)").replace("¦restart", "restart") + " interface K { m(in cap c) } objects { e = ep }",
     "those of 'e' could not be taken back from others"),
    ("fault-handler", one(BASE + "¦faults to x"), "unknown component 'x'"),
    ("fault-handler", one(BASE + "¦faults to c"), "cannot handle its own faults"),
    ("notification-bits", f"{HEAD}components {{ ¦c = component {{ {BASE}" + " ".join(f"irq n{i}: stdout {i};" for i in range(65)) + "} }",
     "'c' has 65 interrupts; its notification has 64 bits"),
    ("notification-bits", f"{HEAD}components {{ ¦c = component {{ {BASE} consumes n;" + " ".join(f"irq n{i}: stdout {i};" for i in range(64)) + "} }",
     "'c' has 64 interrupts and consumes signals; its notification has 64 bits"),
    ("connection-end", good("", "notify ¦x.n -> s.n"), "unknown component 'x'"),
    ("connection-end", good("", "notify ¦c.o -> s.n"), "'c' has no 'emits o'"),
    ("connection-end", good("", "notify ¦c.i -> s.n"), "'c.i' is 'uses'"),
    ("connection-type", good("uses j: J; ", "¦call c.j -> s.i"), "uses J, but 's.i' provides I"),
    ("connected-twice", good("", "call ¦c.i -> s.i"), "is connected twice"),
    ("connected-twice", good("uses k: I; uses l: I; ", "call c.k -> s.i (badge: 5) call c.l -> s.i (¦badge: 5)"),
     "already that of another"),
    ("connected-twice", good("uses k: I; ", "call c.k -> s.i (¦badge: 0x1000000000000)"), "out of range (1 to 2^48 - 1)"),
    ("connection-parameters", good("uses k: I; ", "¦call c.k -> s.i (badge: 5, badge: 6)"), "'badge' is given 2 times"),
    ("connection-parameters", good("region q; ", "¦shared c.q -> s.r (4k, from: RW)"), "lacks 'to'"),
    ("connection-parameters", good("region q; ", "shared c.q -> s.r (¦5k, from: RW, to: R)"), "a region of 5120 bytes"),
    ("region", good("region q; ", "¦shared c.q -> s.r (8k, from: RW, to: R)"), "has another size"),
    ("region", good("region q; ", "¦shared c.q -> s.r (4k, from: RW, to: RW)"), "has the rights R in an earlier"),
    ("region", good("region q; region p; ", "shared c.q -> c.p (4k, from: R, to: R) ¦shared c.q -> s.r (4k, from: R, to: R)"),
     "both ends already belong to different regions"),
    ("unconnected", good("uses ¦j: J; "), "'c.j' (uses) is not connected"),
    ("unconnected", good("emits ¦o; "), "'c.o' (emits) is not connected"),
    ("unconnected", good("consumes ¦o; "), "is not connected"),
    ("unconnected", good("region ¦o; "), "is not connected (add a 'shared'"),
    ("generated-name", HEAD + "objects { c_tcb = tcb } components { ¦c = component { " + BASE + "} }", "the generated object 'c_tcb'"),
    ("architecture", "caprock 1 arch arm11 components { ¦c = component { " + BASE + "} }", "components run on aarch64 only"),
    ("elf-missing", 'caprock 1 components { c = component { ¦elf "nowhere.elf"; prio 1; budget 1ms/2ms } }', "build it: ./caprock build"),
    ("elf-form", 'caprock 1 components { c = component { ¦elf "text.elf"; prio 1; budget 1ms/2ms } }', "is no valid ELF file"),
    ("elf-form", 'caprock 1 components { c = component { ¦elf "x86.elf"; prio 1; budget 1ms/2ms } }',
     "not for 64-bit little-endian AArch64"),
    ("elf-form", 'caprock 1 components { c = component { ¦elf "pie.elf"; prio 1; budget 1ms/2ms } }', "not linked at a fixed address"),
    ("elf-form", 'caprock 1 components { c = component { ¦elf "noteless.elf"; prio 1; budget 1ms/2ms } }', "has no Caprock note"),
    ("elf-api-hash", 'caprock 1 components { c = component { ¦elf "old.elf"; prio 1; budget 1ms/2ms } }', "for another kernel interface"),
    ("elf-layout", 'caprock 1 components { c = component { ¦elf "wx.elf"; prio 1; budget 1ms/2ms } }', "is writable and executable"),
    ("elf-layout", 'caprock 1 components { c = component { ¦elf "low.elf"; prio 1; budget 1ms/2ms } }', "is outside 0x400000"),
    ("elf-layout", 'caprock 1 components { c = component { ¦elf "shared.elf"; prio 1; budget 1ms/2ms } }', "shares a page"),
    ("elf-layout", 'caprock 1 components { c = component { ¦elf "entry.elf"; prio 1; budget 1ms/2ms } }', "is in no executable segment"),
    ("device-tree", one(BASE + '¦device d: "/nowhere"'), "has no node '/nowhere'"),
    ("device-tree", one(BASE + "¦device d: serial7"), "has no alias 'serial7'"),
    ("device-tree", one(BASE + '¦device d: "/soc/off@3000"'), "is disabled"),
    ("device-tree", one(BASE + '¦device d: "/soc/far@20000"'), "outside the 'ranges'"),
    ("device-tree", one(BASE + '¦device d: "/soc/bare"'), "has no registers"),
    ("device-tree", one(BASE + '¦device d: "/soc/bus/chip@5"'), "has no registers"),
    ("device-tree", one(BASE + '¦device d: "/soc/closed/part@10"'), "its bus has no 'ranges'"),
    ("device-tree", one(BASE + '¦device d: "/memory@40000000"'), "is memory, not a device"),
    ("device-tree", one(BASE + "¦irq i: stdout 2"), "has 2 interrupts (index 0 to 1)"),
    ("device-tree", one(BASE + "¦irq i: clock 1"), "does not go to the GIC"),
    ("device-tree", one(BASE + '¦irq i: "/soc/bare" 0'), "has no interrupts"),
    ("device-shared", f"caprock 1 components {{ c = component {{ {BASE} device d: clock }} e = component {{ {BASE} "
     '¦device t: "/soc/twin@2080" } }', "already mapped by 'c'"),
    ("irq-twice", one(BASE + "irq i: stdout 0; ¦irq j: stdout 0"), "already belongs to 'c_irq_i'"),
]


def split(text):
    """(text without the mark, line, column of the mark)."""
    at = text.index(MARK)
    assert text.count(MARK) == 1
    line = text.count("\n", 0, at) + 1
    return text.replace(MARK, ""), line, at - (text.rfind("\n", 0, at) + 1) + 1


def assert_finding(diagnostics, name, check, line, column, message):
    """One finding is as expected, and prints as the format says."""
    rendered = diagnostics.render()
    matching = [item for item in diagnostics.findings if item.check == check and message in item.message]
    assert matching, f"no finding of '{check}' with \"{message}\":\n{rendered}"
    places = [(item.place.line, item.place.column) for item in matching]
    assert (line, column) in places, f"expected {line}:{column}, found {places}:\n{rendered}"
    assert f"{name}:{line}:{column}: error: " in rendered


@pytest.mark.parametrize(("check", "text", "message"), OBJECT_ERRORS,
                         ids=[f"{item[0]}-{index}" for index, item in enumerate(OBJECT_ERRORS)])
def test_object_level(check, text, message):
    """A mistake in plain capDL is told with its place."""
    source, line, column = split(text)
    _, diagnostics = load_text(source, "test.cdl", loadable=True)
    assert not diagnostics.ok
    assert_finding(diagnostics, "test.cdl", check, line, column, message)


@pytest.fixture(scope="module")
def broken_programs(tmp_path_factory):
    """Programs with one defect each, beside sound ones."""
    folder = tmp_path_factory.mktemp("broken")
    code = (0x401000, b"code" * 8, 32, 5)
    files = {"a.elf": default_elf(), "b.elf": default_elf(), "text.elf": b"#!/bin/sh\n", "x86.elf": default_elf(machine=62),
             "pie.elf": default_elf(kind=3), "noteless.elf": default_elf(note=False), "old.elf": default_elf(api_hash=bytes(8)),
             "wx.elf": make_elf([(0x401000, b"code" * 8, 32, 7)]), "low.elf": make_elf([(0x1000, b"code", 4, 5)], entry=0x1000),
             "shared.elf": make_elf([code, (0x401800, b"data", 4, 6)]), "entry.elf": make_elf([code], entry=0x900000)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("check", "text", "message"), COMPONENT_ERRORS,
                         ids=[f"{item[0]}-{index}" for index, item in enumerate(COMPONENT_ERRORS)])
def test_component_level(check, text, message, broken_programs, board, tmp_path):
    """A mistake in components is told with its place."""
    source, line, column = split(text)
    path = tmp_path / "test.cdl"
    path.write_text(source)
    _, diagnostics = capdl.load(path, elf_dirs=[broken_programs], dtb=board, out_dir=tmp_path)
    assert not diagnostics.ok
    assert_finding(diagnostics, str(path), check, line, column, message)


def test_good_system_is_good(broken_programs, board, tmp_path):
    """The system that the errors above are made from has none."""
    path = tmp_path / "test.cdl"
    path.write_text(good())
    spec, diagnostics = capdl.load(path, elf_dirs=[broken_programs], dtb=board, out_dir=tmp_path)
    assert diagnostics.ok and not diagnostics.findings, diagnostics.render()
    assert len(spec.components) == 2


COMPONENT_WARNINGS = [
    ("core-load", GOOD.replace("s = component", "¦s = component").replace("budget 1ms/2ms; provides", "budget 1001us/2ms; provides") % ("", ""),
     "the components of core 0 have 100.05% of its time"),
    ("unused-interface", GOOD.replace("provides i: I;", "provides i: I; provides ¦j: J;") % ("", ""), "nobody calls 's.j'"),
]


@pytest.mark.parametrize(("check", "text", "message"), COMPONENT_WARNINGS, ids=[item[0] for item in COMPONENT_WARNINGS])
def test_component_warnings(check, text, message, broken_programs, board, tmp_path):
    """What is doubtful is told, and does not stop the build."""
    source, line, column = split(text)
    path = tmp_path / "test.cdl"
    path.write_text(source)
    _, diagnostics = capdl.load(path, elf_dirs=[broken_programs], dtb=board, out_dir=tmp_path)
    assert [(item.check, item.severity, item.place.line, item.place.column) for item in diagnostics.findings] == [(check, "warning", line, column)]
    assert message in diagnostics.render() and diagnostics.ok


def test_time_without_a_promise_is_no_load(broken_programs, board, tmp_path):
    """Budgets of a whole period, and other cores, do not count."""
    path = tmp_path / "test.cdl"
    more = "".join(f'x{i} = component {{ elf "a.elf"; prio 1; {setting} }} ' for i, setting in enumerate(("budget 5ms/5ms", "budget 2ms/3ms; core 1")))
    path.write_text(GOOD.replace("components {", "components { " + more) % ("", ""))
    _, diagnostics = capdl.load(path, elf_dirs=[broken_programs], dtb=board, out_dir=tmp_path)
    assert not diagnostics.findings, diagnostics.render()


def test_every_check_is_provoked():
    """No registered check is without a test here."""
    provoked = {item[0] for item in OBJECT_ERRORS + COMPONENT_ERRORS + COMPONENT_WARNINGS}
    registered = {item.name for item in checks.CHECKS} | {item.name for item in component_checks.COMPONENT_CHECKS}
    assert registered <= provoked


def codes_in_use():
    """The codes that the package gives findings: registered checks, those of policies, and constant arguments of what reports."""
    codes = {item.name for item in checks.CHECKS} | {item.name for item in component_checks.COMPONENT_CHECKS} | set(policy.CODES)
    for path in (ROOT / "capdl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("error", "strict_error", "warning", "report"):
                last = node.args[-1] if node.args else None
                if isinstance(last, ast.Constant) and isinstance(last.value, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*", last.value):
                    codes.add(last.value)
    return codes


def test_every_code_is_explained():
    """`explain` knows every code, and explains none that nobody uses."""
    in_use = codes_in_use()
    assert len(in_use) > 80
    assert in_use - EXPLANATIONS.keys() == set()
    # Codes of the reference tool's verdict and of the lexer are not constant arguments.
    assert EXPLANATIONS.keys() - in_use <= {"syntax", "number-range"}


def test_strict_checks_become_warnings():
    """Without strict the text is accepted, and the finding stays as a warning."""
    text = f"{CNODE} c {{ 16: e }} }}"
    _, diagnostics = load_text(text, "test.cdl", strict=False)
    assert diagnostics.ok and "warning: slot 16 is outside 'c'" in diagnostics.render()
    spec, diagnostics = load_text(f"{OBJ} f = frame (4k, paddr: 0x10000000000001000) }}", strict=False)
    assert diagnostics.ok and spec.objects["f"].paddr == 0x1000


def test_fill_files(tmp_path):
    """Files of fills are looked for, and must be long enough."""
    path = tmp_path / "test.cdl"
    path.write_text('arch aarch64 objects { f = frame (4k, fill: [{0 9 CDL_FrameFill_FileData "data" 8}]) }')
    _, diagnostics = capdl.load(path, elf_dirs=[tmp_path / "none"])
    assert 'test.cdl:1:24: error: the file "data" that fills \'f\' does not exist in' in diagnostics.render()
    (tmp_path / "data").write_bytes(bytes(16))
    _, diagnostics = capdl.load(path, elf_dirs=[])
    assert 'reads up to byte 17 of "data", which has 16 bytes' in diagnostics.render()
    (tmp_path / "data").write_bytes(bytes(17))
    spec, diagnostics = capdl.load(path, elf_dirs=[])
    assert diagnostics.ok and spec.files == {"data": tmp_path / "data"}


def test_several_errors_in_one_run():
    """The parser goes on after an error, entry by entry and section by section."""
    text = """arch aarch64
objects {
  a = epp
  b = ep
  c = frame (4q)
  d = ut {
    x = tcb (colour: 3)
    y = ep
  }
}
junk
caps {
  b { 0: }
  q { 0: b ( }
}
"""
    _, diagnostics = load_text(text, "test.cdl")
    places = [(item.place.line, item.place.column) for item in diagnostics.findings]
    assert places == [(3, 7), (5, 15), (7, 14), (11, 1), (13, 10), (14, 14)]


def test_errors_are_told_before_warnings():
    """Where there are too many findings to print all, no error is left out for a warning. The error is that badges have no room for all interfaces, which
    nobody calls."""
    count = component_checks.MAX_PROVIDED + 1
    source = Source("many.cdl", "x" * count)
    ports = [syntax.Port("provides", f"p{number}", "I", Place(source, number)) for number in range(count)]
    settings = [syntax.Setting(name, value, None) for name, value in (("elf", "a.elf"), ("prio", 1), ("budget", (1, 2)))]
    system = component_checks.System([syntax.Interface("I", [], None)], [syntax.Component("c", None, settings, ports)], [])
    diagnostics = Diagnostics()
    component_checks.run(system, diagnostics)
    assert [str(finding.place) for finding in diagnostics.errors] == [f"many.cdl:1:{count}"] and len(diagnostics.findings) == count + 1
    assert "'c' provides 61440 interfaces, and badges tell 61439 apart" in diagnostics.render()


def test_errors_are_bounded():
    """A file of nothing but errors does not fill the screen."""
    _, diagnostics = load_text("arch aarch64 objects {\n" + "a = epp\n" * 5000 + "}")
    assert len(diagnostics.findings) < 30
    assert "too many syntax errors" in diagnostics.render()


@pytest.mark.parametrize("kind", OBJECT_TYPES)
def test_what_lacks_its_parameters_is_told_of_once(kind):
    """A check of the values of parameters says nothing where they are missing, for that is a finding of its own."""
    _, diagnostics = load_text(f"{OBJ} x = {kind} }}", loadable=True)
    found = [finding.check for finding in diagnostics.findings]
    assert found.count("object-parameters") == bool(OBJECT_PARAMETERS.get(kind, ((), ()))[1])
    assert set(found) <= {"object-parameters", "architecture", "loadable-object", "loadable-size"}


def test_format_of_a_finding():
    """Place, severity, message, the line and a caret below the place; tabs keep the caret in its column."""
    _, diagnostics = load_text("arch aarch64\nobjects {\n\ta = epp }", "dir/test.cdl")
    assert diagnostics.render().startswith("dir/test.cdl:3:6: error: unknown object type 'epp' (known: ")
    assert diagnostics.render().endswith("\n  \ta = epp }\n  \t    ^\n")


def test_every_finding_has_a_cause_and_a_suggestion():
    """The message's own, or that of its code."""
    _, diagnostics = load_text(f"{CNODE} c {{ 1: e (R) }} }} cdt {{ (c, 1) {{ (c, 2) }} }}", "test.cdl")
    finding, = diagnostics.findings
    assert finding.remedy is None and finding.check == "cdt-empty"
    assert diagnostics.render().endswith(f"^\n  {EXPLANATIONS['cdt-empty'].remedy}\n")
    found = finding.as_dictionary()
    assert (found["cause"], found["suggestion"]) == EXPLANATIONS["cdt-empty"]
    _, diagnostics = load_text(f"{CNODE} c {{ 16: e }} }}", "test.cdl")
    assert [item.as_dictionary()["suggestion"] for item in diagnostics.findings] == ["give it more bits"]
    assert all(len(item.cause) > 20 and len(item.remedy) > 10 for item in EXPLANATIONS.values())


def test_includes_name_their_place(tmp_path):
    """An error in an included file is told with the path relative to the including one; a diamond is read once."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "main.cdl").write_text('caprock 1 include "sub/a.cdl" include "sub/b.cdl"')
    (tmp_path / "sub" / "a.cdl").write_text('caprock 1 include "b.cdl"')
    (tmp_path / "sub" / "b.cdl").write_text("caprock 1\ninterface I { m(in u65 a) }")
    _, diagnostics = capdl.load(tmp_path / "main.cdl")
    assert [str(item.place) for item in diagnostics.findings] == [f"{tmp_path}/sub/b.cdl:2:20"]
    (tmp_path / "sub" / "b.cdl").write_text('caprock 1 include "../main.cdl"')
    _, diagnostics = capdl.load(tmp_path / "main.cdl")
    assert "includes itself, directly or through others" in diagnostics.render()


def test_include_prefers_the_projects_interfaces(tmp_path):
    """A mere name is an interface of the project, `./NAME` the file beside."""
    (tmp_path / "console.cdl").write_text("caprock 1 interface Own { }")
    (tmp_path / "main.cdl").write_text('caprock 1 include "console.cdl"')
    assert [item.name for item in capdl.load_interfaces(tmp_path / "main.cdl")[0]] == ["Console"]
    (tmp_path / "main.cdl").write_text('caprock 1 include "./console.cdl"')
    assert [item.name for item in capdl.load_interfaces(tmp_path / "main.cdl")[0]] == ["Own"]


def test_not_utf8(tmp_path):
    """A file that is no text."""
    (tmp_path / "main.cdl").write_bytes(b"caprock 1 \xff")
    _, diagnostics = capdl.load(tmp_path / "main.cdl")
    assert "is no UTF-8 text" in diagnostics.render()


def test_errors_of_all_kinds_in_one_run(tmp_path):
    """Components, names and objects are checked in one run; nothing is said to be missing because something else was not understood."""
    path = tmp_path / "test.cdl"
    path.write_text("caprock 1\ncomponents { a = component { prio 300 } }\nobjects { c = cnode (2 bits) e = ep t = tcb (resume: True) i = irq }\n"
                    "caps { c { nothing 9: e i } }\nirq maps { 40: typo }\n")
    _, diagnostics = capdl.load(path, partial=True)
    found = {(item.check, item.place.line) for item in diagnostics.findings}
    assert found == {("component-settings", 2), ("component-ranges", 2), ("object-parameters", 3), ("unknown-name", 4), ("cnode-slot", 4),
                     ("unknown-name", 5)}
