"""As much of IAM's evaluation as the bucket policy of the read gate needs: whether a Deny meets a request."""
import fnmatch

from template import as_list


def matches(operator, wanted, value):
    """One condition key. value is None when the request has no such key."""
    if operator.startswith("ForAnyValue:"):
        return any(matches(operator.removeprefix("ForAnyValue:"), wanted, one) for one in value or [])
    if operator in ("StringEquals", "ArnEquals"):
        return value is not None and value in wanted
    if operator == "StringNotEquals":
        return value is None or value not in wanted
    if operator == "StringLike":
        return value is not None and any(fnmatch.fnmatchcase(value, one) for one in wanted)
    if operator == "ArnNotLike":
        return value is None or not any(fnmatch.fnmatchcase(value, one) for one in wanted)
    if operator == "NumericGreaterThan":
        return value is not None and float(value) > float(wanted[0])
    raise AssertionError(f"unknown operator {operator}")


def denying(statements, action, **request):
    """Sids of the statements that deny it. request: condition keys by name, ':' and '/' as in IAM."""
    keys = request["keys"]
    return [one["Sid"] for one in statements
            if one["Effect"] == "Deny" and action in as_list(one["Action"]) and
            all(matches(operator, as_list(wanted), keys.get(key))
                for operator, block in one.get("Condition", {}).items() for key, wanted in block.items())]
