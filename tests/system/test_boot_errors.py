# SPDX-License-Identifier: BSD-2-Clause
"""Every error of the boot shim, provoked by a damaged or missing input on a real run: one line on the console, then a halted machine.

The device tree and the payload come from here, so that one thing at a time is wrong. Runs with a device tree of ours start through a few
instructions of our own, since QEMU repairs the trees that it is given."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

import images  # noqa: E402
import machines  # noqa: E402
import payload as payloads  # noqa: E402

libfdt = pytest.importorskip("libfdt", reason="python3-libfdt is missing (./caprock setup dev)")

TIMEOUT = 60  # seconds; a run takes less than one, or six through U-Boot
PASSED = "caprock: boot shim [^:]*: "  # the line that the shim prints when it found no error
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))

# Where runs with our own device tree have things. RAM is 0x40000000 to 0x80000000.
TRAMPOLINE, IMAGE, TREE, PAYLOAD = 0x41000000, 0x42000000, 0x44000000, 0x48000000


@pytest.fixture(scope="session")
def image() -> Path:
    """The Image under test."""
    path = BUILD / "platform" / "Image"
    assert path.exists(), f"{path} does not exist: build first (./caprock build)"
    return path


@pytest.fixture(scope="session")
def api_hash(image: Path) -> int:
    """The API hash of the build, from the kernel that the Image embeds."""
    data = image.read_bytes()
    found = payloads.elf_api_hash(data[data.index(b"\x7fELF"):])
    assert found is not None, "the kernel in the Image has no note with its API hash"
    return found


def make_elf(segments: list[dict], machine: int = 183, kind: int = 2, entry: int = 0x400000) -> bytes:
    """Returns an executable with loadable segments: vaddr, flags, and as wished size (in the file) and memory."""
    table, content = b"", b""
    base = 64 + 56 * len(segments)
    for segment in segments:
        size = segment.get("size", 16)
        table += struct.pack("<IIQQQQQQ", 1, segment["flags"], base + len(content), segment["vaddr"], segment["vaddr"], size,
                             segment.get("memory", size), 4096)
        content += b"\0" * size
    header = struct.pack("<4sBBB9sHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, b"", kind, machine, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0,
                         0)
    return header + table + content


TEXT = {"vaddr": 0x400000, "flags": 5, "size": 0x1800}
DATA = {"vaddr": 0x402000, "flags": 6, "memory": 0x3000}
SOUND_ROOT = make_elf([TEXT, DATA])


@pytest.fixture(scope="session")
def sound(api_hash: int) -> bytes:
    """A payload without an error."""
    return payloads.make_payload(SOUND_ROOT, "boot errors", b"\0" * 32, api_hash)


def resealed(payload: bytes, **changes: int) -> bytes:
    """Returns a payload with other header fields and a right CRC."""
    layout = payloads.HeaderLayout()
    values = layout.unpack(payload) | changes | {"crc32": 0}
    content = payload[layout.size:]
    values["crc32"] = zlib.crc32((layout.pack(values) + content)[:values["total_size"]])
    return layout.pack(values) + content


def boot(tmp_path: Path, image: Path, payload: bytes | None, setting=machines.Setting()) -> machines.Outcome:
    """Boots as QEMU boots Linux; the run also ends when the shim found no error."""
    file = None
    if payload is not None:
        file = tmp_path / "system.bin"
        file.write_bytes(payload)
    return machines.run(setting, timeout=TIMEOUT, image=image, payload=file, output=None, until=PASSED)


def assert_halt(outcome: machines.Outcome, expected: str) -> None:
    """Checks that the run ended with this error, that a remedy follows, and that the line was the shim's last."""
    assert outcome.reason.startswith(f"caprock: halt: {expected}"), f"expected {expected!r}, got {outcome.reason!r}\n{outcome.log}"
    assert outcome.status == 1
    assert outcome.reason.endswith(")") and " (" in outcome.reason
    assert not any(line.startswith("caprock: boot shim 0") for line in outcome.log.splitlines())


