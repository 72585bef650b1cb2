"""A Japanese page (NAME.ja.md) is in step with the English one beside it (NAME.md).

Section by section: level, paragraphs, rows of tables, blocks and spans of code, figures, links. Words are a person's affair."""
import os
import re

NUMBER = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?)(?: (million)|(万))?")
LINK = re.compile(r"\]\(([^)]*)\)")
SPAN = re.compile(r"`([^`]+)`")
FENCE = re.compile(r"```.*?```", re.S)
INDENTED = re.compile(r"(?:^ {4}.*\n?)+", re.M)


def blocks_of(body):
    fenced = FENCE.findall(body)
    return fenced + [block.strip("\n") for block in INDENTED.findall(FENCE.sub("", body))]


def figures_of(prose):
    text = SPAN.sub("", LINK.sub("]", prose))
    return {round(float(number.replace(",", "")) * (1e6 if million else 1e4 if ten_thousands else 1), 3)
            for number, million, ten_thousands in NUMBER.findall(text)}


class Section:
    def __init__(self, level, title, body):
        self.level, self.title = level, title
        self.blocks = blocks_of(body)
        prose = INDENTED.sub("", FENCE.sub("", body))
        self.paragraphs = len(re.findall(r"(?:^.*\S.*\n?)+", prose, re.M))
        self.items = len(re.findall(r"^(?:- |\d+\. )", prose, re.M))
        cells = [line.count(" |") for line in prose.splitlines() if line.startswith("|")]
        self.rows, self.cells = len(cells), sum(cells)
        self.spans = {" ".join(span.split()) for span in SPAN.findall(prose)}
        self.figures = figures_of(prose)
        self.links = LINK.findall(prose)


def sections(text):
    """Of a page; the first is what stands below its title."""
    kept = FENCE.sub(lambda block: re.sub("^#", "\0", block.group(), flags=re.M), text)
    parts = re.split(r"^(#+) (.*)$", kept, flags=re.M)[1:]
    return [Section(len(marks), title, body.replace("\0", "#"))
            for marks, title, body in zip(parts[::3], parts[1::3], parts[2::3])]


def anchor(title):
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def plain(link):
    """The page that a link means, in whatever language."""
    return link.split("#")[0].replace(".ja.md", ".md")


def faults_of_section(english, japanese):
    if english.blocks != japanese.blocks:
        yield "has other blocks of code"
    for span in sorted(english.spans ^ japanese.spans):
        yield f"{'lacks' if span in english.spans else 'has, and the English page has not,'} `{span}`"
    for figure in sorted(english.figures - japanese.figures):
        yield f"lacks the figure {figure:g}"
    for what in ("paragraphs", "items", "rows", "cells"):
        if getattr(english, what) != getattr(japanese, what):
            yield f"has other {what}: {getattr(japanese, what)}, not {getattr(english, what)}"
    for link in {plain(link) for link in english.links} ^ {plain(link) for link in japanese.links}:
        yield f"one page links to {link}, the other does not"


def faults_of_links(folder, name, page):
    """A link inside the page leads somewhere; one to a page in two languages leads to this one's."""
    anchors = {anchor(section.title) for section in page}
    for link in (link for section in page for link in section.links):
        target = link.split("#")[0]
        if link.startswith("#") and link[1:] not in anchors:
            yield f"there is no section {link}"
        twin = os.path.join(folder, target[:-len(".md")] + ".ja.md")
        if target.endswith(".md") and target != name and os.path.exists(twin):
            yield f"{link} is the English page: there is a Japanese one"


def faults_of_pair(folder, name, english_text, japanese_text):
    english, japanese = sections(english_text), sections(japanese_text)
    if [section.level for section in english] != [section.level for section in japanese]:
        yield f"has {len(japanese)} sections, or other levels; the English page has {len(english)}"
    for one, other in zip(english, japanese):
        for fault in faults_of_section(one, other):
            yield f"\"{other.title}\" ({one.title}) {fault}"
    head = f"\n[日本語]({name.replace('.md', '.ja.md')})\n", f"\n[English]({name})\n"
    for text, link in zip((english_text, japanese_text), head):
        if link not in text[:200]:
            yield f"one of the pages does not begin with {link.strip()}"
    yield from faults_of_links(folder, name, japanese)


# Each makes a Japanese page wrong.
WRONG = {
    "a section is missing": lambda text: re.sub(r"^## .*\n", "", text, count=1, flags=re.M),
    "a block is other": lambda text: re.sub(r"^( {4}|```sh\n)(\w)", r"\1x\2", text, count=1, flags=re.M),
    "a command is missing": lambda text: re.sub(r"`yaguractl [^`]*`", "", text),
    "a command is other": lambda text: text.replace("`yaguractl ", "`yaguractl --other "),
    "a row is missing": lambda text: re.sub(r"^\| `?[a-z\[].*\n", "", text, count=1, flags=re.M),
    "a figure is other": lambda text: text.replace("500万", "50万"),
}


def faults(root, name):
    """name: of the Japanese page, from root."""
    folder, base = os.path.split(os.path.join(root, name))
    pages = []
    for page in (base.replace(".ja.md", ".md"), base):
        path = os.path.join(folder, page)
        if not os.path.exists(path):
            return [f"{name}: there is no {page}"]
        with open(path, encoding="utf-8") as stream:
            pages.append(stream.read())
    english = base.replace(".ja.md", ".md")
    found = [f"{name}: {fault}" for fault in faults_of_pair(folder, english, *pages)]
    for what, damage in WRONG.items():
        if damage(pages[1]) == pages[1] or not any(faults_of_pair(folder, english, pages[0], damage(pages[1]))):
            found.append(f"{name}: it is not noticed when {what}")
    return found
