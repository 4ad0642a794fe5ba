"""A message among torch's trees: mapped, nested, vectorised, exported, and compiled without a break."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.utils import _pytree as trees

import fireworks as fw
from fireworks.errors import ColumnTypeError
from message.strategies import messages


@pytest.fixture
def tensors():
    return fw.Message({"x": torch.arange(6.0).reshape(3, 2), "y": torch.arange(3.0)})


@pytest.fixture
def mixed(tensors):
    return tensors.select("x").assign(name=["a", "b", "c"], n=np.arange(3), y=tensors["y"])


class TestTheTree:
    @settings(deadline=None, max_examples=60)
    @given(messages())
    def test_flattened_and_put_together_it_is_the_message(self, message):
        leaves, structure = trees.tree_flatten(message)
        assert [leaf is message[name] for leaf, name in zip(leaves, self.names(message), strict=True)] == [True] * len(
            leaves
        )
        again = trees.tree_unflatten(leaves, structure)
        assert type(again) is fw.Message
        assert again == message
        assert again.columns == message.columns

    def names(self, message):
        return [field.name for field in message.schema if field.is_tensor]

    def test_a_function_of_tensors_gives_a_message(self, tensors, mixed):
        assert trees.tree_map(lambda column: column * 2, tensors) == tensors.assign(
            x=tensors["x"] * 2, y=tensors["y"] * 2
        )
        doubled = trees.tree_map(lambda column: column * 2, mixed)
        assert doubled.columns == mixed.columns
        assert doubled["y"].tolist() == [0.0, 2.0, 4.0]
        assert doubled.raw("name") is mixed.raw("name")

    def test_it_nests_in_other_containers(self, mixed):
        tree = {"batch": (mixed, [mixed["y"]]), "step": torch.tensor(5)}
        mapped = trees.tree_map(lambda leaf: leaf + 1, tree)
        assert mapped["batch"][0]["y"].tolist() == mapped["batch"][1][0].tolist() == [1.0, 2.0, 3.0]
        assert mapped["step"].item() == 6
        assert len(trees.tree_leaves(tree)) == 4

    def test_two_messages_are_mapped_together(self, tensors):
        added = trees.tree_map(torch.add, tensors, trees.tree_map(torch.ones_like, tensors))
        assert added["y"].tolist() == [1.0, 2.0, 3.0]
        with pytest.raises(ValueError, match="context"):
            trees.tree_map(torch.add, tensors, tensors.rename({"x": "z"}))

    def test_rows_may_become_fewer_or_more(self, tensors):
        assert trees.tree_map(lambda column: column[:2], tensors) == tensors[:2]
        assert trees.tree_map(lambda column: torch.cat([column, column]), tensors) == fw.concat([tensors, tensors])

    def test_leaves_that_are_no_columns_come_by_name(self, tensors, mixed):
        for message in (tensors, mixed):
            assert trees.tree_map(lambda column: tuple(column.shape), message) == {"x": (3, 2), "y": (3,)}
            assert trees.tree_map(lambda column: column.sum(), message)["y"] == 3
            assert trees.tree_map(lambda column: None, message) == {"x": None, "y": None}
        assert sorted(trees.tree_map(lambda column: column[: column.dim()], tensors)) == ["x", "y"]
        # the texts of three rows can't follow tensors of two
        assert type(trees.tree_map(lambda column: column[:2], mixed)) is dict

    def test_without_tensors_there_are_no_leaves(self):
        for message in (fw.Message(), fw.Message({"s": ["a", "b"]})):
            assert trees.tree_leaves(message) == []
            assert trees.tree_map(lambda leaf: 1 / 0, message) == message

    def test_the_message_is_not_changed(self, mixed):
        before = dict(mixed._columns)
        trees.tree_map(lambda column: column + 1, mixed)
        assert mixed._columns == before


class TestStructures:
    def test_they_compare_by_names_order_and_the_other_columns(self, tensors, mixed):
        def structure(message):
            return trees.tree_structure(message)

        assert structure(tensors) == structure(tensors[:1]) == structure(tensors.to("meta"))
        assert (structure(tensors) == structure(tensors.select("y", "x"))) is False
        assert structure(mixed) == structure(fw.Message(mixed))
        assert (structure(mixed) == structure(mixed.assign(name=["a", "b", "x"]))) is False
        assert (structure(mixed) == structure(mixed.drop("name"))) is False
        assert (structure(tensors) == structure(mixed)) is False
        assert hash(structure(tensors)) == hash(structure(fw.Message(tensors)))
        assert isinstance(hash(structure(mixed)), int)

    def test_paths_are_the_names_of_the_columns(self, mixed):
        leaves, _ = trees.tree_flatten_with_path({"batch": mixed})
        assert [trees.keystr(path) for path, _ in leaves] == ["['batch']['x']", "['batch']['y']"]
        named = trees.tree_map_with_path(lambda path, column: column + (path[-1].key == "y"), mixed)
        assert named["y"].tolist() == [1.0, 2.0, 3.0]

    def test_a_structure_of_tensors_can_be_written_down(self, tensors, mixed):
        structure = trees.tree_structure([tensors, 1])
        text = trees.treespec_dumps(structure)
        assert "fireworks.Message" in text
        assert json.loads(text)
        assert trees.treespec_loads(text) == structure
        with pytest.raises(
            ColumnTypeError,
            match=r"^Message: torch writes down tensor columns only, and \['name', 'n'\] are none; select the tensors first\.$",
        ):
            trees.treespec_dumps(trees.tree_structure(mixed))


class TestFunctions:
    def test_a_function_of_one_row_is_vectorised(self, tensors, mixed):
        for message in (tensors, mixed, tensors.select("x")):
            totals = torch.vmap(lambda row: row["x"].sum())(message)
            assert totals.tolist() == [1.0, 5.0, 9.0]

    def test_gradients_of_a_message_are_a_message(self, tensors):
        gradients = torch.func.grad(lambda message: (message["x"] ** 2).sum() + 3 * message["y"].sum())(tensors)
        assert type(gradients) is fw.Message
        assert torch.equal(gradients["x"], 2 * tensors["x"])
        assert gradients["y"].tolist() == [3.0] * 3

    def test_a_module_is_called_with_a_message(self, tensors):
        class Head(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(2, 1)

            def forward(self, batch):
                return fw.Message({"score": self.linear(batch["x"]).squeeze(1), "y": batch["y"]})

        module = Head()
        zeros = {name: torch.zeros_like(weight) for name, weight in module.named_parameters()}
        found = torch.func.functional_call(module, zeros, (tensors,))
        assert found["score"].tolist() == [0.0] * 3
        assert found["y"] is tensors["y"]


def _assign(message):
    copy = fw.Message({name: message[name] for name in ("x", "y")})
    copy["z"] = message["x"] * 2
    del copy["x"]
    return copy["z"]


ON_EVERY_MESSAGE = {
    "a column": lambda message: message["x"] * 2,
    "a raw column": lambda message: message.raw("x") * 2,
    "the number of rows": lambda message: message["x"].sum() / len(message),
    "the names": lambda message: sum(message[name].sum() for name in message.columns if name in {"x", "y"}),
    "a test for a name": lambda message: message["x"] if "x" in message else message["nothing"],
    "items": lambda message: sum(column.sum() for _, column in message.select("x", "y").items()),
    "select": lambda message: message.select("y", "x")["x"] + 1,
    "a list of names": lambda message: message[["x"]]["x"] + 1,
    "drop": lambda message: message.drop("y")["x"] + 1,
    "rename": lambda message: message.rename({"x": "z"})["z"] + 1,
    "assign": lambda message: message.assign(z=message["x"] * 2, y=lambda so_far: so_far["z"].sum(1)),
    "assignment and deletion": _assign,
    "a new message": lambda message: fw.Message({"a": message["x"] * 2, "b": message["y"]}),
    "a conjugate": lambda message: fw.Message({"c": torch.complex(message["y"], message["y"]).conj()}),
    "the message itself": lambda message: message,
    "a message in a container": lambda message: {"rows": [message.select("x"), message["y"] + 1]},
    "pipe": lambda message: message.pipe(lambda rows: rows["x"] + 1),
    "another device": lambda message: message.to("cpu", dtype=torch.float64)["x"] + 1,
    "a tree": lambda message: trees.tree_map(lambda column: column * 2, message),
}
ON_TENSORS_ALONE = {
    "a slice": lambda message: message[1:3],
    "a row": lambda message: message[-1]["x"] + 1,
    "rows one by one": lambda message: sum(row["x"].sum() * row["y"].sum() for row in message),
    "concat": lambda message: fw.concat([message, message[:1]]),
}


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
class TestCompiling:
    """fullgraph=True: a graph break would be an error."""

    @pytest.fixture(autouse=True)
    def _fresh(self):
        torch._dynamo.reset()

    @pytest.mark.parametrize("name", ON_EVERY_MESSAGE)
    def test_a_function_of_a_message_has_no_graph_break(self, name, backend, tensors, mixed):
        for message in (tensors, mixed):
            self.check(ON_EVERY_MESSAGE[name], message, backend)

    @pytest.mark.parametrize("name", ON_TENSORS_ALONE)
    def test_rows_of_a_message_of_tensors_have_none(self, name, backend, tensors):
        self.check(ON_TENSORS_ALONE[name], tensors, backend)

    def check(self, function, message, backend):
        result = torch.compile(function, fullgraph=True, backend=backend)(message)
        expected = function(message)
        if isinstance(expected, torch.Tensor):
            assert torch.equal(result, expected)
        elif isinstance(expected, dict):
            assert result["rows"][0] == expected["rows"][0]
            assert torch.equal(result["rows"][1], expected["rows"][1])
        else:
            assert type(result) is fw.Message
            assert result == expected

    def test_batches_of_other_texts_are_not_compiled_again(self, backend):
        counter = torch._dynamo.testing.CompileCounterWithBackend(backend)
        double = torch.compile(lambda message: message["x"] * 2, fullgraph=True, backend=counter)
        for batch in range(5):
            rows = [f"{batch} {row}" for row in range(4)]
            result = double(
                fw.Message({"x": torch.full((4, 2), float(batch)), "name": rows, "n": np.arange(4) + batch})
            )
            assert result.tolist() == [[2.0 * batch] * 2] * 4
        assert counter.frame_count == 1

    def test_gradients_flow_through_a_compiled_function(self, backend, tensors):
        weight = torch.ones(2, requires_grad=True)
        scores = torch.compile(
            lambda message: message.assign(score=message["x"] @ weight), fullgraph=True, backend=backend
        )(tensors)
        scores["score"].sum().backward()
        assert weight.grad.tolist() == [6.0, 9.0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inductor still uses it
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_inductor_compiles_a_function_of_a_message(mixed):
    torch._dynamo.reset()
    function = ON_EVERY_MESSAGE["assign"]
    compiled = torch.compile(function, fullgraph=True)
    assert torch.allclose(compiled(mixed)["y"], function(mixed)["y"])
    assert compiled(mixed).columns == function(mixed).columns
