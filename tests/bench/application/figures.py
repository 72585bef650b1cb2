"""A figure, its bar, and whether it held; what was missed is told again at the end."""
_missed = []


def show(what, value, unit, most=None, least=None, detail=""):
    """A line; without a bar it only tells."""
    judged = ""
    if most is not None or least is not None:
        held = value <= most if most is not None else value >= least
        bar = f"at most {most:g}" if most is not None else f"at least {least:g}"
        judged = f"  ({bar}: {'held' if held else 'MISSED'})"
        if not held:
            _missed.append(what)
    print(f"{what:<58} {value:9.3f} {unit}{judged}{'  ' + detail if detail else ''}", flush=True)


def finish():
    """The status to exit with."""
    print("every bar held" if not _missed else "missed: " + "; ".join(_missed))
    return 1 if _missed else 0
