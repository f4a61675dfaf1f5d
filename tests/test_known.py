"""Finished comparisons are kept: a further model does not make the earlier numbers again."""

from dataclasses import replace

import torch

import rsa
from cli.known import Known
from cli.screen import Screen
from cli.similarity import compare_models, resolve_measures
from cli.steps import Run
from extract.datasets.base import Clip
from extract.store import Activations, Plan, Store

RUN = Run("cpu", 0, 1, "float32", 0.5, False, False, None, None, "float32", False)
ROWS = 24


def activations(folder, name, layers, seed):
    clips = tuple((f"c{i}", 1) for i in range(ROWS))
    plan = Plan(name, f"weights {seed}", "d", "i", "clips", "s", 1.0, 1.0, tuple(layers.items()),
                clips, 32, "float32", "float32", "1")  # fmt: skip
    store = Store(folder / name, plan)
    drawn = torch.Generator().manual_seed(seed)
    clips = [Clip(f"c{i}", f"t{i}", f"t{i}", "", "", 0.0, 1.0) for i in range(ROWS)]
    values = {k: torch.randn(ROWS, w, generator=drawn) for k, w in layers.items()}
    store.write(0, values, [clip.id for clip in clips], [])
    return Activations(name, store, clips)


def test_a_further_model_takes_what_is_known_and_adds_what_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    roles = {
        "a": activations(tmp_path, "one", {"x": 3, "y": 4}, 0),
        "b": activations(tmp_path, "two", {"x": 5}, 1),
        "ref": activations(tmp_path, "references", {"log-mel": 6, "mfcc": 2}, 2),
    }
    asked = []
    compare = rsa.compare

    def counted(*sources, measures, pairs, **options):
        asked.append((sorted((sources[i].name, sources[j].name) for i, j in pairs), measures))
        return compare(*sources, measures=measures, pairs=pairs, **options)

    monkeypatch.setattr(rsa, "compare", counted)
    two = resolve_measures("cka:linear,debiased,cka:linear,biased")
    first = tmp_path / "first"
    compare_models(roles, two[:1], RUN, first, Screen(True))
    assert len(asked) == 1 and len(asked[0][0]) == 5
    compare_models(roles, two[:1], RUN, tmp_path / "again", Screen(True))
    assert len(asked) == 1
    for file in (first / "similarity").iterdir():
        assert (tmp_path / "again" / "similarity" / file.name).read_bytes() == file.read_bytes()

    compare_models(roles, two, RUN, tmp_path / "more", Screen(True))
    assert asked[1][1] == two[1:]
    read = rsa.Similarity.read(tmp_path / "more" / "similarity" / "a-b.json")
    assert [m.measure for m in read.measures] == list(two)

    other = {**roles, "b": activations(tmp_path, "three", {"x": 5}, 3)}
    compare_models(other, two, RUN, tmp_path / "other", Screen(True))
    assert len(asked) == 3
    assert asked[2][0] == [("one", "three"), ("three", "references"), ("three", "three")]


def test_what_is_known_belongs_to_rows_settings_and_code(tmp_path):
    x, y = activations(tmp_path, "one", {"x": 3}, 0), activations(tmp_path, "two", {"x": 3}, 1)
    known = Known(tmp_path, {"seed": 0})
    assert known.path(x, y) != known.path(y, x) != Known(tmp_path, {"seed": 1}).path(y, x)
    before = known.path(x, y)
    first, *others = y.rows.clips
    y._select([replace(first, labels={"mood": "calm"}, split="test"), *others])
    assert known.path(x, y) == before  # neither has a part in similarity
    y._select([replace(first, group="t1"), *others])
    assert known.path(x, y) != before
    y._select(others)
    assert known.path(x, y) != before
    known.path(x, y).write_text("half a fi")
    assert known.find(x, y) is None
