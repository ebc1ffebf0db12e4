"""The agents: the only place where nets meet Kafka."""

from app.agents.enrol import Enrol
from app.agents.identify import Identify
from app.agents.monitor import Monitor
from app.agents.partitions import Partitions
from app.agents.recognise import Recognise

__all__ = ["Enrol", "Identify", "Monitor", "Partitions", "Recognise"]
