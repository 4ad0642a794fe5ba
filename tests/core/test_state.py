"""Scaffold: all components are saved and restored together or not at all, and a crash leaves a whole state."""

import ast
import copy
import errno
import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.optim import lr_scheduler

import fireworks as fw
from disks import largest_file
from fireworks.core import encoding, state
from fireworks.errors import StateError


class Box:
    """The least that has a state."""

    def __init__(self, value=None, *, refuses=None):
        self.value, self.refuses = value, refuses

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]
        if self.value == self.refuses:
            raise RuntimeError("not this one")


def net(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))


def train(module, optimizer, num_steps, scheduler=None):
    generator = torch.Generator().manual_seed(num_steps)
    for _ in range(num_steps):
        optimizer.zero_grad()
        module(torch.randn(6, 3, generator=generator)).square().mean().backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def assert_same_state(one, other):
    """Equal to the last bit, as text and bytes."""
    parts = []
    for component in (one, other):
        tensors = {}
        parts.append((encoding.take_apart(component.state_dict(), "it", tensors), tensors))
    assert parts[0][0] == parts[1][0]
    for name, tensor in parts[0][1].items():
        assert torch.equal(tensor, parts[1][1][name]), name


def files_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def adam(module):
    return torch.optim.Adam(module.parameters(), lr=0.1, amsgrad=True)


OPTIMIZERS = {
    "Adam": adam,
    "AdamW with two groups": lambda module: torch.optim.AdamW(
        [{"params": module[0].parameters(), "lr": 0.5}, {"params": module[2].parameters(), "betas": (0.5, 0.9)}]
    ),
    "SGD with momentum": lambda module: torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "RMSprop": lambda module: torch.optim.RMSprop(module.parameters(), centered=True),
}
SCHEDULERS = {
    "step": lambda optimizer: lr_scheduler.StepLR(optimizer, 2),
    "milestones": lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [2, 4, 4]),
    "one cycle": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=20),
    "warm restarts": lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3),
    "one after the other": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.9)], milestones=[2]
    ),
}


class TestComesBack:
    def test_a_module_with_its_buffers(self, tmp_path):
        one, other = net(0), net(1)
        one(torch.randn(5, 3))
        fw.Scaffold(net=one).save(tmp_path)
        fw.Scaffold(net=other).load(tmp_path)
        assert_same_state(one, other)
        assert int(other[1].num_batches_tracked) == 1

    @pytest.mark.parametrize("kind", OPTIMIZERS)
    def test_an_optimizer_goes_on_to_the_same_bytes(self, kind, tmp_path):
        one, other = net(0), net(1)
        ours, theirs = OPTIMIZERS[kind](one), OPTIMIZERS[kind](other)
        train(one, ours, 4)
        fw.Scaffold(net=one, optimizer=ours).save(tmp_path)
        fw.Scaffold(net=other, optimizer=theirs).load(tmp_path)
        assert_same_state(ours, theirs)
        train(one, ours, 3)
        train(other, theirs, 3)
        assert_same_state(one, other)

    @pytest.mark.parametrize("kind", SCHEDULERS)
    def test_a_scheduler_goes_on_to_the_same_rates(self, kind, tmp_path):
        one, other = net(0), net(0)
        ours, theirs = (torch.optim.SGD(module.parameters(), lr=0.1) for module in (one, other))
        our_rates, their_rates = SCHEDULERS[kind](ours), SCHEDULERS[kind](theirs)
        train(one, ours, 3, our_rates)
        fw.Scaffold(net=one, optimizer=ours, scheduler=our_rates).save(tmp_path)
        fw.Scaffold(net=other, optimizer=theirs, scheduler=their_rates).load(tmp_path)
        assert_same_state(our_rates, their_rates)
        for _ in range(5):
            train(one, ours, 1, our_rates)
            train(other, theirs, 1, their_rates)
            assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
        assert_same_state(one, other)

    def test_an_iterator_goes_on_with_the_next_item(self, tmp_path):
        def pipe():
            return fw.source({"x": torch.arange(9)}).shuffle(seed=1).batch(2)

        one, other = iter(pipe()), iter(pipe())
        next(one)
        next(one)
        fw.Scaffold(data=one).save(tmp_path)
        fw.Scaffold(data=other).load(tmp_path)
        assert list(other) == list(one)

    def test_two_chained_models_and_a_normalisation(self, tmp_path):
        def parts(seed):
            torch.manual_seed(seed)
            first = fw.Model(torch.nn.Conv1d(1, 2, 3), in_columns=["x"], out_columns=["hidden"])
            last = fw.Model(torch.nn.Linear(4, 1), in_columns=["hidden"], out_columns=["y"], input=first)
            return {"first": first, "last": last, "norm": fw.Normalize("x")}

        ours, theirs = parts(0), parts(1)
        rows = fw.Message({"x": torch.randn(5, 1, 6)})
        ours["norm"].fit(rows)
        fw.Scaffold(**ours).save(tmp_path)
        fw.Scaffold(**theirs).load(tmp_path)
        assert theirs["last"](theirs["norm"](rows)) == ours["last"](ours["norm"](rows))

    def test_several_at_once_even_under_odd_names(self, tmp_path):
        names = ["self", "a/b", "$tensor", "__metadata__", "a", "manifest.json"]
        fw.Scaffold(**{name: Box(torch.full((2,), n)) for n, name in enumerate(names)}).save(tmp_path)
        boxes = {name: Box() for name in reversed(names)}
        fw.Scaffold(**boxes).load(tmp_path)
        assert [int(boxes[name].value[0]) for name in names] == list(range(len(names)))

    def test_a_bare_tensor_is_a_state_too(self, tmp_path):
        class Bare:
            def state_dict(self):
                return torch.arange(3)

            def load_state_dict(self, state):
                self.loaded = state

        bare = Bare()
        fw.Scaffold(__metadata__=bare).save(tmp_path)
        fw.Scaffold(__metadata__=bare).load(tmp_path)
        assert bare.loaded.tolist() == [0, 1, 2]

    def test_the_states_can_be_read_without_components(self, tmp_path):
        fw.Scaffold(one=Box((1, None)), other=Box(torch.ones(1))).save(tmp_path)
        states = state.read_states(tmp_path)
        assert states["one"] == {"value": (1, None)}
        assert states["other"]["value"].tolist() == [1]

    def test_what_is_loaded_is_not_tied_to_what_was_saved(self, tmp_path):
        one, other = Box(torch.zeros(2)), Box()
        fw.Scaffold(box=one).save(tmp_path)
        one.value += 1
        fw.Scaffold(box=other).load(tmp_path)
        assert other.value.tolist() == [0, 0]


