"""The picture of a pipeline."""

import re
import xml.etree.ElementTree as ET

import pytest
import torch

import fireworks as fw
from fireworks.plan.draw import Drawing, draw
from pipelines import counting, double, table

SVG = "{http://www.w3.org/2000/svg}"


def boxes(drawing):
    """Kind, texts and rectangle of each box."""
    found = []
    for group in ET.fromstring(str(drawing)).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        texts = [text.text for text in group.findall(f"{SVG}text")]
        found.append(
            (group.get("class"), texts, {side: float(rect.get(side)) for side in ("x", "y", "width", "height")})
        )
    return found


def lines(drawing):
    return [path for path in ET.fromstring(str(drawing)).iter(f"{SVG}path") if path.get("class") == "line"]


def test_every_stage_is_a_box_with_its_parameters_and_rows():
    drawing = table().map(double).shuffle(seed=0).batch(4).draw()
    assert [(kind, texts) for kind, texts, _ in boxes(drawing)] == [
        ("source", ["Memory", "23 rows: x, n, w, word", "23 rows"]),
        ("stage", ["Map", "double", "23 rows"]),
        ("order", ["Shuffle", "seed=0", "23 rows"]),
        ("stage", ["Batch", "4", "6 batches"]),
    ]
    assert len(lines(drawing)) == 3


def test_a_diamond_is_drawn_once():
    data = table().map(double)
    both = fw.Zip({"a": data.select("x"), "b": data.select("n"), "third": table().select("w")})
    drawing = both.shuffle(seed=0).draw()
    assert [texts[0] for _, texts, _ in boxes(drawing)].count("Map") == 1
    assert len(lines(drawing)) == 8
    assert [text.text for text in ET.fromstring(str(drawing)).iter(f"{SVG}text") if text.get("class") == "name"] != []
    assert {"a", "b", "third"} <= set(re.findall(r">([^<]+)</text>", str(drawing)))


def test_several_outputs_are_drawn_as_one_graph():
    data = table()
    drawing = Drawing(data.batch(4), data.shuffle(seed=0))
    assert [texts[0] for _, texts, _ in boxes(drawing)] == ["Memory", "Batch", "Shuffle"]


def test_models_and_streams_are_told_apart():
    model = fw.Model(torch.nn.Linear(3, 1), in_columns=["x"], out_columns=["y"], input=table().batch(4))
    assert boxes(model.draw())[-1][0] == "model"
    assert boxes(counting().filter("n > 3").draw())[-1][:2] == ("order", ["Filter", "n > 3", "stream"])


def test_texts_are_escaped_and_cut_off_and_whole_in_the_hint():
    long = "n > 1 and " * 30 + "word == '<&\"\x00\n>'"
    svg = str(table().filter(long).draw())
    root = ET.fromstring(svg)
    shown = [text.text for text in root.iter(f"{SVG}text")]
    assert all(len(text) <= 40 for text in shown)
    hints = [title.text for title in root.iter(f"{SVG}title")]
    assert any("<&" in hint and hint.count("n > 1") == 30 for hint in hints)


def test_texts_stay_inside_their_boxes():
    for _, texts, rect in boxes(table().filter("n > 1 and word != 'wwwwwwwwwwwww'").draw()):
        assert all(len(text) * 6.4 <= rect["width"] for text in texts)
        assert (len(texts)) * 17 <= rect["height"]


def test_a_long_chain_keeps_to_the_width_of_a_page():
    pipe = table()
    for _ in range(25):
        pipe = pipe.map(double)
    assert float(ET.fromstring(str(pipe.draw())).get("width")) < 1300


def test_it_shows_in_a_notebook_prints_and_is_the_same_each_time():
    pipe = table().shuffle(seed=0)
    drawing = draw(pipe)
    assert drawing._repr_svg_() == str(drawing) == str(pipe.draw())
    assert repr(drawing) == "<Drawing of 2 stages; str() is the SVG, .save(path) writes it>"
    assert "prefers-color-scheme:dark" in str(drawing)


def test_it_is_saved_as_svg(tmp_path):
    path = table().draw().save(tmp_path / "pipe.svg")
    assert ET.parse(path).getroot().tag == f"{SVG}svg"
    with pytest.raises(ValueError, match=r"draw: the picture is SVG, so its name ends in \.svg; got '.*png'"):
        table().draw().save(str(tmp_path / "pipe.png"))


def test_only_pipes_can_be_drawn():
    with pytest.raises(TypeError, match=r"draw: expected pipes; got 3 of type int\."):
        Drawing(3)
    with pytest.raises(TypeError, match=r"draw: name at least one pipe\."):
        Drawing()
