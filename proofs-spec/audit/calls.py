# SPDX-License-Identifier: BSD-2-Clause
"""Who calls whom in the shipped image. The graph is exact as long as every indirect branch is understood (`jumps`); one that is not is a finding, and so
is a function that can be called again while it runs."""

from dataclasses import dataclass, field

from .code import BYTES, Instruction
from .image import Function, Image
from .jumps import resolve

_RETURN = "x30"
_REGISTERS = range(31)


@dataclass(frozen=True)
class Edge:
    """A way from one function to another: at which address, and whether it comes back."""

    address: int
    callee: Function
    returns: bool


@dataclass
class Graph:
    """The calls of all functions. `jumps`: targets of the indirect branches, by their addresses. `endless`: functions that never return. `findings`: what
    must not be."""

    edges: dict[Function, list[Edge]]
    jumps: dict[int, list[int]] = field(default_factory=dict)
    endless: set[Function] = field(default_factory=set)
    findings: list[str] = field(default_factory=list)

    def reachable(self, roots: list[Function]) -> set[Function]:
        """The functions that can be executed once the roots are."""
        seen, waiting = set(), list(roots)
        while waiting:
            function = waiting.pop()
            if function not in seen:
                seen.add(function)
                waiting += [edge.callee for edge in self.edges[function]]
        return seen

    def cycles(self) -> list[list[Function]]:
        """Functions that call each other in a circle, each circle once. Of branches alone a circle is a loop, no recursion."""
        found, state = [], {}

        def visit(function: Function, path: list[Function]) -> None:
            state[function] = "open"
            for callee in dict.fromkeys(edge.callee for edge in self.edges[function]):
                if state.get(callee) == "open":
                    circle = [*path, function][[*path, function].index(callee):]
                    if any(edge.returns and edge.callee in circle for member in circle for edge in self.edges[member]):
                        found.append(circle)
                elif callee not in state:
                    visit(callee, [*path, function])
            state[function] = "done"

        for function in self.edges:
            if function not in state:
                visit(function, [])
        return found


def build(image: Image, listed: dict[str, int] | None = None) -> Graph:
    """The calls of an image. `listed`: to how many instructions behind it the computed branch of a function of assembly can lead."""
    graph = Graph({function: [] for function in image.functions})
    for function in image.functions:
        for instruction in image.code(function):
            if instruction.target is not None:
                _direct(image, graph, function, instruction)
            elif instruction.mnemonic.startswith("ret") and instruction.operands not in ((), (_RETURN,)):
                graph.findings.append(f"{_place(image, instruction)}: `{instruction}` returns to another register than {_RETURN}")
        _fall_through(image, graph, function)
    clobbers = _clobbers(image, graph)
    for function in image.functions:
        _indirect(image, graph, function, clobbers, (listed or {}).get(function.name))
    graph.endless = _endless(image, graph)
    graph.findings += [f"recursion: {' -> '.join(str(function) for function in [*circle, circle[0]])}" for circle in graph.cycles()]
    return graph


def _place(image: Image, instruction: Instruction) -> str:
    return f"{instruction.address:#x} in {image.function_at(instruction.address)}"


def _direct(image: Image, graph: Graph, function: Function, instruction: Instruction) -> None:
    """A branch or call to an address: within the function, or to the start of another."""
    target = instruction.target
    if function.address <= target < function.end and not instruction.is_call:
        return
    callee = image.function_at(target)
    if callee is None or target in image.data:
        graph.findings.append(f"{_place(image, instruction)}: `{instruction}` leads to no function")
    elif target != callee.address and not (function.is_assembly and callee.is_assembly):
        graph.findings.append(f"{_place(image, instruction)}: `{instruction}` leads into the middle of {callee}")
    else:
        graph.edges[function].append(Edge(instruction.address, callee, instruction.is_call))


def _fall_through(image: Image, graph: Graph, function: Function) -> None:
    """Assembly may go on into the next function."""
    code = image.code(function)
    following = image.function_at(function.end)
    if function.is_assembly and following is not None and code and code[-1].goes_on:
        graph.edges[function].append(Edge(code[-1].address, following, False))


def _indirect(image: Image, graph: Graph, function: Function, clobbers: dict[Function, set[int]], behind: int | None) -> None:
    """Branches to registers."""
    jumps = resolve(image, function, {edge.address: clobbers[edge.callee] for edge in graph.edges[function] if edge.returns})
    if behind is not None and function.is_assembly and len(jumps.unresolved) == 1 and jumps.unresolved[0].mnemonic == "br":
        branch = jumps.unresolved.pop()
        jumps.targets[branch.address] = [branch.address + BYTES * (number + 1) for number in range(behind)]
    graph.jumps |= jumps.targets
    for address, targets in jumps.targets.items():
        graph.edges[function] += [Edge(address, image.function_at(target), False) for target in targets if not function.address <= target < function.end]
    graph.findings += [f"{_place(image, branch)}: `{branch}` leads where a register says, not through a jump table with a checked index"
                       for branch in jumps.unresolved]


def _clobbers(image: Image, graph: Graph) -> dict[Function, set[int]]:
    """The general registers that each function, or what it calls, may write."""
    written = {function: {number for number in _REGISTERS if any(found.writes(number) for found in image.code(function))} for function in image.functions}
    changed = True
    while changed:
        changed = False
        for function, edges in graph.edges.items():
            together = written[function].union(*(written[edge.callee] for edge in edges))
            changed |= together != written[function]
            written[function] = together
    return written


def _endless(image: Image, graph: Graph) -> set[Function]:
    """The functions that do not return: on no way through them is there a return, or a branch to a function that returns."""
    endless = set(image.functions)
    changed = True
    while changed:
        returning = {function for function in endless if _can_return(image, graph, function, endless)}
        endless -= returning
        changed = bool(returning)
    return endless


def _can_return(image: Image, graph: Graph, function: Function, endless: set[Function]) -> bool:
    seen, waiting = set(), [function.address]
    edges = {edge.address: edge for edge in graph.edges[function]}
    while waiting:
        address = waiting.pop()
        instruction = image.at(address)
        if address in seen or instruction is None or not function.address <= address < function.end:
            continue
        seen.add(address)
        edge = edges.get(address)
        if instruction.mnemonic == "ret" or edge is not None and not edge.returns and edge.callee not in endless:
            return True
        waiting += ways(graph, instruction, endless)
    return False


def ways(graph: Graph, instruction: Instruction, endless: set[Function] | None = None) -> list[int]:
    """Where execution goes on within a function behind an instruction, also beyond its end."""
    endless = graph.endless if endless is None else endless
    targets = list(graph.jumps.get(instruction.address, []))
    targets += [instruction.target] if instruction.is_jump else []
    if instruction.goes_on and instruction.mnemonic != "udf" and not (instruction.is_call and any(
            callee.address == instruction.target for callee in endless)):
        targets.append(instruction.address + BYTES)
    return targets
