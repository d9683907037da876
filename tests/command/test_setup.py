# SPDX-License-Identifier: BSD-2-Clause
"""Set-up: what is said before anything is installed, what is refused, and the sources entry that is derived from the machine's own."""

import os
import subprocess
from pathlib import Path

import pytest

from command import requirements, setup
from command.errors import Finding
from command.requirements import Requirement, State

ROOT = Path(__file__).resolve().parents[2]
CAPROCK = ROOT / "caprock"

DEB822 = """\
Types: deb
# A comment that is not part of the entry
URIs: http://mirror.example/packages
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/example.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""

APT_SIZES = """\
Need to get 1,500 kB/20.5 MB of archives.
After this operation, 77.5 MB of additional disk space will be used.
"""


def make_tool(folder: Path, name: str, script: str) -> None:
    """Puts a shell script on a fake PATH."""
    path = folder / name
    path.write_text("#!/bin/sh\n" + script, encoding="utf-8")
    path.chmod(0o755)


def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH that has only what the launcher itself uses: every tool of every tier is missing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dirname", "readlink"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return folder


def caprock(*arguments, **environment):
    """Runs the command as a user does."""
    return subprocess.run([CAPROCK, *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False,
                          env={**os.environ, **environment})


def apt_folder(tmp_path: Path, **files: str) -> Path:
    """A folder like /etc/apt with the given sources ("debian.sources" is spelled debian_sources)."""
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        place = folder if name == "sources_list" else folder / "sources.list.d"
        (place / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def test_backports_from_deb822_changes_the_suite_only(tmp_path):
    name, text = setup.derive_backports(apt_folder(tmp_path, debian_sources=DEB822))
    assert name == "caprock-backports.sources"
    assert text == ("Types: deb\nURIs: http://mirror.example/packages\nSuites: bookworm-backports\nComponents: main contrib\n"
                    "Signed-By: /usr/share/keyrings/example.gpg\n")


def test_backports_from_one_line_format_changes_the_suite_only(tmp_path):
    line = "deb [signed-by=/k.gpg arch=amd64] http://mirror.example/packages bookworm main\n"
    name, text = setup.derive_backports(apt_folder(tmp_path, sources_list="# comment\ndeb-src http://x bookworm main\n" + line))
    assert name == "caprock-backports.list"
    assert text == line.replace(" bookworm ", " bookworm-backports ")


@pytest.mark.parametrize("sources", [
    {"debian_sources": DEB822.replace("bookworm-updates", "bookworm-backports")},
    {"debian_sources": DEB822, "extra_list": "deb http://mirror.example/packages bookworm-backports main\n"},
])
def test_backports_that_are_there_are_left_alone(tmp_path, sources):
    assert setup.derive_backports(apt_folder(tmp_path, **sources)) is None


@pytest.mark.parametrize("sources", [
    {},
    {"debian_sources": DEB822.replace("bookworm", "trixie")},
    {"debian_sources": DEB822.replace("Types: deb\n", "Types: deb\nEnabled: no\n")},
])
def test_backports_need_a_source_of_the_release(tmp_path, sources):
    with pytest.raises(Finding, match="serves bookworm"):
        setup.derive_backports(apt_folder(tmp_path, **sources))


@pytest.fixture(name="fake_apt")
def fixture_fake_apt(tmp_path, monkeypatch):
    """A machine that lacks one package of the release and one of backports; its apt-get records what it is asked, in place of doing it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    make_tool(tools, "apt-get", f'echo "$@" >> {tmp_path}/calls\ncase "$*" in *--assume-no*) cat {tmp_path}/sizes ;; esac\n')
    make_tool(tools, "sudo", 'exec "$@"\n')
    (tmp_path / "sizes").write_text(APT_SIZES, encoding="utf-8")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr(setup, "APT_FOLDER", apt_folder(tmp_path, debian_sources=DEB822))
    monkeypatch.setattr(setup, "BUILD", tmp_path / "build")
    monkeypatch.setattr(setup.host, "require_supported", lambda: None)
    monkeypatch.setattr(setup.time, "sleep", lambda _seconds: None)
    lacking = [State(requirement, "missing") for requirement in requirements.TIERS["run"][1] if requirement.package in ("mtools", "meson")]
    answers = [lacking, []]
    monkeypatch.setattr(setup, "check_tiers", lambda _tiers: answers.pop(0))
    return tmp_path


def test_install_says_what_and_how_large_before_it_installs(fake_apt, capsys):
    assert setup.install("run") is True
    said = capsys.readouterr().err.splitlines()
    assert "caprock: tier run (build systems and run them on QEMU) installs: meson mtools" in said
    size = said.index("caprock: size: 20 MB of packages, 78 MB on disk")
    assert size < min(index for index, line in enumerate(said) if line.startswith("caprock: installing"))
    calls = (fake_apt / "calls").read_text(encoding="utf-8").splitlines()
    assert calls[0].endswith("update")
    assert "--assume-no" in calls[1] and "--assume-no" not in calls[2]
    assert calls[2].endswith("--no-install-recommends meson/bookworm-backports mtools")
    assert len(calls) == 3
    added = fake_apt / "apt" / "sources.list.d" / "caprock-backports.sources"
    assert "Suites: bookworm-backports\n" in added.read_text(encoding="utf-8")


