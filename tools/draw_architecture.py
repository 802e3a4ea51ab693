#!/usr/bin/env python3
"""Draw docs/images/architecture.svg: the data flow through the packages, from the engine's own graph of a run.

The engine draws up a run of the twin, and one that downloads, without running them (`-preview`), and writes their
graphs. Each process belongs to the package that docs/processes.csv names; an arrow says that a process of one package
reads what a process of another wrote. Arrows that a longer way implies are left out, and so is COLLECT_RESULTS, which
marks the results as complete.
"""

import argparse
import csv
import itertools
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
LEFT_OUT = {"COLLECT_RESULTS"}

WIDTH, MARGIN, BOX, PASSAGE, GAP_X, GAP_Y, LINE, HEAD = 940, 20, 232, 8, 30, 44, 17, 27
FLOOR_COLOURS = ("#eceff1", "#e3f2fd", "#e8f5e9", "#fff3e0", "#fce4ec", "#ede7f6", "#fffde7")


def read_lists() -> tuple[dict[str, str], dict[str, int]]:
    """Return the package of each process, and the floor of each package."""
    with (ROOT / "docs" / "processes.csv").open(encoding="utf-8") as file:
        packages = {row["process"]: row["module"].split(".")[0] for row in csv.DictReader(file) if row["process"]}
    with (ROOT / "docs" / "packages.csv").open(encoding="utf-8") as file:
        floors = {row["package"]: int(row["floor"]) for row in csv.DictReader(file)}
    return packages, floors


def process_edges(graph: str) -> set[tuple[str, str]]:
    """Return (writer, reader) of processes from the engine's graph in DOT, through its operators."""
    found = re.findall(r'^(v\d+) \[label="([A-Z0-9_:]+)"\]', graph, re.MULTILINE)
    names = {node: name.rpartition(":")[2] for node, name in found}
    after = {}
    for a, b in re.findall(r"^(v\d+) -> (v\d+)", graph, re.MULTILINE):
        after.setdefault(a, set()).add(b)
    edges = set()
    for node, name in names.items():
        seen, waiting = set(), list(after.get(node, ()))
        while waiting:
            other = waiting.pop()
            if other in seen:
                continue
            seen.add(other)
            if other in names:
                edges.add((name, names[other]))
            else:
                waiting += after.get(other, ())
    return edges


def package_edges(edges: set[tuple[str, str]], packages: dict[str, str]) -> set[tuple[str, str]]:
    """Return (writer, reader) of packages without those that a longer way implies."""
    known = {(packages[a], packages[b]) for a, b in edges if not {a, b} & LEFT_OUT}
    between = {(a, b) for a, b in known if a != b}
    return {(a, b) for a, b in between if not reaches(between - {(a, b)}, a, b)}


def reaches(edges: set[tuple[str, str]], start: str, end: str) -> bool:
    """Whether a way leads from `start` to `end`."""
    seen, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        if node == end:
            return True
        if node not in seen:
            seen.add(node)
            waiting += [b for a, b in edges if a == node]
    return False


def rows_of(edges: set[tuple[str, str]]) -> list[list[str]]:
    """Return packages by the length of the longest way to them; a circle is an error."""
    depth = dict.fromkeys(sorted({name for edge in edges for name in edge}), 0)
    for _ in depth:
        for a, b in sorted(edges):
            depth[b] = max(depth[b], depth[a] + 1)
    if max(depth.values()) >= len(depth):
        raise SystemExit("ERROR: the data flow between packages has a circle")
    return [sorted(name for name in depth if depth[name] == row) for row in range(max(depth.values()) + 1)]


def with_passages(rows: list[list[str]], edges: set[tuple[str, str]]) -> tuple[list[list], list[tuple]]:
    """Return the rows with a passage in each row that an arrow crosses, and the arrows from row to row.

    A passage is (writer, reader, row); an arrow is a pair of neighbours on its way.
    """
    row_of = {name: number for number, row in enumerate(rows) for name in row}
    places, steps = [list(row) for row in rows], []
    for a, b in sorted(edges):
        way = [a, *((a, b, row) for row in range(row_of[a] + 1, row_of[b])), b]
        for passage in way[1:-1]:
            places[passage[2]].append(passage)
        steps += itertools.pairwise(way)
    return places, steps


def centres(row: list) -> dict:
    """Return the x of the centre of each box and passage of a row."""
    widths = [BOX if isinstance(item, str) else PASSAGE for item in row]
    x = WIDTH / 2 - (sum(widths) + GAP_X * (len(row) - 1)) / 2
    found = {}
    for item, width in zip(row, widths, strict=True):
        found[item] = x + width / 2
        x += width + GAP_X
    return found


