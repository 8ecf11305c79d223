"""No text from outside can become a property, a style, a class, HTML or a script of a page, by how it is set.

NiceGUI reads ``.props("a=b :c=d")`` as a line of its own language, in which a key with a colon is a script:
a name within that line is code. ``.props["a"] = name`` is a value, whatever it holds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import multirig.dashboard

ROOT = Path(multirig.dashboard.__file__).parent
pytestmark = pytest.mark.attack
LANGUAGES = {"props", "style", "classes", "default_props", "default_style", "default_classes"}
"""Methods of elements that read a line of NiceGUI's own language."""
CODE = {"html", "markdown", "add_head_html", "add_body_html", "add_css", "run_javascript", "mermaid"}
"""What takes HTML or a script."""
FORBIDDEN = {"add_slot", "chat_message", "restructured_text", "add_scss", "add_sass"}
"""What is not used at all: a slot is a template, and the others take HTML."""
OURS = {"box": (1, "classes"), "text": (2, "classes"), "Line": (0, "classes"), "form": (2, "classes")}
"""Helpers that hand one of their arguments on as classes: at which place, under which name."""
HANDED_ON = {"classes", "look", "wanted"}
"""Arguments of those helpers, and of `button` and `Table`: the rule holds where they are given."""


def is_own(node: ast.expr) -> bool:
    """Whether a text is written in the source, and holds nothing else than numbers and our own constants."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, op=ast.Add(), right=other):
            return is_own(one) and is_own(other)
        case ast.BinOp(left=ast.Name(id=name), op=ast.Mod(), right=ast.Attribute(attr="html_id")):
            return name.isupper()
        case ast.JoinedStr(values=values):
            return all(map(is_own, values))
        case ast.FormattedValue(value=value, format_spec=ast.JoinedStr(values=[ast.Constant(value=spec)])):
            return str(spec)[-1] in "fd" or is_own(value)
        case ast.FormattedValue(value=value):
            return is_own(value)
        case ast.Attribute(attr="value", value=ast.Name(id="tone") | ast.Attribute(attr="tone")):
            return True  # one of an enumeration
        case ast.Call(func=ast.Attribute(attr="dumps", value=ast.Name(id="json"))):
            return True  # a value of a script, whatever it holds
        case ast.Call(func=ast.Attribute(attr="read_text", value=ast.BinOp(left=ast.Name(id="_HERE")))):
            return True  # a file of the package
    return False


def find_risks(source: str, *, helpers: bool = False) -> Iterator[str]:
    """Yield the calls in a module by which a text that is not its own may be read as more than a text."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [*call.args, *(one.value for one in call.keywords if one.arg != "sanitize")]
        if name in FORBIDDEN:
            yield ast.unparse(call)
        elif name in LANGUAGES:
            if not all(is_own(one) or (helpers and is_handed_on(one)) for one in given):
                yield ast.unparse(call)
        elif name in CODE and isinstance(call.func, ast.Attribute):
            if not all(map(is_own, [one for one in given if not isinstance(one, ast.Constant)])):
                yield ast.unparse(call)
        elif name in OURS and not helpers:
            place, key = OURS[name]
            classes = [*call.args[place : place + 1], *(one.value for one in call.keywords if one.arg == key)]
            if not all(map(is_own, classes)):
                yield ast.unparse(call)
        elif name in ("button", "Table"):
            looks = [one.value for one in call.keywords if one.arg in HANDED_ON]
            looks += call.args[1:2] if name == "Table" else []
            if not all(map(is_own, looks)):
                yield ast.unparse(call)


def is_handed_on(node: ast.expr) -> bool:
    """Whether it is an argument of a helper, alone or within a text of its own."""
    match node:
        case ast.Name(id=name):
            return name in HANDED_ON
        case ast.JoinedStr(values=values):
            return all(is_own(one) or is_handed_on(one) for one in values)
        case ast.FormattedValue(value=value):
            return is_handed_on(value)
        case ast.IfExp(body=one, orelse=other):
            return is_handed_on(one) and is_handed_on(other)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(), attr="join"), args=[ast.GeneratorExp(elt=elt)]
        ):
            return ast.unparse(elt) == "f'tone-{one.value}'"
    return False


MODULES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_from_outside_is_read_as_properties_classes_html_or_a_script(path: Path) -> None:
    helpers = path.name in ("elements.py", "tables.py")
    assert list(find_risks(path.read_text(encoding="utf-8"), helpers=helpers)) == []


def test_the_pages_are_among_what_is_looked_at() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    assert text.count(".props(") > 40
    assert text.count(".classes(") > 10


@pytest.mark.parametrize(
    "source",
    [
        "element.props(f'aria-label=\"{name}\"')",
        "element.props('title=' + name)",
        "element.props(name)",
        "element.props('title=%s' % name)",
        "element.props('title={}'.format(name))",
        "element.props(add=name)",
        "element.style(f'color: {colour}')",
        "element.classes(f'rig-{name}')",
        "ui.html(f'<b>{name}</b>', sanitize=False)",
        "ui.markdown(name)",
        "ui.add_head_html(f'<title>{name}</title>')",
        "client.run_javascript(f'document.title = {name!r}')",
        "element.add_slot('body', '<b>{{ props.row.name }}</b>')",
        "box('div', f'rig {name}')",
        "text('b', name, name)",
        "Line(classes=name).show('x')",
        "button('Stop', stop, look=look_of(rig))",
    ],
)
def test_each_way_to_have_a_name_read_as_code_is_found(source: str) -> None:
    assert len(list(find_risks(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "element.props['aria-label'] = name",
        "element.props('outlined dense')",
        "element.props(f'debounce={DEBOUNCE}')",
        "element.style(f'width: {100 * share:.1f}%')",
        "element.classes(f'toned tone-{entry.tone.value}')",
        "text('b', name, 'soft')",
        "client.run_javascript(f'see({json.dumps(name)})')",
        "ui.html('', sanitize=False)",
    ],
)
def test_what_cannot_be_read_as_code_is_let_be(source: str) -> None:
    assert list(find_risks(source)) == []
