"""Trees in files: that they are trees, before a library that does not check it follows them.

XGBoost, LightGBM and scikit-learn crash, or never end, where a node points at itself or at none, or where a list is cut
short.
"""

import json
import re
from itertools import pairwise
from types import FunctionType, ModuleType

import numpy as np

ROOT = 2**31 - 1
"""What XGBoost calls the parent of a root."""


def check_trees(name, left, right, n_features, features):
    """Raise a ValueError unless arrays of children, negative for none, make a tree that asks for known features.

    Parameters
    ----------
    name : str
    left, right : ndarray of int, shape (nodes,)
        Node 0 is the root.
    n_features : int
    features : ndarray of int, shape (nodes,)
    """
    n, reached = len(left), [0] if len(left) else []
    seen = np.zeros(n, bool)
    while reached:
        node = reached.pop()
        if not 0 <= node < n or seen[node]:
            raise ValueError(f"{name} is no tree: node {node} is {'reached twice' if 0 <= node < n else 'not there'}")
        seen[node] = True
        reached += [child for child in (int(left[node]), int(right[node])) if child >= 0]
    if not (len(left) == len(right) == len(features)) or (features[seen] >= n_features).any() or (features < 0).any():
        raise ValueError(f"{name} asks for features that are not among its {n_features}")


def check_estimator(model):
    """Raise a ValueError if a tree anywhere in a fitted model is none, or asks for more features than its model has."""
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    parts, seen = [(model, np.inf)], set()
    while parts:
        part, n_features = parts.pop()
        if id(part) in seen or isinstance(part, type | ModuleType | FunctionType):
            continue
        seen.add(id(part))
        if isinstance(part, Tree):
            n_features = min(n_features, part.n_features)
            _check_children(part.children_left, part.children_right, n_features, part.feature)
        elif isinstance(part, TreePredictor):
            inner = part.nodes["is_leaf"] == 0
            sides = (np.where(inner, part.nodes[side].astype(np.int64), -1) for side in ("left", "right"))
            _check_children(*sides, n_features, part.nodes["feature_idx"])
        own = vars(part).get("n_features_in_", n_features) if hasattr(part, "__dict__") else n_features
        parts += [(of, own) for of in _held(part)]


def _held(part):
    """Return what a part of a fitted model holds itself, as far as that can be models."""
    if isinstance(part, list | tuple | set):
        return part
    if isinstance(part, np.ndarray):
        return part.ravel() if part.dtype.kind == "O" else ()
    return part.values() if isinstance(part, dict) else getattr(part, "__dict__", {}).values()


def _check_children(left, right, n_features, features):
    """Raise a ValueError unless arrays of children, negative for none of both, make a tree of known features."""
    if not len(left) or ((left < 0) != (right < 0)).any():
        raise ValueError("a tree of it has no nodes, or nodes with one child")
    check_trees("a tree of it", left, right, n_features, np.where(left < 0, 0, features))


def check_xgboost(content):
    """Raise an error unless the content of a file of XGBoost, a dict, is a model of trees as it says, or of none."""
    learner = content["learner"]
    sizes = {name: int(value) for name, value in learner["learner_model_param"].items() if name[:4] == "num_"}
    booster = learner["gradient_booster"]
    model = booster["gbtree"]["model"] if "gbtree" in booster else booster["model"]
    if "trees" not in model:
        return
    n_trees, info = int(model["gbtree_model_param"]["num_trees"]), _whole(model["tree_info"])
    groups = max(1, sizes.get("num_class", 0), sizes.get("num_target", 0))
    rounds = _whole(model.get("iteration_indptr", [0, n_trees]))
    if not n_trees == len(model["trees"]) == len(info) or not ((info >= 0) & (info < groups)).all():
        raise ValueError(f"it says that it has {n_trees} trees in {groups} groups; it does not")
    if rounds[0] != 0 or rounds[-1] != n_trees or (np.diff(rounds) < 0).any():
        raise ValueError("its rounds do not count its trees")
    for i, tree in enumerate(model["trees"]):
        _check_tree(f"tree {i}", tree, sizes["num_feature"])


