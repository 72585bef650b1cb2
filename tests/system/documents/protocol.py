"""docs/protocol.md against the code of both ends: keys of messages, codes of refusals, routes of agents."""
import glob
import os
import re


def text_of(root, *patterns):
    names = [name for pattern in patterns for name in sorted(glob.glob(os.path.join(root, pattern)))]
    texts = []
    for name in names:
        with open(name, encoding="utf-8") as stream:
            texts.append(stream.read())
    return "\n".join(texts)


def faults(root):
    page = text_of(root, "docs/protocol.md")
    wire = text_of(root, "common/wire/*.c")
    ends = text_of(root, "console/agents/*.c", "console/sensors/*.c")
    keys = set(re.findall(r'(?:read|write|get)\w*\((?:[^";()]|\([^()]*\))*"([a-z]\w*)"', wire))
    codes = set(re.findall(r'\b[45]\d\d,\s*"([a-z]\w*)"', ends))
    routes = set(re.findall(r'\{"([A-Z]+)", "(/[^"]*)"', text_of(root, "console/agents/agent_routes.c")))
    if len(keys) < 50 or len(codes) < 20 or len(routes) < 8:
        yield f"{len(keys)} keys, {len(codes)} codes and {len(routes)} routes: is this looking at the protocol?"
    for key in sorted(keys - set(re.findall(r'"([a-z]\w*)"', page))):
        yield f'docs/protocol.md does not name the key "{key}"'
    for key in sorted(re.findall(r'(?<!: )(?<!\|)"([a-z]\w*)"', page)):  # not a value of one
        if f'"{key}"' not in wire:
            yield f'docs/protocol.md: no message has "{key}"'
    for code in sorted(codes - set(re.findall(r"`(\w+)`", page))):
        yield f"docs/protocol.md does not name the code {code}"
    for cell in re.findall(r"^\| [\d, ]+ \| ([^|]*) \|", page, re.M):
        for code in re.findall(r"`(\w+)`", cell):
            if f'"{code}"' not in ends:
                yield f"docs/protocol.md: nobody answers {code}"
    told = set(re.findall(r"`(GET|POST) (/(?:agent|health)[^` ?]*)", page))
    for method, path in sorted(routes ^ told):
        yield f"docs/protocol.md and the routes of agents differ: {method} {path}"
