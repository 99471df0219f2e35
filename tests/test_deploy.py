"""The dnd package: what is in it, what is refused, and that verify catches every kind of damage."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.dnd import deploy
from scripts.lib.cli import UserError
from scripts.lib.options.deploy import GenerationOptions
from scripts.model.gguf_facts import read_facts
from scripts.packaging import ollama, smoke, verify
from scripts.packaging.sums import check_sums, write_sums
from tests.package_fixtures import WINDOW, deploy_arguments, make_run, write_json
from tests.tiny_models import CHAT_TEMPLATE, save_tiny

FILES = {
    "Modelfile", "README.md", "SHA256SUMS", "cactus_config.json", "deployment_config.json", "integration-example.ts",
    "model-Q4_K_M.gguf", "model-Q8_0.gguf", "run-llama-server.sh", "test_results.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def published(root):
    out = root / "dist/dnd/dm"
    deploy.main(deploy_arguments(root, out))
    return out


@pytest.fixture
def package(published, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(published, tmp_path / "dm"))


@pytest.fixture
def silent(monkeypatch):
    """Packages without a transcript, for tests of everything else: no model is loaded."""
    monkeypatch.setattr("scripts.packaging.publish.write_transcript", lambda package, folder: None)


def run_verify(folder: Path, *words: str) -> int:
    return verify.main(verify.parser().parse_args([str(folder), *words]))


def test_holds_exactly_the_expected_files(published):
    assert {path.name for path in published.iterdir()} == FILES
    assert not list(published.parent.glob(".*"))


def test_cactus_config_says_what_the_gguf_says(published):
    config = json.loads((published / "cactus_config.json").read_text())
    assert config["model"]["context_length"] == WINDOW == read_facts(published / config["model"]["path"]).context_length
    assert config["model"]["quantization"] == "Q4_K_M"
    assert config["generation"] == {
        "temperature": 0.7, "top_p": 0.9, "top_k": 40, "repeat_penalty": 1.1, "max_tokens": 512,
    }  # fmt: skip
    assert {tool["name"] for tool in config["tools"]["supported"]} == {
        "roll", "health", "inventory", "spellcast", "check", "save",
    }  # fmt: skip
    assert config["system_prompt"].startswith("You are the dungeon master.\nTools: [")


def test_same_inputs_give_the_same_bytes_wherever_they_lie(published, tmp_path):
    elsewhere = make_run(tmp_path / "other")
    deploy.main(deploy_arguments(elsewhere, tmp_path / "out"))
    assert (tmp_path / "out/SHA256SUMS").read_bytes() == (published / "SHA256SUMS").read_bytes()


def test_sha256sum_reads_the_sums(published):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum on this machine")
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=published, capture_output=True)
    assert done.returncode == 0


def test_a_new_package_replaces_the_old_as_a_whole(root, tmp_path, silent):
    out = tmp_path / "dm"
    out.mkdir()
    (out / "left-over.txt").write_text("old")
    deploy.main(deploy_arguments(root, out))
    assert {path.name for path in out.iterdir()} == FILES - {"test_results.json"}


def test_a_failure_leaves_the_old_package_alone(root, tmp_path, monkeypatch):
    out = tmp_path / "dm"
    out.mkdir()
    (out / "old.txt").write_text("old")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scripts.packaging.publish.write_transcript", full_disk)
    with pytest.raises(OSError, match="No space"):
        deploy.main(deploy_arguments(root, out))
    assert [path.name for path in tmp_path.iterdir()] == ["dm"]
    assert [path.name for path in out.iterdir()] == ["old.txt"]


def test_a_file_over_the_limit_is_refused(root, tmp_path):
    with pytest.raises(UserError, match=r"model-Q4_K_M\.gguf: .* GB is over .*size_limit_gb = 0\.0001.*smaller"):
        deploy.main(deploy_arguments(root, tmp_path / "dm", size_limit_gb=0.0001))
    assert not (tmp_path / "dm").exists()


def test_card_shows_scores_with_baselines_and_the_base(published):
    card = (published / "README.md").read_text()
    assert "| call F1 | 0.02<br>" in card
    for words in ("nearest (baseline)", "cc0-1.0", "0" * 64, "Proves learning", "duplicate", "logits_nmse", "| 60 |"):
        assert words in card
    assert "missed a quality limit" not in card
    assert "<script" not in card


def test_a_missed_limit_is_marked_or_stops(tmp_path, silent):
    marked = make_run(tmp_path / "marked", passed=False, why="call_f1 is 0.01, the limit is 0.3.")
    deploy.main(deploy_arguments(marked, tmp_path / "dm"))
    assert "missed a quality limit" in (tmp_path / "dm/README.md").read_text()
    stopped = make_run(tmp_path / "stopped", passed=False, on_miss="stop", why="call_f1 is 0.01.")
    with pytest.raises(UserError, match=r"call_f1 is 0\.01"):
        deploy.main(deploy_arguments(stopped, tmp_path / "none"))


def test_scope_road_says_quote_no_score(root, tmp_path, silent):
    arguments = deploy_arguments(root, tmp_path / "dm")
    arguments.scope = "road"
    deploy.main(arguments)
    assert "Proves the road, quote no score." in (tmp_path / "dm/README.md").read_text()


def test_the_gate_cannot_ship_what_was_not_built(tmp_path):
    root = make_run(tmp_path / "run", variant="Q5_K_M")
    with pytest.raises(UserError, match="ships 'Q5_K_M', but --gguf has Q4_K_M, Q8_0"):
        deploy.main(deploy_arguments(root, tmp_path / "dm"))


def test_a_failed_certificate_ships_nothing(tmp_path):
    root = make_run(tmp_path / "run")
    write_json(root / "models/dnd/dm/gguf/certificate.json", {"passed": False, "checks": []})
    with pytest.raises(UserError, match="did not pass"):
        deploy.main(deploy_arguments(root, tmp_path / "dm"))


def test_hf_format_ships_a_folder_that_transformers_loads(root, tmp_path):
    arguments = deploy_arguments(root, tmp_path / "dm", formats=["hf"])
    arguments.merged = save_tiny("llama", tmp_path / "merged")
    deploy.main(arguments)
    names = {path.name for path in (tmp_path / "dm").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md", "test_results.json"} <= names
    assert not names & {"Modelfile", "model-Q4_K_M.gguf", "base.json"}
    assert run_verify(tmp_path / "dm") == 0


def test_verify_passes_and_replays(published, capsys):
    assert run_verify(published) == 0
    assert capsys.readouterr().out.count("same: combat/") == 2


@pytest.mark.parametrize("name", ["README.md", "model-Q4_K_M.gguf"])
def test_verify_names_an_altered_file(package, name, capsys):
    content = bytearray((package / name).read_bytes())
    content[-1] ^= 1
    (package / name).write_bytes(content)
    assert run_verify(package) == 1
    assert f"altered: {name}" in capsys.readouterr().out


def test_verify_names_missing_and_extra_files(package, capsys):
    (package / "Modelfile").unlink()
    (package / "sub").mkdir()
    (package / "sub/virus.sh").write_text("echo")
    assert run_verify(package, "--sums-only") == 1
    said = capsys.readouterr().out
    assert "missing: Modelfile" in said
    assert "extra: sub/virus.sh" in said


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "sub/../../secret.txt"])
def test_verify_refuses_paths_that_leave_the_package(package, name):
    (package.parent / "secret.txt").write_text("secret")
    with (package / "SHA256SUMS").open("a") as stream:
        stream.write(f"{'0' * 64}  {name}\n")
    problems = check_sums(package)
    assert [(problem.kind, problem.name) for problem in problems] == [("refused", name)]
    assert run_verify(package, "--sums-only") == 1


def test_verify_refuses_links(package, tmp_path):
    outside = tmp_path / "outside.md"
    shutil.move(package / "README.md", outside)
    (package / "README.md").symlink_to(outside)
    assert [(problem.kind, problem.name) for problem in check_sums(package)] == [("refused", "README.md")]


def test_verify_says_what_is_no_package(package):
    (package / "SHA256SUMS").write_text("not a sum\n")
    with pytest.raises(UserError, match="line 1"):
        run_verify(package)
    (package / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match="no such file"):
        run_verify(package)


def test_another_model_under_right_sums_fails_the_replay(package):
    shutil.copyfile(package / "model-Q8_0.gguf", package / "model-Q4_K_M.gguf")
    write_sums(package)
    assert run_verify(package, "--sums-only") == 0
    assert run_verify(package) == 1


def test_a_transcript_cannot_name_a_file_outside(package):
    transcript = json.loads((package / smoke.NAME).read_text())
    write_json(package / smoke.NAME, transcript | {"file": "../../model.gguf"})
    write_sums(package)
    with pytest.raises(UserError, match="leaves"):
        run_verify(package)


class Twin:
    """An engine whose answers and logit gaps a test chooses."""

    def __init__(self, answer: dict, nats: float) -> None:
        self.given, self.nats = answer, nats

    def answer(self, prompts, max_tokens):
        return [self.given for _ in prompts]

    def gap(self, prompt, ids, one, other):
        assert (ids, one, other) == ([4], 6, 5)
        return self.nats


@pytest.mark.parametrize(("nats", "outcome"), [(0.1, "near"), (2.0, "differs")])
def test_only_a_near_tie_excuses_another_token(nats, outcome):
    case = smoke.Case(id="a", answer=2, prompt="p", prompt_tokens=3, completion="xy", ids=[4, 5], finish="length")
    answer = {"prompt_tokens": 3, "completion": "xz", "ids": [4, 6], "finish": "length"}
    verdict = smoke.judge(Twin(answer, nats), case, smoke.Prompt("p"), answer)
    assert verdict.outcome == outcome
    assert "token 2 of 2" in verdict.detail


def test_the_gap_is_zero_between_a_token_and_itself(published):
    with smoke.open_gguf(published / "model-Q4_K_M.gguf", 128) as engine:
        assert engine.gap(smoke.Prompt("Pip hides."), [], 5, 5) == 0
        assert engine.gap(smoke.Prompt("Pip hides."), [], 5, 6) > 0


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (CHAT_TEMPLATE, "chatml"),
        (
            "{% for m in messages %}{{ m.role + ':\\n' + m.content + eos_token + '\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'assistant:\\n' }}{% endif %}",
            "role-lines",
        ),
        (
            "{%- for m in messages %}{%- if m.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' + m.content "
            "+ '\\n</tool_response><|im_end|>\\n' }}{%- else %}{{- '<|im_start|>' + m.role + '\\n' + m.content + "
            "'<|im_end|>\\n' }}{%- endif %}{%- endfor %}{{- '<|im_start|>assistant\\n' }}",
            "chatml-tool-response",
        ),
        ("{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}", None),
        ("{% for m in messages", None),
        ("{{ messages.__class__.__mro__ }}", None),
    ],
)
def test_chat_templates_are_recognised_by_what_they_render(template, name):
    form = ollama.recognise(template, "<s>", "</s>")
    assert (form.name if form else None) == name


def test_modelfile_is_honest_about_an_unknown_template():
    text = ollama.modelfile("m.gguf", None, "</s>", 'Say """hi""".', GenerationOptions(), 512)
    assert "No TEMPLATE" in text and "\nTEMPLATE" not in text
    assert 'PARAMETER stop "</s>"' in text
    assert text.count('"""') == 2
    known = ollama.modelfile("m.gguf", ollama.FORMS[0], "</s>", "Hi.", GenerationOptions(), 512)
    assert 'TEMPLATE """{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}' in known
