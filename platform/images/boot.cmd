# SPDX-License-Identifier: BSD-2-Clause
# Boots Caprock with U-Boot, on every board: the addresses, the device that this script was found on and the device tree are U-Boot's own.
if load ${devtype} ${devnum}:${distro_bootpart} ${kernel_addr_r} caprock/Image; then
    if load ${devtype} ${devnum}:${distro_bootpart} ${ramdisk_addr_r} caprock/system.bin; then
        booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
        echo "caprock: halt: boot.scr: caprock/Image is not a boot image (write the medium again)"
    else
        echo "caprock: halt: boot.scr: caprock/system.bin cannot be loaded (write the medium again)"
    fi
else
    echo "caprock: halt: boot.scr: caprock/Image cannot be loaded (write the medium again)"
fi
