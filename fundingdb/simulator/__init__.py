"""A local exchange server that answers with the real protocols from one deterministic world; for the demo and for tests.

with Simulator(World(stop=...), faults=Faults.some()) as simulator:
    os.environ.update(simulator.env())
"""

from fundingdb.simulator.faults import Fault, Faults
from fundingdb.simulator.listings import Listing
from fundingdb.simulator.server import Logged, Simulator
from fundingdb.simulator.world import World

__all__ = ["Fault", "Faults", "Listing", "Logged", "Simulator", "World"]
