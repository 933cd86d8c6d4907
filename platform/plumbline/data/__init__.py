"""How postings enter: contract, mapping, masking, quarantine, snapshots, and the built-in generator."""
