# SPDX-License-Identifier: BSD-2-Clause
# find_package(elfloader-tool): Caprock's boot shim does that tool's work and comes ready with the prefix, so there is nothing to build or to set.
function(ApplyData61ElfLoaderSettings)
endfunction()

macro(elfloader_import_project)
endmacro()

set(elfloader-tool_FOUND TRUE)
