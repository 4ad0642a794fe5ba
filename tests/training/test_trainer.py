"""The trainer: what it computes, where it stands, and that it goes on to the same bytes."""

import pytest
import torch
from ignite.engine import Events
from ignite.metrics import Accuracy, Average, Metric
from torch.nn.functional import cross_entropy

import fireworks as fw
from fireworks._internal.current import current_trial

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def make_data(num_rows=40):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(num_rows, 3, generator=generator)
    return fw.source({"x": x, "label": (x.sum(dim=1) > 0).long()})


def accuracy(rows):
    return (rows["logits"].argmax(dim=1) == rows["label"]).float()


def jitter(rows, generator):
    return rows.assign(x=rows["x"] + 0.1 * torch.randn(rows["x"].shape, generator=generator))


def scatter(rows, generator):
    return rows.assign(x=2 * torch.randn(rows["x"].shape, generator=generator))


def is_large(rows):
    return rows["x"][:, 0] > -0.5


def make_trainer(batches=None, **changes):
    fw.seed_everything(3)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 2)
    )
    model = fw.Model(net, in_columns=["x"], out_columns=["logits"])
    arguments = {
        "loss": (cross_entropy, "logits", "label"),
        "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
        "metrics": {"accuracy": accuracy},
        "validation": make_data(20).batch(8),
    }
    if batches is None:
        batches = make_data().map(jitter, seed=1).shuffle(seed=0).batch(8)
    return fw.Trainer(model, batches, **(arguments | changes))


def same_bytes(one, other):
    left, right = one.state_dict(), other.state_dict()
    assert left["history"] == right["history"]
    for name, tensor in left["models"][0].items():
        assert torch.equal(tensor, right["models"][0][name]), name
    for number, slots in left["optimizer"]["state"].items():
        for slot, tensor in slots.items():
            assert torch.equal(tensor, right["optimizer"]["state"][number][slot])
    assert torch.equal(left["generators"]["torch"], right["generators"]["torch"])


class StoppedError(Exception):
    pass


class Count(Metric):
    """A metric of Ignite that does not say what its state is."""

    def reset(self):
        self.batches = 0

    def update(self, output):
        self.batches += 1

    def compute(self):
        return self.batches


def stop(*_):
    raise StoppedError


def stop_after(trainer, num_batches):
    def handler(engine):
        if trainer.iteration == num_batches:
            raise StoppedError

    trainer.engine.add_event_handler(Events.ITERATION_COMPLETED, handler)


