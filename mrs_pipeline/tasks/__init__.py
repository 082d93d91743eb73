"""The task model: what a task is, the nodes it reads and makes, whether it is current, what lineage keeps of it."""
