"""What perf/streams.py has measured, for people: the aims, the tables, the plot."""
import json
import os
import statistics
from math import log10

import streams_plan
from streams_plan import Cell, PLAIN

SHOWN = ["fast", "haul", "go", "rust", "rust-fixed", "js", "js-warm", "pipe", "tcp", "byte"]
COLOURS = {"haul": "#d6277a", "fast": "#5b2a86", "go": "#1f8fb4", "rust": "#b5651d", "rust-fixed": "#d9a066",
           "js": "#8a8a00", "js-warm": "#4d6b00", "tcp": "#777777"}
NEAR_NS_MAX = 130  # as hw/placement.c divides, for lines that do not say
BEGIN, END = "<!-- made by perf/streams.py report -->", "<!-- end of what perf/streams.py made -->"


def read(path):
    """Every measurement that worked and was made within one placement of the cores."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for line in map(json.loads, file):
            if "value" not in line:
                continue
            classes = line.get("classes") or ["near" if ns <= NEAR_NS_MAX else "far" for ns in line["cores_ns"]]
            line["class"] = classes[0] if classes[0] == classes[1] else None
            line["cell"] = Cell(*(line[name] for name in Cell._fields))
            lines.append(line)
    return lines


def gather(lines):
    found = {}
    for line in lines:
        found.setdefault(line["cell"], []).append(line["value"])
    return found


def spread(values, scale, form):
    low, mid, high = min(values), statistics.median(values), max(values)
    text = form.format(mid * scale)
    return text if len(values) == 1 else f"{text} ({form.format(low * scale)}-{form.format(high * scale)})"


# --- the aims ---

def ratios(lines, aim):
    """The aim's ratio in each group and round, by placement; and how many a move of the cores spoiled."""
    rounds = {}
    for line in lines:
        if line.get("group") == aim.group:
            rounds.setdefault((line["run"], line["round"]), {})[line["cell"].peer] = line
    found, spoiled = {}, 0
    for cells in rounds.values():
        classes = {line["class"] for line in cells.values()}
        ratio = aim.of({peer: line["value"] for peer, line in cells.items()})
        if ratio is not None and len(classes) == 1 and None not in classes:
            found.setdefault(classes.pop(), []).append(ratio)
        else:
            spoiled += 1
    return found, spoiled


def aims(lines):
    rows, good, judged, spoiled = [], 0, 0, 0
    for aim in streams_plan.AIMS:
        found, more = ratios(lines, aim)
        spoiled += more
        wanted = f"at least {aim.least:g}" if aim.least > 0 else f"{-aim.least:g}"
        for place, values in sorted(found.items()):
            judged += 1
            good += streams_plan.met(aim, statistics.median(values))
            verdict = "met" if streams_plan.met(aim, statistics.median(values)) else "missed"
            rows.append(f"| {aim.text} | {wanted} | {spread(values, 1, '{:.2f}')} | {len(values)} | {place} | {verdict} |")
        if not found:
            rows.append(f"| {aim.text} | {wanted} | not measured | 0 | | |")
    yield "Aims: the ratio within each round, median (least-most)\n"
    yield "| case | aim | reading | rounds | cores | |"
    yield "|---|---|---|---:|---|---|"
    yield from rows
    yield (f"\n{good} of {judged} aims met"
           + (f"; {spoiled} ratios left out: the cores were moved, or a cell had failed" if spoiled else "") + ".")


# --- the tables ---

def table(found, what, security, streams, link):
    cells = [cell for cell in found if cell.what == what and cell.link == link and
             (cell.streams == streams and cell.security == security or cell.peer in PLAIN)]
    rtts = sorted({cell.rtt_ms for cell in cells if cell.peer not in PLAIN})
    names = {cell.peer for cell in cells if cell.rtt_ms in rtts}
    rows = [name for name in SHOWN if name in names] + sorted(name for name in names if ">" in name)
    if not rtts:
        return
    unit = "round trips" if what == "first" else "MB/s"
    limit = f", a link of {link * 8 / 1e9:g} Gbit/s" if link else ""
    yield f"\n{security}, {streams} stream{'s' if streams > 1 else ''}{limit}, {unit}: median (least-most)\n"
    yield "| peer | " + " | ".join("loopback" if rtt == 0 else f"{rtt:g} ms" for rtt in rtts) + " |"
    yield "|---|" + "---:|" * len(rtts)
    for name in rows:
        texts = []
        for rtt in rtts:
            values = [one for cell in cells if cell.peer == name and cell.rtt_ms == rtt for one in found[cell]]
            scale, form = (1e3 / max(rtt, 1e-3), "{:.2f}") if what == "first" else (1e-6, "{:.0f}")
            texts.append(spread(values, scale, form) if values else "")
        yield f"| {name} | " + " | ".join(texts) + " |"


