#!/bin/sh
# The web page: equal catalogues, every key in use, nothing inserted as HTML, the bundle reproduces.
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"
need python3 "page"

empty "both catalogues have the same keys" "$(python3 - <<'END'
import json, re
words = {code: json.load(open(f"console/web/i18n/{code}.json", encoding="utf-8")) for code in ("en", "ja")}
for key in sorted(set(words["en"]) ^ set(words["ja"])):
    print("only in one:", key)
for key in sorted(set(words["en"]) & set(words["ja"])):
    holes = [set(re.findall(r"\{\w+\}", words[code][key])) for code in words]
    if holes[0] != holes[1]:
        print("other values:", key)
END
)"

empty "every word in use is in the catalogues" "$(python3 - <<'END'
import glob, json, re
words = json.load(open("console/web/i18n/en.json", encoding="utf-8"))
for path in sorted(glob.glob("console/web/app/**/*.js", recursive=True)):
    text = open(path, encoding="utf-8").read()
    used = re.findall(r'\bt\("([^"]+)"', text)
    for pair in re.findall(r'\bt\([^()"`]*\? "([\w.]+)" : "([\w.]+)"', text):
        used += pair
    for key in used:
        if key not in words and key + "_other" not in words:
            print(f"{path}: {key}")
END
)"

# An event is recorded by a statement that names its severity; its kind is the text with a "_" in it.
empty "kinds of events and actions of the audit log have words" "$(python3 - <<'END'
import glob, json, re
words = json.load(open("console/web/i18n/en.json", encoding="utf-8"))
name = r'"([a-z]+(?:_[a-z]+)+)"'
def look(pattern, what, only, *folders):
    for path in sorted(path for folder in folders for path in glob.glob(f"{folder}/**/*.c", recursive=True)):
        for statement in re.split(r";|\n}\n", open(path, encoding="utf-8").read()):
            if re.search(pattern, statement):
                for found in re.findall(only, statement):
                    if f"{what}.{found}" not in words and found not in ("not_stored", "event_not_stored"):
                        print(f"{path}: {what}.{found}")
look(r"\bEVENT_(INFO|LOW|MEDIUM|HIGH|CRITICAL)\b", "kind", name, "agent")
look(r"\bevent_store_add_own\(", "kind", name, "console")
look(r"CHANGE_[A-Z]+\] =", "kind", name, "agent/integrity")
look(r"\b(api_audit|command_audit|audit)\(", "audit", name, "console")
END
)"

# shellcheck disable=SC2046  # no blanks in our file names
empty "the page inserts no HTML" "$(grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerously|[^.]\beval\(|new Function|javascript:' $(files 'console/web/app/*.js' console/web/index.html) || true)"

bundle_reproduces() {
    if ! command -v npm >/dev/null 2>&1; then
        skip "the vendored bundle reproduces" "no npm here"
        return
    fi
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cp console/web/package.json console/web/package-lock.json console/web/build_vendor.js "$folder/"
    mkdir "$folder/vendor"
    if ! (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error) >"$folder/log" 2>&1; then
        skip "the vendored bundle reproduces" "npm cannot fetch its packages"
        return
    fi
    (cd "$folder" && node build_vendor.js) >>"$folder/log" 2>&1 || true
    different=
    for name in vendor.js uplot.css LICENSES.txt; do
        cmp -s "$folder/vendor/$name" "console/web/vendor/$name" || different="$different $name"
    done
    empty "the vendored bundle reproduces" "$different"
}
bundle_reproduces
finish
