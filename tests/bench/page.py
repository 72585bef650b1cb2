"""Writes docs/benchmarks.md and its plots from what was recorded. One file in results/ a benchmark, so that each can be
renewed alone. Alone: python3 tests/bench/page.py."""

import glob
import html
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results")
DOCS = os.path.join(HERE, "../../docs")
BUSY = 0.75  # of the processors: a figure taken with more load than this says so

HEAD = """# Benchmarks, last recorded results

Yagura beside what Debian has, on the same machine, files, signatures and limits. Each benchmark is one command and can be renewed alone:

    tests/bench/run.sh --only NAME --record

A ratio is always so that the limit says what we promise ourselves; *missed* is a limit we did not keep. *Quick* is a small size: it tells that
the benchmark works, not how fast we are. *Load* is the machine's load average before and after, and bold where other work took part of the
machine: such a figure is worth little, except beside its peer of the same run. How each is measured: [tests/bench](../tests/bench/README.md).
"""
STYLE = """<style>text{font:13px sans-serif;fill:#333}.us{fill:#2a6fbb}.them{fill:#9a9a9a}
@media(prefers-color-scheme:dark){text{fill:#ddd}.us{fill:#6fb1f5}.them{fill:#777}}</style>"""


def results():
    found = []
    for path in sorted(glob.glob(os.path.join(RESULTS, "*.json"))):
        with open(path, encoding="utf-8") as stream:
            found.append(json.load(stream))
    return found


def number(value):
    if value is None:
        return "-"
    if float(value).is_integer() and abs(value) >= 10:
        return f"{int(value):,}"
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


# ---- plots ----

def plot(kind, rows):
    """One bar a value; each figure has its own scale, because they lie far apart."""
    label, bar, line = 330, 260, 19
    parts, y = [], 6
    for row in rows:
        values = row["beside"]["values"]
        most = max(values.values()) or 1
        parts.append(f'<text x="0" y="{y + 13}" font-weight="bold">{html.escape(row["figure"].rsplit(":", 1)[0])}</text>')
        y += line
        for who, value in values.items():
            width = max(1.0, bar * value / most)
            parts.append(f'<text x="{label - 8}" y="{y + 13}" text-anchor="end">{html.escape(who)}</text>'
                         f'<rect class="{"us" if who == "Yagura" else "them"}" x="{label}" y="{y + 2}" '
                         f'width="{width:.1f}" height="13"/>'
                         f'<text x="{label + width + 6:.1f}" y="{y + 13}">{number(value)} {row["beside"]["unit"]}</text>')
            y += line
        y += 8
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{y}" viewBox="0 0 720 {y}" role="img" '
            f'aria-label="{kind}, shorter is better">{STYLE}{"".join(parts)}</svg>\n')


def plots(found):
    """{kind: image}."""
    rows = {kind: [row for result in found for row in result["rows"] if row.get("beside", {}).get("kind") == kind]
            for kind in ("latency", "throughput")}
    return {kind: plot(kind, of_kind) for kind, of_kind in rows.items() if of_kind}


# ---- the page ----

def load_of(facts):
    text = f"{facts['load_before']:.1f} to {facts['load_after']:.1f}"
    return f"**{text}**" if max(facts["load_before"], facts["load_after"] - 1) > BUSY * facts["cores"] else text


def state_of(row, quick):
    if row["held"] is None:
        return "" if not row["note"].startswith("SKIPPED") else "skipped"
    return ("held" if row["held"] else "**missed**") + (", quick" if quick else "")


def table(result):
    facts = result["facts"]
    size = ", quick" if result["quick"] else ""
    lines = [f"### {result['name']}", "",
             f"{result['meaning'].capitalize()}. {result['date']}{size}, load {load_of(facts)}, {facts['yagura']}.", "",
             "| figure | measured | limit | | |", "| --- | --- | --- | --- | --- |"]
    for row in result["rows"]:
        lines.append(f"| {row['figure']} | {number(row['measured'])} {row['unit']} | {row['bar']} | {state_of(row, result['quick'])} | "
                     f"{row['note'].replace('|', '/')} |")
    return lines + [""]


def losses(found):
    lines = []
    for result in found:
        lines += [f"- {row['figure']}: {number(row['measured'])} {row['unit']}, limit {row['bar']} (`{result['name']}`"
                  f"{', quick' if result['quick'] else ''}, load {load_of(result['facts'])})"
                  for row in result["rows"] if row["held"] is False]
    return lines or ["Nothing, in what is recorded."]


def machines(found):
    lines = ["| machine | system | versions | benchmarks |", "| --- | --- | --- | --- |"]
    rows = {}
    for result in found:
        facts = result["facts"]
        key = (f"{facts['processor']}, {facts['cores']} cores, {facts['memory_mb']:,} MB, {facts['file_system']}",
               f"{facts['system']}, Linux {facts['kernel']}", facts["clamav"])
        rows.setdefault(key, []).append(f"`{result['name']}`")
    return lines + [f"| {' | '.join(key)} | {', '.join(names)} |" for key, names in rows.items()]


def page(found):
    lines = [HEAD, "## Machines", "", *machines(found), "", "## Where we lose", "", *losses(found), ""]
    images = [f"![{kind.capitalize()}: time, shorter is better](benchmarks/{kind}.svg)" for kind in plots(found)]
    if images:
        lines += ["## Beside the peers", "", *images, ""]
    lines += ["## Figures", ""]
    for result in found:
        lines += table(result)
    return "\n".join(lines).rstrip() + "\n"


def files(found):
    """{path below docs: text}."""
    return {"benchmarks.md": page(found), **{f"benchmarks/{kind}.svg": image for kind, image in plots(found).items()}}


def write():
    for path, text in files(results()).items():
        with open(os.path.join(DOCS, path), "w", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    write()
