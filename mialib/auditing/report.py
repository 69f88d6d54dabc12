"""An audit's findings as one HTML page that needs nothing else, and as JSON."""

import io
import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import jinja2
from markupsafe import Markup

from mialib import metrics, plots
from mialib.base.machine import write_text
from mialib.metrics import Estimate
from mialib.plots import style

TEMPLATE = Path(__file__).with_name("report.html.j2")


def html(findings):
    """Return the page, a str.

    Parameters
    ----------
    findings : Findings
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "share": share}
    origin = f"mialib {version('mialib')} · {findings.name} · seed {findings.seed}"
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        findings=findings,
        roc=_svg(_roc(findings, origin)),
        histogram=_svg(_histogram(findings, origin)),
        base_rate=metrics.base_rate(findings.target.member),
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("mialib"),
    )


def save(findings, path):
    """Write the page to a path, and the JSON beside it.

    Parameters
    ----------
    findings : Findings
    path : path
        Ends in ``.html``.

    Returns
    -------
    html, json : Path

    Raises
    ------
    ValueError
        If the path ends otherwise.
    """
    path = Path(path)
    if path.suffix != ".html":
        raise ValueError(f"{path} does not end in .html; the JSON file comes beside it under the same name")
    content = json.dumps(findings.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return write_text(path, html(findings)), write_text(path.with_suffix(".json"), content)


def number(value):
    """Return a number as text, an `Estimate` with its interval below; a dash where it is not defined."""
    if isinstance(value, Estimate) and value.value == value.value:
        below = Markup("<br><small>{} to {}</small>").format(f"{value.low:.3f}", f"{value.high:.3f}")
        return Markup(f"{value.value:.3f}") + below
    value = getattr(value, "value", value)
    return "–" if value != value else f"{value:.3f}"


def share(value):
    """Return a share as a percentage."""
    return "–" if value != value else f"{value:.1%}"


def _roc(findings, origin):
    judged = {name: found for name, found in findings.attacks.items() if found.judged.all() and name != "gap attack"}
    curves = {name: metrics.roc(found.member, found.score) for name, found in judged.items()}
    return style.sign(plots.roc(curves), origin) if curves else None


def _histogram(findings, origin):
    probability = metrics.true_class_probability(findings.target.labels, findings.target.vectors)
    figure = plots.answer_histogram(probability, findings.target.member, "probability of the true class")
    return style.sign(figure, origin)


def _svg(figure):
    if figure is None:
        return ""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
