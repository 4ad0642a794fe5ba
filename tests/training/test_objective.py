"""What is minimised and what is watched."""

import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import fireworks as fw
from fireworks.errors import ColumnLengthError, ColumnTypeError, ColumnValueError
from fireworks.training.objective import RowMeans, ignored_label, loss_of, row_sum


def labelled(labels, num_classes=3):
    generator = torch.Generator().manual_seed(0)
    return fw.Message(
        {"logits": torch.randn(len(labels), num_classes, generator=generator), "label": torch.tensor(labels)}
    )


def first_column(message):
    return message["logits"][:, 0].sum()


class TestLossOf:
    def test_a_function_passes(self):
        assert loss_of(first_column) is first_column

    def test_a_function_with_two_columns_reads_them_in_order(self):
        def ordered(output, target):
            return output.sum() - 2 * target.sum()

        message = fw.Message({"a": torch.ones(3), "b": torch.ones(3)})
        assert loss_of((ordered, "a", "b"))(message).item() == -3
        assert loss_of((torch.sub, "a", "a"))(message).tolist() == [0, 0, 0]

    @pytest.mark.parametrize("function", [functional.cross_entropy, nn.CrossEntropyLoss()])
    def test_a_loss_of_torch_is_what_torch_makes_of_it(self, function):
        message = labelled([0, 2, 1])
        assert torch.equal(
            loss_of((function, "logits", "label"))(message), function(message["logits"], message["label"])
        )

    def test_columns_that_are_no_tensors_reach_a_function_that_wants_them(self):
        message = fw.Message({"logits": torch.ones(2, 3), "word": ["a", "bb"]})
        loss = loss_of((lambda output, words: output.sum() * words.str.len().sum(), "logits", "word"))
        assert loss(message).item() == 18

    @pytest.mark.parametrize(
        "loss",
        [
            *(None, "mse", 3, (), (first_column,), (first_column, "a"), (first_column, "a", "b", "c")),
            *(("mse", "a", "b"), (first_column, "a", 2), [first_column, "a", "b"]),
        ],
        ids=lambda loss: f"{loss!r:.30}",
    )
    def test_what_is_no_loss_is_refused(self, loss):
        with pytest.raises(TypeError, match=r"Trainer: loss must be a function, or \(function, output, target\); got "):
            loss_of(loss)

    def test_a_missing_column_is_named(self):
        with pytest.raises(fw.errors.ColumnNotFoundError, match=r"no column 'labels'.*Did you mean 'label'\?"):
            loss_of((functional.cross_entropy, "logits", "labels"))(labelled([0]))


class TestLabels:
    def test_labels_outside_the_classes_are_named_with_their_rows(self):
        with pytest.raises(
            ColumnValueError,
            match=r"column 'label' has 2 labels outside 0 to 2, the classes of 'logits': \[3, -1\] in rows \[1, 3\] of",
        ) as caught:
            loss_of((functional.cross_entropy, "logits", "label"))(labelled([0, 3, 2, -1]))
        assert isinstance(caught.value.__cause__, IndexError)

    def test_many_are_counted_and_five_are_shown(self):
        with pytest.raises(ColumnValueError, match=r"has 7 labels .*: \[9, 9, 9, 9, 9\] in rows \[0, 1, 2, 3, 4\]"):
            loss_of((functional.cross_entropy, "logits", "label"))(labelled([9] * 7))

    @pytest.mark.parametrize(
        "function",
        [functional.multi_margin_loss, lambda output, target: functional.one_hot(target, 3).sum() * output.sum()],
        ids=["multi_margin_loss", "one_hot"],
    )
    def test_other_functions_of_labels_are_looked_after_too(self, function):
        with pytest.raises(ColumnValueError, match=r"has 1 labels outside 0 to 2, .*: \[3\] in rows \[1\]"):
            loss_of((function, "logits", "label"))(labelled([0, 3]))

    def test_the_label_that_is_left_out_is_no_wrong_label(self):
        loss = loss_of((functional.cross_entropy, "logits", "label"))
        assert torch.equal(loss(labelled([0, -100])), functional.cross_entropy(*[labelled([0])[c] for c in ("logits", "label")]))  # fmt: skip
        with pytest.raises(ColumnValueError, match=r"has 1 labels .*: \[4\] in rows \[2\]"):
            loss(labelled([0, -100, 4]))

    @pytest.mark.parametrize(
        "function",
        [functools.partial(functional.cross_entropy, ignore_index=-1), nn.CrossEntropyLoss(ignore_index=-1)],
        ids=["partial", "module"],
    )
    def test_a_label_of_ones_own_to_leave_out_is_respected(self, function):
        loss = loss_of((function, "logits", "label"))
        assert loss(labelled([0, -1])).isfinite()
        with pytest.raises(ColumnValueError, match=r"has 2 labels .*: \[-100, 3\] in rows \[2, 3\]"):
            loss(labelled([0, -1, -100, 3]))

    def test_another_error_is_not_blamed_on_labels_that_are_left_out(self):
        def fails(output, target):
            raise RuntimeError("out of memory")

        with pytest.raises(RuntimeError, match="out of memory") as caught:
            loss_of((fails, "logits", "label"))(labelled([0, -100]))
        assert not isinstance(caught.value, ColumnValueError)

    @pytest.mark.parametrize(
        ("output", "target"),
        [
            (torch.zeros(2, 3), torch.ones(2)),
            (torch.zeros(2), torch.tensor([5, 5])),
            (torch.zeros(2, 3), torch.ones(2, 3)),
        ],
        ids=["floats", "no classes", "two dimensions"],
    )
    def test_what_holds_no_labels_keeps_its_own_error(self, output, target):
        def fails(output, target):
            raise IndexError("its own")

        with pytest.raises(IndexError, match=r"^its own$"):
            loss_of((fails, "y", "t"))(fw.Message({"y": output, "t": target}))

    def test_any_other_kind_of_error_comes_through(self):
        def fails(output, target):
            raise ZeroDivisionError("its own")

        with pytest.raises(ZeroDivisionError, match="its own"):
            loss_of((fails, "logits", "label"))(labelled([7]))

    def test_labels_that_are_no_tensor_say_what_to_write(self):
        message = labelled([0, 1]).assign(label=[0, 1])
        with pytest.raises(
            ColumnTypeError,
            match=r"column 'label' of the loss holds int64, not a tensor; put \.tensors\(\) before \.batch",
        ):
            loss_of((functional.cross_entropy, "logits", "label"))(message)

    def test_a_text_column_keeps_its_own_error(self):
        with pytest.raises(TypeError, match="must be Tensor, not"):
            loss_of((functional.cross_entropy, "logits", "label"))(labelled([0, 1]).assign(label=["a", "b"]))

    def test_the_label_that_a_loss_leaves_out_is_known(self):
        assert ignored_label(functional.cross_entropy) == -100
        assert ignored_label(functools.partial(functional.cross_entropy, ignore_index=4)) == 4
        assert ignored_label(nn.NLLLoss(ignore_index=2)) == 2


