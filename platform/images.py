#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes boot media: a disk for QEMU's virt and an SD card for the Raspberry Pi 4, each with an SPDX bill of materials beside it.

The same inputs give the same bytes: every time stamp is SOURCE_DATE_EPOCH (a fixed day by default), every identifier is constant, and no
path, user or locale of this machine reaches the image."""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import fetch

FOLDER = Path(__file__).resolve().parent
DEFAULT_EPOCH = 1577836800  # 2020-01-01, for builds that set no SOURCE_DATE_EPOCH
SECTOR = 512
PARTITION_START = 2048  # sectors
SMALLEST_MEDIUM = 64 << 20  # bytes: below, a FAT32 of one sector per cluster has too few clusters to be one
DISK_IDENTIFIER = 0x43415052
MACHINES = ("virt", "raspi4b")
DEBIAN_LICENCES = {
    "libfdt-dev": "GPL-2.0-or-later OR BSD-2-Clause",
    "u-boot-rpi": "GPL-2.0-or-later",
    "linux-image": "GPL-2.0-only",
    "raspi-firmware": "LicenseRef-raspi-firmware",
}


class ImageError(Exception):
    """The image cannot be made; the text is one line that says what, why and what to do."""


@dataclass(frozen=True)
class Origin:
    """Where a file comes from: package name and version, SPDX licence expression, and the package's copyright text where the licence is
    not on SPDX's list."""

    name: str
    version: str
    licence: str
    architecture: str = ""  # a Debian package's; empty for Caprock itself
    licence_text: str = ""


@dataclass(frozen=True)
class Content:
    """One file of an image: its path there, its bytes, and its origin."""

    path: str
    data: bytes
    origin: Origin


def project_version() -> str:
    """Returns the project's version, from the top meson.build."""
    text = (FOLDER.parent / "meson.build").read_text(encoding="utf-8")
    found = re.search(r"^\s*version:\s*'([^']+)'", text, re.MULTILINE)
    if not found:
        raise ImageError("meson.build: it gives no version: '...' (the bill of materials needs it)")
    return found.group(1)


def make_image(machine: str, output: Path, image: Path, payload: Path, *, firmware: bool = True, offline: bool | None = None) -> Path:
    """Writes the boot medium of `machine` ("virt" or "raspi4b") to `output`, and its bill of materials to `output` + ".spdx.json".

    `image`: the boot shim's Image. `payload`: system.bin. `firmware`: put the Raspberry Pi's own boot firmware on the card, which needs the
    non-free-firmware archive component; QEMU does without. `offline`: use only fetched packages that are in the cache. Returns the path of
    the bill of materials. ImageError if an input is missing or a tool fails."""
    if machine not in MACHINES:
        raise ImageError(f"machine {machine}: it must be one of {', '.join(MACHINES)}")
    epoch = _epoch()
    caprock = Origin("caprock", project_version(), "BSD-2-Clause")
    try:
        contents = [
            Content("boot.scr", _boot_script(epoch), caprock),
            Content("caprock/Image", _read(image), caprock),
            Content("caprock/system.bin", _read(payload), caprock),
        ]
        if machine == "raspi4b":
            contents += _rpi4_files(caprock, firmware, offline)
        libfdt = _origin(fetch.fetch("libfdt", offline=offline))
    except fetch.FetchError as error:
        raise ImageError(str(error)) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        medium = Path(scratch) / "medium"
        _write_medium(medium, contents, epoch, Path(scratch))
        bill = _bill_of_materials(machine, output.name, medium.read_bytes(), contents, [libfdt], epoch)
        medium.replace(output)
    bill_path = output.with_name(output.name + ".spdx.json")
    bill_path.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return bill_path


def _epoch() -> int:
    text = os.environ.get("SOURCE_DATE_EPOCH", str(DEFAULT_EPOCH))
    if not re.fullmatch(r"\d{9,10}", text) or int(text) < 315532800:
        raise ImageError(f"SOURCE_DATE_EPOCH={text}: it must be seconds since 1970, not before 1980 (FAT knows no earlier date)")
    return int(text)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror} (build it first)") from error


