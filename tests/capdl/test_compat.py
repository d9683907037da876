# SPDX-License-Identifier: BSD-2-Clause
"""`check --compat`: verdicts of the reference tool for capDL, its peculiarities among them, for all its architectures and for dumps."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capdl import driver
from capdl.compat.dump import is_dump
from capdl.compat.verdict import judge
from capdl.diagnostics import Source
from capdl.driver import load_text
from capdl.printing import canonical_text
from capdl_support import GOLDEN
from dumps import DUMP

A64 = "arch aarch64 objects {"
ARCHITECTURES = ("ia32", "arm11", "x86_64", "aarch64", "riscv")
# Types that every architecture has, with the parameters that they need.
COMMON = {"ep": "", "notification": "", "tcb": "", "cnode": "(4 bits)", "ut": "", "irq": "", "asid_pool": "", "pd": "", "pt": "", "frame": "(4k)",
          "sc": "", "rtreply": ""}
X86 = {"io_ports": "(ports: [0x60..0x64])", "io_device": "(domainID: 3, 0x0:2.1)", "io_pt": "(level: 1)",
       "ioapic_irq": "(ioapic_num: 0, ioapic_pin: 4, ioapic_level: 1, ioapic_polarity: 1)",
       "msi_irq": "(msi_handle: 0, msi_pci_bus: 1, msi_pci_dev: 2, msi_pci_fun: 3)", "vcpu": ""}
ARM = {"arm_io_device": "(iospace: 2)", "arm_irq": "(trigger: edge, target: 0)", "arm_sgi_signal": "(irq: 10, target: 1)", "vcpu": ""}
TYPES = {"ia32": {**COMMON, **X86}, "x86_64": {**COMMON, **X86, "pml4": "", "pdpt": ""}, "arm11": {**COMMON, **ARM},
         "aarch64": {**COMMON, **ARM, "pud": "", "pgd": "", "streamid": "", "contextbank": "(bank: 1)", "smc": ""}, "riscv": COMMON}
ALL_TYPES = {kind: parameters for types in TYPES.values() for kind, parameters in types.items()}


def accepts(text):
    """The verdict, and all findings as text."""
    diagnostics = judge(Source("test.cdl", text))
    return diagnostics.ok, diagnostics.render()


def with_caps(objects, caps):
    """A description for AArch64."""
    return f"{A64} {objects} }} caps {{ {caps} }}"


ACCEPTED = [
    # Lexing
    "arch riscv objects { }",
    "arch riscv caps { } cdt { } irq maps { } objects { }",
    "/* a /* b */ c */ arch -- d\nia32 objects { e-1.x@2_=ep }",
    f"{A64} ep = ep tcb = tcb arch = notification True = ep }}",
    f"{A64} a[0x2] = ep b[0o2] = ep c[010] = ep }} caps {{ }}",
    f"{A64} ép = ep }}",
    f"{A64} t = tcb (init: [], dom: 99999999999999999999999) }}",
    f"{A64} f = frame (4k, paddr: 0x10000000000001000) }}",
    # Objects
    f"{A64} e = ep {{ }} t = tcb () {{}} u = ut {{}} }}",
    f"{A64} u = ut (4 bits, paddr: 3) {{ a = ep, b[2] = ep, v = ut {{ c = ep }}, d e[..1] }} d = ep e[2] = ep }}",
    f"{A64} a/b/c = ep a/d = ep a = ut (9 bits) b = ut a = ut {{ x }} x = ep }}",
    f"{A64} u = ut (8 bits) u = ut (level: 3, level: 4, bank: 2) }}",
    f"{A64} u = ut {{ u }} }}",
    f"{A64} u = ut {{ a, a }} a = ep }}",
    f"{A64} v[3] = ut v[1] = ut {{ b }} b = ep v[2]/c = ep v[9]/d = ep w[4]/f = ep }}",
    f"{A64} t = tcb (addr: 0, affinity: 1) s = tcb (affinity: 1, affinity: 2, addr: 3, resume: True, fpu_disabled: False) }}",
    f"{A64} t = tcb (addr: 0, ip: 1, sp: 2, prio: 1000, max_prio: 3, affinity: 4, resume: True, resume: False, dom: 7, fault_ep: 8) }}",
    f"{A64} s = sc (8 bits) t = sc (period: 3, budget: 9, budget: 2) u = sc (data: 1, period: 2, budget: 3, 40 bits) }}",
    f"{A64} f = frame (1k) g = frame (1024 M, paddr: 1) h = frame (16k, fill: []) }}",
    f"{A64} f = frame (4k, fill: [{{0 8 CDL_FrameFill_FileData \"a/*b\" 0}}, {{x}}, {{ y  --z\n w}}]) }}",
    f"{A64} i = arm_irq (target: 1, trigger: level) c = contextbank d = contextbank (bank: 2) p = asid_pool (asid_high: 4) }}",
    # Slots and capabilities
    with_caps("e = ep c = cnode (3 bits)", "c { e 5: e (RW, badge: 3, G) e (X P) ; e }"),
    with_caps("a[3] = ep c = cnode (0 bits) n = notification", "c { 0: n (W, badge: 2) } a[] { }"),
    with_caps("a[3] = ep c = cnode (3 bits)", "c { a[2..0] a[1..] a[..1] a[3..] a[1, 0, 2..2] }"),
    with_caps("a[2] = ep c = cnode (3 bits)", "c { 0xffffffffffffffff: a[] }"),
    with_caps("e = ep c[2] = cnode (3 bits)", "c[2..] { e }"),
    with_caps("t = tcb c = cnode (3 bits)", "t { cspace: c (guard: 1, guard_size: 2) } c { t (reply) t (master_reply) t }"),
    with_caps("t = tcb v = pgd f = frame (4k) e = ep s = sc n = notification k = vcpu",
              "t { vspace: v ipc_buffer_slot: f fault_ep_slot: e sc_slot: s 7: e bound_notification: n bound_vcpu: k }"),
    with_caps("t = tcb v = pud", "t { 1: v (asid: (1, 2)) 2: t (master_reply) 3: t (reply) }"),
    with_caps("c = cnode (3 bits)", "c { irq_control asid_control domain sched_control (core: 70) }"),
    with_caps("domain = ep c = cnode (3 bits)", "c { domain }"),
    with_caps("d = arm_io_device (iospace: 1) e = ep", "d { 7: e irq_control }"),
    with_caps("i = irq c = cnode (3 bits)", "c { i (guard: 3) }"),
    with_caps("s = smc c = cnode (3 bits)", "c { s (badge: 3) }"),
    # Copies and names
    with_caps("e = ep c = cnode (3 bits)", "c { 0: a = e (RW) 1: b = <a> (masked: R, badge: 7) 2: <b> (reply) }"),
    with_caps("e[3] = ep c = cnode (4 bits)", "c { 0: a[] = e[] 3: <a[]> 6: <a[1]> 7: <a[2..1]> }"),
    with_caps("e = ep c = cnode (4 bits)", "n = (c, 1) n = (c, 2) c { 2: e 3: <n> }"),
    with_caps("e[2] = ep c = cnode (4 bits)", "c { 0: a = e[] } nothing = (nowhere, 7)"),
    with_caps("e[2] = ep c = cnode (4 bits)", "c { a = e[] 7: b[3] = e[0] }"),
    with_caps("e[2] = ep c = cnode (4 bits)", "c { 0: a[] = e[] 2: <a[2..]> }"),
    # Page tables
    with_caps("p = pt f = frame (2M) d = pd u = pud g = pgd", "p { 4000: f } d { p f } u { d f } g { u }"),
    with_caps("p = pt f = frame (4k) c = cnode (3 bits)", "p { 3: f } c { f (RW, mapping: (p, 3), uncached, asid: (0, 1)) }"),
    with_caps("p = pt d = pd", "d { p 5: p }"),
    with_caps("d = pd u[2] = pud", "u[] { d }"),
    with_caps("a[2] = asid_pool v = pgd", "a[] { v }"),
    # Interrupts, derivations, domains
    f"{A64} i[3] = irq j = arm_irq (trigger: level, target: 0) }} irq maps {{ }} irq maps {{ 20: i[] 9: j; 11: j }}",
    f"{A64} i = irq j = irq }} irq maps {{ j 0: i }}",
    f"{A64} }} cdt {{ (nowhere, 3) {{ (a[2], cspace); (b, 2) }} unknown {{ }} }}",
    with_caps("e = ep c = cnode (3 bits)", "c { e e - child_of (c, 5) 2: e - child_of (c, 5) }"),
    f"{A64} }} domains {{ schedule: [(0, 10), (1, 10 ticks), (0, 0), (2, 2 us),] index_shift: 7 domain_set_start: no_start }}",
    f"{A64} }} domains {{ schedule: [(255, 72057594037927936 us)] }} domains {{ domain_set_start: 0 }}",
    f"{A64} }} domains {{ domain_set_start: 4 domain_set_start: 5 }}",
]

REJECTED = [
    # Lexing
    ("syntax", ""),
    ("syntax", "arch aarch64"),
    ("syntax", "arch arm objects { }"),
    ("syntax", "\ufeffarch aarch64 objects { }"),
    ("syntax", "caprock 1 arch aarch64 objects { }"),
    ("syntax", "arch aarch64 objects { } /* /* */"),
    ("syntax", "arch aarch64 irq  maps { }"),
    ("syntax", f"{A64} caps = ep }}"),
    ("syntax", f"{A64} e = ep-- no comment\n }}"),
    ("syntax", f"{A64} a[0x] = ep }}"),
    ("syntax", f"{A64} e == ep }}"),
    ("syntax", f"{A64} e = ep, f = ep }}"),
    # Objects
    ("syntax", f"{A64} f = frame (1G) }}"),
    ("syntax", f"{A64} f = frame (4k, fill: {{0 8 x y 0}}) }}"),
    ("syntax", f"{A64} f = frame (4k, fill: [{{0 8 x y 0 }}]) }}"),
    ("syntax", f"{A64} i = arm_irq (trigger: 1, target: 0) }}"),
    ("syntax", f"{A64} c = cnode (4 bits,) }}"),
    ("syntax", f"{A64} t = tcb (colour: 3) }}"),
    ("syntax", f"{A64} t = tcb (resume: 1) }}"),
    ("object-parameters", f"{A64} e = ep {{ f }} f = ep }}"),
    ("object-parameters", f"{A64} c = cnode }}"),
    ("object-parameters", f"{A64} c = cnode (2 bits, 2 bits) }}"),
    ("object-parameters", f"{A64} t = tcb (addr: 0) }}"),
    ("object-parameters", f"{A64} t = tcb (dom: 1, dom: 1) }}"),
    ("object-parameters", f"{A64} t = tcb (addr: 0, affinity: 0, ip: 3) }}"),
    ("object-parameters", f"{A64} t = tcb (resume: True) }}"),
    ("object-parameters", f"{A64} t = tcb (addr: 0, affinity: 0, {'addr: 1, ' * 6} addr: 2) }}"),
    ("object-parameters", f"{A64} s = sc (period: 3) }}"),
    ("object-parameters", f"{A64} s = sc (period: 3, budget: 1, data: 1, data: 2) }}"),
    ("object-parameters", f"{A64} f = frame (paddr: 0) }}"),
    ("object-parameters", f"{A64} f = frame (3k) }}"),
    ("object-parameters", f"{A64} f = frame (0k) }}"),
    ("object-parameters", f"{A64} f = frame (0x40000000000000k) }}"),
    ("object-parameters", f"{A64} s = arm_sgi_signal (irq: 1) }}"),
    ("object-parameters", f"{A64} s = arm_sgi_signal (irq: 1, trigger: level) }}"),
    ("object-parameters", f"{A64} p = pt (level: 1) }}"),
    ("duplicate-name", f"{A64} e = ep e = ep }}"),
    ("duplicate-name", f"{A64} e = ep e[2] = ep }}"),
    ("duplicate-name", f"{A64} u = ut u = ep }}"),
    ("empty-array", f"{A64} e[0] = ep }}"),
    ("not-unique", f"{A64} e[] = ep }}"),
    ("not-unique", f"{A64} e[1..2] = ep }}"),
    ("too-large", f"{A64} e[99999999999] = ep }}"),
    ("cover", f"{A64} u = ut {{ nothing }} }}"),
    ("cover", f"{A64} u = ut u = ut {{ e = ep }} }}"),
    ("cover", f"{A64} e = ep u = ut {{ e }} v = ut {{ e }} }}"),
    ("cover", f"{A64} e = ep e/f = ep }}"),
    ("cover", f"{A64} v[2] = ut v[7] = ut {{ e = ep }} }}"),
    ("unknown-name", f"{A64} e = ep u = ut {{ e[] }} }}"),
    ("cover", f"{A64} e = ep e[1]/x = ep u = ut {{ e e[1] }} }}"),
    # Slots and capabilities
    ("syntax", with_caps("e = ep c = cnode (3 bits)", "c { e () }")),
    ("syntax", with_caps("cspace = cnode (3 bits)", "cspace { cspace }")),
    ("syntax", with_caps("e = ep c = cnode (3 bits)", "c { ; e }")),
    ("syntax", with_caps("e = ep c = cnode (3 bits)", "c { e ;; e }")),
    ("syntax", with_caps("e = ep c = cnode (3 bits)", "c { e, e }")),
    ("syntax", with_caps("e = ep c = cnode (3 bits)", "c { e (r) }")),
    ("syntax", with_caps("e = ep c = cnode (3 bits)", "c { e (RW badge: 1) }")),
    ("unknown-name", with_caps("c = cnode (3 bits)", "c { e }")),
    ("unknown-name", with_caps("c = cnode (3 bits)", "d { }")),
    ("unknown-name", with_caps("c[2] = cnode (3 bits)", "c { }")),
    ("unknown-name", with_caps("a[2] = ep c = cnode (3 bits)", "c { a[..2] }")),
    ("unknown-name", with_caps("a = ep c = cnode (3 bits)", "c { a[1..] }")),
    ("unknown-name", with_caps("a = ep c = cnode (3 bits)", "c { a[0] }")),
    ("unknown-name", with_caps("v[2] = ut v/x = ep c = cnode (3 bits)", "c { v[] }")),
    ("slot-twice", with_caps("e = ep c = cnode (3 bits)", "c { 1: e 1: e }")),
    ("slot-twice", with_caps("e = ep c = cnode (3 bits)", "c { e } c { e }")),
    ("no-slots", with_caps("e = ep", "e { e }")),
    ("cap-parameters", with_caps("t = tcb c = cnode (3 bits)", "c { t (R) }")),
    ("cap-parameters", with_caps("e = ep c = cnode (3 bits)", "c { e (masked: R) }")),
    ("cap-parameters", with_caps("e = ep c = cnode (3 bits)", "c { e (badge: 1, badge: 1) }")),
    ("cap-parameters", with_caps("f = frame (4k) c = cnode (3 bits)", "c { f (cached, uncached) }")),
    ("cap-parameters", with_caps("t = tcb c = cnode (3 bits)", "c { t (reply, master_reply) }")),
    ("cap-parameters", with_caps("p = asid_pool c = cnode (3 bits)", "c { p (asid: (0, 0)) }")),
    ("cap-parameters", with_caps("c = cnode (3 bits)", "c { sched_control }")),
    ("cap-parameters", with_caps("c = cnode (3 bits)", "c { irq_control (core: 1) }")),
    ("architecture", with_caps("c = cnode (3 bits)", "c { io_space_master }")),
    ("tcb-slot", with_caps("t = tcb e = ep", "t { cspace: e }")),
    ("tcb-slot", with_caps("t = tcb i = irq", "t { cspace: i }")),
    ("tcb-slot", with_caps("t = tcb e = ep", "t { 10: e }")),
    ("tcb-slot", with_caps("t = tcb p = pd", "t { vspace: p }")),
    ("irq-slot", with_caps("i = irq n = notification", "i { 1: n }")),
    ("irq-slot", with_caps("i = irq e = ep", "i { e }")),
    ("irq-slot", with_caps("c = cnode (0 bits) e = ep", "c { e }")),
    ("asid-slot", with_caps("a = asid_pool d = pd", "a { d }")),
    # Copies and names
    ("copy-unnumbered", with_caps("e = ep c = cnode (3 bits)", "c { 0: a = e <a> }")),
    ("copy-unnumbered", with_caps("e = ep c = cnode (3 bits)", "c { 0: a = e 1: <a> e }")),
    ("unknown-name", with_caps("e = ep c = cnode (3 bits)", "c { a = e } c { 1: <a> }")),
    ("cap-name", with_caps("e[2] = ep c = cnode (3 bits)", "c { 0: a = e[] 2: b = e[0] 4: <b> }")),
    ("cap-name", with_caps("e[2] = ep c = cnode (3 bits)", "c { 0: a[2] = e[] 4: <b> 5: b = e[0] }")),
    ("copy-cycle", with_caps("c = cnode (3 bits)", "c { 0: a = <b> 1: b = <a> }")),
    ("copy-of-nothing", with_caps("c = cnode (3 bits)", "n = (c, 4) c { 0: <n> }")),
    ("copy-of-nothing", with_caps("c = cnode (3 bits)", "n = (x, 4) c { 0: <n> }")),
    ("slot-twice", with_caps("e[2] = ep c = cnode (3 bits)", "c { 0: a[] = e[] 2: <a[]> 3: e[0] }")),
    ("mapping", with_caps("p = pt f = frame (4k) c = cnode (3 bits)", "p { f } c { 0: a = f (mapping: (p, 0)) 1: <a> }")),
    # Page tables
    ("table-child", with_caps("p = pt q = pt", "p { q }")),
    ("table-child", with_caps("g = pgd f = frame (4k)", "g { f }")),
    ("table-child", with_caps("e[2] = ep p = pt c = cnode (3 bits)", "p { 0: <a[2..]> } c { 0: a[] = e[] }")),
    ("table-parents", with_caps("p = pt d[2] = pd", "d[] { p }")),
    ("table-parents", "arch arm11 objects { a[2] = asid_pool d = pd } caps { a[] { d } }"),
    ("mapping", with_caps("u = pud f = frame (2M) c = cnode (3 bits)", "u { f } c { f (mapping: (u, 0)) }")),
    ("mapping", with_caps("p = pt f = frame (4k) c = cnode (3 bits)", "c { f (mapping: (p, 0)) }")),
    ("mapping", with_caps("p = pt f = frame (4k)", "p { f 1: f (mapping: (p, 0)) }")),
    ("mapping", with_caps("p = pt f = frame (4k) c = cnode (3 bits)", "p { f } c { f (mapping: (p, 0)) f (mapping: (p, 0)) }")),
    # Interrupts, derivations, domains
    ("irq-twice", f"{A64} i = irq j = irq }} irq maps {{ 0: i j }}"),
    ("irq-twice", f"{A64} i = irq }} irq maps {{ 5: i 6: i }}"),
    ("irq-maps-twice", f"{A64} i = irq }} irq maps {{ i }} irq maps {{ }}"),
    ("irq-kind", f"{A64} i = ep }} irq maps {{ i }}"),
    ("unknown-name", f"{A64} }} irq maps {{ i }}"),
    ("syntax", f"{A64} }} cdt {{ (a, 1) {{ (b, 1) {{ (c, 1) }} }} }}"),
    ("two-parents", f"{A64} }} cdt {{ (a, 1) {{ (b, 1) (b, 1) }} }}"),
    ("unknown-name", f"{A64} }} cdt {{ (a, 1) {{ b }} }}"),
    ("not-unique", f"{A64} }} cdt {{ (a[1..2], 1) {{ (b, 1) }} }}"),
    ("two-parents", with_caps("e = ep c = cnode (3 bits)", "c { 5: e e - child_of (c, 5) 0: e - child_of (c, 5) }")),
    ("syntax", f"{A64} }} domains {{ }}"),
    ("syntax", f"{A64} }} domains {{ schedule: [] }}"),
    ("syntax", f"{A64} }} domains {{ schedule: [(1, 2) (3, 4)] }}"),
    ("domains", f"{A64} }} domains {{ schedule: [(256, 1)] }}"),
    ("domains", f"{A64} }} domains {{ schedule: [(1, 0)] }}"),
    ("domains", f"{A64} }} domains {{ schedule: [(0, 0)] }}"),
    ("domains", f"{A64} }} domains {{ schedule: [(0, 72057594037927936)] }}"),
    ("domains", f"{A64} }} domains {{ schedule: [(0, 1)] domain_set_start: 1 }}"),
    ("domains", f"{A64} }} domains {{ schedule: [(0, 1)] schedule: [(0, 1)] }}"),
    ("domains", f"{A64} }} domains {{ schedule: [(0, 1)] index_shift: 1 index_shift: 1 }}"),
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text):
    """What the reference tool accepts."""
    ok, rendered = accepts(text)
    assert ok, rendered


@pytest.mark.parametrize(("code", "text"), REJECTED)
def test_rejected(code, text):
    """What the reference tool rejects, and why."""
    ok, rendered = accepts(text)
    assert not ok and f"[{code}]" in rendered, rendered


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("kind", ALL_TYPES)
def test_types_by_architecture(arch, kind):
    """Each type exists on its architectures and on no other."""
    ok, rendered = accepts(f"arch {arch} objects {{ o = {kind} {ALL_TYPES[kind]} c = cnode (2 bits) }} caps {{ c {{ o }} }}")
    assert ok == (kind in TYPES[arch]), rendered
    assert ok or "[architecture]" in rendered


@pytest.mark.parametrize(("arch", "root"), [("ia32", "pd"), ("arm11", "pd"), ("x86_64", "pml4"), ("aarch64", "pgd"), ("aarch64", "pud"), ("riscv", "pt")])
def test_roots_by_architecture(arch, root):
    """A thread's address space and an ASID pool begin with the same types."""
    assert accepts(f"arch {arch} objects {{ t = tcb a = asid_pool r = {root} }} caps {{ t {{ vspace: r }} a {{ r }} }}")[0]
    other = "pd" if root != "pd" else "pt"
    for caps in ("t { vspace: r }", "a { r }"):
        assert not accepts(f"arch {arch} objects {{ t = tcb a = asid_pool r = {other} }} caps {{ {caps} }}")[0]


