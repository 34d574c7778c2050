"""An invented streaming service whose truth is known; `generative_model.md` beside this file says how it works."""

from .simulated_log import read_streaming_simulation
from .simulation_config import SimulationConfig

__all__ = ["SimulationConfig", "read_streaming_simulation"]
