# SPDX-License-Identifier: BSD-2-Clause
"""Payloads, boot media and the machines that they are run on: made the same every time, listed in full, booted unattended, and refused with
a reason."""

import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

import fetch  # noqa: E402
import images  # noqa: E402
import machines  # noqa: E402
import payload as payloads  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
ROOT_ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 100


@pytest.fixture(name="inputs")
def make_inputs(tmp_path) -> dict[str, Path]:
    """An Image and a payload that are only good for being put on a medium."""
    files = {"image": tmp_path / "Image.in", "payload": tmp_path / "system.in"}
    files["image"].write_bytes(b"image" * 1000)
    files["payload"].write_bytes(b"payload" * 1000)
    return files


# --- Payloads ---------------------------------------------------------------------------------------------------------------------------

def test_payload_layout():
    """The header as kernel/api/boot.toml describes it, and the ELF behind it."""
    data = payloads.make_payload(ROOT_ELF, "a name", bytes(range(32)), 0x1122334455667788, 13)
    header = payloads.HeaderLayout().unpack(data)
    assert data[:8] == b"CAPROCK1"
    assert header["total_size"] == len(data) and header["root_size"] == len(ROOT_ELF)
    assert data[header["root_offset"]:] == ROOT_ELF and header["root_offset"] % 8 == 0
    assert header["system_hash"] == bytes(range(32)) and header["api_hash"] == 0x1122334455667788
    assert header["name"].rstrip(b"\0") == b"a name" and header["root_cnode_bits"] == 13


@pytest.mark.parametrize("change, message", [
    ({"name": ""}, "1 to 63 bytes"), ({"name": "x" * 64}, "1 to 63 bytes"), ({"name": "a\0b"}, "no NUL"), ({"system_hash": b""}, "SHA-256"),
    ({"root_elf": b"MZ"}, "not an ELF"), ({"api_hash": 1 << 64}, "api_hash"), ({"root_cnode_bits": 11}, "12 to 20"),
    ({"root_cnode_bits": 21}, "12 to 20"),
], ids=str)
def test_payload_refusals(change, message):
    arguments = {"root_elf": ROOT_ELF, "name": "x", "system_hash": b"\0" * 32, "api_hash": 1} | change
    with pytest.raises(payloads.PayloadError, match=message):
        payloads.make_payload(**arguments)


# --- Boot media -------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("machine", ["virt", "raspi4b"])
def test_same_bytes_everywhere(tmp_path, inputs, machine):
    """Another folder, time, locale, time zone and umask give the same medium and bill of materials."""
    first, second = tmp_path / "a" / "medium.img", tmp_path / "b" / "medium.img"
    images.make_image(machine, first, **inputs, firmware=False)
    for file in inputs.values():
        os.utime(file, (1000000000, 1000000000))
    command = [str(ROOT / "platform" / "images.py"), machine, str(second), "--image", str(inputs["image"]),
               "--payload", str(inputs["payload"]), "--no-firmware"]
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    environment.setdefault("CAPROCK_CACHE", str(fetch.cache_folder()))
    subprocess.run(command, check=True, env=environment, umask=0o077, stdout=subprocess.DEVNULL)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_name("medium.img.spdx.json").read_bytes() == second.with_name("medium.img.spdx.json").read_bytes()


