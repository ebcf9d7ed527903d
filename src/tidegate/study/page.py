"""The report of a study as one HTML file that needs no other."""

import base64
from collections.abc import Iterable
from html import escape

from tidegate.study.findings import Figure, Row, Table

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2326; --paper: #fff; --faint: #66757c; --line: #d5dcdf; --mark: #eef5f4 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4eaec; --paper: #171c1e; --faint: #9aa9b0; --line: #39444a; --mark: #20302f }
}
body {
  font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 66rem; margin: 2rem auto; padding: 0 1rem
}
h1 { line-height: 1.2; margin-bottom: .2rem }
.question { font-size: 1.2rem; color: var(--faint); margin-top: 0 }
.verdict { background: var(--mark); border-left: 4px solid #009e73; padding: .6rem 1rem; border-radius: 4px }
.verdict p { margin: .4rem 0 }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
figure { margin: 1.5rem 0 }
figcaption, dd { color: var(--faint) }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; padding: 6px }
dt { font-weight: 600 }
dd { margin: 0 0 .4rem 0; overflow-wrap: anywhere }
"""


def remarks_on(kept: Row) -> list[str]:
    """Says what a reader must know of a run before its verdict."""
    remarks = []
    if kept.get("quick"):
        remarks.append(
            "A quick run with tiny sizes, for which see the settings: it shows that everything works, and its verdict "
            "answers nothing."
        )
    if not kept["complete"]:
        remarks.append("The run was stopped early; this is what was done by then.")
    return remarks


def html(kept: Row, figures: Iterable[Figure]) -> str:
    """Makes the report: question, verdict, figures, method, tables, and with what it was made.

    Args:
        kept: What `report.record` returns.
        figures: The pictures.
    """
    remarks = "".join(f"<p><strong>{escape(remark)}</strong></p>" for remark in remarks_on(kept))
    made = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in _facts(kept))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(kept["title"])} – a study by tidegate</title><style>{_STYLE}</style></head><body>
<h1>{escape(kept["title"])}</h1><p class="question">{escape(kept["question"])}</p>{remarks}
<div class="verdict">{"".join(f"<p>{escape(sentence)}</p>" for sentence in kept["verdict"])}</div>
{"".join(map(_figure, figures))}
<h2>Method</h2><p>{escape(kept["method"])}</p><p>{escape(_intervals(kept))}</p>
<h2>Numbers</h2>{"".join(_table(Table(**table)) for table in kept["tables"])}
<h2>How it was made</h2><dl>{made}</dl>
</body></html>
"""


def _intervals(kept: Row) -> str:
    """Says what the intervals are."""
    seeds = f"{kept['seeds']} seeds" if kept["complete"] else f"up to {kept['seeds']} seeds"
    tuned = "The first seed has also chosen the learning rates, by other data than those that are scored. "
    return (
        f"Figures in brackets, bands and bars are 95 % intervals of Student's t over {seeds}, unless something else is "
        "said; comparisons are paired, seed by seed: the same seed draws the same data for all that is compared. "
        f"{tuned if kept['tuned'] else ''}Each interval stands for itself and is not widened for there being many."
    )


def _facts(kept: Row) -> list[tuple[str, str]]:
    """Lists with what a study was made, by name."""
    return [
        ("Command", kept["command"]),
        ("Seeds", str(kept["seeds"])),
        ("Settings", ", ".join(f"{name} {value}" for name, value in kept["settings"].items())),
        ("Machine", kept["machine"]),
        ("Versions", ", ".join(f"{name} {number}" for name, number in kept["versions"].items())),
        ("Duration", f"{kept['seconds']:.0f} s"),
    ]


def _figure(figure: Figure) -> str:
    """Embeds a picture as a file of its own, so that the names inside two of them cannot clash."""
    image = base64.b64encode(figure.svg.encode()).decode()
    return (
        f'<figure><img alt="{escape(figure.title)}" src="data:image/svg+xml;base64,{image}">'
        f"<figcaption><strong>{escape(figure.title)}.</strong> {escape(figure.caption)}</figcaption></figure>\n"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<h3>{escape(table.title)}</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>\n"
    )
