"""Makes the references that the detectors are held against: plainly, and with outputs from elsewhere.

    python tests/references/detections.py SHARED_DATA WORK_FOLDER [NAME ...]

writes a JSON file for each net, or those named, beside this one. Nothing of `app.models.detection` and of
`app.models.runtime` is used: nets run in MXNet 1.9.1 (SCRFD: in numpy; CenterFace: in onnxruntime), and what
they put out is read place by place, as the published code does; YuNet is OpenCV's own `FaceDetectorYN`.
Numbers are in pixels of a still that has been brought to the size that the file says.
"""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from scrfd_files import BIAS, COLUMNS, EACH, STRIDES, scrfd_weights

from app.importers.mxnet.oracle import Oracle, cut_graph, prepare_oracle
from app.progress import console_progress
from app.settings import ROOT

HERE = Path(__file__).parent
#: A photograph among the originals, and one that set-up fetches.
ORIGINAL, FETCHED = "groups/t1.jpg", "demo-groups/sample3.jpg"
Net = Callable[..., dict[str, np.ndarray]]


def read(path: Path, width: int, height: int) -> np.ndarray:
    """Return a photograph in this size, float64 BGR."""
    image = cv2.imread(str(path))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(float)


def mxnet(oracle: Oracle, prefix: Path, epoch: int, graph: bytes | None = None) -> Net:
    parameters = Path(f"{prefix}-{epoch:04d}.params")
    symbol = graph or Path(f"{prefix}-symbol.json").read_bytes()
    return lambda **inputs: oracle.ask(symbol, parameters, inputs).outputs


def planes(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)


def suppressed(rows: list[list[float]], limit: float, smaller: bool = False) -> list[list[float]]:
    """Return the rows (x1, y1, x2, y2, score, ...) that stay; corners are pixels that belong to the box."""
    kept: list[list[float]] = []
    for row in sorted(rows, key=lambda row: -row[4]):
        if all(overlap(row, other, smaller) <= limit for other in kept):
            kept.append(row)
    return kept


def overlap(one: list[float], other: list[float], smaller: bool) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0]) + 1
    high = min(one[3], other[3]) - max(one[1], other[1]) + 1
    shared = max(wide, 0) * max(high, 0)
    areas = [(row[2] - row[0] + 1) * (row[3] - row[1] + 1) for row in (one, other)]
    return shared / (min(areas) if smaller else sum(areas) - shared)


def mtcnn(data: Path, oracle: Oracle) -> dict:
    """The port to MXNet: whole pixels, and in the end the overlap with the smaller of two."""
    width, height = 640, 443
    image = read(data / "stills" / ORIGINAL, width, height)
    first, second, third = (mxnet(oracle, data / f"mxnet/mtcnn/det{n}", 1) for n in (1, 2, 3))

    def fed(crop: np.ndarray) -> np.ndarray:
        return planes((crop - 127.5) * 0.0078125)

    rows, scale = [], 12 / 20
    while min(width, height) * scale > 12:
        size = math.ceil(width * scale), math.ceil(height * scale)
        found = first(data=fed(cv2.resize(image.astype(np.uint8), size)))
        level = []
        for y, x in np.argwhere(found["prob1_output"][0, 1] > 0.6).tolist():
            box = [round(2 * x / scale), round(2 * y / scale)]
            box += [round((2 * x + 12) / scale) - 1, round((2 * y + 12) / scale) - 1]
            level.append([*box, found["prob1_output"][0, 1, y, x], *found["conv4_2_output"][0, :, y, x]])
        rows += suppressed(level, 0.5)
        scale *= 0.709
    rows = [square(moved(row)) for row in suppressed(rows, 0.7)]
    for net, side, least, name in ((second, 24, 0.7, "conv5_2"), (third, 48, 0.8, "conv6_2")):
        found = net(data=np.concatenate([fed(crop(image, row, side)) for row in rows]))
        scores, deltas = found["prob1_output"][:, 1], found[f"{name}_output"]
        points = found.get("conv6_3_output", np.empty((len(rows), 0)))
        columns = zip(rows, scores, deltas, points, strict=True)
        rows = [[*row[:4], p, *d, *points_in(row, q)] for row, p, d, q in columns if p > least]
        if side == 24:
            rows = [square(moved(row)) for row in suppressed(rows, 0.7)]
    faces = suppressed([moved(row) for row in rows], 0.7, smaller=True)
    return told(width, height, [[*row[:4], row[4], *row[9:]] for row in faces])


def moved(row: list[float]) -> list[float]:
    wide, high = row[2] - row[0] + 1, row[3] - row[1] + 1
    return [c + d * s for c, d, s in zip(row[:4], row[5:9], (wide, high) * 2, strict=True)] + row[4:]


def square(row: list[float]) -> list[float]:
    side = max(row[2] - row[0], row[3] - row[1]) + 1
    left, top = (row[0] + row[2] + 1 - side) / 2, (row[1] + row[3] + 1 - side) / 2
    return [round(left), round(top), round(left + side) - 1, round(top + side) - 1, *row[4:]]


