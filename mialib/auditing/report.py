"""An audit's findings as one HTML page that needs nothing else, and as JSON."""

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from mialib import metrics, plots
from mialib.auditing.findings import PRIORS
from mialib.auditing.panel import GAP
from mialib.base.machine import write_text
from mialib.book.pictures import svg
from mialib.plots.style import sign

CURVES = 5
"""ROC curves that one figure shows."""

TEMPLATE = Path(__file__).with_name("report.html.j2")


def save(findings, path):
    """Write the page of `Findings` to a path that ends in ``.html`` and the JSON beside it, and return both paths."""
    path = Path(path)
    if path.suffix != ".html":
        raise ValueError(f"{path} does not end in .html; the JSON file comes beside it under the same name")
    content = json.dumps(findings.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return write_text(path, html(findings)), write_text(path.with_suffix(".json"), content)


def html(findings):
    """Return the page of `Findings`, a str."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "share": _share}
    origin = f"mialib {version('mialib')} · {findings.name} · seed {findings.seed}"
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        findings=findings,
        roc=_roc(findings, origin),
        histogram=_histogram(findings, origin),
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("mialib"),
        priors=PRIORS,
    )


def _number(value):
    """Return a number as text, an `Estimate` with its interval below; a dash where it is not defined."""
    if value != value:
        return "–"
    if not hasattr(value, "low"):
        return f"{value:.3f}"
    return Markup("{}<br><small>{} to {}</small>").format(*(f"{end:.3f}" for end in (value, value.low, value.high)))


def _share(value):
    return "–" if value != value else f"{value:.1%}"


def _roc(findings, origin):
    """Draw the curves of the attacks of the highest AUC, as many as can be told apart."""
    judged = {name: said for name, said in findings.attacks.items() if name != GAP and said.inference.judged.all()}
    best = sorted(judged, key=lambda name: -np.nan_to_num(judged[name].inference.auc))[:CURVES]
    curves = {name: metrics.roc(*judged[name].inference.ranked) for name in best}
    return _svg(plots.roc(curves), origin) if curves else ""


def _histogram(findings, origin):
    label, values = findings.spread()
    sides = {"members": findings.target.member, "non-members": ~findings.target.member}
    shares = {side: metrics.histogram(values[rows]) for side, rows in sides.items()}
    return _svg(plots.answer_histogram(shares, label), origin)


def _svg(figure, origin):
    text = svg(sign(figure, origin))
    return text[text.index("<svg") :]
