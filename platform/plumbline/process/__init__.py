"""Child processes that never outlive their parent, ports, and memory of a process tree."""
