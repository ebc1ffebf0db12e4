"""The nets: what they are, where they come from, and how a picture becomes faces with embeddings."""

from importlib.util import find_spec

from app.errors import OnlookerError

if find_spec("onnxruntime") is None:
    raise OnlookerError(
        "no onnxruntime is installed: `pip install '.[cpu]'` brings one, '.[gpu]' for NVIDIA's"
    )
