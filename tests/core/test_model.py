"""Models: a module that reads and writes columns, stands in a chain, and is still a whole torch.nn.Module."""

import copy
import pickle

import pytest
import torch
from torch import nn

import fireworks as fw
from fireworks.core.model import upstream_pipes
from fireworks.testing import PipeContract
from pipelines import counting, double, table


def linear(seed, num_in, num_out, in_column="x", out_column="y", **arguments):
    torch.manual_seed(seed)
    return fw.Model(nn.Linear(num_in, num_out), in_columns=[in_column], out_columns=[out_column], **arguments)


def chained():
    first = linear(0, 3, 4, "x", "hidden")
    return first, linear(1, 4, 2, "hidden", "y", input=first)


def rows(num_rows=5):
    generator = torch.Generator().manual_seed(2)
    return fw.Message({"x": torch.randn(num_rows, 3, generator=generator), "word": ["a"] * num_rows})


class Swap(nn.Module):
    def forward(self, left, right):
        return right, left


class Line(fw.Model):
    """A model written by hand, as in the first Fireworks: y = m x + b."""

    def __init__(self, m=1.0, b=0.0, input=None):
        super().__init__(input=input)
        self.m, self.b = nn.Parameter(torch.tensor(m)), nn.Parameter(torch.tensor(b))
        self.in_column, self.out_column = "x", "y"

    def forward(self, message):
        return message.assign(**{self.out_column: self.m * message[self.in_column] + self.b})


class TestWrapsAModule:
    def test_one_column_in_one_out(self):
        model = linear(0, 3, 2)
        expected = rows()["x"] @ model.module.weight.T + model.module.bias
        assert torch.allclose(model(rows())["y"], expected)

    def test_several_columns_in_and_out(self):
        model = fw.Model(Swap(), in_columns=["a", "b"], out_columns=["c", "d"])
        result = model(fw.Message({"a": torch.arange(3), "b": torch.arange(3) * 2}))
        assert result.to_dict() == {"a": [0, 1, 2], "b": [0, 2, 4], "c": [0, 2, 4], "d": [0, 1, 2]}

    def test_a_list_of_tensors_is_as_good_as_a_tuple(self):
        class Both(nn.Module):
            def forward(self, x):
                return [x, x + 1]

        result = fw.Model(Both(), in_columns=["x"], out_columns=["x", "y"])(rows())
        assert torch.equal(result["y"], rows()["x"] + 1)

    def test_the_message_that_it_is_given_stays_as_it_was(self):
        message = rows()
        before = copy.deepcopy(message)
        linear(0, 3, 3, out_column="x")(message)
        assert message == before

    def test_other_columns_are_shared(self):
        message = rows()
        assert linear(0, 3, 2)(message)["x"] is message["x"]

    def test_a_mapping_is_a_message_too(self):
        assert linear(0, 3, 2)({"x": torch.zeros(2, 3)})["y"].shape == (2, 2)

    def test_no_rows_give_no_rows(self):
        assert linear(0, 3, 2)(rows()[:0])["y"].shape == (0, 2)


class TestSubclass:
    def test_forward_is_from_message_to_message(self):
        result = Line(m=2.0, b=1.0)(fw.Message({"x": torch.arange(3.0)}))
        assert result["y"].tolist() == [1.0, 3.0, 5.0]

    def test_its_parts_are_those_of_a_module(self):
        assert dict(Line().named_parameters()).keys() == {"m", "b"}

    def test_a_model_without_forward_says_so(self):
        class Empty(fw.Model):
            pass

        with pytest.raises(NotImplementedError, match=r"Empty: a model without a module must write forward\(message\)"):
            Empty()(rows())

    def test_forward_that_forgets_to_return_is_told(self):
        class Forgetful(fw.Model):
            def forward(self, message):
                message.assign(y=message["x"])

        with pytest.raises(TypeError, match=r"Forgetful\(\): the function must return a Message; it returned NoneType"):
            Forgetful()(rows())

    def test_forward_that_drops_rows_is_told(self):
        class Dropping(fw.Model):
            def forward(self, message):
                return message[1:]

        with pytest.raises(ValueError, match=r"Dropping\(\): 5 rows went in, 4 came out"):
            Dropping()(rows())

    @pytest.mark.parametrize("name", ["head", "flow", "map", "stages", "forward", "input"])
    def test_a_part_that_a_method_of_pipes_would_hide_is_refused(self, name):
        class Net(fw.Model):
            def __init__(self):
                super().__init__()
                setattr(self, name, nn.Linear(1, 1))

        with pytest.raises(
            AttributeError, match=f"Net: every model has a '{name}' of its own as a pipe, which would hide the Linear"
        ):
            Net()

    def test_a_parameter_that_a_method_of_pipes_would_hide_is_refused(self):
        model = Line()
        with pytest.raises(
            AttributeError, match="which would hide the Parameter; give that another name, such as take_"
        ):
            model.take = nn.Parameter(torch.zeros(1))