class TestFolder:
    def test_it_is_made_and_holds_two_files(self, tmp_path):
        folder = tmp_path / "runs" / "0"
        fw.Scaffold(box=Box(torch.ones(2))).save(str(folder))
        assert len(files_in(folder)) == 2
        assert "manifest.json" in files_in(folder)

    def test_a_later_save_takes_the_place_of_the_earlier(self, tmp_path):
        box = Box(torch.zeros(2))
        for number in range(3):
            box.value = torch.full((2,), number)
            fw.Scaffold(box=box).save(tmp_path)
        assert len(files_in(tmp_path)) == 2
        fw.Scaffold(box=box).load(tmp_path)
        assert box.value.tolist() == [2, 2]

    def test_equal_tensors_with_another_number_are_another_state(self, tmp_path):
        fw.Scaffold(box=Box([torch.ones(2), 1])).save(tmp_path)
        fw.Scaffold(box=Box([torch.ones(2), 2])).save(tmp_path)
        assert state.read_states(tmp_path)["box"]["value"][1] == 2

    def test_files_of_others_stay(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "weights.safetensors").write_text("mine")
        fw.Scaffold(box=Box(1)).save(tmp_path)
        fw.Scaffold(box=Box(1)).load(tmp_path)
        assert {"notes.txt", "weights.safetensors"} < set(files_in(tmp_path))

    def test_whoever_may_read_new_files_may_read_these(self, tmp_path):
        fw.Scaffold(box=Box(1)).save(tmp_path)
        (tmp_path / "plain").touch()
        expected = (tmp_path / "plain").stat().st_mode
        assert {path.stat().st_mode for path in tmp_path.iterdir()} == {expected}

    def test_what_a_killed_process_left_is_swept_away_by_the_next_save(self, tmp_path):
        fw.Scaffold(box=Box(1)).save(tmp_path)
        for name in (".manifest.json-0a1b2c3d", ".tensors-abc.safetensors-0a1b2c3d", "tensors-abc.safetensors"):
            (tmp_path / name).write_text("half")
        fw.Scaffold(box=Box(2)).save(tmp_path)
        assert len(files_in(tmp_path)) == 2

    def test_it_is_json_that_says_what_it_is(self, tmp_path):
        fw.Scaffold(box=Box(torch.ones(1))).save(tmp_path)
        manifest = json.loads((tmp_path / "manifest.json").read_text())
        assert (manifest["format"], manifest["version"]) == ("fireworks-state", 1)
        assert manifest["components"] == {"box": {"value": {"$tensor": "box/value"}}}


