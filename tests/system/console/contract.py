"""What console/api/openapi.json promises, held against each request that was taken and each answer."""

import json
import os
import re
import urllib.parse

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
with open(ROOT + "/console/api/openapi.json", encoding="utf-8") as _file:
    DOCUMENT = json.load(_file)
OURS = re.compile(r"/(health|metrics|api/v1(/.*)?)$")
KNOWN = {"type", "enum", "const", "pattern", "format", "minimum", "maximum", "minLength",
         "maxLength", "items", "maxItems", "properties", "required", "additionalProperties",
         "description", "default"}
TYPES = {"null": type(None), "boolean": bool, "integer": int, "string": str, "array": list,
         "object": dict}
FORMATS = {"uuid": r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}",
           "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"}


def resolve(part):
    if "$ref" not in part:
        return part
    found = DOCUMENT
    for name in part["$ref"].split("/")[1:]:
        found = found[name]
    return found


def is_of(value, name):
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def faults_of_text(schema, text, where):
    if len(text) < schema.get("minLength", 0) or len(text) > schema.get("maxLength", len(text)):
        yield f"{where} has {len(text)} characters"
    if "pattern" in schema and not re.search(schema["pattern"], text):
        yield f"{where}: {text!r} is not {schema['pattern']}"
    if schema.get("format") in FORMATS and not re.fullmatch(FORMATS[schema["format"]], text):
        yield f"{where}: {text!r} is no {schema['format']}"


def faults_of_object(schema, value, where):
    declared = schema.get("properties", {})
    more = schema.get("additionalProperties", not declared)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}.{name} is missing"
    for name, member in value.items():
        if name in declared:
            yield from faults(declared[name], member, f"{where}.{name}")
        elif more is False:
            yield f"{where}.{name} is not declared"
        elif more is not True:
            yield from faults(more, member, f"{where}.{name}")


def faults(schema, value, where):
    """Where the value is not as the schema says."""
    schema = resolve(schema)
    if unknown := set(schema) - KNOWN:
        yield f"{where}: contract.py does not know {sorted(unknown)}"
    types = schema.get("type", list(TYPES))
    if not any(is_of(value, name) for name in ([types] if isinstance(types, str) else types)):
        yield f"{where} is {value!r}, not {types}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{where} is {value!r}, not {schema.get('enum', schema.get('const'))}"
    if isinstance(value, str):
        yield from faults_of_text(schema, value, where)
    elif isinstance(value, dict):
        yield from faults_of_object(schema, value, where)
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield f"{where} has {len(value)} entries"
        for i, entry in enumerate(value):
            yield from faults(schema.get("items", {}), entry, f"{where}[{i}]")
    elif is_of(value, "integer"):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{where} is {value}"


def operation_of(method, path):
    """A path without holes goes before one with them."""
    for template in sorted(DOCUMENT["paths"], key=lambda name: (name.count("{"), name)):
        pattern = "[^/]*".join(re.escape(part) for part in re.split(r"{\w+}", template))
        if re.fullmatch(pattern, path):
            return DOCUMENT["paths"][template].get(method.lower())
    return None


def faults_of_request(operation, query, body):
    """Of one that was taken."""
    declared = {resolve(parameter)["name"]: resolve(parameter)["schema"]
                for parameter in operation.get("parameters", ())
                if resolve(parameter)["in"] == "query"}
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if name not in declared:
            yield f"the parameter {name} is not declared"
        elif value:
            if declared[name].get("type") == "integer":
                value = int(value)
            elif declared[name].get("format") == "date-time":  # of any offset; answers are in UTC
                value = re.sub(r"[+-]\d\d:\d\d$", "Z", value)
            yield from faults(declared[name], value, name)
    described = operation.get("requestBody")
    if not described:
        if body and json.loads(body) != {}:
            yield "a body is not declared"
    elif body:
        yield from faults(described["content"]["application/json"]["schema"], json.loads(body), "body")
    elif described.get("required"):
        yield "it was taken without its body"


def list_of(operation):
    """The name of the rows of a list that is CSV, too; None of other answers."""
    contents = resolve(operation["responses"].get("200", {})).get("content", {})
    if "text/csv" not in contents:
        return None
    return next(name for name, part in resolve(contents["application/json"]["schema"])["properties"].items()
                if part["type"] == "array")


def faults_of_table(operation, text):
    """A list in CSV has the columns of its rows in JSON."""
    answer = resolve(operation["responses"]["200"]["content"]["application/json"]["schema"])
    row = resolve(answer["properties"][list_of(operation)]["items"])
    columns = text.split("\r\n", 1)[0].split(",")
    if columns != list(row["properties"]):
        yield f"the columns are {columns}"


def faults_of_answer(operation, answer):
    response = operation["responses"].get(str(answer.status))
    if response is None:
        yield "this status is not declared"
        return
    contents = resolve(response).get("content", {})
    name = (answer.headers["Content-Type"] or "").split(";")[0]
    if not contents:
        if answer.body:
            yield "a body is not declared"
    elif name not in contents:
        yield f"{name} is not declared"
    elif name == "application/json":
        yield from faults(contents[name]["schema"], answer.json, "answer")
    elif name == "text/csv":
        yield from faults_of_table(operation, answer.body.decode())


def faults_of_problem(answer):
    if answer.headers["Content-Type"] != "application/problem+json":
        yield f"a problem as {answer.headers['Content-Type']}"
        return
    yield from faults(DOCUMENT["components"]["schemas"]["Problem"], answer.json, "problem")
    if answer.json.get("status") != answer.status:
        yield f"the problem says {answer.json.get('status')}"


def check(method, target, body, answer):
    """AssertionError: what was taken or answered is not what is written."""
    path, _, query = target.partition("?")
    found = []
    operation = operation_of(method, path) if OURS.fullmatch(path) else None
    if answer.status >= 400:
        found += faults_of_problem(answer)
    elif operation:
        found += faults_of_request(operation, query, body)
        found += faults_of_answer(operation, answer)
    elif OURS.fullmatch(path):
        found.append("this route is not declared")
    if found:
        raise AssertionError(f"{method} {target} {answer!r}: " + "; ".join(found[:10]))
