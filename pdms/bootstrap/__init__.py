"""Settings become keys, policy and databases; here units of work are made.

Import `App` from `pdms.bootstrap.app` and `initialise` from `pdms.bootstrap.initialise`: both import every store, which
a face that only prints its help should not.
"""