class TestChain:
    def test_the_last_model_runs_all(self):
        first, last = chained()
        hidden = first.module(rows()["x"])
        result = last(rows())
        assert torch.equal(result["hidden"], hidden)
        assert torch.equal(result["y"], last.module(hidden))

    def test_the_input_is_no_submodule(self):
        first, last = chained()
        assert last.input is first
        assert list(last.state_dict()) == ["module.weight", "module.bias"]
        assert [id(p) for p in last.parameters()] == [id(p) for p in last.module.parameters()]
        assert first not in list(last.modules())
        assert [name for name, _ in last.named_children()] == ["module"]

    def test_a_pipe_between_two_models_runs_too(self):
        data = fw.source(rows())
        first = linear(0, 3, 4, "x", "hidden", input=data)
        last = linear(1, 4, 2, "hidden", "y", input=first.map(halve))
        assert torch.equal(last(rows())["y"], last.module(first.module(rows()["x"]) / 2))

    def test_a_call_and_a_pass_over_data_agree(self):
        data = fw.source(rows())
        first = linear(0, 3, 4, "x", "hidden", input=data)
        last = linear(1, 4, 2, "hidden", "y", input=first)
        assert last.to_message() == last(rows())

    def test_no_input_is_no_data(self):
        with pytest.raises(TypeError, match="Model has no input"):
            len(linear(0, 3, 2))


def halve(message):
    return message.assign(hidden=message["hidden"] / 2)


class TestAttributes:
    """Our own come first, then those upstream, nearest first; a private one is never looked for upstream."""

    def test_a_parameter_upstream_is_found(self):
        first = Line()
        last = linear(0, 1, 1, "y", "z", input=first)
        assert last.m is first.m

    def test_a_submodule_and_a_buffer_upstream_are_found(self):
        class Base(fw.Model):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv1d(1, 1, 1)
                self.register_buffer("seen", torch.zeros(1))

            def forward(self, message):
                return message

        base = Base()
        last = Line(input=Line(input=base))
        assert last.conv is base.conv
        assert last.seen is base.seen

    def test_an_own_one_comes_first(self):
        assert Line(m=2.0, input=Line(m=1.0)).m.item() == 2.0

    def test_the_nearest_comes_first(self):
        far = Line(m=1.0)
        near = linear(0, 1, 1, "y", "z", input=far)
        near.m = "near"
        assert linear(1, 1, 1, "z", "w", input=near).m == "near"

    def test_what_data_upstream_knows_is_found(self):
        assert linear(0, 3, 2, input=fw.source(rows()).shuffle(seed=7)).seed == 7

    def test_a_private_one_is_never_looked_for_upstream(self):
        first, last = chained()
        first._secret = 1
        first.register_buffer("_hidden", torch.zeros(1))
        for name in ("_secret", "_hidden"):
            with pytest.raises(AttributeError, match=name):
                getattr(last, name)

    def test_assignment_never_goes_upstream(self):
        first = Line(m=1.0)
        last = Line(m=2.0, input=first)
        last.b = nn.Parameter(torch.tensor(9.0))
        last.out_column = "z"
        assert (first.b.item(), first.out_column) == (0.0, "y")

    def test_a_name_taken_upstream_is_free_here(self):
        class Counting(fw.Model):
            def __init__(self, input=None):
                super().__init__(input=input)
                self.register_buffer("count", torch.zeros(()))
                self.add_module("part", nn.Linear(1, 1))
                self.register_parameter("scale", nn.Parameter(torch.ones(())))

        first = Counting()
        last = Counting(input=first)
        assert last.input is first
        assert list(last.state_dict()) == list(first.state_dict())
        assert last.count is not first.count
        with pytest.raises(KeyError, match="attribute 'count' already exists"):
            last.register_parameter("count", None)

    def test_an_attribute_error_inside_a_property_comes_through(self):
        class Broken(fw.Model):
            @property
            def depth(self):
                return self.module.no_such_thing

        model = Broken(nn.Linear(1, 1), in_columns=["x"], out_columns=["y"], input=fw.source(rows()))
        with pytest.raises(AttributeError, match="'Linear' object has no attribute 'no_such_thing'"):
            model.depth  # noqa: B018
        with pytest.raises(AttributeError, match="'Linear' object has no attribute 'no_such_thing'"):
            linear(0, 1, 1, input=model).depth  # noqa: B018
        deep = linear(0, 1, 1)
        deep.depth = nn.Parameter(torch.zeros(()))
        model = Broken(nn.Linear(1, 1), in_columns=["x"], out_columns=["y"], input=deep)
        with pytest.raises(AttributeError, match="'Linear' object has no attribute 'no_such_thing'"):
            model.depth  # noqa: B018

    def test_an_unknown_one_lists_who_was_asked(self):
        _, last = chained()
        with pytest.raises(
            fw.errors.NotFoundUpstreamError, match="no 'in_colums' here or upstream; asked Model <- Model"
        ):
            last.in_colums  # noqa: B018


