"""Where a graph is cut: at the proposals of a two-stage detector, which are computed outside of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.importers.mxnet.errors import CheckpointError
from app.importers.mxnet.params import Parameters
from app.importers.mxnet.symbol import Node, Symbol

__all__ = ["Piece", "Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the graph: from these nodes' outputs, or variables, to those."""

    role: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The pieces in the order in which they run, the variable for the pixels, and the proposals if any."""

    pieces: tuple[Piece, ...]
    pixels: int
    proposal: Node | None


def make_plan(symbol: Symbol, parameters: Parameters) -> Plan:
    """Return how `symbol` is cut.

    Raises:
        CheckpointError: it has not exactly one input, or several proposals.
    """
    pixels = _pixels(symbol, parameters)
    proposals = [node for node in symbol.ancestors(symbol.heads) if node.is_proposal]
    if not proposals:
        return Plan((Piece("net", (pixels,), symbol.heads),), pixels, None)
    if len(proposals) > 1:
        raise CheckpointError(f"{proposals[1]}: a second proposal; one is known")
    proposal = proposals[0]
    if len(proposal.inputs) < 2:
        raise CheckpointError(f"{proposal}: expected at least 2 inputs, found {len(proposal.inputs)}")
    return Plan(_two_stages(symbol, pixels, proposal), pixels, proposal)


def _two_stages(symbol: Symbol, pixels: int, proposal: Node) -> tuple[Piece, Piece]:
    """Cut into what comes before `proposal`, with all that is needed later, and what comes after it."""
    behind = {proposal.index}
    for node in symbol.nodes:
        if not behind.isdisjoint(node.sources):
            behind.add(node.index)
    finals = tuple(head for head in symbol.heads if head in behind and head != proposal.index)
    if not finals:
        raise CheckpointError(f"{proposal}: nothing is computed from it")
    crossing = _unique(
        source
        for node in symbol.ancestors(finals, stop={proposal.index})
        if node.index in behind and node is not proposal
        for source in node.sources
        if source not in behind and not symbol.nodes[source].is_variable
    )
    early = tuple(head for head in symbol.heads if head not in behind)
    first = Piece("rpn", (pixels,), _unique((*proposal.inputs[:2], *crossing, *early)))
    return first, Piece("head", (*crossing, proposal.index), finals)


def _unique(indices: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(indices))


def _pixels(symbol: Symbol, parameters: Parameters) -> int:
    """Return the one variable that is no parameter."""
    known = {name.partition(":")[2] for name in parameters}
    nodes = symbol.ancestors(symbol.heads)
    free = [node for node in nodes if node.is_variable and node.name not in known]
    lacking = [node for node in free if node.name != "data"] if len(free) > 1 else []
    if lacking:
        user = next((node for node in nodes if lacking[0].index in node.sources), lacking[0])
        raise CheckpointError(f"{user}: the checkpoint has no parameter {lacking[0].name!r}")
    if not free:
        raise CheckpointError("the graph has no input: every variable is a parameter")
    return free[0].index