# --- Payloads ---------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("setting", [
    machines.Setting("virt", gic=2, el=1), machines.Setting("virt", gic=2, el=2), machines.Setting("virt", gic=3, el=1),
    machines.Setting("virt", gic=3, el=2), machines.Setting("virt", cores=1, memory="128M"), machines.Setting("raspi4b"),
], ids=str)
def test_no_error(tmp_path, image, sound, setting):
    """What the other cases damage is sound: the summary line is printed, with the machine's facts."""
    outcome = boot(tmp_path, image, sound, setting)
    checked = setting.checked()
    name, ram = ("linux,dummy-virt", {"1G": 1024, "128M": 128}.get(checked.memory))
    if checked.machine == "raspi4b":
        name, ram = "raspberrypi,4-model-b", 960
    cores = "1 core" if checked.cores == 1 else f"{checked.cores} cores"
    assert outcome.reason.endswith(f": {name}, EL{checked.el}, GICv{checked.gic}, {ram} MiB RAM, {cores}"), outcome.log


@pytest.mark.parametrize("machine", ["virt", "raspi4b"])
def test_no_payload(tmp_path, image, machine):
    assert_halt(boot(tmp_path, image, None, machines.Setting(machine)), "no payload (load system.bin as the initial ramdisk")


@pytest.mark.parametrize("machine", ["virt", "raspi4b"])
def test_truncated(tmp_path, image, sound, machine):
    assert_halt(boot(tmp_path, image, sound[:-100], machines.Setting(machine)), "payload: truncated")


def test_shorter_than_its_header(tmp_path, image, sound):
    assert_halt(boot(tmp_path, image, sound[:64]), "payload: truncated")


@pytest.mark.parametrize("offset", [96, 200, 500, -1])
def test_flipped_bit(tmp_path, image, sound, offset):
    damaged = bytearray(sound)
    damaged[offset] ^= 4
    assert_halt(boot(tmp_path, image, bytes(damaged)), "payload: damaged, its CRC-32 is wrong")


def test_not_a_payload(tmp_path, image):
    assert_halt(boot(tmp_path, image, b"070701" + b"0" * 4096), "payload: not a Caprock system")


@pytest.mark.parametrize("changes, expected", [
    ({"version": 2}, "payload: its format has another version than this Image"),
    ({"total_size": 64}, "payload: its header is damaged"),
    ({"root_offset": 196}, "payload: the root task lies outside the payload"),
    ({"root_offset": 1 << 40}, "payload: the root task lies outside the payload"),
    ({"root_size": 1 << 63}, "payload: the root task lies outside the payload"),
    ({"root_size": 100}, "payload: the root task's ELF is damaged"),
])
def test_bad_header(tmp_path, image, sound, changes, expected):
    assert_halt(boot(tmp_path, image, resealed(sound, **changes)), expected)


def test_other_api(tmp_path, image, sound, api_hash):
    other = resealed(sound, api_hash=api_hash ^ 1)
    assert_halt(boot(tmp_path, image, other), "payload: the root task was built for another API than this Image")


@pytest.mark.parametrize("root, expected", [
    (b"\x7fELF" + b"\0" * 200, "payload: the root task's ELF is damaged"),
    (SOUND_ROOT[:-1000], "payload: the root task's ELF is damaged"),
    (make_elf([TEXT, DATA], machine=62), "payload: the root task is not an AArch64 executable"),
    (make_elf([TEXT, DATA], kind=3), "payload: the root task is not an AArch64 executable"),
    (make_elf([]), "payload: the root task's segments are unordered"),
    (make_elf([DATA, TEXT]), "payload: the root task's segments are unordered, overlapping or not 1 to 8 at 0x400000"),
    (make_elf([{"vaddr": 0x400000 + 0x1000 * i, "flags": 5} for i in range(9)]), "payload: the root task's segments are unordered"),
    (make_elf([TEXT | {"flags": 7}, DATA]), "root task: a segment is writable and executable at 0x400000"),
    (make_elf([TEXT, DATA | {"vaddr": 0x401900}]), "root task: two segments share a page at 0x401000"),
    (make_elf([TEXT, DATA | {"vaddr": 1 << 47}]), "root task: a segment lies above the user addresses at 0x800000000000"),
    (make_elf([TEXT, DATA], entry=0x402000), "root task: the entry is in no executable segment at 0x402000"),
    (make_elf([TEXT, DATA | {"memory": 2 << 30}]), "too little RAM: no room for the root task"),
], ids=["headers", "cut", "x86", "shared-object", "no-segments", "unordered", "nine-segments", "write-execute", "shared-page",
        "kernel-address", "entry", "huge"])