class TestWhatItComputes:
    def test_it_trains_like_a_loop_written_by_hand(self):
        data = make_data().shuffle(seed=0).batch(8)
        fw.seed_everything(3)
        net = torch.nn.Linear(3, 2)
        by_hand = torch.nn.Linear(3, 2)
        by_hand.load_state_dict(net.state_dict())
        trainer = fw.Trainer(
            fw.Model(net, in_columns=["x"], out_columns=["logits"]),
            data,
            loss=(cross_entropy, "logits", "label"),
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        )
        trainer.run(max_epochs=3)
        optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1)
        losses = []
        for epoch in range(3):
            total, rows = 0.0, 0
            for batch in data.at_epoch(epoch):
                optimizer.zero_grad()
                loss = cross_entropy(by_hand(batch["x"]), batch["label"])
                loss.backward()
                optimizer.step()
                total, rows = total + loss.item() * len(batch), rows + len(batch)
            losses.append(total / rows)
        assert torch.equal(net.weight, by_hand.weight)
        assert [values["loss"] for values in trainer.history] == pytest.approx(losses)

    def test_means_are_over_rows_not_over_batches(self):
        data = make_data(10)
        trainer = make_trainer(data.batch(8))
        trainer.model.eval()
        with torch.no_grad():
            whole = trainer.model(data.to_message())
        expected = {
            "loss": float(cross_entropy(whole["logits"], whole["label"])),
            "accuracy": float(accuracy(whole).mean()),
        }
        assert trainer.evaluate(data.batch(8)) == pytest.approx(expected)
        assert trainer.evaluate(data.batch(3)) == pytest.approx(expected)

    def test_history_has_a_line_per_epoch(self):
        history = make_trainer().run(max_epochs=2)
        assert [values["epoch"] for values in history] == [0, 1]
        assert list(history[0]) == ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy"]

    def test_an_ignite_metric_is_computed_for_both_parts(self):
        metric = Accuracy(output_transform=lambda rows: (rows["logits"], rows["label"]))
        history = make_trainer(metrics={"ours": accuracy, "theirs": metric}).run(max_epochs=2)
        for values in history:
            assert values["theirs"] == pytest.approx(values["ours"])
            assert values["validation_theirs"] == pytest.approx(values["validation_ours"])

    def test_evaluation_changes_nothing(self):
        trainer = make_trainer()
        trainer.run(max_epochs=1)
        before = torch.get_rng_state()
        trainer.evaluate(make_data().batch(7))
        assert torch.equal(torch.get_rng_state(), before)
        assert trainer.model.training
        other = make_trainer()
        other.run(max_epochs=1)
        same_bytes(trainer, other)

    def test_frozen_parameters_stay(self):
        fw.seed_everything(0)
        first = fw.Model(torch.nn.Linear(3, 4), in_columns=["x"], out_columns=["hidden"])
        last = fw.Model(torch.nn.Linear(4, 2), in_columns=["hidden"], out_columns=["logits"], input=first)
        first.freeze()
        before = first.module.weight.clone(), last.module.weight.clone()
        fw.Trainer(
            last,
            make_data().batch(8),
            loss=(cross_entropy, "logits", "label"),
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        ).run(max_epochs=1)
        assert torch.equal(first.module.weight, before[0])
        assert not torch.equal(last.module.weight, before[1])

    def test_models_upstream_are_trained(self):
        fw.seed_everything(0)
        first = fw.Model(torch.nn.Linear(3, 4), in_columns=["x"], out_columns=["hidden"])
        last = fw.Model(torch.nn.Linear(4, 2), in_columns=["hidden"], out_columns=["logits"], input=first)
        before = first.module.weight.clone()
        trainer = fw.Trainer(
            last,
            make_data().batch(8),
            loss=(cross_entropy, "logits", "label"),
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        )
        trainer.run(max_epochs=1)
        assert not torch.equal(first.module.weight, before)
        assert len(trainer.state_dict()["models"]) == 2

    def test_epochs_of_different_length_are_each_whole(self):
        batches = make_data().map(scatter, seed=1).filter(is_large).batch(4)
        seen = []
        trainer = make_trainer(batches)
        trainer.engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda engine: seen.append((trainer.epoch, len(engine.state.output)))
        )
        trainer.run(max_epochs=3)
        assert seen == [(epoch, len(batch)) for epoch in range(3) for batch in batches.at_epoch(epoch)]
        assert len({sum(n for e, n in seen if e == epoch) for epoch in range(3)}) > 1

    def test_values_are_logged_into_the_current_trial(self):
        class Log:
            def __init__(self):
                self.seen = []

            def log_metrics(self, values, step=None):
                self.seen.append((list(values), step))

        log = Log()
        token = current_trial.set(log)
        try:
            make_trainer(validation=None).run(max_epochs=2)
        finally:
            current_trial.reset(token)
        assert log.seen == [(["loss", "accuracy"], 0), (["loss", "accuracy"], 1)]


