"""Handwritten digits: from a database, through a pipeline, to a trained network and a recorded trial."""

import hashlib
import os
from typing import IO

import matplotlib as mpl
import torch
from ignite.engine import Events
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from torch import nn
from torch.nn.functional import cross_entropy

import fireworks as fw


def fill_database(url: str) -> fw.TablePipe:
    """Put scikit-learn's 1,797 images into a table: a tensor column goes in and comes out as it is."""
    digits = load_digits()
    images = torch.from_numpy(digits.images).float().unsqueeze(1)  # (1797, 1, 8, 8), values 0 to 16
    message = fw.Message({"image": images, "label": torch.from_numpy(digits.target)})
    print(f"\n1. A Message is a data frame whose columns may be tensors:\n{message}")
    table = fw.TablePipe.create("digits", url, message, if_exists="replace")
    table.insert(message)
    table.commit()
    return table


def make_network() -> nn.Module:
    """Two convolutions and a linear layer: (rows, 1, 8, 8) -> (rows, 10)."""
    convolutions = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*convolutions, nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(512, 10))


def accuracy(rows: fw.Message) -> torch.Tensor:
    """One value per row: 1 where the most likely digit is the right one."""
    return torch.eq(rows["logits"].argmax(dim=1), rows["label"]).float()


def draw_confusion(rows: fw.Message, file: IO[bytes]) -> None:
    """Count how often each digit was taken for which."""
    mpl.use("Agg")  # a file, no window
    predicted = rows["logits"].argmax(dim=1)
    display = ConfusionMatrixDisplay.from_predictions(rows["label"], predicted, cmap="Blues", colorbar=False)
    display.ax_.set_title(f"Digits held out: {float(accuracy(rows).mean()):.1%} right")
    display.figure_.savefig(file, dpi=120, bbox_inches="tight")


def main(seed: int = 1, folder: str = "runs", epochs: int = 12, lr: float = 0.002) -> float:
    """Run the whole path and return the accuracy on the rows held out."""
    torch.set_num_threads(1)  # quicker for a network this small, and the same bytes on any number of cores
    table = fill_database(f"sqlite:///{folder}/digits.db")
    digits = table.query(["image", "label"])
    print(f"\n2. A query on the table is a source of rows: {digits!r}")

    train, test = digits.split(0.8, 0.2, seed=seed)
    norm = fw.Normalize("image").fit(train)
    batches = train.map(norm).shuffle(seed=seed).batch(32).tensors()
    held_out = test.map(norm).batch(512).tensors()
    print(f"\n3. Pipes are plans, read from left to right; nothing runs until a batch is asked for:\n{batches!r}")
    print(f"   {len(train)} rows to train on, in {len(batches)} batches, and {len(test)} held out.")

    experiment = fw.Experiment("digits", folder=folder)
    with experiment.trial({"epochs": epochs, "lr": lr}, seed=seed) as trial:
        place = os.path.relpath(trial.path)
        print(f"\n4. Trial {trial.number} records parameters, seed, code, environment and metrics; files go to {place}")
        fw.seed_everything(seed)
        model = fw.Model(make_network(), in_columns=["image"], out_columns=["logits"])
        trainer = fw.Trainer(
            model,
            batches,
            loss=(cross_entropy, "logits", "label"),
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=lr),
            metrics={"accuracy": accuracy},
            validation=held_out,
        )
        line = "   epoch {epoch:2}: loss {loss:.3f}, accuracy held out {validation_accuracy:.3f}"
        trainer.engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: print(line.format(**trainer.history[-1])))
        trainer.run(max_epochs=epochs)

        model.eval()
        with torch.no_grad():
            predicted = model(held_out.to_message())
        with trial.open("confusion.png", "wb") as file:
            draw_confusion(predicted, file)
        fw.Scaffold(model=model, norm=norm, trainer=trainer).save(trial.path / "state")
        weights = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()[:12]
        score = float(accuracy(predicted).mean())
        trial.set_result({"accuracy": round(score, 4), "weights": weights})
        print(f"\n5. {score:.1%} of the held-out digits are right; see {place}/confusion.png")

    history = experiment.get_history()
    print(f"\n6. The history:\n{history[['Seed', 'validation_accuracy', 'Result', 'Status']].to_string()}")
    earlier = history[(history["Seed"] == seed) & (history["Status"] == "COMPLETED")].iloc[:-1]
    for number, result in earlier["Result"].tail(1).items():
        same = "the same weights, bit for bit" if result["weights"] == weights else "OTHER WEIGHTS"
        print(f"\n   Trial {number} had seed {seed} too: {same} ({result['weights']} and {weights}).")
    return score
