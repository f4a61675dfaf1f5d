"""Roles in a study: models `a`, `b` ..., their untrained twins `a0`, `b0` ..., and `ref`."""

from __future__ import annotations

REFERENCES = "ref"


def is_twin(role: str) -> bool:
    """Whether it is a model without training: `a0` is the twin of `a`."""
    return role.endswith("0")


def is_model(role: str) -> bool:
    """Whether it is one of those that a study is about."""
    return role != REFERENCES and not is_twin(role)


def called(role: str, name: str) -> str:
    """The name of a model, with what its role adds to it."""
    return f"{name} (untrained twin)" if is_twin(role) else name