class TestParameters:
    def test_all_parameters_walk_upstream(self):
        first, last = chained()
        assert set(map(id, last.all_parameters())) == set(map(id, [*first.parameters(), *last.parameters()]))
        assert list(map(id, first.all_parameters())) == list(map(id, first.parameters()))

    def test_models_behind_a_junction_are_found_once(self):
        base = linear(0, 3, 4, "x", "hidden", input=fw.source(rows()).select("x"))
        left, right = linear(1, 4, 2, "hidden", "left", input=base), linear(2, 4, 2, "hidden", "right", input=base)
        both = fw.Zip({"left": left.select("left"), "right": right.select("right")})
        last = linear(3, 2, 1, "left", "y", input=both)
        found = list(last.all_parameters())
        assert len(found) == 8
        assert len(set(map(id, found))) == 8
        assert [pipe for pipe in upstream_pipes(last) if isinstance(pipe, fw.Model)] == [last, left, base, right]

    def test_shared_parameters_come_once(self):
        first, last = Line(), linear(0, 1, 1, "y", "z")
        shared = Line(input=first)
        shared.m = first.m
        assert len(list(shared.all_parameters())) == 3
        assert len(list(last.all_parameters())) == 2

    def test_models_inside_models_and_what_is_upstream_of_them_are_found(self):
        class Outer(fw.Model):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner
                self.b = nn.Parameter(torch.zeros(()))

            def forward(self, message):
                result = self.inner(message)
                return result.assign(z=result["y"] + self.b)

        inner = Line(m=3.0, input=Line(m=2.0))
        outer = Outer(inner)
        assert len(list(outer.parameters())) == 3
        assert len(list(outer.all_parameters())) == 5
        outer(fw.Message({"x": torch.ones(2)}))["z"].sum().backward()
        assert inner.input.b.grad is None  # y is overwritten from x, so only the inner line counts
        assert inner.m.grad.item() == 2.0

    def test_frozen_ones_are_among_them(self):
        first, last = chained()
        first.freeze()
        assert [parameter.requires_grad for parameter in last.all_parameters()] == [True, True, False, False]


