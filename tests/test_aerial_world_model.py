"""The network: rotations, carrying along, losses by hand, codes, freezing, and weights from elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from world_sessions import CLASSES, DATA, DT, GRID, MODEL, boxes_of, grid_at, pose_json

from scripts.aerial.world import poses
from scripts.aerial.world.baselines import warp_to
from scripts.aerial.world.model import losses, turns
from scripts.aerial.world.model.join import evidence
from scripts.aerial.world.model.pretrained import load_pretrained, our_name
from scripts.aerial.world.model.quantizer import VectorQuantizer
from scripts.aerial.world.model.transvqvae import TransVQVAE, freeze, part_of
from scripts.aerial.world.model.vae import plane_sides
from scripts.aerial.world.model.warp import carried, past, relative, seen_from
from scripts.aerial.world.objective import losses_of
from scripts.aerial.world.options import (
    PARTS,
    WorldDataOptions,
    WorldGridOptions,
    WorldLossOptions,
    WorldModelOptions,
    WorldTrainOptions,
)
from scripts.lib.cli import UserError

DATA_OPTIONS = WorldDataOptions.parse(DATA)
MODEL_OPTIONS = WorldModelOptions.parse(MODEL)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def network(**over):
    torch.manual_seed(0)
    return TransVQVAE(DATA_OPTIONS, MODEL_OPTIONS.model_copy(update=over))


def batch(windows=1, seed=0):
    """Windows of noise that stands still."""
    draw = torch.Generator().manual_seed(seed)
    grids = torch.randint(0, 3, (windows, 10, 16, 16, 8), generator=draw, dtype=torch.uint8)
    motion = torch.zeros(windows, 10, 13)
    motion[..., 6] = 1
    steps = torch.rand(windows, 9, 6, generator=draw) * 0.1
    tilt = torch.tensor([[0.0, 0.0, 0.0, 1.0]]).repeat(windows, 1)
    return {"grids": grids, "motion": motion, "steps": steps, "tilt": tilt}


# --- rotations and carrying along ------------------------------------------------------------------------------------


def test_rotations_are_scipys():
    vectors = np.random.default_rng(0).normal(0, 1, (20, 3)) * 0.9
    turn = Rotation.from_rotvec(vectors)
    quaternion = turns.quaternion_of(torch.tensor(vectors))
    np.testing.assert_allclose(quaternion, turn.as_quat(canonical=False), atol=1e-9)
    np.testing.assert_allclose(turns.matrix_of(quaternion), turn.as_matrix(), atol=1e-9)
    both = turns.product(quaternion[:10], quaternion[10:])
    np.testing.assert_allclose(turns.matrix_of(both), (turn[:10] * turn[10:]).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(turns.turn_of(quaternion), vectors, atol=1e-7)


def test_no_rotation_has_a_gradient():
    turn = torch.zeros(1, 3, requires_grad=True)
    turns.matrix_of(turns.quaternion_of(turn)).sum().backward()
    assert torch.isfinite(turn.grad).all()


def test_motions_compose_to_the_pose_they_lead_to():
    """In torch and in NumPy: the level coordinates of a vehicle that pitches and rolls."""
    rng = np.random.default_rng(1)
    first = poses.pose_from_json(pose_json((5, -3, 9), 0.7))
    first[3:7] = (Rotation.from_euler("z", 0.7) * Rotation.from_rotvec([0.1, 0.2, 0.0])).as_quat()
    steps = rng.normal(0, 0.4, (5, 6))
    path = poses.rollout(first, steps, DT)
    turned, places = turns.composed(torch.tensor(steps)[None], torch.tensor(poses.tilt(first)).double()[None])
    level = Rotation.from_euler("z", poses.yaw(first))
    np.testing.assert_allclose(level.apply(places[0].numpy()), path[:, :3] - first[:3], atol=1e-5)
    for at in range(5):
        same = (level * Rotation.from_matrix(turned[0, at].numpy())).as_matrix()
        np.testing.assert_allclose(same, Rotation.from_quat(path[at, 3:7]).as_matrix(), atol=1e-5)


@pytest.mark.parametrize("turn", [0.0, np.pi / 2, -0.4])
def test_a_grid_carried_along_is_the_world_seen_from_there(turn):
    """A box world that stands still: where both grids reach, carrying and looking anew agree but at edges of boxes."""
    boxes = boxes_of(np.random.default_rng(4), np.zeros(2), 20)
    boxes[:, 4:] = 0
    first = poses.pose_from_json(pose_json((0.0, 0.0, 5), 0.3))
    later = poses.rollout(first, np.array([[2.0, 1.0, 0, 0, 0, turn]]), DT)
    before = grid_at(boxes, 0, first[:3], poses.yaw(first))
    after = grid_at(boxes, 0, later[0, :3], poses.yaw(later[0]))
    said = warp_to(before, first, later, DATA_OPTIONS)[0]
    steps = torch.tensor(poses.motions(np.stack([first, later[0]])), dtype=torch.float32)[None]
    rotation, shift = relative(steps, torch.tensor(poses.tilt(first))[None], DATA_OPTIONS.grid)
    _, known = carried(torch.tensor(before)[None], rotation[:, 0], shift[:, 0], DATA_OPTIONS.grid, 0)
    known = known[0].numpy()
    assert 0.5 < known.mean() < 1
    wrong = (said != after)[known].mean()
    assert wrong == 0 if turn in (0.0, np.pi / 2) else wrong < 0.06
    assert (said[~known] == 0).all()
    if turn:
        other_way = grid_at(boxes, 0, later[0, :3], poses.yaw(first) - turn)
        assert (said != other_way)[known].mean() > 1.5 * wrong


def test_a_level_grid_has_absolute_heights_and_an_ego_grid_those_of_the_vehicle():
    steps = torch.tensor([[[0.0, 0.0, 2.0, 0.0, 0.0, 0.0]]])
    still = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    level = relative(steps, still, WorldGridOptions(**GRID))[1]
    ego = relative(steps, still, WorldGridOptions(**GRID, anchor="ego"))[1]
    assert level[0, 0].tolist() == [0, 0, 0]
    assert ego[0, 0].tolist() == [0, 0, 2]


def test_positions_are_not_rounded_to_16_bits():
    """Under autocast a grid is carried to the same cells."""
    model, one = network().eval(), batch()
    one["steps"] = torch.rand(1, 9, 6) * torch.tensor([0.4, 0.4, 0.0, 0.0, 0.0, 0.05])
    code_logits, history, seen = torch.zeros(1, 64, 64), (one["grids"][:, :4], one["motion"][:, :4], one["tilt"]), []
    model.join.register_forward_hook(lambda module, given, said: seen.append(given[1]))
    for rough in (False, True):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=rough):
            model.foresee(code_logits, history, one["steps"][:, 3:], 5)
    assert torch.equal(seen[0], seen[1].float())
    known = seen[0].unflatten(-1, (4, 4)).sum(-1)
    assert known.max() == 1 and 0 < known.mean() < 1


@pytest.mark.parametrize("anchor", ["level", "ego"])
def test_each_history_frame_is_carried_as_if_it_were_the_last(anchor):
    """From any frame on, one motion after the other leads to the same rotation and shift."""
    draw = np.random.default_rng(4)
    first = poses.pose_from_json(pose_json((5, -3, 20), 0.4))
    steps = np.concatenate([draw.uniform(-2, 2, (9, 3)), draw.uniform(-0.4, 0.4, (9, 3))], 1)
    path = np.concatenate([first[None], poses.rollout(first, steps, DT)])
    grid = WorldGridOptions(**GRID, anchor=anchor)
    motion = torch.tensor(poses.features(path[:4], grid.voxel[0]))[None]
    tilt = torch.tensor(poses.tilt(path[3]))[None]
    turns_after, places_after = turns.composed(torch.tensor(poses.motions(path[3:]), dtype=torch.float32)[None], tilt)
    found = seen_from(turns_after[:, -1], places_after[:, -1], *past(motion, tilt, grid), grid)
    for at in range(4):
        on = torch.tensor(poses.motions(path[at:]), dtype=torch.float32)[None]
        rotation, shift = relative(on, torch.tensor(poses.tilt(path[at]))[None], grid)
        torch.testing.assert_close(found[0][:, at], rotation[:, -1], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found[1][:, at], shift[:, -1], atol=1e-4, rtol=1e-4)


def test_evidence_is_the_share_of_a_cell_that_each_frame_shows_as_a_class():
    """Half a cell ahead: of a wall one cell thick each of two cells shows half."""
    grids = torch.zeros(1, 2, 16, 16, 8, dtype=torch.uint8)
    grids[0, 1, 10] = 3
    grid = WorldGridOptions(**GRID)
    shift = torch.tensor([[[0.0, 0, 0], [0.5, 0, 0]]])
    found = evidence(grids, torch.eye(3).repeat(1, 2, 1, 1), shift, grid, 0, 4).unflatten(-1, (2, 4))
    assert found[0, :, 4, 4, 1, 3].tolist() == [0.5 if at in (9, 10) else 0 for at in range(16)]
    assert found[0, :, 4, 4, 1].sum(-1).tolist() == [1.0] * 15 + [0.5]  # the last cell reaches beyond its edge
    assert (found[..., 0, 0] == 1).all()


# --- losses ----------------------------------------------------------------------------------------------------------


def logits_of(chances):
    """Two classes, 0 free, whose probability of class 1 is as given."""
    chance = torch.tensor(chances, dtype=torch.float64)
    return torch.stack([torch.log(1 - chance), torch.log(chance)], -1).float()


def test_focal_loss_is_its_formula():
    logits, target = logits_of([0.8, 0.3, 0.1]), torch.tensor([1, 1, 0])
    by_hand = np.mean([-0.99 * 0.2**2 * np.log(0.8), -0.99 * 0.7**2 * np.log(0.3), -0.01 * 0.1**2 * np.log(0.9)])
    assert losses.focal(logits, target, 0, 0.99, 2.0).item() == pytest.approx(by_hand, rel=1e-5)


def test_focal_loss_of_three_classes_weighs_every_occupied_one():
    chances = torch.tensor([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]])
    by_hand = np.mean([-0.99 * 0.7**2 * np.log(0.3), -0.01 * 0.3**2 * np.log(0.7)])
    assert losses.focal(chances.log(), torch.tensor([2, 0]), 0, 0.99, 2.0).item() == pytest.approx(by_hand, rel=1e-5)


def test_dice_loss_is_its_formula():
    said, true = torch.tensor([0.8, 0.3, 0.1]), torch.tensor([True, True, False])
    assert losses.dice(said, true).item() == pytest.approx(1 - (2 * 1.1 + 1) / (1.2 + 2 + 1))
    assert losses.dice(torch.zeros(4), torch.zeros(4)).item() == 0


def test_mean_matching_is_its_formula_and_makes_all_free_expensive():
    said, true = torch.tensor([0.8, 0.3, 0.1, 0.0]), torch.tensor([True, True, False, False])
    assert losses.mean_matching(said, true).item() == pytest.approx((0.3 - 0.5) ** 2)
    assert losses.mean_matching(torch.zeros(4), true).item() == pytest.approx(0.25)


def test_composite_loss_weighs_its_parts_as_configured():
    logits, target = logits_of([0.8, 0.3, 0.1]), torch.tensor([1, 1, 0])
    plain = losses.occupancy_loss(logits, target, 0, WorldLossOptions(focal=1, dice=1, mean_matching=1))
    ours = losses.occupancy_loss(logits, target, 0, WorldLossOptions())
    ratios = {name: (ours[name] / plain[name]).item() for name in plain}
    assert ratios == pytest.approx({"focal": 1.0, "dice": 1.0, "mean_matching": 10.0})


def test_pose_loss_is_metres_over_voxels_and_radians():
    true = torch.tensor([[[1.0, 2.0, 3.0, 0.0, 0.0, 0.1]]])
    said = torch.tensor([[[1.0, 5.0, 7.0, 0.0, 0.0, 0.3]]])
    found = losses.pose_loss(said, true, WorldLossOptions())
    assert found["position"].item() == pytest.approx(5.0)
    assert found["orientation"].item() == pytest.approx(2 * np.sin(0.1), rel=1e-5)


def test_code_loss_is_cross_entropy():
    logits = torch.log(torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]]))
    assert losses.code_loss(logits, torch.tensor([[0, 1]])).item() == pytest.approx(
        -(np.log(0.7) + np.log(0.1)) / 2, rel=1e-5
    )


# --- codes -----------------------------------------------------------------------------------------------------------


def quantizer(**over):
    torch.manual_seed(0)
    return VectorQuantizer(4, MODEL_OPTIONS.model_copy(update={"codes": 8, "code_width": 4} | over), seed=3)


def test_each_place_takes_the_nearest_code_and_gradients_pass_it():
    one = quantizer().eval()
    z = torch.randn(2, 4, 3, 3, requires_grad=True)
    found = one(z)
    flat = one.quant_conv(z).movedim(1, 3)
    by_hand = torch.cdist(flat.reshape(-1, 4), one.embedding.weight).argmin(1).reshape(2, 3, 3)
    assert torch.equal(found.codes, by_hand)
    torch.testing.assert_close(found.vectors, one.vectors(by_hand))
    found.vectors.sum().backward()
    direct = torch.autograd.grad(one.quant_conv(z).sum(), z)[0]
    torch.testing.assert_close(z.grad, direct)
    expected = 0.25 * (flat - one.embedding(by_hand)).pow(2).mean()
    assert found.loss.item() == pytest.approx(expected.item())


def test_codes_follow_the_mean_of_what_chooses_them():
    one = quantizer(decay=0.0, revive_below=0.0).train()
    flat = torch.tensor([[1.0, 0, 0, 0], [3.0, 0, 0, 0], [0, 5.0, 0, 0]])
    one.follow(flat, torch.tensor([2, 2, 6]))
    assert one.embedding.weight[2].tolist() == [2.0, 0, 0, 0]
    assert one.embedding.weight[6].tolist() == [0, 5.0, 0, 0]


def test_dead_codes_are_revived_on_outputs_of_the_batch_the_same_for_the_same_seed():
    books = []
    for _ in range(2):
        one = quantizer(decay=0.0, revive_below=0.5).train()
        flat = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
        one.follow(flat, torch.zeros(32, dtype=torch.long))
        books.append(one.embedding.weight.clone())
        for code in range(1, 8):
            assert (one.embedding.weight[code] == flat).all(1).any()
    assert torch.equal(books[0], books[1])
    assert len(torch.unique(books[0], dim=0)) == 8


# --- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sides", [(16, 16), (200, 200), (15, 9)])
def test_grids_of_any_side_go_through_codes_and_back(sides):
    assert plane_sides(sides, 3)[-1] == tuple((side + 3) // 4 for side in sides)
    if max(sides) > 20:
        return
    grid = {"range": [0, 0, 0, *sides, 4], "voxel": [1, 1, 1]}
    data = WorldDataOptions(grid=grid, classes=CLASSES)
    model = TransVQVAE(data, MODEL_OPTIONS.model_copy(update={"multipliers": [1, 2, 2], "attention": True}))
    told = model.reconstruct(torch.zeros(2, *sides, 4, dtype=torch.uint8))
    assert told["logits"].shape == (2, *sides, 4, 4)


def test_the_transformer_never_sees_a_future():
    model, one = network().eval(), batch()
    other = {**one, "grids": one["grids"].clone(), "motion": one["motion"].clone()}
    other["grids"][:, 6:] = 2 - other["grids"][:, 6:]
    other["motion"][:, 6:] += 1
    said, changed = (model("transformer", **rows)["code_logits"] for rows in (one, other))
    torch.testing.assert_close(said[:, :6], changed[:, :6])
    assert not torch.allclose(said[:, 6:], changed[:, 6:])


def test_a_rollout_knows_the_history_alone_and_its_first_frame_is_what_teaching_says():
    """With the foretold motion for the true one, the first foretold frame is the taught one."""
    model, one = network().eval(), batch()
    history = (one["grids"][:, :4], one["motion"][:, :4], one["tilt"])
    with torch.no_grad():
        told = model.rollout(*history)
        # What teaching is told of the motions between history frames is what the rollout reads off the features.
        steps = one["steps"].clone()
        steps[:, :3] = 0
        steps[:, 3] = told.steps[:, 0]
        taught = model("transformer", **{**one, "steps": steps})["logits"]
    assert told.logits.shape == (1, 6, 16, 16, 8, 4)
    torch.testing.assert_close(told.logits[:, 0], taught[:, 0], atol=1e-4, rtol=1e-4)


def test_recomputing_on_the_way_back_gives_the_same_gradients():
    found = []
    for again in (False, True):
        model = network().train()
        model.recompute = again
        freeze(model, {"vae"})
        parts, _ = losses_of(model, "transformer", batch(2), DATA_OPTIONS, WorldTrainOptions())
        sum(parts.values()).backward()
        found.append({name: one.grad for name, one in model.named_parameters() if one.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, one in found[0].items():
        torch.testing.assert_close(one, found[1][name])


@pytest.mark.parametrize(("dof", "fixed"), [(3, [2, 3, 4]), (4, [3, 4]), (6, [])])
def test_motion_has_the_degrees_of_freedom_that_were_asked_for(dof, fixed):
    model, one = network(dof=dof), batch()
    torch.nn.init.normal_(model.pose_decoder[-1].weight)
    one["motion"][..., :6] = 0.1
    said = model("transformer", **one)["steps"]
    moving = (said.abs() > 0).any(1).any(0)
    assert [at for at in range(6) if not moving[at]] == fixed


def moved_by_training(frozen, steps=2):
    """Names of state that a few steps of the transformer stage moved."""
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learning = set(freeze(model, frozen))
    parameters = [value for name, value in model.named_parameters() if name in learning]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    options = WorldTrainOptions()
    for step in range(steps):
        parts, _ = losses_of(model.train(), "transformer", batch(2, step), DATA_OPTIONS, options)
        sum(parts.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = model.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}, set(before)


@pytest.mark.parametrize(
    "frozen", [{"vae"}, {"transformer"}, {"pose"}, {"vae", "pose"}, {"transformer", "pose"}, set()]
)
def test_freezing_moves_exactly_the_other_parts(frozen):
    moved, every = moved_by_training(frozen)
    assert {part_of(name) for name in moved} == set(PARTS) - frozen
    assert {name for name in every - moved if part_of(name) not in frozen} == set()
    assert not {name for name in moved if part_of(name) in frozen}
    codes = {"vae.vqvae.embedding.weight", "vae.vqvae.counts", "vae.vqvae.sums", "vae.vqvae.updates"}
    assert bool(codes & moved) == ("vae" not in frozen)


# --- weights from elsewhere ------------------------------------------------------------------------------------------


def occworld_file(path, model, **extra):
    """A checkpoint as OccWorld's trainer writes it: names under module., beside epoch and optimizer."""
    own = {"counts", "sums", "updates"}
    weights = {f"module.{name}": value for name, value in model.state_dict().items() if name.split(".")[-1] not in own}
    torch.save({"state_dict": weights | extra, "epoch": 200, "global_iter": 5}, path)
    return path