def crop(image: np.ndarray, row: list[float], side: int) -> np.ndarray:
    left, top, right, bottom = (int(c) for c in row[:4])
    height, width = image.shape[:2]
    whole = np.zeros((bottom - top + 1, right - left + 1, 3), np.uint8)
    for y in range(max(top, 0), min(bottom + 1, height)):
        for x in range(max(left, 0), min(right + 1, width)):
            whole[y - top, x - left] = image[y, x]
    return cv2.resize(whole, (side, side)).astype(float)


def points_in(row: list[float], points: np.ndarray) -> list[float]:
    wide, high = row[2] - row[0] + 1, row[3] - row[1] + 1
    places = [(row[0] + wide * x, row[1] + high * y) for x, y in zip(points[:5], points[5:], strict=True)]
    return [number for place in places for number in place]


def decoded(anchor: list[float], delta: np.ndarray) -> list[float]:
    """Return the box of py-faster-rcnn: centre shifted by fractions, sides grown by powers of e."""
    wide, high = anchor[2] - anchor[0] + 1, anchor[3] - anchor[1] + 1
    x = anchor[0] + (wide - 1) / 2 + delta[0] * wide
    y = anchor[1] + (high - 1) / 2 + delta[1] * high
    across, down = math.exp(delta[2]) * wide, math.exp(delta[3]) * high
    return [x - (across - 1) / 2, y - (down - 1) / 2, x + (across - 1) / 2, y + (down - 1) / 2]


def retinaface(data: Path, oracle: Oracle) -> dict:
    """Every candidate of at least 0.5, surest first, before suppression."""
    width, height = 640, 448
    image = read(data / "stills" / ORIGINAL, width, height)[..., ::-1]
    found = mxnet(oracle, data / "mxnet/retinaface-mobile/16and32", 0)(data=planes(image))
    rows = []
    for stride, scales in ((32, (32, 16)), (16, (8, 4))):
        scores = found[f"face_rpn_cls_prob_reshape_stride{stride}_output"][0]
        deltas = found[f"face_rpn_bbox_pred_stride{stride}_output"][0]
        for number, scale in enumerate(scales):
            for y, x in np.argwhere(scores[2 + number] >= 0.5).tolist():
                low, high = 7.5 - (16 * scale - 1) / 2, 7.5 + (16 * scale - 1) / 2
                anchor = [x * stride + low, y * stride + low, x * stride + high, y * stride + high]
                box = decoded(anchor, deltas[4 * number : 4 * number + 4, y, x])
                rows.append([*box, scores[2 + number, y, x]])
    return told(width, height, rows)


def fr50(data: Path, oracle: Oracle, work: Path) -> dict:
    """Weights are drawn from a seed, so that what it finds are no faces; how it finds them is the same."""
    maker = data / "mxnet" / "seeded_checkpoint.py"
    subprocess.run([sys.executable, str(maker), "fr50", str(work)], check=True)
    width, height = 867, 600
    whole = (work / "fr50-symbol.json").read_bytes()
    image = planes(read(data / "stills" / ORIGINAL, width, height)[..., ::-1])
    regions = [node["name"] for node in json.loads(whole)["nodes"] if node["op"] == "Custom"]
    (rois,) = regions
    rpn = cut_graph(whole, rois, ["rpn_cls_prob_reshape", "rpn_bbox_pred"])
    head = cut_graph(whole, rois, ["cls_prob_reshape", "bbox_pred_reshape"])
    first = mxnet(oracle, work / "fr50", 0, rpn)(data=image)
    rows = []
    shapes = [
        (round(math.sqrt(256 / ratio)) * scale, round(round(math.sqrt(256 / ratio)) * ratio) * scale)
        for ratio in (0.5, 1, 2)
        for scale in (4, 8, 16, 32)
    ]
    scores, deltas = first["rpn_cls_prob_reshape_output"][0], first["rpn_bbox_pred_output"][0]
    for number, (wide, high) in enumerate(shapes):
        for y, x in np.ndindex(scores.shape[1:]):
            left, top = 16 * x + 7.5 - (wide - 1) / 2, 16 * y + 7.5 - (high - 1) / 2
            anchor = [left, top, left + wide - 1, top + high - 1]
            box = decoded(anchor, deltas[4 * number : 4 * number + 4, y, x])
            box = [min(max(c, 0), most - 1) for c, most in zip(box, (width, height) * 2, strict=True)]
            if min(box[2] - box[0], box[3] - box[1]) + 1 >= 16 * height / 886:
                rows.append([*box, float(scores[len(shapes) + number, y, x])])
    kept = suppressed(sorted(rows, key=lambda row: -row[4])[:6000], 0.7)[:300]
    given = np.array([[0, *row[:4]] for row in kept], np.float32)
    second = mxnet(oracle, work / "fr50", 0, head)(**{"data": image, rois: given})
    faces = []
    columns = zip(
        kept, second["cls_prob_reshape_output"][0], second["bbox_pred_reshape_output"][0], strict=True
    )
    for row, score, delta in columns:
        if score[1] >= 0.6:
            faces.append([*decoded(row, delta[4:]), float(score[1])])
    return told(width, height, suppressed(faces, 0.3))