class TestFreezing:
    def make(self):
        net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1)))
        return fw.Model(net, in_columns=["x"], out_columns=["y"])

    def trained(self, model):
        return [name for name, parameter in model.named_parameters() if parameter.requires_grad]

    def test_everything_without_a_name(self):
        model = self.make()
        model.freeze()
        assert self.trained(model) == []
        model.unfreeze()
        assert len(self.trained(model)) == 6

    def test_parts_of_nested_modules_by_name(self):
        model = self.make()
        model.freeze("module.2.1", "module.0.bias")
        assert self.trained(model) == ["module.0.weight", "module.2.0.weight", "module.2.0.bias"]
        model.unfreeze("module.2")
        assert self.trained(model) == [name for name, _ in model.named_parameters() if name != "module.0.bias"]

    def test_a_name_is_no_prefix_of_letters(self):
        net = nn.ModuleDict({"in": nn.Linear(1, 1), "inner": nn.Linear(1, 1)})
        model = fw.Model(net, in_columns=["x"], out_columns=["y"])
        model.freeze("module.in")
        assert self.trained(model) == ["module.inner.weight", "module.inner.bias"]

    def test_a_shared_parameter_has_every_name_that_it_is_given(self):
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        net[1].weight = net[0].weight
        model = fw.Model(net, in_columns=["x"], out_columns=["y"])
        model.freeze("module.1")
        assert self.trained(model) == ["module.0.bias"]

    def test_models_upstream_stay_as_they_are(self):
        first, last = chained()
        last.freeze()
        assert len(self.trained(first)) == 2

    def test_an_unknown_name_lists_those_that_there_are(self):
        for act in (self.make().freeze, self.make().unfreeze):
            with pytest.raises(ValueError, match=r"no parameter 'modules'; parameters are \['module\.0\.weight', "):
                act("modules")


class TestStaysAModule:
    def test_hooks_fire_once_per_call(self):
        first, last = chained()
        seen = []
        first.register_forward_pre_hook(lambda module, arguments: seen.append(("before", len(arguments[0]))))
        first.register_forward_hook(lambda module, arguments, result: seen.append(("after", "hidden" in result)))
        last(rows())
        assert seen == [("before", 5), ("after", True)]

    def test_hooks_fire_in_a_pipeline_too(self):
        model = linear(0, 3, 2, input=fw.source(rows()).batch(2))
        seen = []
        model.register_forward_hook(lambda module, arguments, result: seen.append(len(result)))
        list(model)
        assert seen == [2, 2, 1]

    def test_its_state_goes_into_another(self):
        one, other = linear(0, 3, 2), linear(1, 3, 2)
        other.load_state_dict(one.state_dict())
        assert other(rows()) == one(rows())

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_a_copy_of_a_chain_is_equal_and_apart(self, copied):
        _, last = chained()
        again = copied(last)
        assert again(rows()) == last(rows())
        assert again.input.module.weight is not last.input.module.weight
        with torch.no_grad():
            again.input.module.weight.zero_()
        assert again(rows()) != last(rows())

    def test_a_copy_of_a_model_over_data_runs(self):
        model = linear(0, 3, 2, input=fw.source(rows()).batch(2))
        whole = list(model.at_epoch(0))
        again = copy.deepcopy(model)
        assert list(again.at_epoch(0)) == whole

    def test_train_eval_and_apply_work(self):
        model = fw.Model(nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.9)), in_columns=["x"], out_columns=["y"])
        assert model.eval() is model
        assert model(rows()) == model(rows())
        model.train()
        assert model.module[1].training
        seen = []
        model.apply(lambda module: seen.append(type(module).__name__))
        assert seen == ["Linear", "Dropout", "Sequential", "Model"]

    def test_to_converts_it_and_leaves_what_is_upstream(self):
        first, last = chained()
        assert last.to(torch.float64) is last
        assert last.module.weight.dtype == torch.float64
        assert first.module.weight.dtype == torch.float32

    def test_it_trains_inside_another_module(self):
        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = linear(0, 3, 2)
                self.rest = nn.Linear(2, 1)

            def forward(self, message):
                return self.rest(self.model(message)["y"])

        outer = Outer()
        assert list(outer.state_dict()) == ["model.module.weight", "model.module.bias", "rest.weight", "rest.bias"]
        outer(rows()).sum().backward()
        assert outer.model.module.weight.grad is not None
        again = Outer()
        again.load_state_dict(outer.state_dict())
        assert torch.equal(again(rows()), outer(rows()))

    def test_it_stands_in_a_sequential(self):
        net = nn.Sequential(linear(0, 3, 4, "x", "hidden"), linear(1, 4, 2, "hidden", "y"))
        assert torch.equal(net(rows())["y"], chained()[1](rows())["y"])


