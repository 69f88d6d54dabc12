import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from mialib.auditing.audit import Settings, audit
from mialib.auditing.shadows import MOST, QUICK, train_halves, train_pool
from mialib.base.seeding import children
from mialib.cli import main
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.submission.inputs import Records
from mialib.submission.refits import ModuleTrainer, OnPlatform, Refit, Trained, ask
from mialib.submission.subjects import Opening

ONE = Settings(n_shadow=4, seeds=1)


@pytest.fixture
def people(rng):
    """300 records of random labels, which only a model that has memorised them knows."""
    return [Records(rng.normal(size=(100, 5)), rng.choice(["no", "yes"], 100)) for _ in range(3)]


def tree(x, labels, seed):
    return DecisionTreeClassifier(random_state=seed).fit(x, labels)


def logits(x, labels, seed):
    """Return a function that gives logits, which is all that is known of it."""
    fitted = LogisticRegression().fit(x, labels)
    return lambda of: np.c_[np.zeros(len(of)), fitted.decision_function(of)]


def test_a_function_trains_shadow_models(people):
    model = DecisionTreeClassifier(random_state=0).fit(people[0].x, people[0].labels)
    found = audit(model.predict_proba, *with_numbers(people[:2]), settings=ONE, train=tree)
    assert found.has_own_kind
    assert found.shadows[0].accuracies[0] == 1
    assert found.shadows[0].kind == "4 trained by tree"
    assert not any("is not known" in sentence for sentence in found.limits())
    assert found.verdict.outcome == "leaks"


def with_numbers(parts):
    return [Records(of.x, (of.labels == "yes").astype(int)) for of in parts]


def test_without_one_shadow_models_of_another_kind_are_said_to_be(people):
    model = DecisionTreeClassifier(random_state=0).fit(people[0].x, people[0].labels)
    found = audit(model.predict_proba, *with_numbers(people), settings=ONE)
    assert not found.has_own_kind
    said = " ".join(found.limits())
    assert "How the model was trained is not known; its shadow models are 4 networks" in said
    assert "the audited model 100.0% and" in said
    assert "Give its training with --train" in said


def test_answers_are_probabilities_or_logits(people):
    classes = np.array(["no", "yes"])
    fitted = LogisticRegression().fit(people[0].x, people[0].labels)
    expected = fitted.predict_proba(people[1].x)
    of_logits = ask(logits(people[0].x, people[0].labels, 0), people[1].x, classes)
    np.testing.assert_allclose(of_logits, expected, atol=1e-6)
    np.testing.assert_allclose(ask(fitted, people[1].x, classes), expected, atol=1e-6)
    np.testing.assert_allclose(ask(fitted, people[1].x, classes[::-1]), expected[:, ::-1], atol=1e-6)
    with pytest.raises(ValueError, match=r"have shape \(100, 3\); it must be \(100, 2\)"):
        ask(lambda x: np.zeros((len(x), 3)), people[1].x, classes)
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        ask(lambda x: np.full((len(x), 2), np.nan), people[1].x, classes)


def test_shadow_models_get_the_users_labels_and_columns(people):
    """Notices the fault of shadow models that are trained on codes, which a class weight by name does not know."""
    table = [Records(pd.DataFrame(of.x, columns=list("abcde")).assign(id=range(100)), of.labels) for of in people]
    model = LogisticRegression(class_weight={"no": 1.0, "yes": 5.0}).fit(table[0].x.drop(columns="id"), table[0].labels)
    found = audit(model, *table[:2], settings=ONE)
    vectors = found.shadows[0].vectors
    assert vectors[..., 1].mean() > 0.7
    plain = LogisticRegression().fit(table[0].x.drop(columns="id"), table[0].labels)
    assert audit(plain, *table[:2], settings=ONE).shadows[0].vectors[..., 1].mean() < 0.6


def test_a_column_that_the_model_does_not_know_is_left_out_before_everything(people):
    """An id neither hides that records are the same nor tells members from others."""
    tables = [Records(pd.DataFrame(of.x, columns=list("abcde")), of.labels) for of in people]
    model = LogisticRegression().fit(tables[0].x, tables[0].labels)
    numbered = [Records(of.x.assign(id=np.arange(100) + 1000 * i), of.labels) for i, of in enumerate(tables)]
    found = audit(model, *numbered[:2], settings=ONE)
    assert found.features.shape == (200, 5)
    assert found.blind.low < 0.5
    twice = Records(
        pd.concat([numbered[1].x, numbered[0].x[:7].assign(id=range(7))]), np.r_[people[1].labels, ["no"] * 7]
    )
    with pytest.raises(ValueError, match="7 records are both in and out"):
        audit(model, numbered[0], twice, settings=ONE)


def test_a_module_is_trained_by_a_recipe(people):
    def factory():
        return torch.nn.Sequential(torch.nn.Linear(5, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))

    trainer = ModuleTrainer(factory, Recipe(NN(), epochs=150, batch_size=20, learning_rate=0.01), ("no", "yes"))
    module = trainer(people[0].x, people[0].labels, 3)
    assert not module.training
    right = ask(module, people[0].x, np.array(["no", "yes"])).argmax(axis=1) == (people[0].labels == "yes")
    assert right.mean() > 0.9
    again = trainer(people[0].x, people[0].labels, 3)
    torch.testing.assert_close(again[0].weight, module[0].weight)
    train, parts = trainer_of_numbers(factory), with_numbers(people[:2])
    found = audit(module, *parts, settings=ONE, opening=Opening(logits=True), train=train)
    assert found.has_own_kind


