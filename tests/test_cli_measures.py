"""`rsa measures` and the names given with --measures: what they find, and what they say if not."""

import json

import pytest
from click.testing import CliRunner

from cli.main import root
from rsa.errors import RsaError
from rsa.measures import DEFAULT, MEASURES, find, measure


def run(*arguments, **environment):
    return CliRunner().invoke(root, ["measures", *arguments], env=environment)


def names(text):
    found = run(text, "--json")
    assert found.exit_code == 0, found.output
    return [one["measure"] for one in json.loads(found.output)]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_one_line_a_measure_however_narrow(width):
    lines = run(COLUMNS=str(width)).output.splitlines()
    assert max(map(len, lines)) <= width
    for one in MEASURES.values():
        (line,) = [text for text in lines if text.split()[1:2] in ([one.name], [f"{one.name}*"])]
        assert one.title in line or width < 70
        assert one.family in line or width < 90
    assert len(lines) <= len(MEASURES) + 10


@pytest.mark.parametrize(
    "text, found",
    [
        ("mi:ksg,k=4,pca=3", ["mi:ksg,pca=3,k=4"]),  # another order
        ("mi:ksg,pca=2", ["mi:ksg,pca=2,k=4"]),  # a part
        ("mi:ksg", ["mi:ksg,pca=3,k=4"]),
        ("rdm:spearman", ["rdm:euclidean,spearman"]),
        ("cka:linear,without=3", ["cka:linear,track-debiased,without=3"]),
        ("cka:debiased,linear", ["cka:linear,debiased"]),
        ("shape:angular", ["shape:angular,alpha=1", "shape:angular,alpha=0.5"]),
        ("cca:r2", ["cca:r2"]),
        ("svcca:mean,var=0.9, knn", ["svcca:var=0.9,mean", "knn:mutual,k=10"]),
        ("default", list(DEFAULT)),
        ("all,svcca", list(MEASURES)),
    ],
)
def test_words_beginnings_and_parts_of_names(text, found):
    assert names(text) == found


@pytest.mark.parametrize(
    "text, hint",
    [
        ("", "name a measure, a family or `default`"),
        ("nonsense", "no measure 'nonsense'; `rsa measures` lists them"),
        ("all,nonsense", "no measure 'nonsense'; `rsa measures` lists them"),
        ("ckaa", "did you mean cka?"),
        ("pca=3", "'pca=3' is a part of a name: write it whole, such as cca:r2,pca=50"),
        ("debiased", "write it whole, such as cka:linear,debiased"),
        ("cka:rbf,sigma=-1,debiased", "sigma is above 0 and at most 1000"),
        ("cka:rbf,sigma=x,debiased", "sigma is a number, not 'x'"),
        ("mi:ksg,pca=2.5,k=4", "pca is a whole number, not '2.5'"),
        ("mi:smile,clip=-1", "clip may not be below 0"),
        ("mi:smile,clip=nan", "clip is a number, not 'nan'"),
        ("mi:renyi,order=3", "order is always 2"),
        ("mi:ksg,pca=1,pca=2", "one thing twice"),
        ("mi:ksg,foo=2", "mi:ksg,pca=3,k=4 takes no 'foo=2', only a number for pca and k"),
        ("cka:linear,biased,foo=2", "cka:linear,biased takes no 'foo=2', nor any number"),
        ("cka:linear,biased,without=1", "cka:linear,track-debiased,without=1 does"),
        ("cka:linear,debiassed", "did you mean cka:linear,debiased?"),
        ("cka:rgb", "cka takes no 'rgb'; did you mean cka:rbf,"),
        ("cka:rbf,sigma=0.3", "cka:rbf,sigma=0.3,track-debiased or cka:rbf,sigma=0.3,debiased"),
    ],
)
def test_a_name_that_fits_nothing_is_one_line_that_says_why(text, hint):
    from cli.similarity import resolve_measures

    found = run(text)
    (line,) = [one for one in found.output.splitlines() if one.startswith("Error: ")]
    assert found.exit_code == 2 and hint.rstrip("?") in line and len(line) < 220
    with pytest.raises(Exception, match="^--measures: "):
        resolve_measures(text)


def test_python_takes_the_same_names_and_says_what_is_wrong():
    assert measure("mi:ksg,k=5").name == "mi:ksg,pca=3,k=5" and find("nonsense") is None
    with pytest.raises(RsaError, match="'cka:linear,debiasd' .* did you mean cka:linear,debiased"):
        measure("cka:linear,debiasd")
    with pytest.raises(RsaError, match="unknown; did you mean svcca:var=0.99,mean") as error:
        measure("svca:var=0.99,mean")
    assert len(str(error.value)) < 120
