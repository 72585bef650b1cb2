"""Reading CloudFormation templates: short forms of functions become {name: argument}."""
import os

try:
    import yaml
except ImportError:
    yaml = None

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))


def load(path):
    class Loader(yaml.SafeLoader):
        pass

    def function(loader, suffix, node):
        if isinstance(node, yaml.ScalarNode):
            return {suffix: loader.construct_scalar(node)}
        build = loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping
        return {suffix: build(node, deep=True)}
    Loader.add_multi_constructor("!", function)
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader)


def walk(value):
    """Every value inside, itself first."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from walk(child)


def plain(value):
    """Of If the first branch that is something; lists without what is nothing."""
    if isinstance(value, dict) and set(value) == {"If"}:
        return plain(next(one for one in value["If"][1:] if one != {"Ref": "AWS::NoValue"}))
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def as_list(value):
    return value if isinstance(value, list) else [value]