def _run(command: list[str], epoch: int, text: str = "") -> None:
    """Runs a tool that makes part of an image on `text`, with none of this machine's settings; ImageError with its message if it fails."""
    environment = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": str(epoch),
                   "MTOOLSRC": os.devnull, "HOME": os.devnull}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False, input=text)
    except FileNotFoundError as error:
        raise ImageError(f"{command[0]} is not installed (packages u-boot-tools, mtools and fdisk are needed)") from error
    if done.returncode != 0:
        message = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise ImageError(f"{command[0]}: {message[-1]}")


def _boot_script(epoch: int) -> bytes:
    """Returns boot.cmd wrapped as U-Boot wants scripts."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "boot.scr"
        _run(["mkimage", "-A", "arm64", "-O", "linux", "-T", "script", "-C", "none", "-n", "Caprock",
              "-d", str(FOLDER / "images" / "boot.cmd"), str(target)], epoch)
        return target.read_bytes()


def _origin(package: fetch.Package) -> Origin:
    """Returns a fetched package's origin; its licence is known by the longest name that the package's starts with."""
    known = max((name for name in DEBIAN_LICENCES if package.name.startswith(name)), key=len, default=None)
    if known is None:
        raise ImageError(f"package {package.name}: its licence is not recorded (add it to DEBIAN_LICENCES in platform/images.py)")
    licence = DEBIAN_LICENCES[known]
    text = package.file(fetch.COPYRIGHT).read_text(encoding="utf-8") if licence.startswith("LicenseRef-") else ""
    return Origin(package.name, package.version, licence, package.architecture, text)


def _rpi4_files(caprock: Origin, firmware: bool, offline: bool | None) -> list[Content]:
    u_boot = fetch.fetch("u-boot-rpi", offline=offline)
    tree = fetch.fetch("rpi4-dtb", offline=offline)
    contents = [
        Content("config.txt", _read(FOLDER / "rpi4" / "config.txt"), caprock),
        Content("u-boot.bin", _read(u_boot.file("*/rpi_arm64/u-boot.bin")), _origin(u_boot)),
        Content("bcm2711-rpi-4-b.dtb", _read(tree.file("*/bcm2711-rpi-4-b.dtb")), _origin(tree)),
    ]
    if firmware:
        package = fetch.fetch("raspi-firmware", offline=offline)
        contents += [Content(name, _read(package.file(f"*/{name}")), _origin(package)) for name in ("start4.elf", "fixup4.dat")]
    return contents


def _medium_size(contents: list[Content]) -> int:
    """Returns the medium's bytes: a power of two (QEMU takes no other SD card) with room for the files, their clusters and two FATs."""
    needed = PARTITION_START * SECTOR + sum(len(content.data) + (64 << 10) for content in contents) + (4 << 20)
    size = SMALLEST_MEDIUM
    while size < needed:
        size *= 2
    return size


def _write_medium(medium: Path, contents: list[Content], epoch: int, scratch: Path) -> None:
    """Writes an MBR and one FAT32 partition with the files to `medium`."""
    size = _medium_size(contents)
    with open(medium, "wb") as handle:
        handle.truncate(size)
    table = f"label: dos\nlabel-id: {DISK_IDENTIFIER:#x}\nstart={PARTITION_START}, type=c, bootable\n"
    _run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(medium)], epoch, table)
    sectors = size // SECTOR - PARTITION_START
    cluster = 1
    while cluster < 64 and sectors // (cluster * 2) > 70000:
        cluster *= 2
    partition = f"{medium}@@{PARTITION_START * SECTOR}"
    _run(["mformat", "-i", partition, "-F", "-T", str(sectors), "-c", str(cluster), "-h", "255", "-s", "63", "-H", str(PARTITION_START),
          "-N", f"{DISK_IDENTIFIER:08x}", "::"], epoch)
    folders = sorted({str(Path(content.path).parent) for content in contents} - {"."})
    for folder in folders:
        _run(["mmd", "-i", partition, f"::{folder}"], epoch)
    for content in contents:
        staged = scratch / "file"
        staged.write_bytes(content.data)
        os.utime(staged, (epoch, epoch))
        _run(["mcopy", "-m", "-i", partition, str(staged), f"::{content.path}"], epoch)


