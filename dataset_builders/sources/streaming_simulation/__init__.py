"""An invented streaming service whose truth is known; `generative_model.md` beside this file says how it works."""

from logs2lang.dataset_builders.sources.streaming_simulation.simulated_log import read_streaming_simulation
from logs2lang.dataset_builders.sources.streaming_simulation.simulation_config import SimulationConfig

__all__ = ["SimulationConfig", "read_streaming_simulation"]