def test_an_occworld_vae_is_taken_whole(tmp_path):
    torch.manual_seed(5)
    theirs, ours = TransVQVAE(DATA_OPTIONS, MODEL_OPTIONS), network()
    path = occworld_file(tmp_path / "latest.pth", theirs)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    taken = load_pretrained(ours, path, ["vae"])
    after = ours.state_dict()
    assert taken["vae"] > 50
    assert taken["left"] > 20
    for name, value in theirs.state_dict().items():
        if part_of(name) != "vae":
            assert torch.equal(after[name], before[name])
        elif name not in ("vae.vqvae.counts", "vae.vqvae.sums", "vae.vqvae.updates"):
            assert torch.equal(after[name], value), name
    assert torch.equal(ours.vae.vqvae.sums, ours.vae.vqvae.embedding.weight)


def test_a_vae_stage_file_has_its_names_without_vae():
    assert our_name("encoder.conv_in.weight") == "vae.encoder.conv_in.weight"
    assert our_name("module.vae.class_embeds.weight") == "vae.class_embeds.weight"
    assert our_name("module.img_neck.weight") is None


def test_the_names_are_those_of_occworlds_vae():
    """As its source has them, at the widths of config/aerial/nuscenes.yaml (read there, written here by hand)."""
    from scripts.aerial.world.settings import read_settings

    settings = read_settings(Path("config/aerial/nuscenes.yaml"))
    with torch.device("meta"):
        state = TransVQVAE(settings.data, settings.model).state_dict()
    shapes = {
        "vae.class_embeds.weight": (18, 8),
        "vae.encoder.conv_in.weight": (64, 128, 3, 3),
        "vae.encoder.down.1.block.0.nin_shortcut.weight": (128, 64, 1, 1),
        "vae.encoder.down.0.downsample.conv.weight": (64, 64, 3, 3),
        "vae.encoder.down.2.attn.1.q.weight": (256, 256, 1, 1),
        "vae.encoder.mid.attn_1.proj_out.weight": (256, 256, 1, 1),
        "vae.encoder.conv_out.weight": (128, 256, 3, 3),
        "vae.decoder.conv_in.weight": (256, 128, 3, 3),
        "vae.decoder.up.2.attn.0.k.weight": (256, 256, 1, 1),
        "vae.decoder.up.2.upsample.conv.weight": (256, 256, 3, 3),
        "vae.decoder.up.0.block.1.conv2.weight": (64, 64, 3, 3),
        "vae.decoder.conv_out.weight": (128, 64, 3, 3),
        "vae.vqvae.embedding.weight": (512, 128),
        "vae.vqvae.quant_conv.weight": (128, 128, 1, 1),
        "vae.vqvae.post_quant_conv.weight": (128, 128, 1, 1),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_what_does_not_fit_is_listed_and_nothing_is_loaded(tmp_path):
    wide = TransVQVAE(DATA_OPTIONS, MODEL_OPTIONS.model_copy(update={"code_width": 24}))
    path = occworld_file(tmp_path / "wide.pth", wide, **{"module.vae.extra.weight": torch.zeros(3)})
    ours = network()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with pytest.raises(UserError) as error:
        load_pretrained(ours, path, ["vae"])
    text = str(error.value)
    assert "another shape: vae.vqvae.embedding.weight is [64, 24], the model needs [64, 16]" in text
    assert "no place for: vae.extra.weight [3]" in text
    assert "tensors do not fit the model's vae" in text
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


def test_a_transformer_of_another_build_is_refused_by_name(tmp_path):
    theirs = {"module.transformer.temporal_embeddings.weight": torch.zeros(16, 128)}
    path = occworld_file(tmp_path / "t.pth", network(), **theirs)
    with pytest.raises(UserError, match=r"no place for: transformer\.temporal_embeddings\.weight \[16, 128\]"):
        load_pretrained(network(), path, ["vae", "transformer"])


def test_a_pth_that_holds_more_than_tensors_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state_dict": {"a": torch.zeros(1)}, "trap": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(UserError, match="cannot be read as weights alone"):
        load_pretrained(network(), tmp_path / "trap.pth", ["vae"])
    assert not (tmp_path / "ran").exists()
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04")
    for name in ("cut.pth", "nothing.pth"):
        with pytest.raises(UserError, match=name):
            load_pretrained(network(), tmp_path / name, ["vae"])
