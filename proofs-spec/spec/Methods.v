(* SPDX-License-Identifier: BSD-2-Clause *)
(** All methods, for the generated dispatch. *)
From Spec Require Export CapabilityMethods ThreadMethods TimeMethods SpaceMethods OtherMethods.
