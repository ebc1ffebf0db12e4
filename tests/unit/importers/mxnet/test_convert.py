"""Converted checkpoints put out what MXNet 1.9.1 did, for any batch, and any size where the net allows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mxnet_files import cascade_nets, embedder_net, params_bytes, single_stage_net, two_stage_net
from onnx import numpy_helper

from app.importers.mxnet import convert, read_params, read_symbol
from app.models.detection.boxes import Proposals
from app.models.runtime.rewrite import free_axes, split_prelu
from app.models.runtime.session import Runtime, Session

SINGLE = [
    "mobilefacenet-y1", "mobileface-v2", "mobileface-v3", "mtcnn-det1", "mtcnn-det2", "mtcnn-det3",
    "retinaface-mobile", "lresnet50e-ir",
]  # fmt: skip
FREE = {"mtcnn-det1", "retinaface-mobile"}


def test_every_golden_file_has_its_test(shared_data: Path) -> None:
    stored = {path.stem for path in (shared_data / "mxnet" / "golden").glob("*.npz")}
    assert stored == {*SINGLE, "fr50"}


def assert_close(found: np.ndarray, expected: np.ndarray, close: float) -> None:
    """Compare, relative to the largest output."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= close * np.abs(expected).max()


def run(session: Session, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(session.outputs, session.run(None, inputs), strict=True))


@pytest.mark.parametrize("rewritten", [False, True], ids=["as converted", "as loaded"])
@pytest.mark.parametrize("name", SINGLE)
def test_outputs_are_those_of_mxnet(checkpoint: Callable, name: str, rewritten: bool) -> None:
    found = checkpoint(name)
    (model,) = found.convert().models
    if rewritten:
        free_axes(model)
        split_prelu(model)
    with np.load(found.golden) as golden:
        outputs = run(Runtime().session(model), data=golden["data"])
        assert set(outputs) == set(golden) - {"data"}
        for output, values in outputs.items():
            assert_close(values, golden[output], found.close)


def test_a_detector_in_two_stages_gives_the_regions_and_faces_of_mxnet(checkpoint: Callable) -> None:
    found = checkpoint("fr50")
    conversion = found.convert()
    assert [part.role for part in conversion.parts] == ["rpn", "head"]
    assert conversion.proposal == {"stride": "16", "scales": "4,8,16,32", "ratios": "0.5,1,2"}
    rpn, head = (Runtime(threads=2).session(model) for model in conversion.models)
    image = (np.random.RandomState(0).rand(1, 3, 562, 1000) * 255).astype("f4")
    with np.load(found.golden) as golden:
        first = run(rpn, data=image)
        height, width, scale = golden["im_info"][0]
        scores, deltas = first["rpn_cls_prob_reshape_output"], first["rpn_bbox_pred_output"]
        regions = Proposals()(scores, deltas, height, width, scale)
        np.testing.assert_allclose(regions, golden["rpn_rois_output"], rtol=0, atol=2e-4)
        second = run(head, _plus12_output=first["_plus12_output"], rpn_rois_output=regions)
        assert set(second) == {"cls_prob_reshape_output", "bbox_pred_reshape_output"}
        for output, values in second.items():
            assert_close(values, golden[output], found.close)


SMALL = {
    "embedder": embedder_net, "retinaface": single_stage_net, "fr50": two_stage_net,
    **{f"mtcnn-{number}": lambda number=number: cascade_nets()[number] for number in range(3)},
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_parameters_of_small_nets_are_kept_bit_for_bit_and_the_batch_is_free(name: str) -> None:
    net = SMALL[name]()
    conversion = convert(read_symbol(net.symbol_bytes()), read_params(params_bytes(net.params)))
    weights = {
        tensor.name: numpy_helper.to_array(tensor)
        for model in conversion.models
        for tensor in model.graph.initializer
    }
    for key, values in net.params.items():
        assert weights[key.partition(":")[2]].tobytes() == values.tobytes()
    session = Runtime().session(conversion.models[0])
    height, width = conversion.size or (96, 64)
    images = np.random.default_rng(0).uniform(0, 255, (3, 3, height, width)).astype("f4")
    together, alone = run(session, data=images), run(session, data=images[2:])
    for output, values in together.items():
        assert_close(values[2:], alone[output], 1e-5)


@pytest.mark.parametrize("name", [*SINGLE, "fr50"])
def test_parameters_are_bit_for_bit_and_no_inputs(checkpoint: Callable, name: str) -> None:
    found = checkpoint(name)
    stored = {key.partition(":")[2]: array for key, array in found.parameters.items()}
    symbol = found.symbol
    used = {symbol.nodes[index].name for node in symbol.ancestors(symbol.heads) for index in node.sources}
    kept: set[str] = set()
    for model in found.convert().models:
        weights = {tensor.name: tensor for tensor in model.graph.initializer}
        assert not weights.keys() & {value.name for value in model.graph.input}
        for key in weights.keys() & stored.keys():
            assert numpy_helper.to_array(weights[key]).tobytes() == stored[key].tobytes()
        kept |= weights.keys() & stored.keys()
    dropped = (used & stored.keys()) - kept
    # What `fix_gamma` tells to take for ones, whatever is stored.
    assert all(name.endswith("_gamma") for name in dropped)
    assert len(dropped) == {"fr50": 1, "lresnet50e-ir": 1, "mobilefacenet-y1": 1}.get(name, len(dropped))
    assert len(kept) >= len(used & stored.keys()) / 2


@pytest.mark.parametrize("name", ["mobilefacenet-y1", "mtcnn-det2", "retinaface-mobile"])
def test_the_batch_is_free(checkpoint: Callable, name: str) -> None:
    found = checkpoint(name)
    session = Runtime().session(found.convert().models[0])
    with np.load(found.golden) as golden:
        image = golden["data"][:1]
    together = run(session, data=np.concatenate([image, image[:, :, ::-1], image[:, ::-1]]))
    alone = run(session, data=np.ascontiguousarray(image[:, ::-1]))
    for output, values in together.items():
        assert_close(values[2:], alone[output], 1e-5)


@pytest.mark.parametrize("name", SINGLE)
def test_height_and_width_are_free_where_the_net_allows(checkpoint: Callable, name: str) -> None:
    found = checkpoint(name)
    conversion = found.convert()
    session = Runtime().session(conversion.models[0])
    dims = conversion.models[0].graph.input[0].type.tensor_type.shape.dim
    declared = [dim.dim_param or dim.dim_value for dim in dims]
    assert declared[:2] == ["batch", 3]
    with np.load(found.golden) as golden:
        size = golden["data"].shape[2:]
    if name in FREE:
        assert conversion.size is None
        assert declared[2:] == ["height", "width"]
        assert all(
            values.shape[0] == 1 for values in run(session, data=np.ones((1, 3, 95, 64), "f4")).values()
        )
    else:
        assert conversion.size == tuple(declared[2:]) == size
