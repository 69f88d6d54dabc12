import json
import threading
import urllib.request
import warnings
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from scipy import stats

from mialib.attack.experiment import Experiment, train_target
from mialib.base.seeding import children
from mialib.datasets.dataset import Provenance
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.synthesis.formats import Binary, Format, Integers, Reals
from mialib.synthesis.model_based import Synthesis, confidence_paths, query_function, synthesize
from mialib.synthesis.search import Queries, Search

FORMAT = Format((40,))
SEARCH = Search(k_max=16, k_min=2, rej_max=4, conf_min=0.4, iter_max=300)
CLASSES = np.tile(np.arange(4), 15)


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Linear:
    """A softmax regression whose answer to a record is the same to the last bit whatever is asked beside it."""

    def __init__(self, n_features=40, n_classes=4, seed=0):
        self.weights = np.random.default_rng(seed).normal(size=(n_classes, n_features))
        self.n_asked = 0

    def predict_proba(self, x):
        self.n_asked += len(x)
        x = x.reshape(len(x), -1).astype(np.float64)
        return softmax(np.stack([(x * w).sum(axis=1) for w in self.weights], axis=1))


class Shaky(Linear):
    """The same, but the last digits depend on the batch, as those of float32 products do."""

    def __init__(self, relative, **kwargs):
        super().__init__(**kwargs)
        self.relative = relative

    def predict_proba(self, x):
        y = super().predict_proba(x)
        return y * (1 + self.relative * np.random.default_rng(len(x)).uniform(-1, 1, y.shape))


def constant(*y):
    return lambda x: np.tile(y, (len(x), 1))


def test_records_are_what_algorithm_1_asks_for():
    target = Linear()
    made = synthesize(target, CLASSES, FORMAT, SEARCH)
    assert made.found.sum() >= 50
    y = target.predict_proba(made.x[made.found])
    np.testing.assert_array_equal(y.argmax(axis=1), made.classes[made.found])
    np.testing.assert_array_equal(y.max(axis=1), made.confidence[made.found])
    assert made.confidence[made.found].min() > SEARCH.conf_min
    assert (made.queries <= SEARCH.iter_max).all()
    assert made.ended.all()
    found = made.dataset(4, Provenance("toy", "stand-in", "generated", "none", "0"))
    assert found.provenance.source == "synthesized by queries to a model of generated"
    np.testing.assert_array_equal(found.x, made.x[made.found])
    np.testing.assert_array_equal(found.y, made.classes[made.found])
    assert found.x.dtype == np.uint8


def trace(target, classes, format, search, **options):
    """Run with a watch; return the result, and the records and confidences of each search."""
    steps = [[] for _ in classes]

    def watch(searches, x, confidence):
        for i, record, value in zip(searches, x, confidence, strict=True):
            steps[i].append((record.copy(), value))

    return synthesize(target, classes, format, search, watch=watch, **options), steps


