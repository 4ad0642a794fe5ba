"""Messages in a DataLoader: as a dataset, as the rows of one, nested, and through worker processes."""

import multiprocessing

import pytest
import torch
from torch.utils.data import DataLoader, default_collate

import fireworks as fw
from fireworks.message.pytorch.loader import collate
from message.datasets import Rows, Stream, in_a_dict, in_a_tuple, table


class TestCollating:
    def test_rows_become_one_message(self):
        assert default_collate(list(table())) == table()
        assert collate(list(table())) == table()

    def test_batches_become_one_message(self):
        assert default_collate([table()[:3], table()[3:]]) == table()

    def test_they_nest_in_tuples_and_dicts_as_everything_does(self):
        rows, positions = default_collate([(table()[i], i) for i in (4, 2)])
        assert rows == table()[[4, 2]]
        assert positions.tolist() == [4, 2]
        assert default_collate([{"rows": table()[i]} for i in (4, 2)])["rows"] == table()[[4, 2]]

    def test_rows_that_differ_are_an_error_that_names_the_column(self):
        with pytest.raises(fw.errors.SchemaMismatchError, match="column 'x' differs"):
            default_collate([table()[0], table()[1].to(dtype=torch.float64)])


class TestAMessageAsDataset:
    @pytest.mark.parametrize("drop_last", [False, True])
    def test_batches_are_messages_in_order(self, drop_last):
        batches = list(DataLoader(table(), batch_size=4, drop_last=drop_last))
        assert [type(batch) for batch in batches] == [fw.Message] * len(batches)
        assert fw.concat(batches) == table()[: 8 if drop_last else 10]

    def test_a_batch_is_one_gather(self, monkeypatch):
        taken = []
        take = fw.Message.take
        monkeypatch.setattr(fw.Message, "take", lambda self, rows: taken.append(rows) or take(self, rows))
        list(DataLoader(table(), batch_size=5, collate_fn=lambda batch: batch))
        assert taken == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]

    def test_shuffled_and_sampled_rows_keep_together(self):
        generator = torch.Generator().manual_seed(0)
        rows = fw.concat(DataLoader(table(), batch_size=3, shuffle=True, generator=generator))
        assert sorted(rows["n"]) == list(range(10))
        assert rows == table()[rows["n"].tolist()]
        assert fw.concat(DataLoader(table(), batch_size=3, sampler=[5, 5, 1]))["n"].tolist() == [5, 5, 1]

    def test_without_batches_each_row_comes_alone(self):
        rows = list(DataLoader(table(), batch_size=None))
        assert [len(row) for row in rows] == [1] * 10
        assert fw.concat(rows) == table()

    def test_a_collate_function_of_ones_own_gets_rows(self):
        batches = DataLoader(table(), batch_size=4, collate_fn=lambda rows: [row["name"].iloc[0] for row in rows])
        assert next(iter(batches)) == ["row 0", "row 1", "row 2", "row 3"]


class TestADatasetOfMessages:
    def test_rows_of_a_dataset_become_batches(self):
        assert fw.concat(DataLoader(Rows(), batch_size=4)) == table()

    def test_rows_of_a_stream_become_batches(self):
        batches = list(DataLoader(Stream(), batch_size=4))
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert fw.concat(batches) == table()

    def test_messages_are_nested_as_the_dataset_nests_them(self):
        rows, positions = next(iter(DataLoader(Rows(in_a_tuple), batch_size=4)))
        assert rows == table()[:4]
        assert positions.tolist() == [0, 1, 2, 3]
        batch = next(iter(DataLoader(Rows(in_a_dict), batch_size=4)))
        assert batch["rows"] == table()[:4]
        assert batch["position"].tolist() == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12, of fork
class TestWorkers:
    @pytest.mark.parametrize(
        ("dataset", "method"),
        [(table(), "fork"), (Rows(), "fork"), (Rows(in_a_tuple), "spawn"), (table(), "forkserver")],
        ids=["message by fork", "rows by fork", "nested rows by spawn", "message by forkserver"],
    )
    def test_batches_come_out_of_workers_as_they_went_in(self, dataset, method):
        if method not in multiprocessing.get_all_start_methods():
            pytest.skip(f"this system has no {method}")
        loader = DataLoader(dataset, batch_size=4, num_workers=2, multiprocessing_context=method)
        batches = [batch[0] if isinstance(batch, list) else batch for batch in loader]
        assert fw.concat(batches) == table()

    def test_a_batch_that_was_handed_over_can_be_changed(self):
        for batch in DataLoader(table(), batch_size=4, num_workers=1):
            batch["x"].zero_()
            batch["new"] = torch.ones(len(batch))
            assert batch.columns == ["x", "n", "name", "new"]


class TestPinning:
    def test_torch_pins_a_message_by_its_own_method(self, monkeypatch):
        pinned = []
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.shape) or tensor)
        batch = torch.utils.data._utils.pin_memory.pin_memory({"batch": table()})
        assert batch["batch"] == table()
        assert pinned == [(10, 2)]

    @pytest.mark.skipif(torch.accelerator.is_available(), reason="says what is said where there is no accelerator")
    def test_without_an_accelerator_torch_warns_and_goes_on(self):
        with pytest.warns(UserWarning, match="no accelerator is found"):
            batches = list(DataLoader(table(), batch_size=4, pin_memory=True))
        assert fw.concat(batches) == table()

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_batches_are_pinned_for_a_gpu(self, num_workers):
        for batch in DataLoader(table(), batch_size=4, pin_memory=True, num_workers=num_workers):
            assert batch["x"].is_pinned()
            assert batch.cuda(columns="x")["x"].is_cuda