def test_bad_root_task(tmp_path, image, api_hash, root, expected):
    assert_halt(boot(tmp_path, image, payloads.make_payload(root, "bad", b"\0" * 32, api_hash)), expected)


# --- The kernel in the Image ------------------------------------------------------------------------------------------------------------

def patched(tmp_path: Path, image: Path, offset_in_elf: int, data: bytes) -> Path:
    """Returns an Image whose kernel ELF has other bytes."""
    content = bytearray(image.read_bytes())
    at = content.index(b"\x7fELF") + offset_in_elf
    content[at:at + len(data)] = data
    path = tmp_path / "Image"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("offset, data, expected", [
    (4, b"\x01", "kernel: its ELF in the Image is damaged"),
    (18, b"\x3e", "kernel: not an AArch64 executable"),
    (24, b"\xff" * 8, "kernel: the entry is in no executable segment"),
    (56, b"\0\0", "kernel: its segments are unordered"),
], ids=["class", "machine", "entry", "no-segments"])
def test_bad_kernel(tmp_path, image, sound, offset, data, expected):
    assert_halt(boot(tmp_path, patched(tmp_path, image, offset, data), sound), expected)


def test_kernel_of_another_api(tmp_path, image, sound, api_hash):
    content = image.read_bytes()
    elf = content.index(b"\x7fELF")
    note = content.index(struct.pack("<III", 8, 8, 1) + b"Caprock\0" + struct.pack("<Q", api_hash), elf)
    other = patched(tmp_path, image, note - elf + 20, struct.pack("<Q", api_hash ^ 1))
    assert_halt(boot(tmp_path, other, sound), "kernel: built for another API than the boot shim")


# --- Device trees -----------------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def virt_tree(tmp_path_factory) -> bytes:
    """The device tree of QEMU's virt at EL1 with GICv2."""
    path = tmp_path_factory.mktemp("tree") / "virt.dtb"
    return machines.device_tree(machines.Setting("virt", gic=2, el=1), path).read_bytes()


class Tree:
    """A device tree that is changed by path; it starts as virt's with a payload at PAYLOAD."""

    def __init__(self, data: bytes, payload_size: int):
        self.fdt = libfdt.Fdt(data)
        self.fdt.pack()
        self.fdt.resize(self.fdt.totalsize() + 16384)
        self.cells("/chosen", "linux,initrd-start", PAYLOAD)
        self.cells("/chosen", "linux,initrd-end", PAYLOAD + payload_size)

    def node(self, path: str) -> int:
        return self.fdt.path_offset(path)

    def cells(self, path: str, name: str, *values: int) -> "Tree":
        self.fdt.setprop(self.node(path), name, b"".join(struct.pack(">I", value) for value in values))
        return self

    def text(self, path: str, name: str, value: str) -> "Tree":
        self.fdt.setprop_str(self.node(path), name, value)
        return self

    def reserve(self, address: int, size: int) -> "Tree":
        data = self.fdt.as_bytearray()
        assert libfdt.fdt_add_mem_rsv(data, address, size) == 0
        self.fdt = libfdt.Fdt(data)
        return self

    def remove(self, path: str, name: str | None = None) -> "Tree":
        if name is None:
            self.fdt.del_node(self.node(path))
        else:
            self.fdt.delprop(self.node(path), name)
        return self

    def data(self) -> bytes:
        self.fdt.pack()
        return bytes(self.fdt.as_bytearray())


def boot_tree(tmp_path: Path, image: Path, payload: bytes, tree: bytes | None, address: int = TREE, el: int = 1) -> machines.Outcome:
    """Starts the Image on virt with this device tree in memory (None: no tree) and its address in x0."""
    start = tmp_path / "start.bin"
    code = [0xD2800000 | part << 21 | (address >> 16 * part & 0xFFFF) << 5 for part in (0,)]
    code += [0xF2800000 | part << 21 | (address >> 16 * part & 0xFFFF) << 5 for part in (1, 2, 3)]
    code += [0xD2A00000 | IMAGE >> 16 << 5 | 9, 0xD61F0120]  # movz x9, #IMAGE; br x9
    start.write_bytes(struct.pack("<6I", *code))
    files = {TRAMPOLINE: start, IMAGE: image}
    for where, name, data in ((TREE, "tree.dtb", tree), (PAYLOAD, "system.bin", payload)):
        if data is not None:
            files[where] = tmp_path / name
            files[where].write_bytes(data)
    serial = tmp_path / "serial"
    line = [machines.QEMU, "-M", f"virt,gic-version=2,virtualization={'on' if el == 2 else 'off'}", "-cpu", "cortex-a72", "-smp", "4",
            "-m", "1G", "-display", "none", "-nic", "none", "-monitor", "none", "-serial", f"file:{serial}"]
    for where, file in files.items():
        line += ["-device", f"loader,file={file},addr={where:#x},force-raw=on"]
    line += ["-device", f"loader,addr={TRAMPOLINE:#x},cpu-num=0"]
    return machines.run_command(line, serial=serial, timeout=TIMEOUT, until=PASSED)