class TestGoingOn:
    def test_two_runs_give_the_same_bytes(self):
        one, other = make_trainer(), make_trainer()
        one.run(max_epochs=2)
        fw.seed_everything(3)
        other = make_trainer()
        other.run(max_epochs=2)
        same_bytes(one, other)

    @pytest.mark.parametrize("stop", [1, 4, 5, 6, 9, 10])
    @pytest.mark.parametrize("kind", ["indexed", "stream"])
    def test_a_state_saved_at_any_batch_resumes_to_the_same_bytes(self, stop, kind, tmp_path):
        def batches():
            data = make_data().map(jitter, seed=1)
            return data.shuffle(seed=0).batch(8) if kind == "indexed" else data.filter(is_large).batch(6)

        whole = make_trainer(batches())
        whole.run(max_epochs=3)
        stopped = make_trainer(batches())
        stop_after(stopped, stop)
        with pytest.raises(StoppedError):
            stopped.run(max_epochs=3)
        fw.Scaffold(trainer=stopped).save(tmp_path)
        resumed = make_trainer(batches())
        torch.rand(17)  # the generators stand elsewhere; the state brings them back
        fw.Scaffold(trainer=resumed).load(tmp_path)
        resumed.run(max_epochs=3)
        same_bytes(whole, resumed)

    def test_a_run_in_two_parts_is_the_same_run(self):
        whole = make_trainer()
        whole.run(max_epochs=3)
        fw.seed_everything(3)
        parts = make_trainer()
        parts.run(max_epochs=1)
        parts.run(max_epochs=3)
        assert parts.run(max_epochs=3) == whole.history
        same_bytes(whole, parts)

    @pytest.mark.parametrize("error", [StoppedError, KeyboardInterrupt])
    @pytest.mark.parametrize("where", ["loss", "metric", "ignite metric", "handler", "optimizer", "validation"])
    @pytest.mark.parametrize("kind", ["indexed", "stream"])
    @pytest.mark.parametrize("then", ["run again", "save and load"])
    def test_a_failed_step_is_done_again_to_the_same_bytes(self, error, where, kind, then, tmp_path):
        def make(fails):
            count = iter(range(10000))

            def stop_at(number, here):
                if fails and here == where and next(count) == number:
                    raise error

            def loss(rows):
                if trainer.model.training == (where != "validation"):
                    stop_at(7, "loss")
                    stop_at(4, "validation")
                return cross_entropy(rows["logits"], rows["label"])

            def accurate(rows):
                stop_at(12, "metric")
                return accuracy(rows)

            def pairs(rows):
                stop_at(10, "ignite metric")
                return rows["logits"], rows["label"]

            data = make_data().map(jitter, seed=1)
            batches = data.shuffle(seed=0).batch(8) if kind == "indexed" else data.filter(is_large).batch(6)
            trainer = make_trainer(
                batches,
                loss=loss,
                metrics={"first": Accuracy(lambda rows: (rows["logits"], rows["label"])), "accuracy": accurate}
                | {"theirs": Accuracy(pairs)},
            )
            if where == "handler":
                trainer.engine.add_event_handler(Events.ITERATION_STARTED, lambda _: stop_at(6, "handler"))
            if where == "optimizer":
                trainer.optimizer.register_step_pre_hook(lambda *_: stop_at(6, "optimizer"))
            return trainer

        whole = make(fails=False)
        whole.run(max_epochs=3)
        parts = make(fails=True)
        with pytest.raises(error):
            parts.run(max_epochs=3)
        if then == "save and load":
            fw.Scaffold(trainer=parts).save(tmp_path)
            parts = make(fails=False)
            torch.rand(7)
            fw.Scaffold(trainer=parts).load(tmp_path)
        parts.run(max_epochs=3)
        same_bytes(whole, parts)

    @pytest.mark.parametrize("event", [Events.GET_BATCH_COMPLETED, Events.EXCEPTION_RAISED], ids=["before", "after"])
    def test_a_state_saved_while_a_batch_is_in_hand_is_that_before_it(self, event, tmp_path):
        whole = make_trainer()
        whole.run(max_epochs=2)

        def loss(rows):
            if stopped.iteration == 7:
                raise StoppedError
            return cross_entropy(rows["logits"], rows["label"])

        def save(engine, *error):
            if stopped.iteration == 7:
                fw.Scaffold(trainer=stopped).save(tmp_path)
            if error:
                raise error[0]

        stopped = make_trainer(loss=loss)
        stopped.engine.add_event_handler(event, save)
        with pytest.raises(StoppedError):
            stopped.run(max_epochs=2)
        resumed = make_trainer()
        fw.Scaffold(trainer=resumed).load(tmp_path)
        resumed.run(max_epochs=2)
        same_bytes(whole, resumed)

    def test_a_step_that_was_applied_is_not_done_again(self):
        whole = make_trainer()
        whole.run(max_epochs=2)
        parts = make_trainer()
        parts.engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), stop)
        with pytest.raises(StoppedError):
            parts.run(max_epochs=2)
        assert parts.iteration == 3
        parts.run(max_epochs=2)
        same_bytes(whole, parts)

    def test_a_state_of_other_data_is_refused(self, tmp_path):
        stopped = make_trainer()
        stop_after(stopped, 2)
        with pytest.raises(StoppedError):
            stopped.run(max_epochs=1)
        fw.Scaffold(trainer=stopped).save(tmp_path)
        other = make_trainer(make_data().map(jitter, seed=1).shuffle(seed=9).batch(8))
        before = other.model.state_dict()["module.0.weight"].clone()
        with pytest.raises(fw.errors.StateError, match=r"Shuffle\(seed=0\), it is Shuffle\(seed=9\)"):
            fw.Scaffold(trainer=other).load(tmp_path)
        assert torch.equal(other.model.state_dict()["module.0.weight"], before)

    def test_a_finished_state_of_other_data_is_refused_too(self):
        state = make_trainer().state_dict()
        other = make_trainer(make_data().map(jitter, seed=1).shuffle(seed=9).batch(8))
        with pytest.raises(fw.errors.StateError, match=r"Trainer: .* Shuffle\(seed=0\), it is Shuffle\(seed=9\)"):
            other.load_state_dict(state)

    def test_a_state_of_more_models_is_refused_before_one_is_loaded(self):
        trainer = make_trainer()
        state = trainer.state_dict()
        state["models"] = [{name: tensor + 1 for name, tensor in state["models"][0].items()}] * 2
        before = trainer.model.state_dict()["module.0.weight"].clone()
        with pytest.raises(fw.errors.StateError, match=r"Trainer: the state is of 2 models, there are 1: "):
            trainer.load_state_dict(state)
        assert torch.equal(trainer.model.state_dict()["module.0.weight"], before)

    def test_a_state_of_another_version_is_refused(self):
        trainer = make_trainer()
        with pytest.raises(fw.errors.StateError, match=r"expected a state of version 1; got None\. Save it again"):
            trainer.load_state_dict({"epoch": 0})