def arranged(rows: list[list], steps: list[tuple]) -> list[list]:
    """Return the rows in an order with few crossings and short arrows: row after row, until nothing improves."""
    rows = [list(row) for row in rows]

    def cost(order: list[list]) -> float:
        x = {item: value for row in order for item, value in centres(row).items()}
        crossings = 0
        for i, (a, b) in enumerate(steps):
            for c, d in steps[:i]:
                crossings += (x[a] - x[c]) * (x[b] - x[d]) < 0 and same_rows(order, a, c)
        return 500 * crossings + sum(abs(x[a] - x[b]) for a, b in steps)

    def same_rows(order: list[list], a, c) -> bool:
        return next(row for row in order if a in row) is next(row for row in order if c in row)

    best = cost(rows)
    for _ in range(4):
        before = best
        for number, row in enumerate(rows):
            tried = [[*rows[:number], list(order), *rows[number + 1 :]] for order in itertools.permutations(row)]
            found = min(tried, key=cost)
            if cost(found) < best:
                rows, best = found, cost(found)
        if best == before:
            break
    return rows


def draw(edges: set[tuple[str, str]], packages: dict[str, str], floors: dict[str, int]) -> str:
    """Return the picture as SVG text."""
    rows, steps = with_passages(rows_of(edges), edges)
    order = arranged(rows, steps)
    own = {name: [p for p, package in packages.items() if package == name] for name in floors}
    place, top = {}, MARGIN
    for row in order:
        height = max(HEAD + LINE * len(own[name]) + 8 for name in row if isinstance(name, str))
        for item, x in centres(row).items():
            place[item] = (x, top, HEAD + LINE * len(own[item]) + 8 if isinstance(item, str) else height)
        top += height + GAP_Y
    parts, tip = [], ' marker-end="url(#tip)"'
    for a, b in steps:
        (xa, ya, ha), (xb, yb, _) = place[a], place[b]
        start, end = ya + ha, yb - (5 if isinstance(b, str) else 0)
        bend = (end - start) / 2
        through = "" if isinstance(a, str) else f"M{xa:.0f},{ya} L{xa:.0f},{start} "
        parts.append(
            f'<path d="{through}M{xa:.0f},{start} C{xa:.0f},{start + bend:.0f} {xb:.0f},{end - bend:.0f} '
            f'{xb:.0f},{end}" fill="none" stroke="#607d8b" stroke-width="1.6"'
            f"{tip if isinstance(b, str) else ''}/>"
        )
    for name in (name for row in order for name in row if isinstance(name, str)):
        x, y, height = place[name]
        left, colour = x - BOX / 2, FLOOR_COLOURS[floors[name] - 1]
        parts.append(
            f'<rect x="{left:.0f}" y="{y}" width="{BOX}" height="{height}" rx="7" fill="{colour}" stroke="#90a4ae"/>'
            f'<text x="{left + 12:.0f}" y="{y + 19}" class="name">{escape(name)}/</text>'
            f'<text x="{left + BOX - 12:.0f}" y="{y + 19}" text-anchor="end" class="soft">floor {floors[name]}</text>'
        )
        parts += [
            f'<text x="{left + 12:.0f}" y="{y + HEAD + LINE * i + 13}" class="mono">{escape(process.lower())}</text>'
            for i, process in enumerate(own[name])
        ]
    beside = sorted(set(floors) - set(place), key=lambda name: (floors[name], name))
    words = "; ".join(f"{name} (floor {floors[name]})" for name in beside)
    parts.append(f'<text x="{MARGIN}" y="{top}" class="soft">Packages without a process: {escape(words)}.</text>')
    style = (
        "text{font:14px system-ui,sans-serif;fill:#263238}text.name{font-weight:bold}"
        "text.mono{font:12.5px ui-monospace,monospace}text.soft{font-size:12.5px;fill:#546e7a}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + MARGIN}" width="{WIDTH}" '
        f'height="{top + MARGIN}" role="img">\n<title>Data flow through the packages of ct4bench</title>\n'
        f"<style>{style}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#607d8b"/></marker></defs>\n'
        '<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def engines_graphs() -> list[str]:
    """Return the graphs in DOT of a run of the twin and of a run that downloads."""
    return [_graph(*arguments) for arguments in ((), ("--download", "idc"))]


def _graph(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [ROOT / ".engine" / "nextflow", "-log", "nextflow.log", "run", ROOT, "-preview", "-ansi-log", "false"]
        command += ["-with-dag", "flow.dot", "--outdir", "results", "-work-dir", "work", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        graph = Path(folder) / "flow.dot"
        if done.returncode or not graph.is_file():
            raise SystemExit(f"ERROR: the engine gives no graph: {done.stdout[-500:]}{done.stderr[-500:]}")
        return graph.read_text(encoding="utf-8")


def picture_of(graphs: list[str]) -> str:
    """Return the picture of the engine's graphs together."""
    packages, floors = read_lists()
    edges = set().union(*map(process_edges, graphs))
    unknown = {name for edge in edges for name in edge} - set(packages)
    if unknown:
        raise SystemExit(f"ERROR: docs/processes.csv lacks {', '.join(sorted(unknown))}")
    return draw(package_edges(edges, packages), packages, floors)


def main() -> int:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PICTURE)
    args = parser.parse_args()
    args.output.write_text(picture_of(engines_graphs()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