def test_every_level_holds_its_kinds():
    """What tables hold on x86, and a page table within a page table on RISC-V."""
    tables = {"pml4": {"pdpt"}, "pdpt": {"pd", "frame"}, "pd": {"pt", "frame"}, "pt": {"frame"}, "io_pt": {"io_pt", "frame"}}
    kinds = {"pml4": "", "pdpt": "", "pd": "", "pt": "", "io_pt": "(level: 1)", "frame": "(4k)", "ep": ""}
    for outer, held in tables.items():
        for inner, parameters in kinds.items():
            ok, _ = accepts(f"arch x86_64 objects {{ o = {outer} {kinds[outer]} i = {inner} {parameters} }} caps {{ o {{ i }} }}")
            assert ok == (inner in held), (outer, inner)
    assert accepts("arch riscv objects { o = pt i = pt } caps { o { i } }")[0]


# Dumps ----------------------------------------------------------------------------------------------------------------------------------

def test_dump():
    """Neighbours become an array, addresses tell covers, names of handlers tell interrupts."""
    assert is_dump(DUMP) and accepts(DUMP) == (True, "")
    spec, diagnostics = load_text(DUMP, strict=False)
    assert diagnostics.ok, diagnostics.render()
    assert spec.arrays == {"ep@0x2000": 2, "irqhandler@0x1e": 2, "untyped@0x2000@12": 2}
    assert set(spec.objects["untyped@0x1000@16"].children) == {"cnode@0x8000", "untyped@0x2000@12[0]", "untyped@0x2000@12[1]"}
    assert set(spec.objects["untyped@0x2000@12[0]"].children) == {"ep@0x2000[0]", "ep@0x2000[1]"}
    assert spec.objects["untyped@0x2000@12[1]"].children == ["tcb@0x3000"]
    assert spec.irqs == {0x1e: "irqhandler@0x1e[0]", 0x1f: "irqhandler@0x1e[1]"}
    assert spec.objects["cnode@0x8000"].slots[1].object == "ep@0x2000[1]"
    again, diagnostics = load_text(canonical_text(spec), strict=False)
    assert diagnostics.ok and canonical_text(again) == canonical_text(spec)