def scrfd() -> dict:
    """Every candidate of at least 0.5 of the net of `scrfd_files`, whose sums are taken place by place."""
    width, height = 640, 512
    image = (read(ROOT / "weights" / FETCHED, width, height)[..., ::-1].transpose(2, 0, 1) - 127.5) / 128
    rows = []
    for stride in STRIDES:
        kernels = {kind: scrfd_weights(stride, kind).astype(float) for kind in COLUMNS}
        for y in range(0, height, stride):
            for x in range(0, width, stride):
                patch = image[:, y : y + stride, x : x + stride]
                sums = {
                    kind: (kernel * patch).sum(axis=(1, 2, 3)) + BIAS[kind]
                    for kind, kernel in kernels.items()
                }
                for each in range(EACH):
                    score = 1 / (1 + math.exp(-sums["score"][each]))
                    if abs(score - 0.5) < 1e-4:
                        raise SystemExit("a score too near to the limit: take other weights")
                    if score < 0.5:
                        continue
                    sides = np.maximum(sums["bbox"][4 * each : 4 * each + 4], 0) * stride
                    points = sums["kps"][10 * each : 10 * each + 10].reshape(5, 2) * stride + (x, y)
                    box = [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]
                    rows.append([*box, score, *points.reshape(-1)])
    return told(width, height, rows, still=FETCHED, inclusive=False)


def centerface() -> dict:
    """Every candidate of at least 0.5, surest first, before suppression; the published net, at any size."""
    width, height = 640, 512
    model = onnx.load(ROOT / "weights" / "centerface.onnx")
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in model.graph.input
    }
    (pixels,) = (name for name, shape in shapes.items() if len(shape) == 4 and shape[1:] == [3, 32, 32])
    shapes[pixels] = ["B", 3, "H", "W"]
    outputs = {
        value.name: ["B", channels, "h", "w"]
        for value, channels in zip(model.graph.output, (1, 2, 2, 10), strict=True)
    }
    model = update_inputs_outputs_dims(model, shapes, outputs)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(None, {pixels: planes(read(ROOT / "weights" / FETCHED, width, height)[..., ::-1])})
    heat, scale, offset, points = (output[0].astype(float) for output in found)
    rows = []
    for y in range(height // 4):
        for x in range(width // 4):
            if heat[0, y, x] < 0.5:
                continue
            high, wide = math.exp(scale[0, y, x]) * 4, math.exp(scale[1, y, x]) * 4
            left = (x + offset[1, y, x] + 0.5) * 4 - wide / 2
            top = (y + offset[0, y, x] + 0.5) * 4 - high / 2
            places = [
                place
                for j in range(5)
                for place in (points[2 * j + 1, y, x] * wide + left, points[2 * j, y, x] * high + top)
            ]
            rows.append([left, top, left + wide, top + high, heat[0, y, x], *places])
    return told(width, height, rows, still=FETCHED, inclusive=False)


def yunet(data: Path) -> dict:
    """Every candidate of at least 0.5, surest first: a threshold of 1 lets OpenCV suppress none."""
    width, height = 640, 448
    image = read(data / "stills" / ORIGINAL, width, height).round().astype(np.uint8)
    net = cv2.FaceDetectorYN.create(
        str(data / "models" / "yunet_s_640_640.onnx"), "", (width, height), 0.5, 1.0, 5000
    )
    rows = []
    for left, top, wide, high, *points, score in net.detect(image)[1].astype(float).tolist():
        rows.append([left, top, left + wide, top + high, score, *points])
    return told(width, height, rows, inclusive=False)


def told(
    width: int, height: int, rows: list[list[float]], *, still: str = ORIGINAL, inclusive: bool = True
) -> dict:
    """Return the reference; where boxes end with a pixel, that pixel's far edge is what is told."""
    rows = sorted(rows, key=lambda row: -row[4])
    edge = 1 if inclusive else 0
    boxes = [[row[0], row[1], row[2] + edge, row[3] + edge] for row in rows]
    points = [np.reshape(row[5:], (-1, 2)).round(3).tolist() for row in rows]
    return {
        "still": still,
        "size": [width, height],
        "boxes": np.round(boxes, 3).tolist(),
        "scores": [round(float(row[4]), 5) for row in rows],
        "landmarks": points,
    }


def main() -> None:
    data, work, wanted = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    work.mkdir(exist_ok=True)
    oracle = cache(lambda: prepare_oracle(work, console_progress()))
    makers = {
        "centerface": centerface,
        "yunet": lambda: yunet(data),
        "scrfd": scrfd,
        "retinaface": lambda: retinaface(data, oracle()),
        "mtcnn": lambda: mtcnn(data, oracle()),
        "fr50": lambda: fr50(data, oracle(), work),
    }
    for name in wanted or makers:
        reference = makers[name]()
        print(name, len(reference["scores"]))
        text = json.dumps(reference, indent=None, separators=(",", ":")).replace('],"', '],\n"')
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
