"""Components by name, from packages and by path; everything wrong with them is one line."""

import pytest

from kochi import components
from kochi.attention import SCORES, SELECTIONS, build
from kochi.attention.scores import Additive
from kochi.components import Choice, ComponentError, Package, options_of


def test_what_is_built_in():
    choice = SCORES.choose({"kind": "additive", "hidden_size": 7})
    assert choice == Choice("score", "additive", Additive, {"hidden_size": 7})
    score = choice.build(query_size=2, key_size=3, num_heads=1, unasked="for")
    assert score.vector.shape == (1, 7)
    assert choice.table == {"kind": "additive", "hidden_size": 7}
    assert SCORES.choose("dot").table == "dot"
    assert "dot" in SCORES and "soft" not in SCORES and len(SELECTIONS) == 12


@pytest.mark.parametrize("slot", [SCORES, SELECTIONS])
def test_options_are_what_is_not_supplied(slot):
    for kind in slot:
        assert not options_of(slot.component(kind)).keys() & {"query_size", "key_size", "num_heads"}


def test_an_installed_component(install):
    install("kochi-distance", score={"distance": "kochi_distance:Distance"})
    assert list(SCORES)[-1] == "distance" and "distance" in SCORES
    choice = SCORES.choose({"kind": "distance", "power": 1.0})
    assert choice.package == Package("kochi-distance", "0.1")
    module = build(choice, query_size=4, memory_size=4)
    assert module.score.power == 1.0
    assert build("distance", query_size=4, memory_size=4).score.power == 2.0


def test_a_package_that_is_installed_meanwhile(install, monkeypatch):
    """Names are looked up in what was seen of the installed packages, unknown ones once more."""
    looked = []
    found = components.entry_points
    monkeypatch.setattr(
        components, "entry_points", lambda **which: looked.append(1) or found(**which)
    )
    components.installed.cache_clear()
    assert len(list(SCORES)) == len(list(SCORES)) == 7 and len(looked) == 1
    with pytest.raises(ComponentError):
        SCORES.choose("distance")
    install("kochi-distance", score={"distance": "kochi_distance:Distance"})
    assert SCORES.choose("distance").kind == "distance"


def test_a_component_by_its_path(install):
    install("kochi-distance")
    choice = SCORES.choose("kochi_distance:Distance")
    assert str(choice.package) == "kochi-distance 0.1"
    assert build("kochi_distance:Distance", query_size=4, memory_size=4).score.power == 2.0


def test_only_trusted_packages_are_imported(install):
    install("kochi-distance", score={"distance": "kochi_distance:Distance"})
    for kind in ("distance", "kochi_distance:Distance"):
        with pytest.raises(ComponentError, match=r"package kochi-distance 0.1, which is not trust"):
            SCORES.choose(kind, trust=["other"])
        for name in ("kochi-distance", "kochi_distance"):
            assert SCORES.choose(kind, trust=[name]).kind == kind
    assert SCORES.choose("dot", trust=()).package is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "aditive",
            r"^score: got 'aditive', expected one of .*; did you mean 'additive'\?$",
        ),
        ("zzz", r"^score: got 'zzz', expected one of 'dot', .*'location_aware'$"),
        (7, r"^score: got 7, expected a name, a table with its kind and options, or an object$"),
        ({"hidden_size": 7}, r"^score: kind is missing; it must be one of 'dot', 'scaled_dot'"),
        ({"kind": "dot", "scale": 1.0}, r"^score 'dot': got the option 'scale', expected none$"),
        (
            {"kind": "additive", "num_heads": 2},
            r"^score 'additive': got the option 'num_heads', expected 'hidden_size', 'normalize'$",
        ),
        (
            "kochi_distance:distance",
            r"^score: got 'kochi_distance:distance', a <function distance .*, expected a Score or",
        ),
        ("kochi_distance:Scope", r"^score: got 'kochi_distance:Scope', a Scope, expected a Score"),
        (
            "kochi_distance:Nothing",
            r"^score 'kochi_distance:Nothing' of the package kochi-distance 0.1 cannot be "
            "imported: AttributeError",
        ),
        ("missing:Score", r"package missing cannot be imported: ModuleNotFoundError: No module"),
        (
            "kochi_distance:Unheard",
            r"requires 'temperature', but a score is given query_size, key_size, num_heads; make",
        ),
        ("kochi_distance:Sure", r"^score 'kochi_distance:Sure': the option 'power' is missing$"),
    ],
)
def test_what_cannot_be_used(install, value, message):
    install("kochi-distance")
    with pytest.raises(ComponentError, match=message):
        SCORES.choose(value)


def test_a_package_that_cannot_be_imported(install):
    code = "raise RuntimeError('no licence:\\nask the author')"
    install("broken", code, "2.0", score={"distance": "broken:Distance"})
    line = (
        "score 'distance' of the package broken 2.0 cannot be imported: RuntimeError: no licence: "
        "ask the author"
    )
    with pytest.raises(ComponentError) as caught:
        SCORES.choose("distance")
    assert str(caught.value) == line


def test_two_packages_with_one_name(install):
    install("one", score={"distance": "one:Distance"})
    install("two", version="1.5", score={"distance": "two:Distance"})
    line = (
        "score 'distance' comes with one 0.1 and two 1.5; uninstall one of them, or name the class "
        "by its path, such as "
    )
    with pytest.raises(ComponentError) as caught:
        SCORES.choose("distance")
    assert str(caught.value).startswith(line)
    assert SCORES.choose("two:Distance").package == Package("two", "1.5")
