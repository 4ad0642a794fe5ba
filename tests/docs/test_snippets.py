"""Every Python block of the README and of the docs runs; `# -> text` after an expression is what it must give."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(source, names, page):
    """Run a block statement by statement, and compare what is promised behind `# ->`."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        promised = lines[node.end_lineno - 1][node.end_col_offset :].partition("# -> ")[2]
        text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        if isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), str(page), "eval"), names)
            if promised:
                assert repr(value) == promised, text
        else:
            assert not promised, f"`# ->` behind something that is no expression: {text}"
            exec(compile(ast.Module([node], []), str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_snippet_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "snippet"}
    for block in BLOCK.findall(page.read_text()):
        run(block, names, page)


def test_the_readme_has_snippets():
    assert len(BLOCK.findall((ROOT / "README.md").read_text())) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target