@pytest.mark.parametrize("machine", ["virt", "raspi4b"])
def test_bill_of_materials(tmp_path, inputs, machine):
    """Every file on the medium is listed with its right digest, licence and origin, and nothing else is."""
    medium = tmp_path / "medium.img"
    bill = json.loads(images.make_image(machine, medium, **inputs, firmware=False).read_text(encoding="utf-8"))
    assert bill["spdxVersion"] == "SPDX-2.3"
    listing = subprocess.run(["mdir", "-/", "-b", "-i", f"{medium}@@1M", "::"], check=True, capture_output=True, text=True).stdout.split()
    on_medium = {"." + name.removeprefix("::") for name in listing if not name.endswith("/")}
    assert {entry["fileName"] for entry in bill["files"]} == on_medium
    packages = {entry["SPDXID"]: entry for entry in bill["packages"]}
    origins = {entry["spdxElementId"]: entry["relatedSpdxElement"] for entry in bill["relationships"]
               if entry["relationshipType"] == "GENERATED_FROM"}
    for entry in bill["files"]:
        copy = tmp_path / "copy"
        subprocess.run(["mcopy", "-n", "-o", "-i", f"{medium}@@1M", "::" + entry["fileName"][2:], str(copy)], check=True)
        digests = {item["algorithm"]: item["checksumValue"] for item in entry["checksums"]}
        assert digests["SHA256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
        assert packages[origins[entry["SPDXID"]]]["versionInfo"]
        assert entry["licenseConcluded"] not in ("", "NOASSERTION")
    described = packages[next(entry["relatedSpdxElement"] for entry in bill["relationships"] if entry["relationshipType"] == "DESCRIBES")]
    assert described["checksums"][0]["checksumValue"] == hashlib.sha256(medium.read_bytes()).hexdigest()


def test_medium_grows_with_its_files(tmp_path, inputs):
    """The medium is a power of two, as QEMU's SD card must be, and holds a payload larger than the smallest one."""
    inputs["payload"].write_bytes(b"\x5a" * (70 << 20))
    medium = tmp_path / "medium.img"
    images.make_image("virt", medium, **inputs)
    size = medium.stat().st_size
    assert size & size - 1 == 0
    copy = tmp_path / "copy"
    subprocess.run(["mcopy", "-n", "-o", "-i", f"{medium}@@1M", "::caprock/system.bin", str(copy)], check=True)
    assert copy.read_bytes() == inputs["payload"].read_bytes()


def test_image_refusals(tmp_path, inputs, monkeypatch):
    with pytest.raises(images.ImageError, match="must be one of virt, raspi4b"):
        images.make_image("pc", tmp_path / "x", **inputs)
    with pytest.raises(images.ImageError, match="No such file"):
        images.make_image("virt", tmp_path / "x", tmp_path / "none", inputs["payload"])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    with pytest.raises(images.ImageError, match="SOURCE_DATE_EPOCH"):
        images.make_image("virt", tmp_path / "x", **inputs)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("setting", [
    machines.Setting("virt", "uboot", gic=2, el=1), machines.Setting("virt", "uboot", gic=3, el=2), machines.Setting("raspi4b", "uboot"),
], ids=str)
def test_boots_unattended(tmp_path, setting):
    """U-Boot starts the Image with its payload from the medium; the shim finds both, and the loader's reservations of them do no harm."""
    image = BUILD / "platform" / "Image"
    assert image.exists(), f"{image} does not exist: build first (./caprock build)"
    data = image.read_bytes()
    root = make_root_task()
    payload = tmp_path / "system.bin"
    payload.write_bytes(payloads.make_payload(root, "media", b"\0" * 32, payloads.elf_api_hash(data[data.index(b"\x7fELF"):])))
    outcome = machines.run(setting, timeout=60, image=image, payload=payload, output=None, until="caprock: boot shim ")
    assert outcome.status == 0, outcome.log


def make_root_task() -> bytes:
    """The smallest executable that passes the shim's checks: one page of text."""
    header = struct.pack("<4sBBB9sHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, b"", 2, 183, 1, 0x400000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 120, 0x400000, 0x400000, 8, 8, 4096) + b"\0" * 8


# --- Machines ---------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("setting, message", [
    (machines.Setting("pc"), "must be one of virt, raspi4b"), (machines.Setting(via="floppy"), "kernel or uboot"),
    (machines.Setting(gic=4), "no gic 4"), (machines.Setting(el=3), "no el 3"), (machines.Setting(cores=9), "no cores 9"),
    (machines.Setting("raspi4b", gic=3), "no gic 3"), (machines.Setting("raspi4b", cores=2), "no cores 2"),
    (machines.Setting("raspi4b", memory="4G"), "no memory 4G"),
], ids=str)
def test_setting_refusals(setting, message):
    with pytest.raises(machines.MachineError, match=message):
        setting.checked()


def test_run_refusals(tmp_path):
    with pytest.raises(machines.MachineError, match="needs an Image"):
        machines.run(machines.Setting(), timeout=1)
    with pytest.raises(machines.MachineError, match="needs a boot medium"):
        machines.run(machines.Setting(via="uboot"), timeout=1)
    with pytest.raises(machines.MachineError, match="needs boot by kernel"):
        machines.run(machines.Setting(via="uboot"), timeout=1, disk=tmp_path, deterministic=True)


def run_script(tmp_path: Path, script: str, timeout: float = 20, until: str | None = None) -> machines.Outcome:
    """Runs a shell script in QEMU's place; it finds the console's file in $1."""
    serial = tmp_path / "serial"
    return machines.run_command(["sh", "-c", script, "sh", str(serial)], serial=serial, timeout=timeout, until=until)


