"""A simulated streaming service with known ground truth; `generative_model.md` next to this file describes it."""

from .simulated_log import read_streaming_simulation
from .simulation_config import SimulationConfig

__all__ = ["SimulationConfig", "read_streaming_simulation"]
