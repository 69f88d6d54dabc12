"""An audit's findings, to be filed: one HTML page that needs nothing else, JSON, and a CSV with a row per record."""

import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import jinja2
import numpy as np

from mialib import metrics, plots
from mialib.auditing import rows
from mialib.auditing.filing import Filing
from mialib.auditing.page import cell, listed, number, share, tables
from mialib.auditing.panel import GAP
from mialib.auditing.recommendation import recommend
from mialib.base.files import check_writable, write_files
from mialib.base.text import readable
from mialib.book.pictures import svg
from mialib.datasets.files import file_sha256
from mialib.metrics import Estimate
from mialib.plots.style import sign
from mialib.service.address import redacted

CURVES = 5
"""ROC curves that one figure shows."""

NAME = 60
"""Letters of the model's name for which a figure, or the foot of a printed page, has room."""

SCHEMA_VERSION = "1.0"
"""Of the JSON file: the first number changes if a key goes or means something else, the second if one comes."""

TEMPLATE = Path(__file__).with_name("report.html.j2")
SCHEMA = Path(__file__).with_name("report.schema.json")


def paths(page, inputs=()):
    """Return the paths of a report's page, JSON and CSV, by that of its page.

    A ValueError says if that does not end in ``.html``, or if the report would replace one of the `inputs`, a sequence
    of `mialib.auditing.filing.Input`; an OSError, if one cannot be written.
    """
    page, given = Path(page), {of.sha256 for of in inputs}
    if page.suffix != ".html":
        raise ValueError(f"{page} does not end in .html; a JSON and a CSV file come beside it under the same name")
    beside = page, page.with_suffix(".json"), page.with_suffix(".csv")
    for path in beside:
        if path.is_file() and file_sha256(path) in given:
            raise ValueError(f"the report would replace {path}, which is audited; give it another name")
    check_writable(*beside)
    return beside


def save(findings, path):
    """Write the report about findings.

    Parameters
    ----------
    findings : Findings
    path : path
        Of the page, which ends in ``.html``; the others come beside it under the same name.

    Returns
    -------
    tuple of Path
        Of the page, the JSON and the CSV.

    Raises
    ------
    ValueError
        If the path does not end in ``.html``, or if the report would replace what was audited.
    OSError
        If one of the files cannot be written; all three are as they were before then.
    """
    filing = findings.filing or Filing.now(findings)
    found = paths(path, filing.inputs)
    parsed = json.dumps(content(findings, filing), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_files(dict(zip(found, (html(findings, filing), parsed, rows.as_csv(findings)), strict=True)))
    return found


def content(findings, filing=None):
    """Return what the JSON file holds about `Findings` (dict), as ``report.schema.json`` beside this module says.

    Where no `Filing` is given, and none is in the findings, it is one of now, by what is known here.
    """
    filing = filing or findings.filing or Filing.now(findings)
    found = {
        "schema version": SCHEMA_VERSION,
        "model": redacted(findings.name),
        "verdict": findings.sentence(),
        "outcome": findings.verdict.outcome,
        "recommendation": asdict(recommend(findings)),
        "material": findings.material,
        "records that would decide": findings.verdict.needed,
        "strongest attack": {
            "name": findings.strongest,
            "quantity": findings.verdict.strongest.quantity,
            "value": findings.verdict.strongest.found,
        },
        "records in": findings.n_in,
        "records out": findings.n_out,
        "base rate": findings.base_rate,
        "train accuracy": float(findings.target.train_accuracy),
        "test accuracy": float(findings.target.test_accuracy),
        **findings.errors(),
        "shadow models": [of.kind for of in findings.shadows],
        "overall": findings.overall,
        "between seeds": findings.between_seeds(),
        "structure": [asdict(check) for check in findings.structure],
        "by class": findings.by_class(),
        "by subgroup": findings.by_subgroup(),
        "beyond overfitting": findings.beyond_overfitting(),
        "precision by prior": findings.precision_at(),
        "threshold at 1 % FPR": findings.threshold_at(0.01),
        "most exposed records": rows.exposed(findings),
        "p-value": {"attack": findings.strongest, "how": rows.HOW, "exposed at": rows.EXPOSED},
        "epsilon": findings.privacy,
        "mitigations": findings.mitigations,
        "AUC of the features alone": findings.blind,
        "what this does not say": findings.limits(),
        "seed": findings.seed,
        "filing": filing.to_dict(),
    }
    return _plain(found)


def html(findings, filing=None):
    """Return the page of `Findings`, a str; see `content`."""
    filing = filing or findings.filing or Filing.now(findings)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "share": share, "cell": cell, "listed": listed}
    name = readable(redacted(findings.name))
    short = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    origin = f"mialib {version('mialib')} · {short} · seed {findings.seed}"
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        findings=findings,
        filing=filing.to_dict(),
        name=name,
        foot=re.sub(r"[^\w .:-]", " ", f"Membership audit of {short}"),  # the style sheet escapes nothing
        recommendation=recommend(findings),
        tables=tables(findings, filing.to_dict()),
        how=rows.HOW,
        exposed=rows.EXPOSED,
        roc=_roc(findings, origin),
        histogram=_histogram(findings, origin),
        spread=findings.spread()[0],
    )
    return readable(page)


def _roc(findings, origin):
    """Draw the curves of the attacks of the highest AUC, as many as can be told apart."""
    judged = {name: said for name, said in findings.attacks.items() if name != GAP and said.inference.judged.all()}
    best = sorted(judged, key=lambda name: -np.nan_to_num(judged[name].inference.auc))[:CURVES]
    curves = {name: metrics.roc(*judged[name].inference.ranked) for name in best}
    return _svg(plots.roc(curves), origin) if curves else ""


def _histogram(findings, origin):
    label, values = findings.spread()
    sides = {"members": findings.target.member, "non-members": ~findings.target.member}
    shares = {side: metrics.histogram(values[of]) for side, of in sides.items()}
    figure = plots.answer_histogram(shares, label)
    for patch in (*figure.axes[0].patches, *figure.axes[0].get_legend().get_patches()):
        patch.set_hatch(None)  # on paper a hatched bar hides what is behind it
    return _svg(figure, origin)


def _svg(figure, origin):
    text = svg(sign(figure, origin))
    return text[text.index("<svg") :]


def _plain(value):
    """Return a value with the types that JSON knows and readable text; a number that is not defined is None."""
    if isinstance(value, Estimate):
        return _plain({"value": float(value), "low": value.low, "high": value.high})
    if isinstance(value, dict):
        return {readable(str(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return readable(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value
