"""The parameters of a chapter: which there are, and whether what is given fits, before any work is done."""

import ast
import json
import math
from numbers import Real

import yaml


class _Plain(yaml.SafeLoader):
    """Reads YAML in which a date is text: no parameter is one."""


_Plain.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in of if not tag.endswith("timestamp")]
    for letter, of in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_value(text):
    """Return the number, truth value, list, dict, text or None that YAML says; a ValueError if it is none of these."""
    try:
        value = yaml.load(text, _Plain)  # noqa: S506  # nosec: a safe loader without dates
        json.dumps(value)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{text!r} is no value; write a number, a list such as [1, 2], or text") from error
    return value


def read_given(texts):
    """Return what texts such as ``size=20`` set, a dict of values by name.

    A ValueError says that one is not of that form, or a name comes twice.
    """
    given = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"parameter {text!r} has no value; write name=value")
        if name in given:
            raise ValueError(f"parameter {name!r} is given twice; give it once")
        given[name] = read_value(value)
    return given


def of_notebook(source):
    """Return a notebook's parameters as `declared` does, from the cell that is tagged so."""
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    tagged = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    return declared("\n".join(tagged))


def declared(cell):
    """Return what a cell declares, a dict of kind and default by name: (str, object).

    The kind is that of the annotation, or of the default.
    """
    found = {}
    for line in ast.parse(cell).body:
        if isinstance(line, ast.AnnAssign):
            found[line.target.id] = ast.unparse(line.annotation), ast.literal_eval(line.value)
        elif isinstance(line, ast.Assign):
            default = ast.literal_eval(line.value)
            found[line.targets[0].id] = type(default).__name__, default
    return found


def checked(name, known, given):
    """Return parameters as a chapter declares them; a ValueError names all that it does not, or not so.

    A list or a number that is given as text, as a shell gives it, is read.
    """
    fit, wrong = {}, []
    if unknown := [parameter for parameter in given if parameter not in known]:
        names = " and ".join(map(repr, unknown))
        raise ValueError(f"{name} has no parameter {names}; it has {', '.join(known)}")
    for parameter, value in given.items():
        kind, default = known[parameter]
        fit[parameter] = _read(value, kind)
        if fit[parameter] != default and not _is(fit[parameter], kind):
            wrong.append(f"{parameter} is {value!r}; it must be {kind}, such as {default!r}")
    if wrong:
        raise ValueError(f"{name}: {'; '.join(wrong)}")
    return fit


def injected(name, cells):
    """Return what papermill has set, as the chapter declares it, a dict; a ValueError as `checked` raises it.

    `cells` are those that a kernel has run so far: papermill marks its own, which follows that of the parameters.
    """
    marked = [i for i, cell in enumerate(cells) if cell.startswith("# Parameters\n")]
    if not marked or not marked[-1]:
        return {}
    lines = [line for line in ast.parse(cells[marked[-1]]).body if isinstance(line, ast.Assign)]
    given = {line.targets[0].id: ast.literal_eval(line.value) for line in lines}
    return checked(name, declared(cells[marked[-1] - 1]), given)


def _read(value, kind):
    if not isinstance(value, str) or kind == "str":
        return value
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value


def _is(value, kind):
    """Return whether a value is of a kind: whole numbers are numbers, and neither truth values nor infinities are."""
    outer, _, inner = kind.rstrip("]").partition("[")
    if outer == "list":
        return isinstance(value, list | tuple) and (not inner or all(_is(entry, inner) for entry in value))
    if outer in ("int", "float"):
        of = int if outer == "int" else Real
        return isinstance(value, of) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, {"str": str, "bool": bool, "dict": dict}.get(outer, object))
