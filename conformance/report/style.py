"""How the page looks: light, dark, on a phone and on paper; one style sheet, nothing else."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --ink: #1c2128; --quiet: #59636e; --line: #d8dee4; --code: #eef1f4; --link: #0757ba;
  --holds: #1a7f37; --broken: #c4232b; --unproven: #8a5a00; --unsupported: #4f5b93;
  --phase: #eef1f5; --pending: #e3ad2b; --firing: #c4232b; --on-pending: #1c2128; --on-firing: #fff; --level: #b01e26;
  --line-1: #0757ba; --line-2: #a83a00; --line-3: #0a6b5e; --line-4: #7a2fa0; --line-5: #6b5900; --line-6: #b0106a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #161b22; --ink: #e3e8ee; --quiet: #9aa4b0; --line: #2d343d; --code: #222933;
    --link: #79b5ff; --holds: #46b958; --broken: #ff7a75; --unproven: #dba52f; --unsupported: #a3aef2;
    --phase: #1d232b; --pending: #dba52f; --firing: #e5534b; --on-pending: #0e1116; --on-firing: #0e1116;
    --level: #ff8f8a; --line-1: #79b5ff; --line-2: #ff9f66; --line-3: #4fd1bd; --line-4: #d4a5f5;
    --line-5: #d9c35a; --line-6: #ff8cc6;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
.eyebrow { margin: 0; color: var(--quiet); }
h1 { margin: 0; font-size: 2.25rem; line-height: 1.2; letter-spacing: -.01em; }
.conformant h1 { color: var(--holds); }
.nonconformant h1 { color: var(--broken); }
.partial h1 { color: var(--unproven); }
.tally { margin: .25rem 0 0; font-size: 1.15rem; }
.why { margin: .75rem 0 0; padding-left: 1.25rem; overflow-wrap: anywhere; }
.why li { margin: .15rem 0; }
.facts { display: flex; flex-wrap: wrap; gap: .75rem 2rem; margin: 1.25rem 0; }
dt { color: var(--quiet); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: .6rem 0; border-block: 1px solid var(--line); }
a { color: var(--link); text-underline-offset: .15em; }
nav a { text-decoration: none; padding: .2rem 0; }
nav a:hover { text-decoration: underline; }
h2 { margin: 2.25rem 0 .75rem; font-size: 1.3rem; }
p, summary, li { overflow-wrap: anywhere; }
.quiet, small { color: var(--quiet); font-size: .9rem; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .6rem .8rem; background: var(--code); border-radius: 6px; white-space: pre-wrap; }
details.card, .list { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; }
details.card { border-left: 4px solid; }
details.signal + details.signal { border-top: 1px solid var(--line); }
details.clause > summary { padding-left: 2.1rem; }
details.broken { border-left-color: var(--broken); }
details.unproven { border-left-color: var(--unproven); }
details.unsupported { border-left-color: var(--unsupported); }
details.clause { border-top: 1px solid var(--line); }
summary {
  display: flex; flex-wrap: wrap; gap: .15rem .75rem; align-items: baseline; padding: .6rem .9rem; cursor: pointer;
  list-style: none;
}
summary::-webkit-details-marker { display: none; }
summary::before { content: "+"; width: .8em; color: var(--quiet); font-family: monospace; }
details[open] > summary::before { content: "\\2212"; }
summary:hover { background: color-mix(in srgb, var(--code) 60%, transparent); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.name { font-weight: 600; overflow-wrap: anywhere; min-width: 0; }
.clause .name { font-weight: 400; }
.reason { color: var(--quiet); flex: 1 1 10rem; overflow-wrap: anywhere; }
.chip { min-width: 7.4rem; font-size: .85rem; font-weight: 600; }
.chip::before {
  content: ""; display: inline-block; width: .6em; height: .6em; margin-right: .45em; border-radius: 50%;
  background: currentColor;
}
.chip.broken::before { border-radius: 0; }
.chip.unproven::before { background: none; border: 2px solid; }
.chip.unsupported::before { height: 2px; vertical-align: middle; border-radius: 0; }
.chip.holds, td.holds { color: var(--holds); }
.chip.broken, td.broken { color: var(--broken); }
.chip.unproven, td.unproven { color: var(--unproven); }
.chip.unsupported, td.unsupported { color: var(--unsupported); }
.body { padding: 0 .9rem .8rem 2.45rem; }
.clause .body { padding-left: 3.65rem; }
.body p { margin: .35rem 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.promise { font-size: 1.02rem; }
.ids { margin: 0; padding: 0 .9rem .8rem 3.6rem; columns: 22rem; }
.finding { margin: .6rem 0; padding: .5rem .8rem; background: var(--code); border-radius: 6px; }
.finding div { display: grid; grid-template-columns: 5.5rem 1fr; gap: .75rem; }
.finding dt { line-height: 1.75; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { width: 100%; border-collapse: collapse; font-size: .95rem; }
th, td { padding: .4rem .9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--quiet); font-weight: 500; font-size: .85rem; white-space: nowrap; }
tbody th { font-weight: 500; }
#thresholds :is(th, td) { padding-inline: .55rem; }
#thresholds td:last-child { min-width: 11rem; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n { font-weight: 600; }
td.none { color: var(--quiet); font-weight: 400; }
.share { width: 35%; vertical-align: middle; }
.bar { display: flex; gap: 2px; height: .55rem; border-radius: 3px; overflow: hidden; }
.bar i { min-width: 3px; }
.bar .holds { background: var(--holds); }
.bar .broken { background: var(--broken); }
.bar .unproven { background: var(--unproven); }
.bar .unsupported { background: var(--unsupported); }
details.plain { margin: .5rem 0; }
details.plain > summary { padding: .3rem 0; font-weight: 600; }
h3 { margin: 1.5rem 0 .25rem; font-size: 1.05rem; overflow-wrap: anywhere; }
h3 .chip { margin-left: .5rem; }
.charts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: .75rem;
  margin: .5rem 0;
}
.charts.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.chart {
  margin: 0; padding: .6rem .8rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  min-width: 0;
}
.chart svg { display: block; width: 100%; height: auto; margin: .25rem 0; color: var(--ink); }
figcaption { font-weight: 600; font-size: .95rem; overflow-wrap: anywhere; }
.note, .chart p { margin: .25rem 0; color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere; }
.lines, .key {
  display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .25rem 0; padding: 0; list-style: none;
  font-size: .85rem;
}
.key { color: var(--quiet); }
.lines li { overflow-wrap: anywhere; min-width: 0; }
.stroke {
  display: inline-block; width: 1.1rem; height: 3px; margin-right: .4rem; vertical-align: middle;
  background: currentColor;
}
.line-1 { color: var(--line-1); } .line-2 { color: var(--line-2); } .line-3 { color: var(--line-3); }
.line-4 { color: var(--line-4); } .line-5 { color: var(--line-5); } .line-6 { color: var(--line-6); }
.swatch { display: inline-block; width: 1.1rem; height: .7rem; vertical-align: baseline; }
.swatch.pending { background: var(--pending); }
.swatch.firing { background: var(--firing); }
.dashes { display: inline-block; width: 1.3rem; border-top: 2px dashed var(--level); vertical-align: middle; }
.chart summary { padding: .25rem 0; font-size: .85rem; color: var(--quiet); }
.values { font-size: .8rem; }
.values :is(th, td) { padding: .1rem .6rem; }
.chart .scroll { max-height: 16rem; overflow: auto; border-radius: 4px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
main { padding-bottom: 4rem; }
@media (max-width: 40rem) {
  header, main { padding-inline: 1rem; }
  header { padding-top: 1.25rem; }
  h1 { font-size: 1.9rem; }
  .body, .clause .body { padding-left: .9rem; }
  details.clause > summary { padding-left: .9rem; }
  .ids { padding-left: 2rem; }
  .finding div { grid-template-columns: 1fr; gap: 0; margin-bottom: .4rem; }
  .matrix th, .matrix td { padding-inline: .5rem; }
  .matrix .share { display: none; }
  .matrix thead th { font-size: .75rem; white-space: normal; }
  .card .reason { flex-basis: 100%; }
}
@media print {
  nav { display: none; }
  .chart, .scroll, .finding { break-inside: avoid; }
}
"""