class TestInAPipeline:
    def test_it_gets_rows_on_the_fixed_grid(self):
        seen = []
        model = linear(0, 3, 2, input=fw.source({"x": torch.randn(2500, 3)}))
        model.module.register_forward_hook(lambda module, arguments, result: seen.append(len(result)))
        model[10:20]
        list(model.batch(300))
        assert seen == [1024, 1024, 1024, 452]

    def test_results_are_the_same_however_rows_are_read(self):
        model = linear(0, 3, 2, input=fw.source({"x": torch.randn(2500, 3)}))
        whole = model.to_message()
        assert model[[7, 2400, 1100]] == whole.take([7, 2400, 1100])
        assert fw.concat(model.batch(333)) == whole

    def test_it_gets_batches_behind_batch(self):
        model = linear(0, 3, 2, input=fw.source(rows()).batch(2))
        assert [batch["y"].shape for batch in model] == [(2, 2), (2, 2), (1, 2)]

    def test_an_error_names_the_stage_and_the_rows(self):
        model = linear(0, 4, 2, input=fw.source(rows()))
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
            model.to_message()
        assert "In Model(Linear: x -> y), built at " in caught.value.__notes__[1]
        assert "on rows [0, 1, 2, 3, 4] of the source" in caught.value.__notes__[1]
        assert "one tensor per column: x: (5, 3)" in caught.value.__notes__[0]


STAGES = {
    "over rows": lambda: linear(0, 3, 2, input=table()),
    "over batches": lambda: linear(0, 3, 2, input=table().batch(4)),
    "over a stream": lambda: linear(0, 2, 2, input=counting().map(floating)),
    "behind a shuffle and before a batch": lambda: linear(0, 3, 2, input=table().map(double).shuffle(seed=0)),
    "behind another model": lambda: linear(1, 4, 2, "hidden", "y", input=linear(0, 3, 4, "x", "hidden", input=table())),
}


def floating(message):
    return message.assign(x=message["x"].float())


@pytest.mark.parametrize("name", STAGES)
class TestKeepsTheContract(PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        def make():
            model = STAGES[name]()
            for pipe in upstream_pipes(model):  # a result that waits for gradients can't be copied
                if isinstance(pipe, fw.Model):
                    pipe.freeze()
            return model

        return make


class TestRepr:
    def test_alone_it_shows_its_module(self):
        assert repr(linear(0, 3, 2)) == ("Model(\n  (module): Linear(in_features=3, out_features=2, bias=True)\n)")

    def test_in_a_chain_it_shows_the_chain(self):
        assert repr(chained()[1]) == "Model(Linear: x -> hidden) → Model(Linear: hidden -> y)"

    def test_a_subclass_has_its_own_name(self):
        class Net(fw.Model):
            pass

        assert Net(nn.ReLU(), ["x"], ["y"]).describe() == "Net(ReLU: x -> y)"
        assert Line().describe() == "Line()"


class TestBadInput:
    def test_no_module_is_refused(self):
        with pytest.raises(TypeError, match=r"Model: expected a torch\.nn\.Module; got function"):
            fw.Model(halve, in_columns=["x"], out_columns=["y"])

    @pytest.mark.parametrize(
        "names", [{"in_columns": "x", "out_columns": ["y"]}, {"in_columns": ["x"], "out_columns": "y"}]
    )
    def test_a_text_is_no_list_of_names(self, names):
        with pytest.raises(TypeError, match=r"in_columns and out_columns are lists of names; write in_columns=\['x'\]"):
            fw.Model(nn.ReLU(), **names)

    @pytest.mark.parametrize(
        "arguments",
        [
            (nn.ReLU(),),
            (nn.ReLU(), ["x"]),
            (nn.ReLU(), [], ["y"]),
            (None, ["x"], ["y"]),
            (None, ["x"]),
            (None, [], ["y"]),
        ],
    )
    def test_module_and_columns_come_together(self, arguments):
        with pytest.raises(ValueError, match="a module needs in_columns and out_columns; a subclass writes forward"):
            fw.Model(*arguments)

    def test_an_input_that_is_no_pipe_is_refused(self):
        with pytest.raises(TypeError, match=r"Model: input must be a pipe; got Linear"):
            linear(0, 3, 2, input=nn.Linear(1, 1))

    def test_a_missing_column_is_named(self):
        with pytest.raises(
            fw.errors.ColumnNotFoundError,
            match=r"Model\(Linear: words -> y\): no column 'words'; columns are .*Did you mean 'word'\?",
        ):
            linear(0, 3, 2, "words")(rows())

    def test_a_column_that_is_no_tensor_is_named(self):
        with pytest.raises(
            fw.errors.ColumnTypeError, match=r"column 'word' holds str, not a tensor; put \.tensors\(\)"
        ):
            linear(0, 3, 2, "word")(rows())

    @pytest.mark.parametrize(("returned", "kind"), [(3, "int"), ({"y": torch.zeros(5)}, "dict"), ((1, 2), "tuple")])
    def test_a_module_that_returns_no_tensors_is_named(self, returned, kind):
        model = fw.Model(Returning(returned), in_columns=["x"], out_columns=["y"])
        with pytest.raises(
            fw.errors.ColumnTypeError, match=f"the module must return a tensor or a tuple of tensors; got {kind}"
        ):
            model(rows())

    def test_another_number_of_tensors_is_told(self):
        model = fw.Model(Returning((torch.zeros(5), torch.zeros(5))), in_columns=["x"], out_columns=["y"])
        with pytest.raises(fw.errors.ColumnLengthError, match=r"returned 2 tensors for out_columns \['y'\]"):
            model(rows())

    @pytest.mark.parametrize("shape", [(), (4,), (1, 5)])
    def test_another_number_of_rows_is_told(self, shape):
        model = fw.Model(Returning(torch.zeros(shape)), in_columns=["x"], out_columns=["y"])
        with pytest.raises(fw.errors.ColumnLengthError) as caught:
            model(rows())
        assert f"column 'y' must have 5 rows, as the input has; the module returned shape {shape}" in str(caught.value)

    def test_no_message_is_refused(self):
        with pytest.raises(TypeError, match=r"expected a mapping from names to columns, rows, .* got Tensor"):
            linear(0, 3, 2)(torch.zeros(3))


class Returning(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def forward(self, *tensors):
        return self.returned


class TestNothingIsChangedInPlace:
    def test_a_module_that_works_in_place_is_refused_before_it_spoils_more(self):
        data = fw.source({"x": torch.tensor([[-1.0], [2.0]])})
        model = fw.Model(torch.nn.ReLU(inplace=True), in_columns=["x"], out_columns=["y"])
        with pytest.raises(fw.errors.ColumnValueError, match=r"changed column 'x' in place.*write inplace=False"):
            model(data.batch(2)[0])

    def test_a_layer_behind_the_first_may_work_in_place(self):
        net = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(inplace=True))
        model = fw.Model(net, in_columns=["x"], out_columns=["y"])
        assert len(model(fw.Message({"x": torch.ones(3, 1)}))) == 3

    def test_inference_mode_works(self):
        model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["y"])
        with torch.inference_mode():
            assert len(model(fw.Message({"x": torch.ones(3, 1)}))) == 3


