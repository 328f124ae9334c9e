"""What the command line can do: each command thin over the package, and importing only what it needs, for torch, opacus
and pandas each take seconds to load. A command returns the exit status where there is more to say than success."""
