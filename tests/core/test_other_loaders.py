"""Pipes in the loaders of other libraries; each is tested where it is installed."""

import pytest
from torch.utils.data import DataLoader

from pipelines import add_noise, counting, double, numbers, table


def plan():
    return table().map(add_noise, seed=1).shuffle(seed=0).batch(4)


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("workers", [0, 2])
class TestStatefulDataLoader:
    @pytest.fixture
    def make_loader(self, workers):
        module = pytest.importorskip("torchdata.stateful_dataloader")
        return lambda dataset, **options: module.StatefulDataLoader(dataset, num_workers=workers, **options)

    @pytest.mark.parametrize("make_pipe", [plan, lambda: counting().map(double).batch(3)])
    def test_it_resumes_in_the_middle_of_an_epoch(self, make_loader, make_pipe):
        for stop in (0, 1, 4):
            loader = make_loader(make_pipe().as_iterable_dataset(), batch_size=None)
            list(loader)
            iterator = iter(loader)
            for _ in range(stop):
                next(iterator)
            resumed = make_loader(make_pipe().as_iterable_dataset(), batch_size=None)
            resumed.load_state_dict(loader.state_dict())
            assert list(resumed) == list(make_pipe().at_epoch(1))[stop:]
            assert list(resumed) == list(make_pipe().at_epoch(2))

    def test_a_map_style_dataset_resumes_too(self, make_loader):
        rows = table().shuffle(seed=0)
        loader = make_loader(rows, batch_size=4)
        iterator = iter(loader)
        next(iterator)
        resumed = make_loader(rows, batch_size=4)
        resumed.load_state_dict(loader.state_dict())
        assert numbers(resumed) == numbers(rows.at_epoch(0))[4:]


@pytest.mark.filterwarnings("ignore")  # theirs
class TestAccelerate:
    @pytest.fixture
    def prepare(self):
        accelerate = pytest.importorskip("accelerate")
        # Its dispatcher, the default for iterable datasets, looks into batches and knows dicts and tensors only.
        config = accelerate.DataLoaderConfiguration(dispatch_batches=False)
        return accelerate.Accelerator(cpu=True, dataloader_config=config).prepare

    @pytest.mark.parametrize("workers", [0, 2])
    def test_an_iterable_dataset(self, prepare, workers):
        loader = prepare(DataLoader(plan().as_iterable_dataset(), batch_size=None, num_workers=workers))
        for epoch in (0, 1):
            assert numbers(loader) == numbers(plan().at_epoch(epoch))

    def test_a_map_style_dataset_gets_the_epochs_that_it_counts(self, prepare):
        rows = table().shuffle(seed=0)
        loader = prepare(DataLoader(rows.as_dataset(), batch_size=4))
        for epoch in (0, 1):
            assert numbers(loader) == numbers(rows.at_epoch(epoch))

    def test_the_batches_of_a_pipe(self, prepare):
        assert numbers(prepare(DataLoader(plan(), batch_size=None))) == numbers(plan().at_epoch(0))


@pytest.mark.filterwarnings("ignore")  # theirs
class TestLightning:
    def test_it_trains_on_an_iterable_dataset_epoch_by_epoch(self, tmp_path):
        lightning = pytest.importorskip("lightning")
        import torch

        seen = []

        class Watch(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(3, 1)

            def training_step(self, batch, _):
                seen.append((self.current_epoch, batch["n"].tolist()))
                return self.layer(batch["x"]).mean()

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.1)

        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        pipe = table().select("x", "n").shuffle(seed=0).batch(4)
        trainer.fit(Watch(), DataLoader(pipe.as_iterable_dataset(), batch_size=None))
        expected = [(epoch, batch["n"].tolist()) for epoch in (0, 1) for batch in pipe.at_epoch(epoch)]
        assert seen == expected


@pytest.mark.filterwarnings("ignore")  # theirs
class TestGrain:
    def test_a_pipe_is_a_source(self):
        grain = pytest.importorskip("grain")
        rows = table().shuffle(seed=0)
        assert isinstance(rows, grain.sources.RandomAccessDataSource)
        dataset = grain.MapDataset.source(rows)
        assert [row["n"].item() for row in dataset] == numbers(rows.at_epoch(0))
        shuffled = dataset.shuffle(seed=3).map(lambda row: row["n"].item())
        assert sorted(shuffled) == list(range(23))
        assert [row["n"].item() for row in dataset.to_iter_dataset()] == numbers(rows.at_epoch(0))

    def test_a_dataset_of_one_epoch_is_a_source_of_batches(self):
        grain = pytest.importorskip("grain")
        dataset = plan().as_dataset()
        dataset.set_epoch(2)
        assert numbers(grain.MapDataset.source(dataset)) == numbers(plan().at_epoch(2))
