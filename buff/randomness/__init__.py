"""Randomness that belongs to events and to rows, not to the order in which they are drawn."""

from buff.randomness.events import (
    FARTHEST,
    EventNoise,
    SampleRequest,
    ScoreModel,
    condition_normals,
    dequantization_noise,
    jobs_for,
    sampling_seed,
    seed_from,
    stream_key,
    training_seed,
    within_range,
)
from buff.randomness.words import SharedWords, is_scattered, keys_of_rows

__all__ = [
    "FARTHEST",
    "EventNoise",
    "SampleRequest",
    "ScoreModel",
    "SharedWords",
    "condition_normals",
    "dequantization_noise",
    "is_scattered",
    "jobs_for",
    "keys_of_rows",
    "sampling_seed",
    "seed_from",
    "stream_key",
    "training_seed",
    "within_range",
]