@pytest.mark.parametrize("el", [1, 2])
def test_own_tree(tmp_path, image, sound, virt_tree, el):
    """The tree that the next cases damage is sound, and no PSCI conduit contradicts the exception level."""
    tree = Tree(virt_tree, len(sound)).text("/psci", "method", "smc" if el == 2 else "hvc")
    outcome = boot_tree(tmp_path, image, sound, tree.data(), el=el)
    assert outcome.status == 0 and f"EL{el}, GICv2, 1024 MiB RAM, 4 cores" in outcome.reason, outcome.log


@pytest.mark.parametrize("address", [0, TREE + 4, TREE + 0x100000])
def test_no_tree_on_virt(tmp_path, image, sound, virt_tree, address):
    """Nothing says where the console is: the board's known UART is used, after its identification was read."""
    outcome = boot_tree(tmp_path, image, sound, virt_tree, address)
    assert_halt(outcome, f"no device tree at {address:#x} (start the Image as a Linux kernel is started")


def test_no_tree_where_nothing_answers(tmp_path, image, sound):
    """A read that no device answers is an exception, and is reported as one."""
    outcome = boot_tree(tmp_path, image, sound, None, 0x7000000000)
    assert_halt(outcome, "boot shim: exception at 0x")
    assert "caprock: boot shim: ESR 0x96000010, FAR 0x700000000" in outcome.log


def test_no_tree_on_raspi4b(tmp_path, image):
    """Without -dtb QEMU passes 0x100, where there is no tree; the PL011 is the first serial line."""
    serial = tmp_path / "serial"
    line = [machines.QEMU, "-M", "raspi4b", "-kernel", str(image), "-display", "none", "-nic", "none", "-monitor", "none",
            "-serial", f"file:{serial}"]
    assert_halt(machines.run_command(line, serial=serial, timeout=TIMEOUT, until=PASSED), "no device tree at 0x100")