def tables(lines):
    steady = [line for line in lines if line.get("group") == streams_plan.STEADY]
    yield from tables_of(gather([line for line in lines if line not in steady]))
    if steady:
        yield "\nFor four seconds instead of one:"
        yield from tables_of(gather(steady))


def tables_of(found):
    kinds = {(cell.what != "rate", cell.link, cell.streams, cell.security) for cell in found if cell.peer not in PLAIN}
    for first, link, streams, security in sorted(kinds):
        yield from table(found, "first" if first else "rate", security, streams, link)


def costs(lines):
    """Processor time a byte, where it was taken."""
    found = {}
    for line in lines:
        if line.get("cpu_ns_a_byte") and line["cell"].streams == 1 and not line["cell"].link:
            found.setdefault(line["cell"], []).append(line["cpu_ns_a_byte"])
    rtts = [rtt for rtt in (0, 60) if any(cell.rtt_ms == rtt for cell in found)]
    if not found:
        return
    yield "\nProcessor time, ns a byte: the end that sends, the end that receives, the link (medians)\n"
    yield "| peer | " + " | ".join(f"{security}, {rtt:g} ms" for rtt in rtts for security in ("noise", "tls")) + " |"
    yield "|---|" + "---:|" * (2 * len(rtts))
    for name in SHOWN + sorted({cell.peer for cell in found if ">" in cell.peer}):
        texts = []
        for rtt in rtts:
            for security in ("noise", "tls"):
                all_of = found.get(Cell("rate", name, security, rtt, 1, 0), [])
                parts = [statistics.median(one[part] for one in all_of if part in one)
                         for part in ("dialler", "listener", "link") if any(part in one for one in all_of)]
                texts.append(" + ".join(f"{part:.2f}" for part in parts))
        if any(texts):
            yield f"| {name} | " + " | ".join(texts) + " |"


def conditions(lines):
    trips = [one for line in lines for one in line["cores_ns"]]
    taken = [line["stolen"] for line in lines if "stolen" in line]
    if trips:
        yield (f"\nCore to core and back, before and after each: {min(trips):.0f} ns least, "
               f"{statistics.median(trips):.0f} median, {max(trips):.0f} most; "
               f"{sum(line['class'] is None for line in lines)} of {len(lines)} measurements straddled two placements"
               + (f"; the host took {100 * statistics.median(taken):.1f} % of the time (median)" if taken else "") + ".")


def text_of(path):
    lines = read(path)
    sound = [line for line in lines if line["class"] is not None]
    places = sorted({line["class"] for line in sound})
    yield from aims(lines)
    for place in places:
        here = [line for line in sound if line["class"] == place]
        if len(places) > 1:
            yield f"\nCores {place}:"
        yield from tables(here)
        yield from costs(here)
    yield from conditions(lines)


# --- the plot ---

WIDE, HIGH, LEFT, TOP, BOTTOM = 520, 470, 70, 34, 76
LOW_RATE, HIGH_RATE, LOW_RTT, HIGH_RTT = 1e6, 1e10, 0.05, 100.0
RATES = {6: "1 MB/s", 7: "10 MB/s", 8: "100 MB/s", 9: "1 GB/s", 10: "10 GB/s"}


def across(rtt):
    rtt = max(rtt, LOW_RTT)
    return LEFT + (WIDE - LEFT - 20) * (log10(rtt / LOW_RTT) / log10(HIGH_RTT / LOW_RTT))


def up(rate):
    return HIGH - BOTTOM - (HIGH - BOTTOM - TOP) * (log10(rate / LOW_RATE) / log10(HIGH_RATE / LOW_RATE))


