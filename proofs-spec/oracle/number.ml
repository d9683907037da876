(* SPDX-License-Identifier: BSD-2-Clause *)
(* The integers that the extracted specification counts with: zarith's. *)
include Z