@pytest.mark.parametrize("search", [SEARCH, replace(SEARCH, k_max=40, k_min=1, rej_max=0)])
def test_every_step_is_that_of_the_listing(search):
    """Replay each search by Algorithm 1: x*, y*_c, j and k decide how far the next proposal lies from x*."""
    target = Linear()
    made, steps = trace(target, CLASSES, FORMAT, search)
    k_seen = set()
    for i, path in enumerate(steps):
        best, best_confidence, j, k = None, 0, 0, search.k_max
        assert len(path) == made.queries[i]
        for x, confidence in path:
            if best is not None:
                assert np.count_nonzero(x != best) == k
            if confidence >= best_confidence:
                best, best_confidence, j = x, confidence, 0
            else:
                j += 1
                if j > search.rej_max:
                    k, j = max(search.k_min, -(-k // 2)), 0
            k_seen.add(k)
        if made.found[i]:
            np.testing.assert_array_equal(made.x[i], best)
            assert made.confidence[i] == best_confidence
        else:
            assert len(path) == search.iter_max
    assert min(k_seen) < search.k_max


def test_a_proposal_as_good_as_the_best_takes_its_place():
    """A target that always answers the same rejects nothing: k stays, and each proposal starts from the last."""
    search = Search(k_max=16, k_min=2, rej_max=0, conf_min=0.5, iter_max=50)
    _, steps = trace(constant(0.4, 0.6), np.zeros(5, int), FORMAT, search)
    for path in steps:
        changes = np.diff([record.astype(int) for record, _ in path], axis=0)
        np.testing.assert_array_equal(np.count_nonzero(changes, axis=1), np.full(49, 16))


def test_no_two_searches_start_from_the_same_record():
    """Notices the fault of classes, or of a class's searches, that share a stream of random numbers."""
    _, steps = trace(Linear(), CLASSES, FORMAT, SEARCH)
    assert len({path[0][0].tobytes() for path in steps}) == len(CLASSES)


def test_changed_features_are_uniform():
    """Around a fixed x*, each feature is chosen equally often (a constant target never rejects)."""
    search = Search(k_max=3, k_min=3, conf_min=0.5, iter_max=400)
    _, steps = trace(constant(0.4, 0.6), np.zeros(30, int), FORMAT, search)
    chosen = sum(np.abs(np.diff([x.astype(int) for x, _ in path], axis=0)).sum(axis=0) for path in steps)
    assert stats.chisquare(chosen).pvalue > 1e-3


@pytest.mark.parametrize("y_c", [0.25, 0.6])
def test_acceptance_follows_the_confidence(y_c):
    """A target that always answers y_c accepts each query with that probability: queries are geometric."""
    made = synthesize(constant(y_c, *[(1 - y_c) / 9] * 9), np.zeros(3000, int), FORMAT, Search(8, conf_min=0.2))
    assert made.found.all()
    most = 12
    counts = np.bincount(np.minimum(made.queries, most), minlength=most + 1)[1:]
    p = stats.geom.pmf(np.arange(1, most + 1), y_c)
    p[-1] = stats.geom.sf(most - 1, y_c)
    assert stats.chisquare(counts, 3000 * p).pvalue > 1e-3
    assert stats.chisquare(counts, 3000 * np.roll(p, 1)).pvalue < 1e-6


def one_at_a_time(target, c, search, rng):
    """Algorithm 1 as printed, for binary features; return the number of queries, or None."""
    x, best, best_confidence, j, k = rng.integers(0, 2, 40), None, 0, 0, search.k_max
    for iteration in range(search.iter_max):
        y = target.predict_proba(x[None])[0]
        if y[c] >= best_confidence:
            if y[c] > search.conf_min and c == y.argmax() and rng.random() < y[c]:
                return iteration + 1
            best, best_confidence, j = x, y[c], 0
        else:
            j += 1
            if j > search.rej_max:
                k, j = max(search.k_min, -(-k // 2)), 0
        x = best.copy()
        x[rng.choice(40, k, replace=False)] ^= 1
    return None


def test_queries_are_distributed_as_by_the_plain_algorithm(rng):
    target = Linear()
    plain = [one_at_a_time(target, c, SEARCH, rng) or 301 for c in np.tile(np.arange(4), 50)]
    made = synthesize(target, np.tile(np.arange(4), 100), FORMAT, SEARCH)
    ours = np.where(made.found, made.queries, 301)
    assert stats.ks_2samp(plain, ours).pvalue > 1e-3


@pytest.mark.parametrize(
    "format",
    [
        FORMAT,
        Format((40,), Integers(0, 3)),
        Format((4, 10), Reals(-1, 1)),
        Format((40,), (Binary(), Integers(0, 2), Reals(0, 1), Binary()) * 10),
    ],
    ids=["binary", "integers", "reals", "mixed"],
)
@pytest.mark.parametrize("queries", [Queries(1), Queries(7), Queries(1000), Queries(25, n_jobs=3)], ids=str)
def test_width_and_threads_change_nothing(format, queries):
    wide = synthesize(Linear(), CLASSES, format, SEARCH, seed=4)
    other = synthesize(Linear(), CLASSES, format, SEARCH, queries, seed=4)
    np.testing.assert_array_equal(other.x, wide.x)
    np.testing.assert_array_equal(other.queries, wide.queries)
    np.testing.assert_array_equal(other.confidence, wide.confidence)
    assert wide.found.sum() > 40
    assert len(np.unique(wide.x[wide.found], axis=0)) == wide.found.sum()
    assert wide.x.shape == (60, *format.shape)


def test_the_record_of_a_search_does_not_depend_on_the_others():
    made = synthesize(Linear(), CLASSES, FORMAT, SEARCH, seed=4)
    some = synthesize(Linear(), [2, 2, 0], FORMAT, SEARCH, seed=4)
    np.testing.assert_array_equal(some.x, made.x[[2, 6, 0]])
    other = synthesize(Linear(), CLASSES, FORMAT, SEARCH, seed=5)
    assert not np.array_equal(other.x, made.x)


def test_answers_that_shake_in_their_last_digits_change_no_record():
    """With a relative error of 1e-3 decisions flip often; the tolerance finds them all."""
    exact = Queries(width=1, tolerance=0)
    alone = synthesize(Shaky(1e-3), CLASSES, FORMAT, SEARCH, exact)
    for width in (2, 9, 60):
        made = synthesize(Shaky(1e-3), CLASSES, FORMAT, SEARCH, Queries(width, tolerance=5e-3))
        np.testing.assert_array_equal(made.x, alone.x)
        np.testing.assert_array_equal(made.queries, alone.queries)
        assert made.n_asked > made.queries.sum()
    naive = synthesize(Shaky(1e-3), CLASSES, FORMAT, SEARCH, Queries(60, tolerance=0))
    assert not np.array_equal(naive.queries, alone.queries)


@pytest.mark.parametrize("format", [FORMAT, Format((40,), Reals(0, 1))], ids=["binary", "reals"])
def test_width_changes_nothing_on_a_neural_network(data, format):
    """Its float32 answers do differ in their last bits with the batch."""
    recipe = Recipe(NN((32,)), epochs=100, batch_size=20)
    _, stack = train_target(Experiment(100, recipe=recipe), data)

    def target(x):
        return stack.predict_proba(x)[0]

    x = format.drawn(np.random.default_rng(0).random((64, 40)))
    assert not np.array_equal(target(x), np.concatenate([target(x[i : i + 1]) for i in range(64)]))
    wide = synthesize(target, CLASSES, format, SEARCH)
    for queries in (Queries(1), Queries(13), Queries(40, n_jobs=2)):
        made = synthesize(target, CLASSES, format, SEARCH, queries)
        np.testing.assert_array_equal(made.x, wide.x)
        np.testing.assert_array_equal(made.queries, wide.queries)
        np.testing.assert_allclose(made.confidence, wide.confidence, rtol=1e-5)
    assert wide.found.sum() > 30


@pytest.mark.parametrize("budget", [0, 1, 59, 400])
@pytest.mark.parametrize("target", [Linear(), Shaky(1e-3)], ids=["exact", "shaky"])
def test_the_budget_is_kept_to_the_query(target, budget):
    target.n_asked = 0
    made = synthesize(target, CLASSES, FORMAT, SEARCH, Queries(60, budget, tolerance=5e-3))
    assert target.n_asked == made.n_asked == budget
    assert made.queries.sum() <= budget
    whole = synthesize(target, CLASSES, FORMAT, SEARCH, Queries(tolerance=5e-3))
    np.testing.assert_array_equal(made.x[made.ended], whole.x[made.ended])
    np.testing.assert_array_equal(made.queries[made.ended], whole.queries[made.ended])
    assert 0 < np.count_nonzero(made.ended) < 60 or budget < 400


class Breaking(Linear):
    """An endpoint that times out at its n-th query."""

    def __init__(self, n):
        super().__init__()
        self.left = n

    def predict_proba(self, x):
        self.left -= 1
        if not self.left:
            raise TimeoutError("no answer in 30 s")
        return super().predict_proba(x)


@pytest.mark.parametrize("n", [15, 30])
def test_an_endpoint_that_breaks_loses_no_finished_record(n):
    target, whole = Breaking(n), synthesize(Linear(), CLASSES, FORMAT, SEARCH)
    with pytest.warns(UserWarning, match=r"the target failed \(TimeoutError: no answer in 30 s\)"):
        made = synthesize(target, CLASSES, FORMAT, SEARCH, Queries(30))
    assert isinstance(made.interruption, TimeoutError)
    assert 0 < np.count_nonzero(made.ended) < 60
    np.testing.assert_array_equal(made.x[made.ended], whole.x[made.ended])
    assert made.n_asked == target.n_asked

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rest = synthesize(target, CLASSES, FORMAT, SEARCH, resume=made)
    np.testing.assert_array_equal(rest.x, whole.x)
    np.testing.assert_array_equal(rest.queries, whole.queries)
    assert rest.n_asked == target.n_asked
    assert rest.interruption is None
    assert not made.ended.all()


def test_an_endpoint_that_breaks_stops_all_threads():
    with pytest.warns(UserWarning, match="the target failed"):
        made = synthesize(Breaking(40), np.tile(CLASSES, 5), FORMAT, SEARCH, Queries(100, n_jobs=2))
    assert isinstance(made.interruption, TimeoutError)
    assert 0 < np.count_nonzero(made.ended) < 300


class Handler(BaseHTTPRequestHandler):
    """A prediction service that hangs from its 12th query on, until it is mended."""

    def do_POST(self):
        self.server.n_queries += 1
        if self.server.hangs and self.server.n_queries >= 12:
            self.server.mended.wait()
            return
        records = np.array(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps(Linear().predict_proba(records).tolist()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_remote_endpoint_that_times_out_in_the_middle():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.n_queries, server.hangs, server.mended = 0, True, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def remote(x):
        body = json.dumps(x.tolist()).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}", body)
        with urllib.request.urlopen(request, timeout=1.5) as answer:
            return np.array(json.load(answer))

    whole = synthesize(Linear(), CLASSES, FORMAT, SEARCH)
    with server:
        with pytest.warns(UserWarning, match=r"the target failed \(TimeoutError"):
            made = synthesize(remote, CLASSES, FORMAT, SEARCH)
        np.testing.assert_array_equal(made.x[made.ended], whole.x[made.ended])
        assert 0 < np.count_nonzero(made.ended) < 60
        server.hangs = False
        server.mended.set()
        made = synthesize(remote, CLASSES, FORMAT, SEARCH, resume=made)
        server.shutdown()
    np.testing.assert_array_equal(made.x, whole.x)
    np.testing.assert_array_equal(made.queries, whole.queries)


def test_an_endpoint_that_never_works_is_an_error():
    with pytest.raises(TimeoutError, match="no answer in 30 s"):
        synthesize(Breaking(1), CLASSES, FORMAT, SEARCH)


def test_classes_that_fail_are_named():
    made = synthesize(constant(0.9, 0.1, 0.0), [0, 1, 2, 2, 0], FORMAT, replace(SEARCH, iter_max=50))
    np.testing.assert_array_equal(made.found, [True, False, False, False, True])
    assert made.failed == {2: 2, 1: 1}
    np.testing.assert_array_equal(made.failed_classes, [1, 2])
    assert (made.queries[~made.found] == 50).all()
    assert made.queries_per_record == made.queries.sum() / 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: np.full((len(x), 2), np.nan), "it must be finite"),
        (lambda x: np.full(len(x), 0.5), r"array of shape \(4,\)"),
        (lambda x: np.full((len(x), 2), 0.5), "among them class 3"),
    ],
)
def test_answers_that_are_no_prediction_vectors_are_an_error(answer, message):
    with pytest.raises(ValueError, match=message):
        synthesize(answer, np.arange(4), FORMAT, SEARCH)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Search(k_max=3), "k_max is 3; it must be a whole number of at least 4"),
        (lambda: Search(conf_min=1), "conf_min is 1; it must be at least 0 and below 1"),
        (lambda: Queries(width=0), "width is 0"),
        (lambda: Queries(budget=-1), "budget is -1"),
        (lambda: Queries(tolerance=2), "tolerance is 2"),
        (lambda: synthesize(Linear(), [0], FORMAT), "k_max is 128, but a record has 40 features"),
        (
            lambda: synthesize(
                Linear(), [0], FORMAT, SEARCH, resume=synthesize(Linear(), [1], FORMAT, SEARCH, Queries(budget=1))
            ),
            "resume is the result of other searches",
        ),
    ],
)
def test_impossible_searches_get_one_clear_sentence(made, message):
    with pytest.raises(ValueError, match=message):
        made()


