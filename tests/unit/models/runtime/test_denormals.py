"""Nets take denormals as zero, in whichever thread they run; what is not a net computes as ever."""

import platform
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.models.runtime.denormals import denormals_as_zero
from app.models.runtime.session import Runtime, Session

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the flag is that of x86-64 on Linux"
)

#: Numbers that make two threads of one net share the work.
MANY = 1_000_000


def _python_knows_denormals() -> bool:
    return float(np.float64(1e-300) * np.float64(1e-10)) > 0


@pytest.fixture(scope="module")
def shrinking() -> onnx.ModelProto:
    """Return a net that multiplies by 1e-20 twice: of one, the second product is a denormal."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "small"], ["once"]),
            helper.make_node("Mul", ["once", "small"], ["y"]),
        ],
        "shrinking",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.array([1e-20], np.float32), "small")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _left(session: Session) -> int:
    """Return how many denormals came out."""
    (found,) = session.run(None, {"x": np.ones(MANY, np.float32)})
    return int(np.count_nonzero(found))


def test_a_net_that_is_not_told_puts_out_denormals(shrinking: onnx.ModelProto) -> None:
    """What the others rest on; and this process has had a session without the flag before them."""
    plain = ort.InferenceSession(shrinking.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = plain.run(None, {"x": np.ones(8, np.float32)})
    assert np.count_nonzero(found) == 8


@pytest.mark.parametrize("threads", [1, 2])
def test_every_thread_that_runs_a_net_takes_them_as_zero(shrinking: onnx.ModelProto, threads: int) -> None:
    session = Runtime(threads=threads).session(shrinking)
    assert _left(session) == 0
    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(lambda _: _left(session), range(9))) == 0


def test_a_net_that_was_loaded_in_a_thread_runs_so_in_another(shrinking: onnx.ModelProto) -> None:
    with ThreadPoolExecutor(1) as loader, ThreadPoolExecutor(1) as runner:
        session = loader.submit(Runtime().session, shrinking).result()
        assert runner.submit(_left, session).result() == 0


def test_threads_compute_as_before_when_a_net_has_been_loaded_or_run(shrinking: onnx.ModelProto) -> None:
    def load_and_run() -> list[bool]:
        session = Runtime().session(shrinking)
        loaded = _python_knows_denormals()
        _left(session)
        return [loaded, _python_knows_denormals()]

    assert load_and_run() == [True, True]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(load_and_run).result() == [True, True]


def test_the_flag_is_taken_back_where_a_run_fails() -> None:
    with pytest.raises(RuntimeError), denormals_as_zero():
        assert not _python_knows_denormals()
        raise RuntimeError
    assert _python_knows_denormals()


def test_it_may_be_set_twice() -> None:
    with denormals_as_zero():
        with denormals_as_zero():
            pass
        assert not _python_knows_denormals()
    assert _python_knows_denormals()


def test_a_net_with_denormal_weights_is_loaded_without_them(
    tiny_net: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[onnx.ModelProto] = []
    session: Callable[[Runtime, onnx.ModelProto], Session] = Runtime.session
    monkeypatch.setattr(Runtime, "session", lambda self, model: seen.append(model) or session(self, model))
    model = onnx.ModelProto()
    model.CopyFrom(tiny_net)
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.array(1e-40, np.float32), model.graph.initializer[0].name)
    )
    Runtime().load(model)
    assert [float(numpy_helper.to_array(tensor)) for tensor in seen[0].graph.initializer] == [0, 0.5]
