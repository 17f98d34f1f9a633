"""How the page looks: one calm column, light or dark as the reader's machine is."""

STYLE = """
:root {
  --paper: #fdfdfc; --card: #ffffff; --ink: #1c2430; --soft: #5c6675; --line: #e3e6ea;
  --blue: #2f6fb3; --orange: #c8641b; --green: #2e7d4f; --red: #b83a35; --amber: #9a6a00;
  --shade: #f3f5f7;
}
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --card: #1b1f25; --ink: #e6e9ed; --soft: #9aa4b1; --line: #2d333b;
  --blue: #6ea8e0; --orange: #e8935a; --green: #6cc08b; --red: #ee7f79; --amber: #d9ab4e;
  --shade: #22272e;
} }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: anywhere; }
header, main, footer { max-width: 58rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 1.9rem; font-weight: 650; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.15rem; font-weight: 650; margin: 0 0 0.9rem; }
h3 { font-size: 1rem; font-weight: 600; margin: 1.4rem 0 0.5rem; }
main > section { padding: 1.9rem 0; border-top: 1px solid var(--line); }
main > section:first-child { border-top: 0; padding-top: 1.4rem; }
main > section:first-child > h2 { position: absolute; left: -999rem; }
p { margin: 0 0 0.8rem; max-width: 44rem; }
a { color: var(--blue); }
.brand { color: var(--soft); margin: 0 0 0.2rem; font-size: 0.9rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; margin-top: 0.9rem; font-size: 0.92rem; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
.soft, figcaption, footer { color: var(--soft); font-size: 0.9rem; }
footer { padding-top: 1.5rem; padding-bottom: 3rem; border-top: 1px solid var(--line); }
code, pre { font: 0.88em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--shade); border-radius: 6px; padding: 0.7rem 0.9rem; margin: 0 0 0.9rem;
  white-space: pre-wrap; }
figure { margin: 0; } figcaption { margin-top: 0.35rem; }
.tiles { display: flex; flex-wrap: wrap; gap: 0.6rem 2.6rem; margin: 0 0 1.2rem; padding: 0; }
.tiles div { min-width: 6rem; }
.tiles dt { color: var(--soft); font-size: 0.88rem; }
.tiles dd { margin: 0; font-size: 1.75rem; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tiles div:nth-child(n+2) dd { font-size: 1.25rem; line-height: 1.75; font-weight: 500; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(15.5rem, 1fr));
  gap: 1rem 1.6rem; }
svg { display: block; width: 100%; height: auto; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: flex-start; }
.beside figure { flex: 1 1 22rem; max-width: 36rem; }
.beside h3 { margin-top: 0.2rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr));
  gap: 1.1rem 1rem; padding: 0; margin: 0; list-style: none; font-size: 0.88rem; }
.cards img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  background: var(--shade); border-radius: 4px; margin-bottom: 0.35rem; }
img.small { image-rendering: pixelated; }
.filters img { width: 100%; max-width: 30rem; border-radius: 4px; display: block; }
.scroll { overflow-x: auto; margin: 0 0 0.8rem; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
.wide { width: 100%; }
th, td { text-align: left; padding: 0.34rem 1.2rem 0.34rem 0; vertical-align: baseline;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
td { overflow-wrap: normal; }
.wide { font-size: 0.86rem; }
.wide th, .wide td { white-space: nowrap; padding-right: 0.8rem; }
.wide .number { display: inline-block; min-width: 3.4rem; }
.wide .bar { width: 2.8rem; margin-left: 0.35rem; }
.bar { display: inline-block; width: 4.5rem; height: 0.5rem; border-radius: 2px;
  background: var(--shade); vertical-align: 0.05rem; }
.bar i { display: block; height: 100%; border-radius: 2px; background: var(--blue); }
.bar i.bad { background: var(--orange); }
.truth { color: var(--green); } .wrong { color: var(--red); }
.snellen-doctor th, .snellen-doctor td { border: 0; padding: 0.12rem 1rem 0.12rem 0; }
.snellen-doctor th { color: var(--soft); }
.failed { color: var(--soft); border-left: 3px solid var(--amber); padding-left: 0.8rem; }
summary { cursor: pointer; color: var(--soft); font-size: 0.92rem; margin-bottom: 0.5rem; }
@media (max-width: 34rem) { .cards { grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); }
  h1 { font-size: 1.5rem; } .tiles { gap: 0.6rem 1.8rem; } }
@media (prefers-color-scheme: dark) { .snellen-doctor h4 { filter: brightness(1.5); } }
@media print { nav { display: none; } section { break-inside: avoid; } }
"""
