"""Training the world model: kills, resuming, refusals, the watch, the configs."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from world_sessions import DATA, MODEL, write_sessions

from scripts.aerial.world import checkpoints, curate, logs, loop, memory
from scripts.aerial.world import train as stage
from scripts.aerial.world.options import (
    WORLD_NOT_IDENTITY,
    AerialWorldOptions,
    WorldDataOptions,
    WorldModelOptions,
    WorldTrainOptions,
)
from scripts.aerial.world.settings import read_settings
from scripts.aerial.world.watch import Watch, collapse, stop_at_nan
from scripts.lib import launch, training
from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "config" / "aerial").glob("*.yaml"))
PARAMS = {
    "vae_epochs": 2,
    "epochs": 2,
    "max_steps": 4,
    "batch_size": 4,
    "eval_windows": 2,
    "save_epochs": 1,
    "learning_rate": 3e-3,
    "warmup_steps": 1,
    "precision": "float32",
    "report_to": [],
    "device": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve windows to learn from: three batches an epoch."""
    folder = tmp_path_factory.mktemp("world")
    write_sessions(folder / "sessions", count=6, frames=12)
    arguments = ["--input", str(folder / "sessions"), "--out", str(folder), "--params", json.dumps(DATA)]
    curate.main(curate.parser().parse_args(arguments))
    return folder


def arguments(data, out, params=PARAMS, *more):
    files = ["--input", data / "sessions", "--train", data / "train.jsonl", "--val", data / "val.jsonl"]
    where = ["--out", out / "run", "--work", out / "work"]
    given = ["--params", json.dumps(params), "--model", json.dumps(MODEL)]
    return [*map(str, [*files, *where]), *given, *map(str, more)]


def train(data, out, params=PARAMS, *more):
    """Runs the stage in this process."""
    torch.set_num_threads(1)
    return stage.main(stage.parser().parse_args(arguments(data, out, params, *more)))


def published(out):
    """Hashes of what a run publishes, times aside."""
    names = ("model/model.safetensors", "model/config.json", "training/loss.jsonl")
    return {name: sha256_file(out / "run" / name) for name in names}


def metadata(out):
    return json.loads((out / "run" / "training" / "training_metadata.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    train(data, out)
    return out


def test_both_stages_learn_and_say_what_was_done(undisturbed):
    rows = [json.loads(line) for line in (undisturbed / "run/training/loss.jsonl").read_text().splitlines()]
    for name in ("vae", "transformer"):
        losses = [row["loss"] for row in rows if row["stage"] == name and "loss" in row]
        assert len(losses) == 4
        assert losses[-1] < losses[0]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 9))
    assert [row["epoch"] for row in rows if "eval_loss" in row] == [1, 2, 1, 2]
    told = metadata(undisturbed)
    assert told["steps"] == 8
    assert told["batch_size"] == 4
    assert told["resumed_from"] is None
    [work] = (undisturbed / "work").iterdir()
    names = {"vae-last.pt", "vae-best.pt", "vae-epoch-001.pt", "transformer-epoch-002.pt", "transformer-last.pt"}
    assert names <= {path.name for path in work.iterdir()}


def test_the_frozen_vae_is_the_best_one_of_its_stage(undisturbed):
    [work] = (undisturbed / "work").iterdir()
    best = checkpoints.load(work / "vae-best.pt")["model"]
    last = checkpoints.load(work / "transformer-last.pt")["model"]
    vae = [name for name in best if name.startswith("vae.")]
    assert all(torch.equal(best[name], last[name]) for name in vae)
    assert not torch.equal(best["transformer.head.weight"], last["transformer.head.weight"])


