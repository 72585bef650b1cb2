"""Every command that a document tells a person to type exists: the program, the command, each option.

docs/dependencies.md names every library, tests that are named exist, names of the log are in one, tables have heads, figures are what was recorded, records say of what commit,
docs/protocol.md has what the code has, and the pages in Japanese are in step with the English ones. Looks at fenced blocks, indented lines and `spans` of all Markdown files; help texts are the judges."""
import functools
import glob
import os
import re
import shlex
import subprocess
import sys

import protocol
import translation

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
import page as bench_page  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
PROGRAMS = os.environ.get("YAGURA_PROGRAMS", "")
IN_JAPANESE = {"README.ja.md", "docs/operations.ja.md"}
# What the log says when the disk or memory fails at one point, which no test makes happen.
LOGGED_IN_NO_TEST = {"events_not_moved", "first_start_failed", "protection_not_written", "start_failed"}
OURS = re.compile(r"^(yaguractl|yagura-[a-z-]+)$")
SCRIPT = re.compile(r"^[\w./-]*\b(installer|tests|packaging|ssm-package|deploy)/[\w./-]+\.(sh|py)$")


def documents():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "*.md"], capture_output=True, text=True,
                            check=False).stdout.split()
    return listed or [os.path.relpath(path, ROOT)
                      for path in glob.glob(os.path.join(ROOT, "**/*.md"), recursive=True)
                      if "/build/" not in path]


def pieces(text):
    """What stands there as code: lines of blocks, and spans."""
    fenced = re.findall(r"```\w*\n(.*?)```", text, re.S)
    rest = re.sub(r"```.*?```", "", text, flags=re.S)
    blocks = fenced + re.findall(r"(?:^    .*\n?)+", rest, re.M)
    for block in blocks:
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", rest)


def commands(line):
    """Programs with their arguments, of one line of shell."""
    if "-->" in line:  # a drawing
        return
    for part in re.split(r"\s(?:&&|\|\||\||;)\s", line.strip()):
        try:
            words = shlex.split(part.split(" # ")[0], comments=False)
        except ValueError:
            continue
        if words[:2] == ["runuser", "-u"] and "--" in words:
            words = words[words.index("--") + 1:]
        while words and (words[0] in ("sudo", "$", "env", "exec", "sh", "bash", "python3") or
                         re.match(r"^[A-Z_]+=", words[0])):
            words = words[1:]
        if words:
            yield words[0], words[1:]


