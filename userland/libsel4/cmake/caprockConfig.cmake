# SPDX-License-Identifier: BSD-2-Clause
# find_package(caprock): the targets caprock::sel4 (libsel4), caprock::root (start-up code of root tasks) and caprock::sdk (native components), and
# caprock_add_root_image(), which makes a bootable image of a program.
get_filename_component(CAPROCK_PREFIX "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(CAPROCK_CMAKE_DIR "${CAPROCK_PREFIX}/share/caprock/cmake")
option(CAPROCK_DEBUG_BUILD "programs run on the debug kernel and may use its debug calls" OFF)

if(NOT TARGET caprock::sel4)
    add_library(caprock::sel4 STATIC IMPORTED GLOBAL)
    set_target_properties(caprock::sel4 PROPERTIES
        IMPORTED_LOCATION "${CAPROCK_PREFIX}/lib/libsel4.a"
        INTERFACE_INCLUDE_DIRECTORIES "${CAPROCK_PREFIX}/include;${CAPROCK_PREFIX}/include/caprock-autoconf"
        INTERFACE_COMPILE_DEFINITIONS "$<$<BOOL:${CAPROCK_DEBUG_BUILD}>:CAPROCK_DEBUG_BUILD>")

    add_library(caprock::memory STATIC IMPORTED GLOBAL)
    set_target_properties(caprock::memory PROPERTIES IMPORTED_LOCATION "${CAPROCK_PREFIX}/lib/libcaprock.a")

    add_library(caprock::root STATIC IMPORTED GLOBAL)
    set_target_properties(caprock::root PROPERTIES
        IMPORTED_LOCATION "${CAPROCK_PREFIX}/lib/libcaprock-root.a"
        INTERFACE_LINK_OPTIONS "-static;-nostdlib;-Wl,-z,max-page-size=4096;-Wl,-u,_start"
        INTERFACE_LINK_LIBRARIES "caprock::sel4;caprock::memory;gcc")

    add_library(caprock::sdk STATIC IMPORTED GLOBAL)
    set_target_properties(caprock::sdk PROPERTIES
        IMPORTED_LOCATION "${CAPROCK_PREFIX}/lib/libcaprock.a"
        INTERFACE_INCLUDE_DIRECTORIES "${CAPROCK_PREFIX}/include"
        INTERFACE_COMPILE_OPTIONS "-ffreestanding;-fno-exceptions;-fno-rtti;-fno-pic;-mstrict-align;-fno-threadsafe-statics"
        INTERFACE_LINK_OPTIONS "-static;-nostdlib;-Wl,-z,max-page-size=4096;-Wl,-T,${CAPROCK_PREFIX}/lib/caprock/component.ld"
        INTERFACE_LINK_LIBRARIES gcc)
endif()

# caprock_add_root_image(PROGRAM [ARCHIVE file] [CNODE_BITS n]): adds to the default target, in the folder images/, what boots with the executable target
# PROGRAM as root task: `Image` for the boot loader, PROGRAM.bin as its initial ramdisk. The target run-PROGRAM runs them on QEMU; its status is that of
# the program's line `caprock: exit N`.
function(caprock_add_root_image program)
    cmake_parse_arguments(PARSE_ARGV 1 image "" "ARCHIVE;CNODE_BITS" "")
    if(image_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "caprock_add_root_image(${program}): unknown argument ${image_UNPARSED_ARGUMENTS} (ARCHIVE and CNODE_BITS are known)")
    endif()
    find_program(CAPROCK_PYTHON NAMES python3 REQUIRED)
    set(kernel Image)
    if(CAPROCK_DEBUG_BUILD)
        set(kernel Image-debug)
    endif()
    set(folder "${CMAKE_BINARY_DIR}/images")
    file(MAKE_DIRECTORY "${folder}")
    set(options)
    if(image_ARCHIVE)
        list(APPEND options --with "${image_ARCHIVE}")
    endif()
    if(image_CNODE_BITS)
        list(APPEND options --cnode-bits "${image_CNODE_BITS}")
    endif()
    add_custom_command(OUTPUT "${folder}/${program}.bin" "${folder}/Image"
        COMMAND "${CAPROCK_PYTHON}" -B "${CAPROCK_PREFIX}/share/caprock/platform/rootimage.py" "$<TARGET_FILE:${program}>" "${folder}/${program}.bin" ${options}
        COMMAND "${CMAKE_COMMAND}" -E copy "${CAPROCK_PREFIX}/lib/caprock/${kernel}" "${folder}/Image"
        DEPENDS ${program} ${image_ARCHIVE}
        VERBATIM)
    add_custom_target(${program}_image ALL DEPENDS "${folder}/${program}.bin")
    add_custom_target(run-${program}
        COMMAND "${CAPROCK_PYTHON}" -B "${CAPROCK_PREFIX}/share/caprock/platform/machines.py" --image "${folder}/Image" --payload "${folder}/${program}.bin"
        DEPENDS ${program}_image
        USES_TERMINAL VERBATIM)
endfunction()
