import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.message.frames import statistics

NAN = float("nan")


@pytest.fixture
def message():
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(50, 3, generator=generator)
    v[torch.rand(50, 3, generator=generator) < 0.2] = NAN
    return fw.Message(
        {
            "name": ["ann", "bob"] * 25,
            "x": torch.randn(50, generator=generator),
            "v": v,
            "w": torch.randint(-9, 9, (50, 2, 2), generator=generator),
            "b": torch.rand(50, 2, generator=generator) < 0.4,
            "n": np.arange(50),
        }
    )


def described(tensor, **options):
    return pd.DataFrame(tensor.flatten(1).double().numpy()).describe(**options)


class TestTensors:
    @pytest.mark.parametrize("percentiles", [None, [], [0.5], [0.9, 0.1, 0.333], np.array([0.01, 1.0])])
    @pytest.mark.parametrize("name", ["v", "w"])
    def test_each_element_is_described_as_pandas_would(self, message, name, percentiles):
        found = message.describe(percentiles)
        expected = described(message[name], percentiles=percentiles)
        assert found["statistic"].tolist() == expected.index.tolist()
        assert found[name].shape == (len(expected), *message[name].shape[1:])
        assert found[name].dtype == torch.float64
        np.testing.assert_allclose(found[name].flatten(1).numpy(), expected.to_numpy())

    def test_the_leading_column_names_the_statistics(self, message):
        found = message.describe()
        assert found.columns == ["statistic", "x", "v", "w", "n"]
        assert found["statistic"].tolist() == ["count", "mean", "std", "min", "25%", "50%", "75%", "max"]
        taken = message.assign(statistic=message["x"]).describe()
        assert taken.columns == ["statistic_index", "x", "v", "w", "n", "statistic"]

    def test_a_tensor_of_numbers_is_described_as_numbers(self, message):
        found = message.describe()["x"]
        np.testing.assert_allclose(found.numpy(), pd.Series(message["x"].numpy()).describe(), rtol=1e-6)

    def test_other_columns_are_described_by_pandas(self, message):
        assert message.describe()["n"].tolist() == pd.Series(np.arange(50)).describe().tolist()
        only = message[["name"]].describe()
        assert only["statistic"].tolist() == ["count", "unique", "top", "freq"]
        assert only["name"].tolist() == [50, 2, "ann", 25]

    def test_elements_without_a_value_and_with_one(self):
        v = torch.tensor([[NAN, 1.0, NAN], [NAN, 3.0, 7.0]])
        found = fw.Message({"v": v}).describe()["v"]
        np.testing.assert_allclose(found.numpy(), described(v).to_numpy())
        assert found[:, 0].isnan().tolist() == [False] + [True] * 7
        assert found[2, 2].isnan()

    def test_no_rows(self):
        found = fw.Message({"v": torch.zeros(0, 2), "x": torch.zeros(0)}).describe()
        assert found["v"][0].tolist() == [0.0, 0.0]
        assert found["v"][1:].isnan().all()

    def test_infinities(self):
        v = torch.tensor([[1.0, -np.inf], [np.inf, np.inf], [np.inf, 0.0]])
        found = fw.Message({"v": v}).describe([0.5])["v"]
        assert found[0].tolist() == [3.0, 3.0]
        assert found[[3, 4, 5]].tolist() == [[1.0, -np.inf], [np.inf, 0.0], [np.inf, np.inf]]
        assert found[2].isnan().all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8, torch.uint16, torch.int64])
    def test_every_type_of_number(self, dtype):
        v = torch.arange(6).reshape(3, 2).to(dtype)
        np.testing.assert_allclose(fw.Message({"v": v}).describe()["v"], described(v))

    def test_rows_are_described_some_elements_at_a_time(self, message, monkeypatch):
        whole = message.describe()
        monkeypatch.setattr(statistics, "_ELEMENTS_AT_A_TIME", 60)
        for name in ("v", "w"):
            np.testing.assert_allclose(message.describe()[name], whole[name])

    def test_gradients_and_the_message_are_left_alone(self):
        v = torch.tensor([[2.0, 1.0], [1.0, 2.0]], requires_grad=True)
        found = fw.Message({"v": v}).describe()
        assert not found["v"].requires_grad
        assert v.tolist() == [[2.0, 1.0], [1.0, 2.0]]

    def test_complex_numbers_have_no_order_and_are_left_out(self):
        message = fw.Message({"c": torch.tensor([1j, 2j]), "n": [1, 2]})
        assert message.describe().columns == ["statistic", "n"]


class TestWhichColumns:
    def test_all_have_what_applies_to_them(self, message):
        found = message.describe(include="all")
        expected = pd.DataFrame({"name": message["name"], "n": message["n"]}).describe(include="all")
        assert found.columns == ["statistic", "name", "x", "v", "w", "b", "n"]
        assert found["statistic"].tolist() == expected.index.tolist()
        rows = [found["statistic"].tolist().index(row) for row in described(message["v"]).index]
        np.testing.assert_allclose(found["v"][rows].numpy(), described(message["v"]).to_numpy())
        assert found["v"][1:4].isnan().all()

    def test_booleans_are_counted_element_by_element(self, message):
        found = message.describe(include="bool")
        assert found.columns == ["statistic", "b"]
        expected = pd.DataFrame(message["b"].numpy()).describe()
        assert found["statistic"].tolist() == expected.index.tolist()
        np.testing.assert_allclose(found["b"].numpy(), expected.astype(float).to_numpy())

    @pytest.mark.parametrize("values", [[True, False], [False, True], [True], [True, True, False], []])
    def test_of_equally_many_the_first_is_on_top(self, values):
        found = fw.Message({"b": torch.tensor(values, dtype=torch.bool)[:, None]}).describe(include="bool")["b"]
        expected = pd.Series(values, dtype=bool).describe().astype(float)
        np.testing.assert_allclose(found[:, 0].numpy(), expected.to_numpy())

    def test_tensors_are_chosen_by_the_type_of_their_elements(self, message):
        assert message.describe(include=["int64"]).columns == ["statistic", "w", "n"]
        assert message.describe(exclude=["float32", "str", "bool"]).columns == ["statistic", "w", "n"]

    def test_bad_choices_are_refused_as_in_pandas(self, message):
        with pytest.raises(ValueError, match="percentiles should all be in the interval"):
            message.describe([1.5])
        with pytest.raises(ValueError, match="exclude must be None when include is 'all'"):
            message.describe(include="all", exclude="int64")
        with pytest.raises(ValueError, match="Cannot describe a DataFrame without columns"):
            fw.Message().describe()