@pytest.mark.parametrize(("old", "new", "code"), [
    ("ep@0x2010 = ep", "ep@0x2010 = ep { }", "syntax"),
    ("ep@0x2010 = ep", "ep@2010 = ep", "syntax"),               # an address is needed to see whether it is a neighbour
    ("tcb@0x3000 = tcb", "ep@0x2010 = tcb", "unknown-name"),
    ("cdt {", "irq maps { } cdt {", "syntax"),
    ("caps {", "} objects {", "syntax"),
    ("0x2: irq_control", "0x2: <name>", "syntax"),
    ("0x2: irq_control", "0x2: elsewhere@0x1", "unknown-name"),
    ("untyped@0x2000@12 = ut (12 bits)\n", "untyped@0x2000 = ut (12 bits)\n", "syntax"),  # two untypeds are around: their names decide
    ("tcb@0x3000 = tcb", "tcb@0x3000 = tcb irqhandler@0x40 = ep", "irq-kind"),
])
def test_changed_dumps(old, new, code):
    """Changes that a dump does not survive."""
    assert old in DUMP
    ok, rendered = accepts(DUMP.replace(old, new))
    assert not ok and f"[{code}]" in rendered, rendered


def test_dump_without_its_first_line():
    """It is plain capDL then: neighbours keep their names, nothing is covered, and handlers have no number."""
    spec, diagnostics = load_text(DUMP.split("\n", 1)[1], strict=False)
    assert diagnostics.ok and not spec.arrays and not spec.irqs and not any(item.children for item in spec.objects.values())