def trainer_of_numbers(factory):
    return ModuleTrainer(factory, Recipe(NN(), epochs=150, batch_size=20, learning_rate=0.01), (0, 1))


def test_networks_are_trained_on_as_many_records(people, rng):
    records, classes = people[0], np.array(["no", "yes"])
    in_, asked = [np.arange(60), np.arange(30, 89)], [np.arange(100)] * 2
    found = OnPlatform(Recipe(NN((4,)), epochs=2)).answers(records, classes, in_, asked, children(0, 2))
    assert found.shape == (2, 100, 2)


def test_halves_hold_every_class_and_each_record_is_in_for_half_of_the_models(people):
    records, labels = people[0], (people[0].labels == "yes").astype(int)
    found = train_halves(Refit(DecisionTreeClassifier()), records, labels, np.array(["no", "yes"]), ONE)
    assert (found.in_.sum(axis=0) >= 1).all()
    sizes = found.in_.sum(axis=1)
    assert (sizes == sizes[0]).all()
    assert sizes[0] >= 49
    counts = [np.bincount(labels[of], minlength=2) for of in found.in_]
    assert np.ptp(counts, axis=0).max() <= 1
    right = found.vectors.argmax(axis=2) == labels
    assert right[found.in_].all()
    assert right[~found.in_].mean() < 0.7


def test_more_shadow_models_begin_with_the_fewer(people):
    labels, classes = (people[0].labels == "yes").astype(int), np.array(["no", "yes"])
    few, many = (
        train_halves(Refit(DecisionTreeClassifier()), people[0], labels, classes, Settings(n, seeds=1)) for n in (2, 6)
    )
    np.testing.assert_array_equal(few.in_, many.in_[:2])
    np.testing.assert_array_equal(few.vectors, many.vectors[:2])


def test_a_quick_refit_is_done_from_three_seeds(people, monkeypatch):
    labels, classes = np.concatenate([(of.labels == "yes").astype(int) for of in people[:2]]), np.array(["no", "yes"])
    settings = Settings(n_shadow=2)

    def trained():
        return train_pool(Refit(DecisionTreeClassifier()), people[0], people[1], labels, classes, 40, settings)

    assert trained().repetition.tolist() == [0, 0, 1, 1, 2, 2]
    assert QUICK == 10
    monkeypatch.setattr("mialib.auditing.shadows.QUICK", 0)
    assert trained().repetition.tolist() == [0, 0]


def test_an_attack_learns_from_no_more_than_is_useful(people, monkeypatch):
    """So many answers for each class: an attack model of its own learns from them (§V-D)."""
    monkeypatch.setattr("mialib.auditing.shadows.MOST", 25)
    labels = (people[0].labels == "yes").astype(int)
    found = train_halves(Refit(DecisionTreeClassifier()), people[0], labels, np.array(["no", "yes"]), ONE)
    assert [len(of.labels) for of in found.learned] == [50]
    assert MOST == 2_000


def test_a_function_named_on_the_command_line(people, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(
        "from sklearn.tree import DecisionTreeClassifier\n\n\n"
        "def train(x, y, seed):\n    return DecisionTreeClassifier(random_state=seed).fit(x, y)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert Trained.from_name("mine:train").name == "mine:train"
    for name, message in (("mine", "as module:function"), ("mine:other", "name a module"), ("no_such:f", "name a")):
        with pytest.raises(ValueError, match=message):
            Trained.from_name(name)
    from skops import io

    io.dump(LogisticRegression().fit(people[0].x, people[0].labels), "line.skops")
    for name, of in zip(("in", "out"), people, strict=False):
        np.savez(f"{name}.npz", x=of.x, y=of.labels)
    words = ["audit", "line.skops", "--in", "in.npz", "--out", "out.npz", "--seeds", "1", "--shadows", "2"]
    assert main.main([*words, "--train", "mine:train"]) == 0
    assert "trained by mine:train" in (tmp_path / "audit.html").read_text()
    assert main.main([*words, "--train", "mine:train", "--like", "line.skops"]) == 1
    assert "give one of them" in capsys.readouterr().err


def test_canaries_bound_epsilon_from_below(people):
    """A tree memorises wrong labels; a logistic regression hardly notices one more record."""
    settings = Settings(n_shadow=2, seeds=1, canaries=80, epsilon=0.5)
    memorised = audit(tree(people[0].x, people[0].labels, 0), *people[:2], settings=settings)
    assert memorised.canaries > 0.5
    assert "by canaries, ε is at least" in memorised.about_privacy()
    assert "each with 95 % confidence" in memorised.about_privacy()
    assert "contradicts the promised ε of 0.5" in memorised.about_privacy()
    line = LogisticRegression(C=1e-3).fit(people[0].x, people[0].labels)
    found = audit(line, *people[:2], settings=settings)
    assert found.canaries < 0.5
    assert "consistent with the promised ε of 0.5, and no proof of it" in found.about_privacy()
    with pytest.raises(ValueError, match="101 canaries are asked for; there are but 100 records out"):
        audit(line, *people[:2], settings=Settings(n_shadow=2, seeds=1, canaries=101))
    with pytest.raises(ValueError, match="give that with --train"):
        audit(line.predict_proba, *with_numbers(people[:2]), settings=settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_shadow": 1}, "n_shadow is 1; it must be a whole number of at least 2"),
        ({"material": 0.5}, "material is 0.5; it must be above 0.5"),
        ({"epsilon": -1.0}, "epsilon is -1.0; it must be at least 0"),
        ({"delta": 1.0}, "delta is 1.0; it must be from 0 to below 1"),
        ({"seeds": 0}, "seeds is 0"),
        ({"canaries": -1}, "canaries is -1"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings(**settings)
