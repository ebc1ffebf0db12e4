"""Each operator computes what MXNet's does; what is not known is refused by name."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from mxnet_files import Net, params_bytes

from app.importers.mxnet import CheckpointError, convert, read_params, read_symbol
from app.models.runtime.session import Runtime


def run(net: Net, x: np.ndarray) -> np.ndarray:
    conversion = convert(read_symbol(net.symbol_bytes()), read_params(params_bytes(net.params)))
    return Runtime().session(conversion.models[0]).run(None, {"data": x})[0]


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 2, shape).astype("f4")


def refusal(net: Net) -> str:
    with pytest.raises(CheckpointError) as caught:
        convert(read_symbol(net.symbol_bytes()), read_params(params_bytes(net.params)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_convolution() -> tuple[Net, int, Callable[[np.ndarray], np.ndarray]]:
    """Return a net that starts with a convolution, its node, and what that computes."""
    net = Net()
    node = net.convolution("conv", net.variable("data"), 3)
    weight = net.params["arg:conv_weight"]

    def conv(x: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        return np.einsum("nchwij,fcij->nfhw", windows, weight)

    return net, node, conv


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


#: The kernel is not looked at.
GLOBAL = {"global_pool": True, "kernel": (9, 9)}
FULL = {"kernel": (2, 2), "pooling_convention": "full"}
SIMPLE = [
    ("Activation", {"act_type": "relu"}, lambda x: np.maximum(x, 0)),
    ("Activation", {"act_type": "sigmoid"}, lambda x: 1 / (1 + np.exp(-x))),
    ("Activation", {"act_type": "tanh"}, np.tanh),
    ("Activation", {"act_type": "softrelu"}, lambda x: np.log1p(np.exp(x))),
    ("Activation", {"act_type": "softsign"}, lambda x: x / (1 + np.abs(x))),
    ("LeakyReLU", {}, lambda x: np.where(x > 0, x, 0.25 * x)),
    ("LeakyReLU", {"act_type": "leaky", "slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    ("_plus_scalar", {"scalar": 3}, lambda x: x + 3),
    ("_minus_scalar", {"scalar": 127.5}, lambda x: x - 127.5),
    ("_mul_scalar", {"scalar": 0.0078125}, lambda x: x * 0.0078125),
    ("_div_scalar", {"scalar": 4}, lambda x: x / 4),
    ("_maximum_scalar", {"scalar": 0}, lambda x: np.maximum(x, 0)),
    ("_maximum_scalar", {"scalar": 1}, lambda x: np.maximum(x, 1)),
    ("_minimum_scalar", {"scalar": -1}, lambda x: np.minimum(x, -1)),
    ("clip", {"a_min": -1, "a_max": 2}, lambda x: np.clip(x, -1, 2)),
    ("Dropout", {"p": 0.4}, lambda x: x),
    ("BlockGrad", {}, lambda x: x),
    ("SoftmaxActivation", {"mode": "channel"}, lambda x: softmax(x, 1)),
    ("softmax", {}, lambda x: softmax(x, -1)),
    ("softmax", {"axis": 1}, lambda x: softmax(x, 1)),
    ("L2Normalization", {"mode": "channel"}, lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)),
    ("Flatten", {}, lambda x: x.reshape(len(x), -1)),
    ("Reshape", {"shape": (0, 2, -1, 0)}, lambda x: x.reshape(len(x), 2, -1, x.shape[3])),
    ("UpSampling", {"scale": 3, "sample_type": "nearest"}, lambda x: x.repeat(3, 2).repeat(3, 3)),
    ("Pooling", {**GLOBAL, "pool_type": "avg"}, lambda x: x.mean((2, 3), keepdims=True)),
    ("Pooling", {**GLOBAL, "pool_type": "max"}, lambda x: x.max((2, 3), keepdims=True)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attributes", "expected"), SIMPLE, ids=lambda value: str(value)[:40])
def test_an_operator_without_weights(op: str, attributes: dict, expected: Callable) -> None:
    net, node, conv = with_convolution()
    net.op(op, "it", [node], **attributes)
    x = pixels(2, 3, 14, 12)
    np.testing.assert_allclose(run(net, x), expected(conv(x)), rtol=1e-4, atol=1e-4)


def windows(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    found = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return found[:, :, ::stride, ::stride]


@pytest.mark.parametrize(("stride", "count"), [(1, True), (2, True), (2, False)])
def test_mean_pooling_counts_the_padding(stride: int, count: bool) -> None:
    net, node, conv = with_convolution()
    more = {} if count else {"count_include_pad": False}
    net.op(
        "Pooling", "it", [node], kernel=(3, 3), pad=(1, 1), stride=(stride, stride), pool_type="avg", **more
    )
    x = pixels(1, 3, 13, 13)
    around = ((0, 0), (0, 0), (1, 1), (1, 1))
    sums = windows(np.pad(conv(x), around), 3, stride).sum((-2, -1))
    ones = windows(np.pad(np.ones((1, 1, 11, 11)), around), 3, stride).sum((-2, -1))
    np.testing.assert_allclose(run(net, x), sums / (9 if count else ones), atol=1e-4)


@pytest.mark.parametrize("size", range(13, 19))
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (3, 3), (3, 1)])
def test_a_full_maximum_reaches_beyond_the_end(size: int, kernel: int, stride: int) -> None:
    net, node, conv = with_convolution()
    net.op(
        "Pooling", "it", [node], kernel=(kernel, kernel), stride=(stride, stride), pool_type="max",
        pooling_convention="full",
    )  # fmt: skip
    x = pixels(1, 3, size, size)
    inner = conv(x)
    count = -(-(inner.shape[2] - kernel) // stride) + 1
    missing = (count - 1) * stride + kernel - inner.shape[2]
    padded = np.pad(inner, ((0, 0), (0, 0), (0, missing), (0, missing)), constant_values=-np.inf)
    np.testing.assert_allclose(run(net, x), windows(padded, kernel, stride).max((-2, -1)), atol=1e-4)


@pytest.mark.parametrize("fixed", [None, True, False])
@pytest.mark.parametrize("implicit", [True, False], ids=["before 0.9", "since 0.9"])
def test_batch_norm_fixes_gamma_unless_told_otherwise(fixed: bool | None, implicit: bool) -> None:
    net, node, conv = with_convolution()
    inputs = [net.variable("bn_gamma", 4), net.variable("bn_beta", 4)]
    moving = [net.variable(f"bn_moving_{what}", 4, kind="aux") for what in ("mean", "var")]
    net.op(
        "BatchNorm",
        "bn",
        [node, *inputs, *(() if implicit else moving)],
        **({} if fixed is None else {"fix_gamma": fixed}),
    )
    gamma, beta, mean, var = (
        net.params[name].reshape(4, 1, 1)
        for name in ("arg:bn_gamma", "arg:bn_beta", "aux:bn_moving_mean", "aux:bn_moving_var")
    )
    x = pixels(2, 3, 12, 12)
    scale = (gamma if fixed is False else 1) / np.sqrt(var + 1e-3)
    np.testing.assert_allclose(run(net, x), (conv(x) - mean) * scale + beta, rtol=1e-4, atol=1e-4)


def test_slopes_belong_to_channels_also_behind_a_fully_connected_layer() -> None:
    net = Net()
    node = net.convolution("conv", net.variable("data"), 3)
    node = net.op("LeakyReLU", "first", [node, net.variable("first_gamma", 4)], act_type="prelu")
    weights = [net.variable("fc_weight", 5, 4 * 22 * 22), net.variable("fc_bias", 5)]
    node = net.op("FullyConnected", "fc", [node, *weights], num_hidden=5)
    net.op("LeakyReLU", "second", [node, net.variable("second_gamma", 5)], act_type="prelu")
    _, _, conv = with_convolution()
    x = pixels(2, 3, 24, 24)
    inner = conv(x)
    slopes = net.params["arg:first_gamma"].reshape(4, 1, 1)
    flat = np.where(inner > 0, inner, slopes * inner).reshape(2, -1)
    sums = flat @ net.params["arg:fc_weight"].T + net.params["arg:fc_bias"]
    expected = np.where(sums > 0, sums, net.params["arg:second_gamma"] * sums)
    np.testing.assert_allclose(run(net, x), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("op", "combine"), [("elemwise_add", np.add), ("_Plus", np.add), ("elemwise_mul", np.multiply)]
)
def test_two_branches_join(op: str, combine: Callable) -> None:
    net, node, conv = with_convolution()
    net.op(op, "it", [node, net.op("Activation", "relu", [node], act_type="relu")])
    inner = conv(x := pixels(1, 3, 12, 12))
    np.testing.assert_allclose(run(net, x), combine(inner, np.maximum(inner, 0)), rtol=1e-4, atol=1e-4)


def test_a_gate_for_each_channel() -> None:
    net, node, conv = with_convolution()
    mean = net.op("Pooling", "mean", [node], global_pool=True, kernel=(1, 1), pool_type="avg")
    net.op("broadcast_mul", "it", [node, mean])
    inner = conv(x := pixels(1, 3, 12, 12))
    np.testing.assert_allclose(run(net, x), inner * inner.mean((2, 3), keepdims=True), rtol=1e-4, atol=1e-4)


def test_concat_and_crop() -> None:
    net, node, conv = with_convolution()
    small = net.op("Pooling", "small", [node], kernel=(2, 2), stride=(2, 2), pool_type="max")
    large = net.op("UpSampling", "large", [small], scale=3, sample_type="nearest")
    crop = net.op("Crop", "crop", [large, node], num_args=2, offset=(1, 2))
    net.op("Concat", "it", [crop, node], num_args=2, dim=1)
    x = pixels(1, 3, 14, 12)
    inner = conv(x)
    grown = windows(inner, 2, 2).max((-2, -1)).repeat(3, 2).repeat(3, 3)
    expected = np.concatenate([grown[:, :, 1:13, 2:12], inner], axis=1)
    np.testing.assert_allclose(run(net, x), expected, atol=1e-4)


def test_a_label_is_no_input() -> None:
    net, node, conv = with_convolution()
    pooled = net.op("Pooling", "pool", [node], global_pool=True, kernel=(1, 1), pool_type="avg")
    flat = net.op("Flatten", "flat", [pooled])
    net.op("SoftmaxOutput", "prob", [flat, net.variable("prob_label")])
    x = pixels(2, 3, 12, 12)
    np.testing.assert_allclose(run(net, x), softmax(conv(x).mean((2, 3)), 1), atol=1e-4)


def test_half_precision_is_widened() -> None:
    net, _, conv = with_convolution()
    half = net.params["arg:conv_weight"].astype("f2")
    net.params["arg:conv_weight"] = half
    x = pixels(1, 3, 12, 12)
    conversion = convert(read_symbol(net.symbol_bytes()), read_params(params_bytes(net.params)))
    assert conversion.models[0].graph.initializer[0].raw_data == half.astype("f4").tobytes()
    np.testing.assert_allclose(run(net, x), conv(x), rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize(
    ("op", "attributes", "says"),
    [
        ("Correlation", {}, r"node 'it' \(Correlation\): this operator is not known"),
        ("Custom", {"op_type": "mine"}, r"node 'it' \(Custom\): this operator is not known"),
        ("Activation", {"act_type": "swish"}, "act_type: expected relu or .* found 'swish'"),
        ("LeakyReLU", {"act_type": "rrelu"}, "act_type: expected leaky or prelu, found 'rrelu'"),
        ("Pooling", {"kernel": (2, 2), "pool_type": "sum"}, "pool_type: expected max or avg, found 'sum'"),
        ("Pooling", {"kernel": (2, 2), "pad": (2, 2)}, "is not smaller than the kernel"),
        ("Pooling", {**FULL, "pool_type": "avg"}, "is known for maxima"),
        ("Pooling", {**FULL, "stride": (3, 3)}, "is known for maxima"),
        ("Pooling", {"kernel": (500, 500)}, "nothing is left of its input"),
        ("BatchNorm", {"axis": 3}, "axis: expected 1, found '3'"),
        ("Reshape", {"shape": (-2,)}, "shape: expected sizes"),
        ("Reshape", {"shape": (0, 65521)}, "does not go into"),
        ("Reshape", {"shape": (0, 0, 0, 0, 0)}, "copies an axis"),
        ("UpSampling", {"scale": 2, "sample_type": "bilinear"}, "sample_type: expected nearest"),
        ("UpSampling", {"scale": 4000}, "at most 16777216 at once"),
        ("_mul_scalar", {"scalar": "nan"}, "scalar: expected a number, found 'nan'"),
        ("_mul_scalar", {}, "scalar: expected a number, found nothing"),
        ("SoftmaxActivation", {}, "mode=instance is known for two axes only"),
        ("Dropout", {"mode": "always"}, "mode: expected training"),
        ("elemwise_add", {}, "expected at least 2 inputs, found 1"),
        ("Concat", {"dim": 4}, "expected inputs with an axis 4"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_name(op: str, attributes: dict, says: str) -> None:
    net, node, _ = with_convolution()
    net.op(op, "it", [node], **attributes)
    text = refusal(net)
    assert text.startswith("node 'it'")
    assert re.search(says, text)


def test_a_parameter_that_lacks_is_named() -> None:
    net, _, _ = with_convolution()
    del net.params["arg:conv_weight"]
    assert refusal(net) == "node 'conv' (Convolution): the checkpoint has no parameter 'conv_weight'"


def test_a_parameter_of_the_wrong_shape_is_named() -> None:
    net, _, _ = with_convolution()
    net.params["arg:conv_weight"] = np.ones((4, 3, 5, 5), "f4")
    assert "node 'conv' (Convolution): its weight has the shape (4, 3, 5, 5)" in refusal(net)


def test_a_parameter_of_the_wrong_type_is_named() -> None:
    net, _, _ = with_convolution()
    net.params["arg:conv_weight"] = np.ones((4, 3, 3, 3), "i4")
    assert (
        refusal(net)
        == "node 'conv' (Convolution): parameter 'conv_weight' is int32; expected float32 or float16"
    )


def test_a_net_without_an_image_is_refused() -> None:
    net = Net()
    net.op("Activation", "it", [net.variable("data")], act_type="relu")
    assert "no convolution" in refusal(net)
