"""Training whose second process is killed as the fifth step ends; `test_train_distributed` starts it."""

import os
import signal

from transformers import TrainerCallback

from scripts.lib.cli import run
from scripts.model import train as stage


def die(self, args, state, control, **_):
    if state.global_step == 5 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)


TrainerCallback.on_step_end = die
run(stage.parser, stage.main)
