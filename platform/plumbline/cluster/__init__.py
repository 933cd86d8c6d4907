"""The steps that a cluster's jobs run, and that a person may run again by hand: each may be repeated, or killed."""
