"""Put the results of examples/map/run.sh together: the tables of docs/map.md, and its picture.

usage: collect.py OUT [--picture FILE.svg]       needs examples/map/requirements.txt for the picture

Of each pair OUT/NAME-SEED it reads results/TEST.json (replay eval) and results/sweep.json (replay sweep). p-values are corrected (Holm)
for all comparisons of pass@1 on the page together.
"""
import argparse
import json
import re
from pathlib import Path

ARMS = ["base alone", "ceiling", "all", "low", "high", "random", "drifted", "gated", "learned", "learned-released",
        "lens-lbfgs", "states-lbfgs", "states-low"]


def holm(p):
    """Holm's step-down correction of a dict of p-values."""
    largest, out = 0.0, {}
    for rank, key in enumerate(sorted(p, key=p.get)):
        largest = max(largest, min(1.0, p[key] * (len(p) - rank)))
        out[key] = largest
    return out


def results(out):
    """{(pair, seed): {test: summary}} and the sweep of each."""
    found = {}
    for folder in sorted(Path(out).glob("*-[0-9]")):
        name, seed = re.fullmatch(r"(.+)-(\d+)", folder.name).groups()
        tests = {}
        for file in sorted((folder / "results").glob("*.json")):
            text = file.read_text()
            if text and file.stem != "analysis":
                tests[file.stem] = json.loads(text)
        if tests:
            found[name, int(seed)] = tests
    return found


def of(summary, arm, k):
    return next(p["estimate"]["mean"] for p in summary["by"][arm]["pass_at"] if p["k"] == k)


def prepared(test):
    summary = test["summary"]
    summary["by"] = {arm["name"]: arm for arm in summary["arms"]}
    summary["change"] = {pair["arm"]: pair for pair in summary["paired"] if pair["metric"] == "pass@1"}
    return summary


def interval(d):
    return f"{d['mean']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]"


def evaluations(found):
    """{((pair, seed), test): summary}, and the corrected p of each comparison."""
    evaluated = {(key, test): prepared(found[key][test]) for key in found for test in found[key] if test != "sweep"}
    p = holm({(key, test, arm): change["p"] for (key, test), s in evaluated.items() for arm, change in s["change"].items()})
    return evaluated, p


def overview(found):
    """One line a pair and test: pass@1 of both models, and the change that each arm makes."""
    evaluated, p = evaluations(found)
    arms = [arm for arm in ARMS[1:] if any(arm in s["change"] for s in evaluated.values())]
    yield "| pair, seed | test | off | base | " + " | ".join(arms) + " |"
    yield "|---" * (len(arms) + 4) + "|"
    for (key, test), summary in evaluated.items():
        def change(arm):
            if arm not in summary["change"]:
                return "-"
            mean = summary["change"][arm]["difference"]["mean"]
            return f"{mean:+.3f}{'*' if p[key, test, arm] < 0.05 else ''}"
        yield (f"| {key[0]}, {key[1]} | {test} | {of(summary, 'replay off', 1):.3f} | {of(summary, 'base alone', 1):.3f} | "
               + " | ".join(map(change, arms)) + " |")


def tables(found):
    """One markdown table a pair and test."""
    evaluated, p = evaluations(found)
    for (key, test), summary in evaluated.items():
        name, seed = key
        yield f"\n### {name}, seed {seed}, {test}\n"
        yield "| arm | pass@1 | change | p | pass@4 | pass@16 | greedy | never solved | distinct |\n|---|---|---|---|---|---|---|---|---|"
        for arm in ["replay off", *(a for a in ARMS if a in summary["by"])]:
            one = summary["by"][arm]
            change = summary["change"].get(arm)
            said = "- | -" if change is None else f"{interval(change['difference'])} | {p[key, test, arm]:.4f}"
            never = round(one["prompts"] * (1 - of(summary, arm, 16)))
            yield (f"| {arm} | {of(summary, arm, 1):.3f} | {said} | {of(summary, arm, 4):.3f} | {of(summary, arm, 16):.3f} "
                   f"| {one['greedy']['mean']:.3f} | {never} | {one['distinct_answers']['mean']:.2f} |")


def sweeps(found):
    """One line a pair: the change of pass@1 by residual."""
    swept = {key: tests["sweep"]["sweep"] for key, tests in found.items() if "sweep" in tests}
    if not swept:
        return
    residuals = [effect["residual"] for effect in next(iter(swept.values()))["residuals"]]
    yield "\n| pair | " + " | ".join(f"residual[{r}]" for r in residuals) + " | all | proposed layers | inject |"
    yield "|---" * (len(residuals) + 4) + "|"
    for (name, seed), sweep in swept.items():
        changes = [f"{e['change']['mean']:+.3f}{'*' if e['p_corrected'] < 0.05 else ''}" for e in [*sweep["residuals"], sweep["ceiling"]]]
        proposal = sweep["proposal"] or {"layers": "-", "inject": "-"}
        yield f"| {name}, seed {seed} | " + " | ".join(changes) + f" | {proposal['layers']} | {proposal['inject']} |"


def picture(found, file):
    """Effect against ceiling, one dot a pair and arm."""
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"svg.hashsalt": "map", "font.size": 10, "svg.fonttype": "none"})
    shown = [("low", "o", "low entropy, as published"), ("random", "s", "as many at random"), ("high", "^", "as many of high entropy"),
             ("drifted", "D", "as many that RL moved most"), ("states-lbfgs", "P", "learned, hidden states"), ("learned", "x", "learned, as published")]
    titles = {"outside": "outside", "outside-clear": "outside, clear cells asked about", "inside": "inside"}
    tests = [t for t in titles if any(t in tests for tests in found.values())]
    figure, axes = plt.subplots(1, len(tests), figsize=(4.2 * len(tests), 4.8), squeeze=False)
    for axis, test in zip(axes[0], tests):
        for (arm, marker, label), colour in zip(shown, plt.cm.tab10.colors):
            dots = []
            for tests_of in found.values():
                if test in tests_of:
                    change = prepared(tests_of[test])["change"]
                    whole = change.get("ceiling") or change.get("all")
                    if arm in change and whole:
                        dots.append((whole["difference"], change[arm]["difference"]))
            if dots:
                x, y = ([d[i]["mean"] for d in dots] for i in (0, 1))
                bars = [[[d[i]["mean"] - d[i]["low"] for d in dots], [d[i]["high"] - d[i]["mean"] for d in dots]] for i in (0, 1)]
                axis.errorbar(x, y, xerr=bars[0], yerr=bars[1], fmt=marker, color=colour, label=label, capsize=2, lw=0.7, ms=6)
        axis.axline((0, 0), slope=1, color="grey", lw=0.7, ls="--")
        axis.axhline(0, color="grey", lw=0.7)
        axis.axvline(0, color="grey", lw=0.7)
        axis.set(title=titles[test], xlabel="ceiling: change with every visual row", ylabel="change of pass@1")
    handles = {label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), fontsize=8, loc="lower center", ncols=3)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(file, metadata={"Date": None}, facecolor="white")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--picture")
    a = ap.parse_args()
    found = results(a.out)
    for part in (overview, tables, sweeps):
        print("\n".join(part(found)), end="\n\n")
    if a.picture:
        picture(found, a.picture)


if __name__ == "__main__":
    main()
