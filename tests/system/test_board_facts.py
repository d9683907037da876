# SPDX-License-Identifier: BSD-2-Clause
"""At boot the loader looks whether the board is the one that the system was built for: what components took from the device tree has to be there."""

import re
import subprocess

import machines
import pytest
from test_loader import BUILD, TIMEOUT, build_system

CLOCK = "/pl031@9010000"
SYSTEM = f"""caprock 1
arch aarch64
components {{
  a = component {{ elf "hello-spinner.elf"; prio 50; budget 1ms/10ms; device clock: "{CLOCK}"; irq alarm: "{CLOCK}" 0 }}
}}
"""
NODE = r"\tpl031@9010000 \{.*?\n\t\};\n"


def change(text, pattern, replacement):
    """A tree's source with a change in the clock's node."""
    node = re.search(NODE, text, re.DOTALL).group()
    changed, count = re.subn(pattern, replacement, node, count=1, flags=re.DOTALL)
    assert count == 1
    return text.replace(node, changed)


BOARDS = {
    "the same": (("", ""), None),
    "registers elsewhere": ((r"reg = <0x00 0x9010000", "reg = <0x00 0x9011000"), rf"`reg` of {CLOCK} is another one"),
    "fewer registers": ((r"0x1000>;", "0x800>;"), rf"`reg` of {CLOCK} is another one"),
    "another interrupt": ((r"interrupts = <0x00 0x02", "interrupts = <0x00 0x03"), rf"`interrupts` of {CLOCK} is another one"),
    "no interrupt": ((r"\t\tinterrupts = [^;]*;\n", ""), rf"{CLOCK} has no `interrupts`"),
    "disabled": ((r"\{", '{ status = "disabled";'), rf"{CLOCK} is disabled"),
    "nowhere": ((r"pl031@9010000", "pl031@9020000"), rf"{CLOCK} does not exist"),
}


@pytest.mark.parametrize("case", BOARDS)
def test_the_board_is_compared(tmp_path, case):
    (pattern, replacement), difference = BOARDS[case]
    setting = machines.Setting("virt").checked()
    tree = machines.device_tree(setting, tmp_path / "board.dtb")
    source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", tree], capture_output=True, text=True, check=True).stdout
    (tmp_path / "other.dts").write_text(change(source, pattern, replacement), encoding="utf-8")
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", tmp_path / "other.dtb", tmp_path / "other.dts"], check=True)
    (tmp_path / "clock.cdl").write_text(SYSTEM, encoding="utf-8")
    system = build_system(tmp_path / "clock.cdl", machine="virt", dtb=tree, elf_dirs=[BUILD / "userland"], build_dir=BUILD, out_dir=tmp_path / "out")
    outcome = machines.run(setting, timeout=TIMEOUT, image=BUILD / "platform" / "Image", payload=system.payload, dtb=tmp_path / "other.dtb", output=None,
                           until="caprock: loaded clock")
    if difference is None:
        assert outcome.status == 0, outcome.log
    else:
        told = rf"^caprock: halt: loader: the board is not the one that clock was built for: {difference}, which a needs \(build the system with this "
        assert re.search(told, outcome.log, re.MULTILINE) and outcome.status == 1, outcome.log