TRAP = """
import os, signal, torch
from scripts.aerial.world import checkpoints, loop
from scripts.aerial.world import train as stage

torch.set_num_threads(1)
save, one_step = checkpoints.save, loop.Stage.one_step

def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""
KILLS = {
    "in the first epoch": (
        "loop.Stage.one_step = lambda self, *a: die() if self.global_step == 1 else one_step(self, *a)",
        None,
    ),
    "between the best checkpoint and the last": (
        "seen = []\n"
        "def counted(path, state):\n"
        "    seen.append(path.name)\n"
        "    die() if seen.count('vae-last.pt') == 2 else save(path, state)\n"
        "checkpoints.save = counted",
        "vae, epoch 1",
    ),
    "inside the writing of a checkpoint": (
        "whole = torch.save\n"
        "def half(state, path):\n"
        "    if state['stage'] == 'vae': return whole(state, path)\n"
        "    open(path, 'wb').write(b'PK')\n"
        "    die()\n"
        "torch.save = half",
        "vae, epoch 2",
    ),
    "in the second stage": (
        "loop.Stage.one_step = lambda self, *a: die() if self.global_step == 7 else one_step(self, *a)",
        "transformer, epoch 1",
    ),
    "in an epoch that is saved on the way": (
        "import sys\n"
        "sys.argv += ['--watch', '{\"save_minutes\": 0}']\n"
        "loop.Stage.one_step = lambda self, *a: die() if self.global_step == 2 else one_step(self, *a)",
        "vae, epoch 0",
    ),
    "before publishing": ("stage.publish = lambda *a: die()", "transformer, epoch 2"),
}


@pytest.mark.parametrize("kill", KILLS)
def test_killed_run_ends_with_the_same_bytes(kill, undisturbed, data, tmp_path):
    trap, resumed = KILLS[kill]
    program = f"{TRAP}\n{trap}\nstage.main(stage.parser().parse_args())"
    command = [sys.executable, "-c", program, *arguments(data, tmp_path)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert not (tmp_path / "run").exists()
    train(data, tmp_path)
    assert metadata(tmp_path)["resumed_from"] == resumed
    assert published(tmp_path) == published(undisturbed)


def test_resuming_from_a_file_goes_on_where_it_was_saved(undisturbed, data, tmp_path):
    [work] = (undisturbed / "work").iterdir()
    train(data, tmp_path, PARAMS, "--resume", work / "transformer-epoch-001.pt")
    assert metadata(tmp_path)["resumed_from"] == "transformer, epoch 1"
    assert published(tmp_path)["training/loss.jsonl"] == published(undisturbed)["training/loss.jsonl"]
    weights = [sha256_file(out / "run/model/model.safetensors") for out in (tmp_path, undisturbed)]
    assert weights[0] == weights[1]
    assert [path.name for path in (tmp_path / "work").iterdir()] != [work.name]


def test_resuming_from_the_end_of_a_stage_goes_on_with_the_next(undisturbed, data, tmp_path):
    [work] = (undisturbed / "work").iterdir()
    train(data, tmp_path, PARAMS, "--resume", work / "vae-epoch-002.pt")
    assert metadata(tmp_path)["resumed_from"] == "vae, epoch 2"
    assert metadata(tmp_path)["best_epoch"]["stage"] == "transformer"


def test_evaluate_only_prints_a_loss_and_writes_nothing(undisturbed, data, capsys):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    train(data, undisturbed, PARAMS, "--evaluate-only")
    told = json.loads(capsys.readouterr().out)
    assert told["stage"] == "transformer"
    assert told["val_loss"] == pytest.approx(metadata(undisturbed)["eval_loss"], abs=1e-5)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()} == before


def test_from_scratch_puts_checkpoints_aside_and_deletes_none(undisturbed, data, tmp_path):
    short = PARAMS | {"vae_epochs": 1, "epochs": 0}
    train(data, tmp_path, short)
    [work] = (tmp_path / "work").iterdir()
    train(data, tmp_path, short, "--from-scratch")
    assert {path.name for path in (tmp_path / "work").iterdir()} == {work.name, f"{work.name}.1"}
    assert metadata(tmp_path)["resumed_from"] is None


def test_identity_ignores_where_it_runs_and_how_it_is_watched(data, tmp_path):
    def identity(params, model=MODEL):
        args = stage.parser().parse_args(arguments(data, tmp_path, params))
        options, network = WorldTrainOptions.parse(params), WorldModelOptions.parse(model)
        contents = stage.contents_of(args, options, network, 4)
        run = training.open_run(stage.MODULE, args, options, "cpu", "float32", contents, WORLD_NOT_IDENTITY)
        return run.identity

    usual = identity(PARAMS)
    watched = ({"report_to": ["tensorboard"]}, {"wandb_name": "x"}, {"save_epochs": 5})
    for change in (*watched, {"processes": 2}, {"processes": 2, "machines": 2}):
        assert identity(PARAMS | change) == usual
    for change in ({"seed": 1}, {"learning_rate": 1e-5}, {"freeze_pose": True}, {"loss": {"dice": 0.5}}):
        assert identity(PARAMS | change) != usual
    assert identity(PARAMS, MODEL | {"codes": 65}) != usual


def test_nan_stops_names_the_good_checkpoint_and_a_learning_rate(data, tmp_path, monkeypatch):
    good, calls = loop.losses_of, []

    def losses_of(*given):
        parts, seen = good(*given)
        calls.append(1)
        return {name: part * (float("nan") if len(calls) > 4 else 1) for name, part in parts.items()}, seen

    monkeypatch.setattr(loop, "losses_of", losses_of)
    with pytest.raises(UserError, match=r"step 4: loss is nan; .*vae-last\.pt\. Try train\.learning_rate: 3\.0e-04"):
        train(data, tmp_path)
    [work] = (tmp_path / "work").iterdir()
    assert checkpoints.load(work / "vae-last.pt")["epoch"] == 1
    assert not (tmp_path / "run").exists()


def test_a_number_that_is_none_before_any_checkpoint_says_so():
    with pytest.raises(UserError, match="there is no checkpoint yet"):
        stop_at_nan(float("inf"), "loss", 1, 1e-4, None)


@pytest.mark.parametrize(
    ("epoch", "loss", "change", "words"),
    [
        (0, 1e-4, {}, ["in the first epoch"]),
        (1, 1e-4, {}, []),
        (3, 0.5, {"pred/mean": 1e-4}, ["collapses to all free"]),
        (3, 0.5, {"pred/max": 0.49}, ["no cell's probability is above 0.49"]),
        (3, 0.5, {"pred/mean": 0.0, "pred/max": 0.0, "target/occupancy_rate": 0.0}, []),
        (0, 0.5, {}, []),
    ],
)
def test_the_watch_warns_of_a_collapse(epoch, loss, change, words):
    seen = {"pred/mean": 0.01, "pred/max": 0.9, "target/occupancy_rate": 0.01} | change
    found = collapse(epoch, loss, seen)
    assert len(found) == len(words)
    for sentence, part in zip(found, words, strict=True):
        assert part in sentence


def test_a_warning_of_the_watch_is_said_and_kept(capsys):
    watch = Watch()
    watch.after_epoch("vae", 0, 1e-5, {"pred/mean": 0.01, "pred/max": 0.9, "target/occupancy_rate": 0.01})
    assert watch.said[0].startswith("vae, epoch 1: the loss is 1.0e-05 in the first epoch")
    assert "warning: vae, epoch 1" in capsys.readouterr().err


def test_metric_names_are_those_of_the_guide(data, tmp_path, monkeypatch):
    written = {}

    class Recorder(logs.Loggers):
        def __init__(self, *_):
            pass

        def log(self, values, step):
            written.update(dict.fromkeys(values, step))

        def close(self):
            pass

    monkeypatch.setattr(logs, "Loggers", Recorder)
    train(data, tmp_path, PARAMS | {"vae_epochs": 1, "epochs": 0, "max_steps": 1})
    due = {"train/loss", "pred/mean", "pred/min", "pred/max", "pred/occupancy_rate", "epoch/val_loss", "epoch/lr"}
    assert due <= set(written)


def test_tensorboard_gets_every_number(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = WorldTrainOptions(report_to=["tensorboard"])
    loggers = logs.Loggers(options, tmp_path, "x", 0)
    loggers.log({"train/loss": 0.5, "pred/mean": 0.1}, 3)
    loggers.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"train/loss", "pred/mean"} == set(events.Tags()["scalars"])
    assert events.Scalars("train/loss")[0].step == 3


def test_wandb_is_told_project_name_and_tags_and_is_imported_only_where_asked_for(tmp_path, monkeypatch):
    import types

    calls = {}
    fake = types.ModuleType("wandb")
    run = types.SimpleNamespace(log=lambda values, step: calls.update(log=(values, step)), finish=lambda: None)
    fake.init = lambda **given: calls.update(given) or run
    monkeypatch.setitem(sys.modules, "wandb", fake)
    options = {"wandb_project": "city", "wandb_name": "first", "wandb_tags": ["tokyo"]}
    logs.Loggers(WorldTrainOptions(report_to=[], **options), tmp_path, "x", 0)
    assert not calls
    loggers = logs.Loggers(WorldTrainOptions(report_to=["wandb"], **options), tmp_path, "x", 0)
    loggers.log({"train/loss": 1.0}, 2)
    loggers.close()
    assert (calls["project"], calls["name"], calls["tags"], calls["id"]) == ("city", "first", ["tokyo"], "x")
    assert calls["log"] == ({"train/loss": 1.0}, 2)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"device": "cuda"}, "torch sees none"),
        ({"learning_rat": 1}, "unknown key 'learning_rat'; did you mean 'learning_rate'"),
        ({"report_to": ["wandb"]}, "wandb is not installed"),
        ({"pretrained": "nowhere.pth"}, r"nowhere\.pth: no such file; check train\.pretrained"),
        ({"batch_size": 0}, "batch_size"),
        ({"freeze_transformer": True, "freeze_pose": True}, "leave nothing to learn"),
        ({"gpus": [1, 3]}, "gpus: this key was removed; use train.processes"),
        ({"processes": 3}, "3 processes cannot share the 4 windows of a step evenly"),
        ({"processes": 4, "machines": 3}, "do not spread evenly over 3 machines"),
        ({"processes": 2, "machines": 2, "batch_size": "auto"}, "auto is measured on one machine"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(params, words, data, tmp_path):
    with pytest.raises(UserError, match=words):
        train(data, tmp_path, PARAMS | params)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "latest.pth")
    with pytest.raises(
        UserError, match=r"no checkpoint of this trainer; OccWorld's .pth files go to train\.pretrained"
    ):
        checkpoints.load(tmp_path / "latest.pth")
    (tmp_path / "cut.pt").write_bytes(b"PK")
    with pytest.raises(UserError, match="no whole checkpoint"):
        checkpoints.load(tmp_path / "cut.pt")


def test_learning_rate_warms_up_and_falls_along_a_cosine():
    options = WorldTrainOptions()
    rates = [loop.learning_rate(step, 1100, options) for step in range(1100)]
    assert rates[0] == pytest.approx(1e-6)
    assert rates[99] == pytest.approx(1e-4)
    assert rates[100] == pytest.approx(1e-4)
    assert rates[600] == pytest.approx((1e-4 + 1e-6) / 2, rel=0.01)
    assert rates[-1] == pytest.approx(1e-6)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_several_processes_are_started_through_the_launcher(data, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(launch, "start", lambda command: commands.append(command) or 0)
    monkeypatch.setattr(memory, "free_memory", lambda device: int(100e9))
    params = {key: value for key, value in PARAMS.items() if key != "batch_size"} | {"processes": 2}
    assert train(data, tmp_path, params, "--from-scratch") == 0
    [command] = commands
    module = command.index("scripts.aerial.world.train")
    assert command[1:3] == ["-m", "scripts.lib.launch"]
    [work] = (tmp_path / "work").iterdir()
    settings = json.loads((work / "accelerate.json").read_text())
    assert (settings["num_processes"], settings["num_machines"], settings["mixed_precision"]) == (2, 1, "no")
    args = stage.parser().parse_args(command[module + 1 :])
    # What was measured here is handed on: of other free memory another batch, and so another run, would follow.
    assert json.loads(args.watch) == {"batch_size": 8}
    assert args.params == json.dumps(params)
    assert not args.from_scratch
    assert not (tmp_path / "run").exists()


# --- memory ----------------------------------------------------------------------------------------------------------


def test_auto_batch_size_follows_the_devices_memory_and_the_estimate_is_said(data, tmp_path, monkeypatch, capsys):
    options = WorldTrainOptions(batch_size="auto", precision="auto")
    sizes = {}
    for gigabytes in (0.05, 0.4, 100):
        monkeypatch.setattr(memory, "free_memory", lambda device, free=gigabytes: int(free * 1e9))
        found = memory.estimate(WorldDataOptions.parse(DATA), WorldModelOptions.parse(MODEL), options, "cpu")
        sizes[gigabytes] = found.batch
    assert sizes[0.05] < sizes[0.4] < sizes[100] == memory.MOST_WINDOWS
    train(data, tmp_path, PARAMS | {"batch_size": "auto", "vae_epochs": 1, "epochs": 0, "max_steps": 1})
    said = capsys.readouterr().err
    assert "memory: " in said
    assert "batch_size auto: " in said


def test_the_estimate_grows_with_the_grid_and_stays_near_what_a_step_takes():
    """Saved activations of a real step, counted by autograd's own hooks, against the estimate of shapes alone."""
    from scripts.aerial.world.model.transvqvae import TransVQVAE, freeze
    from scripts.aerial.world.objective import losses_of

    data, model, options = WorldDataOptions.parse(DATA), WorldModelOptions.parse(MODEL), WorldTrainOptions()
    found = memory.estimate(data, model, options, "cpu")
    wide = WorldDataOptions.parse(DATA | {"grid": {"range": [-16, -16, 0, 16, 16, 8], "voxel": [1, 1, 1]}})
    assert memory.estimate(wide, model, options, "cpu").window > 3 * found.window
    saved = {}
    network = TransVQVAE(data, model)
    freeze(network, {"vae"})
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.setdefault(tensor.untyped_storage().data_ptr(), tensor),
        lambda tensor: tensor,
    ):
        losses_of(network, "transformer", memory.blank(data), data, options)
    kept = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    assert kept < found.window < 2 * kept


