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

empty "the page knows the API's statuses of computers and no other" "$(python3 - <<'END'
import json, re
api = json.load(open("console/api/openapi.json", encoding="utf-8"))
told = set(api["components"]["schemas"]["Computer"]["properties"]["status"]["enum"])
asked = next(set(parameter["schema"]["enum"]) for parameter in api["paths"]["/api/v1/computers"]["get"]["parameters"]
             if parameter.get("name") == "status")
words = json.load(open("console/web/i18n/en.json", encoding="utf-8"))
def of(prefix):
    return {key.removeprefix(prefix) for key in words if key.startswith(prefix)}
def script(path, name, names):
    found = re.search(rf"{name} = [{{\[](.*?)[}}\]];", open("console/web/app/" + path, encoding="utf-8").read(), re.S)
    return set(re.findall(names, found[1]))
for where, found, wanted in (("words", of("status."), told), ("words of the filter", of("filter.status."), asked),
                             ("ui/elements.js", script("ui/elements.js", "STATUS_TONES", r'"?([\w()][\w() ]*)"?:'), told),
                             ("pages/computers.js", script("pages/computers.js", "STATUSES", r'"(\w+)"'), asked)):
    for status in sorted(found ^ wanted):
        print(f"{where}: {status}")
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

# What a person may read on the page in sentences of the console and the agents. Some the page says itself by
# their code, and some answer questions that it never asks.
empty "sentences of console and agents are translated" "$(python3 - <<'END'
import glob, json, re
CALLS = [(r"\b(http_respond_problem|wire_fail|settings_fail|fail_at_parent|write_problem|say)\s*\(",
          ["console/api/*.c", "console/forward/destination.c", "console/policies/*.c", "common/settings/*.c",
           "agent/policy/policy_chain.c", "agent/control/handlers_status.c"]),
         (r"\bcontrol_request_fail\s*\(", ["agent/control/*.c"]),
         (r"\bset_problem\s*\(", ["scanner/client/*.c"]),
         (r"\btext_(format|copy)\s*\(\s*[\w>.-]*(problem|cure|text)\s*,\s*sizeof\b",
          ["scanner/*.c", "agent/messenger/*.c", "agent/delivery/*.c", "agent/supervisor/*.c", "agent/health/*.c"])]
ALL_OF = ["agent/application_control/application_control.c", "agent/control/handlers_status.c",
          "agent/health/health_round.c", "agent/prevention/guard_life.c", "agent/delivery/command*.c",
          "agent/delivery/policy_delivery.c", "console/forward/*_sink.c"]
BY_CODE = {"answer_too_large", "bad_cursor", "bad_filter", "bad_limit", "bad_query", "busy", "changed_meanwhile",
           "code_required", "cross_site", "key_not_changed", "limited_to_groups", "no_policy", "not_allowed",
           "not_found", "not_signed_in", "password_change_required", "precondition_required", "too_many_attempts",
           "too_many_streams", "wrong_content_type", "wrong_credentials", "wrong_kind"}
NEVER_ASKED = {"access_key_id and secret_access_key come together", "an API key has no password", "an API key has no second factor",
               "certificate and key come together", "cannot write {}: {}", "expires_seconds must be 1 to {}",
               "kind must be storage or application", "position must be 1 to 1000000",
               "role must be administrator, operator, auditor or reader", "the last commit failed: {}; {}",
               "this type of command does not exist", "{} needs arguments.{}", ' in {}{}{}; correct the name', "(no folder given)",
               "no policy {}.", "out of memory", "{}, {} minutes", ": beat\n\n", " yagura - ", "(long key)", "{} must be the number of a revision"}
known = json.load(open("common/sentences/sentences.ja.json", encoding="utf-8"))
for english, text in known.items():
    if {int(hole) for hole in re.findall(r"\{(\d)\}", text)} - set(range(1, english.count("{}") + 1)):
        print("other values:", english)
def code_of(path):
    code = open(path, encoding="utf-8").read()
    return re.sub(r"(\"(?:[^\"\\\n]|\\.)*\")|/\*.*?\*/|'(?:[^'\\]|\\.)'|^[ \t]*#[^\n]*", lambda found: found[1] or "", code, flags=re.S | re.M)
def sentences(code):
    for run in re.finditer(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', code):
        text = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', run[0]))
        text = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)
        text = re.sub(r"%(?:%|[-+ #0]*\d*(?:\.\d+|\.\*)?(?:ll|l|z|h|j)?[diouxXsc])", lambda found: "%" if found[0] == "%%" else "{}", text)
        if " " in text.strip() and re.search("[A-Za-z]{2}", text.replace("{}", "")) and not re.match("(SELECT|INSERT|UPDATE|DELETE) ", text):
            yield text
def arguments(code, at):
    depth, i = 1, at
    while depth:
        if code[i] == '"':
            i = re.compile(r'"(?:[^"\\]|\\.)*"').match(code, i).end()
            continue
        depth += {"(": 1, ")": -1}.get(code[i], 0)
        i += 1
    return code[at:i]
wanted = {}
for calls, patterns in CALLS:
    before = len(wanted)
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):
        code = code_of(path)
        for call in re.finditer(calls, code):
            given = arguments(code, call.end())
            if not any(f'"{name}"' in given for name in BY_CODE):
                wanted.update((text, path) for text in sentences(given))
    if len(wanted) == before:
        print(f"nothing is found any more: {calls}")
for path in sorted(path for pattern in ALL_OF for path in glob.glob(pattern)):
    wanted.update((text, path) for text in sentences(code_of(path)))
for text in sentences(code_of("common/settings/schema_bounds.c")):
    wanted.setdefault('"{}" ' + text, "common/settings/schema_bounds.c")
for text, path in wanted.items():
    if text not in known and text not in NEVER_ASKED:
        print(f"{path}: {text}")
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