def _identifier(text: str) -> str:
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", text)


def _bill_package(origin: Origin) -> dict:
    package = {
        "SPDXID": _identifier(f"Package-{origin.name}"), "name": origin.name, "versionInfo": origin.version,
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": origin.licence,
        "copyrightText": "NOASSERTION", "supplier": "NOASSERTION",
    }
    if origin.architecture:
        locator = f"pkg:deb/debian/{origin.name}@{origin.version.replace('+', '%2B')}?arch={origin.architecture}"
        package["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}]
    return package


def _bill_file(content: Content) -> dict:
    return {
        "SPDXID": _identifier(f"File-{content.path}"), "fileName": f"./{content.path}",
        "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(content.data).hexdigest()},
                      {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content.data).hexdigest()}],
        "licenseConcluded": content.origin.licence, "licenseInfoInFiles": ["NOASSERTION"], "copyrightText": "NOASSERTION",
    }


def _bill_of_materials(machine: str, name: str, medium: bytes, contents: list[Content], linked: list[Origin], epoch: int) -> dict:
    """Returns an SPDX 2.3 document: the medium contains the files, each made from its origin; `linked` are built into caprock/Image."""
    digest = hashlib.sha256(medium).hexdigest()
    origins = {origin.name: origin for origin in [*(content.origin for content in contents), *linked]}
    medium_package = _bill_package(Origin(f"caprock-{machine}-image", project_version(), "NOASSERTION"))
    medium_package["packageFileName"] = name
    medium_package["checksums"] = [{"algorithm": "SHA256", "checksumValue": digest}]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", medium_package["SPDXID"])]
    for content in contents:
        identifier = _identifier(f"File-{content.path}")
        relations.append((medium_package["SPDXID"], "CONTAINS", identifier))
        relations.append((identifier, "GENERATED_FROM", _identifier(f"Package-{content.origin.name}")))
    relations += [(_identifier("File-caprock/Image"), "STATIC_LINK", _identifier(f"Package-{origin.name}")) for origin in linked]
    created = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    bill = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
        "documentNamespace": f"urn:caprock:image:{machine}:{digest}",
        "creationInfo": {"created": created, "creators": [f"Tool: caprock-images-{project_version()}"]},
        "packages": [medium_package, *(_bill_package(origins[key]) for key in sorted(origins))],
        "files": [_bill_file(content) for content in contents],
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in relations],
    }
    extracted = [{"licenseId": origin.licence, "name": origin.name, "extractedText": origin.licence_text}
                 for _, origin in sorted(origins.items()) if origin.licence_text]
    if extracted:
        bill["hasExtractedLicensingInfos"] = extracted
    return bill


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a boot medium and its bill of materials.")
    parser.add_argument("machine", choices=MACHINES)
    parser.add_argument("output", type=Path)
    parser.add_argument("--image", type=Path, required=True, help="the boot shim's Image")
    parser.add_argument("--payload", type=Path, required=True, help="system.bin")
    parser.add_argument("--no-firmware", action="store_true", help="raspi4b: leave the board's own firmware out (enough for QEMU)")
    parser.add_argument("--offline", action="store_true", default=None, help="use only packages that were fetched before")
    arguments = parser.parse_args()
    try:
        bill = make_image(arguments.machine, arguments.output, arguments.image, arguments.payload, firmware=not arguments.no_firmware,
                          offline=arguments.offline)
    except (ImageError, OSError) as error:
        print(f"images.py: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.output} and {bill}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