def _check_tree(name, tree, n_features):
    """Raise an error unless a tree of XGBoost is one."""
    n, width = int(tree["tree_param"]["num_nodes"]), int(tree["tree_param"].get("size_leaf_vector", 1))
    whole = {of: _whole(tree[of]) for of in ("left_children", "right_children", "parents", "split_indices")}
    whole |= {of: _whole(tree[of]) for of in ("default_left", "split_type") if of in tree}
    numbers = {of: np.asarray(tree[of]) for of in ("split_conditions", "loss_changes", "sum_hessian") if of in tree}
    numbers |= {"base_weights": np.asarray(tree["base_weights"])} if width <= 1 else {}
    if any(len(array) != n or array.ndim != 1 for array in (whole | numbers).values()):
        raise ValueError(f"{name} says that it has {n} nodes; it does not")
    if any(array.dtype.kind not in "if" for array in numbers.values()):
        raise ValueError(f"{name} has thresholds or weights that are no numbers")
    left, right, parents = whole["left_children"], whole["right_children"], whole["parents"]
    check_trees(name, left, right, n_features, whole["split_indices"])
    if ((left < 0) != (right < 0)).any() or not ((parents >= -1) & ((parents < n) | (parents == ROOT))).all():
        raise ValueError(f"{name} has nodes with one child, or with parents that are not there")
    for children in (left, right):
        inner = np.flatnonzero(children >= 0)
        if (children[inner] >= n).any() or (parents[children[inner]] != inner).any():
            raise ValueError(f"{name} has nodes that are not the children of their parents")
    _check_categories(name, tree, n)


def _check_categories(name, tree, n):
    """Raise an error unless the lists of categories of a tree of XGBoost are as long as it says."""
    nodes, starts, sizes = (_whole(tree.get(f"categories_{of}", [])) for of in ("nodes", "segments", "sizes"))
    known = _whole(tree.get("categories", []))
    divided = np.flatnonzero(_whole(tree.get("split_type", [])) == 1)
    if not len(nodes) == len(starts) == len(sizes) or not np.array_equal(np.sort(nodes), divided):
        raise ValueError(f"{name} has other nodes of categories than it says")
    if (starts < 0).any() or (sizes < 0).any() or (starts + sizes > len(known)).any() or (known < 0).any():
        raise ValueError(f"{name} has fewer categories than it says")


def _whole(values):
    """Return a list as ndarray of int64; a ValueError if it holds anything but whole numbers."""
    array = np.asarray(values)
    if array.size and (array.ndim != 1 or array.dtype.kind not in "iu"):
        raise ValueError("it has something else where a list of whole numbers must be")
    return array.astype(np.int64)


def read_json(path):
    """Return what a file of JSON, or of UBJSON (.ubj), holds, a dict."""
    body = path.read_bytes()
    return _Ubjson(body).value() if path.suffix == ".ubj" else json.loads(body)


NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
WORDS = {"T": True, "F": False, "Z": None}
"""What UBJSON writes for numbers, by their types in numpy, and for other values."""


class _Ubjson:
    """A reader of the part of UBJSON that XGBoost writes."""

    def __init__(self, body):
        self.body, self.at = body, 0

    def take(self, n):
        """Return the next n bytes."""
        if not 0 <= n <= len(self.body) - self.at:
            raise ValueError(f"it ends before the {n} bytes that it says follow byte {self.at}")
        self.at += n
        return self.body[self.at - n : self.at]

    def array(self, kind, n):
        """Return the next n numbers."""
        if kind not in NUMBERS:
            raise ValueError(f"it has {kind!r} at byte {self.at}, where the type of a number must be")
        dtype = np.dtype(NUMBERS[kind])
        return np.frombuffer(self.take(n * dtype.itemsize), dtype)

    def size(self):
        return int(self.array(chr(*self.take(1)), 1)[0])

    def text(self):
        return self.take(self.size()).decode()

    def value(self):
        """Return what comes next."""
        kind = chr(*self.take(1))
        if kind in NUMBERS:
            return self.array(kind, 1)[0].item()
        if kind == "S":
            return self.text()
        if kind == "[":
            return self.list()
        if kind == "{":
            return self.dict()
        if kind not in WORDS:
            raise ValueError(f"it has {kind!r} at byte {self.at}, where a value must be")
        return WORDS[kind]

    def list(self):
        kind, n = self.header()
        if kind is not None:
            return self.array(kind, n)
        found = []
        while len(found) < n if n is not None else not self.ends("]"):
            found.append(self.value())
        return found

    def dict(self):
        (_, n), found = self.header(), {}
        while len(found) < n if n is not None else not self.ends("}"):
            name = self.text()
            found[name] = self.value()
        return found

    def header(self):
        """Return of what type the entries of a list are, and how many there are; None where that is not said."""
        kind = chr(*self.take(1)) if self.ends("$") else None
        return kind, self.size() if self.ends("#") else None

    def ends(self, sign):
        """Return whether a sign comes next, and pass it."""
        found = self.body[self.at : self.at + 1] == sign.encode()
        self.at += found
        return found


