# SPDX-License-Identifier: BSD-2-Clause
# find_package(seL4) for projects of that ecosystem: the same functions and targets, with Caprock as the kernel. Add the folder of this file to
# CMAKE_MODULE_PATH.
include("${CMAKE_CURRENT_LIST_DIR}/../../../lib/cmake/caprock/caprockConfig.cmake")
# Folders that such projects name.
set(KERNEL_PATH "${CMAKE_CURRENT_LIST_DIR}")
set(KERNEL_HELPERS_PATH "${CMAKE_CURRENT_LIST_DIR}/helpers.cmake")
set(KERNEL_CONFIG_PATH "${CMAKE_CURRENT_LIST_DIR}")

# Sets the variables by which projects ask for the kernel's configuration, in the caller's scope. KernelDebugBuild chooses the debug kernel.
macro(sel4_configure_platform_settings)
    set(KernelArch arm)
    set(KernelArchARM ON)
    set(KernelSel4Arch aarch64)
    set(KernelSel4ArchAarch64 ON)
    set(KernelPlatform qemu-arm-virt)
    set(KernelPlatformQEMUArmVirt ON)
    set(KernelARMPlatform qemu-arm-virt)
    set(KernelWordSize 64)
    set(Kernel64 ON)
    set(KernelIsMCS ON)
    set(KernelHaveFPU ON)
    set(KernelMaxNumNodes 1)
    set(KernelNumDomains 16)
    set(KernelNumPriorities 256)
    set(KernelArmExportPTMRUser ON)
    set(KernelArmExportPCNTUser ON)
    set(KernelArmExportVCNTUser ON)
    set(KernelArmHypervisorSupport OFF)
    set(HardwareDebugAPI ON)
    set(KernelDebugBuild "${CAPROCK_DEBUG_BUILD}" CACHE BOOL "run on the debug kernel")
    set(CAPROCK_DEBUG_BUILD "${KernelDebugBuild}")
    set(KernelPrinting "${KernelDebugBuild}")
    set(KernelRootCNodeSizeBits 12 CACHE STRING "radix of the root task's CNode, 12 to 20")
endmacro()

function(_caprock_interface name)
    if(NOT TARGET ${name})
        add_library(${name} INTERFACE IMPORTED GLOBAL)
        if(ARGN)
            set_target_properties(${name} PROPERTIES INTERFACE_LINK_LIBRARIES "${ARGN}")
        endif()
    endif()
endfunction()

# The headers of every configuration target are the same; which build they are for is a definition.
function(_caprock_configurations)
    foreach(name IN ITEMS kernel_Config sel4_Config sel4_autoconf)
        _caprock_interface(${name})
        set_target_properties(${name} PROPERTIES
            INTERFACE_INCLUDE_DIRECTORIES "${CAPROCK_PREFIX}/include;${CAPROCK_PREFIX}/include/caprock-autoconf"
            INTERFACE_COMPILE_DEFINITIONS "CONFIG_ROOT_CNODE_SIZE_BITS=${KernelRootCNodeSizeBits};$<$<BOOL:${KernelDebugBuild}>:CAPROCK_DEBUG_BUILD>")
    endforeach()
endfunction()

# The kernel comes ready with the prefix: there is only its configuration to import.
macro(sel4_import_kernel)
    _caprock_configurations()
endmacro()

# The target `sel4`.
macro(sel4_import_libsel4)
    _caprock_configurations()
    _caprock_interface(sel4 caprock::sel4 kernel_Config sel4_Config sel4_autoconf)
endmacro()

set(seL4_FOUND TRUE)
