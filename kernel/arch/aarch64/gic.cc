// SPDX-License-Identifier: BSD-2-Clause
// GICv2 (Arm IHI 0048B) and GICv3 (IHI 0069) as a kernel at EL1 sees them: one group, EOImode 1, one priority for all but the kernel's timer, which is taken
// when nothing else is pending. The version is a branch on a word that never changes after boot, which is predicted; there are no function pointers.
// Software-generated interrupts are always enabled, as the GIC-400 fixes them: one that nobody wants is taken and forgotten, and none stays
// pending for a handler to come.
#include "gic.hpp"

#include "core.hpp"
#include "core/panic.hpp"
#include "mmu.hpp"

namespace caprock::arch {
namespace {
// GICD, and the same offsets in a redistributor's SGI frame for interrupts 0 to 31.
enum class Distributor : Word {
    CTLR = 0x000, TYPER = 0x004, IGROUPR = 0x080, ISENABLER = 0x100, ICENABLER = 0x180, ICPENDR = 0x280, ICACTIVER = 0x380,
    IPRIORITYR = 0x400, ITARGETSR = 0x800, ICFGR = 0xc00, SGIR = 0xf00, IROUTER = 0x6000,
};
constexpr uint32_t CTLR_RWP = 1u << 31;
constexpr uint32_t CTLR_v2_enable = 1;  // EnableGrp0 without, EnableGrp1 with security extensions, seen from the non-secure side
constexpr uint32_t CTLR_v3_enable = 1u << 4 | 1u << 1 | 1;  // ARE, and the one group under either view of security

enum class CpuInterface : Word { CTLR = 0x00, PMR = 0x04, BPR = 0x08, IAR = 0x0c, EOIR = 0x10, DIR = 0x1000 };
constexpr uint32_t GICC_enable = 1, GICC_EOImode = 1u << 9;
constexpr Word GICC_bytes = 0x1004;

enum class Redistributor : Word { CTLR = 0x0000, TYPER = 0x0008, WAKER = 0x0014 };
constexpr uint32_t GICR_CTLR_RWP = 1u << 3;
constexpr uint32_t WAKER_ProcessorSleep = 1u << 1, WAKER_ChildrenAsleep = 1u << 2;
constexpr Word GICR_TYPER_VLPIS = bit(1), GICR_TYPER_Last = bit(4);
constexpr Word redistributor_frame = 0x10000;  // control frame, SGI frame, and with VLPIS two more

constexpr uint32_t software_interrupts = 16, private_interrupts = 32;
constexpr uint32_t special_interrupts = 1020;  // 1020 to 1023 are no interrupts
// The three highest bits are what the non-secure side has of a controller with the fewest levels; there it sees priorities shifted left by one.
constexpr uint32_t four_priorities = 0xa0a0a0a0;
constexpr uint8_t timer_priority = 0xc0, lowest_priority = 0xff;
}  // namespace

struct alignas(64) Gic {   // what the fast path reads is in one page
    bool version3 = false;
    Word interrupts = 0;
    Irq timer;
    Mmio distributor;
    Mmio cpu;                            // version 2: GICC
    Mmio redistributors;                 // version 3: the first one
    Mmio redistributor[MAX_CORES];       // version 3: each core's
    uint8_t target[MAX_CORES] = {};      // version 2: each core's bit in ITARGETSR
    Word affinity[MAX_CORES] = {};       // version 3: each core's IROUTER value
    uint32_t software[MAX_CORES] = {};   // version 2: IAR of the software-generated interrupt that each core took last: number and sender
};
Gic gic asm("gic");   // the fast path reads it
namespace {
static_assert(offsetof(Gic, version3) == 0 && offsetof(Gic, cpu) == GIC_CPU && special_interrupts == IRQ_LIMIT && software_interrupts == FIRST_DEVICE_IRQ);
static_assert(CpuInterface::IAR == CpuInterface(GICC_IAR) && CpuInterface::EOIR == CpuInterface(GICC_EOIR) && CpuInterface::DIR == CpuInterface(GICC_DIR));

// Where an interrupt's registers are: private ones of GICv3 are in the core's SGI frame.
Mmio bank(uint32_t irq) {
    if (gic.version3 && irq < private_interrupts)
        return Mmio(gic.redistributor[current_core()].address().raw + redistributor_frame);
    return gic.distributor;
}

void wait_for_distributor() {
    while (gic.version3 && (gic.distributor.read(Distributor::CTLR) & CTLR_RWP) != 0) {
    }
}

// A disabled interrupt may still be signalled until the controller has seen the write: wait until it has.
void wait_for_writes(uint32_t irq) {
    if (gic.version3 && irq < private_interrupts) {
        while ((gic.redistributor[current_core()].read(Redistributor::CTLR) & GICR_CTLR_RWP) != 0) {
        }
    } else {
        wait_for_distributor();
    }
    dsb_sy();
}

// Masks, quiets and prioritises the 32 interrupts of `word`. Group: 1 in GICv3, whose group 0 is not EL1's. In GICv2 without security
// extensions group 0 is what EnableGrp0 opens and IAR returns; with them IGROUPR is not ours and reads as zero.
void reset_interrupts(Mmio registers, uint32_t word) {
    registers.write(Distributor::ICENABLER, 0xffffffff, word);
    registers.write(Distributor::ICPENDR, 0xffffffff, word);
    registers.write(Distributor::ICACTIVER, 0xffffffff, word);
    registers.write(Distributor::IGROUPR, gic.version3 ? 0xffffffff : 0, word);
    for (uint32_t i = 0; i < 8; i++)
        registers.write(Distributor::IPRIORITYR, four_priorities, word * 8 + i);
}

void set_bit(Distributor offset, Irq irq) { bank(irq.raw).write(offset, 1u << irq.raw % 32, irq.raw / 32); }

void set_target(Irq irq, unsigned core) {
    if (irq.raw < private_interrupts)
        return;
    if (gic.version3)
        gic.distributor.write_long(Distributor::IROUTER, gic.affinity[core], irq.raw);
    else
        gic.distributor.write_byte(Distributor::ITARGETSR, gic.target[core], irq.raw);
}

// Redistributors stand one after another and name their core; the last one says so.
Mmio find_redistributor(Word affinity) {
    const Word wanted = bits(affinity, 39, 32) << 24 | bits(affinity, 23, 0);
    Word base = gic.redistributors.address().raw;
    for (;;) {
        const Mmio candidate(base);
        const Word type = candidate.read_long(Redistributor::TYPER);
        if (bits(type, 63, 32) == wanted)
            return candidate;
        if ((type & GICR_TYPER_Last) != 0)
            panic("a core has no GICv3 redistributor (the interrupt controller's reg in the device tree is short)");
        base += redistributor_frame * ((type & GICR_TYPER_VLPIS) != 0 ? 4 : 2);
    }
}

void start_cpu_interface_v2(unsigned core) {
    reset_interrupts(gic.distributor, 0);
    // Banked and read-only: every target byte of a private interrupt is the reading core's own bit; 0 where there is one core only (IHI 0048B, 4.3.12).
    const uint32_t own = gic.distributor.read(Distributor::ITARGETSR) & 0xff;
    gic.target[core] = static_cast<uint8_t>(own != 0 ? own : 1);
    gic.cpu.write(CpuInterface::PMR, lowest_priority);
    gic.cpu.write(CpuInterface::BPR, 0);
    gic.cpu.write(CpuInterface::CTLR, GICC_EOImode | GICC_enable);
}

void start_cpu_interface_v3(unsigned core) {
    const Mmio mine = find_redistributor(gic.affinity[core]);
    gic.redistributor[core] = mine;
    mine.write(Redistributor::WAKER, mine.read(Redistributor::WAKER) & ~WAKER_ProcessorSleep);
    while ((mine.read(Redistributor::WAKER) & WAKER_ChildrenAsleep) != 0) {
    }
    reset_interrupts(Mmio(mine.address().raw + redistributor_frame), 0);
    wait_for_writes(0);

    ICC_SRE_EL1::write(ICC_SRE_EL1::read() | ICC_SRE_EL1::SRE);
    isb();
    if ((ICC_SRE_EL1::read() & ICC_SRE_EL1::SRE) == 0)
        panic("GICv3 without system registers (firmware keeps ICC_SRE_EL1 from EL1)");
    ICC_PMR_EL1::write(lowest_priority);
    ICC_BPR1_EL1::write(0);
    ICC_CTLR_EL1::write(ICC_CTLR_EL1::EOImode);
    ICC_IGRPEN1_EL1::write(1);
    isb();
}
}  // namespace

void gic_initialise(const abi::BootInfo& info) {
    if (info.gic_version != 2 && info.gic_version != 3)
        panic("an interrupt controller that is neither GICv2 nor GICv3 (BootInfo.gic_version)");
    gic.version3 = info.gic_version == 3;
    gic.timer = Irq(static_cast<uint32_t>(info.timer_virtual_ppi));
    for (Word core = 0; core < info.core_count; core++)
        gic.affinity[core] = info.cores[core].mpidr & MPIDR_EL1::affinity;
    gic.distributor = map_device(PhysAddr(info.gic_distributor.start), info.gic_distributor.end - info.gic_distributor.start);
    const Mmio cpu = map_device(PhysAddr(info.gic_cpu.start), info.gic_cpu.end - info.gic_cpu.start);
    (gic.version3 ? gic.redistributors : gic.cpu) = cpu;
    if (!gic.version3 && info.gic_cpu.end - info.gic_cpu.start < GICC_bytes)
        panic("GICv2 CPU interface without GICC_DIR (second range of the interrupt controller's reg must be 0x2000 bytes)");

    gic.distributor.write(Distributor::CTLR, 0);
    wait_for_distributor();
    const Word lines = private_interrupts * (1 + bits(gic.distributor.read(Distributor::TYPER), 4, 0));
    gic.interrupts = lines < special_interrupts ? lines : special_interrupts;
    gic.distributor.write(Distributor::CTLR, gic.version3 ? CTLR_v3_enable & ~3u : 0);  // ARE decides what the registers below mean
    wait_for_distributor();
    for (uint32_t word = 1; word * 32 < lines; word++)
        reset_interrupts(gic.distributor, word);
    wait_for_distributor();
    gic_initialise_core(0);
    for (uint32_t irq = private_interrupts; irq < gic.interrupts; irq++)
        set_target(Irq(irq), 0);
    gic.distributor.write(Distributor::CTLR, gic.version3 ? CTLR_v3_enable : CTLR_v2_enable);
    wait_for_distributor();
}

void gic_initialise_core(unsigned core) {
    if (gic.version3)
        start_cpu_interface_v3(core);
    else
        start_cpu_interface_v2(core);
    const Mmio mine = bank(0);
    mine.write(Distributor::ISENABLER, (1u << software_interrupts) - 1);
    mine.write_byte(Distributor::IPRIORITYR, timer_priority, gic.timer.raw);
}

void gic_close_core() {
    if (gic.version3)
        ICC_PMR_EL1::write(0);
    else
        gic.cpu.write(CpuInterface::PMR, 0);
}

Irq irq_acknowledged(Word said) {
    uint32_t id = static_cast<uint32_t>(said);
    if (!gic.version3) {
        id &= 0x3ff;
        if (id < software_interrupts)
            gic.software[current_core()] = static_cast<uint32_t>(said);
    }
    return Irq(id < special_interrupts ? id : static_cast<uint32_t>(no_irq));
}

Irq irq_acknowledge() {
    if (!gic.version3)
        return irq_acknowledged(gic.cpu.read(CpuInterface::IAR));
    const Word said = ICC_IAR1_EL1::read();
    dsb_sy();  // the acknowledgement reaches the redistributor before the handler's accesses
    return irq_acknowledged(said);
}

void irq_priority_drop(Irq irq) {
    const bool software = irq.raw < software_interrupts;
    if (gic.version3) {
        ICC_EOIR1_EL1::write(irq.raw);
        if (software)
            ICC_DIR_EL1::write(irq.raw);
        isb();
    } else {
        const uint32_t taken = software ? gic.software[current_core()] : irq.raw;
        gic.cpu.write(CpuInterface::EOIR, taken);
        if (software)
            gic.cpu.write(CpuInterface::DIR, taken);
    }
}

void irq_deactivate(Irq irq) {
    if (irq.raw < software_interrupts)
        return;
    if (gic.version3) {
        ICC_DIR_EL1::write(irq.raw);
        isb();
    } else {
        gic.cpu.write(CpuInterface::DIR, irq.raw);
    }
}

void irq_mask(Irq irq) {
    if (irq.raw < software_interrupts)
        return;
    set_bit(Distributor::ICENABLER, irq);
    wait_for_writes(irq.raw);
}

void irq_unmask(Irq irq) { set_bit(Distributor::ISENABLER, irq); }

// ICFGR may only change while the interrupt is masked (IHI 0069, 12.9.9). A private interrupt stays with its core.
void irq_configure(Irq irq, bool edge, CoreId target) {
    if (irq.raw < software_interrupts)
        return;
    irq_mask(irq);
    const Mmio registers = bank(irq.raw);
    const uint32_t edge_bit = 2u << irq.raw % 16 * 2;
    const uint32_t old = registers.read(Distributor::ICFGR, irq.raw / 16);
    registers.write(Distributor::ICFGR, edge ? old | edge_bit : old & ~edge_bit, irq.raw / 16);
    set_target(irq, target.raw);
}

// What this core wrote before must be seen by the one that it interrupts.
void irq_send_sgi(Irq irq, CoreId target) {
    dsb_ishst();
    if (gic.version3) {
        ICC_SGI1R_EL1::write(ICC_SGI1R_EL1::to(gic.affinity[target.raw], irq.raw));
        isb();
    } else {
        gic.distributor.write(Distributor::SGIR, uint32_t{gic.target[target.raw]} << 16 | irq.raw);
    }
}

Word irq_count() { return gic.interrupts; }
Irq timer_irq() { return gic.timer; }
}  // namespace caprock::arch