class TestNoRows:
    def test_empty_batches_are_passed_over(self):
        def nothing_in_the_middle(rows):
            return (rows["number"] < 8) | (rows["number"] >= 24)

        data = make_data(36)
        data = fw.source(data.to_message().assign(number=torch.arange(36)))
        trainer = make_trainer(
            data.batch(8).filter(nothing_in_the_middle), validation=data.batch(8).filter(nothing_in_the_middle)
        )
        seen = []
        trainer.engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda engine: seen.append(len(engine.state.output))
        )
        trainer.run(max_epochs=1)
        assert seen == [8, 8, 4]
        assert trainer.iteration == 3
        assert all(value == value for value in trainer.history[0].values())

    def test_a_model_that_leaves_no_rows_takes_no_step(self):
        net = torch.nn.Linear(3, 2)
        before = net.weight.clone()
        model = fw.Model(net, in_columns=["x"], out_columns=["logits"])
        trainer = fw.Trainer(
            model, make_data().batch(8), loss=(cross_entropy, "logits", "label"), optimizer=torch.optim.Adam
        )
        trainer._step(trainer.engine, make_data().to_message()[:0])
        assert torch.equal(net.weight, before)
        assert trainer.state_dict()["means"]["rows"] == 0

    @pytest.mark.parametrize("batched", [True, False], ids=["all batches are empty", "there is none"])
    def test_an_epoch_without_rows_is_an_error_that_names_the_pipe(self, batched):
        def none(rows):
            return rows["x"][:, 0] > 100

        data = make_data().batch(8).filter(none) if batched else make_data().filter(none).batch(8)
        trainer = make_trainer(data)
        for _ in range(2):
            with pytest.raises(
                ValueError, match=r"(?s)Trainer: epoch 0 had no rows to train on; batches is .*Filter\(none"
            ):
                trainer.run(max_epochs=1)
        assert trainer.history == []
        with pytest.raises(ValueError, match=r"(?s)Trainer: no rows to evaluate; batches is .*Filter\(none"):
            trainer.evaluate(data)


class TestIgniteMetrics:
    def test_they_go_on_from_the_middle_of_an_epoch(self, tmp_path):
        def make():
            data = fw.source({"x": torch.arange(32.0).reshape(32, 1), "y": torch.zeros(32, 1)})
            return fw.Trainer(
                fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["out"]),
                data.batch(8),
                loss=(torch.nn.functional.mse_loss, "out", "y"),
                optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0),
                metrics={"mean": Average(lambda rows: rows["x"])},
            )

        stopped = make()
        stop_after(stopped, 2)
        with pytest.raises(StoppedError):
            stopped.run(max_epochs=1)
        fw.Scaffold(trainer=stopped).save(tmp_path)
        resumed = make()
        fw.Scaffold(trainer=resumed).load(tmp_path)
        for trainer in (stopped, resumed):
            assert trainer.run(max_epochs=1)[0]["mean"] == 15.5

    def test_one_without_a_state_can_be_saved_between_epochs_only(self):
        trainer = make_trainer(metrics={"count": Count()})
        trainer.run(max_epochs=1)
        trainer.state_dict()
        trainer.engine.add_event_handler(Events.ITERATION_COMPLETED(once=7), stop)
        with pytest.raises(StoppedError):
            trainer.run(max_epochs=2)
        with pytest.raises(fw.errors.StateError, match=r"metric 'count' \(Count\) has no state to save in the middle"):
            trainer.state_dict()
        assert trainer.run(max_epochs=2)[1]["count"] == 5

    def test_one_without_a_state_that_failed_ends_the_run(self):
        trainer = make_trainer(metrics={"count": Count()})
        trainer.optimizer.register_step_pre_hook(stop)
        with pytest.raises(StoppedError):
            trainer.run(max_epochs=1)
        with pytest.raises(
            fw.errors.StateError, match=r"metric 'count' \(Count\) counted a batch whose step then failed"
        ):
            trainer.run(max_epochs=1)