def with_word(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + struct.pack(">I", value) + data[offset + 4:]


def struct_offset(data: bytes) -> int:
    return struct.unpack_from(">I", data, 8)[0]


@pytest.mark.parametrize("damage", [
    lambda data: with_word(data, 8, len(data)),                        # structure outside the tree
    lambda data: with_word(data, 12, len(data) - 4),                   # strings cut off
    lambda data: with_word(data, 36, 64),                              # structure cut off
    lambda data: with_word(data, struct_offset(data), 7),              # no such tag
    lambda data: with_word(data, struct_offset(data) + 12, 1 << 30),   # a property longer than the tree
    lambda data: with_word(data, struct_offset(data) + 16, 1 << 30),   # a property's name outside the strings
    lambda data: with_word(data, 24, 99),                              # a version from the future that reads no older one
], ids=["structure-outside", "strings-cut", "structure-cut", "tag", "length", "name", "version"])
def test_damaged_tree(tmp_path, image, sound, virt_tree, damage):
    data = Tree(virt_tree, len(sound)).data()
    assert_halt(boot_tree(tmp_path, image, sound, damage(data)), f"device tree: damaged at {TREE:#x}")


TREE_ERRORS = {
    "no-memory": (lambda t: t.remove("/memory@40000000"), "device tree: no memory"),
    "no-console": (lambda t: t.remove("/chosen", "stdout-path"), "device tree: no console"),
    "console-nowhere": (lambda t: t.text("/chosen", "stdout-path", "serial9:115200"), "device tree: stdout-path names no node"),
    "console-unknown": (lambda t: t.text("/chosen", "stdout-path", "/psci"), "device tree: the console is of an unknown kind"),
    "console-absent": (lambda t: t.cells("/pl011@9000000", "reg", 0x70, 0, 0, 0x1000), "boot shim: exception at 0x"),
    "no-gic": (lambda t: t.remove("/intc@8000000"), "device tree: no GICv2 or GICv3 interrupt controller"),
    "gic-disabled": (lambda t: t.text("/intc@8000000", "status", "disabled"), "device tree: no GICv2 or GICv3 interrupt controller"),
    "gic-registers": (lambda t: t.remove("/intc@8000000", "reg"), "device tree: the interrupt controller's registers cannot be located"),
    "no-timer": (lambda t: t.remove("/timer"), "device tree: no arm,armv8-timer"),
    "timer-interrupts": (lambda t: t.remove("/timer", "interrupts"), "device tree: the timer's interrupts are not private peripheral ones"),
    "no-cores": (lambda t: t.remove("/cpus"), "device tree: /cpus does not list the boot core at 0x0"),
    "psci-method": (lambda t: t.text("/psci", "method", "fax"), "device tree: PSCI's method is neither smc nor hvc"),
    "ramdisk-reversed": (lambda t: t.cells("/chosen", "linux,initrd-end", PAYLOAD - 1),
                         "device tree: the initial ramdisk ends before it starts"),
    "payload-in-image": (lambda t: t.cells("/chosen", "linux,initrd-start", IMAGE + 0x1000), "payload: overlaps the Image at 0x42001000"),
    "payload-in-tree": (lambda t: t.cells("/chosen", "linux,initrd-start", TREE), "payload: overlaps the device tree at 0x44000000"),
    "payload-unaligned": (lambda t: t.cells("/chosen", "linux,initrd-start", PAYLOAD + 4), "payload: not aligned to 8 bytes at 0x48000004"),
    "payload-outside": (lambda t: t.cells("/chosen", "linux,initrd-start", 0x3FFFF000), "payload: not in RAM at 0x3ffff000"),
    "payload-reserved": (lambda t: t.reserve(PAYLOAD, 0x1000000), "payload: in reserved memory at 0x48000000"),
    "little-ram": (lambda t: t.cells("/memory@40000000", "reg", 0, PAYLOAD, 0, 0x40000), "too little RAM: no room for the kernel"),
}


@pytest.mark.parametrize("change, expected", TREE_ERRORS.values(), ids=TREE_ERRORS)
def test_bad_tree(tmp_path, image, sound, virt_tree, change, expected):
    tree = change(Tree(virt_tree, len(sound)))
    assert_halt(boot_tree(tmp_path, image, sound, tree.data()), expected)


def test_too_many_reservations(tmp_path, image, sound, virt_tree):
    tree = Tree(virt_tree, len(sound))
    for i in range(40):
        tree.reserve(0x60000000 + i * 0x10000, 0x1000)
    assert_halt(boot_tree(tmp_path, image, sound, tree.data()), "device tree: more than 32 separate ranges of memory")


def test_psci_by_hvc_at_el2(tmp_path, image, sound, virt_tree):
    assert_halt(boot_tree(tmp_path, image, sound, Tree(virt_tree, len(sound)).data(), el=2), "device tree: PSCI by hvc")


# --- Boot media -------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("machine", ["virt", "raspi4b"])
@pytest.mark.parametrize("missing", ["system.bin", "Image"])
def test_medium_without_a_file(tmp_path, image, sound, machine, missing):
    payload = tmp_path / "system.bin"
    payload.write_bytes(sound)
    medium = tmp_path / "medium.img"
    images.make_image(machine, medium, image, payload, firmware=False)
    subprocess.run(["mdel", "-i", f"{medium}@@1M", f"::caprock/{missing}"], check=True)
    outcome = machines.run(machines.Setting(machine, "uboot"), timeout=TIMEOUT, disk=medium, output=None, until=PASSED)
    assert_halt(outcome, f"boot.scr: caprock/{missing} cannot be loaded")


@pytest.mark.parametrize("machine", ["virt", "raspi4b"])
def test_medium_with_a_damaged_payload(tmp_path, image, sound, machine):
    damaged = bytearray(sound)
    damaged[300] ^= 1
    payload = tmp_path / "system.bin"
    payload.write_bytes(damaged)
    outcome = machines.run(machines.Setting(machine, "uboot"), timeout=TIMEOUT, image=image, payload=payload, output=None, until=PASSED)
    assert_halt(outcome, "payload: damaged, its CRC-32 is wrong")
