"""Many jobs at a time: what a job is and who runs it, and not what it is for."""
