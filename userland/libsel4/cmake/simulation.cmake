# SPDX-License-Identifier: BSD-2-Clause
# include(simulation): GenerateSimulateScript() makes the script `simulate` in the build folder, which runs the root task's image on QEMU. Options go to
# machines.py (--machine, --gic, --cores, …).
function(GenerateSimulateScript)
    get_target_property(payload rootserver_image ROOTSERVER_IMAGE)
    file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/simulate"
        CONTENT "#!/bin/sh\nexec ${CAPROCK_PYTHON} -B '${CAPROCK_PREFIX}/share/caprock/platform/machines.py' --image '${CMAKE_BINARY_DIR}/images/Image' --payload '${payload}' \"$@\"\n"
        FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endfunction()