# A process that is imported once and forked for each kill, so that many kills cost little.
_HARNESS = """
import os, random, signal, sys, time
from pathlib import Path
import torch
import fireworks as fw
from fireworks.core import state

torch.set_num_threads(1)

class Box:
    def __init__(self, number):
        self.number = number
    def state_dict(self):
        return {"number": self.number, "tensor": torch.full((50_000,), self.number)}
    def load_state_dict(self, state):
        pass

def check(folder):
    found = state.read_states(folder)["box"]
    assert found["tensor"].shape == (50_000,) and bool((found["tensor"] == found["number"]).all())
    return found["number"]

def child(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    return pid

folder = Path(sys.argv[1])
fw.Scaffold(box=Box(0)).save(folder)
"""


def run_harness(script, folder):
    done = subprocess.run(
        [sys.executable, "-c", _HARNESS + script, str(folder)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the process saw: for each kill, the number of the state before and after, and of the state under way."""
    lines = run_harness(
        """
def save_and_die(step):
    calls = 0
    def counted(function):
        def call(*arguments, **keywords):
            nonlocal calls
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1
            return function(*arguments, **keywords)
        return call
    os.fsync, Path.replace, Path.unlink, Path.open = map(counted, (os.fsync, Path.replace, Path.unlink, Path.open))
    fw.Scaffold(box=Box(step + 1)).save(folder)

killed, step = True, 0
while killed:
    before = check(folder)
    _, status = os.waitpid(child(lambda: save_and_die(step)), 0)
    killed = os.WIFSIGNALED(status)
    step += 1
    print("step", before, check(folder), step)

def save_on_and_on():
    number = check(folder)
    while True:
        number += 1
        fw.Scaffold(box=Box(number)).save(folder)

draw = random.Random(0)
first, rounds = check(folder), 0
while rounds < 16 or check(folder) == first:  # a busy machine may kill each before its first save
    rounds += 1
    before = check(folder)
    pid = child(save_on_and_on)
    time.sleep(0.005 + 0.04 * draw.random())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    print("moment", before, check(folder), 0)
fw.Scaffold(box=Box(0)).save(folder)
print("files", len(list(folder.iterdir())), 0, 0)
""",
        tmp_path_factory.mktemp("killed"),
    )
    found = {}
    for kind, *numbers in map(str.split, lines):
        found.setdefault(kind, []).append(tuple(map(int, numbers)))
    return found


@pytest.mark.slow  # another process imports torch; its children die again and again
class TestKill:
    def test_a_kill_before_each_step_of_a_save_leaves_the_old_state_or_the_new(self, found):
        """The process kills itself before the n-th call of what touches the disk, for every n."""
        is_new = [after == new for before, after, new in found["step"]]
        assert all(after in {before, new} for before, after, new in found["step"])
        assert is_new == sorted(is_new)  # up to some step the old, from then on the new
        assert is_new.count(False) >= 4
        assert is_new.count(True) >= 2

    def test_a_kill_at_any_moment_leaves_one_of_the_saved_states(self, found):
        # check() has seen that each is whole; here, that none is older than the one before
        assert len(found["moment"]) >= 16
        assert all(after >= before for before, after, _ in found["moment"])
        assert found["moment"][-1][1] > found["moment"][0][0]

    def test_the_next_save_sweeps_away_what_the_killed_left(self, found):
        assert found["files"] == [(2, 0, 0)]


class TestFullDisk:
    @pytest.mark.parametrize("value", [torch.ones(50_000), [torch.ones(2), "x" * 200_000]], ids=["tensors", "manifest"])
    def test_without_room_for_a_file_the_old_state_stays(self, value, tmp_path):
        fw.Scaffold(box=Box(torch.zeros(3))).save(tmp_path)
        names = files_in(tmp_path)
        with largest_file(100_000), pytest.raises(OSError, match=r"can't be saved into .* is still whole") as caught:
            fw.Scaffold(box=Box(value)).save(tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert caught.value.errno == errno.EFBIG
        assert isinstance(caught.value.__cause__, OSError)
        assert files_in(tmp_path) == names
        assert state.read_states(tmp_path)["box"]["value"].tolist() == [0, 0, 0]

    def test_a_first_save_without_room_leaves_an_empty_folder(self, tmp_path):
        with largest_file(100_000), pytest.raises(OSError, match="File too large"):
            fw.Scaffold(box=Box(torch.ones(50_000))).save(tmp_path)
        assert files_in(tmp_path) == []

    def test_a_real_disk_that_is_full(self, tmp_path):
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("this user may not mount a small disk")
        try:
            box = Box(torch.zeros(10_000))
            fw.Scaffold(box=box).save(tmp_path)
            names = files_in(tmp_path)
            with pytest.raises(
                OSError, match=r"can't be saved into .*: No space left on device.* is still whole"
            ) as caught:
                fw.Scaffold(box=Box(torch.ones(40_000))).save(tmp_path)
            assert caught.value.errno == errno.ENOSPC
            assert files_in(tmp_path) == names
            fw.Scaffold(box=box).load(tmp_path)
            fw.Scaffold(box=Box(torch.ones(10_000))).save(tmp_path)
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)

    def test_a_folder_that_is_a_file_is_an_error_that_names_it(self, tmp_path):
        (tmp_path / "state").touch()
        with pytest.raises(FileExistsError, match=r"Scaffold: the state can't be saved into '.*/state': File exists"):
            fw.Scaffold(box=Box(1)).save(tmp_path / "state")

    def test_ctrl_c_in_the_middle_leaves_the_old_state_and_no_other_file(self, tmp_path, monkeypatch):
        fw.Scaffold(box=Box(torch.zeros(1))).save(tmp_path)
        names = files_in(tmp_path)
        for stop in range(4):
            calls = iter(range(5))
            sync = os.fsync

            def interrupted(handle, calls=calls, stop=stop, sync=sync):
                if next(calls) == stop:
                    raise KeyboardInterrupt
                sync(handle)

            monkeypatch.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                fw.Scaffold(box=Box(torch.ones(1))).save(tmp_path)
            monkeypatch.setattr(os, "fsync", sync)
            number = float(state.read_states(tmp_path)["box"]["value"])
            assert number == (stop == 3)  # by then the new manifest is in place
            assert stop == 3 or files_in(tmp_path) == names
        assert len(files_in(tmp_path)) == 2

    def test_a_state_that_cant_be_saved_writes_nothing(self, tmp_path):
        with pytest.raises(StateError, match="other/value/1: a value of type Random can't be saved"):
            fw.Scaffold(one=Box(torch.ones(1)), other=Box([1, random.Random(0)])).save(tmp_path / "new")
        assert not (tmp_path / "new").exists()


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        fw.Scaffold(box=Box([torch.arange(100.0), 0.125, 7, "text"])).save(tmp_path)
        return tmp_path

    def load(self, folder):
        fw.Scaffold(box=Box()).load(folder)

    def tensors(self, folder):
        (path,) = folder.glob("*.safetensors")
        return path

    def edit(self, folder, **changes):
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def test_no_saved_state_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no saved state in '.*/none'; manifest\.json is not there"):
            self.load(tmp_path / "none")

    def test_a_bit_that_flipped_in_the_tensors_is_noticed(self, folder):
        data = bytearray(self.tensors(folder).read_bytes())
        data[-5] ^= 1
        self.tensors(folder).write_bytes(data)
        with pytest.raises(StateError, match=r"tensors-.*' is damaged: its checksum is not the manifest's"):
            self.load(folder)

    def test_tensors_that_are_cut_short_are_noticed(self, folder):
        self.tensors(folder).write_bytes(self.tensors(folder).read_bytes()[:-1])
        with pytest.raises(StateError, match="is damaged: its checksum is not the manifest's"):
            self.load(folder)

    def test_missing_tensors_are_named(self, folder):
        self.tensors(folder).unlink()
        with pytest.raises(StateError, match=r"tensors-.*\.safetensors' is missing; the manifest names it"):
            self.load(folder)

    @pytest.mark.parametrize("text", ["", "{", "\x00" * 40], ids=["empty", "cut", "zeros"])
    def test_a_manifest_that_is_no_json_is_noticed(self, folder, text):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(StateError, match=r"manifest\.json' is damaged: "):
            self.load(folder)

    def test_a_manifest_of_no_text_is_noticed(self, folder):
        (folder / "manifest.json").write_bytes(b"\xff\xfe\x00\x80")
        with pytest.raises(StateError, match=r"manifest\.json' is damaged: "):
            self.load(folder)

    def test_any_byte_of_the_manifest_that_changed_is_noticed(self, folder):
        path = folder / "manifest.json"
        whole = path.read_bytes()
        expected = json.loads(whole)
        noticed = 0
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            try:
                state.read_states(folder)
            except StateError:
                noticed += 1
            else:
                assert json.loads(path.read_bytes()) == expected  # white space
        assert noticed > len(whole) / 2

    @pytest.mark.parametrize("text", ["[]", "{}", '{"format": "other", "version": 1}', "3"])
    def test_a_manifest_of_somebody_else_is_told_apart(self, folder, text):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(StateError, match=r"manifest\.json' is no manifest of fireworks"):
            self.load(folder)

    def test_a_newer_version_says_to_upgrade_whatever_else_it_holds(self, folder):
        (folder / "manifest.json").write_text('{"format": "fireworks-state", "version": 2}')
        with pytest.raises(StateError, match=r"has version 2; this fireworks reads up to 1\. Upgrade fireworks-torch"):
            self.load(folder)

    @pytest.mark.parametrize("changes", [{"version": 0}, {"version": "1"}, {"components": {}}, {"tensors": None}])
    def test_a_manifest_that_was_edited_is_noticed(self, folder, changes):
        self.edit(folder, **changes)
        with pytest.raises(StateError, match="is damaged: its checksum is not that of its content"):
            self.load(folder)


class TestAllOrNothing:
    def test_an_unexpected_component_is_named_with_the_nearest(self, tmp_path):
        fw.Scaffold(modlel=Box(1)).save(tmp_path)
        with pytest.raises(
            StateError,
            match=r"holds a component 'modlel', which this scaffold lacks; it has \['model', 'data'\]\. Did you mean 'model'\?",
        ):
            fw.Scaffold(model=Box(), data=Box()).load(tmp_path)

    def test_a_missing_component_is_named(self, tmp_path):
        fw.Scaffold(model=Box(1)).save(tmp_path)
        with pytest.raises(StateError, match=r"holds no component 'data'; it holds \['model'\]"):
            fw.Scaffold(model=Box(), data=Box()).load(tmp_path)

    def test_nothing_changes_where_names_differ(self, tmp_path):
        fw.Scaffold(model=Box(1)).save(tmp_path)
        box = Box(0)
        with pytest.raises(StateError):
            fw.Scaffold(model=box, data=Box()).load(tmp_path)
        assert box.value == 0

    def test_one_that_refuses_puts_all_back_bit_for_bit(self, tmp_path):
        def parts(seed, refuses):
            module = net(seed)
            optimizer = adam(module)
            pipe = fw.source({"x": torch.arange(9)}).shuffle(seed=1).batch(2)
            return {
                "net": module,
                "optimizer": optimizer,
                "scheduler": lr_scheduler.StepLR(optimizer, 2),
                "norm": fw.Normalize("x"),
                "data": iter(pipe),
                "box": Box(seed, refuses=refuses),
                "after": Box(seed),
            }

        saved, ours, before = parts(0, None), parts(1, 0), parts(1, 0)
        train(saved["net"], saved["optimizer"], 3, saved["scheduler"])
        saved["norm"].fit(fw.Message({"x": torch.randn(4, 2)}))
        next(saved["data"])
        fw.Scaffold(**saved).save(tmp_path)
        for mine in (ours, before):
            train(mine["net"], mine["optimizer"], 1, mine["scheduler"])
            next(mine["data"])
            next(mine["data"])
        with pytest.raises(StateError, match="component 'box' refused its saved state: not this one") as caught:
            fw.Scaffold(**ours).load(tmp_path)
        assert isinstance(caught.value.__cause__, RuntimeError)
        for name, component in ours.items():
            assert_same_state(component, before[name])
        train(ours["net"], ours["optimizer"], 2)
        train(before["net"], before["optimizer"], 2)
        assert_same_state(ours["net"], before["net"])
        assert list(ours["data"]) == list(before["data"])

    def test_one_that_refuses_even_its_own_state_keeps_none_from_being_put_back(self, tmp_path):
        class Stubborn(Box):
            def load_state_dict(self, state):
                raise RuntimeError("never")

        fw.Scaffold(one=Box(1), stubborn=Box(1)).save(tmp_path)
        one = Box(0)
        with pytest.raises(StateError, match="component 'stubborn' refused its saved state: never") as caught:
            fw.Scaffold(one=one, stubborn=Stubborn(0)).load(tmp_path)
        assert one.value == 0
        assert caught.value.__notes__ == ["Component 'stubborn' refused its own earlier state too: never"]

    def test_ctrl_c_puts_all_back_too(self, tmp_path):
        class Interrupted(Box):
            def load_state_dict(self, state):
                super().load_state_dict(state)
                if self.value:
                    raise KeyboardInterrupt

        fw.Scaffold(one=Box(1), two=Box(1)).save(tmp_path)
        one, two = Box(0), Interrupted(0)
        with pytest.raises(KeyboardInterrupt):
            fw.Scaffold(one=one, two=two).load(tmp_path)
        assert (one.value, two.value) == (0, 0)

    def test_another_module_is_refused_in_torchs_words(self, tmp_path):
        fw.Scaffold(net=net(0)).save(tmp_path)
        other = torch.nn.Linear(3, 4)
        before = copy.deepcopy(other)
        with pytest.raises(StateError, match=r"component 'net' refused its saved state: Error.*\s+Missing key"):
            fw.Scaffold(net=other).load(tmp_path)
        assert_same_state(other, before)


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


class TestRunsNoCode:
    def test_a_pickle_in_the_folder_stays_shut(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        fw.Scaffold(box=Box(torch.ones(1))).save(tmp_path)
        evil = pickle.dumps(Malicious())
        (tmp_path / "state.pkl").write_bytes(evil)
        fw.Scaffold(box=Box()).load(tmp_path)
        (path,) = tmp_path.glob("*.safetensors")
        for victim in (path, tmp_path / "manifest.json"):
            whole = victim.read_bytes()
            victim.write_bytes(evil)
            with pytest.raises(StateError, match="is damaged"):
                fw.Scaffold(box=Box()).load(tmp_path)
            victim.write_bytes(whole)
        assert not (tmp_path / "ran").exists()
        pickle.loads(evil)
        assert (tmp_path / "ran").exists()  # it would have

    def test_loading_calls_no_unpickler(self, tmp_path, monkeypatch):
        fw.Scaffold(net=net(0)).save(tmp_path)

        def forbidden(*_, **__):
            raise AssertionError("unpickled")

        for owner, name in ((pickle, "loads"), (pickle, "load"), (pickle, "Unpickler"), (torch, "load")):
            monkeypatch.setattr(owner, name, forbidden)
        state.read_states(tmp_path)
        fw.Scaffold(net=net(1)).load(tmp_path)

    @pytest.mark.parametrize("module", [state, encoding], ids=lambda module: module.__name__)
    def test_the_source_names_no_pickle(self, module):
        tree = ast.parse(Path(module.__file__).read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not (names | imported) & {
            "pickle",
            "marshal",
            "shelve",
            "dill",
            "cloudpickle",
            "eval",
            "exec",
            "__import__",
        }
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert "torch.load" not in calls


class TestComponents:
    def test_one_without_a_state_is_named(self):
        with pytest.raises(StateError, match="component 'rate' of type float has no state_dict and load_state_dict"):
            fw.Scaffold(box=Box(), rate=0.1)

    def test_half_a_protocol_is_not_enough(self):
        class Half:
            def state_dict(self):
                return {}

        with pytest.raises(StateError, match="component 'half' of type Half"):
            fw.Scaffold(half=Half())

    def test_a_pipe_is_refused_even_behind_a_model(self):
        data = fw.source({"x": torch.zeros(3, 1)})
        model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["y"], input=data)
        for pipe, kind in ((data, "MemorySource"), (model.batch(2), "Batch")):
            with pytest.raises(
                StateError, match=f"component 'data' of type {kind} has no .*Of a pipe, save its iterator"
            ):
                fw.Scaffold(data=pipe)

    def test_none_at_all_is_refused(self):
        with pytest.raises(ValueError, match="name at least one component"):
            fw.Scaffold()

    def test_what_has_a_state_is_known_by_its_methods(self):
        assert isinstance(Box(), fw.Stateful)
        assert isinstance(net(0), fw.Stateful)
        assert not isinstance(3, fw.Stateful)