class TestRowMeans:
    def test_means_are_those_of_numpy_over_all_rows(self):
        values = np.random.default_rng(0).normal(1e6, 1, size=1000).astype(np.float32)
        means = RowMeans(["m"])
        for batch in np.split(values, [100, 101, 600]):
            rows = fw.Message({"m": torch.from_numpy(batch)})
            means.add(len(rows), {"m": row_sum("m", lambda rows: rows["m"], rows)})
        assert means.means()["m"] == pytest.approx(values.astype(np.float64).mean(), rel=1e-14)

    def test_means_come_in_the_order_of_the_names(self):
        means = RowMeans(["loss", "a"])
        means.add(2, {"a": torch.tensor(4.0), "loss": torch.tensor(6.0)})
        assert list(means.means().items()) == [("loss", 3.0), ("a", 2.0)]

    def test_no_rows_have_no_mean(self):
        assert RowMeans(["loss"]).means() == {}
        means = RowMeans(["loss"])
        means.add(1, {"loss": torch.tensor(1.0)})
        means.reset()
        assert means.means() == {}

    def test_a_state_goes_on_to_the_same_bits(self):
        whole, first, second = RowMeans(["m"]), RowMeans(["m"]), RowMeans(["m"])
        parts = torch.rand(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        for number, part in enumerate(parts):
            whole.add(3, {"m": part})
            (first if number < 4 else second).add(3, {"m": part})
            if number == 3:
                second.load_state_dict(first.state_dict())
        assert second.means() == whole.means()
        assert first.means()["m"] == float(parts[:4].sum() / 12)

    def test_what_is_given_is_not_changed(self):
        means, value = RowMeans(["m"]), torch.tensor(1.0, dtype=torch.float64)
        means.add(1, {"m": value})
        state = means.state_dict()
        means.add(1, {"m": value})
        assert (value.item(), state["sums"]["m"].item(), state["rows"]) == (1.0, 1.0, 1)


class TestRowSum:
    @pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float16, torch.float32], ids=str)
    def test_it_sums_in_float64(self, dtype):
        rows = fw.Message({"m": torch.ones(5000, dtype=dtype)})
        total = row_sum("m", lambda rows: rows["m"], rows)
        assert (total.item(), total.dtype) == (5000.0, torch.float64)

    def test_it_lets_go_of_gradients(self):
        rows = fw.Message({"m": torch.ones(2, requires_grad=True)})
        assert not row_sum("m", lambda rows: rows["m"] * 2, rows).requires_grad

    def test_no_rows_sum_to_zero(self):
        assert row_sum("m", lambda rows: rows["m"], fw.Message({"m": torch.ones(0)})).item() == 0

    @pytest.mark.parametrize(
        ("value", "got"),
        [
            *((0.5, "float"), (torch.tensor(0.5), r"\(\)"), (torch.ones(4), r"\(4,\)")),
            *((torch.ones(5, 1), r"\(5, 1\)"), (np.ones(5), "ndarray"), (None, "NoneType")),
        ],
        ids=repr,
    )
    def test_anything_but_one_value_per_row_is_refused(self, value, got):
        with pytest.raises(
            ColumnLengthError, match=rf"Trainer: metric 'm' must give one value per row, shape \(5,\); got {got}\."
        ):
            row_sum("m", lambda rows: value, fw.Message({"x": torch.ones(5)}))