def test_failed_install_is_one_line(fake_apt):
    make_tool(fake_apt / "bin", "apt-get", 'case "$*" in *--yes*) echo "E: Unable to locate package meson"; exit 100 ;; esac\n')
    with pytest.raises(Finding) as caught:
        setup.install("run")
    assert "installing meson/bookworm-backports mtools failed: E: Unable to locate package meson" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Unable to locate" in (fake_apt / "build" / "setup.log").read_text(encoding="utf-8")


def test_failed_update_is_tried_again_and_then_reported(fake_apt):
    make_tool(fake_apt / "bin", "apt-get", f'echo "$@" >> {fake_apt}/calls\necho "E: no network"; exit 100\n')
    with pytest.raises(Finding, match="reading the package lists failed: E: no network"):
        setup.install("run")
    assert len((fake_apt / "calls").read_text(encoding="utf-8").splitlines()) == 3


def test_a_package_that_does_not_help_is_reported(fake_apt, monkeypatch):
    meson = Requirement("meson", "command", "meson", "1.7")
    monkeypatch.setattr(setup, "check_tiers", lambda _tiers: [State(meson, "other", "1.0.1")])
    with pytest.raises(Finding, match=r"installed, and yet meson is 1\.0\.1, not 1\.7 or newer"):
        setup.install("run")


def test_nothing_is_done_when_nothing_is_missing(fake_apt, monkeypatch):
    monkeypatch.setattr(setup, "check_tiers", lambda _tiers: [])
    assert setup.install("run") is False
    assert not (fake_apt / "calls").exists()


def test_without_root_and_sudo_it_says_so(fake_apt, monkeypatch):
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(setup.shutil, "which", lambda _name: None)
    with pytest.raises(Finding, match="needs root"):
        setup.install("run")


@pytest.mark.parametrize("verb", [("run",), ("setup", "run"), ("build",), ("test",)])
def test_no_install_never_installs(tmp_path, verb):
    folder = bare_path(tmp_path)
    for tool in ("apt-get", "sudo"):
        make_tool(folder, tool, f"/usr/bin/touch {tmp_path}/called\n")
    done = caprock(*verb, "--no-install", PATH=str(folder), CAPROCK_BUILD=str(tmp_path / "build"))
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("caprock: error: ")]
    assert len(errors) == 1 and "missing: g++-aarch64-linux-gnu" in errors[0] and "./caprock setup run" in errors[0]
    assert not (tmp_path / "called").exists()


def test_doctor_tells_there_missing_and_other_version(tmp_path):
    folder = bare_path(tmp_path)
    make_tool(folder, "meson", "echo 1.0.1\n")
    make_tool(folder, "ninja", "echo 1.11.1\n")
    done = caprock("doctor", PATH=str(folder))
    assert done.returncode == 1
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert lines["meson"] == "OTHER VERSION: 1.0.1, expected 1.7 or newer"
    assert lines["ninja-build"] == "there 1.11.1"
    assert lines["qemu-system-arm"] == "MISSING"


@pytest.mark.parametrize("text, name", [
    ("ID=fedora\nVERSION_ID=41\n", "fedora 41"),
    ('ID=debian\nVERSION_ID="13"\n', "debian 13"),
    ("", "unknown unknown"),
])
@pytest.mark.parametrize("verb", ["run", "test", "setup"])
def test_other_hosts_are_sent_to_the_containerfile(tmp_path, text, name, verb):
    release = tmp_path / "os-release"
    release.write_text(text, encoding="utf-8")
    done = caprock(verb, CAPROCK_OS_RELEASE=str(release), CAPROCK_BUILD=str(tmp_path / "build"))
    errors = done.stderr.splitlines()
    assert done.returncode == 1
    assert len(errors) == 1 and f"this host is {name}" in errors[0] and "Containerfile" in errors[0]


def test_the_run_tier_needs_nothing_for_proofs_or_the_second_compiler():
    packages = [requirement.package for requirement in requirements.TIERS["run"][1]]
    for word in ("coq", "ocaml", "z3", "clang", "chromium", "firefox"):
        assert not any(word in package for package in packages)


@pytest.mark.parametrize("version, expected", [("12.2.0-14", (12, 2, 0)), ("1.7.0", (1, 7, 0)), ("10", (10,)), ("none", ())])
def test_versions_compare_as_numbers(version, expected):
    assert requirements.numbers(version) == expected


def test_what_is_fetched_is_announced_with_its_size(monkeypatch, capsys):
    import fetch as fetcher  # in platform/

    asked = []

    def fake_fetch(name, offline=None):
        asked.append((name, offline))
        if offline:
            raise fetcher.FetchError("not in the cache")

    monkeypatch.setattr(fetcher, "fetch", fake_fetch)
    with pytest.raises(Finding, match="not in the cache"):
        setup.fetch("rpi4-dtb", allowed=False)
    assert asked == [("rpi4-dtb", True)]
    setup.fetch("rpi4-dtb")
    assert asked[1:] == [("rpi4-dtb", True), ("rpi4-dtb", None)]
    assert "about 60 MB" in capsys.readouterr().err
