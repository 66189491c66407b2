"""Types by rules and by classifiers, and validation that is not fooled by sisters of one dish."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import KFold, LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from course_lib.quantification import (
    ClassifierValidation,
    Limits,
    Rule,
    classify,
    predict_types,
    validate_classifier,
)


def cells(
    *, dishes: int = 5, each: int = 30, apart: float = 2.0, dish_spread: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """Two types that differ by `apart` in both features, with a shift of each dish."""
    rng = np.random.default_rng(seed)
    dish = np.repeat(np.arange(dishes), each)
    kind = rng.integers(0, 2, dishes * each)
    shift = rng.normal(0, dish_spread, (dishes, 2))[dish]
    features = rng.normal(size=(dishes * each, 2)) + apart * kind[:, None] + shift
    return pd.DataFrame(
        {
            "area_um2": features[:, 0],
            "intensity_mean": features[:, 1],
            "Type": np.array(["round", "spindle"])[kind],
            "dish": [f"dish {number}" for number in dish],
        },
        index=np.arange(dishes * each) + 7,
    )


FEATURES = ["area_um2", "intensity_mean"]


@settings(max_examples=60)
@given(
    values=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8),
    ranges=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 8), st.integers(1, 3)), min_size=1, max_size=4),
)
def test_the_first_rule_that_is_met_gives_the_type(values: list, ranges: list) -> None:
    table = pd.DataFrame(values, columns=["a", "b"])
    rules = [
        Rule(f"type {number}", (Limits(column, at_least=low, below=low + width),))
        for number, (column, low, width) in enumerate(ranges)
    ]
    found = classify(table, rules=rules, otherwise="rest")
    for (_, row), called in zip(table.iterrows(), found["Type"], strict=True):
        met = [number for number, (column, low, width) in enumerate(ranges) if low <= row[column] < low + width]
        assert called == (f"type {met[0]}" if met else "rest")
    assert "Type" not in table


def test_all_limits_of_a_rule_hold_and_the_rest_of_the_table_stays() -> None:
    table = cells().assign(Type="old")
    rule = Rule("both", (Limits("area_um2", at_least=1.0), Limits("intensity_mean", below=2.0)))
    found = classify(table, rules=[rule])
    met = (table["area_um2"] >= 1) & (table["intensity_mean"] < 2)
    assert found["Type"].tolist() == ["both" if one else "" for one in met]
    assert found.index.equals(table.index)
    pd.testing.assert_frame_equal(found.drop(columns="Type"), table.drop(columns="Type"))
    assert (table["Type"] == "old").all()


@pytest.mark.parametrize("classifier", [LogisticRegression(), KNeighborsClassifier(5)])
def test_a_classifier_of_scikit_learn_fills_the_column(classifier) -> None:
    table = cells()
    classifier.fit(table[FEATURES].to_numpy(), table["Type"])
    found = predict_types(table.drop(columns="Type"), classifier=classifier, columns=FEATURES)
    assert found["Type"].tolist() == classifier.predict(table[FEATURES].to_numpy()).tolist()
    assert found.index.equals(table.index)


def test_validation_is_that_of_scikit_learn_with_whole_groups_left_out() -> None:
    table = cells(dish_spread=0.5)
    found = validate_classifier(table, classifier=LogisticRegression(), columns=FEATURES, replicate="dish")
    called = cross_val_predict(
        LogisticRegression(), table[FEATURES].to_numpy(), table["Type"], groups=table["dish"], cv=LeaveOneGroupOut()
    )
    assert found.types == ("round", "spindle")
    for number, dish in enumerate(found.replicates):
        inside = (table["dish"] == dish).to_numpy()
        np.testing.assert_array_equal(
            found.confusion[number], confusion_matrix(table["Type"][inside], called[inside], labels=list(found.types))
        )
        expected = balanced_accuracy_score(table["Type"][inside], called[inside])
        assert found.balanced_accuracies[number] == pytest.approx(expected)
    assert found.balanced_accuracy == pytest.approx(found.balanced_accuracies.mean())
    low, high = found.interval
    assert 0 <= low < found.balanced_accuracy < high <= 1


def test_the_classifier_itself_learns_nothing() -> None:
    classifier = LogisticRegression()
    validate_classifier(cells(), classifier=classifier, columns=FEATURES, replicate="dish")
    assert not hasattr(classifier, "coef_")


def test_features_without_meaning_are_guessing_with_replicates_left_out_and_more_with_random_splits() -> None:
    """Each dish has its own features and mostly one type: a random split recognizes the dish."""
    rng = np.random.default_rng(1)
    honest, random = [], []
    for seed in range(12):
        table = cells(dishes=8, each=20, apart=0.0, dish_spread=8.0, seed=seed)
        mostly = rng.permutation(8) % 2
        kind = np.where(rng.random(160) < 0.9, mostly[np.repeat(np.arange(8), 20)], rng.integers(0, 2, 160))
        table["Type"] = np.array(["round", "spindle"])[kind]
        nearest = KNeighborsClassifier(3)
        called = cross_val_predict(nearest, table[FEATURES].to_numpy(), kind, cv=KFold(8, shuffle=True, random_state=0))
        random.append(balanced_accuracy_score(kind, called))
        honest.append(
            validate_classifier(table, classifier=nearest, columns=FEATURES, replicate="dish").balanced_accuracy
        )
    error = np.std(honest, ddof=1) / math.sqrt(12)
    assert np.mean(honest) < 0.5 + 3 * error
    assert np.mean(random) > 0.8


def test_rare_types_weigh_the_same_and_absent_ones_do_not_count() -> None:
    confusion = np.array([[[90, 10], [1, 1]], [[50, 0], [0, 0]]])
    found = ClassifierValidation(("common", "rare"), ("a", "b"), confusion)
    assert found.balanced_accuracies.tolist() == [0.7, 1.0]
    assert found.balanced_accuracy == 0.85
    assert found.interval == (0, 1)


def test_a_type_that_training_has_not_seen_is_not_recognized() -> None:
    table = cells(dishes=3)
    table.loc[table["dish"] == "dish 2", "Type"] = "new"
    found = validate_classifier(table, classifier=LogisticRegression(), columns=FEATURES, replicate="dish")
    assert found.types == ("new", "round", "spindle")
    assert found.balanced_accuracies[2] == 0


GOOD = cells(dishes=2, each=12)


class Short:
    """Forgets an object."""

    def fit(self, features, types):
        """Learn nothing."""

    def predict(self, features):
        """Return one type too few."""
        return ["round"] * (len(features) - 1)


class Strange:
    """Has names of its own."""

    def fit(self, features, types):
        """Learn nothing."""

    def predict(self, features):
        """Return a type that no object has."""
        return ["oval"] * len(features)


@pytest.mark.parametrize(
    ("table", "changed", "error", "message"),
    [
        (GOOD, {"columns": ["perimeter"]}, ValueError, "the table has no column 'perimeter': it has area_um2"),
        (GOOD, {"columns": []}, ValueError, r"columns is \[\], but must be a list of at least one column"),
        (GOOD, {"columns": "area_um2"}, ValueError, "columns is 'area_um2', but must be a list"),
        (GOOD, {"columns": ["dish"]}, TypeError, "column 'dish' holds 'dish 0', but must hold numbers"),
        (GOOD, {"replicate": "day"}, ValueError, "the table has no column 'day'"),
        (GOOD, {"truth": "kind"}, ValueError, "the table has no column 'kind'"),
        (GOOD.assign(dish="a"), {}, ValueError, "column 'dish' has 1 replicate, but to leave one out there must be at"),
        (GOOD.assign(Type=GOOD["dish"]), {}, ValueError, "without replicate 'dish 0', all objects are of one type"),
        (GOOD.assign(area_um2=np.nan), {}, ValueError, "column 'area_um2' has 24 missing values"),
        (GOOD[:0], {}, ValueError, "the table has no rows"),
        (GOOD, {"classifier": Short()}, ValueError, "the classifier returned 11 types for 12 objects"),
        (
            GOOD,
            {"classifier": Strange()},
            ValueError,
            "calls an object 'oval', but the types in column 'Type' are 'round', 'spindle': use the same names",
        ),
    ],
)
def test_bad_validation(table, changed, error, message) -> None:
    arguments = {"classifier": LogisticRegression(), "columns": FEATURES, "replicate": "dish"} | changed
    with pytest.raises(error, match=message):
        validate_classifier(table, **arguments)


def test_bad_rules() -> None:
    with pytest.raises(
        ValueError, match="there is no rule, or one without limits, which every object meets: use otherwi"
    ):
        classify(GOOD, rules=[])
    with pytest.raises(ValueError, match="or one without limits"):
        classify(GOOD, rules=[Rule("all", ())])
    with pytest.raises(ValueError, match="the table has no column 'size'"):
        classify(GOOD, rules=[Rule("all", (Limits("size", below=3),))])
    with pytest.raises(ValueError, match="the range of 'size' is from 3 to 3, but at_least must be smaller than below"):
        Limits("size", at_least=3, below=3)
    with pytest.raises(ValueError, match="from nan to inf"):
        Limits("size", at_least=float("nan"))
