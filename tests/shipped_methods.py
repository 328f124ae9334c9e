"""The methods that come with the package.

`make test` is to pass with any method that `psasc-bench check` passes. What a test asks and the check does not (a
citation, no import of torch, sense at settings of the test's own) it asks of these alone.
"""

SHIPPED = ("auto-s", "dp-psac", "dp-psasc", "dp-psasc-inner", "dp-sgd", "noise-only", "nonprivate", "nsgd")
