"""The reader of `-symbol.json` files: the graph, in order, and nothing in it refers to what is not there."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import msgspec

from app.importers.mxnet.attributes import Attributes
from app.importers.mxnet.errors import CheckpointError

__all__ = ["Node", "Symbol", "read_symbol"]

#: Bytes; the largest known graph of a face net has 147,000.
LARGEST = 8 << 20
VARIABLE = "null"


class _RawNode(msgspec.Struct):
    """A node as MXNet wrote it; `param` until 0.8, `attr` until 0.11, `attrs` since then."""

    op: str
    name: str
    inputs: list[list[int]] = []
    param: dict[str, str] | None = None
    attr: dict[str, str] | None = None
    attrs: dict[str, str] | None = None


class _RawSymbol(msgspec.Struct):
    nodes: list[_RawNode]
    heads: list[list[int]]


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `inputs` are the indices of the nodes whose first output it takes."""

    index: int
    op: str
    name: str
    inputs: tuple[int, ...]
    attributes: Attributes = field(compare=False)

    @property
    def is_variable(self) -> bool:
        """Tell whether it stands for a parameter or an input."""
        return self.op == VARIABLE

    @property
    def is_proposal(self) -> bool:
        """Tell whether it is the operator in Python that turns an RPN's output into regions."""
        return self.op == "Custom" and self.attributes.text("op_type", "") == "proposal"

    @property
    def sources(self) -> tuple[int, ...]:
        """The inputs that matter beyond training: neither labels nor a proposal's size of the image."""
        if self.op == "SoftmaxOutput":
            return self.inputs[:1]
        return self.inputs[:2] if self.is_proposal else self.inputs

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.op})"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A graph: nodes that refer only to earlier ones, and the indices of those that are put out."""

    nodes: Sequence[Node]
    heads: tuple[int, ...]

    def ancestors(self, heads: Sequence[int], stop: Container[int] = ()) -> list[Node]:
        """Return, in order, `heads` and what they are computed from, not looking beyond `stop`."""
        wanted = set(heads)
        for node in reversed(self.nodes):
            if node.index in wanted and node.index not in stop:
                wanted.update(node.sources)
        return [node for node in self.nodes if node.index in wanted]


def read_symbol(data: bytes) -> Symbol:
    """Return the graph of the `-symbol.json` file whose content is `data`.

    Raises:
        CheckpointError: it is no such file, or a node refers to something that is not there.
    """
    if len(data) > LARGEST:
        raise CheckpointError(f"no MXNet graph: {len(data)} bytes; at most {LARGEST} are read")
    try:
        raw = msgspec.json.decode(data, type=_RawSymbol)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        # The parser names the byte of every error but this one.
        where = f" at byte {len(data)}" if what.endswith("truncated") else ""
        raise CheckpointError(f"no MXNet graph: {what}{where}") from None
    nodes = [_node(index, node) for index, node in enumerate(raw.nodes)]
    heads = tuple(_reference(head, len(nodes), f"head {position}") for position, head in enumerate(raw.heads))
    if not heads or len(set(heads)) != len(heads):
        raise CheckpointError(f"no MXNet graph: expected one head or several different ones, found {heads}")
    _check_names(nodes)
    return Symbol(nodes, heads)


def _node(index: int, raw: _RawNode) -> Node:
    if not raw.name.isprintable() or not raw.name or not raw.op.isprintable() or not raw.op:
        raise CheckpointError(f"node {index}: expected a printable name and operator")
    owner = f"node {raw.name!r} ({raw.op})"
    values = {**(raw.param or {}), **(raw.attr or {}), **(raw.attrs or {})}
    inputs = tuple(
        _reference(entry, index, f"{owner}: input {position}") for position, entry in enumerate(raw.inputs)
    )
    if raw.op == VARIABLE and inputs:
        raise CheckpointError(f"{owner}: a variable with inputs")
    return Node(index, raw.op, raw.name, inputs, Attributes(owner, values))


def _reference(entry: list[int], before: int, what: str) -> int:
    """Return the index in `[index, output, version]`; an index below `before`, and the first output."""
    if len(entry) not in (2, 3):
        raise CheckpointError(f"{what}: expected two or three numbers, found {len(entry)}")
    if not 0 <= entry[0] < before:
        raise CheckpointError(f"{what} refers to node {entry[0]}; expected an earlier one than {before}")
    if entry[1] != 0:
        raise CheckpointError(f"{what} takes output {entry[1]} of node {entry[0]}; only the first is known")
    return entry[0]


def _check_names(nodes: Sequence[Node]) -> None:
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            raise CheckpointError(f"{node}: there is an earlier node of this name")
        seen.add(node.name)
