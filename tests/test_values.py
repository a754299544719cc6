"""A session's values: the first ones, and those that are set, in whatever order they come."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream import ControlError
from rtcstream.controls import Values
from tests.sample_controls import ALL, Mode

# Fewer examples than usual for a quick run; no time limits, on machines that are busy.
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_first_values() -> None:
    """A query sets the values that it names and leaves the others at their defaults."""
    values = Values(ALL)
    values.first({"mode": "FLIP", "gain": "1"})
    assert values.snapshot()["mode"] is Mode.FLIP
    assert values.to_json() == {
        **{control.name: control.to_json(control.default) for control in ALL},
        "mode": "FLIP",
        "gain": 1.0,
    }


@pytest.mark.parametrize(
    ("query", "name", "sentence"),
    [
        ({"size": "4", "shade": "1"}, "shade", "there is no control “shade”; there are: size, "),
        ({"size": "4", "gain": "2"}, "gain", "gain must be from 0 to 1, not 2.0"),
    ],
)
def test_first_values_are_all_or_nothing(query: dict[str, str], name: str, sentence: str) -> None:
    """A query with one wrong value changes none."""
    values = Values(ALL)
    before = values.snapshot()
    with pytest.raises(ControlError) as caught:
        values.first(query)
    assert caught.value.control == name and sentence in str(caught.value)
    assert values.snapshot() == before


def test_a_function_without_controls() -> None:
    """Where there are no controls the error says so."""
    with pytest.raises(ControlError, match="there is no control “x”; there are: none"):
        Values(()).change({"x": 1}, 0)


def test_the_name_of_an_unknown_control_is_shown_in_few_words() -> None:
    """An unknown name of any length gives an error that can be sent."""
    with pytest.raises(ControlError) as caught:
        Values(ALL).change({"x" * 50_000: 1}, 0)
    assert len(str(caught.value)) + len(caught.value.control) < 1000


def test_an_older_set_never_overwrites() -> None:
    """A value applies only if its number is higher than the last that set that control."""
    values = Values(ALL)
    values.change({"size": 7}, 5)
    values.change({"size": 3, "gain": 1}, 4)
    assert (values.snapshot()["size"], values.snapshot()["gain"]) == (7, 1.0)
    values.change({"size": 3}, 5)
    assert values.snapshot()["size"] == 7, "a repeat is no newer"
    values.change({"size": 3}, 6)
    assert values.snapshot()["size"] == 3


def test_a_rejected_set_leaves_its_number_free() -> None:
    """After an error nothing has changed, so that the same number may still set the control."""
    values = Values(ALL)
    with pytest.raises(ControlError):
        values.change({"size": 7, "gain": 9}, 3)
    values.change({"size": 8}, 3)
    assert values.snapshot()["size"] == 8


def test_a_snapshot_is_the_callers_own() -> None:
    """A snapshot does not follow later changes, and changing it changes nothing else."""
    values = Values(ALL)
    snapshot = values.snapshot()
    values.change({"size": 9}, 1)
    snapshot["gain"] = None
    assert snapshot["size"] == 5
    assert values.snapshot()["gain"] == 0.5


@few
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.dictionaries(
                st.sampled_from(["size", "mode", "shade"]),
                st.integers(-1, 22) | st.sampled_from(["EDGES", "FLIP"]),
            ),
        ),
        max_size=12,
    )
)
def test_sets_in_any_order(sets: list[tuple[int, dict[str, Any]]]) -> None:
    """However sets arrive, each control keeps the accepted value with the highest number."""
    values = Values(ALL)
    best = {"size": (-1, 5), "mode": (-1, "EDGES")}
    for seq, wanted in sets:
        before = values.snapshot()
        try:
            values.change(wanted, seq)
        except ControlError:
            assert values.snapshot() == before
            continue
        for name, value in wanted.items():
            if seq > best[name][0]:
                best[name] = seq, value
    assert {name: value for name, (_, value) in best.items()}.items() <= values.to_json().items()
