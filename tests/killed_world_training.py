"""World model training whose second process is killed in a step; `test_aerial_world_distributed` starts it."""

import os
import signal

from scripts.aerial.world import loop
from scripts.aerial.world import train as stage
from scripts.lib.cli import run

one_step = loop.Stage.one_step


def die(self, *given):
    if self.name == "transformer" and self.step == 2 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return one_step(self, *given)


loop.Stage.one_step = die
run(stage.parser, stage.main)
