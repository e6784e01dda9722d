"""Many jobs at a time: what a job is, who runs it, what the terminal shows of it, and not what it is for."""