class TestChainsWithoutASource:
    def test_a_stage_behind_a_model_is_called_with_the_whole_message(self):
        model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["y"])
        sizes = []

        def count(rows):
            sizes.append(len(rows))
            return rows

        assert len(model.map(count)(fw.Message({"x": torch.ones(3000, 1)}))) == 3000
        assert sizes == [3000]

    def test_a_stage_behind_a_model_finds_its_submodules(self):
        model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["y"])
        assert model.map(lambda rows: rows).module is model.module


class TestModes:
    def test_evaluation_mode_reaches_the_models_upstream(self):
        first = fw.Model(torch.nn.Dropout(0.5), in_columns=["x"], out_columns=["h"])
        last = fw.Model(torch.nn.Identity(), in_columns=["h"], out_columns=["y"], input=first)
        assert last.eval() is last
        assert not first.module.training
        message = fw.Message({"x": torch.ones(50, 1)})
        assert torch.equal(last(message)["y"], last(message)["y"])
        last.train()
        assert first.module.training


def test_a_class_in_place_of_a_module_is_told():
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module; got the class Linear; make one: Linear\(…\)"):
        fw.Model(torch.nn.Linear, in_columns=["x"], out_columns=["y"])


def test_evaluating_from_several_threads_puts_each_module_back_once():
    import threading

    from fireworks.core.model import evaluating

    module = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout())
    module[1].eval()
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with evaluating(module):
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=stay)
    with evaluating(module):
        thread.start()
        entered.wait(20)
    assert not module.training  # the thread still has it
    leave.set()
    thread.join()
    assert [module.training, module[0].training, module[1].training] == [True, True, False]
