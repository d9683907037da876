# SPDX-License-Identifier: BSD-2-Clause
"""A description in the dialect in which kernels dump what they hold."""

DUMP = """-- Dump
arch arm11
objects {
untyped@0x1000@16 = ut (16 bits)
untyped@0x2000@12 = ut (12 bits)
untyped@0x3000@12 = ut (12 bits)
ep@0x2000 = ep
ep@0x2010 = ep
tcb@0x3000 = tcb
cnode@0x8000 = cnode (4 bits)
irqhandler@0x1e = irq
irqhandler@0x1f = irq
notification@0x900 = notification
}
caps {
tcb@0x3000 { 0x0: cnode@0x8000 (guard: 0x0, guard_size: 28) 0x2: tcb@0x3000 (master_reply) }
cnode@0x8000 { 0x1: ep@0x2010 (RWG, badge: 0x3) 0x2: irq_control 0x3: untyped@0x1000@16; 0x4: untyped@0x3000@12 0x5: irqhandler@0x1f }
irqhandler@0x1f { 0x0: notification@0x900 (W) }
}
cdt {
(cnode@0x8000, 0x2) { (tcb@0x3000, 0x0) }
}
"""
