"""What a step moves before it is applied, and that it is put back."""

import torch

from fireworks.core.seeding import generator_states
from fireworks.training.rewind import Note, buffer_slots


class TestNote:
    def test_buffers_come_back_changed_in_place_or_replaced(self):
        net = torch.nn.BatchNorm1d(2)
        mean, before = net.running_mean, net.running_mean.clone()
        note = Note({}, buffer_slots(net.modules()), {})
        net(torch.ones(4, 2))
        net.running_var = torch.zeros(2)
        note.put_back()
        assert net.running_mean is mean
        assert torch.equal(mean, before)
        assert torch.equal(net.running_var, torch.ones(2))
        assert net.num_batches_tracked == 0

    def test_a_state_taken_meanwhile_has_what_was_noted(self):
        net = torch.nn.BatchNorm1d(2)
        note = Note({}, buffer_slots(net.modules()), {})
        before = torch.get_rng_state()
        net(torch.rand(4, 2))
        now = net.running_mean.clone()
        with note.shown():
            assert torch.equal(net.state_dict()["running_mean"], torch.zeros(2))
        assert torch.equal(net.running_mean, now)
        assert torch.equal(note.in_generators(generator_states())["torch"], before)

    def test_a_buffer_that_is_none_or_not_made_yet_has_no_slot(self):
        net = torch.nn.Sequential(torch.nn.BatchNorm1d(2, track_running_stats=False), torch.nn.LazyBatchNorm1d())
        assert [name for _, name in buffer_slots(net.modules())] == ["num_batches_tracked"]
