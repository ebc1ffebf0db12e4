"""The nets: what they are, where they come from, and how a picture becomes faces with embeddings."""

from importlib.util import find_spec

from app.errors import OnlookerError

if find_spec("onnxruntime") is None:
    raise OnlookerError(
        "no onnxruntime is installed: `pip install '.[cpu]'` brings one, '.[gpu]' for NVIDIA's"
    )

from app.models.chosen import Chosen, chosen_nets, prepare_nets
from app.models.embedding import measure_traits, run_net
from app.models.feed import SIZE, blob
from app.models.images import (
    Floats,
    Image,
    ImageError,
    decode_image,
    decode_jpeg,
    encode_jpeg,
    patches,
    thumbnail,
)
from app.models.onnx_file import NetError, check_net, check_sides, input_dims, inputs_of, read_net
from app.models.pipeline import Analysis, Nets, Recogniser, load_recogniser
from app.models.quality import appearance_of, lacks_of

__all__ = [
    "SIZE",
    "Analysis",
    "Chosen",
    "Floats",
    "Image",
    "ImageError",
    "NetError",
    "Nets",
    "Recogniser",
    "appearance_of",
    "blob",
    "check_net",
    "check_sides",
    "chosen_nets",
    "decode_image",
    "decode_jpeg",
    "encode_jpeg",
    "input_dims",
    "inputs_of",
    "lacks_of",
    "load_recogniser",
    "measure_traits",
    "patches",
    "prepare_nets",
    "read_net",
    "run_net",
    "thumbnail",
]
