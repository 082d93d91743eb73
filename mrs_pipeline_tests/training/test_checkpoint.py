"""State on disk: complete, atomic, and never mistaken for another run's."""

import pytest
import torch

from mrs_pipeline.training.checkpoint import (
    CheckpointFile,
    RunState,
    optimizer_tensors,
    restore_optimizer,
)


def state(value: float) -> RunState:
    shared = torch.full((2, 2), value)
    return RunState(
        {"w": shared},
        {"w": shared},
        {"0.step": torch.tensor(3.0)},
        torch.Generator().get_state(),
        {"a": [1.5]},
    )


def test_write_and_read_again(tmp_path):
    file = CheckpointFile(tmp_path / "run", "f1")
    assert file.read(torch.device("cpu")) is None
    file.write(state(2.0))
    found = file.read(torch.device("cpu"))
    assert torch.equal(found.weights["w"], torch.full((2, 2), 2.0))
    assert set(found.best) == {"w"}
    assert found.optimizer["0.step"] == 3.0
    assert found.facts == {"a": [1.5]}
    torch.Generator().set_state(found.generator)


def test_another_fingerprint_is_not_resumed(tmp_path):
    CheckpointFile(tmp_path, "f1").write(state(2.0))
    assert CheckpointFile(tmp_path, "f2").read(torch.device("cpu")) is None


def test_a_kill_while_writing_leaves_the_previous_state(tmp_path, monkeypatch):
    file = CheckpointFile(tmp_path, "f1")
    file.write(state(1.0))

    def torn(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("mrs_pipeline.training.checkpoint.save_file", torn)
    with pytest.raises(KeyboardInterrupt):
        file.write(state(2.0))
    assert file.read(torch.device("cpu")).weights["w"][0, 0] == 1.0


def test_optimizer_state_goes_there_and_back():
    def stepped(n_steps, start=None):
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)
        if start is not None:
            layer.load_state_dict(start[0])
            restore_optimizer(optimizer, start[1])
        for _ in range(n_steps):
            optimizer.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
        return {k: v.clone() for k, v in layer.state_dict().items()}, optimizer_tensors(optimizer)

    whole, resumed = stepped(5), stepped(3, start=stepped(2))
    assert all(torch.equal(whole[0][name], resumed[0][name]) for name in whole[0])
