"""The page of one run, or of two beside each other."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

from .analysis import Analysis, analyse
from .markup import write_section, write_text
from .pckh import read_pckh
from .pckh_sections import write_pckh, write_pckh_examples
from .people import read_people
from .protocols import refuse_differences
from .runs import Run
from .sections import (
    write_curves,
    write_errors,
    write_examples,
    write_groups,
    write_numbers,
    write_protocols,
)
from .space import read_space
from .space_sections import write_space_errors, write_space_examples
from .tests_section import write_tests


def write_report(runs: Sequence[Run], root: Path, *, anyway: bool = False) -> str:
    """The page as HTML text; it is complete in itself.

    Args:
        runs: one, or two to stand beside each other.
        root: of the project, to which the files of the protocols are relative.
        anyway: compare two runs though they were measured differently, and say so.

    Raises:
        FileNotFoundError: a run has no result files.
        ValueError: no run or more than two, two runs whose protocols differ, or files that are
            not what they should be.
    """
    if len(runs) not in (1, 2):
        raise ValueError(f"A report is of one or two runs. Received {len(runs)}.")
    if len(runs) == 2 and not anyway:
        refuse_differences(*runs)
    names = _name_shortly(runs)
    text = "".join(
        [
            write_numbers(runs, names),
            write_tests(runs, names),
            _write_body(runs, names, root),
            write_protocols(runs, names),
        ]
    )
    title = " and ".join(run.name for run in runs)
    return _PAGE.substitute(
        title=html.escape(title), navigation=_write_navigation(text), sections=text
    )


def _name_shortly(runs: Sequence[Run]) -> list[str]:
    """Names of the folders where they tell the runs apart, else with their data sets."""
    names = [run.folder.name for run in runs]
    return names if len(set(names)) == len(names) else [run.name for run in runs]


def _write_body(runs: Sequence[Run], names: Sequence[str], root: Path) -> str:
    """The sections between the numbers and the protocol."""
    spaces = [read_space(run) for run in runs]
    known = [space for space in spaces if space is not None]
    if len(known) == len(runs):
        errors = write_space_errors(known, names, runs)
        return errors + write_space_examples(known, names, runs, root)
    heads = [poses for poses in (read_pckh(run, root) for run in runs) if poses is not None]
    if len(heads) == len(runs):
        return write_pckh(heads, names) + write_pckh_examples(heads, names)
    found = [read_people(run, root) for run in runs]
    reasons, shown = [], []
    for people, name, run in zip(found, names, runs, strict=True):
        if isinstance(people, str):
            reasons.append(write_text(f"{name}: {people}", "note"))
        else:
            shown.append((analyse(people), name, run))
    text = write_section("people", "People", *reasons) if reasons else ""
    return text + _write_people(*zip(*shown, strict=True)) if shown else text


def _write_people(analyses: Sequence[Analysis], names: Sequence[str], runs: Sequence[Run]) -> str:
    notes = dict.fromkeys(note for analysis in analyses for note in analysis.people.notes)
    return "".join(
        [
            *(write_text(note, "warning") for note in notes),
            write_curves(analyses, names, runs),
            write_errors(analyses, names),
            write_groups(analyses, names, runs),
            write_examples(analyses, names),
        ]
    )


def _write_navigation(text: str) -> str:
    links = re.findall(r'<section id="(\w+)"><h2>(.*?)</h2>', text)
    return "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in links)


_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>$title</title><style>
:root{color-scheme:light dark;--paper:#fcfcfb;--ink:#1d1d1b;--soft:#6d6d68;--line:#e4e4df;
--shade:#f3f3ef;--first:#3d7ed6;--second:#d6804f;--warn:#fff4d6;--mark:#fbe3b0;
--good:#c9dccf;--jitter:#e3b23c;--inversion:#dd7a3a;--swap:#8a6fd1;--miss:#c8465a}
@media (prefers-color-scheme:dark){:root{--paper:#16171a;--ink:#ececea;--soft:#9a9a96;
--line:#2c2e33;--shade:#1e2024;--first:#6ea3ea;--second:#e59a6c;--warn:#3a3220;--mark:#5a4a1e;
--good:#3b5145;--jitter:#d8a937;--inversion:#dd7a3a;--swap:#9c84dd;--miss:#d65a6d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1140px;padding:28px 24px 80px;background:var(--paper);
color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:24px;font-weight:650;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:18px;font-weight:650;margin:48px 0 12px;padding-bottom:6px;
border-bottom:1px solid var(--line)}
h3{font-size:14px;font-weight:600;margin:22px 0 8px}
p{margin:8px 0;max-width:78ch}
nav{display:flex;flex-wrap:wrap;gap:4px 18px}
a{color:var(--first);text-decoration:none}
a:hover{text-decoration:underline}
.note,.warning{padding:8px 12px;border-radius:6px;background:var(--shade);max-width:none}
.warning{background:var(--warn)}
.tiles{display:flex;flex-wrap:wrap;gap:10px 44px;margin:6px 0 14px;color:var(--soft)}
.tiles b{display:block;font-size:32px;font-weight:600;line-height:1.15;color:var(--ink);
font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;min-width:0}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;margin:8px 0}
caption{text-align:left;color:var(--soft);padding:2px 0 6px}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
thead th{font-weight:500;color:var(--soft)}
tbody th{font-weight:500}
th:first-child{text-align:left;padding-left:0}
tbody tr:hover{background:var(--shade)}
.numbers thead th{white-space:normal;max-width:9em;vertical-align:bottom}
.kinds{width:100%}
.kinds th:not(:first-child),.kinds td{padding:4px 8px}
.total tbody tr:last-child th,.total tbody tr:last-child td{font-weight:650;border-bottom:none}
.groups{table-layout:fixed;min-width:460px}
.full{min-width:760px}
.groups th:first-child{width:22%}
.groups th:nth-child(6){width:20%}
.groups .bar{min-width:0}
.fields td,.fields thead th{text-align:left;white-space:normal;overflow-wrap:anywhere}
.fields th{font-weight:400;color:var(--soft)}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:0 3px}
details{margin:14px 0}
summary{cursor:pointer;color:var(--first)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));
gap:8px 32px}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(500px,100%),1fr));
gap:8px 32px}
.chart{width:100%;max-width:560px;height:auto;display:block}
.chart text{fill:var(--soft);font-size:11px}
.chart .grid{stroke:var(--line);stroke-width:1}
.chart polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}
.chart polyline:hover{stroke-width:4}
.bar{width:100%;min-width:110px;height:11px;display:block;border-radius:3px}
.fill-good{fill:var(--good)}.fill-jitter{fill:var(--jitter)}.fill-inversion{fill:var(--inversion)}
.fill-swap{fill:var(--swap)}.fill-miss{fill:var(--miss)}
.meter{height:4px;border-radius:2px;margin:1px 0 2px;min-width:2px}
.joints{width:100%}
.joints td,.joints thead th{text-align:left;width:40%}
.joints th:first-child{width:auto}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;color:var(--soft);font-size:12.5px;
font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;
vertical-align:-1px}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(480px,100%),1fr));
gap:18px 24px}
.pictures.rows{grid-template-columns:1fr}
figure{margin:0;min-width:0}
.panels{display:flex;gap:6px}
.panels div{flex:1;min-width:0;position:relative}
.panels img{width:100%;display:block;border-radius:4px}
.panels small{position:absolute;left:6px;top:6px;padding:0 6px;border-radius:3px;
background:rgba(16,16,16,.66);color:#fff;font-size:11px}
figcaption{color:var(--soft);font-size:12.5px;margin-top:4px;overflow-wrap:anywhere}
iframe{width:100%;height:520px;border:1px solid var(--line);border-radius:8px}
@media print{nav{display:none}h2{break-after:avoid}figure{break-inside:avoid}}
</style></head><body>
<header><h1>$title</h1><nav>$navigation</nav></header>
<main>$sections</main>
</body></html>
""")