@pytest.mark.parametrize("script, status, reason", [
    ('printf "hello\\r\\ncaprock: exit 0\\r\\n" >$1; sleep 30', 0, "caprock: exit 0"),
    ('printf "caprock: exit 7\\ncaprock: exit 0\\n" >$1; sleep 30', 7, "caprock: exit 7"),
    ('printf "caprock: ex" >$1; sleep 0.3; printf "it 3\\n" >>$1; sleep 30', 3, "caprock: exit 3"),
    ('printf "caprock: halt: no payload (load it)\\n" >$1; sleep 30', 1, "caprock: halt: no payload (load it)"),
    ('printf "said: caprock: exit 0\\ncaprock: exit soon\\ncaprock: exit 0" >$1', 1, "QEMU ended with status 0 before"),
    ('echo "bad option" >&2; exit 3', 1, "QEMU ended with status 3 before the system said how it ended: bad option"),
    ('trap "" TERM; printf "caprock: exit 5\\n" >$1; exec sleep 30', 5, "caprock: exit 5"),
], ids=["exit", "first-counts", "in-pieces", "halt", "not-at-line-start", "error", "stubborn"])
def test_end_of_run(tmp_path, script, status, reason):
    outcome = run_script(tmp_path, script)
    assert outcome.status == status
    assert outcome.reason.startswith(reason)


def test_timeout(tmp_path):
    outcome = run_script(tmp_path, 'echo working >$1; sleep 30', timeout=0.5)
    assert outcome.status == 1 and outcome.reason.startswith("timeout: no result after 0.5 s") and outcome.log == "working\n"


def test_until(tmp_path):
    outcome = run_script(tmp_path, 'echo "is not ready" >$1; echo "ready now" >>$1; sleep 30', until="ready")
    assert outcome == machines.Outcome(0, "ready now", "is not ready\nready now\n")


def test_deterministic_runs_print_the_same(tmp_path):
    """Two runs of the shim with a payload that it refuses, byte for byte; the machine passes no randomness."""
    image = BUILD / "platform" / "Image"
    assert image.exists(), f"{image} does not exist: build first (./caprock build)"
    payload = tmp_path / "system.bin"
    payload.write_bytes(b"\0" * 4096)
    runs = [machines.run(machines.Setting(), timeout=60, image=image, payload=payload, deterministic=True, output=None) for _ in range(2)]
    assert runs[0] == runs[1] and runs[0].reason.startswith("caprock: halt: payload: not a Caprock system")


# --- Fetching ---------------------------------------------------------------------------------------------------------------------------

def test_offline_without_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPROCK_CACHE", str(tmp_path))
    with pytest.raises(fetch.FetchError, match="fetching is switched off"):
        fetch.fetch("libfdt", offline=True)
    monkeypatch.setenv("CAPROCK_OFFLINE", "1")
    with pytest.raises(fetch.FetchError, match="fetching is switched off"):
        fetch.fetch("libfdt")
    with pytest.raises(fetch.FetchError, match="no file patterns given"):
        fetch.fetch("no-such-thing")


def test_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAPROCK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(fetch.FetchError, match="set CAPROCK_CACHE"):
        fetch.fetch("libfdt", offline=True)


def test_sources_of_both_formats(tmp_path, monkeypatch):
    """Only sources of binary packages of this release are taken, wherever they are; mirrors and keys are the machine's own."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(
        "Types: deb deb-src\n# a remark\nURIs: http://mirror.invalid/a\nSuites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: /key.gpg\n\n"
        "Types: deb-src\nURIs: http://mirror.invalid/source\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://mirror.invalid/off\nSuites: bookworm\nComponents: main\nEnabled: no\n", encoding="utf-8")
    (tmp_path / "sources.list").write_text(
        "# deb http://mirror.invalid/remark bookworm main\n"
        "deb [signed-by=/other.gpg arch=amd64] http://mirror.invalid/b bookworm-security main\n"
        "deb http://mirror.invalid/c nodistro main\ndeb-src http://mirror.invalid/d bookworm main\n", encoding="utf-8")
    assert fetch._machine_sources(tmp_path) == [
        ("http://mirror.invalid/a", "bookworm", "/key.gpg"), ("http://mirror.invalid/a", "bookworm-updates", "/key.gpg"),
        ("http://mirror.invalid/b", "bookworm-security", "/other.gpg"), ("http://mirror.invalid/c", "nodistro", "")]
    monkeypatch.setattr(fetch, "_machine_sources", lambda sources=fetch._machine_sources(tmp_path): sources)
    monkeypatch.setattr(fetch, "_codename", lambda: "bookworm")
    stanzas = fetch._debian_sources(("non-free-firmware",))
    assert len(stanzas) == 3 and all("Components: main non-free-firmware" in stanza for stanza in stanzas)
    monkeypatch.setattr(fetch, "_codename", lambda: "sid")
    with pytest.raises(fetch.FetchError, match="no apt source of this machine serves sid"):
        fetch._debian_sources(())
