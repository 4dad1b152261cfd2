"""Models outside of Python tables: single events, C++, ONNX."""

from buff.export.packed import pack_sampler
from buff.export.sampler import EventSampler

__all__ = ["EventSampler", "pack_sampler"]