def words_at(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>'


def axes(rtts, title):
    yield words_at((LEFT + WIDE - 20) / 2, 20, title, 'text-anchor="middle" font-weight="bold"')
    for power, words in RATES.items():
        yield f'<path d="M{LEFT} {up(10.0 ** power):.1f}H{WIDE - 20}" stroke="#ddd"/>'
        yield words_at(LEFT - 8, up(10.0 ** power) + 4, words, 'text-anchor="end"')
    for rate, words in ((60e6, "60 MB/s"), (1e9, "1 GB/s")):
        yield f'<path d="M{LEFT} {up(rate):.1f}H{WIDE - 20}" stroke="#444" stroke-dasharray="8 3"/>'
        yield words_at(LEFT + 6, up(rate) - 4, words, 'fill="#444"')
    for rtt in rtts:
        yield words_at(across(rtt), HIGH - BOTTOM + 18, "loopback" if rtt == 0 else f"{rtt:g} ms", 'text-anchor="middle"')
    yield words_at((LEFT + WIDE - 20) / 2, HIGH - BOTTOM + 36, "round trip", 'text-anchor="middle"')


def windows(streams):
    """What windows of that size allow, all streams together."""
    many = f"{streams} x " if streams > 1 else ""
    for window, words in ((256 << 10, "256 KiB"), (16 << 20, "16 MiB")):
        points = [(rtt, streams * window / (rtt / 1e3)) for rtt in (0.05, 0.1, 1, 4, 20, 60, 100)]
        inside = [(rtt, rate) for rtt, rate in points if LOW_RATE <= rate <= HIGH_RATE]
        if inside:
            yield '<polyline fill="none" stroke="#999" stroke-dasharray="3 4" points="' + " ".join(
                f"{across(rtt):.1f},{up(rate):.1f}" for rtt, rate in inside) + '"/>'
            yield words_at(across(inside[-1][0]) - 4, up(inside[-1][1]) + 16, f"{many}{words} / round trip",
                           'text-anchor="end" fill="#777"')


def series(name, points):
    """Medians joined, with their spread."""
    colour = COLOURS[name]
    yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="' + " ".join(
        f"{across(rtt):.1f},{up(statistics.median(values)):.1f}" for rtt, values in points) + '"/>'
    for rtt, values in points:
        yield (f'<path d="M{across(rtt):.1f} {up(min(values)):.1f}V{up(max(values)):.1f}" stroke="{colour}" '
               'stroke-width="4" stroke-opacity="0.5"/>')
        yield f'<circle cx="{across(rtt):.1f}" cy="{up(statistics.median(values)):.1f}" r="3" fill="{colour}"/>'


def panel(found, streams, title):
    cells = [cell for cell in found if cell.what == "rate" and not cell.link and cell.peer in COLOURS and
             (cell.peer in PLAIN or cell.security == "noise" and cell.streams == streams)]
    rtts = sorted({cell.rtt_ms for cell in cells if cell.peer not in PLAIN})
    yield from axes(rtts, title)
    yield from windows(streams)
    named = 0
    for name in SHOWN:
        points = [(rtt, found[cell]) for rtt in rtts for cell in cells if (cell.peer, cell.rtt_ms) == (name, rtt)]
        if points:
            yield from series(name, points)
            yield words_at(LEFT - 20 + 108 * (named % 4), HIGH - 22 + 16 * (named // 4), name,
                           f'fill="{COLOURS[name]}" font-weight="bold"')
            named += 1


def plot(found, path):
    """Rate over round trip, both logarithmic, for one stream and for many."""
    many = sorted({cell.streams for cell in found if cell.streams > 1})
    panels = [(1, "one stream")] + [(streams, f"{streams} streams, all together") for streams in many]
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE * len(panels)} {HIGH}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDE * len(panels)}" height="{HIGH}" fill="white"/>']
    for i, (streams, title) in enumerate(panels):
        lines += [f'<g transform="translate({WIDE * i} 0)">', *panel(found, streams, title), "</g>"]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, "</svg>"]) + "\n")


def page(path, text):
    """Puts the text between the marks of a page."""
    with open(path, encoding="utf-8") as file:
        whole = file.read()
    if BEGIN not in whole or END not in whole:
        raise SystemExit(f"{os.path.basename(path)} lacks the marks: {BEGIN}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(whole[:whole.index(BEGIN)] + BEGIN + "\n\n" + text + "\n" + whole[whole.index(END):])


def report(path, plot_path, page_path):
    text = "\n".join(text_of(path)) + "\n"
    print(text, end="")
    if plot_path:
        plot(gather([line for line in read(path) if line["class"] is not None and
                     line.get("group") != streams_plan.STEADY]), plot_path)
    if page_path:
        page(page_path, text)