class TestBadInput:
    def test_a_label_outside_the_classes_is_named(self):
        data = fw.source({"x": torch.zeros(4, 3), "label": torch.tensor([0, 1, 7, -2])})
        with pytest.raises(
            fw.errors.ColumnValueError,
            match=r"column 'label' has 2 labels outside 0 to 1, the classes of 'logits': \[7, -2\] in rows \[2, 3\]",
        ):
            make_trainer(data.batch(4)).run(max_epochs=1)

    def test_another_error_of_the_loss_comes_through(self):
        with pytest.raises(RuntimeError, match="multi-target not supported"):
            make_trainer(loss=(cross_entropy, "logits", "x")).run(max_epochs=1)

    def test_a_plain_module_is_refused(self):
        with pytest.raises(TypeError, match=r"model must be a fw\.Model; got Linear"):
            fw.Trainer(torch.nn.Linear(1, 1), make_data().batch(2), loss=accuracy, optimizer=torch.optim.SGD)

    def test_rows_are_refused(self):
        with pytest.raises(TypeError, match=r"batches gives single rows .* put \.batch\(256\) behind it"):
            make_trainer(make_data())

    def test_no_pipe_is_refused(self):
        with pytest.raises(TypeError, match="validation must be a pipe; got list"):
            make_trainer(validation=[1])

    @pytest.mark.parametrize("loss", ["mse", (cross_entropy, "logits"), (1, "a", "b")])
    def test_no_loss_is_refused(self, loss):
        with pytest.raises(TypeError, match="loss must be a function, or"):
            make_trainer(loss=loss)

    def test_a_loss_per_row_is_refused(self):
        with pytest.raises(
            TypeError, match=r"the loss must be one number, a tensor without dimensions; got shape \(8,\)"
        ):
            make_trainer(loss=accuracy).run(max_epochs=1)

    def test_a_metric_that_is_no_function_is_refused(self):
        with pytest.raises(TypeError, match="metric 'accuracy' must be a function of a message or an ignite Metric"):
            make_trainer(metrics={"accuracy": 3})

    def test_a_metric_of_one_number_is_refused(self):
        with pytest.raises(fw.errors.ColumnLengthError, match=r"metric 'm' must give one value per row, shape \(8,\)"):
            make_trainer(metrics={"m": lambda rows: accuracy(rows).mean()}).run(max_epochs=1)

    def test_an_optimizer_that_is_none_is_refused(self):
        with pytest.raises(
            TypeError, match="optimizer must be an optimizer or a function of the parameters; got 'Adam'"
        ):
            make_trainer(optimizer="Adam")
        with pytest.raises(TypeError, match="the optimizer function must return an optimizer; got list"):
            make_trainer(optimizer=list)

    def test_nothing_to_train_is_refused(self):
        model = fw.Model(torch.nn.Linear(3, 2), in_columns=["x"], out_columns=["logits"])
        model.freeze()
        with pytest.raises(ValueError, match="nothing to train"):
            fw.Trainer(model, make_data().batch(2), loss=accuracy, optimizer=torch.optim.SGD)

    def test_a_negative_number_of_epochs_is_refused(self):
        with pytest.raises(ValueError, match=r"Trainer\.run: max_epochs must be an int of at least 0; got -1"):
            make_trainer().run(max_epochs=-1)


class TestBeginnersMistakes:
    @pytest.mark.parametrize("name", ["loss", "epoch", "validation_accuracy"])
    def test_a_metric_with_a_name_of_our_own(self, name):
        with pytest.raises(ValueError, match=rf"a metric can't be called '{name}', which the history uses itself"):
            make_trainer(metrics={name: accuracy})

    def test_metrics_without_names(self):
        with pytest.raises(TypeError, match=r"metrics must be named, as in \{'accuracy': function\}; got list"):
            make_trainer(metrics=[accuracy])

    def test_an_optimizer_over_other_parameters(self):
        other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1)
        with pytest.raises(ValueError, match=r"the SGD that was given holds none of the model's parameters"):
            make_trainer(optimizer=other)

    def test_a_loss_of_torch_without_its_columns(self):
        with pytest.raises(TypeError, match=r"write loss=\(CrossEntropyLoss\(\), 'output column', 'target column'\)"):
            make_trainer(loss=torch.nn.CrossEntropyLoss())

    def test_a_state_of_another_kind_of_optimizer(self, tmp_path):
        adam = make_trainer()
        adam.run(max_epochs=1)
        fw.Scaffold(trainer=adam).save(tmp_path)
        sgd = make_trainer(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))
        with pytest.raises(fw.errors.StateError, match="the state is of Adam, the optimizer is SGD"):
            fw.Scaffold(trainer=sgd).load(tmp_path)