# Beside the verdict ---------------------------------------------------------------------------------------------------------------------

STRICT = [
    ("cnode-slot", with_caps("e = ep c = cnode (2 bits)", "c { 4: e }")),
    ("table-index", with_caps("p = pt f = frame (4k)", "p { 512: f }")),
    ("frame-size", with_caps("p = pt f = frame (2M)", "p { f }")),
    ("frame-size", f"{A64} f = frame (64k) }}"),
    ("priority", f"{A64} t = tcb (addr: 0, ip: 0, sp: 0, prio: 256, max_prio: 1, affinity: 0) }}"),
    ("budget", f"{A64} s = sc (budget: 2, period: 1) }}"),
    ("untyped-size", f"{A64} u = ut (4 bits) {{ t = tcb }} }}"),
    ("physical-address", f"{A64} f = frame (4k, paddr: 8) }}"),
    ("physical-overlap", f"{A64} f = frame (4k, paddr: 0x1000) g = frame (4k, paddr: 0x1000) }}"),
    ("cdt-cycle", with_caps("e = ep c = cnode (2 bits)", "c { 0: e - child_of (c, 1) 1: e - child_of (c, 0) }")),
    ("cdt-rights", with_caps("e = ep c = cnode (2 bits)", "c { 0: e (R) 1: e (RW) - child_of (c, 0) }")),
    ("fill", f"{A64} f = frame (4k, fill: [{{4000 97 CDL_FrameFill_BootInfo CDL_FrameFill_BootInfo_FDT 0}}]) }}"),
    ("guard", with_caps("c = cnode (2 bits)", "c { c (guard: 4, guard_size: 2) }")),
    ("table-parents", with_caps("d = pd u[2] = pud", "u[] { d }")),
    ("duplicate-cap-name", with_caps("e = ep c = cnode (2 bits)", "c { 0: a = e 1: a = e }")),
    ("slot-of-nothing", with_caps("", "a = (x, 0)")),
    ("untyped-two-sizes", f"{A64} u = ut (4 bits) u = ut (5 bits) }}"),
    ("irq-unmapped", with_caps("i = irq c = cnode (2 bits)", "c { i }")),
    ("number-range", f"{A64} f = frame (4k, paddr: 0x10000000000000000) }}"),
]