def test_a_target_must_answer():
    with pytest.raises(TypeError, match="the target is a str; it must be callable"):
        synthesize("target", [0], FORMAT, SEARCH)


def test_what_searches_cost():
    """Four searches: of class 0 both found a record, of class 1 one, of class 2 none."""
    confidence, queries = np.array([0.5, 0.7, 0.6, np.nan, np.nan]), np.array([1, 3, 5, 9, 10])
    made = Synthesis(np.zeros((5, 2)), np.array([0, 0, 1, 1, 2]), confidence, queries, np.ones(5, bool))
    assert made.numbers() == pytest.approx(
        {
            "queries a record": 28 / 3,
            "mean confidence": 0.6,
            "searches that found a record": 0.6,
            "classes without a record": 1,
        }
    )
    cost = made.cost()
    needed = cost["median queries"]
    assert (needed.low, float(needed), needed.high) == (3, 5, 9)
    assert cost["searches that found a record"] == 0.6
    assert made.cost(made.classes == 1) == {"median queries": 7, "searches that found a record": 0.5}


def test_a_path_has_the_confidence_of_each_query():
    target = Linear()
    paths = confidence_paths(target, {"third": 2, "first": 0}, FORMAT, SEARCH, seed=4)
    made = synthesize(target, [2, 0], FORMAT, SEARCH, seed=4)
    assert list(paths) == ["third", "first"]
    assert [len(path) for path in paths.values()] == made.queries.tolist()
    assert [path[-1] for path in paths.values()] == pytest.approx(made.confidence)


def test_one_model_is_a_target_and_several_are_none(data):
    models = Recipe(NN(()), 1).train(data, np.arange(100).reshape(2, 50), children(0, 2))
    one = models.models(slice(1, 2))
    np.testing.assert_array_equal(query_function(one)(data.x[:5]), one.predict_proba(data.x[:5])[0])
    assert synthesize(one, CLASSES, FORMAT, SEARCH).found.any()
    with pytest.raises(ValueError, match=r"array of shape \(2, 60, 4\)"):
        synthesize(models, CLASSES, FORMAT, SEARCH)