@functools.lru_cache(maxsize=None)
def help_of(*command):
    done = subprocess.run([*command, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.stdout + done.stderr


def options(words):
    return [word.split("=")[0] for word in words if re.match(r"^--[a-z]", word)]


def fault_of_program(name, words):
    path = os.path.join(PROGRAMS, name)
    if not os.path.exists(path):
        return None if name in built_elsewhere() else f"there is no program {name}"
    plain = [word for word in words if re.match(r"^[a-z][a-z-]*$", word)]
    text = help_of(path)
    if plain and not re.search(rf"^ .*\b{re.escape(plain[0])}\b", text, re.M):
        return f"{name} has no command {plain[0]}"
    if name == "yaguractl" and plain:
        text += help_of(path, *plain[:2 if re.search(rf"^  {plain[0]} [a-z]", text, re.M) else 1])
    missing = [option for option in options(words) if option not in text]
    return f"{name} {' '.join(plain[:2])} has no {missing[0]}" if missing else None


def built_elsewhere():
    """Programs that stand in no build tree: packages and systemd units by their names."""
    return {"yagura-wrapper.zip", *(os.path.basename(name).split(".")[0] for pattern in
                                    ("packaging/systemd/*", "packaging/debian/*", "packaging/**/*.sh")
                                    for name in glob.glob(os.path.join(ROOT, pattern), recursive=True))}


def fault_of_script(document, name, words):
    for base in (ROOT, os.path.dirname(os.path.join(ROOT, document))):
        path = os.path.normpath(os.path.join(base, name))
        if os.path.exists(path):
            break
    else:
        return f"there is no {name}"
    text = ""
    for part in [path, *glob.glob(os.path.join(os.path.dirname(path), "*.py"))]:  # which it may start
        with open(part, encoding="utf-8") as stream:
            text += stream.read()
    missing = [option for option in options(words) if option not in text and option[2:] not in text]
    return f"{name} has no {missing[0]}" if missing else None


def judge(document):
    with open(os.path.join(ROOT, document), encoding="utf-8") as stream:
        text = stream.read()
    seen, faults = 0, []
    for line in pieces(text):
        for name, words in commands(line):
            if OURS.match(name) and words:
                fault = fault_of_program(name, words)
            elif SCRIPT.match(name):
                fault = fault_of_script(document, name, words)
            else:
                continue
            seen += 1
            if fault:
                faults.append(f"{document}: `{line.strip()[:100]}`: {fault}")
    return seen, faults


def dependencies():
    """Faults of docs/dependencies.md: a library that a program loads, a package that builds it."""
    with open(os.path.join(ROOT, "docs/dependencies.md"), encoding="utf-8") as stream:
        rows = [line.split(" | ") for line in stream if line.startswith("| ")]
    with open(os.path.join(ROOT, "installer/dependencies.sh"), encoding="utf-8") as stream:
        packages = re.search(r'BUILD_PACKAGES="(.*?)"', stream.read(), re.S).group(1).split()
    for package in packages:
        if package.endswith("-dev") and not any(package in row[0] for row in rows):
            yield f"docs/dependencies.md does not name {package}"
    names = {"libz": "zlib1g", "libcrypto": "libssl"}
    for program in sorted(os.listdir(PROGRAMS)):
        told = subprocess.run(["readelf", "-d", os.path.join(PROGRAMS, program)], capture_output=True,
                              text=True, check=False).stdout
        if "libasan" in told:  # a build for tests links more, and otherwise
            continue
        for library in re.findall(r"NEEDED.*\[(\w+?)(?:-\d+)?\.so", told):
            name = names.get(library, library)
            if library != "libc" and not any(name in row[0] and f"`{program}`" in row[1] for row in rows):
                yield f"docs/dependencies.md does not say that {program} loads {library}"


def names_of_tests():
    """All that stand in tests/, and what they are named by: paths of files, functions."""
    files, functions = set(), set()
    for pattern in ("**/*_test.py", "**/*_test.c"):
        for path in glob.glob(os.path.join(ROOT, "tests", pattern), recursive=True):
            files.add(os.path.relpath(path, ROOT))
            with open(path, encoding="utf-8") as stream:
                functions.update(re.findall(r"\b(test_\w+)\(", stream.read()))
    return files, functions


def named_tests():
    """Faults of what documents say about tests: one that they name is there; each claim beside others names one."""
    files, functions = names_of_tests()
    for document in documents():
        with open(os.path.join(ROOT, document), encoding="utf-8") as stream:
            text = stream.read()
        for span in re.findall(r"`([^`\n]+)`", text):
            bases = (os.path.dirname(document), "tests/system", "")
            if re.match(r"^[\w./-]*\w_test\.(py|c)$", span) and \
                    not any(os.path.normpath(os.path.join(base, span)) in files for base in bases):
                yield f"{document}: there is no test {span}"
            if re.match(r"^test_\w+$", span) and span not in functions:
                yield f"{document}: no test has a {span}"
        if document in ("README.md", "README.ja.md"):
            yield from claims(document, text, files)
            yield from measured(document, text)


def claims(document, text, files):
    table = re.search(r"^\| \| Yagura \| clamonacc \|.*\n\|[- |]+\n((?:\|.*\n)+)", text, re.M)
    rows = table.group(1).splitlines() if table else []
    if len(rows) < 10:
        yield f"{document}: the table beside others has {len(rows)} rows: is this looking at it?"
    for row in rows:
        cells = row.strip("| ").split(" | ")
        if not any(os.path.join("tests/system", name) in files for name in re.findall(r"`([^`]+)`", cells[-1])):
            yield f"{document}: no test is named for: {cells[0]}"
    with open(os.path.join(ROOT, "policies/log_rules/linux.conf"), encoding="utf-8") as stream:
        rules = len(re.findall(r"^\s*id = \d+;", stream.read(), re.M))
    if not re.search(rf"\| {rules} (rules|のルール)", text):
        yield f"{document}: there are {rules} rules of logs"


def figures():
    """Faults of the page of benchmarks: another text than what was recorded, a quick figure that looks like a whole one."""
    for name, wanted in bench_page.files(bench_page.results()).items():
        with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as stream:
            text = stream.read()
        if text != wanted:
            yield f"docs/{name} is not what tests/bench/results says: run tests/bench/page.py"
        for section in re.split(r"^### ", text, flags=re.M)[1:]:
            if ", quick, load" in section and re.search(r"\| (held|\*\*missed\*\*) \|", section):
                yield f"docs/{name}: {section.splitlines()[0]} was quick, and its figures do not say so"


RECORDS = ("coverage", "faults", "fuzzing", "machine", "soak")
RECORDED = re.compile(r"^`tests/\S.*?`.*?, \d{4}-\d\d-\d\d", re.M)


def faults_there_are():
    found = set()
    for path in glob.glob(os.path.join(ROOT, "tests/faults/fault_*.py")):
        with open(path, encoding="utf-8") as stream:
            found.update(re.findall(r"^@fault\(.*\)\ndef (\w+)", stream.read(), re.M))
    return {name.replace("_", " ") for name in found}


def records():
    """Faults of pages of results: they say of which commit; that of faults tells of each."""
    for name in RECORDS:
        with open(os.path.join(ROOT, f"docs/{name}.md"), encoding="utf-8") as stream:
            text = stream.read()
        runs = [line for line in text.splitlines() if RECORDED.match(line)]
        if not runs:
            yield f"docs/{name}.md names no run: is this looking at it?"
        for line in runs:
            if not re.search(r", commit ([0-9a-f]{7,}(-dirty)?|not recorded)\b", line):
                yield f"docs/{name}.md does not say of which commit: {line[:60]}"
        if name == "faults":
            told = set(re.findall(r"^\| ([a-z ]+) \| \d", text, re.M))
            yield from (f"docs/faults.md: nothing is recorded of {fault}" for fault in sorted(faults_there_are() - told))
            yield from (f"docs/faults.md: there is no {fault}" for fault in sorted(told - faults_there_are()))


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def recorded_numbers(result):
    """What a benchmark found, and what its notes say, as numbers."""
    said = " ".join(f"{row['measured']} {row['note']}" for row in result["rows"])
    return [float(number.replace(",", "")) for number in NUMBER.findall(said)]


def is_rounded(number, recorded):
    """Whether a number of a document is one of these, with fewer digits."""
    digits = len(number.partition(".")[2])
    wanted = float(number.replace(",", ""))
    return any(abs(value - wanted) <= 0.51 * 10 ** -digits for value in recorded)


def measured(document, text):
    """Faults of the table of what was measured: each number of a row stands in the last record of a benchmark it names."""
    results = {result["name"]: result for result in bench_page.results()}
    table = re.search(r"^\|[^|\n]*\| Yagura \|[^|\n]*\| `--only` \|\n\|[- |]+\n((?:\|.*\n)+)", text, re.M)
    rows = table.group(1).splitlines() if table else []
    if len(rows) < 10:
        yield f"{document}: the table of what was measured has {len(rows)} rows: is this looking at it?"
    for row in rows:
        what, *values, names = [cell.strip() for cell in row.strip("|").split("|")]
        names = re.findall(r"`([^`]+)`", names)
        for name in names:
            if name not in results:
                yield f"{document}: {what}: `{name}` is not in tests/bench/results"
        recorded = [number for name in names if name in results for number in recorded_numbers(results[name])]
        for number in NUMBER.findall(" ".join(values)):
            if not is_rounded(number, recorded):
                yield f"{document}: {what}: {number} was not recorded by {', '.join(names)}"


def sources(*patterns):
    for pattern in patterns:
        for path in glob.glob(os.path.join(ROOT, pattern), recursive=True):
            if os.path.basename(path) != os.path.basename(__file__):
                with open(path, encoding="utf-8") as stream:
                    yield stream.read()


def logged():
    """Faults of what people look up by the name that the log gives it: no test has seen it there."""
    said = {name for text in sources("agent/**/*.c", "console/**/*.c")
            for name in re.findall(r'\blog_(?:error|warning|info)\(\s*"(\w+)"', text)}
    with open(os.path.join(ROOT, "docs/operations.md"), encoding="utf-8") as stream:
        told = said & set(re.findall(r"`(\w+)`", stream.read()))
    tests = "\n".join(sources("tests/system/**/*.py", "tests/unit/**/*.c"))
    seen = {name for name in told if re.search(rf"\b{name}\b", tests)}
    if len(told) < 25:
        yield f"docs/operations.md tells {len(told)} names of the log: is this looking at it?"
    for name in sorted(told - seen - LOGGED_IN_NO_TEST):
        yield f"docs/operations.md tells of {name} in the log, and no test has seen it"


def tables():
    """Faults of tables: rows that no head goes before are shown as text."""
    for document in documents():
        with open(os.path.join(ROOT, document), encoding="utf-8") as stream:
            text = re.sub(r"^ *```.*?^ *```", "", stream.read(), flags=re.S | re.M)
        for table in re.findall(r"(?:^\|.*\n?)+", text, re.M):
            rows = table.splitlines()
            if len(rows) < 2 or not re.fullmatch(r"\|( *:?-+:? *\|)+", rows[1]):
                yield f"{document}: no head is above {rows[0][:60]}"


def translations():
    """Faults of the pages in Japanese."""
    pages = {name for name in documents() if name.endswith(".ja.md")}
    for name in sorted(IN_JAPANESE - pages):
        yield f"there is no {name}"
    for name in sorted(pages):
        yield from translation.faults(ROOT, name)


def main():
    total, failed, good = 0, 0, 0
    for document in documents():
        seen, faults = judge(document)
        total += seen
        failed += bool(faults)
        good += not faults
        for fault in faults:
            print(f"FAILED {fault}")
    for fault in [*dependencies(), *named_tests(), *figures(), *records(), *logged(), *tables(), *translations(),
                  *protocol.faults(ROOT)]:
        print(f"FAILED {fault}")
        failed += 1
    if total < 50:
        print(f"FAILED only {total} commands were found: is this looking at the documents?")
        failed += 1
    print(f"{total} commands in the documents")
    print(f"{good} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