@pytest.mark.parametrize(("code", "text"), STRICT)
def test_strict_findings_are_warnings(code, text, tmp_path):
    """What this tool alone rejects is an error by default, and with --compat no error."""
    path = tmp_path / "a.cdl"
    path.write_text(text)
    _, strict = load_text(text)
    assert not strict.ok and code in {item.check for item in strict.errors}, strict.render()
    compat = driver.judge(path)
    assert compat.ok, compat.render()
    if code != "number-range":
        assert code in {item.check for item in compat.findings}, compat.render()


def test_own_language_is_refused(tmp_path):
    """The component level is not plain capDL; a file that is no text is nothing at all."""
    assert not driver.judge(GOLDEN / "components.cdl").ok
    (tmp_path / "a.cdl").write_bytes(b"arch aarch64 objects { \xff }")
    assert "is no UTF-8 text" in driver.judge(tmp_path / "a.cdl").render()


def test_deep_nesting():
    """Untypeds nest as deep as anyone writes them."""
    depth = 5000
    text = f"{A64} {''.join(f'u{index} = ut {{ ' for index in range(depth))} e = ep {'}' * depth} }}"
    assert accepts(text)[0]


NAMES = ["a", "b[0]", "b[1]", "b[]", "c", "d"]
ENTRIES = st.lists(st.tuples(st.sampled_from(["c", "d", "t"]), st.sampled_from(["", "0: ", "1: ", "cspace: "]), st.sampled_from(["", "n = ", "m[] = "]),
                             st.sampled_from([*NAMES, "<n>", "<m[]>", "<m[1]>"]), st.sampled_from(["", " (R)", " (badge: 1)", " (masked: R)"]),
                             st.sampled_from(["", " - child_of (c, 0)", " - child_of n"])), max_size=6)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ENTRIES)
def test_own_canonical_text_is_accepted(entries):
    """Where both tools accept a text, the reference tool accepts what this one prints of it."""
    caps = " ".join(f"{holder} {{ {slot}{name}{target}{parameters}{parent} }}" for holder, slot, name, target, parameters, parent in entries)
    text = with_caps("a = ep b[2] = ep c = cnode (4 bits) d = cnode (4 bits) t = tcb", caps)
    spec, own = load_text(text, strict=False)
    if own.ok and accepts(text)[0]:
        ok, rendered = accepts(canonical_text(spec))
        assert ok, f"{text}\n{canonical_text(spec)}\n{rendered}"