@pytest.mark.parametrize(
    ("device", "hardware", "precision"),
    [("cpu", True, "bfloat16"), ("cpu", False, "float32"), ("cuda", False, "float16"), ("cuda", True, "bfloat16")],
)
def test_auto_precision_is_what_the_device_computes_in(device, hardware, precision, monkeypatch):
    monkeypatch.setattr(memory, "computes_bfloat16", lambda device: hardware)
    assert memory.pick_precision(WorldTrainOptions(), device) == precision


# --- configs ---------------------------------------------------------------------------------------------------------


def test_the_configs_are_those_that_were_promised():
    assert [path.stem for path in CONFIGS] == ["6dof", "nuscenes", "nuscenes_6dof", "test_local", "tokyo", "uavscenes"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_loads_is_named_after_its_file_and_repeats_no_default(path):
    settings = read_settings(path)
    assert settings.preset == path.stem
    given = yaml.safe_load(path.read_text())
    assert repeated(given, AerialWorldOptions(preset="").model_dump()) - {"data.dt"} == set()


def repeated(given, defaults, where=""):
    """Keys whose value is the default anyway."""
    found = set()
    for key, value in given.items():
        path = f"{where}{key}"
        if isinstance(value, dict) and isinstance(defaults.get(key), dict) and defaults[key]:
            found |= repeated(value, defaults[key], f"{path}.")
        elif key in defaults and defaults[key] == value:
            found.add(path)
    return found


def test_settings_of_the_guide_are_the_defaults():
    options, data = WorldTrainOptions(), WorldDataOptions()
    assert (options.learning_rate, options.weight_decay, options.final_learning_rate) == (1e-4, 0.01, 1e-6)
    assert (options.warmup_steps, options.epochs, options.max_grad_norm, options.seed) == (100, 50, 35.0, 42)
    assert (options.freeze_vae, options.freeze_transformer, options.freeze_pose) == (True, False, False)
    assert (options.save_epochs, options.loss.focal_alpha, options.loss.focal_gamma) == (5, 0.99, 2.0)
    assert (options.loss.dice, options.loss.mean_matching) == (1.0, 10.0)
    assert (data.history, data.future, WorldModelOptions().codes) == (4, 6, 512)
    assert data.grid.shape == (200, 200, 121)


def test_an_unknown_key_of_a_config_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: mine\ntrain: {epoch: 3}\n")
    with pytest.raises(UserError, match=r"mine\.yaml: unknown key 'train\.epoch'; did you mean 'epochs'"):
        read_settings(tmp_path / "mine.yaml")
