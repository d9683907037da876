# SPDX-License-Identifier: BSD-2-Clause
# include(rootserver): DeclareRootserver(PROGRAM) makes the executable target PROGRAM the root task and the bootable image of it, with the CNode that
# KernelRootCNodeSizeBits asks for. Its entry is _sel4_start: programs with a runtime of their own bring it, others link caprock::root.
function(DeclareRootserver program)
    target_link_options(${program} PRIVATE -static -Wl,-z,max-page-size=4096 -Wl,-u,_sel4_start -Wl,-e,_sel4_start)
    caprock_add_root_image(${program} CNODE_BITS "${KernelRootCNodeSizeBits}")
    add_custom_target(rootserver_image DEPENDS ${program}_image)
    set_target_properties(rootserver_image PROPERTIES ROOTSERVER_IMAGE "${CMAKE_BINARY_DIR}/images/${program}.bin" ROOTSERVER_TARGET ${program})
endfunction()
