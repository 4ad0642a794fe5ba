"""Datasets of Hugging Face as sources: rows out of their Arrow table."""

import datetime as dt
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

import fireworks as fw
from pipelines import double, numbers

datasets = pytest.importorskip("datasets")

NUM_ROWS = 21
COLUMNS = {
    "n": list(range(NUM_ROWS)),
    "w": [i / 7 for i in range(NUM_ROWS)],
    "k": [None if i == 20 else i for i in range(NUM_ROWS)],
    "word": [f"w{i}" for i in range(NUM_ROWS)],
    "tags": [[i] * (i % 3) for i in range(NUM_ROWS)],
    "day": [dt.datetime(2024, 1, 1 + i) for i in range(NUM_ROWS)],  # noqa: DTZ001
}
WHOLE = datasets.Dataset.from_dict(COLUMNS)


def made():
    return WHOLE.select(range(NUM_ROWS))


class TestHuggingFaceSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "indices", "batched", "shuffled", "stream"])
    def make_pipe(self, request):
        def make():
            if request.param == "stream":
                return fw.source(made().select(range(7)).to_iterable_dataset())
            data = made()
            if request.param == "indices":
                data = data.select([20, 3, 3, 9, 15])
            pipe = fw.source(data)
            if request.param == "batched":
                return pipe.select("n", "w").map(double).batch(7)
            return pipe.shuffle(seed=0) if request.param == "shuffled" else pipe

        return make


def test_columns_have_the_types_of_the_table_for_all_rows():
    pipe = fw.source(made())
    rows = pipe.to_message()
    assert {name: rows[name].tolist() for name in ("n", "w", "word")} == {n: COLUMNS[n] for n in ("n", "w", "word")}
    assert str(rows.schema["k"].dtype) == "Int64"
    assert all(row.schema == rows.schema == pipe.schema for row in pipe)
    assert pipe[[20, 4]]["k"].isna().tolist() == [True, False]
    assert [list(tags) for tags in rows["tags"]] == COLUMNS["tags"]
    assert repr(pipe) == "HuggingFace(21 rows: n, w, k, word, tags, day)"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.shuffle(seed=1),
        lambda data: data.select(range(3, 12)),
        lambda data: data.filter(lambda n: n % 2 == 0, input_columns="n"),
        lambda data: data.select([]),
        lambda data: datasets.concatenate_datasets([data, data]),
        lambda data: data.remove_columns("word").rename_column("n", "m"),
        lambda data: data.with_format("arrow"),
    ],
    ids=["shuffle", "select", "filter", "none", "concatenate", "columns", "format"],
)
def test_what_was_done_to_the_dataset_holds(change, monkeypatch):
    data = change(made())
    pipe, plain = fw.source(data), data.with_format(None)
    name = "n" if "n" in data.column_names else "m"
    assert len(pipe) == len(data)
    assert pipe.known_columns == data.column_names
    assert pipe.to_message()[name].tolist() == list(plain[name])
    assert pipe[::-2][name].tolist() == list(plain[name])[::-2]
    assert pipe[2:5][name].tolist() == list(plain[name])[2:5]


def test_rows_of_many_pieces_come_in_the_order_asked_for():
    parts = [made().select(range(start, start + 4)).flatten_indices() for start in range(0, 20, 4)]
    data = datasets.concatenate_datasets([*parts, parts[0].select([])])
    assert data.data.table.column("n").num_chunks >= 5
    random = np.random.default_rng(0)
    for other in (data, data.shuffle(seed=3)):
        expected = list(other["n"])
        pipe = fw.source(other)
        for _ in range(20):
            rows = random.integers(0, 20, random.integers(0, 30))
            assert pipe[rows]["n"].tolist() == [expected[row] for row in rows]
            assert pipe[rows]["word"].tolist() == [f"w{expected[row]}" for row in rows]
            start, stop = sorted(random.integers(0, 21, 2).tolist())
            assert pipe[start:stop]["n"].tolist() == expected[start:stop]


def test_features_of_several_dimensions_are_read():
    features = datasets.Features(
        {"x": datasets.Array2D((2, 2), "float32"), "kind": datasets.ClassLabel(names=["a", "b"])}
    )
    data = datasets.Dataset.from_dict({"x": np.arange(12.0).reshape(3, 2, 2), "kind": [0, 1, 0]}, features=features)
    rows = fw.source(data)[[2, 0]]
    assert [np.stack([np.asarray(line) for line in one]).tolist() for one in rows["x"]] == [
        [[8.0, 9.0], [10.0, 11.0]],
        [[0.0, 1.0], [2.0, 3.0]],
    ]
    assert rows["kind"].tolist() == [0, 0]


def test_numbers_share_the_memory_of_the_table():
    data = made()
    column = fw.source(data)[3:9].raw("w")
    address = data.data.column("w").chunk(0).buffers()[1].address
    assert column.__array_interface__["data"][0] == address + 3 * 8


def test_a_format_of_its_own_says_what_items_are():
    torches = fw.source(datasets.Dataset.from_dict({"x": [[1.0, 2.0], [3.0, 4.0]]}).with_format("torch"))
    assert torches[[1, 0]]["x"].equal(torch.tensor([[3.0, 4.0], [1.0, 2.0]]))
    changed = made().with_transform(lambda rows: {"n": [n * 10 for n in rows["n"]]})
    assert fw.source(changed)[[4, 2]].to_dict() == {"n": [40, 20]}


def test_a_stream_begins_anew():
    stream = made().to_iterable_dataset()
    pipe = fw.source(stream)
    assert numbers(pipe) == numbers(pipe) == COLUMNS["n"]
    assert repr(pipe) == "Iterable(datasets.IterableDataset)"


def test_a_dict_of_datasets_asks_for_one():
    both = datasets.DatasetDict({"train": made(), "test": made()})
    with pytest.raises(
        TypeError, match=r"a DatasetDict holds several datasets, \['train', 'test'\]; .*data\['train'\]\)"
    ):
        fw.source(both)


def test_fingerprints_are_of_the_content():
    first = fw.source(made()).fingerprint()
    assert fw.source(made()).fingerprint() == first
    assert (
        fw.source(datasets.concatenate_datasets([made().select(range(9)), made().select(range(9, 21))])).fingerprint()
        == first
    )
    assert fw.source(made().shuffle(seed=0)).fingerprint() != first


def test_it_narrows_and_travels():
    source = fw.source(made())
    narrow = source.narrowed(["word", "n"])
    assert narrow.fetch(np.array([4, 2])).to_dict() == {"n": [4, 2], "word": ["w4", "w2"]}
    assert source.narrowed(source.known_columns) is source
    assert pickle.loads(pickle.dumps(source)).to_message() == source.to_message()


def test_the_library_is_not_loaded_for_others():
    script = (
        "import fireworks as fw, sys; fw.source([{'n': 1}]); fw.source({'n': [1]}); print('datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