PARAMETER = re.compile(r"\[\w+: .*\]")
"""A parameter in a file of LightGBM."""


def check_lightgbm(text):
    """Raise an error unless the text of a file of LightGBM is a model of trees as it says."""
    if "\0" in text or "end of trees\n" not in text:
        raise ValueError("it is cut off, or no text")
    head, _, rest = text.partition("\n\n")
    said = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    n_features = int(said["max_feature_idx"]) + 1
    if not n_features == len(said["feature_names"].split(" ")) == len(said["feature_infos"].split(" ")):
        raise ValueError(f"it says that it has {n_features} features; it does not")
    if int(said["num_class"]) < 1 or not 1 <= int(said["num_tree_per_iteration"]) <= len(text):
        raise ValueError("it has no classes")
    body = rest.encode()
    ends = np.cumsum([0, *map(int, said["tree_sizes"].split())]) if said.get("tree_sizes") else [0]
    for i, (start, stop) in enumerate(pairwise(ends)):
        _check_block(f"tree {i}", body[start:stop].decode(), i, n_features)
    trees, _, after = body[ends[-1] :].decode().partition("end of trees\n")
    if trees.strip():
        raise ValueError("its trees have other sizes than it says")
    parameters = after.partition("\nparameters:")[2].partition("end of parameters")[0]
    if foreign := [line for line in parameters.splitlines() if line and not PARAMETER.fullmatch(line)]:
        raise ValueError(f"it has {foreign[0][:40]!r} among its parameters, which is none")


def _check_block(name, block, i, n_features):
    """Raise an error unless a tree of LightGBM is one."""
    first, *lines = block.rstrip("\n").split("\n")
    if first != f"Tree={i}" or not block.endswith("\n\n"):
        raise ValueError(f"{name} is not where it says")
    of = dict(line.split("=", 1) for line in lines)
    n, n_divided = int(of["num_leaves"]), int(of["num_cat"])
    if not 1 <= n <= len(block):
        raise ValueError(f"{name} says that it has {n} leaves; it does not")
    lengths = dict.fromkeys(("split_feature", "threshold", "decision_type", "left_child", "right_child"), n - 1)
    lengths |= dict.fromkeys(("split_gain", "internal_value", "internal_weight", "internal_count"), n - 1)
    lengths |= dict.fromkeys(("leaf_value", "leaf_weight", "leaf_count"), n)
    numbers = {key: np.array(value.split(), float) for key, value in of.items() if key in lengths}
    if n == 1:
        return
    for key, values in numbers.items():
        if len(values) != lengths[key]:
            raise ValueError(f"{name} has {len(values)} entries of {key}, and {lengths[key]} fit its {n} leaves")
    left, right = (np.array(of[f"{side}_child"].split(), np.int64) for side in ("left", "right"))
    leaves = [~child for child in (*left.tolist(), *right.tolist()) if child < 0]
    if sorted(leaves) != list(range(n)):
        raise ValueError(f"{name} is no tree: not each of its {n} leaves is reached once")
    features = np.array(of["split_feature"].split(), np.int64)
    check_trees(name, left, right, n_features, features)
    kinds = np.array(of["decision_type"].split(), np.int64)
    _check_bits(name, of, n_divided, numbers["threshold"][kinds & 1 == 1])


def _check_bits(name, of, n, places):
    """Raise an error unless the sets of categories of a tree of LightGBM are as long as it says."""
    if not n and not len(places):
        return
    bounds, bits = (_whole([int(part) for part in of[f"cat_{key}"].split()]) for key in ("boundaries", "threshold"))
    right = len(bounds) == n + 1 and bounds[0] == 0 and (np.diff(bounds) >= 0).all() and bounds[-1] == len(bits)
    if not right or (places < 0).any() or (places >= n).any():
        raise ValueError(f"{name} has fewer categories than it says")
