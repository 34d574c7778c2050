"""A simulated streaming service with known ground truth; `generative_model.md` next to this file describes it."""

from logs2lang.dataset_builders.sources.streaming_simulation.simulated_log import read_streaming_simulation
from logs2lang.dataset_builders.sources.streaming_simulation.simulation_config import SimulationConfig

__all__ = ["SimulationConfig", "read_streaming_simulation"]
